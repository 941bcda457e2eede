import { assert, describe, it } from "@effect/vitest"
import { DELAY_WINDOW_MILLIS, DelayWindow, MAX_DELAY_SAMPLES } from "../../src/protocol/DelayWindow.ts"
import { defaults as flowDefaults, FlowControl } from "../../src/protocol/FlowControl.ts"
import { checkpointSlot, makeLedgerContext, minRememberedSlot } from "../../src/protocol/LedgerContext.ts"
import { Liveness } from "../../src/protocol/Liveness.ts"
import * as LivenessModule from "../../src/protocol/Liveness.ts"
import {
  defaults,
  FRAME_OVERHEAD,
  OutboundBatch,
  OutboundQueues,
  Priority,
  priorityOf
} from "../../src/protocol/OutboundQueues.ts"
import { isFlood, isMessageType, type MessageType } from "../../src/wire/MessageType.ts"
import {
  ErrorMsg,
  GetScpState,
  type ScpMessage,
  SendMoreExtended,
  type StellarMessage
} from "../../src/wire/StellarMessage.ts"
import {
  advert,
  demand,
  dontHave,
  externalize,
  nominate,
  plenty,
  prepare,
  queuesOf,
  scp,
  tagsOf,
  transactionOfSize,
  txSet
} from "./flowFixtures.ts"

const x = { counter: 1, value: "x" }

/** What a batch with credit without end holds; the batch is written at once. */
const drain = (queues: OutboundQueues, now = 0): Array<StellarMessage> => {
  const batch = new OutboundBatch()
  queues.nextBatch(plenty(), now, batch)
  const messages = [...batch.messages]
  if (batch.pending) queues.wrote(batch, now)
  return messages
}

const drainAll = (queues: OutboundQueues): Array<Array<StellarMessage>> => {
  const batches: Array<Array<StellarMessage>> = []
  for (let messages = drain(queues); messages.length > 0; messages = drain(queues)) batches.push(messages)
  return batches
}

describe("priority", () => {
  it("FLC-07 the class of every message type: four are flow-controlled, all others go direct", () => {
    const priorities = new Map<number, number | undefined>()
    for (let type = 0; type <= 24; type++) if (isMessageType(type)) priorities.set(type, priorityOf(type))
    assert.strictEqual(priorities.size, 21)
    assert.deepStrictEqual(
      [...priorities].filter(([, priority]) => priority !== undefined),
      [[8, 1], [11, 0], [18, 3], [19, 2]]
    )
    for (const [type, priority] of priorities) {
      assert.strictEqual(priority !== undefined, isFlood(type as MessageType)) // filtered by isMessageType above
    }
  })

  it("FLC-07 SCP before the direct lane before transactions, demands, adverts", () => {
    const queues = queuesOf()
    for (const message of [advert(1), demand(1), transactionOfSize(100), dontHave(1), scp(1, 1)]) {
      queues.enqueue(message, 0)
    }
    assert.deepStrictEqual(tagsOf(drain(queues)), [
      "ScpMessage",
      "DontHave",
      "Transaction",
      "FloodDemand",
      "FloodAdvert"
    ])
  })

  it("FLC-07 a small advert overtakes a large transaction without credit; within a queue nothing overtakes", () => {
    const flow = new FlowControl(flowDefaults, 0)
    flow.receiveGrant(true, 10, 500, 0)
    const queues = queuesOf()
    queues.enqueue(transactionOfSize(501), 0)
    queues.enqueue(transactionOfSize(100), 0)
    queues.enqueue(advert(1), 0)
    const batch = new OutboundBatch()
    assert.strictEqual(queues.nextBatch(flow, 77, batch), 1)
    assert.deepStrictEqual(tagsOf(batch.messages), ["FloodAdvert"])
    assert.strictEqual(flow.lastStarvedAt, 77, "the failed attempt is noted")
  })

  it("FLC-07 no message skips the queues: without credit nothing flow-controlled leaves, everything else does", () => {
    const flow = new FlowControl(flowDefaults, 0)
    const queues = queuesOf()
    for (const message of [scp(1, 1), transactionOfSize(100), demand(1), advert(1)]) {
      assert.strictEqual(queues.enqueue(message, 0), "queued")
    }
    const direct = [ErrorMsg.make({ code: 0, text: "" }), dontHave(1), txSet(400), GetScpState.make({ ledgerSeq: 0 })]
    for (const message of direct) assert.strictEqual(queues.enqueue(message, 0), "queued")
    const batch = new OutboundBatch()
    queues.nextBatch(flow, 0, batch)
    assert.deepStrictEqual([...batch.messages], direct)
  })
})

