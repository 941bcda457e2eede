/**
 * Flooding: one message relayed by a whole node to many links, against a relay in a straight line; and what a network
 * writes to bring a transaction to everybody, against the least that would do.
 */
import type { actor as FloodWorld, FloodReport, Traffic } from "./actors/floodWorld.ts"
import type { actor as Ends, Size } from "./actors/relayEnds.ts"
import type { actor as Ours } from "./actors/relayOurs.ts"
import type { actor as Straight } from "./actors/relayStraight.ts"
import {
  alternate,
  type Benchmark,
  type Effort,
  figure,
  type Measurement,
  percent,
  ratioText,
  type Report,
  type Rounds,
  spreadText,
  type Table
} from "./harness.ts"
import { type Remote, spawn, withChildren } from "./processes.ts"

const BUDGET = 0.7
const FANS = [8, 64]
/** After so many the compiler is done with a whole node, which it is not after a twentieth: a relay runs for days. */
const WARM_UP_DELIVERIES = 600_000

interface Relay {
  readonly listen: () => Promise<number>
  readonly mark: () => Promise<void>
  readonly used: () => Promise<number>
}

/** One relay in a process of its own, everybody around it in another. */
const pass = async (
  relay: Relay,
  ends: Remote<typeof Ends>,
  size: Size,
  count: number,
  links: number
): Promise<Measurement> => {
  await relay.mark()
  const millis = await ends.run(size, count, links)
  return { perSecond: count / millis * 1000, cpuMicros: (await relay.used()) / count }
}

const relayTo = async (
  size: Size,
  links: number,
  { millis, rounds }: Effort
): Promise<Rounds<"ceiling" | "ours">> => {
  const ours = spawn<typeof Ours>("relayOurs")
  const straight = spawn<typeof Straight>("relayStraight")
  const around = [spawn<typeof Ends>("relayEnds"), spawn<typeof Ends>("relayEnds")] as const
  return withChildren([ours, straight, ...around], async () => {
    const relays = { ours: (await ours).call, ceiling: (await straight).call }
    const ends = { ours: (await around[0]).call, ceiling: (await around[1]).call }
    await ends.ours.dial(await relays.ours.listen(), links)
    await ends.ceiling.dial(await relays.ceiling.listen(), links)
    const run = (name: "ours" | "ceiling", count: number) => pass(relays[name], ends[name], size, count, links)
    const count = { ours: 2000, ceiling: 2000 }
    for (const name of ["ceiling", "ours"] as const) {
      for (let done = 0; done < WARM_UP_DELIVERIES; done += 4000 * links) await run(name, 4000)
      count[name] = Math.max(500, Math.round(((await run(name, 4000))["perSecond"] ?? 0) * millis / 1000))
    }
    return alternate(rounds, {
      ceiling: () => run("ceiling", count.ceiling),
      ours: () => run("ours", count.ours)
    })
  })
}

const relaying = async (effort: Effort): Promise<Report> => {
  const results = new Map<string, Rounds<"ceiling" | "ours">>()
  for (const size of ["400 B", "1 KB"] as const) {
    for (const links of FANS) results.set(`${size} to ${links}`, await relayTo(size, links, effort))
  }
  const byTime = (rounds: Rounds<"ceiling" | "ours">) => rounds.ratio("ceiling", "ours", "cpuMicros")
  const table: Table = {
    title: "SCP messages from one link to many, through one whole node (each is new, hashed, recorded and judged)",
    columns: ["", "ceiling/s", "ours/s", "of ceiling", "CPU us: ceiling", "ours", "of ceiling by CPU"],
    rows: [...results].map(([name, rounds]) => [
      name,
      figure(rounds.of("ceiling", "perSecond").median),
      figure(rounds.of("ours", "perSecond").median),
      ratioText(rounds.ratio("ours", "ceiling", "perSecond")),
      figure(rounds.of("ceiling", "cpuMicros").median),
      figure(rounds.of("ours", "cpuMicros").median),
      ratioText(byTime(rounds))
    ]),
    notes: [
      "Messages in, per second, and processor time of the relay's process per message in. The ceiling neither hashes nor" +
      " remembers what it passes on; both keep to credit."
    ]
  }
  return {
    tables: [table],
    verdicts: [...results].filter(([name]) => name.endsWith(" 8")).map(([name, rounds]) => {
      const { median } = byTime(rounds)
      return {
        what: `relay, ${name} links`,
        budget: `>= ${percent(BUDGET)} of the ceiling`,
        measured: percent(median),
        met: median >= BUDGET
      }
    }),
    data: Object.fromEntries(results)
  }
}

