/**
 * A transport in memory: TCP's behaviour without sockets, deterministic inside a `World`.
 *
 * Nodes share a `LoopbackNetwork` and each has its own IP address on it. Directions are bounded in bytes, so that a
 * reader who does not pull suspends the writer; an end is seen after all data; a side that goes away with unread bytes,
 * or that is written to afterwards, breaks the connection with a reset, and what was under way is then lost. Tests can
 * hold a direction back, break a link and watch the bytes.
 *
 * Where it differs from a socket: chunks are passed on without a copy, so whoever changes a chunk after writing it is
 * found out here; and closing never waits, because what was written stays readable.
 *
 * stellar-core's counterpart is `LoopbackPeer`.
 *
 * @since 0.1.0
 */
import { type Connection, type Listener, Transport, TransportError } from "@stellar-overlay/overlay/Transport"
import { DEFAULT_PEER_PORT, PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import { Link, type LinkEnd } from "./internal/loopbackLink.ts"
import { type Accepting, acceptLoop } from "./internal/loopbackListener.ts"
import { SeededRandom } from "./internal/seededRandom.ts"

/**
 * Bytes that a direction holds before a write waits, unless told otherwise: 64 KiB.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_CAPACITY = 65_536

/**
 * Bytes that one pull delivers at most, unless told otherwise: 64 KiB, what one read of a socket gives.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_READ_LIMIT = 65_536

/**
 * Connections that wait to be accepted, unless the listener asks for another number; further dials are not answered.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_BACKLOG = 100

/**
 * Milliseconds after which a dial that a full listener did not answer tries again, as TCP repeats its SYN.
 *
 * @category constants
 * @since 0.1.0
 */
export const SYN_RETRY_MILLIS = 1_000

const FIRST_EPHEMERAL_PORT = 49_152
const LAST_PORT = 65_535

/**
 * How a loopback network behaves.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Bytes per direction before a write waits; `DEFAULT_CAPACITY` unless given. */
  readonly capacity?: number | undefined
  /** Bytes per pull; `DEFAULT_READ_LIMIT` unless given. */
  readonly readLimit?: number | undefined
  /** One-way delay of bytes and ends, in milliseconds; a dial takes two. 0 unless given. Resets do not wait. */
  readonly latencyMillis?: number | undefined
  /** Where given, every pull delivers a random, non-empty part of what is there, decided by this seed. */
  readonly segmentation?: number | string | undefined
  /** What host names resolve to; names that are not here are `Unresolved`. */
  readonly hosts?: Readonly<Record<string, string>> | undefined
  /** Sees every chunk as it is written. */
  readonly onBytes?: ((link: LoopbackLink, direction: Direction, chunk: Uint8Array) => void) | undefined
}

/**
 * One connection of a loopback network, for a test to interfere with.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoopbackLink {
  /** Counts the links of a network from 1. */
  readonly id: number
  /** The dialling side's own address. */
  readonly dialer: PeerAddress
  /** The address that was dialled, as the dialler's connection has it. */
  readonly listener: PeerAddress
  /** Bytes of a direction that are written and not yet pulled. */
  readonly buffered: (direction: Direction) => number
  /** Holds a direction back, its end included: nothing arrives, and writes wait once the buffer is full. */
  readonly cork: (direction: Direction) => Effect.Effect<void>
  /** Lets a direction flow again. */
  readonly uncork: (direction: Direction) => Effect.Effect<void>
  /** Breaks the link as an RST does: both sides fail with `Reset`, what is under way is lost. */
  readonly sever: Effect.Effect<void>
}

/**
 * One side of a loopback connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoopbackConnection extends Connection {
  readonly link: LoopbackLink
  /** Breaks the connection as an RST does: both sides fail with `Reset`, what is under way is lost. */
  readonly reset: Effect.Effect<void>
}

/**
 * Which way bytes go on a link.
 *
 * @category models
 * @since 0.1.0
 */
export type Direction = "toDialer" | "toListener"

/**
 * A network in memory that several nodes share.
 *
 * @category services
 * @since 0.1.0
 */
export class LoopbackNetwork extends Context.Service<LoopbackNetwork, {
  /**
   * The transport of the node that has this IP address. It dials from it and listens on it; loopback addresses lead
   * back to the node itself.
   */
  readonly transportAt: (ip: string) => Transport["Service"]
  /** The links of which not both ends are closed, oldest first. */
  readonly links: Effect.Effect<ReadonlyArray<LoopbackLink>>
  /** Dials of this address are not answered from now on: they end at their timeout. */
  readonly blackHole: (address: PeerAddress) => Effect.Effect<void>
  /** Undoes `blackHole`. */
  readonly restore: (address: PeerAddress) => Effect.Effect<void>
}>()("@stellar-overlay/overlay-test/LoopbackNetwork") {}

