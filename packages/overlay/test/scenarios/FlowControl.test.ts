/** Rows FLC-001 to FLC-029, FLC-038, FLC-041 and FLC-042 of the scenario inventory, between two sessions on the wire. */
import { assert, describe, it } from "@effect/vitest"
import * as SessionPair from "@stellar-overlay/overlay-test/SessionPair"
import type { FeeBumpTransaction, Transaction as BaseTransaction } from "@stellar/stellar-base"
import { Result } from "effect"
import * as OverlayConfig from "../../src/OverlayConfig.ts"
import type { FlowControlOptions } from "../../src/protocol/FlowControlOptions.ts"
import { type LedgerContext, makeLedgerContext } from "../../src/protocol/LedgerContext.ts"
import { Priority } from "../../src/protocol/Priority.ts"
import { SendMore, SendMoreExtended, type StellarMessage } from "../../src/wire/StellarMessage.ts"
import { feeBump, greatTransaction, messageOf } from "../protocol/flowFixtures.ts"
import { emptyTransaction, numberOf, SMALLEST, transaction } from "./fixtures.ts"
import { only, tap } from "./tap.ts"

const tx1 = messageOf(greatTransaction())
const S = tx1.size

/** Upstream's test nodes (BASE): 20 messages, of which 20 flood, granted back in tens; transaction sets of 50. */
const base = (
  maximum: number,
  flow: Partial<FlowControlOptions> = {},
  rest: SessionPair.EndOptions = {}
): SessionPair.EndOptions => ({
  ...rest,
  ledger: rest.ledger ?? ledger(maximum),
  session: {
    ...rest.session,
    flow: {
      readingCapacity: 20,
      floodReadingCapacity: 20,
      sendMoreBatchSize: 10,
      floodReadingCapacityBytes: 0,
      sendMoreBatchSizeBytes: 0,
      totalReadingCapacityBytes: 1_048_576,
      maxTransactionSize: maximum,
      ...flow
    }
  }
})

const ledger = (maxTransactionSize: number, maxTxSetSize = 50): LedgerContext =>
  makeLedgerContext({ trackingIndex: 1, maxTxSetSize, maxTransactionSize })

const queueBytes = (end: SessionPair.End) => end.session.queues.bytesOf(Priority.Transaction)

/** Credit as core counts it: everything the other side would take. */
const fullCredit = (from: SessionPair.End, to: SessionPair.End) => {
  const { flow } = to.session.options
  assert.strictEqual(from.session.flow.messageCredit, BigInt(flow.floodReadingCapacity))
  assert.strictEqual(from.session.flow.byteCredit, BigInt(to.session.flow.localFloodBytes))
}

const linked = (initiator: SessionPair.EndOptions, acceptor: SessionPair.EndOptions): SessionPair.SessionPair => {
  const pair = SessionPair.connected({ initiator, acceptor })
  assert.isTrue(pair.ends.every(({ session }) => session.isAuthenticated))
  fullCredit(pair.initiator, pair.acceptor)
  fullCredit(pair.acceptor, pair.initiator)
  return pair
}

