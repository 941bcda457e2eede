/**
 * `sim mutants`: planted defects, and the seeds that notice them. Works in a checkout, where the list of defects and the
 * loader that plants them are.
 */
import type { Outcome } from "@stellar-overlay/overlay-test/campaign/Campaign"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import { ExitCode } from "../ExitCode.ts"
import { dim, red } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import * as Fates from "./fates.ts"
import { note, write } from "./run.ts"
import * as Workers from "./workers.ts"

/** The loader, from the root of a checkout. */
const LOADER = "scripts/mutate.ts"
/** The defects there are. */
const LIST = "packages/overlay-test/mutants/index.ts"
/**
 * The seed that last killed each mutant, which is tried first. Schedules change with the code, so one that does not kill
 * any more means nothing: the others follow.
 */
const SEEDS = "packages/overlay-test/mutants/seeds.json"

const root = `${process.cwd()}/`

const listUrl = `file://${root}${LIST}`

/** The mutants of the checkout. The module is not part of any package, so it is loaded by its path. */
const list = Effect.tryPromise((): Promise<{
  readonly mutants: ReadonlyArray<{ readonly name: string; readonly rows: ReadonlyArray<string> }>
}> => import(listUrl))

const decodeSeeds = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Record(Schema.String, Schema.String)))

/** What was recorded; nothing, where there is no such file or it is not what it should be. */
const recordedSeeds = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  return yield* decodeSeeds(yield* fs.readFileString(SEEDS))
}).pipe(Effect.orElseSucceed((): Readonly<Record<string, string>> => ({})))

interface Range {
  readonly from: number
  readonly seeds: number
}

/** A process that has nothing to say for so long goes round in circles: a seed takes seconds. */
const STANDSTILL_MILLIS = 600_000
const LOOK_MILLIS = 10_000

/** Fails when nothing was said for too long. */
const watchdog = (lastAt: () => number): Effect.Effect<never, "Standstill"> => {
  const look = Effect.flatMap(
    Clock.currentTimeMillis,
    (now) => now - lastAt() > STANDSTILL_MILLIS ? Effect.fail("Standstill" as const) : Effect.void
  )
  return Effect.forever(Effect.andThen(Effect.sleep(LOOK_MILLIS), look))
}

/** Runs one mutant in a process of its own, which stops at its first failure. */
const fateOf = (name: string, range: Range, first: string | undefined) =>
  Effect.gen(function*() {
    let seeds = 0
    let killer: Outcome | undefined
    let lastAt = yield* Clock.currentTimeMillis
    const running = Workers.run({
      ...range,
      workers: 1,
      first,
      nodeArgs: ["--import", `file://${root}${LOADER}`],
      env: { MUTANT: name },
      stopAtFailure: true,
      onOutcome: (outcome) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          lastAt = now
          seeds++
          if (outcome.failures.length > 0) killer ??= outcome
        })
    })
    const exit = yield* Effect.exit(Effect.raceFirst(running, watchdog(() => lastAt)))
    const fate: Fates.Fate = {
      name,
      seeds,
      killedBy: killer?.seed,
      checker: killer?.failures[0]?.checker,
      text: killer?.failures[0]?.text.split("\n")[0],
      broken: exit._tag === "Failure" ? "its process did not end in order" : undefined
    }
    return fate
  })

export const run = Effect.fnUntraced(function*(options: {
  readonly seeds: number
  readonly from: number
  readonly workers: number
  readonly only: string | undefined
  readonly record: boolean
  readonly ledger: string | undefined
  readonly json: boolean
}) {
  const { from, json, ledger, only, record, seeds, workers } = options
  const screen = yield* Screen
  const fs = yield* FileSystem.FileSystem
  const isCheckout = (yield* fs.exists(LOADER)) && (yield* fs.exists(LIST))
  if (!isCheckout) {
    yield* screen.note([[red("error"), ": there are no mutants here; run this at the root of a checkout"]])
    return ExitCode.Usage
  }
  const wanted = only?.split(",")
  const { mutants } = yield* Effect.orDie(list)
  // Those with rows of the attack catalogue need hostile peers: `conformance` sees them.
  const planted = Fates.plan(mutants.filter(({ rows }) => rows.length === 0).map(({ name }) => name)).filter((
    { isCanary, isControl, name }
  ) => isCanary || isControl || wanted === undefined || wanted.some((part) => name.includes(part)))
  if (wanted !== undefined && planted.every(({ isCanary, isControl }) => isCanary || isControl)) {
    yield* screen.note([[red("error"), `: no mutant has a name with ${wanted.join(" or ")} in it`]])
    return ExitCode.Usage
  }
  const recorded = yield* recordedSeeds
  const started = yield* Clock.currentTimeMillis
  const fates: Array<Fates.Fate> = []
  yield* Effect.forEach(planted, ({ name }) =>
    Effect.gen(function*() {
      const fate = yield* fateOf(name, { from, seeds }, recorded[name])
      fates.push(fate)
      if (json) return
      const killed = fates.filter(({ killedBy }) => killedBy !== undefined).length
      const line = [dim(`${fates.length} of ${planted.length} mutants, ${killed} killed, last ${name}`)]
      if (screen.isTerminal) yield* screen.status(line)
      else yield* screen.note([line])
    }), { concurrency: workers, discard: true })
  yield* screen.status(undefined)

  const verdict = Fates.judge(planted, fates)
  if (json) yield* screen.json([{ ...verdict, fates }], { indent: 2 })
  else yield* screen.print([...Fates.table(planted, fates), Fates.summary(verdict)], { cut: true })
  if (record) {
    const killers = fates.flatMap(({ killedBy, name }) =>
      killedBy === undefined || name.startsWith("control") ? [] : [[name, killedBy] as const]
    )
    const sorted = Object.entries({ ...recorded, ...Object.fromEntries(killers) })
      .filter(([name]) => mutants.some((mutant) => mutant.name === name))
      .sort(([a], [b]) => (a < b ? -1 : 1))
    yield* write(SEEDS, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`)
  }
  if (ledger !== undefined) {
    const seconds = Math.round(((yield* Clock.currentTimeMillis) - started) / 1000)
    const { isEnough: _, share: __, ...rest } = verdict
    yield* note(ledger, { campaign: "mutants", from, seeds, ...rest, each: Fates.each(fates), seconds })
  }
  return verdict.isEnough ? ExitCode.Ok : ExitCode.Failed
})
