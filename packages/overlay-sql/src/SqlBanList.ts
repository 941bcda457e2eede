/**
 * `BanList` whose bans are kept in a SQL database: SQLite, or PostgreSQL with the same statements.
 *
 * Implements the table of protocol.md section 11 (stellar-core: `BanManagerImpl`), in `Migrations`.
 *
 * @since 0.1.0
 */
import {
  type Ban,
  BanList,
  type BanListOptions,
  type BanStore,
  make as makeBanList
} from "@stellar-overlay/overlay/BanList"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as SqlClient from "effect/sql/SqlClient"
import { OverlayDatabase, type OverlayDatabaseShape } from "./OverlayDatabase.ts"

/**
 * Bans of one INSERT statement.
 *
 * @category constants
 * @since 0.1.0
 */
export const ROWS_PER_STATEMENT = 250

/** A row as the drivers return it: a bigint column is a number with SQLite and text with PostgreSQL. */
interface Row {
  readonly nodeid: string
  readonly until: number | string | null
  readonly reason: string
}

const decodeAll = (rows: ReadonlyArray<Row>): ReadonlyArray<Ban> => {
  const out: Array<Ban> = []
  for (const row of rows) {
    const nodeId = NodeId.parse(row.nodeid)
    const untilMillis = row.until === null ? undefined : Number(row.until)
    // a row that somebody else wrote and that makes no sense bans nobody
    if (Result.isFailure(nodeId) || (untilMillis !== undefined && !Number.isSafeInteger(untilMillis))) continue
    out.push({ nodeId: nodeId.success, untilMillis, reason: row.reason })
  }
  return out
}

const encode = (ban: Ban) => ({
  nodeid: ban.nodeId,
  until: ban.untilMillis === undefined ? null : Math.round(ban.untilMillis),
  reason: ban.reason
})

/**
 * The store alone, for a `BanList` made by hand.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeStore = (database: OverlayDatabaseShape): BanStore => ({
  loadAll: database.use("loadAll", (sql) => Effect.map(sql<Row>`select * from ban order by nodeid`, decodeAll)),
  write: ({ put, remove }) =>
    database.use("write", (sql) =>
      sql.withTransaction(Effect.gen(function*() {
        for (const nodeId of remove) yield* sql`delete from ban where nodeid = ${nodeId}`
        for (const rows of Arr.chunksOf(put, ROWS_PER_STATEMENT)) {
          yield* sql`insert into ban ${sql.insert(Arr.map(rows, encode))}
            on conflict (nodeid) do update set until = excluded.until, reason = excluded.reason`
        }
      })))
})

/**
 * The list over an `OverlayDatabase`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDatabase = (options?: Partial<BanListOptions>): Layer.Layer<BanList, never, OverlayDatabase> =>
  Layer.effect(BanList, Effect.flatMap(OverlayDatabase, (database) => makeBanList(makeStore(database), options)))

/**
 * The list over the `SqlClient` of the context, with the default options.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<BanList, never, SqlClient.SqlClient> = Layer.provide(
  layerDatabase(),
  OverlayDatabase.layer
)
