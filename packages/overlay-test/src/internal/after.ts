import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** A clock that calls back without a fiber that sleeps: a world's. */
export interface TimerClock extends Clock.Clock {
  /** Calls `fire` once, `millis` from now; the function returned takes that back. */
  readonly afterUnsafe: (millis: number, fire: () => void) => () => void
}

/** Whether a clock is a world's. */
export const isTimerClock = (clock: Clock.Clock): clock is TimerClock => "afterUnsafe" in clock

/** Monotonic time, in milliseconds. */
export const monotonicMillis = ({ clock }: { readonly clock: Clock.Clock }): number =>
  Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000

/**
 * Calls `fire` once, `millis` from now by somebody's clock; the function returned takes that back. A simulated message
 * costs a timer this way, and not a race of two fibers.
 */
export const after = (
  { clock, context }: { readonly clock: Clock.Clock; readonly context: Context.Context<never> },
  millis: number,
  fire: () => void
): () => void => {
  if (isTimerClock(clock)) return clock.afterUnsafe(millis, fire)
  const sleeping = Effect.runForkWith(context)(
    Effect.andThen(clock.sleep(Duration.millis(millis)), Effect.sync(fire))
  )
  return () => sleeping.interruptUnsafe()
}
