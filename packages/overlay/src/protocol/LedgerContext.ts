/**
 * The few numbers about the ledger that shedding in the outbound queues depends on, and how they follow from the
 * ledger consensus is at.
 *
 * Implements protocol.md 4.6 (stellar-core: `Herder::getMinLedgerSeqToRemember`, `getMostRecentCheckpointSeq`,
 * `getMaxTxSize`, `LedgerManager::getLastMaxTxSetSizeOps`).
 *
 * @since 0.1.0
 */

/**
 * MAX_SLOTS_TO_REMEMBER: slots of SCP messages a node keeps.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_SLOTS_TO_REMEMBER = 12

/**
 * Ledgers between two checkpoints.
 *
 * @category constants
 * @since 0.1.0
 */
export const CHECKPOINT_PERIOD = 64

/**
 * The greatest TRANSACTION message of the classic protocol, in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_CLASSIC_TRANSACTION_SIZE = 102_400

/**
 * FLOW_CONTROL_BYTES_EXTRA_BUFFER: what a TRANSACTION message may have on top of its transaction.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_TRANSACTION_SIZE_EXTRA = 2000

/**
 * The greatest TRANSACTION message at a ledger (protocol.md 4.2, M), from the network's limit for Soroban transactions:
 * what a host gives as `LedgerView.maxTransactionSize`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const maxTransactionSize = (ledgerVersion: number, sorobanTxMaxSizeBytes: number): number =>
  ledgerVersion < 20
    ? MAX_CLASSIC_TRANSACTION_SIZE
    : Math.min(0xffffffff, Math.max(MAX_CLASSIC_TRANSACTION_SIZE, sorobanTxMaxSizeBytes + MAX_TRANSACTION_SIZE_EXTRA))

/**
 * What the outbound queues need to know about the ledger. One object serves all peers; replace it when it changes.
 *
 * @category models
 * @since 0.1.0
 */
export interface LedgerContext {
  /** Operations in a transaction set at most (times 100 before protocol 11): the limit of transactions and hashes. */
  readonly maxTxSetSize: number
  /** SCP messages of earlier slots are shed. */
  readonly minRememberedSlot: number
  /** The one earlier slot that is kept. */
  readonly checkpointSlot: number
  /** A greater TRANSACTION message is not queued (protocol.md 4.2, M). */
  readonly maxTransactionSize: number
}

/**
 * The oldest slot worth remembering when consensus is at a ledger: the last 12, or from 1 on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const minRememberedSlot = (trackingIndex: number, maxSlotsToRemember = MAX_SLOTS_TO_REMEMBER): number =>
  Math.max(1, trackingIndex - maxSlotsToRemember + 1)

/**
 * The first ledger of the checkpoint that contains a ledger: 1, 64, 128, …
 *
 * @category constructors
 * @since 0.1.0
 */
export const checkpointSlot = (trackingIndex: number, period = CHECKPOINT_PERIOD): number =>
  Math.max(1, Math.floor(trackingIndex / period) * period)

/**
 * The context when consensus is at `trackingIndex`. Before any ledger is known pass 0: no SCP message is too old then.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeLedgerContext = (options: {
  readonly trackingIndex: number
  readonly maxTxSetSize: number
  readonly maxTransactionSize?: number
  readonly maxSlotsToRemember?: number
}): LedgerContext => ({
  maxTxSetSize: options.maxTxSetSize,
  minRememberedSlot: minRememberedSlot(options.trackingIndex, options.maxSlotsToRemember),
  checkpointSlot: checkpointSlot(options.trackingIndex),
  maxTransactionSize: options.maxTransactionSize ?? MAX_CLASSIC_TRANSACTION_SIZE
})
