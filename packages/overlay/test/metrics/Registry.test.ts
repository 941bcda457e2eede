/** Sums, folding, clearing, and which peers are named. */
import { assert, describe, it } from "@effect/vitest"
import * as SessionPair from "@stellar-overlay/overlay-test/SessionPair"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { OTHER_PEERS, PeerLabels } from "../../src/internal/metricsPeers.ts"
import { MAX_PEER_LABELS } from "../../src/OverlayMetricNames.ts"
import * as OverlayMetrics from "../../src/OverlayMetrics.ts"
import * as OverlayMetricsJson from "../../src/OverlayMetricsJson.ts"
import * as Snapshot from "../../src/OverlayMetricsSnapshot.ts"
import { Histogram } from "../../src/protocol/Histogram.ts"
import type { Session } from "../../src/protocol/Session.ts"

const broadcasts = "stellar_overlay_message_broadcast_total"

describe("sources", () => {
  it.effect("MET-01 a source that goes leaves its counts behind, once, and takes its gauges along", () =>
    Effect.gen(function*() {
      const metrics = yield* OverlayMetrics.make()
      const now = () => {
        const snapshot = metrics.snapshot()
        return [Snapshot.value(snapshot, broadcasts), Snapshot.value(snapshot, "stellar_overlay_bans")]
      }
      let count = 5
      const source: OverlayMetrics.MetricSource = (sums) => {
        sums.add(broadcasts, count)
        sums.add("stellar_overlay_bans", 2)
      }
      const remove = metrics.add(source)
      assert.deepStrictEqual(now(), [5, 2])
      const removeTwin = metrics.add(source)
      assert.deepStrictEqual(now(), [10, 4])
      count = 7
      remove()
      remove()
      assert.deepStrictEqual(now(), [14, 2])
      count = 8
      assert.deepStrictEqual(now(), [15, 2])
      removeTwin()
      assert.deepStrictEqual(now(), [15, 0])
    }))

  it.effect("MET-01 clear begins at 0 for what lives on and for what comes, and leaves gauges and live counters alone", () =>
    Effect.gen(function*() {
      const metrics = yield* OverlayMetrics.make()
      let count = 5
      const remove = metrics.add((sums) => {
        sums.add(broadcasts, count)
        sums.add("stellar_overlay_bans", 2)
      })
      metrics.count("stellar_overlay_drops_total", "Straggling")
      metrics.timers!.latency.observeMillis(5)
      yield* TestClock.adjust("10 seconds")
      metrics.clear()
      const cleared = metrics.snapshot()
      assert.strictEqual(cleared.sinceMillis, 0)
      assert.strictEqual(Snapshot.value(cleared, broadcasts), 0)
      assert.strictEqual(Snapshot.value(cleared, "stellar_overlay_bans"), 2)
      assert.strictEqual(Snapshot.value(cleared, "stellar_overlay_drops_total"), 0)
      assert.strictEqual(Snapshot.value(cleared, "stellar_overlay_timeout_straggler_total"), 0)
      assert.strictEqual(Snapshot.count(cleared, "stellar_overlay_connection_latency_seconds"), 0)
      count = 6
      assert.strictEqual(Snapshot.value(metrics.snapshot(), broadcasts), 1)
      remove()
      assert.strictEqual(Snapshot.value(metrics.snapshot(), broadcasts), 1)
      assert.strictEqual(count, 6)
    }))

  it.effect("MET-01 G6 PEE-07 what core counts at a drop follows from the reason of the drop, one for one", () =>
    Effect.gen(function*() {
      const metrics = yield* OverlayMetrics.make()
      const derived = {
        IdleTimeout: "stellar_overlay_timeout_idle_total",
        HandshakeTimeout: "stellar_overlay_timeout_idle_total",
        Straggling: "stellar_overlay_timeout_straggler_total",
        FrameTooLarge: "stellar_overlay_error_read_total",
        FrameEmpty: "stellar_overlay_error_read_total",
        ShortRead: "stellar_overlay_error_read_total",
        ReadError: "stellar_overlay_error_read_total",
        RemoteClosed: "stellar_overlay_error_read_total",
        WriteError: "stellar_overlay_error_write_total"
      } as const
      const all = [...new Set(Object.values(derived))]
      for (const [reason, name] of Object.entries(derived)) {
        metrics.count("stellar_overlay_drops_total", reason)
        const snapshot = metrics.snapshot()
        assert.strictEqual(Snapshot.value(snapshot, "stellar_overlay_drops_total"), 1)
        for (const other of all) assert.strictEqual(Snapshot.value(snapshot, other), other === name ? 1 : 0, reason)
        metrics.clear()
      }
      metrics.count("stellar_overlay_drops_total", "NoCapacityTimeout")
      for (const name of all) assert.strictEqual(Snapshot.value(metrics.snapshot(), name), 0)
    }))

  it.effect("MET-01 rates rise to what is counted and decay by time, as core's moving averages do", () =>
    Effect.gen(function*() {
      const metrics = yield* OverlayMetrics.make()
      let count = 0
      metrics.add((sums) => sums.add(broadcasts, count))
      const rates = () => {
        const metric = OverlayMetricsJson.render(metrics.snapshot()).metrics["overlay.message.broadcast"]!
        return metric.type === "meter" ? metric : assert.fail("not a meter")
      }
      // Five a second for five minutes, looked at every five seconds.
      for (let i = 0; i < 60; i++) {
        count += 25
        yield* TestClock.adjust("5 seconds")
        metrics.tick()
      }
      const busy = rates()
      for (const rate of ["mean_rate", "1_min_rate", "5_min_rate", "15_min_rate"] as const) {
        assert.closeTo(busy[rate], 5, 1e-9)
      }
      yield* TestClock.adjust("60 seconds")
      const quiet = rates()
      assert.closeTo(quiet["1_min_rate"], 5 / Math.E, 1e-9)
      assert.closeTo(quiet["5_min_rate"], 5 * Math.exp(-1 / 5), 1e-9)
      assert.closeTo(quiet["15_min_rate"], 5 * Math.exp(-1 / 15), 1e-9)
      assert.closeTo(quiet.mean_rate, 1500 / 360, 1e-9)
    }))

  it("MET-01 without a layer nothing is kept, and no connection records times", () => {
    OverlayMetrics.noop.count("stellar_overlay_drops_total", "Straggling")
    OverlayMetrics.noop.add(() => assert.fail("read"))()
    assert.isUndefined(OverlayMetrics.noop.timers)
    assert.deepStrictEqual(OverlayMetrics.noop.snapshot().families, [])
  })
})

