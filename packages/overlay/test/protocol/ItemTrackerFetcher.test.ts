/** The table of trackers: ItemFetcherTests of stellar-core, and the bounds core does not have. */
import { assert, describe, it } from "@effect/vitest"
import { Floodgate } from "../../src/protocol/Floodgate.ts"
import {
  defaults,
  type FetchStep,
  type ItemFetcherOptions,
  ItemFetcherTable,
  type ItemRequest
} from "../../src/protocol/ItemFetcherTable.ts"
import { MessageType } from "../../src/wire/MessageType.ts"
import type { NodeId } from "../../src/wire/NodeId.ts"
import { below, generator, hash, nodeId, numberOf } from "./floodFixtures.ts"

interface Envelope {
  readonly n: number
  readonly slot: number | undefined
  readonly key: Uint8Array | undefined
}

let made = 0
const envelope = (n: number, slot: number | undefined = ++made): Envelope => ({ n, slot, key: hash(10_000 + ++made) })

interface TestPeer {
  readonly id: NodeId
  readonly n: number
  latency: number | undefined
}

/** A fetcher on a clock of its own, whose requests are recorded and answered by `answer`. */
class Scene {
  readonly gate = new Floodgate(generator(9))
  peers: Array<TestPeer> = []
  readonly table: ItemFetcherTable<TestPeer, Envelope>
  readonly asks: Array<{ readonly at: number; readonly peer: TestPeer; readonly hash: number }> = []
  readonly dropped: Array<number> = []
  readonly received: Array<number> = []
  now = 0
  /** Whether a peer says DONT_HAVE at once. */
  answer: (peer: TestPeer) => boolean = () => false

  constructor(options: Partial<ItemFetcherOptions> = {}, seed = 1) {
    this.table = new ItemFetcherTable<TestPeer, Envelope>(MessageType.GetScpQuorumSet, {
      slotOf: (envelope) => envelope.slot,
      keyOf: (envelope) => envelope.key,
      peers: () => this.peers,
      peersKnow: (key) => this.gate.getPeersKnows(key, this.peers),
      latencyOf: (peer) => peer.latency,
      draw: generator(seed)
    }, { ...defaults, ...options })
  }

  connect(n: number, latency?: number): TestPeer {
    const peer = { id: nodeId(n), n, latency }
    this.peers = [...this.peers, peer]
    return peer
  }

  fetch(item: number, envelope: Envelope): void {
    this.take(this.table.fetch(hash(item), envelope, this.now))
  }

  recv(item: number): void {
    for (const { n } of this.table.recv(hash(item), this.now)?.envelopes ?? []) this.received.push(n)
  }

  doesntHave(item: number, peer: TestPeer): void {
    const request = this.table.doesntHave(hash(item), peer, this.now)
    if (request !== undefined) this.ask(request)
  }

  take({ dropped, requests }: FetchStep<TestPeer, Envelope>): void {
    this.dropped.push(...dropped.map(({ n }) => n))
    for (const request of requests) this.ask(request)
  }

  ask({ hash, peer, type }: ItemRequest<TestPeer>): void {
    assert.strictEqual(type, MessageType.GetScpQuorumSet)
    this.asks.push({ at: this.now, peer, hash: numberOf(hash) })
    if (this.answer(peer)) this.doesntHave(numberOf(hash), peer)
  }

  /** Lets time pass, timers and all. Gives how often a timer ran. */
  pass(millis: number): number {
    const end = this.now + millis
    let ticks = 0
    for (let next = this.table.nextDeadline; next !== undefined && next <= end; next = this.table.nextDeadline) {
      this.now = Math.max(this.now, next)
      this.take(this.table.tick(this.now))
      ticks++
    }
    this.now = end
    return ticks
  }

  lastSeen(...items: ReadonlyArray<number>): Array<boolean> {
    return items.map((item) => this.table.getLastSeenSlotIndex(hash(item)) > 0)
  }

  waiting(...items: ReadonlyArray<number>): Array<Array<number>> {
    return items.map((item) => this.table.fetchingFor(hash(item)).map(({ n }) => n))
  }
}

