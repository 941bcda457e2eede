/**
 * The search for one item, a transaction set or a quorum set: who waits for it, who was asked, who is asked next.
 *
 * Implements protocol.md 6 (stellar-core: `Tracker.cpp`). Where core's tracker does something that helps nobody, this
 * one does not, which no peer can tell from a slower or faster node:
 *
 * - Core's tracker outlives `recv` and `stopFetch` with its timer off, and what is fetched again before it is purged is
 *   asked of nobody. Here it is asked at once, of the next peer in turn; at the end of the pause if a round was just
 *   over, so that stopping and fetching again does not get around the pauses.
 * - After `recv`, core still takes a DONT_HAVE of the peer it asked last for a reason to ask another, and sets its timer.
 *   Here a tracker that nobody waits for asks nobody.
 *
 * @since 0.1.0
 */
import { equals } from "../internal/bytes.ts"

/**
 * MS_TO_WAIT_FOR_FETCH_REPLY: the wait before another peer is asked.
 *
 * @category constants
 * @since 0.1.0
 */
export const FETCH_REPLY_WAIT_MILLIS = 1500

/**
 * MAX_REBUILD_FETCH_LIST: when everyone was asked in vain, the pause before the next round is as many waits as rounds
 * have ended, but no more than this.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_REBUILD_FACTOR = 10

/**
 * Peers whose pings take as many whole halves of a second, in milliseconds, are equally near.
 *
 * @category constants
 * @since 0.1.0
 */
export const LATENCY_BUCKET_MILLIS = 500

/**
 * The latency of a peer that was not measured yet, in milliseconds: a day.
 *
 * @category constants
 * @since 0.1.0
 */
export const UNMEASURED_LATENCY_MILLIS = 86_400_000

/**
 * What a tracker needs to know about peers, and about the envelopes that wait, which it does not look into.
 *
 * `P` is a connection, told from others by identity: who reconnects may be asked again.
 *
 * @category models
 * @since 0.1.0
 */
export interface FetchContext<P, E> {
  /** The slot of an envelope. One without is never out of range: somebody else than SCP waits. */
  readonly slotOf: (envelope: E) => number | undefined
  /** The floodgate's key of the SCP_MESSAGE with the envelope; equal keys are the same envelope. */
  readonly keyOf: (envelope: E) => Uint8Array | undefined
  /** The envelope in the form in which it is kept while it waits; as it is unless given. */
  readonly keep?: ((envelope: E) => E) | undefined
  /** Told of every envelope with a key that begins or ends to wait for an item. */
  readonly awaited?: { begin(key: Uint8Array): void; end(key: Uint8Array): void } | undefined
  /** The authenticated peers. */
  readonly peers: () => ReadonlyArray<P>
  /** The authenticated peers known to have a message: `Floodgate.getPeersKnows`. */
  readonly peersKnow: (key: Uint8Array) => Iterable<P>
  /** The last ping of a peer, in milliseconds. */
  readonly latencyOf: (peer: P) => number | undefined
  /** Chance: numbers in [0, 1). */
  readonly draw: () => number
  /** Told of a search that ends without its item: it lasted too long, made room, or its slots have passed. */
  readonly gaveUp?: ((hash: Uint8Array, why: "Age" | "Room" | "Slot") => void) | undefined
}

interface Waiting<E> {
  readonly envelope: E
  readonly key: Uint8Array | undefined
  readonly slot: number | undefined
}

/**
 * The tracker of one item. `now` is in monotonic milliseconds.
 *
 * The number of envelopes is the business of whoever adds them; peers are remembered until they leave
 * (`forgetPeer`) or the round ends.
 *
 * @category models
 * @since 0.1.0
 */
export class ItemTracker<P, E> {
  readonly #context: FetchContext<P, E>
  /** In the order of arrival. */
  #waiting: Array<Waiting<E>> = []
  /** Peers asked in this round, and whether each was known then to have a message that needs the item. */
  readonly #asked = new Map<P, boolean>()
  #lastAsked: P | undefined
  #nextTryAt: number | undefined
  /** The end of the pause after a round. */
  #pausedUntil = Number.NEGATIVE_INFINITY
  #startedAt: number

  /** The item. */
  readonly hash: Uint8Array
  /** The highest slot of an envelope added since the last reset; 0 when the item is not wanted. */
  lastSeenSlotIndex = 0
  /** Rounds in which everyone was asked in vain. */
  rebuilds = 0

  /** `hash` is kept as it is, not copied. */
  constructor(hash: Uint8Array, context: FetchContext<P, E>, now: number) {
    this.hash = hash
    this.#context = context
    this.#startedAt = now
  }

  /** Envelopes that wait. */
  get size(): number {
    return this.#waiting.length
  }

  /** Whether no envelope waits. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** The envelopes that wait, in the order of arrival. */
  get waitingEnvelopes(): Array<E> {
    return this.#waiting.map(({ envelope }) => envelope)
  }

  /** The peer asked last, until another is tried. */
  get lastAskedPeer(): P | undefined {
    return this.#lastAsked
  }

  /** When to call `tryNextPeer`; undefined when the timer is off. */
  get nextTryAt(): number | undefined {
    return this.#nextTryAt
  }

  /** How long the item has been looked for, in milliseconds. */
  getDuration(now: number): number {
    return now - this.#startedAt
  }

