/**
 * A node under attack: honest peers get in and stay, and what the attacker cost is gone when he is.
 */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import * as World from "@stellar-overlay/overlay-test/World"
import { BanList } from "@stellar-overlay/overlay/BanList"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import * as PeersConfig from "@stellar-overlay/overlay/PeersConfig"
import { Transport } from "@stellar-overlay/overlay/Transport"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { SendMore } from "@stellar-overlay/overlay/wire/StellarMessage"
import { Context, Effect } from "effect"
import { counts, ipOf, type Quiet, quiet, type Settings } from "./network.ts"

const network = LoopbackTransport.layerNetwork({ latencyMillis: 10 })
const inWorld = <A, E, R>(program: Effect.Effect<A, E, R>, seed: number | string = 1) =>
  World.run(Effect.provide(program, network), { seed })

/** The highest count of pending callers seen, of one host or subnet and in all. */
const watchPending = (node: Quiet) => {
  const most = { all: 0, host: 0, subnet24: 0, subnet16: 0 }
  const names = ["host", "subnet24", "subnet16"] as const
  const push = node.events.push.bind(node.events)
  let calls = 0
  node.events.push = (...all) => {
    most.all = Math.max(most.all, node.peers.registry.pendingCount("acceptor"))
    const groups = new Map<string, number>()
    for (const entry of calls++ % 20 === 0 ? node.peers.registry.pending("acceptor") : []) {
      for (const [i, name] of names.entries()) {
        const key = `${name} ${entry.groups[i]}`
        const count = (groups.get(key) ?? 0) + 1
        groups.set(key, count)
        most[name] = Math.max(most[name], count)
      }
    }
    return push(...all)
  }
  return most
}

/** Connects from an address and says nothing until it is thrown out. */
const lurk = (ip: string, target: PeerAddress) =>
  LoopbackTransport.LoopbackNetwork.use((net) =>
    net.transportAt(ip).dial(target, { timeoutMillis: 2000 }).pipe(
      Effect.flatMap((connection) => connection.pull),
      Effect.exit,
      Effect.scoped
    )
  )

/** A thousand connections a second for some seconds, from addresses that `ip` gives. */
const flood = (target: PeerAddress, seconds: number, ip: (i: number) => string) =>
  Effect.forEach(
    Array.from({ length: seconds * 1000 }, (_, i) => i),
    (i) => Effect.andThen(Effect.sleep(i), lurk(ip(i), target)),
    { concurrency: "unbounded", discard: true }
  )

/** A peer whose every byte the test decides, dialling from an address. */
const scripted = (ip: string, target: PeerAddress, options: ScriptedPeer.Options = {}) =>
  LoopbackTransport.LoopbackNetwork.use((net) =>
    ScriptedPeer.connect(target, { seed: ip, ...options }).pipe(Effect.provideService(Transport, net.transportAt(ip)))
  )

const dropsOf = (events: ReadonlyArray<OverlayEvent>, host: string) =>
  events.flatMap((event) => event._tag === "PeerDropped" && event.address.host === host ? [event.reason._tag] : [])

