/**
 * Whole nodes for a simulated network: everything a node is made of over a `LoopbackNetwork`, with an IP of its own.
 *
 * @since 0.1.0
 */
import { BanList } from "@stellar-overlay/overlay/BanList"
import { Flood } from "@stellar-overlay/overlay/Flood"
import { ItemFetcher } from "@stellar-overlay/overlay/ItemFetcher"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import { NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import { Overlay } from "@stellar-overlay/overlay/Overlay"
import * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import * as OverlayEvents from "@stellar-overlay/overlay/OverlayEvents"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import { OverlayHost, unknownLedger } from "@stellar-overlay/overlay/OverlayHost"
import * as OverlayMetrics from "@stellar-overlay/overlay/OverlayMetrics"
import { PeerManager } from "@stellar-overlay/overlay/PeerManager"
import type { PeerManagerConfig } from "@stellar-overlay/overlay/PeerManagerConfig"
import { Peers } from "@stellar-overlay/overlay/Peers"
import * as PeersConfig from "@stellar-overlay/overlay/PeersConfig"
import { PeerStore } from "@stellar-overlay/overlay/PeerStore"
import { Resolver } from "@stellar-overlay/overlay/Resolver"
import { Survey } from "@stellar-overlay/overlay/Survey"
import type { Transport } from "@stellar-overlay/overlay/Transport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as LoopbackTransport from "./LoopbackTransport.ts"
import { TestCrypto } from "./TestCrypto.ts"
import * as World from "./World.ts"

/**
 * What a node may differ in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Names the node: its key, its chance and, by default, nothing else. */
  readonly name: string
  /** Its address in the simulated network. */
  readonly ip: string
  /** Differences from the `standalone` preset. */
  readonly config?: Partial<OverlayConfig.Values> | undefined
  /** What its chance is drawn from, its key included unless `identity` is given; the name unless given. */
  readonly chance?: string | undefined
  /** Its key; drawn unless given. */
  readonly identity?: Layer.Layer<NodeIdentity> | undefined
  /** How it connects; over the `LoopbackNetwork`, from its address, unless given. */
  readonly transport?: Layer.Layer<Transport> | undefined
  readonly store?: Layer.Layer<PeerStore> | undefined
  readonly bans?: Layer.Layer<BanList> | undefined
  readonly host?: Layer.Layer<OverlayHost> | undefined
  /** Differences from the defaults of `PeersConfig`. */
  readonly peers?: Partial<PeersConfig.PeersConfig> | undefined
  /** Differences from the defaults of `PeerManagerConfig`. */
  readonly addresses?: Partial<PeerManagerConfig> | undefined
  /** What names resolve to; none do unless given. */
  readonly resolver?: Layer.Layer<Resolver> | undefined
  /** What is counted and timed; `OverlayMetrics.layer` by default. */
  readonly metrics?: Layer.Layer<never> | undefined
  /** Called for every event, in the moment it happens. */
  readonly onEvent?: ((event: OverlayEvent) => void) | undefined
}

/**
 * A host that knows nothing and wants nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerIdleHost: Layer.Layer<OverlayHost> = Layer.succeed(OverlayHost, {
  ledger: () => unknownLedger,
  scpStateFrom: () => 0,
  receiveScp: (messages) => Effect.succeed(messages.map(() => ({ _tag: "discard" }))),
  scpState: () => Effect.succeed([]),
  receiveTransactions: (messages) => Effect.succeed(messages.map(() => "rejected" as const)),
  transactionStatus: () => "unknown",
  transaction: () => undefined,
  txSet: () => Effect.succeed(undefined),
  quorumSet: () => Effect.succeed(undefined),
  receiveTxSet: () => Effect.succeed(false),
  receiveQuorumSet: () => Effect.succeed(false),
  isInQuorum: () => false
})

/**
 * What a built node provides.
 *
 * @category models
 * @since 0.1.0
 */
export type Services = Overlay | Survey | Flood | ItemFetcher | PeerServices

/**
 * What a node without an overlay provides: connections, and nobody who makes any.
 *
 * @category models
 * @since 0.1.0
 */
export type PeerServices = Peers | PeerManager | BanList | LocalNode | OverlayHost | Transport | Resolver

/**
 * A node's peers without the overlay: it neither listens nor dials by itself, and answers nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPeers = (options: Options) => {
  const { onEvent } = options
  const config = OverlayConfig.OverlayConfig.layer({
    ...OverlayConfig.standalone,
    listenHost: options.ip,
    ...options.config
  })
  const events = onEvent === undefined
    ? OverlayEvents.layer
    : Layer.succeed(OverlayEvents.OverlayEvents, { publish: onEvent, stream: Stream.empty })
  const base = Layer.mergeAll(
    config,
    TestCrypto.layer(options.chance ?? options.name),
    options.transport ?? LoopbackTransport.layerAt(options.ip),
    options.store ?? PeerStore.layerMemory,
    options.bans ?? BanList.layerMemory,
    options.host ?? layerIdleHost,
    options.resolver ?? Resolver.layerStatic({}),
    events,
    Layer.succeed(PeersConfig.PeersConfig, { ...PeersConfig.defaults, ...options.peers })
  ).pipe(Layer.provideMerge(options.metrics ?? OverlayMetrics.layer))
  return Peers.layer.pipe(
    Layer.provideMerge(PeerManager.layerOverlayConfig(options.addresses)),
    Layer.provideMerge(LocalNode.layer),
    Layer.provideMerge(options.identity ?? NodeIdentity.layerRandom),
    Layer.provideMerge(base),
    Layer.fresh
  )
}

/**
 * A node's layer, for a scope that ends when the node does. Build it anew for every start.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options) =>
  Overlay.layer.pipe(
    Layer.provideMerge(Survey.layer),
    Layer.provideMerge(Flood.layer),
    Layer.provideMerge(ItemFetcher.layer),
    Layer.provideMerge(layerPeers(options)),
    Layer.fresh
  )

/**
 * Starts a node in the current scope, with chance of its own, and gives its services.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = (options: Options) => World.asNode(Layer.build(layer(options)), options.name)

/**
 * A node with an end of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestNode {
  readonly name: string
  /** Where it listens. */
  readonly address: PeerAddress
  readonly overlay: Overlay["Service"]
  readonly services: Context.Context<Services>
  /** Tells its peers and ends. */
  readonly stop: Effect.Effect<void>
  /** Breaks all its connections as a crash does, and ends. */
  readonly kill: Effect.Effect<void>
}

/**
 * Starts a node that can be stopped before the current scope ends.
 *
 * @category constructors
 * @since 0.1.0
 */
export const launch = Effect.fnUntraced(function*(options: Options) {
  const network = yield* LoopbackTransport.LoopbackNetwork
  const scope = yield* Scope.fork(yield* Effect.scope)
  const services = yield* Scope.provide(start(options), scope)
  const overlay = Context.get(services, Overlay)
  const stop = Scope.close(scope, Exit.void)
  const isOwn = (address: PeerAddress) => address.host === options.ip
  const kill = network.links.pipe(
    Effect.flatMap((links) =>
      Effect.forEach(links.filter((link) => isOwn(link.dialer) || isOwn(link.listener)), (link) => link.sever, {
        discard: true
      })
    ),
    Effect.andThen(stop)
  )
  const address = PeerAddress.make(options.ip, overlay.local.handshake.listeningPort)
  const node: TestNode = { name: options.name, address, overlay, services, stop, kill }
  return node
})
