/**
 * Everything one connection needs between its bytes and its messages: framing, validation, MACs, the handshake, flow
 * control, outbound queues, liveness and query limits, as one synchronous machine.
 *
 * Bytes and the time go in by `receive`, messages by `send`, consumption by `settle`, the clock by `tick`. Out come
 * batches of messages (`takeBatch`), slabs of bytes (`nextWrite`), events, and the next deadline. It reads no clock,
 * draws no randomness and never throws for what a peer does: a violation ends it with exactly one `DropReason`.
 *
 * ```
 * chunk -> FrameParser -> XdrValidator -> Hmac -> FlowControl -> handshake, own business or inbox -> takeBatch
 * send  -> OutboundQueues -> FlowControl -> frames and MACs in one slab -> nextWrite
 * ```
 *
 * Implements protocol.md sections 1.6, 2, 3, 4, 7 and 8 (stellar-core: `Peer.cpp`, `TCPPeer.cpp`).
 *
 * @since 0.1.0
 */
import * as DropReason from "../DropReason.ts"
import { writeUint32 } from "../internal/bytes.ts"
import * as AuthenticatedMessage from "../wire/AuthenticatedMessage.ts"
import { isSessionOnly, MessageType } from "../wire/MessageType.ts"
import {
  DontHave,
  ErrorMsg,
  fromBytes,
  GetScpQuorumSet,
  GetScpState,
  isFlood,
  SendMoreExtended,
  type StellarMessage
} from "../wire/StellarMessage.ts"
import { isCongested } from "./Congestion.ts"
import { FlowControl } from "./FlowControl.ts"
import { Handshake, type PeerState, type RemoteFacts } from "./Handshake.ts"
import { Hmac } from "./Hmac.ts"
import { type Batch, Inbox, type Lane } from "./Inbox.ts"
import type { LedgerContext } from "./LedgerContext.ts"
import { Liveness, pingHash } from "./Liveness.ts"
import { MessageReader } from "./MessageReader.ts"
import { OutboundBatch } from "./OutboundBatch.ts"
import { type EnqueueResult, OutboundQueues } from "./OutboundQueues.ts"
import type { Now } from "./Primitives.ts"
import { QueryLimiter } from "./QueryLimiter.ts"
import { RateLimiter } from "./RateLimiter.ts"
import type { SessionEvent, SessionOptions } from "./SessionOptions.ts"
import { SessionStats } from "./SessionStats.ts"
import { SlabWriter } from "./SlabWriter.ts"

export type { SessionEvent, SessionOptions } from "./SessionOptions.ts"

/**
 * Most frames handled in one turn: a chunk of tiny frames holds the event loop for a tenth of a millisecond at a time,
 * and the credit for one turn's messages leaves while the next turn's are handled, so that the remote need not wait for
 * the whole chunk. Measured against 256: a quarter to a third more messages per second between two processes.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_FRAMES_PER_TURN = 64

/** Frames whose MACs are checked together. */
const MAX_VERIFY = 64

/**
 * The machine. Its methods are called by one fiber at a time; after each, `events` and the getters say what came out.
 *
 * @category models
 * @since 0.1.0
 */
export class Session {
  readonly options: SessionOptions
  readonly stats: SessionStats
  readonly flow: FlowControl
  readonly queues: OutboundQueues
  readonly liveness: Liveness
  /** What happened since the caller last emptied it. */
  readonly events: Array<SessionEvent> = []
  /** Why it ended; undefined while it lives. */
  dropReason: DropReason.DropReason | undefined
  /** Transactions, adverts and demands are dropped unseen, their credit returned (protocol.md 5.4: while out of sync). */
  shedTransactions = false
  /** Survey messages are dropped unseen. */
  shedSurvey = false

  readonly #reader = new MessageReader()
  readonly #hmac: Hmac
  readonly #handshake: Handshake
  /** Follows the handshake's state, for those who ask for every message. */
  #isAuthenticated = false
  #isAnnounced = false
  readonly #inbox = new Inbox()
  readonly #queries: QueryLimiter
  readonly #rate: RateLimiter | undefined
  readonly #batch = new OutboundBatch()
  readonly #writer = new SlabWriter()
  #backlog = false
  #peersReceived = false
  #pings = 0

