/** Everything that is counted about a topology. */
import { components, degree, edgeCount, fromTopology, type Graph } from "./Graph.ts"
import { paths } from "./paths.ts"
import { coreNumbers, cuts, type Loss, resilience, strongComponentSizes } from "./structure.ts"
import type { NodeState, Topology } from "./Topology.ts"

/** How the values of a list are spread. */
export interface Spread {
  readonly min: number
  readonly median: number
  readonly mean: number
  readonly p90: number
  readonly max: number
}

export interface Counted {
  readonly value: string
  readonly count: number
}

export interface Statistics {
  readonly nodes: number
  /** Directed edges. */
  readonly edges: number
  /** Pairs of nodes with an edge in one or both directions. */
  readonly links: number
  /** Links among all pairs. */
  readonly density: number
  /** The share of the edges that also lead back. */
  readonly reciprocity: number
  readonly degree: Spread
  readonly inbound: Spread
  readonly outbound: Spread
  /** How many nodes have so many neighbours, by degree. */
  readonly degreeDistribution: ReadonlyArray<readonly [degree: number, nodes: number]>
  readonly components: number
  readonly largestComponent: number
  readonly strongComponents: number
  readonly largestStrongComponent: number
  readonly isolated: number
  /** The longest of the shortest ways; a lower bound when `pathsAreExact` is false. */
  readonly diameter: number
  readonly averagePathLength: number
  readonly pathsAreExact: boolean
  /** The mean over all nodes of the share of their neighbours' pairs that are neighbours; 0 for fewer than two. */
  readonly averageClustering: number
  /** Triangles among all connected triples. */
  readonly transitivity: number
  /** The correlation of the degrees at both ends of a link; undefined when all degrees are equal. */
  readonly degreeAssortativity: number | undefined
  readonly articulationPoints: number
  readonly bridges: number
  /** The largest k for which there is a part where everybody has k neighbours, and how many are in it. */
  readonly maxCore: number
  readonly maxCoreSize: number
  readonly resilience: ReadonlyArray<Loss>
  readonly states: ReadonlyArray<readonly [state: NodeState, nodes: number]>
  readonly validators: number
  /** By count, the most frequent first. */
  readonly versions: ReadonlyArray<Counted>
}

/** What is counted of every node; the arrays are in the order of the nodes. */
export interface NodeStatistics {
  readonly degree: Int32Array
  readonly inbound: Int32Array
  readonly outbound: Int32Array
  readonly core: Int32Array
  readonly betweenness: Float64Array
  readonly clustering: Float64Array
  readonly isArticulationPoint: Uint8Array
}

export const spread = (values: ArrayLike<number>): Spread => {
  const sorted = Array.from(values).sort((a, b) => a - b)
  const n = sorted.length
  if (n === 0) return { min: 0, median: 0, mean: 0, p90: 0, max: 0 }
  const middle = Math.floor(n / 2)
  return {
    min: sorted[0]!,
    median: n % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2,
    mean: sorted.reduce((a, b) => a + b, 0) / n,
    p90: sorted[Math.min(n - 1, Math.ceil(n * 0.9) - 1)]!,
    max: sorted[n - 1]!
  }
}

/** Triangles at every node: pairs of its neighbours that are neighbours. */
const trianglesAt = ({ neighbours, offsets, size }: Graph): Float64Array => {
  const result = new Float64Array(size)
  const isNeighbour = new Uint8Array(size)
  for (let node = 0; node < size; node++) {
    for (let i = offsets[node]!; i < offsets[node + 1]!; i++) isNeighbour[neighbours[i]!] = 1
    let closed = 0
    for (let i = offsets[node]!; i < offsets[node + 1]!; i++) {
      const other = neighbours[i]!
      for (let j = offsets[other]!; j < offsets[other + 1]!; j++) closed += isNeighbour[neighbours[j]!]!
    }
    result[node] = closed / 2
    for (let i = offsets[node]!; i < offsets[node + 1]!; i++) isNeighbour[neighbours[i]!] = 0
  }
  return result
}

