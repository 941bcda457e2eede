/**
 * How many requests of one peer are answered in a window of time. What goes beyond is ignored in silence, as
 * stellar-core does: the peer asks another node, and nobody is dropped.
 *
 * The window is the expected close time times the remembered slots, in whole seconds (60 s). Answers to GET_TX_SET also
 * have a budget in bytes, which core does not have: 300 sets of 10 MB in a minute would be 3 GB.
 *
 * Implements protocol.md 7 (stellar-core: `Peer::process`, `recvGetTxSet`, `recvGetSCPQuorumSet`, `recvGetSCPState`).
 *
 * @since 0.1.0
 */
import { MessageType } from "../wire/MessageType.ts"
import { MAX_SLOTS_TO_REMEMBER } from "./LedgerContext.ts"

/**
 * QUERY_RESPONSE_MULTIPLIER: GET_TX_SET and GET_SCP_QUORUMSET requests per second of the window.
 *
 * @category constants
 * @since 0.1.0
 */
export const QUERIES_PER_SECOND = 5

/**
 * GET_SCP_STATE requests per window.
 *
 * @category constants
 * @since 0.1.0
 */
export const SCP_STATE_QUERIES_PER_WINDOW = 10

/**
 * The period of the byte budget, in milliseconds.
 *
 * @category constants
 * @since 0.1.0
 */
export const TX_SET_BUDGET_PERIOD_MILLIS = 60_000

/**
 * What the limits follow from.
 *
 * @category models
 * @since 0.1.0
 */
export interface QueryLimiterOptions {
  readonly expectedCloseTimeMillis: number
  readonly maxSlotsToRemember: number
  /** Bytes of answers to GET_TX_SET per minute; Infinity, or any number never reached, for core's behaviour. */
  readonly txSetBytesPerMinute: number
}

/**
 * The defaults: windows of 60 s, 32 MiB of transaction sets per minute.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: QueryLimiterOptions = {
  expectedCloseTimeMillis: 5000,
  maxSlotsToRemember: MAX_SLOTS_TO_REMEMBER,
  txSetBytesPerMinute: 33_554_432
}

/** A count, or a sum, that starts again when the first request after the end of its window comes. */
class Window {
  #start = Number.NEGATIVE_INFINITY
  #used = 0

  /** Uses an amount, if it fits or the window is fresh and anything goes into a fresh one. */
  use(amount: number, limit: number, period: number, now: number, anyFirst: boolean): boolean {
    if (now - this.#start >= period) {
      this.#start = now
      this.#used = 0
    }
    if (this.#used + amount > limit && !(anyFirst && this.#used === 0)) return false
    this.#used += amount
    return true
  }
}

/**
 * The request limits of one connection. A method that says to go on has counted; one that does not, has not.
 *
 * @category models
 * @since 0.1.0
 */
export class QueryLimiter {
  #windowMillis: number
  readonly #txSetBytesPerMinute: number
  readonly #txSets = new Window()
  readonly #quorumSets = new Window()
  readonly #scpStates = new Window()
  readonly #txSetBytes = new Window()

  constructor(options: QueryLimiterOptions) {
    this.#windowMillis = windowMillis(options.expectedCloseTimeMillis, options.maxSlotsToRemember)
    this.#txSetBytesPerMinute = options.txSetBytesPerMinute
  }

  /** The window of the request counts, in milliseconds: a whole number of seconds. */
  get windowMillis(): number {
    return this.#windowMillis
  }

  /** Requests of GET_TX_SET, and of GET_SCP_QUORUMSET, per window. */
  get queriesPerWindow(): number {
    return this.#windowMillis / 1000 * QUERIES_PER_SECOND
  }

  /** The network closes ledgers at another pace from now on. */
  setCloseTime(expectedCloseTimeMillis: number, maxSlotsToRemember = MAX_SLOTS_TO_REMEMBER): void {
    this.#windowMillis = windowMillis(expectedCloseTimeMillis, maxSlotsToRemember)
  }

  /** Whether to process a request of this type; pings count as GET_SCP_QUORUMSET. Other types have no limit. */
  allow(type: MessageType, now: number): boolean {
    switch (type) {
      case MessageType.GetTxSet:
        return this.#txSets.use(1, this.queriesPerWindow, this.#windowMillis, now, false)
      case MessageType.GetScpQuorumSet:
        return this.#quorumSets.use(1, this.queriesPerWindow, this.#windowMillis, now, false)
      case MessageType.GetScpState:
        return this.#scpStates.use(1, SCP_STATE_QUERIES_PER_WINDOW, this.#windowMillis, now, false)
      default:
        return true
    }
  }

  /**
   * Whether to send a transaction set of this size. The first of a minute is always sent, so that a budget below the
   * size of one set slows a peer down instead of cutting it off.
   */
  txSetAnswer(size: number, now: number): boolean {
    return this.#txSetBytes.use(size, this.#txSetBytesPerMinute, TX_SET_BUDGET_PERIOD_MILLIS, now, true)
  }
}

const windowMillis = (expectedCloseTimeMillis: number, maxSlotsToRemember: number): number =>
  Math.floor(expectedCloseTimeMillis * maxSlotsToRemember / 1000) * 1000
