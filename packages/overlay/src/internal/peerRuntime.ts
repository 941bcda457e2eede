/**
 * The one place where a socket meets a `Session`: what moves bytes and time, and the order in which a peer ends.
 *
 * ```
 * reader    pull -> session.receive          a fiber; stops pulling while the session is throttled
 * writer    session.nextWrite -> write       a fiber for as long as there is something to write, one slab per turn
 * deadline  session.tick                     at session.nextDeadline, woken by the node's `Deadlines`
 * ```
 *
 * A connection at rest has one fiber, the reader: each that waits takes 1.5 to 2 KiB with what it will go on with.
 *
 * The end: the session drops (from any of them, or by a command), the writer flushes what is queued and the ERROR_MSG,
 * our direction is closed, and the reader goes on discarding input for a moment, because closing a socket with unread
 * input would reset the connection and could take our ERROR_MSG with it.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as DropReason from "../DropReason.ts"
import type { OverlayEvent } from "../OverlayEvents.ts"
import type { Batch, Lane } from "../protocol/Inbox.ts"
import type { Now } from "../protocol/Primitives.ts"
import type { Session, SessionEvent } from "../protocol/Session.ts"
import type { Connection, TransportError } from "../Transport.ts"
import * as NodeId from "../wire/NodeId.ts"
import { type Deadlines, NOWHERE, type Sleeper } from "./deadlines.ts"
import { type BatchHandler, Delivery } from "./delivery.ts"
import { Gate } from "./gate.ts"

/** How long a dropped peer may take what is still queued for it; core closes the socket 5 s after a drop. */
export const FLUSH_TIMEOUT_MILLIS = 5000

/** How long input is discarded after our direction is closed, when the remote does not close its own. */
export const LINGER_MILLIS = 500

/** The moment, for a machine that reads no clock. */
export const readNow = (clock: Clock.Clock): Now => ({
  millis: Number(clock.monotonicTimeNanosUnsafe()) / 1e6,
  unixSeconds: Math.floor(clock.currentTimeMillisUnsafe() / 1000)
})

const toOverlayEvent = (event: SessionEvent, session: Session): OverlayEvent => {
  const address = session.options.remote
  const id = session.remote?.id
  switch (event._tag) {
    case "Hello":
      return { _tag: "PeerHello", address, remote: event.remote }
    case "Authenticated":
      return { _tag: "PeerAuthenticated", address, remote: event.remote }
    case "ReadThrottled":
      return { _tag: "PeerReadThrottled", address, id }
    case "ReadResumed":
      return { _tag: "PeerReadResumed", address, id, millis: event.millis }
    case "Dropped": {
      const { authenticated, reason } = event
      return { _tag: "PeerDropped", address, role: session.options.role, id, authenticated, reason }
    }
  }
}

/** What a connection takes from where it was opened. */
export interface Surroundings {
  readonly clock: Clock.Clock
  /** What its fibers run in. */
  readonly context: Context.Context<never>
  readonly deadlines: Deadlines
  readonly publish: (event: OverlayEvent) => void
}

/** What moves one connection. */
export class PeerRuntime implements Sleeper {
  readonly session: Session
  readonly connection: Connection
  private readonly surroundings: Surroundings
  /** Open while a batch of the lane is ready or the peer has ended; those that somebody waited for. */
  private readonly arrivals: { [lane in Lane | "any"]?: Gate } = {}
  /** Open while the socket may be read. */
  readonly readable = new Gate(true)
  /** Open while senders need not wait. */
  readonly relief = new Gate(true)
  /** Open once the handshake is done or will never be. */
  readonly settled = new Gate(false)
  /** Open when nothing more will be written. */
  readonly flushed = new Gate(false)
  /** Open when nothing more can be read. */
  readonly inputEnded = new Gate(false)
  /** Open when the connection is no longer used. */
  private readonly over = new Gate(false)
  readonly dropped = Deferred.makeUnsafe<DropReason.DropReason>()
  private reader: Fiber.Fiber<void> | undefined
  private writer: Fiber.Fiber<void> | undefined
  private isWriting = false
  /** What a writer does: at once, or when this turn has queued all of it. */
  private writing: Effect.Effect<void> | undefined
  private writingLater: Effect.Effect<void> | undefined
  private delivery: Delivery | undefined
  /** Whether what was just read is being handled, by the consumer above all. */
  private delivering = false
  wakeAt = 0
  place = NOWHERE

