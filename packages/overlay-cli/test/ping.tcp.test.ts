import { assert, describe, it } from "@effect/vitest"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import { passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import * as Peer from "@stellar-overlay/overlay/Peer"
import { type Connection, Transport } from "@stellar-overlay/overlay/Transport"
import { Context, Effect, Layer, Stream } from "effect"
import { networkId } from "../src/net/networkId.ts"
import { escape } from "../src/render/escape.ts"
import { demo } from "./nodeSupport.ts"
import { child, cli, closedPort, objects, server } from "./support.ts"

/** A node in this process that says what a test wants it to say. */
const node = (options: NodeOverlay.Options) =>
  Effect.gen(function*() {
    const services = yield* Layer.build(NodeOverlay.layer({ network: "standalone", ...options }))
    const listener = yield* Context.get(services, Transport).listen({ host: "127.0.0.1", port: 0 })
    const serve = (connection: Connection) =>
      Effect.flatMap(Peer.accept(connection), ({ messages }) => Stream.runDrain(messages)).pipe(
        Effect.ignore,
        Effect.provideContext(services)
      )
    yield* Effect.forkScoped(listener.run(serve))
    return { address: listener.address.key }
  })

/** Everything the acceptance of `ping` names, each with the way it is told apart. */
describe("ping", () => {
  it.live("PEE-01 a node: who it is, what it speaks, which network, how fast; exit 0", () =>
    Effect.gen(function*() {
      const { address, nodes: [node] } = yield* demo()
      const ran = yield* (yield* child(["ping", address])).ended
      assert.deepStrictEqual([ran.code, ran.err], [0, ""])
      assert.match(ran.out, new RegExp(`^${address} {2}ok\n`))
      assert.include(ran.out, node!)
      assert.match(ran.out, /version +stellar-overlay 0\.1\.0\n/)
      assert.match(ran.out, /overlay +42, accepts 38 to 42\n/)
      assert.match(ran.out, /network +standalone\n/)
      assert.match(ran.out, /clock +no sign of a difference\n/)
      assert.match(ran.out, /times +TCP [\d.]+ ms, HELLO \+[\d.]+ ms, AUTH \+[\d.]+ ms\n/)

      const { code, out } = yield* cli(["ping", "--json", address])
      assert.strictEqual(code, 0)
      const [object] = objects(out)
      assert.deepInclude(object, {
        target: address,
        ok: true,
        exitCode: 0,
        nodeId: node,
        overlayVersion: 42,
        overlayMinVersion: 38,
        network: "standalone",
        networkId: networkId.of(passphrases.standalone),
        clockSkewSeconds: 0
      })
      for (const time of ["tcpMillis", "helloMillis", "authMillis"]) assert.isNumber(object![time])
    }))

  it.live("CFG-06 a closed port: nobody listens; exit 3", () =>
    Effect.gen(function*() {
      const port = yield* closedPort
      const ran = yield* (yield* child(["ping", `127.0.0.1:${port}`])).ended
      assert.strictEqual(ran.code, 3)
      assert.match(ran.out, /unreachable: unable to connect: ECONNREFUSED \(ConnectionRefused\)\n {2}Nothing listens/)
    }))

  it.live("CFG-06 a port that says nothing: no answer within the handshake's time; exit 3", () =>
    Effect.gen(function*() {
      const { port } = yield* server(() => undefined)
      const ran = yield* (yield* child(["ping", `127.0.0.1:${port}`, "--timeout", "1"])).ended
      assert.strictEqual(ran.code, 3)
      assert.match(ran.out, /no answer: .*\(HandshakeTimeout\)\n.*within 1000 ms/)
      assert.match(ran.out, /times +TCP/)
    }))

  it.live("CFG-06 O6 a port that answers garbage: the protocol was broken, and what it looks like; exit 4", () =>
    Effect.gen(function*() {
      const { port } = yield* server((socket) => socket.write("HTTP/1.1 400 Bad Request\r\nX: \x1b[31m\r\n\r\n"))
      const ran = yield* (yield* child(["ping", `127.0.0.1:${port}`])).ended
      assert.strictEqual(ran.code, 4)
      assert.match(ran.out, /broke the protocol: .*\(FrameTooLarge\)/)
      assert.match(ran.out, /It began with "HTTP\/1\.1 400 Bad Request": this looks like an HTTP server\./)
    }))

  it.live("CFG-06 a port that closes at once is tried as every well-known network, in an order that suits the address", () =>
    Effect.gen(function*() {
      let connections = 0
      const { port } = yield* server((socket) => {
        connections++
        socket.end()
      })
      const { code, out } = yield* cli(["ping", `127.0.0.1:${port}`, "--json"])
      assert.strictEqual(code, 3)
      assert.deepInclude(objects(out)[0], { reason: "RemoteClosed", triedAs: ["standalone", "testnet", "pubnet"] })
      assert.strictEqual(connections, 3)
      const one = yield* cli(["ping", `127.0.0.1:${port}`, "--network", "pubnet"])
      assert.strictEqual(connections, 4)
      assert.match(one.out.join("\n"), /Tried as pubnet only/)
    }))

  it.live("H13 O6 what a hostile node calls itself is escaped, in lines and in JSON", () =>
    Effect.gen(function*() {
      const version = "\x1b]0;owned\x07\u202ecore\x9b2J\r\n  ok"
      const { address } = yield* node({ versionString: version })
      const text = yield* cli(["ping", address])
      assert.strictEqual(text.code, 0)
      assert.include(text.out.map((line) => line.trim()), `version   ${escape(version)}`)
      const json = yield* cli(["ping", address, "--json"])
      assert.deepInclude(objects(json.out)[0], { version })
      for (const line of [...text.out, ...json.out]) {
        // oxlint-disable-next-line no-control-regex
        assert.notMatch(line, /[\x00-\x1f\x7f-\x9f\u202a-\u202e]/)
      }
    }))

  it.live("a node whose versions do not fit is named with both windows, and what its HELLO said; exit 4", () =>
    Effect.gen(function*() {
      const { address } = yield* node({ overlayVersion: 99, overlayMinVersion: 90 })
      const { code, out } = yield* cli(["ping", address])
      assert.strictEqual(code, 4)
      const text = out.join("\n")
      assert.match(text, /rejected: .*wrong protocol version/)
      assert.match(text, /overlay +99, accepts 90 to 99/)
    }))

  it.live("the network and the passphrase decide who answers", () =>
    Effect.gen(function*() {
      const { address } = yield* demo()
      const right = yield* cli(["ping", address, "--passphrase", passphrases.standalone, "--json"])
      assert.deepInclude(objects(right.out)[0], { ok: true, triedAs: ["standalone"] })
      const wrong = yield* cli(["ping", address, "--passphrase", "My Network", "--json"])
      assert.strictEqual(wrong.code, 3)
      assert.deepInclude(objects(wrong.out)[0], { ok: false, reason: "RemoteClosed", triedAs: ["My Network"] })
    }))

  it.live("several targets at once are answered in their order, and the worst decides the exit code", () =>
    Effect.gen(function*() {
      const port = yield* closedPort
      const silent = yield* server(() => undefined)
      const garbage = yield* server((socket) => socket.write(new Uint8Array(64)))
      const targets = [silent.port, garbage.port, port].map((at) => `127.0.0.1:${at}`)
      const { code, out } = yield* cli(["ping", "--json", "--timeout", "1", ...targets])
      assert.deepStrictEqual(objects(out).map(({ exitCode, reason, target }) => [target, reason, exitCode]), [
        [targets[0], "HandshakeTimeout", 3],
        [targets[1], "FrameEmpty", 4],
        [targets[2], "ConnectionRefused", 3]
      ])
      assert.strictEqual(code, 4)
    }))
})
