import { assert, describe, it } from "@effect/vitest"
import { CapacityReceipt } from "../../src/protocol/CapacityReceipt.ts"
import {
  BYTE_CAPACITY_READ_FLOOR,
  checkOptions,
  defaults,
  deriveByteParameters,
  FlowControl
} from "../../src/protocol/FlowControl.ts"
import * as FlowControlJson from "../../src/protocol/FlowControlJson.ts"
import { OutboundBatch, Priority } from "../../src/protocol/OutboundQueues.ts"
import { FloodAdvert } from "../../src/wire/StellarMessage.ts"
import { advert, demand, flowOptions, plenty, queuesOf, scp, transactionOfSize } from "./flowFixtures.ts"

/** A receiving end that made its first grant. */
const granted = (options = defaults): FlowControl => {
  const flow = new FlowControl(options, 0)
  flow.initialGrant()
  return flow
}

describe("byte parameters", () => {
  it("CFG-08 FLC-04 automatic: 300 000 / 100 000, or M + 100 000 when M is above 200 000", () => {
    const auto = (maxTransactionSize: number) =>
      deriveByteParameters({ floodReadingCapacityBytes: 0, sendMoreBatchSizeBytes: 0, maxTransactionSize })
    // testnet: txMaxSizeBytes 132 096, so M = 134 096
    assert.deepStrictEqual(auto(134_096), { floodReadingCapacityBytes: 300_000, sendMoreBatchSizeBytes: 100_000 })
    assert.deepStrictEqual(auto(200_000), { floodReadingCapacityBytes: 300_000, sendMoreBatchSizeBytes: 100_000 })
    assert.deepStrictEqual(auto(200_001), { floodReadingCapacityBytes: 300_001, sendMoreBatchSizeBytes: 100_000 })
  })

  it("CFG-08 fixed values are used as they are, also when only one is set", () => {
    assert.deepStrictEqual(
      deriveByteParameters({
        floodReadingCapacityBytes: 500_000,
        sendMoreBatchSizeBytes: 7,
        maxTransactionSize: 102_400
      }),
      { floodReadingCapacityBytes: 500_000, sendMoreBatchSizeBytes: 7 }
    )
    assert.deepStrictEqual(
      deriveByteParameters({
        floodReadingCapacityBytes: 500_000,
        sendMoreBatchSizeBytes: 0,
        maxTransactionSize: 102_400
      }),
      { floodReadingCapacityBytes: 500_000, sendMoreBatchSizeBytes: 0 }
    )
  })

  it("CFG-08 fixed values need total - batch >= M, and the other contradictions are named", () => {
    const fixed = (floodReadingCapacityBytes: number, sendMoreBatchSizeBytes: number) =>
      checkOptions(flowOptions({ floodReadingCapacityBytes, sendMoreBatchSizeBytes, maxTransactionSize: 102_400 }))
    assert.isUndefined(fixed(202_400, 100_000))
    assert.strictEqual(fixed(202_399, 100_000), "NoHeadRoom")
    assert.strictEqual(fixed(100_000, 100_001), "BatchBytesAboveFloodCapacity")
    assert.isUndefined(checkOptions(defaults))
    assert.isUndefined(checkOptions(flowOptions({ maxTransactionSize: 1_000_000 })))
    assert.strictEqual(checkOptions(flowOptions({ sendMoreBatchSize: 201 })), "BatchAboveFloodCapacity")
    assert.strictEqual(checkOptions(flowOptions({ readingCapacity: 200 })), "NoRoomForControl")
  })
})

