/** What the hosts share that follow the network by its SCP messages and have no ledger of their own. */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import type { Values } from "../OverlayConfig.ts"
import type { LedgerView, ScpVerdict } from "../OverlayHost.ts"
import { MAX_CLASSIC_TRANSACTION_SIZE } from "../protocol/LedgerContext.ts"
import type { LedgerTracker } from "../protocol/LedgerTracker.ts"
import type { ScpMessage } from "../wire/StellarMessage.ts"

/** What such a host cannot find out and is told. */
export type LedgerFacts = Pick<
  LedgerView,
  "ledgerVersion" | "maxTxSetSize" | "sorobanMaxTxCount" | "maxTransactionSize" | "closeTimeMillis"
>

/** The facts a program gave, and those of stellar-core's defaults and the configuration. */
export const ledgerFacts = (
  config: Values,
  given: { readonly [K in keyof LedgerFacts]?: LedgerFacts[K] | undefined }
): LedgerFacts => ({
  ledgerVersion: given.ledgerVersion ?? config.ledgerVersion,
  maxTxSetSize: given.maxTxSetSize ?? 1000,
  sorobanMaxTxCount: given.sorobanMaxTxCount ?? 0,
  maxTransactionSize: given.maxTransactionSize ??
    Math.max(MAX_CLASSIC_TRANSACTION_SIZE, config.maxTransactionSizeBytes),
  closeTimeMillis: given.closeTimeMillis ?? config.expectedCloseTimeMillis
})

export const ledgerView = (facts: LedgerFacts, tracker: LedgerTracker, isSynced: boolean, now: number): LedgerView => {
  const index = Math.max(1, tracker.index)
  return { ...facts, ledgerSeq: index, trackingIndex: index, isTracking: tracker.isTracking(now), isSynced }
}

/** The ledger to ask SCP state from: three before the next one (protocol.md 5.3). */
export const scpStateFrom = (ledgerSeq: number): number => ledgerSeq + 1 > 3 ? ledgerSeq + 1 - 3 : 1

/** Judges messages in order, waiting where `judge` asks for so many milliseconds, as the sender's credit waits too. */
export const judgeAll = (
  messages: NonEmptyReadonlyArray<ScpMessage>,
  judge: (message: ScpMessage) => ScpVerdict | number
): Effect.Effect<ReadonlyArray<ScpVerdict>> => {
  const verdicts: Array<ScpVerdict> = []
  const judgeSome: Effect.Effect<ReadonlyArray<ScpVerdict>> = Effect.suspend(() => {
    while (verdicts.length < messages.length) {
      const verdict = judge(messages[verdicts.length]!)
      if (typeof verdict === "number") return Effect.andThen(Effect.sleep(verdict), judgeSome)
      verdicts.push(verdict)
    }
    return Effect.succeed(verdicts)
  })
  return judgeSome
}
