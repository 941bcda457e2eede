/**
 * What the metrics of a node are at one moment: plain data that renderers, tests and programs read.
 *
 * @since 0.1.0
 */
import type { MetricDefinition, MetricName, NameOf } from "./OverlayMetricNames.ts"

/**
 * Per second, as moving averages over one, five and fifteen minutes.
 *
 * @category models
 * @since 0.1.0
 */
export type MovingRates = readonly [oneMinute: number, fiveMinutes: number, fifteenMinutes: number]

/**
 * The value of one series.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** How fast a counter grows. */
  readonly rates?: MovingRates | undefined
}

/**
 * The distribution of one series, in the unit of its metric.
 *
 * @category models
 * @since 0.1.0
 */
export interface Distribution {
  readonly labels: Readonly<Record<string, string>>
  /** Observations up to each bound of the metric, cumulative; all of them are `count`. */
  readonly buckets: ReadonlyArray<number>
  readonly count: number
  readonly sum: number
  /** Extremes, and the standard deviation; 0 without observations. */
  readonly min: number
  readonly max: number
  readonly standardDeviation: number
  /** How fast observations come. */
  readonly rates: MovingRates
  /** The value that a fraction of the observations does not exceed, as far as the buckets tell. */
  readonly quantile: (q: number) => number
}

/**
 * A metric with its series.
 *
 * @category models
 * @since 0.1.0
 */
export type Family =
  | {
    readonly type: "counter" | "gauge"
    readonly name: NameOf<"counter" | "gauge">
    readonly definition: MetricDefinition
    readonly samples: ReadonlyArray<Sample>
  }
  | {
    readonly type: "histogram"
    readonly name: NameOf<"histogram">
    readonly definition: MetricDefinition
    readonly samples: ReadonlyArray<Distribution>
  }

/**
 * All metrics, in the order of `OverlayMetricNames`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly families: ReadonlyArray<Family>
  /** How long counters have been counting: since the start or the last `clear`, in milliseconds. */
  readonly sinceMillis: number
}

/**
 * Nothing.
 *
 * @category constants
 * @since 0.1.0
 */
export const empty: Snapshot = { families: [], sinceMillis: 0 }

const matches = (labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean =>
  Object.entries(wanted).every(([name, value]) => labels[name] === value)

/**
 * The sum of a counter or gauge over the series that have the given labels; 0 when there are none.
 *
 * @category getters
 * @since 0.1.0
 */
export const value = (
  self: Snapshot,
  name: NameOf<"counter" | "gauge">,
  labels: Readonly<Record<string, string>> = {}
): number => {
  const family = self.families.find((family) => family.name === name)
  if (family === undefined || family.type === "histogram") return 0
  return family.samples.reduce((sum, sample) => matches(sample.labels, labels) ? sum + sample.value : sum, 0)
}

/**
 * The distributions of a histogram that have the given labels.
 *
 * @category getters
 * @since 0.1.0
 */
export const distributions = (
  self: Snapshot,
  name: NameOf<"histogram">,
  labels: Readonly<Record<string, string>> = {}
): ReadonlyArray<Distribution> => {
  const family = self.families.find((family) => family.name === name)
  if (family === undefined || family.type !== "histogram") return []
  return family.samples.filter((sample) => matches(sample.labels, labels))
}

/**
 * How many observations a histogram has, over the series that have the given labels.
 *
 * @category getters
 * @since 0.1.0
 */
export const count = (
  self: Snapshot,
  name: NameOf<"histogram">,
  labels: Readonly<Record<string, string>> = {}
): number => distributions(self, name, labels).reduce((sum, { count }) => sum + count, 0)

/**
 * A metric with its series, or undefined.
 *
 * @category getters
 * @since 0.1.0
 */
export const family = (self: Snapshot, name: MetricName): Family | undefined =>
  self.families.find((family) => family.name === name)
