import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { takeEvents } from "../src/net/AdminPort.ts"
import { bold, render } from "../src/render/Line.ts"
import * as NodeScreen from "../src/render/NodeScreen.ts"
import { table } from "../src/render/table.ts"
import { AdminPeers, type Answer } from "../src/watch/AdminPeers.ts"
import { columns } from "../src/watch/PeerRow.ts"
import { connected, eventually, node } from "./nodeSupport.ts"
import { child, cli, closedPort, objects } from "./support.ts"

const peer = (id: string, read: number, facts: Record<string, unknown> = {}) => ({
  address: "127.0.0.1:11625",
  id,
  ver: "v26.1.0",
  elapsed: 60,
  latency: 86_400_000,
  message_read: read,
  unique_flood_message_recv: 10,
  duplicate_flood_message_recv: 4,
  unique_fetch_message_recv: 2,
  duplicate_fetch_message_recv: 1,
  flow_control: { peer_capacity: 200, outbound_queue_delay_scp_p75: 3 },
  ...facts
})

const answer = (...outbound: ReadonlyArray<ReturnType<typeof peer>>): typeof Answer.Type => ({
  authenticated_peers: { outbound, inbound: null },
  pending_peers: { inbound: ["10.0.0.1:1"], outbound: null }
})

describe("AdminPeers", () => {
  it("rates, silence, and who came and went, from one answer to the next", () => {
    const peers = new AdminPeers()
    const first = peers.take(answer(peer("GA", 100), peer("GB", 5)), 1000)
    assert.deepStrictEqual([first.joined, first.left, first.pending], [[], [], 1])
    assert.deepInclude(first.rows[0], {
      id: "GA",
      direction: "out",
      roundTripMillis: undefined,
      messagesPerSecond: 0,
      unique: 12,
      duplicates: 5,
      credit: 200,
      last: "now"
    })
    const second = peers.take(answer(peer("GA", 150, { latency: 12 }), peer("GC", 1)), 3000)
    assert.deepInclude(second.rows[0], { messagesPerSecond: 25, roundTripMillis: 12, last: "now" })
    assert.deepStrictEqual([second.joined.map(({ id }) => id), second.left.map(({ id }) => id)], [["GC"], ["GB"]])
    const third = peers.take(answer(peer("GA", 150), peer("GC", 1)), 8000)
    assert.deepStrictEqual(third.rows.map(({ last, messagesPerSecond }) => [last, messagesPerSecond]), [
      ["5 s ago", 0],
      ["5 s ago", 0]
    ])
    // fewer messages than before: it left and came back
    const again = peers.take(answer(peer("GA", 3)), 9000)
    assert.deepInclude(again.rows[0], { messagesPerSecond: 0, last: "now" })
  })
})

describe("table", () => {
  const rows = new AdminPeers().take(answer(peer("GAAAAAAA", 1), peer("GBBBBBBB", 1, { latency: 1234 })), 0).rows
  const texts = (width: number) => table(columns, rows, width).map((line) => render(line, { colors: false }).trimEnd())

  it("aligns its columns", () => {
    const [head, a, b] = texts(1000)
    assert.match(head!, /^PEER {3}DIR {2}ADDRESS {12}RTT {3}AGE {2}MSG\/S {2}UNIQUE {2}DUP {2}CREDIT {2}QUEUED {2}LAST/)
    assert.match(a!, /^GAAAA {2}out {2}127\.0\.0\.1:11625 {6}\? {2}60 s {4}0\.0/)
    assert.match(b!, /^GBBBB {2}out {2}127\.0\.0\.1:11625 {2}1\.2 s {2}60 s/)
  })

  it("leaves out from the right what does not fit, and shows the first column always", () => {
    assert.deepStrictEqual(texts(12), ["PEER   DIR", "GAAAA  out", "GBBBB  out"])
    assert.deepStrictEqual(texts(1), ["PEER", "GAAAA", "GBBBB"])
  })
})

