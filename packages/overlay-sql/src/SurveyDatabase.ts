/**
 * Surveys in a database, beside the crawls: what each surveyed node said about itself and its connections, written as
 * answers come, so that a survey that was cut short can go on.
 *
 * The tables are those of `NetworkMigrations` (protocol.md 12.3 and 12.6), explained in `docs/CRAWL.md`.
 *
 * @since 0.1.0
 */
import type { SurveyedNode, SurveyedPeer } from "@stellar-overlay/overlay/protocol/SurveyBody"
import type { StorageError } from "@stellar-overlay/overlay/StorageError"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"
import { decodeAll, idOf, number } from "./internal/crawlRows.ts"
import * as Rows from "./internal/surveyRows.ts"
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
 * Where a survey is: nodes collect; answers come in; all that could be had is there; or it was cut short.
 *
 * @category models
 * @since 0.1.0
 */
export type SurveyRunPhase = "collecting" | "reporting" | "completed" | "interrupted"

/**
 * What a survey is, besides what it finds.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyHeader {
  /** The network id in hex, and its name if it is well known. */
  readonly networkId: string
  readonly network: string | undefined
  readonly surveyorId: NodeId
  /** A number of 32 bits. */
  readonly nonce: number
  /** The nodes it goes through, as given. */
  readonly via: ReadonlyArray<string>
  /** Choices; goes through JSON. */
  readonly options: Readonly<Record<string, unknown>>
  /** The program that surveys. */
  readonly version: string
}

/**
 * A survey without its findings. Times are Unix milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyInfo extends SurveyHeader {
  /** Counts the surveys of a database from 1. */
  readonly id: number
  readonly phase: SurveyRunPhase
  readonly startedAt: number
  /** When collecting ended. */
  readonly stoppedAt: number | undefined
  readonly updatedAt: number
  readonly endedAt: number | undefined
}

/**
 * What became of asking a node: it is to be asked, was asked, answered (with at least its first page), answered something
 * that could not be read, or did not answer in time.
 *
 * @category models
 * @since 0.1.0
 */
export type SurveyNodeStatus = "backlog" | "requested" | "answered" | "bad-response" | "silent"

const nodeStatuses: ReadonlyArray<string> = ["backlog", "requested", "answered", "bad-response", "silent"]
const isNodeStatus = (text: string): text is SurveyNodeStatus => nodeStatuses.includes(text)

/**
 * A node of a survey. Times are Unix milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyNodeRecord {
  readonly id: NodeId
  readonly status: SurveyNodeStatus
  readonly requestedAt: number | undefined
  readonly answeredAt: number | undefined
  /** Requests sent, those for further pages included. */
  readonly requests: number
  /** What it said about itself; undefined before it answered. */
  readonly node: SurveyedNode | undefined
}

/**
 * One connection as one of its ends tells it. Counters above 2^53 - 1 are stored as that.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyEdgeRecord {
  /** Who said so. */
  readonly node: NodeId
  /** `outbound` when that node dialled the peer. */
  readonly direction: "inbound" | "outbound"
  readonly peer: SurveyedPeer
}

/**
 * A survey and all it found, in the order of node ids.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredSurvey {
  readonly info: SurveyInfo
  readonly nodes: ReadonlyArray<SurveyNodeRecord>
  readonly edges: ReadonlyArray<SurveyEdgeRecord>
}

/**
 * What can be done with surveys in a database. Every failure is a `StorageError`.
 *
 * @category models
 * @since 0.1.0
 */
export interface SurveyDatabaseShape {
  /** All surveys, the first one first. */
  readonly list: Effect.Effect<ReadonlyArray<SurveyInfo>, StorageError>
  /** A new survey, collecting; its number. */
  readonly begin: (header: SurveyHeader) => Effect.Effect<number, StorageError>
  /** Notes the phase and when it began: `reporting` is the end of collecting, the last two end the survey. */
  readonly setPhase: (surveyId: number, phase: SurveyRunPhase) => Effect.Effect<void, StorageError>
  /**
   * Inserts or replaces nodes and edges, all or none. An edge that its node told before is replaced by the new one;
   * others stay, so that pages add up.
   */
  readonly write: (surveyId: number, found: {
    readonly nodes?: Iterable<SurveyNodeRecord> | undefined
    readonly edges?: Iterable<SurveyEdgeRecord> | undefined
  }) => Effect.Effect<void, StorageError>
  /** A survey with its findings, the last one unless given; undefined when there is none. */
  readonly load: (surveyId?: number) => Effect.Effect<StoredSurvey | undefined, StorageError>
}

