/**
 * How many connections or handshakes unknown nodes may cost: token buckets per host and for all, so that a storm of
 * connections or of HELLOs with bad signatures takes a bounded share of the processor (a signature check costs about
 * 60 us), and a host that misbehaves is not heard for a while.
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
  /** The tokens a host can owe at most; `perHostPerSecond` of them are paid back in a second. */
  readonly maxDebt: number
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
  maxDebt: 0,
  maxHosts: 4096
}

/**
 * No limit.
 *
 * @category constants
 * @since 0.1.0
 */
export const unlimited: HandshakeBudgetOptions = {
  perSecond: Number.MAX_SAFE_INTEGER,
  perHostPerSecond: Number.MAX_SAFE_INTEGER,
  burst: Number.MAX_SAFE_INTEGER,
  perHostBurst: Number.MAX_SAFE_INTEGER,
  maxDebt: 0,
  maxHosts: 1
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

  /** Takes one token of a host's; the reason to refuse it when there is none left. */
  take(host: string, now: number): DropReason.DropReason | undefined {
    const { burst, perSecond } = this.#options
    const bucket = this.#bucket(host, now)
    refill(this.#all, perSecond, burst, now)
    if (bucket.tokens < 1 || this.#all.tokens < 1) return DropReason.make("HandshakeRateLimited")
    bucket.tokens--
    this.#all.tokens--
    return undefined
  }

  /** Takes tokens of a host whether it has them or not. */
  charge(host: string, tokens: number, now: number): void {
    if (tokens <= 0) return
    const bucket = this.#bucket(host, now)
    bucket.tokens = Math.max(-this.#options.maxDebt, bucket.tokens - tokens)
  }

  /** Hosts remembered. */
  get size(): number {
    return this.#hosts.size
  }

  /** The bucket of a host as it is now, at the end of the line of those to be forgotten. */
  #bucket(host: string, now: number): Bucket {
    const { maxHosts, perHostBurst, perHostPerSecond } = this.#options
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
    return bucket
  }
}

const refill = (bucket: Bucket, perSecond: number, burst: number, now: number): void => {
  bucket.tokens = Math.min(burst, bucket.tokens + (now - bucket.at) * perSecond / 1000)
  bucket.at = now
}
