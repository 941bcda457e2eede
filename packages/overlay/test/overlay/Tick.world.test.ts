/**
 * What an overlay does by itself: its start, and its steps every three seconds.
 */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import type { PeerManagerShape } from "@stellar-overlay/overlay/PeerManager"
import { makeMemory, PeerStore } from "@stellar-overlay/overlay/PeerStore"
import { PeerType } from "@stellar-overlay/overlay/protocol/PeerBackoff"
import type { PeerRecord } from "@stellar-overlay/overlay/protocol/PeerTable"
import { Resolver } from "@stellar-overlay/overlay/Resolver"
import { TransportError } from "@stellar-overlay/overlay/Transport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect, Layer } from "effect"
import { addressOf, counts, hostWith, idle, ipOf, linked, type Settings } from "./network.ts"

const network = LoopbackTransport.layerNetwork({ latencyMillis: 10 })
const inWorld = <A, E, R>(program: Effect.Effect<A, E, R>, seed: number | string = 1) =>
  World.run(Effect.provide(program, network), { seed })

const launch = (i: number, settings: Settings = {}) => TestNode.launch({ name: `n${i}`, ip: ipOf(i), ...settings })

/** Notes the calls of an address book with the virtual time; `at` gives the time. */
const listen = (manager: PeerManagerShape, at: () => number, log: Array<string>): void => {
  const { connectCandidates, rememberAnchors, removePeersWithManyFailures, storeConfigPeers } = manager
  Object.assign(
    manager,
    {
      storeConfigPeers: (...args) => {
        log.push(`${at()} store ${args[1]?.startup === true ? "startup" : "resolved"}`)
        return storeConfigPeers(...args)
      },
      removePeersWithManyFailures: (...args) => {
        if (args[1] === undefined) log.push(`${at()} purge ${args[0]}`)
        return removePeersWithManyFailures(...args)
      },
      connectCandidates: (...args) => {
        const found = connectCandidates(...args)
        log.push(`${at()} ${["inbound", "outbound", "preferred"][args[0]]} ${args[1]}`)
        return found
      },
      rememberAnchors: (...args) => {
        log.push(`${at()} anchors`)
        return rememberAnchors(...args)
      }
    } satisfies Partial<PeerManagerShape>
  )
}

const storeOf = (rows: ReadonlyArray<PeerRecord>, map = new Map<string, PeerRecord>()) => {
  for (const row of rows) map.set(row.address.key, row)
  return Layer.succeed(PeerStore, makeMemory(map))
}

const row = (address: PeerAddress, numFailures: number, type = PeerType.Inbound): PeerRecord => ({
  address,
  type,
  numFailures,
  nextAttemptMillis: World.DEFAULT_START_UNIX_MILLIS,
  lastSuccessMillis: 0,
  source: "",
  anchor: false
})

