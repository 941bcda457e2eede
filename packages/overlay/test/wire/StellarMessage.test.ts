import { assert, describe, it } from "@effect/vitest"
import { xdr } from "@stellar/stellar-base"
import { Match, Result } from "effect"
import { inspect } from "node:util"
import { toHex } from "../../src/internal/bytes.ts"
import { coreName, type MessageTag, MessageType } from "../../src/wire/MessageType.ts"
import * as StellarMessage from "../../src/wire/StellarMessage.ts"
import { many, samples, Source, within } from "./messages/samples.ts"

type Row = readonly [discriminant: number, coreName: string, tag: MessageTag, flowControlled: boolean]

/** protocol.md section 1.4, column by column. */
const table: ReadonlyArray<Row> = [
  [0, "ERROR_MSG", "ErrorMsg", false],
  [2, "AUTH", "Auth", false],
  [3, "DONT_HAVE", "DontHave", false],
  [5, "PEERS", "Peers", false],
  [6, "GET_TX_SET", "GetTxSet", false],
  [7, "TX_SET", "TxSet", false],
  [8, "TRANSACTION", "Transaction", true],
  [9, "GET_SCP_QUORUMSET", "GetScpQuorumSet", false],
  [10, "SCP_QUORUMSET", "ScpQuorumSet", false],
  [11, "SCP_MESSAGE", "ScpMessage", true],
  [12, "GET_SCP_STATE", "GetScpState", false],
  [13, "HELLO", "Hello", false],
  [16, "SEND_MORE", "SendMore", false],
  [17, "GENERALIZED_TX_SET", "GeneralizedTxSet", false],
  [18, "FLOOD_ADVERT", "FloodAdvert", true],
  [19, "FLOOD_DEMAND", "FloodDemand", true],
  [20, "SEND_MORE_EXTENDED", "SendMoreExtended", false],
  [21, "TIME_SLICED_SURVEY_REQUEST", "TimeSlicedSurveyRequest", false],
  [22, "TIME_SLICED_SURVEY_RESPONSE", "TimeSlicedSurveyResponse", false],
  [23, "TIME_SLICED_SURVEY_START_COLLECTING", "TimeSlicedSurveyStartCollecting", false],
  [24, "TIME_SLICED_SURVEY_STOP_COLLECTING", "TimeSlicedSurveyStopCollecting", false]
]

const tags = table.map(([, , tag]) => tag)

