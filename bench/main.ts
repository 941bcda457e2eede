/**
 * `npm run bench`: what the library costs against straight-line programs and the machine itself.
 *
 * ```
 * npm run bench -- [--only name,name] [--quick] [--json]
 * ```
 *
 * Prints a table per benchmark, then each budget with where it stands, and writes everything measured to
 * build/bench.json. `--quick` takes fewer and shorter rounds, too few for the compiler: it shows that everything runs.
 * `--json` prints the file instead of the tables. Absolute numbers are this machine's and this moment's. Ratios are taken
 * round by round, in alternation, and given with their smallest and largest round; where other programs want the same
 * processors, those by processor time are the steadier ones.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { connector } from "./connector.ts"
import { flow } from "./flow.ts"
import { handshake } from "./handshake.ts"
import { type Benchmark, type Effort, machine, render, type Report } from "./harness.ts"
import { link } from "./link.ts"
import { memory } from "./memory.ts"
import { metrics } from "./metrics.ts"
import { pull } from "./pull.ts"
import { relay } from "./relay.ts"
import { roundTrip } from "./roundtrip.ts"
import { session } from "./session.ts"
import { simulation } from "./simulation.ts"
import { xdrFacts } from "./xdr.ts"

const benchmarks: ReadonlyArray<Benchmark> = [
  link,
  session,
  handshake,
  roundTrip,
  memory,
  xdrFacts,
  flow,
  connector,
  simulation,
  relay,
  pull,
  metrics
]

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false }
  }
})

const names = values.only?.split(",") ?? benchmarks.map(({ name }) => name)
const unknown = names.filter((name) => !benchmarks.some((benchmark) => benchmark.name === name))
if (unknown.length > 0) {
  console.error(
    `There is no benchmark ${unknown.join(", ")}; there are: ${benchmarks.map(({ name }) => name).join(", ")}`
  )
  process.exit(2)
}

const print = values.json ? () => undefined : (text: string) => console.log(text)
const effort: Effort = values.quick ? { rounds: 3, millis: 60 } : { rounds: 5, millis: 150 }

const { cores, cpu, node } = machine()
print(`Node ${node}, ${cores} x ${cpu}; ${effort.rounds} rounds in alternation, medians (smallest..largest)\n`)

const reports: Record<string, Report & { readonly seconds: number }> = {}
for (const { name, run, title } of benchmarks) {
  if (!names.includes(name)) continue
  const start = performance.now()
  const report = await run(effort)
  const seconds = Math.round(performance.now() - start) / 1000
  reports[name] = { ...report, seconds }
  print(`== ${title} (--only ${name}, ${seconds.toFixed(0)} s)\n`)
  for (const table of report.tables) print(render(table))
}

const verdicts = Object.values(reports).flatMap((report) => report.verdicts)
print(render({
  title: "== Budgets",
  columns: ["", "budget", "measured", ""],
  rows: verdicts.map(({ budget, measured, met, what }) => [what, budget, measured, met ? "met" : "MISSED"])
}))

const path = fileURLToPath(new URL("../build/bench.json", import.meta.url))
mkdirSync(fileURLToPath(new URL("../build", import.meta.url)), { recursive: true })
const json = JSON.stringify({ machine: machine(), effort, reports }, undefined, 2)
writeFileSync(path, json)
if (values.json) console.log(json)
else console.log(`Everything measured: ${path}`)
