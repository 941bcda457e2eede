/** What holds a graph together: cores, cut nodes and bridges, strong components, and how it bears losing its hubs. */
import { components, degree, type Graph } from "./Graph.ts"
import type { TopologyEdge } from "./Topology.ts"

/** The core number of every node: the largest k for which it is in a part where everybody has k neighbours. */
export const coreNumbers = (graph: Graph): Int32Array => {
  const { neighbours, offsets, size } = graph
  const left = Int32Array.from({ length: size }, (_, node) => degree(graph, node))
  const most = left.reduce((a, b) => Math.max(a, b), 0)
  // Nodes sorted by what is left of their degree, in buckets that are kept up to date by swaps (Batagelj, Zaversnik).
  const start = new Int32Array(most + 2)
  for (const d of left) start[d + 1]!++
  for (let d = 0; d <= most; d++) start[d + 1]! += start[d]!
  const position = new Int32Array(size)
  const order = new Int32Array(size)
  const fill = start.slice()
  for (let node = 0; node < size; node++) {
    position[node] = fill[left[node]!]!++
    order[position[node]!] = node
  }
  for (let i = 0; i < size; i++) {
    const node = order[i]!
    for (let j = offsets[node]!; j < offsets[node + 1]!; j++) {
      const other = neighbours[j]!
      const d = left[other]!
      if (d <= left[node]!) continue
      const first = Math.max(start[d]!, i + 1)
      const swapped = order[first]!
      const at = position[other]!
      order[first] = other
      order[at] = swapped
      position[other] = first
      position[swapped] = at
      start[d] = first + 1
      left[other] = d - 1
    }
  }
  return left
}

/** Nodes and edges whose loss would cut a component in two (Tarjan). */
export const cuts = (graph: Graph): {
  readonly articulationPoints: ReadonlyArray<number>
  readonly bridges: ReadonlyArray<readonly [number, number]>
} => {
  const { neighbours, offsets, size } = graph
  const seen = new Int32Array(size).fill(-1)
  const low = new Int32Array(size)
  const parent = new Int32Array(size).fill(-1)
  const next = offsets.slice()
  const isCut = new Uint8Array(size)
  const bridges: Array<readonly [number, number]> = []
  const stack: Array<number> = []
  let time = 0
  for (let root = 0; root < size; root++) {
    if (seen[root] !== -1) continue
    let children = 0
    stack.push(root)
    seen[root] = low[root] = time++
    while (stack.length > 0) {
      const node = stack[stack.length - 1]!
      if (next[node]! < offsets[node + 1]!) {
        const other = neighbours[next[node]!++]!
        if (seen[other] === -1) {
          parent[other] = node
          if (node === root) children++
          seen[other] = low[other] = time++
          stack.push(other)
        } else if (other !== parent[node]) {
          low[node] = Math.min(low[node]!, seen[other]!)
        }
        continue
      }
      stack.pop()
      const above = parent[node]!
      if (above === -1) continue
      low[above] = Math.min(low[above]!, low[node]!)
      if (low[node]! > seen[above]!) bridges.push(above < node ? [above, node] : [node, above])
      if (above !== root && low[node]! >= seen[above]!) isCut[above] = 1
    }
    if (children > 1) isCut[root] = 1
  }
  const articulationPoints: Array<number> = []
  isCut.forEach((is, node) => {
    if (is === 1) articulationPoints.push(node)
  })
  bridges.sort((a, b) => a[0] - b[0] || a[1] - b[1])
  return { articulationPoints, bridges }
}

/** Sizes of the parts in which every node can be reached from every other along the directions, the largest first. */
export const strongComponentSizes = (size: number, edges: ReadonlyArray<TopologyEdge>): ReadonlyArray<number> => {
  const offsets = new Int32Array(size + 1)
  for (const { from } of edges) offsets[from + 1]!++
  for (let i = 0; i < size; i++) offsets[i + 1]! += offsets[i]!
  const targets = new Int32Array(edges.length)
  const fill = offsets.slice()
  for (const { from, to } of edges) targets[fill[from]!++] = to

  const seen = new Int32Array(size).fill(-1)
  const low = new Int32Array(size)
  const isOpen = new Uint8Array(size)
  const next = offsets.slice()
  const path: Array<number> = []
  const open: Array<number> = []
  const sizes: Array<number> = []
  let time = 0
  const enter = (node: number) => {
    seen[node] = low[node] = time++
    isOpen[node] = 1
    path.push(node)
    open.push(node)
  }
  for (let root = 0; root < size; root++) {
    if (seen[root] !== -1) continue
    enter(root)
    while (path.length > 0) {
      const node = path[path.length - 1]!
      if (next[node]! < offsets[node + 1]!) {
        const other = targets[next[node]!++]!
        if (seen[other] === -1) enter(other)
        else if (isOpen[other] === 1) low[node] = Math.min(low[node]!, seen[other]!)
        continue
      }
      path.pop()
      const above = path[path.length - 1]
      if (above !== undefined) low[above] = Math.min(low[above]!, low[node]!)
      if (low[node] !== seen[node]) continue
      let count = 0
      for (let member = -1; member !== node; count++) {
        member = open.pop()!
        isOpen[member] = 0
      }
      sizes.push(count)
    }
  }
  return sizes.sort((a, b) => b - a)
}

/** A network after it lost its best connected nodes. */
export interface Loss {
  /** How many of them are gone. */
  readonly removed: number
  /** Nodes of the largest component that is left. */
  readonly largest: number
  /** The same as a share of the nodes that are left. */
  readonly share: number
}

/**
 * How the network bears losing its hubs: the largest component after the nodes of highest degree are gone, in the order
 * of their degree in the whole graph.
 */
export const resilience = (graph: Graph, counts: ReadonlyArray<number>): ReadonlyArray<Loss> => {
  const { neighbours, offsets, size } = graph
  const order = Array.from({ length: size }, (_, node) => node)
    .sort((a, b) => degree(graph, b) - degree(graph, a) || a - b)
  return counts.filter((count) => count < size).map((removed) => {
    const gone = new Uint8Array(size)
    for (const node of order.slice(0, removed)) gone[node] = 1
    const seen = gone.slice()
    const stack: Array<number> = []
    let largest = 0
    for (let start = 0; start < size; start++) {
      if (seen[start] === 1) continue
      let count = 0
      stack.push(start)
      seen[start] = 1
      while (stack.length > 0) {
        const node = stack.pop()!
        count++
        for (let i = offsets[node]!; i < offsets[node + 1]!; i++) {
          const other = neighbours[i]!
          if (seen[other] === 1) continue
          seen[other] = 1
          stack.push(other)
        }
      }
      largest = Math.max(largest, count)
    }
    return { removed, largest, share: largest / (size - removed) }
  })
}

/** Nodes of the largest component. */
export const largestComponent = (graph: Graph): number => components(graph).sizes[0] ?? 0
