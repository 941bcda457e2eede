/** Unix milliseconds with fractions that never go back: the wall clock of the start plus the time since. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

export const steadyNow: Effect.Effect<() => number> = Effect.map(Clock.Clock, (clock) => {
  const monotonic = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const start = clock.currentTimeMillisUnsafe() - monotonic()
  return () => start + monotonic()
})