/** The setting of ITF-001 to ITF-010: items 0, 10, 12, 14; one envelope waits for 10, two for 12. */
const setting = () => {
  const scene = new Scene()
  const [e10, a, b] = [envelope(10), envelope(12), envelope(12)]
  scene.fetch(10, e10)
  scene.fetch(12, a)
  scene.fetch(12, b)
  return { scene, e10, a, b }
}
const items = [0, 10, 12, 14]

describe("fetches", () => {
  it("ITF-001 FET-05 the envelopes that wait, and what is wanted", () => {
    const { scene } = setting()
    assert.deepStrictEqual(scene.lastSeen(...items), [false, true, true, false])
    assert.deepStrictEqual(scene.waiting(...items), [[], [10], [12, 12], []])
    assert.deepStrictEqual(items.map((item) => scene.table.isWanted(hash(item))), [false, true, true, false])
  })

  it("ITF-002 FET-01 stop one", () => {
    const { a, b, scene } = setting()
    scene.table.stopFetch(hash(12), a)
    assert.deepStrictEqual(scene.lastSeen(12), [true])
    assert.deepStrictEqual(scene.table.fetchingFor(hash(12)), [b])
    scene.recv(12)
    scene.recv(10)
    assert.deepStrictEqual(scene.received, [12, 10])
    assert.deepStrictEqual(scene.lastSeen(...items), [false, false, false, false])
    assert.deepStrictEqual(scene.waiting(...items), [[], [], [], []])
  })

  it("ITF-003 FET-01 stop all", () => {
    const { a, b, scene } = setting()
    scene.table.stopFetch(hash(12), a)
    scene.table.stopFetch(hash(12), b)
    assert.deepStrictEqual(scene.lastSeen(12), [false])
    assert.deepStrictEqual(scene.waiting(12), [[]])
    scene.recv(12)
    scene.recv(10)
    assert.deepStrictEqual(scene.received, [10])
    assert.deepStrictEqual(scene.waiting(...items), [[], [], [], []])
  })

  it("ITF-004 FET-04 don't stop: the last added is handed over first", () => {
    const { a, b, e10, scene } = setting()
    scene.now = 700
    assert.deepStrictEqual(scene.table.recv(hash(12), 700), { envelopes: [b, a], durationMillis: 700 })
    assert.deepStrictEqual(scene.table.recv(hash(10), 900), { envelopes: [e10], durationMillis: 900 })
    assert.deepStrictEqual(scene.lastSeen(...items), [false, false, false, false])
    assert.strictEqual(scene.table.waiting, 0)
  })

  it("ITF-005 no cache: what arrived is fetched again when it is wanted again", () => {
    const { scene } = setting()
    scene.recv(12)
    scene.recv(10)
    scene.fetch(0, envelope(0))
    scene.recv(0)
    scene.fetch(0, envelope(1))
    assert.deepStrictEqual(scene.received, [12, 12, 10, 0])
    assert.deepStrictEqual(scene.lastSeen(0), [true])
    assert.deepStrictEqual(scene.waiting(0), [[1]])
  })

  for (
    const [title, twice] of [
      ["ITF-006 FET-01 FET-07 peers are asked in turns, 1.5 s apart, until the item is here", false],
      ["ITF-007 FET-01 a second envelope for the same item asks nobody", true]
    ] as const
  ) {
    it(title, () => {
      const { scene } = setting()
      scene.recv(12)
      scene.recv(10)
      const [one, two] = [scene.connect(1), scene.connect(2)]
      scene.fetch(0, envelope(0))
      if (twice) scene.fetch(0, envelope(1))
      assert.strictEqual(scene.asks.length, 1)
      scene.pass(3000 - 1)
      assert.strictEqual(scene.asks.length, 2)
      assert.deepStrictEqual(scene.asks.map(({ at }) => at), [0, 1500])
      scene.recv(0)
      scene.pass(60_000)
      assert.strictEqual(scene.asks.length, 2)
      assert.deepStrictEqual(new Set(scene.asks.map(({ peer }) => peer)), new Set([one, two]))
    })
  }

  it("ITF-008 FET-07 Q7 nobody answers: pairs of asks 1.5 s apart, with pauses that grow to 15 s, a hundred times", () => {
    const { scene } = setting()
    scene.recv(12)
    scene.recv(10)
    scene.fetch(0, envelope(0))
    scene.pass(2000)
    assert.strictEqual(scene.asks.length, 0)
    scene.connect(1)
    scene.connect(2)
    while (scene.asks.length < 200) scene.pass(1500)
    for (let k = 0; k < 100; k++) {
      const [first, second] = [scene.asks[2 * k]!, scene.asks[2 * k + 1]!]
      assert.notStrictEqual(first.peer, second.peer)
      assert.strictEqual(second.at - first.at, 1500)
      // A reply is waited for before the pause, so the gap is one wait longer than the pause.
      if (k > 0) assert.isAtLeast(first.at - scene.asks[2 * k - 1]!.at, 1500 * Math.min(10, k - 1))
      if (k > 20) assert.strictEqual(first.at - scene.asks[2 * k - 1]!.at, 1500 + 15_000)
    }
  })

  it("ITF-009 FET-03 Q4 everybody answers DONT_HAVE: pairs at once, and the same pauses between them", () => {
    const { scene } = setting()
    scene.recv(12)
    scene.recv(10)
    scene.connect(1)
    scene.connect(2)
    scene.answer = () => true
    scene.fetch(0, envelope(0))
    while (scene.asks.length < 200) scene.pass(1500)
    for (let k = 0; k < 100; k++) {
      const [first, second] = [scene.asks[2 * k]!, scene.asks[2 * k + 1]!]
      assert.notStrictEqual(first.peer, second.peer)
      assert.isBelow(second.at - first.at, 200)
      if (k > 0) assert.isAtLeast(first.at - scene.asks[2 * k - 1]!.at, 1500 * Math.min(10, k - 1))
      if (k > 0) assert.strictEqual(first.at - scene.asks[2 * k - 1]!.at, 1500 * Math.min(10, k))
    }
  })

  it("ITF-010 FET-04 Q5 what nobody asked for is ignored and not kept, and displaces nothing", () => {
    const { scene } = setting()
    for (let n = 100; n < 1000; n++) scene.recv(n)
    scene.recv(0)
    assert.deepStrictEqual(scene.received, [])
    assert.strictEqual(scene.table.unsolicited, 901)
    assert.strictEqual(scene.table.size, 2)
    assert.deepStrictEqual(scene.waiting(...items), [[], [10], [12, 12], []])
    scene.recv(12)
    scene.recv(12)
    assert.deepStrictEqual(scene.received, [12, 12], "the second time nobody waits")
    assert.strictEqual(scene.table.unsolicited, 902)
  })
})

