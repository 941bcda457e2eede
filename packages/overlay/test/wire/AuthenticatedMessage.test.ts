import { assert, describe, it } from "@effect/vitest"
import { xdr } from "@stellar/stellar-base"
import { createHmac } from "node:crypto"
import { fromHex, toHex } from "../../src/internal/bytes.ts"
import * as Authenticated from "../../src/wire/AuthenticatedMessage.ts"
import { FrameParser, MAX_UNAUTHENTICATED_BODY } from "../../src/wire/Frame.ts"

const hex = (text: string): Uint8Array => fromHex(text.replaceAll(" ", ""))!

/** Annex B of the protocol reference. */
const keyAB = hex("574afef75feec9c087649e6eb78ebd9875991df9c9351983863dc367a866efcf")
const keyBA = hex("d8b8816d6e94f51f81a3c3a11ae3ff20a22943e08b4e85ff641a1ce1a9d34a64")
const vectors = [
  {
    name: "AUTH(200) A to B",
    key: keyAB,
    sequence: 0,
    message: hex("00000002 000000c8"),
    frame:
      "8000003400000000000000000000000000000002000000c879bc6bd9e24532977fd30e1804a8cb08d4a5f83aa7a2571183c483e23dd38e54"
  },
  {
    name: "AUTH(200) B to A",
    key: keyBA,
    sequence: 0,
    message: hex("00000002 000000c8"),
    frame:
      "8000003400000000000000000000000000000002000000c86ad1cb33e83f3ced6e22fd97ebd86aca10d4655fa02ed47eccecb7f11e0abbaf"
  },
  {
    name: "SEND_MORE_EXTENDED(200, 300000) A to B",
    key: keyAB,
    sequence: 1,
    message: hex("00000014 000000c8 000493e0"),
    frame:
      "8000003800000000000000000000000100000014000000c8000493e0605bd4e467fed1031286390373971011df0a5ca7c6fa5ac1b38a0b8cf94ada91"
  }
]

const sign = (key: Uint8Array, slab: Uint8Array, at: number, end: number): void => {
  const macAt = end - Authenticated.MAC_LENGTH
  const input = slab.subarray(at + Authenticated.FRAME_MAC_INPUT_OFFSET, macAt)
  slab.set(createHmac("sha256", key).update(input).digest(), macAt)
}

const bodyOf = (frame: Uint8Array): Uint8Array => frame.subarray(4)

