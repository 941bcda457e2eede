/**
 * A peer as a scoped Effect: connect or accept, consume typed messages as a stream, leave the scope to say goodbye.
 *
 * Back-pressure is credit. A batch taken from `messages` counts as processed, and its flow-control credit flows back to
 * the remote as SEND_MORE_EXTENDED, when the next one is asked for or the stream ends, each exactly once. Whoever stops
 * pulling stops the remote; once total capacity is used up the socket is not read either. Somebody must therefore pull
 * `messages` (`Stream.runDrain` will do) for as long as the connection is to live.
 *
 * Implements protocol.md section 8 (stellar-core: `Peer.cpp`, `TCPPeer.cpp`).
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as DropReason from "./DropReason.ts"
import type { BatchHandler, Delivery } from "./internal/delivery.ts"
import { untilScopeEnd } from "./internal/onScopeEnd.ts"
import { PeerHandle } from "./internal/peerHandle.ts"
import { PeerRuntime, readNow } from "./internal/peerRuntime.ts"
import { sampled, traced } from "./internal/tracing.ts"
import { LocalNode } from "./LocalNode.ts"
import { PeerDropped } from "./OverlayError.ts"
import * as OverlayEvents from "./OverlayEvents.ts"
import { OverlayMetrics } from "./OverlayMetrics.ts"
import { type Admission, admitAll, type HandshakeConfig, type RemoteFacts, type Role } from "./protocol/Handshake.ts"
import type { Lane } from "./protocol/Inbox.ts"
import type { LedgerContext } from "./protocol/LedgerContext.ts"
import { Session } from "./protocol/Session.ts"
import type { SessionStats } from "./protocol/SessionStats.ts"
import type { SessionTimers } from "./protocol/SessionTimers.ts"
import { type Connection, Transport, type TransportError } from "./Transport.ts"
import type { NodeId } from "./wire/NodeId.ts"
import { PeerAddress } from "./wire/PeerAddress.ts"
import type { StellarMessage } from "./wire/StellarMessage.ts"

/**
 * An authenticated peer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Peer {
  readonly id: NodeId
  readonly role: Role
  /** Where the socket leads. */
  readonly address: PeerAddress
  /** What the peer said about itself. */
  readonly remote: RemoteFacts
  /**
   * Received messages in lanes: SCP, fetch replies and the rest never wait behind more than one batch of transactions,
   * adverts and demands. Ends when this side closed the connection, fails when anything else did, after everything
   * received before was delivered. Two runs at once share the messages between them, and a run that stops in the middle
   * of a batch (`Stream.take`) counts the rest of that batch as processed: to go on later, keep one run going.
   *
   * Messages may be views into a socket buffer: keep `message.retain()`, not the message, beyond the next pull.
   */
  readonly messages: Stream.Stream<StellarMessage, PeerDropped>
  /**
   * The same messages, each lane by itself, for a consumer whose handling of transactions, adverts and demands (`bulk`)
   * may wait without holding up the rest. Use these or `messages`.
   */
  readonly lanes: { readonly [lane in Lane]: Stream.Stream<StellarMessage, PeerDropped> }
  /**
   * As `lanes`, without a fiber that waits: calls a function with each batch, from now on. Use it, `lanes` or `messages`.
   *
   * @internal
   */
  readonly deliver: (
    handle: BatchHandler,
    blame: (cause: Cause.Cause<never>) => Effect.Effect<void>
  ) => Delivery
  /**
   * Hands a message over and waits while more is queued for the peer than it takes, so that a fast sender becomes as
   * slow as its receiver.
   */
  readonly send: (message: StellarMessage) => Effect.Effect<void, PeerDropped>
  /** As `send`, for many: one wake-up of the writer, and waiting only in between. */
  readonly sendAll: (messages: Iterable<StellarMessage>) => Effect.Effect<void, PeerDropped>
  /** Queues a message without ever waiting; false when the queue's rules shed it or the peer is gone. */
  readonly offer: (message: StellarMessage) => boolean
  /** As `offer`, for many: one look at the clock and one wake-up of the writer. Gives how many were queued. */
  readonly offerAll: (messages: Iterable<StellarMessage>) => number
  /** Ends the connection for a reason, telling the remote where the reason has an ERROR_MSG. */
  readonly drop: (reason: DropReason.DropReason) => Effect.Effect<void>
  /** Waits for the end and says why it came. */
  readonly closed: Effect.Effect<DropReason.DropReason>
  /** A ledger closed or upgraded: adopt its limits. */
  readonly updateLedger: (ledger: LedgerContext) => void
  /** Counters, live. */
  readonly stats: SessionStats
  /** Credit, queues and liveness, live; see `PeerJson` for stellar-core's rendering. */
  readonly session: Session
}

