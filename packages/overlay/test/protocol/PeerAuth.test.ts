import { assert, describe, it } from "@effect/vitest"
import * as TestCrypto from "@stellar-overlay/overlay-test/TestCrypto"
import { Keypair } from "@stellar/stellar-base"
import { inspect } from "node:util"
import { fromHex, isZero, toHex } from "../../src/internal/bytes.ts"
import * as NodeOverlayCrypto from "../../src/NodeOverlayCrypto.ts"
import {
  CERTIFICATE_LIFETIME_SECONDS,
  MAX_FUTURE_SECONDS,
  PeerAuth,
  type PeerAuthOptions,
  secondsLeft,
  SHARED_KEY_CACHE_SIZE
} from "../../src/protocol/PeerAuth.ts"
import type { Primitives } from "../../src/protocol/Primitives.ts"
import * as NodeId from "../../src/wire/NodeId.ts"
import type { AuthCert } from "../../src/wire/StellarMessage.ts"

const crypto = NodeOverlayCrypto.primitives
const bytes = (hex: string): Uint8Array => fromHex(hex)!

// protocol.md annex B
const networkId = bytes("cee0302d59844d32bdca915c8203dd44b33fbb7edc19051ea37abedf28ecd472")
const publicNetworkId = bytes("7ac33997544e3175d266bd022439b22cdb16508c01163f26e5cb2a3e1045a979")
const seed = bytes("11".repeat(32))
const nodeKey = bytes("d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737")
const pubA = bytes("a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209")
const pubB = bytes("ce8d3ad1ccb633ec7b70c17814a5c76ecd029685050d344745ba05870e587d59")
const nonceA = bytes("aa".repeat(32))
const nonceB = bytes("bb".repeat(32))
const kAB = "574afef75feec9c087649e6eb78ebd9875991df9c9351983863dc367a866efcf"
const kBA = "d8b8816d6e94f51f81a3c3a11ae3ff20a22943e08b4e85ff641a1ce1a9d34a64"
const t0 = 1_700_000_000

/** Primitives whose "random" bytes are the given ones. */
const drawing = (secret: string, base: Primitives = crypto): Primitives => ({
  ...base,
  randomBytes: () => bytes(secret)
})

const make = (secret: string, options?: PeerAuthOptions, base?: Primitives): PeerAuth =>
  new PeerAuth(drawing(secret, base), networkId, seed, options)

const hexKeys = (keys: ReturnType<PeerAuth["macKeys"]>): ReadonlyArray<string> | undefined =>
  keys && [toHex(keys.send), toHex(keys.receive)]

describe("issuing", () => {
  it("HSK-01 the certificate of protocol.md annex B, verified by stellar-base", () => {
    const certificate = make("01".repeat(32)).certificate(t0)
    assert.strictEqual(toHex(certificate.pubkey), toHex(pubA))
    assert.strictEqual(certificate.expiration, 1_700_003_600n)
    assert.strictEqual(
      toHex(certificate.signature),
      "0d31b939f2c6b95f2e1245a1ce80a624d7730e5cfdcfbbf438067ee0dd151eff945005f29aea8dacc652cc8286b7004bbc01af7f003527580bd619a96897730d"
    )
    const preimage = Buffer.concat([networkId, bytes("00000003000000006553ff10"), pubA])
    const verifier = Keypair.fromPublicKey(NodeId.fromBytes(nodeKey))
    assert.isTrue(verifier.verify(Buffer.from(crypto.sha256(preimage)), Buffer.from(certificate.signature)))
  })

  it("HSK-01 a certificate lives 3600 s and is renewed at half life with the same key", () => {
    const auth = new PeerAuth(crypto, networkId, seed)
    const first = auth.certificate(t0)
    assert.strictEqual(CERTIFICATE_LIFETIME_SECONDS, 3600)
    assert.strictEqual(auth.certificate(t0 + 1), first)
    assert.strictEqual(auth.certificate(t0 + 1800), first)
    const second = auth.certificate(t0 + 1801)
    assert.strictEqual(second.expiration, BigInt(t0 + 1801 + 3600))
    assert.deepStrictEqual(second.pubkey, first.pubkey)
    assert.strictEqual(auth.verifyCertificate(second, nodeKey, t0 + 1801), undefined)
    assert.strictEqual(auth.certificate(t0 + 3601), second)
    const back = auth.certificate(t0 - 7200)
    assert.strictEqual(back.expiration, BigInt(t0 - 7200 + 3600), "a clock that was set back")
  })

  it("HSK-01 every process has a Curve25519 key of its own", () => {
    const keys = Array.from({ length: 8 }, () => toHex(new PeerAuth(crypto, networkId, seed).curvePublicKey))
    assert.strictEqual(new Set(keys).size, 8)
  })

  it("HSK-01 a network id or a seed of another length is a mistake of the caller", () => {
    assert.throws(() => new PeerAuth(crypto, new Uint8Array(31), seed), RangeError)
    assert.throws(() => new PeerAuth(crypto, networkId, new Uint8Array(33)), RangeError)
  })
})

