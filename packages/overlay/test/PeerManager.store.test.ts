import { assert, describe, it } from "@effect/vitest"
import { makeMemory, type PeerRecord, type PeerStoreShape, PeerType } from "@stellar-overlay/overlay/PeerStore"
import { StorageError, type StorageErrorReason } from "@stellar-overlay/overlay/StorageError"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Clock, Effect, Exit, Fiber, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { addressOf, keys, local, open, record } from "./peerFixtures.ts"

/** A memory store that fails or hangs on demand and counts. */
const flaky = () => {
  const rows = new Map<string, PeerRecord>()
  const memory = makeMemory(rows)
  const state: { trouble: StorageErrorReason | "Hangs" | "Throws" | undefined; writes: number; operations: number } = {
    trouble: undefined,
    writes: 0,
    operations: 0
  }
  const guard = <A>(operation: string, effect: Effect.Effect<A, StorageError>) =>
    Effect.suspend(() => {
      state.operations++
      if (state.trouble === undefined) return effect
      if (state.trouble === "Hangs") return Effect.never
      if (state.trouble === "Throws") throw new Error("a driver's bug")
      return Effect.fail(new StorageError({ operation, reason: state.trouble, detail: "as the test wants it" }))
    })
  const store: PeerStoreShape = {
    ...memory,
    loadAll: (limit) => guard("loadAll", memory.loadAll(limit)),
    count: (query) => guard("count", memory.count(query)),
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
  return { rows, state, store }
}

const stored = (rows: ReadonlyMap<string, PeerRecord>) => [...rows.keys()].sort()

describe("PeerManager, persistence", () => {
  it.effect("PMG-01 what one run knows the next one knows", () =>
    Effect.gen(function*() {
      const { store } = flaky()
      const before = yield* Effect.scoped(Effect.gen(function*() {
        const peers = yield* open({}, store)
        for (let i = 0; i < 30; i++) peers.ensureExists(addressOf(i), addressOf(99))
        peers.attemptStarted(addressOf(1))
        peers.updateType(addressOf(2), PeerType.Preferred, true)
        peers.authenticated(addressOf(3), "initiator")
        peers.remove(addressOf(4))
        return peers.all()
      }))
      const peers = yield* open({}, store)
      assert.strictEqual(before.length, 29)
      assert.deepStrictEqual(
        peers.all().map((row) => JSON.stringify(row)).sort(),
        before.map((row) => JSON.stringify(row)).sort()
      )
      assert.strictEqual(peers.status().pending, 0, "what was read need not be written")
    }))

  it.effect("PMG-02 changes leave one second after the first of them, in batches; nothing runs while nothing changes", () =>
    Effect.gen(function*() {
      const { rows, state, store } = flaky()
      const clock = yield* Clock.Clock
      let sleeps = 0
      const counting: Clock.Clock = {
        ...clock,
        sleep: (duration) => {
          sleeps++
          return clock.sleep(duration)
        }
      }
      const peers = yield* Effect.provideService(open({}, store), Clock.Clock, counting)
      const { operations } = state
      sleeps = 0
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(sleeps, 0)
      for (let i = 0; i < 1200; i++) peers.store(record({ address: addressOf(i) }))
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(rows.size, 0)
      yield* TestClock.adjust("2 millis")
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([rows.size, state.writes, peers.status().pending], [1200, 3, 0])
      for (let i = 0; i < 100; i++) peers.updateBackoff(addressOf(1), "Increase")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(state.writes, 4, "a hundred changes of a row are one")
      assert.strictEqual(state.operations, operations + 4)
      assert.strictEqual(rows.get(addressOf(1).key)?.numFailures, 100)
    }))

  it.effect("PMG-01 flush writes now", () =>
    Effect.gen(function*() {
      const { rows, store } = flaky()
      const peers = yield* open({}, store)
      peers.ensureExists(addressOf(1))
      yield* peers.flush
      assert.deepStrictEqual(stored(rows), [addressOf(1).key])
    }))

  for (const trouble of ["Locked", "Full", "Corrupt", "Unavailable"] as const) {
    it.effect(`O1 ${trouble} while running: memory goes on, one alert, everything is written when it works again`, () =>
      Effect.gen(function*() {
        const { rows, state, store } = flaky()
        const peers = yield* open({}, store)
        const alerts = yield* Stream.runCollect(Stream.take(peers.alerts, 2)).pipe(
          Effect.forkScoped({ startImmediately: true })
        )
        peers.ensureExists(addressOf(1))
        yield* peers.flush
        state.trouble = trouble
        for (let i = 2; i < 50; i++) peers.ensureExists(addressOf(i))
        peers.remove(addressOf(1))
        yield* TestClock.adjust("30 minutes")
        assert.strictEqual(peers.size(), 48)
        assert.strictEqual(peers.getPeersToSend(50, addressOf(99)).length, 48)
        assert.deepStrictEqual(stored(rows), [addressOf(1).key])
        assert.strictEqual((yield* Effect.flip(peers.flush)).reason, trouble)
        const { failing, failures, pending } = peers.status()
        assert.deepStrictEqual([failing?.reason, pending], [trouble, 49])
        assert.isBelow(failures, 45, "attempts become rare: at most one a minute")
        state.trouble = undefined
        yield* TestClock.adjust("61 seconds")
        assert.deepStrictEqual(stored(rows), keys(peers.all().map((row) => row.address)))
        const [failed, recovered] = yield* Fiber.join(alerts)
        assert.isTrue(failed?._tag === "StorageFailed" && failed.error.reason === trouble && failed.pending === 49)
        assert.isTrue(recovered?._tag === "StorageRecovered" && recovered.millis >= 1_800_000)
        assert.isUndefined(peers.status().failing)
      }))
  }

  it.effect("O1 a store that throws, at the start or while running, is a store that fails", () =>
    Effect.gen(function*() {
      const { rows, state, store } = flaky()
      state.trouble = "Throws"
      const peers = yield* open({}, store)
      peers.ensureExists(addressOf(1))
      yield* TestClock.adjust("2 minutes")
      const { failing } = peers.status()
      assert.deepInclude(failing, { reason: "Failed", detail: "Error: a driver's bug" })
      state.trouble = undefined
      yield* TestClock.adjust("61 seconds")
      assert.deepStrictEqual(stored(rows), [addressOf(1).key])
      state.trouble = "Throws"
      peers.ensureExists(addressOf(2))
      yield* TestClock.adjust("2 seconds")
      state.trouble = undefined
      yield* TestClock.adjust("61 seconds")
      assert.deepStrictEqual(stored(rows), [addressOf(1).key, addressOf(2).key])
    }))

  it.effect("O1 a store that cannot be read at the start: an alert for whoever asks later, and its rows join in the end", () =>
    Effect.gen(function*() {
      const { rows, state, store } = flaky()
      for (let i = 0; i < 10; i++) rows.set(addressOf(i).key, record({ address: addressOf(i), numFailures: 7 }))
      state.trouble = "Locked"
      const peers = yield* open({}, store)
      assert.deepStrictEqual([peers.size(), peers.status().loaded], [0, false])
      const [alert] = yield* Stream.runCollect(Stream.take(peers.alerts, 1))
      assert.strictEqual(alert!._tag, "StorageFailed")
      peers.ensureExists(addressOf(3))
      peers.ensureExists(addressOf(20))
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(peers.size(), 2)
      state.trouble = undefined
      yield* TestClock.adjust("61 seconds")
      assert.deepStrictEqual([peers.size(), peers.status().loaded], [11, true])
      assert.strictEqual(peers.load(addressOf(3)).numFailures, 0, "what this run saw is newer")
      assert.strictEqual(peers.load(addressOf(4)).numFailures, 7)
      assert.deepStrictEqual(stored(rows), keys(peers.all().map((row) => row.address)))
    }))

  it.effect("O1 a store that does not answer is given up after its limit, and closing does not wait for it longer", () =>
    Effect.gen(function*() {
      const { state, store } = flaky()
      const scope = yield* Scope.make()
      const peers = yield* Scope.provide(open({}, store), scope)
      state.trouble = "Hangs"
      peers.ensureExists(addressOf(1))
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(peers.status().failing?.reason, "TimedOut")
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      assert.isDefined(closing.pollUnsafe(), "closed")
    }))

  it.effect("O1 P4 a long outage with many deleted rows is remembered in bounded memory, and the store is brought level", () =>
    Effect.gen(function*() {
      const { rows, state, store } = flaky()
      const peers = yield* open({ limits: { maxRows: 20, maxRowsPerSource: 20, maxRowsPerTarget: 20 } }, store)
      for (let i = 0; i < 20; i++) peers.ensureExists(addressOf(i))
      yield* peers.flush
      state.trouble = "Full"
      for (let i = 20; i < 500; i++) {
        peers.remove(addressOf(i - 20))
        peers.ensureExists(addressOf(i))
        assert.isAtMost(peers.status().pending, 81)
      }
      state.trouble = undefined
      yield* peers.flush
      assert.deepStrictEqual(stored(rows), keys(Array.from({ length: 20 }, (_, i) => addressOf(480 + i))))
    }))

  it.effect("P4 rows of a run with wider bounds are cut to the present ones, in the store too, the proven ones kept", () =>
    Effect.gen(function*() {
      const { rows, store } = flaky()
      for (let i = 0; i < 100; i++) {
        rows.set(addressOf(i).key, record({ address: addressOf(i), lastSuccessMillis: i < 10 ? 1000 : 0 }))
      }
      const peers = yield* open({ limits: { maxRows: 30, maxRowsPerSource: 64, maxRowsPerTarget: 32 } }, store)
      assert.strictEqual(peers.size(), 30)
      for (let i = 0; i < 10; i++) assert.isDefined(peers.get(addressOf(i)))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(rows.size, 30)
    }))

  it.effect("PMG-01 rows deleted before the store could be read do not come back", () =>
    Effect.gen(function*() {
      const { rows, state, store } = flaky()
      rows.set(addressOf(1).key, record({ address: addressOf(1) }))
      state.trouble = "Locked"
      const peers = yield* open({}, store)
      peers.ensureExists(addressOf(2))
      peers.clear()
      state.trouble = undefined
      yield* TestClock.adjust("61 seconds")
      assert.deepStrictEqual([peers.size(), rows.size], [0, 0])
    }))

  it.effect("O2 setting the wall clock back or forth by an hour hastens and delays no attempt", () =>
    Effect.gen(function*() {
      const test = yield* Clock.Clock
      let offset = 0
      const skewed: Clock.Clock = {
        ...test,
        currentTimeMillisUnsafe: () => test.currentTimeMillisUnsafe() + offset,
        currentTimeMillis: Effect.sync(() => test.currentTimeMillisUnsafe() + offset)
      }
      const { store } = flaky()
      const due = (jump: number) =>
        Effect.gen(function*() {
          offset = 0
          const peers = yield* open({ allowLocalhost: true }, store)
          peers.store(record({ address: local(1) }))
          peers.attemptStarted(local(1))
          offset = jump
          let seconds = 0
          while (peers.dialRefusal(local(1)) === "NotDue") {
            yield* TestClock.adjust("1 second")
            seconds++
          }
          return seconds
        }).pipe(Effect.scoped, Effect.provideService(Clock.Clock, skewed))
      for (const jump of [-3_600_000, 3_600_000]) {
        const seconds = yield* due(jump)
        assert.isAtLeast(seconds, 1)
        assert.isAtMost(seconds, 20)
      }
      // and over a restart: the row was written by a clock that was an hour ahead
      const ahead = PeerAddress.make("1.2.3.4", 11625)
      yield* store.write({ put: [record({ address: ahead, nextAttemptMillis: 3_600_000 })], remove: [] })
      const peers = yield* open({}, store)
      assert.isAtMost(peers.load(ahead).nextAttemptMillis - (yield* Clock.currentTimeMillis), 10_000)
    }))
})
