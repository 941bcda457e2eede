import type { Connection } from "@stellar-overlay/overlay/Transport"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { LinkEnd } from "./loopbackLink.ts"
import { ownerOf } from "./parkedReader.ts"

/**
 * A bound address and the connections that wait there to be accepted.
 */
export interface Accepting {
  readonly address: PeerAddress
  readonly pending: Queue.Queue<LinkEnd>
}

/** The handler with its connection's scope around it; what it does not catch is logged and ends here. */
const serve = <R>(
  connection: LinkEnd,
  handler: (connection: Connection) => Effect.Effect<void, never, R | Scope.Scope>
) =>
  Effect.scoped(Effect.withFiber((fiber) => handler(connection.open(ownerOf(fiber))))).pipe(
    Effect.ensuring(connection.close),
    Effect.ignoreCause({ log: "Error", message: "connection handler failed" })
  )

/**
 * Takes waiting connections and runs the handler for each, until interrupted.
 */
export const acceptLoop = <R>(
  accepting: Accepting,
  handler: (connection: Connection) => Effect.Effect<void, never, R | Scope.Scope>
): Effect.Effect<never, never, Exclude<R, Scope.Scope>> =>
  FiberSet.make<void>().pipe(
    Effect.flatMap((fibers) =>
      // A connection that was taken is served: an interruption falls on the taking or on the handler.
      Effect.uninterruptibleMask((restore) =>
        Effect.forever(
          Effect.flatMap(
            restore(Queue.take(accepting.pending)),
            (connection) => FiberSet.run(fibers, serve(connection, handler), { startImmediately: true })
          )
        )
      )
    ),
    Effect.scoped
  )
