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
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as DropReason from "../DropReason.ts"
import type { OverlayEvent } from "../OverlayEvents.ts"
import type { Now } from "../protocol/Primitives.ts"
import type { Session, SessionEvent } from "../protocol/Session.ts"
import type { Connection, TransportError } from "../Transport.ts"

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
  readonly inbox = { urgent: Latch.makeUnsafe(false), bulk: Latch.makeUnsafe(false), any: Latch.makeUnsafe(false) }
  /** Open while there may be something to write. */
  readonly outbox = Latch.makeUnsafe(false)
  /** Open while the socket may be read. */
  readonly readable = Latch.makeUnsafe(true)
  /** Open while senders need not wait. */
  readonly relief = Latch.makeUnsafe(true)
  /** Open once the handshake is done or will never be. */
  readonly settled = Latch.makeUnsafe(false)
  readonly dropped = Deferred.makeUnsafe<DropReason.DropReason>()
  private readonly flushed = Latch.makeUnsafe(false)
  private readonly inputEnded = Latch.makeUnsafe(false)

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
    for (const event of session.events.splice(0)) {
      this.publish(toOverlayEvent(event, session))
      if (event._tag === "Dropped") Deferred.doneUnsafe(this.dropped, Effect.succeed(event.reason))
    }
    const ended = session.dropReason !== undefined
    if (ended || session.isAuthenticated) this.settled.openUnsafe()
    const urgent = ended || session.hasBatch("urgent")
    const bulk = ended || session.hasBatch("bulk")
    if (urgent) this.inbox.urgent.openUnsafe()
    if (bulk) this.inbox.bulk.openUnsafe()
    if (urgent || bulk) this.inbox.any.openUnsafe()
    if (ended || session.canRead) this.readable.openUnsafe()
    if (ended || !session.isCongested) this.relief.openUnsafe()
    this.outbox.openUnsafe()
  }

  drop(reason: DropReason.DropReason): void {
    this.session.drop(reason, this.now())
    this.after()
  }

  /** Lives as long as the connection does. Never fails; a defect in it ends the peer with a reason of its own. */
  readonly run: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() => {
    const { options } = this.session
    this.publish({ _tag: "PeerConnected", address: options.remote, role: options.role })
    this.session.connected(this.now())
    this.after()
    return Effect.gen({ self: this }, function*() {
      yield* Effect.forkScoped(this.guard(this.read))
      yield* Effect.forkScoped(this.guard(this.write))
      yield* Effect.forkScoped(this.guard(this.watch))
      const reason = yield* Deferred.await(this.dropped)
      yield* Effect.timeoutOption(this.flushed.await, FLUSH_TIMEOUT_MILLIS)
      yield* this.connection.end
      // Only an ERROR_MSG is worth waiting for.
      if (DropReason.errorCode(reason) !== undefined) {
        yield* Effect.timeoutOption(this.inputEnded.await, LINGER_MILLIS)
      }
    })
  })

  private guard(loop: Effect.Effect<void, TransportError>): Effect.Effect<void> {
    return Effect.catchCause(loop, (cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.void
      this.drop(DropReason.make("Defect", Cause.pretty(cause).split("\n")[0] ?? "unknown"))
      this.flushed.openUnsafe()
      return Effect.logError("A defect ended a peer", cause)
    })
  }

  private readonly read: Effect.Effect<void, TransportError> = Effect.gen({ self: this }, function*() {
    const { connection, session } = this
    while (true) {
      if (session.dropReason === undefined) {
        if (!session.canRead) {
          this.readable.closeUnsafe()
          yield* this.readable.await
        }
        if (session.hasBacklog) {
          session.process(this.now())
          this.after()
          if (session.hasBacklog) yield* Effect.yieldNow
          continue
        }
      }
      const chunks = yield* connection.pull
      if (session.dropReason !== undefined) continue
      const now = this.now()
      for (const chunk of chunks) session.receive(chunk, now)
      this.after()
    }
  }).pipe(
    Effect.catch((error: TransportError) => {
      this.inputEnded.openUnsafe()
      this.drop(this.session.readFailure(error.kind === "Eof", error.detail))
      return Effect.void
    })
  )

  private readonly write: Effect.Effect<void, TransportError> = Effect.gen({ self: this }, function*() {
    const { connection, session } = this
    while (true) {
      const slab = session.nextWrite(this.now())
      if (slab !== undefined) {
        yield* connection.write([slab])
        session.wrote(this.now())
        this.after()
        continue
      }
      if (session.dropReason !== undefined) break
      this.outbox.closeUnsafe()
      yield* this.outbox.await
    }
    this.flushed.openUnsafe()
  }).pipe(
    Effect.catch((error: TransportError) => {
      this.flushed.openUnsafe()
      this.drop(DropReason.make("WriteError", error.detail))
      return Effect.void
    })
  )

  private readonly watch: Effect.Effect<void> = Effect.gen({ self: this }, function*() {
    const { session } = this
    while (session.dropReason === undefined) {
      const wait = session.nextDeadline - this.now().millis
      // Whole milliseconds: a rest smaller than the clock's unit would be slept for over and over.
      if (wait > 0) yield* Effect.sleep(Math.ceil(wait))
      else {
        session.tick(this.now())
        this.after()
      }
    }
  })
}
