/** The speed of simulation: authenticated deliveries per second between two peers in a deterministic world. */
import type { actor as Simulation } from "./actors/simulation.ts"
import { alternate, type Benchmark, figure, type Table } from "./harness.ts"
import { spawn, withChildren } from "./processes.ts"

const BUDGET = 100_000

export const simulation: Benchmark = {
  name: "simulation",
  title: "Simulation",
  run: async ({ millis, rounds }) => {
    const child = spawn<typeof Simulation>("simulation")
    return withChildren([child], async () => {
      const { call } = await child
      let seed = 0
      const results = await alternate(rounds, { ours: () => call.run(100 * millis, seed++) }, 2)
      const speed = results.of("ours", "perSecond")
      const table: Table = {
        title: "Two peers over the loopback transport in a World, mix, with MACs and credit",
        columns: ["deliveries/s", "min", "max", "CPU us per delivery"],
        rows: [[
          figure(speed.median),
          figure(speed.min),
          figure(speed.max),
          figure(results.of("ours", "cpuMicros").median)
        ]]
      }
      return {
        tables: [table],
        verdicts: [{
          what: "simulation",
          budget: ">= 100 000 deliveries/s",
          measured: figure(speed.median),
          met: speed.median >= BUDGET
        }],
        data: results
      }
    })
  }
}
