/**
 * Signatures and secrecy of the survey.
 *
 * A signature is over the bytes of the struct behind it as they stand on the wire: no hash before, no network id, no tag
 * of the type. START, STOP and REQUEST are signed by the surveyor, RESPONSE by the surveyed node. The body of a response
 * is a sealed box to a key that the surveyor draws for one reporting.
 *
 * Implements protocol.md 12.2 (stellar-core: `SurveyManager.cpp`, `Curve25519.cpp`).
 *
 * @since 0.1.0
 */
import { toHex } from "../internal/bytes.ts"
import { coreName, MessageType } from "../wire/MessageType.ts"
import {
  MAX_ENCRYPTED_BODY,
  type StellarMessage,
  type TimeSlicedSurveyRequest,
  type TimeSlicedSurveyResponse,
  type TimeSlicedSurveyStartCollecting,
  type TimeSlicedSurveyStopCollecting
} from "../wire/StellarMessage.ts"
import type { Primitives } from "./Primitives.ts"
import * as SurveyBody from "./SurveyBody.ts"

/**
 * One of the four messages.
 *
 * @category models
 * @since 0.1.0
 */
export type SurveyMessage =
  | TimeSlicedSurveyRequest
  | TimeSlicedSurveyResponse
  | TimeSlicedSurveyStartCollecting
  | TimeSlicedSurveyStopCollecting

/**
 * libsodium's sealed boxes.
 *
 * @category models
 * @since 0.1.0
 */
export interface SealedBox {
  /** A box for the owner of a Curve25519 key, 48 bytes longer than its content; undefined when the key is degenerate. */
  readonly seal: (publicKey: Uint8Array, plaintext: Uint8Array) => Uint8Array | undefined
  /** The content of a box; undefined when it was not made for this key, or was changed. */
  readonly open: (secret: Uint8Array, publicKey: Uint8Array, box: Uint8Array) => Uint8Array | undefined
}

/**
 * Tells the survey's messages from others.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSurveyMessage = (message: StellarMessage): message is SurveyMessage =>
  message.type >= MessageType.TimeSlicedSurveyRequest && message.type <= MessageType.TimeSlicedSurveyStopCollecting

/**
 * A message for logs, as core's `getMsgSummary` has it: the type, and the command of those that have one.
 *
 * @category getters
 * @since 0.1.0
 */
export const summary = (message: SurveyMessage): string => {
  const name = coreName(message.type)
  if (!("commandType" in message)) return name
  const known = message.commandType === 1
  return `${name}:${known ? "TIME_SLICED_SURVEY_TOPOLOGY" : "UNKNOWN_SURVEY_MESSAGE_COMMAND_TYPE"}`
}

const unsigned = new Uint8Array(64)

/**
 * Makes a message with one of the `make` of its class, signed: `sign` gives the Ed25519 signature of bytes.
 *
 * @example
 * ```ts
 * import * as SurveyCrypto from "@stellar-overlay/overlay/protocol/SurveyCrypto"
 * import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
 * import { TimeSlicedSurveyStartCollecting } from "@stellar-overlay/overlay/wire/StellarMessage"
 *
 * const start = (surveyorId: NodeId, sign: (bytes: Uint8Array) => Uint8Array) =>
 *   SurveyCrypto.signed(TimeSlicedSurveyStartCollecting.make, { surveyorId, nonce: 1, ledgerNum: 50_000_000 }, sign)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const signed = <Fields extends object, M extends SurveyMessage>(
  make: (fields: Fields & { readonly signature: Uint8Array }) => M,
  fields: Fields,
  sign: (bytes: Uint8Array) => Uint8Array
): M => make({ ...fields, signature: sign(make({ ...fields, signature: unsigned }).signedBytes) })

/**
 * Whether a message was signed by whom it says.
 *
 * @category validation
 * @since 0.1.0
 */
export const verify = (crypto: Primitives, message: SurveyMessage): boolean => {
  const key = message._tag === "TimeSlicedSurveyResponse" ? message.surveyedKey : message.surveyorKey
  return crypto.ed25519Verify(key, message.signedBytes, message.signature)
}

/**
 * Good messages that a `SurveyVerifier` remembers.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_VERIFIED = 128

/**
 * `verify` with a memory: a good message that is sent again and again, which costs its sender nothing, costs a hash and no
 * more signature checks. (A bad one is not remembered, because its sender is dropped for the first.)
 *
 * @category models
 * @since 0.1.0
 */
export class SurveyVerifier {
  readonly #crypto: Primitives
  /** SHA-256 of good messages, the one met longest ago first. */
  readonly #good = new Set<string>()

  constructor(crypto: Primitives) {
    this.#crypto = crypto
  }

  verify(message: SurveyMessage): boolean {
    const key = toHex(this.#crypto.sha256(message.bytes))
    if (!this.#good.delete(key) && !verify(this.#crypto, message)) return false
    this.#good.add(key)
    for (const oldest of this.#good) {
      if (this.#good.size <= MAX_VERIFIED) break
      this.#good.delete(oldest)
    }
    return true
  }
}

/**
 * The encrypted body of a response to a request with this key; undefined when the key is degenerate.
 *
 * @category encoding
 * @since 0.1.0
 */
export const sealBody = (
  box: SealedBox,
  encryptionKey: Uint8Array,
  body: SurveyBody.SurveyBody
): Uint8Array | undefined => box.seal(encryptionKey, SurveyBody.encode(body))

/**
 * Opens and reads an encrypted body; undefined when it is not for this key, was changed, or is not what it should be.
 *
 * @category decoding
 * @since 0.1.0
 */
export const openBody = (
  box: SealedBox,
  secret: Uint8Array,
  publicKey: Uint8Array,
  encryptedBody: Uint8Array
): SurveyBody.SurveyBody | undefined => {
  if (encryptedBody.length > MAX_ENCRYPTED_BODY) return undefined
  const opened = box.open(secret, publicKey, encryptedBody)
  return opened && SurveyBody.decode(opened)
}
