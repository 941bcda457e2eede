/**
 * The failure of a parser in `wire`: what was wrong, and where.
 *
 * @since 0.1.0
 */

/**
 * What was wrong with the input:
 *
 * - `InvalidStrKey`: not the canonical base32 text of a version byte, a payload and a checksum
 * - `InvalidChecksum`: a well-formed strkey whose checksum does not fit its payload
 * - `WrongKeyType`: a good strkey of another kind than the one asked for
 * - `EmptyAddress`, `InvalidHost`, `InvalidPort`: not an address of a peer
 * - `Ipv6Disabled`: an IPv6 address where only IPv4 is accepted
 * - `InvalidXdr`: bytes that are not the XDR of the value asked for
 * - `OutOfRange`: a value that the wire format has no room for
 *
 * @category models
 * @since 0.1.0
 */
export type WireErrorReason =
  | "InvalidStrKey"
  | "InvalidChecksum"
  | "WrongKeyType"
  | "EmptyAddress"
  | "InvalidHost"
  | "InvalidPort"
  | "Ipv6Disabled"
  | "InvalidXdr"
  | "OutOfRange"

/**
 * A parse failure as plain data, to be the failure side of a `Result`.
 *
 * It is not an `Error`, because taking a stack would cost more than the parse and say nothing: `offset` says where the
 * input is wrong (a character of a text, a byte of a buffer) when there is one such place. `message` never quotes the
 * input, which may be a secret or hostile, so it can be printed anywhere.
 *
 * @category errors
 * @since 0.1.0
 */
export class WireError {
  readonly _tag = "WireError"
  readonly reason: WireErrorReason
  readonly message: string
  readonly offset: number | undefined

  constructor(reason: WireErrorReason, message: string, offset?: number) {
    this.reason = reason
    this.message = message
    this.offset = offset
  }

  toString(): string {
    return this.offset === undefined
      ? `${this.reason}: ${this.message}`
      : `${this.reason} at ${this.offset}: ${this.message}`
  }
}

/**
 * Tells whether a value is a `WireError`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isWireError = (u: unknown): u is WireError => u instanceof WireError
