/**
 * What can be turned about the table of known addresses.
 *
 * The defaults are stricter than stellar-core where only this node is affected; `core` is core's behaviour.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import { defaultDialLimits, type DialLimits, unlimitedDials } from "./protocol/DialLimiter.ts"
import type { DrawMode } from "./protocol/PeerSelection.ts"
import { defaultLimits, type PeerTableLimits, unboundedLimits } from "./protocol/PeerTable.ts"
import { DEFAULT_PEER_PORT } from "./wire/PeerAddress.ts"

/**
 * Addresses taken from one PEERS message at most, the bound of its XDR.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_PEERS_RECEIVED = 100

/**
 * The values.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerManagerConfig {
  /** Rows in total, per telling subnet and per target subnet. Core: none. */
  readonly limits: PeerTableLimits
  /** How often strangers can make us dial one host, and which ports. Core: no limit. */
  readonly dials: DialLimits
  /** Whether every row or every subnet has the same chance. Core: `"window"`. */
  readonly draw: DrawMode
  /**
   * Outbound connections into one subnet (IPv4 /16, IPv6 /32), configured peers aside; 0 for no limit, as in core. With
   * 1, an attacker who owns a fifth of all subnets takes all of 8 slots once in 400 000 starts.
   */
  readonly outboundPerSubnet: number
  /** Failures halve for every such time that an attempt is overdue; 0 for never, as in core. */
  readonly failureDecayMillis: number
  /** Outbound peers that are remembered over a restart and tried first. Core: 0. */
  readonly maxAnchors: number
  /** Whether attempts that prove nothing against the address (`PeerManager.connectionEnded`) are taken back. */
  readonly fairAccounting: boolean
  /**
   * Whether a row of type preferred that the configuration does not name any more becomes outbound as soon as all
   * configured names are resolved. Core leaves it until the node is met again.
   */
  readonly demoteUnlisted: boolean
  /** Whether gossip may only name global unicast addresses. Core refuses private ones and 127.0.0.1. */
  readonly routableOnly: boolean
  /** Whether IPv6 addresses are stored and passed on. Core: no. */
  readonly ipv6: boolean
  /** Loopback addresses may be gossiped, and each is its own subnet. */
  readonly allowLocalhost: boolean
  /** Private addresses may be gossiped, and each is its own subnet. */
  readonly allowPrivate: boolean
  /** Our listening port, to recognise ourselves in what our peers tell. */
  readonly peerPort: number
  /** Our own addresses that are remembered so as not to dial them; the oldest is forgotten first. */
  readonly maxSelfAddresses: number
  /** How long changes gather before they go to the store; what a killed process loses at most, with the write itself. */
  readonly flushMillis: number
  /** Rows written in one transaction; about 11 us each block the event loop with SQLite. */
  readonly rowsPerBatch: number
  /** The longest one operation on the store may take. */
  readonly storeTimeoutMillis: number
}

/**
 * The values without a configuration.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: PeerManagerConfig = {
  limits: defaultLimits,
  dials: defaultDialLimits,
  draw: "diverse",
  outboundPerSubnet: 1,
  failureDecayMillis: 86_400_000,
  maxAnchors: 4,
  fairAccounting: true,
  demoteUnlisted: true,
  routableOnly: true,
  ipv6: false,
  allowLocalhost: false,
  allowPrivate: false,
  peerPort: DEFAULT_PEER_PORT,
  maxSelfAddresses: 64,
  flushMillis: 1000,
  rowsPerBatch: 500,
  storeTimeoutMillis: 5000
}

/**
 * What to merge over the defaults to have exactly core's behaviour.
 *
 * @category presets
 * @since 0.1.0
 */
export const core: Partial<PeerManagerConfig> = {
  limits: unboundedLimits,
  dials: unlimitedDials,
  draw: "window",
  outboundPerSubnet: 0,
  failureDecayMillis: 0,
  maxAnchors: 0,
  fairAccounting: false,
  demoteUnlisted: false,
  routableOnly: false
}

/**
 * The configuration that `PeerManager.layer` reads when it is built.
 *
 * @category references
 * @since 0.1.0
 */
export const PeerManagerConfig = Context.Reference<PeerManagerConfig>("@stellar-overlay/overlay/PeerManagerConfig", {
  defaultValue: () => defaults
})
