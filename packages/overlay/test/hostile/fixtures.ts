/** Shared by the tests of hostile peers: memory that is really held, and cryptography that costs nothing. */
import { ScriptedSession, type ScriptedSessionOptions } from "@stellar-overlay/overlay-test/ScriptedSession"
import type { StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import { createHash } from "node:crypto"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import type { Primitives } from "../../src/protocol/Primitives.ts"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

/** Bytes of heap and of array buffers that something keeps alive. */
export const heldBytes = (): number => {
  collectGarbage()
  collectGarbage()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}

/** A session with an authenticated scripted peer. */
export const authenticated = (options?: ScriptedSessionOptions): ScriptedSession => {
  const wire = new ScriptedSession(options)
  wire.run((peer) => peer.handshake())
  return wire
}

const sha256 = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

/**
 * Primitives that only look like cryptography: a public key is its secret, a signature a hash. Both ends agree, tampering
 * is found out, an all-zero Curve25519 key is degenerate, and an operation takes a microsecond.
 */
export const toyCrypto = (): Primitives => {
  let drawn = 0
  const sign = (key: Uint8Array, message: Uint8Array) => {
    const half = sha256(key, message)
    return Uint8Array.of(...half, ...half)
  }
  const equal = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0
  const mac = (key: Uint8Array, bytes: Uint8Array) => sha256(key, bytes)
  return {
    randomBytes: (length) => {
      const bytes = new Uint8Array(length)
      for (let at = 0; at < length; at += 32) {
        bytes.set(sha256(Buffer.from(`toy ${drawn++}`)).subarray(0, length - at), at)
      }
      return bytes
    },
    sha256: (data) => sha256(data),
    blake2b256: (data) => sha256(data),
    hmacSha256: (key, data) => sha256(key, data),
    macKey: (bytes) => {
      const key = bytes.slice()
      return {
        sign: (slab, spans, count) => {
          for (let i = 0; i < count; i++) {
            slab.set(mac(key, slab.subarray(spans[2 * i], spans[2 * i + 1])), spans[2 * i + 1])
          }
        },
        verify: (bodies, count) => {
          for (let i = 0; i < count; i++) {
            const body = bodies[i]!
            if (!equal(mac(key, body.subarray(4, -32)), body.subarray(-32))) return i
          }
          return count
        }
      }
    },
    x25519PublicKey: (secret) => secret.slice(),
    x25519: (secret, publicKey) =>
      publicKey.every((byte) => byte === 0) ? undefined : sha256(secret.map((byte, i) => byte ^ publicKey[i]!)),
    ed25519PublicKey: (seed) => seed.slice(),
    ed25519Sign: sign,
    ed25519Verify: (publicKey, message, signature) => equal(sign(publicKey, message), signature)
  }
}

/** The numbers of the notes (`DontHave`) among messages, in order. */
export const noted = (messages: Iterable<StellarMessage>): Array<number> =>
  Array.from(messages).flatMap((message) =>
    message._tag === "DontHave" ? [new DataView(message.hash.buffer, message.hash.byteOffset).getUint32(0)] : []
  )

export const upTo = (count: number): Array<number> => Array.from({ length: count }, (_, i) => i)
