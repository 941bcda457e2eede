import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { child, cli, objects, server } from "./support.ts"

/** What passes between the nodes of a demo, by stellar-core's names. */
const everyType = [
  "HELLO",
  "AUTH",
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

/** Runs a demo until a line of each kind was printed, and ends it as Ctrl-C does. */
const until = Effect.fnUntraced(function*(
  args: ReadonlyArray<string>,
  wanted: ReadonlyArray<string | ((line: string) => boolean)>
) {
  const running = yield* child(["demo", ...args])
  for (const line of wanted) yield* running.line(line)
  yield* running.interrupt
  const ran = yield* running.ended
  assert.deepStrictEqual([ran.code, ran.err], [0, ""])
  return ran.out
})

describe("demo", () => {
  it.live("ends by itself after --seconds; exit 0", () =>
    Effect.gen(function*() {
      const ran = yield* (yield* child(["demo", "--seconds", "2", "--json"])).ended
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
      const summary = objects(ran.out.split("\n")).at(-1)!
      assert.deepInclude(summary, { event: "summary", nodes: 3, drops: {}, shed: 0 })
      assert.isAtLeast(summary["seconds"] as number, 2)
    }))

  it.live("nodes authenticate, exchange every type of message, close ledgers, and drop nothing", () =>
    Effect.gen(function*() {
      const out = yield* until(
        ["--rate", "20", "--json"],
        [
          ...everyType.map((type) => `"type":"${type}"`),
          ...["NOMINATE", "PREPARE", "CONFIRM", "EXTERNALIZE"].map((kind) => `"statementType":"${kind}"`),
          (line) => /"event":"closed".*"transactions":[1-9]/.test(line)
        ]
      )
      const all = objects(out.split("\n"))
      const of = (event: string) => all.filter((object) => object["event"] === event)
      assert.strictEqual(of("listening").length, 3)
      assert.strictEqual(of("authenticated").length, 6) // both ends of three links
      const nodes = of("listening").map(({ node }) => node)
      for (const { from, to } of of("message")) {
        assert.include(nodes, from)
        assert.include(nodes, to)
      }
      const summary = all.at(-1)!
      assert.deepInclude(summary, { event: "summary", nodes: 3, drops: {}, shed: 0 })
      assert.containsAllKeys(summary["types"], everyType)
      assert.strictEqual((summary["links"] as Array<unknown>).length, 6)
    }))

  it.live("PEE-01 each line names the role, the short id and the address of the peer, and the summary counts both ways", () =>
    Effect.gen(function*() {
      const out = yield* until(["--nodes", "2"], ["closed ledger", " msg/s"])
      assert.match(out, /^2 nodes on "Standalone Network ; February 2017"/)
      assert.match(out, / authenticated outbound G[A-Z2-7]{4} at 127\.0\.0\.1:\d+\n/)
      assert.match(out, / authenticated inbound G[A-Z2-7]{4} at 127\.0\.0\.1:\d+\n/)
      assert.match(
        out,
        /\n\d\d:\d\d:\d\d\.\d{3} G[A-Z2-7]{4}→G[A-Z2-7]{4} SCP_MESSAGE +slot 1 NOMINATE by G[A-Z2-7]{4} \d+ B\n/
      )
      assert.match(out, /\n[\d.]+ msg\/s \| .*B\/s \| credit used \d+\/400 \| queued \d+ \| rtt .* \| drops 0 \|/)
      assert.match(out, /\nSummary: [\d.]+ s, 2 nodes, \d+ ledgers? closed, \d+ messages/)
      assert.match(out, /\n {2}G[A-Z2-7]{4}⇄G[A-Z2-7]{4} {2}sent \d+, .* received \d+, .* grants \d+ given, \d+ taken/)
      assert.match(out, /\n {2}drops +none {2}shed none/)
      // oxlint-disable-next-line no-control-regex
      assert.notMatch(out, /[\x00-\x09\x0b-\x1f\x7f]/)
    }))

  it.live("--rate max uses the credit there is, samples what it shows, and drops and sheds nothing", () =>
    Effect.gen(function*() {
      const flooded = (line: string): boolean => {
        if (!line.includes(`"event":"status"`)) return false
        const { creditInUse, creditGiven, ledgers, messages } = JSON.parse(line)
        return creditGiven === 1200 && creditInUse > 600 && messages > 5000 && ledgers > 1
      }
      const out = yield* until(["--rate", "max", "--json"], [flooded])
      const all = objects(out.split("\n"))
      const summary = all.at(-1)!
      assert.deepInclude(summary, { event: "summary", drops: {}, shed: 0 })
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
      const running = yield* child(["demo"])
      yield* running.line("closed ledger")
      running.process.stdout!.destroy()
      const ran = yield* running.ended
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
    }))

  it.live("a stranger on another network is refused, and the line says why", () =>
    Effect.gen(function*() {
      const running = yield* child(["demo"])
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
      const { code, err } = yield* cli(["demo", "--port", String(port), "--seconds", "1"])
      assert.strictEqual(code, 2)
      assert.match(err.join("\n"), /cannot listen: EADDRINUSE[\s\S]*--port/)
    }))
})
