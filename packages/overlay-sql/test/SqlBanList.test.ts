import { assert, describe, it } from "@effect/vitest"
import * as NodeSqlite from "@stellar-overlay/overlay-sql/NodeSqlite"
import * as SqlBanList from "@stellar-overlay/overlay-sql/SqlBanList"
import * as BanListContract from "@stellar-overlay/overlay-test/contract/BanListContract"
import { BanList } from "@stellar-overlay/overlay/BanList"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { file, inspectOpen, lazy, query } from "./fixtures.ts"

const node = (i: number) => NodeId.fromBytes(new Uint8Array(32).fill(i))

describe("SqlBanList on a SQLite file", () => {
  for (const { run, title } of BanListContract.cases) {
    it.effect(
      title,
      () => Effect.flatMap(file, (filename) => run(Layer.provide(SqlBanList.layerDatabase(), lazy(filename))))
    )
  }

  it.effect("BAN-01 over any SqlClient: layer needs nothing else", () =>
    Effect.gen(function*() {
      const bans = yield* BanList
      bans.ban(node(1))
      yield* bans.flush
      assert.strictEqual(bans.status().batches, 1)
    }).pipe(Effect.provide(Layer.provide(SqlBanList.layer, NodeSqlite.layer({ filename: ":memory:" })))))

  it.effect("BAN-02 a ban is in core's table as strkey in the next turn", () =>
    Effect.gen(function*() {
      const filename = yield* file
      yield* Effect.gen(function*() {
        const bans = yield* BanList
        bans.ban(node(1))
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(query(filename, "select nodeid from ban").map((row) => row["nodeid"]), [node(1)])
      }).pipe(Effect.provide(Layer.provide(SqlBanList.layerDatabase(), lazy(filename))))
    }))

  it.effect("O1 BAN-02 with a locked database a ban holds, the status says why, and it is written afterwards", () =>
    Effect.gen(function*() {
      const filename = yield* file
      yield* Effect.gen(function*() {
        const bans = yield* BanList
        bans.ban(node(1))
        yield* bans.flush
        const other = inspectOpen(filename, "begin immediate; delete from ban where nodeid = ''")
        bans.ban(node(2))
        yield* TestClock.adjust("1 minute")
        assert.isTrue(bans.isBanned(node(2)))
        assert.strictEqual(bans.status().failing?.reason, "Locked")
        other.exec("rollback")
        other.close()
        yield* TestClock.adjust("1 minute")
        assert.isUndefined(bans.status().failing)
        assert.strictEqual(query(filename, "select nodeid from ban").length, 2)
      }).pipe(Effect.provide(Layer.provide(SqlBanList.layerDatabase(), lazy(filename))))
    }))

  it.effect("O1 a ban row that somebody spoiled bans nobody, the others hold", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const layer = Layer.provide(SqlBanList.layerDatabase(), lazy(filename))
      yield* BanList.use((bans) => Effect.sync(() => bans.ban(node(1)))).pipe(Effect.provide(layer, { local: true }))
      inspectOpen(filename, "insert into ban (nodeid) values ('GARBAGE')").close()
      yield* BanList.use((bans) => Effect.sync(() => assert.deepStrictEqual(bans.list(), [node(1)]))).pipe(
        Effect.provide(layer, { local: true })
      )
    }))
})
