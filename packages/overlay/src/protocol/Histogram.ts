/**
 * A distribution in buckets: what was observed since creation, in numbers that are incremented and nothing else.
 *
 * @since 0.1.0
 */

/** The buckets of all histograms without observations, by their number: a node has fifty, of 0.5 KiB, most without. */
const untouched = new Map<number, Float64Array>()

const noObservations = (length: number): Float64Array => {
  const known = untouched.get(length)
  if (known !== undefined) return known
  const buckets = new Float64Array(length)
  untouched.set(length, buckets)
  return buckets
}

/**
 * Counts of observations in buckets with ascending upper bounds, their number, sum and extremes.
 *
 * @category models
 * @since 0.1.0
 */
export class Histogram {
  /** Upper bounds, inclusive; one more bucket takes what lies beyond the last. */
  readonly bounds: ReadonlyArray<number>
  /** Observations in each bucket, not cumulative. To be read: those of no observations are shared. */
  buckets: Float64Array
  count = 0
  sum = 0
  /** Of the squares, for the standard deviation. */
  sumOfSquares = 0
  /** 0 without observations, as is `max`. */
  min = 0
  max = 0

  constructor(bounds: ReadonlyArray<number>) {
    this.bounds = bounds
    this.buckets = noObservations(bounds.length + 1)
  }

  /** Takes in a value, `times` times. */
  observe(value: number, times = 1): void {
    const { bounds } = this
    let bucket = 0
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++
    if (this.count === 0) this.buckets = new Float64Array(bounds.length + 1)
    this.buckets[bucket]! += times
    if (this.count === 0 || value < this.min) this.min = value
    if (this.count === 0 || value > this.max) this.max = value
    this.count += times
    this.sum += value * times
    this.sumOfSquares += value * value * times
  }

  /** As `observe`, for a time in milliseconds and bounds in seconds. */
  observeMillis(millis: number, times = 1): void {
    this.observe(millis / 1000, times)
  }

  /**
   * The value that a fraction `q` of the observations does not exceed, taken as evenly spread within its bucket and
   * within the extremes; 0 without observations.
   */
  quantile(q: number): number {
    const wanted = q * this.count
    let below = 0
    for (let i = 0; i < this.buckets.length; i++) {
      const inside = this.buckets[i]!
      if (inside === 0 || below + inside < wanted) {
        below += inside
        continue
      }
      const from = Math.max(this.min, this.bounds[i - 1] ?? this.min)
      const to = Math.min(this.max, this.bounds[i] ?? this.max)
      return from + (to - from) * (wanted - below) / inside
    }
    return this.max
  }

  /** The same, at this moment. */
  copy(): Histogram {
    const copy = new Histogram(this.bounds)
    const { count, max, min, sum, sumOfSquares } = this
    return Object.assign(copy, { buckets: this.buckets.slice(), count, sum, sumOfSquares, min, max })
  }

  /** Forgets everything. */
  clear(): void {
    this.buckets = noObservations(this.buckets.length)
    this.count =
      this.sum =
      this.sumOfSquares =
      this.min =
      this.max =
        0
  }
}
