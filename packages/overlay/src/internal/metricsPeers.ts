/**
 * Which peers are named in labels: the busiest of those that have been connected for a while, and over the life of a
 * process no more than a fixed number. Who comes and goes under many keys cannot make series (attack O3).
 */
import { MAX_PEER_LABELS, type MetricName } from "../OverlayMetricNames.ts"
import type { Sample } from "../OverlayMetricsSnapshot.ts"
import { INITIAL_LATENCY_MILLIS } from "../protocol/Liveness.ts"
import type { Session } from "../protocol/Session.ts"

export const OTHER_PEERS = "other"

export class PeerLabels {
  readonly #most: number
  readonly #afterMillis: number
  readonly #named = new Set<string>()

  /** How many peers to name at a time, and how long they must have been connected. */
  constructor(most: number, afterMillis: number) {
    this.#most = most
    this.#afterMillis = afterMillis
  }

  /** The peers to name now, the busiest first. */
  choose(sessions: Iterable<Session>, now: number): Map<string, Session> {
    const candidates = [...sessions]
      .filter((session) => session.isAuthenticated && now - session.stats.createdAt >= this.#afterMillis)
      .toSorted((a, b) => traffic(b) - traffic(a))
    const chosen = new Map<string, Session>()
    for (const session of candidates) {
      if (chosen.size >= this.#most) break
      const id = session.remote?.id
      if (id === undefined || chosen.has(id)) continue
      if (!this.#named.has(id) && this.#named.size >= MAX_PEER_LABELS) continue
      this.#named.add(id)
      chosen.set(id, session)
    }
    return chosen
  }

  /** The series of the metrics that name peers. */
  samples(sessions: ReadonlyArray<Session>, now: number): ReadonlyMap<MetricName, ReadonlyArray<Sample>> {
    const chosen = this.choose(sessions, now)
    const named = new Set(chosen.values())
    const rest = sessions.filter((session) => !named.has(session))
    const each = (
      valueOf: (session: Session) => number,
      restOf: (values: ReadonlyArray<number>) => number
    ): ReadonlyArray<Sample> => [
      ...[...chosen].map(([peer, session]) => ({ labels: { peer }, value: valueOf(session) })),
      { labels: { peer: OTHER_PEERS }, value: restOf(rest.map(valueOf)) }
    ]
    return new Map<MetricName, ReadonlyArray<Sample>>([
      ["stellar_overlay_peer_read_bytes", each(({ stats }) => stats.bytesRead, sum)],
      ["stellar_overlay_peer_written_bytes", each(({ stats }) => stats.bytesWritten, sum)],
      ["stellar_overlay_peer_latency_seconds", each(latency, (values) => Math.max(0, ...values))]
    ])
  }
}

const traffic = ({ stats }: Session): number => stats.bytesRead + stats.bytesWritten

const sum = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0)

/** Nothing was measured yet: 0. */
const latency = ({ liveness: { latencyMillis } }: Session): number =>
  latencyMillis >= INITIAL_LATENCY_MILLIS ? 0 : latencyMillis / 1000
