/** Metrics that stellar-core does not have, each with its exact number. */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import { TestCrypto } from "@stellar-overlay/overlay-test/TestCrypto"
import { Effect, Exit, Fiber, Layer } from "effect"
import { placeOf, Sums } from "../../src/internal/metricsSeries.ts"
import * as MetricsSources from "../../src/internal/metricsSources.ts"
import { OverlayConfig, standalone } from "../../src/OverlayConfig.ts"
import { OverlayHost, type ScpVerdict, unknownLedger } from "../../src/OverlayHost.ts"
import type { NameOf } from "../../src/OverlayMetricNames.ts"
import * as Snapshot from "../../src/OverlayMetricsSnapshot.ts"
import type { NodeId } from "../../src/wire/NodeId.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import {
  FloodAdvert,
  FloodDemand,
  GetScpState,
  GetTxSet,
  SendMoreExtended,
  TimeSlicedSurveyStopCollecting
} from "../../src/wire/StellarMessage.ts"
import { hashOf, scpMessage, transaction, unknown } from "../flood/messages.ts"
import { type InWorld, inWorld, MemoryHost, type Node, start } from "../flood/network.ts"
import { transaction as sized } from "../scenarios/fixtures.ts"

const grant = SendMoreExtended.make({ numMessages: 200, numBytes: 1_000_000 })

const value = (node: Node, name: NameOf<"counter" | "gauge">, labels?: Readonly<Record<string, string>>) =>
  Snapshot.value(node.metrics.snapshot(), name, labels)

const visitor = Effect.fnUntraced(function*(node: Node, i = 1) {
  const network = yield* LoopbackTransport.LoopbackNetwork
  const connection = yield* network.transportAt(`10.20${i}.0.1`).dial(node.address, { timeoutMillis: 1000 })
  const scripted = yield* ScriptedPeer.make(connection, { seed: `visitor ${i}`, role: "initiator" })
  yield* scripted.handshake()
  yield* scripted.say(grant)
  yield* Effect.sleep("100 millis")
  return { scripted, peer: node.overlay.peers.get(scripted.script.id as NodeId)! }
})

const world = <A>(program: InWorld<A>) => inWorld(4, { latencyMillis: 1 }, program)

const synced = (differences: Partial<OverlayHost["Service"]> = {}): MemoryHost => {
  const host = new MemoryHost(differences)
  host.view = { ...unknownLedger, isSynced: true, isTracking: true, trackingIndex: 42 }
  return host
}

