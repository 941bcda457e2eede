/**
 * The tables of this package, as numbered steps that run once each.
 *
 * The SQL is the part that SQLite and PostgreSQL share. A released step never changes: a new one follows it.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/**
 * Where the steps that have run are recorded.
 *
 * @category constants
 * @since 0.1.0
 */
export const TABLE = "overlay_migrations"

const statement = (text: string) => SqlClient.SqlClient.use((sql) => sql.unsafe(text))

/**
 * The steps by number and name.
 *
 * `peers` holds what stellar-core's table of that name does (protocol.md 10.1): the address, when to try it next (Unix
 * milliseconds), how often it failed in a row, and its type (0 inbound, 1 outbound, 2 preferred). Core has no last success
 * (Unix milliseconds, 0 for never), no source (the subnet of the peer that told it), and no anchors. `ban` has the node
 * id as strkey (protocol.md 11) and, other than core's, an optional end of the ban in Unix milliseconds and its reason.
 *
 * @category constants
 * @since 0.1.0
 */
export const migrations: Readonly<Record<string, Effect.Effect<unknown, SqlError, SqlClient.SqlClient>>> = {
  "0001_peers": statement(`create table peers (
    ip varchar(255) not null,
    port integer not null check (port between 1 and 65535),
    nextattempt bigint not null,
    numfailures integer not null default 0 check (numfailures >= 0),
    type integer not null default 0 check (type between 0 and 2),
    lastsuccess bigint not null default 0,
    source varchar(255) not null default '',
    anchor integer not null default 0 check (anchor in (0, 1)),
    primary key (ip, port)
  )`),
  "0002_ban": statement(`create table ban (
    nodeid char(56) not null primary key,
    until bigint,
    reason varchar(255) not null default ''
  )`)
}

/**
 * Runs the steps that have not run yet, in one transaction, and returns their numbers and names.
 *
 * @category migrations
 * @since 0.1.0
 */
export const run: Effect.Effect<
  ReadonlyArray<readonly [id: number, name: string]>,
  Migrator.MigrationError | SqlError,
  SqlClient.SqlClient
> = Migrator.make({})({ loader: Migrator.fromRecord(migrations), table: TABLE })

/**
 * Runs the steps while the layer is built.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, Migrator.MigrationError | SqlError, SqlClient.SqlClient> = Layer.effectDiscard(
  run
)
