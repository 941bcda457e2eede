/**
 * The ceiling: the protocol as a straight-line program.
 *
 * It does what the wire demands and nothing else: frames, sequence numbers, MACs by the same primitive as the library
 * (`MacKey` of `NodeOverlayCrypto`), the type of each message, and, unless told not to, flow-control credit. No Effect,
 * no XDR decoding or validation, no queues, priorities, limits, timers or counters, no protection against anybody.
 * Writes are coalesced into slabs; frames are handed over as views.
 */
import { primitives } from "@stellar-overlay/overlay/NodeOverlayCrypto"
import type { MacKey } from "@stellar-overlay/overlay/protocol/Primitives"
import { createHash } from "node:crypto"
import { connect, createServer, type Socket } from "node:net"

const ERROR_MSG = 0
const AUTH = 2
const TRANSACTION = 8
const SCP_MESSAGE = 11
const GET_SCP_STATE = 12
const HELLO = 13
const FLOOD_ADVERT = 18
const FLOOD_DEMAND = 19
const SEND_MORE_EXTENDED = 20

/** Mark 4, union discriminant 4, sequence 8, MAC 32. */
const OVERHEAD = 48
const SLAB_BYTES = 65_536

const GRANT_MESSAGES = 40
const GRANT_BYTES = 100_000
const FLOOD_MESSAGES = 200
const FLOOD_BYTES = 300_000

const isFlood = (type: number): boolean =>
  type === SCP_MESSAGE || type === TRANSACTION || type === FLOOD_ADVERT || type === FLOOD_DEMAND

const readUint32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

const writeUint32 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))

const uint32 = (...values: ReadonlyArray<number>): Uint8Array => {
  const bytes = new Uint8Array(4 * values.length)
  for (const [i, value] of values.entries()) writeUint32(bytes, 4 * i, value)
  return bytes
}

// --------------------------------------------------------------------------------------------------------- the node

const networkId = new Uint8Array(createHash("sha256").update("Standalone Network ; February 2017").digest())
const version = Buffer.from("straight-line program...") // 24 bytes: no padding

/** What the process is to its peers: made once. */
export interface Node {
  readonly publicKey: Uint8Array
  readonly curveSecret: Uint8Array
  readonly curvePublic: Uint8Array
  /** HELLO up to the nonce: everything before it is the same for every connection. */
  readonly hello: Uint8Array
  /** Agreed keys by role and remote key; undefined agrees anew for every connection. */
  readonly cache: Map<string, Uint8Array> | undefined
}

const certificateHash = (expiration: Uint8Array, curveKey: Uint8Array): Uint8Array =>
  primitives.sha256(concat(networkId, uint32(3), expiration, curveKey))

export const makeNode = (options: { readonly cacheKeys: boolean }): Node => {
  const seed = primitives.randomBytes(32)
  const publicKey = primitives.ed25519PublicKey(seed)
  const curveSecret = primitives.randomBytes(32)
  const curvePublic = primitives.x25519PublicKey(curveSecret)
  const expiration = uint32(0, Math.floor(Date.now() / 1000) + 3600)
  const signature = primitives.ed25519Sign(seed, certificateHash(expiration, curvePublic))
  const hello = concat(
    uint32(HELLO, 27, 42, 38),
    networkId,
    uint32(version.length),
    version,
    uint32(11625, 0),
    publicKey,
    curvePublic,
    expiration,
    uint32(64),
    signature
  )
  return { publicKey, curveSecret, curvePublic, hello, cache: options.cacheKeys ? new Map() : undefined }
}

// ----------------------------------------------------------------------------------------------------- one connection

/** How a connection differs from the default. */
export interface LinkOptions {
  /** False: no credit is given, needed or waited for, by either side. */
  readonly credit: boolean
}

type Phase = "hello" | "auth" | "open" | "closed"

