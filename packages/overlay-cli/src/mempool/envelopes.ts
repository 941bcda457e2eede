/** What is in transactions and in sets of them, with stellar-base. */
import type { GeneralizedTxSet, Transaction, TxSet } from "@stellar-overlay/overlay/wire/StellarMessage"
import { StrKey, type xdr } from "@stellar/stellar-base"

export interface TransactionFacts {
  readonly operations: number
  /** What it offers to pay at most, in stroops. */
  readonly fee: bigint
  /** The account that pays the fee: `G…`, or `M…` for a multiplexed one. */
  readonly source: string
  /** The size of the envelope in bytes. */
  readonly size: number
}

const accountOf = (account: xdr.MuxedAccount): string =>
  account.switch().name === "keyTypeEd25519"
    ? StrKey.encodeEd25519PublicKey(account.ed25519())
    : StrKey.encodeEd25519PublicKey(account.med25519().ed25519())

/** The facts of a transaction message. */
export const factsOf = (message: Transaction): TransactionFacts => {
  const envelope = message.xdr.transaction()
  const size = message.size - 4
  switch (envelope.switch().name) {
    case "envelopeTypeTx": {
      const tx = envelope.v1().tx()
      return { operations: tx.operations().length, fee: BigInt(tx.fee()), source: accountOf(tx.sourceAccount()), size }
    }
    case "envelopeTypeTxV0": {
      const tx = envelope.v0().tx()
      const source = StrKey.encodeEd25519PublicKey(tx.sourceAccountEd25519())
      return { operations: tx.operations().length, fee: BigInt(tx.fee()), source, size }
    }
    default: {
      const tx = envelope.feeBump().tx()
      const operations = tx.innerTx().v1().tx().operations().length
      return { operations, fee: BigInt(tx.fee().toString()), source: accountOf(tx.feeSource()), size }
    }
  }
}

const inPhase = (phase: xdr.TransactionPhase): Array<xdr.TransactionEnvelope> =>
  phase.switch() === 0
    ? phase.v0Components().flatMap((component) => component.txsMaybeDiscountedFee().txes())
    : phase.parallelTxsComponent().executionStages().flat(2)

/** The envelopes in a transaction set of either kind. */
export const envelopesOf = (set: GeneralizedTxSet | TxSet): Array<Uint8Array> => {
  const envelopes = set._tag === "TxSet"
    ? set.xdr.txSet().txes()
    : set.xdr.generalizedTxSet().v1TxSet().phases().flatMap(inPhase)
  return envelopes.map((envelope) => envelope.toXDR())
}
