/** What is counted and discarded before anything is decoded: copies under way, statistics, the rate limit. */
import { assert, describe, it } from "@effect/vitest"
import { Floodgate } from "../../src/protocol/Floodgate.ts"
import * as FloodRateLimit from "../../src/protocol/FloodRateLimit.ts"
import { MAX_MESSAGE_RECORDS, messageClass, MessageRecords } from "../../src/protocol/MessageRecords.ts"
import { MAX_SCHEDULED_MESSAGES, ScheduledMessages } from "../../src/protocol/ScheduledMessages.ts"
import { SessionStats } from "../../src/protocol/SessionStats.ts"
import { isFlood, type MessageTag, MessageType } from "../../src/wire/MessageType.ts"
import { generator, hash, hashes, nodeId } from "./floodFixtures.ts"

describe("ScheduledMessages", () => {
  it("FLD-09 A9 of copies that arrive while the first is processed none is processed, whoever sends them", () => {
    const scheduled = new ScheduledMessages(generator(1))
    let decoded = 0
    for (let peer = 0; peer < 72; peer++) if (scheduled.begin(hash(1))) decoded++
    assert.strictEqual(decoded, 1)
    assert.strictEqual(scheduled.discarded, 71)
    assert.isTrue(scheduled.begin(hash(2)), "another message is not held up")
    scheduled.end(hash(1))
    assert.strictEqual(scheduled.size, 1)
    assert.isTrue(scheduled.begin(hash(1)), "afterwards it is the floodgate's and the host's to know")
  })

  it("FLD-09 at most 100,000 are remembered; what was forgotten is processed again and ends without harm", () => {
    assert.strictEqual(MAX_SCHEDULED_MESSAGES, 100_000)
    const scheduled = new ScheduledMessages(generator(2), 50)
    for (const key of hashes(0, 500)) {
      assert.isTrue(scheduled.begin(key))
      assert.isAtMost(scheduled.size, 50)
    }
    for (const key of hashes(0, 500)) scheduled.end(key)
    assert.strictEqual(scheduled.size, 0)
  })
})

it("FLD-08 a duplicate at the relay gate is not relayed and is still processed: the two are asked apart", () => {
  const gate = new Floodgate(generator(1))
  const scheduled = new ScheduledMessages(generator(1))
  const peers = [0, 1, 2].map((n) => ({ id: nodeId(n) }))
  let processed = 0
  let sent = 0
  for (const from of peers) {
    if (!scheduled.begin(hash(1))) continue
    gate.addRecord(hash(1), from.id, 1, 0)
    processed++ // the host's path does not ask whether the message was new to the gate
    sent += gate.broadcast(hash(1), peers, 1, 0).length
    scheduled.end(hash(1))
  }
  assert.strictEqual(processed, 3)
  assert.strictEqual(sent, 2, "the first to send it is not told, the others once")
})

const classes: Readonly<Record<MessageTag, "flood" | "fetch" | undefined>> = {
  ErrorMsg: undefined,
  Auth: undefined,
  DontHave: undefined,
  Peers: undefined,
  GetTxSet: undefined,
  TxSet: "fetch",
  Transaction: "flood",
  GetScpQuorumSet: undefined,
  ScpQuorumSet: "fetch",
  ScpMessage: "flood",
  GetScpState: undefined,
  Hello: undefined,
  SendMore: undefined,
  GeneralizedTxSet: "fetch",
  FloodAdvert: "flood",
  FloodDemand: "flood",
  SendMoreExtended: undefined,
  TimeSlicedSurveyRequest: "flood",
  TimeSlicedSurveyResponse: "flood",
  TimeSlicedSurveyStartCollecting: "flood",
  TimeSlicedSurveyStopCollecting: "flood"
}
const tags = Object.keys(classes) as ReadonlyArray<MessageTag> // the keys of the record above