  /** Adds an envelope that waits for the item; false when it waits already. */
  listen(envelope: E): boolean {
    const slot = this.#context.slotOf(envelope)
    if (slot !== undefined && slot > this.lastSeenSlotIndex) this.lastSeenSlotIndex = slot
    const key = this.#context.keyOf(envelope)
    if (this.#waiting.some((other) => isSame(other, envelope, key))) return false
    this.#waiting.push({ envelope: this.#context.keep?.(envelope) ?? envelope, key, slot })
    if (key !== undefined) this.#context.awaited?.begin(key)
    return true
  }

  #left({ envelope, key }: Waiting<E>): E {
    if (key !== undefined) this.#context.awaited?.end(key)
    return envelope
  }

  /** Removes an envelope and its equals; gives how many there were. The timer goes on: see `cancel`. */
  discard(envelope: E): number {
    const key = this.#context.keyOf(envelope)
    const gone = this.#waiting.filter((other) => isSame(other, envelope, key))
    this.#waiting = this.#waiting.filter((other) => !gone.includes(other))
    for (const waiting of gone) this.#left(waiting)
    return gone.length
  }

  /** Removes the envelope that was added last. */
  pop(): E | undefined {
    const last = this.#waiting.pop()
    return last && this.#left(last)
  }

  /** Removes the envelope that was added first. */
  dropOldest(): E | undefined {
    const first = this.#waiting.shift()
    return first && this.#left(first)
  }

  /**
   * Removes the envelopes of slots below `min` or above `max`, except those of slot `keep`, adding them to `removed`.
   * False, and the search is over, when none remain.
   */
  clearEnvelopesOutsideRange(min: number, max: number, keep: number, removed?: Array<E>): boolean {
    const remaining: Array<Waiting<E>> = []
    for (const waiting of this.#waiting) {
      const { slot } = waiting
      if (slot === undefined || (slot >= min && slot <= max) || slot === keep) remaining.push(waiting)
      else {
        const envelope = this.#left(waiting)
        removed?.push(envelope)
      }
    }
    this.#waiting = remaining
    if (remaining.length > 0) return true
    this.cancel()
    return false
  }

  /** Sets the last-seen slot to 0: the item is not wanted. */
  resetLastSeenSlotIndex(): void {
    this.lastSeenSlotIndex = 0
  }

  /** Stops asking. Who was asked, and the pause after a round, are remembered for when it goes on. */
  cancel(): void {
    this.#nextTryAt = undefined
    this.#lastAsked = undefined
    this.lastSeenSlotIndex = 0
  }

  /** The item is here: stops asking, and a later search begins from nothing. */
  finish(): void {
    this.cancel()
    this.#asked.clear()
    this.#pausedUntil = Number.NEGATIVE_INFINITY
    this.rebuilds = 0
  }

  /** Begins to ask, or goes on after `cancel`. Gives the peer to ask now, if any. */
  start(now: number): P | undefined {
    this.#startedAt = now
    if (now >= this.#pausedUntil) return this.tryNextPeer(now)
    this.#nextTryAt = this.#pausedUntil
    return undefined
  }

  /** The peer to ask next, which counts as asked; undefined when everyone was: then there is a pause. */
  tryNextPeer(now: number): P | undefined {
    this.#lastAsked = undefined
    const peers = this.#context.peers()
    const knowing = this.#knowing()
    let pool = peers.filter((peer) => knowing.has(peer) && this.#asked.get(peer) !== true)
    const isKnowing = pool.length > 0
    if (!isKnowing) pool = peers.filter((peer) => !this.#asked.has(peer))
    if (pool.length === 0) {
      this.#asked.clear()
      this.rebuilds++
      this.#pausedUntil = now + FETCH_REPLY_WAIT_MILLIS * Math.min(MAX_REBUILD_FACTOR, this.rebuilds)
      this.#nextTryAt = this.#pausedUntil
      return undefined
    }
    const peer = this.#pickNearest(pool)
    this.#asked.set(peer, isKnowing)
    this.#lastAsked = peer
    this.#nextTryAt = now + FETCH_REPLY_WAIT_MILLIS
    return peer
  }

  /** The peer said that it does not have the item. Gives the peer to ask now, if it was the one asked last. */
  doesntHave(peer: P, now: number): P | undefined {
    return this.isEmpty || this.#lastAsked !== peer ? undefined : this.tryNextPeer(now)
  }

  /** The connection is gone. If it was asked last, its answer is waited for no shorter or longer. */
  forgetPeer(peer: P): void {
    this.#asked.delete(peer)
    if (this.#lastAsked === peer) this.#lastAsked = undefined
  }

  /** The peers known to have any of the envelopes. */
  #knowing(): Set<P> {
    const knowing = new Set<P>()
    for (const { key } of this.#waiting) {
      if (key !== undefined) { for (const peer of this.#context.peersKnow(key)) knowing.add(peer) }
    }
    return knowing
  }

  #pickNearest(pool: ReadonlyArray<P>): P {
    const bucketOf = (peer: P) =>
      Math.floor((this.#context.latencyOf(peer) ?? UNMEASURED_LATENCY_MILLIS) / LATENCY_BUCKET_MILLIS)
    const buckets = pool.map(bucketOf)
    const lowest = Math.min(...buckets)
    const nearest = pool.filter((_, i) => buckets[i] === lowest)
    return nearest[Math.floor(this.#context.draw() * nearest.length)]!
  }
}

const isSame = <E>(waiting: Waiting<E>, envelope: E, key: Uint8Array | undefined): boolean =>
  waiting.envelope === envelope || (key !== undefined && waiting.key !== undefined && equals(waiting.key, key))
