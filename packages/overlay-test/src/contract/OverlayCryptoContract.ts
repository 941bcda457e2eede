/**
 * What every implementation of `OverlayCrypto` must do, as cases that any test runner can loop over.
 *
 * Published vectors, the vectors of protocol.md annex B, the edge cases in which implementations of Ed25519 and X25519
 * differ, batches of MACs, and agreement with the reference (`OverlayCrypto.layerNoble`) on random input.
 *
 * @example
 * ```ts
 * import { it } from "@effect/vitest"
 * import { Effect } from "effect"
 * import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
 * import * as OverlayCryptoContract from "@stellar-overlay/overlay-test/contract/OverlayCryptoContract"
 *
 * for (const { run, title } of OverlayCryptoContract.cases) {
 *   it.effect(title, () => Effect.provide(run, NodeOverlayCrypto.layer))
 * }
 * ```
 *
 * @since 0.1.0
 */
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import type { Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Vectors from "../internal/cryptoVectors.ts"
import { bytes, hex, join, utf8 } from "../internal/hex.ts"
import { SeededRandom } from "../internal/seededRandom.ts"

/**
 * An implementation broke a rule: which case, and every comparison of it that failed.
 *
 * @category errors
 * @since 0.1.0
 */
export class ContractFailure extends Schema.TaggedError<ContractFailure>()("ContractFailure", {
  title: Schema.String,
  problems: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return [this.title, ...this.problems].join("\n  ")
  }
}

/**
 * One rule, to be run with the implementation under test. Something thrown by the implementation is a defect.
 *
 * @category models
 * @since 0.1.0
 */
export interface ContractCase {
  /** Starts with the documented IDs it covers. */
  readonly title: string
  readonly run: Effect.Effect<void, ContractFailure, OverlayCrypto>
}

type Value = Uint8Array | string | number | boolean | undefined

/** Compares; byte arrays with hex. */
type Same = (what: string, actual: Value, expected: Value) => void

const show = (value: Value): string => value instanceof Uint8Array ? hex(value) : String(value)

const rule = (title: string, body: (crypto: Primitives, same: Same, reference: Primitives) => void): ContractCase => ({
  title,
  run: Effect.gen(function*() {
    const crypto = yield* OverlayCrypto
    const reference = yield* Effect.provide(OverlayCrypto, OverlayCrypto.layerNoble)
    const problems: Array<string> = []
    body(crypto, (what, actual, expected) => {
      if (show(actual) !== show(expected)) problems.push(`${what}: ${show(actual)}, expected ${show(expected)}`)
    }, reference)
    if (problems.length > 0) return yield* new ContractFailure({ title, problems })
  })
})

/** `length` bytes that are nothing in particular. */
const filler = (length: number, seed = ""): Uint8Array => new SeededRandom(`${seed}${length}`).nextBytesUnsafe(length)

/** A body of a message whose XDR has `size` bytes, its MAC still zero. */
const bodyOf = (size: number): Uint8Array => {
  const body = new Uint8Array(12 + size + 32)
  body.set(filler(8 + size), 4)
  return body
}

const signOne = (crypto: Primitives, key: Uint8Array, body: Uint8Array): Uint8Array => {
  const signed = body.slice()
  crypto.macKey(key).sign(signed, [4, signed.length - 32], 1)
  return signed
}

const hashes: ReadonlyArray<ContractCase> = [
  rule("CRY-001 SHA-256 of the FIPS 180 texts", (crypto, same) => {
    for (const { sha256, text } of Vectors.digests) same(`"${text}"`, crypto.sha256(utf8(text)), sha256)
  }),
  rule("CRY-003 BLAKE2b-256 of the same texts", (crypto, same) => {
    for (const { blake2b256, text } of Vectors.digests) same(`"${text}"`, crypto.blake2b256(utf8(text)), blake2b256)
  }),
  rule("CRY-005 HMAC-SHA256 of the vector of stellar-core and of RFC 4231", (crypto, same) => {
    const text = utf8("The quick brown fox jumps over the lazy dog")
    const expected = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    const key = new Uint8Array(32)
    key.set(utf8("key"))
    same("core", crypto.hmacSha256(key, text), expected)
    for (const [i, { data, key, mac }] of Vectors.hmacs.entries()) {
      same(`RFC 4231 ${i}`, crypto.hmacSha256(bytes(key), bytes(data)), mac)
    }
    const body = join(new Uint8Array(4), text, bytes(expected))
    same("verified", crypto.macKey(key).verify([body], 1), 1)
  }),
  rule("CRY-006 HKDF, extract and expand", (crypto, same) => {
    const extracted = crypto.hmacSha256(new Uint8Array(32), new Uint8Array(22).fill(0x0b))
    same("extract", extracted, "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04")
    same(
      "expand",
      crypto.hmacSha256(extracted, Uint8Array.of(1)),
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    )
  })
]

const macs: ReadonlyArray<ContractCase> = [
  rule("HSK-05 a batch of MACs is signed at its spans and nothing else changes", (crypto, same) => {
    const sizes = [4, 8, 36, 100, 400, 1000, 16_375, 16_376, 16_377, 16_384, 100_000]
    const key = filler(32, "key")
    const spans: Array<number> = []
    const slab = filler(sizes.reduce((sum, size) => sum + size + 48, 0), "slab")
    const expected = slab.slice()
    let at = 0
    for (const size of sizes) {
      const end = at + 4 + 12 + size
      spans.push(at + 8, end)
      expected.set(crypto.hmacSha256(key, slab.subarray(at + 8, end)), end)
      at = end + 32
    }
    const macKey = crypto.macKey(key)
    key.fill(0)
    macKey.sign(slab, spans, sizes.length - 1)
    same(
      "the first bytes up to the last span",
      hex(slab.subarray(0, at - 32)) === hex(expected.subarray(0, at - 32)),
      true
    )
    same("a span beyond count", hex(slab.subarray(at - 32)) === hex(expected.subarray(at - 32)), false)
    macKey.sign(slab, spans, sizes.length)
    same("the whole slab", hex(slab) === hex(expected), true)
  }),
  rule("HSK-05 M1 M5 verification returns the index of the first bad body of a batch", (crypto, same) => {
    const key = filler(32, "key")
    const macKey = crypto.macKey(key)
    const good = [4, 36, 100, 400, 20_000, 8].map((size) => signOne(crypto, key, bodyOf(size)))
    // Bodies are views somewhere in a larger buffer.
    const views = good.map((body) => join(filler(7), body, filler(9)).subarray(7, 7 + body.length))
    same("all good", macKey.verify(views, views.length), views.length)
    same("none asked", macKey.verify(views, 0), 0)
    for (const [i, body] of good.entries()) {
      for (const at of [4, 11, 12, body.length - 33, body.length - 32, body.length - 1]) {
        const changed = body.slice()
        changed[at]! ^= 0x80
        const batch = good.with(i, changed)
        same(`byte ${at} of body ${i} changed`, macKey.verify(batch, batch.length), i)
        same(`bodies before ${i} only`, macKey.verify(batch, i), i)
      }
      same(`body ${i} of another key`, crypto.macKey(filler(32, "other")).verify([body], 1), 0)
    }
    same("the discriminant has no MAC", macKey.verify([join(filler(4), good[2]!.subarray(4))], 1), 1)
    for (const length of [0, 1, 4, 31, 32, 35]) {
      same(`a body of ${length} bytes`, macKey.verify([good[0]!, new Uint8Array(length), good[1]!], 3), 1)
    }
  }),
  rule("HSK-05 two keys used in turn do not mix", (crypto, same) => {
    const [a, b] = [filler(32, "a"), filler(32, "b")]
    const [keyA, keyB] = [crypto.macKey(a), crypto.macKey(b)]
    for (const size of [4, 400, 20_000]) {
      const [bodyA, bodyB] = [bodyOf(size), bodyOf(size)]
      keyA.sign(bodyA, [4, size + 12], 1)
      keyB.sign(bodyB, [4, size + 12], 1)
      same("A", bodyA.subarray(size + 12), crypto.hmacSha256(a, bodyA.subarray(4, size + 12)))
      same("B", bodyB.subarray(size + 12), crypto.hmacSha256(b, bodyB.subarray(4, size + 12)))
      same("A by A", keyA.verify([bodyA, bodyB], 2), 1)
      same("B by B", keyB.verify([bodyB, bodyA], 2), 1)
    }
  })
]

const agreements: ReadonlyArray<ContractCase> = [
  rule("HSK-03 X25519 of the RFC 7748 vectors", (crypto, same) => {
    for (const { out, scalar, u } of Vectors.multiplications) same(scalar, crypto.x25519(bytes(scalar), bytes(u)), out)
    const { aliceSecret, alicePublic, bobPublic, bobSecret, shared } = Vectors.agreement
    same("Alice", crypto.x25519PublicKey(bytes(aliceSecret)), alicePublic)
    same("Bob", crypto.x25519PublicKey(bytes(bobSecret)), bobPublic)
    same("Alice with Bob", crypto.x25519(bytes(aliceSecret), bytes(bobPublic)), shared)
    same("Bob with Alice", crypto.x25519(bytes(bobSecret), bytes(alicePublic)), shared)
  }),
  rule("H7 HSK-03 a point of low order gives no shared secret", (crypto, same) => {
    for (const secret of [bytes("01".repeat(32)), filler(32)]) {
      for (const u of Vectors.lowOrderU) {
        same(u, crypto.x25519(secret, bytes(u)), undefined)
        const marked = bytes(u)
        marked[31]! |= 0x80
        same(hex(marked), crypto.x25519(secret, marked), undefined)
      }
      for (const length of [0, 31, 33]) same(`${length} bytes`, crypto.x25519(secret, filler(length)), undefined)
    }
  }),
  rule("H7 X25519 ignores bit 255 and reduces u modulo p", (crypto, same) => {
    const secret = filler(32)
    for (let u = 2; u < 19; u++) {
      const canonical = new Uint8Array(32)
      canonical[0] = u
      const plusP = new Uint8Array(32).fill(0xff)
      plusP[0] = 0xed + u
      const expected = crypto.x25519(secret, canonical)
      same(`p + ${u}`, crypto.x25519(secret, plusP), expected)
      plusP[31] = 0x7f
      same(`p + ${u}, bit 255 clear`, crypto.x25519(secret, plusP), expected)
      same(`${u} has a result`, expected === undefined, false)
    }
  })
]

const signing: ReadonlyArray<ContractCase> = [
  rule("HSK-01 Ed25519 of the RFC 8032 vectors", (crypto, same) => {
    for (const { message, publicKey, seed, signature } of Vectors.signatures) {
      same("public key", crypto.ed25519PublicKey(bytes(seed)), publicKey)
      same("signature", crypto.ed25519Sign(bytes(seed), bytes(message)), signature)
      same("verified", crypto.ed25519Verify(bytes(publicKey), bytes(message), bytes(signature)), true)
    }
  }),
  rule("CRY-007 a signature fits its message and no other", (crypto, same) => {
    const seed = filler(32)
    const publicKey = crypto.ed25519PublicKey(seed)
    const signature = crypto.ed25519Sign(seed, utf8("hello"))
    const flipped = signature.slice()
    flipped[4]! ^= 1
    same("hello", crypto.ed25519Verify(publicKey, utf8("hello"), signature), true)
    same("helloo", crypto.ed25519Verify(publicKey, utf8("helloo"), signature), false)
    same("byte 4 flipped", crypto.ed25519Verify(publicKey, utf8("hello"), flipped), false)
    same("another key", crypto.ed25519Verify(crypto.ed25519PublicKey(filler(32, "x")), utf8("hello"), signature), false)
    same("again", crypto.ed25519Verify(publicKey, utf8("hello"), signature), true)
  }),
  rule("CRY-008 of the IACR 2020/1244 cases only number 3 verifies", (crypto, same) => {
    for (const [i, [message, publicKey, signature]] of Vectors.edgeCases.entries()) {
      same(`case ${i}`, crypto.ed25519Verify(bytes(publicKey), bytes(message), bytes(signature)), i === 3)
    }
  }),
  rule("CRY-009 none of the 196 Zcash vectors verifies", (crypto, same) => {
    for (const publicKey of Vectors.smallOrderPoints) {
      for (const point of Vectors.smallOrderPoints) {
        const signature = join(bytes(point), new Uint8Array(32))
        same(`A ${publicKey} R ${point}`, crypto.ed25519Verify(bytes(publicKey), utf8("Zcash"), signature), false)
      }
    }
  }),
  rule("CRY-008 malformed keys and signatures are false, never an exception", (crypto, same) => {
    const seed = filler(32)
    const [publicKey, message] = [crypto.ed25519PublicKey(seed), utf8("hello")]
    const signature = crypto.ed25519Sign(seed, message)
    // S + L is the same signature to a verifier that does not check its range.
    const malleated = signature.slice()
    const order = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
    let carry = 0
    for (let i = 0; i < 32; i++) {
      const sum = malleated[32 + i]! + order[i]! + carry
      malleated[32 + i] = sum
      carry = sum >> 8
    }
    same("S + L", crypto.ed25519Verify(publicKey, message, malleated), false)
    for (const length of [0, 31, 33]) {
      same(`key of ${length}`, crypto.ed25519Verify(filler(length), message, signature), false)
    }
    for (const length of [0, 63, 65]) {
      same(`signature of ${length}`, crypto.ed25519Verify(publicKey, message, filler(length)), false)
    }
    for (let i = 0; i < 16; i++) {
      // Half of these are no points of the curve.
      const key = filler(32, `key ${i}`)
      same(`key ${hex(key)}`, crypto.ed25519Verify(key, message, signature), false)
    }
  })
]

const handshake: ReadonlyArray<ContractCase> = [
  rule("HSK-04 CRY-006 protocol.md annex B: the keys of a connection", (crypto, same) => {
    const V = Vectors.annexB
    const [publicA, publicB] = [crypto.x25519PublicKey(bytes(V.secretA)), crypto.x25519PublicKey(bytes(V.secretB))]
    same("pubA", publicA, V.publicA)
    same("pubB", publicB, V.publicB)
    same("q of A", crypto.x25519(bytes(V.secretA), publicB), V.q)
    same("q of B", crypto.x25519(bytes(V.secretB), publicA), V.q)
    const k = crypto.hmacSha256(new Uint8Array(32), join(bytes(V.q), publicA, publicB))
    same("K", k, V.k)
    const [nonceA, nonceB] = [bytes(V.nonceA), bytes(V.nonceB)]
    same("K_AB", crypto.hmacSha256(k, join(Uint8Array.of(0), nonceA, nonceB, Uint8Array.of(1))), V.kAB)
    same("K_BA", crypto.hmacSha256(k, join(Uint8Array.of(1), nonceB, nonceA, Uint8Array.of(1))), V.kBA)
  }),
  rule("HSK-05 protocol.md annex B: the first frames", (crypto, same) => {
    const V = Vectors.annexB
    for (const [key, frame] of [[V.kAB, V.authAB], [V.kBA, V.authBA], [V.kAB, V.sendMoreAB]] as const) {
      const body = bytes(frame)
      same("verified", crypto.macKey(bytes(key)).verify([body], 1), 1)
      body.fill(0, body.length - 32)
      same("signed", signOne(crypto, bytes(key), body), frame)
    }
  }),
  rule("HSK-01 HSK-02 protocol.md annex B: network ids and a certificate", (crypto, same) => {
    const V = Vectors.annexB
    const networkId = crypto.sha256(utf8(V.passphraseText))
    same("test network", networkId, V.networkId)
    same("public network", crypto.sha256(utf8(V.publicPassphraseText)), V.publicNetworkId)
    same("node key", crypto.ed25519PublicKey(bytes(V.seed)), V.nodeKey)
    const hash = crypto.sha256(join(networkId, bytes("00000003"), bytes("000000006553ff10"), bytes(V.publicA)))
    same("hash", hash, V.certificateHash)
    same("signature", crypto.ed25519Sign(bytes(V.seed), hash), V.certificateSignature)
    same("verified", crypto.ed25519Verify(bytes(V.nodeKey), hash, bytes(V.certificateSignature)), true)
  })
]

const general: ReadonlyArray<ContractCase> = [
  rule("HSK-04 results are arrays of their own, and inputs stay as they are", (crypto, same) => {
    const seed = filler(32)
    const data = filler(100)
    const peer = crypto.x25519PublicKey(filler(32, "peer"))
    const operations: Record<string, () => Uint8Array | undefined> = {
      randomBytes: () => crypto.randomBytes(32),
      sha256: () => crypto.sha256(data),
      blake2b256: () => crypto.blake2b256(data),
      hmacSha256: () => crypto.hmacSha256(seed, data),
      x25519PublicKey: () => crypto.x25519PublicKey(seed),
      x25519: () => crypto.x25519(seed, peer),
      ed25519PublicKey: () => crypto.ed25519PublicKey(seed),
      ed25519Sign: () => crypto.ed25519Sign(seed, data)
    }
    for (const [name, operation] of Object.entries(operations)) {
      const first = operation()
      same(`${name} is a plain Uint8Array`, first?.constructor === Uint8Array, true)
      same(`${name} owns its bytes`, first?.buffer.byteLength, first?.length)
      const copy = first?.slice()
      operation()?.fill(0xee)
      same(`${name} is not shared`, first, copy)
    }
    same("the seed", seed, filler(32))
    same("the data", data, filler(100))
  }),
  rule("HSK-03 a secret that changes in place is a new secret", (crypto, same) => {
    const secret = filler(32, "first")
    const [agreed, key] = [crypto.x25519PublicKey(secret), crypto.ed25519PublicKey(secret)]
    secret.set(filler(32, "second"))
    same("X25519", crypto.x25519PublicKey(secret), crypto.x25519PublicKey(filler(32, "second")))
    same("Ed25519", crypto.ed25519PublicKey(secret), crypto.ed25519PublicKey(filler(32, "second")))
    same("differs", hex(agreed) === hex(crypto.x25519PublicKey(secret)), false)
    same("differs", hex(key) === hex(crypto.ed25519PublicKey(secret)), false)
  }),
  rule("HSK-01 random bytes have the length asked for and do not repeat", (crypto, same) => {
    for (const length of [0, 1, 31, 32, 1000]) same(`${length}`, crypto.randomBytes(length).length, length)
    const drawn = new Set(Array.from({ length: 100 }, () => hex(crypto.randomBytes(32))))
    same("distinct draws of 100", drawn.size, 100)
  }),
  rule(
    "CRY-001 CRY-003 CRY-005 CRY-007 agrees with the reference on seeded random input",
    (crypto, same, reference) => {
      const random = new SeededRandom("contract")
      for (let i = 0; i < 12; i++) {
        const data = random.nextBytesUnsafe(random.nextBelowUnsafe(600))
        const [secret, other] = [random.nextBytesUnsafe(32), random.nextBytesUnsafe(32)]
        same("sha256", crypto.sha256(data), reference.sha256(data))
        same("blake2b256", crypto.blake2b256(data), reference.blake2b256(data))
        same("hmacSha256", crypto.hmacSha256(secret, data), reference.hmacSha256(secret, data))
        same("macKey", signOne(crypto, secret, bodyOf(4 * i)), signOne(reference, secret, bodyOf(4 * i)))
        same("x25519PublicKey", crypto.x25519PublicKey(secret), reference.x25519PublicKey(secret))
        same("x25519, any u", crypto.x25519(secret, other), reference.x25519(secret, other))
        const publicKey = reference.ed25519PublicKey(secret)
        const signature = reference.ed25519Sign(secret, data)
        same("ed25519PublicKey", crypto.ed25519PublicKey(secret), publicKey)
        same("ed25519Sign", crypto.ed25519Sign(secret, data), signature)
        same("ed25519Verify", crypto.ed25519Verify(publicKey, data, signature), true)
        const bit = random.nextBelowUnsafe(8 * 96)
        const changed = join(publicKey, signature)
        changed[bit >> 3]! ^= 1 << (bit & 7)
        same(`bit ${bit} flipped`, crypto.ed25519Verify(changed.subarray(0, 32), data, changed.subarray(32)), false)
      }
    }
  )
]

/**
 * All rules.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cases: ReadonlyArray<ContractCase> = [
  ...hashes,
  ...macs,
  ...agreements,
  ...signing,
  ...handshake,
  ...general
]
