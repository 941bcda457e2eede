/** The flood rounds of HerderTests.cpp ("do not flood too many transactions"), and their bounds. */
import { assert, describe, it } from "@effect/vitest"
import * as FloodRates from "../../src/protocol/FloodRates.ts"
import { FloodRounds, MAX_IDLE_LOOKS, type Turn } from "../../src/protocol/FloodRounds.ts"
import type { TransactionBid } from "../../src/protocol/TransactionBid.ts"
import { below, generator, hash, numberOf } from "./floodFixtures.ts"

const ledger = { ledgerVersion: 23, maxTxSetSize: 500, sorobanMaxTxCount: 40, closeTimeMillis: 5000 }

/** A queue that floods: what was advertised, when, in order. */
class Scene {
  readonly rounds: FloodRounds
  readonly sent: Array<{ readonly n: number; readonly at: number; readonly bid: TransactionBid }> = []
  readonly bids: Array<TransactionBid> = []
  turn: (n: number) => Turn = () => "told"
  now = 0

  constructor(options: Partial<FloodRates.FloodRateOptions> = {}, changes: Partial<typeof ledger> = {}, max?: number) {
    const limits = FloodRates.make({ ...FloodRates.defaults, ...options }, { ...ledger, ...changes })
    this.rounds = new FloodRounds(generator(1), limits, max)
  }

  submit(bid: TransactionBid): number {
    const n = this.bids.push(bid) - 1
    assert.isTrue(this.rounds.add({ hash: hash(n), key: hash(n), bid }, this.now))
    return n
  }

  run(millis: number): void {
    const end = this.now + millis
    for (let next = this.rounds.nextDeadline; next !== undefined && next <= end; next = this.rounds.nextDeadline) {
      this.now = next
      this.rounds.tick(next, ({ bid, hash }) => {
        const n = numberOf(hash)
        const result = this.turn(n)
        if (result === "told") this.sent.push({ n, at: next, bid })
        return result
      })
    }
    this.now = end
  }

  order(): Array<number> {
    return this.sent.map(({ n }) => n)
  }
}

const operationsOf = (sent: Scene["sent"]): number => sent.reduce((sum, { bid }) => sum + bid.operations, 0)

const isDescending = (fees: ReadonlyArray<number>): boolean => fees.every((fee, i) => i === 0 || fee <= fees[i - 1]!)

const perOperation = ({ bid }: { readonly bid: TransactionBid }): number => bid.fee / bid.operations

describe("do not flood too many transactions", () => {
  for (const [id, k] of [["HRD-021", 1], ["HRD-022", 7], ["HRD-023", 100]] as const) {
    it(`${id} transactions of ${k} operations, 20 operations in 100 ms, best fee first`, () => {
      const scene = new Scene({ txPeriodMillis: 100, opRatePerLedger: 2 })
      const n = Math.floor(500 / k) - 1
      // Two of them are in a ledger already.
      for (let i = 2; i < n; i++) {
        scene.submit({ lane: "classic", operations: k, fee: k * (10_000 - Math.floor(i / 7)) })
      }
      assert.strictEqual(scene.sent.length, 0)
      scene.run(101)
      const first = operationsOf(scene.sent)
      if (k <= 20) assert.isTrue(first <= 20 && first + k > 20, `${first}`)
      else assert.isAtMost(scene.sent.length, 1)

      scene.run(500)
      const before = scene.sent.length
      const best = scene.submit({ lane: "classic", operations: k, fee: k * 20_000 })
      scene.run(2000)
      assert.strictEqual(scene.sent.length, n - 1)
      assert.strictEqual(scene.sent[before]!.n, best)
      assert.isTrue(isDescending(scene.sent.filter(({ n }) => n !== best).map(perOperation)))
      assert.strictEqual(scene.rounds.size, n - 1) // advertised is not gone
      assert.isUndefined(scene.rounds.nextDeadline)
    })
  }
})

type Order = "DEX first" | "DEX last" | "random"
const rows: ReadonlyArray<readonly [string, number, number, number, number, Order, number]> = [
  ["HRD-024", 400, 0, 1, 0, "DEX first", 0],
  ["HRD-025", 57, 0, 7, 0, "DEX first", 0],
  ["HRD-026", 4, 0, 100, 0, "DEX first", 46],
  ["HRD-027", 0, 1000, 0, 1, "DEX first", 0],
  ["HRD-028", 0, 142, 0, 7, "DEX first", 0],
  ["HRD-029", 0, 10, 0, 100, "DEX first", 40],
  ["HRD-030", 300, 400, 1, 1, "DEX first", 0],
  ["HRD-031", 42, 57, 7, 7, "DEX first", 0],
  ["HRD-032", 3, 4, 100, 100, "DEX first", 43],
  ["HRD-033", 300, 400, 1, 1, "DEX last", 0],
  ["HRD-034", 42, 57, 7, 7, "DEX last", 0],
  ["HRD-035", 3, 4, 100, 100, "DEX last", 43],
  ["HRD-036", 300, 400, 1, 1, "random", 0],
  ["HRD-037", 42, 57, 7, 7, "random", 0],
  ["HRD-038", 3, 4, 100, 100, "random", 43],
  ["HRD-039", 33, 4, 9, 100, "random", 5],
  ["HRD-040", 3, 44, 100, 9, "random", 5]
]

