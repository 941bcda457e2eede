/**
 * The database of what is known about a network: crawls and surveys, in one file. See `docs/CRAWL.md` for the tables.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"
import * as NetworkMigrations from "./NetworkMigrations.ts"
import { makeLazyWith, makeWith, type OverlayDatabaseShape } from "./OverlayDatabase.ts"

/**
 * The service. It works as `OverlayDatabase` does, over the tables of `NetworkMigrations`.
 *
 * @category services
 * @since 0.1.0
 */
export class NetworkDatabase extends Context.Service<NetworkDatabase, OverlayDatabaseShape>()(
  "@stellar-overlay/overlay-sql/NetworkDatabase"
) {
  /**
   * Uses the `SqlClient` of the context.
   *
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<NetworkDatabase, never, SqlClient.SqlClient> = Layer.effect(
    this,
    makeWith(NetworkMigrations.run)
  )

  /**
   * Opens the database when it is first used, and again after a failure other than a lock.
   *
   * @since 0.1.0
   */
  static readonly layerLazy = <E>(client: Layer.Layer<SqlClient.SqlClient, E>): Layer.Layer<NetworkDatabase> =>
    Layer.effect(this, makeLazyWith(client, NetworkMigrations.run))
}
