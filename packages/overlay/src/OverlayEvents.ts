/**
 * What happens to peers, as a low-rate stream of typed events.
 *
 * Without a layer, events go nowhere and cost nothing. `OverlayEvents.layer` keeps the newest for whoever subscribes; a
 * slow subscriber loses the oldest events, never delays a peer.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { DropReason } from "./DropReason.ts"
import type { RemoteFacts, Role } from "./protocol/Handshake.ts"
import type { NodeId } from "./wire/NodeId.ts"
import type { PeerAddress } from "./wire/PeerAddress.ts"

/**
 * Something that happened to one connection. `address` is where the socket leads; the announced address is in `remote`.
 *
 * @category models
 * @since 0.1.0
 */
export type OverlayEvent =
  | { readonly _tag: "PeerConnecting"; readonly address: PeerAddress }
  | { readonly _tag: "PeerConnected"; readonly address: PeerAddress; readonly role: Role }
  | { readonly _tag: "PeerHello"; readonly address: PeerAddress; readonly remote: RemoteFacts }
  | { readonly _tag: "PeerAuthenticated"; readonly address: PeerAddress; readonly remote: RemoteFacts }
  | { readonly _tag: "PeerReadThrottled"; readonly address: PeerAddress; readonly id: NodeId | undefined }
  | {
    readonly _tag: "PeerReadResumed"
    readonly address: PeerAddress
    readonly id: NodeId | undefined
    readonly millis: number
  }
  | {
    readonly _tag: "PeerDropped"
    readonly address: PeerAddress
    readonly role: Role
    readonly id: NodeId | undefined
    readonly authenticated: boolean
    readonly reason: DropReason
  }

/**
 * How many events wait for a slow subscriber before the oldest is dropped.
 *
 * @category constants
 * @since 0.1.0
 */
export const EVENT_CAPACITY = 1024

/**
 * What producers call and consumers read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shape {
  /** Never waits and never fails. */
  readonly publish: (event: OverlayEvent) => void
  /** Events from the moment the stream is run. */
  readonly stream: Stream.Stream<OverlayEvent>
}

/**
 * The events of the overlay. The default publishes nowhere.
 *
 * @category services
 * @since 0.1.0
 */
export const OverlayEvents = Context.Reference<Shape>("@stellar-overlay/overlay/OverlayEvents", {
  defaultValue: () => ({ publish: () => undefined, stream: Stream.empty })
})

/**
 * A hub that any number of subscribers read, each through a queue of its own that forgets the oldest when it is full.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Shape> = Effect.sync(() => {
  const subscribers = new Set<Queue.Queue<OverlayEvent>>()
  const subscribe = Effect.acquireRelease(
    Effect.tap(Queue.sliding<OverlayEvent>(EVENT_CAPACITY), (queue) => Effect.sync(() => subscribers.add(queue))),
    (queue) => {
      subscribers.delete(queue)
      return Queue.shutdown(queue)
    }
  )
  return {
    publish: (event) => {
      for (const queue of subscribers) Queue.offerUnsafe(queue, event)
    },
    stream: Stream.unwrap(Effect.map(subscribe, (queue) => Stream.fromQueue(queue)))
  }
})

/**
 * Turns events on.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never> = Layer.effect(OverlayEvents, make)
