import { assert, describe, it } from "@effect/vitest"
import { fromHex } from "../../src/internal/bytes.ts"
import { primitives } from "../../src/internal/nobleCrypto.ts"
import { defaults, Floodgate } from "../../src/protocol/Floodgate.ts"
import { minRememberedSlot } from "../../src/protocol/LedgerContext.ts"
import type { NodeId } from "../../src/wire/NodeId.ts"
import { advert, below, generator, hash, nodeId } from "./floodFixtures.ts"

const peers = (count: number, from = 0): Array<{ readonly id: NodeId; readonly n: number }> =>
  Array.from({ length: count }, (_, i) => ({ id: nodeId(from + i), n: from + i }))

const gate = (options: Partial<typeof defaults> = {}) => new Floodgate(generator(1), { ...defaults, ...options })

const numbers = (found: ReadonlyArray<{ readonly n: number }>) => found.map(({ n }) => n)

describe("records", () => {
  it("FLD-02 the key of a message is the BLAKE2b-256 of its XDR, discriminant included", () => {
    // Computed with Python's hashlib over the 40 bytes of a FLOOD_ADVERT with the hash 01…01.
    const expected = fromHex("103c727febab60d3c8a5fc878614d93fce52a4b7ddee4209727206b7a90a3918")
    assert.deepStrictEqual(primitives.blake2b256(advert([new Uint8Array(32).fill(1)]).bytes), expected)
  })

  it("FLD-02 a message is new once, then known, whoever sends it, and all its senders are remembered", () => {
    const floodgate = gate()
    const three = peers(3)
    assert.isTrue(floodgate.addRecord(hash(1), three[0]!.id, 7, 0))
    assert.isFalse(floodgate.addRecord(hash(1), three[0]!.id, 7, 0))
    assert.isFalse(floodgate.addRecord(hash(1), three[1]!.id, 9, 0))
    assert.deepStrictEqual(numbers(floodgate.getPeersKnows(hash(1), three)), [0, 1])
    assert.strictEqual(floodgate.ledgerSeqOf(hash(1)), 7, "the ledger is that of the first time")
    assert.isTrue(floodgate.addRecord(hash(2), three[0]!.id, 9, 0))
    assert.strictEqual(floodgate.size, 2)
  })

  it("FLD-02 keys may be views that change afterwards", () => {
    const floodgate = gate()
    const buffer = new Uint8Array(100)
    buffer.set(hash(1), 50)
    floodgate.addRecord(buffer.subarray(50, 82), nodeId(0), 1, 0)
    buffer.fill(0)
    assert.isTrue(floodgate.has(hash(1)))
    assert.isFalse(floodgate.has(new Uint8Array(32)))
  })

  it("FLD-03 a broadcast goes once to each peer that neither sent the message nor was told", () => {
    const floodgate = gate()
    const five = peers(5)
    floodgate.addRecord(hash(1), five[2]!.id, 1, 0)
    assert.deepStrictEqual(numbers(floodgate.broadcast(hash(1), five, 1, 0)), [0, 1, 3, 4])
    assert.deepStrictEqual(floodgate.broadcast(hash(1), five, 1, 0), [])
    assert.deepStrictEqual(numbers(floodgate.broadcast(hash(1), [...five, ...peers(1, 5)], 1, 0)), [5])
  })

  it("FLD-03 our own message needs no record to be broadcast, and gets one", () => {
    const floodgate = gate()
    assert.strictEqual(floodgate.broadcast(hash(1), peers(3), 4, 0).length, 3)
    assert.isFalse(floodgate.addRecord(hash(1), nodeId(9), 5, 0), "what comes back is known")
    assert.strictEqual(floodgate.ledgerSeqOf(hash(1)), 4)
  })

  it("FLD-03 who reconnects is not told again: a peer is its node id", () => {
    const floodgate = gate()
    floodgate.broadcast(hash(1), peers(3), 1, 0)
    assert.deepStrictEqual(floodgate.broadcast(hash(1), peers(3), 1, 0), [], "other objects, the same ids")
  })

  it("FLD-04 who knows are the senders and the told, of those asked about", () => {
    const floodgate = gate()
    const six = peers(6)
    floodgate.addRecord(hash(1), six[4]!.id, 1, 0)
    floodgate.broadcast(hash(1), six.slice(0, 2), 1, 0)
    assert.deepStrictEqual(numbers(floodgate.getPeersKnows(hash(1), six)), [0, 1, 4])
    assert.deepStrictEqual(numbers(floodgate.getPeersKnows(hash(1), six.slice(1, 4))), [1])
    assert.deepStrictEqual(floodgate.getPeersKnows(hash(2), six), [])
  })

  it("FLD-04 a forgotten message is new when it comes again, and forgetting another or none changes nothing", () => {
    const floodgate = gate()
    const three = peers(3)
    floodgate.broadcast(hash(1), three, 1, 0)
    floodgate.broadcast(hash(2), three, 1, 0)
    floodgate.forgetRecord(hash(1))
    floodgate.forgetRecord(hash(3))
    assert.isTrue(floodgate.addRecord(hash(1), three[1]!.id, 1, 0))
    assert.deepStrictEqual(numbers(floodgate.getPeersKnows(hash(1), three)), [1])
    assert.isFalse(floodgate.addRecord(hash(2), three[1]!.id, 1, 0))
  })

  it("FLD-05 records of ledgers before the window go, those of its first ledger stay", () => {
    const floodgate = gate()
    for (let ledger = 1; ledger <= 30; ledger++) floodgate.broadcast(hash(ledger), peers(2), ledger, 0)
    floodgate.clearBelow(minRememberedSlot(30)) // 12 slots: 19 to 30
    for (let ledger = 1; ledger <= 30; ledger++) {
      assert.strictEqual(floodgate.has(hash(ledger)), ledger >= 19, `${ledger}`)
    }
    assert.strictEqual(floodgate.size, 12)
    floodgate.clearBelow(31)
    assert.strictEqual(floodgate.size, 0)
    assert.strictEqual(floodgate.peers, 0)
    assert.strictEqual(floodgate.broadcast(hash(30), peers(2), 31, 0).length, 2, "told again after the record is gone")
  })

  it("FLD-05 after shutdown nothing is recorded, told or known", () => {
    const floodgate = gate()
    floodgate.broadcast(hash(1), peers(2), 1, 0)
    floodgate.shutdown()
    assert.strictEqual(floodgate.size, 0)
    assert.isFalse(floodgate.addRecord(hash(1), nodeId(0), 1, 0))
    assert.isFalse(floodgate.addRecord(hash(2), nodeId(0), 1, 0))
    assert.deepStrictEqual(floodgate.broadcast(hash(3), peers(2), 1, 0), [])
    assert.strictEqual(floodgate.size, 0)
    assert.deepStrictEqual(floodgate.getPeersKnows(hash(1), peers(2)), [])
  })
})