const isLoopback = (host: string): boolean => host === "::1" || host === "localhost" || host.startsWith("127.")
const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::"

const failWith = (kind: TransportError["kind"], detail: string) => Effect.fail(new TransportError({ kind, detail }))

/** The state of one network; every method is one synchronous step. */
class Network {
  readonly links = new Map<number, Link>()
  /** By host and port; a node's own loopback addresses have a host of their own, see `hostOf`. */
  readonly listeners = new Map<string, Accepting>()
  readonly blackHoles = new Set<string>()
  private readonly options: Options
  private lastLink = 0
  private lastPort = FIRST_EPHEMERAL_PORT - 1

  constructor(options: Options) {
    this.options = options
  }

  get latencyMillis(): number {
    return this.options.latencyMillis ?? 0
  }

  resolve(address: PeerAddress): string | undefined {
    return address.kind === "name" ? this.options.hosts?.[address.host] : address.host
  }

  freePort(): number {
    this.lastPort = this.lastPort >= LAST_PORT ? FIRST_EPHEMERAL_PORT : this.lastPort + 1
    return this.lastPort
  }

  connect(dialer: PeerAddress, listener: PeerAddress): Link {
    const { capacity, onBytes, readLimit, segmentation } = this.options
    const id = ++this.lastLink
    const link = new Link({
      id,
      dialer,
      listener,
      onClosed: () => this.links.delete(id),
      pipe: (link, direction) => ({
        capacity: capacity ?? DEFAULT_CAPACITY,
        readLimit: readLimit ?? DEFAULT_READ_LIMIT,
        latencyMillis: this.latencyMillis,
        segmentation: segmentation === undefined ? undefined : new SeededRandom(`${segmentation}/${id}/${direction}`),
        onWrite: (chunk) => onBytes?.(link, direction, chunk)
      })
    })
    this.links.set(id, link)
    return link
  }
}

/** One node's addresses: its own IP, and loopback, which is private to the node unless that is its IP. */
class Host {
  readonly network: Network
  readonly ip: string

  constructor(network: Network, ip: string) {
    this.network = network
    this.ip = PeerAddress.make(ip, 0).host
  }

  private keyOf(host: string, port: number): string {
    return isLoopback(host) && !isLoopback(this.ip) ? `loopback of ${this.ip}:${port}` : `${host}:${port}`
  }

  /** The keys that listening on a host takes; none for an address that is not the node's. */
  private bindKeys(host: string, port: number): ReadonlyArray<string> {
    const own = this.keyOf(this.ip, port)
    const loopback = this.keyOf("127.0.0.1", port)
    if (isWildcard(host)) return own === loopback ? [own] : [own, loopback]
    if (host === this.ip) return [own]
    return isLoopback(host) ? [loopback] : []
  }

  /** An ephemeral port that nobody on this host listens on; the last one tried where all are taken. */
  private unusedPort(host: string): number {
    let port = this.network.freePort()
    for (let tried = FIRST_EPHEMERAL_PORT; tried < LAST_PORT; tried++) {
      if (!this.bindKeys(host, port).some((key) => this.network.listeners.has(key))) break
      port = this.network.freePort()
    }
    return port
  }

  readonly listen: Transport["Service"]["listen"] = Effect.fnUntraced(
    { self: this },
    function*(options) {
      const { backlog = DEFAULT_BACKLOG, host = "0.0.0.0", port } = options
      if (!Number.isInteger(port) || port < 0 || port > LAST_PORT) {
        return yield* failWith("ListenFailed", "ERR_SOCKET_BAD_PORT")
      }
      const { listeners } = this.network
      const pending = yield* Queue.dropping<LinkEnd>(backlog)
      const bound = yield* Effect.acquireRelease(
        Effect.suspend(() => {
          const actual = port === 0 ? this.unusedPort(host) : port
          const keys = this.bindKeys(host, actual)
          if (keys.length === 0) return failWith("ListenFailed", "EADDRNOTAVAIL")
          if (keys.some((key) => listeners.has(key))) return failWith("ListenFailed", "EADDRINUSE")
          const accepting: Accepting = { address: PeerAddress.make(host, actual), pending }
          for (const key of keys) listeners.set(key, accepting)
          return Effect.succeed({ accepting, keys })
        }),
        ({ keys }) =>
          Effect.suspend(() => {
            for (const key of keys) listeners.delete(key)
            return Effect.flatMap(Queue.clear(pending), Effect.forEach((end) => Effect.andThen(end.reset, end.close)))
          })
      )
      const listener: Listener = {
        address: bound.accepting.address,
        run: (handler) => acceptLoop(bound.accepting, handler)
      }
      return listener
    }
  )

