import { assert, describe, it } from "@effect/vitest"
import * as DropReason from "../../src/DropReason.ts"
import { BodyRate } from "../../src/protocol/BodyRate.ts"
import {
  defaults,
  INITIAL_LATENCY_MILLIS,
  Liveness,
  type LivenessOptions,
  pingHash
} from "../../src/protocol/Liveness.ts"

interface Credit {
  starvedSince: number | undefined
  lastStarvedAt: number | undefined
}

const enough: Credit = { starvedSince: undefined, lastStarvedAt: undefined }

/** A connection under a clock that jumps from deadline to deadline, with a peer given by its reactions. */
class Connection {
  readonly liveness: Liveness
  readonly credit: Credit = { ...enough }
  /** When recurrent checks happened. */
  readonly ticks: Array<number> = []
  readonly pings: Array<number> = []
  dropped: { readonly tag: string; readonly detail: string; readonly at: number } | undefined
  now = 0
  #hash: Uint8Array = new Uint8Array(32)
  /** Whether and after how long the peer answers a ping. */
  answersAfter: number | undefined
  #answerAt = Number.POSITIVE_INFINITY

  constructor(options: Partial<LivenessOptions> = {}, authenticated = true) {
    this.liveness = new Liveness({ ...defaults, ...options }, 0)
    if (authenticated) this.liveness.authenticated()
  }

  /** Both directions move bytes. */
  traffic(): void {
    this.liveness.read(this.now)
    this.liveness.handedToSocket(this.now)
    this.liveness.wrote(this.now)
  }

