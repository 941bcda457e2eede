/**
 * The flow-control part of the `peers` command, with stellar-core's keys.
 *
 * Implements protocol.md 8.5 (stellar-core: `FlowControl::getFlowControlJsonInfo`).
 *
 * @since 0.1.0
 */
import type { FlowControl } from "./FlowControl.ts"
import type { OutboundQueues } from "./OutboundQueues.ts"

/**
 * The compact form.
 *
 * @category models
 * @since 0.1.0
 */
export interface FlowControlJson {
  /** Free local capacity in messages. */
  readonly local_capacity: { readonly reading: number; readonly flood: number }
  /** Outbound credit in messages; like every JSON number in JavaScript it is rounded above 2^53. */
  readonly peer_capacity: number
  /** Free local capacity in bytes; `reading` includes the floor of 16 777 220. */
  readonly local_capacity_bytes: { readonly reading: number; readonly flood: number }
  /** Outbound credit in bytes. */
  readonly peer_capacity_bytes: number
}

/**
 * The full form: the compact one, and the third quartile of the time messages spent in each queue, in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface FlowControlFullJson extends FlowControlJson {
  readonly outbound_queue_delay_scp_p75: number
  readonly outbound_queue_delay_txs_p75: number
  readonly outbound_queue_delay_advert_p75: number
  readonly outbound_queue_delay_demand_p75: number
}

/**
 * The compact view of one connection's credit.
 *
 * @category constructors
 * @since 0.1.0
 */
export const compact = (flow: FlowControl): FlowControlJson => ({
  local_capacity: { reading: flow.localMessages, flood: flow.localFloodMessages },
  peer_capacity: Number(flow.messageCredit),
  local_capacity_bytes: { reading: flow.localBytes, flood: flow.localFloodBytes },
  peer_capacity_bytes: Number(flow.byteCredit)
})

/**
 * The full view of one connection's credit and queues.
 *
 * @category constructors
 * @since 0.1.0
 */
export const full = (flow: FlowControl, queues: OutboundQueues, now: number): FlowControlFullJson => ({
  ...compact(flow),
  outbound_queue_delay_scp_p75: queues.delays.scp.p75(now),
  outbound_queue_delay_txs_p75: queues.delays.txs.p75(now),
  outbound_queue_delay_advert_p75: queues.delays.advert.p75(now),
  outbound_queue_delay_demand_p75: queues.delays.demand.p75(now)
})
