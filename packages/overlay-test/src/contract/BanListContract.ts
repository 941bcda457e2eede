/**
 * What every implementation of `BanList` must do, as cases that any test runner can loop over.
 *
 * A case gets a layer and may build it more than once: bans of the first build must hold in the second. Time comes from
 * the Clock of the case, so run it under a `TestClock`. Each case starts by deleting all bans.
 *
 * @example
 * ```ts
 * import { it } from "@effect/vitest"
 * import * as BanList from "@stellar-overlay/overlay/BanList"
 * import * as BanListContract from "@stellar-overlay/overlay-test/contract/BanListContract"
 * import { Effect, Layer } from "effect"
 *
 * for (const { run, title } of BanListContract.cases) {
 *   const stored = new Map()
 *   it.effect(title, () => run(Layer.effect(BanList.BanList, Effect.suspend(() => BanList.make(BanList.makeMemoryStore(stored))))))
 * }
 * ```
 *
 * @since 0.1.0
 */
import { BanList, type BanListShape, MAX_REASON_LENGTH } from "@stellar-overlay/overlay/BanList"
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import type { StorageError } from "@stellar-overlay/overlay/StorageError"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { check, type ContractFailure, type Same } from "./ContractFailure.ts"

/**
 * One rule.
 *
 * @category models
 * @since 0.1.0
 */
export interface ContractCase {
  /** Starts with the documented IDs it covers. */
  readonly title: string
  readonly run: (layer: Layer.Layer<BanList>) => Effect.Effect<void, ContractFailure | StorageError>
}

/** Builds the layer, runs, and releases it. */
type Open = <A>(
  use: (bans: BanListShape) => Effect.Effect<A, StorageError, Scope.Scope>
) => Effect.Effect<A, StorageError>

const rule = (title: string, body: (open: Open, same: Same) => Effect.Effect<void, StorageError>): ContractCase => ({
  title,
  run: (layer) =>
    check(title, (same) => {
      const open: Open = (use) => Effect.provide(Effect.scoped(BanList.use(use)), Layer.fresh(layer))
      const clear = open((bans) => Effect.andThen(Effect.sync(() => bans.clear()), bans.flush))
      return Effect.andThen(clear, body(open, same))
    })
})

const node = (i: number): NodeId.NodeId => NodeId.fromBytes(new Uint8Array(32).fill(i))
const [a, b, c] = [node(1), node(2), node(3)]

const sorted = (...ids: ReadonlyArray<NodeId.NodeId>): ReadonlyArray<NodeId.NodeId> => [...ids].sort()

const MINUTE = 60_000

/**
 * The rules.
 *
 * @category cases
 * @since 0.1.0
 */
