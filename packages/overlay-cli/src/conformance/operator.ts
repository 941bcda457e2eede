/**
 * The operator's port of a node, ours or stellar-core's: how it is made to dial attackers, and what it tells of itself.
 */
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { ExitCode } from "../ExitCode.ts"
import * as AdminPort from "../net/AdminPort.ts"

/** Why nothing can be dialled: no fault of the node's that an attack would have shown. */
export class CannotDial extends Data.TaggedError("CannotDial")<{
  readonly code: ExitCode
  readonly problem: string
  readonly hint: string
}> {
  override get message(): string {
    return this.problem
  }
}

/** Nobody said where the operator's port is. */
export const unknown = new CannotDial({
  code: ExitCode.Usage,
  problem: "the node cannot be told to dial",
  hint: "--admin 127.0.0.1:PORT names its operator's port."
})

const hints: { readonly [reason in AdminPort.AdminErrorReason]: string } = {
  Unreachable:
    "Is this the node's operator port? It is 11626 unless it was given another; `demo` has one with --admin.",
  TimedOut: "Is the node busy, or is something else listening there?",
  NotANode: "Is this the operator's port of a node, and not the one where peers connect?",
  Refused: "The node said so itself."
}

const cannot = ({ detail, reason, url }: AdminPort.AdminError): CannotDial =>
  new CannotDial({
    code: reason === "Refused" ? ExitCode.Rejected : ExitCode.Unreachable,
    problem: `${url}: ${detail}`,
    hint: hints[reason]
  })

/** Whether a URL leads to this machine, by its address and not by a name: whoever is commanded must be ours. */
export const isLoopbackUrl = (url: string): boolean => {
  const { hostname } = new URL(url)
  return hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}

/** Orders a node to dial; `force` needs no word in either implementation, an order always goes before back-off. */
export const order = (url: string, { host, port }: PeerAddress): Effect.Effect<void, CannotDial> =>
  AdminPort.get(url, "connect", { peer: host, port: String(port) }).pipe(
    Effect.flatMap((text) =>
      text.startsWith("Connect to")
        ? Effect.void
        : Effect.fail(
          new AdminPort.AdminError({
            url,
            reason: "Refused",
            detail: `answered connect with ${text.replace(/\s+/g, " ").trim().slice(0, 200)}`
          })
        )
    ),
    Effect.mapError(cannot)
  )

const Directions = Schema.Struct({ outbound: Schema.NullOr(Schema.Array(Schema.Unknown)) })
const Peers = Schema.Struct({ authenticated_peers: Directions, pending_peers: Directions })

/** Outbound connections of a node, those under way included. */
export const outbound = (url: string): Effect.Effect<number, CannotDial> =>
  AdminPort.json(url, "peers", Peers).pipe(
    Effect.map(({ authenticated_peers, pending_peers }) =>
      (authenticated_peers.outbound?.length ?? 0) + (pending_peers.outbound?.length ?? 0)
    ),
    Effect.mapError(cannot)
  )

/** The value of a series in Prometheus' text, where there is one. */
const valueOf = (text: string, series: string): number | undefined => {
  const line = text.split("\n").find((line) => line.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

/** How many series a node's metrics have: lines of Prometheus' text, or names of core's JSON. */
export const series = (url: string): Effect.Effect<number, CannotDial> =>
  AdminPort.get(url, "metrics").pipe(
    Effect.map((text) =>
      text.startsWith("{")
        ? text.match(/"type"\s*:/g)?.length ?? 0
        : text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length
    ),
    Effect.mapError(cannot)
  )

/**
 * How late the node's event loop was since anybody asked last, in milliseconds; undefined where it does not say. A demo
 * asks itself every second, so that whoever wants to miss little asks more often.
 */
export const eventLoop = (url: string): Effect.Effect<number | undefined, CannotDial> =>
  AdminPort.get(url, "metrics").pipe(
    Effect.map((text) => {
      const seconds = valueOf(text, `stellar_event_loop_delay_seconds{percentile="100"}`)
      return seconds === undefined ? undefined : 1000 * seconds
    }),
    Effect.mapError(cannot)
  )

/** A request with anything for its path, as no HTTP client sends it; answers are cut off, and waited for so long. */
const RAW = { bytes: 16_777_216, millis: 5000 }

/** The answer to any path; status 0 when there came none before the connection was closed. */
export const raw = (
  url: string,
  path: string
): Effect.Effect<{ readonly status: number; readonly body: string }, CannotDial> =>
  Effect.callback<{ readonly status: number; readonly body: string }, CannotDial>((resume) => {
    const { hostname, pathname, port, protocol } = new URL(url)
    const chunks: Array<Buffer> = []
    let size = 0
    const to = { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) }
    const ask = () => {
      const target = `${pathname.replace(/\/$/, "")}${path}`
      socket.write(`GET ${target} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: close\r\n\r\n`)
    }
    const socket: Net.Socket = protocol === "https:" ? Tls.connect(to, ask) : Net.connect(to, ask)
    let isOpen = false
    socket.on("connect", () => {
      isOpen = true
    })
    socket.on("data", (chunk) => {
      size += chunk.length
      chunks.push(chunk)
      if (size > RAW.bytes) socket.destroy()
    })
    socket.on("error", (cause: NodeJS.ErrnoException) => {
      if (!isOpen) {
        resume(Effect.fail(cannot(new AdminPort.AdminError({ url, reason: "Unreachable", detail: cause.code ?? "" }))))
      }
    })
    socket.on("close", () => {
      const text = Buffer.concat(chunks).toString("utf8")
      const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0)
      const head = text.indexOf("\r\n\r\n")
      resume(Effect.succeed({ status, body: head < 0 ? "" : text.slice(head + 4) }))
    })
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeoutOrElse({
    duration: RAW.millis,
    orElse: () => Effect.fail(cannot(new AdminPort.AdminError({ url, reason: "TimedOut", detail: `${RAW.millis} ms` })))
  }))
