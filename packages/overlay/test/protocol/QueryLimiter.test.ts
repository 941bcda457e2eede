import { assert, describe, it } from "@effect/vitest"
import * as DropReason from "../../src/DropReason.ts"
import { defaults, QueryLimiter } from "../../src/protocol/QueryLimiter.ts"
import { defaults as off, RateLimiter } from "../../src/protocol/RateLimiter.ts"
import { MessageType } from "../../src/wire/MessageType.ts"

/** How many of `attempts` requests at one time are processed. */
const admitted = (limiter: QueryLimiter, type: MessageType, attempts: number, now: number): number => {
  let count = 0
  for (let i = 0; i < attempts; i++) if (limiter.allow(type, now)) count++
  return count
}

describe("queries", () => {
  for (
    const [id, name, type, max] of [
      ["Q1", "GET_TX_SET", MessageType.GetTxSet, 300],
      ["Q3", "GET_SCP_QUORUMSET", MessageType.GetScpQuorumSet, 300],
      ["Q2", "GET_SCP_STATE", MessageType.GetScpState, 10]
    ] as const
  ) {
    it(`${id} PEE-14 ${name}: ${max} per window of 60 s, the rest ignored`, () => {
      const limiter = new QueryLimiter(defaults)
      assert.strictEqual(limiter.windowMillis, 60_000)
      assert.strictEqual(admitted(limiter, type, max, 1000), max)
      assert.strictEqual(admitted(limiter, type, 1000, 1000), 0)
      assert.strictEqual(admitted(limiter, type, 1000, 60_999), 0)
      assert.strictEqual(admitted(limiter, type, 1000, 61_000), max, "the window restarts 60 s after it began")
      assert.strictEqual(admitted(limiter, type, 1000, 120_999), 0)
    })
  }

  it("PEE-14 the limits of the types are independent, and other messages have none", () => {
    const limiter = new QueryLimiter(defaults)
    admitted(limiter, MessageType.GetTxSet, 1000, 0)
    assert.strictEqual(admitted(limiter, MessageType.GetScpQuorumSet, 1000, 0), 300)
    assert.strictEqual(admitted(limiter, MessageType.GetScpState, 1000, 0), 10)
    assert.strictEqual(admitted(limiter, MessageType.Transaction, 120_000, 0), 120_000, "2,000 tx/s for a minute")
  })

  it("Q2 PEE-14 the window begins with the first request after the last one ended", () => {
    const limiter = new QueryLimiter(defaults)
    assert.strictEqual(admitted(limiter, MessageType.GetScpState, 5, 61_000), 5)
    assert.strictEqual(admitted(limiter, MessageType.GetScpState, 10, 120_999), 5)
    assert.strictEqual(admitted(limiter, MessageType.GetScpState, 1, 121_000), 1)
  })

  it("PEE-14 the window follows the close time and is cut to whole seconds", () => {
    const limiter = new QueryLimiter({ ...defaults, expectedCloseTimeMillis: 4620 })
    assert.strictEqual(limiter.windowMillis, 55_000) // 55.44 s
    assert.strictEqual(limiter.queriesPerWindow, 275)
    limiter.setCloseTime(1000)
    assert.strictEqual(limiter.windowMillis, 12_000)
    assert.strictEqual(admitted(limiter, MessageType.GetTxSet, 1000, 0), 60)
  })

  it("Q1 answers to GET_TX_SET have 32 MiB a minute", () => {
    const limiter = new QueryLimiter(defaults)
    const size = 10 * 1024 * 1024
    assert.deepStrictEqual([1, 2, 3, 4].map((i) => limiter.txSetAnswer(size, i)), [true, true, true, false])
    assert.isTrue(limiter.txSetAnswer(2 * 1024 * 1024, 59_000), "what fits exactly is sent")
    assert.isFalse(limiter.txSetAnswer(1, 60_000))
    assert.isTrue(limiter.txSetAnswer(size, 60_001))
  })

  it("Q1 a budget below one set slows the peer down to one a minute", () => {
    const limiter = new QueryLimiter({ ...defaults, txSetBytesPerMinute: 1000 })
    assert.isTrue(limiter.txSetAnswer(5000, 0))
    assert.isFalse(limiter.txSetAnswer(10, 1))
    assert.isTrue(limiter.txSetAnswer(5000, 60_000))
    const core = new QueryLimiter({ ...defaults, txSetBytesPerMinute: Number.MAX_SAFE_INTEGER })
    for (let i = 0; i < 300; i++) assert.isTrue(core.txSetAnswer(16_777_216, i))
  })
})

describe("rate policy", () => {
  it("PEE-14 off by default: no honest or dishonest rate is capped", () => {
    const limiter = new RateLimiter(off, 0)
    for (let i = 0; i < 100_000; i++) assert.isUndefined(limiter.take(16_777_216, 0))
  })

  it("PEE-14 messages: five seconds' worth at once, then the rate, then ERR_LOAD", () => {
    const limiter = new RateLimiter({ maxMessagesPerSecond: 100, maxBytesPerSecond: 0 }, 0)
    for (let i = 0; i < 500; i++) assert.isUndefined(limiter.take(1_000_000, 0))
    for (let i = 1; i <= 1000; i++) assert.isUndefined(limiter.take(1, 10 * i), "100 a second for 10 s")
    assert.strictEqual(limiter.take(1, 10_000), "messages")
    const reason = DropReason.make("RateLimited", "messages")
    assert.strictEqual(DropReason.errorCode(reason), 4, "ERR_LOAD")
    assert.strictEqual(DropReason.droppedBy(reason), "us")
  })

  it("PEE-14 bytes: the same, whatever the number of messages", () => {
    const limiter = new RateLimiter({ maxMessagesPerSecond: 0, maxBytesPerSecond: 1000 }, 0)
    assert.isUndefined(limiter.take(4999, 0))
    assert.isUndefined(limiter.take(1, 0))
    assert.isUndefined(limiter.take(1000, 1000))
    assert.strictEqual(limiter.take(1, 1000), "bytes")
    const patient = new RateLimiter({ maxMessagesPerSecond: 0, maxBytesPerSecond: 1000 }, 0)
    patient.take(5000, 0)
    assert.strictEqual(patient.take(5001, 1_000_000), "bytes", "an hour of silence saves up no more than the burst")
  })
})