describe("floods of connections", () => {
  const floods: Record<string, (i: number) => string> = {
    "one host": () => "20.0.0.1",
    "one /24": (i) => `20.0.0.${i % 250}`,
    "one /16": (i) => `20.0.${i % 250}.${i % 249}`,
    "250 hosts of as many /16": (i) => `20.${i % 250}.0.1`,
    "thousands of /16": (i) => `${20 + (i >> 8)}.${i % 256}.0.1`
  }
  for (const [from, ip] of Object.entries(floods)) {
    it.effect(`T1 H18 CON-06 a thousand silent callers a second from ${from} keep no honest peer out`, () =>
      inWorld(Effect.gen(function*() {
        const node = yield* quiet(1)
        const most = watchPending(node)
        const honest: Array<Quiet> = []
        for (let i = 2; i < 7; i++) honest.push(yield* quiet(i))
        yield* Effect.forkScoped(flood(node.address, 2, ip))
        yield* Effect.sleep("1 second")
        for (const other of honest) other.dial(node)
        yield* Effect.sleep("900 millis")
        assert.deepStrictEqual(honest.map((other) => other.isConnectedTo(node)), [true, true, true, true, true])
        assert.isAtMost(most.all, 444)
        assert.isAtMost(most.host, 4)
        assert.isAtMost(most.subnet24, 16)
        assert.isAtMost(most.subnet16, 64)
        yield* Effect.sleep("6 seconds")
        assert.deepStrictEqual(counts(node.peers), { pending: [0, 0], authenticated: [5, 0], size: 5 })
      })))
  }

  it.effect("T1 with the preset core the limit is all there is, and a flood keeps others out", () =>
    inWorld(Effect.gen(function*() {
      const unlimited = { maxPendingPerAddress: 1e9, maxPendingPerSubnet24: 1e9, maxPendingPerSubnet16: 1e9 }
      const node = yield* quiet(1, { config: unlimited, peers: PeersConfig.core })
      const most = watchPending(node)
      const honest = yield* quiet(2)
      yield* Effect.forkScoped(flood(node.address, 2, () => "20.0.0.1"))
      yield* Effect.sleep("1500 millis")
      honest.dial(node)
      yield* Effect.sleep("400 millis")
      assert.isFalse(honest.isConnectedTo(node))
      assert.strictEqual(most.all, 444)
    })))

  it.effect("T13 a host that reconnects a thousand times a second is heard five times a second after a burst of twenty", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* quiet(1)
      const net = yield* LoopbackTransport.LoopbackNetwork
      // Gone before the next one comes, so that the limit of four handshakes at a time does not count.
      const knock = net.transportAt("20.0.0.1").dial(node.address, { timeoutMillis: 2000 }).pipe(
        Effect.scoped,
        Effect.exit
      )
      yield* Effect.forEach(
        Array.from({ length: 10_000 }, (_, i) => i),
        (i) => Effect.andThen(Effect.sleep(i), knock),
        { concurrency: "unbounded", discard: true }
      )
      const heard = node.events.filter((event) => event._tag === "PeerConnected").length
      assert.isAtMost(heard, 20 + 10 * 5 + 1)
      assert.isAtLeast(heard, 10 * 5) // of the burst, some find four handshakes under way
      yield* Effect.sleep("3 seconds")
      assert.strictEqual(dropsOf(node.events, "20.0.0.1").length, 10_000, "each is counted once")
      assert.strictEqual(node.peers.registry.size, 0)
    })))

  it.effect("T13 loopback is exempt on a test network", () =>
    inWorld(Effect.gen(function*() {
      const net = yield* LoopbackTransport.LoopbackNetwork
      const node = yield* quiet(1)
      const transport = net.transportAt("127.0.0.1")
      const listener = yield* transport.listen({ host: "127.0.0.1", port: 5000 })
      yield* Effect.forkScoped(listener.run(node.peers.accept))
      for (let i = 0; i < 100; i++) yield* Effect.scoped(transport.dial(listener.address, { timeoutMillis: 100 }))
      yield* Effect.sleep("1 second")
      assert.strictEqual(node.events.filter((event) => event._tag === "PeerConnected").length, 100)
    })))
})

