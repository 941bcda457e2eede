/**
 * A peer that is not our code, against one `Session`: it says whatever a test tells it to, and writes down what it hears.
 *
 * Its frames, keys and MACs are computed here from protocol.md sections 1 and 2 with node:crypto, so that what a test
 * sees is the wire and not our own reading of it.
 */
import { End, type EndOptions } from "@stellar-overlay/overlay-test/SessionPair"
import { createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman, sign } from "node:crypto"
import type { Role } from "../../src/protocol/Handshake.ts"
import type { Now } from "../../src/protocol/Primitives.ts"
import { coreName } from "../../src/wire/MessageType.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import { Auth, type AuthCert, ErrorMsg, fromBytes, Hello, type StellarMessage } from "../../src/wire/StellarMessage.ts"

const PASSPHRASE = "Standalone Network ; February 2017"
const T0 = 1_767_225_600

export const sha256 = (...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(part)
  return hash.digest()
}

const hmac = (key: Uint8Array, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const mac = createHmac("sha256", key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}

/** A private key of node:crypto from 32 bytes. */
const privateKey = (kind: "ed25519" | "x25519", secret: Uint8Array) =>
  createPrivateKey({
    key: Buffer.concat([
      Buffer.from(`302e020100300506032b65${kind === "ed25519" ? "70" : "6e"}04220420`, "hex"),
      secret
    ]),
    format: "der",
    type: "pkcs8"
  })

const rawPublic = (kind: "ed25519" | "x25519", secret: Uint8Array): Buffer =>
  createPublicKey(privateKey(kind, secret)).export({ format: "der", type: "spki" }).subarray(-32)

const spki = (raw: Uint8Array) =>
  createPublicKey({
    key: Buffer.concat([Buffer.from("302a300506032b656e032100", "hex"), raw]),
    format: "der",
    type: "spki"
  })

const be32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

const be64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

const SEED = sha256(Buffer.from("seed of the remote"))
const PUBLIC_KEY = rawPublic("ed25519", SEED)
const CURVE_SECRET = sha256(Buffer.from("curve secret of the remote"))
const CURVE_KEY = rawPublic("x25519", CURVE_SECRET)

/** One frame: mark, v, sequence, message, MAC. */
export const frame = (message: Uint8Array, sequence: bigint, mac: Uint8Array): Buffer =>
  Buffer.concat([
    be32(0x8000_0000 + 44 + message.length),
    be32(0),
    be64(sequence),
    message,
    mac
  ])

export interface HelloChanges {
  /** The identity whose key signs and is announced; the remote's own by default. */
  readonly seed?: Uint8Array
  readonly overlayVersion?: number
  readonly overlayMinVersion?: number
  readonly listeningPort?: number
  /** The network the certificate is signed for. */
  readonly certNetworkId?: Uint8Array
  readonly networkId?: Uint8Array
  readonly versionStr?: string
  readonly expiration?: bigint
  /** Changes the certificate after it was signed. */
  readonly tamper?: (cert: AuthCert) => AuthCert
  readonly curveKey?: Uint8Array
}

export interface RemoteOptions extends EndOptions {
  /** The role of the session under test. */
  readonly role?: Role
  /** Where the session believes its socket leads. */
  readonly address?: PeerAddress
}

/** What the remote heard, decoded and with its MAC checked. */
export interface Heard {
  readonly message: StellarMessage
  readonly sequence: bigint
  /** Whether the MAC was the one of protocol.md 1.6; undefined where it was 32 zeros. */
  readonly mac: boolean | undefined
  /** Bit 31 of the record mark. */
  readonly bit31: boolean
}

export class Remote {
  readonly subject: End
  readonly heard: Array<Heard> = []
  readonly seed: Uint8Array = SEED
  readonly publicKey = PUBLIC_KEY
  /** The curve key in this side's certificate. */
  readonly curveKey = CURVE_KEY
  readonly nonce = sha256(Buffer.from("nonce of the remote"))
  readonly networkId = sha256(Buffer.from(PASSPHRASE))
  now: Now = { millis: 0, unixSeconds: T0 }
  /** The number of the next message that carries a MAC. */
  sequence = 0n
  /** When true, nothing of what the session writes is taken: its write does not complete. */
  deaf = false
  /** When each slab was taken, in milliseconds. */
  readonly slabs: Array<number> = []
  #pendingWrite = false
  readonly #role: Role
  #send: Buffer | undefined
  #receive: Buffer | undefined
  #received = 0n
  #rest = Buffer.alloc(0)

  constructor(options: RemoteOptions = {}) {
    const { address = PeerAddress.make("192.0.2.1", 50000), role = "acceptor", ...end } = options
    this.#role = role === "acceptor" ? "initiator" : "acceptor"
    this.subject = new End("subject", role, address, end, this.now)
    if (role === "initiator") this.subject.session.connected(this.now)
    this.pump()
  }

  get session() {
    return this.subject.session
  }

  /** Core's names of the messages heard so far, ERROR_MSG with its code and text. */
  get names(): Array<string> {
    return this.heard.map(({ message }) =>
      message._tag === "ErrorMsg" ? `ERROR_MSG ${message.codeName} ${message.text}` : coreName(message.type)
    )
  }

  /** The messages heard of a tag. */
  all<Tag extends StellarMessage["_tag"]>(tag: Tag): Array<Extract<StellarMessage, { readonly _tag: Tag }>> {
    return this.heard.map(({ message }) => message)
      .filter((m): m is Extract<StellarMessage, { readonly _tag: Tag }> => m._tag === tag)
  }

  /** A certificate as protocol.md 2.2 lays it down. */
  certificate(changes: HelloChanges = {}): AuthCert {
    const pubkey = changes.curveKey ?? this.curveKey
    const expiration = changes.expiration ?? BigInt(this.now.unixSeconds + 3600)
    const hash = sha256(changes.certNetworkId ?? this.networkId, be32(3), be64(expiration), pubkey)
    const signature = sign(null, hash, privateKey("ed25519", changes.seed ?? this.seed))
    const cert = { pubkey, expiration, signature }
    return changes.tamper?.(cert) ?? cert
  }

  hello(changes: HelloChanges = {}): Hello {
    return Hello.make({
      ledgerVersion: 27,
      overlayVersion: changes.overlayVersion ?? 42,
      overlayMinVersion: changes.overlayMinVersion ?? 38,
      networkId: changes.networkId ?? this.networkId,
      versionStr: changes.versionStr ?? "remote",
      listeningPort: changes.listeningPort ?? 11625,
      peerId: changes.seed === undefined ? this.publicKey : rawPublic("ed25519", changes.seed),
      cert: this.certificate(changes),
      nonce: this.nonce
    })
  }

  /** The frame of a message as an honest peer sends it next. */
  encode(message: StellarMessage): Buffer {
    if (message._tag === "Hello" || message._tag === "ErrorMsg") return frame(message.bytes, 0n, Buffer.alloc(32))
    return this.signed(message)
  }

  /** As `encode`, but HELLO and ERROR_MSG get a sequence number and a MAC too. */
  signed(message: StellarMessage): Buffer {
    const sequence = this.sequence++
    const mac = this.#send === undefined ? Buffer.alloc(32, 0x5a) : hmac(this.#send, be64(sequence), message.bytes)
    return frame(message.bytes, sequence, mac)
  }

  /** Says messages properly, in one chunk. */
  say(...messages: ReadonlyArray<StellarMessage>): this {
    return this.raw(Buffer.concat(messages.map((message) => this.encode(message))))
  }

  /** Brings bytes to the session and takes what it answers. */
  raw(bytes: Uint8Array): this {
    this.subject.session.receive(new Uint8Array(bytes), this.now)
    return this.pump()
  }

  /** Says HELLO (and AUTH, when the session is past it): a handshake, up to authentication. */
  shakeHands(changes: HelloChanges = {}, flags = 200): this {
    return this.say(this.hello(changes)).say(Auth.make({ flags }))
  }

  /** The TCP connection ends. */
  end(): this {
    this.session.drop(this.session.readFailure(true, ""), this.now)
    return this.pump()
  }

  error(code: number, text: string): this {
    return this.say(ErrorMsg.make({ code, text }))
  }

  /** Takes everything the session writes; the session's consumer takes everything it is given, unless it is idle. */
  pump(): this {
    const { subject } = this
    const { session } = subject
    for (;;) {
      const before = this.heard.length + subject.received.length
      this.take()
      if (session.hasBacklog && session.canRead) session.process(this.now)
      for (let batch; !subject.idle && (batch = subject.take()) !== undefined;) session.settle(batch, this.now)
      subject.events.push(...session.events.splice(0))
      if (before === this.heard.length + subject.received.length && !session.hasBacklog) return this
      if (session.hasBacklog && !session.canRead) return this
    }
  }

  /** Takes what the session writes, unless deaf: then one write is begun and does not end. */
  take(): void {
    const { session } = this.subject
    if (this.deaf && this.#pendingWrite) return
    if (this.#pendingWrite) {
      this.#pendingWrite = false
      session.wrote(this.now)
    }
    for (let slab; (slab = session.nextWrite(this.now)) !== undefined;) {
      this.slabs.push(this.now.millis)
      this.#hear(slab)
      if (this.deaf) {
        this.#pendingWrite = true
        return
      }
      session.wrote(this.now)
    }
  }

  /** Moves time on, stopping at every deadline of the session. */
  advance(millis: number, onStop: () => void = () => undefined): this {
    const end = this.now.millis + millis
    const { session } = this.subject
    while (this.now.millis < end) {
      const next = Math.min(end, session.nextDeadline)
      this.now = { millis: next, unixSeconds: T0 + Math.floor(next / 1000) }
      if (session.nextDeadline <= next) session.tick(this.now)
      this.pump()
      onStop()
    }
    return this
  }

  #hear(slab: Uint8Array): void {
    let bytes = Buffer.concat([this.#rest, slab])
    while (bytes.length >= 4) {
      const mark = bytes.readUInt32BE(0)
      const length = mark & 0x7fff_ffff
      if (bytes.length < 4 + length) break
      const body = bytes.subarray(4, 4 + length)
      bytes = bytes.subarray(4 + length)
      const message = fromBytes(new Uint8Array(body.subarray(12, -32)))
      if (message._tag === "Hello") this.#deriveKeys(message)
      const sequence = body.readBigUInt64BE(4)
      const mac = body.subarray(-32)
      const good = mac.equals(Buffer.alloc(32))
        ? undefined
        : this.#receive !== undefined && sequence === this.#received++
          && mac.equals(hmac(this.#receive, be64(sequence), message.bytes))
      this.heard.push({ message, sequence, mac: good, bit31: mark >= 0x8000_0000 })
    }
    this.#rest = Buffer.from(bytes)
  }

  /** Protocol.md 2.3. */
  #deriveKeys(hello: Hello): void {
    const theirs = Buffer.from(hello.cert.pubkey)
    const q = diffieHellman({ privateKey: privateKey("x25519", CURVE_SECRET), publicKey: spki(theirs) })
    const initiator = this.#role === "initiator"
    const [pubA, pubB] = initiator ? [this.curveKey, theirs] : [theirs, this.curveKey]
    const [nonceA, nonceB] = initiator ? [this.nonce, hello.nonce] : [hello.nonce, this.nonce]
    const k = hmac(Buffer.alloc(32), q, pubA, pubB)
    const one = Buffer.of(1)
    const ab = hmac(k, Buffer.of(0), nonceA, nonceB, one)
    const ba = hmac(k, Buffer.of(1), nonceB, nonceA, one)
    this.#send = initiator ? ab : ba
    this.#receive = initiator ? ba : ab
  }
}

/** A remote that has shaken hands and heard the session's opening; `heard` starts empty. */
export const authenticated = (options: RemoteOptions = {}): Remote => {
  const remote = new Remote(options).shakeHands()
  remote.heard.length = 0
  return remote
}
