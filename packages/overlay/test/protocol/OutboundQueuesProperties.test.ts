/**
 * Laws of credit and queues over a long seeded interleaving: enqueueing with shedding, writes under way, their completion,
 * receipt, processing in any order, grants on their way. A plain model of the rules runs beside and must agree.
 */
import { assert, describe, it } from "@effect/vitest"
import { CapacityReceipt } from "../../src/protocol/CapacityReceipt.ts"
import { FlowControl } from "../../src/protocol/FlowControl.ts"
import { makeLedgerContext } from "../../src/protocol/LedgerContext.ts"
import { defaults, OutboundBatch, OutboundQueues, Priority, priorityOf } from "../../src/protocol/OutboundQueues.ts"
import { isNewerNominationOrBallot } from "../../src/protocol/ScpSupersedes.ts"
import { isFlood, SendMoreExtended, type StellarMessage } from "../../src/wire/StellarMessage.ts"
import {
  advert,
  confirm,
  demand,
  dontHave,
  externalize,
  nominate,
  prepare,
  random,
  scp,
  transactionOfSize,
  txSet,
  upstream
} from "./flowFixtures.ts"

const priorities = [Priority.Scp, Priority.Transaction, Priority.Demand, Priority.Advert] as const

type Rng = ReturnType<typeof random>

const pick = <A>(rng: Rng, from: ReadonlyArray<A>): A => from[rng.int(0, from.length - 1)]!

/** Messages made beforehand: making SCP messages with stellar-base is slow. */
const makePool = (rng: Rng): ReadonlyArray<ReadonlyArray<StellarMessage>> => {
  const pledges = [
    nominate(["a"], []),
    nominate(["a", "b"], ["a"]),
    prepare({ counter: 1, value: "x" }),
    prepare({ counter: 2, value: "x" }),
    confirm({ counter: 2, value: "x" }),
    externalize({ counter: 2, value: "x" })
  ]
  const scpMessages = Array.from({ length: 12 }, (_, i) => pledges.map((p) => scp(i % 3, 1 + Math.floor(i / 3), p)))
  const transactions = Array.from({ length: 40 }, () => transactionOfSize(4 * rng.int(30, 600)))
  return [
    scpMessages.flat(),
    scpMessages.flat(),
    transactions,
    transactions,
    [1, 2, 5].map(advert),
    [1, 3, 4].map(demand),
    [dontHave(1), dontHave(2), txSet(3000), txSet(40_000)]
  ]
}

/** Messages and bytes. */
interface Amount {
  messages: number
  bytes: number
}

const add = (to: Amount, message: StellarMessage): void => {
  to.messages++
  to.bytes += message.size
}

interface Entry {
  message: StellarMessage
  inFlight: boolean
  /** Its queue was cleared. */
  gone: boolean
}

const hashCount = (message: StellarMessage): number =>
  message._tag === "FloodAdvert" || message._tag === "FloodDemand" ? message.count : 0

/** A sending end, a receiving end, the wire between them, and what they should hold. */
class Run {
  readonly rng: Rng
  readonly pool: ReadonlyArray<ReadonlyArray<StellarMessage>>
  readonly sender: FlowControl
  readonly receiver: FlowControl
  readonly queues: OutboundQueues
  // what is on its way
  readonly free = [new OutboundBatch(), new OutboundBatch(), new OutboundBatch()]
  readonly writing: Array<{ readonly batch: OutboundBatch; readonly entries: ReadonlyArray<Entry> }> = []
  readonly wire: Array<StellarMessage> = []
  readonly backWire: Array<SendMoreExtended> = []
  readonly receipts: Array<{ readonly receipt: CapacityReceipt; readonly flood: Amount }> = []
  // the model
  readonly lanes: Array<Array<Entry>> = [[], [], [], []]
  readonly direct: Array<StellarMessage> = []
  readonly granted: Amount = { messages: 0, bytes: 0 }
  readonly sent: Amount = { messages: 0, bytes: 0 }
  readonly received: Amount = { messages: 0, bytes: 0 }
  readonly processed: Amount = { messages: 0, bytes: 0 }
  readonly grantedBack: Amount = { messages: 0, bytes: 0 }

  constructor(seed: number) {
    this.rng = random(seed)
    this.pool = makePool(this.rng)
    const settings = upstream({
      readingCapacity: 41,
      floodReadingCapacity: 40,
      floodReadingCapacityBytes: 20_000,
      sendMoreBatchSizeBytes: 5000
    })
    this.sender = new FlowControl(settings, 0)
    this.receiver = new FlowControl(settings, 0)
    this.queues = new OutboundQueues(
      { ...defaults, txQueueByteLimit: 20_000, maxBatchBytes: 12_000, maxBatchCount: 8 },
      makeLedgerContext({ trackingIndex: 1, maxTxSetSize: 30 })
    )
    this.receiver.initialGrant()
    this.sendGrant()
  }

