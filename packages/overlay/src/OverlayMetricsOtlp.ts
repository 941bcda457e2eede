/**
 * Metrics over OTLP, to an OpenTelemetry collector or whoever understands it.
 *
 * The series of `OverlayMetrics` appear in Effect's own metric registry, read when the registry is: `bridge` does that, and
 * whatever a program does with its metrics includes the overlay's then. `layer` adds Effect's OTLP exporter to it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type { Flusher } from "effect/observability/OtlpExporter"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import type { OtlpSerialization } from "effect/observability/OtlpSerialization"
import type * as Scope from "effect/Scope"
import type { MetricDefinition, MetricName } from "./OverlayMetricNames.ts"
import { OverlayMetrics } from "./OverlayMetrics.ts"
import type { Distribution, Sample, Snapshot } from "./OverlayMetricsSnapshot.ts"

type Series =
  & {
    readonly name: MetricName
    readonly definition: MetricDefinition
  }
  & ({ readonly kind: "counter" | "gauge"; readonly sample: Sample } | {
    readonly kind: "histogram"
    readonly sample: Distribution
  })

const keyOf = (name: string, labels: Readonly<Record<string, string>>): string =>
  [name, ...Object.values(labels)].join(" ")

/** Every series by a key of its own. */
const indexOf = ({ families }: Snapshot): Map<string, Series> => {
  const index = new Map<string, Series>()
  for (const family of families) {
    const { definition, name } = family
    if (family.type === "histogram") {
      for (const sample of family.samples) {
        index.set(keyOf(name, sample.labels), { kind: "histogram", name, definition, sample })
      }
    } else {
      for (const sample of family.samples) {
        index.set(keyOf(name, sample.labels), { kind: family.type, name, definition, sample })
      }
    }
  }
  return index
}

const ignore = () => undefined

/**
 * Puts the overlay's metrics into the metric registry at hand until the scope closes. They are read together: with the
 * first of them, once for each look at the registry.
 *
 * @category constructors
 * @since 0.1.0
 */
export const bridge: Effect.Effect<void, never, Scope.Scope> = Effect.gen(function*() {
  const metrics = yield* OverlayMetrics
  const context = yield* Effect.context<never>()
  const registered = new Map<string, Metric.Registration>()
  let current = new Map<string, Series>()
  let first: string | undefined

  const refresh = (): void => {
    current = indexOf(metrics.snapshot())
    for (const [key, registration] of registered) {
      if (current.has(key)) continue
      registration.remove()
      registered.delete(key)
    }
    for (const [key, series] of current) {
      if (!registered.has(key)) registered.set(key, register(key, series))
    }
  }

  const register = (key: string, { definition, kind, name, sample }: Series): Metric.Registration => {
    first ??= key
    const read = (): Series | undefined => {
      if (key === first) refresh()
      return current.get(key)
    }
    const value = (): number => {
      const series = read()
      return series === undefined || series.kind === "histogram" ? 0 : series.sample.value
    }
    const options = { description: definition.help, attributes: { ...sample.labels, unit: definition.unit } }
    switch (kind) {
      case "counter":
        return Metric.registerUnsafe(Metric.counter(name, { ...options, incremental: true }), context, {
          get: () => ({ count: value(), incremental: true }),
          update: ignore,
          modify: ignore
        })
      case "gauge":
        return Metric.registerUnsafe(Metric.gauge(name, options), context, {
          get: () => ({ value: value() }),
          update: ignore,
          modify: ignore
        })
      case "histogram": {
        const { bounds } = definition
        return Metric.registerUnsafe(Metric.histogram(name, { ...options, boundaries: bounds }), context, {
          get: () => {
            const series = read()
            const { buckets, count, max, min, sum } = series?.kind === "histogram" ? series.sample : sample
            return { buckets: bounds.map((bound, i): [number, number] => [bound, buckets[i]!]), count, min, max, sum }
          },
          update: ignore,
          modify: ignore
        })
      }
    }
  }

  yield* Effect.acquireRelease(
    Effect.sync(refresh),
    () =>
      Effect.sync(() => {
        for (const registration of registered.values()) registration.remove()
      })
  )
})

/**
 * Where and how often to export; see Effect's `OtlpMetrics`.
 *
 * @category models
 * @since 0.1.0
 */
export type OtlpOptions = Parameters<typeof OtlpMetrics.layer>[0]

/**
 * Exports the metrics of the `OverlayMetrics` at hand, and whatever else is in the metric registry at hand. Give it the same
 * metrics as the node: build it with the node's layers.
 *
 * **Example** (A node whose metrics go to a collector)
 *
 * ```ts
 * import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
 * import * as OverlayMetricsOtlp from "@stellar-overlay/overlay/OverlayMetricsOtlp"
 * import { Layer } from "effect"
 * import * as FetchHttpClient from "effect/http/FetchHttpClient"
 * import * as OtlpSerialization from "effect/observability/OtlpSerialization"
 *
 * export const node = OverlayMetricsOtlp.layer({ url: "http://localhost:4318/v1/metrics" }).pipe(
 *   Layer.provide([FetchHttpClient.layer, OtlpSerialization.layerJson]),
 *   Layer.provideMerge(NodeOverlay.layerNode({ network: "testnet" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: OtlpOptions): Layer.Layer<Flusher, never, HttpClient | OtlpSerialization> =>
  Layer.provideMerge(OtlpMetrics.layer(options), Layer.effectDiscard(bridge))
