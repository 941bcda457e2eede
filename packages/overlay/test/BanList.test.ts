import { assert, describe, it } from "@effect/vitest"
import * as BanListContract from "@stellar-overlay/overlay-test/contract/BanListContract"
import * as BanList from "@stellar-overlay/overlay/BanList"
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import { StorageError } from "@stellar-overlay/overlay/StorageError"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"

const node = (i: number): NodeId.NodeId => {
  const key = new Uint8Array(32)
  key[0] = i
  key[1] = i >> 8
  return NodeId.fromBytes(key)
}

/** A store that fails while `fails` is set. */
const failing = () => {
  const stored = new Map<NodeId.NodeId, BanList.Ban>()
  const memory = BanList.makeMemoryStore(stored)
  const state = { fails: false, writes: 0 }
  const guard = <A>(operation: string, effect: Effect.Effect<A, StorageError>) =>
    Effect.suspend(() =>
      state.fails
        ? Effect.fail(new StorageError({ operation, reason: "Locked", detail: "database is locked" }))
        : effect
    )
  const store: BanList.BanStore = {
    loadAll: guard("loadAll", memory.loadAll),
    write: (changes) =>
      guard(
        "write",
        Effect.andThen(
          Effect.sync(() => {
            state.writes++
          }),
          memory.write(changes)
        )
      )
  }
  return { state, stored, store }
}

describe("BanList in memory", () => {
  for (const { run, title } of BanListContract.cases) {
    const stored = new Map()
    it.effect(
      title,
      () => run(Layer.effect(BanList.BanList, Effect.suspend(() => BanList.make(BanList.makeMemoryStore(stored)))))
    )
  }
})

