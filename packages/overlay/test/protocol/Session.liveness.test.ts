/** Time: what ends a session, what keeps it, and the ping, as the remote sees them on the wire. */
import { assert, describe, it } from "@effect/vitest"
import * as SessionPair from "@stellar-overlay/overlay-test/SessionPair"
import * as OverlayConfig from "../../src/OverlayConfig.ts"
import { DontHave, GetScpState, type ScpQuorumSet, SendMoreExtended } from "../../src/wire/StellarMessage.ts"
import { advert, getTxSet, numberOf, quorumSet, sample, transaction } from "../scenarios/fixtures.ts"
import { authenticated, Remote, sha256 } from "../scenarios/remote.ts"

/** Answers the pings of a session that were not answered yet, and forgets them. */
const answerPings = (remote: Remote): void => {
  for (const query of remote.all("GetScpQuorumSet")) remote.say(DontHave.make({ itemType: 10, hash: query.hash }))
  remote.heard.length = 0
}

const credit = SendMoreExtended.make({ numMessages: 200, numBytes: 300_000 })

const dropped = (remote: Remote) => [remote.subject.dropText, remote.now.millis]

/** Runs until the session ends, or for so long. */
const until = (remote: Remote, millis: number, onStop?: () => void): Remote => {
  const end = remote.now.millis + millis
  while (remote.subject.dropped === undefined && remote.now.millis < end) {
    remote.advance(Math.min(end, remote.session.nextDeadline) - remote.now.millis, onStop)
  }
  return remote
}

describe("recurrent timer", () => {
  it("PEE-06 PEE-08 pings go out every 5 s to the millisecond while they are answered, and stop with the session", () => {
    const remote = authenticated()
    remote.say(credit)
    remote.slabs.length = 0
    const at: Array<number> = []
    remote.advance(60_000, () => {
      if (remote.all("GetScpQuorumSet").length > 0) at.push(remote.now.millis)
      answerPings(remote)
    })
    assert.deepStrictEqual(at, Array.from({ length: 12 }, (_, i) => 5000 * (i + 1)))
    assert.deepStrictEqual(remote.slabs, at, "and nothing else was written")
    remote.end()
    assert.strictEqual(remote.session.nextDeadline, Number.POSITIVE_INFINITY)
    remote.advance(60_000)
    assert.deepStrictEqual(remote.names, [])
  })
})