describe("ledger context", () => {
  it("FLC-06 the oldest remembered slot and the checkpoint", () => {
    assert.deepStrictEqual([0, 1, 11, 12, 13, 100].map((t) => minRememberedSlot(t)), [1, 1, 1, 1, 2, 89])
    assert.deepStrictEqual([0, 1, 63, 64, 127, 128].map((t) => checkpointSlot(t)), [1, 1, 1, 64, 64, 128])
    assert.deepStrictEqual(makeLedgerContext({ trackingIndex: 4, maxTxSetSize: 50, maxSlotsToRemember: 3 }), {
      maxTxSetSize: 50,
      minRememberedSlot: 2,
      checkpointSlot: 1,
      maxTransactionSize: 102_400
    })
  })
})

describe("shedding", () => {
  /** All ledgers closed up to 4, 3 slots remembered, 50 operations per set. */
  const subject = (txQueueByteLimit = 3_145_728) =>
    new OutboundQueues(
      { ...defaults, txQueueByteLimit },
      makeLedgerContext({ trackingIndex: 4, maxTxSetSize: 50, maxSlotsToRemember: 3 })
    )
  /** The two latest messages of node C for a slot. */
  const latest = (slot: number) => [scp(3, slot, nominate(["a"], ["a"])), scp(3, slot, externalize(x))]

  it("FLC-030 FLC-06 SCP messages of the current checkpoint slot are kept though the slot is old", () => {
    const queues = subject()
    for (const message of latest(1)) assert.strictEqual(queues.enqueue(message, 0), "queued")
    assert.strictEqual(queues.lengthOf(Priority.Scp), 2)
  })

  it("FLC-031 FLC-06 SCP messages of an earlier checkpoint slot are not", () => {
    const queues = subject()
    queues.updateLedger(makeLedgerContext({ trackingIndex: 64, maxTxSetSize: 50, maxSlotsToRemember: 3 }))
    for (const message of latest(0)) assert.strictEqual(queues.enqueue(message, 0), "shed")
    assert.strictEqual(queues.lengthOf(Priority.Scp), 0)
    assert.strictEqual(queues.droppedScp, 2)
  })

  it("FLC-06 queued messages go with the next insertion after their slot is forgotten, entries in flight stay", () => {
    const queues = queuesOf()
    const flow = new FlowControl(flowDefaults, 0)
    const inFlight = scp(1, 1)
    queues.enqueue(inFlight, 0)
    flow.receiveGrant(true, 1, 10_000, 0)
    const batch = new OutboundBatch()
    queues.nextBatch(flow, 0, batch)
    for (let node = 2; node <= 5; node++) queues.enqueue(scp(node, node), 0)
    queues.updateLedger(makeLedgerContext({ trackingIndex: 15, maxTxSetSize: 50 })) // slots from 4 on, and 1
    assert.strictEqual(queues.lengthOf(Priority.Scp), 5, "nothing happens before the next insertion")
    const fresh = scp(6, 15)
    queues.enqueue(fresh, 0)
    assert.strictEqual(queues.lengthOf(Priority.Scp), 4)
    assert.strictEqual(queues.droppedScp, 2)
    queues.wrote(batch, 0)
    assert.deepStrictEqual(drain(queues).map((m) => (m as ScpMessage).slotNumber), [4, 5, 15]) // SCP alone was queued
    assert.strictEqual(queues.bytesOf(Priority.Scp), 0)
  })

  const limit = 50

  it("FLC-032 FLC-05 T12 transactions: one over the number and the whole queue goes, the new one included", () => {
    const queues = subject()
    const message = transactionOfSize(100)
    for (let i = 1; i <= limit + 10; i++) {
      assert.strictEqual(queues.enqueue(message, 0), i === limit + 1 ? "shed" : "queued", `insertion ${i}`)
    }
    assert.strictEqual(queues.lengthOf(Priority.Transaction), 9)
    assert.strictEqual(queues.bytesOf(Priority.Transaction), 9 * message.size)
    assert.strictEqual(queues.droppedTransactions, limit + 1)
  })

  it("FLC-033 FLC-05 transactions: over the bytes and the whole queue goes", () => {
    const queues = subject(150)
    const message = transactionOfSize(100)
    for (let i = 0; i < 3; i++) queues.enqueue(message, 0)
    assert.strictEqual(queues.lengthOf(Priority.Transaction), 1)
    assert.strictEqual(queues.bytesOf(Priority.Transaction), 100)
    assert.strictEqual(queues.droppedTransactions, 2)
  })

  it("FLC-05 the byte limit itself is allowed: 3 145 728", () => {
    const queues = queuesOf({}, { maxTransactionSize: 1_048_576 })
    for (let i = 0; i < 3; i++) assert.strictEqual(queues.enqueue(transactionOfSize(1_048_576), 0), "queued")
    assert.strictEqual(queues.enqueue(transactionOfSize(60), 0), "shed")
    assert.strictEqual(queues.lengthOf(Priority.Transaction), 0)
  })

  it("FLC-05 a transaction above the greatest size is refused, one of that size is not", () => {
    const queues = subject()
    assert.strictEqual(queues.enqueue(transactionOfSize(102_400), 0), "queued")
    assert.strictEqual(queues.enqueue(transactionOfSize(102_404), 0), "shed")
    assert.strictEqual(queues.lengthOf(Priority.Transaction), 1)
    assert.deepStrictEqual([queues.refusedTransactions, queues.droppedTransactions], [1, 0])
  })

  it("FLC-034 SCP messages know no byte limit of transactions", () => {
    const queues = subject(1)
    for (const message of latest(4)) queues.enqueue(message, 0)
    assert.strictEqual(queues.lengthOf(Priority.Scp), 2)
  })

  it("FLC-035 FLC-06 a superseded PREPARE is replaced in place, the nomination stays", () => {
    const queues = subject()
    const [nomination, external] = latest(4)
    for (const message of [nomination!, scp(3, 4, prepare(x)), external!]) queues.enqueue(message, 0)
    assert.deepStrictEqual(drain(queues).map((m) => (m as ScpMessage).statementType), ["NOMINATE", "EXTERNALIZE"]) // SCP alone
    assert.strictEqual(queues.droppedScp, 1)
  })

  it("FLC-036 FLC-06 messages of other nodes are kept", () => {
    const queues = subject()
    for (const node of [1, 2, 3]) {
      queues.enqueue(scp(node, 4, prepare(x)), 0)
      queues.enqueue(scp(node, 4, externalize(x)), 0)
    }
    const kept = drain(queues) as Array<ScpMessage> // SCP alone was queued
    assert.deepStrictEqual(kept.map((m) => [m.nodeKey[0], m.statementType]), [
      [1, "EXTERNALIZE"],
      [2, "EXTERNALIZE"],
      [3, "EXTERNALIZE"]
    ])
  })

  it("FLC-06 at most one entry is replaced per insertion, the first; entries in flight are never touched", () => {
    const queues = queuesOf()
    const flow = new FlowControl(flowDefaults, 0)
    const statements = [1, 3, 2].map((counter) => scp(1, 5, prepare({ counter, value: "v" })))
    queues.enqueue(statements[0]!, 0)
    flow.receiveGrant(true, 1, 10_000, 0)
    const batch = new OutboundBatch()
    queues.nextBatch(flow, 0, batch)
    queues.enqueue(statements[1]!, 0)
    queues.enqueue(statements[2]!, 0) // not newer than the queued one, and the one in flight is out of reach
    assert.strictEqual(queues.lengthOf(Priority.Scp), 3)
    const last = scp(1, 5, prepare({ counter: 9, value: "v" }))
    queues.enqueue(last, 0)
    assert.strictEqual(queues.lengthOf(Priority.Scp), 3)
    assert.strictEqual(queues.droppedScp, 1)
    assert.deepStrictEqual([...batch.messages], [statements[0]!])
    queues.wrote(batch, 0)
    assert.deepStrictEqual(drain(queues), [last, statements[2]!])
  })

  it("FLC-06 what is left after old slots went can still be superseded, in its new place", () => {
    const queues = queuesOf()
    for (let slot = 1; slot <= 20; slot++) queues.enqueue(scp(1, slot, prepare(x)), slot)
    queues.updateLedger(makeLedgerContext({ trackingIndex: 21, maxTxSetSize: 50 })) // slots from 10 on, and 1
    for (let slot = 10; slot <= 20; slot++) queues.enqueue(scp(1, slot, externalize(x)), 100)
    assert.strictEqual(queues.droppedScp, 8 + 11)
    const kept = drain(queues) as Array<ScpMessage> // SCP alone was queued
    assert.deepStrictEqual(
      kept.map((m) => [m.slotNumber, m.statementType]),
      [[1, "PREPARE"], ...Array.from({ length: 11 }, (_, i): [number, "EXTERNALIZE"] => [10 + i, "EXTERNALIZE"])]
    )
  })

  it("FLC-08 what is left after old slots went keeps its time", () => {
    const queues = queuesOf()
    for (let slot = 1; slot <= 20; slot++) queues.enqueue(scp(1, slot), slot)
    queues.updateLedger(makeLedgerContext({ trackingIndex: 21, maxTxSetSize: 50 }))
    queues.enqueue(scp(2, 20), 50)
    assert.strictEqual(drain(queues, 100).length, 13)
    assert.strictEqual(queues.delays.scp.sum, 13 * 100 - (1 + 11 * (10 + 20) / 2 + 50))
  })

  it("FLC-037 FLC-05 adverts and demands: limited by the number of hashes", () => {
    const queues = subject(1)
    for (let i = 0; i < limit + 10; i++) {
      queues.enqueue(advert(1), 0)
      queues.enqueue(demand(1), 0)
    }
    assert.deepStrictEqual([queues.lengthOf(Priority.Advert), queues.lengthOf(Priority.Demand)], [9, 9])
    queues.enqueue(advert(2), 0)
    queues.enqueue(demand(2), 0)
    assert.deepStrictEqual([queues.lengthOf(Priority.Advert), queues.lengthOf(Priority.Demand)], [10, 10])
    assert.deepStrictEqual([queues.hashesOf(Priority.Advert), queues.hashesOf(Priority.Demand)], [11, 11])
    assert.deepStrictEqual([queues.droppedAdvertHashes, queues.droppedDemandHashes], [limit + 1, limit + 1])
    assert.strictEqual(queues.enqueue(advert(40), 0), "shed", "51 hashes in 11 messages")
    assert.strictEqual(queues.droppedAdvertHashes, limit + 1 + 51, "counted in hashes")
  })
})

