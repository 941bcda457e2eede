/**
 * TCP on Node: the live `Transport`.
 *
 * Bytes stay in the kernel until somebody asks for them (`TcpConnection`).
 * The listening side is a `net.Server` of its own instead of `NodeSocketServer`, for three reasons: closing that one
 * waits until every connection it ever accepted has ended, so that one stuck peer holds up a shutdown; connections that
 * nobody has taken yet pile up in it without bound; and it never tells of a failed accept.
 *
 * Implements what stellar-core does in `TCPPeer` and `PeerDoor`.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Net from "node:net"
import { onScopeEnd } from "./internal/onScopeEnd.ts"
import { type Connection, type Listener, pullFrom, Transport, TransportError } from "./Transport.ts"
import { PeerAddress } from "./wire/PeerAddress.ts"

/**
 * Connections that wait to be accepted unless the listener asks for another number: in the kernel, and as many again
 * in the process while nobody runs the listener. Further ones are reset.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_BACKLOG = 100

/**
 * Milliseconds that closing a connection waits for the remote to take what was written, before it is reset.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_FLUSH_MILLIS = 5_000

/**
 * How sockets are opened and closed.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Bound in milliseconds on the flush at the end of a connection's scope; `DEFAULT_FLUSH_MILLIS` unless given. */
  readonly flushMillis?: number | undefined
  /** Resolves host names; the system's resolver unless given. */
  readonly lookup?: Net.LookupFunction | undefined
}

/**
 * Buffers stay at Node's 64 KiB: with the 256 KiB that core reads at once, Node joins several reads by a copy, at two
 * thirds of the throughput (measured: 600 against 900 MB/s on loopback).
 */
const socketOptions = { allowHalfOpen: true, noDelay: true } as const

const noop = () => {}

const fail = (kind: TransportError["kind"], detail: string) => Effect.fail(new TransportError({ kind, detail }))

const closedHere = (): TransportError => new TransportError({ kind: "Closed", detail: "closed by this side" })

/** The system's name for an error (`ECONNREFUSED`), or its message where it has none. */
const codeOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message
}

const dialError = (cause: unknown): TransportError => {
  const detail = codeOf(cause)
  const kind = detail === "ECONNREFUSED"
    ? "Refused"
    : detail === "ETIMEDOUT"
    ? "Timeout"
    : detail === "ENOTFOUND" || detail.startsWith("EAI_")
    ? "Unresolved"
    : "OpenFailed"
  return new TransportError({ kind, detail })
}

/** Lets what was written go out, for a bounded time, and closes; a remote that does not take it is reset. */
const flushAndClose = (raw: Net.Socket, flushMillis: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    raw.destroySoon()
    if (raw.destroyed) return Effect.void
    const closed = Effect.callback<void>((resume) => {
      const onClose = () => resume(Effect.void)
      raw.once("close", onClose)
      return Effect.sync(() => raw.off("close", onClose))
    })
    return Effect.andThen(
      Effect.raceFirst(closed, Effect.sleep(flushMillis)),
      Effect.sync(() => {
        if (!raw.destroyed) raw.resetAndDestroy()
      })
    )
  })

/**
 * An open socket as a connection: paused for good, so that what nobody pulls stays in the kernel once Node's own buffer is
 * full.
 *
 * Effect's `NodeSocket` does the same for streams that may be opened late and upgraded to TLS; with it an idle peer took
 * 6 KiB more, and the end of a connection, which makes one error here instead of three, 340 us instead of 200.
 */
class TcpConnection implements Connection {
  readonly remote: PeerAddress
  private readonly raw: Net.Socket
  /** Whom to tell of bytes, or of the end. */
  private ready: (() => void) | undefined
  private isClosed = false
  /** No bytes will come any more. */
  private isOver = false
  private broken: string | undefined

  constructor(raw: Net.Socket, remote: PeerAddress) {
    this.raw = raw
    this.remote = remote
    raw.pause()
    raw.on("readable", this.tell)
    raw.on("error", this.onError)
    raw.on("end", this.onEnd)
    raw.on("close", this.onEnd)
    // What happened before anybody listened.
    if (raw.errored !== null) this.broken = codeOf(raw.errored)
    if (raw.readableEnded || raw.destroyed) this.isOver = true
  }

  /** Nothing is read here, so that what nobody asks for any more is not lost. */
  private readonly tell = (): void => {
    const { ready } = this
    this.ready = undefined
    ready?.()
  }

  private readonly onError = (cause: unknown): void => {
    this.broken ??= codeOf(cause)
    this.onEnd()
  }

  private readonly onEnd = (): void => {
    this.isOver = true
    this.tell()
  }

  private get failure(): TransportError {
    if (this.isClosed) return closedHere()
    return this.broken === undefined && this.raw.readableEnded
      ? new TransportError({ kind: "Eof", detail: "ended by the remote" })
      : this.reset
  }

