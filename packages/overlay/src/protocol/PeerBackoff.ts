/**
 * When an address may be dialled again, and what the table calls it: the two small tables of the peer database.
 *
 * Everything here is a pure function of its arguments. Time is Unix milliseconds, chance is a number in [0, 1) that the
 * caller drew.
 *
 * Implements protocol.md 10.2 and 10.3 (stellar-core: `PeerManager::update`, `computeBackoff`).
 *
 * @since 0.1.0
 */

/**
 * What the table knows about an address. The numbers are those of core's `peers.type` column.
 *
 * - `Inbound`: heard of, or seen only as a caller
 * - `Outbound`: connected to by us, or configured as a known peer
 * - `Preferred`: configured as a preferred peer
 *
 * @category models
 * @since 0.1.0
 */
export const PeerType = { Inbound: 0, Outbound: 1, Preferred: 2 } as const

/**
 * One of the three types.
 *
 * @category models
 * @since 0.1.0
 */
export type PeerType = (typeof PeerType)[keyof typeof PeerType]

/**
 * What happened to an address, as far as its back-off is concerned:
 *
 * - `HardReset`: configured at start; no failures, due now
 * - `Reset`: we connected and it authenticated; no failures, due after b(0)
 * - `Increase`: an outgoing attempt begins; one failure more until it is proved otherwise, due after b(failures)
 *
 * @category models
 * @since 0.1.0
 */
export type BackoffUpdate = "HardReset" | "Reset" | "Increase"

/**
 * The part of a record that back-off changes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Backoff {
  /** Attempts since the last success. */
  readonly numFailures: number
  /** Unix milliseconds before which the address is left alone. */
  readonly nextAttemptMillis: number
}

/**
 * Failures from which an address counts as dead and its row is deleted (REALLY_DEAD_NUM_FAILURES_CUTOFF).
 *
 * @category constants
 * @since 0.1.0
 */
export const REALLY_DEAD_FAILURES = 120

/**
 * Addresses with more failures than this are not passed on in PEERS.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_FAILURES_TO_SEND = 10

/**
 * The exponent of the back-off stops growing here.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_BACKOFF_EXPONENT = 10

/**
 * The unit of the back-off (SECONDS_PER_BACKOFF).
 *
 * @category constants
 * @since 0.1.0
 */
export const SECONDS_PER_BACKOFF = 10

/**
 * The longest back-off after `numFailures` failures: 10 s for 0, 20 s for 1, 10 240 s from 10 on.
 *
 * @category getters
 * @since 0.1.0
 */
export const maxBackoffMillis = (numFailures: number): number =>
  SECONDS_PER_BACKOFF * 2 ** Math.min(Math.max(numFailures, 0), MAX_BACKOFF_EXPONENT) * 1000

/**
 * b(n): a whole number of seconds, uniform in [1, 10 × 2^min(n, 10)], in milliseconds. `unit` is the chance, in [0, 1).
 *
 * @category getters
 * @since 0.1.0
 */
export const backoffMillis = (numFailures: number, unit: number): number =>
  1000 * (1 + Math.floor(unit * (maxBackoffMillis(numFailures) / 1000)))

/**
 * Applies an update. With `Reset` and `Increase` the next attempt is b(the new count) after `nowMillis`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const applyBackoff = (
  numFailures: number,
  update: BackoffUpdate,
  nowMillis: number,
  unit: number
): Backoff => {
  switch (update) {
    case "HardReset":
      return { numFailures: 0, nextAttemptMillis: nowMillis }
    case "Reset":
      return { numFailures: 0, nextAttemptMillis: nowMillis + backoffMillis(0, unit) }
    case "Increase":
      return { numFailures: numFailures + 1, nextAttemptMillis: nowMillis + backoffMillis(numFailures + 1, unit) }
  }
}

/**
 * The next attempt of a row that another run of the process stored. A time further ahead than the longest back-off its
 * failures could have drawn was written under a wall clock that has since gone back: it is brought to that back-off, or
 * a clock set back by an hour would silence every address for that hour.
 *
 * @category combinators
 * @since 0.1.0
 */
export const restoredAttempt = (self: Backoff, nowMillis: number): number =>
  Math.min(self.nextAttemptMillis, nowMillis + maxBackoffMillis(self.numFailures))

/**
 * Old evidence fades: the failures that still count when nobody tried the address for a while. They halve once for each
 * full `decayMillis` by which the attempt is overdue. `decayMillis` 0 turns it off, as in core.
 *
 * @category getters
 * @since 0.1.0
 */
export const decayedFailures = (self: Backoff, nowMillis: number, decayMillis: number): number => {
  if (decayMillis <= 0 || nowMillis <= self.nextAttemptMillis) return self.numFailures
  const halvings = Math.floor((nowMillis - self.nextAttemptMillis) / decayMillis)
  return halvings === 0 ? self.numFailures : Math.floor(self.numFailures / 2 ** Math.min(halvings, 31))
}

/**
 * The type a row takes when its address is observed as `observed`. `preferredKnown` says that the observer knows for
 * certain whether the address is preferred (a HELLO does, a configuration list does not): only then does an observation
 * as outbound take the preference away. A preferred row observed inbound becomes outbound in either case.
 *
 * ```
 * row       | Preferred | Outbound, known | Outbound, not known | Inbound
 * Inbound   | Preferred | Outbound        | Outbound            | Inbound
 * Outbound  | Preferred | Outbound        | Outbound            | Outbound
 * Preferred | Preferred | Outbound        | Preferred           | Outbound
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const transition = (row: PeerType, observed: PeerType, preferredKnown: boolean): PeerType => {
  switch (observed) {
    case PeerType.Preferred:
      return PeerType.Preferred
    case PeerType.Outbound:
      return row === PeerType.Preferred && !preferredKnown ? PeerType.Preferred : PeerType.Outbound
    case PeerType.Inbound:
      return row === PeerType.Inbound ? PeerType.Inbound : PeerType.Outbound
  }
}