describe("byte capacity", () => {
  interface Case {
    readonly ids: readonly [string, string]
    readonly name: string
    readonly initiator: SessionPair.EndOptions
    readonly acceptor: SessionPair.EndOptions
    readonly F: number
    readonly granted: boolean
  }
  const queues = { config: { outboundTxQueueByteLimit: 2 * S } }
  const oldVersion = (end: SessionPair.EndOptions): SessionPair.EndOptions => ({
    ...end,
    config: { ...end.config, overlayVersion: OverlayConfig.defaults.overlayMinVersion }
  })
  const fixed = { floodReadingCapacityBytes: 2 * S + 2000, sendMoreBatchSizeBytes: S }

  const cases: ReadonlyArray<Case> = [
    {
      ids: ["FLC-001", "FLC-002"],
      name: "batch size is less than message size",
      initiator: base(S, {}, queues),
      acceptor: base(S, { floodReadingCapacityBytes: 2 * S + 2000, sendMoreBatchSizeBytes: Math.floor(S / 2) }),
      F: 2 * S + 2000,
      granted: true
    },
    {
      ids: ["FLC-004", "FLC-005"],
      name: "message count kicks in first",
      initiator: base(S, {}, queues),
      acceptor: base(S, {
        floodReadingCapacityBytes: 3 * S + 2000,
        sendMoreBatchSizeBytes: 2 * S,
        floodReadingCapacity: 1,
        sendMoreBatchSize: 1
      }),
      F: 3 * S + 2000,
      granted: true
    },
    {
      ids: ["FLC-006", "FLC-007"],
      name: "automatic calculation of byte configs",
      initiator: base(S, {}, queues),
      acceptor: base(S),
      F: 300_000,
      granted: false
    },
    {
      ids: ["FLC-008", "FLC-009"],
      name: "mixed versions",
      initiator: oldVersion(base(S, fixed, queues)),
      acceptor: base(S, fixed),
      F: 2 * S + 2000,
      granted: true
    },
    {
      ids: ["FLC-010", "FLC-011"],
      name: "older versions",
      initiator: oldVersion(base(S, fixed, queues)),
      acceptor: oldVersion(base(S, fixed)),
      F: 2 * S + 2000,
      granted: true
    }
  ]

  for (const { F, acceptor, granted, ids, initiator, name } of cases) {
    it(`${ids[0]} ${name}: basic capacity accounting`, () => {
      const pair = linked(initiator, { ...acceptor, idle: true })
      assert.strictEqual(pair.initiator.session.flow.byteCredit, BigInt(F))
      assert.isTrue(pair.initiator.session.send(tx1, pair.now))
      pair.settle()
      assert.strictEqual(pair.initiator.session.flow.byteCredit, BigInt(F - S))
      assert.strictEqual(queueBytes(pair.initiator), 0)
      // The consumer of the acceptor has not taken it: it is being processed.
      assert.strictEqual(pair.acceptor.session.flow.localFloodBytes, F - S)
    })

    it(`${ids[1]} ${name}: send more flow`, () => {
      const pair = linked(initiator, acceptor)
      const arrived = tap(pair.initiator)
      pair.initiator.session.send(tx1, pair.now)
      pair.settle()
      assert.deepStrictEqual(pair.acceptor.received.map(({ bytes }) => bytes), [tx1.bytes])
      const grants = only(arrived, "SendMoreExtended").map(({ numBytes, numMessages }) => [numMessages, numBytes])
      assert.deepStrictEqual(grants, granted ? [[1, S]] : [])
      assert.strictEqual(pair.acceptor.session.flow.localFloodBytes, F)
      fullCredit(pair.acceptor, pair.initiator)
      if (granted) fullCredit(pair.initiator, pair.acceptor)
      else assert.strictEqual(pair.initiator.session.flow.byteCredit, BigInt(F - S))
    })
  }

  it("FLC-003 CFG-08 a batch that leaves no room for the greatest transaction is refused when a node starts", () => {
    const make = (batch: number) =>
      OverlayConfig.make({
        maxTransactionSizeBytes: S,
        peerFloodReadingCapacityBytes: 2 * S + 2000,
        flowControlSendMoreBatchSizeBytes: batch
      })
    const refused = make(2 * S)
    assert.isTrue(Result.isFailure(refused) && refused.failure.key === "peerFloodReadingCapacityBytes")
    assert.isTrue(Result.isFailure(make(S + 2001)))
    assert.isTrue(Result.isSuccess(make(S + 2000)))
  })
})

