/**
 * The undirected, simple graph under a topology, as arrays: what layouts and statistics walk over.
 */
import type { Topology } from "./Topology.ts"

export interface Graph {
  /** How many nodes there are. */
  readonly size: number
  /** Where the neighbours of a node begin in `neighbours`; one more entry than nodes. */
  readonly offsets: Int32Array
  /** Neighbours of each node, ascending, each once, without the node itself. */
  readonly neighbours: Int32Array
}

/** From pairs of node indices; direction and repetition do not matter. */
export const fromPairs = (size: number, pairs: Iterable<readonly [from: number, to: number]>): Graph => {
  const sets = Array.from({ length: size }, () => new Set<number>())
  for (const [from, to] of pairs) {
    if (from === to) continue
    sets[from]!.add(to)
    sets[to]!.add(from)
  }
  const offsets = new Int32Array(size + 1)
  sets.forEach((set, i) => {
    offsets[i + 1] = offsets[i]! + set.size
  })
  const neighbours = new Int32Array(offsets[size]!)
  sets.forEach((set, i) => neighbours.set([...set].sort((a, b) => a - b), offsets[i]!))
  return { size, offsets, neighbours }
}

export const fromTopology = ({ edges, nodes }: Topology): Graph =>
  fromPairs(nodes.length, edges.map(({ from, to }) => [from, to] as const))

export const degree = ({ offsets }: Graph, node: number): number => offsets[node + 1]! - offsets[node]!

/** Undirected edges. */
export const edgeCount = ({ neighbours }: Graph): number => neighbours.length / 2

/** The component of every node, numbered by size, the largest first; equal ones by their first node. */
export const components = (graph: Graph): { readonly of: Int32Array; readonly sizes: ReadonlyArray<number> } => {
  const { neighbours, offsets, size } = graph
  const of = new Int32Array(size).fill(-1)
  const sizes: Array<number> = []
  const queue = new Int32Array(size)
  for (let start = 0; start < size; start++) {
    if (of[start] !== -1) continue
    const component = sizes.length
    let tail = 0
    queue[tail++] = start
    of[start] = component
    for (let head = 0; head < tail; head++) {
      const node = queue[head]!
      for (let i = offsets[node]!; i < offsets[node + 1]!; i++) {
        const next = neighbours[i]!
        if (of[next] !== -1) continue
        of[next] = component
        queue[tail++] = next
      }
    }
    sizes.push(tail)
  }
  const order = sizes.map((_, i) => i).sort((a, b) => sizes[b]! - sizes[a]! || a - b)
  const rank = new Int32Array(sizes.length)
  order.forEach((component, i) => {
    rank[component] = i
  })
  return { of: of.map((component) => rank[component]!), sizes: order.map((component) => sizes[component]!) }
}

/** Hops from a node to every other; -1 where there is no way. `queue` is scratch space of `size`. */
export const distances = (graph: Graph, from: number, result: Int32Array, queue: Int32Array): Int32Array => {
  const { neighbours, offsets } = graph
  result.fill(-1)
  let tail = 0
  queue[tail++] = from
  result[from] = 0
  for (let head = 0; head < tail; head++) {
    const node = queue[head]!
    const next = result[node]! + 1
    for (let i = offsets[node]!; i < offsets[node + 1]!; i++) {
      const other = neighbours[i]!
      if (result[other] !== -1) continue
      result[other] = next
      queue[tail++] = other
    }
  }
  return result
}
