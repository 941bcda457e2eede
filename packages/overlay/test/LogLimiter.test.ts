/** The log under a flood, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import * as LogLimiter from "../src/LogLimiter.ts"
import { LineBudget } from "../src/protocol/LineBudget.ts"

const sum = (counts: Iterable<number>): number => [...counts].reduce((total, count) => total + count, 0)

/** Runs a program with a log that is limited, and gives the lines with the virtual time of each. */
const logged = (program: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const clock = yield* TestClock.testClockWith((clock) => Effect.succeed(clock))
    const lines: Array<{ readonly at: number; readonly level: string; readonly text: string }> = []
    const logger = Logger.make(({ logLevel, message }) => {
      lines.push({ at: clock.currentTimeMillisUnsafe(), level: logLevel, text: String(message) })
    })
    yield* LogLimiter.withLimit(program).pipe(
      Effect.provideService(Logger.CurrentLoggers, new Set([logger])),
      Effect.provideService(References.MinimumLogLevel, "Debug")
    )
    return lines
  })

const told = (lines: ReadonlyArray<{ readonly text: string }>): number =>
  sum(lines.flatMap(({ text }) => {
    const match = /^suppressed (\d+) lines? /.exec(text)
    return match === null ? [] : [Number(match[1])]
  }))

const most = (lines: ReadonlyArray<{ readonly at: number }>): number =>
  Math.max(...lines.map(({ at }) => lines.filter((line) => line.at > at - 1000 && line.at <= at).length))

describe("log limiter", () => {
  it.effect("O4 a flood of 10,000 lines in ten seconds leaves at most 100 in any second, and every line is accounted for", () =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        for (let n = 0; n < 1000; n++) {
          for (let i = 0; i < 10; i++) yield* Effect.logDebug(`drop ${n}`)
          yield* TestClock.adjust(10)
        }
        yield* TestClock.adjust("2 seconds")
      }))
      assert.isAtMost(most(lines), 100)
      const drops = lines.filter(({ text }) => text.startsWith("drop ")).length
      assert.isAtLeast(drops, 780)
      assert.strictEqual(drops + told(lines), 10_000)
      assert.deepInclude(lines.find(({ text }) => text.startsWith("suppressed")), { level: "Warn" })
      assert.match(lines.at(-1)!.text, /^suppressed \d+ lines \(\d+ debug\)$/)
    }))

  it.effect("O4 a flood of small talk hides no error: the last twenty places of a second are for what is urgent", () =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        for (let n = 0; n < 500; n++) yield* Effect.logInfo("talk")
        for (let n = 0; n < 50; n++) yield* Effect.logError("fire")
        yield* TestClock.adjust("1 second")
        yield* Effect.logInfo("after")
      }))
      const count = (text: string) => lines.filter((line) => line.text === text).length
      assert.deepStrictEqual([count("talk"), count("fire"), count("after")], [79, 20, 1])
      assert.include(lines.map(({ text }) => text), "suppressed 451 lines (30 error, 421 info)")
    }))

  it.effect("O4 what was suppressed last is told at the end, and a quiet log is left as it is", () =>
    Effect.gen(function*() {
      const flooded = yield* logged(
        Effect.forEach(Array.from({ length: 300 }), () => Effect.logInfo("x"), { discard: true })
      )
      assert.strictEqual(flooded.at(-1)!.text, "suppressed 221 lines (221 info)")
      assert.strictEqual(flooded.length, 80)
      const quiet = yield* logged(Effect.logInfo("only"))
      assert.deepStrictEqual(quiet.map(({ text }) => text), ["only"])
    }))

  it("O4 no second has more than its lines, whatever comes when", () => {
    let seed = 4
    const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 4294967296
    for (let run = 0; run < 20; run++) {
      const budget = new LineBudget<"a" | "b">({ linesPerSecond: 10, urgentLinesPerSecond: 3 })
      const written: Array<number> = []
      let offered = 0
      let summarized = 0
      let now = 0
      for (let n = 0; n < 2000; n++) {
        now += random() < 0.3 ? random() * 400 : random() * 3
        const summary = budget.summary(now)
        if (summary !== undefined) {
          written.push(now)
          summarized += sum(summary.values())
        }
        offered++
        if (budget.take(random() < 0.5 ? "a" : "b", random() < 0.5, now)) written.push(now)
      }
      summarized += sum(budget.summary(now, true)?.values() ?? [])
      for (let n = 10; n < written.length; n++) assert.isAbove(written[n]! - written[n - 10]!, 1000 - 1e-6)
      assert.strictEqual(sum(budget.passed.values()) + sum(budget.suppressed.values()), offered)
      assert.strictEqual(sum(budget.suppressed.values()), summarized)
    }
  })
})
