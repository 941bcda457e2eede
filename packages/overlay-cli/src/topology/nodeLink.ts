/**
 * A topology as node-link JSON: what `networkx.node_link_graph(data, edges="links")` and D3 read, with the statistics in
 * `graph`; and back.
 */
import * as Schema from "effect/Schema"
import { toJsonText } from "../render/escape.ts"
import { attributesOf } from "./graphml.ts"
import type { Analysis } from "./statistics.ts"
import { MAX_EDGES, MAX_NODES, nodeStates, type Topology, TopologyBuilder } from "./Topology.ts"

export const toNodeLink = (topology: Topology, { each, total }: Analysis): string => {
  const { collectedAt, edgeKind, edges, network, nodes, source } = topology
  return `${
    toJsonText({
      directed: true,
      multigraph: false,
      graph: {
        format: "stellar-overlay-topology",
        source,
        edgeKind,
        ...(network === undefined ? {} : { network }),
        ...(collectedAt === undefined ? {} : { collectedAt: new Date(collectedAt).toISOString() }),
        statistics: total
      },
      nodes: nodes.map((node, i) => ({
        id: node.id,
        ...attributesOf(node),
        degree: each.degree[i],
        inDegree: each.inbound[i],
        outDegree: each.outbound[i],
        core: each.core[i],
        betweenness: each.betweenness[i],
        clustering: each.clustering[i]
      })),
      links: edges.map(({ attributes, from, to }) => ({
        source: nodes[from]!.id,
        target: nodes[to]!.id,
        ...attributes
      }))
    }, 1)
  }\n`
}

const Value = Schema.Union([Schema.String, Schema.Number, Schema.Boolean])
const Row = Schema.Record(Schema.String, Value)

const NodeLink = Schema.Struct({
  graph: Schema.Struct({
    format: Schema.Literal("stellar-overlay-topology"),
    source: Schema.Literals(["crawl", "survey"]),
    edgeKind: Schema.Literals(["connections", "addresses"]),
    network: Schema.optionalKey(Schema.String),
    collectedAt: Schema.optionalKey(Schema.String)
  }),
  nodes: Schema.Array(Row).check(Schema.isMaxLength(MAX_NODES)),
  links: Schema.Array(Row).check(Schema.isMaxLength(MAX_EDGES))
})

const decode = Schema.decodeUnknownOption(NodeLink)

/** Counted anew from the graph, so not read back. */
const counted = new Set(["degree", "inDegree", "outDegree", "core", "betweenness", "clustering"])

/** Reads what `toNodeLink` wrote; undefined when it is something else. */
export const fromNodeLink = (value: unknown): Topology | undefined => {
  const decoded = decode(value)
  if (decoded._tag === "None") return undefined
  const { graph: { collectedAt, edgeKind, network, source }, links, nodes } = decoded.value
  const builder = new TopologyBuilder()
  for (const { address, id, isValidator, name, state, version, ...rest } of nodes) {
    const attributes = Object.fromEntries(Object.entries(rest).filter(([key]) => !counted.has(key)))
    builder.node(String(id), {
      state: nodeStates.find((known) => known === state) ?? "unknown",
      version: typeof version === "string" && version !== "" ? version : undefined,
      isValidator: typeof isValidator === "boolean" ? isValidator : undefined,
      address: typeof address === "string" ? address : undefined,
      name: typeof name === "string" ? name : undefined,
      attributes
    })
  }
  for (const { source: from, target: to, ...attributes } of links) {
    builder.edge(builder.node(String(from)), builder.node(String(to)), attributes)
  }
  const millis = collectedAt === undefined ? Number.NaN : Date.parse(collectedAt)
  return builder.build({ source, edgeKind, network, collectedAt: Number.isNaN(millis) ? undefined : millis })
}
