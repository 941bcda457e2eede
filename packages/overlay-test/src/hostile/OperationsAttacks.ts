/**
 * What goes wrong around a node: its database, its clock, its host, its log and metrics, its operator: O1 to O7, and its
 * descriptors: T14.
 *
 * O8, the supply chain, is a property of the repository and checked there.
 *
 * @since 0.1.0
 */
import * as LogLimiter from "@stellar-overlay/overlay/LogLimiter"
import { PeerManager } from "@stellar-overlay/overlay/PeerManager"
import { Peers } from "@stellar-overlay/overlay/Peers"
import { PeerStore } from "@stellar-overlay/overlay/PeerStore"
import { StorageError } from "@stellar-overlay/overlay/StorageError"
import type { Listener } from "@stellar-overlay/overlay/Transport"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { LoopbackNetwork } from "../LoopbackTransport.ts"
import { seeded } from "../RandomXdr.ts"
import * as ScriptedPeer from "../ScriptedPeer.ts"
import { SimNetwork } from "../SimNetwork.ts"
import * as World from "../World.ts"
import {
  atMost,
  type Attackers,
  equal,
  holds,
  type NodeCase,
  outsideAttack,
  type OverlayAttack,
  overlayAttack
} from "./OverlayAttack.ts"
import { repeated } from "./parts.ts"
import * as Validators from "./Validators.ts"

const newcomer = (attackers: Attackers, ip = "30.1.0.1") =>
  Effect.scoped(Effect.flatMap(attackers.join(ip), (peer) => peer.expectOpen(1000)))

/** A database that fails in everything. */
const broken = (reason: StorageError["reason"]) => {
  const failing = Effect.fail(new StorageError({ operation: "test", reason, detail: "injected" }))
  return Layer.succeed(PeerStore, {
    loadAll: () => failing,
    load: () => failing,
    write: () => failing,
    loadRandom: () => failing,
    count: () => failing,
    clear: failing
  })
}

/**
 * A database that fails.
 *
 * @category attacks
 * @since 0.1.0
 */
export const o1 = overlayAttack<NodeCase & { reason: StorageError["reason"] }>({
  id: "O1",
  title: "with a database that fails the node goes on in memory, and says so",
  needs: "victim",
  cases: (["Full", "Locked", "Corrupt", "Unavailable"] as const).map((reason) => ({
    name: reason.toLowerCase(),
    reason,
    victim: { store: broken(reason) }
  })),
  run: Effect.fnUntraced(function*(victim, attackers, { reason }) {
    const manager = Context.get(victim.inside.services, PeerManager)
    yield* newcomer(attackers)
    yield* Effect.sleep("10 seconds")
    yield* equal(manager.status().failing?.reason, reason, "why the database fails")
    yield* holds(manager.size() > 0, "addresses in memory", manager.size())
    yield* newcomer(attackers, "30.2.0.1")
  })
})

/**
 * The wall clock jumps.
 *
 * @category attacks
 * @since 0.1.0
 */
export const o2 = overlayAttack<NodeCase & { hours: number }>({
  id: "O2",
  title: "when the wall clock jumps no peer is lost, and newcomers get a certificate of the new time",
  needs: "victim",
  cases: [1, -1, 24, -24].map((hours) => ({ name: `by ${hours} h`, hours })),
  run: Effect.fnUntraced(function*(_, attackers, { hours }) {
    const world = yield* World.World
    yield* newcomer(attackers)
    yield* world.jumpWallClock(hours * 3_600_000)
    yield* Effect.sleep("30 seconds")
    yield* Effect.scoped(Effect.gen(function*() {
      const peer = yield* attackers.join("30.2.0.1")
      const left = Number(peer.script.messages("Hello")[0]!.cert.expiration) - (yield* Clock.currentTimeMillis) / 1000
      yield* holds(left > 1790 && left <= 3600, "a certificate for half an hour to an hour", left)
    }))
  })
})

/**
 * Very many identities, to make as many series of metrics.
 *
 * @category attacks
 * @since 0.1.0
 */
export const o3 = outsideAttack<NodeCase & { count: number; stays: boolean }>({
  id: "O3",
  title: "the number of metric series does not follow the number of peers",
  needs: "operator",
  cases: [
    { name: "200 identities that come and go", count: 200, stays: false },
    { name: "40 identities that stay", count: 40, stays: true, slow: true }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { count, stays }) {
    const before = yield* victim.operator.series
    const join = (i: number) => attackers.join(`20.${i % 250}.0.1`, { hello: { versionStr: `version ${i}` } })
    for (let i = 0; i < count; i++) {
      if (!stays) {
        yield* Effect.scoped(join(i))
        continue
      }
      const peer = yield* join(i)
      yield* Effect.forkScoped(Effect.ignore(peer.expectOpen(120_000)))
    }
    yield* Effect.sleep(stays ? "65 seconds" : "1 second")
    // A reason more, and the ten peers that have labels of their own with what is told of each.
    yield* atMost((yield* victim.operator.series) - before, 200, "series more than before")
  })
})

