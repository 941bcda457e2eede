import type { TransportError } from "@stellar-overlay/overlay/Transport"
import * as Effect from "effect/Effect"
import type { TimerClock } from "./after.ts"
import { type Owner, ParkedReader, type Readable } from "./parkedReader.ts"
import { brokenPipe, type Busy, type Bytes, closedHere, type Duct, ended, type Input, reset } from "./pipe.ts"
import type { Lane, Limit } from "./simLane.ts"
import { type Draws, FrameTransit } from "./simTransit.ts"
import { parkIn, Waiters, wakeAll } from "./waiters.ts"

/** Bytes under way, and the millisecond at which they arrive; `alone` where a pull may not give more than them. */
interface Segment {
  readonly bytes: Uint8Array
  readonly at: number
  readonly alone: boolean
}

/** A line of limited speed passes bytes on in so many parts at most, none below `MIN_PART`. */
const MAX_PARTS = 16
const MIN_PART = 1460

/** A slow reader takes what it may within so long. */
const READ_SLICE_MILLIS = 100

/** What pipes of one network share. */
export interface SimPipeContext {
  /** The network's own time, whatever clocks nodes have. */
  readonly clock: TimerClock
  readonly draws: Draws
  readonly capacity: number
  readonly readLimit: number
}

export interface SimPipeOptions extends SimPipeContext {
  readonly lane: Lane
  readonly onWrite: (chunk: Uint8Array, arrival: number) => void
  /** Bytes met a side that reads no more. */
  readonly onUnread: () => void
  /** An RST in a frame has been read up to. */
  readonly onCut: () => void
}

/**
 * One direction of a connection in a network that can fail: what `Pipe` is to a plain loopback.
 *
 * Bytes are given their arrival when they are written; what holds a lane shut is looked at when they are read. Whoever
 * shut it, bytes that had come before can still be read.
 */
export class SimPipe implements Duct, Readable {
  private readonly options: SimPipeOptions
  private readonly transit: FrameTransit
  private segments: Array<Segment> = []
  private size = 0
  private corked = false
  private readerBroken = false
  private writerBroken = false
  private readerClosed = false
  private writerClosed = false
  /** Nothing that is written arrives any more, and nobody is told. */
  private lost = false
  private endsAt: number | undefined
  /** An RST comes after the bytes that are under way. */
  private cutOff = false
  /** The network ended this direction, not the writing side. */
  private finned = false
  /** While shut: bytes, and whether the end, that had come before. */
  private passable: { bytes: number; end: boolean } | undefined
  private lineFree = 0
  private lastArrival = 0
  private readFree = 0
  private readonly reader: ParkedReader
  private readonly writers = new Waiters()

  constructor(options: SimPipeOptions) {
    this.options = options
    this.transit = new FrameTransit(options.draws)
    this.reader = new ParkedReader(this)
    this.laneChanged()
  }

  get buffered(): number {
    return this.size
  }

  now(): number {
    return Number(this.options.clock.monotonicTimeNanosUnsafe()) / 1e6
  }

  /** Timers of the way run by the network's clock, and whoever they wake is scheduled as its owner's turns are. */
  after(_: Owner, millis: number, fire: () => void): () => void {
    return this.options.clock.afterUnsafe(millis, fire)
  }

  private resumeAfter({ dispatcher }: Owner, millis: number, fire: () => void): () => void {
    return this.options.clock.afterUnsafe(millis, () => dispatcher.scheduleTask(fire, 0))
  }

  private get isShut(): boolean {
    return this.options.lane.shut.length > 0
  }

  private fireShut(): void {
    for (const fault of this.options.lane.shut) fault.fire(this.options.lane.where)
  }

  /** The lane has been refreshed. */
  laneChanged(): void {
    const { lane } = this.options
    if (this.isShut) {
      if (this.passable === undefined) {
        const now = this.now()
        let bytes = 0
        for (const segment of this.segments) if (segment.at <= now) bytes += segment.bytes.length
        this.passable = { bytes, end: this.endsAt !== undefined && this.endsAt <= now }
        if (this.segments.some(({ at }) => at > now) || (this.endsAt ?? now) > now) this.fireShut()
      }
    } else if (this.passable !== undefined) {
      this.passable = undefined
      if (this.readerClosed && this.size > 0 && !this.lost) this.options.onUnread()
    }
    // Only a fault about frames holds any back.
    if (lane.strikes.length === 0 && !this.transit.isIdle) this.enqueue(this.transit.flush(), this.now())
    this.reader.attend()
    wakeAll(this.writers)
  }