describe("writes", () => {
  it("FLC-08 what is in flight stays until its write is complete, and counts against the limits", () => {
    const queues = queuesOf({}, { maxTxSetSize: 3 })
    const batch = new OutboundBatch()
    for (let i = 0; i < 2; i++) queues.enqueue(transactionOfSize(100), 0)
    queues.nextBatch(plenty(), 0, batch)
    assert.deepStrictEqual([queues.lengthOf(Priority.Transaction), queues.inFlightOf(Priority.Transaction)], [2, 2])
    assert.strictEqual(queues.enqueue(transactionOfSize(100), 0), "queued")
    queues.wrote(batch, 0)
    assert.deepStrictEqual([queues.lengthOf(Priority.Transaction), queues.inFlightOf(Priority.Transaction)], [1, 0])
    assert.strictEqual(queues.bytesOf(Priority.Transaction), 100)
  })

  it("FLC-08 a queue cleared under a write: the write completes without touching what was queued since", () => {
    const queues = queuesOf({}, { maxTxSetSize: 2 })
    const batch = new OutboundBatch()
    const same = transactionOfSize(100) // the same object again and again, as core's matching would confuse
    queues.enqueue(same, 0)
    queues.enqueue(same, 0)
    queues.nextBatch(plenty(), 0, batch)
    assert.strictEqual(queues.enqueue(same, 0), "shed")
    assert.strictEqual(queues.droppedTransactions, 1, "the two in flight are sent, so they are no loss")
    queues.enqueue(same, 0)
    queues.enqueue(same, 0)
    queues.wrote(batch, 0)
    assert.deepStrictEqual([queues.lengthOf(Priority.Transaction), queues.bytesOf(Priority.Transaction)], [2, 200])
    assert.strictEqual(drain(queues).length, 2)
    assert.strictEqual(queues.lengthOf(Priority.Transaction), 0)
  })

  it("FLC-08 two writes under way complete in order, across a clearing", () => {
    const queues = queuesOf({}, { maxTxSetSize: 4 })
    const first = new OutboundBatch()
    const second = new OutboundBatch()
    for (let i = 0; i < 3; i++) queues.enqueue(transactionOfSize(100 + 4 * i), 0)
    queues.nextBatch(plenty(), 0, first)
    queues.enqueue(transactionOfSize(200), 0)
    queues.nextBatch(plenty(), 0, second)
    queues.enqueue(transactionOfSize(300), 0) // five: cleared
    queues.enqueue(transactionOfSize(400), 0)
    queues.wrote(first, 0)
    queues.wrote(second, 0)
    assert.deepStrictEqual([queues.lengthOf(Priority.Transaction), queues.bytesOf(Priority.Transaction)], [1, 400])
    assert.throws(() => queues.wrote(second, 0), /invariant/)
  })

  it("FLC-07 a queue whose front waits for its write stops for want of credit and starts the timer", () => {
    const flow = new FlowControl(flowDefaults, 0)
    flow.receiveGrant(true, 10, 1000, 0)
    const queues = queuesOf()
    const batch = new OutboundBatch()
    queues.enqueue(transactionOfSize(900), 0)
    assert.strictEqual(queues.nextBatch(flow, 0, batch), 1)
    queues.enqueue(transactionOfSize(60), 0) // would fit the 100 bytes left
    assert.strictEqual(queues.nextBatch(flow, 5, new OutboundBatch()), 0)
    assert.strictEqual(flow.starvedSince, 5)
    queues.wrote(batch, 6)
    assert.strictEqual(queues.nextBatch(flow, 7, batch), 1)
  })

  it("FLC-07 a write carries at most 1024 messages and, but for one great message, 1 MiB", () => {
    const queues = queuesOf({}, { maxTxSetSize: 10_000 })
    for (let i = 0; i < 2500; i++) queues.enqueue(transactionOfSize(100), 0)
    assert.deepStrictEqual(drainAll(queues).map((b) => b.length), [1024, 1024, 452])
    for (let i = 0; i < 30; i++) queues.enqueue(transactionOfSize(100_000), 0)
    const perBatch = Math.floor(1_048_576 / (100_000 + FRAME_OVERHEAD))
    assert.deepStrictEqual(drainAll(queues).map((b) => b.length), [perBatch, perBatch, perBatch])
  })

  it("FLC-07 T12 SCP does not wait behind tx sets: it leaves with the next write, in front", () => {
    const queues = queuesOf()
    for (let i = 0; i < 4; i++) queues.enqueue(txSet(4_000_000), 0)
    const first = drain(queues)
    assert.deepStrictEqual(tagsOf(first), ["GeneralizedTxSet"])
    queues.enqueue(scp(1, 1), 0)
    queues.enqueue(dontHave(1), 0)
    assert.deepStrictEqual(tagsOf(drain(queues)), ["ScpMessage", "GeneralizedTxSet"])
  })

  it("FLC-07 fetch replies do not wait behind transactions, and neither starves the other", () => {
    const queues = queuesOf({}, { maxTxSetSize: 10_000 })
    for (let i = 0; i < 3000; i++) queues.enqueue(transactionOfSize(1000), 0)
    for (let i = 0; i < 3000; i++) queues.enqueue(dontHave(i), 0)
    for (let batch = 0; batch < 4; batch++) {
      const tags = tagsOf(drain(queues))
      assert.strictEqual(tags.lastIndexOf("DontHave"), 511, "half of 1024, in front")
      assert.strictEqual(tags.indexOf("Transaction"), 512)
      assert.strictEqual(tags.length, 1024)
    }
    const rest = drainAll(queues).map(tagsOf)
    assert.deepStrictEqual(rest.map((tags) => tags.length), [1024, 880], "952 of each were left")
    for (let i = 0; i < 3000; i++) queues.enqueue(transactionOfSize(1000), 0)
    for (let i = 0; i < 1000; i++) queues.enqueue(txSet(10_000), 0)
    const tags = tagsOf(drain(queues))
    const half = 524_288
    assert.strictEqual(tags.lastIndexOf("GeneralizedTxSet"), Math.floor(half / (10_000 + FRAME_OVERHEAD)) - 1)
    assert.strictEqual(tags.filter((tag) => tag === "Transaction").length, Math.floor(half / (1000 + FRAME_OVERHEAD)))
  })

  it("FLC-07 a message above its share of the write is sent all the same, on both sides", () => {
    const queues = queuesOf({ txQueueByteLimit: 10_000_000 }, { maxTransactionSize: 2_000_000 })
    for (let i = 0; i < 3; i++) {
      queues.enqueue(txSet(5_000_000), 0)
      queues.enqueue(transactionOfSize(900_000), 0)
    }
    for (let i = 0; i < 3; i++) assert.deepStrictEqual(tagsOf(drain(queues)), ["GeneralizedTxSet", "Transaction"])
    assert.strictEqual(drain(queues).length, 0)
  })

  it("FLC-07 the direct lane is first in, first out: the first grant goes before GET_SCP_STATE", () => {
    const queues = queuesOf({ maxBatchCount: 2 })
    const messages = [
      SendMoreExtended.make({ numMessages: 200, numBytes: 300_000 }),
      GetScpState.make({ ledgerSeq: 0 }),
      txSet(2_000_000),
      ErrorMsg.make({ code: 0, text: "shutdown" })
    ]
    for (const message of messages) queues.enqueue(message, 0)
    assert.deepStrictEqual(drainAll(queues).flat(), messages)
  })

  it("FLC-08 closing: flow-controlled messages go, direct ones still leave, writes under way complete", () => {
    const queues = queuesOf()
    const batch = new OutboundBatch()
    queues.enqueue(scp(1, 1), 0)
    queues.nextBatch(plenty(), 0, batch)
    for (const message of [scp(2, 1), transactionOfSize(100), demand(1), advert(1), dontHave(1)]) {
      queues.enqueue(message, 0)
    }
    queues.close()
    assert.strictEqual(queues.enqueue(scp(3, 1), 0), "shed")
    queues.enqueue(ErrorMsg.make({ code: 0, text: "shutdown" }), 0)
    queues.wrote(batch, 0)
    assert.deepStrictEqual(drainAll(queues).map(tagsOf), [["DontHave", "ErrorMsg"]])
  })

  it("FLC-07 a batch cannot be filled again before it was written", () => {
    const queues = queuesOf()
    const batch = new OutboundBatch()
    assert.strictEqual(queues.nextBatch(plenty(), 0, batch), 0)
    queues.enqueue(dontHave(1), 0)
    assert.strictEqual(queues.nextBatch(plenty(), 0, batch), 1, "an empty batch needs no `wrote`")
    assert.throws(() => queues.nextBatch(plenty(), 0, batch), /invariant/)
    assert.strictEqual(batch.bytes, dontHave(1).size + FRAME_OVERHEAD)
  })
})

