/**
 * The time-sliced survey, in both roles: what this node collects and tells when it is surveyed, what it relays for
 * others, and surveys of its own.
 *
 * A survey is a flood of START (all nodes begin to collect), one of STOP (all freeze what they have), and then a REQUEST
 * to one node after another, each flooded too and answered by a flooded RESPONSE that only the surveyor can read. A node
 * takes part for surveyors it permits (`SurveyConfig`), within limits (`SurveyLimiter`), and drops a peer that relays a
 * message whose author did not sign it.
 *
 * Implements protocol.md section 12 (stellar-core: `SurveyManager.cpp`).
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as DropReason from "./DropReason.ts"
import { Flood } from "./Flood.ts"
import * as MetricsSources from "./internal/metricsSources.ts"
import { readMillis } from "./internal/peerRuntime.ts"
import * as SealedBox from "./internal/sealedBox.ts"
import { LocalNode } from "./LocalNode.ts"
import { NodeIdentity } from "./NodeIdentity.ts"
import { publisher } from "./OverlayEvents.ts"
import { OverlayHost } from "./OverlayHost.ts"
import { source } from "./OverlayMetrics.ts"
import type { Peer } from "./Peer.ts"
import { Peers } from "./Peers.ts"
import { ExternalizeTimes } from "./protocol/ExternalizeTimes.ts"
import * as SurveyCrypto from "./protocol/SurveyCrypto.ts"
import { MAX_REQUESTS_PER_LEDGER, SurveyLimiter, type SurveyPair } from "./protocol/SurveyLimiter.ts"
import { type BacklogEntry, type BacklogRefusal, Surveyor, type SurveyResultsJson } from "./protocol/Surveyor.ts"
import { SurveyState } from "./protocol/SurveyState.ts"
import { SurveyConfig } from "./SurveyConfig.ts"
import type { NodeId } from "./wire/NodeId.ts"
import {
  type StellarMessage,
  SURVEY_TOPOLOGY,
  TimeSlicedSurveyRequest,
  TimeSlicedSurveyResponse,
  TimeSlicedSurveyStartCollecting,
  TimeSlicedSurveyStopCollecting
} from "./wire/StellarMessage.ts"

/**
 * Expected close times between two rounds of requests (SURVEY_THROTTLE_TIMEOUT_MULT).
 *
 * @category constants
 * @since 0.1.0
 */
export const THROTTLE_CLOSE_TIMES = 3

/**
 * Requests in one round: as many as a relaying node lets pass for one surveyor in a ledger.
 *
 * @category constants
 * @since 0.1.0
 */
export const REQUESTS_PER_ROUND = MAX_REQUESTS_PER_LEDGER

/**
 * Counters since the layer was built.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyStats {
  /** Survey messages of peers that were taken part in: relayed, answered or read. */
  accepted: number
  /** Those that were not: not permitted, out of the ledger window, over a limit, duplicate or of no running survey. */
  ignored: number
  invalidSignatures: number
  /** Requests to this node that it answered. */
  answered: number
  /** Requests of this node that went out. */
  requested: number
}

/**
 * What became of an order to survey a node: it is queued, and `started` says whether reporting began with it; or why not.
 *
 * @category models
 * @since 0.1.0
 */
export type SurveyOrder =
  | { readonly _tag: "Queued"; readonly started: boolean }
  | { readonly _tag: "Refused"; readonly reason: BacklogRefusal }

