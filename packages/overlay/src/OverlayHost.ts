/**
 * What the embedding node supplies: its ledger, its transactions, its SCP state, and its judgement of what arrives.
 *
 * The overlay asks and the host answers; when the host has something to say by itself it calls `Overlay.broadcast`. All
 * that arrives is handed over in batches, one effect a batch. Look-ups that answer a peer's demand are plain functions,
 * because a demand names up to a thousand hashes.
 *
 * Covers what stellar-core's overlay asks of its Herder and LedgerManager (protocol.md sections 5, 6, 7).
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { OverlayConfig } from "./OverlayConfig.ts"
import type { OverlayCrypto } from "./OverlayCrypto.ts"
import * as OverlayHostRelay from "./OverlayHostRelay.ts"
import * as OverlayHostWatcher from "./OverlayHostWatcher.ts"
import { MAX_CLASSIC_TRANSACTION_SIZE } from "./protocol/LedgerContext.ts"
import type { TransactionBid } from "./protocol/TransactionBid.ts"
import type { NodeId } from "./wire/NodeId.ts"
import type { GeneralizedTxSet, ScpMessage, ScpQuorumSet, Transaction, TxSet } from "./wire/StellarMessage.ts"

/**
 * The host's place in the ledger and the limits that follow from it.
 *
 * @category models
 * @since 0.1.0
 */
export interface LedgerView {
  /** The last closed ledger. */
  readonly ledgerSeq: number
  /** The ledger consensus is known to be at. */
  readonly trackingIndex: number
  /** Whether SCP is being followed; when not, outbound peers are rotated (protocol.md 9.4). */
  readonly isTracking: boolean
  /** Whether transactions can be judged; when not, transactions, adverts and demands are dropped unseen. */
  readonly isSynced: boolean
  readonly ledgerVersion: number
  /** Operations in a transaction set. */
  readonly maxTxSetSize: number
  /** Soroban transactions in a ledger. */
  readonly sorobanMaxTxCount: number
  /** The largest TRANSACTION message that counts as valid (protocol.md 4.2, M). */
  readonly maxTransactionSize: number
  readonly closeTimeMillis: number
}

/**
 * The view of a host that knows no ledger: 1000 operations, classic transactions, five seconds.
 *
 * @category constants
 * @since 0.1.0
 */
export const unknownLedger: LedgerView = {
  ledgerSeq: 1,
  trackingIndex: 1,
  isTracking: true,
  isSynced: true,
  ledgerVersion: 23,
  maxTxSetSize: 1000,
  sorobanMaxTxCount: 0,
  maxTransactionSize: MAX_CLASSIC_TRANSACTION_SIZE,
  closeTimeMillis: 5000
}

/**
 * SCP messages with a bad signature that a peer may send in the life of its connection. stellar-core counts them only;
 * a node that verifies before it relays never sends one.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_BAD_SIGNATURES = 16

/**
 * What the host makes of an SCP message:
 *
 * - `discard`: not wanted; the floodgate forgets it, so that it counts as new if it comes again. With `badSignature` nobody
 *   signed it, and a peer that sends `MAX_BAD_SIGNATURES` such messages is dropped
 * - `hold`: taken; not relayed now. What it still needs is fetched, and the message handed over once more when it came
 * - `relay`: taken; told to every peer that does not know it. `txSets` are fetched nevertheless, and the message handed over
 *   once more when one came: some messages go on without what they name (from ledger protocol 28 on, where a node
 *   downloads in parallel)
 *
 * @category models
 * @since 0.1.0
 */
export type ScpVerdict =
  | { readonly _tag: "discard"; readonly badSignature?: boolean }
  | {
    readonly _tag: "hold"
    readonly txSets: ReadonlyArray<Uint8Array>
    readonly quorumSets: ReadonlyArray<Uint8Array>
  }
  | { readonly _tag: "relay"; readonly txSets?: ReadonlyArray<Uint8Array> }

/**
 * What the host makes of a transaction: newly `pending`, a `duplicate` of one it has, `rejected`, or `banned` for a while.
 * What is pending is advertised in the next rounds (protocol.md 5.6), as long as `transaction` has it.
 *
 * @category models
 * @since 0.1.0
 */
export type TransactionVerdict = "pending" | "duplicate" | "rejected" | "banned"

/**
 * A transaction set of either kind.
 *
 * @category models
 * @since 0.1.0
 */
export type AnyTxSet = TxSet | GeneralizedTxSet

