/**
 * `sim mutants`: planted defects, and the seeds that notice them. Works in a checkout, where the list of defects and the
 * loader that plants them are.
 */
import type { Outcome } from "@stellar-overlay/overlay-test/campaign/Campaign"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { ExitCode } from "../ExitCode.ts"
import { bold, dim, green, type Line, red } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { note } from "./run.ts"
import * as Workers from "./workers.ts"

/** The loader, from the root of a checkout. */
const LOADER = "scripts/mutate.ts"
/** What it prints about the defects there are. */
const LIST = "packages/overlay-test/mutants/index.ts"

interface Planted {
  readonly name: string
  readonly isControl: boolean
  readonly isCanary: boolean
}

/** How one mutant fared. */
interface Fate {
  readonly name: string
  readonly seeds: number
  readonly killedBy: string | undefined
  readonly checker: string | undefined
  readonly text: string | undefined
}

const root = `${process.cwd()}/`

const listUrl = `file://${root}${LIST}`

/** The mutants of the checkout. The module is not part of any package, so it is loaded by its path. */
const list = Effect.tryPromise((): Promise<{
  readonly mutants: ReadonlyArray<{ readonly name: string; readonly rows: ReadonlyArray<string> }>
}> => import(listUrl))

const fateOf = (name: string, options: { readonly from: number; readonly seeds: number; readonly workers: number }) =>
  Effect.gen(function*() {
    const done: Array<Outcome> = []
    let seeds = 0
    const exit = yield* Effect.exit(Workers.run({
      ...options,
      nodeArgs: ["--import", `file://${root}${LOADER}`],
      env: { MUTANT: name },
      stopAtFailure: true,
      onOutcome: (outcome) =>
        Effect.sync(() => {
          seeds++
          if (outcome.failures.length > 0) done.push(outcome)
        })
    }))
    const [first] = done.sort((a, b) => Number(a.seed) - Number(b.seed))
    const fate: Fate = exit._tag === "Failure"
      ? { name, seeds, killedBy: "-", checker: "crash", text: "the worker did not survive" }
      : {
        name,
        seeds,
        killedBy: first?.seed,
        checker: first?.failures[0]?.checker,
        text: first?.failures[0]?.text.split("\n")[0]
      }
    return fate
  })

export const run = Effect.fnUntraced(function*(options: {
  readonly seeds: number
  readonly from: number
  readonly workers: number
  readonly only: string | undefined
  readonly ledger: string | undefined
  readonly json: boolean
}) {
  const { from, json, ledger, only, seeds, workers } = options
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
  const planted = mutants.filter(({ rows }) => rows.length === 0).map(({ name }): Planted => ({
    name,
    isCanary: name.startsWith("canary"),
    isControl: name.startsWith("control")
  })).filter(({ isCanary, isControl, name }) =>
    isCanary || isControl || wanted === undefined || wanted.some((part) => name.includes(part))
  )
  const started = yield* Clock.currentTimeMillis
  const fates: Array<Fate> = []
  // Each mutant is one process that stops at its first failure; as many at a time as there are workers.
  yield* Effect.forEach(planted, ({ name }) =>
    Effect.gen(function*() {
      const fate = yield* fateOf(name, { from, seeds, workers: 1 })
      fates.push(fate)
      if (json) return
      const line: Line = fate.killedBy === undefined
        ? [red("alive  "), bold(name), dim(` after ${fate.seeds} seeds`)]
        : [green("killed "), bold(name), dim(` by seed ${fate.killedBy}: ${fate.checker}: ${fate.text}`)]
      yield* screen.print([line], { cut: true })
      yield* screen.status([dim(`${fates.length} of ${planted.length} mutants`)])
    }), { concurrency: workers, discard: true })
  yield* screen.status(undefined)
  const fateByName = new Map(fates.map((fate) => [fate.name, fate]))
  const isKilled = ({ name }: Planted) => fateByName.get(name)?.killedBy !== undefined
  const real = planted.filter(({ isCanary, isControl }) => !isCanary && !isControl)
  const killed = real.filter(isKilled)
  const canary = planted.filter(({ isCanary }) => isCanary)
  const control = planted.filter(({ isControl }) => isControl)
  const isSound = canary.length > 0 && control.length > 0 && canary.every(isKilled) && !control.some(isKilled)
  const share = real.length === 0 ? 1 : killed.length / real.length
  const summary = {
    mutants: real.length,
    killed: killed.length,
    alive: real.filter((one) => !isKilled(one)).map(({ name }) => name),
    canaryIsRed: canary.every(isKilled),
    controlIsGreen: !control.some(isKilled)
  }
  if (json) yield* screen.json([{ ...summary, fates }], { indent: 2 })
  else {
    yield* screen.print([[
      bold(`${killed.length} of ${real.length} mutants killed`),
      ` (${(100 * share).toFixed(1)} %), canary `,
      summary.canaryIsRed ? green("red") : red("not red"),
      ", control ",
      summary.controlIsGreen ? green("green") : red("not green")
    ]])
  }
  if (ledger !== undefined) {
    const millis = (yield* Clock.currentTimeMillis) - started
    yield* note(ledger, { campaign: "mutants", from, seeds, ...summary, seconds: Math.round(millis / 1000) })
  }
  return isSound && killed.length === real.length ? ExitCode.Ok : ExitCode.Failed
})
