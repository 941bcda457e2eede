/**
 * A deterministic world: one seed decides time, chance and the order in which fibers run.
 *
 * `run` executes a program to its end inside one synchronous call. A seeded scheduler picks among the runnable tasks, a
 * virtual clock jumps to the next timer when none is left, and every node draws from its own seeded generator. Equal
 * seeds give equal runs on any machine; different seeds explore different interleavings. A program that can make no
 * progress, or would not end, fails with a `WorldError`, and a program that asks the real machine for time or chance
 * meets a `TrapError` whose stack leads to the call.
 *
 * Simulated code must not wait for promises, sockets or real timers: nothing would wake it. A promise is a trap as well,
 * async functions included, and whatever else never comes ends in a deadlock, which names the places where fibers wait. The counterpart in stellar-core is `VirtualClock` in virtual time.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Engine } from "./internal/engine.ts"
import { type Waiting, waiting } from "./internal/fiberBook.ts"
import { installTraps, TrapError } from "./internal/traps.ts"

/**
 * Unix time, in milliseconds, at which a world starts unless told otherwise: 2026-01-01T00:00:00Z.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_START_UNIX_MILLIS = 1_767_225_600_000

/**
 * The tasks and timers that a world runs at most unless told otherwise; a livelock ends here.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_MAX_STEPS = 5_000_000

/**
 * The virtual time, in milliseconds, that a world lets pass at most unless told otherwise: one day.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_MAX_MILLIS = 86_400_000

/**
 * The steps that the finalizers of a stuck or endless program get after it was interrupted.
 *
 * @category constants
 * @since 0.1.0
 */
export const CLEANUP_STEPS = 100_000

/**
 * The `TrapError`s that a report keeps at most.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_TRAPS = 64

export {
  /**
   * Simulated code asked the real machine for time, order or chance. `api` names the function as one would write it,
   * and the stack leads to the call.
   *
   * @category errors
   * @since 0.1.0
   */
  TrapError
}

/**
 * A seeded generator: Effect's `Random`, and a few draws for code that is not Effect. Never secure.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorldRandom extends Random.Random {
  /** An integer between 0 and 2^32 - 1. */
  nextUint32Unsafe(): number
  /** An integer between 0 and `bound - 1`. */
  nextBelowUnsafe(bound: number): number
  /** `length` bytes. */
  nextBytesUnsafe(length: number): Uint8Array
}

/**
 * How a world is set up.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Decides everything; 0 unless given. */
  readonly seed?: number | string | undefined
  /** Unix time at the start, `DEFAULT_START_UNIX_MILLIS` unless given. The monotonic clock starts at 0. */
  readonly startUnixMillis?: number | undefined
  /** Bound on tasks and timers run, `DEFAULT_MAX_STEPS` unless given. */
  readonly maxSteps?: number | undefined
  /** Bound on virtual time in milliseconds, `DEFAULT_MAX_MILLIS` unless given. */
  readonly maxMillis?: number | undefined
  /** The operations after which a fiber lets others run; 2048, as in production, unless given. */
  readonly maxOpsBeforeYield?: number | undefined
  /** Whether real time, timers, chance and promises are an error while the world runs; true unless given. */
  readonly traps?: boolean | undefined
  /** How the next of several runnable tasks is chosen, `"random"` unless given. */
  readonly exploration?: Exploration | undefined
}

/**
 * How interleavings are explored. All are decided by the seed:
 *
 * - `random`: every runnable task has the same chance
 * - `fifo`: in the order in which they became runnable, as Effect's own scheduler; then the seed decides draws alone
 * - `priorities`: fibers have random priorities that change at random points, so that some are late for long. It finds
 *   bugs that take a fiber to be starved, or a few switches at the right places
 *
 * @category models
 * @since 0.1.0
 */
export type Exploration = "random" | "fifo" | "priorities"

/**
 * Why a world ended without the program's own result:
 *
 * - `Deadlock`: nothing was runnable and no timer pending, and the program had not ended
 * - `StepLimit`: the program took `maxSteps` steps
 * - `TimeLimit`: the next timer lies beyond `maxMillis`
 * - `Trapped`: the real machine was asked for time, order or chance; `cause` is the first `TrapError`, even if the
 *   program swallowed it
 * - `SeedFailed`: one of the seeds of `runSeeds` failed; `cause` says how
 *
 * @category models
 * @since 0.1.0
 */
