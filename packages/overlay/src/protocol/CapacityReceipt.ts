/**
 * The flow-control capacity that a batch of received messages holds until it is processed, to be returned exactly once
 * whatever happens to the handler: its end, a failure, an interruption, a closed scope.
 *
 * Implements protocol.md 4.1, "processing ends" (stellar-core: `CapacityTrackedMessage`).
 *
 * @since 0.1.0
 */
import type { FlowControl } from "./FlowControl.ts"

/**
 * A sum of begun messages. Two numbers of each kind, however many messages it stands for.
 *
 * @category models
 * @since 0.1.0
 */
export class CapacityReceipt {
  #messages = 0
  #bytes = 0
  #floodMessages = 0
  #floodBytes = 0

  /** Adds a message that `FlowControl.begin` accepted. */
  add(size: number, isFlood: boolean): void {
    this.#messages++
    this.#bytes += size
    if (isFlood) {
      this.#floodMessages++
      this.#floodBytes += size
    }
  }

  /** How many messages it stands for now: 0 after `release`. */
  get messages(): number {
    return this.#messages
  }

  /** The bytes of those messages. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Returns the capacity and gives true, or does nothing and gives false when there is none (left). Ask
   * `FlowControl.takeGrant` and `resumeReading` afterwards.
   */
  release(flow: FlowControl): boolean {
    if (this.#messages === 0) return false
    flow.endMany(this.#messages, this.#bytes, this.#floodMessages, this.#floodBytes)
    this.#messages = 0
    this.#bytes = 0
    this.#floodMessages = 0
    this.#floodBytes = 0
    return true
  }
}
