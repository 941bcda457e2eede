/** The rows of PendingEnvelopesTests.cpp that a host without a ledger can meet, and the items it keeps. */
import { assert, describe, it } from "@effect/vitest"
import { toHex } from "../../src/internal/bytes.ts"
import type { PendingEnvelopes } from "../../src/protocol/PendingEnvelopes.ts"
import type { GeneralizedTxSet, ScpMessage, ScpQuorumSet } from "../../src/wire/StellarMessage.ts"
import {
  bare,
  basicValue,
  CLOSE_TIME,
  emptyTxSetValue,
  type Item,
  quorumSet,
  retyped,
  type Said,
  scp,
  txSet,
  validator,
  value
} from "./fixtures.ts"

const v = validator(1)
const peer = validator(100).id
const Q = quorumSet({ threshold: 1, validators: [v] })
const T = txSet(50)

const said = (rest: Partial<Said> = {}): ScpMessage =>
  scp({ by: v, slot: 2, kind: "CONFIRM", value: value(T.hash), quorumSet: Q.hash, ...rest })

const E = said()

type Status = "FETCHING" | "READY" | "PROCESSED" | "DISCARDED"

/** The rules, and those who wait: what the item fetcher does for them, without peers. */
class Scene {
  readonly pending: PendingEnvelopes
  readonly #waiting = new Map<string, Array<ScpMessage>>()
  /** Statuses of messages that were handed over once more. */
  readonly again: Array<Status> = []

  constructor(options?: Parameters<typeof bare>[0]) {
    this.pending = bare(options)
  }

  recv(message: ScpMessage, from: typeof peer | undefined = peer): Status {
    const verdict = this.pending.receive(message, from, 0, CLOSE_TIME)
    if (typeof verdict === "number") throw new Error("over the budget")
    if (verdict._tag === "discard") return "DISCARDED"
    const needs = [
      ...verdict.txSets ?? [],
      ...verdict._tag === "hold" ? verdict.quorumSets : []
    ].map(toHex)
    for (const need of needs) this.#waiting.set(need, [...this.#waiting.get(need) ?? [], message])
    return verdict._tag === "relay" ? "READY" : needs.length > 0 ? "FETCHING" : "PROCESSED"
  }

  /** Undefined when nobody waited for it; false when it was refused. */
  arrive(item: Item<GeneralizedTxSet> | Item<ScpQuorumSet>): boolean | undefined {
    const waiting = this.#waiting.get(toHex(item.hash))
    if (waiting === undefined) return undefined
    this.#waiting.delete(toHex(item.hash))
    const { message } = item
    const isGood = message._tag === "ScpQuorumSet"
      ? this.pending.receiveQuorumSet(item.hash, message)
      : this.pending.receiveTxSet(item.hash, message)
    // One message may wait twice, when it came twice.
    if (isGood) { for (const one of new Set(waiting)) this.again.push(this.recv(one, undefined)) }
    return isGood
  }

  /** With Q and T held, for a slot. */
  stocked(): this {
    this.pending.receiveQuorumSet(Q.hash, Q.message)
    this.pending.receiveTxSet(T.hash, T.message)
    return this
  }
}

