/**
 * Crawls in a database: written in batches while they run, so that one that is killed goes on where the last batch ended;
 * read as a whole; and compared with each other.
 *
 * The tables are those of `NetworkMigrations`, explained with example queries in `docs/CRAWL.md`.
 *
 * @since 0.1.0
 */
import type { Crawler } from "@stellar-overlay/overlay/Crawler"
import type {
  CrawlAttempt,
  CrawledNode,
  CrawlEvent,
  CrawlOutcome,
  CrawlState
} from "@stellar-overlay/overlay/CrawlerEvents"
import type { CrawledAddress } from "@stellar-overlay/overlay/protocol/CrawlFrontier"
import type { StorageError } from "@stellar-overlay/overlay/StorageError"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import * as Rows from "./internal/crawlRows.ts"
import { NetworkDatabase } from "./NetworkDatabase.ts"
import type { OverlayDatabaseShape } from "./OverlayDatabase.ts"

/**
 * Rows of one INSERT statement.
 *
 * @category constants
 * @since 0.1.0
 */
export const ROWS_PER_STATEMENT = 250

/**
 * Events of one transaction at most, and how long an event waits for others: what a process that is killed loses.
 *
 * @category constants
 * @since 0.1.0
 */
export const BATCH = { events: 500, millis: 250 } as const

/**
 * What a crawl is, besides what it finds.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlHeader {
  /** The network id in hex, and its name if it is well known. */
  readonly networkId: string
  readonly network: string | undefined
  /** As given. */
  readonly seeds: ReadonlyArray<string>
  /** Limits and other choices; goes through JSON. */
  readonly options: Readonly<Record<string, unknown>>
  /** The program that crawls. */
  readonly version: string
}

/**
 * A crawl without its findings. Times are Unix milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlInfo extends CrawlHeader {
  /** Counts the crawls of a database from 1. */
  readonly id: number
  readonly startedAt: number
  readonly updatedAt: number
  readonly endedAt: number | undefined
  /** `running` also for one that was killed. */
  readonly outcome: CrawlOutcome | "running"
  /** Milliseconds of crawling, all runs together. */
  readonly activeMillis: number
}

/**
 * That a node told an address: it knew of it, which is no connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlEdge {
  readonly from: NodeId
  readonly host: string
  readonly port: number
  /** The node that proved itself there in this crawl, if one did. */
  readonly to: NodeId | undefined
  readonly seenAt: number
}

/**
 * A crawl and all it found. Nodes are in the order of their ids; addresses and edges in that of their hosts and ports.
 *
 * @category models
 * @since 0.1.0
 */
export interface Crawl {
  readonly info: CrawlInfo
  readonly nodes: ReadonlyArray<CrawledNode>
  readonly addresses: ReadonlyArray<CrawledAddress>
  readonly edges: ReadonlyArray<CrawlEdge>
}

/**
 * A value that differs between two crawls.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlChange<A> {
  readonly id: NodeId
  readonly before: A
  readonly after: A
}

/**
 * What is different between two crawls, in the order of node ids. A node that neither has in common is in `appeared` or
 * `gone`; `gone` of a crawl that did not complete may only not have been reached.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlComparison {
  readonly before: CrawlInfo
  readonly after: CrawlInfo
  readonly appeared: ReadonlyArray<CrawledNode>
  readonly gone: ReadonlyArray<CrawledNode>
  readonly versions: ReadonlyArray<CrawlChange<string>>
  /** Reachability. */
  readonly statuses: ReadonlyArray<CrawlChange<CrawledNode["status"]>>
  readonly validating: ReadonlyArray<CrawlChange<boolean>>
  /** Where the node proved itself, sorted. */
  readonly addresses: ReadonlyArray<CrawlChange<ReadonlyArray<string>>>
  /** Nodes of both without any difference. */
  readonly unchanged: number
}

interface CrawlRow {
  readonly id: number | string
  readonly network_id: string
  readonly network: string | null
  readonly started_at: number | string
  readonly updated_at: number | string
  readonly ended_at: number | string | null
  readonly outcome: string
  readonly active_millis: number | string
  readonly seeds: string
  readonly options: string
  readonly version: string
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // what somebody else wrote there is no reason not to read the crawl
  }
}

const infoOf = (row: CrawlRow): CrawlInfo => {
  const { outcome } = row
  const seeds = parse(row.seeds)
  const options = parse(row.options)
  return {
    id: Number(row.id),
    networkId: row.network_id,
    network: row.network ?? undefined,
    startedAt: Number(row.started_at),
    updatedAt: Number(row.updated_at),
    endedAt: Rows.number(row.ended_at),
    outcome: outcome === "completed" || outcome === "time-limit" || outcome === "interrupted" ? outcome : "running",
    activeMillis: Number(row.active_millis),
    seeds: Array.isArray(seeds) ? seeds.filter((seed) => typeof seed === "string") : [],
    options: typeof options === "object" && options !== null ? { ...options } : {},
    version: row.version
  }
}