describe("next peer strategy", () => {
  const asked = () => {
    const scene = new Scene()
    const one = scene.connect(1)
    const waiting = envelope(100)
    scene.fetch(100, waiting)
    assert.strictEqual(scene.asks.length, 1)
    const tracker = scene.table.tracker(hash(100))!
    const next = () => {
      scene.now += 1500
      const peer = tracker.tryNextPeer(scene.now)
      if (peer !== undefined) scene.asks.push({ at: scene.now, peer, hash: 100 })
      return peer
    }
    return { scene, one, waiting, tracker, next }
  }

  it("ITF-011 doesn't try the same peer", () => {
    const { next, scene, tracker } = asked()
    assert.isUndefined(next())
    assert.isUndefined(tracker.lastAskedPeer)
    assert.strictEqual(scene.asks.length, 1)
  })

  it("ITF-012 tries the new peer, then nobody, then somebody again", () => {
    const { next, scene, tracker } = asked()
    const two = scene.connect(2)
    assert.strictEqual(next(), two)
    assert.isUndefined(next())
    assert.deepStrictEqual([scene.asks.length, tracker.lastAskedPeer], [2, undefined])
    assert.isDefined(next())
    assert.strictEqual(scene.asks.length, 3)
  })

  it("ITF-013 asks a peer again that told us since that it knows, then the other, then nobody", () => {
    const { next, one, scene, waiting } = asked()
    const two = scene.connect(2)
    scene.gate.addRecord(waiting.key!, one.id, 1, 0)
    assert.strictEqual(next(), one)
    assert.strictEqual(next(), two)
    assert.isUndefined(next())
    assert.strictEqual(scene.asks.length, 3)
  })
})

