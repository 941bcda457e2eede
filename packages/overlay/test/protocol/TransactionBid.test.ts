/** What a transaction bids, read from its envelope, against what stellar-base decodes. */
import { assert, describe, it } from "@effect/vitest"
import { randomXdrBytes, seeded } from "@stellar-overlay/overlay-test/RandomXdr"
import {
  Account,
  Asset,
  Keypair,
  Memo,
  Networks,
  Operation,
  SorobanDataBuilder,
  TransactionBuilder,
  xdr
} from "@stellar/stellar-base"
import * as TransactionBid from "../../src/protocol/TransactionBid.ts"

const key = Keypair.fromRawEd25519Seed(Buffer.alloc(32, 1))
const destination = Keypair.fromRawEd25519Seed(Buffer.alloc(32, 2)).publicKey()

const payment = Operation.payment({ destination, asset: Asset.native(), amount: "1" })
const pathPayment = Operation.pathPaymentStrictSend({
  sendAsset: Asset.native(),
  sendAmount: "1",
  destination,
  destAsset: Asset.native(),
  destMin: "1",
  path: []
})
const offer = Operation.manageSellOffer({
  selling: Asset.native(),
  buying: new Asset("X", destination),
  amount: "1",
  price: "1"
})

const built = (operations: ReadonlyArray<xdr.Operation>, fee = "100") => {
  const builder = new TransactionBuilder(new Account(key.publicKey(), "0"), {
    fee,
    networkPassphrase: Networks.TESTNET
  })
  for (const operation of operations) builder.addOperation(operation)
  return builder
}

const bidOf = (envelope: xdr.TransactionEnvelope) => TransactionBid.fromEnvelope(new Uint8Array(envelope.toXDR()))

/** The same by decoding. */
const decoded = (bytes: Uint8Array): TransactionBid.TransactionBid => {
  const envelope = xdr.TransactionEnvelope.fromXDR(Buffer.from(bytes))
  const bump = envelope.switch() === xdr.EnvelopeType.envelopeTypeTxFeeBump() ? envelope.feeBump().tx() : undefined
  const tx = bump === undefined
    ? envelope.switch() === xdr.EnvelopeType.envelopeTypeTx() ? envelope.v1().tx() : envelope.v0().tx()
    : bump.innerTx().v1().tx()
  const names = tx.operations().map((operation) => operation.body().switch().name)
  const isSoroban = names.some((name) => /^(invokeHostFunction|extendFootprintTtl|restoreFootprint)$/.test(name))
  const isDex = names.some((name) => /Offer$|^pathPayment/.test(name))
  const ext = tx.ext() as xdr.TransactionExt // a TransactionV0Ext has no Soroban data
  const resources = isSoroban && ext.switch() === 1 ? Number(ext.sorobanData().resourceFee().toBigInt()) : 0
  const operations = Math.max(1, names.length)
  return {
    lane: isSoroban ? "soroban" : isDex ? "dex" : "classic",
    fee: bump === undefined ? Math.max(0, tx.fee() - resources) : Number(bump.fee().toBigInt()),
    operations: bump === undefined ? operations : operations + 1
  }
}

describe("what a transaction bids", () => {
  it("HRD-021 HRD-022 HRD-023 the fee and the operations it is for", () => {
    for (const count of [1, 7, 100]) {
      const tx = built(Array.from({ length: count }, () => payment), "250").setTimeout(0).build()
      assert.deepStrictEqual(bidOf(tx.toEnvelope()), { lane: "classic", fee: 250 * count, operations: count })
    }
  })

  it("HRD-024 HRD-030 one offer or path payment makes it one of the DEX", () => {
    for (const operations of [[offer], [payment, pathPayment], [offer, payment, payment]]) {
      const tx = built(operations).setTimeout(0).build()
      assert.strictEqual(bidOf(tx.toEnvelope()).lane, "dex")
    }
  })

  it("HRD-019 a Soroban transaction bids what it pays beyond its resources, and costs one", () => {
    const tx = built([Operation.extendFootprintTtl({ extendTo: 1 })], "5000")
      .setSorobanData(new SorobanDataBuilder().setResourceFee(1200).build())
      .setTimeout(0)
      .build()
    const bid = bidOf(tx.toEnvelope())
    assert.deepStrictEqual(bid, { lane: "soroban", fee: Number(tx.fee) - 1200, operations: 1 })
    assert.strictEqual(TransactionBid.costOf(bid), 1)
  })

  it("HRD-021 memo, preconditions and muxed accounts are passed over; a fee bump pays for one operation more", () => {
    const tx = built([payment, payment])
      .setTimebounds(1, 2)
      .setLedgerbounds(3, 4)
      .setMinAccountSequence("5")
      .setExtraSigners([destination])
      .addMemo(Memo.text("an odd memo"))
      .build()
    assert.deepStrictEqual(bidOf(tx.toEnvelope()), { lane: "classic", fee: 200, operations: 2 })
    tx.sign(key)
    const bump = TransactionBuilder.buildFeeBumpTransaction(key, "1000", tx, Networks.TESTNET)
    assert.deepStrictEqual(bidOf(bump.toEnvelope()), { lane: "classic", fee: Number(bump.fee), operations: 3 })
  })

  it("HRD-021 of random envelopes of all kinds it says what decoding says", () => {
    const chance = seeded(7)
    const kinds = new Set<string>()
    for (let n = 0; n < 3000; n++) {
      const bytes = randomXdrBytes(xdr.TransactionEnvelope, chance, 200 + n % 1500)
      const expected = decoded(bytes)
      const bid = TransactionBid.fromEnvelope(bytes)
      kinds.add(`${bytes[3]} ${bid.lane}`)
      if (bytes[3] === 5 && bid.lane === "soroban") continue // outer and inner fees have nothing to do with each other
      assert.deepStrictEqual(bid, { ...expected, fee: Math.max(0, expected.fee) })
    }
    assert.isAtLeast(kinds.size, 7)
  })

  it("HRD-021 who pays more per operation goes first", () => {
    const bid = (fee: number, operations: number) => ({ lane: "classic" as const, fee, operations })
    const order = [bid(100, 1), bid(700, 6), bid(101, 1), bid(10_000, 100), bid(50, 1)].sort(TransactionBid.compare)
    assert.deepStrictEqual(order.map(({ fee }) => fee), [700, 101, 100, 10_000, 50])
  })
})
