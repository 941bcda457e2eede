/**
 * Delays of the last five minutes, in a few hundred samples: lifetime count and sum, and quantiles over the window.
 *
 * Up to 256 delays in a window are kept one by one, so a quiet connection reads exactly. Beyond, every second sample is
 * dropped and from then on every second, fourth, … delay is recorded, so a busy one is sampled over the whole window
 * instead of over its last milliseconds. A delay that comes more than a 256th of the window after the last sample is
 * always recorded, and the stride shrinks when samples expire.
 *
 * Implements the per-peer timers of protocol.md 8.5.
 *
 * @since 0.1.0
 */

/**
 * The window of per-peer timers, in milliseconds.
 *
 * @category constants
 * @since 0.1.0
 */
export const DELAY_WINDOW_MILLIS = 300_000

/**
 * Samples a window holds at most.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_DELAY_SAMPLES = 256

/** The samples of a window that never had one: a connection has seven windows, of which most stay so. */
const none: Array<never> = []

/**
 * A window of delays in milliseconds. It holds nothing until the first delay, and at most 4 KiB of samples.
 *
 * @category models
 * @since 0.1.0
 */
export class DelayWindow {
  /** Sample times and delays, oldest first. */
  #times: Array<number> = none
  #delays: Array<number> = none
  #stride = 1
  #skipped = 0
  #lastSampleAt = Number.NEGATIVE_INFINITY

  /** Delays recorded since creation. */
  count = 0
  /** Their sum. */
  sum = 0

  /** Records a delay that ended now. */
  record(delay: number, now: number): void {
    this.count++
    this.sum += delay
    if (++this.#skipped < this.#stride && now - this.#lastSampleAt < DELAY_WINDOW_MILLIS / MAX_DELAY_SAMPLES) return
    this.#lastSampleAt = now
    this.#skipped = 0
    if (this.#times === none) {
      this.#times = []
      this.#delays = []
    } else if (this.#times.length === MAX_DELAY_SAMPLES) this.#thin(now)
    this.#times.push(now)
    this.#delays.push(delay)
  }

  /** The smallest delay of the window that at least the fraction `q` of its delays do not exceed; 0 without delays. */
  quantile(q: number, now: number): number {
    this.#expire(now)
    const sorted = this.#delays.toSorted((a, b) => a - b)
    return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0
  }

  /** Samples held, those included that expired since the last look: at most `MAX_DELAY_SAMPLES`. */
  get samples(): number {
    return this.#times.length
  }

  /** The third quartile, which stellar-core reports, in whole milliseconds. */
  p75(now: number): number {
    return Math.round(this.quantile(0.75, now))
  }

  #expire(now: number): void {
    const times = this.#times
    let expired = 0
    while (expired < times.length && now - times[expired]! > DELAY_WINDOW_MILLIS) expired++
    if (expired > 0) {
      times.splice(0, expired)
      this.#delays.splice(0, expired)
    }
    if (times.length === 0) this.#stride = 1
    else if (this.#stride > 1 && times.length < MAX_DELAY_SAMPLES / 4) this.#stride /= 2
  }

  /** Makes room: by time, else by dropping every second sample and recording half as often. */
  #thin(now: number): void {
    this.#expire(now)
    const length = this.#times.length
    if (length <= MAX_DELAY_SAMPLES / 2) return
    const kept = length >> 1
    for (let i = 0; i < kept; i++) {
      this.#times[i] = this.#times[2 * i + 1]!
      this.#delays[i] = this.#delays[2 * i + 1]!
    }
    this.#times.length = this.#delays.length = kept
    this.#stride *= 2
  }
}
