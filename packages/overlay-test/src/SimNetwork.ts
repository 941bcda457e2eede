/**
 * A `LoopbackNetwork` that can fail: links with delay, jitter, bandwidth and queues, partitions, regions, broken and
 * half-broken connections, and frames that are lost, changed, repeated or overtaken on their way.
 *
 * Everything that a `LoopbackNetwork` serves runs on it unchanged, `TestNode` above all. What goes wrong is said by
 * `SimFault`s, which are data; what did go wrong is counted, and told to `onEvent`. All chance comes from the world's seed.
 *
 * The network keeps TCP's promises where no fault breaks them: bytes of a connection arrive in order and once, what a cut
 * line holds back arrives after it is mended, and a side that has not heard of an end writes on. Time on the way is the
 * world's, whatever clocks the nodes have.
 *
 * **Example** (Two nodes behind a slow line, and then cut off)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as SimNetwork from "@stellar-overlay/overlay-test/SimNetwork"
 * import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
 * import * as World from "@stellar-overlay/overlay-test/World"
 *
 * const program = Effect.gen(function*() {
 *   const network = yield* SimNetwork.SimNetwork
 *   network.name("a", "10.0.0.1")
 *   network.name("b", "10.1.0.1")
 *   yield* network.setLink("a", "b", { delayMillis: 80, bytesPerSecond: 100_000 })
 *   yield* TestNode.launch({ name: "a", ip: "10.0.0.1" })
 *   yield* TestNode.launch({ name: "b", ip: "10.1.0.1", config: { knownPeers: ["10.0.0.1"] } })
 *   yield* Effect.sleep("10 seconds")
 *   yield* network.inject({ _tag: "Isolate", node: "b" })
 *   yield* Effect.sleep("60 seconds")
 *   yield* network.heal
 *   return network.fired.get("Isolate") // how much the cut held back
 * }).pipe(Effect.provide(SimNetwork.layer()))
 *
 * Effect.runSync(World.run(program, { seed: 1 }))
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { isTimerClock } from "./internal/after.ts"
import { SimNet } from "./internal/simNet.ts"
import { type LoopbackLink, LoopbackNetwork, type Options as LoopbackOptions } from "./LoopbackTransport.ts"
import type { Kind, NetworkFault, SimFault, Timed } from "./SimFault.ts"
import { World } from "./World.ts"

/**
 * What a link is like when nothing is wrong with it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Conditions {
  /** One way. 0 unless given. */
  readonly delayMillis?: number | undefined
  /** Up to so much more for each chunk, in order. 0 unless given. */
  readonly jitterMillis?: number | undefined
  /** No limit unless given. */
  readonly bytesPerSecond?: number | undefined
  /** Bytes under way before a write waits; the network's capacity unless given. */
  readonly queueBytes?: number | undefined
}

/**
 * What happens in the network, for a story; `millis` is the world's time, nodes are named.
 *
 * @category models
 * @since 0.1.0
 */
export type SimEvent =
  | { readonly _tag: "FaultStarted"; readonly millis: number; readonly fault: SimFault }
  | { readonly _tag: "FaultEnded"; readonly millis: number; readonly fault: SimFault }
  /** It took effect, and where. */
  | { readonly _tag: "FaultFired"; readonly millis: number; readonly fault: SimFault; readonly where: string }
  /** `from` dialled. */
  | { readonly _tag: "LinkOpened"; readonly millis: number; readonly link: number } & FromTo
  | { readonly _tag: "LinkClosed"; readonly millis: number; readonly link: number } & FromTo
  /** `from` wrote so many bytes, which arrive at `arrival`; less or more of them where a fault strikes. */
  | {
    readonly _tag: "Chunk"
    readonly millis: number
    readonly link: number
    readonly bytes: number
    readonly arrival: number
  } & FromTo
  | { readonly _tag: "DialFailed"; readonly millis: number; readonly reason: string } & FromTo
  /** A node of a `SimCluster` changed its state. */
  | { readonly _tag: "NodeChanged"; readonly millis: number; readonly node: string; readonly status: NodeStatus }

/**
 * The two ends of something.
 *
 * @category models
 * @since 0.1.0
 */
