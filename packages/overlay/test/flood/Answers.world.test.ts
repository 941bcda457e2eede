/** What a node answers when it is asked for sets and for SCP state, and what it does not answer (protocol.md 5.3, 7). */
import { assert, describe, it } from "@effect/vitest"
import type * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import { Effect } from "effect"
import { toHex } from "../../src/internal/bytes.ts"
import {
  FloodDemand,
  GetScpQuorumSet,
  GetScpState,
  GetTxSet,
  type ScpMessage,
  type StellarMessage
} from "../../src/wire/StellarMessage.ts"
import { hashOf, legacyTxSet, quorumSet, scpMessage, transaction, txSet, unknown } from "./messages.ts"
import { dropsOf, inWorld, MemoryHost, start } from "./network.ts"
import { dial, grant, heard } from "./scripted.ts"

const T = txSet(1)
const L = legacyTxSet(2)
const Q = quorumSet(1)

/** Serves one set of each kind, and remembers what it was asked. */
const server = (differences: Partial<MemoryHost["service"]> = {}) => {
  const asked: Array<string> = []
  const serve = <A>(items: ReadonlyArray<{ readonly hash: Uint8Array; readonly message: A }>) => (hash: Uint8Array) =>
    Effect.sync(() => {
      asked.push(toHex(hash))
      return items.find((item) => toHex(item.hash) === toHex(hash))?.message
    })
  const host = new MemoryHost({
    txSet: serve<typeof T.message | typeof L.message>([T, L]),
    quorumSet: serve([Q]),
    ...differences
  })
  return { asked, host }
}

const zero = new Uint8Array(32)

/** What the peer hears in a second after saying something. */
const after = Effect.fnUntraced(function*(peer: ScriptedPeer.ScriptedPeer, messages: ReadonlyArray<StellarMessage>) {
  const before = heard(peer).length
  yield* peer.sayAll(messages)
  yield* peer.expectOpen(1000)
  return heard(peer).slice(before).filter(({ _tag }) => _tag !== "SendMoreExtended")
})

const describeAll = (messages: ReadonlyArray<StellarMessage>): Array<string> =>
  messages.map((message) =>
    message._tag === "DontHave" ? `DontHave ${message.itemType} ${toHex(message.hash).slice(0, 8)}` : message._tag
  )