describe("what a node holds", () => {
  it.effect("MET-01 lanes, queues, credit and capacity are what they are at the moment", () =>
    world(Effect.gen(function*() {
      const node = yield* start(0, { host: synced() })
      const { peer, scripted } = yield* visitor(node)
      assert.deepStrictEqual([
        value(node, "stellar_overlay_credit_messages"),
        value(node, "stellar_overlay_credit_bytes")
      ], [
        200,
        1_000_000
      ])
      yield* node.overlay.peers.handle({ received: () => Effect.sleep("1 second") })
      for (let i = 0; i < 3; i++) {
        yield* scripted.sayAll([transaction(10 * i + 1), transaction(10 * i + 2), GetTxSet.make({ hash: unknown(i) })])
        yield* Effect.sleep("10 millis")
      }
      // The first of each lane is being handled, the rest waits.
      assert.strictEqual(value(node, "stellar_overlay_inbox_messages", { lane: "bulk" }), 4)
      assert.strictEqual(value(node, "stellar_overlay_inbox_messages", { lane: "urgent" }), 2)
      assert.strictEqual(value(node, "stellar_overlay_capacity_used_messages"), 6)
      assert.strictEqual(value(node, "stellar_overlay_capacity_used_bytes"), 6 * transaction(1).size)
      yield* Effect.sleep("5 seconds")
      assert.strictEqual(value(node, "stellar_overlay_inbox_messages"), 0)
      assert.strictEqual(value(node, "stellar_overlay_capacity_used_messages"), 0)
      const waits = Snapshot.distributions(node.metrics.snapshot(), "stellar_overlay_inbox_wait_seconds", {
        lane: "bulk"
      })
      assert.strictEqual(waits[0]!.count, 2)
      assert.closeTo(waits[0]!.max, 0.99, 0.02)

      // A batch of two and one of four took a second each, and each message its share.
      assert.deepStrictEqual(
        (["count", "sum", "max"] as const).map((what) => value(node, `stellar_overlay_recv_transaction_${what}`)),
        [6, 2_000_000, 500_000]
      )
      const [batches] = Snapshot.distributions(node.metrics.snapshot(), "stellar_overlay_recv_tx_batch_seconds")
      assert.deepStrictEqual([batches!.count, batches!.sum], [2, 2])

      // Without credit things wait, by queue.
      const { peer: poor } = yield* Effect.gen(function*() {
        const network = yield* LoopbackTransport.LoopbackNetwork
        const connection = yield* network.transportAt("10.209.0.1").dial(node.address, { timeoutMillis: 1000 })
        const poor = yield* ScriptedPeer.make(connection, { seed: "poor", role: "initiator" })
        yield* poor.handshake()
        yield* Effect.sleep("100 millis")
        return { peer: node.overlay.peers.get(poor.script.id as NodeId)! }
      })
      for (let i = 0; i < 3; i++) poor.offer(transaction(i))
      yield* Effect.sleep("10 millis")
      assert.strictEqual(value(node, "stellar_overlay_outbound_messages", { queue: "tx" }), 3)
      assert.strictEqual(value(node, "stellar_overlay_outbound_bytes", { queue: "tx" }), 3 * transaction(1).size)
      assert.strictEqual(value(node, "stellar_overlay_peers_without_credit"), 1)
      assert.isFalse(peer.offer(sized(200_000)))
      assert.strictEqual(value(node, "stellar_overlay_outbound_refused_txs_total"), 1)
    })))

  it.effect("MET-01 bans, known addresses, slots and the ledger", () =>
    world(Effect.gen(function*() {
      const node = yield* start(0, { host: synced(), config: { maxAdditionalPeerConnections: 200 } })
      const { scripted } = yield* visitor(node)
      const known = value(node, "stellar_overlay_known_addresses")
      node.overlay.peerManager.ensureExists(PeerAddress.make("1.2.3.4", 11625))
      assert.strictEqual(value(node, "stellar_overlay_known_addresses"), known + 1)
      assert.strictEqual(value(node, "stellar_overlay_peers", { direction: "inbound", state: "authenticated" }), 1)
      assert.strictEqual(value(node, "stellar_overlay_peer_slots", { direction: "inbound" }), 200)
      node.overlay.ban(scripted.script.id as NodeId)
      yield* Effect.sleep("1 second")
      assert.strictEqual(value(node, "stellar_overlay_bans"), 1)
      assert.strictEqual(value(node, "stellar_overlay_drops_total", { reason: "NodeBanned" }), 1)
      assert.strictEqual(value(node, "stellar_overlay_peers"), 0)
      assert.deepStrictEqual(
        (["sequence", "tracking", "synced"] as const).map((what) => value(node, `stellar_overlay_ledger_${what}`)),
        [42, 1, 1]
      )
    })))
})

