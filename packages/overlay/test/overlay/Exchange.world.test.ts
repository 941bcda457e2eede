/**
 * PEERS between nodes: who tells whom, when, and what is done with it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { Transport } from "@stellar-overlay/overlay/Transport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Peers as PeersMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import { Effect } from "effect"
import { addressOf, ipOf, knows, linked, quiet, type Settings } from "./network.ts"

const network = LoopbackTransport.layerNetwork({ latencyMillis: 10 })
const inWorld = <A, E, R>(program: Effect.Effect<A, E, R>) => World.run(Effect.provide(program, network), { seed: 1 })
const launch = (i: number, settings: Settings = {}) => TestNode.launch({ name: `n${i}`, ip: ipOf(i), ...settings })

const addresses = (...texts: ReadonlyArray<string>) =>
  texts.map((text) => {
    const at = text.lastIndexOf(":")
    return PeerAddress.make(text.slice(0, at), Number(text.slice(at + 1)))
  })

/** A scripted peer that dials a node from an address. */
const caller = (ip: string, target: PeerAddress, options: ScriptedPeer.Options = {}) =>
  LoopbackTransport.LoopbackNetwork.use((net) =>
    ScriptedPeer.connect(target, { seed: ip, ...options }).pipe(Effect.provideService(Transport, net.transportAt(ip)))
  )

/** A scripted peer that waits for a node's dial. */
const callee = Effect.fnUntraced(function*(i: number, dialler: TestNode.TestNode) {
  const { transportAt } = yield* LoopbackTransport.LoopbackNetwork
  const listener = yield* transportAt(ipOf(i)).listen({ host: ipOf(i), port: 11625 })
  dialler.overlay.peers.dial(addressOf(i), { force: true })
  return yield* ScriptedPeer.accept(listener, { seed: i, hello: { listeningPort: 11625 } })
})