describe("hostile handshakes", () => {
  it.effect("H16 a storm of well-formed HELLOs with bad signatures costs 20 checks a second and host", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* quiet(1, { peers: { accepts: PeersConfig.core.accepts! } })
      const { crypto } = Context.get(node.services, LocalNode)
      let checks = 0
      const { ed25519Verify } = crypto
      Object.assign(crypto, {
        ed25519Verify: (...args: Parameters<typeof ed25519Verify>) => {
          checks++
          return ed25519Verify(...args)
        }
      })
      const wrong = { hello: { certificate: { damage: (signature: Uint8Array) => void (signature[0]! ^= 1) } } }
      const attack = (ip: string) =>
        scripted(ip, node.address, wrong).pipe(
          Effect.flatMap((peer) =>
            Effect.andThen(Effect.exit(peer.handshake("GotHello")), peer.expectClosed({ within: 3000 }))
          ),
          Effect.exit,
          Effect.scoped
        )
      const storm = (seconds: number, perSecond: number, ip: (i: number) => string) =>
        Effect.forEach(
          Array.from({ length: seconds * perSecond }, (_, i) => i),
          (i) => Effect.andThen(Effect.sleep(i * 1000 / perSecond), attack(ip(i))),
          { concurrency: "unbounded", discard: true }
        )
      const honest = yield* quiet(2)
      yield* Effect.forkScoped(storm(3, 200, () => "20.0.0.1"))
      yield* Effect.sleep("2500 millis")
      honest.dial(node)
      yield* Effect.sleep("2500 millis")
      assert.isTrue(honest.isConnectedTo(node))
      // A burst of 40, 20 a second, and the honest one.
      assert.isAtMost(checks, 40 + 20 * 5 + 1)
      assert.isAtLeast(checks, 40)
      assert.include(dropsOf(node.events, "20.0.0.1"), "HandshakeRateLimited")
    })))

  it.effect("H15 T13 who breaks the protocol is not heard for a minute, whatever key he comes with next", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* quiet(1)
      const visit = (seed: number) =>
        Effect.scoped(Effect.gen(function*() {
          const peer = yield* scripted("20.0.0.1", node.address, { seed })
          yield* peer.handshake()
          yield* peer.say(SendMore.make({ numMessages: 1 }))
          yield* peer.expectClosed({ error: "silent" })
        }))
      yield* visit(1)
      // 20 tokens, less one for the visit, less 300 for the violation: at 5 a second that is 56 s and a bit.
      for (let i = 0; i < 56; i++) {
        assert.strictEqual((yield* Effect.exit(visit(2 + i)))._tag, "Failure", `after ${i} s`)
        yield* Effect.sleep("1 second")
      }
      yield* Effect.sleep("1 second")
      yield* visit(100)
      assert.strictEqual(dropsOf(node.events, "20.0.0.1").filter((tag) => tag === "UnexpectedSendMore").length, 2)
      // Another host is heard all the time.
      const other = yield* quiet(2)
      other.dial(node)
      yield* Effect.sleep("1 second")
      assert.isTrue(other.isConnectedTo(node))
    })))

  it.effect("H15 T13 bytes that prove nothing against a host silence it for seconds, not for a minute", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* quiet(1)
      // A HELLO that came damaged, and a frame after the handshake whose MAC does not fit.
      for (const authenticated of [false, true]) {
        const host = authenticated ? "20.0.0.2" : "20.0.0.1"
        const visit = (damaged: boolean) =>
          Effect.scoped(Effect.gen(function*() {
            const peer = yield* scripted(host, node.address)
            if (authenticated || !damaged) yield* peer.handshake()
            if (damaged) yield* peer.sayFrame(new Uint8Array(64).fill(7))
            if (damaged) yield* peer.expectClosed()
          }))
        yield* visit(true)
        // 20 tokens, less one for the visit, less 20 for the garbage: at 5 a second the next is there after 400 ms.
        assert.strictEqual((yield* Effect.exit(visit(false)))._tag, "Failure")
        yield* Effect.sleep("500 millis")
        yield* visit(false)
        assert.deepStrictEqual(
          dropsOf(node.events, host).filter((tag) => tag !== "ShutdownReceived" && tag !== "RemoteClosed"),
          ["CorruptXdr", "HandshakeRateLimited"]
        )
      }
    })))

  it.effect("H15 BAN-02 a banned node that calls and calls is heard less often", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* quiet(1)
      const banned = yield* quiet(2)
      Context.get(node.services, BanList).ban(banned.id)
      for (let i = 0; i < 30; i++) {
        banned.dial(node)
        yield* Effect.sleep("1 second")
      }
      const tags = dropsOf(node.events, ipOf(2))
      assert.strictEqual(tags.length, 30)
      // Each call costs 21 tokens of a budget of 20 and 5 a second.
      assert.isAtMost(tags.filter((tag) => tag === "NodeBanned").length, 9)
      assert.sameMembers([...new Set(tags)], ["NodeBanned", "HandshakeRateLimited"])
    })))

  it.effect("H18 four handshakes of one host at a time, and the fifth is closed without a byte", () =>
    inWorld(Effect.gen(function*() {
      const net = yield* LoopbackTransport.LoopbackNetwork
      const node = yield* quiet(1)
      const dial = net.transportAt("20.0.0.1").dial(node.address, { timeoutMillis: 1000 })
      for (let i = 0; i < 4; i++) yield* dial
      const fifth = yield* dial
      const error = yield* Effect.flip(fifth.pull)
      assert.include(["Eof", "Reset"], error.kind)
      assert.deepStrictEqual(dropsOf(node.events, "20.0.0.1"), ["PerAddressLimit"])
      const honest = yield* quiet(2)
      honest.dial(node)
      yield* Effect.sleep("1 second")
      assert.isTrue(honest.isConnectedTo(node))
    })))

  it.effect("H11 HSK-10 ten dials and calls between two nodes at once leave one connection", () =>
    Effect.gen(function*() {
      const links = yield* World.runSeeds(20, () =>
        Effect.gen(function*() {
          const one = yield* quiet(1)
          const two = yield* quiet(2)
          const { random } = yield* World.World
          const draw = random("test")
          yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], (i) =>
            Effect.andThen(
              Effect.sleep(draw.nextBelowUnsafe(40)),
              Effect.sync(() => (i % 2 === 0 ? one.dial(two) : two.dial(one)))
            ), { concurrency: "unbounded" })
          yield* Effect.sleep("1 second")
          return [counts(one.peers).size, counts(two.peers).size, one.isConnectedTo(two), two.isConnectedTo(one)]
        }).pipe(Effect.provide(network)))
      for (const result of links) assert.deepStrictEqual(result, [1, 1, true, true])
    }))
})

