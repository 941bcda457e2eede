/**
 * Whom to ask first for an advertised transaction, so that peers who advertise and do not deliver cannot hold it back.
 *
 * stellar-core asks in random order, which is fair to peers but not to transactions: with eight withholders against one
 * honest peer and four requests in three seconds, most transactions are late. The `fair` policy changes only whom we
 * ask, so it goes with any peer:
 *
 * - a peer that left three requests in a row unanswered comes last, until it answers one
 * - outbound peers, which we chose, come before inbound ones, which chose us
 * - subnets take turns, and one subnet gets four requests for a transaction at most
 * - the back-off stays at its first step, and a transaction that was not delivered is asked of as many peers again as
 *   were asked already, so that n peers are asked within log2(n) steps: nine within 4 × 600 ms
 *
 * @since 0.1.0
 */
import { shuffle } from "../internal/shuffle.ts"
import type { NodeId } from "../wire/NodeId.ts"
import type { TxAdverts } from "./TxAdverts.ts"

/**
 * Requests in a row a peer may leave unanswered before it comes last.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_UNANSWERED = 3

/**
 * Peers of one subnet that one transaction is asked of.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_DEMANDS_PER_GROUP = 4

/**
 * A peer to ask for transactions.
 *
 * @category models
 * @since 0.1.0
 */
export interface DemandPeer {
  readonly id: NodeId
  readonly adverts: TxAdverts
  /** Whether we dialled it. For the fair policy. */
  readonly outbound?: boolean
  /** Its subnet, if that says anything about who runs it. For the fair policy. */
  readonly group?: string | undefined
}

/**
 * `core`: at random. `fair`: see above.
 *
 * @category models
 * @since 0.1.0
 */
export type DemandPolicy = "core" | "fair"

/**
 * How a peer ranks, lower being better: suspects after all others, inbound after outbound.
 *
 * @category getters
 * @since 0.1.0
 */
export const rank = (peer: DemandPeer, unanswered: number): number =>
  (unanswered >= MAX_UNANSWERED ? 2 : 0) + (peer.outbound === true ? 0 : 1)

/**
 * Peers by rank; within a rank the groups take turns, at random where there is a choice.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fairOrder = <P extends DemandPeer>(
  peers: Iterable<P>,
  rankOf: (peer: P) => number,
  draw: () => number
): Array<P> => {
  const turns = new Map<string, number>() // members of a rank and group so far
  return shuffle(peers, draw)
    .map((peer) => {
      const rank = rankOf(peer)
      const group = `${rank} ${peer.group ?? peer.id}`
      const turn = turns.get(group) ?? 0
      turns.set(group, turn + 1)
      return { peer, rank, turn }
    })
    .sort((a, b) => a.rank - b.rank || a.turn - b.turn) // stable, so the rest stays at random
    .map(({ peer }) => peer)
}