describe("where core does nothing or too much", () => {
  it("FET-01 what is fetched again after it arrived is asked for at once", () => {
    const scene = new Scene()
    scene.connect(1)
    scene.fetch(0, envelope(0))
    scene.recv(0)
    scene.now = 100
    scene.fetch(0, envelope(1))
    assert.deepStrictEqual(scene.asks.map(({ at }) => at), [0, 100])
    assert.strictEqual(scene.table.recv(hash(0), 150)?.durationMillis, 50)
  })

  it("FET-01 what is fetched again after it was stopped is asked of the next peer at once", () => {
    const scene = new Scene()
    const [near, far] = [scene.connect(1, 10), scene.connect(2, 900)]
    const first = envelope(0)
    scene.fetch(0, first)
    scene.table.stopFetch(hash(0), first)
    scene.now = 100
    scene.fetch(0, envelope(1))
    assert.deepStrictEqual(scene.asks.map(({ peer }) => peer), [near, far])
  })

  it("Q4 fetching and stopping in turns does not get around the pause after a round", () => {
    const scene = new Scene()
    for (let n = 0; n < 5; n++) scene.connect(n)
    for (let i = 0; i < 1000; i++) {
      const one = envelope(i)
      scene.fetch(0, one)
      scene.pass(1)
      scene.table.stopFetch(hash(0), one)
    }
    assert.strictEqual(scene.asks.length, 5, "each peer once: the first pause lasts until 1505 ms")
    scene.fetch(0, envelope(0))
    scene.pass(600)
    assert.strictEqual(scene.asks.length, 6)
    assert.strictEqual(scene.asks[5]!.at, 1505)
  })

  it("Q4 FET-03 a DONT_HAVE after the item arrived, or after the last listener left, asks nobody", () => {
    const scene = new Scene()
    const one = scene.connect(1, 10)
    scene.connect(2, 900)
    scene.fetch(0, envelope(0))
    scene.recv(0)
    scene.doesntHave(0, one)
    const again = envelope(1)
    scene.fetch(5, again)
    scene.table.stopFetch(hash(5), again)
    scene.doesntHave(5, one)
    assert.strictEqual(scene.asks.length, 2)
    assert.isUndefined(scene.table.nextDeadline)
  })
})

