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

/** A peer that was announced, until its end is. */
interface Live {
  readonly entry: Entry
  readonly peer: Peer
  isOver: boolean
}

export class LivePeers {
  /** In the order in which they hear of things; replaced, never changed, so that a walk over them is undisturbed. */
  #handlers: ReadonlyArray<PeerHandler> = []
  readonly #live = new Map<Entry, Live>()

  get(entry: Entry): Peer | undefined {
    return this.#live.get(entry)?.peer
  }

  values(): Array<Peer> {
    return Array.from(this.#live.values(), ({ peer }) => peer)
  }

  /** Handlers hear of things in the order in which they are registered, but `first` before all others. */
  register(handler: PeerHandler, first = false): Effect.Effect<void, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.suspend(() => {
        this.#handlers = first ? [handler, ...this.#handlers] : [...this.#handlers, handler]
        return Effect.forEach(this.values(), (peer) => this.#tell(peer, () => handler.connected?.(peer)), {
          discard: true
        })
      }),
      () =>
        Effect.sync(() => {
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
      const former: Array<Live> = []
      for (const other of this.#live.values()) if (other.peer.id === peer.id) former.push(other)
      const live: Live = { entry, peer, isOver: false }
      return Effect.forEach(former, (other) => this.#finish(other), { discard: true }).pipe(
        Effect.andThen(Effect.sync(() => this.#live.set(entry, live))),
        Effect.andThen(this.#tellAll(peer, (handler) => handler.connected?.(peer))),
        Effect.andThen(onScopeEnd(this.#finish(live)))
      )
    }))
  }

  #finish(live: Live): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (live.isOver) return Effect.void
      live.isOver = true
      const { entry, peer } = live
      if (this.#live.get(entry) === live) this.#live.delete(entry)
      const reason = peer.session.dropReason ?? DropReason.make("Shutdown")
      return this.#tellAll(peer, (handler) => handler.disconnected?.(peer, reason))
    })
  }

  /** Hands over what the peer sends until it ends, then calls `ended`, and gives handlers some time for the rest. */
  serve(entry: Entry, peer: Peer, ended: (reason: DropReason.DropReason) => void): Effect.Effect<void> {
    return Effect.suspend(() => {
      const live = this.#live.get(entry)
      const delivery = peer.deliver((messages) => live && this.#receive(live, messages), blame(peer))
      return Effect.ensuring(
        Effect.flatMap(peer.closed, (reason) => {
          ended(reason)
          return Effect.timeoutOption(delivery.drained, DRAIN_MILLIS)
        }),
        delivery.stop
      )
    })
  }

  #receive({ isOver, peer }: Live, messages: NonEmptyReadonlyArray<StellarMessage>): Effect.Effect<void> | undefined {
    if (isOver) return undefined
    let waiting: Effect.Effect<void> | undefined
    for (const handler of this.#handlers) {
      const effect = handler.received?.(peer, messages)
      if (effect !== undefined) waiting = waiting === undefined ? effect : Effect.andThen(waiting, effect)
    }
    return waiting
  }
}
