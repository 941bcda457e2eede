/**
 * Transactions in pull mode between whole nodes, each in a process of its own: from a node that has them to all others,
 * through flood rounds, adverts, demands and bodies.
 */
import type { actor as PullNode } from "./actors/pullNode.ts"
import {
  alternate,
  type Benchmark,
  type Effort,
  figure,
  type Measurement,
  type Rounds,
  spreadText,
  type Table
} from "./harness.ts"
import { type Remote, spawn, withChildren } from "./processes.ts"

type Node = Remote<typeof PullNode>

/** `share` of the nodes submit, the first or all of them in equal parts; done when every node has every transaction. */
const flood = async (nodes: ReadonlyArray<Node>, count: number, submitters: number): Promise<Measurement> => {
  await Promise.all(nodes.map((node) => node.mark()))
  const before = await Promise.all(nodes.map((node) => node.stats()))
  const complete = Promise.all(nodes.map((node) => node.expect(count)))
  const part = count / submitters
  const starts = await Promise.all(nodes.slice(0, submitters).map((node, i) => node.submit(part, i + 1)))
  const ends = await complete
  const used = await Promise.all(nodes.map((node) => node.used()))
  const after = await Promise.all(nodes.map((node) => node.stats()))
  const sum = (metric: "duplicates" | "pulls" | "pullMillis") =>
    after.reduce((total, stats, i) => total + stats[metric] - before[i]![metric], 0)
  const deliveries = count * (nodes.length - 1)
  return {
    perSecond: count / (Math.max(...ends) - Math.min(...starts)) * 1000,
    cpuMicros: used.reduce((total, micros) => total + micros, 0) / deliveries,
    bodies: (sum("pulls") + sum("duplicates")) / deliveries,
    pullMillis: sum("pullMillis") / Math.max(1, sum("pulls"))
  }
}

const measure = async (size: number, submitters: number, { millis, rounds }: Effort): Promise<Rounds<"pull">> => {
  const children = Array.from({ length: size }, () => spawn<typeof PullNode>("pullNode"))
  return withChildren(children, async () => {
    const nodes = (await Promise.all(children)).map(({ call }) => call)
    const ports = await Promise.all(nodes.map((node) => node.listen()))
    for (let i = 1; i < size; i++) for (let j = 0; j < i; j++) await nodes[i]!.dial(ports[j]!)
    const perMilli = size === 2 ? 10 : 4
    const count = Math.max(1000, Math.round(millis * perMilli / 100) * 100)
    return alternate(rounds, { pull: () => flood(nodes, count, submitters) })
  })
}

export const pull: Benchmark = {
  name: "pull",
  title: "Transactions in pull mode between nodes",
  run: async (effort) => {
    const cases = [
      ["two nodes, one has them", 2, 1],
      ["two nodes, each half of them", 2, 2],
      ["five nodes, all linked, one has them", 5, 1],
      ["five nodes, all linked, each a fifth", 5, 5]
    ] as const
    const results = new Map<string, Rounds<"pull">>()
    for (const [name, size, submitters] of cases) results.set(name, await measure(size, submitters, effort))
    const table: Table = {
      title: "Payments from nodes that have them to everybody, each node a process",
      columns: ["", "tx/s", "CPU us per delivery", "bodies per delivery", "pull, ms"],
      rows: [...results].map(([name, rounds]) => [
        name,
        spreadText(rounds.of("pull", "perSecond")),
        spreadText(rounds.of("pull", "cpuMicros")),
        figure(rounds.of("pull", "bodies").median),
        figure(rounds.of("pull", "pullMillis").median)
      ]),
      notes: [
        "Nothing is verified: what the overlay costs. Rounds, adverts and demands every 10 ms instead of 200, 100 and 200," +
        " and limits that no round reaches, so that the code sets the pace. The processor time is that of all nodes," +
        " divided by the transactions times the nodes that had to get them."
      ]
    }
    const bodies = Math.max(...[...results.values()].map((rounds) => rounds.of("pull", "bodies").median))
    return {
      tables: [table],
      verdicts: [{
        what: "pull, bodies per transaction and receiver",
        budget: "<= 1.01",
        measured: figure(bodies),
        met: bodies <= 1.01
      }],
      data: Object.fromEntries(results)
    }
  }
}
