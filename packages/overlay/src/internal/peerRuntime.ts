/**
 * The one place where a socket meets a `Session`: what moves bytes and time, and the order in which a peer ends.
 *
 * ```
 * read      poll -> session.receive          when bytes have come; not while the session is throttled
 * write     session.nextWrite -> offer       a slab after the other, in the node's next turn or at the end of a read
 * wake      session.tick                     at session.nextDeadline, called by the node's `Deadlines`
 * ```
 *
 * None of them is a fiber: the transport calls when there is something to read, and a fiber waits only for a network that
 * takes no more. (A fiber that waits takes 1.5 to 2 KiB with what it will go on with, and waking it was a quarter of what
 * a message cost in a large simulation.)
 *
 * The end: the session drops (from any of them, or by a command), the writer flushes what is queued and the ERROR_MSG,
 * our direction is closed, and input goes on being read and discarded for a moment, because closing a socket with unread
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
import { type Connection, isPollable, TransportError } from "../Transport.ts"
import * as NodeId from "../wire/NodeId.ts"
import { type Deadlines, NOWHERE, type Sleeper } from "./deadlines.ts"
import { type BatchHandler, Delivery } from "./delivery.ts"
import { Gate } from "./gate.ts"
import { Pulling, type Socket } from "./polling.ts"
import type { Turns, Writer } from "./turns.ts"

/** How long a dropped peer may take what is still queued for it; core closes the socket 5 s after a drop. */
export const FLUSH_TIMEOUT_MILLIS = 5000

/** How long input is discarded after our direction is closed, when the remote does not close its own. */
export const LINGER_MILLIS = 500

/** Reads in one turn; a remote whose bytes never run out does not keep others waiting. */
const MAX_READS_PER_TURN = 16

/** Monotonic milliseconds. */
export const readMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

