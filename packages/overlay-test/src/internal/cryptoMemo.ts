import type { Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import { Memo, nameOf } from "./memo.ts"

const isLong = (bytes: Uint8Array): boolean => bytes.length >= 6

/**
 * The same primitives with a memory for what is slow, shared by all nodes of all worlds of a process: they check the same
 * signatures and agree on the same secrets, each for itself, and what comes of it depends on nothing but the inputs. A
 * network that meets for the first time spends a third of its handshakes on this (330 us of about 1 ms).
 */
export const remembering = (primitives: Primitives): Primitives => {
  const verdicts = new Memo<boolean>()
  const agreements = new Memo<Uint8Array | undefined>()
  const agreementKeys = new Memo<Uint8Array>()
  const signatureKeys = new Memo<Uint8Array>()
  return {
    ...primitives,
    ed25519Verify: (publicKey, message, signature) =>
      isLong(publicKey) && isLong(message) && isLong(signature)
        ? verdicts.get([signature, publicKey, message], () => primitives.ed25519Verify(publicKey, message, signature))
        : primitives.ed25519Verify(publicKey, message, signature),
    x25519: (secret, publicKey) => {
      if (!isLong(secret) || !isLong(publicKey)) return primitives.x25519(secret, publicKey)
      // The other end agrees on the same, from the other halves: one agreement serves both.
      const own = agreementKeys.get([secret], () => primitives.x25519PublicKey(secret))
      const halves = nameOf(own) < nameOf(publicKey) ? [own, publicKey] : [publicKey, own]
      return agreements.get(halves, () => primitives.x25519(secret, publicKey))?.slice()
    },
    x25519PublicKey: (secret) =>
      isLong(secret)
        ? agreementKeys.get([secret], () => primitives.x25519PublicKey(secret)).slice()
        : primitives.x25519PublicKey(secret),
    ed25519PublicKey: (seed) =>
      isLong(seed)
        ? signatureKeys.get([seed], () => primitives.ed25519PublicKey(seed)).slice()
        : primitives.ed25519PublicKey(seed)
  }
}