describe("verifying", () => {
  const remote = make("02".repeat(32))
  const certificate = remote.certificate(t0) // expires at t0 + 3600

  it("HSK-02 H5 the boundary seconds are decided as core does, and clocks an hour apart still meet", () => {
    const auth = make("01".repeat(32))
    const table: ReadonlyArray<readonly [now: number, failure: string | undefined, left: number]> = [
      [t0 + 3602, "CertificateExpired", -2],
      [t0 + 3601, "CertificateExpired", -1],
      [t0 + 3600, undefined, 0], // equal passes
      [t0 + 3599, undefined, 1],
      [t0 + 1800, undefined, 1800],
      [t0, undefined, 3600],
      [t0 - 300, undefined, 3900],
      [t0 - 301, "CertificateTooFarAhead", 3901],
      [t0 - 3600, "CertificateTooFarAhead", 7200]
    ]
    for (const [now, failure, left] of table) {
      assert.strictEqual(auth.verifyCertificate(certificate, nodeKey, now), failure, String(now - t0))
      assert.strictEqual(secondsLeft(certificate, now), left)
    }
  })

  it("H6 how far ahead a certificate may expire is a setting; without bound it is as in core", () => {
    const far = (seconds: number): AuthCert => {
      const issuer = make("02".repeat(32), { certificateLifetimeSeconds: seconds })
      return issuer.certificate(t0)
    }
    assert.strictEqual(MAX_FUTURE_SECONDS, 3900)
    const strict = make("01".repeat(32))
    const lenient = make("01".repeat(32), { maxFutureSeconds: Infinity })
    const tight = make("01".repeat(32), { maxFutureSeconds: 60 })
    assert.strictEqual(strict.verifyCertificate(far(3900), nodeKey, t0), undefined)
    assert.strictEqual(strict.verifyCertificate(far(3901), nodeKey, t0), "CertificateTooFarAhead")
    assert.strictEqual(lenient.verifyCertificate(far(10 ** 9), nodeKey, t0), undefined)
    assert.strictEqual(tight.verifyCertificate(far(60), nodeKey, t0), undefined)
    assert.strictEqual(tight.verifyCertificate(far(61), nodeKey, t0), "CertificateTooFarAhead")
    const last = { ...certificate, expiration: 2n ** 64n - 1n }
    assert.strictEqual(strict.verifyCertificate(last, nodeKey, t0), "CertificateTooFarAhead")
    assert.strictEqual(lenient.verifyCertificate(last, nodeKey, t0), "CertificateInvalid", "its signature decides")
    const unbounded = make("01".repeat(32), { maxFutureSeconds: Number.MAX_SAFE_INTEGER })
    assert.strictEqual(unbounded.verifyCertificate(last, nodeKey, t0), "CertificateInvalid")
    assert.strictEqual(strict.verifyCertificate({ ...certificate, expiration: 0n }, nodeKey, t0), "CertificateExpired")
  })

  it("HSK-02 another network, key, expiration or signature is refused", () => {
    const auth = make("01".repeat(32))
    const invalid = (what: string, changed: AuthCert, key = nodeKey): void =>
      assert.strictEqual(auth.verifyCertificate(changed, key, t0), "CertificateInvalid", what)
    invalid("other network", new PeerAuth(crypto, publicNetworkId, seed).certificate(t0))
    invalid("other node", certificate, crypto.ed25519PublicKey(bytes("12".repeat(32))))
    invalid("expiration + 1", { ...certificate, expiration: certificate.expiration + 1n })
    invalid("other curve key", { ...certificate, pubkey: pubA })
    for (const length of [0, 1, 63]) {
      invalid(`${length} bytes`, { ...certificate, signature: certificate.signature.subarray(0, length) })
    }
    for (let i = 0; i < 64; i++) {
      const signature = certificate.signature.slice()
      signature[i]! ^= 1 << (i % 8)
      invalid(`byte ${i}`, { ...certificate, signature })
    }
    assert.strictEqual(auth.verifyCertificate(certificate, nodeKey, t0), undefined)
  })

  it("H4 HSK-02 one certificate costs at most one signature check, and none when its time alone refuses it", () => {
    const counted = TestCrypto.make("H4")
    const auth = new PeerAuth(counted.primitives, networkId, seed)
    const checks = (changed: AuthCert, now: number): number => {
      counted.reset()
      auth.verifyCertificate(changed, nodeKey, now)
      return counted.counts().ed25519Verify
    }
    assert.strictEqual(checks(certificate, t0), 1)
    assert.strictEqual(checks({ ...certificate, signature: new Uint8Array(64) }, t0), 1)
    assert.strictEqual(checks({ ...certificate, signature: new Uint8Array(63) }, t0), 0)
    assert.strictEqual(checks(certificate, t0 + 3601), 0)
    assert.strictEqual(checks(certificate, t0 - 301), 0)
  })
})

