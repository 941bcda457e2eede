import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { file, inspect } from "./fixtures.ts"
import { ROWS } from "./kill9Rounds.ts"

const child = fileURLToPath(new URL("./kill9Child.ts", import.meta.url))

/** Runs the child, kills it when it has printed `lines` lines, and gives the last number it printed. */
const runAndKill = (filename: string, lines: number) =>
  Effect.callback<number>((resume) => {
    const process_ = spawn(process.execPath, ["--conditions=@stellar-overlay/source", child, filename])
    let output = ""
    let errors = ""
    let killed = false
    const printed = () => output.split("\n").slice(0, -1)
    process_.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString()
      if (!killed && printed().length >= lines) killed = process_.kill("SIGKILL")
    })
    process_.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString()
    })
    process_.on("close", (code, signal) => {
      const last = Number(printed().at(-1))
      if (signal === "SIGKILL") resume(Effect.succeed(last))
      else resume(Effect.die(`the child ended with ${code ?? signal}: ${errors}`))
    })
    return Effect.sync(() => {
      process_.kill("SIGKILL")
    })
  })

describe("SqlPeerStore, killed", () => {
  it.live(
    "PMG-01 O1 kill -9 in the middle of writes: the file is sound, nothing that was flushed is lost, no batch is torn",
    () =>
      Effect.gen(function*() {
        const filename = yield* file
        let before = 0
        for (const lines of [3, 20, 1, 57]) {
          const last = yield* runAndKill(filename, lines)
          assert.isAtLeast(last, before + lines, "it went on from what the last run left")
          inspect(filename, (db) => {
            assert.deepStrictEqual({ ...db.prepare("pragma integrity_check").get() }, { integrity_check: "ok" })
            const rounds = db.prepare("select numfailures as round, count(*) as n from peers group by 1").all()
            assert.strictEqual(rounds.length, 1, "all rows are of one round")
            const { n, round } = rounds[0]!
            assert.isAtLeast(Number(round), last, "the last round that was announced")
            assert.strictEqual(n, Number(round) % 2 === 1 ? ROWS - ROWS / 3 : ROWS)
            before = Number(round)
          })
        }
      }),
    60_000
  )
})