  poll(ready: () => void, owner: Owner): Input {
    if (this.readerClosed) return closedHere()
    if (this.readerBroken) return reset()
    const now = this.now()
    const bytes = this.corked || this.readFree > now ? undefined : this.take(now)
    if (bytes !== undefined) return bytes
    if (this.readableAt() > now) {
      this.reader.park(ready, owner)
      return undefined
    }
    if (!this.cutOff) return ended()
    this.options.onCut()
    return reset()
  }

  forget(): void {
    this.reader.leave()
  }

  /** When a poll has something to say, an end or a failure included. */
  readableAt(): number {
    if (this.readerClosed || this.readerBroken) return -Infinity
    if (this.corked || this.lost) return Infinity
    const next = this.nextArrival()
    return next === undefined ? Infinity : Math.max(next, this.readFree)
  }

  /** When there is next something to read, the end included, as far as is known. */
  private nextArrival(): number | undefined {
    const [first] = this.segments
    const { passable } = this
    if (first !== undefined) return passable === undefined || passable.bytes > 0 ? first.at : undefined
    return passable === undefined || passable.end ? this.endsAt : undefined
  }

  offer(chunks: Bytes): Busy {
    if (this.writerClosed || (this.endsAt !== undefined && !this.finned)) return Effect.fail(closedHere())
    if (this.writerBroken) return Effect.fail(reset())
    const { lane, onUnread } = this.options
    if (this.readerClosed && !this.lost && !this.isShut) {
      onUnread()
      return Effect.fail(brokenPipe())
    }
    const now = this.now()
    if (this.isShut && !this.lost) this.fireShut()
    let written = 0
    for (const chunk of chunks) {
      if (chunk.length === 0) continue
      written += chunk.length
      this.send(chunk, now)
    }
    this.reader.attend()
    if (lane.slowWriter !== undefined && this.lineFree > now) {
      lane.slowWriter.fault.fire(lane.where)
      const pause = Math.ceil((this.lineFree - now) * 1e6) / 1e6
      const timer: Readable["after"] = (owner, millis, fire) => this.resumeAfter(owner, millis, fire)
      return Effect.andThen(parkIn(new Waiters(), pause, timer), this.afterWrite)
    }
    return written > 0 && this.isFull(true) ? this.awaitRoom() : undefined
  }

  private readonly afterWrite: Effect.Effect<void, TransportError> = Effect.suspend(() => {
    if (this.writerClosed) return Effect.fail(closedHere())
    if (this.writerBroken) return Effect.fail(reset())
    return this.isFull(false) ? this.awaitRoom() : Effect.void
  })

  /** To be asked for by the step that found no room. */
  private awaitRoom(): Effect.Effect<void, TransportError> {
    return Effect.andThen(parkIn(this.writers), this.afterWrite)
  }

  private isFull(tell: boolean): boolean {
    const { capacity, lane } = this.options
    const small = lane.smallQueue
    const limit = lane.conditions.queueBytes ?? capacity
    if (small === undefined || small.value >= limit) return this.size > limit
    if (this.size <= small.value) return false
    if (tell) small.fault.fire(lane.where)
    return true
  }

  /** Puts a written chunk on its way. */
  private send(chunk: Uint8Array, now: number): void {
    const { lane, onWrite } = this.options
    if (this.finned) return
    if (lane.strikes.length === 0 && this.transit.isIdle) {
      this.transit.pass(chunk)
      this.enqueueOne(chunk, now)
    } else this.enqueue(this.transit.push(chunk, lane.strikes, lane.where), now)
    onWrite(chunk, this.lastArrival)
    const { cut } = this.transit
    if (cut === undefined) return
    this.finned = true
    this.cutOff = cut === "Reset"
    this.endsAt = this.lastArrival
  }

  private enqueue(pieces: ReadonlyArray<Uint8Array>, now: number): void {
    for (const piece of pieces) this.enqueueOne(piece, now)
  }

  private enqueueOne(piece: Uint8Array, now: number): void {
    const { draws, lane } = this.options
    const line = slower(lane.bandwidth, lane.slowWriter)
    const cut = lane.segmentation
    if (cut !== undefined && piece.length > 1) {
      if (piece.length > cut.value) cut.fault.fire(lane.where)
      for (let at = 0; at < piece.length;) {
        const length = 1 + draws.nextBelowUnsafe(Math.min(cut.value, piece.length - at))
        this.add(piece.subarray(at, at + length), this.arrival(length, now, line), true)
        at += length
      }
      return
    }
    const part = line === undefined ? piece.length : Math.max(MIN_PART, Math.ceil(piece.length / MAX_PARTS))
    for (let at = 0; at < piece.length; at += part) {
      const bytes = part >= piece.length ? piece : piece.subarray(at, at + part)
      this.add(bytes, this.arrival(bytes.length, now, line), false)
    }
  }

