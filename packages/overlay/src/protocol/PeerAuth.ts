/**
 * Who a node is to its peers: certificates for an ephemeral Curve25519 key, key agreement, and the MAC keys of each
 * connection.
 *
 * There is one `PeerAuth` per process. Its Curve25519 key pair is drawn at construction and serves every connection until
 * exit; what makes the MAC keys of each connection different are the two nonces. The node's Ed25519 key signs the
 * certificate, and nothing else of a connection.
 *
 * ```
 * q    = X25519(own secret, remote public)                    undefined when degenerate
 * K    = HMAC(32 zero bytes, q || pubA || pubB)               A = initiator, B = acceptor; cached
 * K_AB = HMAC(K, 0x00 || nonceA || nonceB || 0x01)            A to B
 * K_BA = HMAC(K, 0x01 || nonceB || nonceA || 0x01)            B to A
 * ```
 *
 * Key bytes are in private fields only: printing, inspecting or serialising a `PeerAuth` shows none.
 *
 * Implements protocol.md 2.2 and 2.3 (stellar-core: `PeerAuth.cpp`, `Curve25519.cpp`, `hkdfExtract` and `hkdfExpand` of
 * `SHA.cpp`).
 *
 * @since 0.1.0
 */
import { concat, toHex, writeUint32, writeUint64 } from "../internal/bytes.ts"
import type { AuthCert } from "../wire/StellarMessage.ts"
import type { Role } from "./Handshake.ts"
import type { MacKeys } from "./Hmac.ts"
import type { Primitives } from "./Primitives.ts"

/**
 * How long an issued certificate lives, in seconds; it is replaced at half life.
 *
 * @category constants
 * @since 0.1.0
 */
export const CERTIFICATE_LIFETIME_SECONDS = 3600

/**
 * How far ahead a remote certificate may expire by default, in seconds: a lifetime and five minutes between clocks.
 * stellar-core has no bound; `Infinity` does as it does.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_FUTURE_SECONDS = CERTIFICATE_LIFETIME_SECONDS + 300

/**
 * How many agreed keys are kept by default; stellar-core keeps 65 535.
 *
 * @category constants
 * @since 0.1.0
 */
export const SHARED_KEY_CACHE_SIZE = 4096

/**
 * What may be set about a `PeerAuth`.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerAuthOptions {
  /** Seconds an issued certificate lives; default `CERTIFICATE_LIFETIME_SECONDS`. */
  readonly certificateLifetimeSeconds?: number
  /**
   * Seconds ahead a remote certificate may expire; default `MAX_FUTURE_SECONDS`. `Number.MAX_SAFE_INTEGER` and more,
   * `Infinity` included, mean no bound.
   */
  readonly maxFutureSeconds?: number
  /** Agreed keys kept, least recently used going first; 0 keeps none; default `SHARED_KEY_CACHE_SIZE`. */
  readonly sharedKeyCacheSize?: number
}

/**
 * Why a certificate was refused; each is the tag of a `DropReason`.
 *
 * @category models
 * @since 0.1.0
 */
export type CertificateFailure = "CertificateExpired" | "CertificateTooFarAhead" | "CertificateInvalid"

/**
 * Seconds from `unixSeconds` until a certificate expires, negative when it has: what to tell an operator whose clock may
 * be wrong.
 *
 * @category getters
 * @since 0.1.0
 */
export const secondsLeft = (certificate: AuthCert, unixSeconds: number): number =>
  Number(certificate.expiration - BigInt(unixSeconds))

const ENVELOPE_TYPE_AUTH = 3
const zeroKey = new Uint8Array(32)

const requireLength = (what: string, bytes: Uint8Array): void => {
  if (bytes.length !== 32) throw new RangeError(`${what} has 32 bytes, not ${bytes.length}`)
}

/** The hash that a certificate's signature is over. */
const signedHash = (crypto: Primitives, networkId: Uint8Array, expiration: bigint, pubkey: Uint8Array): Uint8Array => {
  const preimage = new Uint8Array(76)
  preimage.set(networkId)
  writeUint32(preimage, 32, ENVELOPE_TYPE_AUTH)
  writeUint64(preimage, 36, expiration)
  preimage.set(pubkey, 44)
  return crypto.sha256(preimage)
}

/** HKDF's expand step for one block: the MAC key of the side that owns `from`. */
const expand = (crypto: Primitives, key: Uint8Array, sender: Role, from: Uint8Array, to: Uint8Array): Uint8Array => {
  const info = new Uint8Array(66)
  info[0] = sender === "initiator" ? 0 : 1
  info.set(from, 1)
  info.set(to, 33)
  info[65] = 1
  return crypto.hmacSha256(key, info)
}

/**
 * The certificates and keys of one node.
 *
 * @category models
 * @since 0.1.0
 */
export class PeerAuth {
  /** This process's Curve25519 public key, the one in its certificates. */
  readonly curvePublicKey: Uint8Array
  readonly #crypto: Primitives
  readonly #networkId: Uint8Array
  readonly #seed: Uint8Array
  readonly #curveSecret: Uint8Array
  readonly #lifetime: number
  readonly #maxFuture: number
  readonly #cacheSize: number
  /** Least recently used first, which is a Map's own order when a key that is used is put back at the end. */
  readonly #sharedKeys = new Map<string, Uint8Array>()
  #certificate: AuthCert | undefined
  #agreements = 0
  #cacheHits = 0