describe("an envelope and what it names", () => {
  it("PEN-001 is held when first received, and when received again", () => {
    const scene = new Scene()
    assert.deepStrictEqual([scene.recv(E), scene.recv(E)], ["FETCHING", "FETCHING"])
    assert.strictEqual(scene.pending.state.messages, 0)
  })

  it("PEN-002 is relayed when all came, the quorum set first", () => {
    const scene = new Scene()
    scene.recv(E)
    assert.isTrue(scene.arrive(Q))
    assert.deepStrictEqual(scene.again, ["FETCHING"])
    assert.strictEqual(scene.recv(E), "FETCHING")
    assert.isUndefined(scene.arrive(Q))
    assert.strictEqual(scene.pending.state.messages, 0)
    assert.isTrue(scene.arrive(T))
    assert.deepStrictEqual(scene.again, ["FETCHING", "READY"])
    assert.isUndefined(scene.arrive(T))
    assert.strictEqual(scene.recv(E), "PROCESSED")
    assert.isUndefined(scene.arrive(Q))
    assert.isUndefined(scene.arrive(T))
    assert.strictEqual(scene.recv(E), "PROCESSED")
    assert.strictEqual(scene.pending.state.messages, 1)
  })

  it("PEN-003 is relayed when all came, the transaction set first", () => {
    const scene = new Scene()
    scene.recv(E)
    assert.isTrue(scene.arrive(T))
    assert.strictEqual(scene.recv(E), "FETCHING")
    assert.isUndefined(scene.arrive(T))
    assert.strictEqual(scene.recv(E), "FETCHING")
    assert.isTrue(scene.arrive(Q))
    assert.strictEqual(scene.again.at(-1), "READY")
    assert.strictEqual(scene.recv(E), "PROCESSED")
  })

  it("PEN-004 PEN-010 is relayed at once when all is held, and then known", () => {
    const scene = new Scene().stocked()
    assert.deepStrictEqual([scene.recv(E), scene.recv(E)], ["READY", "PROCESSED"])
  })

  it("PEN-005 so it is for a slot far beyond those remembered", () => {
    const scene = new Scene().stocked()
    const later = said({ slot: 2 * 12 + 1 })
    assert.deepStrictEqual([scene.recv(later), scene.recv(later)], ["READY", "PROCESSED"])
  })

  it("PEN-007 a PREPARE too, when both are held", () => {
    const scene = new Scene({ ledgerVersion: 28 }).stocked()
    const P = said({ kind: "PREPARE" })
    assert.deepStrictEqual([scene.recv(P), scene.recv(P)], ["READY", "PROCESSED"])
  })

  it("PEN-026 a PREPARE waits for its transaction set", () => {
    const scene = new Scene()
    const P = said({ kind: "PREPARE" })
    assert.strictEqual(scene.recv(P), "FETCHING")
    assert.isTrue(scene.arrive(Q))
    assert.strictEqual(scene.recv(P), "FETCHING")
    assert.strictEqual(scene.pending.state.messages, 0)
    assert.isTrue(scene.arrive(T))
    assert.strictEqual(scene.again.at(-1), "READY")
  })

  it("PEN-006 QRY-03 from ledger protocol 28 on a PREPARE for the next ledger goes on while its transaction set is fetched", () => {
    for (const kind of ["PREPARE", "NOMINATE"] as const) {
      const scene = new Scene({ ledgerVersion: 28, parallelTxSetDownload: true })
      const P = said({ kind, slot: 1 })
      assert.strictEqual(scene.recv(P), "FETCHING")
      assert.isTrue(scene.arrive(Q))
      assert.deepStrictEqual(scene.again, ["READY"])
      assert.deepStrictEqual([scene.recv(P), scene.recv(P)], ["PROCESSED", "PROCESSED"])
      assert.strictEqual(scene.pending.txSets.size, 0)
      assert.isTrue(scene.arrive(T)) // somebody waited for it all the time
      assert.strictEqual(scene.pending.txSets.size, 1)
      assert.strictEqual(scene.recv(P), "PROCESSED")
    }
  })

  it("PEN-006 not before protocol 28, nor a CONFIRM, nor for a later ledger, nor unless it is asked for", () => {
    const P = said({ kind: "PREPARE", slot: 1 })
    const waits = (options: Parameters<typeof bare>[0], message: ScpMessage) => {
      const scene = new Scene(options)
      scene.recv(message)
      scene.arrive(Q)
      assert.deepStrictEqual(scene.again, ["FETCHING"])
    }
    waits({ ledgerVersion: 28 }, P)
    waits({ ledgerVersion: 27, parallelTxSetDownload: true }, P)
    waits({ ledgerVersion: 28, parallelTxSetDownload: true }, said({ kind: "CONFIRM", slot: 1 }))
    waits({ ledgerVersion: 28, parallelTxSetDownload: true }, said({ kind: "PREPARE", slot: 2 }))
  })

  it("PEN-021 a malformed transaction set is taken: what is wrong with it is for others to say", () => {
    const malformed = txSet(3, 7)
    const scene = new Scene()
    assert.strictEqual(scene.recv(said({ value: value(malformed.hash) })), "FETCHING")
    assert.isTrue(scene.arrive(Q))
    assert.strictEqual(scene.pending.state.messages, 0)
    assert.isTrue(scene.arrive(malformed))
    assert.strictEqual(scene.again.at(-1), "READY")
  })
})

describe("a quorum set that is too big", () => {
  const tooBig = quorumSet({
    threshold: 1,
    validators: [v],
    innerSets: Array.from({ length: 10 }, (_, i) => ({
      threshold: 1,
      validators: Array.from({ length: 100 }, (_, j) => validator(1000 + 100 * i + j).key)
    }))
  })
  const greedy = said({ quorumSet: tooBig.hash })

  it("PEN-008 is refused, and what names it is discarded from then on", () => {
    const scene = new Scene()
    assert.strictEqual(scene.recv(greedy), "FETCHING")
    assert.isFalse(scene.arrive(tooBig))
    assert.deepStrictEqual([scene.recv(greedy), scene.recv(greedy)], ["DISCARDED", "DISCARDED"])
  })

  it("PEN-009 is refused when the transaction set came first", () => {
    const scene = new Scene()
    scene.recv(greedy)
    assert.isTrue(scene.arrive(T))
    assert.isFalse(scene.arrive(tooBig))
    assert.deepStrictEqual([scene.recv(greedy), scene.recv(greedy)], ["DISCARDED", "DISCARDED"])
  })
})

