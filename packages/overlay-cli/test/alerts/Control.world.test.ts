/** The rules name what exists, and a healthy network fires none of them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { play } from "./lab.ts"
import { checkRules, run } from "./promtool.ts"
import { check, rules } from "./rules.ts"

describe("alert rules", () => {
  it("MET-02 there are at least twenty, each whole, and each names metrics and labels that exist", () => {
    assert.isAtLeast(rules.length, 20)
    assert.strictEqual(new Set(rules.map(({ alert }) => alert)).size, rules.length)
    for (const { alert, expr, fields } of rules) {
      assert.match(alert, /^Overlay[A-Z][A-Za-z]+$/)
      assert.include(["critical", "warning", "info"], fields.get("severity"), alert)
      for (const name of ["summary", "description"]) assert.isAbove(fields.get(name)?.length ?? 0, 15, alert)
      assert.strictEqual(fields.get("runbook"), `docs/OPERATIONS.md#${alert.toLowerCase()}`)
      assert.deepStrictEqual(check(expr).problems, [], `${alert}: ${expr}`)
    }
    assert.isUndefined(checkRules())
  })

  it("MET-02 the check finds names, labels, values and functions that are wrong", () => {
    const problems = (expr: string) => check(expr).problems.length
    assert.strictEqual(problems("stellar_overlay_bans > 3"), 0)
    assert.isAbove(problems("stellar_overlay_banz > 3"), 0)
    assert.isAbove(problems("stellar_overlay_drops_total{reasons=\"Defect\"} > 3"), 0)
    assert.isAbove(problems("stellar_overlay_drops_total{reason=~\"Defect|Typo\"} > 3"), 0)
    assert.isAbove(problems("rate(stellar_overlay_bans[5m]) > 3"), 0)
    assert.isAbove(problems("sum by (peer) (stellar_overlay_bans) > 3"), 0)
    assert.isAbove(problems("stellar_overlay_recv_seconds > 3"), 0)
    assert.isAbove(problems("1 > 3"), 0)
  })

  it.effect("MET-02 twenty minutes of a healthy network fire none", () =>
    Effect.gen(function*() {
      const recording = yield* play({}, { before: 2, after: 18 }, () => Effect.void)
      assert.isAtLeast(recording.scrapes, 80)
      const complaint = run(recording, [{ alert: undefined, scrape: recording.scrapes, fires: false }])
      assert.isUndefined(complaint)
    }), 180_000)
})
