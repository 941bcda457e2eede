/**
 * What happens to peers, addresses, bans, surveys, fetches and the node itself, as a low-rate stream of typed events.
 *
 * Without a layer, events go nowhere and cost nothing. `OverlayEvents.layer` keeps the newest for whoever subscribes; a
 * slow subscriber loses the oldest events and is told how many, and never delays a peer. What one kind of event may amount
 * to is bounded too: `EVENTS_PER_SECOND`, and `EventsSuppressed` says how many there were beyond it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { DropReason } from "./DropReason.ts"
import type { RemoteFacts, Role } from "./protocol/Handshake.ts"
import type { SurveyPhase } from "./protocol/SurveyState.ts"
import type { StorageErrorReason, StorageName } from "./StorageError.ts"
import type { NodeId } from "./wire/NodeId.ts"
import type { PeerAddress } from "./wire/PeerAddress.ts"

/**
 * Something that happened to one connection. `address` is where the socket leads; the announced address is in `remote`.
 *
 * @category models
 * @since 0.1.0
 */
export type PeerEvent =
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
 * A dial failed, or the peer had no room: the address is left alone until a time in Unix milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerBackedOff {
  readonly _tag: "PeerBackedOff"
  readonly address: PeerAddress
  /** Attempts since the last success. */
  readonly failures: number
  readonly untilMillis: number
}

/**
 * A node was banned, for good or until a time in Unix milliseconds, or a ban was lifted or is over.
 *
 * @category models
 * @since 0.1.0
 */
export type BanEvent =
  | {
    readonly _tag: "NodeBanned"
    readonly id: NodeId
    readonly untilMillis: number | undefined
    readonly reason: string
  }
  | { readonly _tag: "NodeUnbanned"; readonly id: NodeId; readonly cause: "lifted" | "ended" }

/**
 * What happens to a survey, this node's or somebody else's. The node asks, answers and is answered once per event.
 *
 * @category models
 * @since 0.1.0
 */
export type SurveyEvent =
  | {
    readonly _tag: "SurveyPhaseChanged"
    readonly phase: SurveyPhase
    /** The survey that began, went on or ended. */
    readonly nonce: number | undefined
    readonly surveyorId: NodeId | undefined
  }
  | { readonly _tag: "SurveyReporting"; readonly isReporting: boolean }
  | { readonly _tag: "SurveyRequested"; readonly surveyedId: NodeId }
  | { readonly _tag: "SurveyAnswered"; readonly surveyorId: NodeId }
  | {
    readonly _tag: "SurveyResult"
    readonly surveyedId: NodeId
    /** Peers that the answer lists; undefined when the answer could not be read. */
    readonly peers: { readonly inbound: number; readonly outbound: number } | undefined
  }

/**
 * What is fetched.
 *
 * @category models
 * @since 0.1.0
 */
export type FetchItem = "txSet" | "quorumSet"

/**
 * Why a search ended without its item:
 *
 * - `Age`: it lasted too long
 * - `Room`: it had to make room for another
 * - `Slot`: what waited for it is of a ledger that has passed
 * - `Cancelled`: whoever waited does no longer
 *
 * @category models
 * @since 0.1.0
 */
export type FetchEnd = "Age" | "Room" | "Slot" | "Cancelled"

/**
 * A step in the search for an item, named by its hash in hex.
 *
 * @category models
 * @since 0.1.0
 */
export type FetchEvent =
  | { readonly _tag: "FetchStarted"; readonly item: FetchItem; readonly hash: string }
  | { readonly _tag: "FetchAsked"; readonly item: FetchItem; readonly hash: string; readonly id: NodeId }
  | { readonly _tag: "FetchReceived"; readonly item: FetchItem; readonly hash: string; readonly millis: number }
  | { readonly _tag: "FetchGivenUp"; readonly item: FetchItem; readonly hash: string; readonly reason: FetchEnd }

/**
 * What happens to the node itself.
 *
 * @category models
 * @since 0.1.0
 */
