/**
 * Everything a program on Node needs to talk to peers, in one Layer.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { BanList, core as bansLikeCore, make as makeBanList, makeMemoryStore as makeBanStore } from "./BanList.ts"
import { Flood } from "./Flood.ts"
import { ItemFetcher } from "./ItemFetcher.ts"
import { LocalNode } from "./LocalNode.ts"
import { NodeIdentity, type NodeSeedError } from "./NodeIdentity.ts"
import * as NodeOverlayCrypto from "./NodeOverlayCrypto.ts"
import * as NodeOverlayMetrics from "./NodeOverlayMetrics.ts"
import * as NodeResolver from "./NodeResolver.ts"
import * as NodeTransport from "./NodeTransport.ts"
import { Overlay } from "./Overlay.ts"
import {
  core as valuesLikeCore,
  type NetworkName,
  OverlayConfig,
  type OverlayConfigError,
  presets,
  type Values
} from "./OverlayConfig.ts"
import type { OverlayCrypto } from "./OverlayCrypto.ts"
import * as OverlayEvents from "./OverlayEvents.ts"
import { OverlayHost } from "./OverlayHost.ts"
import { PeerManager } from "./PeerManager.ts"
import { core as peerManagerLikeCore, type PeerManagerConfig } from "./PeerManagerConfig.ts"
import { Peers } from "./Peers.ts"
import { core as peersLikeCore, defaults as peersDefaults, PeersConfig } from "./PeersConfig.ts"
import { PeerStore } from "./PeerStore.ts"
import { Survey } from "./Survey.ts"
import { defaults as surveyDefaults, SurveyConfig } from "./SurveyConfig.ts"
import type { Transport, TransportError } from "./Transport.ts"

/**
 * A network by name, or by its passphrase in `networkPassphrase`, and whatever else should differ from the defaults.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Partial<Values> {
  /** `pubnet` when neither this nor a passphrase is given. */
  readonly network?: NetworkName | undefined
  /**
   * `core` drops every rule by which this overlay is stricter than stellar-core: the presets `core` of `OverlayConfig` and,
   * for a whole node, of `PeersConfig`, `PeerManagerConfig` and `BanList` (the default one). What is given besides holds.
   */
  readonly preset?: "core" | undefined
  /** The node's seed (`S…`); a fresh identity when absent, which is right for everything that is not a validator. */
  readonly seed?: Redacted.Redacted<string> | undefined
  /** What connections are made of; TCP by default. */
  readonly transport?: Layer.Layer<Transport> | undefined
}

/**
 * What the layers provide: `Peer.connect` and `Peer.accept` need nothing else.
 *
 * @category models
 * @since 0.1.0
 */
export type Services = LocalNode | NodeIdentity | OverlayConfig | OverlayCrypto | Transport

const assemble = <E>(
  config: Layer.Layer<OverlayConfig, E>,
  identity: Layer.Layer<NodeIdentity, NodeSeedError | Config.ConfigError, OverlayCrypto>,
  transport: Layer.Layer<Transport> = NodeTransport.layer
) =>
  LocalNode.layer.pipe(
    Layer.provideMerge(identity),
    Layer.provideMerge(Layer.mergeAll(config, NodeOverlayCrypto.layer, transport))
  )