describe("questions for sets", () => {
  it.effect("QRY-01 PEE-19 FET-09 what is held is sent, and DONT_HAVE names the type and the hash of what is not", () =>
    inWorld(
      1,
      {},
      Effect.gen(function*() {
        const { host } = server()
        const node = yield* start(0, { host })
        const peer = yield* dial(node)
        const [a, b] = [unknown(1), unknown(2)]
        const answers = yield* after(peer, [
          GetTxSet.make({ hash: T.hash }),
          GetTxSet.make({ hash: L.hash }),
          GetScpQuorumSet.make({ hash: Q.hash }),
          GetTxSet.make({ hash: a }),
          GetScpQuorumSet.make({ hash: b })
        ])
        assert.deepStrictEqual(describeAll(answers), [
          "GeneralizedTxSet",
          "TxSet",
          "ScpQuorumSet",
          `DontHave 17 ${toHex(a).slice(0, 8)}`,
          `DontHave 10 ${toHex(b).slice(0, 8)}`
        ])
        assert.deepStrictEqual(
          answers.slice(0, 3).map(({ bytes }) => toHex(bytes)),
          [T, L, Q].map((x) => toHex(x.message.bytes))
        )
      })
    ))

  it.effect("QRY-01 the type of a transaction set that is not held goes by the last closed ledger's version", () =>
    inWorld(
      2,
      {},
      Effect.gen(function*() {
        const { host } = server()
        const node = yield* start(0, { host })
        const peer = yield* dial(node)
        const types: Array<number> = []
        for (const ledgerVersion of [1, 19, 20, 23]) {
          host.view = { ...host.view, ledgerVersion }
          const [answer] = yield* after(peer, [GetTxSet.make({ hash: unknown(1) })])
          types.push(answer?._tag === "DontHave" ? answer.itemType : -1)
        }
        assert.deepStrictEqual(types, [7, 7, 17, 17])
      })
    ))

  it.effect("QRY-01 the all-zero hash stands for the empty set: DONT_HAVE, and the host is not even asked", () =>
    inWorld(
      3,
      {},
      Effect.gen(function*() {
        const { asked, host } = server({ txSet: () => Effect.die("asked for the empty set") })
        const node = yield* start(0, { host })
        const peer = yield* dial(node)
        const answers = yield* after(peer, [GetTxSet.make({ hash: zero }), GetScpQuorumSet.make({ hash: zero })])
        assert.deepStrictEqual(describeAll(answers), ["DontHave 17 00000000", "DontHave 10 00000000"])
        assert.deepStrictEqual(asked, [toHex(zero)])
      })
    ))

  it.effect("Q1 Q3 QRY-01 300 of each in a minute are answered, and the rest is silence; a minute later it begins anew", () =>
    inWorld(
      4,
      {},
      Effect.gen(function*() {
        const { asked, host } = server()
        const node = yield* start(0, { host })
        const peer = yield* dial(node)
        const questions = (
          n: number
        ) => [GetTxSet.make({ hash: unknown(n) }), GetScpQuorumSet.make({ hash: unknown(n) })]
        const all = Array.from({ length: 400 }, (_, n) => questions(n)).flat()
        const answers = yield* after(peer, all)
        assert.strictEqual(answers.length, 600)
        assert.strictEqual(asked.length, 600)
        assert.strictEqual(new Set(describeAll(answers)).size, 600)
        yield* peer.expectOpen(60_000)
        assert.strictEqual((yield* after(peer, questions(1))).length, 2)
        assert.deepStrictEqual(dropsOf(node), [])
      })
    ))

  it.effect("Q1 over the byte budget a set is not sent, in silence", () =>
    inWorld(
      5,
      {},
      Effect.gen(function*() {
        const { host } = server()
        const node = yield* start(0, { host, config: { txSetBytesPerMinute: 3 * T.message.size } })
        const peer = yield* dial(node)
        const ask = Array.from({ length: 10 }, () => GetTxSet.make({ hash: T.hash }))
        assert.strictEqual((yield* after(peer, ask)).length, 3)
        yield* peer.expectOpen(60_000)
        assert.strictEqual((yield* after(peer, ask)).length, 3)
      })
    ))

  it.effect("QRY-02 A4 a demand for transactions nobody has gets no reply at all, one for known ones the transactions", () =>
    inWorld(
      6,
      {},
      Effect.gen(function*() {
        const banned = transaction(9)
        const { host } = server({
          transactionStatus: (hash) => toHex(hash) === toHex(hashOf(banned)) ? "banned" : "known"
        })
        host.add(transaction(1))
        const node = yield* start(0, { host })
        const peer = yield* dial(node)
        const strange = Array.from({ length: 500 }, (_, n) => unknown(n))
        assert.deepStrictEqual(yield* after(peer, [FloodDemand.make({ hashes: strange })]), [])
        const answers = yield* after(peer, [
          FloodDemand.make({ hashes: [unknown(1), hashOf(transaction(1)), hashOf(banned), unknown(2)] })
        ])
        assert.deepStrictEqual(describeAll(answers), ["Transaction"])
        assert.deepStrictEqual(dropsOf(node), [])
      })
    ))
})

