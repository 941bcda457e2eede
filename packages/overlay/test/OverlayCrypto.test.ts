import { assert, describe, it } from "@effect/vitest"
import { ed25519 } from "@noble/curves/ed25519.js"
import { blake2b } from "@noble/hashes/blake2.js"
import { sha512_256 } from "@noble/hashes/sha2.js"
import * as OverlayCryptoContract from "@stellar-overlay/overlay-test/contract/OverlayCryptoContract"
import { randomXdr, seeded } from "@stellar-overlay/overlay-test/RandomXdr"
import { xdr } from "@stellar/stellar-base"
import { Effect, Layer } from "effect"
import { createHash } from "node:crypto"
import { isStrictSignature } from "../src/internal/curve25519.ts"
import * as NodeOverlayCrypto from "../src/NodeOverlayCrypto.ts"
import { OverlayCrypto } from "../src/OverlayCrypto.ts"
import type { MacKey, Primitives } from "../src/protocol/Primitives.ts"

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

describe("acceptance", () => {
  it("CRY-008 canonical encodings are told from others at their exact bounds", () => {
    // Whatever the curve library beneath accepts, these are refused before it is asked.
    const point = (first: number, last: number): Uint8Array => {
      const bytes = new Uint8Array(32).fill(0xff)
      bytes[0] = first
      bytes[31] = last
      return bytes
    }
    const good = new Uint8Array(32).fill(2)
    const strict = (a: Uint8Array, r: Uint8Array, s: Uint8Array): boolean =>
      isStrictSignature(a, Uint8Array.from([...r, ...s]))
    const zero = new Uint8Array(32)
    assert.isTrue(strict(good, good, zero))
    for (const last of [0x7f, 0xff]) {
      for (let first = 0xed; first <= 0xff; first++) {
        assert.isFalse(strict(point(first, last), good, zero), `A = 2^255 - 19 + ${first - 0xed}`)
        assert.isFalse(strict(good, point(first, last), zero), `R = 2^255 - 19 + ${first - 0xed}`)
      }
      assert.isTrue(strict(point(0xeb, last), point(0xeb, last), zero), "p - 2")
      assert.isFalse(strict(point(0xec, last), good, zero), "p - 1 has small order")
    }
    const order = Uint8Array.from(
      Buffer.from("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", "hex")
    )
    assert.isFalse(strict(good, good, order))
    order[0]!--
    assert.isTrue(strict(good, good, order), "L - 1")
    assert.isFalse(strict(good, good, new Uint8Array(32).fill(0xff)))
  })
})

describe("NodeOverlayCrypto", () => {
  it("CRY-007 verification stays right while more keys pass through than its cache holds", () => {
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

describe("OverlayCryptoContract", () => {
  const real = NodeOverlayCrypto.primitives

  const wrapMac = (change: (key: MacKey) => Partial<MacKey>): Primitives => ({
    ...real,
    macKey: (key) => {
      const inner = real.macKey(key)
      return {
        sign: (slab, spans, count) => inner.sign(slab, spans, count),
        verify: (bodies, count) => inner.verify(bodies, count),
        ...change(inner)
      }
    }
  })

  /** noble's own verification, which multiplies by the cofactor. */
  const cofactored = (zip215: boolean): Primitives => ({
    ...real,
    ed25519Verify: (key, message, signature) =>
      key.length === 32 && signature.length === 64 && ed25519.verify(signature, message, key, { zip215 })
  })

  const defects: ReadonlyArray<readonly [defect: string, broken: Primitives, caughtBy: string]> = [
    ["SHA-512/256 for SHA-256", { ...real, sha256: (data) => sha512_256(data) }, "CRY-001 SHA-256"],
    ["half of BLAKE2b-512", { ...real, blake2b256: (data) => blake2b(data).slice(0, 32) }, "CRY-003"],
    ["verification with the cofactor", cofactored(false), "CRY-008 of the IACR"],
    ["small order accepted", cofactored(true), "CRY-009"],
    ["everything verifies", { ...real, ed25519Verify: () => true }, "CRY-007"],
    [
      "a zero secret for a degenerate point",
      { ...real, x25519: (secret, key) => real.x25519(secret, key) ?? new Uint8Array(32) },
      "H7 HSK-03 a point of low order"
    ],
    [
      "non-canonical points refused",
      { ...real, x25519: (secret, key) => key[30] === 0xff ? undefined : real.x25519(secret, key) },
      "H7 X25519 ignores bit 255"
    ],
    ["all bodies are good", wrapMac(() => ({ verify: (_, count) => count })), "HSK-05 M1 M5"],
    [
      "a batch is good or bad as a whole",
      wrapMac((key) => ({ verify: (bodies, count) => key.verify(bodies, count) === count ? count : 0 })),
      "HSK-05 M1 M5"
    ],
    ["verify ignores count", wrapMac((key) => ({ verify: (all) => key.verify(all, all.length) })), "HSK-05 M1 M5"],
    [
      "sign ignores count",
      wrapMac((key) => ({ sign: (slab, spans) => key.sign(slab, spans, spans.length / 2) })),
      "HSK-05 a batch of MACs"
    ],
    ["random bytes that repeat", { ...real, randomBytes: (length) => new Uint8Array(length) }, "HSK-01 random bytes"],
    ["a Buffer instead of an array", { ...real, sha256: (data) => Buffer.from(real.sha256(data)) }, "HSK-04 results"]
  ]

  it.effect.each(defects)(
    "CRY-008 HSK-05 the contract catches a defect: %s",
    ([_, broken, caughtBy]) =>
      Effect.gen(function*() {
        const rules = OverlayCryptoContract.cases.filter(({ title }) => title.startsWith(caughtBy))
        assert.strictEqual(rules.length, 1)
        const failure = yield* Effect.flip(Effect.provide(rules[0]!.run, Layer.succeed(OverlayCrypto, broken)))
        assert.strictEqual(failure.title, rules[0]!.title)
        assert.isAbove(failure.problems.length, 0)
      })
  )
})
