/** The stores of a relay: items by hash, transactions by hash, and the signatures checked. */
import { assert, describe, it } from "@effect/vitest"
import { Keypair } from "@stellar/stellar-base"
import { ItemCache } from "../../src/protocol/ItemCache.ts"
import * as ScpSignature from "../../src/protocol/ScpSignature.ts"
import { defaults, TransactionPool, type TransactionPoolOptions } from "../../src/protocol/TransactionPool.ts"
import { VerifyBudget } from "../../src/protocol/VerifyBudget.ts"
import { Transaction } from "../../src/wire/StellarMessage.ts"
import { crypto, forged, generator, networkId, scp, transaction, txSet, validator } from "./fixtures.ts"

const hash = (n: number) => crypto.sha256(Uint8Array.of(n >>> 8, n))

describe("ItemCache", () => {
  const item = (size: number) => ({ size })
  const make = (maxItems: number, maxBytes: number) =>
    new ItemCache<{ readonly size: number }>(generator(1), { maxItems, maxBytes })

  it("FET-08 what was referred to longest ago makes room, by number and by bytes", () => {
    const cache = make(3, 100)
    for (let n = 0; n < 3; n++) cache.add(hash(n), item(10), 1)
    cache.touch(hash(0), 1)
    cache.add(hash(3), item(10), 1)
    assert.isUndefined(cache.get(hash(1)))
    assert.strictEqual(cache.size, 3)
    assert.isTrue(cache.add(hash(4), item(85), 1))
    assert.deepStrictEqual([cache.size, cache.bytes, cache.evicted], [2, 95, 3])
    assert.isFalse(cache.add(hash(5), item(101), 1))
    assert.strictEqual(cache.size, 2)
  })

  it("FET-08 100,000 items leave as many as fit", () => {
    const cache = make(50, 10_000)
    for (let n = 0; n < 100_000; n++) {
      cache.add(crypto.sha256(new Uint8Array(new Uint32Array([n]).buffer)), item(100), n)
    }
    assert.deepStrictEqual([cache.size, cache.bytes], [50, 5000])
  })

  it("FET-08 an item stays until its highest slot is forgotten; the checkpoint's stays", () => {
    const cache = make(10, 1000)
    cache.add(hash(1), item(10), 5)
    cache.add(hash(2), item(10), 7)
    cache.add(hash(3), item(10), 2)
    cache.touch(hash(1), 6)
    cache.touch(hash(1), 4)
    cache.eraseBelow(6, 2)
    assert.deepStrictEqual([1, 2, 3].map((n) => cache.get(hash(n)) !== undefined), [true, true, true])
    cache.eraseBelow(7, 0)
    assert.deepStrictEqual([1, 2, 3].map((n) => cache.get(hash(n)) !== undefined), [false, true, false])
    assert.strictEqual(cache.bytes, 10)
  })
})

describe("TransactionPool", () => {
  const make = (options: Partial<TransactionPoolOptions> = {}) =>
    new TransactionPool(generator(1), { ...defaults, ...options })
  const txs = Array.from({ length: 40 }, (_, n) => transaction(n + 1))
  const give = (pool: TransactionPool, n: number, now = 0) => pool.receive(txs[n]!.message, txs[n]!.hash, now)

  it("PEE-12 new is pending, known a duplicate, and what had its time is banned for a while", () => {
    const pool = make({ lifetimeMillis: 1000, banMillis: 500 })
    assert.deepStrictEqual([give(pool, 0), give(pool, 0, 999)], ["pending", "duplicate"])
    assert.strictEqual(pool.get(txs[0]!.hash)?.size, txs[0]!.message.size)
    assert.strictEqual(pool.status(txs[0]!.hash, 999), "known")
    assert.strictEqual(pool.status(txs[0]!.hash, 1000), "banned")
    assert.deepStrictEqual([give(pool, 0, 1499), pool.size, pool.bytes], ["banned", 0, 0])
    assert.strictEqual(pool.status(txs[0]!.hash, 1500), "unknown")
    assert.strictEqual(give(pool, 0, 1500), "pending")
  })

  it("PEE-12 one too large is rejected, then banned", () => {
    const pool = make({ maxTransactionSize: txs[0]!.message.size - 1 })
    assert.deepStrictEqual([give(pool, 0), give(pool, 0)], ["rejected", "banned"])
    assert.strictEqual(pool.size, 0)
  })

  it("A6 number and bytes are bounded: the oldest goes, and may come again", () => {
    const { size } = txs[0]!.message
    const few = make({ maxTransactions: 10 })
    for (let n = 0; n < 40; n++) assert.strictEqual(give(few, n), "pending")
    assert.deepStrictEqual([few.size, few.evicted, few.bytes], [10, 30, 10 * size])
    assert.strictEqual(few.status(txs[29]!.hash, 0), "unknown")
    assert.strictEqual(few.status(txs[30]!.hash, 0), "known")
    const small = make({ maxBytes: 5 * size })
    for (let n = 0; n < 40; n++) give(small, n)
    assert.deepStrictEqual([small.size, small.bytes], [5, 5 * size])
  })

  it("A6 banned hashes are bounded", () => {
    const pool = make({ maxBanned: 8 })
    for (let n = 0; n < 40; n++) pool.ban(txs[n]!.hash, 0)
    assert.strictEqual(pool.banned, 8)
    assert.deepStrictEqual([pool.status(txs[31]!.hash, 0), pool.status(txs[32]!.hash, 0)], ["unknown", "banned"])
  })

  it("A6 what is kept owns its bytes", () => {
    const pool = make()
    const { hash, message } = txs[0]!
    const chunk = new Uint8Array(65_536)
    chunk.set(message.bytes, 100)
    pool.receive(new Transaction(chunk.subarray(100, 100 + message.size)), hash, 0)
    chunk.fill(0)
    assert.deepStrictEqual(pool.get(hash)?.bytes, message.bytes)
    assert.strictEqual(pool.get(hash)?.bytes.buffer.byteLength, message.size)
  })
})

