/**
 * Rows FLC-030 to FLC-037 of the scenario inventory ("outbound queue filtering"), on one end of a pair: inserted without
 * being sent, and then let go, to see what arrives on the wire.
 */
import { assert, describe, it } from "@effect/vitest"
import * as SessionPair from "@stellar-overlay/overlay-test/SessionPair"
import { type LedgerContext, makeLedgerContext } from "../../src/protocol/LedgerContext.ts"
import { Priority } from "../../src/protocol/Priority.ts"
import type { ScpMessage, StellarMessage } from "../../src/wire/StellarMessage.ts"
import { externalize, nominate, prepare, scp } from "../protocol/flowFixtures.ts"
import { advert, demand, emptyTransaction } from "./fixtures.ts"
import { tap } from "./tap.ts"

const LIMIT = 50

/** The ledger of the common set-up: three slots are remembered. */
const at = (trackingIndex: number): LedgerContext =>
  makeLedgerContext({ trackingIndex, maxTxSetSize: LIMIT, maxSlotsToRemember: 3 })

const subject = (ledger: LedgerContext, txQueueByteLimit = 3_145_728) => {
  const pair = SessionPair.connected({ acceptor: { ledger, config: { outboundTxQueueByteLimit: txQueueByteLimit } } })
  const { acceptor } = pair
  acceptor.corked = true
  const { queues } = acceptor.session
  return {
    insert: (...messages: ReadonlyArray<StellarMessage>) => {
      for (const message of messages) acceptor.session.send(message, pair.now)
    },
    length: (priority: Priority) => queues.lengthOf(priority),
    bytes: (priority: Priority) => queues.bytesOf(priority),
    /** What the other side sees once it may flow. */
    release: () => {
      const arrived = tap(pair.initiator)
      acceptor.corked = false
      pair.settle()
      return arrived
    }
  }
}

const x = { counter: 1, value: "x" }

/** A node's latest own messages for a slot: a nomination and an EXTERNALIZE. */
const latest = (node: number, slot: number): [ScpMessage, ScpMessage] => [
  scp(node, slot, nominate(["x"], ["x"])),
  scp(node, slot, externalize(x))
]

const statements = (messages: ReadonlyArray<StellarMessage>) =>
  messages.flatMap((m) => m._tag === "ScpMessage" ? [`${m.statementType} ${m.slotIndex}`] : [])

describe("SCP messages", () => {
  it("FLC-030 slot too old: slot 1 is the current checkpoint and is kept", () => {
    const { insert, length, release } = subject(at(4))
    insert(...latest(3, 1))
    assert.strictEqual(length(Priority.Scp), 2)
    assert.deepStrictEqual(statements(release()), ["NOMINATE 1", "EXTERNALIZE 1"])
  })

  it("FLC-031 checkpoint too old: one period before the next checkpoint is gone", () => {
    const { insert, length, release } = subject(at(64))
    insert(...latest(3, 64 - 63), ...latest(3, 0))
    assert.strictEqual(length(Priority.Scp), 0)
    insert(...latest(3, 64))
    assert.strictEqual(length(Priority.Scp), 2)
    assert.deepStrictEqual(statements(release()), ["NOMINATE 64", "EXTERNALIZE 64"])
  })

  it("FLC-034 only latest messages, no trimming: the byte limit of transactions is none of theirs", () => {
    const { insert, length, release } = subject(at(4), 1)
    insert(...latest(3, 4))
    assert.strictEqual(length(Priority.Scp), 2)
    assert.deepStrictEqual(statements(release()), ["NOMINATE 4", "EXTERNALIZE 4"])
  })

  it("FLC-035 trim prepare, keep nomination", () => {
    const { insert, length, release } = subject(at(4))
    const [nomination, external] = latest(3, 4)
    insert(nomination, scp(3, 4, prepare(x)), external)
    assert.strictEqual(length(Priority.Scp), 2)
    assert.deepStrictEqual(statements(release()), ["NOMINATE 4", "EXTERNALIZE 4"])
  })

  it("FLC-036 trim prepare, keep messages from other nodes", () => {
    const { insert, length, release } = subject(at(4))
    for (const node of [1, 2, 3]) insert(scp(node, 4, prepare(x)), scp(node, 4, externalize(x)))
    assert.strictEqual(length(Priority.Scp), 3)
    const arrived = release()
    assert.deepStrictEqual(statements(arrived), ["EXTERNALIZE 4", "EXTERNALIZE 4", "EXTERNALIZE 4"])
    assert.deepStrictEqual(arrived.flatMap((m) => m._tag === "ScpMessage" ? [m.nodeKey[0]] : []), [1, 2, 3])
  })
})

describe("transactions", () => {
  const { size } = emptyTransaction()

  it("FLC-032 limit reached / trim based on message count: cleared once, at limit + 1", () => {
    const { bytes, insert, length, release } = subject(at(4))
    for (let i = 0; i < LIMIT + 10; i++) insert(emptyTransaction())
    assert.deepStrictEqual([length(Priority.Transaction), bytes(Priority.Transaction)], [9, 9 * size])
    assert.strictEqual(release().filter(({ _tag }) => _tag === "Transaction").length, 9)
  })

  it("FLC-033 limit reached / trim based on byte count", () => {
    const { bytes, insert, length, release } = subject(at(4), size * 1.5)
    for (let i = 0; i < 3; i++) insert(emptyTransaction())
    assert.deepStrictEqual([length(Priority.Transaction), bytes(Priority.Transaction)], [1, size])
    assert.strictEqual(release().filter(({ _tag }) => _tag === "Transaction").length, 1)
  })
})

describe("adverts and demands", () => {
  it("FLC-037 limit reached / count-based: by hashes, whatever the bytes", () => {
    const { insert, length, release } = subject(at(4), 1)
    for (let i = 0; i < LIMIT + 10; i++) insert(advert(i), demand(i))
    assert.deepStrictEqual([length(Priority.Advert), length(Priority.Demand)], [9, 9])
    insert(advert(1, 2), demand(1, 2))
    assert.deepStrictEqual([length(Priority.Advert), length(Priority.Demand)], [10, 10])
    const arrived = release().filter(({ _tag }) => _tag !== "SendMoreExtended")
    assert.deepStrictEqual(
      arrived.map(({ _tag }) => _tag),
      [...Array.from({ length: 10 }, () => "FloodDemand"), ...Array.from({ length: 10 }, () => "FloodAdvert")]
    )
  })
})
