/**
 * Everything one connection has to send: four flow-controlled queues by priority and one lane for all other messages.
 *
 * `enqueue` is the only way in and sorts by message type, so nothing flow-controlled can pass by the credit. `nextBatch`
 * is the only way out: it takes what one write may carry and spends the credit.
 *
 * **Shedding** (on `enqueue`). SCP messages: those of slots no longer remembered go, and one that the new message
 * supersedes is replaced in place. Transactions: refused above the greatest valid size; over the limit in number or
 * bytes the whole queue goes, the new one included. Demands and adverts: over the limit of hashes the whole queue goes.
 * Entries in flight are never taken back: when their queue is cleared they are written all the same, no longer count
 * against the limits, and are not counted as dropped (stellar-core counts them).
 *
 * **Order.** Sequence numbers and MACs are assigned when a batch is encoded, so batches may order messages freely as
 * long as the order within each class holds. A batch is SCP messages, then the direct lane (strictly first in, first
 * out), then transactions, demands, adverts, and it is shared half and half between the direct lane and the queues when
 * both have more than half to send. Hence:
 *
 * - an SCP message with credit leaves with the next batch, whatever bulk the direct lane holds: it waits for at most
 *   the one write that is under way
 * - a direct message waits for no transaction, demand or advert that is not in the write under way, and makes progress
 *   in every batch; a reply of many megabytes is one message and forms a batch with what fits beside it
 * - the queues make progress in every batch too, in strict priority: a lower one is only served when each higher one is
 *   empty or stopped for want of credit
 *
 * **Bounds.** Transactions 3 MiB and `maxTxSetSize` entries, demands and adverts `maxTxSetSize` hashes, SCP 4 MiB and
 * 16 384 messages, direct 17 MiB and 16 384 messages; one write under way. SCP and direct messages are never lost in
 * silence: at their bound `enqueue` gives `"overflow"`, and the peer is to be dropped as `Straggling`.
 *
 * The machine is synchronous; times are milliseconds of a monotonic clock.
 *
 * Implements protocol.md 4.6, 4.7 and 4.9 (stellar-core: `FlowControl::addMsgAndMaybeTrimQueue`, `getNextBatchToSend`,
 * `processSentMessages`, `TCPPeer::messageSender`).
 *
 * @since 0.1.0
 */
import { invariant } from "../internal/invariant.ts"
import { OutboundLane } from "../internal/outboundLane.ts"
import { MessageType } from "../wire/MessageType.ts"
import type { FloodAdvert, FloodDemand, ScpMessage, StellarMessage, Transaction } from "../wire/StellarMessage.ts"
import { DelayWindow } from "./DelayWindow.ts"
import type { FlowControl } from "./FlowControl.ts"
import type { LedgerContext } from "./LedgerContext.ts"
import { FRAME_OVERHEAD, type OutboundBatch } from "./OutboundBatch.ts"
import { Priority } from "./Priority.ts"
import { isNewerNominationOrBallot, slotOf, supersedeKey } from "./ScpSupersedes.ts"
import type { OutboundTimers } from "./SessionTimers.ts"

export type { LedgerContext } from "./LedgerContext.ts"
export { FRAME_OVERHEAD, OutboundBatch } from "./OutboundBatch.ts"
export { Priority, priorityOf } from "./Priority.ts"

/**
 * The bounds of the queues. Bytes are StellarMessage bytes, but frame bytes in a batch.
 *
 * @category models
 * @since 0.1.0
 */
export interface OutboundQueuesOptions {
  /** OUTBOUND_TX_QUEUE_BYTE_LIMIT. */
  readonly txQueueByteLimit: number
  /** MAX_BATCH_WRITE_BYTES. */
  readonly maxBatchBytes: number
  /** MAX_BATCH_WRITE_COUNT. */
  readonly maxBatchCount: number
  /** SCP messages in the queue; twelve slots of a hundred validators, two statements each, are about 1 MiB. */
  readonly scpByteLimit: number
  readonly scpCountLimit: number
  /** Direct messages waiting: room for one message of the greatest size and for a mebibyte of small ones. */
  readonly directByteLimit: number
  readonly directCountLimit: number
}

