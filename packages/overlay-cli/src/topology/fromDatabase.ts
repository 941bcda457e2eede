/** Crawls and surveys of a network database as topologies. */
import type { Crawl } from "@stellar-overlay/overlay-sql/CrawlDatabase"
import type { StoredSurvey } from "@stellar-overlay/overlay-sql/SurveyDatabase"
import type { CrawlStatus } from "@stellar-overlay/overlay/protocol/CrawlStatus"
import type { SurveyedNode, SurveyedPeer } from "@stellar-overlay/overlay/protocol/SurveyBody"
import type { PeerRow, SurveyedNode as SurveyedRow, SurveyResults } from "./surveyJson.ts"
import { type Attributes, type NodeState, type Topology, TopologyBuilder, type Value } from "./Topology.ts"

const stateOf = (status: CrawlStatus): NodeState => {
  switch (status) {
    case "open":
      return "answered"
    case "full":
      return "full"
    case "pending":
    case "skipped":
      return "unknown"
    case "rejected":
      return "silent"
    case "timeout":
    case "refused":
    case "unreachable":
    case "unresponsive":
    case "wrong-network":
    case "closed":
    case "violation":
      return "unreachable" // by this network
  }
}

const keyOf = (host: string, port: number): string => host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

const defined = (facts: { readonly [name: string]: Value | undefined }): Attributes =>
  Object.fromEntries(Object.entries(facts).flatMap(([name, value]) => value === undefined ? [] : [[name, value]]))

/**
 * The network of a crawl. Nodes that proved themselves have their ids, other addresses stand for themselves; without
 * `all`, addresses where nobody could be reached, or that were not tried, are left out and counted.
 */
export const fromCrawl = (
  { addresses, edges, info, nodes }: Crawl,
  all: boolean
): { readonly topology: Topology; readonly leftOut: number } => {
  const builder = new TopologyBuilder()
  for (const node of nodes) {
    builder.node(node.id, {
      version: node.version,
      // Who proved itself is there, whatever became of the last attempt.
      state: node.status === "open" || node.status === "full" ? stateOf(node.status) : "silent",
      isValidator: node.validating,
      attributes: defined({
        status: node.status,
        overlayVersion: node.overlayVersion,
        overlayMinVersion: node.overlayMinVersion,
        ledgerVersion: node.ledgerVersion,
        listeningPort: node.listeningPort,
        clockSkewSeconds: node.clockSkewSeconds,
        connectMillis: node.connectMillis,
        handshakeMillis: node.handshakeMillis,
        pingMillis: node.pingMillis,
        slot: node.slot,
        lag: node.lag,
        peersTold: node.peersTold,
        peersRefused: node.peersRefused
      })
    })
  }
  const left = new Set<string>()
  for (const { host, nodeId, port, status } of addresses) {
    const address = keyOf(host, port)
    const state = stateOf(status)
    if (nodeId !== undefined) builder.node(nodeId, { address })
    else if (all || state === "full" || state === "silent") {
      builder.node(address, { address, state, attributes: { status } })
    } else left.add(address)
  }
  for (const { from, host, port, seenAt, to } of edges) {
    const target = to ?? keyOf(host, port)
    if (to === undefined && left.has(target)) continue
    builder.edge(builder.node(from), builder.node(target), { seenAt })
  }
  const facts = { source: "crawl", edgeKind: "addresses", collectedAt: info.startedAt, network: info.network } as const
  return { topology: builder.build(facts), leftOut: left.size }
}

const peerRow = ({ id, version, ...counters }: SurveyedPeer): PeerRow => ({ nodeId: id, version, ...counters })

const factsOf = ({ totalInboundPeerCount, totalOutboundPeerCount, ...rest }: SurveyedNode): Attributes => ({
  ...rest,
  numTotalInboundPeers: totalInboundPeerCount,
  numTotalOutboundPeers: totalOutboundPeerCount
})

/** A stored survey under stellar-core's names. */
export const fromSurvey = ({ edges, nodes }: Pick<StoredSurvey, "nodes" | "edges">): SurveyResults => {
  const lists = new Map<string, { readonly inbound: Array<PeerRow>; readonly outbound: Array<PeerRow> }>()
  for (const { id } of nodes) lists.set(id, { inbound: [], outbound: [] })
  for (const { direction, node, peer } of edges) lists.get(node)?.[direction].push(peerRow(peer))
  return new Map(nodes.map(({ id, node }): [string, SurveyedRow | undefined] => [
    id,
    node === undefined
      ? undefined
      : { facts: factsOf(node), inboundPeers: lists.get(id)!.inbound, outboundPeers: lists.get(id)!.outbound }
  ]))
}

/** Adds to the nodes of a survey where a crawl met them. */
export const withAddresses = (survey: Topology, { addresses }: Crawl): Topology => {
  const known = new Map(
    addresses.flatMap(({ host, nodeId, port }) => nodeId === undefined ? [] : [[nodeId as string, keyOf(host, port)]])
  )
  return {
    ...survey,
    nodes: survey.nodes.map((node) => {
      const address = known.get(node.id)
      return address === undefined ? node : { ...node, address }
    })
  }
}
