/** Following a network as a light client does, with peers that lie low, lag, or speak another version. */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import { TestCrypto } from "@stellar-overlay/overlay-test/TestCrypto"
import { Effect, Layer, Stream } from "effect"
import { follow, type FollowOptions } from "../../src/Follow.ts"
import { LocalNode } from "../../src/LocalNode.ts"
import { NodeIdentity } from "../../src/NodeIdentity.ts"
import { OverlayConfig, standalone, type Values } from "../../src/OverlayConfig.ts"
import type { PeerDropped } from "../../src/OverlayError.ts"
import { scpMessage } from "./messages.ts"
import { dropsOf, inWorld, start, startAll } from "./network.ts"

const client = (config: Partial<Values> = {}) =>
  LocalNode.layer.pipe(
    Layer.provide(NodeIdentity.layerRandom),
    Layer.provide([OverlayConfig.layer({ ...standalone, ...config }), TestCrypto.layer("client")]),
    Layer.orDie,
    Layer.provideMerge(LoopbackTransport.layerAt("10.99.0.1"))
  )

/** The slots of the SCP messages that a client gets, as it gets them. */
const slots = Effect.fnUntraced(function*(options: FollowOptions<"ScpMessage">, config?: Partial<Values>) {
  const got: Array<number> = []
  const running = yield* Effect.forkScoped(
    Effect.provide(
      Stream.runForEach(follow(options), ({ message }) => Effect.sync(() => got.push(message.slotNumber ?? 0))),
      client(config)
    )
  )
  yield* Effect.sleep("3 seconds")
  return { got, running }
})

const peersOf = (
  nodes: ReadonlyArray<{ readonly overlay: { readonly peers: { readonly authenticated: () => Array<unknown> } } }>
) => nodes.map(({ overlay }) => overlay.peers.authenticated().length)

describe("follow", () => {
  it.effect("PEE-18 a peer that says nothing wanted is exchanged for another, and asked again later", () =>
    inWorld(
      1,
      {},
      Effect.gen(function*() {
        const nodes = yield* startAll(2)
        const { got } = yield* slots({ addresses: nodes.map(({ ip }) => ip), connections: 1, staleMillis: 10_000 })
        const [first, second] = peersOf(nodes)[0] === 1 ? nodes : [nodes[1]!, nodes[0]!]
        yield* Effect.sleep("10 seconds")
        assert.deepStrictEqual(peersOf([first!, second!]), [0, 1])
        for (let slot = 1; slot <= 10; slot++) {
          second!.overlay.broadcast(scpMessage(slot))
          yield* Effect.sleep("5 seconds")
        }
        assert.deepStrictEqual(peersOf([first!, second!]), [0, 1]) // one that talks stays
        assert.deepStrictEqual(got, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        assert.deepStrictEqual(dropsOf(first!), ["ShutdownReceived"])
      })
    ))

  it.effect("PEE-18 who wants newer versions only is greeted with those", () =>
    inWorld(
      2,
      {},
      Effect.gen(function*() {
        const node = yield* start(0, { config: { overlayVersion: 60, overlayMinVersion: 50 } })
        const drops: Array<PeerDropped> = []
        const { got } = yield* slots({ addresses: [node.ip], onDrop: (dropped) => void drops.push(dropped) })
        assert.isAtLeast(drops.length, 1)
        assert.deepStrictEqual(peersOf([node]), [1])
        node.overlay.broadcast(scpMessage(1))
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(got, [1])
      })
    ))

  it.effect("PEE-18 O5 an observer that fails does not cost the connections", () =>
    inWorld(
      3,
      {},
      Effect.gen(function*() {
        const node = yield* start(0)
        const { got, running } = yield* slots({
          addresses: ["10.50.0.1", "10.51.0.1", node.ip], // nobody is at the first two
          connections: 1,
          onDrop: () => {
            throw new Error("the observer fails")
          }
        })
        yield* Effect.sleep("10 seconds")
        assert.deepStrictEqual(peersOf([node]), [1])
        node.overlay.broadcast(scpMessage(1))
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(got, [1])
        assert.isUndefined(running.pollUnsafe())
      })
    ))

  it.effect("PEE-18 PEE-16 a slow reader loses nothing of what three peers tell it, and has nothing twice", () =>
    inWorld(
      4,
      {},
      Effect.gen(function*() {
        const nodes = yield* startAll(3)
        const got: Array<number> = []
        yield* Effect.forkScoped(
          Effect.provide(
            Stream.runForEach(
              follow({ addresses: nodes.map(({ ip }) => ip) }),
              ({ message }) => Effect.andThen(Effect.sync(() => got.push(message.slotNumber ?? 0)), Effect.sleep(20))
            ),
            client()
          )
        )
        yield* Effect.sleep("3 seconds")
        const all = Array.from({ length: 1500 }, (_, slot) => slot + 1)
        for (const slot of all) for (const { overlay } of nodes) overlay.broadcast(scpMessage(slot))
        yield* Effect.sleep("40 seconds")
        assert.deepStrictEqual([...got].sort((a, b) => a - b), all)
        assert.deepStrictEqual(nodes.flatMap(dropsOf), [])
      })
    ))
})