export const cases: ReadonlyArray<ContractCase> = [
  rule(
    "BAN-02 a ban holds until it is lifted, and the list is sorted",
    (open, same) =>
      open((bans) =>
        Effect.sync(() => {
          same("nobody", bans.list(), [])
          same("new", [bans.ban(c), bans.ban(a), bans.ban(b)], [true, true, true])
          same("again", bans.ban(a), false)
          same("banned", [bans.isBanned(a), bans.isBanned(node(9))], [true, false])
          same("list", bans.list(), sorted(a, b, c))
          same("lifted", [bans.unban(a), bans.unban(a), bans.unban(node(9))], [true, false, false])
          same("free", bans.isBanned(a), false)
          same("the rest", bans.list(), sorted(b, c))
        })
      )
  ),

  rule(
    "BAN-01 BAN-02 bans and their reasons survive a restart, lifted ones do not come back",
    (open, same) =>
      Effect.gen(function*() {
        yield* open((bans) =>
          Effect.sync(() => {
            bans.ban(a, { reason: "operator" })
            bans.ban(b)
            bans.ban(c, { untilMillis: 90 * MINUTE, reason: "x".repeat(MAX_REASON_LENGTH + 1) })
          })
        )
        yield* open((bans) =>
          Effect.sync(() => {
            same("second run", bans.list(), sorted(a, b, c))
            same("reason", bans.bans().find((ban) => ban.nodeId === a)?.reason, "operator")
            same("permanent", bans.bans().find((ban) => ban.nodeId === a)?.untilMillis, undefined)
            same("until", bans.bans().find((ban) => ban.nodeId === c)?.untilMillis, 90 * MINUTE)
            same("cut", bans.bans().find((ban) => ban.nodeId === c)?.reason.length, MAX_REASON_LENGTH)
            bans.unban(b)
          })
        )
        yield* open((bans) => Effect.sync(() => same("third run", bans.list(), sorted(a, c))))
      })
  ),

  rule("BAN-01 clearing lifts every ban, for good", (open, same) =>
    Effect.gen(function*() {
      yield* open((bans) => Effect.sync(() => [bans.ban(a), bans.ban(b)]))
      yield* open((bans) =>
        Effect.sync(() => {
          bans.clear()
          same("cleared", bans.list(), [])
        })
      )
      yield* open((bans) => Effect.sync(() => same("after a restart", bans.list(), [])))
    })),

  rule("BAN-03 a ban for 5 minutes ends at 300 s, also over a restart", (open, same) =>
    Effect.gen(function*() {
      yield* open((bans) =>
        Effect.gen(function*() {
          bans.ban(a, { untilMillis: 5 * MINUTE })
          yield* TestClock.adjust("299 seconds")
          same("at 299 s", bans.isBanned(a), true)
        })
      )
      yield* open((bans) =>
        Effect.gen(function*() {
          same("after a restart at 299 s", bans.isBanned(a), true)
          same("nothing to sweep", bans.sweep(), 0)
          yield* TestClock.adjust("999 millis")
          same("at 299.999 s", [bans.isBanned(a), bans.list().length], [true, 1])
          yield* TestClock.adjust("1 millis")
          same("at 300 s", [bans.isBanned(a), bans.list().length], [false, 0])
          same("as seen from 299 s", bans.isBanned(a, 299_000), true)
          same("swept", [bans.sweep(), bans.sweep()], [1, 0])
        })
      )
      yield* open((bans) => Effect.sync(() => same("gone from the store", bans.sweep(), 0)))
    })),

  rule("BAN-03 a ban that ended while nothing ran is not loaded", (open, same) =>
    Effect.gen(function*() {
      yield* open((bans) => Effect.sync(() => bans.ban(a, { untilMillis: MINUTE })))
      yield* TestClock.adjust("1 minute")
      yield* open((bans) => Effect.sync(() => same("list", [bans.list().length, bans.sweep()], [0, 0])))
    })),

  rule("BAN-03 of two bans of one node the longer holds", (open, same) =>
    open((bans) =>
      Effect.sync(() => {
        const until = () => bans.bans()[0]?.untilMillis
        same("first", [bans.ban(a, { untilMillis: 2 * MINUTE }), until()], [true, 2 * MINUTE])
        same("shorter", [bans.ban(a, { untilMillis: MINUTE }), until()], [false, 2 * MINUTE])
        same("longer", [bans.ban(a, { untilMillis: 3 * MINUTE }), until()], [true, 3 * MINUTE])
        same("permanent", [bans.ban(a), until()], [true, undefined])
        same("timed over permanent", [bans.ban(a, { untilMillis: 9 * MINUTE }), until()], [false, undefined])
        same("in the past", bans.ban(b, { untilMillis: 0 }), false)
      })
    )),

  rule(
    "BAN-02 whoever listens hears of every new ban at once, until it stops listening",
    (open, same) =>
      open((bans) =>
        Effect.gen(function*() {
          const heard: Array<string> = []
          yield* Effect.scoped(Effect.andThen(
            bans.onBan((ban) => heard.push(ban.nodeId)),
            Effect.sync(() => {
              bans.ban(a)
              same("in the same turn", [...heard], [a])
              bans.ban(a)
              bans.ban(b, { untilMillis: MINUTE })
              bans.ban(b, { untilMillis: 2 * MINUTE })
            })
          ))
          bans.ban(c)
          same("all", [...heard], [a, b, b])
        })
      )
  ),

  rule(
    "BAN-04 the tenth proven violation bans for a day; dial failures, load and timeouts never do",
    (open, same) =>
      Effect.gen(function*() {
        yield* open((bans) =>
          Effect.gen(function*() {
            const violation = DropReason.make("FloodCapacityExceeded", "201")
            const harmless = [
              "ConnectionRefused",
              "ConnectTimeout",
              "ReadError",
              "PeerRejected",
              "IdleTimeout"
            ] as const
            for (let i = 0; i < 100; i++) {
              for (const tag of harmless) same(tag, bans.recordDrop(b, DropReason.make(tag)), false)
            }
            for (let i = 1; i <= 9; i++) same(`violation ${i}`, bans.recordDrop(a, violation), false)
            same("after nine", bans.isBanned(a), false)
            same("the tenth", bans.recordDrop(a, violation), true)
            same("banned", bans.list(), [a])
            yield* bans.flush
          })
        )
        yield* TestClock.adjust("86399 seconds")
        yield* open((bans) => Effect.sync(() => same("after a restart", bans.isBanned(a), true)))
        yield* TestClock.adjust("1 second")
        yield* open((bans) => Effect.sync(() => same("after a day", bans.isBanned(a), false)))
      })
  ),

  rule(
    "BAN-04 what could be faked on the wire proves nothing against a key",
    (open, same) =>
      open((bans) =>
        Effect.sync(() => {
          const fakes = ["UnexpectedMac", "UnexpectedAuthSequence", "FrameTooLarge", "CorruptXdr"] as const
          for (let i = 0; i < 50; i++) for (const tag of fakes) bans.recordDrop(a, DropReason.make(tag))
          same("banned", bans.list(), [])
        })
      )
  )
]
