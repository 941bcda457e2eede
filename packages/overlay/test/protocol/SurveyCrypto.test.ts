import { assert, describe, it } from "@effect/vitest"
import * as TestCrypto from "@stellar-overlay/overlay-test/TestCrypto"
import { createPublicKey, verify as nodeVerify } from "node:crypto"
import * as SealedBox from "../../src/internal/sealedBox.ts"
import * as SurveyBody from "../../src/protocol/SurveyBody.ts"
import * as SurveyCrypto from "../../src/protocol/SurveyCrypto.ts"
import * as NodeId from "../../src/wire/NodeId.ts"
import {
  SendMore,
  TimeSlicedSurveyRequest,
  TimeSlicedSurveyResponse,
  TimeSlicedSurveyStartCollecting,
  TimeSlicedSurveyStopCollecting
} from "../../src/wire/StellarMessage.ts"
import { bodyOf } from "../surveyFixtures.ts"

const counted = TestCrypto.make("survey")
const crypto = counted.primitives
const box = SealedBox.make(crypto)

const keys = () => {
  const seed = crypto.randomBytes(32)
  const key = crypto.ed25519PublicKey(seed)
  return { key, id: NodeId.fromBytes(key), sign: (bytes: Uint8Array) => crypto.ed25519Sign(seed, bytes) }
}
const surveyor = keys()
const surveyed = keys()
const encryptionKey = new Uint8Array(32).fill(9)
const ledgerNum = 55_000_000

const all = () => {
  const pair = { surveyorId: surveyor.id, surveyedId: surveyed.id, ledgerNum }
  const collecting = { surveyorId: surveyor.id, nonce: 0xdeadbeef, ledgerNum }
  const indices = { inboundPeersIndex: 25, outboundPeersIndex: 50 }
  return {
    start: SurveyCrypto.signed(TimeSlicedSurveyStartCollecting.make, collecting, surveyor.sign),
    stop: SurveyCrypto.signed(TimeSlicedSurveyStopCollecting.make, collecting, surveyor.sign),
    request: SurveyCrypto.signed(
      TimeSlicedSurveyRequest.make,
      { ...pair, encryptionKey, nonce: 7, ...indices },
      surveyor.sign
    ),
    response: SurveyCrypto.signed(
      TimeSlicedSurveyResponse.make,
      { ...pair, encryptedBody: new Uint8Array([1, 2, 3, 4, 5]), nonce: 7 },
      surveyed.sign
    )
  }
}

/** By node:crypto, which knows nothing of this code. */
const isSigned = (key: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean => {
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key])
  return nodeVerify(null, bytes, createPublicKey({ key: der, format: "der", type: "spki" }), signature)
}

