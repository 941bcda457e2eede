/** Moving averages of how fast counts grow, over 1, 5 and 15 minutes, as core's meters have them. */
import type { MovingRates } from "../OverlayMetricsSnapshot.ts"

const WINDOWS_SECONDS = [60, 300, 900] as const

/** Looks closer together than this tell nothing new. */
const SHORTEST_SECONDS = 1

export class Rates {
  readonly #last: Float64Array
  /** Per window. */
  readonly #rates: ReadonlyArray<Float64Array>
  #at: number
  #hasBegun = false

  constructor(size: number, nowMillis: number) {
    this.#last = new Float64Array(size)
    this.#rates = WINDOWS_SECONDS.map(() => new Float64Array(size))
    this.#at = nowMillis
  }

  /** Whether enough time has passed for `tick` to do something. */
  isDue(nowMillis: number): boolean {
    return nowMillis - this.#at >= SHORTEST_SECONDS * 1000
  }

  /** Takes in the counts of this moment. The first average is the rate so far; it decays by the time that passes. */
  tick(counts: (place: number) => number, nowMillis: number): void {
    const seconds = (nowMillis - this.#at) / 1000
    this.#at = nowMillis
    WINDOWS_SECONDS.forEach((window, w) => {
      const rates = this.#rates[w]!
      const alpha = this.#hasBegun ? 1 - Math.exp(-seconds / window) : 1
      for (let i = 0; i < rates.length; i++) {
        rates[i]! += alpha * ((counts(i) - this.#last[i]!) / seconds - rates[i]!)
      }
    })
    for (let i = 0; i < this.#last.length; i++) this.#last[i] = counts(i)
    this.#hasBegun = true
  }

  of(place: number): MovingRates {
    const [one, five, fifteen] = this.#rates
    return [one![place]!, five![place]!, fifteen![place]!]
  }

  clear(nowMillis: number): void {
    this.#last.fill(0)
    for (const rates of this.#rates) rates.fill(0)
    this.#at = nowMillis
    this.#hasBegun = false
  }
}
