import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import { inspect } from "node:util"
import { fromHex, toHex } from "../../src/internal/bytes.ts"
import * as NodeOverlayCrypto from "../../src/NodeOverlayCrypto.ts"
import { Hmac, type HmacFailure } from "../../src/protocol/Hmac.ts"
import type { MacKey, Primitives } from "../../src/protocol/Primitives.ts"
import { FRAME_MAC_INPUT_OFFSET, frameLengthFor, MAC_LENGTH, writeFrame } from "../../src/wire/AuthenticatedMessage.ts"
import { MessageType } from "../../src/wire/MessageType.ts"

const crypto = NodeOverlayCrypto.primitives
const bytes = (hex: string): Uint8Array => fromHex(hex)!

// protocol.md annex B
const kAB = "574afef75feec9c087649e6eb78ebd9875991df9c9351983863dc367a866efcf"
const kBA = "d8b8816d6e94f51f81a3c3a11ae3ff20a22943e08b4e85ff641a1ce1a9d34a64"
const auth = bytes("00000002000000c8")
const sendMoreExtended = bytes("00000014000000c8000493e0")

const message = (type: number, size = 8): Uint8Array => {
  const out = new Uint8Array(size)
  out[3] = type
  for (let i = 4; i < size; i++) out[i] = 17 * i + type
  return out
}

interface Flush {
  readonly done: number
  /** Whole frames, marks included. */
  readonly frames: ReadonlyArray<Uint8Array>
  readonly bodies: ReadonlyArray<Uint8Array>
}

/** What a session does with a flush: one slab, spans, one call. The slab is dirty, as a reused one is. */
const flush = (hmac: Hmac, messages: ReadonlyArray<Uint8Array>): Flush => {
  const slab = new Uint8Array(messages.reduce((sum, m) => sum + frameLengthFor(m.length), 0)).fill(0x5a)
  const spans: Array<number> = []
  const ends: Array<number> = [0]
  let at = 0
  for (const m of messages) {
    const end = writeFrame(slab, at, m, 0x5a5a5a5a, 0x5a5a5a5a)
    spans.push(at + FRAME_MAC_INPUT_OFFSET, end - MAC_LENGTH)
    ends.push(end)
    at = end
  }
  const done = hmac.sign(slab, spans, messages.length)
  const frames = messages.map((_, i) => slab.slice(ends[i], ends[i + 1]))
  return { done, frames, bodies: frames.map((frame) => frame.slice(4)) }
}

const pair = (sequence = 0n): { readonly sender: Hmac; readonly receiver: Hmac } => {
  const sender = new Hmac(crypto, { sendSequence: sequence })
  const receiver = new Hmac(crypto, { receiveSequence: sequence })
  sender.setSendKey(bytes(kAB))
  receiver.setReceiveKey(bytes(kAB))
  return { sender, receiver }
}

const sequenceOf = (body: Uint8Array): bigint => BigInt(`0x${toHex(body.subarray(4, 12))}`)
const macOf = (body: Uint8Array): string => toHex(body.subarray(-32))
const zeroMac = "00".repeat(32)

const flip = (body: Uint8Array, at: number, mask = 1): Uint8Array => {
  const out = body.slice()
  out[at]! ^= mask
  return out
}

const refused = (
  hmac: Hmac,
  bodies: ReadonlyArray<Uint8Array>,
  good: number,
  failure: HmacFailure | undefined
): void => {
  assert.deepStrictEqual([hmac.verify(bodies, bodies.length), hmac.failure], [good, failure])
}

