/**
 * Finding what SCP messages refer to: transaction sets and quorum sets, asked of one peer after another until one has it.
 *
 * The search is stellar-core's (see `ItemFetcherTable`); here are its timers, its peers, and what happens when an item
 * comes: the host takes it, and the envelopes that waited are handed over once more. `fetchTxSet` and `fetchQuorumSet` let
 * a program wait for an item directly.
 *
 * Implements protocol.md section 6 (stellar-core: `ItemFetcher.cpp`, `PendingEnvelopes.cpp`).
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { AwaitedKeys } from "./internal/awaitedKeys.ts"
import { concat, toHex } from "./internal/bytes.ts"
import * as MetricsSources from "./internal/metricsSources.ts"
import { readMillis } from "./internal/peerRuntime.ts"
import * as Tracing from "./internal/tracing.ts"
import { LocalNode } from "./LocalNode.ts"
import { type FetchEnd, type OverlayEvent, publisher } from "./OverlayEvents.ts"
import { type AnyTxSet, OverlayHost } from "./OverlayHost.ts"
import { OverlayMetrics, source } from "./OverlayMetrics.ts"
import type { Peer } from "./Peer.ts"
import { Peers } from "./Peers.ts"
import { defaults, type FetchStep, ItemFetcherTable, type ItemRequest } from "./protocol/ItemFetcherTable.ts"
import { FETCH_REPLY_WAIT_MILLIS } from "./protocol/ItemTracker.ts"
import { isQuorumSetSane } from "./protocol/QuorumSetSanity.ts"
import { MessageType } from "./wire/MessageType.ts"
import { type DontHave, GetScpQuorumSet, GetTxSet, type ScpMessage, type ScpQuorumSet } from "./wire/StellarMessage.ts"

/**
 * Nobody had the item for as long as a search lasts, or there was no room to go on looking.
 *
 * @category errors
 * @since 0.1.0
 */
export class ItemNotFound extends Data.TaggedError("ItemNotFound")<{
  readonly item: "txSet" | "quorumSet"
  /** Lower-case hex. */
  readonly hash: string
}> {
  override get message(): string {
    return `no peer had the ${this.item} ${this.hash}`
  }
}

/** A program that waits for an item. */
interface Waiter {
  readonly _tag: "Waiter"
  readonly item: ItemNotFound["item"]
  readonly hash: Uint8Array
  readonly result: Deferred.Deferred<Item, ItemNotFound>
}

type Waiting = ScpMessage | Waiter

type Item = AnyTxSet | ScpQuorumSet

/**
 * What the service does.
 *
 * @category models
 * @since 0.1.0
 */
