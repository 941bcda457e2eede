/** Metrics in Effect's registry, and what the exporter posts. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, Scope } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { OtlpSerialization } from "effect/observability"
import { TestClock } from "effect/testing"
import * as OverlayMetrics from "../../src/OverlayMetrics.ts"
import * as OverlayMetricsOtlp from "../../src/OverlayMetricsOtlp.ts"

interface Posted {
  readonly resourceMetrics: ReadonlyArray<{
    readonly scopeMetrics: ReadonlyArray<{
      readonly metrics: ReadonlyArray<{
        readonly name: string
        readonly unit: string
        readonly sum?: { readonly isMonotonic: boolean; readonly dataPoints: ReadonlyArray<Point> }
        readonly gauge?: { readonly dataPoints: ReadonlyArray<Point> }
        readonly histogram?: { readonly dataPoints: ReadonlyArray<Point> }
      }>
    }>
  }>
}

interface Point {
  readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: { readonly stringValue: string } }>
  readonly asDouble?: number
  readonly count?: number
  readonly sum?: number
  readonly bucketCounts?: ReadonlyArray<number>
  readonly explicitBounds?: ReadonlyArray<number>
}

/** A collector that keeps what is posted. */
const collector = (posted: Array<Posted>) =>
  Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request) =>
      Effect.sync(() => {
        const { body } = request
        if (body._tag === "Uint8Array") posted.push(JSON.parse(new TextDecoder().decode(body.body)))
        return HttpClientResponse.fromWeb(request, new Response("{}"))
      })
    )
  )

const attribute = ({ attributes }: Point, key: string): string | undefined =>
  attributes.find((one) => one.key === key)?.value.stringValue

describe("OTLP", () => {
  it.effect("MET-02 every series is posted, as sum, gauge or histogram, with the values of the moment", () =>
    Effect.gen(function*() {
      const posted: Array<Posted> = []
      const metrics = yield* OverlayMetrics.make()
      let bans = 3
      metrics.add((sums) => sums.add("stellar_overlay_bans", bans))
      metrics.count("stellar_overlay_drops_total", "Straggling")
      metrics.timers!.latency.observeMillis(7)
      const layer = OverlayMetricsOtlp.layer({
        url: "http://collector/v1/metrics",
        exportInterval: "10 seconds",
        resource: { serviceName: "test" }
      }).pipe(
        Layer.provide([collector(posted), OtlpSerialization.layerJson]),
        Layer.provide(Layer.succeed(OverlayMetrics.OverlayMetrics, metrics)),
        Layer.provide(Layer.succeed(Metric.MetricRegistry, new Map()))
      )
      const scope = yield* Scope.make()
      yield* Scope.provide(Layer.build(layer), scope)
      yield* TestClock.adjust("10 seconds")
      bans = 4
      metrics.count("stellar_overlay_drops_total", "Straggling")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(posted.length, 2)
      const find = (i: number, name: string) =>
        posted[i]!.resourceMetrics[0]!.scopeMetrics[0]!.metrics.find((metric) => metric.name === name)!
      const drops = (i: number) =>
        find(i, "stellar_overlay_drops_total").sum!.dataPoints.find((point) =>
          attribute(point, "reason") === "Straggling"
        )!.asDouble
      assert.deepStrictEqual([drops(0), drops(1)], [1, 2])
      const gauge = (i: number) => find(i, "stellar_overlay_bans").gauge!.dataPoints[0]!.asDouble
      assert.deepStrictEqual([gauge(0), gauge(1)], [3, 4])
      const latency = find(1, "stellar_overlay_connection_latency_seconds")
      assert.strictEqual(latency.unit, "s")
      const [point] = latency.histogram!.dataPoints
      assert.deepStrictEqual([point!.count, point!.sum], [1, 0.007])
      assert.deepStrictEqual(point!.bucketCounts?.slice(0, 3), [0, 1, 0])
      assert.deepStrictEqual(point!.explicitBounds?.slice(0, 3), [0.005, 0.01, 0.025])
      // Nothing of a snapshot is missing.
      const names = metrics.snapshot().families.map(({ name }) => name)
      const got = posted[1]!.resourceMetrics[0]!.scopeMetrics[0]!.metrics.map(({ name }) => name)
      assert.sameMembers([...got], [...names])
    }))

  it.effect("MET-02 the bridge reads once for a look at the registry, and leaves nothing in it when it ends", () =>
    Effect.gen(function*() {
      const metrics = yield* OverlayMetrics.make()
      const registry = new Map()
      let reads = 0
      metrics.add((sums) => {
        reads++
        sums.add("stellar_overlay_bans", reads)
      })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* OverlayMetricsOtlp.bridge
        reads = 0
        const all = yield* Metric.snapshot
        assert.strictEqual(reads, 1)
        assert.strictEqual(
          all.length,
          metrics.snapshot().families.reduce((sum, { samples }) => sum + samples.length, 0)
        )
        const bans = all.find(({ id }) => id === "stellar_overlay_bans")
        assert.deepStrictEqual(bans?.state, { value: 1 })
      })).pipe(
        Effect.provideService(OverlayMetrics.OverlayMetrics, metrics),
        Effect.provideService(Metric.MetricRegistry, registry)
      )
      assert.strictEqual(registry.size, 0)
    }))
})
