import { assert, describe, it } from "@effect/vitest"
import { toHex } from "../../src/internal/bytes.ts"
import { AdvertHistories, MAX_ADVERT_HISTORY, MAX_ADVERT_HISTORY_TOTAL } from "../../src/protocol/AdvertHistory.ts"
import * as FloodRates from "../../src/protocol/FloodRates.ts"
import { HashQueue } from "../../src/protocol/HashQueue.ts"
import { TxAdverts } from "../../src/protocol/TxAdverts.ts"
import { advert, below, generator, hash, hashes, numberOf } from "./floodFixtures.ts"

const limitsOf = (maxTxSetSize: number, sorobanMaxTxCount = 0) =>
  FloodRates.make(FloodRates.defaults, { ledgerVersion: 23, maxTxSetSize, sorobanMaxTxCount, closeTimeMillis: 5000 })

/** The setting of ADV-001 to ADV-004: 200 operations in a set, so adverts of 4 hashes. */
const limits = limitsOf(200)

const make = (maxTxSetSize = 200, histories = new AdvertHistories(generator(1))) =>
  new TxAdverts(limitsOf(maxTxSetSize), histories.open())

const queueOf = (list: ReadonlyArray<Uint8Array>) => {
  const queue = new HashQueue()
  for (const one of list) queue.push(one)
  return queue
}

const popAll = (adverts: TxAdverts): Array<number> => {
  const popped: Array<number> = []
  for (const into = new Uint8Array(32); adverts.popIncomingAdvert(into);) popped.push(numberOf(into))
  return popped
}

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

describe("incoming", () => {
  it("ADV-001 ADV-03 retries come first, and are the first to go when there is too much", () => {
    const adverts = make()
    adverts.queueIncomingAdvert(advert(hashes(0, 200)), 1)
    assert.strictEqual(adverts.size, 200)
    const retries = queueOf(hashes(1000, 200))
    adverts.retryIncomingAdvert(retries)
    assert.strictEqual(retries.length, 0)
    assert.strictEqual(adverts.size, 200)
    assert.deepStrictEqual(popAll(adverts), range(0, 200))

    adverts.queueIncomingAdvert(advert(hashes(2000, 100)), 1)
    adverts.retryIncomingAdvert(queueOf(hashes(3000, 100)))
    assert.strictEqual(adverts.size, 200)
    assert.deepStrictEqual(popAll(adverts), [...range(3000, 100), ...range(2000, 100)])
    assert.strictEqual(adverts.size, 0)
  })

  it("ADV-03 of an advert with more hashes than a set has operations the last count, and all are remembered", () => {
    const adverts = make(50)
    adverts.queueIncomingAdvert(advert(hashes(0, 10)), 1)
    adverts.queueIncomingAdvert(advert(hashes(100, 120)), 1)
    assert.strictEqual(adverts.size, 50)
    assert.strictEqual(adverts.trimmed, 80)
    for (const one of [...hashes(0, 10), ...hashes(100, 120)]) assert.isTrue(adverts.seenAdvert(one))
    assert.deepStrictEqual(popAll(adverts), range(170, 50))
  })

  it("ADV-03 new hashes push out retries first and then the oldest", () => {
    const adverts = make(50)
    adverts.queueIncomingAdvert(advert(hashes(0, 30)), 1)
    adverts.retryIncomingAdvert(queueOf(hashes(100, 20)))
    adverts.queueIncomingAdvert(advert(hashes(200, 15)), 1)
    assert.deepStrictEqual(popAll(adverts), [...range(115, 5), ...range(0, 30), ...range(200, 15)])
    adverts.queueIncomingAdvert(advert(hashes(0, 30)), 1)
    adverts.retryIncomingAdvert(queueOf(hashes(100, 20)))
    adverts.queueIncomingAdvert(advert(hashes(200, 25)), 1)
    assert.deepStrictEqual(popAll(adverts), [...range(5, 25), ...range(200, 25)])
  })

  it("ADV-03 a lower limit of a new ledger holds from the next hashes on", () => {
    const adverts = make(50)
    adverts.queueIncomingAdvert(advert(hashes(0, 50)), 1)
    adverts.updateLimits(limitsOf(10))
    adverts.queueIncomingAdvert(advert([hash(99)]), 1)
    assert.deepStrictEqual(popAll(adverts), [...range(41, 9), 99])
  })

  it("ADV-01 what was advertised before the window is forgotten, what was advertised again within it is not", () => {
    const adverts = make()
    adverts.queueIncomingAdvert(advert([hash(1), hash(2)]), 10)
    adverts.queueIncomingAdvert(advert([hash(2), hash(3)]), 11)
    adverts.clearBelow(11)
    assert.deepStrictEqual([1, 2, 3].map((n) => adverts.seenAdvert(hash(n))), [false, true, true])
    adverts.clearBelow(12)
    assert.isFalse(adverts.seenAdvert(hash(3)))
  })

  it("ADV-01 after shutdown nothing is queued, remembered or sent, and the shared history is as if it had not been", () => {
    const histories = new AdvertHistories(generator(1))
    const adverts = make(200, histories)
    adverts.queueIncomingAdvert(advert(hashes(0, 20)), 1)
    adverts.queueOutgoingAdvert(hash(1), 0)
    assert.deepStrictEqual([histories.size, histories.peers], [20, 1])
    adverts.shutdown()
    assert.deepStrictEqual([histories.size, histories.peers], [0, 0])
    adverts.queueIncomingAdvert(advert(hashes(0, 20)), 1)
    adverts.retryIncomingAdvert(queueOf(hashes(0, 20)))
    for (const one of hashes(0, 20)) assert.isUndefined(adverts.queueOutgoingAdvert(one, 0))
    assert.deepStrictEqual([adverts.size, adverts.outgoingSize, histories.size], [0, 0, 0])
    assert.isUndefined(adverts.nextDeadline)
    assert.isUndefined(adverts.tick(1_000_000))
  })
})