describe("do not flood too many transactions with DEX separation", () => {
  for (const [id, dex, other, dexOps, otherOps, submission, idleBound] of rows) {
    it(`${id} ${dex} of ${dexOps} DEX operations and ${other} of ${otherOps} others, ${submission}`, () => {
      const draw = generator(Number(id.slice(4)))
      const scene = new Scene({ txPeriodMillis: 100, opRatePerLedger: 2, maxDexTxOperations: 200 })
      const lanes = Array.from({ length: dex }, () => "dex" as const)
      const others = Array.from({ length: other }, () => "classic" as const)
      const all = submission === "DEX last" ? [...others, ...lanes] : [...lanes, ...others]
      if (submission === "random") {
        for (let i = all.length - 1; i > 0; i--) {
          const j = below(draw, i + 1)
          ;[all[i], all[j]] = [all[j]!, all[i]!]
        }
      }
      const late = { dex: dex > 0, classic: other > 0 }
      const opsOf = (lane: "dex" | "classic") => lane === "dex" ? dexOps : otherOps
      let fee = 100_000
      for (const lane of all) {
        if (late[lane]) late[lane] = false // the first of each group is held back
        else scene.submit({ lane, operations: opsOf(lane), fee: opsOf(lane) * fee-- })
      }

      let idle = 0
      let others_ = 0
      const best: Array<number> = []
      for (let period = 0; period < 50; period++) {
        if (period === 25) {
          for (const lane of ["dex", "classic"] as const) {
            if (opsOf(lane) > 0) best.push(scene.submit({ lane, operations: opsOf(lane), fee: opsOf(lane) * 200_000 }))
          }
        }
        const before = scene.sent.length
        scene.run(period === 0 ? 99 : 0)
        if (period === 0) assert.strictEqual(scene.sent.length, 0)
        scene.run(period === 0 ? 2 : 101)
        const now = scene.sent.slice(before)
        const dexNow = now.filter(({ bid }) => bid.lane === "dex")
        others_ += operationsOf(now) - operationsOf(dexNow)
        for (const group of [dexNow, now.filter(({ bid }) => bid.lane !== "dex")]) {
          assert.isAtMost(operationsOf(group), 501)
        }
        // As the original counts, which has a meaning for the DEX alone and before the first other transaction.
        if (operationsOf(dexNow) + others_ === 0) idle++
      }
      for (const lane of ["dex", "classic"] as const) {
        const group = scene.sent.filter(({ bid, n }) => bid.lane === lane && !best.includes(n))
        assert.isTrue(isDescending(group.map(perOperation)), lane)
      }
      assert.strictEqual(operationsOf(scene.sent), dex * dexOps + other * otherOps)
      assert.isAtMost(idle, idleBound)
    })
  }
})

describe("do not flood too many soroban transactions", () => {
  const options = { sorobanTxPeriodMillis: 50, sorobanRatePerLedger: 2 }
  const upload = (fee: number, cost?: number): TransactionBid => ({ lane: "soroban", operations: 1, fee, cost })

  it("HRD-019 one each 50 ms, in order of decreasing fee, and the queue stays as it is", () => {
    const scene = new Scene(options)
    for (let i = 2; i < 40; i++) scene.submit(upload(10_000 - i))
    assert.strictEqual(scene.sent.length, 0)
    scene.run(51)
    assert.strictEqual(scene.sent.length, 1)
    scene.run(500)
    const before = scene.sent.length
    const best = scene.submit(upload(20_000))
    assert.strictEqual(scene.rounds.size, 39)
    scene.run(2000)
    assert.isAtLeast(scene.sent.length, 19)
    scene.run(2500)
    assert.strictEqual(scene.sent.length, 39)
    assert.strictEqual(scene.sent[before]!.n, best)
    assert.isTrue(isDescending(scene.sent.filter(({ n }) => n !== best).map(perOperation)))
    assert.strictEqual(scene.rounds.size, 39)
  })

  it("HRD-020 a large one with the best fee waits until there is enough for it, and the others behind it", () => {
    const scene = new Scene(options)
    for (let i = 0; i < 38; i++) scene.submit(upload(10_000 - i))
    // The host says what it takes: 200 KiB of reads are 50 of what a round has one of.
    const large = scene.submit(upload(20_000, 50))
    scene.run(2000)
    assert.strictEqual(scene.sent.length, 0)
    scene.run(1000)
    assert.isAtLeast(scene.sent.length, 1)
    assert.strictEqual(scene.sent[0]!.n, large)
  })

  it("HRD-019 where no limit of Soroban is known they share the rounds of the others", () => {
    const scene = new Scene({ ...options, txPeriodMillis: 200 }, { sorobanMaxTxCount: 0 })
    for (let i = 0; i < 50; i++) scene.submit(upload(100))
    scene.run(200)
    assert.strictEqual(scene.sent.length, 20) // 500 operations in 5 s
  })
})

