/** The statistics of a topology in words and numbers, for a picture, a page and a terminal alike. */
import { count } from "../render/units.ts"
import type { Spread, Statistics } from "./statistics.ts"
import type { EdgeKind } from "./Topology.ts"

export interface Fact {
  readonly name: string
  readonly value: string
  /** What it means, in a sentence. */
  readonly meaning: string
}

export interface FactGroup {
  readonly title: string
  readonly facts: ReadonlyArray<Fact>
}

const percent = (share: number): string => {
  const value = 100 * share
  return `${value !== 0 && value < 9.95 ? value.toFixed(1) : value.toFixed(0)} %`
}

const decimal = (value: number): string => value.toFixed(value < 0.1 && value > -0.1 && value !== 0 ? 3 : 2)

const spreadText = ({ max, mean, median, p90 }: Spread): string =>
  `${median} median, ${mean.toFixed(1)} mean, ${p90} p90, ${max} max`

/** What one edge is called. */
export const edgeNoun: { readonly [kind in EdgeKind]: string } = {
  connections: "connections",
  addresses: "addresses told"
}

export const facts = (total: Statistics, kind: EdgeKind): ReadonlyArray<FactGroup> => {
  const bound = total.pathsAreExact ? "" : "at least "
  const about = total.pathsAreExact ? "" : "about "
  return [
    {
      title: "Size",
      facts: [
        { name: "Nodes", value: count(total.nodes), meaning: "Nodes and addresses of the network." },
        { name: "Edges", value: count(total.edges), meaning: `Directed edges: ${edgeNoun[kind]}.` },
        { name: "Links", value: count(total.links), meaning: "Pairs of nodes with an edge in any direction." },
        { name: "Density", value: percent(total.density), meaning: "Links among all pairs of nodes." },
        { name: "Validators", value: count(total.validators), meaning: "Nodes that say or show that they validate." },
        { name: "Reciprocity", value: percent(total.reciprocity), meaning: "Edges that also lead back." }
      ]
    },
    {
      title: "Degree",
      facts: [
        { name: "Degree", value: spreadText(total.degree), meaning: "Neighbours of a node." },
        { name: "Inbound", value: spreadText(total.inbound), meaning: "Edges that lead to a node." },
        { name: "Outbound", value: spreadText(total.outbound), meaning: "Edges that a node began." },
        {
          name: "Assortativity",
          value: total.degreeAssortativity === undefined ? "none" : decimal(total.degreeAssortativity),
          meaning: "Correlation of the degrees of neighbours: below 0, hubs have neighbours with few links."
        }
      ]
    },
    {
      title: "Distances",
      facts: [
        { name: "Diameter", value: `${bound}${total.diameter}`, meaning: "Hops between the two farthest nodes." },
        {
          name: "Average path",
          value: `${about}${decimal(total.averagePathLength)}`,
          meaning: "Mean hops between two nodes."
        },
        {
          name: "Clustering",
          value: decimal(total.averageClustering),
          meaning: "How many of a node's neighbours are neighbours of each other, on average."
        },
        { name: "Transitivity", value: decimal(total.transitivity), meaning: "Triangles among all connected triples." }
      ]
    },
    {
      title: "Cohesion",
      facts: [
        {
          name: "Components",
          value: total.components === 1 ? "1" : `${count(total.components)}, largest ${count(total.largestComponent)}`,
          meaning: "Parts without a link between them."
        },
        {
          name: "Strong components",
          value: total.strongComponents === 1
            ? "1"
            : `${count(total.strongComponents)}, largest ${count(total.largestStrongComponent)}`,
          meaning: "Parts in which every node reaches every other along the edges' directions."
        },
        { name: "Isolated", value: count(total.isolated), meaning: "Nodes without any link." },
        {
          name: "Cut nodes",
          value: count(total.articulationPoints),
          meaning: "Nodes whose loss separates others from the network."
        },
        { name: "Bridges", value: count(total.bridges), meaning: "Links whose loss separates nodes from the network." },
        {
          name: "Innermost core",
          value: `${total.maxCore}-core of ${count(total.maxCoreSize)}`,
          meaning: "The part where everybody has that many neighbours within the part."
        }
      ]
    },
    {
      title: "Without its hubs",
      facts: total.resilience.map(({ largest, removed, share }) => ({
        name: `${count(removed)} gone`,
        value: `${percent(share)} connected (${count(largest)})`,
        meaning: "The largest part among the remaining nodes after the best connected ones are gone."
      }))
    }
  ]
}
