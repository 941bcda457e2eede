/**
 * The certificates and HELLOs of a scripted peer: right by default, wrong wherever a test wants them so.
 *
 * Everything is computed by the rules of protocol.md 2.2 from the primitives, not by the code under test.
 *
 * @since 0.1.0
 */
import type { Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import type { AuthCert, HelloFields } from "@stellar-overlay/overlay/wire/StellarMessage"

/**
 * What a forged certificate says, and what its signature is really over.
 *
 * @category models
 * @since 0.1.0
 */
export interface CertificateOverrides {
  /** Seconds from now until it expires; 3600 unless given. */
  readonly expiresIn?: number | undefined
  /** Unix seconds, instead of `expiresIn`. */
  readonly expiration?: bigint | undefined
  /** The Curve25519 key, 32 bytes; the peer's own unless given. */
  readonly pubkey?: Uint8Array | undefined
  /** The network the signature is for; the peer's own unless given. */
  readonly networkId?: Uint8Array | undefined
  /** The Ed25519 seed that signs; the peer's own unless given. */
  readonly signer?: Uint8Array | undefined
  /** Instead of a signature: at most 64 bytes. */
  readonly signature?: Uint8Array | undefined
  /** Changes the finished signature in place. */
  readonly damage?: ((signature: Uint8Array) => void) | undefined
}

/**
 * What a HELLO says that an honest one of this peer would not.
 *
 * @category models
 * @since 0.1.0
 */
export interface HelloOverrides extends Partial<Omit<HelloFields, "cert">> {
  readonly certificate?: CertificateOverrides | undefined
}

/**
 * Who signs a certificate, for which network and key, and when.
 *
 * @category models
 * @since 0.1.0
 */
export interface CertificateFacts {
  readonly crypto: Primitives
  /** Ed25519 seed. */
  readonly seed: Uint8Array
  readonly networkId: Uint8Array
  /** Curve25519 public key. */
  readonly pubkey: Uint8Array
  readonly unixSeconds: number
}

const ENVELOPE_TYPE_AUTH = 3

/**
 * A certificate with the given deviations; without any it is one that core would issue at this time.
 *
 * @category constructors
 * @since 0.1.0
 */
export const forgeCertificate = (facts: CertificateFacts, overrides: CertificateOverrides = {}): AuthCert => {
  const { crypto } = facts
  const expiration = overrides.expiration ?? BigInt(facts.unixSeconds + (overrides.expiresIn ?? 3600))
  const pubkey = overrides.pubkey ?? facts.pubkey
  const preimage = new Uint8Array(76)
  const view = new DataView(preimage.buffer)
  preimage.set(overrides.networkId ?? facts.networkId)
  view.setUint32(32, ENVELOPE_TYPE_AUTH)
  view.setBigUint64(36, expiration)
  preimage.set(pubkey, 44)
  const signature = overrides.signature
    ?? crypto.ed25519Sign(overrides.signer ?? facts.seed, crypto.sha256(preimage)).slice()
  overrides.damage?.(signature)
  return { pubkey, expiration, signature }
}

/**
 * The points of order 1, 2, 4 and 8 on Curve25519 and its twist, in all their encodings: X25519 with any of them
 * gives zero, whatever the other key.
 *
 * The first five are 0, 1, the two points of order 8 and p - 1; then p and p + 1, which are 0 and 1 again. Each comes
 * with bit 255 clear and set, which RFC 7748 ignores.
 *
 * @category constants
 * @since 0.1.0
 */
export const lowOrderPoints: ReadonlyArray<Uint8Array> = [
  0n,
  1n,
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n,
  2n ** 255n - 20n,
  2n ** 255n - 19n,
  2n ** 255n - 18n
].flatMap((x) => {
  const bytes = Uint8Array.from({ length: 32 }, (_, i) => Number((x >> BigInt(8 * i)) & 0xffn))
  const high = bytes.slice()
  high[31]! |= 0x80
  return [bytes, high]
})
