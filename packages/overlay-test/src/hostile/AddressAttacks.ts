/**
 * Attacks on the addresses a node knows, and on its slots: P1, P4 to P10.
 *
 * @since 0.1.0
 */
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import { PeerManager } from "@stellar-overlay/overlay/PeerManager"
import { Peers } from "@stellar-overlay/overlay/Peers"
import { makeMemory, PeerStore, PeerType } from "@stellar-overlay/overlay/PeerStore"
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Peers as PeersMessage, SendMoreExtended } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ScriptedPeer from "../ScriptedPeer.ts"
import * as TestNode from "../TestNode.ts"
import {
  atMost,
  type Attackers,
  equal,
  holds,
  type NodeCase,
  type OverlayAttack,
  overlayAttack,
  type Victim
} from "./OverlayAttack.ts"
import { repeated, words } from "./parts.ts"
import * as Validators from "./Validators.ts"

const at = (host: string, port = 11_625) => PeerAddress.make(host, port)

const managerOf = ({ inside }: Victim) => Context.get(inside.services, PeerManager)

/** PEERS of IPv6 addresses, 16 bytes each, whatever they mean. */
const ipv6 = (...ips: ReadonlyArray<ReadonlyArray<number>>): Uint8Array => {
  const bytes = new Uint8Array(8 + 28 * ips.length)
  bytes.set(words(MessageType.Peers, ips.length))
  for (const [i, ip] of ips.entries()) {
    bytes.set(words(1), 8 + 28 * i)
    bytes.set(ip, 12 + 28 * i)
    bytes.set(words(11_625, 0), 28 + 28 * i)
  }
  return bytes
}

const zeros = (count: number) => repeated(count, () => 0)

/** Is dialled by the victim, and tells it addresses. */
const tell = Effect.fnUntraced(function*(
  attackers: Attackers,
  ip: string,
  addresses: ReadonlyArray<PeerAddress> | Uint8Array
) {
  const peer = yield* attackers.called(ip)
  yield* peer.handshake()
  yield* peer.say(addresses instanceof Uint8Array ? addresses : PeersMessage.make({ addresses }))
  peer.script.answersPings = true
  yield* peer.expectOpen(200)
  return peer
})

/**
 * Listens at an address and plays a node there for everybody who dials: authenticates, grants credit, answers pings, and
 * says something new now and then when it is `useful`.
 */
const serve = Effect.fnUntraced(function*(attackers: Attackers, ip: string, useful = false) {
  const listener = yield* attackers.transportAt(ip).listen({ host: ip, port: 11_625 })
  let slot = 1_000_000
  yield* Effect.forkScoped(listener.run((connection) =>
    Effect.gen(function*() {
      const peer = yield* ScriptedPeer.make(connection, { role: "acceptor", seed: `served ${ip}` })
      yield* peer.handshake()
      peer.script.answersPings = true
      while (peer.script.ending === undefined) {
        yield* peer.say(SendMoreExtended.make({ numMessages: 100, numBytes: 100_000 }))
        if (useful) {
          yield* peer.say(Validators.scp({
            by: Validators.validator("somebody"),
            slot: slot++,
            closeTime: 0,
            signature: new Uint8Array(64)
          }))
        }
        yield* peer.expectOpen(5000)
      }
    }).pipe(Effect.scoped, Effect.ignore)
  ))
  return listener.address
})

const dialsTo = (events: ReadonlyArray<OverlayEvent>, isMeant: (address: PeerAddress) => boolean) =>
  events.flatMap((event) => event._tag === "PeerConnecting" && isMeant(event.address) ? [event.address] : [])

const isPublic = { allowLocalhostForTesting: false, allowPrivateAddressesForTesting: false }

/**
 * Addresses that nobody should dial.
 *
 * @category attacks
 * @since 0.1.0
 */