describe("outgoing", () => {
  it("ADV-002 ADV-02 an advert is sent 100 ms after its first hash", () => {
    const adverts = make()
    assert.isAbove(limits.maxAdvertSize, 1)
    assert.isUndefined(adverts.queueOutgoingAdvert(hash(1), 1000))
    assert.strictEqual(adverts.outgoingSize, 1)
    assert.strictEqual(adverts.nextDeadline, 1100)
    assert.isUndefined(adverts.queueOutgoingAdvert(hash(2), 1099))
    assert.isUndefined(adverts.tick(1099))
    assert.deepStrictEqual(adverts.tick(1100)?.map(numberOf), [1, 2])
    assert.strictEqual(adverts.outgoingSize, 0)
    assert.isUndefined(adverts.nextDeadline)
    assert.isUndefined(adverts.tick(2000))
  })

  it("ADV-003 ADV-02 an advert is sent at once when it is full", () => {
    const adverts = make()
    const m = limits.maxAdvertSize
    for (const one of hashes(0, m - 1)) assert.isUndefined(adverts.queueOutgoingAdvert(one, 0))
    assert.strictEqual(adverts.outgoingSize, m - 1)
    assert.deepStrictEqual(adverts.queueOutgoingAdvert(hash(99), 0)?.map(numberOf), [...range(0, m - 1), 99])
    assert.strictEqual(adverts.outgoingSize, 0)
    assert.isUndefined(adverts.tick(1000), "it was sent once")
  })

  it("ADV-004 ADV-02 however many operations a set has, an advert has at most 1000 hashes", () => {
    assert.isAtMost(limitsOf(100_000).maxAdvertSize, 1000)
    const adverts = make()
    const sent = hashes(0, 1000).flatMap((one) => adverts.queueOutgoingAdvert(one, 0) ?? [])
    assert.strictEqual(adverts.outgoingSize, 0)
    assert.deepStrictEqual(sent.map(numberOf), range(0, 1000))
    assert.strictEqual(adverts.advertised, 1000)
  })

  it("ADV-02 a full advert leaves the timer running, and the next first hash sets it anew", () => {
    const adverts = make()
    for (const one of hashes(0, 4)) adverts.queueOutgoingAdvert(one, 0)
    assert.strictEqual(adverts.nextDeadline, 100, "left running by the full advert")
    adverts.queueOutgoingAdvert(hash(10), 60)
    assert.strictEqual(adverts.nextDeadline, 160)
    assert.isUndefined(adverts.tick(100))
    assert.deepStrictEqual(adverts.tick(160)?.map(numberOf), [10])
    for (const one of hashes(0, 4)) adverts.queueOutgoingAdvert(one, 200)
    assert.isUndefined(adverts.tick(300), "it runs out over an empty list and sends nothing")
    assert.isUndefined(adverts.nextDeadline)
  })

  it("ADV-05 a hash is not advertised to a peer that advertised it", () => {
    const adverts = make()
    adverts.queueIncomingAdvert(advert([hash(1), hash(2)]), 1)
    for (const one of hashes(0, 3)) assert.isUndefined(adverts.advertise(one, 0))
    assert.deepStrictEqual(adverts.tick(100)?.map(numberOf), [0])
    assert.deepStrictEqual([adverts.advertised, adverts.suppressed], [1, 2])
  })

  it("ADV-02 queued hashes may be views that change afterwards", () => {
    const adverts = make()
    const buffer = new Uint8Array(64)
    buffer.set(hash(5), 16)
    adverts.advertise(buffer.subarray(16, 48), 0)
    buffer.fill(0)
    assert.deepStrictEqual(adverts.tick(100)?.map(numberOf), [5])
  })
})

