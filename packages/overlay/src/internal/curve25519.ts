/**
 * Which encodings of Curve25519 keys and signatures count as good, decided on bytes alone, so that every implementation
 * of the primitives accepts exactly the same set. All inputs are public: nothing here needs constant time.
 *
 * Little-endian throughout; bit 255 of a point is the sign of x (Ed25519) or ignored (X25519).
 */
import { fromHex } from "./bytes.ts"

const table = (...hex: ReadonlyArray<string>): ReadonlyArray<Uint8Array> =>
  hex.flatMap((text) => {
    const bytes = fromHex(text)
    return bytes === undefined ? [] : [bytes]
  })

/** y of the eight points whose order divides 8, canonical: 0, 1, two of order 8, p - 1. */
const smallOrderY = table(
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
)

/** u of the points of curve and twist whose order divides 8: 0, 1, two of order 8, p - 1, and 0 and 1 written p, p + 1. */
const lowOrderU = table(
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
)

/** The order of the base point, 2^252 + 27742317777372353535851937790883648493. */
const order = table("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")[0]!

/** Whether 32 bytes from `at`, bit 255 apart, are one of `values`. */
const isOneOf = (values: ReadonlyArray<Uint8Array>, bytes: Uint8Array, at: number): boolean =>
  values.some((value) => {
    for (let i = 0; i < 31; i++) if (bytes[at + i] !== value[i]) return false
    return (bytes[at + 31]! & 0x7f) === value[31]
  })

/** Whether 32 bytes from `at`, bit 255 apart, are below 2^255 - 19. */
const isCanonicalField = (bytes: Uint8Array, at: number): boolean => {
  if ((bytes[at + 31]! & 0x7f) !== 0x7f) return true
  for (let i = 30; i > 0; i--) if (bytes[at + i] !== 0xff) return true
  return bytes[at]! < 0xed
}

const isCanonicalScalar = (bytes: Uint8Array, at: number): boolean => {
  for (let i = 31; i >= 0; i--) {
    if (bytes[at + i]! < order[i]!) return true
    if (bytes[at + i]! > order[i]!) return false
  }
  return false
}

const isStrictPoint = (bytes: Uint8Array, at: number): boolean =>
  isCanonicalField(bytes, at) && !isOneOf(smallOrderY, bytes, at)

/**
 * What libsodium asks of a key and a signature before any curve arithmetic: lengths, S below the order, A and R
 * canonical and of large order. What remains is the equation without cofactor, R = SB - kA compared as bytes.
 */
export const isStrictSignature = (publicKey: Uint8Array, signature: Uint8Array): boolean =>
  publicKey.length === 32 && signature.length === 64 && isCanonicalScalar(signature, 32)
  && isStrictPoint(publicKey, 0) && isStrictPoint(signature, 0)

/** Whether an X25519 public key can yield a shared secret: 32 bytes, and not a point that every secret sends to zero. */
export const isContributory = (publicKey: Uint8Array): boolean =>
  publicKey.length === 32 && !isOneOf(lowOrderU, publicKey, 0)

/** A secret of another length is a mistake of the caller, never of a peer. */
export const requireSecret = (secret: Uint8Array): void => {
  if (secret.length !== 32) throw new RangeError(`a secret key has 32 bytes, not ${secret.length}`)
}
