/** Sockets of attackers on loopback addresses, breakable as no polite transport is, and where they are. */
import { type Connection, TransportError } from "@stellar-overlay/overlay/Transport"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Socket } from "node:net"

/** An attacker's end: `reset` sends an RST. */
export interface RawConnection {
  readonly connection: Connection
  readonly reset: Effect.Effect<void>
}

/** The n-th of 16 million hosts, each in a /16 that it shares with few others; 127.0.0.1 is none of them. */
export const hostOf = (n: number): string => `127.${1 + n % 250}.${(n / 250 >> 0) % 250}.${2 + (n / 62_500 >> 0) % 250}`

/** A failure to open a socket. */
export const errorOf = (cause: NodeJS.ErrnoException): TransportError =>
  new TransportError({
    kind: cause.code === "ECONNREFUSED" ? "Refused" : cause.code === "ETIMEDOUT" ? "Timeout" : "OpenFailed",
    detail: cause.code ?? cause.message
  })

/** Whether an error says that this system has no such loopback address but 127.0.0.1. */
export const hasNoSuchHost = ({ detail }: TransportError): boolean => detail === "EADDRNOTAVAIL" || detail === "EINVAL"

/** A socket as a connection. It is the caller's to destroy. */
export const toConnection = Effect.fnUntraced(function*(socket: Socket, remote: PeerAddress) {
  const chunks = yield* Queue.unbounded<Uint8Array, TransportError>()
  const ended = (kind: TransportError["kind"], detail: string = kind) =>
    Queue.failCauseUnsafe(chunks, Cause.fail(new TransportError({ kind, detail })))
  // Whoever does not pull leaves the bytes to the kernel, and the node's window closes.
  socket.pause()
  socket.on("data", (chunk) => {
    Queue.offerUnsafe(chunks, new Uint8Array(chunk))
    socket.pause()
  })
  socket.on("end", () => ended("Eof"))
  socket.on("error", (cause: NodeJS.ErrnoException) => ended("Reset", cause.code))
  socket.on("close", () => ended("Reset"))
  if (socket.destroyed) ended("Reset")
  const connection: Connection = {
    remote,
    pull: Effect.suspend(() => {
      socket.resume()
      return Queue.takeAll(chunks)
    }),
    write: (pieces) =>
      Effect.callback((resume) => {
        socket.write(Buffer.concat(pieces), (error) => {
          resume(error ? Effect.fail(new TransportError({ kind: "Reset", detail: error.message })) : Effect.void)
        })
      }),
    end: Effect.sync(() => socket.end())
  }
  return { connection, reset: Effect.sync(() => void socket.resetAndDestroy()) }
})

/** Whether an address is this machine's own: an attack must never leave it. */
export const isLoopback = ({ host }: PeerAddress): boolean => host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host)
