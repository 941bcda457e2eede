import { assert, describe, it } from "@effect/vitest"
import { Migrations } from "@stellar-overlay/overlay-sql"
import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A directory of its own for each test, removed with the test's scope. */
const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "overlay-sql-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const database = (filename: string) => Layer.provideMerge(Migrations.layer, NodeSqlite.layer({ filename }))

/** Runs with the database open, and closes it. */
const session = <A, E>(filename: string, effect: Effect.Effect<A, E, SqlClient.SqlClient>) =>
  Effect.provide(effect, database(filename))

describe("NodeSqlite", () => {
  it.effect("what one run writes the next one reads", () =>
    Effect.gen(function*() {
      const file = join(yield* directory, "overlay.db")
      yield* session(
        file,
        SqlClient.SqlClient.use((sql) =>
          sql`create table note (text varchar(20) not null)`.pipe(
            Effect.andThen(sql`insert into note ${sql.insert([{ text: "kept" }])}`)
          )
        )
      )
      const rows = yield* session(file, SqlClient.SqlClient.use((sql) => sql<{ text: string }>`select text from note`))
      assert.deepStrictEqual(rows.map((row) => row.text), ["kept"])
    }))

  it.effect("migrations run once", () =>
    Effect.gen(function*() {
      const file = join(yield* directory, "overlay.db")
      const bare = NodeSqlite.layer({ filename: file })
      const first = yield* Effect.provide(Migrations.run, bare)
      assert.strictEqual(first.length, Object.keys(Migrations.migrations).length)
      assert.deepStrictEqual(yield* Effect.provide(Migrations.run, bare), [])
    }))

  it.effect("the file is in write-ahead-log mode and commits do not wait for the disk", () =>
    Effect.gen(function*() {
      const file = join(yield* directory, "overlay.db")
      yield* session(
        file,
        SqlClient.SqlClient.use((sql) =>
          Effect.gen(function*() {
            assert.deepStrictEqual(yield* sql`pragma journal_mode`.values, [["wal"]])
            assert.deepStrictEqual(yield* sql`pragma synchronous`.values, [[1]])
          })
        )
      )
    }))

  it.effect("a transaction that fails leaves nothing behind, a nested one only its own part", () =>
    session(
      ":memory:",
      SqlClient.SqlClient.use((sql) =>
        Effect.gen(function*() {
          yield* sql`create table note (text varchar(20) primary key)`
          const insert = (text: string) => sql`insert into note ${sql.insert([{ text }])}`
          yield* Effect.flip(sql.withTransaction(Effect.andThen(insert("lost"), Effect.fail("stop"))))
          yield* sql.withTransaction(Effect.gen(function*() {
            yield* insert("kept")
            yield* Effect.flip(sql.withTransaction(Effect.andThen(insert("lost"), Effect.fail("stop"))))
          }))
          assert.deepStrictEqual(yield* sql`select text from note`.values, [["kept"]])
          const clash = yield* Effect.flip(insert("kept"))
          assert.strictEqual(clash.reason._tag, "ConstraintError")
        })
      )
    ))

  it.effect("a path that cannot be opened and a file that is no database are typed errors, not defects", () =>
    Effect.gen(function*() {
      const path = yield* directory
      const nowhere = yield* Effect.flip(session(join(path, "missing", "overlay.db"), Effect.void))
      assert.strictEqual(nowhere._tag === "SqlError" && nowhere.reason._tag, "ConnectionError")

      const garbage = join(path, "garbage.db")
      writeFileSync(garbage, "this is not a database, and it is longer than a header of one hundred bytes ".repeat(4))
      const corrupt = yield* Effect.flip(session(garbage, Effect.void))
      assert.strictEqual(corrupt._tag, "SqlError")
      assert.match(String(corrupt.cause ?? corrupt.message), /not a database|cannot open/)
    }))
})
