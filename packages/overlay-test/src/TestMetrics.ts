/**
 * Metrics for tests: they count as a node's do, and keep a record of what was counted in which order.
 *
 * @since 0.1.0
 */
import type { MetricName, NameOf } from "@stellar-overlay/overlay/OverlayMetricNames"
import * as OverlayMetrics from "@stellar-overlay/overlay/OverlayMetrics"
import * as Snapshot from "@stellar-overlay/overlay/OverlayMetricsSnapshot"
import type { Session } from "@stellar-overlay/overlay/protocol/Session"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * Something that was counted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counted {
  readonly name: NameOf<"counter">
  readonly labels: ReadonlyArray<string>
}

/**
 * Metrics and their record.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestMetrics {
  readonly metrics: OverlayMetrics.Shape
  /** What `count` was called with, oldest first. */
  readonly counted: ReadonlyArray<Counted>
  /** Connections that were added and not taken away. */
  readonly sessions: ReadonlySet<Session>
  /** Connections that were ever added. */
  readonly sessionsSeen: () => number
  /** The sum of a counter or gauge over the series with the given labels. */
  readonly value: (name: NameOf<"counter" | "gauge">, labels?: Readonly<Record<string, string>>) => number
  /** Observations of a histogram. */
  readonly observations: (name: NameOf<"histogram">, labels?: Readonly<Record<string, string>>) => number
  /** Every series that is not 0, as `name{label=value}`, with its value or its number of observations. */
  readonly nonZero: () => Readonly<Record<string, number>>
  /** For `OverlayMetrics`. */
  readonly layer: Layer.Layer<never>
}

const seriesOf = (name: MetricName, labels: Readonly<Record<string, string>>): string => {
  const parts = Object.entries(labels).map(([label, value]) => `${label}=${value}`)
  return parts.length === 0 ? name : `${name}{${parts.join(",")}}`
}

/**
 * All series of a snapshot that are not 0, by name and labels.
 *
 * @category getters
 * @since 0.1.0
 */
export const nonZero = ({ families }: Snapshot.Snapshot): Readonly<Record<string, number>> => {
  const found: Record<string, number> = {}
  for (const family of families) {
    for (const sample of family.samples) {
      const value = "value" in sample ? sample.value : sample.count
      if (value !== 0) found[seriesOf(family.name, sample.labels)] = value
    }
  }
  return found
}

/**
 * Makes metrics that are recorded.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Partial<OverlayMetrics.OverlayMetricsOptions>): Effect.Effect<TestMetrics> =>
  Effect.map(OverlayMetrics.make(options), (real) => {
    const counted: Array<Counted> = []
    const sessions = new Set<Session>()
    let seen = 0
    const metrics: OverlayMetrics.Shape = {
      ...real,
      timers: real.timers,
      count: (name, ...labels) => {
        counted.push({ name, labels })
        real.count(name, ...labels)
      },
      addSession: (session) => {
        const remove = real.addSession(session)
        sessions.add(session)
        seen++
        return () => {
          sessions.delete(session)
          remove()
        }
      }
    }
    return {
      metrics,
      counted,
      sessions,
      sessionsSeen: () => seen,
      value: (name, labels) => Snapshot.value(real.snapshot(), name, labels),
      observations: (name, labels) => Snapshot.count(real.snapshot(), name, labels),
      nonZero: () => nonZero(real.snapshot()),
      layer: Layer.succeed(OverlayMetrics.OverlayMetrics, metrics)
    }
  })
