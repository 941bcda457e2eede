/** Where attackers are called: a loopback address of its own for each, for one caller. */
import { TransportError } from "@stellar-overlay/overlay/Transport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, type Server, type Socket } from "node:net"
import { errorOf, hasNoSuchHost, type RawConnection, toConnection } from "./loopbackSocket.ts"

/** An attacker that waits to be called. */
export interface Waiting {
  readonly address: PeerAddress
  /** The first caller; whoever comes later is refused. */
  readonly caller: Effect.Effect<RawConnection, never, Scope.Scope>
}

const open = (host: string, onSocket: (socket: Socket) => void): Effect.Effect<Server, TransportError> =>
  Effect.callback((resume) => {
    const server = createServer({ noDelay: true, allowHalfOpen: true, pauseOnConnect: true }, onSocket)
    server.once("error", (cause: NodeJS.ErrnoException) => resume(Effect.fail(errorOf(cause))))
    server.listen({ host, port: 0, backlog: 1 }, () => resume(Effect.succeed(server)))
    return Effect.sync(() => server.close())
  })

/** Listens at a loopback address, or at 127.0.0.1 where there is no other, on a free port, until the scope closes. */
export const listen = Effect.fnUntraced(
  function*(host: string): Effect.fn.Return<Waiting, TransportError, Scope.Scope> {
    const first = yield* Deferred.make<Socket>()
    const sockets = new Set<Socket>()
    const at = (host: string) =>
      Effect.acquireRelease(
        open(host, (socket) => {
          socket.on("error", () => undefined) // a reset is an end like any other
          if (sockets.size > 0) socket.resetAndDestroy()
          else {
            sockets.add(socket)
            Deferred.doneUnsafe(first, Effect.succeed(socket))
          }
        }),
        (server) =>
          Effect.sync(() => {
            server.close()
            for (const socket of sockets) socket.destroy()
          })
      )
    const server = yield* Effect.catchIf(at(host), hasNoSuchHost, () => at("127.0.0.1"))
    const bound = server.address()
    if (bound === null || typeof bound === "string") {
      return yield* new TransportError({ kind: "ListenFailed", detail: "no inet address" })
    }
    return {
      address: PeerAddress.make(bound.address, bound.port),
      caller: Effect.flatMap(Deferred.await(first), (socket) => {
        server.close() // the port is free at once, and a second dial finds nobody
        return toConnection(socket, PeerAddress.make(socket.remoteAddress ?? host, socket.remotePort ?? 0))
      })
    }
  }
)
