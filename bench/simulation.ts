/**
 * The speed of simulation: deliveries between two peers, worlds of campaigns, and whole networks of 100 nodes; of 1000
 * nodes too with SIMULATE_1000=1, which takes minutes.
 */
import type { actor as Simulation } from "./actors/simulation.ts"
import type { actor as Swarm } from "./actors/swarm.ts"
import { alternate, type Benchmark, type Effort, figure, type Report, type Verdict } from "./harness.ts"
import { spawn, withChildren } from "./processes.ts"

/** As the workers of campaigns run (`packages/overlay-cli/src/sim/workers.ts`). */
const asCampaigns = "--max-semi-space-size=64"
/**
 * For a thousand nodes, which hold 1.1 GiB: a heap that stays below two, a young generation that is half as large, and
 * buffers counted like objects. What is under way in a network outlives the young generation; at every 64 MiB of such
 * buffers the whole heap would be marked, three times in each ledger. Buffers that another thread frees are waited for by
 * the next `new Uint8Array`: a burst of handshakes took twice the time.
 */
const asLarge = [
  "--max-semi-space-size=32",
  "--max-old-space-size=1500",
  "--external-memory-accounted-in-global-limit",
  "--no-concurrent-array-buffer-sweeping"
]
const BUDGET = 100_000
const WORLDS_BUDGET = 3
const REAL_TIME_BUDGET = 3
const LARGE_SECONDS = 300
const LARGE_MIB = 2048

const deliveries = async ({ millis, rounds }: Effort): Promise<Report> => {
  const child = spawn<typeof Simulation>("simulation")
  return withChildren([child], async () => {
    const { call } = await child
    let seed = 0
    const results = await alternate(rounds, { ours: () => call.run(100 * millis, seed++) }, 2)
    const speed = results.of("ours", "perSecond")
    return {
      tables: [{
        title: "Two peers over the loopback transport in a World, mix, with MACs and credit",
        columns: ["deliveries/s", "min", "max", "CPU us per delivery"],
        rows: [[
          figure(speed.median),
          figure(speed.min),
          figure(speed.max),
          figure(results.of("ours", "cpuMicros").median)
        ]]
      }],
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

const worlds = async ({ millis, rounds }: Effort): Promise<Report> => {
  const child = spawn<typeof Swarm>("swarm", [asCampaigns])
  return withChildren([child], async () => {
    const { call } = await child
    const count = millis < 100 ? 2 : 10
    await call.worlds(0, 2) // for the compiler
    let from = 100
    const results = await alternate(rounds, {
      ours: () => {
        from += count
        return call.worlds(from, count)
      }
    }, 0)
    const speed = results.of("ours", "perSecond")
    return {
      tables: [{
        title: "Worlds of campaigns: 5 to 12 nodes, a virtual minute, faults, traffic and all checkers",
        columns: ["worlds/s", "min", "max", "CPU ms per world", "messages per world"],
        rows: [[
          figure(speed.median),
          figure(speed.min),
          figure(speed.max),
          figure(results.of("ours", "cpuMicros").median / 1000),
          figure(results.of("ours", "messages").median)
        ]]
      }],
      verdicts: [{
        what: "swarm worlds",
        budget: `>= ${WORLDS_BUDGET}/s`,
        measured: figure(speed.median),
        met: speed.median >= WORLDS_BUDGET
      }],
      data: results
    }
  })
}

/**
 * From cold everybody gets to know everybody, four at a time; by then, a hundred nodes have, and only messages and ticks are
 * left.
 */
const SETTLED_SECONDS = 90

const networks = async (): Promise<Report> => {
  const runs = [
    { nodes: 100, settle: 0 },
    { nodes: 100, settle: SETTLED_SECONDS },
    ...process.env["SIMULATE_1000"] === "1" ? [{ nodes: 1000, settle: 0 }] : []
  ]
  const rows: Array<ReadonlyArray<string>> = []
  const verdicts: Array<Verdict> = []
  const data: Array<unknown> = []
  for (const { nodes, settle } of runs) {
    const state = settle === 0 ? "from cold" : `settled for ${settle} s`
    const flags = nodes > 100 ? asLarge : [asCampaigns, "--max-old-space-size=4096"]
    const child = spawn<typeof Swarm>("swarm", flags)
    const measured = await withChildren([child], async () => (await child).call.network(nodes, settle, 60, 1))
    const of = (name: string): number => measured[name] ?? 0
    rows.push([
      String(nodes),
      state,
      figure(of("wallSeconds")),
      figure(of("timesRealTime")),
      figure(of("cpuSeconds")),
      figure(of("peakMiB")),
      `${of("lowestLedger")} to ${of("highestLedger")}`
    ])
    data.push({ nodes, settle, ...measured })
    verdicts.push(
      nodes === 100
        ? {
          what: `100 simulated nodes, ${state}`,
          budget: `>= ${REAL_TIME_BUDGET} times real time`,
          measured: figure(of("timesRealTime")),
          met: of("timesRealTime") >= REAL_TIME_BUDGET
        }
        : {
          what: "1000 simulated nodes, 60 virtual s",
          budget: "<= 5 min and 2 GiB",
          measured: `${figure(of("wallSeconds"))} s, ${figure(of("peakMiB"))} MiB`,
          met: of("wallSeconds") <= LARGE_SECONDS && of("peakMiB") <= LARGE_MIB
        }
    )
  }
  return {
    tables: [{
      title:
        "Whole networks shaped like the public one, 9 validators, a ledger every 5 s, four dials at a time, 60 virtual s",
      columns: ["nodes", "state", "wall s", "times real time", "CPU s", "peak MiB", "ledgers"],
      rows
    }],
    verdicts,
    data
  }
}

export const simulation: Benchmark = {
  name: "simulation",
  title: "Simulation",
  run: async (effort) => {
    const reports = [await deliveries(effort), await worlds(effort), await networks()]
    return {
      tables: reports.flatMap(({ tables }) => tables),
      verdicts: reports.flatMap(({ verdicts }) => verdicts),
      data: reports.map(({ data }) => data)
    }
  }
}
