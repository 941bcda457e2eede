/**
 * All peers of a node: the one admission path for dialled and accepted connections, and the loop that hands their
 * messages to whoever registered for them.
 *
 * A connection holds a place in the `PeerRegistry` from before its first byte; it gives its slot back in the moment it is
 * dropped, and the rest when its socket is closed, however it ends. What a handler does with a batch is part of processing
 * it: credit returns to the remote when all handlers are done (see `Peer`).
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
import type * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { BanList, isProvenViolation } from "./BanList.ts"
import * as DropReason from "./DropReason.ts"
import { describe, LivePeers } from "./internal/livePeers.ts"
import * as MetricsSources from "./internal/metricsSources.ts"
import { readMillis } from "./internal/peerRuntime.ts"
import { shuffle } from "./internal/shuffle.ts"
import { LocalNode } from "./LocalNode.ts"
import { PeerDropped } from "./OverlayError.ts"
import { type OverlayEvent, OverlayEvents, publisher } from "./OverlayEvents.ts"
import { OverlayMetrics, source } from "./OverlayMetrics.ts"
import * as Peer from "./Peer.ts"
import { PeerManager } from "./PeerManager.ts"
import { PeersConfig } from "./PeersConfig.ts"
import type { Admission, Role } from "./protocol/Handshake.ts"
import { HandshakeBudget } from "./protocol/HandshakeBudget.ts"
import * as InboundEviction from "./protocol/InboundEviction.ts"
import type { LedgerContext } from "./protocol/LedgerContext.ts"
import { REALLY_DEAD_FAILURES } from "./protocol/PeerBackoff.ts"
import { type Entry, PeerRegistry } from "./protocol/PeerRegistry.ts"
import type { Session } from "./protocol/Session.ts"
import type { Connection, Transport } from "./Transport.ts"
import type * as NodeId from "./wire/NodeId.ts"
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
   * A batch of one lane came, SCP and fetch replies or transactions, adverts and demands; the messages may be views into
   * a socket buffer, good until the handler is done. An effect delays the credit, and so the peer, until it ends; it is
   * interrupted when it takes longer than 5 s after the peer is gone. A defect in it ends that peer and no other.
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
  /** Registers a handler until the scope closes; with `first` it hears of a batch before all that are there. */
  readonly handle: (
    handler: PeerHandler,
    options?: { readonly first?: boolean | undefined }
  ) => Effect.Effect<void, never, Scope.Scope>
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
   * Peers over a transport, with the address book and the ban list they consult, and the values of the `PeersConfig`
   * reference. All are told and gone before the layer's scope is closed.
   *
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<Peers, never, LocalNode | Transport | PeerManager | BanList> = Layer.effect(
    this,
    Effect.suspend(() => make)
  )
}

/** An IPv6 site has more addresses than it has hosts. */
const hostOf = (address: PeerAddress): string => (address.kind === "ipv6" ? address.subnet24 : address.host)

type Open = (options: Peer.PeerOptions) => Effect.Effect<Peer.Peer, PeerDropped, LocalNode | Transport | Scope.Scope>

