/** What a node says it counted against what a tap on its wires saw. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { messageTypeLabels } from "../../src/OverlayMetricNames.ts"
import * as Snapshot from "../../src/OverlayMetricsSnapshot.ts"
import * as PeerJson from "../../src/PeerJson.ts"
import { scpMessage, transaction } from "../flood/messages.ts"
import { connectAll, inWorld, type Node, startAll, Tap } from "../flood/network.ts"

/** Record mark, version, sequence and MAC. */
const FRAME = 48

const labels = [...new Set(Object.values(messageTypeLabels))]

/** Messages between two nodes as the tap saw them: in all, bytes with their frames, and by core's name of their type. */
const seen = (tap: Tap, node: Node, end: "from" | "to") => {
  const sent = tap.sent.filter((one) => one[end] === node.ip)
  return {
    messages: sent.length,
    bytes: sent.reduce((sum, { message }) => sum + message.size + FRAME, 0),
    byType: Object.fromEntries(
      labels.map((label) => [label, sent.filter(({ message }) => messageTypeLabels[message.type] === label).length])
    )
  }
}

const counted = ({ metrics }: Node) => {
  const snapshot = metrics.snapshot()
  const value = (name: Parameters<typeof Snapshot.value>[1]) => Snapshot.value(snapshot, name)
  const by = (of: (label: string) => number) => Object.fromEntries(labels.map((label) => [label, of(label)]))
  return {
    read: {
      messages: value("stellar_overlay_message_read_total"),
      bytes: value("stellar_overlay_byte_read_total"),
      byType: by((type) => Snapshot.value(snapshot, "stellar_overlay_received_total", { type }))
    },
    written: {
      messages: value("stellar_overlay_message_write_total"),
      bytes: value("stellar_overlay_byte_write_total"),
      byType: by((type) => Snapshot.value(snapshot, "stellar_overlay_send_total", { type }))
    },
    handled: by((type) => Snapshot.count(snapshot, "stellar_overlay_recv_seconds", { type }))
  }
}

const agrees = (tap: Tap, node: Node) => {
  const { handled, read, written } = counted(node)
  const received = seen(tap, node, "to")
  assert.deepStrictEqual(read, received)
  assert.deepStrictEqual(handled, received.byType)
  assert.deepStrictEqual(written, seen(tap, node, "from"))
}

describe("counters and the wire", () => {
  it.effect("MET-01 MET-03 PEE-02 every message and byte is counted once, by type and in all, over connections that end", () => {
    const tap = new Tap()
    return inWorld(
      21,
      { tap, latencyMillis: 3 },
      Effect.gen(function*() {
        const nodes = yield* startAll(2)
        const [a, b] = [nodes[0]!, nodes[1]!]
        for (let round = 1; round <= 3; round++) {
          yield* connectAll(nodes, [[0, 1]])
          for (let n = 1; n <= 10; n++) a.submit(transaction(100 * round + n))
          for (let n = 1; n <= 300; n++) b.overlay.broadcast(scpMessage(1000 * round + n))
          yield* Effect.sleep("12 seconds") // two pings, and all demands
          assert.strictEqual(tap.of("Transaction").length, 10 * round)
          assert.strictEqual(tap.of("ScpMessage").length, 300 * round)
          agrees(tap, a)
          agrees(tap, b)

          const { session } = a.overlay.peers.get(b.id)!
          const json = PeerJson.full(session, 0)
          const before = counted(a)
          a.overlay.drop(b.id)
          yield* Effect.sleep("2 seconds")
          assert.deepStrictEqual(a.overlay.peers.authenticated(), [])
          // What the connection counted stays, and its goodbye is counted too.
          assert.strictEqual(counted(a).written.messages, before.written.messages + 1)
          agrees(tap, a)
          agrees(tap, b)
          if (round === 1) {
            assert.deepStrictEqual([json.message_read, json.message_write, json.byte_read, json.byte_write], [
              before.read.messages,
              before.written.messages,
              before.read.bytes,
              before.written.bytes
            ])
            const value = (name: Parameters<typeof Snapshot.value>[1], novelty?: string) =>
              Snapshot.value(a.metrics.snapshot(), name, novelty === undefined ? {} : { class: "flood", novelty })
            assert.deepStrictEqual(
              [json.async_read, json.unique_flood_message_recv, json.duplicate_flood_message_recv],
              [
                value("stellar_overlay_async_read_total"),
                value("stellar_overlay_flood_messages_total", "unique"),
                value("stellar_overlay_flood_messages_total", "duplicate")
              ]
            )
            // SCP messages and one demand of all transactions, none of them twice.
            assert.deepStrictEqual([json.unique_flood_message_recv, json.duplicate_flood_message_recv], [
              300 + tap.of("FloodDemand", { to: a }).length,
              0
            ])
          }
        }
        const drops = a.metrics.snapshot()
        assert.strictEqual(Snapshot.value(drops, "stellar_overlay_drops_total"), 3)
        assert.strictEqual(Snapshot.value(drops, "stellar_overlay_drops_total", { reason: "DroppedByUser" }), 3)
        assert.strictEqual(Snapshot.value(b.metrics.snapshot(), "stellar_overlay_drops_total"), 3)
      })
    )
  })
})
