/**
 * Flow control at work: a consumer that is slower than its sender, many links at once, and one message to many peers.
 */
import type { actor as Ours } from "./actors/ours.ts"
import type { actor as Straight } from "./actors/straight.ts"
import {
  alternate,
  type Benchmark,
  type Effort,
  figure,
  percent,
  ratioText,
  type Report,
  type Table
} from "./harness.ts"
import { transfer } from "./link.ts"
import { spawn, withChildren } from "./processes.ts"
import { meanSize, type Workload } from "./workloads.ts"

const LINKS = 64
const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

// ------------------------------------------------------------------------------------------------ a slow consumer

/** The consumer takes a batch and rests; the sender hands over as fast as it is let. */
const slowConsumer = async ({ millis }: Effort): Promise<Report> => {
  const ours = [spawn<typeof Ours>("ours"), spawn<typeof Ours>("ours")] as const
  return withChildren(ours, async () => {
    const [receiver, sender] = await Promise.all(ours)
    await sender.call.dial(await receiver.call.listen(), 1)
    await transfer(sender.call, receiver.call, "mix", 40_000) // warm, so that memory is at its working size
    await receiver.call.pause(20)
    const sending = sender.call.send("mix", 1_000_000).catch(() => undefined) // ends with the process
    const samples: Array<ReadonlyArray<number>> = []
    let dropped: string | undefined
    for (let i = 0; i <= 8; i++) {
      const [there, here, out, arrived] = await Promise.all([
        receiver.call.memory(),
        sender.call.memory(),
        sender.call.state(),
        receiver.call.received()
      ])
      dropped ??= out.dropped ?? (await receiver.call.state()).dropped
      samples.push([arrived, out.written, out.queued, out.credit, there.rss / 1e6, here.rss / 1e6])
      await sleep(millis * 2)
    }
    await receiver.call.pause(0)
    void sending
    const first = samples[1]!
    const last = samples.at(-1)!
    const growth = Math.max(last[4]! - first[4]!, last[5]! - first[5]!)
    const table: Table = {
      title: "A consumer that rests 20 ms after each batch, a sender that never rests (mix)",
      columns: ["ms", "consumed", "written", "queued at sender", "credit left", "receiver MB", "sender MB"],
      rows: samples.map((sample, i) => [String(i * millis * 2), ...sample.map(figure)]),
      notes: [`Dropped: ${dropped ?? "nobody"}. Memory is resident set size of the whole process.`]
    }
    const flat = growth < 16 && dropped === undefined && last[2]! < 3000
    return {
      tables: [table],
      verdicts: [{
        what: "slow consumer",
        budget: "memory flat, sender waits, no drop",
        measured: `${figure(growth)} MB grown, ${dropped ?? "no drop"}`,
        met: flat
      }],
      data: samples
    }
  })
}

// ------------------------------------------------------------------------------------------------- 64 links, fan-out

