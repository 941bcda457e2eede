/**
 * Attacks with many connections: T1, T13, and those on who may be connected: H10, H11, H15 to H18.
 *
 * @since 0.1.0
 */
import { BanList } from "@stellar-overlay/overlay/BanList"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import { PeerManager } from "@stellar-overlay/overlay/PeerManager"
import { Peers } from "@stellar-overlay/overlay/Peers"
import * as PeersConfig from "@stellar-overlay/overlay/PeersConfig"
import type { Connection, TransportError } from "@stellar-overlay/overlay/Transport"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { SendMore } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { HandshakeStage } from "../PeerScript.ts"
import type * as ScriptedPeer from "../ScriptedPeer.ts"
import {
  atMost,
  type Attackers,
  dropsOf,
  equal,
  holds,
  type NodeCase,
  outsideAttack,
  type OverlayAttack,
  overlayAttack,
  type Victim
} from "./OverlayAttack.ts"
import { repeated } from "./parts.ts"

/** Carries something out at a steady pace, whatever becomes of each. */
const storm = <E, R>(
  count: number,
  perSecond: number,
  each: (i: number) => Effect.Effect<unknown, E, R>
): Effect.Effect<void, never, R> =>
  Effect.forEach(
    repeated(count, (i) => i),
    (i) => Effect.andThen(Effect.sleep(i * 1000 / perSecond), Effect.ignore(each(i))),
    { concurrency: "unbounded", discard: true }
  )

/** Connects and says nothing until it is thrown out. */
const lurk = ({ transportAt }: Attackers, { address }: Victim, ip: string) =>
  transportAt(ip).dial(address, { timeoutMillis: 2000 }).pipe(
    Effect.flatMap((connection) => connection.pull),
    Effect.scoped
  )

/** Somebody new is let in, within so many milliseconds. */
const letsIn = (attackers: Attackers, within: number, ip = "30.1.0.1") =>
  Effect.scoped(attackers.join(ip)).pipe(
    Effect.timeoutOption(within),
    Effect.flatMap((joined) =>
      holds(joined._tag === "Some", `an honest newcomer to be let in within ${within} ms`, "not")
    )
  )

/**
 * Floods of silent callers.
 *
 * @category attacks
 * @since 0.1.0
 */
export const t1 = overlayAttack<NodeCase & { ip: (i: number) => string; seconds: number }>({
  id: "T1",
  title: "a thousand silent callers a second keep no honest peer out",
  cases: [
    { name: "from one host", seconds: 1.2, ip: () => "20.0.0.1" },
    { name: "from one /24", seconds: 0.3, ip: (i) => `20.0.0.${i % 250}` },
    { name: "from one /16", seconds: 0.3, ip: (i) => `20.0.${i % 250}.${i % 249}` },
    { name: "from 250 hosts of as many /16", seconds: 0.6, ip: (i) => `20.${i % 250}.0.1` },
    { name: "from thousands of /16", seconds: 1.2, ip: (i) => `${40 + (i >> 8)}.${i % 256}.0.1` }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { ip, seconds }) {
    const { registry } = Context.get(victim.inside.services, Peers)
    const most = { host: 0, subnet24: 0, subnet16: 0 }
    const look = Effect.sync(() => {
      for (const [i, name] of (["host", "subnet24", "subnet16"] as const).entries()) {
        const counts = new Map<string, number>()
        for (const { groups } of registry.pending("acceptor")) {
          counts.set(groups[i]!, (counts.get(groups[i]!) ?? 0) + 1)
        }
        most[name] = Math.max(most[name], ...counts.values())
      }
    })
    yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced(50)))
    yield* Effect.forkScoped(storm(1000 * seconds, 1000, (i) => lurk(attackers, victim, ip(i))))
    yield* Effect.sleep(800 * seconds)
    yield* letsIn(attackers, 5000)
    yield* atMost(most.host, 4, "handshakes of one host")
    yield* atMost(most.subnet24, 16, "handshakes of one /24")
    yield* atMost(most.subnet16, 64, "handshakes of one /16")
    yield* Effect.sleep("3 seconds")
  })
})

/**
 * One host that reconnects all the time.
 *
 * @category attacks
 * @since 0.1.0
 */
export const t13 = overlayAttack<NodeCase & { ip: (i: number) => string; hosts: number }>({
  id: "T13",
  title: "who reconnects a thousand times a second is heard five times a second after a burst of twenty",
  cases: [
    { name: "from one address", ip: () => "20.0.0.1", hosts: 1 },
    { name: "from four hosts", ip: (i) => `20.${i % 4}.0.1`, hosts: 4 }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { hosts, ip }) {
    const { registry } = Context.get(victim.inside.services, Peers)
    const seconds = 2
    const dial = (i: number) =>
      Effect.scoped(attackers.transportAt(ip(i)).dial(victim.address, { timeoutMillis: 2000 }))
    yield* storm(seconds * 1000, 1000, dial)
    const heard = victim.inside.events.filter((event) =>
      event._tag === "PeerConnected" && event.address.host.startsWith("20.")
    ).length
    yield* atMost(heard, hosts * (20 + 5 * (seconds + 1)), "connections that were heard")
    yield* letsIn(attackers, 2000)
    yield* Effect.sleep("3 seconds")
    yield* atMost(registry.pendingCount("acceptor"), 0, "handshakes left")
  })
})