/**
 * As many lines in the log as possible.
 *
 * @category attacks
 * @since 0.1.0
 */
export const o4 = overlayAttack<NodeCase & { perSecond: number; seconds: number }>({
  id: "O4",
  title: "at most 100 lines a second are logged, and all are counted",
  cases: [
    { name: "1000 refused callers a second", perSecond: 1000, seconds: 1 },
    { name: "200 refused callers a second, for longer", perSecond: 200, seconds: 4 }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { perSecond, seconds }) {
    const { transportAt } = attackers
    const before = victim.inside.logged()
    yield* Effect.forEach(repeated(seconds * perSecond, (i) => i), (i) =>
      Effect.andThen(
        Effect.sleep(i * 1000 / perSecond),
        Effect.ignore(Effect.scoped(transportAt(`20.${i % 200}.0.1`).dial(victim.address, { timeoutMillis: 1000 })))
      ), { concurrency: "unbounded", discard: true })
    // The node limits its log itself; a summary a second comes with it.
    yield* atMost(victim.inside.logged() - before, (100 + 1) * (seconds + 1), "lines")
    const limiter = yield* LogLimiter.make()
    for (let i = 0; i < 1000; i++) limiter.offer("event")
    yield* equal((limiter.passed.get("event") ?? 0) + (limiter.suppressed.get("event") ?? 0), 1000, "lines counted")
  })
})

/**
 * A host that fails for one peer's messages.
 *
 * @category attacks
 * @since 0.1.0
 */
export const o5 = overlayAttack<NodeCase & { peers: number }>({
  id: "O5",
  title: "a defect costs the one peer it happened with",
  needs: "victim",
  cases: [
    { name: "one peer", peers: 1 },
    { name: "five peers", peers: 5 }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { peers }) {
    for (let i = 0; i < peers; i++) {
      const peer = yield* attackers.join(`20.${i}.0.1`)
      victim.inside.host.fails.add(peer.script.id)
      yield* peer.say(Validators.scp({
        by: Validators.validator("somebody"),
        slot: 5000 + i,
        closeTime: 0,
        signature: new Uint8Array(64)
      }))
      yield* peer.expectClosed({ within: 1000 })
    }
    const defects = victim.inside.events.filter((event) =>
      event._tag === "PeerDropped" && event.reason._tag === "Defect"
    )
    yield* equal(defects.length, peers, "connections that ended for a defect")
    yield* newcomer(attackers)
  })
})

/** What moves a cursor, colours, reorders or hides text on a terminal, line ends apart. */
// oxlint-disable-next-line no-control-regex
const harmful = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u

/**
 * Names that want to be executed where an operator reads them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const o6 = outsideAttack<NodeCase & { text: string | Uint8Array }>({
  id: "O6",
  title: "what an operator reads has no control characters of a peer in it",
  needs: "operator",
  cases: [
    { name: "escape sequences", text: "\u001b[2J\u001b]0;owned\u0007" },
    { name: "line ends and NUL", text: "a\0b\r\nERROR" },
    { name: "right-to-left override", text: "\u202egnp.exe" },
    { name: "C1 controls", text: "\u009b31m\u0085" },
    { name: "bytes that are not UTF-8", text: new Uint8Array(100).fill(0x9b) }
  ].map((parameters) => ({ ...parameters, strict: true })),
  run: Effect.fnUntraced(function*(victim, attackers, { text }) {
    yield* attackers.join("20.0.0.1", { hello: { versionStr: text } })
    for (const path of ["/peers", "/peers?compact=false", "/info"]) {
      const { body } = yield* victim.operator.ask(path)
      const found = harmful.exec(body)?.[0]
      yield* holds(found === undefined, `no control character in ${path}`, found?.codePointAt(0)?.toString(16) ?? "")
    }
  })
})

/**
 * Requests that are none.
 *
 * @category attacks
 * @since 0.1.0
 */
