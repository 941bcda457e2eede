/**
 * A limit on flooded messages per second over all peers together. Off by default: flow control bounds what each peer may
 * have under way, and the ledger what is worth relaying. A message over the limit is to be dropped as if it had not come;
 * its capacity goes back, and nobody is blamed.
 *
 * stellar-core has no such limit.
 *
 * @since 0.1.0
 */
import { MessageType } from "../wire/MessageType.ts"

/**
 * How many seconds' worth may come at once.
 *
 * @category constants
 * @since 0.1.0
 */
export const BURST_SECONDS = 2

/**
 * The limit.
 *
 * @category models
 * @since 0.1.0
 */
export interface FloodRateLimitOptions {
  /** Messages per second; 0 for no limit. */
  readonly maxMessagesPerSecond: number
  /** Types that are never limited and use nothing up. */
  readonly exempt: ReadonlyArray<MessageType>
}

/**
 * The default: no limit; and when one is set, none for consensus, nor for what is not flooded by anyone's choice but
 * asked for by us.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: FloodRateLimitOptions = {
  maxMessagesPerSecond: 0,
  exempt: [MessageType.ScpMessage, MessageType.TxSet, MessageType.GeneralizedTxSet, MessageType.ScpQuorumSet]
}

/**
 * The limit of one node: a bucket of `BURST_SECONDS` worth that starts full.
 *
 * @category models
 * @since 0.1.0
 */
export class FloodRateLimit {
  readonly #perMilli: number
  readonly #size: number
  readonly #exempt: ReadonlySet<MessageType>
  #tokens: number
  #at: number

  /** Messages refused since creation. */
  refused = 0

  constructor(options: FloodRateLimitOptions, now: number) {
    this.#perMilli = options.maxMessagesPerSecond / 1000
    this.#size = Math.max(1, options.maxMessagesPerSecond * BURST_SECONDS)
    this.#exempt = new Set(options.exempt)
    this.#tokens = this.#size
    this.#at = now
  }

  /** Whether to take a message of this type now; one that is refused uses nothing up. */
  allow(type: MessageType, now: number): boolean {
    if (this.#perMilli === 0 || this.#exempt.has(type)) return true
    this.#tokens = Math.min(this.#size, this.#tokens + (now - this.#at) * this.#perMilli)
    this.#at = now
    if (this.#tokens < 1) {
      this.refused++
      return false
    }
    this.#tokens--
    return true
  }
}
