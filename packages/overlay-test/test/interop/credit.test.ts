import { assert, describe, it } from "@effect/vitest"
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { GetTxSet, isFlood, type StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { createHash } from "node:crypto"
import type { Foreign } from "./foreign.ts"
import { dialled, dialling, directions } from "./links.ts"
import { layer, leavingNothing, within } from "./local.ts"
import { advert, demand, scpMessage, transaction } from "./samples.ts"

const COUNT = 100_000

/** The connector needs some 4 s to receive so many and 9 s to send them; a guard against a stall, for slower machines. */
const GUARD = { timeout: 240_000 }

/** Protocol.md 16: PEER_FLOOD_READING_CAPACITY, FLOW_CONTROL_SEND_MORE_BATCH_SIZE, and the automatic byte capacity. */
const CAPACITY = 200
const BATCH = 40
const CAPACITY_BYTES = 300_000

/** The four flow-controlled types in turn, no two messages alike. */
const flood = function*(count: number): Generator<StellarMessage> {
  for (let n = 1; n <= count; n++) yield [scpMessage, transaction, advert, demand][n & 3]!(n)
}

/**
 * Number, bytes and hash of the bodies, by type: the queues have priorities, within a type the order must be kept.
 */
class Tally {
  readonly #types = new Map<string, { messages: number; bytes: number; hash: ReturnType<typeof createHash> }>()
  messages = 0
  bytes = 0

  add({ _tag, bytes }: StellarMessage): void {
    let type = this.#types.get(_tag)
    if (type === undefined) this.#types.set(_tag, type = { messages: 0, bytes: 0, hash: createHash("sha256") })
    type.messages++
    type.bytes += bytes.length
    type.hash.update(bytes)
    this.messages++
    this.bytes += bytes.length
  }

  /** For comparison; ends the hashes. */
  total() {
    return [...this.#types].sort(([a], [b]) => a < b ? -1 : 1).map(([tag, { bytes, hash, messages }]) => [
      tag,
      messages,
      bytes,
      hash.digest("hex")
    ])
  }
}

const tallyOf = (messages: Iterable<StellarMessage>): Tally => {
  const tally = new Tally()
  for (const message of messages) tally.add(message)
  return tally
}

/** Tallies what the connector receives, returning the credit at once; `complete` when it has had so many. */
const tallyAt = (foreign: Foreign, count: number) => {
  const tally = new Tally()
  const complete = Deferred.makeUnsafe<void>()
  foreign.onMessage = (message, done) => {
    if (isFlood(message)) tally.add(message)
    done()
    if (tally.messages === count) Deferred.doneUnsafe(complete, Effect.void)
  }
  return { tally, complete: Deferred.await(complete) }
}

/** As `tallyAt`, with the credit withheld. */
const holdAt = (foreign: Foreign, count: number) => {
  const tally = new Tally()
  const held: Array<() => void> = []
  const complete = Deferred.makeUnsafe<void>()
  const { onMessage } = foreign
  foreign.onMessage = (message, done) => {
    if (!isFlood(message)) return onMessage(message, done)
    tally.add(message)
    held.push(done)
    if (tally.messages === count) Deferred.doneUnsafe(complete, Effect.void)
  }
  return { tally, held, complete: within(`${count} messages at the connector`, Deferred.await(complete)) }
}

/** The connector asks and we answer: whatever it said before, we have handled, and what we had to say to that is there. */
const settled = (foreign: Foreign) =>
  Effect.suspend(() => {
    foreign.send(GetTxSet.make({ hash: new Uint8Array(32) }))
    return foreign.takeOf("DontHave")
  })

const count = COUNT.toLocaleString("en")