describe("StellarMessage", () => {
  it("COD-04 the table of the 21 types", () => {
    assert.strictEqual(table.length, 21)
    assert.deepStrictEqual(new Set(Object.keys(MessageType)), new Set(tags))
    for (const [discriminant, name, tag, flowControlled] of table) {
      const message = StellarMessage.fromXdr(samples[tag](new Source(discriminant)))
      assert.strictEqual(message._tag, tag)
      assert.strictEqual(message.type, discriminant)
      assert.strictEqual(toHex(message.bytes.subarray(0, 4)), discriminant.toString(16).padStart(8, "0"))
      assert.strictEqual(coreName(message.type), name)
      assert.strictEqual(StellarMessage.isFlood(message), flowControlled)
      assert.strictEqual(message.constructor.name, tag)
    }
  })

  it("COD-04 every type round-trips against stellar-base", () => {
    for (const tag of tags) {
      for (const [seed, value] of many(tag)) {
        const encoded = value.toXDR()
        const message = StellarMessage.fromXdr(value)
        const where = `${tag}, seed ${seed}`
        assert.strictEqual(message._tag, tag, where)
        assert.strictEqual(toHex(message.bytes), encoded.toString("hex"), where)
        assert.strictEqual(message.size, encoded.length, where)
        const read = StellarMessage.fromBytes(within(encoded))
        assert.strictEqual(read._tag, tag, where)
        assert.strictEqual(read.xdr.toXDR("hex"), encoded.toString("hex"), where)
        assert.strictEqual(toHex(read.retain().bytes), encoded.toString("hex"), where)
        assert.isTrue(Result.isSuccess(StellarMessage.fromUntrusted(encoded)), where)
      }
    }
  })

  it("COD-03 bytes of unknown origin are refused at the offending byte", () => {
    const good = StellarMessage.SendMoreExtended.make({ numMessages: 200, numBytes: 300_000 }).bytes
    const refuse = (bytes: Uint8Array): number | undefined => {
      const result = StellarMessage.fromUntrusted(bytes)
      assert.isTrue(Result.isFailure(result))
      if (Result.isSuccess(result)) return undefined
      assert.strictEqual(result.failure._tag, "WireError")
      assert.strictEqual(result.failure.reason, "InvalidXdr")
      return result.failure.offset
    }
    assert.strictEqual(refuse(Uint8Array.of(...good, 0, 0, 0, 0)), 12) // trailing bytes
    for (const discriminant of [1, 4, 14, 15, 25, 0xffffffff]) {
      const bytes = new Uint8Array(12)
      new DataView(bytes.buffer).setUint32(0, discriminant)
      assert.strictEqual(refuse(bytes), 0, `discriminant ${discriminant}`)
    }
    for (let length = 0; length < good.length; length++) assert.isNumber(refuse(good.subarray(0, length)))
  })

  it("COD-04 fromBytes calls a discriminant that does not exist a defect", () => {
    for (const discriminant of [1, 4, 14, 15, 25, 0x0b000000]) {
      const bytes = new Uint8Array(8)
      new DataView(bytes.buffer).setUint32(0, discriminant)
      assert.throws(() => StellarMessage.fromBytes(bytes), RangeError, `${discriminant}`)
    }
  })

  it("COD-04 the stellar-base value is decoded on demand, once, and aliases no bytes", () => {
    const bytes = samples.GetTxSet(new Source(1)).toXDR()
    const socketBuffer = Buffer.from(within(bytes)) // js-xdr would give views into a Buffer
    const message = StellarMessage.fromBytes(socketBuffer)
    const value = message.xdr
    assert.strictEqual(message.xdr, value)
    socketBuffer.fill(0xff, 4)
    assert.strictEqual(value.txSetHash().toString("hex"), bytes.toString("hex", 4))
    assert.notStrictEqual(message.retain().xdr, value)
  })

  it("COD-04 retain keeps what owns its bytes and copies what is a view, also of a Buffer", () => {
    for (const tag of tags) {
      const encoded = new Uint8Array(samples[tag](new Source(7)).toXDR())
      const owned = StellarMessage.fromBytes(encoded)
      assert.strictEqual(owned.retain(), owned)
      for (const chunk of [within(encoded), Buffer.from(within(encoded).buffer).subarray(17, 17 + encoded.length)]) {
        const view = StellarMessage.fromBytes(chunk)
        const kept = view.retain()
        assert.strictEqual(kept.constructor, view.constructor)
        assert.strictEqual(kept.bytes.buffer.byteLength, encoded.length)
        chunk.fill(0)
        assert.strictEqual(toHex(kept.bytes), toHex(encoded))
        assert.strictEqual(kept.retain(), kept)
      }
    }
  })

  it("COD-04 fromXdr owns its bytes and refuses a value stellar-base cannot encode", () => {
    const value = samples.Peers(new Source(3))
    const message = StellarMessage.fromXdr(value)
    assert.strictEqual(message.bytes.buffer.byteLength, message.size)
    const before = toHex(message.bytes)
    value.peers()[0]?.port(1)
    assert.strictEqual(toHex(message.bytes), before)
    const impossible = xdr.StellarMessage.getTxSet(Buffer.alloc(31))
    assert.throws(() => StellarMessage.fromXdr(impossible), RangeError)
  })

  it("COD-04 is narrows to the class of a tag, isFlood to the four flood classes", () => {
    const messages = tags.map((tag) => StellarMessage.fromXdr(samples[tag](new Source(5))))
    const scp: ReadonlyArray<StellarMessage.ScpMessage> = messages.filter(StellarMessage.is("ScpMessage"))
    assert.deepStrictEqual(scp.map((message) => message.type), [11])
    const sets: ReadonlyArray<StellarMessage.TxSet | StellarMessage.GeneralizedTxSet> = messages.filter(
      StellarMessage.is("TxSet", "GeneralizedTxSet")
    )
    assert.deepStrictEqual(sets.map((message) => message.type), [7, 17])
    const flood: ReadonlyArray<StellarMessage.FloodMessage> = messages.filter(StellarMessage.isFlood)
    assert.deepStrictEqual(flood.map((message) => message.type), [8, 11, 18, 19])
    assert.isTrue(messages.every(StellarMessage.isStellarMessage))
    assert.isFalse(StellarMessage.isStellarMessage({ _tag: "Auth", type: 2, bytes: new Uint8Array(8) }))
  })

  it("COD-04 classes match with Match.tag, exhaustively with a switch", () => {
    const describe = Match.type<StellarMessage.StellarMessage>().pipe(
      Match.tag("SendMoreExtended", (message) => message.numBytes),
      Match.tag("Auth", (message) => message.flags),
      Match.orElse((message) => message._tag)
    )
    assert.strictEqual(describe(StellarMessage.SendMoreExtended.make({ numMessages: 1, numBytes: 300_000 })), 300_000)
    assert.strictEqual(describe(StellarMessage.Auth.make()), 200)
    assert.strictEqual(describe(StellarMessage.GetScpState.make({ ledgerSeq: 0 })), "GetScpState")
  })

  it("COD-04 the readable form is JSON with the tag and the size, for every type, and what console.log shows", () => {
    for (const tag of tags) {
      for (const [seed, value] of many(tag, 20)) {
        const message = StellarMessage.fromXdr(value)
        const json: StellarMessage.MessageJson = message.toJSON()
        assert.deepStrictEqual(JSON.parse(JSON.stringify(message)), { ...json }, `${tag}, seed ${seed}`)
        assert.strictEqual(json._tag, tag)
        assert.strictEqual(json.size, message.size)
        assert.include(inspect(message), `_tag: '${tag}'`)
      }
    }
  })

  it("COD-04 H13 the readable form of a 16 MiB message stays small", () => {
    const bytes = new Uint8Array(16 * 1024 * 1024 - 44 & ~3)
    bytes[3] = MessageType.ScpQuorumSet
    const validators = Math.floor((bytes.length - 16) / 36)
    new DataView(bytes.buffer).setUint32(8, validators)
    const whole = bytes.subarray(0, 16 + 36 * validators) // threshold, validators, no inner sets
    assert.isTrue(Result.isSuccess(StellarMessage.fromUntrusted(whole)))
    const json = StellarMessage.fromBytes(whole).toJSON()
    assert.strictEqual(json["validatorCount"], validators)
    assert.isBelow(JSON.stringify(json).length, 100_000)
  })
})
