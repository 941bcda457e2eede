import { assert, describe, it } from "@effect/vitest"
import * as TransportContract from "@stellar-overlay/overlay-test/contract/TransportContract"
import { Deferred, Effect, Fiber } from "effect"
import { spawn } from "node:child_process"
import * as diagnostics from "node:diagnostics_channel"
import * as Net from "node:net"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import * as NodeTransport from "../src/NodeTransport.ts"
import { type Connection, Transport, type TransportError } from "../src/Transport.ts"
import { PeerAddress } from "../src/wire/PeerAddress.ts"

const LOCAL = { host: "127.0.0.1", port: 0 }
const DIAL = { timeoutMillis: 10_000 }

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (chunks: ReadonlyArray<Uint8Array>) => chunks.map((chunk) => new TextDecoder().decode(chunk)).join("")

/** Everything until the connection fails, and how it failed. */
const readAll = Effect.fnUntraced(function*(connection: Connection) {
  let received = ""
  const error = yield* Effect.flip(Effect.forever(Effect.map(connection.pull, (chunks) => {
    received += text(chunks)
  })))
  return [received, error.kind] as const
})

const failureOf = <A, R>(effect: Effect.Effect<A, TransportError, R>) =>
  Effect.match(effect, {
    onFailure: ({ detail, kind }) => `${kind} ${detail}`,
    onSuccess: () => "succeeded"
  })

const echo = (connection: Connection) =>
  Effect.ignore(Effect.forever(Effect.flatMap(connection.pull, connection.write)))

const echoes = Effect.fnUntraced(function*(address: PeerAddress) {
  const transport = yield* Transport
  const connection = yield* transport.dial(address, DIAL)
  yield* connection.write([bytes("ping")])
  return text(yield* connection.pull)
}, Effect.scoped)

