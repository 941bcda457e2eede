/**
 * Who of a full inbound list makes room for a newcomer: an idle peer that takes a slot and gives nothing.
 *
 * A peer that ever told something new is never chosen, nor a preferred or a young one, nor those that answer fastest. Of
 * the rest the subnet with most of them loses one: the slowest, and of equally slow ones the last to come. As long as
 * nobody told anything new, nobody is chosen: what is idle can then not be told from what is not.
 *
 * Core has no such rule and refuses the newcomer.
 *
 * @since 0.1.0
 */

/**
 * What counts about an inbound peer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Squatter {
  /** Preferred peers stay. */
  readonly isPreferred: boolean
  /** Monotonic milliseconds. */
  readonly since: number
  /** Messages that nobody else had told before. */
  readonly useful: number
  readonly latencyMillis: number
  /** Who likely has one owner (`PeerAddress.subnet16`). */
  readonly group: string
}

/**
 * Peers that stay because nobody answers faster: an attacker far away cannot fake that.
 *
 * @category constants
 * @since 0.1.0
 */
export const FASTEST_KEPT = 4

/**
 * The index of the peer that goes, or -1. `minAgeMillis` is how long a peer may be idle; Infinity lets everybody stay.
 *
 * @category combinators
 * @since 0.1.0
 */
export const choose = (inbound: ReadonlyArray<Squatter>, minAgeMillis: number, now: number): number => {
  if (!inbound.some((peer) => peer.useful > 0)) return -1
  const fastest = new Set([...inbound].sort((a, b) => a.latencyMillis - b.latencyMillis).slice(0, FASTEST_KEPT))
  const idle = inbound.filter((peer) =>
    peer.useful === 0 && !peer.isPreferred && now - peer.since >= minAgeMillis && !fastest.has(peer)
  )
  const crowd = new Map<string, number>()
  for (const { group } of idle) crowd.set(group, (crowd.get(group) ?? 0) + 1)
  let worst: Squatter | undefined
  for (const peer of idle) if (worst === undefined || isWorse(peer, worst, crowd)) worst = peer
  return worst === undefined ? -1 : inbound.indexOf(worst)
}

const isWorse = (a: Squatter, b: Squatter, crowd: ReadonlyMap<string, number>): boolean => {
  const byGroup = (crowd.get(a.group) ?? 0) - (crowd.get(b.group) ?? 0)
  if (byGroup !== 0) return byGroup > 0
  if (a.latencyMillis !== b.latencyMillis) return a.latencyMillis > b.latencyMillis
  return a.since > b.since
}
