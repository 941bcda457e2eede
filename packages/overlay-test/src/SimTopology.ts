/**
 * Who dials whom: the shapes of simulated networks, as data.
 *
 * All are pure functions of a size and, where they have chance in them, of a generator. An edge `[a, b]` says that a knows
 * b's address and dials it. Shapes say how nodes start; where a running overlay learns addresses and dials by itself, it
 * grows connections beyond them.
 *
 * Line, ring, core, separate, hierarchical and asymmetric are those of stellar-core's `Topologies.cpp`.
 *
 * @since 0.1.0
 */

/**
 * Draws for a shape: a `WorldRandom` will do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Draws {
  /** An integer between 0 and `bound - 1`. */
  nextBelowUnsafe(bound: number): number
}

/**
 * What a node is in a shape: a validator of tier 1 (of those that decide), another validator, or a watcher.
 *
 * @category models
 * @since 0.1.0
 */
export type NodeRole = "tier1" | "validator" | "watcher"

/**
 * A node of a shape.
 *
 * @category models
 * @since 0.1.0
 */
export interface TopologyNode {
  readonly index: number
  readonly role: NodeRole
  /** Which part, ring, organization or level it belongs to; 0 where there is only one. */
  readonly group: number
}

/**
 * A shape. No edge joins a node with itself, and no two nodes are joined twice, in whatever direction.
 *
 * @category models
 * @since 0.1.0
 */
export interface Topology {
  readonly name: string
  readonly nodes: ReadonlyArray<TopologyNode>
  readonly edges: ReadonlyArray<readonly [from: number, to: number]>
}

const tier1 = (count: number, group = 0, first = 0): Array<TopologyNode> =>
  Array.from({ length: count }, (_, i) => ({ index: first + i, role: "tier1" as const, group }))

const times = <A>(count: number, make: (i: number) => A): Array<A> =>
  Array.from({ length: Math.max(0, count) }, (_, i) => make(i))

const meshOf = (indices: ReadonlyArray<number>): Array<readonly [number, number]> =>
  indices.flatMap((a, i) => indices.slice(i + 1).map((b) => [a, b] as const))

const range = (from: number, to: number): Array<number> => times(to - from, (i) => from + i)

/** Drops loops and second edges between the same nodes. */
const make = (
  name: string,
  nodes: ReadonlyArray<TopologyNode>,
  edges: Iterable<readonly [number, number]>
): Topology => {
  const seen = new Set<number>()
  const kept: Array<readonly [number, number]> = []
  for (const edge of edges) {
    const [a, b] = edge
    const key = Math.min(a, b) * nodes.length + Math.max(a, b)
    if (a === b || seen.has(key)) continue
    seen.add(key)
    kept.push(edge)
  }
  return { name, nodes, edges: kept }
}

/**
 * Each node dials the next.
 *
 * @category constructors
 * @since 0.1.0
 */
export const line = (n: number): Topology => make("line", tier1(n), times(n - 1, (i) => [i, i + 1]))

/**
 * A line whose last node dials the first (core's `cycle`).
 *
 * @category constructors
 * @since 0.1.0
 */
export const ring = (n: number): Topology => make("ring", tier1(n), times(n, (i) => [i, (i + 1) % n]))

/**
 * All dial the first.
 *
 * @category constructors
 * @since 0.1.0
 */
export const star = (n: number): Topology => make("star", tier1(n), times(n - 1, (i) => [i + 1, 0]))

/**
 * Everybody is connected with everybody (core's `core`).
 *
 * @category constructors
 * @since 0.1.0
 */
export const coreMesh = (n: number): Topology => make("coreMesh", tier1(n), meshOf(range(0, n)))

/**
 * A core of a third of the nodes (at least 4, as far as there are) in a mesh; each of the others dials `links` of the core.
 *
 * Core's `hierarchicalQuorum` with one level of branches.
 *
 * @category constructors
 * @since 0.1.0
 */
export const hierarchical = (n: number, random: Draws, links = 2): Topology => {
  const core = Math.min(n, Math.max(4, Math.floor(n / 3)))
  const outer = range(core, n)
  return make(
    "hierarchical",
    [...tier1(core), ...outer.map((index) => ({ index, role: "validator" as const, group: 1 }))],
    [
      ...meshOf(range(0, core)),
      ...outer.flatMap((index) => pick(range(0, core), Math.min(links, core), random).map((to) => [index, to] as const))
    ]
  )
}

/**
 * `parts` meshes that know nothing of each other.
 *
 * @category constructors
 * @since 0.1.0
 */
export const separate = (n: number, parts = 2): Topology => {
  const groups = times(parts, (part) => range(Math.floor(part * n / parts), Math.floor((part + 1) * n / parts)))
  return make(
    "separate",
    groups.flatMap((indices, group) => tier1(indices.length, group, indices[0] ?? 0)),
    groups.flatMap(meshOf)
  )
}

