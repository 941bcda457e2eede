/**
 * What goes wrong around a node, in its handlers, its database or its clock, stays where it happened.
 */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import * as BanList from "@stellar-overlay/overlay/BanList"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
import type { Peer } from "@stellar-overlay/overlay/Peer"
import type { PeerHandler } from "@stellar-overlay/overlay/Peers"
import { PeerStore } from "@stellar-overlay/overlay/PeerStore"
import { StorageError } from "@stellar-overlay/overlay/StorageError"
import { DontHave, GetScpState, GetTxSet } from "@stellar-overlay/overlay/wire/StellarMessage"
import { Effect, Layer, Logger, Stream } from "effect"
import { addressOf, counts, hostWith, ipOf, linked, quiet, type Settings } from "./network.ts"

const network = LoopbackTransport.layerNetwork({ latencyMillis: 10 })
/** Defects are logged as errors, which is right, and no news in a test. */
const silent = Logger.layer([])
const inWorld = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  World.run(Effect.provide(program, network), { seed: 1 }).pipe(Effect.provide(silent))

const launch = (i: number, settings: Settings = {}) => TestNode.launch({ name: `n${i}`, ip: ipOf(i), ...settings })
const idOf = (node: TestNode.TestNode) => node.overlay.local.handshake.id
const message = (i: number) => DontHave.make({ itemType: 17, hash: new Uint8Array(32).fill(i) })

