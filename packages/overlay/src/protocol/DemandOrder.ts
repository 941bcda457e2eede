/**
 * Whom to ask first for an advertised transaction, so that peers who advertise and do not deliver cannot hold it back.
 *
 * stellar-core asks in random order, which is fair to peers but not to transactions: with eight withholders against one
 * honest peer and four requests in three seconds, most transactions are late. The `fair` policy changes only whom we
 * ask, so it goes with any peer:
 *
 * - a peer that left three requests in a row unanswered comes last, until it answers one
 * - outbound peers, which we chose, come before inbound ones, which chose us
 * - subnets take turns
 * - the last four of the fifteen requests for a transaction are for outbound peers, of subnets that had fewer than four
 * - the back-off stays at its first step, and a transaction that was not delivered is asked of as many peers again as
 *   were asked already, so that n peers are asked within log2(n) steps: nine within 4 × 600 ms
 *
 * @since 0.1.0
 */
import { shuffle } from "../internal/shuffle.ts"
import type { NodeId } from "../wire/NodeId.ts"
import type { TxAdverts } from "./TxAdverts.ts"

/**
 * MAX_RETRY_COUNT: peers one transaction is asked of.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_RETRY_COUNT = 15

/**
 * Requests in a row a peer may leave unanswered before it comes last.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_UNANSWERED = 3

/**
 * Requests for a transaction that are kept for outbound peers, and how many a subnet may have had to get one of them.
 *
 * @category constants
 * @since 0.1.0
 */
export const RESERVED_DEMANDS = 4

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
 * The lowest rank of a peer that left too many requests unanswered.
 *
 * @category constants
 * @since 0.1.0
 */
export const SUSPECT = 2

/**
 * How a peer ranks, lower being better: suspects after all others, inbound after outbound.
 *
 * @category getters
 * @since 0.1.0
 */
export const rank = (peer: DemandPeer, unanswered: number): number =>
  (unanswered >= MAX_UNANSWERED ? SUSPECT : 0) + (peer.outbound === true ? 0 : 1)

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

/**
 * What was done for a transaction so far: whom it was asked of, and their groups, in order.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attempts {
  readonly hash: Uint8Array
  readonly askedIds: Array<NodeId>
  readonly askedGroups: Array<string | undefined>
}

/**
 * A peer that may be asked, and what it is to be asked for so far.
 *
 * @category models
 * @since 0.1.0
 */
export interface Candidate<P> {
  readonly peer: P
  readonly rank: number
  readonly hashes: Array<Uint8Array>
}

/**
 * Whether a transaction is not to be asked of a peer: the requests that are left are for others.
 *
 * @category guards
 * @since 0.1.0
 */
export const isReserved = (attempts: Attempts, peer: DemandPeer): boolean =>
  isKeptFrom(peer, attempts.askedIds.length, askedIn(attempts, peer.group))

/**
 * The peers to ask for a hash whose turn has come at one of them: as many as were asked already, or the one at turn when
 * nobody was and it is no suspect. `candidates` is in fair order.
 *
 * @category combinators
 * @since 0.1.0
 */
export const choose = <C extends Candidate<DemandPeer>>(
  turn: C,
  candidates: ReadonlyArray<C>,
  attempts: Attempts,
  maxDemandSize: number
): Array<C> => {
  const asked = attempts.askedIds.length
  if (asked === 0 && turn.rank < SUSPECT) return [turn]
  const inGroup = new Map<string, number>()
  const sorted = candidates
    .filter((other) =>
      other.hashes.length < maxDemandSize && !attempts.askedIds.includes(other.peer.id) &&
      (other === turn || other.peer.adverts.seenAdvert(attempts.hash))
    )
    .map((candidate) => {
      const { group } = candidate.peer
      if (group === undefined) return { candidate, before: 0 }
      const before = inGroup.get(group) ?? askedIn(attempts, group)
      inGroup.set(group, before + 1)
      return { candidate, before }
    })
    .sort((a, b) => a.candidate.rank - b.candidate.rank || a.before - b.before)
  const wanted = Math.min(Math.max(1, asked), MAX_RETRY_COUNT - asked)
  const chosen: Array<C> = []
  for (const { before, candidate } of sorted) {
    if (chosen.length === wanted) break
    if (!isKeptFrom(candidate.peer, asked + chosen.length, before)) chosen.push(candidate)
  }
  return chosen
}

const isKeptFrom = (peer: DemandPeer, asked: number, inGroup: number): boolean =>
  asked >= MAX_RETRY_COUNT - RESERVED_DEMANDS && (peer.outbound !== true || inGroup >= RESERVED_DEMANDS)

const askedIn = ({ askedGroups }: Attempts, group: string | undefined): number =>
  group === undefined ? 0 : askedGroups.filter((asked) => asked === group).length
