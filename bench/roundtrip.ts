/**
 * The round trip of one SCP message of 316 bytes between two processes, one after the other: what a message waits for
 * beyond its bytes. The echo of ours is a consumer that sends each message back. Each of the two directions costs a wake-up of the reader, a
 * hop to the consumer, a hop to the writer, two MACs.
 */
import type { actor as Ours } from "./actors/ours.ts"
import type { actor as Raw } from "./actors/raw.ts"
import type { actor as Straight } from "./actors/straight.ts"
import { alternate, type Benchmark, figure, ratioText, type Table } from "./harness.ts"
import { spawn, withChildren } from "./processes.ts"

export const roundTrip: Benchmark = {
  name: "roundtrip",
  title: "Round trip of a message of 316 bytes",
  run: async ({ millis, rounds }) => {
    const raw = [spawn<typeof Raw>("raw"), spawn<typeof Raw>("raw")] as const
    const straight = [spawn<typeof Straight>("straight"), spawn<typeof Straight>("straight")] as const
    const ours = [spawn<typeof Ours>("ours"), spawn<typeof Ours>("ours")] as const
    return withChildren([...raw, ...straight, ...ours], async () => {
      const [rawServer, rawClient] = await Promise.all(raw)
      const [straightServer, straightClient] = await Promise.all(straight)
      const [ourServer, ourClient] = await Promise.all(ours)
      await rawClient.call.dial(await rawServer.call.listen("echo"), 1)
      await straightClient.call.dial(await straightServer.call.listen({ credit: true }), 1, { credit: true })
      await straightServer.call.echo()
      await ourServer.call.echo()
      await ourClient.call.dial(await ourServer.call.listen(), 1)

      const count = 12 * millis
      const results = await alternate(rounds, {
        raw: async () => ({ ...await rawClient.call.roundTrips(count) }),
        straight: async () => ({ ...await straightClient.call.roundTrips(count) }),
        ours: async () => ({ ...await ourClient.call.roundTrips(count) })
      }, 2)
      const table: Table = {
        title: `Microseconds over ${count} round trips per round`,
        columns: ["", "p50", "p99"],
        rows: (["raw", "straight", "ours"] as const).map((name) => [
          { raw: "socket echo", straight: "ceiling echo (frames, MACs)", ours: "ours" }[name],
          figure(results.of(name, "p50").median),
          figure(results.of(name, "p99").median)
        ]),
        notes: [
          `ours/socket: p50 ${ratioText(results.ratio("ours", "raw", "p50"))}, p99 ${
            ratioText(results.ratio("ours", "raw", "p99"))
          }`
        ]
      }
      const verdict = (metric: "p50" | "p99", budget: number) => {
        const ratio = results.ratio("ours", "raw", metric)
        return {
          what: `round trip, ${metric}`,
          budget: `<= ${budget} x socket echo`,
          measured: `${figure(ratio.median)} x (${figure(ratio.min)}..${figure(ratio.max)}); the ceiling ${
            figure(results.ratio("straight", "raw", metric).median)
          } x`,
          met: ratio.median <= budget
        }
      }
      return { tables: [table], verdicts: [verdict("p50", 1.7), verdict("p99", 3)], data: results }
    })
  }
}
