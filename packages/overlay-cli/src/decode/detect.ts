/**
 * What bytes are: frames with their record marks, the body of one frame, or a message alone.
 *
 * A frame begins with a byte of at least 0x80 and a body with four zeros; a message alone begins with its type. Only an
 * ERROR_MSG begins with four zeros too: then its validity decides, or whether there is a message type where a body has one.
 */
import * as AuthenticatedMessage from "@stellar-overlay/overlay/wire/AuthenticatedMessage"
import { MARK_LENGTH, MAX_BODY } from "@stellar-overlay/overlay/wire/Frame"
import { isMessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { fromBytes, type StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import { explainInvalid, validateStellarMessage } from "@stellar-overlay/overlay/wire/XdrValidator"

export const kinds = ["frame", "authenticated", "message"] as const

export type Kind = (typeof kinds)[number]

/** What surrounds a message in a frame. */
export interface Envelope {
  readonly sequence: bigint
  readonly mac: Uint8Array
}

export interface Decoded {
  readonly kind: Kind
  /** Where it begins in the input. */
  readonly offset: number
  readonly message: StellarMessage
  readonly envelope: Envelope | undefined
}

/** The first thing that is not as it must be; `offset` counts from the start of the input. */
export interface Problem {
  readonly kind: Kind
  readonly offset: number
  readonly path: string
  readonly problem: string
}

export interface Result {
  readonly decoded: ReadonlyArray<Decoded>
  readonly problem: Problem | undefined
}

const word = (bytes: Uint8Array, at: number): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at)

const hex = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`

const message = (bytes: Uint8Array, start: number, end: number, kind: Kind, offset: number): Decoded | Problem => {
  if (validateStellarMessage(bytes, start, end) !== -1) {
    const found = explainInvalid(bytes, start, end) ?? { offset: start, path: "StellarMessage", problem: "not valid" }
    return { kind, ...found }
  }
  return { kind, offset, message: fromBytes(bytes.subarray(start, end)), envelope: undefined }
}

const authenticated = (
  bytes: Uint8Array,
  start: number,
  end: number,
  kind: Kind = "authenticated",
  offset = start
): Decoded | Problem => {
  const at = (where: number, path: string, problem: string): Problem => ({ kind, offset: where, path, problem })
  const length = end - start
  if (length >= 4 && word(bytes, start) !== 0) {
    return at(start, "AuthenticatedMessage.v", `${hex(word(bytes, start))} where only version 0 exists`)
  }
  if (length < AuthenticatedMessage.MIN_BODY_LENGTH) {
    return at(
      end,
      "AuthenticatedMessage",
      `ends after ${length} bytes; the shortest has ${AuthenticatedMessage.MIN_BODY_LENGTH}`
    )
  }
  const body = bytes.subarray(start, end)
  const macAt = end - AuthenticatedMessage.MAC_LENGTH
  const inner = message(bytes, start + AuthenticatedMessage.MESSAGE_OFFSET, macAt, kind, offset)
  if ("problem" in inner) {
    return inner.offset === macAt
      ? { ...inner, problem: `${inner.problem} (the last ${AuthenticatedMessage.MAC_LENGTH} bytes are the MAC)` }
      : inner
  }
  return {
    ...inner,
    envelope: { sequence: AuthenticatedMessage.sequence(body), mac: AuthenticatedMessage.mac(body) }
  }
}

const frames = (bytes: Uint8Array): Result => {
  const decoded: Array<Decoded> = []
  const stop = (offset: number, path: string, problem: string): Result => ({
    decoded,
    problem: { kind: "frame", offset, path, problem }
  })
  let at = 0
  while (at < bytes.length) {
    if (bytes.length - at < MARK_LENGTH) return stop(bytes.length, "Frame.mark", "ends inside a record mark")
    const length = word(bytes, at) & 0x7fffffff
    if (length === 0 || length > MAX_BODY) {
      return stop(at, "Frame.mark", `announces a body of ${length} bytes; 1 to ${MAX_BODY} are allowed`)
    }
    const start = at + MARK_LENGTH
    if (bytes.length - start < length) {
      return stop(bytes.length, "Frame.body", `${length} bytes were announced and ${bytes.length - start} are there`)
    }
    const one = authenticated(bytes, start, start + length, "frame", at)
    if ("problem" in one) return { decoded, problem: one }
    decoded.push(one)
    at = start + length
  }
  return { decoded, problem: undefined }
}

const single = (one: Decoded | Problem): Result =>
  "problem" in one ? { decoded: [], problem: one } : { decoded: [one], problem: undefined }

/** Decodes bytes as one kind, or as what they look like. An input of frames may hold several. */
export const decode = (bytes: Uint8Array, kind: Kind | undefined): Result => {
  switch (kind ?? looksLike(bytes)) {
    case "frame":
      return frames(bytes)
    case "authenticated":
      return single(authenticated(bytes, 0, bytes.length))
    case "message":
      return single(message(bytes, 0, bytes.length, "message", 0))
  }
}

const looksLike = (bytes: Uint8Array): Kind => {
  if (bytes.length === 0) return "message"
  if (bytes[0]! >= 0x80) return "frame"
  if (bytes.length < AuthenticatedMessage.MIN_BODY_LENGTH || word(bytes, 0) !== 0) return "message"
  if (validateStellarMessage(bytes, 0, bytes.length) === -1) return "message"
  return isMessageType(word(bytes, AuthenticatedMessage.MESSAGE_OFFSET)) ? "authenticated" : "message"
}
