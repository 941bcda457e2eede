/**
 * A per-peer policy on messages and bytes received per second. Off by default: flow control already bounds what a peer
 * may have under way, and no honest rate is known in advance. When on, a peer over the rate is dropped with ERR_LOAD,
 * never slowed down or cut in silence.
 *
 * stellar-core has no such policy.
 *
 * @since 0.1.0
 */

/**
 * How many seconds' worth may come at once.
 *
 * @category constants
 * @since 0.1.0
 */
export const BURST_SECONDS = 5

/**
 * The rates; 0 turns one off.
 *
 * @category models
 * @since 0.1.0
 */
export interface RateLimiterOptions {
  readonly maxMessagesPerSecond: number
  readonly maxBytesPerSecond: number
}

/**
 * The default: off.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: RateLimiterOptions = { maxMessagesPerSecond: 0, maxBytesPerSecond: 0 }

/** A token bucket that starts full. A rate of 0 never runs dry. */
class Bucket {
  readonly #perMilli: number
  readonly #size: number
  #tokens: number
  #at: number

  constructor(perSecond: number, now: number) {
    this.#perMilli = perSecond / 1000
    this.#size = perSecond * BURST_SECONDS
    this.#tokens = this.#size
    this.#at = now
  }

  take(amount: number, now: number): boolean {
    if (this.#perMilli === 0) return true
    this.#tokens = Math.min(this.#size, this.#tokens + (now - this.#at) * this.#perMilli)
    this.#at = now
    this.#tokens -= amount
    return this.#tokens >= 0
  }
}

/**
 * The rate policy of one connection.
 *
 * @category models
 * @since 0.1.0
 */
export class RateLimiter {
  readonly #messages: Bucket
  readonly #bytes: Bucket

  constructor(options: RateLimiterOptions, now: number) {
    this.#messages = new Bucket(options.maxMessagesPerSecond, now)
    this.#bytes = new Bucket(options.maxBytesPerSecond, now)
  }

  /** Takes in a message just received. Gives what there is too much of, the detail of `RateLimited`, or undefined. */
  take(size: number, now: number): "messages" | "bytes" | undefined {
    if (!this.#messages.take(1, now)) return "messages"
    return this.#bytes.take(size, now) ? undefined : "bytes"
  }
}