export const p1 = overlayAttack<NodeCase & { addresses: ReadonlyArray<PeerAddress> | Uint8Array; stored: number }>({
  id: "P1",
  title: "addresses that are private, reserved, special or our own are not stored",
  cases: [
    {
      name: "private",
      stored: 0,
      addresses: ["10.3.0.9", "172.16.0.1", "172.31.255.1", "192.168.1.1"].map((h) => at(h))
    },
    { name: "loopback", stored: 0, addresses: ["127.0.0.1", "127.1.2.3"].map((h) => at(h)) },
    { name: "this network", stored: 0, addresses: ["0.0.0.0", "0.1.2.3"].map((h) => at(h)) },
    {
      name: "shared and link-local",
      stored: 0,
      addresses: ["100.64.0.1", "100.127.1.1", "169.254.1.1"].map((h) => at(h))
    },
    {
      name: "multicast and reserved",
      stored: 0,
      addresses: ["224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"].map((h) => at(h))
    },
    {
      name: "documentation and benchmarks",
      stored: 0,
      addresses: ["192.0.2.1", "198.51.100.1", "198.18.0.1"].map((h) => at(h))
    },
    { name: "the node's own", stored: 0, addresses: [at("10.1.0.1")] },
    {
      name: "port 0, and ports of other services",
      stored: 0,
      addresses: [0, 22, 25, 80, 443].map((p) => at("11.1.0.1", p))
    },
    {
      name: "IPv4 in IPv6, loopback and unspecified",
      stored: 0,
      addresses: ipv6(
        [...zeros(10), 255, 255, 10, 0, 0, 1],
        [...zeros(10), 255, 255, 127, 0, 0, 1],
        [...zeros(15), 1],
        zeros(16)
      )
    },
    { name: "good ones", stored: 3, addresses: ["11.1.0.1", "12.1.0.1", "13.1.0.1"].map((h) => at(h)) }
  ].map((parameters) => ({ ...parameters, victim: { config: isPublic } })),
  run: Effect.fnUntraced(function*(victim, attackers, { addresses, stored }) {
    const manager = managerOf(victim)
    const before = new Set(manager.all().map(({ address }) => address.key))
    yield* tell(attackers, "20.2.0.1", addresses)
    const added = manager.all().filter(({ address }) => !before.has(address.key) && !address.host.startsWith("20."))
    yield* equal(added.length, stored, "addresses stored")
    yield* Effect.sleep("10 seconds")
    if (stored > 0 || addresses instanceof Uint8Array) return
    const dialled = dialsTo(victim.inside.events, (address) => addresses.some(({ key }) => key === address.key))
    yield* equal(dialled.length, 0, "dials")
  })
})

/**
 * More addresses than there is room for.
 *
 * @category attacks
 * @since 0.1.0
 */
export const p4 = overlayAttack<
  NodeCase & { tellers: ReadonlyArray<string>; address: (i: number) => string; most: number }
>({
  id: "P4",
  title: "the table of addresses is bounded, for each source and for each target",
  cases: [
    {
      name: "four nodes of one /16 tell 400",
      tellers: repeated(4, (i) => `20.1.${i}.1`),
      address: (i: number) => `${30 + (i >> 7)}.${i & 127}.0.1`,
      most: 64
    },
    {
      name: "eight nodes tell 800 of one /16",
      tellers: repeated(8, (i) => `20.${i}.0.1`),
      address: (i: number) => `66.6.${i >> 6}.${1 + (i & 63)}`,
      most: 32
    }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { address, most, tellers }) {
    const manager = managerOf(victim)
    const before = manager.size()
    for (const [n, ip] of tellers.entries()) {
      yield* Effect.scoped(tell(attackers, ip, repeated(100, (i) => at(address(100 * n + i)))))
    }
    yield* atMost(manager.size() - before, most + tellers.length, "rows that came of it")
  })
})

/**
 * One /16 with many addresses.
 *
 * @category attacks
 * @since 0.1.0
 */
export const p5 = overlayAttack<NodeCase & { hostile: number; honest: number }>({
  id: "P5",
  title: "one /16 gets at most one of eight outbound connections",
  cases: [
    { name: "30 hostile nodes, 8 honest ones", hostile: 30, honest: 8 },
    { name: "60 hostile nodes, 10 honest ones", hostile: 60, honest: 10 }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { honest, hostile }) {
    const peers = Context.get(victim.inside.services, Peers)
    const theirs = repeated(hostile, (i) => `66.6.${i >> 4}.${1 + (i & 15)}`)
    const good = repeated(honest, (i) => `${31 + i}.1.0.1`)
    for (const ip of [...theirs, ...good]) yield* serve(attackers, ip)
    for (let n = 0; n < 4; n++) yield* Effect.scoped(tell(attackers, `20.${n}.0.1`, theirs.map((ip) => at(ip))))
    yield* Effect.scoped(tell(attackers, "21.1.0.1", good.map((ip) => at(ip))))
    yield* Effect.sleep("1 minute")
    const outbound = peers.authenticated("initiator").map(({ address }) => address.host)
    yield* holds(outbound.length >= 7, "outbound connections", outbound.length)
    yield* atMost(outbound.filter((host) => host.startsWith("66.6.")).length, 1, "of one /16")
  })
})

