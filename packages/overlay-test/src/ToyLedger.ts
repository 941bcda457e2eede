/**
 * A worked example of an `OverlayHost`: a toy ledger that some nodes close together, every second.
 *
 * It speaks the real messages: transactions are pulled, one node a ledger makes a GENERALIZED_TX_SET of what is pending
 * and nominates its hash, the others fetch the set by GET_TX_SET and the quorum sets by GET_SCP_QUORUMSET, vote by
 * signed PREPARE, CONFIRM and EXTERNALIZE statements, and apply what a majority externalized. A node that was away
 * catches up from the SCP state its peers send. What comes of it can be checked: every node has the same chain of ledger
 * hashes, and every transaction is in exactly one ledger.
 *
 * **It is not SCP and no consensus protocol for use.** One majority of configured validators decides; they may be slow,
 * silent or away, but a validator that lies would break it. Transactions are not looked into at all: there are no
 * accounts, fees or signatures. It exists to make traffic with a result that can be verified.
 *
 * - The leader of a ledger's first round is next in turn by node id; when nothing is decided in time, the one after it
 *   proposes. Each round is given longer than the one before.
 * - Quorum sets mean the same on all nodes but list the validators in different order, so each node has to ask for them.
 * - There is no history: who is further behind than the remembered slots jumps to the first ledger its peers still have,
 *   and forgets its pending transactions, which may have been applied in between. `ClosedLedger.jumpedFrom` and the
 *   statistics say so.
 *
 * @since 0.1.0
 */
import type { LedgerView, OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
import { MAX_CLASSIC_TRANSACTION_SIZE, MAX_SLOTS_TO_REMEMBER } from "@stellar-overlay/overlay/protocol/LedgerContext"
import { CONSENSUS_STUCK_TIMEOUT_MILLIS } from "@stellar-overlay/overlay/protocol/LedgerTracker"
import type { Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import { type StellarMessage, Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Moment, ToyNode } from "./internal/toyNode.ts"

/**
 * Who takes part, and the pace.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** This node; a `NodeIdentity` will do. */
  readonly identity: {
    readonly nodeId: NodeId
    readonly publicKey: Uint8Array
    readonly sign: (message: Uint8Array) => Uint8Array
  }
  /** SHA-256 of the network passphrase. */
  readonly networkId: Uint8Array
  readonly crypto: Pick<Primitives, "sha256" | "ed25519Verify">
  /** All validators, the same on all nodes. A node that is not among them follows. */
  readonly validators: ReadonlyArray<NodeId>
  /** A ledger a second unless given. */
  readonly closeTimeMillis?: number | undefined
  /** How long the first leader has before the next one proposes; a second unless given. */
  readonly roundTimeoutMillis?: number | undefined
  /** Transactions in a ledger; 1000 unless given. */
  readonly maxTxSetSize?: number | undefined
  /** Transactions that may be pending, `MAX_PENDING` unless given; more are rejected. */
  readonly maxPending?: number | undefined
  /** Slots whose messages and sets are kept, as many as stellar-core keeps unless given. */
  readonly maxSlotsToRemember?: number | undefined
  /**
   * What outlives the process: ledger, votes and pending transactions, as a node's database does. Give every start of a
   * validator the same one, or it forgets what it voted for, and two ledgers may come of it.
   */
  readonly memory?: Memory | undefined
}

/**
 * What a node remembers from one start to the next. Empty until the first.
 *
 * @category models
 * @since 0.1.0
 */
export class Memory {
  /** @internal */
  node: ToyNode | undefined = undefined
}

/**
 * Transactions that may be pending unless told otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_PENDING = 20_000

/**
 * Hashes of applied transactions that are remembered, so that none is taken twice; the oldest go first.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_APPLIED = 65_536

/**
 * Bytes of transactions in a set.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_TX_SET_BYTES = 5_242_880

/**
 * Closed ledgers that `ledgers` gives, and that wait for a slow reader of `ledgerClosed`; the oldest go first.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_HISTORY = 256

/**
 * A ledger that a node closed.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClosedLedger {
  readonly ledgerSeq: number
  /** Covers the ledger and all before it: equal on all nodes. */
  readonly hash: Uint8Array
  readonly txSetHash: Uint8Array
  /** SHA-256 of the envelopes, in the order of the set. */
  readonly transactions: ReadonlyArray<Uint8Array>
  /** Unix time in seconds. */
  readonly closeTime: number
  /** Rounds it took. */
  readonly rounds: number
  /** The ledger this node was at before, when it had missed those between. */
  readonly jumpedFrom: number | undefined
}

