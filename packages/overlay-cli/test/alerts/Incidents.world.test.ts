/**
 * Every alert, fired by what it is about: incidents played on a node of a small network in virtual time, scraped as
 * Prometheus would, judged by Prometheus' own `promtool` over the very rules that ship. Before its incident no alert
 * fires, after it those that must and none but those that may.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { incidents } from "./incidents.ts"
import { play } from "./lab.ts"
import { run } from "./promtool.ts"
import { rules } from "./rules.ts"

const QUIET_MINUTES = 3

describe("incidents", () => {
  it("MET-02 every rule has an incident, and every incident names rules", () => {
    const fired = new Set(incidents.flatMap(({ fires }) => fires))
    assert.deepStrictEqual([...fired].sort(), rules.map(({ alert }) => alert).sort())
  })

  for (const { fires, make, may = [], minutes, name } of incidents) {
    it.effect(
      `MET-02 ${name}: ${fires.map((alert) => alert.replace("Overlay", "")).join(", ")}`,
      () =>
        Effect.gen(function*() {
          const { play: act, setting = {} } = make()
          const recording = yield* play(setting, { before: QUIET_MINUTES, after: minutes }, act)
          const complaint = run(recording, [
            { alert: undefined, scrape: recording.begin, fires: false },
            ...rules
              .filter(({ alert }) => !may.includes(alert))
              .map(({ alert }) => ({ alert, scrape: recording.scrapes, fires: fires.includes(alert) }))
          ])
          assert.isUndefined(complaint)
        }),
      180_000
    )
  }
})
