/**
 * How much of what is received had been received before, for flooded and for fetched messages.
 *
 * Implements protocol.md 8.5 (stellar-core: `OverlayManagerImpl::recordMessageMetric`). Core remembers a SipHash of each
 * message; here it is the hash that the floodgate needs anyway.
 *
 * @since 0.1.0
 */
import { HashTable, makeHashSeed, NONE } from "../internal/hashTable.ts"
import { MessageType } from "../wire/MessageType.ts"
import type { SessionStats } from "./SessionStats.ts"

/**
 * Messages remembered, those of all peers together.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_MESSAGE_RECORDS = 65_535

/**
 * The two kinds of message that are counted.
 *
 * @category models
 * @since 0.1.0
 */
export type MessageClass = "flood" | "fetch"

/**
 * The kind of a message: flood for the four flow-controlled types and the four of the survey, fetch for the two kinds of
 * transaction set and quorum sets, undefined for the rest, which is not counted.
 *
 * @category getters
 * @since 0.1.0
 */
export const messageClass = (type: MessageType): MessageClass | undefined => {
  switch (type) {
    case MessageType.ScpMessage:
    case MessageType.Transaction:
    case MessageType.FloodAdvert:
    case MessageType.FloodDemand:
    case MessageType.TimeSlicedSurveyRequest:
    case MessageType.TimeSlicedSurveyResponse:
    case MessageType.TimeSlicedSurveyStartCollecting:
    case MessageType.TimeSlicedSurveyStopCollecting:
      return "flood"
    case MessageType.TxSet:
    case MessageType.GeneralizedTxSet:
    case MessageType.ScpQuorumSet:
      return "fetch"
    default:
      return undefined
  }
}

/**
 * The records of one node, and its totals since creation.
 *
 * @category models
 * @since 0.1.0
 */
export class MessageRecords {
  readonly #table: HashTable
  /** The slot of the record that is replaced next once the table is full: slots fill in order. */
  #oldest = 0

  uniqueFloodMessages = 0
  duplicateFloodMessages = 0
  uniqueFetchMessages = 0
  duplicateFetchMessages = 0
  /** StellarMessage bytes (`overlay.flood.unique-recv` and its three siblings). */
  uniqueFloodBytes = 0
  duplicateFloodBytes = 0
  uniqueFetchBytes = 0
  duplicateFetchBytes = 0

  /** `draw` gives numbers in [0, 1) that an attacker cannot predict. */
  constructor(draw: () => number, maxRecords = MAX_MESSAGE_RECORDS) {
    this.#table = new HashTable(makeHashSeed(draw), maxRecords)
  }

  /** Messages remembered. */
  get size(): number {
    return this.#table.size
  }

  /**
   * Counts a received message here and with the connection it came from: `key` is a hash of its XDR,
   * the floodgate's, `size` the length. Undefined for a type that is not counted; do not hash for those.
   */
  record(type: MessageType, key: Uint8Array, size: number, stats?: SessionStats): "unique" | "duplicate" | undefined {
    const kind = messageClass(type)
    if (kind === undefined) return undefined
    const isUnique = this.#remember(key)
    count(this, kind, isUnique, size)
    if (stats !== undefined) count(stats, kind, isUnique, size)
    return isUnique ? "unique" : "duplicate"
  }

  #remember(key: Uint8Array): boolean {
    if (this.#table.find(key) !== NONE) return false
    if (this.#table.isFull) {
      // The slot just freed is the one `add` takes, so that order of slots and order of time stay the same.
      this.#table.remove(this.#oldest)
      this.#oldest = (this.#oldest + 1) % this.#table.maxSize
    }
    this.#table.add(key)
    return true
  }
}

type Counters = Pick<
  MessageRecords,
  | "uniqueFloodMessages"
  | "duplicateFloodMessages"
  | "uniqueFetchMessages"
  | "duplicateFetchMessages"
  | "uniqueFloodBytes"
  | "duplicateFloodBytes"
  | "uniqueFetchBytes"
  | "duplicateFetchBytes"
>

const count = (counters: Counters, kind: MessageClass, isUnique: boolean, size: number): void => {
  if (kind === "flood") {
    if (isUnique) {
      counters.uniqueFloodMessages++
      counters.uniqueFloodBytes += size
    } else {
      counters.duplicateFloodMessages++
      counters.duplicateFloodBytes += size
    }
  } else if (isUnique) {
    counters.uniqueFetchMessages++
    counters.uniqueFetchBytes += size
  } else {
    counters.duplicateFetchMessages++
    counters.duplicateFetchBytes += size
  }
}