describe("transaction size upgrades", () => {
  const inner2 = greatTransaction(20)
  const tx2 = messageOf(inner2)
  const S2 = tx2.size
  const U = S2 - 4
  const signed = (bump: FeeBumpTransaction): FeeBumpTransaction => {
    const [signature] = greatTransaction(1).signatures
    while (bump.signatures.length < 20) bump.signatures.push(signature!)
    return bump
  }
  const bumpOf = (inner: BaseTransaction) => messageOf(feeBump(inner))
  /** M for a Soroban maximum, with these rows' extra buffer of 100 bytes; the classic maximum is S. */
  const maximum = (soroban: number) => Math.max(S, soroban + 100)
  const before = maximum(S - 4)

  const setup = () => {
    const options = base(before, { sendMoreBatchSizeBytes: S + 1, floodReadingCapacityBytes: S + 1 + S + 100 })
    const pair = linked(options, options)
    const send = (message: StellarMessage, settle = true) => {
      const queued = pair.initiator.session.send(message, pair.now)
      if (settle) pair.settle()
      return queued
    }
    const handled = () => only(pair.acceptor.received, "Transaction").length
    const upgrade = (end: SessionPair.End, soroban: number) =>
      end.session.updateLedger(ledger(maximum(soroban)), pair.now)
    send(tx1)
    assert.strictEqual(handled(), 1)
    return { pair, send, handled, upgrade }
  }

  it("FLC-012 overlay buffer is big enough: a fee bump with all signatures around tx2 is below U + 2000", () => {
    assert.isAbove(S2, S + 1)
    const bump = messageOf(signed(feeBump(inner2)))
    assert.strictEqual(bump.xdr.transaction().feeBump().signatures().length, 20)
    assert.isBelow(bump.size, U + 2000)
    assert.isAbove(bump.size, U)
  })

  it("FLC-013 no upgrade, drop messages over limit", () => {
    const { handled, pair, send } = setup()
    assert.isFalse(send(tx2))
    assert.deepStrictEqual([queueBytes(pair.initiator), handled()], [0, 1])
  })

  it("FLC-014 fee bump is within limit", () => {
    const { handled, pair, send } = setup()
    assert.isTrue(send(bumpOf(greatTransaction())))
    assert.deepStrictEqual([queueBytes(pair.initiator), handled()], [0, 2])
  })

  const bothUpgraded = () => {
    const made = setup()
    const arrived = tap(made.pair.initiator)
    for (const end of made.pair.ends) made.upgrade(end, U)
    made.pair.settle()
    const grants = only(arrived, "SendMoreExtended").map(({ numBytes, numMessages }) => [numMessages, numBytes])
    assert.deepStrictEqual(grants, [[0, maximum(U) - before]])
    made.send(tx2)
    return made
  }

  it("FLC-015 FLC-11 both upgrade: each grants (0, d), and tx2 passes", () => {
    const { handled, pair } = bothUpgraded()
    assert.deepStrictEqual([queueBytes(pair.initiator), handled()], [0, 2])
  })

  it("FLC-016 fee bump for tx2 is within limit after upgrade", () => {
    const { handled, pair, send } = bothUpgraded()
    send(bumpOf(inner2))
    assert.deepStrictEqual([queueBytes(pair.initiator), handled()], [0, 3])
  })

  it("FLC-017 upgrade decreases limit: nothing is taken back, and what is too large is not sent any more", () => {
    const { handled, pair, send, upgrade } = bothUpgraded()
    const arrived = tap(pair.acceptor)
    send(tx2, false)
    for (const end of pair.ends) upgrade(end, 10_000)
    pair.settle()
    assert.deepStrictEqual([queueBytes(pair.initiator), handled()], [0, 3])
    assert.deepStrictEqual(only(arrived, "SendMoreExtended"), [])
    send(tx1)
    assert.deepStrictEqual([queueBytes(pair.initiator), handled()], [0, 4])
    send(tx2)
    assert.deepStrictEqual([queueBytes(pair.initiator), handled()], [0, 4])
  })

  const onlyInitiatorUpgraded = () => {
    const made = setup()
    made.upgrade(made.pair.initiator, U)
    made.pair.settle()
    made.send(tx2, false)
    assert.strictEqual(queueBytes(made.pair.initiator), S2)
    made.pair.settle()
    return made
  }

  it("FLC-018 upgrade delayed: tx2 waits for credit", () => {
    const { handled, pair } = onlyInitiatorUpgraded()
    assert.deepStrictEqual([queueBytes(pair.initiator), handled()], [S2, 1])
  })

  it("FLC-019 upgrade delayed, acceptor eventually upgrades", () => {
    const { handled, pair, upgrade } = onlyInitiatorUpgraded()
    upgrade(pair.acceptor, U)
    pair.settle()
    assert.deepStrictEqual([queueBytes(pair.initiator), handled()], [0, 2])
  })

  it("FLC-020 upgrade delayed, acceptor never upgrades: dropped after 60 s without credit", () => {
    const { pair } = onlyInitiatorUpgraded()
    pair.advance(59_999)
    assert.isTrue(pair.ends.every(({ dropped }) => dropped === undefined))
    pair.advance(5001)
    assert.strictEqual(pair.initiator.dropText, "idle timeout (no new flood requests)")
    assert.isDefined(pair.acceptor.dropped)
  })
})

