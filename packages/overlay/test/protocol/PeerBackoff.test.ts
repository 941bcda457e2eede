import { assert, describe, it } from "@effect/vitest"
import {
  applyBackoff,
  backoffMillis,
  decayedFailures,
  maxBackoffMillis,
  PeerType,
  restoredAttempt,
  transition
} from "@stellar-overlay/overlay/protocol/PeerBackoff"
import { Effect, Schema } from "effect"
import * as Arbitrary from "effect/Arbitrary"

const { Inbound, Outbound, Preferred } = PeerType
const HIGHEST = 1 - 2 ** -53 // the highest number a generator returns

describe("PeerBackoff", () => {
  it("PMG-03 b(n) is a whole number of seconds from 1 to 10 × 2^min(n, 10)", () => {
    const longest = [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 10_240, 10_240]
    for (const [n, seconds] of longest.entries()) {
      assert.strictEqual(backoffMillis(n, 0), 1000, `shortest for ${n}`)
      assert.strictEqual(backoffMillis(n, HIGHEST), seconds * 1000, `longest for ${n}`)
      assert.strictEqual(maxBackoffMillis(n), seconds * 1000)
    }
    assert.strictEqual(backoffMillis(120, HIGHEST), 10_240_000)
    const drawn = new Set(Array.from({ length: 1000 }, (_, i) => backoffMillis(0, i / 1000)))
    assert.deepStrictEqual([...drawn], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((seconds) => seconds * 1000))
  })

  it("PMG-03 the three updates, with the count after the update in the back-off", () => {
    const now = 1_700_000_000_000
    assert.deepStrictEqual(applyBackoff(7, "HardReset", now, HIGHEST), { numFailures: 0, nextAttemptMillis: now })
    assert.deepStrictEqual(applyBackoff(7, "Reset", now, HIGHEST), { numFailures: 0, nextAttemptMillis: now + 10_000 })
    assert.deepStrictEqual(applyBackoff(0, "Increase", now, HIGHEST), {
      numFailures: 1,
      nextAttemptMillis: now + 20_000
    })
    assert.deepStrictEqual(applyBackoff(8, "Increase", now, HIGHEST), {
      numFailures: 9,
      nextAttemptMillis: now + 5_120_000
    })
    assert.deepStrictEqual(applyBackoff(119, "Increase", now, 0), { numFailures: 120, nextAttemptMillis: now + 1000 })
  })

  const table: ReadonlyArray<
    readonly [row: PeerType, preferred: number, known: number, unknown: number, inbound: number]
  > = [
    [Inbound, Preferred, Outbound, Outbound, Inbound],
    [Outbound, Preferred, Outbound, Outbound, Outbound],
    [Preferred, Preferred, Outbound, Preferred, Outbound]
  ]
  for (const [row, preferred, known, unknown, inbound] of table) {
    it(`PMG-02 the transitions of a row of type ${row}`, () => {
      assert.strictEqual(transition(row, Preferred, true), preferred)
      assert.strictEqual(transition(row, Preferred, false), preferred)
      assert.strictEqual(transition(row, Outbound, true), known)
      assert.strictEqual(transition(row, Outbound, false), unknown)
      assert.strictEqual(transition(row, Inbound, true), inbound)
      assert.strictEqual(transition(row, Inbound, false), inbound)
    })
  }

  it("PMG-10 failures halve for every day that an attempt is overdue", () => {
    const day = 86_400_000
    const row = { numFailures: 40, nextAttemptMillis: 1000 }
    const failures = [-1, 0, day - 1, day, 2 * day, 3 * day, 5 * day, 6 * day, 5000 * day].map((overdue) =>
      decayedFailures(row, 1000 + overdue, day)
    )
    assert.deepStrictEqual(failures, [40, 40, 40, 20, 10, 5, 1, 0, 0])
    assert.strictEqual(decayedFailures(row, 1000 + 5000 * day, 0), 40, "0 turns it off")
  })

  it("O2 an attempt stored under a clock that went back is brought to the longest back-off of its failures", () => {
    const restored = (numFailures: number, nextAttemptMillis: number) =>
      restoredAttempt({ numFailures, nextAttemptMillis }, 5000)
    assert.deepStrictEqual([restored(0, 4000), restored(0, 15_000), restored(0, 15_001)], [4000, 15_000, 15_000])
    assert.strictEqual(restored(3, 5000 + 3_600_000), 85_000, "an hour")
  })

  it.effect.prop(
    "PMG-03 whatever is drawn, an attempt is followed by whole seconds, one at least and b(n) at most",
    [
      Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200 }))),
      Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999_999 })))
    ],
    ([failures, part]) =>
      Effect.sync(() => {
        const next = applyBackoff(failures, "Increase", 0, part / 1_000_000)
        assert.isAtLeast(next.nextAttemptMillis, 1000)
        assert.strictEqual(next.nextAttemptMillis % 1000, 0)
        assert.strictEqual(restoredAttempt(next, 0), next.nextAttemptMillis)
        assert.isAtMost(next.nextAttemptMillis, 10_000 * 2 ** Math.min(failures + 1, 10))
      })
  )
})
