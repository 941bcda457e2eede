/**
 * A surveyed node's part of a survey: its phases, and what it collects about itself and its peers.
 *
 * ```
 * INACTIVE --start--> COLLECTING --stop, or 30 min--> REPORTING --3 h--> INACTIVE
 * ```
 *
 * The peers connected at the start are watched; what is told about them in the end is the difference over the slice. One
 * that leaves is off the list, even if it comes back. There is one survey at a time. Times are monotonic milliseconds.
 *
 * Implements protocol.md 12.1 and 12.3 (stellar-core: `SurveyDataManager.cpp`).
 *
 * @since 0.1.0
 */
import type { DropReason } from "../DropReason.ts"
import * as NodeId from "../wire/NodeId.ts"
import type { Role } from "./Handshake.ts"
import type { SessionStats } from "./SessionStats.ts"
import * as SurveyBody from "./SurveyBody.ts"
import { SurveySamples } from "./SurveySamples.ts"

/**
 * How long collecting may last: 30 minutes.
 *
 * @category constants
 * @since 0.1.0
 */
export const COLLECTING_PHASE_MILLIS = 30 * 60_000

/**
 * How long a node answers after that: 3 hours.
 *
 * @category constants
 * @since 0.1.0
 */
export const REPORTING_PHASE_MILLIS = 3 * 3_600_000

/**
 * The phase of the survey as this node sees it.
 *
 * @category models
 * @since 0.1.0
 */
export type SurveyPhase = "INACTIVE" | "COLLECTING" | "REPORTING"

/**
 * What names a survey.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyName {
  readonly nonce: number
  readonly surveyorId: NodeId.NodeId
}

/**
 * An authenticated peer, of which a `Peer` has everything.
 *
 * @category models
 * @since 0.1.0
 */
export interface WatchedPeer {
  readonly id: NodeId.NodeId
  readonly role: Role
  readonly remote: { readonly version: string }
  readonly session: {
    readonly stats: SessionStats
    readonly liveness: { readonly latencyMillis: number }
    readonly dropReason: DropReason | undefined
  }
}

/**
 * What a node tells about itself that does not change, and how long its phases last.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyStateOptions {
  readonly isValidator: boolean
  readonly maxInboundPeerCount: number
  readonly maxOutboundPeerCount: number
  /** `COLLECTING_PHASE_MILLIS`. */
  readonly collectingMillis: number
  /** `REPORTING_PHASE_MILLIS`. */
  readonly reportingMillis: number
}

interface CollectingPeer {
  readonly peer: WatchedPeer
  readonly initial: Omit<SurveyBody.SurveyCounters, "secondsConnected">
  readonly latencies: SurveySamples
  /** Answered pings at the last look. */
  pongs: number
}

const countersOf = (stats: SessionStats): CollectingPeer["initial"] => ({
  messagesRead: stats.messagesRead,
  messagesWritten: stats.messagesWritten,
  bytesRead: stats.bytesRead,
  bytesWritten: stats.bytesWritten,
  uniqueFloodBytesRecv: stats.uniqueFloodBytes,
  duplicateFloodBytesRecv: stats.duplicateFloodBytes,
  uniqueFetchBytesRecv: stats.uniqueFetchBytes,
  duplicateFetchBytesRecv: stats.duplicateFetchBytes,
  uniqueFloodMessageRecv: stats.uniqueFloodMessages,
  duplicateFloodMessageRecv: stats.duplicateFloodMessages,
  uniqueFetchMessageRecv: stats.uniqueFetchMessages,
  duplicateFetchMessageRecv: stats.duplicateFetchMessages
})

const isGone = ({ session }: WatchedPeer): boolean => session.dropReason !== undefined

/**
 * The machine. What it holds is bounded by the connections of the node.
 *
 * @category models
 * @since 0.1.0
 */
export class SurveyState {
  readonly #options: SurveyStateOptions
  #phase: SurveyPhase = "INACTIVE"
  #name: SurveyName | undefined
  /** When the phase ends, if nothing ends it before. */
  #until = Infinity
  readonly #collecting = new Map<NodeId.NodeId, CollectingPeer>()
  /** Peers that came during the slice and have not left. */
  readonly #newcomers = new Set<WatchedPeer>()
  #added = 0
  #dropped = 0
  #lostSync = 0
  #firstToSelf = new SurveySamples()
  #selfToOther = new SurveySamples()
  #final: SurveyBody.SurveyBody | undefined

