/**
 * StellarMessage, the union of everything nodes say to each other: one tagged class per message type.
 *
 * A message is its XDR bytes. Constructing one from validated bytes is a switch and one small object; header fields are
 * read at their offsets when asked for; the whole value is decoded through stellar-base only on demand, once. Relaying
 * therefore never decodes and never re-encodes.
 *
 * Implements protocol.md sections 1.4 and 1.5 (stellar-core: `Stellar-overlay.x`).
 *
 * @example
 * ```ts
 * import { Effect, Result } from "effect"
 * import * as StellarMessage from "@stellar-overlay/overlay/wire/StellarMessage"
 *
 * const credit = StellarMessage.SendMoreExtended.make({ numMessages: 200, numBytes: 300_000 })
 *
 * const describe = (message: StellarMessage.StellarMessage): string => {
 *   switch (message._tag) {
 *     case "ScpMessage":
 *       return `${message.statementType} of slot ${message.slotIndex}`
 *     case "SendMoreExtended":
 *       return `${message.numBytes} more bytes`
 *     default:
 *       return message._tag
 *   }
 * }
 *
 * describe(Result.getOrThrow(StellarMessage.fromUntrusted(credit.bytes))) // "300000 more bytes"
 * ```
 *
 * @since 0.1.0
 */
import type { xdr } from "@stellar/stellar-base"
import * as Result from "effect/Result"
import { readUint32 } from "../internal/bytes.ts"
import { encodeXdr } from "../internal/xdrValue.ts"
import { Base } from "./messages/Base.ts"
import { SendMore, SendMoreExtended } from "./messages/FlowControlMessages.ts"
import { Auth, ErrorMsg, Hello } from "./messages/HandshakeMessages.ts"
import { Peers } from "./messages/PeersMessage.ts"
import { DontHave, GetScpQuorumSet, GetScpState, GetTxSet } from "./messages/RequestMessages.ts"
import { ScpMessage, ScpQuorumSet } from "./messages/ScpMessages.ts"
import {
  TimeSlicedSurveyRequest,
  TimeSlicedSurveyResponse,
  TimeSlicedSurveyStartCollecting,
  TimeSlicedSurveyStopCollecting
} from "./messages/SurveyMessages.ts"
import { FloodAdvert, FloodDemand, GeneralizedTxSet, Transaction, TxSet } from "./messages/TransactionMessages.ts"
import * as Type from "./MessageType.ts"
import { WireError } from "./WireError.ts"
import { validateStellarMessage } from "./XdrValidator.ts"

export { Base, type Json, type MessageJson } from "./messages/Base.ts"
export * from "./messages/FlowControlMessages.ts"
export * from "./messages/HandshakeMessages.ts"
export * from "./messages/PeersMessage.ts"
export * from "./messages/RequestMessages.ts"
export * from "./messages/ScpMessages.ts"
export * from "./messages/SurveyMessages.ts"
export * from "./messages/TransactionMessages.ts"

/**
 * Any message of the overlay; discriminate on `_tag` (or on `type`).
 *
 * @category models
 * @since 0.1.0
 */
export type StellarMessage =
  | ErrorMsg
  | Auth
  | DontHave
  | Peers
  | GetTxSet
  | TxSet
  | Transaction
  | GetScpQuorumSet
  | ScpQuorumSet
  | ScpMessage
  | GetScpState
  | Hello
  | SendMore
  | GeneralizedTxSet
  | FloodAdvert
  | FloodDemand
  | SendMoreExtended
  | TimeSlicedSurveyRequest
  | TimeSlicedSurveyResponse
  | TimeSlicedSurveyStartCollecting
  | TimeSlicedSurveyStopCollecting

/**
 * The class with a tag: `Tagged<"ScpMessage">` is `ScpMessage`.
 *
 * @category models
 * @since 0.1.0
 */
export type Tagged<Tag extends Type.MessageTag> = Extract<StellarMessage, { readonly _tag: Tag }>

/**
 * The messages that cost flow-control credit.
 *
 * @category models
 * @since 0.1.0
 */
export type FloodMessage = ScpMessage | Transaction | FloodAdvert | FloodDemand

