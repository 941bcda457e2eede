/**
 * Crawls nodes that listen on this machine until it is killed: begins a crawl in the database, or goes on with the last
 * one. Prints a line for each batch that was stored.
 *
 * Arguments: the file, the passphrase, and the address of the seed.
 */
import * as CrawlDatabase from "@stellar-overlay/overlay-sql/CrawlDatabase"
import { NetworkDatabase } from "@stellar-overlay/overlay-sql/NetworkDatabase"
import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import * as Crawler from "@stellar-overlay/overlay/Crawler"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import * as NodeResolver from "@stellar-overlay/overlay/NodeResolver"
import { Console, Effect, Layer } from "effect"

const [filename = "", networkPassphrase = "", seed = ""] = process.argv.slice(2)

const program = Effect.gen(function*() {
  const database = yield* CrawlDatabase.CrawlDatabase
  const last = (yield* database.list).at(-1)
  const id = last?.id ?? (yield* database.begin({
    networkId: "00".repeat(32),
    network: undefined,
    seeds: [seed],
    options: {},
    version: "test"
  }))
  const state = last === undefined ? undefined : yield* database.resume(id)
  const crawler = yield* Crawler.make({
    seeds: [seed],
    state,
    listenMillis: 0,
    concurrency: 2,
    dialsPerSecond: 20, // three seconds at least: no end before the kill, however fast the machine is
    hostIntervalMillis: 0,
    subnetIntervalMillis: 0,
    maxDialsPerHost: 1_000_000,
    maxAddressesPerHost: 10_000,
    maxAddressesPerSubnet: 10_000,
    attempts: 1
  })
  yield* CrawlDatabase.store(id, crawler, () => Console.log(crawler.progress().done))
  yield* Console.log("ended")
}).pipe(
  Effect.scoped,
  Effect.provide(Layer.mergeAll(
    CrawlDatabase.CrawlDatabase.layer.pipe(
      Layer.provide(NetworkDatabase.layerLazy(NodeSqlite.layer({ filename })))
    ),
    NodeOverlay.layer({ networkPassphrase, listen: false, allowLocalhostForTesting: true }),
    NodeResolver.layer
  ))
)

Effect.runFork(program)
