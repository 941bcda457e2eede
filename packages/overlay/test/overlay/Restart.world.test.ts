/** Five nodes that end and start again with what they knew: all call each other, so every dial crosses another. */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { Clock, Context, Effect, Exit, Layer, Scope } from "effect"
import { PeerManager } from "../../src/PeerManager.ts"
import { PeerStore } from "../../src/PeerStore.ts"
import { addressOf, ipOf, linked } from "./network.ts"

const COUNT = 5

/** A network's nodes for a while; each knows the first, or only what its store says. */
const run = <A, E>(
  stores: ReadonlyArray<PeerStore["Service"]>,
  knowsFirst: boolean,
  story: (nodes: ReadonlyArray<TestNode.TestNode>) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const nodes = yield* Effect.forEach(stores, (store, i) =>
      Scope.provide(
        TestNode.launch({
          name: `n${i}`,
          ip: ipOf(i + 1),
          store: Layer.succeed(PeerStore, store),
          config: { knownPeers: knowsFirst && i > 0 ? [addressOf(1).key] : [] }
        }),
        scope
      ))
    return yield* Effect.ensuring(story(nodes), Scope.close(scope, Exit.void))
  })

const managerOf = ({ services }: TestNode.TestNode) => Context.get(services, PeerManager)

/** Calls everybody it knows, whatever the back-off says, or as it allows. */
const call = (nodes: ReadonlyArray<TestNode.TestNode>, force: boolean) =>
  Effect.sync(() => {
    for (const node of nodes) {
      for (const { address } of managerOf(node).all()) node.overlay.peers.dial(address, { force })
    }
  })

const stores = Effect.forEach(
  Array.from({ length: COUNT }),
  () => Effect.map(Layer.build(PeerStore.layerMemory), (context) => Context.get(context, PeerStore))
)

const missing = (nodes: ReadonlyArray<TestNode.TestNode>): Array<readonly [TestNode.TestNode, TestNode.TestNode]> =>
  nodes.flatMap((a, i) =>
    nodes.slice(i + 1).flatMap((b) => a.overlay.peers.get(b.overlay.local.handshake.id) === undefined ? [[a, b]] : [])
  )

const simulate = <A, E>(
  seed: number,
  program: Effect.Effect<A, E, World.World | LoopbackTransport.LoopbackNetwork | Scope.Scope>
) =>
  World.run(
    Effect.scoped(program).pipe(
      Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 1 + seed % 30, segmentation: seed }))
    ),
    { seed }
  )

/** Long enough to know everybody, short enough that back-off lasts beyond it. */
const firstLife = (kept: ReadonlyArray<PeerStore["Service"]>) =>
  Effect.andThen(run(kept, true, () => Effect.sleep("7 seconds")), Effect.sleep(500))

describe("nodes that start again", () => {
  it.effect("HSK-10 H11 PMG-01 when all call all at once, each pair has one link within two seconds, 20 seeds", () =>
    Effect.gen(function*() {
      for (let seed = 0; seed < 20; seed++) {
        yield* simulate(
          seed,
          Effect.gen(function*() {
            const kept = yield* stores
            yield* firstLife(kept)
            yield* run(kept, false, (nodes) =>
              Effect.gen(function*() {
                yield* call(nodes, true)
                yield* Effect.sleep("2 seconds")
                assert.deepStrictEqual(missing(nodes), [], `seed ${seed}`)
                for (const node of nodes) assert.strictEqual(linked(node), COUNT - 1)
                assert.deepStrictEqual(
                  nodes.map(({ overlay }) => overlay.peers.registry.size),
                  nodes.map(() => COUNT - 1)
                )
              }))
          })
        )
      }
    }))

  it.effect("PMG-01 OVM-20 by themselves they wait for their back-off, and a pair that stays apart has three others each", () =>
    Effect.gen(function*() {
      let apart = 0
      for (let seed = 0; seed < 10; seed++) {
        yield* simulate(
          seed,
          Effect.gen(function*() {
            const kept = yield* stores
            yield* firstLife(kept)
            yield* run(kept, false, (nodes) =>
              Effect.gen(function*() {
                const now = yield* Clock.currentTimeMillis
                const waits = (a: TestNode.TestNode, b: TestNode.TestNode): boolean => {
                  const row = managerOf(a).get(b.address)
                  return row === undefined || row.nextAttemptMillis > now
                }
                const waiting = new Set(
                  nodes.flatMap((a) => nodes.flatMap((b) => waits(a, b) ? [`${a.name} ${b.name}`] : []))
                )
                yield* call(nodes, false)
                yield* Effect.sleep("1 second")
                for (const [a, b] of missing(nodes)) {
                  assert.isTrue(
                    waiting.has(`${a.name} ${b.name}`) && waiting.has(`${b.name} ${a.name}`),
                    `seed ${seed}`
                  )
                }
                yield* Effect.sleep("60 seconds")
                // Of two that nobody calls none looks for a fourth peer (TARGET_WITHOUT_INBOUND).
                for (const pair of missing(nodes)) {
                  apart++
                  for (const node of pair) {
                    assert.deepStrictEqual(
                      [linked(node, "initiator"), linked(node, "acceptor")],
                      [3, 0],
                      `seed ${seed}`
                    )
                  }
                }
              }))
          })
        )
      }
      assert.isAtMost(apart, 10)
    }))
})
