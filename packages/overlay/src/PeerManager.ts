/**
 * Which addresses this node knows, which of them to dial next and which to pass on.
 *
 * The table is in memory and its methods are synchronous, because the handshake asks in the middle of a message. What
 * changed goes to the `PeerStore` in batches, at most `flushMillis` (1 s) plus one write after it changed and when the
 * scope closes; a process that is killed loses what it learnt in that window and nothing else. A store that is locked,
 * full or damaged costs nothing but persistence: the table goes on in memory, an alert says so, and everything is
 * written when the store works again.
 *
 * Only what this node saw itself counts for or against an address; what others say about it is its existence, nothing
 * else.
 *
 * Implements protocol.md section 10 and 8.4 (stellar-core: `PeerManager`, `Peer::recvPeers`, `storePeerList`).
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import type * as DropReason from "./DropReason.ts"
import * as internal from "./internal/peerManager.ts"
import { OverlayConfig } from "./OverlayConfig.ts"
import { defaults, PeerManagerConfig } from "./PeerManagerConfig.ts"
import type { PeerStore } from "./PeerStore.ts"
import type { Role } from "./protocol/Handshake.ts"
import type { BackoffUpdate, PeerType } from "./protocol/PeerBackoff.ts"
import type { PeerQuery } from "./protocol/PeerSelection.ts"
import type { PeerRecord, PeerRow } from "./protocol/PeerTable.ts"
import type { RandomPeerSource } from "./RandomPeerSource.ts"
import type { StorageAlert, StorageError, StorageStatus } from "./StorageError.ts"
import type { PeerAddress } from "./wire/PeerAddress.ts"

/**
 * Why an address is not dialled now:
 *
 * - `NotDue`: its back-off is not over
 * - `Port`: no node is expected at such a port
 * - `HostLimit`: its host was dialled often enough in the last hour
 * - `Self`: it leads back to this node
 *
 * @category models
 * @since 0.1.0
 */
export type DialRefusal = "NotDue" | "Port" | "HostLimit" | "Self"

/**
 * What became of the addresses of a PEERS message.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeersReceived {
  readonly added: number
  readonly known: number
  /** Not an address that gossip may name: private, reserved, ourselves, a low port. */
  readonly refused: number
  /** Good, but there is no room for it. */
  readonly full: number
}

