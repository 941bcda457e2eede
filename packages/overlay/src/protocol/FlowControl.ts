/**
 * The credit of one connection, in messages and in bytes, on both of its sides.
 *
 * Receiving side: what the peer may still send us. Every message takes total capacity from `begin` to `end`; flood
 * messages (TRANSACTION, SCP_MESSAGE, FLOOD_ADVERT, FLOOD_DEMAND) take flood capacity too, and what was processed is
 * granted back with SEND_MORE_EXTENDED. When total capacity is gone the socket is not read (`pauseReading`).
 *
 * Sending side: what we may still send. It starts at nothing, grows with each SEND_MORE_EXTENDED of the peer
 * (`receiveGrant`) and is spent by `OutboundQueues`.
 *
 * Both sides conserve credit exactly: granted = in process + processed but not granted yet + credit the peer still has.
 * That makes the receiving check exact. stellar-core compares with the capacity that is not in process, which lets a
 * peer overrun its grants by what was processed and not granted back yet; here the first message or byte that was not
 * granted is refused. No peer that keeps to its grants can tell the difference.
 *
 * The machine is synchronous and allocates nothing per message. Times are milliseconds of a monotonic clock.
 *
 * Implements protocol.md 4.1 to 4.5 and 4.8 (stellar-core: `FlowControl.cpp`, `FlowControlCapacity.cpp`).
 *
 * @since 0.1.0
 */
import { invariant } from "../internal/invariant.ts"
import { Uint64Counter } from "../internal/uint64Counter.ts"
import { BYTE_CAPACITY_READ_FLOOR, deriveByteParameters, type FlowControlOptions } from "./FlowControlOptions.ts"

export {
  AUTO_BATCH_BYTES,
  AUTO_FLOOD_CAPACITY_BYTES,
  BYTE_CAPACITY_READ_FLOOR,
  type ByteParameters,
  checkOptions,
  defaults,
  deriveByteParameters,
  type FlowControlOptions,
  type FlowControlProblem
} from "./FlowControlOptions.ts"

const MAX_UINT32 = 0xffff_ffff

/**
 * The credit of one connection. See the module's page for the rules.
 *
 * @category models
 * @since 0.1.0
 */
export class FlowControl {
  // limits; only the flood byte limit ever changes
  readonly #options: FlowControlOptions
  #floodBytesLimit: number
  readonly #batchBytes: number

  // begun and not ended
  #messages = 0
  #bytes = 0
  #floodMessages = 0
  #floodBytes = 0

  // ended and not granted back
  #processedMessages = 0
  #processedBytes = 0
  #granted = false
  /** What `raiseMaxTransactionSize` added before the first grant. */
  #pendingIncrease = 0

  // what we may send
  readonly #messageCredit = new Uint64Counter()
  readonly #byteCredit = new Uint64Counter()

  // starvation: set at creation, by failed attempts; cleared by grants
  #starving = true
  #starvedSince: number
  #lastFailure: number

  #paused = false
  #pausedAt = 0

  /** Messages of the grant made by the last successful `initialGrant` or `takeGrant`. */
  grantMessages = 0
  /** Bytes of that grant, never 0. */
  grantBytes = 0
  /**
   * How long we were without credit before the last accepted grant, in milliseconds, or -1 when we were not: the sample
   * for `overlay.connection.flood-throttle`.
   */
  starvedMillis = -1

  /**
   * Creates the meters of a connection: all local capacity free, no outbound credit, starving since `now`.
   *
   * Options are used as they are; see `checkOptions`.
   */
  constructor(options: FlowControlOptions, now: number) {
    const bytes = deriveByteParameters(options)
    this.#options = options
    this.#floodBytesLimit = bytes.floodReadingCapacityBytes
    this.#batchBytes = bytes.sendMoreBatchSizeBytes
    this.#starvedSince = now
    this.#lastFailure = now
  }

  // ---------------------------------------------------------------------------------------------- receiving