describe("activation", () => {
  it("FLC-022 basic: authenticated, full credit both ways", () => {
    linked(base(102_400), base(102_400))
  })

  /** The acceptor sends something that nothing in it would send. */
  const misbehave = (message: StellarMessage) => {
    const pair = linked(base(102_400), base(102_400))
    pair.acceptor.session.queues.enqueue(message, pair.now.millis)
    pair.settle()
    assert.isDefined(pair.acceptor.dropped)
    return pair.initiator.dropText
  }

  it("FLC-023 F1 FLC-04 an invalid value in the message", () => {
    const text = "invalid message SEND_MORE_EXTENDED"
    assert.strictEqual(misbehave(SendMoreExtended.make({ numMessages: 0, numBytes: 0 })), text)
    assert.strictEqual(misbehave(SendMoreExtended.make({ numMessages: 1, numBytes: 0 })), text)
    const pair = linked(base(102_400), base(102_400))
    pair.acceptor.session.queues.enqueue(SendMoreExtended.make({ numMessages: 0, numBytes: 1 }), 0)
    pair.settle()
    assert.isUndefined(pair.initiator.dropped, "no messages and some bytes are legal")
    assert.strictEqual(pair.initiator.session.flow.byteCredit, 300_001n)
  })

  it("FLC-024 F1 an invalid message type", () => {
    assert.strictEqual(misbehave(SendMore.make({ numMessages: 1 })), "unexpected message type SEND_MORE")
  })
})

describe("drop peers that", () => {
  /** The acceptor writes a transaction twice with credit it was never given. */
  const overrun = (flow: Partial<FlowControlOptions>) => {
    const pair = linked({ ...base(S, flow), idle: true }, base(S))
    pair.acceptor.session.flow.setCredit(1000n, 1_000_000n)
    for (let i = 0; i < 2; i++) pair.acceptor.session.send(transaction(S, i), pair.now)
    return pair.settle()
  }

  it("FLC-025 F3 don't respect capacity / bytes", () => {
    const pair = overrun({ floodReadingCapacityBytes: S + 1 + 2000, sendMoreBatchSizeBytes: 1 })
    assert.strictEqual(pair.initiator.dropText, "unexpected flood message, peer at capacity")
    assert.isDefined(pair.acceptor.dropped)
  })

  it("FLC-026 F3 don't respect capacity / messages", () => {
    const pair = overrun({ floodReadingCapacity: 1, sendMoreBatchSize: 1, readingCapacity: 2 })
    assert.strictEqual(pair.initiator.dropText, "unexpected flood message, peer at capacity")
    assert.isDefined(pair.acceptor.dropped)
  })

  it("FLC-03 F3 overrun by one byte are dropped, those that use the last byte are not", () => {
    for (const [capacity, tag] of [[2 * S, undefined], [2 * S - 4, "FloodCapacityExceeded"]] as const) {
      const pair = overrun({ floodReadingCapacityBytes: capacity, sendMoreBatchSizeBytes: capacity })
      assert.strictEqual(pair.initiator.dropped?._tag, tag)
    }
  })

  it("FLC-027 F4 PEE-07 are idle: one that never grants is dropped within 65 s", () => {
    const empty = emptyTransaction()
    const T = empty.size
    const pair = linked(
      base(102_400, { floodReadingCapacityBytes: T, sendMoreBatchSizeBytes: T + 1, sendMoreBatchSize: 10 }),
      base(102_400)
    )
    for (let i = 0; i < 2; i++) pair.acceptor.session.send(emptyTransaction(i), pair.now)
    pair.settle()
    assert.isBelow(Number(pair.acceptor.session.flow.byteCredit), T)
    assert.strictEqual(pair.initiator.messages("Transaction").length, 1)
    pair.advance(59_999)
    assert.isUndefined(pair.acceptor.dropped)
    pair.advance(5001)
    assert.strictEqual(pair.acceptor.dropText, "idle timeout (no new flood requests)")
    assert.isDefined(pair.initiator.dropped)
  })

  const max = 2n ** 64n - 1n
  for (
    const [id, name, messages, bytes] of [["FLC-028", "message", max, 20n], ["FLC-029", "byte", 20n, max]] as const
  ) {
    it(`${id} F2 FLC-04 overflow capacity / ${name} capacity`, () => {
      const pair = linked(base(102_400), base(102_400))
      pair.initiator.session.flow.setCredit(messages, bytes)
      pair.acceptor.session.queues.enqueue(SendMoreExtended.make({ numMessages: 2, numBytes: 2 }), 0)
      pair.settle().advance(1000)
      assert.strictEqual(pair.initiator.dropText, "Peer capacity overflow")
      assert.isDefined(pair.acceptor.dropped)
    })
  }
})

