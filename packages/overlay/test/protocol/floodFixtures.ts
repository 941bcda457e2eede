/** Hashes, identities and chance for the tests of flooding and fetching. */
import * as NodeId from "../../src/wire/NodeId.ts"
import { FloodAdvert } from "../../src/wire/StellarMessage.ts"

/** The same sequence of numbers in [0, 1) for the same seed: mulberry32. */
export const generator = (seed: number): () => number => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

export const below = (draw: () => number, limit: number): number => Math.floor(draw() * limit)

/** The n-th hash: all bytes depend on n, and equal numbers give equal hashes. */
export const hash = (n: number): Uint8Array => {
  const bytes = new Uint8Array(32)
  const words = new DataView(bytes.buffer)
  for (let i = 0; i < 8; i++) words.setUint32(4 * i, Math.imul(n + 1, 0x9e3779b1) ^ Math.imul(i, 0x85ebca6b))
  words.setUint32(28, n) // different numbers give different hashes
  return bytes
}

export const hashes = (from: number, count: number): Array<Uint8Array> =>
  Array.from({ length: count }, (_, i) => hash(from + i))

/** The number of a hash. */
export const numberOf = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(28)

export const nodeId = (n: number): NodeId.NodeId => NodeId.fromBytes(hash(n))

export const advert = (hashes: ReadonlyArray<Uint8Array>): FloodAdvert => FloodAdvert.make({ hashes })