/** One straight-line connection. */
export class Link {
  readonly socket: Socket
  /** Resolves when both sides are authenticated. */
  readonly ready: Promise<void>
  /** Messages received, credit and session messages not counted. */
  received = 0
  /** Called after each read that brought such messages. */
  onReceived: (() => void) | undefined
  /** Called for each of them, when set. */
  onMessage: ((body: Uint8Array, type: number) => void) | undefined

  private readonly node: Node
  private readonly initiator: boolean
  private readonly credit: boolean
  private readonly nonce = primitives.randomBytes(32)
  private phase: Phase = "hello"
  private resolveReady: () => void = () => undefined
  private sendKey: MacKey | undefined
  private receiveKey: MacKey | undefined
  private sendSequence = 0
  private receiveSequence = 0

  private readonly bodies: Array<Uint8Array> = []
  private rest: Buffer | undefined
  private partial: Buffer | undefined
  private filled = 0
  private processedMessages = 0
  private processedBytes = 0

  private creditMessages = 0
  private creditBytes = 0
  private queue: ReadonlyArray<Uint8Array> = []
  private next = 0
  private left = 0
  private resolveSent: () => void = () => undefined
  private readonly spans: Array<number> = []

  constructor(socket: Socket, node: Node, initiator: boolean, options: LinkOptions) {
    this.socket = socket
    this.node = node
    this.initiator = initiator
    this.credit = options.credit
    this.ready = new Promise((resolve) => {
      this.resolveReady = resolve
    })
    socket.setNoDelay(true)
    socket.on("data", (chunk) => this.onData(chunk))
    socket.on("drain", () => this.pump())
    socket.on("error", () => this.close())
    if (initiator) this.writeHello()
  }

  close(): void {
    this.phase = "closed"
    this.socket.destroy()
  }

  /** Says goodbye as the library does when a scope ends, and ends the stream. */
  goodbye(): void {
    this.socket.end(this.frame(concat(uint32(ERROR_MSG, 0, 8), Buffer.from("shutdown")), false))
    this.phase = "closed"
  }

  // ------------------------------------------------------------------------------------------------------- sending

  /** Sends `count` bodies, beginning with the first and over again; resolves when the kernel took the last. */
  send(bodies: ReadonlyArray<Uint8Array>, count: number): Promise<void> {
    this.queue = bodies
    this.next = 0
    this.left = count
    return new Promise((resolve) => {
      this.resolveSent = resolve
      this.pump()
    })
  }

  private pump(): void {
    while (this.left > 0 && !this.socket.writableNeedDrain) {
      let count = 0
      let bytes = 0
      for (; count < this.left; count++) {
        const body = this.queue[(this.next + count) % this.queue.length]!
        if (this.credit && isFlood(readUint32(body, 0))) {
          if (this.creditMessages < 1 || this.creditBytes < body.length) break
          if (bytes > 0 && bytes + body.length + OVERHEAD > SLAB_BYTES) break
          this.creditMessages--
          this.creditBytes -= body.length
        } else if (bytes > 0 && bytes + body.length + OVERHEAD > SLAB_BYTES) break
        bytes += body.length + OVERHEAD
      }
      if (count === 0) return
      const slab = Buffer.allocUnsafe(bytes)
      const spans = this.spans
      let at = 0
      for (let i = 0; i < count; i++) {
        const body = this.queue[(this.next + i) % this.queue.length]!
        spans[2 * i] = at + 8
        at = this.encode(slab, at, body, true)
        spans[2 * i + 1] = at - 32
      }
      this.sendKey!.sign(slab, spans, count)
      this.next = (this.next + count) % this.queue.length
      this.left -= count
      this.socket.write(slab)
    }
    if (this.left === 0 && this.queue.length > 0 && !this.socket.writableNeedDrain) {
      this.queue = []
      this.resolveSent()
    }
  }

