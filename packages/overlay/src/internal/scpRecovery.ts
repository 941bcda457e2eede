/**
 * What a node does while it does not follow consensus: every ten seconds it says its own last words again to whom has not
 * heard them, and asks two peers what they know.
 *
 * Implements protocol.md 5.3 (stellar-core: `HerderImpl::outOfSyncRecovery`, `getMoreSCPState`).
 */
import * as Effect from "effect/Effect"
import type { OverlayHost } from "../OverlayHost.ts"
import type { Peers } from "../Peers.ts"
import { GetScpState, type StellarMessage } from "../wire/StellarMessage.ts"

/** OUT_OF_SYNC_RECOVERY_TIMER. */
export const RECOVERY_MILLIS = 10_000

/** NB_PEERS_TO_ASK. */
export const PEERS_TO_ASK = 2

export interface RecoveryOptions {
  readonly host: OverlayHost["Service"]
  readonly peers: Peers["Service"]
  /** Tells those who do not know it. */
  readonly broadcast: (message: StellarMessage) => unknown
}

/** Asks random peers for SCP state from a ledger on. */
export const requestScpState = (peers: Peers["Service"], ledgerSeq: number, count: number): void => {
  for (const peer of peers.randomAuthenticated().slice(0, count)) peer.offer(GetScpState.make({ ledgerSeq }))
}

/** Never ends. */
export const run = ({ broadcast, host, peers }: RecoveryOptions): Effect.Effect<never> => {
  const recover = Effect.sync(() => {
    if (host.ledger().isTracking) return
    for (const message of host.ownScpMessages?.() ?? []) broadcast(message)
    requestScpState(peers, host.scpStateFrom(), PEERS_TO_ASK)
  })
  const survive = Effect.catchDefect(
    recover,
    (defect) => Effect.logError("A defect in the recovery from lost consensus", defect)
  )
  return Effect.forever(Effect.andThen(Effect.sleep(RECOVERY_MILLIS), survive))
}
