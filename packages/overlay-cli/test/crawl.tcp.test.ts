import { assert, describe, it } from "@effect/vitest"
import * as CrawlTarget from "@stellar-overlay/overlay-test/CrawlTarget"
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import * as NodeTransport from "@stellar-overlay/overlay/NodeTransport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect, Layer } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { folder } from "./nodeSupport.ts"
import { child, cli, closedPort, objects, server } from "./support.ts"

type Facts = Record<string, unknown>

const query = (filename: string, sql: string): ReadonlyArray<Facts> => {
  const db = new DatabaseSync(filename)
  try {
    return db.prepare(sql).all().map((row) => ({ ...row }))
  } finally {
    db.close()
  }
}

/** Twenty nodes that closed a ledger; their addresses and ids. */
const demo = Effect.gen(function*() {
  const running = yield* child(["demo", "--dir", yield* folder, "--nodes", "20", "--tps", "0", "--json"])
  yield* running.line(`"event":"closed"`)
  return objects(running.output().out.split("\n").slice(0, -1)).flatMap((object) =>
    object["event"] === "listening" ? [{ address: String(object["address"]), id: String(object["node"]) }] : []
  )
})

const json = (text: string) => objects(text.split("\n"))
const of = (all: ReadonlyArray<Facts>, event: string) => all.filter((object) => object["event"] === event)

const standalone = ["--network", "standalone"]