const manyLinks = async ({ millis, rounds }: Effort): Promise<Report> => {
  const ours = spawn<typeof Ours>("ours")
  const straight = Array.from({ length: 3 }, () => spawn<typeof Straight>("straight"))
  return withChildren([ours, ...straight], async () => {
    const [subject, remote, baseline, baselineRemote] = await Promise.all([ours, ...straight] as const)
    const credit = { credit: true }
    await remote!.call.dial(await subject.call.listen(), LINKS, credit)
    await baselineRemote!.call.dial(await baseline!.call.listen(credit), LINKS, credit)

    const count = Math.round(millis * 4 / 20) * 20
    const receive =
      (sender: NonNullable<typeof remote>, receiver: NonNullable<typeof remote> | typeof subject) => async () => {
        const perLink = await transfer(
          sender.call,
          { arm: (n) => receiver.call.arm(n * LINKS), complete: receiver.call.complete },
          "mix",
          count
        )
        return {
          perSecond: perLink["perSecond"]! * LINKS,
          sendMicros: perLink["sendMicros"]! / LINKS,
          receiveMicros: perLink["receiveMicros"]! / LINKS
        }
      }
    const inbound = await alternate(rounds, {
      straight: receive(baselineRemote!, baseline!),
      ours: receive(remote!, subject)
    })

    const fanOut = (workload: Workload, turns: number, burst: number) => {
      const run = (from: NonNullable<typeof remote> | typeof subject, to: NonNullable<typeof remote>) => async () => {
        await to.call.arm(turns * burst * LINKS)
        const [sent, received] = await Promise.all([from.call.fanOut(workload, turns, burst), to.call.complete()])
        const copies = turns * burst * LINKS
        return {
          perSecond: copies / (received.atMillis - sent.atMillis) * 1000,
          sendMicros: sent.cpuMicros / copies
        }
      }
      return alternate(rounds, { straight: run(baseline!, baselineRemote!), ours: run(subject, remote!) })
    }
    const one = await fanOut("400 B", Math.round(millis), 1)
    const twenty = await fanOut("400 B", Math.round(millis / 4), 20)

    const row = (what: string, rounds: typeof inbound, metric: "sendMicros" | "receiveMicros") => [
      what,
      figure(rounds.of("straight", "perSecond").median),
      figure(rounds.of("ours", "perSecond").median),
      ratioText(rounds.ratio("ours", "straight", "perSecond")),
      figure(rounds.of("straight", metric).median),
      figure(rounds.of("ours", metric).median),
      percent(rounds.ratio("straight", "ours", metric).median)
    ]
    const table: Table = {
      title: `${LINKS} links of one process, their other ends in another; messages per second of all links together`,
      columns: ["", "ceiling", "ours", "ours/ceiling", "CPU us ceiling", "ours", "by CPU"],
      rows: [
        row(`receiving the mix (${figure(meanSize("mix"))} B)`, inbound, "receiveMicros"),
        row("one message of 400 B to all, one by one", one as typeof inbound, "sendMicros"),
        row("20 messages of 400 B to all", twenty as typeof inbound, "sendMicros")
      ],
      notes: ["Fan-out: each copy has its own MAC and each peer its own write; the ceiling respects credit too."]
    }
    return { tables: [table], verdicts: [], data: { inbound, one, twenty } }
  })
}

// ----------------------------------------------------------------------------------------------- beside large messages

/** Round trips of SCP messages on one link while another link of the same process is full of 1 MB sets. */
const besideSets = async ({ millis, rounds }: Effort): Promise<Report> => {
  const subjects = [spawn<typeof Ours>("ours"), spawn<typeof Straight>("straight")] as const
  const remotes = Array.from({ length: 4 }, () => spawn<typeof Straight>("straight"))
  return withChildren([...subjects, ...remotes], async () => {
    const [ours, straight] = await Promise.all(subjects)
    const [ourSets, ourEcho, straightSets, straightEcho] = await Promise.all(remotes)
    const credit = { credit: true }
    const ourPort = await ours.call.listen()
    const straightPort = await straight.call.listen(credit)
    for (const remote of [ourSets, ourEcho]) await remote!.call.dial(ourPort, 1, credit)
    for (const remote of [straightSets, straightEcho]) await remote!.call.dial(straightPort, 1, credit)
    await ours.call.echo()
    await straight.call.echo()

    const sets = Math.round(millis / 2)
    const run = (loaded: NonNullable<typeof ourSets>, echo: NonNullable<typeof ourSets>) => async () => {
      const sending = loaded.call.send("1 MB set", sets)
      const trips = await echo.call.roundTrips(2 * sets)
      await sending
      return { ...trips }
    }
    const results = await alternate(rounds, {
      straight: run(straightSets!, straightEcho!),
      ours: run(ourSets!, ourEcho!)
    })
    const p99 = results.of("ours", "p99")
    const table: Table = {
      title:
        "Round trip of an SCP message beside a link full of 1 MB sets, one process at the common end; milliseconds",
      columns: ["", "p50", "p99", "p99, worst round"],
      rows: (["straight", "ours"] as const).map((name) => [
        name === "straight" ? "ceiling" : "ours",
        figure(results.of(name, "p50").median / 1000),
        figure(results.of(name, "p99").median / 1000),
        figure(results.of(name, "p99").max / 1000)
      ])
    }
    return {
      tables: [table],
      verdicts: [{
        what: "SCP beside 1 MB sets, p99",
        budget: "<= 10 ms",
        measured: `${figure(p99.median / 1000)} ms`,
        met: p99.median <= 10_000
      }],
      data: results
    }
  })
}

export const flow: Benchmark = {
  name: "flow",
  title: "Flow control, many links, fan-out",
  run: async (effort) => {
    const slow = await slowConsumer(effort)
    const many = await manyLinks(effort)
    const beside = await besideSets(effort)
    const all = [slow, many, beside]
    return {
      tables: all.flatMap(({ tables }) => tables),
      verdicts: all.flatMap(({ verdicts }) => verdicts),
      data: { slowConsumer: slow.data, links: many.data, besideSets: beside.data }
    }
  }
}