/**
 * A mesh of all but the last node, which hangs on by one link, to the first (core's `asymmetric`).
 *
 * @category constructors
 * @since 0.1.0
 */
export const asymmetric = (n: number): Topology =>
  make("asymmetric", tier1(n), [...meshOf(range(0, n - 1)), ...(n > 1 ? [[n - 1, 0] as const] : [])])

/**
 * Each node but the first dials `degree` random nodes before it, so that the whole is connected.
 *
 * @category constructors
 * @since 0.1.0
 */
export const random = (n: number, draws: Draws, degree = 3): Topology =>
  make(
    "random",
    tier1(n),
    range(0, n).flatMap((i) => pick(range(0, i), Math.min(degree, i), draws).map((to) => [i, to] as const))
  )

/**
 * The limits of `publicLike`.
 *
 * @category options
 * @since 0.1.0
 */
export interface PublicLikeOptions {
  /** Organizations of tier 1, each with three validators; 7 unless given, fewer where there are not nodes enough. */
  readonly organizations?: number | undefined
  /** Connections a node dials; 8 unless given. */
  readonly outbound?: number | undefined
  /** Connections a node takes, those it dials not counted; 64 unless given. */
  readonly inbound?: number | undefined
  /** How much of the rest validates, in percent; 15 unless given. */
  readonly validatorPercent?: number | undefined
}

/**
 * The shape of the public network: organizations of three validators each in a tier that is one mesh, a few validators and
 * many watchers around it, who dial some of tier 1 and, mostly, each other. Nobody dials or takes more than the limits.
 *
 * Tier 1 dials evenly: of two organizations' members each dials about half of the links between them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const publicLike = (n: number, draws: Draws, options: PublicLikeOptions = {}): Topology => {
  const { inbound = 64, organizations = 7, outbound = 8, validatorPercent = 15 } = options
  const orgs = Math.max(1, Math.min(organizations, Math.floor(n / 6)))
  const top = Math.min(n, 3 * orgs)
  const nodes: Array<TopologyNode> = range(0, top).map((index) => ({
    index,
    role: "tier1",
    group: Math.floor(index / 3)
  }))
  const out = new Array<number>(n).fill(0)
  const taken = new Array<number>(n).fill(0)
  const edges: Array<readonly [number, number]> = []
  const join = (from: number, to: number): boolean => {
    if (from === to || out[from]! >= outbound || taken[to]! >= inbound) return false
    out[from]!++
    taken[to]!++
    edges.push([from, to])
    return true
  }
  for (const [a, b] of meshOf(range(0, top))) {
    const forward = (a + b) % 2 === 0
    if (forward ? !join(a, b) : !join(b, a)) join(forward ? b : a, forward ? a : b)
  }
  for (const index of range(top, n)) {
    const role = draws.nextBelowUnsafe(100) < validatorPercent ? "validator" : "watcher"
    nodes.push({ index, role, group: orgs })
    // One link leads towards the middle, so that the whole is connected; validators keep several there.
    const inner = role === "validator" ? Math.min(3, outbound) : 1
    let made = 0
    for (const to of pick(range(0, top), top, draws)) if (made < inner && join(index, to)) made++
    const reach = 2 + draws.nextBelowUnsafe(Math.max(1, outbound - 2))
    const before = index - top
    for (const to of pick(range(top, index), Math.min(before, reach + 8), draws)) {
      if (out[index]! >= reach && made > 0) break
      if (join(index, to)) made++
    }
  }
  return make("publicLike", nodes, edges)
}

/** `count` different values, in random order. */
const pick = (from: ReadonlyArray<number>, count: number, draws: Draws): Array<number> => {
  const left = [...from]
  for (let i = 0; i < count; i++) {
    const other = i + draws.nextBelowUnsafe(left.length - i)
    const value = left[other]!
    left[other] = left[i]!
    left[i] = value
  }
  return left.slice(0, count)
}

/**
 * The nodes a node is joined with, in either direction.
 *
 * @category getters
 * @since 0.1.0
 */
export const neighbours = (topology: Topology, index: number): ReadonlyArray<number> =>
  topology.edges.flatMap(([a, b]) => a === index ? [b] : b === index ? [a] : [])

/**
 * The parts of a shape between which there is no way; one when it is connected.
 *
 * @category getters
 * @since 0.1.0
 */
export const components = (topology: Topology): ReadonlyArray<ReadonlyArray<number>> => {
  const beside = topology.nodes.map((): Array<number> => [])
  for (const [a, b] of topology.edges) {
    beside[a]!.push(b)
    beside[b]!.push(a)
  }
  const seen = new Set<number>()
  const parts: Array<ReadonlyArray<number>> = []
  for (const { index } of topology.nodes) {
    if (seen.has(index)) continue
    const part = new Set([index])
    for (const node of part) for (const next of beside[node]!) part.add(next)
    for (const node of part) seen.add(node)
    parts.push([...part])
  }
  return parts
}
