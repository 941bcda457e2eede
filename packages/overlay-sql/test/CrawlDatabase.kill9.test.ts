import { assert, describe, it } from "@effect/vitest"
import * as CrawlTarget from "@stellar-overlay/overlay-test/CrawlTarget"
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import * as NodeTransport from "@stellar-overlay/overlay/NodeTransport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect, Layer } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { file, inspect, query } from "./fixtures.ts"

const child = fileURLToPath(new URL("./crawlChild.ts", import.meta.url))
const networkPassphrase = "A network that is crawled in pieces"
const NODES = 60

/** Runs the child, kills it once `isEnough` of what it printed, and says whether it came to its end before. */
const runAndKill = (args: ReadonlyArray<string>, isEnough: (lines: ReadonlyArray<string>) => boolean) =>
  Effect.callback<"killed" | "ended">((resume) => {
    const crawl = spawn(process.execPath, ["--conditions=@stellar-overlay/source", child, ...args])
    let output = ""
    let errors = ""
    crawl.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString()
      if (isEnough(output.split("\n").slice(0, -1))) crawl.kill("SIGKILL")
    })
    crawl.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString()
    })
    crawl.on("close", (code, signal) => {
      if (signal === "SIGKILL") resume(Effect.succeed("killed"))
      else if (output.endsWith("ended\n")) resume(Effect.succeed("ended"))
      else resume(Effect.die(`the child ended with ${code ?? signal}: ${errors}`))
    })
    return Effect.sync(() => {
      crawl.kill("SIGKILL")
    })
  })

describe("CrawlDatabase, killed", () => {
  it.live(
    "O1 P8 a crawl that is killed again and again ends up whole, and dials nothing twice that it had stored",
    () =>
      Effect.gen(function*() {
        const filename = yield* file
        const targets: Array<CrawlTarget.CrawlTarget> = []
        // A line: each tells of the next two only, so that every piece of the crawl matters.
        for (let i = 0; i < NODES; i++) {
          targets.push(
            yield* CrawlTarget.listen({
              addresses: [PeerAddress.make("127.0.0.1", 0)],
              kind: i % 3 === 1 ? "full" : "open",
              config: { networkPassphrase },
              peers: () => [1, 2].flatMap((step) => targets[i + step]?.addresses ?? [])
            })
          )
        }
        const seed = targets[0]!.addresses[0]!.key
        const args = [filename, networkPassphrase, seed]
        const integrity = () => query(filename, "pragma integrity_check")
        const done = () =>
          inspect(filename, (db) =>
            db.prepare("select host || ':' || port as place, node_id from address where done = 1").all())
        let kills = 0
        let ended = false
        while (!ended) {
          const before = kills === 0 ? [] : done()
          const dials = new Map(targets.map(({ accepted, addresses }) => [addresses[0]!.key, accepted()]))
          ended = (yield* runAndKill(args, (lines) =>
            kills < 6 && Number(lines.at(-1)) >= before.length + 3)) === "ended"
          assert.deepStrictEqual(integrity(), [{ integrity_check: "ok" }])
          const byKey = new Map(targets.map((target) => [target.addresses[0]!.key, target]))
          for (const { node_id, place } of before) {
            const target = byKey.get(String(place))!
            assert.strictEqual(target.accepted(), dials.get(String(place)), `${String(place)} was dialled again`)
            assert.strictEqual(node_id, target.id)
          }
          if (!ended) kills++
        }
        assert.isAtLeast(kills, 3)
        assert.strictEqual(query(filename, "select * from crawl").length, 1)
        assert.deepStrictEqual(
          query(filename, "select node_id from node order by node_id").map(({ node_id }) => node_id),
          targets.map(({ id }) => String(id)).sort()
        )
        assert.deepStrictEqual(
          query(filename, "select status, count(*) as n from address group by status order by status"),
          [{ status: "full", n: NODES / 3 }, { status: "open", n: NODES - NODES / 3 }]
        )
        assert.deepStrictEqual(query(filename, "select outcome from crawl"), [{ outcome: "completed" }])
        assert.deepStrictEqual(query(filename, "select count(*) as n from edge"), [{ n: 2 * NODES - 3 }])
      }).pipe(Effect.provide(Layer.merge(NodeTransport.layer, NodeOverlayCrypto.layer))),
    120_000
  )
})
