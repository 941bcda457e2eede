/**
 * The primitives over `node:crypto` (OpenSSL), with blake2b from @noble/hashes: OpenSSL as Node exposes it knows only the
 * 64-byte digest of BLAKE2b, which does not begin with the 32-byte one.
 *
 * What it accepts and returns is what `OverlayCrypto.layerNoble` accepts and returns.
 *
 * @since 0.1.0
 */
import { blake2b } from "@noble/hashes/blake2.js"
import * as Layer from "effect/Layer"
import * as NodeCrypto from "node:crypto"
import { isContributory, isStrictSignature, requireSecret } from "./internal/curve25519.ts"
import { OverlayCrypto } from "./OverlayCrypto.ts"
import type { MacKey, Primitives } from "./protocol/Primitives.ts"
import { MAC_LENGTH, SEQUENCE_OFFSET } from "./wire/AuthenticatedMessage.ts"

/**
 * How many public keys of signers stay imported: importing one costs half of a verification, and the same validators sign
 * over and over. A key enters after a good signature only, so that made-up keys cannot empty the cache.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_CACHED_VERIFY_KEYS = 1024

const blockLength = 64

/**
 * Up to this size a MAC is two one-shot hashes over a scratch buffer, which is twice as fast as a `Hmac` object: 1.0
 * against 2.1 us for 400 bytes. Beyond it, copying would not pay, nor would a scratch buffer for 16 MiB.
 */
const maxScratchMessage = 16_384
const innerScratch = new Uint8Array(blockLength + maxScratchMessage)
const outerScratch = new Uint8Array(blockLength + MAC_LENGTH)

/** A digest as a string of 32 char codes: a Buffer for it costs Node 0.4 us more. */
const digest = (data: Uint8Array): string => NodeCrypto.hash("sha256", data, "binary")

const writeDigest = (text: string, into: Uint8Array, at: number): void => {
  for (let i = 0; i < MAC_LENGTH; i++) into[at + i] = text.charCodeAt(i)
}

const differs = (text: string, body: Uint8Array, at: number): boolean => {
  let difference = 0
  for (let i = 0; i < MAC_LENGTH; i++) difference |= body[at + i]! ^ text.charCodeAt(i)
  return difference !== 0
}

const innerConstant = 0x36
const outerConstant = 0x5c

/** HMAC's first block: the key, filled up to the block length, xor a constant. */
const writePad = (key: Uint8Array, constant: number, into: Uint8Array): Uint8Array => {
  for (let i = 0; i < blockLength; i++) into[i] = constant ^ (key[i] ?? 0)
  return into
}

/** Views of the inner scratch buffer, by length: messages have few lengths, and a view costs a tenth of a MAC. */
const MAX_VIEWED = 1024
const innerViews = new Array<Uint8Array | undefined>(MAX_VIEWED).fill(undefined)

const innerView = (length: number): Uint8Array => {
  if (length >= MAX_VIEWED) return innerScratch.subarray(0, blockLength + length)
  return innerViews[length] ??= innerScratch.subarray(0, blockLength + length)
}

/** The MAC of `length` bytes behind the inner pad, with the outer pad in its place. */
const finishScratch = (length: number): string => {
  writeDigest(digest(innerView(length)), outerScratch, blockLength)
  return digest(outerScratch)
}

/** The scratch buffers outlive every connection; no key must stay in them. */
const wipeScratch = (length: number): void => {
  innerScratch.fill(0, 0, blockLength + length)
  outerScratch.fill(0)
}

const hmacSha256 = (key: Uint8Array, data: Uint8Array): Uint8Array => {
  if (key.length > blockLength || data.length > maxScratchMessage) {
    return new Uint8Array(NodeCrypto.createHmac("sha256", NodeCrypto.createSecretKey(key)).update(data).digest())
  }
  const out = new Uint8Array(MAC_LENGTH)
  writePad(key, innerConstant, innerScratch)
  writePad(key, outerConstant, outerScratch)
  innerScratch.set(data, blockLength)
  writeDigest(finishScratch(data.length), out, 0)
  wipeScratch(data.length)
  return out
}

/** The keys of a connection, at the front of the pads. */
const innerWords = new Int32Array(innerScratch.buffer, 0, blockLength / 4)
const outerWords = new Int32Array(outerScratch.buffer, 0, blockLength / 4)
const innerConstantWord = 0x3636_3636
const innerToOuterWord = 0x6a6a_6a6a

class NodeMacKey implements MacKey {
  /**
   * The key, filled up to the block length, xor the constant of the inner pad, as far as it is not that constant: either
   * pad is made of it when needed. Eight small integers take 112 bytes, where a Uint8Array of the pad takes 280.
   */
  readonly #innerPad: ReadonlyArray<number>
  /** For messages too long for the scratch buffer; most connections never have one. */
  #key: NodeCrypto.KeyObject | undefined

  constructor(key: Uint8Array) {
    writePad(key, innerConstant, innerScratch)
    const words = new Array<number>(MAC_LENGTH / 4).fill(0) // Array.from would leave room for nine more
    for (let i = 0; i < words.length; i++) words[i] = innerWords[i]!
    this.#innerPad = words
    wipeScratch(0)
  }