/**
 * A moment's numbers; the counts are since the node was made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  readonly ledgerSeq: number
  readonly pending: number
  readonly ledgersClosed: number
  readonly transactionsApplied: number
  readonly isSynced: boolean
  /** Times this node gave up ledgers it had missed, and the pending transactions it forgot then. */
  readonly jumps: number
  readonly forgotten: number
  readonly badSignatures: number
  /** Ledgers that did not build on this node's last one: 0, or something is broken. */
  readonly diverged: number
}

/**
 * A running toy ledger.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToyLedger {
  /** The host, for `Layer.succeed(OverlayHost, toy.host)`. */
  readonly host: OverlayHost["Service"]
  /** Takes a transaction of this node, given as a message or as the XDR of its envelope, and has it flooded. */
  readonly submit: (transaction: Transaction | Uint8Array) => "pending" | "duplicate" | "rejected"
  /**
   * Gives the node its voice: `Overlay.broadcast`, when there is an overlay. What it would have said before is said now.
   * With `enqueue`, which is `Flood.enqueue`, its own transactions are advertised in rounds, best fee first, as other
   * nodes' are; without, at once.
   */
  readonly attach: (
    broadcast: (message: StellarMessage) => unknown,
    enqueue?: (transaction: Transaction) => unknown
  ) => void
  /** Ledgers from now on, as they close. */
  readonly ledgerClosed: Stream.Stream<ClosedLedger>
  /** The last ledgers, oldest first. */
  readonly ledgers: () => ReadonlyArray<ClosedLedger>
  readonly stats: () => Stats
}

