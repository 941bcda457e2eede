/** Health, readiness, metrics and events of a node that runs, as an operator's tools see them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import { join } from "node:path"
import { connected, eventually, folder, get, node, raw, request, type RunningNode } from "./nodeSupport.ts"

interface Heard {
  readonly status: number
  readonly type: string | undefined
  /** What came so far. */
  readonly text: () => string
  readonly close: () => void
}

/** Listens to events until the scope closes. */
const listen = (port: number, query = "") =>
  Effect.acquireRelease(
    Effect.callback<Heard>((resume) => {
      const sent = Http.get({ host: "127.0.0.1", port, path: `/events${query}` }, (response) => {
        let text = ""
        response.setEncoding("utf8")
        response.on("data", (chunk) => {
          text += chunk
        })
        response.on("error", () => undefined)
        resume(Effect.succeed({
          status: response.statusCode ?? 0,
          type: response.headers["content-type"],
          text: () => text,
          close: () => response.destroy()
        }))
      })
      sent.on("error", (error) => resume(Effect.die(error)))
    }),
    ({ close }) => Effect.sync(close)
  )

const until = (heard: Heard, isGood: (text: string) => boolean) => eventually(Effect.sync(heard.text), isGood)

const data = (text: string): Array<Record<string, unknown>> =>
  text.split("\n").flatMap((line) => line.startsWith("data: {\"") ? [JSON.parse(line.slice(6))] : [])

const reasons = (body: string): ReadonlyArray<string> =>
  JSON.parse(body).reasons.map(({ reason }: { readonly reason: string }) => reason)

const introduce = (a: RunningNode, b: RunningNode) => get(b, `/connect?peer=127.0.0.1&port=${a.port}`)