describe("outgoing", () => {
  it("HSK-05 the first frames of both sides are those of protocol.md annex B", () => {
    const a = new Hmac(crypto)
    const b = new Hmac(crypto)
    assert.isTrue(a.setKeys({ send: bytes(kAB), receive: bytes(kBA) }))
    assert.isTrue(b.setKeys({ send: bytes(kBA), receive: bytes(kAB) }))
    const fromA = flush(a, [auth, sendMoreExtended])
    const fromB = flush(b, [auth])
    assert.deepStrictEqual(fromA.frames.map(toHex), [
      "8000003400000000000000000000000000000002000000c879bc6bd9e24532977fd30e1804a8cb08d4a5f83aa7a2571183c483e23dd38e54",
      "8000003800000000000000000000000100000014000000c8000493e0605bd4e467fed1031286390373971011df0a5ca7c6fa5ac1b38a0b8cf94ada91"
    ])
    assert.deepStrictEqual(fromB.frames.map(toHex), [
      "8000003400000000000000000000000000000002000000c86ad1cb33e83f3ced6e22fd97ebd86aca10d4655fa02ed47eccecb7f11e0abbaf"
    ])
    refused(b, fromA.bodies, 2, undefined)
    refused(a, fromB.bodies, 1, undefined)
    assert.deepStrictEqual([a.sendSequence, a.receiveSequence, b.sendSequence, b.receiveSequence], [2n, 1n, 1n, 2n])
  })

  it("HSK-05 HELLO and ERROR_MSG carry zeros, before keys and after, and take no sequence number", () => {
    const hello = message(MessageType.Hello, 40)
    const error = message(MessageType.ErrorMsg, 16)
    const hmac = new Hmac(crypto)
    const before = flush(hmac, [hello, error])
    assert.strictEqual(before.done, 2)
    for (const body of before.bodies) assert.deepStrictEqual([sequenceOf(body), macOf(body)], [0n, zeroMac])
    assert.strictEqual(hmac.sendSequence, 0n)

    hmac.setSendKey(bytes(kAB))
    const after = flush(hmac, [hello, auth, error, sendMoreExtended, hello])
    assert.strictEqual(after.done, 5)
    assert.deepStrictEqual(after.bodies.map(sequenceOf), [0n, 0n, 0n, 1n, 0n])
    assert.deepStrictEqual(after.bodies.map((body) => macOf(body) === zeroMac), [true, false, true, false, true])
    assert.deepStrictEqual(
      after.bodies.map((body) => toHex(body.subarray(12, -32))),
      [
        hello,
        auth,
        error,
        sendMoreExtended,
        hello
      ].map(toHex)
    )
    assert.strictEqual(hmac.sendSequence, 2n)
    const { receiver } = pair()
    refused(receiver, [after.bodies[1]!, after.bodies[3]!], 2, undefined)
  })

  it("HSK-05 H1 a message that needs a key is a defect of the caller before keys are set, and changes nothing", () => {
    const hmac = new Hmac(crypto)
    const slab = new Uint8Array(frameLengthFor(auth.length))
    const end = writeFrame(slab, 0, auth, 1, 2)
    const before = slab.slice()
    assert.throws(() => hmac.sign(slab, [8, end - 32], 1), /before keys were agreed/)
    assert.deepStrictEqual(slab, before)
    assert.strictEqual(hmac.sendSequence, 0n)
  })

  it("HSK-05 a flush is one call into the cryptography", () => {
    const calls: Array<string> = []
    const counting: Primitives = {
      ...crypto,
      macKey: (key): MacKey => {
        const inner = crypto.macKey(key)
        return {
          sign: (slab, spans, count) => {
            calls.push(`sign ${count}`)
            inner.sign(slab, spans, count)
          },
          verify: (bodies, count) => {
            calls.push(`verify ${count}`)
            return inner.verify(bodies, count)
          }
        }
      }
    }
    const hmac = new Hmac(counting)
    hmac.setKeys({ send: bytes(kAB), receive: bytes(kAB) })
    const { bodies } = flush(hmac, [auth, sendMoreExtended, message(MessageType.ErrorMsg), sendMoreExtended])
    refused(hmac, bodies, 4, undefined)
    refused(hmac, [], 0, undefined)
    assert.deepStrictEqual(calls, ["sign 3", "verify 3"])
  })
})

