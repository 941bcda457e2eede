/**
 * The cryptographic operations the protocol needs, as synchronous functions on bytes.
 *
 * `protocol` depends on this shape only; `OverlayCrypto` provides it as a service with several implementations. It is
 * batch-shaped where it matters: the MAC of every message of a read or a flush is one call.
 *
 * @since 0.1.0
 */

/**
 * A MAC key of one direction of one connection, prepared once and used for every message.
 *
 * The two operations know the layout of an AuthenticatedMessage body (protocol.md 1.2): the MAC is the last 32 bytes
 * and covers everything between the 4-byte union discriminant and itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface MacKey {
  /**
   * Fills in MACs: for each of the first `count` spans, writes HMAC-SHA256(slab[start, end)) at slab[end, end + 32).
   * `spans` holds start0, end0, start1, end1, …
   */
  readonly sign: (slab: Uint8Array, spans: ArrayLike<number>, count: number) => void
  /**
   * Checks MACs in constant time per body and returns how many of the first `count` bodies, from the front, carry a
   * good one. A result below `count` is the index of the first bad body.
   */
  readonly verify: (bodies: ReadonlyArray<Uint8Array>, count: number) => number
}

/**
 * Everything the protocol asks of cryptography. Nothing here throws for what a peer sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Primitives {
  /** Cryptographically strong bytes; the only source of chance in the protocol. */
  readonly randomBytes: (length: number) => Uint8Array
  readonly sha256: (data: Uint8Array) => Uint8Array
  /** Unkeyed BLAKE2b with a 32-byte digest, the floodgate's key (protocol.md 5.1). */
  readonly blake2b256: (data: Uint8Array) => Uint8Array
  readonly hmacSha256: (key: Uint8Array, data: Uint8Array) => Uint8Array
  /** Prepares a 32-byte key for many MACs. The implementation keeps what it needs; the caller may wipe `key`. */
  readonly macKey: (key: Uint8Array) => MacKey
  /** The X25519 public key of a 32-byte secret. */
  readonly x25519PublicKey: (secret: Uint8Array) => Uint8Array
  /** The shared secret, or undefined when the peer's point is degenerate (all-zero result). */
  readonly x25519: (secret: Uint8Array, publicKey: Uint8Array) => Uint8Array | undefined
  /** The Ed25519 public key of a 32-byte seed. */
  readonly ed25519PublicKey: (seed: Uint8Array) => Uint8Array
  /** A 64-byte Ed25519 signature of `message` by a 32-byte seed. */
  readonly ed25519Sign: (seed: Uint8Array, message: Uint8Array) => Uint8Array
  /** Strict Ed25519 verification as libsodium does it; false for anything malformed. */
  readonly ed25519Verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean
}

/**
 * The moment of an input: a monotonic clock for every timer, the wall clock for certificates alone.
 *
 * @category models
 * @since 0.1.0
 */
export interface Now {
  /** Milliseconds of a clock that never goes back. */
  readonly millis: number
  /** Unix time in whole seconds. */
  readonly unixSeconds: number
}
