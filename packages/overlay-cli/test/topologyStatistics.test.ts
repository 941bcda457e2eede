import { assert, describe, it } from "@effect/vitest"
import { components, distances, type Graph } from "../src/topology/Graph.ts"
import { paths } from "../src/topology/paths.ts"
import { analyze, spread } from "../src/topology/statistics.ts"
import { coreNumbers, cuts, resilience, strongComponentSizes } from "../src/topology/structure.ts"
import { graph, karate, type Pairs, random, randomPairs, topologyOf } from "./topologySupport.ts"

const complete = (size: number): Pairs =>
  Array.from({ length: size }, (_, i) => Array.from({ length: i }, (_, j) => [j, i] as const)).flat()
const line = (size: number): Pairs => Array.from({ length: size - 1 }, (_, i) => [i, i + 1] as const)
const star = (size: number): Pairs => Array.from({ length: size - 1 }, (_, i) => [0, i + 1] as const)

/** Two triangles joined by one edge, a node at the end of it, and one alone. */
const barbell: Pairs = [[0, 1], [1, 2], [2, 0], [2, 3], [3, 4], [4, 5], [5, 3], [5, 6]]

const close = (actual: number, expected: number) => assert.closeTo(actual, expected, 1e-9)

const neighboursOf = (
  { neighbours, offsets }: Graph,
  node: number
) => Array.from(neighbours.subarray(offsets[node], offsets[node + 1]))

describe("statistics of graphs worked out by hand", () => {
  it("a line of four", () => {
    const { each, total } = analyze(topologyOf(4, line(4)))
    assert.deepInclude(total, {
      nodes: 4,
      edges: 3,
      links: 3,
      density: 0.5,
      reciprocity: 0,
      components: 1,
      strongComponents: 4,
      diameter: 3,
      articulationPoints: 2,
      bridges: 3,
      maxCore: 1,
      maxCoreSize: 4,
      averageClustering: 0,
      transitivity: 0
    })
    close(total.averagePathLength, 10 / 6) // 1+2+3 + 1+2 + 1 over six pairs
    assert.deepStrictEqual(total.degreeDistribution, [[1, 2], [2, 2]])
    // Of the three pairs of others: the inner nodes are between two each.
    assert.deepStrictEqual([...each.betweenness].map((value) => Number(value.toFixed(9))), [
      0,
      0.666666667,
      0.666666667,
      0
    ])
    assert.deepStrictEqual([[...each.inbound], [...each.outbound]], [[0, 1, 1, 1], [1, 1, 1, 0]])
    close(total.degreeAssortativity!, -0.5)
  })

  it("a star, and what is left without its hub", () => {
    const { each, total } = analyze(topologyOf(6, star(6)))
    assert.deepInclude(total, { diameter: 2, articulationPoints: 1, bridges: 5, maxCore: 1, degreeAssortativity: -1 })
    close(total.averagePathLength, (5 + 10 * 2) / 15)
    close(each.betweenness[0]!, 1)
    assert.deepStrictEqual(resilience(graph(6, star(6)), [1, 3, 6]), [
      { removed: 1, largest: 1, share: 0.2 },
      { removed: 3, largest: 1, share: 1 / 3 }
    ])
  })

  it("a clique: everything is near, and nothing is a correlation", () => {
    const { each, total } = analyze(topologyOf(5, complete(5)))
    assert.deepInclude(total, {
      density: 1,
      diameter: 1,
      averagePathLength: 1,
      averageClustering: 1,
      transitivity: 1,
      degreeAssortativity: undefined,
      articulationPoints: 0,
      bridges: 0,
      maxCore: 4,
      maxCoreSize: 5
    })
    assert.deepStrictEqual([...each.betweenness], [0, 0, 0, 0, 0])
  })

  it("two triangles with a bridge, a leaf and a node alone", () => {
    const { total } = analyze(topologyOf(8, barbell))
    assert.deepInclude(total, {
      components: 2,
      largestComponent: 7,
      isolated: 1,
      bridges: 2,
      articulationPoints: 3,
      diameter: 4
    })
    const found = cuts(graph(8, barbell))
    assert.deepStrictEqual(found.articulationPoints, [2, 3, 5])
    assert.deepStrictEqual(found.bridges, [[2, 3], [5, 6]])
    assert.deepStrictEqual([...coreNumbers(graph(8, barbell))], [2, 2, 2, 2, 2, 2, 1, 0])
    assert.deepStrictEqual(total.resilience.map(({ removed }) => removed), [1, 2, 3, 4, 5])
    // 0: neighbours 1, 2 are neighbours; 2 and 3: one of three pairs; 5: one of three.
    close(total.averageClustering, (1 + 1 + 1 / 3 + 1 / 3 + 1 + 1 / 3) / 8)
    close(total.transitivity, 6 / (1 + 1 + 3 + 3 + 1 + 3))
  })

  it("edges have directions: strong components and reciprocity", () => {
    const pairs: Pairs = [[0, 1], [1, 2], [2, 0], [2, 3], [3, 4], [4, 3], [5, 0]]
    const { total } = analyze(topologyOf(6, pairs))
    assert.deepInclude(total, { edges: 7, links: 6, strongComponents: 3, largestStrongComponent: 3, components: 1 })
    close(total.reciprocity, 2 / 7)
    assert.deepStrictEqual(strongComponentSizes(6, pairs.map(([from, to]) => ({ from, to, attributes: {} }))), [
      3,
      2,
      1
    ])
  })

  it("Zachary's karate club has the numbers of the literature", () => {
    const { each, total } = analyze(topologyOf(34, karate))
    assert.deepInclude(total, {
      links: 78,
      diameter: 5,
      maxCore: 4,
      maxCoreSize: 10,
      articulationPoints: 1,
      bridges: 1,
      components: 1
    })
    close(total.averagePathLength, 2.408199643493761)
    close(total.averageClustering, 0.5706384782076823)
    close(total.transitivity, 0.2556818181818182)
    close(total.degreeAssortativity!, -0.47561309768461413)
    close(each.betweenness[0]!, 0.43763528138528146)
    close(each.betweenness[33]!, 0.30407497594997596)
    close(each.betweenness[2]!, 0.14365680615680618)
  })

  it("nobody, and one alone", () => {
    assert.deepInclude(analyze(topologyOf(0, [])).total, {
      nodes: 0,
      components: 0,
      diameter: 0,
      averagePathLength: 0,
      density: 0
    })
    assert.deepInclude(analyze(topologyOf(1, [])).total, { nodes: 1, components: 1, isolated: 1, averageClustering: 0 })
  })

  it("spreads", () => {
    assert.deepStrictEqual(spread([3, 1, 2, 10]), { min: 1, median: 2.5, mean: 4, p90: 10, max: 10 })
    assert.deepStrictEqual(spread([]), { min: 0, median: 0, mean: 0, p90: 0, max: 0 })
  })
})

