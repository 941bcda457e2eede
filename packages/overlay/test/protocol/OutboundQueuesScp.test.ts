/** Which SCP statements supersede which (protocol.md 4.6), on raw bytes, against stellar-base's encodings. */
import { assert, describe, it } from "@effect/vitest"
import type { xdr } from "@stellar/stellar-base"
import { isNewerNominationOrBallot, slotOf, supersedeKey } from "../../src/protocol/ScpSupersedes.ts"
import { type Ballot, confirm, externalize, nominate, prepare, random, scp } from "./flowFixtures.ts"

const b = (counter: number, value = "v"): Ballot => ({ counter, value })

/** Both directions: `older` is superseded by `newer`, and never the other way around. */
const supersedes = (older: xdr.ScpStatementPledges, newer: xdr.ScpStatementPledges) => {
  assert.isTrue(isNewerNominationOrBallot(scp(1, 7, older), scp(1, 7, newer)))
  assert.isFalse(isNewerNominationOrBallot(scp(1, 7, newer), scp(1, 7, older)))
}

const unordered = (one: xdr.ScpStatementPledges, other: xdr.ScpStatementPledges) => {
  assert.isFalse(isNewerNominationOrBallot(scp(1, 7, one), scp(1, 7, other)))
  assert.isFalse(isNewerNominationOrBallot(scp(1, 7, other), scp(1, 7, one)))
}

