/**
 * Light nodes for a crawler to find: each listens, makes a real handshake with the production `Peer`, tells the addresses
 * it is given, and answers GET_SCP_STATE with the messages it is given. A thousand of them fit where a few dozen whole
 * nodes do.
 *
 * @since 0.1.0
 */
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import { NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import type { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import * as Peer from "@stellar-overlay/overlay/Peer"
import { type Admission, admitAll } from "@stellar-overlay/overlay/protocol/Handshake"
import { type Connection, Transport, type TransportError } from "@stellar-overlay/overlay/Transport"
import * as NodeIds from "@stellar-overlay/overlay/wire/NodeId"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import type { ScpMessage, StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { scpMessage } from "./internal/toyXdr.ts"

/**
 * What a target does with who dials it:
 *
 * - `open`: takes everybody in, each once at a time
 * - `full`: tells whom it knows, then refuses with ERR_LOAD
 * - `mute`: opens the connection and never says a word
 * - `hangsUp`: closes the connection at once
 *
 * @category models
 * @since 0.1.0
 */
export type CrawlTargetKind = "open" | "full" | "mute" | "hangsUp"

/**
 * How a target is.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlTargetOptions {
  /** Where it listens, with port 0 for any. More than one is one node behind several addresses. */
  readonly addresses: ReadonlyArray<PeerAddress>
  /** `open` unless given. */
  readonly kind?: CrawlTargetKind | undefined
  /** Differences from the `standalone` preset: network, versions and so on. */
  readonly config?: Partial<OverlayConfig.Values> | undefined
  /** What it tells in PEERS, asked for at every connection; at most 100, nothing by default. */
  readonly peers?: (() => ReadonlyArray<PeerAddress>) | undefined
  /** A PEERS message sent instead, after the handshake: one that no honest node could make. */
  readonly rawPeers?: StellarMessage | undefined
  /** Waits so long before it reads the first byte of a connection. */
  readonly delayMillis?: number | undefined
  /** What it answers to GET_SCP_STATE; nothing by default. */
  readonly scpState?: (() => ReadonlyArray<ScpMessage>) | undefined
}

/**
 * A target that listens, until the scope ends.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlTarget {
  readonly id: NodeIds.NodeId
  /** Where it listens, with the real ports. */
  readonly addresses: ReadonlyArray<PeerAddress>
  /** Connections accepted so far. */
  readonly accepted: () => number
  /** An EXTERNALIZE statement of this node about a slot. */
  readonly externalize: (slot: number) => ScpMessage
}

const emptyHash = new Uint8Array(32)

/**
 * Starts a target on the `Transport` of the context.
 *
 * @category constructors
 * @since 0.1.0
 */
export const listen = Effect.fnUntraced(function*(
  options: CrawlTargetOptions
): Effect.fn.Return<CrawlTarget, TransportError, Transport | OverlayCrypto | Scope.Scope> {
  const { delayMillis = 0, kind = "open", peers, rawPeers, scpState } = options
  const transport = yield* Transport
  const layer = LocalNode.layer.pipe(
    Layer.provideMerge(NodeIdentity.layerRandom),
    Layer.provideMerge(Layer.orDie(OverlayConfig.OverlayConfig.layer({
      ...OverlayConfig.standalone,
      ...options.config
    }))),
    Layer.fresh
  )
  const services = yield* Layer.build(layer)
  const local = Context.get(services, LocalNode)
  const identity = Context.get(services, NodeIdentity)
  let accepted = 0
  const connected = new Set<NodeIds.NodeId>()

  const admission: Admission = {
    ...admitAll,
    peersFor: () => rawPeers === undefined ? peers?.() ?? [] : [],
    helloReceived: ({ id }) => connected.has(id) ? DropReason.make("AlreadyConnected", NodeIds.short(id)) : undefined,
    authenticated: () => kind === "full" ? DropReason.make("PeerRejected") : undefined
  }

  const talk = Effect.fnUntraced(function*(connection: Connection) {
    const peer = yield* Peer.accept(connection, { admission, answers: "deliver", scpStateFrom: "none" })
    connected.add(peer.id)
    yield* Effect.addFinalizer(() => Effect.sync(() => connected.delete(peer.id)))
    if (rawPeers !== undefined) peer.offer(rawPeers)
    yield* Stream.runForEach(peer.messages, (message) =>
      Effect.sync(() => {
        if (message._tag === "GetScpState") { for (const one of scpState?.() ?? []) peer.offer(one) }
      }))
  })

  const handle = Effect.fnUntraced(function*(connection: Connection) {
    accepted++
    if (delayMillis > 0) yield* Effect.sleep(delayMillis)
    if (kind === "hangsUp") return
    if (kind === "mute") return yield* Effect.never
    yield* talk(connection).pipe(
      Effect.scoped,
      Effect.provideService(LocalNode, local),
      Effect.ignore // whoever dials may leave however it likes
    )
  })

  const addresses: Array<PeerAddress> = []
  for (const { host, port } of options.addresses) {
    const listener = yield* transport.listen({ host, port })
    if (addresses.length === 0) local.handshake.listeningPort = listener.address.port
    addresses.push(PeerAddress.make(host, listener.address.port))
    yield* Effect.forkScoped(listener.run(handle))
  }

  return {
    id: identity.nodeId,
    addresses,
    accepted: () => accepted,
    externalize: (slot) =>
      scpMessage(
        identity,
        local.networkId,
        slot,
        { kind: "EXTERNALIZE", ballot: { counter: 1, value: emptyHash } },
        emptyHash
      )
  }
})
