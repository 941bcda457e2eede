import { Flood } from "@stellar-overlay/overlay/Flood"
import type { Peer } from "@stellar-overlay/overlay/Peer"
import { Priority } from "@stellar-overlay/overlay/protocol/OutboundQueues"
import * as Context from "effect/Context"
import type { Gauge, NodeSnapshot, PeerBooks } from "../campaign/Observation.ts"
import type { LoopbackLink } from "../LoopbackTransport.ts"
import type { SimNode } from "../SimCluster.ts"
import type { FromTo } from "../SimNetwork.ts"
import type { TestNode } from "../TestNode.ts"

/** What a snapshot needs to know of the network. */
export interface Surroundings {
  readonly at: number
  readonly links: ReadonlyArray<LoopbackLink & FromTo>
  /** When a message was last written to a link, in either direction. */
  readonly lastMessageAt: (link: number) => number
  /** How long a link must have been silent for its books to be final; Infinity for never. */
  readonly restMillis: number
}

const priorities = Object.values(Priority)

const linkOf = (peer: Peer, ip: string, { links }: Surroundings): (LoopbackLink & FromTo) | undefined => {
  let found: (LoopbackLink & FromTo) | undefined
  for (const link of links) {
    const isIt = peer.role === "acceptor"
      ? link.dialer.key === peer.address.key
      : link.dialer.host === ip && link.listener.key === peer.address.key
    if (isIt && (found === undefined || link.id > found.id)) found = link
  }
  return found
}

const booksOf = (
  peer: Peer,
  { config, derived }: TestNode["overlay"]["local"],
  node: SimNode,
  around: Surroundings
) => {
  const { flow, queues, stats } = peer.session
  const link = linkOf(peer, node.ip, around)
  const isResting = link !== undefined && link.buffered("toDialer") + link.buffered("toListener") === 0 &&
    !queues.hasWaiting && !peer.session.hasBacklog && around.at - around.lastMessageAt(link.id) >= around.restMillis
  const books: PeerBooks = {
    peer: link === undefined ? "" : link.from === node.name ? link.to : link.from,
    address: peer.address.key,
    role: peer.role,
    link: link?.id,
    messageCredit: Number(flow.messageCredit),
    byteCredit: Number(flow.byteCredit),
    localFloodMessages: flow.localFloodMessages,
    localFloodBytes: flow.localFloodBytes,
    localMessages: flow.localMessages,
    floodCapacity: config.peerFloodReadingCapacity,
    floodCapacityBytes: derived.bytes.floodReadingCapacityBytes,
    capacity: config.peerReadingCapacity,
    grantBatch: config.flowControlSendMoreBatchSize,
    isBusy: !isResting,
    queued: priorities.reduce<number>((sum, priority) => sum + queues.lengthOf(priority), 0),
    demandTimeouts: stats.demandTimeouts,
    isPaused: flow.isPaused,
    shedsTransactions: peer.session.shedTransactions
  }
  return books
}

/** A running node at this moment. */
export const snapshot = (node: SimNode, running: TestNode, around: Surroundings): NodeSnapshot => {
  const { overlay, services } = running
  const { peers, peerManager } = overlay
  const { registry } = peers
  const { limits } = registry
  const { config, derived } = overlay.local
  const flood = Context.get(services, Flood)
  const listed = peers.authenticated()
  const inbound = registry.authenticatedCount("acceptor")
  const outbound = registry.authenticatedCount("initiator")
  const { queues } = derived.session
  const gauges: Array<Gauge> = [
    { name: "inbound peers", value: inbound, bound: limits.maxInbound },
    { name: "outbound peers", value: outbound, bound: limits.maxOutbound },
    {
      name: "pending inbound",
      value: registry.pendingCount("acceptor"),
      bound: limits.maxInboundPending + limits.possiblyPreferredExtra
    },
    { name: "pending outbound", value: registry.pendingCount("initiator"), bound: limits.maxOutboundPending },
    { name: "known addresses", value: peerManager.size(), bound: config.maxKnownAddresses },
    { name: "flood records", value: flood.gate.size, bound: config.maxFloodRecords },
    { name: "message records", value: flood.records.size, bound: 1_000_000 }
  ]
  for (const { session } of listed) {
    const { flow } = session
    gauges.push(
      { name: "direct messages", value: session.queues.directLength, bound: queues.directCountLimit },
      { name: "direct bytes", value: session.queues.directBytes, bound: queues.directByteLimit },
      { name: "flood capacity", value: flow.localFloodMessages, bound: config.peerFloodReadingCapacity },
      { name: "flood bytes", value: flow.localFloodBytes, bound: derived.bytes.floodReadingCapacityBytes },
      { name: "reading capacity", value: flow.localMessages, bound: config.peerReadingCapacity }
    )
  }
  const stats = node.ledger?.stats()
  return {
    _tag: "Snapshot",
    at: around.at,
    node: node.name,
    pending: { inbound: registry.pendingCount("acceptor"), outbound: registry.pendingCount("initiator") },
    authenticated: { inbound, outbound },
    listed: listed.length,
    places: registry.size,
    sockets: node.sockets(),
    books: listed.map((peer) => booksOf(peer, overlay.local, node, around)),
    gauges,
    ledgerSeq: stats?.ledgerSeq ?? 0,
    isSynced: stats?.isSynced ?? false,
    diverged: stats?.diverged ?? 0
  }
}