export const WorldErrorKind = Schema.Literals(["Deadlock", "StepLimit", "TimeLimit", "Trapped", "SeedFailed"])

const explanations: Record<typeof WorldErrorKind.Type, string> = {
  Deadlock: "nothing is runnable and no timer is pending, but the program has not ended",
  StepLimit: "the program took as many steps as maxSteps allows",
  TimeLimit: "the program waits for a time beyond maxMillis",
  Trapped: "the program asked the real machine for time, order or chance",
  SeedFailed: "the program failed"
}

/**
 * A world ended without the program's own result; `seed` reproduces it.
 *
 * @category errors
 * @since 0.1.0
 */
export class WorldError extends Schema.TaggedError<WorldError>()("WorldError", {
  kind: WorldErrorKind,
  seed: Schema.String,
  /** Virtual milliseconds since the start. */
  millis: Schema.Number,
  /** Tasks and timers run. */
  steps: Schema.Number,
  traceHash: Schema.String,
  /** Where fibers waited, for a program that could not go on: the greatest groups, with their numbers. */
  waiting: Schema.optional(Schema.String),
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    const because = this.cause instanceof Error ? `: ${this.cause.message}` : ""
    const where = `${this.kind} at ${this.millis} ms after ${this.steps} steps, seed ${this.seed}`
    const waiting = this.waiting === undefined || this.waiting === "" ? "" : `; waiting: ${this.waiting}`
    return `${where}: ${explanations[this.kind]}${because}${waiting}`
  }
}

/**
 * What a simulated program can ask of its world. The members that are numbers and texts are live.
 *
 * @category services
 * @since 0.1.0
 */
export class World extends Context.Service<World, {
  readonly seed: string
  /** The generator of a name, made on first use. One per node keeps nodes independent of each other's draws. */
  readonly random: (name: string) => WorldRandom
  /** Moves the wall clock by `millis`, forward or back; timers and the monotonic clock do not notice. */
  readonly jumpWallClock: (millis: number) => Effect.Effect<void>
  /** Folds something that happened into the trace hash. */
  readonly note: (event: string | number | Uint8Array) => void
  /**
   * Something was opened that must be closed before the world ends, a scope for instance; the function returned says that
   * it was. What stays open is in `Report.left`. `LoopbackTransport` and `SimNetwork` tell of their connections.
   */
  readonly opened: (kind: string) => () => void
  /** Fibers that have begun and not ended, and timers that are pending. */
  readonly alive: { readonly fibers: number; readonly timers: number }
  /** Virtual milliseconds since the start. */
  readonly millis: number
  /** Tasks and timers run so far. */
  readonly steps: number
  /** 16 hexadecimal digits for everything that happened so far: every pick, every advance of time, every note. */
  readonly traceHash: string
}>()("@stellar-overlay/overlay-test/World") {}

/**
 * How a run went.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report<out A, out E> {
  /** The program's result, or a `WorldError` where the world ended it. */
  readonly exit: Exit.Exit<A, E | WorldError>
  readonly seed: string
  /** Virtual milliseconds since the start. */
  readonly millis: number
  /** Tasks and timers run. */
  readonly steps: number
  /** As `World.traceHash`, at the moment the program ended: equal for equal seeds. */
  readonly traceHash: string
  /** What the program left behind: tasks still runnable, timers still pending. */
  readonly pending: { readonly tasks: number; readonly timers: number }
  /** What else it left behind: fibers, and what it opened. */
  readonly left: Left
  /** The uses of real time, order, chance or promises, in order; `MAX_TRAPS` at most. */
  readonly traps: ReadonlyArray<TrapError>
}

/**
 * What is left beyond tasks and timers when a program has ended, or cannot go on: nothing, where everything is in order.
 *
 * @category models
 * @since 0.1.0
 */
export interface Left {
  /** Fibers that have begun and not ended, the program's own apart. */
  readonly fibers: number
  /** Where these fibers wait, as far as their functions and spans have names; the greatest groups first. */
  readonly waiting: ReadonlyArray<WaitingFibers>
  /** What was opened (`World.opened`) and not closed, by kind. */
  readonly open: Readonly<Record<string, number>>
}

