import { assert, describe, it } from "@effect/vitest"
import { toHex } from "../../src/internal/bytes.ts"
import { DemandAnswers } from "../../src/protocol/DemandAnswers.ts"
import { MAX_RETRY_COUNT } from "../../src/protocol/DemandOrder.ts"
import {
  defaults,
  DEMAND_RETENTION_MILLIS,
  MAX_DELAY_DEMAND_MILLIS,
  type TransactionStatus,
  TxDemands
} from "../../src/protocol/TxDemands.ts"
import { Demander } from "./demandFixtures.ts"
import { below, generator, hash, hashes, nodeId, numberOf } from "./floodFixtures.ts"

/** As in PUL-001 to PUL-006: a back-off of 200 ms, a run every 200 ms, 1000 operations per set, two peers. */
const pullMode = (seed = 1) => {
  const node = new Demander({ backoffMillis: 200, seed })
  const [zero, one] = node.addPeers(2)
  return { node, zero: zero!, one: one! }
}

describe("pull mode", () => {
  it("PUL-001 the same advert many times is demanded once", () => {
    const { node, zero } = pullMode()
    for (let i = 0; i < 3; i++) node.advertise(zero, [hash(1)])
    node.pass(600)
    assert.deepStrictEqual([node.sent.length, node.count(zero)], [1, 1])
    node.pass(10_000)
    node.advertise(zero, [hash(1)])
    node.pass(600)
    assert.deepStrictEqual([node.sent.length, node.count(zero)], [1, 1])
  })

  it("PUL-003 each hash is demanded of who advertised it", () => {
    const { node, one, zero } = pullMode()
    node.advertise(zero, [hash(1)])
    node.advertise(one, [hash(2)])
    node.pass(200)
    assert.strictEqual(node.sent.length, 2)
    assert.deepStrictEqual([node.count(zero), node.count(one)], [1, 1])
  })

  it("PUL-004 the same hashes of two peers are shared out, and then demanded of the other", () => {
    const { node, one, zero } = pullMode()
    for (const peer of [zero, one]) node.advertise(peer, hashes(0, 5))
    node.pass(200)
    assert.strictEqual(node.sent.length, 2)
    assert.deepStrictEqual([node.count(zero), node.count(one)].sort(), [2, 3])
    node.pass(200)
    assert.strictEqual(node.sent.length, 4)
    assert.deepStrictEqual([node.count(zero), node.count(one)], [5, 5])
  })

  it("PUL-005 overlapping adverts", () => {
    const { node, one, zero } = pullMode()
    node.advertise(zero, [hash(1), hash(2), hash(4)])
    node.advertise(one, [hash(1), hash(3), hash(4)])
    node.pass(200)
    assert.deepStrictEqual([node.sent.length, node.count(zero), node.count(one)], [2, 2, 2])
    node.pass(200)
    assert.deepStrictEqual([node.sent.length, node.count(zero), node.count(one)], [4, 3, 3])
  })

  it("PUL-006 DEM-01 over 300 rounds neither peer is preferred", () => {
    const { node, one, zero } = pullMode()
    let zeroFirst = 0
    for (let round = 0; round < 300; round++) {
      for (const peer of [zero, one]) node.advertise(peer, hashes(5 * round, 5))
      node.pass(200)
      assert.strictEqual(node.sent.length, 4 * round + 2)
      const counts = [node.count(zero) - 5 * round, node.count(one) - 5 * round]
      assert.deepStrictEqual(counts.toSorted(), [2, 3])
      if (counts[0] === 3) zeroFirst++
      node.pass(200)
      assert.deepStrictEqual([node.sent.length, node.count(zero), node.count(one)], [
        4 * round + 4,
        5 * round + 5,
        5 * round + 5
      ])
    }
    assert.isAtMost(zeroFirst, 200)
    assert.isAtMost(300 - zeroFirst, 200)
  })

  it("PUL-011 DEM-02 of 19 peers that advertise a transaction nobody has, 15 are asked", () => {
    const node = new Demander()
    for (const peer of node.addPeers(19)) node.advertise(peer, [hash(1)])
    node.pass(600_000)
    assert.strictEqual(node.sent.length, 15)
    assert.strictEqual(new Set(node.sent.map(({ peer }) => peer)).size, 15)
    assert.deepStrictEqual([node.demands.demanded, node.demands.timeouts, node.demands.abandoned], [15, 14, 1])
    assert.strictEqual(node.demands.size, 0)
    assert.isTrue(node.peers.every(({ adverts }) => adverts.size === 0))
  })
})

