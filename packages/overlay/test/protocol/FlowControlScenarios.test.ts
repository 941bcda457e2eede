/** Rows FLC-001 to FLC-027 of the scenario inventory, at the level of accounting: two ends wired by hand. */
import { assert, describe, it } from "@effect/vitest"
import { checkOptions, FlowControl } from "../../src/protocol/FlowControl.ts"
import { Priority } from "../../src/protocol/OutboundQueues.ts"
import { feeBump, greatTransaction, messageOf, transactionOfSize, upstream } from "./flowFixtures.ts"
import { End, type EndOptions, link, settle } from "./flowLink.ts"

const tx1 = messageOf(greatTransaction())
const S = tx1.size
/** The classic maximum is S, the Soroban one S - 4, and no extra buffer counts: M = S. */
const M = { maxTransactionSize: S }

it("FLC-001 setup: the transaction with a 10-level predicate tree has more than 10 000 bytes", () => {
  assert.isAbove(S, 10_000)
})

interface Case {
  readonly ids: readonly [string, string]
  readonly name: string
  readonly acceptor: EndOptions
  readonly capacity: number
  readonly grants: number
}

const fixed = { floodReadingCapacityBytes: 2 * S + 2000, sendMoreBatchSizeBytes: S }

const cases: ReadonlyArray<Case> = [
  {
    ids: ["FLC-001", "FLC-002"],
    name: "batch size is less than message size",
    acceptor: {
      flow: { floodReadingCapacityBytes: 2 * S + 2000, sendMoreBatchSizeBytes: Math.floor(S / 2) },
      ledger: M
    },
    capacity: 2 * S + 2000,
    grants: 1
  },
  {
    ids: ["FLC-004", "FLC-005"],
    name: "message count kicks in first",
    acceptor: {
      flow: {
        floodReadingCapacityBytes: 3 * S + 2000,
        sendMoreBatchSizeBytes: 2 * S,
        floodReadingCapacity: 1,
        sendMoreBatchSize: 1
      },
      ledger: M
    },
    capacity: 3 * S + 2000,
    grants: 1
  },
  { ids: ["FLC-006", "FLC-007"], name: "automatic calculation", acceptor: { ledger: M }, capacity: 300_000, grants: 0 },
  {
    ids: ["FLC-008", "FLC-009"],
    name: "mixed versions",
    acceptor: { flow: fixed, ledger: M },
    capacity: 2 * S + 2000,
    grants: 1
  },
  {
    ids: ["FLC-010", "FLC-011"],
    name: "older versions",
    acceptor: { flow: fixed, ledger: M },
    capacity: 2 * S + 2000,
    grants: 1
  }
]

describe("byte capacity", () => {
  for (const { acceptor, capacity: F, grants, ids, name } of cases) {
    // The versions of FLC-008 to 011 play no part at this level; their numbers do.
    const initiator: EndOptions = {
      ledger: M,
      queues: { txQueueByteLimit: 2 * S },
      ...(name.endsWith("versions") ? { flow: fixed } : {})
    }

    it(`${ids[0]} ${name}: basic capacity accounting`, () => {
      const [a, b] = link(initiator, acceptor)
      assert.strictEqual(a.flow.byteCredit, BigInt(F))
      a.queues.enqueue(tx1, 0)
      a.write(0)
      assert.strictEqual(a.flow.byteCredit, BigInt(F - S))
      assert.strictEqual(a.txQueueBytes, 0)
      assert.strictEqual(b.inProcess.length, 1)
      assert.strictEqual(b.flow.localFloodBytes, F - S)
    })

    it(`${ids[1]} ${name}: send more flow`, () => {
      const [a, b] = link(initiator, acceptor)
      a.queues.enqueue(tx1, 0)
      settle(a, b, 0)
      assert.strictEqual(b.handled, 1)
      assert.strictEqual(b.grantsSent, grants)
      assert.strictEqual(a.grantsReceived, grants)
      assert.strictEqual(b.flow.localFloodBytes, F)
      assert.strictEqual(a.flow.byteCredit, BigInt(grants === 1 ? F : F - S))
      assert.strictEqual(b.flow.byteCredit, BigInt(a.capacity.bytes), "the acceptor's credit is full")
      if (grants === 1) assert.strictEqual(a.flow.messageCredit, BigInt(b.capacity.messages))
    })
  }

  it("FLC-003 a batch above the capacity less the greatest transaction is refused at start", () => {
    const options = upstream({
      floodReadingCapacityBytes: 2 * S + 2000,
      sendMoreBatchSizeBytes: 2 * S,
      maxTransactionSize: S,
      readingCapacity: 21
    })
    assert.strictEqual(checkOptions(options), "NoHeadRoom")
    assert.isUndefined(checkOptions({ ...options, sendMoreBatchSizeBytes: S + 2000 }))
  })
})

