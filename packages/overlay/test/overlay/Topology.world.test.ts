/**
 * stellar-core's topology scenarios, as far as connections go: the graph of authenticated links is what is looked at, where
 * upstream waits for ledgers to close.
 */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect } from "effect"
import { ipOf, linked, reachable } from "./network.ts"

const network = LoopbackTransport.layerNetwork({ latencyMillis: 10 })

const launch = (i: number, outbound: number, inbound: number, known: ReadonlyArray<number>) =>
  TestNode.launch({
    name: `n${i}`,
    ip: ipOf(i),
    config: {
      targetPeerConnections: outbound,
      maxAdditionalPeerConnections: inbound,
      knownPeers: known.map(ipOf),
      floodDemandPeriodMillis: 60_000 // nothing is flooded here
    }
  })

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

/** Everybody knows everybody and starts at once. */
const started = Effect.fnUntraced(function*(count: number, outbound: number, inbound: number) {
  const nodes: Array<TestNode.TestNode> = []
  for (const i of numbers(count)) {
    nodes.push(yield* launch(i, outbound, inbound, numbers(count).filter((other) => other !== i)))
  }
  yield* Effect.sleep("10 seconds")
  return nodes
})

const withinLimits = (nodes: ReadonlyArray<TestNode.TestNode>, outbound: number, inbound: number) => {
  for (const node of nodes) {
    assert.isAtMost(linked(node, "initiator"), outbound)
    assert.isAtMost(linked(node, "acceptor"), inbound)
  }
}

describe("basic connectivity", () => {
  it.effect(
    "TOP-001 with one outbound connection each, 123 nodes fall into parts most of the time",
    () =>
      Effect.gen(function*() {
        const sizes = yield* World.runSeeds(2, () =>
          Effect.provide(
            Effect.map(started(123, 1, 20), (nodes) => {
              withinLimits(nodes, 1, 20)
              return reachable(nodes)
            }),
            network
          ))
        assert.isTrue(sizes.some((size) => size < 123), sizes.join(" "))
      }),
    60_000
  )

  it.effect("TOP-002 two out and two in are enough for 23 nodes", () =>
    World.run(
      Effect.gen(function*() {
        const nodes = yield* started(23, 2, 2)
        yield* Effect.sleep("25 seconds")
        withinLimits(nodes, 2, 2)
        assert.strictEqual(reachable(nodes), 23)
      }).pipe(Effect.provide(network)),
      { seed: 1 }
    ))

  it.effect("TOP-003 two out and four in are enough for 123 nodes", () =>
    World.run(
      Effect.gen(function*() {
        const nodes = yield* started(123, 2, 4)
        yield* Effect.sleep("25 seconds")
        withinLimits(nodes, 2, 4)
        assert.strictEqual(reachable(nodes), 123)
      }).pipe(Effect.provide(network)),
      { seed: 1 }
    ), 60_000)
})

describe("churn", () => {
  it.effect(
    "TOP-004 TOP-005 TOP-006 TOP-007 nodes come one by one, go and come back, and the network stays whole",
    () =>
      World.run(
        Effect.gen(function*() {
          const count = 100
          const draw = (yield* World.World).random("test")
          const nodes: Array<TestNode.TestNode> = []
          const start = (i: number) => launch(i + 1, 2, 4, numbers(i))
          for (let i = 0; i < count; i++) {
            yield* Effect.sleep(draw.nextBelowUnsafe(3001))
            nodes.push(yield* start(i))
          }
          yield* Effect.sleep("15 seconds")
          const isWhole = (title: string, without: ReadonlyArray<number> = []) =>
            assert.strictEqual(
              reachable(nodes.filter((_, i) => !without.includes(i))),
              count - without.length,
              title
            )
          isWhole("TOP-004 TOP-005")
          // TOP-006
          for (let round = 0; round < 2; round++) {
            const i = draw.nextBelowUnsafe(count)
            yield* nodes[i]!.stop
            yield* Effect.sleep("30 seconds")
            isWhole("removed", [i])
            nodes[i] = yield* start(i)
            yield* Effect.sleep("30 seconds")
            isWhole("back")
          }
          // TOP-007: two rounds of upstream's ten
          for (let round = 0; round < 2; round++) {
            yield* Effect.sleep(draw.nextBelowUnsafe(20_001))
            const gone = new Set<number>()
            while (gone.size < 3) gone.add(draw.nextBelowUnsafe(count))
            for (const i of gone) yield* nodes[i]!.kill
            yield* Effect.sleep("1 minute")
            isWhole("three removed", [...gone])
            for (const i of gone) nodes[i] = yield* start(i)
            yield* Effect.sleep("1 minute")
            isWhole("three back")
          }
          withinLimits(nodes, 2, 4)
        }).pipe(Effect.provide(network)),
        { seed: 1 }
      ),
    60_000
  )
})
