/**
 * What every implementation of `PeerStore` must do, as cases that any test runner can loop over.
 *
 * A case gets a layer and may build it more than once: what the first build stored the second has to find. Each case
 * starts by deleting all rows, so a shared database will do.
 *
 * @example
 * ```ts
 * import { it } from "@effect/vitest"
 * import { makeMemory, PeerStore } from "@stellar-overlay/overlay/PeerStore"
 * import * as PeerStoreContract from "@stellar-overlay/overlay-test/contract/PeerStoreContract"
 * import { Layer } from "effect"
 *
 * for (const { run, title } of PeerStoreContract.cases) {
 *   const rows = new Map()
 *   it.effect(title, () => run(Layer.sync(PeerStore, () => makeMemory(rows))))
 * }
 * ```
 *
 * @since 0.1.0
 */
import {
  type PeerQuery,
  type PeerRecord,
  PeerStore,
  type PeerStoreShape,
  PeerType
} from "@stellar-overlay/overlay/PeerStore"
import type { StorageError } from "@stellar-overlay/overlay/StorageError"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
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
  readonly run: (layer: Layer.Layer<PeerStore>) => Effect.Effect<void, ContractFailure | StorageError>
}

/** Builds the layer, runs, and releases it. */
type Open = <A>(use: (store: PeerStoreShape) => Effect.Effect<A, StorageError>) => Effect.Effect<A, StorageError>

const rule = (title: string, body: (open: Open, same: Same) => Effect.Effect<void, StorageError>): ContractCase => ({
  title,
  run: (layer) =>
    check(title, (same) => {
      const open: Open = (use) => Effect.provide(PeerStore.use(use), Layer.fresh(layer))
      return Effect.andThen(open((store) => store.clear), body(open, same))
    })
})

const make = (fields: Partial<PeerRecord> & { readonly address: PeerAddress }): PeerRecord => ({
  type: PeerType.Inbound,
  numFailures: 0,
  nextAttemptMillis: 0,
  lastSuccessMillis: 0,
  source: "",
  anchor: false,
  ...fields
})

/** The i-th address of many, each in a /16 of its own. */
const addressOf = (i: number): PeerAddress => PeerAddress.make(`${20 + (i >> 8)}.${i & 255}.0.1`, 11625)

/** Rows as plain values in a fixed order, to be compared. */
const plain = (rows: ReadonlyArray<PeerRecord>) =>
  rows.map((row) => ({ ...row, address: row.address.key })).sort((a, b) => (a.address < b.address ? -1 : 1))

const keys = (rows: ReadonlyArray<PeerRecord>): ReadonlyArray<string> => rows.map((row) => row.address.key).sort()

const put = (store: PeerStoreShape, rows: ReadonlyArray<PeerRecord>) => store.write({ put: rows, remove: [] })

const filters: ReadonlyArray<PeerQuery["type"]> = [
  PeerType.Inbound,
  PeerType.Outbound,
  PeerType.Preferred,
  "AnyOutbound"
]

const roundTrip = (id: string, name: string, type: PeerType): ContractCase =>
  rule(
    `${id} PMG-04 an absent row loads as none, a stored ${name} one as it was`,
    (open, same) =>
      open((store) =>
        Effect.gen(function*() {
          const record = make({ address: PeerAddress.make("127.0.0.1", 11625), type })
          same("absent", yield* store.load(record.address), undefined)
          yield* put(store, [record])
          same("stored", plain([(yield* store.load(record.address))!]), plain([record]))
        })
      )
  )

/**
 * The rules.
 *
 * @category cases
 * @since 0.1.0
 */
