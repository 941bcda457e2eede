import { assert, describe, it } from "@effect/vitest"
import { passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import {
  DontHave,
  FloodAdvert,
  type FloodDemand,
  GeneralizedTxSet,
  type GetTxSet,
  ScpMessage,
  Transaction
} from "@stellar-overlay/overlay/wire/StellarMessage"
import { Account, Asset, Keypair, Operation, TransactionBuilder, xdr } from "@stellar/stellar-base"
import { createHash } from "node:crypto"
import { type Event, MAX_TRACKED, Mempool, UNANSWERED_MILLIS } from "../src/mempool/Mempool.ts"

const sha256 = (data: Uint8Array): Uint8Array => createHash("sha256").update(data).digest()
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const signer = Keypair.fromRawEd25519Seed(Buffer.alloc(32, 1))

const transaction = (sequence: number, operations = 1): Transaction => {
  const builder = new TransactionBuilder(new Account(signer.publicKey(), String(sequence)), {
    fee: "100",
    networkPassphrase: passphrases.standalone
  })
  for (let i = 0; i < operations; i++) {
    builder.addOperation(Operation.payment({ destination: signer.publicKey(), asset: Asset.native(), amount: "1" }))
  }
  const built = builder.setTimeout(0).build()
  built.sign(signer)
  return Transaction.make({ envelope: built.toEnvelope().toXDR() })
}

const hashOf = (message: Transaction): Uint8Array => sha256(message.envelope)

const txSet = (classic: ReadonlyArray<Transaction>, parallel: ReadonlyArray<Transaction>): GeneralizedTxSet => {
  const component = xdr.TxSetComponent.txsetCompTxsMaybeDiscountedFee(
    new xdr.TxSetComponentTxsMaybeDiscountedFee({ baseFee: null, txes: classic.map((tx) => tx.xdr.transaction()) })
  )
  const stages = new xdr.ParallelTxsComponent({
    baseFee: null,
    executionStages: [[parallel.map((tx) => tx.xdr.transaction())]]
  })
  // stellar-base's types know only the first arm of this union.
  const soroban = new (xdr.TransactionPhase as unknown as new(arm: number, value: unknown) => xdr.TransactionPhase)(
    1,
    stages
  )
  return GeneralizedTxSet.make({
    body: new xdr.GeneralizedTransactionSet(
      1,
      new xdr.TransactionSetV1({
        previousLedgerHash: Buffer.alloc(32),
        phases: [new xdr.TransactionPhase(0, [component]), soroban]
      })
    )
  })
}

const externalize = (slot: number, txSetHash: Uint8Array): ScpMessage =>
  ScpMessage.make({
    envelope: new xdr.ScpEnvelope({
      statement: new xdr.ScpStatement({
        nodeId: xdr.PublicKey.publicKeyTypeEd25519(signer.rawPublicKey()),
        slotIndex: new xdr.Uint64(slot),
        pledges: xdr.ScpStatementPledges.scpStExternalize(
          new xdr.ScpStatementExternalize({
            commit: new xdr.ScpBallot({ counter: 1, value: Buffer.concat([txSetHash, Buffer.alloc(16)]) }),
            nH: 1,
            commitQuorumSetHash: Buffer.alloc(32)
          })
        )
      }),
      signature: Buffer.alloc(64)
    })
  })

describe("Mempool", () => {
  it("asks once for each advertised transaction, and knows what came of it", () => {
    const mempool = new Mempool({ sha256 })
    const events: Array<Event> = []
    const all = [transaction(1), transaction(2, 3), transaction(3)]
    const hashes = all.map(hashOf)
    const first = mempool.receive(FloodAdvert.make({ hashes: hashes.slice(0, 2) }), 1000, events) as FloodDemand
    assert.deepStrictEqual(first.hashes.map(hex), hashes.slice(0, 2).map(hex))
    const second = mempool.receive(FloodAdvert.make({ hashes }), 1100, events) as FloodDemand
    assert.deepStrictEqual(second.hashes.map(hex), [hex(hashes[2]!)])
    assert.isUndefined(mempool.receive(FloodAdvert.make({ hashes }), 1200, events))
    assert.deepStrictEqual(events, [])

    for (const [i, message] of all.slice(0, 2).entries()) mempool.receive(message, 1250 + i, events)
    mempool.receive(all[0]!, 1300, events)
    assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Received", "Received"])
    const [, received] = events
    assert.deepInclude(received?._tag === "Received" ? received.transaction : {}, {
      hash: hex(hashes[1]!),
      firstSeen: 1000,
      demanded: 1000,
      received: 1251,
      facts: { operations: 3, fee: 300n, source: signer.publicKey(), size: all[1]!.size - 4 }
    })
    assert.deepInclude(mempool.counts, { advertised: 3, demanded: 3, received: 2, duplicates: 1, unasked: 0 })
    assert.deepStrictEqual([mempool.open, mempool.waiting()], [1, 2])
  })

  it("gives a demand up after a while, and takes a late answer all the same", () => {
    const mempool = new Mempool({ sha256 })
    const events: Array<Event> = []
    const late = transaction(1)
    mempool.receive(FloodAdvert.make({ hashes: [hashOf(late)] }), 0, events)
    mempool.tick(UNANSWERED_MILLIS - 1, events)
    assert.deepStrictEqual(events, [])
    mempool.tick(UNANSWERED_MILLIS, events)
    mempool.tick(2 * UNANSWERED_MILLIS, events)
    assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Unanswered"])
    mempool.receive(late, 3 * UNANSWERED_MILLIS, events)
    assert.deepInclude(mempool.counts, { unanswered: 1, received: 1, unasked: 0 })
  })

  it("asks for the set of each ledger that closes, and finds its transactions in both phases", () => {
    const mempool = new Mempool({ sha256 })
    const events: Array<Event> = []
    const [a, b, c] = [transaction(1), transaction(2), transaction(3)]
    mempool.receive(FloodAdvert.make({ hashes: [hashOf(a), hashOf(b)] }), 0, events)
    mempool.receive(a, 10, events)
    mempool.receive(b, 20, events)
    const set = txSet([a], [b, c])
    const hash = sha256(set.body)
    const asked = mempool.receive(externalize(7, hash), 30, events) as GetTxSet
    assert.deepStrictEqual([asked._tag, hex(asked.hash)], ["GetTxSet", hex(hash)])
    assert.isUndefined(mempool.receive(externalize(7, hash), 31, events))
    assert.isUndefined(mempool.receive(externalize(6, sha256(hash)), 32, events))
    events.length = 0
    mempool.receive(set, 40, events)
    mempool.receive(set, 41, events)
    assert.strictEqual(events.length, 1)
    const [closed] = events
    assert.deepInclude(closed, { _tag: "Ledger", ledger: 7, transactions: 3 })
    assert.deepStrictEqual(
      closed?._tag === "Ledger" ? closed.seen.map(({ hash, ledger }) => [hash, ledger]) : [],
      [[hex(hashOf(a)), 7], [hex(hashOf(b)), 7]]
    )
    assert.strictEqual(mempool.waiting(), 0)
    // What is in a ledger is not asked for any more.
    assert.isUndefined(mempool.receive(FloodAdvert.make({ hashes: [hashOf(c)] }), 50, events))
  })

  it("a set that nobody asked for, and one the peer does not have, are not waited for", () => {
    const mempool = new Mempool({ sha256 })
    const events: Array<Event> = []
    const set = txSet([transaction(1)], [])
    mempool.receive(set, 0, events)
    mempool.receive(externalize(7, sha256(set.body)), 1, events)
    mempool.receive(DontHave.make({ itemType: 17, hash: sha256(set.body) }), 2, events)
    mempool.receive(set, 3, events)
    assert.deepStrictEqual(events, [])
  })

  it("remembers a bounded number of transactions, whatever is advertised", () => {
    const mempool = new Mempool({ sha256 })
    const events: Array<Event> = []
    const hash = (i: number) => sha256(Buffer.from(`transaction ${i}`))
    const batches = MAX_TRACKED / 1000 + 2
    for (let batch = 0; batch < batches; batch++) {
      const hashes = Array.from({ length: 1000 }, (_, i) => hash(1000 * batch + i))
      assert.strictEqual((mempool.receive(FloodAdvert.make({ hashes }), batch, events) as FloodDemand).count, 1000)
    }
    assert.strictEqual(mempool.open, MAX_TRACKED)
    // The oldest was forgotten, the newest was not.
    assert.isUndefined(mempool.receive(FloodAdvert.make({ hashes: [hash(1000 * batches - 1)] }), 0, events))
    assert.isDefined(mempool.receive(FloodAdvert.make({ hashes: [hash(0)] }), 0, events))
  })

  it("is given node ids that are accounts too", () => {
    assert.isTrue(NodeId.isNodeId(signer.publicKey()))
  })
})
