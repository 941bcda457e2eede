import { assert, describe, it } from "@effect/vitest"
import {
  FETCH_REPLY_WAIT_MILLIS,
  type FetchContext,
  ItemTracker,
  LATENCY_BUCKET_MILLIS,
  MAX_REBUILD_FACTOR
} from "../../src/protocol/ItemTracker.ts"
import { generator, hash } from "./floodFixtures.ts"

interface Envelope {
  readonly slot: number
  readonly key: Uint8Array
}

const envelope = (slot: number, key = slot): Envelope => ({ slot, key: hash(1000 + key) })

interface TestPeer {
  readonly name: string
  readonly latency: number | undefined
}

/** Peers and what they are known to have, for one tracker at a time. */
class Surroundings implements FetchContext<TestPeer, Envelope> {
  all: Array<TestPeer> = []
  readonly knowing = new Map<Uint8Array, Array<TestPeer>>()
  readonly draw: () => number
  readonly slotOf = (envelope: Envelope) => envelope.slot
  readonly keyOf = (envelope: Envelope) => envelope.key
  readonly peers = () => this.all
  readonly peersKnow = (key: Uint8Array) => this.knowing.get(key) ?? []
  readonly latencyOf = (peer: TestPeer) => peer.latency

  constructor(seed = 1) {
    this.draw = generator(seed)
  }

  add(name: string, latency?: number): TestPeer {
    const peer = { name, latency }
    this.all = [...this.all, peer]
    return peer
  }
}

const make = (surroundings = new Surroundings()) => new ItemTracker(hash(0), surroundings, 0)

const popAll = (tracker: ItemTracker<TestPeer, Envelope>): Array<number> => {
  const popped: Array<number> = []
  for (let next = tracker.pop(); next !== undefined; next = tracker.pop()) popped.push(next.slot)
  return popped
}

describe("container", () => {
  it("TRK-001 FET-06 a new tracker is empty", () => {
    const tracker = make()
    assert.deepStrictEqual([tracker.size, tracker.isEmpty, tracker.lastSeenSlotIndex], [0, true, 0])
    assert.isUndefined(tracker.pop())
  })

  it("TRK-002 FET-05 an envelope is listened for and popped; the last-seen slot stays until it is reset", () => {
    const tracker = make()
    const one = envelope(1)
    assert.isTrue(tracker.listen(one))
    assert.deepStrictEqual([tracker.size, tracker.lastSeenSlotIndex], [1, 1])
    assert.strictEqual(tracker.pop(), one)
    assert.deepStrictEqual([tracker.isEmpty, tracker.lastSeenSlotIndex], [true, 1])
    tracker.resetLastSeenSlotIndex()
    assert.strictEqual(tracker.lastSeenSlotIndex, 0)
  })

  it("TRK-003 FET-06 the same envelope listens once, as another object too", () => {
    const tracker = make()
    assert.isTrue(tracker.listen(envelope(1)))
    assert.isFalse(tracker.listen(envelope(1)))
    assert.strictEqual(tracker.lastSeenSlotIndex, 1)
    assert.deepStrictEqual(popAll(tracker), [1])
  })

  it("TRK-004 FET-05 different envelopes: the highest slot is the last seen, the last in is the first out", () => {
    const tracker = make()
    tracker.listen(envelope(1))
    assert.strictEqual(tracker.lastSeenSlotIndex, 1)
    tracker.listen(envelope(2))
    assert.strictEqual(tracker.lastSeenSlotIndex, 2)
    assert.deepStrictEqual(popAll(tracker), [2, 1])
  })

  const five = () => {
    const tracker = make()
    for (const slot of [5, 3, 1, 2, 4]) tracker.listen(envelope(slot))
    return tracker
  }

  it("TRK-005 five envelopes in any order", () => {
    const tracker = five()
    assert.deepStrictEqual([tracker.size, tracker.lastSeenSlotIndex], [5, 5])
    assert.deepStrictEqual(tracker.waitingEnvelopes.map(({ slot }) => slot), [5, 3, 1, 2, 4])
  })

  const none = Number.POSITIVE_INFINITY
  const cases: ReadonlyArray<readonly [string, number, number, number, boolean, ReadonlyArray<number>]> = [
    ["TRK-006 FET-02 FET-06 old ones leave", 4, none, 4, true, [4, 5]],
    ["TRK-007 FET-06 all leave as too old", 6, none, 6, false, []],
    ["TRK-008 FET-02 the slot to keep stays among old ones", 5, none, 1, true, [1, 5]],
    ["TRK-009 FET-02 future ones leave", 0, 3, 3, true, [2, 1, 3]],
    ["TRK-010 FET-02 all leave as too new", 0, 0, 0, false, []],
    ["TRK-011 FET-02 the slot to keep stays among future ones", 0, 2, 5, true, [2, 1, 5]],
    ["TRK-012 FET-02 both sides leave", 2, 4, 0, true, [4, 2, 3]],
    ["TRK-013 FET-02 both sides leave but for the slot to keep", 3, 3, 1, true, [1, 3]]
  ]
  for (const [title, min, max, keep, remains, pops] of cases) {
    it(title, () => {
      const tracker = five()
      const removed: Array<Envelope> = []
      assert.strictEqual(tracker.clearEnvelopesOutsideRange(min, max, keep, removed), remains)
      assert.strictEqual(tracker.size, pops.length)
      assert.deepStrictEqual(removed.map(({ slot }) => slot), [5, 3, 1, 2, 4].filter((slot) => !pops.includes(slot)))
      assert.deepStrictEqual(popAll(tracker), pops)
    })
  }

  it("FET-06 discard removes all equal envelopes; with the last one cancel stops the timer", () => {
    const surroundings = new Surroundings()
    surroundings.add("a")
    const tracker = make(surroundings)
    for (const slot of [1, 2]) tracker.listen(envelope(slot))
    tracker.start(0)
    assert.strictEqual(tracker.discard(envelope(1)), 1)
    assert.strictEqual(tracker.discard(envelope(1)), 0)
    assert.strictEqual(tracker.nextTryAt, 1500)
    assert.strictEqual(tracker.discard(envelope(2)), 1)
    tracker.cancel()
    assert.deepStrictEqual([tracker.isEmpty, tracker.nextTryAt, tracker.lastSeenSlotIndex], [true, undefined, 0])
  })

  it("FET-02 FET-06 when none remain in range the timer stops", () => {
    const surroundings = new Surroundings()
    surroundings.add("a")
    const tracker = make(surroundings)
    tracker.listen(envelope(3))
    tracker.start(0)
    tracker.clearEnvelopesOutsideRange(1, 10, 0)
    assert.strictEqual(tracker.nextTryAt, 1500)
    tracker.clearEnvelopesOutsideRange(4, 10, 0)
    assert.isUndefined(tracker.nextTryAt)
  })
})