describe("AuthenticatedMessage", () => {
  it.each(vectors)(
    "COD-01 HSK-13 $name is written as core writes it, byte for byte",
    ({ frame, key, message, sequence }) => {
      const slab = new Uint8Array(Authenticated.frameLengthFor(message.length))
      const end = Authenticated.writeFrame(slab, 0, message, 0, sequence)
      assert.strictEqual(end, slab.length)
      sign(key, slab, 0, end)
      assert.strictEqual(toHex(slab), frame)
    }
  )

  it.each(vectors)("COD-01 $name is read back", ({ frame, key, message, sequence }) => {
    const parser = new FrameParser()
    parser.push(hex(frame))
    const body = parser.next(MAX_UNAUTHENTICATED_BODY)
    assert.instanceOf(body, Uint8Array)
    assert.strictEqual(Authenticated.validate(body), -1)
    assert.strictEqual(Authenticated.version(body), 0)
    assert.strictEqual(Authenticated.sequence(body), BigInt(sequence))
    assert.isTrue(Authenticated.sequenceEquals(body, 0, sequence))
    assert.strictEqual(Authenticated.messageType(body), message[3])
    assert.deepStrictEqual(Authenticated.message(body), message)
    assert.strictEqual(Authenticated.messageSize(body), message.length)
    assert.strictEqual(body.length, Authenticated.bodyLengthFor(message.length))
    const mac = createHmac("sha256", key).update(body.subarray(4, 12 + message.length)).digest()
    assert.strictEqual(toHex(Authenticated.mac(body)), mac.toString("hex"))
  })

  it("COD-01 several frames share a slab that held other bytes", () => {
    const messages = vectors.map((vector) => vector.message)
    const slab = new Uint8Array(3 + messages.reduce((sum, message) => sum + 48 + message.length, 0) + 5).fill(0xff)
    let at = 3
    for (const { frame, key, message, sequence } of vectors) {
      const end = Authenticated.writeFrame(slab, at, message, 0, sequence)
      assert.deepStrictEqual(slab.slice(end - 32, end), new Uint8Array(32)) // the MAC is left zero
      sign(key, slab, at, end)
      assert.strictEqual(toHex(slab.subarray(at, end)), frame)
      at = end
    }
    assert.deepStrictEqual(slab.slice(0, 3), new Uint8Array(3).fill(0xff))
    assert.deepStrictEqual(slab.slice(at), new Uint8Array(5).fill(0xff))
  })

  it("COD-01 HSK-13 an unsigned frame is what stellar-base makes of sequence 0 and a zero MAC", () => {
    const error = xdr.StellarMessage.errorMsg(new xdr.Error({ code: xdr.ErrorCode.errConf(), msg: "bad address" }))
    const v0 = new xdr.AuthenticatedMessageV0({
      sequence: new xdr.Uint64(0),
      message: error,
      mac: new xdr.HmacSha256Mac({ mac: Buffer.alloc(32) })
    })
    const foreign = Uint8Array.from(new xdr.AuthenticatedMessage(0, v0).toXDR())
    const message = Uint8Array.from(error.toXDR())
    const slab = new Uint8Array(Authenticated.frameLengthFor(message.length))
    Authenticated.writeFrame(slab, 0, message, 0, 0)
    assert.deepStrictEqual(bodyOf(slab), foreign)
    assert.deepStrictEqual(slab.slice(0, 4), Uint8Array.of(0x80, 0, 0, foreign.length))
  })

  it("COD-01 the sequence is a uint64 in two halves", () => {
    const message = hex("00000002 000000c8")
    const slab = new Uint8Array(Authenticated.frameLengthFor(message.length))
    const cases: ReadonlyArray<readonly [number, number, bigint]> = [
      [0, 0, 0n],
      [0, 0xffffffff, 0xffffffffn],
      [1, 0, 0x100000000n],
      [0x01020304, 0x05060708, 0x0102030405060708n],
      [0xffffffff, 0xffffffff, 0xffffffffffffffffn]
    ]
    for (const [high, low, sequence] of cases) {
      Authenticated.writeFrame(slab, 0, message, high, low)
      assert.strictEqual(Authenticated.sequence(bodyOf(slab)), sequence)
      assert.strictEqual(Buffer.from(slab).readBigUInt64BE(8), sequence)
      for (const [otherHigh, otherLow] of cases) {
        const equal = otherHigh === high && otherLow === low
        assert.strictEqual(Authenticated.sequenceEquals(bodyOf(slab), otherHigh, otherLow), equal)
      }
    }
  })

  it("COD-01 the smallest body is 48 bytes, in whole words, of version 0", () => {
    assert.strictEqual(Authenticated.MIN_BODY_LENGTH, 48)
    assert.strictEqual(Authenticated.OVERHEAD, 44)
    assert.strictEqual(Authenticated.validate(new Uint8Array(48)), -1)
    for (let length = 0; length < 48; length++) {
      assert.strictEqual(Authenticated.validate(new Uint8Array(length)), length)
    }
    for (const length of [49, 50, 51]) assert.strictEqual(Authenticated.validate(new Uint8Array(length)), 48)
    for (let i = 0; i < 4; i++) {
      const body = new Uint8Array(52)
      body[i] = 1
      assert.strictEqual(Authenticated.validate(body), 0)
    }
  })

  it("COD-01 a frame that does not fit its slab is a defect, not a truncated frame", () => {
    const message = hex("00000002 000000c8")
    const slab = new Uint8Array(Authenticated.frameLengthFor(message.length) - 1)
    assert.throws(() => Authenticated.writeFrame(slab, 0, message, 0, 0), RangeError)
    assert.deepStrictEqual(slab, new Uint8Array(slab.length))
  })
})