describe("receiving", () => {
  it("FLC-01 a connection starts with 200 of 201 messages, 300 000 bytes, and no outbound credit", () => {
    const flow = new FlowControl(defaults, 0)
    assert.strictEqual(flow.localFloodMessages, 200)
    assert.strictEqual(flow.localMessages, 201)
    assert.strictEqual(flow.localFloodBytes, 300_000)
    assert.strictEqual(flow.localBytes, 17_825_796)
    assert.strictEqual(flow.messageCredit, 0n)
    assert.strictEqual(flow.byteCredit, 0n)
    assert.isFalse(flow.hasCredit(1))
  })

  it("FLC-01 the first grant is the whole flood capacity and is made once", () => {
    const flow = new FlowControl(defaults, 0)
    flow.initialGrant()
    assert.deepStrictEqual([flow.grantMessages, flow.grantBytes], [200, 300_000])
    assert.throws(() => flow.initialGrant(), /twice/)
  })

  it("FLC-02 a grant at 40 messages, returning exactly what was processed", () => {
    const flow = granted()
    for (let i = 1; i <= 120; i++) {
      assert.isTrue(flow.begin(100 + i, true))
      flow.end(100 + i, true)
      assert.strictEqual(flow.takeGrant(), i % 40 === 0, `after message ${i}`)
    }
    // messages 81 to 120: 40 times 100 and the sum of 81..120
    assert.deepStrictEqual([flow.grantMessages, flow.grantBytes], [40, 40 * 100 + 40 * (81 + 120) / 2])
  })

  it("FLC-02 a grant at 100 000 bytes, whatever the count: 3 messages of 101 000 bytes", () => {
    const flow = granted()
    const sizes = [50_000, 49_999, 1001]
    const grants: Array<boolean> = []
    for (const size of sizes) {
      assert.isTrue(flow.begin(size, true))
      flow.end(size, true)
      grants.push(flow.takeGrant())
    }
    assert.deepStrictEqual(grants, [false, false, true])
    assert.deepStrictEqual([flow.grantMessages, flow.grantBytes], [3, 101_000])
    assert.isFalse(flow.takeGrant(), "nothing is granted twice")
  })

  it("FLC-02 messages that are not flow-controlled are never granted back", () => {
    const flow = granted(flowOptions({ floodReadingCapacityBytes: 500_000, sendMoreBatchSizeBytes: 0 }))
    for (let i = 0; i < 1000; i++) {
      assert.isTrue(flow.begin(500, false))
      flow.end(500, false)
      assert.isFalse(flow.takeGrant())
    }
  })

  it("FLC-03 F3 the first message over the grant is refused, and nothing is taken for it", () => {
    const flow = granted()
    for (let i = 0; i < 200; i++) assert.isTrue(flow.begin(100, true))
    assert.strictEqual(flow.localMessages, 1)
    assert.isFalse(flow.begin(100, true))
    assert.strictEqual(flow.describeOverrun(100), "100 bytes, with 0 messages and 280000 bytes left")
    assert.strictEqual(flow.localMessages, 1)
    assert.strictEqual(flow.localFloodBytes, 280_000)
    assert.isTrue(flow.begin(100, false), "control messages have room of their own")
  })

  it("FLC-03 F3 the first byte over the grant is refused, the last one within is not", () => {
    const exact = granted()
    assert.isTrue(exact.begin(299_000, true))
    assert.isTrue(exact.begin(1000, true))
    assert.isFalse(exact.begin(1, true))
    const over = granted()
    assert.isTrue(over.begin(299_000, true))
    assert.isFalse(over.begin(1001, true))
    assert.isTrue(over.begin(1000, true), "a refused message took nothing")
  })

  it("F3 what was processed and not granted back yet cannot be sent again", () => {
    const messages = granted()
    for (let i = 0; i < 39; i++) {
      messages.begin(100, true)
      messages.end(100, true)
    }
    assert.isFalse(messages.takeGrant())
    assert.strictEqual(messages.localFloodMessages, 200, "core's view: all capacity is free")
    for (let i = 0; i < 161; i++) assert.isTrue(messages.begin(100, true), `message ${i} of the 161 left`)
    assert.isFalse(messages.begin(100, true), "200 were granted, this is the 201st")

    const bytes = granted()
    bytes.begin(99_999, true)
    bytes.end(99_999, true)
    assert.isFalse(bytes.takeGrant())
    assert.isFalse(bytes.begin(200_002, true), "300 000 were granted, this is one byte more")
    assert.isTrue(bytes.begin(200_001, true))
  })

  it("F6 a flood message before the first grant is refused", () => {
    const flow = new FlowControl(defaults, 0)
    assert.isFalse(flow.begin(100, true))
    assert.strictEqual(flow.describeOverrun(100), "nothing was granted yet")
    assert.isTrue(flow.begin(100, false))
    flow.initialGrant()
    assert.isTrue(flow.begin(100, true))
  })

  it("FLC-04 the cost of a message is its StellarMessage XDR size", () => {
    const message = FloodAdvert.make({ hashes: [new Uint8Array(32), new Uint8Array(32)] })
    assert.strictEqual(message.size, 4 + 4 + 64)
    const flow = granted()
    flow.begin(message.size, true)
    assert.strictEqual(flow.localFloodBytes, 300_000 - 72)
    assert.strictEqual(flow.localFloodMessages, 199)
  })

  it("FLC-09 F7 reading pauses at 201 messages and resumes by itself; the pause is measured", () => {
    const flow = granted()
    for (let i = 0; i < 201; i++) {
      assert.isTrue(flow.canRead, `before message ${i + 1}`)
      assert.isTrue(flow.begin(100, false))
      assert.strictEqual(flow.pauseReading(1000), i === 200)
    }
    assert.isTrue(flow.isPaused)
    assert.isTrue(flow.pauseReading(1500), "asked again it is the same pause")
    assert.strictEqual(flow.resumeReading(1500), -1)
    flow.end(100, false)
    assert.strictEqual(flow.resumeReading(3500), 2500)
    assert.isFalse(flow.isPaused)
    assert.strictEqual(flow.resumeReading(3600), -1)
    assert.isTrue(flow.canRead)
  })

  it("FLC-09 F7 reading pauses when 1 MiB is in process, and one message of 16 MiB still fits before", () => {
    assert.strictEqual(BYTE_CAPACITY_READ_FLOOR, 16 * 1024 * 1024 + 4)
    const flow = granted()
    assert.isTrue(flow.begin(1_048_575, false))
    assert.isTrue(flow.canRead, "one byte is left above the floor")
    assert.isTrue(flow.begin(16_777_216, false), "the greatest message there is")
    assert.isTrue(flow.pauseReading(0))
    flow.end(16_777_216, false)
    assert.strictEqual(flow.resumeReading(1), 1)
    assert.isTrue(flow.begin(1, false))
    assert.isFalse(flow.canRead, "at the floor")
  })

  it("FLC-09 the look-ahead for several messages agrees with taking them one by one", () => {
    const ahead = granted()
    const oneByOne = granted()
    for (let i = 1; i <= 201; i++) {
      oneByOne.begin(5000, false)
      assert.strictEqual(ahead.canReadAfter(i, 5000 * i), oneByOne.canRead, `${i} messages`)
    }
    assert.isFalse(ahead.canReadAfter(1, 1_048_576))
    assert.isTrue(ahead.canReadAfter(1, 1_048_575))
  })

  it("FLC-03 returning more than was taken is a defect", () => {
    const flow = granted()
    flow.begin(100, true)
    assert.throws(() => flow.end(101, true), /invariant/)
    flow.end(100, true)
    assert.throws(() => flow.end(100, true), /invariant/)
    flow.begin(100, false)
    assert.throws(() => flow.end(100, true), /invariant/, "it was no flood message")
  })

  it("PEE-20 the capacity of a batch returns exactly once, however often and by whomever it is released", () => {
    const flow = granted()
    const receipt = new CapacityReceipt()
    for (const [size, isFlood] of [[300, true], [500, false], [700, true]] as const) {
      assert.isTrue(flow.begin(size, isFlood))
      receipt.add(size, isFlood)
    }
    assert.deepStrictEqual([receipt.messages, receipt.bytes], [3, 1500])
    assert.strictEqual(flow.localFloodMessages, 198)
    const handler = () => {
      try {
        throw new Error("the handler fails")
      } finally {
        receipt.release(flow)
      }
    }
    assert.throws(handler, /the handler fails/)
    assert.isFalse(receipt.release(flow), "the scope closes afterwards: nothing is left to return")
    assert.deepStrictEqual(
      [flow.localMessages, flow.localBytes, flow.localFloodMessages, flow.localFloodBytes],
      [201, 17_825_796, 200, 300_000]
    )
    // 38 more complete the batch of 40: the two of the receipt were counted once
    for (let i = 1; i <= 38; i++) {
      flow.begin(10, true)
      flow.end(10, true)
      assert.strictEqual(flow.takeGrant(), i === 38)
    }
    assert.deepStrictEqual([flow.grantMessages, flow.grantBytes], [40, 1000 + 380])
    // a receipt that was released starts from nothing
    assert.isTrue(flow.begin(50, true))
    receipt.add(50, true)
    assert.isTrue(receipt.release(flow))
    assert.strictEqual(flow.localFloodBytes, 300_000)
  })
})