describe("bounds", () => {
  it("T12 SCP messages are never lost in silence: at 4 MiB the peer is straggling", () => {
    const queues = queuesOf()
    const pledges = externalize({ counter: 1, value: "v".repeat(1000) })
    const fit = Math.floor(4_194_304 / scp(1, 1, pledges).size)
    for (let i = 0; i < fit; i++) assert.strictEqual(queues.enqueue(scp(i % 200, 1 + i, pledges), 0), "queued")
    assert.strictEqual(queues.enqueue(scp(1, 1_000_000, pledges), 0), "overflow")
    assert.deepStrictEqual([queues.lengthOf(Priority.Scp), queues.droppedScp], [fit, 0])
  })

  it("T12 SCP messages: the bound in number", () => {
    const queues = queuesOf({ scpCountLimit: 10 })
    for (let i = 0; i < 10; i++) assert.strictEqual(queues.enqueue(scp(i, 5), 0), "queued")
    assert.strictEqual(queues.enqueue(scp(11, 5), 0), "overflow")
    assert.strictEqual(
      queues.enqueue(scp(3, 5, externalize({ counter: 2, value: "y" })), 0),
      "overflow",
      "supersedes none"
    )
    const prepared = queuesOf({ scpCountLimit: 1 })
    prepared.enqueue(scp(1, 5, prepare(x)), 0)
    assert.strictEqual(prepared.enqueue(scp(1, 5, externalize(x)), 0), "queued", "one that replaces needs no room")
  })

  it("T12 direct messages: one of 16 MiB and 1 MiB of others, then the peer is straggling", () => {
    const queues = queuesOf()
    const great = 16_777_216
    assert.isTrue(queues.hasDirectRoom(great))
    assert.strictEqual(queues.enqueue(txSet(great), 0), "queued")
    assert.isFalse(queues.hasDirectRoom(1_048_580))
    assert.isTrue(queues.hasDirectRoom(1_048_576))
    assert.strictEqual(queues.enqueue(txSet(1_048_576), 0), "queued")
    assert.deepStrictEqual([queues.directLength, queues.directBytes], [2, great + 1_048_576])
    assert.strictEqual(queues.enqueue(dontHave(1), 0), "overflow")
    assert.strictEqual(queues.enqueue(ErrorMsg.make({ code: 0, text: "" }), 0), "queued", "the last word has room")
    const counted = queuesOf({ directCountLimit: 2 })
    for (let i = 0; i < 2; i++) assert.strictEqual(counted.enqueue(dontHave(i), 0), "queued")
    assert.strictEqual(counted.enqueue(dontHave(3), 0), "overflow")
  })

  it("T12 a peer that never reads: everything queued stays within the bounds, and it is dropped at 120 s", () => {
    const queues = queuesOf()
    const flow = plenty()
    const liveness = new Liveness(LivenessModule.defaults, 0)
    liveness.authenticated()
    const stuck = new OutboundBatch()
    let dropped: string | undefined
    let now = 0
    for (; dropped === undefined && now <= 200_000; now += 10) {
      queues.enqueue(transactionOfSize(1000), now)
      queues.enqueue(advert(10), now)
      queues.enqueue(demand(10), now)
      if (now % 1000 === 0) queues.enqueue(scp(now / 1000 % 20, 1 + Math.floor(now / 5000)), now)
      if (!stuck.pending && queues.nextBatch(flow, now, stuck) > 0) liveness.handedToSocket(stuck.enqueuedAt)
      liveness.read(now) // it keeps talking
      if (now >= liveness.nextDeadline) {
        dropped = liveness.tick(now, { starvedSince: undefined, lastStarvedAt: undefined })?._tag
      }
      assert.isAtMost(queues.bytesOf(Priority.Transaction), 3_145_728)
      assert.isAtMost(queues.lengthOf(Priority.Transaction), 1000)
      assert.isAtMost(queues.hashesOf(Priority.Advert) + queues.hashesOf(Priority.Demand), 2000)
    }
    assert.strictEqual(dropped, "Straggling")
    assert.strictEqual(now, 120_000 + 10)
  })

  it("T12 the straggler clock is that of the direct lane when the batch has direct messages", () => {
    const queues = queuesOf({ maxBatchBytes: 1000 })
    queues.enqueue(dontHave(1), 100)
    queues.enqueue(dontHave(2), 200)
    queues.enqueue(transactionOfSize(100), 50)
    const batch = new OutboundBatch()
    queues.nextBatch(plenty(), 900, batch)
    assert.strictEqual(batch.enqueuedAt, 200)
    queues.wrote(batch, 900)
    queues.enqueue(transactionOfSize(100), 50)
    queues.nextBatch(plenty(), 950, batch)
    assert.strictEqual(batch.enqueuedAt, 950)
  })
})