  /** Runs to a time, stopping at every deadline on the way. */
  until(time: number): void {
    for (;;) {
      const at = Math.min(this.liveness.nextDeadline, this.#answerAt)
      if (at > time) break
      this.now = at
      if (at === this.#answerAt) {
        this.#answerAt = Number.POSITIVE_INFINITY
        this.liveness.read(at)
        assert.isTrue(this.liveness.pong(this.#hash, at))
        continue
      }
      this.ticks.push(at)
      const reason = this.liveness.tick(at, this.credit)
      if (reason !== undefined) {
        this.dropped = { tag: reason._tag, detail: reason.detail, at }
        return
      }
      if (this.liveness.pingDue) this.#ping(at)
    }
    this.now = time
  }

  #ping(at: number): void {
    this.pings.push(at)
    this.#hash = pingHash(Uint8Array.of(this.pings.length, 7, 7, 7, 7, 7, 7, 7))
    this.liveness.pingSent(this.#hash, at)
    this.liveness.handedToSocket(at)
    this.liveness.wrote(at)
    if (this.answersAfter !== undefined) this.#answerAt = at + this.answersAfter
  }
}

describe("recurrent timer", () => {
  it("PEE-06 fires every 5 s exactly, and stops with the connection", () => {
    const connection = new Connection()
    connection.answersAfter = 10
    connection.until(30_000)
    assert.deepStrictEqual(connection.ticks, [5000, 10_000, 15_000, 20_000, 25_000, 30_000])
    connection.liveness.stop()
    assert.strictEqual(connection.liveness.nextDeadline, Number.POSITIVE_INFINITY)
    assert.isUndefined(connection.liveness.tick(1_000_000, enough))
    assert.isFalse(connection.liveness.pingDue)
  })

  it("PEE-06 a check that comes late keeps to the grid, or starts a new one when it missed a whole period", () => {
    const liveness = new Liveness(defaults, 0)
    liveness.authenticated()
    liveness.read(5000)
    liveness.tick(5300, enough)
    assert.strictEqual(liveness.nextDeadline, 10_000)
    liveness.read(21_000)
    liveness.tick(21_000, enough)
    assert.strictEqual(liveness.nextDeadline, 26_000)
  })

  it("PEE-06 nothing is due before the deadline", () => {
    const liveness = new Liveness(defaults, 0)
    liveness.authenticated()
    assert.isUndefined(liveness.tick(4999, { starvedSince: -100_000, lastStarvedAt: -100_000 }))
    assert.isFalse(liveness.pingDue)
  })
})

describe("handshake", () => {
  it("HSK-14 the whole handshake has 2 s to the millisecond, whatever trickles in", () => {
    const connection = new Connection({}, false)
    for (let at = 100; at < 2000; at += 100) {
      connection.until(at)
      connection.traffic()
    }
    assert.isUndefined(connection.dropped)
    connection.until(10_000)
    assert.deepStrictEqual(connection.dropped, { tag: "HandshakeTimeout", detail: "2000", at: 2000 })
  })

  it("HSK-14 once authenticated the deadline is gone", () => {
    const connection = new Connection({}, false)
    connection.answersAfter = 1
    connection.until(1999)
    connection.liveness.authenticated()
    connection.until(20_000)
    assert.isUndefined(connection.dropped)
  })

  it("PEE-07 with core's timers: silence of 2 s is only seen at 5 s, and a trickle goes on until 60 s without credit", () => {
    const silent = new Connection({ strictCoreTimers: true }, false)
    silent.until(100_000)
    assert.deepStrictEqual(silent.dropped, { tag: "IdleTimeout", detail: "2000", at: 5000 })

    const trickle = new Connection({ strictCoreTimers: true }, false)
    trickle.credit.starvedSince = trickle.credit.lastStarvedAt = 0
    for (let at = 500; at < 100_000 && trickle.dropped === undefined; at += 500) {
      trickle.until(at)
      trickle.liveness.read(at)
    }
    assert.deepStrictEqual(trickle.dropped, { tag: "NoCapacityTimeout", detail: "60000", at: 60_000 })
  })
})

describe("timeouts", () => {
  it("PEE-07 a silent authenticated peer is gone 30 s after the last byte in either direction", () => {
    const connection = new Connection()
    connection.until(5000) // the ping goes out, and is the last thing that moves
    assert.deepStrictEqual(connection.pings, [5000])
    connection.until(34_999)
    assert.isUndefined(connection.dropped)
    connection.until(100_000)
    assert.deepStrictEqual(connection.dropped, { tag: "IdleTimeout", detail: "30000", at: 35_000 })
  })

  it("PEE-07 reading alone, or writing alone, keeps a peer from being idle", () => {
    const reading = new Connection()
    const writing = new Connection()
    for (let at = 1000; at <= 100_000; at += 1000) {
      reading.until(at)
      reading.liveness.read(at)
      writing.until(at)
      writing.liveness.wrote(at)
    }
    assert.isUndefined(reading.dropped)
    assert.isUndefined(writing.dropped)
  })

  it("PEE-07 T12 a peer that reads nothing while data is queued is gone at 120 s", () => {
    const connection = new Connection()
    connection.liveness.handedToSocket(0) // a write that never completes
    for (let at = 1000; connection.dropped === undefined && at < 200_000; at += 1000) {
      connection.liveness.read(at) // it keeps sending
      const now = Math.min(at, connection.liveness.nextDeadline)
      if (now < at) continue
      const reason = connection.liveness.tick(at, enough)
      if (reason !== undefined) connection.dropped = { tag: reason._tag, detail: reason.detail, at }
    }
    assert.deepStrictEqual(connection.dropped, { tag: "Straggling", detail: "120000", at: 120_000 })
  })

  it("PEE-07 a peer that never sends SEND_MORE is dropped at 60 s", () => {
    const connection = new Connection()
    connection.answersAfter = 5
    connection.credit.starvedSince = connection.credit.lastStarvedAt = 0
    connection.until(59_999)
    assert.isUndefined(connection.dropped)
    connection.until(100_000)
    assert.deepStrictEqual(connection.dropped, { tag: "NoCapacityTimeout", detail: "60000", at: 60_000 })
  })

  it("PEE-07 a peer that granted once and is owed nothing more stays", () => {
    const connection = new Connection()
    connection.answersAfter = 5
    connection.until(1_000_000)
    assert.isUndefined(connection.dropped)
  })

  it("F4 want of credit counts from the first failed attempt; with core's timers from the last", () => {
    const ours = new Connection()
    const core = new Connection({ strictCoreTimers: true })
    for (const connection of [ours, core]) {
      connection.answersAfter = 5
      connection.credit.starvedSince = 10_000
      for (let at = 10_000; at <= 120_000 && connection.dropped === undefined; at += 1000) {
        connection.credit.lastStarvedAt = at
        connection.until(at)
      }
    }
    assert.strictEqual(ours.dropped?.at, 70_000)
    assert.isUndefined(core.dropped)
    core.until(200_000)
    assert.deepStrictEqual(core.dropped, { tag: "NoCapacityTimeout", detail: "60000", at: 180_000 })
  })

  it("PEE-07 the first match wins: idle before no capacity before straggling", () => {
    const all = new Liveness({ ...defaults, recurrentPeriodMillis: 200_000 }, 0)
    all.authenticated()
    const starving = { starvedSince: 0, lastStarvedAt: 0 }
    assert.strictEqual(all.tick(200_000, starving)?._tag, "IdleTimeout")
    const read = new Liveness({ ...defaults, recurrentPeriodMillis: 200_000 }, 0)
    read.authenticated()
    read.read(199_000)
    assert.strictEqual(read.tick(200_000, starving)?._tag, "NoCapacityTimeout")
    const granted = new Liveness({ ...defaults, recurrentPeriodMillis: 200_000 }, 0)
    granted.authenticated()
    granted.read(199_000)
    assert.strictEqual(granted.tick(200_000, enough)?._tag, "Straggling")
    assert.strictEqual(granted.nextDeadline, Number.POSITIVE_INFINITY, "a connection ends once")
  })

  it("PEE-07 the reasons read as in stellar-core", () => {
    const texts = (["IdleTimeout", "NoCapacityTimeout", "Straggling"] as const).map((tag) =>
      DropReason.text(DropReason.make(tag))
    )
    assert.deepStrictEqual(texts, [
      "idle timeout",
      "idle timeout (no new flood requests)",
      "straggling (cannot keep up)"
    ])
  })

  it("PEE-07 while this side does not read, silence and missing grants are not held against the peer", () => {
    const connection = new Connection()
    connection.answersAfter = undefined // the answers lie unread
    connection.credit.starvedSince = connection.credit.lastStarvedAt = 1000
    connection.liveness.pauseReading(1000)
    connection.until(600_000)
    assert.isUndefined(connection.dropped, "10 minutes of a stopped consumer")
    connection.liveness.resumeReading(600_000)
    for (let at = 601_000; at <= 700_000 && connection.dropped === undefined; at += 1000) {
      connection.until(at)
      connection.liveness.read(at)
    }
    assert.deepStrictEqual(
      connection.dropped,
      { tag: "NoCapacityTimeout", detail: "60000", at: 660_000 },
      "60 s to grant after reading began again"
    )

    const core = new Connection({ strictCoreTimers: true })
    core.liveness.pauseReading(1000)
    core.until(600_000)
    assert.strictEqual(core.dropped?.tag, "IdleTimeout")
  })
})

describe("ping", () => {
  it("PEE-08 the hash is 8 unguessable bytes and 24 zeros", () => {
    const hash = pingHash(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9))
    assert.deepStrictEqual([...hash], [1, 2, 3, 4, 5, 6, 7, 8, ...new Array<number>(24).fill(0)])
  })

  it("PEE-08 a matching answer gives the round trip, an unmatched one does not", () => {
    const liveness = new Liveness(defaults, 0)
    assert.strictEqual(liveness.latencyMillis, 86_400_000)
    assert.strictEqual(INITIAL_LATENCY_MILLIS, 86_400_000)
    liveness.tick(0, enough)
    liveness.authenticated()
    assert.isFalse(liveness.pingDue, "not before the first check")
    liveness.tick(5000, enough)
    assert.isTrue(liveness.pingDue)
    const hash = pingHash(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))
    liveness.pingSent(hash, 5000)
    assert.isFalse(liveness.pingDue)
    assert.isTrue(liveness.isPinging)
    assert.isFalse(liveness.pong(pingHash(Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1)), 5010))
    assert.isFalse(liveness.pong(new Uint8Array(0), 5010))
    assert.strictEqual(liveness.latencyMillis, 86_400_000)
    assert.isTrue(liveness.pong(hash.slice(), 5042))
    assert.strictEqual(liveness.latencyMillis, 42)
    assert.isFalse(liveness.pong(hash, 5050), "an answer counts once")
  })

  it("PEE-08 a ping every 5 s, none before authentication and none while one is outstanding", () => {
    const connection = new Connection({ handshakeTimeoutMillis: 12_000 }, false)
    connection.until(11_000)
    assert.deepStrictEqual(connection.pings, [])
    connection.liveness.authenticated()
    connection.answersAfter = 7000
    connection.until(45_000)
    assert.deepStrictEqual(connection.pings, [15_000, 25_000, 35_000, 45_000])
    assert.strictEqual(connection.liveness.latencyMillis, 7000)
  })

  it("PEE-08 two idle nodes stay linked for hours on pings alone", () => {
    const connection = new Connection()
    connection.answersAfter = 80
    connection.until(7_200_000)
    assert.isUndefined(connection.dropped)
    assert.strictEqual(connection.pings.length, 1440)
  })

  it("PEE-08 a lost answer: the ping is sent anew after 30 s, and the late answer does not count", () => {
    const connection = new Connection()
    const first = pingHash(Uint8Array.of(1, 7, 7, 7, 7, 7, 7, 7))
    for (let at = 1000; at <= 200_000; at += 1000) {
      connection.until(at)
      connection.liveness.read(at)
    }
    assert.deepStrictEqual(connection.pings, [5000, 35_000, 65_000, 95_000, 125_000, 155_000, 185_000])
    assert.isUndefined(connection.dropped, "and so it is no straggler")
    assert.isFalse(connection.liveness.pong(first, 200_000))
  })

  it("PEE-08 with core's timers a lost answer ends pinging, and 120 s without anything to send the connection", () => {
    const connection = new Connection({ strictCoreTimers: true })
    for (let at = 1000; at <= 200_000 && connection.dropped === undefined; at += 1000) {
      connection.until(at)
      connection.liveness.read(at)
    }
    assert.deepStrictEqual(connection.pings, [5000])
    assert.deepStrictEqual(connection.dropped, { tag: "Straggling", detail: "120000", at: 125_000 })
  })
})

