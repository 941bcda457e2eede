/**
 * Slots: never more connections than there are, and all of them given back, whatever happens to a connection.
 */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as World from "@stellar-overlay/overlay-test/World"
import { BanList } from "@stellar-overlay/overlay/BanList"
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Context, Effect } from "effect"
import { addressOf, counts, idle, ipOf, knows, type Quiet, quiet } from "./network.ts"

const LATENCY = 10
const network = LoopbackTransport.layerNetwork({ latencyMillis: LATENCY })
const inWorld = <A, E, R>(program: Effect.Effect<A, E, R>) => World.run(Effect.provide(program, network), { seed: 3 })

/** Dials, and holds everything the dialler says back: the connection stands and no HELLO arrives. */
const dialCorked = Effect.fnUntraced(function*(from: Quiet, to: Quiet) {
  const { links } = yield* LoopbackTransport.LoopbackNetwork
  const wasStarted = from.dial(to)
  yield* Effect.sleep(2.5 * LATENCY)
  for (const link of yield* links) {
    if (link.dialer.host === from.address.host && link.listener.host === to.address.host) yield* link.cork("toListener")
  }
  return wasStarted
})

const three = { maxInboundPending: 3, maxOutboundPending: 3 }
const timeouts = (node: Quiet) => node.drops().filter((tag) => tag === "HandshakeTimeout").length

