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
import { OverlayHost, unknownLedger } from "@stellar-overlay/overlay/OverlayHost"
import { PeerManager } from "@stellar-overlay/overlay/PeerManager"
import { PeerStore } from "@stellar-overlay/overlay/PeerStore"
import { Peers } from "@stellar-overlay/overlay/Peers"
import { Resolver } from "@stellar-overlay/overlay/Resolver"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
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
  readonly store?: Layer.Layer<PeerStore> | undefined
  readonly bans?: Layer.Layer<BanList> | undefined
  readonly host?: Layer.Layer<OverlayHost> | undefined
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
export type Services = Overlay | Flood | ItemFetcher | Peers | PeerManager | BanList | LocalNode | OverlayHost

/**
 * A node's layer, for a scope that ends when the node does. Build it anew for every start.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options) => {
  const config = OverlayConfig.OverlayConfig.layer({ ...OverlayConfig.standalone, ...options.config })
  const crypto = TestCrypto.layer(options.name)
  const base = Layer.mergeAll(
    config,
    crypto,
    LoopbackTransport.layerAt(options.ip),
    options.store ?? PeerStore.layerMemory,
    options.bans ?? BanList.layerMemory,
    options.host ?? layerIdleHost,
    Resolver.layerStatic({})
  )
  return Overlay.layer.pipe(
    Layer.provideMerge(Flood.layer),
    Layer.provideMerge(ItemFetcher.layer),
    Layer.provideMerge(Peers.layer),
    Layer.provideMerge(PeerManager.layerOverlayConfig()),
    Layer.provideMerge(LocalNode.layer),
    Layer.provideMerge(NodeIdentity.layerRandom),
    Layer.provideMerge(base),
    Layer.fresh
  )
}

/**
 * Starts a node in the current scope, with chance of its own, and gives its services.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = (options: Options) => World.asNode(Layer.build(layer(options)), options.name)
