import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Deferred, Effect, Exit, Fiber, Hash, HashMap, Queue, Random, Ref } from "effect"
import { createHash, randomBytes, randomInt } from "node:crypto"
import { setTimeout as timersSetTimeout } from "node:timers"
import { type Timer, TimerHeap } from "../src/internal/timerHeap.ts"
import { trapped } from "../src/internal/traps.ts"
import * as World from "../src/World.ts"

/** The order in which eight fibers, forked in order, come to run. */
const race = Effect.gen(function*() {
  const order = yield* Ref.make("")
  yield* Effect.forEach("abcdefgh", (name) => Effect.forkScoped(Ref.update(order, (text) => text + name)))
  yield* Effect.sleep("1 hour")
  return yield* Ref.get(order)
})

/** A little of everything that a seed decides: queues, timers, forks, draws. */
const busy = Effect.gen(function*() {
  const queue = yield* Queue.bounded<number>(4)
  const log: Array<string> = []
  const node = (name: string) =>
    Effect.gen(function*() {
      for (let round = 0; round < 20; round++) {
        yield* Effect.sleep(1 + Math.floor(10 * (yield* Random.next)))
        yield* Queue.offer(queue, yield* Random.nextIntBetween(0, 1000))
        log.push(`${name}${round}@${yield* Clock.currentTimeMillis}`)
      }
    }).pipe(World.asNode(name))
  yield* Effect.forEach(["A", "B", "C", "D"], (name) => Effect.forkScoped(node(name)))
  for (let taken = 0; taken < 80; taken++) log.push(String(yield* Queue.take(queue)))
  return log.join(" ")
})

const failure = <A, E>(report: World.Report<A, E>): unknown => {
  assert.isTrue(Exit.isFailure(report.exit))
  return Exit.isFailure(report.exit) ? Cause.squash(report.exit.cause) : undefined
}

const worldError = <A, E>(report: World.Report<A, E>): World.WorldError => {
  const error = failure(report)
  assert.instanceOf(error, World.WorldError)
  return error
}

describe("World: order", () => {
  it.effect("SIM-03 equal seeds give equal runs and equal trace hashes", () =>
    Effect.gen(function*() {
      for (let seed = 0; seed < 20; seed++) {
        const first = yield* World.simulate(busy, { seed })
        const second = yield* World.simulate(busy, { seed })
        assert.isTrue(Exit.isSuccess(first.exit))
        assert.deepStrictEqual(second, first)
        assert.match(first.traceHash, /^[0-9a-f]{16}$/)
      }
    }))

  it.effect("SIM-03 different seeds explore different interleavings", () =>
    Effect.gen(function*() {
      const orders = yield* World.runSeeds(50, () => race)
      assert.isAbove(new Set(orders).size, 45)
      const traces = yield* Effect.forEach(orders, (_, seed) => World.simulate(busy, { seed }))
      assert.strictEqual(new Set(traces.map((report) => report.traceHash)).size, 50)
    }))

  it.effect("SIM-03 every one of eight runnable tasks is picked first by some seed", () =>
    Effect.gen(function*() {
      const orders = yield* World.runSeeds(200, () => race)
      const firsts = new Set(orders.map((order) => order[0]))
      assert.strictEqual(firsts.size, 8)
      for (const order of orders) assert.strictEqual([...order].sort().join(""), "abcdefgh")
    }))

  it.effect("SIM-03 a lower priority number runs before a higher one, whatever the seed", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const order: Array<number> = []
        const fibers = yield* Effect.forEach([5, 0, -1, 5, 0, -1], (priority) =>
          Effect.forkChild(
            Effect.andThen(Effect.yieldNowWith(priority), Effect.sync(() => order.push(priority))),
            { startImmediately: true }
          ))
        yield* Effect.forEach(fibers, Fiber.join)
        return order
      })
      for (const order of yield* World.runSeeds(20, () => program)) {
        assert.deepStrictEqual(order, [-1, -1, 0, 0, 5, 5])
      }
    }))

  it.effect("SIM-03 a fiber that never waits lets others run after maxOpsBeforeYield operations", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const state = { done: false, rounds: 0 }
        yield* Effect.forkScoped(Effect.sync(() => {
          state.done = true
        }))
        while (!state.done) {
          yield* Effect.sync(() => {
            state.rounds++
          })
        }
        return state.rounds
      })
      const few = yield* World.run(program, { maxOpsBeforeYield: 64 })
      const many = yield* World.run(program)
      assert.isAtMost(few, 640) // a seed may pick the busy fiber several times in a row
      assert.isAtLeast(many, 1000)
    }))

  it.effect("SIM-03 what the program notes is part of the trace hash", () =>
    Effect.gen(function*() {
      const noting = (event: string | number | Uint8Array) =>
        Effect.map(World.World, (world) => {
          world.note(event)
          return world.traceHash
        })
      const hash = (event: string | number | Uint8Array) => World.run(noting(event))
      assert.strictEqual(yield* hash("x"), yield* hash("x"))
      const distinct = new Set(yield* Effect.forEach(["x", "y", 1, 2, Uint8Array.of(1), Uint8Array.of(1, 0)], hash))
      assert.strictEqual(distinct.size, 6)
    }))
})

