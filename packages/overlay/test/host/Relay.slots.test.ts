/** Which slots a relay remembers, whose statements it takes, and when it follows the network: rows of HerderTests.cpp. */
import { assert, describe, it } from "@effect/vitest"
import type { PendingEnvelopes } from "../../src/protocol/PendingEnvelopes.ts"
import type { ScpQuorumSet } from "../../src/wire/StellarMessage.ts"
import { CLOSE_TIME, type Item, quorumSet, scp, stocked, type Validator, validator } from "./fixtures.ts"

const peer = validator(100).id
const names = (n: number, from = 1): Array<Validator> => Array.from({ length: n }, (_, i) => validator(from + i))

const give = (pending: PendingEnvelopes, by: Validator, slot: number, now: number, quorumSet?: Uint8Array) =>
  pending.receive(scp({ by, slot, ...(quorumSet === undefined ? {} : { quorumSet }) }), peer, now, CLOSE_TIME)

/** All of some validators externalize slots, one every five seconds. Gives the time after the last. */
const close = (
  pending: PendingEnvelopes,
  by: ReadonlyArray<Validator>,
  from: number,
  to: number,
  start = 0
): number => {
  let now = start
  for (let slot = from; slot <= to; slot++, now += 5000) for (const one of by) give(pending, one, slot, now)
  return now
}

const trusting = (threshold: number, validators: ReadonlyArray<Validator>, maxSlotsToRemember = 12) =>
  stocked({ maxSlotsToRemember }, { quorumSet: quorumSet({ threshold, validators }).message.body })

describe("remembered slots", () => {
  it("HRD-006 the last 12 and the checkpoint's, which is one of them when it is new", () => {
    const one = names(1)
    const pending = trusting(1, one)
    const now = close(pending, one, 1, 64 + 32)
    assert.strictEqual(pending.state.slots.length, 12 + 1)
    assert.strictEqual(pending.state.slots[0], 64)
    close(pending, one, 97, 128, now)
    assert.strictEqual(pending.state.slots.length, 12)
  })

  it("HRD-041 HRD-042 five when five are to be remembered; after 35 s of silence the network is not followed", () => {
    const three = names(3)
    const pending = trusting(3, three, 5)
    const now = close(pending, three, 2, 11) - 5000
    assert.isTrue(pending.tracker.isTracking(now))
    // The first checkpoint's slot is 1, which nobody spoke of.
    assert.deepStrictEqual(pending.state.slots, [7, 8, 9, 10, 11])
    assert.isTrue(pending.tracker.isTracking(now + 34_999))
    assert.isFalse(pending.tracker.isTracking(now + 35_000))
  })

  it("HRD-048 far slots are taken while the network is not followed, and go when it is again", () => {
    const three = names(3)
    const pending = trusting(2, three)
    const now = close(pending, three, 1, 5) + 60_000
    for (let i = 0; i < 50; i++) assert.deepInclude(give(pending, three[0]!, 1_000_000 + i, now), { _tag: "relay" })
    assert.strictEqual(pending.state.slots.at(-1), 1_000_049)
    assert.isAtMost(pending.state.slots.length, 14) // here core has no bound
    close(pending, three.slice(1), 6, 7, now)
    assert.isTrue(pending.tracker.isTracking(now + 5000))
    assert.deepStrictEqual([pending.tracker.index, pending.state.slots.at(-1)], [7, 7])
  })

  it("PEE-13 GET_SCP_STATE is answered in slot order, each node's nomination before its ballot", () => {
    const three = names(3)
    const pending = trusting(2, three)
    for (const slot of [9, 7, 8]) {
      for (const by of three) {
        for (const kind of ["EXTERNALIZE", "NOMINATE"] as const) {
          pending.receive(scp({ by, slot, kind }), peer, 0, CLOSE_TIME)
        }
      }
    }
    const answer = (from: number) => pending.state.from(from).map((m) => `${m.slotIndex} ${m.statementType}`)
    assert.strictEqual(answer(0).length, 18)
    assert.deepStrictEqual(answer(8).slice(0, 4), ["8 NOMINATE", "8 EXTERNALIZE", "8 NOMINATE", "8 EXTERNALIZE"])
    assert.deepStrictEqual(answer(9).length, 6)
    assert.deepStrictEqual(answer(10), [])
  })
})

describe("in-quorum filtering", () => {
  const core = names(4)
  const extra = names(4, 11)
  const coreSet = quorumSet({ threshold: 3, validators: core })
  const e3Set = quorumSet({ threshold: 2, validators: [extra[3]!, extra[1]!] })
  const reconfigured = quorumSet({ threshold: 4, validators: [...core, extra[2]!, extra[3]!] })

  const relay = () => stocked({}, { quorumSet: coreSet.message.body })

  /** Hands over a statement, and the quorum set it names when that is asked for. */
  const say = (pending: PendingEnvelopes, by: Validator, slot: number, set: Item<ScpQuorumSet>) => {
    const verdict = give(pending, by, slot, slot * 5000, set.hash)
    if (typeof verdict === "number" || verdict._tag !== "hold") return
    for (const hash of verdict.quorumSets) pending.receiveQuorumSet(hash, set.message)
    give(pending, by, slot, slot * 5000, set.hash)
  }

  /** Everybody externalizes a slot; who is in the state then? */
  const heard = (pending: PendingEnvelopes, slot: number, last: Item<ScpQuorumSet>) => {
    core.forEach((by, i) => say(pending, by, slot, i === 3 ? last : coreSet))
    // Twice, because the first time what E3 says lets E1 in.
    for (let round = 0; round < 2; round++) extra.forEach((by, i) => say(pending, by, slot, i === 3 ? e3Set : coreSet))
    return new Set(pending.state.nodes(slot))
  }

  it("HRD-016 statements from outside the transitive quorum are neither relayed nor kept", () => {
    const pending = relay()
    assert.deepStrictEqual(heard(pending, 3, coreSet), new Set(core.map(({ id }) => id)))
    assert.isFalse(pending.filter.has(extra[0]!.id))
  })

  it("HRD-017 after a validator names others they are, with those they name", () => {
    const pending = relay()
    heard(pending, 5, coreSet)
    const inside = [...core, extra[1]!, extra[2]!, extra[3]!].map(({ id }) => id)
    assert.deepStrictEqual(heard(pending, 6, reconfigured), new Set(inside))
    // And when it takes that back, they are not.
    assert.deepStrictEqual(heard(pending, 7, coreSet), new Set(core.map(({ id }) => id)))
  })

  it("A12 a quorum that names ever more nodes stops growing at 1024", () => {
    const pending = relay()
    let n = 5000
    const many = (count: number) => Array.from({ length: count }, () => validator(n++))
    const layer = many(500)
    const wide = quorumSet({ threshold: 1, validators: [core[0]!, ...layer] })
    say(pending, core[0]!, 3, wide)
    assert.strictEqual(pending.filter.size, 504)
    const wider = quorumSet({
      threshold: 1,
      validators: Array.from({ length: 900 }, (_, i) => new Uint8Array(32).fill(i % 256).fill(i >> 8, 0, 16))
    })
    say(pending, layer[0]!, 3, wider)
    assert.strictEqual(pending.filter.size, 1024)
  })
})
