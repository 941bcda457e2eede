import { assert, describe, it } from "@effect/vitest"
import * as AttackTrial from "@stellar-overlay/overlay-test/hostile/AttackTrial"
import { transportAttacks } from "@stellar-overlay/overlay-test/hostile/TransportAttacks"

describe("scratch", () => {
  for (const attack of transportAttacks) for (const variant of attack.variants) {
    it(`${attack.id} ${variant.name}`, () => {
      const trial = AttackTrial.onSession(variant)
      assert.deepStrictEqual(AttackTrial.judge(variant, trial), [])
    })
  }
})