describe("superseded statements", () => {
  it("FLC-06 PREPARE < CONFIRM < EXTERNALIZE whatever they say", () => {
    supersedes(prepare(b(9)), confirm(b(1)))
    supersedes(confirm(b(9)), externalize(b(1)))
    supersedes(prepare(b(9)), externalize(b(1)))
  })

  it("FLC-06 two EXTERNALIZE are never newer", () => {
    unordered(externalize(b(1), 1), externalize(b(2), 2))
  })

  it("FLC-06 a nomination and a ballot statement never supersede each other", () => {
    unordered(nominate(["a"], []), prepare(b(1)))
    unordered(nominate(["a"], []), externalize(b(1)))
  })

  it("FLC-06 PREPARE by ballot, prepared, preparedPrime, nH, in this order", () => {
    supersedes(prepare(b(1, "z")), prepare(b(2, "a")))
    supersedes(prepare(b(1, "a")), prepare(b(1, "b")))
    supersedes(prepare(b(1, "a")), prepare(b(1, "aa")))
    supersedes(prepare(b(1, "aa")), prepare(b(1, "b")))
    supersedes(prepare(b(0x7fffffff)), prepare(b(0xffffffff)))
    supersedes(prepare(b(1), { nH: 9 }), prepare(b(1), { prepared: b(1) }))
    supersedes(prepare(b(1), { prepared: b(1), nH: 9 }), prepare(b(1), { prepared: b(1, "w") }))
    supersedes(
      prepare(b(1), { prepared: b(2), nH: 9 }),
      prepare(b(1), { prepared: b(2), preparedPrime: b(1) })
    )
    supersedes(
      prepare(b(1), { prepared: b(2, "xyz"), preparedPrime: b(1), nH: 9 }),
      prepare(b(1), { prepared: b(2, "xyz"), preparedPrime: b(2), nH: 0 })
    )
    supersedes(
      prepare(b(1, "abcde"), { prepared: b(2), preparedPrime: b(1), nC: 5, nH: 6 }),
      prepare(b(1, "abcde"), { prepared: b(2), preparedPrime: b(1), nC: 1, nH: 7 })
    )
    unordered(prepare(b(1), { nC: 1, nH: 3 }), prepare(b(1), { nC: 2, nH: 3 }))
  })

  it("FLC-06 CONFIRM by ballot, nPrepared, nH, in this order", () => {
    supersedes(confirm(b(1), 9, 9, 9), confirm(b(2), 0, 0, 0))
    supersedes(confirm(b(1, "a"), 9, 9, 9), confirm(b(1, "ab"), 0, 0, 0))
    supersedes(confirm(b(1), 1, 9, 9), confirm(b(1), 2, 0, 0))
    supersedes(confirm(b(1, "abc"), 2, 9, 3), confirm(b(1, "abc"), 2, 0, 4))
    unordered(confirm(b(1), 2, 1, 3), confirm(b(1), 2, 2, 3))
  })

  it("FLC-06 NOMINATE: votes and accepted contain the older ones and at least one grew", () => {
    supersedes(nominate(["a"], []), nominate(["a", "b"], []))
    supersedes(nominate(["b"], []), nominate(["a", "b", "c"], []))
    supersedes(nominate(["a"], []), nominate(["a"], ["a"]))
    supersedes(nominate([], []), nominate(["a"], ["a"]))
    supersedes(nominate(["aa", "b"], ["aa"]), nominate(["a", "aa", "aaaaa", "b"], ["aa", "b"]))
    unordered(nominate(["a"], ["a"]), nominate(["a"], ["a"]))
    unordered(nominate(["a", "b"], []), nominate(["a", "c"], []))
    unordered(nominate(["a", "b"], []), nominate(["a", "c", "d"], []))
    unordered(nominate(["a"], ["a", "b"]), nominate(["a", "b"], ["a"]))
  })

  it("FLC-06 another node or another slot is never superseded", () => {
    const older = prepare(b(1))
    const newer = externalize(b(1))
    assert.isFalse(isNewerNominationOrBallot(scp(1, 7, older), scp(2, 7, newer)))
    assert.isFalse(isNewerNominationOrBallot(scp(1, 7, older), scp(1, 8, newer)))
    assert.isFalse(isNewerNominationOrBallot(scp(1, 7n + 2n ** 32n, older), scp(1, 7, newer)))
  })

  it("FLC-06 agrees with the rules applied to decoded values, for 3000 pairs of random PREPAREs", () => {
    const rng = random(11)
    const ballot = () => b(rng.int(1, 2), ["", "a", "ab", "abcd", "abcdefgh"][rng.int(0, 4)])
    const maybe = () => rng.next() < 0.4 ? undefined : ballot()
    const one = () => {
      const prepared = maybe()
      const preparedPrime = maybe()
      return { ballot: ballot(), prepared, preparedPrime, nH: rng.int(0, 2) }
    }
    const order = (a: Ballot | undefined, c: Ballot | undefined): number => {
      if (a === undefined || c === undefined) return Number(a !== undefined) - Number(c !== undefined)
      return a.counter - c.counter || (a.value < c.value ? -1 : a.value > c.value ? 1 : 0)
    }
    const encode = (s: ReturnType<typeof one>) =>
      prepare(s.ballot, {
        ...(s.prepared && { prepared: s.prepared }),
        ...(s.preparedPrime && { preparedPrime: s.preparedPrime }),
        nH: s.nH
      })
    let newer = 0
    for (let i = 0; i < 3000; i++) {
      const [p, q] = [one(), one()]
      const expected = (order(p.ballot, q.ballot) || order(p.prepared, q.prepared)
        || order(p.preparedPrime, q.preparedPrime) || p.nH - q.nH) < 0
      if (expected) newer++
      assert.strictEqual(isNewerNominationOrBallot(scp(1, 7, encode(p)), scp(1, 7, encode(q))), expected)
    }
    assert.isAbove(newer, 1000)
  })

  it("FLC-06 the scan key is equal for whatever may supersede, and differs by kind; slots read as numbers", () => {
    assert.strictEqual(supersedeKey(scp(1, 7, prepare(b(1)))), supersedeKey(scp(1, 7, externalize(b(2)))))
    assert.notStrictEqual(supersedeKey(scp(1, 7, prepare(b(1)))), supersedeKey(scp(1, 7, nominate([], []))))
    assert.notStrictEqual(supersedeKey(scp(1, 7)), supersedeKey(scp(2, 7)))
    assert.notStrictEqual(supersedeKey(scp(1, 7)), supersedeKey(scp(1, 8)))
    assert.strictEqual(slotOf(scp(1, 2n ** 40n + 5n)), 2 ** 40 + 5)
  })
})