describe("operations", () => {
  it.live("O7 MET-02 health, readiness and metrics answer a scraper; other methods, paths and sizes get what they deserve", () =>
    Effect.gen(function*() {
      const a = yield* node()
      const { adminPort } = a
      const alone = yield* request(adminPort, "/readyz")
      assert.strictEqual(alone.status, 503)
      assert.include(reasons(alone.body), "TooFewPeers")
      assert.strictEqual(alone.headers["content-type"], "application/json")
      const healthy = yield* request(adminPort, "/healthz")
      assert.strictEqual(healthy.status, 200)
      assert.deepInclude(JSON.parse(healthy.body), { healthy: true, ready: false, status: "not ready" })

      const b = yield* node(["--no-listen"])
      yield* introduce(a, b)
      yield* eventually(connected(a), (ids) => ids.length === 1)
      // A machine that is busy may have stopped for a second just now.
      const ready = yield* eventually(request(adminPort, "/readyz"), ({ status }) => status === 200)
      assert.deepStrictEqual([ready.status, JSON.parse(ready.body)], [200, {
        status: "ready",
        healthy: true,
        ready: true,
        reasons: []
      }])

      const page = yield* request(adminPort, "/metrics")
      assert.deepStrictEqual([page.status, page.headers["content-type"]], [
        200,
        "text/plain; version=0.0.4; charset=utf-8"
      ])
      assert.match(page.body, /^stellar_node_ready 1$/m)
      assert.match(page.body, /^stellar_overlay_connection_authenticated 1$/m)
      for (const line of page.body.trimEnd().split("\n")) {
        assert.match(
          line,
          /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? (-?[0-9.e+-]+|\+Inf))$/
        )
      }

      for (const path of ["/healthz", "/readyz", "/metrics", "/events"]) {
        for (const method of ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"]) {
          assert.strictEqual((yield* request(adminPort, path, { method })).status, 405, `${method} ${path}`)
        }
        assert.strictEqual((yield* request(adminPort, `${path}?${"a".repeat(4096)}`)).status, 414, path)
        const filler = { headers: { filler: "a".repeat(9000) } }
        assert.strictEqual((yield* request(adminPort, path, filler)).status, 431, path)
        const rebound = { headers: { host: "rebound.example" } }
        assert.strictEqual((yield* request(adminPort, path, rebound)).status, 403, path)
        const page = { headers: { origin: "http://a.example" } }
        assert.strictEqual((yield* request(adminPort, path, page)).status, 403, path)
        assert.strictEqual((yield* request(adminPort, `${path}/x`)).status, 404, path)
        assert.match(yield* raw(adminPort, `GET ${path} HTTP/9.9\r\n\r\n`), /^HTTP\/1\.1 400 /, path)
      }
      for (const path of ["/", "/metricsx", "/../metrics", "/%6detrics", "/events/../healthz", "//healthz"]) {
        assert.strictEqual((yield* request(adminPort, path)).status, 404, path)
      }
      const body = yield* request(adminPort, "/healthz", { headers: { "content-length": "0" } })
      assert.strictEqual(body.status, 200)
      assert.strictEqual(a.running.output().err, "")
    }))

  it.live("O7 a node that may be alone is ready, and one that must be in sync at once is not", () =>
    Effect.gen(function*() {
      const a = yield* node(["--min-peers", "0", "--max-out-of-sync", "3600"])
      yield* eventually(request(a.adminPort, "/readyz"), ({ status }) => status === 200)
      const b = yield* node(["--min-peers", "0", "--max-out-of-sync", "0"])
      const answer = yield* eventually(
        Effect.map(request(b.adminPort, "/readyz"), ({ body }) => reasons(body)),
        (all) => all.includes("OutOfSync")
      )
      assert.include(answer, "OutOfSync")
    }))

  it.live("O4 G6 a caller that comes and goes is one line, one reason and one count, or one of the lines that are counted", () =>
    Effect.gen(function*() {
      const callers = 150
      const a = yield* node()
      const knock = Effect.callback<void>((resume) => {
        const socket = Net.connect(a.port, "127.0.0.1", () => socket.destroy())
        socket.on("error", () => undefined)
        socket.on("close", () => resume(Effect.void))
      })
      yield* Effect.forEach(Array.from({ length: callers }), () => knock, { concurrency: 20, discard: true })
      const seen = yield* eventually(
        Effect.map(get(a, "/metrics"), (page) => {
          const value = (series: string) =>
            Number(page.split("\n").find((line) => line.startsWith(series))?.split(" ")[1])
          const { err, out } = a.running.output()
          return {
            counted: page.split("\n")
              .filter((line) => line.startsWith("stellar_overlay_drops_total{"))
              .reduce((sum, line) => sum + Number(line.split(" ")[1]), 0),
            written: value("stellar_log_lines_total{kind=\"event\"}"),
            suppressed: value("stellar_log_suppressed_total{kind=\"event\"}"),
            lines: out.split("\n").filter((line) => line.includes("\"event\":\"refused\"")).length,
            told: [...err.matchAll(/suppressed (\d+) lines? \(\d+ event\)/g)].reduce((sum, [, n]) => sum + Number(n), 0)
          }
        }),
        ({ counted, lines, told }) => counted === callers && lines + told === callers
      )
      assert.deepStrictEqual(seen, {
        counted: callers,
        written: seen.lines,
        suppressed: seen.told,
        lines: callers - seen.told,
        told: seen.told
      })
    }))

  it.live("O6 a hostile version string is harmless in every answer of a node", () =>
    Effect.gen(function*() {
      const version = "v1\u001b[2J\u009b1m\u202e</script><img src=x onerror='alert(1)'>\u2028&\\"
      const a = yield* node()
      const heard = yield* listen(a.adminPort)
      const config = join(yield* folder, "config.json")
      writeFileSync(config, JSON.stringify({ versionString: version }))
      const b = yield* node(["--no-listen", "--config", config])
      yield* introduce(a, b)
      yield* eventually(connected(a), (ids) => ids.length === 1)
      yield* until(heard, (text) => text.includes("PeerAuthenticated"))
      assert.include(data(heard.text()).map((event) => event["version"]), version)
      const peers = yield* get(a, "/peers?compact=false")
      assert.strictEqual(JSON.parse(peers).authenticated_peers.inbound[0].ver, version)
      const metrics = yield* get(a, "/metrics")
      const text = yield* get(a, `/droppeer?node=${encodeURIComponent(version)}`)
      for (const answer of [heard.text(), peers, metrics, text, a.running.output().out]) {
        assert.notMatch(answer, /[^\P{C}\n]|[\p{Zl}\p{Zp}]/u)
      }
      for (const answer of [heard.text(), peers, metrics]) assert.notMatch(answer, /[<>]script|<img/)
    }))

  it.live("MET-01 /metrics keeps stellar-core's JSON for who asks for it", () =>
    Effect.gen(function*() {
      const a = yield* node()
      const asked = yield* request(a.adminPort, "/metrics", { headers: { accept: "application/json" } })
      assert.deepStrictEqual([asked.status, asked.headers["content-type"]], [200, "application/json"])
      assert.property(JSON.parse(asked.body).metrics, "overlay.message.read")
      const domain = yield* request(a.adminPort, "/metrics?domain=overlay")
      assert.property(JSON.parse(domain.body).metrics, "overlay.byte.write")
    }))

  it.live("MET-03 events come as they happen, as server-sent events, chosen by type, until the node says goodbye", () =>
    Effect.gen(function*() {
      const a = yield* node()
      const all = yield* listen(a.adminPort)
      const some = yield* listen(a.adminPort, "?type=NodeBanned,NodeUnbanned&type=PeerDropped")
      assert.deepStrictEqual([all.status, all.type], [200, "text/event-stream"])
      const b = yield* node(["--no-listen"])
      yield* introduce(a, b)
      yield* eventually(connected(a), (ids) => ids.length === 1)
      yield* get(a, `/droppeer?node=${b.id}&ban=1`)
      yield* get(a, `/unban?node=${b.id}`)
      yield* until(some, (text) => text.includes("NodeUnbanned"))
      assert.deepStrictEqual(data(some.text()).map(({ type }) => type).slice(0, 3), [
        "PeerDropped",
        "NodeBanned",
        "NodeUnbanned"
      ])
      assert.deepInclude(data(some.text())[0], {
        type: "PeerDropped",
        id: b.id,
        direction: "inbound",
        authenticated: true,
        reason: "DroppedByUser"
      })
      yield* until(all, (text) => text.includes("NodeUnbanned"))
      const types = data(all.text()).map(({ type }) => type)
      for (const type of ["PeerConnected", "PeerHello", "PeerAuthenticated", "PeerDropped", "NodeBanned"]) {
        assert.include(types, type)
      }
      assert.match(all.text(), /^[\n -~]*$/)
      assert.match(all.text(), /\nevent: PeerHello\ndata: \{"time":"/)
      yield* until(all, (text) => text.includes("\n: still here\n"))

      yield* a.running.interrupt
      const { code, err } = yield* a.running.ended
      assert.deepStrictEqual([code, err], [0, ""])
      for (const heard of [all, some]) assert.match(heard.text(), /\n\nevent: end\ndata: \{\}\n\n$/)
    }))

  it.live("O7 MET-03 eight listen at once, the ninth is sent away, and a place is free again when one leaves", () =>
    Effect.gen(function*() {
      const a = yield* node()
      const unknown = yield* request(a.adminPort, "/events?type=Nonsense")
      assert.strictEqual(unknown.status, 400)
      assert.include(unknown.body, "PeerAuthenticated")
      const clients = yield* Effect.forEach(Array.from({ length: 8 }), () => listen(a.adminPort))
      for (const client of clients) assert.strictEqual(client.status, 200)
      const ninth = yield* request(a.adminPort, "/events")
      assert.deepStrictEqual([ninth.status, ninth.headers["retry-after"]], [503, "5"])
      assert.match(yield* get(a, "/metrics"), /^stellar_events_clients 8$/m)
      assert.match(yield* get(a, "/metrics"), /^stellar_events_refused_total 1$/m)
      clients[3]!.close()
      yield* eventually(get(a, "/metrics"), (text) => text.includes("stellar_events_clients 7\n"))
      const again = yield* listen(a.adminPort)
      assert.strictEqual(again.status, 200)
    }))

  it.live("O7 who listens to events and never reads keeps neither other requests nor Ctrl-C waiting", () =>
    Effect.gen(function*() {
      const a = yield* node()
      const socket = Net.connect(a.adminPort, "127.0.0.1", () => {
        socket.write("GET /events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        socket.pause()
      })
      socket.on("error", () => undefined)
      yield* Effect.addFinalizer(() => Effect.sync(() => socket.destroy()))
      yield* eventually(get(a, "/metrics"), (text) => text.includes("stellar_events_clients 1\n"))
      yield* a.running.interrupt
      const { code, err } = yield* a.running.ended
      assert.deepStrictEqual([code, err], [0, ""])
    }))
})
