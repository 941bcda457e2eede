/**
 * Bans in a running node: at once, for a time, over a restart, and of its own accord.
 */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import * as BanList from "@stellar-overlay/overlay/BanList"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import { Transport } from "@stellar-overlay/overlay/Transport"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import { SendMore } from "@stellar-overlay/overlay/wire/StellarMessage"
import { Context, Effect, Layer } from "effect"
import { addressOf, counts, ipOf, quiet, type Settings } from "./network.ts"

const network = LoopbackTransport.layerNetwork({ latencyMillis: 10 })
const inWorld = <A, E, R>(program: Effect.Effect<A, E, R>) => World.run(Effect.provide(program, network), { seed: 1 })

const launch = (i: number, settings: Settings = {}) => TestNode.launch({ name: `n${i}`, ip: ipOf(i), ...settings })
const idOf = (node: TestNode.TestNode) => node.overlay.local.handshake.id
const isConnected = (a: TestNode.TestNode, b: TestNode.TestNode) => a.overlay.peers.get(idOf(b)) !== undefined

describe("bans", () => {
  it.effect("BAN-02 OVM-22 a connected node is dropped at once, cannot come back in either direction, and can after unban", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* launch(1)
      const two = yield* launch(2, { config: { knownPeers: [ipOf(1)] } })
      yield* Effect.sleep("4 seconds")
      assert.isTrue(isConnected(one, two))
      one.overlay.ban(idOf(two))
      assert.isFalse(isConnected(one, two), "at once")
      assert.deepStrictEqual(counts(one.overlay.peers).authenticated, [0, 0])
      yield* Effect.sleep("2 minutes")
      assert.isFalse(isConnected(one, two))
      const error = yield* Effect.flip(one.overlay.connect(two.address))
      assert.strictEqual(error.reason._tag, "NodeBanned")
      assert.deepStrictEqual(one.overlay.banList.list(), [idOf(two)])
      assert.isTrue(one.overlay.unban(idOf(two)))
      assert.isFalse(one.overlay.unban(idOf(two)))
      yield* one.overlay.connect(two.address)
      assert.isTrue(isConnected(one, two))
    })))

  it.effect("BAN-02 a node that is banned in the middle of its handshake does not get in", () =>
    inWorld(Effect.gen(function*() {
      const events: Array<OverlayEvent> = []
      const one = yield* launch(1, { onEvent: (event) => void events.push(event) })
      const two = yield* launch(2)
      two.overlay.peers.dial(one.address, { force: true })
      while (!events.some((event) => event._tag === "PeerHello")) yield* Effect.sleep(1)
      assert.deepStrictEqual(counts(one.overlay.peers).pending, [1, 0])
      one.overlay.ban(idOf(two))
      assert.deepStrictEqual(counts(one.overlay.peers).pending, [0, 0])
      yield* Effect.sleep("1 second")
      assert.isFalse(isConnected(one, two))
      assert.isFalse(events.some((event) => event._tag === "PeerAuthenticated"))
    })))

  it.effect("BAN-03 BAN-01 a ban of five minutes ends after five minutes, and lasts over a restart; a permanent one stays", () =>
    inWorld(Effect.gen(function*() {
      const stored = new Map<NodeId, BanList.Ban>()
      const bans = () =>
        Layer.effect(BanList.BanList, Effect.suspend(() => BanList.make(BanList.makeMemoryStore(stored))))
      const world = yield* World.World
      const two = yield* launch(2)
      const three = yield* launch(3)
      let one = yield* launch(1, { bans: bans() })
      const start = world.millis
      one.overlay.ban(idOf(two), {
        untilMillis: World.DEFAULT_START_UNIX_MILLIS + start + 300_000,
        reason: "five minutes"
      })
      one.overlay.ban(idOf(three))
      yield* Effect.sleep("1 minute")
      yield* one.stop
      assert.strictEqual(stored.size, 2)
      one = yield* launch(1, { bans: bans() })
      assert.deepStrictEqual(one.overlay.banList.bans().map(({ reason }) => reason).sort(), ["", "five minutes"])
      yield* Effect.sleep(start + 300_000 - world.millis - 100)
      assert.strictEqual((yield* Effect.flip(one.overlay.connect(two.address))).reason._tag, "NodeBanned")
      yield* Effect.sleep("1 second")
      yield* one.overlay.connect(two.address)
      assert.strictEqual((yield* Effect.flip(one.overlay.connect(three.address))).reason._tag, "NodeBanned")
      yield* Effect.sleep("4 seconds") // a tick sweeps
      assert.deepStrictEqual([...stored.keys()], [idOf(three)])
    })))

  it.effect("BAN-04 H15 ten proven violations ban a node for a day; failed dials and refusals do not", () =>
    World.run(
      Effect.gen(function*() {
        const net = yield* LoopbackTransport.LoopbackNetwork
        const one = yield* quiet(1)
        const banList = Context.get(one.services, BanList.BanList)
        const visit = (ip: string, violate: boolean) =>
          Effect.scoped(Effect.gen(function*() {
            const peer = yield* ScriptedPeer.connect(one.address, { seed: "villain" }).pipe(
              Effect.provideService(Transport, net.transportAt(ip))
            )
            yield* peer.handshake()
            if (violate) {
              yield* peer.say(SendMore.make({ numMessages: 1 }))
              yield* peer.expectClosed({ error: "silent" })
            }
          }))
        // From many hosts: the key is what is banned.
        for (let i = 0; i < 20; i++) yield* visit(`20.${i}.0.1`, false)
        for (let i = 0; i < 20; i++) {
          one.dial({ address: addressOf(99) })
          yield* Effect.sleep(100)
        }
        assert.strictEqual(one.drops().filter((tag) => tag === "ConnectionRefused").length, 20)
        for (let i = 0; i < 9; i++) yield* visit(`21.${i}.0.1`, true)
        assert.deepStrictEqual(banList.list(), [])
        yield* visit("21.9.0.1", true)
        const [ban] = banList.bans()
        assert.isDefined(ban)
        assert.include(ban!.reason, "10 violations")
        assert.strictEqual((yield* Effect.exit(visit("21.10.0.1", false)))._tag, "Failure")
        yield* Effect.sleep("86390 seconds")
        assert.strictEqual((yield* Effect.exit(visit("21.11.0.1", false)))._tag, "Failure")
        yield* Effect.sleep("10 seconds")
        yield* visit("21.12.0.1", false)
      }).pipe(Effect.provide(network)),
      { seed: 1, maxMillis: 2 * 86_400_000 }
    ))
})
