/**
 * TRANSACTION, the two pull-mode messages that precede it, and the two kinds of transaction set.
 *
 * Layouts of protocol.md section 1.5, less 12: `bytes` begins at the discriminant.
 *
 * @since 0.1.0
 */
import type { xdr } from "@stellar/stellar-base"
import { readUint32, toHex, writeUint32 } from "../../internal/bytes.ts"
import * as F from "../../internal/xdrFields.ts"
import { toXdr } from "../../internal/xdrValue.ts"
import { MessageType } from "../MessageType.ts"
import { Base, type Json } from "./Base.ts"

/**
 * Most hashes in one FLOOD_ADVERT or FLOOD_DEMAND: `TX_ADVERT_VECTOR_MAX_SIZE` and `TX_DEMAND_VECTOR_MAX_SIZE`.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_HASHES = 1000

/**
 * The kind of a transaction envelope: legacy v0, v1, fee bump.
 *
 * @category models
 * @since 0.1.0
 */
export type EnvelopeType = "TX_V0" | "TX" | "TX_FEE_BUMP"

const envelopeTypes: Readonly<Record<number, EnvelopeType>> = { 0: "TX_V0", 2: "TX", 5: "TX_FEE_BUMP" }

/**
 * TRANSACTION: one signed transaction, the reply to a FLOOD_DEMAND.
 *
 * @category models
 * @since 0.1.0
 */
export class Transaction extends Base {
  override readonly _tag = "Transaction"
  override readonly type = MessageType.Transaction

  /**
   * Builds the message from a TransactionEnvelope: its XDR, which must be valid, or stellar-base's value.
   *
   * Throws `RangeError` when stellar-base cannot encode the value.
   */
  static make(options: { readonly envelope: Uint8Array | xdr.TransactionEnvelope }): Transaction {
    return new Transaction(F.prefixed(MessageType.Transaction, toXdr(options.envelope)))
  }

  /** The code of the envelope's kind: 0 legacy v0, 2 v1, 5 fee bump. */
  get envelopeCode(): number {
    return this.bytes[7]!
  }

  /** The kind of the envelope. */
  get envelopeType(): EnvelopeType {
    return envelopeTypes[this.envelopeCode]!
  }

  /** The TransactionEnvelope XDR, signatures included: a view. Its SHA-256 is the hash that adverts and demands name. */
  get envelope(): Uint8Array {
    return this.bytes.subarray(4)
  }

  protected override fields(): { readonly [field: string]: Json } {
    return { envelopeType: this.envelopeType, envelopeSize: this.size - 4 }
  }
}

/** What FLOOD_ADVERT and FLOOD_DEMAND share: a list of transaction hashes. */
abstract class HashList extends Base {
  /** The number of hashes. */
  get count(): number {
    return readUint32(this.bytes, 4)
  }

  /** The hash at an index below `count`: a view of 32 bytes. */
  hash(index: number): Uint8Array {
    return this.bytes.subarray(8 + 32 * index, 40 + 32 * index)
  }

  /** All hashes as views; `hash(i)` in a loop allocates less. */
  get hashes(): Array<Uint8Array> {
    const hashes: Array<Uint8Array> = []
    for (let i = 0; i < this.count; i++) hashes.push(this.hash(i))
    return hashes
  }

  protected override fields(): { readonly [field: string]: Json } {
    return { count: this.count, hashes: this.hashes.map(toHex) }
  }
}

const hashList = (type: MessageType, hashes: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (hashes.length > MAX_HASHES) throw new RangeError(`at most ${MAX_HASHES} hashes, not ${hashes.length}`)
  const bytes = F.start(type, 4 + 32 * hashes.length)
  writeUint32(bytes, 4, hashes.length)
  for (let i = 0; i < hashes.length; i++) bytes.set(F.hash("hash", hashes[i]!), 8 + 32 * i)
  return bytes
}

/**
 * FLOOD_ADVERT: the hashes of transactions the sender can supply.
 *
 * @category models
 * @since 0.1.0
 */
