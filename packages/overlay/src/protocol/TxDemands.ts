/**
 * Which advertised transactions to ask of whom, and what came of it. One instance per node.
 *
 * Implements protocol.md 5.5 (stellar-core: `TxDemandsManager.cpp`).
 *
 * @since 0.1.0
 */
import { HashMap } from "../internal/hashMap.ts"
import { HASH_LENGTH, makeHashSeed } from "../internal/hashTable.ts"
import { shuffle } from "../internal/shuffle.ts"
import type { NodeId } from "../wire/NodeId.ts"
import {
  type Attempts,
  type Candidate,
  choose,
  type DemandPeer,
  type DemandPolicy,
  fairOrder,
  isReserved,
  MAX_RETRY_COUNT,
  MAX_UNANSWERED,
  rank
} from "./DemandOrder.ts"
import { HashQueue } from "./HashQueue.ts"

/**
 * MAX_DELAY_DEMAND: the longest wait before a transaction is asked of another peer, in milliseconds.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_DELAY_DEMAND_MILLIS = 2000

/**
 * How long a transaction is remembered as demanded, in milliseconds: twice the time of all attempts.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEMAND_RETENTION_MILLIS = MAX_DELAY_DEMAND_MILLIS * MAX_RETRY_COUNT * 2

/**
 * Settings.
 *
 * @category models
 * @since 0.1.0
 */
export interface TxDemandsOptions {
  /** FLOOD_DEMAND_BACKOFF_DELAY_MS: the wait before the second attempt; before the k-th it is k - 1 times as long. */
  readonly backoffMillis: number
  /**
   * Transactions remembered as demanded. The oldest make room; when they are advertised again they are asked for again.
   */
  readonly maxDemanded: number
  readonly policy: DemandPolicy
}

/**
 * stellar-core's behaviour, with at most 100,000 transactions remembered, which is 1600 new ones per second.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: TxDemandsOptions = { backoffMillis: 500, maxDemanded: 100_000, policy: "core" }

/**
 * What to do with an advertised hash.
 *
 * @category models
 * @since 0.1.0
 */
export type DemandStatus = "demand" | "retryLater" | "discard"

/**
 * What the host knows of a transaction. The hash is valid during the call only.
 *
 * @category models
 * @since 0.1.0
 */
export type TransactionStatus = (hash: Uint8Array) => "known" | "banned" | "unknown" | undefined

/**
 * What one peer is to be asked for: one FLOOD_DEMAND.
 *
 * @category models
 * @since 0.1.0
 */
export interface Demand<P> {
  readonly peer: P
  /** At least one. */
  readonly hashes: ReadonlyArray<Uint8Array>
  /** How many of them another peer was asked for before and did not deliver (the peer's `demand_timeouts`). */
  readonly timeouts: number
}

/**
 * How long a transaction took, in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface PullLatency {
  /** Since it was first asked of anyone; undefined when that was recorded already. */
  readonly total: number | undefined
  /** Since the peer that delivered it was asked; undefined when it was not asked. */
  readonly peer: number | undefined
}

/** What is known about a demanded transaction. */
interface Demanded extends Attempts {
  readonly firstAt: number
  lastAt: number
  received: boolean
  readonly askedAt: Array<number>
}

/** A peer during a run. */
interface Turn<P> extends Candidate<P> {
  readonly retry: HashQueue
  timeouts: number
}

