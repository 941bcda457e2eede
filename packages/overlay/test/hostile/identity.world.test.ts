/** What a node with many connections remembers of hostile ones: whole nodes on a loopback network, in a `World`. */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { Context, Effect, Exit, Fiber, Scope } from "effect"
import { Overlay } from "../../src/Overlay.ts"
import { PeerManager } from "../../src/PeerManager.ts"
import { Peers } from "../../src/Peers.ts"
import * as NodeId from "../../src/wire/NodeId.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import { ErrorMsg, SendMoreExtended } from "../../src/wire/StellarMessage.ts"

const here = PeerAddress.make("10.1.0.1", 11_625)
const there = PeerAddress.make("10.2.0.1", 11_625)

const start = Effect.map(
  TestNode.start({ name: "victim", ip: here.host, config: { listenHost: here.host } }),
  (context) => ({
    peers: Context.get(context, Peers),
    manager: Context.get(context, PeerManager),
    overlay: Context.get(context, Overlay)
  })
)

/** The transport of another host on the same network. */
const elsewhere = Effect.map(LoopbackTransport.LoopbackNetwork, (network) => network.transportAt(there.host))

const dial = Effect.fnUntraced(function*(seed: string) {
  const transport = yield* elsewhere
  return yield* ScriptedPeer.make(yield* transport.dial(here, { timeoutMillis: 1000 }), { seed })
})

const world = <A, E>(program: Effect.Effect<A, E, LoopbackTransport.LoopbackNetwork | Scope.Scope | World.World>) =>
  World.run(program.pipe(Effect.provide(LoopbackTransport.layerNetwork())))

describe("a node and its hostile peers", () => {
  it.effect("H10 a node that dialled itself remembers the address as its own, and does not dial it again", () =>
    world(Effect.gen(function*() {
      const { manager, peers } = yield* start
      manager.ensureExists(here)
      const first = yield* Effect.flip(peers.connect(here, { force: true }))
      assert.strictEqual(first.reason._tag, "ConnectingToSelf")
      yield* Effect.sleep("1 second")
      // Only an operator's order (force) would dial it again.
      const again = yield* Effect.flip(peers.connect(here))
      assert.deepStrictEqual([again.reason._tag, again.reason.detail], ["DialRefused", "Self"])
      assert.strictEqual(peers.registry.size, 0)
    })))

  it.effect("H11 of three connections of one identity one is admitted, the others are told why, and a later one too", () =>
    world(Effect.gen(function*() {
      const { peers } = yield* start
      const first = yield* dial("same")
      const text = `already-connected peer: ${NodeId.short(first.script.id)}`
      yield* first.handshake("GotHello")
      for (let i = 0; i < 2; i++) {
        const other = yield* dial("same")
        yield* other.say(other.script.hello())
        yield* other.expect("Hello")
        yield* other.expectError(2, text)
      }
      yield* first.say(new Uint8Array([0, 0, 0, 2, 0, 0, 0, 200]))
      yield* first.expect("SendMoreExtended")
      const later = yield* dial("same")
      yield* later.say(later.script.hello())
      yield* later.expectError(2, text)
      first.script.answersPings = true
      yield* first.expectOpen(20_000)
      assert.deepStrictEqual([peers.registry.size, peers.registry.authenticatedCount()], [1, 1])
    })))

  it.effect("H11 when the one that was kept is gone, its identity is welcome again", () =>
    world(Effect.gen(function*() {
      const { peers } = yield* start
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(dial("same"), scope)
      yield* first.handshake()
      yield* Scope.close(scope, Exit.void)
      yield* Effect.sleep("1 second")
      assert.strictEqual(peers.registry.size, 0)
      const second = yield* dial("same")
      yield* second.handshake()
      assert.strictEqual(peers.registry.authenticatedCount(), 1)
    })))

  it.effect("H19 what opened one connection, byte for byte, opens no other: the node's nonces are new each time", () =>
    world(Effect.gen(function*() {
      const { peers } = yield* start
      const scope = yield* Scope.make()
      const honest = yield* Scope.provide(dial("honest"), scope)
      yield* honest.handshake()
      yield* Scope.close(scope, Exit.void)
      yield* Effect.sleep("1 second")
      const replaying = yield* dial("attacker")
      for (const bytes of honest.script.written) yield* replaying.sayBytes(bytes.slice())
      yield* replaying.expectError(3, "unexpected MAC")
      const nonces = [honest, replaying].map(({ script }) => script.messages("Hello")[0]?.nonce.join())
      assert.notStrictEqual(nonces[0], nonces[1])
      assert.strictEqual(peers.registry.authenticatedCount(), 0)
    })))

  const forged = [
    [0, "shutdown"],
    [2, "already-connected peer: GABCD"],
    [3, "unexpected MAC"],
    [4, "peer rejected"]
  ] as const
  for (const [code, text] of forged) {
    it.effect(`M6 a forged ERROR_MSG (${text}) after authentication costs the address nothing`, () =>
      world(Effect.gen(function*() {
        const { manager, peers } = yield* start
        const transport = yield* elsewhere
        const listener = yield* transport.listen({ port: there.port })
        const accepting = yield* Effect.forkScoped(ScriptedPeer.accept(listener, { seed: "honest" }))
        manager.ensureExists(there)
        assert.isTrue(peers.dial(there, { force: true }))
        const scripted = yield* Fiber.join(accepting)
        yield* scripted.handshake()
        yield* scripted.say(SendMoreExtended.make({ numMessages: 200, numBytes: 300_000 }))
        yield* Effect.sleep("1 second")
        const before = manager.load(there)
        assert.strictEqual(before.numFailures, 0)
        yield* scripted.say(ErrorMsg.make({ code, text }))
        yield* scripted.expectClosed({ error: "silent" })
        yield* Effect.sleep("500 millis") // before the tick, which dials again
        const after = manager.load(there)
        assert.deepStrictEqual(
          [after.numFailures, after.nextAttemptMillis, after.type],
          [before.numFailures, before.nextAttemptMillis, before.type]
        )
        assert.strictEqual(peers.registry.size, 0)
      })))
  }
})
