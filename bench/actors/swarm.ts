/** Whole simulated networks: the worlds of campaigns, and large ones without faults. */
import * as Campaign from "@stellar-overlay/overlay-test/campaign/Campaign"
import * as Scenario from "@stellar-overlay/overlay-test/campaign/Scenario"
import * as SimCluster from "@stellar-overlay/overlay-test/SimCluster"
import * as SimTopology from "@stellar-overlay/overlay-test/SimTopology"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect } from "effect"
import { cpuMicros, type Measurement, millisNow } from "../harness.ts"

/**
 * A network shaped like the public one, with three organizations that close a ledger every five seconds. `begin` is
 * called when it is as old as `settleSeconds`, and so many seconds before its end.
 */
const network = (nodes: number, settleSeconds: number, seconds: number, seed: number, begin: () => void) =>
  World.run(
    Effect.gen(function*() {
      const cluster = yield* SimCluster.SimCluster
      if (settleSeconds === 0) begin()
      yield* cluster.startAll
      if (settleSeconds > 0) {
        yield* Effect.sleep(settleSeconds * 1000)
        begin()
      }
      yield* Effect.sleep(seconds * 1000)
      const { reached, running } = cluster.connectivity()
      const ledgers = cluster.nodes.map(({ ledger }) => ledger?.stats().ledgerSeq ?? 0)
      return { reached, running, lowest: Math.min(...ledgers), highest: Math.max(...ledgers) }
    }).pipe(
      Effect.provide(SimCluster.layerWithNetwork({
        nodes: SimCluster.nodesOf(
          SimTopology.publicLike(nodes, shape(seed), { organizations: 3, validatorPercent: 0 })
        ).map((node, index) => ({ ...node, isValidator: index < 9 })),
        closeTimeMillis: 5000,
        keptEvents: 16,
        // Four dials at a time: from cold, everybody would try everybody at once, which is another benchmark (handshake).
        config: { maxPendingConnections: 36 }
      }, { conditions: { delayMillis: 50, jitterMillis: 10 } }))
    ),
    { seed, maxSteps: 1e9, traps: false } // the stop-watch is started in it
  )

const shape = (seed: number): SimTopology.Draws => {
  let state = seed >>> 0
  return {
    nextBelowUnsafe: (bound) => {
      state = Math.imul(state, 1664525) + 1013904223 >>> 0
      return Math.floor(state / 0x1_0000_0000 * bound)
    }
  }
}

export const actor = {
  /** Runs the worlds of some seeds. */
  worlds: (from: number, count: number): Measurement => {
    const cpu = cpuMicros()
    const start = millisNow()
    let messages = 0
    for (let seed = from; seed < from + count; seed++) {
      const outcome = Effect.runSync(Campaign.run(Scenario.draw(seed)))
      if (outcome.failures.length > 0) throw new Error(`seed ${seed} failed: ${outcome.failures[0]?.text}`)
      messages += outcome.messages
    }
    return {
      perSecond: count / (millisNow() - start) * 1000,
      cpuMicros: (cpuMicros() - cpu) / count,
      messages: messages / count
    }
  },

  /** Runs a large network, and measures some virtual seconds of it: from the start, or when it has settled. */
  network: (nodes: number, settleSeconds: number, seconds: number, seed: number): Measurement => {
    let cpu = 0
    let start = 0
    const { highest, lowest, reached, running } = Effect.runSync(network(nodes, settleSeconds, seconds, seed, () => {
      cpu = cpuMicros()
      start = millisNow()
    }))
    if (reached !== running) throw new Error(`${reached} of ${running} nodes are connected`)
    const wallSeconds = (millisNow() - start) / 1000
    return {
      timesRealTime: seconds / wallSeconds,
      wallSeconds,
      cpuSeconds: (cpuMicros() - cpu) / 1e6,
      peakMiB: process.resourceUsage().maxRSS / 1024,
      lowestLedger: lowest,
      highestLedger: highest
    }
  }
}