describe("transaction size upgrades", () => {
  const classic = S
  const buffer = 100
  /** M for a Soroban maximum, with the extra buffer of these rows. */
  const maximum = (soroban: number) => Math.max(classic, soroban + buffer)
  const inner2 = greatTransaction(20)
  const tx2 = messageOf(inner2)
  const S2 = tx2.size
  const U = S2 - 4
  const bump1 = messageOf(feeBump(greatTransaction()))
  const bump2 = messageOf(feeBump(inner2))

  const setup = (): [End, End] => {
    const options: EndOptions = {
      flow: { sendMoreBatchSizeBytes: S + 1, floodReadingCapacityBytes: S + 1 + S + buffer },
      ledger: { maxTransactionSize: maximum(S - 4) }
    }
    const [a, b] = link(options, options)
    a.queues.enqueue(tx1, 0)
    settle(a, b, 0)
    assert.deepStrictEqual([b.handled, a.txQueueBytes], [1, 0])
    return [a, b]
  }

  const bothUpgraded = (): [End, End] => {
    const [a, b] = setup()
    for (const end of [a, b]) end.upgrade(maximum(U), 0)
    settle(a, b, 0)
    a.queues.enqueue(tx2, 0)
    settle(a, b, 0)
    return [a, b]
  }

  it("FLC-013 setup: the second transaction is larger by its 20 signatures", () => {
    assert.strictEqual(S2 - S, 20 * (4 + 4 + 64))
  })

  it("FLC-013 no upgrade: a transaction over the limit is refused on insertion", () => {
    const [a, b] = setup()
    assert.strictEqual(a.queues.enqueue(tx2, 0), "shed")
    settle(a, b, 0)
    assert.deepStrictEqual([a.txQueueBytes, b.handled], [0, 1])
    assert.strictEqual(a.queues.refusedTransactions, 1)
  })

  it("FLC-014 a fee bump is within the limit", () => {
    const [a, b] = setup()
    a.queues.enqueue(bump1, 0)
    settle(a, b, 0)
    assert.deepStrictEqual([a.txQueueBytes, b.handled], [0, 2])
  })

  it("FLC-015 FLC-11 both upgrade: the larger transaction passes", () => {
    const [a, b] = bothUpgraded()
    assert.deepStrictEqual([a.txQueueBytes, b.handled], [0, 2])
    assert.strictEqual(
      b.flow.localFloodBytes,
      2 * S + 101 + (maximum(U) - maximum(S - 4)),
      "capacity grew by the increase"
    )
    assert.isAtLeast(b.grantsSent, 1)
  })

  it("FLC-016 a fee bump of the larger transaction is within the limit after the upgrade", () => {
    const [a, b] = bothUpgraded()
    a.queues.enqueue(bump2, 0)
    settle(a, b, 0)
    assert.deepStrictEqual([a.txQueueBytes, b.handled], [0, 3])
  })

  it("FLC-017 a decrease takes nothing back and lowers what is sent", () => {
    const [a, b] = bothUpgraded()
    a.queues.enqueue(tx2, 0)
    const grants = a.grantsSent
    for (const end of [a, b]) end.upgrade(maximum(10_000), 0)
    settle(a, b, 0)
    assert.deepStrictEqual([a.txQueueBytes, b.handled], [0, 3])
    assert.strictEqual(a.grantsSent, grants)
    a.queues.enqueue(tx1, 0)
    settle(a, b, 0)
    assert.deepStrictEqual([a.txQueueBytes, b.handled], [0, 4])
    a.queues.enqueue(tx2, 0)
    settle(a, b, 0)
    assert.deepStrictEqual([a.txQueueBytes, b.handled], [0, 4])
  })

  const onlyInitiatorUpgraded = (): [End, End] => {
    const [a, b] = setup()
    a.upgrade(maximum(U), 0)
    settle(a, b, 0)
    a.queues.enqueue(tx2, 0)
    return [a, b]
  }

  it("FLC-018 upgrade delayed: the larger transaction waits for credit", () => {
    const [a, b] = onlyInitiatorUpgraded()
    assert.strictEqual(a.txQueueBytes, S2)
    settle(a, b, 0)
    assert.deepStrictEqual([a.txQueueBytes, b.handled], [S2, 1])
  })

  it("FLC-019 upgrade delayed, the acceptor upgrades in the end: its SEND_MORE_EXTENDED(0, d) frees it", () => {
    const [a, b] = onlyInitiatorUpgraded()
    settle(a, b, 0)
    b.upgrade(maximum(U), 1000)
    settle(a, b, 1000)
    assert.deepStrictEqual([a.txQueueBytes, b.handled], [0, 2])
  })

  it("FLC-020 upgrade delayed, the acceptor never upgrades: dropped within 65 s", () => {
    const [a, b] = onlyInitiatorUpgraded()
    settle(a, b, 1000)
    assert.isUndefined(a.tickUntil(60_999))
    assert.strictEqual(a.tickUntil(66_000), "NoCapacityTimeout")
  })
})