/**
 * The demands of one node. `run` every `demandPeriodMillis`; `now` is in monotonic milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export class TxDemands {
  readonly #options: TxDemandsOptions
  readonly #draw: () => number
  readonly #demanded: HashMap<Demanded>
  /** Queues of hashes to try again, kept from run to run. */
  readonly #retries: Array<HashQueue> = []
  /** Requests in a row that peers left unanswered, of peers that did so. At most one entry per peer of the last run. */
  readonly #unanswered = new Map<NodeId, number>()
  readonly #hash = new Uint8Array(HASH_LENGTH)
  #isShutDown = false

  /** Hashes demanded since creation (`overlay.flood.demanded`). */
  demanded = 0
  /** Hashes demanded of one more peer since creation (`overlay.demand.timeout`). */
  timeouts = 0
  /** Hashes that were never delivered since creation (`overlay.flood.abandoned-demands`). */
  abandoned = 0
  /** Hashes forgotten before their time since creation, because there were too many. */
  evicted = 0
  /** Transactions received since creation that were newly pending, and the others (`overlay.flood.relevant-txs`). */
  relevant = 0
  irrelevant = 0

  /** `draw` gives numbers in [0, 1) that an attacker cannot predict. */
  constructor(draw: () => number, options: TxDemandsOptions = defaults) {
    this.#options = options
    this.#draw = draw
    this.#demanded = new HashMap(makeHashSeed(draw), options.maxDemanded)
  }

  /** Hashes remembered as demanded. */
  get size(): number {
    return this.#demanded.size
  }

  /** What to do with a hash that a peer advertised and that the host does not know. */
  demandStatus(hash: Uint8Array, peer: NodeId, now: number): DemandStatus {
    const demanded = this.#demanded.get(hash)
    if (demanded === undefined) return "demand"
    if (demanded.askedIds.includes(peer) || demanded.askedIds.length >= MAX_RETRY_COUNT) return "discard"
    return now - demanded.lastAt >= this.#retryDelay(demanded) ? "demand" : "retryLater"
  }

  /**
   * Decides about the adverts of all authenticated peers. Returns the demands to send, at most one per peer and
   * `maxDemandSize` hashes each.
   */
  run<P extends DemandPeer>(
    now: number,
    peers: ReadonlyArray<P>,
    maxDemandSize: number,
    statusOf: TransactionStatus
  ): Array<Demand<P>> {
    if (this.#isShutDown) return []
    this.#expire(now)
    const turns = this.#turns(peers)
    const { policy } = this.#options
    for (let any = true; any;) {
      any = false
      for (const turn of turns) {
        const added = policy === "fair"
          ? this.#fairTurn(turn, turns, maxDemandSize, now, statusOf)
          : this.#coreTurn(turn, maxDemandSize, now, statusOf)
        any ||= added
      }
    }
    for (const { peer, retry } of turns) if (retry.length > 0) peer.adverts.retryIncomingAdvert(retry)
    return turns.filter(({ hashes }) => hashes.length > 0)
  }

  /**
   * Notes that a transaction arrived, asked for or not: `hash` is the SHA-256 of its envelope. Undefined when it was not
   * asked for.
   */
  recvTransaction(hash: Uint8Array, peer: NodeId, now: number): PullLatency | undefined {
    const demanded = this.#demanded.get(hash)
    if (demanded === undefined) return undefined
    const asked = demanded.askedIds.indexOf(peer)
    if (asked >= 0) this.#unanswered.delete(peer)
    const total = demanded.received ? undefined : now - demanded.firstAt
    demanded.received = true
    return { total, peer: asked < 0 ? undefined : now - demanded.askedAt[asked]! }
  }

  /** Counts what the host made of a transaction. True when the floodgate is to forget it: it is no good. */
  recordVerdict(verdict: "pending" | "duplicate" | "rejected" | "banned"): boolean {
    if (verdict === "pending") this.relevant++
    else this.irrelevant++
    return verdict !== "pending" && verdict !== "duplicate"
  }

  /** Forgets everything and asks for nothing from now on. */
  shutdown(): void {
    this.#isShutDown = true
    this.#demanded.clear()
    this.#unanswered.clear()
    this.#retries.length = 0
  }

  #expire(now: number): void {
    for (let { oldest } = this.#demanded; oldest !== undefined; oldest = this.#demanded.oldest) {
      if (now - oldest.firstAt < DEMAND_RETENTION_MILLIS) return
      this.#forgetOldest(oldest)
    }
  }

  #forgetOldest(oldest: Demanded): void {
    if (!oldest.received) this.abandoned++
    this.#demanded.deleteOldest()
  }

  #turns<P extends DemandPeer>(peers: ReadonlyArray<P>): Array<Turn<P>> {
    const rankOf = (peer: P) => rank(peer, this.#unanswered.get(peer.id) ?? 0)
    let order: Array<P>
    if (this.#options.policy === "fair") {
      this.#forgetAbsent(peers)
      order = fairOrder(peers, rankOf, this.#draw)
    } else {
      order = shuffle(peers, this.#draw)
    }
    this.#retries.length = Math.min(this.#retries.length, order.length)
    while (this.#retries.length < order.length) this.#retries.push(new HashQueue())
    return order.map((peer, i) => ({ peer, rank: rankOf(peer), hashes: [], retry: this.#retries[i]!, timeouts: 0 }))
  }

  /** Takes adverts of a peer until one is worth a demand. False when there is none, or no room. */
  #coreTurn<P extends DemandPeer>(
    turn: Turn<P>,
    maxDemandSize: number,
    now: number,
    statusOf: TransactionStatus
  ): boolean {
    const hash = this.#hash
    while (turn.hashes.length < maxDemandSize && turn.peer.adverts.popIncomingAdvert(hash)) {
      if (isHeld(statusOf(hash))) continue
      const status = this.demandStatus(hash, turn.peer.id, now)
      if (status === "retryLater") turn.retry.push(hash)
      if (status !== "demand") continue
      this.#demand(turn, this.#demanded.get(hash) ?? this.#remember(hash, now), now)
      return true
    }
    return false
  }

  /** As `#coreTurn`, but the demand may go to others that advertised the same hash. */
  #fairTurn<P extends DemandPeer>(
    turn: Turn<P>,
    turns: ReadonlyArray<Turn<P>>,
    maxDemandSize: number,
    now: number,
    statusOf: TransactionStatus
  ): boolean {
    const hash = this.#hash
    while (turn.hashes.length < maxDemandSize && turn.peer.adverts.popIncomingAdvert(hash)) {
      if (isHeld(statusOf(hash))) continue
      const status = this.demandStatus(hash, turn.peer.id, now)
      const known = this.#demanded.get(hash)
      if (status === "discard") continue
      if (known !== undefined && isReserved(known, turn.peer)) continue
      if (status === "retryLater") {
        turn.retry.push(hash)
        continue
      }
      const demanded = known ?? this.#remember(hash, now)
      if (known !== undefined) this.#blame(known)
      const chosen = choose(turn, turns, demanded, maxDemandSize)
      for (const other of chosen) this.#demand(other, demanded, now)
      if (!chosen.includes(turn)) turn.retry.push(hash)
      return true
    }
    return false
  }

  #demand<P extends DemandPeer>(turn: Turn<P>, demanded: Demanded, now: number): void {
    if (demanded.askedIds.length > 0) {
      this.timeouts++
      turn.timeouts++
    }
    demanded.askedIds.push(turn.peer.id)
    demanded.askedAt.push(now)
    demanded.askedGroups.push(turn.peer.group)
    demanded.lastAt = now
    this.demanded++
    turn.hashes.push(demanded.hash)
  }

  #remember(hash: Uint8Array, now: number): Demanded {
    const { oldest } = this.#demanded
    if (this.#demanded.isFull && oldest !== undefined) {
      this.#forgetOldest(oldest)
      this.evicted++
    }
    const demanded: Demanded = {
      hash: hash.slice(),
      firstAt: now,
      lastAt: now,
      received: false,
      askedIds: [],
      askedAt: [],
      askedGroups: []
    }
    this.#demanded.add(hash, demanded)
    return demanded
  }

  #retryDelay(demanded: Demanded): number {
    const { backoffMillis, policy } = this.#options
    const steps = policy === "fair" ? 1 : demanded.askedIds.length
    return Math.min(steps * backoffMillis, MAX_DELAY_DEMAND_MILLIS)
  }

  /** The peers asked last did not deliver in time. */
  #blame(demanded: Demanded): void {
    for (let i = demanded.askedIds.length - 1; i >= 0 && demanded.askedAt[i] === demanded.lastAt; i--) {
      const id = demanded.askedIds[i]!
      this.#unanswered.set(id, Math.min(MAX_UNANSWERED, (this.#unanswered.get(id) ?? 0) + 1))
    }
  }

  #forgetAbsent(peers: ReadonlyArray<DemandPeer>): void {
    if (this.#unanswered.size === 0) return
    const present = new Set(peers.map(({ id }) => id))
    for (const id of this.#unanswered.keys()) if (!present.has(id)) this.#unanswered.delete(id)
  }
}

const isHeld = (status: ReturnType<TransactionStatus>): boolean => status === "known" || status === "banned"
