import { assert, describe, it } from "@effect/vitest"
import { TestCrypto } from "@stellar-overlay/overlay-test/TestCrypto"
import { StrKey } from "@stellar/stellar-base"
import { ConfigProvider, Effect, Formatter, Layer, Logger, Redacted } from "effect"
import { inspect } from "node:util"
import { fromHex, toHex } from "../src/internal/bytes.ts"
import { NodeIdentity, type NodeSeedError } from "../src/NodeIdentity.ts"
import * as NodeOverlayCrypto from "../src/NodeOverlayCrypto.ts"
import { OverlayCrypto } from "../src/OverlayCrypto.ts"
import { Hmac } from "../src/protocol/Hmac.ts"

const crypto = NodeOverlayCrypto.primitives
const bytes = (hex: string): Uint8Array => fromHex(hex)!

// protocol.md annex B
const seedBytes = bytes("11".repeat(32))
const seedText = StrKey.encodeEd25519SecretSeed(Buffer.from(seedBytes))
const nodeId = "GDIEVMRSOQV3JKZ2CNUL2RQV4TTNAISKW4NAC25PQUQKGMWJO6DTOAE7"
const networkId = bytes("cee0302d59844d32bdca915c8203dd44b33fbb7edc19051ea37abedf28ecd472")

const fromText = (text: string) =>
  Effect.provide(
    NodeIdentity,
    NodeIdentity.layerFromSeed(Redacted.make(text)).pipe(Layer.provide(NodeOverlayCrypto.layer))
  )

const fromEnvironment = (env: Record<string, string>, seed = "environment") =>
  Effect.provide(
    NodeIdentity,
    NodeIdentity.layerConfig.pipe(
      Layer.provide(TestCrypto.layer(seed)),
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
    )
  )

describe("layerFromSeed", () => {
  it.effect("HSK-01 CRY-007 a seed survives its text form: the node of protocol.md annex B", () =>
    Effect.gen(function*() {
      const identity = yield* fromText(seedText)
      assert.strictEqual(identity.nodeId, nodeId)
      assert.strictEqual(toHex(identity.publicKey), "d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737")
      const message = new TextEncoder().encode("hello")
      assert.deepStrictEqual(identity.sign(message), crypto.ed25519Sign(seedBytes, message))
      assert.strictEqual((yield* fromText(` ${seedText}\n`)).nodeId, nodeId)
    }))

  it.effect("HSK-01 its certificates are signed by its key", () =>
    Effect.gen(function*() {
      const identity = yield* fromText(seedText)
      const [a, b] = [identity.peerAuth(networkId), identity.peerAuth(networkId, { maxFutureSeconds: 10 })]
      assert.notStrictEqual(toHex(a.curvePublicKey), toHex(b.curvePublicKey))
      assert.strictEqual(a.verifyCertificate(b.certificate(1000), identity.publicKey, 1000), undefined)
      assert.strictEqual(b.verifyCertificate(a.certificate(1000), identity.publicKey, 1000), "CertificateTooFarAhead")
    }))

  it.effect("CRY-007 a wrong character, another kind of key, or anything else is refused without repeating it", () =>
    Effect.gen(function*() {
      const mistyped = seedText.replace("SAIR", "SAIS")
      const table: ReadonlyArray<readonly [string, NodeSeedError["reason"], RegExp]> = [
        [mistyped, "InvalidChecksum", /copy it again/],
        [`${seedText.slice(0, 55)}A`, "InvalidChecksum", /copy it again/],
        [nodeId, "WrongKeyType", /starts with S/],
        [seedText.slice(1), "InvalidStrKey", /56 characters/],
        [`${seedText}A`, "InvalidStrKey", /56 characters/],
        [seedText.toLowerCase(), "InvalidStrKey", /A to Z/],
        ["", "InvalidStrKey", /56 characters/],
        [`${seedText.slice(0, 50)} 12345`, "InvalidStrKey", /56 characters/]
      ]
      for (const [text, reason, hint] of table) {
        const error = yield* Effect.flip(fromText(text))
        assert.deepStrictEqual([error._tag, error.reason], ["NodeSeedError", reason], text)
        assert.match(error.hint, hint)
        const printed = [error.message, String(error), JSON.stringify(error), inspect(error)].join("\n")
        if (text !== "") assert.notInclude(printed, text.trim().slice(0, 10))
      }
    }))
})