describe("survey signatures", () => {
  it("SUR-09 SUR-05 a signature is over the bytes of protocol.md 1.5 and nothing else", () => {
    const messages = all()
    // Offsets in the frame body, which begins 12 bytes before the message; the MAC of 32 is not part of the message.
    const signedBytes = ({ bytes }: { readonly bytes: Uint8Array }, end?: number) =>
      bytes.subarray(84 - 12, end === undefined ? undefined : end - 12)
    const signature = ({ bytes }: { readonly bytes: Uint8Array }) => bytes.subarray(20 - 12, 84 - 12)
    assert.isTrue(isSigned(surveyor.key, signedBytes(messages.start, 128), signature(messages.start)))
    assert.isTrue(isSigned(surveyor.key, signedBytes(messages.stop, 128), signature(messages.stop)))
    assert.isTrue(isSigned(surveyor.key, signedBytes(messages.request, 208), signature(messages.request)))
    assert.isTrue(isSigned(surveyed.key, signedBytes(messages.response), signature(messages.response)))
    assert.strictEqual(messages.response.bytes.length, 204 + 8 - 12 - 32)
  })

  for (const name of ["start", "stop", "request", "response"] as const) {
    it(`SUR-09 S2 ${name}: any changed byte of what is signed, or of the signature, is noticed`, () => {
      const message = all()[name]
      assert.isTrue(SurveyCrypto.verify(crypto, message))
      for (let at = 8; at < message.bytes.length; at += 5) {
        const bytes = message.bytes.slice()
        bytes[at]! ^= 1
        const Self = message.constructor as new(bytes: Uint8Array) => SurveyCrypto.SurveyMessage
        assert.isFalse(SurveyCrypto.verify(crypto, new Self(bytes)), `byte ${at}`)
      }
    })
  }

  it("SUR-09 START and STOP with the same fields have the same signature: the type is not signed", () => {
    const { start, stop } = all()
    assert.deepStrictEqual(start.signature, stop.signature)
  })

  it("SUR-09 a response signed by the surveyor is not signed", () => {
    const pair = { surveyorId: surveyor.id, surveyedId: surveyed.id, ledgerNum }
    const fields = { ...pair, encryptedBody: new Uint8Array(48), nonce: 7 }
    assert.isFalse(
      SurveyCrypto.verify(crypto, SurveyCrypto.signed(TimeSlicedSurveyResponse.make, fields, surveyor.sign))
    )
  })

  it("S2 SUR-09 a good message is checked once however often it comes, a bad one each time", () => {
    const verifier = new SurveyCrypto.SurveyVerifier(crypto)
    const { start, stop } = all()
    const bad = new TimeSlicedSurveyStopCollecting(stop.bytes.slice().fill(0, 8, 20))
    counted.reset()
    for (let i = 0; i < 1000; i++) assert.isTrue(verifier.verify(start))
    assert.strictEqual(counted.counts().ed25519Verify, 1)
    for (let i = 0; i < 10; i++) assert.isFalse(verifier.verify(bad))
    assert.strictEqual(counted.counts().ed25519Verify, 11)
    for (let nonce = 0; nonce < SurveyCrypto.MAX_VERIFIED; nonce++) {
      const fields = { surveyorId: surveyor.id, nonce, ledgerNum }
      verifier.verify(SurveyCrypto.signed(TimeSlicedSurveyStopCollecting.make, fields, surveyor.sign))
    }
    counted.reset()
    verifier.verify(start)
    assert.strictEqual(counted.counts().ed25519Verify, 1, "it was forgotten for newer ones")
  })

  it("SUR-15 the summary names the type, and the command of those that have one", () => {
    const { request, response, start, stop } = all()
    assert.deepStrictEqual([start, stop, request, response].map(SurveyCrypto.summary), [
      "TIME_SLICED_SURVEY_START_COLLECTING",
      "TIME_SLICED_SURVEY_STOP_COLLECTING",
      "TIME_SLICED_SURVEY_REQUEST:TIME_SLICED_SURVEY_TOPOLOGY",
      "TIME_SLICED_SURVEY_RESPONSE:TIME_SLICED_SURVEY_TOPOLOGY"
    ])
    assert.isTrue([start, stop, request, response].every(SurveyCrypto.isSurveyMessage))
    assert.isFalse(SurveyCrypto.isSurveyMessage(SendMore.make({ numMessages: 1 })))
  })
})

describe("survey secrecy", () => {
  const secret = crypto.randomBytes(32)
  const publicKey = crypto.x25519PublicKey(secret)

  it("SVM-001 SUR-07 the largest body fits an encrypted body, and only the surveyor reads it", () => {
    const body = bodyOf(25, 25, "v".repeat(100))
    const sealed = SurveyCrypto.sealBody(box, publicKey, body)!
    assert.strictEqual(sealed.length, SurveyBody.encode(body).length + 48)
    assert.isAtMost(sealed.length, 64_000)
    assert.deepStrictEqual(SurveyCrypto.openBody(box, secret, publicKey, sealed), body)
    const other = crypto.randomBytes(32)
    assert.isUndefined(SurveyCrypto.openBody(box, other, crypto.x25519PublicKey(other), sealed))
  })

  it("SUR-17 S2 boxes with anything else in them are not read", () => {
    const open = (plaintext: Uint8Array) =>
      SurveyCrypto.openBody(box, secret, publicKey, box.seal(publicKey, plaintext)!)
    const body = SurveyBody.encode(bodyOf(1, 1))
    assert.isDefined(open(body))
    assert.isUndefined(open(body.subarray(0, body.length - 4)))
    assert.isUndefined(open(new Uint8Array(0)))
    assert.isUndefined(open(crypto.randomBytes(63_952)))
    assert.isUndefined(SurveyCrypto.openBody(box, secret, publicKey, new Uint8Array(64_000)))
    assert.isUndefined(SurveyCrypto.openBody(box, secret, publicKey, new Uint8Array(64_001)))
    assert.isUndefined(SurveyCrypto.sealBody(box, new Uint8Array(32), bodyOf(1, 1)))
  })
})
