/**
 * The items of one kind that are being looked for, each with the SCP envelopes that cannot be processed without it.
 * There are two such tables: transaction sets and quorum sets.
 *
 * stellar-core bounds none of this: a tracker lives until its slots pass. Here there is room for 512 items, 1000
 * envelopes each and 10,000 in all, and after an hour the search is given up. Whoever is pushed out gets a `dropped`
 * entry, and nothing stops it from coming again. Which tracker makes room for a new one: one that nobody waits for, else
 * the one that asked everyone in vain most often, else the one with the fewest envelopes, else the oldest; an item that
 * does not exist is all of these sooner than one that does.
 *
 * Implements protocol.md 6 (stellar-core: `ItemFetcher.cpp`); see `ItemTracker` for two deliberate differences.
 *
 * @since 0.1.0
 */
import { own } from "../internal/bytes.ts"
import { HashMap } from "../internal/hashMap.ts"
import { makeHashSeed } from "../internal/hashTable.ts"
import type { MessageType } from "../wire/MessageType.ts"
import { type FetchContext, ItemTracker } from "./ItemTracker.ts"

/**
 * The bounds.
 *
 * @category models
 * @since 0.1.0
 */
export interface ItemFetcherOptions {
  /** Items at most. */
  readonly maxTrackers: number
  /** Envelopes waiting for one item at most. */
  readonly maxWaitingPerTracker: number
  /** Envelopes waiting at most. */
  readonly maxWaiting: number
  /** After this long a search is given up, in milliseconds. */
  readonly giveUpMillis: number
}

/**
 * The default bounds: 512 items, 1000 envelopes each, 10,000 in all, one hour.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: ItemFetcherOptions = {
  maxTrackers: 512,
  maxWaitingPerTracker: 1000,
  maxWaiting: 10_000,
  giveUpMillis: 3_600_000
}

/**
 * The request an item is asked for with.
 *
 * @category models
 * @since 0.1.0
 */
export type ItemRequestType = typeof MessageType.GetTxSet | typeof MessageType.GetScpQuorumSet

/**
 * A message to send: GET_TX_SET or GET_SCP_QUORUMSET.
 *
 * @category models
 * @since 0.1.0
 */
export interface ItemRequest<P> {
  readonly peer: P
  readonly hash: Uint8Array
  readonly type: ItemRequestType
}

/**
 * What to do now: requests to send, and envelopes that do not wait any more though the item did not come.
 *
 * @category models
 * @since 0.1.0
 */
export interface FetchStep<P, E> {
  readonly requests: ReadonlyArray<ItemRequest<P>>
  readonly dropped: ReadonlyArray<E>
}