describe("signatures of SCP statements", () => {
  it("PEE-11 are Ed25519 over network id, envelope type and statement: stellar-base agrees", () => {
    const keys = Keypair.fromRawEd25519Seed(Buffer.alloc(32, 3))
    const by = {
      ...validator(1),
      key: new Uint8Array(keys.rawPublicKey()),
      sign: (data: Uint8Array) => new Uint8Array(keys.sign(Buffer.from(data)))
    }
    const message = scp({ by, slot: 12 })
    assert.isTrue(ScpSignature.isValid(crypto, networkId, message))
    assert.isTrue(
      keys.verify(Buffer.from(ScpSignature.payload(networkId, message.statement)), Buffer.from(message.signature))
    )
    assert.deepStrictEqual(
      [...ScpSignature.payload(networkId, message.statement).subarray(30, 40)],
      [...networkId.subarray(30), 0, 0, 0, 1, 0, 0, 0, 0]
    )
  })

  it("A10 a changed statement, signature or network is bad; so is a signature of another length", () => {
    const message = scp({ by: validator(1), slot: 12 })
    const changed = (at: number) => {
      const copy = scp({ by: validator(1), slot: 12 })
      copy.bytes[at]! ^= 1
      return ScpSignature.isValid(crypto, networkId, copy)
    }
    assert.isFalse(changed(20)) // the key
    assert.isFalse(changed(47)) // the slot
    assert.isFalse(changed(message.size - 1))
    assert.isFalse(ScpSignature.isValid(crypto, new Uint8Array(32), message))
  })

  it("A10 what was checked longest ago is forgotten first", () => {
    const signatures = new ScpSignature.ScpSignatures(crypto, networkId, generator(1), 4)
    const messages = Array.from({ length: 5 }, (_, slot) => forged({ by: validator(1), slot: slot + 1 }))
    for (const message of messages) assert.isFalse(signatures.check(message))
    assert.deepStrictEqual([signatures.size, signatures.verified, signatures.bad], [4, 5, 5])
    signatures.check(messages[4]!)
    assert.strictEqual(signatures.verified, 5)
    signatures.check(messages[0]!)
    assert.strictEqual(signatures.verified, 6)
    assert.isUndefined(signatures.check(forged({ by: validator(2), slot: 1 }), () => false))
  })
})

describe("VerifyBudget", () => {
  it("A10 the sum of all peers is bounded too, and so is what is known of them", () => {
    const budget = new VerifyBudget(
      { perSecond: 100, perPeerPerSecond: 50, burst: 40, perPeerBurst: 10, maxPeers: 5 },
      0
    )
    const peers = Array.from({ length: 20 }, (_, n) => validator(n).id)
    let taken = 0
    for (let now = 0; now <= 1000; now++) {
      for (const peer of peers.slice(0, 4)) while (budget.take(peer, now) === 0) taken++
    }
    assert.approximately(taken, 40 + 100, 2)
    for (const peer of peers) budget.take(peer, 2000)
    assert.strictEqual(budget.peers, 5)
  })
})

describe("transaction sets", () => {
  it("QRY-01 the zero hash is not asked for: a set of that hash is never served", () => {
    assert.notDeepEqual(txSet(1).hash, new Uint8Array(32))
  })
})
