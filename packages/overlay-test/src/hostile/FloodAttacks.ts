/**
 * Attacks on flooding, as a whole node meets them: A1, A3 to A9.
 *
 * @since 0.1.0
 */
import { Flood } from "@stellar-overlay/overlay/Flood"
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import {
  FloodAdvert,
  FloodDemand,
  type StellarMessage,
  type Transaction
} from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { hex } from "../internal/hex.ts"
import type { ScriptFailure } from "../Script.ts"
import type * as ScriptedPeer from "../ScriptedPeer.ts"
import {
  atMost,
  equal,
  holds,
  type NodeCase,
  outsideAttack,
  type OverlayAttack,
  overlayAttack,
  type Victim
} from "./OverlayAttack.ts"
import { hash, numbered, repeated } from "./parts.ts"
import * as Validators from "./Validators.ts"

const { sha256 } = NodeOverlayCrypto.primitives
const hashOf = (message: Transaction): Uint8Array => sha256(message.envelope)

/**
 * Says all of it, as fast as the node grants credit.
 *
 * @category attacks
 * @since 0.1.0
 */
export const flood = Effect.fnUntraced(function*(
  peer: ScriptedPeer.ScriptedPeer,
  messages: Iterable<StellarMessage>
): Effect.fn.Return<void, ScriptFailure> {
  let count = 0
  let bytes = 0
  let granted = { messages: 0, bytes: 0, seen: 0 }
  for (const message of messages) {
    while (count + 1 > granted.messages || bytes + message.size > granted.bytes) {
      const grants = peer.script.messages("SendMoreExtended").slice(granted.seen)
      if (grants.length === 0) yield* peer.expectOpen(10)
      granted = {
        messages: grants.reduce((sum, { numMessages }) => sum + numMessages, granted.messages),
        bytes: grants.reduce((sum, { numBytes }) => sum + numBytes, granted.bytes),
        seen: granted.seen + grants.length
      }
    }
    yield* peer.say(message)
    count++
    bytes += message.size
  }
})

/** Adverts of hashes that nobody has. */
const randomAdverts = (count: number, size: number, from = 0) =>
  repeated(count, (n) => FloodAdvert.make({ hashes: repeated(size, (i) => hash(1 + from + size * n + i)) }))

const floodOf = ({ inside }: Victim) => Context.get(inside.services, Flood)

const hashesIn = (messages: ReadonlyArray<{ readonly hashes: ReadonlyArray<Uint8Array> }>): Array<string> =>
  messages.flatMap(({ hashes }) => hashes.map(hex))

/**
 * Adverts of random hashes, without end.
 *
 * @category attacks
 * @since 0.1.0
 */
export const a1 = overlayAttack<NodeCase & { attackers: number; adverts: number; size: number }>({
  id: "A1",
  title: "among random hashes an honest advert is demanded in the next runs, and memory is bounded",
  cases: [
    { name: "30 adverts of 1000 from one", attackers: 1, adverts: 30, size: 1000 },
    { name: "10 adverts of 1000 from each of four", attackers: 4, adverts: 10, size: 1000 },
    { name: "1000 adverts of one", attackers: 1, adverts: 1000, size: 1 }
  ],
  run: Effect.fnUntraced(function*(victim, field, { adverts, attackers, size }) {
    const { demands } = floodOf(victim)
    const honest = yield* field.join("21.0.0.1")
    for (let i = 0; i < attackers; i++) {
      const peer = yield* field.join(`20.${i}.0.1`)
      yield* Effect.forkScoped(flood(peer, randomAdverts(adverts, size, 1_000_000 * i)))
    }
    for (let n = 1; n <= 5; n++) {
      yield* honest.say(FloodAdvert.make({ hashes: [hashOf(numbered(n))] }))
      yield* honest.expect("FloodDemand", 500)
      yield* honest.say(numbered(n))
      yield* honest.expectOpen(100)
    }
    yield* equal(victim.inside.host.pool.size, 5, "transactions that came")
    yield* honest.expectOpen(3000)
    yield* atMost(demands.size, 80 * 5 * (attackers + 1) * 10, "demands remembered")
  })
})

/**
 * Advertise and withhold.
 *
 * @category attacks
 * @since 0.1.0
 */
