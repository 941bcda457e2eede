/**
 * The metrics of the process around a node: its log, its event streams, its health and what it takes of the machine. They
 * follow those of `OverlayMetricNames` on the page, in Prometheus' text format.
 */
import type { HealthReason } from "@stellar-overlay/overlay/OverlayHealth"
import type { LineCounts } from "@stellar-overlay/overlay/protocol/LineBudget"

interface Definition {
  readonly type: "counter" | "gauge"
  readonly help: string
  /** Labels with all the values they may have. */
  readonly labels: Readonly<Record<string, ReadonlyArray<string>>>
}

const levels = ["fatal", "error", "warn", "info", "debug", "trace", "event"]
const reasons: { readonly [Tag in HealthReason["_tag"]]: true } = {
  ShuttingDown: true,
  NotListening: true,
  TooFewPeers: true,
  OutOfSync: true,
  EventLoopSlow: true,
  EventLoopStalled: true,
  StoreFailing: true
}

const counter = (help: string, labels: Definition["labels"] = {}): Definition => ({ type: "counter", help, labels })
const gauge = (help: string, labels: Definition["labels"] = {}): Definition => ({ type: "gauge", help, labels })

/** The table. */
export const definitions = {
  stellar_node_healthy: gauge("Whether /healthz answers 200"),
  stellar_node_ready: gauge("Whether /readyz answers 200"),
  stellar_node_reason: gauge("Whether something is wrong, by reason", { reason: Object.keys(reasons) }),
  stellar_node_listening: gauge("Whether somebody could connect"),
  stellar_node_out_of_sync_seconds: gauge("For how long consensus has not been followed"),
  stellar_log_lines_total: counter("Lines written to the log and the console, by level", { kind: levels }),
  stellar_log_suppressed_total: counter("Lines not written for want of room, by level", { kind: levels }),
  stellar_events_clients: gauge("Clients that read /events"),
  stellar_events_refused_total: counter("Clients refused by /events"),
  stellar_events_sent_total: counter("Events sent to clients of /events"),
  stellar_events_lost_total: counter("Events that clients of /events were too slow for"),
  process_start_time_seconds: gauge("When the process started, in Unix seconds"),
  process_cpu_seconds_total: counter("Processor time of the process"),
  process_resident_memory_bytes: gauge("Resident memory of the process")
} as const satisfies Readonly<Record<string, Definition>>

export type ProcessMetricName = keyof typeof definitions

/** What is shown. */
export interface ProcessFacts {
  readonly isHealthy: boolean
  readonly isReady: boolean
  readonly reasons: ReadonlyArray<HealthReason>
  readonly isListening: boolean
  readonly outOfSyncMillis: number
  readonly passed: LineCounts<string>
  readonly suppressed: LineCounts<string>
  readonly events: { readonly clients: number; readonly refused: number; readonly sent: number; readonly lost: number }
  /** Unix milliseconds. */
  readonly startMillis: number
  readonly cpuSeconds: number
  readonly residentBytes: number
}

/** A series: the value of its label if its metric has one, and its value. */
export type ProcessSample = readonly [name: ProcessMetricName, label: string | undefined, value: number]

/** All series. Those with a label have one, and always all of its values. */
export const samples = (facts: ProcessFacts): ReadonlyArray<ProcessSample> => {
  const { events, passed, suppressed } = facts
  const wrong = new Set<string>(facts.reasons.map(({ _tag }) => _tag))
  return [
    ["stellar_node_healthy", undefined, Number(facts.isHealthy)],
    ["stellar_node_ready", undefined, Number(facts.isReady)],
    ...Object.keys(reasons).map((tag): ProcessSample => ["stellar_node_reason", tag, Number(wrong.has(tag))]),
    ["stellar_node_listening", undefined, Number(facts.isListening)],
    ["stellar_node_out_of_sync_seconds", undefined, facts.outOfSyncMillis / 1000],
    ...levels.map((kind): ProcessSample => ["stellar_log_lines_total", kind, passed.get(kind) ?? 0]),
    ...levels.map((kind): ProcessSample => ["stellar_log_suppressed_total", kind, suppressed.get(kind) ?? 0]),
    ["stellar_events_clients", undefined, events.clients],
    ["stellar_events_refused_total", undefined, events.refused],
    ["stellar_events_sent_total", undefined, events.sent],
    ["stellar_events_lost_total", undefined, events.lost],
    ["process_start_time_seconds", undefined, facts.startMillis / 1000],
    ["process_cpu_seconds_total", undefined, facts.cpuSeconds],
    ["process_resident_memory_bytes", undefined, facts.residentBytes]
  ]
}

/** The text format, version 0.0.4. Nothing in it comes from a peer. */
export const render = (facts: ProcessFacts): string => {
  let text = ""
  let last: ProcessMetricName | undefined
  for (const [name, label, value] of samples(facts)) {
    const { help, labels, type } = definitions[name]
    if (name !== last) text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
    last = name
    text += `${name}${label === undefined ? "" : `{${Object.keys(labels)[0]}="${label}"}`} ${value}\n`
  }
  return text
}
