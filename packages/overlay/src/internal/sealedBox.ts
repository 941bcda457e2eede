/**
 * libsodium's sealed boxes (`crypto_box_seal`): anybody can close one with a public key, and only the owner of the secret
 * key can open it.
 *
 * ```
 * box   = epk || XSalsa20-Poly1305(key, nonce, plaintext)     epk: an X25519 key drawn for this box
 * key   = HSalsa20(X25519(esk, pk), 16 zero bytes)
 * nonce = BLAKE2b-192(epk || pk)
 * ```
 */
import { hsalsa, xsalsa20poly1305 } from "@noble/ciphers/salsa.js"
import { blake2b } from "@noble/hashes/blake2.js"
import type { Primitives } from "../protocol/Primitives.ts"
import type { SealedBox } from "../protocol/SurveyCrypto.ts"
import { concat } from "./bytes.ts"
import { encodeText } from "./xdrFields.ts"

/** Bytes a box has beyond its plaintext: the key and the tag. */
export const OVERHEAD = 32 + 16

/** The words of some bytes, in an array of their own. */
const words = (bytes: Uint8Array): Uint32Array => new Uint32Array(new Uint8Array(bytes).buffer)

const sigma = words(encodeText("expand 32-byte k"))

/** The key of XSalsa20 for a shared secret (`crypto_box_beforenm` without its key agreement). */
export const boxKey = (shared: Uint8Array): Uint8Array => {
  const key = new Uint32Array(8)
  const secret = words(shared)
  hsalsa(sigma, secret, new Uint32Array(4), key)
  secret.fill(0)
  return new Uint8Array(key.buffer)
}

export const nonceOf = (ephemeralKey: Uint8Array, publicKey: Uint8Array): Uint8Array =>
  blake2b(concat([ephemeralKey, publicKey]), { dkLen: 24 })

/** Sealed boxes over the given chance and key agreement. */
export const make = (crypto: Primitives): SealedBox => {
  /** The key shared by a secret and a public key; undefined when the public key is degenerate. */
  const agree = (secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined => {
    const shared = crypto.x25519(secret, publicKey)
    if (shared === undefined) return undefined
    const key = boxKey(shared)
    shared.fill(0)
    return key
  }

  return {
    seal: (publicKey, plaintext) => {
      const secret = crypto.randomBytes(32)
      const ephemeralKey = crypto.x25519PublicKey(secret)
      const key = agree(secret, publicKey)
      secret.fill(0)
      if (key === undefined) return undefined
      const closed = xsalsa20poly1305(key, nonceOf(ephemeralKey, publicKey)).encrypt(plaintext)
      key.fill(0)
      return concat([ephemeralKey, closed])
    },
    open: (secret, publicKey, box) => {
      if (box.length < OVERHEAD) return undefined
      const ephemeralKey = box.subarray(0, 32)
      const key = agree(secret, ephemeralKey)
      if (key === undefined) return undefined
      try {
        return xsalsa20poly1305(key, nonceOf(ephemeralKey, publicKey)).decrypt(box.subarray(32))
      } catch {
        return undefined // the tag is wrong, which noble says by throwing
      } finally {
        key.fill(0)
      }
    }
  }
}