describe("defects", () => {
  type Injection = (victim: string, fail: () => never) => PeerHandler
  const injections: Record<string, Injection> = {
    "connected": (victim, fail) => ({ connected: ({ id }) => void (id === victim && fail()) }),
    "received, at once": (victim, fail) => ({ received: ({ id }) => (id === victim ? fail() : undefined) }),
    "received, later": (victim, fail) => ({
      received: ({ id }) => (id === victim ? Effect.andThen(Effect.sleep(5), Effect.sync(fail)) : undefined)
    }),
    "received, as a failed effect": (victim) => ({
      received: ({ id }) => (id === victim ? Effect.die("injected") : undefined)
    }),
    "disconnected": (victim, fail) => ({ disconnected: ({ id }) => void (id === victim && fail()) })
  }
  for (const [where, inject] of Object.entries(injections)) {
    it.effect(`O5 a handler that fails in ${where} costs the one peer it was called for`, () =>
      inWorld(Effect.gen(function*() {
        const events: Array<OverlayEvent> = []
        const node = yield* launch(1, { onEvent: (event) => void events.push(event) })
        const [two, three] = [yield* launch(2), yield* launch(3)]
        const { peers } = node.overlay
        const seen: Array<string> = []
        const count = (what: string) => (peer: Peer) => void seen.push(`${what} ${peer.id === idOf(two) ? 2 : 3}`)
        yield* peers.handle(inject(idOf(two), () => {
          throw new Error("injected")
        }))
        // A second handler hears of everything but the batch at fault.
        yield* peers.handle({
          connected: count("connected"),
          disconnected: count("disconnected"),
          received: (peer) => void (peer.id === idOf(three) && count("received")(peer))
        })
        yield* node.overlay.connect(two.address)
        yield* three.overlay.connect(node.address)
        for (let i = 0; i < 3; i++) {
          two.overlay.send(idOf(node), message(i))
          three.overlay.send(idOf(node), message(i))
          yield* Effect.sleep("100 millis")
        }
        if (where === "disconnected") node.overlay.drop(idOf(two))
        yield* Effect.sleep("1 second")
        const ends = events.flatMap((
          event
        ) => (event._tag === "PeerDropped" ? [`${event.id} ${event.reason._tag}`] : []))
        assert.deepStrictEqual(ends, [`${idOf(two)} ${where === "disconnected" ? "DroppedByUser" : "Defect"}`])
        assert.isDefined(peers.get(idOf(three)))
        assert.deepStrictEqual(counts(peers), { pending: [0, 0], authenticated: [1, 0], size: 1 })
        assert.sameMembers(seen.filter((line) => line.startsWith("c")), ["connected 2", "connected 3"])
        assert.deepStrictEqual(seen.filter((line) => line.startsWith("d")), ["disconnected 2"])
        assert.isAtLeast(seen.filter((line) => line === "received 3").length, 3)
        // The node goes on: the peer may come back.
        yield* node.overlay.connect(two.address)
      })))
  }

  it.effect("O5 a defect inside the admission of a handshake ends that handshake", () =>
    inWorld(Effect.gen(function*() {
      for (
        const method of [
          "helloReceived",
          "getPeersToSend",
          "authenticated",
          "connectionEnded",
          "attemptStarted"
        ] as const
      ) {
        yield* Effect.scoped(Effect.gen(function*() {
          const node = yield* launch(1)
          const { peerManager, peers } = node.overlay
          const original = peerManager[method]
          const two = yield* launch(2)
          Object.assign(peerManager, {
            [method]: () => {
              throw new Error("injected")
            }
          })
          two.overlay.peers.dial(node.address, { force: true })
          yield* Effect.exit(Effect.sync(() => node.overlay.peers.dial(addressOf(9), { force: true })))
          yield* Effect.sleep("200 millis")
          if (method === "connectionEnded" || method === "attemptStarted") yield* two.stop
          yield* Effect.sleep("800 millis")
          assert.deepStrictEqual(counts(peers).size, 0, method)
          Object.assign(peerManager, { [method]: original })
          const three = yield* launch(3)
          yield* three.overlay.connect(node.address)
          assert.strictEqual(linked(node), 1)
        }))
        yield* Effect.sleep(1)
      }
    })))

  it.effect("O5 a host that fails to answer costs the peer that asked", () =>
    inWorld(Effect.gen(function*() {
      const host = Layer.effect(
        OverlayHost,
        OverlayHost.use((idle) =>
          Effect.succeed({
            ...idle,
            txSet: () => Effect.die("injected"),
            scpState: (from: number) => {
              if (from === 77) throw new Error("injected")
              return Effect.succeed([])
            }
          })
        )
      ).pipe(Layer.provide(TestNode.layerIdleHost))
      const drops: Array<string> = []
      const node = yield* launch(1, {
        host,
        onEvent: (event) => {
          if (event._tag === "PeerDropped") drops.push(event.reason._tag)
        }
      })
      const [two, three, four] = [yield* launch(2), yield* launch(3), yield* launch(4)]
      for (const other of [two, three, four]) yield* other.overlay.connect(node.address)
      two.overlay.send(idOf(node), GetTxSet.make({ hash: new Uint8Array(32).fill(1) }))
      three.overlay.send(idOf(node), GetScpState.make({ ledgerSeq: 77 }))
      yield* Effect.sleep("500 millis")
      assert.deepStrictEqual(drops, ["Defect", "Defect"])
      assert.isDefined(node.overlay.peers.get(idOf(four)))
    })))

  it.effect("OVM-02 CON-06 a handler that never ends keeps no slot, and no shutdown waiting for more than some seconds", () =>
    inWorld(Effect.gen(function*() {
      const world = yield* World.World
      const node = yield* launch(1)
      const two = yield* launch(2)
      let interrupted = 0
      yield* node.overlay.peers.handle({
        received: (peer) =>
          peer.id === idOf(two) ? Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++)) : undefined
      })
      yield* two.overlay.connect(node.address)
      two.overlay.send(idOf(node), message(1))
      yield* Effect.sleep("1 second")
      yield* two.stop
      yield* Effect.sleep(50)
      assert.deepStrictEqual(counts(node.overlay.peers), { pending: [0, 0], authenticated: [0, 0], size: 1 })
      yield* Effect.sleep("5 seconds")
      assert.strictEqual(counts(node.overlay.peers).size, 0)
      assert.isAtLeast(interrupted, 1)
      const back = yield* launch(2)
      yield* back.overlay.connect(node.address)
      back.overlay.send(idOf(node), message(1))
      yield* Effect.sleep("1 second")
      const before = world.millis
      yield* node.overlay.shutdown
      assert.isAtMost(world.millis - before, 5500)
    })))

  it.effect("OVM-22 for its handlers a node's former connection is over before the next one begins", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* quiet(1)
      const two = yield* quiet(2)
      const calls: Array<string> = []
      const names = new Map<Peer, number>()
      const nameOf = (peer: Peer) => {
        if (!names.has(peer)) names.set(peer, names.size + 1)
        return names.get(peer)
      }
      yield* node.peers.handle({
        connected: (peer) => void calls.push(`connected ${nameOf(peer)}`),
        disconnected: (peer) => void calls.push(`disconnected ${nameOf(peer)}`),
        received: (peer) => {
          calls.push(`received ${nameOf(peer)}`)
          return Effect.sleep("3 seconds") // the first connection is slow to deliver
        }
      })
      two.dial(node)
      yield* Effect.sleep("1 second")
      two.peers.get(node.id)!.offer(message(1))
      two.peers.get(node.id)!.offer(message(2))
      yield* Effect.sleep("100 millis")
      const { links } = yield* LoopbackTransport.LoopbackNetwork
      for (const link of yield* links) yield* link.sever
      yield* Effect.sleep(50)
      two.dial(node)
      yield* Effect.sleep("10 seconds")
      const connection = (n: number) => calls.filter((call) => call.endsWith(` ${n}`))
      assert.strictEqual(connection(1).at(-1), "disconnected 1")
      assert.isBelow(calls.indexOf("disconnected 1"), calls.indexOf("connected 2"))
      assert.strictEqual(names.size, 2)
    })))

  it.effect("OVM-22 what a peer sent before it went is delivered, then it is gone, once", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* quiet(1)
      const two = yield* quiet(2)
      const calls: Array<string> = []
      yield* node.peers.handle({
        received: (_, messages) => {
          for (const { _tag } of messages) if (_tag === "DontHave") calls.push("received")
          return Effect.sleep("100 millis")
        },
        disconnected: (_, reason) => void calls.push(reason._tag)
      })
      two.dial(node)
      yield* Effect.sleep("1 second")
      for (let i = 0; i < 20; i++) two.peers.get(node.id)!.offer(message(i))
      yield* two.peers.shutdown
      yield* Effect.sleep("5 seconds")
      assert.deepStrictEqual(calls, [...Array<string>(20).fill("received"), "ShutdownReceived"])
    })))
})

