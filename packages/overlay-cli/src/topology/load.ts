/** Reads a topology from whatever holds one: a network database, survey results, or a topology written before. */
import { CrawlDatabase } from "@stellar-overlay/overlay-sql/CrawlDatabase"
import { NetworkDatabase } from "@stellar-overlay/overlay-sql/NetworkDatabase"
import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import { SurveyDatabase } from "@stellar-overlay/overlay-sql/SurveyDatabase"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import { networkId } from "../net/networkId.ts"
import * as State from "../survey/state.ts"
import { SurveyPlan } from "../survey/SurveyPlan.ts"
import { fromCrawl, fromSurvey, withAddresses } from "./fromDatabase.ts"
import { fromNodeLink } from "./nodeLink.ts"
import * as SurveyJson from "./surveyJson.ts"
import { MAX_EDGES, MAX_NODES, type Topology } from "./Topology.ts"

/** Larger JSON is refused: it is held in memory several times over. */
export const MAX_JSON_BYTES = 268_435_456

/** Why there is no topology, and what to do about it. */
export class LoadError extends Data.TaggedError("LoadError")<{ readonly problem: string; readonly hint: string }> {}

export interface LoadOptions {
  /** Of a database: the crawl or the survey; undefined takes the one that began last. */
  readonly source: "crawl" | "survey" | undefined
  /** Its number; undefined takes the last one. */
  readonly run: number | undefined
  /** Also the addresses of a crawl where nobody could be reached. */
  readonly all: boolean
}

export interface Loaded {
  readonly topology: Topology
  /** Addresses that were left out. */
  readonly leftOut: number
}

const hint = "Give a database of `crawl` or `survey`, the JSON of a survey's results, or a topology in JSON."

const isSqlite = (bytes: Uint8Array): boolean =>
  new TextDecoder("latin1").decode(bytes.subarray(0, 16)) === "SQLite format 3\0"

const fromDatabase = Effect.fnUntraced(function*(
  path: string,
  options: LoadOptions
): Effect.fn.Return<Loaded, LoadError, CrawlDatabase | SurveyDatabase> {
  const fail = (problem: string, what: string) => new LoadError({ problem: `${path}: ${problem}`, hint: what })
  const stored = Effect.mapError((error: { readonly message: string }) => fail(error.message, hint))
  const crawls = yield* CrawlDatabase
  const surveys = yield* SurveyDatabase
  const crawlInfos = yield* stored(crawls.list)
  const surveyInfos = yield* stored(surveys.list)
  const lastCrawl = crawlInfos.at(-1)
  const lastSurvey = surveyInfos.at(-1)
  if (lastCrawl === undefined && lastSurvey === undefined) {
    return yield* fail("no crawl and no survey in it", "Run `stellar-overlay crawl` or `stellar-overlay survey` first.")
  }
  const source = options.source ??
    ((lastSurvey?.startedAt ?? -1) > (lastCrawl?.startedAt ?? -1) ? "survey" as const : "crawl" as const)
  const infos: ReadonlyArray<{ readonly id: number }> = source === "crawl" ? crawlInfos : surveyInfos
  const missing = () =>
    fail(
      options.run === undefined ? `no ${source} in it` : `no ${source} ${options.run} in it`,
      infos.length === 0
        ? `It has ${source === "crawl" ? "surveys" : "crawls"} only.`
        : `It has ${source}s 1 to ${infos.at(-1)!.id}.`
    )
  if (source === "crawl") {
    const crawl = yield* stored(crawls.load(options.run))
    return crawl === undefined ? yield* missing() : fromCrawl(crawl, options.all)
  }
  const survey = yield* stored(surveys.load(options.run))
  if (survey === undefined) return yield* missing()
  const { network, startedAt: collectedAt } = survey.info
  const topology = SurveyJson.toTopology(fromSurvey(survey), { network, collectedAt })
  const crawl = lastCrawl === undefined ? undefined : yield* stored(crawls.load())
  return { topology: crawl === undefined ? topology : withAddresses(topology, crawl), leftOut: 0 }
})

/** Looks before anything is created in somebody's file. */
const isNetworkDatabase = Effect.fnUntraced(function*(): Effect.fn.Return<boolean, never, SqlClient.SqlClient> {
  const sql = yield* SqlClient.SqlClient
  const tables = yield* Effect.option(
    sql<{ readonly name: string }>`select name from sqlite_master where type = 'table' and name in ('crawl', 'survey')`
  )
  return Option.isSome(tables) && tables.value.length > 0
})

const openDatabase = (path: string, options: LoadOptions): Effect.Effect<Loaded, LoadError> => {
  const stores = Layer.merge(CrawlDatabase.layer, SurveyDatabase.layer).pipe(Layer.provide(NetworkDatabase.layer))
  return Effect.gen(function*() {
    if (!(yield* isNetworkDatabase())) {
      return yield* new LoadError({ problem: `${path}: a database without crawls and surveys`, hint })
    }
    return yield* Effect.provide(fromDatabase(path, options), stores)
  }).pipe(
    Effect.provide(NodeSqlite.layer({ filename: path })),
    Effect.catchTag("SqlError", (error) => new LoadError({ problem: `${path}: ${error.message}`, hint }))
  )
}

const parseJson = (text: string): Option.Option<unknown> => {
  try {
    return Option.some(JSON.parse(text))
  } catch {
    return Option.none()
  }
}

const fromJson = (value: unknown): Topology | undefined => {
  const topology = fromNodeLink(value)
  if (topology !== undefined) return topology
  const survey = State.fromJson(value)
  if (survey !== undefined) {
    const { results } = SurveyPlan.restore(survey.nodes, survey.surveyor)
    const network = survey.network === undefined ? undefined : networkId.nameOf(networkId.of(survey.network))
    return SurveyJson.toTopology(results, { collectedAt: survey.startedAt, network })
  }
  const results = SurveyJson.parse(value)
  return results === undefined ? undefined : SurveyJson.toTopology(results)
}

/** Reads a file. */
export const load = Effect.fnUntraced(function*(
  path: string,
  options: LoadOptions
): Effect.fn.Return<Loaded, LoadError, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const fail = (problem: string) => new LoadError({ problem: `${path}: ${problem}`, hint })
  const unreadable = Effect.mapError((error: { readonly message: string }) => fail(error.message))
  const start = yield* unreadable(Effect.scoped(
    Effect.flatMap(files.open(path), (file) => Effect.map(file.readAlloc(16), Option.getOrElse(() => new Uint8Array())))
  ))
  const loaded = isSqlite(start) ? yield* openDatabase(path, options) : yield* Effect.gen(function*() {
    const { size } = yield* unreadable(files.stat(path))
    if (size > MAX_JSON_BYTES) return yield* fail(`larger than ${MAX_JSON_BYTES} bytes`)
    const parsed = parseJson(yield* unreadable(files.readFileString(path)))
    if (Option.isNone(parsed)) return yield* fail("neither a database nor JSON")
    const topology = fromJson(parsed.value)
    if (topology === undefined) return yield* fail("JSON of something else")
    return { topology, leftOut: 0 }
  })
  const { edges, nodes } = loaded.topology
  if (nodes.length === 0) return yield* fail("there is nobody in it")
  if (nodes.length > MAX_NODES || edges.length > MAX_EDGES) {
    return yield* fail(`more than ${MAX_NODES} nodes or ${MAX_EDGES} edges`)
  }
  return loaded
})
