/**
 * The authenticated peers and those who listen to them: hands over messages, and keeps whatever a handler does wrong
 * with the one peer it happened to.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as DropReason from "../DropReason.ts"
import type { Peer } from "../Peer.ts"
import type { PeerHandler } from "../Peers.ts"
import type { Entry } from "../protocol/PeerRegistry.ts"
import type { StellarMessage } from "../wire/StellarMessage.ts"
import { onScopeEnd } from "./onScopeEnd.ts"

/** How long the handlers of a peer that is gone may take for what it sent before. */
const DRAIN_MILLIS = 5000

export const describe = (cause: Cause.Cause<unknown>): string => Cause.pretty(cause).split("\n")[0] ?? "unknown"

/** Somebody's code failed while it dealt with a peer: the peer goes, the others do not notice. */
const blame = (peer: Peer) => (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.andThen(Effect.logError("A handler failed", cause), peer.drop(DropReason.make("Defect", describe(cause))))

export class LivePeers {
  /** In the order in which they hear of things; replaced, never changed, so that a walk over them is undisturbed. */
  #handlers: ReadonlyArray<PeerHandler> = []
  readonly #live = new Map<Entry, Peer>()

  get(entry: Entry): Peer | undefined {
    return this.#live.get(entry)
  }

  values(): Iterable<Peer> {
    return this.#live.values()
  }

  /** Handlers hear of things in the order in which they are registered, but `first` before all others. */
  register(handler: PeerHandler, first = false): Effect.Effect<void, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.suspend(() => {
        this.#handlers = first ? [handler, ...this.#handlers] : [...this.#handlers, handler]
        return Effect.forEach([...this.values()], (peer) => this.#tell(peer, () => handler.connected?.(peer)), {
          discard: true
        })
      }),
      () => Effect.sync(() => {
        this.#handlers = this.#handlers.filter((other) => other !== handler)
      })
    )
  }

  #tell(peer: Peer, call: () => void): Effect.Effect<void> {
    return Effect.catchCause(Effect.sync(call), blame(peer))
  }

  #tellAll(peer: Peer, call: (handler: PeerHandler) => void): Effect.Effect<void> {
    return Effect.forEach(this.#handlers, (handler) => this.#tell(peer, () => call(handler)), { discard: true })
  }

  /** Announces a peer, and its end when the scope closes. */
  begin(entry: Entry, peer: Peer): Effect.Effect<void, never, Scope.Scope> {
    return Effect.uninterruptible(Effect.suspend(() => {
      // A former connection with the node may still be delivering: for the handlers it is over now.
      const former = [...this.#live].filter(([, other]) => other.id === peer.id)
      return Effect.forEach(former, ([other, gone]) => this.#finish(other, gone), { discard: true }).pipe(
        Effect.andThen(Effect.sync(() => this.#live.set(entry, peer))),
        Effect.andThen(this.#tellAll(peer, (handler) => handler.connected?.(peer))),
        Effect.andThen(onScopeEnd(this.#finish(entry, peer)))
      )
    }))
  }

  #finish(entry: Entry, peer: Peer): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.#live.delete(entry)) return Effect.void
      const reason = peer.session.dropReason ?? DropReason.make("Shutdown")
      return this.#tellAll(peer, (handler) => handler.disconnected?.(peer, reason))
    })
  }

  /** Hands over what the peer sends until it ends, then calls `ended`, and gives handlers some time for the rest. */
  serve(entry: Entry, peer: Peer, ended: (reason: DropReason.DropReason) => void): Effect.Effect<void> {
    return Effect.suspend(() => {
      const delivery = peer.deliver((messages) => this.#receive(entry, peer, messages), blame(peer))
      return Effect.ensuring(
        Effect.flatMap(peer.closed, (reason) => {
          ended(reason)
          return Effect.timeoutOption(delivery.drained, DRAIN_MILLIS)
        }),
        delivery.stop
      )
    })
  }

  #receive(
    entry: Entry,
    peer: Peer,
    messages: NonEmptyReadonlyArray<StellarMessage>
  ): Effect.Effect<void> | undefined {
    if (!this.#live.has(entry)) return undefined
    let waiting: Effect.Effect<void> | undefined
    for (const handler of this.#handlers) {
      const effect = handler.received?.(peer, messages)
      if (effect !== undefined) waiting = waiting === undefined ? effect : Effect.andThen(waiting, effect)
    }
    return waiting
  }
}
