import type * as Random from "effect/Random"

const rotateLeft = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits))

/** Murmur3's finaliser: every input bit reaches every output bit. */
const avalanche = (word: number): number => {
  let x = word
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}

const hashText = (text: string, basis: number): number => {
  let hash = basis
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return avalanche(hash ^ text.length)
}

/**
 * A seeded generator (xoshiro128**, 128 bits of state) that is also an Effect `Random`.
 *
 * Equal seeds give equal sequences on every machine. It is not secure: never take keys from it outside a simulation.
 */
export class SeededRandom implements Random.Random {
  private s0: number
  private s1: number
  private s2: number
  private s3: number

  constructor(seed: string) {
    this.s0 = hashText(seed, 0x243f6a88)
    this.s1 = hashText(seed, 0x85a308d3)
    this.s2 = hashText(seed, 0x13198a2e)
    // the all-zero state is the one the generator never leaves
    this.s3 = hashText(seed, 0x03707344) | 1
    for (let i = 0; i < 8; i++) this.nextUint32Unsafe()
  }

  /** An integer between 0 and 2^32 - 1. */
  nextUint32Unsafe(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.s1, 5), 7), 9)
    const shifted = this.s1 << 9
    this.s2 ^= this.s0
    this.s3 ^= this.s1
    this.s1 ^= this.s2
    this.s0 ^= this.s3
    this.s2 ^= shifted
    this.s3 = rotateLeft(this.s3, 11)
    return result >>> 0
  }

  /** An integer between 0 and `bound - 1`; the bias is below `bound / 2^32`. */
  nextBelowUnsafe(bound: number): number {
    return Math.floor(this.nextUint32Unsafe() / 0x100000000 * bound)
  }

  /** A number between 0 (included) and 1 (excluded), with 53 random bits. */
  nextDoubleUnsafe(): number {
    return ((this.nextUint32Unsafe() >>> 5) * 0x4000000 + (this.nextUint32Unsafe() >>> 6)) / 0x20000000000000
  }

  /** Any safe integer. */
  nextIntUnsafe(): number {
    const magnitude = (this.nextUint32Unsafe() >>> 11) * 0x100000000 + this.nextUint32Unsafe()
    return (this.nextUint32Unsafe() & 1) === 0 ? magnitude : -magnitude
  }

  /** `length` bytes. */
  nextBytesUnsafe(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; at += 4) {
      const word = this.nextUint32Unsafe()
      for (let i = 0; i < 4 && at + i < length; i++) bytes[at + i] = word >>> (8 * i)
    }
    return bytes
  }
}