/** Passes bytes on in one direction until the end, and then the end. */
const pump = (from: Connection, to: Connection): Effect.Effect<void, TransportError> =>
  Effect.forever(Effect.flatMap(from.pull, to.write)).pipe(Effect.catch(() => to.end))

/**
 * The node is led to itself.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h10 = overlayAttack<NodeCase & { ip: string | undefined }>({
  id: "H10",
  title: "a node that met itself remembers where, and does not go there again",
  amplification: 4, // what it says to itself is counted as said to others
  cases: [
    { name: "at its own address", ip: undefined },
    { name: "behind a relay that leads back to it", ip: "20.1.0.1" }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { ip }) {
    const { services } = victim.inside
    const [peers, manager] = [Context.get(services, Peers), Context.get(services, PeerManager)]
    const listener = ip === undefined
      ? undefined
      : yield* attackers.transportAt(ip).listen({ host: ip, port: victim.address.port })
    if (ip !== undefined && listener !== undefined) {
      yield* Effect.forkScoped(listener.run((connection) =>
        Effect.gen(function*() {
          const back = yield* attackers.transportAt(ip).dial(victim.address, { timeoutMillis: 1000 })
          yield* Effect.all([pump(connection, back), pump(back, connection)], { concurrency: 2 })
        }).pipe(Effect.scoped, Effect.ignore)
      ))
    }
    const target = listener?.address ?? victim.address
    manager.ensureExists(target)
    const met = yield* Effect.match(peers.connect(target, { force: true }), {
      onFailure: ({ reason }) => reason._tag,
      onSuccess: () => "none"
    })
    yield* equal(met, "ConnectingToSelf", "the reason")
    yield* Effect.sleep("1 second")
    yield* equal(manager.dialRefusal(target), "Self", "what is said to another dial")
    const before = victim.inside.events.length
    yield* Effect.sleep("2 minutes")
    const dials = victim.inside.events.slice(before).filter((event) =>
      event._tag === "PeerConnecting" && event.address.key === target.key
    )
    yield* equal(dials.length, 0, "dials in two minutes")
  })
})

/**
 * One identity, many connections.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h11 = outsideAttack<NodeCase & { count: number; until: HandshakeStage }>({
  id: "H11",
  title: "of many connections of one identity one is admitted, and the others are told why",
  needs: "operator",
  cases: [
    { name: "two in the handshake", count: 2, until: "GotHello" },
    { name: "four in the handshake", count: 4, until: "GotHello" },
    { name: "two, one authenticated", count: 2, until: "GotAuth" },
    { name: "ten, one authenticated", count: 10, until: "GotAuth" }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { count, until }) {
    const first = yield* attackers.dial("20.1.0.1", { seed: "same" })
    yield* first.handshake(until)
    for (let i = 1; i < count; i++) {
      const other = yield* attackers.dial(`20.${1 + i}.0.1`, { seed: "same" })
      yield* other.say(other.script.hello())
      yield* other.expectError(2, `already-connected peer: ${NodeId.short(other.script.id)}`)
    }
    if (until === "GotHello") {
      yield* first.say(new Uint8Array([0, 0, 0, 2, 0, 0, 0, 200]))
      yield* first.expect("SendMoreExtended")
    }
    first.script.answersPings = true
    yield* first.expectOpen(6000)
    const { body } = yield* victim.operator.ask("/peers?fullkeys=true")
    yield* equal(body.split(`"${first.script.id}"`).length - 1, 1, "peers of that id")
  })
})

/**
 * Bans, and how to get around them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h15 = overlayAttack<NodeCase & { how: "new keys" | "banned" }>({
  id: "H15",
  title: "a host whose nodes break the protocol or are banned is heard ever less, whatever keys it has",
  cases: [
    { name: "a violation under one key, and then new keys", how: "new keys" },
    { name: "a banned node that calls and calls", how: "banned" }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { how }) {
    const visit = (seed: number) =>
      Effect.scoped(Effect.gen(function*() {
        const peer = yield* attackers.dial("20.0.0.1", { seed: how === "banned" ? "banned" : seed })
        yield* peer.handshake()
        yield* peer.say(SendMore.make({ numMessages: 1 }))
        yield* peer.expectClosed({ error: "silent" })
      }))
    if (how === "banned") {
      const { script } = yield* attackers.dial("20.9.0.1", { seed: "banned" })
      Context.get(victim.inside.services, BanList).ban(script.id)
    } else yield* visit(0)
    for (let i = 1; i <= 30; i++) {
      const exit = yield* Effect.exit(visit(i))
      yield* holds(exit._tag === "Failure", "no visit to succeed", `visit ${i} did`)
      yield* Effect.sleep("1 second")
    }
    const tags = dropsOf(victim, "20.0.0.1")
    if (how === "banned") yield* atMost(tags.filter((tag) => tag === "NodeBanned").length, 9, "visits that were heard")
    else yield* equal(tags.filter((tag) => tag !== "HandshakeRateLimited"), ["UnexpectedSendMore"], "the visits heard")
    yield* letsIn(attackers, 2000)
  })
})

/**
 * HELLOs that are well-formed and cost a signature check each.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h16 = overlayAttack<NodeCase & { hosts: number; perSecond: number }>({
  id: "H16",
  title: "a storm of HELLOs with bad signatures costs twenty checks a second and host",
  // Without the limit on connections, which would hide this one.
  cases: [
    { name: "from one host", hosts: 1, perSecond: 200 },
    { name: "from five hosts", hosts: 5, perSecond: 400 }
  ].map((parameters) => ({ ...parameters, victim: { peers: { accepts: PeersConfig.core.accepts! } } })),
  run: Effect.fnUntraced(function*(victim, attackers, { hosts, perSecond }) {
    const seconds = 2
    const wrong = { hello: { certificate: { damage: (signature: Uint8Array) => void (signature[0]! ^= 1) } } }
    const attempt = (i: number) =>
      Effect.scoped(Effect.gen(function*() {
        const peer = yield* attackers.dial(`20.${i % hosts}.0.1`, { ...wrong, seed: i })
        yield* Effect.exit(peer.handshake("GotHello"))
        yield* peer.expectClosed({ within: 3000 })
      }))
    const before = victim.inside.crypto().ed25519Verify
    yield* Effect.forkScoped(storm(seconds * perSecond, perSecond, attempt))
    yield* Effect.sleep(`${seconds} seconds`)
    yield* letsIn(attackers, 2000)
    yield* Effect.sleep("1 second")
    const checked = victim.inside.crypto().ed25519Verify - before
    yield* atMost(checked, hosts * (40 + 20 * (seconds + 2)) + 10, "signatures checked")
    yield* holds(checked >= Math.min(40, seconds * perSecond), "checks at all", checked)
  })
})

/**
 * New keys all the time, to fill the cache of agreed keys.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h17 = overlayAttack<NodeCase & { count: number; again: number }>({
  id: "H17",
  title: "the cache of agreed keys is bounded, whoever comes",
  cases: [
    { name: "200 callers with keys of their own", count: 200, again: 0 },
    { name: "the same ones twice", count: 100, again: 100 }
  ].map((parameters) => ({ ...parameters, victim: { config: { sharedKeyCacheSize: 50 } } })),
  run: Effect.fnUntraced(function*(victim, attackers, { again, count }) {
    const { auth } = Context.get(victim.inside.services, LocalNode)
    const { x25519 } = victim.inside.crypto()
    yield* storm(count + again, 100, (i) =>
      Effect.scoped(Effect.gen(function*() {
        const peer = yield* attackers.dial(`20.${i % 250}.0.1`, { seed: `key ${i % count}` })
        yield* peer.handshake("GotHello")
        yield* atMost(auth.cachedKeys, 50, "cached keys")
      })))
    yield* atMost(auth.cachedKeys, 50, "cached keys")
    const agreed = victim.inside.crypto().x25519 - x25519
    yield* holds(agreed >= count, `${count} agreements`, agreed)
  })
})

/**
 * Handshakes that are begun and not finished.
 *
 * @category attacks
 * @since 0.1.0
 */
export const h18 = overlayAttack<NodeCase & { until: HandshakeStage }>({
  id: "H18",
  title: "four handshakes of one host at a time, the fifth is closed without a byte",
  cases: [
    { name: "nothing said", until: "Connected" },
    { name: "HELLO said", until: "GotHello" }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { until }) {
    const begun: Array<ScriptedPeer.ScriptedPeer> = []
    for (let i = 0; i < 4; i++) {
      const peer = yield* attackers.dial("20.0.0.1", { seed: i })
      yield* peer.handshake(until)
      begun.push(peer)
    }
    const fifth = yield* attackers.dial("20.0.0.1", { seed: 4 })
    yield* fifth.expectClosed({ within: 100, error: "silent" })
    yield* equal(fifth.script.heard.length, 0, "frames the fifth heard")
    yield* equal(dropsOf(victim, "20.0.0.1"), ["PerAddressLimit"], "the reasons")
    yield* letsIn(attackers, 1000)
    for (const peer of begun) yield* peer.expectClosed({ within: 3000 })
  })
})

/**
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const connectionAttacks: ReadonlyArray<OverlayAttack> = [t1, t13, h10, h11, h15, h16, h17, h18]
