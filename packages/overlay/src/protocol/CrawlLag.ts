/**
 * How far behind the network the nodes of a crawl are, and how wrong their clocks.
 *
 * @since 0.1.0
 */
import { CERTIFICATE_LIFETIME_SECONDS } from "./PeerAuth.ts"

/**
 * Nodes that must have sent a slot for the network to count as having reached it; of fewer than twice as many nodes,
 * half of them.
 *
 * @category constants
 * @since 0.1.0
 */
export const CORROBORATION = 3

/**
 * The highest slot a node sent, and when, in Unix milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface SlotSeen {
  readonly slot: number
  readonly slotAt: number
}

/**
 * The lag of each, in ledgers: how much lower its slot is than the highest one that enough others had sent by then. It is
 * the least that can be said: the network may have been further than what we had heard. One list in, one list out, in
 * the same order.
 *
 * @category combinators
 * @since 0.1.0
 */
export const lags = (seen: ReadonlyArray<SlotSeen>): Array<number> => {
  const result = new Array<number>(seen.length).fill(0)
  const order = seen.map((_, i) => i).sort((a, b) => seen[a]!.slotAt - seen[b]!.slotAt)
  /** Slots seen so far, ascending. */
  const slots: Array<number> = []
  const needed = Math.max(1, Math.min(CORROBORATION, Math.floor(seen.length / 2)))
  let at = 0
  while (at < order.length) {
    // Those of one moment see each other.
    const { slotAt } = seen[order[at]!]!
    let end = at
    for (; end < order.length && seen[order[end]!]!.slotAt === slotAt; end++) insert(slots, seen[order[end]!]!.slot)
    const network = slots[slots.length - needed]
    for (; at < end; at++) {
      const i = order[at]!
      if (network !== undefined) result[i] = Math.max(0, network - seen[i]!.slot)
    }
  }
  return result
}

const insert = (slots: Array<number>, slot: number): void => {
  let low = 0
  let high = slots.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (slots[middle]! <= slot) low = middle + 1
    else high = middle
  }
  slots.splice(low, 0, slot)
}

/**
 * Seconds by which a remote clock is ahead of ours (negative: behind), at least, going by its certificate; 0 when there is
 * no sign of it. A node issues certificates for an hour and replaces them at half life (protocol.md 2.2), so one in use
 * expires 30 to 60 minutes from the remote's now.
 *
 * @category combinators
 * @since 0.1.0
 */
export const clockSkewSeconds = (certificateSecondsLeft: number): number => {
  if (certificateSecondsLeft > CERTIFICATE_LIFETIME_SECONDS) {
    return certificateSecondsLeft - CERTIFICATE_LIFETIME_SECONDS
  }
  const half = CERTIFICATE_LIFETIME_SECONDS / 2
  return certificateSecondsLeft < half ? certificateSecondsLeft - half : 0
}