describe("incoming", () => {
  it("HSK-05 M1 any changed bit stops the batch there, and the counter stays", () => {
    const messages = [auth, sendMoreExtended, message(MessageType.ScpMessage, 100)]
    const { bodies } = flush(pair().sender, messages)
    for (const [i, body] of bodies.entries()) {
      // Bytes 0..3 are the union discriminant, which has no MAC.
      for (let at = 4; at < body.length; at++) {
        for (const mask of [1, 0x80]) {
          const { receiver } = pair()
          const expected = at < 12 ? "UnexpectedAuthSequence" : "UnexpectedMac"
          refused(receiver, bodies.with(i, flip(body, at, mask)), i, expected)
          assert.strictEqual(receiver.receiveSequence, BigInt(i))
          refused(receiver, bodies.slice(i), bodies.length - i, undefined)
        }
      }
    }
  })

  it("M2 HSK-05 a replayed message is refused", () => {
    const { receiver, sender } = pair()
    const { bodies } = flush(sender, [auth, sendMoreExtended])
    refused(receiver, [bodies[0]!, bodies[0]!], 1, "UnexpectedAuthSequence")
    refused(receiver, [bodies[1]!], 1, undefined)
    refused(receiver, [bodies[0]!], 0, "UnexpectedAuthSequence")
    refused(receiver, [bodies[1]!], 0, "UnexpectedAuthSequence")
    assert.strictEqual(receiver.receiveSequence, 2n)
  })

  it("M3 HSK-05 a skipped or reordered message is refused", () => {
    const { receiver, sender } = pair()
    const { bodies } = flush(sender, [auth, sendMoreExtended, message(MessageType.GetScpState)])
    refused(receiver, [bodies[0]!, bodies[2]!], 1, "UnexpectedAuthSequence")
    refused(receiver, [bodies[2]!, bodies[1]!], 0, "UnexpectedAuthSequence")
    assert.strictEqual(receiver.receiveSequence, 1n)
  })

  it("M5 HSK-05 the MAC of every type but ERROR_MSG is checked", () => {
    for (const type of [...Object.values(MessageType), 1, 4, 0x7fffffff]) {
      const { receiver, sender } = pair()
      const { bodies } = flush(sender, [auth])
      // A body of that type with the right sequence and the MAC of another message.
      const forged = bodies[0]!.slice()
      forged.set(bytes(type.toString(16).padStart(8, "0")), 12)
      if (type === MessageType.Auth) forged[forged.length - 1]! ^= 1
      const passes = type === MessageType.ErrorMsg
      refused(receiver, [forged], passes ? 1 : 0, passes ? undefined : "UnexpectedMac")
      assert.strictEqual(receiver.receiveSequence, 0n)
    }
  })

  it("HSK-05 ERROR_MSG in the middle of a batch passes without a MAC and takes no sequence number", () => {
    const { receiver, sender } = pair()
    const { bodies } = flush(sender, [auth, message(MessageType.ErrorMsg), sendMoreExtended, auth])
    refused(receiver, [...bodies.slice(0, 3), flip(bodies[3]!, 13)], 3, "UnexpectedMac")
    assert.strictEqual(receiver.receiveSequence, 2n)
    refused(receiver, [bodies[1]!, bodies[1]!], 2, undefined)
    refused(receiver, [bodies[3]!], 1, undefined)
  })

  it("HSK-05 without a key the sequence is still checked first", () => {
    const { sender } = pair()
    const { bodies } = flush(sender, [auth, sendMoreExtended])
    const receiver = new Hmac(crypto)
    refused(receiver, [bodies[0]!], 0, "ReceiveMacKeyZero")
    refused(receiver, [bodies[1]!], 0, "UnexpectedAuthSequence")
    refused(receiver, [message(MessageType.ErrorMsg, 60)], 0, "UnexpectedAuthSequence") // no body: its sequence is not 0
    assert.isFalse(receiver.setReceiveKey(new Uint8Array(32)))
    refused(receiver, [bodies[0]!], 0, "ReceiveMacKeyZero")
    assert.isTrue(receiver.setReceiveKey(bytes(kAB)))
    refused(receiver, bodies, 2, undefined)
  })

  it("HSK-05 a body too short for its parts is refused, whatever it begins with", () => {
    for (let length = 0; length < 48; length++) {
      refused(pair().receiver, [new Uint8Array(length)], 0, "UnexpectedMac")
    }
  })

  it("HSK-05 H2 keys are set once", () => {
    const { receiver, sender } = pair()
    assert.isFalse(sender.setSendKey(bytes(kBA)))
    assert.isFalse(receiver.setReceiveKey(bytes(kBA)))
    refused(receiver, flush(sender, [auth, sendMoreExtended]).bodies, 2, undefined)
    assert.deepStrictEqual([sender.hasKeys, receiver.hasKeys], [false, false])

    const keys = { send: bytes(kBA), receive: bytes(kBA) }
    assert.isFalse(sender.setKeys(keys), "the send key is there already")
    assert.isFalse(sender.hasKeys, "neither was set")
    assert.deepStrictEqual([toHex(keys.send), toHex(keys.receive)], [zeroMac, zeroMac])
    refused(receiver, flush(sender, [auth]).bodies, 1, undefined)

    const fresh = new Hmac(crypto)
    assert.isFalse(fresh.setKeys({ send: bytes(kAB), receive: new Uint8Array(32) }), "all zero is no key")
    assert.isTrue(fresh.setKeys({ send: bytes(kAB), receive: bytes(kBA) }))
    assert.isTrue(fresh.hasKeys)
    assert.isFalse(fresh.setKeys({ send: bytes(kAB), receive: bytes(kBA) }))
  })
})

