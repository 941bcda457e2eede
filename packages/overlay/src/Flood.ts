/**
 * Messages to everyone, once: SCP in full, transactions by advert and demand.
 *
 * A message that arrives is hashed before anything else is done with it. A copy of one that is being processed is dropped;
 * the floodgate notes who sent it; the host judges it in batches; what the host wants relayed goes to every authenticated
 * peer that neither sent it nor was told. Being known to the gate and being processed are different facts: a duplicate
 * reaches the host when no copy of it is under way, as a question that costs no fiber where the host can answer it.
 *
 * The gate's keys are SHA-256 of the message, where stellar-core uses BLAKE2b-256: the keys never leave the node, and
 * SHA-256 costs a twentieth here.
 *
 * Implements protocol.md section 5 (stellar-core: `Floodgate.cpp`, `TxAdverts.cpp`, `TxDemandsManager.cpp`).
 *
 * @since 0.1.0
 */
import { isReadonlyArrayNonEmpty, type NonEmptyReadonlyArray } from "effect/Array"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import { FloodScp, type ScpPeer } from "./internal/floodScp.ts"
import * as MetricsSources from "./internal/metricsSources.ts"
import { readMillis } from "./internal/peerRuntime.ts"
import { ItemFetcher } from "./ItemFetcher.ts"
import { LocalNode } from "./LocalNode.ts"
import { OverlayHost } from "./OverlayHost.ts"
import { OverlayMetrics, source } from "./OverlayMetrics.ts"
import type { Peer } from "./Peer.ts"
import { Peers } from "./Peers.ts"
import { AdvertHistories } from "./protocol/AdvertHistory.ts"
import { DemandAnswers } from "./protocol/DemandAnswers.ts"
import type { DemandPeer } from "./protocol/DemandOrder.ts"
import * as Floodgate from "./protocol/Floodgate.ts"
import * as FloodRateLimit from "./protocol/FloodRateLimit.ts"
import * as FloodRates from "./protocol/FloodRates.ts"
import { type Flooding, FloodRounds, type Turn } from "./protocol/FloodRounds.ts"
import { isBulk } from "./protocol/Inbox.ts"
import { MessageRecords } from "./protocol/MessageRecords.ts"
import { ScheduledMessages } from "./protocol/ScheduledMessages.ts"
import * as TransactionBid from "./protocol/TransactionBid.ts"
import { TxAdverts } from "./protocol/TxAdverts.ts"
import * as TxDemands from "./protocol/TxDemands.ts"
import type { NodeId } from "./wire/NodeId.ts"
import {
  FloodAdvert,
  FloodDemand,
  type ScpMessage,
  type StellarMessage,
  type Transaction
} from "./wire/StellarMessage.ts"

/**
 * What the service does.
 *
 * @category models
 * @since 0.1.0
 */
export interface FloodShape {
  /**
   * Tells every authenticated peer that does not know it: a transaction by advert, anything else in full. The number of
   * peers newly told. Out of sync a transaction that the host holds has its turn when the node is in sync again.
   */
  readonly broadcast: (message: StellarMessage) => number
  /**
   * Has a transaction advertised that the host holds: in the coming rounds, best fee first, as what other nodes send
   * (protocol.md 5.6). `broadcast` does it at once.
   */
  readonly enqueue: (message: Transaction) => void
  /** Notes that a peer sent a message which another service relays, so that it is not sent back. */
  readonly received: (message: StellarMessage, from: NodeId) => void
  /** Forgets what was flooded before a ledger (protocol.md 5.1). */
  readonly clearBelow: (ledgerSeq: number) => void
  /** A ledger closed: adopts its rates, and marks what is still pending, for peers that have not heard of it. */
  readonly ledgerChanged: () => void
  readonly gate: Floodgate.Floodgate
  readonly rounds: FloodRounds
  readonly demands: TxDemands.TxDemands
  /** Unique and duplicate messages, of all peers together. */
  readonly records: MessageRecords
  readonly stats: FloodStats
}

/**
 * Counters of the whole node; those of the machines are with the machines.
 *
 * @category models
 * @since 0.1.0
 */
export interface FloodStats {
  /** Broadcasts that told at least one peer (`overlay.message.broadcast`). */
  broadcasts: number
  /** Messages sent by broadcasts, not counting adverts (`overlay.flood.broadcast`). */
  sent: number
  /** Copies dropped while another was being processed. */
  alreadyScheduled: number
  scpDiscarded: number
  /** Milliseconds from the first demand of a transaction to its arrival: number and sum. */
  pulls: number
  pullMillis: number
}

