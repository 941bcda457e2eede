/**
 * Where the connections of a node record times: histograms they share, so that nothing is summed up when one is asked for
 * and nothing is lost when a connection ends.
 *
 * A session records only if it was given timers. Every time is one it has at hand; what needs a clock of its own (how long
 * messages were handled) is told by whoever reads clocks, once for a batch or for a turn of reading.
 *
 * Implements the timers of protocol.md section 13 (stellar-core: `OverlayMetrics.cpp`).
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import { MessageType } from "../wire/MessageType.ts"
import type { StellarMessage } from "../wire/StellarMessage.ts"
import type { Role } from "./Handshake.ts"
import type { Histogram } from "./Histogram.ts"
import type { Lane } from "./Inbox.ts"

/**
 * One more than the greatest message type: the length of arrays that are indexed by type.
 *
 * @category constants
 * @since 0.1.0
 */
export const MESSAGE_TYPES = MessageType.TimeSlicedSurveyStopCollecting + 1

/**
 * The timers of the way out.
 *
 * @category models
 * @since 0.1.0
 */
export interface OutboundTimers {
  /** By flood priority: SCP, transactions, demands, adverts. */
  readonly flood: readonly [scp: Histogram, transactions: Histogram, demands: Histogram, adverts: Histogram]
  readonly writeQueue: Histogram
  readonly asyncWrite: Histogram
}

/**
 * The timers of a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionTimers {
  readonly outbound: OutboundTimers
  readonly latency: Histogram
  readonly readThrottle: Histogram
  readonly floodThrottle: Histogram
  readonly handshake: { readonly [role in Role]: Histogram }
  readonly inboxWait: { readonly [lane in Lane]: Histogram }
  readonly handling: HandlingTimers
}

/** Messages of a batch or of a turn, by type and by SCP statement. */
class Tally {
  readonly types = new Float64Array(MESSAGE_TYPES)
  readonly statements: Float64Array
  total = 0

  constructor(statements: number) {
    this.statements = new Float64Array(statements)
  }

  add(message: StellarMessage): void {
    this.total++
    this.types[message.type]!++
    if (message._tag === "ScpMessage") this.statements[message.statementCode]!++
  }
}

/**
 * How long received messages were handled, by type: each gets its share of the time of the batch or the turn it was in.
 *
 * @category models
 * @since 0.1.0
 */
export class HandlingTimers {
  readonly #byType: ReadonlyArray<Histogram | undefined>
  readonly #byStatement: ReadonlyArray<Histogram>
  readonly #txBatch: Histogram
  /** Of the turn that is under way; a batch of another connection may end within it. */
  readonly #turn: Tally
  readonly #batch: Tally

  /** Histograms in seconds, by message type and by SCP statement code, and one for batches with transactions. */
  constructor(
    byType: ReadonlyArray<Histogram | undefined>,
    byStatement: ReadonlyArray<Histogram>,
    txBatch: Histogram
  ) {
    this.#byType = byType
    this.#byStatement = byStatement
    this.#txBatch = txBatch
    this.#turn = new Tally(byStatement.length)
    this.#batch = new Tally(byStatement.length)
  }

  /** A message that the session handled by itself in this turn. */
  own(message: StellarMessage): void {
    this.#turn.add(message)
  }

  /** A turn of reading is over, in which so many messages were read: those counted by `own` get their share. */
  turnEnded(millis: number, messages: number): void {
    if (this.#turn.total > 0) this.#record(this.#turn, millis / Math.max(1, messages))
  }

  /** A batch was handled, which took so long. */
  batch(messages: NonEmptyReadonlyArray<StellarMessage>, millis: number): void {
    // Most batches of a quiet network hold one message, for which thirty counters need not be looked at.
    if (messages.length === 1 && messages[0].type !== MessageType.Transaction) return this.#observe(messages[0], millis)
    const tally = this.#batch
    for (const message of messages) tally.add(message)
    if (tally.types[MessageType.Transaction]! > 0) this.#txBatch.observeMillis(millis)
    this.#record(tally, millis / messages.length)
  }

  #observe(message: StellarMessage, millis: number): void {
    this.#byType[message.type]?.observeMillis(millis)
    if (message._tag === "ScpMessage") this.#byStatement[message.statementCode]?.observeMillis(millis)
  }

  #record(tally: Tally, millis: number): void {
    observe(tally.types, this.#byType, millis)
    observe(tally.statements, this.#byStatement, millis)
    tally.total = 0
  }
}

const observe = (counts: Float64Array, histograms: ReadonlyArray<Histogram | undefined>, millis: number): void => {
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i]!
    if (count === 0) continue
    histograms[i]?.observeMillis(millis, count)
    counts[i] = 0
  }
}
