/**
 * Survey results as JSON, in the two forms that are about:
 *
 * - `core`: what `getsurveyresult` answers (protocol.md 12.6), with all pages of a node put together
 * - `script`: what stellar-core's survey script writes with `-sr`: an object by node id, in which the peers are objects by
 *   node id too
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Attributes, MAX_NODES, type Topology, TopologyBuilder } from "./Topology.ts"

/** One connection as the surveyed node counts it. Core's names; what a form lacks is left out. */
export type PeerRow = Attributes & { readonly nodeId: string }

/** A surveyed node and everything it told. */
export interface SurveyedNode {
  readonly facts: Attributes
  readonly inboundPeers: ReadonlyArray<PeerRow>
  readonly outboundPeers: ReadonlyArray<PeerRow>
}

/** By node id; undefined where no answer came. */
export type SurveyResults = ReadonlyMap<string, SurveyedNode | undefined>

const Value = Schema.Union([Schema.String, Schema.Number, Schema.Boolean])
const Facts = Schema.Record(Schema.String, Value)
const PeerObject = Schema.StructWithRest(Schema.Struct({ nodeId: Schema.String }), [Facts])
const Peers = Schema.NullOr(Schema.Union([Schema.Array(PeerObject), Schema.Record(Schema.String, PeerObject)]))
const Node = Schema.Record(Schema.String, Schema.Union([Value, Peers]))
const Nodes = Schema.Record(Schema.String, Schema.NullOr(Node))

const decodeCore = Schema.decodeUnknownOption(Schema.Struct({ topology: Schema.NullOr(Nodes) }))
const decodeScript = Schema.decodeUnknownOption(Nodes)

const isKey = (id: string): boolean => /^G[A-Z2-7]{55}$/.test(id)

type Decoded = (typeof Node)["Type"]

const peersOf = (node: Decoded, name: string): ReadonlyArray<PeerRow> => {
  const value = node[name]
  if (typeof value !== "object" || value === null) return []
  const rows = Array.isArray(value) ? value : Object.values(value)
  return rows as ReadonlyArray<PeerRow> // what Peers decodes to, in either form
}

const surveyedOf = (node: Decoded): SurveyedNode => {
  const facts: Record<string, string | number | boolean> = {}
  for (const [name, value] of Object.entries(node)) if (typeof value !== "object") facts[name] = value
  return { facts, inboundPeers: peersOf(node, "inboundPeers"), outboundPeers: peersOf(node, "outboundPeers") }
}

/** Reads either form; undefined when it is neither. */
export const parse = (value: unknown): SurveyResults | undefined => {
  const core = decodeCore(value)
  const nodes = Option.isSome(core) ? core.value.topology ?? {} : Option.getOrUndefined(decodeScript(value))
  if (nodes === undefined) return undefined
  const entries = Object.entries(nodes)
  if (entries.length > MAX_NODES || !entries.every(([id]) => isKey(id))) return undefined
  return new Map(entries.map(([id, node]) => [id, node === null ? undefined : surveyedOf(node)]))
}

/** `getsurveyresult` of a survey that is done. */
export const toCore = (results: SurveyResults, badResponseNodes: ReadonlyArray<string> = []): unknown => ({
  surveyInProgress: false,
  backlog: [],
  badResponseNodes,
  topology: Object.fromEntries(
    [...results].map(([id, node]) => [
      id,
      node === undefined ? null : {
        ...node.facts,
        inboundPeers: node.inboundPeers.length === 0 ? null : node.inboundPeers,
        outboundPeers: node.outboundPeers.length === 0 ? null : node.outboundPeers
      }
    ])
  )
})

/** What the script writes: nodes that answered. */
export const toScript = (results: SurveyResults): unknown => {
  const byId = (peers: ReadonlyArray<PeerRow>) => Object.fromEntries(peers.map((peer) => [peer.nodeId, peer]))
  return Object.fromEntries(
    [...results].flatMap(([id, node]) =>
      node === undefined
        ? []
        : [[id, {
          numTotalInboundPeers: 0,
          numTotalOutboundPeers: 0,
          maxInboundPeerCount: 0,
          maxOutboundPeerCount: 0,
          ...node.facts,
          inboundPeers: byId(node.inboundPeers),
          outboundPeers: byId(node.outboundPeers)
        }]]
    )
  )
}

/**
 * The network of a survey. Both ends of a connection count it; the edge has what the node that dialled says, or, where
 * that did not answer, what the other says.
 */
export const toTopology = (
  results: SurveyResults,
  facts: { readonly collectedAt?: number | undefined; readonly network?: string | undefined } = {}
): Topology => {
  const builder = new TopologyBuilder()
  for (const [id, node] of results) {
    if (node === undefined) builder.node(id, { state: "silent" })
    else {
      const { isValidator, version, ...attributes } = node.facts
      builder.node(id, {
        state: "answered",
        attributes,
        isValidator: typeof isValidator === "boolean" ? isValidator : undefined,
        version: typeof version === "string" ? version : undefined
      })
    }
  }
  const peer = ({ nodeId, version, ...attributes }: PeerRow) => ({
    attributes,
    index: builder.node(nodeId, {
      state: "silent",
      version: typeof version === "string" && version !== "" ? version : undefined
    })
  })
  for (const [id, node] of results) {
    const self = builder.node(id)
    for (const row of node?.inboundPeers ?? []) {
      const { attributes, index } = peer(row)
      if (!builder.hasEdge(index, self)) builder.edge(index, self, attributes)
    }
  }
  for (const [id, node] of results) {
    const self = builder.node(id)
    for (const row of node?.outboundPeers ?? []) {
      const { attributes, index } = peer(row)
      builder.edge(self, index, attributes)
    }
  }
  return builder.build({ source: "survey", edgeKind: "connections", ...facts })
}

/** Surveyed nodes of a topology as results, for the forms above; a crawl has none. */
export const fromTopology = ({ edges, nodes }: Topology): SurveyResults => {
  const inbound = nodes.map((): Array<PeerRow> => [])
  const outbound = nodes.map((): Array<PeerRow> => [])
  const row = (index: number, attributes: Attributes): PeerRow => {
    const { id, version = "" } = nodes[index]!
    return { nodeId: id, version, ...attributes }
  }
  for (const { attributes, from, to } of edges) {
    if (nodes[from]!.state === "answered") outbound[from]!.push(row(to, attributes))
    if (nodes[to]!.state === "answered") inbound[to]!.push(row(from, attributes))
  }
  return new Map(nodes.map(({ attributes, id, isValidator, state }, i) => [
    id,
    state === "answered"
      ? {
        facts: { ...attributes, ...(isValidator === undefined ? {} : { isValidator }) },
        inboundPeers: inbound[i]!,
        outboundPeers: outbound[i]!
      }
      : undefined
  ]))
}