  constructor(options: SurveyStateOptions) {
    this.#options = options
  }

  get phase(): SurveyPhase {
    return this.#phase
  }

  /** Whether a survey runs, in any phase: then no other can begin. */
  get isActive(): boolean {
    return this.#phase !== "INACTIVE"
  }

  /** The running survey. */
  get nonce(): number | undefined {
    return this.#name?.nonce
  }

  get surveyorId(): NodeId.NodeId | undefined {
    return this.#name?.surveyorId
  }

  /** When the phase ends by itself; Infinity while inactive. */
  get until(): number {
    return this.#until
  }

  /** What was collected, peers of both directions in full, while reporting. */
  get final(): SurveyBody.SurveyBody | undefined {
    return this.#final
  }

  /** Whether the survey of this number is being reported. */
  nonceIsReporting(nonce: number): boolean {
    return this.#phase === "REPORTING" && this.#name?.nonce === nonce
  }

  /** Begins to collect, with these authenticated peers; false while a survey is active. */
  startSurveyCollecting(name: SurveyName, peers: Iterable<WatchedPeer>, isTracking: boolean, now: number): boolean {
    if (this.isActive) return false
    this.#reset()
    this.#phase = "COLLECTING"
    this.#name = { nonce: name.nonce, surveyorId: name.surveyorId }
    this.#until = now + this.#options.collectingMillis
    this.#lostSync = isTracking ? 0 : 1
    for (const peer of peers) {
      if (isGone(peer)) continue
      const { stats } = peer.session
      const latencies = new SurveySamples()
      this.#collecting.set(peer.id, { peer, initial: countersOf(stats), latencies, pongs: stats.pongs })
    }
    return true
  }

  /** Freezes what was collected; false unless this very survey is being collected. */
  stopSurveyCollecting(name: SurveyName, now: number): boolean {
    if (this.#phase !== "COLLECTING" || this.#name?.nonce !== name.nonce || this.#name.surveyorId !== name.surveyorId) {
      return false
    }
    this.#startReporting(now)
    return true
  }

  /**
   * Goes on with a survey that this node does not remember, having been restarted: it may ask again, and has nothing to
   * tell itself. False while a survey is active.
   */
  resumeReporting(name: SurveyName, now: number): boolean {
    if (this.isActive) return false
    this.#phase = "REPORTING"
    this.#name = { nonce: name.nonce, surveyorId: name.surveyorId }
    this.#until = now + this.#options.reportingMillis
    return true
  }