describe("World: time", () => {
  it.effect("SIM-03 three virtual hours pass at once, in order, and the wall clock starts at a fixed time", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const start = yield* Clock.currentTimeMillis
        yield* Effect.sleep("3 hours")
        const world = yield* World.World
        return [start, (yield* Clock.currentTimeMillis) - start, world.millis, yield* Clock.monotonicTimeNanos]
      })
      assert.deepStrictEqual(yield* World.run(program), [1767225600000, 10_800_000, 10_800_000, 10_800_000_000_000n])
      const other = yield* World.run(Clock.currentTimeNanos, { startUnixMillis: 1_000 })
      assert.strictEqual(other, 1_000_000_000n)
    }))

  it.effect("SIM-03 timers fire by time, those of one instant in the order they were set", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const fired: Array<string> = []
        const set = (name: string, millis: number) =>
          Effect.forkScoped(
            Effect.andThen(Effect.sleep(millis), Effect.sync(() => fired.push(name))),
            { startImmediately: true }
          )
        yield* set("late", 20)
        for (const name of ["a", "b", "c", "d"]) yield* set(name, 10)
        yield* set("early", 1)
        yield* Effect.sleep(30)
        return fired.join(" ")
      })
      for (const fired of yield* World.runSeeds(10, () => program)) {
        assert.strictEqual(fired, "early a b c d late")
      }
    }))

  it.effect("SIM-03 whoever sleeps until a moment finds it reached by the clock, whatever the fraction", () =>
    World.run(Effect.gen(function*() {
      const world = yield* World.World
      const random = world.random("sleeps")
      const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)
      for (let round = 0; round < 1_000; round++) {
        const until = (yield* now) + 3 * random.nextDoubleUnsafe()
        let sleeps = 0
        for (let left = until - (yield* now); left > 0; left = until - (yield* now)) {
          yield* Effect.sleep(Math.ceil(left * 1e6) / 1e6)
          sleeps++
        }
        assert.strictEqual(sleeps, 1)
      }
    })))

  it.effect("SIM-03 an interrupted sleep leaves no timer, and time does not wait for it", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const sleeper = yield* Effect.forkChild(Effect.sleep("2 hours"), { startImmediately: true })
        yield* Effect.sleep("1 second")
        yield* Fiber.interrupt(sleeper)
        return yield* Effect.timeoutOption(Effect.never, "1 second")
      })
      const report = yield* World.simulate(program)
      assert.strictEqual(report.millis, 2_000)
      assert.deepStrictEqual(report.pending, { tasks: 0, timers: 0 })
    }))

  it.effect("SIM-03 the wall clock jumps without timers or the monotonic clock noticing", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const world = yield* World.World
        const start = yield* Clock.currentTimeMillis
        const sleeper = yield* Effect.forkChild(Effect.sleep("10 seconds"), { startImmediately: true })
        yield* world.jumpWallClock(3_600_000)
        const forward = (yield* Clock.currentTimeMillis) - start
        yield* world.jumpWallClock(-7_200_000)
        yield* Fiber.join(sleeper)
        return [forward, (yield* Clock.currentTimeMillis) - start, yield* Clock.monotonicTimeNanos, world.millis]
      })
      assert.deepStrictEqual(yield* World.run(program), [3_600_000, -3_590_000, 10_000_000_000n, 10_000])
    }))

  it("SIM-03 the timer heap keeps order under adds and removals", () => {
    interface Added {
      readonly at: number
      readonly timer: Timer
    }
    const heap = new TimerHeap()
    const waiting = new Map<number, Added>()
    const left: Array<Timer> = []
    let state = 1
    let added = 0
    let fired = -1
    const next = (bound: number) => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % bound
    const add = () => {
      const id = added++
      const at = next(100)
      waiting.set(id, { at, timer: heap.add(at, () => void (fired = id)) })
    }
    const leave = (id: number) => {
      left.push(waiting.get(id)!.timer)
      waiting.delete(id)
    }
    /** Who is to go first: the earliest, of those of one instant the one added first, which has the lowest number. */
    const first = () => [...waiting].reduce((best, other) => other[1].at < best[1].at ? other : best)
    for (let i = 0; i < 3000; i++) add()
    for (let round = 0; round < 3000; round++) {
      if (round % 3 === 0) {
        const ids = [...waiting.keys()]
        const id = ids[next(ids.length)]!
        heap.remove(waiting.get(id)!.timer)
        leave(id)
      } else {
        const [id, { at }] = first()
        assert.strictEqual(heap.next, at)
        heap.take()()
        assert.strictEqual(fired, id)
        leave(id)
      }
      // What has left can be removed again, whoever has its place by now.
      heap.remove(left[next(left.length)]!)
      if (round % 4 === 0) add()
      assert.strictEqual(heap.size, waiting.size)
    }
    assert.isAbove(heap.size, 500)
  })
})

