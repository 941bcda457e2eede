/**
 * Every metric of a node: its name, what it counts, its unit, the closed set of its labels, and stellar-core's name for it.
 *
 * A name is core's with `_` for `.` and `-`, after `stellar_`: a meter is a counter (`_total`), a timer is a histogram
 * in seconds (`_seconds`), a counter of core, which goes up and down, is a gauge. `overlay.recv.X`, `overlay.send.X` are
 * one family each, with X as the label `type`. What core does not have is at the end.
 *
 * Of core's metrics three have no counterpart of the same name: `overlay.flood.tx-batch-size` exists in its test builds
 * only, `app.post-on-overlay-thread.delay` measures the wait for a thread that is not here, for which
 * `stellar_event_loop_delay_seconds` is the equivalent, and `overlay.recv.scp-*` is a family of its own, so that the sum
 * over `type` counts no message twice. `overlay.message.drop` is never marked in core, and stays 0 here.
 *
 * Implements protocol.md section 13 (stellar-core: `OverlayMetrics.cpp`).
 *
 * @since 0.1.0
 */
import * as DropReason from "./DropReason.ts"
import { MessageType } from "./wire/MessageType.ts"

/**
 * What a metric is: a count that only grows, a value of this moment, or a distribution.
 *
 * @category models
 * @since 0.1.0
 */
export type MetricType = "counter" | "gauge" | "histogram"

/**
 * A label and all the values it may have. Without `values` they come from outside and `bound` says how many there are at
 * most.
 *
 * @category models
 * @since 0.1.0
 */
export interface MetricLabel {
  readonly name: string
  readonly values?: ReadonlyArray<string> | undefined
  readonly bound?: number | undefined
}

/**
 * A metric. `unit` is what is counted, or the unit of the value.
 *
 * @category models
 * @since 0.1.0
 */
export interface MetricDefinition {
  readonly type: MetricType
  readonly unit: string
  readonly help: string
  /** Stellar-core's name, `X` standing for the value of the label `type`. */
  readonly core?: string | undefined
  readonly labels: ReadonlyArray<MetricLabel>
  /** Upper bounds of the buckets of a histogram, in its unit, ascending, without infinity. */
  readonly bounds: ReadonlyArray<number>
}

/**
 * Core's name of each message type in `overlay.recv.X` and `overlay.send.X`. TX_SET and GENERALIZED_TX_SET share one, as do
 * SEND_MORE and SEND_MORE_EXTENDED. A received transaction is `recv-transaction` in core; it is one of the types here.
 *
 * @category constants
 * @since 0.1.0
 */
export const messageTypeLabels: Readonly<Record<MessageType, string>> = {
  [MessageType.ErrorMsg]: "error",
  [MessageType.Auth]: "auth",
  [MessageType.DontHave]: "dont-have",
  [MessageType.Peers]: "peers",
  [MessageType.GetTxSet]: "get-txset",
  [MessageType.TxSet]: "txset",
  [MessageType.Transaction]: "transaction",
  [MessageType.GetScpQuorumSet]: "get-scp-qset",
  [MessageType.ScpQuorumSet]: "scp-qset",
  [MessageType.ScpMessage]: "scp-message",
  [MessageType.GetScpState]: "get-scp-state",
  [MessageType.Hello]: "hello",
  [MessageType.SendMore]: "send-more",
  [MessageType.GeneralizedTxSet]: "txset",
  [MessageType.FloodAdvert]: "flood-advert",
  [MessageType.FloodDemand]: "flood-demand",
  [MessageType.SendMoreExtended]: "send-more",
  [MessageType.TimeSlicedSurveyRequest]: "survey-request",
  [MessageType.TimeSlicedSurveyResponse]: "survey-response",
  [MessageType.TimeSlicedSurveyStartCollecting]: "start-survey-collecting",
  [MessageType.TimeSlicedSurveyStopCollecting]: "stop-survey-collecting"
}

const label = (name: string, values: ReadonlyArray<string>): MetricLabel => ({ name, values })

const typeLabel = label("type", [...new Set(Object.values(messageTypeLabels))])

/**
 * Peers that are named in labels over the life of a process at most; all others are `other`.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_PEER_LABELS = 100

const role = label("role", ["initiator", "acceptor"])
const direction = label("direction", ["inbound", "outbound"])
const queue = label("queue", ["scp", "tx", "demand", "advert", "direct"])
const lane = label("lane", ["urgent", "bulk"])
const peer: MetricLabel = { name: "peer", bound: MAX_PEER_LABELS + 1 }
const floodClass = label("class", ["flood", "fetch"])
const novelty = label("novelty", ["unique", "duplicate"])

/** Handling of messages: tens of microseconds to seconds. */
const handling = [1e-5, 5e-5, 1e-4, 5e-4, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1]
/** Waiting in queues: milliseconds to the straggler's two minutes. */
const waiting = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120]
/** Round trips and handshakes. */
const roundTrip = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10]
/** Fetching and pulling: a try is 0.5 to 2 s. */
const searching = [0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 60]