/**
 * The message in bytes that are known to be exactly one valid StellarMessage; no copy is made.
 *
 * Bytes of any other origin go through {@link fromUntrusted}. Throws `RangeError` for a discriminant that does not
 * exist, which validated bytes never have.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromBytes = (bytes: Uint8Array): StellarMessage => {
  switch (readUint32(bytes, 0)) {
    case Type.MessageType.ErrorMsg:
      return new ErrorMsg(bytes)
    case Type.MessageType.Auth:
      return new Auth(bytes)
    case Type.MessageType.DontHave:
      return new DontHave(bytes)
    case Type.MessageType.Peers:
      return new Peers(bytes)
    case Type.MessageType.GetTxSet:
      return new GetTxSet(bytes)
    case Type.MessageType.TxSet:
      return new TxSet(bytes)
    case Type.MessageType.Transaction:
      return new Transaction(bytes)
    case Type.MessageType.GetScpQuorumSet:
      return new GetScpQuorumSet(bytes)
    case Type.MessageType.ScpQuorumSet:
      return new ScpQuorumSet(bytes)
    case Type.MessageType.ScpMessage:
      return new ScpMessage(bytes)
    case Type.MessageType.GetScpState:
      return new GetScpState(bytes)
    case Type.MessageType.Hello:
      return new Hello(bytes)
    case Type.MessageType.SendMore:
      return new SendMore(bytes)
    case Type.MessageType.GeneralizedTxSet:
      return new GeneralizedTxSet(bytes)
    case Type.MessageType.FloodAdvert:
      return new FloodAdvert(bytes)
    case Type.MessageType.FloodDemand:
      return new FloodDemand(bytes)
    case Type.MessageType.SendMoreExtended:
      return new SendMoreExtended(bytes)
    case Type.MessageType.TimeSlicedSurveyRequest:
      return new TimeSlicedSurveyRequest(bytes)
    case Type.MessageType.TimeSlicedSurveyResponse:
      return new TimeSlicedSurveyResponse(bytes)
    case Type.MessageType.TimeSlicedSurveyStartCollecting:
      return new TimeSlicedSurveyStartCollecting(bytes)
    case Type.MessageType.TimeSlicedSurveyStopCollecting:
      return new TimeSlicedSurveyStopCollecting(bytes)
    default:
      throw new RangeError(`not validated bytes: there is no message type ${readUint32(bytes, 0)}`)
  }
}

/**
 * The message in bytes of unknown origin, or where they stop being one StellarMessage; no copy is made.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromUntrusted = (bytes: Uint8Array): Result.Result<StellarMessage, WireError> => {
  const offset = validateStellarMessage(bytes, 0, bytes.length)
  return offset === -1
    ? Result.succeed(fromBytes(bytes))
    : Result.fail(new WireError("InvalidXdr", "the bytes are not one StellarMessage", offset))
}

/**
 * The message of a stellar-base value. Later changes to the value do not reach the message.
 *
 * Throws `RangeError` when stellar-base cannot encode the value.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromXdr = (value: xdr.StellarMessage): StellarMessage => fromBytes(encodeXdr(value))

/**
 * Tells whether a value is a message.
 *
 * @category guards
 * @since 0.1.0
 */
export const isStellarMessage = (u: unknown): u is StellarMessage => u instanceof Base

/**
 * A guard for messages with one of the given tags, made for `Stream.filter`.
 *
 * @example
 * ```ts
 * import { Stream } from "effect"
 * import * as StellarMessage from "@stellar-overlay/overlay/wire/StellarMessage"
 *
 * declare const messages: Stream.Stream<StellarMessage.StellarMessage>
 *
 * const slots = messages.pipe(
 *   Stream.filter(StellarMessage.is("ScpMessage")),
 *   Stream.map((message) => message.slotIndex)
 * )
 * const txSets = messages.pipe(Stream.filter(StellarMessage.is("TxSet", "GeneralizedTxSet")))
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const is = <const Tags extends readonly [Type.MessageTag, ...Array<Type.MessageTag>]>(...tags: Tags) => {
  const [only] = tags
  return tags.length === 1
    ? (message: StellarMessage): message is Tagged<Tags[number]> => message._tag === only
    : (message: StellarMessage): message is Tagged<Tags[number]> => tags.includes(message._tag)
}

/**
 * Tells whether a message costs flow-control credit.
 *
 * @category guards
 * @since 0.1.0
 */
export const isFlood = (message: StellarMessage): message is FloodMessage => Type.isFlood(message.type)
