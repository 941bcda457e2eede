/** The subcommands of `sim` that need nothing but seeds. */
import * as Campaign from "@stellar-overlay/overlay-test/campaign/Campaign"
import * as Scenario from "@stellar-overlay/overlay-test/campaign/Scenario"
import * as Shrink from "@stellar-overlay/overlay-test/campaign/Shrink"
import * as Story from "@stellar-overlay/overlay-test/campaign/Story"
import { Tally } from "@stellar-overlay/overlay-test/campaign/Tally"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import { Ended, ExitCode } from "../ExitCode.ts"
import { bold, dim, green, type Line, red } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { VERSION } from "../version.ts"
import * as Show from "./show.ts"
import * as Workers from "./workers.ts"

/** Ends with a message about what the user gave. */
const refuse = Effect.fnUntraced(function*(text: string) {
  const screen = yield* Screen
  yield* screen.note([[red("error"), `: ${text}`]])
  return yield* new Ended({ code: ExitCode.Usage })
})

const readScenario = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.result(fs.readFileString(file))
  if (Result.isFailure(text)) return yield* refuse(`${file} cannot be read: ${text.failure.message}`)
  const json = Result.try(() => JSON.parse(text.success) as unknown)
  if (Result.isFailure(json)) return yield* refuse(`${file} is not JSON`)
  const parsed = Scenario.parse(json.success)
  return Result.isFailure(parsed) ? yield* refuse(`${file} is no scenario: ${parsed.failure}`) : parsed.success
})

interface Which {
  readonly seed: string | undefined
  readonly scenario: string | undefined
}

const which = ({ scenario, seed }: Which) =>
  scenario !== undefined
    ? readScenario(scenario)
    : seed !== undefined
    ? Effect.succeed(Scenario.draw(seed))
    : refuse("give a seed or --scenario")

/** Writes a file, or says why it cannot be written. */
export const write = Effect.fnUntraced(function*(file: string, text: string) {
  const fs = yield* FileSystem.FileSystem
  const written = yield* Effect.result(fs.writeFileString(file, text))
  if (Result.isFailure(written)) return yield* refuse(`${file} cannot be written: ${written.failure.message}`)
})

/** The commit of the checkout that this runs in, where there is one. */
const commit = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const head = (yield* fs.readFileString(".git/HEAD")).trim()
  if (!head.startsWith("ref: ")) return head
  return (yield* fs.readFileString(`.git/${head.slice(5)}`)).trim()
}).pipe(Effect.orElseSucceed(() => undefined))

/** Appends one line to a file of campaigns. */
export const note = Effect.fnUntraced(function*(file: string, entry: Readonly<Record<string, unknown>>) {
  const fs = yield* FileSystem.FileSystem
  const date = new Date(yield* Clock.currentTimeMillis).toISOString().slice(0, 10)
  const line = JSON.stringify({ date, version: VERSION, commit: yield* commit, ...entry })
  const before = yield* fs.readFileString(file).pipe(Effect.orElseSucceed(() => ""))
  yield* write(file, `${before}${line}\n`)
})

export const outcomes = Effect.fnUntraced(function*(options: {
  readonly from: number
  readonly seeds: number
  readonly stride: number
  readonly first: string | undefined
  readonly stopAtFailure: boolean
}) {
  const screen = yield* Screen
  const { first, from, seeds, stride } = options
  const range = Array.from({ length: seeds }, (_, index) => String(from + index * stride))
  for (const seed of first === undefined ? range : [first, ...range.filter((seed) => seed !== first)]) {
    const outcome = yield* Campaign.run(Scenario.draw(seed))
    yield* screen.json([outcome])
    if (options.stopAtFailure && outcome.failures.length > 0) break
  }
  return ExitCode.Ok
})