export const cases: ReadonlyArray<ContractCase> = [
  roundTrip("PDB-002", "inbound", PeerType.Inbound),
  roundTrip("PDB-003", "outbound", PeerType.Outbound),
  roundTrip("PDB-004", "preferred", PeerType.Preferred),

  rule("PMG-01 P6 rows survive a restart with everything that is known of them", (open, same) => {
    const rows = [
      make({ address: PeerAddress.make("1.2.3.4", 1), numFailures: 119, nextAttemptMillis: 1_700_000_010_240_000 }),
      make({
        address: PeerAddress.make("1.2.3.4", 65535),
        type: PeerType.Outbound,
        nextAttemptMillis: 1_700_000_000_001,
        lastSuccessMillis: 1_700_000_000_000,
        anchor: true
      }),
      make({ address: PeerAddress.make("2001:db8::1", 11625), type: PeerType.Preferred, source: "9.8.0.0/16" })
    ]
    return Effect.gen(function*() {
      yield* open((store) => put(store, rows))
      same("rows", plain(yield* open((store) => store.loadAll(10))), plain(rows))
      same("count", yield* open((store) => store.count()), 3)
    })
  }),

  rule(
    "PMG-04 a second write replaces the whole row, and removing an absent row is no error",
    (open, same) =>
      open((store) =>
        Effect.gen(function*() {
          const address = addressOf(0)
          yield* put(store, [make({ address, numFailures: 7, source: "9.8.0.0/16", anchor: true })])
          const second = make({ address, type: PeerType.Outbound, nextAttemptMillis: 5, lastSuccessMillis: 4 })
          yield* store.write({ put: [second], remove: [addressOf(1)] })
          same("row", plain(yield* store.loadAll(10)), plain([second]))
          yield* store.write({ put: [], remove: [] })
          same("count", yield* store.count(), 1)
        })
      )
  ),

  rule(
    "PMG-02 one batch inserts, replaces and removes 1 200 rows",
    (open, same) =>
      open((store) =>
        Effect.gen(function*() {
          const rows = Array.from({ length: 1200 }, (_, i) => make({ address: addressOf(i), numFailures: i % 7 }))
          yield* put(store, rows)
          same("inserted", plain(yield* store.loadAll(2000)), plain(rows))
          const changed = rows.slice(600).map((row) => ({ ...row, type: PeerType.Outbound }))
          yield* store.write({ put: changed, remove: rows.slice(0, 600).map((row) => row.address) })
          same("after the second batch", plain(yield* store.loadAll(2000)), plain(changed))
        })
      )
  ),

  rule(
    "P4 PMG-09 no more rows are loaded than asked for, the proven ones first",
    (open, same) =>
      open((store) =>
        Effect.gen(function*() {
          yield* put(store, [
            make({ address: addressOf(0), numFailures: 3 }),
            make({ address: addressOf(1), lastSuccessMillis: 1000, numFailures: 9 }),
            make({ address: addressOf(2), numFailures: 1 }),
            make({ address: addressOf(3), lastSuccessMillis: 2000 })
          ])
          const order = (yield* store.loadAll(3)).map((row) => row.address.key)
          same("order", order, [addressOf(3), addressOf(1), addressOf(2)].map((address) => address.key))
        })
      )
  ),

  rule(
    "PDB-022 PMG-05 each of the 16 queries over 18 rows gives exactly the matching rows",
    (open, same) =>
      open((store) =>
        Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          const rows: Array<PeerRecord> = []
          for (const nextAttemptMillis of [now - 1000, now, now + 1000]) {
            for (const numFailures of [0, 1]) {
              for (const type of [PeerType.Inbound, PeerType.Outbound, PeerType.Preferred]) {
                rows.push(make({ address: addressOf(rows.length), nextAttemptMillis, numFailures, type }))
              }
            }
          }
          yield* put(store, rows)
          for (const due of [false, true]) {
            for (const maxFailures of [undefined, 0]) {
              for (const type of filters) {
                const expected = rows.filter((row) =>
                  (!due || row.nextAttemptMillis <= now)
                  && (maxFailures === undefined || row.numFailures <= maxFailures)
                  && (type === "AnyOutbound" ? row.type !== PeerType.Inbound : row.type === type)
                )
                const query = { due, maxFailures, type }
                const found = yield* store.loadRandom(query, 1000)
                same(JSON.stringify(query), keys(found), keys(expected))
                same(`count ${JSON.stringify(query)}`, yield* store.count(query), expected.length)
              }
            }
          }
        })
      )
  ),

  rule(
    "PMG-05 a window of the wanted size at a random place, decided by the Random service",
    (open, same) =>
      open((store) =>
        Effect.gen(function*() {
          yield* put(store, Array.from({ length: 100 }, (_, i) => make({ address: addressOf(i) })))
          const query = { due: false, maxFailures: undefined, type: PeerType.Inbound }
          const draw = (seed: number) => Effect.map(Random.withSeed(store.loadRandom(query, 30), seed), keys)
          const windows = new Set<string>()
          for (let seed = 0; seed < 20; seed++) {
            const drawn = yield* draw(seed)
            same(`size with seed ${seed}`, new Set(drawn).size, 30)
            windows.add(drawn.join())
          }
          same("different windows", windows.size > 5, true)
          same("the same seed", yield* draw(3), yield* draw(3))
          same("all", (yield* store.loadRandom(query, 1000)).length, 100)
        })
      )
  ),

  rule("PMG-01 clearing deletes all rows, for good", (open, same) =>
    Effect.gen(function*() {
      yield* open((store) => put(store, [make({ address: addressOf(0) }), make({ address: addressOf(1) })]))
      yield* open((store) => store.clear)
      same("rows", yield* open((store) => store.loadAll(10)), [])
      same("count", yield* open((store) => store.count()), 0)
    }))
]
