/**
 * Record marks: cutting a stream of bytes into message bodies, and marking the bodies we send.
 *
 * A frame is a 4-byte big-endian mark, whose bit 31 says "last fragment" and whose other bits are the length of the
 * body that follows. As in stellar-core every record is one whole message: the bit is always set on what is sent, and
 * ignored on what is received.
 *
 * Implements protocol.md section 1.1 (stellar-core: `TCPPeer::getIncomingMsgLength`, `TCPPeer::startRead`).
 *
 * @since 0.1.0
 */
import { readUint32, writeUint32 } from "../internal/bytes.ts"

/**
 * The size of the record mark in front of every body, in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const MARK_LENGTH = 4

/**
 * The longest body accepted from a peer that is not authenticated, in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_UNAUTHENTICATED_BODY = 0x1000

/**
 * The longest body at all, in bytes (16 MiB).
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_BODY = 0x1000000

/**
 * Writes the mark of a body of `bodyLength` bytes at `slab[at, at + 4)`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeMark = (slab: Uint8Array, at: number, bodyLength: number): void =>
  writeUint32(slab, at, bodyLength | 0x80000000)

/**
 * A mark that no valid frame has; the tags are those of `DropReason`, `length` is its detail.
 *
 * @category errors
 * @since 0.1.0
 */
export class FrameError {
  readonly _tag: "FrameTooLarge" | "FrameEmpty"
  /** The length the peer claimed, in bytes. */
  readonly length: number
  /** The longest body that was allowed. */
  readonly limit: number

  constructor(length: number, limit: number) {
    this._tag = length === 0 ? "FrameEmpty" : "FrameTooLarge"
    this.length = length
    this.limit = limit
  }
}

/**
 * Bodies up to this many bytes are assembled in a buffer of their full size from the first byte on. Above, memory
 * follows what has arrived and not what was claimed.
 *
 * @category constants
 * @since 0.1.0
 */
export const SMALL_BODY = 0x1000

/**
 * While a large body is on its way, chunks below this size are copied together, so that neither a byte at a time nor a
 * remainder of a large chunk costs more than it brings.
 */
const MIN_PIECE = 0x1000

/** The most room set aside at once for chunks that are copied together. */
const MAX_SEGMENT = 0x10000

const NO_BYTES = new Uint8Array(0)

