/** What the tests of surveys share: ids, peers that only have counters, and bodies. */
import type { DropReason } from "../src/DropReason.ts"
import type { Role } from "../src/protocol/Handshake.ts"
import { SessionStats } from "../src/protocol/SessionStats.ts"
import type { SurveyBody, SurveyedPeer } from "../src/protocol/SurveyBody.ts"
import type { SurveyStateOptions } from "../src/protocol/SurveyState.ts"
import * as NodeId from "../src/wire/NodeId.ts"

export const idOf = (n: number): NodeId.NodeId => {
  const key = new Uint8Array(32)
  key[0] = n >> 8
  key[1] = n
  return NodeId.fromBytes(key)
}

export const fakePeer = (n: number, role: Role, createdAt = 0) => {
  const stats = new SessionStats(createdAt)
  const liveness = { latencyMillis: 86_400_000 }
  const session: { stats: SessionStats; liveness: typeof liveness; dropReason: DropReason | undefined } = {
    stats,
    liveness,
    dropReason: undefined
  }
  return {
    id: idOf(n),
    role,
    remote: { version: `node ${n}` },
    session,
    pong: (millis: number) => {
      liveness.latencyMillis = millis
      stats.pongs++
    }
  }
}

export type FakePeer = ReturnType<typeof fakePeer>

export const stateOptions: SurveyStateOptions = {
  isValidator: true,
  maxInboundPeerCount: 64,
  maxOutboundPeerCount: 8,
  collectingMillis: 1_800_000,
  reportingMillis: 10_800_000
}

/** A connection whose thirteen counters are 1001, 1002, … times `n`. */
export const surveyedPeer = (n: number, version = `v${n}`): SurveyedPeer => ({
  id: idOf(n),
  version,
  messagesRead: 1001 * n,
  messagesWritten: 1002 * n,
  bytesRead: 1003 * n,
  bytesWritten: 1004 * n,
  secondsConnected: 1005 * n,
  uniqueFloodBytesRecv: 1006 * n,
  duplicateFloodBytesRecv: 1007 * n,
  uniqueFetchBytesRecv: 1008 * n,
  duplicateFetchBytesRecv: 1009 * n,
  uniqueFloodMessageRecv: 1010 * n,
  duplicateFloodMessageRecv: 1011 * n,
  uniqueFetchMessageRecv: 1012 * n,
  duplicateFetchMessageRecv: 1013 * n,
  averageLatencyMs: n
})

export const bodyOf = (inbound: number, outbound: number, version?: string): SurveyBody => ({
  node: {
    addedAuthenticatedPeers: 1,
    droppedAuthenticatedPeers: 2,
    totalInboundPeerCount: inbound,
    totalOutboundPeerCount: outbound,
    p75SCPFirstToSelfLatencyMs: 5,
    p75SCPSelfToOtherLatencyMs: 6,
    lostSyncCount: 7,
    isValidator: true,
    maxInboundPeerCount: 64,
    maxOutboundPeerCount: 8
  },
  inboundPeers: Array.from({ length: inbound }, (_, i) => surveyedPeer(i + 1, version)),
  outboundPeers: Array.from({ length: outbound }, (_, i) => surveyedPeer(300 + i, version))
})