describe("sending", () => {
  it("FLC-02 SEND_MORE_EXTENDED adds both amounts, and sending resumes in priority order", () => {
    const flow = new FlowControl(defaults, 0)
    const queues = queuesOf()
    for (const message of [advert(1), demand(1), transactionOfSize(200), scp(1, 1)]) queues.enqueue(message, 0)
    const batch = new OutboundBatch()
    assert.strictEqual(queues.nextBatch(flow, 0, batch), 0)
    assert.isUndefined(flow.receiveGrant(true, 3, 10_000, 5))
    assert.deepStrictEqual([flow.messageCredit, flow.byteCredit], [3n, 10_000n])
    assert.strictEqual(queues.nextBatch(flow, 5, batch), 3)
    assert.deepStrictEqual(batch.messages.map((m) => m._tag), ["ScpMessage", "Transaction", "FloodDemand"])
    assert.strictEqual(flow.messageCredit, 0n)
  })

  it("FLC-03 nothing is sent beyond the credit in either unit", () => {
    const flow = new FlowControl(defaults, 0)
    flow.receiveGrant(true, 2, 100, 0)
    assert.isTrue(flow.hasCredit(100))
    assert.isFalse(flow.hasCredit(101))
    flow.spend(60)
    assert.isFalse(flow.hasCredit(41))
    flow.spend(40)
    assert.isFalse(flow.hasCredit(0), "no message is left")
    assert.throws(() => flow.spend(0), /invariant/)
  })

  it("FLC-04 F1 plain SEND_MORE and a grant without bytes are violations; messages may be zero", () => {
    const flow = new FlowControl(defaults, 0)
    assert.strictEqual(flow.receiveGrant(false, 1, 0, 0), "UnexpectedSendMore")
    assert.strictEqual(flow.receiveGrant(true, 0, 0, 0), "InvalidSendMoreExtended")
    assert.strictEqual(flow.receiveGrant(true, 5, 0, 0), "InvalidSendMoreExtended")
    assert.deepStrictEqual([flow.messageCredit, flow.byteCredit], [0n, 0n])
    assert.isUndefined(flow.receiveGrant(true, 0, 1440, 0))
    assert.deepStrictEqual([flow.messageCredit, flow.byteCredit], [0n, 1440n])
  })

  it("FLC-028 F2 message credit of 2^64-1 overflows; nothing of the grant is added", () => {
    const flow = new FlowControl(defaults, 0)
    flow.setCredit(2n ** 64n - 1n, 300_000n)
    assert.strictEqual(flow.receiveGrant(true, 2, 2, 0), "CapacityOverflow")
    assert.deepStrictEqual([flow.messageCredit, flow.byteCredit], [2n ** 64n - 1n, 300_000n])
    flow.setCredit(2n ** 64n - 3n, 300_000n)
    assert.isUndefined(flow.receiveGrant(true, 2, 2, 0), "exactly up to the end")
    assert.strictEqual(flow.messageCredit, 2n ** 64n - 1n)
  })

  it("FLC-029 F2 byte credit of 2^64-1 overflows; nothing of the grant is added", () => {
    const flow = new FlowControl(defaults, 0)
    flow.setCredit(20n, 2n ** 64n - 1n)
    assert.strictEqual(flow.receiveGrant(true, 2, 2, 0), "CapacityOverflow")
    assert.deepStrictEqual([flow.messageCredit, flow.byteCredit], [20n, 2n ** 64n - 1n])
  })

  it("F2 credit is exact across the limbs of 32 bits", () => {
    const flow = new FlowControl(defaults, 0)
    let bytes = 0n
    for (const grant of [0xffff_ffff, 1, 0xffff_ffff, 0xffff_fffe, 0x8000_0000]) {
      assert.isUndefined(flow.receiveGrant(true, 1, grant, 0))
      bytes += BigInt(grant)
      assert.strictEqual(flow.byteCredit, bytes)
    }
    for (const size of [0xffff_ffff, 1, 16_777_216]) {
      flow.spend(size)
      bytes -= BigInt(size)
      assert.strictEqual(flow.byteCredit, bytes)
    }
    flow.setCredit(1n, 2n ** 63n)
    flow.spend(1)
    assert.strictEqual(flow.byteCredit, 2n ** 63n - 1n)
  })

  it("F5 grants of one message and one byte: each is accepted and sending resumes when they suffice", () => {
    const flow = new FlowControl(defaults, 0)
    const queues = queuesOf()
    queues.enqueue(transactionOfSize(1000), 0)
    const batch = new OutboundBatch()
    for (let i = 1; i < 1000; i++) {
      assert.isUndefined(flow.receiveGrant(true, 1, 1, i))
      assert.strictEqual(queues.nextBatch(flow, i, batch), 0)
    }
    assert.isUndefined(flow.receiveGrant(true, 1, 1, 1000))
    assert.strictEqual(queues.nextBatch(flow, 1000, batch), 1)
    assert.deepStrictEqual([flow.messageCredit, flow.byteCredit], [999n, 0n])
  })

  it("FLC-02 the time without credit: from creation, or from the first failed attempt; ended by any valid grant", () => {
    const flow = new FlowControl(defaults, 100)
    assert.deepStrictEqual([flow.starvedSince, flow.lastStarvedAt], [100, 100])
    assert.strictEqual(flow.receiveGrant(true, 0, 0, 150), "InvalidSendMoreExtended")
    assert.strictEqual(flow.starvedSince, 100, "an invalid grant clears nothing")
    flow.receiveGrant(true, 0, 1, 400)
    assert.deepStrictEqual([flow.starvedSince, flow.lastStarvedAt, flow.starvedMillis], [undefined, undefined, 300])
    flow.receiveGrant(true, 1, 1, 500)
    assert.strictEqual(flow.starvedMillis, -1, "we wanted for nothing")
    flow.noCredit(600)
    flow.noCredit(900)
    assert.deepStrictEqual([flow.starvedSince, flow.lastStarvedAt], [600, 900])
    flow.receiveGrant(true, 1, 1, 1000)
    assert.strictEqual(flow.starvedMillis, 400)
  })
})

