/**
 * One authenticated link between two processes, in each direction, against the ceiling.
 *
 * The ceiling is run twice: without credit, which is the ceiling of design section 8, and with the credit of the default
 * configuration (200 messages or 300 000 bytes under way, granted back by 40 or 100 000), which costs a message back
 * and two wake-ups for every 40 and bounds what one write can coalesce. What lies between the two is the price of flow
 * control; what lies between the second and ours is the price of the library.
 */
import type { EndReport } from "./actors/meter.ts"
import type { actor as Ours } from "./actors/ours.ts"
import type { actor as Straight } from "./actors/straight.ts"
import {
  alternate,
  type Benchmark,
  type Effort,
  figure,
  type Measurement,
  percent,
  ratioText,
  type Rounds,
  type Summary,
  type Table,
  type Verdict
} from "./harness.ts"
import { type Remote, spawn, withChildren } from "./processes.ts"
import { bodiesOf, meanSize, type Workload, workloads } from "./workloads.ts"

interface Sender {
  readonly send: (workload: Workload, count: number) => Promise<EndReport>
}

interface Receiver {
  readonly arm: (count: number) => Promise<void>
  readonly complete: () => Promise<EndReport>
}

/** The part of a workload that reaches a consumer: grants are the connection's own business. */
const deliveredOf = (workload: Workload, count: number): number => {
  const bodies = bodiesOf(workload)
  let delivered = 0
  for (let i = 0; i < count; i++) if (bodies[i % bodies.length]![3] !== 20) delivered++
  return delivered
}

/** One run: `count` messages from one process to another. */
export const transfer = async (
  sender: Sender,
  receiver: Receiver,
  workload: Workload,
  count: number
): Promise<Measurement> => {
  await receiver.arm(deliveredOf(workload, count))
  const [sent, received] = await Promise.all([sender.send(workload, count), receiver.complete()])
  return {
    perSecond: count / (received.atMillis - sent.atMillis) * 1000,
    sendMicros: sent.cpuMicros / count,
    receiveMicros: received.cpuMicros / count
  }
}

const variants = ["ceiling", "ceilingCredit", "out", "in"] as const
type Variant = (typeof variants)[number]

const counts = (millis: number, perSecond: number): number =>
  Math.max(8, Math.round(perSecond * millis / 1000 / 20) * 20)

interface Ends {
  readonly dialer: Remote<typeof Ours>
  readonly listener: Remote<typeof Ours>
  readonly plain: readonly [Remote<typeof Straight>, Remote<typeof Straight>]
  readonly credit: readonly [Remote<typeof Straight>, Remote<typeof Straight>]
}

/** Lets the compiler see the usual traffic before anything counts. */
const warmUp = async ({ credit, dialer, listener, plain }: Ends, { millis }: Effort): Promise<void> => {
  const count = 200 * millis
  for (let i = 0; i < 4; i++) {
    await transfer(plain[0], plain[1], "mix", count)
    await transfer(credit[0], credit[1], "mix", count)
    await transfer(dialer, listener, "mix", count)
    await transfer(listener, dialer, "mix", count)
  }
}

const measure = async (ends: Ends, workload: Workload, { millis, rounds }: Effort): Promise<Rounds<Variant>> => {
  const run = {
    ceiling: (count: number) => transfer(ends.plain[0], ends.plain[1], workload, count),
    ceilingCredit: (count: number) => transfer(ends.credit[0], ends.credit[1], workload, count),
    out: (count: number) => transfer(ends.dialer, ends.listener, workload, count),
    in: (count: number) => transfer(ends.listener, ends.dialer, workload, count)
  }
  // Two runs to warm up, the second of which says how many messages fill the time.
  const count: Record<Variant, number> = { ceiling: 0, ceilingCredit: 0, out: 0, in: 0 }
  for (const variant of variants) {
    const first = counts(millis, 2e7 / meanSize(workload))
    await run[variant](first)
    count[variant] = counts(millis, (await run[variant](first))["perSecond"]!)
  }
  return alternate(rounds, {
    ceiling: () => run.ceiling(count.ceiling),
    ceilingCredit: () => run.ceilingCredit(count.ceilingCredit),
    out: () => run.out(count.out),
    in: () => run.in(count.in)
  }, 0)
}

/** How much of the ceiling's speed the processor time allows: the busier side decides. Steady on a shared machine. */
const byProcessorTime = (rounds: Rounds<Variant>, variant: "out" | "in", base: "ceiling" | "ceilingCredit"): number => {
  const busier = (name: Variant): number =>
    Math.max(rounds.of(name, "sendMicros").median, rounds.of(name, "receiveMicros").median)
  return busier(base) / busier(variant)
}

const worse = (a: Summary, b: Summary): Summary => a.median <= b.median ? a : b