export interface ItemFetcherShape {
  /**
   * A transaction set by its hash, from the first peer that has it. Whether the host has any use for it does not matter.
   * An interrupted search ends, unless somebody else waits for the same item.
   */
  readonly fetchTxSet: (hash: Uint8Array) => Effect.Effect<AnyTxSet, ItemNotFound>
  /** A quorum set by its hash, if it is sane; not found at once when it is not. */
  readonly fetchQuorumSet: (hash: Uint8Array) => Effect.Effect<ScpQuorumSet, ItemNotFound>
  /** Looks for what an SCP message needs; it is delivered again when an item came. The message may be a view. */
  readonly fetchFor: (
    message: ScpMessage,
    needs: { readonly txSets: ReadonlyArray<Uint8Array>; readonly quorumSets: ReadonlyArray<Uint8Array> }
  ) => void
  /** Whether an SCP message waits for an item, by the floodgate's key: a copy of it has nothing new to say. */
  readonly awaits: (key: Uint8Array) => boolean
  /** Takes SCP messages whose wait is over, until the scope closes. One taker at a time. */
  readonly deliverTo: (
    take: (messages: ReadonlyArray<ScpMessage>) => Effect.Effect<void>
  ) => Effect.Effect<void, never, Scope.Scope>
  /** Whom to ask first for what an SCP message needs: the peers that sent it or were told of it. */
  readonly knownBy: (peersKnow: (key: Uint8Array) => Iterable<Peer>) => void
  /** Forgets envelopes of slots out of a range, except one slot (protocol.md section 6). */
  readonly stopOutsideRange: (min: number, max: number, keep: number) => void
  /** The hash of an item that came, taken once however often it is asked for. */
  readonly hashOf: (item: AnyTxSet | ScpQuorumSet) => Uint8Array
  /** The tables, for counters and diagnosis. */
  readonly txSets: ItemFetcherTable<Peer, Waiting>
  readonly quorumSets: ItemFetcherTable<Peer, Waiting>
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class ItemFetcher extends Context.Service<ItemFetcher, ItemFetcherShape>()(
  "@stellar-overlay/overlay/ItemFetcher"
) {
  /**
   * Fetches through `Peers`; what comes goes to the host.
   *
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<ItemFetcher, never, Peers | OverlayHost | LocalNode> = Layer.effect(
    this,
    Effect.suspend(() => make)
  )
}

const make = Effect.gen(function*() {
  const { config, crypto } = yield* LocalNode
  const peers = yield* Peers
  const host = yield* OverlayHost
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const publish = yield* publisher
  const trace = yield* Tracing.fetchSpans(config.traceSampleRate, clock)
  const tell = (event: OverlayEvent): void => {
    trace?.(event)
    publish(event)
  }
  const { timers } = yield* OverlayMetrics
  const millis = () => readMillis(clock)
  /** Opened when a search begins, because its deadline may be earlier than the one slept for. */
  const begun = Latch.makeUnsafe(false)
  let peersKnow: (key: Uint8Array) => Iterable<Peer> = () => []
  let deliver: (messages: ReadonlyArray<ScpMessage>) => Effect.Effect<void> = () => Effect.void

  const context = {
    slotOf: (waiting: Waiting) => waiting._tag === "Waiter" ? undefined : waiting.slotNumber ?? Number.MAX_SAFE_INTEGER,
    keyOf: (waiting: Waiting) => waiting._tag === "Waiter" ? undefined : crypto.sha256(waiting.bytes),
    peers: () => peers.authenticated(),
    peersKnow: (key: Uint8Array) => peersKnow(key),
    latencyOf: (peer: Peer) => peer.session.liveness.latencyMillis,
    keep: (waiting: Waiting) => waiting._tag === "Waiter" ? waiting : waiting.retain(),
    awaited: new AwaitedKeys(() => random.nextDoubleUnsafe(), 2 * defaults.maxWaiting),
    draw: () => random.nextDoubleUnsafe()
  }
  const gaveUp = (item: ItemNotFound["item"]) => (hash: Uint8Array, reason: FetchEnd): void =>
    tell({ _tag: "FetchGivenUp", item, hash: toHex(hash), reason })
  const txSets = new ItemFetcherTable<Peer, Waiting>(MessageType.GetTxSet, { ...context, gaveUp: gaveUp("txSet") })
  const quorumSets = new ItemFetcherTable<Peer, Waiting>(MessageType.GetScpQuorumSet, {
    ...context,
    gaveUp: gaveUp("quorumSet")
  })
  const tables = { txSet: txSets, quorumSet: quorumSets }
  yield* source(MetricsSources.fetcher({ txSets, quorumSets }))
  const waiters = new Set<Waiter>()
  let closed = false

  const ask = ({ hash, peer, type }: ItemRequest<Peer>): void => {
    const item = type === MessageType.GetTxSet ? "txSet" : "quorumSet"
    tell({ _tag: "FetchAsked", item, hash: toHex(hash), id: peer.id })
    peer.offer(type === MessageType.GetTxSet ? GetTxSet.make({ hash }) : GetScpQuorumSet.make({ hash }))
  }

  const notFound = ({ hash, item, result }: Waiter): void => {
    Deferred.doneUnsafe(result, Effect.fail(new ItemNotFound({ item, hash: toHex(hash) })))
  }

  const carryOut = (step: FetchStep<Peer, Waiting>): void => {
    for (const request of step.requests) ask(request)
    for (const waiting of step.dropped) if (waiting._tag === "Waiter") notFound(waiting)
  }

  const begin = (item: ItemNotFound["item"], hash: Uint8Array, waiting: Waiting): void => {
    const isNew = !tables[item].isWanted(hash)
    if (isNew) tell({ _tag: "FetchStarted", item, hash: toHex(hash) })
    carryOut(tables[item].fetch(hash, waiting, millis()))
    if (isNew) begun.openUnsafe()
  }

  const wait = (item: ItemNotFound["item"], wanted: Uint8Array) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const hash = wanted.slice() // the caller's to change
        const waiter: Waiter = { _tag: "Waiter", item, hash, result: Deferred.makeUnsafe() }
        waiters.add(waiter)
        if (closed) notFound(waiter)
        else begin(item, hash, waiter)
        return Effect.ensuring(
          restore(Deferred.await(waiter.result)),
          Effect.sync(() => {
            waiters.delete(waiter)
            const wasWanted = tables[item].isWanted(hash)
            tables[item].stopFetch(hash, waiter)
            if (wasWanted && !tables[item].isWanted(hash)) gaveUp(item)(hash, "Cancelled")
          })
        )
      })
    )

  /**
   * An item came, and is what its hash says: programs get it, the host looks at it, then the SCP messages that waited are
   * handed over. What nobody waits for is not looked at (Q5).
   */
  const receive = <I extends Item>(
    item: ItemNotFound["item"],
    hash: Uint8Array,
    message: I,
    isGood: (message: I) => boolean,
    accept: (kept: I) => Effect.Effect<boolean>
  ): Effect.Effect<void> =>
    Effect.suspend(() => {
      const result = tables[item].recv(hash, millis())
      if (result === undefined) return Effect.void
      tell({ _tag: "FetchReceived", item, hash: toHex(hash), millis: result.durationMillis })
      timers?.fetch[item].observeMillis(result.durationMillis)
      const envelopes: Array<ScpMessage> = []
      const isFit = isGood(message)
      const kept = message.retain() as I // a message of its own class
      for (const waiting of result.envelopes) {
        if (waiting._tag !== "Waiter") envelopes.push(waiting)
        else if (isFit) Deferred.doneUnsafe(waiting.result, Effect.succeed<Item>(kept))
        else notFound(waiting)
      }
      if (!isFit) return Effect.void
      return accept(kept).pipe(
        Effect.flatMap((isAccepted) => isAccepted && envelopes.length > 0 ? deliver(envelopes) : Effect.void),
        // The peer that brought it is gone before the host was done: as if it had not come.
        Effect.onInterrupt(() =>
          Effect.sync(() => {
            if (!closed) { for (const envelope of envelopes) begin(item, hash, envelope) }
          })
        )
      )
    })

  /** Sets are as large as messages may be: whoever looks at one needs its hash, and it is taken once. */
  const hashes = new WeakMap<Item, Uint8Array>()
  const hashOf = (item: Item): Uint8Array => {
    let hash = hashes.get(item)
    if (hash === undefined) {
      hash = item._tag === "ScpQuorumSet" ? crypto.sha256(item.body) : txSetHash(crypto.sha256, item)
      hashes.set(item, hash)
    }
    return hash
  }

  const receiveQuorumSet = (message: ScpQuorumSet): Effect.Effect<void> => {
    const hash = hashOf(message)
    const isGood = ({ body }: ScpQuorumSet): boolean => {
      const isSane = isQuorumSetSane(body)
      if (!isSane) host.refuseQuorumSet?.(hash)
      return isSane
    }
    return receive("quorumSet", hash, message, isGood, (kept) => host.receiveQuorumSet(hash, kept))
  }

  const receiveTxSet = (message: AnyTxSet): Effect.Effect<void> => {
    const hash = hashOf(message)
    return receive("txSet", hash, message, () => true, (kept) => host.receiveTxSet(hash, kept))
  }

  const receiveDontHave = ({ hash, itemType }: DontHave, peer: Peer): void => {
    const table = itemType === MessageType.TxSet || itemType === MessageType.GeneralizedTxSet
      ? txSets
      : itemType === MessageType.ScpQuorumSet
      ? quorumSets
      : undefined
    const next = table?.doesntHave(hash, peer, millis())
    if (next !== undefined) ask(next)
  }

  yield* peers.handle({
    received: (peer, messages) => {
      let all: Effect.Effect<void> | undefined
      for (const message of messages) {
        let one: Effect.Effect<void> | undefined
        switch (message._tag) {
          case "TxSet":
          case "GeneralizedTxSet":
            one = receiveTxSet(message)
            break
          case "ScpQuorumSet":
            one = receiveQuorumSet(message)
            break
          case "DontHave":
            receiveDontHave(message, peer)
            break
        }
        if (one !== undefined) all = all === undefined ? one : Effect.andThen(all, one)
      }
      return all
    },
    disconnected: (peer) => {
      txSets.forgetPeer(peer)
      quorumSets.forgetPeer(peer)
    }
  })

  /** Asks on for what is due, and gives the time of the next turn. */
  const turn = (): number => {
    const now = millis()
    for (const table of [txSets, quorumSets]) carryOut(table.tick(now))
    return Math.min(txSets.nextDeadline ?? Infinity, quorumSets.nextDeadline ?? Infinity)
  }
  const failed = (defect: unknown): Effect.Effect<number> =>
    Effect.as(Effect.logError("A defect in the timer of searches", defect), millis() + FETCH_REPLY_WAIT_MILLIS)
  yield* Effect.gen(function*() {
    while (true) {
      begun.closeUnsafe()
      const wait = (yield* Effect.catchDefect(Effect.sync(turn), failed)) - millis()
      yield* Number.isFinite(wait)
        ? Effect.raceFirst(Effect.sleep(Math.max(1, Math.ceil(wait))), begun.await)
        : begun.await
    }
  }).pipe(Effect.forkScoped)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      closed = true
      for (const waiter of waiters) notFound(waiter)
      txSets.shutdown()
      quorumSets.shutdown()
    })
  )

  return ItemFetcher.of({
    fetchTxSet: (hash) => Effect.map(wait("txSet", hash), (item) => item as AnyTxSet), // begun by a tx set hash
    fetchQuorumSet: (hash) => Effect.map(wait("quorumSet", hash), (item) => item as ScpQuorumSet),
    awaits: (key) => context.awaited.has(key),
    fetchFor: (message, needs) => {
      for (const hash of needs.txSets) begin("txSet", hash, message)
      for (const hash of needs.quorumSets) begin("quorumSet", hash, message)
    },
    deliverTo: (take) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          deliver = take
        }),
        () =>
          Effect.sync(() => {
            deliver = () => Effect.void
          })
      ),
    knownBy: (know) => {
      peersKnow = know
    },
    stopOutsideRange: (min, max, keep) => {
      txSets.stopFetchingOutsideRange(min, max, keep)
      quorumSets.stopFetchingOutsideRange(min, max, keep)
    },
    hashOf,
    txSets,
    quorumSets
  })
})

/**
 * The hash by which a transaction set is known: of the whole body when it is generalized, else of the previous ledger's
 * hash and the envelopes, without their number.
 *
 * @category hashing
 * @since 0.1.0
 */
export const txSetHash = (sha256: (data: Uint8Array) => Uint8Array, txSet: AnyTxSet): Uint8Array =>
  txSet._tag === "GeneralizedTxSet"
    ? sha256(txSet.body)
    : sha256(concat([txSet.body.subarray(0, 32), txSet.body.subarray(36)]))