describe("World: chance", () => {
  it.effect("SIM-03 each node has its own sequence, whatever the others draw and whatever the order", () =>
    Effect.gen(function*() {
      const draws = (count: number) => Effect.replicateEffect(Random.next, count)
      const alone = yield* World.run(World.asNode(draws(10), "A"))
      const among = yield* World.run(Effect.gen(function*() {
        yield* World.asNode(draws(7), "B")
        yield* draws(3)
        const first = yield* World.asNode(draws(5), "A")
        yield* World.asNode(draws(1), "C")
        return [...first, ...(yield* World.asNode(draws(5), "A"))]
      }))
      assert.deepStrictEqual(among, alone)
      assert.notDeepEqual(yield* World.run(World.asNode(draws(10), "B")), alone)
      assert.notDeepEqual(yield* World.run(World.asNode(draws(10), "A"), { seed: 1 }), alone)
      for (const draw of alone) assert.isTrue(draw >= 0 && draw < 1)
    }))

  it.effect("SIM-03 the generator is uniform enough: each of 16 values 1,000 times of 16,000, within 5 sigma", () =>
    World.run(Effect.gen(function*() {
      const world = yield* World.World
      const counts = new Array<number>(16).fill(0)
      const random = world.random("uniform")
      for (let i = 0; i < 16_000; i++) {
        const value = random.nextBelowUnsafe(16)
        counts[value] = (counts[value] ?? 0) + 1
      }
      for (const count of counts) assert.isBelow(Math.abs(count - 1000), 5 * Math.sqrt(1000))
      for (let i = 0; i < 1000; i++) assert.isTrue(Number.isSafeInteger(random.nextIntUnsafe()))
      assert.strictEqual(random.nextBytesUnsafe(33).length, 33)
    })))
})

