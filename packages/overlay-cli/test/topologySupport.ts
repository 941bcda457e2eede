/** Graphs and topologies for tests. */
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { fromPairs, type Graph } from "../src/topology/Graph.ts"
import { type Topology, TopologyBuilder } from "../src/topology/Topology.ts"

export type Pairs = ReadonlyArray<readonly [number, number]>

export const graph = (size: number, pairs: Pairs): Graph => fromPairs(size, pairs)

/** A node id that is one, checksum and all. */
export const idOf = (index: number): NodeId.NodeId => {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setUint32(0, Math.imul(index + 1, 2654435761))
  new DataView(bytes.buffer).setUint32(28, index)
  return NodeId.fromBytes(bytes)
}

export const topologyOf = (size: number, pairs: Pairs): Topology => {
  const builder = new TopologyBuilder()
  for (let i = 0; i < size; i++) {
    builder.node(idOf(i), {
      state: i % 5 === 4 ? "silent" : "answered",
      version: `stellar-core ${20 + (i % 3)}.0.0 (abc${i})`,
      isValidator: i % 4 === 0,
      attributes: { numTotalInboundPeers: i, lostSyncCount: 0 }
    })
  }
  for (const [from, to] of pairs) builder.edge(from, to, { averageLatencyMs: from + to, bytesRead: 10 })
  return builder.build({ source: "survey", edgeKind: "connections", collectedAt: 1_790_000_000_000 })
}

/** Numbers from 0 to 1, the same for the same seed. */
export const random = (seed: number) => () => {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
  return seed / 0x7fffffff
}

/** Any pairs: some nodes are dense, some alone. */
export const randomPairs = (size: number, edges: number, next: () => number): Pairs =>
  Array.from({ length: edges }, () => [Math.floor(next() ** 2 * size), Math.floor(next() * size)] as const)
    .filter(([a, b]) => a !== b)

/** Zachary's karate club: the usual example with well-known numbers. */
export const karate: Pairs =
  ("0-1 0-2 0-3 0-4 0-5 0-6 0-7 0-8 0-10 0-11 0-12 0-13 0-17 0-19 0-21 0-31 1-2 1-3 1-7 1-13 1-17 1-19 " +
    "1-21 1-30 2-3 2-7 2-8 2-9 2-13 2-27 2-28 2-32 3-7 3-12 3-13 4-6 4-10 5-6 5-10 5-16 6-16 8-30 8-32 8-33 9-33 13-33 " +
    "14-32 14-33 15-32 15-33 18-32 18-33 19-33 20-32 20-33 22-32 22-33 23-25 23-27 23-29 23-32 23-33 24-25 24-27 24-31 " +
    "25-31 26-29 26-33 27-33 28-31 28-33 29-32 29-33 30-32 30-33 31-32 31-33 32-33").split(" ")
    .map((pair) => pair.split("-").map(Number) as [number, number])