export const a3 = overlayAttack<NodeCase & { sybils: number; first: boolean }>({
  id: "A3",
  title: "whoever advertises and withholds, a transaction comes within 3 s of an honest advert",
  cases: [
    { name: "one withholder, who is first", sybils: 1, first: true },
    { name: "four, who are first", sybils: 4, first: true },
    { name: "eight, who are first", sybils: 8, first: true },
    { name: "eight, at once with the honest one", sybils: 8, first: false }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { first, sybils }) {
    const honest = yield* attackers.join("21.0.0.1")
    const withholders = yield* Effect.forEach(repeated(sybils, (i) => i), (i) => attackers.join(`20.${i}.0.1`))
    const wanted = repeated(3, (i) => numbered(i + 1))
    const advert = FloodAdvert.make({ hashes: wanted.map(hashOf) })
    for (const peer of withholders) yield* peer.say(advert)
    if (first) yield* honest.expectOpen(1000)
    yield* honest.say(advert)
    const end = honest.script.now.millis + 3000
    let answered = 0
    while (victim.inside.host.pool.size < wanted.length && honest.script.now.millis < end) {
      yield* honest.expectOpen(50)
      const demands = honest.script.messages("FloodDemand")
      for (const key of hashesIn(demands.slice(answered))) {
        for (const message of wanted) if (hex(hashOf(message)) === key) yield* honest.say(message)
      }
      answered = demands.length
    }
    yield* equal(victim.inside.host.pool.size, wanted.length, "transactions within 3 s")
  })
})

/**
 * Demands for what nobody has.
 *
 * @category attacks
 * @since 0.1.0
 */
export const a4 = outsideAttack<NodeCase & { demands: number; size: number }>({
  id: "A4",
  title: "demands for unknown hashes cost their credit and are not answered",
  cases: [
    { name: "50 of 1000 hashes", demands: 50, size: 1000 },
    { name: "1000 of one hash", demands: 1000, size: 1 }
  ],
  run: Effect.fnUntraced(function*(_, attackers, { demands, size }) {
    const peer = yield* attackers.join("20.0.0.1", { grants: false })
    const demand = FloodDemand.make({ hashes: repeated(size, (i) => hash(1 + i)) })
    yield* flood(peer, repeated(demands, () => demand))
    yield* peer.expectOpen(1000)
    const answers = peer.script.tags.filter((tag) => tag === "Transaction" || tag === "DontHave")
    yield* equal(answers.length, 0, "answers")
  })
})

/**
 * The same large transaction, demanded again and again.
 *
 * @category attacks
 * @since 0.1.0
 */
export const a5 = overlayAttack<NodeCase & { size: number; times: number }>({
  id: "A5",
  title: "a transaction is sent to a peer once a minute, however often it demands it",
  amplification: 8, // one transaction of 100 KB for 1000 demands, and the traffic that credit was given for
  cases: [
    { name: "100 KB, 1000 times", size: 100_000, times: 1000 },
    { name: "100 bytes, 1000 times", size: 100, times: 1000 }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { size, times }) {
    const message = numbered(1, size)
    victim.inside.host.pool.set(hex(hashOf(message)), message)
    const peer = yield* attackers.join("20.0.0.1")
    const demand = FloodDemand.make({ hashes: repeated(10, () => hashOf(message)) })
    yield* flood(peer, repeated(times / 10, () => demand))
    yield* peer.expectOpen(1000)
    yield* equal(peer.script.messages("Transaction").length, 1, "times it was sent")
  })
})

/**
 * Transactions nobody asked for.
 *
 * @category attacks
 * @since 0.1.0
 */
export const a6 = overlayAttack<NodeCase & { count: number; times: number }>({
  id: "A6",
  title: "unsolicited transactions are taken once, advertised once to each, and then it is quiet",
  amplification: 2,
  cases: [
    { name: "20, ten times each, from two", count: 20, times: 10 },
    { name: "200, once each, from two", count: 200, times: 1 }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { count, times }) {
    const listener = yield* attackers.join("21.0.0.1")
    const pushers = [yield* attackers.join("20.0.0.1"), yield* attackers.join("20.1.0.1")]
    const pushed = repeated(times, () => repeated(count, (i) => numbered(i + 1))).flat()
    yield* Effect.all(pushers.map((peer) => flood(peer, pushed)), { concurrency: 2 })
    yield* listener.expectOpen(3000)
    yield* equal(victim.inside.host.pool.size, count, "transactions taken")
    const told = hashesIn(listener.script.messages("FloodAdvert"))
    yield* equal([told.length, new Set(told).size], [count, count], "hashes advertised, and different ones")
    const heard = listener.script.messages("FloodAdvert").length
    yield* listener.expectOpen(5000)
    yield* equal(listener.script.messages("FloodAdvert").length, heard, "adverts after that")
  })
})

/**
 * So many unique messages that records run out, in a ledger that stands still.
 *
 * @category attacks
 * @since 0.1.0
 */
