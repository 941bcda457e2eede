/**
 * All peers of a node: the one admission path for dialled and accepted connections, and the loop that hands their
 * messages to whoever registered for them.
 *
 * A connection holds a place in the `PeerRegistry` from before its first byte until after its last; the fiber that runs
 * it gives the place back however it ends. What a handler does with a batch is part of processing it: credit returns to
 * the remote when all handlers are done (see `Peer`).
 *
 * Implements protocol.md 9.5 to 9.7 (stellar-core: `OverlayManagerImpl`).
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { BanList } from "./BanList.ts"
import * as DropReason from "./DropReason.ts"
import { readNow } from "./internal/peerRuntime.ts"
import { shuffle } from "./internal/shuffle.ts"
import { LocalNode } from "./LocalNode.ts"
import { PeerDropped } from "./OverlayError.ts"
import { OverlayEvents } from "./OverlayEvents.ts"
import * as Peer from "./Peer.ts"
import { PeerManager } from "./PeerManager.ts"
import type { Admission, Role } from "./protocol/Handshake.ts"
import * as HandshakeBudget from "./protocol/HandshakeBudget.ts"
import type { Lane } from "./protocol/Inbox.ts"
import type { LedgerContext } from "./protocol/LedgerContext.ts"
import { type Entry, PeerRegistry } from "./protocol/PeerRegistry.ts"
import { type Connection, Transport } from "./Transport.ts"
import * as NodeId from "./wire/NodeId.ts"
import type { PeerAddress } from "./wire/PeerAddress.ts"
import type { StellarMessage } from "./wire/StellarMessage.ts"

/**
 * Somebody who wants to know about peers and their messages. Handlers are called in the order of registration.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerHandler {
  /** A peer authenticated. */
  readonly connected?: (peer: Peer.Peer) => void
  /**
   * A batch of one lane came, SCP and fetch replies or transactions, adverts and demands; the messages may be views into a socket buffer, good until the handler is done. An effect delays the
   * credit, and so the peer, until it ends; a defect in it ends that peer and no other.
   */
  readonly received?: (
    peer: Peer.Peer,
    messages: NonEmptyReadonlyArray<StellarMessage>
  ) => Effect.Effect<void> | undefined
  /** An authenticated peer is gone. */
  readonly disconnected?: (peer: Peer.Peer, reason: DropReason.DropReason) => void
}

/**
 * How a dial is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectOptions {
  /** The address may be connected inbound: the dial then verifies it and ends as a duplicate (protocol.md 9.6). */
  readonly promotion?: boolean | undefined
  /** An operator's order: back-off does not matter. */
  readonly force?: boolean | undefined
}