/**
 * Fibers that wait at the same place.
 *
 * @category models
 * @since 0.1.0
 */
export interface WaitingFibers {
  /** The node (`asNode`) they belong to; empty when none. */
  readonly node: string
  /** The names of the functions (`Effect.fn`) and spans they are in, innermost first. */
  readonly place: string
  readonly count: number
}

/** Groups of fibers that the message of an error names. */
const MAX_GROUPS = 5

const describe = (groups: ReadonlyArray<Waiting>): string =>
  groups.slice(0, MAX_GROUPS).map(({ count, node, place }) => `${count} in ${place}${node === "" ? "" : ` of ${node}`}`)
    .join("; ")

const leftOf = (engine: Engine, fiber: Fiber.Fiber<unknown, unknown>): Left => {
  const fibers = engine.fibers.alive(fiber)
  return {
    fibers: fibers.length,
    waiting: waiting(fibers),
    open: Object.fromEntries([...engine.open].filter(([, count]) => count > 0))
  }
}

type Provided = World | Scope.Scope

/** Runs steps until the fiber ends; says why it cannot where it does not. */
const drive = (
  engine: Engine,
  fiber: Fiber.Fiber<unknown, unknown>,
  maxSteps: number,
  maxMillis: number
): "Deadlock" | "StepLimit" | "TimeLimit" | undefined => {
  while (fiber.pollUnsafe() === undefined) {
    if (engine.steps >= maxSteps) return "StepLimit"
    if (engine.runTask()) continue
    const timer = engine.runTimer(maxMillis)
    if (timer === "None") return "Deadlock"
    if (timer === "Beyond") return "TimeLimit"
  }
  return undefined
}

const runWorld = <A, E, R>(
  program: Effect.Effect<A, E, R>,
  options: Options,
  outer: Context.Context<Exclude<R, Provided>>
): Report<A, E> => {
  const maxSteps = options.maxSteps ?? DEFAULT_MAX_STEPS
  const maxMillis = options.maxMillis ?? DEFAULT_MAX_MILLIS
  const engine = new Engine({
    seed: String(options.seed ?? 0),
    startUnixMillis: options.startUnixMillis ?? DEFAULT_START_UNIX_MILLIS,
    exploration: options.exploration ?? "random"
  })
  const hashing = engine.random("World/hash")
  const removeTraps = options.traps === false ? undefined : installTraps({
    onTrap: (error) => {
      if (engine.traps.length < MAX_TRAPS) engine.traps.push(error)
    },
    hashDraw: () => hashing.nextDoubleUnsafe()
  })
  try {
    // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off
    const main = Effect.scoped(program).pipe(
      Effect.provideService(World, engine.world),
      Effect.provideService(Clock.Clock, engine.clock),
      Effect.provideService(Random.Random, engine.random("World")),
      Effect.provideService(Scheduler.MaxOpsBeforeYield, options.maxOpsBeforeYield ?? 2048),
      Effect.provideService(Scheduler.PreventSchedulerYield, false)
    ) as Effect.Effect<A, E, Exclude<R, Provided>> // the compiler cannot see that World and Scope are gone from R
    const fiber = Effect.runForkWith(outer)(main, { scheduler: engine })
    const stuck = drive(engine, fiber, maxSteps, maxMillis)
    const { millis, seed, steps } = engine
    const traceHash = engine.trace.toString()
    const pending = { tasks: engine.ready.size, timers: engine.timers.size }
    const left = leftOf(engine, fiber)
    // A program that cannot go on waits itself, and says where.
    const waits = stuck === undefined ? undefined : describe(waiting(engine.fibers.alive()))
    const fail = (kind: WorldError["kind"], cause?: unknown) =>
      Exit.fail(new WorldError({ kind, seed, millis, steps, traceHash, cause, waiting: waits }))

    const ended = fiber.pollUnsafe()
    if (ended === undefined) {
      fiber.interruptUnsafe()
      drive(engine, fiber, engine.steps + CLEANUP_STEPS, Infinity)
    }
    const [trap] = engine.traps
    const exit = trap !== undefined
      ? fail("Trapped", trap)
      : stuck !== undefined || ended === undefined
      ? fail(stuck ?? "Deadlock")
      : ended
    return { exit, seed, millis, steps, traceHash, pending, left, traps: engine.traps }
  } finally {
    removeTraps?.()
    engine.fibers.clear()
  }
}