export const a7 = overlayAttack<NodeCase & { messages: number; attackers: number }>({
  id: "A7",
  title: "in a ledger that stands still records stay at their bound, and what is new is still relayed",
  amplification: 2,
  cases: [
    { name: "1000 messages of as many validators from one", messages: 1000, attackers: 1 },
    { name: "400 from each of three", messages: 400, attackers: 3 }
  ].map((parameters) => ({ ...parameters, victim: { config: { maxFloodRecords: 200 } } })),
  run: Effect.fnUntraced(function*(victim, field, { attackers, messages }) {
    const { gate } = floodOf(victim)
    const signature = new Uint8Array(64)
    const peers = yield* Effect.forEach(
      repeated(attackers, (i) => i),
      (i) => field.join(`20.${i}.0.1`, { grants: false })
    )
    yield* Effect.forEach(peers, (peer, i) =>
      flood(
        peer,
        repeated(messages, (n) =>
          Validators.scp({
            by: Validators.validator("anybody"),
            slot: 100,
            counter: messages * i + n + 1,
            closeTime: 0,
            signature
          }))
      ), { concurrency: "unbounded" })
    yield* Effect.sleep("1 second")
    yield* atMost(gate.size, 200, "flood records")
    yield* holds(gate.evicted >= attackers * messages - 200, "the oldest to go", gate.evicted)
  })
})

const reversed = (bytes: Uint8Array): Uint8Array => bytes.slice().reverse()

/**
 * Hashes that are alike: in their beginning, in their end, or but for one bit.
 *
 * @category attacks
 * @since 0.1.0
 */
export const a8 = overlayAttack<NodeCase & { make: (i: number) => Uint8Array }>({
  id: "A8",
  title: "hashes that share all but a few bits are as different as any",
  amplification: 6, // demands: a hash that is not delivered is asked for once of each advertiser, 44 bytes each
  cases: [
    { name: "the same first 28 bytes", make: (i: number) => reversed(hash(i)) },
    { name: "the same last 28 bytes", make: hash },
    {
      name: "one bit apart",
      make: (i: number) => {
        const bytes = hash(1)
        bytes[(i >> 3) % 32]! ^= 1 << (i & 7)
        return bytes
      }
    }
  ],
  run: Effect.fnUntraced(function*(_, attackers, { make }) {
    const peer = yield* attackers.join("20.0.0.1")
    const hashes = repeated(200, (i) => make(i + 1))
    const different = new Set(hashes.map(hex))
    yield* peer.say(FloodAdvert.make({ hashes }))
    yield* peer.expectOpen(5000)
    const demanded = new Set(hashesIn(peer.script.messages("FloodDemand")))
    yield* equal(demanded.size, different.size, "different hashes demanded")
  })
})

/**
 * Everybody says the same.
 *
 * @category attacks
 * @since 0.1.0
 */
export const a9 = overlayAttack<NodeCase & { attackers: number; messages: number }>({
  id: "A9",
  title: "what many say at once is checked once, and told to each once",
  cases: [
    { name: "50 SCP messages from 8", attackers: 8, messages: 50 },
    { name: "150 SCP messages from 3", attackers: 3, messages: 150 },
    { name: "40 signed ones from 8, at a node that judges them", attackers: 8, messages: 40, victim: { host: "relay" } }
  ],
  run: Effect.fnUntraced(function*(victim, field, { attackers, messages }) {
    const { records } = floodOf(victim)
    const before = records.duplicateFloodMessages
    const observer = yield* field.join("21.0.0.1")
    const peers = yield* Effect.forEach(repeated(attackers, (i) => i), (i) => field.join(`20.${i}.0.1`))
    yield* observer.expectOpen(500)
    const slot = Math.max(100, ...observer.script.messages("ScpMessage").map((message) => message.slotNumber ?? 0))
    const closeTime = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const storm = repeated(messages, (i) =>
      Validators.scp({
        by: Validators.validator("liar"),
        // A later ballot of one slot takes the place of an earlier one that waits: only at a judge is that what is meant.
        slot: victim.inside.isRelay ? slot : slot + i,
        counter: i + 1,
        closeTime
      }))
    const verified = victim.inside.verified()
    yield* Effect.forEach(peers, (peer) => peer.sayAll(storm), { concurrency: "unbounded" })
    yield* observer.expectOpen(1000)
    const heard = new Map<string, number>()
    for (const { bytes } of observer.script.messages("ScpMessage")) {
      heard.set(hex(bytes), (heard.get(hex(bytes)) ?? 0) + 1)
    }
    const told = storm.map(({ bytes }) => heard.get(hex(bytes)) ?? 0)
    yield* equal(told.filter((times) => times > 1).length, 0, "messages told more than once")
    yield* holds(told.includes(1), "something to be told", "nothing")
    if (!victim.inside.isRelay) yield* equal(told.filter((times) => times === 0).length, 0, "messages not told")
    yield* equal(records.duplicateFloodMessages - before, (attackers - 1) * messages, "duplicates")
    yield* atMost(victim.inside.verified() - verified, messages + 20, "signatures checked")
  })
})

/**
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const floodAttacks: ReadonlyArray<OverlayAttack> = [a1, a3, a4, a5, a6, a7, a8, a9]
