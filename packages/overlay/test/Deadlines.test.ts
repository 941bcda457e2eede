import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Deadlines from "../src/internal/deadlines.ts"
import { readNow } from "../src/internal/peerRuntime.ts"

const millis = Effect.clockWith((clock) => Effect.succeed(() => readNow(clock).millis))

/** Somebody with a list of deadlines, who notes when it is woken. */
class Dozer implements Deadlines.Sleeper {
  wakeAt = 0
  place = Deadlines.NOWHERE
  readonly woken: Array<number> = []
  private readonly times: Array<number>
  private readonly now: () => number

  constructor(times: ReadonlyArray<number>, now: () => number) {
    this.times = [...times].sort((a, b) => a - b)
    this.now = now
  }

  get nextDeadline(): number {
    return this.times[0] ?? Number.POSITIVE_INFINITY
  }

  wake(): void {
    this.woken.push(this.now())
    this.times.shift()
  }
}

describe("Deadlines", () => {
  it.effect("wakes everybody at all deadlines, however many there are", () =>
    Effect.gen(function*() {
      const deadlines = yield* Deadlines.make
      const now = yield* millis
      // Multiplied by a number prime to the size: all different, in no order.
      const lists = Array.from({ length: 100 }, (_, i) => [1, 2, 3].map((n) => 1 + ((n * 100 + i) * 7919) % 1009))
      const dozers = lists.map((times) => new Dozer(times, now))
      for (const dozer of dozers) deadlines.add(dozer)
      // Half of them leave, from anywhere in the heap.
      for (const [i, dozer] of dozers.entries()) if (i % 2 === 1) deadlines.remove(dozer)
      for (let i = 0; i < 1100; i++) yield* TestClock.adjust(1)
      for (const [i, dozer] of dozers.entries()) {
        assert.deepStrictEqual(dozer.woken, i % 2 === 1 ? [] : lists[i]!.toSorted((a, b) => a - b))
        assert.strictEqual(dozer.place, Deadlines.NOWHERE)
      }
    }))

  it.effect("a nearer deadline moves the timer; who is woken may leave, and take others along", () =>
    Effect.gen(function*() {
      const deadlines = yield* Deadlines.make
      const now = yield* millis
      const late = new Dozer([50, 60], now)
      const early = new Dozer([20, 30], now)
      const guide = new Dozer([20], now)
      const wake = guide.wake.bind(guide)
      guide.wake = () => {
        wake()
        deadlines.remove(early)
      }
      deadlines.add(late)
      yield* TestClock.adjust(10)
      deadlines.add(guide)
      deadlines.add(early)
      yield* TestClock.adjust(40)
      assert.deepStrictEqual(guide.woken, [20])
      assert.deepStrictEqual(early.woken, [])
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(late.woken, [50, 60])
    }))

  it.effect("nobody is woken when the scope is closed", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const deadlines = yield* Scope.provide(Deadlines.make, scope)
      const dozer = new Dozer([5], yield* millis)
      deadlines.add(dozer)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(dozer.woken, [])
    }))
})