describe("decisions", () => {
  const unknown: TransactionStatus = () => undefined

  it("DEM-02 the waits are 500 ms, 1 s, 1.5 s and then 2 s, to the millisecond", () => {
    assert.deepStrictEqual([defaults.backoffMillis, MAX_DELAY_DEMAND_MILLIS, MAX_RETRY_COUNT], [500, 2000, 15])
    const node = new Demander()
    const asker = node.addPeers(16)
    let at = 0
    asker.slice(0, 15).forEach((peer, k) => {
      const wait = k === 0 ? 0 : Math.min(500 * k, 2000)
      if (k > 0) {
        assert.strictEqual(node.demands.demandStatus(hash(1), peer.id, at + wait - 1), "retryLater", `attempt ${k + 1}`)
        assert.strictEqual(node.demands.demandStatus(hash(1), asker[k - 1]!.id, at + wait), "discard", "asked before")
      }
      at += wait
      assert.strictEqual(node.demands.demandStatus(hash(1), peer.id, at), "demand", `attempt ${k + 1}`)
      node.advertise(peer, [hash(1)])
      node.now = at
      assert.strictEqual(node.run().length, 1)
    })
    assert.strictEqual(at, 500 + 1000 + 1500 + 11 * 2000)
    assert.strictEqual(node.demands.demandStatus(hash(1), asker[15]!.id, at + 10_000), "discard", "15 were asked")
  })

  it("DEM-02 the first step of the back-off is configuration, its end is not", () => {
    const node = new Demander({ backoffMillis: 1500 })
    const [a, b, c] = node.addPeers(3)
    node.advertise(a!, [hash(1)])
    node.run()
    assert.strictEqual(node.demands.demandStatus(hash(1), b!.id, 1499), "retryLater")
    node.now = 1500
    node.advertise(b!, [hash(1)])
    node.run()
    assert.strictEqual(node.demands.demandStatus(hash(1), c!.id, 3499), "retryLater")
    assert.strictEqual(node.demands.demandStatus(hash(1), c!.id, 3500), "demand")
  })

  it("DEM-02 a hash that is too early goes back to the retries of the same peer", () => {
    const node = new Demander()
    const [a, b] = node.addPeers(2)
    node.advertise(a!, [hash(1)])
    node.run()
    node.advertise(b!, [hash(1), hash(2)])
    node.now = 200
    assert.deepStrictEqual(node.run(), [{ at: 200, peer: 1, hashes: [2] }])
    assert.strictEqual(b!.adverts.size, 1)
    node.now = 500
    assert.deepStrictEqual(node.run(), [{ at: 500, peer: 1, hashes: [1] }])
    assert.strictEqual(b!.adverts.size, 0)
  })

  it("DEM-02 what the host has or has banned is discarded", () => {
    const node = new Demander()
    const [a] = node.addPeers(1)
    node.known.set(toHex(hash(1)), "known")
    node.known.set(toHex(hash(2)), "banned")
    node.advertise(a!, hashes(1, 3))
    assert.deepStrictEqual(node.run().map(({ hashes }) => hashes), [[3]])
    assert.strictEqual(a!.adverts.size, 0)
    assert.strictEqual(node.demands.size, 1)
  })

  it("DEM-02 60 s after it was first demanded a hash is forgotten, and counted if it never came", () => {
    assert.strictEqual(DEMAND_RETENTION_MILLIS, 60_000)
    const node = new Demander()
    const [a] = node.addPeers(1)
    node.advertise(a!, [hash(1), hash(2)])
    node.run()
    node.demands.recvTransaction(hash(2), a!.id, 100)
    node.now = 59_999
    node.run()
    assert.deepStrictEqual([node.demands.size, node.demands.abandoned], [2, 0])
    node.now = 60_000
    node.run()
    assert.deepStrictEqual([node.demands.size, node.demands.abandoned], [0, 1])
    assert.strictEqual(node.demands.demandStatus(hash(1), a!.id, 60_000), "demand")
  })

  it("DEM-01 a run takes at most the greatest demand of each peer, in turns, the rest stays queued", () => {
    const node = new Demander() // 1000 operations: 80 hashes
    const [a, b] = node.addPeers(2)
    node.advertise(a!, hashes(0, 200))
    node.advertise(b!, hashes(1000, 30))
    assert.strictEqual(node.limits.maxDemandSize, 80)
    const sent = node.run()
    assert.deepStrictEqual(sent.map(({ hashes, peer }) => [peer, hashes.length]).sort(), [[0, 80], [1, 30]])
    assert.strictEqual(a!.adverts.size, 120)
    assert.deepStrictEqual(sent.find(({ peer }) => peer === 0)!.hashes, hashes(0, 80).map(numberOf), "in order")
    node.now = 200
    assert.deepStrictEqual(node.run().map(({ hashes }) => hashes.length), [80])
  })

  it("DEM-01 after shutdown nothing is demanded or remembered", () => {
    const node = new Demander()
    const [a] = node.addPeers(1)
    node.advertise(a!, hashes(0, 3))
    node.run()
    node.demands.shutdown()
    node.advertise(a!, hashes(10, 3))
    assert.deepStrictEqual(node.run(), [])
    assert.strictEqual(node.demands.size, 0)
    assert.isUndefined(node.demands.recvTransaction(hash(0), a!.id, 1))
  })

  it("DEM-03 latency is counted once from the first demand, and for each peer from its own", () => {
    const node = new Demander()
    const [a, b, c] = node.addPeers(3)
    node.advertise(a!, [hash(1)])
    node.now = 1000
    node.run()
    node.now = 1600
    node.advertise(b!, [hash(1)])
    node.run()
    const { demands } = node
    assert.deepStrictEqual(demands.recvTransaction(hash(1), b!.id, 1650), { total: 650, peer: 50 })
    assert.deepStrictEqual(demands.recvTransaction(hash(1), a!.id, 1700), { total: undefined, peer: 700 })
    assert.deepStrictEqual(demands.recvTransaction(hash(1), c!.id, 1800), { total: undefined, peer: undefined })
    assert.isUndefined(demands.recvTransaction(hash(2), a!.id, 1800), "nobody was asked for it")
  })

  it("DEM-03 a first transaction from a peer that was not asked counts from the first demand", () => {
    const node = new Demander()
    const [a, b] = node.addPeers(2)
    node.advertise(a!, [hash(1)])
    node.run()
    assert.deepStrictEqual(node.demands.recvTransaction(hash(1), b!.id, 300), { total: 300, peer: undefined })
  })

  it("DEM-03 newly pending transactions are relevant, no others; the floodgate forgets what is no good", () => {
    const demands = new TxDemands(generator(1))
    const forget = (["pending", "duplicate", "rejected", "banned"] as const).map((verdict) =>
      demands.recordVerdict(verdict)
    )
    assert.deepStrictEqual(forget, [false, false, true, true])
    assert.deepStrictEqual([demands.relevant, demands.irrelevant], [1, 3])
  })

  it("DEM-02 a demand says how many of its hashes another peer left unanswered", () => {
    const node = new Demander()
    const [a, b] = node.addPeers(2)
    node.advertise(a!, hashes(1, 2))
    assert.deepStrictEqual(node.demands.run(0, node.peers, 80, unknown).map(({ timeouts }) => timeouts), [0])
    node.advertise(b!, hashes(1, 3))
    const [second] = node.demands.run(500, node.peers, 80, unknown)
    assert.deepStrictEqual([second!.hashes.length, second!.timeouts], [3, 2])
    assert.strictEqual(node.demands.timeouts, 2)
  })

  it("A1 A7 DEM-02 100,000 bogus hashes leave as many remembered as the bound says, and new ones are demanded", () => {
    assert.strictEqual(defaults.maxDemanded, 100_000)
    const node = new Demander({ maxDemanded: 3000, maxTxSetSize: 100_000 })
    const [a] = node.addPeers(1)
    for (let n = 0; n < 100_000; n += 1000) {
      node.advertise(a!, hashes(n, 1000))
      node.now += 10
      assert.strictEqual(node.run().reduce((sum, { hashes }) => sum + hashes.length, 0), 1000)
      assert.isAtMost(node.demands.size, 3000)
    }
    assert.strictEqual(node.demands.evicted, 100_000 - 3000)
    assert.strictEqual(node.demands.abandoned, node.demands.evicted)
  })
})