describe("what is held for how long", () => {
  const E2 = said({ slot: 2 + 12 })
  const E3 = said({ slot: 2 + 24 })
  const FOREVER = Number.MAX_SAFE_INTEGER

  it("PEN-011 as long as slots at most 12 apart name it", () => {
    const scene = new Scene().stocked()
    scene.recv(E)
    scene.pending.eraseOutsideRange(2, FOREVER, 0)
    assert.strictEqual(scene.recv(E2), "READY")
    scene.pending.eraseOutsideRange(14, FOREVER, 0)
    assert.strictEqual(scene.recv(E3), "READY")
  })

  it("PEN-013 PEN-014 and no longer: then it is fetched again", () => {
    const scene = new Scene().stocked()
    scene.recv(E)
    scene.pending.eraseOutsideRange(14, FOREVER, 0)
    assert.strictEqual(scene.pending.txSets.size + scene.pending.quorumSets.size + scene.pending.state.messages, 0)
    assert.strictEqual(scene.pending.txSets.bytes + scene.pending.quorumSets.bytes + scene.pending.state.bytes, 0)
    assert.strictEqual(scene.recv(E3), "FETCHING")
  })

  it("PEN-015 forgetting later slots forgets their messages alone", () => {
    const scene = new Scene().stocked()
    scene.recv(E)
    assert.deepStrictEqual([scene.recv(E2), scene.recv(E3)], ["READY", "READY"])
    scene.pending.eraseOutsideRange(0, 14, 0)
    assert.deepStrictEqual([scene.recv(E), scene.recv(E2), scene.recv(E3)], ["PROCESSED", "PROCESSED", "READY"])
  })
})

describe("forgetting by range", () => {
  it("PEN-016 with both bounds one slot's messages stay, with what they name, and then nothing", () => {
    const scene = new Scene().stocked()
    for (const slot of [2, 14, 26]) assert.strictEqual(scene.recv(said({ slot })), "READY")
    const held = () => [scene.pending.state.slots, scene.pending.txSets.size, scene.pending.quorumSets.size]
    scene.pending.eraseOutsideRange(14, 14, 14)
    assert.deepStrictEqual(held(), [[14], 1, 1])
    assert.strictEqual(scene.pending.state.messages, 1)
    scene.pending.eraseOutsideRange(27, 27, 27)
    assert.deepStrictEqual(held(), [[], 0, 0])
  })
})

describe("values", () => {
  const discarded = (v: Uint8Array, ledgerVersion = 27) =>
    new Scene({ ledgerVersion }).recv(said({ value: v })) === "DISCARDED"

  it("PEN-017 a value without a signature is discarded, and nothing fetched", () => {
    assert.isTrue(discarded(basicValue(T.hash)))
  })

  it("PEN-018 a value of an unknown kind is discarded", () => {
    assert.isTrue(discarded(retyped(value(T.hash), 99)))
  })

  it("PEN-019 an empty-set value is discarded before ledger protocol 28", () => {
    assert.isTrue(discarded(emptyTxSetValue(), 27))
  })

  it("PEN-020 and taken from it on; no transaction set is fetched for it", () => {
    assert.isFalse(discarded(emptyTxSetValue(), 28))
    const scene = new Scene({ ledgerVersion: 28 })
    scene.recv(said({ value: emptyTxSetValue() }))
    assert.isTrue(scene.arrive(Q))
    assert.strictEqual(scene.again.at(-1), "READY")
  })

  it("HRD-049 a value that closes 120 s ahead is discarded though its transaction set is missing", () => {
    const scene = new Scene()
    scene.pending.receiveQuorumSet(Q.hash, Q.message)
    const at = (seconds: number) => scene.recv(said({ kind: "PREPARE", value: value(T.hash, CLOSE_TIME + seconds) }))
    assert.deepStrictEqual([at(120), at(61), at(60)], ["DISCARDED", "DISCARDED", "FETCHING"])
  })

  it("A13 what is cut short, too long or padded with anything but zeros is discarded", () => {
    const good = value(T.hash)
    for (let length = 0; length < good.length; length++) {
      assert.isTrue(discarded(good.slice(0, length)), `${length} bytes`)
    }
    assert.isTrue(discarded(new Uint8Array([...good, 0, 0, 0, 0])))
    const manyUpgrades = good.slice()
    manyUpgrades[43] = 7
    assert.isTrue(discarded(manyUpgrades))
    assert.isFalse(discarded(good))
  })
})

describe("what the host knows without judging it", () => {
  it("FLD-08 PEN-001 a copy of what was dealt with, and what is older; nothing new, out of range or over the size limit", () => {
    const older = said({ kind: "PREPARE" })
    const scene = new Scene({ maxMessageBytes: older.size }).stocked()
    assert.isFalse(scene.pending.knows(E, peer, 0))
    assert.strictEqual(scene.recv(E), "READY")
    assert.deepStrictEqual(
      [E, older, said({ slot: 3 }), said({ slot: 1_000_000 })].map((one) => scene.pending.knows(one, peer, 0)),
      [true, true, false, false]
    )
    assert.isAbove(older.size, E.size)
    const strict = new Scene({ maxMessageBytes: E.size }).stocked()
    assert.strictEqual(strict.recv(E), "READY")
    assert.isFalse(strict.pending.knows(older, peer, 0))
    assert.strictEqual(strict.recv(older), "DISCARDED")
  })
})