  /** Writes a frame without its MAC. */
  private encode(slab: Uint8Array, at: number, body: Uint8Array, sequenced: boolean): number {
    writeUint32(slab, at, (0x80000000 | (body.length + 44)) >>> 0)
    writeUint32(slab, at + 4, 0)
    writeUint32(slab, at + 8, 0)
    writeUint32(slab, at + 12, sequenced ? this.sendSequence++ : 0)
    slab.set(body, at + 16)
    return at + OVERHEAD + body.length
  }

  private frame(body: Uint8Array, authenticated: boolean): Uint8Array {
    const slab = Buffer.alloc(body.length + OVERHEAD)
    const end = this.encode(slab, 0, body, authenticated)
    if (authenticated) this.sendKey!.sign(slab, [8, end - 32], 1)
    return slab
  }

  /** One message at once, credit disregarded. */
  write(...bodies: ReadonlyArray<Uint8Array>): void {
    this.socket.write(
      bodies.length === 1 ? this.frame(bodies[0]!, true) : Buffer.concat(bodies.map((body) => this.frame(body, true)))
    )
  }

  // ----------------------------------------------------------------------------------------------------- receiving

  private onData(chunk: Buffer): void {
    let data = chunk
    if (this.partial !== undefined) {
      const used = Math.min(chunk.length, this.partial.length - this.filled)
      chunk.copy(this.partial, this.filled, 0, used)
      this.filled += used
      if (this.filled < this.partial.length) return
      this.bodies[0] = this.partial
      this.partial = undefined
      this.take(1)
      if (used === chunk.length) return
      data = chunk.subarray(used)
    } else if (this.rest !== undefined) {
      data = Buffer.concat([this.rest, chunk])
      this.rest = undefined
    }
    let at = 0
    let count = 0
    while (data.length - at >= 4) {
      const length = readUint32(data, at) & 0x7fffffff
      const end = at + 4 + length
      if (end > data.length) {
        this.partial = Buffer.allocUnsafe(length)
        this.filled = data.copy(this.partial, 0, at + 4)
        at = data.length
        break
      }
      this.bodies[count++] = data.subarray(at + 4, end)
      at = end
    }
    if (at < data.length) this.rest = data.subarray(at)
    if (count > 0) this.take(count)
  }

  private take(count: number): void {
    const { bodies } = this
    let first = 0
    while (this.phase !== "open" && first < count) {
      if (this.phase === "closed") return
      this.takeHandshake(bodies[first++]!)
    }
    if (first > 0) bodies.splice(0, first)
    const left = count - first
    for (let i = 0; i < left; i++) {
      const body = bodies[i]!
      if (readUint32(body, 8) !== this.receiveSequence || readUint32(body, 4) !== 0) {
        if (readUint32(body, 12) === ERROR_MSG) return this.close()
        throw new Error("the ceiling received a bad sequence number")
      }
      this.receiveSequence++
    }
    if (this.receiveKey!.verify(bodies, left) !== left) throw new Error("the ceiling received a bad MAC")
    const before = this.received
    for (let i = 0; i < left; i++) {
      const body = bodies[i]!
      const type = readUint32(body, 12)
      switch (type) {
        case SEND_MORE_EXTENDED:
          this.creditMessages += readUint32(body, 16)
          this.creditBytes += readUint32(body, 20)
          break
        case TRANSACTION:
        case SCP_MESSAGE:
        case FLOOD_ADVERT:
        case FLOOD_DEMAND:
          this.received++
          this.processedMessages++
          this.processedBytes += body.length - 44
          this.onMessage?.(body, type)
          if (this.processedMessages >= GRANT_MESSAGES || this.processedBytes >= GRANT_BYTES) this.grant()
          break
        case GET_SCP_STATE:
          break
        default:
          this.received++
          this.onMessage?.(body, type)
      }
    }
    if (this.received > before) this.onReceived?.()
    if (this.left > 0) this.pump()
  }

