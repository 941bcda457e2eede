import { assert, describe, it } from "@effect/vitest"
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import { Effect } from "effect"
import * as OverlayCryptoContract from "../src/contract/OverlayCryptoContract.ts"
import * as TestCrypto from "../src/TestCrypto.ts"

const draw = (seed: number | bigint | string, lengths: ReadonlyArray<number> = [32, 32]): ReadonlyArray<string> =>
  lengths.map((length) => Buffer.from(TestCrypto.make(seed).primitives.randomBytes(length)).toString("hex"))

describe("chance", () => {
  it("the same seed gives the same bytes, another seed others", () => {
    const { primitives } = TestCrypto.make("node 1")
    const again = TestCrypto.make("node 1").primitives
    const drawn = Array.from({ length: 50 }, () => primitives.randomBytes(32))
    assert.deepStrictEqual(Array.from({ length: 50 }, () => again.randomBytes(32)), drawn)
    const distinct = new Set(drawn.map((bytes) => Buffer.from(bytes).toString("hex")))
    assert.strictEqual(distinct.size, 50)
    const seeds = [0, 1, 2, -1, 0.5, 2n ** 64n, "", "a", "b", "aa", "node 1", "node 2"]
    assert.strictEqual(new Set(seeds.map((seed) => draw(seed)[0])).size, seeds.length)
    assert.deepStrictEqual(draw(7), draw("7"), "a seed is its text")
  })

  it("every bit of the bytes is set about half of the time", () => {
    const { primitives } = TestCrypto.make(1)
    const counts = new Array<number>(256).fill(0)
    for (let i = 0; i < 2000; i++) {
      const bytes = primitives.randomBytes(32)
      for (let bit = 0; bit < 256; bit++) counts[bit]! += (bytes[bit >> 3]! >> (bit & 7)) & 1
    }
    // 1000 +- 5 standard deviations of 22.4
    for (const [bit, count] of counts.entries()) assert.closeTo(count, 1000, 112, `bit ${bit}`)
  })

  it.effect("a layer of a seed begins anew wherever it is built", () =>
    Effect.gen(function*() {
      const bytes = (seed: number) =>
        OverlayCrypto.useSync((crypto) => [crypto.randomBytes(4), crypto.randomBytes(4)]).pipe(
          Effect.provide(TestCrypto.TestCrypto.layer(seed))
        )
      assert.deepStrictEqual(yield* bytes(3), yield* bytes(3))
      assert.notDeepEqual(yield* bytes(3), yield* bytes(4))
    }))
})

describe("counts", () => {
  it.effect("operations are counted, MACs by message", () =>
    Effect.gen(function*() {
      const crypto = yield* OverlayCrypto
      const counting = yield* TestCrypto.TestCrypto
      const [secret, seed] = [crypto.randomBytes(32), crypto.randomBytes(32)]
      const data = Uint8Array.of(1, 2, 3)
      crypto.sha256(data)
      crypto.blake2b256(data)
      crypto.hmacSha256(secret, data)
      crypto.x25519(secret, crypto.x25519PublicKey(seed))
      crypto.ed25519Verify(crypto.ed25519PublicKey(seed), data, crypto.ed25519Sign(seed, data))
      const key = crypto.macKey(secret)
      const slab = new Uint8Array(3 * 64)
      key.sign(slab, [4, 32, 68, 96, 132, 160], 3)
      const bodies = [slab.subarray(0, 64), slab.subarray(64, 128), slab.subarray(128, 192)]
      assert.strictEqual(key.verify(bodies, 3), 3)
      slab[64 + 10]! ^= 1
      assert.strictEqual(key.verify(bodies, 3), 1)
      const before = counting.counts()
      assert.deepStrictEqual(before, {
        randomBytes: 2,
        sha256: 1,
        blake2b256: 1,
        hmacSha256: 1,
        macKey: 1,
        macSign: 3,
        macVerify: 5,
        x25519PublicKey: 1,
        x25519: 1,
        ed25519PublicKey: 1,
        ed25519Sign: 1,
        ed25519Verify: 1
      })
      const next = crypto.randomBytes(4)
      counting.reset()
      assert.isTrue(Object.values(counting.counts()).every((count) => count === 0))
      assert.strictEqual(before.macVerify, 5, "a snapshot")
      assert.notDeepEqual(crypto.randomBytes(4), next, "the bytes go on")
    }).pipe(Effect.provide(TestCrypto.TestCrypto.layer("counts"))))
})

describe("contract", () => {
  for (const { run, title } of OverlayCryptoContract.cases) {
    it.effect(title, () => Effect.provide(run, TestCrypto.TestCrypto.layer("contract")))
  }
})