  sign(slab: Uint8Array, spans: ArrayLike<number>, count: number): void {
    this.#open()
    for (let i = 0; i < count; i++) {
      const end = spans[2 * i + 1]!
      writeDigest(this.#compute(slab, spans[2 * i]!, end), slab, end)
    }
    wipeScratch(0)
  }

  verify(bodies: ReadonlyArray<Uint8Array>, count: number): number {
    let good = 0
    this.#open()
    for (; good < count; good++) {
      const body = bodies[good]!
      if (body.length < SEQUENCE_OFFSET + MAC_LENGTH) break
      const end = body.length - MAC_LENGTH
      if (differs(this.#compute(body, SEQUENCE_OFFSET, end), body, end)) break
    }
    wipeScratch(0)
    return good
  }

  #open(): void {
    for (let i = 0; i < blockLength / 4; i++) {
      const word = this.#innerPad[i] ?? innerConstantWord
      innerWords[i] = word
      outerWords[i] = word ^ innerToOuterWord
    }
  }

  #keyObject(): NodeCrypto.KeyObject {
    if (this.#key === undefined) {
      const words = Int32Array.from(this.#innerPad, (word) => word ^ innerConstantWord)
      this.#key = NodeCrypto.createSecretKey(new Uint8Array(words.buffer))
      words.fill(0)
    }
    return this.#key
  }

  #compute(bytes: Uint8Array, start: number, end: number): string {
    if (end - start > maxScratchMessage) {
      return NodeCrypto.createHmac("sha256", this.#keyObject()).update(bytes.subarray(start, end)).digest("binary")
    }
    innerScratch.set(bytes.subarray(start, end), blockLength)
    return finishScratch(end - start)
  }
}

/** The DER encodings around a raw 32-byte key: measured no slower than JWK, and no text to make of a secret. */
const publicPrefix = { ed25519: "302a300506032b6570032100", x25519: "302a300506032b656e032100" } as const
const privatePrefix = {
  ed25519: "302e020100300506032b657004220420",
  x25519: "302e020100300506032b656e04220420"
} as const

const importPublic = (type: keyof typeof publicPrefix): (key: Uint8Array) => NodeCrypto.KeyObject => {
  const prefix = Buffer.from(publicPrefix[type], "hex")
  return (key) => NodeCrypto.createPublicKey({ key: Buffer.concat([prefix, key]), format: "der", type: "spki" })
}

const importEd25519Public = importPublic("ed25519")
const importX25519Public = importPublic("x25519")

/** The raw key is the end of its DER encoding. A plain copy: Buffers stay inside this file. */
const exportPublic = (privateKey: NodeCrypto.KeyObject): Uint8Array =>
  new Uint8Array(NodeCrypto.createPublicKey(privateKey).export({ format: "der", type: "spki" }).subarray(-32))

/**
 * Imports secrets, which costs more than using them (50 us), and remembers the import for as long as the caller keeps
 * the array: bounded by the secrets that are alive, and no copy outlives them. The bytes are compared in case the caller
 * reuses the array.
 */
const secretKeys = (type: keyof typeof privatePrefix): (secret: Uint8Array) => NodeCrypto.KeyObject => {
  const prefix = Buffer.from(privatePrefix[type], "hex")
  const imported = new WeakMap<Uint8Array, { readonly bytes: Uint8Array; readonly key: NodeCrypto.KeyObject }>()
  return (secret) => {
    requireSecret(secret)
    const known = imported.get(secret)
    if (known !== undefined && NodeCrypto.timingSafeEqual(known.bytes, secret)) return known.key
    const der = Buffer.concat([prefix, secret])
    const key = NodeCrypto.createPrivateKey({ key: der, format: "der", type: "pkcs8" })
    der.fill(0)
    imported.set(secret, { bytes: new Uint8Array(secret), key })
    return key
  }
}

const ed25519Secret = secretKeys("ed25519")
const x25519Secret = secretKeys("x25519")

const verifyKeys = new Map<string, NodeCrypto.KeyObject>()

const verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  if (!isStrictSignature(publicKey, signature)) return false
  const id = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.length).toString("latin1")
  const known = verifyKeys.get(id)
  const key = known ?? importEd25519Public(publicKey)
  // OpenSSL compares SB - kA with R as bytes, without cofactor; a key that is no point of the curve verifies nothing.
  if (!NodeCrypto.verify(null, message, key, signature)) return false
  if (known === undefined) {
    if (verifyKeys.size >= MAX_CACHED_VERIFY_KEYS) {
      for (const oldest of verifyKeys.keys()) {
        verifyKeys.delete(oldest)
        break
      }
    }
    verifyKeys.set(id, key)
  }
  return true
}

/**
 * The primitives themselves, for code without a Layer.
 *
 * Microseconds on Node 24 (x86-64 with SHA extensions): MAC of 400 bytes 1.0, SHA-256 0.6, BLAKE2b 12, X25519 72, sign
 * 32, verify 97 and for a key not seen before 145.
 *
 * @category constructors
 * @since 0.1.0
 */
export const primitives: Primitives = {
  randomBytes: (length) => new Uint8Array(NodeCrypto.randomBytes(length)),
  sha256: (data) => {
    const out = new Uint8Array(MAC_LENGTH)
    writeDigest(digest(data), out, 0)
    return out
  },
  blake2b256: (data) => blake2b(data, { dkLen: 32 }),
  hmacSha256,
  macKey: (key) => {
    requireSecret(key)
    return new NodeMacKey(key)
  },
  x25519PublicKey: (secret) => exportPublic(x25519Secret(secret)),
  x25519: (secret, publicKey) => {
    const privateKey = x25519Secret(secret)
    if (!isContributory(publicKey)) return undefined
    return new Uint8Array(NodeCrypto.diffieHellman({ privateKey, publicKey: importX25519Public(publicKey) }))
  },
  ed25519PublicKey: (seed) => exportPublic(ed25519Secret(seed)),
  ed25519Sign: (seed, message) => new Uint8Array(NodeCrypto.sign(null, message, ed25519Secret(seed))),
  ed25519Verify: verify
}

/**
 * `OverlayCrypto` over `node:crypto`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<OverlayCrypto> = Layer.succeed(OverlayCrypto, primitives)