/**
 * What the manager does. Everything but `flush` and `alerts` is synchronous and never fails.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerManagerShape {
  /** The row of an address. */
  readonly get: (address: PeerAddress) => PeerRow | undefined
  /** The record of an address; one of type inbound, without failures and due now, when there is no row. */
  readonly load: (address: PeerAddress) => PeerRecord
  /** Inserts or replaces a row as something this node knows itself. False when there is no room. */
  readonly store: (record: PeerRecord) => boolean
  readonly remove: (address: PeerAddress) => boolean
  readonly size: () => number
  readonly all: () => ReadonlyArray<PeerRecord>

  /** Inserts an address unless it has a row; `from` is the peer that told it. Returns whether it was inserted. */
  readonly ensureExists: (address: PeerAddress, from?: PeerAddress) => boolean
  /** Applies an observation to the type of an address (protocol.md 10.3), inserting it when it has no row. */
  readonly updateType: (address: PeerAddress, observed: PeerType, preferredKnown: boolean) => void
  /** Applies an update to the back-off of an address (protocol.md 10.2), inserting it when it has no row. */
  readonly updateBackoff: (address: PeerAddress, update: BackoffUpdate) => void

  // what happens to connections
  /** Why the address must not be dialled now; undefined when it may. */
  readonly dialRefusal: (address: PeerAddress) => DialRefusal | undefined
  /**
   * A dial begins: counts a failure until it is proved otherwise and sets the next attempt. Refuses as `dialRefusal`
   * does; `force` (an operator's order) refuses nothing.
   */
  readonly attemptStarted: (address: PeerAddress, options?: { readonly force?: boolean }) => DialRefusal | undefined
  /** HELLO came (2.4 step 12): notes the type of the announced address. */
  readonly helloReceived: (address: PeerAddress, role: Role) => void
  /** AUTH came (2.5 step 4): an address we dialled has no failures any more. */
  readonly authenticated: (address: PeerAddress, role: Role) => void
  /** Takes back the failure of the attempt under way; the time of the next attempt stays. */
  readonly attemptForgiven: (address: PeerAddress) => void
  /**
   * A connection ended. Takes the failure back when the reason says nothing against the address: the peer had no room,
   * we are connected with that node already (a duplicate, or a promotion), or the decision was ours. A peer without room
   * is tried later each time, unless the connection was `established`: a peer that has given us credit had room, and
   * its ERROR_MSG, which nobody signs, may be a stranger's.
   */
  readonly connectionEnded: (
    address: PeerAddress,
    role: Role,
    reason: DropReason.DropReason,
    options?: { readonly established?: boolean | undefined }
  ) => void
  /** The port this node listens on, when the system chose it; `PeerManagerConfig.peerPort` until then. */
  readonly listeningAt: (port: number) => void
  /** The address leads to this node: it is deleted, and never dialled or stored again. */
  readonly rememberSelf: (address: PeerAddress) => void
  /** Notes the authenticated outbound peers, most valued first; some of them become the anchors. */
  readonly rememberAnchors: (outbound: Iterable<PeerAddress>) => void
  readonly anchors: () => ReadonlyArray<PeerAddress>

  // configuration
  /**
   * Stores the configured addresses (protocol.md 9.2): known ones as outbound, preferred ones as preferred, and replaces
   * the set of preferred addresses. `startup` also resets their back-off. `complete` says that no configured name is
   * missing from the lists.
   */
  readonly storeConfigPeers: (
    peers: { readonly known: ReadonlyArray<PeerAddress>; readonly preferred: ReadonlyArray<PeerAddress> },
    options?: { readonly startup?: boolean; readonly complete?: boolean }
  ) => void
  /** Whether the address is configured as preferred. */
  readonly isPreferred: (address: PeerAddress) => boolean
  /** Whether the host is that of any preferred address: known before the port is. */
  readonly isPossiblyPreferred: (address: PeerAddress) => boolean

  // exchange and choice
  /** Takes the addresses of a PEERS message (protocol.md 8.4). */
  readonly receivePeers: (addresses: Iterable<PeerAddress>, from: PeerAddress) => PeersReceived
  /** Up to `size` addresses for PEERS (protocol.md 10.6): outbound ones first, none private, never `exclude`. */
  readonly getPeersToSend: (size: number, exclude: PeerAddress) => Array<PeerAddress>
  /** Up to `size` random rows that match. */
  readonly loadRandomPeers: (query: PeerQuery, size: number) => Array<PeerRecord>
  /** A source of its own over a query. */
  readonly randomPeerSource: (query: PeerQuery) => RandomPeerSource
  /**
   * Up to `size` addresses of a type to dial now, from the source kept for that type. Skips what `accept` refuses, what
   * `dialRefusal` refuses, and, configured addresses aside, subnets that have their share of `outbound`: the addresses
   * of outbound connections, pending ones too. Anchors of the last run come first, once each.
   */
  readonly connectCandidates: (type: PeerType, size: number, options: {
    readonly accept?: ((address: PeerAddress) => boolean) | undefined
    readonly outbound?: Iterable<PeerAddress> | undefined
  }) => Array<PeerAddress>
  /** Deletes rows with at least `minFailures`, at the host of `address` (any port) if given. Returns how many. */
  readonly removePeersWithManyFailures: (minFailures: number, address?: PeerAddress) => number
  /** Deletes all rows (core's `dropAll`). */
  readonly clear: () => void

  // persistence
  /** Waits until the store has everything. */
  readonly flush: Effect.Effect<void, StorageError>
  readonly alerts: Stream.Stream<StorageAlert>
  readonly status: () => StorageStatus
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class PeerManager extends Context.Service<PeerManager, PeerManagerShape>()(
  "@stellar-overlay/overlay/PeerManager"
) {
  /**
   * A manager over the `PeerStore`, with the values of the `PeerManagerConfig` reference. A store that cannot be read
   * leaves an empty table, an alert, and the stored rows joining as soon as it can.
   *
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<PeerManager, never, PeerStore> = Layer.effect(
    this,
    Effect.flatMap(PeerManagerConfig, (config) => internal.make(config))
  )

  /**
   * The same with some values given and the rest taken from the `OverlayConfig`: port, IPv6, which addresses may be
   * exchanged, and `maxKnownAddresses` for the rows in total.
   *
   * @since 0.1.0
   */
  static readonly layerOverlayConfig = (
    options: Partial<PeerManagerConfig> = {}
  ): Layer.Layer<PeerManager, never, PeerStore | OverlayConfig> =>
    Layer.effect(
      this,
      Effect.flatMap(OverlayConfig, (values) =>
        internal.make({
          ...defaults,
          limits: { ...defaults.limits, maxRows: values.maxKnownAddresses },
          ipv6: values.ipv6,
          allowLocalhost: values.allowLocalhostForTesting,
          allowPrivate: values.allowPrivateAddressesForTesting,
          peerPort: values.peerPort,
          ...options
        }))
    )
}
