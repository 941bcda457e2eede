/** The commands `metrics` and `clearmetrics`. */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect, Layer } from "effect"
import * as OverlayAdmin from "../../src/OverlayAdmin.ts"
import type { MetricsJson } from "../../src/OverlayMetricsJson.ts"

const inWorld = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  World.run(Effect.provide(program, LoopbackTransport.layerNetwork({ latencyMillis: 10 })), { seed: 1 })

const ask = (node: TestNode.TestNode, url: string) =>
  OverlayAdmin.handle(url).pipe(Effect.provideContext(node.services))

const metricsOf = (node: TestNode.TestNode, parameters = "") =>
  Effect.map(ask(node, `metrics${parameters}`), ({ body, contentType }) => {
    assert.strictEqual(contentType, "application/json")
    const { metrics }: MetricsJson = JSON.parse(body)
    return metrics
  })

const launch = (i: number, metrics?: Layer.Layer<never>) =>
  TestNode.launch({ name: `n${i}`, ip: `10.${i}.0.1`, config: { runStandalone: i === 1, listen: true }, metrics })

describe("operator's commands", () => {
  it.effect("MET-01 OVM-14 metrics has core's shapes, whole or in part, and clearmetrics begins anew", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* launch(1)
      const two = yield* launch(2)
      yield* one.overlay.connect(two.address)
      yield* Effect.sleep("8 seconds") // one ping
      const metrics = yield* metricsOf(one)
      const read = metrics["overlay.message.read"]!
      assert.hasAllKeys(read, [
        "type",
        "event_type",
        "count",
        "rate_unit",
        "mean_rate",
        "1_min_rate",
        "5_min_rate",
        "15_min_rate"
      ])
      assert.deepInclude(read, { type: "meter", event_type: "message", rate_unit: "s" })
      assert.deepInclude(metrics["overlay.byte.read"], { event_type: "byte" })
      assert.deepStrictEqual(metrics["overlay.connection.authenticated"], { type: "counter", count: 1 })
      const latency = metrics["overlay.connection.latency"]!
      assert.deepInclude(latency, { type: "timer", count: 1, duration_unit: "ms", rate_unit: "s" })
      assert.hasAnyKeys(latency, ["min", "max", "mean", "stddev", "sum", "median", "75%", "95%", "98%", "99%", "99.9%"])
      // One way takes ten milliseconds.
      if (latency.type === "timer") assert.deepStrictEqual([latency.min, latency.max, latency.median], [20, 20, 20])

      const some = yield* metricsOf(one, "?enable=overlay.message.read,overlay.async.write")
      assert.sameMembers(Object.keys(some), ["overlay.message.read", "overlay.async.write"])
      assert.deepStrictEqual(Object.keys(yield* metricsOf(one, "?enable=scp")), [])
      assert.strictEqual(
        Object.keys(yield* metricsOf(one, "?enable=overlay")).length,
        Object.keys(metrics).length
      )

      const other = yield* ask(one, "clearmetrics?domain=scp")
      assert.strictEqual(other.body, "Cleared scp metrics!\n")
      assert.isAbove((yield* metricsOf(one))["overlay.message.read"]!.count, 0)
      const cleared = yield* ask(one, "clearmetrics")
      assert.strictEqual(cleared.body, "Cleared  metrics!\n")
      const after = yield* metricsOf(one)
      assert.strictEqual(after["overlay.message.read"]!.count, 0)
      assert.strictEqual(after["overlay.connection.authenticated"]!.count, 1)
      // What the peers command shows is the connection's own.
      const peers = yield* ask(one, "peers?compact=false")
      assert.notInclude(peers.body, "\"message_read\": 0")
      yield* Effect.sleep("10 seconds")
      assert.isAbove((yield* metricsOf(one))["overlay.message.read"]!.count, 0)
    })))

  it.effect("MET-01 a node without metrics says nothing", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* launch(1, Layer.empty)
      assert.deepStrictEqual(yield* metricsOf(node), {})
    })))
})
