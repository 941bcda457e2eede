/** Crawls, stores and shows. */
import * as CrawlDatabase from "@stellar-overlay/overlay-sql/CrawlDatabase"
import { NetworkDatabase } from "@stellar-overlay/overlay-sql/NetworkDatabase"
import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import * as Crawler from "@stellar-overlay/overlay/Crawler"
import type { CrawlEvent, CrawlOutcome, CrawlState } from "@stellar-overlay/overlay/CrawlerEvents"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import * as NodeResolver from "@stellar-overlay/overlay/NodeResolver"
import { passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import type { StorageError } from "@stellar-overlay/overlay/StorageError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { dirname } from "node:path"
import { ExitCode } from "../ExitCode.ts"
import * as Client from "../net/client.ts"
import { networkId } from "../net/networkId.ts"
import { dim, red, yellow } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { plural } from "../render/units.ts"
import { VERSION } from "../version.ts"
import type { Problem, Settings } from "./settings.ts"
import * as Show from "./show.ts"

const refuse = Effect.fnUntraced(function*({ hint, problem }: Problem) {
  const screen = yield* Screen
  yield* screen.note([[red("error"), `: ${problem}`], ["  ", hint]])
  return ExitCode.Usage as ExitCode
})

const overlayLayer = (settings: Settings, networkPassphrase: string) =>
  NodeOverlay.layer({
    networkPassphrase,
    connectTimeoutMillis: settings.connectTimeoutMillis,
    peerAuthenticationTimeoutSeconds: settings.handshakeTimeoutSeconds,
    listen: false,
    ipv6: settings.limits.ipv6 === true
  })

/** The other well-known networks, to recognize their nodes by. */
const others = (settings: Settings) =>
  Effect.forEach(
    Object.values(passphrases).filter((passphrase) => settings.identify && passphrase !== settings.networkPassphrase),
    (passphrase) => Effect.map(Layer.build(overlayLayer(settings, passphrase)), Context.get(LocalNode))
  )

/** The crawl to write: a new one, or the last one of the network that did not complete. */
const open = Effect.fnUntraced(function*(
  settings: Settings
): Effect.fn.Return<
  { readonly id: number; readonly state: CrawlState | undefined } | Problem,
  StorageError,
  CrawlDatabase.CrawlDatabase
> {
  const database = yield* CrawlDatabase.CrawlDatabase
  const network = networkId.of(settings.networkPassphrase)
  if (!settings.resume) {
    const { limits, listenMillis, maxMillis } = settings
    const id = yield* database.begin({
      networkId: network,
      network: settings.network,
      seeds: settings.seeds.map((seed) => seed.key),
      options: { ...limits, listenMillis, maxMillis },
      version: VERSION
    })
    return { id, state: undefined }
  }
  const crawls = yield* database.list
  const last = crawls.findLast((crawl) => crawl.networkId === network && crawl.outcome !== "completed")
  const state = last === undefined ? undefined : yield* database.resume(last.id)
  if (last === undefined || state === undefined) {
    const problem = crawls.some((crawl) => crawl.networkId === network)
      ? "every crawl of this network in the database is complete"
      : "no crawl of this network is in the database"
    return { problem, hint: "Without --resume a new crawl begins." }
  }
  return { id: last.id, state }
})

/** The crawl of the same network before this one, those that found nobody aside. */
const previous = (infos: ReadonlyArray<CrawlDatabase.CrawlInfo>, id: number): number | undefined => {
  const own = infos.find((info) => info.id === id)
  return infos.findLast((info) => info.id < id && info.networkId === own?.networkId)?.id
}

const compare = Effect.fnUntraced(function*(id: number, json: boolean) {
  const screen = yield* Screen
  const database = yield* CrawlDatabase.CrawlDatabase
  const before = previous(yield* database.list, id)
  const found = before === undefined ? undefined : yield* database.compare(before, id)
  if (found === undefined) {
    if (json) return yield* screen.json([{ event: "comparison", before: null, after: id }])
    return yield* screen.note([[dim("There is no crawl of this network before this one to compare with.")]])
  }
  return json ? yield* screen.json([Show.comparisonJson(found)]) : yield* screen.print(Show.comparison(found))
})

/** The code for a crawl that found nobody: whether anybody answered at all. */
const codeOf = (outcome: CrawlOutcome, progress: ReturnType<Crawler.Crawler["progress"]>): ExitCode => {
  if (outcome === "interrupted") return ExitCode.Interrupted
  if (progress.nodes > 0) return ExitCode.Ok
  const { byStatus } = progress
  const answered = byStatus.closed ?? byStatus.full ?? byStatus.rejected ?? byStatus.violation
    ?? byStatus["wrong-network"]
  return answered === undefined ? ExitCode.Unreachable : ExitCode.Rejected
}

const crawl = Effect.fnUntraced(function*(settings: Settings) {
  const { db, json, limits, listenMillis, maxMillis, seeds } = settings
  const screen = yield* Screen
  const opened = yield* open(settings)
  if ("problem" in opened) return yield* refuse(opened)
  const { id, state } = opened
  const crawler = yield* Crawler.make({
    ...limits,
    seeds,
    listenMillis,
    maxMillis,
    state,
    otherNetworks: yield* others(settings)
  })
  const where = db === undefined ? "in memory" : `crawl ${id} in ${db}`
  yield* json
    ? screen.json([{
      event: state === undefined ? "started" : "resumed",
      crawl: id,
      database: db,
      network: settings.network,
      networkId: networkId.of(settings.networkPassphrase),
      seeds,
      ...crawler.progress()
    }])
    : screen.print([[
      dim(state === undefined ? "crawling: " : "going on: "),
      `${settings.network ?? "private network"} from ${plural(seeds.length, "seed")}, ${where}`,
      ...(state === undefined ? [] : [`, ${plural(crawler.progress().done, "address", "addresses")} done before`])
    ]])
  yield* Client.status(json, () => {
    const progress = crawler.progress()
    return { parts: Show.progressParts(progress), object: progress }
  })

  let ended: CrawlOutcome | undefined
  const see = (events: ReadonlyArray<CrawlEvent>) => {
    for (const event of events) if (event._tag === "CrawlEnded") ended = event.outcome
    return json ? screen.json(events.flatMap((event) => Show.eventJson(event) ?? [])) : Effect.void
  }
  const storing = yield* Effect.forkScoped(CrawlDatabase.store(id, crawler, see))
  const finish = Effect.gen(function*() {
    yield* screen.status(undefined)
    const outcome = ended ?? "interrupted"
    const progress = crawler.progress()
    const { nodes } = crawler.state()
    if (json) yield* screen.json([Show.summaryJson(outcome, progress, nodes)])
    else yield* screen.print([[], ...Show.summary(outcome, progress, nodes, screen.columns())])
    if (outcome !== "completed" && db !== undefined && !json) {
      yield* screen.note([[yellow("not complete"), ": the same command with --resume goes on"]])
    }
    return codeOf(outcome, progress)
  })
  // Ctrl-C: what is known is written before anything else, since there is not much time.
  const stop = Effect.andThen(crawler.stop, Effect.andThen(Fiber.await(storing), finish))
  yield* Effect.onInterrupt(Fiber.join(storing), () => Effect.ignore(stop))
  const code = yield* finish
  if (settings.compare) yield* compare(id, json)
  return code
})

/** Runs a crawl. */
export const run = Effect.fnUntraced(
  function*(settings: Settings) {
    const { db } = settings
    const files = yield* FileSystem.FileSystem
    if (db !== undefined) {
      const isThere = yield* Effect.orElseSucceed(files.exists(db), () => false)
      if (settings.resume && !isThere) {
        return yield* refuse({ problem: `${db} does not exist`, hint: "Without --resume a new crawl begins." })
      }
      // a folder that cannot be made is a file that cannot be opened, which is reported then
      yield* Effect.ignore(files.makeDirectory(dirname(db), { recursive: true }))
    }
    const database = CrawlDatabase.CrawlDatabase.layer.pipe(
      Layer.provide(NetworkDatabase.layerLazy(NodeSqlite.layer({ filename: db ?? ":memory:" })))
    )
    const overlay = Layer.orDie(overlayLayer(settings, settings.networkPassphrase)) // its values were checked with the flags
    const services = yield* Layer.build(Layer.mergeAll(database, overlay, NodeResolver.layer))
    return yield* Effect.provideContext(crawl(settings), services)
  },
  Effect.catchTag("StorageError", ({ message }) =>
    refuse({
      problem: `the database cannot be used: ${message}`,
      hint: "Check the file and the disk; what was stored before is there, and --resume goes on from it."
    }))
)
