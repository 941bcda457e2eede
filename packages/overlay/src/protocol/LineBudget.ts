/**
 * How many lines a log may take: at most so many in any second, whoever causes them, with exact counts of what was left
 * out.
 *
 * The last places of a second are kept for urgent lines, so that a flood of small talk cannot hide an error, and one more
 * for the line that says what was left out. Time is passed in, in monotonic milliseconds.
 *
 * @since 0.1.0
 */

/**
 * Lines in any second at most, summaries included.
 *
 * @category constants
 * @since 0.1.0
 */
export const LINES_PER_SECOND = 100

/**
 * Of these, lines that only urgent ones may take.
 *
 * @category constants
 * @since 0.1.0
 */
export const URGENT_LINES_PER_SECOND = 20

/**
 * The wait between the first line left out and the line that says so.
 *
 * @category constants
 * @since 0.1.0
 */
export const SUMMARY_MILLIS = 1000

/**
 * The bounds.
 *
 * @category models
 * @since 0.1.0
 */
export interface LineBudgetOptions {
  /** `LINES_PER_SECOND`; at least 2. */
  readonly linesPerSecond: number
  /** `URGENT_LINES_PER_SECOND`; less than the lines per second. */
  readonly urgentLinesPerSecond: number
}

/**
 * Lines by kind. The kinds are the caller's, and few.
 *
 * @category models
 * @since 0.1.0
 */
export type LineCounts<Kind extends string> = ReadonlyMap<Kind, number>

/**
 * The budget of one output.
 *
 * @category models
 * @since 0.1.0
 */
export class LineBudget<Kind extends string> {
  readonly #limit: number
  readonly #forAll: number
  /** When the lines of the last second were written: a ring. */
  readonly #times: Float64Array
  #first = 0
  #size = 0
  readonly #passed = new Map<Kind, number>()
  readonly #suppressed = new Map<Kind, number>()
  #untold = new Map<Kind, number>()
  #summaryAt: number | undefined

  constructor({ linesPerSecond, urgentLinesPerSecond }: Partial<LineBudgetOptions> = {}) {
    this.#limit = linesPerSecond ?? LINES_PER_SECOND
    this.#forAll = this.#limit - 1 - (urgentLinesPerSecond ?? URGENT_LINES_PER_SECOND)
    this.#times = new Float64Array(this.#limit)
  }

  /** Lines written since creation, summaries not included. */
  get passed(): LineCounts<Kind> {
    return this.#passed
  }

  /** Lines left out since creation. */
  get suppressed(): LineCounts<Kind> {
    return this.#suppressed
  }

  /** When `summary` has something to say; undefined while nothing was left out. */
  get summaryAt(): number | undefined {
    return this.#summaryAt
  }

  /** Whether a line may be written. Every line is counted, as written or as left out. */
  take(kind: Kind, isUrgent: boolean, now: number): boolean {
    const isAllowed = this.#count(now) < (isUrgent ? this.#limit - 1 : this.#forAll)
    const counts = isAllowed ? this.#passed : this.#suppressed
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
    if (isAllowed) {
      this.#note(now)
    } else {
      this.#untold.set(kind, (this.#untold.get(kind) ?? 0) + 1)
      this.#summaryAt ??= now + SUMMARY_MILLIS
    }
    return isAllowed
  }

  /**
   * What was left out since the last summary, for a line to be written now; undefined when there is nothing or it is too
   * early. `force` asks for the rest, at the end.
   */
  summary(now: number, force = false): LineCounts<Kind> | undefined {
    if (this.#summaryAt === undefined || (!force && now < this.#summaryAt)) return undefined
    const untold = this.#untold
    this.#untold = new Map()
    this.#summaryAt = undefined
    this.#note(now)
    return untold
  }

  /** Lines in the last second. */
  #count(now: number): number {
    while (this.#size > 0 && this.#times[this.#first]! <= now - 1000) {
      this.#first = (this.#first + 1) % this.#limit
      this.#size--
    }
    return this.#size
  }

  #note(now: number): void {
    if (this.#count(now) === this.#limit) return // only a forced summary comes here
    this.#times[(this.#first + this.#size) % this.#limit] = now
    this.#size++
  }
}

/**
 * `12 lines (10 debug, 2 info)`: the counts as text.
 *
 * @category conversions
 * @since 0.1.0
 */
export const describeCounts = (counts: LineCounts<string>): string => {
  const kinds = [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
  const total = kinds.reduce((sum, [, count]) => sum + count, 0)
  return `${total} ${total === 1 ? "line" : "lines"} (${kinds.map(([kind, count]) => `${count} ${kind}`).join(", ")})`
}