describe("World: ends", () => {
  it.effect("SIM-03 a program that nothing can wake is a deadlock, named, and its finalizers run", () =>
    Effect.gen(function*() {
      let finalized = false
      const program = Effect.gen(function*() {
        yield* Effect.addFinalizer(() =>
          Effect.andThen(
            Effect.sleep("1 second"),
            Effect.sync(() => {
              finalized = true
            })
          )
        )
        yield* Effect.sleep("5 seconds")
        yield* Deferred.await(yield* Deferred.make<void>())
      })
      const error = worldError(yield* World.simulate(program, { seed: "stuck" }))
      assert.strictEqual(error.kind, "Deadlock")
      assert.strictEqual(error.millis, 5_000)
      assert.strictEqual(error.seed, "stuck")
      assert.include(error.message, "seed stuck")
      assert.isTrue(finalized)
    }))

  it.effect("SIM-03 a promise is a trap, and without traps a deadlock: the real machine does not run meanwhile", () =>
    Effect.gen(function*() {
      const program = Effect.promise(() => Promise.resolve(1))
      assert.strictEqual(worldError(yield* World.simulate(program)).kind, "Trapped")
      assert.strictEqual(worldError(yield* World.simulate(program, { traps: false })).kind, "Deadlock")
    }))

  it.effect("SIM-03 a livelock ends at maxSteps", () =>
    Effect.gen(function*() {
      const report = yield* World.simulate(Effect.forever(Effect.yieldNow), { maxSteps: 1_000 })
      assert.strictEqual(worldError(report).kind, "StepLimit")
      assert.strictEqual(report.steps, 1_000)
      const spin = yield* World.simulate(Effect.forever(Effect.void), { maxSteps: 100 })
      assert.strictEqual(worldError(spin).kind, "StepLimit")
    }))

  it.effect("SIM-03 waiting beyond maxMillis ends at once", () =>
    Effect.gen(function*() {
      const inTime = yield* World.simulate(Effect.sleep(1_000), { maxMillis: 1_000 })
      assert.isTrue(Exit.isSuccess(inTime.exit))
      const late = yield* World.simulate(Effect.sleep(1_001), { maxMillis: 1_000 })
      assert.strictEqual(worldError(late).kind, "TimeLimit")
      const day = yield* World.simulate(Effect.forever(Effect.sleep("1 hour")))
      assert.strictEqual(worldError(day).kind, "TimeLimit")
      assert.strictEqual(day.millis, 86_400_000)
    }))

  it.effect("SIM-03 the program's own failure and defect come through", () =>
    Effect.gen(function*() {
      assert.strictEqual(failure(yield* World.simulate(Effect.fail("no"))), "no")
      const bug = new Error("bug")
      assert.strictEqual(failure(yield* World.simulate(Effect.die(bug))), bug)
      const named = yield* Effect.flip(World.runSeeds([3, 4], (seed) => seed === 4 ? Effect.die(bug) : Effect.void))
      assert.deepStrictEqual([named.kind, named.seed, named.cause], ["SeedFailed", "4", bug])
    }))

  it.effect("SIM-03 the report counts what the program left behind", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        yield* Effect.forkDetach(Effect.sleep("1 day"), { startImmediately: true })
        yield* Effect.forkDetach(Effect.void)
      })
      assert.deepStrictEqual((yield* World.simulate(program)).pending, { tasks: 1, timers: 1 })
    }))

  it("SIM-03 a world runs from a synchronous runtime, and inside another world", () => {
    const nested = Effect.gen(function*() {
      yield* Effect.sleep("1 second")
      const inner = yield* World.simulate(Effect.sleep("1 minute"), { seed: 5 })
      return [inner.millis, (yield* World.World).millis]
    })
    assert.deepStrictEqual(Effect.runSync(World.run(nested)), [60_000, 1_000])
  })
})

