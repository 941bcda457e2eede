/**
 * Worker processes: each runs the same program on seeds of its own, and prints one outcome per line.
 */
import type { Outcome } from "@stellar-overlay/overlay-test/campaign/Campaign"
import * as Effect from "effect/Effect"
import * as ChildProcess from "effect/process/ChildProcess"
import * as Stream from "effect/Stream"

export interface WorkersOptions {
  readonly from: number
  readonly seeds: number
  readonly workers: number
  /** Added to the environment of the workers. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Added to the arguments of node. */
  readonly nodeArgs?: ReadonlyArray<string> | undefined
  readonly stopAtFailure?: boolean | undefined
  /** A seed that the first worker runs before all others. */
  readonly first?: string | undefined
  readonly onOutcome: (outcome: Outcome) => Effect.Effect<void>
}

/**
 * A simulated network makes much garbage that lives for a moment, and more than the 16 MiB that Node keeps for it by
 * default are moved about for nothing: worlds run a fifth faster with this (measured with 60 seeds).
 */
const youngGeneration = "--max-semi-space-size=64"

/** What a worker prints: our own outcomes as JSON. */
const parse = (line: string): Outcome => JSON.parse(line) as Outcome

/** A worker ended without all of its outcomes. */
export const worker = (options: WorkersOptions, index: number) => {
  const { env, first, from, nodeArgs = [], onOutcome, seeds, stopAtFailure = false, workers } = options
  const program = process.argv[1] ?? ""
  const args = [
    ...process.execArgv,
    youngGeneration,
    ...nodeArgs,
    program,
    "sim",
    "outcomes",
    "--from",
    String(from + index),
    "--seeds",
    String(Math.ceil((seeds - index) / workers)),
    "--stride",
    String(workers),
    ...(first === undefined || index > 0 ? [] : ["--first", first]),
    ...(stopAtFailure ? ["--stop-at-failure"] : [])
  ]
  const command = ChildProcess.make(process.execPath, args, {
    stdin: "ignore",
    stderr: "inherit",
    // A worker that goes round in circles listens to nothing else.
    killSignal: "SIGKILL",
    extendEnv: true,
    ...(env === undefined ? {} : { env })
  })
  return Effect.scoped(Effect.gen(function*() {
    const child = yield* command
    yield* child.stdout.pipe(
      Stream.decodeText,
      Stream.splitLines,
      Stream.filter((line) => line.startsWith("{")),
      Stream.runForEach((line) => onOutcome(parse(line)))
    )
    const code = yield* child.exitCode
    if (code !== 0) return yield* Effect.die(new Error(`a worker ended with code ${code}`))
  }))
}

/** Runs all seeds in worker processes. */
export const run = (options: WorkersOptions) => {
  const workers = Math.max(1, Math.min(options.workers, options.seeds))
  const indices = Array.from({ length: workers }, (_, index) => index)
  return Effect.forEach(indices, (index) => worker({ ...options, workers }, index), {
    concurrency: "unbounded",
    discard: true
  })
}
