/**
 * Messages from all peers to any number of subscribers, each with its own way of being slow.
 *
 * A `backpressure` subscriber loses nothing: while its queue is full, the batch that does not fit stays unprocessed, and
 * the peers it came from get no credit. `sliding` loses the oldest and `dropping` the newest, and both count what they
 * lost. Lanes of a peer are handed over separately, so a full queue of transactions never holds up SCP (see `Peer.lanes`).
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { MessageTag } from "./wire/MessageType.ts"
import type { NodeId } from "./wire/NodeId.ts"
import type { StellarMessage, Tagged } from "./wire/StellarMessage.ts"

/**
 * A message, who sent it, and when it came (Unix milliseconds). The message owns its bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Received<out M extends StellarMessage = StellarMessage> {
  readonly message: M
  readonly peer: NodeId
  readonly receivedAt: number
}

/**
 * How many messages wait for a subscriber unless it asks for another number.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_CAPACITY = 1024

/**
 * What a subscriber wants.
 *
 * @category models
 * @since 0.1.0
 */
export interface SubscribeOptions<Tag extends MessageTag = MessageTag> {
  /** Only messages of these tags; all by default. */
  readonly tags?: ReadonlyArray<Tag> | undefined
  /** `backpressure` by default. */
  readonly strategy?: "backpressure" | "sliding" | "dropping" | undefined
  /** Messages that may wait; `DEFAULT_CAPACITY` by default. */
  readonly capacity?: number | undefined
}

/**
 * A running subscription.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subscription<out M extends StellarMessage> {
  readonly messages: Stream.Stream<Received<M>>
  /** Messages lost so far; always 0 with back-pressure. */
  readonly lagged: () => number
}

interface Subscriber {
  readonly tags: ReadonlySet<MessageTag> | undefined
  readonly strategy: "backpressure" | "sliding" | "dropping"
  readonly queue: Queue.Queue<Received>
  lagged: number
}

/**
 * The hub.
 *
 * @category models
 * @since 0.1.0
 */
export class MessageHub {
  readonly #subscribers = new Set<Subscriber>()
  readonly #clock: Clock.Clock

  constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  /** Subscribes from now on, until the scope closes. */
  subscribe<Tag extends MessageTag = MessageTag>(
    options: SubscribeOptions<Tag> = {}
  ): Effect.Effect<Subscription<Tagged<Tag>>, never, Scope.Scope> {
    const strategy = options.strategy ?? "backpressure"
    return Effect.map(
      Effect.acquireRelease(
        Effect.map(
          Queue.make<Received>({
            capacity: options.capacity ?? DEFAULT_CAPACITY,
            strategy: strategy === "backpressure" ? "suspend" : strategy
          }),
          (queue) => {
            const tags = options.tags && new Set<MessageTag>(options.tags)
            const subscriber: Subscriber = { tags, strategy, queue, lagged: 0 }
            this.#subscribers.add(subscriber)
            return subscriber
          }
        ),
        (subscriber) => {
          this.#subscribers.delete(subscriber)
          return Queue.shutdown(subscriber.queue)
        }
      ),
      (subscriber) => ({
        messages: Stream.filter(
          Stream.fromQueue(subscriber.queue),
          (received): received is Received<Tagged<Tag>> => wants(subscriber, received)
        ),
        lagged: () => subscriber.lagged
      })
    )
  }

  /** A subscription as a stream, which begins when it is run. */
  stream<Tag extends MessageTag = MessageTag>(
    options?: SubscribeOptions<Tag>
  ): Stream.Stream<Received<Tagged<Tag>>> {
    return Stream.unwrap(Effect.map(this.subscribe(options), ({ messages }) => messages))
  }

  /** Hands a batch to the subscribers; an effect when one of them makes the batch wait. */
  publish(peer: NodeId, messages: NonEmptyReadonlyArray<StellarMessage>): Effect.Effect<void> | undefined {
    if (this.#subscribers.size === 0) return undefined
    const receivedAt = this.#clock.currentTimeMillisUnsafe()
    let all: Array<Received> | undefined
    let waiting: Effect.Effect<void> | undefined
    for (const subscriber of this.#subscribers) {
      all ??= messages.map((message) => ({ message: message.retain(), peer, receivedAt }))
      const wanted = subscriber.tags === undefined ? all : all.filter((received) => wants(subscriber, received))
      if (wanted.length === 0) continue
      const wait = offer(subscriber, wanted)
      if (wait !== undefined) waiting = waiting === undefined ? wait : Effect.andThen(waiting, wait)
    }
    return waiting
  }
}

const wants = ({ tags }: Subscriber, { message }: Received): boolean => tags === undefined || tags.has(message._tag)

const offer = (subscriber: Subscriber, wanted: ReadonlyArray<Received>): Effect.Effect<void> | undefined => {
  const { queue } = subscriber
  let next = 0
  for (; next < wanted.length; next++) {
    const isFull = Queue.isFullUnsafe(queue)
    if (isFull && subscriber.strategy === "backpressure") break
    if (isFull) subscriber.lagged++
    Queue.offerUnsafe(queue, wanted[next]!)
  }
  if (next === wanted.length) return undefined
  return Effect.asVoid(Queue.offerAll(queue, wanted.slice(next)))
}
