/**
 * Every attack on a whole node, in a world of its own per variant: one test per row, which lists what went wrong with
 * the attack itself and with the seven global invariants.
 */
import { assert, describe, it } from "@effect/vitest"
import { overlayAttacks } from "@stellar-overlay/overlay-test/hostile/OverlayCatalogue"
import * as OverlayTrial from "@stellar-overlay/overlay-test/hostile/OverlayTrial"
import { Effect } from "effect"

describe("hostile peers against a node in a world", () => {
  for (const attack of overlayAttacks) {
    it.effect(`${attack.id} ${attack.title}`, () =>
      Effect.gen(function*() {
        const wrong: Array<unknown> = []
        for (const [i, variant] of attack.variants.entries()) {
          const seed = `${attack.id}/${i}`
          const { problems } = yield* OverlayTrial.inWorld(attack, variant, { seed })
          if (problems.length > 0) wrong.push({ variant: variant.name, seed, problems })
        }
        assert.deepStrictEqual(wrong, [])
        assert.isAbove(attack.variants.length, 0)
      }), 60_000)
  }
})