describe("BanList", () => {
  it.effect("BAN-02 a listener that throws hinders neither the ban nor the other listeners", () =>
    Effect.gen(function*() {
      const { stored, store } = failing()
      const bans = yield* BanList.make(store)
      const heard: Array<string> = []
      const clumsy = () => {
        throw new Error("not my day")
      }
      yield* bans.onBan(clumsy)
      yield* bans.onBan((ban) => void heard.push(ban.reason))
      yield* bans.onUnban(clumsy)
      yield* bans.onUnban((_, cause) => void heard.push(cause))
      assert.isTrue(bans.ban(node(1), { reason: "spam" }))
      yield* bans.flush
      assert.deepStrictEqual([...stored.keys()], [node(1)])
      assert.isTrue(bans.unban(node(1)))
      yield* bans.flush
      assert.deepStrictEqual([...stored.keys()], [])
      assert.deepStrictEqual(heard, ["spam", "lifted"])
    }))

  it.effect("BAN-01 layerMemory starts empty", () =>
    BanList.BanList.use((bans) =>
      Effect.sync(() => {
        assert.deepStrictEqual(bans.list(), [])
        assert.isTrue(bans.ban(node(1)))
        assert.isTrue(bans.isBanned(node(1)))
      })
    ).pipe(Effect.provide(BanList.BanList.layerMemory)))

  it.effect("BAN-01 a ban reaches the store in the next turn, many bans in few writes", () =>
    Effect.gen(function*() {
      const { state, store, stored } = failing()
      const bans = yield* BanList.make(store)
      for (let i = 0; i < 1200; i++) bans.ban(node(i))
      assert.strictEqual(stored.size, 0)
      yield* TestClock.adjust(1)
      yield* TestClock.adjust(1) // the batches yield to other fibers in between
      assert.deepStrictEqual([stored.size, state.writes, bans.status().pending], [1200, 3, 0])
      yield* TestClock.adjust("1 day")
      assert.strictEqual(state.writes, 3, "nothing to do, nothing done")
    }))

  it.effect("O1 BAN-02 with a failing store bans hold in memory, one alert says so, and they are written when it works", () =>
    Effect.gen(function*() {
      const { state, store, stored } = failing()
      const bans = yield* BanList.make(store)
      const alerts = yield* Stream.runCollect(Stream.take(bans.alerts, 2)).pipe(
        Effect.forkScoped({ startImmediately: true })
      )
      state.fails = true
      bans.ban(node(1))
      yield* TestClock.adjust("10 minutes")
      assert.isTrue(bans.isBanned(node(1)))
      assert.strictEqual(stored.size, 0)
      const { failing: error, failures, pending } = bans.status()
      assert.deepStrictEqual([error?.reason, pending], ["Locked", 1])
      assert.isAbove(failures, 5)
      state.fails = false
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([...stored.keys()], [node(1)])
      const [failed, recovered] = yield* Fiber.join(alerts)
      assert.deepStrictEqual([failed!._tag, failed!.store], ["StorageFailed", "bans"])
      assert.strictEqual(recovered!._tag, "StorageRecovered")
      assert.isUndefined(bans.status().failing)
    }))

  it.effect("O1 bans that could not be read at the start hold as soon as they can, those lifted meanwhile do not", () =>
    Effect.gen(function*() {
      const { state, store, stored } = failing()
      for (const i of [1, 2]) stored.set(node(i), { nodeId: node(i), untilMillis: undefined, reason: "" })
      state.fails = true
      const bans = yield* BanList.make(store)
      const heard: Array<string> = []
      yield* bans.onBan((ban) => heard.push(ban.nodeId))
      assert.deepStrictEqual(bans.list(), [])
      assert.isFalse(bans.unban(node(2)), "nobody knew of that ban")
      bans.ban(node(3))
      state.fails = false
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(bans.list(), [node(1), node(3)].sort())
      assert.deepStrictEqual([...stored.keys()].sort(), [node(1), node(3)].sort())
      assert.include(heard, node(1), "a connected node that turns out to be banned is dropped")
    }))

  it.effect("BAN-03 at the bound a new ban takes the place of the timed one that ends first, never of a permanent one", () =>
    Effect.gen(function*() {
      const bans = yield* BanList.make(BanList.makeMemoryStore(), { maxBans: 3 })
      bans.ban(node(1))
      bans.ban(node(2), { untilMillis: 9000 })
      bans.ban(node(3), { untilMillis: 5000 })
      assert.isTrue(bans.ban(node(4)))
      assert.deepStrictEqual(bans.list(), [node(1), node(2), node(4)].sort())
      assert.isTrue(bans.ban(node(5)))
      assert.deepStrictEqual(bans.list(), [node(1), node(4), node(5)].sort())
      assert.isFalse(bans.ban(node(6)))
    }))

  it.effect("BAN-04 violations more than a day apart do not add up, and only 4 096 nodes are watched", () =>
    Effect.gen(function*() {
      const bans = yield* BanList.make(BanList.makeMemoryStore())
      const violation = DropReason.make("ReceivedPeers")
      for (let i = 0; i < 9; i++) bans.recordDrop(node(1), violation)
      yield* TestClock.adjust("1 day")
      for (let i = 0; i < 9; i++) assert.isFalse(bans.recordDrop(node(1), violation))
      for (let i = 10; i < 4106; i++) bans.recordDrop(node(i), violation)
      for (let i = 0; i < 9; i++) assert.isFalse(bans.recordDrop(node(1), violation), "forgotten")
      assert.isTrue(bans.recordDrop(node(1), violation))
    }))

  it.effect("BAN-04 lifting a ban forgets the violations; with the preset core nobody is banned automatically", () =>
    Effect.gen(function*() {
      const bans = yield* BanList.make(BanList.makeMemoryStore())
      const violation = DropReason.make("ReceivedPeers")
      for (let i = 0; i < 10; i++) bans.recordDrop(node(1), violation)
      assert.isTrue(bans.unban(node(1)))
      for (let i = 0; i < 9; i++) assert.isFalse(bans.recordDrop(node(1), violation))
      const likeCore = yield* BanList.make(BanList.makeMemoryStore(), BanList.core)
      for (let i = 0; i < 100; i++) assert.isFalse(likeCore.recordDrop(node(1), violation))
    }))

  it("BAN-04 what counts is a violation that we saw and that nobody else could have written", () => {
    const counted = DropReason.tags.filter((tag) => BanList.isProvenViolation(DropReason.make(tag)))
    for (const tag of counted) assert.strictEqual(DropReason.kind(DropReason.make(tag)), "violation")
    for (const tag of ["FloodCapacityExceeded", "ReceivedPeers", "CapacityOverflow", "SurveySignature"] as const) {
      assert.include(counted, tag)
    }
    for (const tag of ["UnexpectedMac", "FrameEmpty", "ErrorReceived", "IdleTimeout", "Defect"] as const) {
      assert.notInclude(counted, tag)
    }
  })
})