  /** A peer authenticated. */
  addPeer(peer: WatchedPeer): void {
    if (this.#phase !== "COLLECTING") return
    this.#added++
    this.#newcomers.add(peer)
  }

  /** An authenticated peer is gone. */
  recordDroppedPeer(peer: WatchedPeer): void {
    if (this.#phase !== "COLLECTING") return
    const isWatched = this.#collecting.get(peer.id)?.peer === peer
    if (isWatched) this.#collecting.delete(peer.id)
    // Neither: it was gone when the slice began, and nobody had said so.
    if (this.#newcomers.delete(peer) || isWatched) this.#dropped++
  }

  /** The node lost sync. */
  recordLostSync(): void {
    if (this.#phase === "COLLECTING") this.#lostSync++
  }

  /** A slot was externalized so many milliseconds after the first externalize message for it was heard. */
  recordFirstToSelfLatency(millis: number): void {
    if (this.#phase === "COLLECTING") this.#firstToSelf.add(millis)
  }

  /** Somebody else's externalize message came so many milliseconds later. */
  recordSelfToOtherLatency(millis: number): void {
    if (this.#phase === "COLLECTING") this.#selfToOther.add(millis)
  }

  /**
   * Looks at the peers' pings, of which there is one in 5 s, and ends a phase that has lasted longer than it may (core's
   * `updateSurveyPhase`). To be called every few seconds. True when the phase changed.
   */
  update(now: number): boolean {
    if (this.#phase === "COLLECTING") { for (const watched of this.#collecting.values()) this.#sample(watched) }
    if (now <= this.#until) return false
    if (this.#phase === "COLLECTING") this.#startReporting(now)
    else this.#reset()
    return true
  }

  /** What to answer a request; undefined unless its surveyor runs the survey that is being reported. */
  fillSurveyData(
    request: SurveyName & { readonly inboundPeersIndex: number; readonly outboundPeersIndex: number }
  ): SurveyBody.SurveyBody | undefined {
    if (!this.nonceIsReporting(request.nonce) || this.#name?.surveyorId !== request.surveyorId) return undefined
    return this.#final && SurveyBody.page(this.#final, request.inboundPeersIndex, request.outboundPeersIndex)
  }

  #sample(watched: CollectingPeer): void {
    const { liveness, stats } = watched.peer.session
    if (stats.pongs === watched.pongs) return
    watched.pongs = stats.pongs
    watched.latencies.add(liveness.latencyMillis)
  }

  #startReporting(now: number): void {
    const inboundPeers: Array<SurveyBody.SurveyedPeer> = []
    const outboundPeers: Array<SurveyBody.SurveyedPeer> = []
    const watched = [...this.#collecting.values()].sort((a, b) => NodeId.Order(a.peer.id, b.peer.id))
    // A peer may be gone without anybody having said so yet.
    for (const peer of this.#newcomers) if (isGone(peer)) this.#dropped++
    for (const collecting of watched) {
      const { peer } = collecting
      if (isGone(peer)) {
        this.#dropped++
        continue
      }
      this.#sample(collecting)
      const list = peer.role === "acceptor" ? inboundPeers : outboundPeers
      list.push(finalPeer(collecting, now))
    }
    const { isValidator, maxInboundPeerCount, maxOutboundPeerCount, reportingMillis } = this.#options
    this.#final = {
      inboundPeers,
      outboundPeers,
      node: {
        addedAuthenticatedPeers: this.#added,
        droppedAuthenticatedPeers: this.#dropped,
        totalInboundPeerCount: inboundPeers.length,
        totalOutboundPeerCount: outboundPeers.length,
        p75SCPFirstToSelfLatencyMs: this.#firstToSelf.quantile(0.75),
        p75SCPSelfToOtherLatencyMs: this.#selfToOther.quantile(0.75),
        lostSyncCount: this.#lostSync,
        isValidator,
        maxInboundPeerCount,
        maxOutboundPeerCount
      }
    }
    this.#collecting.clear()
    this.#newcomers.clear()
    this.#phase = "REPORTING"
    this.#until = now + reportingMillis
  }

  #reset(): void {
    this.#phase = "INACTIVE"
    this.#name = undefined
    this.#until = Infinity
    this.#collecting.clear()
    this.#newcomers.clear()
    this.#added = 0
    this.#dropped = 0
    this.#lostSync = 0
    this.#firstToSelf = new SurveySamples()
    this.#selfToOther = new SurveySamples()
    this.#final = undefined
  }
}

const finalPeer = ({ initial, latencies, peer }: CollectingPeer, now: number): SurveyBody.SurveyedPeer => {
  const { stats } = peer.session
  const current = countersOf(stats)
  return {
    id: peer.id,
    version: peer.remote.version,
    messagesRead: current.messagesRead - initial.messagesRead,
    messagesWritten: current.messagesWritten - initial.messagesWritten,
    bytesRead: current.bytesRead - initial.bytesRead,
    bytesWritten: current.bytesWritten - initial.bytesWritten,
    secondsConnected: Math.floor((now - stats.createdAt) / 1000),
    uniqueFloodBytesRecv: current.uniqueFloodBytesRecv - initial.uniqueFloodBytesRecv,
    duplicateFloodBytesRecv: current.duplicateFloodBytesRecv - initial.duplicateFloodBytesRecv,
    uniqueFetchBytesRecv: current.uniqueFetchBytesRecv - initial.uniqueFetchBytesRecv,
    duplicateFetchBytesRecv: current.duplicateFetchBytesRecv - initial.duplicateFetchBytesRecv,
    uniqueFloodMessageRecv: current.uniqueFloodMessageRecv - initial.uniqueFloodMessageRecv,
    duplicateFloodMessageRecv: current.duplicateFloodMessageRecv - initial.duplicateFloodMessageRecv,
    uniqueFetchMessageRecv: current.uniqueFetchMessageRecv - initial.uniqueFetchMessageRecv,
    duplicateFetchMessageRecv: current.duplicateFetchMessageRecv - initial.duplicateFetchMessageRecv,
    averageLatencyMs: latencies.quantile(0.5)
  }
}
