/** Recorded series as a unit test of rules, and `promtool` to run it. */
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { rulesFile } from "./rules.ts"

export const SCRAPE_SECONDS = 15

/** The values of every series at every scrape; undefined where it had none. */
export interface Recording {
  readonly series: ReadonlyMap<string, ReadonlyArray<number | undefined>>
  readonly scrapes: number
  /** The first scrape of the incident. */
  readonly begin: number
}

const find = (): string | undefined => {
  const given = process.env["OVERLAY_TEST_PROMTOOL"]
  if (given !== undefined && given !== "") return given
  return spawnSync("promtool", ["--version"], { stdio: "ignore" }).status === 0 ? "promtool" : undefined
}

/** Where promtool is; undefined on a machine without it. */
export const promtool = find()

/** How often an alert has fired until some scrape, at most once for each set of labels. */
const fired = (alert: string): string => `count(max_over_time(ALERTS{${alert}alertstate="firing"}[1d])) or vector(0)`

export interface Expectation {
  /** An alert; all of them when it is undefined. */
  readonly alert: string | undefined
  readonly scrape: number
  readonly fires: boolean
}

/** The unit test; JSON is YAML. */
export const unitTest = ({ scrapes, series }: Recording, expectations: ReadonlyArray<Expectation>): string =>
  JSON.stringify({
    rule_files: [rulesFile],
    evaluation_interval: `${SCRAPE_SECONDS}s`,
    tests: [{
      interval: `${SCRAPE_SECONDS}s`,
      input_series: [...series].map(([name, values]) => ({
        series: name,
        values: Array.from({ length: scrapes }, (_, n) => values[n] ?? "_").join(" ")
      })),
      promql_expr_test: expectations.map(({ alert, fires, scrape }) => ({
        expr: `clamp_max(${fired(alert === undefined ? "" : `alertname="${alert}",`)}, 1)`,
        eval_time: `${scrape * SCRAPE_SECONDS}s`,
        exp_samples: [{ labels: "{}", value: fires ? 1 : 0 }]
      }))
    }]
  })

/** Runs promtool over the rules; its complaint, or undefined. Without promtool there is nothing to complain about. */
export const run = (recording: Recording, expectations: ReadonlyArray<Expectation>): string | undefined => {
  if (promtool === undefined) return undefined
  const folder = mkdtempSync(join(tmpdir(), "stellar-overlay-alerts-"))
  try {
    const file = join(folder, "test.yml")
    writeFileSync(file, unitTest(recording, expectations))
    execFileSync(promtool, ["test", "rules", file], { encoding: "utf8", stdio: "pipe" })
    return undefined
  } catch (error) {
    if (process.env["OVERLAY_TEST_KEEP_ALERTS"] !== undefined) {
      writeFileSync(process.env["OVERLAY_TEST_KEEP_ALERTS"], unitTest(recording, expectations))
    }
    const { stderr, stdout } = error as { readonly stderr?: string; readonly stdout?: string }
    return `${stdout ?? ""}${stderr ?? String(error)}`
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** promtool's own opinion of a file of rules. */
const checkFile = (file: string): string | undefined => {
  if (promtool === undefined) return undefined
  const { status, stderr, stdout } = spawnSync(promtool, ["check", "rules", file], { encoding: "utf8" })
  return status === 0 ? undefined : `${stdout}${stderr}`
}

export const checkRules = (): string | undefined => checkFile(rulesFile)

/** Whether promtool can read expressions; its complaint, or undefined. */
export const checkExpressions = (expressions: ReadonlyArray<string>): string | undefined => {
  const folder = mkdtempSync(join(tmpdir(), "stellar-overlay-expressions-"))
  try {
    const file = join(folder, "rules.yml")
    const rules = expressions.map((expr, n) => ({ record: `expression:${n}`, expr }))
    writeFileSync(file, JSON.stringify({ groups: [{ name: "expressions", rules }] }))
    return checkFile(file)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
