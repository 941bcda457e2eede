/**
 * Received messages on their way to the consumer, in two lanes: SCP, fetch replies and everything else that is rare
 * never wait behind transactions, adverts and demands.
 *
 * Its size is bounded by flow control: what lies here holds reading capacity (protocol.md 4.1), and when that is used up
 * the socket is not read.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import { MessageType } from "../wire/MessageType.ts"
import { isFlood, type StellarMessage } from "../wire/StellarMessage.ts"
import { CapacityReceipt } from "./CapacityReceipt.ts"

/**
 * Most transactions, adverts and demands in one batch: what an SCP message may have to wait behind.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_BULK_BATCH = 64

/**
 * The lane of transactions, adverts and demands, and the lane of everything else.
 *
 * @category models
 * @since 0.1.0
 */
export type Lane = "urgent" | "bulk"

/**
 * Messages taken together, and the flow-control capacity they hold until the batch is settled.
 *
 * @category models
 * @since 0.1.0
 */
export interface Batch {
  readonly messages: NonEmptyReadonlyArray<StellarMessage>
  readonly receipt: CapacityReceipt
  readonly lane: Lane
  /** When the oldest message came, or one before it that was taken in an earlier batch of the same backlog. */
  readonly since: number
}

/**
 * Tells whether a message type travels in the bulk lane.
 *
 * @category guards
 * @since 0.1.0
 */
export const isBulk = (type: MessageType): boolean =>
  type === MessageType.Transaction || type === MessageType.FloodAdvert || type === MessageType.FloodDemand

const isNonEmpty = (messages: Array<StellarMessage>): messages is [StellarMessage, ...Array<StellarMessage>] =>
  messages.length > 0

/**
 * The two lanes.
 *
 * @category models
 * @since 0.1.0
 */
export class Inbox {
  #urgent: Array<StellarMessage> = []
  #bulk: Array<StellarMessage> = []
  #urgentSince = 0
  #bulkSince = 0
  /** Messages from the front of each lane that own their bytes. */
  #owned = 0

  /** Messages waiting. */
  get length(): number {
    return this.#urgent.length + this.#bulk.length
  }

  /** Takes in a message that holds flow-control capacity, and came now. */
  push(message: StellarMessage, now: number): void {
    if (isBulk(message.type)) {
      if (this.#bulk.length > 0) return void this.#bulk.push(message)
      this.#bulkSince = now
      this.#bulk = [message] // a push to an empty array would make room for 17
    } else {
      if (this.#urgent.length > 0) return void this.#urgent.push(message)
      this.#urgentSince = now
      this.#urgent = [message]
    }
  }

  /**
   * Makes what waits own its bytes. Called before the next chunk is read, so that a slow consumer never pins more than
   * one chunk of the socket, whatever waits here.
   */
  retain(): void {
    const { length } = this
    if (length === this.#owned) return
    for (const lane of [this.#urgent, this.#bulk]) {
      for (let i = 0; i < lane.length; i++) lane[i] = lane[i]!.retain()
    }
    this.#owned = length
  }

  /** Messages waiting in a lane. */
  lengthOf(lane: Lane): number {
    return lane === "urgent" ? this.#urgent.length : this.#bulk.length
  }

  /**
   * Of one lane, or of the urgent one before the other: everything urgent, or up to `MAX_BULK_BATCH` of the bulk;
   * undefined when nothing waits.
   */
  take(lane?: Lane): Batch | undefined {
    const urgent = lane === undefined ? this.#urgent.length > 0 : lane === "urgent"
    const messages = urgent
      ? this.#urgent
      : this.#bulk.length <= MAX_BULK_BATCH
      ? this.#bulk
      : this.#bulk.splice(0, MAX_BULK_BATCH)
    if (!isNonEmpty(messages)) return undefined
    if (urgent) this.#urgent = []
    else if (messages === this.#bulk) this.#bulk = []
    this.#owned = Math.max(0, this.#owned - messages.length)
    const receipt = new CapacityReceipt()
    for (const message of messages) receipt.add(message.size, isFlood(message))
    return {
      messages,
      receipt,
      lane: urgent ? "urgent" : "bulk",
      since: urgent ? this.#urgentSince : this.#bulkSince
    }
  }
}
