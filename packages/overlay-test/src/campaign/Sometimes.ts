/**
 * Points that a good campaign must reach some time: states that are rare, and worthless to have tested nothing about.
 *
 * Unlike a checker, a point says nothing about right or wrong. A campaign that never reaches one does not test what lies
 * behind it.
 *
 * @since 0.1.0
 */
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import type { Observation } from "./Observation.ts"

/**
 * All points and what they mean.
 *
 * @category constants
 * @since 0.1.0
 */
export const points = {
  readThrottled: "a node stopped reading a peer for want of capacity",
  readResumed: "and read on",
  demandTimedOut: "a transaction was demanded of a second peer, because the first did not deliver",
  duplicateDialResolved: "two connections between two nodes became one",
  duplicateRefused: "a second connection with a node was refused",
  outOfSyncAndBack: "a node lost the ledger and found it again",
  jumped: "a node gave up ledgers it had missed",
  secondRound: "a ledger took more than one round of voting",
  stateAsked: "SCP state was asked for",
  txSetFetched: "a transaction set was fetched",
  itemMissing: "a peer did not have what it was asked for (DONT_HAVE)",
  peersTold: "addresses were passed on (PEERS)",
  errorTold: "a peer was told why it was dropped (ERROR_MSG)",
  loadRefused: "a peer was refused for want of a slot",
  idleTimeout: "a connection was dropped because nothing came",
  straggling: "a connection was dropped because the peer did not keep up",
  noCapacity: "a connection was dropped because the peer granted nothing",
  handshakeTimeout: "a handshake took too long",
  macRefused: "a MAC was found wrong",
  corruptRefused: "bytes were found to be no message",
  resetSurvived: "a connection broke and a new one with the same node took its place",
  rotated: "a node out of sync changed a peer for another",
  backedOff: "an address was left alone after a failure",
  storeFailed: "a store failed",
  storeRecovered: "and worked again",
  partitionedMinority: "a ledger was closed while some node was three or more behind",
  stalled: "no node closed a ledger for five close times",
  allConnected: "everybody was connected with everybody",
  partialGrant: "credit of a peer ran out"
} as const

/**
 * The name of a point.
 *
 * @category models
 * @since 0.1.0
 */
export type Point = keyof typeof points

/**
 * All names.
 *
 * @category constants
 * @since 0.1.0
 */
export const names: ReadonlyArray<Point> = Object.keys(points) as ReadonlyArray<Point> // the keys of a closed record

/**
 * Follows one run and notes which points it reaches.
 *
 * @category models
 * @since 0.1.0
 */
export class Watch {
  readonly reached = new Set<Point>()
  readonly #closeTimeMillis: number
  readonly #nodes: number
  readonly #onPoint: ((point: Point, at: number) => void) | undefined
  readonly #outOfSync = new Set<string>()
  readonly #ledgers = new Map<string, number>()
  readonly #lost = new Set<string>()
  #lastLedgerAt = 0

  constructor(options: {
    readonly closeTimeMillis: number
    readonly nodes: number
    readonly onPoint?: ((point: Point, at: number) => void) | undefined
  }) {
    this.#closeTimeMillis = options.closeTimeMillis
    this.#nodes = options.nodes
    this.#onPoint = options.onPoint
  }

  observe(observation: Observation): void {
    switch (observation._tag) {
      case "Message":
        return this.#message(observation.type, observation.at)
      case "Peer":
        return this.#peer(observation)
      case "Ledger":
        return this.#ledger(observation)
      case "Snapshot": {
        const { at, books, isSynced, node } = observation
        if (!isSynced) this.#outOfSync.add(node)
        else if (this.#outOfSync.delete(node)) this.#reach("outOfSyncAndBack", at)
        if (books.length === this.#nodes - 1 && this.#nodes > 1) this.#reach("allConnected", at)
        for (const { demandTimeouts, isPaused, messageCredit } of books) {
          if (demandTimeouts > 0) this.#reach("demandTimedOut", at)
          if (isPaused) this.#reach("readThrottled", at)
          if (messageCredit === 0) this.#reach("partialGrant", at)
        }
      }
    }
  }

  #reach(point: Point, at: number): void {
    if (this.reached.has(point)) return
    this.reached.add(point)
    this.#onPoint?.(point, at)
  }

  #message(type: MessageType, at: number): void {
    switch (type) {
      case MessageType.GetScpState:
        return this.#reach("stateAsked", at)
      case MessageType.GeneralizedTxSet:
        return this.#reach("txSetFetched", at)
      case MessageType.DontHave:
        return this.#reach("itemMissing", at)
      case MessageType.Peers:
        return this.#reach("peersTold", at)
      case MessageType.ErrorMsg:
        return this.#reach("errorTold", at)
    }
  }

  #peer({ at, event, node }: Extract<Observation, { readonly _tag: "Peer" }>): void {
    switch (event._tag) {
      case "PeerReadThrottled":
        return this.#reach("readThrottled", at)
      case "PeerReadResumed":
        return this.#reach("readResumed", at)
      case "PeerBackedOff":
        return this.#reach("backedOff", at)
      case "StoreFailed":
        return this.#reach("storeFailed", at)
      case "StoreRecovered":
        return this.#reach("storeRecovered", at)
      case "PeerAuthenticated":
        if (this.#lost.delete(`${node} ${event.remote.id}`)) this.#reach("resetSurvived", at)
        return
      case "PeerDropped":
        if (event.authenticated && event.id !== undefined) this.#lost.add(`${node} ${event.id}`)
        return this.#drop(event.reason._tag, at)
    }
  }

  #drop(reason: string, at: number): void {
    switch (reason) {
      case "MutualDialLost":
        return this.#reach("duplicateDialResolved", at)
      case "AlreadyConnected":
        return this.#reach("duplicateRefused", at)
      case "PeerRejected":
      case "LoadErrorReceived":
      case "PendingInboundFull":
        return this.#reach("loadRefused", at)
      case "IdleTimeout":
        return this.#reach("idleTimeout", at)
      case "Straggling":
        return this.#reach("straggling", at)
      case "NoCapacityTimeout":
        return this.#reach("noCapacity", at)
      case "HandshakeTimeout":
        return this.#reach("handshakeTimeout", at)
      case "UnexpectedMac":
        return this.#reach("macRefused", at)
      case "CorruptXdr":
        return this.#reach("corruptRefused", at)
      case "OutOfSyncRotation":
        return this.#reach("rotated", at)
    }
  }

  #ledger({ at, jumpedFrom, ledgerSeq, node, rounds }: Extract<Observation, { readonly _tag: "Ledger" }>): void {
    if (jumpedFrom !== undefined) this.#reach("jumped", at)
    if (rounds > 1) this.#reach("secondRound", at)
    if (this.#lastLedgerAt > 0 && at - this.#lastLedgerAt > 5 * this.#closeTimeMillis) this.#reach("stalled", at)
    this.#lastLedgerAt = at
    this.#ledgers.set(node, ledgerSeq)
    for (const other of this.#ledgers.values()) if (other <= ledgerSeq - 3) this.#reach("partitionedMinority", at)
  }
}
