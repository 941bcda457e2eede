import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** A clock that calls back without a fiber that sleeps: a world's. */
export interface TimerClock extends Clock.Clock {
  /** Calls `fire` once, `millis` from now; the function returned takes that back. */
  readonly afterUnsafe: (millis: number, fire: () => void) => () => void
}

/** Whether a clock is a world's. */
export const isTimerClock = (clock: Clock.Clock): clock is TimerClock => "afterUnsafe" in clock

/** The fiber's monotonic time, in milliseconds. */
export const monotonicMillis = (fiber: Fiber.Fiber<unknown, unknown>): number =>
  Number(fiber.getRef(Clock.Clock).monotonicTimeNanosUnsafe()) / 1_000_000

/**
 * Calls `fire` once, `millis` from now by the fiber's clock; the function returned takes that back. A simulated message
 * costs a timer this way, and not a race of two fibers.
 */
export const after = (fiber: Fiber.Fiber<unknown, unknown>, millis: number, fire: () => void): () => void => {
  const clock = fiber.getRef(Clock.Clock)
  if (isTimerClock(clock)) return clock.afterUnsafe(millis, fire)
  const sleeping = Effect.runForkWith(fiber.context)(
    Effect.andThen(clock.sleep(Duration.millis(millis)), Effect.sync(fire))
  )
  return () => sleeping.interruptUnsafe()
}
