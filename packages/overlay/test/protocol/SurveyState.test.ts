import { assert, describe, it } from "@effect/vitest"
import * as DropReason from "../../src/DropReason.ts"
import { MAX_SURVEY_SAMPLES, SurveySamples } from "../../src/protocol/SurveySamples.ts"
import { COLLECTING_PHASE_MILLIS, REPORTING_PHASE_MILLIS, SurveyState } from "../../src/protocol/SurveyState.ts"
import { fakePeer, idOf, stateOptions } from "../surveyFixtures.ts"

const A = idOf(1)
const survey = { nonce: 0xcafe, surveyorId: A }
const minutes = (n: number) => n * 60_000

const started = (peers: Parameters<SurveyState["startSurveyCollecting"]>[1] = [], now = 0, isTracking = true) => {
  const state = new SurveyState(stateOptions)
  assert.isTrue(state.startSurveyCollecting(survey, peers, isTracking, now))
  return state
}

describe("survey phases", () => {
  it("SUR-01 SUR-11 the phases last 30 minutes and 3 hours, and end when those are exceeded", () => {
    assert.deepStrictEqual([COLLECTING_PHASE_MILLIS, REPORTING_PHASE_MILLIS], [1_800_000, 10_800_000])
    const state = started([], 1000)
    assert.deepStrictEqual([state.phase, state.isActive, state.nonce], ["COLLECTING", true, 0xcafe])
    assert.isFalse(state.update(1000 + minutes(30)), "strictly more than the duration")
    assert.isTrue(state.update(1001 + minutes(30)))
    assert.strictEqual(state.phase, "REPORTING")
    assert.isTrue(state.nonceIsReporting(0xcafe))
    assert.isFalse(state.nonceIsReporting(0xcaff))
    assert.isFalse(state.update(1001 + minutes(30) + minutes(180)), "three hours from the end of collecting")
    assert.isTrue(state.update(1002 + minutes(30) + minutes(180)))
    assert.deepStrictEqual([state.phase, state.isActive, state.nonce], ["INACTIVE", false, undefined])
    assert.isUndefined(state.final)
    assert.isTrue(state.startSurveyCollecting(survey, [], true, minutes(300)))
  })

  it("SUR-01 S3 no second start while a survey is active, in either phase", () => {
    const state = started()
    const other = { nonce: 1, surveyorId: idOf(2) }
    assert.isFalse(state.startSurveyCollecting(other, [], true, 1))
    assert.isFalse(state.startSurveyCollecting(survey, [], true, 1))
    state.stopSurveyCollecting(survey, 2)
    assert.isFalse(state.startSurveyCollecting(other, [], true, 3))
    assert.isFalse(state.startSurveyCollecting(survey, [], true, 3))
    assert.strictEqual(state.surveyorId, A)
  })

  it("SUR-12 S3 only the surveyor stops, with its number, and once", () => {
    const state = started()
    assert.isFalse(state.stopSurveyCollecting({ nonce: 1, surveyorId: A }, 1))
    assert.isFalse(state.stopSurveyCollecting({ nonce: 0xcafe, surveyorId: idOf(2) }, 1))
    assert.strictEqual(state.phase, "COLLECTING")
    assert.isTrue(state.stopSurveyCollecting(survey, 1))
    assert.isFalse(state.stopSurveyCollecting(survey, 1))
    assert.isFalse(new SurveyState(stateOptions).stopSurveyCollecting(survey, 1))
  })

  it("SUR-12 SUR-13 only the surveyor that started is answered, while reporting", () => {
    const state = started([fakePeer(2, "acceptor")])
    const request = { ...survey, inboundPeersIndex: 0, outboundPeersIndex: 0 }
    assert.isUndefined(state.fillSurveyData(request))
    state.stopSurveyCollecting(survey, 1)
    assert.strictEqual(state.fillSurveyData(request)?.inboundPeers.length, 1)
    assert.isUndefined(state.fillSurveyData({ ...request, surveyorId: idOf(2) }))
    assert.isUndefined(state.fillSurveyData({ ...request, nonce: 1 }))
    state.update(minutes(200))
    assert.isUndefined(state.fillSurveyData(request))
  })

  it("SUR-01 a surveyor that was restarted goes on to report, with nothing of its own", () => {
    const state = new SurveyState(stateOptions)
    assert.isTrue(state.resumeReporting(survey, 0))
    assert.isTrue(state.nonceIsReporting(0xcafe))
    assert.isUndefined(state.final)
    assert.isUndefined(state.fillSurveyData({ ...survey, inboundPeersIndex: 0, outboundPeersIndex: 0 }))
    assert.isFalse(state.resumeReporting(survey, 0))
    assert.isFalse(state.startSurveyCollecting(survey, [], true, 0))
    assert.isTrue(state.update(REPORTING_PHASE_MILLIS + 1))
    assert.strictEqual(state.phase, "INACTIVE")
  })
})

