import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import type { Of } from "../SimFault.ts"
import type { TimerClock } from "./after.ts"
import type { ActiveFault } from "./simFaults.ts"

const NANOS_PER_MILLI = 1_000_000
const MILLION = 1_000_000

interface Held {
  readonly task: () => void
  readonly priority: number
}

/** Whoever holds a machine still, and hears of each turn that it held. */
export interface Holder {
  readonly fire: (where: string) => void
}

/**
 * The processor and the clocks of one node: what its fibers have instead of the world's scheduler and clock.
 *
 * A held machine runs nothing: turns and timers that come up are kept, and run when it is let go. What was runnable in
 * the moment it was held still runs in that moment. A slow machine runs one turn after the other, each after its time.
 */
export class SimMachine implements Scheduler.Scheduler, Scheduler.SchedulerDispatcher {
  readonly executionMode = "async"
  readonly clock: TimerClock
  drift: ActiveFault<Of<"ClockDrift">> | undefined
  slow: ActiveFault<Of<"SlowCpu">> | undefined
  private readonly name: string
  private readonly world: TimerClock
  private readonly dispatcher: Scheduler.SchedulerDispatcher
  private readonly scheduler: Scheduler.Scheduler
  private holder: Holder | undefined
  private held = new Set<Held>()
  private busyUntil = 0
  /** Whether faults are of no effect: the process is gone, and what is left of it has to be tidied up. */
  private isFree = false
  /** The node's monotonic time was `ownBase` when the world's was `worldBase`. */
  private ownBase = 0
  private worldBase = 0
  private wallOffset = 0

  constructor(name: string, scheduler: Scheduler.Scheduler, world: TimerClock) {
    this.name = name
    this.world = world
    this.scheduler = scheduler
    this.dispatcher = scheduler.makeDispatcher()
    this.clock = this.makeClock()
  }

  /** Runs an effect, and all it forks, on this machine. */
  readonly run = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    effect.pipe(
      Effect.provideService(Scheduler.Scheduler, this),
      Effect.provideService(Clock.Clock, this.clock)
    )

  // --------------------------------------------------------------------------------------------------- processor

  shouldYield(fiber: Parameters<Scheduler.Scheduler["shouldYield"]>[0]): boolean {
    return this.scheduler.shouldYield(fiber)
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return this
  }

  flush(): void {
    this.dispatcher.flush()
  }

  scheduleTask(task: () => void, priority: number): void {
    if (this.holder !== undefined) {
      this.held.add({ task, priority })
      this.holder.fire(this.name)
    } else if (this.slow !== undefined && !this.isFree) {
      const now = this.worldMillis
      this.busyUntil = Math.max(now, this.busyUntil) + this.slow.fault.millisPerTurn
      this.slow.fire(this.name)
      this.world.afterUnsafe(this.busyUntil - now, () => this.due(task, priority))
    } else this.dispatcher.scheduleTask(task, priority)
  }

  /** The turn of a slow machine has come, or a timer is due. */
  private due(task: () => void, priority: number): void {
    if (this.holder === undefined) return task()
    this.held.add({ task, priority })
    this.holder.fire(this.name)
  }

  get isHeld(): boolean {
    return this.holder !== undefined
  }

  hold(holder: Holder): void {
    if (!this.isFree) this.holder = holder
  }

  letGo(): void {
    this.holder = undefined
    const held = this.held
    this.held = new Set()
    for (const { priority, task } of held) this.dispatcher.scheduleTask(task, priority)
  }

  /** The process is gone: what is left of it runs unhindered. */
  free(): void {
    this.isFree = true
    this.letGo()
  }

  /** A new process runs on it. */
  boot(): void {
    this.isFree = false
    this.busyUntil = 0
  }

  // ------------------------------------------------------------------------------------------------------ clocks

  private get worldMillis(): number {
    return Number(this.world.monotonicTimeNanosUnsafe()) / NANOS_PER_MILLI
  }

  private get rate(): number {
    return 1 + (this.drift?.fault.partsPerMillion ?? 0) / MILLION
  }

  private get ownMillis(): number {
    return this.ownBase + (this.worldMillis - this.worldBase) * this.rate
  }

  /** Its clocks run at another speed from now on; back at the right one, the wall clock is set right as well. */
  setDrift(drift: ActiveFault<Of<"ClockDrift">> | undefined): void {
    const own = this.ownMillis
    this.worldBase = this.worldMillis
    this.ownBase = own
    this.drift = drift
    if (drift === undefined) this.setWallClock(0)
  }

  /** Sets the wall clock so far from the true time. */
  setWallClock(millis: number): void {
    this.wallOffset = millis - (this.ownMillis - this.worldMillis)
  }

  /** Moves the wall clock. */
  jumpWallClock(millis: number): void {
    this.wallOffset += millis
  }

  private makeClock(): TimerClock {
    const wallShift = () =>
      this.worldBase === 0 && this.drift === undefined
        ? this.wallOffset
        : this.wallOffset + this.ownMillis - this.worldMillis
    const wallMillis = () => Math.floor(this.world.currentTimeMillisUnsafe() + wallShift())
    const wallNanos = () => this.world.currentTimeNanosUnsafe() + BigInt(Math.round(wallShift() * NANOS_PER_MILLI))
    // Where the clocks never ran at another speed its time is the world's, and need not be computed.
    const monotonicNanos = () =>
      this.worldBase === 0 && this.drift === undefined
        ? this.world.monotonicTimeNanosUnsafe()
        : BigInt(Math.round(this.ownMillis * NANOS_PER_MILLI))
    return {
      currentTimeMillisUnsafe: wallMillis,
      currentTimeMillis: Effect.sync(wallMillis),
      currentTimeNanosUnsafe: wallNanos,
      currentTimeNanos: Effect.sync(wallNanos),
      monotonicTimeNanosUnsafe: monotonicNanos,
      monotonicTimeNanos: Effect.sync(monotonicNanos),
      sleep: (duration) => this.sleep(Duration.toMillis(duration)),
      afterUnsafe: (millis, fire) => this.after(millis, fire)
    }
  }

  private sleep(millis: number): Effect.Effect<void> {
    if (millis <= 0) return Effect.yieldNow
    if (!Number.isFinite(millis)) return Effect.never
    return Effect.callback<void>((resume) => Effect.sync(this.after(millis, () => resume(Effect.void))))
  }

  private after(millis: number, fire: () => void): () => void {
    // A clock that drifts is never quite at the moment that was asked for: a nanosecond more, and it is past it.
    const worldMillis = this.rate === 1 ? millis : millis / this.rate + 1 / NANOS_PER_MILLI
    const drift = this.drift
    let held: Held | undefined
    const cancel = this.world.afterUnsafe(worldMillis, () => {
      drift?.fire(this.name)
      if (this.holder === undefined) return fire()
      held = { task: fire, priority: 0 }
      this.held.add(held)
      this.holder.fire(this.name)
    })
    return () => {
      cancel()
      if (held !== undefined) this.held.delete(held)
    }
  }
}