describe("attacks", () => {
  it("Q4 in a storm of DONT_HAVE from all, asked or not, each peer is asked once a round and timers rest", () => {
    const scene = new Scene()
    for (let n = 0; n < 20; n++) scene.connect(n)
    scene.answer = () => true
    scene.fetch(0, envelope(0))
    let ticks = 0
    for (let now = 0; now < 600_000; now += 100) {
      for (const peer of scene.peers) scene.doesntHave(0, peer)
      for (const peer of scene.peers) scene.doesntHave(77, peer)
      ticks += scene.pass(100)
    }
    // Rounds begin at 0, 1.5, 4.5, 9, …: the pause after the k-th is 1.5 s × min(10, k). In ten minutes there are 45.
    assert.strictEqual(scene.asks.length, 45 * 20)
    assert.strictEqual(ticks, 44)
    for (let round = 0; round < 45; round++) {
      const asked = scene.asks.slice(20 * round, 20 * (round + 1))
      assert.strictEqual(new Set(asked.map(({ peer }) => peer)).size, 20)
      assert.strictEqual(new Set(asked.map(({ at }) => at)).size, 1)
    }
    assert.strictEqual(scene.table.nextPeer, scene.asks.length)
  })

  it("Q4 without any peer a tracker waits, longer each time", () => {
    const scene = new Scene()
    scene.fetch(0, envelope(0))
    assert.isAtMost(scene.pass(600_000), 50)
    assert.strictEqual(scene.asks.length, 0)
  })

  it("FET-08 Q7 the default bounds: 512 items, 1000 envelopes each, 10,000 in all, one hour", () => {
    assert.deepStrictEqual(defaults, {
      maxTrackers: 512,
      maxWaitingPerTracker: 1000,
      maxWaiting: 10_000,
      giveUpMillis: 3_600_000
    })
  })

  it("FET-08 Q7 of 100,000 bogus items 512 are looked for, and one that many wait for is not pushed out", () => {
    const scene = new Scene()
    scene.connect(1)
    for (let i = 0; i < 3; i++) scene.fetch(0, envelope(i))
    for (let n = 1; n <= 100_000; n++) {
      scene.take(scene.table.fetch(hash(n), envelope(-n), n))
      assert.isAtMost(scene.table.size, 512)
      assert.isAtMost(scene.table.waiting, 514)
    }
    assert.deepStrictEqual(scene.waiting(0), [[0, 1, 2]])
    assert.strictEqual(scene.dropped.length, 100_000 - 511)
    assert.isTrue(scene.dropped.every((n) => n < 0))
    assert.strictEqual(scene.table.evicted, scene.dropped.length)
    assert.deepStrictEqual(scene.waiting(100_000), [[-100_000]], "the newest is looked for")
  })

  it("FET-08 an item that is not wanted any more makes room before one that is", () => {
    const scene = new Scene({ maxTrackers: 3 })
    for (const n of [1, 2, 3]) scene.fetch(n, envelope(n))
    scene.recv(2)
    scene.fetch(4, envelope(4))
    assert.deepStrictEqual(scene.waiting(1, 2, 3, 4), [[1], [], [3], [4]])
    assert.deepStrictEqual([scene.table.size, scene.table.evicted, scene.dropped.length], [3, 0, 0])
  })

  it("FET-08 too many envelopes: of one item its oldest leave, of all items the oldest of the longest", () => {
    const scene = new Scene({ maxWaitingPerTracker: 5, maxWaiting: 8 })
    for (let n = 0; n < 7; n++) scene.fetch(0, envelope(n))
    assert.deepStrictEqual(scene.waiting(0), [[2, 3, 4, 5, 6]])
    assert.deepStrictEqual(scene.dropped, [0, 1])
    for (let n = 10; n < 14; n++) scene.fetch(1, envelope(n))
    assert.deepStrictEqual(scene.waiting(0, 1), [[3, 4, 5, 6], [10, 11, 12, 13]])
    assert.deepStrictEqual([scene.table.waiting, scene.table.dropped], [8, 3])
    assert.deepStrictEqual(scene.dropped, [0, 1, 2])
  })

  it("Q7 an item that nobody has is given up after an hour, and its memory freed", () => {
    const scene = new Scene()
    scene.connect(1)
    for (let n = 0; n < 3; n++) scene.fetch(0, envelope(n))
    scene.pass(3_590_000)
    assert.strictEqual(scene.table.size, 1)
    scene.pass(30_000) // the next try is at most 15 s away
    assert.deepStrictEqual([scene.table.size, scene.table.waiting, scene.table.gaveUp], [0, 0, 1])
    assert.deepStrictEqual(scene.dropped, [0, 1, 2])
    assert.isUndefined(scene.table.nextDeadline)
    const asks = scene.asks.length
    scene.fetch(0, envelope(0))
    assert.strictEqual(scene.asks.length, asks + 1, "it may be looked for again")
  })

  it("FET-08 connections that are gone are not kept", () => {
    const scene = new Scene()
    const one = scene.connect(1)
    scene.fetch(0, envelope(0))
    scene.peers = []
    scene.table.forgetPeer(one)
    assert.isUndefined(scene.table.tracker(hash(0))!.lastAskedPeer)
    scene.doesntHave(0, one)
    assert.strictEqual(scene.asks.length, 1)
  })
})