describe("properties", () => {
  for (const policy of ["core", "fair"] as const) {
    for (const seed of [1, 2, 3, 4]) {
      it(`DEM-01 DEM-02 each advertised hash is asked of each of its advertisers once, 15 at most, or known: ${policy} ${seed}`, () => {
        const node = new Demander({ seed, policy, maxTxSetSize: 20_000 })
        const { draw } = node
        const peers = node.addPeers(20)
        for (const peer of peers) Object.assign(peer, { outbound: draw() < 0.4, group: `g${below(draw, 8)}` })
        const advertisers = new Map<number, Set<number>>()
        const known = new Set<number>()
        for (let step = 0; step < 40; step++) {
          for (const peer of peers) {
            if (draw() < 0.5) continue
            const list = Array.from({ length: 1 + below(draw, 20) }, () => below(draw, 400))
            node.advertise(peer, list.map(hash))
            for (const n of list) advertisers.set(n, (advertisers.get(n) ?? new Set()).add(peer.n))
          }
          node.pass(200)
          for (const { hashes, peer } of node.sent.filter(({ at }) => at === node.now)) {
            for (const n of hashes) {
              if (draw() > 0.2) continue
              known.add(n)
              node.known.set(toHex(hash(n)), draw() < 0.5 ? "known" : "banned")
              node.demands.recvTransaction(hash(n), nodeId(peer), node.now)
            }
          }
        }
        node.pass(45_000) // all attempts, and before any is forgotten: 8 s + 45 s
        const asked = new Map<number, Array<{ readonly at: number; readonly peer: number }>>()
        for (const { at, hashes, peer } of node.sent) {
          assert.isAtMost(hashes.length, node.limits.maxDemandSize)
          for (const n of hashes) asked.set(n, [...(asked.get(n) ?? []), { at, peer }])
        }
        for (const [n, of] of advertisers) {
          const attempts = asked.get(n) ?? []
          const who = new Set(attempts.map(({ peer }) => peer))
          assert.strictEqual(who.size, attempts.length, "a peer was asked twice")
          assert.isTrue([...who].every((peer) => of.has(peer)), "a peer was asked that had not advertised")
          assert.isAtMost(attempts.length, 15)
          if (!known.has(n) && (policy === "core" || of.size <= 11)) {
            assert.strictEqual(attempts.length, Math.min(15, of.size), `${n}`)
          }
          const times = [...new Set(attempts.map(({ at }) => at))]
          for (let i = 1; i < times.length; i++) {
            const before = attempts.filter(({ at }) => at < times[i]!).length
            const wait = policy === "core" ? Math.min(500 * before, 2000) : 500
            assert.isAtLeast(times[i]! - times[i - 1]!, wait)
          }
          if (policy === "core") assert.strictEqual(times.length, attempts.length, "two were asked at once")
        }
        for (const peer of peers) assert.strictEqual(peer.adverts.size, 0, "a hash was neither demanded nor discarded")
      })
    }
  }
})