/**
 * Stellar-core's defaults, and the bounds it does not have.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: OutboundQueuesOptions = {
  txQueueByteLimit: 3_145_728,
  maxBatchBytes: 1_048_576,
  maxBatchCount: 1024,
  scpByteLimit: 4_194_304,
  scpCountLimit: 16_384,
  directByteLimit: 17_825_792,
  directCountLimit: 16_384
}

/**
 * What became of a message:
 *
 * - `queued`: it will be sent
 * - `shed`: it will not, which the rules of its class allow; the drop counters say what went
 * - `overflow`: it is not queued though it must not be lost: drop the peer as `Straggling`
 *
 * @category models
 * @since 0.1.0
 */
export type EnqueueResult = "queued" | "shed" | "overflow"

/**
 * The messages one connection has to send. See the module's page for the rules.
 *
 * `enqueue` keeps the message: pass one that owns its bytes (`message.retain()`, once, however many peers get it).
 *
 * @category models
 * @since 0.1.0
 */
export class OutboundQueues {
  readonly #options: OutboundQueuesOptions
  readonly #timers: OutboundTimers | undefined
  #ledger: LedgerContext
  /** Whether slots may have become too old since the last look at the SCP queue. */
  #sweepScp = false
  #closed = false

  readonly #scp = new OutboundLane<ScpMessage>(true)
  readonly #transactions = new OutboundLane<Transaction>()
  readonly #demands = new OutboundLane<FloodDemand>()
  readonly #adverts = new OutboundLane<FloodAdvert>()
  readonly #direct = new OutboundLane()
  readonly #lanes = [this.#scp, this.#transactions, this.#demands, this.#adverts] as const

  /** SCP messages shed: too old, or superseded. */
  droppedScp = 0
  /** Transactions shed by clearing. */
  droppedTransactions = 0
  /** Transactions refused for their size, which core does not count. */
  refusedTransactions = 0
  /** Hashes of demands shed. */
  droppedDemandHashes = 0
  /** Hashes of adverts shed. */
  droppedAdvertHashes = 0

  /** Time from `enqueue` to `nextBatch`, by flood class and for the direct lane, and from there to `wrote` per batch. */
  readonly delays = {
    scp: new DelayWindow(),
    txs: new DelayWindow(),
    demand: new DelayWindow(),
    advert: new DelayWindow(),
    writeQueue: new DelayWindow(),
    asyncWrite: new DelayWindow()
  }
  readonly #queueDelays = [this.delays.scp, this.delays.txs, this.delays.demand, this.delays.advert] as const

  /** Delays are also recorded in `timers`, which all connections of a node share. */
  constructor(options: OutboundQueuesOptions, ledger: LedgerContext, timers?: OutboundTimers) {
    this.#options = options
    this.#timers = timers
    this.#ledger = ledger
  }

  /** The state of the ledger in force. */
  get ledger(): LedgerContext {
    return this.#ledger
  }

  /** Takes in a new state of the ledger. It takes effect with the next message. */
  updateLedger(ledger: LedgerContext): void {
    const before = this.#ledger
    if (ledger.minRememberedSlot !== before.minRememberedSlot || ledger.checkpointSlot !== before.checkpointSlot) {
      this.#sweepScp = true
    }
    this.#ledger = ledger
  }

  /** Takes in a message of any type, to the lane of its type. */
  enqueue(message: StellarMessage, now: number): EnqueueResult {
    switch (message.type) {
      case MessageType.ScpMessage:
        return this.#closed ? "shed" : this.#enqueueScp(message, now)
      case MessageType.Transaction:
        return this.#closed ? "shed" : this.#enqueueTransaction(message, now)
      case MessageType.FloodDemand:
        return this.#closed ? "shed" : this.#enqueueDemand(message, now)
      case MessageType.FloodAdvert:
        return this.#closed ? "shed" : this.#enqueueAdvert(message, now)
      default:
        return this.#enqueueDirect(message, now)
    }
  }

  #enqueueScp(message: ScpMessage, now: number): EnqueueResult {
    const lane = this.#scp
    if (this.#sweepScp) {
      this.#sweepScp = false
      this.droppedScp += lane.shed((queued) => !this.#isTooOld(slotOf(queued)))
    }
    if (this.#isTooOld(slotOf(message))) {
      this.droppedScp++
      return "shed"
    }
    const key = supersedeKey(message)
    for (let i = lane.indexOfKey(key, lane.inFlight); i !== -1; i = lane.indexOfKey(key, i + 1)) {
      if (!isNewerNominationOrBallot(lane.messageAt(i), message)) continue
      lane.replaceAt(i, message, now, key)
      this.droppedScp++
      return "queued"
    }
    if (lane.length >= this.#options.scpCountLimit || lane.bytes + message.size > this.#options.scpByteLimit) {
      return "overflow"
    }
    lane.push(message, now, key)
    return "queued"
  }