  readonly dial: Transport["Service"]["dial"] = (address, { timeoutMillis }) =>
    Effect.flatMap(Effect.scope, (scope) => {
      let opened: LinkEnd | undefined
      const open: Effect.Effect<LinkEnd, TransportError> = Effect.suspend(() => {
        const { network } = this
        const ip = network.resolve(address)
        if (ip === undefined) return failWith("Unresolved", "ENOTFOUND")
        const remote = PeerAddress.make(ip, address.port)
        if (network.blackHoles.has(remote.key)) return Effect.never
        const accepting = network.listeners.get(this.keyOf(isWildcard(ip) ? "127.0.0.1" : remote.host, remote.port))
        if (accepting === undefined) return failWith("Refused", "ECONNREFUSED")
        if (Queue.isFullUnsafe(accepting.pending)) return Effect.delay(open, SYN_RETRY_MILLIS)
        const local = PeerAddress.make(isLoopback(remote.host) ? "127.0.0.1" : this.ip, network.freePort())
        const link = network.connect(local, remote)
        const end = opened = link.dialerEnd
        Queue.offerUnsafe(accepting.pending, link.listenerEnd)
        return Effect.as(Scope.addFinalizer(scope, end.close), end)
      })
      const roundTrip = 2 * this.network.latencyMillis
      return (roundTrip > 0 ? Effect.delay(open, roundTrip) : open).pipe(
        Effect.timeoutOrElse({ duration: timeoutMillis, orElse: () => failWith("Timeout", "ETIMEDOUT") }),
        // the timeout or an interruption may come between the opening and its delivery
        Effect.onError(() => opened === undefined ? Effect.void : opened.close)
      )
    })
}

const makeNetwork = (options: Options): LoopbackNetwork["Service"] => {
  const network = new Network(options)
  return {
    transportAt: (ip) => new Host(network, ip),
    links: Effect.sync(() => [...network.links.values()]),
    blackHole: (address) => Effect.sync(() => network.blackHoles.add(address.key)),
    restore: (address) => Effect.sync(() => network.blackHoles.delete(address.key))
  }
}

/**
 * A network for several nodes; each gets its transport by `layerAt` or `transportAt`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNetwork = (options: Options = {}): Layer.Layer<LoopbackNetwork> =>
  Layer.sync(LoopbackNetwork, () => makeNetwork(options))

/**
 * The transport of the node with this IP address on the shared network.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerAt = (ip: string): Layer.Layer<Transport, never, LoopbackNetwork> =>
  Layer.effect(Transport, LoopbackNetwork.use((network) => Effect.succeed(Transport.of(network.transportAt(ip)))))

/**
 * A transport on a network of its own, together with the network, for a node at 127.0.0.1.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (options: Options): Layer.Layer<Transport | LoopbackNetwork> =>
  Layer.provideMerge(layerAt("127.0.0.1"), layerNetwork(options))

/**
 * A transport on a network of its own, for a node at 127.0.0.1: dials reach the listeners of the same layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Transport | LoopbackNetwork> = layerWith({})

/**
 * Two ends of one open connection, the dialler's first; closed with the scope.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
 *
 * const program = Effect.gen(function*() {
 *   const [a, b] = yield* LoopbackTransport.pair()
 *   yield* a.write([Uint8Array.of(1, 2, 3)])
 *   return yield* b.pull // [Uint8Array.of(1, 2, 3)]
 * })
 *
 * Effect.runPromise(Effect.scoped(program))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const pair = (
  options: Options = {}
): Effect.Effect<[dialer: LoopbackConnection, listener: LoopbackConnection], never, Scope.Scope> =>
  Effect.suspend(() => {
    const network = new Network(options)
    const dialer = PeerAddress.make("127.0.0.1", network.freePort())
    const link = network.connect(dialer, PeerAddress.make("127.0.0.1", DEFAULT_PEER_PORT))
    const own = (end: LinkEnd) => Effect.acquireRelease(Effect.succeed<LoopbackConnection>(end), () => end.close)
    return Effect.all([own(link.dialerEnd), own(link.listenerEnd)])
  })