/** What a batch of events leaves in the tables: the last record of each thing, in the order of their first. */
class Changes {
  readonly addresses = new Map<string, CrawledAddress>()
  readonly attempts = new Map<string, CrawlAttempt>()
  readonly nodes = new Map<NodeId, CrawledNode>()
  readonly edges = new Map<string, CrawlEdge>()
  end: Extract<CrawlEvent, { readonly _tag: "CrawlEnded" }> | undefined

  constructor(events: Iterable<CrawlEvent>) {
    for (const event of events) {
      switch (event._tag) {
        case "AddressFound":
        case "AddressSkipped":
          this.address(event.address)
          break
        case "AttemptEnded":
          this.attempts.set(`${event.attempt.host} ${event.attempt.port} ${event.attempt.number}`, event.attempt)
          this.address(event.address)
          break
        case "NodeSeen":
          this.nodes.set(event.node.id, event.node)
          break
        case "PeersTold":
          for (const { host, port } of event.addresses) {
            const edge = { from: event.nodeId, host, port, to: undefined, seenAt: Math.round(event.at) }
            this.edges.set(`${event.nodeId} ${host} ${port}`, edge)
          }
          break
        case "CrawlEnded":
          this.end = event
      }
    }
  }

  private address(address: CrawledAddress): void {
    this.addresses.set(`${address.host} ${address.port}`, address)
  }
}

const inChunks = <A, E>(
  values: Iterable<A>,
  insert: (chunk: Arr.NonEmptyReadonlyArray<A>) => Effect.Effect<unknown, E>
): Effect.Effect<void, E> => Effect.forEach(Arr.chunksOf([...values], ROWS_PER_STATEMENT), insert, { discard: true })

const writeAll = (
  sql: SqlClient.SqlClient,
  crawlId: number,
  changes: Changes,
  activeMillis: number,
  now: number
): Effect.Effect<void, SqlError> =>
  sql.withTransaction(Effect.gen(function*() {
    yield* inChunks(changes.nodes.values(), (nodes) =>
      sql`insert into node ${
        sql.insert(Arr.map(nodes, (node) => Rows.nodeRow(crawlId, node)))
      }
        on conflict (crawl_id, node_id) do update set status = excluded.status, version = excluded.version,
        overlay_version = excluded.overlay_version, overlay_min_version = excluded.overlay_min_version,
        ledger_version = excluded.ledger_version, listening_port = excluded.listening_port,
        clock_skew_seconds = excluded.clock_skew_seconds, first_seen_at = excluded.first_seen_at,
        last_seen_at = excluded.last_seen_at, connect_millis = excluded.connect_millis,
        handshake_millis = excluded.handshake_millis, ping_millis = excluded.ping_millis, slot = excluded.slot,
        slot_at = excluded.slot_at, lag = excluded.lag, validating = excluded.validating,
        validated_slot = excluded.validated_slot, peers_told = excluded.peers_told,
        peers_refused = excluded.peers_refused`)
    yield* inChunks(changes.addresses.values(), (addresses) =>
      sql`insert into address ${
        sql.insert(Arr.map(addresses, (address) => Rows.addressRow(crawlId, address)))
      }
        on conflict (crawl_id, host, port) do update set status = excluded.status, node_id = excluded.node_id,
        seed = excluded.seed, depth = excluded.depth, source = excluded.source, found_at = excluded.found_at,
        attempts = excluded.attempts, last_attempt_at = excluded.last_attempt_at,
        next_attempt_at = excluded.next_attempt_at, done = excluded.done`)
    yield* inChunks(changes.attempts.values(), (attempts) =>
      sql`insert into attempt ${
        sql.insert(Arr.map(attempts, (attempt) => Rows.attemptRow(crawlId, attempt)))
      }
        on conflict (crawl_id, host, port, number) do update set started_at = excluded.started_at,
        ended_at = excluded.ended_at, status = excluded.status, reason = excluded.reason, detail = excluded.detail,
        node_id = excluded.node_id, network_id = excluded.network_id, connect_millis = excluded.connect_millis,
        handshake_millis = excluded.handshake_millis, ping_millis = excluded.ping_millis`)
    yield* inChunks(changes.edges.values(), (edges) =>
      sql`insert into edge ${
        sql.insert(Arr.map(edges, ({ from, host, port, seenAt }) => (
          { crawl_id: crawlId, node_id: from, host, port, seen_at: seenAt }
        )))
      } on conflict (crawl_id, node_id, host, port) do nothing`)
    const { end } = changes
    yield* end === undefined
      ? sql`update crawl set updated_at = ${now}, active_millis = ${activeMillis} where id = ${crawlId}`
      : sql`update crawl set updated_at = ${now}, active_millis = ${Math.round(end.progress.activeMillis)},
          outcome = ${end.outcome}, ended_at = ${Math.round(end.at)} where id = ${crawlId}`
  }))

