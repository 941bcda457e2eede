/** Rows of the tables of a survey, and what they stand for. Rows that somebody else wrote and make no sense are skipped. */
import type { SurveyedNode, SurveyedPeer } from "@stellar-overlay/overlay/protocol/SurveyBody"
import { idOf, number } from "./crawlRows.ts"

type Int = number | string

/** Columns of `survey_node` and the fields of a surveyed node, in the order of the wire. */
const nodeColumns = [
  ["added_authenticated_peers", "addedAuthenticatedPeers"],
  ["dropped_authenticated_peers", "droppedAuthenticatedPeers"],
  ["total_inbound_peer_count", "totalInboundPeerCount"],
  ["total_outbound_peer_count", "totalOutboundPeerCount"],
  ["p75_scp_first_to_self_latency_ms", "p75SCPFirstToSelfLatencyMs"],
  ["p75_scp_self_to_other_latency_ms", "p75SCPSelfToOtherLatencyMs"],
  ["lost_sync_count", "lostSyncCount"],
  ["max_inbound_peer_count", "maxInboundPeerCount"],
  ["max_outbound_peer_count", "maxOutboundPeerCount"]
] as const

/** Columns of `survey_edge` and the fields of one of its peers, in the order of the wire. */
const peerColumns = [
  ["messages_read", "messagesRead"],
  ["messages_written", "messagesWritten"],
  ["bytes_read", "bytesRead"],
  ["bytes_written", "bytesWritten"],
  ["seconds_connected", "secondsConnected"],
  ["unique_flood_bytes_recv", "uniqueFloodBytesRecv"],
  ["duplicate_flood_bytes_recv", "duplicateFloodBytesRecv"],
  ["unique_fetch_bytes_recv", "uniqueFetchBytesRecv"],
  ["duplicate_fetch_bytes_recv", "duplicateFetchBytesRecv"],
  ["unique_flood_message_recv", "uniqueFloodMessageRecv"],
  ["duplicate_flood_message_recv", "duplicateFloodMessageRecv"],
  ["unique_fetch_message_recv", "uniqueFetchMessageRecv"],
  ["duplicate_fetch_message_recv", "duplicateFetchMessageRecv"],
  ["average_latency_ms", "averageLatencyMs"]
] as const

type NodeColumn = (typeof nodeColumns)[number][0] | "is_validator"
type NodeField = (typeof nodeColumns)[number][1]
type PeerColumn = (typeof peerColumns)[number][0]
type PeerField = (typeof peerColumns)[number][1]

export type NodeRow = { readonly [column in NodeColumn]: Int | null }
export type PeerRow = { readonly [column in PeerColumn]: Int } & { readonly peer_id: string; readonly version: string }

/** What a signed 64-bit column and a number both hold; a hostile node may claim more. */
const clamp = (value: number): number => Math.min(Math.max(0, Math.trunc(value)), Number.MAX_SAFE_INTEGER)

export const nodeRow = (node: SurveyedNode | undefined): Record<NodeColumn, number | null> => {
  const values = nodeColumns.map(([column, field]) => [column, node === undefined ? null : clamp(node[field])] as const)
  return {
    ...Object.fromEntries(values) as Record<NodeColumn, number | null>, // every column is in the list
    is_validator: node === undefined ? null : node.isValidator ? 1 : 0
  }
}

export const nodeOf = (row: NodeRow): SurveyedNode | undefined => {
  if (row.is_validator === null) return undefined
  const values = nodeColumns.map(([column, field]) => [field, number(row[column]) ?? 0] as const)
  return {
    ...Object.fromEntries(values) as Record<NodeField, number>, // every field is in the list
    isValidator: Number(row.is_validator) === 1
  }
}

export const peerRow = (peer: SurveyedPeer): Record<PeerColumn, number> & { peer_id: string; version: string } => {
  const values = peerColumns.map(([column, field]) => [column, clamp(peer[field])] as const)
  return {
    peer_id: peer.id,
    version: peer.version.replaceAll("\0", "\ufffd"), // U+0000 is no text for PostgreSQL
    ...Object.fromEntries(values) as Record<PeerColumn, number> // every column is in the list
  }
}

export const peerOf = (row: PeerRow): SurveyedPeer | undefined => {
  const id = idOf(row.peer_id)
  if (id === undefined) return undefined
  const values = peerColumns.map(([column, field]) => [field, Number(row[column])] as const)
  return { id, version: row.version, ...Object.fromEntries(values) as Record<PeerField, number> } // as above
}
