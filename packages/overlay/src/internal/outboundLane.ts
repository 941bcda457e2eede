/**
 * One FIFO of messages to send: a ring that grows and shrinks, whose first entries may be in flight.
 *
 * Entries enter at the back and leave at the front when their write is complete, or from anywhere behind the entries in
 * flight when they are shed. Taking for a write goes strictly from the front, so the entries in flight are a prefix.
 *
 * `clear` empties the whole lane as stellar-core does, entries in flight included. Those are being written and will
 * complete all the same: they are counted as `ghosts` and absorbed by the next completions, which arrive in the order of
 * taking. So a completion never removes an entry that was queued after the clearing.
 */
import type { StellarMessage } from "../wire/StellarMessage.ts"
import { invariant } from "./invariant.ts"

const SMALLEST = 8
/** An emptied ring keeps at most this many places. */
const KEPT_WHEN_EMPTY = 256
/**
 * Up to this length keys are looked for one by one, which beats any index. Beyond, they are counted as well: a peer that
 * takes nothing may have thousands of entries, and each new one would look through all of them.
 */
const LOOKED_THROUGH = 64

/** The places of a ring without any. Never written to: the first entry finds it full. */
const none: Array<never> = []

export class OutboundLane<Message extends StellarMessage = StellarMessage> {
  // Nothing until the first entry: most lanes of most connections stay empty.
  #messages: Array<Message | undefined> = none
  #times: Array<number> = none
  #keys: Array<number> = none
  #head = 0
  #ghosts = 0
  readonly #keyed: boolean
  /** How many entries have each key, from the moment a keyed lane is long until it is empty. */
  #occurrences: Map<number, number> | undefined

  /** Entries, those in flight included. */
  length = 0
  /** Entries at the front that are being written. */
  inFlight = 0
  /** StellarMessage bytes of all entries. */
  bytes = 0
  /** StellarMessage bytes of the entries in flight. */
  bytesInFlight = 0

  /** `keyed`: whether entries will be looked for by their key. */
  constructor(keyed = false) {
    this.#keyed = keyed
  }

  push(message: Message, time: number, key: number): void {
    if (this.length === this.#messages.length) this.#resize(Math.max(SMALLEST, 2 * this.length))
    const at = (this.#head + this.length) & (this.#messages.length - 1)
    this.#messages[at] = message
    this.#times[at] = time
    this.#keys[at] = key
    this.length++
    this.bytes += message.size
    if (this.#occurrences !== undefined) this.#count(key, 1)
    else if (this.#keyed && this.length > LOOKED_THROUGH) this.#countAll()
  }

  messageAt(index: number): Message {
    return this.#messages[(this.#head + index) & (this.#messages.length - 1)]!
  }

  timeAt(index: number): number {
    return this.#times[(this.#head + index) & (this.#messages.length - 1)]!
  }

  /** In a keyed lane, the first entry at or behind `from` with a key, or -1. */
  indexOfKey(key: number, from: number): number {
    if (this.#occurrences !== undefined && !this.#occurrences.has(key)) return -1
    const keys = this.#keys
    const mask = keys.length - 1
    for (let i = from; i < this.length; i++) if (keys[(this.#head + i) & mask] === key) return i
    return -1
  }

  /** Puts a message in the place of another that is not in flight. */
  replaceAt(index: number, message: Message, time: number, key: number): void {
    invariant(index >= this.inFlight && index < this.length, "an entry in flight was replaced")
    const at = (this.#head + index) & (this.#messages.length - 1)
    this.bytes += message.size - this.#messages[at]!.size
    if (this.#keys[at] !== key) {
      this.#count(this.#keys[at]!, -1)
      this.#count(key, 1)
    }
    this.#messages[at] = message
    this.#times[at] = time
    this.#keys[at] = key
  }

  /** Marks the next entry behind those in flight as in flight. */
  markInFlight(): void {
    invariant(this.inFlight < this.length, "nothing is left to take")
    this.bytesInFlight += this.messageAt(this.inFlight).size
    this.inFlight++
  }

  /** The write of the oldest `count` entries in flight is complete: they leave. */
  written(count: number): void {
    invariant(count <= this.#ghosts + this.inFlight, "more writes were completed than begun")
    const ghosts = Math.min(count, this.#ghosts)
    this.#ghosts -= ghosts
    for (let left = count - ghosts; left > 0; left--) {
      const size = this.#shift().size
      this.inFlight--
      this.bytesInFlight -= size
    }
  }

  /** Takes the front entry out at once, for lanes whose entries are never in flight. */
  take(): Message {
    invariant(this.length > 0 && this.inFlight === 0, "nothing to take out")
    return this.#shift()
  }

  /** Sheds the entries not in flight that fail a test, keeping the order of the rest. Gives how many went. */
  shed(keep: (message: Message) => boolean): number {
    const mask = this.#messages.length - 1
    let to = this.inFlight
    for (let from = this.inFlight; from < this.length; from++) {
      const source = (this.#head + from) & mask
      const message = this.#messages[source]!
      if (!keep(message)) {
        this.bytes -= message.size
        this.#count(this.#keys[source]!, -1)
        continue
      }
      const target = (this.#head + to++) & mask
      this.#messages[target] = message
      this.#times[target] = this.#times[source]!
      this.#keys[target] = this.#keys[source]!
    }
    const shed = this.length - to
    for (let i = to; i < this.length; i++) this.#messages[(this.#head + i) & mask] = undefined
    this.length = to
    if (to === 0) this.#reset()
    return shed
  }

  /** Empties the lane; entries in flight become ghosts. */
  clear(): void {
    this.#ghosts += this.inFlight
    this.length =
      this.inFlight =
      this.bytes =
      this.bytesInFlight =
        0
    this.#reset()
  }

  #shift(): Message {
    const message = this.#messages[this.#head]!
    if (this.#occurrences !== undefined) this.#count(this.#keys[this.#head]!, -1)
    this.#messages[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#messages.length - 1)
    this.length--
    this.bytes -= message.size
    if (this.length === 0) {
      this.#occurrences = undefined
      if (this.#messages.length > KEPT_WHEN_EMPTY) this.#reset()
    }
    return message
  }

  #countAll(): void {
    this.#occurrences = new Map()
    const mask = this.#keys.length - 1
    for (let i = 0; i < this.length; i++) this.#count(this.#keys[(this.#head + i) & mask]!, 1)
  }

  #count(key: number, difference: 1 | -1): void {
    const occurrences = this.#occurrences
    if (occurrences === undefined) return
    const count = (occurrences.get(key) ?? 0) + difference
    if (count === 0) occurrences.delete(key)
    else occurrences.set(key, count)
  }

  #reset(): void {
    this.#head = 0
    this.#occurrences = undefined
    if (this.#messages.length <= KEPT_WHEN_EMPTY) {
      this.#messages.fill(undefined)
      return
    }
    this.#messages = none
    this.#times = none
    this.#keys = none
  }

  #resize(capacity: number): void {
    const mask = this.#messages.length - 1
    const messages = new Array<Message | undefined>(capacity).fill(undefined)
    const times = new Array<number>(capacity).fill(0)
    const keys = new Array<number>(capacity).fill(0)
    for (let i = 0; i < this.length; i++) {
      const at = (this.#head + i) & mask
      messages[i] = this.#messages[at]
      times[i] = this.#times[at]!
      keys[i] = this.#keys[at]!
    }
    this.#messages = messages
    this.#times = times
    this.#keys = keys
    this.#head = 0
  }
}
