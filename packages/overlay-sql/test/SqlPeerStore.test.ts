import { assert, describe, it } from "@effect/vitest"
import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import { OverlayDatabase } from "@stellar-overlay/overlay-sql/OverlayDatabase"
import * as SqlPeerStore from "@stellar-overlay/overlay-sql/SqlPeerStore"
import * as PeerStoreContract from "@stellar-overlay/overlay-test/contract/PeerStoreContract"
import { type PeerRecord, PeerStore, PeerType } from "@stellar-overlay/overlay/PeerStore"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { file, inspect, inspectOpen, lazy, query } from "./fixtures.ts"

const addressOf = (i: number) => PeerAddress.make(`${20 + (i >> 8)}.${i & 255}.0.1`, 11625)

const record = (i: number, fields: Partial<PeerRecord> = {}): PeerRecord => ({
  address: addressOf(i),
  type: PeerType.Inbound,
  numFailures: 0,
  nextAttemptMillis: 0,
  lastSuccessMillis: 0,
  source: "",
  anchor: false,
  ...fields
})

const use = <A, E>(filename: string, body: (store: PeerStore["Service"]) => Effect.Effect<A, E>) =>
  PeerStore.use(body).pipe(
    Effect.provide(Layer.provide(SqlPeerStore.layerDatabase, lazy(filename)), { local: true })
  )

describe("SqlPeerStore on a SQLite file", () => {
  for (const { run, title } of PeerStoreContract.cases) {
    it.effect(
      title,
      () => Effect.flatMap(file, (filename) => run(Layer.provide(SqlPeerStore.layerDatabase, lazy(filename))))
    )
  }

  it.effect("PMG-01 over any SqlClient: layer needs nothing else", () =>
    Effect.gen(function*() {
      const store = yield* PeerStore
      yield* store.write({ put: [record(1)], remove: [] })
      assert.strictEqual(yield* store.count(), 1)
    }).pipe(Effect.provide(Layer.provide(SqlPeerStore.layer, NodeSqlite.layer({ filename: ":memory:" })))))

  it.effect("PMG-01 the file has core's table with core's columns and is in write-ahead-log mode", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const changed = record(1, { type: PeerType.Outbound, numFailures: 3, nextAttemptMillis: 1_700_000_000_000 })
      yield* use(filename, (store) => store.write({ put: [changed], remove: [] }))
      assert.deepStrictEqual(
        query(filename, "select ip, port, nextattempt, numfailures, type from peers").map((row) => ({ ...row })),
        [
          { ip: "20.1.0.1", port: 11625, nextattempt: 1_700_000_000_000, numfailures: 3, type: 1 }
        ]
      )
      assert.deepStrictEqual({ ...query(filename, "pragma journal_mode")[0] }, { journal_mode: "wal" })
    }))

  it.effect("O1 rows that make no sense are left out, the others are read", () =>
    Effect.gen(function*() {
      const filename = yield* file
      yield* use(filename, (store) => store.write({ put: [record(1), record(2)], remove: [] }))
      inspect(filename, (db) => {
        db.exec("insert into peers (ip, port, nextattempt) values ('not an address', 1, 0), ('1.2.3.4', 2, 'soon')")
      })
      const rows = yield* use(filename, (store) => store.loadAll(10))
      assert.deepStrictEqual(rows.map((row) => row.address.key), [addressOf(1).key, addressOf(2).key])
    }))

  it.effect("O1 a database locked by another process: typed, nothing half-written, and fine again afterwards", () =>
    Effect.gen(function*() {
      const filename = yield* file
      yield* Effect.gen(function*() {
        const store = yield* PeerStore
        yield* store.write({ put: [record(1)], remove: [] })
        yield* Effect.acquireUseRelease(
          Effect.sync(() => inspectOpen(filename, "begin immediate; update peers set numfailures = 9")),
          () =>
            Effect.gen(function*() {
              const error = yield* Effect.flip(store.write({ put: [record(2), record(3)], remove: [] }))
              assert.deepStrictEqual([error._tag, error.reason, error.operation], ["StorageError", "Locked", "write"])
              assert.strictEqual(yield* store.count(), 1, "reading goes on in write-ahead-log mode")
            }),
          (db) =>
            Effect.sync(() => {
              db.exec("rollback")
              db.close()
            })
        )
        yield* store.write({ put: [record(2), record(3)], remove: [] })
        assert.strictEqual(yield* store.count(), 3)
      }).pipe(Effect.provide(Layer.provide(SqlPeerStore.layerDatabase, lazy(filename))))
    }))

  it.effect("O1 a full database: typed, all of the batch or nothing, and fine again when there is room", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const store = yield* PeerStore
      const batch = (from: number) => Array.from({ length: 500 }, (_, i) => record(from + i))
      yield* store.write({ put: batch(0), remove: [] })
      const [pages] = yield* sql<{ page_count: number }>`pragma page_count`
      yield* sql`pragma max_page_count = ${sql.literal(String(pages!.page_count + 1))}`
      for (let attempt = 0; attempt < 3; attempt++) {
        const error = yield* Effect.flip(store.write({ put: batch(1000), remove: [addressOf(1)] }))
        assert.strictEqual(error.reason, "Full")
        assert.strictEqual(yield* store.count(), 500)
        assert.isDefined(yield* store.load(addressOf(1)))
      }
      yield* sql`pragma max_page_count = 100000`
      yield* store.write({ put: batch(1000), remove: [addressOf(1)] })
      assert.strictEqual(yield* store.count(), 999)
    }).pipe(
      Effect.provide(Layer.provideMerge(SqlPeerStore.layer, NodeSqlite.layer({ filename: ":memory:" })))
    ))

  it.effect("O1 what a driver throws is a typed error as well", () =>
    Effect.gen(function*() {
      const database = yield* OverlayDatabase
      const thrown = yield* Effect.flip(database.use("test", () => Effect.die(new TypeError("boom"))))
      assert.deepStrictEqual([thrown.reason, thrown.operation, thrown.detail], ["Failed", "test", "boom"])
      const refused = yield* Effect.flip(database.use("test", (sql) => sql`select * from nowhere`))
      assert.strictEqual(refused.reason, "Failed")
      assert.include(refused.detail, "no such table: nowhere")
    }).pipe(Effect.provide(lazy(":memory:"))))
})
