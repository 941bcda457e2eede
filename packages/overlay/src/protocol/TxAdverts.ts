/**
 * The adverts of one connection: hashes we are about to advertise to the peer, and hashes it advertised to us that we
 * have not decided about yet.
 *
 * Implements protocol.md 5.4 (stellar-core: `TxAdverts.cpp`, `Peer::sendAdvert`).
 *
 * @since 0.1.0
 */
import { own } from "../internal/bytes.ts"
import { HASH_LENGTH } from "../internal/hashTable.ts"
import type { FloodAdvert } from "../wire/StellarMessage.ts"
import type { AdvertHistory } from "./AdvertHistory.ts"
import type { FloodLimits } from "./FloodRates.ts"
import { HashQueue } from "./HashQueue.ts"

/** Where the hashes begin in a FLOOD_ADVERT: after the discriminant and their number. */
const FIRST_HASH = 8

/**
 * The adverts of one connection, in both directions.
 *
 * Outgoing: `advertise` collects hashes; what it or `tick` returns is to be sent as one FLOOD_ADVERT now. Incoming:
 * `queueIncomingAdvert` takes adverts in, `TxDemands` takes hashes out. `now` is in monotonic milliseconds.
 *
 * Bounds: fewer than `maxAdvertSize` hashes outgoing, `maxTxSetSize` incoming, and those of the history.
 *
 * @category models
 * @since 0.1.0
 */
export class TxAdverts {
  #limits: FloodLimits
  readonly #history: AdvertHistory
  #outgoing: Array<Uint8Array> = []
  #deadline: number | undefined
  readonly #incoming = new HashQueue()
  readonly #retry = new HashQueue()
  #isShutDown = false

  /** Hashes queued for advert since creation (`overlay.flood.advertised`). */
  advertised = 0
  /** Hashes not advertised since creation because the peer had advertised them to us. */
  suppressed = 0
  /** Incoming hashes dropped since creation because more came than a ledger holds. */
  trimmed = 0

  constructor(limits: FloodLimits, history: AdvertHistory) {
    this.#limits = limits
    this.#history = history
  }

  /** A ledger closed: adopt its limits. They hold from the next hash on. */
  updateLimits(limits: FloodLimits): void {
    this.#limits = limits
  }

  /** Whether the peer advertised a hash to us lately. */
  seenAdvert(hash: Uint8Array): boolean {
    return this.#history.has(hash)
  }

  /**
   * Queues a hash for advert unless the peer advertised it to us. Returns the hashes of the FLOOD_ADVERT to send now, if
   * that makes a full one.
   */
  advertise(hash: Uint8Array, now: number): ReadonlyArray<Uint8Array> | undefined {
    if (this.seenAdvert(hash)) {
      this.suppressed++
      return undefined
    }
    return this.queueOutgoingAdvert(hash, now)
  }

  /** As `advertise`, whatever the peer advertised. */
  queueOutgoingAdvert(hash: Uint8Array, now: number): ReadonlyArray<Uint8Array> | undefined {
    if (this.#isShutDown) return undefined
    // A timer that a full advert left running is set anew here, not before: see `tick`.
    if (this.#outgoing.length === 0) this.#deadline = now + this.#limits.advertPeriodMillis
    this.#outgoing.push(own(hash))
    this.advertised++
    return this.#outgoing.length >= this.#limits.maxAdvertSize ? this.#flush() : undefined
  }

  /** When to call `tick`, or undefined when there is nothing to wait for. */
  get nextDeadline(): number | undefined {
    return this.#deadline
  }

  /**
   * Returns the hashes of the FLOOD_ADVERT that is due, if one is.
   *
   * Sending a full advert leaves the timer running, as in stellar-core. It either finds nothing queued, or was set anew
   * by the first hash queued since: no hash waits longer, or less, than the period.
   */
  tick(now: number): ReadonlyArray<Uint8Array> | undefined {
    if (this.#deadline === undefined || now < this.#deadline) return undefined
    this.#deadline = undefined
    return this.#outgoing.length === 0 ? undefined : this.#flush()
  }

  /** Hashes queued for advert. */
  get outgoingSize(): number {
    return this.#outgoing.length
  }

  /** Hashes that wait for a decision, those to try again included. */
  get size(): number {
    return this.#incoming.length + this.#retry.length
  }

  /** Takes in an advert of the peer; `trackingIndex` is the ledger consensus is known to be at. */
  queueIncomingAdvert(advert: FloodAdvert, trackingIndex: number): void {
    if (this.#isShutDown) return
    const { bytes, count } = advert
    for (let i = 0; i < count; i++) this.#history.remember(bytes, FIRST_HASH + HASH_LENGTH * i, trackingIndex)
    const skipped = Math.max(0, count - this.#limits.maxTxSetSize)
    this.trimmed += skipped
    for (let i = skipped; i < count; i++) this.#incoming.push(bytes, FIRST_HASH + HASH_LENGTH * i)
    this.#trim()
  }

  /** Writes the next hash to decide about to `into`, those to try again first; false when there is none. */
  popIncomingAdvert(into: Uint8Array): boolean {
    return this.#retry.shift(into) || this.#incoming.shift(into)
  }

  /** Takes back the hashes to try again later, all of them: the queue is empty afterwards. */
  retryIncomingAdvert(hashes: HashQueue): void {
    while (hashes.shift(scratch)) if (!this.#isShutDown) this.#retry.push(scratch)
    this.#trim()
  }

  /** Forgets what the peer advertised at ledgers before one. */
  clearBelow(ledgerSeq: number): void {
    this.#history.clearBelow(ledgerSeq)
  }

  /** The connection ends: nothing is advertised or taken in from now on. */
  shutdown(): void {
    this.#isShutDown = true
    this.#outgoing = []
    this.#deadline = undefined
    this.#incoming.clear()
    this.#retry.clear()
    this.#history.close()
  }

  #flush(): ReadonlyArray<Uint8Array> {
    const hashes = this.#outgoing
    this.#outgoing = []
    return hashes
  }

  #trim(): void {
    while (this.size > this.#limits.maxTxSetSize) {
      if (this.#retry.length > 0) this.#retry.drop()
      else this.#incoming.drop()
      this.trimmed++
    }
  }
}

/** Where a hash lies between two queues. */
const scratch = new Uint8Array(HASH_LENGTH)