describe("World: traps", () => {
  const theAsyncFunction = async () => 1
  /** How to spring each trap; the keys must be all of `trapped`. */
  const uses: Record<string, () => unknown> = {
    "setTimeout": () => setTimeout(() => {}, 1),
    "setInterval": () => clearInterval(setInterval(() => {}, 1)),
    "setImmediate": () => setImmediate(() => {}),
    "queueMicrotask": () => queueMicrotask(() => {}),
    "Date.now": () => Date.now(),
    "Date()": () => Date(),
    "new Date()": () => new Date(),
    "performance.now": () => performance.now(),
    "Math.random": () => Math.random(),
    "crypto.getRandomValues": () => crypto.getRandomValues(new Uint8Array(1)),
    "crypto.randomUUID": () => crypto.randomUUID(),
    "process.hrtime": () => process.hrtime(),
    "Promise": () => void theAsyncFunction(),
    "process.hrtime.bigint": () => process.hrtime.bigint(),
    "node:timers.setTimeout": () => timersSetTimeout(() => {}, 1),
    "node:timers.setInterval": () => clearInterval(process.getBuiltinModule("node:timers").setInterval(() => {}, 1)),
    "node:timers.setImmediate": () => process.getBuiltinModule("node:timers").setImmediate(() => {}),
    "node:crypto.randomBytes": () => randomBytes(1),
    "node:crypto.randomFill": () => process.getBuiltinModule("node:crypto").randomFill(new Uint8Array(1), () => {}),
    "node:crypto.randomFillSync": () => process.getBuiltinModule("node:crypto").randomFillSync(new Uint8Array(1)),
    "node:crypto.randomInt": () => randomInt(5),
    "node:crypto.randomUUID": () => process.getBuiltinModule("node:crypto").randomUUID(),
    "node:crypto.generateKeySync": () =>
      process.getBuiltinModule("node:crypto").generateKeySync("hmac", { length: 64 }),
    "node:crypto.generateKeyPairSync": () => process.getBuiltinModule("node:crypto").generateKeyPairSync("x25519")
  }

  it("SIM-03 the list of traps is tested in full", () => {
    assert.deepStrictEqual(Object.keys(uses).sort(), [...trapped].sort())
  })

  it.effect.each(Object.keys(uses))(
    "SIM-03 %s in a world is an error with a stack, and works again after",
    (api) =>
      Effect.gen(function*() {
        const use = Effect.sync(function theCallInQuestion() {
          uses[api]?.()
        })
        const report = yield* World.simulate(Effect.ignoreCause(use))
        const error = worldError(report)
        assert.strictEqual(error.kind, "Trapped")
        assert.deepStrictEqual(report.traps.map((trap) => trap.api), [api])
        const [trap] = report.traps
        assert.strictEqual(error.cause, trap)
        assert.include(trap?.stack, "theCallInQuestion")
        assert.include(trap?.message, api)
        assert.isTrue(Exit.isSuccess((yield* World.simulate(use, { traps: false })).exit))
        assert.isTrue(Exit.isSuccess(yield* Effect.exit(use)))
      })
  )

  it.effect("SIM-03 a live clock kept from outside is trapped as well", () =>
    Effect.gen(function*() {
      const live = yield* Effect.sync(() => Effect.runSync(Clock.clockWith(Effect.succeed)))
      const apis = (report: World.Report<unknown, unknown>) => report.traps.map((trap) => trap.api)
      const wall = yield* World.simulate(Effect.sync(() => live.currentTimeMillisUnsafe()))
      assert.deepStrictEqual(apis(wall), ["Date.now"])
      const monotonic = yield* World.simulate(Effect.sync(() => live.monotonicTimeNanosUnsafe()))
      assert.deepStrictEqual(apis(monotonic), ["process.hrtime.bigint"])
      const random = yield* World.simulate(Effect.sync(() => Effect.runSync(Random.next)))
      assert.deepStrictEqual(apis(random), ["Math.random"])
    }))

  it.effect("SIM-03 the runtime itself springs no trap: spans, logs, timeouts, hashes, other uses of Date", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        yield* Effect.logInfo("logged")
        console.log("printed")
        const map = HashMap.set(HashMap.empty<object, number>(), { an: "object" }, 1)
        Hash.random({ another: "object" })
        yield* Effect.withSpan(Effect.timeoutOption(Effect.never, "1 second"), "span")
        yield* Effect.all([Effect.sleep(1), Effect.sleep(2)], { concurrency: 2 })
        createHash("sha256").update("x").digest()
        return [HashMap.size(map), new Date(0).getTime(), new Date(0) instanceof Date, Date.UTC(1970, 0, 1)]
      })
      assert.deepStrictEqual(yield* World.run(program), [1, 0, true, 0])
    }))

  it.effect("SIM-03 Effect's reference hashes come from the seed", () =>
    Effect.gen(function*() {
      const program = Effect.sync(() => [Hash.random({}), Hash.random({})])
      assert.deepStrictEqual(yield* World.run(program, { seed: 3 }), yield* World.run(program, { seed: 3 }))
      assert.notDeepEqual(yield* World.run(program, { seed: 3 }), yield* World.run(program, { seed: 4 }))
    }))

  it.effect("SIM-03 everything is restored after a defect, and after nested worlds", () =>
    Effect.gen(function*() {
      const before = [globalThis.Date, Math.random, globalThis.setTimeout, process.hrtime, process.hrtime.bigint]
      yield* World.simulate(World.simulate(Effect.die("bug")))
      const after = [globalThis.Date, Math.random, globalThis.setTimeout, process.hrtime, process.hrtime.bigint]
      for (const [index, value] of before.entries()) assert.strictEqual(after[index], value)
      assert.isFalse(Object.hasOwn(performance, "now"))
      assert.strictEqual(randomBytes(3).length, 3)
    }))
})