describe("bounds", () => {
  it("FLD-01 A7 the default bounds are 262,144 records, ten minutes without use, 1024 nodes", () => {
    assert.deepStrictEqual(defaults, { maxRecords: 262_144, maxIdleMillis: 600_000, maxPeers: 1024 })
  })

  it("FLD-01 A7 400,000 distinct messages in a standing ledger keep 5000 records, and those in use stay", () => {
    const floodgate = gate({ maxRecords: 5000 })
    const key = new Uint8Array(32)
    const words = new DataView(key.buffer)
    const honest = hash(0)
    floodgate.addRecord(honest, nodeId(0), 1, 0)
    for (let n = 1; n <= 400_000; n++) {
      words.setUint32(0, Math.imul(n, 0x9e3779b1))
      words.setUint32(28, n)
      floodgate.addRecord(key, nodeId(1), 1, 0)
      if (n % 1000 === 0) {
        assert.isAtMost(floodgate.size, 5000)
        assert.isFalse(floodgate.addRecord(honest, nodeId(2), 1, 0), `the message in use was forgotten at ${n}`)
      }
    }
    assert.strictEqual(floodgate.size, 5000)
    assert.strictEqual(floodgate.evicted, 400_000 + 1 - 5000)
    assert.isTrue(floodgate.has(key), "the newest is there")
  })

  it("FLD-01 A7 in a standing ledger records expire after ten minutes without use", () => {
    const floodgate = gate()
    for (let n = 0; n < 100; n++) floodgate.addRecord(hash(n), nodeId(0), 1, 0)
    floodgate.addRecord(hash(0), nodeId(1), 1, 300_000)
    floodgate.addRecord(hash(200), nodeId(0), 1, 599_999)
    assert.strictEqual(floodgate.size, 101)
    // At most 64 leave per call, so that none takes long.
    for (let i = 0; i < 2; i++) floodgate.addRecord(hash(200), nodeId(0), 1, 600_000)
    assert.strictEqual(floodgate.size, 2)
    assert.isTrue(floodgate.has(hash(0)))
    assert.strictEqual(floodgate.expired, 99)
  })

  it("FLD-01 A7 memory: 20,000 identities that come and go occupy 1024 places, and each is told", () => {
    const floodgate = gate()
    const steady = peers(8)
    for (let n = 0; n < 20_000; n++) {
      const passing = { id: nodeId(1000 + n), n }
      const told = floodgate.broadcast(hash(n >> 4), [...steady, passing], 1, 0)
      assert.isTrue(told.includes(passing), `${n} was taken for somebody else`)
      assert.strictEqual(told.length, n % 16 === 0 ? 9 : 1, "a peer that is there is told once")
    }
    assert.isAtMost(floodgate.peers, 1024)
  })
})