/**
 * An item that arrived: the envelopes that waited, the last added first, and how long they did in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface FetchResult<E> {
  readonly envelopes: ReadonlyArray<E>
  readonly durationMillis: number
}

/**
 * The fetcher of one kind of item. `now` is in monotonic milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export class ItemFetcherTable<P, E> {
  readonly #type: ItemRequestType
  readonly #context: FetchContext<P, E>
  readonly #options: ItemFetcherOptions
  readonly #trackers: HashMap<ItemTracker<P, E>>
  #waiting = 0

  /** Requests made since creation. */
  requests = 0
  /** Peers tried after another did not answer, since creation (`overlay.item-fetcher.next-peer`). */
  nextPeer = 0
  /** Items that arrived since creation though nobody waited for them. */
  unsolicited = 0
  /** Envelopes dropped since creation. */
  dropped = 0
  /** Searches given up since creation for their age, and for want of room. */
  gaveUp = 0
  evicted = 0

  /** The context's `draw` gives numbers in [0, 1) that an attacker cannot predict. */
  constructor(type: ItemRequestType, context: FetchContext<P, E>, options: ItemFetcherOptions = defaults) {
    this.#type = type
    this.#context = context
    this.#options = options
    this.#trackers = new HashMap(makeHashSeed(context.draw), options.maxTrackers)
  }

  /** Items that are, or lately were, looked for. */
  get size(): number {
    return this.#trackers.size
  }

  /** Envelopes that wait. */
  get waiting(): number {
    return this.#waiting
  }

  /** Looks for an item an envelope needs. Another envelope for an item that is being looked for asks nobody. */
  fetch(hash: Uint8Array, envelope: E, now: number): FetchStep<P, E> {
    const dropped: Array<E> = []
    let tracker = this.#trackers.get(hash)
    if (tracker === undefined) {
      if (this.#trackers.isFull) this.#evict(now, dropped)
      tracker = new ItemTracker(own(hash), this.#context, now)
      this.#trackers.add(hash, tracker)
    }
    const isNew = tracker.isEmpty
    if (tracker.listen(envelope)) this.#waiting++
    if (tracker.size > this.#options.maxWaitingPerTracker) this.#dropOldest(tracker, dropped)
    if (this.#waiting > this.#options.maxWaiting) this.#dropOldest(this.#longest(), dropped)
    const peer = isNew && !tracker.isEmpty ? tracker.start(now) : undefined
    return { requests: peer === undefined ? [] : [this.#request(peer, tracker)], dropped }
  }

  /** An envelope does not need an item any more. */
  stopFetch(hash: Uint8Array, envelope: E): void {
    const tracker = this.#trackers.get(hash)
    if (tracker === undefined) return
    this.#waiting -= tracker.discard(envelope)
    if (tracker.isEmpty) tracker.cancel()
  }

  /** The item arrived. Undefined when nobody waits for it: then it is to be ignored, and not kept either. */
  recv(hash: Uint8Array, now: number): FetchResult<E> | undefined {
    const tracker = this.#trackers.get(hash)
    if (tracker === undefined || tracker.isEmpty) {
      this.unsolicited++
      return undefined
    }
    const envelopes: Array<E> = []
    while (!tracker.isEmpty) envelopes.push(tracker.pop()!)
    this.#waiting -= envelopes.length
    const durationMillis = tracker.getDuration(now)
    tracker.finish()
    return { envelopes, durationMillis }
  }

  /** A DONT_HAVE arrived. */
  doesntHave(hash: Uint8Array, peer: P, now: number): ItemRequest<P> | undefined {
    const tracker = this.#trackers.get(hash)
    if (tracker === undefined || tracker.isEmpty || tracker.lastAskedPeer !== peer) return undefined
    this.nextPeer++
    const next = tracker.doesntHave(peer, now)
    return next === undefined ? undefined : this.#request(next, tracker)
  }

  /**
   * Removes the envelopes of slots below `min` or above `max`, except those of slot `keep`, and the trackers nobody waits
   * for. Gives the envelopes removed.
   */
  stopFetchingOutsideRange(min: number, max: number, keep: number): Array<E> {
    const removed: Array<E> = []
    for (const tracker of this.#trackers.values()) {
      const wasWanted = !tracker.isEmpty
      if (tracker.clearEnvelopesOutsideRange(min, max, keep, removed)) continue
      this.#trackers.delete(tracker.hash)
      if (wasWanted) this.#context.gaveUp?.(tracker.hash, "Slot")
    }
    this.#waiting -= removed.length
    return removed
  }

  /** The highest slot of an envelope that was added for an item; 0 when the item is not wanted. */
  getLastSeenSlotIndex(hash: Uint8Array): number {
    return this.#trackers.get(hash)?.lastSeenSlotIndex ?? 0
  }

  /** Whether an envelope waits for an item. */
  isWanted(hash: Uint8Array): boolean {
    return this.#trackers.get(hash)?.isEmpty === false
  }

  /** The envelopes that wait for an item, in the order of arrival. */
  fetchingFor(hash: Uint8Array): Array<E> {
    return this.#trackers.get(hash)?.waitingEnvelopes ?? []
  }

  /** The tracker of an item. For tests and diagnosis. */
  tracker(hash: Uint8Array): ItemTracker<P, E> | undefined {
    return this.#trackers.get(hash)
  }

  /** When to call `tick`, or undefined when there is nothing to wait for. */
  get nextDeadline(): number | undefined {
    let deadline: number | undefined
    for (const { nextTryAt } of this.#trackers.values()) {
      if (nextTryAt !== undefined && (deadline === undefined || nextTryAt < deadline)) deadline = nextTryAt
    }
    return deadline
  }

  /** Asks on for the items whose time has come. */
  tick(now: number): FetchStep<P, E> {
    const requests: Array<ItemRequest<P>> = []
    const dropped: Array<E> = []
    for (const tracker of this.#trackers.values()) {
      if (tracker.nextTryAt === undefined || now < tracker.nextTryAt) continue
      if (tracker.getDuration(now) >= this.#options.giveUpMillis) {
        this.gaveUp++
        this.#abandon(tracker, dropped)
        this.#context.gaveUp?.(tracker.hash, "Age")
        continue
      }
      if (tracker.lastAskedPeer !== undefined) this.nextPeer++
      const peer = tracker.tryNextPeer(now)
      if (peer !== undefined) requests.push(this.#request(peer, tracker))
    }
    return { requests, dropped }
  }

  /** A connection is gone. Call it for each, or trackers keep the object of a peer they asked. */
  forgetPeer(peer: P): void {
    for (const tracker of this.#trackers.values()) tracker.forgetPeer(peer)
  }

  /** Forgets everything. */
  shutdown(): void {
    this.#trackers.clear()
    this.#waiting = 0
  }

  #request(peer: P, tracker: ItemTracker<P, E>): ItemRequest<P> {
    this.requests++
    return { peer, hash: tracker.hash, type: this.#type }
  }

  #dropOldest(tracker: ItemTracker<P, E>, dropped: Array<E>): void {
    const envelope = tracker.dropOldest()
    if (envelope === undefined) return
    this.#waiting--
    this.dropped++
    dropped.push(envelope)
    if (tracker.isEmpty) tracker.cancel()
  }

  #longest(): ItemTracker<P, E> {
    return this.#trackers.values().reduce((longest, tracker) => tracker.size > longest.size ? tracker : longest)
  }

  #evict(now: number, dropped: Array<E>): void {
    const isWorse = (a: ItemTracker<P, E>, b: ItemTracker<P, E>): boolean => {
      if (a.isEmpty !== b.isEmpty) return a.isEmpty
      if (a.rebuilds !== b.rebuilds) return a.rebuilds > b.rebuilds
      if (a.size !== b.size) return a.size < b.size
      return a.getDuration(now) > b.getDuration(now)
    }
    const worst = this.#trackers.values().reduce((worst, tracker) => isWorse(tracker, worst) ? tracker : worst)
    const wasWanted = !worst.isEmpty
    this.#abandon(worst, dropped)
    if (!wasWanted) return
    this.evicted++
    this.#context.gaveUp?.(worst.hash, "Room")
  }

  #abandon(tracker: ItemTracker<P, E>, dropped: Array<E>): void {
    this.#waiting -= tracker.size
    this.dropped += tracker.size
    for (let envelope; (envelope = tracker.dropOldest()) !== undefined;) dropped.push(envelope)
    this.#trackers.delete(tracker.hash)
  }
}