  private grant(): void {
    if (this.credit) this.write(uint32(SEND_MORE_EXTENDED, this.processedMessages, this.processedBytes))
    this.processedMessages = 0
    this.processedBytes = 0
  }

  // ----------------------------------------------------------------------------------------------------- handshake

  private writeHello(): void {
    this.socket.write(this.frame(concat(this.node.hello, this.nonce), false))
  }

  private takeHandshake(body: Uint8Array): void {
    const type = readUint32(body, 12)
    if (this.phase === "hello" && type === HELLO) {
      this.takeHello(body.subarray(12, body.length - 32))
      if (this.initiator) this.write(uint32(AUTH, 200))
      else this.writeHello()
      this.phase = "auth"
    } else if (this.phase === "auth" && type === AUTH) {
      if (this.receiveKey!.verify([body], 1) !== 1) throw new Error("the ceiling received a bad MAC")
      this.receiveSequence++
      const rest = [uint32(SEND_MORE_EXTENDED, FLOOD_MESSAGES, FLOOD_BYTES), uint32(GET_SCP_STATE, 0)]
      this.write(...(this.initiator ? rest : [uint32(AUTH, 200), ...rest]))
      this.phase = "open"
      this.resolveReady()
    } else throw new Error(`the ceiling received message type ${type} during the handshake`)
  }

  private takeHello(hello: Uint8Array): void {
    // after the version string: port 4, key type 4, node key 32, certificate (32, 8, 4 + 64), nonce 32
    const at = 52 + ((readUint32(hello, 48) + 3) & ~3)
    const peerKey = hello.subarray(at + 8, at + 40)
    const curveKey = hello.subarray(at + 40, at + 72)
    const hash = certificateHash(hello.subarray(at + 72, at + 80), curveKey)
    if (!primitives.ed25519Verify(peerKey, hash, hello.subarray(at + 84, at + 148))) {
      throw new Error("the ceiling received a bad certificate")
    }
    const remoteNonce = hello.subarray(at + 148, at + 180)
    const shared = this.agree(curveKey)
    const expand = (byte: number, from: Uint8Array, to: Uint8Array) =>
      primitives.macKey(primitives.hmacSha256(shared, concat(Uint8Array.of(byte), from, to, Uint8Array.of(1))))
    const mine = this.initiator ? 0 : 1
    this.sendKey = expand(mine, this.nonce, remoteNonce)
    this.receiveKey = expand(1 - mine, remoteNonce, this.nonce)
  }

  private agree(remote: Uint8Array): Uint8Array {
    const { cache, curvePublic, curveSecret } = this.node
    const id = (this.initiator ? "i" : "a") + Buffer.from(remote).toString("latin1")
    const known = cache?.get(id)
    if (known !== undefined) return known
    const agreed = primitives.x25519(curveSecret, remote)
    if (agreed === undefined) throw new Error("the ceiling received a degenerate key")
    const input = this.initiator ? concat(agreed, curvePublic, remote) : concat(agreed, remote, curvePublic)
    const shared = primitives.hmacSha256(new Uint8Array(32), input)
    cache?.set(id, shared)
    return shared
  }
}

/** Dials and authenticates. */
export const dial = async (port: number, node: Node, options: LinkOptions): Promise<Link> => {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true })
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject))
  const link = new Link(socket, node, true, options)
  await link.ready
  return link
}

/** Listens and hands over each link at once, before it is authenticated. */
export const listen = (
  node: Node,
  options: LinkOptions,
  onLink: (link: Link) => void
): Promise<{ readonly port: number; readonly close: () => void }> =>
  new Promise((resolve) => {
    const server = createServer({ noDelay: true }, (socket) => onLink(new Link(socket, node, false, options)))
    server.listen(0, "127.0.0.1", 511, () => {
      const address = server.address()
      if (address === null || typeof address === "string") throw new Error("no inet address")
      resolve({ port: address.port, close: () => server.close() })
    })
  })
