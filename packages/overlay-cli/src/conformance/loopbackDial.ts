/**
 * Connections of attackers: from any loopback address of this machine, and breakable as no polite transport is.
 *
 * On Linux all of 127.0.0.0/8 is this machine, so that every attacker can be a host of its own and the limits that a
 * node has per host do not hide what is looked for. Elsewhere all come from 127.0.0.1.
 */
import { type Connection, TransportError } from "@stellar-overlay/overlay/Transport"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { createConnection, type Socket } from "node:net"

/** An attacker's end: `reset` sends an RST. */
export interface RawConnection {
  readonly connection: Connection
  readonly reset: Effect.Effect<void>
}

/** The n-th of 16 million hosts, each in a /16 that it shares with few others; 127.0.0.1 is none of them. */
export const hostOf = (n: number): string => `127.${1 + n % 250}.${(n / 250 >> 0) % 250}.${2 + (n / 62_500 >> 0) % 250}`

const errorOf = (cause: NodeJS.ErrnoException): TransportError =>
  new TransportError({
    kind: cause.code === "ECONNREFUSED" ? "Refused" : cause.code === "ETIMEDOUT" ? "Timeout" : "OpenFailed",
    detail: cause.code ?? cause.message
  })

const open = (
  target: PeerAddress,
  from: string | undefined,
  timeoutMillis: number
): Effect.Effect<Socket, TransportError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Socket, TransportError>((resume) => {
      const socket = createConnection({
        host: target.host,
        port: target.port,
        noDelay: true,
        allowHalfOpen: true,
        ...(from === undefined ? {} : { localAddress: from })
      })
      socket.once("connect", () => resume(Effect.succeed(socket)))
      socket.once("error", (cause: NodeJS.ErrnoException) => resume(Effect.fail(errorOf(cause))))
      return Effect.sync(() => socket.destroy())
    }),
    (socket) => Effect.sync(() => socket.destroy()),
    { interruptible: true }
  ).pipe(
    Effect.timeoutOption(timeoutMillis),
    Effect.flatMap(Option.match({
      onNone: () => Effect.fail(new TransportError({ kind: "Timeout", detail: `${timeoutMillis} ms` })),
      onSome: Effect.succeed
    }))
  )

const toConnection = Effect.fnUntraced(function*(socket: Socket, remote: PeerAddress) {
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

/**
 * Connects to a loopback address from another one, or from wherever the system likes where there is no other.
 */
export const dial = (
  target: PeerAddress,
  options: { readonly from?: string | undefined; readonly timeoutMillis: number }
): Effect.Effect<RawConnection, TransportError, Scope.Scope> =>
  open(target, options.from, options.timeoutMillis).pipe(
    Effect.catch((error) =>
      error.detail === "EADDRNOTAVAIL" || error.detail === "EINVAL"
        ? open(target, undefined, options.timeoutMillis)
        : Effect.fail(error)
    ),
    Effect.flatMap((socket) => toConnection(socket, target))
  )

/** Whether an address is this machine's own: an attack must never leave it. */
export const isLoopback = ({ host }: PeerAddress): boolean => host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host)
