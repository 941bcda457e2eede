/**
 * The messages of one write, in wire order, filled by `OutboundQueues.nextBatch` and handed back by `wrote`.
 *
 * A batch is made once per writer and used again and again, so a write allocates nothing here.
 *
 * @since 0.1.0
 */
import type { StellarMessage } from "../wire/StellarMessage.ts"

/**
 * Bytes a message takes on the wire beyond its StellarMessage: record mark 4, union discriminant 4, sequence 8, MAC 32.
 *
 * @category constants
 * @since 0.1.0
 */
export const FRAME_OVERHEAD = 48

/**
 * The messages of one write.
 *
 * @category models
 * @since 0.1.0
 */
export class OutboundBatch {
  /** The messages in wire order; the first `length` places count. */
  readonly messages: Array<StellarMessage> = []
  /** How many of them came from each flood priority; the rest is from the direct lane. */
  readonly taken: [scp: number, transactions: number, demands: number, adverts: number] = [0, 0, 0, 0]
  /** Bytes on the wire, frames included. */
  bytes = 0
  /** How many of the messages are flow-controlled. */
  floodLength = 0
  /** The part of `bytes` that is theirs. */
  floodBytes = 0
  /** When the batch was taken. */
  takenAt = 0
  /**
   * The straggler clock (protocol.md 4.9): when the last direct message of the batch was enqueued, or when the batch was
   * taken if it has none. Flood messages wait for credit in the queues, which is not the straggler clock's business.
   */
  enqueuedAt = 0
  /** Whether the batch was filled and not handed back. */
  pending = false

  /** How many messages it holds. */
  get length(): number {
    return this.messages.length
  }

  /** Forgets the messages, which is all right as soon as they are encoded: `OutboundQueues.wrote` needs only numbers. */
  releaseMessages(): void {
    // Popped, because setting the length gives the array's memory back, for the next batch to allocate anew.
    while (this.messages.length > 0) this.messages.pop()
  }

  /** @internal */
  begin(now: number): void {
    this.releaseMessages()
    this.taken.fill(0)
    this.bytes = this.floodLength = this.floodBytes = 0
    this.takenAt = now
    this.enqueuedAt = now
  }

  /** @internal */
  add(message: StellarMessage): void {
    this.messages.push(message)
    this.bytes += message.size + FRAME_OVERHEAD
  }
}
