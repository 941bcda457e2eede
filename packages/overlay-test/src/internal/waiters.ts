import * as Effect from "effect/Effect"
import type * as Scheduler from "effect/Scheduler"
import { after } from "./after.ts"
import { ownerOf, type Readable } from "./parkedReader.ts"

/** A suspended fiber. Its own scheduler wakes it, so that a world decides the order and stacks do not grow. */
export interface Waiter {
  readonly scheduler: Scheduler.SchedulerDispatcher
  readonly resume: () => void
}

const noop = () => {}

/** Suspended fibers, and how many times they were called. */
export class Waiters extends Set<Waiter> {
  calls = 0
}

/**
 * Waits until the next `wakeAll`, or for `millis` where given; an interrupted wait leaves the set. "Next" counts from the
 * call of this function, not from the first step of its effect: a fiber may have to yield between the two.
 */
export const parkIn = (waiters: Waiters, millis?: number, timer: Readable["after"] = after): Effect.Effect<void> => {
  const { calls } = waiters
  return Effect.withFiber((fiber) =>
    Effect.callback<void>((resume) => {
      if (waiters.calls !== calls) return resume(Effect.void)
      const waiter: Waiter = {
        scheduler: fiber.currentDispatcher,
        resume: () => {
          cancelTimer()
          resume(Effect.void)
        }
      }
      waiters.add(waiter)
      const cancelTimer = millis === undefined ? noop : timer(ownerOf(fiber), millis, () => {
        waiters.delete(waiter)
        resume(Effect.void)
      })
      return Effect.sync(() => {
        cancelTimer()
        waiters.delete(waiter)
      })
    })
  )
}

export const wakeAll = (waiters: Waiters): void => {
  waiters.calls++
  for (const waiter of waiters) {
    waiters.delete(waiter)
    waiter.scheduler.scheduleTask(waiter.resume, 0)
  }
}