/**
 * What may be chosen for one peer; the rest is `OverlayConfig`.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerOptions {
  /** Whom to let in; everybody by default. */
  readonly admission?: Admission | undefined
  /**
   * `decline` (default) answers GET_TX_SET and GET_SCP_QUORUMSET with DONT_HAVE; `deliver` leaves them, and GET_SCP_STATE,
   * to the consumer of `messages`, who must answer: a node measures its latency by such a question.
   */
  readonly answers?: "decline" | "deliver" | undefined
  /** The ledger asked for in GET_SCP_STATE; 0 (default) means what the peer has, `"none"` asks for nothing. */
  readonly scpStateFrom?: number | "none" | undefined
  /** Overlay versions to announce instead of the configured ones. */
  readonly versions?: Pick<HandshakeConfig, "overlayVersion" | "overlayMinVersion"> | undefined
  /** Limits that follow the ledger; defaults for a node that does not know it. */
  readonly ledger?: LedgerContext | undefined
  /** Called when the session exists, before its first byte, with the way to end it during the handshake. */
  readonly onSession?: ((session: Session, drop: (reason: DropReason.DropReason) => void) => void) | undefined
}

/**
 * Limits of queues before the first ledger is known: 1000 operations, and no SCP slot too old.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultLedger = (maxTransactionSize: number): LedgerContext => ({
  maxTxSetSize: 1000,
  minRememberedSlot: 1,
  checkpointSlot: 1,
  maxTransactionSize
})

/**
 * Dials an address (text or `PeerAddress`), authenticates, and gives the peer for as long as the scope lasts. Fails with
 * the reason when no authenticated connection comes to be; nothing is left open then.
 *
 * **Example** (Eight messages of SCP)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Peer, StellarMessage } from "@stellar-overlay/overlay"
 *
 * const program = Effect.gen(function*() {
 *   const peer = yield* Peer.connect("127.0.0.1:11625")
 *   return yield* peer.messages.pipe(Stream.filter(StellarMessage.is("ScpMessage")), Stream.take(8), Stream.runCollect)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = Effect.fnUntraced(
  function*(
    target: string | PeerAddress,
    options: PeerOptions = {}
  ): Effect.fn.Return<Peer, PeerDropped, LocalNode | Transport | Scope.Scope> {
    const { config } = yield* LocalNode
    const transport = yield* Transport
    const metrics = yield* OverlayMetrics
    const publish = yield* OverlayEvents.publisher
    const address = yield* parse(target, config.ipv6)
    const isTraced = yield* sampled(config.traceSampleRate)
    const connecting = inOwnScope(Effect.gen(function*() {
      publish({ _tag: "PeerConnecting", address })
      const over = (reason: DropReason.DropReason) =>
        Effect.sync(() => {
          metrics.count("stellar_overlay_drops_total", reason._tag)
          metrics.count("stellar_overlay_dials_total", dialOutcome(reason))
          publish({
            _tag: "PeerDropped",
            address,
            role: "initiator",
            id: undefined,
            authenticated: false,
            reason
          })
        })
      const connection = yield* transport.dial(address, { timeoutMillis: config.connectTimeoutMillis }).pipe(
        Effect.mapError((error) => new PeerDropped({ address, id: undefined, reason: dialFailure(error) })),
        Effect.tapError(({ reason }) => over(reason)),
        Effect.onInterrupt(() => over(DropReason.make("Shutdown"))),
        traced(isTraced, "overlay.dial", () => ({ address: String(address) }))
      )
      metrics.count("stellar_overlay_dials_total", "connected")
      return yield* establish(connection, "initiator", options, isTraced)
    }))
    return yield* traced(isTraced, "overlay.connect", () => ({ address: String(address) }))(connecting)
  }
)

/**
 * Authenticates an accepted connection and gives the peer for as long as the scope lasts; see `connect`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const accept = Effect.fnUntraced(
  function*(
    connection: Connection,
    options: PeerOptions = {}
  ): Effect.fn.Return<Peer, PeerDropped, LocalNode | Scope.Scope> {
    const { config } = yield* LocalNode
    const isTraced = yield* sampled(config.traceSampleRate)
    return yield* inOwnScope(establish(connection, "acceptor", options, isTraced))
  }
)

/** A scope of its own inside the caller's, closed at once when `self` fails or is interrupted. */
const inOwnScope = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const scope = yield* Scope.fork(yield* Effect.scope)
      return yield* restore(Scope.provide(self, scope)).pipe(
        Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit))
      )
    })
  )

