/** What an operator's tools ask a node for, besides stellar-core's commands: health, readiness, metrics, events. */
import type { LogLimiter } from "@stellar-overlay/overlay/LogLimiter"
import * as OverlayEventJson from "@stellar-overlay/overlay/OverlayEventJson"
import { OverlayEvents } from "@stellar-overlay/overlay/OverlayEvents"
import * as OverlayHealth from "@stellar-overlay/overlay/OverlayHealth"
import * as OverlayHealthMonitor from "@stellar-overlay/overlay/OverlayHealthMonitor"
import { OverlayMetrics } from "@stellar-overlay/overlay/OverlayMetrics"
import * as OverlayMetricsPrometheus from "@stellar-overlay/overlay/OverlayMetricsPrometheus"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as EventStream from "./eventStream.ts"
import * as ProcessMetrics from "./processMetrics.ts"
import { respondJson, respondText } from "./responses.ts"

export interface Options {
  /** When the node counts as unhealthy or unready. */
  readonly health?: Partial<OverlayHealth.HealthThresholds> | undefined
  /** The limiter of the log, for its counters. */
  readonly log?: LogLimiter | undefined
}

export interface Operations {
  /** The answer to a path of ours; undefined for any other. */
  readonly respond: (url: string, accept: string | undefined) => HttpServerResponse.HttpServerResponse | undefined
  /** Says goodbye to whoever listens to events. */
  readonly close: Effect.Effect<void>
}

/**
 * Whether `GET /metrics` asks for stellar-core's JSON: by a parameter that core has, or by accepting JSON and no text.
 * Prometheus and browsers accept text; what reads core's registry asks for nothing in particular and knows the path only,
 * so it has to say so.
 */
const wantsCoreJson = (params: URLSearchParams, accept: string | undefined): boolean =>
  params.has("domain") || params.has("enable") || params.get("format") === "json" ||
  (accept !== undefined && accept.includes("application/json") && !accept.includes("text/"))

/** Watches a node, and answers for it until the scope closes. */
export const make = Effect.fnUntraced(function*(options: Options) {
  const monitor = yield* OverlayHealthMonitor.make(options.health)
  const events = yield* EventStream.make(yield* OverlayEvents)

  const metrics = yield* OverlayMetrics
  const clock = yield* Clock.Clock
  const startMillis = clock.currentTimeMillisUnsafe() - process.uptime() * 1000

  const processFacts = (): ProcessMetrics.ProcessFacts => {
    const { isHealthy, isReady, reasons } = monitor.check()
    const { isListening, outOfSyncMillis } = monitor.facts()
    const { system, user } = process.cpuUsage()
    return {
      isHealthy,
      isReady,
      reasons,
      isListening,
      outOfSyncMillis,
      passed: options.log?.passed ?? new Map(),
      suppressed: options.log?.suppressed ?? new Map(),
      events: events.stats,
      startMillis,
      cpuSeconds: (system + user) / 1e6,
      residentBytes: process.memoryUsage.rss()
    }
  }

  const health = (isGood: (health: OverlayHealth.Health) => boolean) => {
    const verdict = monitor.check()
    const json = OverlayHealth.toJson(verdict, monitor.thresholds)
    return respondJson(OverlayEventJson.stringify(json), isGood(verdict) ? 200 : 503)
  }

  const operations: Operations = {
    respond: (url, accept) => {
      const question = url.indexOf("?")
      const path = question < 0 ? url : url.slice(0, question)
      const params = new URLSearchParams(question < 0 ? "" : url.slice(question + 1))
      switch (path) {
        case "/healthz":
          return health(({ isHealthy }) => isHealthy)
        case "/readyz":
          return health(({ isReady }) => isReady)
        case "/events":
          return events.respond(params)
        case "/metrics": {
          if (wantsCoreJson(params, accept)) return undefined
          const text = OverlayMetricsPrometheus.render(metrics.snapshot()) + ProcessMetrics.render(processFacts())
          return respondText(text, OverlayMetricsPrometheus.contentType)
        }
        default:
          return undefined
      }
    },
    close: Effect.suspend(() => {
      monitor.shuttingDown()
      return events.close
    })
  }
  return operations
})