/**
 * TCP, node:crypto, an identity and a configuration.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<Services, OverlayConfigError | NodeSeedError | Config.ConfigError> => {
  const { network, preset, seed, transport, ...values } = options
  const base = { ...(preset === "core" ? valuesLikeCore : {}), ...(network === undefined ? {} : presets[network]) }
  return assemble(
    OverlayConfig.layer({ ...base, ...values }),
    seed === undefined ? NodeIdentity.layerRandom : NodeIdentity.layerFromSeed(seed),
    transport
  )
}

/**
 * As `layer`, with configuration and seed from `OVERLAY_…` variables and NODE_SEED.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig: Layer.Layer<Services, OverlayConfigError | NodeSeedError | Config.ConfigError> = assemble(
  OverlayConfig.layerConfig(),
  NodeIdentity.layerConfig
)

/**
 * A whole node: what `Options` says, and what it is made of where that is not to be the default.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeOptions extends Options {
  /** Where known addresses outlive the process; in memory by default, which starts from the seeds every time. */
  readonly store?: Layer.Layer<PeerStore> | undefined
  /** The ban list; in memory by default. */
  readonly bans?: Layer.Layer<BanList> | undefined
  /** The ledger side of the node; `OverlayHost.layerWatcher` by default. */
  readonly host?: Layer.Layer<OverlayHost, never, Services> | undefined
  /** Differences from the defaults of admission; without any, and without a preset, the `PeersConfig` reference holds. */
  readonly peers?: Partial<PeersConfig> | undefined
  /** Differences from the defaults of the address book. */
  readonly peerManager?: Partial<PeerManagerConfig> | undefined
  /** What is counted and timed; `NodeOverlayMetrics.layer` by default. `Layer.empty` turns it off. */
  readonly metrics?: Layer.Layer<never> | undefined
  /** Who may survey this node, and how long a survey may last. */
  readonly survey?: Partial<SurveyConfig> | undefined
}

const bansInMemoryLikeCore = Layer.effect(BanList, Effect.suspend(() => makeBanList(makeBanStore(), bansLikeCore)))

/**
 * What `layerNode` provides: the running `Overlay` and every part of it.
 *
 * @category models
 * @since 0.1.0
 */
export type NodeServices =
  | Services
  | Overlay
  | Survey
  | Flood
  | ItemFetcher
  | Peers
  | PeerManager
  | BanList
  | OverlayHost

/**
 * A whole node that runs as long as the layer: it listens, finds its peers, remembers them, floods and fetches. Events
 * and metrics are on (`Overlay.events`, `OverlayMetrics`). Fails when its port cannot be listened on.
 *
 * **Example** (A node that watches the test network)
 *
 * ```ts
 * import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
 * import { Overlay } from "@stellar-overlay/overlay/Overlay"
 * import { Console, Effect, Stream } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const overlay = yield* Overlay
 *   yield* Stream.runForEach(overlay.scp, ({ message }) => Console.log(message.slotIndex, message.nodeId))
 * }).pipe(Effect.provide(NodeOverlay.layerNode({ network: "testnet" })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNode = (
  options: NodeOptions = {}
): Layer.Layer<NodeServices, OverlayConfigError | NodeSeedError | Config.ConfigError | TransportError> => {
  const { bans, host, metrics, peerManager, peers, store, survey, ...rest } = options
  const likeCore = rest.preset === "core"
  return Overlay.layer.pipe(
    Layer.provide(NodeResolver.layer),
    Layer.provideMerge(Layer.provide(Survey.layer, Layer.succeed(SurveyConfig, { ...surveyDefaults, ...survey }))),
    Layer.provideMerge(Flood.layer),
    Layer.provideMerge(ItemFetcher.layer),
    Layer.provideMerge(
      likeCore || peers !== undefined
        ? Layer.provide(
          Peers.layer,
          Layer.succeed(PeersConfig, { ...peersDefaults, ...(likeCore ? peersLikeCore : {}), ...peers })
        )
        : Peers.layer
    ),
    Layer.provideMerge(Layer.mergeAll(
      Layer.provide(
        PeerManager.layerOverlayConfig({ ...(likeCore ? peerManagerLikeCore : {}), ...peerManager }),
        store ?? PeerStore.layerMemory
      ),
      bans ?? (likeCore ? bansInMemoryLikeCore : BanList.layerMemory),
      host ?? OverlayHost.layerWatcher
    )),
    Layer.provideMerge(
      Layer.mergeAll(layer(rest), OverlayEvents.layer, metrics ?? Layer.fresh(NodeOverlayMetrics.layer))
    )
  )
}