  #isTooOld(slot: number): boolean {
    return slot < this.#ledger.minRememberedSlot && slot !== this.#ledger.checkpointSlot
  }

  #enqueueTransaction(message: Transaction, now: number): EnqueueResult {
    if (message.size > this.#ledger.maxTransactionSize) {
      this.refusedTransactions++
      return "shed"
    }
    const lane = this.#transactions
    lane.push(message, now, 0)
    if (lane.length <= this.#ledger.maxTxSetSize && lane.bytes <= this.#options.txQueueByteLimit) return "queued"
    this.droppedTransactions += lane.length - lane.inFlight
    lane.clear()
    return "shed"
  }

  #enqueueDemand(message: FloodDemand, now: number): EnqueueResult {
    this.#demands.push(message, now, 0)
    if (this.#holdsHashes(this.#demands)) return "queued"
    this.droppedDemandHashes += waitingHashes(this.#demands)
    this.#demands.clear()
    return "shed"
  }

  #enqueueAdvert(message: FloodAdvert, now: number): EnqueueResult {
    this.#adverts.push(message, now, 0)
    if (this.#holdsHashes(this.#adverts)) return "queued"
    this.droppedAdvertHashes += waitingHashes(this.#adverts)
    this.#adverts.clear()
    return "shed"
  }

  /** Hashes within the limit. The number of messages counts too, or messages without hashes would pile up. */
  #holdsHashes(lane: OutboundLane<FloodAdvert> | OutboundLane<FloodDemand>): boolean {
    return Math.max(hashesIn(lane.bytes, lane.length), lane.length) <= this.#ledger.maxTxSetSize
  }

  #enqueueDirect(message: StellarMessage, now: number): EnqueueResult {
    // ERROR_MSG is the last word of a connection: it always finds room.
    if (!this.hasDirectRoom(message.size) && message.type !== MessageType.ErrorMsg) return "overflow"
    this.#direct.push(message, now, 0)
    return "queued"
  }

  /**
   * Whether a direct message of this size would be queued. Ask before answering a request with bulk; a request that is
   * not answered costs the peer a retry elsewhere, an overflow costs it the connection.
   */
  hasDirectRoom(size: number): boolean {
    const lane = this.#direct
    return lane.length === 0 ||
      (lane.length < this.#options.directCountLimit && lane.bytes + size <= this.#options.directByteLimit)
  }

  /**
   * Fills a batch with what the next write should carry, spends its credit, and gives how many messages that is.
   *
   * A queue stops at the first entry that lacks credit, in flight or not, which `FlowControl.noCredit` notes
   * (protocol.md 4.7); the next queue is tried then. 0 leaves the batch free; any other number must be followed by
   * `wrote` when its bytes are written. Batches complete in the order in which they were taken.
   */
  nextBatch(flow: FlowControl, now: number, batch: OutboundBatch): number {
    invariant(!batch.pending, "a batch was filled again before it was written")
    batch.begin(now)
    const { maxBatchBytes, maxBatchCount } = this.#options
    const direct = this.#direct
    let waiting = 0
    let waitingBytes = 0
    for (const lane of this.#lanes) {
      waiting += lane.length - lane.inFlight
      waitingBytes += lane.bytes - lane.bytesInFlight
    }
    waitingBytes += waiting * FRAME_OVERHEAD
    const directWaitingBytes = direct.bytes + direct.length * FRAME_OVERHEAD
    // Each side may take what the other does not need, and half of the batch in any case.
    const floodCount = maxBatchCount - Math.min(direct.length, maxBatchCount >> 1)
    const floodBytes = maxBatchBytes - Math.min(directWaitingBytes, maxBatchBytes >> 1)
    const directCount = maxBatchCount - Math.min(waiting, maxBatchCount >> 1)
    const directBytes = maxBatchBytes - Math.min(waitingBytes, maxBatchBytes >> 1)

    const roomLeft = this.#takeFlood(Priority.Scp, flow, now, batch, floodCount, floodBytes)
    this.#takeDirect(now, batch, directCount, directBytes)
    if (roomLeft) {
      for (const priority of afterDirect) {
        if (!this.#takeFlood(priority, flow, now, batch, floodCount, floodBytes)) break
      }
    }
    batch.pending = batch.length > 0
    return batch.length
  }

  /** Takes from one queue; false when its next message has no room any more, which ends the flood part of the batch. */
  #takeFlood(
    priority: Priority,
    flow: FlowControl,
    now: number,
    batch: OutboundBatch,
    maxCount: number,
    maxBytes: number
  ): boolean {
    const lane = this.#lanes[priority]
    const delays = this.#queueDelays[priority]
    const timer = this.#timers?.flood[priority]
    for (let i = 0; i < lane.length; i++) {
      const message = lane.messageAt(i)
      const size = message.size
      if (i >= lane.inFlight && exceeds(batch.floodLength, batch.floodBytes, size, maxCount, maxBytes)) return false
      if (!flow.hasCredit(size)) {
        flow.noCredit(now)
        return true
      }
      if (i < lane.inFlight) continue
      lane.markInFlight()
      flow.spend(size)
      batch.add(message)
      batch.floodLength++
      batch.floodBytes += size + FRAME_OVERHEAD
      batch.taken[priority]++
      const delay = now - lane.timeAt(i)
      delays.record(delay, now)
      timer?.observeMillis(delay)
    }
    return true
  }

  #takeDirect(now: number, batch: OutboundBatch, maxCount: number, maxBytes: number): void {
    const lane = this.#direct
    while (lane.length > 0) {
      const length = batch.length - batch.floodLength
      const bytes = batch.bytes - batch.floodBytes
      if (exceeds(length, bytes, lane.messageAt(0).size, maxCount, maxBytes)) return
      const enqueuedAt = lane.timeAt(0)
      batch.add(lane.take())
      batch.enqueuedAt = enqueuedAt
      this.delays.writeQueue.record(now - enqueuedAt, now)
      this.#timers?.writeQueue.observeMillis(now - enqueuedAt)
    }
  }

  /** The bytes of a batch are written: its messages leave the queues. Batches are handed back in the order of taking. */
  wrote(batch: OutboundBatch, now: number): void {
    invariant(batch.pending, "a batch was written twice")
    batch.pending = false
    batch.releaseMessages()
    for (let priority = 0; priority < this.#lanes.length; priority++) {
      this.#lanes[priority]!.written(batch.taken[priority]!)
    }
    this.delays.asyncWrite.record(now - batch.takenAt, now)
    this.#timers?.asyncWrite.observeMillis(now - batch.takenAt)
  }

  /**
   * The connection is closing: the flow-controlled queues are emptied and stay empty; direct messages still leave
   * (protocol.md 3.1).
   */
  close(): void {
    this.#closed = true
    for (const lane of this.#lanes) lane.clear()
  }

  /** Entries of a flood queue, those in flight included. */
  lengthOf(priority: Priority): number {
    return this.#lanes[priority].length
  }

  /** Entries of a flood queue that are being written. */
  inFlightOf(priority: Priority): number {
    return this.#lanes[priority].inFlight
  }

  /** StellarMessage bytes of a flood queue, those in flight included. */
  bytesOf(priority: Priority): number {
    return this.#lanes[priority].bytes
  }

  /** Hashes in the queue of demands or of adverts. */
  hashesOf(priority: typeof Priority.Demand | typeof Priority.Advert): number {
    return hashesIn(this.#lanes[priority].bytes, this.#lanes[priority].length)
  }

  /** Whether anything waits that is not in the write under way. */
  get hasWaiting(): boolean {
    if (this.#direct.length > 0) return true
    for (const lane of this.#lanes) if (lane.length > lane.inFlight) return true
    return false
  }

  /** Direct messages waiting. */
  get directLength(): number {
    return this.#direct.length
  }

  /** Their StellarMessage bytes. */
  get directBytes(): number {
    return this.#direct.bytes
  }
}

const afterDirect = [Priority.Transaction, Priority.Demand, Priority.Advert] as const

/** Hashes in a number of adverts or demands: each is the discriminant, a count and 32 bytes per hash. */
const hashesIn = (bytes: number, messages: number): number => (bytes - 8 * messages) / 32

const waitingHashes = (lane: OutboundLane<FloodAdvert> | OutboundLane<FloodDemand>): number =>
  hashesIn(lane.bytes - lane.bytesInFlight, lane.length - lane.inFlight)

/** Whether one more message takes a part of a batch over its share. The first never does, or a great one would stay. */
const exceeds = (length: number, bytes: number, size: number, maxCount: number, maxBytes: number): boolean =>
  length > 0 && (length >= maxCount || bytes + size + FRAME_OVERHEAD > maxBytes)