/**
 * Messages that the relay has had from somebody else: what each costs, beside what a new one costs that is passed on to
 * one link.
 */
const repeating = async ({ millis, rounds }: Effort): Promise<Report> => {
  const children = [spawn<typeof Ours>("relayOurs"), spawn<typeof Ends>("relayEnds")] as const
  return withChildren(children, async () => {
    const relay = (await children[0]).call
    const ends = (await children[1]).call
    const port = await relay.listen()
    await ends.dial(port, 1)
    await ends.dialEcho(port)
    const count = Math.max(1000, millis * 40)
    const cost = async (run: () => Promise<unknown>): Promise<number> => {
      await relay.mark()
      await run()
      return await relay.used() / count
    }
    const runs = await alternate(rounds, {
      ours: async () => ({
        newMicros: await cost(() => ends.prepare("400 B", count, 1)),
        duplicateMicros: await cost(() => ends.repeat("400 B", 1))
      })
    })
    return {
      tables: [{
        title: "SCP messages of 400 B that a node has had before, from another link",
        columns: ["", "CPU us"],
        rows: [
          ["new, judged and passed on to two links", spreadText(runs.of("ours", "newMicros"))],
          ["had before", spreadText(runs.of("ours", "duplicateMicros"))]
        ],
        notes: [
          "Processor time of the node per message: reading, checking the MAC, validation, hashing and looking it up. A" +
          " host that does not want to see a message twice looks it up by itself; this one takes all."
        ]
      }],
      verdicts: [],
      data: runs
    }
  })
}

const nothing: Traffic = { messages: 0, bytes: 0, hashes: 0 }
const kinds = ["Transaction", "FloodAdvert", "FloodDemand", "SendMoreExtended"] as const

/** The least bytes a delivery can take: the body once, its hash once in an advert and once in a demand. */
const leastBytes = ({ bodyBytes }: FloodReport): number => bodyBytes + 64

const flooding = async ({ millis }: Effort): Promise<Report> => {
  const child = spawn<typeof FloodWorld>("floodWorld")
  return withChildren([child], async () => {
    const { call } = await child
    const report = await call.run(20, 4, millis < 100 ? 200 : 1000, 1)
    const { delivered, deliveries, traffic } = report
    const perDelivery = (tag: string, metric: keyof Traffic): number => (traffic[tag] ?? nothing)[metric] / delivered
    const total = (metric: keyof Traffic): number => kinds.reduce((sum, tag) => sum + perDelivery(tag, metric), 0)
    const table: Table = {
      title:
        `${
          deliveries / (report.nodes - 1)
        } transactions to ${report.nodes} nodes over ${report.links} links, pull mode, ` +
        "in a World: per delivery",
      columns: ["", "messages", "bytes", "hashes"],
      rows: [
        ...kinds.map((tag) => [
          tag,
          figure(perDelivery(tag, "messages")),
          figure(perDelivery(tag, "bytes")),
          figure(perDelivery(tag, "hashes"))
        ]),
        ["all", figure(total("messages")), figure(total("bytes")), figure(total("hashes"))],
        ["least", "1.00", figure(leastBytes(report)), "2.00"]
      ],
      notes: [
        `${delivered} of ${deliveries} deliveries. The least: one body, and its hash once advertised and once demanded,` +
        ` without frames. A graph of ${report.links} links advertises a hash on each of them at least once, which is` +
        ` ${figure(report.links / (report.nodes - 1))} for a delivery.`
      ]
    }
    const bodies = perDelivery("Transaction", "messages")
    return {
      tables: [table],
      verdicts: [
        {
          what: "bodies sent per transaction and receiver",
          budget: "<= 1.01",
          measured: figure(bodies),
          met: delivered === deliveries && bodies <= 1.01
        }
      ],
      data: report
    }
  })
}

export const relay: Benchmark = {
  name: "relay",
  title: "Flooding through nodes",
  run: async (effort) => {
    const reports = [await relaying(effort), await repeating(effort), await flooding(effort)]
    return {
      tables: reports.flatMap(({ tables }) => tables),
      verdicts: reports.flatMap(({ verdicts }) => verdicts),
      data: reports.map(({ data }) => data)
    }
  }
}
