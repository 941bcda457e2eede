/**
 * How many handshakes unknown nodes may cost: token buckets per host and for all, so that a storm of connections or of
 * HELLOs with bad signatures takes a bounded share of the processor (a signature check costs about 60 us).
 *
 * @since 0.1.0
 */
import * as DropReason from "../DropReason.ts"

/**
 * Rates and bursts; a burst is what may come at once after a pause.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandshakeBudgetOptions {
  readonly perSecond: number
  readonly perHostPerSecond: number
  readonly burst: number
  readonly perHostBurst: number
  /** Hosts remembered; the one seen longest ago is forgotten first. */
  readonly maxHosts: number
}

/**
 * 1000 a second in all, 20 for one host.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: HandshakeBudgetOptions = {
  perSecond: 1000,
  perHostPerSecond: 20,
  burst: 1000,
  perHostBurst: 40,
  maxHosts: 4096
}

interface Bucket {
  tokens: number
  at: number
}

/**
 * The buckets. Times are monotonic milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export class HandshakeBudget {
  readonly #options: HandshakeBudgetOptions
  readonly #all: Bucket
  /** The host seen last is at the end. */
  readonly #hosts = new Map<string, Bucket>()

  constructor(options: HandshakeBudgetOptions, now: number) {
    this.#options = options
    this.#all = { tokens: options.burst, at: now }
  }

  /** Takes one handshake of a host; the reason to refuse it when there is none left. */
  take(host: string, now: number): DropReason.DropReason | undefined {
    const { burst, maxHosts, perHostBurst, perHostPerSecond, perSecond } = this.#options
    const bucket = this.#hosts.get(host) ?? { tokens: perHostBurst, at: now }
    this.#hosts.delete(host)
    this.#hosts.set(host, bucket)
    if (this.#hosts.size > maxHosts) {
      for (const oldest of this.#hosts.keys()) {
        this.#hosts.delete(oldest)
        break
      }
    }
    refill(bucket, perHostPerSecond, perHostBurst, now)
    refill(this.#all, perSecond, burst, now)
    if (bucket.tokens < 1 || this.#all.tokens < 1) return DropReason.make("HandshakeRateLimited")
    bucket.tokens--
    this.#all.tokens--
    return undefined
  }
}

const refill = (bucket: Bucket, perSecond: number, burst: number, now: number): void => {
  bucket.tokens = Math.min(burst, bucket.tokens + (now - bucket.at) * perSecond / 1000)
  bucket.at = now
}
