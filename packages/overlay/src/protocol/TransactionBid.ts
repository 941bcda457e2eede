/**
 * What a transaction bids for its place in a flood round, read from its envelope without decoding it: the fee it pays for
 * inclusion, the operations it pays for, and which limits of the ledger it competes for.
 *
 * Implements protocol.md 5.6 (stellar-core: `TransactionFrame::getInclusionFee`, `getNumOperations`, `hasDexOperations`,
 * `isSoroban`, `feeRate3WayCompare`).
 *
 * @since 0.1.0
 */
import { xdr } from "@stellar/stellar-base"
import { readUint32 } from "../internal/bytes.ts"
import * as XdrValidator from "../wire/XdrValidator.ts"

/**
 * Which limits a transaction competes for: those of Soroban, those of offers and path payments besides the operations of
 * the ledger (`dex`), or the operations alone.
 *
 * @category models
 * @since 0.1.0
 */
export type Lane = "classic" | "dex" | "soroban"

/**
 * A bid. The greater `fee / operations` goes first.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransactionBid {
  readonly lane: Lane
  /** For inclusion, in stroops; of a Soroban transaction without what it pays for resources. */
  readonly fee: number
  /** Operations the fee is for, at least 1; a fee bump counts as one more. */
  readonly operations: number
  /**
   * What it takes from a round: its operations, or 1 for Soroban, unless given. A host that knows the limits of Soroban
   * says here which part of a ledger's a transaction uses, times the transactions in a ledger.
   */
  readonly cost?: number | undefined
}

/**
 * What a bid takes from a round.
 *
 * @category getters
 * @since 0.1.0
 */
export const costOf = ({ cost, lane, operations }: TransactionBid): number =>
  cost ?? (lane === "soroban" ? 1 : operations)

/**
 * Orders bids: negative when the first pays more per operation.
 *
 * @category ordering
 * @since 0.1.0
 */
export const compare = (a: TransactionBid, b: TransactionBid): number => b.fee * a.operations - a.fee * b.operations

/** Fee bumps count as an operation. */
const withBump = (bid: TransactionBid, fee: number): TransactionBid => ({
  ...bid,
  fee: Math.max(0, fee),
  operations: bid.operations + 1
})

const ENVELOPE_TX_V0 = 0
const ENVELOPE_TX = 2
const ENVELOPE_FEE_BUMP = 5

/** PATH_PAYMENT_STRICT_RECEIVE, MANAGE_SELL_OFFER, CREATE_PASSIVE_SELL_OFFER, MANAGE_BUY_OFFER, PATH_PAYMENT_STRICT_SEND. */
const DEX_OPERATIONS: ReadonlySet<number> = new Set([2, 3, 4, 12, 13])

/** INVOKE_HOST_FUNCTION, EXTEND_FOOTPRINT_TTL, RESTORE_FOOTPRINT. */
const isSorobanOperation = (type: number): boolean => type >= 24 && type <= 26

/** Validators give the offset of what is left over, and that is where a value ends which other data follows. */
const skipper = (make: () => XdrValidator.XdrValidator) => {
  let validator: XdrValidator.XdrValidator | undefined
  return (bytes: Uint8Array, at: number): number => {
    validator ??= make()
    const end = validator.validate(bytes, at, bytes.length)
    return end === -1 ? bytes.length : end
  }
}

const skipPreconditions = skipper(() => XdrValidator.make(xdr.Preconditions))
const skipMemo = skipper(() => XdrValidator.make(xdr.Memo))
const skipOperation = skipper(() => XdrValidator.make(xdr.Operation))
const skipExtension = skipper(() => XdrValidator.make(xdr.TransactionExt))

/** An account, with an id of its own (KEY_TYPE_MUXED_ED25519) or without. */
const skipAccount = (bytes: Uint8Array, at: number): number => at + (readUint32(bytes, at) === 0 ? 36 : 44)

const readInt64 = (bytes: Uint8Array, at: number): number =>
  (readUint32(bytes, at) | 0) * 4_294_967_296 + readUint32(bytes, at + 4)

/** What follows the sequence number, or the time bounds, which is where both kinds of transaction are alike. */
const fromMemo = (bytes: Uint8Array, memo: number, fee: number): TransactionBid => {
  let at = skipMemo(bytes, memo)
  const count = readUint32(bytes, at)
  at += 4
  let lane: Lane = "classic"
  for (let i = 0; i < count; i++) {
    const kind = readUint32(bytes, at) === 0 ? at + 4 : skipAccount(bytes, at + 4)
    const type = readUint32(bytes, kind)
    if (isSorobanOperation(type)) lane = "soroban"
    else if (lane === "classic" && DEX_OPERATIONS.has(type)) lane = "dex"
    at = skipOperation(bytes, at)
  }
  const operations = Math.max(1, count)
  if (lane !== "soroban" || readUint32(bytes, at) === 0) return { lane, fee, operations }
  // SorobanTransactionData ends with the fee for resources.
  return { lane, fee: Math.max(0, fee - readInt64(bytes, skipExtension(bytes, at) - 8)), operations }
}

const ofTransaction = (bytes: Uint8Array, start: number): TransactionBid => {
  const fee = skipAccount(bytes, start)
  return fromMemo(bytes, skipPreconditions(bytes, fee + 12), readUint32(bytes, fee))
}

/**
 * The bid of a valid TransactionEnvelope, for a host that does not say itself what its transactions bid.
 *
 * Takes less than a microsecond for a payment. Of a transaction with more operations every one is looked at.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromEnvelope = (envelope: Uint8Array): TransactionBid => {
  switch (readUint32(envelope, 0)) {
    case ENVELOPE_TX_V0: {
      const bounds = 4 + 32 + 4 + 8
      return fromMemo(envelope, bounds + (readUint32(envelope, bounds) === 0 ? 4 : 20), readUint32(envelope, 36))
    }
    case ENVELOPE_TX:
      return ofTransaction(envelope, 4)
    case ENVELOPE_FEE_BUMP: {
      const fee = skipAccount(envelope, 4)
      const inner = ofTransaction(envelope, fee + 8 + 4)
      const total = readInt64(envelope, fee)
      return withBump(inner, inner.lane === "soroban" ? total - resourceFee(envelope, fee + 8 + 4, inner) : total)
    }
    default:
      return { lane: "classic", fee: 0, operations: 1 }
  }
}

/** What the inner transaction of a fee bump pays for resources, which its outer fee covers too. */
const resourceFee = (bytes: Uint8Array, start: number, inner: TransactionBid): number =>
  readUint32(bytes, skipAccount(bytes, start)) - inner.fee
