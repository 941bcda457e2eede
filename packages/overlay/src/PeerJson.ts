/**
 * A peer as stellar-core's `peers` command shows it.
 *
 * Implements protocol.md 8.5 (stellar-core: `Peer::getJsonInfo`).
 *
 * @since 0.1.0
 */
import * as FlowControlJson from "./protocol/FlowControlJson.ts"
import type { Session } from "./protocol/Session.ts"

/**
 * The keys of the compact form.
 *
 * @category models
 * @since 0.1.0
 */
export interface CompactPeerJson {
  readonly address: string
  /** Seconds since the connection was made. */
  readonly elapsed: number
  /** Last round trip in milliseconds; 86 400 000 before the first. */
  readonly latency: number
  /** As the remote sent it: escape it before a terminal or a page. */
  readonly ver: string
  readonly olver: number
  readonly id: string
  readonly flow_control: FlowControlJson.FlowControlJson
}

/**
 * The keys of the full form.
 *
 * @category models
 * @since 0.1.0
 */
export interface FullPeerJson extends Omit<CompactPeerJson, "flow_control"> {
  readonly flow_control: FlowControlJson.FlowControlFullJson
  readonly pull_mode: { readonly pull_latency: number; readonly demand_timeouts: number }
  readonly message_read: number
  readonly message_write: number
  readonly byte_read: number
  readonly byte_write: number
  readonly async_read: number
  readonly async_write: number
  /** Never incremented, as in core. */
  readonly message_drop: number
  readonly message_delay_in_write_queue_p75: number
  readonly message_delay_in_async_write_p75: number
  readonly unique_flood_message_recv: number
  readonly duplicate_flood_message_recv: number
  readonly unique_fetch_message_recv: number
  readonly duplicate_fetch_message_recv: number
}

/**
 * The compact form; `now` is monotonic milliseconds.
 *
 * @category conversions
 * @since 0.1.0
 */
export const compact = (session: Session, now: number): CompactPeerJson => ({
  ...identity(session, now),
  flow_control: FlowControlJson.compact(session.flow)
})

/**
 * The full form; `now` is monotonic milliseconds.
 *
 * @category conversions
 * @since 0.1.0
 */
export const full = (session: Session, now: number): FullPeerJson => {
  const { queues, stats } = session
  return {
    ...identity(session, now),
    flow_control: FlowControlJson.full(session.flow, queues, now),
    pull_mode: { pull_latency: stats.pullLatency.p75(now), demand_timeouts: stats.demandTimeouts },
    message_read: stats.messagesRead,
    message_write: stats.messagesWritten,
    byte_read: stats.bytesRead,
    byte_write: stats.bytesWritten,
    async_read: stats.asyncReads,
    async_write: stats.asyncWrites,
    message_drop: 0,
    message_delay_in_write_queue_p75: queues.delays.writeQueue.p75(now),
    message_delay_in_async_write_p75: queues.delays.asyncWrite.p75(now),
    unique_flood_message_recv: stats.uniqueFloodMessages,
    duplicate_flood_message_recv: stats.duplicateFloodMessages,
    unique_fetch_message_recv: stats.uniqueFetchMessages,
    duplicate_fetch_message_recv: stats.duplicateFetchMessages
  }
}

const identity = (session: Session, now: number) => ({
  address: (session.remote?.address ?? session.options.remote).toString(),
  elapsed: Math.floor((now - session.stats.createdAt) / 1000),
  latency: Math.round(session.liveness.latencyMillis),
  ver: session.remote?.version ?? "",
  olver: session.remote?.overlayVersion ?? 0,
  id: session.remote?.id ?? ""
})