export const run = Effect.fnUntraced(function*(options: {
  readonly seeds: number
  readonly from: number
  readonly workers: number
  readonly report: string | undefined
  readonly ledger: string | undefined
  readonly json: boolean
}) {
  const { from, json, ledger, report: file, seeds, workers } = options
  const screen = yield* Screen
  const tally = new Tally()
  const started = yield* Clock.currentTimeMillis
  yield* Workers.run({
    from,
    seeds,
    workers,
    onOutcome: Effect.fnUntraced(function*(outcome) {
      tally.add(outcome)
      const perSecond = tally.seeds * 1000 / Math.max(1, (yield* Clock.currentTimeMillis) - started)
      if (json) return
      if (outcome.failures.length > 0) {
        yield* screen.print([[bold(`seed ${outcome.seed}`), red(" failed")], ...outcome.failures.map(Show.failure)])
      }
      yield* screen.status(Show.progress(tally.seeds, seeds, tally.failures, tally.kinds, perSecond))
    })
  })
  yield* screen.status(undefined)
  const millis = (yield* Clock.currentTimeMillis) - started
  const report = tally.report()
  if (json) yield* screen.json([report], { indent: 2 })
  else yield* screen.print(Show.report(report, millis))
  if (file !== undefined) yield* write(file, `${JSON.stringify(report, null, 2)}\n`)
  if (ledger !== undefined) {
    yield* note(ledger, {
      campaign: "run",
      from,
      seeds,
      failed: report.failed.map(({ seed }) => seed),
      neverFired: report.neverFired,
      pairs: report.pairs,
      neverReached: report.neverReached,
      traceHash: report.traceHash,
      seconds: Math.round(millis / 1000)
    })
  }
  return report.failed.length + report.neverFired.length > 0 ? ExitCode.Failed : ExitCode.Ok
})

export const replay = Effect.fnUntraced(function*(
  options: Which & { readonly html: string | undefined; readonly json: boolean }
) {
  const screen = yield* Screen
  const scenario = yield* which(options)
  const recorder = new Story.Recorder(scenario)
  const outcome = yield* Campaign.run(scenario, recorder.options)
  if (options.json) yield* screen.json([{ scenario, outcome }], { indent: 2 })
  else {
    yield* screen.print([
      ...Show.outcome(outcome),
      [dim(`  ${scenario.nodes.length} nodes (${scenario.topology}), ${scenario.faults.length} faults planned:`)],
      ...scenario.faults.map(({ at, fault, for: millis }): Line => [
        dim(`    ${(at / 1000).toFixed(2).padStart(6)} s`),
        `  ${fault._tag}`,
        dim(` for ${((millis ?? 0) / 1000).toFixed(2)} s ${JSON.stringify({ ...fault, _tag: undefined })}`)
      ])
    ])
  }
  if (options.html !== undefined) {
    yield* write(options.html, Story.toHtml(recorder.tell(outcome)))
    yield* screen.note([[dim(`the story is in ${options.html}`)]])
  }
  return outcome.failures.length > 0 ? ExitCode.Failed : ExitCode.Ok
})

export const shrinkSeed = Effect.fnUntraced(function*(
  options: Which & { readonly maxRuns: number; readonly out: string | undefined }
) {
  const screen = yield* Screen
  const scenario = yield* which(options)
  const first = yield* Campaign.run(scenario)
  const [cause] = first.failures
  if (cause === undefined) {
    yield* screen.note([[green("passed"), ": there is nothing to shrink"]])
    return ExitCode.Ok
  }
  yield* screen.note([["shrinking what ", red(cause.checker), ` found: ${cause.text.split("\n")[0]}`]])
  const describe = ({ faults, nodes }: Scenario.Scenario, runs: number): Line => [
    dim(`${runs} runs: `),
    `${nodes.length} nodes, ${faults.length} faults`
  ]
  const shrunk = yield* Shrink.shrink(
    scenario,
    (candidate) =>
      Effect.map(Campaign.run(candidate), ({ failures }) => failures.some(({ checker }) => checker === cause.checker)),
    {
      maxRuns: options.maxRuns,
      onStep: (smaller, runs) =>
        screen.isTerminal ? screen.status(describe(smaller, runs)) : screen.note([describe(smaller, runs)])
    }
  )
  yield* screen.status(undefined)
  const text = `${JSON.stringify(shrunk.scenario, null, 2)}\n`
  yield* screen.note([[
    bold(`${shrunk.scenario.nodes.length} nodes, ${shrunk.scenario.faults.length} faults`),
    dim(` after ${shrunk.runs} runs, ${shrunk.isMinimal ? "nothing can be left out" : "the budget is used up"}`)
  ]])
  if (options.out === undefined) yield* screen.json([shrunk.scenario], { indent: 2 })
  else yield* write(options.out, text)
  return ExitCode.Failed
})
