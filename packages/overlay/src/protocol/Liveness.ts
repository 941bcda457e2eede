/**
 * What ends a connection by time, and the ping that keeps it alive and measures it.
 *
 * Every 5 s (stellar-core's recurrent timer) the first of these that holds ends the connection: nothing read and nothing
 * written for 30 s; no credit from the peer for 60 s though it is wanted; the last message handed to the socket was
 * enqueued 120 s ago. If none holds and no ping is outstanding, a ping is due: GET_SCP_QUORUMSET for a hash nobody can
 * know, which a node answers with DONT_HAVE.
 *
 * Where only this side is affected, four rules differ from stellar-core unless `strictCoreTimers` is set:
 *
 * - the handshake has one deadline, exact to the millisecond, which no trickle of bytes extends; core looks every 5 s
 *   whether the last byte is 2 s old
 * - a ping that was not answered for the idle timeout is given up and sent anew. Core, which sheds such requests itself
 *   when it is loaded, waits forever, stops measuring, and then takes 120 s without traffic of its own for a straggler.
 *   It is not sent anew earlier: every ping is a write here and a read there, and one repeated within the idle timeout
 *   would keep a connection of which one direction is blocked from ending by it
 * - lack of credit counts from the first attempt that failed. Core counts from the last, so that under constant
 *   traffic a peer which grants nothing stays. An honest peer that processes anything grants long before
 * - while this side does not read (`pauseReading`), silence and lack of credit are not held against the peer, whose
 *   bytes may lie unread in the socket
 *
 * Inputs are what happened and when; `nextDeadline` says when to call `tick` next. Times are milliseconds of a monotonic
 * clock. Nothing here allocates except a reason to drop and a ping.
 *
 * Implements protocol.md 4.8, 8.1, 8.2, 8.3 (stellar-core: `Peer::recurrentTimerExpired`, `pingPeer`,
 * `maybeProcessPingResponse`).
 *
 * @since 0.1.0
 */
import * as DropReason from "../DropReason.ts"
import { equals } from "../internal/bytes.ts"
import { BodyRate } from "./BodyRate.ts"
import type { FlowControl } from "./FlowControl.ts"

/**
 * The latency before the first answered ping: 24 hours, in milliseconds.
 *
 * @category constants
 * @since 0.1.0
 */
export const INITIAL_LATENCY_MILLIS = 86_400_000

/**
 * The hash a ping asks for: the first 8 of the given bytes, which must be unguessable, and 24 zeros.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pingHash = (unguessable: Uint8Array): Uint8Array => {
  const hash = new Uint8Array(32)
  hash.set(unguessable.subarray(0, 8))
  return hash
}

/**
 * The time limits, in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface LivenessOptions {
  /** PEER_AUTHENTICATION_TIMEOUT: for the whole handshake, from creation. */
  readonly handshakeTimeoutMillis: number
  /** PEER_TIMEOUT. */
  readonly idleTimeoutMillis: number
  /** PEER_STRAGGLER_TIMEOUT. */
  readonly stragglerTimeoutMillis: number
  /** How long the peer may owe credit. */
  readonly noCapacityTimeoutMillis: number
  /** RECURRENT_TIMER_PERIOD. */
  readonly recurrentPeriodMillis: number
  /** The slowest an announced message may arrive; 0 turns the rule off. */
  readonly minimumBodyBytesPerSecond: number
  /** Core's own timer rules; see the module's page. */
  readonly strictCoreTimers: boolean
}

/**
 * The default limits: stellar-core's, with the stricter rules of the module's page and a body rate of 8 KiB/s.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: LivenessOptions = {
  handshakeTimeoutMillis: 2000,
  idleTimeoutMillis: 30_000,
  stragglerTimeoutMillis: 120_000,
  noCapacityTimeoutMillis: 60_000,
  recurrentPeriodMillis: 5000,
  minimumBodyBytesPerSecond: 8192,
  strictCoreTimers: false
}

/**
 * The deadlines and the ping of one connection. See the module's page for the rules.
 *
 * @category models
 * @since 0.1.0
 */
export class Liveness {
  readonly #options: LivenessOptions
  readonly #createdAt: number
  #authenticated = false
  #stopped = false
  #nextCheck: number
  #lastRead: number
  #lastWrite: number
  #enqueuedAt: number
  #readingPaused = false
  /** When reading last began again. */
  #readingSince: number

  #ping: Uint8Array | undefined
  #pingSentAt = 0
  #pingDue = false

  /** Round trip of the last answered ping, in milliseconds. */
  latencyMillis = INITIAL_LATENCY_MILLIS
  /** The rate of the message that is arriving; feed it from the frame parser. */
  readonly body: BodyRate

  /** Starts all clocks: for an outgoing connection before TCP connects. */
  constructor(options: LivenessOptions, now: number) {
    this.#options = options
    this.#createdAt = now
    this.#lastRead = now
    this.#lastWrite = now
    this.#enqueuedAt = now
    this.#readingSince = now
    this.#nextCheck = now + options.recurrentPeriodMillis
    this.body = new BodyRate(options.strictCoreTimers ? 0 : options.minimumBodyBytesPerSecond)
  }

