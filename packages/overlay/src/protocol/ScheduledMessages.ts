/**
 * The SCP messages and transactions that are waiting or being processed, so that a copy which arrives meanwhile is
 * discarded at once, before it is decoded. Its sender gets no entry in the floodgate, and its capacity goes back.
 *
 * Implements protocol.md 5.2 (stellar-core: `OverlayManagerImpl::checkScheduledAndCache`). Core keeps weak references
 * and lets the collector say when a message is done; here whoever processes it does.
 *
 * @since 0.1.0
 */
import { HashTable, makeHashSeed, NONE } from "../internal/hashTable.ts"

/**
 * Messages remembered at most. When there are more, which credit does not allow, one of them at random is forgotten.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_SCHEDULED_MESSAGES = 100_000

/**
 * The messages under way at one node, by the floodgate's key of each.
 *
 * @category models
 * @since 0.1.0
 */
export class ScheduledMessages {
  readonly #draw: () => number
  readonly #table: HashTable

  /** Copies discarded since creation. */
  discarded = 0

  /** `draw` gives numbers in [0, 1) that an attacker cannot predict. */
  constructor(draw: () => number, maxMessages = MAX_SCHEDULED_MESSAGES) {
    this.#draw = draw
    this.#table = new HashTable(makeHashSeed(draw), maxMessages)
  }

  /** Messages under way. */
  get size(): number {
    return this.#table.size
  }

  /** True when the message is to be processed, and `end` to be called when it is; false when a copy is under way. */
  begin(key: Uint8Array): boolean {
    if (this.#table.find(key) !== NONE) {
      this.discarded++
      return false
    }
    if (this.#table.isFull) this.#table.remove(this.#table.randomSlot(this.#draw))
    this.#table.add(key)
    return true
  }

  /** The message is processed, or will not be. */
  end(key: Uint8Array): void {
    const slot = this.#table.find(key)
    if (slot !== NONE) this.#table.remove(slot)
  }
}
