/**
 * Real nodes on loopback TCP: each listens, node i dials every node before it, and each accepts whoever comes, so that a
 * person can `ping` or `watch` them too.
 */
import type * as DropReason from "@stellar-overlay/overlay/DropReason"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import { type Identity, NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import * as NodeTransport from "@stellar-overlay/overlay/NodeTransport"
import type { PeerDropped } from "@stellar-overlay/overlay/OverlayError"
import * as Peer from "@stellar-overlay/overlay/Peer"
import { type Connection, type Listener, Transport, type TransportError } from "@stellar-overlay/overlay/Transport"
import * as AuthenticatedMessage from "@stellar-overlay/overlay/wire/AuthenticatedMessage"
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import type { StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as WireTap from "../net/WireTap.ts"
import { controlTags } from "../render/types.ts"
import { Validator } from "./Validator.ts"

/** The network all demo nodes are on. */
export const NETWORK = "standalone"

/** One end of one connection. */
export interface Link {
  readonly local: DemoNode
  readonly peer: Peer.Peer
  /** Whether the other end is a node of the demo. */
  readonly isOurs: boolean
  /** SEND_MORE_EXTENDED messages sent, the first one included. */
  readonly grants: () => number
}

export interface DemoNode {
  readonly index: number
  readonly identity: Identity
  readonly address: PeerAddress
  readonly listener: Listener
  readonly services: Context.Context<NodeOverlay.Services>
  readonly validator: Validator
  readonly links: Set<Link>
}

/** What happens, for whoever drives and shows it. */
export interface Hooks {
  /** All nodes listen; nobody has dialled yet. */
  readonly listening: (nodes: ReadonlyArray<DemoNode>) => Effect.Effect<void>
  readonly joined: (link: Link) => void
  /** A batch of messages; its credit flows back when the effect ends. */
  readonly received: (link: Link, messages: ReadonlyArray<StellarMessage>) => Effect.Effect<void>
  /** A message that the connection settles by itself. `from` is undefined before its HELLO. */
  readonly control: (local: DemoNode, from: NodeId | undefined, message: StellarMessage) => void
  readonly left: (link: Link, reason: DropReason.DropReason) => void
  /** A connection that never became a peer. */
  readonly refused: (local: DemoNode, address: PeerAddress, reason: DropReason.DropReason) => void
}

export interface Options {
  readonly nodes: number
  /** The port of the first node, the next one for the second, and so on; 0 takes free ones. */
  readonly port: number
  /** Whether control messages are looked for, which costs a second parse of everything. */
  readonly control: boolean
  readonly hooks: Hooks
}

export interface Network {
  readonly nodes: ReadonlyArray<DemoNode>
  /** Both ends of every connection that stands. */
  readonly links: () => ReadonlyArray<Link>
}

const makeNodes = Effect.fnUntraced(function*(
  { nodes, port }: Options,
  transport: Transport["Service"]
): Effect.fn.Return<ReadonlyArray<DemoNode>, TransportError, Scope.Scope> {
  const made: Array<Omit<DemoNode, "validator">> = []
  for (let index = 0; index < nodes; index++) {
    const listener = yield* transport.listen({ host: "127.0.0.1", port: port === 0 ? 0 : port + index })
    const services = yield* Layer.build(NodeOverlay.layer({ network: NETWORK, peerPort: listener.address.port })).pipe(
      Effect.orDie // a preset and a port that is in use
    )
    const identity = Context.get(services, NodeIdentity)
    made.push({ index, identity, address: listener.address, listener, services, links: new Set() })
  }
  const validators = made.map(({ identity }) => ({ id: identity.nodeId, publicKey: identity.publicKey }))
  return made.map((node) => {
    const { crypto, networkId } = Context.get(node.services, LocalNode)
    return { ...node, validator: new Validator({ identity: node.identity, networkId, validators, crypto }) }
  })
})

/** Starts the nodes and links each with each. Fails when a port is taken or a link does not come to be. */
export const start = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Network, TransportError | PeerDropped, Scope.Scope> {
  const { hooks } = options
  const transport = Context.get(yield* Layer.build(NodeTransport.layer), Transport)
  const nodes = yield* makeNodes(options, transport)
  yield* hooks.listening(nodes)
  const ids = new Set(nodes.map(({ identity }) => identity.nodeId))
  const fibers = yield* FiberSet.make<void, PeerDropped>()
  const complete = Latch.makeUnsafe(nodes.length === 1)
  const ends = nodes.length * (nodes.length - 1)
  const links = () => nodes.flatMap((node) => [...node.links])

  /** Watches a connection from its first byte, for a node. */
  const watched = (local: DemoNode) => {
    let grants = 0
    let from: NodeId | undefined
    const sent = (body: Uint8Array) => {
      if (AuthenticatedMessage.messageType(body) === MessageType.SendMoreExtended) grants++
      return true
    }
    const received = options.control
      ? (body: Uint8Array) => {
        const message = WireTap.messageOf(body)
        if (message?._tag === "Hello") from = message.peerId
        if (message !== undefined && controlTags.has(message._tag)) hooks.control(local, from, message)
        return true
      }
      : undefined
    return { tap: { sent, received }, grants: () => grants }
  }

  /** A peer for as long as it stays. */
  const serve = (local: DemoNode, peer: Peer.Peer, grants: () => number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const link: Link = { local, peer, isOurs: ids.has(peer.id), grants }
      local.links.add(link)
      hooks.joined(link)
      if (links().filter(({ isOurs }) => isOurs).length === ends) complete.openUnsafe()
      return peer.messages.pipe(
        Stream.chunks,
        Stream.runForEach((batch) => hooks.received(link, batch)),
        Effect.catch(({ reason }) =>
          Effect.sync(() => {
            local.links.delete(link)
            hooks.left(link, reason)
          })
        )
      )
    })

  const accept = (local: DemoNode) => (connection: Connection): Effect.Effect<void, never, Scope.Scope> => {
    const { grants, tap } = watched(local)
    return Peer.accept(WireTap.connection(connection, tap), { answers: "deliver" }).pipe(
      Effect.flatMap((peer) => serve(local, peer, grants)),
      Effect.catch(({ address, reason }) => Effect.sync(() => hooks.refused(local, address, reason))),
      Effect.provideContext(local.services)
    )
  }

  const dial = (local: DemoNode, remote: DemoNode): Effect.Effect<void, PeerDropped> => {
    const { grants, tap } = watched(local)
    const tapped = WireTap.transport(transport, () => tap)
    return Effect.scoped(
      Effect.flatMap(Peer.connect(remote.address, { answers: "deliver" }), (peer) => serve(local, peer, grants))
    ).pipe(Effect.provideContext(Context.add(local.services, Transport, tapped)))
  }

  for (const node of nodes) yield* FiberSet.run(fibers, node.listener.run(accept(node)), { startImmediately: true })
  for (const local of nodes) {
    for (const remote of nodes.slice(0, local.index)) yield* FiberSet.run(fibers, dial(local, remote))
  }
  yield* Effect.raceFirst(complete.await, FiberSet.join(fibers))
  return { nodes, links }
})
