/** Credit is conserved between two sessions, whatever the order of sends, writes, reads, takes, settlements and ends. */
import { assert, describe, it } from "@effect/vitest"
import * as RandomXdr from "@stellar-overlay/overlay-test/RandomXdr"
import * as SessionPair from "@stellar-overlay/overlay-test/SessionPair"
import * as DropReason from "../../src/DropReason.ts"
import type { Batch } from "../../src/protocol/Inbox.ts"
import { FrameParser, MAX_BODY } from "../../src/wire/Frame.ts"
import { fromBytes, isFlood, type StellarMessage } from "../../src/wire/StellarMessage.ts"
import { advert, demand, getTxSet, quorumSet, sample, SMALLEST, transaction } from "./fixtures.ts"

/** Messages and bytes. */
type Sum = readonly [messages: number, bytes: number]
const plus = (a: Sum, messages: number, bytes: number): Sum => [a[0] + messages, a[1] + bytes]

/** Messages in order, with what is in every front part of them: flood traffic, and grants. */
class Log {
  readonly #parser = new FrameParser()
  readonly flood: Array<Sum> = [[0, 0]]
  readonly grants: Array<Sum> = [[0, 0]]
  last: StellarMessage | undefined

  get length(): number {
    return this.flood.length - 1
  }

  add(chunk: Uint8Array): void {
    this.#parser.push(chunk.slice())
    for (let body; (body = this.#parser.next(MAX_BODY)) instanceof Uint8Array;) {
      const message = this.last = fromBytes(body.slice(12, -32))
      const flood = this.flood.at(-1)!
      const grants = this.grants.at(-1)!
      this.flood.push(isFlood(message) ? plus(flood, 1, message.size) : flood)
      this.grants.push(
        message._tag === "SendMoreExtended" ? plus(grants, message.numMessages, message.numBytes) : grants
      )
    }
  }
}

/** One end, and everything that can be seen of it from outside. */
class Side {
  readonly end: SessionPair.End
  /** Written and not delivered: what the network holds. */
  readonly wire: Array<Uint8Array> = []
  /** Every message it ever wrote, and every one delivered to it. */
  readonly written = new Log()
  readonly delivered = new Log()
  readonly batches: Array<Batch> = []
  readonly settled: Array<Batch> = []
  processed: Sum = [0, 0]
  limit: Sum = [0, 0]
  #writing = false

  constructor(end: SessionPair.End) {
    this.end = end
  }

  get session() {
    return this.end.session
  }

