/**
 * What a crawl finds, as data: records of addresses, attempts and nodes, the events in which they come, and the state
 * from which a crawl goes on later.
 *
 * Everything here is plain: numbers, texts and lists, no classes. What a peer said about itself (`version`, details of a
 * reason) is as it came, cut to what the protocol allows: escape it before a terminal or a page.
 *
 * @since 0.1.0
 */
import type { CrawledAddress, CrawlRefusal } from "./protocol/CrawlFrontier.ts"
import type { CrawlStatus } from "./protocol/CrawlStatus.ts"
import type { NodeId } from "./wire/NodeId.ts"

/**
 * One dial and what came of it. Times are Unix milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlAttempt {
  readonly host: string
  readonly port: number
  /** Counts the attempts at the address from 1. */
  readonly number: number
  readonly startedAt: number
  readonly endedAt: number
  readonly status: CrawlStatus
  /** The tag of the `DropReason` that ended it; undefined where we did, having seen enough. */
  readonly reason: string | undefined
  readonly detail: string | undefined
  /** Who proved to be there. */
  readonly nodeId: NodeId | undefined
  /** The network a HELLO named, in hex; undefined when none came. */
  readonly networkId: string | undefined
  /** From the dial to the open connection: one round trip. */
  readonly connectMillis: number | undefined
  /** From the open connection to the end of the handshake: two round trips and the peer's work. */
  readonly handshakeMillis: number | undefined
  /** The answered ping, where we stayed long enough. */
  readonly pingMillis: number | undefined
}

/**
 * A node that proved itself: it holds the key of its id and of its certificate. Times are Unix milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawledNode {
  readonly id: NodeId
  /** The most telling of its addresses. */
  readonly status: CrawlStatus
  readonly version: string
  readonly overlayVersion: number
  readonly overlayMinVersion: number
  readonly ledgerVersion: number
  readonly listeningPort: number
  /** How far its clock seems to be ahead (positive) or behind; 0 within what a certificate can show. */
  readonly clockSkewSeconds: number | undefined
  readonly firstSeenAt: number
  readonly lastSeenAt: number
  /** The shortest ones seen. */
  readonly connectMillis: number | undefined
  readonly handshakeMillis: number | undefined
  readonly pingMillis: number | undefined
  /** The highest slot of the SCP messages it sent that a validator had signed, and when it came. */
  readonly slot: number | undefined
  readonly slotAt: number | undefined
  /** Ledgers behind the network at `slotAt`; known when the crawl ends. */
  readonly lag: number | undefined
  /** Whether anybody sent us an SCP statement that this node had signed. */
  readonly validating: boolean
  /** The highest slot of those statements. */
  readonly validatedSlot: number | undefined
  /** Entries of its PEERS; undefined when it sent none. */
  readonly peersTold: number | undefined
  /** Entries no honest node passes on: private, loopback, multicast, reserved, port 0 and so on. */
  readonly peersRefused: number
}

/**
 * How a crawl ended: everything known was dialled, the time was up, or somebody stopped it. The last two can go on.
 *
 * @category models
 * @since 0.1.0
 */
export type CrawlOutcome = "completed" | "time-limit" | "interrupted"

/**
 * Where a crawl stands.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlProgress {
  /** Milliseconds of crawling, those of earlier runs included. */
  readonly activeMillis: number
  /** Addresses known, done, under way, and waiting. */
  readonly known: number
  readonly done: number
  readonly active: number
  readonly waiting: number
  /** Attempts that ended. */
  readonly attempts: number
  /** Nodes that proved themselves. */
  readonly nodes: number
  /** Done addresses by status. */
  readonly byStatus: Readonly<Partial<Record<CrawlStatus, number>>>
  /** Told entries that were refused, by why. */
  readonly refused: Readonly<Partial<Record<CrawlRefusal, number>>>
  /** Milliseconds that what is known now will take, going by how long visits took; undefined before the first one. */
  readonly etaMillis: number | undefined
}

/**
 * What happens in a crawl. Of one attempt, `NodeSeen`, `AddressFound` and `PeersTold` come before its `AttemptEnded`: who
 * stores events in their order can stop anywhere and never misses what a done address told.
 *
 * @category models
 * @since 0.1.0
 */
export type CrawlEvent =
  | { readonly _tag: "AddressFound"; readonly address: CrawledAddress }
  | { readonly _tag: "NodeSeen"; readonly node: CrawledNode }
  | {
    readonly _tag: "PeersTold"
    readonly at: number
    readonly nodeId: NodeId
    /** Good ones, new or known. */
    readonly addresses: ReadonlyArray<{ readonly host: string; readonly port: number }>
    readonly refused: Readonly<Partial<Record<CrawlRefusal, number>>>
  }
  | { readonly _tag: "AttemptEnded"; readonly attempt: CrawlAttempt; readonly address: CrawledAddress }
  | { readonly _tag: "AddressSkipped"; readonly address: CrawledAddress }
  | {
    readonly _tag: "CrawlEnded"
    readonly at: number
    readonly outcome: CrawlOutcome
    readonly progress: CrawlProgress
  }

/**
 * From where a crawl goes on. JSON can carry it.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlState {
  /** Unix milliseconds of the first start. */
  readonly startedAt: number
  readonly activeMillis: number
  readonly addresses: ReadonlyArray<CrawledAddress>
  readonly nodes: ReadonlyArray<CrawledNode>
}
