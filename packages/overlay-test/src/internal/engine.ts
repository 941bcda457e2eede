import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scheduler from "effect/Scheduler"
import type { World } from "../World.ts"
import type { TimerClock } from "./after.ts"
import { FiberBook } from "./fiberBook.ts"
import { type Exploration, type Lane, ReadyQueue } from "./readyQueue.ts"
import { SeededRandom } from "./seededRandom.ts"
import { TimerHeap } from "./timerHeap.ts"
import { TraceHash } from "./traceHash.ts"
import type { TrapError } from "./traps.ts"

const NANOS_PER_MILLI = 1_000_000

const worldOf = (engine: Engine): World["Service"] => ({
  seed: engine.seed,
  random: (name) => engine.random(name),
  jumpWallClock: (millis) => Effect.sync(() => engine.jumpWallClock(millis)),
  note: (event) => engine.note(event),
  opened: (kind) => engine.opened(kind),
  get alive() {
    return { fibers: engine.fibers.alive().length, timers: engine.timers.size }
  },
  get millis() {
    return engine.millis
  },
  get steps() {
    return engine.steps
  },
  get traceHash() {
    return engine.trace.toString()
  }
})

/** A fiber's own way into the queue. */
class LaneDispatcher implements Scheduler.SchedulerDispatcher {
  private readonly engine: Engine
  private readonly lane: Lane

  constructor(engine: Engine, lane: Lane) {
    this.engine = engine
    this.lane = lane
  }

  scheduleTask(task: () => void, priority: number): void {
    this.engine.ready.add(task, priority, this.lane)
  }

  flush(): void {
    this.engine.flush()
  }
}

/**
 * Everything one run of a world owns: the scheduler, the clock, the generators and the trace. It lives as long as the
 * synchronous call that drives it.
 */
export class Engine implements Scheduler.Scheduler, Scheduler.SchedulerDispatcher {
  readonly executionMode = "async"
  readonly seed: string
  readonly clock: TimerClock
  /** What programs see of the engine. */
  readonly world: World["Service"]
  /** The traps that sprang, in order. */
  readonly traps: Array<TrapError> = []
  readonly ready: ReadyQueue
  readonly timers = new TimerHeap()
  readonly trace = new TraceHash()
  readonly fibers = new FiberBook()
  /** What was opened and not closed, by kind. */
  readonly open = new Map<string, number>()
  millis = 0
  steps = 0
  private wallOffset: number
  private readonly randoms = new Map<string, SeededRandom>()

  constructor(options: {
    readonly seed: string
    readonly startUnixMillis: number
    readonly exploration: Exploration
  }) {
    this.seed = options.seed
    this.wallOffset = options.startUnixMillis
    this.ready = new ReadyQueue(this.random("World/scheduler"), options.exploration)
    this.clock = this.makeClock()
    this.world = worldOf(this)
  }

  shouldYield(fiber: Parameters<Scheduler.Scheduler["shouldYield"]>[0]): boolean {
    this.fibers.note(fiber)
    return fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield
  }

  /** Every fiber asks for a dispatcher; all of them share one queue, in lanes of their own where that matters. */
  makeDispatcher(): Scheduler.SchedulerDispatcher {
    const lane = this.ready.lane()
    return lane === undefined ? this : new LaneDispatcher(this, lane)
  }

  scheduleTask(task: () => void, priority: number): void {
    this.ready.add(task, priority)
  }

  flush(): void {
    while (this.ready.size > 0) this.runTask()
  }

  /** Runs one runnable task, picked by the seed; false when there is none. */
  runTask(): boolean {
    const runnable = this.ready.size
    const task = this.ready.take()
    if (task === undefined) return false
    this.steps++
    this.trace.addWord(runnable)
    this.trace.addWord(this.ready.lastPick)
    task()
    return true
  }

  /** Jumps to the earliest timer, if it lies within `maxMillis`, and fires it. */
  runTimer(maxMillis: number): "Fired" | "None" | "Beyond" {
    const at = this.timers.next
    if (at === undefined) return "None"
    if (at > maxMillis) return "Beyond"
    const fire = this.timers.take()
    this.steps++
    this.millis = at
    this.trace.addNumber(at)
    fire()
    return "Fired"
  }

  note(event: string | number | Uint8Array): void {
    if (typeof event === "string") this.trace.addText(event)
    else if (typeof event === "number") this.trace.addNumber(event)
    else this.trace.addBytes(event)
  }

  /** Something was opened that has to be closed; the function returned says that it was. */
  opened(kind: string): () => void {
    this.open.set(kind, (this.open.get(kind) ?? 0) + 1)
    let isOpen = true
    return () => {
      if (isOpen) this.open.set(kind, (this.open.get(kind) ?? 0) - 1)
      isOpen = false
    }
  }

  /** Moves the wall clock and nothing else. */
  jumpWallClock(millis: number): void {
    this.wallOffset += millis
    this.trace.addNumber(millis)
  }

  random(name: string): SeededRandom {
    let random = this.randoms.get(name)
    if (random === undefined) {
      random = new SeededRandom(`${this.seed}/${name}`)
      this.randoms.set(name, random)
    }
    return random
  }

  private makeClock(): TimerClock {
    const wallMillis = () => Math.floor(this.wallOffset + this.millis)
    // The clock is read many times between two timers, and a bigint costs more than a comparison.
    let readAt = -1
    let nanos = 0n
    const monotonicNanos = () => {
      if (this.millis !== readAt) {
        readAt = this.millis
        nanos = BigInt(Math.round(readAt * NANOS_PER_MILLI))
      }
      return nanos
    }
    const wallNanos = () => BigInt(Math.round(this.wallOffset)) * BigInt(NANOS_PER_MILLI) + monotonicNanos()
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

  /** As Effect's live clock has it: no time is one turn, infinite time is for ever. */
  private sleep(millis: number): Effect.Effect<void> {
    if (millis <= 0) return Effect.yieldNow
    if (!Number.isFinite(millis)) return Effect.never
    return Effect.callback<void>((resume) => Effect.sync(this.after(millis, () => resume(Effect.void))))
  }

  private after(millis: number, fire: () => void): () => void {
    // On the grid of what the clock can say, rounded up: who waits until a moment must not wake before it by its clock.
    // And never at once: a rest that rounding made would be waited for over and over.
    const nanos = Math.max(
      Math.ceil((this.millis + millis) * NANOS_PER_MILLI),
      Math.round(this.millis * NANOS_PER_MILLI) + 1
    )
    const timer = this.timers.add(nanos / NANOS_PER_MILLI, fire)
    return () => this.timers.remove(timer)
  }
}
