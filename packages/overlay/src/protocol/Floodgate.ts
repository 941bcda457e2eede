/**
 * Who has which flooded message: whom we heard it from and whom we told, so that every peer gets a message once.
 *
 * A record is kept per message, by a hash of its XDR, all 32 bytes of it: BLAKE2b-256 in stellar-core, but keys never
 * leave the node. The gate decides about relaying alone. That a message is known here says nothing about whether it is
 * worth processing: a duplicate at the gate still goes to whoever wants it (see `ScheduledMessages` for work that is
 * under way already).
 *
 * stellar-core clears records by ledger only, so that they pile up while its ledger stands still. Here the number of
 * records is bounded as well: those that nobody sent and nobody was told for longest leave first, and all leave after a
 * time. A message whose record left is told once more, nothing worse. Normally neither bound is reached: at 12 ledgers
 * of 5 s the records of a minute are held, and 262,144 are those of 4000 new messages per second.
 *
 * A record of up to 128 nodes takes 76 bytes, in flat arrays that the garbage collector does not look at: 20 MB at the
 * bound. A Set of 72 node ids alone takes 2.6 KB.
 *
 * Implements protocol.md 5.1 (stellar-core: `Floodgate.cpp`).
 *
 * @since 0.1.0
 */
import { grown, HashTable, makeHashSeed, NONE } from "../internal/hashTable.ts"
import { PeerBits } from "../internal/peerBits.ts"
import { SlotOrder } from "../internal/slotOrder.ts"
import type { NodeId } from "../wire/NodeId.ts"

/**
 * The bounds of a gate.
 *
 * @category models
 * @since 0.1.0
 */
export interface FloodgateOptions {
  /** Records at most. */
  readonly maxRecords: number
  /** A record that was not used for this long is dropped, in milliseconds. */
  readonly maxIdleMillis: number
  /** Node ids remembered in records, at least; must exceed the number of connections, or peers are told twice. */
  readonly maxPeers: number
}

/**
 * The default bounds: 262,144 records, ten minutes, 1024 nodes.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: FloodgateOptions = { maxRecords: 262_144, maxIdleMillis: 600_000, maxPeers: 1024 }

/** Records that one call drops for their age at most, so that none takes long after a pause. */
const EXPIRED_PER_CALL = 64

