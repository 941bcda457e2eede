/**
 * `PeerStore` in a SQL database: SQLite, or PostgreSQL with the same statements.
 *
 * Implements the table of protocol.md 10.1 (stellar-core: `PeerManager`), in `Migrations`.
 *
 * @since 0.1.0
 */
import {
  type PeerQuery,
  type PeerRecord,
  PeerStore,
  type PeerStoreShape,
  PeerType
} from "@stellar-overlay/overlay/PeerStore"
import { drawIndex } from "@stellar-overlay/overlay/protocol/PeerSelection"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as SqlClient from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import { OverlayDatabase, type OverlayDatabaseShape } from "./OverlayDatabase.ts"

/**
 * Rows of one INSERT statement. With 8 columns this stays far below the 32 766 parameters of SQLite and the 65 535 of
 * PostgreSQL.
 *
 * @category constants
 * @since 0.1.0
 */
export const ROWS_PER_STATEMENT = 250

/** A row as the drivers return it: bigint columns are numbers with SQLite and text with PostgreSQL. */
interface Row {
  readonly ip: string
  readonly port: number
  readonly nextattempt: number | string
  readonly numfailures: number
  readonly type: number
  readonly lastsuccess: number | string
  readonly source: string
  readonly anchor: number
}

const types: ReadonlyArray<PeerType> = [PeerType.Inbound, PeerType.Outbound, PeerType.Preferred]

/** Undefined for a row that somebody else wrote and that makes no sense; the node goes on without it. */
const decode = (row: Row): PeerRecord | undefined => {
  const address = PeerAddress.parse(row.ip.includes(":") ? `[${row.ip}]:${row.port}` : `${row.ip}:${row.port}`)
  const type = types[row.type]
  const nextAttemptMillis = Number(row.nextattempt)
  const lastSuccessMillis = Number(row.lastsuccess)
  const isGood = Result.isSuccess(address) && type !== undefined && Number.isSafeInteger(nextAttemptMillis)
    && Number.isSafeInteger(lastSuccessMillis) && Number.isSafeInteger(row.numfailures)
  if (!isGood) return undefined
  return {
    address: address.success,
    type,
    numFailures: row.numfailures,
    nextAttemptMillis,
    lastSuccessMillis,
    source: row.source,
    anchor: row.anchor !== 0
  }
}

const decodeAll = (rows: ReadonlyArray<Row>): ReadonlyArray<PeerRecord> => {
  const out: Array<PeerRecord> = []
  for (const row of rows) {
    const record = decode(row)
    if (record !== undefined) out.push(record)
  }
  return out
}

const encode = (record: PeerRecord) => ({
  ip: record.address.host,
  port: record.address.port,
  nextattempt: Math.round(record.nextAttemptMillis),
  numfailures: record.numFailures,
  type: record.type,
  lastsuccess: Math.round(record.lastSuccessMillis),
  source: record.source,
  anchor: record.anchor ? 1 : 0
})

/** The conditions of `PeerSelection.matches`, as SQL. */
const conditions = (sql: SqlClient.SqlClient, query: PeerQuery, nowMillis: number): Fragment =>
  sql.and([
    query.type === "AnyOutbound" ? sql`type <> ${PeerType.Inbound}` : sql`type = ${query.type}`,
    ...(query.maxFailures === undefined ? [] : [sql`numfailures <= ${query.maxFailures}`]),
    ...(query.due ? [sql`nextattempt <= ${nowMillis}`] : [])
  ])

const countOf = (rows: ReadonlyArray<{ readonly n: number | string }>): number => Number(rows[0]?.n ?? 0)

const make = (database: OverlayDatabaseShape): PeerStoreShape => ({
  loadAll: (limit) =>
    database.use("loadAll", (sql) =>
      Effect.map(
        sql<Row>`select * from peers order by lastsuccess desc, numfailures, ip, port limit ${limit}`,
        decodeAll
      )),
  load: ({ host, port }) =>
    database.use(
      "load",
      (sql) =>
        Effect.map(sql<Row>`select * from peers where ip = ${host} and port = ${port}`, (rows) => decodeAll(rows)[0])
    ),
  write: ({ put, remove }) =>
    put.length + remove.length === 0 ?
      Effect.void :
      database.use("write", (sql) =>
        sql.withTransaction(Effect.gen(function*() {
          for (const { host, port } of remove) yield* sql`delete from peers where ip = ${host} and port = ${port}`
          for (const rows of Arr.chunksOf(put, ROWS_PER_STATEMENT)) {
            yield* sql`insert into peers ${sql.insert(Arr.map(rows, encode))} on conflict (ip, port) do update set
            nextattempt = excluded.nextattempt, numfailures = excluded.numfailures, type = excluded.type,
            lastsuccess = excluded.lastsuccess, source = excluded.source, anchor = excluded.anchor`
          }
        }))),
  loadRandom: (query, size) =>
    database.use("loadRandom", (sql) =>
      Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const where = conditions(sql, query, now)
        const count = countOf(
          yield* sql<{ readonly n: number | string }>`select count(*) as n from peers where ${where}`
        )
        const unit = yield* Random.next
        const offset = count > size ? drawIndex(() => unit, count - size + 1) : 0
        return decodeAll(
          yield* sql<Row>`select * from peers where ${where} order by ip, port limit ${size} offset ${offset}`
        )
      })),
  count: (query) =>
    database.use("count", (sql) =>
      Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const where = query === undefined ? sql`true` : conditions(sql, query, now)
        return countOf(yield* sql<{ readonly n: number | string }>`select count(*) as n from peers where ${where}`)
      })),
  clear: database.use("clear", (sql) => Effect.asVoid(sql`delete from peers`))
})

/**
 * The store over an `OverlayDatabase`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDatabase: Layer.Layer<PeerStore, never, OverlayDatabase> = Layer.effect(
  PeerStore,
  Effect.map(OverlayDatabase, make)
)

/**
 * The store over the `SqlClient` of the context.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<PeerStore, never, SqlClient.SqlClient> = Layer.provide(
  layerDatabase,
  OverlayDatabase.layer
)
