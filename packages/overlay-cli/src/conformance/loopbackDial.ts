/**
 * Connections that attackers make, from any loopback address of this machine.
 *
 * On Linux all of 127.0.0.0/8 is this machine, so that every attacker can be a host of its own and the limits that a
 * node has per host do not hide what is looked for. Elsewhere all come from 127.0.0.1.
 */
import { TransportError } from "@stellar-overlay/overlay/Transport"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { createConnection, type Socket } from "node:net"
import { errorOf, hasNoSuchHost, type RawConnection, toConnection } from "./loopbackSocket.ts"

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

/**
 * Connects to a loopback address from another one, or from wherever the system likes where there is no other.
 */
export const dial = (
  target: PeerAddress,
  options: { readonly from?: string | undefined; readonly timeoutMillis: number }
): Effect.Effect<RawConnection, TransportError, Scope.Scope> =>
  open(target, options.from, options.timeoutMillis).pipe(
    Effect.catch((error) =>
      hasNoSuchHost(error)
        ? open(target, undefined, options.timeoutMillis)
        : Effect.fail(error)
    ),
    Effect.flatMap((socket) => toConnection(socket, target))
  )