/**
 * The service. Messages given to it may be views into a socket buffer: `retain` what is kept.
 *
 * **Example** (A node with a host of its own, which passes on every SCP message and wants no transactions)
 *
 * ```ts
 * import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
 * import { OverlayHost, unknownLedger } from "@stellar-overlay/overlay/OverlayHost"
 * import { Effect, Layer } from "effect"
 *
 * const host = Layer.succeed(OverlayHost, {
 *   ledger: () => ({ ...unknownLedger, isSynced: false }),
 *   scpStateFrom: () => 0,
 *   receiveScp: (messages) => Effect.succeed(messages.map(() => ({ _tag: "relay" }))),
 *   scpState: () => Effect.succeed([]),
 *   receiveTransactions: (messages) => Effect.succeed(messages.map(() => "rejected" as const)),
 *   transactionStatus: () => "unknown",
 *   transaction: () => undefined,
 *   txSet: () => Effect.succeed(undefined),
 *   quorumSet: () => Effect.succeed(undefined),
 *   receiveTxSet: () => Effect.succeed(true),
 *   receiveQuorumSet: () => Effect.succeed(true),
 *   isInQuorum: () => false
 * })
 *
 * export const program = Effect.never.pipe(Effect.provide(NodeOverlay.layerNode({ network: "testnet", host })))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class OverlayHost extends Context.Service<OverlayHost, {
  /** The ledger at this moment. */
  readonly ledger: () => LedgerView
  /** The ledger to ask new peers' SCP state from (protocol.md 5.3). */
  readonly scpStateFrom: () => number

  /**
   * SCP messages in the order they came; one verdict for each. `from` is the peer that sent them, and undefined for those
   * that waited for an item and are handed over once more.
   */
  readonly receiveScp: (
    messages: NonEmptyReadonlyArray<ScpMessage>,
    from: NodeId | undefined
  ) => Effect.Effect<ReadonlyArray<ScpVerdict>>
  /**
   * Whether an SCP message is a copy of what the host has dealt with, or older: then `receiveScp` is not asked, and this
   * call is all the host hears of it. It may take note of the peer. Optional, to spare a fiber for each copy: a message
   * comes from most peers.
   */
  readonly knowsScp?: (message: ScpMessage, from: NodeId) => boolean
  /** SCP state from a ledger on, in slot order, at most 100 slots (protocol.md 5.3). */
  readonly scpState: (fromLedger: number) => Effect.Effect<ReadonlyArray<ScpMessage>>
  /**
   * This node's own latest messages for the ledger after the last closed one, of a node that votes: while it is not
   * tracking they are broadcast again every ten seconds, to whoever has not heard them (protocol.md 5.3).
   */
  readonly ownScpMessages?: () => ReadonlyArray<ScpMessage>

  /** Transactions with the SHA-256 of each envelope; one verdict for each. */
  readonly receiveTransactions: (
    messages: NonEmptyReadonlyArray<Transaction>,
    hashes: ReadonlyArray<Uint8Array>,
    from: NodeId
  ) => Effect.Effect<ReadonlyArray<TransactionVerdict>>
  /** Whether a transaction is held or banned, for adverts. */
  readonly transactionStatus: (hash: Uint8Array) => "known" | "banned" | "unknown"
  /** A transaction that is pending, to answer a demand and to advertise it; not one that is applied or dropped. */
  readonly transaction: (hash: Uint8Array) => Transaction | undefined
  /** What a pending transaction bids in the rounds of adverts; its envelope says it unless the host does. */
  readonly transactionBid?: (message: Transaction, hash: Uint8Array) => TransactionBid

  /** A transaction set, to answer GET_TX_SET. */
  readonly txSet: (hash: Uint8Array) => Effect.Effect<AnyTxSet | undefined>
  /** A quorum set, to answer GET_SCP_QUORUMSET. */
  readonly quorumSet: (hash: Uint8Array) => Effect.Effect<ScpQuorumSet | undefined>
  /** A transaction set that was asked for arrived; false when it is no good, and its envelopes are discarded. */
  readonly receiveTxSet: (hash: Uint8Array, txSet: AnyTxSet) => Effect.Effect<boolean>
  /** A quorum set that was asked for arrived, and is sane. */
  readonly receiveQuorumSet: (hash: Uint8Array, quorumSet: ScpQuorumSet) => Effect.Effect<boolean>
  /** A quorum set that was asked for arrived, and is not sane: what names it should be discarded from now on. */
  readonly refuseQuorumSet?: (hash: Uint8Array) => void

  /** Whether a node is in the transitive quorum: such nodes may run surveys. */
  readonly isInQuorum: (id: NodeId) => boolean
}>()("@stellar-overlay/overlay/OverlayHost") {
  /**
   * A host that only looks on: it takes SCP messages, relays nothing, answers nothing and wants no transactions. See
   * `OverlayHostWatcher`.
   *
   * @since 0.1.0
   */
  static readonly layerWatcher: Layer.Layer<OverlayHost, never, OverlayConfig | OverlayCrypto> = Layer.effect(
    this,
    Effect.suspend(() => OverlayHostWatcher.make())
  )

  /**
   * As `layerWatcher`, with options.
   *
   * @since 0.1.0
   */
  static readonly layerWatcherWith = (
    options: OverlayHostWatcher.WatcherOptions
  ): Layer.Layer<OverlayHost, never, OverlayConfig | OverlayCrypto> =>
    Layer.effect(this, OverlayHostWatcher.make(options))

  /**
   * A host for a sentry: it relays signed SCP messages and transactions, and serves what it has seen. See
   * `OverlayHostRelay`.
   *
   * @since 0.1.0
   */
  static readonly layerRelay: Layer.Layer<OverlayHost, never, OverlayConfig | OverlayCrypto> = Layer.effect(
    this,
    Effect.suspend(() => Effect.map(OverlayHostRelay.make(), ({ host }) => host))
  )

  /**
   * As `layerRelay`, with options: whom to trust, and the bounds.
   *
   * @since 0.1.0
   */
  static readonly layerRelayWith = (
    options: OverlayHostRelay.RelayOptions
  ): Layer.Layer<OverlayHost, never, OverlayConfig | OverlayCrypto> =>
    Layer.effect(this, Effect.map(OverlayHostRelay.make(options), ({ host }) => host))
}