  constructor(session: Session, connection: Connection, surroundings: Surroundings) {
    this.session = session
    this.connection = connection
    this.surroundings = surroundings
  }

  now(): Now {
    return readNow(this.surroundings.clock)
  }

  fork<A>(effect: Effect.Effect<A>): Fiber.Fiber<A> {
    return Effect.runForkWith(this.surroundings.context)(effect)
  }

  /** The TCP connection stands: says HELLO or waits for it. */
  start(): void {
    const { deadlines, publish } = this.surroundings
    const { remote: address, role } = this.session.options
    publish({ _tag: "PeerConnected", address, role })
    this.attempt(() => {
      this.session.connected(this.now())
      this.afterRead() // HELLO leaves at once: there is nothing it could leave with
    })
    deadlines.add(this)
    this.reader = this.fork(guard(this, read(this)))
  }

  /** Says goodbye if nobody has, and waits until the connection is no longer used. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.drop(DropReason.make("Shutdown"))
      return this.over.await
    })
  }

  get nextDeadline(): number {
    return this.session.nextDeadline
  }

  wake(): void {
    this.attempt(() => {
      this.session.tick(this.now())
      this.after()
    })
  }

  /** Waits until a batch of the lane, or of any, may be there. For the step that found none. */
  untilBatch(lane: Lane | "any"): Effect.Effect<void> {
    const arrival = this.arrivals[lane] ??= new Gate(false)
    arrival.close()
    return arrival.await
  }

  /** Hands batches to a function from now on. */
  deliver(
    settle: (batch: Batch, takenAt: number) => void,
    handle: BatchHandler,
    blame: (cause: Cause.Cause<never>) => Effect.Effect<void>
  ): Delivery {
    const { session } = this
    const millis = () => this.now().millis
    const delivery = new Delivery({ session, settle, millis, fork: (effect) => this.fork(effect) }, handle, blame)
    this.delivery = delivery
    delivery.pump()
    return delivery
  }

  /** Whatever went into the session: lets everybody know what came out. */
  after(): void {
    const { session } = this
    if (session.events.length > 0) this.publishAll(session.events.splice(0))
    const ended = session.dropReason !== undefined
    if (ended || session.isAuthenticated) this.settled.open()
    const urgent = ended || session.hasBatch("urgent")
    const bulk = ended || session.hasBatch("bulk")
    if (urgent) this.arrivals.urgent?.open()
    if (bulk) this.arrivals.bulk?.open()
    if (urgent || bulk) this.arrivals.any?.open()
    this.delivery?.pump()
    if (ended || session.canRead) this.readable.open()
    if (ended || !session.isCongested) this.relief.open()
    if (ended || (this.delivering ? session.hasDirectOutput : session.hasOutput)) this.startWriter()
  }

  /**
   * As `after`, at the end of a read. The consumer runs inside it: credit leaves after each of its batches, so that the
   * remote sends on meanwhile, and whatever else it sends leaves at the end, as one write.
   */
  afterRead(): void {
    this.delivering = true
    try {
      this.after()
      if (this.session.hasOutput) this.startWriter()
    } finally {
      this.delivering = false
    }
  }

  /** Received bytes were handled since `began`, when so many messages had been read. */
  turnEnded(began: Now, messagesRead: number): void {
    const { options: { timers }, stats } = this.session
    timers?.handling.turnEnded(this.now().millis - began.millis, stats.messagesRead - messagesRead)
  }

  /** Writes what there is, unless it is being written; after a read at once, else when this turn has queued all of it. */
  private startWriter(): void {
    if (this.isWriting || this.flushed.isOpen) return
    this.isWriting = true
    this.writing ??= guard(this, write(this))
    this.writingLater ??= Effect.andThen(Effect.yieldNow, this.writing)
    const writer = this.fork(this.delivering ? this.writing : this.writingLater)
    this.writer = this.isWriting ? writer : undefined
  }

  /** Nothing is left to write. In the step that found nothing: what is queued after it starts another writer. */
  wroteAll(): void {
    this.isWriting = false
    this.writer = undefined
    if (this.session.dropReason !== undefined) this.flushed.open()
  }