  constructor(options: SessionOptions, now: Now) {
    this.options = options
    this.stats = new SessionStats(now.millis)
    // The limits of the ledger that is known by now, if one is (protocol.md 4.2).
    const { maxTransactionSize } = options.ledger
    this.flow = new FlowControl({ ...options.flow, maxTransactionSize }, now.millis)
    this.queues = new OutboundQueues(options.queues, options.ledger, options.timers?.outbound)
    this.liveness = new Liveness(options.liveness, now.millis)
    this.#queries = new QueryLimiter(options.queries)
    this.#rate = options.rate && new RateLimiter(options.rate, now.millis)
    this.#hmac = new Hmac(options.crypto)
    this.#handshake = new Handshake({
      role: options.role,
      config: options.handshake,
      auth: options.auth,
      nonce: options.nonce,
      remote: options.remote,
      admission: options.admission,
      onKeys: (keys) => this.#hmac.setKeys(keys)
    })
  }

  /** Core's peer state. */
  get state(): PeerState {
    return this.#handshake.state
  }

  get isAuthenticated(): boolean {
    return this.#isAuthenticated
  }

  /** What the remote said about itself, once its certificate was verified. */
  get remote(): RemoteFacts | undefined {
    return this.#handshake.remote
  }

  /** The same before anything is verified: for telling a person, for nothing else. */
  get claimed(): RemoteFacts | undefined {
    return this.#handshake.claimed
  }

  /** Whether more input may be taken: false while total reading capacity is used up. */
  get canRead(): boolean {
    return this.flow.canRead
  }

  /** Whether received bytes wait for `process`. */
  get hasBacklog(): boolean {
    return this.#backlog
  }

  /** Messages of a lane that wait to be taken. */
  waiting(lane: Lane): number {
    return this.#inbox.lengthOf(lane)
  }

  /** Whether `takeBatch` has something in a lane. */
  hasBatch(lane: Lane): boolean {
    return this.#inbox.lengthOf(lane) > 0
  }

  /** Whether a polite sender should wait; see `isCongested` of `Congestion`. */
  get isCongested(): boolean {
    return isCongested(this.queues, this.options.queues)
  }

  /** Whether messages wait to be written; not all of them may have credit. */
  get hasOutput(): boolean {
    return this.queues.hasWaiting
  }

  /** Whether messages that need no credit wait to be written: credit, answers, the handshake. */
  get hasDirectOutput(): boolean {
    return this.queues.directLength > 0
  }

  /** When `tick` is due, in monotonic milliseconds. */
  get nextDeadline(): number {
    return this.liveness.nextDeadline
  }

  // ---------------------------------------------------------------------------------------------------- input

  /** The TCP connection stands: the initiator says HELLO. */
  connected(now: Now): void {
    this.#handshake.connected(now)
    this.#flush(now.millis)
  }

  /** Takes in bytes as they came and handles what is complete. */
  receive(chunk: Uint8Array, now: Now): void {
    this.receiveAll([chunk], now)
  }

  /** As `receive`, for what one read gave: until the next one its messages may be views into it. */
  receiveAll(chunks: ReadonlyArray<Uint8Array>, now: Now): void {
    if (this.dropReason !== undefined) return
    this.#inbox.retain()
    for (const chunk of chunks) this.#take(chunk, now)
  }

  #take(chunk: Uint8Array, now: Now): void {
    if (this.dropReason !== undefined) return
    this.stats.bytesRead += chunk.length
    this.stats.asyncReads++
    this.liveness.read(now.millis)
    this.#reader.push(chunk)
    this.process(now)
  }

  /** Handles received frames until they run out, capacity runs out, or the turn is over (`hasBacklog` says so). */
  process(now: Now): void {
    let budget = MAX_FRAMES_PER_TURN
    this.#backlog = false
    while (this.dropReason === undefined) {
      if (!this.flow.canRead || budget <= 0) {
        this.#backlog = this.#reader.bufferedBytes > 0
        break
      }
      const handled = this.#handleSome(Math.min(budget, this.isAuthenticated ? MAX_VERIFY : 1), now)
      if (handled === 0) break
      budget -= handled
    }
    if (this.dropReason !== undefined) return
    const { announcedBytes, remainingBytes } = this.#reader
    this.liveness.body.progress(this.stats.messagesRead, announcedBytes, remainingBytes, now.millis)
    this.#throttle(now.millis)
  }

  /** Reads and authenticates up to `most` messages, then handles them in order. Gives how many there were. */
  #handleSome(most: number, now: Now): number {
    const reader = this.#reader
    const count = reader.read(most, this.isAuthenticated, this.flow)
    const { bodies } = reader
    const verified = this.#verify(bodies, count)
    for (let i = 0; i < verified && this.dropReason === undefined; i++) this.#handle(bodies[i]!, now)
    const failure = verified < count ? DropReason.make(this.#hmac.failure ?? "UnexpectedMac") : reader.failure
    const unfit = verified < count ? 1 : reader.unfit
    reader.release(count)
    if (failure !== undefined && this.dropReason === undefined) {
      this.stats.messagesRead += unfit
      this.drop(failure, now)
    }
    return count
  }

  /** Before keys exist nothing can be verified; HELLO comes unauthenticated (protocol.md 1.6). */
  #verify(bodies: ReadonlyArray<Uint8Array>, count: number): number {
    const hasKeys = this.#isAuthenticated
      || (this.#handshake.state !== "Connected" && this.#handshake.state !== "Connecting")
    return hasKeys ? this.#hmac.verify(bodies, count) : count
  }

  /** One decoded, authenticated message. */
  #handle(body: Uint8Array, now: Now): void {
    const message = fromBytes(AuthenticatedMessage.message(body))
    const { size } = message
    // Before authentication the handshake refuses flood messages, as all others, by their name.
    const flood = this.isAuthenticated && isFlood(message)
    this.stats.messagesRead++
    this.stats.received[message.type]!++
    if (!this.flow.begin(size, flood)) {
      return this.drop(DropReason.make("FloodCapacityExceeded", this.flow.describeOverrun(size)), now)
    }
    if (this.#rate !== undefined) {
      const exceeded = this.#rate.take(size, now.millis)
      if (exceeded !== undefined) return this.drop(DropReason.make("RateLimited", exceeded), now)
    }
    const delivered = this.isAuthenticated
      ? this.#handleAuthenticated(message, now)
      : this.#handleHandshake(message, now)
    if (delivered) this.#inbox.push(message, now.millis)
    else {
      this.options.timers?.handling.own(message)
      this.flow.end(size, flood)
      if (flood) this.#grant(now.millis)
    }
  }

  #handleHandshake(message: StellarMessage, now: Now): false {
    const before = this.#handshake.state
    const failure = this.#handshake.receive(message, now)
    this.#isAuthenticated = this.#handshake.state === "GotAuth"
    const { remote } = this.#handshake
    const { millis } = now
    this.#flush(millis)
    if (before === "Connected" && remote !== undefined) this.events.push({ _tag: "Hello", remote })
    if (failure !== undefined) {
      this.drop(failure, now)
    } else if (this.isAuthenticated && remote !== undefined) {
      this.liveness.authenticated()
      this.flow.initialGrant()
      this.#sendGrant(millis)
      const { scpStateFrom } = this.options
      this.options.timers?.handshake[this.options.role].observeMillis(millis - this.stats.createdAt)
      if (scpStateFrom !== undefined) this.#enqueue(GetScpState.make({ ledgerSeq: scpStateFrom }), millis)
      this.#isAnnounced = true
      this.events.push({ _tag: "Authenticated", remote })
    }
    return false
  }

  /** The session's own business after authentication. True leaves the message to the consumer, with its capacity. */
  #handleAuthenticated(message: StellarMessage, now: Now): boolean {
    switch (message._tag) {
      case "ErrorMsg":
      case "Hello":
      case "Auth": {
        const failure = this.#handshake.receive(message, now)
        if (failure !== undefined) this.drop(failure, now)
        return false
      }
      case "SendMore":
        return this.#receiveGrant(false, message.numMessages, 0, now)
      case "SendMoreExtended":
        return this.#receiveGrant(true, message.numMessages, message.numBytes, now)
      case "Peers":
        if (this.options.role === "acceptor") {
          this.drop(DropReason.make("ReceivedPeers"), now)
          return false
        }
        if (this.#peersReceived) {
          this.drop(DropReason.make("TooManyPeersMessages"), now)
          return false
        }
        return this.#peersReceived = true
      case "GetTxSet":
      case "GetScpQuorumSet":
      case "GetScpState":
        return this.#receiveQuery(message, now)
      case "DontHave":
        return !this.#pong(message.hash, now)
      case "ScpQuorumSet":
        this.#pong(this.options.crypto.sha256(message.body), now)
        return true
      case "Transaction":
      case "FloodAdvert":
      case "FloodDemand":
        return !this.shedTransactions
      case "TimeSlicedSurveyRequest":
      case "TimeSlicedSurveyResponse":
      case "TimeSlicedSurveyStartCollecting":
      case "TimeSlicedSurveyStopCollecting":
        return !this.shedSurvey
      default:
        return true
    }
  }

  #receiveGrant(extended: boolean, numMessages: number, numBytes: number, now: Now): false {
    const failure = this.flow.receiveGrant(extended, numMessages, numBytes, now.millis)
    if (failure !== undefined) this.drop(DropReason.make(failure), now)
    else {
      this.stats.grantsReceived++
      if (this.flow.starvedMillis >= 0) this.options.timers?.floodThrottle.observeMillis(this.flow.starvedMillis)
    }
    return false
  }

  /** Protocol.md section 7: over the limit a query is ignored, silently. */
  #receiveQuery(message: Extract<StellarMessage, { _tag: `Get${string}` }>, now: Now): boolean {
    if (!this.#queries.allow(message.type, now.millis)) {
      this.stats.queriesIgnored++
      return false
    }
    if (this.options.answers === "deliver") return true
    if (message._tag !== "GetScpState") {
      const itemType = message._tag === "GetTxSet" ? MessageType.GeneralizedTxSet : MessageType.ScpQuorumSet
      this.send(DontHave.make({ itemType, hash: message.hash }), now)
    }
    return false
  }

  /** Whether a transaction set of this size fits the peer's byte budget and its queue; uses the budget when it does. */
  mayAnswerTxSet(size: number, now: number): boolean {
    return this.queues.hasDirectRoom(size) && this.#queries.txSetAnswer(size, now)
  }

  // ------------------------------------------------------------------------------------------------- delivery

  /**
   * The next messages for the consumer, of one lane, or urgent ones first. Every batch must be settled, once, when it is
   * done with.
   */
  takeBatch(lane?: Lane): Batch | undefined {
    return this.#inbox.take(lane)
  }

  /** A batch was processed: its capacity returns and, when enough has come together, flows back as credit. Idempotent. */
  settle(batch: Batch, now: Now): void {
    if (!batch.receipt.release(this.flow) || this.dropReason !== undefined) return
    this.#grant(now.millis)
    const paused = this.flow.resumeReading(now.millis)
    if (paused >= 0) {
      this.liveness.resumeReading(now.millis)
      this.stats.readThrottleMillis += paused
      this.options.timers?.readThrottle.observeMillis(paused)
      this.events.push({ _tag: "ReadResumed", millis: paused })
    }
  }

  #throttle(now: number): void {
    if (this.flow.isPaused || !this.flow.pauseReading(now)) return
    this.#reader.compact()
    this.liveness.pauseReading(now)
    this.events.push({ _tag: "ReadThrottled" })
  }

  #grant(now: number): void {
    if (this.isAuthenticated && this.flow.takeGrant()) this.#sendGrant(now)
  }

  #sendGrant(now: number): void {
    const { grantBytes: numBytes, grantMessages: numMessages } = this.flow
    this.stats.grantsSent++
    this.#enqueue(SendMoreExtended.make({ numMessages, numBytes }), now)
  }

  // --------------------------------------------------------------------------------------------------- output

  /**
   * Queues a message. False when it was shed by the rules of its queue (protocol.md 4.6), because the session is not
   * authenticated or has ended, or because only the session itself may say it (`drop` sends ERROR_MSG).
   */
  send(message: StellarMessage, now: Now): boolean {
    if (!this.isAuthenticated || this.dropReason !== undefined || isSessionOnly(message.type)) return false
    const result = this.#enqueue(message, now.millis)
    // SCP messages and answers are never shed: a peer that takes so few of them that a bound is hit is not keeping up.
    if (result === "overflow") this.drop(DropReason.make("Straggling"), now)
    return result === "queued"
  }

  /** Counted before queues and shedding, as in core. */
  #enqueue(message: StellarMessage, now: number): EnqueueResult {
    this.stats.sent[message.type]!++
    return this.queues.enqueue(message, now)
  }

  /** The ledger moved: new shedding limits, and more credit for the peer when transactions may be larger. */
  updateLedger(ledger: LedgerContext, now: Now): void {
    const increase = ledger.maxTransactionSize - this.queues.ledger.maxTransactionSize
    this.queues.updateLedger(ledger)
    if (increase <= 0 || this.dropReason !== undefined) return
    const numBytes = this.flow.raiseMaxTransactionSize(increase)
    if (numBytes > 0) this.#enqueue(SendMoreExtended.make({ numMessages: 0, numBytes }), now.millis)
  }

  /** The next bytes to write, as one slab; undefined when there is nothing. Follow each with `wrote`. */
  nextWrite(now: Now): Uint8Array | undefined {
    const batch = this.#batch
    const count = this.queues.nextBatch(this.flow, now.millis, batch)
    if (count === 0) return undefined
    const slab = this.#writer.write(batch, count, this.#hmac)
    const { signed } = this.#writer
    if (signed < count) this.drop(DropReason.make("SequenceExhausted"), now)
    this.stats.messagesWritten += signed
    this.stats.asyncWrites++
    this.stats.bytesWritten += slab.length
    this.liveness.handedToSocket(batch.enqueuedAt)
    return slab
  }

  /** The slab of the last `nextWrite` is written. */
  wrote(now: Now): void {
    this.queues.wrote(this.#batch, now.millis)
    this.liveness.wrote(now.millis)
  }

  /** Moves what the handshake wants to say to the direct lane. */
  #flush(now: number): void {
    for (const message of this.#handshake.out) this.#enqueue(message, now)
    this.#handshake.out.length = 0
  }

  // ------------------------------------------------------------------------------------------------- the clock

  /** Acts on deadlines that have come. */
  tick(now: Now): void {
    if (this.dropReason !== undefined) return
    const overdue = this.liveness.tick(now.millis, this.flow)
    if (overdue !== undefined) this.drop(overdue, now)
    else if (this.liveness.pingDue) this.#ping(now.millis)
  }

  #ping(now: number): void {
    const count = new Uint8Array(4)
    writeUint32(count, 0, this.#pings++)
    const hash = pingHash(this.options.crypto.hmacSha256(this.options.pingSecret, count))
    this.liveness.pingSent(hash, now)
    this.#enqueue(GetScpQuorumSet.make({ hash }), now)
  }

  #pong(hash: Uint8Array, now: Now): boolean {
    const answered = this.liveness.pong(hash, now.millis)
    if (answered) {
      this.stats.pongs++
      this.options.timers?.latency.observeMillis(this.liveness.latencyMillis)
    }
    return answered
  }

  // ----------------------------------------------------------------------------------------------------- the end

  /** What the end of input means, given whether the remote ended in order. */
  readFailure(inOrder: boolean, detail: string): DropReason.DropReason {
    if (!inOrder) return DropReason.make("ReadError", detail)
    const { announcedBytes, bufferedBytes } = this.#reader
    return DropReason.make(bufferedBytes > 0 || announcedBytes > 0 ? "ShortRead" : "RemoteClosed")
  }

  /**
   * Ends the session, once; later calls change nothing. Nothing more is received or accepted for sending; what the
   * direct lane holds still leaves, and the ERROR_MSG of the reason, if it has one, is the last of it.
   */
  drop(reason: DropReason.DropReason, now: Now): void {
    if (this.dropReason !== undefined) return
    this.dropReason = reason
    // Who is turned away after AUTH for want of a slot was never announced.
    const authenticated = this.#isAnnounced
    this.#handshake.state = "Closing"
    this.#isAuthenticated = false
    this.#backlog = false
    this.liveness.stop()
    this.queues.close()
    const code = DropReason.errorCode(reason)
    if (code !== undefined) this.#enqueue(ErrorMsg.make({ code, text: DropReason.text(reason) }), now.millis)
    this.events.push({ _tag: "Dropped", reason, authenticated })
  }
}