  private get reset(): TransportError {
    return new TransportError({ kind: "Reset", detail: this.broken ?? "ECONNRESET" })
  }

  poll(ready: () => void): Arr.NonEmptyReadonlyArray<Uint8Array> | TransportError | undefined {
    const chunk: Buffer | null = this.isClosed || this.raw.destroyed ? null : this.raw.read()
    // Plain arrays, not Buffers, whose `slice` does not copy.
    if (chunk !== null) return [new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)]
    if (this.isOver) return this.failure
    this.ready = ready
    return undefined
  }

  offer(chunks: Arr.NonEmptyReadonlyArray<Uint8Array>): Effect.Effect<void, TransportError> | undefined {
    const { raw } = this
    // Node would break the whole connection for a write after its end, and never answer one after its close.
    if (this.isClosed || raw.writableEnded) return Effect.fail(closedHere())
    if (raw.destroyed) return Effect.fail(this.reset)
    if (chunks.length > 1) raw.cork()
    for (const chunk of chunks) raw.write(chunk)
    if (chunks.length > 1) raw.uncork()
    return raw.writableNeedDrain ? this.drained : undefined
  }

  readonly pull: Connection["pull"] = pullFrom((ready) => this.poll(ready))

  readonly write: Connection["write"] = (chunks) => Effect.suspend(() => this.offer(chunks) ?? Effect.void)

  /** Waits until the socket has room again. */
  private get drained(): Effect.Effect<void, TransportError> {
    const { raw } = this
    return Effect.callback((resume) => {
      const onDrain = () => settle(Effect.void)
      const onClose = () => settle(Effect.fail(this.failure))
      const forget = () => {
        raw.off("drain", onDrain)
        raw.off("close", onClose)
      }
      const settle = (result: Effect.Effect<void, TransportError>) => {
        forget()
        resume(result)
      }
      raw.on("drain", onDrain)
      raw.on("close", onClose)
      return Effect.sync(forget)
    })
  }

  readonly end: Connection["end"] = Effect.sync(() => {
    if (!this.raw.writableEnded && !this.raw.destroyed) this.raw.end()
  })

  /** The connection's scope ends: whatever that makes fail was closed by this side. */
  close(): void {
    this.isClosed = true
    this.onEnd()
    this.raw.off("readable", this.tell)
    this.raw.off("end", this.onEnd)
    this.raw.off("close", this.onEnd)
  }
}

/** An open socket as a connection that the current scope owns. */
const connectionOf = (raw: Net.Socket, remote: PeerAddress): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new TcpConnection(raw, remote)),
    (connection) => Effect.sync(() => connection.close())
  )

const connect = (
  address: PeerAddress,
  options: Options,
  onSocket: (raw: Net.Socket) => void
): Effect.Effect<Net.Socket, TransportError> =>
  Effect.callback((resume) => {
    if (address.isEmpty) return resume(fail("Unresolved", "ENOTFOUND")) // Node would dial itself
    let raw: Net.Socket
    try {
      const { host, port } = address
      const { lookup } = options
      raw = Net.createConnection({ ...socketOptions, host, port, ...(lookup === undefined ? {} : { lookup }) })
    } catch (cause) {
      return resume(Effect.fail(dialError(cause)))
    }
    onSocket(raw)
    raw.once("connect", () => resume(Effect.succeed(raw)))
    raw.on("error", (cause) => resume(Effect.fail(dialError(cause))))
  })

const dialWith = (options: Options): Transport["Service"]["dial"] => (address, { timeoutMillis }) =>
  Effect.flatMap(Effect.scope, (scope) => {
    let socket: Net.Socket | undefined
    const flushMillis = options.flushMillis ?? DEFAULT_FLUSH_MILLIS
    // The finalizer stands before the socket exists, so that no interruption can fall between the two.
    return Scope.addFinalizer(
      scope,
      Effect.suspend(() => socket === undefined ? Effect.void : flushAndClose(socket, flushMillis))
    ).pipe(
      Effect.andThen(connect(address, options, (raw) => {
        socket = raw
      })),
      Effect.timeoutOrElse({ duration: timeoutMillis, orElse: () => fail("Timeout", "ETIMEDOUT") }),
      Effect.onError(() => Effect.sync(() => socket?.destroy())),
      Effect.flatMap((raw) => connectionOf(raw, PeerAddress.make(raw.remoteAddress ?? address.host, address.port)))
    )
  })

interface Bound {
  readonly server: Net.Server
  readonly address: PeerAddress
  /** Accepted by Node, paused, waiting for `run`. */
  readonly pending: Queue.Queue<Net.Socket>
}