describe("layerRandom", () => {
  it.effect("HSK-01 draws a new key for every build, from OverlayCrypto", () =>
    Effect.gen(function*() {
      const draw = (seed: string) =>
        NodeIdentity.useSync((identity) => identity.nodeId).pipe(
          Effect.provide(NodeIdentity.layerRandom.pipe(Layer.provide(TestCrypto.layer(seed))))
        )
      assert.strictEqual(yield* draw("one"), yield* draw("one"))
      assert.notStrictEqual(yield* draw("one"), yield* draw("two"))
      const live = NodeIdentity.useSync((identity) => identity.nodeId).pipe(
        Effect.provide(Layer.fresh(NodeIdentity.layerRandom).pipe(Layer.provide(OverlayCrypto.layerNoble)))
      )
      assert.notStrictEqual(yield* live, yield* live)
    }))
})

describe("layerConfig", () => {
  it.effect("HSK-01 reads NODE_SEED, draws a random key without it, and refuses a bad one", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* fromEnvironment({ NODE_SEED: seedText })).nodeId, nodeId)
      const random = yield* fromEnvironment({})
      assert.strictEqual((yield* fromEnvironment({})).nodeId, random.nodeId)
      assert.notStrictEqual((yield* fromEnvironment({}, "other")).nodeId, random.nodeId)
      const error = yield* Effect.flip(fromEnvironment({ NODE_SEED: nodeId }))
      assert.deepStrictEqual([error._tag, "reason" in error && error.reason], ["NodeSeedError", "WrongKeyType"])
    }))
})

describe("hygiene", () => {
  it.effect("HSK-04 neither printing nor logging shows a byte of the seed or of a key", () =>
    Effect.gen(function*() {
      const seed = bytes("0123456789abcdef".repeat(4))
      const text = StrKey.encodeEd25519SecretSeed(Buffer.from(seed))
      const identity = yield* fromText(text)
      const auth = identity.peerAuth(networkId)
      const peer = crypto.x25519PublicKey(bytes("02".repeat(32)))
      const keys = auth.macKeys("initiator", new Uint8Array(32), new Uint8Array(32).fill(1), peer)!
      const secrets = [seed, keys.send.slice(), keys.receive.slice()]
      const hmac = new Hmac(crypto)
      hmac.setKeys(keys)

      const lines: Array<string> = []
      const capture = [Logger.formatJson, Logger.formatLogFmt, Logger.formatSimple].map((format) =>
        Logger.make<unknown, void>((options) => {
          lines.push(format.log(options))
        })
      )
      yield* Effect.logInfo("state", { identity, auth, hmac }, identity, auth, hmac).pipe(
        Effect.annotateLogs({ identity, auth, hmac }),
        Effect.provide(Logger.layer(capture))
      )
      assert.strictEqual(lines.length, 3)
      lines.push(
        String(identity),
        JSON.stringify(identity),
        Formatter.format(identity),
        inspect({ identity, auth, hmac }, { depth: Infinity, showHidden: true })
      )
      const printed = lines.join("\n").replaceAll(/\s/g, "")
      assert.include(printed, identity.nodeId)
      assert.notInclude(printed, text.slice(0, 16))
      for (const secret of secrets) {
        assert.notInclude(printed, toHex(secret.subarray(0, 8)))
        assert.notInclude(printed, Array.from(secret.subarray(0, 6)).join(","))
        assert.notInclude(printed, Buffer.from(secret).toString("base64").slice(0, 12))
      }
    }))
})