describe("out of sync", () => {
  it("FLC-038 PEE-15 capacities 1/1/1: 100 transactions ignored return their capacity, and both sides stay", () => {
    const ones = base(102_400, { readingCapacity: 1, floodReadingCapacity: 1, sendMoreBatchSize: 1 })
    const pair = linked(ones, ones)
    pair.initiator.session.shedTransactions = true
    const arrived = tap(pair.initiator)
    for (let i = 0; i < 100; i++) {
      pair.acceptor.session.send(transaction(400, i), pair.now)
      pair.settle().advance(1000)
    }
    assert.strictEqual(only(arrived, "Transaction").length, 100)
    assert.deepStrictEqual(pair.initiator.messages("Transaction"), [])
    assert.isTrue(pair.ends.every(({ dropped }) => dropped === undefined))
    fullCredit(pair.acceptor, pair.initiator)
  })
})

describe("queue purging after write completion", () => {
  const setup = () =>
    linked(
      base(102_400, {}, { config: { outboundTxQueueByteLimit: 2000 }, ledger: ledger(102_400, 10_000) }),
      base(102_400, { floodReadingCapacity: 1_000_000, readingCapacity: 1_000_001 }, {
        ledger: ledger(102_400, 10_000)
      })
    )

  for (const writing of [false, true]) {
    it(`FLC-041 T12 FLC-08 p1 never reads${writing ? ", and a write hangs in the socket" : ""}`, () => {
      const pair = setup()
      const { initiator } = pair
      initiator.corked = true
      let longest = 0
      for (let i = 0; i < 1000; i++) {
        initiator.session.send(transaction(SMALLEST, i), pair.now)
        if (i === 0 && writing) assert.isDefined(initiator.session.nextWrite(pair.now))
        longest = Math.max(longest, queueBytes(initiator))
      }
      const { queues } = initiator.session
      assert.isAbove(queues.droppedTransactions, 900)
      assert.isAtMost(longest, 2000)
      assert.isBelow(queues.lengthOf(Priority.Transaction), 1000)
      assert.strictEqual(pair.acceptor.messages("Transaction").length, 0)
    })
  }

  it("FLC-042 FLC-08 p1 received all txs", () => {
    const pair = setup()
    for (let i = 0; i < 1000; i++) {
      pair.initiator.session.send(transaction(SMALLEST, i), pair.now)
      pair.settle().advance(1)
    }
    pair.advance(1000)
    assert.deepStrictEqual(
      pair.acceptor.messages("Transaction").map(numberOf),
      Array.from({ length: 1000 }, (_, i) => i)
    )
    const { queues } = pair.initiator.session
    assert.strictEqual(queues.lengthOf(Priority.Transaction), 0)
    assert.strictEqual(queues.droppedTransactions, 0)
  })
})

describe("throughput", () => {
  it("FLC-12 no cap hides behind credit: 100,000 transactions in one virtual millisecond, with default capacities", () => {
    const pair = SessionPair.connected()
    const { acceptor, initiator } = pair
    const arrived = tap(initiator)
    let received = 0
    let sent = 0
    while (received < 100_000) {
      while (sent < 100_000 && initiator.session.queues.lengthOf(Priority.Transaction) < 500) {
        assert.isTrue(initiator.session.send(transactions[sent++ % 64]!, pair.now))
      }
      pair.settle()
      assert.isAbove(acceptor.received.length, 0, "stalled")
      received += acceptor.received.length
      acceptor.received.length = 0
    }
    assert.strictEqual(received, 100_000)
    assert.strictEqual(pair.now.millis, 0, "no time passed")
    assert.isTrue(pair.ends.every(({ dropped }) => dropped === undefined))
    // What was granted back is what was processed, but for less than a batch.
    const granted = only(arrived, "SendMoreExtended").reduce((sum, { numMessages }) => sum + numMessages, 0)
    assert.isAtLeast(granted, 100_000 - 39)
    assert.isAtMost(granted, 100_000)
  })
  const transactions = Array.from({ length: 64 }, (_, i) => transaction(400, i))
})
