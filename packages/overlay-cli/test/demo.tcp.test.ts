import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder } from "./nodeSupport.ts"
import { child, cli, objects, server } from "./support.ts"

/** What passes between the nodes of a demo, by stellar-core's names. */
const everyType = [
  "HELLO",
  "AUTH",
  "PEERS",
  "SEND_MORE_EXTENDED",
  "GET_SCP_STATE",
  "SCP_MESSAGE",
  "GET_TX_SET",
  "GENERALIZED_TX_SET",
  "GET_SCP_QUORUMSET",
  "SCP_QUORUMSET",
  "FLOOD_ADVERT",
  "FLOOD_DEMAND",
  "TRANSACTION"
]

type Facts = Record<string, unknown>

/** Runs a demo until a line of each kind was printed, and ends it as Ctrl-C does. */
const until = Effect.fnUntraced(function*(
  args: ReadonlyArray<string>,
  wanted: ReadonlyArray<string | ((line: string) => boolean)>
) {
  const running = yield* child(["demo", "--dir", yield* folder, ...args])
  for (const line of wanted) yield* running.line(line)
  yield* running.interrupt
  const ran = yield* running.ended
  assert.deepStrictEqual([ran.code, ran.err], [0, ""])
  return ran.out
})

/** A demo that ends by itself; everything it printed. */
const complete = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
  const ran = yield* (yield* child(["demo", "--json", ...args])).ended
  assert.deepStrictEqual([ran.code, ran.err], [0, ""], ran.out.trimEnd().split("\n").at(-1))
  return objects(ran.out.split("\n"))
})

const of = (all: ReadonlyArray<Facts>, event: string) => all.filter((object) => object["event"] === event)

const perNode = (summary: Facts) => summary["perNode"] as ReadonlyArray<Record<string, number>>

