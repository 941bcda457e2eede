/**
 * Which demands of one peer are answered: those for transactions we hold, each at most once a minute.
 *
 * A peer that follows the protocol does not ask twice: it remembers for a minute whom it asked. One that does can make
 * us send a transaction of 100 KB for 32 bytes as often as its credit allows, which is all that limits it in
 * stellar-core. A demand that is not answered gets no reply of any kind.
 *
 * Implements the receiving side of protocol.md 5.5 (stellar-core: `TxDemandsManager::recvTxDemand`).
 *
 * @since 0.1.0
 */
import { HashTable, makeHashSeed, NONE } from "../internal/hashTable.ts"

/**
 * How long a transaction that was sent is not sent to the same peer again, in milliseconds.
 *
 * @category constants
 * @since 0.1.0
 */
export const ANSWER_PERIOD_MILLIS = 60_000

/**
 * Answers remembered per connection; the oldest makes room.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_ANSWERS = 10_000

/**
 * The answers to the demands of one connection.
 *
 * @category models
 * @since 0.1.0
 */
export class DemandAnswers {
  readonly #periodMillis: number
  readonly #table: HashTable
  #answeredAt: Array<number> = []
  /** The slot that is taken over next once the table is full: slots fill in order, and none is freed before. */
  #oldest = 0

  /** Demands since creation: answered, for banned transactions, for unknown ones, and repeated too soon. */
  fulfilled = 0
  unfulfilledBanned = 0
  unfulfilledUnknown = 0
  repeated = 0

  /** `draw` gives numbers in [0, 1) that an attacker cannot predict. A period of 0 answers always, as core does. */
  constructor(draw: () => number, periodMillis = ANSWER_PERIOD_MILLIS, maxAnswers = MAX_ANSWERS) {
    this.#periodMillis = periodMillis
    this.#table = new HashTable(makeHashSeed(draw), maxAnswers)
  }

  /** Answers remembered. */
  get size(): number {
    return this.#table.size
  }

  /** Takes in one demanded hash and counts it. True when the transaction is to be sent. */
  answer(hash: Uint8Array, status: "known" | "banned" | "unknown" | undefined, now: number): boolean {
    if (status !== "known") {
      if (status === "banned") this.unfulfilledBanned++
      else this.unfulfilledUnknown++
      return false
    }
    if (this.#periodMillis > 0 && !this.#remember(hash, now)) {
      this.repeated++
      return false
    }
    this.fulfilled++
    return true
  }

  #remember(hash: Uint8Array, now: number): boolean {
    let slot = this.#table.find(hash)
    if (slot === NONE) {
      if (this.#table.isFull) {
        this.#table.remove(this.#oldest)
        this.#oldest = (this.#oldest + 1) % this.#table.maxSize
      }
      slot = this.#table.add(hash)
    } else if (now - this.#answeredAt[slot]! < this.#periodMillis) {
      return false
    }
    this.#answeredAt[slot] = now
    return true
  }
}
