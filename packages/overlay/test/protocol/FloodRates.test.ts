import { assert, describe, it } from "@effect/vitest"
import { FloodBudget, MAX_CLASSIC_CARRY_OVER, MAX_SOROBAN_CARRY_OVER } from "../../src/protocol/FloodBudget.ts"
import * as FloodRates from "../../src/protocol/FloodRates.ts"
import { below, generator } from "./floodFixtures.ts"

const ledger: FloodRates.FloodLedger = {
  ledgerVersion: 23,
  maxTxSetSize: 1000,
  sorobanMaxTxCount: 2000,
  closeTimeMillis: 5000
}

const limits = (
  changes: Partial<FloodRates.FloodLedger> = {},
  options: Partial<FloodRates.FloodRateOptions> = {}
) => FloodRates.make({ ...FloodRates.defaults, ...options }, { ...ledger, ...changes })

describe("FloodRates", () => {
  it("ADV-04 1000 operations and 2000 Soroban transactions in 5 s make adverts of 60 hashes", () => {
    assert.strictEqual(limits().maxAdvertSize, 60)
  })

  it("ADV-04 the greatest advert is operations per ledger × period / close time, rounded up, within 1 and 1000", () => {
    const size = (changes: Partial<FloodRates.FloodLedger>, options?: Partial<FloodRates.FloodRateOptions>) =>
      limits(changes, options).maxAdvertSize
    assert.strictEqual(size({ sorobanMaxTxCount: 0 }), 20)
    assert.strictEqual(size({ ledgerVersion: 19 }), 20, "Soroban counts from protocol 20 on")
    assert.strictEqual(size({ ledgerVersion: 20 }), 60)
    assert.strictEqual(size({ maxTxSetSize: 200, sorobanMaxTxCount: 0 }), 4)
    assert.strictEqual(size({ maxTxSetSize: 201, sorobanMaxTxCount: 0 }), 5)
    assert.strictEqual(size({ closeTimeMillis: 4000 }), 75)
    assert.strictEqual(size({ maxTxSetSize: 0, sorobanMaxTxCount: 0 }), 1)
    assert.strictEqual(size({ maxTxSetSize: 100_000 }), 1000)
    assert.strictEqual(size({}, { opRatePerLedger: 0.5 }), 50)
    assert.strictEqual(size({}, { sorobanRatePerLedger: 2 }), 100)
    // Half an operation is none: 0.5 × 201 = 100, not 100.5; 100 × 100 / 5000 = 2.
    assert.strictEqual(size({ maxTxSetSize: 201, sorobanMaxTxCount: 0 }, { opRatePerLedger: 0.5 }), 2)
    assert.strictEqual(size({}, { advertPeriodMillis: 200 }), 120)
  })

  it("DEM-01 the greatest demand is that of a queue twice as long, per 200 ms, within 1 and 1000", () => {
    assert.strictEqual(limits().maxDemandSize, 240) // (2 × 1000 + 2 × 2000) × 200 / 5000
    assert.strictEqual(limits({ sorobanMaxTxCount: 0 }).maxDemandSize, 80)
    assert.strictEqual(limits({ ledgerVersion: 19 }).maxDemandSize, 80)
    assert.strictEqual(limits({ maxTxSetSize: 0, sorobanMaxTxCount: 0 }).maxDemandSize, 1)
    assert.strictEqual(limits({ maxTxSetSize: 50_000 }).maxDemandSize, 1000)
  })

  it("ADV-05 a round of 200 ms advertises a 25th of a ledger of 5 s", () => {
    const { opsPerRound, sorobanTxsPerRound } = limits()
    assert.deepStrictEqual([opsPerRound, sorobanTxsPerRound], [40, 80])
    const few = limits({ maxTxSetSize: 26, sorobanMaxTxCount: 1 })
    assert.deepStrictEqual([few.opsPerRound, few.sorobanTxsPerRound], [2, 1])
    assert.strictEqual(limits({ ledgerVersion: 19 }).sorobanTxsPerRound, 0)
  })

  it("ADV-04 the close time is a network setting of 4 to 5 s since protocol 23, and 5 s before", () => {
    assert.strictEqual(FloodRates.closeTimeMillis(22, 4200), 5000)
    assert.strictEqual(FloodRates.closeTimeMillis(23, 4200), 4200)
    assert.strictEqual(FloodRates.closeTimeMillis(23, 100), 4000)
    assert.strictEqual(FloodRates.closeTimeMillis(23, 9000), 5000)
  })
})

interface Tx {
  readonly fee: number
  readonly operations: number
}
const options = {
  cost: (tx: Tx) => tx.operations,
  compare: (a: Tx, b: Tx) => b.fee * a.operations - a.fee * b.operations
}

describe("FloodBudget", () => {
  it("ADV-05 the best paying go first, and what does not fit waits with all behind it", () => {
    const budget = new FloodBudget(MAX_CLASSIC_CARRY_OVER)
    const pending = [
      { fee: 500, operations: 20 },
      { fee: 900, operations: 30 },
      { fee: 10, operations: 1 },
      { fee: 100, operations: 1 }
    ]
    assert.deepStrictEqual(budget.round(40, pending, options).map(({ fee }) => fee), [100, 900])
    assert.strictEqual(budget.carryOver, 9)
  })

  it("ADV-05 a transaction of 100 operations goes out in the third round of 40, whatever cheaper ones there are", () => {
    const budget = new FloodBudget(MAX_CLASSIC_CARRY_OVER)
    const great = { fee: 100_000, operations: 100 }
    let pending: Array<Tx> = [great, ...Array.from({ length: 50 }, () => ({ fee: 100, operations: 1 }))]
    const rounds: Array<number> = []
    for (let round = 0; round < 4; round++) {
      const flushed = budget.round(40, pending, options)
      pending = pending.filter((tx) => !flushed.includes(tx))
      rounds.push(flushed.length)
    }
    assert.deepStrictEqual(rounds, [0, 0, 21, 30])
  })

  it("ADV-05 no more than 101 operations, or one Soroban transaction, are carried over", () => {
    const classic = new FloodBudget(MAX_CLASSIC_CARRY_OVER)
    for (let round = 0; round < 100; round++) classic.round(40, [], options)
    assert.strictEqual(classic.carryOver, 101)
    const ones = Array.from({ length: 500 }, () => ({ fee: 1, operations: 1 }))
    assert.strictEqual(classic.round(40, ones, options).length, 141)
    const soroban = new FloodBudget(MAX_SOROBAN_CARRY_OVER)
    for (let round = 0; round < 100; round++) soroban.round(8, [], options)
    assert.strictEqual(soroban.round(8, ones, options).length, 9)
  })

  it("ADV-05 over any rounds no more goes out than was allowed and carried, and everything does in the end", () => {
    const draw = generator(1)
    for (let game = 0; game < 50; game++) {
      const perRound = 1 + below(draw, 60)
      const budget = new FloodBudget(MAX_CLASSIC_CARRY_OVER)
      let pending = Array.from({ length: 40 }, () => ({ fee: 1 + below(draw, 1000), operations: 1 + below(draw, 101) }))
      const rounds = Math.ceil(pending.reduce((sum, tx) => sum + tx.operations, 0) / perRound)
      let spent = 0
      for (let round = 1; pending.length > 0; round++) {
        const flushed = budget.round(perRound, pending, options)
        spent += flushed.reduce((sum, tx) => sum + tx.operations, 0)
        assert.isAtMost(spent, round * perRound)
        assert.isAtMost(round, rounds + 1)
        pending = pending.filter((tx) => !flushed.includes(tx))
      }
    }
  })
})