describe("demo", () => {
  it.live(
    "PMG-01 five nodes know one, find each other and close ledgers; the next run starts from their databases",
    () =>
      Effect.gen(function*() {
        const directory = yield* folder
        const args = ["--seconds", "6", "--tps", "40", "--dir", directory]
        const first = yield* complete(args)
        assert.strictEqual(of(first, "listening").length, 5)
        assert.deepStrictEqual(of(first, "listening").map(({ known }) => known), [0, 0, 0, 0, 0])
        const [{ address: seed }] = of(first, "listening") as [Facts]
        assert.deepStrictEqual(of(first, "listening").map(({ seed }) => seed), [undefined, seed, seed, seed, seed])
        const summary = first.at(-1)!
        assert.deepInclude(summary, { event: "summary", ok: true, nodes: 5, agree: true, lost: 0, drops: {}, shed: 0 })
        assert.isAbove(summary["submitted"] as number, 50)
        assert.strictEqual(summary["applied"], summary["submitted"])
        // All but the first were told of one node, and all close the same ledgers. How many links there are after six
        // seconds depends on the machine; that the mesh becomes whole is shown in virtual time.
        for (const facts of perNode(summary)) assert.isAtLeast(facts["outbound"]! + facts["inbound"]!, 1)
        assert.strictEqual(new Set(perNode(summary).map(({ hash }) => hash)).size, 1)

        const second = yield* complete(args)
        const listening = (all: ReadonlyArray<Facts>) =>
          of(all, "listening").map(({ address, node }) => ({ address, node }))
        assert.deepStrictEqual(listening(second), listening(first))
        for (const { known, seed } of of(second, "listening")) {
          assert.isAtLeast(known as number, 1)
          assert.isUndefined(seed)
        }
        assert.deepInclude(second.at(-1)!, { ok: true, agree: true, lost: 0, drops: {} })
        for (const facts of perNode(second.at(-1)!)) assert.isAtLeast(facts["outbound"]! + facts["inbound"]!, 1)
      }),
    120_000
  )

  it.live("SUR-06 all nodes say in a survey that they validate", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const running = yield* child(["demo", "--dir", directory, "--nodes", "4", "--tps", "0", "--admin", "--json"])
      yield* running.line(`"event":"closed"`)
      const [first] = of(objects(running.output().out.split("\n").slice(0, -1)), "listening")
      const file = join(directory, "survey.core.json")
      const quick = ["--collect", "2", "--settle", "0.5", "--poll", "0.2"]
      const ran = yield* cli(["survey", String(first!["admin"]), ...quick, "-o", file])
      assert.strictEqual(ran.code, 0, ran.err.join("\n"))
      const { topology } = JSON.parse(readFileSync(file, "utf8")) as {
        readonly topology: Record<string, { readonly isValidator: boolean }>
      }
      assert.deepStrictEqual(Object.values(topology).map(({ isValidator }) => isValidator), [true, true, true, true])
      yield* running.interrupt
    }), 30_000)

  it.live("OVM-19 with --admin each node answers its operator on a port of its own", () =>
    Effect.gen(function*() {
      const running = yield* child(["demo", "--dir", yield* folder, "--nodes", "10", "--tps", "0", "--admin", "--json"])
      yield* running.line(`"event":"listening"`)
      const nodes = of(objects(running.output().out.split("\n").slice(0, -1)), "listening")
      assert.strictEqual(nodes.length, 10)
      assert.strictEqual(new Set(nodes.map(({ admin }) => admin)).size, 10)
      for (const { admin, node } of nodes) {
        const answer = yield* Effect.promise(() => fetch(`${String(admin)}info`).then((response) => response.text()))
        assert.include(answer, `"node": "${String(node)}"`)
      }
    }))

  it.live("ends by itself after --seconds; exit 0", () =>
    Effect.gen(function*() {
      const all = yield* complete(["--seconds", "2", "--nodes", "3", "--dir", yield* folder])
      assert.deepInclude(all.at(-1)!, { event: "summary", nodes: 3, drops: {}, shed: 0 })
      assert.isAtLeast(all.at(-1)!["seconds"] as number, 2)
    }))

  it.live("nodes authenticate, exchange every type of message, close ledgers, and drop nothing", () =>
    Effect.gen(function*() {
      const out = yield* until(
        ["--nodes", "3", "--tps", "20", "--json", "--all"],
        [
          ...everyType.map((type) => `"type":"${type}"`),
          ...["NOMINATE", "PREPARE", "CONFIRM", "EXTERNALIZE"].map((kind) => `"statementType":"${kind}"`),
          (line) => /"event":"closed".*"transactions":[1-9]/.test(line)
        ]
      )
      const all = objects(out.split("\n"))
      const nodes = of(all, "listening").map(({ node }) => node)
      assert.strictEqual(nodes.length, 3)
      for (const { from, to } of of(all, "message")) {
        assert.include(nodes, from)
        assert.include(nodes, to)
      }
      const summary = all.at(-1)!
      assert.deepInclude(summary, { event: "summary", nodes: 3, agree: true, drops: {}, shed: 0, notShown: 0 })
      assert.containsAllKeys(summary["types"], everyType)
    }))

  it.live("PEE-01 each line names the role, the short id and the address of the peer, and the summary each node", () =>
    Effect.gen(function*() {
      const out = yield* until(["--nodes", "2"], ["closed ledger", " msg/s"])
      assert.match(out, /^2 nodes on "Standalone Network ; February 2017"/)
      assert.match(out, /\n {2}the others are told of G[A-Z2-7]{4} and nobody else; databases are in \//)
      assert.match(out, / authenticated outbound G[A-Z2-7]{4} at 127\.0\.0\.1:\d+ /)
      assert.match(out, / authenticated inbound G[A-Z2-7]{4} at 127\.0\.0\.1:\d+ /)
      assert.match(
        out,
        /\n\d\d:\d\d:\d\d\.\d{3} G[A-Z2-7]{4}→G[A-Z2-7]{4} SCP_MESSAGE +slot 2 [A-Z]+ by G[A-Z2-7]{4} \d+ B\n/
      )
      assert.match(
        out,
        /\nledger \d+ \| [\d.]+ tx\/s \| [\d.]+ msg\/s \| .*B\/s \| credit used \d+\/400 \| queued \d+ \|/
      )
      assert.match(out, /\nSummary: [\d.]+ s, 2 nodes, \d+ messages/)
      assert.match(out, /\n {2}ledger +all 2 nodes (are at|have closed) ledger \d+ with hash [0-9a-f]{64}\n/)
      assert.match(out, /\n {2}payments +\d+ made, \d+ in everybody's ledgers.* none lost\n/)
      assert.match(
        out,
        /\n {2}G[A-Z2-7]{4} ledger \d+ [0-9a-f]{8} {2}peers \d\+\d {2}unique \d+ {2}duplicate \d+ {2}pulled /
      )
      assert.match(out, /\n {2}drops +none {2}shed none/)
      // oxlint-disable-next-line no-control-regex
      assert.notMatch(out, /[\x00-\x09\x0b-\x1f\x7f]/)
    }))

  it.live("--rate max uses the credit there is, samples what it shows, and drops and sheds nothing", () =>
    Effect.gen(function*() {
      let complete: number | undefined
      // All links are there, and some time later many messages passed and most credit is in use.
      const flooded = (line: string): boolean => {
        if (!line.includes(`"event":"status"`)) return false
        const { creditInUse, creditGiven, ledger, messages } = JSON.parse(line)
        if (creditGiven < 1200) return false
        complete ??= messages as number
        return creditInUse > 600 && messages > complete + 20_000 && ledger > 2
      }
      const out = yield* until(["--nodes", "3", "--rate", "max", "--json"], [flooded])
      const all = objects(out.split("\n"))
      const summary = all.at(-1)!
      assert.deepInclude(summary, { event: "summary", ok: true, drops: {}, shed: 0, submitted: 0 })
      const shown = all.filter(({ event }) => event === "message").length
      assert.isAbove(summary["notShown"] as number, 10 * shown)
      for (const link of summary["links"] as Array<Record<string, number>>) {
        assert.isAbove(link["grantsSent"]!, 1)
        assert.isAbove(link["messagesRead"]!, 400) // more than what was granted at first, so credit came back
      }
    }))

  it.live("Ctrl-C ends it in order: a summary, and exit 0", () =>
    Effect.gen(function*() {
      const out = yield* until([], ["closed ledger"])
      assert.match(out, /\nSummary: [^]*\n {2}memory .*\n$/)
    }))

  it.live("a reader that leaves ends it quietly", () =>
    Effect.gen(function*() {
      const running = yield* child(["demo", "--dir", yield* folder])
      yield* running.line("closed ledger")
      running.process.stdout!.destroy()
      const ran = yield* running.ended
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
    }))

  it.live("a stranger on another network is refused, and the line says why", () =>
    Effect.gen(function*() {
      const running = yield* child(["demo", "--dir", yield* folder])
      const [, port] = /listens on 127\.0\.0\.1:(\d+)/.exec(yield* running.line("listens on"))!
      yield* cli(["ping", `127.0.0.1:${port}`, "--network", "pubnet"])
      const line = yield* running.line("refused")
      assert.match(
        line,
        /refused inbound 127\.0\.0\.1:\d+: rejected: failed to verify auth cert \(CertificateInvalid\)/
      )
    }))

  it.live("a port that is taken is explained; exit 2", () =>
    Effect.gen(function*() {
      const { port } = yield* server(() => undefined)
      const directory = yield* folder
      const { code, err } = yield* cli(["demo", "--port", String(port), "--seconds", "1", "--dir", directory])
      assert.strictEqual(code, 2)
      assert.match(err.join("\n"), /cannot listen: EADDRINUSE[\s\S]*--port/)
    }))

  it.live("a directory is one demo's at a time, its secrets are the user's, and one that was killed leaves no lock", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const running = yield* child(["demo", "--dir", directory])
      yield* running.line("closed ledger")
      const second = yield* cli(["demo", "--dir", directory, "--seconds", "1"])
      assert.strictEqual(second.code, 2)
      assert.match(second.err.join("\n"), new RegExp(`process ${running.process.pid} runs a demo there`))
      assert.strictEqual(statSync(join(directory, "demo.json")).mode & 0o77, 0)
      running.process.kill("SIGKILL")
      yield* running.ended
      const third = yield* cli(["demo", "--dir", directory, "--seconds", "1", "--json"])
      assert.deepStrictEqual([third.code, third.err], [0, []])
    }))

  it.live("a port of the last run that is taken now is given up, and what is no file of ours is started over", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const run = ["demo", "--nodes", "2", "--seconds", "1", "--json", "--dir", directory]
      yield* cli(run)
      const file = join(directory, "demo.json")
      const saved = JSON.parse(readFileSync(file, "utf8"))
      const { port } = yield* server(() => undefined)
      saved.nodes[0].port = port
      writeFileSync(file, JSON.stringify(saved))
      const moved = yield* cli(run)
      assert.strictEqual(moved.code, 0)
      assert.notStrictEqual(objects(moved.out)[0]!["address"], `127.0.0.1:${port}`)
      writeFileSync(file, `{"nodes": "none"}`)
      const anew = yield* cli(run)
      assert.strictEqual(anew.code, 0)
      const [first, second] = of(objects(anew.out), "listening")
      assert.strictEqual(second!["seed"], first!["address"])
      assert.deepInclude(objects(anew.out).at(-1)!, { event: "summary", ok: true, agree: true })
    }))
})