describe("GET_SCP_STATE", () => {
  const stateOf = (messages: ReadonlyArray<ScpMessage>) => {
    const asked: Array<number> = []
    const host = new MemoryHost({
      scpState: (from) =>
        Effect.sync(() => {
          asked.push(from)
          return messages.filter(({ slotNumber }) => slotNumber! >= from)
        })
    })
    return { asked, host }
  }

  it.effect("PEE-13 the host's messages from that ledger on, in its order, whoever has them already; nothing if none", () =>
    inWorld(
      7,
      {},
      Effect.gen(function*() {
        const messages = [1, 2, 3, 4].flatMap((slot) => [scpMessage(slot, 1), scpMessage(slot, 2)])
        const { asked, host } = stateOf(messages)
        const node = yield* start(0, { host })
        const peer = yield* dial(node)
        yield* peer.sayAll(messages) // so that the gate knows that the peer has them
        const answers = yield* after(peer, [GetScpState.make({ ledgerSeq: 3 })])
        assert.deepStrictEqual(
          answers.map(({ bytes }) => toHex(bytes)),
          messages.slice(4).map(({ bytes }) => toHex(bytes))
        )
        assert.deepStrictEqual(yield* after(peer, [GetScpState.make({ ledgerSeq: 5 })]), [])
        assert.deepStrictEqual(asked, [3, 5])
      })
    ))

  it.effect("PEE-13 Q2 ten in a window, the eleventh is ignored; a connection is not ended for it", () =>
    inWorld(
      8,
      {},
      Effect.gen(function*() {
        const { asked, host } = stateOf([scpMessage(1)])
        const node = yield* start(0, { host })
        const peer = yield* dial(node)
        const answers = yield* after(peer, Array.from({ length: 50 }, () => GetScpState.make({ ledgerSeq: 1 })))
        assert.deepStrictEqual([answers.length, asked.length], [10, 10])
        yield* peer.expectOpen(60_000)
        assert.strictEqual((yield* after(peer, [GetScpState.make({ ledgerSeq: 1 })])).length, 1)
      })
    ))

  it.effect("PEE-13 Q2 of a state larger than its queue the peer gets the newest part, and is not dropped for asking", () =>
    inWorld(
      9,
      {},
      Effect.gen(function*() {
        const messages = Array.from(
          { length: 300 },
          (_, slot) => Array.from({ length: 100 }, (_, n) => scpMessage(slot + 1, n))
        )
        const { host } = stateOf(messages.flat())
        const node = yield* start(0, { host })
        const peer = yield* dial(node, 0, { grants: false })
        yield* peer.sayAll(Array.from({ length: 10 }, () => GetScpState.make({ ledgerSeq: 1 })))
        yield* peer.expectOpen(1000)
        const got: Array<ScpMessage> = []
        for (let round = 0; round < 60; round++) {
          yield* grant(peer, 200, 300_000)
          yield* peer.expectOpen(100)
        }
        got.push(...peer.script.messages("ScpMessage"))
        assert.isAtLeast(got.length, 5000)
        assert.isAtMost(got.length, 8192)
        // In slot order, to the newest.
        const slots = got.map(({ slotNumber }) => slotNumber!)
        assert.deepStrictEqual(slots, [...slots].sort((a, b) => a - b))
        assert.strictEqual(slots.at(-1), 300)
        assert.deepStrictEqual(dropsOf(node), [])
      })
    ))

  it.effect("PEE-13 a node asks whoever it authenticated with, for the ledger its host says", () =>
    inWorld(
      10,
      {},
      Effect.gen(function*() {
        const node = yield* start(0, { host: new MemoryHost({ scpStateFrom: () => 77 }) })
        const peer = yield* dial(node)
        const [question, ...more] = heard(peer).filter(({ _tag }) => _tag === "GetScpState")
        assert.deepStrictEqual(more, [])
        assert.isTrue(question?._tag === "GetScpState" && question.ledgerSeq === 77)
        // … and whenever the program says.
        node.overlay.requestScpState(5, 2)
        yield* peer.expect((frame) => frame.message?._tag === "GetScpState" && frame.message.ledgerSeq === 5)
      })
    ))
})
