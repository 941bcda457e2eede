/**
 * Messages from all peers to any number of subscribers, each with its own way of being slow.
 *
 * A `backpressure` subscriber loses nothing of a living peer: while its queue is full, the batch that does not fit stays
 * unprocessed, and the peer it came from gets no credit. `sliding` loses the oldest and `dropping` the newest, and both
 * count what they lost, and neither makes anybody wait. Lanes of a peer are handed over separately, so a full queue of
 * transactions never holds up the SCP messages that have come (see `Peer.lanes`). It can hold up those that have not:
 * both kinds live on one credit, so who neither reads nor unsubscribes from transactions stops the peers that send them.
 *
 * A peer that is gone has its last batches handed over for 5 s; what finds no room by then is lost.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Clock from "effect/Clock"
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
  /** Messages that may wait, at least 1; `DEFAULT_CAPACITY` by default. */
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
            capacity: Math.max(1, options.capacity ?? DEFAULT_CAPACITY),
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
          (received): received is Received<Tagged<Tag>> => wants(subscriber, received.message)
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
    // One object, and one copy of the bytes, for all subscribers; none for what nobody wants.
    const all: Array<Received | undefined> = []
    const receive = (i: number): Received => all[i] ??= { message: messages[i]!.retain(), peer, receivedAt }
    const waiting: Array<Effect.Effect<unknown>> = []
    for (const subscriber of this.#subscribers) {
      const rest: Array<Received> = []
      for (let i = 0; i < messages.length; i++) {
        if (wants(subscriber, messages[i]!) && (rest.length > 0 || !offer(subscriber, receive(i)))) {
          rest.push(receive(i))
        }
      }
      if (rest.length > 0) waiting.push(Queue.offerAll(subscriber.queue, rest))
    }
    if (waiting.length === 0) return undefined
    // At once, so that room in one queue is used while another has none.
    return waiting.length === 1
      ? Effect.asVoid(waiting[0]!)
      : Effect.all(waiting, { concurrency: "unbounded", discard: true })
  }
}

const wants = ({ tags }: Subscriber, message: StellarMessage): boolean => tags === undefined || tags.has(message._tag)

/** False when the message has to wait. */
const offer = (subscriber: Subscriber, received: Received): boolean => {
  const { queue, strategy } = subscriber
  if (Queue.isFullUnsafe(queue)) {
    if (strategy === "backpressure") return false
    subscriber.lagged++
  }
  Queue.offerUnsafe(queue, received)
  return true
}