describe("interop: credit", () => {
  it.live(
    `SIM-05 FLC-02 FLC-12 it dials us: ${count} messages from us, none lost, all credit back`,
    () =>
      Effect.gen(function*() {
        const { foreign, peer } = yield* dialled({ ours: { scpStateFrom: "none" } })
        const { onMessage } = foreign
        const { complete, tally } = tallyAt(foreign, COUNT)
        yield* peer.sendAll(flood(COUNT))
        yield* complete
        assert.deepStrictEqual(tally.total(), tallyOf(flood(COUNT)).total())

        foreign.onMessage = onMessage
        yield* settled(foreign)
        const { dropReason, flow } = peer.session
        assert.strictEqual(COUNT % BATCH, 0) // so that its last batch is full, and its last grant made
        assert.deepStrictEqual([flow.messageCredit, flow.byteCredit], [BigInt(CAPACITY), BigInt(CAPACITY_BYTES)])
        assert.isUndefined(dropReason)
      }).pipe(leavingNothing, Effect.provide(layer())),
    GUARD
  )

  it.live(
    `SIM-05 FLC-02 FLC-12 we dial it: ${count} messages from it, none lost, each granted back once`,
    () =>
      Effect.gen(function*() {
        const { foreign, peer } = yield* dialling({ ours: { scpStateFrom: "none" } })
        const tally = new Tally()
        const sizes: Array<number> = []
        const receiving = yield* Effect.forkScoped(peer.messages.pipe(
          Stream.take(COUNT),
          Stream.runForEach((message) =>
            Effect.sync(() => {
              tally.add(message)
              sizes.push(message.size)
            })
          )
        ))
        yield* foreign.sendWithinGrants(flood(COUNT))
        yield* Fiber.join(receiving)
        assert.deepStrictEqual(tally.total(), tallyOf(flood(COUNT)).total())

        yield* settled(foreign)
        const granted = { messages: 0, bytes: 0 }
        for (const grant of foreign.grants) {
          granted.messages += grant.messages
          granted.bytes += grant.bytes
        }
        // All that was processed came back to the last byte, but for less than one batch, the last, that is yet to be granted.
        const left = CAPACITY + COUNT - granted.messages
        assert.isBelow(left, BATCH)
        const bytesLeft = sizes.slice(COUNT - left).reduce((sum, size) => sum + size, 0)
        assert.strictEqual(granted.bytes, CAPACITY_BYTES + tally.bytes - bytesLeft)
        assert.isUndefined(peer.session.dropReason)
      }).pipe(leavingNothing, Effect.provide(layer())),
    GUARD
  )

  for (const { link, title } of directions) {
    it.live(`SIM-05 FLC-02 ${title}: we send what it granted and no more, and go on when it grants again`, () =>
      Effect.gen(function*() {
        const { foreign, peer } = yield* link({ ours: { scpStateFrom: "none" } })
        const { onMessage } = foreign
        const { complete, held, tally } = holdAt(foreign, CAPACITY)
        yield* peer.sendAll(flood(300))
        yield* complete
        yield* settled(foreign)
        assert.strictEqual(tally.messages, CAPACITY)
        assert.strictEqual(peer.session.flow.messageCredit, 0n)

        foreign.onMessage = onMessage
        for (const done of held) done()
        for (const message of yield* foreign.takeN(100)) tally.add(message)
        assert.deepStrictEqual(tally.total(), tallyOf(flood(300)).total())
      }).pipe(leavingNothing, Effect.provide(layer())))

    it.live(`SIM-05 FLC-02 ${title}: while nobody takes its messages it gets no credit, and all of them are kept`, () =>
      Effect.gen(function*() {
        const { foreign, peer } = yield* link({ ours: { scpStateFrom: "none" } })
        const sent = [...flood(300)]
        const spent = Deferred.makeUnsafe<void>()
        const sending = yield* Effect.forkScoped(foreign.sendWithinGrants(function*() {
          yield* sent.slice(0, CAPACITY)
          Deferred.doneUnsafe(spent, Effect.void) // asked for one more: all these are on their way
          yield* sent.slice(CAPACITY)
        }()))
        yield* within("its sending", Deferred.await(spent))
        yield* settled(foreign)
        assert.deepStrictEqual(foreign.grants, [{ messages: CAPACITY, bytes: CAPACITY_BYTES }])
        assert.strictEqual(peer.session.flow.localFloodMessages, 0)

        const received = peer.messages.pipe(
          Stream.map((message) => message.retain()),
          Stream.take(300),
          Stream.runCollect
        )
        assert.deepStrictEqual(tallyOf(yield* within("300 messages", received)).total(), tallyOf(sent).total())
        yield* Fiber.join(sending)
      }).pipe(leavingNothing, Effect.provide(layer())))

    it.live(`SIM-05 FLC-03 F3 ${title}: it sends on without credit, and the first message too many ends it in silence`, () =>
      Effect.gen(function*() {
        const { foreign, peer } = yield* link({ ours: { scpStateFrom: "none" } })
        for (const message of flood(CAPACITY)) foreign.send(message)
        yield* settled(foreign)
        assert.isUndefined(peer.session.dropReason)
        foreign.send(advert(CAPACITY + 1))
        const reason = yield* within("the end", peer.closed)
        assert.strictEqual(DropReason.text(reason), "unexpected flood message, peer at capacity")
        yield* foreign.closed
        assert.notInclude(foreign.types, MessageType.ErrorMsg)
      }).pipe(leavingNothing, Effect.provide(layer())))
  }
})
