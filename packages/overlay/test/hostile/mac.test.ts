/** Every bit of a frame, every sequence number, every batch: what is not exactly right ends the connection. */
import { assert, describe, it } from "@effect/vitest"
import { note, notes } from "@stellar-overlay/overlay-test/hostile/parts"
import type { ScriptedSession } from "@stellar-overlay/overlay-test/ScriptedSession"
import * as TestCrypto from "@stellar-overlay/overlay-test/TestCrypto"
import { Hmac } from "../../src/protocol/Hmac.ts"
import * as AuthenticatedMessage from "../../src/wire/AuthenticatedMessage.ts"
import { ErrorMsg } from "../../src/wire/StellarMessage.ts"
import { authenticated, noted, upTo } from "./fixtures.ts"

const errors = {
  UnexpectedMac: [3, "unexpected MAC"],
  UnexpectedAuthSequence: [3, "unexpected auth sequence"],
  CorruptXdr: [1, "received corrupt XDR"]
} as const

/** The reason of a session that ended with one of those, after checking its words and that it ended once. */
const endedWith = (wire: ScriptedSession): keyof typeof errors => {
  const tag = wire.dropped?._tag
  if (tag !== "UnexpectedMac" && tag !== "UnexpectedAuthSequence" && tag !== "CorruptXdr") {
    return assert.fail(`ended with ${tag}`)
  }
  const [said] = wire.peer.messages("ErrorMsg")
  assert.deepStrictEqual([said?.code, said?.text], [...errors[tag]])
  assert.lengthOf(wire.events.filter(({ _tag }) => _tag === "Dropped"), 1)
  return tag
}

describe("MACs and sequence numbers, against a hostile peer", () => {
  it("M1 each bit of an authenticated frame matters", () => {
    const length = 84
    for (let bit = 0; bit < 8 * length; bit++) {
      const byte = bit >> 3
      const wire = authenticated()
      wire.run(function*(peer) {
        yield* peer.say(note(1))
        yield* peer.say(note(2), { damage: (frame) => void (frame[4 + byte]! ^= 1 << (bit & 7)) })
        yield* peer.say(note(3))
      })
      const tag = endedWith(wire)
      const where = `bit ${bit & 7} of byte ${byte}`
      // v; sequence; type, which may make it another valid message; item type and hash; MAC
      if (byte < 4) assert.strictEqual(tag, "CorruptXdr", where)
      else if (byte < 12) assert.strictEqual(tag, "UnexpectedAuthSequence", where)
      else if (byte < 16) assert.notStrictEqual(tag, "UnexpectedAuthSequence", where)
      else assert.strictEqual(tag, "UnexpectedMac", where)
      assert.deepStrictEqual(noted(wire.victim.received), [1], where)
    }
  })

  it("M1 M2 M3 in a batch of 64 read at once, those before the bad one are delivered, and none after it", () => {
    for (let bad = 0; bad < 64; bad++) {
      for (const manner of ["mac", "sequence"] as const) {
        const wire = authenticated()
        wire.run(function*(peer) {
          const frames = notes(64).map((message, i) =>
            i !== bad
              ? peer.encode(message)
              : peer.encode(message, {
                damage: (frame) => void (frame[manner === "mac" ? frame.length - 1 : 15]! ^= 1)
              })
          )
          yield* peer.sayBytes(new Uint8Array(Buffer.concat(frames)))
        })
        assert.strictEqual(endedWith(wire), manner === "mac" ? "UnexpectedMac" : "UnexpectedAuthSequence")
        assert.deepStrictEqual(noted(wire.victim.received), upTo(bad))
      }
    }
  })

  it("M4 both ends count through 2^32 and 2^53, and stop cleanly before 2^64 would wrap", () => {
    const crypto = TestCrypto.make("M4").primitives
    const key = () => new Uint8Array(32).fill(7)
    const frame = (hmac: Hmac) => {
      const { bytes } = note(1)
      const slab = new Uint8Array(AuthenticatedMessage.frameLengthFor(bytes.length))
      const end = AuthenticatedMessage.writeFrame(slab, 0, bytes, 0, 0)
      const spans = [AuthenticatedMessage.FRAME_MAC_INPUT_OFFSET, end - AuthenticatedMessage.MAC_LENGTH]
      return { signed: hmac.sign(slab, spans, 1), body: slab.subarray(4) }
    }
    for (const start of [2n ** 32n - 2n, 2n ** 53n - 2n, 2n ** 63n - 2n, 2n ** 64n - 4n]) {
      const sender = new Hmac(crypto, { sendSequence: start })
      const receiver = new Hmac(crypto, { receiveSequence: start })
      assert.isTrue(sender.setSendKey(key()) && receiver.setReceiveKey(key()))
      for (let i = 0n; i < 4n; i++) {
        const { body, signed } = frame(sender)
        assert.strictEqual(signed, 1)
        assert.strictEqual(AuthenticatedMessage.sequence(body), start + i)
        assert.strictEqual(receiver.verify([body], 1), 1)
        assert.strictEqual(receiver.verify([body], 1), 0, "a replay")
      }
      assert.strictEqual(frame(sender).signed, start + 4n < 2n ** 64n ? 1 : 0, "no number is used twice")
    }
    // The number after the last is 0 for whoever lets it wrap: it is refused, as exhausted.
    const receiver = new Hmac(crypto, { receiveSequence: 2n ** 64n })
    const wrapped = new Hmac(crypto, { sendSequence: 0n })
    assert.isTrue(receiver.setReceiveKey(key()) && wrapped.setSendKey(key()))
    assert.strictEqual(receiver.verify([frame(wrapped).body], 1), 0)
    assert.strictEqual(receiver.failure, "SequenceExhausted")
  })

  it("M4 a sequence number that differs in one bit alone is another number", () => {
    for (let bit = 0n; bit < 64n; bit++) {
      const wire = authenticated()
      wire.run((peer) => peer.say(note(1), { sequence: peer.sendSequence ^ (1n << bit) }))
      assert.strictEqual(endedWith(wire), "UnexpectedAuthSequence", `bit ${bit}`)
    }
  })

  it("M6 a forged ERROR_MSG is told apart by its kind, and costs no MAC check", () => {
    for (
      const [code, text, tag, shown] of [
        [0, "shutdown", "ShutdownReceived", "ERR_MISC (shutdown)"],
        [0, "Shutdown", "ErrorReceived", "ERR_MISC (Shutdown)"],
        [2, "already-connected peer: GABCD", "ErrorReceived", "ERR_CONF (already*connected peer* GABCD)"],
        [4, "peer rejected", "LoadErrorReceived", "ERR_LOAD (peer rejected)"],
        [5, "x", "ErrorReceived", "UNKNOWN (x)"],
        [-1, "", "ErrorReceived", "UNKNOWN ()"]
      ] as const
    ) {
      const wire = authenticated()
      const { macVerify } = wire.victim.crypto.counts()
      wire.run((peer) => peer.say(ErrorMsg.make({ code, text })))
      assert.deepStrictEqual([wire.dropped?._tag, wire.victim.dropText], [tag, shown])
      assert.strictEqual(wire.victim.crypto.counts().macVerify, macVerify)
      assert.isEmpty(wire.peer.messages("ErrorMsg"), "an ERROR_MSG is never answered")
    }
  })
})