describe("upgrades", () => {
  it("FLC-11 after the first grant an increase raises capacity by as much as is to be granted", () => {
    const flow = granted()
    assert.strictEqual(flow.raiseMaxTransactionSize(31_696), 31_696)
    assert.strictEqual(flow.localFloodBytes, 331_696)
    assert.isTrue(flow.begin(331_696, true))
    assert.isFalse(flow.begin(1, true))
    assert.throws(() => flow.raiseMaxTransactionSize(0), /invariant/)
  })

  it("FLC-11 before the first grant an increase is part of it", () => {
    const small = new FlowControl(defaults, 0)
    assert.strictEqual(small.raiseMaxTransactionSize(31_696), 0)
    small.initialGrant()
    assert.strictEqual(small.grantBytes, 300_000, "M = 134 096 still fits the automatic 300 000")
    const great = new FlowControl(defaults, 0)
    great.raiseMaxTransactionSize(50_000)
    great.raiseMaxTransactionSize(100_000)
    great.initialGrant()
    assert.strictEqual(great.grantBytes, 352_400, "M = 252 400")
    assert.strictEqual(great.localFloodBytes, 352_400)
  })
})

describe("json", () => {
  it("FLC-10 the peers command: core's keys, local and peer capacity in both units", () => {
    const flow = granted()
    flow.receiveGrant(true, 200, 300_000, 0)
    flow.spend(1000)
    flow.begin(400, true)
    flow.begin(84, false)
    const queues = queuesOf()
    assert.deepStrictEqual(FlowControlJson.compact(flow), {
      local_capacity: { reading: 199, flood: 199 },
      peer_capacity: 199,
      local_capacity_bytes: { reading: 17_825_796 - 484, flood: 299_600 },
      peer_capacity_bytes: 299_000
    })
    assert.deepStrictEqual(Object.keys(FlowControlJson.full(flow, queues, 0)).sort(), [
      "local_capacity",
      "local_capacity_bytes",
      "outbound_queue_delay_advert_p75",
      "outbound_queue_delay_demand_p75",
      "outbound_queue_delay_scp_p75",
      "outbound_queue_delay_txs_p75",
      "peer_capacity",
      "peer_capacity_bytes"
    ])
  })

  it("FLC-10 credit beyond what JSON can hold is rounded, not refused", () => {
    const flow = new FlowControl(defaults, 0)
    flow.setCredit(2n ** 64n - 1n, 2n ** 64n - 1n)
    assert.strictEqual(JSON.parse(JSON.stringify(FlowControlJson.compact(flow))).peer_capacity, 2 ** 64)
  })

  it("FLC-10 FLC-08 queue delays are those of the messages that left, in milliseconds; sizes and pauses can be read", () => {
    const flow = plenty()
    const queues = queuesOf()
    const batch = new OutboundBatch()
    queues.enqueue(scp(1, 1), 0)
    queues.enqueue(transactionOfSize(300), 60)
    queues.enqueue(demand(2), 80)
    queues.enqueue(advert(3), 90)
    assert.deepStrictEqual(
      [Priority.Scp, Priority.Transaction, Priority.Demand, Priority.Advert].map((p) => queues.lengthOf(p)),
      [1, 1, 1, 1]
    )
    assert.deepStrictEqual([queues.bytesOf(Priority.Transaction), queues.hashesOf(Priority.Demand)], [300, 2])
    assert.isFalse(flow.isPaused)
    queues.nextBatch(flow, 100, batch)
    queues.wrote(batch, 130)
    const json = FlowControlJson.full(flow, queues, 130)
    assert.strictEqual(json.outbound_queue_delay_scp_p75, 100)
    assert.strictEqual(json.outbound_queue_delay_txs_p75, 40)
    assert.strictEqual(json.outbound_queue_delay_demand_p75, 20)
    assert.strictEqual(json.outbound_queue_delay_advert_p75, 10)
    assert.strictEqual(queues.delays.asyncWrite.p75(130), 30)
    assert.strictEqual(queues.delays.scp.sum, 100)
  })
})