describe("order of peers", () => {
  it("FET-07 the numbers: 1.5 s for a reply, pauses of at most ten times that, latencies by half seconds", () => {
    assert.deepStrictEqual([FETCH_REPLY_WAIT_MILLIS, MAX_REBUILD_FACTOR, LATENCY_BUCKET_MILLIS], [1500, 10, 500])
  })

  it("FET-03 who is known to have the message comes first, then the nearest half second, then the next", () => {
    const firstOfNear = new Map<string, number>()
    for (let seed = 0; seed < 300; seed++) {
      const surroundings = new Surroundings(seed)
      surroundings.add("unmeasured")
      surroundings.add("499 ms", 499)
      surroundings.add("500 ms", 500)
      surroundings.add("20 ms", 20)
      const knower = surroundings.add("knower", 2300)
      const tracker = make(surroundings)
      const one = envelope(1)
      surroundings.knowing.set(one.key, [knower])
      tracker.listen(one)
      const order = [0, 1, 2, 3, 4].map(() => tracker.tryNextPeer(0)?.name)
      assert.strictEqual(order[0], "knower")
      assert.deepStrictEqual(order.slice(1, 3).toSorted(), ["20 ms", "499 ms"])
      assert.deepStrictEqual(order.slice(3), ["500 ms", "unmeasured"])
      firstOfNear.set(order[1]!, (firstOfNear.get(order[1]!) ?? 0) + 1)
    }
    for (const count of firstOfNear.values()) assert.approximately(count, 150, 50)
  })

  it("FET-03 of several knowers the nearest is asked first, and any envelope's knower counts", () => {
    const surroundings = new Surroundings()
    const far = surroundings.add("far", 1600)
    const near = surroundings.add("near", 700)
    surroundings.add("nearest", 1)
    const tracker = make(surroundings)
    const [one, two] = [envelope(1), envelope(2)]
    surroundings.knowing.set(one.key, [far])
    surroundings.knowing.set(two.key, [near])
    tracker.listen(one)
    tracker.listen(two)
    assert.deepStrictEqual([0, 1, 2].map(() => tracker.tryNextPeer(0)?.name), ["near", "far", "nearest"])
  })

  it("FET-07 each is asked 1.5 s after the one before, and pauses grow from 1.5 s to 15 s", () => {
    const surroundings = new Surroundings()
    for (const name of ["a", "b", "c"]) surroundings.add(name)
    const tracker = make(surroundings)
    tracker.listen(envelope(1))
    let now = 0
    tracker.start(now)
    for (let round = 1; round <= 14; round++) {
      for (let i = 0; i < 2; i++) {
        assert.strictEqual(tracker.nextTryAt, now + 1500)
        now += 1500
        assert.isDefined(tracker.tryNextPeer(now))
      }
      now += 1500
      assert.isUndefined(tracker.tryNextPeer(now), "everyone was asked")
      assert.strictEqual(tracker.rebuilds, round)
      assert.strictEqual(tracker.nextTryAt, now + 1500 * Math.min(10, round))
      now = tracker.nextTryAt!
      assert.isDefined(tracker.tryNextPeer(now))
    }
    assert.strictEqual(tracker.getDuration(now), now)
  })

  it("FET-03 DONT_HAVE of the peer asked last counts, of any other it does not", () => {
    const surroundings = new Surroundings()
    const [a, b, c] = [surroundings.add("a", 10), surroundings.add("b", 600), surroundings.add("c", 1200)]
    const tracker = make(surroundings)
    tracker.listen(envelope(1))
    assert.strictEqual(tracker.start(0), a)
    assert.isUndefined(tracker.doesntHave(b, 10))
    assert.strictEqual(tracker.doesntHave(a, 20), b)
    assert.strictEqual(tracker.nextTryAt, 1520)
    assert.isUndefined(tracker.doesntHave(a, 30))
    assert.strictEqual(tracker.tryNextPeer(1520), c)
    assert.isUndefined(tracker.doesntHave(b, 1600), "b answers late")
  })

  it("FET-03 a peer is a connection: who reconnects may be asked again, and who left is not kept", () => {
    const surroundings = new Surroundings()
    const before = surroundings.add("a")
    const tracker = make(surroundings)
    tracker.listen(envelope(1))
    assert.strictEqual(tracker.start(0), before)
    surroundings.all = []
    tracker.forgetPeer(before)
    assert.isUndefined(tracker.lastAskedPeer)
    const after = surroundings.add("a")
    assert.strictEqual(tracker.tryNextPeer(1500), after)
  })
})
