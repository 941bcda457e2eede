/** A map from 32-byte hashes to objects in the order of insertion, of bounded size. */
import { type HashSeed, HashTable, NONE } from "./hashTable.ts"
import { SlotOrder } from "./slotOrder.ts"

export class HashMap<A> {
  readonly #table: HashTable
  readonly #order = new SlotOrder()
  readonly #values: Array<A | undefined> = []

  constructor(seed: HashSeed, maxSize: number) {
    this.#table = new HashTable(seed, maxSize)
  }

  get size(): number {
    return this.#table.size
  }

  get isFull(): boolean {
    return this.#table.isFull
  }

  get(hash: Uint8Array): A | undefined {
    const slot = this.#table.find(hash)
    return slot === NONE ? undefined : this.#values[slot]
  }

  /** Adds a hash that is not in the map, which is not full. */
  add(hash: Uint8Array, value: A): void {
    const slot = this.#table.add(hash)
    this.#order.append(slot, this.#table.capacity)
    this.#values[slot] = value
  }

  delete(hash: Uint8Array): boolean {
    const slot = this.#table.find(hash)
    if (slot !== NONE) this.#remove(slot)
    return slot !== NONE
  }

  /** What was added first. */
  get oldest(): A | undefined {
    const slot = this.#order.oldest
    return slot === NONE ? undefined : this.#values[slot]
  }

  deleteOldest(): void {
    if (this.#order.oldest !== NONE) this.#remove(this.#order.oldest)
  }

  /** All values, oldest first: a copy, so that deleting meanwhile does no harm. */
  values(): Array<A> {
    const values: Array<A> = []
    for (let slot = this.#order.oldest; slot !== NONE; slot = this.#order.next(slot)) values.push(this.#values[slot]!)
    return values
  }

  clear(): void {
    this.#table.clear()
    this.#order.clear()
    this.#values.length = 0
  }

  #remove(slot: number): void {
    this.#order.remove(slot)
    this.#table.remove(slot)
    this.#values[slot] = undefined
    if (this.#table.size === 0) this.clear() // gives the memory of a burst back
  }
}
