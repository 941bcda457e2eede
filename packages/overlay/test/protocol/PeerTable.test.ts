import { assert, describe, it } from "@effect/vitest"
import { PeerType } from "@stellar-overlay/overlay/protocol/PeerBackoff"
import {
  defaultLimits,
  type PeerRecord,
  PeerTable,
  type PeerTableLimits,
  unboundedLimits
} from "@stellar-overlay/overlay/protocol/PeerTable"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"

const record = (host: string, fields: Partial<PeerRecord> = {}): PeerRecord => ({
  address: PeerAddress.make(host, 11625),
  type: PeerType.Inbound,
  numFailures: 0,
  nextAttemptMillis: 0,
  lastSuccessMillis: 0,
  source: "9.9.0.0/16",
  anchor: false,
  ...fields
})

const make = (limits: PeerTableLimits) => new PeerTable({ limits, groupOf: (address) => address.subnet16 })

/** Small enough that a test can fill it. */
const small: PeerTableLimits = { maxRows: 12, maxRowsPerSource: 6, maxRowsPerTarget: 3 }

/** mulberry32 */
const generator = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
}

describe("PeerTable", () => {
  it("P4 the default bounds are 10 000 rows, 64 of one source, 32 of one target", () => {
    assert.deepStrictEqual(defaultLimits, { maxRows: 10_000, maxRowsPerSource: 64, maxRowsPerTarget: 32 })
  })

  it("P4 one source contributes no more than its share, and a flood displaces nothing that has not failed", () => {
    const table = make(defaultLimits)
    for (let i = 0; i < 1000; i++) table.insert(record(`20.${i & 255}.${i >> 8}.1`), "gossip")
    assert.strictEqual(table.size, 64)
    assert.strictEqual(table.countOfSource("9.9.0.0/16"), 64)
    assert.isDefined(table.get(PeerAddress.make("20.0.0.1", 11625)), "the first came first")
    const failed = table.get(PeerAddress.make("20.7.0.1", 11625))!
    table.update(failed, { numFailures: 1 })
    assert.isTrue(table.insert(record("30.0.0.1"), "gossip"))
    assert.strictEqual(table.size, 64)
    assert.isUndefined(table.get(failed.address), "the failed row made room")
    assert.isFalse(table.insert(record("30.1.0.1"), "gossip"))
  })

  it("P4 one target subnet has no more than its share, whoever tells of it", () => {
    const table = make(defaultLimits)
    for (let i = 0; i < 1000; i++) {
      table.insert(record(`20.1.${i >> 8}.${i & 255}`, { source: `${i % 200}.0.0.0/16` }), "gossip")
    }
    assert.strictEqual(table.size, 32)
    assert.strictEqual(table.countOfTarget("20.1.0.0/16"), 32)
  })

  it("P4 what was reached once displaces hearsay in its subnet, and is displaced by none", () => {
    const table = make(small)
    for (const host of ["20.1.0.1", "20.1.0.2", "20.1.0.3"]) assert.isTrue(table.insert(record(host), "gossip"))
    assert.isFalse(table.insert(record("20.1.0.4"), "gossip"))
    for (const host of ["20.1.0.5", "20.1.0.6", "20.1.0.7"]) {
      assert.isTrue(table.insert(record(host, { type: PeerType.Outbound, lastSuccessMillis: 1 }), "own"), host)
    }
    assert.strictEqual(table.countOfTarget("20.1.0.0/16"), 3)
    assert.isFalse(table.insert(record("20.1.0.8"), "gossip"))
    assert.isFalse(table.insert(record("20.1.0.9", { lastSuccessMillis: 2 }), "own"), "all places are proven")
  })

  it("P4 configured rows ignore the shares and always find a place", () => {
    const table = make(small)
    for (let i = 0; i < 5; i++) assert.isTrue(table.insert(record(`20.1.0.${i + 1}`), "configured"))
    assert.strictEqual(table.countOfTarget("20.1.0.0/16"), 5)
    for (let i = 0; i < 12; i++) table.insert(record(`${30 + i}.0.0.1`, { source: `${i}.0.0.0/16` }), "gossip")
    assert.strictEqual(table.size, 12)
    for (let i = 0; i < 4; i++) assert.isTrue(table.insert(record(`21.1.0.${i + 1}`), "configured"))
    assert.strictEqual(table.size, 12)
    const configured = [...table.values()].filter((row) => row.configured)
    assert.strictEqual(configured.length, 9)
  })

  it("P4 in a full table sources converge to equal shares", () => {
    const table = make(small)
    for (const [source, first] of [["1.1.0.0/16", 20], ["2.2.0.0/16", 40]] as const) {
      for (let i = 0; i < 6; i++) table.insert(record(`${first + i}.0.0.1`, { source }), "gossip")
    }
    assert.strictEqual(table.size, 12)
    for (let i = 0; i < 6; i++) table.insert(record(`${60 + i}.0.0.1`, { source: "3.3.0.0/16" }), "gossip")
    const shares = ["1.1.0.0/16", "2.2.0.0/16", "3.3.0.0/16"].map((source) => table.countOfSource(source))
    assert.deepStrictEqual(shares, [4, 4, 4])
    assert.isFalse(table.insert(record("70.0.0.1", { source: "3.3.0.0/16" }), "gossip"))
  })

  it("P4 a source that has as many rows as another, less one, takes none from it: shares do not swing", () => {
    const table = make({ ...small, maxRows: 11 })
    for (const [source, first] of [["1.1.0.0/16", 20], ["2.2.0.0/16", 40], ["3.3.0.0/16", 60]] as const) {
      for (let i = 0; i < 6; i++) table.insert(record(`${first + i}.0.0.1`, { source }), "gossip")
    }
    assert.strictEqual(table.size, 11)
    const before = [...table.values()].map((row) => row.address.key)
    for (let i = 0; i < 6; i++) {
      for (const source of ["1.1.0.0/16", "2.2.0.0/16", "3.3.0.0/16"]) {
        assert.isFalse(table.insert(record(`${80 + i}.0.0.1`, { source }), "gossip"))
      }
    }
    assert.deepStrictEqual([...table.values()].map((row) => row.address.key), before)
  })

  it("P4 a row that was reached is charged to nobody any more", () => {
    const table = make(small)
    for (let i = 0; i < 6; i++) table.insert(record(`${20 + i}.0.0.1`), "gossip")
    assert.isFalse(table.insert(record("50.0.0.1"), "gossip"))
    table.update(table.get(PeerAddress.make("22.0.0.1", 11625))!, { lastSuccessMillis: 1 })
    assert.strictEqual(table.countOfSource("9.9.0.0/16"), 5)
    assert.isTrue(table.insert(record("50.0.0.1"), "gossip"))
  })

  it("P6 an anchor is never displaced", () => {
    const table = make(small)
    for (const host of ["20.1.0.1", "20.1.0.2", "20.1.0.3"]) {
      table.insert(record(host, { anchor: true, numFailures: 99 }), "gossip")
    }
    assert.isFalse(table.insert(record("20.1.0.4", { lastSuccessMillis: 1 }), "own"))
  })

  it("PMG-04 each change of a row is told to the store once, a removed row as removed", () => {
    const table = make(unboundedLimits)
    const row = (host: string) => table.get(PeerAddress.make(host, 11625))!
    table.insert(record("20.0.0.1"), "own", true)
    assert.strictEqual(table.pending, 0, "what came from the store is not news")
    table.insert(record("20.0.0.2"), "own")
    table.update(row("20.0.0.2"), { numFailures: 1 })
    table.update(row("20.0.0.2"), { numFailures: 2 })
    table.update(row("20.0.0.1"), { configured: true }, { memoryOnly: true })
    assert.strictEqual(table.pending, 1)
    const first = table.takeChanges(10)
    assert.deepStrictEqual(first.put.map((put) => [put.address.host, put.numFailures]), [["20.0.0.2", 2]])
    assert.deepStrictEqual(first.remove, [])
    table.remove(PeerAddress.make("20.0.0.1", 11625))
    table.markChanged(first.put.map((put) => put.address))
    table.remove(PeerAddress.make("20.0.0.2", 11625))
    const second = table.takeChanges(10)
    assert.deepStrictEqual(second.put, [])
    assert.deepStrictEqual(second.remove.map((address) => address.host).sort(), ["20.0.0.1", "20.0.0.2"])
  })

  it("P4 PMG-09 no sequence of operations breaks a bound or loses count, 200 seeds", () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = generator(seed)
      const below = (n: number) => Math.floor(random() * n)
      const table = make(small)
      const model = new Map<string, string>() // what a store that takes every batch would hold
      for (let step = 0; step < 400; step++) {
        const host = `${20 + below(6)}.${below(3)}.0.${1 + below(5)}`
        const row = table.get(PeerAddress.make(host, 11625))
        const what = below(10)
        if (row === undefined) {
          table.insert(
            record(host, { source: `${below(4)}.0.0.0/16` }),
            what < 8 ? "gossip" : what === 8 ? "own" : "configured"
          )
        } else if (what < 3) table.remove(row.address)
        else if (what < 8) table.update(row, { numFailures: below(3) })
        else table.update(row, { lastSuccessMillis: 1, type: PeerType.Outbound })
        if (below(5) === 0) {
          const { put, remove } = table.takeChanges(1 + below(4))
          for (const { address, numFailures } of put) model.set(address.key, String(numFailures))
          for (const address of remove) model.delete(address.key)
        }
        assert.isAtMost(table.size, small.maxRows)
        if (step % 10 !== 0) continue
        const rows = [...table.values()]
        const sources = new Map<string, number>()
        const targets = new Map<string, number>()
        for (const { configured, group, source } of rows) {
          sources.set(source, (sources.get(source) ?? 0) + 1)
          if (!configured) targets.set(group, (targets.get(group) ?? 0) + 1)
        }
        for (const [source, count] of sources) {
          if (source === "") continue
          assert.strictEqual(table.countOfSource(source), count)
          assert.isAtMost(count, small.maxRowsPerSource)
        }
        for (const [, count] of targets) assert.isAtMost(count, small.maxRowsPerTarget)
      }
      for (const { address, numFailures } of table.takeChanges(1000).put) model.set(address.key, String(numFailures))
      for (const key of model.keys()) if (table.get(keyed(key)) === undefined) model.delete(key)
      const expected = new Map([...table.values()].map((row) => [row.address.key, String(row.numFailures)]))
      assert.deepStrictEqual(new Map([...model].sort()), new Map([...expected].sort()), `seed ${seed}`)
    }
  })

  const keyed = (key: string) => PeerAddress.make(key.split(":")[0]!, 11625)
})
