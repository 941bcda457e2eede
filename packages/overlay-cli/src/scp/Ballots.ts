/**
 * Who said what about each slot, and when it came here: statements of validators as one peer passes them on.
 *
 * The lag of a validator in a slot is the time from the first EXTERNALIZE of the slot, whoever's, to its own. All times
 * are those of arrival here, so the way through the network is part of them.
 *
 * Synchronous: statements and times in milliseconds go in.
 */
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import type { ScpMessage, StatementType } from "@stellar-overlay/overlay/wire/StellarMessage"

/** Slots that are remembered; the oldest go first. */
export const MAX_SLOTS = 32

/** Validators whose statements are counted; those that are heard of later are not. */
export const MAX_VALIDATORS = 1000

/** The kinds of statement in the order in which a slot goes through them. */
export const phases = ["NOMINATE", "PREPARE", "CONFIRM", "EXTERNALIZE"] as const

/** One slot. */
export interface Slot {
  readonly slot: number
  /** When its first statement came. */
  readonly since: number
  /** Whether that was its first statement of all, as far as one can tell: it began while we listened. */
  readonly isWhole: boolean
  /** When each validator's first statement of each kind came. */
  readonly heard: { readonly [P in StatementType]: Map<NodeId, number> }
  /** When the first EXTERNALIZE came. */
  externalized: number | undefined
  /** Hashes of the transaction sets that were externalized, in hex, and by how many; more than one is a fork. */
  readonly values: Map<string, number>
  /** Statements of all kinds. */
  statements: number
}

/** One validator over all slots. */
export interface Validator {
  statements: number
  /** Slots it externalized, of those that were whole. */
  externalized: number
  /** Of the last `MAX_SLOTS` of these, the lags in milliseconds. */
  readonly lags: Array<number>
  lastSlot: number
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")

export class Ballots {
  readonly #slots = new Map<number, Slot>()
  readonly validators = new Map<NodeId, Validator>()
  /** Whole slots that somebody externalized. */
  externalizedSlots = 0
  statements = 0
  #newest = 0

  /** The slot that was heard of last. */
  get current(): Slot | undefined {
    return this.#slots.get(this.#newest)
  }

  /**
   * Takes a statement. Returns the slot that is over because this one begins another, for a last look at it.
   */
  receive(message: ScpMessage, now: number): Slot | undefined {
    const { nodeId, slotNumber, statementType } = message
    if (slotNumber === undefined) return undefined
    const validator = this.#validator(nodeId)
    if (validator === undefined) return undefined
    this.statements++
    validator.statements++
    validator.lastSlot = Math.max(validator.lastSlot, slotNumber)
    let over: Slot | undefined
    let slot = this.#slots.get(slotNumber)
    if (slot === undefined) {
      if (slotNumber < this.#newest) return undefined // it was looked at, or is older than our listening
      over = this.current
      slot = this.#begin(slotNumber, now, over !== undefined)
    }
    slot.statements++
    const heard = slot.heard[statementType]
    if (heard.has(nodeId)) return over
    heard.set(nodeId, now)
    if (statementType === "EXTERNALIZE") this.#externalize(slot, validator, message, now)
    return over
  }

  #externalize(slot: Slot, validator: Validator, message: ScpMessage, now: number): void {
    if (slot.externalized === undefined) {
      slot.externalized = now
      if (slot.isWhole) this.externalizedSlots++
    }
    const hash = message.txSetHashes[0]
    if (hash !== undefined && slot.values.size < MAX_SLOTS) {
      const key = hex(hash)
      slot.values.set(key, (slot.values.get(key) ?? 0) + 1)
    }
    if (!slot.isWhole) return
    validator.externalized++
    validator.lags.push(now - slot.externalized)
    if (validator.lags.length > MAX_SLOTS) validator.lags.shift()
  }

  #begin(slot: number, now: number, isWhole: boolean): Slot {
    const none = () => new Map<NodeId, number>()
    const heard = { NOMINATE: none(), PREPARE: none(), CONFIRM: none(), EXTERNALIZE: none() }
    const state: Slot = { slot, since: now, isWhole, heard, externalized: undefined, values: new Map(), statements: 0 }
    this.#slots.set(slot, state)
    this.#newest = slot
    for (const oldest of this.#slots.keys()) {
      if (this.#slots.size <= MAX_SLOTS) break
      this.#slots.delete(oldest)
    }
    return state
  }

  #validator(id: NodeId): Validator | undefined {
    let validator = this.validators.get(id)
    if (validator === undefined && this.validators.size < MAX_VALIDATORS) {
      validator = { statements: 0, externalized: 0, lags: [], lastSlot: 0 }
      this.validators.set(id, validator)
    }
    return validator
  }
}