describe("slots", () => {
  it("FET-02 envelopes out of range leave, the slot to keep and those without a slot stay, empty trackers go", () => {
    const scene = new Scene()
    const forever: Envelope = { n: 99, slot: undefined, key: undefined }
    scene.fetch(1, envelope(1, 5))
    scene.fetch(1, envelope(2, 9))
    scene.fetch(2, envelope(3, 4))
    scene.fetch(3, envelope(4, 64))
    scene.fetch(4, forever)
    scene.fetch(4, envelope(5, 200))
    const removed = scene.table.stopFetchingOutsideRange(8, 100, 4)
    assert.deepStrictEqual(removed.map(({ n }) => n).sort(), [1, 5])
    assert.deepStrictEqual(scene.waiting(1, 2, 3, 4), [[2], [3], [4], [99]])
    assert.strictEqual(scene.table.waiting, 4)
    scene.table.stopFetchingOutsideRange(300, 400, 0)
    assert.deepStrictEqual([scene.table.size, scene.table.waiting], [1, 1])
    assert.isTrue(scene.table.isWanted(hash(4)))
    scene.table.shutdown()
    assert.deepStrictEqual([scene.table.size, scene.table.waiting, scene.table.nextDeadline], [0, 0, undefined])
  })

  it("FET-05 the last-seen slot is the highest of the envelopes added, until the item arrives", () => {
    const scene = new Scene()
    for (const slot of [7, 30, 12]) scene.fetch(0, envelope(slot, slot))
    assert.strictEqual(scene.table.getLastSeenSlotIndex(hash(0)), 30)
    scene.recv(0)
    assert.strictEqual(scene.table.getLastSeenSlotIndex(hash(0)), 0)
  })
})

describe("properties", () => {
  for (const seed of [1, 2, 3]) {
    it(`FET-01 FET-04 FET-08 Q4 every envelope is handed over, stopped, out of range or dropped, once (seed ${seed})`, () => {
      const draw = generator(seed)
      const scene = new Scene({ maxTrackers: 20, maxWaitingPerTracker: 8, maxWaiting: 60 }, seed)
      scene.answer = () => draw() < 0.3
      const waiting = new Map<Envelope, number>()
      const leave = (envelopes: Iterable<Envelope>) => {
        for (const one of envelopes) assert.isTrue(waiting.delete(one), `${one.n} left twice`)
      }
      for (let step = 0; step < 20_000; step++) {
        const item = below(draw, 40)
        const action = draw()
        if (action < 0.35) {
          const one = envelope(step, 1 + Math.floor(step / 100) + below(draw, 5))
          waiting.set(one, item)
          if (draw() < 0.5 && scene.peers.length > 0) {
            scene.gate.addRecord(one.key!, scene.peers[below(draw, scene.peers.length)]!.id, 1, scene.now)
          }
          const found = scene.table.fetch(hash(item), one, scene.now)
          leave(found.dropped)
          for (const request of found.requests) scene.ask(request)
        } else if (action < 0.45) {
          leave(scene.table.recv(hash(item), scene.now)?.envelopes ?? [])
        } else if (action < 0.55) {
          const [one] = scene.table.fetchingFor(hash(item))
          if (one !== undefined) {
            scene.table.stopFetch(hash(item), one)
            leave([one])
          }
        } else if (action < 0.6) {
          const slot = 1 + Math.floor(step / 100)
          leave(scene.table.stopFetchingOutsideRange(slot - 1, slot + 3, slot - 20))
        } else if (action < 0.8) {
          if (scene.peers.length > 0) scene.doesntHave(item, scene.peers[below(draw, scene.peers.length)]!)
        } else if (action < 0.85) {
          if (scene.peers.length < 6) scene.connect(below(draw, 1000), draw() < 0.5 ? below(draw, 1500) : undefined)
          else scene.table.forgetPeer(scene.peers.shift()!)
        } else {
          scene.now += below(draw, 2000)
          const found = scene.table.tick(scene.now)
          leave(found.dropped)
          for (const request of found.requests) scene.ask(request)
        }
        assert.strictEqual(scene.table.waiting, waiting.size)
        assert.isAtMost(scene.table.size, 20)
        assert.isAtMost(waiting.size, 60)
        const next = scene.table.nextDeadline
        if (waiting.size === 0) assert.isUndefined(next, "a timer runs for nobody")
        else assert.isDefined(next, "nobody is going to be asked")
      }
      for (const [one, item] of waiting) assert.isTrue(scene.table.fetchingFor(hash(item)).includes(one))
      assert.isAbove(scene.asks.length, 1000)
    })
  }
})