const bind = (
  pending: Queue.Queue<Net.Socket>,
  host: string,
  port: number,
  backlog: number,
  onAcceptError: (cause: Error) => void
): Effect.Effect<Bound, TransportError> =>
  Effect.callback((resume) => {
    const refuse = (cause: unknown) => resume(fail("ListenFailed", codeOf(cause)))
    const server = Net.createServer({ ...socketOptions, pauseOnConnect: true }, (raw) => {
      raw.on("error", noop)
      if (raw.remoteAddress === undefined) raw.destroy() // gone already
      else if (!Queue.offerUnsafe(pending, raw)) raw.resetAndDestroy()
    })
    server.once("error", refuse)
    try {
      server.listen({ host, port, backlog }, () => {
        server.off("error", refuse)
        server.on("error", onAcceptError)
        const address = server.address()
        if (address === null || typeof address === "string") return refuse("no inet address")
        resume(Effect.succeed({ server, address: PeerAddress.make(address.address, address.port), pending }))
      })
    } catch (cause) {
      refuse(cause)
    }
    return Effect.sync(() => server.close())
  })

const unbind = ({ pending, server }: Bound): Effect.Effect<void> =>
  Effect.suspend(() => {
    server.close() // frees the port at once; its callback would wait for every accepted connection
    return Effect.map(Queue.clear(pending), (waiting) => {
      for (const raw of waiting) raw.resetAndDestroy()
    })
  })

const listenWith = (options: Options): Transport["Service"]["listen"] =>
  Effect.fnUntraced(function*({ backlog = DEFAULT_BACKLOG, host = "0.0.0.0", port }) {
    const context = yield* Effect.context<never>()
    const log = Effect.runForkWith(context)
    const pending = yield* Queue.dropping<Net.Socket>(backlog)
    const flushMillis = options.flushMillis ?? DEFAULT_FLUSH_MILLIS
    // Node listens on after a failed accept. Where descriptors have run out (EMFILE) it does not even report one: libuv
    // keeps a spare descriptor to accept and close what comes in.
    let lastError = ""
    const onAcceptError = (cause: Error) => {
      const code = codeOf(cause)
      if (code !== lastError) log(Effect.logWarning("accepting connections fails", code))
      lastError = code
    }
    const bound = yield* Effect.acquireRelease(bind(pending, host, port, backlog, onAcceptError), unbind)

    const serve = <R>(
      raw: Net.Socket,
      handler: (connection: Connection) => Effect.Effect<void, never, R | Scope.Scope>
    ) =>
      Effect.suspend(() => {
        lastError = ""
        const { remoteAddress, remotePort } = raw
        if (remoteAddress === undefined) return Effect.sync(() => raw.destroy())
        return onScopeEnd(flushAndClose(raw, flushMillis)).pipe(
          Effect.andThen(connectionOf(raw, PeerAddress.make(remoteAddress, remotePort ?? 0))),
          Effect.flatMap(handler),
          Effect.scoped
        )
      }).pipe(Effect.ignoreCause({ log: "Error", message: "connection handler failed" }))

    const listener: Listener = {
      address: bound.address,
      run: (handler) =>
        FiberSet.make<unknown>().pipe(
          Effect.flatMap((fibers) =>
            // A connection that was taken is served: an interruption falls on the taking or on the handler.
            Effect.uninterruptibleMask((restore) =>
              Effect.forever(
                Effect.flatMap(
                  restore(Queue.take(pending)),
                  (raw) => FiberSet.run(fibers, serve(raw, handler), { startImmediately: true })
                )
              )
            )
          ),
          Effect.scoped
        )
    }
    return listener
  })

/**
 * A TCP transport.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Transport["Service"] =>
  Transport.of({ dial: dialWith(options), listen: listenWith(options) })

/**
 * The TCP transport.
 *
 * - A dial ends with `Refused` (ECONNREFUSED), `Timeout` (its own time, or ETIMEDOUT), `Unresolved` (the name has no
 *   address) or `OpenFailed` (anything else); `detail` is the system's code. Interrupting it closes the socket.
 * - TCP_NODELAY is on, and a side that has read the end can still write.
 * - Pulls give plain `Uint8Array`s of one read each, 64 KiB or so at most; up to 64 KiB are read ahead of the pull.
 * - A write is queued at once and waits until the kernel took it: an interrupted write is still sent.
 * - Closing the scope sends what was written, waits `DEFAULT_FLUSH_MILLIS` at most for it to leave, and closes; a
 *   connection that is not done by then is reset.
 * - A listener outlives failures of accept (EMFILE, ECONNABORTED), logging the first of a row, and what its handlers do.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Transport> = Layer.sync(Transport, make)

/**
 * The TCP transport with options.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (options: Options): Layer.Layer<Transport> => Layer.sync(Transport, () => make(options))