describe("the ledger", () => {
  it.effect("OVM-15 PEE-10 what changes during a handshake holds for the new peer too", () =>
    inWorld(Effect.gen(function*() {
      let isSynced = true
      let maxTxSetSize = 1000
      const node = yield* launch(1, { host: hostWith(() => ({ isSynced, maxTxSetSize })) })
      const two = yield* launch(2)
      two.overlay.peers.dial(node.address, { force: true })
      yield* Effect.sleep(25)
      assert.deepStrictEqual(counts(node.overlay.peers).pending, [1, 0])
      isSynced = false
      maxTxSetSize = 50
      yield* node.overlay.ledgerChanged
      yield* Effect.sleep("200 millis")
      const peer = node.overlay.peers.get(idOf(two))!
      assert.strictEqual(peer.session.queues.ledger.maxTxSetSize, 50)
      assert.isTrue(peer.session.shedTransactions)
      isSynced = true
      yield* node.overlay.ledgerChanged
      assert.isFalse(peer.session.shedTransactions)
    })))

  it.effect("OVM-15 connections, addresses, bans, configuration and certificates are reachable from the overlay", () =>
    inWorld(Effect.gen(function*() {
      const { overlay } = yield* launch(1, { config: { knownPeers: [ipOf(2)] } })
      yield* Effect.sleep("3 seconds")
      assert.strictEqual(overlay.peers.authenticated().length, 0)
      assert.isDefined(overlay.peerManager.get(addressOf(2)))
      assert.deepStrictEqual(overlay.banList.list(), [])
      assert.deepStrictEqual(overlay.local.config.knownPeers, [ipOf(2)])
      assert.strictEqual(overlay.local.auth.curvePublicKey.length, 32)
    })))
})

