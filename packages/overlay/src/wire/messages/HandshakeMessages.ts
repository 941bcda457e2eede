/**
 * HELLO, AUTH and ERROR_MSG: the messages of the handshake and of every goodbye.
 *
 * Layouts of protocol.md section 1.5 (stellar-core: `Stellar-overlay.x`), less 12: `bytes` begins at the discriminant.
 *
 * @since 0.1.0
 */
import { xdr } from "@stellar/stellar-base"
import { readInt32, readUint32, readUint64, toHex, writeUint32, writeUint64 } from "../../internal/bytes.ts"
import * as F from "../../internal/xdrFields.ts"
import { decodeXdr, unknownMember } from "../../internal/xdrValue.ts"
import { MessageType } from "../MessageType.ts"
import * as NodeId from "../NodeId.ts"
import { Base, type Json } from "./Base.ts"

/**
 * Longest ERROR_MSG text and longest HELLO version string, in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_TEXT_LENGTH = 100

/**
 * Longest signature of any message, in bytes; a valid Ed25519 signature has exactly this many.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_SIGNATURE_LENGTH = 64

/**
 * The bit pattern AUTH carries in its flags: flow control in bytes. stellar-core refuses any other value.
 *
 * @category constants
 * @since 0.1.0
 */
export const AUTH_FLAGS = 200

/**
 * The error codes of ERROR_MSG by the name stellar-core gives them.
 *
 * @category models
 * @since 0.1.0
 */
export const ErrorCode = {
  ERR_MISC: 0,
  ERR_DATA: 1,
  ERR_CONF: 2,
  ERR_AUTH: 3,
  ERR_LOAD: 4
} as const

/**
 * A known error code.
 *
 * @category models
 * @since 0.1.0
 */
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode]

const errorCodeNames: ReadonlyArray<string> = Object.keys(ErrorCode)

/**
 * The name stellar-core prints for an error code, `"UNKNOWN"` for one it does not know.
 *
 * @category getters
 * @since 0.1.0
 */
export const errorCodeName = (code: number): string => errorCodeNames[code] ?? "UNKNOWN"

/**
 * ERROR_MSG: why the sender is about to drop the connection. It is never authenticated.
 *
 * @category models
 * @since 0.1.0
 */
export class ErrorMsg extends Base {
  override readonly _tag = "ErrorMsg"
  override readonly type = MessageType.ErrorMsg

  /**
   * Builds the message; a text longer than 100 bytes of UTF-8 is cut at the last character that fits.
   *
   * Throws `RangeError` when `code` is not a 32-bit integer.
   */
  static make(options: { readonly code: number; readonly text: string }): ErrorMsg {
    const text = F.cutText(options.text, MAX_TEXT_LENGTH)
    const bytes = F.start(MessageType.ErrorMsg, 8 + F.padded(text.length))
    writeUint32(bytes, 4, F.int32("code", options.code))
    F.writeOpaque(bytes, 8, text)
    return new ErrorMsg(bytes)
  }

  /** The code as sent; see {@link ErrorCode}. As in stellar-core, unknown ones are valid. */
  get code(): number {
    return readInt32(this.bytes, 4)
  }

  /** The name of the code, for example `"ERR_LOAD"`, or `"UNKNOWN"`. */
  get codeName(): string {
    return errorCodeName(this.code)
  }

  /** The text as bytes. */
  get textBytes(): Uint8Array {
    return F.opaque(this.bytes, 8)
  }

  /** The text, hostile until escaped; bytes that are not UTF-8 read as U+FFFD. */
  get text(): string {
    return F.text(this.textBytes)
  }

  protected override fields(): { readonly [field: string]: Json } {
    return { code: this.code, codeName: this.codeName, text: this.text }
  }

  protected override decode(): xdr.StellarMessage {
    if (this.code in errorCodeNames) return super.decode()
    const known = new Uint8Array(this.bytes)
    writeUint32(known, 4, ErrorCode.ERR_MISC)
    const value = decodeXdr(xdr.StellarMessage, known)
    value.error().code(unknownMember(xdr.ErrorCode.errMisc(), this.code))
    return value
  }
}

/**
 * AUTH: the second and last message of a handshake, from each side.
 *
 * @category models
 * @since 0.1.0
 */
export class Auth extends Base {
  override readonly _tag = "Auth"
  override readonly type = MessageType.Auth

  /** Builds the message. Throws `RangeError` when `flags` is not a 32-bit integer. */
  static make(options: { readonly flags: number } = { flags: AUTH_FLAGS }): Auth {
    const bytes = F.start(MessageType.Auth, 4)
    writeUint32(bytes, 4, F.int32("flags", options.flags))
    return new Auth(bytes)
  }

  /** The flags; 200 asks for flow control in bytes. */
  get flags(): number {
    return readInt32(this.bytes, 4)
  }

  protected override fields(): { readonly [field: string]: Json } {
    return { flags: this.flags }
  }
}

/**
 * The certificate inside a HELLO, by which a node signs its ephemeral X25519 key (protocol.md section 2.2).
 *
 * @category models
 * @since 0.1.0
 */
export interface AuthCert {
  /** The ephemeral Curve25519 public key: 32 bytes. */
  readonly pubkey: Uint8Array
  /** When the certificate ends, in seconds of Unix time. */
  readonly expiration: bigint
  /** The Ed25519 signature: 64 bytes when honest, at most 64. */
  readonly signature: Uint8Array
}

