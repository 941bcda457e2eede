import { assert, describe, it } from "@effect/vitest"
import { type MessageTag, MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { isNodeId } from "@stellar-overlay/overlay/wire/NodeId"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as StellarMessage from "@stellar-overlay/overlay/wire/StellarMessage"
import * as XdrValidator from "@stellar-overlay/overlay/wire/XdrValidator"
import { xdr } from "@stellar/stellar-base"
import { Effect, Result } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import * as Arbitraries from "../src/Arbitraries.ts"
import { mutateXdr } from "../src/MutateXdr.ts"
import { randomXdr, seeded } from "../src/RandomXdr.ts"

const tags = Object.keys(MessageType).filter((key): key is MessageTag => key in MessageType)
const isValid = (bytes: Uint8Array): boolean => XdrValidator.validateStellarMessage(bytes, 0, bytes.length) === -1
const runs = { arbitrary: { seed: 1, runs: 100 } }

describe("Arbitraries", () => {
  for (const tag of tags) {
    it.effect.prop(
      `COD-04 ${tag}: bytes, class and stellar-base value are the same message`,
      [Arbitraries.stellarMessage(tag)],
      ([message]) =>
        Effect.sync(() => {
          assert.strictEqual(message._tag, tag)
          assert.strictEqual(message.type, MessageType[tag])
          assert.isTrue(isValid(message.bytes))
          const value = xdr.StellarMessage.fromXDR(Buffer.from(message.bytes))
          assert.deepStrictEqual(new Uint8Array(value.toXDR()), new Uint8Array(message.bytes))
          assert.deepStrictEqual(new Uint8Array(message.xdr.toXDR()), new Uint8Array(message.bytes))
          const again = StellarMessage.fromXdr(value)
          assert.strictEqual(again._tag, tag)
          assert.deepStrictEqual(new Uint8Array(again.bytes), new Uint8Array(message.bytes))
        }),
      runs
    )
  }

  it.effect("without a tag all 21 types occur, in all their forms", () =>
    Effect.gen(function*() {
      const options = { count: 500, seed: 3 }
      const bytes = yield* Arbitrary.sampleEffect(Arbitraries.messageBytes(), options)
      const messages = yield* Arbitrary.sampleEffect(Arbitraries.stellarMessage(), options)
      const values = yield* Arbitrary.sampleEffect(Arbitraries.xdrMessage(), options)
      assert.strictEqual(new Set(messages.map((message) => message._tag)).size, 21)
      assert.strictEqual(new Set(values.map((value) => value.switch().name)).size, 21)
      assert.strictEqual(new Set(bytes.map((message) => message[3])).size, 21)
      assert.deepStrictEqual(messages.map((message) => message.bytes), bytes)
    }))

  it.effect("messages are small by default, and as large as their options let them be", () =>
    Effect.gen(function*() {
      const options = { count: 500, seed: 4 }
      const small = yield* Arbitrary.sampleEffect(Arbitraries.messageBytes(), options)
      const large = yield* Arbitrary.sampleEffect(
        Arbitraries.messageBytes("GeneralizedTxSet", { budget: 20_000 }),
        options
      )
      // 512 bytes of budget, and what the last element begun within it must contain.
      assert.isBelow(Math.max(...small.map((bytes) => bytes.length)), 1_500)
      assert.isAbove(Math.max(...large.map((bytes) => bytes.length)), 5_000)
      assert.isTrue(large.every(isValid))
    }))

  it.effect("a counterexample shrinks to the smallest message there is", () =>
    Effect.gen(function*() {
      const result = yield* Arbitrary.checkEffect(
        Arbitraries.messageBytes("FloodAdvert"),
        (bytes) => bytes.length < 8 + 3 * 32,
        { seed: 1, runs: 1_000, maxShrinks: 10_000 }
      )
      assert.strictEqual(result._tag, "Falsified")
      if (result._tag !== "Falsified") return
      assert.strictEqual(result.shrunkInput.length, 8 + 3 * 32)
      assert.isTrue(isValid(result.shrunkInput))
    }))

  it.effect("a seed replays, and different seeds differ", () =>
    Effect.gen(function*() {
      const sample = (seed: number) => Arbitrary.sampleEffect(Arbitraries.messageBytes(), { count: 20, seed })
      assert.deepStrictEqual(yield* sample(5), yield* sample(5))
      assert.notDeepEqual(yield* sample(5), yield* sample(6))
    }))

  it.effect("any stellar-base type can be asked for", () =>
    Effect.gen(function*() {
      const envelopes = yield* Arbitrary.sampleEffect(Arbitraries.xdrBytes(xdr.TransactionEnvelope), {
        count: 200,
        seed: 1
      })
      for (const bytes of envelopes) {
        assert.doesNotThrow(() => xdr.TransactionEnvelope.fromXDR(Buffer.from(bytes)))
      }
    }))

  it.effect.prop(
    "chunks joined are the bytes, and none is empty",
    [Arbitrary.flatMap(
      Arbitraries.messageBytes(),
      (bytes) => Arbitrary.map(Arbitraries.chunking(bytes), (chunks) => ({ bytes, chunks }))
    )],
    ([{ bytes, chunks }]) =>
      Effect.sync(() => {
        assert.deepStrictEqual(Buffer.concat(chunks), Buffer.from(bytes))
        assert.isTrue(chunks.every((chunk) => chunk.length > 0))
      }),
    runs
  )

  it.effect("chunkings range from one chunk to one per byte, and shrink to one chunk", () =>
    Effect.gen(function*() {
      const bytes = new Uint8Array(100)
      const counts = (yield* Arbitrary.sampleEffect(Arbitraries.chunking(bytes), { count: 200, seed: 2 })).map((
        chunks
      ) => chunks.length)
      assert.include(counts, 1)
      assert.include(counts, 100)
      assert.isTrue(counts.some((count) => count > 1 && count < 6))
      assert.isTrue(counts.some((count) => count > 6 && count < 60))
      const result = yield* Arbitrary.checkEffect(Arbitraries.chunking(bytes), () => false, { seed: 9, runs: 1 })
      assert.strictEqual(result._tag === "Falsified" ? result.shrunkInput.length : undefined, 1)
      assert.deepStrictEqual(
        yield* Arbitrary.sampleEffect(Arbitraries.chunking(new Uint8Array(0)), { count: 1, seed: 1 }),
        [[]]
      )
    }))

  it.effect("COD-03 mutations leave their input alone, nearly always change it, and mostly break it", () =>
    Effect.gen(function*() {
      const message = randomXdr(xdr.StellarMessage, seeded(8), { discriminant: MessageType.ScpMessage })
      const before = message.bytes.slice()
      for (const input of [message, message.bytes]) {
        const mutated = yield* Arbitrary.sampleEffect(Arbitraries.mutation(input), { count: 400, seed: 1 })
        assert.deepStrictEqual(message.bytes, before)
        const changed = mutated.filter((bytes) => Buffer.compare(bytes, before) !== 0)
        const broken = mutated.filter((bytes) => !isValid(bytes))
        assert.isAbove(changed.length, 300)
        assert.isAbove(broken.length, 150)
        assert.isAbove(changed.length - broken.length, 10, "some mutations stay valid")
        assert.isAbove(new Set(mutated.map((bytes) => bytes.length)).size, 10, "lengths change")
      }
      const any = yield* Arbitrary.sampleEffect(Arbitraries.mutatedMessageBytes(), { count: 400, seed: 1 })
      assert.isAbove(any.filter((bytes) => !isValid(bytes)).length, 150)
      const peers = yield* Arbitrary.sampleEffect(Arbitraries.mutatedMessageBytes("Peers"), { count: 100, seed: 1 })
      assert.isAbove(peers.filter((bytes) => bytes[3] === MessageType.Peers).length, 50)
    }))

  it("a mutation of nothing is harmless", () => {
    const chance = seeded(1)
    for (let i = 0; i < 500; i++) assert.isBelow(mutateXdr(new Uint8Array(0), chance).length, 64)
  })

  it.effect.prop(
    "NodeId and PeerAddress values are what their own parsers accept",
    [Arbitraries.nodeId, Arbitraries.peerAddress(), Arbitraries.peerAddress("ipv6"), Arbitraries.hash],
    ([nodeId, address, ipv6, hash]) =>
      Effect.sync(() => {
        assert.isTrue(isNodeId(nodeId))
        assert.strictEqual(hash.length, 32)
        assert.strictEqual(ipv6.kind, "ipv6")
        assert.deepStrictEqual(PeerAddress.parse(String(address)), Result.succeed(address))
        assert.deepStrictEqual(PeerAddress.parse(String(ipv6)), Result.succeed(ipv6))
      }),
    runs
  )

  it.effect("addresses are of all three kinds", () =>
    Effect.gen(function*() {
      const addresses = yield* Arbitrary.sampleEffect(Arbitraries.peerAddress(), { count: 100, seed: 1 })
      assert.deepStrictEqual([...new Set(addresses.map((address) => address.kind))].sort(), ["ipv4", "ipv6", "name"])
    }))

  it("a generated arm can be chosen, and an unknown one is a RangeError", () => {
    assert.throws(() => randomXdr(xdr.StellarMessage, seeded(1), { discriminant: 1 }), RangeError)
  })
})
