import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { render } from "../src/render/Line.ts"
import * as Fates from "../src/sim/fates.ts"
import { child } from "./support.ts"

const killed = (name: string, seeds = 3): Fates.Fate => ({
  name,
  seeds,
  killedBy: "41",
  checker: "alive",
  text: "n1 is out of sync",
  broken: undefined
})
const alive = (name: string): Fates.Fate => ({
  name,
  seeds: 100,
  killedBy: undefined,
  checker: undefined,
  text: undefined,
  broken: undefined
})
const broken = (name: string): Fates.Fate => ({ ...alive(name), seeds: 0, broken: "its process did not end in order" })

const names = Array.from({ length: 20 }, (_, i) => `m${i}`)
const planted = Fates.plan(["canary-x", "control", ...names])
const sound = [killed("canary-x", 1), alive("control")]

describe("the judgement about mutants", () => {
  it("SIM-04 nineteen of twenty are enough, eighteen are not", () => {
    const nineteen = Fates.judge(planted, [...sound, ...names.slice(1).map((name) => killed(name)), alive("m0")])
    assert.deepInclude(nineteen, { mutants: 20, killed: 19, alive: ["m0"], share: 0.95, isEnough: true })
    const eighteen = Fates.judge(planted, [...sound, ...names.slice(2).map((name) => killed(name)), alive("m0")])
    assert.deepInclude(eighteen, { killed: 18, alive: ["m0", "m1"], isEnough: false })
  })

  it("SIM-04 a canary that lives, a control that is red, and both when they are missing, are not enough", () => {
    const all = names.map((name) => killed(name))
    assert.isTrue(Fates.judge(planted, [...sound, ...all]).isEnough)
    assert.deepInclude(Fates.judge(planted, [alive("canary-x"), alive("control"), ...all]), {
      canaryIsRed: false,
      isEnough: false
    })
    assert.deepInclude(Fates.judge(planted, [killed("canary-x"), killed("control"), ...all]), {
      controlIsGreen: false,
      isEnough: false
    })
    assert.deepInclude(Fates.judge(planted, all), { canaryIsRed: false, controlIsGreen: false, isEnough: false })
    assert.deepInclude(Fates.judge(Fates.plan(names), all), { canaryIsRed: false, controlIsGreen: false })
  })

  it("SIM-04 what did not run is neither killed nor green", () => {
    const all = names.map((name) => killed(name))
    const verdict = Fates.judge(planted, [...sound, ...all.slice(1), broken("m0")])
    assert.deepInclude(verdict, { killed: 19, alive: ["m0"], broken: ["m0"], isEnough: false })
    assert.isFalse(Fates.judge(planted, [killed("canary-x"), broken("control"), ...all]).controlIsGreen)
    assert.isFalse(Fates.judge(planted, [broken("canary-x"), alive("control"), ...all]).canaryIsRed)
  })

  it("SIM-04 one table: mutant, seeds needed, the seed that killed it, its checker", () => {
    const some = Fates.plan(["canary-x", "control", "m0", "m1", "m2", "m3"])
    const fates = [...sound, killed("m0"), alive("m1"), broken("m2")]
    const lines = Fates.table(some, fates).map((line) => render(line, { colors: false }).replaceAll(/ +/g, " "))
    assert.deepStrictEqual(lines, [
      "mutant seeds seed checker ",
      "canary-x 1 41 alive killed: n1 is out of sync",
      "control 100 - - green",
      "m0 3 41 alive killed: n1 is out of sync",
      "m1 100 - - alive",
      "m2 0 - - broken: its process did not end in order",
      "m3 - - - did not run"
    ])
    assert.deepStrictEqual(Fates.each(fates), {
      "canary-x": "1: seed 41, alive",
      control: "alive after 100",
      m0: "3: seed 41, alive",
      m1: "alive after 100",
      m2: "broken"
    })
  })
})

describe("stellar-overlay sim mutants", () => {
  it.effect(
    "SIM-04 one mutant is killed, the canary is red, the control green, and a line about it is noted",
    () =>
      Effect.acquireUseRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "mutants-"))),
        (folder) =>
          Effect.gen(function*() {
            const ledger = join(folder, "campaigns.jsonl")
            const run = yield* child([
              "sim",
              "mutants",
              "--only",
              "authenticated-is-not-told",
              "--seeds",
              "1",
              "--ledger",
              ledger
            ])
            const { code, out } = yield* run.ended
            assert.strictEqual(code, 0, out)
            assert.match(out, /authenticated-is-not-told +1 /)
            assert.match(out, /control +1 +- +- +green/)
            assert.include(out, "1 of 1 mutants killed (100.0 %")
            const noted = JSON.parse(readFileSync(ledger, "utf8")) as Record<string, unknown>
            assert.deepInclude(noted, { campaign: "mutants", from: 0, seeds: 1, mutants: 1, killed: 1, alive: [] })
            assert.containsAllKeys(noted["each"], [
              "canary-no-message-is-handled",
              "control",
              "authenticated-is-not-told"
            ])
          }),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
      ),
    120_000
  )

  it.effect("SIM-04 no mutant of that name is a mistake, not a success", () =>
    Effect.gen(function*() {
      const run = yield* child(["sim", "mutants", "--only", "no-such-mutant", "--seeds", "1"])
      assert.strictEqual((yield* run.ended).code, 2)
    }), 60_000)
})
