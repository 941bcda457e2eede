/**
 * How many survey messages a node takes part in: so many surveyors in a ledger, so many surveyed nodes of each, every
 * pair once, and no response that nobody asked for.
 *
 * What it holds is bounded by itself: a ledger window of 13 ledgers, 10 surveyors in each and 10 nodes of each surveyor.
 * Only the node's own requests are exempt, and those have a bound where they come from (`Surveyor`).
 *
 * Implements protocol.md 12.4 (stellar-core: `SurveyMessageLimiter.cpp`).
 *
 * @since 0.1.0
 */
import type { NodeId } from "../wire/NodeId.ts"

/**
 * How far a message's ledger may be from the tracking index, in ledgers, before and after.
 *
 * @category constants
 * @since 0.1.0
 */
export const LEDGER_WINDOW = 6

/**
 * Surveyors in a ledger, and surveyed nodes of each of them.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_REQUESTS_PER_LEDGER = 10

/**
 * The bounds of a limiter.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyLimiterOptions {
  /** `LEDGER_WINDOW`. The next ledger is always inside. */
  readonly ledgerWindow: number
  /** `MAX_REQUESTS_PER_LEDGER`. */
  readonly maxRequestsPerLedger: number
}

/**
 * stellar-core's bounds.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: SurveyLimiterOptions = {
  ledgerWindow: LEDGER_WINDOW,
  maxRequestsPerLedger: MAX_REQUESTS_PER_LEDGER
}

/**
 * What a request and its response have in common, and what they are matched by.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyPair {
  readonly ledgerNum: number
  readonly surveyorId: NodeId
  readonly surveyedId: NodeId
}

/**
 * The records of one node.
 *
 * `validate` is called last, when nothing else speaks against a message, because it checks a signature; only when it says
 * yes is anything recorded. `trackingIndex` is the ledger consensus is known to be at.
 *
 * @category models
 * @since 0.1.0
 */
export class SurveyLimiter {
  readonly #self: NodeId
  readonly #options: SurveyLimiterOptions
  /** Whether the response came, by surveyed node, surveyor and ledger. */
  readonly #ledgers = new Map<number, Map<NodeId, Map<NodeId, boolean>>>()

  constructor(self: NodeId, options: SurveyLimiterOptions = defaults) {
    this.#self = self
    this.#options = options
  }

  /** Requests remembered. */
  get size(): number {
    let size = 0
    for (const surveyors of this.#ledgers.values()) for (const surveyed of surveyors.values()) size += surveyed.size
    return size
  }

  /** Whether a message of a ledger is neither too old nor too far ahead. */
  isLedgerNumValid(ledgerNum: number, trackingIndex: number): boolean {
    const { ledgerWindow } = this.#options
    return ledgerNum + ledgerWindow >= trackingIndex && ledgerNum <= trackingIndex + Math.max(ledgerWindow, 1)
  }

  /** Whether a request was recorded. */
  has({ ledgerNum, surveyedId, surveyorId }: SurveyPair): boolean {
    return this.#ledgers.get(ledgerNum)?.get(surveyorId)?.has(surveyedId) ?? false
  }

  /** Takes in a request, and records it if it is within the limits and new. */
  addAndValidateRequest(request: SurveyPair, trackingIndex: number, validate: () => boolean): boolean {
    const { ledgerNum, surveyedId, surveyorId } = request
    if (!this.isLedgerNumValid(ledgerNum, trackingIndex)) return false
    const surveyors = this.#ledgers.get(ledgerNum)
    const surveyed = surveyors?.get(surveyorId)
    if (surveyed?.has(surveyedId)) return false
    if (surveyorId !== this.#self) {
      const limit = this.#options.maxRequestsPerLedger
      // The first request of a ledger is always taken, as core does, whatever the limit.
      const used = surveyed === undefined ? surveyors?.size : surveyed.size
      if (used !== undefined && used >= limit) return false
    }
    if (!validate()) return false
    if (surveyed !== undefined) surveyed.set(surveyedId, false)
    else if (surveyors !== undefined) surveyors.set(surveyorId, new Map([[surveyedId, false]]))
    else this.#ledgers.set(ledgerNum, new Map([[surveyorId, new Map([[surveyedId, false]])]]))
    return true
  }

  /** Takes in the response to a request that was recorded, once. */
  recordAndValidateResponse(response: SurveyPair, trackingIndex: number, validate: () => boolean): boolean {
    const { ledgerNum, surveyedId, surveyorId } = response
    if (!this.isLedgerNumValid(ledgerNum, trackingIndex)) return false
    const surveyed = this.#ledgers.get(ledgerNum)?.get(surveyorId)
    // Undefined: nobody asked. True: it was answered.
    if (surveyed?.get(surveyedId) !== false || !validate()) return false
    surveyed.set(surveyedId, true)
    return true
  }

  /** Whether a START may be looked at: in time, while no survey is active, and signed. */
  validateStartSurveyCollecting(
    ledgerNum: number,
    trackingIndex: number,
    isActive: boolean,
    validate: () => boolean
  ): boolean {
    return this.isLedgerNumValid(ledgerNum, trackingIndex) && !isActive && validate()
  }

  /** Whether a STOP may be looked at: in time and signed. */
  validateStopSurveyCollecting(ledgerNum: number, trackingIndex: number, validate: () => boolean): boolean {
    return this.isLedgerNumValid(ledgerNum, trackingIndex) && validate()
  }

  /** Forgets the ledgers that have left the window. */
  clearOldLedgers(ledgerSeq: number): void {
    for (const ledgerNum of this.#ledgers.keys()) {
      if (ledgerNum + this.#options.ledgerWindow < ledgerSeq) this.#ledgers.delete(ledgerNum)
    }
  }
}
