import { assert, describe, it } from "@effect/vitest"
import { OUT_OF_SYNC_MILLIS, OutOfSyncTimer } from "@stellar-overlay/overlay/protocol/OutOfSyncTimer"

describe("OutOfSyncTimer", () => {
  it("OVM-07 P10 the first tick out of sync is noted, a later one rotates after more than 60 s, and the clock starts again", () => {
    assert.strictEqual(OUT_OF_SYNC_MILLIS, 60_000)
    const timer = new OutOfSyncTimer()
    assert.isFalse(timer.shouldRotate(false, true, 1000))
    assert.strictEqual(timer.since, 1000)
    assert.isFalse(timer.shouldRotate(false, true, 61_000), "60 s are not more than 60 s")
    assert.isTrue(timer.shouldRotate(false, true, 61_001))
    assert.strictEqual(timer.since, 61_001)
    assert.isFalse(timer.shouldRotate(false, true, 121_001))
    assert.isTrue(timer.shouldRotate(false, true, 121_002))
  })

  it("OVM-07 while an outbound slot is free nobody goes, and the time is not forgotten", () => {
    const timer = new OutOfSyncTimer()
    assert.isFalse(timer.shouldRotate(false, false, 0))
    assert.isFalse(timer.shouldRotate(false, false, 200_000))
    assert.isTrue(timer.shouldRotate(false, true, 203_000))
  })

  it("OVM-07 tracking clears the clock", () => {
    const timer = new OutOfSyncTimer()
    timer.shouldRotate(false, true, 0)
    assert.isFalse(timer.shouldRotate(true, true, 59_000))
    assert.strictEqual(timer.since, undefined)
    assert.isFalse(timer.shouldRotate(false, true, 62_000))
    assert.isFalse(timer.shouldRotate(false, true, 122_000))
    assert.isTrue(timer.shouldRotate(false, true, 122_001))
  })
})