/**
 * The fields of a HELLO.
 *
 * @category models
 * @since 0.1.0
 */
export interface HelloFields {
  readonly ledgerVersion: number
  readonly overlayVersion: number
  readonly overlayMinVersion: number
  /** SHA-256 of the network passphrase: 32 bytes. */
  readonly networkId: Uint8Array
  /** At most 100 bytes of UTF-8. */
  readonly versionStr: string | Uint8Array
  readonly listeningPort: number
  /** A strkey, or the 32 bytes of the key. */
  readonly peerId: NodeId.NodeId | Uint8Array
  readonly cert: AuthCert
  /** 32 random bytes of this connection. */
  readonly nonce: Uint8Array
}

/** Where the fields behind the version string begin. */
const tailOf = (bytes: Uint8Array): number => F.skipOpaque(bytes, 48)

/**
 * HELLO: the first message of each side, which says who it is and offers its key.
 *
 * @category models
 * @since 0.1.0
 */
export class Hello extends Base {
  override readonly _tag = "Hello"
  override readonly type = MessageType.Hello

  /**
   * Builds the message.
   *
   * Throws `RangeError` when a number does not fit its field, a hash or key does not have 32 bytes, the version string
   * has more than 100 bytes or the signature more than 64.
   */
  static make(options: HelloFields): Hello {
    const version = F.atMost(
      "versionStr",
      typeof options.versionStr === "string" ? F.encodeText(options.versionStr) : options.versionStr,
      MAX_TEXT_LENGTH
    )
    const key = typeof options.peerId === "string" ? NodeId.toBytes(options.peerId) : options.peerId
    const signature = F.atMost("cert.signature", options.cert.signature, MAX_SIGNATURE_LENGTH)
    const bytes = F.start(MessageType.Hello, 164 + F.padded(version.length) + F.padded(signature.length))
    writeUint32(bytes, 4, F.uint32("ledgerVersion", options.ledgerVersion))
    writeUint32(bytes, 8, F.uint32("overlayVersion", options.overlayVersion))
    writeUint32(bytes, 12, F.uint32("overlayMinVersion", options.overlayMinVersion))
    bytes.set(F.hash("networkId", options.networkId), 16)
    const at = F.writeOpaque(bytes, 48, version)
    writeUint32(bytes, at, F.int32("listeningPort", options.listeningPort))
    bytes.set(F.hash("peerId", key), at + 8)
    bytes.set(F.hash("cert.pubkey", options.cert.pubkey), at + 40)
    writeUint64(bytes, at + 72, F.uint64("cert.expiration", options.cert.expiration))
    bytes.set(F.hash("nonce", options.nonce), F.writeOpaque(bytes, at + 80, signature))
    return new Hello(bytes)
  }

  /** The highest ledger protocol the sender supports. */
  get ledgerVersion(): number {
    return readUint32(this.bytes, 4)
  }

  /** The highest overlay version the sender speaks. */
  get overlayVersion(): number {
    return readUint32(this.bytes, 8)
  }

  /** The lowest overlay version the sender accepts. */
  get overlayMinVersion(): number {
    return readUint32(this.bytes, 12)
  }

  /** SHA-256 of the network passphrase: a view of 32 bytes. */
  get networkId(): Uint8Array {
    return this.bytes.subarray(16, 48)
  }

  /** The sender's build as bytes, at most 100. */
  get versionBytes(): Uint8Array {
    return F.opaque(this.bytes, 48)
  }

  /** The sender's build, hostile until escaped; bytes that are not UTF-8 read as U+FFFD. */
  get versionStr(): string {
    return F.text(this.versionBytes)
  }

  /** The port the sender says it listens on, unchecked: any 32-bit integer. */
  get listeningPort(): number {
    return readInt32(this.bytes, tailOf(this.bytes))
  }

  /** The sender's Ed25519 public key: a view of 32 bytes. */
  get peerKey(): Uint8Array {
    const at = tailOf(this.bytes) + 8
    return this.bytes.subarray(at, at + 32)
  }

  /** The sender's identity. */
  get peerId(): NodeId.NodeId {
    return NodeId.fromBytes(this.peerKey)
  }

  /** The certificate; its parts are views. */
  get cert(): AuthCert {
    const at = tailOf(this.bytes)
    return {
      pubkey: this.bytes.subarray(at + 40, at + 72),
      expiration: readUint64(this.bytes, at + 72),
      signature: F.opaque(this.bytes, at + 80)
    }
  }

  /** The sender's 32 random bytes for this connection: a view. */
  get nonce(): Uint8Array {
    const at = F.skipOpaque(this.bytes, tailOf(this.bytes) + 80)
    return this.bytes.subarray(at, at + 32)
  }

  protected override fields(): { readonly [field: string]: Json } {
    const cert = this.cert
    return {
      ledgerVersion: this.ledgerVersion,
      overlayVersion: this.overlayVersion,
      overlayMinVersion: this.overlayMinVersion,
      networkId: toHex(this.networkId),
      versionStr: this.versionStr,
      listeningPort: this.listeningPort,
      peerId: this.peerId,
      cert: {
        pubkey: toHex(cert.pubkey),
        expiration: String(cert.expiration),
        signature: toHex(cert.signature)
      },
      nonce: toHex(this.nonce)
    }
  }
}
