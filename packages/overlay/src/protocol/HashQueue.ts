/**
 * A FIFO of 32-byte hashes in one flat ring: a hash costs 32 bytes and no object, where a Uint8Array of its own costs
 * 200.
 *
 * @since 0.1.0
 */
import { HASH_LENGTH, NO_BYTES } from "../internal/hashTable.ts"

const SMALLEST = 16

/** Hashes an emptied queue keeps room for. */
const KEPT_WHEN_EMPTY = 256

/**
 * The queue. Its bound is the business of whoever fills it.
 *
 * @category models
 * @since 0.1.0
 */
export class HashQueue {
  #ring = NO_BYTES
  #head = 0

  /** Hashes in the queue. */
  length = 0

  /** Appends a copy of the hash at `bytes[at, at + 32)`. */
  push(bytes: Uint8Array, at = 0): void {
    if (this.length * HASH_LENGTH === this.#ring.length) this.#resize(Math.max(SMALLEST, 2 * this.length))
    const ring = this.#ring
    const to = (this.#head + this.length) * HASH_LENGTH % ring.length
    for (let i = 0; i < HASH_LENGTH; i++) ring[to + i] = bytes[at + i]!
    this.length++
  }

  /** Writes the first hash to `into[0, 32)` and removes it; false, and `into` as it was, when the queue is empty. */
  shift(into: Uint8Array): boolean {
    if (this.length === 0) return false
    const from = this.#head * HASH_LENGTH
    for (let i = 0; i < HASH_LENGTH; i++) into[i] = this.#ring[from + i]!
    this.drop()
    return true
  }

  /** Removes the first hash, if there is one. */
  drop(): void {
    if (this.length === 0) return
    this.#head = (this.#head + 1) % (this.#ring.length / HASH_LENGTH)
    this.length--
    if (this.length === 0 && this.#ring.length > KEPT_WHEN_EMPTY * HASH_LENGTH) this.clear()
  }

  /** Empties the queue and gives its memory back. */
  clear(): void {
    this.#ring = NO_BYTES
    this.#head = 0
    this.length = 0
  }

  #resize(capacity: number): void {
    const ring = new Uint8Array(capacity * HASH_LENGTH)
    const split = this.#head * HASH_LENGTH
    ring.set(this.#ring.subarray(split))
    ring.set(this.#ring.subarray(0, split), this.#ring.length - split)
    this.#ring = ring
    this.#head = 0
  }
}
