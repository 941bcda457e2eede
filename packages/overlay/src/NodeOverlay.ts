/**
 * Everything a program on Node needs to talk to peers, in one Layer.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { LocalNode } from "./LocalNode.ts"
import { NodeIdentity, type NodeSeedError } from "./NodeIdentity.ts"
import * as NodeOverlayCrypto from "./NodeOverlayCrypto.ts"
import * as NodeTransport from "./NodeTransport.ts"
import { type NetworkName, OverlayConfig, type OverlayConfigError, presets, type Values } from "./OverlayConfig.ts"
import type { OverlayCrypto } from "./OverlayCrypto.ts"
import type { Transport } from "./Transport.ts"

/**
 * A network by name, or by its passphrase in `networkPassphrase`, and whatever else should differ from the defaults.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Partial<Values> {
  /** `pubnet` when neither this nor a passphrase is given. */
  readonly network?: NetworkName | undefined
  /** The node's seed (`S…`); a fresh identity when absent, which is right for everything that is not a validator. */
  readonly seed?: Redacted.Redacted<string> | undefined
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
  identity: Layer.Layer<NodeIdentity, NodeSeedError | Config.ConfigError, OverlayCrypto>
) =>
  LocalNode.layer.pipe(
    Layer.provideMerge(identity),
    Layer.provideMerge(Layer.mergeAll(config, NodeOverlayCrypto.layer, NodeTransport.layer))
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
  const { network, seed, ...values } = options
  const base = network === undefined ? {} : presets[network]
  return assemble(
    OverlayConfig.layer({ ...base, ...values }),
    seed === undefined ? NodeIdentity.layerRandom : NodeIdentity.layerFromSeed(seed)
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
