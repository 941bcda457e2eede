/**
 * Delays of the last five minutes, in a few dozen samples: lifetime count and sum, and quantiles over the window.
 *
 * Up to 64 delays in a window are kept one by one, so a quiet connection reads exactly. Beyond, every second sample is
 * dropped and from then on every second, fourth, … delay is recorded, so a busy one is sampled over the whole window
 * instead of over its last milliseconds. A delay that comes more than a 64th of the window after the last sample is
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
export const MAX_DELAY_SAMPLES = 64

/** What a window keeps from its first delay on: most of the seven of a connection never have one. */
class Samples {
  /** Time and delay of each sample in turn, oldest first. One array: two of them begin with 150 bytes each. */
  values: Array<number> = []
  stride = 1
  skipped = 0
  lastAt = Number.NEGATIVE_INFINITY

  get length(): number {
    return this.values.length / 2
  }

  timeAt(index: number): number {
    return this.values[2 * index]!
  }
}

/**
 * A window of delays in milliseconds. It holds nothing until the first delay, and at most 1 KiB of samples.
 *
 * @category models
 * @since 0.1.0
 */
export class DelayWindow {
  #samples: Samples | undefined

  /** Delays recorded since creation. */
  count = 0
  /** Their sum. */
  sum = 0

  /** Records a delay that ended now. */
  record(delay: number, now: number): void {
    this.count++
    this.sum += delay
    const samples = this.#samples ??= new Samples()
    if (++samples.skipped < samples.stride && now - samples.lastAt < DELAY_WINDOW_MILLIS / MAX_DELAY_SAMPLES) return
    samples.lastAt = now
    samples.skipped = 0
    if (samples.length === MAX_DELAY_SAMPLES) thin(samples, now)
    samples.values.push(now, delay)
  }

  /** The smallest delay of the window that at least the fraction `q` of its delays do not exceed; 0 without delays. */
  quantile(q: number, now: number): number {
    const samples = this.#samples
    if (samples === undefined) return 0
    expire(samples, now)
    const sorted = samples.values.filter((_, i) => i % 2 === 1).sort((a, b) => a - b)
    return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0
  }

  /** Samples held, those included that expired since the last look: at most `MAX_DELAY_SAMPLES`. */
  get samples(): number {
    return this.#samples?.length ?? 0
  }

  /** The third quartile, which stellar-core reports, in whole milliseconds. */
  p75(now: number): number {
    return Math.round(this.quantile(0.75, now))
  }
}

const expire = (samples: Samples, now: number): void => {
  let expired = 0
  while (expired < samples.length && now - samples.timeAt(expired) > DELAY_WINDOW_MILLIS) expired++
  if (expired > 0) samples.values.splice(0, 2 * expired)
  if (samples.length === 0) samples.stride = 1
  else if (samples.stride > 1 && samples.length < MAX_DELAY_SAMPLES / 4) samples.stride /= 2
}

/** Makes room: by time, else by dropping every second sample and recording half as often. */
const thin = (samples: Samples, now: number): void => {
  expire(samples, now)
  const { length, values } = samples
  if (length <= MAX_DELAY_SAMPLES / 2) return
  const kept = length >> 1
  for (let i = 0; i < kept; i++) {
    values[2 * i] = values[4 * i + 2]!
    values[2 * i + 1] = values[4 * i + 3]!
  }
  values.length = 2 * kept
  samples.stride *= 2
}
