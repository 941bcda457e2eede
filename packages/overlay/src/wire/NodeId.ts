/**
 * The identity of a node: its Ed25519 public key in strkey form (`G…`).
 *
 * A strkey is the base32 text (RFC 4648 alphabet) of a version byte, the payload, and the CRC-16/XMODEM checksum of
 * both in little-endian order. The codec is written out because identities are made per message and shown before
 * anything needs stellar-base: encoding takes 0.3 us against 1 us through stellar-base, decoding 0.4 us against 2 to
 * 3 us, and no module that takes 90 ms to load is pulled in.
 *
 * Implements the NodeID of protocol.md section 1.5 (stellar-core: `crypto/StrKey.cpp`, `KeyUtils::toShortString`,
 * `operator<` of `NodeID`).
 *
 * @since 0.1.0
 */
import * as Order_ from "effect/Order"
import * as Result from "effect/Result"
import { WireError } from "./WireError.ts"

/**
 * A node's public key as a strkey string, so that equal keys are equal strings and work as map keys.
 *
 * @category models
 * @since 0.1.0
 */
export type NodeId = string & { readonly "~NodeId": "NodeId" }

/**
 * The length of the key behind a `NodeId`, in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const KEY_LENGTH = 32

/**
 * The length of the text of a `NodeId`, in characters.
 *
 * @category constants
 * @since 0.1.0
 */
export const TEXT_LENGTH = 56

/**
 * The version bytes of the strkeys a node deals with: its public key (`G…`) and the seed of its private key (`S…`).
 *
 * @category constants
 * @since 0.1.0
 */
export const StrKeyVersion = { PublicKey: 6 << 3, Seed: 18 << 3 } as const

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

/** The ASCII code of each 5-bit value. */
const digitCodes: Uint8Array = Uint8Array.from(alphabet, (digit) => digit.charCodeAt(0))

const NOT_A_DIGIT = 255

/** The 5-bit value of each ASCII code, `NOT_A_DIGIT` for characters outside the alphabet, lower case included. */
const digitValues: Uint8Array = new Uint8Array(128).fill(NOT_A_DIGIT)
for (let i = 0; i < 32; i++) digitValues[alphabet.charCodeAt(i)] = i

const crcTable: Uint16Array = Uint16Array.from({ length: 256 }, (_, i) => {
  let crc = i << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc
})

const crc16 = (bytes: Uint8Array, end: number): number => {
  let crc = 0
  for (let i = 0; i < end; i++) crc = ((crc << 8) & 0xffff) ^ crcTable[(crc >> 8) ^ bytes[i]!]!
  return crc
}

/** Base32 of whole 5-byte groups. */
const encodeGroups = (bytes: Uint8Array, length: number): string => {
  let text = ""
  for (let i = 0; i < length; i += 5) {
    const high = (bytes[i]! << 12) | (bytes[i + 1]! << 4) | (bytes[i + 2]! >> 4)
    const low = ((bytes[i + 2]! & 15) << 16) | (bytes[i + 3]! << 8) | bytes[i + 4]!
    text += String.fromCharCode(
      digitCodes[high >> 15]!,
      digitCodes[(high >> 10) & 31]!,
      digitCodes[(high >> 5) & 31]!,
      digitCodes[high & 31]!,
      digitCodes[low >> 15]!,
      digitCodes[(low >> 10) & 31]!,
      digitCodes[(low >> 5) & 31]!,
      digitCodes[low & 31]!
    )
  }
  return text
}

/** Version, key, checksum of the key being encoded: 35 bytes are exactly 56 characters, so nothing is padded. */
const scratch = new Uint8Array(35)

/**
 * The strkey text of a payload of any length, padded with `=` to whole groups of 8 characters.
 *
 * @category strkey
 * @since 0.1.0
 */
export const encodeStrKey = (version: number, payload: Uint8Array): string => {
  const length = payload.length + 3
  const padded = new Uint8Array(Math.ceil(length / 5) * 5)
  padded[0] = version
  padded.set(payload, 1)
  const crc = crc16(padded, length - 2)
  padded[length - 2] = crc
  padded[length - 1] = crc >> 8
  const text = encodeGroups(padded, padded.length)
  const digits = Math.ceil(length * 8 / 5)
  return text.slice(0, digits) + "=".repeat(text.length - digits)
}

/**
 * The payload of a strkey of the given version, or why the text is not one.
 *
 * Only the canonical text is accepted: upper case, exact padding, unused bits zero, so that one payload has one text.
 * The error never quotes the text, which may be a seed.
 *
 * @category strkey
 * @since 0.1.0
 */
export const decodeStrKey = (version: number, text: string): Result.Result<Uint8Array, WireError> => {
  let digits = text.length
  while (digits > 0 && text.charCodeAt(digits - 1) === 61 /* = */) digits--
  const length = (digits * 5) >> 3
  if (text.length % 8 !== 0 || length < 3 || Math.ceil(length * 8 / 5) !== digits || text.length - digits >= 8) {
    return Result.fail(new WireError("InvalidStrKey", `no strkey has ${text.length} characters like these`))
  }
  const bytes = new Uint8Array(length)
  let bits = 0
  let pending = 0
  let at = 0
  for (let i = 0; i < digits; i++) {
    const code = text.charCodeAt(i)
    const digit = code < 128 ? digitValues[code]! : NOT_A_DIGIT
    if (digit === NOT_A_DIGIT) {
      return Result.fail(new WireError("InvalidStrKey", "a strkey is made of A to Z and 2 to 7", i))
    }
    bits = ((bits << 5) | digit) & 0xfff
    pending += 5
    if (pending >= 8) {
      pending -= 8
      bytes[at++] = bits >> pending
    }
  }
  if ((bits & ((1 << pending) - 1)) !== 0) {
    return Result.fail(new WireError("InvalidStrKey", "the last character has unused bits set", digits - 1))
  }
  const crc = crc16(bytes, length - 2)
  if (bytes[length - 2] !== (crc & 0xff) || bytes[length - 1] !== crc >> 8) {
    return Result.fail(new WireError("InvalidChecksum", "the checksum does not fit: a character is wrong or missing"))
  }
  if (bytes[0] !== version) {
    const wanted = alphabet[version >> 3]!
    return Result.fail(new WireError("WrongKeyType", `the key starts with ${text[0]!}, expected ${wanted}`, 0))
  }
  return Result.succeed(bytes.slice(1, length - 2))
}

