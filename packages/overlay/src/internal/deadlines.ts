/**
 * One timer for all connections of a node: who has a deadline is woken when it comes, earliest first.
 *
 * A fiber for each connection that sleeps until its next deadline took 1.5 KiB with its timer, more than the session's
 * whole flow control, and 2 us of every handshake. Here a connection takes a place in a heap. The timer is set anew only
 * for a deadline before the one it waits for; it goes when the last connection does.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

/** Who has deadlines. */
export interface Sleeper {
  /** In monotonic milliseconds; Infinity when there is none any more. */
  readonly nextDeadline: number
  /** Deadlines have come. Never throws. */
  wake(): void
  /** When it is to be woken, and its place in the heap, NOWHERE outside: both belong to `Deadlines`. */
  wakeAt: number
  place: number
}

export const NOWHERE = -1

export class Deadlines {
  readonly #millis: () => number
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  /** A binary heap: nobody is woken before who is at half its place. */
  readonly #heap: Array<Sleeper> = []
  #timer: Fiber.Fiber<void> | undefined
  /** When the timer wakes. */
  #timerAt = Number.POSITIVE_INFINITY

  constructor(millis: () => number, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#millis = millis
    this.#fork = fork
  }

  /** Wakes somebody at its deadlines from now on. */
  add(sleeper: Sleeper): void {
    this.#put(sleeper)
    this.#setTimer()
  }

  /** Wakes it no more. */
  remove(sleeper: Sleeper): void {
    if (sleeper.place === NOWHERE) return
    this.#take(sleeper)
    if (this.#heap.length === 0) this.stop()
  }

  /** Wakes nobody until somebody is added. */
  stop(): void {
    this.#timer?.interruptUnsafe()
    this.#timer = undefined
    this.#timerAt = Number.POSITIVE_INFINITY
  }

  /** A timer that comes too early, because who wanted it is gone or has more time now, looks and is set anew. */
  #setTimer(): void {
    const at = this.#heap[0]?.wakeAt ?? Number.POSITIVE_INFINITY
    if (at >= this.#timerAt) return
    this.#timer?.interruptUnsafe()
    this.#timerAt = at
    // Whole milliseconds: a rest smaller than the clock's unit would be slept for over and over.
    const wait = Math.max(0, Math.ceil(at - this.#millis()))
    this.#timer = this.#fork(Effect.andThen(Effect.sleep(wait), this.#wakeAll))
  }

  readonly #wakeAll = Effect.sync(() => {
    this.#timer = undefined
    this.#timerAt = Number.POSITIVE_INFINITY
    const now = this.#millis()
    for (let first = this.#heap[0]; first !== undefined && first.wakeAt <= now; first = this.#heap[0]) {
      this.#take(first)
      first.wake()
      // Who is woken may end, or be added again.
      if (first.place === NOWHERE) this.#put(first)
    }
    this.#setTimer()
  })

  #put(sleeper: Sleeper): void {
    sleeper.wakeAt = sleeper.nextDeadline
    if (sleeper.wakeAt === Number.POSITIVE_INFINITY) return
    this.#rise(sleeper, this.#heap.length)
  }

  #take(sleeper: Sleeper): void {
    const heap = this.#heap
    const { place } = sleeper
    sleeper.place = NOWHERE
    const last = heap.pop()
    if (last === undefined || last === sleeper) return
    this.#sink(last, place)
    this.#rise(last, last.place)
  }

  /** Puts a sleeper at a free place, or above it for as long as those there are woken later. */
  #rise(sleeper: Sleeper, place: number): void {
    let free = place
    while (free > 0) {
      const above = (free - 1) >> 1
      const other = this.#heap[above]!
      if (other.wakeAt <= sleeper.wakeAt) break
      this.#set(other, free)
      free = above
    }
    this.#set(sleeper, free)
  }

  /** Puts a sleeper at a free place, or below it for as long as one there is woken earlier. */
  #sink(sleeper: Sleeper, place: number): void {
    const heap = this.#heap
    let free = place
    for (let below = 2 * free + 1; below < heap.length; below = 2 * free + 1) {
      if (below + 1 < heap.length && heap[below + 1]!.wakeAt < heap[below]!.wakeAt) below++
      if (heap[below]!.wakeAt >= sleeper.wakeAt) break
      this.#set(heap[below]!, free)
      free = below
    }
    this.#set(sleeper, free)
  }

  #set(sleeper: Sleeper, place: number): void {
    this.#heap[place] = sleeper
    sleeper.place = place
  }
}

/** Deadlines by the clock of the current fiber, until the scope closes. */
export const make: Effect.Effect<Deadlines, never, Scope.Scope> = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const millis = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  return yield* Effect.acquireRelease(
    Effect.sync(() => new Deadlines(millis, fork)),
    (deadlines) => Effect.sync(() => deadlines.stop())
  )
})
