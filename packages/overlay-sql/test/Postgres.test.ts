import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import { OverlayDatabase } from "@stellar-overlay/overlay-sql/OverlayDatabase"
import * as SqlBanList from "@stellar-overlay/overlay-sql/SqlBanList"
import * as SqlPeerStore from "@stellar-overlay/overlay-sql/SqlPeerStore"
import * as BanListContract from "@stellar-overlay/overlay-test/contract/BanListContract"
import * as PeerStoreContract from "@stellar-overlay/overlay-test/contract/PeerStoreContract"
import { Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"

/** A server on this machine, `postgres://user@127.0.0.1:port/database`, whose user may create databases. */
const url = process.env["OVERLAY_TEST_POSTGRES_URL"]

const client = (target: string) => PgClient.layer({ url: Redacted.make(target), maxConnections: 4 })

let count = 0

/** A new database for each case, so that cases see nothing of each other. */
const inNewDatabase = <A, E, R>(
  server: string,
  use: (database: Layer.Layer<OverlayDatabase>) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function*() {
    const name = `overlay_${process.pid}_${count++}`
    yield* SqlClient.SqlClient.use((sql) => sql.unsafe(`create database ${name}`)).pipe(
      Effect.provide(client(server)),
      Effect.orDie
    )
    const target = new URL(server)
    target.pathname = `/${name}`
    return yield* use(OverlayDatabase.layerLazy(client(target.toString())))
  })

describe("PostgreSQL", () => {
  if (url === undefined) {
    it("the contracts run when OVERLAY_TEST_POSTGRES_URL names a server", () => {
      console.log("PostgreSQL: no server configured, its contract suites did not run")
      assert.isUndefined(url)
    })
    return
  }
  it("is configured", () => {
    console.log(`PostgreSQL: running the contract suites against ${new URL(url).host}`)
    assert.include(["127.0.0.1", "localhost", "[::1]"], new URL(url).hostname)
  })
  for (const { run, title } of PeerStoreContract.cases) {
    it.effect(
      title,
      () => inNewDatabase(url, (database) => run(Layer.provide(SqlPeerStore.layerDatabase, database))),
      20_000
    )
  }
  for (const { run, title } of BanListContract.cases) {
    it.effect(
      title,
      () => inNewDatabase(url, (database) => run(Layer.provide(SqlBanList.layerDatabase(), database))),
      20_000
    )
  }
})
