/**
 * Whole nodes on loopback TCP, in one process: each with an overlay, a database and a toy ledger. They know one seed and
 * find the others by what it tells them, or they know each other from their databases; and whoever calls is let in, so
 * that a person can `ping`, `watch` or join them.
 */
import * as ToyLedger from "@stellar-overlay/overlay-test/ToyLedger"
import { Flood } from "@stellar-overlay/overlay/Flood"
import { type Identity, NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import { layer as layerCrypto } from "@stellar-overlay/overlay/NodeOverlayCrypto"
import * as NodeTransport from "@stellar-overlay/overlay/NodeTransport"
import { Overlay, type OverlayShape } from "@stellar-overlay/overlay/Overlay"
import { passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
import type { Peer } from "@stellar-overlay/overlay/Peer"
import { PeerManager } from "@stellar-overlay/overlay/PeerManager"
import type { StorageAlert } from "@stellar-overlay/overlay/StorageError"
import { Transport, type TransportError } from "@stellar-overlay/overlay/Transport"
import * as AuthenticatedMessage from "@stellar-overlay/overlay/wire/AuthenticatedMessage"
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { ServeError } from "effect/http/HttpServerError"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as WireTap from "../net/WireTap.ts"
import * as NodeAdmin from "../node/NodeAdmin.ts"
import * as Stores from "../node/stores.ts"
import type { NodePlace } from "./Directory.ts"

/** The network all demo nodes are on. */
export const NETWORK = "standalone"

/** A ledger closes this often. */
export const LEDGER_MILLIS = 1000

/** What the peers that left had sent and received. */
export interface Departed {
  messagesRead: number
  bytesRead: number
}

export interface DemoNode {
  readonly index: number
  readonly identity: Identity
  readonly address: PeerAddress
  /** Where 127.0.0.1 answers its operator; undefined without one. */
  readonly adminPort: number | undefined
  /** Addresses it knew from its database when it started. */
  readonly known: number
  /** The node it was told of, when its database is not enough. */
  readonly seed: PeerAddress | undefined
  readonly overlay: OverlayShape
  readonly flood: Flood["Service"]
  readonly manager: PeerManager["Service"]
  readonly ledger: ToyLedger.ToyLedger
  readonly departed: Departed
}

/** What happens, for whoever shows it. */
export interface Hooks {
  /** The body of a frame that arrived at a node. `from` is undefined before the HELLO of its sender. */
  readonly frame: (from: NodeId | undefined, to: NodeId, body: Uint8Array) => void
  readonly event: (node: DemoNode, event: OverlayEvent) => void
  readonly closed: (node: DemoNode, ledger: ToyLedger.ClosedLedger) => void
  readonly alert: (node: DemoNode, alert: StorageAlert) => void
}

export interface Options {
  readonly places: ReadonlyArray<NodePlace>
  /** The port of the first node, the next one for the second, and so on; 0 takes those of the last time, or free ones. */
  readonly port: number
  /** The same for the operators of the nodes; undefined when they have none. */
  readonly adminPort: number | undefined
  readonly hooks: Hooks
}

/** A transport whose connections are looked at from their first byte. */
const layerWatched = (to: NodeId, frame: Hooks["frame"]): Layer.Layer<Transport> =>
  Layer.effect(
    Transport,
    Effect.map(Transport, (transport) =>
      WireTap.transport(transport, () => {
        let from: NodeId | undefined
        return {
          received: (body) => {
            if (
              from === undefined && AuthenticatedMessage.validate(body) === -1
              && AuthenticatedMessage.messageType(body) === MessageType.Hello
            ) {
              const message = WireTap.messageOf(body)
              if (message?._tag === "Hello") from = message.peerId
            }
            frame(from, to, body)
            return true
          }
        }
      }))
  ).pipe(Layer.provide(NodeTransport.layer))

const identities = Effect.fnUntraced(
  function*(places: ReadonlyArray<NodePlace>) {
    const made: Array<Identity> = []
    for (const { seed } of places) {
      made.push(yield* Effect.provide(NodeIdentity, NodeIdentity.layerFromSeed(seed)))
    }
    return made
  },
  Effect.provide(layerCrypto),
  Effect.orDie
) // seeds of our own making, or checked when they were read

const startNode = Effect.fnUntraced(function*(options: {
  readonly index: number
  readonly place: NodePlace
  readonly port: number
  readonly adminPort: number | undefined
  readonly identity: Identity
  readonly validators: ReadonlyArray<NodeId>
  readonly seed: PeerAddress | undefined
  readonly hooks: Hooks
}): Effect.fn.Return<DemoNode, TransportError | ServeError, Scope.Scope | FileSystem.FileSystem> {
  const { hooks, identity, index, place, port, seed } = options
  const crypto = yield* Effect.provide(OverlayCrypto, layerCrypto)
  const networkId = crypto.sha256(new TextEncoder().encode(passphrases[NETWORK]))
  const ledger = yield* ToyLedger.make({
    identity,
    networkId,
    crypto,
    validators: options.validators,
    closeTimeMillis: LEDGER_MILLIS
  })
  const stores = yield* Stores.sqlite(place.db)
  const services = yield* Layer.build(NodeOverlay.layerNode({
    ...stores,
    network: NETWORK,
    seed: place.seed,
    ...(port === 0 ? { listenPort: 0 } : { peerPort: port }),
    knownPeers: seed === undefined ? [] : [seed.key],
    expectedCloseTimeMillis: LEDGER_MILLIS,
    survey: { isValidator: options.validators.includes(identity.nodeId) },
    host: Layer.succeed(OverlayHost, ledger.host),
    transport: layerWatched(identity.nodeId, hooks.frame)
  })).pipe(
    Effect.catchTags({ OverlayConfigError: Effect.die, NodeSeedError: Effect.die, ConfigError: Effect.die })
  )
  const overlay = Context.get(services, Overlay)
  const manager = Context.get(services, PeerManager)
  const adminPort = options.adminPort === undefined
    ? undefined
    : yield* Effect.provideContext(NodeAdmin.serve({ port: options.adminPort }), services)
  const node: DemoNode = {
    index,
    identity,
    address: overlay.address!, // it listens
    adminPort,
    known: manager.size(),
    seed,
    overlay,
    flood: Context.get(services, Flood),
    manager,
    ledger,
    departed: { messagesRead: 0, bytesRead: 0 }
  }
  const forever = { startImmediately: true }
  yield* Effect.forkScoped(
    Stream.runForEach(overlay.events, (event) => Effect.sync(() => hooks.event(node, event))),
    forever
  )
  yield* Effect.forkScoped(
    Stream.runForEach(
      ledger.ledgerClosed,
      (closed) => Effect.andThen(overlay.ledgerChanged, Effect.sync(() => hooks.closed(node, closed)))
    ),
    forever
  )
  yield* Effect.forkScoped(
    Stream.runForEach(manager.alerts, (alert) => Effect.sync(() => hooks.alert(node, alert))),
    forever
  )
  yield* overlay.peers.handle({
    disconnected: ({ session: { stats } }) => {
      node.departed.messagesRead += stats.messagesRead
      node.departed.bytesRead += stats.bytesRead
    }
  })
  ledger.attach(overlay.broadcast, node.flood.enqueue)
  return node
})

/** Where a node listens: the port it is told, else its last one, else a free one; a last one that is taken counts for nothing. */
const withPort = <A, E, R>(
  wanted: number,
  last: number,
  start: (port: number) => Effect.Effect<A, E | TransportError, R>
): Effect.Effect<A, E | TransportError, R> =>
  wanted !== 0 || last === 0 ? start(wanted) : Effect.catchTag(start(last), "TransportError", () => start(0))

/**
 * Starts the nodes. Those without a database are told of the first node; so are the others when it is not where it was.
 */
export const start = Effect.fnUntraced(function*(
  { adminPort, hooks, places, port }: Options
): Effect.fn.Return<ReadonlyArray<DemoNode>, TransportError | ServeError, Scope.Scope | FileSystem.FileSystem> {
  const all = yield* identities(places)
  const validators = all.map(({ nodeId }) => nodeId)
  const nodes: Array<DemoNode> = []
  const nth = (first: number, index: number): number => first === 0 ? 0 : first + index
  for (const [index, place] of places.entries()) {
    const identity = all[index]!
    const first = nodes[0]?.address
    const seed = place.isKnown && first?.port === places[0]?.port ? undefined : first
    nodes.push(
      yield* withPort(
        nth(port, index),
        place.port,
        (port) =>
          startNode({
            index,
            place,
            port,
            adminPort: adminPort === undefined ? undefined : nth(adminPort, index),
            identity,
            validators,
            seed,
            hooks
          })
      )
    )
  }
  return nodes
})

/**
 * Calls at once, as an operator would, whom the nodes would call by and by: their seed, and whom they know. By themselves
 * they would wait for the back-off their databases remember, and be content with three peers of their own choice.
 */
export const meet = (nodes: ReadonlyArray<DemoNode>): Effect.Effect<void> =>
  Effect.sync(() => {
    for (const { manager, overlay, seed } of nodes) {
      if (seed !== undefined) overlay.peers.dial(seed, { force: true })
      for (const { address } of manager.all()) {
        if (address.key !== seed?.key) overlay.peers.dial(address, { force: true })
      }
    }
  })

/** Every authenticated peer of every node: both ends of a connection between two of them. */
export const peersOf = (nodes: ReadonlyArray<DemoNode>): Array<readonly [node: DemoNode, peer: Peer]> =>
  nodes.flatMap((node) => node.overlay.peers.authenticated().map((peer) => [node, peer] as const))