/** Pearson's correlation of the degrees at the ends of the links, each link in both directions (Newman). */
const assortativity = (graph: Graph): number | undefined => {
  const { neighbours, offsets, size } = graph
  let product = 0
  let sum = 0
  let squares = 0
  for (let node = 0; node < size; node++) {
    const d = degree(graph, node)
    for (let i = offsets[node]!; i < offsets[node + 1]!; i++) {
      product += d * degree(graph, neighbours[i]!)
      sum += d
      squares += d * d
    }
  }
  const n = neighbours.length
  const variance = squares * n - sum * sum
  return n === 0 || variance === 0 ? undefined : (product * n - sum * sum) / variance
}

/** Losses that are shown: absolute small numbers, and shares of the network. */
const lossesOf = (size: number): ReadonlyArray<number> => {
  const counts = [1, 3, 5, 10, 0.05 * size, 0.1 * size, 0.2 * size, 0.3 * size, 0.5 * size].map(Math.round)
  return [...new Set(counts)].filter((count) => count > 0).sort((a, b) => a - b)
}

const countValues = (values: Iterable<string>): ReadonlyArray<Counted> => {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
}

export interface Analysis {
  readonly graph: Graph
  readonly total: Statistics
  readonly each: NodeStatistics
}

export const analyze = (topology: Topology): Analysis => {
  const { edges, nodes } = topology
  const size = nodes.length
  const graph = fromTopology(topology)
  const links = edgeCount(graph)
  const degrees = Int32Array.from(nodes, (_, node) => degree(graph, node))
  const inbound = new Int32Array(size)
  const outbound = new Int32Array(size)
  const directed = new Set<number>()
  for (const { from, to } of edges) {
    outbound[from]!++
    inbound[to]!++
    directed.add(from * size + to)
  }
  const mutual = edges.filter(({ from, to }) => directed.has(to * size + from)).length
  const parts = components(graph)
  const strong = strongComponentSizes(size, edges)
  const ways = paths(graph)
  const core = coreNumbers(graph)
  const cut = cuts(graph)
  const triangles = trianglesAt(graph)
  const triples = degrees.reduce((sum, d) => sum + d * (d - 1) / 2, 0)
  const clustering = triangles.map((t, node) => {
    const d = degrees[node]!
    return d < 2 ? 0 : t / (d * (d - 1) / 2)
  })
  const maxCore = core.reduce((a, b) => Math.max(a, b), 0)
  const distribution = new Map<number, number>()
  for (const d of degrees) distribution.set(d, (distribution.get(d) ?? 0) + 1)
  const states = new Map<NodeState, number>()
  for (const { state } of nodes) states.set(state, (states.get(state) ?? 0) + 1)
  const isArticulationPoint = new Uint8Array(size)
  for (const node of cut.articulationPoints) isArticulationPoint[node] = 1
  return {
    graph,
    each: { degree: degrees, inbound, outbound, core, betweenness: ways.betweenness, clustering, isArticulationPoint },
    total: {
      nodes: size,
      edges: edges.length,
      links,
      density: size < 2 ? 0 : links / (size * (size - 1) / 2),
      reciprocity: edges.length === 0 ? 0 : mutual / edges.length,
      degree: spread(degrees),
      inbound: spread(inbound),
      outbound: spread(outbound),
      degreeDistribution: [...distribution].sort((a, b) => a[0] - b[0]),
      components: parts.sizes.length,
      largestComponent: parts.sizes[0] ?? 0,
      strongComponents: strong.length,
      largestStrongComponent: strong[0] ?? 0,
      isolated: distribution.get(0) ?? 0,
      diameter: ways.diameter,
      averagePathLength: ways.average,
      pathsAreExact: ways.isExact,
      averageClustering: size === 0 ? 0 : clustering.reduce((a, b) => a + b, 0) / size,
      transitivity: triples === 0 ? 0 : triangles.reduce((a, b) => a + b, 0) / triples,
      degreeAssortativity: assortativity(graph),
      articulationPoints: cut.articulationPoints.length,
      bridges: cut.bridges.length,
      maxCore,
      maxCoreSize: core.reduce((count, k) => count + (k === maxCore ? 1 : 0), 0),
      resilience: resilience(graph, lossesOf(size)),
      states: [...states].sort((a, b) => b[1] - a[1]),
      validators: nodes.filter(({ isValidator }) => isValidator === true).length,
      versions: countValues(nodes.flatMap(({ version }) => version === undefined ? [] : [version]))
    }
  }
}
