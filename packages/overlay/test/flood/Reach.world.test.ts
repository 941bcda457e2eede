/** Messages reach every node: over random graphs, latencies and interleavings. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { generator, hexOf, hexOfAny, scpMessage, transaction } from "./messages.ts"
import { connectAll, copies, inWorld, randomGraph, startAll, Tap } from "./network.ts"

const ITEMS = 10

/** Bodies of each transaction that each node was sent. */
const bodies = (tap: Tap): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const { message, to } of tap.sent) {
    if (message._tag !== "Transaction") continue
    const key = `${to} ${hexOf(message)}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

const story = (seed: number, slowest: number) => {
  const draw = generator(seed)
  const count = 6 + Math.floor(draw() * 10)
  const edges = randomGraph(count, draw, draw() * 0.5)
  const latencies = new Map<string, number>()
  const between = (a: string, b: string): number => {
    const key = [a, b].sort().join()
    const known = latencies.get(key) ?? Math.floor(draw() * slowest)
    latencies.set(key, known)
    return known
  }
  const tap = new Tap()
  const latencyMillis = Math.floor(draw() * 20)
  // Pieces of a message would each take as long as the whole.
  const links = draw() < 0.3 ? { segmentation: seed } : { between }
  return inWorld(
    seed,
    { tap, latencyMillis, ...links },
    Effect.gen(function*() {
      const nodes = yield* startAll(count, () => ({ config: { peerAuthenticationTimeoutSeconds: 10 } }))
      yield* connectAll(nodes, edges)
      yield* Effect.sleep(10 * slowest)
      const scp = Array.from({ length: ITEMS }, (_, n) => scpMessage(n + 1))
      const transactions = Array.from({ length: ITEMS }, (_, n) => transaction(n + 1))
      for (let n = 0; n < ITEMS; n++) {
        nodes[Math.floor(draw() * count)]!.overlay.broadcast(scp[n]!)
        nodes[Math.floor(draw() * count)]!.submit(transactions[n]!)
        yield* Effect.sleep(Math.floor(draw() * 300))
      }
      yield* Effect.sleep(5000 + count * (600 + 4 * slowest))
      const label = `seed ${seed}: ${count} nodes, ${edges.length} edges, up to ${2 * slowest} ms`

      const allScp = new Set(scp.map(hexOfAny))
      for (const { host } of nodes) {
        // Nobody sends a node its own messages back before it has told them itself.
        assert.isAtMost(allScp.size, new Set([...host.scp, ...allScp]).size, label)
        assert.strictEqual(host.pool.size, ITEMS, label)
      }
      for (const [n, message] of scp.entries()) {
        const missing = nodes.filter(({ host }) => !host.scp.includes(hexOfAny(message)))
        assert.isAtMost(missing.length, 1, `${label}, SCP message ${n}`) // who said it
      }
      for (const tag of ["ScpMessage", "Transaction"] as const) {
        for (const times of copies(tap.sent, tag).values()) assert.strictEqual(times, 1, `${label}, ${tag}`)
      }
      const received = bodies(tap)
      assert.strictEqual(received.size, ITEMS * (count - 1), label)
      return { label, count, edges: edges.length, bodies: [...received.values()] }
    })
  )
}

describe("over random graphs, latencies and seeds", () => {
  it.effect(
    "FLD-03 DEM-04 every message reaches every node, is sent to a peer once, and a transaction's body is sent once",
    () =>
      Effect.gen(function*() {
        for (let seed = 0; seed < 26; seed++) {
          const { bodies, label } = yield* story(seed, 50)
          // A body is there before the first back-off is over, so that nobody is asked twice.
          assert.isTrue(bodies.every((times) => times === 1), label)
        }
      })
  )

  it.effect("FLD-03 DEM-04 where a body takes longer than the back-off, each peer still sends it once at most", () =>
    Effect.gen(function*() {
      let sent = 0
      let needed = 0
      for (let seed = 100; seed < 110; seed++) {
        const { bodies } = yield* story(seed, 500)
        sent += bodies.reduce((a, b) => a + b)
        needed += bodies.length
      }
      assert.isAtMost(sent / needed, 2)
    }))
})