/**
 * Surveys as an operator and a host see them.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyShape {
  /** Asks the network to collect, under a number of 32 bits; false while a survey is active. */
  readonly startCollecting: (nonce: number) => boolean
  /**
   * Asks the network to stop collecting; false when no survey is active. True and without effect when the active one is
   * somebody else's.
   */
  readonly stopCollecting: () => boolean
  /** Starts to take answers; refused unless the node's own phase is reporting, false when it does already. */
  readonly startReporting: () => boolean | "NotReporting"
  /**
   * Queues a node to be asked for its peers from two indices on, after starting to report where that was not done. At
   * most 10 nodes are asked in 15 s, in the order of the orders.
   */
  readonly surveyNode: (nodeId: NodeId, inboundPeersIndex?: number, outboundPeersIndex?: number) => SurveyOrder
  /** Takes no more answers and wipes the key for them. Results can still be looked at. */
  readonly stopReporting: () => void
  /**
   * Goes on, after a restart, to report a survey that this node started before with this number and that the others
   * still report: orders can be given again. False while a survey is active.
   */
  readonly resume: (nonce: number) => boolean
  /** `getsurveyresult`. */
  readonly results: () => SurveyResultsJson
  /** The phase and what was collected, live. */
  readonly state: SurveyState
  /** Backlog and answers, live. */
  readonly surveyor: Surveyor
  readonly limiter: SurveyLimiter
  readonly stats: SurveyStats
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class Survey extends Context.Service<Survey, SurveyShape>()("@stellar-overlay/overlay/Survey") {
  /**
   * Takes part in surveys as the `SurveyConfig` reference and the surveyor keys of `OverlayConfig` say.
   *
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<Survey, never, Peers | Flood | OverlayHost | LocalNode | NodeIdentity> = Layer
    .effect(this, Effect.suspend(() => make))
}

/** What a message of a peer leads to, besides what was done already. */
type Verdict = "accepted" | "ignored" | "invalid"

/** The code of an EXTERNALIZE statement. */
const EXTERNALIZE = 2

const make = Effect.gen(function*() {
  const { config: overlayConfig, crypto, derived } = yield* LocalNode
  const { nodeId: self, sign } = yield* NodeIdentity
  const peers = yield* Peers
  const flood = yield* Flood
  const host = yield* OverlayHost
  const config = yield* SurveyConfig
  const tell = yield* publisher
  const clock = yield* Clock.Clock
  const millis = () => readMillis(clock)
  const trackingIndex = () => host.ledger().trackingIndex

  const box = SealedBox.make(crypto)
  const verifier = new SurveyCrypto.SurveyVerifier(crypto)
  const limiter = new SurveyLimiter(self)
  const surveyor = new Surveyor(self, crypto, box)
  const state = new SurveyState({
    isValidator: config.isValidator,
    maxInboundPeerCount: derived.maxInboundConnections,
    maxOutboundPeerCount: derived.maxOutboundConnections,
    collectingMillis: config.collectingMillis,
    reportingMillis: config.reportingMillis
  })
  const stats: SurveyStats = { accepted: 0, ignored: 0, invalidSignatures: 0, answered: 0, requested: 0 }
  yield* source(MetricsSources.survey(stats))
  const surveyorKeys = new Set<string>(overlayConfig.surveyorKeys)
  const throttleMillis = THROTTLE_CLOSE_TIMES * overlayConfig.expectedCloseTimeMillis
  const tickMillis = Math.min((overlayConfig.peerAuthenticationTimeoutSeconds + 1) * 1000, throttleMillis)
  let topOffAt = Infinity
  let wasTracking = host.ledger().isTracking

  const isPermitted = (id: NodeId): boolean => {
    if (id === self) return true
    switch (config.survey) {
      case "deny":
        return false
      case "keys":
        return surveyorKeys.has(id)
      case "quorum":
        return surveyorKeys.size === 0 ? host.isInQuorum(id) : surveyorKeys.has(id)
    }
  }

  /** Who denies everything looks at survey messages only while it surveys. */
  const shed = ({ session }: Peer): void => {
    session.shedSurvey = config.survey === "deny" && state.surveyorId !== self
  }

  const times = new ExternalizeTimes(host.ledger().ledgerSeq)
  let phase = state.phase
  /** After whatever may have begun or ended a phase; the names are of the survey that is over, when it ended. */
  const followPhase = (nonce = state.nonce, surveyorId = state.surveyorId): void => {
    if (state.phase === phase) return
    phase = state.phase
    if (phase === "COLLECTING") times.clear(host.ledger().ledgerSeq)
    tell({ _tag: "SurveyPhaseChanged", phase, nonce, surveyorId })
  }

  const relay = (message: SurveyCrypto.SurveyMessage, from: Peer | undefined): void => {
    if (from !== undefined) flood.received(message, from.id)
    flood.broadcast(message)
  }

  // ----------------------------------------------------------------------------------------------- collecting

  const receiveStart = (message: TimeSlicedSurveyStartCollecting, from: Peer, check: () => boolean): boolean => {
    const { ledgerNum, surveyorId } = message
    if (!isPermitted(surveyorId)) return false
    if (!limiter.validateStartSurveyCollecting(ledgerNum, trackingIndex(), state.isActive, check)) return false
    state.startSurveyCollecting(message, peers.authenticated(), host.ledger().isTracking, millis())
    followPhase()
    relay(message, from)
    return true
  }

  const receiveStop = (message: TimeSlicedSurveyStopCollecting, from: Peer, check: () => boolean): boolean => {
    if (!isPermitted(message.surveyorId)) return false
    if (!limiter.validateStopSurveyCollecting(message.ledgerNum, trackingIndex(), check)) return false
    if (!state.stopSurveyCollecting(message, millis())) return false
    followPhase()
    relay(message, from)
    return true
  }

  // ------------------------------------------------------------------------------------------------ reporting

  const answer = (request: TimeSlicedSurveyRequest): void => {
    const body = state.fillSurveyData(request)
    if (body === undefined) return
    const encryptedBody = SurveyCrypto.sealBody(box, request.encryptionKey, body)
    if (encryptedBody === undefined) return // a key that cannot keep a secret
    const { ledgerNum, nonce, surveyorId } = request
    const response = { surveyorId, surveyedId: self, ledgerNum, encryptedBody, nonce }
    stats.answered++
    tell({ _tag: "SurveyAnswered", surveyorId })
    flood.broadcast(SurveyCrypto.signed(TimeSlicedSurveyResponse.make, response, sign))
  }

  const receiveRequest = (message: TimeSlicedSurveyRequest, from: Peer, check: () => boolean): boolean => {
    const { surveyorId } = message
    if (!isPermitted(surveyorId) || message.commandType !== SURVEY_TOPOLOGY) return false
    const validate = () => state.nonceIsReporting(message.nonce) && check()
    if (!limiter.addAndValidateRequest(message, trackingIndex(), validate)) return false
    if (message.surveyedId !== self) {
      relay(message, from)
    } else {
      flood.received(message, from.id)
      answer(message)
    }
    return true
  }

  const receiveResponse = (message: TimeSlicedSurveyResponse, from: Peer, check: () => boolean): boolean => {
    const validate = () => state.nonceIsReporting(message.nonce) && check()
    if (!limiter.recordAndValidateResponse(message, trackingIndex(), validate)) return false
    if (message.surveyorId !== self) {
      relay(message, from)
    } else {
      flood.received(message, from.id)
      const { encryptedBody, surveyedId } = message
      if (surveyor.receiveResponse(surveyedId, encryptedBody)) {
        const body = surveyor.badResponseNodes.has(surveyedId) ? undefined : surveyor.answers.get(surveyedId)
        const found = body && { inbound: body.inboundPeers.length, outbound: body.outboundPeers.length }
        tell({ _tag: "SurveyResult", surveyedId, peers: found })
      }
    }
    return true
  }

  const receive = (message: SurveyCrypto.SurveyMessage, from: Peer): Verdict => {
    let isForged = false
    const check = (): boolean => {
      isForged = !verifier.verify(message)
      return !isForged
    }
    const dispatch = (): boolean => {
      switch (message._tag) {
        case "TimeSlicedSurveyStartCollecting":
          return receiveStart(message, from, check)
        case "TimeSlicedSurveyStopCollecting":
          return receiveStop(message, from, check)
        case "TimeSlicedSurveyRequest":
          return receiveRequest(message, from, check)
        case "TimeSlicedSurveyResponse":
          return receiveResponse(message, from, check)
      }
    }
    const accepted = dispatch()
    return isForged ? "invalid" : accepted ? "accepted" : "ignored"
  }

  /** The latencies of SCP, while a slice is running; the host's own part shows in its ledger. */
  const followScp = (messages: ReadonlyArray<StellarMessage>): void => {
    const now = millis()
    for (const message of messages) {
      if (message._tag !== "ScpMessage" || message.statementCode !== EXTERNALIZE) continue
      const slot = message.slotNumber
      const lag = slot === undefined || message.nodeId === self ? undefined : times.heard(slot, message.nodeId, now)
      if (lag !== undefined) state.recordSelfToOtherLatency(lag)
    }
    const own = times.closed(host.ledger().ledgerSeq, now)
    if (own !== undefined) state.recordFirstToSelfLatency(own)
  }

  yield* peers.handle({
    connected: (peer) => {
      shed(peer)
      state.addPeer(peer)
    },
    disconnected: (peer) => state.recordDroppedPeer(peer),
    received: (peer, messages) => {
      if (state.phase === "COLLECTING") followScp(messages)
      for (const message of messages) {
        if (!SurveyCrypto.isSurveyMessage(message)) continue
        // What a peer sent before it was dropped for a forgery is worth no more signature checks.
        if (peer.session.dropReason?._tag === "SurveySignature") return undefined
        const verdict = receive(message, peer)
        if (verdict === "invalid") {
          stats.invalidSignatures++
          return peer.drop(DropReason.make("SurveySignature"))
        }
        stats[verdict]++
      }
      return undefined
    }
  })

  // ------------------------------------------------------------------------------------------ the surveyor's part

  const startCollecting = (nonce: number): boolean => {
    if (state.isActive) return false
    const fields = { surveyorId: self, nonce, ledgerNum: trackingIndex() }
    const message = SurveyCrypto.signed(TimeSlicedSurveyStartCollecting.make, fields, sign)
    state.startSurveyCollecting(message, peers.authenticated(), host.ledger().isTracking, millis())
    followPhase()
    peers.authenticated().forEach(shed)
    relay(message, undefined)
    return true
  }

  const stopCollecting = (): boolean => {
    const { nonce } = state
    if (nonce === undefined) return false
    const fields = { surveyorId: self, nonce, ledgerNum: trackingIndex() }
    if (state.stopSurveyCollecting(fields, millis())) {
      followPhase()
      relay(SurveyCrypto.signed(TimeSlicedSurveyStopCollecting.make, fields, sign), undefined)
    }
    return true
  }

  const startReporting = (): boolean | "NotReporting" => {
    if (surveyor.isReporting) return false
    if (state.phase !== "REPORTING") return "NotReporting"
    surveyor.startSurveyReporting(state.final)
    tell({ _tag: "SurveyReporting", isReporting: true })
    topOffAt = millis() + throttleMillis
    return true
  }

  const stopReporting = (): void => {
    if (surveyor.isReporting) tell({ _tag: "SurveyReporting", isReporting: false })
    surveyor.stopSurveyReporting()
    topOffAt = Infinity
  }

  const sendTopologyRequest = (entry: BacklogEntry, nonce: number, encryptionKey: Uint8Array): void => {
    const { inboundPeersIndex, nodeId: surveyedId, outboundPeersIndex } = entry
    const pair: SurveyPair = { surveyorId: self, surveyedId, ledgerNum: trackingIndex() }
    const fields = { ...pair, encryptionKey, nonce, inboundPeersIndex, outboundPeersIndex }
    limiter.addAndValidateRequest(pair, trackingIndex(), () => true)
    stats.requested++
    tell({ _tag: "SurveyRequested", surveyedId })
    relay(SurveyCrypto.signed(TimeSlicedSurveyRequest.make, fields, sign), undefined)
  }

  const topOff = (): void => {
    const { encryptionKey } = surveyor
    const { nonce } = state
    if (encryptionKey === undefined || nonce === undefined) return
    const ledgerNum = trackingIndex()
    // One request per node and ledger: a node whose next page is wanted already waits for the next round.
    const mayAsk = (surveyedId: NodeId) => !limiter.has({ surveyorId: self, surveyedId, ledgerNum })
    for (const entry of surveyor.topOffRequests(REQUESTS_PER_ROUND, mayAsk)) {
      sendTopologyRequest(entry, nonce, encryptionKey)
    }
  }

  const tick = Effect.sync(() => {
    const now = millis()
    const { isTracking } = host.ledger()
    if (wasTracking && !isTracking) state.recordLostSync()
    wasTracking = isTracking
    const { nonce, surveyorId } = state
    if (state.update(now)) {
      followPhase(nonce, surveyorId)
      peers.authenticated().forEach(shed)
    }
    limiter.clearOldLedgers(trackingIndex())
    if (surveyor.isReporting && state.phase !== "REPORTING") stopReporting()
    if (now < topOffAt) return
    topOffAt = now + throttleMillis
    topOff()
  })

  yield* Effect.gen(function*() {
    while (true) {
      yield* Effect.sleep(Math.min(tickMillis, Math.max(1, Math.ceil(topOffAt - millis()))))
      // A step that failed is a bug, and no reason to stand still.
      yield* Effect.catchDefect(tick, (defect) => Effect.logError("A defect in the survey's tick", defect))
    }
  }).pipe(Effect.forkScoped)

  yield* Effect.addFinalizer(() => Effect.sync(stopReporting))

  return Survey.of({
    startCollecting,
    stopCollecting,
    startReporting,
    surveyNode: (nodeId, inboundPeersIndex = 0, outboundPeersIndex = 0) => {
      const started = startReporting()
      if (started === "NotReporting") return { _tag: "Refused", reason: started }
      const reason = surveyor.addNodeToRunningSurveyBacklog({ nodeId, inboundPeersIndex, outboundPeersIndex })
      return reason === undefined ? { _tag: "Queued", started } : { _tag: "Refused", reason }
    },
    stopReporting,
    resume: (nonce) => {
      if (!state.resumeReporting({ nonce, surveyorId: self }, millis())) return false
      followPhase()
      peers.authenticated().forEach(shed)
      return true
    },
    results: () => surveyor.getJsonResults(),
    state,
    surveyor,
    limiter,
    stats
  })
})
