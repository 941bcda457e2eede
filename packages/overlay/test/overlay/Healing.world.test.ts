import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect, Exit } from "effect"
import { counts, idle, ipOf, linked, reachable } from "./network.ts"

const COUNT = 50
const launch = (i: number) =>
  TestNode.launch({
    name: `n${i}`,
    ip: ipOf(i),
    config: { knownPeers: i === 1 ? [] : [ipOf(1)], floodDemandPeriodMillis: 60_000 } // nothing is flooded here
  })

describe("a network of fifty nodes", () => {
  it.effect(
    "OVM-19 OVM-02 CON-06 from one address each they reach their targets, heal after a crash of half, and leave nothing",
    () =>
      Effect.gen(function*() {
        const report = yield* World.simulate(
          Effect.gen(function*() {
            const { links } = yield* LoopbackTransport.LoopbackNetwork
            const nodes: Array<TestNode.TestNode> = []
            for (let i = 1; i <= COUNT; i++) nodes.push(yield* launch(i))
            const check = Effect.gen(function*() {
              const outbound = nodes.map((node) => linked(node, "initiator"))
              // The first one has no address to start from and knows only who called it.
              assert.deepStrictEqual(outbound, [0, ...Array<number>(COUNT - 1).fill(8)])
              assert.isAtLeast(linked(nodes[0]!, "acceptor"), COUNT / 2 - 1)
              assert.strictEqual(reachable(nodes), COUNT)
              const sum = outbound.reduce((a, b) => a + b)
              assert.strictEqual(nodes.reduce((n, node) => n + counts(node.overlay.peers).size, 0), 2 * sum)
              assert.strictEqual((yield* links).length, sum)
            })
            yield* Effect.sleep("25 seconds")
            yield* check
            for (let i = 0; i < COUNT; i += 2) yield* nodes[i]!.kill
            yield* Effect.sleep("10 seconds")
            assert.deepStrictEqual(
              nodes.map(({ overlay }) => counts(overlay.peers).size === 0),
              nodes.map((_, i) => i % 2 === 0)
            )
            for (let i = 0; i < COUNT; i += 2) nodes[i] = yield* launch(i + 1)
            yield* Effect.sleep("50 seconds")
            yield* check
            for (const node of nodes) yield* node.stop
            for (const node of nodes) assert.deepStrictEqual(counts(node.overlay.peers), idle)
            yield* Effect.sleep(1)
            assert.strictEqual((yield* links).length, 0)
          }).pipe(Effect.scoped, Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 20 }))),
          { seed: 1 }
        )
        assert.isTrue(Exit.isSuccess(report.exit), String(report.exit))
        assert.deepStrictEqual(report.pending, { tasks: 0, timers: 0 })
      }),
    60_000
  )
})