describe("survey data", () => {
  it("SUR-12 counters are those of the slice, secondsConnected that of the connection", () => {
    const peer = fakePeer(2, "acceptor", 500)
    const { stats } = peer.session
    const use = (factor: number) => {
      stats.messagesRead += factor
      stats.messagesWritten += 2 * factor
      stats.bytesRead += 3 * factor
      stats.bytesWritten += 4 * factor
      stats.uniqueFloodBytes += 5 * factor
      stats.duplicateFloodBytes += 6 * factor
      stats.uniqueFetchBytes += 7 * factor
      stats.duplicateFetchBytes += 8 * factor
      stats.uniqueFloodMessages += 9 * factor
      stats.duplicateFloodMessages += 10 * factor
      stats.uniqueFetchMessages += 11 * factor
      stats.duplicateFetchMessages += 12 * factor
    }
    use(1000)
    const state = started([peer], 60_000)
    use(10)
    state.stopSurveyCollecting(survey, 90_499)
    use(1000)
    assert.deepStrictEqual(state.final?.inboundPeers, [{
      id: peer.id,
      version: "node 2",
      messagesRead: 10,
      messagesWritten: 20,
      bytesRead: 30,
      bytesWritten: 40,
      secondsConnected: 89,
      uniqueFloodBytesRecv: 50,
      duplicateFloodBytesRecv: 60,
      uniqueFetchBytesRecv: 70,
      duplicateFetchBytesRecv: 80,
      uniqueFloodMessageRecv: 90,
      duplicateFloodMessageRecv: 100,
      uniqueFetchMessageRecv: 110,
      duplicateFetchMessageRecv: 120,
      averageLatencyMs: 0
    }])
  })

  it("SUR-12 the latency is the median of the pings of the slice", () => {
    const peer = fakePeer(2, "acceptor")
    peer.pong(9999)
    const state = started([peer], 0)
    for (const [i, millis] of [40, 10, 1000, 20].entries()) {
      peer.pong(millis)
      state.update(5000 * i)
      state.update(5000 * i + 3000) // no ping in between: nothing new
    }
    state.stopSurveyCollecting(survey, 30_000)
    assert.strictEqual(state.final?.inboundPeers[0]?.averageLatencyMs, 30)
  })

  it("SUR-12 a ping answered after the last look counts", () => {
    const peer = fakePeer(2, "initiator")
    const state = started([peer])
    peer.pong(77)
    state.stopSurveyCollecting(survey, 10)
    assert.strictEqual(state.final?.outboundPeers[0]?.averageLatencyMs, 77)
  })

  it("SUR-12 SVM-022 peers that come are counted, those that go are counted and off the list, even if they return", () => {
    const [stays, goes, comes] = [fakePeer(2, "acceptor"), fakePeer(3, "initiator"), fakePeer(4, "acceptor")]
    const state = started([stays, goes])
    state.addPeer(comes)
    state.recordDroppedPeer(goes)
    const returned = fakePeer(3, "acceptor")
    state.addPeer(returned)
    state.stopSurveyCollecting(survey, 10)
    state.addPeer(fakePeer(5, "acceptor"))
    state.recordDroppedPeer(stays)
    assert.deepStrictEqual(state.final?.inboundPeers.map(({ id }) => id), [stays.id])
    assert.deepStrictEqual(state.final?.outboundPeers, [])
    const { node } = state.final!
    assert.deepStrictEqual([node.addedAuthenticatedPeers, node.droppedAuthenticatedPeers], [2, 1])
    assert.deepStrictEqual([node.totalInboundPeerCount, node.totalOutboundPeerCount], [1, 0])
  })

  it("SUR-12 a peer is dropped in the moment it is, whoever has said so yet", () => {
    const [gone, newcomer, late] = [fakePeer(2, "acceptor"), fakePeer(3, "acceptor"), fakePeer(4, "acceptor")]
    late.session.dropReason = DropReason.make("RemoteClosed")
    const state = started([gone, late])
    state.recordDroppedPeer(late) // it went before the slice
    state.addPeer(newcomer)
    gone.session.dropReason = DropReason.make("RemoteClosed")
    newcomer.session.dropReason = DropReason.make("RemoteClosed")
    state.stopSurveyCollecting(survey, 10)
    state.recordDroppedPeer(gone)
    assert.deepStrictEqual(state.final?.inboundPeers, [])
    assert.strictEqual(state.final?.node.droppedAuthenticatedPeers, 2)
  })

  it("SUR-12 the node: latencies of SCP, sync losses of the slice and one for the beginning, the configuration", () => {
    const state = new SurveyState(stateOptions)
    state.recordLostSync()
    state.recordFirstToSelfLatency(100_000)
    state.startSurveyCollecting(survey, [], false, 0)
    state.recordLostSync()
    for (let i = 1; i <= 99; i++) {
      state.recordFirstToSelfLatency(i)
      state.recordSelfToOtherLatency(10 * i)
    }
    state.stopSurveyCollecting(survey, 10)
    state.recordLostSync()
    assert.deepStrictEqual(state.final?.node, {
      addedAuthenticatedPeers: 0,
      droppedAuthenticatedPeers: 0,
      totalInboundPeerCount: 0,
      totalOutboundPeerCount: 0,
      p75SCPFirstToSelfLatencyMs: 75,
      p75SCPSelfToOtherLatencyMs: 750,
      lostSyncCount: 2,
      isValidator: true,
      maxInboundPeerCount: 64,
      maxOutboundPeerCount: 8
    })
  })

  it("SUR-13 SVM-012 pages of 25 cover all peers once, in the order of their keys", () => {
    const numbers = Array.from({ length: 130 }, (_, i) => (i * 37) % 131 + 2)
    const peers = numbers.map((n) => fakePeer(n, n % 2 === 0 ? "acceptor" : "initiator"))
    const state = started(peers)
    state.stopSurveyCollecting(survey, 10)
    const fill = (inbound: number, outbound: number) =>
      state.fillSurveyData({ ...survey, inboundPeersIndex: inbound, outboundPeersIndex: outbound })!
    const first = fill(0, 0)
    assert.deepStrictEqual([first.node.totalInboundPeerCount, first.node.totalOutboundPeerCount], [65, 65])
    const pages = [0, 25, 50, 75].map((at) => fill(at, at))
    assert.deepStrictEqual(pages.map((page) => page.inboundPeers.length), [25, 25, 15, 0])
    const inbound = pages.flatMap((page) => page.inboundPeers.map(({ id }) => id))
    const even = [...numbers].filter((n) => n % 2 === 0).sort((a, b) => a - b)
    assert.deepStrictEqual(inbound, even.map(idOf))
    assert.strictEqual(new Set(pages.flatMap((page) => page.outboundPeers.map(({ id }) => id))).size, 65)
    assert.deepStrictEqual(fill(4_294_967_295, 4_294_967_295).outboundPeers, [])
    assert.deepStrictEqual(fill(64, 0).inboundPeers.map(({ id }) => id), [idOf(even[64]!)])
  })
})

