/**
 * The one place where a socket meets a `Session`: three fibers that move bytes and time, and the order in which a peer
 * ends.
 *
 * ```
 * reader    pull -> session.receive          stops pulling while the session is throttled
 * writer    session.nextWrite -> write       one slab per turn, woken by `after`
 * deadline  sleep until session.nextDeadline -> session.tick
 * ```
 *
 * The end: the session drops (from any of them, or by a command), the writer flushes what is queued and the ERROR_MSG,
 * our direction is closed, and the reader goes on discarding input for a moment, because closing a socket with unread
 * input would reset the connection and could take our ERROR_MSG with it.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as DropReason from "../DropReason.ts"
import type { OverlayEvent } from "../OverlayEvents.ts"
import type { Now } from "../protocol/Primitives.ts"
import type { Session, SessionEvent } from "../protocol/Session.ts"
import type { Connection, TransportError } from "../Transport.ts"
import * as NodeId from "../wire/NodeId.ts"
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

/** What one connection's fibers share. */
export class PeerRuntime {
  readonly session: Session
  readonly connection: Connection
  readonly clock: Clock.Clock
  readonly publish: (event: OverlayEvent) => void
  /** Open while a batch of the lane is ready or the peer has ended. */
  readonly inbox = { urgent: new Gate(false), bulk: new Gate(false), any: new Gate(false) }
  /** Open while there may be something to write. */
  readonly outbox = new Gate(false)
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
  readonly dropped = Deferred.makeUnsafe<DropReason.DropReason>()
  /** Whether what was just read is being handled, by the consumer above all. */
  private delivering = false
  private whenOutput: Effect.Effect<void> | undefined

  constructor(
    session: Session,
    connection: Connection,
    clock: Clock.Clock,
    publish: (event: OverlayEvent) => void
  ) {
    this.session = session
    this.connection = connection
    this.clock = clock
    this.publish = publish
  }

  now(): Now {
    return readNow(this.clock)
  }

  /** Whatever went into the session: lets everybody know what came out. */
  after(): void {
    const { session } = this
    if (session.events.length > 0) this.publishAll(session.events.splice(0))
    const ended = session.dropReason !== undefined
    if (ended || session.isAuthenticated) this.settled.open()
    const urgent = ended || session.hasBatch("urgent")
    const bulk = ended || session.hasBatch("bulk")
    if (urgent) this.inbox.urgent.open()
    if (bulk) this.inbox.bulk.open()
    if (urgent || bulk) this.inbox.any.open()
    if (ended || session.canRead) this.readable.open()
    if (ended || !session.isCongested) this.relief.open()
    if (ended || (this.delivering ? session.hasDirectOutput : session.hasOutput)) this.outbox.open()
  }

  /**
   * As `after`, at the end of a read. The consumer runs inside it: credit leaves after each of its batches, so that the
   * remote sends on meanwhile, and whatever else it sends leaves at the end, as one write.
   */
  afterRead(): void {
    this.delivering = true
    try {
      this.after()
      if (this.session.hasOutput) this.outbox.open()
    } finally {
      this.delivering = false
    }
  }

  /** Received bytes were handled since `began`, when so many messages had been read. */
  turnEnded(began: Now, messagesRead: number): void {
    const { options: { timers }, stats } = this.session
    timers?.handling.turnEnded(this.now().millis - began.millis, stats.messagesRead - messagesRead)
  }

  /**
   * Waits until there is something to write and, after a read excepted, until this turn has queued all of it. The outbox
   * is closed by the step that found nothing to write: between two steps a fiber may have to yield, and what is queued
   * meanwhile must find it closed, to open it.
   */
  get untilOutput(): Effect.Effect<void> {
    this.outbox.close()
    return this.whenOutput ??= Effect.flatMap(
      this.outbox.await,
      () => this.delivering ? Effect.void : Effect.yieldNow
    )
  }

  private publishAll(events: ReadonlyArray<SessionEvent>): void {
    for (const event of events) {
      this.publish(toOverlayEvent(event, this.session))
      if (event._tag === "Dropped") Deferred.doneUnsafe(this.dropped, Effect.succeed(event.reason))
    }
  }

  drop(reason: DropReason.DropReason): void {
    this.session.drop(reason, this.now())
    this.after()
  }
}

/** Role, short id if known, and address: how a log names a peer. */
const describePeer = ({ options, remote }: Session): string =>
  `${options.role} ${remote === undefined ? "unknown" : NodeId.short(remote.id)} at ${options.remote}`

/** Lives as long as the connection does. Never fails; a defect in it ends the peer with a reason of its own. */
export const run = Effect.fnUntraced(function*(runtime: PeerRuntime): Effect.fn.Return<void> {
  const { connection, session } = runtime
  const { options } = session
  runtime.publish({ _tag: "PeerConnected", address: options.remote, role: options.role })
  yield* guard(
    runtime,
    Effect.sync(() => {
      session.connected(runtime.now())
      runtime.after()
    })
  )
  // Children end with this fiber.
  yield* Effect.forkChild(guard(runtime, read(runtime)), immediately)
  yield* Effect.forkChild(guard(runtime, write(runtime)), immediately)
  yield* Effect.forkChild(guard(runtime, watch(runtime)), immediately)
  const reason = yield* Deferred.await(runtime.dropped)
  yield* Effect.logDebug(`${describePeer(session)} dropped: ${DropReason.format(reason)}`)
  if (!runtime.flushed.isOpen) yield* Effect.timeoutOption(runtime.flushed.await, FLUSH_TIMEOUT_MILLIS)
  yield* connection.end
  // Only an ERROR_MSG is worth waiting for.
  if (DropReason.errorCode(reason) !== undefined && !runtime.inputEnded.isOpen) {
    yield* Effect.timeoutOption(runtime.inputEnded.await, LINGER_MILLIS)
  }
})

const immediately = { startImmediately: true }

const guard = (runtime: PeerRuntime, loop: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.catchCause(loop, (cause) => {
    if (Cause.hasInterruptsOnly(cause)) return Effect.void
    runtime.drop(DropReason.make("Defect", Cause.pretty(cause).split("\n")[0] ?? "unknown"))
    runtime.flushed.open()
    return Effect.logError("A defect ended a peer", cause)
  })

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
    while (true) {
      const slab = session.nextWrite(runtime.now())
      if (slab !== undefined) {
        yield* connection.write([slab])
        session.wrote(runtime.now())
        runtime.after()
        continue
      }
      if (session.dropReason !== undefined) break
      yield* runtime.untilOutput
    }
    runtime.flushed.open()
  },
  (loop, runtime) =>
    Effect.catch(loop, (error: TransportError) => {
      runtime.flushed.open()
      runtime.drop(DropReason.make("WriteError", error.detail))
      return Effect.void
    })
)

const watch = Effect.fnUntraced(function*(runtime: PeerRuntime): Effect.fn.Return<void> {
  const { session } = runtime
  while (session.dropReason === undefined) {
    const wait = session.nextDeadline - runtime.now().millis
    // Whole milliseconds: a rest smaller than the clock's unit would be slept for over and over.
    if (wait > 0) yield* Effect.sleep(Math.ceil(wait))
    else {
      session.tick(runtime.now())
      runtime.after()
    }
  }
})
