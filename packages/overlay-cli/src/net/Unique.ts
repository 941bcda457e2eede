/**
 * How many different messages there were, going by their BLAKE2b hash as stellar-core's floodgate does. Of the hashes, the
 * last `UNIQUE_CAPACITY` are remembered: a repetition after more others than that counts as new.
 */
import type { Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import type { StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"

export const UNIQUE_CAPACITY = 65_536

export class Unique {
  readonly #crypto: Pick<Primitives, "blake2b256">
  readonly #keys = new Set<string>()
  readonly #nodes = new Set<string>()
  readonly #slots = new Set<number>()
  messages = 0
  duplicates = 0

  constructor(crypto: Pick<Primitives, "blake2b256">) {
    this.#crypto = crypto
  }

  /** Whether the message is new. */
  add(message: StellarMessage): boolean {
    if (message._tag === "ScpMessage") {
      remember(this.#nodes, message.nodeId)
      if (message.slotNumber !== undefined) remember(this.#slots, message.slotNumber)
    }
    const hash = this.#crypto.blake2b256(message.bytes)
    const key = Buffer.from(hash.buffer, hash.byteOffset, 16).toString("latin1")
    if (this.#keys.has(key)) {
      this.duplicates++
      return false
    }
    remember(this.#keys, key)
    this.messages++
    return true
  }

  /** Validators heard, at most `UNIQUE_CAPACITY`. */
  get nodes(): number {
    return this.#nodes.size
  }

  /** Slots heard of, of the last `UNIQUE_CAPACITY`. */
  get slots(): number {
    return this.#slots.size
  }
}

const remember = <A>(set: Set<A>, value: A): void => {
  set.add(value)
  if (set.size <= UNIQUE_CAPACITY) return
  for (const oldest of set) {
    set.delete(oldest)
    break
  }
}