  /** This side stops reading, for want of total capacity. */
  pauseReading(now: number): void {
    this.#readingPaused = !this.#options.strictCoreTimers
    this.body.pause(now)
  }

  /** This side reads again. */
  resumeReading(now: number): void {
    if (this.#readingPaused) this.#readingSince = now
    this.#readingPaused = false
    this.body.resume(now)
  }

  /** Bytes were read. */
  read(now: number): void {
    this.#lastRead = now
  }

  /**
   * Messages were handed to the socket, the last of which was enqueued at `enqueuedAt` (`OutboundBatch.enqueuedAt`): the
   * straggler clock.
   */
  handedToSocket(enqueuedAt: number): void {
    this.#enqueuedAt = enqueuedAt
  }

  /** A write was completed. */
  wrote(now: number): void {
    this.#lastWrite = now
  }

  /** The handshake is complete. The first ping is due with the next check. */
  authenticated(): void {
    this.#authenticated = true
  }

  /** The connection is ending: nothing is due any more. */
  stop(): void {
    this.#stopped = true
  }

  /** The earliest time at which `tick` may have something to say, Infinity after `stop`. */
  get nextDeadline(): number {
    if (this.#stopped) return Number.POSITIVE_INFINITY
    return Math.min(this.#nextCheck, this.#handshakeDeadline, this.body.deadline)
  }

  get #handshakeDeadline(): number {
    return this.#authenticated || this.#options.strictCoreTimers
      ? Number.POSITIVE_INFINITY
      : this.#createdAt + this.#options.handshakeTimeoutMillis
  }

  /**
   * The reason to drop the peer now, after which nothing is due any more; or undefined, and then `pingDue` may be true.
   * `flow` tells since when the peer owes credit.
   */
  tick(now: number, flow: Pick<FlowControl, "starvedSince" | "lastStarvedAt">): DropReason.DropReason | undefined {
    if (now < this.nextDeadline) return undefined
    const reason = this.#overdue(now, flow)
    if (reason !== undefined) {
      this.#stopped = true
      return reason
    }
    if (now < this.#nextCheck) return undefined
    // On the grid of the period, or, when called late by more than that, from now on.
    const period = this.#options.recurrentPeriodMillis
    this.#nextCheck = this.#nextCheck + period > now ? this.#nextCheck + period : now + period
    this.#pingDue = this.#wantsPing(now)
    return undefined
  }

  #overdue(
    now: number,
    flow: Pick<FlowControl, "starvedSince" | "lastStarvedAt">
  ): DropReason.DropReason | undefined {
    const options = this.#options
    if (now >= this.#handshakeDeadline) {
      return DropReason.make("HandshakeTimeout", options.handshakeTimeoutMillis)
    }
    if (now >= this.body.deadline) return DropReason.make("SlowBody", options.minimumBodyBytesPerSecond)
    if (now < this.#nextCheck) return undefined
    if (!this.#readingPaused) {
      const since = this.#readingSince
      const idle = this.#authenticated ? options.idleTimeoutMillis : options.handshakeTimeoutMillis
      if (now - Math.max(this.#lastRead, since) >= idle && now - this.#lastWrite >= idle) {
        return DropReason.make("IdleTimeout", idle)
      }
      const starved = options.strictCoreTimers ? flow.lastStarvedAt : flow.starvedSince
      if (starved !== undefined && now - Math.max(starved, since) >= options.noCapacityTimeoutMillis) {
        return DropReason.make("NoCapacityTimeout", options.noCapacityTimeoutMillis)
      }
    }
    if (now - this.#enqueuedAt >= options.stragglerTimeoutMillis) {
      return DropReason.make("Straggling", options.stragglerTimeoutMillis)
    }
    return undefined
  }

  #wantsPing(now: number): boolean {
    if (!this.#authenticated) return false
    if (this.#ping === undefined) return true
    return !this.#options.strictCoreTimers && now - this.#pingSentAt >= this.#options.idleTimeoutMillis
  }

  /** Whether a ping is to be sent: GET_SCP_QUORUMSET for a `pingHash`, followed by `pingSent`. */
  get pingDue(): boolean {
    return this.#pingDue && !this.#stopped
  }

  /** A ping for this hash was sent. It takes the place of one that is outstanding, whose answer will not count. */
  pingSent(hash: Uint8Array, now: number): void {
    this.#ping = hash
    this.#pingSentAt = now
    this.#pingDue = false
  }

  /** Whether a ping waits for its answer. */
  get isPinging(): boolean {
    return this.#ping !== undefined
  }

  /**
   * Takes in the hash of a DONT_HAVE, or of a received SCP_QUORUMSET. True when it answers the ping: then
   * `latencyMillis` is new, and the answer concerns nobody else.
   */
  pong(hash: Uint8Array, now: number): boolean {
    if (this.#ping === undefined || !equals(this.#ping, hash)) return false
    this.#ping = undefined
    this.latencyMillis = now - this.#pingSentAt
    return true
  }
}
