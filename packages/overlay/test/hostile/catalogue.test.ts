/**
 * Every attack of the catalogue that one connection can carry out, against a `Session`: one test per row, which runs all
 * of its variants and lists those that went wrong.
 */
import { assert, describe, it } from "@effect/vitest"
import * as AttackTrial from "@stellar-overlay/overlay-test/hostile/AttackTrial"
import { attacks } from "@stellar-overlay/overlay-test/hostile/Catalogue"
import { ScriptFailure } from "@stellar-overlay/overlay-test/Script"

const problemsOf = (run: () => Array<string>): Array<string> => {
  try {
    return run()
  } catch (error) {
    // Anything else is thrown on: a Session throws for nothing a peer does.
    if (error instanceof ScriptFailure) return [error.message]
    throw error
  }
}

describe("hostile peers against a session", () => {
  for (const attack of attacks) {
    it(`${attack.id} ${attack.title}`, () => {
      const wrong = attack.variants.flatMap((variant) => {
        const problems = problemsOf(() => AttackTrial.judge(variant, AttackTrial.onSession(variant)))
        return problems.length === 0 ? [] : [{ variant: variant.name, problems }]
      })
      assert.deepStrictEqual(wrong, [])
      assert.isAbove(attack.variants.length, 0)
    })
  }

  it("the catalogue has no variant twice", () => {
    for (const { id, variants } of attacks) {
      const names = variants.map(({ name }) => name)
      assert.strictEqual(new Set(names).size, names.length, id)
    }
    assert.isAtLeast(attacks.reduce((sum, { variants }) => sum + variants.length, 0), 300)
  })
})
