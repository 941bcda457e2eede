/**
 * Whether a node is well: a few facts in, the reasons why not out.
 *
 * Two questions are answered. Is the node *healthy*: can the process do its work at all, or would a restart help? And is
 * it *ready*: does it serve its purpose now, connected and in sync? A load balancer or an operator's page asks for the
 * second, a supervisor that restarts processes for the first. What restarting does not cure makes a node unready, never
 * unhealthy.
 *
 * Pure: `OverlayHealthMonitor` collects the facts of a running node.
 *
 * @since 0.1.0
 */
import type { StorageErrorReason, StorageName } from "./StorageError.ts"

/**
 * What is looked at. Durations are in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface HealthFacts {
  /** Since the node was built. */
  readonly uptimeMillis: number
  readonly isShuttingDown: boolean
  /** Whether it should listen, and whether it does. */
  readonly shouldListen: boolean
  readonly isListening: boolean
  /** Authenticated connections. */
  readonly authenticated: number
  /** For how long consensus has not been followed; 0 while it is. */
  readonly outOfSyncMillis: number
  /** The longest delay of the event loop lately. */
  readonly eventLoopDelayMillis: number
  readonly stores: ReadonlyArray<{
    readonly store: StorageName
    /** Why it fails; undefined while it works. */
    readonly failing: StorageErrorReason | undefined
    /** Rows that only memory holds. */
    readonly pending: number
  }>
}

/**
 * When something counts as wrong.
 *
 * @category models
 * @since 0.1.0
 */
export interface HealthThresholds {
  /** Authenticated peers that a ready node has at least; 0 for a node that may be alone. */
  readonly minPeers: number
  /** How long a ready node may be out of sync. Infinity for a node that follows no ledger. */
  readonly maxOutOfSyncMillis: number
  /** The longest delay of the event loop of a ready node. */
  readonly maxEventLoopDelayMillis: number
  /** The longest delay of the event loop of a healthy node: peers drop it for less than half a minute of silence. */
  readonly stalledEventLoopMillis: number
  /** Whether a node whose database fails is ready; it goes on without it, and forgets at its end what it learnt. */
  readonly storeFailureIsNotReady: boolean
}

/**
 * One peer, one minute, one second, ten seconds; a failing database is told but is no reason against readiness.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: HealthThresholds = {
  minPeers: 1,
  maxOutOfSyncMillis: 60_000,
  maxEventLoopDelayMillis: 1000,
  stalledEventLoopMillis: 10_000,
  storeFailureIsNotReady: false
}

/**
 * Something that is wrong.
 *
 * @category models
 * @since 0.1.0
 */
export type HealthReason =
  | { readonly _tag: "ShuttingDown" }
  | { readonly _tag: "NotListening" }
  | { readonly _tag: "TooFewPeers"; readonly authenticated: number; readonly minPeers: number }
  | { readonly _tag: "OutOfSync"; readonly millis: number; readonly maxMillis: number }
  | { readonly _tag: "EventLoopSlow"; readonly millis: number; readonly maxMillis: number }
  | { readonly _tag: "EventLoopStalled"; readonly millis: number; readonly maxMillis: number }
  | {
    readonly _tag: "StoreFailing"
    readonly store: StorageName
    readonly error: StorageErrorReason
    readonly pending: number
  }

/**
 * What a reason stands against. `nothing`: the node works, and somebody should know.
 *
 * @category models
 * @since 0.1.0
 */
export type HealthImpact = "health" | "readiness" | "nothing"

/**
 * The verdict. A node that is not healthy is not ready.
 *
 * @category models
 * @since 0.1.0
 */
export interface Health {
  readonly isHealthy: boolean
  readonly isReady: boolean
  readonly reasons: ReadonlyArray<HealthReason>
}

/**
 * What a reason stands against, with these thresholds.
 *
 * @category getters
 * @since 0.1.0
 */
export const impactOf = (reason: HealthReason, thresholds: HealthThresholds = defaults): HealthImpact => {
  switch (reason._tag) {
    case "NotListening":
    case "EventLoopStalled":
      return "health"
    case "ShuttingDown":
    case "TooFewPeers":
    case "OutOfSync":
    case "EventLoopSlow":
      return "readiness"
    case "StoreFailing":
      return thresholds.storeFailureIsNotReady ? "readiness" : "nothing"
  }
}

/**
 * Judges the facts.
 *
 * @category constructors
 * @since 0.1.0
 */
export const check = (facts: HealthFacts, thresholds: HealthThresholds = defaults): Health => {
  const { authenticated, eventLoopDelayMillis, isListening, isShuttingDown, outOfSyncMillis, shouldListen } = facts
  const { maxEventLoopDelayMillis, maxOutOfSyncMillis, minPeers, stalledEventLoopMillis } = thresholds
  const reasons: Array<HealthReason> = []
  if (isShuttingDown) reasons.push({ _tag: "ShuttingDown" })
  if (shouldListen && !isListening && !isShuttingDown) reasons.push({ _tag: "NotListening" })
  if (authenticated < minPeers) reasons.push({ _tag: "TooFewPeers", authenticated, minPeers })
  if (outOfSyncMillis > maxOutOfSyncMillis) {
    reasons.push({ _tag: "OutOfSync", millis: outOfSyncMillis, maxMillis: maxOutOfSyncMillis })
  }
  if (eventLoopDelayMillis > stalledEventLoopMillis) {
    reasons.push({ _tag: "EventLoopStalled", millis: eventLoopDelayMillis, maxMillis: stalledEventLoopMillis })
  } else if (eventLoopDelayMillis > maxEventLoopDelayMillis) {
    reasons.push({ _tag: "EventLoopSlow", millis: eventLoopDelayMillis, maxMillis: maxEventLoopDelayMillis })
  }
  for (const { failing, pending, store } of facts.stores) {
    if (failing !== undefined) reasons.push({ _tag: "StoreFailing", store, error: failing, pending })
  }
  const impacts = reasons.map((reason) => impactOf(reason, thresholds))
  return {
    isHealthy: !impacts.includes("health"),
    isReady: impacts.every((impact) => impact === "nothing"),
    reasons
  }
}

/**
 * A reason in words.
 *
 * @category conversions
 * @since 0.1.0
 */
export const describe = (reason: HealthReason): string => {
  switch (reason._tag) {
    case "ShuttingDown":
      return "the node is shutting down"
    case "NotListening":
      return "the node does not listen, though it should"
    case "TooFewPeers":
      return `${reason.authenticated} authenticated peers, wanted are ${reason.minPeers}`
    case "OutOfSync":
      return `out of sync for ${Math.round(reason.millis / 1000)} s, allowed are ${reason.maxMillis / 1000} s`
    case "EventLoopSlow":
    case "EventLoopStalled":
      return `the event loop was ${Math.round(reason.millis)} ms late, allowed are ${reason.maxMillis} ms`
    case "StoreFailing":
      return `the database of ${reason.store} fails (${reason.error}), ${reason.pending} rows are in memory only`
  }
}

/**
 * The verdict as JSON: `status`, both answers, and for each reason its tag, words, impact and numbers.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toJson = (health: Health, thresholds: HealthThresholds = defaults) => ({
  status: !health.isHealthy ? "unhealthy" : health.isReady ? "ready" : "not ready",
  healthy: health.isHealthy,
  ready: health.isReady,
  reasons: health.reasons.map((reason) => {
    const { _tag, ...facts } = reason
    return { against: impactOf(reason, thresholds), text: describe(reason), ...facts, reason: _tag }
  })
})