const budgets: Partial<Record<Workload, number>> = {
  "100 B": 0.6,
  "400 B": 0.6,
  "1 KB": 0.6,
  mix: 0.6,
  "1 MB set": 0.85
}

export const link: Benchmark = {
  name: "link",
  title: "One authenticated link between two processes",
  run: async (effort) => {
    const ours = [spawn<typeof Ours>("ours"), spawn<typeof Ours>("ours")] as const
    const straight = Array.from({ length: 4 }, () => spawn<typeof Straight>("straight"))
    return withChildren([...ours, ...straight], async () => {
      const [listener, dialer] = await Promise.all(ours)
      const [a, b, c, d] = await Promise.all(straight)
      await dialer.call.dial(await listener.call.listen(), 1)
      await a!.call.dial(await b!.call.listen({ credit: false }), 1, { credit: false })
      await c!.call.dial(await d!.call.listen({ credit: true }), 1, { credit: true })
      const ends: Ends = {
        dialer: dialer.call,
        listener: listener.call,
        plain: [a!.call, b!.call],
        credit: [c!.call, d!.call]
      }

      await warmUp(ends, effort)
      const results = new Map<Workload, Rounds<Variant>>()
      const delays = { ours: 0, ceiling: 0 }
      for (const workload of workloads) {
        const watched = [listener.call, dialer.call, ...ends.plain]
        await Promise.all(watched.map((end) => end.watchLoop()))
        results.set(workload, await measure(ends, workload, effort))
        const [a = 0, b = 0, c = 0, d = 0] = await Promise.all(watched.map((end) => end.loopDelayP99()))
        Object.assign(delays, { ours: Math.max(a, b), ceiling: Math.max(c, d) })
      }

      const speed: Table = {
        title: "Messages per second (medians; ratio to the ceiling with its spread; smallest and largest round)",
        columns: [
          "workload",
          "bytes",
          "ceiling",
          "with credit",
          "ours out",
          "ours in",
          "MB/s",
          "out/ceiling",
          "in/ceiling",
          "worse/credit"
        ],
        rows: [...results].map(([workload, rounds]) => [
          workload,
          figure(meanSize(workload)),
          ...variants.map((variant) => figure(rounds.of(variant, "perSecond").median)),
          figure(rounds.of("out", "perSecond").median * meanSize(workload) / 1e6),
          ratioText(rounds.ratio("out", "ceiling", "perSecond")),
          ratioText(rounds.ratio("in", "ceiling", "perSecond")),
          ratioText(worse(
            rounds.ratio("out", "ceilingCredit", "perSecond"),
            rounds.ratio("in", "ceilingCredit", "perSecond")
          ))
        ]),
        notes: [
          "out: the side that dialled sends. Credit: the ceiling with the same SEND_MORE_EXTENDED traffic as ours."
        ]
      }
      const cost: Table = {
        title: "Processor time per message, microseconds (sending side, receiving side)",
        columns: [
          "workload",
          "ceiling send",
          "receive",
          "credit send",
          "receive",
          "ours send",
          "receive",
          "ceiling/out",
          "ceiling/in",
          "credit/out"
        ],
        rows: [...results].map(([workload, rounds]) => [
          workload,
          ...(["ceiling", "ceilingCredit", "out"] as const).flatMap((variant) => [
            figure(rounds.of(variant, "sendMicros").median),
            figure(rounds.of(variant, "receiveMicros").median)
          ]),
          percent(byProcessorTime(rounds, "out", "ceiling")),
          percent(byProcessorTime(rounds, "in", "ceiling")),
          percent(byProcessorTime(rounds, "out", "ceilingCredit"))
        ]),
        notes: ["The ratios are of the busier sides: the share of the ceiling's speed that the processor time leaves."]
      }
      const verdicts = [...results].flatMap(([workload, rounds]): Array<Verdict> => {
        const budget = budgets[workload]
        if (budget === undefined) return []
        return (["out", "in"] as const).map((variant) => {
          const ratio = rounds.ratio(variant, "ceiling", "perSecond")
          return {
            what: `link, ${workload}, ${variant}`,
            budget: `>= ${percent(budget)} of the ceiling`,
            measured: `${ratioText(ratio)}; ${percent(byProcessorTime(rounds, variant, "ceiling"))} by processor time`,
            met: ratio.median >= budget
          }
        })
      })
      verdicts.push({
        what: "event-loop delay under 1 MB sets, p99",
        budget: "<= 5 ms",
        measured: `${figure(delays.ours)} ms; the ceiling ${figure(delays.ceiling)} ms`,
        met: delays.ours <= 5
      })
      return { tables: [speed, cost], verdicts, data: { rounds: Object.fromEntries(results), loopDelayP99: delays } }
    })
  }
}