describe("the live lines", () => {
  it.effect("take as many rows as the terminal has, and what is printed goes above them", () =>
    Effect.gen(function*() {
      let text = ""
      const stream = {
        write: (more: string) => {
          text += more
          return true
        },
        once: () => undefined,
        off: () => undefined,
        destroyed: false,
        isTTY: true,
        columns: 20,
        rows: 3
      }
      const screen = NodeScreen.make({ stdout: stream, stderr: stream, env: { NO_COLOR: "1" } })
      yield* screen.live([["one"], [bold("two")], ["three"]])
      assert.strictEqual(text, "\r\x1b[Kone\ntwo")
      text = ""
      yield* screen.print([["above"]])
      assert.strictEqual(text, "\x1b[1A\r\x1b[Jabove\none\ntwo")
      text = ""
      yield* screen.live([["one"]])
      assert.strictEqual(text, "\x1b[1A\r\x1b[Jone")
      text = ""
      yield* screen.live([])
      yield* screen.live([])
      assert.strictEqual(text, "\r\x1b[K")
    }))
})

describe("takeEvents", () => {
  it("takes whole events, in any pieces, and keeps the rest", () => {
    const text =
      `: hello\n\nevent: A\ndata: {"type":"A","n":1}\n\nevent: B\ndata: {"type":"B"}\n\nevent: end\n\ndata: [1]\n\n`
    for (let cut = 0; cut <= text.length; cut++) {
      const first = takeEvents(text.slice(0, cut))
      const second = takeEvents(first.rest + text.slice(cut))
      assert.deepStrictEqual([...first.events, ...second.events], [{ type: "A", n: 1 }, { type: "B" }])
      assert.strictEqual(second.rest, "")
    }
  })
})

describe("watch --admin", () => {
  it.live("PEE-02 shows the peers of a running node, and says who leaves", () =>
    Effect.gen(function*() {
      const watched = yield* node()
      const other = yield* node(["--peer", watched.address])
      yield* eventually(connected(watched), (ids) => ids.includes(other.id))
      const ran = yield* cli(["watch", "--admin", `127.0.0.1:${watched.adminPort}`, "--json", "--seconds", "0.2"])
      assert.strictEqual(ran.code, 0)
      const [first] = objects(ran.out)
      const rows = first?.["rows"] as ReadonlyArray<Record<string, unknown>>
      assert.strictEqual(rows.length, 1)
      assert.deepInclude(rows[0], { id: other.id, direction: "in" })
      const text = yield* cli(["watch", "--admin", `127.0.0.1:${watched.adminPort}`, "--seconds", "0.2"])
      assert.match(text.out.join("\n"), new RegExp(`0 outbound, 1 inbound, .*\nPEER .*\n${other.id.slice(0, 5)} +in `))
      const watching = yield* child(["watch", "--admin", `127.0.0.1:${watched.adminPort}`])
      yield* watching.line("1 inbound")
      yield* other.running.interrupt
      yield* watching.line((line) => line.includes("PeerDropped") && line.includes(other.id))
      yield* watched.running.interrupt
      const ended = yield* watching.ended
      assert.strictEqual(ended.code, 3)
      assert.match(ended.err, /ended: http:/)
    }))

  it.live("wants nodes or an operator's port, not both, not none", () =>
    Effect.gen(function*() {
      const port = yield* closedPort
      const codes: Array<number> = []
      for (
        const args of [[], ["127.0.0.1:1", "--admin", "127.0.0.1:1"], ["127.0.0.1", "127.0.0.2", "--record", "/x"]]
      ) {
        codes.push((yield* cli(["watch", ...args])).code)
      }
      assert.deepStrictEqual(codes, [2, 2, 2])
      const closed = yield* cli(["watch", "--admin", `127.0.0.1:${port}`])
      assert.strictEqual(closed.code, 3)
      assert.match(closed.err.join("\n"), /Is a node running there/)
    }))
})