/**
 * An address table full of gossip, and then a restart.
 *
 * @category attacks
 * @since 0.1.0
 */
export const p6 = overlayAttack<NodeCase & { gossip: number }>({
  id: "P6",
  title: "outbound peers of the last run are tried first after a restart",
  needs: "victim", // a node of its own, which is stopped and started
  cases: [
    { name: "with 200 addresses of gossip", gossip: 200 },
    { name: "with 2000", gossip: 2000 }
  ],
  run: Effect.fnUntraced(function*(_, attackers, { gossip }) {
    const good = ["31.1.0.1", "32.1.0.1", "33.1.0.1"]
    for (const ip of good) yield* serve(attackers, ip)
    const store = makeMemory()
    const events: Array<OverlayEvent> = []
    const launch = (name: string, knownPeers: ReadonlyArray<string>) =>
      TestNode.launch({
        name,
        ip: "10.50.0.1",
        store: Layer.succeed(PeerStore, store),
        config: { knownPeers },
        onEvent: (event) => void events.push(event)
      }).pipe(Effect.orDie)
    const first = yield* launch("before", good)
    yield* Effect.sleep("20 seconds")
    yield* equal(first.overlay.peers.authenticated("initiator").length, 3, "outbound peers before the restart")
    const now = yield* Clock.currentTimeMillis
    for (let i = 0; i < gossip; i++) {
      first.overlay.peerManager.store({
        address: at(`${100 + (i % 100)}.${(i / 100) >> 0}.0.1`),
        type: PeerType.Outbound,
        numFailures: 0,
        nextAttemptMillis: now,
        lastSuccessMillis: 0,
        source: "",
        anchor: false
      })
    }
    yield* Effect.sleep("5 seconds")
    yield* first.stop
    yield* Effect.sleep("15 seconds") // longer than the first back-off
    events.length = 0
    const second = yield* launch("after", [])
    yield* Effect.sleep("3 seconds")
    const tried = dialsTo(events, () => true).slice(0, 8).map(({ host }) => host)
    yield* holds(good.every((ip) => tried.includes(ip)), `${good.join()} among the first dials`, tried.join())
    yield* second.stop
  })
})

/**
 * Others say that honest nodes fail.
 *
 * @category attacks
 * @since 0.1.0
 */
export const p7 = overlayAttack<NodeCase & { how: "told" | "called" }>({
  id: "P7",
  title: "nothing that others say or do makes a proven address look worse",
  cases: [
    { name: "PEERS that count failures of it", how: "told" },
    { name: "callers that announce its port", how: "called" }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { how }) {
    const manager = managerOf(victim)
    const honest = yield* serve(attackers, "31.1.0.1")
    Context.get(victim.inside.services, Peers).dial(honest, { force: true })
    yield* Effect.sleep("5 seconds")
    const before = manager.load(honest)
    yield* equal(before.numFailures, 0, "failures of a proven address")
    for (let i = 0; i < 6; i++) {
      if (how === "called") {
        yield* Effect.scoped(attackers.join(`31.1.${1 + i}.1`, { hello: { listeningPort: honest.port } }))
        continue
      }
      const { bytes } = PeersMessage.make({ addresses: [honest] })
      // After the address of 4 bytes and its port: how often it failed, they say.
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(20, 10_000)
      yield* Effect.scoped(Effect.gen(function*() {
        const peer = yield* attackers.called(`20.${i}.0.1`)
        yield* peer.handshake()
        yield* peer.say(bytes)
        yield* peer.expectOpen(200)
      }))
    }
    const { numFailures, type } = manager.load(honest)
    yield* equal([numFailures, type], [before.numFailures, before.type], "failures and type")
  })
})

/**
 * The node is told to dial somebody else's machine.
 *
 * @category attacks
 * @since 0.1.0
 */
export const p8 = overlayAttack<
  NodeCase & {
    address: (i: number) => PeerAddress
    tellers: number
    minutes: number
  }