  /**
   * `networkId` is SHA-256 of the network passphrase, `seed` the node's Ed25519 seed: 32 bytes each, or a `RangeError`.
   * The arrays are kept and must not change. Draws 32 random bytes.
   */
  constructor(crypto: Primitives, networkId: Uint8Array, seed: Uint8Array, options: PeerAuthOptions = {}) {
    requireLength("a network id", networkId)
    requireLength("a seed", seed)
    this.#crypto = crypto
    this.#networkId = networkId
    this.#seed = seed
    this.#lifetime = options.certificateLifetimeSeconds ?? CERTIFICATE_LIFETIME_SECONDS
    const maxFuture = options.maxFutureSeconds ?? MAX_FUTURE_SECONDS
    this.#maxFuture = maxFuture >= Number.MAX_SAFE_INTEGER ? Infinity : maxFuture
    this.#cacheSize = options.sharedKeyCacheSize ?? SHARED_KEY_CACHE_SIZE
    this.#curveSecret = crypto.randomBytes(32)
    this.curvePublicKey = crypto.x25519PublicKey(this.#curveSecret)
  }

  /** How many key agreements (X25519) were made. */
  get agreements(): number {
    return this.#agreements
  }

  /** How many times an agreed key was found in the cache. */
  get cacheHits(): number {
    return this.#cacheHits
  }

  /** How many agreed keys are kept now. */
  get cachedKeys(): number {
    return this.#sharedKeys.size
  }

  /**
   * The certificate to put into a HELLO at this time: the one issued before, until half its life is over.
   *
   * It is issued anew, too, when the clock was set back so far that peers would find it too far ahead.
   */
  certificate(unixSeconds: number): AuthCert {
    const current = this.#certificate
    if (current !== undefined) {
      const left = secondsLeft(current, unixSeconds)
      if (left >= this.#lifetime / 2 && left <= this.#lifetime) return current
    }
    const expiration = BigInt(unixSeconds + this.#lifetime)
    const hash = signedHash(this.#crypto, this.#networkId, expiration, this.curvePublicKey)
    const issued = { pubkey: this.curvePublicKey, expiration, signature: this.#crypto.ed25519Sign(this.#seed, hash) }
    this.#certificate = issued
    return issued
  }

  /**
   * Checks a remote certificate against the node key that came with it; undefined means good.
   *
   * A certificate that expires in this very second is still good. The signature is checked last and once; it fails, too,
   * for a node of another network.
   */
  verifyCertificate(certificate: AuthCert, peerKey: Uint8Array, unixSeconds: number): CertificateFailure | undefined {
    const left = secondsLeft(certificate, unixSeconds)
    if (left < 0) return "CertificateExpired"
    if (left > this.#maxFuture) return "CertificateTooFarAhead"
    if (certificate.signature.length !== 64) return "CertificateInvalid"
    const hash = signedHash(this.#crypto, this.#networkId, certificate.expiration, certificate.pubkey)
    return this.#crypto.ed25519Verify(peerKey, hash, certificate.signature) ? undefined : "CertificateInvalid"
  }

  /**
   * The MAC keys of a connection in which this side has the given role: fresh arrays, for the caller to use and wipe.
   * Undefined when the remote key is degenerate, so that no secret can be shared with it.
   */
  macKeys(
    role: Role,
    localNonce: Uint8Array,
    remoteNonce: Uint8Array,
    remoteCurveKey: Uint8Array
  ): MacKeys | undefined {
    const shared = this.#sharedKey(role, remoteCurveKey)
    if (shared === undefined) return undefined
    const remoteRole = role === "initiator" ? "acceptor" : "initiator"
    const keys = {
      send: expand(this.#crypto, shared, role, localNonce, remoteNonce),
      receive: expand(this.#crypto, shared, remoteRole, remoteNonce, localNonce)
    }
    if (this.#cacheSize === 0) shared.fill(0)
    return keys
  }

  /** Public facts and counters; never a key that is secret. */
  toJSON(): unknown {
    return {
      _id: "PeerAuth",
      curvePublicKey: toHex(this.curvePublicKey),
      agreements: this.agreements,
      cacheHits: this.cacheHits,
      cachedKeys: this.cachedKeys
    }
  }

  toString(): string {
    return JSON.stringify(this)
  }

  #sharedKey(role: Role, remote: Uint8Array): Uint8Array | undefined {
    // One character for each of the 33 bytes: exact, and nothing of the buffer behind `remote` is kept.
    const id = String.fromCharCode(role === "initiator" ? 0 : 1, ...remote)
    const known = this.#sharedKeys.get(id)
    if (known !== undefined) {
      this.#cacheHits++
      this.#sharedKeys.delete(id)
      this.#sharedKeys.set(id, known)
      return known
    }
    this.#agreements++
    const agreed = this.#crypto.x25519(this.#curveSecret, remote)
    if (agreed === undefined) return undefined
    const own = this.curvePublicKey
    const input = role === "initiator" ? concat([agreed, own, remote]) : concat([agreed, remote, own])
    const shared = this.#crypto.hmacSha256(zeroKey, input)
    agreed.fill(0)
    input.fill(0)
    if (this.#cacheSize > 0) {
      this.#sharedKeys.set(id, shared)
      this.#evict()
    }
    return shared
  }

  #evict(): void {
    for (const [id, shared] of this.#sharedKeys) {
      if (this.#sharedKeys.size <= this.#cacheSize) return
      this.#sharedKeys.delete(id)
      shared.fill(0)
    }
  }
}
