/** Campaigns and outcomes as lines for a person. */
import type { Outcome } from "@stellar-overlay/overlay-test/campaign/Campaign"
import type { Failure } from "@stellar-overlay/overlay-test/campaign/Checker"
import type { Report } from "@stellar-overlay/overlay-test/campaign/Tally"
import { bold, dim, green, type Line, red, yellow } from "../render/Line.ts"

const seconds = (millis: number): string => `${(millis / 1000).toFixed(2)} s`

export const failure = ({ at, checker, text }: Failure): Line => [
  red(checker),
  dim(` at ${seconds(at)} `),
  text.split("\n")[0] ?? ""
]

export const outcome = (result: Outcome): ReadonlyArray<Line> => [
  [
    bold(`seed ${result.seed}`),
    "  ",
    result.failures.length === 0 ? green("passed") : red(`${result.failures.length} failures`),
    dim(
      `  ${
        seconds(result.millis)
      } virtual, ${result.messages} messages, ledger ${result.ledger}, trace ${result.traceHash}`
    )
  ],
  ...result.failures.map((one): Line => ["  ", ...failure(one)]),
  ["  faults: ", Object.entries(result.fired).map(([kind, count]) => `${kind} ${count}`).join(", ") || "none"],
  ["  points: ", result.sometimes.join(", ") || "none"]
]

const BAR = 24

/** The live line of a campaign. */
export const progress = (done: number, of: number, failed: number, kinds: number, perSecond: number): Line => {
  const full = Math.round(BAR * done / Math.max(1, of))
  return [
    green("█".repeat(full)),
    dim("░".repeat(BAR - full)),
    ` ${done} of ${of} seeds, `,
    failed === 0 ? "no failure" : red(`${failed} failed`),
    dim(`, ${kinds} kinds of faults, ${perSecond.toFixed(1)} a second`)
  ]
}

/** The end of a campaign. */
export const report = (result: Report, wallMillis: number): ReadonlyArray<Line> => {
  const { failed, faults, neverFired, neverReached, pairs, seeds, sometimes } = result
  const kinds = Object.keys(faults).length
  const perSecond = seeds / Math.max(1, wallMillis) * 1000
  const rare = Object.entries(sometimes).filter(([, runs]) => runs > 0 && runs * 100 < seeds).map(([name]) => name)
  return [
    [
      bold(`${seeds} seeds`),
      `: ${seconds(result.virtualMillis)} of virtual time, ${result.messages} messages, ${result.ledgers} ledgers in `,
      `${seconds(wallMillis)} (${perSecond.toFixed(2)} a second)`
    ],
    ["  ", failed.length === 0 ? green("no failure") : red(`${failed.length} seeds failed`)],
    ...failed.slice(0, 20).flatMap(({ failures, seed }): ReadonlyArray<Line> => [
      ["  ", bold(`seed ${seed}`), dim(`  stellar-overlay sim replay ${seed}`)],
      ...failures.slice(0, 3).map((one): Line => ["    ", ...failure(one)])
    ]),
    [`  faults: ${kinds - neverFired.length} of ${kinds} kinds took effect, ${pairs.met} of ${pairs.of} pairs met`],
    ...(neverFired.length === 0 ? [] : [["  ", red("never fired: "), neverFired.join(", ")]]),
    [`  points: ${Object.keys(sometimes).length - neverReached.length} of ${Object.keys(sometimes).length} reached`],
    ...(neverReached.length === 0 ? [] : [["  ", yellow("never reached: "), neverReached.join(", ")]]),
    ...(rare.length === 0 ? [] : [["  ", dim(`in less than one of a hundred: ${rare.join(", ")}`)]]),
    [dim(`  trace of all: ${result.traceHash}`)]
  ]
}
