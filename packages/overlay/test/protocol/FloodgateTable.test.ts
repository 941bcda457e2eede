/** The flat table, queue and sets behind the floodgate, adverts and demands, against plain Maps and arrays. */
import { assert, describe, it } from "@effect/vitest"
import { toHex } from "../../src/internal/bytes.ts"
import { HashMap } from "../../src/internal/hashMap.ts"
import { HashTable, makeHashSeed, NONE, spread } from "../../src/internal/hashTable.ts"
import { PeerBits } from "../../src/internal/peerBits.ts"
import { HashQueue } from "../../src/protocol/HashQueue.ts"
import { below, generator, hash, hashes, nodeId, numberOf } from "./floodFixtures.ts"

describe("HashTable", () => {
  it("FLD-01 FLD-02 agrees with a Map over 40,000 random operations, and slots stay", () => {
    const draw = generator(1)
    const table = new HashTable(makeHashSeed(draw), 700)
    const model = new Map<number, number>() // number of the hash -> slot
    for (let step = 0; step < 40_000; step++) {
      const n = below(draw, 1500)
      const slot = table.find(hash(n))
      assert.strictEqual(slot, model.get(n) ?? NONE)
      if (slot !== NONE && draw() < 0.6) {
        table.remove(slot)
        model.delete(n)
        assert.isFalse(table.isUsed(slot))
      } else if (slot === NONE && !table.isFull) {
        const added = table.add(hash(n))
        assert.isBelow(added, table.capacity)
        assert.isFalse([...model.values()].includes(added) && step < 2000, "a slot was given twice")
        model.set(n, added)
      }
      assert.strictEqual(table.size, model.size)
      assert.isAtMost(table.size, 700)
      if (step % 10_000 === 9999) {
        for (const [n, slot] of model) {
          assert.isTrue(table.isUsed(slot))
          assert.deepStrictEqual(table.hashAt(slot), hash(n))
        }
        assert.isTrue(model.size === 0 || table.isUsed(table.randomSlot(draw)))
        if (step === 19_999) {
          table.clear()
          model.clear()
          assert.strictEqual(table.capacity, 0)
        }
      }
    }
  })

  for (
    const [where, seed] of [["spread over buckets", makeHashSeed(generator(2))], [
      "in one bucket",
      new Int32Array(16)
    ]] as const
  ) {
    it(`A8 hashes that differ in a single bit, wherever it is, are different hashes (${where})`, () => {
      const table = new HashTable(seed, 300)
      const base = hash(1)
      const variants = [
        base,
        ...Array.from({ length: 256 }, (_, bit) => {
          const variant = base.slice()
          variant[bit >> 3] = variant[bit >> 3]! ^ (1 << (bit & 7))
          return variant
        })
      ]
      const slots = variants.map((variant) => {
        assert.strictEqual(table.find(variant), NONE)
        return table.add(variant)
      })
      assert.strictEqual(new Set(slots).size, 257)
      variants.forEach((variant, i) => assert.strictEqual(table.find(variant), slots[i]))
      for (let i = 0; i < 257; i += 2) table.remove(slots[i]!)
      variants.forEach((variant, i) => assert.strictEqual(table.find(variant), i % 2 === 0 ? NONE : slots[i]))
    })
  }

  // 65,536 keys each, of kinds with which simple bucket functions put many or all into one bucket.
  const engineered: ReadonlyArray<readonly [name: string, key: (i: number) => Uint8Array]> = [
    [
      "a common prefix of 30 bytes",
      (i) => Uint8Array.from({ length: 32 }, (_, at) => at < 30 ? 9 : i >> (8 * (at - 30)))
    ],
    ["a common suffix of 30 bytes", (i) => Uint8Array.from({ length: 32 }, (_, at) => at > 1 ? 9 : i >> (8 * at))],
    ["the upper bits of half-words only", (i) => {
      const key = new Uint8Array(32)
      for (let half = 0; half < 16; half++) key[2 * half] = ((i >> half) & 1) << 7
      return key
    }],
    ["words that cancel in a sum or an exclusive or", (i) => {
      const key = new Uint8Array(32)
      const words = new DataView(key.buffer)
      words.setUint32(0, i)
      words.setUint32(4, -i)
      words.setUint32(8, i)
      return key
    }],
    ["one byte in four", (i) => {
      const key = new Uint8Array(32)
      key[3] = i
      key[19] = i >> 8
      return key
    }]
  ]
  for (const [name, key] of engineered) {
    it(`A8 65,536 hashes with ${name} spread over as many buckets`, () => {
      for (let seed = 1; seed <= 5; seed++) {
        const coefficients = makeHashSeed(generator(seed))
        const buckets = new Uint16Array(65_536)
        for (let i = 0; i < 65_536; i++) {
          const bucket = spread(coefficients, key(i), 0) >>> 16
          buckets[bucket] = buckets[bucket]! + 1
        }
        // What a look-up costs on average: a random function gives 1, one bucket for all would give 32,768.
        let steps = 0
        for (const length of buckets) steps += length * (length - 1) / 2
        assert.isBelow(steps / 65_536, 8, `seed ${seed}`)
        assert.isBelow(buckets.reduce((a, b) => Math.max(a, b)), 64, `seed ${seed}`)
      }
    })
  }
})

