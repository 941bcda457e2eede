/**
 * A host for a sentry: it relays what is worth relaying, and answers questions, without a ledger.
 *
 * SCP messages are relayed when they are signed, their quorum set is sane and known, and their transaction sets are
 * known (see `PendingEnvelopes`); the latest of each validator are kept for the remembered slots, with what they refer
 * to, and served. Transactions are kept for a while and passed on unjudged (see `TransactionPool`). Whom to listen to
 * is `trust`: without it anybody's statements are taken, within bounds.
 *
 * The cost of signatures is bounded: each distinct message is checked once, so many a second, and whoever sends more
 * waits for its credit. Bad ones are marked in the verdict, for the overlay to drop a peer that keeps sending them.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { judgeAll, ledgerFacts, ledgerView, scpStateFrom } from "./internal/followingHost.ts"
import * as MetricsSources from "./internal/metricsSources.ts"
import { readMillis, readNow } from "./internal/peerRuntime.ts"
import { OverlayConfig } from "./OverlayConfig.ts"
import { OverlayCrypto } from "./OverlayCrypto.ts"
import type { LedgerView, OverlayHost } from "./OverlayHost.ts"
import { OverlayMetrics } from "./OverlayMetrics.ts"
import * as Pending from "./protocol/PendingEnvelopes.ts"
import type { Trust } from "./protocol/QuorumFilter.ts"
import * as Pool from "./protocol/TransactionPool.ts"

/**
 * What a relay is told about the ledger, whom it listens to, and its bounds where they should differ.
 *
 * @category models
 * @since 0.1.0
 */
export interface RelayOptions {
  /** Whose SCP messages are taken; everybody's by default. */
  readonly trust?: Trust | undefined
  /** Of the configuration by default. */
  readonly ledgerVersion?: LedgerView["ledgerVersion"] | undefined
  readonly maxTxSetSize?: LedgerView["maxTxSetSize"] | undefined
  readonly sorobanMaxTxCount?: LedgerView["sorobanMaxTxCount"] | undefined
  readonly maxTransactionSize?: LedgerView["maxTransactionSize"] | undefined
  readonly closeTimeMillis?: LedgerView["closeTimeMillis"] | undefined
  /**
   * EXPERIMENTAL_PARALLEL_TX_SET_DOWNLOAD, off by default: from ledger protocol 28 on, nominations and PREPAREs for the next
   * ledger are passed on before the transaction sets they name have come.
   */
  readonly parallelTxSetDownload?: boolean | undefined
  /** Whether transactions are pulled and passed on; true by default. */
  readonly transactions?: boolean | undefined
  readonly envelopeLimits?: Partial<Pending.PendingEnvelopesOptions> | undefined
  readonly poolLimits?: Partial<Pool.TransactionPoolOptions> | undefined
}

/**
 * A relay and what it holds, for counters and diagnosis.
 *
 * @category models
 * @since 0.1.0
 */
export interface Relay {
  readonly host: OverlayHost["Service"]
  readonly envelopes: Pending.PendingEnvelopes
  readonly pool: Pool.TransactionPool
}

/**
 * Makes the host; `OverlayHost.layerRelay` provides it. Dies with a `RangeError` when the trusted quorum set is not sane.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: RelayOptions = {}
): Effect.fn.Return<Relay, never, OverlayConfig | OverlayCrypto> {
  const config = yield* OverlayConfig
  const crypto = yield* OverlayCrypto
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const draw = () => random.nextDoubleUnsafe()
  const millis = () => readMillis(clock)
  const facts = ledgerFacts(config, options)
  const networkId = crypto.sha256(new TextEncoder().encode(config.networkPassphrase))
  const envelopes = new Pending.PendingEnvelopes(crypto, networkId, draw, millis(), {
    ...Pending.defaults,
    trust: options.trust ?? "everybody",
    ledgerVersion: facts.ledgerVersion,
    closeTimeMillis: facts.closeTimeMillis,
    maxSlotsToRemember: config.maxSlotsToRemember,
    parallelTxSetDownload: options.parallelTxSetDownload ?? false,
    ...options.envelopeLimits
  })
  // For as long as there are metrics: a host has no end of its own.
  const { add } = yield* OverlayMetrics
  add(MetricsSources.verifyBudget(envelopes.budget))
  const pool = new Pool.TransactionPool(draw, {
    ...Pool.defaults,
    maxTransactionSize: facts.maxTransactionSize,
    ...options.poolLimits
  })
  const isSynced = options.transactions ?? true

  const host: OverlayHost["Service"] = {
    ledger: () => ledgerView(facts, envelopes.tracker, isSynced, millis()),
    scpStateFrom: () => scpStateFrom(envelopes.tracker.index),
    receiveScp: (messages, from) =>
      judgeAll(messages, (message) => {
        const now = readNow(clock)
        return envelopes.receive(message, from, now.millis, now.unixSeconds)
      }),
    knowsScp: (message, from) => envelopes.knows(message, from, millis()),
    scpState: (fromLedger) => Effect.sync(() => envelopes.state.from(fromLedger)),
    receiveTransactions: (messages, hashes) =>
      Effect.sync(() => {
        const now = millis()
        return messages.map((message, i) => pool.receive(message, hashes[i]!, now))
      }),
    transactionStatus: (hash) => pool.status(hash, millis()),
    transaction: (hash) => pool.get(hash),
    txSet: (hash) => Effect.sync(() => envelopes.txSets.get(hash)),
    quorumSet: (hash) => Effect.sync(() => envelopes.quorumSets.get(hash)),
    receiveTxSet: (hash, txSet) => Effect.sync(() => envelopes.receiveTxSet(hash, txSet)),
    receiveQuorumSet: (hash, quorumSet) => Effect.sync(() => envelopes.receiveQuorumSet(hash, quorumSet)),
    refuseQuorumSet: (hash) => envelopes.refuseQuorumSet(hash),
    isInQuorum: (id) => envelopes.filter.has(id)
  }
  return { host, envelopes, pool }
})
