/** An order over the slots of a table, oldest to newest: a doubly linked list in two flat arrays. */
import { grown, NO_SLOTS, NONE } from "./hashTable.ts"

export class SlotOrder {
  #before = NO_SLOTS
  #after = NO_SLOTS

  /** The slot that has been in the order longest, or NONE. */
  oldest = NONE
  newest = NONE

  /** Appends a slot that is not in the order; `capacity` is the table's. */
  append(slot: number, capacity: number): void {
    if (this.#after.length < capacity) {
      this.#before = grown(this.#before, capacity)
      this.#after = grown(this.#after, capacity)
    }
    this.#before[slot] = this.newest
    this.#after[slot] = NONE
    if (this.newest === NONE) this.oldest = slot
    else this.#after[this.newest] = slot
    this.newest = slot
  }

  remove(slot: number): void {
    const before = this.#before[slot]!
    const after = this.#after[slot]!
    if (before === NONE) this.oldest = after
    else this.#after[before] = after
    if (after === NONE) this.newest = before
    else this.#before[after] = before
  }

  /** Makes a slot of the order the newest. */
  touch(slot: number): void {
    if (slot === this.newest) return
    this.remove(slot)
    this.append(slot, this.#after.length)
  }

  /** The slot after one of the order, or NONE. */
  next(slot: number): number {
    return this.#after[slot]!
  }

  clear(): void {
    this.#before = NO_SLOTS
    this.#after = NO_SLOTS
    this.oldest = NONE
    this.newest = NONE
  }
}
