/**
 * Laws of credit and queues over long seeded interleavings of sending, receiving, processing, granting, failing, shedding
 * and completing writes in any order the rules allow.
 */
import { assert, describe, it } from "@effect/vitest"
import { CapacityReceipt } from "../../src/protocol/CapacityReceipt.ts"
import { FlowControl } from "../../src/protocol/FlowControl.ts"
import { makeLedgerContext } from "../../src/protocol/LedgerContext.ts"
import { defaults, OutboundBatch, OutboundQueues, Priority, priorityOf } from "../../src/protocol/OutboundQueues.ts"
import { type FloodAdvert, type FloodDemand, isFlood, SendMoreExtended, type StellarMessage } from "../../src/wire/StellarMessage.ts"
import { advert, confirm, demand, dontHave, externalize, nominate, prepare, random, scp, transactionOfSize, txSet, upstream } from "./flowFixtures.ts"

const priorities = [Priority.Scp, Priority.Transaction, Priority.Demand, Priority.Advert] as const

/** A store of ready messages: making SCP messages with stellar-base is slow. */
const pool = (() => {
  const rng = random(1)
  const pledges = [
    nominate(["a"], []),
    nominate(["a", "b"], ["a"]),
    prepare({ counter: 1, value: "x" }),
    prepare({ counter: 2, value: "x" }),
    confirm({ counter: 2, value: "x" }),
    externalize({ counter: 2, value: "x" })
  ]
  const scpMessages = Array.from({ length: 12 }, (_, i) => pledges.map((p) => scp(i % 3, 1 + Math.floor(i / 3), p))).flat()
  const transactions = Array.from({ length: 40 }, () => transactionOfSize(4 * rng.int(30, 600)))
  const adverts = [1, 2, 5].map(advert)
  const demands = [1, 3, 4].map(demand)
  const direct = [dontHave(1), dontHave(2), txSet(3000), txSet(40_000)]
  return { scpMessages, transactions, adverts, demands, direct }
})()

type Rng = ReturnType<typeof random>

const pick = <A>(rng: Rng, from: ReadonlyArray<A>): A => from[rng.int(0, from.length - 1)]!

const anyMessage = (rng: Rng): StellarMessage => {
  switch (rng.int(0, 6)) {
    case 0:
    case 1:
      return pick(rng, pool.scpMessages)
    case 2:
    case 3:
      return pick(rng, pool.transactions)
    case 4:
      return pick(rng, pool.adverts)
    case 5:
      return pick(rng, pool.demands)
    default:
      return pick(rng, pool.direct)
  }
}

/** The queues as the rules describe them, with plain arrays and no regard for speed. */
class Model {
  readonly lanes: Array<Array<{ readonly message: StellarMessage; inFlight: boolean }>> = [[], [], [], []]
  readonly direct: Array<StellarMessage> = []
}

