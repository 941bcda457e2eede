/**
 * The distribution of a few hundred numbers out of any number of them: what a survey says about latencies.
 *
 * @since 0.1.0
 */

/**
 * Samples kept at most. A collecting phase of 30 minutes has 360 pings of a peer, and as many ledgers.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_SURVEY_SAMPLES = 512

/**
 * Numbers of which all are kept up to the bound; beyond, every second is dropped and from then on every second, fourth,
 * … is recorded, so that what is kept always stands for the whole time.
 *
 * @category models
 * @since 0.1.0
 */
export class SurveySamples {
  readonly #values: Array<number> = []
  #stride = 1
  #skipped = 0

  /** Samples kept. */
  get size(): number {
    return this.#values.length
  }

  add(value: number): void {
    if (++this.#skipped < this.#stride) return
    this.#skipped = 0
    if (this.#values.length === MAX_SURVEY_SAMPLES) {
      for (let i = 0; i < MAX_SURVEY_SAMPLES / 2; i++) this.#values[i] = this.#values[2 * i + 1]!
      this.#values.length = MAX_SURVEY_SAMPLES / 2
      this.#stride *= 2
    }
    this.#values.push(value)
  }

  /**
   * The quantile `q` as a whole number that fits 32 bits, by linear interpolation at q(n + 1), so that the median of an
   * even number lies half-way between the two in the middle; 0 without samples.
   */
  quantile(q: number): number {
    const sorted = this.#values.toSorted((a, b) => a - b)
    if (sorted.length === 0) return 0
    const position = Math.min(Math.max(q * (sorted.length + 1), 1), sorted.length)
    const lower = sorted[Math.floor(position) - 1]!
    const upper = sorted[Math.min(Math.floor(position), sorted.length - 1)]!
    const value = lower + (position - Math.floor(position)) * (upper - lower)
    return Math.min(Math.max(0, Math.trunc(value)), 0xffffffff)
  }
}