/**
 * The lists and what can be done with them. The queries are plain functions: they look at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeersShape {
  /** Dials and waits until the peer is authenticated. The connection outlives the caller; `drop` ends it. */
  readonly connect: (address: PeerAddress, options?: ConnectOptions) => Effect.Effect<Peer.Peer, PeerDropped>
  /** Starts a dial and reports nothing but events; false when it was refused at once. */
  readonly dial: (address: PeerAddress, options?: ConnectOptions) => boolean
  /** Takes an accepted connection through admission and runs it to its end. For `Listener.run`. */
  readonly accept: (connection: Connection) => Effect.Effect<void>
  /** Registers a handler until the scope closes. */
  readonly handle: (handler: PeerHandler) => Effect.Effect<void, never, Scope.Scope>
  /** Ends a connection; false when the node is not connected. */
  readonly drop: (id: NodeId.NodeId, reason: DropReason.DropReason) => boolean
  /** Tells every peer, inbound first, and waits until all are gone. Nothing is admitted any more. */
  readonly shutdown: Effect.Effect<void>
  /** A ledger closed: every peer adopts its limits, and so do later ones, which are asked for SCP state from a ledger. */
  readonly updateLedger: (ledger: LedgerContext, scpStateFrom: number) => void

  readonly get: (id: NodeId.NodeId) => Peer.Peer | undefined
  /** Authenticated peers in NodeID order, of one direction or of both. */
  readonly authenticated: (role?: Role) => Array<Peer.Peer>
  /** The same, shuffled. */
  readonly randomAuthenticated: (role?: Role) => Array<Peer.Peer>
  /** Addresses of connections whose handshake is under way. */
  readonly pending: (role: Role) => Array<PeerAddress>
  readonly isPreferred: (peer: Peer.Peer) => boolean
  /** Slots and counts. */
  readonly registry: PeerRegistry
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class Peers extends Context.Service<Peers, PeersShape>()("@stellar-overlay/overlay/Peers") {
  /**
   * Peers over a transport, with the address book and the ban list they consult.
   *
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<Peers, never, LocalNode | Transport | PeerManager | BanList> = Layer.effect(
    this,
    Effect.suspend(() => make)
  )
}

/** Hosts that tests use many times over are not limited by host. */
const isExempt = (address: PeerAddress, allowLocalhost: boolean): boolean => allowLocalhost && address.isLocalhost

/** After this long an inbound peer that has sent nothing new may have to make room for another. */
const IDLE_SQUATTER_MILLIS = 600_000

const make = Effect.gen(function*() {
  const context = yield* Effect.context<LocalNode | Transport>()
  const { config, derived, handshake } = yield* LocalNode
  const events = yield* OverlayEvents
  const manager = yield* PeerManager
  const bans = yield* BanList
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const fibers = yield* FiberSet.make<void>()
  const fork = yield* FiberSet.runtime(fibers)<LocalNode | Transport>()
  const handlers = new Set<PeerHandler>()
  const live = new Map<Entry, Peer.Peer>()
  const preferredKeys = new Set<string>(config.preferredPeerKeys)
  const millis = () => readNow(clock).millis
  const budget = new HandshakeBudget.HandshakeBudget(HandshakeBudget.defaults, millis())
  let ledger: LedgerContext | undefined
  let scpStateFrom = 0
  let closed = false
  /** Open while there is no connection at all. */
  const empty = Latch.makeUnsafe(true)

  const registry = new PeerRegistry(
    handshake.id,
    {
      maxInbound: derived.maxInboundConnections,
      maxOutbound: derived.maxOutboundConnections,
      maxInboundPending: derived.maxInboundPending,
      maxOutboundPending: derived.maxOutboundPending,
      possiblyPreferredExtra: 2,
      maxPendingPerAddress: config.maxPendingPerAddress,
      maxPendingPerSubnet24: config.maxPendingPerSubnet24,
      maxPendingPerSubnet16: config.maxPendingPerSubnet16,
      preferredPeersOnly: config.preferredPeersOnly,
      mutualDials: config.mutualDials
    },
    {
      isExempt: (address) => isExempt(address, config.allowLocalhostForTesting),
      isPreferredAddress: manager.isPreferred,
      isPossiblyPreferred: manager.isPossiblyPreferred,
      isPreferredKey: (id) => preferredKeys.has(id),
      dispensable: (inbound, newcomer) => {
        const idleSince = millis() - IDLE_SQUATTER_MILLIS
        return inbound.find((entry) => {
          const stats = live.get(entry)?.session.stats
          return entry !== newcomer && entry.since < idleSince && !registry.isPreferred(entry)
            && stats !== undefined && stats.uniqueFloodMessages + stats.uniqueFetchMessages === 0
        })
      }
    }
  )

  const admission = (entry: Entry): Admission => ({
    beforeVerify: ({ host }) =>
      entry.role === "initiator" || isExempt(entry.address, config.allowLocalhostForTesting)
        ? undefined
        : budget.take(host, millis()),
    isBanned: (id) => bans.isBanned(id),
    helloReceived: (remote) => {
      manager.helloReceived(remote.address, remote.role)
      return registry.hello(entry, remote)
    },
    peersFor: (remote) => manager.getPeersToSend(MAX_PEERS_SENT, remote.address),
    authenticated: (remote) => {
      manager.authenticated(remote.address, remote.role)
      return registry.authenticate(entry)
    }
  })

  /** Hands the batches of a lane to the handlers until the peer ends. */
  const consume = (peer: Peer.Peer, lane: Lane) =>
    Stream.runForEachArray(peer.lanes[lane], (messages) => {
      let waiting: Effect.Effect<void> | undefined
      for (const handler of handlers) {
        const effect = handler.received?.(peer, messages)
        if (effect !== undefined) waiting = waiting === undefined ? effect : Effect.andThen(waiting, effect)
      }
      return waiting ?? Effect.void
    }).pipe(
      Effect.catchTag("PeerDropped", () => Effect.void),
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.void
          : Effect.andThen(
            Effect.logError("A handler failed", cause),
            peer.drop(DropReason.make("Defect", Cause.pretty(cause).split("\n")[0] ?? "unknown"))
          )
      )
    )

  /** One connection from its reservation to its release. */
  const runEntry = (
    entry: Entry,
    acquire: (options: Peer.PeerOptions) => Effect.Effect<Peer.Peer, PeerDropped, LocalNode | Transport | Scope.Scope>,
    result: Deferred.Deferred<Peer.Peer, PeerDropped> | undefined
  ) =>
    Effect.scoped(Effect.gen(function*() {
      empty.closeUnsafe()
      const exit = yield* Effect.exit(acquire({
        admission: admission(entry),
        answers: "deliver",
        scpStateFrom,
        ledger,
        onSession: (_, drop) => {
          entry.drop = drop
        }
      }))
      if (result !== undefined) yield* Deferred.done(result, exit)
      const peer = yield* exit
      live.set(entry, peer)
      for (const handler of handlers) handler.connected?.(peer)
      yield* Effect.all([consume(peer, "urgent"), consume(peer, "bulk")], { concurrency: 2, discard: true })
      const reason = yield* peer.closed
      for (const handler of handlers) handler.disconnected?.(peer, reason)
      bans.recordDrop(peer.id, reason)
      return reason
    })).pipe(
      Effect.catchTag("PeerDropped", ({ reason }) => Effect.succeed(reason)),
      Effect.flatMap((reason) => Effect.sync(() => ended(entry, reason))),
      Effect.onExit(() =>
        Effect.sync(() => {
          live.delete(entry)
          registry.release(entry)
          if (registry.size === 0) empty.openUnsafe()
          if (result === undefined) return
          const gone = new PeerDropped({ address: entry.address, id: entry.remote?.id, reason: DropReason.make("Shutdown") })
          Deferred.doneUnsafe(result, Effect.fail(gone)) // nothing happens when the dial has come to its own end
        })
      )
    )

  const ended = (entry: Entry, reason: DropReason.DropReason): void => {
    const address = entry.role === "initiator" ? entry.address : entry.remote?.address ?? entry.address
    if (reason._tag === "ConnectingToSelf" && entry.role === "initiator") manager.rememberSelf(entry.address)
    manager.connectionEnded(address, entry.role, reason)
    manager.removePeersWithManyFailures(MAX_FAILURES, address)
  }

  const refused = (address: PeerAddress, role: Role, reason: DropReason.DropReason): DropReason.DropReason => {
    events.publish({ _tag: "PeerDropped", address, role, id: undefined, authenticated: false, reason })
    return reason
  }

  const start = (
    address: PeerAddress,
    options: ConnectOptions,
    result?: Deferred.Deferred<Peer.Peer, PeerDropped>
  ): DropReason.DropReason | undefined => {
    if (closed) return DropReason.make("Shutdown")
    const entry = registry.reserveOutbound(address, millis(), options.promotion)
    if ("_tag" in entry) return refused(address, "initiator", entry)
    const notNow = manager.attemptStarted(address, { force: options.force ?? false })
    if (notNow !== undefined) {
      registry.release(entry)
      return refused(address, "initiator", DropReason.make("DialRefused", notNow))
    }
    const fiber = fork(runEntry(entry, (peer) => Peer.connect(address, peer), result))
    // Until there is a session, ending the connection means giving up the dial.
    if (entry.state === "pending" && entry.remote === undefined) entry.drop = () => fiber.interruptUnsafe()
    return undefined
  }

  return Peers.of({
    connect: Effect.fnUntraced(function*(address, options = {}) {
      const result = yield* Deferred.make<Peer.Peer, PeerDropped>()
      const reason = start(address, options, result)
      if (reason !== undefined) return yield* new PeerDropped({ address, id: undefined, reason })
      return yield* Deferred.await(result)
    }),
    dial: (address, options = {}) => start(address, options) === undefined,
    accept: (connection) =>
      Effect.suspend(() => {
        const entry = closed ? DropReason.make("Shutdown") : registry.reserveInbound(connection.remote, millis())
        if ("_tag" in entry) {
          refused(connection.remote, "acceptor", entry)
          return Effect.void
        }
        return runEntry(entry, (options) => Peer.accept(connection, options), undefined)
      }).pipe(Effect.provideContext(context)),
    handle: (handler) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          handlers.add(handler)
          for (const peer of live.values()) handler.connected?.(peer)
        }),
        () => Effect.sync(() => handlers.delete(handler))
      ),
    drop: (id, reason) => {
      const entry = registry.get(id)
      entry?.drop(reason)
      return entry !== undefined
    },
    shutdown: Effect.suspend(() => {
      closed = true
      for (const entry of registry.all()) entry.drop(DropReason.make("Shutdown"))
      return empty.await
    }),
    updateLedger: (next, from) => {
      ledger = next
      scpStateFrom = from
      for (const peer of live.values()) peer.updateLedger(next)
    },
    get: (id) => {
      const entry = registry.get(id)
      return entry && live.get(entry)
    },
    authenticated: (role) => peersOf(registry.authenticated(role)),
    randomAuthenticated: (role) => shuffle(peersOf(registry.authenticated(role)), () => random.nextDoubleUnsafe()),
    pending: (role) => registry.pending(role).map((entry) => entry.address),
    isPreferred: (peer) => {
      const entry = registry.get(peer.id)
      return entry !== undefined && registry.isPreferred(entry)
    },
    registry
  })

  function peersOf(entries: ReadonlyArray<Entry>): Array<Peer.Peer> {
    return entries.flatMap((entry) => live.get(entry) ?? [])
  }
})

/** Addresses in a PEERS message (protocol.md 1.7). */
const MAX_PEERS_SENT = 50

/** REALLY_DEAD_NUM_FAILURES_CUTOFF. */
const MAX_FAILURES = 120