describe("laws", () => {
  it("FLC-02 FLC-03 FLC-07 FLC-08 PEE-20 credit is conserved and never negative, priority and order hold (100,000 steps)", () => {
    const rng = random(2024)
    const settings = upstream({
      readingCapacity: 41,
      floodReadingCapacity: 40,
      floodReadingCapacityBytes: 20_000,
      sendMoreBatchSizeBytes: 5000
    })
    const ledger = makeLedgerContext({ trackingIndex: 1, maxTxSetSize: 30 })
    const sender = new FlowControl(settings, 0)
    const receiver = new FlowControl(settings, 0)
    const queues = new OutboundQueues({ ...defaults, txQueueByteLimit: 20_000, maxBatchBytes: 12_000, maxBatchCount: 8 }, ledger)
    const free: Array<OutboundBatch> = [new OutboundBatch(), new OutboundBatch(), new OutboundBatch()]
    const writing: Array<{ readonly batch: OutboundBatch; readonly messages: ReadonlyArray<StellarMessage> }> = []
    const wire: Array<StellarMessage> = []
    const backWire: Array<SendMoreExtended> = []
    const receipts: Array<CapacityReceipt> = []
    const model = new Model()

    let granted = { messages: 0, bytes: 0 }
    let sent = { messages: 0, bytes: 0 }
    let received = { messages: 0, bytes: 0 }
    let processed = { messages: 0, bytes: 0 }
    let grantedBack = { messages: 0, bytes: 0 }

    const sendGrant = () => {
      grantedBack = { messages: grantedBack.messages + receiver.grantMessages, bytes: grantedBack.bytes + receiver.grantBytes }
      backWire.push(SendMoreExtended.make({ numMessages: receiver.grantMessages, numBytes: receiver.grantBytes }))
    }
    receiver.initialGrant()
    sendGrant()
    const first = grantedBack

    const laneOf = (message: StellarMessage) => {
      const priority = priorityOf(message.type)
      return priority === undefined ? undefined : model.lanes[priority]!
    }

    const enqueue = (now: number) => {
      const message = anyMessage(rng)
      const before = priorities.map((p) => queues.lengthOf(p))
      const result = queues.enqueue(message, now)
      const priority = priorityOf(message.type)
      if (priority === undefined) {
        assert.strictEqual(result, "queued")
        model.direct.push(message)
        return
      }
      const lane = model.lanes[priority]!
      if (result === "shed") lane.length = 0 // only clearing sheds here: slots and sizes are all acceptable
      else if (queues.lengthOf(priority) === before[priority]) {
        // replaced in place: an SCP message that is not in flight, of the same node, slot and kind
        assert.strictEqual(priority, Priority.Scp)
        const index = lane.findIndex((entry) => !entry.inFlight && supersededIn(entry.message, message))
        assert.isAtLeast(index, 0)
        lane[index] = { message, inFlight: false }
      } else lane.push({ message, inFlight: false })
    }

    const write = (now: number) => {
      const batch = free.pop()
      if (batch === undefined) return
      const credit = { messages: sender.messageCredit, bytes: sender.byteCredit }
      if (queues.nextBatch(sender, now, batch) === 0) {
        free.push(batch)
        return
      }
      const messages = [...batch.messages]
      // the model says what must come: per lane the next entries not in flight, in order
      let last = -1
      let flood = 0
      const spent = { messages: 0n, bytes: 0n }
      for (const message of messages) {
        const lane = laneOf(message)
        if (lane === undefined) {
          assert.strictEqual(message, model.direct.shift())
          continue
        }
        flood++
        const priority = priorityOf(message.type)!
        assert.isAtLeast(priority, last, "classes come in order of priority")
        last = priority
        const entry = lane.find((e) => !e.inFlight)
        assert.strictEqual(entry?.message, message)
        entry!.inFlight = true
        spent.messages++
        spent.bytes += BigInt(message.size)
        sent = { messages: sent.messages + 1, bytes: sent.bytes + message.size }
      }
      assert.strictEqual(sender.messageCredit, credit.messages - spent.messages)
      assert.strictEqual(sender.byteCredit, credit.bytes - spent.bytes)
      assert.isTrue(sender.messageCredit >= 0n && sender.byteCredit >= 0n)
      // a class is passed over only for want of credit: its next entry did not fit when its turn came
      if (last >= 0) {
        let left = credit
        for (const priority of priorities) {
          if (priority >= last) break
          for (const m of messages) {
            if (priorityOf(m.type) === priority) left = { messages: left.messages - 1n, bytes: left.bytes - BigInt(m.size) }
          }
          const waiting = model.lanes[priority]!.find((e) => !e.inFlight)
          const stopped = model.lanes[priority]!.some((e) =>
            BigInt(e.message.size) > left.bytes || left.messages === 0n
          )
          if (waiting !== undefined) assert.isTrue(stopped, "a lower class overtook one with credit")
        }
      }
      assert.isAtMost(flood, 8)
      writing.push({ batch, messages })
    }

    const complete = (now: number) => {
      const done = writing.shift()
      if (done === undefined) return
      queues.wrote(done.batch, now)
      free.push(done.batch)
      for (const message of done.messages) {
        wire.push(message)
        const lane = laneOf(message)
        // entries of a lane that was cleared meanwhile are gone from the model already
        if (lane !== undefined && lane[0]?.inFlight === true && lane[0].message === message && !ghosts.delete(message)) lane.shift()
      }
    }
    const ghosts = new Map<StellarMessage, number>()

    const receive = () => {
      const message = wire[0]
      if (message === undefined || !receiver.canRead) return
      wire.shift()
      const flood = isFlood(message)
      assert.isTrue(receiver.begin(message.size, flood), "what the queues let through fits what was granted")
      if (flood) received = { messages: received.messages + 1, bytes: received.bytes + message.size }
      if (rng.next() < 0.3 || receipts.length === 0) receipts.push(new CapacityReceipt())
      receipts.at(-1)!.add(message.size, flood)
      inReceipt.set(receipts.at(-1)!, [...(inReceipt.get(receipts.at(-1)!) ?? []), message])
    }
    const inReceipt = new Map<CapacityReceipt, Array<StellarMessage>>()

    const process = () => {
      if (receipts.length === 0) return
      const [receipt] = receipts.splice(rng.int(0, receipts.length - 1), 1)
      for (const message of inReceipt.get(receipt!) ?? []) {
        if (isFlood(message)) processed = { messages: processed.messages + 1, bytes: processed.bytes + message.size }
      }
      inReceipt.delete(receipt!)
      receipt!.release(receiver)
      if (rng.next() < 0.5) assert.isFalse(receipt!.release(receiver)) // a finalizer after the handler
      if (receiver.takeGrant()) sendGrant()
    }

    const deliverGrant = (now: number) => {
      const grant = backWire.shift()
      if (grant === undefined) return
      assert.isUndefined(sender.receiveGrant(true, grant.numMessages, grant.numBytes, now))
      granted = { messages: granted.messages + grant.numMessages, bytes: granted.bytes + grant.numBytes }
    }

    // Clearing under a write makes the model's in-flight entries vanish at once, as in the queues; see `complete`.
    const steps = [enqueue, enqueue, enqueue, write, write, complete, complete, receive, receive, receive, process, process, deliverGrant]
    for (let step = 0; step < 100_000; step++) {
      pick(rng, steps)(step)
      // conservation, from both ends
      assert.strictEqual(sender.messageCredit, BigInt(granted.messages - sent.messages))
      assert.strictEqual(sender.byteCredit, BigInt(granted.bytes - sent.bytes))
      assert.isTrue(sent.messages <= granted.messages && sent.bytes <= granted.bytes, "never more is sent than was granted")
      assert.isAtMost(grantedBack.messages - first.messages, processed.messages)
      assert.isAtMost(grantedBack.bytes - first.bytes, processed.bytes)
      assert.strictEqual(receiver.localFloodMessages, 40 - (received.messages - processed.messages))
      assert.strictEqual(receiver.localFloodBytes, 20_000 - (received.bytes - processed.bytes))
      if (step % 16 === 0) {
        for (const priority of priorities) {
          const lane = model.lanes[priority]!
          assert.strictEqual(queues.lengthOf(priority), lane.length)
          assert.strictEqual(queues.bytesOf(priority), lane.reduce((sum, e) => sum + e.message.size, 0))
          assert.strictEqual(queues.inFlightOf(priority), lane.filter((e) => e.inFlight).length)
        }
        for (const priority of [Priority.Demand, Priority.Advert] as const) {
          const lane = model.lanes[priority]!
          const count = lane.reduce((sum, e) => sum + (e.message as FloodAdvert | FloodDemand).count, 0) // the lane's class
          assert.strictEqual(queues.hashesOf(priority), count)
        }
        assert.deepStrictEqual(
          [queues.directLength, queues.directBytes],
          [model.direct.length, model.direct.reduce((sum, m) => sum + m.size, 0)]
        )
      }
    }
    // everything drains: processing all and delivering all grants makes the credit whole again
    assert.isAbove(sent.messages, 5000)
    assert.isAbove(queues.droppedTransactions + queues.droppedAdvertHashes + queues.droppedDemandHashes, 100)
    assert.isAbove(queues.droppedScp, 100)
    queues.close()
    while (writing.length > 0) complete(0)
    while (wire.length > 0 || receipts.length > 0) {
      receive()
      process()
    }
    while (backWire.length > 0) deliverGrant(0)
    assert.strictEqual(processed.messages, sent.messages)
    assert.strictEqual(processed.bytes, sent.bytes)
    assert.deepStrictEqual([receiver.localMessages, receiver.localFloodMessages, receiver.localFloodBytes], [41, 40, 20_000])
    const owed = { messages: processed.messages - (grantedBack.messages - first.messages), bytes: processed.bytes - (grantedBack.bytes - first.bytes) }
    assert.strictEqual(sender.messageCredit, BigInt(40 - owed.messages))
    assert.strictEqual(sender.byteCredit, BigInt(20_000 - owed.bytes))
    assert.isTrue(owed.messages < 10 && owed.bytes < 5000, "only less than a batch is held back")
  })
})

/** Same node, slot and kind of statement; which of two is newer is tested elsewhere. */
const supersededIn = (older: StellarMessage, newer: StellarMessage): boolean =>
  older._tag === "ScpMessage" && newer._tag === "ScpMessage"
  && older.nodeKey[0] === newer.nodeKey[0] && older.slotIndex === newer.slotIndex
  && isNewer(older, newer)
