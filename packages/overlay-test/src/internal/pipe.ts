import { TransportError } from "@stellar-overlay/overlay/Transport"
import type * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { after, monotonicMillis } from "./after.ts"
import { type Owner, ParkedReader, type Readable } from "./parkedReader.ts"
import type { SeededRandom } from "./seededRandom.ts"
import { parkIn, Waiters, wakeAll } from "./waiters.ts"

export type Bytes = Arr.NonEmptyReadonlyArray<Uint8Array>

/** Bytes under way, and the monotonic millisecond at which they arrive. */
interface Segment {
  readonly bytes: Uint8Array
  readonly at: number
}

/** What a poll comes to; undefined when there is nothing yet. */
export type Input = Bytes | TransportError | undefined

/** What a writer has to wait for, or why it failed; undefined when it may go on at once. */
export type Busy = Effect.Effect<void, TransportError> | undefined

export const closedHere = () => new TransportError({ kind: "Closed", detail: "closed by this side" })
export const reset = () => new TransportError({ kind: "Reset", detail: "ECONNRESET" })
export const brokenPipe = () => new TransportError({ kind: "Reset", detail: "EPIPE" })
export const ended = () => new TransportError({ kind: "Eof", detail: "ended by the remote" })

/**
 * One direction of a connection, from the side that writes to the side that reads.
 */
export interface Duct {
  /** Bytes written and not yet pulled. */
  readonly buffered: number
  /** `Connection.poll` and `offer` of whose ends they are. */
  readonly poll: (ready: () => void, owner: Owner) => Input
  /** Whoever polled is not interested any more. */
  readonly forget: () => void
  readonly offer: (chunks: Bytes, owner: Owner) => Busy
  readonly end: Effect.Effect<void>
  readonly closeReader: () => void
  readonly closeWriter: () => void
  readonly break: () => void
  readonly cork: () => void
  readonly uncork: () => void
}

/**
 * How a pipe behaves.
 */
export interface PipeOptions {
  /** Bytes it holds before a write waits. */
  readonly capacity: number
  /** Bytes that one pull takes at most. */
  readonly readLimit: number
  readonly latencyMillis: number
  /** Where present, every pull takes a random part of what is there. */
  readonly segmentation: SeededRandom | undefined
  /** Sees every chunk as it is written. */
  readonly onWrite: (chunk: Uint8Array) => void
  /** Bytes met a side that reads no more: the whole connection breaks, as by an RST. */
  readonly onUnread: () => void
}

/**
 * One direction of a loopback connection: bytes between a writing and a reading side.
 *
 * A write queues its whole unit at once and then waits until at most `capacity` bytes are left, as a socket does whose
 * buffer is the kernel's; so it holds `capacity` bytes and one unit per writing fiber at most.
 */
export class Pipe implements Duct, Readable {
  private readonly options: PipeOptions
  private segments: Array<Segment> = []
  private size = 0
  private corked = false
  private broken = false
  private readerClosed = false
  private writerClosed = false
  /** When the end of the stream arrives; undefined while the writing side has not ended. */
  private endsAt: number | undefined
  private readonly reader: ParkedReader
  private readonly writers = new Waiters()

  constructor(options: PipeOptions) {
    this.options = options
    this.reader = new ParkedReader(this)
  }

  after(owner: Owner, millis: number, fire: () => void): () => void {
    return after(owner, millis, fire)
  }

  now(owner: Pick<Owner, "clock">): number {
    return this.options.latencyMillis > 0 ? monotonicMillis(owner) : 0
  }

  /** Bytes written and not yet pulled. */
  get buffered(): number {
    return this.size
  }

  poll(ready: () => void, owner: Owner): Input {
    if (this.readerClosed) return closedHere()
    if (this.broken) return reset()
    const now = this.now(owner)
    const bytes = this.corked ? undefined : this.take(now)
    if (bytes !== undefined) return bytes
    if (this.readableAt() <= now) return ended()
    this.reader.park(ready, owner)
    return undefined
  }

  forget(): void {
    this.reader.leave()
  }