export class FloodAdvert extends HashList {
  override readonly _tag = "FloodAdvert"
  override readonly type = MessageType.FloodAdvert

  /** Builds the message. Throws `RangeError` for more than 1000 hashes or one that does not have 32 bytes. */
  static make(options: { readonly hashes: ReadonlyArray<Uint8Array> }): FloodAdvert {
    return new FloodAdvert(hashList(MessageType.FloodAdvert, options.hashes))
  }
}

/**
 * FLOOD_DEMAND: the hashes of advertised transactions the sender wants.
 *
 * @category models
 * @since 0.1.0
 */
export class FloodDemand extends HashList {
  override readonly _tag = "FloodDemand"
  override readonly type = MessageType.FloodDemand

  /** Builds the message. Throws `RangeError` for more than 1000 hashes or one that does not have 32 bytes. */
  static make(options: { readonly hashes: ReadonlyArray<Uint8Array> }): FloodDemand {
    return new FloodDemand(hashList(MessageType.FloodDemand, options.hashes))
  }
}

/**
 * TX_SET: a transaction set from before ledger protocol 20.
 *
 * @category models
 * @since 0.1.0
 */
export class TxSet extends Base {
  override readonly _tag = "TxSet"
  override readonly type = MessageType.TxSet

  /**
   * Builds the message from a TransactionSet: its XDR, which must be valid, or stellar-base's value.
   *
   * Throws `RangeError` when stellar-base cannot encode the value.
   */
  static make(options: { readonly body: Uint8Array | xdr.TransactionSet }): TxSet {
    return new TxSet(F.prefixed(MessageType.TxSet, toXdr(options.body)))
  }

  /** The TransactionSet XDR: a view. */
  get body(): Uint8Array {
    return this.bytes.subarray(4)
  }

  /** The hash of the ledger this set builds on: a view of 32 bytes. */
  get previousLedgerHash(): Uint8Array {
    return this.bytes.subarray(4, 36)
  }

  /** The number of transactions. */
  get count(): number {
    return readUint32(this.bytes, 36)
  }

  /**
   * The XDR of the transactions one after the other: a view.
   *
   * The hash of a legacy set leaves the count out: SHA-256 of `previousLedgerHash` followed by these bytes
   * (stellar-core: `computeNonGeneralizedTxSetContentsHash`).
   */
  get transactions(): Uint8Array {
    return this.bytes.subarray(40)
  }

  protected override fields(): { readonly [field: string]: Json } {
    return { previousLedgerHash: toHex(this.previousLedgerHash), count: this.count, bodySize: this.size - 4 }
  }
}

/**
 * GENERALIZED_TX_SET: a transaction set of ledger protocol 20 and later.
 *
 * @category models
 * @since 0.1.0
 */
export class GeneralizedTxSet extends Base {
  override readonly _tag = "GeneralizedTxSet"
  override readonly type = MessageType.GeneralizedTxSet

  /**
   * Builds the message from a GeneralizedTransactionSet: its XDR, which must be valid, or stellar-base's value.
   *
   * Throws `RangeError` when stellar-base cannot encode the value.
   */
  static make(options: { readonly body: Uint8Array | xdr.GeneralizedTransactionSet }): GeneralizedTxSet {
    return new GeneralizedTxSet(F.prefixed(MessageType.GeneralizedTxSet, toXdr(options.body)))
  }

  /** The GeneralizedTransactionSet XDR: a view. Its SHA-256 is the hash that GET_TX_SET and SCP values name. */
  get body(): Uint8Array {
    return this.bytes.subarray(4)
  }

  /** The hash of the ledger this set builds on: a view of 32 bytes. */
  get previousLedgerHash(): Uint8Array {
    return this.bytes.subarray(8, 40)
  }

  /** The number of phases: 2, classic and Soroban, in an honest set. */
  get phaseCount(): number {
    return readUint32(this.bytes, 40)
  }

  protected override fields(): { readonly [field: string]: Json } {
    return { previousLedgerHash: toHex(this.previousLedgerHash), phases: this.phaseCount, bodySize: this.size - 4 }
  }
}
