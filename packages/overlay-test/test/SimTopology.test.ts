/** The shapes of networks: degrees, connectivity, and equal draws for equal seeds. */
import { assert, describe, it } from "@effect/vitest"
import { SeededRandom } from "../src/internal/seededRandom.ts"
import * as SimTopology from "../src/SimTopology.ts"

const { components, neighbours } = SimTopology
const draws = (seed: number) => new SeededRandom(`topology ${seed}`)
const sizes = [1, 2, 3, 4, 5, 7, 12, 23, 50]

const shapes: Readonly<Record<string, (n: number, seed: number) => SimTopology.Topology>> = {
  line: (n) => SimTopology.line(n),
  ring: (n) => SimTopology.ring(n),
  star: (n) => SimTopology.star(n),
  coreMesh: (n) => SimTopology.coreMesh(n),
  hierarchical: (n, seed) => SimTopology.hierarchical(n, draws(seed)),
  separate: (n) => SimTopology.separate(n),
  asymmetric: (n) => SimTopology.asymmetric(n),
  random: (n, seed) => SimTopology.random(n, draws(seed)),
  publicLike: (n, seed) => SimTopology.publicLike(n, draws(seed))
}

const degrees = (topology: SimTopology.Topology) =>
  topology.nodes.map(({ index }) => neighbours(topology, index).length).sort((a, b) => a - b)

describe("SimTopology", () => {
  for (const [name, make] of Object.entries(shapes)) {
    it(`SIM-04 ${name}: no loops, no double edges, the same for the same seed, and connected unless it is separate`, () => {
      for (const n of sizes) {
        for (let seed = 0; seed < 10; seed++) {
          const topology = make(n, seed)
          assert.strictEqual(topology.name, name)
          assert.deepStrictEqual(topology.nodes.map(({ index }) => index), Array.from({ length: n }, (_, i) => i))
          const pairs = topology.edges.map(([a, b]) => `${Math.min(a, b)} ${Math.max(a, b)}`)
          assert.strictEqual(new Set(pairs).size, pairs.length)
          for (const [a, b] of topology.edges) {
            assert.notStrictEqual(a, b)
            assert.isTrue(a >= 0 && a < n && b >= 0 && b < n)
          }
          const parts = components(topology)
          assert.strictEqual(parts.length, name === "separate" ? Math.min(2, n) : 1, `${n} nodes, seed ${seed}`)
          assert.strictEqual(parts.reduce((sum, part) => sum + part.length, 0), n)
          assert.deepStrictEqual(make(n, seed), topology)
        }
      }
    })
  }

  it("SIM-04 degrees: line, ring, star, mesh, asymmetric", () => {
    assert.deepStrictEqual(degrees(SimTopology.line(5)), [1, 1, 2, 2, 2])
    assert.deepStrictEqual(degrees(SimTopology.ring(5)), [2, 2, 2, 2, 2])
    assert.deepStrictEqual(degrees(SimTopology.star(5)), [1, 1, 1, 1, 4])
    assert.deepStrictEqual(degrees(SimTopology.coreMesh(5)), [4, 4, 4, 4, 4])
    assert.deepStrictEqual(degrees(SimTopology.asymmetric(5)), [1, 3, 3, 3, 4])
    assert.strictEqual(SimTopology.coreMesh(10).edges.length, 45)
  })

  it("SIM-04 separate parts are meshes of nearly the same size", () => {
    const parts = components(SimTopology.separate(11, 3)).map((part) => part.length)
    assert.deepStrictEqual([...parts].sort(), [3, 4, 4])
  })

  it("SIM-04 hierarchical: outer nodes dial two of the core, which is a mesh; random: three before them", () => {
    for (let seed = 0; seed < 20; seed++) {
      const tree = SimTopology.hierarchical(15, draws(seed))
      const core = tree.nodes.filter(({ role }) => role === "tier1").map(({ index }) => index)
      assert.deepStrictEqual(core, [0, 1, 2, 3, 4])
      for (const { index, role } of tree.nodes) {
        const dialled = tree.edges.filter(([from]) => from === index).map(([, to]) => to)
        if (role === "tier1") assert.isTrue(core.every((c) => c === index || neighbours(tree, index).includes(c)))
        else assert.isTrue(dialled.length === 2 && dialled.every((to) => core.includes(to)))
      }
      const some = SimTopology.random(40, draws(seed))
      for (let i = 0; i < 40; i++) {
        const dialled = some.edges.filter(([from]) => from === i)
        assert.strictEqual(dialled.length, Math.min(3, i))
        for (const [, to] of dialled) assert.isBelow(to, i)
      }
    }
  })

  it("SIM-04 publicLike: tiers of three, limits of degree kept, watchers in the majority and mostly among themselves", () => {
    for (let seed = 0; seed < 10; seed++) {
      const topology = SimTopology.publicLike(200, draws(seed))
      const out = new Array<number>(200).fill(0)
      const taken = new Array<number>(200).fill(0)
      for (const [a, b] of topology.edges) {
        out[a]!++
        taken[b]!++
      }
      assert.isAtMost(Math.max(...out), 8)
      assert.isAtMost(Math.max(...taken), 64)
      const of = (role: SimTopology.NodeRole) => topology.nodes.filter((node) => node.role === role)
      assert.strictEqual(of("tier1").length, 21)
      for (let org = 0; org < 7; org++) {
        assert.strictEqual(of("tier1").filter(({ group }) => group === org).length, 3)
      }
      assert.isAbove(of("watcher").length, 100)
      const isInner = (index: number) => index < 21
      const inner = topology.edges.filter(([a, b]) => isInner(a) && isInner(b)).length
      assert.isAtLeast(inner, 21 * 8 - 21, "tier 1 is as much of a mesh as 8 dials each allow")
      const among = topology.edges.filter(([a, b]) => !isInner(a) && !isInner(b)).length
      const inward = topology.edges.filter(([a, b]) => !isInner(a) && isInner(b)).length
      assert.isAbove(among, inward)
      for (let i = 21; i < 200; i++) assert.isTrue(topology.edges.some(([a, b]) => a === i && b < i))
    }
  })
})
