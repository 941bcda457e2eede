/**
 * Against `@stellarbeat/js-stellar-node-connector`, the TypeScript library there was before: both ends of a link in one
 * process, over TCP, with the same messages. Ours hands messages over undecoded (validated, typed, fields by offset), the
 * connector decodes each; its sender takes no notice of credit.
 */
import type { actor as OneProcess } from "./actors/oneProcess.ts"
import { alternate, type Benchmark, figure, type Table } from "./harness.ts"
import { spawn, withChildren } from "./processes.ts"

const BUDGET = 8
const kinds: Readonly<Record<string, ReadonlyArray<number>>> = { "SCP, 316 to 488 B": [11], "payments, 280 B": [8] }

export const connector: Benchmark = {
  name: "connector",
  title: "Against @stellarbeat/js-stellar-node-connector, both ends in one process",
  run: async ({ millis, rounds }) => {
    const child = spawn<typeof OneProcess>("oneProcess")
    return withChildren([child], async () => {
      const { call } = await child
      const results = []
      for (const [kind, types] of Object.entries(kinds)) {
        const measured = await alternate(rounds, {
          ours: () => call.ours(types, 100 * millis),
          connector: () => call.connector(types, 10 * millis)
        })
        results.push([kind, measured] as const)
      }
      const table: Table = {
        title: "Messages per second from one end to the other",
        columns: ["messages", "connector", "ours", "CPU us connector", "ours", "ours/connector"],
        rows: results.map(([kind, all]) => {
          const ratio = all.ratio("ours", "connector", "perSecond")
          return [
            kind,
            figure(all.of("connector", "perSecond").median),
            figure(all.of("ours", "perSecond").median),
            figure(all.of("connector", "cpuMicros").median),
            figure(all.of("ours", "cpuMicros").median),
            `${figure(ratio.median)} x (${figure(ratio.min)}..${figure(ratio.max)})`
          ]
        })
      }
      return {
        tables: [table],
        verdicts: results.map(([kind, all]) => {
          const ratio = all.ratio("ours", "connector", "perSecond")
          return {
            what: `connector, ${kind}`,
            budget: `>= ${BUDGET} x`,
            measured: `${figure(ratio.median)} x (${figure(ratio.min)}..${figure(ratio.max)})`,
            met: ratio.median >= BUDGET
          }
        }),
        data: Object.fromEntries(results)
      }
    })
  }
}