const make = Effect.gen(function*() {
  /** What connections live in, whoever opened them: dials are forked into it as well. */
  const context = yield* Effect.context<LocalNode | Transport>()
  const { config, derived, handshake } = yield* LocalNode
  const options = yield* PeersConfig
  const events = yield* OverlayEvents
  const tell = yield* publisher
  const metrics = yield* OverlayMetrics
  const manager = yield* PeerManager
  const bans = yield* BanList
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const fibers = yield* FiberSet.make<void>()
  const fork = yield* FiberSet.runtime(fibers)<LocalNode | Transport>()
  const live = new LivePeers()
  const preferredKeys = new Set<string>(config.preferredPeerKeys)
  const millis = () => readMillis(clock)
  const accepts = new HandshakeBudget(options.accepts, millis())
  const handshakes = new HandshakeBudget(options.handshakes, millis())
  let ledger: LedgerContext | undefined
  let scpStateFrom = 0
  let closed = false
  /** Open while there is no connection at all. */
  const empty = Latch.makeUnsafe(true)

  /** Hosts that are not limited: those that tests use many times over, and where preferred peers may be. */
  const isTestHost = (address: PeerAddress) => config.allowLocalhostForTesting && address.isLocalhost
  const isExempt = (address: PeerAddress) => isTestHost(address) || manager.isPossiblyPreferred(address)

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
      evictPendingAfterMillis: options.evictPendingAfterMillis,
      preferredPeersOnly: config.preferredPeersOnly,
      mutualDials: config.mutualDials,
      ...options.limits
    },
    {
      isExempt: isTestHost,
      isPreferredAddress: manager.isPreferred,
      isPossiblyPreferred: manager.isPossiblyPreferred,
      isPreferredKey: (id) => preferredKeys.has(id),
      dispensable: (inbound) => {
        const squatters = inbound.map((entry) => {
          const session = live.get(entry)?.session
          return {
            isPreferred: registry.isPreferred(entry),
            since: entry.since,
            useful: session === undefined ? 0 : session.stats.uniqueFloodMessages + session.stats.uniqueFetchMessages,
            latencyMillis: session?.liveness.latencyMillis ?? Infinity,
            group: entry.groups[2]
          }
        })
        return inbound[InboundEviction.choose(squatters, options.evictIdleAfterMillis, millis())]
      }
    }
  )

  yield* source(MetricsSources.registry(registry))

  const admission = (entry: Entry): Admission => ({
    beforeVerify: (address) =>
      entry.role === "initiator" || isExempt(address) ? undefined : handshakes.take(hostOf(address), millis()),
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

  /** What the end of a connection says about its address, its host and its node; `session` if it was authenticated. */
  const judge = (entry: Entry, reason: DropReason.DropReason, session?: Session): void => {
    const { remote, role } = entry
    const address = role === "initiator" ? entry.address : remote?.address ?? entry.address
    if (reason._tag === "ConnectingToSelf" && role === "initiator") manager.rememberSelf(entry.address)
    const established = session !== undefined && session.stats.grantsReceived > 0
    manager.connectionEnded(address, role, reason, { established })
    manager.removePeersWithManyFailures(REALLY_DEAD_FAILURES, address)
    const row = role === "initiator" ? manager.get(address) : undefined
    if (row !== undefined && row.numFailures + row.refusals > 0) {
      const { nextAttemptMillis: untilMillis, numFailures: failures } = row
      tell({ _tag: "PeerBackedOff", address, failures, untilMillis })
    }
    if (session !== undefined && remote !== undefined) bans.recordDrop(remote.id, reason)
    if (role === "acceptor" && !isExempt(entry.address)) {
      accepts.charge(hostOf(entry.address), costOf(reason, session !== undefined), millis())
    }
  }

  const costOf = (reason: DropReason.DropReason, authenticated: boolean): number => {
    if (reason._tag === "NodeBanned") return options.bannedCost
    if (DropReason.kind(reason) !== "violation" || DropReason.droppedBy(reason) !== "us") return 0
    return authenticated && isProvenViolation(reason) ? options.violationCost : options.garbageCost
  }

  const publishDrop = (address: PeerAddress, role: Role, reason: DropReason.DropReason): void => {
    metrics.count("stellar_overlay_drops_total", reason._tag)
    tell({ _tag: "PeerDropped", address, role, id: undefined, authenticated: false, reason })
  }

  /** One connection from its reservation to its release. It is run uninterruptibly, and opens the window itself. */
  const run = (entry: Entry, open: Open, result?: Deferred.Deferred<Peer.Peer, PeerDropped>): Effect.Effect<
    void,
    never,
    LocalNode | Transport
  > => {
    const isInbound = entry.role === "acceptor"
    let wasDropped = false
    let early: DropReason.DropReason | undefined
    if (entry.role === "acceptor") entry.drop = (reason) => early = reason // until there is a session
    // Called within the step that drops the connection, so that its slot is free at once.
    const publish = (event: OverlayEvent): void => {
      if (event._tag === "PeerDropped") {
        wasDropped = true
        registry.close(entry)
      }
      tell(event)
    }

    let session: Session | undefined
    /** Who has no room for us tells us of others before it says so (protocol.md 2.5): the connection is over by then. */
    const learn = (): void => {
      for (let batch = session?.takeBatch("urgent"); batch !== undefined; batch = session?.takeBatch("urgent")) {
        for (const message of batch.messages) {
          if (message._tag === "Peers") manager.receivePeers(message.addresses, entry.address)
        }
      }
    }

    const connection = Effect.gen(function*() {
      const given = ledger
      const peer = yield* open({
        admission: admission(entry),
        answers: "deliver",
        scpStateFrom,
        ledger: given,
        onSession: (made, drop) => {
          session = made
          entry.drop = drop
          if (early !== undefined) drop(early)
        }
      }).pipe(Effect.tapError(({ reason }) =>
        Effect.sync(() => {
          learn()
          judge(entry, reason)
        })
      ))
      if (ledger !== undefined && ledger !== given) peer.updateLedger(ledger)
      yield* live.begin(entry, peer)
      if (result !== undefined) yield* Deferred.succeed(result, peer)
      yield* live.serve(entry, peer, (reason) => judge(entry, reason, peer.session))
    })

    const failed = (cause: Cause.Cause<PeerDropped>): Effect.Effect<void> => {
      const isInterrupted = Cause.hasInterruptsOnly(cause)
      const error = Option.getOrElse(Cause.findErrorOption(cause), () => {
        const reason = isInterrupted ? DropReason.make("Shutdown") : DropReason.make("Defect", describe(cause))
        return new PeerDropped({ address: entry.address, id: entry.remote?.id, reason })
      })
      if (!wasDropped) publishDrop(entry.address, entry.role, error.reason)
      if (result !== undefined) Deferred.doneUnsafe(result, Effect.fail(error))
      return error.reason._tag === "Defect" ? Effect.logError("A connection failed", cause) : Effect.void
    }

    const release = Effect.sync(() => {
      registry.release(entry)
      metrics.count(
        isInbound ? "stellar_overlay_inbound_drop_total" : "stellar_overlay_outbound_drop_total"
      )
      if (registry.size === 0) empty.openUnsafe()
    })
    empty.closeUnsafe()
    metrics.count(isInbound ? "stellar_overlay_inbound_establish_total" : "stellar_overlay_outbound_establish_total")
    return Effect.interruptible(Effect.scoped(connection)).pipe(
      Effect.provideService(OverlayEvents, { ...events, publish }),
      Effect.catchCause(failed),
      Effect.ensuring(release)
    )
  }

  /** Makes a place for a dial and starts it; the reason when there is none. */
  const tryStart = (
    address: PeerAddress,
    { force = false, promotion }: ConnectOptions,
    result?: Deferred.Deferred<Peer.Peer, PeerDropped>
  ): DropReason.DropReason | undefined => {
    if (closed) return DropReason.make("Shutdown")
    const entry = registry.reserveOutbound(address, millis(), promotion)
    if ("_tag" in entry) {
      publishDrop(address, "initiator", entry)
      return entry
    }
    let isStarted = false
    try {
      const notNow = manager.attemptStarted(address, { force })
      if (notNow === undefined) {
        let fiber: Fiber.Fiber<void> | undefined
        entry.drop = () => fiber?.interruptUnsafe() // until there is a session, to end it means to give up the dial
        fiber = fork(run(entry, (peer) => Peer.connect(address, peer), result), { uninterruptible: true })
        isStarted = true
        return undefined
      }
      const refusal = DropReason.make("DialRefused", notNow)
      publishDrop(address, "initiator", refusal)
      return refusal
    } finally {
      if (!isStarted) registry.release(entry)
    }
  }

  const start = (...dial: Parameters<typeof tryStart>): DropReason.DropReason | undefined => {
    metrics.count("stellar_overlay_outbound_attempt_total")
    const refusal = tryStart(...dial)
    if (refusal !== undefined) metrics.count("stellar_overlay_outbound_cancel_total")
    return refusal
  }

  /** Makes a place for an accepted socket; the reason when there is none. */
  const admit = (remote: PeerAddress): Entry | DropReason.DropReason => {
    if (closed) return DropReason.make("Shutdown")
    const tooOften = isExempt(remote) ? undefined : accepts.take(hostOf(remote), millis())
    return tooOften ?? registry.reserveInbound(remote, millis())
  }

  const peersOf = (entries: ReadonlyArray<Entry>): Array<Peer.Peer> => entries.flatMap((entry) => live.get(entry) ?? [])

  const shutdown = Effect.suspend(() => {
    closed = true
    for (const entry of registry.all()) entry.drop(DropReason.make("Shutdown"))
    return empty.await
  })
  yield* Effect.addFinalizer(() => shutdown)

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
        metrics.count("stellar_overlay_inbound_attempt_total")
        const entry = admit(connection.remote)
        if (!("_tag" in entry)) return run(entry, (options) => Peer.accept(connection, options))
        metrics.count("stellar_overlay_inbound_reject_total")
        publishDrop(connection.remote, "acceptor", entry)
        return Effect.void
      }).pipe(Effect.uninterruptible, Effect.updateContext(() => context)),
    handle: (handler, options) => live.register(handler, options?.first),
    drop: (id, reason) => {
      const entry = registry.get(id)
      entry?.drop(reason)
      return entry !== undefined
    },
    shutdown,
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
})

/** Addresses in a PEERS message (protocol.md 8.4). */
const MAX_PEERS_SENT = 50