  sendGrant(): void {
    const { grantBytes: numBytes, grantMessages: numMessages } = this.receiver
    this.grantedBack.messages += numMessages
    this.grantedBack.bytes += numBytes
    this.backWire.push(SendMoreExtended.make({ numMessages, numBytes }))
  }

  enqueue(now: number): void {
    const message = pick(this.rng, pick(this.rng, this.pool))
    const result = this.queues.enqueue(message, now)
    const priority = priorityOf(message.type)
    if (priority === undefined) {
      assert.strictEqual(result, "queued")
      this.direct.push(message)
      return
    }
    const lane = this.lanes[priority]!
    const replaced = lane.find(({ inFlight, message: queued }) =>
      !inFlight && queued._tag === "ScpMessage" && message._tag === "ScpMessage" &&
      isNewerNominationOrBallot(queued, message)
    )
    if (replaced === undefined) lane.push({ message, inFlight: false, gone: false })
    else replaced.message = message
    const limits = [Infinity, 30, 30, 30]
    const over = priority === Priority.Transaction
      ? lane.length > 30 || lane.reduce((sum, e) => sum + e.message.size, 0) > 20_000
      : lane.reduce((sum, e) => sum + hashCount(e.message), 0) > limits[priority]!
    assert.strictEqual(result, over ? "shed" : "queued")
    if (over) { for (const entry of lane.splice(0)) entry.gone = true }
  }

  write(now: number): void {
    const batch = this.free.pop()
    if (batch === undefined) return
    const before = { messages: Number(this.sender.messageCredit), bytes: Number(this.sender.byteCredit) }
    const wereInFlight = this.lanes.map((lane) => lane.filter((e) => e.inFlight).map((e) => e.message.size))
    if (this.queues.nextBatch(this.sender, now, batch) === 0) {
      this.free.push(batch)
      return
    }
    const entries: Array<Entry> = []
    const taken: Array<Amount> = priorities.map(() => ({ messages: 0, bytes: 0 }))
    let last = -1
    for (const message of batch.messages) {
      const priority = priorityOf(message.type)
      if (priority === undefined) {
        assert.strictEqual(message, this.direct.shift(), "the direct lane is first in, first out")
        continue
      }
      assert.isAtLeast(priority, last, "classes come in order of priority")
      last = priority
      const entry = this.lanes[priority]!.find((e) => !e.inFlight)
      assert.strictEqual(entry?.message, message, "a class is first in, first out")
      entry!.inFlight = true
      entries.push(entry!)
      add(taken[priority]!, message)
      add(this.sent, message)
    }
    this.assertPriority(before, taken, wereInFlight, last)
    this.writing.push({ batch, entries })
  }

  /** Each class above the last one served was emptied, or stopped for want of credit. */
  assertPriority(
    before: Amount,
    taken: ReadonlyArray<Amount>,
    wereInFlight: ReadonlyArray<ReadonlyArray<number>>,
    last: number
  ): void {
    const left = { ...before }
    for (let priority = 0; priority < last; priority++) {
      const stopsAtOnce = left.messages === 0 || wereInFlight[priority]!.some((size) => size > left.bytes)
      left.messages -= taken[priority]!.messages
      left.bytes -= taken[priority]!.bytes
      const next = this.lanes[priority]!.find((e) => !e.inFlight)
      assert.isTrue(
        next === undefined || left.messages === 0 || next.message.size > left.bytes
          || (stopsAtOnce && wereInFlight[priority]!.length > 0),
        "a lower class overtook one that had credit"
      )
    }
  }

  complete(now: number): void {
    const done = this.writing.shift()
    if (done === undefined) return
    this.wire.push(...done.batch.messages)
    this.queues.wrote(done.batch, now)
    this.free.push(done.batch)
    for (const entry of done.entries) {
      if (!entry.gone) assert.strictEqual(this.lanes[priorityOf(entry.message.type)!]!.shift(), entry)
    }
  }

  receive(): void {
    const message = this.wire[0]
    if (message === undefined || !this.receiver.canRead) return
    this.wire.shift()
    const flood = isFlood(message)
    assert.isTrue(this.receiver.begin(message.size, flood), "what the queues let through fits what was granted")
    if (this.receipts.length === 0 || this.rng.next() < 0.3) {
      this.receipts.push({ receipt: new CapacityReceipt(), flood: { messages: 0, bytes: 0 } })
    }
    const batch = this.receipts.at(-1)!
    batch.receipt.add(message.size, flood)
    if (flood) {
      add(batch.flood, message)
      add(this.received, message)
    }
  }

