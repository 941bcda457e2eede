/**
 * Decides whether bytes are one structurally valid XDR value, without decoding them.
 *
 * What is valid is read from stellar-base's own type definitions at first use, compiled once, and checked by a walk
 * over the bytes that allocates nothing (protocol.md section 1.3; stellar-core: `TCPPeer::recvMessage`, xdrpp
 * `marshal.h`). The rules are those of RFC 4506 without latitude, so that of every value exactly one encoding passes
 * and an accepted message can be relayed as it came:
 *
 * - union discriminants and enum values must be known, booleans and optional flags must be 0 or 1, padding must be zero;
 * - lengths and counts must not exceed what the type declares, nor what the bytes that remain could hold: both are
 *   refused at the length word, before anything is done by it;
 * - the value must end where the bytes end;
 * - structs, unions, lists and optionals may nest 200 levels deep (stellar-base's limit, counted as it counts;
 *   stellar-core allows 1,500). Other limits, such as the four levels of a sane quorum set, are not structural and are
 *   checked by whoever uses the value.
 *
 * stellar-core reads any non-zero boolean as true; here it is refused, because relaying or hashing a value that has two
 * encodings is worse than refusing one that no encoder writes. Booleans occur only inside transactions.
 *
 * Two plain enum fields tolerate unknown values, as stellar-core does: `Error.code` (shown as unknown) and
 * `DontHave.type` (ignored). stellar-base cannot decode a message that carries one; everything else that passes here, it
 * decodes. A string may hold any bytes: XDR knows no encoding.
 *
 * @since 0.1.0
 */
import { xdr } from "@stellar/stellar-base"
import { readUint32 } from "../internal/bytes.ts"
import { explain } from "../internal/xdrExplain.ts"
import * as XdrProgram from "../internal/xdrProgram.ts"
import * as XdrShape from "./XdrShape.ts"

/**
 * The levels of structs, unions, lists and optionals that may lie below the outermost value.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxDepth: number = XdrProgram.maxDepth

/**
 * The enum fields, as `"Struct.field"`, in which values without a name are accepted.
 *
 * @category constants
 * @since 0.1.0
 */
export const tolerantFields: ReadonlySet<string> = XdrProgram.tolerantFields

/**
 * What is wrong with bytes: at which offset (counted as in the call), in which part of the value, and what it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface InvalidXdr {
  readonly offset: number
  readonly path: string
  readonly problem: string
}

/**
 * The two questions one can ask of the bytes of a type.
 *
 * @category models
 * @since 0.1.0
 */
export interface XdrValidator {
  /**
   * -1 when bytes[start, end) are exactly one valid value, else the offset of the first byte that is not as it must be:
   * the first byte of a bad word, of padding that is not zero, of what is left over, or `end` when bytes are missing.
   */
  readonly validate: (bytes: Uint8Array, start: number, end: number) => number
  /**
   * What `validate` objects to, in words; undefined when it does not. For people: slower, and it allocates.
   */
  readonly explain: (bytes: Uint8Array, start: number, end: number) => InvalidXdr | undefined
}

/**
 * Compiles a validator for a stellar-base type. It costs a few milliseconds: make one per type, not per value.
 *
 * @example
 * ```ts
 * import { xdr } from "@stellar/stellar-base"
 * import * as XdrValidator from "@stellar-overlay/overlay/wire/XdrValidator"
 *
 * const body = XdrValidator.make(xdr.SurveyResponseBody)
 * body.validate(new Uint8Array(4), 0, 4) // => 0: there is no topology response of version 0
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (definition: XdrShape.XdrDefinition): XdrValidator => {
  const shape = XdrShape.fromDefinition(definition)
  const program = XdrProgram.compile(shape)
  const minimum = XdrShape.minimumSizes(shape)
  return {
    validate: (bytes, start, end) => XdrProgram.run(program, bytes, start, end),
    explain: (bytes, start, end) => explain(shape, minimum, bytes, start, end)
  }
}

let stellarMessage: XdrValidator | undefined

const forStellarMessage = (): XdrValidator => (stellarMessage ??= make(xdr.StellarMessage))

/**
 * Validates a StellarMessage: -1 when bytes[start, end) are exactly one, else the offset of the first byte that is not
 * as it must be (see {@link XdrValidator}).
 *
 * Measured on Node 24: 43 ns for an SCP_MESSAGE of 316 bytes, 146 ns for a TRANSACTION with one payment, 24 ns for a
 * FLOOD_ADVERT of 100 hashes; decoding them through stellar-base takes 1,260, 3,270 and 4,610 ns.
 *
 * @category validation
 * @since 0.1.0
 */
export const validateStellarMessage = (bytes: Uint8Array, start: number, end: number): number =>
  forStellarMessage().validate(bytes, start, end)

/**
 * Says what {@link validateStellarMessage} objects to; undefined when it does not.
 *
 * @example
 * ```ts
 * import { explainInvalid } from "@stellar-overlay/overlay/wire/XdrValidator"
 *
 * explainInvalid(Uint8Array.of(0, 0, 0, 12, 0, 0), 0, 6)
 * // => { offset: 6, path: "StellarMessage.getScpLedgerSeq", problem: "needs 4 bytes where 2 remain" }
 * ```
 *
 * @category validation
 * @since 0.1.0
 */
export const explainInvalid = (bytes: Uint8Array, start: number, end: number): InvalidXdr | undefined =>
  forStellarMessage().explain(bytes, start, end)

/**
 * Validates the body of a frame, an AuthenticatedMessage: the union discriminant `v` must be 0, and between the sequence
 * number and the MAC, both of which may be anything here, lies a valid StellarMessage (protocol.md section 1.2).
 *
 * Returns -1, or an offset as {@link validateStellarMessage} does. A message that is cut short is reported where the
 * MAC begins, a body too short for a message at all at `end`.
 *
 * @category validation
 * @since 0.1.0
 */
export const validateAuthenticatedMessage = (bytes: Uint8Array, start: number, end: number): number => {
  if (end - start >= 4 && readUint32(bytes, start) !== 0) return start
  if (end - start < messageOffset + macBytes) return end
  return forStellarMessage().validate(bytes, start + messageOffset, end - macBytes)
}

const messageOffset = 12
const macBytes = 32