/**
 * The records of one node.
 *
 * Keys are the 32 bytes of a hash, which may be views: they are copied. `ledgerSeq` is the ledger consensus is known to
 * be at, `now` monotonic milliseconds.
 *
 * @example
 * ```ts
 * import { Floodgate } from "@stellar-overlay/overlay/protocol/Floodgate"
 * import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
 *
 * const peers = [1, 2, 3].map((n) => ({ id: NodeId.fromBytes(new Uint8Array(32).fill(n)) }))
 * const gate = new Floodgate(Math.random)
 * const key = new Uint8Array(32).fill(7) // the hash of the message
 *
 * gate.addRecord(key, peers[0]!.id, 1, 0) // true: new to the gate
 * gate.broadcast(key, peers, 1, 0) // [peers[1], peers[2]]: tell these, who count as told from now on
 * gate.broadcast(key, peers, 1, 0) // []
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class Floodgate {
  readonly #maxIdleMillis: number
  readonly #table: HashTable
  /** Least recently used first. */
  readonly #order = new SlotOrder()
  readonly #peers: PeerBits
  #ledgerSeqs = new Uint32Array(0)
  #usedAt = new Float64Array(0)
  #isShutDown = false

  /** Records dropped since creation because there were too many. */
  evicted = 0
  /** Records dropped since creation because nobody used them for long. */
  expired = 0

  /** `draw` gives numbers in [0, 1) that an attacker cannot predict; it is used here only. */
  constructor(draw: () => number, options: FloodgateOptions = defaults) {
    this.#maxIdleMillis = options.maxIdleMillis
    this.#table = new HashTable(makeHashSeed(draw), options.maxRecords)
    this.#peers = new PeerBits(options.maxPeers)
  }

  /** Records held (`overlay.memory.flood-known`). */
  get size(): number {
    return this.#table.size
  }

  /** Node ids that records may refer to. */
  get peers(): number {
    return this.#peers.size
  }

  /**
   * Notes that a peer sent us a message. True when the message is new to the gate; false when it is known or the gate is
   * shut down, neither of which is a reason not to process it.
   */
  addRecord(key: Uint8Array, peer: NodeId, ledgerSeq: number, now: number): boolean {
    if (this.#isShutDown) return false
    const known = this.#use(key, now)
    this.#peers.add(known === NONE ? this.#create(key, ledgerSeq, now) : known, this.#peers.intern(peer))
    return known === NONE
  }

  /**
   * The candidates to send a message to: those that neither sent it nor were told. They count as told from now on, so
   * send to all of them. The message gets a record if it has none. Empty after shutdown.
   */
  broadcast<P extends { readonly id: NodeId }>(
    key: Uint8Array,
    candidates: Iterable<P>,
    ledgerSeq: number,
    now: number
  ): Array<P> {
    const told: Array<P> = []
    if (this.#isShutDown) return told
    const known = this.#use(key, now)
    const slot = known === NONE ? this.#create(key, ledgerSeq, now) : known
    for (const candidate of candidates) {
      const column = this.#peers.intern(candidate.id)
      if (this.#peers.has(slot, column)) continue
      this.#peers.add(slot, column)
      told.push(candidate)
    }
    return told
  }

  /** Whether a message has a record. */
  has(key: Uint8Array): boolean {
    return this.#table.find(key) !== NONE
  }

  /** The ledger a record was made at. */
  ledgerSeqOf(key: Uint8Array): number | undefined {
    const slot = this.#table.find(key)
    return slot === NONE ? undefined : this.#ledgerSeqs[slot]
  }

  /** The candidates that sent us a message or were told. */
  getPeersKnows<P extends { readonly id: NodeId }>(key: Uint8Array, candidates: Iterable<P>): Array<P> {
    const slot = this.#table.find(key)
    const known: Array<P> = []
    if (slot === NONE) return known
    for (const candidate of candidates) {
      const column = this.#peers.column(candidate.id)
      if (column !== undefined && this.#peers.has(slot, column)) known.push(candidate)
    }
    return known
  }

  /** Forgets a message, so that it counts as new when it comes again: it was no good. */
  forgetRecord(key: Uint8Array): void {
    const slot = this.#table.find(key)
    if (slot !== NONE) this.#remove(slot)
  }

  /** Forgets the records made at ledgers before one. */
  clearBelow(ledgerSeq: number): void {
    const below: Array<number> = []
    for (let slot = 0; slot < this.#table.top; slot++) {
      if (this.#ledgerSeqs[slot]! < ledgerSeq && this.#table.isUsed(slot)) below.push(slot)
    }
    if (below.length < this.#table.size) { for (const slot of below) this.#remove(slot) }
    else this.#clear() // at once, and gives the memory of a burst back
  }

  /** Forgets everything and does nothing from now on. */
  shutdown(): void {
    this.#isShutDown = true
    this.#clear()
  }

  /** The record of a message, as used now, or NONE. */
  #use(key: Uint8Array, now: number): number {
    this.#expire(now)
    const slot = this.#table.find(key)
    if (slot !== NONE) {
      this.#order.touch(slot)
      this.#usedAt[slot] = now
    }
    return slot
  }

  #create(key: Uint8Array, ledgerSeq: number, now: number): number {
    if (this.#table.isFull) {
      this.#remove(this.#order.oldest)
      this.evicted++
    }
    const slot = this.#table.add(key)
    const { capacity } = this.#table
    if (this.#usedAt.length < capacity) {
      this.#usedAt = grown(this.#usedAt, capacity)
      this.#ledgerSeqs = grown(this.#ledgerSeqs, capacity)
      this.#peers.resize(capacity)
    }
    this.#order.append(slot, capacity)
    this.#ledgerSeqs[slot] = ledgerSeq
    this.#usedAt[slot] = now
    return slot
  }

  #expire(now: number): void {
    for (let i = 0; i < EXPIRED_PER_CALL; i++) {
      const { oldest } = this.#order
      if (oldest === NONE || now - this.#usedAt[oldest]! < this.#maxIdleMillis) return
      this.#remove(oldest)
      this.expired++
    }
  }

  #remove(slot: number): void {
    this.#order.remove(slot)
    this.#table.remove(slot)
    this.#peers.clearRow(slot)
  }

  #clear(): void {
    this.#table.clear()
    this.#order.clear()
    this.#peers.clear()
    this.#ledgerSeqs = new Uint32Array(0)
    this.#usedAt = new Float64Array(0)
  }
}