export type NodeEvent =
  | { readonly _tag: "ListenerOpened"; readonly address: PeerAddress }
  | { readonly _tag: "ListenerClosed"; readonly address: PeerAddress }
  /** The listener's loop ended though nobody closed it: nobody can connect any more. */
  | { readonly _tag: "ListenerFailed"; readonly address: PeerAddress; readonly detail: string }
  | { readonly _tag: "SyncLost"; readonly ledgerSeq: number }
  /** `millis` is how long it was lost; undefined for the first time. */
  | { readonly _tag: "SyncRegained"; readonly ledgerSeq: number; readonly millis: number | undefined }
  | {
    readonly _tag: "StoreFailed"
    readonly store: StorageName
    readonly reason: StorageErrorReason
    readonly detail: string
    /** Rows that only memory holds. */
    readonly pending: number
  }
  | { readonly _tag: "StoreRecovered"; readonly store: StorageName; readonly millis: number }

/**
 * What a subscriber did not get: events beyond the rate of their kind, told with the first event of a later second, and
 * events that it was too slow for.
 *
 * @category models
 * @since 0.1.0
 */
export type MissedEvents =
  | { readonly _tag: "EventsSuppressed"; readonly kind: OverlayEventTag; readonly count: number }
  | { readonly _tag: "EventsLost"; readonly count: number }

/**
 * Anything that happens.
 *
 * @category models
 * @since 0.1.0
 */
export type OverlayEvent =
  | PeerEvent
  | PeerBackedOff
  | BanEvent
  | SurveyEvent
  | FetchEvent
  | NodeEvent
  | MissedEvents

/**
 * The kinds of events.
 *
 * @category models
 * @since 0.1.0
 */
export type OverlayEventTag =
  | (PeerEvent | PeerBackedOff | BanEvent | SurveyEvent | FetchEvent | NodeEvent)["_tag"]
  | "EventsSuppressed"
  | "EventsLost"

const all: { readonly [Tag in OverlayEventTag]: true } = {
  PeerConnecting: true,
  PeerConnected: true,
  PeerHello: true,
  PeerAuthenticated: true,
  PeerReadThrottled: true,
  PeerReadResumed: true,
  PeerDropped: true,
  PeerBackedOff: true,
  NodeBanned: true,
  NodeUnbanned: true,
  SurveyPhaseChanged: true,
  SurveyReporting: true,
  SurveyRequested: true,
  SurveyAnswered: true,
  SurveyResult: true,
  FetchStarted: true,
  FetchAsked: true,
  FetchReceived: true,
  FetchGivenUp: true,
  ListenerOpened: true,
  ListenerClosed: true,
  ListenerFailed: true,
  SyncLost: true,
  SyncRegained: true,
  StoreFailed: true,
  StoreRecovered: true,
  EventsSuppressed: true,
  EventsLost: true
}

/**
 * All kinds of events.
 *
 * @category constants
 * @since 0.1.0
 */
export const tags: ReadonlyArray<OverlayEventTag> = Object.keys(all) as Array<OverlayEventTag>

/**
 * How many events wait for a slow subscriber before the oldest is dropped.
 *
 * @category constants
 * @since 0.1.0
 */
export const EVENT_CAPACITY = 1024

/**
 * How many events of one kind reach subscribers in a second; more are counted (`EventsSuppressed`). Peers decide how
 * often some things happen, and who reads events must not pay for it.
 *
 * @category constants
 * @since 0.1.0
 */
export const EVENTS_PER_SECOND = 200

/**
 * What a subscriber may choose.
 *
 * @category models
 * @since 0.1.0
 */
export interface SubscribeOptions {
  /** The kinds wanted, all by default. `EventsLost` always comes, counting only what was wanted. */
  readonly tags?: Iterable<OverlayEventTag> | undefined
  /** `EVENT_CAPACITY` by default. */
  readonly capacity?: number | undefined
}

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
  /** Some of them, in a queue of another size; `stream` is filtered where this is missing. */
  readonly subscribe?: ((options: SubscribeOptions) => Stream.Stream<OverlayEvent>) | undefined
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
 * `publish` of the current service for whoever has work to do besides: what a subscriber's own code throws is logged, the
 * first time, and goes no further.
 *
 * @category accessors
 * @since 0.1.0
 */
