/** Runs the program in this process, with its output caught, or as a child process. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Layer, Stdio, Stream } from "effect"
import { TestConsole } from "effect/testing"
import { type ChildProcess, spawn } from "node:child_process"
import * as Net from "node:net"
import { fileURLToPath } from "node:url"
import { run } from "../src/cli.ts"

export interface Ran {
  readonly code: number
  readonly out: ReadonlyArray<string>
  readonly err: ReadonlyArray<string>
}

const lines = (logged: ReadonlyArray<unknown>): ReadonlyArray<string> => logged.map(String)

/** In this process; `stdin` is what a pipe brings. */
export const cli = (args: ReadonlyArray<string>, stdin?: Uint8Array): Effect.Effect<Ran> => {
  const input = stdin === undefined
    ? NodeServices.layer
    : Layer.merge(NodeServices.layer, Stdio.layerTest({ stdin: Stream.make(stdin) }))
  return Effect.gen(function*() {
    const console = yield* TestConsole.make
    const code = yield* Effect.provideService(run(args), Console.Console, console)
    return { code, out: lines(yield* console.logLines), err: lines(yield* console.errorLines) }
  }).pipe(Effect.provide(input))
}

/** What every line of JSON output says. */
export const objects = (out: ReadonlyArray<string>): ReadonlyArray<Record<string, unknown>> =>
  out.filter((line) => line !== "").map((line) => JSON.parse(line))

const bin = fileURLToPath(new URL("../src/bin.ts", import.meta.url))

export interface Child {
  readonly process: ChildProcess
  /** Everything printed so far. */
  readonly output: () => { readonly out: string; readonly err: string }
  /** Waits until standard output has a line with this in it, or that this is said of, and gives that line. */
  readonly line: (wanted: string | ((line: string) => boolean)) => Effect.Effect<string>
  /** As Ctrl-C does. */
  readonly interrupt: Effect.Effect<void>
  readonly ended: Effect.Effect<{ readonly code: number | null; readonly out: string; readonly err: string }>
}

/** As a child process, killed at the end of the scope. */
export const child = (args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
  Effect.acquireRelease(
    Effect.sync((): Child => {
      const started = spawn(process.execPath, ["--conditions=@stellar-overlay/source", bin, ...args], {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...env }
      })
      let out = ""
      let err = ""
      const waiting = new Set<() => void>()
      started.stdout.on("data", (chunk) => {
        out += chunk
        for (const look of waiting) look()
      })
      started.stderr.on("data", (chunk) => {
        err += chunk
      })
      let code: number | null | undefined
      started.on("close", (result) => {
        code = result
        for (const look of waiting) look()
      })
      const wait = <A>(look: () => A | undefined) =>
        Effect.callback<A>((resume) => {
          const check = () => {
            const found = look()
            if (found === undefined) return
            waiting.delete(check)
            resume(Effect.succeed(found))
          }
          waiting.add(check)
          check()
          return Effect.sync(() => waiting.delete(check))
        })
      return {
        process: started,
        output: () => ({ out, err }),
        interrupt: Effect.sync(() => started.kill("SIGINT")),
        line: (wanted) =>
          wait(() => {
            const is = typeof wanted === "string" ? (line: string) => line.includes(wanted) : wanted
            const found = out.split("\n").slice(0, -1).find(is)
            return found ?? (code === undefined ? undefined : `ended with ${code}: ${err}`)
          }),
        ended: wait(() => code === undefined ? undefined : { code, out, err })
      }
    }),
    ({ process }) => Effect.sync(() => process.kill("SIGKILL"))
  )

/** A TCP server on any free port of this machine that treats each socket in its own way; gives the port. */
export const server = (onSocket: (socket: Net.Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: Net.Server; readonly sockets: Set<Net.Socket>; readonly port: number }>(
      (resume) => {
        const sockets = new Set<Net.Socket>()
        const listening = Net.createServer((socket) => {
          sockets.add(socket)
          socket.on("error", () => socket.destroy())
          onSocket(socket)
        })
        listening.listen(0, "127.0.0.1", () => {
          const address = listening.address()
          if (typeof address === "object" && address !== null) {
            resume(Effect.succeed({ server: listening, sockets, port: address.port }))
          }
        })
      }
    ),
    ({ server, sockets }) =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
  )

/** A port of this machine that nobody listens on. */
export const closedPort = Effect.map(Effect.scoped(server(() => undefined)), ({ port }) => port)