describe("start", () => {
  it.effect("OVM-01 OVM-03 configured peers, the purge, resolution, then ticks every three seconds, a stuck dial or not", () =>
    inWorld(Effect.gen(function*() {
      const world = yield* World.World
      const { blackHole } = yield* LoopbackTransport.LoopbackNetwork
      for (const i of [66, 68]) yield* blackHole(addressOf(i))
      const log: Array<string> = []
      const { overlay } = yield* launch(1, {
        config: { knownPeers: [ipOf(66), "seed.example"], connectTimeoutMillis: 60_000 },
        peers: { limits: { maxOutboundPending: 10 } },
        resolver: Layer.succeed(Resolver, {
          lookup: (host) =>
            Effect.sync(() => {
              log.push(`${world.millis} resolve ${host}`)
              return [ipOf(68)]
            })
        })
      })
      listen(overlay.peerManager, () => world.millis, log)
      yield* Effect.sleep(8500)
      // Nobody has called: the goal is three. Two dials are not answered.
      assert.deepStrictEqual(log.filter((line) => !line.includes(" resolve ")), [
        "2000 store startup",
        "2000 purge 120",
        "2000 preferred 3",
        "2000 outbound 3",
        "2000 inbound 9",
        "2000 anchors",
        "5000 store resolved",
        "5000 preferred 3",
        "5000 outbound 3",
        "5000 inbound 8",
        "5000 anchors",
        "8000 preferred 3",
        "8000 outbound 3",
        "8000 inbound 8",
        "8000 anchors"
      ])
      assert.deepStrictEqual(log.filter((line) => line.includes(" resolve ")), ["2000 resolve seed.example"])
      assert.deepStrictEqual(counts(overlay.peers).pending, [0, 2])
    })))

  it.effect("OVM-01 CON-02 a port that is taken is a typed error, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const report = yield* World.simulate(
        Effect.gen(function*() {
          yield* launch(1)
          const error = yield* Effect.flip(Effect.scoped(TestNode.launch({ name: "other", ip: ipOf(1) })))
          assert.instanceOf(error, TransportError)
          assert.strictEqual(error.kind, "ListenFailed")
        }).pipe(Effect.scoped, Effect.andThen(Effect.sleep(1)), Effect.provide(network))
      )
      assert.isTrue(report.exit._tag === "Success", String(report.exit))
      assert.deepStrictEqual(report.pending, { tasks: 0, timers: 0 })
    }))

  it.effect("OVM-01 standalone: no listener, no tick, and dials only on request", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* launch(1)
      const two = yield* launch(2, { config: { runStandalone: true, knownPeers: [ipOf(1)] } })
      yield* Effect.sleep("1 minute")
      assert.strictEqual(two.overlay.address, undefined)
      assert.strictEqual(linked(two), 0)
      assert.strictEqual(two.overlay.peerManager.size(), 0)
      yield* two.overlay.connect(one.address)
      assert.strictEqual(linked(two), 1)
    })))

  it.effect("OVM-05 OMG-003 dead addresses are purged when the overlay starts", () =>
    inWorld(Effect.gen(function*() {
      const at = (port: number) => PeerAddress.make("127.0.0.1", port)
      const rows = [118, 119, 120, 121, 122].map((failures, i) => ({
        ...row(at(i + 1), failures),
        nextAttemptMillis: World.DEFAULT_START_UNIX_MILLIS + 3_600_000
      }))
      const { overlay } = yield* launch(1, { store: storeOf(rows) })
      yield* Effect.sleep(1999)
      assert.strictEqual(overlay.peerManager.size(), 5)
      yield* Effect.sleep(2)
      assert.sameMembers(overlay.peerManager.all().map(({ address }) => address.port), [1, 2])
    })))

  it.effect("OMG-004 a good connection forgets 119 failures", () =>
    inWorld(Effect.gen(function*() {
      const two = yield* launch(2)
      const one = yield* launch(1, { store: storeOf([row(two.address, 119)]) })
      yield* Effect.sleep("4 seconds")
      assert.strictEqual(one.overlay.peerManager.get(two.address)?.numFailures, 0)
    })))

  it.effect("OMG-005 one more failure deletes the row", () =>
    inWorld(Effect.gen(function*() {
      const { overlay } = yield* launch(1, {
        config: { peerAuthenticationTimeoutSeconds: 1 },
        store: storeOf([row(addressOf(2), 119)])
      })
      yield* Effect.sleep("5 seconds")
      assert.strictEqual(overlay.peerManager.get(addressOf(2)), undefined)
    })))

  it.effect("OVM-04 a restart raises and lowers types as the configuration says", () =>
    inWorld(Effect.gen(function*() {
      const map = new Map<string, PeerRecord>()
      const types: Array<PeerType | undefined> = []
      const runs = [{ knownPeers: [ipOf(9)] }, { preferredPeers: [ipOf(9)] }, {}]
      for (const config of runs) {
        const node = yield* launch(1, { config, store: storeOf([], map) })
        yield* Effect.sleep("6 seconds")
        types.push(node.overlay.peerManager.get(addressOf(9))?.type)
        yield* node.stop
      }
      assert.deepStrictEqual(types, [PeerType.Outbound, PeerType.Preferred, PeerType.Outbound])
    })))
})

