import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import * as Net from "node:net"
import { networkInterfaces } from "node:os"
import { connected, eventually, folder, get, node, peersOf, raw, request } from "./nodeSupport.ts"
import { cli, closedPort, objects } from "./support.ts"

describe("node", () => {
  it.live("OVM-01 PEE-02 the admin port answers with core's paths, texts and JSON", () =>
    Effect.gen(function*() {
      const a = yield* node()
      assert.deepStrictEqual(yield* peersOf(a), {
        pending_peers: { inbound: null, outbound: null },
        authenticated_peers: { inbound: null, outbound: null }
      })
      assert.deepStrictEqual(JSON.parse(yield* get(a, "/bans")), { bans: null })

      const b = yield* node(["--no-listen"])
      assert.strictEqual(
        yield* get(b, `/connect?peer=127.0.0.1&port=${a.port}`),
        `Connect to: 127.0.0.1:${a.port}\n`
      )
      assert.deepStrictEqual(yield* eventually(connected(a), (ids) => ids.length === 1), [b.id])
      const compact = yield* peersOf(b)
      assert.strictEqual(compact.authenticated_peers.inbound, null)
      const [peer] = compact.authenticated_peers.outbound!
      assert.hasAllKeys(peer!, ["address", "elapsed", "latency", "ver", "olver", "flow_control", "id"])
      assert.deepInclude(peer!, { address: a.address, id: a.id, olver: 42 })
      const [full] = (yield* peersOf(b, "?compact=false")).authenticated_peers.outbound!
      assert.containsAllKeys(full!, [...Object.keys(peer!), "pull_mode", "message_read", "byte_write", "message_drop"])
      const { info } = JSON.parse(yield* get(a, "/info"))
      assert.deepStrictEqual(info.peers, { pending_count: 0, authenticated_count: 1 })

      assert.strictEqual(
        yield* get(a, "/connect?peer=127.0.0.1"),
        "Must specify a peer and port: connect&peer=PEER&port=PORT\n"
      )
      assert.strictEqual(yield* get(a, "/droppeer"), "Must specify at least peer id: droppeer?node=NODE_ID\n")
      assert.strictEqual(yield* get(a, "/droppeer?node=nobody"), "Peer nobody not found\n")
      assert.strictEqual(yield* get(a, `/droppeer?node=${b.id}&ban=1`), `Drop and ban peer: ${b.id}\n`)
      assert.deepStrictEqual(JSON.parse(yield* get(a, "/bans")), { bans: [b.id] })
      const left = JSON.parse(yield* b.running.line(`"event":"left"`))
      assert.deepInclude(left, { peer: a.id, text: "ERR_MISC (dropped by user)" })
      assert.isNotEmpty(left.hint)
      assert.strictEqual(yield* get(a, `/unban?node=${b.id}`), `Unban peer: ${b.id}\n`)
      assert.deepStrictEqual(JSON.parse(yield* get(a, "/bans")), { bans: null })
      const unknown = yield* request(a.adminPort, "/generateload")
      assert.strictEqual(unknown.status, 404)
    }))

  it.live("O7 the admin port is on loopback, takes only short GET requests of this machine, and closes the rest", () =>
    Effect.gen(function*() {
      const a = yield* node()
      const { adminPort } = a
      const ok = yield* request(adminPort, "/info")
      assert.deepInclude(ok, { status: 200 })
      assert.strictEqual(ok.headers["content-type"], "application/json")

      for (const method of ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"]) {
        assert.strictEqual((yield* request(adminPort, "/info", { method })).status, 405, method)
      }
      assert.strictEqual((yield* request(adminPort, `/info?${"a".repeat(4096)}`)).status, 414)
      assert.strictEqual((yield* request(adminPort, "/info", { headers: { filler: "a".repeat(9000) } })).status, 431)
      assert.strictEqual((yield* request(adminPort, "/info", { headers: { host: "rebound.example" } })).status, 403)
      assert.strictEqual((yield* request(adminPort, "/info", { headers: { origin: "http://a.example" } })).status, 403)
      const fromPage = { "sec-fetch-site": "cross-site" }
      assert.strictEqual((yield* request(adminPort, "/info", { headers: fromPage })).status, 403)
      assert.strictEqual(
        (yield* request(adminPort, "/info", { headers: { host: `localhost:${adminPort}` } })).status,
        200
      )

      for (const address of Object.values(networkInterfaces()).flatMap((found) => found ?? [])) {
        if (address.family !== "IPv4" || address.internal) continue
        const outside = yield* Effect.exit(request(adminPort, "/info", { host: address.address }))
        assert.isTrue(Exit.isFailure(outside), `reached at ${address.address}`)
      }

      const malformed = [
        "nonsense\r\n\r\n",
        "GET /info HTTP/9.9\r\n\r\n",
        "GET /info HTTP/1.1\r\n: nothing\r\n\r\n",
        "GET /info HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        "GET /info HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
      ]
      for (const text of malformed) {
        assert.match(yield* raw(adminPort, text), /^HTTP\/1\.1 400 Bad Request\r\n/, JSON.stringify(text))
      }
      // A request that never ends is answered and closed, after the node's own time.
      assert.match(yield* raw(adminPort, "GET /info HTTP/1.1\r\nhost: 127.0.0.1\r\n"), /^HTTP\/1\.1 408 /)
      assert.strictEqual((yield* request(adminPort, "/info")).status, 200)
      assert.deepStrictEqual(a.running.output().err, "")
    }))

  it.live("O7 more connections than there is room for are closed, and Ctrl-C waits for none of them", () =>
    Effect.gen(function*() {
      const a = yield* node()
      const sockets: Array<Net.Socket> = []
      yield* Effect.addFinalizer(() => Effect.sync(() => sockets.forEach((socket) => socket.destroy())))
      const opened = Effect.callback<void>((resume) => {
        for (let i = 0; i < 40; i++) {
          const socket = Net.connect(a.adminPort, "127.0.0.1", () => socket.write("GET /info HTTP/1.1\r\n"))
          socket.on("error", () => undefined)
          socket.on("close", () => {
            if (sockets.filter((each) => !each.destroyed).length <= 16) resume(Effect.void)
          })
          sockets.push(socket)
        }
      })
      yield* opened
      yield* a.running.interrupt
      const { code, err } = yield* a.running.ended
      assert.deepStrictEqual([code, err], [0, ""])
    }))

  it.live("OVM-02 CON-02 Ctrl-C tells every peer, and frees the ports; exit 0", () =>
    Effect.gen(function*() {
      const a = yield* node()
      const b = yield* node(["--peer", a.address])
      const c = yield* node(["--peer", a.address])
      assert.deepStrictEqual(yield* eventually(connected(a), (ids) => ids.length === 2), [b.id, c.id].sort())
      yield* a.running.interrupt
      const { code, err } = yield* a.running.ended
      assert.deepStrictEqual([code, err], [0, ""])
      for (const other of [b, c]) {
        const left = yield* other.running.line((line) => line.includes(`"event":"left"`) && line.includes(a.id))
        assert.deepInclude(JSON.parse(left), { peer: a.id, reason: "ShutdownReceived" })
      }
      const again = yield* node(["--port", String(a.port), "--admin-port", String(a.adminPort)])
      assert.deepStrictEqual([again.port, again.adminPort], [a.port, a.adminPort])
    }))

  it.live("peers --of prints what a node tells its callers", () =>
    Effect.gen(function*() {
      const a = yield* node()
      const b = yield* node(["--peer", a.address])
      yield* eventually(connected(a), (ids) => ids.length === 1)
      const { code, out } = yield* cli(["peers", "--of", a.address])
      assert.deepStrictEqual([code, out], [0, [b.address]])
      const json = yield* cli(["peers", "--of", a.address, "--json"])
      assert.strictEqual(json.code, 0)
      assert.deepInclude(objects(json.out)[0], {
        target: a.address,
        ok: true,
        nodeId: a.id,
        network: "standalone",
        addresses: [b.address]
      })
    }))

  it.live("peers --of: a node that knows nobody, and an address where nobody is", () =>
    Effect.gen(function*() {
      const a = yield* node()
      const alone = yield* cli(["peers", "--of", a.address])
      assert.deepStrictEqual([alone.code, alone.out], [0, []])
      assert.match(alone.err.join("\n"), /told no addresses/)
      const port = yield* closedPort
      const closed = yield* cli(["peers", "--of", `127.0.0.1:${port}`])
      assert.strictEqual(closed.code, 3)
      assert.match(closed.err.join("\n"), /ConnectionRefused/)
    }))

  it.live("ports that are taken are explained; exit 2", () =>
    Effect.gen(function*() {
      const a = yield* node()
      const peer = yield* cli(["node", "--network", "standalone", "--port", String(a.port), "--no-admin"])
      assert.strictEqual(peer.code, 2)
      assert.match(peer.err.join("\n"), /cannot listen for peers: EADDRINUSE[\s\S]*--port/)
      const admin = yield* cli([
        "node",
        "--network",
        "standalone",
        "--no-listen",
        "--admin-port",
        String(a.adminPort)
      ])
      assert.strictEqual(admin.code, 2)
      assert.match(admin.err.join("\n"), /cannot listen for the operator: .*EADDRINUSE[\s\S]*--admin-port/)
    }))

  it.live("a database that is none is said, and the node runs on without it", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const a = yield* node(["--db", directory])
      const failed = JSON.parse(yield* a.running.line(`"event":"storageFailed"`))
      assert.include(["peers", "bans"], failed.store)
      assert.strictEqual((yield* request(a.adminPort, "/info")).status, 200)
    }))
})
