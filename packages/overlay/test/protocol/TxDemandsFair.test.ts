/** Peers that advertise transactions and do not deliver them, against the fair policy. */
import { assert, describe, it } from "@effect/vitest"
import { toHex } from "../../src/internal/bytes.ts"
import { type DemandPeer, fairOrder, rank } from "../../src/protocol/DemandOrder.ts"
import { Demander, type Sent, type TestPeer } from "./demandFixtures.ts"
import { below, generator, hash, hashes } from "./floodFixtures.ts"

type Facts = Pick<DemandPeer, "outbound" | "group">

/** A node whose peers but the last few withhold; the honest deliver 100 ms after a demand. */
class Scene {
  readonly node: Demander
  readonly sybils: ReadonlyArray<TestPeer>
  readonly honest: ReadonlyArray<TestPeer>
  readonly #due: Array<{ readonly at: number; readonly n: number; readonly from: TestPeer }> = []
  readonly receivedAt = new Map<number, number>()

  constructor(
    seed: number,
    sybils: ReadonlyArray<Facts>,
    honest: ReadonlyArray<Facts>,
    policy: "core" | "fair" = "fair"
  ) {
    this.node = new Demander({ seed, policy })
    this.sybils = sybils.flatMap((facts) => this.node.addPeers(1, facts))
    this.honest = honest.flatMap((facts) => this.node.addPeers(1, facts))
  }

  /** One period. */
  step(): Array<Sent> {
    this.node.now += 200
    for (const { at, from, n } of this.#due.filter(({ at }) => at <= this.node.now)) {
      if (this.receivedAt.has(n)) continue
      this.receivedAt.set(n, at)
      this.node.known.set(toHex(hash(n)), "known")
      this.node.demands.recvTransaction(hash(n), from.id, at)
    }
    const sent = this.node.run()
    for (const { hashes, peer } of sent) {
      const from = this.honest.find(({ n }) => n === peer)
      if (from !== undefined) { for (const n of hashes) this.#due.push({ at: this.node.now + 100, n, from }) }
    }
    return sent
  }
}

const repeat = <A>(count: number, make: (i: number) => A): Array<A> => Array.from({ length: count }, (_, i) => make(i))

const settings: ReadonlyArray<readonly [name: string, sybils: ReadonlyArray<Facts>, honest: Facts]> = [
  ["inbound, of one subnet", repeat(8, () => ({ outbound: false, group: "20.0" })), { outbound: false, group: "30.0" }],
  ["inbound, of eight subnets", repeat(8, (i) => ({ outbound: false, group: `20.${i}` })), {
    outbound: true,
    group: "30.0"
  }],
  ["inbound as the honest one, of nine subnets", repeat(8, (i) => ({ outbound: false, group: `20.${i}` })), {
    outbound: false,
    group: "30.0"
  }],
  ["outbound where the honest one is inbound", repeat(8, (i) => ({ outbound: true, group: `20.${i}` })), {
    outbound: false,
    group: "30.0"
  }],
  ["all of the honest one's subnet", repeat(8, () => ({ outbound: true, group: "20.0" })), {
    outbound: true,
    group: "20.0"
  }],
  ["of no known subnet", repeat(8, () => ({})), {}]
]

describe("fair policy", () => {
  for (const [name, sybils, honest] of settings) {
    it(`A3 eight withholders ${name}: every transaction within 3 s of the honest advert`, () => {
      for (let seed = 1; seed <= 8; seed++) {
        for (const delay of [0, 400, 1600, 10_000]) {
          const scene = new Scene(seed, sybils, [honest])
          const all = hashes(0, 20)
          for (const peer of scene.sybils) scene.node.advertise(peer, all)
          for (let waited = 0; waited < delay; waited += 200) scene.step()
          scene.node.advertise(scene.honest[0]!, all)
          const from = scene.node.now
          for (let i = 0; i < 16; i++) scene.step()
          for (let n = 0; n < 20; n++) {
            assert.isAtMost(
              (scene.receivedAt.get(n) ?? Infinity) - from,
              3000,
              `seed ${seed}, honest ${delay} ms later`
            )
          }
        }
      }
    })
  }

  it("A3 with any number of advertisers up to 15, half of them withholding, within 3 s of the first honest advert", () => {
    for (let seed = 1; seed <= 100; seed++) {
      const draw = generator(seed)
      const facts = () => ({ outbound: draw() < 0.3, group: `g${below(draw, 20)}` })
      const half = 1 + below(draw, 7)
      const scene = new Scene(seed, repeat(half, facts), repeat(half, facts))
      for (const peer of scene.sybils) scene.node.advertise(peer, [hash(1)])
      for (let i = below(draw, 20); i > 0; i--) scene.step()
      for (const peer of scene.honest) scene.node.advertise(peer, [hash(1)])
      const from = scene.node.now
      for (let i = 0; i < 16; i++) scene.step()
      assert.isAtMost((scene.receivedAt.get(1) ?? Infinity) - from, 3000, `seed ${seed}`)
    }
  })

  it("A3 who left three demands in a row unanswered is asked after all others, until it answers", () => {
    const scene = new Scene(1, repeat(8, (i) => ({ outbound: true, group: `20.${i}` })), [{
      outbound: false,
      group: "30.0"
    }])
    const asked = (tx: number): number => {
      for (const peer of scene.node.peers) scene.node.advertise(peer, [hash(tx)])
      let count = 0
      for (let i = 0; i < 20; i++) {
        for (const { hashes, peer } of scene.step()) if (hashes.includes(tx) && peer < 8) count++
      }
      assert.isTrue(scene.receivedAt.has(tx))
      return count
    }
    const counts = repeat(40, (tx) => asked(tx))
    assert.isAbove(counts[0]!, 0)
    assert.deepStrictEqual(counts.slice(20), repeat(20, () => 0), "by then all eight are known")
    const reformed = scene.sybils[0]!
    scene.node.advertise(reformed, [hash(1000)])
    scene.step()
    scene.node.demands.recvTransaction(hash(1000), reformed.id, scene.node.now)
    let again = 0
    for (let tx = 2000; tx < 2010; tx++) again += asked(tx)
    assert.isAbove(again, 0, "it answered, so it is asked again")
  })

  it("A3 where everybody delivers each transaction is demanded once, and outbound peers are not the only ones asked", () => {
    const scene = new Scene(3, [], repeat(10, (i) => ({ outbound: i < 4, group: `g${i}` })))
    for (let batch = 0; batch < 20; batch++) {
      for (const peer of scene.honest) scene.node.advertise(peer, hashes(50 * batch, 50))
      for (let i = 0; i < 5; i++) scene.step()
    }
    assert.strictEqual(scene.receivedAt.size, 1000)
    assert.strictEqual(scene.node.demands.demanded, 1000)
    for (const peer of scene.honest) assert.isAbove(scene.node.count(peer), 50)
  })

  const crowds: ReadonlyArray<readonly [name: string, sybils: ReadonlyArray<Facts>]> = [
    ["inbound withholders of twenty subnets", repeat(20, (i) => ({ outbound: false, group: `20.${i}` }))],
    ["outbound withholders of one subnet", repeat(20, () => ({ outbound: true, group: "20.0" }))]
  ]
  for (const [name, sybils] of crowds) {
    it(`A3 twenty ${name} leave attempts for an honest outbound peer`, () => {
      const scene = new Scene(1, sybils, [{ outbound: true, group: "30.0" }])
      for (const peer of scene.sybils) scene.node.advertise(peer, [hash(1)])
      for (let i = 0; i < 50; i++) scene.step()
      assert.strictEqual(scene.node.demands.demanded, 11)
      scene.node.advertise(scene.honest[0]!, [hash(1)])
      for (let i = 0; i < 4; i++) scene.step()
      assert.isTrue(scene.receivedAt.has(1))
    })
  }

  it("A3 subnets take turns for each transaction: of two with three withholders each both are asked equally", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const scene = new Scene(seed, repeat(6, (i) => ({ outbound: true, group: `20.${i % 2}` })), [])
      for (const peer of scene.sybils) scene.node.advertise(peer, [hash(1)])
      const asked: Array<number> = []
      for (let i = 0; i < 8; i++) asked.push(...scene.step().map(({ peer }) => peer % 2))
      assert.deepStrictEqual(asked.slice(0, 2).toSorted(), [0, 1], "at first and after 600 ms")
      assert.deepStrictEqual(asked.slice(2, 4).toSorted(), [0, 1], "both after 1200 ms")
      assert.strictEqual(asked.length, 4)
    }
  })