/**
 * Starts a node of a toy ledger, which runs until the scope closes.
 *
 * **Example** (A node with an overlay)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
 * import { NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
 * import { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
 * import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
 * import * as ToyLedger from "@stellar-overlay/overlay-test/ToyLedger"
 *
 * declare const validators: ReadonlyArray<NodeId>
 *
 * const program = Effect.gen(function*() {
 *   const { crypto, networkId } = yield* LocalNode
 *   const toy = yield* ToyLedger.make({ identity: yield* NodeIdentity, crypto, networkId, validators })
 *   const host = Layer.succeed(OverlayHost, toy.host)
 *   // Build `Overlay.layer` on `host`, then: toy.attach(overlay.broadcast, flood.enqueue)
 *   return host
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<ToyLedger, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const closeTimeMillis = options.closeTimeMillis ?? 1000
  const moment = (): Moment => ({
    millis: Number(clock.monotonicTimeNanosUnsafe()) / 1e6,
    unixMillis: clock.currentTimeMillisUnsafe()
  })
  const node = options.memory?.node ?? new ToyNode({
    identity: options.identity,
    networkId: options.networkId,
    crypto: options.crypto,
    validators: options.validators,
    draw: () => random.nextDoubleUnsafe(),
    closeTimeMillis,
    roundTimeoutMillis: options.roundTimeoutMillis ?? 1000,
    maxTxSetSize: options.maxTxSetSize ?? 1000,
    maxTxSetBytes: MAX_TX_SET_BYTES,
    maxPending: options.maxPending ?? MAX_PENDING,
    maxApplied: MAX_APPLIED,
    maxSlotsToRemember: options.maxSlotsToRemember ?? MAX_SLOTS_TO_REMEMBER
  }, moment())
  if (options.memory !== undefined) options.memory.node = node
  const history: Array<ClosedLedger> = []
  const closed = yield* PubSub.sliding<ClosedLedger>(MAX_HISTORY)
  yield* Effect.addFinalizer(() => PubSub.shutdown(closed))
  /** When the node wakes by itself, and what is opened when that is too late. */
  let wakesAt = -Infinity
  const sooner = Latch.makeUnsafe(false)
  let say: ((message: StellarMessage) => unknown) | undefined

  /** Says what the node has to say, and tells what it closed. */
  const settle = (): void => {
    for (const message of node.outbox.splice(0)) say?.(message)
    for (const ledger of node.closed.splice(0)) {
      history.push(ledger)
      if (history.length > MAX_HISTORY) history.shift()
      PubSub.publishUnsafe(closed, ledger)
    }
    // Most of what is heard puts deadlines off: then the node wakes once for nothing, and not for every message.
    if (node.nextDeadline < wakesAt) sooner.openUnsafe()
  }

  const settled = <A>(act: () => A): Effect.Effect<A> =>
    Effect.sync(() => {
      const result = act()
      settle()
      return result
    })

  yield* Effect.gen(function*() {
    while (true) {
      wakesAt = -Infinity
      node.tick(moment())
      settle()
      sooner.closeUnsafe()
      wakesAt = node.nextDeadline
      const wait = Math.max(1, Math.ceil(wakesAt - moment().millis))
      yield* Number.isFinite(wait) ? Effect.raceFirst(Effect.sleep(wait), sooner.await) : sooner.await
    }
  }).pipe(Effect.forkScoped)

  const ledger = (): LedgerView => ({
    ledgerSeq: node.ledgerSeq,
    trackingIndex: node.ledgerSeq,
    isTracking: node.isSynced && moment().millis - node.closedAt < CONSENSUS_STUCK_TIMEOUT_MILLIS,
    isSynced: node.isSynced,
    ledgerVersion: node.ledgerVersion,
    maxTxSetSize: node.options.maxTxSetSize,
    sorobanMaxTxCount: 0,
    maxTransactionSize: MAX_CLASSIC_TRANSACTION_SIZE,
    closeTimeMillis
  })

  return {
    host: {
      ledger,
      scpStateFrom: () => Math.max(1, node.ledgerSeq + 1 - 3),
      receiveScp: (messages) => settled(() => messages.map((message) => node.receiveScp(message, moment()))),
      knowsScp: (message) => node.knowsScp(message),
      scpState: (fromLedger) => Effect.sync(() => node.scpState(fromLedger)),
      ownScpMessages: () => node.ownMessages(),
      receiveTransactions: (messages, hashes) =>
        Effect.sync(() => messages.map((message, i) => node.receiveTransaction(message, hashes[i]!))),
      transactionStatus: (hash) => node.isKnown(hash) ? "known" : "unknown",
      transaction: (hash) => node.transaction(hash),
      txSet: (hash) => Effect.sync(() => node.txSet(hash)),
      quorumSet: (hash) => Effect.sync(() => node.quorumSet(hash)),
      receiveTxSet: (hash, txSet) => Effect.sync(() => node.receiveTxSet(hash, txSet)),
      receiveQuorumSet: (hash, quorumSet) => Effect.sync(() => node.receiveQuorumSet(hash, quorumSet)),
      isInQuorum: (id) => node.isInQuorum(id)
    },
    submit: (transaction) => {
      const message = transaction instanceof Uint8Array ? Transaction.make({ envelope: transaction }) : transaction
      const verdict = node.submit(message)
      settle()
      return verdict
    },
    attach: (broadcast, enqueue = broadcast) => {
      say = (message) => message._tag === "Transaction" ? enqueue(message) : broadcast(message)
      for (const message of [...node.ownMessages(), ...node.transactions()]) say(message)
    },
    ledgerClosed: Stream.fromPubSub(closed),
    ledgers: () => [...history],
    stats: () => ({
      ledgerSeq: node.ledgerSeq,
      pending: node.pending,
      ledgersClosed: node.ledgers,
      transactionsApplied: node.applied,
      isSynced: node.isSynced,
      jumps: node.jumps,
      forgotten: node.forgotten,
      badSignatures: node.badSignatures,
      diverged: node.diverged
    })
  }
})