/**
 * Texts of keys that were asked for: every message of a validator names it, and the text takes ten times as long to make
 * as to find. A key has one place, where it replaces whoever was there, so that nobody's keys make it grow.
 */
const PLACES = 1024
const knownKeys = new Uint8Array(PLACES * KEY_LENGTH)
const knownIds: Array<NodeId | undefined> = Array.from({ length: PLACES })

/** Whether the key at `at` is the one at its place. */
const isKnownAt = (place: number, bytes: Uint8Array, at: number): boolean => {
  const first = place * KEY_LENGTH
  for (let i = 0; i < KEY_LENGTH; i++) if (knownKeys[first + i] !== bytes[at + i]) return false
  return true
}

/**
 * The identity with the key at `bytes[at, at + 32)`, for keys inside a larger buffer. Throws a `RangeError` when the
 * buffer ends before, which is a defect of the caller: messages are validated before they are read.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromBytesAt = (bytes: Uint8Array, at: number): NodeId => {
  if (!(at >= 0 && at + KEY_LENGTH <= bytes.length)) {
    throw new RangeError(`no ${KEY_LENGTH}-byte key at ${at} of ${bytes.length} bytes`)
  }
  const place = (bytes[at]! << 8 | bytes[at + 1]!) % PLACES
  const known = knownIds[place]
  if (known !== undefined && isKnownAt(place, bytes, at)) return known
  scratch[0] = StrKeyVersion.PublicKey
  for (let i = 0; i < KEY_LENGTH; i++) scratch[i + 1] = knownKeys[place * KEY_LENGTH + i] = bytes[at + i]!
  const crc = crc16(scratch, KEY_LENGTH + 1)
  scratch[KEY_LENGTH + 1] = crc
  scratch[KEY_LENGTH + 2] = crc >> 8
  const id = encodeGroups(scratch, scratch.length) as NodeId // a brand over the text just made
  knownIds[place] = id
  return id
}

/**
 * The identity with a 32-byte Ed25519 public key. Throws a `RangeError` for another length.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromBytes = (key: Uint8Array): NodeId => {
  if (key.length !== KEY_LENGTH) throw new RangeError(`a node's key has ${KEY_LENGTH} bytes, not ${key.length}`)
  return fromBytesAt(key, 0)
}

/**
 * Reads the text of an identity; anything but the strkey of an Ed25519 public key (`G…`, 56 characters) is refused:
 * seeds, other key types, lower case, white space, a wrong checksum.
 *
 * @example
 * ```ts
 * import { Result } from "effect"
 * import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
 *
 * const id = Result.getOrThrow(NodeId.parse("GDIEVMRSOQV3JKZ2CNUL2RQV4TTNAISKW4NAC25PQUQKGMWJO6DTOAE7"))
 * NodeId.short(id) // "GDIEV"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<NodeId, WireError> => {
  if (text.length !== TEXT_LENGTH) {
    return Result.fail(new WireError("InvalidStrKey", `a node id has ${TEXT_LENGTH} characters, not ${text.length}`))
  }
  const decoded = decodeStrKey(StrKeyVersion.PublicKey, text)
  if (Result.isFailure(decoded)) return Result.fail(decoded.failure)
  if (decoded.success.length !== KEY_LENGTH) {
    return Result.fail(new WireError("InvalidStrKey", `a node's key has ${KEY_LENGTH} bytes`))
  }
  return Result.succeed(text as NodeId) // the only canonical text of a checked key
}

/**
 * Tells whether a value is the text of an identity, checksum included.
 *
 * @category guards
 * @since 0.1.0
 */
export const isNodeId = (u: unknown): u is NodeId => typeof u === "string" && Result.isSuccess(parse(u))

/**
 * The 32 bytes of the key, as a fresh array.
 *
 * @category getters
 * @since 0.1.0
 */
export const toBytes = (self: NodeId): Uint8Array => Result.getOrThrow(decodeStrKey(StrKeyVersion.PublicKey, self))

/**
 * The first five characters, which is how stellar-core names a node in logs and errors ("already-connected peer:
 * GDIEV").
 *
 * @category getters
 * @since 0.1.0
 */
export const short = (self: NodeId): string => self.slice(0, 5)

/** In the base32 alphabet the digits come after the letters, in ASCII before them. */
const rank = (code: number): number => code < 65 ? code + 64 : code

/**
 * Orders identities as stellar-core does, by the bytes of their keys. (The order of the strings differs: it puts the
 * digits of base32 before the letters.)
 *
 * @category ordering
 * @since 0.1.0
 */
export const Order: Order_.Order<NodeId> = Order_.make((self, that) => {
  for (let i = 0; i < TEXT_LENGTH; i++) {
    const difference = rank(self.charCodeAt(i)) - rank(that.charCodeAt(i))
    if (difference !== 0) return difference < 0 ? -1 : 1
  }
  return 0
})