const parse = (target: string | PeerAddress, ipv6: boolean): Effect.Effect<PeerAddress, PeerDropped> => {
  if (typeof target !== "string") return Effect.succeed(target)
  const parsed = PeerAddress.parse(target, { ipv6 })
  return Result.isSuccess(parsed) ? Effect.succeed(parsed.success) : Effect.fail(
    new PeerDropped({
      address: PeerAddress.make("", 0),
      id: undefined,
      reason: DropReason.make("NameNotResolved", `${JSON.stringify(target)}, ${parsed.failure.message}`)
    })
  )
}

const dialFailure = ({ detail, kind }: TransportError): DropReason.DropReason => {
  switch (kind) {
    case "Refused":
      return DropReason.make("ConnectionRefused", detail)
    case "Timeout":
      return DropReason.make("ConnectTimeout", detail)
    case "Unresolved":
      return DropReason.make("NameNotResolved", detail)
    default:
      return DropReason.make("ConnectFailed", detail)
  }
}

const dialOutcome = ({ _tag }: DropReason.DropReason): string => {
  switch (_tag) {
    case "ConnectionRefused":
      return "refused"
    case "ConnectTimeout":
      return "timeout"
    case "NameNotResolved":
      return "unresolved"
    case "Shutdown":
      return "interrupted"
    default:
      return "failed"
  }
}

const establish = (
  connection: Connection,
  role: Role,
  options: PeerOptions,
  isTraced: boolean
): Effect.Effect<Peer, PeerDropped, LocalNode | Scope.Scope> =>
  traced(isTraced, "overlay.handshake", () => ({ role, remote: String(connection.remote) }))(
    authenticate(connection, role, options)
  )

const authenticate = Effect.fnUntraced(function*(
  connection: Connection,
  role: Role,
  options: PeerOptions
): Effect.fn.Return<Peer, PeerDropped, LocalNode | Scope.Scope> {
  const clock = yield* Clock.Clock
  const publish = yield* OverlayEvents.publisher
  const metrics = yield* OverlayMetrics
  const local = yield* LocalNode
  const context = yield* Effect.context<never>()
  const session = makeSession(local, connection.remote, role, options, clock, metrics.timers)
  // Before the connection starts, so that it goes when the connection's last byte is written.
  yield* untilScopeEnd(() => Effect.sync(metrics.addSession(session)))
  const runtime = new PeerRuntime(session, connection, {
    clock,
    context,
    deadlines: local.deadlines,
    turns: local.turns,
    publish: (event) => {
      if (event._tag === "PeerDropped") metrics.count("stellar_overlay_drops_total", event.reason._tag)
      publish(event)
    }
  })
  options.onSession?.(session, (reason) => runtime.drop(reason))
  yield* untilScopeEnd(() => {
    runtime.start()
    return runtime.close
  })
  yield* runtime.settled.await
  const { dropReason, remote } = session
  if (dropReason !== undefined || remote === undefined) {
    const reason = dropReason ?? DropReason.make("Defect", "authenticated without facts")
    return yield* new PeerDropped({ address: connection.remote, id: remote?.id, reason, remote: session.claimed })
  }
  return new PeerHandle(runtime, remote)
})

const makeSession = (
  local: LocalNode["Service"],
  remote: PeerAddress,
  role: Role,
  options: PeerOptions,
  clock: Clock.Clock,
  timers: SessionTimers | undefined
): Session => {
  const { config, crypto } = local
  return new Session({
    role,
    remote,
    handshake: options.versions === undefined ? local.handshake : { ...local.handshake, ...options.versions },
    auth: local.auth,
    crypto,
    admission: options.admission ?? admitAll,
    nonce: crypto.randomBytes(32),
    pingSecret: crypto.randomBytes(32),
    ...local.derived.session,
    ledger: options.ledger ?? defaultLedger(config.maxTransactionSizeBytes),
    answers: options.answers ?? "decline",
    scpStateFrom: options.scpStateFrom === "none" ? undefined : options.scpStateFrom ?? 0,
    timers
  }, readNow(clock))
}
