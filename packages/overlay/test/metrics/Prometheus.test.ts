/** The text format, read back by a small parser that knows nothing of the renderer. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { definitionOf, isHistogram, names } from "../../src/OverlayMetricNames.ts"
import * as OverlayMetrics from "../../src/OverlayMetrics.ts"
import * as Prometheus from "../../src/OverlayMetricsPrometheus.ts"
import type { Family } from "../../src/OverlayMetricsSnapshot.ts"
import { parse } from "./textFormat.ts"

describe("the text format", () => {
  it.effect("MET-02 every metric is there with its help and type, and every histogram adds up", () =>
    Effect.gen(function*() {
      const metrics = yield* OverlayMetrics.make()
      metrics.timers!.latency.observeMillis(7)
      metrics.timers!.latency.observeMillis(10) // on a bound: within it
      metrics.timers!.latency.observeMillis(60_000)
      metrics.count("stellar_overlay_drops_total", "IdleTimeout")
      const families = parse(Prometheus.render(metrics.snapshot()))
      assert.deepStrictEqual([...families.keys()], [...names])
      for (const [name, { help, samples, type }] of families) {
        const definition = definitionOf(name as (typeof names)[number]) // one of the names
        assert.strictEqual(type, definition.type)
        assert.strictEqual(help, `${definition.help} (${definition.unit}).`)
        assert.isAbove(samples.length, 0, name)
      }
      for (const name of names.filter(isHistogram)) {
        const { samples } = families.get(name)!
        const { bounds } = definitionOf(name)
        const counts = samples.filter((sample) => sample.name === `${name}_count`)
        assert.strictEqual(samples.length, counts.length * (bounds.length + 3))
        for (const { labels, value } of counts) {
          const buckets = samples.filter((sample) =>
            sample.name === `${name}_bucket` &&
            Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
          )
          assert.deepStrictEqual(buckets.map(({ labels: { le } }) => le), [...bounds.map(String), "+Inf"])
          for (let i = 1; i < buckets.length; i++) assert.isAtLeast(buckets[i]!.value, buckets[i - 1]!.value)
          assert.strictEqual(buckets.at(-1)!.value, value)
        }
      }
      const latency = families.get("stellar_overlay_connection_latency_seconds")!.samples
      const bucket = (le: string) => latency.find(({ labels }) => labels["le"] === le)!.value
      assert.deepStrictEqual([bucket("0.005"), bucket("0.01"), bucket("10"), bucket("+Inf")], [0, 2, 2, 3])
      assert.closeTo(latency.find(({ name }) => name.endsWith("_sum"))!.value, 60.017, 1e-9)
      const idle = families.get("stellar_overlay_drops_total")!.samples.find(({ labels }) =>
        labels["reason"] === "IdleTimeout"
      )
      assert.strictEqual(idle?.value, 1)
    }))

  it("MET-02 help and label values are escaped, numbers are written as the format has them", () => {
    const family: Family = {
      type: "gauge",
      name: "stellar_overlay_bans",
      definition: { type: "gauge", unit: "u", help: "a \\ b\nc \"d\"", labels: [], bounds: [] },
      samples: [{ labels: { x: "a\\b\n\"c\"" }, value: Infinity }, { labels: {}, value: 1.5e21 }]
    }
    assert.strictEqual(
      Prometheus.render({ families: [family], sinceMillis: 0 }),
      "# HELP stellar_overlay_bans a \\\\ b\\nc \"d\" (u).\n# TYPE stellar_overlay_bans gauge\n" +
        "stellar_overlay_bans{x=\"a\\\\b\\n\\\"c\\\"\"} +Inf\nstellar_overlay_bans 1.5e+21\n"
    )
    const [parsed] = parse(Prometheus.render({ families: [family], sinceMillis: 0 })).values()
    assert.deepStrictEqual(parsed!.samples[0]!.labels, { x: "a\\b\n\"c\"" })
    assert.strictEqual(Prometheus.renderNumber(-Infinity), "-Inf")
    assert.strictEqual(Prometheus.renderNumber(NaN), "NaN")
    assert.match(Prometheus.contentType, /version=0\.0\.4/)
  })
})