  /** When a poll has something to say, an end or a failure included. */
  readableAt(): number {
    if (this.readerClosed || this.broken) return -Infinity
    if (this.corked) return Infinity
    return this.segments[0]?.at ?? this.endsAt ?? Infinity
  }

  /** Queues all chunks as one unit, whether or not there is room. */
  offer(chunks: Bytes, owner: Owner): Busy {
    if (this.writerClosed || this.endsAt !== undefined) return Effect.fail(closedHere())
    if (this.broken) return Effect.fail(reset())
    if (this.readerClosed) {
      this.options.onUnread()
      return Effect.fail(brokenPipe())
    }
    const at = this.now(owner) + this.options.latencyMillis
    for (const bytes of chunks) {
      if (bytes.length === 0) continue
      this.segments.push({ bytes, at })
      this.size += bytes.length
      this.options.onWrite(bytes)
    }
    this.reader.attend()
    return this.size > this.options.capacity ? this.awaitRoom() : undefined
  }

  /** To be asked for by the step that found no room. */
  private awaitRoom(): Effect.Effect<void, TransportError> {
    return Effect.andThen(
      parkIn(this.writers),
      Effect.suspend(() => {
        if (this.writerClosed) return Effect.fail(closedHere())
        if (this.broken) return Effect.fail(reset())
        return this.size > this.options.capacity ? this.awaitRoom() : Effect.void
      })
    )
  }

  /** Ends the stream after what was written. */
  readonly end: Effect.Effect<void> = Effect.withFiber((fiber) => {
    if (this.endsAt === undefined) {
      this.endsAt = this.now({ clock: fiber.getRef(Clock.Clock) }) + this.options.latencyMillis
      this.reader.attend()
    }
    return Effect.void
  })

  /** The reading side goes away; what it left unread breaks the connection. */
  closeReader(): void {
    this.readerClosed = true
    this.reader.attend()
    if (this.size > 0) this.options.onUnread()
  }

  /** The writing side goes away: its suspended writes fail. */
  closeWriter(): void {
    this.writerClosed = true
    wakeAll(this.writers)
  }

  /** As by an RST: what is under way is lost, and both sides fail. */
  break(): void {
    this.broken = true
    this.segments = []
    this.size = 0
    this.reader.attend()
    wakeAll(this.writers)
  }

  /** Holds everything back, the end included; writers feel it once the pipe is full. */
  cork(): void {
    this.corked = true
  }

  uncork(): void {
    this.corked = false
    this.reader.attend()
  }

  /** Takes what has arrived by `now`, `readLimit` bytes at most, splitting the last segment where it must. */
  private take(now: number): Bytes | undefined {
    const segments = this.segments
    const [first] = segments
    if (first === undefined || first.at > now) return undefined
    const { capacity, readLimit } = this.options
    let arrived = 0
    for (const { at, bytes } of segments) {
      if (at > now || arrived >= readLimit) break
      arrived += bytes.length
    }
    const portion = this.portion(Math.min(arrived, readLimit))
    let left = portion - first.bytes.length
    const out: [Uint8Array, ...Array<Uint8Array>] = [first.bytes]
    let last = first
    let count = 1
    for (; left > 0; count++) {
      const segment = segments[count]
      if (segment === undefined) break
      out.push(segment.bytes)
      left -= segment.bytes.length
      last = segment
    }
    if (left < 0) {
      const cut = last.bytes.length + left
      out[count - 1] = last.bytes.subarray(0, cut)
      segments[count - 1] = { bytes: last.bytes.subarray(cut), at: last.at }
      count--
    }
    this.segments = count === segments.length ? [] : segments.slice(count)
    this.size -= portion
    if (this.size <= capacity) wakeAll(this.writers)
    return out
  }

  private portion(available: number): number {
    const random = this.options.segmentation
    if (random === undefined) return available
    // single bytes are worth more than their share of a uniform draw
    return random.nextBelowUnsafe(4) === 0 ? 1 : 1 + random.nextBelowUnsafe(available)
  }
}