  write(pair: SessionPair.SessionPair): void {
    if (this.#writing) return
    const slab = this.session.nextWrite(pair.now)
    if (slab === undefined) return
    this.#writing = true
    this.wire.push(slab)
    this.written.add(slab)
  }

  wrote(pair: SessionPair.SessionPair): void {
    if (!this.#writing) return
    this.#writing = false
    this.session.wrote(pair.now)
  }

  /** Brings some of what the network holds to the other end. */
  deliver(to: Side, bytes: number, pair: SessionPair.SessionPair): void {
    const slab = this.wire.shift()
    if (slab === undefined) return
    const cut = Math.min(bytes, slab.length)
    if (cut < slab.length) this.wire.unshift(slab.subarray(cut))
    const chunk = slab.slice(0, cut)
    to.delivered.add(chunk)
    to.session.receive(chunk, pair.now)
  }

  take(): void {
    const batch = this.session.takeBatch()
    if (batch !== undefined) this.batches.push(batch)
  }

  settle(index: number, pair: SessionPair.SessionPair): void {
    const [batch] = this.batches.splice(index, 1)
    if (batch === undefined) return
    for (const message of batch.messages) if (isFlood(message)) this.processed = plus(this.processed, 1, message.size)
    this.session.settle(batch, pair.now)
    this.settled.push(batch)
  }

  /** How many of the delivered messages were handled: parsing is in order, and some may wait for capacity. */
  get handled(): number {
    return this.session.stats.messagesRead
  }
}

const LIMITS = [
  {
    peerReadingCapacity: 21,
    peerFloodReadingCapacity: 20,
    flowControlSendMoreBatchSize: 10,
    maxTransactionSizeBytes: 2000
  },
  {
    peerReadingCapacity: 2,
    peerFloodReadingCapacity: 1,
    flowControlSendMoreBatchSize: 1,
    maxTransactionSizeBytes: 2000
  },
  {
    peerReadingCapacity: 60,
    peerFloodReadingCapacity: 50,
    flowControlSendMoreBatchSize: 50,
    peerFloodReadingCapacityBytes: 6000,
    flowControlSendMoreBatchSizeBytes: 3000,
    maxTransactionSizeBytes: 2000,
    peerTotalReadingCapacityBytes: 4000
  },
  {}
]

const messages: ReadonlyArray<ReadonlyArray<StellarMessage>> = [
  (i: number) => transaction(SMALLEST + 4 * ((i * 97) % 400), i),
  (i: number) => advert(...Array.from({ length: 1 + i % 5 }, (_, k) => i + k)),
  (i: number) => demand(...Array.from({ length: 1 + i % 5 }, (_, k) => i + k)),
  (i: number) => sample("ScpMessage", 1 + i),
  (i: number) => getTxSet(i),
  (i: number) => quorumSet(i)
].map((make) => Array.from({ length: 40 }, (_, i) => make(i)))

const start = (seed: number) => {
  const config = LIMITS[seed % LIMITS.length]!
  const pair = SessionPair.make({ both: { config, idle: true } })
  const sides = [new Side(pair.initiator), new Side(pair.acceptor)] as const
  pair.initiator.session.connected(pair.now)
  for (let moved = true; moved;) {
    moved = false
    for (const [from, to] of [[sides[0], sides[1]], [sides[1], sides[0]]] as const) {
      from.write(pair)
      from.wrote(pair)
      while (from.wire.length > 0) {
        moved = true
        from.deliver(to, Number.POSITIVE_INFINITY, pair)
      }
    }
  }
  for (const side of sides) {
    const { flow } = side.session
    side.limit = [flow.localFloodMessages, flow.localFloodBytes]
    while (side.session.hasBatch("urgent")) {
      side.take()
      side.settle(0, pair)
    }
  }
  return { pair, sides }
}

/** All terms are measured apart from each other: counters of both ends, bytes on the wire, the test's own settlements. */
const check = (from: Side, to: Side): void => {
  if (from.session.dropReason !== undefined || to.session.dropReason !== undefined) return
  const sent = from.written.flood.at(-1)!
  const begun = to.delivered.flood[to.handled]!
  const grantsWritten = to.written.grants.at(-1)!
  const grantsRead = from.delivered.grants[from.handled]!
  const { flow } = from.session
  const credit: Sum = [Number(flow.messageCredit), Number(flow.byteCredit)]
  const held: Sum = [
    to.limit[0] - to.session.flow.localFloodMessages,
    to.limit[1] - to.session.flow.localFloodBytes
  ]
  for (const i of [0, 1] as const) {
    const withheld = to.limit[i] + to.processed[i] - grantsWritten[i]
    const inFlight = sent[i] - begun[i]
    const grantsInFlight = grantsWritten[i] - grantsRead[i]
    assert.isAtLeast(credit[i], 0)
    assert.isAtLeast(inFlight, 0)
    assert.isAtLeast(grantsInFlight, 0)
    assert.isAtLeast(withheld, 0, "credit was created")
    assert.strictEqual(
      credit[i],
      grantsRead[i] - sent[i],
      "the sender's credit is what it was granted less what it sent"
    )
    assert.strictEqual(held[i], begun[i] - to.processed[i], "what is not free is in process")
    assert.strictEqual(credit[i] + inFlight + held[i] + withheld + grantsInFlight, to.limit[i], "conserved")
    if (to.session.queues.directLength === 0) {
      const { flow } = to.session.options
      const batch = [flow.sendMoreBatchSize, flow.sendMoreBatchSizeBytes || 100_000][i]!
      assert.isBelow(withheld, batch, "a grant was due")
    }
  }
}

describe("credit", () => {
  const steps = 250

  const run = (seed: number) => {
    const chance = RandomXdr.seeded(seed)
    const below = (n: number) => Math.floor(chance() * n)
    const { pair, sides } = start(seed)
    for (let step = 0; step < steps; step++) {
      const from = sides[below(2)]!
      const to = from === sides[0] ? sides[1] : sides[0]
      switch (below(9)) {
        case 0:
        case 1:
          from.session.send(messages[below(6)]![below(40)]!, pair.now)
          break
        case 2:
        case 3:
          from.write(pair)
          break
        case 4:
          from.wrote(pair)
          break
        case 5:
          from.deliver(to, below(3) === 0 ? 1 + below(300) : Number.POSITIVE_INFINITY, pair)
          break
        case 6:
          if (from.session.hasBacklog) from.session.process(pair.now)
          else from.take()
          break
        case 7:
          from.settle(below(from.batches.length), pair)
          break
        case 8: {
          // A batch that was settled before, again: nothing may happen.
          const again = from.settled[below(from.settled.length)]
          if (again !== undefined) from.session.settle(again, pair.now)
          if (below(20) === 0) {
            const increase = 4 * (1 + below(100))
            const { ledger } = from.session.queues
            from.limit = [from.limit[0], from.limit[1] + increase]
            from.session.updateLedger({ ...ledger, maxTransactionSize: ledger.maxTransactionSize + increase }, pair.now)
          }
          break
        }
      }
      check(sides[0], sides[1])
      check(sides[1], sides[0])
    }
    return { pair, sides, below }
  }

  it("FLC-02 FLC-03 PEE-20 is conserved exactly over 120 random conversations of 250 steps, and all comes back in the end", () => {
    let traffic = 0
    for (let seed = 1; seed <= 120; seed++) {
      const { pair, sides } = run(seed)
      for (let moved = true; moved;) {
        moved = false
        for (const [from, to] of [[sides[0], sides[1]], [sides[1], sides[0]]] as const) {
          from.wrote(pair)
          from.write(pair)
          while (from.wire.length > 0) {
            moved = true
            from.deliver(to, Number.POSITIVE_INFINITY, pair)
          }
          if (to.session.hasBacklog && to.session.canRead) {
            moved = true
            to.session.process(pair.now)
          }
          to.take()
          while (to.batches.length > 0) {
            moved = true
            to.settle(0, pair)
            to.take()
          }
          check(from, to)
        }
      }
      for (const [from, to] of [[sides[0], sides[1]], [sides[1], sides[0]]] as const) {
        assert.isUndefined(from.session.dropReason, `seed ${seed}`)
        const { flow } = to.session
        assert.deepStrictEqual([flow.localFloodMessages, flow.localFloodBytes], [...to.limit])
        assert.strictEqual(to.handled, to.delivered.length)
        assert.deepStrictEqual(to.delivered.flood.at(-1), to.processed, "everything arrived, and once")
        traffic += to.processed[0]
      }
    }
    assert.isAbove(traffic, 3000)
  })

  it("PEE-20 CON-05 an end at any moment: settling afterwards is harmless, in any order, and grants nothing", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const { below, pair, sides } = run(seed)
      const side = sides[below(2)]!
      const flush = () => {
        for (let before = -1; before !== side.written.length;) {
          before = side.written.length
          side.wrote(pair)
          side.write(pair)
        }
      }
      flush() // what had been granted is on its way
      const before = side.written.grants.at(-1)
      side.take()
      side.session.drop(DropReason.make("DroppedByUser"), pair.now)
      while (side.batches.length > 0) side.settle(below(side.batches.length), pair)
      for (let batch; (batch = side.session.takeBatch()) !== undefined;) {
        side.session.settle(batch, pair.now)
        side.session.settle(batch, pair.now)
      }
      const { flow } = side.session
      assert.deepStrictEqual([flow.localFloodMessages, flow.localFloodBytes], [...side.limit])
      flush()
      assert.deepStrictEqual(side.written.grants.at(-1), before)
      assert.strictEqual(side.written.last?._tag, "ErrorMsg")
    }
  })
})