describe("timeouts", () => {
  it("PEE-07 a peer that falls silent is gone 30 s after the last byte in either direction", () => {
    const remote = authenticated()
    remote.say(credit)
    until(remote, 600_000)
    // The ping of the 5th second is the last thing written, and never answered.
    assert.deepStrictEqual(dropped(remote), ["idle timeout", 35_000])
    assert.deepStrictEqual(remote.names, ["GET_SCP_QUORUMSET"], "silently")
  })

  it("PEE-07 a peer that says something every 29 s stays, answers to pings or not", () => {
    const remote = authenticated()
    remote.say(credit)
    for (let i = 0; i < 20; i++) remote.advance(29_000).say(GetScpState.make({ ledgerSeq: 1 }))
    assert.isUndefined(remote.subject.dropped)
  })

  it("PEE-07 HSK-027 a peer that takes nothing is gone when the message in hand is 120 s old", () => {
    const remote = authenticated()
    remote.say(credit)
    remote.deaf = true
    remote.say(getTxSet(1)) // the answer is handed to the socket and stays there
    let ticks = 0
    until(remote, 600_000, () => {
      if (++ticks % 2 === 0) remote.say(GetScpState.make({ ledgerSeq: 1 })) // it is not idle
    })
    assert.deepStrictEqual(dropped(remote), ["straggling (cannot keep up)", 120_000])
  })

  it("PEE-07 FLC-027 F4 a peer that never grants is gone at 60 s, however lively otherwise", () => {
    const remote = authenticated()
    until(remote, 600_000, () => answerPings(remote))
    assert.deepStrictEqual(dropped(remote), ["idle timeout (no new flood requests)", 60_000])
  })

  it("PEE-07 a peer that granted once is dropped 60 s after we first owed it more than its credit, and not before", () => {
    const remote = authenticated()
    remote.say(SendMoreExtended.make({ numMessages: 1, numBytes: 100_000 }))
    remote.advance(300_000, () => answerPings(remote))
    assert.isUndefined(remote.subject.dropped, "nothing was owed")
    remote.session.send(transaction(400, 1), remote.now)
    remote.pump().advance(300_000, () => answerPings(remote))
    assert.isUndefined(remote.subject.dropped, "the credit sufficed")
    remote.session.send(transaction(400, 2), remote.now)
    until(remote.pump(), 600_000, () => answerPings(remote))
    assert.deepStrictEqual(dropped(remote), ["idle timeout (no new flood requests)", 660_000])
  })

  it("PEE-07 with core's timers an unfinished handshake ends at the 5 s check, and a trickle only at 60 s", () => {
    const silent = new Remote({ config: OverlayConfig.core })
    until(silent, 600_000)
    assert.deepStrictEqual(dropped(silent), ["idle timeout", 5000])
    const trickle = new Remote({ config: OverlayConfig.core })
    const bytes = trickle.encode(trickle.hello())
    for (let at = 0; trickle.subject.dropped === undefined && at < bytes.length - 1; at++) {
      trickle.raw(bytes.subarray(at, at + 1)).advance(1000)
    }
    assert.deepStrictEqual(dropped(trickle), ["idle timeout (no new flood requests)", 60_000])
  })

  it("T8 PEE-07 a great body that stops is given up 10 s after it began, at the next look", () => {
    const remote = authenticated()
    remote.say(credit).advance(4000)
    const bytes = remote.encode(quorumSet(4000))
    remote.raw(bytes.subarray(0, 100))
    until(remote, 600_000)
    assert.strictEqual(remote.subject.dropText, "message body too slow")
    // 10 s of grace, and what the 96 bytes of body are worth at 8 KiB/s.
    assert.approximately(remote.now.millis, 14_000 + 96 / 8.192, 1e-6)
  })
})

describe("ping", () => {
  it("PEE-08 the hash is 8 bytes nobody can know and 24 zeros, another one each time", () => {
    const remote = authenticated()
    remote.say(credit)
    const hashes = new Set<string>()
    remote.advance(100_000, () => {
      for (const { hash } of remote.all("GetScpQuorumSet")) {
        assert.deepStrictEqual(hash.subarray(8), new Uint8Array(24))
        hashes.add(Buffer.from(hash).toString("hex"))
      }
      answerPings(remote)
    })
    assert.strictEqual(hashes.size, 20)
  })

  it("PEE-08 a matching DONT_HAVE or SCP_QUORUMSET gives the round trip and concerns nobody else; others do not", () => {
    const remote = authenticated()
    remote.say(credit).advance(5000)
    const [ping] = remote.all("GetScpQuorumSet")
    assert.strictEqual(remote.session.liveness.latencyMillis, 86_400_000)
    remote.advance(120).say(DontHave.make({ itemType: 10, hash: sha256(ping!.hash) }))
    assert.strictEqual(remote.session.liveness.latencyMillis, 86_400_000)
    assert.strictEqual(remote.subject.messages("DontHave").length, 1)
    remote.advance(3).say(DontHave.make({ itemType: 10, hash: ping!.hash }))
    assert.strictEqual(remote.session.liveness.latencyMillis, 123)
    assert.strictEqual(remote.subject.messages("DontHave").length, 1)
    remote.say(DontHave.make({ itemType: 10, hash: ping!.hash }))
    assert.strictEqual(remote.subject.messages("DontHave").length, 2, "the second one answers nothing")
  })

  it("PEE-08 a quorum set whose hash was asked for counts as the answer, and reaches the consumer too", () => {
    const set = quorumSet(2)
    assert.isTrue(set._tag === "ScpQuorumSet")
    const body = (set as ScpQuorumSet).body
    // Nobody can make up a set with the hash of a ping, so the ping is made to ask for this one.
    const remote = authenticated()
    remote.say(credit)
    remote.session.liveness.pingSent(new Uint8Array(sha256(body)), remote.now.millis)
    remote.advance(77).say(set)
    assert.strictEqual(remote.session.liveness.latencyMillis, 77)
    assert.strictEqual(remote.subject.messages("ScpQuorumSet").length, 1)
  })

  it("PEE-08 two idle nodes stay linked for an hour, and know their round trip", () => {
    const pair = SessionPair.connected().advance(3_600_000)
    for (const end of pair.ends) {
      assert.isUndefined(end.dropped)
      assert.strictEqual(end.session.liveness.latencyMillis, 0)
      assert.strictEqual(end.received.length, 0, "pings are nobody's business")
    }
  })

  it("PEE-08 PEE-07 two nodes of which one lost every answer stay linked all the same", () => {
    const remote = authenticated()
    remote.say(credit)
    const pings: Array<number> = []
    remote.advance(600_000, () => {
      if (remote.all("GetScpQuorumSet").length > 0) pings.push(remote.now.millis)
      remote.heard.length = 0
      if (remote.now.millis % 10_000 === 0) remote.say(advert(1))
    })
    assert.isUndefined(remote.subject.dropped)
    // Given up after the idle timeout and sent anew.
    assert.deepStrictEqual(pings.slice(0, 4), [5000, 35_000, 65_000, 95_000])
  })
})

