import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { Context, Effect } from "effect"
import { Overlay } from "../../src/Overlay.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"

const node = (name: string, ip: string) =>
  TestNode.start({ name, ip, config: { listenHost: ip, runStandalone: false } })

/** Two nodes dial each other at moments that differ by less than a handshake; gives the links of each afterwards. */
const crossed = (seed: number | string) =>
  Effect.gen(function*() {
    const world = yield* World.World
    const draw = world.random("test")
    const nodes = [yield* node(`a${seed}`, "10.1.0.1"), yield* node(`b${seed}`, "10.2.0.1")] as const
    const [a, b] = nodes.map((context) => Context.get(context, Overlay)) as [Overlay["Service"], Overlay["Service"]]
    const dial = (overlay: Overlay["Service"], ip: string) =>
      Effect.sleep(draw.nextDoubleUnsafe() * 40).pipe(
        Effect.andThen(Effect.sync(() => overlay.peers.dial(PeerAddress.make(ip, 11625), { force: true })))
      )
    yield* Effect.all([dial(a, "10.2.0.1"), dial(b, "10.1.0.1")], { concurrency: 2 })
    yield* Effect.sleep("1 second")
    const links = [a, b].map((overlay) => overlay.peers.registry.authenticatedCount())
    const pending = [a, b].map((overlay) => overlay.peers.registry.size)
    const first = a.peers.authenticated()[0]?.session
    yield* Effect.sleep("6 seconds") // two ticks, which find nobody to dial
    return { links, pending, stable: first !== undefined && a.peers.authenticated()[0]?.session === first }
  }).pipe(Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 10, segmentation: seed })))

describe("mutual dials", () => {
  it.effect(
    "HSK-10 H11 1,000 crossed dials each leave exactly one link, at once and for good",
    () =>
      Effect.gen(function*() {
        const results = yield* World.runSeeds(1000, crossed)
        assert.strictEqual(results.length, 1000)
        for (const { links, pending, stable } of results) {
          assert.deepStrictEqual(links, [1, 1])
          assert.deepStrictEqual(pending, [1, 1])
          assert.isTrue(stable)
        }
      }),
    120_000
  )
})
