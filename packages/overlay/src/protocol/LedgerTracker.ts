/**
 * Which ledger the network is at, for a node that takes part in nothing: learnt from the EXTERNALIZE messages it hears.
 *
 * With trusted validators a ledger is closed when enough of them say so. Without, nobody's word counts by itself, since
 * keys are free; what costs something is a connection. So peers vote, each with the slot of the last EXTERNALIZE it
 * passed on, and the ledger is the latest that more than half of them have reached. One liar among three peers changes
 * nothing. When most peers can be misled, or are liars, these bounds hold:
 *
 * - the index goes ahead at most `MAX_SPEEDUP` times as fast as ledgers close, so that it cannot be sent far away;
 * - it comes back when a majority has been far behind it for as long as a ledger takes;
 * - after 35 s without progress it is not tracking, and takes any slot a majority agrees on.
 *
 * stellar-core's counterpart is `Herder::trackingConsensusLedgerIndex`, which rests on consensus.
 *
 * @since 0.1.0
 */
import type { NodeId } from "../wire/NodeId.ts"
import { MAX_SLOTS_TO_REMEMBER } from "./LedgerContext.ts"
import { isSatisfied, type QuorumSlices } from "./QuorumSlices.ts"

/**
 * CONSENSUS_STUCK_TIMEOUT_SECONDS in milliseconds: without a new ledger for so long, consensus is not being followed.
 * A vote counts for as long.
 *
 * @category constants
 * @since 0.1.0
 */
export const CONSENSUS_STUCK_TIMEOUT_MILLIS = 35_000

/**
 * How many times faster than expected ledgers may seem to close, and how many may close at once.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_SPEEDUP = 10

/**
 * Voters remembered; the one heard longest ago is forgotten first. A sane quorum set has at most 1000.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_VOTERS = 1024

/**
 * What the tracker depends on.
 *
 * @category models
 * @since 0.1.0
 */
export interface LedgerTrackerOptions {
  /** How long a ledger is expected to take. */
  readonly closeTimeMillis: number
  /** The validators that are believed; without, peers vote. */
  readonly slices?: QuorumSlices | undefined
}

interface Vote {
  readonly slot: number
  readonly at: number
}

/**
 * The tracker. Times are monotonic milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export class LedgerTracker {
  readonly #options: LedgerTrackerOptions
  /** The voter heard last is at the end. */
  readonly #votes = new Map<NodeId, Vote>()
  #advancedAt = -Infinity
  /** Ledgers the index may go ahead at once, as of `#creditAt`. */
  #credit = 0
  #creditAt = 0
  #behindSince: number | undefined

  /** The last ledger that is closed, as far as is known; 0 before anything is. */
  index = 0

  constructor(options: LedgerTrackerOptions) {
    this.#options = options
  }

  /** Whether the index followed the network lately. */
  isTracking(now: number): boolean {
    return now - this.#advancedAt < CONSENSUS_STUCK_TIMEOUT_MILLIS
  }

  /** Voters remembered. */
  get voters(): number {
    return this.#votes.size
  }

  /**
   * A peer passed on the EXTERNALIZE message of a validator for a slot; the peer is undefined when the message waited
   * for something and comes a second time. True when the index moved.
   */
  externalized(slot: number, peer: NodeId | undefined, validator: NodeId, now: number): boolean {
    const { slices } = this.#options
    const voter = slices === undefined ? peer : validator
    if (voter === undefined) return false
    const before = this.#votes.get(voter)
    // A validator's own signature says which is its latest; a peer that repeats old slots is catching up or has turned.
    if (slices !== undefined && before !== undefined && slot < before.slot && !isOld(before, now)) return false
    this.#votes.delete(voter)
    this.#votes.set(voter, { slot, at: now })
    if (this.#votes.size > MAX_VOTERS) {
      for (const oldest of this.#votes.keys()) {
        this.#votes.delete(oldest)
        break
      }
    }
    return this.#follow(this.#agreed(now), now)
  }

  #follow(agreed: number, now: number): boolean {
    const { closeTimeMillis } = this.#options
    if (agreed === 0) return false
    if (!this.isTracking(now)) return agreed !== this.index && this.#jump(agreed, now)
    if (agreed > this.index) {
      this.#credit = Math.min(MAX_SPEEDUP, this.#credit + (now - this.#creditAt) * MAX_SPEEDUP / closeTimeMillis)
      this.#creditAt = now
      const ahead = Math.min(agreed - this.index, Math.floor(this.#credit))
      this.#credit -= ahead
      return ahead > 0 && this.#move(this.index + ahead, now)
    }
    // New peers begin with the slots they remember, so a short way back, or a short time, means nothing.
    if (agreed >= this.index - MAX_SLOTS_TO_REMEMBER) {
      this.#behindSince = undefined
      return false
    }
    this.#behindSince ??= now
    return now - this.#behindSince >= closeTimeMillis && this.#jump(agreed, now)
  }

  /** Goes anywhere, and from there on at a limited pace. */
  #jump(index: number, now: number): boolean {
    this.#credit = MAX_SPEEDUP
    this.#creditAt = now
    return this.#move(index, now)
  }

  #move(index: number, now: number): boolean {
    this.index = index
    this.#advancedAt = now
    this.#behindSince = undefined
    return true
  }

  /** The latest slot that enough voters have reached; 0 when there is none. */
  #agreed(now: number): number {
    const { slices } = this.#options
    const live: Array<number> = []
    for (const vote of this.#votes.values()) if (!isOld(vote, now)) live.push(vote.slot)
    live.sort((a, b) => b - a)
    if (slices === undefined) return live[Math.floor(live.length / 2)] ?? 0
    let before: number | undefined
    for (const slot of live) {
      if (slot === before) continue
      before = slot
      const reached = (id: NodeId): boolean => {
        const vote = this.#votes.get(id)
        return vote !== undefined && vote.slot >= slot && !isOld(vote, now)
      }
      if (isSatisfied(slices, reached)) return slot
    }
    return 0
  }
}

const isOld = (vote: Vote, now: number): boolean => now - vote.at >= CONSENSUS_STUCK_TIMEOUT_MILLIS
