import { assert, describe, it } from "@effect/vitest"
import { StrKey, type xdr } from "@stellar/stellar-base"
import { toHex } from "../../../src/internal/bytes.ts"
import {
  fromBytes,
  TimeSlicedSurveyRequest,
  TimeSlicedSurveyResponse,
  TimeSlicedSurveyStartCollecting,
  TimeSlicedSurveyStopCollecting
} from "../../../src/wire/StellarMessage.ts"
import { many, Source, within } from "./samples.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const strkey = (id: xdr.NodeId): string => StrKey.encodeEd25519PublicKey(id.ed25519())

describe("survey messages", () => {
  it("COD-04 START_COLLECTING reads and encodes as in stellar-base", () => {
    for (const [seed, value] of many("TimeSlicedSurveyStartCollecting")) {
      const signed = value.signedTimeSlicedSurveyStartCollectingMessage()
      const inner = signed.startCollecting()
      const message = fromBytes(within(value.toXDR()))
      assert(message._tag === "TimeSlicedSurveyStartCollecting")
      assert.strictEqual(hex(message.signature), hex(signed.signature()), `seed ${seed}`)
      assert.strictEqual(hex(message.signedBytes), inner.toXDR("hex"))
      assert.strictEqual<string>(message.surveyorId, strkey(inner.surveyorId()))
      assert.strictEqual(hex(message.surveyorKey), hex(inner.surveyorId().ed25519()))
      assert.strictEqual(message.nonce, inner.nonce())
      assert.strictEqual(message.ledgerNum, inner.ledgerNum())
      const { ledgerNum, nonce, signature } = message
      for (const surveyorId of [message.surveyorId, message.surveyorKey]) {
        const made = TimeSlicedSurveyStartCollecting.make({ signature, surveyorId, nonce, ledgerNum })
        assert.strictEqual(toHex(made.bytes), value.toXDR("hex"))
      }
    }
  })

  it("COD-04 STOP_COLLECTING reads and encodes as in stellar-base", () => {
    for (const [seed, value] of many("TimeSlicedSurveyStopCollecting")) {
      const signed = value.signedTimeSlicedSurveyStopCollectingMessage()
      const inner = signed.stopCollecting()
      const message = fromBytes(within(value.toXDR()))
      assert(message._tag === "TimeSlicedSurveyStopCollecting")
      assert.strictEqual(hex(message.signature), hex(signed.signature()), `seed ${seed}`)
      assert.strictEqual(hex(message.signedBytes), inner.toXDR("hex"))
      assert.strictEqual<string>(message.surveyorId, strkey(inner.surveyorId()))
      assert.strictEqual(message.nonce, inner.nonce())
      assert.strictEqual(message.ledgerNum, inner.ledgerNum())
      const { ledgerNum, nonce, signature, surveyorId } = message
      const made = TimeSlicedSurveyStopCollecting.make({ signature, surveyorId, nonce, ledgerNum })
      assert.strictEqual(toHex(made.bytes), value.toXDR("hex"))
    }
  })

  it("COD-04 REQUEST reads and encodes as in stellar-base", () => {
    for (const [seed, value] of many("TimeSlicedSurveyRequest")) {
      const signed = value.signedTimeSlicedSurveyRequestMessage()
      const outer = signed.request()
      const inner = outer.request()
      const message = fromBytes(within(value.toXDR()))
      assert(message._tag === "TimeSlicedSurveyRequest")
      assert.strictEqual(hex(message.signature), hex(signed.requestSignature()), `seed ${seed}`)
      assert.strictEqual(hex(message.signedBytes), outer.toXDR("hex"))
      assert.strictEqual<string>(message.surveyorId, strkey(inner.surveyorPeerId()))
      assert.strictEqual<string>(message.surveyedId, strkey(inner.surveyedPeerId()))
      assert.strictEqual(hex(message.surveyorKey), hex(inner.surveyorPeerId().ed25519()))
      assert.strictEqual(hex(message.surveyedKey), hex(inner.surveyedPeerId().ed25519()))
      assert.strictEqual(message.ledgerNum, inner.ledgerNum())
      assert.strictEqual(hex(message.encryptionKey), hex(inner.encryptionKey().key()))
      assert.strictEqual(message.commandType, inner.commandType().value)
      assert.strictEqual(message.nonce, outer.nonce())
      assert.strictEqual(message.inboundPeersIndex, outer.inboundPeersIndex())
      assert.strictEqual(message.outboundPeersIndex, outer.outboundPeersIndex())
      const made = TimeSlicedSurveyRequest.make({
        signature: message.signature,
        surveyorId: message.surveyorId,
        surveyedId: message.surveyedKey,
        ledgerNum: message.ledgerNum,
        encryptionKey: message.encryptionKey,
        nonce: message.nonce,
        inboundPeersIndex: message.inboundPeersIndex,
        outboundPeersIndex: message.outboundPeersIndex
      })
      assert.strictEqual(toHex(made.bytes), value.toXDR("hex"))
    }
  })

  it("COD-04 RESPONSE reads and encodes as in stellar-base", () => {
    for (const [seed, value] of many("TimeSlicedSurveyResponse")) {
      const signed = value.signedTimeSlicedSurveyResponseMessage()
      const outer = signed.response()
      const inner = outer.response()
      const message = fromBytes(within(value.toXDR()))
      assert(message._tag === "TimeSlicedSurveyResponse")
      assert.strictEqual(hex(message.signature), hex(signed.responseSignature()), `seed ${seed}`)
      assert.strictEqual(hex(message.signedBytes), outer.toXDR("hex"))
      assert.strictEqual<string>(message.surveyorId, strkey(inner.surveyorPeerId()))
      assert.strictEqual<string>(message.surveyedId, strkey(inner.surveyedPeerId()))
      assert.strictEqual(hex(message.surveyedKey), hex(inner.surveyedPeerId().ed25519()))
      assert.strictEqual(message.ledgerNum, inner.ledgerNum())
      assert.strictEqual(message.commandType, inner.commandType().value)
      assert.strictEqual(hex(message.encryptedBody), hex(inner.encryptedBody()))
      assert.strictEqual(message.nonce, outer.nonce())
      const made = TimeSlicedSurveyResponse.make({
        signature: message.signature,
        surveyorId: message.surveyorId,
        surveyedId: message.surveyedId,
        ledgerNum: message.ledgerNum,
        commandType: message.commandType,
        encryptedBody: message.encryptedBody,
        nonce: message.nonce
      })
      assert.strictEqual(toHex(made.bytes), value.toXDR("hex"))
    }
  })

  it("COD-04 with a signature of 64 bytes the sizes and offsets are the documented ones", () => {
    const s = new Source(1)
    const signature = s.bytes(64)
    const surveyorId = Buffer.alloc(32, 0x51)
    const surveyedId = Buffer.alloc(32, 0x52)
    const overhead = 44 // version, sequence and MAC of the AuthenticatedMessage
    const body = (message: { readonly bytes: Uint8Array }): Buffer => Buffer.concat([Buffer.alloc(12), message.bytes])

    const start = TimeSlicedSurveyStartCollecting.make({ signature, surveyorId, nonce: 7, ledgerNum: 8 })
    assert.strictEqual(start.size + overhead, 160)
    assert.strictEqual(hex(start.signedBytes), body(start).toString("hex", 84, 128))
    assert.strictEqual(body(start).readUInt32BE(120), 7)
    assert.strictEqual(body(start).readUInt32BE(124), 8)

    const request = TimeSlicedSurveyRequest.make({
      signature,
      surveyorId,
      surveyedId,
      ledgerNum: 8,
      encryptionKey: Buffer.alloc(32, 0x53),
      nonce: 7,
      inboundPeersIndex: 9,
      outboundPeersIndex: 10
    })
    assert.strictEqual(request.size + overhead, 240)
    assert.strictEqual(hex(request.signedBytes), body(request).toString("hex", 84, 208))
    assert.strictEqual(body(request).toString("hex", 124, 156), "52".repeat(32))
    assert.strictEqual(body(request).readUInt32BE(156), 8)
    assert.strictEqual(body(request).toString("hex", 160, 192), "53".repeat(32))
    assert.deepStrictEqual([192, 196, 200, 204].map((at) => body(request).readUInt32BE(at)), [1, 7, 9, 10])

    const encryptedBody = Buffer.alloc(50, 0x54)
    const response = TimeSlicedSurveyResponse.make({
      signature,
      surveyorId,
      surveyedId,
      ledgerNum: 8,
      encryptedBody,
      nonce: 7
    })
    assert.strictEqual(response.size + overhead, 204 + 52)
    assert.strictEqual(hex(response.signedBytes), body(response).toString("hex", 84))
    assert.deepStrictEqual([156, 160, 164, 220].map((at) => body(response).readUInt32BE(at)), [8, 1, 50, 7])
    assert.strictEqual(body(response).toString("hex", 168, 218), "54".repeat(50))
  })

  it("COD-04 make refuses what does not fit its field", () => {
    const s = new Source(1)
    const start = { signature: s.bytes(64), surveyorId: s.bytes(32), nonce: 1, ledgerNum: 1 }
    const request = {
      ...start,
      surveyedId: s.bytes(32),
      encryptionKey: s.bytes(32),
      inboundPeersIndex: 0,
      outboundPeersIndex: 0
    }
    const response = { ...start, surveyedId: s.bytes(32), encryptedBody: s.bytes(64_000) }
    assert.strictEqual(TimeSlicedSurveyResponse.make(response).encryptedBody.length, 64_000)
    assert.throws(() => TimeSlicedSurveyStartCollecting.make({ ...start, signature: s.bytes(65) }), RangeError)
    assert.throws(() => TimeSlicedSurveyStopCollecting.make({ ...start, surveyorId: s.bytes(31) }), RangeError)
    assert.throws(() => TimeSlicedSurveyRequest.make({ ...request, encryptionKey: s.bytes(33) }), RangeError)
    assert.throws(() => TimeSlicedSurveyRequest.make({ ...request, inboundPeersIndex: -1 }), RangeError)
    assert.throws(() => TimeSlicedSurveyResponse.make({ ...response, encryptedBody: s.bytes(64_001) }), RangeError)
    assert.throws(() => TimeSlicedSurveyResponse.make({ ...response, ledgerNum: 2 ** 32 }), RangeError)
  })
})
