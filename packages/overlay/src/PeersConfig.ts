/**
 * What can be turned about admission beyond `OverlayConfig`.
 *
 * The defaults are stricter than stellar-core where only this node is affected; `core` is core's behaviour.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as HandshakeBudget from "./protocol/HandshakeBudget.ts"
import type { PeerLimits } from "./protocol/PeerRegistry.ts"

/**
 * The values.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeersConfig {
  /** Sockets accepted, by host (an IPv6 /48 is one host): who reconnects all the time is closed without a byte. */
  readonly accepts: HandshakeBudget.HandshakeBudgetOptions
  /** HELLOs of callers whose signature is checked, by host and in all. */
  readonly handshakes: HandshakeBudget.HandshakeBudgetOptions
  /** Accepts that a protocol violation by a caller costs its host, whatever key the caller had, when a MAC proves it. */
  readonly violationCost: number
  /**
   * The same for bytes that no MAC vouches for: whatever breaks the rules before the handshake is done, and a frame that
   * is damaged or has the wrong MAC. A stranger on the way, or one flipped bit, can do that to an honest host.
   */
  readonly garbageCost: number
  /** Accepts that the call of a banned node costs its host. */
  readonly bannedCost: number
  /** `PeerLimits.evictPendingAfterMillis`. */
  readonly evictPendingAfterMillis: number
  /** How long an inbound peer may be idle while others want its slot (`InboundEviction`). */
  readonly evictIdleAfterMillis: number
  /** Slots instead of those that follow from `OverlayConfig`, such as 0, which it refuses. */
  readonly limits: Partial<PeerLimits>
}

/**
 * Five connections a second and host after a burst of twenty, a minute of silence for each violation, and four seconds
 * for garbage that proves nothing against the host.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: PeersConfig = {
  accepts: { ...HandshakeBudget.unlimited, perHostPerSecond: 5, perHostBurst: 20, maxDebt: 18_000, maxHosts: 4096 },
  handshakes: HandshakeBudget.defaults,
  violationCost: 300,
  garbageCost: 20,
  bannedCost: 20,
  evictPendingAfterMillis: 200,
  evictIdleAfterMillis: 600_000,
  limits: {}
}

/**
 * What to merge over the defaults to have exactly core's behaviour.
 *
 * @category presets
 * @since 0.1.0
 */
export const core: Partial<PeersConfig> = {
  accepts: HandshakeBudget.unlimited,
  handshakes: HandshakeBudget.unlimited,
  violationCost: 0,
  garbageCost: 0,
  bannedCost: 0,
  evictPendingAfterMillis: Infinity,
  evictIdleAfterMillis: Infinity
}

/**
 * The configuration that `Peers.layer` reads when it is built.
 *
 * @category references
 * @since 0.1.0
 */
export const PeersConfig = Context.Reference<PeersConfig>("@stellar-overlay/overlay/PeersConfig", {
  defaultValue: () => defaults
})