/**
 * Cuts the incoming stream into frame bodies, whatever the sizes of the chunks.
 *
 * `push` chunks as they arrive, then call `next` until it returns undefined. A chunk belongs to the parser once pushed
 * and must not be written to any more.
 *
 * - A body that lies in one chunk is a view of it. A body that spans chunks is a buffer that owns exactly its bytes.
 * - After `next` returned undefined no chunk is held but those that are parts of an unfinished body.
 * - Between calls the parser holds, for an unfinished body, at most twice what has arrived of it or `SMALL_BODY` bytes,
 *   whichever is more: a mark that claims 16 MiB costs nothing by itself.
 * - The work is linear in the number of bytes and chunks: each byte is copied at most twice, and not at all when its
 *   body lies in one chunk.
 *
 * @example
 * ```ts
 * import { FrameError, FrameParser, MAX_BODY } from "@stellar-overlay/overlay/wire/Frame"
 *
 * const parser = new FrameParser()
 * parser.push(Uint8Array.of(0x80, 0, 0, 4, 1, 2))
 * parser.next(MAX_BODY) // undefined
 * parser.push(Uint8Array.of(3, 4))
 * const body = parser.next(MAX_BODY) // Uint8Array [1, 2, 3, 4]
 * body instanceof FrameError // false
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class FrameParser {
  /** Chunks not read yet: `chunks[first]` from `offset` on, and all after it. Those before `first` are released. */
  private chunks: Array<Uint8Array> = []
  private first = 0
  private offset = 0
  /** Unread bytes in `chunks`. */
  private queued = 0

  /** The bytes of a mark that is not complete, as a number; four more push the old ones out. */
  private mark = 0
  private markLength = 0

  /** The claimed length of the body being received, 0 between frames. */
  private announced = 0
  private received = 0
  /** The body, once half of it is there or from the start when it is small; before that `pieces`. */
  private body = NO_BYTES
  private pieces: Array<Uint8Array> = []
  /** Free bytes at the end of the last piece, which is a segment of our own when this is not 0. */
  private room = 0
  /** The sizes of the buffers behind `pieces`, or of `body`. At most max(2 * received, SMALL_BODY). */
  private pinned = 0

  private error: FrameError | undefined = undefined

  /**
   * Takes the next bytes of the stream.
   */
  push(chunk: Uint8Array): void {
    if (this.error !== undefined) return
    // A chunk that cannot hold all of the current body goes straight to it, so that small chunks never pile up here.
    const direct = this.queued === 0 && this.announced !== 0 && (this.received !== 0 || chunk.length < this.announced)
    const used = direct ? Math.min(chunk.length, this.announced - this.received) : 0
    if (used !== 0) this.fill(used === chunk.length ? chunk : chunk.subarray(0, used))
    if (used === chunk.length) return
    if (this.queued === 0) this.offset = used
    this.chunks.push(chunk)
    this.queued += chunk.length - used
  }

  /**
   * The next frame body; undefined when more bytes are needed; a `FrameError` for a mark of 0 or above `limit`, as soon
   * as the mark is there. After an error the parser holds nothing and returns that error for ever.
   *
   * `limit` counts for a mark that this call reads, so it is passed anew each time: it changes with authentication.
   */
  next(limit: number): Uint8Array | FrameError | undefined {
    if (this.announced === 0) {
      if (this.error !== undefined) return this.error
      if (!this.readMark()) return undefined
      const length = this.mark & 0x7fffffff
      this.markLength = 0
      if (length === 0 || length > limit) return this.fail(new FrameError(length, limit))
      this.announced = length
    }
    const missing = this.announced - this.received
    if (missing !== 0) {
      if (this.queued === 0) return undefined
      const chunk = this.chunks[this.first]!
      const end = this.offset + missing
      if (this.received === 0 && end <= chunk.length) {
        const view = chunk.subarray(this.offset, end)
        this.announced = 0
        this.advance(missing)
        return view
      }
      this.collect()
      if (this.received !== this.announced) return undefined
    }
    return this.takeBody()
  }

  /**
   * Releases chunks of which little is unread, by copying the rest. For a reader that stops in the middle of a batch
   * for longer: after it the unread bytes pin at most twice their number.
   */
  compact(): void {
    for (let i = this.first; i < this.chunks.length; i++) {
      const unread = i === this.first ? this.chunks[i]!.subarray(this.offset) : this.chunks[i]!
      this.chunks[i] = 2 * unread.length < unread.buffer.byteLength ? unread.slice() : unread
    }
    this.offset = 0
  }

  /** Bytes received that no returned body and no complete mark accounts for. */
  get bufferedBytes(): number {
    return this.queued + this.markLength + this.received
  }

  /** Bytes of memory that the parser keeps alive. */
  get pinnedBytes(): number {
    let pinned = this.pinned
    for (let i = this.first; i < this.chunks.length; i++) pinned += this.chunks[i]!.buffer.byteLength
    return pinned
  }

  /** The length of the body whose mark was read and which is not complete, 0 when there is none. */
  get announcedBytes(): number {
    return this.announced
  }

  /** What is missing of that body, in bytes; to hold a peer to a minimum rate. */
  get remainingBytes(): number {
    return this.announced - this.received
  }

  private fail(error: FrameError): FrameError {
    this.error = error
    this.chunks = []
    this.first = 0
    this.offset = 0
    this.queued = 0
    return error
  }

  /** Marks `count` bytes of the first chunk as read; amortised O(1) however many chunks wait. */
  private advance(count: number): void {
    this.offset += count
    this.queued -= count
    if (this.offset !== this.chunks[this.first]!.length) return
    this.offset = 0
    this.chunks[this.first] = NO_BYTES
    this.first++
    if (this.queued === 0) {
      // Popped, because setting the length gives the array's memory back, for the next chunk to allocate anew.
      while (this.chunks.length > 0) this.chunks.pop()
      this.first = 0
    } else if (this.first >= 64 && 2 * this.first >= this.chunks.length) {
      this.chunks.splice(0, this.first)
      this.first = 0
    }
  }

  /** Completes `mark`, or says that bytes are missing. */
  private readMark(): boolean {
    if (this.markLength === 0 && this.queued !== 0) {
      const chunk = this.chunks[this.first]!
      if (chunk.length - this.offset >= MARK_LENGTH) {
        this.mark = readUint32(chunk, this.offset)
        this.advance(MARK_LENGTH)
        return true
      }
    }
    while (this.markLength < MARK_LENGTH) {
      if (this.queued === 0) return false
      this.mark = (this.mark << 8) | this.chunks[this.first]![this.offset]!
      this.markLength++
      this.advance(1)
    }
    return true
  }

  /** Moves queued bytes into the current body until it is complete or they are used up. */
  private collect(): void {
    while (this.queued !== 0 && this.received !== this.announced) {
      const chunk = this.chunks[this.first]!
      const count = Math.min(chunk.length - this.offset, this.announced - this.received)
      this.fill(chunk.subarray(this.offset, this.offset + count))
      this.advance(count)
    }
  }

  /** Appends bytes of the current body, no more than are missing. */
  private fill(bytes: Uint8Array): void {
    const before = this.received
    this.received += bytes.length
    if (this.body.length === 0 && (this.announced <= SMALL_BODY || 2 * this.received >= this.announced)) {
      this.body = new Uint8Array(this.announced)
      this.copyPieces(before)
      this.pinned = this.announced
    }
    if (this.body.length !== 0) this.body.set(bytes, before)
    else this.addPieces(bytes)
  }

  private copyPieces(length: number): void {
    let at = 0
    for (const piece of this.pieces) {
      const count = Math.min(piece.length, length - at)
      this.body.set(count === piece.length ? piece : piece.subarray(0, count), at)
      at += count
    }
    this.pieces = []
    this.room = 0
  }

  private addPieces(bytes: Uint8Array): void {
    const fitting = Math.min(this.room, bytes.length)
    if (fitting !== 0) {
      const segment = this.pieces[this.pieces.length - 1]!
      segment.set(fitting === bytes.length ? bytes : bytes.subarray(0, fitting), segment.length - this.room)
      this.room -= fitting
    }
    const rest = bytes.length - fitting
    if (rest === 0) return
    const view = bytes.subarray(fitting)
    if (rest >= MIN_PIECE && 2 * rest >= view.buffer.byteLength) {
      this.pieces.push(view)
      this.pinned += view.buffer.byteLength
      return
    }
    // `pinned` was at most twice the bytes before `rest`, so this is room for at least 2 * rest unless capped, and
    // `pinned` stays within twice the bytes received. Segments double, so that they are few.
    const size = Math.max(rest, Math.min(2 * this.received - this.pinned, MAX_SEGMENT))
    const segment = new Uint8Array(size)
    segment.set(view, 0)
    this.pieces.push(segment)
    this.pinned += size
    this.room = size - rest
  }

  private takeBody(): Uint8Array {
    const body = this.body
    this.body = NO_BYTES
    this.announced = 0
    this.received = 0
    this.pinned = 0
    return body
  }
}
