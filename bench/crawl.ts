/**
 * How long a crawl of listening nodes over loopback takes, and how much memory: the nodes live in processes of their own,
 * the crawler, with its database, in this one.
 *
 * ```
 * node --conditions=@stellar-overlay/source bench/crawl.ts [--nodes 1000] [--processes 100] [--concurrency 48] [--listen 0]
 * ```
 *
 * A node tells of 50 random others; every fifth is full. Limits per host are off, since all have one address; the rate
 * of dials is as fast as they go.
 */
import * as CrawlDatabase from "@stellar-overlay/overlay-sql/CrawlDatabase"
import { NetworkDatabase } from "@stellar-overlay/overlay-sql/NetworkDatabase"
import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import * as Crawler from "@stellar-overlay/overlay/Crawler"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import * as NodeResolver from "@stellar-overlay/overlay/NodeResolver"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { freemem, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import type { actor as Crawled } from "./actors/crawled.ts"
import { type Child, spawn } from "./processes.ts"

const networkPassphrase = "A network for measuring crawls"
const TOLD = 50
/** What a process takes, about, and what is left for everybody else. */
const PROCESS_BYTES = 150e6
const RESERVE_BYTES = 3e9

const { values } = parseArgs({
  options: {
    nodes: { type: "string", default: "1000" },
    processes: { type: "string", default: "100" },
    concurrency: { type: "string", default: "48" },
    listen: { type: "string", default: "0" }
  }
})
const [nodes, wanted, concurrency, listen] = [values.nodes, values.processes, values.concurrency, values.listen].map(
  Number
) as [number, number, number, number]
const fits = Math.max(1, Math.floor((freemem() - RESERVE_BYTES) / PROCESS_BYTES))
const processes = Math.min(wanted, nodes, fits)

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`
const seconds = (millis: number): string => `${(millis / 1000).toFixed(1)} s`

const children: Array<Child<typeof Crawled>> = []
const startedAt = performance.now()
while (children.length < processes) {
  const more = Math.min(4, processes - children.length)
  children.push(...await Promise.all(Array.from({ length: more }, () => spawn<typeof Crawled>("crawled"))))
}
const shares = children.map((_, i) => Math.floor((i + 1) * nodes / processes) - Math.floor(i * nodes / processes))
const ports = await Promise.all(children.map((child, i) => child.call.listen(shares[i]!, networkPassphrase)))
const all = ports.flat()
const random = () => all[Math.floor(Math.random() * all.length)]!
await Promise.all(children.map((child, i) =>
  child.call.tell(ports[i]!.map((port) => {
    // one that is certain, so that everybody is told of by somebody
    const next = all[(all.indexOf(port) + 1) % all.length]!
    return [...new Set([next, ...Array.from({ length: TOLD - 1 }, random)])].filter((other) => other !== port)
  }))
))
console.log(
  `${all.length} nodes listen in ${processes} processes${
    processes < wanted ? ` (${fits} fit into memory)` : ""
  }, after ${seconds(performance.now() - startedAt)}`
)

const directory = mkdtempSync(join(tmpdir(), "overlay-bench-crawl-"))
const filename = join(directory, "net.db")
let peak = 0
const watch = setInterval(() => peak = Math.max(peak, process.memoryUsage.rss()), 100)
const before = process.memoryUsage.rss()
const cpuBefore = process.cpuUsage()
const begin = performance.now()

const program = Effect.gen(function*() {
  const database = yield* CrawlDatabase.CrawlDatabase
  const id = yield* database.begin({
    networkId: "00".repeat(32),
    network: undefined,
    seeds: [],
    options: {},
    version: "bench"
  })
  const crawler = yield* Crawler.make({
    seeds: [`127.0.0.1:${all[0]}`],
    listenMillis: listen * 1000,
    concurrency,
    dialsPerSecond: 10_000,
    hostIntervalMillis: 0,
    subnetIntervalMillis: 0,
    maxDialsPerHost: 1_000_000,
    maxAddressesPerHost: 65_535,
    maxAddressesPerSubnet: 65_535,
    maxAddressesPerSource: 1_000_000
  })
  yield* CrawlDatabase.store(id, crawler)
  return crawler.progress()
}).pipe(
  Effect.scoped,
  Effect.provide(Layer.mergeAll(
    CrawlDatabase.CrawlDatabase.layer.pipe(Layer.provide(NetworkDatabase.layerLazy(NodeSqlite.layer({ filename })))),
    NodeOverlay.layer({ networkPassphrase, listen: false, allowLocalhostForTesting: true }),
    NodeResolver.layer
  ))
)

try {
  const progress = await Effect.runPromise(program)
  const took = performance.now() - begin
  const { system, user } = process.cpuUsage(cpuBefore)
  peak = Math.max(peak, process.memoryUsage.rss())
  const rss = await Promise.all(children.map((child) => child.call.memory()))
  console.log(`found ${progress.nodes} of ${all.length} nodes: ${JSON.stringify(progress.byStatus)}`)
  console.log(
    `crawl: ${seconds(took)}, ${Math.round(progress.done / took * 1000)} nodes per second, ${
      seconds((system + user) / 1000)
    } of processor time`
  )
  console.log(
    `crawler: ${megabytes(before)} before, ${megabytes(peak)} at most, database ${megabytes(statSync(filename).size)}`
  )
  console.log(`nodes: ${megabytes(rss.reduce((a, b) => a + b, 0))} resident in ${processes} processes`)
  if (progress.nodes !== all.length) process.exitCode = 1
} finally {
  clearInterval(watch)
  rmSync(directory, { recursive: true })
  await Promise.all(children.map((child) => child.stop()))
}