interface Rest {
  readonly core?: string
  readonly labels?: ReadonlyArray<MetricLabel>
}

const make = <const T extends MetricType>(
  type: T,
  unit: string,
  help: string,
  rest: Rest,
  bounds: ReadonlyArray<number> = []
): MetricDefinition & { readonly type: T } => ({
  type,
  unit,
  help,
  core: rest.core,
  labels: rest.labels ?? [],
  bounds
})

const counter = (unit: string, help: string, rest: Rest = {}) => make("counter", unit, help, rest)
const gauge = (unit: string, help: string, rest: Rest = {}) => make("gauge", unit, help, rest)
const timer = (bounds: ReadonlyArray<number>, help: string, rest: Rest = {}) =>
  make("histogram", "seconds", help, rest, bounds)

/**
 * The table.
 *
 * @category constants
 * @since 0.1.0
 */
export const definitions = {
  // ------------------------------------------------------------------------------------------- messages and bytes
  stellar_overlay_message_read_total: counter("messages", "Whole messages received", { core: "overlay.message.read" }),
  stellar_overlay_message_write_total: counter("messages", "Whole messages written", {
    core: "overlay.message.write"
  }),
  stellar_overlay_message_drop_total: counter("messages", "Never counted, as in stellar-core", {
    core: "overlay.message.drop"
  }),
  stellar_overlay_message_broadcast_total: counter("messages", "Broadcasts that newly told at least one peer", {
    core: "overlay.message.broadcast"
  }),
  stellar_overlay_byte_read_total: counter("bytes", "Bytes read from sockets", { core: "overlay.byte.read" }),
  stellar_overlay_byte_write_total: counter("bytes", "Bytes written to sockets", { core: "overlay.byte.write" }),
  stellar_overlay_async_read_total: counter("calls", "Reads from sockets", { core: "overlay.async.read" }),
  stellar_overlay_async_write_total: counter("calls", "Writes to sockets", { core: "overlay.async.write" }),
  stellar_overlay_error_read_total: counter(
    "errors",
    "Connections that ended by a failure to read, an end of input or a bad record length",
    { core: "overlay.error.read" }
  ),
  stellar_overlay_error_write_total: counter("errors", "Connections that ended by a failure to write", {
    core: "overlay.error.write"
  }),
  stellar_overlay_timeout_idle_total: counter(
    "timeouts",
    "Connections dropped for silence, before or after the handshake",
    { core: "overlay.timeout.idle" }
  ),
  stellar_overlay_timeout_straggler_total: counter("timeouts", "Connections dropped because the peer took too little", {
    core: "overlay.timeout.straggler"
  }),
  stellar_overlay_recv_seconds: timer(
    handling,
    "Time to handle received messages, by type: the share of a message in the time its batch took",
    { core: "overlay.recv.X", labels: [typeLabel] }
  ),
  stellar_overlay_recv_scp_seconds: timer(
    handling,
    "Time to handle received SCP messages, by statement: the same time as in stellar_overlay_recv_seconds",
    { core: "overlay.recv.scp-X", labels: [label("type", ["prepare", "confirm", "externalize", "nominate"])] }
  ),
  stellar_overlay_recv_tx_batch_seconds: timer(handling, "Time to handle a batch of received transactions", {
    core: "overlay.recv.tx-batch"
  }),
  stellar_overlay_recv_transaction_count: gauge("transactions", "Transactions handled", {
    core: "overlay.recv-transaction.count"
  }),
  stellar_overlay_recv_transaction_sum: gauge("microseconds", "Time to handle them, in microseconds", {
    core: "overlay.recv-transaction.sum"
  }),
  stellar_overlay_recv_transaction_max: gauge("microseconds", "Longest time to handle one, in microseconds", {
    core: "overlay.recv-transaction.max"
  }),
  stellar_overlay_send_total: counter("messages", "Messages to send, by type, before queues and shedding", {
    core: "overlay.send.X",
    labels: [typeLabel]
  }),

  // --------------------------------------------------------------------------------------------------- connections
  stellar_overlay_connection_latency_seconds: timer(roundTrip, "Round trips measured by pings", {
    core: "overlay.connection.latency"
  }),
  stellar_overlay_connection_read_throttle_seconds: timer(waiting, "Pauses of reading for want of capacity", {
    core: "overlay.connection.read-throttle"
  }),
  stellar_overlay_connection_flood_throttle_seconds: timer(waiting, "Times without credit, ended by a grant", {
    core: "overlay.connection.flood-throttle"
  }),
  stellar_overlay_connection_pending: gauge("connections", "Connections before authentication", {
    core: "overlay.connection.pending"
  }),
  stellar_overlay_connection_authenticated: gauge("connections", "Authenticated connections", {
    core: "overlay.connection.authenticated"
  }),
  stellar_overlay_inbound_attempt_total: counter("connections", "Accepted sockets", {
    core: "overlay.inbound.attempt"
  }),
  stellar_overlay_inbound_establish_total: counter("connections", "Accepted sockets that found a place", {
    core: "overlay.inbound.establish"
  }),
  stellar_overlay_inbound_drop_total: counter("connections", "Inbound connections that gave their place back", {
    core: "overlay.inbound.drop"
  }),
  stellar_overlay_inbound_reject_total: counter("connections", "Accepted sockets that found no place", {
    core: "overlay.inbound.reject"
  }),
  stellar_overlay_inbound_live: gauge("connections", "Inbound sockets that exist, those that are closing included", {
    core: "overlay.inbound.live"
  }),
  stellar_overlay_outbound_attempt_total: counter("connections", "Dials asked for", {
    core: "overlay.outbound.attempt"
  }),
  stellar_overlay_outbound_establish_total: counter("connections", "Dials that found a place and were begun", {
    core: "overlay.outbound.establish"
  }),
  stellar_overlay_outbound_drop_total: counter("connections", "Outbound connections that gave their place back", {
    core: "overlay.outbound.drop"
  }),
  stellar_overlay_outbound_cancel_total: counter("connections", "Dials that were not begun", {
    core: "overlay.outbound.cancel"
  }),

  // ------------------------------------------------------------------------------------------------------ fetching
  stellar_overlay_item_fetcher_next_peer_total: counter("requests", "Requests beyond the first for an item", {
    core: "overlay.item-fetcher.next-peer"
  }),
  stellar_overlay_fetch_txset_seconds: timer(searching, "From the first request for a transaction set to its receipt", {
    core: "overlay.fetch.txset"
  }),
  stellar_overlay_fetch_qset_seconds: timer(searching, "From the first request for a quorum set to its receipt", {
    core: "overlay.fetch.qset"
  }),

  // -------------------------------------------------------------------------------------------------------- queues
  stellar_overlay_delay_write_queue_seconds: timer(waiting, "Wait of messages outside flow control for their write", {
    core: "overlay.delay.write-queue"
  }),
  stellar_overlay_delay_async_write_seconds: timer(waiting, "Duration of writes", {
    core: "overlay.delay.async-write"
  }),
  stellar_overlay_outbound_queue_scp_seconds: timer(waiting, "Time of SCP messages in the flow-control queue", {
    core: "overlay.outbound-queue.scp"
  }),
  stellar_overlay_outbound_queue_tx_seconds: timer(waiting, "Time of transactions in the flow-control queue", {
    core: "overlay.outbound-queue.tx"
  }),
  stellar_overlay_outbound_queue_advert_seconds: timer(waiting, "Time of adverts in the flow-control queue", {
    core: "overlay.outbound-queue.advert"
  }),
  stellar_overlay_outbound_queue_demand_seconds: timer(waiting, "Time of demands in the flow-control queue", {
    core: "overlay.outbound-queue.demand"
  }),
  stellar_overlay_outbound_queue_drop_scp_total: counter("messages", "SCP messages shed: too old or superseded", {
    core: "overlay.outbound-queue.drop-scp"
  }),
  stellar_overlay_outbound_queue_drop_tx_total: counter("messages", "Transactions shed", {
    core: "overlay.outbound-queue.drop-tx"
  }),
  stellar_overlay_outbound_queue_drop_advert_total: counter("hashes", "Hashes of adverts shed", {
    core: "overlay.outbound-queue.drop-advert"
  }),
  stellar_overlay_outbound_queue_drop_demand_total: counter("hashes", "Hashes of demands shed", {
    core: "overlay.outbound-queue.drop-demand"
  }),

  // ------------------------------------------------------------------------------------------------------ flooding
  stellar_overlay_flood_broadcast_total: counter("messages", "Messages sent by broadcasts, transactions excepted", {
    core: "overlay.flood.broadcast"
  }),
  stellar_overlay_flood_advertised_total: counter("hashes", "Hashes queued for adverts", {
    core: "overlay.flood.advertised"
  }),
  stellar_overlay_flood_demanded_total: counter("hashes", "Hashes demanded", { core: "overlay.flood.demanded" }),
  stellar_overlay_flood_fulfilled_total: counter("hashes", "Demands of peers served", {
    core: "overlay.flood.fulfilled"
  }),
  stellar_overlay_flood_unfulfilled_banned_total: counter("hashes", "Demands of peers for banned transactions", {
    core: "overlay.flood.unfulfilled-banned"
  }),
  stellar_overlay_flood_unfulfilled_unknown_total: counter("hashes", "Demands of peers for unknown transactions", {
    core: "overlay.flood.unfulfilled-unknown"
  }),
  stellar_overlay_flood_tx_pull_latency_seconds: timer(
    searching,
    "From the first demand of a transaction to its receipt",
    { core: "overlay.flood.tx-pull-latency" }
  ),
  stellar_overlay_flood_peer_tx_pull_latency_seconds: timer(
    searching,
    "From the demand to the peer that delivered a transaction to its receipt",
    { core: "overlay.flood.peer-tx-pull-latency" }
  ),
  stellar_overlay_demand_timeout_total: counter("timeouts", "Hashes demanded once more, of another peer", {
    core: "overlay.demand.timeout"
  }),
  stellar_overlay_flood_relevant_txs_total: counter("transactions", "Received transactions that were newly pending", {
    core: "overlay.flood.relevant-txs"
  }),
  stellar_overlay_flood_irrelevant_txs_total: counter("transactions", "Received transactions that were not", {
    core: "overlay.flood.irrelevant-txs"
  }),
  stellar_overlay_flood_abandoned_demands_total: counter("hashes", "Demands that nobody answered for a minute", {
    core: "overlay.flood.abandoned-demands"
  }),
  stellar_overlay_flood_unique_recv_total: counter("bytes", "Bytes of flooded messages received first", {
    core: "overlay.flood.unique-recv"
  }),
  stellar_overlay_flood_duplicate_recv_total: counter("bytes", "Bytes of flooded messages received again", {
    core: "overlay.flood.duplicate-recv"
  }),
  stellar_overlay_fetch_unique_recv_total: counter("bytes", "Bytes of fetched items received first", {
    core: "overlay.fetch.unique-recv"
  }),
  stellar_overlay_fetch_duplicate_recv_total: counter("bytes", "Bytes of fetched items received again", {
    core: "overlay.fetch.duplicate-recv"
  }),
  stellar_overlay_memory_flood_known: gauge("records", "Records of the floodgate", {
    core: "overlay.memory.flood-known"
  }),

  // ------------------------------------------------------------------------------------ what stellar-core does not have
  stellar_overlay_drops_total: counter("connections", "Connections that ended or never came to be, by drop reason", {
    labels: [label("reason", DropReason.tags)]
  }),
  stellar_overlay_received_total: counter("messages", "Messages received, by type, counted before they are handled", {
    labels: [typeLabel]
  }),
  stellar_overlay_dials_total: counter("dials", "TCP dials, by outcome", {
    labels: [label("outcome", ["connected", "refused", "timeout", "unresolved", "failed", "interrupted"])]
  }),
  stellar_overlay_handshakes_total: counter("connections", "Handshakes completed", { labels: [role] }),
  stellar_overlay_handshake_seconds: timer(roundTrip, "From the first byte to authentication", { labels: [role] }),
  stellar_overlay_peers: gauge("connections", "Connections by direction and state", {
    labels: [direction, label("state", ["pending", "authenticated"])]
  }),
  stellar_overlay_peer_slots: gauge("connections", "Most authenticated connections", { labels: [direction] }),
  stellar_overlay_bans: gauge("nodes", "Banned nodes"),
  stellar_overlay_known_addresses: gauge("addresses", "Known addresses of peers"),
  stellar_overlay_storage_failures_total: counter("operations", "Failed operations of the address book's database"),
  stellar_overlay_storage_failing: gauge("boolean", "Whether the address book's database fails now"),
  stellar_overlay_inbox_messages: gauge("messages", "Received messages that wait to be handled", { labels: [lane] }),
  stellar_overlay_inbox_wait_seconds: timer(waiting, "Wait of the oldest message of a batch to be handled", {
    labels: [lane]
  }),
  stellar_overlay_outbound_messages: gauge("messages", "Messages that wait to be written", { labels: [queue] }),
  stellar_overlay_outbound_bytes: gauge("bytes", "Bytes of the messages that wait to be written", { labels: [queue] }),
  stellar_overlay_outbound_refused_txs_total: counter("messages", "Transactions not sent for their size"),
  stellar_overlay_credit_messages: gauge("messages", "Flow-control credit that peers have given and that is not used"),
  stellar_overlay_credit_bytes: gauge("bytes", "The same in bytes"),
  stellar_overlay_capacity_used_messages: gauge("messages", "Received flood messages that are not processed yet"),
  stellar_overlay_capacity_used_bytes: gauge("bytes", "The same in bytes"),
  stellar_overlay_peers_without_credit: gauge("connections", "Peers that lack credit something waits for"),
  stellar_overlay_peers_read_paused: gauge("connections", "Peers that are not read for want of capacity"),
  stellar_overlay_grants_sent_total: counter("messages", "Grants of credit sent"),
  stellar_overlay_grants_received_total: counter("messages", "Grants of credit received"),
  stellar_overlay_queries_ignored_total: counter("messages", "Queries over the limits of their peer"),
  stellar_overlay_flood_messages_total: counter("messages", "Messages received, by class and novelty", {
    labels: [floodClass, novelty]
  }),
  stellar_overlay_flood_suppressed_total: counter("messages", "Copies dropped while another one was being processed"),
  stellar_overlay_flood_advert_suppressed_total: counter("hashes", "Hashes not advertised to who advertised them"),
  stellar_overlay_flood_demands_repeated_total: counter("hashes", "Demands of peers repeated too soon, not served"),
  stellar_overlay_flood_demands_open: gauge("hashes", "Hashes remembered as demanded"),
  stellar_overlay_scp_discarded_total: counter("messages", "SCP messages the host discarded"),
  stellar_overlay_verify_budget_waits_total: counter("messages", "SCP messages that waited for the signature budget"),
  stellar_overlay_fetch_requests_total: counter("requests", "Requests for items", {
    labels: [label("item", ["txset", "qset"])]
  }),
  stellar_overlay_fetch_waiting: gauge("messages", "SCP messages that wait for an item", {
    labels: [label("item", ["txset", "qset"])]
  }),
  stellar_overlay_fetch_failed_total: counter("items", "Searches given up", {
    labels: [label("item", ["txset", "qset"])]
  }),
  stellar_overlay_survey_messages_total: counter("messages", "Survey messages of peers, by what became of them", {
    labels: [label("result", ["accepted", "ignored", "invalid-signature"])]
  }),
  stellar_overlay_survey_answered_total: counter("messages", "Survey requests to this node that it answered"),
  stellar_overlay_ledger_sequence: gauge("ledger", "The ledger consensus is known to be at"),
  stellar_overlay_ledger_tracking: gauge("boolean", "Whether the node follows consensus"),
  stellar_overlay_ledger_synced: gauge("boolean", "Whether the node takes transactions"),
  stellar_overlay_peer_read_bytes: gauge(
    "bytes",
    "Bytes read from the busiest peers that are connected, and the rest",
    {
      labels: [peer]
    }
  ),
  stellar_overlay_peer_written_bytes: gauge("bytes", "Bytes written to the same peers", { labels: [peer] }),
  stellar_overlay_peer_latency_seconds: gauge("seconds", "Last round trip of the same peers; of the rest the longest", {
    labels: [peer]
  }),
  stellar_event_loop_delay_seconds: gauge("seconds", "Delay of the event loop since the last look", {
    core: "app.post-on-overlay-thread.delay",
    labels: [label("percentile", ["50", "99", "100"])]
  })
} as const satisfies Readonly<Record<string, MetricDefinition>>

/**
 * The name of a metric.
 *
 * @category models
 * @since 0.1.0
 */
export type MetricName = keyof typeof definitions

/**
 * The names of the metrics of one type.
 *
 * @category models
 * @since 0.1.0
 */
export type NameOf<T extends MetricType> = {
  [Name in MetricName]: (typeof definitions)[Name]["type"] extends T ? Name : never
}[MetricName]

/**
 * Tells histograms from metrics with one value per series.
 *
 * @category guards
 * @since 0.1.0
 */
export const isHistogram = (name: MetricName): name is NameOf<"histogram"> => definitions[name].type === "histogram"

/**
 * All names, in the order of the table.
 *
 * @category constants
 * @since 0.1.0
 */
export const names = Object.keys(definitions) as ReadonlyArray<MetricName>

/**
 * What a name means.
 *
 * @category getters
 * @since 0.1.0
 */
export const definitionOf = (name: MetricName): MetricDefinition => definitions[name]