  private publishAll(events: ReadonlyArray<SessionEvent>): void {
    for (const event of events) {
      this.surroundings.publish(toOverlayEvent(event, this.session))
      if (event._tag !== "Dropped") continue
      this.surroundings.deadlines.remove(this)
      this.fork(Effect.ensuring(end(this, event.reason), Effect.sync(() => this.over.open())))
      Deferred.doneUnsafe(this.dropped, Effect.succeed(event.reason))
    }
  }

  drop(reason: DropReason.DropReason): void {
    this.session.drop(reason, this.now())
    this.after()
  }

  private attempt(step: () => void): void {
    try {
      step()
    } catch (defect) {
      this.fork(this.failed(Cause.die(defect)))
    }
  }

  /** A defect in what moves the connection ends it, with a reason of its own. */
  failed(cause: Cause.Cause<never>): Effect.Effect<void> {
    this.drop(DropReason.make("Defect", Cause.pretty(cause).split("\n")[0] ?? "unknown"))
    this.flushed.open()
    return Effect.logError("A defect ended a peer", cause)
  }

  /** Ends what still moves. */
  get halt(): Effect.Effect<void> {
    return Effect.suspend(() => Fiber.interruptAll([this.reader, this.writer].filter((fiber) => fiber !== undefined)))
  }
}

/** Role, short id if known, and address: how a log names a peer. */
const describePeer = ({ options, remote }: Session): string =>
  `${options.role} ${remote === undefined ? "unknown" : NodeId.short(remote.id)} at ${options.remote}`

/** What is left to do for a connection that was dropped. */
const end = Effect.fnUntraced(function*(runtime: PeerRuntime, reason: DropReason.DropReason): Effect.fn.Return<void> {
  const { connection, session } = runtime
  yield* Effect.logDebug(`${describePeer(session)} dropped: ${DropReason.format(reason)}`)
  if (!runtime.flushed.isOpen) yield* Effect.timeoutOption(runtime.flushed.await, FLUSH_TIMEOUT_MILLIS)
  yield* connection.end
  // Only an ERROR_MSG is worth waiting for.
  if (DropReason.errorCode(reason) !== undefined && !runtime.inputEnded.isOpen) {
    yield* Effect.timeoutOption(runtime.inputEnded.await, LINGER_MILLIS)
  }
  yield* runtime.halt
})

const guard = (runtime: PeerRuntime, loop: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.catchCause(loop, (cause) => Cause.hasInterruptsOnly(cause) ? Effect.void : runtime.failed(cause))

const read = Effect.fnUntraced(
  function*(runtime: PeerRuntime): Effect.fn.Return<void, TransportError> {
    const { connection, session } = runtime
    while (true) {
      if (session.dropReason === undefined) {
        if (!session.canRead) {
          runtime.readable.close()
          yield* runtime.readable.await
        }
        if (session.hasBacklog) {
          const now = runtime.now()
          const before = session.stats.messagesRead
          session.process(now)
          runtime.turnEnded(now, before)
          runtime.afterRead()
          if (session.hasBacklog) yield* Effect.yieldNow
          continue
        }
      }
      const chunks = yield* connection.pull
      if (session.dropReason !== undefined) continue
      const now = runtime.now()
      const before = session.stats.messagesRead
      for (const chunk of chunks) session.receive(chunk, now)
      runtime.turnEnded(now, before)
      runtime.afterRead()
    }
  },
  (loop, runtime) =>
    Effect.catch(loop, (error: TransportError) => {
      runtime.inputEnded.open()
      runtime.drop(runtime.session.readFailure(error.kind === "Eof", error.detail))
      return Effect.void
    })
)

const write = Effect.fnUntraced(
  function*(runtime: PeerRuntime): Effect.fn.Return<void, TransportError> {
    const { connection, session } = runtime
    for (let slab; (slab = session.nextWrite(runtime.now())) !== undefined;) {
      yield* connection.write([slab])
      session.wrote(runtime.now())
      runtime.after()
    }
    runtime.wroteAll()
  },
  (loop, runtime) =>
    Effect.catch(loop, (error: TransportError) => {
      runtime.flushed.open()
      runtime.drop(DropReason.make("WriteError", error.detail))
      return Effect.void
    })
)
