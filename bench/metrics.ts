/** What metrics cost a relay: the same node with and without them, and what a scrape takes. */
import type { actor as Ends } from "./actors/relayEnds.ts"
import type { actor as Relay, Name } from "./actors/relayMetrics.ts"
import {
  alternate,
  type Benchmark,
  type Effort,
  figure,
  type Measurement,
  percent,
  quantile,
  ratioText,
  type Report
} from "./harness.ts"
import { type Remote, spawn, withChildren } from "./processes.ts"

const BUDGET = 0.03
const LINKS = 8
const WORKLOAD = "400 B"
/** The difference is small: it takes more rounds than other benchmarks do. */
const MORE_ROUNDS = 10
const SCRAPES = 20

const pass = async (relay: Remote<typeof Relay>, ends: Remote<typeof Ends>, count: number): Promise<Measurement> => {
  await relay.mark()
  const millis = await ends.run(WORKLOAD, count, LINKS)
  return { perSecond: count / millis * 1000, cpuMicros: (await relay.used()) / count }
}

const run = async ({ millis, rounds }: Effort): Promise<Report> => {
  const relay = spawn<typeof Relay>("relayMetrics")
  const around = { metered: spawn<typeof Ends>("relayEnds"), plain: spawn<typeof Ends>("relayEnds") }
  return withChildren([relay, around.metered, around.plain], async () => {
    const { call } = await relay
    const start = async (name: Name) => {
      const ends = (await around[name]).call
      await ends.dial(await call.listen(name), LINKS)
      await pass(call, ends, 8000)
      return { ends } // a call of another process is thenable
    }
    const ends = { metered: (await start("metered")).ends, plain: (await start("plain")).ends }
    const speed = (await pass(call, ends.plain, 8000))["perSecond"] ?? 0
    const count = Math.max(500, Math.round(speed * millis / 1000))
    const measured = await alternate(rounds * MORE_ROUNDS, {
      plain: () => pass(call, ends.plain, count),
      metered: () => pass(call, ends.metered, count)
    })
    const scrapes: Array<readonly [micros: number, length: number]> = []
    for (let i = 0; i < SCRAPES; i++) scrapes.push(await call.scrape())

    const byTime = measured.ratio("metered", "plain", "cpuMicros")
    const cost = byTime.median - 1
    return {
      tables: [
        {
          title: `A node that relays SCP messages of ${WORKLOAD} to ${LINKS} links, without metrics and with them`,
          columns: ["", "messages/s", "CPU us per message", "CPU to without"],
          rows: [
            [
              "without",
              figure(measured.of("plain", "perSecond").median),
              figure(measured.of("plain", "cpuMicros").median),
              ""
            ],
            [
              "with",
              figure(measured.of("metered", "perSecond").median),
              figure(measured.of("metered", "cpuMicros").median),
              ratioText(byTime)
            ]
          ],
          notes: [
            `A scrape takes ${figure(quantile(scrapes.map(([micros]) => micros), 0.5))} us (median of ${SCRAPES}) and` +
            ` gives ${figure(scrapes[0]?.[1] ?? 0)} characters.`
          ]
        }
      ],
      verdicts: [
        {
          what: `metrics of a relay, ${WORKLOAD} to ${LINKS} links, by processor time`,
          budget: `<= ${percent(BUDGET)} more`,
          measured: percent(cost),
          met: cost <= BUDGET
        }
      ],
      data: { measured, scrapes }
    }
  })
}

export const metrics: Benchmark = { name: "metrics", title: "The cost of metrics", run }
