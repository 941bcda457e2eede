/**
 * What the 21 message classes have in common: the bytes, the lazy stellar-base value, ownership and the readable form.
 *
 * @since 0.1.0
 */
import { xdr } from "@stellar/stellar-base"
import * as Inspectable from "effect/Inspectable"
import { decodeXdr } from "../../internal/xdrValue.ts"
import type { MessageTag, MessageType } from "../MessageType.ts"

/**
 * A JSON value, as in the readable form of a message.
 *
 * @category models
 * @since 0.1.0
 */
export type Json = string | number | boolean | null | ReadonlyArray<Json> | { readonly [field: string]: Json }

/**
 * The readable form of a message: its tag, its size in bytes and its fields.
 *
 * Hashes, signatures and encryption keys are lower-case hex, node ids are strkeys, 64-bit numbers are decimal strings.
 * Bodies are given by their size and lists by their count and at most the first 1000 elements, so that the form of a
 * 16 MiB message is small too. Text that came from a peer is passed on as it is: escape it before printing.
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageJson {
  readonly _tag: MessageTag
  readonly size: number
  readonly [field: string]: Json
}

/**
 * The values decoded so far. They are kept beside the messages because few messages are ever decoded, and a field for
 * the value, private or not, takes 8 of the 35 ns it would cost to construct a message. Private methods would cost as
 * much, since they mark every instance; the classes use functions beside them.
 */
const decoded = new WeakMap<Base, xdr.StellarMessage>()

/**
 * The base of the message classes: a StellarMessage held as its XDR bytes.
 *
 * `bytes` starts with the discriminant and ends with the arm. It may be a view into a socket buffer, which is only good
 * while the batch it came with is processed; keep `retain()` of a message, not the message. The bytes are never written to.
 * Header fields are read from the bytes at their offsets each time they are asked for, so construction costs one object.
 *
 * The constructors of the classes take bytes that are known to be one valid message of that type. Use `fromUntrusted` for
 * bytes of any other origin, and `make` to build a message from fields.
 *
 * @category models
 * @since 0.1.0
 */
export abstract class Base {
  /** The name of the class, to match on. */
  abstract readonly _tag: MessageTag
  /** The discriminant of the union arm. */
  abstract readonly type: MessageType
  /** The StellarMessage XDR: 4 bytes of discriminant, then the arm. */
  declare readonly bytes: Uint8Array // assigned, not defined as a class field: 6 ns less per message

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /** Size of the StellarMessage in bytes, the number flow control counts. */
  get size(): number {
    return this.bytes.length
  }

  /**
   * The message as stellar-base's value, decoded at the first use and then kept.
   *
   * It owns its bytes. Treat it as read-only: a change to it does not reach `bytes`.
   */
  get xdr(): xdr.StellarMessage {
    let value = decoded.get(this)
    if (value === undefined) decoded.set(this, value = this.decode())
    return value
  }

  /** This message if it owns exactly its bytes, else a copy that does and therefore pins no socket buffer. */
  retain(): this {
    const bytes = this.bytes
    if (bytes.byteLength === bytes.buffer.byteLength) return this
    // Every class has this constructor signature; TypeScript has no way to say so of `this.constructor`.
    const Self = this.constructor as new(bytes: Uint8Array) => this
    return new Self(new Uint8Array(bytes))
  }

  /** The readable form: see {@link MessageJson}. */
  toJSON(): MessageJson {
    return { _tag: this._tag, size: this.size, ...this.fields() }
  }

  /** The readable form is also what Node's `console.log` shows, which escapes control characters in strings. */
  [Inspectable.NodeInspectSymbol](): MessageJson {
    return this.toJSON()
  }

  /** The fields of the readable form. */
  protected abstract fields(): { readonly [field: string]: Json }

  /** Decodes `bytes`. */
  protected decode(): xdr.StellarMessage {
    return decodeXdr(xdr.StellarMessage, this.bytes)
  }
}