describe("key agreement", () => {
  it("HSK-04 HSK-03 the MAC keys of protocol.md annex B for both roles", () => {
    const a = make("01".repeat(32))
    const b = make("02".repeat(32))
    assert.deepStrictEqual(hexKeys(a.macKeys("initiator", nonceA, nonceB, pubB)), [kAB, kBA])
    assert.deepStrictEqual(hexKeys(b.macKeys("acceptor", nonceB, nonceA, pubA)), [kBA, kAB])
  })

  it("HSK-03 HSK-04 what one side sends with, the other receives with, for random keys in both roles", () => {
    const { primitives } = TestCrypto.make("HSK-03")
    for (let i = 0; i < 20; i++) {
      const [a, b] = [new PeerAuth(primitives, networkId, seed), new PeerAuth(primitives, networkId, seed)]
      const [na, nb] = [primitives.randomBytes(32), primitives.randomBytes(32)]
      const [ka, kb] = [
        a.macKeys("initiator", na, nb, b.curvePublicKey)!,
        b.macKeys("acceptor", nb, na, a.curvePublicKey)!
      ]
      assert.deepStrictEqual([ka.send, ka.receive], [kb.receive, kb.send])
      assert.notDeepEqual(ka.send, ka.receive)
      assert.notDeepEqual(hexKeys(ka), hexKeys(a.macKeys("acceptor", na, nb, b.curvePublicKey)), "the role matters")
    }
  })

  it("H7 HSK-03 a degenerate key gives no MAC keys, and is not remembered", () => {
    const auth = make("01".repeat(32))
    const lowOrder = [
      "00".repeat(32),
      `01${"00".repeat(31)}`,
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      `ec${"ff".repeat(30)}7f`,
      `ed${"ff".repeat(30)}7f`,
      `ee${"ff".repeat(30)}7f`,
      `${"00".repeat(31)}80`,
      `ee${"ff".repeat(31)}`
    ]
    for (const key of lowOrder) {
      for (const role of ["initiator", "acceptor"] as const) {
        assert.strictEqual(auth.macKeys(role, nonceA, nonceB, bytes(key)), undefined, key)
      }
    }
    assert.deepStrictEqual([auth.cachedKeys, auth.cacheHits], [0, 0])
  })

  it("HSK-03 a second connection with the same certificate does no X25519", () => {
    const counted = TestCrypto.make("HSK-03")
    const auth = new PeerAuth(counted.primitives, networkId, seed)
    auth.macKeys("initiator", nonceA, nonceB, pubB)
    counted.reset()
    for (let i = 0; i < 5; i++) {
      const keys = auth.macKeys("initiator", counted.primitives.randomBytes(32), nonceB, pubB.slice())!
      assert.isFalse(isZero(keys.send))
      keys.send.fill(0) // wiping a connection's keys leaves the cached one alone
    }
    assert.strictEqual(counted.counts().x25519, 0)
    assert.deepStrictEqual([auth.agreements, auth.cacheHits], [1, 5])
    auth.macKeys("acceptor", nonceA, nonceB, pubB)
    assert.strictEqual(counted.counts().x25519, 1, "the other role is another key")
    assert.deepStrictEqual([auth.agreements, auth.cacheHits, auth.cachedKeys], [2, 5, 2])
  })

  it("H19 a replayed HELLO yields other MAC keys, because the local nonce is new", () => {
    const auth = make("01".repeat(32))
    const seen = new Set<string>()
    for (let i = 0; i < 100; i++) {
      const keys = hexKeys(auth.macKeys("acceptor", crypto.randomBytes(32), nonceB, pubB))!
      for (const key of keys) seen.add(key)
    }
    assert.strictEqual(seen.size, 200)
  })

  it("H17 HSK-03 the cache is bounded, forgets what was used least recently, and wipes it", () => {
    const shared: Array<Uint8Array> = []
    const watching: Primitives = {
      ...crypto,
      hmacSha256: (key, data) => {
        const mac = crypto.hmacSha256(key, data)
        if (isZero(key)) shared.push(mac) // the extract step: its result is what the cache keeps
        return mac
      }
    }
    assert.strictEqual(SHARED_KEY_CACHE_SIZE, 4096)
    const auth = make("01".repeat(32), { sharedKeyCacheSize: 3 }, watching)
    const remotes = Array.from({ length: 40 }, (_, i) => crypto.x25519PublicKey(new Uint8Array(32).fill(i + 1)))
    const agree = (i: number): unknown => auth.macKeys("initiator", nonceA, nonceB, remotes[i]!)
    agree(0)
    agree(1)
    agree(2)
    agree(0)
    assert.deepStrictEqual([auth.agreements, auth.cacheHits], [3, 1])
    agree(3) // 1 was used least recently
    assert.deepStrictEqual(shared.map(isZero), [false, true, false, false])
    agree(0)
    assert.deepStrictEqual([auth.agreements, auth.cacheHits], [4, 2])
    agree(1)
    assert.strictEqual(auth.agreements, 5)
    for (let i = 0; i < 40; i++) {
      agree(i)
      assert.isAtMost(auth.cachedKeys, 3)
    }
    assert.strictEqual(shared.filter((key) => !isZero(key)).length, 3)
  })

  it("H17 keys that differ in any one bit, or in the role alone, are different entries", () => {
    // Without real agreement: what counts is which keys are told apart.
    const auth = make("01".repeat(32), {}, { ...crypto, x25519: () => new Uint8Array(32).fill(1) })
    for (let bit = 0; bit < 256; bit++) {
      const key = bytes("c3".repeat(32))
      key[bit >> 3]! ^= 1 << (bit & 7)
      auth.macKeys("initiator", nonceA, nonceB, key)
      auth.macKeys("acceptor", nonceA, nonceB, key)
    }
    assert.deepStrictEqual([auth.agreements, auth.cacheHits, auth.cachedKeys], [512, 0, 512])
  })

  it("H17 a cache of size 0 keeps nothing", () => {
    const auth = make("01".repeat(32), { sharedKeyCacheSize: 0 })
    for (let i = 0; i < 3; i++) {
      assert.deepStrictEqual(hexKeys(auth.macKeys("initiator", nonceA, nonceB, pubB)), [kAB, kBA])
    }
    assert.deepStrictEqual([auth.agreements, auth.cacheHits, auth.cachedKeys], [3, 0, 0])
  })
})

describe("hygiene", () => {
  it("HSK-04 printing shows public facts and counters, no secret bytes", () => {
    const secret = "0123456789abcdef".repeat(4)
    const auth = new PeerAuth(drawing(secret), networkId, bytes("fedcba9876543210".repeat(4)))
    auth.macKeys("initiator", nonceA, nonceB, pubB)
    auth.certificate(t0)
    const printed = [
      String(auth),
      JSON.stringify({ auth }),
      inspect(auth, { depth: Infinity, showHidden: true }),
      JSON.stringify(Object.entries(auth))
    ].join("\n").replaceAll(/\s/g, "")
    assert.include(printed, toHex(auth.curvePublicKey))
    const q = crypto.x25519(bytes(secret), pubB)!
    const k = crypto.hmacSha256(new Uint8Array(32), Buffer.concat([q, auth.curvePublicKey, pubB]))
    for (const hidden of [bytes(secret), bytes("fedcba9876543210"), q, k]) {
      assert.notInclude(printed, toHex(hidden.subarray(0, 8)))
      assert.notInclude(printed, Array.from(hidden.subarray(0, 6)).join(","))
    }
  })
})
