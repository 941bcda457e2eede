import { assert, describe, it } from "@effect/vitest"
import * as SqlBanList from "@stellar-overlay/overlay-sql/SqlBanList"
import * as SqlPeerStore from "@stellar-overlay/overlay-sql/SqlPeerStore"
import { BanList } from "@stellar-overlay/overlay/BanList"
import { PeerManager } from "@stellar-overlay/overlay/PeerManager"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { file, inspectOpen, lazy, query } from "./fixtures.ts"

const address = PeerAddress.make("1.2.3.4", 11625)
const nodeId = NodeId.fromBytes(new Uint8Array(32).fill(7))

/** What a node has over one file. */
const stores = (filename: string): Layer.Layer<PeerManager | BanList> =>
  Layer.provide(
    Layer.merge(Layer.provide(PeerManager.layer, SqlPeerStore.layerDatabase), SqlBanList.layerDatabase()),
    lazy(filename)
  )

/** A node that starts, works in memory, and gets its database when `repair` has run. */
const survives = (
  filename: string,
  reason: string,
  repair: Effect.Effect<void>
) =>
  Effect.gen(function*() {
    const peers = yield* PeerManager
    const bans = yield* BanList
    assert.deepStrictEqual([peers.status().failing?.reason, peers.status().loaded], [reason, false])
    const [alert] = yield* Stream.runCollect(Stream.take(peers.alerts, 1))
    assert.isTrue(alert?._tag === "StorageFailed" && alert.error.reason === reason)
    peers.ensureExists(address)
    bans.ban(nodeId)
    yield* TestClock.adjust("5 minutes")
    assert.deepStrictEqual([peers.size(), bans.isBanned(nodeId)], [1, true])
    yield* repair
    yield* TestClock.adjust("2 minutes")
    yield* TestClock.adjust("1 second")
    assert.isUndefined(peers.status().failing)
    assert.strictEqual(query(filename, "select * from peers").length, 1)
    assert.strictEqual(query(filename, "select * from ban").length, 1)
  }).pipe(Effect.provide(stores(filename), { local: true }))

describe("a node over one SQLite file", () => {
  it.effect("O1 the file is no database: memory goes on, the file is left alone, and a fresh one is used when it is gone", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const garbage = "this is not a database ".repeat(500)
      writeFileSync(filename, garbage)
      yield* survives(
        filename,
        "Corrupt",
        Effect.sync(() => {
          assert.strictEqual(readFileSync(filename, "utf8"), garbage)
          renameSync(filename, `${filename}.damaged`)
        })
      )
    }))

  it.effect("O1 a database damaged in its middle is noticed as corrupt or read for what it is, never a defect", () =>
    Effect.gen(function*() {
      const filename = yield* file
      yield* Effect.gen(function*() {
        const peers = yield* PeerManager
        for (let i = 0; i < 2000; i++) peers.ensureExists(PeerAddress.make(`${20 + (i >> 8)}.${i & 255}.0.1`, 11625))
      }).pipe(Effect.provide(stores(filename), { local: true }))
      const bytes = readFileSync(filename)
      assert.isAbove(bytes.length, 20_000)
      bytes.fill(0xa5, 4096, bytes.length - 4096)
      writeFileSync(filename, bytes)
      yield* Effect.gen(function*() {
        const peers = yield* PeerManager
        peers.ensureExists(address)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(peers.status().failing?.reason, "Corrupt")
        assert.isDefined(peers.get(address))
        renameSync(filename, `${filename}.damaged`)
        for (const suffix of ["-wal", "-shm"]) rmSync(`${filename}${suffix}`, { force: true })
        yield* TestClock.adjust("2 minutes")
        assert.isUndefined(peers.status().failing)
        assert.strictEqual(query(filename, "select * from peers").length, 1)
      }).pipe(Effect.provide(stores(filename), { local: true }))
    }))

  it.effect("O1 the file is locked at the start: memory goes on, and the rows come when the lock goes", () =>
    Effect.gen(function*() {
      const filename = yield* file
      yield* Effect.provide(Effect.asVoid(PeerManager), stores(filename), { local: true }) // creates the tables
      const other = inspectOpen(filename, "pragma locking_mode = exclusive; begin exclusive; update peers set type = 1")
      yield* survives(filename, "Locked", Effect.sync(() => other.close()))
    }))

  it.effect("O1 the directory is missing: memory goes on", () =>
    Effect.gen(function*() {
      const filename = `${yield* file}.d/overlay.db`
      yield* Effect.gen(function*() {
        const peers = yield* PeerManager
        peers.ensureExists(address)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual([peers.size(), peers.status().failing?.reason], [1, "Unavailable"])
      }).pipe(Effect.provide(stores(filename), { local: true }))
    }))

  it.effect("PMG-01 BAN-01 peers and bans share the file, and the next run finds both", () =>
    Effect.gen(function*() {
      const filename = yield* file
      yield* Effect.gen(function*() {
        const peers = yield* PeerManager
        const bans = yield* BanList
        for (let i = 0; i < 200; i++) {
          peers.ensureExists(PeerAddress.make(`20.${i}.0.1`, 11625))
          bans.ban(NodeId.fromBytes(new Uint8Array(32).fill(i)))
          if (i % 20 === 0) yield* Effect.all([peers.flush, bans.flush], { concurrency: 2 })
        }
        assert.deepStrictEqual([peers.status().failures, bans.status().failures], [0, 0])
      }).pipe(Effect.provide(stores(filename), { local: true }))
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* PeerManager).size(), 200)
        assert.strictEqual((yield* BanList).list().length, 200)
      }).pipe(Effect.provide(stores(filename), { local: true }))
    }))
})
