/**
 * How often strangers can make us dial one host.
 *
 * Anybody can tell us that a node listens at a victim's address, at many ports and again and again. An address that
 * never proved to be a node is therefore dialled only once per back-off, its host only a few times an hour whatever the
 * port, and its port has to be one that a node would use. Addresses that were reached once, and those the operator
 * configured, are not limited: the caller does not ask for them.
 *
 * Core has no such limit.
 *
 * @since 0.1.0
 */

/**
 * The numbers of a limiter.
 *
 * @category models
 * @since 0.1.0
 */
export interface DialLimits {
  /** Dials to one host within `windowMillis`, all ports together. */
  readonly maxDialsPerHost: number
  readonly windowMillis: number
  /** Ports below this are refused: they belong to other services. */
  readonly lowestPort: number
  /** Ports that are allowed all the same. */
  readonly allowedLowPorts: ReadonlyArray<number>
  /** Hosts remembered; the one dialled longest ago is forgotten first. */
  readonly maxHosts: number
}

/**
 * The limits of attack P8: 3 dials an hour, no port below 1024.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultDialLimits: DialLimits = {
  maxDialsPerHost: 3,
  windowMillis: 3_600_000,
  lowestPort: 1024,
  allowedLowPorts: [],
  maxHosts: 16_384
}

/**
 * No limits, as in core.
 *
 * @category constants
 * @since 0.1.0
 */
export const unlimitedDials: DialLimits = {
  ...defaultDialLimits,
  maxDialsPerHost: Number.MAX_SAFE_INTEGER,
  lowestPort: 0,
  maxHosts: 0
}

/**
 * Counts dials by host. Times are milliseconds of a clock that never goes back.
 *
 * @category models
 * @since 0.1.0
 */
export class DialLimiter {
  /** Times of the dials within the window, the host dialled last at the end. */
  private readonly dials = new Map<string, Array<number>>()
  private readonly limits: DialLimits

  constructor(limits: DialLimits) {
    this.limits = limits
  }

  /** Hosts remembered. */
  get size(): number {
    return this.dials.size
  }

  /** Whether a node may be expected at such a port. */
  allowsPort(port: number): boolean {
    return port >= this.limits.lowestPort || this.limits.allowedLowPorts.includes(port)
  }

  /** Whether the host may be dialled at `now`. */
  allowsHost(host: string, now: number): boolean {
    const times = this.dials.get(host)
    return times === undefined || this.within(times, now) < this.limits.maxDialsPerHost
  }

  /** Notes a dial. */
  record(host: string, now: number): void {
    if (this.limits.maxHosts === 0) return
    const times = this.dials.get(host)?.filter((time) => now - time < this.limits.windowMillis) ?? []
    times.push(now)
    if (times.length > this.limits.maxDialsPerHost) times.shift()
    this.dials.delete(host)
    this.dials.set(host, times)
    // the oldest entries are at the front: drop those whose window is over, and more if the bound asks for it
    for (const [oldest, at] of this.dials) {
      if (this.dials.size <= this.limits.maxHosts && now - at.at(-1)! < this.limits.windowMillis) break
      this.dials.delete(oldest)
    }
  }

  private within(times: ReadonlyArray<number>, now: number): number {
    let count = 0
    for (const time of times) if (now - time < this.limits.windowMillis) count++
    return count
  }
}
