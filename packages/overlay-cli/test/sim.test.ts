import { assert, describe, it } from "@effect/vitest"
import * as Scenario from "@stellar-overlay/overlay-test/campaign/Scenario"
import { Effect } from "effect"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { child, cli } from "./support.ts"

const inFolder = <A, E, R>(use: (folder: string) => Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "sim-"))),
    use,
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )

/** Two nodes, one ledger every two seconds, nothing wrong. */
const small: Scenario.Scenario = {
  ...Scenario.draw(1),
  seed: "small",
  nodes: [
    { name: "n0", isValidator: true, knows: [], config: {} },
    { name: "n1", isValidator: false, knows: ["n0"], config: {} }
  ],
  closeTimeMillis: 2000,
  phases: { faults: 5000, healing: 5000, liveness: 8000 },
  faults: []
}

describe("stellar-overlay sim", () => {
  it.effect("SIM-04 sim replay tells a scenario of a file and writes its page", () =>
    inFolder((folder) =>
      Effect.gen(function*() {
        const file = join(folder, "small.json")
        const html = join(folder, "story.html")
        writeFileSync(file, JSON.stringify(small))
        const { code, out } = yield* cli(["sim", "replay", "--scenario", file, "--html", html])
        assert.strictEqual(code, 0)
        assert.match(out[0]!, /^seed small {2}passed/)
        assert.match(readFileSync(html, "utf8"), /^<!doctype html>/)
      })
    ))

  it.effect("SIM-04 a scenario that is none, and none at all, are refused", () =>
    inFolder((folder) =>
      Effect.gen(function*() {
        const file = join(folder, "none.json")
        for (
          const text of ["no JSON", "{}", JSON.stringify({ ...small, faults: [{ at: 1, fault: { _tag: "Storm" } }] })]
        ) {
          writeFileSync(file, text)
          const { code, err } = yield* cli(["sim", "replay", "--scenario", file])
          assert.strictEqual(code, 2, text)
          assert.include(err[0], "error")
        }
        assert.strictEqual((yield* cli(["sim", "replay", "--scenario", join(folder, "missing")])).code, 2)
        assert.strictEqual((yield* cli(["sim", "replay"])).code, 2)
      })
    ))

  it.effect("SIM-04 sim shrink has nothing to do where nothing fails", () =>
    inFolder((folder) =>
      Effect.gen(function*() {
        const file = join(folder, "small.json")
        writeFileSync(file, JSON.stringify(small))
        const { code, err } = yield* cli(["sim", "shrink", "--scenario", file])
        assert.strictEqual(code, 0)
        assert.include(err[0], "nothing to shrink")
      })
    ))

  it.effect(
    "SIM-04 sim run reports, notes and fails when a kind of fault never fired",
    () =>
      inFolder((folder) =>
        Effect.gen(function*() {
          const report = join(folder, "report.json")
          const ledger = join(folder, "campaigns.jsonl")
          const args = ["sim", "run", "--seeds", "2", "--from", "17", "--workers", "2"]
          const run = yield* child([...args, "--report", report, "--ledger", ledger])
          const { code, out } = yield* run.ended
          assert.strictEqual(code, 1, out)
          assert.include(out, "never fired")
          assert.isTrue(existsSync(report))
          const written = JSON.parse(readFileSync(report, "utf8")) as Record<string, unknown>
          assert.deepInclude(written, { seeds: 2, failed: [] })
          const noted = JSON.parse(readFileSync(ledger, "utf8")) as Record<string, unknown>
          assert.deepInclude(noted, { campaign: "run", from: 17, seeds: 2, failed: [] })
        })
      ),
    120_000
  )
})
