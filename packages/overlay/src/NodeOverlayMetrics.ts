/**
 * Metrics of a node on Node.js: all of `OverlayMetrics`, and the delay of the event loop, which is what everything else on
 * this thread waits for.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks"
import * as OverlayMetrics from "./OverlayMetrics.ts"

/**
 * How often the event loop is looked at, in milliseconds.
 *
 * @category constants
 * @since 0.1.0
 */
export const RESOLUTION_MILLIS = 20

/** Node measures from one look to the next: without any delay that is the resolution. */
const delaySeconds = (nanos: number): number => Math.max(0, nanos / 1e9 - RESOLUTION_MILLIS / 1000)

const read = (histogram: IntervalHistogram): OverlayMetrics.MetricSource => (sums) => {
  if (histogram.count === 0) return
  const name = "stellar_event_loop_delay_seconds"
  sums.add(name, delaySeconds(histogram.percentile(50)), "50")
  sums.add(name, delaySeconds(histogram.percentile(99)), "99")
  sums.add(name, delaySeconds(histogram.max), "100")
  histogram.reset()
}

/**
 * Adds the delay of the event loop to the metrics at hand, as quantiles over the time since they were read last, until the
 * scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const measureEventLoop: Effect.Effect<void, never, Scope.Scope> = Effect.flatMap(
  Effect.acquireRelease(
    Effect.sync(() => {
      const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MILLIS })
      histogram.enable()
      return histogram
    }),
    (histogram) => Effect.sync(() => histogram.disable())
  ),
  (histogram) => OverlayMetrics.source(read(histogram))
)

/**
 * Turns metrics on, the delay of the event loop included.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never> = Layer.provideMerge(
  Layer.effectDiscard(measureEventLoop),
  OverlayMetrics.layer
)
