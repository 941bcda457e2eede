/**
 * Random addresses in small portions from one query, without asking the table each time.
 *
 * Implements protocol.md 10.4 (stellar-core: `RandomPeerSource`).
 *
 * @since 0.1.0
 */
import type { PeerRecord } from "./protocol/PeerTable.ts"
import type { PeerAddress } from "./wire/PeerAddress.ts"

/**
 * Rows fetched at once, whatever the portion.
 *
 * @category constants
 * @since 0.1.0
 */
export const RANDOM_BATCH = 1000

/**
 * A cache of shuffled addresses over one query. What was looked at is used up, whether the predicate took it or not, so
 * no address comes twice within one batch.
 *
 * @category models
 * @since 0.1.0
 */
export interface RandomPeerSource {
  /**
   * Up to `size` addresses that satisfy `predicate`. Draws a new batch when fewer than `size` are left in the old one;
   * stops at the end of the batch. `size` 0 draws nothing.
   */
  readonly getRandomPeers: (size: number, predicate?: (address: PeerAddress) => boolean) => Array<PeerAddress>
  /** Forgets the batch: the next call draws a new one. */
  readonly clear: () => void
  /** Addresses left in the batch. */
  readonly remaining: () => number
}

/**
 * Makes a source. `load` answers the query with up to `size` rows in random order.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (load: (size: number) => ReadonlyArray<PeerRecord>): RandomPeerSource => {
  let batch: ReadonlyArray<PeerRecord> = []
  let next = 0
  return {
    getRandomPeers: (size, predicate = () => true) => {
      const out: Array<PeerAddress> = []
      if (size <= 0) return out
      if (batch.length - next < size) {
        batch = load(Math.max(size, RANDOM_BATCH))
        next = 0
      }
      while (next < batch.length && out.length < size) {
        const { address } = batch[next++]!
        if (predicate(address)) out.push(address)
      }
      return out
    },
    clear: () => {
      batch = []
      next = 0
    },
    remaining: () => batch.length - next
  }
}
