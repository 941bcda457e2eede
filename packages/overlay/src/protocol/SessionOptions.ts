/**
 * What a `Session` is made of, and what it reports.
 *
 * @since 0.1.0
 */
import type * as DropReason from "../DropReason.ts"
import type { PeerAddress } from "../wire/PeerAddress.ts"
import type { FlowControlOptions } from "./FlowControlOptions.ts"
import type { Admission, HandshakeConfig, RemoteFacts, Role } from "./Handshake.ts"
import type { LedgerContext } from "./LedgerContext.ts"
import type { LivenessOptions } from "./Liveness.ts"
import type { OutboundQueuesOptions } from "./OutboundQueues.ts"
import type { PeerAuth } from "./PeerAuth.ts"
import type { Primitives } from "./Primitives.ts"
import type { QueryLimiterOptions } from "./QueryLimiter.ts"
import type { RateLimiterOptions } from "./RateLimiter.ts"
import type { SessionTimers } from "./SessionTimers.ts"

/**
 * What one session is made of.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionOptions {
  readonly role: Role
  /** The other end of the socket. */
  readonly remote: PeerAddress
  readonly handshake: HandshakeConfig
  readonly auth: PeerAuth
  readonly crypto: Primitives
  readonly admission: Admission
  /** 32 fresh random bytes: the nonce of HELLO. */
  readonly nonce: Uint8Array
  /** 32 fresh random bytes, from which the hashes of pings are derived. */
  readonly pingSecret: Uint8Array
  readonly flow: FlowControlOptions
  readonly queues: OutboundQueuesOptions
  readonly liveness: LivenessOptions
  readonly queries: QueryLimiterOptions
  /** The per-peer rate policy; off when undefined. */
  readonly rate: RateLimiterOptions | undefined
  readonly ledger: LedgerContext
  /**
   * Who answers GET_TX_SET and GET_SCP_QUORUMSET: `decline` says DONT_HAVE at once and delivers nothing; `deliver` leaves
   * them and GET_SCP_STATE to the consumer.
   */
  readonly answers: "decline" | "deliver"
  /** The ledger for GET_SCP_STATE after authentication; undefined asks for nothing. */
  readonly scpStateFrom: number | undefined
  /** Where times are recorded; nowhere by default. */
  readonly timers?: SessionTimers | undefined
}

/**
 * What happened inside a session, for whoever publishes it.
 *
 * @category models
 * @since 0.1.0
 */
export type SessionEvent =
  | { readonly _tag: "Hello"; readonly remote: RemoteFacts }
  | { readonly _tag: "Authenticated"; readonly remote: RemoteFacts }
  | { readonly _tag: "ReadThrottled" }
  | { readonly _tag: "ReadResumed"; readonly millis: number }
  | { readonly _tag: "Dropped"; readonly reason: DropReason.DropReason; readonly authenticated: boolean }