describe("drop peers that don't respect capacity", () => {
  it("FLC-025 F3 bytes: the second message written past the queues", () => {
    const [a, b] = link({
      flow: { floodReadingCapacityBytes: S + 1 + 2000, sendMoreBatchSizeBytes: 1 },
      ledger: M
    }, { ledger: M })
    a.receive(tx1, 0)
    assert.isUndefined(a.dropped)
    a.receive(tx1, 0)
    assert.strictEqual(a.dropped, "FloodCapacityExceeded")
    assert.strictEqual(b.flow.byteCredit, BigInt(S + 2001), "the queues would have stopped the second")
  })

  it("FLC-026 F3 messages: the second message written past the queues", () => {
    const [a] = link({
      flow: { floodReadingCapacity: 1, sendMoreBatchSize: 1, readingCapacity: 2 },
      ledger: M
    }, { ledger: M })
    a.receive(tx1, 0)
    assert.isUndefined(a.dropped)
    a.receive(tx1, 0)
    assert.strictEqual(a.dropped, "FloodCapacityExceeded")
  })

  it("FLC-027 F4 a peer that never grants is dropped within 65 s; the queue stays bounded meanwhile", () => {
    const T = 100
    const options = { floodReadingCapacityBytes: T, sendMoreBatchSizeBytes: T + 1 }
    // refused at start, where core's unsigned arithmetic lets it pass; a connection works with it all the same
    assert.strictEqual(checkOptions(upstream({ ...options, readingCapacity: 21 })), "BatchBytesAboveFloodCapacity")
    const [a, b] = link({ flow: options }, {})
    for (let i = 0; i < 2; i++) b.queues.enqueue(transactionOfSize(T), 1000)
    settle(a, b, 1000)
    assert.strictEqual(a.handled, 1)
    assert.strictEqual(a.grantsSent, 0)
    assert.isBelow(Number(b.flow.byteCredit), T)
    assert.strictEqual(b.queues.lengthOf(Priority.Transaction), 1)
    assert.isUndefined(b.tickUntil(60_999))
    assert.strictEqual(b.tickUntil(66_000), "NoCapacityTimeout")
  })

  it("F4 constant traffic does not postpone the drop, as it would with core's clock", () => {
    const flow = new FlowControl(upstream(), 0)
    assert.strictEqual(flow.starvedSince, 0)
    for (let now = 100; now <= 60_000; now += 100) flow.noCredit(now)
    assert.strictEqual(flow.starvedSince, 0)
    assert.strictEqual(flow.lastStarvedAt, 60_000)
    const end = new End({})
    for (let now = 100; now <= 59_900; now += 100) {
      end.queues.enqueue(transactionOfSize(300), now)
      end.write(now)
      assert.isAtMost(end.queues.lengthOf(Priority.Transaction), 50)
    }
    assert.isUndefined(end.tickUntil(59_999))
    assert.strictEqual(end.tickUntil(60_000), "NoCapacityTimeout")
  })
})

describe("queue purging after write completion", () => {
  const options: [EndOptions, EndOptions] = [
    { queues: { txQueueByteLimit: 2000 }, ledger: { maxTxSetSize: 10_000 } },
    { flow: { floodReadingCapacity: 1_000_000, readingCapacity: 1_000_001 }, ledger: { maxTxSetSize: 10_000 } }
  ]

  it("FLC-041 T12 the other end never reads: the queue is cleared again and again and stays short", () => {
    const [a, b] = link(...options)
    a.corked = true
    let longest = 0
    for (let i = 0; i < 1000; i++) {
      a.queues.enqueue(transactionOfSize(150), i)
      if (i === 0) a.write(i) // the write that never completes
      longest = Math.max(longest, a.queues.bytesOf(Priority.Transaction))
    }
    assert.isAbove(a.queues.droppedTransactions, 0)
    assert.isBelow(a.queues.lengthOf(Priority.Transaction), 1000)
    assert.isAtMost(longest, 2000)
    assert.strictEqual(b.handled, 0)
  })

  it("FLC-042 the other end receives all of them", () => {
    const [a, b] = link(...options)
    for (let i = 0; i < 1000; i++) {
      a.queues.enqueue(transactionOfSize(150), i)
      settle(a, b, i)
    }
    assert.strictEqual(b.handled, 1000)
    assert.strictEqual(a.queues.lengthOf(Priority.Transaction), 0)
    assert.strictEqual(a.queues.droppedTransactions, 0)
  })
})
