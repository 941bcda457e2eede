/**
 * Attacks with SCP messages on a node that judges them, and with what it looks for: A10 to A13, Q4 to Q7.
 *
 * @since 0.1.0
 */
import { ItemFetcher } from "@stellar-overlay/overlay/ItemFetcher"
import { passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { DontHave, type ScpMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { hex } from "../internal/hex.ts"
import type * as ScriptedPeer from "../ScriptedPeer.ts"
import * as World from "../World.ts"
import { flood } from "./FloodAttacks.ts"
import { honestValidators } from "./HonestPair.ts"
import {
  atMost,
  type Attackers,
  dropsOf,
  equal,
  holds,
  type NodeCase,
  type OverlayAttack,
  overlayAttack
} from "./OverlayAttack.ts"
import { hash, repeated } from "./parts.ts"
import * as Validators from "./Validators.ts"

const relay = { host: "relay" } as const

const seconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

/** The slot the honest validator speaks of, by the messages an observer hears. */
const currentSlot = ({ script }: ScriptedPeer.ScriptedPeer): number =>
  Math.max(100, ...script.messages("ScpMessage").map((message) => message.slotNumber ?? 0))

/** Joins and listens for a moment: an honest observer, who is given credit's worth of what the node relays. */
const observe = Effect.fnUntraced(function*(attackers: Attackers, ip = "21.0.0.1") {
  const peer = yield* attackers.join(ip)
  yield* peer.expectOpen(500)
  return peer
})

const relayed = ({ script }: ScriptedPeer.ScriptedPeer, messages: Iterable<ScpMessage>): number => {
  const heard = new Set(script.messages("ScpMessage").map(({ bytes }) => hex(bytes)))
  return Array.from(messages).filter(({ bytes }) => heard.has(hex(bytes))).length
}

/**
 * SCP messages that their validators did not sign.
 *
 * @category attacks
 * @since 0.1.0
 */
export const a10 = overlayAttack<
  NodeCase & { kind: "zeros" | "another network" | "another key" | "one again and again" }
>(
  {
    id: "A10",
    title: "sixteen SCP messages with bad signatures end the connection, and cost as many checks",
    amplification: 2,
    cases: (["zeros", "another network", "another key", "one again and again"] as const).map((kind) => ({
      name: kind,
      kind,
      victim: relay
    })),
    run: Effect.fnUntraced(function*(victim, attackers, { kind }) {
      const observer = yield* observe(attackers)
      const slot = currentSlot(observer)
      const closeTime = yield* seconds
      const other = Validators.validator("another")
      const forged = (n: number) =>
        Validators.scp({
          by: honestValidators[0],
          slot,
          counter: 1000 + n,
          closeTime,
          ...kind === "another network"
            ? { networkPassphrase: passphrases.testnet }
            : kind === "another key"
            ? { signature: other.sign(new Uint8Array(32)) }
            : { signature: new Uint8Array(64) }
        })
      const messages = repeated(30, (n) => forged(kind === "one again and again" ? 0 : n))
      const peer = yield* attackers.join("20.0.0.1")
      yield* peer.sayAll(messages)
      if (kind === "one again and again") yield* peer.expectOpen(1000) // copies of one are dropped before they are judged
      else {
        yield* peer.expectClosed({ error: "silent" })
        yield* equal(dropsOf(victim, "20.0.0.1"), ["TooManyBadSignatures"], "the reason")
      }
      yield* observer.expectOpen(500)
      yield* equal(relayed(observer, messages), 0, "forged messages relayed")
    })
  }
)

/**
 * Slots of long ago, and of the far future.
 *
 * @category attacks
 * @since 0.1.0
 */
export const a11 = overlayAttack<NodeCase & { from: (slot: number) => bigint; by: "trusted" | "stranger" }>({
  id: "A11",
  title: "slots out of range are not relayed, and the node goes on where it was",
  amplification: 2,
  cases: (["trusted", "stranger"] as const).flatMap((by) => [
    { name: `ancient, of a ${by} validator`, by, from: (slot: number) => BigInt(slot) - 95n },
    { name: `a thousand ahead, of a ${by} validator`, by, from: (slot: number) => BigInt(slot) + 1000n },
    { name: `2^63, of a ${by} validator`, by, from: () => 2n ** 63n },
    { name: `2^64 - 40, of a ${by} validator`, by, from: () => 2n ** 64n - 40n }
  ]).map((parameters) => ({ ...parameters, victim: relay })),
  run: Effect.fnUntraced(function*(_, attackers, { by, from }) {
    const observer = yield* observe(attackers)
    const slot = currentSlot(observer)
    const closeTime = yield* seconds
    const messages = repeated(40, (i) =>
      Validators.scp({
        by: Validators.validator(by === "trusted" ? "liar" : "stranger"),
        kind: "EXTERNALIZE",
        slot: from(slot) + BigInt(i),
        closeTime
      }))
    const peer = yield* attackers.join("20.0.0.1")
    yield* flood(peer, messages)
    yield* observer.expectOpen(1000)
    yield* equal(relayed(observer, messages), 0, "messages relayed")
    const later = currentSlot(observer)
    yield* holds(later >= slot && later <= slot + 5, "the slots to go on", later)
  })
})

/**
 * Validators nobody knows.
 *
 * @category attacks
 * @since 0.1.0
 */
export const a12 = overlayAttack<NodeCase & { count: number; attackers: number }>({
  id: "A12",
  title: "of validators outside the quorum nothing is kept, relayed or checked",
  amplification: 2,
  cases: [
    { name: "500 from one", count: 500, attackers: 1, victim: relay },
    { name: "150 from each of four", count: 150, attackers: 4, victim: relay }
  ],
  run: Effect.fnUntraced(function*(victim, field, { attackers, count }) {
    const observer = yield* observe(field)
    const slot = currentSlot(observer)
    const closeTime = yield* seconds
    const all: Array<ScpMessage> = []
    const { txSets } = Context.get(victim.inside.services, ItemFetcher)
    const before = { waiting: txSets.waiting, verified: victim.inside.verified() }
    for (let i = 0; i < attackers; i++) {
      const messages = repeated(count, (n) =>
        Validators.scp({
          by: Validators.validator(count * i + n),
          slot,
          closeTime,
          txSetHash: hash(n + 1),
          signature: new Uint8Array(64)
        }))
      all.push(...messages)
      yield* flood(yield* field.join(`20.${i}.0.1`, { grants: false }), messages)
    }
    yield* observer.expectOpen(500)
    yield* equal(relayed(observer, all), 0, "messages relayed")
    yield* atMost(txSets.waiting, before.waiting, "messages that wait for what they name")
    // Ten a second of the honest speaker, two of the listener, and the attackers' certificates.
    const verified = victim.inside.verified() - before.verified
    yield* atMost(verified, 40 + attackers, "signatures checked")
  })
})

/**
 * Honest messages, in another order, again, and from before.
 *
 * @category attacks
 * @since 0.1.0
 */
export const a13 = overlayAttack<NodeCase & { shuffle: boolean; times: number }>({
  id: "A13",
  title: "honest messages in any order, and any number of times, do no harm",
  amplification: 2,
  cases: [
    { name: "replayed in order", shuffle: false, times: 1, victim: relay },
    { name: "shuffled", shuffle: true, times: 1, victim: relay },
    { name: "shuffled, three times", shuffle: true, times: 3, victim: relay },
    { name: "shuffled, at a node that relays everything", shuffle: true, times: 2 }
  ],
  run: Effect.fnUntraced(function*(_, attackers, { shuffle, times }) {
    const { random } = yield* World.World
    const draw = random("attack")
    const observer = yield* observe(attackers)
    yield* observer.expectOpen(4000)
    const recorded = repeated(times, () => observer.script.messages("ScpMessage")).flat()
    if (shuffle) {
      for (let i = recorded.length - 1; i > 0; i--) {
        const j = draw.nextBelowUnsafe(i + 1)
        ;[recorded[i], recorded[j]] = [recorded[j]!, recorded[i]!]
      }
    }
    const before = observer.script.messages("ScpMessage").length
    yield* holds(recorded.length >= 20, "something to replay", recorded.length)
    yield* flood(yield* attackers.join("20.0.0.1"), recorded)
    yield* observer.expectOpen(1000)
    const heard = observer.script.messages("ScpMessage").map(({ bytes }) => hex(bytes))
    yield* equal(heard.length, new Set(heard).size, "messages that the observer hears once")
    yield* holds(heard.length > before, "the honest ones to go on", heard.length)
  })
})

/** Answers what the node asks this peer for, with whatever `answer` says. Gives how often it was asked. */
const answering = Effect.fnUntraced(function*(
  peer: ScriptedPeer.ScriptedPeer,
  answer: (asked: Uint8Array) => Iterable<Parameters<ScriptedPeer.ScriptedPeer["say"]>[0]>,
  millis: number
) {
  peer.script.answersPings = false
  let seen = 0
  let asked = 0
  const end = peer.script.now.millis + millis
  while (peer.script.now.millis < end && peer.script.ending === undefined) {
    yield* Effect.ignore(peer.expectOpen(millis > 100_000 ? 250 : 20))
    for (; seen < peer.script.heard.length; seen++) {
      const message = peer.script.heard[seen]!.message
      if (message?._tag !== "GetTxSet" && message?._tag !== "GetScpQuorumSet") continue
      asked++
      for (const said of answer(message.hash)) yield* peer.say(said)
    }
  }
  return asked
})

/**
 * DONT_HAVE, asked or not, once or many times.
 *
 * @category attacks
 * @since 0.1.0
 */
export const q4 = overlayAttack<NodeCase & { peers: number; times: number }>({
  id: "Q4",
  title: "DONT_HAVE in any number makes each peer be asked once a round, and rounds get rarer",
  cases: [
    { name: "four peers, once", peers: 4, times: 1 },
    { name: "four peers, a hundred times", peers: 4, times: 100 },
    { name: "one peer, two hundred times", peers: 1, times: 200 }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { peers, times }) {
    const fetcher = Context.get(victim.inside.services, ItemFetcher)
    const wanted = hash(77)
    const all = yield* Effect.forEach(
      repeated(peers, (i) => i),
      (i) => attackers.join(`20.${i}.0.1`, { grants: false })
    )
    yield* Effect.scoped(Effect.gen(function*() {
      yield* Effect.forkScoped(Effect.ignore(fetcher.fetchTxSet(wanted)))
      const refusal = DontHave.make({ itemType: MessageType.GeneralizedTxSet, hash: wanted })
      const asked = yield* Effect.forEach(
        all,
        (peer) => answering(peer, (hash) => hex(hash) === hex(wanted) ? repeated(times, () => refusal) : [], 30_000),
        { concurrency: "unbounded" }
      )
      // Rounds come after 1.5, 3, 4.5 … seconds, at most 15: fewer than seven in half a minute, with pings.
      for (const count of asked) yield* atMost(count, 9, "times that a peer was asked in 30 s")
    }))
    yield* Effect.sleep("1 second")
    yield* equal(fetcher.txSets.isWanted(wanted), false, "whether it is still wanted")
  })
})

/**
 * Sets nobody asked for.
 *
 * @category attacks
 * @since 0.1.0
 */
export const q5 = overlayAttack<NodeCase & { count: number; quorumSets: boolean }>({
  id: "Q5",
  title: "sets that nobody asked for are not kept, and push out nothing that was asked for",
  cases: [
    { name: "200 transaction sets", count: 200, quorumSets: false },
    { name: "200 quorum sets", count: 200, quorumSets: true }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { count, quorumSets }) {
    const fetcher = Context.get(victim.inside.services, ItemFetcher)
    const peer = yield* attackers.join("20.0.0.1", { grants: false })
    const items = repeated(count, (i) =>
      quorumSets
        ? Validators.quorumSet({ threshold: 1, validators: [hash(i + 1)] }).message
        : Validators.emptyTxSet(i + 2).message)
    yield* peer.sayAll(items)
    yield* peer.expectOpen(1000)
    yield* equal(victim.inside.host.items.length, 0, "items that reached the host")
    yield* equal(fetcher.txSets.unsolicited + fetcher.quorumSets.unsolicited, count, "items counted as unsolicited")
  })
})

