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
  /** Messages of the batch or turn that is being counted. */
  readonly #counts = new Float64Array(MESSAGE_TYPES)
  readonly #statements: Float64Array
  #counted = 0

  /** Histograms in seconds, by message type and by SCP statement code, and one for batches with transactions. */
  constructor(
    byType: ReadonlyArray<Histogram | undefined>,
    byStatement: ReadonlyArray<Histogram>,
    txBatch: Histogram
  ) {
    this.#byType = byType
    this.#byStatement = byStatement
    this.#txBatch = txBatch
    this.#statements = new Float64Array(byStatement.length)
  }

  /** A message that the session handled by itself in this turn. */
  own(message: StellarMessage): void {
    this.#count(message)
    this.#counted++
  }

  /** A turn of reading is over, in which so many messages were read: those counted by `own` get their share. */
  turnEnded(millis: number, messages: number): void {
    if (this.#counted === 0) return
    this.#counted = 0
    this.#record(millis / Math.max(1, messages))
  }

  /** A batch was handled, which took so long. */
  batch(messages: NonEmptyReadonlyArray<StellarMessage>, millis: number): void {
    for (const message of messages) this.#count(message)
    if (this.#counts[MessageType.Transaction]! > 0) this.#txBatch.observeMillis(millis)
    this.#record(millis / messages.length)
  }

  #count(message: StellarMessage): void {
    this.#counts[message.type]!++
    if (message._tag === "ScpMessage") this.#statements[message.statementCode]!++
  }

  #record(millis: number): void {
    const counts = this.#counts
    for (let type = 0; type < counts.length; type++) {
      const count = counts[type]!
      if (count === 0) continue
      this.#byType[type]?.observeMillis(millis, count)
      counts[type] = 0
    }
    const statements = this.#statements
    for (let code = 0; code < statements.length; code++) {
      const count = statements[code]!
      if (count === 0) continue
      this.#byStatement[code]!.observeMillis(millis, count)
      statements[code] = 0
    }
  }
}