describe("HashMap", () => {
  it("FLD-01 keeps the order of insertion and gives the oldest up first", () => {
    const draw = generator(3)
    const map = new HashMap<number>(makeHashSeed(draw), 100)
    const model = new Map<number, number>()
    for (let step = 0; step < 20_000; step++) {
      const n = below(draw, 200)
      assert.strictEqual(map.get(hash(n)), model.get(n))
      if (model.has(n)) {
        if (draw() < 0.5) {
          assert.isTrue(map.delete(hash(n)))
          model.delete(n)
        }
      } else {
        if (map.isFull) {
          const [first] = model.keys()
          assert.strictEqual(map.oldest, model.get(first!))
          map.deleteOldest()
          model.delete(first!)
        }
        map.add(hash(n), step)
        model.set(n, step)
      }
      if (step % 500 === 0) assert.deepStrictEqual(map.values(), [...model.values()])
      if (step === 10_000) {
        for (const n of model.keys()) map.delete(hash(n))
        model.clear()
      }
      assert.strictEqual(map.size, model.size)
    }
  })
})

describe("HashQueue", () => {
  it("ADV-03 is first in, first out over 50,000 random operations, however it wraps and grows", () => {
    const draw = generator(4)
    const queue = new HashQueue()
    let first = 0
    let next = 0
    const into = new Uint8Array(32)
    for (let step = 0; step < 50_000; step++) {
      const filling = Math.floor(step / 5000) % 2 === 0
      if (draw() < (filling ? 0.7 : 0.3)) {
        queue.push(hash(next++))
      } else if (draw() < 0.1) {
        queue.drop()
        if (first < next) first++
      } else if (queue.shift(into)) {
        assert.strictEqual(numberOf(into), first++)
      } else {
        assert.strictEqual(first, next)
      }
      assert.strictEqual(queue.length, next - first)
    }
    assert.isAbove(next, 20_000)
  })

  it("ADV-03 takes hashes from inside other bytes and does not share memory with them", () => {
    const queue = new HashQueue()
    const bytes = new Uint8Array(40)
    bytes.set(hash(5), 8)
    queue.push(bytes, 8)
    bytes.fill(0)
    const into = new Uint8Array(32)
    assert.isTrue(queue.shift(into))
    assert.strictEqual(toHex(into), toHex(hash(5)))
    assert.isFalse(queue.shift(into))
    assert.strictEqual(toHex(into), toHex(hash(5)))
  })
})

describe("PeerBits", () => {
  it("FLD-02 a column that changes hands takes no bits along, and nobody in use loses them before the limit", () => {
    const bits = new PeerBits(512)
    bits.resize(20)
    const model = new Map<number, Set<number>>()
    const draw = generator(5)
    for (let step = 0; step < 20_000; step++) {
      const row = below(draw, 20)
      const peer = below(draw, 20) * 20 + row // at most 400 at a time, below the 512 columns
      const column = bits.intern(nodeId(peer + 400 * Math.floor(step / 5000)))
      const set = model.get(row) ?? new Set()
      model.set(row, set)
      const id = peer + 400 * Math.floor(step / 5000)
      assert.strictEqual(bits.has(row, column), set.has(id))
      bits.add(row, column)
      set.add(id)
      if (step % 5000 === 4999) {
        for (let row = 0; row < 20; row++) bits.clearRow(row)
        model.clear()
      }
    }
    assert.isAtMost(bits.size, 512)
  })

  it("FLD-02 at the limit those not looked up for longest are forgotten, their bits with them", () => {
    const bits = new PeerBits(128)
    bits.resize(1)
    const steady = nodeId(0)
    for (let n = 0; n < 2000; n++) {
      assert.isTrue(n === 0 || bits.has(0, bits.intern(steady)), `the steady peer was forgotten at ${n}`)
      const column = bits.intern(nodeId(n))
      assert.strictEqual(bits.has(0, column), false, `${n} took over a bit`)
      bits.add(0, column)
      assert.isAtMost(bits.size, 128)
    }
  })
})

it("FLD-02 the fixtures give different hashes for different numbers", () => {
  assert.strictEqual(new Set(hashes(0, 5000).map(toHex)).size, 5000)
})
