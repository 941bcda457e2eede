/**
 * How much is flooded per message and per round, as it follows from the limits of the ledger: hashes in an advert and
 * in a demand, operations and Soroban transactions advertised per round.
 *
 * Implements the formulas of protocol.md 5.4, 5.5 and 5.6 (stellar-core: `TxAdverts::getMaxAdvertSize`,
 * `TxAdverts::getOpsFloodLedger`, `TxDemandsManager::getMaxDemandSize`, `TransactionQueue::getMaxOpsToFloodThisPeriod`).
 *
 * @since 0.1.0
 */
import { MAX_HASHES } from "../wire/messages/TransactionMessages.ts"

/**
 * Transactions wait in queues of this many ledgers' worth: TRANSACTION_QUEUE_SIZE_MULTIPLIER.
 *
 * @category constants
 * @since 0.1.0
 */
export const QUEUE_SIZE_MULTIPLIER = 2

/**
 * The first ledger protocol with Soroban transactions.
 *
 * @category constants
 * @since 0.1.0
 */
export const SOROBAN_PROTOCOL_VERSION = 20

/**
 * The first ledger protocol whose network settings say how long a ledger takes.
 *
 * @category constants
 * @since 0.1.0
 */
export const CLOSE_TIME_PROTOCOL_VERSION = 23

/**
 * How long a ledger takes before protocol 23, in milliseconds.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_CLOSE_TIME_MILLIS = 5000

/**
 * The shortest and the longest close time the network may agree on, in milliseconds.
 *
 * @category constants
 * @since 0.1.0
 */
export const CLOSE_TIME_RANGE_MILLIS: readonly [shortest: number, longest: number] = [4000, 5000]

/**
 * What an operator may set (protocol.md 16). Rates and periods are above 0.
 *
 * @category models
 * @since 0.1.0
 */
export interface FloodRateOptions {
  /** FLOOD_OP_RATE_PER_LEDGER: the part of a ledger's operations to flood in a ledger's time. */
  readonly opRatePerLedger: number
  /** FLOOD_SOROBAN_RATE_PER_LEDGER: the same for Soroban transactions. */
  readonly sorobanRatePerLedger: number
  /** FLOOD_ADVERT_PERIOD_MS. */
  readonly advertPeriodMillis: number
  /** FLOOD_DEMAND_PERIOD_MS. */
  readonly demandPeriodMillis: number
  /** FLOOD_TX_PERIOD_MS: how often pending classic transactions are advertised. */
  readonly txPeriodMillis: number
  /** FLOOD_SOROBAN_TX_PERIOD_MS. */
  readonly sorobanTxPeriodMillis: number
  /** MAX_DEX_TX_OPERATIONS_IN_TX_SET: operations of transactions with offers or path payments; no limit by default. */
  readonly maxDexTxOperations?: number | undefined
}

/**
 * stellar-core's defaults.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: FloodRateOptions = {
  opRatePerLedger: 1,
  sorobanRatePerLedger: 1,
  advertPeriodMillis: 100,
  demandPeriodMillis: 200,
  txPeriodMillis: 200,
  sorobanTxPeriodMillis: 200
}

/**
 * The part of the host's ledger that matters here.
 *
 * @category models
 * @since 0.1.0
 */
export interface FloodLedger {
  readonly ledgerVersion: number
  /** Operations in a transaction set. */
  readonly maxTxSetSize: number
  /** Soroban transactions in a ledger; counts from protocol 20 on. */
  readonly sorobanMaxTxCount: number
  /** Milliseconds, above 0. */
  readonly closeTimeMillis: number
}

/**
 * The limits flooding runs on. One object serves all peers; replace it when a ledger closes.
 *
 * @category models
 * @since 0.1.0
 */
export interface FloodLimits {
  /** Hashes at which an advert is sent at once: 1 to 1000. */
  readonly maxAdvertSize: number
  /** Hashes demanded of one peer in one run: 1 to 1000. */
  readonly maxDemandSize: number
  /** Hashes one peer's advert queue holds. */
  readonly maxTxSetSize: number
  readonly advertPeriodMillis: number
  readonly demandPeriodMillis: number
  readonly txPeriodMillis: number
  readonly sorobanTxPeriodMillis: number
  /** Classic operations to advertise in a round of `txPeriodMillis`, without what is carried over. */
  readonly opsPerRound: number
  /** How many of them may be of transactions with offers or path payments; undefined when that is not limited. */
  readonly dexOpsPerRound: number | undefined
  /** Soroban transactions to advertise in a round of `sorobanTxPeriodMillis`. */
  readonly sorobanTxsPerRound: number
}

/**
 * The part of `max` to flood in a ledger's time (getOpsFloodLedger).
 *
 * @category getters
 * @since 0.1.0
 */
export const floodPerLedger = (max: number, rate: number): number => Math.floor(rate * max)

/**
 * How long a ledger takes, in milliseconds: `setting` from protocol 23 on, within the range the network may agree on.
 *
 * @category getters
 * @since 0.1.0
 */
export const closeTimeMillis = (ledgerVersion: number, setting: number): number =>
  ledgerVersion < CLOSE_TIME_PROTOCOL_VERSION
    ? DEFAULT_CLOSE_TIME_MILLIS
    : clamp(setting, CLOSE_TIME_RANGE_MILLIS[0], CLOSE_TIME_RANGE_MILLIS[1])

/**
 * The limits at a ledger.
 *
 * @example
 * ```ts
 * import * as FloodRates from "@stellar-overlay/overlay/protocol/FloodRates"
 *
 * const limits = FloodRates.make(FloodRates.defaults, {
 *   ledgerVersion: 23,
 *   maxTxSetSize: 1000,
 *   sorobanMaxTxCount: 2000,
 *   closeTimeMillis: 5000
 * })
 * limits.maxAdvertSize // 60: (1000 + 2000) * 100 / 5000
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: FloodRateOptions, ledger: FloodLedger): FloodLimits => {
  const sorobanMax = ledger.ledgerVersion >= SOROBAN_PROTOCOL_VERSION ? ledger.sorobanMaxTxCount : 0
  const perLedger = (multiplier: number) =>
    floodPerLedger(multiplier * ledger.maxTxSetSize, options.opRatePerLedger) +
    floodPerLedger(multiplier * sorobanMax, options.sorobanRatePerLedger)
  const perPeriod = (amount: number, periodMillis: number) => Math.ceil(amount * periodMillis / ledger.closeTimeMillis)
  return {
    maxAdvertSize: clamp(perPeriod(perLedger(1), options.advertPeriodMillis), 1, MAX_HASHES),
    maxDemandSize: clamp(perPeriod(perLedger(QUEUE_SIZE_MULTIPLIER), options.demandPeriodMillis), 1, MAX_HASHES),
    maxTxSetSize: ledger.maxTxSetSize,
    advertPeriodMillis: options.advertPeriodMillis,
    demandPeriodMillis: options.demandPeriodMillis,
    txPeriodMillis: options.txPeriodMillis,
    sorobanTxPeriodMillis: options.sorobanTxPeriodMillis,
    dexOpsPerRound: options.maxDexTxOperations === undefined
      ? undefined
      : perPeriod(floodPerLedger(options.maxDexTxOperations, options.opRatePerLedger), options.txPeriodMillis),
    opsPerRound: perPeriod(floodPerLedger(ledger.maxTxSetSize, options.opRatePerLedger), options.txPeriodMillis),
    sorobanTxsPerRound: perPeriod(
      floodPerLedger(sorobanMax, options.sorobanRatePerLedger),
      options.sorobanTxPeriodMillis
    )
  }
}

const clamp = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value))
