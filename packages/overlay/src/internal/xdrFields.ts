/**
 * Reading and writing the parts that several messages share, and the checks of their constructors.
 *
 * The checks throw `RangeError`: they refuse what a program passes, never what a peer sent. The readers trust offsets
 * and lengths: they are for validated bytes.
 */
import type { MessageType } from "../wire/MessageType.ts"
import { readUint32, writeUint32 } from "./bytes.ts"

/** Bytes of an opaque of `length` with its padding. */
export const padded = (length: number): number => (length + 3) & ~3

export const hash = (name: string, bytes: Uint8Array): Uint8Array => {
  if (bytes.length !== 32) throw new RangeError(`${name} must have 32 bytes, not ${bytes.length}`)
  return bytes
}

export const atMost = (name: string, bytes: Uint8Array, max: number): Uint8Array => {
  if (bytes.length > max) throw new RangeError(`${name} may have at most ${max} bytes, not ${bytes.length}`)
  return bytes
}

export const uint32 = (name: string, value: number): number => {
  if (!(Number.isInteger(value) && value >= 0 && value <= 0xffffffff)) {
    throw new RangeError(`${name} must be an integer from 0 to 4294967295, not ${value}`)
  }
  return value
}

export const int32 = (name: string, value: number): number => {
  if ((value | 0) !== value) throw new RangeError(`${name} must be a 32-bit integer, not ${value}`)
  return value
}

export const uint64 = (name: string, value: bigint): bigint => {
  if (value < 0n || value > 0xffffffffffffffffn) {
    throw new RangeError(`${name} must be an unsigned 64-bit integer, not ${value}`)
  }
  return value
}

/** Most elements of a list that a message's readable form shows. */
export const MAX_LISTED = 1000

/** Zeroed bytes of a message that owns them, with the discriminant written. */
export const start = (type: MessageType, armLength: number): Uint8Array => {
  const bytes = new Uint8Array(4 + armLength)
  bytes[3] = type
  return bytes
}

/** A message made of the discriminant and an arm that is encoded already. */
export const prefixed = (type: MessageType, arm: Uint8Array): Uint8Array => {
  const bytes = start(type, arm.length)
  bytes.set(arm, 4)
  return bytes
}

/** Writes a variable opaque (length, bytes; the padding is zero already) and gives the offset after it. */
export const writeOpaque = (bytes: Uint8Array, at: number, value: Uint8Array): number => {
  writeUint32(bytes, at, value.length)
  bytes.set(value, at + 4)
  return at + 4 + padded(value.length)
}

/** The offset after the variable opaque at `at`. */
export const skipOpaque = (bytes: Uint8Array, at: number): number => at + 4 + padded(readUint32(bytes, at))

/** A view of the variable opaque at `at`. */
export const opaque = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.subarray(at + 4, at + 4 + readUint32(bytes, at))

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })
const utf8Bytes = new TextEncoder()

/** Text of bytes a peer sent; what is not UTF-8 becomes U+FFFD. */
export const text = (bytes: Uint8Array): string => utf8.decode(bytes)

export const encodeText = (value: string): Uint8Array => utf8Bytes.encode(value)

/** The UTF-8 bytes of a text, cut to at most `max` bytes without splitting a character. */
export const cutText = (value: string, max: number): Uint8Array => {
  const bytes = encodeText(value)
  if (bytes.length <= max) return bytes
  let end = max
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end-- // a continuation byte: the cut falls inside a character
  return bytes.slice(0, end)
}
