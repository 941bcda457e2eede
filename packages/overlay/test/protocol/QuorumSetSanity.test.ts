import { assert, describe, it } from "@effect/vitest"
import { xdr } from "@stellar/stellar-base"
import {
  isQuorumSetSane,
  MAXIMUM_QUORUM_NESTING_LEVEL,
  MAXIMUM_QUORUM_NODES,
  quorumSetProblem
} from "../../src/protocol/QuorumSetSanity.ts"
import { ScpQuorumSet } from "../../src/wire/StellarMessage.ts"
import { below, generator, hash } from "./floodFixtures.ts"

/** A quorum set: threshold, validators by number, inner sets. */
interface Sketch {
  readonly t: number
  readonly v: ReadonlyArray<number>
  readonly i: ReadonlyArray<Sketch>
}

const q = (t: number, v: ReadonlyArray<number>, ...i: ReadonlyArray<Sketch>): Sketch => ({ t, v, i })

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

const toXdr = (sketch: Sketch): xdr.ScpQuorumSet =>
  new xdr.ScpQuorumSet({
    threshold: sketch.t,
    validators: sketch.v.map((n) => xdr.PublicKey.publicKeyTypeEd25519(Buffer.from(hash(n)))),
    innerSets: sketch.i.map(toXdr)
  })

/** As it comes off the wire: a view into a message. */
const body = (sketch: Sketch): Uint8Array => ScpQuorumSet.make({ body: toXdr(sketch) }).body

const nested = (level: number, v = 0): Sketch => level === 0 ? q(1, [v]) : q(1, [v], nested(level - 1, v + 1))

const bare = (level: number): Sketch => level === 0 ? q(1, [0]) : q(1, [], bare(level - 1))

const cases: ReadonlyArray<readonly [name: string, sketch: Sketch, problem: ReturnType<typeof quorumSetProblem>]> = [
  ["nothing at all", q(0, []), "threshold"],
  ["threshold 1 of nothing", q(1, []), "threshold"],
  ["threshold 0", q(0, [0]), "threshold"],
  ["threshold above the members", q(2, [0]), "threshold"],
  ["threshold 2^32 - 1", q(0xffff_ffff, [0]), "threshold"],
  ["one validator", q(1, [0]), undefined],
  ["all of three", q(3, [0, 1, 2]), undefined],
  ["inner sets count as members", q(2, [0], q(1, [1])), undefined],
  ["more than members with inner sets", q(3, [0], q(1, [1])), "threshold"],
  ["an inner set with threshold 0", q(1, [0], q(0, [1])), "threshold"],
  ["an inner set with threshold above its members", q(1, [0], q(2, [1]), q(1, [2])), "threshold"],
  ["an empty inner set", q(1, [0], q(1, [])), "threshold"],
  ["inner sets only", q(1, [], q(1, [0], q(1, [1]), q(1, [2, 3]))), undefined],
  ["a validator twice in one set", q(1, [0, 1, 0]), "duplicate"],
  ["a validator in two sets", q(1, [0], q(1, [1]), q(1, [0])), "duplicate"],
  ["a validator in a set and one inside it", q(1, [0], q(1, [1], q(1, [0]))), "duplicate"],
  ["four levels of inner sets", nested(4), undefined],
  ["five levels of inner sets", nested(5), "too deep"],
  ["four levels without validators above the last", bare(4), undefined],
  ["five levels without validators above the last", bare(5), "too deep"],
  ["1000 validators", q(1, range(0, 1000)), undefined],
  ["1001 validators", q(1, range(0, 1001)), "too many nodes"],
  ["1000 validators in eleven sets", q(1, [0], ...range(0, 9).map((i) => q(1, range(1 + 111 * i, 111)))), undefined],
  [
    "1001 validators in eleven sets",
    q(1, [0], ...range(0, 10).map((i) => q(1, range(1 + 100 * i, 100)))),
    "too many nodes"
  ]
]

/** The rule again, on the decoded value, in the order of its parts and with no care for cost. */
const isSaneModel = (qset: xdr.ScpQuorumSet, extraChecks: boolean): boolean => {
  const nodes: Array<string> = []
  const check = (set: xdr.ScpQuorumSet, level: number): boolean => {
    nodes.push(...set.validators().map((validator) => validator.ed25519().toString("hex")))
    const members = set.validators().length + set.innerSets().length
    return level <= 4 && set.threshold() >= 1 && set.threshold() <= members &&
      (!extraChecks || 2 * set.threshold() > members) &&
      set.innerSets().every((inner) => check(inner, level + 1))
  }
  return check(qset, 0) && nodes.length >= 1 && nodes.length <= 1000 && new Set(nodes).size === nodes.length
}

describe("isQuorumSetSane", () => {
  it("Q6 the bounds are 1000 validators and inner sets four deep", () => {
    assert.deepStrictEqual([MAXIMUM_QUORUM_NODES, MAXIMUM_QUORUM_NESTING_LEVEL], [1000, 4])
  })

  for (const [name, sketch, problem] of cases) {
    it(`Q6 ${name}: ${problem ?? "sane"}`, () => {
      assert.strictEqual(quorumSetProblem(body(sketch)), problem)
      assert.strictEqual(isQuorumSetSane(body(sketch)), problem === undefined)
    })
  }

  it("Q6 with extra checks thresholds must be majorities", () => {
    const extra = (sketch: Sketch) => quorumSetProblem(body(sketch), true)
    assert.strictEqual(extra(q(1, [0, 1])), "not v-blocking")
    assert.isUndefined(extra(q(2, [0, 1, 2])))
    assert.strictEqual(extra(q(2, [0, 1, 2, 3])), "not v-blocking")
    assert.isUndefined(extra(q(3, [0, 1, 2, 3])))
    assert.strictEqual(extra(q(2, [0], q(1, [1, 2]))), "not v-blocking")
  })

  it("Q6 anything cut short or with something behind it is refused", () => {
    const whole = body(q(2, [0, 1], q(1, [2, 3])))
    for (let length = 0; length < whole.length; length++) {
      assert.isFalse(isQuorumSetSane(whole.slice(0, length)), `${length} bytes`)
    }
    assert.strictEqual(quorumSetProblem(Uint8Array.from([...whole, 0, 0, 0, 0])), "malformed")
    const claims = Uint8Array.from([0, 0, 0, 1, 0, 0, 3, 232])
    assert.strictEqual(quorumSetProblem(claims), "malformed", "1000 validators are announced and none are there")
  })

  it("Q6 agrees with the rule applied to decoded quorum sets, over 5000 random ones", () => {
    const draw = generator(6)
    let sane = 0
    for (let i = 0; i < 5000; i++) {
      let next = 0
      const random = (level: number): Sketch => {
        const v = Array.from({ length: below(draw, 4) }, () => draw() < 0.02 ? 0 : next++)
        const i = level > 5 ? [] : Array.from({ length: below(draw, draw() < 0.5 ? 1 : 3) }, () => random(level + 1))
        const members = v.length + i.length
        return q(draw() < 0.03 ? below(draw, 8) : Math.min(members, 1 + below(draw, members + 1)), v, ...i)
      }
      const sketch = random(0)
      const decoded = toXdr(sketch)
      for (const extraChecks of [false, true]) {
        const expected = isSaneModel(decoded, extraChecks)
        assert.strictEqual(isQuorumSetSane(body(sketch), extraChecks), expected, JSON.stringify(sketch))
        if (expected) sane++
      }
    }
    assert.isAbove(sane, 1000)
    assert.isBelow(sane, 9000)
  })
})
