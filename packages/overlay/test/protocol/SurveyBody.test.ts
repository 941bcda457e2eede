import { assert, describe, it } from "@effect/vitest"
import { xdr } from "@stellar/stellar-base"
import { toHex } from "../../src/internal/bytes.ts"
import * as SurveyBody from "../../src/protocol/SurveyBody.ts"
import * as NodeId from "../../src/wire/NodeId.ts"
import { bodyOf, surveyedPeer } from "../surveyFixtures.ts"

const uint64 = (value: number) => xdr.Uint64.fromString(String(value))

/** The same body by stellar-base. */
const byBase = ({ inboundPeers, node, outboundPeers }: SurveyBody.SurveyBody) => {
  const peer = (p: SurveyBody.SurveyedPeer) =>
    new xdr.TimeSlicedPeerData({
      averageLatencyMs: p.averageLatencyMs,
      peerStats: new xdr.PeerStats({
        id: xdr.PublicKey.publicKeyTypeEd25519(Buffer.from(NodeId.toBytes(p.id))),
        versionStr: p.version,
        messagesRead: uint64(p.messagesRead),
        messagesWritten: uint64(p.messagesWritten),
        bytesRead: uint64(p.bytesRead),
        bytesWritten: uint64(p.bytesWritten),
        secondsConnected: uint64(p.secondsConnected),
        uniqueFloodBytesRecv: uint64(p.uniqueFloodBytesRecv),
        duplicateFloodBytesRecv: uint64(p.duplicateFloodBytesRecv),
        uniqueFetchBytesRecv: uint64(p.uniqueFetchBytesRecv),
        duplicateFetchBytesRecv: uint64(p.duplicateFetchBytesRecv),
        uniqueFloodMessageRecv: uint64(p.uniqueFloodMessageRecv),
        duplicateFloodMessageRecv: uint64(p.duplicateFloodMessageRecv),
        uniqueFetchMessageRecv: uint64(p.uniqueFetchMessageRecv),
        duplicateFetchMessageRecv: uint64(p.duplicateFetchMessageRecv)
      })
    })
  return xdr.SurveyResponseBody.surveyTopologyResponseV2(
    new xdr.TopologyResponseBodyV2({
      inboundPeers: inboundPeers.map(peer),
      outboundPeers: outboundPeers.map(peer),
      nodeData: new xdr.TimeSlicedNodeData({
        addedAuthenticatedPeers: node.addedAuthenticatedPeers,
        droppedAuthenticatedPeers: node.droppedAuthenticatedPeers,
        totalInboundPeerCount: node.totalInboundPeerCount,
        totalOutboundPeerCount: node.totalOutboundPeerCount,
        p75ScpFirstToSelfLatencyMs: node.p75SCPFirstToSelfLatencyMs,
        p75ScpSelfToOtherLatencyMs: node.p75SCPSelfToOtherLatencyMs,
        lostSyncCount: node.lostSyncCount,
        isValidator: node.isValidator,
        maxInboundPeerCount: node.maxInboundPeerCount,
        maxOutboundPeerCount: node.maxOutboundPeerCount
      })
    })
  )
}

