/**
 * A host that only looks on: it takes SCP messages, relays nothing, has nothing, and wants no transactions.
 *
 * Because it is never synced, transactions, adverts and demands are dropped before any queue, and their credit flows
 * back. It learns the ledger from what most of its peers pass on as externalized (see `LedgerTracker`), and no signature
 * is checked for that: a peer's word counts as the word of that peer.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { judgeAll, ledgerFacts, ledgerView, scpStateFrom } from "./internal/followingHost.ts"
import * as MetricsSources from "./internal/metricsSources.ts"
import { readMillis } from "./internal/peerRuntime.ts"
import { OverlayConfig } from "./OverlayConfig.ts"
import { OverlayCrypto } from "./OverlayCrypto.ts"
import type { LedgerView, OverlayHost, ScpVerdict } from "./OverlayHost.ts"
import { OverlayMetrics } from "./OverlayMetrics.ts"
import { LedgerTracker } from "./protocol/LedgerTracker.ts"
import { ScpSignatures } from "./protocol/ScpSignature.ts"
import * as VerifyBudget from "./protocol/VerifyBudget.ts"
import type { NodeId } from "./wire/NodeId.ts"
import type { ScpMessage } from "./wire/StellarMessage.ts"

/**
 * What a watcher is told about the ledger, and whether it checks signatures.
 *
 * @category models
 * @since 0.1.0
 */
export interface WatcherOptions {
  /** Of the configuration by default. */
  readonly ledgerVersion?: LedgerView["ledgerVersion"] | undefined
  readonly maxTxSetSize?: LedgerView["maxTxSetSize"] | undefined
  readonly sorobanMaxTxCount?: LedgerView["sorobanMaxTxCount"] | undefined
  readonly maxTransactionSize?: LedgerView["maxTransactionSize"] | undefined
  readonly closeTimeMillis?: LedgerView["closeTimeMillis"] | undefined
  /** Check the signature of every distinct SCP message, within a budget, and discard what nobody signed; off by default. */
  readonly verify?: boolean | undefined
  readonly budget?: VerifyBudget.VerifyBudgetOptions | undefined
}

const EXTERNALIZE = 2

/**
 * Makes the host; `OverlayHost.layerWatcher` provides it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: WatcherOptions = {}
): Effect.fn.Return<OverlayHost["Service"], never, OverlayConfig | OverlayCrypto> {
  const config = yield* OverlayConfig
  const crypto = yield* OverlayCrypto
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const millis = () => readMillis(clock)
  const facts = ledgerFacts(config, options)
  const tracker = new LedgerTracker(facts)
  const budget = new VerifyBudget.VerifyBudget(options.budget ?? VerifyBudget.defaults, millis())
  // For as long as there are metrics: a host has no end of its own.
  const { add } = yield* OverlayMetrics
  add(MetricsSources.verifyBudget(budget))
  const networkId = crypto.sha256(new TextEncoder().encode(config.networkPassphrase))
  const signatures = options.verify === true
    ? new ScpSignatures(crypto, networkId, () => random.nextDoubleUnsafe())
    : undefined

  const judge = (message: ScpMessage, from: NodeId | undefined): ScpVerdict | number => {
    const now = millis()
    let wait = 0
    const isGood = signatures === undefined
      ? true
      : signatures.check(message, () => from === undefined || (wait = budget.take(from, now)) === 0)
    if (isGood === undefined) return wait
    if (!isGood) return { _tag: "discard", badSignature: true }
    const slot = message.slotNumber
    if (slot !== undefined && message.statementCode === EXTERNALIZE) {
      tracker.externalized(slot, from, message.nodeId, now)
    }
    return { _tag: "hold", txSets: [], quorumSets: [] }
  }

  return {
    ledger: () => ledgerView(facts, tracker, false, millis()),
    scpStateFrom: () => scpStateFrom(tracker.index),
    receiveScp: (messages, from) => judgeAll(messages, (message) => judge(message, from)),
    scpState: () => Effect.succeed([]),
    receiveTransactions: (messages) => Effect.succeed(messages.map(() => "rejected" as const)),
    transactionStatus: () => "unknown",
    transaction: () => undefined,
    txSet: () => Effect.succeed(undefined),
    quorumSet: () => Effect.succeed(undefined),
    receiveTxSet: () => Effect.succeed(true),
    receiveQuorumSet: () => Effect.succeed(true),
    isInQuorum: () => false
  }
})