  private add(bytes: Uint8Array, at: number, alone: boolean): void {
    this.segments.push({ bytes, at, alone })
    this.size += bytes.length
  }

  /** When bytes that are written now arrive: after the line has carried them, the way, and all before them. */
  private arrival(length: number, now: number, line: Limit | undefined): number {
    const { lane } = this.options
    let at = now
    if (line !== undefined) {
      this.lineFree = Math.max(now, this.lineFree) + (length / line.value) * 1000
      at = this.lineFree
      if (line.fault?.fault._tag === "Bandwidth") line.fault.fire(lane.where)
    }
    at += lane.delayMillis()
    at = Math.max(at, this.lastArrival)
    const gather = lane.coalescing
    if (gather !== undefined) {
      const millis = gather.fault.fault.millis
      const gathered = Math.ceil(at / millis) * millis
      if (gathered > at) gather.fault.fire(lane.where)
      at = gathered
    }
    this.lastArrival = at
    return at
  }

  readonly end: Effect.Effect<void> = Effect.sync(() => this.finish(false))

  /** The direction ends after what was written; by the network where `byNetwork`, of which the writing side is not told. */
  finish(byNetwork: boolean): void {
    if (this.endsAt !== undefined) return
    this.enqueue(this.transit.flush(), this.now())
    if (this.isShut && !this.lost) this.fireShut()
    this.finned = byNetwork
    this.endsAt = Math.max(this.now() + this.options.lane.steadyDelayMillis, this.lastArrival)
    this.reader.attend()
  }

  closeReader(): void {
    this.readerClosed = true
    this.reader.attend()
    if (this.size > 0 && !this.lost && !(this.isShut && (this.passable?.bytes ?? 0) === 0)) this.options.onUnread()
  }

  closeWriter(): void {
    this.writerClosed = true
    wakeAll(this.writers)
  }

  break(): void {
    this.breakReader()
    this.breakWriter()
  }

  /** The reading side fails; what is under way is lost. */
  breakReader(): void {
    this.readerBroken = true
    this.segments = []
    this.size = 0
    this.reader.attend()
  }

  /** The writing side fails. */
  breakWriter(): void {
    this.writerBroken = true
    wakeAll(this.writers)
  }

  /** From now on nothing arrives, and nobody is told. */
  lose(): void {
    this.lost = true
    this.passable = { bytes: 0, end: false }
    this.reader.attend()
  }

  get isLost(): boolean {
    return this.lost
  }

  cork(): void {
    this.corked = true
  }

  uncork(): void {
    this.corked = false
    this.reader.attend()
  }

  /** Takes what has arrived by `now`, as far as it may be read. */
  private take(now: number): Bytes | undefined {
    if (this.lost) return undefined
    const { lane, readLimit } = this.options
    const { passable, segments } = this
    const slow = lane.slowReader
    const slice = slow === undefined ? Infinity : Math.max(1, Math.floor(slow.value * READ_SLICE_MILLIS / 1000))
    const limit = Math.min(readLimit, slice, passable?.bytes ?? Infinity)
    const [next, second] = segments
    if (next === undefined || next.at > now) return undefined
    if (next.bytes.length <= limit && (next.alone || second === undefined || second.at > now)) {
      segments.shift()
      this.took(next.bytes.length, now)
      return [next.bytes]
    }
    const out: Array<Uint8Array> = []
    let taken = 0
    let count = 0
    for (; count < segments.length && taken < limit; count++) {
      const { alone, at, bytes } = segments[count]!
      if (at > now || (alone && taken > 0)) break
      const room = limit - taken
      if (bytes.length > room) {
        out.push(bytes.subarray(0, room))
        segments[count] = { bytes: bytes.subarray(room), at, alone }
        taken += room
        break
      }
      out.push(bytes)
      taken += bytes.length
      if (alone) {
        count++
        break
      }
    }
    const [first, ...rest] = out
    if (first === undefined) return undefined
    this.segments = count === segments.length ? [] : segments.slice(count)
    this.took(taken, now)
    return [first, ...rest]
  }

  private took(length: number, now: number): void {
    const { lane, lane: { slowReader } } = this.options
    this.size -= length
    if (this.passable !== undefined) this.passable.bytes -= length
    if (slowReader !== undefined) {
      this.readFree = now + (length / slowReader.value) * 1000
      slowReader.fault.fire(lane.where)
    }
    if (!this.isFull(false)) wakeAll(this.writers)
  }
}

/** The slower of two. */
const slower = (a: Limit | undefined, b: Limit | undefined): Limit | undefined =>
  a === undefined || (b !== undefined && b.value < a.value) ? b : a
