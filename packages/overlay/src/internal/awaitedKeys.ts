/**
 * The envelopes that wait for items, by the floodgate's key of each: whether a copy of one that comes meanwhile has
 * anything new to say.
 */
import { HashMap } from "./hashMap.ts"
import { makeHashSeed } from "./hashTable.ts"

export class AwaitedKeys {
  /** How many items each waits for. */
  readonly #counts: HashMap<{ items: number }>

  constructor(draw: () => number, maxKeys: number) {
    this.#counts = new HashMap(makeHashSeed(draw), maxKeys)
  }

  has(key: Uint8Array): boolean {
    return this.#counts.get(key) !== undefined
  }

  /** One waits for one more item. */
  begin(key: Uint8Array): void {
    const count = this.#counts.get(key)
    if (count !== undefined) count.items++
    else if (!this.#counts.isFull) this.#counts.add(key, { items: 1 })
  }

  /** One waits for one less. */
  end(key: Uint8Array): void {
    const count = this.#counts.get(key)
    if (count !== undefined && --count.items === 0) this.#counts.delete(key)
  }
}
