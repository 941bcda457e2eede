/** What hostile XDR costs a session: memory by what came and not by what was claimed, no stack, no decoding. */
import { assert, describe, it } from "@effect/vitest"
import * as AttackTrial from "@stellar-overlay/overlay-test/hostile/AttackTrial"
import { everyTag, hash, sample, transaction, txSet, words } from "@stellar-overlay/overlay-test/hostile/parts"
import * as Hostile from "@stellar-overlay/overlay-test/hostile/XdrAttacks"
import { xdr } from "@stellar/stellar-base"
import { MessageType } from "../../src/wire/MessageType.ts"
import { fromXdr, TxSet } from "../../src/wire/StellarMessage.ts"
import { authenticated, heldBytes } from "./fixtures.ts"

describe("XDR, from a hostile peer", () => {
  it("X1 X2 X4 X5 no variant gets a message through, or a MAC checked", () => {
    for (const attack of [Hostile.x1, Hostile.x2, Hostile.x4, Hostile.x5]) {
      for (const variant of attack.variants) {
        const { crypto, delivered } = AttackTrial.onSession(variant)
        assert.isEmpty(delivered, variant.name)
        assert.strictEqual(crypto.macVerify, 1, variant.name) // the AUTH before
      }
    }
  })

  it("X1 the variants reach every enum and union of the protocol", () => {
    const fields = new Set(Hostile.x1.variants.flatMap(({ name }) => / of (\S+) = /.exec(name)?.[1] ?? []))
    for (
      const field of [
        "ScpStatement.pledges",
        "ScpStatement.nodeId",
        "PeerAddress.ip",
        "Transaction.cond",
        "Transaction.memo",
        "Operation.body",
        "SurveyRequestMessage.commandType"
      ]
    ) assert.isTrue(fields.has(field), field)
    assert.isAtLeast(fields.size, 60)
  })

  it("X2 lengths of up to 4 GiB allocate nothing", () => {
    const wires = Array.from({ length: 50 }, () => authenticated())
    const lies = [
      words(MessageType.FloodAdvert, 0xffff_ffff, 1, 2, 3),
      words(MessageType.Peers, 0xffff_ffff, 1, 2, 3),
      words(MessageType.TxSet, ...new Array<number>(8).fill(0), 0xffff_ffff, 1),
      words(MessageType.ErrorMsg, 0, 0xffff_ffff),
      words(MessageType.ScpQuorumSet, 1, 0xffff_ffff, 1)
    ]
    const before = heldBytes()
    for (const [i, wire] of wires.entries()) {
      const { now, peer, victim } = wire
      victim.session.receive(peer.encode(lies[i % lies.length]!), now)
      assert.strictEqual(victim.dropped?._tag, "CorruptXdr")
    }
    assert.isBelow((heldBytes() - before) / wires.length, 16_384)
  })

  it("X3 towers of values end without using the stack: two hundred levels are the most, whatever the type", () => {
    for (const variant of Hostile.x3.variants) {
      const { delivered, reason } = AttackTrial.onSession(variant)
      assert.strictEqual(reason?._tag, variant.drop, variant.name)
      // What is not too deep is delivered, and stellar-base can decode it.
      assert.lengthOf(delivered, variant.drop === undefined ? 1 : 0, variant.name)
      for (const message of delivered) assert.strictEqual(message.xdr.switch().value, message.type)
    }
  })

  it("X4 what is accepted has one encoding: decoded and encoded again, every message is its own bytes", () => {
    for (const tag of everyTag) {
      if (tag === "Hello" || tag === "Auth" || tag === "ErrorMsg" || tag === "SendMore" || tag === "SendMoreExtended") {
        continue
      }
      for (let seed = 1; seed <= 20; seed++) {
        const wire = authenticated({ peer: { role: "acceptor" }, victim: { session: { answers: "deliver" } } })
        const message = sample(tag, seed, 400)
        wire.run((peer) => peer.say(message))
        assert.isUndefined(wire.dropped, `${tag} ${seed}`)
        const [received] = wire.victim.received
        assert.deepStrictEqual(received?.bytes, message.bytes)
        assert.deepStrictEqual(fromXdr(received!.xdr).bytes, message.bytes)
      }
    }
  })

  it("X6 a transaction set of 10 MB is validated and delivered, and never decoded", () => {
    const wire = authenticated()
    const message = txSet(1, 100)
    assert.isAbove(message.size, 10_000_000)
    const { fromXDR } = xdr.StellarMessage
    let decoded = 0
    const count = ((...args: Parameters<typeof fromXDR>) => {
      decoded++
      return fromXDR.apply(xdr.StellarMessage, args)
    }) as typeof fromXDR // its overloads differ in what the first argument may be
    xdr.StellarMessage.fromXDR = count
    try {
      wire.run((peer) => peer.say(message))
      const [received] = wire.victim.received
      assert.instanceOf(received, TxSet)
      assert.strictEqual(received?.size, message.size)
      assert.strictEqual(decoded, 0)
      // The count works: this decodes.
      void sample("GetScpState").xdr
      assert.strictEqual(decoded, 1)
    } finally {
      xdr.StellarMessage.fromXDR = fromXDR
    }
  })

  it("X6 a message of 16 MiB less its frame is the largest, one word more is refused at its mark", () => {
    for (const [size, tag] of [[16_777_216 - 44, undefined], [16_777_220 - 44, "FrameTooLarge"]] as const) {
      const wire = authenticated({ victim: { idle: true } })
      const head = 4 + 32 + 4
      // one envelope as large as it takes
      const envelope = transaction(size - head + 4).bytes.subarray(4)
      const message = new Uint8Array(size)
      message.set(words(MessageType.TxSet))
      message.set(hash(1), 4)
      message.set(words(1), 36)
      message.set(envelope, head)
      wire.run((peer) => peer.say(message))
      if (tag === undefined) {
        // A transaction alone may be that large as XDR; what it may cost is flow control's business, and TX_SET has none.
        assert.isUndefined(wire.dropped)
        assert.strictEqual(wire.victim.take()?.messages[0].size, size)
      } else assert.strictEqual(wire.dropped?._tag, tag)
    }
  })
})
