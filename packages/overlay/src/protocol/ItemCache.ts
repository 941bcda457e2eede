/**
 * Transaction sets or quorum sets by their hash, for as long as SCP messages of remembered slots refer to them.
 *
 * An item belongs to the highest slot whose message referred to it; when that slot is forgotten, so is the item. Numbers
 * and bytes are bounded as well: what was referred to longest ago makes room.
 *
 * Implements the caches of protocol.md 6 (stellar-core: `PendingEnvelopes`, with its strong and weak references).
 *
 * @since 0.1.0
 */
import { HashMap } from "../internal/hashMap.ts"
import { makeHashSeed } from "../internal/hashTable.ts"

/**
 * The bounds.
 *
 * @category models
 * @since 0.1.0
 */
export interface ItemCacheOptions {
  readonly maxItems: number
  readonly maxBytes: number
}

/**
 * The default bounds of a cache of transaction sets: 64 sets, 64 MiB.
 *
 * @category constants
 * @since 0.1.0
 */
export const txSetDefaults: ItemCacheOptions = { maxItems: 64, maxBytes: 67_108_864 }

/**
 * The default bounds of a cache of quorum sets: 4096 sets, 16 MiB.
 *
 * @category constants
 * @since 0.1.0
 */
export const quorumSetDefaults: ItemCacheOptions = { maxItems: 4096, maxBytes: 16_777_216 }

interface Entry<A> {
  readonly hash: Uint8Array
  readonly item: A
  slot: number
}

/**
 * The cache. Hashes may be views; items must own their bytes.
 *
 * @category models
 * @since 0.1.0
 */
export class ItemCache<A extends { readonly size: number }> {
  readonly #options: ItemCacheOptions
  readonly #entries: HashMap<Entry<A>>

  /** Bytes of all items. */
  bytes = 0
  /** Items dropped since creation for want of room. */
  evicted = 0

  /** `draw` gives numbers in [0, 1) that an attacker cannot predict. */
  constructor(draw: () => number, options: ItemCacheOptions) {
    this.#options = options
    this.#entries = new HashMap(makeHashSeed(draw), options.maxItems)
  }

  get size(): number {
    return this.#entries.size
  }

  get(hash: Uint8Array): A | undefined {
    return this.#entries.get(hash)?.item
  }

  /** Keeps an item, for a slot on; false when it is greater than the whole cache. */
  add(hash: Uint8Array, item: A, slot: number): boolean {
    const { maxBytes } = this.#options
    if (item.size > maxBytes) return false
    if (this.touch(hash, slot)) return true
    while (this.#entries.isFull || this.bytes + item.size > maxBytes) {
      this.#delete(this.#entries.oldest!)
      this.evicted++
    }
    this.#entries.add(hash, { hash: hash.slice(), item, slot })
    this.bytes += item.size
    return true
  }

  /** A message of a slot refers to an item; false when the item is not held. */
  touch(hash: Uint8Array, slot: number): boolean {
    const entry = this.#entries.get(hash)
    if (entry === undefined) return false
    entry.slot = Math.max(entry.slot, slot)
    this.#entries.delete(hash)
    this.#entries.add(hash, entry)
    return true
  }

  /** Forgets items of slots before one, except those of the slot `keep`. */
  eraseBelow(slot: number, keep: number): void {
    for (const entry of this.#entries.values()) if (entry.slot < slot && entry.slot !== keep) this.#delete(entry)
  }

  #delete({ hash, item }: Entry<A>): void {
    this.#entries.delete(hash)
    this.bytes -= item.size
  }
}