  process(): void {
    if (this.receipts.length === 0) return
    const { flood, receipt } = this.receipts.splice(this.rng.int(0, this.receipts.length - 1), 1)[0]!
    this.processed.messages += flood.messages
    this.processed.bytes += flood.bytes
    assert.isTrue(receipt.release(this.receiver))
    if (this.rng.next() < 0.5) assert.isFalse(receipt.release(this.receiver), "a finalizer after the handler")
    if (this.receiver.takeGrant()) this.sendGrant()
  }

  deliverGrant(now: number): void {
    const grant = this.backWire.shift()
    if (grant === undefined) return
    assert.isUndefined(this.sender.receiveGrant(true, grant.numMessages, grant.numBytes, now))
    this.granted.messages += grant.numMessages
    this.granted.bytes += grant.numBytes
  }

  /** A message nobody granted is refused and changes nothing. */
  overrun(): void {
    const left = 20_000 - (this.received.bytes - (this.grantedBack.bytes - 20_000))
    assert.isFalse(this.receiver.begin(left + 1, true))
  }

  assertConserved(): void {
    const { granted, grantedBack, processed, received, receiver, sender, sent } = this
    assert.strictEqual(sender.messageCredit, BigInt(granted.messages - sent.messages))
    assert.strictEqual(sender.byteCredit, BigInt(granted.bytes - sent.bytes))
    assert.isTrue(sent.messages <= granted.messages && sent.bytes <= granted.bytes, "never more is sent than granted")
    assert.isTrue(
      grantedBack.messages - 40 <= processed.messages && grantedBack.bytes - 20_000 <= processed.bytes,
      "credit is never created"
    )
    assert.strictEqual(receiver.localFloodMessages, 40 - (received.messages - processed.messages))
    assert.strictEqual(receiver.localFloodBytes, 20_000 - (received.bytes - processed.bytes))
  }

  assertTotals(): void {
    const { queues } = this
    for (const priority of priorities) {
      const lane = this.lanes[priority]!
      assert.strictEqual(queues.lengthOf(priority), lane.length)
      assert.strictEqual(queues.bytesOf(priority), lane.reduce((sum, e) => sum + e.message.size, 0))
      assert.strictEqual(queues.inFlightOf(priority), lane.filter((e) => e.inFlight).length)
    }
    for (const priority of [Priority.Demand, Priority.Advert] as const) {
      const hashes = this.lanes[priority]!.reduce((sum, e) => sum + hashCount(e.message), 0)
      assert.strictEqual(queues.hashesOf(priority), hashes)
    }
    assert.strictEqual(queues.directLength, this.direct.length)
    assert.strictEqual(queues.directBytes, this.direct.reduce((sum, m) => sum + m.size, 0))
  }
}

describe("laws", () => {
  it("FLC-02 FLC-03 FLC-05 FLC-07 FLC-08 PEE-20 F3 credit and queues over 100,000 steps", { timeout: 60_000 }, () => {
    const run = new Run(2024)
    const step = (now: number): void => {
      const roll = run.rng.int(0, 99)
      if (roll < 25) run.enqueue(now)
      else if (roll < 42) run.write(now)
      else if (roll < 58) run.complete(now)
      else if (roll < 80) run.receive()
      else if (roll < 91) run.process()
      else if (roll < 98) run.deliverGrant(now)
      else run.overrun()
    }
    for (let now = 0; now < 100_000; now++) {
      step(now)
      run.assertConserved()
      if (now % 8 === 0) run.assertTotals()
    }
    // the run went through what it is meant to test
    assert.isAbove(run.sent.messages, 5000)
    assert.isAbove(run.queues.droppedScp, 100)
    assert.isAbove(run.queues.droppedTransactions, 100)
    assert.isAbove(run.queues.droppedAdvertHashes, 100)
    assert.isAbove(run.queues.droppedDemandHashes, 100)

    // Then everything comes to rest: each unit consumed was returned, but for less than a batch.
    run.queues.close()
    while (run.writing.length > 0) run.complete(0)
    while (run.wire.length > 0 || run.receipts.length > 0) {
      run.receive()
      run.process()
    }
    while (run.backWire.length > 0) run.deliverGrant(0)
    assert.deepStrictEqual(run.processed, run.sent)
    assert.deepStrictEqual(
      [run.receiver.localMessages, run.receiver.localFloodMessages, run.receiver.localFloodBytes],
      [41, 40, 20_000]
    )
    const heldBack = {
      messages: run.processed.messages - (run.grantedBack.messages - 40),
      bytes: run.processed.bytes - (run.grantedBack.bytes - 20_000)
    }
    assert.isTrue(heldBack.messages < 10 && heldBack.bytes < 5000)
    assert.strictEqual(run.sender.messageCredit, BigInt(40 - heldBack.messages))
    assert.strictEqual(run.sender.byteCredit, BigInt(20_000 - heldBack.bytes))
  })
})
