/** The rows of FloodTests.cpp over loopback, in a world: their time limit is 60 s of virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { TestCrypto } from "@stellar-overlay/overlay-test/TestCrypto"
import { Effect, Layer } from "effect"
import * as OverlayConfig from "../../src/OverlayConfig.ts"
import {
  connectAll,
  copies,
  coreAndOuter,
  type Edge,
  fullGraph,
  type InWorld,
  inWorld,
  startAll,
  Tap
} from "./network.ts"
import { floodScp, floodTransactions, makeRelay } from "./stories.ts"

const periods = { floodTxPeriodMillis: 10, floodDemandPeriodMillis: 10 }

const within60s = <A>(story: InWorld<A>): InWorld<A> => Effect.timeout(story, "60 seconds")

const transactions = (count: number, edges: ReadonlyArray<Edge>) => {
  const tap = new Tap()
  return inWorld(
    count,
    { tap, latencyMillis: 5 },
    Effect.gen(function*() {
      const nodes = yield* startAll(count, () => ({ config: periods }))
      yield* connectAll(nodes, edges)
      yield* within60s(floodTransactions(nodes))
      yield* Effect.sleep("5 seconds")
      assert.strictEqual(tap.of("Transaction").length, 20 * (count - 1))
      assert.isTrue([...copies(tap.sent, "Transaction").values()].every((times) => times === 1))
    })
  )
}

const scp = (count: number, edges: ReadonlyArray<Edge>) => {
  const tap = new Tap()
  return inWorld(
    count,
    { tap, latencyMillis: 5 },
    Effect.gen(function*() {
      const relays = yield* Effect.forEach(Array.from({ length: count }, (_, i) => i), (i) =>
        makeRelay(
          Layer.merge(
            TestCrypto.layer(`host ${i}`),
            Layer.orDie(OverlayConfig.OverlayConfig.layer(OverlayConfig.standalone))
          )
        ))
      const nodes = yield* startAll(count, (i) => ({ layer: relays[i]!.layer }))
      yield* connectAll(nodes, edges)
      yield* within60s(floodScp(nodes.map((node, i) => ({ relay: relays[i]!, broadcast: node.overlay.broadcast }))))
      yield* Effect.sleep("5 seconds")
      assert.isTrue([...copies(tap.sent, "ScpMessage").values()].every((times) => times === 1))
      // One of each set for each node that has to fetch it.
      assert.strictEqual(
        tap.of("ScpQuorumSet").length,
        count - new Set([...Array(20).keys()].map((n) => n % count)).size
      )
      assert.strictEqual(tap.of("GeneralizedTxSet").length, 20 * (count - 1))
    })
  )
}

describe("flooding over loopback", () => {
  it.effect("FLD-001 transactions among four", () => transactions(4, fullGraph(4)))

  it.effect("FLD-006 transactions among five and ten outer nodes", () => transactions(15, coreAndOuter(5, 10)))

  it.effect("FLD-008 PEE-11 FET-09 SCP messages among four, with what they name", () => scp(4, fullGraph(4)))

  it.effect("FLD-010 SCP messages among five and ten outer nodes", () => scp(15, coreAndOuter(5, 10)))
})
