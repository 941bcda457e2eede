/**
 * A network as a directed graph: who dialled whom, or, of a crawl, who told of whom, and what is known of each.
 *
 * Everything in it but the ids of nodes came from strangers. It is kept as it came; whoever writes it somewhere escapes
 * it for that place.
 */

/** What an attribute may be in every format it is written to. */
export type Value = string | number | boolean

export type Attributes = { readonly [name: string]: Value }

/**
 * What became of asking a node:
 *
 * - `answered`: it told about itself
 * - `full`: it is there and has no room
 * - `silent`: it is somebody's peer and did not tell about itself
 * - `unreachable`: an address where nobody could be reached
 * - `unknown`: it was not asked
 */
export type NodeState = "answered" | "full" | "silent" | "unreachable" | "unknown"

export const nodeStates: ReadonlyArray<NodeState> = ["answered", "full", "silent", "unreachable", "unknown"]

export interface TopologyNode {
  /** Unique in its topology: the id of the node where that is known, else the address. */
  readonly id: string
  readonly address?: string | undefined
  /** An organisation or another name for people. */
  readonly name?: string | undefined
  readonly version?: string | undefined
  readonly state: NodeState
  readonly isValidator?: boolean | undefined
  /** What else is known; of a survey under stellar-core's names. */
  readonly attributes: Attributes
}

/** From the node that dialled, or told, to the one that was dialled, or told of. */
export interface TopologyEdge {
  readonly from: number
  readonly to: number
  readonly attributes: Attributes
}

/** What an edge means: a connection, by its two ends, or an address that one node passed on. */
export type EdgeKind = "connections" | "addresses"

export interface Topology {
  readonly source: "crawl" | "survey"
  readonly edgeKind: EdgeKind
  /** When it was collected, as Unix milliseconds. */
  readonly collectedAt?: number | undefined
  readonly network?: string | undefined
  readonly nodes: ReadonlyArray<TopologyNode>
  readonly edges: ReadonlyArray<TopologyEdge>
}

/** More than this is refused: nobody can look at it, and a hostile file could hold any number. */
export const MAX_NODES = 100_000

/** The same for edges. */
export const MAX_EDGES = 2_000_000

type NodeFacts = Partial<Omit<TopologyNode, "id">>

/** Later facts win over earlier ones where they say something; a state only over a weaker one. */
const stateRank: { readonly [state in NodeState]: number } = {
  answered: 4,
  full: 3,
  silent: 2,
  unreachable: 1,
  unknown: 0
}

/** Collects nodes and edges in any order. The first mention of a node gives it its place. */
export class TopologyBuilder {
  readonly #index = new Map<string, number>()
  readonly #nodes: Array<TopologyNode> = []
  readonly #edges = new Map<number, TopologyEdge>()

  get nodeCount(): number {
    return this.#nodes.length
  }

  /** Adds a node or what else is known about it, and gives its index. */
  node(id: string, facts: NodeFacts = {}): number {
    const known = this.#index.get(id)
    if (known === undefined) {
      const index = this.#nodes.length
      this.#index.set(id, index)
      this.#nodes.push({ ...defined(facts), id, state: facts.state ?? "unknown", attributes: facts.attributes ?? {} })
      return index
    }
    const before = this.#nodes[known]!
    const state = facts.state !== undefined && stateRank[facts.state] > stateRank[before.state]
      ? facts.state
      : before.state
    this.#nodes[known] = {
      ...before,
      ...defined(facts),
      state,
      attributes: { ...before.attributes, ...facts.attributes }
    }
    return known
  }

  /** Adds an edge or what else is known about it; an edge of a node with itself is none. */
  edge(from: number, to: number, attributes: Attributes = {}): void {
    if (from === to) return
    const key = from * 2 ** 26 + to
    const before = this.#edges.get(key)
    this.#edges.set(key, { from, to, attributes: { ...before?.attributes, ...attributes } })
  }

  hasEdge(from: number, to: number): boolean {
    return this.#edges.has(from * 2 ** 26 + to)
  }

  build(facts: Omit<Topology, "nodes" | "edges">): Topology {
    return { ...facts, nodes: this.#nodes, edges: [...this.#edges.values()] }
  }
}

const defined = (facts: NodeFacts): NodeFacts =>
  Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined))

/** The short form of an id that people can read out: `GABCD` of a key, an address as it is. */
export const shortId = (id: string): string => /^G[A-Z2-7]{55}$/.test(id) ? id.slice(0, 5) : id

/** What to call a node in a picture. */
export const labelOf = (node: TopologyNode): string => {
  const name = node.name ?? ""
  return name === "" ? shortId(node.id) : name
}
