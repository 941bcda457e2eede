/**
 * How fast an announced message must arrive: who announces 16 MiB and then trickles is ended while little is pinned.
 *
 * From the moment a frame is incomplete, its bytes must keep ahead of a line that starts after a grace period and rises
 * at the minimum rate. A stalled peer is therefore found after the grace period plus what it has paid for with bytes:
 * one that sends at half the minimum rate after twice the grace period. Time during which this side does not read counts
 * for nobody.
 *
 * stellar-core has no such rule. It answers attack T8; `minimumBodyBytesPerSecond` 0 turns it off.
 *
 * @since 0.1.0
 */

/**
 * How long an incomplete frame may take before the rate counts, in milliseconds: long enough for a few TCP
 * retransmissions.
 *
 * @category constants
 * @since 0.1.0
 */
export const BODY_GRACE_MILLIS = 10_000

/**
 * The deadline of the frame that is arriving.
 *
 * @category models
 * @since 0.1.0
 */
export class BodyRate {
  readonly #bytesPerMilli: number
  /** Which frame is incomplete, and since when; meaningless without `#waiting`. */
  #frame = 0
  #since = 0
  #received = 0
  #waiting = false
  #pausedAt = -1

  /** `minimumBytesPerSecond` 0 turns the rule off. */
  constructor(minimumBytesPerSecond: number) {
    this.#bytesPerMilli = minimumBytesPerSecond / 1000
  }

  /**
   * Takes in the state of the frame parser after a read: how many frames it has completed so far, and of the body that
   * is not complete the announced length (0 when there is none) and how much of it is missing.
   */
  progress(framesCompleted: number, announced: number, remaining: number, now: number): void {
    if (announced === 0) {
      this.#waiting = false
      return
    }
    if (!this.#waiting || this.#frame !== framesCompleted) {
      this.#waiting = true
      this.#frame = framesCompleted
      this.#since = now
    }
    this.#received = announced - remaining
  }

  /** This side stops reading. */
  pause(now: number): void {
    if (this.#pausedAt < 0) this.#pausedAt = now
  }

  /** This side reads again: the pause is not held against the peer. */
  resume(now: number): void {
    if (this.#pausedAt < 0) return
    this.#since += now - Math.max(this.#pausedAt, this.#since)
    this.#pausedAt = -1
  }

  /** When the frame is too late if nothing more arrives; Infinity when none is incomplete or reading is paused. */
  get deadline(): number {
    if (!this.#waiting || this.#pausedAt >= 0 || this.#bytesPerMilli === 0) return Number.POSITIVE_INFINITY
    return this.#since + BODY_GRACE_MILLIS + this.#received / this.#bytesPerMilli
  }
}
