/**
 * The overlay of one node: it listens, finds peers and keeps them, remembers who was good and who is banned, and tells
 * everybody before it goes.
 *
 * `Overlay.layer` starts when it is built and stops when its scope closes. Every part it is made of also works alone.
 *
 * Implements protocol.md section 9 (stellar-core: `OverlayManagerImpl::start`, `tick`, `shutdown`).
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { BanList } from "./BanList.ts"
import * as DropReason from "./DropReason.ts"
import { Flood } from "./Flood.ts"
import { describe } from "./internal/livePeers.ts"
import * as MetricsSources from "./internal/metricsSources.ts"
import * as OverlayTick from "./internal/overlayTick.ts"
import { readMillis } from "./internal/peerRuntime.ts"
import * as QueryAnswers from "./internal/queryAnswers.ts"
import * as ScpRecovery from "./internal/scpRecovery.ts"
import { ItemFetcher } from "./ItemFetcher.ts"
import { LocalNode } from "./LocalNode.ts"
import { MessageHub, type Received } from "./MessageHub.ts"
import type { PeerDropped } from "./OverlayError.ts"
import { type OverlayEvent, OverlayEvents, publisher } from "./OverlayEvents.ts"
import { OverlayHost } from "./OverlayHost.ts"
import { OverlayMetrics, source } from "./OverlayMetrics.ts"
import type * as Peer from "./Peer.ts"
import { PeerManager } from "./PeerManager.ts"
import { type ConnectOptions, Peers } from "./Peers.ts"
import { checkpointSlot, makeLedgerContext, minRememberedSlot } from "./protocol/LedgerContext.ts"
import type { Resolver } from "./Resolver.ts"
import type { StorageAlert } from "./StorageError.ts"
import { Survey } from "./Survey.ts"
import { Transport, type TransportError } from "./Transport.ts"
import type { NodeId } from "./wire/NodeId.ts"
import type { PeerAddress } from "./wire/PeerAddress.ts"
import type {
  DontHave,
  GeneralizedTxSet,
  ScpMessage,
  ScpQuorumSet,
  StellarMessage,
  Transaction,
  TxSet
} from "./wire/StellarMessage.ts"

export {
  /**
   * Most candidates taken from one list in a tick.
   *
   * @category constants
   * @since 0.1.0
   */
  CANDIDATES_PER_TICK,
  /**
   * How long after the listener the first tick comes.
   *
   * @category constants
   * @since 0.1.0
   */
  START_DELAY_MILLIS,
  /**
   * Outbound connections aimed for while nobody has connected to us; a smaller target stays as it is, where core would
   * dial more than it has slots for.
   *
   * @category constants
   * @since 0.1.0
   */
  TARGET_WITHOUT_INBOUND
} from "./internal/overlayTick.ts"

