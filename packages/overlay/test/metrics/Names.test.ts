/** The table of names, against the list of protocol.md section 13. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { series } from "../../src/internal/metricsSeries.ts"
import * as Names from "../../src/OverlayMetricNames.ts"
import * as OverlayMetrics from "../../src/OverlayMetrics.ts"
import { coreNames, render } from "../../src/OverlayMetricsJson.ts"

const of = (prefix: string, names: string): Array<string> => names.split(" ").map((name) => `${prefix}${name}`)

const meters = [
  ...of("overlay.message.", "read write drop broadcast"),
  ...of("overlay.byte.", "read write"),
  ...of("overlay.async.", "read write"),
  ...of("overlay.error.", "read write"),
  ...of("overlay.timeout.", "idle straggler"),
  ...of("overlay.inbound.", "attempt establish drop reject"),
  ...of("overlay.outbound.", "attempt establish drop cancel"),
  "overlay.item-fetcher.next-peer",
  ...of(
    "overlay.send.",
    "error hello auth dont-have peers get-txset transaction txset get-scp-qset scp-qset scp-message get-scp-state " +
      "send-more survey-request survey-response start-survey-collecting stop-survey-collecting flood-advert flood-demand"
  ),
  ...of("overlay.outbound-queue.", "drop-scp drop-tx drop-advert drop-demand"),
  ...of(
    "overlay.flood.",
    "broadcast advertised demanded fulfilled unfulfilled-banned unfulfilled-unknown relevant-txs irrelevant-txs " +
      "abandoned-demands unique-recv duplicate-recv"
  ),
  "overlay.demand.timeout",
  ...of("overlay.fetch.", "unique-recv duplicate-recv")
]

const timers = [
  ...of("overlay.connection.", "latency read-throttle flood-throttle"),
  ...of("overlay.fetch.", "txset qset"),
  ...of(
    "overlay.recv.",
    "error hello auth dont-have peers get-txset txset get-scp-qset scp-qset scp-message get-scp-state send-more " +
      "scp-prepare scp-confirm scp-nominate scp-externalize survey-request survey-response start-survey-collecting " +
      "stop-survey-collecting flood-advert flood-demand tx-batch"
  ),
  ...of("overlay.delay.", "write-queue async-write"),
  ...of("overlay.outbound-queue.", "scp tx advert demand"),
  ...of("overlay.flood.", "tx-pull-latency peer-tx-pull-latency")
]

const counters = [
  ...of("overlay.connection.", "pending authenticated"),
  "overlay.inbound.live",
  ...of("overlay.recv-transaction.", "count sum max"),
  "overlay.memory.flood-known"
]

describe("names", () => {
  it("MET-01 every metric of core's table has one, and no other bears core's name", () => {
    assert.deepStrictEqual([...coreNames].sort(), [...meters, ...timers, ...counters].sort())
  })

  it.effect("MET-01 core's JSON has a meter, timer or counter for each, as core does", () =>
    Effect.map(OverlayMetrics.make(), (metrics) => {
      const all = render(metrics.snapshot()).metrics
      const namesOf = (type: string) => Object.keys(all).filter((name) => all[name]!.type === type).sort()
      assert.deepStrictEqual(namesOf("meter"), meters.toSorted())
      assert.deepStrictEqual(namesOf("timer"), timers.toSorted())
      assert.deepStrictEqual(namesOf("counter"), counters.toSorted())
    }))

  it("MET-02 names follow from core's by one rule, and say their type and unit", () => {
    for (const name of Names.names) {
      const { bounds, core, type } = Names.definitionOf(name)
      assert.match(name, /^stellar_[a-z0-9_]+$/)
      assert.strictEqual(name.endsWith("_total"), type === "counter", name)
      if (type === "histogram") assert.match(name, /_seconds$/)
      assert.deepStrictEqual(bounds.toSorted((a, b) => a - b), [...bounds])
      assert.strictEqual(bounds.length > 0, type === "histogram")
      if (core === undefined || core.startsWith("app.")) continue
      const stem = `stellar_${core.replace(/[.-]X$/, "").replaceAll(/[.-]/g, "_")}`
      assert.strictEqual(name, { counter: `${stem}_total`, histogram: `${stem}_seconds`, gauge: stem }[type])
    }
  })

  it("MET-02 O3 all label values are in closed lists, but for peers, which are bounded", () => {
    for (const name of Names.names) {
      for (const { bound, name: label, values } of Names.definitionOf(name).labels) {
        if (label === "peer") assert.strictEqual(bound, Names.MAX_PEER_LABELS + 1)
        else {
          assert.isUndefined(bound)
          assert.isAbove(values?.length ?? 0, 1, `${name}{${label}}`)
          assert.strictEqual(new Set(values).size, values?.length)
        }
      }
    }
    // So few that a scrape stays small, whatever happens.
    assert.isBelow(series.length, 400)
  })

  it("MET-02 every message type has core's name, and two share one where they do in core", () => {
    const labels = Object.values(Names.messageTypeLabels)
    assert.strictEqual(labels.length, 21)
    assert.strictEqual(new Set(labels).size, 19)
    assert.strictEqual(Names.messageTypeLabels[7], Names.messageTypeLabels[17])
    assert.strictEqual(Names.messageTypeLabels[16], Names.messageTypeLabels[20])
  })
})
