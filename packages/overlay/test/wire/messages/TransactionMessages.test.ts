import { assert, describe, it } from "@effect/vitest"
import { Account, hash as sha256, Keypair, Networks, Operation, TransactionBuilder, xdr } from "@stellar/stellar-base"
import { toHex } from "../../../src/internal/bytes.ts"
import {
  FloodAdvert,
  FloodDemand,
  fromBytes,
  GeneralizedTxSet,
  Transaction,
  TxSet
} from "../../../src/wire/StellarMessage.ts"
import { envelopes, many, Source, within } from "./samples.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

describe("Transaction", () => {
  for (const [kind, code] of [["TX_V0", 0], ["TX", 2], ["TX_FEE_BUMP", 5]] as const) {
    it(`COD-04 the envelope of ${kind} reads as stellar-base reads it, and make encodes it byte for byte`, () => {
      for (let seed = 1; seed <= 100; seed++) {
        const envelope = envelopes[kind](new Source(seed))
        const encoded = xdr.StellarMessage.transaction(envelope).toXDR()
        const message = fromBytes(within(encoded))
        assert(message._tag === "Transaction")
        assert.strictEqual(message.envelopeCode, code)
        assert.strictEqual(message.envelopeCode, envelope.switch().value)
        assert.strictEqual(message.envelopeType, kind)
        assert.strictEqual(hex(message.envelope), envelope.toXDR("hex"), `seed ${seed}`)
        assert.strictEqual(toHex(Transaction.make({ envelope }).bytes), hex(encoded))
        assert.strictEqual(toHex(Transaction.make({ envelope: message.envelope }).bytes), hex(encoded))
      }
    })
  }

  it("COD-04 an envelope from a wallet goes in and comes out", () => {
    const key = Keypair.fromRawEd25519Seed(Buffer.alloc(32, 1))
    const parsed = new TransactionBuilder(new Account(key.publicKey(), "1"), {
      fee: "100",
      networkPassphrase: Networks.TESTNET
    }).addOperation(Operation.bumpSequence({ bumpTo: "9" })).setTimeout(0).build()
    parsed.sign(key)
    const message = Transaction.make({ envelope: parsed.toEnvelope() })
    assert.strictEqual(TransactionBuilder.fromXDR(message.xdr.transaction(), Networks.TESTNET).signatures.length, 1)
    assert.deepStrictEqual(message.toJSON(), {
      _tag: "Transaction",
      size: message.size,
      envelopeType: "TX",
      envelopeSize: message.size - 4
    })
  })
})

const lists = { FloodAdvert, FloodDemand }

for (const tag of ["FloodAdvert", "FloodDemand"] as const) {
  const Class = lists[tag]
  describe(tag, () => {
    it("COD-04 hashes read and encode as in stellar-base", () => {
      for (const [, value] of many(tag)) {
        const encoded = value.toXDR()
        const message = fromBytes(within(encoded))
        assert(message._tag === "FloodAdvert" || message._tag === "FloodDemand")
        const list = tag === "FloodAdvert" ? value.floodAdvert() : value.floodDemand()
        const hashes = list.txHashes().map(String) // stellar-base declares no Buffer here
        assert.strictEqual(message.count, hashes.length)
        assert.deepStrictEqual(message.hashes.map((hash) => String(Buffer.from(hash))), hashes)
        for (let i = 0; i < hashes.length; i++) assert.strictEqual(String(Buffer.from(message.hash(i))), hashes[i])
        assert.strictEqual(toHex(Class.make({ hashes: message.hashes }).bytes), hex(encoded))
      }
    })

    it("COD-04 at most 1000 hashes, each of 32 bytes", () => {
      const hashes = Array.from({ length: 1000 }, () => new Uint8Array(32))
      assert.strictEqual(Class.make({ hashes }).size, 4 + 4 + 32_000)
      assert.strictEqual(Class.make({ hashes: [] }).count, 0)
      assert.throws(() => Class.make({ hashes: [...hashes, new Uint8Array(32)] }), RangeError, "1000")
      assert.throws(() => Class.make({ hashes: [new Uint8Array(31)] }), RangeError, "32 bytes")
      assert.throws(() => Class.make({ hashes: [new Uint8Array(33)] }), RangeError, "32 bytes")
    })
  })
}

describe("TxSet", () => {
  it("COD-04 every field reads as stellar-base reads it, and make encodes it byte for byte", () => {
    for (const [seed, value] of many("TxSet")) {
      const encoded = value.toXDR()
      const message = fromBytes(within(encoded))
      assert(message._tag === "TxSet")
      const set = value.txSet()
      assert.strictEqual(hex(message.previousLedgerHash), hex(set.previousLedgerHash()), `seed ${seed}`)
      assert.strictEqual(message.count, set.txes().length)
      assert.strictEqual(hex(message.body), set.toXDR("hex"))
      assert.strictEqual(hex(message.transactions), set.txes().map((tx) => tx.toXDR("hex")).join(""))
      assert.strictEqual(toHex(TxSet.make({ body: set }).bytes), hex(encoded))
      assert.strictEqual(toHex(TxSet.make({ body: message.body }).bytes), hex(encoded))
    }
  })
})

describe("GeneralizedTxSet", () => {
  it("COD-04 every field reads as stellar-base reads it, and make encodes it byte for byte", () => {
    for (const [seed, value] of many("GeneralizedTxSet", 100)) {
      const encoded = value.toXDR()
      const message = fromBytes(within(encoded))
      assert(message._tag === "GeneralizedTxSet")
      const set = value.generalizedTxSet()
      assert.strictEqual(hex(message.previousLedgerHash), hex(set.v1TxSet().previousLedgerHash()), `seed ${seed}`)
      assert.strictEqual(message.phaseCount, set.v1TxSet().phases().length)
      assert.strictEqual(hex(sha256(Buffer.from(message.body))), hex(sha256(set.toXDR())))
      assert.strictEqual(toHex(GeneralizedTxSet.make({ body: set }).bytes), hex(encoded))
      assert.strictEqual(toHex(GeneralizedTxSet.make({ body: message.body }).bytes), hex(encoded))
    }
  })
})
