import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"

/** Whose end of a connection it is: what its turns and times come from. */
export interface Owner {
  readonly dispatcher: Scheduler.SchedulerDispatcher
  readonly clock: Clock.Clock
  readonly context: Context.Context<never>
}

/** The owner of what a fiber opens. */
export const ownerOf = (fiber: Fiber.Fiber<unknown, unknown>): Owner => ({
  dispatcher: fiber.currentDispatcher,
  clock: fiber.getRef(Clock.Clock),
  context: fiber.context
})

/** What a pipe says about its reading side. */
export interface Readable {
  /** The present, in milliseconds, and when there is next something to read: `Infinity` while nobody knows. */
  now(owner: Owner): number
  readableAt(): number
  /** Calls back once, after so many milliseconds; the function returned takes that back. */
  after(owner: Owner, millis: number, fire: () => void): () => void
}

/**
 * Who waits to read a pipe. It is called when there is something to read and not a turn sooner: a write that arrives later
 * than what it waits for, or than the present, costs no turn of the reader, but at most a timer.
 *
 * What it waits for is looked at when it begins to wait and whenever `attend` is called, so that nothing that happens in
 * between is missed. Its owner's scheduler calls it: a world decides the order, and stacks do not grow.
 */
export class ParkedReader {
  private readonly pipe: Readable
  private owner: Owner | undefined
  private ready: (() => void) | undefined
  /** When it is called: a time that a timer is set for, -Infinity once its turn is scheduled, Infinity for never. */
  private wakesAt = Infinity
  private cancelTimer: (() => void) | undefined

  constructor(pipe: Readable) {
    this.pipe = pipe
  }

  /** Calls `ready` once, when there is something to read; who waited before is forgotten. */
  park(ready: () => void, owner: Owner): void {
    this.ready = ready
    this.owner = owner
    this.attend()
  }

  /** Calls nobody any more. */
  leave(): void {
    this.ready = undefined
    this.disarm()
  }

  private disarm(): void {
    this.cancelTimer?.()
    this.cancelTimer = undefined
    this.wakesAt = Infinity
  }

  /** Something about the pipe has changed: sees to it that the reader is called when it has to. */
  attend(): void {
    const { owner } = this
    if (this.ready === undefined || owner === undefined || this.wakesAt === -Infinity) return
    const at = this.pipe.readableAt()
    if (at === this.wakesAt) return
    this.disarm()
    const now = at === Infinity ? 0 : this.pipe.now(owner)
    if (at <= now) this.call()
    else if (at < Infinity) {
      this.wakesAt = at
      // Whole nanoseconds, rounded up: less than one is no duration, and would be slept for over and over.
      this.cancelTimer = this.pipe.after(owner, Math.ceil((at - now) * 1e6) / 1e6, this.call)
    }
  }

  private readonly call = (): void => {
    this.cancelTimer = undefined
    this.wakesAt = -Infinity
    this.owner?.dispatcher.scheduleTask(this.wake, 0)
  }

  private readonly wake = (): void => {
    const { ready } = this
    this.leave()
    ready?.()
  }
}
