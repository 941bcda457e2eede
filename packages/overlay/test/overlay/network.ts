/**
 * What the tests of many nodes share: names and addresses, nodes that only do what they are told, and who is connected
 * with whom.
 */
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import type * as DropReason from "@stellar-overlay/overlay/DropReason"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import { type LedgerView, OverlayHost, unknownLedger } from "@stellar-overlay/overlay/OverlayHost"
import { PeerManager } from "@stellar-overlay/overlay/PeerManager"
import { Peers } from "@stellar-overlay/overlay/Peers"
import type { Role } from "@stellar-overlay/overlay/protocol/Handshake"
import { PeerType } from "@stellar-overlay/overlay/protocol/PeerBackoff"
import { Transport } from "@stellar-overlay/overlay/Transport"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Context, Effect, Layer } from "effect"

/** Every node has a /16 of its own. */
export const ipOf = (i: number): string => `10.${i}.0.1`
export const addressOf = (i: number): PeerAddress => PeerAddress.make(ipOf(i), 11625)

export type Settings = Omit<TestNode.Options, "name" | "ip">

/** A node that listens, and dials nobody unless told. */
export interface Quiet {
  readonly address: PeerAddress
  readonly id: NodeId
  readonly peers: Peers["Service"]
  readonly manager: PeerManager["Service"]
  readonly services: Context.Context<TestNode.PeerServices>
  readonly events: Array<OverlayEvent>
  /** Why connections ended here, in order: of authenticated peers or of the others if it matters. */
  readonly drops: () => Array<DropReason.DropTag>
  readonly dial: (other: { readonly address: PeerAddress }) => boolean
  readonly isConnectedTo: (other: { readonly id: NodeId }) => boolean
}

export const quiet = Effect.fnUntraced(function*(i: number, settings: Settings = {}) {
  const events: Array<OverlayEvent> = []
  const services = yield* World.asNode(
    Layer.build(TestNode.layerPeers({
      name: `n${i}`,
      ip: ipOf(i),
      onEvent: (event) => void events.push(event),
      ...settings
    })),
    `n${i}`
  )
  const peers = Context.get(services, Peers)
  const manager = Context.get(services, PeerManager)
  const listener = yield* Context.get(services, Transport).listen({ host: ipOf(i), port: 11625 })
  yield* Effect.forkScoped(listener.run(peers.accept))
  const node: Quiet = {
    address: addressOf(i),
    id: Context.get(services, LocalNode).handshake.id,
    peers,
    manager,
    services,
    events,
    drops: () => events.flatMap((event) => (event._tag === "PeerDropped" ? [event.reason._tag] : [])),
    dial: ({ address }) => peers.dial(address, { force: true }),
    isConnectedTo: ({ id }) => peers.get(id) !== undefined
  }
  return node
})

/** The counts of the four lists, and everything that still has a socket. */
export const counts = ({ registry }: Peers["Service"]) => ({
  pending: [registry.pendingCount("acceptor"), registry.pendingCount("initiator")],
  authenticated: [registry.authenticatedCount("acceptor"), registry.authenticatedCount("initiator")],
  size: registry.size
})

export const idle = { pending: [0, 0], authenticated: [0, 0], size: 0 }

/** What a node's table says about another: the name of the type. */
export const knows = (
  { manager }: { readonly manager: PeerManager["Service"] },
  { address }: { readonly address: PeerAddress }
): "INBOUND" | "OUTBOUND" | "PREFERRED" | undefined => {
  switch (manager.get(address)?.type) {
    case PeerType.Inbound:
      return "INBOUND"
    case PeerType.Outbound:
      return "OUTBOUND"
    case PeerType.Preferred:
      return "PREFERRED"
    case undefined:
      return undefined
  }
}

/** The nodes that can be reached from the first one. */
export const reachable = (nodes: ReadonlyArray<TestNode.TestNode>): number => {
  const byId = new Map(nodes.map((node) => [node.overlay.local.handshake.id, node]))
  const seen = new Set(nodes.slice(0, 1))
  for (const node of seen) {
    for (const { id } of node.overlay.peers.authenticated()) {
      const other = byId.get(id)
      if (other !== undefined) seen.add(other)
    }
  }
  return seen.size
}

export const linked = (node: TestNode.TestNode, role?: Role): number =>
  node.overlay.peers.registry.authenticatedCount(role)

/** A host that knows nothing but its ledger. */
export const hostWith = (ledger: () => Partial<LedgerView>): Layer.Layer<OverlayHost> =>
  Layer.effect(
    OverlayHost,
    OverlayHost.use((host) => Effect.succeed({ ...host, ledger: () => ({ ...unknownLedger, ...ledger() }) }))
  ).pipe(Layer.provide(TestNode.layerIdleHost))