export const publisher: Effect.Effect<(event: OverlayEvent) => void> = Effect.gen(function*() {
  const { publish } = yield* OverlayEvents
  const run = Effect.runForkWith(yield* Effect.context<never>())
  let hasFailed = false
  return (event) => {
    try {
      publish(event)
    } catch (defect) {
      if (!hasFailed) run(Effect.logError("A subscriber of events failed; later failures of it are not logged", defect))
      hasFailed = true
    }
  }
})

/**
 * Some of the events, from the moment the stream is run.
 *
 * @category accessors
 * @since 0.1.0
 */
export const subscribe = (self: Shape, options: SubscribeOptions = {}): Stream.Stream<OverlayEvent> => {
  if (self.subscribe !== undefined) return self.subscribe(options)
  if (options.tags === undefined) return self.stream
  const wanted = new Set(options.tags)
  return Stream.filter(self.stream, ({ _tag }) => wanted.has(_tag))
}

interface Subscriber {
  readonly queue: Queue.Queue<OverlayEvent>
  readonly wanted: ReadonlySet<OverlayEventTag> | undefined
  /** Events pushed out of the queue and not told of yet. */
  lost: number
}

/** What became of one kind of event in the current second. */
interface Rate {
  second: number
  count: number
  suppressed: number
}

/**
 * A hub that any number of subscribers read, each through a queue of its own that forgets the oldest when it is full.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Shape> = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const subscribers = new Set<Subscriber>()
  const rates = new Map<OverlayEventTag, Rate>()
  /** The second that a suppressed event was in; nothing is to be told before it is over. */
  let suppressedIn: number | undefined

  const deliver = (event: OverlayEvent): void => {
    for (const subscriber of subscribers) {
      if (subscriber.wanted?.has(event._tag) === false) continue
      if (Queue.isFullUnsafe(subscriber.queue)) subscriber.lost++
      Queue.offerUnsafe(subscriber.queue, event)
    }
  }

  const tellSuppressed = (): void => {
    suppressedIn = undefined
    for (const [kind, rate] of rates) {
      if (rate.suppressed > 0) deliver({ _tag: "EventsSuppressed", kind, count: rate.suppressed })
      rate.suppressed = 0
    }
  }

  const publish = (event: OverlayEvent): void => {
    if (subscribers.size === 0) return
    const second = Number(clock.monotonicTimeNanosUnsafe() / 1_000_000_000n)
    if (suppressedIn !== undefined && suppressedIn !== second) tellSuppressed()
    let rate = rates.get(event._tag)
    if (rate === undefined) rates.set(event._tag, rate = { second, count: 0, suppressed: 0 })
    if (rate.second !== second) {
      rate.second = second
      rate.count = 0
    }
    if (rate.count < EVENTS_PER_SECOND) {
      rate.count++
      deliver(event)
    } else {
      rate.suppressed++
      suppressedIn = second
    }
  }

  const subscribe = ({ capacity = EVENT_CAPACITY, tags }: SubscribeOptions): Stream.Stream<OverlayEvent> =>
    Stream.unwrap(Effect.gen(function*() {
      const subscriber = yield* Effect.acquireRelease(
        Effect.map(Queue.sliding<OverlayEvent>(capacity), (queue) => {
          const made: Subscriber = { queue, wanted: tags && new Set(tags), lost: 0 }
          subscribers.add(made)
          return made
        }),
        (made) => {
          subscribers.delete(made)
          return Queue.shutdown(made.queue)
        }
      )
      return Stream.mapArray(Stream.fromQueue(subscriber.queue), (events) => {
        const { lost: count } = subscriber
        if (count === 0) return events
        subscriber.lost = 0
        return [{ _tag: "EventsLost", count }, ...events]
      })
    }))

  return { publish, stream: subscribe({}), subscribe }
})

/**
 * Turns events on.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never> = Layer.effect(OverlayEvents, make)
