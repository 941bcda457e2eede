import { assert, describe, it } from "@effect/vitest"
import * as PeersConfig from "@stellar-overlay/overlay/PeersConfig"
import { defaults, HandshakeBudget, unlimited } from "@stellar-overlay/overlay/protocol/HandshakeBudget"

/** How many of `attempts` calls, one every `everyMillis`, get through. */
const passing = (
  budget: HandshakeBudget,
  host: (i: number) => string,
  attempts: number,
  everyMillis: number
): number => {
  let count = 0
  for (let i = 0; i < attempts; i++) if (budget.take(host(i), i * everyMillis) === undefined) count++
  return count
}

describe("HandshakeBudget", () => {
  it("H16 one host has 20 checks a second after a burst of 40, whatever it tries", () => {
    // 10 s at 1000 a second
    assert.strictEqual(passing(new HandshakeBudget(defaults, 0), () => "a", 10_000, 1), 40 + 20 * 10 - 1)
  })

  it("H16 all hosts together have a thousand checks a second after a burst of a thousand", () => {
    // 2 s at 10 000 a second, from 5000 hosts
    assert.closeTo(passing(new HandshakeBudget(defaults, 0), (i) => `h${i % 5000}`, 20_000, 0.1), 1000 + 2 * 1000, 1)
  })

  it("H16 a host over its share takes nothing from the others", () => {
    const budget = new HandshakeBudget({ ...defaults, perSecond: 100, burst: 100 }, 0)
    assert.strictEqual(passing(budget, () => "a", 1000, 0), 40)
    assert.strictEqual(passing(budget, (i) => `b${i}`, 1000, 0), 60)
  })

  it("T13 the reason says why, and after a pause there is a burst again but no more", () => {
    const budget = new HandshakeBudget(defaults, 0)
    assert.strictEqual(passing(budget, () => "a", 100, 0), 40)
    assert.strictEqual(budget.take("a", 0)?._tag, "HandshakeRateLimited")
    assert.isUndefined(budget.take("a", 50))
    assert.isDefined(budget.take("a", 50))
    let count = 0
    while (budget.take("a", 3_600_000) === undefined) count++
    assert.strictEqual(count, 40)
  })

  it("T13 hosts are remembered up to a bound, those seen longest ago are forgotten", () => {
    const budget = new HandshakeBudget({ ...unlimited, perHostBurst: 1, perHostPerSecond: 0.001, maxHosts: 100 }, 0)
    for (let i = 0; i < 100_000; i++) budget.take(`h${i}`, 0)
    assert.strictEqual(budget.size, 100)
    assert.isDefined(budget.take("h99999", 0))
    assert.isDefined(budget.take("h99900", 0))
    assert.isUndefined(budget.take("h0", 0))
  })

  it("H15 a charge leaves a debt that time pays, up to the longest", () => {
    const { accepts, violationCost } = PeersConfig.defaults
    const budget = new HandshakeBudget(accepts, 0)
    budget.charge("a", violationCost, 0) // 20 - 300, at 5 a second
    assert.isDefined(budget.take("a", 56_000))
    assert.isUndefined(budget.take("a", 56_201))
    for (let i = 0; i < 1000; i++) budget.charge("a", violationCost, 60_000)
    assert.isDefined(budget.take("a", 60_000 + 3_600_000))
    assert.isUndefined(budget.take("a", 60_000 + 3_600_201), "an hour is the longest")
    assert.isUndefined(budget.take("b", 4_000_000))
    budget.charge("b", 0, 4_000_000)
    assert.isUndefined(budget.take("b", 4_000_000))
  })

  it("T13 H16 without limits nothing is refused, and next to nothing is remembered", () => {
    const budget = new HandshakeBudget(unlimited, 0)
    assert.strictEqual(passing(budget, (i) => `h${i % 7}`, 100_000, 0), 100_000)
    assert.strictEqual(budget.size, 1)
  })
})