describe("operations", () => {
  const broken = Effect.fail(new StorageError({ operation: "test", reason: "Full", detail: "disk is full" }))

  it.effect("O1 with a database that fails in every call the overlay finds its peers all the same, and says so once", () =>
    inWorld(Effect.gen(function*() {
      const store = Layer.succeed(PeerStore, {
        loadAll: () => broken,
        load: () => broken,
        write: () => broken,
        loadRandom: () => broken,
        count: () => broken,
        clear: broken
      })
      const bans = Layer.effect(
        BanList.BanList,
        Effect.suspend(() => BanList.make({ loadAll: broken, write: () => broken }))
      )
      const two = yield* launch(2)
      const node = yield* launch(1, { store, bans, config: { knownPeers: [ipOf(2)] } })
      const alerts: Array<string> = []
      for (const { alerts: stream } of [node.overlay.peerManager, node.overlay.banList]) {
        yield* Effect.forkScoped(
          Stream.runForEach(stream, (alert) => Effect.sync(() => alerts.push(`${alert.store} ${alert._tag}`)))
        )
      }
      yield* Effect.sleep("30 seconds")
      assert.isDefined(node.overlay.peers.get(idOf(two)))
      node.overlay.ban(idOf(two))
      yield* Effect.sleep("30 seconds")
      assert.isUndefined(node.overlay.peers.get(idOf(two)))
      assert.sameMembers(alerts, ["peers StorageFailed", "bans StorageFailed"])
      assert.strictEqual(node.overlay.peerManager.status().failing?.reason, "Full")
      yield* node.stop
    })))

  for (const hours of [1, -1]) {
    it.effect(`O2 the wall clock jumps by ${hours} h: no peer is lost, ticks keep their pace, certificates are issued anew`, () =>
      inWorld(Effect.gen(function*() {
        const world = yield* World.World
        const drops: Array<string> = []
        const resolved: Array<number> = []
        const onEvent = (event: OverlayEvent) => {
          if (event._tag === "PeerDropped" && event.authenticated) drops.push(event.reason._tag)
        }
        const one = yield* launch(1, { onEvent })
        const two = yield* launch(2, { onEvent, config: { knownPeers: [ipOf(1)] } })
        const { rememberAnchors } = two.overlay.peerManager
        Object.assign(two.overlay.peerManager, {
          rememberAnchors: (addresses: Parameters<typeof rememberAnchors>[0]) => {
            resolved.push(world.millis)
            rememberAnchors(addresses)
          }
        })
        yield* Effect.sleep("10 seconds")
        const before = one.overlay.peers.get(idOf(two))
        assert.isDefined(before)
        yield* world.jumpWallClock(hours * 3_600_000)
        yield* Effect.sleep("2 minutes")
        assert.strictEqual(one.overlay.peers.get(idOf(two)), before, "the very same connection")
        assert.deepStrictEqual(drops, [])
        assert.deepStrictEqual(resolved, Array.from({ length: resolved.length }, (_, i) => 2000 + 3000 * i))
        assert.strictEqual(resolved.length, 43)
        // The certificate of before the jump would now be refused, as expired or as too far ahead.
        const three = yield* launch(3)
        const peer = yield* three.overlay.connect(two.address)
        const unixSeconds = Math.floor((World.DEFAULT_START_UNIX_MILLIS + hours * 3_600_000 + world.millis) / 1000)
        assert.closeTo(Number(peer.remote.certificateExpiration), unixSeconds + 3600, 2)
        assert.isDefined(two.overlay.peers.get(idOf(three)))
      })))
  }
})