describe("query limits", () => {
  const limits = [["GetTxSet", 300], ["GetScpQuorumSet", 300]] as const
  for (const [tag, max] of limits) {
    it(`PEE-14 Q1 Q3 ${tag}: ${max} answers per 60 s, the rest ignored in silence, the connection stays`, () => {
      const remote = authenticated()
      remote.say(credit)
      const query = sample(tag)
      const rounds: Array<number> = []
      const starts = [0, 59_999, 60_000, 120_000]
      for (const start of starts) {
        while (remote.now.millis < start) {
          remote.advance(Math.min(10_000, start - remote.now.millis)).say(GetScpState.make({ ledgerSeq: 1 }))
        }
        const before = remote.all("DontHave").length
        for (let i = 0; i < max + 50; i++) remote.say(query)
        rounds.push(remote.all("DontHave").length - before)
      }
      assert.deepStrictEqual(rounds, [300, 0, 300, 300])
      assert.isUndefined(remote.subject.dropped)
    })
  }

  it("PEE-14 a rate policy is off by default; when on, the peer is told ERR_LOAD and dropped", () => {
    const free = authenticated()
    for (let i = 0; i < 100; i++) free.say(...Array.from({ length: 100 }, (_, k) => transaction(400, k)))
    assert.isUndefined(free.subject.dropped)
    assert.strictEqual(free.subject.received.length, 10_000)

    const limited = authenticated({ config: { maxMessagesPerSecond: 10 } })
    for (let i = 0; i < 60 && limited.subject.dropped === undefined; i++) limited.say(advert(i))
    assert.strictEqual(limited.subject.dropped?._tag, "RateLimited")
    assert.deepStrictEqual(limited.names.at(-1), "ERROR_MSG ERR_LOAD peer exceeded rate limit")
    // Five seconds' worth at once, HELLO and AUTH included; the next one is over.
    assert.strictEqual(limited.subject.received.length, 48)
  })
})