describe("survey samples", () => {
  it("SUR-12 quantiles interpolate, and are 0 of nothing and whole numbers of 32 bits", () => {
    const of = (...values: ReadonlyArray<number>) => {
      const samples = new SurveySamples()
      values.forEach((value) => samples.add(value))
      return samples
    }
    assert.strictEqual(of().quantile(0.5), 0)
    assert.strictEqual(of(7).quantile(0.75), 7)
    assert.strictEqual(of(30, 10).quantile(0.5), 20)
    assert.strictEqual(of(3, 1, 2).quantile(0.5), 2)
    assert.strictEqual(of(1, 2, 3, 4).quantile(0.75), 3) // 3.75, cut
    assert.strictEqual(of(1, 2).quantile(1), 2)
    assert.strictEqual(of(1e20).quantile(0.5), 0xffffffff)
    assert.strictEqual(of(-5).quantile(0.5), 0)
  })

  it("SUR-17 what is kept is bounded and still stands for all", () => {
    const samples = new SurveySamples()
    let largest = 0
    for (let i = 0; i < 100_000; i++) {
      samples.add(i)
      largest = Math.max(largest, samples.size)
    }
    assert.strictEqual(largest, MAX_SURVEY_SAMPLES)
    assert.closeTo(samples.quantile(0.5), 50_000, 1000)
    assert.closeTo(samples.quantile(0.75), 75_000, 1000)
  })
})
