/** The histograms of a node, and which of them its parts record into. */
import { messageTypeLabels, type NameOf } from "../OverlayMetricNames.ts"
import { Histogram } from "../protocol/Histogram.ts"
import { HandlingTimers, MESSAGE_TYPES, type SessionTimers } from "../protocol/SessionTimers.ts"
import { placeOf, series } from "./metricsSeries.ts"

/** What is timed outside of connections, besides the timers of connections. */
export interface NodeTimers extends SessionTimers {
  readonly fetch: { readonly txSet: Histogram; readonly quorumSet: Histogram }
  readonly txPull: Histogram
  readonly peerTxPull: Histogram
}

/** A histogram at the place of every series that is one. */
export const makeHistograms = (): ReadonlyArray<Histogram | undefined> =>
  series.map(({ definition: { bounds, type } }) => type === "histogram" ? new Histogram(bounds) : undefined)

export const makeTimers = (histograms: ReadonlyArray<Histogram | undefined>): NodeTimers => {
  const of = (name: NameOf<"histogram">, ...labels: ReadonlyArray<string>): Histogram =>
    histograms[placeOf(name, labels)]! // every series of a histogram has one
  const labelOf = (type: number): string | undefined => (messageTypeLabels as Readonly<Record<number, string>>)[type] // types that do not exist have none
  const byType = Array.from({ length: MESSAGE_TYPES }, (_, type) => {
    const label = labelOf(type)
    return label === undefined ? undefined : of("stellar_overlay_recv_seconds", label)
  })
  const statements = ["prepare", "confirm", "externalize", "nominate"].map((statement) =>
    of("stellar_overlay_recv_scp_seconds", statement)
  )
  return {
    outbound: {
      flood: [
        of("stellar_overlay_outbound_queue_scp_seconds"),
        of("stellar_overlay_outbound_queue_tx_seconds"),
        of("stellar_overlay_outbound_queue_demand_seconds"),
        of("stellar_overlay_outbound_queue_advert_seconds")
      ],
      writeQueue: of("stellar_overlay_delay_write_queue_seconds"),
      asyncWrite: of("stellar_overlay_delay_async_write_seconds")
    },
    latency: of("stellar_overlay_connection_latency_seconds"),
    readThrottle: of("stellar_overlay_connection_read_throttle_seconds"),
    floodThrottle: of("stellar_overlay_connection_flood_throttle_seconds"),
    handshake: {
      initiator: of("stellar_overlay_handshake_seconds", "initiator"),
      acceptor: of("stellar_overlay_handshake_seconds", "acceptor")
    },
    inboxWait: {
      urgent: of("stellar_overlay_inbox_wait_seconds", "urgent"),
      bulk: of("stellar_overlay_inbox_wait_seconds", "bulk")
    },
    handling: new HandlingTimers(byType, statements, of("stellar_overlay_recv_tx_batch_seconds")),
    fetch: { txSet: of("stellar_overlay_fetch_txset_seconds"), quorumSet: of("stellar_overlay_fetch_qset_seconds") },
    txPull: of("stellar_overlay_flood_tx_pull_latency_seconds"),
    peerTxPull: of("stellar_overlay_flood_peer_tx_pull_latency_seconds")
  }
}