describe("goals", () => {
  it.effect("OVM-20 OVM-19 three outbound connections are enough while nobody calls, then the target counts", () =>
    inWorld(Effect.gen(function*() {
      const seeds = Array.from({ length: 10 }, (_, i) => i + 10)
      for (const i of seeds) yield* launch(i, { config: { runStandalone: false } })
      const node = yield* launch(1, { config: { knownPeers: seeds.map(ipOf) } })
      yield* Effect.sleep("20 seconds")
      // Those that were called dial back, find the connection, and go: they are no callers.
      assert.strictEqual(linked(node, "acceptor"), 0)
      assert.strictEqual(linked(node, "initiator"), 3)
      const caller = yield* launch(2, { config: { runStandalone: true } })
      yield* caller.overlay.connect(node.address)
      yield* Effect.sleep("20 seconds")
      assert.strictEqual(linked(node, "initiator"), 8)
    })))

  it.effect("OVM-19 OVM-12 preferred peers are dialled beyond the free slots, and take those of others", () =>
    inWorld(Effect.gen(function*() {
      for (const i of [10, 11, 12, 13]) yield* launch(i)
      const config = { targetPeerConnections: 2, knownPeers: [10, 11].map(ipOf), preferredPeers: [12, 13].map(ipOf) }
      const { blackHole, restore } = yield* LoopbackTransport.LoopbackNetwork
      for (const i of [12, 13]) yield* blackHole(addressOf(i))
      const { overlay } = yield* launch(1, { config })
      yield* Effect.sleep("10 seconds")
      assert.sameMembers(
        overlay.peers.authenticated("initiator").map(({ address }) => address.host),
        [10, 11].map(ipOf)
      )
      for (const i of [12, 13]) yield* restore(addressOf(i))
      yield* Effect.sleep("2 minutes")
      assert.sameMembers(
        overlay.peers.authenticated("initiator").map(({ address }) => address.host),
        [12, 13].map(ipOf)
      )
    })))

  it.effect("OVM-03 without a free pending slot a tick does nothing, and one slot is kept for promotion", () =>
    inWorld(Effect.gen(function*() {
      const world = yield* World.World
      const { blackHole } = yield* LoopbackTransport.LoopbackNetwork
      const holes = [60, 61, 62, 63, 64]
      for (const i of holes) yield* blackHole(addressOf(i))
      const log: Array<string> = []
      const { overlay } = yield* launch(1, {
        config: { knownPeers: holes.map(ipOf), connectTimeoutMillis: 60_000 },
        peers: { limits: { maxOutboundPending: 3 } }
      })
      listen(overlay.peerManager, () => world.millis, log)
      yield* Effect.sleep(2500)
      assert.deepStrictEqual(log.slice(2, -1), ["2000 preferred 3", "2000 outbound 2", "2000 inbound 1"])
      assert.deepStrictEqual(counts(overlay.peers).pending, [0, 2])
      log.length = 0
      yield* Effect.sleep(3000)
      // One slot is free: it goes to an outbound address when there is one, as p - 1 would be none.
      assert.deepStrictEqual(log.slice(0, -1), ["5000 preferred 1", "5000 outbound 1"])
      assert.deepStrictEqual(counts(overlay.peers).pending, [0, 3])
      log.length = 0
      yield* Effect.sleep(3000)
      assert.deepStrictEqual(log, ["8000 anchors"])
    })))

  it.effect("O5 OVM-03 a defect in one tick is no end of ticks", () =>
    inWorld(Effect.gen(function*() {
      let broken = false
      const two = yield* launch(2)
      const { overlay } = yield* launch(1, {
        config: { knownPeers: [ipOf(2)] },
        host: hostWith(() => {
          if (broken) throw new Error("injected")
          return {}
        })
      })
      broken = true
      yield* Effect.sleep("4 seconds")
      assert.strictEqual(overlay.peers.registry.size, 0)
      broken = false
      yield* Effect.sleep("6 seconds")
      assert.isDefined(overlay.peers.get(two.overlay.local.handshake.id))
    })))

  it.effect("OVM-20 OMG-002 inbound addresses are promoted: in the end everybody knows everybody as outbound", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* launch(1, { config: { knownPeers: [ipOf(2)] } })
      const two = yield* launch(2)
      const three = yield* launch(3, { config: { knownPeers: [ipOf(1)] } })
      const type = (of: TestNode.TestNode, about: TestNode.TestNode) => of.overlay.peerManager.get(about.address)?.type
      const isKnown = (of: TestNode.TestNode, about: TestNode.TestNode) => type(of, about) !== undefined
      const isOutbound = (of: TestNode.TestNode, about: TestNode.TestNode) => type(of, about) === PeerType.Outbound
      yield* Effect.sleep(2001)
      assert.isTrue(isKnown(one, two) && isKnown(three, one))
      yield* Effect.sleep("10 seconds")
      assert.isTrue(isOutbound(one, two) && isKnown(one, three) && isKnown(two, one) && isOutbound(three, one))
      yield* Effect.sleep("30 seconds")
      assert.isTrue(isOutbound(one, three) && isOutbound(two, one))
      yield* Effect.sleep("30 seconds")
      for (const  of of[one, two, three]) {
        for (const about of [one, two, three]) if (of !== about) assert.isTrue(isOutbound(of, about))
      }
      // And not more than one connection each.
      assert.deepStrictEqual([one, two, three].map((node) => counts(node.overlay.peers).size), [2, 2, 2])
    })))

  it.effect("OMG-001 PEE-05 PEE-10 nodes that find one another saturated find the next", () =>
    inWorld(Effect.gen(function*() {
      const config = { targetPeerConnections: 1, maxAdditionalPeerConnections: 1, knownPeers: [ipOf(9)] }
      const head = yield* TestNode.launch({
        name: "head",
        ip: ipOf(9),
        peers: { limits: { maxInbound: 1, maxOutbound: 0 } }
      })
      const nodes = [yield* launch(1, { config })]
      const sum = (all: ReadonlyArray<TestNode.TestNode>) => all.reduce((n, node) => n + linked(node), 0)
      yield* Effect.sleep("3 seconds")
      assert.strictEqual(sum([head, ...nodes]), 2)
      nodes.push(yield* launch(2, { config }))
      yield* Effect.sleep("20 seconds")
      assert.strictEqual(sum([head, ...nodes]), 4)
      nodes.push(yield* launch(3, { config }))
      yield* Effect.sleep("30 seconds")
      assert.strictEqual(sum([head, ...nodes]), 6)
      yield* head.stop
      yield* Effect.sleep("32 seconds")
      assert.strictEqual(sum(nodes), 6)
    })))
})

