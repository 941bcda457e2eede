/** The rules as text, and what expressions in PromQL may name. */
import { definitions } from "@stellar-overlay/overlay/OverlayMetricNames"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as ProcessMetrics from "../../src/node/processMetrics.ts"

export const docs = fileURLToPath(new URL("../../../../docs/", import.meta.url))
export const rulesFile = `${docs}alerts/stellar-overlay.rules.yml`

export interface Rule {
  readonly alert: string
  readonly expr: string
  /** The other fields, by name: `for`, `severity`, `summary`, `description`, `runbook`. */
  readonly fields: ReadonlyMap<string, string>
}

/** Reads the subset of YAML that the file is written in. */
export const rules: ReadonlyArray<Rule> = readFileSync(rulesFile, "utf8")
  .split(/^ {6}- alert: /m)
  .slice(1)
  .map((text) => {
    const fields = new Map<string, string>()
    const folded = text.replace(
      /: >-\n((?: {10}.*\n?)+)/g,
      (_, lines: string) => `: ${lines.trim().split(/\n\s*/).join(" ")}\n`
    )
    for (const [, name, value] of folded.matchAll(/^ +([a-z]+): (.+)$/gm)) {
      fields.set(name!, value!.replace(/^"(.*)"$/, "$1"))
    }
    return { alert: text.slice(0, text.indexOf("\n")).trim(), expr: fields.get("expr") ?? "", fields }
  })

interface Known {
  readonly type: string
  readonly labels: ReadonlyMap<string, ReadonlyArray<string> | undefined>
}

const known = new Map<string, Known>()
for (const [name, { labels, type }] of Object.entries(definitions)) {
  const all = new Map(labels.map((label) => [label.name, "values" in label ? label.values : undefined]))
  if (type !== "histogram") {
    known.set(name, { type, labels: all })
    continue
  }
  for (const part of ["sum", "count"]) known.set(`${name}_${part}`, { type: "counter", labels: all })
  known.set(`${name}_bucket`, { type: "counter", labels: new Map([...all, ["le", undefined]]) })
}
for (const [name, { labels, type }] of Object.entries(ProcessMetrics.definitions)) {
  known.set(name, { type, labels: new Map(Object.entries(labels)) })
}
known.set("up", { type: "gauge", labels: new Map() })

const vocabulary = new Set(
  ("sum avg min max count by without on ignoring group_left group_right and or unless rate irate increase delta deriv changes "
    + "histogram_quantile clamp_min clamp_max max_over_time min_over_time avg_over_time topk sort_desc label_replace "
    + "label_values time vector bool offset scalar abs").split(" ")
)
const ofTarget = new Set(["job", "instance"])
const overCounters = new Set(["rate", "irate", "increase"])

export interface Checked {
  /** Metrics that the expression names. */
  readonly metrics: ReadonlySet<string>
  readonly problems: ReadonlyArray<string>
}

/** Looks for metrics, labels and values that do not exist, and for rates of what is no counter. */
export const check = (expr: string): Checked => {
  const problems: Array<string> = []
  const metrics = new Set<string>()
  const labels = new Set([...ofTarget, "le"])
  const rest = expr.replace(/([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}/g, (_, name: string, matchers: string) => {
    const metric = known.get(name)
    for (const [, label, op, value] of matchers.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)) {
      if (metric === undefined || ofTarget.has(label!)) continue
      if (!metric.labels.has(label!)) problems.push(`${name} has no label ${label}`)
      const values = metric.labels.get(label!)
      if (values === undefined || value!.includes("$")) continue
      const named = op!.includes("~") ? value!.split("|") : [value!]
      for (const one of named) if (!values.includes(one)) problems.push(`${name} has no ${label} "${one}"`)
    }
    return ` ${name} `
  })
  // What a function is applied to directly: `rate(name[5m])`.
  for (const [, f, name] of rest.matchAll(/(\w+)\(\s*([a-zA-Z_:][\w:]*)\s*\[/g)) {
    const type = known.get(name!)?.type
    if (overCounters.has(f!) && type !== undefined && type !== "counter") problems.push(`${f} of ${name}, a ${type}`)
    if (f === "delta" && type === "counter") problems.push(`delta of ${name}, a counter`)
  }
  const words = rest.replace(/"[^"]*"|\[[^\]]*\]|\$\w+/g, " ")
  for (const [word] of words.matchAll(/[a-zA-Z_:][\w:]*/g)) {
    const metric = known.get(word)
    if (metric === undefined) continue
    metrics.add(word)
    for (const label of metric.labels.keys()) labels.add(label)
  }
  for (const [word] of words.replace(/\d[\d.]*(e[+-]?\d+)?[smhdwy]?/g, " ").matchAll(/[a-zA-Z_:][\w:]*/g)) {
    if (!known.has(word) && !vocabulary.has(word) && !labels.has(word)) problems.push(`what is ${word}?`)
  }
  if (metrics.size === 0) problems.push("no metric")
  return { metrics, problems }
}