describe("properties", () => {
  for (const seed of [1, 2, 3]) {
    it(`FLD-02 FLD-03 FLD-04 FLD-05 agrees with Sets over 30,000 random steps, no peer told twice (seed ${seed})`, () => {
      const draw = generator(seed)
      const floodgate = new Floodgate(draw)
      const all = peers(200)
      const model = new Map<number, { readonly ledger: number; readonly set: Set<number> }>()
      const record = (n: number, ledger: number) => {
        const found = model.get(n) ?? { ledger, set: new Set<number>() }
        model.set(n, found)
        return found
      }
      for (let step = 0; step < 30_000; step++) {
        const ledger = 1 + Math.floor(step / 500)
        const n = below(draw, 300)
        const action = draw()
        if (action < 0.5) {
          const peer = all[below(draw, 200)]!
          assert.strictEqual(floodgate.addRecord(hash(n), peer.id, ledger, step), !model.has(n))
          record(n, ledger).set.add(peer.n)
        } else if (action < 0.8) {
          const from = below(draw, 190)
          const candidates = all.slice(from, from + 10)
          const { set } = record(n, ledger)
          const expected = numbers(candidates).filter((peer) => !set.has(peer))
          assert.deepStrictEqual(numbers(floodgate.broadcast(hash(n), candidates, ledger, step)), expected)
          for (const peer of expected) set.add(peer)
        } else if (action < 0.9) {
          const expected = numbers(all).filter((peer) => model.get(n)?.set.has(peer) === true)
          assert.deepStrictEqual(numbers(floodgate.getPeersKnows(hash(n), all)), expected)
        } else if (action < 0.99) {
          floodgate.forgetRecord(hash(n))
          model.delete(n)
        } else {
          floodgate.clearBelow(ledger - 2)
          for (const [n, { ledger: made }] of model) if (made < ledger - 2) model.delete(n)
        }
        assert.strictEqual(floodgate.size, model.size)
      }
    })
  }
})
