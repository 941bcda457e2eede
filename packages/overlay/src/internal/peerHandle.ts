/**
 * What users of a connection have of it: its messages as streams, ways to send, and its end.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import * as DropReason from "../DropReason.ts"
import { PeerDropped } from "../OverlayError.ts"
import type { Peer } from "../Peer.ts"
import type { RemoteFacts, Role } from "../protocol/Handshake.ts"
import type { Batch, Lane } from "../protocol/Inbox.ts"
import type { LedgerContext } from "../protocol/LedgerContext.ts"
import type { Session } from "../protocol/Session.ts"
import type { SessionStats } from "../protocol/SessionStats.ts"
import type { NodeId } from "../wire/NodeId.ts"
import type { PeerAddress } from "../wire/PeerAddress.ts"
import type { StellarMessage } from "../wire/StellarMessage.ts"
import type { BatchHandler, Delivery } from "./delivery.ts"
import type { PeerRuntime } from "./peerRuntime.ts"

type Messages = Stream.Stream<StellarMessage, PeerDropped>

/**
 * A class, because an object of functions takes 2.1 KiB for each connection. What people pass on as functions
 * (`Stream.runForEach(peer.send)`) is one all the same.
 */
export class PeerHandle implements Peer {
  readonly id: NodeId
  readonly role: Role
  readonly remote: RemoteFacts
  readonly session: Session
  readonly #runtime: PeerRuntime

  constructor(runtime: PeerRuntime, remote: RemoteFacts) {
    this.id = remote.id
    this.role = remote.role
    this.remote = remote
    this.session = runtime.session
    this.#runtime = runtime
  }

  get address(): PeerAddress {
    return this.#runtime.connection.remote
  }

  get stats(): SessionStats {
    return this.session.stats
  }

  // ------------------------------------------------------------------------------------------------- receiving

  get messages(): Messages {
    return this.#receive(undefined)
  }

  get lanes(): { readonly [lane in Lane]: Messages } {
    return { urgent: this.#receive("urgent"), bulk: this.#receive("bulk") }
  }

  deliver(handle: BatchHandler, blame: (cause: Cause.Cause<never>) => Effect.Effect<void>): Delivery {
    return this.#runtime.deliver(handle, blame)
  }

  /** Messages of a lane, or of both. Made when asked for: most peers are read by one stream, most of the time. */
  #receive(lane: Lane | undefined): Messages {
    const runtime = this.#runtime
    const { session } = runtime
    return Stream.suspend(() => {
      const { timers } = session.options
      let current: Batch | undefined
      let takenAt = 0
      /** Gives the time if it had to look, else -1. */
      const settleCurrent = (): number => {
        const batch = current
        current = undefined
        return batch === undefined ? -1 : runtime.settle(batch, takenAt)
      }
      const take = (settledAt: number): Batch | undefined => {
        const batch = session.takeBatch(lane)
        if (batch !== undefined && timers !== undefined) {
          takenAt = settledAt >= 0 ? settledAt : runtime.millis()
          timers.inboxWait[batch.lane].observeMillis(takenAt - batch.since)
        }
        return batch
      }
      const pull: Pull.Pull<NonEmptyReadonlyArray<StellarMessage>, PeerDropped> = Effect.suspend(() => {
        current = take(settleCurrent())
        if (current !== undefined) return Effect.succeed(current.messages)
        if (session.dropReason !== undefined) {
          return session.dropReason._tag === "Shutdown"
            ? Cause.done()
            : this.#failure
        }
        return Effect.andThen(runtime.untilBatch(lane ?? "any"), pull)
      })
      return Stream.ensuring(Stream.fromPull(Effect.succeed(pull)), Effect.sync(settleCurrent))
    })
  }

  // --------------------------------------------------------------------------------------------------- sending

  readonly offer = (message: StellarMessage): boolean => {
    const queued = this.session.send(message, this.#runtime.now())
    this.#runtime.after()
    return queued
  }

  readonly offerAll = (messages: Iterable<StellarMessage>): number => {
    const now = this.#runtime.now()
    let queued = 0
    for (const message of messages) if (this.session.send(message, now)) queued++
    this.#runtime.after()
    return queued
  }

  readonly send = (message: StellarMessage): Effect.Effect<void, PeerDropped> =>
    Effect.suspend(() => {
      this.offer(message)
      return this.#whenRelieved
    })

  readonly sendAll = (messages: Iterable<StellarMessage>): Effect.Effect<void, PeerDropped> =>
    Effect.gen({ self: this }, function*() {
      const { session } = this
      let now = this.#runtime.now()
      for (const message of messages) {
        session.send(message, now)
        if (session.isCongested || session.dropReason !== undefined) {
          this.#runtime.after()
          yield* this.#whenRelieved
          now = this.#runtime.now()
        }
      }
      this.#runtime.after()
      yield* this.#whenRelieved
    })

  get #whenRelieved(): Effect.Effect<void, PeerDropped> {
    return Effect.suspend(() => {
      if (this.session.dropReason !== undefined) return this.#failure
      if (!this.session.isCongested) return Effect.void
      return Effect.andThen(
        this.#runtime.untilRelieved,
        Effect.suspend(() => this.session.dropReason === undefined ? Effect.void : this.#failure)
      )
    })
  }

  updateLedger(ledger: LedgerContext): void {
    this.session.updateLedger(ledger, this.#runtime.now())
    this.#runtime.after()
  }

  // --------------------------------------------------------------------------------------------------- the end

  readonly drop = (reason: DropReason.DropReason): Effect.Effect<void> => Effect.sync(() => this.#runtime.drop(reason))

  get closed(): Effect.Effect<DropReason.DropReason> {
    return Deferred.await(this.#runtime.dropped)
  }

  get #failure(): Effect.Effect<never, PeerDropped> {
    const { address, id, remote, session } = this
    const reason = session.dropReason ?? DropReason.make("Defect", "asked why a living peer ended")
    return Effect.fail(new PeerDropped({ address, id, reason, remote }))
  }
}
