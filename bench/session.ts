/**
 * The protocol alone: what a `Session` spends per message on either side, without sockets, fibers and streams, against
 * straight-line code that frames, numbers and MACs. The difference is validation, flow control, queues and counters.
 */
import type { actor as Sessions } from "./actors/sessions.ts"
import { alternate, type Benchmark, figure, percent, type Table } from "./harness.ts"
import { spawn, withChildren } from "./processes.ts"
import { meanSize, type Workload } from "./workloads.ts"

const measured: ReadonlyArray<Workload> = ["100 B", "400 B", "1 KB", "mix"]

export const session: Benchmark = {
  name: "session",
  title: "The protocol without sockets and fibers",
  run: async ({ millis, rounds }) => {
    const child = spawn<typeof Sessions>("sessions")
    return withChildren([child], async () => {
      const { call } = await child
      const count = 150 * Math.round(millis)
      const results = []
      for (const workload of measured) {
        results.push(
          [
            workload,
            await alternate(rounds, {
              straight: () => call.straight(workload, count),
              ours: () => call.ours(workload, count)
            }, 2)
          ] as const
        )
      }
      const table: Table = {
        title: "Nanoseconds per message, and what share of ours is the straight-line work",
        columns: ["workload", "bytes", "straight send", "receive", "ours send", "receive", "send", "receive"],
        rows: results.map(([workload, all]) => [
          workload,
          figure(meanSize(workload)),
          ...(["straight", "ours"] as const).flatMap((name) => [
            figure(all.of(name, "sendNanos").median),
            figure(all.of(name, "receiveNanos").median)
          ]),
          percent(all.ratio("straight", "ours", "sendNanos").median),
          percent(all.ratio("straight", "ours", "receiveNanos").median)
        ])
      }
      return { tables: [table], verdicts: [], data: Object.fromEntries(results) }
    })
  }
}