describe("DemandAnswers", () => {
  it("A5 the same transaction is sent to a peer once a minute, however often it is demanded", () => {
    const answers = new DemandAnswers(generator(1))
    let sent = 0
    for (let now = 0; now < 600_000; now += 100) if (answers.answer(hash(1), "known", now)) sent++
    assert.strictEqual(sent, 10)
    assert.deepStrictEqual([answers.fulfilled, answers.repeated], [10, 5990])
    assert.isTrue(answers.answer(hash(2), "known", 600_000), "another transaction is sent at once")
  })

  it("A4 demands for unknown and banned transactions are counted, not remembered, and not answered", () => {
    const answers = new DemandAnswers(generator(1))
    for (const one of hashes(0, 1000)) assert.isFalse(answers.answer(one, "unknown", 0))
    assert.isFalse(answers.answer(hash(1), undefined, 0))
    assert.isFalse(answers.answer(hash(1), "banned", 0))
    assert.deepStrictEqual([answers.unfulfilledUnknown, answers.unfulfilledBanned, answers.fulfilled], [1001, 1, 0])
    assert.strictEqual(answers.size, 0)
  })

  it("A5 10,000 answers are remembered, the oldest makes room; a period of 0 is core's behaviour", () => {
    const answers = new DemandAnswers(generator(1), 60_000, 100)
    for (const one of hashes(0, 250)) assert.isTrue(answers.answer(one, "known", 0))
    assert.strictEqual(answers.size, 100)
    assert.isFalse(answers.answer(hash(150), "known", 0))
    assert.isTrue(answers.answer(hash(149), "known", 0))
    const core = new DemandAnswers(generator(1), 0)
    for (let i = 0; i < 5; i++) assert.isTrue(core.answer(hash(1), "known", 0))
    assert.strictEqual(core.size, 0)
  })
})
