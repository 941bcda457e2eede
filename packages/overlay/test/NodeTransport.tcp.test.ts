import { assert, describe, it } from "@effect/vitest"
import * as TransportContract from "@stellar-overlay/overlay-test/contract/TransportContract"
import { Deferred, Effect, Exit, Fiber, Scope, Stream } from "effect"
import { spawn } from "node:child_process"
import * as Net from "node:net"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import * as NodeTransport from "../src/NodeTransport.ts"
import { type Connection, Transport, TransportError } from "../src/Transport.ts"
import { PeerAddress } from "../src/wire/PeerAddress.ts"

const LOCAL = { host: "127.0.0.1", port: 0 }
const DIAL = { timeoutMillis: 10_000 }

/** A port whose kernel queue is full for ever: its owner listens with the smallest backlog and then stands still. */
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
  for (let opened = 0; opened < 16; opened++) {
    const dialed = yield* Effect.exit(transport.dial(address, { timeoutMillis: 200 }))
    if (Exit.isFailure(dialed)) return address
  }
  return assert.fail("the kernel queues more connections than a backlog of 1 allows")
})

const tcpResources = () => process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length

/** Waits until the event loop holds as many TCP resources as before; a leak makes the test time out. */
const awaitTcpResources = (count: number) =>
  Effect.gen(function*() {
    while (tcpResources() > count) yield* Effect.yieldNow
  })

const kindOf = <A, R>(effect: Effect.Effect<A, TransportError, R>) =>
  Effect.match(effect, { onFailure: (error) => error.kind, onSuccess: () => "succeeded" as const })

const text = (chunks: ReadonlyArray<Uint8Array>) => chunks.map((chunk) => new TextDecoder().decode(chunk)).join("")

const bytes = (text: string) => new TextEncoder().encode(text)

const readAll = (connection: Connection) =>
  Stream.fromPull(Effect.succeed(connection.pull)).pipe(
    Stream.runFold(() => "", (all, chunk) => all + text([chunk])),
    Effect.flip
  )

describe("NodeTransport: contract", () => {
  for (const { run, title } of TransportContract.cases) {
    it.live(title, () => Effect.provide(run, NodeTransport.layer))
  }

  for (const index of [0, 1]) {
    const { title } = TransportContract.blackHoleCases(PeerAddress.make("127.0.0.1", 1))[index] ?? assert.fail()
    it.live(title, () =>
      Effect.gen(function*() {
        const address = yield* blackHole
        yield* (TransportContract.blackHoleCases(address)[index]?.run ?? assert.fail())
      }).pipe(Effect.provide(NodeTransport.layer)))
  }
})
