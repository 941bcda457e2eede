/**
 * How many signatures may be checked, in all and for one peer: token buckets, so that a storm of SCP messages takes a
 * bounded share of the processor and slows down who sends it.
 *
 * Nothing is refused: whoever is over the budget is told how long to wait, and as its credit waits too, it sends less.
 *
 * @since 0.1.0
 */
import type { NodeId } from "../wire/NodeId.ts"

/**
 * Rates and bursts; a burst is what may be checked at once after a pause.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyBudgetOptions {
  readonly perSecond: number
  readonly perPeerPerSecond: number
  readonly burst: number
  readonly perPeerBurst: number
  /** Peers remembered; the one seen longest ago is forgotten first. */
  readonly maxPeers: number
}

/**
 * 2000 checks a second in all, an eighth of a core, and 500 for one peer. The bursts are what new peers send to begin
 * with: 12 slots of two statements each of a hundred validators.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: VerifyBudgetOptions = {
  perSecond: 2000,
  perPeerPerSecond: 500,
  burst: 4000,
  perPeerBurst: 2500,
  maxPeers: 1024
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
export class VerifyBudget {
  readonly #options: VerifyBudgetOptions
  readonly #all: Bucket
  /** The peer seen last is at the end. */
  readonly #peers = new Map<NodeId, Bucket>()

  /** Checks refused since creation: each is asked for again after the wait. */
  refused = 0

  constructor(options: VerifyBudgetOptions, now: number) {
    this.#options = options
    this.#all = { tokens: options.burst, at: now }
  }

  /** Peers remembered. */
  get peers(): number {
    return this.#peers.size
  }

  /** Takes one check for a peer: 0, or the milliseconds until there may be one. */
  take(peer: NodeId, now: number): number {
    const { burst, maxPeers, perPeerBurst, perPeerPerSecond, perSecond } = this.#options
    const bucket = this.#peers.get(peer) ?? { tokens: perPeerBurst, at: now }
    this.#peers.delete(peer)
    this.#peers.set(peer, bucket)
    if (this.#peers.size > maxPeers) {
      for (const oldest of this.#peers.keys()) {
        this.#peers.delete(oldest)
        break
      }
    }
    refill(bucket, perPeerPerSecond, perPeerBurst, now)
    refill(this.#all, perSecond, burst, now)
    const wait = Math.max(missing(bucket, perPeerPerSecond), missing(this.#all, perSecond))
    if (wait > 0) {
      this.refused++
      return wait
    }
    bucket.tokens--
    this.#all.tokens--
    return 0
  }
}

const refill = (bucket: Bucket, perSecond: number, burst: number, now: number): void => {
  bucket.tokens = Math.min(burst, bucket.tokens + (now - bucket.at) * perSecond / 1000)
  bucket.at = now
}

/** Whole milliseconds until there is a token, so that a clock of milliseconds gets there. */
const missing = ({ tokens }: Bucket, perSecond: number): number =>
  tokens >= 1 ? 0 : Math.ceil((1 - tokens) * 1000 / perSecond)
