/**
 * Who a scripted peer is on the wire: its identity and keys, how it encodes what it says, and how it reads and remembers
 * what it hears.
 *
 * It encodes rightly unless told otherwise, frame by frame. What it hears it parses, decodes and checks by protocol.md
 * 1.6, so that a test sees when the other end's frames are wrong.
 *
 * @since 0.1.0
 */
import * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import type { Role } from "@stellar-overlay/overlay/protocol/Handshake"
import { PeerAuth } from "@stellar-overlay/overlay/protocol/PeerAuth"
import type { MacKey, Now, Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import * as AuthenticatedMessage from "@stellar-overlay/overlay/wire/AuthenticatedMessage"
import { FrameError, FrameParser, MARK_LENGTH, MAX_BODY } from "@stellar-overlay/overlay/wire/Frame"
import { type MessageTag, MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import {
  type ErrorMsg,
  fromUntrusted,
  Hello,
  type StellarMessage,
  type Tagged
} from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Result from "effect/Result"
import { forgeCertificate, type HelloOverrides } from "./HandshakeScript.ts"
import { ScriptFailure } from "./Script.ts"
import * as TestCrypto from "./TestCrypto.ts"

/**
 * Who the scripted peer is.
 *
 * @category options
 * @since 0.1.0
 */
export interface PeerScriptOptions {
  /** Whether it dialled (`initiator`, the default) or was dialled. */
  readonly role?: Role | undefined
  /** Decides its keys and its chance; "scripted" unless given. */
  readonly seed?: number | string | undefined
  /** What its cryptography is made of, chance excepted; node:crypto unless given. */
  readonly crypto?: Primitives | undefined
  /** Its Ed25519 seed, 32 bytes; drawn from `seed` unless given. */
  readonly identity?: Uint8Array | undefined
  /** The standalone network unless given. */
  readonly networkPassphrase?: string | undefined
  /** What every HELLO of it says instead. */
  readonly hello?: HelloOverrides | undefined
  /** The flags of its AUTH; 200 unless given. */
  readonly authFlags?: number | undefined
  /** How every write is cut; one piece unless given. Each piece is written by itself. */
  readonly chunking?: ((bytes: Uint8Array) => ReadonlyArray<Uint8Array>) | undefined
  /** Milliseconds between two pieces of a write; 0 unless given. */
  readonly chunkPauseMillis?: number | undefined
  /** Added to every upper bound of time: for clocks that are real. 0 unless given. */
  readonly slackMillis?: number | undefined
}

/**
 * How one frame differs from a right one.
 *
 * @category options
 * @since 0.1.0
 */
export interface FrameOverrides {
  /** The whole 32-bit record mark. */
  readonly mark?: number | undefined
  /** The union discriminant, 0 when right. */
  readonly v?: number | undefined
  /** Instead of the next sequence number, which then stays the next. */
  readonly sequence?: bigint | undefined
  /** 32 bytes instead of the MAC, or `"zero"`. */
  readonly mac?: Uint8Array | "zero" | undefined
  /** Gives HELLO or ERROR_MSG a sequence number and a MAC, which they never have. */
  readonly authenticated?: boolean | undefined
  /** Changes the finished frame, mark included, in place. */
  readonly damage?: ((frame: Uint8Array) => void) | undefined
}

/**
 * A frame that was heard.
 *
 * @category models
 * @since 0.1.0
 */
export interface Heard {
  /** Monotonic milliseconds. */
  readonly at: number
  readonly body: Uint8Array
  /** Undefined when the body is not a message of this protocol. */
  readonly message: StellarMessage | undefined
  readonly sequence: bigint
  /** Whether sequence and MAC are what protocol.md 1.6 demands: both zero for HELLO and ERROR_MSG. */
  readonly authentic: boolean
}

/**
 * How the connection ended, and when: in order, broken, or in a frame no parser accepts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ending {
  readonly at: number
  readonly kind: "Eof" | "Reset" | "BadFrame"
  readonly detail: string
}

/**
 * The peer without its verbs; see `PeerScript`.
 *
 * @category models
 * @since 0.1.0
 */
export class ScriptedNode {
  readonly options: PeerScriptOptions
  readonly role: Role
  readonly crypto: Primitives
  /** How often each primitive was used, by this peer. */
  readonly counts: () => TestCrypto.CryptoCounts
  readonly auth: PeerAuth
  readonly identity: Uint8Array
  readonly id: NodeId.NodeId
  readonly networkId: Uint8Array
  /** What HELLO carries; 32 bytes. */
  readonly nonce: Uint8Array

  /** Every frame heard, in order. */
  readonly heard: Array<Heard> = []
  /** Every chunk written, in order. */
  readonly written: Array<Uint8Array> = []
  /** How the connection ended; undefined while it lives. */
  ending: Ending | undefined
  /** The moment of the last reply. */
  now: Now
  /** The number the next authenticated frame gets. */
  sendSequence = 0n
  /** The number the next authenticated frame from the other end must carry. */
  receiveSequence = 0n

  readonly #parser = new FrameParser()
  #sendKey: MacKey | undefined
  #receiveKey: MacKey | undefined

  constructor(options: PeerScriptOptions, now: Now) {
    const counted = TestCrypto.make(`PeerScript/${options.seed ?? "scripted"}`, options.crypto)
    this.options = options
    this.role = options.role ?? "initiator"
    this.crypto = counted.primitives
    this.counts = counted.counts
    this.now = now
    const passphrase = options.networkPassphrase ?? OverlayConfig.passphrases.standalone
    this.networkId = this.crypto.sha256(new TextEncoder().encode(passphrase))
    this.identity = options.identity ?? this.crypto.randomBytes(32)
    this.auth = new PeerAuth(this.crypto, this.networkId, this.identity)
    this.nonce = this.crypto.randomBytes(32)
    this.id = NodeId.fromBytes(this.crypto.ed25519PublicKey(this.identity))
  }

  // -------------------------------------------------------------------------------------------------- encoding

  /** The HELLO it would say now, with further deviations. */
  hello(overrides: HelloOverrides = {}): Hello {
    const { certificate, ...fields } = { ...this.options.hello, ...overrides }
    return Hello.make({
      ledgerVersion: 27,
      overlayVersion: 42,
      overlayMinVersion: 38,
      networkId: this.networkId,
      versionStr: "scripted peer",
      listeningPort: 11_625,
      peerId: this.id,
      nonce: this.nonce,
      cert: forgeCertificate({
        crypto: this.crypto,
        seed: this.identity,
        networkId: this.networkId,
        pubkey: this.auth.curvePublicKey,
        unixSeconds: this.now.unixSeconds
      }, certificate),
      ...fields
    })
  }

  /** The frame of a message, or of the bytes of one: marked, numbered and MAC'd as the next one, but for overrides. */
  encode(message: StellarMessage | Uint8Array, overrides: FrameOverrides = {}): Uint8Array {
    const bytes = message instanceof Uint8Array ? message : message.bytes
    const frame = new Uint8Array(AuthenticatedMessage.frameLengthFor(bytes.length))
    const view = new DataView(frame.buffer)
    const type = bytes.length < 4 ? -1 : new DataView(bytes.buffer, bytes.byteOffset).getInt32(0)
    const exempt = type === MessageType.Hello || type === MessageType.ErrorMsg
    const authenticated = overrides.authenticated ?? !exempt
    const sequence = overrides.sequence ?? (authenticated ? this.sendSequence : 0n)
    if (authenticated && overrides.sequence === undefined) this.sendSequence++
    AuthenticatedMessage.writeFrame(frame, 0, bytes, Number(sequence >> 32n), Number(sequence & 0xffff_ffffn))
    const macAt = frame.length - AuthenticatedMessage.MAC_LENGTH
    if (overrides.mac instanceof Uint8Array) frame.set(overrides.mac, macAt)
    else if (authenticated && overrides.mac !== "zero") {
      this.#sendKey?.sign(frame, [AuthenticatedMessage.FRAME_MAC_INPUT_OFFSET, macAt], 1)
    }
    if (overrides.mark !== undefined) view.setUint32(0, overrides.mark)
    if (overrides.v !== undefined) view.setUint32(MARK_LENGTH, overrides.v)
    overrides.damage?.(frame)
    return frame
  }

  /** Whether MAC keys are agreed: both HELLOs were exchanged. */
  get hasKeys(): boolean {
    return this.#sendKey !== undefined
  }

  // --------------------------------------------------------------------------------------- what the runner tells

  /** Bytes arrived. */
  hear(chunk: Uint8Array, now: Now): void {
    this.#parser.push(chunk)
    for (let body; (body = this.#parser.next(MAX_BODY)) !== undefined;) {
      if (body instanceof FrameError) {
        this.end("BadFrame", `${body._tag} ${body.length}`, now)
        return
      }
      this.heard.push(this.#read(body.slice(), now))
    }
  }

  /** The connection is over. */
  end(kind: Ending["kind"], detail: string, now: Now): void {
    this.ending ??= { at: now.millis, kind, detail }
  }

  #read(body: Uint8Array, now: Now): Heard {
    const decodable = AuthenticatedMessage.validate(body) === -1
    const decoded = decodable ? fromUntrusted(AuthenticatedMessage.message(body)) : undefined
    const message = decoded !== undefined && Result.isSuccess(decoded) ? decoded.success : undefined
    const sequence = decodable ? AuthenticatedMessage.sequence(body) : 0n
    const authentic = message !== undefined && this.#isAuthentic(body, message, sequence)
    if (message?._tag === "Hello") this.#agree(message)
    return { at: now.millis, body, message, sequence, authentic }
  }

  #isAuthentic(body: Uint8Array, message: StellarMessage, sequence: bigint): boolean {
    if (message._tag === "Hello" || message._tag === "ErrorMsg") {
      return sequence === 0n && AuthenticatedMessage.mac(body).every((byte) => byte === 0)
    }
    if (sequence !== this.receiveSequence || this.#receiveKey?.verify([body], 1) !== 1) return false
    this.receiveSequence++
    return true
  }

  /** The first HELLO decides the keys, as in the other end. */
  #agree(hello: Hello): void {
    if (this.hasKeys) return
    const nonce = this.options.hello?.nonce ?? this.nonce
    const keys = this.auth.macKeys(this.role, nonce, hello.nonce, hello.cert.pubkey)
    if (keys === undefined) return
    this.#sendKey = this.crypto.macKey(keys.send)
    this.#receiveKey = this.crypto.macKey(keys.receive)
  }

  // ---------------------------------------------------------------------------------------------------- looking

  /** The tags of what was heard, in order; `"?"` for a frame without a message. */
  get tags(): Array<MessageTag | "?"> {
    return this.heard.map(({ message }) => message?._tag ?? "?")
  }

  /** The messages heard that have a tag. */
  messages<Tag extends MessageTag>(tag: Tag): Array<Tagged<Tag>> {
    return this.heard.flatMap(({ message }) => isTagged(message, tag) ? [message] : [])
  }

  /** A failure of this peer's script, with what was heard so far. */
  failure(expected: string, actual: string): ScriptFailure {
    return new ScriptFailure({ expected, actual, transcript: this.transcript })
  }

  /** One line for each frame heard (the last hundred), and for the end. */
  get transcript(): Array<string> {
    const lines = this.heard.slice(-100).map((heard) => `${Math.round(heard.at)} ms ${describeHeard(heard)}`)
    return this.ending === undefined ? lines : [...lines, this.endingText]
  }

  /** How the connection ended, in words. */
  get endingText(): string {
    return this.ending === undefined
      ? "it is open"
      : `${this.ending.kind} at ${Math.round(this.ending.at)} ms ${this.ending.detail}`
  }
}

const isTagged = <Tag extends MessageTag>(message: StellarMessage | undefined, tag: Tag): message is Tagged<Tag> =>
  message?._tag === tag

/** An ERROR_MSG in words. @internal */
export const errorText = (message: ErrorMsg): string => `${message.codeName} ${JSON.stringify(message.text)}`

/** A frame in a few words. @internal */
export const describeHeard = ({ authentic, body, message }: Heard): string => {
  if (message === undefined) return `${body.length} bytes that are no message`
  const text = message._tag === "ErrorMsg" ? ` ${errorText(message)}` : ""
  return `${message._tag}${text}${authentic ? "" : " (not authentic)"}`
}
