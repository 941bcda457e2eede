/**
 * One database for everything the overlay keeps: opened, brought to the present schema, and used by one operation at a
 * time.
 *
 * Building it never fails. The schema is brought up to date by the first operation, and a failure of that is the failure
 * of the operation; the next one tries again. With `layerLazy` the same is true of opening the database, so a file that
 * is locked or damaged when the node starts costs nothing but persistence until somebody frees or removes it.
 *
 * @since 0.1.0
 */
import type { StorageError } from "@stellar-overlay/overlay/StorageError"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as internal from "./internal/storageError.ts"
import * as Migrations from "./Migrations.ts"

/**
 * What the stores need of a database.
 *
 * @category models
 * @since 0.1.0
 */
export interface OverlayDatabaseShape {
  /**
   * Runs an operation, after the operations that were asked for before it. Everything that goes wrong in it, defects of
   * the driver included, is a `StorageError` with the operation's name; interruption stays interruption.
   */
  readonly use: <A>(
    operation: string,
    f: (sql: SqlClient.SqlClient) => Effect.Effect<A, SqlError>
  ) => Effect.Effect<A, StorageError>
}

/** Makes the failures of an operation uniform. */
const typed = <A, E>(operation: string, effect: Effect.Effect<A, E>): Effect.Effect<A, StorageError> =>
  Effect.catchCause(
    effect,
    (cause) => Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.fail(internal.fromCause(operation, cause))
  )

/**
 * SQLite leaves a transaction open when its COMMIT fails, and the driver has one connection: without this every later
 * BEGIN would fail. When no transaction is open the statement is refused, which is as well.
 */
const abandonTransaction = (sql: SqlClient.SqlClient): Effect.Effect<void> =>
  sql.onDialectOrElse({
    sqlite: () =>
      sql.reserve.pipe(
        Effect.flatMap((connection) => connection.executeUnprepared("ROLLBACK", [], undefined)),
        Effect.scoped,
        Effect.ignoreCause
      ),
    orElse: () => Effect.void
  })

/** An open database, and how to give it up. */
interface Opened {
  readonly sql: SqlClient.SqlClient
  readonly close: Effect.Effect<void>
}

const make = Effect.fnUntraced(function*<E, E2>(
  open: Effect.Effect<Opened, E>,
  migrate: Effect.Effect<unknown, E2, SqlClient.SqlClient>
): Effect.fn.Return<OverlayDatabaseShape, never, Scope.Scope> {
  const one = yield* Semaphore.make(1)
  let opened: Opened | undefined
  let migrated = false

  const close = Effect.suspend(() => {
    const closing = opened === undefined ? Effect.void : opened.close
    opened = undefined
    migrated = false
    return closing
  })
  yield* Effect.addFinalizer(() => Semaphore.withPermit(one, close))

  const ready = Effect.gen(function*() {
    const { sql } = opened ?? (yield* Effect.uninterruptibleMask((restore) =>
      Effect.map(restore(open), (fresh) => {
        opened = fresh // in the region that cannot be interrupted, or nobody would close it
        return fresh
      })
    ))
    if (!migrated) {
      yield* Effect.provideService(migrate, SqlClient.SqlClient, sql)
      migrated = true
    }
    return sql
  })

  return {
    use: (operation, f) =>
      typed(operation, Effect.flatMap(ready, f)).pipe(
        Effect.onError((cause) => {
          const error = Cause.findErrorOption(cause)
          const locked = error._tag === "Some" && error.value.reason === "Locked"
          const cleanUp = opened === undefined ? Effect.void : abandonTransaction(opened.sql)
          // a lock goes away by itself; after anything else a fresh connection has the better chances
          return locked ? cleanUp : Effect.andThen(cleanUp, close)
        }),
        Semaphore.withPermit(one)
      )
  }
})

/**
 * What `OverlayDatabase.layer` is made of, for other schemas: an operation runs after `migrate` went well once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWith = <E>(
  migrate: Effect.Effect<unknown, E, SqlClient.SqlClient>
): Effect.Effect<OverlayDatabaseShape, never, SqlClient.SqlClient | Scope.Scope> =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => make(Effect.succeed({ sql, close: Effect.void }), migrate))

/**
 * What `OverlayDatabase.layerLazy` is made of, for other schemas.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeLazyWith = <E, E2>(
  client: Layer.Layer<SqlClient.SqlClient, E>,
  migrate: Effect.Effect<unknown, E2, SqlClient.SqlClient>
): Effect.Effect<OverlayDatabaseShape, never, Scope.Scope> =>
  make(
    Effect.flatMap(Scope.make(), (scope) =>
      Layer.buildWithMemoMap(client, Layer.makeMemoMapUnsafe(), scope).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
        Effect.map((context) => ({
          sql: Context.get(context, SqlClient.SqlClient),
          close: Scope.close(scope, Exit.void)
        }))
      )),
    migrate
  )

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class OverlayDatabase extends Context.Service<OverlayDatabase, OverlayDatabaseShape>()(
  "@stellar-overlay/overlay-sql/OverlayDatabase"
) {
  /**
   * Uses the `SqlClient` of the context, whatever database that is.
   *
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<OverlayDatabase, never, SqlClient.SqlClient> = Layer.effect(
    this,
    makeWith(Migrations.run)
  )

  /**
   * Opens the database when it is first used, and again after a failure other than a lock.
   *
   * **Example** (a node that starts whatever is the matter with its file)
   *
   * ```ts
   * import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
   * import { OverlayDatabase } from "@stellar-overlay/overlay-sql/OverlayDatabase"
   * import * as SqlBanList from "@stellar-overlay/overlay-sql/SqlBanList"
   * import * as SqlPeerStore from "@stellar-overlay/overlay-sql/SqlPeerStore"
   * import { Layer } from "effect"
   *
   * const Database = OverlayDatabase.layerLazy(NodeSqlite.layer({ filename: "overlay.db" }))
   * export const Stores = Layer.provide(Layer.merge(SqlPeerStore.layerDatabase, SqlBanList.layerDatabase()), Database)
   * ```
   *
   * @since 0.1.0
   */
  static readonly layerLazy = <E>(client: Layer.Layer<SqlClient.SqlClient, E>): Layer.Layer<OverlayDatabase> =>
    Layer.effect(this, makeLazyWith(client, Migrations.run))
}