describe("what a node refuses", () => {
  it.effect("MET-01 copies, adverts, demands and queries that are not answered are counted one by one", () =>
    world(Effect.gen(function*() {
      const discard: ScpVerdict = { _tag: "discard" }
      const node = yield* start(0, {
        host: synced({ receiveScp: (messages) => Effect.succeed(messages.map(() => discard)) })
      })
      const { scripted } = yield* visitor(node)
      yield* scripted.sayAll([transaction(1), transaction(1), transaction(1)])
      yield* scripted.sayAll([scpMessage(5), scpMessage(6)])
      // What it says it has is not advertised to it.
      yield* scripted.say(FloodAdvert.make({ hashes: [hashOf(transaction(2)), hashOf(transaction(3))] }))
      yield* Effect.sleep("50 millis")
      node.submit(transaction(2))
      yield* Effect.sleep("1 second")
      const again = FloodDemand.make({ hashes: [hashOf(transaction(2))] })
      yield* scripted.sayAll([again, again, again])
      yield* scripted.sayAll(Array.from({ length: 13 }, () => GetScpState.make({ ledgerSeq: 1 })))
      yield* Effect.sleep("1 second")
      assert.deepStrictEqual(
        ([
          "stellar_overlay_flood_suppressed_total",
          "stellar_overlay_scp_discarded_total",
          "stellar_overlay_flood_advert_suppressed_total",
          "stellar_overlay_flood_fulfilled_total",
          "stellar_overlay_flood_demands_repeated_total",
          "stellar_overlay_queries_ignored_total"
        ] as const).map((name) => value(node, name)),
        [2, 2, 1, 1, 2, 3] // ten GET_SCP_STATE in a minute
      )
      assert.strictEqual(
        value(node, "stellar_overlay_flood_messages_total", { class: "flood", novelty: "duplicate" }),
        4
      )
    })))

  it.effect("MET-01 searches that fail, and messages that wait for the budget of signatures", () =>
    world(Effect.gen(function*() {
      const node = yield* start(0, {
        layer: OverlayHost.layerWatcherWith({
          verify: true,
          budget: { perSecond: 10, perPeerPerSecond: 10, burst: 1, perPeerBurst: 1, maxPeers: 8 }
        }).pipe(Layer.provide([OverlayConfig.layer(standalone), TestCrypto.layer("watcher")]), Layer.orDie)
      })
      const { scripted } = yield* visitor(node)
      yield* scripted.sayAll([scpMessage(5), scpMessage(6), scpMessage(7)])
      yield* Effect.sleep("2 seconds")
      assert.isAtLeast(value(node, "stellar_overlay_verify_budget_waits_total"), 2)
      const failing = yield* Effect.forkScoped(Effect.exit(node.overlay.fetchTxSet(unknown(1))))
      yield* Effect.sleep("1 second")
      assert.strictEqual(value(node, "stellar_overlay_fetch_waiting", { item: "txset" }), 1)
      yield* scripted.finish
      yield* Effect.sleep("62 minutes")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(failing)))
      assert.strictEqual(value(node, "stellar_overlay_fetch_failed_total", { item: "txset" }), 1)
      assert.strictEqual(value(node, "stellar_overlay_fetch_waiting"), 0)
      assert.isAtLeast(value(node, "stellar_overlay_fetch_requests_total", { item: "txset" }), 1)
    })))

  it.effect("MET-01 a survey's request is counted once", () =>
    world(Effect.gen(function*() {
      const node = yield* start(0, { host: synced() })
      const { scripted } = yield* visitor(node)
      yield* scripted.say(TimeSlicedSurveyStopCollecting.make({
        signature: new Uint8Array(64),
        surveyorId: scripted.script.id as NodeId,
        nonce: 1,
        ledgerNum: 42
      }))
      yield* Effect.sleep("1 second")
      assert.strictEqual(value(node, "stellar_overlay_survey_messages_total", { result: "ignored" }), 1)
    })))

  it("MET-01 surveys of others, by what became of their messages", () => {
    const sums = new Sums()
    MetricsSources.survey({ accepted: 5, ignored: 4, invalidSignatures: 3, answered: 2, requested: 1 })(sums)
    const at = (name: NameOf<"counter">, ...labels: ReadonlyArray<string>) => sums.values[placeOf(name, labels)]
    assert.deepStrictEqual(
      ["accepted", "ignored", "invalid-signature"].map((result) => at("stellar_overlay_survey_messages_total", result)),
      [5, 4, 3]
    )
    assert.strictEqual(at("stellar_overlay_survey_answered_total"), 2)
  })
})
