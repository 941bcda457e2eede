import { assert, describe, it } from "@effect/vitest"
import * as RandomXdr from "@stellar-overlay/overlay-test/RandomXdr"
import { FlowControl } from "../../src/protocol/FlowControl.ts"
import * as FlowControlModule from "../../src/protocol/FlowControl.ts"
import { type Batch, Inbox, MAX_BULK_BATCH } from "../../src/protocol/Inbox.ts"
import { type MessageTag, MessageType } from "../../src/wire/MessageType.ts"
import { fromBytes, isFlood, type StellarMessage } from "../../src/wire/StellarMessage.ts"
import { advert, demand, numberOf, sample, transaction } from "../scenarios/fixtures.ts"

const bulkTags: ReadonlyArray<MessageTag> = ["Transaction", "FloodAdvert", "FloodDemand"]
const tags = Object.keys(MessageType) as Array<MessageTag>
const samples = new Map(tags.map((tag) => [tag, sample(tag)]))

/** A message whose bytes lie in a chunk with others, as those of a socket do. */
const inChunk = (message: StellarMessage, chunk = new Uint8Array(message.size + 64)): StellarMessage => {
  chunk.set(message.bytes, 16)
  return fromBytes(chunk.subarray(16, 16 + message.size))
}

describe("lanes", () => {
  it("PEE-16 transactions, adverts and demands are bulk, everything else is urgent: one case per type", () => {
    for (const tag of tags) {
      const inbox = new Inbox()
      inbox.push(samples.get(tag)!, 0)
      const bulk = bulkTags.includes(tag)
      assert.deepStrictEqual([inbox.lengthOf("bulk"), inbox.lengthOf("urgent")], bulk ? [1, 0] : [0, 1], tag)
      assert.isUndefined(inbox.take(bulk ? "urgent" : "bulk"))
      assert.strictEqual(inbox.take(bulk ? "bulk" : "urgent")?.messages.length, 1)
      assert.isUndefined(inbox.take())
    }
  })

  it("PEE-16 an SCP message behind 100,000 transactions waits for no more than the batch in hand", () => {
    const inbox = new Inbox()
    const bulk = Array.from({ length: 64 }, (_, i) => transaction(400, i))
    for (let i = 0; i < 100_000; i++) inbox.push(bulk[i % 64]!, 0)
    const inHand = inbox.take()!
    assert.strictEqual(inHand.messages.length, MAX_BULK_BATCH)
    assert.strictEqual(MAX_BULK_BATCH, 64)
    const scp = sample("ScpMessage")
    inbox.push(scp, 0)
    assert.deepStrictEqual(inbox.take()!.messages, [scp])
    assert.strictEqual(inbox.length, 100_000 - 64)
  })

  it("PEE-03 PEE-16 the order within each lane holds; all that is urgent comes at once, bulk in parts", () => {
    const inbox = new Inbox()
    const bulk = Array.from({ length: 150 }, (_, i) => transaction(400, i))
    const urgent = tags.filter((tag) => !bulkTags.includes(tag)).map((tag) => samples.get(tag)!)
    for (let i = 0; i < 150; i++) {
      inbox.push(bulk[i]!, 0)
      const rare = urgent[i]
      if (rare !== undefined) inbox.push(rare, 0)
    }
    assert.deepStrictEqual([...inbox.take()!.messages], urgent)
    const sizes: Array<number> = []
    const numbers: Array<number> = []
    for (let batch; (batch = inbox.take()) !== undefined;) {
      sizes.push(batch.messages.length)
      for (const message of batch.messages) if (message._tag === "Transaction") numbers.push(numberOf(message))
    }
    assert.deepStrictEqual(sizes, [64, 64, 22])
    assert.deepStrictEqual(numbers, Array.from({ length: 150 }, (_, i) => i))
  })

  it("PEE-16 a lane that is never taken does not keep the other from being taken", () => {
    const inbox = new Inbox()
    inbox.push(transaction(400), 0)
    for (let i = 0; i < 10; i++) {
      inbox.push(samples.get("ScpMessage")!, 0)
      assert.strictEqual(inbox.take("urgent")?.messages.length, 1)
      assert.isUndefined(inbox.take("urgent"))
    }
    assert.strictEqual(inbox.take("bulk")?.messages.length, 1)
  })
})

describe("ownership", () => {
  it("F8 T8 what waits when the next chunk is read owns its bytes, so that no chunk is pinned", () => {
    const inbox = new Inbox()
    const chunk = new Uint8Array(65_536)
    const original = samples.get("ScpMessage")!
    inbox.push(inChunk(original, chunk), 0)
    inbox.push(inChunk(advert(1), new Uint8Array(65_536)), 0)
    inbox.retain()
    chunk.fill(0)
    for (let batch; (batch = inbox.take()) !== undefined;) {
      for (const { bytes } of batch.messages) assert.strictEqual(bytes.buffer.byteLength, bytes.byteLength)
      if (batch.messages[0]._tag === "ScpMessage") assert.deepStrictEqual(batch.messages[0].bytes, original.bytes)
    }
  })

  it("F8 PEE-20 any order of pushing, retaining and taking: what waits after retain is owned, each message comes out once", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const chance = RandomXdr.seeded(seed)
      const inbox = new Inbox()
      const flow = new FlowControl(
        { ...FlowControlModule.defaults, readingCapacity: 1000, floodReadingCapacity: 999 },
        0
      )
      flow.initialGrant()
      const messages = [demand(1), advert(2), samples.get("ScpMessage")!, samples.get("DontHave")!]
      const owned = new Set<StellarMessage>()
      const batches: Array<Batch> = []
      let pushed = 0
      let out = 0
      for (let step = 0; step < 60; step++) {
        const draw = chance()
        if (draw < 0.6) {
          const message = inChunk(messages[Math.floor(chance() * messages.length)]!)
          assert.isTrue(flow.begin(message.size, isFlood(message)))
          inbox.push(message, 0)
          pushed++
        } else if (draw < 0.75) {
          inbox.retain()
          // Look at everything that waits, and put it back.
          const waiting: Array<Batch> = []
          for (let batch; (batch = inbox.take()) !== undefined;) waiting.push(batch)
          for (const { messages } of waiting) {
            for (const message of messages) {
              assert.strictEqual(message.bytes.byteLength, message.bytes.buffer.byteLength, `seed ${seed}`)
              owned.add(message)
              inbox.push(message, 0)
            }
          }
        } else {
          const batch = inbox.take(draw < 0.85 ? "urgent" : "bulk")
          if (batch === undefined) continue
          out += batch.messages.length
          batches.push(batch)
        }
      }
      for (let batch; (batch = inbox.take()) !== undefined;) {
        out += batch.messages.length
        batches.push(batch)
      }
      assert.strictEqual(out, pushed)
      for (const batch of batches) {
        assert.strictEqual(batch.receipt.messages, batch.messages.length)
        assert.isTrue(batch.receipt.release(flow))
        assert.isFalse(batch.receipt.release(flow), "once")
      }
      assert.deepStrictEqual([flow.localMessages, flow.localFloodMessages, flow.localFloodBytes], [1000, 999, 300_000])
    }
  })

  it("PEE-20 a batch is a receipt for its messages: count and bytes, flood apart", () => {
    const inbox = new Inbox()
    inbox.push(samples.get("DontHave")!, 0)
    inbox.push(samples.get("ScpMessage")!, 0)
    const { messages, receipt } = inbox.take()!
    assert.strictEqual(receipt.messages, 2)
    assert.strictEqual(receipt.bytes, messages.reduce((sum, { size }) => sum + size, 0))
  })
})
