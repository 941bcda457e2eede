/**
 * Metrics in the text format that Prometheus reads, version 0.0.4.
 *
 * @since 0.1.0
 */
import type { Distribution, Family, Sample, Snapshot } from "./OverlayMetricsSnapshot.ts"

/**
 * The content type of what `render` gives.
 *
 * @category constants
 * @since 0.1.0
 */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

/** Lines of help escape less than label values do. */
const escapeHelp = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")

const escapeLabel = (text: string): string => escapeHelp(text).replaceAll("\"", "\\\"")

/**
 * A number as the format wants it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const renderNumber = (value: number): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)

const renderLabels = (labels: Readonly<Record<string, string>>): string => {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return parts.length === 0 ? "" : `{${parts.join(",")}}`
}

const renderSample = (name: string, { labels, value }: Sample): string =>
  `${name}${renderLabels(labels)} ${renderNumber(value)}\n`

const renderDistribution = (
  name: string,
  bounds: ReadonlyArray<number>,
  { buckets, count, labels, sum }: Distribution
): string => {
  let text = ""
  bounds.forEach((bound, i) => {
    text += renderSample(`${name}_bucket`, { labels: { ...labels, le: renderNumber(bound) }, value: buckets[i]! })
  })
  text += renderSample(`${name}_bucket`, { labels: { ...labels, le: "+Inf" }, value: count })
  return text + renderSample(`${name}_sum`, { labels, value: sum }) +
    renderSample(`${name}_count`, { labels, value: count })
}

const renderFamily = (family: Family): string => {
  const { definition: { bounds, help, unit }, name, type } = family
  const head = `# HELP ${name} ${escapeHelp(`${help} (${unit}).`)}\n# TYPE ${name} ${type}\n`
  return head + (family.type === "histogram"
    ? family.samples.map((sample) => renderDistribution(name, bounds, sample)).join("")
    : family.samples.map((sample) => renderSample(name, sample)).join(""))
}

/**
 * All metrics as text.
 *
 * **Example** (What a scrape gets)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { OverlayMetrics, OverlayMetricsPrometheus } from "@stellar-overlay/overlay"
 *
 * const scrape = Effect.map(OverlayMetrics.OverlayMetrics, (metrics) =>
 *   OverlayMetricsPrometheus.render(metrics.snapshot()))
 * ```
 *
 * @category rendering
 * @since 0.1.0
 */
export const render = (snapshot: Snapshot): string => snapshot.families.map(renderFamily).join("")
