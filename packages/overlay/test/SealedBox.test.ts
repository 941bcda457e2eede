import { assert, describe, it } from "@effect/vitest"
import * as TestCrypto from "@stellar-overlay/overlay-test/TestCrypto"
import { createHash } from "node:crypto"
import { equals, fromHex, toHex } from "../src/internal/bytes.ts"
import { primitives as noble } from "../src/internal/nobleCrypto.ts"
import * as SealedBox from "../src/internal/sealedBox.ts"
import { primitives as node } from "../src/NodeOverlayCrypto.ts"

const hex = (text: string): Uint8Array => fromHex(text.replace(/\s/g, ""))!

// The vectors of NaCl's own tests ("Cryptography in NaCl", D. J. Bernstein, sections 8 to 10).
const alice = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
const bobKey = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
const firstKey = "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389"
const message = hex(`
  be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f4
  1db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52
  f0a089bc76897040e082f937763848645e0705`)

/** Made by libsodium's crypto_box_seal for Alice's key; published with PyNaCl as the reference for sealed boxes. */
const sealed = hex(`
  199c808806a62c1be56951023ad3396b0ce0ef2c5b9ca688ac96d2d06ca43f65d314400cc9bbefb23dd26f824c9cb553f81e8c894ea9a553
  f4d777c77b66d5a6925da3f5961c5f7147172db5597ac14210066ee3ee13e6230a9a9610e9cddbf24094f54fbbf6694c08a436cec39ff5a3
  73656d9584f4df9dd8c817e2e597540628d0ee21a6524a3fcf3eabdc0968390bd260a47366ead7f71cc2e774d411d96f3497c7e10291937b
  c16dc46a111686b85a8c86`)

const aliceKey = noble.x25519PublicKey(alice)

describe("sealed boxes", () => {
  for (const [name, crypto] of [["noble", noble], ["node", node]] as const) {
    const box = SealedBox.make(crypto)

    it(`SUR-07 ${name}: the key of NaCl's box example`, () => {
      const shared = crypto.x25519(alice, bobKey)!
      assert.strictEqual(toHex(shared), "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
      assert.strictEqual(toHex(SealedBox.boxKey(shared)), firstKey)
    })

    it(`SUR-07 ${name}: opens what libsodium sealed`, () => {
      assert.strictEqual(toHex(box.open(alice, aliceKey, sealed)!), toHex(message))
    })

    it(`SUR-07 ${name}: seals what only the owner of the key opens, 48 bytes longer`, () => {
      const bob = crypto.randomBytes(32)
      for (const length of [0, 1, 31, 32, 63, 64, 65, 12_456, 63_952]) {
        const plaintext = crypto.randomBytes(length)
        const closed = box.seal(aliceKey, plaintext)!
        assert.strictEqual(closed.length, length + 48)
        assert.isTrue(equals(box.open(alice, aliceKey, closed)!, plaintext))
        assert.isUndefined(box.open(bob, crypto.x25519PublicKey(bob), closed))
      }
    })

    it(`SUR-17 ${name}: a box that was changed, cut or lengthened does not open`, () => {
      const closed = box.seal(aliceKey, message)!
      for (let at = 0; at < closed.length; at += 7) {
        const changed = closed.slice()
        changed[at]! ^= 1
        assert.isUndefined(box.open(alice, aliceKey, changed), `byte ${at}`)
      }
      for (const length of [0, 31, 32, 47, 48, closed.length - 1]) {
        assert.isUndefined(box.open(alice, aliceKey, closed.subarray(0, length)), `${length} bytes`)
      }
      assert.isUndefined(box.open(alice, aliceKey, new Uint8Array([...closed, 0])))
    })

    it(`SUR-07 ${name}: keys that would share no secret are refused on both sides`, () => {
      for (const first of [0, 1]) {
        const degenerate = new Uint8Array(32)
        degenerate[0] = first
        assert.isUndefined(box.seal(degenerate, message))
        assert.isUndefined(box.open(alice, aliceKey, new Uint8Array([...degenerate, ...sealed.subarray(32)])))
      }
    })
  }

  it("SUR-07 both implementations make the same box from the same chance, and every box has a key of its own", () => {
    const seal = (base: typeof noble) =>
      SealedBox.make(TestCrypto.make("box", base).primitives).seal(aliceKey, message)!
    assert.strictEqual(toHex(seal(noble)), toHex(seal(node)))
    const box = SealedBox.make(noble)
    assert.notStrictEqual(toHex(box.seal(aliceKey, message)!), toHex(box.seal(aliceKey, message)!))
  })

  it("SUR-07 the nonce is BLAKE2b of 24 bytes, not BLAKE2b-512 cut short", () => {
    const nonce = SealedBox.nonceOf(sealed.subarray(0, 32), aliceKey)
    assert.strictEqual(nonce.length, 24)
    const long = createHash("blake2b512").update(sealed.subarray(0, 32)).update(aliceKey).digest()
    assert.notStrictEqual(toHex(nonce), toHex(long.subarray(0, 24)))
  })
})
