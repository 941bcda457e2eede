/** What a simulated database is when it goes back in time. */
import { assert, describe, it } from "@effect/vitest"
import { type PeerRecord, PeerType } from "@stellar-overlay/overlay/PeerStore"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect } from "effect"
import { BACKUP_MILLIS, MAX_BACKUPS, SimDatabase } from "../src/internal/simDatabase.ts"

const record = (n: number, numFailures: number): PeerRecord => ({
  address: PeerAddress.make(`10.0.0.${n}`, 11625),
  type: PeerType.Inbound,
  numFailures,
  nextAttemptMillis: 0,
  lastSuccessMillis: 0,
  source: "",
  anchor: false
})

describe("SimDatabase", () => {
  it.effect("SIM-01 goes back to what it was before the first write after a moment, as far as backups go", () =>
    Effect.gen(function*() {
      let state = 7
      const next = (bound: number) => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % bound
      for (let round = 0; round < 40; round++) {
        let now = 0
        const database = new SimDatabase({ where: "a", millis: () => now, crash: Effect.void })
        const { peers } = database.open()
        const content = Effect.map(
          peers.loadAll(1000),
          (rows) => rows.map(({ address, numFailures }) => `${address} ${numFailures}`).sort().join()
        )
        /** All of it whenever a backup is due. */
        const copies: Array<{ readonly at: number; readonly content: string }> = []
        for (let write = 0; write < 60; write++) {
          now += next(4000)
          const newest = copies.at(-1)
          if (newest === undefined || now - newest.at >= BACKUP_MILLIS) {
            copies.push({ at: now, content: yield* content })
          }
          yield* peers.write({
            put: Array.from({ length: next(4) }, () => record(next(12), write)),
            remove: Array.from({ length: next(3) }, () => record(next(12), 0).address)
          })
        }
        const age = 1 + next(now)
        const expected = copies.slice(-MAX_BACKUPS).find(({ at }) => at > now - age)
        const before = yield* content
        database.close()
        assert.strictEqual(database.goBack(age), expected !== undefined && expected.content !== before)
        const reopened = database.open()
        const rows = yield* reopened.peers.loadAll(1000)
        const after = rows.map(({ address, numFailures }) => `${address} ${numFailures}`).sort().join()
        assert.strictEqual(after, expected?.content ?? before, `round ${round}`)
      }
    }))
})
