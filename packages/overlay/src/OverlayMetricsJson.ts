/**
 * Metrics as stellar-core's `metrics` command prints them, under its names.
 *
 * Every metric of core's table is there, never used ones too. Values of timers are in milliseconds. Where core looks at a
 * sliding sample for quantiles, these are of everything since the start or `clearmetrics`, as far as buckets tell.
 *
 * Implements protocol.md sections 13 and 14 (stellar-core: `CommandHandler::metrics`, medida's JSON).
 *
 * @since 0.1.0
 */
import { definitionOf, type MetricName, names } from "./OverlayMetricNames.ts"
import type { Distribution, Family, MovingRates, Sample, Snapshot } from "./OverlayMetricsSnapshot.ts"

/**
 * A value that goes up and down.
 *
 * @category models
 * @since 0.1.0
 */
export interface CounterJson {
  readonly type: "counter"
  readonly count: number
}

/**
 * A count and how fast it grows, per second.
 *
 * @category models
 * @since 0.1.0
 */
export interface MeterJson {
  readonly type: "meter"
  readonly count: number
  readonly event_type: string
  readonly rate_unit: "s"
  readonly mean_rate: number
  readonly "1_min_rate": number
  readonly "5_min_rate": number
  readonly "15_min_rate": number
}

/**
 * A distribution of times in milliseconds, and how fast they come.
 *
 * @category models
 * @since 0.1.0
 */
export interface TimerJson extends Omit<MeterJson, "type"> {
  readonly type: "timer"
  readonly duration_unit: "ms"
  readonly min: number
  readonly max: number
  readonly mean: number
  readonly stddev: number
  readonly sum: number
  readonly median: number
  readonly "75%": number
  readonly "95%": number
  readonly "98%": number
  readonly "99%": number
  readonly "99.9%": number
  readonly "100%": number
}

/**
 * One metric.
 *
 * @category models
 * @since 0.1.0
 */
export type MetricJson = CounterJson | MeterJson | TimerJson

/**
 * What the command answers.
 *
 * @category models
 * @since 0.1.0
 */
export interface MetricsJson {
  readonly metrics: Readonly<Record<string, MetricJson>>
}

/** Core's units are in the singular, and its queue drops of hashes are messages. */
const eventTypes: Readonly<Record<string, string>> = {
  messages: "message",
  bytes: "byte",
  calls: "call",
  errors: "error",
  timeouts: "timeout",
  connections: "connection",
  requests: "item-fetcher",
  hashes: "message",
  transactions: "transaction"
}

const rates = (count: number, [one, five, fifteen]: MovingRates, sinceMillis: number) => ({
  count,
  rate_unit: "s",
  mean_rate: sinceMillis > 0 ? count / sinceMillis * 1000 : 0,
  "1_min_rate": one,
  "5_min_rate": five,
  "15_min_rate": fifteen
} as const)

const none: MovingRates = [0, 0, 0]

const meter = ({ rates: moving = none, value }: Sample, unit: string, sinceMillis: number): MeterJson => ({
  type: "meter",
  event_type: eventTypes[unit] ?? unit,
  ...rates(value, moving, sinceMillis)
})

const timer = (sample: Distribution, sinceMillis: number): TimerJson => {
  const { count, max, min, quantile, standardDeviation, sum } = sample
  const millis = (seconds: number): number => seconds * 1000
  return {
    type: "timer",
    event_type: "calls",
    ...rates(count, sample.rates, sinceMillis),
    duration_unit: "ms",
    min: millis(min),
    max: millis(max),
    mean: count === 0 ? 0 : millis(sum / count),
    stddev: millis(standardDeviation),
    sum: millis(sum),
    median: millis(quantile(0.5)),
    "75%": millis(quantile(0.75)),
    "95%": millis(quantile(0.95)),
    "98%": millis(quantile(0.98)),
    "99%": millis(quantile(0.99)),
    "99.9%": millis(quantile(0.999)),
    "100%": millis(max)
  }
}

/**
 * Series of which core has no metric: it counts received transactions apart, and never sends in their place.
 */
const isOurs = (core: string): boolean => core === "overlay.recv.transaction"

/** Core's name of one series. */
const nameOf = (core: string, labels: Readonly<Record<string, string>>): string =>
  core.replace("X", () => labels["type"] ?? "")

/** Where core has a timer we have several gauges: there is nothing to print in its shape. */
const isPrinted = (name: MetricName): boolean => name !== "stellar_event_loop_delay_seconds"

/**
 * The names core has, in the order of the table.
 *
 * @category constants
 * @since 0.1.0
 */
export const coreNames: ReadonlyArray<string> = names.flatMap((name) => {
  const { core, labels } = definitionOf(name)
  if (core === undefined || !isPrinted(name)) return []
  const values = core.includes("X") ? labels[0]?.values ?? [] : [""]
  return values.map((value) => nameOf(core, { type: value })).filter((name) => !isOurs(name))
})

const renderFamily = (family: Family, sinceMillis: number): Array<[string, MetricJson]> => {
  const { definition: { core, unit }, name } = family
  if (core === undefined || !isPrinted(name)) return []
  const found: Array<[string, MetricJson]> = family.type === "histogram"
    ? family.samples.map((sample) => [nameOf(core, sample.labels), timer(sample, sinceMillis)])
    : family.samples.map((sample) => [
      nameOf(core, sample.labels),
      family.type === "gauge" ? { type: "counter", count: sample.value } : meter(sample, unit, sinceMillis)
    ])
  return found.filter(([name]) => !isOurs(name))
}

/**
 * All of core's metrics, or those that `enable` names: whole names, or domains, which are names up to the first dot.
 *
 * @category rendering
 * @since 0.1.0
 */
export const render = (snapshot: Snapshot, enable?: ReadonlyArray<string>): MetricsJson => {
  const wanted = enable === undefined ? undefined : new Set(enable)
  const isWanted = (name: string): boolean =>
    wanted === undefined || wanted.has(name) || wanted.has(name.slice(0, name.indexOf(".")))
  const all = snapshot.families.flatMap((family) => renderFamily(family, snapshot.sinceMillis))
  return { metrics: Object.fromEntries(all.filter(([name]) => isWanted(name))) }
}
