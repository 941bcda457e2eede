/** Nodes as child processes, and their admin ports. */
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Child, child } from "./support.ts"

export interface RunningNode {
  readonly running: Child
  readonly id: string
  /** `127.0.0.1:port`; empty and NaN when it does not listen. */
  readonly address: string
  readonly port: number
  readonly adminPort: number
  /** How many addresses it knew when it started. */
  readonly known: number
}

/** Starts a node on the standalone network, on free ports unless told otherwise, and waits until it listens. */
export const node = Effect.fnUntraced(function*(args: ReadonlyArray<string> = [], env: Record<string, string> = {}) {
  const ports = ["--port", "--admin-port"].flatMap((name) => args.includes(name) ? [] : [name, "0"])
  const running = yield* child(
    ["node", "--network", "standalone", "--json", ...ports, ...args],
    env
  )
  const line = yield* running.line(`"event":"listening"`)
  if (!line.startsWith("{")) throw new Error(line)
  const { address, admin, known, node: id } = JSON.parse(line) as {
    readonly address?: string
    readonly admin: string
    readonly known: number
    readonly node: string
  }
  const result: RunningNode = {
    running,
    id,
    address: address ?? "",
    known,
    port: Number(address?.split(":")[1]),
    adminPort: Number(new URL(admin).port)
  }
  return result
})

export interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: string
}

/** What `curl` would get. */
export const request = (port: number, path: string, options: Http.RequestOptions = {}): Effect.Effect<Answer> =>
  Effect.callback((resume) => {
    const sent = Http.request({ host: "127.0.0.1", port, path, ...options }, (response) => {
      let body = ""
      response.setEncoding("utf8")
      response.on("data", (chunk) => {
        body += chunk
      })
      response.on(
        "end",
        () => resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, body }))
      )
    })
    sent.on("error", (error) => resume(Effect.die(error)))
    sent.end()
  })

export const get = ({ adminPort }: RunningNode, path: string): Effect.Effect<string> =>
  Effect.map(request(adminPort, path), ({ body }) => body)

export interface PeersAnswer {
  readonly pending_peers: { readonly inbound: Array<string> | null; readonly outbound: Array<string> | null }
  readonly authenticated_peers: {
    readonly inbound: Array<Record<string, unknown>> | null
    readonly outbound: Array<Record<string, unknown>> | null
  }
}

export const peersOf = (node: RunningNode, query = ""): Effect.Effect<PeersAnswer> =>
  Effect.map(get(node, `/peers${query}`), (body) => JSON.parse(body))

/** The ids of the nodes a node is connected with. */
export const connected = (node: RunningNode): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(
    peersOf(node),
    ({ authenticated_peers: { inbound, outbound } }) =>
      [...inbound ?? [], ...outbound ?? []].map(({ id }) => String(id)).sort()
  )

/** Asks again and again, a bounded number of times, until the answer is as it should be; the last answer. */
export const eventually = <A, E, R>(
  ask: Effect.Effect<A, E, R>,
  isGood: (answer: A) => boolean,
  tries = 300
): Effect.Effect<A, E, R> =>
  Effect.gen(function*() {
    let answer = yield* ask
    for (let i = 1; i < tries && !isGood(answer); i++) {
      yield* Effect.sleep(100) // between processes there is nothing else to wait for
      answer = yield* ask
    }
    return answer
  })

/** What a server answers to some bytes before it closes the connection. */
export const raw = (port: number, text: string): Effect.Effect<string> =>
  Effect.callback((resume) => {
    let answer = ""
    const socket = Net.connect(port, "127.0.0.1", () => socket.write(text, "latin1"))
    socket.setEncoding("latin1")
    socket.on("data", (chunk) => {
      answer += chunk
    })
    socket.on("error", () => undefined) // a reset is an end like any other
    socket.on("close", () => resume(Effect.succeed(answer)))
    return Effect.sync(() => socket.destroy())
  })

/** A folder of its own, removed with the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "stellar-overlay-test-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A demo with a folder of its own, once it listens; the address of its first node. */
export const demo = Effect.fnUntraced(function*(args: ReadonlyArray<string> = []) {
  const running = yield* child(["demo", "--json", "--dir", yield* folder, ...args])
  const line = yield* running.line(`"event":"listening"`)
  if (!line.startsWith("{")) throw new Error(line)
  const { address } = JSON.parse(line) as { readonly address: string }
  /** The nodes of the demo. All are printed at once. */
  const nodes = running.output().out.split("\n").filter((line) => line.includes(`"event":"listening"`))
    .map((line) => String(JSON.parse(line).node))
  /** Waits until a node that is not one of the demo is let in. */
  const guest = running.line((line) =>
    line.includes(`"event":"authenticated"`) && !nodes.includes(JSON.parse(line).peer)
  )
  return { running, address, nodes, guest }
})
