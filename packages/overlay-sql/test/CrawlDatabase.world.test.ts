import { assert, describe, it } from "@effect/vitest"
import * as CrawlDatabase from "@stellar-overlay/overlay-sql/CrawlDatabase"
import { NetworkDatabase } from "@stellar-overlay/overlay-sql/NetworkDatabase"
import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as World from "@stellar-overlay/overlay-test/World"
import * as Crawler from "@stellar-overlay/overlay/Crawler"
import { Effect, Layer } from "effect"
import { addressOf, build, crawlerLayer, isAlive, LAG, NETWORK_SLOT, poison } from "./crawlWorld.ts"
import { file, query } from "./fixtures.ts"

const databaseLayer = (filename: string) =>
  Layer.provide(
    CrawlDatabase.CrawlDatabase.layer,
    Layer.provide(NetworkDatabase.layer, NodeSqlite.layer({ filename }))
  )

const header: CrawlDatabase.CrawlHeader = {
  networkId: "00".repeat(32),
  network: undefined,
  seeds: [addressOf(0).key],
  options: {},
  version: "test"
}

describe("Crawler in a world", () => {
  it.effect(
    "P1 P8 a crawl of 1,000 nodes finds everybody and nobody else, and stores no poison",
    () =>
      Effect.gen(function*() {
        const filename = yield* file
        const program = Effect.gen(function*() {
          const truth = yield* build(1000)
          const database = yield* CrawlDatabase.CrawlDatabase
          const id = yield* database.begin(header)
          const crawler = yield* Effect.provide(
            Crawler.make({ seeds: [addressOf(0)], listenMillis: 2000 }),
            crawlerLayer()
          )
          yield* CrawlDatabase.store(id, crawler)
          const crawl = yield* database.load(id)
          return { truth, crawl: crawl!, progress: crawler.progress() }
        }).pipe(Effect.scoped, Effect.provide(databaseLayer(filename)))
        const { crawl, progress, truth } = yield* program.pipe(
          Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 40 })),
          World.run({ seed: 1, maxSteps: 100_000_000, maxMillis: 3_600_000 })
        )
        const { ids, kinds, slots, targets, told, validators } = truth

        assert.strictEqual(crawl.info.outcome, "completed")
        // recall and precision of nodes
        const alive = ids.filter((id) => id !== undefined)
        assert.strictEqual(alive.length, 850)
        assert.deepStrictEqual(crawl.nodes.map(({ id }) => id), [...alive].sort())
        // every address, what is there, and nothing else
        const found = new Map(crawl.addresses.map((address) => [`${address.host}:${address.port}`, address]))
        assert.strictEqual(found.size, 1000)
        const expected = {
          open: "open",
          full: "full",
          liar: "open",
          slow: "open",
          blackHole: "timeout",
          refused: "refused"
        }
        for (const [i, kind] of kinds.entries()) {
          const address = found.get(addressOf(i).key)
          assert.strictEqual(address?.status, expected[kind], `${kind} ${i}`)
          assert.strictEqual(address?.nodeId, ids[i])
          // P8: no more dials than attempts, and alive ones once
          if (isAlive(kind)) assert.strictEqual(targets[i]?.accepted(), 1, `dials of ${kind} ${i}`)
          assert.strictEqual(address?.attempts, isAlive(kind) ? 1 : 2)
        }
        // edges are what was told
        const edges = new Set(crawl.edges.map(({ from, host, port }) => `${from} ${host}:${port}`))
        const truly = kinds.flatMap((kind, i) =>
          isAlive(kind) ? told[i]!.map((j) => `${ids[i]} ${addressOf(j).key}`) : []
        )
        assert.deepStrictEqual([...edges].sort(), truly.sort())
        // what SCP told
        const byId = new Map(crawl.nodes.map((node) => [node.id, node]))
        const fresh = crawl.nodes.flatMap(({ slot, slotAt }) => slot === NETWORK_SLOT ? [slotAt!] : [])
        const comparable = fresh.sort((a, b) => a - b)[2]!
        for (const [i, id] of ids.entries()) {
          if (id === undefined) continue
          const node = byId.get(id)!
          assert.strictEqual(node.validating, validators.has(id), `validating ${i}`)
          assert.strictEqual(node.slot, slots[i], `slot ${i}`)
          const lag = slots[i] === undefined ? undefined : NETWORK_SLOT - slots[i]
          // Of the first few there is nobody yet to compare them with.
          if (lag === undefined || node.slotAt! >= comparable) assert.strictEqual(node.lag, lag, `lag ${i}`)
          else assert.include([0, lag], node.lag)
          assert.strictEqual(node.peersRefused, kinds[i] === "liar" ? poison.length - 1 : 0)
          assert.strictEqual(node.version, `${kinds[i]} v${i % 3}`)
          assert.closeTo(node.connectMillis!, 80, 1)
        }
        assert.include(slots, NETWORK_SLOT - LAG)
        // no poison in any table
        const hosts = [...Array.from(crawl.addresses, ({ host }) => host), ...crawl.edges.map(({ host }) => host)]
        for (const host of hosts) assert.isTrue(host.startsWith("11."), host)
        assert.deepStrictEqual(query(filename, "select distinct port from address union select port from edge"), [
          { port: 11625 }
        ])
        assert.strictEqual(progress.refused.Unroutable, 50 * 27)
        assert.strictEqual(progress.nodes, 850)
      }),
    180_000
  )
})
