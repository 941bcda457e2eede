import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { demo } from "./nodeSupport.ts"
import { child, cli, closedPort, objects } from "./support.ts"

describe("mempool", () => {
  it.live("follows transactions from advert to ledger, asking for each once; Ctrl-C ends it with a summary", () =>
    Effect.gen(function*() {
      const { address } = yield* demo(["--nodes", "3", "--tps", "20"])
      const running = yield* child(["mempool", address, "--json"])
      yield* running.line((line) => {
        if (!line.includes(`"event":"ledger"`)) return false
        return JSON.parse(line).seen.length >= 10
      })
      yield* running.interrupt
      const { code, err, out } = yield* running.ended
      assert.deepStrictEqual([code, err], [0, ""])
      const all = objects(out.split("\n"))
      assert.deepInclude(all[0], { event: "connected", network: "standalone" })
      const received = all.filter(({ event }) => event === "received")
      assert.strictEqual(new Set(received.map(({ hash }) => hash)).size, received.length)
      for (const { advertised, demanded, fee, operations, pullMillis, received: at } of received) {
        assert.deepInclude({ operations, fee }, { operations: 1, fee: "100" })
        assert.isAtLeast(pullMillis as number, 0)
        assert.isTrue(String(advertised) <= String(demanded) && String(demanded) <= String(at))
      }
      const hashes = new Set(received.map(({ hash }) => hash))
      for (const { seen } of all.filter(({ event }) => event === "ledger")) {
        for (const { hash } of seen as ReadonlyArray<{ readonly hash: string }>) assert.isTrue(hashes.has(hash))
      }
      const summary = all.at(-1)!
      assert.deepInclude(summary, { event: "summary", received: received.length, unasked: 0, duplicates: 0 })
    }))

  it.live("in lines for people; ends by itself after --seconds", () =>
    Effect.gen(function*() {
      const { address } = yield* demo(["--nodes", "2", "--tps", "20"])
      const running = yield* child(["mempool", address])
      yield* running.line(" received ")
      yield* running.line(" ledger ")
      yield* running.interrupt
      const { code, out } = yield* running.ended
      assert.strictEqual(code, 0)
      assert.match(
        out,
        /\n\S+ received +[0-9a-f]{8} 1 operation, fee 100, by G[A-Z2-7]{4}, \S+ m?s after it was asked for 216 B\n/
      )
      assert.match(out, /\n\S+ ledger +\d+ \d+ transactions?, \d+ seen here/)
      const summary = /\nSummary: \d+ advertised, \d+ received .*, \d+ in \d+ ledgers?\n$/
      assert.match(out, summary)
      const short = yield* (yield* child(["mempool", address, "--seconds", "0.1"])).ended
      assert.strictEqual(short.code, 0)
      assert.match(short.out, summary)
    }))
})

describe("scp", () => {
  it.live("follows who votes what, and who is late; the validators at the end", () =>
    Effect.gen(function*() {
      const { address, nodes } = yield* demo(["--nodes", "3"])
      const running = yield* child(["scp", address, "--json"])
      yield* running.line((line) => line.includes(`"event":"slot"`) && JSON.parse(line).whole === true)
      yield* running.interrupt
      const { code, err, out } = yield* running.ended
      assert.deepStrictEqual([code, err], [0, ""])
      const all = objects(out.split("\n"))
      const slots = all.filter(({ event, externalizedMillis }) => event === "slot" && externalizedMillis !== undefined)
      for (const { lagMillis, values } of slots) {
        assert.isAtLeast(Math.min(...Object.values(lagMillis as Record<string, number>)), 0)
        assert.strictEqual(Object.keys(values as object).length, 1)
      }
      const whole = slots.find((slot) => slot["whole"] === true)!
      const { EXTERNALIZE } = whole["votes"] as Record<string, ReadonlyArray<string>>
      assert.includeMembers([...nodes], [...EXTERNALIZE!])
      const validators = all.at(-1)!["validators"] as ReadonlyArray<{ readonly node: string }>
      assert.deepStrictEqual(validators.map(({ node }) => node).sort(), [...nodes].sort())
    }))

  it.live("in lines for people, and why it cannot", () =>
    Effect.gen(function*() {
      const { address } = yield* demo(["--nodes", "2"])
      const running = yield* child(["scp", address])
      yield* running.line("externalized after")
      yield* running.interrupt
      const { code, out } = yield* running.ended
      assert.strictEqual(code, 0)
      assert.match(out, /\n\S+ slot \d+ {2}NOMINATE \d, PREPARE \d, CONFIRM \d, EXTERNALIZE 2/)
      assert.match(
        out,
        /\nSummary: \d+ slots? externalized, 2 validators, \d+ statements\n {2}G[A-Z2-7]{55} {2}externalized/
      )
      const port = yield* closedPort
      const closed = yield* cli(["scp", `127.0.0.1:${port}`])
      assert.strictEqual(closed.code, 3)
      assert.match(closed.err.join("\n"), /ConnectionRefused/)
    }))
})