describe("PEERS", () => {
  it.effect("PEE-10 PMG-07 the one who was called tells once, at most fifty, never the caller's own address or one with many failures", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* quiet(1)
      const { manager } = node
      for (let i = 0; i < 120; i++) {
        const address = PeerAddress.make(`11.${i}.0.1`, 11625)
        manager.store({ ...manager.load(address), numFailures: i < 40 ? 11 : 10 })
      }
      manager.ensureExists(PeerAddress.make("20.0.0.1", 11625))
      for (let round = 0; round < 5; round++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const peer = yield* caller("20.0.0.1", node.address, { seed: round })
          yield* peer.handshake()
          yield* Effect.sleep("100 millis")
          const messages = peer.script.heard.flatMap(({ message }) => (message?._tag === "Peers" ? [message] : []))
          assert.strictEqual(messages.length, 1)
          const told = messages[0]!.addresses
          assert.strictEqual(told.length, 50)
          assert.strictEqual(new Set(told.map(String)).size, 50)
          for (const address of told) {
            assert.notStrictEqual(address.host, "20.0.0.1")
            assert.isAtLeast(Number(address.host.split(".")[1]), 40, "with eleven failures nobody is passed on")
          }
          yield* peer.expectNone(5000, "Peers")
        }))
        yield* Effect.sleep("1 second")
      }
    })))

  it.effect("PEE-10 nothing is sent when there is nothing to tell, and the one who calls never tells", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* launch(1)
      yield* Effect.scoped(Effect.gen(function*() {
        const peer = yield* caller("20.0.0.1", node.address)
        yield* peer.handshake()
        yield* peer.expectNone(1000, "Peers")
        assert.isFalse(peer.script.heard.some(({ message }) => message?._tag === "Peers"))
      }))
      node.overlay.peerManager.ensureExists(PeerAddress.make("11.1.0.1", 11625))
      const called = yield* callee(9, node)
      yield* called.handshake()
      yield* called.expectNone(1000, "Peers")
      assert.isFalse(called.script.heard.some(({ message }) => message?._tag === "Peers"))
    })))

  it.effect("PEE-09 P1 of what is told only good addresses are stored, as INBOUND, untried and due", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* launch(1, {
        config: { allowLocalhostForTesting: false, allowPrivateAddressesForTesting: false }
      })
      const peer = yield* callee(9, node)
      yield* peer.handshake()
      const { bytes } = PeersMessage.make({
        addresses: addresses(
          "11.1.0.1:11625",
          "11.2.0.1:0",
          "11.3.0.1:1",
          "10.3.0.1:11625",
          "192.168.1.1:11625",
          "127.0.0.1:11625",
          "224.0.0.1:11625",
          "0.0.0.0:11625",
          `${ipOf(9)}:11625`,
          "11.4.0.1:25"
        )
      })
      // The port of the third entry, of 16 bytes each after discriminant and count, becomes 65536.
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(8 + 2 * 16 + 8, 65_536)
      yield* peer.say(bytes)
      yield* Effect.sleep("100 millis")
      const stored = node.overlay.peerManager.all().filter(({ address }) => address.key !== addressOf(9).key)
      assert.deepStrictEqual(stored.map(({ address }) => String(address)), ["11.1.0.1:11625"])
      assert.strictEqual(knows({ manager: node.overlay.peerManager }, { address: stored[0]!.address }), "INBOUND")
      assert.strictEqual(stored[0]!.numFailures, 0)
      assert.strictEqual(node.overlay.peerManager.dialRefusal(stored[0]!.address), undefined)
      assert.strictEqual(linked(node), 1)
    })))

  it.effect("PEE-09 P2 a second PEERS, or one from a caller, ends the connection", () =>
    inWorld(Effect.gen(function*() {
      const drops: Array<string> = []
      const node = yield* launch(1, {
        onEvent: (event) => {
          if (event._tag === "PeerDropped") drops.push(event.reason._tag)
        }
      })
      const message = PeersMessage.make({ addresses: addresses("11.1.0.1:11625") })
      const called = yield* callee(9, node)
      yield* called.handshake()
      yield* called.say(message)
      yield* called.expectOpen(500)
      yield* called.say(message)
      yield* called.expectClosed({ error: "silent" })
      const peer = yield* caller("20.0.0.1", node.address)
      yield* peer.handshake()
      yield* peer.say(PeersMessage.make({ addresses: addresses("11.2.0.1:11625") }))
      yield* peer.expectClosed({ error: "silent" })
      assert.deepStrictEqual(drops, ["TooManyPeersMessages", "ReceivedPeers"])
      assert.strictEqual(node.overlay.peerManager.get(PeerAddress.make("11.2.0.1", 11625)), undefined)
    })))

  it.effect("P4 PMG-09 a hundred peers that tell a thousand addresses each do not grow the table past its bound", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* launch(1, {
        config: { allowPrivateAddressesForTesting: false, maxKnownAddresses: 500 },
        peers: { limits: { maxOutbound: 200, maxOutboundPending: 200 } }
      })
      for (let i = 0; i < 30; i++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const peer = yield* callee(50 + i, node)
          yield* peer.handshake()
          const told = Array.from({ length: 100 }, (_, j) => `${20 + i}.${j}.0.1:11625`)
          yield* peer.say(PeersMessage.make({ addresses: addresses(...told) }))
          yield* Effect.sleep(50)
        }))
      }
      assert.isAtMost(node.overlay.peerManager.size(), 500)
      assert.isAtLeast(node.overlay.peerManager.size(), 400)
    })))

  it.effect("OVM-19 PEE-05 a node that has no room tells a refused caller whom else to call", () =>
    inWorld(Effect.gen(function*() {
      const full = yield* launch(1, { peers: { limits: { maxInbound: 0, maxOutbound: 1 } } })
      const other = yield* launch(2)
      yield* full.overlay.connect(other.address)
      const caller = yield* launch(3)
      const error = yield* Effect.flip(caller.overlay.connect(full.address))
      assert.strictEqual(error.reason._tag, "LoadErrorReceived")
      assert.isDefined(caller.overlay.peerManager.get(other.address))
      yield* Effect.sleep("4 seconds")
      assert.isDefined(caller.overlay.peers.get(other.overlay.local.handshake.id))
    })))
})