>({
  id: "P8",
  title: "a host is dialled three times an hour, all its ports together, and never at ports of other services",
  cases: [
    { name: "one host, 100 ports", tellers: 1, minutes: 10, address: (i: number) => at("99.1.0.1", 2000 + i) },
    {
      name: "one host, 400 ports, told by four",
      tellers: 4,
      minutes: 59,
      address: (i: number) => at("99.1.0.1", 2000 + i)
    },
    { name: "one host, ports below 1024", tellers: 1, minutes: 5, address: (i: number) => at("99.1.0.1", 1 + i) }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { address, minutes, tellers }) {
    for (let n = 0; n < tellers; n++) {
      yield* Effect.scoped(tell(attackers, `20.${n}.0.1`, repeated(100, (i) => address(100 * n + i))))
    }
    yield* Effect.sleep(`${minutes} minutes`)
    const dials = dialsTo(victim.inside.events, ({ host }) => host === "99.1.0.1")
    yield* atMost(dials.length, 3, "dials in an hour")
    yield* atMost(dials.filter(({ port }) => port < 1024).length, 0, "dials at such ports")
  })
})

/**
 * Callers that take slots and do nothing.
 *
 * @category attacks
 * @since 0.1.0
 */
export const p9 = overlayAttack<NodeCase & { squatters: number }>({
  id: "P9",
  title: "idle callers make room after ten minutes, useful ones never do",
  cases: [{
    name: "four squatters in six slots",
    squatters: 4,
    victim: { config: { targetPeerConnections: 4, maxAdditionalPeerConnections: 6 } }
  }],
  run: Effect.fnUntraced(function*(victim, attackers, { squatters }) {
    for (let i = 0; i < squatters; i++) {
      const peer = yield* attackers.join(`20.${i}.0.1`)
      // Polite, or it would be gone after a minute for granting no credit.
      const stay = Effect.andThen(
        peer.say(SendMoreExtended.make({ numMessages: 1000, numBytes: 1_000_000 })),
        peer.expectOpen(20_000)
      )
      yield* Effect.forkScoped(Effect.ignore(Effect.forever(stay)))
    }
    const early = yield* attackers.dial("30.1.0.1")
    const refused = yield* Effect.exit(early.handshake())
    yield* equal(refused._tag, "Failure", "what came of an early newcomer")
    yield* Effect.sleep("10 minutes")
    const late = yield* attackers.join("30.2.0.1")
    yield* late.expectOpen(1000)
    const evicted = victim.inside.events.flatMap((event) =>
      event._tag === "PeerDropped" && event.reason._tag === "InboundEvicted" ? [event.address.host] : []
    )
    yield* equal(evicted.map((host) => host.slice(0, 3)), ["20."], "who was evicted")
  })
})

/**
 * A node that lost consensus lets peers go at random.
 *
 * @category attacks
 * @since 0.1.0
 */
export const p10 = overlayAttack<NodeCase>({
  id: "P10",
  // That the last useful one stays shows where there are no honest callers beside it, who are useful too.
  title: "out of sync, one peer a minute goes, whoever they are",
  cases: [{
    name: "a useful peer and two idle ones, for five minutes",
    victim: { config: { targetPeerConnections: 3, knownPeers: ["31.1.0.1", "32.1.0.1", "33.1.0.1"] } }
  }],
  run: Effect.fnUntraced(function*(victim, attackers) {
    const peers = Context.get(victim.inside.services, Peers)
    yield* serve(attackers, "31.1.0.1", true)
    yield* serve(attackers, "32.1.0.1")
    yield* serve(attackers, "33.1.0.1")
    yield* Effect.sleep("1 minute")
    yield* equal(peers.authenticated("initiator").length, 3, "outbound peers")
    const { host } = victim.inside
    host.view = { ...host.view, isTracking: false }
    yield* Effect.sleep("5 minutes")
    const rotated = victim.inside.events.flatMap((event) =>
      event._tag === "PeerDropped" && event.reason._tag === "OutOfSyncRotation" ? [event.address.host] : []
    )
    yield* atMost(rotated.length, 5, "rotations in five minutes")
    yield* holds(rotated.length >= 2, "rotations", rotated.length)
  })
})

/**
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const addressAttacks: ReadonlyArray<OverlayAttack> = [p1, p4, p5, p6, p7, p8, p9, p10]