describe("body rate", () => {
  it("T8 a 16 MiB body at half of 8 KiB/s is given up after 20 s, with 80 KiB received", () => {
    const connection = new Connection()
    const announced = 16_777_216
    let received = 0
    for (let at = 100; at <= 60_000 && connection.dropped === undefined; at += 100) {
      connection.until(at)
      if (connection.dropped !== undefined) break
      received += 410 // per 100 ms: 4 KiB/s
      connection.liveness.read(at)
      connection.liveness.body.progress(3, announced, announced - received, at)
    }
    assert.strictEqual(connection.dropped?.tag, "SlowBody")
    assert.strictEqual(connection.dropped?.detail, "8192")
    assert.approximately(connection.dropped?.at ?? 0, 20_100, 200)
    assert.isBelow(received, 90_000)
  })

  it("T8 a body that stops altogether is given up 10 s after it began, to the millisecond", () => {
    const connection = new Connection()
    connection.until(1000)
    connection.liveness.body.progress(0, 8192 * 2 + 100, 100, 1000) // 16 KiB are there: worth 2 s
    connection.until(12_999)
    assert.isUndefined(connection.dropped)
    connection.until(20_000)
    assert.deepStrictEqual(connection.dropped, { tag: "SlowBody", detail: "8192", at: 13_000 })
  })

  it("T8 a body at 8 KiB/s arrives, however long it takes; each frame has its own time", () => {
    const rate = new BodyRate(8192)
    for (let second = 0; second <= 600; second++) {
      rate.progress(0, 16_777_216, 16_777_216 - 8192 * second, 1000 * second)
      assert.isAbove(rate.deadline, 1000 * (second + 9))
    }
    rate.progress(1, 1000, 990, 600_000)
    assert.strictEqual(rate.deadline, 600_000 + 10_000 + 10 / 8.192)
    rate.progress(1, 0, 0, 600_001)
    assert.strictEqual(rate.deadline, Number.POSITIVE_INFINITY)
  })

  it("T8 time in which this side does not read counts for nobody", () => {
    const rate = new BodyRate(8192)
    rate.progress(0, 100_000, 100_000, 0)
    assert.strictEqual(rate.deadline, 10_000)
    rate.pause(4000)
    assert.strictEqual(rate.deadline, Number.POSITIVE_INFINITY)
    rate.resume(604_000)
    assert.strictEqual(rate.deadline, 610_000)
    rate.pause(605_000)
    rate.progress(1, 100, 50, 606_000) // a frame that began during the pause
    rate.resume(607_000)
    assert.strictEqual(rate.deadline, 607_000 + 10_000 + 50 / 8.192)
  })

  it("T8 off with a rate of 0, and with core's timers", () => {
    const off = new BodyRate(0)
    off.progress(0, 100, 100, 0)
    assert.strictEqual(off.deadline, Number.POSITIVE_INFINITY)
    const core = new Liveness({ ...defaults, strictCoreTimers: true }, 0)
    core.body.progress(0, 100, 100, 0)
    assert.strictEqual(core.body.deadline, Number.POSITIVE_INFINITY)
  })
})
