import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"
import { after } from "./after.ts"

/** Calls back once, after so many milliseconds; the function returned takes that back. */
export type Timer = (fiber: Fiber.Fiber<unknown, unknown>, millis: number, fire: () => void) => () => void

/** What a pipe says about its reading side. */
export interface Readable<A, E> {
  /** Gives what is there, or waits in `ParkedReader.park`. */
  readonly pull: Effect.Effect<A, E>
  /** The present, in milliseconds, and when there is next something to pull: `Infinity` while nobody knows. */
  readonly now: (fiber: Fiber.Fiber<unknown, unknown>) => number
  readonly readableAt: () => number
}

/**
 * The fiber that waits to pull a pipe. It sleeps until there is something to pull and not a turn longer: a write that
 * arrives later than what it waits for, or than the present, costs no turn of the reader, but at most a timer.
 *
 * What it waits for is looked at when it has parked and whenever `attend` is called, so that nothing that happens between
 * two steps of the fiber is missed. Its own scheduler wakes it: a world decides the order, and stacks do not grow.
 */
export class ParkedReader<A, E> {
  private readonly pipe: Readable<A, E>
  private readonly timer: Timer
  private fiber: Fiber.Fiber<unknown, unknown> | undefined
  private dispatcher: Scheduler.SchedulerDispatcher | undefined
  private resume: ((effect: Effect.Effect<A, E>) => void) | undefined
  /** When the fiber is woken: a time that a timer is set for, -Infinity once it has been called, Infinity for never. */
  private wakesAt = Infinity
  private cancelTimer: (() => void) | undefined

  constructor(pipe: Readable<A, E>, timer: Timer = after) {
    this.pipe = pipe
    this.timer = timer
  }

  get isWaiting(): boolean {
    return this.resume !== undefined
  }

  /** Waits in this fiber until there is something to pull, and pulls. */
  park(fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<A, E> {
    this.fiber = fiber
    return this.parked
  }

  private readonly parked: Effect.Effect<A, E> = Effect.callback<A, E>((resume) => {
    this.resume = resume
    this.dispatcher = this.fiber!.currentDispatcher // who parks has said who it is
    this.attend()
    return this.leave
  })

  private readonly leave = Effect.sync(() => {
    this.resume = undefined
    this.disarm()
  })

  private disarm(): void {
    this.cancelTimer?.()
    this.cancelTimer = undefined
    this.wakesAt = Infinity
  }

  /** Something about the pipe has changed: sees to it that the reader wakes when it has to. */
  attend(): void {
    const { fiber } = this
    if (this.resume === undefined || fiber === undefined || this.wakesAt === -Infinity) return
    const at = this.pipe.readableAt()
    if (at === this.wakesAt) return
    this.disarm()
    const now = at === Infinity ? 0 : this.pipe.now(fiber)
    if (at <= now) this.call()
    else if (at < Infinity) {
      this.wakesAt = at
      // Whole nanoseconds, rounded up: less than one is no duration, and would be slept for over and over.
      this.cancelTimer = this.timer(fiber, Math.ceil((at - now) * 1e6) / 1e6, this.call)
    }
  }

  private readonly call = (): void => {
    this.cancelTimer = undefined
    this.wakesAt = -Infinity
    this.dispatcher?.scheduleTask(this.wake, 0)
  }

  private readonly wake = (): void => {
    const { resume } = this
    this.resume = undefined
    this.disarm()
    resume?.(this.pipe.pull)
  }
}
