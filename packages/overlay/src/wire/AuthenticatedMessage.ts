/**
 * The layout of the only top-level type on the wire: version, sequence number, StellarMessage, MAC.
 *
 * Readers work on a frame body by offset; `writeFrame` lays out a whole frame in a slab. Nothing is decoded or kept.
 *
 * ```
 * frame   | mark 4 | v 4 | sequence 8 | StellarMessage n | mac 32 |
 * body             0     4            12                 12 + n
 * MAC input              [4 ......................... 12 + n)
 * ```
 *
 * Implements protocol.md sections 1.2 and 1.6 (stellar-core: `Hmac.cpp`, `AuthenticatedMessage` of the overlay XDR).
 *
 * @since 0.1.0
 */
import { readUint32, readUint64, writeUint32 } from "../internal/bytes.ts"
import { encodeMark, MARK_LENGTH } from "./Frame.ts"

/**
 * Where the union discriminant `v` begins in a body; its only value is 0.
 *
 * @category constants
 * @since 0.1.0
 */
export const V_OFFSET = 0

/**
 * Where the uint64 sequence number begins in a body, and with it what the MAC covers.
 *
 * @category constants
 * @since 0.1.0
 */
export const SEQUENCE_OFFSET = 4

/**
 * Where the StellarMessage begins in a body, with its discriminant.
 *
 * @category constants
 * @since 0.1.0
 */
export const MESSAGE_OFFSET = 12

/**
 * The size of the MAC that ends a body, in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAC_LENGTH = 32

/**
 * What a body holds besides the StellarMessage, in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const OVERHEAD = MESSAGE_OFFSET + MAC_LENGTH

/**
 * The shortest body: one whose StellarMessage is a discriminant alone. No message of today is that short.
 *
 * @category constants
 * @since 0.1.0
 */
export const MIN_BODY_LENGTH = OVERHEAD + 4

/**
 * Where the MAC input begins, from the start of a frame: after the mark and `v`. It ends `MAC_LENGTH` before the frame
 * does.
 *
 * @category constants
 * @since 0.1.0
 */
export const FRAME_MAC_INPUT_OFFSET = MARK_LENGTH + SEQUENCE_OFFSET

/**
 * The length of the body that carries a StellarMessage of `messageSize` bytes.
 *
 * @category getters
 * @since 0.1.0
 */
export const bodyLengthFor = (messageSize: number): number => OVERHEAD + messageSize

/**
 * The length of the whole frame, mark included, that carries a StellarMessage of `messageSize` bytes.
 *
 * @category getters
 * @since 0.1.0
 */
export const frameLengthFor = (messageSize: number): number => MARK_LENGTH + OVERHEAD + messageSize

/**
 * Checks what surrounds the StellarMessage: a whole number of XDR words, room for a discriminant, and `v` = 0. The
 * result is -1 for a body that is fine so far, else the offset of the offending byte, as in `XdrValidator`.
 *
 * All readers below expect a body that passed.
 *
 * @category validation
 * @since 0.1.0
 */
export const validate = (body: Uint8Array): number => {
  if (body.length < MIN_BODY_LENGTH) return body.length
  if (readUint32(body, V_OFFSET) !== 0) return V_OFFSET
  return (body.length & 3) === 0 ? -1 : body.length & ~3
}

/**
 * The union discriminant `v`.
 *
 * @category getters
 * @since 0.1.0
 */
export const version = (body: Uint8Array): number => readUint32(body, V_OFFSET)

/**
 * The sequence number. For the check of every message `sequenceEquals` is cheaper: it makes no bigint.
 *
 * @category getters
 * @since 0.1.0
 */
export const sequence = (body: Uint8Array): bigint => readUint64(body, SEQUENCE_OFFSET)

/**
 * Tells whether the sequence number is `high` * 2^32 + `low`, both uint32.
 *
 * @category getters
 * @since 0.1.0
 */
export const sequenceEquals = (body: Uint8Array, high: number, low: number): boolean =>
  readUint32(body, SEQUENCE_OFFSET + 4) === low && readUint32(body, SEQUENCE_OFFSET) === high

/**
 * The discriminant of the StellarMessage as a uint32; it need not be a known `MessageType`.
 *
 * @category getters
 * @since 0.1.0
 */
export const messageType = (body: Uint8Array): number => readUint32(body, MESSAGE_OFFSET)

/**
 * The size of the StellarMessage in bytes, which is also its cost in flow control.
 *
 * @category getters
 * @since 0.1.0
 */
export const messageSize = (body: Uint8Array): number => body.length - OVERHEAD

/**
 * The StellarMessage, discriminant included, as a view.
 *
 * @category getters
 * @since 0.1.0
 */
export const message = (body: Uint8Array): Uint8Array => body.subarray(MESSAGE_OFFSET, body.length - MAC_LENGTH)

/**
 * The MAC, as a view.
 *
 * @category getters
 * @since 0.1.0
 */
export const mac = (body: Uint8Array): Uint8Array => body.subarray(body.length - MAC_LENGTH)

/**
 * Writes a frame at `slab[at, …)`: mark, `v`, the sequence number `sequenceHigh` * 2^32 + `sequenceLow`, the message
 * and a zero MAC. Returns the offset after it, `at + frameLengthFor(message.length)`.
 *
 * HELLO and ERROR_MSG go out like that, with sequence number 0. For all others the MAC is then signed over
 * `slab[at + FRAME_MAC_INPUT_OFFSET, end - MAC_LENGTH)`, where `end` is the returned offset.
 *
 * Throws a `RangeError`, like any typed array, when the slab has no room: the caller sizes it by `frameLengthFor`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const writeFrame = (
  slab: Uint8Array,
  at: number,
  message: Uint8Array,
  sequenceHigh: number,
  sequenceLow: number
): number => {
  const body = at + MARK_LENGTH
  const macAt = body + MESSAGE_OFFSET + message.length
  const end = macAt + MAC_LENGTH
  if (end > slab.length) throw new RangeError(`no room for a frame of ${end - at} bytes at ${at} of ${slab.length}`)
  encodeMark(slab, at, end - body)
  writeUint32(slab, body + V_OFFSET, 0)
  writeUint32(slab, body + SEQUENCE_OFFSET, sequenceHigh)
  writeUint32(slab, body + SEQUENCE_OFFSET + 4, sequenceLow)
  slab.set(message, body + MESSAGE_OFFSET)
  slab.fill(0, macAt, end) // a slab is used again and again
  return end
}