describe("slots", () => {
  for (const preferred of [false, true]) {
    const title = preferred
      ? "HSK-018 OVM-12 OVM-13 two more pending callers are let in where a preferred peer may be"
      : "HSK-017 OVM-13 CON-06 pending callers are let in up to the limit, and no byte goes to the next one"
    it.effect(title, () =>
      inWorld(Effect.gen(function*() {
        const { links } = yield* LoopbackTransport.LoopbackNetwork
        const one = yield* quiet(1)
        const two = yield* quiet(2, { peers: { limits: three } })
        const [third, four, five] = [yield* quiet(3), yield* quiet(4), yield* quiet(5)]
        if (preferred) two.manager.storeConfigPeers({ known: [], preferred: [PeerAddress.make(ipOf(5), 17)] })

        yield* Effect.all([dialCorked(one, two), dialCorked(third, two)], { concurrency: 2 })
        four.dial(two)
        yield* Effect.sleep(2.2 * LATENCY) // connected, HELLO is on its way
        assert.deepStrictEqual(counts(two.peers).pending, [3, 0])
        five.dial(two)
        yield* Effect.sleep(0.5 * LATENCY)
        assert.deepStrictEqual(counts(two.peers).pending, [3, 0], "the dial of 5 takes two latencies")
        // 4 has authenticated when 5 arrives, unless it is held back.
        for (const link of yield* links) if (link.dialer.host === ipOf(4)) yield* link.cork("toListener")
        yield* Effect.sleep(2 * LATENCY)
        assert.deepStrictEqual(counts(two.peers).pending, [preferred ? 4 : 3, 0])
        assert.deepStrictEqual(two.drops(), preferred ? [] : ["PendingInboundFull"])
        for (const link of yield* links) if (link.dialer.host === ipOf(4)) yield* link.uncork("toListener")
        yield* Effect.sleep("5 seconds")

        assert.deepStrictEqual([one, third, four, five].map((node) => two.isConnectedTo(node)), [
          false,
          false,
          true,
          preferred
        ])
        assert.strictEqual(timeouts(two), 2)
        assert.deepStrictEqual(two.drops().length, preferred ? 2 : 3)
        if (!preferred) {
          // A refused socket ends without a byte.
          assert.deepStrictEqual(five.drops(), ["ReadError"])
          const refused = five.events.filter((event) => event._tag === "PeerHello")
          assert.deepStrictEqual(refused, [])
        }
        const known = (node: Quiet) => [knows(node, two), knows(two, node)]
        // A dial makes the row of the address (protocol.md 9.6); HELLO is what makes it OUTBOUND.
        assert.deepStrictEqual(known(one), ["INBOUND", undefined])
        assert.deepStrictEqual(known(third), ["INBOUND", undefined])
        assert.deepStrictEqual(known(four), ["OUTBOUND", "INBOUND"])
        assert.deepStrictEqual(known(five), preferred ? ["OUTBOUND", "INBOUND"] : ["INBOUND", undefined])
        assert.deepStrictEqual(counts(two.peers), {
          ...idle,
          authenticated: [preferred ? 2 : 1, 0],
          size: preferred ? 2 : 1
        })
      })))
  }

  it.effect("HSK-019 OVM-10 CON-06 dials are made up to the limit of pending ones", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* quiet(1)
      const two = yield* quiet(2, { peers: { limits: three } })
      const [third, four, five] = [yield* quiet(3), yield* quiet(4), yield* quiet(5)]
      const corked = yield* Effect.all([dialCorked(two, one), dialCorked(two, third)], { concurrency: 2 })
      assert.deepStrictEqual(corked, [true, true])
      assert.isTrue(two.dial(four))
      assert.isFalse(two.dial(five))
      assert.deepStrictEqual(two.drops(), ["OutboundFull"])
      assert.deepStrictEqual(counts(two.peers).pending, [0, 3])
      yield* Effect.sleep("5 seconds")
      assert.deepStrictEqual([one, third, four, five].map((node) => two.isConnectedTo(node)), [
        false,
        false,
        true,
        false
      ])
      assert.strictEqual(timeouts(two), 2)
      assert.deepStrictEqual([knows(two, four), knows(four, two)], ["OUTBOUND", "INBOUND"])
      for (const other of [one, third, five]) assert.strictEqual(knows(other, two), undefined)
      assert.deepStrictEqual([knows(two, one), knows(two, third), knows(two, five)], ["INBOUND", "INBOUND", undefined])
      assert.deepStrictEqual(counts(two.peers), { ...idle, authenticated: [0, 1], size: 1 })
    })))

  it.effect("CON-01 a black hole holds its slot until the time configured, and nobody else is delayed", () =>
    inWorld(Effect.gen(function*() {
      const net = yield* LoopbackTransport.LoopbackNetwork
      const one = yield* quiet(1, { config: { connectTimeoutMillis: 4000 } })
      const two = yield* quiet(2)
      const hole = addressOf(66)
      yield* net.blackHole(hole)
      assert.isTrue(one.dial({ address: hole }))
      assert.isTrue(one.dial(two))
      yield* Effect.sleep(3999)
      assert.isTrue(one.isConnectedTo(two))
      assert.deepStrictEqual(counts(one.peers).pending, [0, 1])
      assert.deepStrictEqual(one.drops(), [])
      yield* Effect.sleep(2)
      assert.deepStrictEqual(one.drops(), ["ConnectTimeout"])
      assert.deepStrictEqual(counts(one.peers), { ...idle, authenticated: [0, 1], size: 1 })
    })))

  it.effect("OVM-10 a peer is found by its address while pending and after, and is not dialled twice", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* quiet(1)
      const two = yield* quiet(2)
      const { registry } = one.peers
      assert.isTrue(one.dial(two))
      assert.strictEqual(registry.find(two.address)?.state, "pending")
      assert.isFalse(one.dial(two))
      yield* Effect.sleep("1 second")
      assert.strictEqual(registry.find(two.address)?.state, "authenticated")
      assert.isFalse(one.dial(two))
      assert.deepStrictEqual(one.drops(), ["AlreadyConnected", "AlreadyConnected"])
      // The caller is found by the port it announced; only a promotion may dial it all the same.
      assert.strictEqual(two.peers.registry.find(one.address)?.role, "acceptor")
      assert.isFalse(two.dial(one))
      assert.isTrue(two.peers.dial(one.address, { promotion: true, force: true }))
      yield* two.peers.shutdown
      assert.isFalse(two.dial({ address: addressOf(9) }))
      assert.strictEqual(two.peers.registry.size, 0)
    })))

  it.effect("OVM-02 peers without an overlay are told, too, when the scope of their layer closes", () =>
    inWorld(Effect.gen(function*() {
      const two = yield* quiet(2)
      yield* Effect.scoped(Effect.gen(function*() {
        const one = yield* quiet(1)
        one.dial(two)
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(counts(two.peers).authenticated, [1, 0])
      }))
      yield* Effect.sleep("1 second")
      assert.deepStrictEqual(two.drops(), ["ShutdownReceived"])
      assert.deepStrictEqual(counts(two.peers), idle)
    })))

  it.effect("OVM-23 OVM-14 OVM-16 lists and counts are right in every step of a handshake", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* quiet(1)
      const two = yield* quiet(2)
      const seen: Array<string> = []
      const note = (name: string, node: Quiet) => {
        const push = node.events.push.bind(node.events)
        node.events.push = (...all) => {
          const { authenticated, pending, size } = counts(node.peers)
          for (const event of all) seen.push(`${name} ${event._tag} ${pending} ${authenticated} ${size}`)
          return push(...all)
        }
      }
      note("1", one)
      note("2", two)
      one.dial(two)
      yield* Effect.sleep("1 second")
      two.peers.drop(one.id, DropReason.make("DroppedByUser"))
      assert.deepStrictEqual(counts(two.peers).authenticated, [0, 0], "the slot is free at once")
      assert.strictEqual(two.peers.registry.closingCount, 1)
      yield* Effect.sleep("1 second")
      assert.deepStrictEqual(seen, [
        "1 PeerConnecting 0,1 0,0 1",
        "1 PeerConnected 0,1 0,0 1",
        "2 PeerConnected 1,0 0,0 1",
        "2 PeerHello 1,0 0,0 1",
        "1 PeerHello 0,1 0,0 1",
        "2 PeerAuthenticated 0,0 1,0 1",
        "1 PeerAuthenticated 0,0 0,1 1",
        "2 PeerDropped 0,0 0,0 1",
        "1 PeerDropped 0,0 0,0 1"
      ])
      assert.deepStrictEqual([counts(one.peers), counts(two.peers)], [idle, idle])
    })))

  it.effect("CON-06 OVM-13 a thousand callers at once never exceed a limit, and every slot comes back", () =>
    inWorld(Effect.gen(function*() {
      const net = yield* LoopbackTransport.LoopbackNetwork
      const limits = { maxInbound: 5, maxInboundPending: 40 }
      const node = yield* quiet(1, { peers: { limits } })
      let most = [0, 0]
      const push = node.events.push.bind(node.events)
      node.events.push = (...all) => {
        const { authenticated, pending } = counts(node.peers)
        most = [Math.max(most[0]!, pending[0]!), Math.max(most[1]!, authenticated[0]!)]
        return push(...all)
      }
      for (let i = 2; i < 12; i++) (yield* quiet(i)).dial(node)
      // The others connect and say nothing.
      const callers = Array.from({ length: 990 }, (_, i) => net.transportAt(`20.${i % 250}.${i >> 2}.1`))
      yield* Effect.forEach(callers, (transport) =>
        transport.dial(node.address, { timeoutMillis: 60_000 }).pipe(
          Effect.flatMap((connection) => connection.pull),
          Effect.exit,
          Effect.scoped
        ), { concurrency: "unbounded", discard: true })
      assert.isAtMost(most[0]!, 40)
      assert.strictEqual(most[0], 40)
      assert.isAtMost(most[1]!, 5)
      yield* Effect.sleep("10 seconds")
      assert.deepStrictEqual(counts(node.peers).pending, [0, 0])
      assert.strictEqual(counts(node.peers).size, counts(node.peers).authenticated[0])
      assert.isTrue(node.events.filter((event) => event._tag === "PeerDropped").length >= 990)
    })))

  it.effect("CON-06 CON-05 whatever ends a connection, its slot comes back once", () =>
    Effect.gen(function*() {
      const reasons = new Set<string>()
      yield* World.runSeeds(12, () =>
        Effect.gen(function*() {
          const net = yield* LoopbackTransport.LoopbackNetwork
          const world = yield* World.World
          const draw = world.random("test")
          const below = (n: number) => draw.nextBelowUnsafe(n)
          yield* net.blackHole(addressOf(77))
          const nodes: Array<Quiet> = []
          for (let i = 1; i <= 5; i++) {
            nodes.push(
              yield* quiet(i, {
                config: { connectTimeoutMillis: 700 },
                peers: { limits: { maxInbound: 2, maxOutbound: 2, maxOutboundPending: 3 } }
              })
            )
          }
          const refusedDials = new Map<Quiet, number>()
          const count = (node: Quiet, started: boolean) =>
            void (started || refusedDials.set(node, (refusedDials.get(node) ?? 0) + 1))
          const dial = (node: Quiet, address: PeerAddress) => Effect.sync(() => count(node, node.dial({ address })))
          const steps: Array<
            (node: Quiet, other: Quiet) => Effect.Effect<unknown, never, LoopbackTransport.LoopbackNetwork>
          > = [
            (node, other) => dial(node, other.address),
            (node) => dial(node, addressOf(77)), // not answered
            (node) => dial(node, addressOf(78)), // refused
            (node) => dial(node, node.address), // itself
            (node, other) => Effect.sync(() => node.peers.drop(other.id, DropReason.make("DroppedByUser"))),
            (node, other) =>
              Effect.sync(() => Context.get(node.services, BanList).ban(other.id, { untilMillis: world.millis + 1 })),
            () =>
              Effect.flatMap(
                net.links,
                (links) => links.length === 0 ? Effect.void : links[below(links.length)]!.sever
              ),
            (node, other) => Effect.map(dialCorked(node, other), (started) => count(node, started)) // no HELLO
          ]
          for (let i = 0; i < 120; i++) {
            yield* Effect.sleep(below(60))
            yield* steps[below(steps.length)]!(nodes[below(5)]!, nodes[below(5)]!)
            for (const { peers: { registry } } of nodes) {
              assert.isAtMost(registry.authenticatedCount("acceptor"), 2)
              assert.isAtMost(registry.authenticatedCount("initiator"), 2)
              assert.isAtMost(registry.pendingCount("initiator"), 3)
              assert.strictEqual(registry.all().length + registry.closingCount, registry.size)
            }
          }
          yield* Effect.all(nodes.map((node) => node.peers.shutdown), { concurrency: "unbounded" })
          for (const node of nodes) {
            assert.deepStrictEqual(counts(node.peers), idle)
            const begun = node.events.filter((event) =>
              event._tag === "PeerConnecting" || (event._tag === "PeerConnected" && event.role === "acceptor")
            ).length
            const refusedCallers = node.drops().filter((tag) =>
              tag === "PendingInboundFull" || tag === "PerAddressLimit" || tag === "HandshakeRateLimited"
            ).length
            assert.strictEqual(node.drops().length, begun + (refusedDials.get(node) ?? 0) + refusedCallers)
            for (const tag of node.drops()) {
              reasons.add(tag)
            }
          }
          yield* Effect.sleep(1) // the sockets themselves are closed by those who opened them
          assert.strictEqual((yield* net.links).length, 0)
        }).pipe(Effect.provide(network)))
      for (
        const tag of [
          "ConnectionRefused",
          "ConnectTimeout",
          "ConnectingToSelf",
          "DroppedByUser",
          "ReadError",
          "HandshakeTimeout",
          "Shutdown",
          "PeerRejected"
        ]
      ) assert.include([...reasons], tag)
    }))
})
