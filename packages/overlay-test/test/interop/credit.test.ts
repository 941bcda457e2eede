import { assert, describe, it } from "@effect/vitest"
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import { GetTxSet, isFlood, type StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { createHash } from "node:crypto"
import type { Foreign } from "./foreign.ts"
import { directions } from "./links.ts"
import { layer, leavingNothing, within } from "./local.ts"
import { advert, demand, scpMessage, transaction } from "./samples.ts"

const COUNT = 100_000

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

/** Tallies what the connector receives; opens when it has had so many. */
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

/** Asks the connector's turn: when the answer is here, everything it said before has been handled by us. */
const settled = (foreign: Foreign) =>
  Effect.suspend(() => {
    foreign.send(GetTxSet.make({ hash: new Uint8Array(32) }))
    return foreign.takeOf("DontHave")
  })

describe("interop: credit", () => {
  for (const { link, title } of directions) {
    it.live(`SIM-05 FLC-02 FLC-12 ${title}: ${COUNT.toLocaleString("en")} messages from us, none lost, all credit back`, () =>
      Effect.gen(function*() {
        const { foreign, peer } = yield* link({ ours: { scpStateFrom: "none" } })
        const { onMessage } = foreign
        const { complete, tally } = tallyAt(foreign, COUNT)
        const start = performance.now()
        yield* peer.sendAll(flood(COUNT))
        yield* complete
        console.log("us->it", Math.round(performance.now() - start), "ms")
        const expected = tallyOf(flood(COUNT))
        assert.deepStrictEqual(tally.total(), expected.total())
        assert.strictEqual(COUNT % BATCH, 0)
        foreign.onMessage = onMessage
        yield* settled(foreign)
        const { flow } = peer.session
        assert.deepStrictEqual([flow.messageCredit, flow.byteCredit], [BigInt(CAPACITY), BigInt(CAPACITY_BYTES)])
        assert.isUndefined(peer.session.dropReason)
      }).pipe(leavingNothing, Effect.provide(layer())))

    it.live(`SIM-05 FLC-02 FLC-12 ${title}: ${COUNT.toLocaleString("en")} messages from it, each granted back once`, () =>
      Effect.gen(function*() {
        const { foreign, peer } = yield* link({ ours: { scpStateFrom: "none" } })
        const tally = new Tally()
        const receiving = yield* Effect.forkScoped(peer.messages.pipe(
          Stream.take(COUNT),
          Stream.runForEachArray((messages) => Effect.sync(() => messages.forEach((message) => tally.add(message))))
        ))
        const start = performance.now()
        yield* foreign.sendWithinGrants(flood(COUNT))
        yield* Fiber.join(receiving)
        console.log("it->us", Math.round(performance.now() - start), "ms", foreign.grants.length)
        const expected = tallyOf(flood(COUNT))
        assert.deepStrictEqual([tally.messages, tally.bytes], [expected.messages, expected.bytes])
        assert.deepStrictEqual(tally.total(), expected.total())
        yield* settled(foreign)
        // What was processed comes back exactly; less than one batch of it is still to be granted.
        const [first, ...grants] = foreign.grants
        assert.deepStrictEqual(first, { messages: CAPACITY, bytes: CAPACITY_BYTES })
        const granted = grants.reduce((sum, { messages }) => sum + messages, 0)
        assert.isBelow(COUNT - granted, BATCH)
        assert.isAtLeast(COUNT - granted, 0)
        assert.strictEqual(peer.session.flow.localFloodMessages, CAPACITY)
        assert.strictEqual(peer.session.flow.localFloodBytes, CAPACITY_BYTES)
      }).pipe(leavingNothing, Effect.provide(layer())))
  }
})