describe("squatting", () => {
  const full: Settings = { peers: { limits: { maxInbound: 8 } } }

  /** Eight callers, of which the first two tell something new. */
  const squat = Effect.fnUntraced(function*(node: Quiet) {
    const callers: Array<Quiet> = []
    for (let i = 10; i < 18; i++) {
      const caller = yield* quiet(i)
      caller.dial(node)
      callers.push(caller)
      yield* Effect.sleep("1 second")
    }
    assert.strictEqual(counts(node.peers).authenticated[0], 8)
    return callers
  })

  it.effect("P9 PEE-05 idle callers make room after ten minutes, one for each newcomer; useful ones never do", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* quiet(1, full)
      const callers = yield* squat(node)
      for (const caller of callers.slice(0, 2)) node.peers.get(caller.id)!.session.stats.uniqueFloodMessages++
      const early = yield* quiet(20)
      early.dial(node)
      yield* Effect.sleep("9 minutes")
      assert.isFalse(early.isConnectedTo(node))
      yield* Effect.sleep("1 minute")
      const late = yield* quiet(21)
      late.dial(node)
      yield* Effect.sleep("5 seconds")
      assert.isTrue(late.isConnectedTo(node))
      const gone = callers.filter((caller) => !caller.isConnectedTo(node))
      assert.strictEqual(gone.length, 1)
      assert.notInclude(callers.slice(0, 2), gone[0])
      assert.deepStrictEqual(dropsOf(node.events, gone[0]!.address.host), ["InboundEvicted"])
      assert.deepStrictEqual(gone[0]!.drops(), ["LoadErrorReceived"])
    })))

  it.effect("P9 where nobody tells anything new, nobody goes", () =>
    inWorld(Effect.gen(function*() {
      const node = yield* quiet(1, full)
      yield* squat(node)
      yield* Effect.sleep("11 minutes")
      const late = yield* quiet(21)
      late.dial(node)
      yield* Effect.sleep("1 second")
      assert.deepStrictEqual(late.drops(), ["LoadErrorReceived"])
    })))
})

describe("what is left", () => {
  it.effect("T1 T13 H16 after an attack of every kind the node is as small as before", () =>
    Effect.gen(function*() {
      const report = yield* World.simulate(
        Effect.gen(function*() {
          const { links } = yield* LoopbackTransport.LoopbackNetwork
          yield* Effect.scoped(Effect.gen(function*() {
            const node = yield* quiet(1)
            yield* flood(node.address, 1, (i) => `20.${i % 200}.0.1`)
            yield* Effect.scoped(Effect.gen(function*() {
              const peer = yield* scripted("30.0.0.1", node.address)
              yield* peer.handshake()
              yield* Effect.sleep("1 second")
              assert.strictEqual(node.peers.registry.authenticatedCount(), 1)
            }))
            yield* Effect.sleep("5 seconds")
            assert.strictEqual(node.peers.registry.size, 0)
          }))
          yield* Effect.sleep(1)
          return (yield* links).length
        }).pipe(Effect.provide(network))
      )
      assert.deepStrictEqual(report.exit._tag === "Success" ? report.exit.value : String(report.exit), 0)
      assert.deepStrictEqual(report.pending, { tasks: 0, timers: 0 })
    }))
})