const nodesOf = (sql: SqlClient.SqlClient, id: number) =>
  Effect.map(
    sql<Rows.NodeRow>`select * from node where crawl_id = ${id} order by node_id`,
    (rows) => Rows.decodeAll(rows, Rows.nodeOf)
  )

const addressesOf = (sql: SqlClient.SqlClient, id: number) =>
  Effect.map(
    sql<Rows.AddressRow>`select * from address where crawl_id = ${id} order by host, port`,
    (rows) => Rows.decodeAll(rows, Rows.addressOf)
  )

interface EdgeRow {
  readonly node_id: string
  readonly host: string
  readonly port: number | string
  readonly target: string | null
  readonly seen_at: number | string
}

const edgeOf = (row: EdgeRow): CrawlEdge | undefined => {
  const from = Rows.idOf(row.node_id)
  if (from === undefined) return undefined
  return { from, host: row.host, port: Number(row.port), to: Rows.idOf(row.target), seenAt: Number(row.seen_at) }
}

const edgesOf = (sql: SqlClient.SqlClient, id: number) =>
  Effect.map(
    sql<EdgeRow>`select edge.node_id, edge.host, edge.port, edge.seen_at, address.node_id as target from edge
      left join address on address.crawl_id = edge.crawl_id and address.host = edge.host and address.port = edge.port
      where edge.crawl_id = ${id} order by edge.node_id, edge.host, edge.port`,
    (rows) => Rows.decodeAll(rows, edgeOf)
  )

const infosOf = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<CrawlRow>`select * from crawl order by id`, (rows) => rows.map(infoOf))

/**
 * What can be done with crawls in a database. Every failure is a `StorageError`.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlDatabaseShape {
  /** All crawls, the first one first. */
  readonly list: Effect.Effect<ReadonlyArray<CrawlInfo>, StorageError>
  /** A new crawl, running; its number. */
  readonly begin: (header: CrawlHeader) => Effect.Effect<number, StorageError>
  /**
   * Marks a crawl as running again and gives what `Crawler.make` needs to go on with it; undefined when there is no such
   * crawl.
   */
  readonly resume: (crawlId: number) => Effect.Effect<CrawlState | undefined, StorageError>
  /** Stores events, all or none; `activeMillis` is that of the crawl's progress. */
  readonly write: (
    crawlId: number,
    events: Iterable<CrawlEvent>,
    activeMillis: number
  ) => Effect.Effect<void, StorageError>
  /** A crawl with its findings, the last one unless given; undefined when there is none. */
  readonly load: (crawlId?: number) => Effect.Effect<Crawl | undefined, StorageError>
  /** What is different between two crawls; undefined when one of them does not exist. */
  readonly compare: (before: number, after: number) => Effect.Effect<CrawlComparison | undefined, StorageError>
}

const make = (database: OverlayDatabaseShape): CrawlDatabaseShape => {
  const load: CrawlDatabaseShape["load"] = (crawlId) =>
    database.use("load", (sql) =>
      sql.withTransaction(Effect.gen(function*() {
        const infos = yield* infosOf(sql)
        const info = crawlId === undefined ? infos.at(-1) : infos.find(({ id }) => id === crawlId)
        if (info === undefined) return undefined
        return {
          info,
          nodes: yield* nodesOf(sql, info.id),
          addresses: yield* addressesOf(sql, info.id),
          edges: yield* edgesOf(sql, info.id)
        }
      })))
  return {
    list: database.use("list", infosOf),
    begin: (header) =>
      database.use("begin", (sql) =>
        sql.withTransaction(Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          const id = ((yield* infosOf(sql)).at(-1)?.id ?? 0) + 1
          yield* sql`insert into crawl ${
            sql.insert({
              id,
              network_id: header.networkId,
              network: header.network ?? null,
              started_at: now,
              updated_at: now,
              seeds: JSON.stringify(header.seeds),
              options: JSON.stringify(header.options),
              version: header.version
            })
          }`
          return id
        }))),
    resume: (crawlId) =>
      database.use("resume", (sql) =>
        sql.withTransaction(Effect.gen(function*() {
          const info = (yield* infosOf(sql)).find(({ id }) => id === crawlId)
          if (info === undefined) return undefined
          yield* sql`update crawl set outcome = 'running', ended_at = null where id = ${crawlId}`
          const { activeMillis, startedAt } = info
          return {
            startedAt,
            activeMillis,
            addresses: yield* addressesOf(sql, crawlId),
            nodes: yield* nodesOf(sql, crawlId)
          }
        }))),
    write: (crawlId, events, activeMillis) =>
      database.use("write", (sql) =>
        Effect.flatMap(
          Clock.currentTimeMillis,
          (now) => writeAll(sql, crawlId, new Changes(events), Math.round(activeMillis), now)
        )),
    load,
    compare: Effect.fnUntraced(function*(before, after) {
      const [older, newer] = [yield* load(before), yield* load(after)]
      return older === undefined || newer === undefined ? undefined : compareCrawls(older, newer)
    })
  }
}

