/** The counting metrics: totals of what has ended, sources of what has not, and histograms. */
import type { DropTag } from "../DropReason.ts"
import { definitionOf, definitions, isHistogram, type MetricName, type NameOf, names } from "../OverlayMetricNames.ts"
import type { MetricSource, OverlayMetricsOptions, Shape } from "../OverlayMetrics.ts"
import type { Distribution, Family, MovingRates, Sample, Snapshot } from "../OverlayMetricsSnapshot.ts"
import type { Histogram } from "../protocol/Histogram.ts"
import type { Session } from "../protocol/Session.ts"
import { PeerLabels } from "./metricsPeers.ts"
import { Rates } from "./metricsRates.ts"
import { placeOf, series, Sums } from "./metricsSeries.ts"
import * as Sources from "./metricsSources.ts"
import { makeHistograms, makeTimers, type NodeTimers } from "./metricsTimers.ts"

const isCounter = series.map(({ definition }) => definition.type === "counter")

/** Core counts these where it drops; here they follow from the reasons of drops, one for one. */
const dropsAs: ReadonlyArray<readonly [name: NameOf<"counter">, reasons: ReadonlyArray<DropTag>]> = [
  ["stellar_overlay_timeout_idle_total", ["IdleTimeout", "HandshakeTimeout"]],
  ["stellar_overlay_timeout_straggler_total", ["Straggling"]],
  ["stellar_overlay_error_read_total", ["FrameTooLarge", "FrameEmpty", "ShortRead", "RemoteClosed", "ReadError"]],
  ["stellar_overlay_error_write_total", ["WriteError"]]
]

const derivedFromDrops = dropsAs.map(([name, reasons]) => ({
  place: placeOf(name),
  from: reasons.map((reason) => placeOf("stellar_overlay_drops_total", [reason]))
}))

const transactionPlace = placeOf("stellar_overlay_recv_seconds", ["transaction"])
const handshakePlaces = ["initiator", "acceptor"].map((role) => ({
  counter: placeOf("stellar_overlay_handshakes_total", [role]),
  histogram: placeOf("stellar_overlay_handshake_seconds", [role])
}))

/** What a source that ends has counted: written, folded and done with in one step, so that one serves all. */
const last = new Sums()

export class Registry implements Shape {
  readonly #millis: () => number
  readonly #histograms = makeHistograms()
  readonly #totals = new Sums()
  /** What had been counted at the last `clear`. */
  #cleared = new Sums()
  #since: number
  readonly #rates: Rates
  readonly #sources = new Set<MetricSource>()
  readonly #sessions = new Set<Session>()
  readonly #peerLabels: PeerLabels
  readonly timers: NodeTimers

  constructor(options: OverlayMetricsOptions, millis: () => number) {
    this.#millis = millis
    this.#since = millis()
    this.#rates = new Rates(series.length, this.#since)
    this.#peerLabels = new PeerLabels(options.topPeers, options.peerLabelAfterMillis)
    this.timers = makeTimers(this.#histograms)
  }

  readonly count = (name: NameOf<"counter">, ...labels: ReadonlyArray<string>): void => {
    this.#totals.add(name, 1, ...labels)
  }

  readonly add = (source: MetricSource): () => void => {
    // A function of its own, so that the same source may be added twice.
    const added: MetricSource = (sums) => source(sums)
    this.#sources.add(added)
    return () => {
      if (!this.#sources.delete(added)) return
      last.values.fill(0)
      added(last)
      for (let i = 0; i < last.values.length; i++) if (isCounter[i]!) this.#totals.values[i]! += last.values[i]!
    }
  }

  readonly addSession = (session: Session): () => void => {
    const remove = this.add(Sources.session(session))
    this.#sessions.add(session)
    return () => {
      this.#sessions.delete(session)
      remove()
    }
  }

  readonly snapshot = (): Snapshot => {
    const now = this.#millis()
    const values = this.#values()
    this.#advance(values, now)
    const peers = this.#peerLabels.samples([...this.#sessions], now)
    const samples = new Map<MetricName, Array<Sample>>()
    const distributions = new Map<MetricName, Array<Distribution>>()
    series.forEach(({ labels, name }, i) => {
      const histogram = this.#histograms[i]
      if (histogram === undefined) {
        append(samples, name, {
          labels,
          value: values[i]!,
          rates: isCounter[i]! ? this.#rates.of(i) : undefined
        })
      } else append(distributions, name, distribution(labels, histogram, this.#rates.of(i)))
    })
    const families = names.map((name): Family => {
      const definition = definitionOf(name)
      return isHistogram(name)
        ? { type: "histogram", name, definition, samples: distributions.get(name) ?? [] }
        : { type: definitions[name].type, name, definition, samples: samples.get(name) ?? peers.get(name) ?? [] }
    })
    return { families, sinceMillis: now - this.#since }
  }

  readonly clear = (): void => {
    const sum = this.#sum()
    for (let i = 0; i < sum.values.length; i++) if (!isCounter[i]!) sum.values[i] = 0
    this.#cleared = sum
    for (const histogram of this.#histograms) histogram?.clear()
    this.#since = this.#millis()
    this.#rates.clear(this.#since)
  }

  readonly tick = (): void => {
    const now = this.#millis()
    if (this.#rates.isDue(now)) this.#advance(this.#values(), now)
  }

  #advance(values: Float64Array, now: number): void {
    if (this.#rates.isDue(now)) this.#rates.tick((place) => this.#histograms[place]?.count ?? values[place]!, now)
  }

  /** Of counters since the last `clear`, of gauges now. */
  #values(): Float64Array {
    const { values } = this.#sum()
    for (let i = 0; i < values.length; i++) values[i]! -= this.#cleared.values[i]!
    this.#derive(values)
    return values
  }

  #sum(): Sums {
    const sums = new Sums()
    sums.values.set(this.#totals.values)
    for (const source of this.#sources) source(sums)
    return sums
  }

  /** What follows from other values. */
  #derive(values: Float64Array): void {
    for (const { from, place } of derivedFromDrops) for (const drop of from) values[place]! += values[drop]!
    for (const { counter, histogram } of handshakePlaces) values[counter] = this.#histograms[histogram]!.count
    const transactions = this.#histograms[transactionPlace]!
    values[placeOf("stellar_overlay_recv_transaction_count")] = transactions.count
    values[placeOf("stellar_overlay_recv_transaction_sum")] = Math.round(transactions.sum * 1e6)
    values[placeOf("stellar_overlay_recv_transaction_max")] = Math.round(transactions.max * 1e6)
  }
}

const append = <A>(lists: Map<MetricName, Array<A>>, name: MetricName, item: A): void => {
  const list = lists.get(name)
  if (list === undefined) lists.set(name, [item])
  else list.push(item)
}

const distribution = (
  labels: Readonly<Record<string, string>>,
  histogram: Histogram,
  rates: MovingRates
): Distribution => {
  const { count, max, min, sum, sumOfSquares } = histogram
  let below = 0
  const mean = count === 0 ? 0 : sum / count
  const copy = histogram.copy()
  return {
    labels,
    buckets: histogram.bounds.map((_, i) => below += histogram.buckets[i]!),
    count,
    sum,
    min,
    max,
    standardDeviation: count < 2 ? 0 : Math.sqrt(Math.max(0, (sumOfSquares - count * mean * mean) / (count - 1))),
    rates,
    quantile: (q) => copy.quantile(q)
  }
}