/** A raw client socket, so that a test can do what a `Connection` does not. */
const rawClient = (address: PeerAddress) =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket>((resume) => {
      const socket = Net.connect({ host: address.host, port: address.port })
      socket.on("error", () => {})
      socket.once("connect", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const tcpResources = () => process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length

/** Waits until the process holds no more TCP resources than before; a leak makes the test time out. */
const awaitTcpResources = Effect.fnUntraced(function*(count: number) {
  while (tcpResources() > count) yield* Effect.yieldNow
})

/** An address whose kernel queue is full for ever: its owner listens with the smallest backlog and stands still. */
const blackHole = Effect.gen(function*() {
  const worker = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new Worker(
        `const { parentPort } = require("node:worker_threads")
        const server = require("node:net").createServer()
        server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
          parentPort.postMessage(server.address().port)
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
        })`,
        { eval: true }
      )
    ),
    (worker) => Effect.promise(() => worker.terminate())
  )
  const port = yield* Effect.callback<number>((resume) => {
    worker.once("message", (port: number) => resume(Effect.succeed(port)))
  })
  const address = PeerAddress.make("127.0.0.1", port)
  const transport = yield* Transport
  // Linux keeps backlog + 1 connections for a listener that does not accept, and answers no further ones
  for (let dials = 0; dials < 4; dials++) yield* Effect.exit(transport.dial(address, { timeoutMillis: 50 }))
  return address
})

describe("NodeTransport: contract", () => {
  for (const { run, title } of TransportContract.cases) {
    it.live(title, () => Effect.provide(run, NodeTransport.layer))
  }

  for (const [index, { title }] of TransportContract.blackHoleCases(PeerAddress.make("127.0.0.1", 1)).entries()) {
    it.live(title, () =>
      Effect.gen(function*() {
        const address = yield* blackHole
        const before = tcpResources()
        yield* Effect.scoped(TransportContract.blackHoleCases(address)[index]?.run ?? assert.fail())
        yield* awaitTcpResources(before)
      }).pipe(Effect.provide(NodeTransport.layer)))
  }
})

describe("NodeTransport: dial", () => {
  it.live("CON-01 an interrupted or late dial leaves no socket behind, though its scope stays open", () =>
    Effect.gen(function*() {
      const address = yield* blackHole
      const transport = yield* Transport
      const before = tcpResources()
      const dialing = yield* Effect.forkScoped(transport.dial(address, DIAL), { startImmediately: true })
      assert.isAbove(tcpResources(), before)
      yield* Fiber.interrupt(dialing)
      yield* awaitTcpResources(before)
      assert.strictEqual(yield* failureOf(transport.dial(address, { timeoutMillis: 1 })), "Timeout ETIMEDOUT")
      yield* awaitTcpResources(before)
    }).pipe(Effect.provide(NodeTransport.layer)))

  it.live.each(
    [
      ["ENOTFOUND", "Unresolved ENOTFOUND"],
      ["EAI_AGAIN", "Unresolved EAI_AGAIN"],
      ["ECONNREFUSED", "Refused ECONNREFUSED"],
      ["ETIMEDOUT", "Timeout ETIMEDOUT"],
      ["ENETUNREACH", "OpenFailed ENETUNREACH"],
      ["EMFILE", "OpenFailed EMFILE"]
    ] as const
  )("CON-01 the system's %s is told as %s", ([code, expected]) =>
    Effect.gen(function*() {
      const transport = NodeTransport.make({
        lookup: (_name, _options, done) => done(Object.assign(new Error("no"), { code }), [])
      })
      assert.strictEqual(yield* failureOf(transport.dial(PeerAddress.make("core.example", 11625), DIAL)), expected)
    }))

  it.live("CON-01 a name is resolved, and the connection's remote is the IP that was reached", () =>
    Effect.gen(function*() {
      const transport = NodeTransport.make({
        lookup: (_name, _options, done) => done(null, [{ address: "127.0.0.1", family: 4 }])
      })
      const { address, run } = yield* transport.listen(LOCAL)
      yield* Effect.forkScoped(run(echo))
      const connection = yield* transport.dial(PeerAddress.make("core.example", address.port), DIAL)
      assert.strictEqual(connection.remote.key, address.key)
    }))

  it.live("CON-04 a pull gives plain arrays, of which slice is a copy", () =>
    Effect.gen(function*() {
      const transport = yield* Transport
      const { address, run } = yield* transport.listen(LOCAL)
      yield* Effect.forkScoped(run(echo))
      const connection = yield* transport.dial(address, DIAL)
      yield* connection.write([bytes("abc")])
      const [chunk] = yield* connection.pull
      assert.strictEqual(Object.getPrototypeOf(chunk), Uint8Array.prototype)
    }).pipe(Effect.provide(NodeTransport.layer)))
})

describe("NodeTransport: close", () => {
  it.live("CON-03 the remote reads our last bytes before the end in 100 of 100 runs", () =>
    Effect.gen(function*() {
      const transport = yield* Transport
      const { address, run } = yield* transport.listen(LOCAL)
      yield* Effect.forkScoped(run((connection) => Effect.ignore(connection.write([bytes("goodbye")]))))
      for (let time = 0; time < 100; time++) {
        const read = Effect.flatMap(transport.dial(address, DIAL), readAll)
        assert.deepStrictEqual(yield* Effect.scoped(read), ["goodbye", "Eof"])
      }
    }).pipe(Effect.provide(NodeTransport.layer)))

  it.live("CON-03 CON-05 closing waits until all of a write has left, however much the kernel refused at first", () =>
    Effect.gen(function*() {
      const transport = yield* Transport
      const { address, run } = yield* transport.listen(LOCAL)
      const much = new Uint8Array(32 * 1_048_576)
      yield* Effect.forkScoped(
        run((connection) =>
          Effect.asVoid(Effect.forkScoped(Effect.ignore(connection.write([much])), { startImmediately: true }))
        )
      )
      const client = yield* transport.dial(address, DIAL)
      let received = 0
      const count = (chunks: ReadonlyArray<Uint8Array>) => {
        for (const chunk of chunks) received += chunk.length
      }
      const error = yield* Effect.flip(Effect.forever(Effect.map(client.pull, count)))
      assert.deepStrictEqual([received, error.kind], [much.length, "Eof"])
    }).pipe(Effect.provide(NodeTransport.layer)))

  it.live("CON-05 T12 a remote that never reads delays the end of a connection by flushMillis, then it is reset", () =>
    Effect.gen(function*() {
      const transport = NodeTransport.make({ flushMillis: 20 })
      const { address, run } = yield* transport.listen(LOCAL)
      const more = [new Uint8Array(64 * 1_048_576)] as const // than two kernels hold
      const running = yield* Effect.forkScoped(run((connection) => Effect.ignore(connection.write(more))))
      const client = yield* transport.dial(address, DIAL)
      yield* client.pull // the writer has begun
      yield* Fiber.interrupt(running) // waits until its connections are closed
      const [received, kind] = yield* readAll(client)
      assert.strictEqual(kind, "Reset")
      assert.isAbove(received.length, 0)
    }))

  it.live("T11 a reset by the remote fails pull and write with the system's word", () =>
    Effect.gen(function*() {
      const transport = yield* Transport
      const { address, run } = yield* transport.listen(LOCAL)
      const failures = yield* Deferred.make<ReadonlyArray<string>>()
      yield* Effect.forkScoped(run((connection) =>
        Effect.flatMap(
          Effect.all([failureOf(connection.pull), failureOf(connection.write([bytes("x")]))]),
          (kinds) => Deferred.succeed(failures, kinds)
        )
      ))
      const socket = yield* rawClient(address)
      yield* Effect.sync(() => socket.resetAndDestroy())
      assert.deepStrictEqual(yield* Deferred.await(failures), ["Reset ECONNRESET", "Reset ECONNRESET"])
    }).pipe(Effect.provide(NodeTransport.layer)))
})

describe("NodeTransport: listener", () => {
  it.live("CON-02 the default host is all IPv4 addresses", () =>
    Effect.gen(function*() {
      const transport = yield* Transport
      const { address, run } = yield* transport.listen({ port: 0 })
      assert.strictEqual(address.host, "0.0.0.0")
      yield* Effect.forkScoped(run(echo))
      assert.strictEqual(yield* echoes(PeerAddress.make("127.0.0.1", address.port)), "ping")
    }).pipe(Effect.provide(NodeTransport.layer)))

  it.live("CON-01 CON-02 a dual-stack listener names an IPv4 remote by its IPv4 address", () =>
    Effect.gen(function*() {
      const transport = yield* Transport
      const listening = yield* Effect.result(transport.listen({ host: "::", port: 0 }))
      if (listening._tag === "Failure") return assert.strictEqual(listening.failure.kind, "ListenFailed") // no IPv6
      const { address, run } = listening.success
      const remote = yield* Deferred.make<PeerAddress>()
      yield* Effect.forkScoped(run((connection) => Deferred.succeed(remote, connection.remote)))
      yield* transport.dial(PeerAddress.make("127.0.0.1", address.port), DIAL)
      assert.strictEqual((yield* Deferred.await(remote)).host, "127.0.0.1")
    }).pipe(Effect.provide(NodeTransport.layer)))

  it.live("CON-02 connections that were reset while they waited do not disturb the next", () =>
    Effect.gen(function*() {
      const transport = yield* Transport
      const { address, run } = yield* transport.listen(LOCAL)
      for (let count = 0; count < 5; count++) {
        const socket = yield* rawClient(address)
        socket.resetAndDestroy()
      }
      yield* Effect.forkScoped(run(echo))
      assert.strictEqual(yield* echoes(address), "ping")
    }).pipe(Effect.provide(NodeTransport.layer)))

  it.live("CON-02 while nobody accepts, connections beyond the backlog are reset", () =>
    Effect.gen(function*() {
      const transport = yield* Transport
      const { address, run } = yield* transport.listen({ ...LOCAL, backlog: 2 })
      const waiting = yield* Effect.forEach([1, 2], () => transport.dial(address, DIAL))
      for (let more = 0; more < 3; more++) {
        const failure = yield* failureOf(Effect.flatMap(transport.dial(address, DIAL), (connection) => connection.pull))
        assert.match(failure, /^(OpenFailed|Reset) ECONNRESET$/) // the reset may come before the dial has returned
      }
      yield* Effect.forkScoped(run(echo))
      for (const connection of waiting) {
        yield* connection.write([bytes("waited")])
        assert.strictEqual(text(yield* connection.pull), "waited")
      }
    }).pipe(Effect.provide(NodeTransport.layer)))

  it.live("CON-02 T14 an error of accept leaves the listener working", () =>
    Effect.gen(function*() {
      const transport = yield* Transport
      const servers: Array<Net.Server> = []
      const seen = (message: unknown) => {
        if (typeof message === "object" && message !== null && "server" in message) {
          if (message.server instanceof Net.Server) servers.push(message.server)
        }
      }
      const channel = "tracing:net.server.listen:asyncEnd"
      diagnostics.subscribe(channel, seen)
      const { address, run } = yield* transport.listen(LOCAL)
      diagnostics.unsubscribe(channel, seen)
      yield* Effect.forkScoped(run(echo))
      const [server] = servers
      assert.isTrue(server?.emit("error", Object.assign(new Error("accept"), { code: "ECONNABORTED" })))
      assert.isTrue(server?.emit("error", Object.assign(new Error("accept"), { code: "ECONNABORTED" })))
      assert.strictEqual(yield* echoes(address), "ping")
    }).pipe(Effect.provide(NodeTransport.layer)))

  it.live("CON-02 T14 a process without file descriptors turns connections away and accepts again later", () =>
    Effect.gen(function*() {
      const transport = yield* Transport
      const child = yield* starvingEcho
      const address = PeerAddress.make("127.0.0.1", Number(yield* child.line))
      yield* child.say("starve")
      assert.strictEqual(yield* child.line, "EMFILE")
      const turnedAway = Effect.scoped(Effect.flatMap(transport.dial(address, DIAL), readAll))
      // some may still find a descriptor that the child closed late
      const [received] = yield* Effect.raceAllFirst(Array.from({ length: 8 }, () => turnedAway))
      assert.strictEqual(received, "")
      yield* child.say("feed")
      assert.strictEqual(yield* child.line, "fed")
      assert.strictEqual(yield* echoes(address), "ping")
    }).pipe(Effect.provide(NodeTransport.layer)))
})

/** An echo server in a process of its own with few file descriptors, which it uses up on "starve". */
const starvingEcho = Effect.gen(function*() {
  const program = `
    import { Effect } from "effect"
    import { closeSync, openSync } from "node:fs"
    import * as NodeTransport from "./src/NodeTransport.ts"
    const echo = (connection) => Effect.ignore(Effect.forever(Effect.flatMap(connection.pull, connection.write)))
    const taken = []
    const commands = {
      starve: () => {
        try { while (true) taken.push(openSync("/dev/null")) } catch (cause) { console.log(cause.code) }
      },
      feed: () => { for (const descriptor of taken.splice(0)) closeSync(descriptor); console.log("fed") }
    }
    process.stdin.on("data", (data) => commands[String(data).trim()]())
    process.stdin.on("end", () => process.exit(0))
    Effect.runFork(Effect.scoped(Effect.gen(function*() {
      const listener = yield* NodeTransport.make().listen({ host: "127.0.0.1", port: 0 })
      console.log(listener.address.port)
      yield* listener.run(echo)
    })))`
  const args = ["--conditions=@stellar-overlay/source", "--input-type=module-typescript", "-e", program]
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn("/bin/sh", ["-c", `ulimit -n 64; exec "$0" "$@"`, process.execPath, ...args], {
        cwd: fileURLToPath(new URL("..", import.meta.url)),
        stdio: ["pipe", "pipe", "inherit"]
      })
    ),
    (child) => Effect.sync(() => child.kill())
  )
  let output = ""
  let wake = () => {}
  child.stdout.setEncoding("utf8").on("data", (data: string) => {
    output += data
    wake()
  })
  child.once("exit", () => {
    output += "exited\n"
    wake()
  })
  const line = Effect.callback<string>((resume) => {
    wake = () => {
      const end = output.indexOf("\n")
      if (end < 0) return
      const first = output.slice(0, end)
      output = output.slice(end + 1)
      wake = () => {}
      resume(Effect.succeed(first))
    }
    wake()
  })
  return { line, say: (command: string) => Effect.sync(() => child.stdin.write(`${command}\n`)) }
})