/** The moment, for a machine that reads no clock. */
export const readNow = (clock: Clock.Clock): Now => ({
  millis: readMillis(clock),
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
  readonly turns: Turns
  readonly publish: (event: OverlayEvent) => void
}

/** What moves one connection. */
export class PeerRuntime implements Sleeper, Writer {
  readonly session: Session
  readonly connection: Connection
  private readonly socket: Socket
  private readonly surroundings: Surroundings
  /** Open while a batch of the lane is ready or the peer has ended; those that somebody waited for. */
  private arrivals: { [lane in Lane | "any"]?: Gate } | undefined
  /** Open while senders need not wait; once somebody had to. */
  private relief: Gate | undefined
  /** Open once the handshake is done or will never be. */
  readonly settled = new Gate(false)
  /** Open when nothing more will be written. */
  readonly flushed = new Gate(false)
  /** Open when nothing more can be read. */
  readonly inputEnded = new Gate(false)
  /** Open when the connection is no longer used. */
  private readonly over = new Gate(false)
  readonly dropped = Deferred.makeUnsafe<DropReason.DropReason>()
  private isReading = false
  /** Whether reading goes on when there is capacity again. */
  private isThrottled = false
  /** Whether what there is to write is being written, or soon will be. */
  private isWriting = false
  /** Waits for the network. */
  private writer: Fiber.Fiber<void> | undefined
  /** Nothing is read or written any more. */
  private isHalted = false
  private delivery: Delivery | undefined
  /** Whether what was just read is being handled, by the consumer above all. */
  private delivering = false
  wakeAt = 0
  place = NOWHERE

  constructor(session: Session, connection: Connection, surroundings: Surroundings) {
    this.session = session
    this.connection = connection
    this.surroundings = surroundings
    this.socket = isPollable(connection)
      ? connection
      : new Pulling(connection, Effect.runForkWith(surroundings.context))
  }

  now(): Now {
    return readNow(this.surroundings.clock)
  }

  millis(): number {
    return readMillis(this.surroundings.clock)
  }

  fork<A>(effect: Effect.Effect<A>): Fiber.Fiber<A> {
    return Effect.runForkWith(this.surroundings.context)(effect)
  }

  /** The TCP connection stands: says HELLO or waits for it. */
  start(): void {
    const { deadlines, publish } = this.surroundings
    const { remote: address, role } = this.session.options
    publish({ _tag: "PeerConnected", address, role })
    try {
      this.session.connected(this.now())
      this.afterRead() // HELLO leaves at once: there is nothing it could leave with
    } catch (defect) {
      this.defect(defect)
    }
    deadlines.add(this)
    this.read()
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
    try {
      this.session.tick(this.now())
      this.after()
    } catch (defect) {
      this.defect(defect)
    }
  }

  /** Waits until a batch of the lane, or of any, may be there. For the step that found none. */
  untilBatch(lane: Lane | "any"): Effect.Effect<void> {
    const arrival = (this.arrivals ??= {})[lane] ??= new Gate(false)
    arrival.close()
    return arrival.await
  }

  /** Waits until senders need not wait. For the step that found that they do. */
  get untilRelieved(): Effect.Effect<void> {
    const relief = this.relief ??= new Gate(false)
    relief.close()
    return relief.await
  }

  /** Hands batches to a function from now on. */
  deliver(handle: BatchHandler, blame: (cause: Cause.Cause<never>) => Effect.Effect<void>): Delivery {
    const delivery = new Delivery(this, handle, blame)
    this.delivery = delivery
    delivery.pump()
    return delivery
  }

  /** A batch that was taken then was handled. Gives the time. */
  settle(batch: Batch, takenAt: number): number {
    const { session } = this
    const now = this.now()
    session.options.timers?.handling.batch(batch.messages, now.millis - takenAt)
    session.settle(batch, now)
    this.after()
    return now.millis
  }

  /** Whatever went into the session: lets everybody know what came out. */
  after(): void {
    const { session } = this
    if (session.events.length > 0) this.publishAll(session.events.splice(0))
    const ended = session.dropReason !== undefined
    if (this.arrivals !== undefined) this.announce(this.arrivals, ended)
    this.delivery?.pump()
    if (this.relief?.isOpen === false && (ended || !session.isCongested)) this.relief.open()
    if (ended || (this.delivering ? session.hasDirectOutput : session.hasOutput)) this.startWriting()
    if (this.isThrottled && (ended || session.canRead)) {
      this.isThrottled = false
      this.read()
    }
  }

  private announce({ any, bulk, urgent }: NonNullable<PeerRuntime["arrivals"]>, ended: boolean): void {
    const hasUrgent = ended || this.session.hasBatch("urgent")
    const hasBulk = ended || this.session.hasBatch("bulk")
    if (hasUrgent) urgent?.open()
    if (hasBulk) bulk?.open()
    if (hasUrgent || hasBulk) any?.open()
  }

  /**
   * As `after`, at the end of a read. The consumer runs inside it: credit leaves after each of its batches, so that the
   * remote sends on meanwhile, and whatever else it sends leaves at the end, as one write.
   */
  private afterRead(): void {
    this.delivering = true
    try {
      this.after()
      if (this.session.hasOutput) this.startWriting()
    } finally {
      this.delivering = false
    }
  }

  /** Reads what has come until there is nothing more, no capacity, or the turn is over. */
  private readonly read = (): void => {
    if (this.isReading || this.isHalted) return
    this.isReading = true
    try {
      let reads = MAX_READS_PER_TURN
      while (reads > 0 && this.readOnce()) reads--
      if (reads === 0) this.surroundings.turns.schedule(this.read)
    } catch (defect) {
      this.defect(defect)
    } finally {
      this.isReading = false
    }
  }

  /** Whether there may be more to read. */
  private readOnce(): boolean {
    const { session } = this
    const isOpen = session.dropReason === undefined
    if (isOpen && !session.canRead) {
      this.isThrottled = true
      return false
    }
    if (isOpen && session.hasBacklog) {
      this.receive()
      if (session.hasBacklog) this.surroundings.turns.schedule(this.read)
      return !session.hasBacklog
    }
    if (!isOpen && this.inputEnded.isOpen) return false // the end of input ends the session
    const input = this.socket.poll(this.read)
    if (input instanceof TransportError) {
      this.inputEnded.open()
      this.drop(session.readFailure(input.kind === "Eof", input.detail))
      return false
    }
    if (isOpen && input !== undefined) this.receive(input)
    return input !== undefined
  }

  /** Has the session handle bytes, or what earlier ones left, and tells how long that took. */
  private receive(chunks?: ReadonlyArray<Uint8Array>): void {
    const { options: { timers }, stats } = this.session
    const before = stats.messagesRead
    const now = this.now()
    if (chunks === undefined) this.session.process(now)
    else this.session.receiveAll(chunks, now)
    timers?.handling.turnEnded(this.millis() - now.millis, stats.messagesRead - before)
    this.afterRead()
  }

  /** Writes what there is, unless it is being written; after a read at once, else when this turn has queued all of it. */
  private startWriting(): void {
    if (this.isWriting || (this.session.dropReason !== undefined && this.flushed.isOpen)) return
    this.isWriting = true
    if (this.delivering) this.write()
    else this.surroundings.turns.write(this)
  }

  /** Writes until nothing is left, or the network takes no more. */
  write(): void {
    if (this.isHalted) return
    const { session } = this
    try {
      const now = this.now()
      for (let slab; (slab = session.nextWrite(now)) !== undefined;) {
        const busy = this.socket.offer([slab])
        if (busy !== undefined) return this.writeAfter(busy)
        this.wrote(now)
      }
      this.isWriting = false
      if (session.dropReason !== undefined) this.flushed.open()
    } catch (defect) {
      this.defect(defect)
    }
  }

  private wrote(now: Now): void {
    this.session.wrote(now)
    this.after()
  }

  private writeAfter(busy: Effect.Effect<void, TransportError>): void {
    const writer = this.fork(guard(
      this,
      Effect.matchEffect(busy, {
        onSuccess: () =>
          Effect.sync(() => {
            this.wrote(this.now())
            this.write()
          }),
        onFailure: ({ detail }) =>
          Effect.sync(() => {
            this.flushed.open()
            this.drop(DropReason.make("WriteError", detail))
          })
      })
    ))
    // It may be over already, and another one, which it began, may wait by now.
    if (writer.pollUnsafe() === undefined) this.writer = writer
  }

  private publishAll(events: ReadonlyArray<SessionEvent>): void {
    for (const event of events) {
      this.surroundings.publish(toOverlayEvent(event, this.session))
      if (event._tag === "Authenticated" || event._tag === "Dropped") this.settled.open()
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

  private defect(defect: unknown): void {
    this.fork(this.failed(Cause.die(defect)))
  }

  /** A defect in what moves the connection ends it, with a reason of its own. */
  failed(cause: Cause.Cause<never>): Effect.Effect<void> {
    this.drop(DropReason.make("Defect", Cause.pretty(cause).split("\n")[0] ?? "unknown"))
    this.flushed.open()
    return Effect.logError("A defect ended a peer", cause)
  }

  /** Ends what still moves. */
  get halt(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.isHalted = true
      const reading = this.socket instanceof Pulling ? this.socket.stop : Effect.void
      return this.writer === undefined ? reading : Effect.andThen(reading, Fiber.interrupt(this.writer))
    })
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
