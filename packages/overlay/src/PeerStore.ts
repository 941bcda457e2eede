/**
 * Where known addresses outlive the process: the seam between `PeerManager` and a database.
 *
 * `PeerManager` keeps the table itself; a store only has to take batches of changes and give everything back at the
 * next start. `layerMemory` forgets with the process, `SqlPeerStore` of `@stellar-overlay/overlay-sql` does not. All
 * implementations pass one contract suite (`overlay-test/contract/PeerStoreContract`).
 *
 * Implements the persistence of protocol.md 10.1 and 10.4 (stellar-core: table `peers` of `PeerManager`).
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type { PeerQuery } from "./protocol/PeerSelection.ts"
import { matches, select } from "./protocol/PeerSelection.ts"
import type { PeerRecord } from "./protocol/PeerTable.ts"
import type { StorageError } from "./StorageError.ts"
import type { PeerAddress } from "./wire/PeerAddress.ts"

export { PeerType } from "./protocol/PeerBackoff.ts"
export type { PeerQuery } from "./protocol/PeerSelection.ts"
export type { PeerRecord } from "./protocol/PeerTable.ts"

/**
 * A batch of changes. An address is in `put` or in `remove`, not in both.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerChanges {
  /** Rows to insert, or to replace as a whole. */
  readonly put: ReadonlyArray<PeerRecord>
  readonly remove: ReadonlyArray<PeerAddress>
}

/**
 * What a store does. Times are Unix milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerStoreShape {
  /** Up to `limit` rows: those with a success first, the latest first, then those with fewest failures. */
  readonly loadAll: (limit: number) => Effect.Effect<ReadonlyArray<PeerRecord>, StorageError>
  /** One row, undefined when there is none. */
  readonly load: (address: PeerAddress) => Effect.Effect<PeerRecord | undefined, StorageError>
  /** Applies a batch, all of it or nothing. Removing an absent row is no error. */
  readonly write: (changes: PeerChanges) => Effect.Effect<void, StorageError>
  /**
   * Up to `size` matching rows: all of them in no particular order, or a window of `size` at a random place when there
   * are more (core's `loadRandomPeers`, without its shuffle).
   */
  readonly loadRandom: (query: PeerQuery, size: number) => Effect.Effect<ReadonlyArray<PeerRecord>, StorageError>
  /** How many rows match, or how many there are. */
  readonly count: (query?: PeerQuery) => Effect.Effect<number, StorageError>
  /** Deletes all rows (core's `dropAll`). */
  readonly clear: Effect.Effect<void, StorageError>
}

/**
 * A store that lives as long as the value, over a map that can be given to share it between stores.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeMemory = (rows: Map<string, PeerRecord> = new Map()): PeerStoreShape => ({
  loadAll: (limit) =>
    Effect.sync(() =>
      [...rows.values()]
        .sort((a, b) => b.lastSuccessMillis - a.lastSuccessMillis || a.numFailures - b.numFailures)
        .slice(0, limit)
    ),
  load: (address) => Effect.sync(() => rows.get(address.key)),
  write: ({ put, remove }) =>
    Effect.sync(() => {
      for (const address of remove) rows.delete(address.key)
      for (const record of put) rows.set(record.address.key, record)
    }),
  loadRandom: (query, size) =>
    Effect.gen(function*() {
      const nowMillis = yield* Clock.currentTimeMillis
      const random = yield* Random.Random
      return select(rows.values(), query, {
        size,
        nowMillis,
        mode: "window",
        draw: () => random.nextDoubleUnsafe(),
        groupOf: () => ""
      })
    }),
  count: (query) =>
    query === undefined
      ? Effect.sync(() => rows.size)
      : Effect.map(Clock.currentTimeMillis, (now) => {
        let count = 0
        for (const row of rows.values()) if (matches(row, query, now)) count++
        return count
      }),
  clear: Effect.sync(() => rows.clear())
})

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class PeerStore extends Context.Service<PeerStore, PeerStoreShape>()("@stellar-overlay/overlay/PeerStore") {
  /**
   * Keeps rows in memory: for tests, and for programs that do not mind starting from their seeds.
   *
   * @since 0.1.0
   */
  static readonly layerMemory: Layer.Layer<PeerStore> = Layer.sync(this, () => makeMemory())
}
