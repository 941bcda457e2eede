/** What is flooded in these tests: numbered messages that are equal when their numbers are. */
import { xdr } from "@stellar/stellar-base"
import { toHex } from "../../src/internal/bytes.ts"
import { txSetHash } from "../../src/ItemFetcher.ts"
import { primitives } from "../../src/NodeOverlayCrypto.ts"
import { GeneralizedTxSet, ScpMessage, ScpQuorumSet, Transaction, TxSet } from "../../src/wire/StellarMessage.ts"

export { generator } from "../protocol/floodFixtures.ts"

const filled = (n: number): Buffer => {
  const bytes = Buffer.alloc(32, 7)
  bytes.writeUInt32BE(n)
  return bytes
}

/** A nomination of a slot by the n-th of so many validators. Nobody signed it. */
export const scpMessage = (slot: number, n = 0): ScpMessage =>
  ScpMessage.make({
    envelope: new xdr.ScpEnvelope({
      statement: new xdr.ScpStatement({
        nodeId: xdr.PublicKey.publicKeyTypeEd25519(filled(n)),
        slotIndex: xdr.Uint64.fromString(String(slot)),
        pledges: xdr.ScpStatementPledges.scpStNominate(
          new xdr.ScpNomination({ quorumSetHash: Buffer.alloc(32, 1), votes: [], accepted: [] })
        )
      }),
      signature: Buffer.alloc(64, 4)
    })
  })

/** A transaction without operations. */
export const transaction = (n: number): Transaction =>
  Transaction.make({
    envelope: xdr.TransactionEnvelope.envelopeTypeTx(
      new xdr.TransactionV1Envelope({
        tx: new xdr.Transaction({
          sourceAccount: xdr.MuxedAccount.keyTypeEd25519(filled(9)),
          fee: 100,
          seqNum: new xdr.Int64(String(n)),
          cond: xdr.Preconditions.precondNone(),
          memo: xdr.Memo.memoNone(),
          operations: [],
          ext: new xdr.TransactionExt(0)
        }),
        signatures: []
      })
    )
  })

/** Any number of distinct transactions at the cost of a copy each. */
export function* manyTransactions(count: number, from = 0): Generator<Transaction> {
  const [first, second] = [transaction(1), transaction(2)]
  const at = first.bytes.findIndex((byte, i) => byte !== second.bytes[i]) - 3 // the end of a big-endian number
  for (let n = 0; n < count; n++) {
    const bytes = first.bytes.slice()
    new DataView(bytes.buffer).setUint32(at, from + n)
    yield new Transaction(bytes)
  }
}

export const sha256 = primitives.sha256
export const hashOf = (message: Transaction): Uint8Array => sha256(message.envelope)
export const hexOf = (message: Transaction): string => toHex(hashOf(message))
export const hexOfAny = (message: { readonly bytes: Uint8Array }): string => toHex(message.bytes)

export const txSet = (n: number): { readonly message: GeneralizedTxSet; readonly hash: Uint8Array } => {
  const message = GeneralizedTxSet.make({
    body: new xdr.GeneralizedTransactionSet(
      1,
      new xdr.TransactionSetV1({ previousLedgerHash: filled(n), phases: [new xdr.TransactionPhase(0, [])] })
    )
  })
  return { message, hash: txSetHash(sha256, message) }
}

/** A set of before protocol 20, whose hash leaves the number of transactions out. */
export const legacyTxSet = (n: number): { readonly message: TxSet; readonly hash: Uint8Array } => {
  const message = TxSet.make({ body: new xdr.TransactionSet({ previousLedgerHash: filled(n), txes: [] }) })
  return { message, hash: txSetHash(sha256, message) }
}

/** A quorum set of so many validators; not sane when the threshold is 0 or above their number. */
export const quorumSet = (
  threshold: number,
  validators = 1
): { readonly message: ScpQuorumSet; readonly hash: Uint8Array } => {
  const message = ScpQuorumSet.make({
    body: new xdr.ScpQuorumSet({
      threshold,
      validators: Array.from({ length: validators }, (_, n) => xdr.PublicKey.publicKeyTypeEd25519(filled(n + 1))),
      innerSets: []
    })
  })
  return { message, hash: sha256(message.body) }
}

/** The n-th hash nobody knows. */
export const unknown = (n: number): Uint8Array => sha256(filled(n))
