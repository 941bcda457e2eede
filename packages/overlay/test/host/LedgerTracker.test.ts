/** Which ledger the network is at, from what peers or validators say, and what liars can do about it. */
import { assert, describe, it } from "@effect/vitest"
import { CONSENSUS_STUCK_TIMEOUT_MILLIS, LedgerTracker, MAX_VOTERS } from "../../src/protocol/LedgerTracker.ts"
import { nodeId } from "../protocol/floodFixtures.ts"

const someone = nodeId(1000)
const byPeers = () => new LedgerTracker({ closeTimeMillis: 5000 })
const byValidators = (threshold: number, count: number) =>
  new LedgerTracker({
    closeTimeMillis: 5000,
    slices: { threshold, validators: Array.from({ length: count }, (_, i) => nodeId(i)), innerSets: [] }
  })

/** Peers 0 to n - 1 pass on slots, one every five seconds. */
const follow = (tracker: LedgerTracker, peers: number, from: number, to: number, start = 0): number => {
  let now = start
  for (let slot = from; slot <= to; slot++, now += 5000) {
    for (let n = 0; n < peers; n++) tracker.externalized(slot, nodeId(n), someone, now)
  }
  return now - 5000
}

describe("peers vote", () => {
  it("PEE-17 nothing is known at first; one peer alone is believed", () => {
    const tracker = byPeers()
    assert.isFalse(tracker.isTracking(0))
    assert.strictEqual(tracker.index, 0)
    assert.isTrue(tracker.externalized(1_000_000, nodeId(1), someone, 0))
    assert.strictEqual(tracker.index, 1_000_000)
    assert.isTrue(tracker.isTracking(0))
  })

  it("A11 of three peers one liar changes nothing, however high or low it goes", () => {
    const tracker = byPeers()
    const now = follow(tracker, 3, 100, 105)
    for (const slot of [106, 1000, 2 ** 52, 1]) {
      for (let i = 0; i < 100; i++) tracker.externalized(slot, nodeId(2), nodeId(5000 + i), now + i)
    }
    assert.strictEqual(tracker.index, 105)
    assert.strictEqual(follow(tracker, 2, 106, 110, now + 5000), now + 25_000)
    assert.strictEqual(tracker.index, 110)
  })

  it("A11 a majority of liars moves it at ten times the pace of ledgers at most", () => {
    const tracker = byPeers()
    let now = follow(tracker, 3, 100, 105)
    const start = now
    for (let i = 0; i < 1000; i++) {
      now += 10
      for (let n = 0; n < 3; n++) tracker.externalized(10_000_000, nodeId(n), someone, now)
    }
    // Ten at once, and ten in the place of each of the two ledgers that might have closed meanwhile.
    assert.strictEqual(now - start, 10_000)
    assert.approximately(tracker.index, 105 + 10 + 20, 1)
  })

  it("A11 who was first and lied is set right as soon as others have been there for the time of a ledger", () => {
    const tracker = byPeers()
    tracker.externalized(9_000_000, nodeId(0), someone, 0)
    assert.strictEqual(tracker.index, 9_000_000)
    const vote = (slot: number, now: number) => {
      for (let n = 1; n < 4; n++) tracker.externalized(slot, nodeId(n), someone, now)
    }
    vote(100, 1000)
    assert.strictEqual(tracker.index, 9_000_000)
    vote(101, 6000)
    assert.strictEqual(tracker.index, 101)
  })

  it("A13 peers that begin with the slots they remember do not turn the clock back", () => {
    const tracker = byPeers()
    const now = follow(tracker, 2, 100, 130)
    for (let n = 10; n < 20; n++) {
      for (const slot of [64, 119, 125, 130]) tracker.externalized(slot, nodeId(n), someone, now + n)
      assert.strictEqual(tracker.index, 130)
    }
  })

  it("HRD-042 after 35 s without progress it is not tracking, and follows wherever most peers are", () => {
    const tracker = byPeers()
    const now = follow(tracker, 3, 100, 105)
    assert.isTrue(tracker.isTracking(now + CONSENSUS_STUCK_TIMEOUT_MILLIS - 1))
    assert.isFalse(tracker.isTracking(now + CONSENSUS_STUCK_TIMEOUT_MILLIS))
    // Votes have grown old too: the first to come back is a majority by itself.
    assert.isTrue(tracker.externalized(5000, nodeId(1), someone, now + CONSENSUS_STUCK_TIMEOUT_MILLIS))
    assert.strictEqual(tracker.index, 5000)
  })

  it("A12 voters are bounded, and a message that waited has no peer and no vote", () => {
    const tracker = byPeers()
    for (let n = 0; n < 3 * MAX_VOTERS; n++) tracker.externalized(7, nodeId(n), someone, 0)
    assert.strictEqual(tracker.voters, MAX_VOTERS)
    assert.isFalse(tracker.externalized(8, undefined, someone, 0))
  })
})

describe("trusted validators vote", () => {
  const say = (tracker: LedgerTracker, slot: number, validators: ReadonlyArray<number>, now = 0) =>
    validators.map((n) => tracker.externalized(slot, someone, nodeId(n), now))

  it("PEE-17 a ledger is closed when a slice of the quorum set says so", () => {
    const tracker = byValidators(3, 4)
    assert.deepStrictEqual(say(tracker, 50, [0, 1]), [false, false])
    assert.deepStrictEqual(say(tracker, 50, [2, 3]), [true, false])
    assert.strictEqual(tracker.index, 50)
  })

  it("PEE-17 inner sets count as one member each", () => {
    const tracker = new LedgerTracker({
      closeTimeMillis: 5000,
      slices: {
        threshold: 2,
        validators: [],
        innerSets: [0, 3, 6].map((from) => ({
          threshold: 2,
          validators: [from, from + 1, from + 2].map(nodeId),
          innerSets: []
        }))
      }
    })
    say(tracker, 9, [0, 3, 6, 1])
    assert.strictEqual(tracker.index, 0)
    say(tracker, 9, [7])
    assert.strictEqual(tracker.index, 9)
  })

  it("A11 validators that are not trusted, and one that is, move nothing", () => {
    const tracker = byValidators(2, 3)
    say(tracker, 50, [0, 1])
    say(tracker, 900, [2, 100, 101, 102, 103])
    assert.strictEqual(tracker.index, 50)
  })

  it("A13 an earlier statement that comes late takes nothing back", () => {
    const tracker = byValidators(2, 3)
    for (let slot = 50; slot <= 52; slot++) say(tracker, slot, [0, 1], (slot - 50) * 5000)
    say(tracker, 40, [0, 1, 2], 11_000)
    say(tracker, 53, [2], 15_000)
    assert.strictEqual(tracker.index, 52)
    say(tracker, 53, [0], 15_000)
    assert.strictEqual(tracker.index, 53)
  })
})
