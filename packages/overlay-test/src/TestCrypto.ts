/**
 * Real cryptography with seeded chance and counted operations.
 *
 * Hashes, MACs, agreements and signatures are those of `NodeOverlayCrypto`, so what a test sees is what the wire carries.
 * Only `randomBytes` differs: the bytes are a function of the seed and of how many were drawn before, which makes keys
 * and nonces repeat from run to run. Never use it for a node on a real network.
 *
 * What is slow is computed once: verdicts on signatures, agreed secrets and public keys are remembered for all nodes of
 * the process, which compute the same ones. Every operation is counted all the same.
 *
 * @since 0.1.0
 */
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import type { MacKey, Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { remembering } from "./internal/cryptoMemo.ts"
import { SeededRandom } from "./internal/seededRandom.ts"

/**
 * How many operations were done. MACs are counted by message, everything else by call.
 *
 * @category models
 * @since 0.1.0
 */
export interface CryptoCounts {
  readonly randomBytes: number
  readonly sha256: number
  readonly blake2b256: number
  readonly hmacSha256: number
  readonly macKey: number
  readonly macSign: number
  /** Messages whose MAC was computed to compare it: up to the first bad one of a batch. */
  readonly macVerify: number
  readonly x25519PublicKey: number
  readonly x25519: number
  readonly ed25519PublicKey: number
  readonly ed25519Sign: number
  readonly ed25519Verify: number
}

type MutableCounts = { -readonly [K in keyof CryptoCounts]: CryptoCounts[K] }

const noCounts: CryptoCounts = {
  randomBytes: 0,
  sha256: 0,
  blake2b256: 0,
  hmacSha256: 0,
  macKey: 0,
  macSign: 0,
  macVerify: 0,
  x25519PublicKey: 0,
  x25519: 0,
  ed25519PublicKey: 0,
  ed25519Sign: 0,
  ed25519Verify: 0
}

/**
 * Seeded, counting primitives and what belongs to them.
 *
 * @category models
 * @since 0.1.0
 */
export interface CountedCrypto {
  readonly primitives: Primitives
  /** The counts so far, as a snapshot. */
  readonly counts: () => CryptoCounts
  /** Sets all counts to zero; the random bytes go on where they were. */
  readonly reset: () => void
}

const countMacs = (key: MacKey, counts: MutableCounts): MacKey => ({
  sign: (slab, spans, count) => {
    counts.macSign += count
    key.sign(slab, spans, count)
  },
  verify: (bodies, count) => {
    const good = key.verify(bodies, count)
    counts.macVerify += Math.min(good + 1, count)
    return good
  }
})

const shared = remembering(NodeOverlayCrypto.primitives)

/**
 * Makes seeded, counting primitives for code without a Layer, over `node:crypto` or over another implementation.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  seed: number | bigint | string,
  base: Primitives = shared
): CountedCrypto => {
  const counts: MutableCounts = { ...noCounts }
  const random = new SeededRandom(String(seed))
  const count = (name: keyof CryptoCounts): void => {
    counts[name]++
  }
  return {
    primitives: {
      randomBytes: (length) => (count("randomBytes"), random.nextBytesUnsafe(length)),
      sha256: (data) => (count("sha256"), base.sha256(data)),
      blake2b256: (data) => (count("blake2b256"), base.blake2b256(data)),
      hmacSha256: (key, data) => (count("hmacSha256"), base.hmacSha256(key, data)),
      macKey: (key) => (count("macKey"), countMacs(base.macKey(key), counts)),
      x25519PublicKey: (secret) => (count("x25519PublicKey"), base.x25519PublicKey(secret)),
      x25519: (secret, publicKey) => (count("x25519"), base.x25519(secret, publicKey)),
      ed25519PublicKey: (seed) => (count("ed25519PublicKey"), base.ed25519PublicKey(seed)),
      ed25519Sign: (seed, message) => (count("ed25519Sign"), base.ed25519Sign(seed, message)),
      ed25519Verify: (publicKey, message, signature) => (
        count("ed25519Verify"), base.ed25519Verify(publicKey, message, signature)
      )
    },
    counts: () => ({ ...counts }),
    reset: () => {
      Object.assign(counts, noCounts)
    }
  }
}

/**
 * The counts of the `OverlayCrypto` that `TestCrypto.layer` provides beside it.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
 * import { TestCrypto } from "@stellar-overlay/overlay-test/TestCrypto"
 *
 * const program = Effect.gen(function*() {
 *   const crypto = yield* OverlayCrypto
 *   const counting = yield* TestCrypto
 *   crypto.x25519PublicKey(crypto.randomBytes(32))
 *   return counting.counts().x25519PublicKey // 1
 * }).pipe(Effect.provide(TestCrypto.layer("node 1")))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class TestCrypto
  extends Context.Service<TestCrypto, CountedCrypto>()("@stellar-overlay/overlay-test/TestCrypto")
{
  /**
   * `OverlayCrypto` with chance from `seed`, and its counts. Every layer built from the same seed begins anew, so give
   * each simulated node a seed of its own.
   */
  static readonly layer = (seed: number | bigint | string): Layer.Layer<TestCrypto | OverlayCrypto> =>
    Layer.effectContext(Effect.sync(() => {
      const counted = make(seed)
      return Context.make(TestCrypto, counted).pipe(Context.add(OverlayCrypto, counted.primitives))
    }))
}
