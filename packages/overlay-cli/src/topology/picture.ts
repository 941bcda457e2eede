/** A topology with everything that is needed to draw it: positions, colours, names, numbers. */
import { escape } from "../render/escape.ts"
import { type Coloring, type ColoringKey, colorings, stateName } from "./colorings.ts"
import { cut } from "./escaping.ts"
import { edgeNoun, type FactGroup, facts } from "./facts.ts"
import { type Layout, layout } from "./layout.ts"
import { type Analysis, analyze } from "./statistics.ts"
import { labelOf, type Topology } from "./Topology.ts"

export const themes = ["light", "dark", "auto"] as const

export type Theme = (typeof themes)[number]

export interface PictureOptions {
  readonly title?: string | undefined
  readonly colorBy?: ColoringKey | undefined
  readonly theme?: Theme | undefined
}

export interface Picture {
  readonly topology: Topology
  readonly analysis: Analysis
  readonly layout: Layout
  readonly colorings: ReadonlyArray<Coloring>
  /** The index of the colouring to begin with. */
  readonly chosen: number
  readonly facts: ReadonlyArray<FactGroup>
  /** Escaped for people. */
  readonly title: string
  readonly subtitle: string
  /** By node, escaped for people and cut. */
  readonly labels: ReadonlyArray<string>
  readonly theme: Theme
}

const MAX_LABEL = 24

const subtitleOf = ({ collectedAt, edgeKind, edges, network, nodes, source }: Topology): string =>
  [
    ...(network === undefined ? [] : [escape(network)]),
    source,
    ...(collectedAt === undefined ? [] : [`${new Date(collectedAt).toISOString().slice(0, 16).replace("T", " ")} UTC`]),
    `${nodes.length} nodes`,
    `${edges.length} ${edgeNoun[edgeKind]}`
  ].join(" · ")

/** Computes the layout: a second or so for a thousand nodes. */
export const picture = (topology: Topology, options: PictureOptions = {}): Picture => {
  const analysis = analyze(topology)
  const colors = colorings(topology, analysis.each)
  return {
    topology,
    analysis,
    layout: layout(analysis.graph),
    colorings: colors,
    chosen: Math.max(0, colors.findIndex(({ key }) => key === options.colorBy)),
    facts: facts(analysis.total, topology.edgeKind),
    title: escape(options.title ?? "Stellar network topology"),
    subtitle: subtitleOf(topology),
    labels: topology.nodes.map((node) => cut(escape(labelOf(node)), MAX_LABEL)),
    theme: options.theme ?? "auto"
  }
}

/** Nodes in the order in which they matter: by degree, then by what leads through them. */
export const byImportance = ({ analysis: { each }, topology }: Picture): ReadonlyArray<number> =>
  topology.nodes.map((_, node) => node)
    .sort((a, b) => each.degree[b]! - each.degree[a]! || each.betweenness[b]! - each.betweenness[a]! || a - b)

export { stateName }
