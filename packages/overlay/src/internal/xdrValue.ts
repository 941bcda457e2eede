/**
 * The passage between message bytes and the values of stellar-base.
 */

interface Decoder<A> {
  readonly fromXDR: (input: Buffer) => A
}

interface Encodable {
  readonly toXDR: () => Uint8Array
}

/**
 * Decodes with a stellar-base type. The value never aliases `bytes`: js-xdr copies whatever is not a Buffer, hence the
 * plain Uint8Array over bytes that may be one.
 */
export const decodeXdr = <A>(type: Decoder<A>, bytes: Uint8Array): A => {
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return type.fromXDR(view as Buffer) // stellar-base declares Buffer, js-xdr's reader takes any view
}

/** Encodes a stellar-base value; the bytes own themselves. Throws `RangeError` for a value that cannot be encoded. */
export const encodeXdr = (value: Encodable): Uint8Array => {
  try {
    return new Uint8Array(value.toXDR())
  } catch (cause) {
    throw new RangeError("stellar-base cannot encode the value", { cause })
  }
}

/** The XDR of a value given either way. */
export const toXdr = (value: Uint8Array | Encodable): Uint8Array =>
  value instanceof Uint8Array ? value : encodeXdr(value)

/**
 * A member of the same enum as `known` that its definition does not list, so that a value with an unknown code can be
 * represented, read and encoded again. js-xdr itself refuses to decode one.
 */
export const unknownMember = <A extends object>(known: A, value: number): A => {
  const member: A = Object.create(Object.getPrototypeOf(known))
  return Object.assign(member, { name: `unknown${value}`, value })
}
