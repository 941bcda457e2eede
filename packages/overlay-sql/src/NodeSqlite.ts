/**
 * SQLite in one file, as the default database of a node: `@effect/sql-sqlite-node` over the `node:sqlite` that is part
 * of Node.js, so there is no native addon to build.
 *
 * Everything else in this package knows `SqlClient` only: another `SqlClient` layer (PostgreSQL, say) takes the place
 * of this one.
 *
 * @since 0.1.0
 */
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import { classifySqliteError, SqlError } from "effect/sql/SqlError"

/**
 * How to open the database.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The path of the file, created when missing (its directory is not); `:memory:` keeps everything in memory. */
  readonly filename: string
  /**
   * When a commit is handed to the disk. `normal` (the default) lets the operating system do it: a commit survives the
   * end of the process at any moment, and the database stays consistent through a power failure, which may undo the
   * last commits. `full` waits for the disk at each commit (about 2 ms instead of 0.06 ms) and blocks the event loop.
   */
  readonly synchronous?: "normal" | "full" | undefined
}

// The driver opens the file in a constructor that throws: what SQLite itself says about the file is no defect.
const isSqliteError = (defect: unknown): defect is Error & { errno: number; readonly errcode: number } =>
  defect instanceof Error && "errcode" in defect && typeof defect.errcode === "number"

/**
 * Opens the database in write-ahead-log mode, closed with the scope.
 *
 * A file that cannot be opened, is locked or is no database fails with a `SqlError` whose reason says which. Locks are
 * never waited for, because that would block the event loop: another process that holds the file fails the statement.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options
): Effect.Effect<SqlClient.SqlClient, SqlError, Scope.Scope | Reactivity.Reactivity> =>
  SqliteClient.make({ filename: options.filename }).pipe(
    Effect.tap((sql) => sql`PRAGMA synchronous = ${sql.literal(options.synchronous ?? "normal")}`),
    Effect.catchDefect((defect) => {
      if (!isSqliteError(defect)) return Effect.die(defect)
      defect.errno = defect.errcode // where the classifier looks for it
      const reason = classifySqliteError(defect, { message: `cannot open ${options.filename}`, operation: "open" })
      return Effect.fail(new SqlError({ reason }))
    })
  )

/**
 * The `SqlClient` of a database file.
 *
 * **Example** (one file in the working directory)
 *
 * ```ts
 * import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
 *
 * export const Database = NodeSqlite.layer({ filename: "overlay.db" })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<SqlClient.SqlClient, SqlError> =>
  Layer.effect(SqlClient.SqlClient, make(options)).pipe(Layer.provide(Reactivity.layer))