describe("sequence", () => {
  it("M4 HSK-05 counting passes from one 32-bit half to the other", () => {
    const { receiver, sender } = pair(2n ** 32n - 2n)
    const { bodies, done } = flush(sender, [auth, auth, auth, auth])
    assert.strictEqual(done, 4)
    assert.deepStrictEqual(bodies.map(sequenceOf), [0xfffffffen, 0xffffffffn, 0x1_0000_0000n, 0x1_0000_0001n])
    refused(receiver, bodies, 4, undefined)
    assert.strictEqual(receiver.receiveSequence, 0x1_0000_0002n)
    assert.strictEqual(sender.sendSequence, 0x1_0000_0002n)
  })

  it("M4 the last number is used, then the sequence is exhausted instead of wrapping to 0", () => {
    const { receiver, sender } = pair(2n ** 64n - 2n)
    const { bodies, done } = flush(sender, [auth, auth, message(MessageType.ErrorMsg), auth, auth])
    assert.strictEqual(done, 3, "what needs no number still goes out")
    assert.deepStrictEqual(bodies.slice(0, 2).map(sequenceOf), [2n ** 64n - 2n, 2n ** 64n - 1n])
    assert.strictEqual(sender.sendSequence, 2n ** 64n)
    assert.strictEqual(flush(sender, [auth]).done, 0)
    assert.strictEqual(flush(sender, [message(MessageType.ErrorMsg)]).done, 1)

    const wrapped = flush(pair().sender, [auth]).bodies[0]!
    refused(receiver, [...bodies.slice(0, 2), wrapped], 2, "SequenceExhausted")
    assert.strictEqual(receiver.receiveSequence, 2n ** 64n)
    refused(receiver, [wrapped], 0, "SequenceExhausted")
    for (const sequence of [-1n, 2n ** 64n + 1n]) {
      assert.throws(() => new Hmac(crypto, { sendSequence: sequence }), RangeError)
    }
  })
})

describe("batches", () => {
  const Part = Schema.Literals(["good", "good", "good", "error", "mac", "skip", "replay", "short", "hello"])
  const parts = Arbitrary.array(Arbitrary.schema(Part))

  /** protocol.md 1.6 word for word, one message after the other, with nothing of the implementation. */
  const model = (
    bodies: ReadonlyArray<Uint8Array>,
    start: bigint
  ): readonly [number, HmacFailure | undefined, bigint] => {
    let counter = start
    for (const [i, body] of bodies.entries()) {
      if (body.length >= 48 && toHex(body.subarray(12, 16)) === "00000000") continue
      if (counter === 2n ** 64n) return [i, "SequenceExhausted", counter]
      if (body.length < 12 || sequenceOf(body) !== counter) return [i, "UnexpectedAuthSequence", counter]
      if (body.length < 48) return [i, "UnexpectedMac", counter]
      if (toHex(crypto.hmacSha256(bytes(kAB), body.subarray(4, -32))) !== macOf(body)) {
        return [i, "UnexpectedMac", counter]
      }
      counter++
    }
    return [bodies.length, undefined, counter]
  }

  it.effect.prop(
    "HSK-05 M1 M2 M3 a batch gives the same result as one message after the other, wherever it begins",
    [parts, Arbitrary.schema(Schema.Literals([0n, 2n ** 32n - 3n, 2n ** 64n - 4n]))],
    ([kinds, start]) =>
      Effect.sync(() => {
        const sender = new Hmac(crypto, { sendSequence: start })
        sender.setSendKey(bytes(kAB))
        const bodies: Array<Uint8Array> = []
        for (const kind of kinds) {
          if (kind === "skip") {
            flush(sender, [auth])
            continue
          }
          const type = kind === "error" ? MessageType.ErrorMsg : MessageType.ScpMessage
          const body = flush(sender, [message(type, 64)]).bodies[0]!
          if (kind === "mac") bodies.push(flip(body, body.length - 1))
          else if (kind === "replay") bodies.push(body, body)
          else if (kind === "short") bodies.push(body.subarray(0, 40))
          else if (kind === "hello") bodies.push(flush(new Hmac(crypto), [message(MessageType.Hello)]).bodies[0]!)
          else bodies.push(body)
        }
        const [good, failure, counter] = model(bodies, start)

        const batch = new Hmac(crypto, { receiveSequence: start })
        batch.setReceiveKey(bytes(kAB))
        refused(batch, bodies, good, failure)
        assert.strictEqual(batch.receiveSequence, counter)

        const single = new Hmac(crypto, { receiveSequence: start })
        single.setReceiveKey(bytes(kAB))
        let passed = 0
        while (passed < bodies.length && single.verify([bodies[passed]!], 1) === 1) passed++
        assert.deepStrictEqual([passed, single.failure, single.receiveSequence], [good, failure, counter])
      }),
    { arbitrary: { seed: 11, runs: 300 } }
  )
})

describe("hygiene", () => {
  it("HSK-04 printing shows counters and no key bytes", () => {
    const hmac = new Hmac(crypto)
    hmac.setKeys({ send: bytes(kAB), receive: bytes(kBA) })
    flush(hmac, [auth])
    const printed = [
      String(hmac),
      JSON.stringify({ hmac }),
      inspect(hmac, { depth: Infinity, showHidden: true }),
      JSON.stringify(Object.entries(hmac))
    ].join("\n")
    assert.include(printed, "\"sendSequence\":\"1\"")
    for (const key of [kAB, kBA]) {
      assert.notInclude(printed, key.slice(0, 16))
      assert.notInclude(printed.replaceAll(/\s/g, ""), Array.from(bytes(key).subarray(0, 6)).join(","))
    }
  })
})