describe("a consumer that stops", () => {
  /** Says flood messages, and then quorum sets of 36 016 bytes until the session does not read any more. */
  const fill = (remote: Remote, flood: number, sets: number): void => {
    for (let i = 0; i < flood; i++) remote.say(transaction(400, i))
    for (let i = 0; i < sets; i++) remote.say(quorumSet(1000))
  }
  const total = 16_777_220 + 1_048_576

  const cases = [
    { name: "201 messages", flood: 200, held: 200 * 400 + 36_016 },
    // The first message that reaches 1 MiB is the last: 40 000 and 28 sets are 128 bytes below it.
    { name: "1 MiB", flood: 100, held: 40_000 + 29 * 36_016 }
  ]
  for (const { flood, held, name } of cases) {
    it(`F8 FLC-09 PEE-07 stopped for 10 minutes with ${name} in hand: no more is read, the peer kept, all delivered after`, () => {
      const remote = authenticated({ idle: true })
      remote.say(credit)
      fill(remote, flood, 60)
      const { session, subject } = remote
      const { flow } = session
      assert.isFalse(session.canRead)
      assert.strictEqual(subject.events.filter(({ _tag }) => _tag === "ReadThrottled").length, 1)
      assert.strictEqual(total - flow.localBytes, held)

      remote.advance(600_000)
      assert.isUndefined(subject.dropped, "the peer's silence is our doing")
      assert.strictEqual(total - flow.localBytes, held, "nothing was taken in meanwhile")

      subject.idle = false
      remote.pump()
      assert.deepStrictEqual(subject.messages("Transaction").map(numberOf), Array.from({ length: flood }, (_, i) => i))
      assert.strictEqual(subject.messages("ScpQuorumSet").length, 60)
      assert.deepStrictEqual([flow.localBytes, flow.localFloodMessages], [total, 200])
      const resumed = subject.events.find((event) => event._tag === "ReadResumed")
      assert.strictEqual(resumed?.millis, 600_000)
      assert.strictEqual(session.stats.readThrottleMillis, 600_000)

      remote.heard.length = 0
      remote.advance(60_000, () => answerPings(remote))
      assert.isUndefined(subject.dropped, "and the connection lives on")
    })
  }

  it("F8 a consumer that stops without filling anything does not stop pings and timers", () => {
    const remote = authenticated({ idle: true })
    remote.say(credit, transaction(400, 1))
    remote.advance(600_000, () => answerPings(remote))
    assert.isUndefined(remote.subject.dropped)
    assert.strictEqual(remote.session.liveness.latencyMillis, 0)
    remote.subject.idle = false
    remote.pump()
    assert.strictEqual(remote.subject.messages("Transaction").length, 1)
  })

  it("F8 FLC-09 two of our nodes, more to send than credit: the sender gives up at 60 s as the protocol says, not before", () => {
    const pair = SessionPair.connected({ acceptor: { idle: true } })
    for (let i = 0; i < 300; i++) pair.initiator.session.send(transaction(400, i), pair.now)
    pair.settle().advance(59_999)
    assert.deepStrictEqual(pair.ends.map(({ dropText }) => dropText), [undefined, undefined])
    pair.advance(1)
    assert.strictEqual(pair.initiator.dropText, "idle timeout (no new flood requests)")
    assert.strictEqual(pair.acceptor.dropped?._tag, "RemoteClosed")
    // What came before is not lost.
    pair.acceptor.idle = false
    pair.settle()
    assert.deepStrictEqual(
      pair.acceptor.messages("Transaction").map(numberOf),
      Array.from({ length: 200 }, (_, i) => i)
    )
  })

  it("F8 two of our nodes within credit: the consumer may stop for 10 minutes", () => {
    const pair = SessionPair.connected({ acceptor: { idle: true } })
    for (let i = 0; i < 150; i++) pair.initiator.session.send(transaction(400, i), pair.now)
    pair.settle().advance(600_000)
    assert.deepStrictEqual(pair.ends.map(({ dropText }) => dropText), [undefined, undefined])
    pair.acceptor.idle = false
    pair.settle()
    assert.deepStrictEqual(
      pair.acceptor.messages("Transaction").map(numberOf),
      Array.from({ length: 150 }, (_, i) => i)
    )
    assert.isAbove(Number(pair.initiator.session.flow.messageCredit), 160, "all but less than a batch of 40 is back")
  })
})
