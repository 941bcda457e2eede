/**
 * What a surveyed node tells: about itself, and about up to 25 peers of each direction. As XDR, and as the JSON of
 * stellar-core's `getsurveyresult`.
 *
 * Implements protocol.md 12.3 and 12.6 (stellar-core: `SurveyManager.cpp`; XDR `SurveyResponseBody`).
 *
 * @since 0.1.0
 */
import { xdr } from "@stellar/stellar-base"
import { readUint32, readUint64, writeUint32, writeUint64 } from "../internal/bytes.ts"
import * as F from "../internal/xdrFields.ts"
import * as NodeId from "../wire/NodeId.ts"
import * as XdrValidator from "../wire/XdrValidator.ts"

/**
 * Peers of one direction in a response.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_PEERS_PER_RESPONSE = 25

/** Longest version string of a peer, in bytes. */
const MAX_VERSION_LENGTH = 100

/** SURVEY_TOPOLOGY_RESPONSE_V2, the only arm there is. */
const TOPOLOGY_RESPONSE_V2 = 2

/** The 64-bit fields of PeerStats in the order of the wire; core's JSON has the same names. */
const counterNames = [
  "messagesRead",
  "messagesWritten",
  "bytesRead",
  "bytesWritten",
  "secondsConnected",
  "uniqueFloodBytesRecv",
  "duplicateFloodBytesRecv",
  "uniqueFetchBytesRecv",
  "duplicateFetchBytesRecv",
  "uniqueFloodMessageRecv",
  "duplicateFloodMessageRecv",
  "uniqueFetchMessageRecv",
  "duplicateFetchMessageRecv"
] as const

/**
 * The counters of one connection: differences over the slice but for `secondsConnected`, which is the whole connection's.
 * Those of another node are exact up to 2^53.
 *
 * @category models
 * @since 0.1.0
 */
export type SurveyCounters = { readonly [name in (typeof counterNames)[number]]: number }

/**
 * One connection of a surveyed node.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyedPeer extends SurveyCounters {
  readonly id: NodeId.NodeId
  /** As the peer calls itself: escape it before a terminal or a page. Cut to 100 bytes when sent. */
  readonly version: string
  /** The median of the pings of the slice. */
  readonly averageLatencyMs: number
}

/**
 * What a node says about itself. Numbers are 32 bits.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyedNode {
  /** Peers that authenticated during the slice. */
  readonly addedAuthenticatedPeers: number
  /** Authenticated peers that went away during the slice. */
  readonly droppedAuthenticatedPeers: number
  /** Peers that were there from the beginning of the slice to its end, as in the lists. */
  readonly totalInboundPeerCount: number
  readonly totalOutboundPeerCount: number
  /** Milliseconds from the first externalize message of a slot to the node's own. */
  readonly p75SCPFirstToSelfLatencyMs: number
  /** Milliseconds to those of the others. */
  readonly p75SCPSelfToOtherLatencyMs: number
  /** How many times the node lost sync, and one more if it was not in sync when the slice began. */
  readonly lostSyncCount: number
  readonly isValidator: boolean
  /** MAX_ADDITIONAL_PEER_CONNECTIONS. */
  readonly maxInboundPeerCount: number
  /** TARGET_PEER_CONNECTIONS. */
  readonly maxOutboundPeerCount: number
}

/**
 * A response, or a node's whole knowledge: lists in NodeID order.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyBody {
  readonly node: SurveyedNode
  readonly inboundPeers: ReadonlyArray<SurveyedPeer>
  readonly outboundPeers: ReadonlyArray<SurveyedPeer>
}

/**
 * Up to 25 peers of each direction from two indices on; an index past the end gives none.
 *
 * @category combinators
 * @since 0.1.0
 */
export const page = (body: SurveyBody, inboundPeersIndex: number, outboundPeersIndex: number): SurveyBody => ({
  node: body.node,
  inboundPeers: body.inboundPeers.slice(inboundPeersIndex, inboundPeersIndex + MAX_PEERS_PER_RESPONSE),
  outboundPeers: body.outboundPeers.slice(outboundPeersIndex, outboundPeersIndex + MAX_PEERS_PER_RESPONSE)
})

// ------------------------------------------------------------------------------------------------------------ XDR

const NODE_LENGTH = 40

const whole = (value: number, max: number): number => Math.min(Math.max(0, Math.trunc(value)), max)

const entryLength = (version: Uint8Array): number => 148 + F.padded(version.length)

/** Writes a list, with its count, and gives the offset after it. */
const writePeers = (
  bytes: Uint8Array,
  at: number,
  peers: ReadonlyArray<SurveyedPeer>,
  versions: ReadonlyArray<Uint8Array>
): number => {
  writeUint32(bytes, at, peers.length)
  at += 4
  peers.forEach((peer, i) => {
    bytes.set(NodeId.toBytes(peer.id), at + 4) // the four before it are the key type, 0
    at = F.writeOpaque(bytes, at + 36, versions[i]!)
    for (const name of counterNames) {
      writeUint64(bytes, at, BigInt(whole(peer[name], Number.MAX_SAFE_INTEGER)))
      at += 8
    }
    writeUint32(bytes, at, whole(peer.averageLatencyMs, 0xffffffff))
    at += 4
  })
  return at
}

