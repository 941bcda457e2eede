/**
 * The two directions between a `PeerTable` and its `PeerStore`: rows of the last run in, batches of changes out.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { PeerManagerConfig } from "../PeerManagerConfig.ts"
import { PeerStore } from "../PeerStore.ts"
import type { PeerRecord, PeerTable } from "../protocol/PeerTable.ts"
import * as WriteBehind from "./writeBehind.ts"

export interface PeerPersistence extends WriteBehind.WriteBehind {
  /** To be called after each change of the table. */
  readonly changed: () => void
}

/** `onLoad` sees every stored row that may join the table and says whether it did, or is there already. */
export const make = Effect.fnUntraced(function*(
  table: PeerTable,
  config: PeerManagerConfig,
  onLoad: (record: PeerRecord) => boolean
): Effect.fn.Return<PeerPersistence, never, PeerStore | Scope.Scope> {
  const store = yield* PeerStore
  const { maxRows } = config.limits
  /** The store holds rows that the table does not know of: the next write compares both. */
  let compareAll = false

  const load = Effect.gen(function*() {
    const records = yield* store.loadAll(maxRows)
    const stored = yield* store.count()
    let joined = true
    for (const record of records) joined = onLoad(record) && joined
    // rows over a bound that was wider in the last run
    if (!joined || stored > records.length) compareAll = true
  })

  const compare = Effect.map(store.loadAll(Number.MAX_SAFE_INTEGER), (records) => {
    compareAll = false
    table.markChanged(records.map((record) => record.address))
    table.markChanged(Array.from(table.values(), (row) => row.address))
  })

  const writeBatch = Effect.gen(function*() {
    if (compareAll) yield* compare
    const changes = table.takeChanges(config.rowsPerBatch)
    if (changes.put.length + changes.remove.length === 0) return false
    yield* Effect.onError(store.write(changes), () =>
      Effect.sync(() => {
        table.markChanged(changes.put.map((record) => record.address))
        table.markChanged(changes.remove)
      }))
    return table.pending > 0
  })

  const writer = yield* WriteBehind.make({
    name: "peers",
    intervalMillis: config.flushMillis,
    timeoutMillis: config.storeTimeoutMillis,
    load,
    writeBatch,
    pending: () => (compareAll ? table.size + 1 : table.pending)
  })

  return {
    ...writer,
    changed: () => {
      // deleted rows are remembered until the store knows, so a long outage needs a bound
      if (compareAll || table.pending > 4 * maxRows) {
        compareAll = true
        table.forgetChanges()
      }
      writer.wake()
    }
  }
})
