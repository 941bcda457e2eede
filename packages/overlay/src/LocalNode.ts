/**
 * This node as its peers see it: what it announces, the certificate authority of its connections, and the derived
 * numbers of its configuration. One per process and network; every connection shares it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Deadlines from "./internal/deadlines.ts"
import * as Turns from "./internal/turns.ts"
import { NodeIdentity } from "./NodeIdentity.ts"
import * as Config from "./OverlayConfig.ts"
import { OverlayCrypto } from "./OverlayCrypto.ts"
import type { HandshakeConfig } from "./protocol/Handshake.ts"
import type { PeerAuth } from "./protocol/PeerAuth.ts"
import type { Primitives } from "./protocol/Primitives.ts"

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class LocalNode extends Context.Service<LocalNode, {
  readonly config: Config.Values
  readonly derived: Config.Derived
  /** SHA-256 of the network passphrase. */
  readonly networkId: Uint8Array
  /** What goes into HELLO besides the certificate and the nonce. */
  readonly handshake: HandshakeConfig
  /** The one Curve25519 key pair of the process and what is signed with it (protocol.md 2.2). */
  readonly auth: PeerAuth
  readonly crypto: Primitives
  /** What wakes its connections when something is due. */
  readonly deadlines: Deadlines.Deadlines
  /** What its connections put off until this turn is over. */
  readonly turns: Turns.Turns
}>()("@stellar-overlay/overlay/LocalNode") {
  /**
   * Puts configuration, identity and cryptography together.
   *
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<LocalNode, never, Config.OverlayConfig | NodeIdentity | OverlayCrypto> = Layer
    .effect(
      this,
      Effect.gen(function*() {
        const config = yield* Config.OverlayConfig
        const identity = yield* NodeIdentity
        const crypto = yield* OverlayCrypto
        const networkId = crypto.sha256(new TextEncoder().encode(config.networkPassphrase))
        return LocalNode.of({
          config,
          derived: Config.derive(config),
          networkId,
          handshake: {
            networkId,
            id: identity.nodeId,
            ledgerVersion: config.ledgerVersion,
            overlayVersion: config.overlayVersion,
            overlayMinVersion: config.overlayMinVersion,
            version: config.versionString,
            listeningPort: config.peerPort
          },
          auth: identity.peerAuth(networkId, {
            maxFutureSeconds: config.maxCertificateSeconds,
            sharedKeyCacheSize: config.sharedKeyCacheSize
          }),
          crypto,
          deadlines: yield* Deadlines.make,
          turns: yield* Turns.make
        })
      })
    )
}
