import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect } from "effect"

const COUNT = 50
const ipOf = (i: number) => `10.${i + 1}.0.1`
const launch = (i: number) =>
  TestNode.launch({ name: `n${i}`, ip: ipOf(i), config: { knownPeers: i === 0 ? [] : [`${ipOf(0)}:11625`] } })

/** The number of nodes that can be reached from the first one. */
const reachable = (nodes: ReadonlyArray<TestNode.TestNode>): number => {
  const byId = new Map(nodes.map((node) => [node.overlay.local.handshake.id, node]))
  const seen = new Set([nodes[0]!])
  for (const node of seen) {
    for (const { id } of node.overlay.peers.authenticated()) {
      const other = byId.get(id)
      if (other !== undefined) seen.add(other)
    }
  }
  return seen.size
}

const outbound = (node: TestNode.TestNode) => node.overlay.peers.registry.authenticatedCount("initiator")

describe("a network", () => {
  it.effect("OVM-19 CON-06 fifty nodes with one seed reach their targets, heal after half of them crash, and leave nothing", () =>
    Effect.gen(function*() {
      const report = yield* World.simulate(
        Effect.gen(function*() {
          const nodes: Array<TestNode.TestNode> = []
          for (let i = 0; i < COUNT; i++) nodes.push(yield* launch(i))
          for (let k = 0; k < 12; k++) {
            yield* Effect.sleep("5 seconds")
            console.log(nodes.map(outbound).join(" "), reachable(nodes), (yield* World.World).steps)
          }
          for (let i = 0; i < COUNT; i += 2) yield* nodes[i]!.kill
          yield* Effect.sleep("10 seconds")
          for (let i = 0; i < COUNT; i += 2) nodes[i] = yield* launch(i)
          for (let k = 0; k < 12; k++) {
            yield* Effect.sleep("5 seconds")
            console.log(nodes.map(outbound).join(" "), reachable(nodes), (yield* World.World).steps)
          }
          const { links } = yield* LoopbackTransport.LoopbackNetwork
          console.log((yield* links).length, nodes.reduce((n, node) => n + node.overlay.peers.registry.size, 0))
          for (const node of nodes) yield* node.stop
          console.log((yield* links).length, nodes.reduce((n, node) => n + node.overlay.peers.registry.size, 0))
        }).pipe(Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 20 }))),
        { seed: 1 }
      )
      console.log(report.exit, report.steps, report.millis, report.pending)
      assert.deepStrictEqual(report.pending, { tasks: 0, timers: 0 })
    }), 60_000)
})