describe("slots of the overlay", () => {
  it.effect("OVM-09 OVM-14 random lists are shuffled, respect the direction, and together are all", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* launch(1, { config: { runStandalone: false } })
      const others: Array<TestNode.TestNode> = []
      for (let i = 2; i < 8; i++) others.push(yield* launch(i, { config: { listen: true } }))
      for (const [i, other] of others.entries()) {
        if (i < 3) yield* node.overlay.connect(other.address)
        else yield* other.overlay.connect(node.address)
      }
      const { peers } = node.overlay
      const ids = (list: ReadonlyArray<{ readonly id: string }>) => list.map(({ id }) => id)
      assert.strictEqual(peers.authenticated("initiator").length, 3)
      assert.strictEqual(peers.authenticated("acceptor").length, 3)
      assert.sameMembers(ids(peers.authenticated()), [
        ...ids(peers.authenticated("initiator")),
        ...ids(peers.authenticated("acceptor"))
      ])
      const firsts = new Map<string, number>()
      const draws = 6000
      for (let i = 0; i < draws; i++) {
        const order = ids(peers.randomAuthenticated())
        assert.strictEqual(new Set(order).size, 6)
        firsts.set(order[0]!, (firsts.get(order[0]!) ?? 0) + 1)
      }
      for (const count of firsts.values()) assert.closeTo(count, draws / 6, 150) // 5 standard deviations
      assert.sameMembers(ids(peers.randomAuthenticated("initiator")), ids(peers.authenticated("initiator")))
      assert.sameMembers(ids(peers.randomAuthenticated("acceptor")), ids(peers.authenticated("acceptor")))
    })))

  it.effect("OVM-02 OVM-01 shutdown tells everybody, inbound first, and frees the port before anything else", () =>
    Effect.gen(function*() {
      const events: Array<OverlayEvent> = []
      const report = yield* World.simulate(
        Effect.gen(function*() {
          const net = yield* LoopbackTransport.LoopbackNetwork
          const node = yield* launch(1, { onEvent: (event) => void events.push(event) })
          const others: Array<TestNode.TestNode> = []
          const ends: Array<string> = []
          for (let i = 2; i < 6; i++) {
            others.push(
              yield* launch(i, {
                onEvent: (event) => {
                  if (event._tag === "PeerDropped") ends.push(event.reason.detail)
                }
              })
            )
          }
          for (const [i, other] of others.entries()) {
            if (i < 2) yield* node.overlay.connect(other.address)
            else yield* other.overlay.connect(node.address)
          }
          // One more has connected and says nothing, one is being dialled and does not answer.
          const silent = yield* net.transportAt(ipOf(20)).dial(node.address, { timeoutMillis: 1000 })
          yield* net.blackHole(addressOf(21))
          node.overlay.peers.dial(addressOf(21), { force: true })
          yield* Effect.sleep(50)
          assert.deepStrictEqual(counts(node.overlay.peers), { pending: [1, 1], authenticated: [2, 2], size: 6 })
          events.length = 0
          yield* Effect.all([node.overlay.shutdown, node.overlay.shutdown], { concurrency: 2 })
          assert.deepStrictEqual(counts(node.overlay.peers), idle)
          assert.deepStrictEqual(
            events.flatMap((event) => event._tag === "PeerDropped" ? [`${event.role} ${event.reason._tag}`] : []),
            [...Array<string>(3).fill("acceptor Shutdown"), ...Array<string>(3).fill("initiator Shutdown")]
          )
          yield* Effect.sleep(100)
          assert.deepStrictEqual(ends, Array<string>(4).fill("ERR_MISC (shutdown)"))
          const bytes = (yield* silent.pull).reduce((n, chunk) => n + chunk.length, 0)
          assert.isAbove(bytes, 0, "the one that said nothing is told too")
          // The port is free, nobody is taken and nobody is dialled any more.
          const refused = yield* Effect.flip(net.transportAt(ipOf(20)).dial(node.address, { timeoutMillis: 1000 }))
          assert.strictEqual(refused.kind, "Refused")
          assert.isFalse(node.overlay.peers.dial(others[0]!.address, { force: true }))
          yield* Effect.sleep("1 minute")
          assert.deepStrictEqual(counts(node.overlay.peers), idle)
          for (const other of others) yield* other.stop
          yield* node.stop
        }).pipe(
          Effect.scoped,
          Effect.andThen(LoopbackTransport.LoopbackNetwork.use(({ links }) => links)),
          Effect.provide(network)
        )
      )
      assert.deepStrictEqual(report.exit._tag === "Success" ? report.exit.value.length : String(report.exit), 0)
      assert.deepStrictEqual(report.pending, { tasks: 0, timers: 0 })
    }))
})
