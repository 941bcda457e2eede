/**
 * The same overlay over TCP on the loopback address.
 */
import { assert, describe, it } from "@effect/vitest"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import { BanList } from "@stellar-overlay/overlay/BanList"
import { Flood } from "@stellar-overlay/overlay/Flood"
import { ItemFetcher } from "@stellar-overlay/overlay/ItemFetcher"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import { Overlay } from "@stellar-overlay/overlay/Overlay"
import * as OverlayEvents from "@stellar-overlay/overlay/OverlayEvents"
import { PeerManager } from "@stellar-overlay/overlay/PeerManager"
import { Peers } from "@stellar-overlay/overlay/Peers"
import { PeerStore } from "@stellar-overlay/overlay/PeerStore"
import { Resolver } from "@stellar-overlay/overlay/Resolver"
import { Survey } from "@stellar-overlay/overlay/Survey"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Context, Effect, Exit, Latch, Layer, Scope } from "effect"
import { counts, idle } from "./network.ts"

/** A node that listens on a free port and dials nobody by itself. */
const launch = Effect.fnUntraced(
  function*(listenPort: number, onEvent: (event: OverlayEvents.OverlayEvent) => void = () => {}) {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const layer = Overlay.layer.pipe(
      Layer.provideMerge(Survey.layer),
      Layer.provideMerge(Flood.layer),
      Layer.provideMerge(ItemFetcher.layer),
      Layer.provideMerge(Peers.layer),
      Layer.provideMerge(PeerManager.layerOverlayConfig()),
      Layer.provideMerge(
        Layer.mergeAll(
          NodeOverlay.layer({ network: "standalone", listenPort, peerPort: listenPort === 0 ? 11625 : listenPort }),
          PeerStore.layerMemory,
          BanList.layerMemory,
          TestNode.layerIdleHost,
          Resolver.layerStatic({}),
          Layer.succeed(OverlayEvents.OverlayEvents, {
            ...OverlayEvents.OverlayEvents.defaultValue(),
            publish: onEvent
          })
        )
      ),
      Layer.fresh
    )
    const overlay = Context.get(yield* Scope.provide(Layer.build(layer), scope), Overlay)
    const address = PeerAddress.make("127.0.0.1", overlay.address!.port)
    return { overlay, address, id: overlay.local.handshake.id, stop: Scope.close(scope, Exit.void) }
  }
)

describe("over TCP", () => {
  it.live("OVM-02 CON-07 CON-02 nodes connect, a shutdown tells its peers and frees the port, the next node takes it", () =>
    Effect.gen(function*() {
      const ended = Latch.makeUnsafe(false)
      const heard: Array<string> = []
      const one = yield* launch(0, (event) => {
        if (event._tag !== "PeerDropped") return
        heard.push(event.reason.detail)
        ended.openUnsafe()
      })
      const two = yield* launch(0)
      yield* one.overlay.connect(two.address)
      const { port } = two.address
      assert.deepStrictEqual(counts(one.overlay.peers).authenticated, [0, 1])
      yield* two.stop
      assert.deepStrictEqual(counts(two.overlay.peers), idle)
      yield* ended.await
      assert.deepStrictEqual(heard, ["ERR_MISC (shutdown)"])
      const error = yield* Effect.flip(one.overlay.connect(two.address))
      assert.strictEqual(error.reason._tag, "ConnectionRefused")
      const next = yield* launch(port)
      yield* one.overlay.connect(next.address)
      assert.isDefined(one.overlay.peers.get(next.id))
    }))
})