describe("crawl", () => {
  it.live(
    "O6 twenty nodes of a demo: all are found; Ctrl-C and --resume make one crawl; --compare finds no difference",
    () =>
      Effect.gen(function*() {
        const nodes = yield* demo
        assert.strictEqual(nodes.length, 20)
        const db = join(yield* folder, "deep", "net.db")
        const seed = nodes[0]!.address
        // a busy machine may take its time
        const patience = ["--timeout", "30", "--handshake-timeout", "60", "--attempts", "5", "--retry", "1"]
        const crawl = ["crawl", seed, ...standalone, ...patience, "--db", db, "--json"]

        const first = yield* child([...crawl, "--listen", "0.5", "--concurrency", "1"])
        yield* first.line((line) => line.includes(`"event":"attempt"`))
        yield* first.interrupt
        const cut = yield* first.ended
        assert.deepStrictEqual([cut.code, cut.err], [130, ""])
        const stored = of(json(cut.out), "attempt").length
        assert.isBelow(stored, 20)
        assert.deepStrictEqual(query(db, "select outcome from crawl"), [{ outcome: "interrupted" }])
        const done = query(db, "select host || ':' || port as place from address where done = 1")
        assert.strictEqual(done.length, stored)

        const second = yield* (yield* child([...crawl, "--listen", "6", "--resume"])).ended
        assert.deepStrictEqual([second.code, second.err], [0, ""])
        const all = json(second.out)
        assert.deepInclude(of(all, "resumed")[0], { crawl: 1, done: stored, network: "standalone" })
        assert.deepInclude(of(all, "summary")[0], { outcome: "completed", nodes: 20, known: 20, done: 20, active: 0 })
        for (const { host, port } of of(all, "attempt")) {
          assert.notInclude(done.map(({ place }) => place), `${String(host)}:${String(port)}`)
        }
        assert.deepStrictEqual(
          query(db, "select host || ':' || port as address, node_id as id from address order by node_id"),
          nodes.toSorted((a, b) => a.id < b.id ? -1 : 1)
        )
        const facts = query(db, "select distinct status, version, ledger_version > 0 as l from node")
        assert.deepStrictEqual(facts, [{ status: "open", version: "stellar-overlay 0.1.0", l: 1 }])
        // how many depends on when each was listened to
        assert.isAtLeast(query(db, "select * from node where slot > 1 and lag is not null").length, 1)
        assert.isAtLeast(query(db, "select * from node where validating = 1 and validated_slot > 1").length, 1)

        const third = yield* (yield* child([...crawl, "--listen", "0", "--compare"])).ended
        assert.deepStrictEqual([third.code, third.err], [0, ""])
        assert.deepInclude(of(json(third.out), "comparison")[0], {
          before: 1,
          after: 2,
          appeared: [],
          gone: [],
          versions: []
        })
        assert.deepStrictEqual(query(db, "select id, outcome from crawl"), [
          { id: 1, outcome: "completed" },
          { id: 2, outcome: "completed" }
        ])
      }),
    300_000
  )

  it.live("text: how it went, statuses and versions; exit 3 when nothing answers, 4 when nobody lets us in", () =>
    Effect.gen(function*() {
      const dead = `127.0.0.1:${yield* closedPort}`
      const unreachable = yield* cli(["crawl", dead, ...standalone, "--attempts", "1"])
      assert.strictEqual(unreachable.code, 3)
      assert.match(unreachable.out.join("\n"), /completed after .*: 0 nodes at 1 address, 1 attempt\n[^]*1 {2}refused/)

      const hangsUp = yield* server((socket) => socket.end())
      const rejected = yield* cli(["crawl", `127.0.0.1:${hangsUp.port}`, ...standalone, "--attempts", "1"])
      assert.strictEqual(rejected.code, 4)
      assert.match(rejected.out.join("\n"), /1 {2}closed/)
    }))

  it.live(
    "O6 P1 a private network: what nodes call themselves does nothing to the terminal, and poison is counted, not kept",
    () =>
      Effect.gen(function*() {
        const passphrase = "A private network with manners"
        const evil = "v1 \u001b[2J\u001b]0;owned\u0007\u202e\\"
        const full = yield* CrawlTarget.listen({
          addresses: [PeerAddress.make("127.0.0.1", 0)],
          kind: "full",
          config: { networkPassphrase: passphrase, versionString: evil }
        })
        const told = ["224.0.0.1", "0.0.0.0", "44.1.2.3"].map((host) => PeerAddress.make(host, 80))
        const seed = yield* CrawlTarget.listen({
          addresses: [PeerAddress.make("127.0.0.1", 0)],
          config: { networkPassphrase: passphrase, versionString: evil },
          peers: () => [...told, ...full.addresses]
        })
        const db = join(yield* folder, "net.db")
        const args = [
          "crawl",
          seed.addresses[0]!.key,
          "--passphrase",
          passphrase,
          "--local",
          "--db",
          db,
          "--listen",
          "0"
        ]
        const text = yield* cli(args)
        assert.strictEqual(text.code, 0)
        const shown = text.out.join("\n")
        // eslint-disable-next-line no-control-regex
        assert.notMatch(shown, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
        assert.include(shown, "v1 \\x1b[2J\\x1b]0;owned\\x07\\u{202e}\\\\")
        assert.match(shown, /2 nodes at 2 addresses, 2 attempts/)
        assert.match(shown, /1 node told addresses that no honest node passes on/)
        assert.deepStrictEqual(query(db, "select distinct host, status from address order by status"), [
          { host: "127.0.0.1", status: "full" },
          { host: "127.0.0.1", status: "open" }
        ])
        assert.deepStrictEqual(
          query(db, "select node_id, version, peers_told, peers_refused from node where status = 'open'"),
          [{ node_id: seed.id, version: evil, peers_told: 4, peers_refused: 3 }]
        )
        const asJson = yield* cli([...args, "--json"])
        for (const character of ["\u001b", "\u0007", "\u202e"]) assert.notInclude(asJson.out.join("\n"), character)
        const versions = of(objects(asJson.out), "node").map(({ version }) => version)
        assert.deepStrictEqual([...new Set(versions)], [evil])
      }).pipe(Effect.provide(Layer.merge(NodeTransport.layer, NodeOverlayCrypto.layer)))
  )

  it.live("wrong arguments: what is wrong and what to do; exit 2", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const text = join(directory, "text.db")
      writeFileSync(text, "no database at all, but long enough to have a header of a hundred bytes ".repeat(4))
      const db = join(directory, "net.db")
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
        [["--network", "standalone"], /no seeds/],
        [["127.0.0.1", "--resume"], /--resume needs --db/],
        [["127.0.0.1", "--compare"], /--compare needs --db/],
        [["127.0.0.1", "--network", "pubnet", "--passphrase", "x"], /contradict/],
        [["not an address"], /an address such as/],
        [["127.0.0.1", "--concurrency", "0"], /from 1 to 1000/],
        [["127.0.0.1", "--rate", "0"], /from 0.01 to 10000/],
        [["127.0.0.1", "--max-time", "0"], /above 0/],
        [["127.0.0.1", "--network", "futurenet"], /pubnet/],
        [["127.0.0.1", ...standalone, "--db", db, "--resume"], /does not exist/],
        [["127.0.0.1", ...standalone, "--db", text], /database cannot be used/],
        [["127.0.0.1", ...standalone, "--db", directory], /database cannot be used/]
      ]
      for (const [args, message] of cases) {
        const { code, err, out } = yield* cli(["crawl", ...args])
        assert.strictEqual(code, 2, args.join(" "))
        assert.match([...err, ...out].join("\n"), message, args.join(" "))
      }
      const dead = `127.0.0.1:${yield* closedPort}`
      yield* cli(["crawl", dead, ...standalone, "--db", db, "--attempts", "1"])
      const complete = yield* cli(["crawl", dead, ...standalone, "--db", db, "--resume"])
      assert.strictEqual(complete.code, 2)
      assert.match(complete.err.join("\n"), /every crawl of this network in the database is complete/)
      const other = yield* cli(["crawl", dead, "--network", "testnet", "--db", db, "--resume"])
      assert.match(other.err.join("\n"), /no crawl of this network/)
    }))
})
