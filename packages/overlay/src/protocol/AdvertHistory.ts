/**
 * Which hashes a peer has advertised: those are not advertised back to it. At most 50,000 per peer, of which one at
 * random makes room for another, and at most 64 times that for a node, of which one of the longest history does. A peer
 * that advertises random hashes therefore pushes out its own, not those of others.
 *
 * Implements the advert history of protocol.md 5.4 (stellar-core: `TxAdverts.cpp`, `RandomEvictionCache`).
 *
 * @since 0.1.0
 */
import { grown, type HashSeed, HashTable, makeHashSeed, NONE } from "../internal/hashTable.ts"

/**
 * ADVERT_CACHE_SIZE: hashes remembered per peer.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_ADVERT_HISTORY = 50_000

/**
 * Hashes remembered for all peers together: 3.2 million, or 140 MiB when it comes to that.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_ADVERT_HISTORY_TOTAL = 64 * MAX_ADVERT_HISTORY

/**
 * What the histories of one node share: their bound, their chance.
 *
 * @category models
 * @since 0.1.0
 */
export class AdvertHistories {
  readonly #draw: () => number
  readonly #seed: HashSeed
  readonly #histories = new Set<AdvertHistory>()
  readonly maxPerPeer: number
  readonly maxTotal: number

  /** Hashes remembered. */
  size = 0

  /** `draw` gives numbers in [0, 1) that an attacker cannot predict. */
  constructor(draw: () => number, maxPerPeer = MAX_ADVERT_HISTORY, maxTotal = MAX_ADVERT_HISTORY_TOTAL) {
    this.#draw = draw
    this.#seed = makeHashSeed(draw)
    this.maxPerPeer = maxPerPeer
    this.maxTotal = maxTotal
  }

  /** Histories that are in use. */
  get peers(): number {
    return this.#histories.size
  }

  /** The empty history of a new peer. `close` it when the peer leaves. */
  open(): AdvertHistory {
    const history = new AdvertHistory(this, this.#seed, this.#draw)
    this.#histories.add(history)
    return history
  }

  /** @internal */
  remove(history: AdvertHistory): void {
    this.#histories.delete(history)
  }

  /** @internal Makes room for one more hash in a history. */
  makeRoom(history: AdvertHistory): void {
    if (history.size >= this.maxPerPeer) {
      history.evict()
      return
    }
    if (this.size < this.maxTotal) return
    let longest = history
    for (const other of this.#histories) if (other.size > longest.size) longest = other
    longest.evict()
  }
}

/** The ledgers of a history without hashes: many are, and a typed array takes 200 bytes without an element. */
const NO_LEDGERS = new Uint32Array(0)

/**
 * The history of one peer.
 *
 * @category models
 * @since 0.1.0
 */
export class AdvertHistory {
  readonly #shared: AdvertHistories
  readonly #seed: HashSeed
  readonly #draw: () => number
  #table: HashTable
  #ledgerSeqs = NO_LEDGERS
  #isClosed = false

  /** @internal */
  constructor(shared: AdvertHistories, seed: HashSeed, draw: () => number) {
    this.#shared = shared
    this.#seed = seed
    this.#draw = draw
    this.#table = new HashTable(seed, shared.maxPerPeer)
  }

  /** Hashes remembered. */
  get size(): number {
    return this.#table.size
  }

  /** Whether the peer advertised the hash at `bytes[at, at + 32)`. */
  has(bytes: Uint8Array, at = 0): boolean {
    return this.#table.find(bytes, at) !== NONE
  }

  /** Remembers a hash as advertised at a ledger, a known one as of the newer. */
  remember(bytes: Uint8Array, at: number, ledgerSeq: number): void {
    if (this.#isClosed) return
    let slot = this.#table.find(bytes, at)
    if (slot === NONE) {
      this.#shared.makeRoom(this)
      slot = this.#table.add(bytes, at)
      this.#shared.size++
      if (this.#ledgerSeqs.length < this.#table.capacity) {
        this.#ledgerSeqs = grown(this.#ledgerSeqs, this.#table.capacity)
      }
    }
    this.#ledgerSeqs[slot] = ledgerSeq
  }

  /** Forgets what was advertised at ledgers before one, and gives the memory of a burst back. */
  clearBelow(ledgerSeq: number): void {
    const table = this.#table
    for (let slot = 0; slot < table.top; slot++) {
      if (this.#ledgerSeqs[slot]! < ledgerSeq && table.isUsed(slot)) this.#remove(slot)
    }
    if (table.size < table.capacity / 8) this.#compact()
  }

  /** Forgets everything and remembers nothing from now on. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#shared.size -= this.#table.size
    this.#shared.remove(this)
    this.#table.clear()
    this.#ledgerSeqs = NO_LEDGERS
  }

  /** @internal Forgets a hash at random, if there is one. */
  evict(): void {
    if (this.#table.size > 0) this.#remove(this.#table.randomSlot(this.#draw))
  }

  #remove(slot: number): void {
    this.#table.remove(slot)
    this.#shared.size--
  }

  #compact(): void {
    const old = this.#table
    const ledgerSeqs: Array<number> = []
    this.#table = new HashTable(this.#seed, old.maxSize)
    for (let slot = 0; slot < old.top; slot++) {
      if (!old.isUsed(slot)) continue
      this.#table.add(old.hashAt(slot))
      ledgerSeqs.push(this.#ledgerSeqs[slot]!) // slots of a new table count up from 0
    }
    this.#ledgerSeqs = grown(Uint32Array.from(ledgerSeqs), this.#table.capacity)
  }
}
