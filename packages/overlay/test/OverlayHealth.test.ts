/** The verdict on a node, from its facts and from a node that lives. */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect } from "effect"
import * as OverlayHealth from "../src/OverlayHealth.ts"
import * as OverlayHealthMonitor from "../src/OverlayHealthMonitor.ts"
import { hostWith } from "./overlay/network.ts"

const well: OverlayHealth.HealthFacts = {
  uptimeMillis: 60_000,
  isShuttingDown: false,
  shouldListen: true,
  isListening: true,
  authenticated: 3,
  outOfSyncMillis: 0,
  eventLoopDelayMillis: 2,
  stores: [{ store: "peers", failing: undefined, pending: 0 }]
}

const verdict = (
  facts: Partial<OverlayHealth.HealthFacts>,
  thresholds: Partial<OverlayHealth.HealthThresholds> = {}
) => {
  const { isHealthy, isReady, reasons } = OverlayHealth.check({ ...well, ...facts }, {
    ...OverlayHealth.defaults,
    ...thresholds
  })
  return [isHealthy, isReady, reasons.map(({ _tag }) => _tag)] as const
}

describe("health", () => {
  it("O7 each fact has its reason, and each reason stands against what it should", () => {
    assert.deepStrictEqual(verdict({}), [true, true, []])
    assert.deepStrictEqual(verdict({ isShuttingDown: true, isListening: false }), [true, false, ["ShuttingDown"]])
    assert.deepStrictEqual(verdict({ isListening: false }), [false, false, ["NotListening"]])
    assert.deepStrictEqual(verdict({ isListening: false, shouldListen: false }), [true, true, []])
    assert.deepStrictEqual(verdict({ authenticated: 0 }), [true, false, ["TooFewPeers"]])
    assert.deepStrictEqual(verdict({ authenticated: 0 }, { minPeers: 0 }), [true, true, []])
    assert.deepStrictEqual(verdict({ outOfSyncMillis: 60_000 }), [true, true, []])
    assert.deepStrictEqual(verdict({ outOfSyncMillis: 60_001 }), [true, false, ["OutOfSync"]])
    assert.deepStrictEqual(verdict({ outOfSyncMillis: 1e9 }, { maxOutOfSyncMillis: Infinity }), [true, true, []])
    assert.deepStrictEqual(verdict({ eventLoopDelayMillis: 1001 }), [true, false, ["EventLoopSlow"]])
    assert.deepStrictEqual(verdict({ eventLoopDelayMillis: 10_001 }), [false, false, ["EventLoopStalled"]])
    const stores = [{ store: "bans", failing: "Full", pending: 7 }] as const
    assert.deepStrictEqual(verdict({ stores }), [true, true, ["StoreFailing"]])
    assert.deepStrictEqual(verdict({ stores }, { storeFailureIsNotReady: true }), [true, false, ["StoreFailing"]])
    const json = OverlayHealth.toJson(OverlayHealth.check({ ...well, stores, authenticated: 0 }))
    assert.deepStrictEqual(json, {
      status: "not ready",
      healthy: true,
      ready: false,
      reasons: [
        {
          reason: "TooFewPeers",
          against: "readiness",
          text: "0 authenticated peers, wanted are 1",
          authenticated: 0,
          minPeers: 1
        },
        {
          reason: "StoreFailing",
          against: "nothing",
          text: "the database of bans fails (Full), 7 rows are in memory only",
          store: "bans",
          error: "Full",
          pending: 7
        }
      ]
    })
  })

  it.effect("OVM-01 a node becomes ready with its first peer, unready a minute after it lost sync, and again when it goes", () =>
    World.run(
      Effect.gen(function*() {
        let isTracking = true
        const one = yield* TestNode.launch({ name: "one", ip: "10.1.0.1", host: hostWith(() => ({ isTracking })) })
        const monitor = yield* Effect.provideContext(OverlayHealthMonitor.make(), one.services)
        const tags = () => monitor.check().reasons.map(({ _tag }) => _tag)
        assert.deepStrictEqual(tags(), ["TooFewPeers"])
        const two = yield* TestNode.launch({ name: "two", ip: "10.2.0.1" })
        yield* two.overlay.connect(one.address)
        yield* Effect.sleep(100)
        assert.deepStrictEqual(monitor.check(), { isHealthy: true, isReady: true, reasons: [] })
        isTracking = false
        yield* Effect.sleep("59 seconds")
        assert.deepStrictEqual(tags(), [])
        yield* Effect.sleep("2 seconds")
        assert.deepStrictEqual(tags(), ["OutOfSync"])
        isTracking = true
        assert.deepStrictEqual(tags(), [])
        yield* two.stop
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(tags(), ["TooFewPeers"])
        yield* one.stop
        assert.isFalse(one.overlay.isListening())
        monitor.shuttingDown()
        assert.deepStrictEqual(tags(), ["ShuttingDown", "TooFewPeers"])
      }).pipe(Effect.provide(LoopbackTransport.layerNetwork())),
      { seed: 1 }
    ))
})