describe("history", () => {
  it("A1 ADV-03 the default bounds are 50,000 hashes of a peer and 64 times that in all", () => {
    assert.deepStrictEqual([MAX_ADVERT_HISTORY, MAX_ADVERT_HISTORY_TOTAL], [50_000, 3_200_000])
  })

  it("A1 ADV-03 200,000 random hashes of a peer leave 50,000 remembered and a ledger's worth queued", () => {
    const histories = new AdvertHistories(generator(1))
    const adverts = make(200, histories)
    for (let n = 0; n < 200_000; n += 1000) {
      adverts.queueIncomingAdvert(advert(hashes(n, 1000)), 1)
      assert.isAtMost(histories.size, 50_000)
      assert.strictEqual(adverts.size, 200)
    }
    assert.strictEqual(histories.size, 50_000)
    // Evicted at random: of the last 1000 nearly all are left, of the first 50,000 about e^-3.
    const left = (from: number, count: number) => hashes(from, count).filter((one) => adverts.seenAdvert(one)).length
    assert.isAbove(left(199_000, 1000), 950)
    assert.approximately(left(0, 50_000), 50_000 * Math.exp(-3), 300)
  })

  it("A1 when the node's total is used up the longest history gives way, not that of another peer", () => {
    const histories = new AdvertHistories(generator(1), 50_000, 10_000)
    const honest = make(200, histories)
    const hostile = make(200, histories)
    for (let n = 0; n < 40_000; n += 1000) hostile.queueIncomingAdvert(advert(hashes(n, 1000)), 1)
    for (let n = 0; n < 3000; n += 100) {
      honest.queueIncomingAdvert(advert(hashes(100_000 + n, 100)), 1)
      hostile.queueIncomingAdvert(advert(hashes(50_000 + 10 * n, 1000)), 1)
    }
    assert.strictEqual(histories.size, 10_000)
    for (const one of hashes(100_000, 3000)) assert.isTrue(honest.seenAdvert(one))
  })

  it("A1 agrees with a Map of ledgers over random adverts and clearings, memory given back", () => {
    const draw = generator(2)
    const histories = new AdvertHistories(draw)
    const history = histories.open()
    const model = new Map<string, number>()
    for (let ledger = 1; ledger <= 60; ledger++) {
      for (let i = below(draw, 400); i > 0; i--) {
        const one = hash(below(draw, 3000))
        history.remember(one, 0, ledger)
        model.set(toHex(one), ledger)
      }
      history.clearBelow(ledger - 3)
      for (const [key, made] of model) if (made < ledger - 3) model.delete(key)
      if (ledger % 20 === 0) {
        history.clearBelow(ledger + 1)
        model.clear()
      }
      assert.strictEqual(history.size, model.size)
      assert.strictEqual(histories.size, model.size)
      for (const one of hashes(0, 3000)) assert.strictEqual(history.has(one), model.has(toHex(one)))
    }
  })
})