/**
 * Runs a program in a world of its own, to its end, and reports how it went; never fails itself.
 *
 * The program gets `World`, a `Scope`, and a virtual `Clock`, a seeded `Random` and a seeded scheduler. Its other
 * services and references, such as loggers, are those of the caller. All of it happens inside one synchronous call, so
 * that a world runs from any runtime, `Effect.runSync` and `it.effect` included, and worlds may be nested.
 *
 * A program that a limit or a deadlock stopped is interrupted, and its finalizers get `CLEANUP_STEPS` more.
 *
 * @category running
 * @since 0.1.0
 */
export const simulate: {
  (options?: Options): <A, E, R>(program: Effect.Effect<A, E, R>) => Effect.Effect<
    Report<A, E>,
    never,
    Exclude<R, Provided>
  >
  <A, E, R>(
    program: Effect.Effect<A, E, R>,
    options?: Options
  ): Effect.Effect<Report<A, E>, never, Exclude<R, Provided>>
} = dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(
    program: Effect.Effect<A, E, R>,
    options: Options = {}
  ): Effect.Effect<Report<A, E>, never, Exclude<R, Provided>> =>
    Effect.contextWith((outer: Context.Context<Exclude<R, Provided>>) =>
      Effect.sync(() => runWorld(program, options, outer))
    )
)

/**
 * Runs a program in a world of its own, to its end, with the program's result; see `simulate`.
 *
 * @example
 * ```ts
 * import { Clock, Effect } from "effect"
 * import * as World from "@stellar-overlay/overlay-test/World"
 *
 * const program = Effect.gen(function*() {
 *   yield* Effect.sleep("1 hour")
 *   return yield* Clock.currentTimeMillis
 * })
 *
 * Effect.runSync(World.run(program, { seed: 7 })) // 1767229200000, at once
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const run: {
  (options?: Options): <A, E, R>(program: Effect.Effect<A, E, R>) => Effect.Effect<
    A,
    E | WorldError,
    Exclude<R, Provided>
  >
  <A, E, R>(
    program: Effect.Effect<A, E, R>,
    options?: Options
  ): Effect.Effect<A, E | WorldError, Exclude<R, Provided>>
} = dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(
    program: Effect.Effect<A, E, R>,
    options?: Options
  ): Effect.Effect<A, E | WorldError, Exclude<R, Provided>> =>
    Effect.flatMap(simulate(program, options), (report) => report.exit)
)

/**
 * Runs a program once per seed and gives the results in order; stops at the first seed that fails, with a `SeedFailed`
 * that names it. `seeds` is a list, or a number for 0 up to it.
 *
 * @category running
 * @since 0.1.0
 */
export const runSeeds = <A, E, R>(
  seeds: number | Iterable<number | string>,
  program: (seed: number | string) => Effect.Effect<A, E, R>,
  options?: Omit<Options, "seed">
): Effect.Effect<ReadonlyArray<A>, WorldError, Exclude<R, Provided>> =>
  Effect.forEach(
    typeof seeds === "number" ? Array.from({ length: seeds }, (_, seed) => seed) : seeds,
    (seed) =>
      Effect.flatMap(simulate(Effect.suspend(() => program(seed)), { ...options, seed }), (report) => {
        if (Exit.isSuccess(report.exit)) return Effect.succeed(report.exit.value)
        const { millis, seed, steps, traceHash } = report
        const cause = Cause.squash(report.exit.cause)
        return Effect.fail(new WorldError({ kind: "SeedFailed", seed, millis, steps, traceHash, cause }))
      })
  )

/**
 * Runs an effect as the node of that name: its `Random` is the node's own generator, and its logs carry the name.
 *
 * @category running
 * @since 0.1.0
 */
export const asNode: {
  (name: string): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | World>
  <A, E, R>(self: Effect.Effect<A, E, R>, name: string): Effect.Effect<A, E, R | World>
} = dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, name: string): Effect.Effect<A, E, R | World> =>
    Effect.flatMap(World, (world) =>
      self.pipe(
        Effect.provideService(Random.Random, world.random(name)),
        Effect.annotateLogs("node", name)
      ))
)