const keys = (count: number) => repeated(count, (i) => hash(i + 1))

const nestedSet = (depth: number): Validators.QuorumSketch =>
  depth === 0
    ? { threshold: 1, validators: keys(1) }
    : { threshold: 1, validators: [], innerSets: [nestedSet(depth - 1)] }

/**
 * Quorum sets that make no sense, from the one who was asked.
 *
 * @category attacks
 * @since 0.1.0
 */
export const q6 = overlayAttack<NodeCase & { sketch: Validators.QuorumSketch; sane: boolean }>({
  id: "Q6",
  title: "a quorum set that makes no sense is refused",
  cases: [
    { name: "threshold 0", sane: false, sketch: { threshold: 0, validators: keys(3) } },
    { name: "threshold above its members", sane: false, sketch: { threshold: 4, validators: keys(3) } },
    { name: "a validator twice", sane: false, sketch: { threshold: 1, validators: [hash(1), hash(1)] } },
    { name: "1001 validators", sane: false, sketch: { threshold: 501, validators: keys(1001) } },
    { name: "six levels", sane: false, sketch: nestedSet(6) },
    { name: "nobody", sane: false, sketch: { threshold: 1, validators: [] } },
    { name: "an honest one", sane: true, sketch: { threshold: 2, validators: keys(3) } }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { sane, sketch }) {
    const fetcher = Context.get(victim.inside.services, ItemFetcher)
    const item = Validators.quorumSet(sketch)
    const peer = yield* attackers.join("20.0.0.1", { grants: false })
    const answers = yield* Effect.forkScoped(
      answering(peer, (asked) => hex(asked) === hex(item.hash) ? [item.message] : [], 3000)
    )
    const found = yield* Effect.exit(Effect.timeout(fetcher.fetchQuorumSet(item.hash), "4 seconds"))
    yield* equal(found._tag, sane ? "Success" : "Failure", "what came of the search")
    yield* holds(answers !== undefined, "an answer", "none")
    yield* Effect.sleep("1 second")
    yield* equal(fetcher.quorumSets.isWanted(item.hash), false, "whether it is still wanted")
  })
})

