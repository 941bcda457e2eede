/**
 * Loggers that peers cannot flood: at most 100 lines in any second, the last twenty kept for warnings and errors, and a
 * line that says exactly how many were suppressed.
 *
 * A program whose output has other lines besides its log, such as one per event, lets them pass through the same limiter
 * with `offer`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as Scope from "effect/Scope"
import { readMillis } from "./internal/peerRuntime.ts"
import { describeCounts, LineBudget, type LineBudgetOptions, type LineCounts } from "./protocol/LineBudget.ts"

/**
 * The kinds of lines: the log levels in lower case, and events.
 *
 * @category models
 * @since 0.1.0
 */
export type LineKind = Lowercase<LogLevel.LogLevel> | "event"

/**
 * A limiter of one output.
 *
 * @category models
 * @since 0.1.0
 */
export interface LogLimiter {
  /** Whether a line that is not of the log may be written now; counted either way. */
  readonly offer: (kind: LineKind, isUrgent?: boolean) => boolean
  /** The same logger within the limit. */
  readonly limit: <Message>(logger: Logger.Logger<Message, unknown>) => Logger.Logger<Message, void>
  /** Lines written since the limiter was made. */
  readonly passed: LineCounts<LineKind>
  /** Lines suppressed since then. */
  readonly suppressed: LineCounts<LineKind>
}

const urgent: ReadonlySet<LogLevel.LogLevel> = new Set<LogLevel.LogLevel>(["Fatal", "Error", "Warn"])

/**
 * Makes a limiter; its summaries are warnings in the log of the current fiber, `suppressed 12 lines (10 debug, 2 info)`,
 * one second after the first line they count, and what is left when the scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Partial<LineBudgetOptions> = {}
): Effect.fn.Return<LogLimiter, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const loggers = yield* Logger.CurrentLoggers
  const budget = new LineBudget<LineKind>(options)
  const millis = () => readMillis(clock)
  const some = Latch.makeUnsafe(false)

  const offer = (kind: LineKind, isUrgent = false): boolean => {
    const isAllowed = budget.take(kind, isUrgent, millis())
    if (!isAllowed) some.openUnsafe()
    return isAllowed
  }
  const tell = (force: boolean) =>
    Effect.suspend(() => {
      const counts = budget.summary(millis(), force)
      if (counts === undefined) return Effect.void
      // To the loggers as they are: a summary has a place of its own.
      return Effect.provideService(
        Effect.logWarning(`suppressed ${describeCounts(counts)}`),
        Logger.CurrentLoggers,
        loggers
      )
    })
  yield* Effect.addFinalizer(() => tell(true))
  yield* Effect.gen(function*() {
    while (true) {
      yield* some.await
      some.closeUnsafe()
      yield* Effect.sleep(Math.max(0, Math.ceil((budget.summaryAt ?? 0) - millis())))
      yield* tell(false)
    }
  }).pipe(Effect.forkScoped)

  return {
    offer,
    limit: (logger) =>
      Logger.make((line) => {
        const { logLevel } = line
        // a level in lower case is one of `LineKind`
        if (offer(logLevel.toLowerCase() as LineKind, urgent.has(logLevel))) logger.log(line)
      }),
    passed: budget.passed,
    suppressed: budget.suppressed
  }
})

/**
 * Runs an effect with all its loggers within one limit.
 *
 * **Example** (A node that cannot be made to fill a disk with its log)
 *
 * ```ts
 * import * as LogLimiter from "@stellar-overlay/overlay/LogLimiter"
 * import { Effect } from "effect"
 *
 * export const program = LogLimiter.withLimit(Effect.logInfo("the first of many"))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const withLimit = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  options: Partial<LineBudgetOptions> = {}
): Effect.Effect<A, E, R> =>
  Effect.scopedWith((scope) =>
    Effect.gen(function*() {
      const { limit } = yield* Scope.provide(make(options), scope)
      const loggers = yield* Logger.CurrentLoggers
      return yield* Effect.provideService(self, Logger.CurrentLoggers, new Set([...loggers].map(limit)))
    })
  )