export const o7 = outsideAttack<NodeCase & { requests: () => ReadonlyArray<string> }>({
  id: "O7",
  title: "malformed and random requests of an operator are answered, and change nothing",
  needs: "operator",
  cases: [
    { name: "overlong", requests: () => [`/${"x".repeat(100_000)}`, `/peers?${"a=1&".repeat(50_000)}`] },
    {
      name: "wrong parameters",
      requests: () =>
        ["ban", "unban", "droppeer", "connect", "surveytopologytimesliced", "startsurveycollecting"].flatMap((
          command
        ) =>
          [
            "",
            "?",
            "?node=",
            "?node=G",
            "?node=%00",
            "?peer=::::&port=-1",
            "?peer=127.0.0.1&port=99999999999",
            "?nonce=x"
          ]
            .map((query) => `/${command}${query}`)
        )
    },
    {
      name: "500 random ones",
      requests: () => {
        const chance = seeded(7)
        const draw = (bound: number) => Math.floor(bound * chance())
        return repeated(500, () => `/${String.fromCharCode(...repeated(draw(60), () => 1 + draw(0xd000)))}`)
      }
    }
  ],
  run: Effect.fnUntraced(function*(victim, _, { requests }) {
    for (const request of requests()) {
      const { body, status } = yield* victim.operator.ask(request)
      yield* holds(status < 500, "an answer, or none to what is no request", status)
      yield* atMost(body.length, 100_000, "characters of answer")
      yield* equal(body.includes("internal error"), false, `whether ${request.slice(0, 60)} is an internal error`)
    }
    const { body, status } = yield* victim.operator.ask("/info")
    yield* equal([status, body.includes("\"info\"")], [200, true], "what the node still answers")
  })
})

/** Plays an honest node for whoever dials. */
const serveOne = (listener: Listener) =>
  listener.run((connection) =>
    ScriptedPeer.make(connection, { role: "acceptor", seed: "served" }).pipe(
      Effect.flatMap((peer) => Effect.andThen(peer.handshake(), peer.expectOpen(60_000))),
      Effect.scoped,
      Effect.ignore
    )
  )

/**
 * The process has no descriptor left: what calls is closed as it opens, and what is dialled cannot be.
 *
 * @category attacks
 * @since 0.1.0
 */
export const t14 = overlayAttack<NodeCase & { fault: "AcceptEmfile" | "DialEmfile"; seconds: number }>({
  id: "T14",
  title: "a node without descriptors keeps its peers, and takes and makes connections again when it has some",
  needs: "victim",
  cases: [
    { name: "to accept with, for a second", fault: "AcceptEmfile", seconds: 1 },
    { name: "to accept with, for a minute", fault: "AcceptEmfile", seconds: 60 },
    { name: "to dial with", fault: "DialEmfile", seconds: 10 }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { fault, seconds }) {
    const network = yield* SimNetwork
    const { transportAt } = yield* LoopbackNetwork // these calls never reach the node, so that none is dropped by it
    const peers = Context.get(victim.inside.services, Peers)
    const listener = yield* transportAt("31.1.0.1").listen({ host: "31.1.0.1", port: victim.address.port })
    const dialled = () => Effect.exit(peers.connect(listener.address, { force: true }))
    const before = victim.inside.events.length
    const { end } = yield* network.inject({ _tag: fault, node: victim.address.host })
    for (let i = 0; i < 20; i++) {
      if (fault === "DialEmfile") {
        const exit = yield* dialled()
        yield* equal(exit._tag, "Failure", "what came of a dial")
      } else {
        const ended = yield* transportAt(`20.${i}.0.1`).dial(victim.address, { timeoutMillis: 1000 }).pipe(
          Effect.flatMap(({ pull }) => pull),
          Effect.scoped,
          Effect.exit
        )
        yield* equal(ended._tag, "Failure", "what came of a call")
      }
      yield* Effect.sleep(seconds * 50)
    }
    yield* holds((network.fired.get(fault) ?? 0) >= 20, "twenty failures of it", network.fired.get(fault) ?? 0)
    const reasons = victim.inside.events.slice(before).flatMap((event) =>
      event._tag === "PeerDropped" && (event.role === "acceptor" || event.address.key === listener.address.key)
        ? [event.reason._tag]
        : []
    )
    yield* equal(reasons, fault === "AcceptEmfile" ? [] : repeated(20, () => "ConnectFailed"), "the reasons")
    yield* end
    yield* newcomer(attackers)
    yield* Effect.forkScoped(serveOne(listener))
    yield* equal((yield* dialled())._tag, "Success", "what comes of a dial afterwards")
  })
})

/**
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const operationsAttacks: ReadonlyArray<OverlayAttack> = [o1, o2, o3, o4, o5, o6, o7, t14]
