import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { connected, eventually, folder, node, type RunningNode } from "./nodeSupport.ts"

/** Addresses that a database says were reached once. */
const reached = (db: string): ReadonlyArray<string> => {
  const database = new DatabaseSync(db, { readOnly: true })
  try {
    const rows = database.prepare("select ip, port from peers where lastsuccess > 0").all()
    return rows.map(({ ip, port }) => `${ip}:${port}`)
  } finally {
    database.close()
  }
}

const idsOf = (nodes: ReadonlyArray<RunningNode>): ReadonlyArray<string> => nodes.map(({ id }) => id).sort()

describe("nodes in processes of their own", () => {
  it.live(
    "PMG-01 five find each other from one seed; one that is killed comes back from its own database",
    () =>
      Effect.gen(function*() {
        const directory = yield* folder
        const db = join(directory, "deeper", "victim.db")
        const seed = yield* node()
        const others = yield* Effect.all(Array.from({ length: 3 }, () => node(["--peer", seed.address])), {
          concurrency: 2
        })
        const victim = yield* node(["--peer", seed.address, "--db", db])
        assert.strictEqual(victim.known, 0)
        const all = [seed, ...others]
        assert.deepStrictEqual(yield* eventually(connected(victim), (ids) => ids.length === 4), idsOf(all))
        // It learnt of the others from the seed, and who was called is on the disk within a second or so.
        const onDisk = yield* eventually(Effect.sync(() => reached(db)), (rows) => rows.length > 1)
        assert.include(onDisk, seed.address)
        assert.isAbove(onDisk.length, 1)

        victim.running.process.kill("SIGKILL")
        yield* victim.running.ended
        yield* eventually(connected(seed), (ids) => !ids.includes(victim.id))

        const back = yield* node(["--db", db, "--port", String(victim.port)])
        assert.isAtLeast(back.known, onDisk.length)
        assert.deepStrictEqual(yield* eventually(connected(back), (ids) => ids.length === 4), idsOf(all))
      }),
    120_000
  )
})
