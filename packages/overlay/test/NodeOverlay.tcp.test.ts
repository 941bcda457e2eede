import { assert, describe, it } from "@effect/vitest"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import * as NodeTransport from "@stellar-overlay/overlay/NodeTransport"
import { Overlay } from "@stellar-overlay/overlay/Overlay"
import { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
import { Transport } from "@stellar-overlay/overlay/Transport"
import { Context, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"

/** A node on loopback in a scope of its own, so that it can be ended by itself. */
const start = Effect.fnUntraced(function*(options: NodeOverlay.NodeOptions = {}) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const layer = NodeOverlay.layerNode({ network: "standalone", listenPort: 0, ...options })
  const services = yield* Layer.buildWithScope(layer, scope)
  return {
    overlay: Context.get(services, Overlay),
    local: Context.get(services, LocalNode),
    host: Context.get(services, OverlayHost),
    end: Scope.close(scope, Exit.void)
  }
})

describe("NodeOverlay.layerNode", () => {
  it.live("OVM-01 OVM-02 CON-02 a node in one layer listens, connects, tells its peers of its end, and frees its port", () =>
    Effect.gen(function*() {
      const a = yield* start()
      const b = yield* start()
      const { address } = a.overlay
      assert.isDefined(address)
      const left = yield* Effect.forkScoped(
        Stream.runHead(Stream.filter(b.overlay.events, (event) => event._tag === "PeerDropped")),
        { startImmediately: true }
      )
      const peer = yield* b.overlay.connect(address!)
      assert.strictEqual(peer.id, a.local.handshake.id)
      yield* a.end
      const event = yield* Fiber.join(left)
      assert.deepInclude(
        event._tag === "Some" && event.value._tag === "PeerDropped" ? event.value.reason : {},
        { _tag: "ShutdownReceived" }
      )
      const again = yield* start({ listenPort: address!.port })
      assert.strictEqual(again.overlay.address?.port, address!.port)
    }))

  it.live("OVM-01 a port that is taken is a typed error, and nothing is left running", () =>
    Effect.gen(function*() {
      const a = yield* start()
      const error = yield* Effect.flip(start({ listenPort: a.overlay.address!.port }))
      assert.deepInclude(error, { _tag: "TransportError", kind: "ListenFailed", detail: "EADDRINUSE" })
    }))

  it.live("CON-07 transport and host are what the options say; the host is a watcher by default", () =>
    Effect.gen(function*() {
      let dialled = 0
      const transport = Layer.effect(
        Transport,
        Effect.map(Transport, (tcp) =>
          Transport.of({
            listen: tcp.listen,
            dial: (address, options) => {
              dialled++
              return tcp.dial(address, options)
            }
          }))
      ).pipe(Layer.provide(NodeTransport.layer))
      const a = yield* start()
      const b = yield* start({ transport, host: OverlayHost.layerRelay })
      yield* b.overlay.connect(a.overlay.address!)
      assert.strictEqual(dialled, 1)
      assert.deepStrictEqual([a.host.ledger().isSynced, b.host.ledger().isSynced], [false, true])
    }))
})
