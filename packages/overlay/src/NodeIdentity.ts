/**
 * Who this node is: its Ed25519 key, which signs certificates and messages and never leaves this module.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { OverlayCrypto } from "./OverlayCrypto.ts"
import { PeerAuth, type PeerAuthOptions } from "./protocol/PeerAuth.ts"
import type { Primitives } from "./protocol/Primitives.ts"
import * as NodeId from "./wire/NodeId.ts"

/**
 * What can be wrong with the text of a seed:
 *
 * - `InvalidStrKey`: not the 56 characters of a strkey
 * - `InvalidChecksum`: a character is wrong
 * - `WrongKeyType`: a good key of another kind, such as a node id (`G…`)
 *
 * @category models
 * @since 0.1.0
 */
export const NodeSeedErrorReason = Schema.Literals(["InvalidStrKey", "InvalidChecksum", "WrongKeyType"])

const hints = {
  InvalidStrKey: "A seed has 56 characters: S, then A to Z and 2 to 7.",
  InvalidChecksum: "A character of the seed is wrong: copy it again.",
  WrongKeyType: "This is a good key but no seed: a seed starts with S, a node id with G."
} as const

/**
 * A seed that cannot be read. Neither the error nor its message holds any of the text, which may be nearly a seed.
 *
 * @category errors
 * @since 0.1.0
 */
export class NodeSeedError extends Schema.TaggedError<NodeSeedError>()("NodeSeedError", {
  reason: NodeSeedErrorReason
}) {
  /** One sentence that helps the person who reads it. */
  get hint(): string {
    return hints[this.reason]
  }

  override get message(): string {
    return `${this.reason}: ${this.hint}`
  }
}

/**
 * What a program may do with the identity of its node.
 *
 * @category models
 * @since 0.1.0
 */
export interface Identity {
  readonly nodeId: NodeId.NodeId
  /** The Ed25519 public key: 32 bytes. */
  readonly publicKey: Uint8Array
  /** A 64-byte Ed25519 signature. */
  readonly sign: (message: Uint8Array) => Uint8Array
  /**
   * Certificates and key agreement on a network, given by its 32-byte id. Each call draws a Curve25519 key of its own:
   * a process needs one per network.
   */
  readonly peerAuth: (networkId: Uint8Array, options?: PeerAuthOptions) => PeerAuth
}

const make = (crypto: Primitives, secret: Redacted.Redacted<Uint8Array>): Identity => {
  const publicKey = crypto.ed25519PublicKey(Redacted.value(secret))
  return {
    nodeId: NodeId.fromBytes(publicKey),
    publicKey,
    sign: (message) => crypto.ed25519Sign(Redacted.value(secret), message),
    peerAuth: (networkId, options) => new PeerAuth(crypto, networkId, Redacted.value(secret), options)
  }
}

const redact = (seed: Uint8Array): Redacted.Redacted<Uint8Array> => Redacted.make(seed, { label: "NodeSeed" })

const parseSeed = (text: string): Result.Result<Redacted.Redacted<Uint8Array>, NodeSeedError> => {
  const trimmed = text.trim()
  if (trimmed.length !== NodeId.TEXT_LENGTH) return Result.fail(new NodeSeedError({ reason: "InvalidStrKey" }))
  const decoded = NodeId.decodeStrKey(NodeId.StrKeyVersion.Seed, trimmed)
  if (Result.isSuccess(decoded)) return Result.succeed(redact(decoded.success))
  const { reason } = decoded.failure
  return Result.fail(
    new NodeSeedError({
      reason: reason === "InvalidChecksum" || reason === "WrongKeyType" ? reason : "InvalidStrKey"
    })
  )
}

/**
 * The identity of the node this program runs.
 *
 * Nothing of the seed can be read back through the service, and printing the service shows none of it.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Redacted } from "effect"
 * import { NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
 * import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
 *
 * const seed = Redacted.make("SAIRCEIRCEIRCEIRCEIRCEIRCEIRCEIRCEIRCEIRCEIRCEIRCEIRDBNT")
 * const nodeId = NodeIdentity.useSync((identity) => identity.nodeId).pipe(
 *   Effect.provide(NodeIdentity.layerFromSeed(seed).pipe(Layer.provide(OverlayCrypto.layerNoble)))
 * )
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class NodeIdentity extends Context.Service<NodeIdentity, Identity>()("@stellar-overlay/overlay/NodeIdentity") {
  /** The node with a seed in strkey form (`S…`, 56 characters, white space around it ignored). */
  static readonly layerFromSeed = (
    seed: Redacted.Redacted<string>
  ): Layer.Layer<NodeIdentity, NodeSeedError, OverlayCrypto> =>
    Layer.effect(
      this,
      Effect.gen(function*() {
        const crypto = yield* OverlayCrypto
        return make(crypto, yield* Effect.fromResult(parseSeed(Redacted.value(seed))))
      })
    )

  /** A node nobody has met: its key is drawn when the layer is built and gone with it. Right for light clients. */
  static readonly layerRandom: Layer.Layer<NodeIdentity, never, OverlayCrypto> = Layer.effect(
    this,
    OverlayCrypto.useSync((crypto) => make(crypto, redact(crypto.randomBytes(32))))
  )

  /** The seed in the config value `NODE_SEED`; a random one when that is not set. */
  static readonly layerConfig: Layer.Layer<NodeIdentity, NodeSeedError | Config.ConfigError, OverlayCrypto> = Layer
    .unwrap(Effect.map(
      Config.option(Config.Redacted("NODE_SEED")),
      Option.match({ onNone: () => this.layerRandom, onSome: this.layerFromSeed })
    ))
}
