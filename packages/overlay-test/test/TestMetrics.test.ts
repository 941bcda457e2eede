import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as LoopbackTransport from "../src/LoopbackTransport.ts"
import * as TestMetrics from "../src/TestMetrics.ts"
import * as TestNode from "../src/TestNode.ts"
import * as World from "../src/World.ts"

describe("TestMetrics", () => {
  it.effect("MET-01 G6 what a node counts is on record, in order, and a connection is there as long as it lasts", () =>
    World.run(
      Effect.gen(function*() {
        const recorded = yield* TestMetrics.make()
        const one = yield* TestNode.launch({ name: "one", ip: "10.1.0.1", metrics: recorded.layer })
        const two = yield* TestNode.launch({ name: "two", ip: "10.2.0.1" })
        yield* one.overlay.connect(two.address)
        yield* Effect.sleep("1 second")
        assert.strictEqual(recorded.sessions.size, 1)
        assert.strictEqual(
          recorded.value("stellar_overlay_peers", { direction: "outbound", state: "authenticated" }),
          1
        )
        assert.strictEqual(recorded.observations("stellar_overlay_handshake_seconds", { role: "initiator" }), 1)
        one.overlay.drop(two.overlay.local.handshake.id)
        yield* two.stop
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(recorded.counted.map(({ labels, name }) => [name, ...labels]), [
          ["stellar_overlay_outbound_attempt_total"],
          ["stellar_overlay_outbound_establish_total"],
          ["stellar_overlay_dials_total", "connected"],
          ["stellar_overlay_drops_total", "DroppedByUser"],
          ["stellar_overlay_outbound_drop_total"]
        ])
        assert.deepStrictEqual([recorded.sessions.size, recorded.sessionsSeen()], [0, 1])
        assert.strictEqual(recorded.nonZero()["stellar_overlay_drops_total{reason=DroppedByUser}"], 1)
        assert.notProperty(recorded.nonZero(), "stellar_overlay_drops_total{reason=Shutdown}")
      }).pipe(Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 5 }))),
      { seed: 3 }
    ))
})
