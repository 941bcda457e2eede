/**
 * Collects the facts about a running node that `OverlayHealth` judges.
 *
 * It looks twice a second, which also is how it measures the event loop: by how late it is itself. Between two looks and
 * when asked it costs nothing.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { BanList } from "./BanList.ts"
import { readMillis } from "./internal/peerRuntime.ts"
import { LocalNode } from "./LocalNode.ts"
import { Overlay } from "./Overlay.ts"
import * as OverlayHealth from "./OverlayHealth.ts"
import { OverlayHost } from "./OverlayHost.ts"
import { PeerManager } from "./PeerManager.ts"

/**
 * Time between two looks.
 *
 * @category constants
 * @since 0.1.0
 */
export const LOOK_MILLIS = 500

/**
 * For how long a delay of the event loop counts, at least; twice as long at most.
 *
 * @category constants
 * @since 0.1.0
 */
export const DELAY_WINDOW_MILLIS = 5000

/**
 * What is asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface OverlayHealthMonitor {
  readonly thresholds: OverlayHealth.HealthThresholds
  /** The facts of this moment. */
  readonly facts: () => OverlayHealth.HealthFacts
  /** The verdict of this moment. */
  readonly check: () => OverlayHealth.Health
  /** From now on the node is shutting down. */
  readonly shuttingDown: () => void
}

/**
 * Watches the node until the scope closes, which counts as its shutting down.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  thresholds: Partial<OverlayHealth.HealthThresholds> = {}
): Effect.fn.Return<
  OverlayHealthMonitor,
  never,
  Overlay | OverlayHost | PeerManager | BanList | LocalNode | Scope.Scope
> {
  const limits = { ...OverlayHealth.defaults, ...thresholds }
  const overlay = yield* Overlay
  const host = yield* OverlayHost
  const manager = yield* PeerManager
  const bans = yield* BanList
  const { config } = yield* LocalNode
  const clock = yield* Clock.Clock
  const millis = () => readMillis(clock)
  const start = millis()
  let outOfSyncSince: number | undefined = start
  let isShuttingDown = false
  /** When the next look is due. */
  let due = start + LOOK_MILLIS
  /** The longest delay in the window that runs and in the one before. */
  let windowEnd = start + DELAY_WINDOW_MILLIS
  let longest = 0
  let longestBefore = 0

  const followSync = (now: number): void => {
    if (host.ledger().isTracking) outOfSyncSince = undefined
    else outOfSyncSince ??= now
  }
  const look = Effect.sync(() => {
    const now = millis()
    longest = Math.max(longest, now - due)
    if (now >= windowEnd) {
      longestBefore = longest
      longest = 0
      windowEnd = now + DELAY_WINDOW_MILLIS
    }
    due = now + LOOK_MILLIS
    followSync(now)
  })
  // A host that throws is the host's trouble; if the looks ended, every delay would seem endless from then on.
  const survive = Effect.catchDefect(
    look,
    (defect) => Effect.logError("A defect in the look at the node's health", defect)
  )
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(LOOK_MILLIS), survive)))
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isShuttingDown = true
    })
  )

  const facts = (): OverlayHealth.HealthFacts => {
    const now = millis()
    followSync(now)
    return {
      uptimeMillis: now - start,
      isShuttingDown,
      shouldListen: config.listen && !config.runStandalone,
      isListening: overlay.isListening(),
      authenticated: overlay.peers.registry.authenticatedCount(),
      outOfSyncMillis: outOfSyncSince === undefined ? 0 : now - outOfSyncSince,
      // A look that is overdue has not been able to say so yet.
      eventLoopDelayMillis: Math.max(0, longest, longestBefore, now - due),
      stores: [
        { store: "peers", failing: manager.status().failing?.reason, pending: manager.status().pending },
        { store: "bans", failing: bans.status().failing?.reason, pending: bans.status().pending }
      ]
    }
  }
  return {
    thresholds: limits,
    facts,
    check: () => OverlayHealth.check(facts(), limits),
    shuttingDown: () => {
      isShuttingDown = true
    }
  }
})