/** How often demands that are a minute old are looked for while there is nothing to demand. */
const FORGET_PERIOD_MILLIS = 5000

interface FloodPeer extends DemandPeer, ScpPeer {
  readonly answers: DemandAnswers
  /** What it is told by the batch that is being relayed. */
  readonly outgoing: Array<StellarMessage>
  /** Takes its counters out of the metrics' sources, into their totals. */
  readonly forgetMetrics: () => void
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class Flood extends Context.Service<Flood, FloodShape>()("@stellar-overlay/overlay/Flood") {
  /**
   * Floods through `Peers` what the host approves of.
   *
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<Flood, never, Peers | ItemFetcher | OverlayHost | LocalNode> = Layer.effect(
    this,
    Effect.suspend(() => make)
  )
}

const make = Effect.gen(function*() {
  const { config, crypto, derived } = yield* LocalNode
  const peers = yield* Peers
  const fetcher = yield* ItemFetcher
  const host = yield* OverlayHost
  const metrics = yield* OverlayMetrics
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const draw = () => random.nextDoubleUnsafe()
  const millis = () => readMillis(clock)
  const keyOf = (message: StellarMessage) => crypto.sha256(message.bytes)

  const gate = new Floodgate.Floodgate(draw, {
    ...Floodgate.defaults,
    maxRecords: config.maxFloodRecords,
    // Twice the slots: those who left are remembered for a while.
    maxPeers: Math.max(
      Floodgate.defaults.maxPeers,
      2 * (derived.maxInboundConnections + derived.maxOutboundConnections)
    )
  })
  const scheduled = new ScheduledMessages(draw)
  const records = new MessageRecords(draw)
  const demands = new TxDemands.TxDemands(draw, {
    ...TxDemands.defaults,
    backoffMillis: config.floodDemandBackoffDelayMillis,
    policy: config.demandPolicy
  })
  const histories = new AdvertHistories(draw)
  const rate = new FloodRateLimit.FloodRateLimit({
    ...FloodRateLimit.defaults,
    maxMessagesPerSecond: config.maxFloodMessagesPerSecond
  }, millis())
  const flooded = new Map<Peer, FloodPeer>()
  const stats: FloodStats = { broadcasts: 0, sent: 0, alreadyScheduled: 0, scpDiscarded: 0, pulls: 0, pullMillis: 0 }
  /** The next run of demands. Runs come at multiples of the period; those that would find nothing are left out. */
  let demandAt = millis()
  const runAfter = (now: number): number =>
    demandAt + limits.demandPeriodMillis * (1 + Math.floor((now - demandAt) / limits.demandPeriodMillis))
  /** When the timer wakes next; never, while nothing is advertised in either direction. */
  let wakeAt = 0
  /** Opened when it is to wake sooner. */
  const sooner = Latch.makeUnsafe(false)

  const makeLimits = () =>
    FloodRates.make({
      opRatePerLedger: config.floodOpRatePerLedger,
      sorobanRatePerLedger: config.floodSorobanRatePerLedger,
      advertPeriodMillis: config.floodAdvertPeriodMillis,
      demandPeriodMillis: config.floodDemandPeriodMillis,
      txPeriodMillis: config.floodTxPeriodMillis,
      sorobanTxPeriodMillis: config.floodSorobanTxPeriodMillis,
      maxDexTxOperations: config.maxDexTxOperationsInTxSet ?? undefined
    }, host.ledger())
  let limits = makeLimits()
  const rounds = new FloodRounds(draw, limits)
  /** The last ledger after which pending transactions were marked. */
  let markedAt = host.ledger().ledgerSeq
  /** Whether a peer came since then, which knows of none. */
  let isAnyoneNew = false
  /** Whether adverts are held back because the node is out of sync. */
  let isHolding = false

  // ------------------------------------------------------------------------------------------------- telling

  const sendAdvert = (peer: Peer, hashes: ReadonlyArray<Uint8Array> | undefined): void => {
    if (hashes !== undefined) peer.offer(FloodAdvert.make({ hashes }))
  }

  /** Who can be told: a connection that is ending would count as told and never hear it. */
  const listening = (): Array<FloodPeer> => {
    const listening: Array<FloodPeer> = []
    for (const state of flooded.values()) if (state.peer.session.isAuthenticated) listening.push(state)
    return listening
  }

  /** Chooses who of those listening is told of a message. Messages in full wait in `outgoing`: follow with `flush`. */
  const tell = (
    message: StellarMessage,
    key: Uint8Array,
    candidates: ReadonlyArray<FloodPeer>,
    now: number
  ): number => {
    const told = gate.broadcast(key, candidates, host.ledger().trackingIndex, now)
    if (told.length === 0) return 0
    stats.broadcasts++
    if (message._tag === "Transaction") {
      const hash = crypto.sha256(message.envelope)
      for (const { adverts, peer } of told) sendAdvert(peer, adverts.advertise(hash, now))
      if (now + limits.advertPeriodMillis < wakeAt) sooner.openUnsafe()
    } else {
      const kept = message.retain()
      for (const { outgoing } of told) outgoing.push(kept)
      stats.sent += told.length
    }
    return told.length
  }

  const flush = (candidates: ReadonlyArray<FloodPeer>): void => {
    for (const { outgoing, peer } of candidates) {
      if (outgoing.length === 1) peer.offer(outgoing.pop()!)
      else if (outgoing.length > 1) peer.offerAll(outgoing.splice(0))
    }
  }

  const broadcast = (message: StellarMessage, key = keyOf(message)): number => {
    const candidates = listening()
    const told = tell(message, key, candidates, millis())
    flush(candidates)
    return told
  }

  /** Has the host's transactions advertised, now and after every ledger, or from the next ledger on. */
  const enqueue = (message: Transaction, hash: Uint8Array, key: Uint8Array, isTold = false): void => {
    const now = millis()
    const bid = host.transactionBid?.(message, hash) ?? TransactionBid.fromEnvelope(message.envelope)
    rounds.add({ hash, key, bid }, now, isTold)
    if ((rounds.nextDeadline ?? Infinity) < wakeAt) sooner.openUnsafe()
  }

  /** The turn of a pending transaction, if it still is: a node advertises nothing that it would not send. */
  const advertise = ({ hash, key }: Flooding): Turn => {
    const message = host.transaction(hash)
    return message === undefined ? "gone" : broadcast(message, key) > 0 ? "told" : "known"
  }

  const markPending = (): void => {
    const { ledgerSeq } = host.ledger()
    if (ledgerSeq === markedAt) return
    markedAt = ledgerSeq
    const isForAll = isAnyoneNew
    isAnyoneNew = false
    rounds.mark(
      ({ hash, key }) => host.transaction(hash) === undefined ? "gone" : isForAll || !gate.has(key) ? "again" : "rests",
      millis()
    )
    if ((rounds.nextDeadline ?? Infinity) < wakeAt) sooner.openUnsafe()
  }

  // ------------------------------------------------------------------------------------------- one at a time

  /** A peer has a message, from now on at the latest. */
  const note = (message: StellarMessage, key: Uint8Array, peer: Peer): void => {
    records.record(message.type, key, message.size, peer.session.stats)
    gate.addRecord(key, peer.id, host.ledger().trackingIndex, millis())
  }

  /**
   * Gives those messages to `process` of which no copy is being processed, with their keys, and keeps copies out until
   * it is done, however it ends. The sender counts as having the message in any case.
   */
  const exclusively = <M extends StellarMessage>(
    peer: Peer,
    messages: ReadonlyArray<readonly [message: M, key: Uint8Array]>,
    process: (messages: NonEmptyReadonlyArray<M>, keys: ReadonlyArray<Uint8Array>) => Effect.Effect<void>
  ): Effect.Effect<void> => {
    const begun: Array<M> = []
    const keys: Array<Uint8Array> = []
    const begin = Effect.suspend(() => {
      for (const [message, key] of messages) {
        note(message, key, peer)
        if (scheduled.begin(key)) {
          begun.push(message)
          keys.push(key)
        } else stats.alreadyScheduled++
      }
      return isReadonlyArrayNonEmpty(begun) ? process(begun, keys) : Effect.void
    })
    // What ends them stands before the first has begun, so that no interruption can fall between the two.
    return Effect.ensuring(begin, Effect.sync(() => keys.forEach((key) => scheduled.end(key))))
  }

  // ----------------------------------------------------------------------------------------------- SCP messages

  const scp = new FloodScp<FloodPeer>({
    host,
    fetcher,
    millis,
    keyOf,
    note,
    listening,
    tell,
    flush,
    discarded: (key) => {
      stats.scpDiscarded++
      gate.forgetRecord(key)
    }
  })

  const receiveScp = (
    from: FloodPeer,
    messages: ReadonlyArray<readonly [message: ScpMessage, key: Uint8Array]>
  ): Effect.Effect<void> => exclusively(from.peer, messages, (messages, keys) => scp.judge(messages, keys, from))

  // ---------------------------------------------------------------------------------------------- transactions

  const recordPull = (hash: Uint8Array, peer: Peer, now: number): void => {
    const latency = demands.recvTransaction(hash, peer.id, now)
    if (latency?.total !== undefined) {
      stats.pulls++
      stats.pullMillis += latency.total
      metrics.timers?.txPull.observeMillis(latency.total)
    }
    if (latency?.peer !== undefined) {
      peer.session.stats.pullLatency.record(latency.peer, now)
      metrics.timers?.peerTxPull.observeMillis(latency.peer)
    }
  }

  const receiveTransactions = ({ peer }: FloodPeer, messages: ReadonlyArray<Transaction>): Effect.Effect<void> =>
    exclusively(peer, messages.map((message) => [message, keyOf(message)]), (messages, keys) => {
      const now = millis()
      const hashes = messages.map(({ envelope }) => crypto.sha256(envelope))
      for (const hash of hashes) recordPull(hash, peer, now)
      return Effect.map(host.receiveTransactions(messages, hashes, peer.id), (verdicts) => {
        messages.forEach((message, i) => {
          const verdict = verdicts[i] ?? "rejected"
          if (demands.recordVerdict(verdict)) gate.forgetRecord(keys[i]!)
          else if (verdict === "pending") enqueue(message, hashes[i]!, keys[i]!)
        })
      })
    })

  const receiveDemand = (peer: Peer, demand: FloodDemand, answers: DemandAnswers): void => {
    const now = millis()
    for (const hash of demand.hashes) {
      if (!answers.answer(hash, host.transactionStatus(hash), now)) continue
      const transaction = host.transaction(hash)
      if (transaction !== undefined) peer.offer(transaction)
    }
  }

  const demandSome = (): void => {
    if (!host.ledger().isSynced) return
    const found = demands.run(millis(), listening(), limits.maxDemandSize, host.transactionStatus)
    for (const { hashes, peer: { peer }, timeouts } of found) {
      peer.session.stats.demandTimeouts += timeouts
      peer.offer(FloodDemand.make({ hashes }))
    }
  }

  // ------------------------------------------------------------------------------------------------------ wiring

  yield* source(MetricsSources.flood({ demands, gate, records, stats }))
  yield* peers.handle({
    connected: (peer) => {
      const adverts = new TxAdverts(limits, histories.open())
      const answers = new DemandAnswers(draw)
      flooded.set(peer, {
        peer,
        id: peer.id,
        outbound: peer.role === "initiator",
        group: peer.address.subnet16,
        adverts,
        answers,
        outgoing: [],
        badSignatures: 0,
        forgetMetrics: metrics.add(MetricsSources.floodPeer(adverts, answers))
      })
      isAnyoneNew = true
    },
    disconnected: (peer) => {
      const state = flooded.get(peer)
      state?.adverts.shutdown()
      state?.forgetMetrics()
      flooded.delete(peer)
    },
    received: (peer, messages) => {
      const state = flooded.get(peer)
      if (state === undefined) return undefined
      const [first] = messages
      if (messages.length === 1 && first._tag === "ScpMessage") { // as most batches are
        const key = scp.freshKey(first, state)
        return key && receiveScp(state, [[first.retain(), key]])
      }
      const now = millis()
      const fresh: Array<readonly [message: ScpMessage, key: Uint8Array]> = []
      const transactions: Array<Transaction> = []
      for (const message of messages) {
        // While out of sync, or over the rate, transactions and what belongs to them are ignored; their credit returns.
        if (isBulk(message.type) && !(host.ledger().isSynced && rate.allow(message.type, now))) continue
        switch (message._tag) {
          case "ScpMessage": {
            const key = scp.freshKey(message, state)
            // Whoever is told of it, the host and the peers, keeps it.
            if (key !== undefined) fresh.push([message.retain(), key])
            break
          }
          case "Transaction":
            transactions.push(message)
            break
          case "FloodAdvert":
            records.record(message.type, keyOf(message), message.size, peer.session.stats)
            state.adverts.queueIncomingAdvert(message, host.ledger().trackingIndex)
            if (wakeAt > demandAt) {
              if (now > demandAt) demandAt = runAfter(now)
              sooner.openUnsafe()
            }
            break
          case "FloodDemand":
            records.record(message.type, keyOf(message), message.size, peer.session.stats)
            receiveDemand(peer, message, state.answers)
            break
          case "TxSet":
          case "GeneralizedTxSet":
          case "ScpQuorumSet":
            records.record(message.type, fetcher.hashOf(message), message.size, peer.session.stats)
            break
          case "TimeSlicedSurveyRequest":
          case "TimeSlicedSurveyResponse":
          case "TimeSlicedSurveyStartCollecting":
          case "TimeSlicedSurveyStopCollecting":
            records.record(message.type, keyOf(message), message.size, peer.session.stats)
            break
        }
      }
      // A batch is of one lane, so at most one of the two has any.
      if (fresh.length > 0) return receiveScp(state, fresh)
      return transactions.length > 0 ? receiveTransactions(state, transactions) : undefined
    }
    // Before the items of a batch: a set may be large, and an SCP message that needs it joins the search for it.
  }, { first: true })

  fetcher.knownBy((key) => gate.getPeersKnows(key, peers.authenticated()))
  yield* fetcher.deliverTo((messages) =>
    isReadonlyArrayNonEmpty(messages) ? scp.judge(messages, messages.map(keyOf), undefined) : Effect.void
  )

  /** Advertises what is due, and gives the time of the next turn. */
  const advertiseSome = (now: number): number => {
    rounds.tick(now, advertise)
    let next = rounds.nextDeadline ?? Infinity
    for (const { adverts, peer } of flooded.values()) {
      sendAdvert(peer, adverts.tick(now))
      next = Math.min(next, adverts.nextDeadline ?? Infinity)
    }
    return next
  }

  /**
   * Sends what is due, and gives the time of the next turn. Out of sync nothing is advertised: demands are ignored then,
   * and a peer that has asked in vain does not ask again.
   */
  const turn = (): number => {
    const now = millis()
    if (now >= demandAt) {
      demandAt = runAfter(now)
      demandSome()
    }
    isHolding = !host.ledger().isSynced
    let next = isHolding ? Infinity : advertiseSome(now)
    if (demands.size > 0) next = Math.min(next, now + FORGET_PERIOD_MILLIS)
    for (const { adverts } of flooded.values()) if (adverts.size > 0) next = Math.min(next, demandAt)
    return next
  }
  const failed = (defect: unknown): Effect.Effect<number> =>
    Effect.as(Effect.logError("A defect in the timer of adverts and demands", defect), demandAt)
  yield* Effect.gen(function*() {
    while (true) {
      sooner.closeUnsafe()
      wakeAt = yield* Effect.catchDefect(Effect.sync(turn), failed)
      const wait = Math.max(1, Math.ceil(wakeAt - millis()))
      yield* wakeAt === Infinity ? sooner.await : Effect.raceFirst(Effect.sleep(wait), sooner.await)
    }
  }).pipe(Effect.forkScoped)

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      gate.shutdown()
      demands.shutdown()
      rounds.clear()
      for (const { adverts } of flooded.values()) adverts.shutdown()
    })
  )

  return Flood.of({
    broadcast: (message) => {
      if (message._tag !== "Transaction") return broadcast(message)
      const key = keyOf(message)
      const hash = crypto.sha256(message.envelope)
      const isTold = host.ledger().isSynced
      const told = isTold ? broadcast(message, key) : 0
      if (host.transaction(hash) !== undefined) enqueue(message, hash, key, isTold)
      return told
    },
    enqueue: (message) => enqueue(message, crypto.sha256(message.envelope), keyOf(message)),
    received: (message, from) => {
      gate.addRecord(keyOf(message), from, host.ledger().trackingIndex, millis())
    },
    clearBelow: (ledgerSeq) => {
      gate.clearBelow(ledgerSeq)
      for (const { adverts } of flooded.values()) adverts.clearBelow(ledgerSeq)
    },
    ledgerChanged: () => {
      limits = makeLimits()
      rounds.updateLimits(limits)
      markPending()
      if (isHolding && host.ledger().isSynced) sooner.openUnsafe()
      for (const { adverts } of flooded.values()) adverts.updateLimits(limits)
    },
    gate,
    rounds,
    demands,
    records,
    stats
  })
})
