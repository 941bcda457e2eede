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
import { type Connection, Transport } from "@stellar-overlay/overlay/Transport"
import { DEFAULT_PEER_PORT, PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { Network } from "./internal/loopbackHost.ts"
import type { LinkEnd } from "./internal/loopbackLink.ts"
import { ownerOf } from "./internal/parkedReader.ts"
import { World } from "./World.ts"

export {
  /**
   * Connections that wait to be accepted, unless the listener asks for another number; further dials are not answered.
   *
   * @category constants
   * @since 0.1.0
   */
  DEFAULT_BACKLOG,
  /**
   * Bytes that a direction holds before a write waits, unless told otherwise: 64 KiB.
   *
   * @category constants
   * @since 0.1.0
   */
  DEFAULT_CAPACITY,
  /**
   * Bytes that one pull delivers at most, unless told otherwise: 64 KiB, what one read of a socket gives.
   *
   * @category constants
   * @since 0.1.0
   */
  DEFAULT_READ_LIMIT,
  /**
   * Milliseconds after which a dial that a full listener did not answer tries again, as TCP repeats its SYN.
   *
   * @category constants
   * @since 0.1.0
   */
  SYN_RETRY_MILLIS
} from "./internal/loopbackHost.ts"

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

/** In a world, connections that are left open at its end are in its report. */
const make = (options: Options): Effect.Effect<Network> =>
  Effect.map(
    Effect.serviceOption(World),
    (world) => new Network(options, undefined, Option.getOrUndefined(world)?.opened)
  )

/**
 * A network for several nodes; each gets its transport by `layerAt` or `transportAt`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNetwork = (options: Options = {}): Layer.Layer<LoopbackNetwork> =>
  Layer.effect(LoopbackNetwork, Effect.map(make(options), ({ service }) => service))

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
  Effect.flatMap(make(options), (network) => {
    const dialer = PeerAddress.make("127.0.0.1", network.freePort())
    const link = network.connect(dialer, PeerAddress.make("127.0.0.1", DEFAULT_PEER_PORT), "127.0.0.1")
    const own = (end: LinkEnd) =>
      Effect.acquireRelease(
        Effect.withFiber((fiber) => Effect.succeed<LoopbackConnection>(end.open(ownerOf(fiber)))),
        () => end.close
      )
    return Effect.all([own(link.dialerEnd), own(link.listenerEnd)])
  })