  it("A3 the default is core's order: random, whatever is known of peers", () => {
    const first = new Map<number, number>()
    for (let seed = 0; seed < 600; seed++) {
      const scene = new Scene(
        seed,
        [{ outbound: true, group: "a" }, { outbound: false, group: "b" }],
        [{ group: "b" }],
        "core"
      )
      for (const peer of scene.node.peers) scene.node.advertise(peer, [hash(1)])
      const [sent] = scene.step()
      first.set(sent!.peer, (first.get(sent!.peer) ?? 0) + 1)
    }
    for (const count of first.values()) assert.approximately(count, 200, 60)
  })

  it("A3 the order is: no suspects, outbound, subnets in turns, and chance", () => {
    const node = new Demander()
    const [a, b, c] = node.addPeers(3, { outbound: false, group: "x" })
    const [d] = node.addPeers(1, { outbound: false, group: "y" })
    const [e, f] = node.addPeers(2, { outbound: true, group: "x" })
    const suspects = new Set<TestPeer | undefined>([e, c])
    const orders = new Set<string>()
    for (let seed = 0; seed < 200; seed++) {
      const order = fairOrder(node.peers, (peer) => rank(peer, suspects.has(peer) ? 3 : 2), generator(seed)).map((
        { n }
      ) => n)
      orders.add(order.join())
      assert.strictEqual(order[0], f!.n)
      assert.isTrue(order.slice(1, 3).includes(d!.n), "the other subnet has its turn before the second of x")
      assert.isTrue([a!.n, b!.n].includes(order[3]!))
      assert.deepStrictEqual(order.slice(4), [e!.n, c!.n])
    }
    assert.strictEqual(orders.size, 4)
  })
})
