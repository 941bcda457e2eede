/** Metrics of nodes on real sockets. */
import { assert, describe, it } from "@effect/vitest"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import { Overlay } from "@stellar-overlay/overlay/Overlay"
import { OverlayMetrics } from "@stellar-overlay/overlay/OverlayMetrics"
import * as OverlayMetricsPrometheus from "@stellar-overlay/overlay/OverlayMetricsPrometheus"
import * as Snapshot from "@stellar-overlay/overlay/OverlayMetricsSnapshot"
import { Context, Deferred, Effect, Layer } from "effect"
import { parse } from "./metrics/textFormat.ts"

const start = (options: NodeOverlay.NodeOptions = {}) =>
  Effect.map(Layer.build(NodeOverlay.layerNode({ network: "standalone", listenPort: 0, ...options })), (services) => ({
    overlay: Context.get(services, Overlay),
    metrics: Context.get(services, OverlayMetrics)
  }))

describe("NodeOverlay.layerNode", () => {
  it.live("MET-01 MET-02 every node of a process counts for itself, and a scrape of it can be parsed", () =>
    Effect.gen(function*() {
      const a = yield* start()
      const b = yield* start()
      const called = yield* Deferred.make<void>()
      yield* a.overlay.peers.handle({ connected: () => void Deferred.doneUnsafe(called, Effect.void) })
      yield* b.overlay.connect(a.overlay.address!)
      yield* Deferred.await(called)
      const connected = (metrics: typeof a.metrics) => {
        const snapshot = metrics.snapshot()
        return [
          Snapshot.value(snapshot, "stellar_overlay_peers", { direction: "inbound", state: "authenticated" }),
          Snapshot.value(snapshot, "stellar_overlay_peers", { direction: "outbound", state: "authenticated" }),
          Snapshot.value(snapshot, "stellar_overlay_inbound_establish_total"),
          Snapshot.value(snapshot, "stellar_overlay_dials_total", { outcome: "connected" }),
          Snapshot.count(snapshot, "stellar_overlay_handshake_seconds", { role: "acceptor" }),
          Snapshot.count(snapshot, "stellar_overlay_handshake_seconds", { role: "initiator" })
        ]
      }
      assert.deepStrictEqual(connected(a.metrics), [1, 0, 1, 0, 1, 0])
      assert.deepStrictEqual(connected(b.metrics), [0, 1, 0, 1, 0, 1])
      const families = parse(OverlayMetricsPrometheus.render(a.metrics.snapshot()))
      const delays = families.get("stellar_event_loop_delay_seconds")!.samples
      assert.deepStrictEqual(delays.map(({ labels }) => labels["percentile"]), ["50", "99", "100"])
      for (const { value } of delays) assert.isTrue(value >= 0 && value < Infinity)
    }))

  it.live("MET-01 a node whose metrics are turned off has none", () =>
    Effect.gen(function*() {
      const node = yield* start({ metrics: Layer.empty })
      assert.deepStrictEqual(node.metrics.snapshot().families, [])
    }))
})
