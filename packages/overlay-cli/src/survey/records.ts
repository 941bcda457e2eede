/** What a survey found, as rows of the network database. */
import type { SurveyEdgeRecord, SurveyNodeRecord, SurveyNodeStatus } from "@stellar-overlay/overlay-sql/SurveyDatabase"
import type { SurveyCounters, SurveyedNode, SurveyedPeer } from "@stellar-overlay/overlay/protocol/SurveyBody"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import * as Result from "effect/Result"
import type { PeerRow } from "../topology/surveyJson.ts"
import type { Attributes } from "../topology/Topology.ts"
import type { PlannedNode } from "./SurveyPlan.ts"

const whole = (facts: Attributes, name: string): number => {
  const value = facts[name]
  return typeof value === "number" && Number.isFinite(value) ? Math.max(0, Math.trunc(value)) : 0
}

const nodeOf = (facts: Attributes): SurveyedNode => ({
  addedAuthenticatedPeers: whole(facts, "addedAuthenticatedPeers"),
  droppedAuthenticatedPeers: whole(facts, "droppedAuthenticatedPeers"),
  totalInboundPeerCount: whole(facts, "numTotalInboundPeers"),
  totalOutboundPeerCount: whole(facts, "numTotalOutboundPeers"),
  p75SCPFirstToSelfLatencyMs: whole(facts, "p75SCPFirstToSelfLatencyMs"),
  p75SCPSelfToOtherLatencyMs: whole(facts, "p75SCPSelfToOtherLatencyMs"),
  lostSyncCount: whole(facts, "lostSyncCount"),
  isValidator: facts["isValidator"] === true,
  maxInboundPeerCount: whole(facts, "maxInboundPeerCount"),
  maxOutboundPeerCount: whole(facts, "maxOutboundPeerCount")
})

const counters = (row: PeerRow): SurveyCounters => ({
  messagesRead: whole(row, "messagesRead"),
  messagesWritten: whole(row, "messagesWritten"),
  bytesRead: whole(row, "bytesRead"),
  bytesWritten: whole(row, "bytesWritten"),
  secondsConnected: whole(row, "secondsConnected"),
  uniqueFloodBytesRecv: whole(row, "uniqueFloodBytesRecv"),
  duplicateFloodBytesRecv: whole(row, "duplicateFloodBytesRecv"),
  uniqueFetchBytesRecv: whole(row, "uniqueFetchBytesRecv"),
  duplicateFetchBytesRecv: whole(row, "duplicateFetchBytesRecv"),
  uniqueFloodMessageRecv: whole(row, "uniqueFloodMessageRecv"),
  duplicateFloodMessageRecv: whole(row, "duplicateFloodMessageRecv"),
  uniqueFetchMessageRecv: whole(row, "uniqueFetchMessageRecv"),
  duplicateFetchMessageRecv: whole(row, "duplicateFetchMessageRecv")
})

/** A key that is none, checksum and all, has no row. */
const idOf = (text: string): NodeId.NodeId | undefined => {
  const parsed = NodeId.parse(text)
  return Result.isSuccess(parsed) ? parsed.success : undefined
}

const peersOf = (rows: ReadonlyArray<PeerRow>): ReadonlyArray<SurveyedPeer> =>
  rows.flatMap((row) => {
    const id = idOf(row.nodeId)
    const { version } = row
    if (id === undefined) return []
    return [{
      ...counters(row),
      id,
      version: typeof version === "string" ? version.slice(0, 100) : "",
      averageLatencyMs: whole(row, "averageLatencyMs")
    }]
  })

const statusOf = ({ facts, isBad, requests, status }: PlannedNode): SurveyNodeStatus => {
  if (facts !== undefined) return "answered"
  if (isBad) return "bad-response"
  return status === "silent" ? "silent" : status === "ordered" || requests > 0 ? "requested" : "backlog"
}

/** The rows of some nodes. */
export const recordsOf = (nodes: Iterable<PlannedNode>) => {
  const records: Array<SurveyNodeRecord> = []
  const edges: Array<SurveyEdgeRecord> = []
  for (const node of nodes) {
    const id = idOf(node.id)
    if (id === undefined) continue
    const { answeredAt, facts, requestedAt, requests } = node
    records.push({
      id,
      status: statusOf(node),
      requestedAt,
      answeredAt,
      requests,
      node: facts === undefined ? undefined : nodeOf(facts)
    })
    for (const peer of peersOf(node.inbound)) edges.push({ node: id, direction: "inbound", peer })
    for (const peer of peersOf(node.outbound)) edges.push({ node: id, direction: "outbound", peer })
  }
  return { nodes: records, edges }
}
