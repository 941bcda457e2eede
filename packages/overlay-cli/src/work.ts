/**
 * How a command does its work: in a scope of its own, and with an end in order whatever ends it.
 *
 * Ctrl-C interrupts the work, and an interruption is passed on as `ExitCode.Interrupted`, unless the command says that
 * being interrupted is how it usually ends. Either way the scope is closed, so that peers are told goodbye, but nobody is
 * waited for longer than `GOODBYE_MILLIS`.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { Ended, ExitCode } from "./ExitCode.ts"

/** How long the goodbyes may take. */
export const GOODBYE_MILLIS = 800

/** Closes a scope, at most for a while; whatever is not done by then ends with the process. */
const close = (scope: Scope.Closeable, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.gen(function*() {
    const closing = yield* Effect.forkDetach(Scope.close(scope, exit))
    // A fiber of its own can be interrupted, whatever became of this one.
    yield* Fiber.await(yield* Effect.forkDetach(Effect.timeoutOption(Fiber.await(closing), GOODBYE_MILLIS)))
  })

/**
 * Runs the work; any code but `Ok` it comes to becomes the program's.
 */
export const work = <E, R>(
  self: Effect.Effect<ExitCode, E, R | Scope.Scope>,
  options: { readonly interrupted?: ExitCode } = {}
): Effect.Effect<void, E | Ended, Exclude<R, Scope.Scope>> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const scope = yield* Scope.make()
    const exit = yield* Effect.exit(Effect.interruptible(Scope.provide(self, scope)))
    yield* close(scope, exit)
    const code = Exit.isSuccess(exit)
      ? exit.value
      : Cause.hasInterruptsOnly(exit.cause)
      ? options.interrupted ?? ExitCode.Interrupted
      : yield* Effect.failCause(exit.cause)
    if (code !== ExitCode.Ok) return yield* new Ended({ code })
  }))
