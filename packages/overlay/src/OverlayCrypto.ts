/**
 * Cryptography as a service: hashes, MACs, key agreement and signatures, synchronous and in batches.
 *
 * Implementations are interchangeable: they return the same bytes and accept the same keys and signatures, down to the
 * odd encodings. `OverlayCrypto.layerNoble` runs anywhere, `NodeOverlayCrypto.layer` is three to fifteen times faster on
 * Node, `TestCrypto.layer` of overlay-test is deterministic. An implementation of your own is held to the same rules by
 * `OverlayCryptoContract` of overlay-test.
 *
 * Implements protocol.md 1.6, 2.2 and 2.3 (stellar-core: `crypto/SHA.cpp`, `crypto/Curve25519.cpp`,
 * `crypto/SecretKey.cpp`).
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Noble from "./internal/nobleCrypto.ts"
import type { Primitives } from "./protocol/Primitives.ts"

/**
 * The service whose value is `Primitives`: plain synchronous functions, to be fetched once and kept.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
 *
 * const networkId = OverlayCrypto.useSync((crypto) =>
 *   crypto.sha256(new TextEncoder().encode("Test SDF Network ; September 2015"))
 * ).pipe(Effect.provide(OverlayCrypto.layerNoble))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class OverlayCrypto extends Context.Service<OverlayCrypto, Primitives>()(
  "@stellar-overlay/overlay/OverlayCrypto"
) {
  /**
   * Plain JavaScript over @noble/curves and @noble/hashes, for every runtime that has `crypto.getRandomValues`.
   *
   * Microseconds on Node 24 (x86-64): MAC of 400 bytes 3, X25519 970, sign 500, verify 1040. JavaScript's big integers
   * take no constant time, so prefer the runtime's own cryptography where there is a layer for it.
   */
  static readonly layerNoble: Layer.Layer<OverlayCrypto> = Layer.succeed(this, Noble.primitives)
}