export interface FromTo {
  readonly from: string
  readonly to: string
}

/**
 * What a node of a `SimCluster` is doing.
 *
 * @category models
 * @since 0.1.0
 */
export type NodeStatus = "starting" | "running" | "paused" | "stopping" | "down"

/**
 * A fault that was injected.
 *
 * @category models
 * @since 0.1.0
 */
export interface Active<out F extends SimFault = SimFault> {
  readonly fault: F
  /** How often it took effect. */
  readonly fired: number
  /** Ends it; nothing when it has ended. */
  readonly end: Effect.Effect<void>
}

/**
 * How a network is set up.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends Omit<LoopbackOptions, "onBytes" | "segmentation"> {
  /** What every link is like unless `setLink` says otherwise. */
  readonly conditions?: Conditions | undefined
  readonly onEvent?: ((event: SimEvent) => void) | undefined
  /** Sees every chunk as it is written, before any fault. */
  readonly onBytes?: ((chunk: Uint8Array, where: FromTo & { readonly link: number }) => void) | undefined
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class SimNetwork extends Context.Service<SimNetwork, {
  /** Gives the node at an IP address its name. */
  readonly name: (name: string, ip: string) => void
  /** The name of the node at an IP address; the address itself when it has none. */
  readonly nameOf: (ip: string) => string
  /** What the link between two nodes is like from now on, in both directions, instead of the network's conditions. */
  readonly setLink: (a: string, b: string, conditions: Conditions) => Effect.Effect<void>
  /** As `setLink`, for what `from` sends to `to`. */
  readonly setLane: (from: string, to: string, conditions: Conditions) => Effect.Effect<void>
  /** Cuts the network in parts; see the fault `Partition`. */
  readonly partition: (...groups: ReadonlyArray<ReadonlyArray<string>>) => Effect.Effect<Active<NetworkFault>>
  /** Makes a fault true until it is ended. */
  readonly inject: (fault: NetworkFault) => Effect.Effect<Active<NetworkFault>>
  /** Goes through a schedule; ends when it has been gone through, with those faults still active that have no end. */
  readonly play: (schedule: ReadonlyArray<Timed<NetworkFault>>) => Effect.Effect<void>
  /** Ends all faults; what they held back arrives. */
  readonly heal: Effect.Effect<void>
  /** The faults that are true now, in order. */
  readonly active: ReadonlyArray<Active>
  /** How often each kind took effect; kinds that never did are absent. */
  readonly fired: ReadonlyMap<Kind, number>
  /** The open connections, with the names of their ends. */
  readonly links: () => ReadonlyArray<LoopbackLink & FromTo>
  /** Starts a fault that somebody else sees to, a `SimCluster` for instance; `onEnd` undoes it. */
  readonly begin: <F extends SimFault>(fault: F, onEnd?: Effect.Effect<void>) => Effect.Effect<Registered<F>>
  /** Tells `onEvent`. */
  readonly tell: (event: SimEvent) => void
  /** Cuts the connections of the node in half: the others hear nothing of its end. */
  readonly darken: (node: string) => Effect.Effect<void>
  /** Breaks the connections of the node, as its system does when the process dies. */
  readonly sever: (node: string) => Effect.Effect<void>
}>()("@stellar-overlay/overlay-test/SimNetwork") {}

/**
 * A fault that somebody else than the network sees to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Registered<out F extends SimFault> extends Active<F> {
  /** It took effect, and where. */
  readonly fire: (where: string) => void
}

/**
 * A network that can fail, for nodes that are built on `LoopbackNetwork`. Needs a `World`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<SimNetwork | LoopbackNetwork, never, World> =>
  Layer.effectContext(Effect.gen(function*() {
    const world = yield* World
    const clock = yield* Clock.Clock
    if (!isTimerClock(clock)) return yield* Effect.die(new Error("a SimNetwork needs the clock of a World"))
    const net = new SimNet(options, {
      clock,
      random: world.random("SimNetwork"),
      note: (event) => world.note(event),
      opened: world.opened,
      scope: yield* Effect.scope
    })
    return Context.make(SimNetwork, net).pipe(Context.add(LoopbackNetwork, net.network.service))
  }))