describe("rounds", () => {
  const bid = (fee = 100): TransactionBid => ({ lane: "classic", operations: 1, fee })

  it("ADV-05 nothing to do means no clock; the first to come starts it, and equal bids go in the order they came", () => {
    const scene = new Scene()
    assert.isUndefined(scene.rounds.nextDeadline)
    scene.now = 1000
    scene.submit(bid())
    scene.now = 1150
    scene.submit(bid())
    assert.strictEqual(scene.rounds.nextDeadline, 1200)
    scene.run(1000)
    assert.deepStrictEqual(scene.sent.map(({ at, n }) => [n, at]), [[0, 1200], [1, 1200]])
    assert.isFalse(scene.rounds.add({ hash: hash(0), key: hash(0), bid: bid() }, scene.now))
  })

  it("HRD-018 what is gone when its turn comes is not advertised, and takes nothing from the round", () => {
    const scene = new Scene()
    for (let i = 0; i < 30; i++) scene.submit(bid(1000 - i))
    scene.turn = (n) => n < 10 ? "gone" : "told"
    scene.run(200)
    assert.deepStrictEqual(scene.order(), Array.from({ length: 20 }, (_, i) => 10 + i))
    assert.deepStrictEqual([scene.rounds.gone, scene.rounds.size], [10, 20])
  })

  it("FLD-004 after a ledger what is still pending is marked; what everybody knows takes nothing from the round", () => {
    const scene = new Scene()
    for (let i = 0; i < 40; i++) scene.submit(bid(1000 - i))
    scene.run(1000)
    assert.strictEqual(scene.sent.length, 40)
    scene.rounds.mark(({ hash }) => numberOf(hash) < 5 ? "gone" : numberOf(hash) < 10 ? "rests" : "again", scene.now)
    assert.strictEqual(scene.rounds.size, 35)
    scene.turn = (n) => n === 39 ? "told" : "known"
    scene.run(200)
    assert.deepStrictEqual(scene.order().slice(40), [39])
    assert.isUndefined(scene.rounds.nextDeadline)
  })

  it("ADV-05 a round looks at a bounded number of transactions that need not be told", () => {
    const scene = new Scene()
    for (let i = 0; i < MAX_IDLE_LOOKS + 10; i++) scene.submit(bid())
    let looks = 0
    scene.turn = () => (looks++, "known")
    scene.run(200)
    assert.strictEqual(looks, MAX_IDLE_LOOKS)
    scene.run(200)
    assert.strictEqual(looks, MAX_IDLE_LOOKS + 10)
  })

  it("ADV-05 beyond the bound the oldest is let go, waiting or not, and the order of the others holds", () => {
    const draw = generator(3)
    const scene = new Scene({}, {}, 100)
    const fees = Array.from({ length: 1000 }, () => 1 + below(draw, 1_000_000))
    for (const fee of fees) scene.submit(bid(fee))
    assert.deepStrictEqual([scene.rounds.size, scene.rounds.evicted], [100, 900])
    scene.run(2000)
    const expected = fees.map((fee, n) => ({ fee, n })).slice(900).sort((a, b) => b.fee - a.fee).map(({ n }) => n)
    assert.deepStrictEqual(scene.order(), expected)
  })

  it("ADV-05 no round sends more than its budget and what was carried over, and all go out in the end", () => {
    for (let seed = 0; seed < 20; seed++) {
      const draw = generator(seed)
      const scene = new Scene({ maxDexTxOperations: 100 })
      let sum = 0
      for (let i = 0; i < 200; i++) {
        const operations = 1 + below(draw, 100)
        sum += operations
        scene.submit({ lane: draw() < 0.3 ? "dex" : "classic", operations, fee: below(draw, 1000) })
        if (draw() < 0.1) scene.run(below(draw, 400))
      }
      scene.run(1_000_000)
      assert.strictEqual(operationsOf(scene.sent), sum)
      const byRound = new Map<number, number>()
      for (const { at, bid } of scene.sent) byRound.set(at, (byRound.get(at) ?? 0) + bid.operations)
      for (const spent of byRound.values()) assert.isAtMost(spent, 20 + 101)
    }
  })
})
