import { assert, describe, it } from "@effect/vitest"
import * as OverlayCryptoContract from "@stellar-overlay/overlay-test/contract/OverlayCryptoContract"
import { randomXdr, seeded } from "@stellar-overlay/overlay-test/RandomXdr"
import { xdr } from "@stellar/stellar-base"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import * as NodeOverlayCrypto from "../src/NodeOverlayCrypto.ts"
import { OverlayCrypto } from "../src/OverlayCrypto.ts"

const implementations = {
  "OverlayCrypto.layerNoble": OverlayCrypto.layerNoble,
  "NodeOverlayCrypto.layer": NodeOverlayCrypto.layer
}

for (const [name, layer] of Object.entries(implementations)) {
  describe(name, () => {
    for (const { run, title } of OverlayCryptoContract.cases) {
      it.effect(title, () => Effect.provide(run, layer))
    }

    it.effect("CRY-002 CRY-004 the hash of a decoded and encoded ledger entry is the hash of its bytes", () =>
      OverlayCrypto.useSync((crypto) => {
        const chance = seeded(2)
        for (let i = 0; i < 1000; i++) {
          const { bytes } = randomXdr(xdr.LedgerEntry, chance, { budget: 300 })
          const encoded = xdr.LedgerEntry.fromXDR(Buffer.from(bytes)).toXDR()
          assert.deepStrictEqual(crypto.sha256(encoded), crypto.sha256(bytes))
          assert.deepStrictEqual(crypto.blake2b256(encoded), crypto.blake2b256(bytes))
          // The streamed hash: whatever the pieces, it is the one-shot hash.
          const streamed = createHash("sha256")
          for (let at = 0; at < bytes.length; at += 20) streamed.update(bytes.subarray(at, at + 20))
          assert.strictEqual(Buffer.from(crypto.sha256(bytes)).toString("hex"), streamed.digest("hex"))
        }
      }).pipe(Effect.provide(layer)))
  })
}

describe("NodeOverlayCrypto", () => {
  it("H16 the cache of public keys is bounded and holds only keys that verified something", () => {
    // Observed from outside: every answer stays right while far more keys pass through than are kept.
    const { primitives } = NodeOverlayCrypto
    const message = Uint8Array.of(1)
    const seeds = Array.from({ length: 1100 }, (_, i) => {
      const seed = new Uint8Array(32)
      seed[0] = i
      seed[1] = i >> 8
      return seed
    })
    assert.isBelow(NodeOverlayCrypto.MAX_CACHED_VERIFY_KEYS, seeds.length)
    const keys = seeds.map((seed) => primitives.ed25519PublicKey(seed))
    const signatures = seeds.map((seed) => primitives.ed25519Sign(seed, message))
    for (let round = 0; round < 2; round++) {
      for (const [i, key] of keys.entries()) {
        if (round === 1 && i % 10 !== 0) continue
        assert.isTrue(primitives.ed25519Verify(key, message, signatures[i]!))
        assert.isFalse(primitives.ed25519Verify(key, message, signatures[(i + 1) % keys.length]!))
      }
    }
  })
})
