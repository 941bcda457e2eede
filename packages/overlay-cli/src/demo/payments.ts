/**
 * Small signed payments, each with a sequence number of its own.
 *
 * stellar-base makes the first; the others are that one with another number and another signature, because a node that is
 * to make thousands per second has no time for anything else. The signature covers the hash of the network id,
 * ENVELOPE_TYPE_TX and the transaction.
 */
import type { Identity } from "@stellar-overlay/overlay/NodeIdentity"
import type { Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import { Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import { Account, Asset, Operation, TransactionBuilder } from "@stellar/stellar-base"

const ENVELOPE_TYPE_TX = 2

/** Source account and fee come before the sequence number: the two discriminants, a key, a uint32. */
const SEQUENCE_AT = 4 + 4 + 32 + 4

/** What follows the transaction: the number of signatures, the hint, the length of the signature, the signature. */
const SIGNATURE_LENGTH = 64
const SIGNATURES_LENGTH = 4 + 4 + 4 + SIGNATURE_LENGTH

export interface Payments {
  /** The next payment: a TRANSACTION of about 200 bytes that nobody has seen. */
  readonly next: () => Transaction
}

export const make = (options: {
  readonly from: Identity
  readonly to: NodeId
  readonly networkPassphrase: string
  readonly crypto: Pick<Primitives, "sha256">
  /** The sequence number of the first; 1 unless given. */
  readonly first?: bigint | undefined
}): Payments => {
  const { crypto, from, networkPassphrase, to } = options
  const first = new TransactionBuilder(new Account(from.nodeId, "0"), { fee: "100", networkPassphrase })
    .addOperation(Operation.payment({ destination: to, asset: Asset.native(), amount: "1" }))
    .setTimeout(0)
    .build()
  first.addSignature(from.nodeId, Buffer.from(from.sign(first.hash())).toString("base64"))
  const template = new Uint8Array(first.toEnvelope().toXDR())
  const networkId = crypto.sha256(new TextEncoder().encode(networkPassphrase))
  const payload = new Uint8Array(36 + template.length - 4 - SIGNATURES_LENGTH)
  payload.set(networkId)
  payload[35] = ENVELOPE_TYPE_TX
  let sequence = options.first ?? 1n
  return {
    next: () => {
      const envelope = template.slice()
      new DataView(envelope.buffer).setBigInt64(SEQUENCE_AT, sequence++)
      payload.set(envelope.subarray(4, envelope.length - SIGNATURES_LENGTH), 36)
      envelope.set(from.sign(crypto.sha256(payload)), envelope.length - SIGNATURE_LENGTH)
      return Transaction.make({ envelope })
    }
  }
}
