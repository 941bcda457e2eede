/**
 * What a node counts, measures and holds, for whoever watches it.
 *
 * Connections count in numbers of their own, one increment per message; the sums are made when somebody asks
 * (`snapshot`), and a connection that ends leaves its numbers behind, so that nothing is lost or counted twice. Times go
 * into histograms that all connections share. Without a layer nothing is summed and no time is recorded.
 *
 * The names are in `OverlayMetricNames`. Renderers: `OverlayMetricsPrometheus`, `OverlayMetricsJson` (stellar-core's
 * `metrics` command), `OverlayMetricsOtlp`.
 *
 * Implements protocol.md section 13 (stellar-core: `OverlayMetrics.cpp`).
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Registry } from "./internal/metricsRegistry.ts"
import type { Sums } from "./internal/metricsSeries.ts"
import type { NodeTimers } from "./internal/metricsTimers.ts"
import type { NameOf } from "./OverlayMetricNames.ts"
import { empty, type Snapshot } from "./OverlayMetricsSnapshot.ts"
import type { Session } from "./protocol/Session.ts"

/**
 * What may be chosen.
 *
 * @category models
 * @since 0.1.0
 */
export interface OverlayMetricsOptions {
  /** Peers that per-peer metrics name at a time; the others are summed up as `other`. */
  readonly topPeers: number
  /** How long a peer must have been connected to be named, so that names are not for the asking. */
  readonly peerLabelAfterMillis: number
}

/**
 * Ten peers, of those that are connected for a minute.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: OverlayMetricsOptions = { topPeers: 10, peerLabelAfterMillis: 60_000 }

/**
 * Adds what some part of a program has counted and holds now to the sums. It is called when metrics are read, waits for
 * nothing, and calls `add(name, value, ...labels)`, with the values of labels in the order of the table of names.
 *
 * @category models
 * @since 0.1.0
 */
export type MetricSource = (sums: Sums) => void

/**
 * What the parts of a node call, and what readers ask.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shape {
  /** Where times are recorded; undefined when nobody wants them. */
  readonly timers: NodeTimers | undefined
  /** Counts something that happens rarely; what happens per message is counted where it happens. */
  readonly count: (name: NameOf<"counter">, ...labels: ReadonlyArray<string>) => void
  /** Adds a source. The result takes it away, once; what it had counted by then stays counted. */
  readonly add: (source: MetricSource) => () => void
  /** The same for a connection. */
  readonly addSession: (session: Session) => () => void
  /** Everything as it is now. */
  readonly snapshot: () => Snapshot
  /** Brings moving rates up to date. Reading does it too; an `Overlay` does it every few seconds. */
  readonly tick: () => void
  /** Begins to count anew, as stellar-core's `clearmetrics` does. What the `peers` command shows is not touched. */
  readonly clear: () => void
}

const nothing = (): void => undefined

/**
 * Metrics that nobody reads.
 *
 * @category constants
 * @since 0.1.0
 */
export const noop: Shape = {
  timers: undefined,
  count: nothing,
  add: () => nothing,
  addSession: () => nothing,
  snapshot: () => empty,
  tick: nothing,
  clear: nothing
}

/**
 * The metrics of a node. The default counts nothing.
 *
 * @category services
 * @since 0.1.0
 */
export const OverlayMetrics = Context.Reference<Shape>("@stellar-overlay/overlay/OverlayMetrics", {
  defaultValue: () => noop
})

/**
 * Metrics that count, for one node.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Partial<OverlayMetricsOptions> = {}): Effect.Effect<Shape> =>
  Effect.map(Clock.Clock, (clock) => {
    const millis = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    return new Registry({ ...defaults, ...options }, millis)
  })

/**
 * Turns metrics on, for one node: a layer for several counts them together.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never> = Layer.effect(OverlayMetrics, Effect.suspend(() => make()))

/**
 * As `layer`, with options.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (options: Partial<OverlayMetricsOptions>): Layer.Layer<never> =>
  Layer.effect(OverlayMetrics, make(options))

/**
 * Adds a source until the scope closes.
 *
 * @category accessors
 * @since 0.1.0
 */
export const source = (self: MetricSource): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(
    OverlayMetrics,
    ({ add }) => Effect.acquireRelease(Effect.sync(() => add(self)), (remove) => Effect.sync(remove))
  )