interface SurveyRow {
  readonly id: number | string
  readonly network_id: string
  readonly network: string | null
  readonly surveyor_id: string
  readonly nonce: number | string
  readonly via: string
  readonly started_at: number | string
  readonly stopped_at: number | string | null
  readonly updated_at: number | string
  readonly ended_at: number | string | null
  readonly phase: string
  readonly options: string
  readonly version: string
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // what somebody else wrote there is no reason not to read the survey
  }
}

const infoOf = (row: SurveyRow): SurveyInfo | undefined => {
  const surveyorId = idOf(row.surveyor_id)
  if (surveyorId === undefined) return undefined
  const { phase } = row
  const via = parse(row.via)
  const options = parse(row.options)
  return {
    id: Number(row.id),
    networkId: row.network_id,
    network: row.network ?? undefined,
    surveyorId,
    nonce: Number(row.nonce),
    via: Array.isArray(via) ? via.filter((one) => typeof one === "string") : [],
    options: typeof options === "object" && options !== null ? { ...options } : {},
    version: row.version,
    phase: phase === "collecting" || phase === "reporting" || phase === "completed" ? phase : "interrupted",
    startedAt: Number(row.started_at),
    stoppedAt: number(row.stopped_at),
    updatedAt: Number(row.updated_at),
    endedAt: number(row.ended_at)
  }
}

interface NodeRow extends Rows.NodeRow {
  readonly node_id: string
  readonly status: string
  readonly requested_at: number | string | null
  readonly answered_at: number | string | null
  readonly requests: number | string
}

const nodeOf = (row: NodeRow): SurveyNodeRecord | undefined => {
  const id = idOf(row.node_id)
  if (id === undefined || !isNodeStatus(row.status)) return undefined
  return {
    id,
    status: row.status,
    requestedAt: number(row.requested_at),
    answeredAt: number(row.answered_at),
    requests: Number(row.requests),
    node: Rows.nodeOf(row)
  }
}

type EdgeRow = Rows.PeerRow & { readonly node_id: string; readonly direction: string }

const edgeOf = (row: EdgeRow): SurveyEdgeRecord | undefined => {
  const node = idOf(row.node_id)
  const peer = Rows.peerOf(row)
  if (node === undefined || peer === undefined) return undefined
  return { node, direction: row.direction === "inbound" ? "inbound" : "outbound", peer }
}

const infosOf = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<SurveyRow>`select * from survey order by id`, (rows) => decodeAll(rows, infoOf))

