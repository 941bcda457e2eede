/**
 * Byte connections: dialling, listening, and nothing about Stellar.
 *
 * A transport is pull-based, so that whoever does not pull slows the remote side. `NodeTransport` is TCP; `overlay-test`
 * has one in memory.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { PeerAddress } from "./wire/PeerAddress.ts"

/**
 * What went wrong underneath:
 *
 * - `Refused`, `Timeout`, `Unresolved`, `OpenFailed`: a dial did not succeed
 * - `Eof`: the remote ended its side in order
 * - `Reset`: the connection broke
 * - `Closed`: our side was closed already
 * - `ListenFailed`: the address cannot be listened on
 *
 * @category models
 * @since 0.1.0
 */
export const TransportErrorKind = Schema.Literals([
  "Refused",
  "Timeout",
  "Unresolved",
  "OpenFailed",
  "Eof",
  "Reset",
  "Closed",
  "ListenFailed"
])

/**
 * A transport failure with the system's own word for it (`ECONNREFUSED`, …) as `detail`.
 *
 * @category errors
 * @since 0.1.0
 */
export class TransportError extends Schema.TaggedError<TransportError>()("TransportError", {
  kind: TransportErrorKind,
  detail: Schema.String
}) {
  override get message() {
    return `${this.kind}: ${this.detail}`
  }
}

/**
 * One open connection. Its scope owns it: closing the scope closes both directions after what was written is out.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection {
  /** The address at the other end, as the socket knows it. */
  readonly remote: PeerAddress
  /**
   * Waits for bytes. Nothing is read from the network unless somebody pulls; an interrupted pull loses nothing. Fails
   * with `Eof` at the end, after everything before it was delivered.
   */
  readonly pull: Effect.Effect<Arr.NonEmptyReadonlyArray<Uint8Array>, TransportError>
  /**
   * Writes all chunks as one unit and waits until the network took them (or has buffer room again). The chunks must
   * not be changed afterwards.
   */
  readonly write: (chunks: Arr.NonEmptyReadonlyArray<Uint8Array>) => Effect.Effect<void, TransportError>
  /** Ends our direction after what was written; the other can still be pulled. Safe to call twice. */
  readonly end: Effect.Effect<void>
  /**
   * As `pull`, without a fiber that waits: gives what has come, or why nothing will come any more. Where it has neither
   * it gives undefined, and calls `ready` once when that changes, never from within `poll`; a later call takes the place
   * of an earlier one.
   *
   * Optional, as `offer` is: a peer forks `pull` and `write` where they are missing. Whoever wraps one of a pair wraps
   * both or leaves the other out.
   */
  poll?(ready: () => void): Arr.NonEmptyReadonlyArray<Uint8Array> | TransportError | undefined
  /** As `write`, at once: all chunks are taken, and what has to be waited for before the next, or failed, is given back. */
  offer?(chunks: Arr.NonEmptyReadonlyArray<Uint8Array>): Effect.Effect<void, TransportError> | undefined
}

/**
 * A connection that can be asked and need not be waited for.
 *
 * @category models
 * @since 0.1.0
 */
export type Pollable = Connection & Pick<Required<Connection>, "poll" | "offer">

/**
 * Whether a connection can be asked.
 *
 * @category guards
 * @since 0.1.0
 */
export const isPollable = (connection: Connection): connection is Pollable =>
  connection.poll !== undefined && connection.offer !== undefined

/**
 * Makes `pull` of `poll`: a fiber that waits, and takes nothing once it is interrupted.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pullFrom = (poll: NonNullable<Connection["poll"]>): Connection["pull"] =>
  Effect.callback((resume) => {
    let isWaiting = true
    const look = () => {
      const input = isWaiting ? poll(look) : undefined
      if (input === undefined) return
      isWaiting = false
      resume(input instanceof TransportError ? Effect.fail(input) : Effect.succeed(input))
    }
    look()
    return Effect.sync(() => {
      isWaiting = false
    })
  })

/**
 * A listening socket; closed with the scope that opened it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listener {
  /** The bound address, with the real port when port 0 was asked for. */
  readonly address: PeerAddress
  /**
   * Runs `handler` for each accepted connection, each in its own fiber and scope, until interrupted. What the handler
   * does not catch is its own affair: it never stops the listener.
   */
  readonly run: <R>(
    handler: (connection: Connection) => Effect.Effect<void, never, R | Scope.Scope>
  ) => Effect.Effect<never, never, Exclude<R, Scope.Scope>>
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class Transport extends Context.Service<Transport, {
  /** Opens a connection, waiting at most `timeoutMillis`. Host names are resolved on the way. */
  readonly dial: (
    address: PeerAddress,
    options: { readonly timeoutMillis: number }
  ) => Effect.Effect<Connection, TransportError, Scope.Scope>
  /** Listens; port 0 takes any free port. `host` defaults to all IPv4 addresses. */
  readonly listen: (
    options: { readonly host?: string | undefined; readonly port: number; readonly backlog?: number | undefined }
  ) => Effect.Effect<Listener, TransportError, Scope.Scope>
}>()("@stellar-overlay/overlay/Transport") {}