  /**
   * Takes local capacity for a message that was decoded and authenticated; `size` is its StellarMessage size.
   *
   * Gives false, and takes nothing, when the message exceeds what the peer was granted: drop it with
   * `FloodCapacityExceeded`. That includes every flood message before the first grant. A caller that stops parsing when
   * `canRead` is false never sees false for any other message.
   */
  begin(size: number, isFlood: boolean): boolean {
    const options = this.#options
    if (isFlood) {
      if (
        !this.#granted ||
        this.#floodMessages + this.#processedMessages >= options.floodReadingCapacity ||
        this.#floodBytes + this.#processedBytes + size > this.#floodBytesLimit
      ) return false
    }
    if (
      this.#messages >= options.readingCapacity ||
      this.#bytes + size > BYTE_CAPACITY_READ_FLOOR + options.totalReadingCapacityBytes
    ) return false
    this.#messages++
    this.#bytes += size
    if (isFlood) {
      this.#floodMessages++
      this.#floodBytes += size
    }
    return true
  }

  /** Why `begin` refused a message of this size, in words: the detail of `FloodCapacityExceeded`. */
  describeOverrun(size: number): string {
    if (!this.#granted) return "nothing was granted yet"
    const messages = this.#options.floodReadingCapacity - this.#floodMessages - this.#processedMessages
    const bytes = this.#floodBytesLimit - this.#floodBytes - this.#processedBytes
    return `${size} bytes, with ${messages} messages and ${bytes} bytes left`
  }

  /** Returns the capacity of one message that `begin` accepted. Ask `takeGrant` afterwards. */
  end(size: number, isFlood: boolean): void {
    this.endMany(1, size, isFlood ? 1 : 0, isFlood ? size : 0)
  }

  /**
   * Returns the capacity of many messages at once: how many, their bytes, and how many of both were flood messages.
   *
   * Returning more than was begun is a defect.
   */
  endMany(messages: number, bytes: number, floodMessages: number, floodBytes: number): void {
    invariant(
      messages <= this.#messages && bytes <= this.#bytes
        && floodMessages <= this.#floodMessages && floodBytes <= this.#floodBytes,
      "more flow-control capacity was returned than taken"
    )
    this.#messages -= messages
    this.#bytes -= bytes
    this.#floodMessages -= floodMessages
    this.#floodBytes -= floodBytes
    this.#processedMessages += floodMessages
    this.#processedBytes += floodBytes
  }

  /**
   * Takes the first grant: the whole flood capacity. To be sent right after authentication, exactly once; a second call
   * is a defect. Gives nothing; `grantMessages` and `grantBytes` say what to send.
   */
  initialGrant(): void {
    invariant(!this.#granted, "the first grant was made twice")
    this.#granted = true
    this.grantMessages = this.#options.floodReadingCapacity
    this.grantBytes = this.#floodBytesLimit
  }

  /**
   * Takes what was processed as a grant when it reaches the batch in messages or in bytes. True means: send
   * SEND_MORE_EXTENDED(`grantMessages`, `grantBytes`) now.
   *
   * Asked after each `end` it grants exactly when stellar-core does; asked after several it grants the same sum later.
   */
  takeGrant(): boolean {
    const messages = this.#processedMessages
    if (messages === 0) return false
    if (messages < this.#options.sendMoreBatchSize && this.#processedBytes < this.#batchBytes) return false
    this.grantMessages = messages
    this.grantBytes = this.#processedBytes
    this.#processedMessages = 0
    this.#processedBytes = 0
    return true
  }

  /**
   * The greatest transaction grew by `increase` bytes (a Soroban settings upgrade).
   *
   * Gives the bytes to grant now with SEND_MORE_EXTENDED(0, bytes), or 0 before the first grant, which will include
   * them. A decrease needs no call: it lowers what `OutboundQueues` accepts and takes no credit back (protocol.md 4.5).
   */
  raiseMaxTransactionSize(increase: number): number {
    invariant(increase > 0 && increase <= MAX_UINT32, "the increase of the transaction size is not a positive uint32")
    if (this.#granted) {
      this.#floodBytesLimit += increase
      return increase
    }
    this.#pendingIncrease += increase
    this.#floodBytesLimit = deriveByteParameters({
      ...this.#options,
      maxTransactionSize: this.#options.maxTransactionSize + this.#pendingIncrease
    }).floodReadingCapacityBytes
    return 0
  }

  /** Whether one more message may be read: a message of total capacity is free, and more bytes than the floor. */
  get canRead(): boolean {
    return this.#messages < this.#options.readingCapacity && this.#bytes < this.#options.totalReadingCapacityBytes
  }

  /** Whether one more could be read if these were begun as well: for reading several before handling the first. */
  canReadAfter(messages: number, bytes: number): boolean {
    return this.#messages + messages < this.#options.readingCapacity
      && this.#bytes + bytes < this.#options.totalReadingCapacityBytes
  }

  /** Whether reading is paused for lack of total capacity. */
  get isPaused(): boolean {
    return this.#paused
  }

  /** Asked after each message: true when reading must pause, from then on until `resumeReading` says otherwise. */
  pauseReading(now: number): boolean {
    if (this.#paused) return true
    if (this.canRead) return false
    this.#paused = true
    this.#pausedAt = now
    return true
  }

  /**
   * Asked after `end`: the milliseconds a pause lasted that is over now (the sample for
   * `overlay.connection.read-throttle`), or -1 when there is no pause or it goes on.
   */
  resumeReading(now: number): number {
    if (!this.#paused || !this.canRead) return -1
    this.#paused = false
    return now - this.#pausedAt
  }

  // ------------------------------------------------------------------------------------------------ sending

  /**
   * Takes in a SEND_MORE (`isExtended` false) or SEND_MORE_EXTENDED of the peer. Gives the tag of the reason to drop it
   * with, having changed nothing, or undefined when the credit was added. Then pump the queues.
   */
  receiveGrant(
    isExtended: boolean,
    numMessages: number,
    numBytes: number,
    now: number
  ): "UnexpectedSendMore" | "InvalidSendMoreExtended" | "CapacityOverflow" | undefined {
    if (!isExtended) return "UnexpectedSendMore"
    if (numBytes === 0) return "InvalidSendMoreExtended"
    if (!this.#messageCredit.canAdd(numMessages) || !this.#byteCredit.canAdd(numBytes)) return "CapacityOverflow"
    this.#messageCredit.add(numMessages)
    this.#byteCredit.add(numBytes)
    this.starvedMillis = this.#starving ? now - this.#starvedSince : -1
    this.#starving = false
    return undefined
  }

  /** Whether a flood message of this size may be sent now. */
  hasCredit(size: number): boolean {
    return this.#messageCredit.has(1) && this.#byteCredit.has(size)
  }

  /** Spends the credit of one flood message. Spending what is not there is a defect. */
  spend(size: number): void {
    invariant(this.hasCredit(size), "more flow-control credit was spent than granted")
    this.#messageCredit.subtract(1)
    this.#byteCredit.subtract(size)
  }

  /** Notes a failed attempt to send for want of credit. */
  noCredit(now: number): void {
    if (!this.#starving) {
      this.#starving = true
      this.#starvedSince = now
    }
    this.#lastFailure = now
  }

  /**
   * Since when no grant has come although one is wanted: since creation, or since the first failed attempt after the
   * last grant. Undefined when nothing is wanted.
   */
  get starvedSince(): number | undefined {
    return this.#starving ? this.#starvedSince : undefined
  }

  /**
   * Stellar-core's no-capacity time: as `starvedSince`, but moved by every failed attempt. Under constant traffic it
   * never grows old, so that a peer which grants nothing is only dropped when the traffic stops.
   */
  get lastStarvedAt(): number | undefined {
    return this.#starving ? this.#lastFailure : undefined
  }

  // ------------------------------------------------------------------------------------------------ reading

  /** Outbound credit in messages. */
  get messageCredit(): bigint {
    return this.#messageCredit.value
  }

  /** Outbound credit in bytes. */
  get byteCredit(): bigint {
    return this.#byteCredit.value
  }

  /** Free flood capacity in messages, as stellar-core counts it: what is not in process. */
  get localFloodMessages(): number {
    return this.#options.floodReadingCapacity - this.#floodMessages
  }

  /** Free flood capacity in bytes. */
  get localFloodBytes(): number {
    return this.#floodBytesLimit - this.#floodBytes
  }

  /** Flood messages in process. */
  get usedFloodMessages(): number {
    return this.#floodMessages
  }

  /** Their bytes. */
  get usedFloodBytes(): number {
    return this.#floodBytes
  }

  /** Free total capacity in messages. */
  get localMessages(): number {
    return this.#options.readingCapacity - this.#messages
  }

  /** Free total capacity in bytes, the floor included. */
  get localBytes(): number {
    return BYTE_CAPACITY_READ_FLOOR + this.#options.totalReadingCapacityBytes - this.#bytes
  }

  /** Sets the outbound credit, for tests of its limits: nothing on the wire takes it to 2^64 in a lifetime. */
  setCredit(messages: bigint, bytes: bigint): void {
    this.#messageCredit.value = messages
    this.#byteCredit.value = bytes
  }
}