describe("statistics against slow ways to count the same", () => {
  const graphs = Array.from({ length: 60 }, (_, seed) => {
    const next = random(seed + 1)
    const size = 2 + Math.floor(next() * 14)
    return graph(size, randomPairs(size, Math.floor(next() * size * 2.5), next))
  })

  const without = (self: Graph, isGone: (a: number, b: number) => boolean): Graph => {
    const pairs: Array<readonly [number, number]> = []
    for (let a = 0; a < self.size; a++) {
      for (const b of neighboursOf(self, a)) if (a < b && !isGone(a, b)) pairs.push([a, b])
    }
    return graph(self.size, pairs)
  }
  const parts = (self: Graph) => components(self).sizes.length

  it("cut nodes and bridges are those whose removal makes more parts", () => {
    for (const self of graphs) {
      const { articulationPoints, bridges } = cuts(self)
      const isCut = (node: number) =>
        parts(without(self, (a, b) => a === node || b === node)) > parts(self) + 1 -
            (neighboursOf(self, node).length === 0 ? 1 : 0)
      assert.deepStrictEqual(articulationPoints, Array.from({ length: self.size }, (_, i) => i).filter(isCut))
      const all: Array<readonly [number, number]> = []
      for (let a = 0; a < self.size; a++) {
        for (const b of neighboursOf(self, a)) {
          if (a < b && parts(without(self, (x, y) => x === a && y === b)) > parts(self)) all.push([a, b])
        }
      }
      assert.deepStrictEqual(bridges, all)
    }
  })

  it("cores are what peeling leaves", () => {
    for (const self of graphs) {
      const expected = new Array<number>(self.size).fill(0)
      for (let k = 1; k < self.size; k++) {
        const left = new Set(expected.keys())
        for (let changed = true; changed;) {
          changed = false
          for (const node of left) {
            if (neighboursOf(self, node).filter((other) => left.has(other)).length >= k) continue
            left.delete(node)
            changed = true
          }
        }
        for (const node of left) expected[node] = k
      }
      assert.deepStrictEqual([...coreNumbers(self)], expected)
    }
  })

  it("ways and betweenness are those of counting every shortest way", () => {
    for (const self of graphs) {
      const { size } = self
      const hops = Array.from(
        { length: size },
        (_, i) => distances(self, i, new Int32Array(size), new Int32Array(size))
      )
      const ways = Array.from({ length: size }, () => new Array<number>(size).fill(0))
      for (let a = 0; a < size; a++) {
        ways[a]![a] = 1
        const order = [...hops[a]!.keys()].filter((b) => hops[a]![b]! > 0).sort((b, c) => hops[a]![b]! - hops[a]![c]!)
        for (const b of order) {
          for (const c of neighboursOf(self, b)) if (hops[a]![c] === hops[a]![b]! - 1) ways[a]![b]! += ways[a]![c]!
        }
      }
      const found = paths(self)
      let sum = 0
      let pairs = 0
      const between = new Array<number>(size).fill(0)
      for (let a = 0; a < size; a++) {
        for (let b = 0; b < size; b++) {
          if (a === b || hops[a]![b] === -1) continue
          sum += hops[a]![b]!
          pairs++
          for (let v = 0; v < size; v++) {
            if (v === a || v === b || hops[a]![v] === -1 || hops[a]![v]! + hops[v]![b]! !== hops[a]![b]) continue
            between[v]! += ways[a]![v]! * ways[v]![b]! / ways[a]![b]!
          }
        }
      }
      close(found.average, pairs === 0 ? 0 : sum / pairs)
      assert.strictEqual(found.diameter, Math.max(0, ...hops.flatMap((row) => [...row])))
      between.forEach((value, v) => close(found.betweenness[v]!, size > 2 ? value / ((size - 1) * (size - 2)) : 0))
    }
  })

  it("above the bound samples stand for all, and say so", () => {
    const size = 2400
    const { diameter, average, betweenness, isExact } = paths(graph(size, star(size)))
    assert.deepStrictEqual([isExact, diameter], [false, 2])
    assert.closeTo(average, 2, 0.01)
    assert.closeTo(betweenness[0]!, 1, 0.01)
  })
})