/**
 * An item that nobody has.
 *
 * @category attacks
 * @since 0.1.0
 */
export const q7 = overlayAttack<NodeCase & { answers: boolean }>({
  id: "Q7",
  title: "what nobody has is given up after an hour, and nothing is left of the search",
  cases: [
    { name: "nobody answers", answers: false },
    { name: "everybody says DONT_HAVE", answers: true }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { answers }) {
    const fetcher = Context.get(victim.inside.services, ItemFetcher)
    const wanted = hash(78)
    const peer = yield* attackers.join("20.0.0.1", { grants: false })
    const refusal = DontHave.make({ itemType: MessageType.GeneralizedTxSet, hash: wanted })
    const asked = yield* Effect.forkScoped(
      answering(peer, (hash) => answers || hex(hash) !== hex(wanted) ? [refusal] : [], 3_700_000)
    )
    const found = yield* Effect.exit(Effect.timeout(fetcher.fetchTxSet(wanted), "61 minutes"))
    yield* equal(found._tag, "Failure", "what came of the search")
    yield* equal([fetcher.txSets.isWanted(wanted), fetcher.txSets.waiting], [false, 0], "what is left of it")
    const count = peer.script.messages("GetTxSet").length
    yield* atMost(count, 600, "times it was asked for in an hour")
    asked.interruptUnsafe()
  })
})

/**
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const scpAttacks: ReadonlyArray<OverlayAttack> = [a10, a11, a12, a13, q4, q5, q6, q7]
