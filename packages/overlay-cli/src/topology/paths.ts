/** Shortest ways: how far nodes are from each other, and how many of the ways lead through each. */
import { degree, type Graph } from "./Graph.ts"

/** Ways from every node are counted up to this many nodes; above, from so many of them as `SAMPLES`. */
export const MAX_EXACT = 2000

/** Nodes that ways are counted from in a larger graph: the best connected one and others at equal steps of degree. */
export const SAMPLES = 400

export interface Paths {
  /** The longest of the shortest ways; at least this long when not exact. */
  readonly diameter: number
  /** The mean length of the shortest ways between different nodes that have one; 0 when there are none. */
  readonly average: number
  /** By length: how many ordered pairs of nodes are so far apart, from the sources that were counted. */
  readonly lengths: ReadonlyArray<number>
  /**
   * The share of the shortest ways between two others that lead through a node (Brandes), 0 to 1; estimated from the
   * samples when not exact.
   */
  readonly betweenness: Float64Array
  /** Whether all nodes were sources. */
  readonly isExact: boolean
}

const sourcesOf = (graph: Graph): ReadonlyArray<number> => {
  const order = Array.from({ length: graph.size }, (_, node) => node)
  if (graph.size <= MAX_EXACT) return order
  order.sort((a, b) => degree(graph, b) - degree(graph, a) || a - b)
  return Array.from({ length: SAMPLES }, (_, i) => order[Math.floor((i * graph.size) / SAMPLES)]!)
}

/** One breadth-first walk per source, with Brandes' accumulation on the way back. */
export const paths = (graph: Graph): Paths => {
  const { neighbours, offsets, size } = graph
  const sources = sourcesOf(graph)
  const betweenness = new Float64Array(size)
  const distance = new Int32Array(size)
  const ways = new Float64Array(size)
  const dependency = new Float64Array(size)
  const queue = new Int32Array(size)
  const lengths: Array<number> = []
  let total = 0
  let pairs = 0
  for (const source of sources) {
    distance.fill(-1)
    ways.fill(0)
    dependency.fill(0)
    let tail = 0
    queue[tail++] = source
    distance[source] = 0
    ways[source] = 1
    for (let head = 0; head < tail; head++) {
      const node = queue[head]!
      const next = distance[node]! + 1
      for (let i = offsets[node]!; i < offsets[node + 1]!; i++) {
        const other = neighbours[i]!
        if (distance[other] === -1) {
          distance[other] = next
          queue[tail++] = other
          lengths[next] = (lengths[next] ?? 0) + 1
          total += next
          pairs++
        }
        if (distance[other] === next) ways[other]! += ways[node]!
      }
    }
    for (let i = tail - 1; i > 0; i--) {
      const node = queue[i]!
      const share = (1 + dependency[node]!) / ways[node]!
      for (let j = offsets[node]!; j < offsets[node + 1]!; j++) {
        const other = neighbours[j]!
        if (distance[other] === distance[node]! - 1) dependency[other]! += ways[other]! * share
      }
      betweenness[node]! += dependency[node]!
    }
  }
  // Every pair was counted from both of its ends; all ordered pairs without the node itself are (n - 1)(n - 2).
  const scale = size > 2 ? size / (sources.length * (size - 1) * (size - 2)) : 0
  return {
    diameter: Math.max(0, lengths.length - 1),
    average: pairs === 0 ? 0 : total / pairs,
    lengths: Array.from({ length: lengths.length }, (_, i) => lengths[i] ?? 0),
    betweenness: betweenness.map((value) => value * scale),
    isExact: sources.length === size
  }
}