/**
 * What is different between two crawls that were loaded.
 *
 * @category combinators
 * @since 0.1.0
 */
export const compareCrawls = (before: Crawl, after: Crawl): CrawlComparison => {
  const old = new Map(before.nodes.map((node) => [node.id, node]))
  const places = [placesOf(before), placesOf(after)] as const
  const placeOf = (which: 0 | 1, id: NodeId): ReadonlyArray<string> => places[which].get(id) ?? []
  const appeared: Array<CrawledNode> = []
  const versions: Array<CrawlChange<string>> = []
  const statuses: Array<CrawlChange<CrawledNode["status"]>> = []
  const validating: Array<CrawlChange<boolean>> = []
  const addresses: Array<CrawlChange<ReadonlyArray<string>>> = []
  let unchanged = 0
  for (const node of after.nodes) {
    const { id } = node
    const was = old.get(id)
    if (was === undefined) {
      appeared.push(node)
      continue
    }
    old.delete(id)
    const [here, there] = [placeOf(0, id), placeOf(1, id)]
    const changed = [
      was.version !== node.version && versions.push({ id, before: was.version, after: node.version }),
      was.status !== node.status && statuses.push({ id, before: was.status, after: node.status }),
      was.validating !== node.validating && validating.push({ id, before: was.validating, after: node.validating }),
      here.join() !== there.join() && addresses.push({ id, before: here, after: there })
    ]
    if (changed.every((one) => one === false)) unchanged++
  }
  const { info } = after
  return {
    before: before.info,
    after: info,
    appeared,
    gone: [...old.values()],
    versions,
    statuses,
    validating,
    addresses,
    unchanged
  }
}

/** Where each node proved itself. */
const placesOf = (crawl: Crawl): ReadonlyMap<NodeId, ReadonlyArray<string>> => {
  const places = new Map<NodeId, Array<string>>()
  for (const { host, nodeId, port } of crawl.addresses) {
    if (nodeId === undefined) continue
    const text = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
    const known = places.get(nodeId)
    if (known === undefined) places.set(nodeId, [text])
    else known.push(text)
  }
  for (const list of places.values()) list.sort()
  return places
}

/** While another process holds the file: its transactions are short. */
const untilFree = Schedule.upTo(Schedule.spaced(50), { times: 200 })

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class CrawlDatabase extends Context.Service<CrawlDatabase, CrawlDatabaseShape>()(
  "@stellar-overlay/overlay-sql/CrawlDatabase"
) {
  /**
   * Over the network database of the context.
   *
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<CrawlDatabase, never, NetworkDatabase> = Layer.effect(
    this,
    Effect.map(NetworkDatabase, make)
  )
}

/**
 * Stores a crawl as it runs, until it has ended; `onEvents` sees each batch once it is stored. Waits while another
 * process holds the file, for ten seconds at most. Fails with the first batch that cannot be stored, and nothing after it
 * is.
 *
 * **Example** (A crawl that can be killed)
 *
 * ```ts
 * import * as CrawlDatabase from "@stellar-overlay/overlay-sql/CrawlDatabase"
 * import * as Crawler from "@stellar-overlay/overlay/Crawler"
 * import { Effect } from "effect"
 *
 * export const goOn = Effect.fnUntraced(function*(crawlId: number) {
 *   const database = yield* CrawlDatabase.CrawlDatabase
 *   const state = yield* database.resume(crawlId)
 *   const crawler = yield* Crawler.make({ seeds: [], state })
 *   yield* CrawlDatabase.store(crawlId, crawler)
 * })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const store = Effect.fnUntraced(function*<R = never>(
  crawlId: number,
  crawler: Crawler,
  onEvents: (events: ReadonlyArray<CrawlEvent>) => Effect.Effect<void, never, R> = () => Effect.void
): Effect.fn.Return<void, StorageError, CrawlDatabase | R> {
  const database = yield* CrawlDatabase
  yield* Stream.runForEach(
    Stream.groupedWithin(crawler.events, BATCH.events, BATCH.millis),
    (events) =>
      database.write(crawlId, events, crawler.progress().activeMillis).pipe(
        Effect.retry({ schedule: untilFree, while: ({ reason }) => reason === "Locked" }),
        Effect.andThen(onEvents(events))
      )
  )
})
