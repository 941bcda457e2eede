/**
 * The surveyor's part of a survey: whom it still wants to ask, with what key, and what was answered.
 *
 * The key pair for the answers is drawn when reporting starts and wiped when it stops; results stay until the next start.
 *
 * Implements protocol.md 12.5 and 12.6 (stellar-core: `SurveyManager.cpp`).
 *
 * @since 0.1.0
 */
import type { NodeId } from "../wire/NodeId.ts"
import type { Primitives } from "./Primitives.ts"
import * as SurveyBody from "./SurveyBody.ts"
import * as SurveyCrypto from "./SurveyCrypto.ts"

/**
 * Nodes one reporting may ask, several times over: what bounds the backlog and the results. A full result takes about
 * 20 KB.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_SURVEYED_NODES = 10_000

/**
 * A node to be asked, and where its lists shall begin.
 *
 * @category models
 * @since 0.1.0
 */
export interface BacklogEntry {
  readonly nodeId: NodeId
  readonly inboundPeersIndex: number
  readonly outboundPeersIndex: number
}

/**
 * Why a node is not put into the backlog: there is no reporting, it is queued already, it is the surveyor, or
 * `MAX_SURVEYED_NODES` is reached.
 *
 * @category models
 * @since 0.1.0
 */
export type BacklogRefusal = "NotReporting" | "AlreadyQueued" | "Self" | "TooManyNodes"

/**
 * The result of `getsurveyresult`, with core's keys.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyResultsJson {
  readonly surveyInProgress: boolean
  readonly backlog: ReadonlyArray<string>
  readonly badResponseNodes: ReadonlyArray<string>
  /** By node id; null while unanswered. */
  readonly topology: { readonly [nodeId: string]: SurveyBody.SurveyedNodeJson | null }
}

/**
 * The machine.
 *
 * @category models
 * @since 0.1.0
 */
export class Surveyor {
  readonly #self: NodeId
  readonly #crypto: Primitives
  readonly #box: SurveyCrypto.SealedBox
  #secret: Uint8Array | undefined
  #publicKey: Uint8Array | undefined
  /** In the order in which they will be asked. */
  readonly #backlog = new Map<NodeId, BacklogEntry>()
  readonly #bad = new Set<NodeId>()
  readonly #answers = new Map<NodeId, SurveyBody.SurveyBody | undefined>()

  constructor(self: NodeId, crypto: Primitives, box: SurveyCrypto.SealedBox) {
    this.#self = self
    this.#crypto = crypto
    this.#box = box
  }

  /** Whether answers are taken. */
  get isReporting(): boolean {
    return this.#secret !== undefined
  }

  /** The key for answers; undefined when there is no reporting. */
  get encryptionKey(): Uint8Array | undefined {
    return this.#publicKey
  }

  /** Nodes to be asked. */
  get backlogSize(): number {
    return this.#backlog.size
  }

  /**
   * What nodes answered, each with its latest page and itself in full; undefined while unanswered. The map is live.
   */
  get answers(): ReadonlyMap<NodeId, SurveyBody.SurveyBody | undefined> {
    return this.#answers
  }

  /** Nodes whose answer could not be read. The set is live. */
  get badResponseNodes(): ReadonlySet<NodeId> {
    return this.#bad
  }

  /** Starts anew, with what the surveyor knows about itself; false when it reports already. */
  startSurveyReporting(own: SurveyBody.SurveyBody | undefined): boolean {
    if (this.isReporting) return false
    this.#backlog.clear()
    this.#bad.clear()
    this.#answers.clear()
    if (own !== undefined) this.#answers.set(this.#self, own)
    this.#secret = this.#crypto.randomBytes(32)
    this.#publicKey = this.#crypto.x25519PublicKey(this.#secret)
    return true
  }

  /** Ends reporting and wipes its key pair. Backlog and results can still be looked at. */
  stopSurveyReporting(): void {
    this.#secret?.fill(0)
    this.#publicKey?.fill(0)
    this.#secret = undefined
    this.#publicKey = undefined
  }

  /** Queues a node, and forgets what it answered before. Undefined when it is queued, else why not. */
  addNodeToRunningSurveyBacklog(entry: BacklogEntry): BacklogRefusal | undefined {
    const { nodeId } = entry
    if (!this.isReporting) return "NotReporting"
    if (nodeId === this.#self) return "Self"
    if (this.#backlog.has(nodeId)) return "AlreadyQueued"
    if (!this.#answers.has(nodeId) && this.#answers.size >= MAX_SURVEYED_NODES) return "TooManyNodes"
    this.#bad.delete(nodeId)
    this.#answers.set(nodeId, undefined)
    this.#backlog.set(nodeId, entry)
    return undefined
  }

  /** Takes the next nodes to ask from the backlog: at most `most`, and of those only whom `mayAsk` lets pass now. */
  topOffRequests(most: number, mayAsk: (nodeId: NodeId) => boolean): Array<BacklogEntry> {
    const taken: Array<BacklogEntry> = []
    if (!this.isReporting) return taken
    for (const entry of this.#backlog.values()) {
      if (taken.length >= most) break
      if (mayAsk(entry.nodeId)) taken.push(entry)
    }
    for (const { nodeId } of taken) this.#backlog.delete(nodeId)
    return taken
  }

  /** An answer to one of our requests came: reads it, or remembers that it was no good. False when nobody waits for it. */
  receiveResponse(nodeId: NodeId, encryptedBody: Uint8Array): boolean {
    if (this.#secret === undefined || this.#publicKey === undefined || !this.#answers.has(nodeId)) return false
    const body = SurveyCrypto.openBody(this.#box, this.#secret, this.#publicKey, encryptedBody)
    if (body === undefined) this.#bad.add(nodeId)
    else this.#answers.set(nodeId, body)
    return true
  }

  /** Backlog, results and the nodes that gave none, as core shows them. */
  getJsonResults(): SurveyResultsJson {
    const topology: { [nodeId: string]: SurveyBody.SurveyedNodeJson | null } = {}
    for (const [id, body] of this.#answers) topology[id] = body === undefined ? null : SurveyBody.toJson(body)
    return {
      surveyInProgress: this.isReporting,
      backlog: [...this.#backlog.keys()],
      badResponseNodes: [...this.#bad],
      topology
    }
  }
}