describe("delays", () => {
  it("FLC-08 each message's own time in the queue, also when the queue grew and wrapped around meanwhile", () => {
    const queues = queuesOf({ maxBatchCount: 3 })
    for (let now = 0; now < 40; now++) {
      queues.enqueue(transactionOfSize(100), now)
      if (now % 10 === 9) drain(queues, 1000)
    }
    for (let i = 0; i < 20; i++) drain(queues, 1000)
    assert.strictEqual(queues.lengthOf(Priority.Transaction), 0)
    assert.deepStrictEqual([queues.delays.txs.count, queues.delays.txs.sum], [40, 40 * 1000 - 39 * 40 / 2])
    assert.strictEqual(queues.delays.txs.quantile(0, 1000), 961)
    assert.strictEqual(queues.delays.txs.quantile(1, 1000), 1000)
  })

  it("FLC-08 the third quartile over a window of 300 s", () => {
    const window = new DelayWindow()
    assert.strictEqual(window.p75(0), 0)
    for (const delay of [4, 1, 3, 2]) window.record(delay, 1000)
    assert.strictEqual(window.p75(1000), 3)
    window.record(100, 200_000)
    assert.strictEqual(window.p75(301_000), 4)
    assert.strictEqual(window.p75(301_001), 100, "only the last is younger than 300 s")
    assert.strictEqual(window.p75(600_000), 0)
    assert.deepStrictEqual([window.count, window.sum], [5, 110])
  })

  it("FLC-08 under load the samples stay bounded and speak for the whole window, not for its end", () => {
    const window = new DelayWindow()
    // 200 s at 1000 messages a second: 150 s of delays of 10 ms, then 50 s of delays of 1 ms
    for (let now = 0; now < 200_000; now++) window.record(now < 150_000 ? 10 : 1, now)
    assert.strictEqual(window.count, 200_000)
    assert.strictEqual(window.quantile(0.5, 200_000), 10)
    assert.strictEqual(window.quantile(0.1, 200_000), 1)
    assert.isAtMost(window.samples, MAX_DELAY_SAMPLES)
    assert.isAtLeast(window.samples, MAX_DELAY_SAMPLES / 4)
    // the traffic stops: one message a minute is seen, each of them
    window.record(77, 200_000 + DELAY_WINDOW_MILLIS + 1000)
    assert.strictEqual(window.p75(200_000 + DELAY_WINDOW_MILLIS + 1000), 77)
  })
})