/**
 * The overlay as a program sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface OverlayShape {
  /** Where this node listens; undefined when it does not. */
  readonly address: PeerAddress | undefined
  /** Whether somebody could connect now: the listener is open and its loop runs. */
  readonly isListening: () => boolean
  /** The connections. */
  readonly peers: Peers["Service"]
  /** The known addresses. */
  readonly peerManager: PeerManager["Service"]
  readonly banList: BanList["Service"]
  /** The configuration, what follows from it, and the certificates (`auth`). */
  readonly local: LocalNode["Service"]
  /** Dials an address now, whatever its back-off says, and waits for the authenticated peer. */
  readonly connect: (address: PeerAddress, options?: ConnectOptions) => Effect.Effect<Peer.Peer, PeerDropped>
  /**
   * Tells every authenticated peer that does not know the message: transactions by advert, the rest in full. The number of
   * peers newly told.
   */
  readonly broadcast: (message: StellarMessage) => number
  /** Sends to one peer; false when it is not connected or the message was shed. */
  readonly send: (id: NodeId, message: StellarMessage) => boolean
  /** Ends the connection with a node (ERR_MISC "dropped by user"); false when it is not connected. */
  readonly drop: (id: NodeId) => boolean
  /** Bans a node, until a time if given, and drops it, wherever its connection is. */
  readonly ban: (id: NodeId, options?: { readonly untilMillis?: number; readonly reason?: string }) => void
  /** Lifts a ban; false when there was none. */
  readonly unban: (id: NodeId) => boolean
  /** A transaction set, from whoever has it. */
  readonly fetchTxSet: ItemFetcher["Service"]["fetchTxSet"]
  /** A quorum set, from whoever has it. */
  readonly fetchQuorumSet: ItemFetcher["Service"]["fetchQuorumSet"]
  /** Asks random peers (2 by default) for SCP state from a ledger on; what they send arrives like other SCP messages. */
  readonly requestScpState: (fromLedger: number, peers?: number) => void
  /** Time-sliced surveys of the network, as surveyor. */
  readonly survey: Survey["Service"]
  /** Messages of all peers; see `MessageHub` for what a subscriber may choose. */
  readonly subscribe: MessageHub["subscribe"]
  /** A subscription to everything, as a stream that begins when it is run. */
  readonly messages: Stream.Stream<Received>
  /** SCP messages, none lost: a slow reader slows the peers. */
  readonly scp: Stream.Stream<Received<ScpMessage>>
  /** Transactions; a slow reader loses the oldest. */
  readonly transactions: Stream.Stream<Received<Transaction>>
  /** Transaction sets, quorum sets and DONT_HAVE, none lost. */
  readonly fetched: Stream.Stream<Received<TxSet | GeneralizedTxSet | ScpQuorumSet | DontHave>>
  /** Forgets flood records, adverts and searches of ledgers before one; `ledgerChanged` does it as ledgers pass. */
  readonly clearLedgersBelow: (ledgerSeq: number) => void
  /** The host's ledger has moved: limits, shedding and caches follow. Also looked at in every tick. */
  readonly ledgerChanged: Effect.Effect<void>
  /** What happens to peers, bans, surveys, fetches and the node; empty without `OverlayEvents.layer`. */
  readonly events: Stream.Stream<OverlayEvent>
  /** Tells every peer, and waits until nothing is left. The end of the layer's scope does the same. */
  readonly shutdown: Effect.Effect<void>
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class Overlay extends Context.Service<Overlay, OverlayShape>()("@stellar-overlay/overlay/Overlay") {
  /**
   * A running overlay. Fails when its port cannot be listened on.
   *
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<
    Overlay,
    TransportError,
    LocalNode | Transport | Peers | PeerManager | BanList | Resolver | OverlayHost | Flood | ItemFetcher | Survey
  > = Layer.effect(this, Effect.suspend(() => make))
}

const storeEvent = (alert: StorageAlert): OverlayEvent => {
  if (alert._tag === "StorageRecovered") return { ...alert, _tag: "StoreRecovered" }
  const { error: { detail, reason }, pending, store } = alert
  return { _tag: "StoreFailed", store, reason, detail, pending }
}

const make = Effect.gen(function*() {
  const local = yield* LocalNode
  const { config, handshake } = local
  const transport = yield* Transport
  const peers = yield* Peers
  const manager = yield* PeerManager
  const bans = yield* BanList
  const host = yield* OverlayHost
  const flood = yield* Flood
  const fetcher = yield* ItemFetcher
  const survey = yield* Survey
  const events = yield* OverlayEvents
  const metrics = yield* OverlayMetrics
  const tell = yield* publisher
  const clock = yield* Clock.Clock
  const hub = new MessageHub(clock)
  const millis = () => readMillis(clock)
  let cleared = 0

  const clearLedgersBelow = (ledgerSeq: number): void => {
    const { trackingIndex } = host.ledger()
    flood.clearBelow(ledgerSeq)
    fetcher.stopOutsideRange(ledgerSeq, Number.MAX_SAFE_INTEGER, checkpointSlot(trackingIndex))
  }

  const shed = ({ session }: Peer.Peer): void => {
    session.shedTransactions = !host.ledger().isSynced
  }

  /** Monotonic milliseconds at which sync was lost; undefined while there was none yet. */
  let lostAt: number | undefined
  let wasTracking = false
  const followSync = (isTracking: boolean, ledgerSeq: number): void => {
    if (isTracking === wasTracking) return
    wasTracking = isTracking
    if (!isTracking) {
      lostAt = millis()
      return tell({ _tag: "SyncLost", ledgerSeq })
    }
    tell({ _tag: "SyncRegained", ledgerSeq, millis: lostAt === undefined ? undefined : millis() - lostAt })
  }

  const followLedger = (): void => {
    const ledger = host.ledger()
    metrics.tick()
    followSync(ledger.isTracking, ledger.ledgerSeq)
    const oldest = minRememberedSlot(ledger.trackingIndex, config.maxSlotsToRemember)
    if (oldest > 1 && oldest !== cleared) {
      cleared = oldest
      clearLedgersBelow(oldest)
    }
    flood.ledgerChanged()
    peers.updateLedger(
      makeLedgerContext({
        trackingIndex: ledger.trackingIndex,
        maxTxSetSize: ledger.maxTxSetSize,
        maxTransactionSize: ledger.maxTransactionSize,
        maxSlotsToRemember: config.maxSlotsToRemember
      }),
      host.scpStateFrom()
    )
    peers.authenticated().forEach(shed)
  }

  yield* source(MetricsSources.node(bans, manager, host.ledger))

  // Whoever listens does so before anybody can be admitted.
  followLedger()
  const answerQuery = yield* QueryAnswers.make(host, config.maxSlotsToRemember)
  yield* peers.handle({
    connected: shed,
    received: (peer, messages) => {
      let answers: Effect.Effect<void> | undefined
      for (const message of messages) {
        switch (message._tag) {
          case "Peers":
            manager.receivePeers(message.addresses, peer.address)
            break
          case "GetTxSet":
          case "GetScpQuorumSet":
          case "GetScpState": {
            const answer = answerQuery(peer, message)
            answers = answers === undefined ? answer : Effect.andThen(answers, answer)
          }
        }
      }
      return answers
    }
  })
  yield* peers.handle({ received: (peer, messages) => hub.publish(peer.id, messages) })
  yield* bans.onBan(({ nodeId, reason, untilMillis }) => {
    tell({ _tag: "NodeBanned", id: nodeId, untilMillis, reason })
    for (const entry of peers.registry.connectionsWith(nodeId)) entry.drop(DropReason.make("NodeBanned"))
  })
  yield* bans.onUnban((id, cause) => tell({ _tag: "NodeUnbanned", id, cause }))
  for (const { alerts } of [manager, bans]) {
    yield* Effect.forkScoped(Stream.runForEach(alerts, (alert) => Effect.sync(() => tell(storeEvent(alert)))))
  }

  // The socket and the connections it accepted have scopes of their own: in a shutdown the socket goes first.
  const listening = yield* Scope.fork(yield* Effect.scope)
  const accepting = yield* Scope.fork(yield* Effect.scope)
  const listener = config.listen && !config.runStandalone
    ? yield* Scope.provide(
      transport.listen({ host: config.listenHost, port: config.listenPort ?? config.peerPort, backlog: 100 }),
      listening
    )
    : undefined
  let isListening = false
  if (listener !== undefined) {
    if (config.listenPort === 0) {
      handshake.listeningPort = listener.address.port
      manager.listeningAt(listener.address.port)
    }
    const { address } = listener
    isListening = true
    tell({ _tag: "ListenerOpened", address })
    yield* Scope.addFinalizer(
      listening,
      Effect.sync(() => {
        isListening = false
        tell({ _tag: "ListenerClosed", address })
      })
    )
    const failed = (cause: Cause.Cause<never>) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
      isListening = false
      tell({ _tag: "ListenerFailed", address, detail: describe(cause) })
      return Effect.logError("Nobody can connect any more: the listener failed", cause)
    }
    yield* Effect.forkIn(Effect.catchCause(listener.run(peers.accept), failed), accepting)
  }
  const ticking = config.runStandalone
    ? undefined
    : yield* Effect.forkScoped(OverlayTick.run({ config, peers, manager, bans, host, millis, followLedger }))

  yield* Effect.forkScoped(ScpRecovery.run({ host, peers, broadcast: flood.broadcast }))

  // Protocol.md 9.1, in its order.
  const shutdown = yield* Effect.cached(Effect.gen(function*() {
    yield* Scope.close(listening, Exit.void)
    flood.gate.shutdown()
    yield* peers.shutdown
    flood.demands.shutdown()
    if (ticking !== undefined) yield* Fiber.interrupt(ticking)
    yield* Scope.close(accepting, Exit.void)
  }))
  yield* Effect.addFinalizer(() => shutdown)

  return Overlay.of({
    address: listener?.address,
    isListening: () => isListening,
    peers,
    peerManager: manager,
    banList: bans,
    local,
    connect: (address, options) => peers.connect(address, { force: true, ...options }),
    broadcast: flood.broadcast,
    survey,
    fetchTxSet: fetcher.fetchTxSet,
    fetchQuorumSet: fetcher.fetchQuorumSet,
    requestScpState: (ledgerSeq, count = ScpRecovery.PEERS_TO_ASK) =>
      ScpRecovery.requestScpState(peers, ledgerSeq, count),
    subscribe: (options) => hub.subscribe(options),
    messages: hub.stream(),
    scp: hub.stream({ tags: ["ScpMessage"] }),
    transactions: hub.stream({ tags: ["Transaction"], strategy: "sliding" }),
    fetched: hub.stream({ tags: ["TxSet", "GeneralizedTxSet", "ScpQuorumSet", "DontHave"] }),
    clearLedgersBelow,
    send: (id, message) => peers.get(id)?.offer(message) ?? false,
    drop: (id) => peers.drop(id, DropReason.make("DroppedByUser")),
    ban: (id, options) => {
      bans.ban(id, options)
    },
    unban: (id) => bans.unban(id),
    ledgerChanged: Effect.sync(followLedger),
    events: events.stream,
    shutdown
  })
})
