/**
 * Whole nodes by name, in a `SimNetwork`: each with a ledger, a store that outlives its process, and clocks and a processor
 * of its own, so that everything that happens to machines can happen to it.
 *
 * @since 0.1.0
 */
import type { DropTag } from "@stellar-overlay/overlay/DropReason"
import { NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import type * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import type { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { isTimerClock } from "./internal/after.ts"
import { inject } from "./internal/simClusterFaults.ts"
import { SimMachine } from "./internal/simMachine.ts"
import { playWith } from "./internal/simNet.ts"
import { type ClusterContext, ClusterNode, makeIdentity } from "./internal/simNode.ts"
import type { LoopbackNetwork } from "./LoopbackTransport.ts"
import type { Kind, SimFault, Timed } from "./SimFault.ts"
import {
  type Active,
  layer as layerNetwork,
  type NodeStatus,
  type Options as NetworkOptions,
  SimNetwork
} from "./SimNetwork.ts"
import type { Topology } from "./SimTopology.ts"
import type { TestNode } from "./TestNode.ts"
import type { ClosedLedger, ToyLedger } from "./ToyLedger.ts"
import type { World } from "./World.ts"

/**
 * A node to be.
 *
 * @category options
 * @since 0.1.0
 */
export interface NodeOptions {
  /** Names it, and is what its key and chance are drawn from. */
  readonly name: string
  /** An address in a /16 of its own unless given. */
  readonly ip?: string | undefined
  /** The nodes whose addresses it starts with (KNOWN_PEERS). */
  readonly knows?: ReadonlyArray<string> | undefined
  /** The nodes it prefers (PREFERRED_PEERS). */
  readonly prefers?: ReadonlyArray<string> | undefined
  /** Whether it votes on ledgers; true unless given. The others follow. */
  readonly isValidator?: boolean | undefined
  /** Differences from the `standalone` preset. */
  readonly config?: Partial<OverlayConfig.Values> | undefined
}

/**
 * How a cluster is set up.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  readonly nodes: ReadonlyArray<NodeOptions>
  /** Differences from the `standalone` preset for all nodes. */
  readonly config?: Partial<OverlayConfig.Values> | undefined
  /** What a node has instead of a toy ledger. */
  readonly host?: ((node: NodeOptions) => Layer.Layer<OverlayHost>) | undefined
  /** What a node counts and times with, such as `OverlayMetrics.layer`; with nothing unless given, which is 8 % faster. */
  readonly metrics?: ((node: NodeOptions) => Layer.Layer<never>) | undefined
  /** Events that each node keeps, the newest; `MAX_EVENTS` unless given. Large networks are short of memory for them. */
  readonly keptEvents?: number | undefined
  /** The pace of the toy ledger: one a second unless given. */
  readonly closeTimeMillis?: number | undefined
  /** Called for every event of every node, in the moment it happens. */
  readonly onNodeEvent?: ((node: string, event: OverlayEvent) => void) | undefined
  /** Called for every ledger a node closes. */
  readonly onLedger?: ((node: string, ledger: ClosedLedger) => void) | undefined
}

/**
 * How a node comes back: on what its store has, on a store as it was some time ago, on an empty one, or on a copy of
 * another node's.
 *
 * @category models
 * @since 0.1.0
 */
export type Database =
  | "kept"
  | "lost"
  | { readonly _tag: "old"; readonly ageMillis: number }
  | { readonly _tag: "foreign"; readonly of: string }

/**
 * A node of a cluster. The members that are not functions are live.
 *
 * @category models
 * @since 0.1.0
 */
export interface SimNode {
  readonly name: string
  readonly ip: string
  readonly address: PeerAddress
  /** Its key of the moment: another one's while `SharedKey` holds. */
  readonly id: NodeId
  readonly isValidator: boolean
  readonly status: NodeStatus
  /** How many times it was started. */
  readonly starts: number
  /** The running node with all its services; undefined while it is down. */
  readonly running: TestNode | undefined
  /** Its ledger; undefined while it is down or when the cluster's hosts are others. */
  readonly ledger: ToyLedger | undefined
  /** What happened to its connections, over all its starts; the newest `keptEvents`. */
  readonly events: ReadonlyArray<OverlayEvent>
  /** Why its connections ended, from `events`. */
  readonly drops: () => ReadonlyArray<DropTag>
  /** Ledgers it closed, over all its starts; the newest `MAX_LEDGERS`. */
  readonly ledgers: ReadonlyArray<ClosedLedger>
  /** Its connections in the network, pending ones included. */
  readonly sockets: () => number
  /** The nodes it is connected with, by name. */
  readonly peers: () => ReadonlyArray<string>
  /** Rows of its store. */
  readonly database: { readonly peers: number; readonly bans: number }
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class SimCluster extends Context.Service<SimCluster, {
  /** All nodes, in the order of the options, then those that were added. */
  readonly nodes: ReadonlyArray<SimNode>
  /** A node by its name; a defect when there is none. */
  readonly node: (name: string) => SimNode
  /** Adds a node that is down. */
  readonly add: (node: NodeOptions) => Effect.Effect<SimNode>
  /** Starts a node that is down; nothing when it is not. */
  readonly start: (name: string) => Effect.Effect<void>
  readonly startAll: Effect.Effect<void>
  /** Shuts a node down in order. */
  readonly stop: (name: string) => Effect.Effect<void>
  /** Its process dies at once; its connections break. Nothing that it does afterwards reaches anybody, or its store. */
  readonly crash: (name: string) => Effect.Effect<void>
  /** As `crash`, but the others hear nothing of it. */
  readonly powerLoss: (name: string) => Effect.Effect<void>
  /** Crashes the node if it is up, and starts it. */
  readonly restart: (name: string, database?: Database) => Effect.Effect<void>
  /** Holds every fiber and timer of the node; its sockets take bytes until they are full. */
  readonly pause: (name: string) => Effect.Effect<void>
  readonly resume: (name: string) => Effect.Effect<void>
  /** Makes a fault true, of the network or of a node, until it is ended. */
  readonly inject: (fault: SimFault) => Effect.Effect<Active>
  /** Goes through a schedule; ends when it has been gone through, with those faults still active that have no end. */
  readonly play: (schedule: ReadonlyArray<Timed>) => Effect.Effect<void>
  /** Ends all faults and starts every node that a fault took down. */
  readonly heal: Effect.Effect<void>
  /** How often each kind took effect. */
  readonly fired: ReadonlyMap<Kind, number>
  /** The nodes that can be reached from the first running one, and how many run: equal when all are connected. */
  readonly connectivity: () => { readonly reached: number; readonly running: number }
}>()("@stellar-overlay/overlay-test/SimCluster") {}

export {
  /**
   * Events of its connections that a node keeps unless told otherwise; the oldest go first.
   *
   * @category constants
   * @since 0.1.0
   */
  MAX_EVENTS,
  /**
   * Closed ledgers that a node keeps; the oldest go first.
   *
   * @category constants
   * @since 0.1.0
   */
  MAX_LEDGERS
} from "./internal/simNode.ts"

/** The address of the node with this number: a /16 for each, so that no limit per subnet joins them. */
const ipOf = (index: number): string => `${10 + (index >> 8)}.${index & 255}.0.1`

const notThere = (name: string): never => {
  throw new Error(`there is no node ${name}`)
}

/**
 * Makes a cluster whose nodes are down; it ends with the scope, all nodes at once and each in order.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<SimCluster["Service"], never, SimNetwork | LoopbackNetwork | World | Scope.Scope> {
  const network = yield* SimNetwork
  const context = yield* Effect.context<LoopbackNetwork | World>()
  const scheduler = yield* Scheduler.Scheduler
  const clock = yield* Clock.Clock
  if (!isTimerClock(clock)) return yield* Effect.die(new Error("a SimCluster needs the clock of a World"))
  // A node after the other would be a shutdown of a thousand steps, in which those that are left dial anew.
  const scope = yield* Scope.fork(yield* Effect.scope, "parallel")
  const nodes: Array<ClusterNode> = []
  const identities = new Map<string, NodeIdentity["Service"]>()
  const find = (name: string): ClusterNode => nodes.find((node) => node.name === name) ?? notThere(name)
  const shared: ClusterContext = {
    options,
    network,
    clock,
    scope,
    machine: (name) => new SimMachine(name, scheduler, clock),
    validators: () => nodes.filter(({ isValidator }) => isValidator).map(({ name }) => identities.get(name)!.nodeId),
    identityOf: (name) => identities.get(name) ?? notThere(name),
    ipOf: (name) => find(name).ip,
    namesOf: (id) => nodes.filter((node) => node.id === id).map(({ name }) => name),
    services: { provide: Effect.provideContext(context) }
  }

  const add = Effect.fnUntraced(function*(node: NodeOptions) {
    identities.set(node.name, Context.get(yield* Effect.scoped(Layer.build(makeIdentity(node.name))), NodeIdentity))
    const made = new ClusterNode(shared, node, node.ip ?? ipOf(nodes.length))
    network.name(made.name, made.ip)
    nodes.push(made)
    return made
  })
  yield* Effect.forEach(options.nodes, add, { discard: true })

  const injectAny = (fault: SimFault) => inject(network, find, fault)
  return {
    nodes,
    node: find,
    add,
    start: (name) => Effect.suspend(() => find(name).start),
    startAll: Effect.suspend(() => Effect.forEach(nodes, (node) => node.start, { discard: true })),
    stop: (name) => Effect.suspend(() => find(name).stop),
    crash: (name) => Effect.suspend(() => find(name).die(false)),
    powerLoss: (name) => Effect.suspend(() => find(name).die(true)),
    restart: (name, database = "kept") =>
      Effect.suspend(() => Effect.asVoid(find(name).restartOn(database, (other) => find(other).disk))),
    pause: (name) => Effect.sync(() => find(name).hold(() => {})),
    resume: (name) => Effect.sync(() => find(name).letGo()),
    inject: injectAny,
    play: (schedule) => playWith(injectAny, schedule),
    heal: network.heal,
    fired: network.fired,
    connectivity: () => {
      const running = nodes.filter(({ status }) => status === "running")
      const reached = new Set(running.slice(0, 1))
      for (const node of reached) {
        for (const name of node.peers()) {
          const peer = find(name)
          if (peer.status === "running") reached.add(peer)
        }
      }
      return { reached: reached.size, running: running.length }
    }
  }
})

/**
 * A cluster in a `SimNetwork`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<SimCluster, never, SimNetwork | LoopbackNetwork | World> =>
  Layer.effect(SimCluster, make(options))

/**
 * A cluster and its network.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWithNetwork = (
  options: Options,
  network: NetworkOptions = {}
): Layer.Layer<SimCluster | SimNetwork | LoopbackNetwork, never, World> =>
  Layer.provideMerge(layer(options), layerNetwork(network))

/**
 * The nodes of a shape: `n0`, `n1` and so on, each knowing those it dials. Watchers do not vote.
 *
 * @category constructors
 * @since 0.1.0
 */
export const nodesOf = (topology: Topology): ReadonlyArray<NodeOptions> => {
  const knows = topology.nodes.map((): Array<string> => [])
  for (const [from, to] of topology.edges) knows[from]!.push(`n${to}`)
  return topology.nodes.map(({ index, role }) => ({
    name: `n${index}`,
    knows: knows[index]!,
    isValidator: role !== "watcher"
  }))
}