describe("histograms", () => {
  it("MET-01 a value on a bound is within it, values beyond the last have a bucket, several at once count as many", () => {
    const histogram = new Histogram([1, 2, 5])
    histogram.observe(1)
    histogram.observe(1.5, 3)
    histogram.observe(5.000001)
    assert.deepStrictEqual([...histogram.buckets], [1, 3, 0, 1])
    assert.deepStrictEqual([histogram.count, histogram.min, histogram.max], [5, 1, 5.000001])
    assert.closeTo(histogram.sum, 10.500001, 1e-9)
    assert.strictEqual(histogram.quantile(1), 5.000001)
    assert.strictEqual(histogram.quantile(0.2), 1)
    assert.closeTo(histogram.quantile(0.5), 1.5, 1e-9) // half of the second bucket
  })
})

describe("peers in labels", () => {
  /** Authenticated sessions; one pair of keys each. */
  const session = (i: number): Session => SessionPair.connected({ initiator: { seed: seedOf(i) } }).acceptor.session
  const seedOf = (i: number): Uint8Array => new Uint8Array(32).fill(i + 1)

  it("MET-02 O3 the busiest are named, the rest is one series, and what is named adds up with it", () => {
    const sessions = Array.from({ length: 15 }, (_, i) => session(i))
    sessions.forEach(({ stats }, i) => {
      stats.bytesRead = 1000 * (i + 1)
      stats.bytesWritten = i
    })
    const labels = new PeerLabels(10, 60_000)
    const early = labels.samples(sessions, 59_999).get("stellar_overlay_peer_read_bytes")!
    assert.deepStrictEqual(early, [{ labels: { peer: OTHER_PEERS }, value: 120_000 }])
    const samples = labels.samples(sessions, 60_000)
    const read = samples.get("stellar_overlay_peer_read_bytes")!
    assert.deepStrictEqual(
      read.map(({ labels: { peer }, value }) => [peer, value]),
      [
        ...sessions.slice(5).toReversed().map(({ remote, stats }) => [remote!.id, stats.bytesRead]),
        [OTHER_PEERS, 1000 + 2000 + 3000 + 4000 + 5000]
      ]
    )
    for (const list of samples.values()) assert.strictEqual(list.length, 11)
  })

  it("MET-02 O3 of ten thousand identities that come and go no more than the bound are ever named", () => {
    const labels = new PeerLabels(10, 60_000)
    const [template] = [session(0)]
    const named = new Set<string>()
    for (let i = 0; i < 1000; i++) {
      const now = 60_000 * (i + 1)
      const comers = Array.from({ length: 10 }, (_, j) => {
        // A session of another identity: only these three facts are looked at, besides the counters.
        const id = `G${i}-${j}`
        return Object.create(template!, { remote: { value: { id } }, isAuthenticated: { value: true } }) as Session
      })
      const samples = labels.samples(comers, now).get("stellar_overlay_peer_read_bytes")!
      assert.isAtMost(samples.length, 11)
      for (const { labels: { peer } } of samples) named.add(peer!)
    }
    assert.strictEqual(named.size, MAX_PEER_LABELS + 1)
    assert.isTrue(named.has(OTHER_PEERS))
  })
})
