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

describe("demo", () => {
  it.live("nodes authenticate, exchange every type of message, close ledgers, and end without a drop; exit 0", () =>
    Effect.gen(function*() {
      const ran = yield* (yield* child(["demo", "--seconds", "2", "--rate", "20", "--json"])).ended
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
      const all = objects(ran.out.split("\n"))
      const of = (event: string) => all.filter((object) => object["event"] === event)
      assert.strictEqual(of("listening").length, 3)
      assert.strictEqual(of("authenticated").length, 6) // both ends of three links
      const seen = new Set(of("message").map(({ type }) => type))
      for (const type of everyType) assert.include([...seen], type)
      const kinds = new Set(of("message").map(({ statementType }) => statementType))
      for (const kind of ["NOMINATE", "PREPARE", "CONFIRM", "EXTERNALIZE"]) assert.include([...kinds], kind)
      const nodes = of("listening").map(({ node }) => node)
      for (const { from, to } of of("message")) {
        assert.include(nodes, from)
        assert.include(nodes, to)
      }
      for (const node of nodes) assert.isTrue(of("closed").some((closed) => closed["node"] === node), `${node} closed a ledger`)
      const summary = all.at(-1)!
      assert.deepInclude(summary, { event: "summary", nodes: 3, drops: {}, shed: 0 })
      assert.strictEqual((summary["links"] as Array<unknown>).length, 6)
    }))

  it.live("PEE-01 each line names the role, the short id and the address of the peer, and the summary counts both ways", () =>
    Effect.gen(function*() {
      const ran = yield* (yield* child(["demo", "--seconds", "1", "--nodes", "2"])).ended
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
      assert.match(ran.out, /^2 nodes on "Standalone Network ; February 2017"/)
      assert.match(ran.out, / authenticated outbound G[A-Z2-7]{4} at 127\.0\.0\.1:\d+\n/)
      assert.match(ran.out, / authenticated inbound G[A-Z2-7]{4} at 127\.0\.0\.1:\d+\n/)
      assert.match(ran.out, /\n\d\d:\d\d:\d\d\.\d{3} G[A-Z2-7]{4}→G[A-Z2-7]{4} SCP_MESSAGE +slot 1 NOMINATE by G[A-Z2-7]{4} \d+ B\n/)
      assert.match(ran.out, /\nSummary: [\d.]+ s, 2 nodes, \d ledgers? closed, \d+ messages/)
      assert.match(ran.out, /\n {2}G[A-Z2-7]{4}⇄G[A-Z2-7]{4} {2}sent \d+, .* received \d+, .* grants 1 given, 1 taken/)
      assert.match(ran.out, /\n {2}drops +none {2}shed none/)
      // oxlint-disable-next-line no-control-regex
      assert.notMatch(ran.out, /[\x00-\x09\x0b-\x1f\x7f]/)
    }))

  it.live("FLC-001 --rate max uses all the credit there is, samples what it shows, and drops and sheds nothing", () =>
    Effect.gen(function*() {
      const ran = yield* (yield* child(["demo", "--seconds", "3", "--rate", "max", "--json"])).ended
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
      const all = objects(ran.out.split("\n"))
      const summary = all.at(-1)!
      assert.deepInclude(summary, { event: "summary", drops: {}, shed: 0 })
      const messages = all.filter(({ event }) => event === "message").length
      assert.isAbove(summary["messages"] as number, 10 * messages)
      assert.isAbove(summary["notShown"] as number, messages)
      for (const link of summary["links"] as Array<Record<string, number>>) {
        assert.isAbove(link["grantsSent"]!, 1)
        assert.isAbove(link["messagesRead"]!, 400) // more than what was granted at first, so credit came back
      }
      const used = all.flatMap(({ creditInUse, event }) => event === "status" ? [creditInUse as number] : [])
      assert.isTrue(used.some((credit) => credit > 600), `credit in use: ${used.join()}`)
      assert.isAbove(summary["ledgers"] as number, 0) // SCP goes through all the same
    }))

  it.live("Ctrl-C ends it in order: a summary, and exit 0", () =>
    Effect.gen(function*() {
      const running = yield* child(["demo"])
      yield* running.line("closed ledger")
      running.process.kill("SIGINT")
      const ran = yield* running.ended
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
      assert.match(ran.out, /\nSummary: /)
    }))

  it.live("a reader that leaves ends it quietly", () =>
    Effect.gen(function*() {
      const running = yield* child(["demo"])
      yield* running.line("closed ledger")
      running.process.stdout!.destroy()
      const ran = yield* running.ended
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
    }))

  it.live("a port that is taken is explained; exit 2", () =>
    Effect.gen(function*() {
      const { port } = yield* server(() => undefined)
      const { code, err } = yield* cli(["demo", "--port", String(Math.min(port, 65530)), "--seconds", "1"])
      assert.strictEqual(code, 2)
      assert.match(err.join("\n"), /cannot listen: EADDRINUSE[\s\S]*--port/)
    }))
})
