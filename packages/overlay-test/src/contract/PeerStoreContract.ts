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
  readonly run: <E>(layer: Layer.Layer<PeerStore, E>) => Effect.Effect<void, ContractFailure | StorageError | E>
}

/** One build of the layer. */
type Open = <A>(body: (store: PeerStoreShape) => Effect.Effect<A, StorageError>) => Effect.Effect<A, StorageError>

const rule = (title: string, body: (open: Open, same: Same) => Effect.Effect<void, StorageError>): ContractCase => ({
  title,
  run: <E>(layer: Layer.Layer<PeerStore, E>) =>
    check(title, (same) => {
      // a build fails with the layer's own error, which the case hands through untouched
      const build = <A>(use: (store: PeerStoreShape) => Effect.Effect<A, StorageError>) =>
        Effect.provide(PeerStore.use(use), Layer.fresh(layer))
      return Effect.gen(function*() {
        yield* build((store) => store.clear)
        const failures: Array<E | StorageError> = []
        const open: Open = (use) =>
          Effect.catch(build(use), (error) => {
            failures.push(error)
            return Effect.never
          })
        yield* Effect.raceFirst(body(open, same), Effect.never)
      })
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

/** Rows by address, as plain values in a fixed order. */
const plain = (rows: ReadonlyArray<PeerRecord>) =>
  rows
    .map((row) => ({ ...row, address: row.address.key }))
    .sort((a, b) => (a.address < b.address ? -1 : 1))

const keys = (rows: ReadonlyArray<PeerRecord>): ReadonlyArray<string> => rows.map((row) => row.address.key).sort()