describe("survey bodies", () => {
  for (const [inbound, outbound] of [[0, 0], [1, 0], [0, 3], [25, 25]] as const) {
    it(`SUR-13 ${inbound} inbound and ${outbound} outbound peers are encoded and read as by stellar-base`, () => {
      const body = bodyOf(inbound, outbound)
      const bytes = SurveyBody.encode(body)
      assert.strictEqual(toHex(bytes), byBase(body).toXDR("hex"))
      assert.deepStrictEqual(SurveyBody.decode(bytes), body)
    })
  }

  it("SVM-001 the largest body is 40 bytes of node, and 148 and the version for each peer", () => {
    const version = "v".repeat(100)
    const bytes = SurveyBody.encode(bodyOf(25, 25, version))
    assert.strictEqual(bytes.length, 4 + 4 + 4 + 40 + 50 * (148 + 100))
    assert.isBelow(bytes.length + 48, 64_000)
    assert.throws(() => SurveyBody.encode(bodyOf(26, 0)), RangeError)
  })

  it("SUR-13 a version that is longer in UTF-8 than it was on the wire is cut, not refused", () => {
    const replaced = "\u{fffd}".repeat(100) // a hundred bytes that were no UTF-8
    const body = { ...bodyOf(0, 0), inboundPeers: [surveyedPeer(1, replaced)] }
    assert.strictEqual(SurveyBody.decode(SurveyBody.encode(body))?.inboundPeers[0]?.version, "\u{fffd}".repeat(33))
  })

  it("SUR-13 numbers are clamped to their fields", () => {
    const body = bodyOf(0, 0)
    const odd = {
      ...body,
      node: { ...body.node, lostSyncCount: 2 ** 40, addedAuthenticatedPeers: -1 },
      outboundPeers: [{ ...surveyedPeer(1), averageLatencyMs: 86_400_000 * 100, bytesRead: 2 ** 60 }]
    }
    const read = SurveyBody.decode(SurveyBody.encode(odd))!
    assert.strictEqual(read.node.lostSyncCount, 0xffffffff)
    assert.strictEqual(read.node.addedAuthenticatedPeers, 0)
    assert.strictEqual(read.outboundPeers[0]?.averageLatencyMs, 0xffffffff)
    assert.strictEqual(read.outboundPeers[0]?.bytesRead, Number.MAX_SAFE_INTEGER)
  })

  it("SUR-17 S2 nothing that is cut, lengthened or of another kind is read", () => {
    const bytes = SurveyBody.encode(bodyOf(2, 3))
    for (let length = 0; length < bytes.length; length++) {
      assert.isUndefined(SurveyBody.decode(bytes.subarray(0, length)), `${length} bytes`)
    }
    assert.isUndefined(SurveyBody.decode(new Uint8Array([...bytes, 0, 0, 0, 0])))
    const changed = (at: number, value: number) => {
      const copy = bytes.slice()
      copy[at] = value
      return copy
    }
    assert.isUndefined(SurveyBody.decode(changed(3, 0)), "a topology response of version 0")
    assert.isUndefined(SurveyBody.decode(changed(7, 26)), "26 peers")
    assert.isUndefined(SurveyBody.decode(changed(4, 0x80)), "a count of 2^31")
    assert.isUndefined(SurveyBody.decode(changed(11, 1)), "a key of another type")
    assert.isUndefined(SurveyBody.decode(changed(47, 101)), "a version of 101 bytes")
    assert.isUndefined(SurveyBody.decode(changed(bytes.length - 9, 2)), "a boolean of 2")
  })

  it("SUR-15 the JSON has core's keys, and null for no peers", () => {
    const json = SurveyBody.toJson({ ...bodyOf(0, 0), outboundPeers: [surveyedPeer(2)] })
    assert.deepStrictEqual(Object.keys(json).sort(), [
      "addedAuthenticatedPeers",
      "droppedAuthenticatedPeers",
      "inboundPeers",
      "isValidator",
      "lostSyncCount",
      "maxInboundPeerCount",
      "maxOutboundPeerCount",
      "numTotalInboundPeers",
      "numTotalOutboundPeers",
      "outboundPeers",
      "p75SCPFirstToSelfLatencyMs",
      "p75SCPSelfToOtherLatencyMs"
    ])
    assert.isNull(json.inboundPeers)
    assert.deepStrictEqual(Object.keys(json.outboundPeers![0]!).sort(), [
      "averageLatencyMs",
      "bytesRead",
      "bytesWritten",
      "duplicateFetchBytesRecv",
      "duplicateFetchMessageRecv",
      "duplicateFloodBytesRecv",
      "duplicateFloodMessageRecv",
      "messagesRead",
      "messagesWritten",
      "nodeId",
      "secondsConnected",
      "uniqueFetchBytesRecv",
      "uniqueFetchMessageRecv",
      "uniqueFloodBytesRecv",
      "uniqueFloodMessageRecv",
      "version"
    ])
    assert.strictEqual(json.outboundPeers![0]!.nodeId, surveyedPeer(2).id)
  })
})