/**
 * The XDR of a response: at most 12,456 bytes. Numbers that do not fit are clamped.
 *
 * Throws `RangeError` for more than 25 peers of a direction.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = ({ inboundPeers, node, outboundPeers }: SurveyBody): Uint8Array => {
  if (inboundPeers.length > MAX_PEERS_PER_RESPONSE || outboundPeers.length > MAX_PEERS_PER_RESPONSE) {
    throw new RangeError(`a response has at most ${MAX_PEERS_PER_RESPONSE} peers of a direction`)
  }
  const versionsOf = (peers: ReadonlyArray<SurveyedPeer>) =>
    peers.map((peer) => F.cutText(peer.version, MAX_VERSION_LENGTH))
  const inboundVersions = versionsOf(inboundPeers)
  const outboundVersions = versionsOf(outboundPeers)
  let length = 4 + 4 + 4 + NODE_LENGTH
  for (const version of inboundVersions) length += entryLength(version)
  for (const version of outboundVersions) length += entryLength(version)
  const bytes = new Uint8Array(length)
  writeUint32(bytes, 0, TOPOLOGY_RESPONSE_V2)
  let at = writePeers(bytes, 4, inboundPeers, inboundVersions)
  at = writePeers(bytes, at, outboundPeers, outboundVersions)
  const fields = [
    node.addedAuthenticatedPeers,
    node.droppedAuthenticatedPeers,
    node.totalInboundPeerCount,
    node.totalOutboundPeerCount,
    node.p75SCPFirstToSelfLatencyMs,
    node.p75SCPSelfToOtherLatencyMs,
    node.lostSyncCount,
    node.isValidator ? 1 : 0,
    node.maxInboundPeerCount,
    node.maxOutboundPeerCount
  ]
  fields.forEach((field, i) => writeUint32(bytes, at + 4 * i, whole(field, 0xffffffff)))
  return bytes
}

const readPeers = (bytes: Uint8Array, at: number): { readonly peers: Array<SurveyedPeer>; readonly end: number } => {
  const count = readUint32(bytes, at)
  const peers: Array<SurveyedPeer> = []
  at += 4
  for (let i = 0; i < count; i++) {
    const id = NodeId.fromBytes(bytes.subarray(at + 4, at + 36))
    const version = F.text(F.opaque(bytes, at + 36))
    at = F.skipOpaque(bytes, at + 36)
    const start = at
    const counter = (index: number): number => Number(readUint64(bytes, start + 8 * index))
    const counters = Object.fromEntries(counterNames.map((name, index) => [name, counter(index)]))
    at += 8 * counterNames.length
    // Object.fromEntries forgets the names, which are those of SurveyCounters.
    peers.push({ id, version, ...counters as SurveyCounters, averageLatencyMs: readUint32(bytes, at) })
    at += 4
  }
  return { peers, end: at }
}

let validator: XdrValidator.XdrValidator | undefined

/**
 * Reads a response that anybody may have sent: undefined when the bytes are not exactly one `SurveyResponseBody`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (bytes: Uint8Array): SurveyBody | undefined => {
  validator ??= XdrValidator.make(xdr.SurveyResponseBody)
  if (validator.validate(bytes, 0, bytes.length) >= 0) return undefined
  const inbound = readPeers(bytes, 4)
  const outbound = readPeers(bytes, inbound.end)
  const field = (index: number): number => readUint32(bytes, outbound.end + 4 * index)
  return {
    inboundPeers: inbound.peers,
    outboundPeers: outbound.peers,
    node: {
      addedAuthenticatedPeers: field(0),
      droppedAuthenticatedPeers: field(1),
      totalInboundPeerCount: field(2),
      totalOutboundPeerCount: field(3),
      p75SCPFirstToSelfLatencyMs: field(4),
      p75SCPSelfToOtherLatencyMs: field(5),
      lostSyncCount: field(6),
      isValidator: field(7) !== 0,
      maxInboundPeerCount: field(8),
      maxOutboundPeerCount: field(9)
    }
  }
}

// ----------------------------------------------------------------------------------------------------------- JSON

/**
 * A connection in core's JSON.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyedPeerJson extends SurveyCounters {
  readonly nodeId: string
  readonly version: string
  readonly averageLatencyMs: number
}

/**
 * A node in core's JSON.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyedNodeJson extends Omit<SurveyedNode, "totalInboundPeerCount" | "totalOutboundPeerCount"> {
  readonly numTotalInboundPeers: number
  readonly numTotalOutboundPeers: number
  /** Null when there are none. */
  readonly inboundPeers: ReadonlyArray<SurveyedPeerJson> | null
  readonly outboundPeers: ReadonlyArray<SurveyedPeerJson> | null
}

const peersToJson = (peers: ReadonlyArray<SurveyedPeer>): ReadonlyArray<SurveyedPeerJson> | null =>
  peers.length === 0 ? null : peers.map(({ id, ...rest }) => ({ nodeId: id, ...rest }))

/**
 * A node with its peers as core shows them in `topology`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toJson = ({ inboundPeers, node, outboundPeers }: SurveyBody): SurveyedNodeJson => {
  const { totalInboundPeerCount, totalOutboundPeerCount, ...rest } = node
  return {
    ...rest,
    numTotalInboundPeers: totalInboundPeerCount,
    numTotalOutboundPeers: totalOutboundPeerCount,
    inboundPeers: peersToJson(inboundPeers),
    outboundPeers: peersToJson(outboundPeers)
  }
}