const make = (database: OverlayDatabaseShape): SurveyDatabaseShape => ({
  list: database.use("list", infosOf),
  begin: (header) =>
    database.use("begin", (sql) =>
      sql.withTransaction(Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const [last] = yield* sql<{ readonly id: number | string | null }>`select max(id) as id from survey`
        const id = Number(last?.id ?? 0) + 1
        yield* sql`insert into survey ${
          sql.insert({
            id,
            network_id: header.networkId,
            network: header.network ?? null,
            surveyor_id: header.surveyorId,
            nonce: header.nonce,
            via: JSON.stringify(header.via),
            started_at: now,
            updated_at: now,
            options: JSON.stringify(header.options),
            version: header.version
          })
        }`
        return id
      }))),
  setPhase: (surveyId, phase) =>
    database.use("setPhase", (sql) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const ended = phase === "completed" || phase === "interrupted" ? now : null
        const stopped = phase === "collecting" ? null : now
        return Effect.asVoid(sql`update survey set phase = ${phase}, updated_at = ${now}, ended_at = ${ended},
          stopped_at = coalesce(stopped_at, ${stopped}) where id = ${surveyId}`)
      })),
  write: (surveyId, { edges = [], nodes = [] }) =>
    database.use("write", (sql) =>
      sql.withTransaction(Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const lastNodes = new Map([...nodes].map((record) => [record.id, record]))
        for (const records of Arr.chunksOf([...lastNodes.values()], ROWS_PER_STATEMENT)) {
          const rows = Arr.map(records, ({ answeredAt, id, node, requestedAt, requests, status }) => ({
            survey_id: surveyId,
            node_id: id,
            status,
            requested_at: requestedAt ?? null,
            answered_at: answeredAt ?? null,
            requests,
            ...Rows.nodeRow(node)
          }))
          yield* sql`insert into survey_node ${sql.insert(rows)} on conflict (survey_id, node_id) do update set
            status = excluded.status, requested_at = excluded.requested_at, answered_at = excluded.answered_at,
            requests = excluded.requests, added_authenticated_peers = excluded.added_authenticated_peers,
            dropped_authenticated_peers = excluded.dropped_authenticated_peers,
            total_inbound_peer_count = excluded.total_inbound_peer_count,
            total_outbound_peer_count = excluded.total_outbound_peer_count,
            p75_scp_first_to_self_latency_ms = excluded.p75_scp_first_to_self_latency_ms,
            p75_scp_self_to_other_latency_ms = excluded.p75_scp_self_to_other_latency_ms,
            lost_sync_count = excluded.lost_sync_count, is_validator = excluded.is_validator,
            max_inbound_peer_count = excluded.max_inbound_peer_count,
            max_outbound_peer_count = excluded.max_outbound_peer_count`
        }
        const lastEdges = new Map([...edges].map((edge) => [`${edge.node} ${edge.direction} ${edge.peer.id}`, edge]))
        for (const records of Arr.chunksOf([...lastEdges.values()], ROWS_PER_STATEMENT)) {
          const rows = Arr.map(records, ({ direction, node, peer }) => ({
            survey_id: surveyId,
            node_id: node,
            direction,
            ...Rows.peerRow(peer)
          }))
          yield* sql`insert into survey_edge ${sql.insert(rows)}
            on conflict (survey_id, node_id, direction, peer_id) do update set version = excluded.version,
            messages_read = excluded.messages_read, messages_written = excluded.messages_written,
            bytes_read = excluded.bytes_read, bytes_written = excluded.bytes_written,
            seconds_connected = excluded.seconds_connected,
            unique_flood_bytes_recv = excluded.unique_flood_bytes_recv,
            duplicate_flood_bytes_recv = excluded.duplicate_flood_bytes_recv,
            unique_fetch_bytes_recv = excluded.unique_fetch_bytes_recv,
            duplicate_fetch_bytes_recv = excluded.duplicate_fetch_bytes_recv,
            unique_flood_message_recv = excluded.unique_flood_message_recv,
            duplicate_flood_message_recv = excluded.duplicate_flood_message_recv,
            unique_fetch_message_recv = excluded.unique_fetch_message_recv,
            duplicate_fetch_message_recv = excluded.duplicate_fetch_message_recv,
            average_latency_ms = excluded.average_latency_ms`
        }
        yield* sql`update survey set updated_at = ${now} where id = ${surveyId}`
      }))),
  load: (surveyId) =>
    database.use("load", (sql) =>
      sql.withTransaction(Effect.gen(function*() {
        const infos = yield* infosOf(sql)
        const info = surveyId === undefined ? infos.at(-1) : infos.find(({ id }) => id === surveyId)
        if (info === undefined) return undefined
        const { id } = info
        const nodes = yield* sql<NodeRow>`select * from survey_node where survey_id = ${id} order by node_id`
        const edges = yield* sql<EdgeRow>`select * from survey_edge where survey_id = ${id}
          order by node_id, direction, peer_id`
        return { info, nodes: decodeAll(nodes, nodeOf), edges: decodeAll(edges, edgeOf) }
      })))
})

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class SurveyDatabase extends Context.Service<SurveyDatabase, SurveyDatabaseShape>()(
  "@stellar-overlay/overlay-sql/SurveyDatabase"
) {
  /**
   * Over the network database of the context.
   *
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<SurveyDatabase, never, NetworkDatabase> = Layer.effect(
    this,
    Effect.map(NetworkDatabase, make)
  )
}