describe("World: exploration", () => {
  it.effect("SIM-03 fifo runs in the order in which fibers became runnable, whatever the seed", () =>
    Effect.gen(function*() {
      const orders = yield* World.runSeeds(10, () => race, { exploration: "fifo" })
      assert.deepStrictEqual(new Set(orders), new Set(["abcdefgh"]))
    }))

  it.effect("SIM-03 priorities give the same run for a seed, and let a fiber be late as even chances hardly ever do", () =>
    Effect.gen(function*() {
      // One fiber takes its turn while another one takes forty.
      const program = Effect.gen(function*() {
        let turns = 0
        let at = -1
        yield* Effect.all([
          Effect.forEach(Array.from({ length: 40 }), () => Effect.andThen(Effect.yieldNow, Effect.sync(() => turns++))),
          Effect.andThen(Effect.yieldNow, Effect.sync(() => at = turns))
        ], { concurrency: 2 })
        return at
      })
      const late = (exploration: World.Exploration) =>
        Effect.map(World.runSeeds(200, () => program, { exploration }), (all) => all.filter((at) => at >= 30).length)
      assert.isAtLeast(yield* late("priorities"), 20)
      assert.isAtMost(yield* late("random"), 2)
      for (let seed = 0; seed < 10; seed++) {
        const run = World.simulate(busy, { seed, exploration: "priorities" })
        assert.deepStrictEqual(yield* run, yield* run)
      }
    }))

  it.effect("SIM-03 priorities starve nobody for ever: who waits by yielding lets the other go on", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const done = yield* Ref.make(false)
        yield* Effect.forkChild(Effect.andThen(Effect.yieldNow, Ref.set(done, true)))
        while (!(yield* Ref.get(done))) yield* Effect.yieldNow
      })
      yield* World.runSeeds(50, () => program, { exploration: "priorities", maxSteps: 10_000 })
    }))
})

describe("World: what is left", () => {
  it.effect("SIM-03 the report names the places where fibers wait, and what was opened and not closed", () =>
    Effect.gen(function*() {
      const listening = Effect.fn("listening")(() => Effect.never)
      const program = Effect.gen(function*() {
        const world = yield* World.World
        const closeOne = world.opened("socket")
        world.opened("socket")
        world.opened("scope")()
        yield* Effect.forkDetach(World.asNode(listening(), "a"), { startImmediately: true })
        yield* Effect.forkDetach(World.asNode(listening(), "a"), { startImmediately: true })
        yield* Effect.forkDetach(Effect.never, { startImmediately: true })
        closeOne()
        closeOne()
      })
      const { left } = yield* World.simulate(program)
      assert.strictEqual(left.fibers, 3)
      assert.deepStrictEqual(left.waiting[0], { node: "a", place: "listening", count: 2 })
      assert.deepStrictEqual(left.open, { socket: 1 })
      const clean = yield* World.simulate(Effect.scoped(Effect.forkScoped(listening())))
      assert.deepStrictEqual(clean.left, { fibers: 0, waiting: [], open: {} })
    }))

  it.effect("SIM-03 a deadlock says who waits where", () =>
    Effect.gen(function*() {
      const waitForever = Effect.fn("waitForever")(function*() {
        yield* Deferred.await(yield* Deferred.make<void>())
      })
      const error = worldError(yield* World.simulate(World.asNode(waitForever(), "n7")))
      assert.strictEqual(error.kind, "Deadlock")
      assert.include(error.message, "1 in waitForever of n7")
    }))
})
