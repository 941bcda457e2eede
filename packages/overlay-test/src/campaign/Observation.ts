/**
 * What a campaign sees of a simulated network: the facts that checkers judge, that stories tell and that "sometimes"
 * points count.
 *
 * Observations are plain data in the order in which things happened. Nodes go by their names, times are virtual
 * milliseconds since the start of the world.
 *
 * @since 0.1.0
 */
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import type { MessageType } from "@stellar-overlay/overlay/wire/MessageType"

/**
 * A message as its sender wrote it to a link, before anything the network does to it.
 *
 * @category models
 * @since 0.1.0
 */
export interface WireMessage {
  readonly _tag: "Message"
  readonly at: number
  readonly link: number
  readonly from: string
  readonly to: string
  readonly type: MessageType
  /** Bytes of the StellarMessage. */
  readonly size: number
  /** Tells messages apart: equal for equal bytes. For a transaction, the start of its hash. */
  readonly key: number
  /** SEND_MORE_EXTENDED: what is granted. */
  readonly messages: number
  readonly bytes: number
  /** FLOOD_ADVERT and FLOOD_DEMAND: the starts of the hashes. */
  readonly hashes: ReadonlyArray<number>
  /** SCP_MESSAGE: whose statement, for which slot, and which kind. */
  readonly scp: { readonly origin: string; readonly slot: number; readonly kind: number } | undefined
}

/**
 * The books of one connection, at one of its ends.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerBooks {
  /** The remote node. */
  readonly peer: string
  readonly address: string
  readonly role: "initiator" | "acceptor"
  /** The link, where it is known. */
  readonly link: number | undefined
  /** What this end may still send. */
  readonly messageCredit: number
  readonly byteCredit: number
  /** Messages and bytes of the flood capacity that are not in process. */
  readonly localFloodMessages: number
  readonly localFloodBytes: number
  readonly localMessages: number
  /** Capacities as configured. */
  readonly floodCapacity: number
  readonly floodCapacityBytes: number
  readonly capacity: number
  readonly grantBatch: number
  /** Whether there is anything to send, or received and not handled. */
  readonly isBusy: boolean
  /** Flood messages in the queues, those being written included. */
  readonly queued: number
  readonly demandTimeouts: number
  readonly isPaused: boolean
  /** Whether transactions of this peer are let go, as they are out of sync. */
  readonly shedsTransactions: boolean
}

/**
 * A number that must not grow beyond a bound with a name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Gauge {
  readonly name: string
  readonly value: number
  readonly bound: number
}

/**
 * One node at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeSnapshot {
  readonly _tag: "Snapshot"
  readonly at: number
  readonly node: string
  readonly pending: { readonly inbound: number; readonly outbound: number }
  readonly authenticated: { readonly inbound: number; readonly outbound: number }
  /** Connections that the node lists as authenticated. */
  readonly listed: number
  /** Places taken, sockets that are still closing included. */
  readonly places: number
  /** Open ends of links that belong to the node, as the network counts them. */
  readonly sockets: number
  readonly books: ReadonlyArray<PeerBooks>
  readonly gauges: ReadonlyArray<Gauge>
  readonly ledgerSeq: number
  readonly isSynced: boolean
  readonly diverged: number
}

/**
 * Where a run is: `faults` while things break, `healing` after all faults ended, `liveness` once everything must work,
 * `stopping` while the nodes say goodbye, and `end`.
 *
 * @category models
 * @since 0.1.0
 */
export type Phase = "faults" | "healing" | "liveness" | "stopping" | "end"

/**
 * Everything that can be observed.
 *
 * @category models
 * @since 0.1.0
 */
export type Observation =
  | WireMessage
  | NodeSnapshot
  | { readonly _tag: "Phase"; readonly at: number; readonly phase: Phase }
  | {
    readonly _tag: "NodeStarted"
    readonly at: number
    readonly node: string
    /** Counts the starts of a name, from 1. */
    readonly incarnation: number
  }
  | {
    readonly _tag: "NodeStopped"
    readonly at: number
    readonly node: string
    /** Whether it could say goodbye. */
    readonly inOrder: boolean
  }
  | {
    readonly _tag: "LinkOpened"
    readonly at: number
    readonly link: number
    readonly dialer: string
    readonly listener: string
  }
  | { readonly _tag: "LinkClosed"; readonly at: number; readonly link: number }
  /** What a node publishes about its peers. */
  | {
    readonly _tag: "Peer"
    readonly at: number
    readonly node: string
    readonly event: OverlayEvent
    /** The node at the event's address, empty where it has none. */
    readonly other: string
  }
  | {
    readonly _tag: "Ledger"
    readonly at: number
    readonly node: string
    readonly ledgerSeq: number
    readonly hash: string
    readonly transactions: ReadonlyArray<string>
    readonly jumpedFrom: number | undefined
    /** Rounds of voting it took. */
    readonly rounds: number
  }
  | { readonly _tag: "Submitted"; readonly at: number; readonly node: string; readonly hash: string }
  /** A fault took effect. */
  | {
    readonly _tag: "Fault"
    readonly at: number
    readonly kind: string
    readonly detail: string
    readonly nodes: ReadonlyArray<string>
  }
  /** A handler that was registered at a node, as any program would: the peers it was told of, and not of their end. */
  | { readonly _tag: "Handled"; readonly at: number; readonly node: string; readonly peers: number }
  /** An error that a node logged: nothing a peer does may cause one. */
  | { readonly _tag: "ErrorLogged"; readonly at: number; readonly node: string; readonly text: string }
  /** What was left when everything had ended. */
  | {
    readonly _tag: "LeftOver"
    readonly at: number
    readonly tasks: number
    readonly timers: number
    readonly sockets: number
  }

/**
 * An observation of one kind.
 *
 * @category models
 * @since 0.1.0
 */
export type Of<Tag extends Observation["_tag"]> = Extract<Observation, { readonly _tag: Tag }>