describe("MessageRecords", () => {
  it("FLD-06 of the 21 types four are flow-controlled, eight count as flood and three as fetch", () => {
    assert.strictEqual(tags.length, 21)
    assert.deepStrictEqual(tags.filter((tag) => isFlood(MessageType[tag])).sort(), [
      "FloodAdvert",
      "FloodDemand",
      "ScpMessage",
      "Transaction"
    ])
    for (const tag of tags) assert.strictEqual(messageClass(MessageType[tag]), classes[tag], tag)
  })

  it("FLD-06 OVM-16 unique and duplicate messages and bytes, per kind, per connection and for the node", () => {
    const records = new MessageRecords(generator(1))
    const a = new SessionStats(0)
    const b = new SessionStats(0)
    assert.strictEqual(records.record(MessageType.ScpMessage, hash(1), 300, a), "unique")
    assert.strictEqual(records.record(MessageType.ScpMessage, hash(1), 300, b), "duplicate")
    assert.strictEqual(records.record(MessageType.Transaction, hash(2), 500, b), "unique")
    assert.strictEqual(records.record(MessageType.GeneralizedTxSet, hash(3), 9000, b), "unique")
    assert.strictEqual(records.record(MessageType.GeneralizedTxSet, hash(3), 9000, b), "duplicate")
    assert.isUndefined(records.record(MessageType.GetTxSet, hash(4), 36, a))
    const counters = (from: MessageRecords | SessionStats) => [
      [from.uniqueFloodMessages, from.duplicateFloodMessages, from.uniqueFetchMessages, from.duplicateFetchMessages],
      [from.uniqueFloodBytes, from.duplicateFloodBytes, from.uniqueFetchBytes, from.duplicateFetchBytes]
    ]
    assert.deepStrictEqual(counters(a), [[1, 0, 0, 0], [300, 0, 0, 0]])
    assert.deepStrictEqual(counters(b), [[1, 1, 1, 1], [500, 300, 9000, 9000]])
    assert.deepStrictEqual(counters(records), [[2, 1, 1, 1], [800, 300, 9000, 9000]])
    assert.strictEqual(records.size, 3)
  })

  it("OVM-16 the last 65,535 messages of all peers are remembered, the oldest makes room", () => {
    assert.strictEqual(MAX_MESSAGE_RECORDS, 65_535)
    const records = new MessageRecords(generator(2), 1000)
    const record = (n: number) => records.record(MessageType.Transaction, hash(n), 1)
    for (let n = 0; n < 5000; n++) assert.strictEqual(record(n), "unique")
    assert.strictEqual(records.size, 1000)
    for (let n = 4000; n < 5000; n++) assert.strictEqual(record(n), "duplicate")
    assert.strictEqual(record(3999), "unique")
    assert.strictEqual(record(4000), "unique", "it made room for 3999")
    assert.strictEqual(record(4002), "duplicate")
  })
})

describe("FloodRateLimit", () => {
  const options = { ...FloodRateLimit.defaults, maxMessagesPerSecond: 100 }

  it("FLD-07 there is no limit unless one is set", () => {
    const limit = new FloodRateLimit.FloodRateLimit(FloodRateLimit.defaults, 0)
    for (let i = 0; i < 100_000; i++) assert.isTrue(limit.allow(MessageType.Transaction, 0))
    assert.strictEqual(limit.refused, 0)
  })

  it("FLD-07 a limit of 100 per second lets two seconds' worth through at once and then 100 per second", () => {
    const limit = new FloodRateLimit.FloodRateLimit(options, 0)
    const passed = (now: number) => {
      let count = 0
      for (let i = 0; i < 500; i++) if (limit.allow(MessageType.Transaction, now)) count++
      return count
    }
    assert.strictEqual(passed(0), 200)
    assert.strictEqual(passed(0), 0)
    assert.strictEqual(passed(1000), 100)
    assert.strictEqual(passed(1500), 50)
    assert.strictEqual(passed(60_000), 200)
    assert.strictEqual(limit.refused, 5 * 500 - 550)
  })

  it("FLD-07 exempt types are never limited and use nothing up", () => {
    const limit = new FloodRateLimit.FloodRateLimit(options, 0)
    for (let i = 0; i < 1000; i++) assert.isTrue(limit.allow(MessageType.ScpMessage, 0))
    for (let i = 0; i < 200; i++) assert.isTrue(limit.allow(MessageType.FloodAdvert, 0))
    assert.isFalse(limit.allow(MessageType.FloodAdvert, 0))
    for (const type of options.exempt) assert.isTrue(limit.allow(type, 0))
    const strict = new FloodRateLimit.FloodRateLimit({ maxMessagesPerSecond: 1, exempt: [] }, 0)
    const allowed = [0, 0, 0].map((now) => strict.allow(MessageType.ScpMessage, now))
    assert.deepStrictEqual(allowed, [true, true, false])
  })
})
