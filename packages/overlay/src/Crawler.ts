/**
 * Who is on a network: from a few seeds to everybody they know, everybody those know, and so on.
 *
 * A crawl connects to each address once it is due, hears whom the node knows (PEERS), listens to SCP for a moment, and
 * leaves. Full nodes answer too: they tell whom they know before they refuse us. What was found comes as a stream of
 * events, pulled as fast as the reader can store them.
 *
 * It is polite: see `CrawlLimits` for the rates, `CrawlFrontier` for how they are kept. Addresses no honest node passes on
 * are neither kept nor dialled (see `CrawlRefusal`).
 *
 * Implements the outside of protocol.md 2.5 and 8.4; stellar-core has no such program.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { CrawlAttempt, CrawlEvent, CrawlOutcome, CrawlProgress, CrawlState } from "./CrawlerEvents.ts"
import { equals, toHex } from "./internal/bytes.ts"
import { CrawlNodes } from "./internal/crawlNodes.ts"
import { type Told, type Visit, visit } from "./internal/crawlVisit.ts"
import { Gate } from "./internal/gate.ts"
import { LocalNode } from "./LocalNode.ts"
import {
  CrawlFrontier,
  type CrawlLimits,
  type CrawlRefusal,
  type CrawlStep,
  defaultCrawlLimits
} from "./protocol/CrawlFrontier.ts"
import { type CrawlStatus, ofDrop } from "./protocol/CrawlStatus.ts"
import { ScpSignatures } from "./protocol/ScpSignature.ts"
import { resolve, type Resolver } from "./Resolver.ts"
import type { Transport } from "./Transport.ts"
import { PeerAddress } from "./wire/PeerAddress.ts"

/**
 * How long an open node is listened to unless told otherwise: a ledger and a ping.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_LISTEN_MILLIS = 6000

/**
 * Events that wait for their reader; then the crawl waits.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_EVENTS = 1024

/** Seeds resolved at once. */
const RESOLVE_CONCURRENCY = 8

/**
 * Where to begin, and everything else that may be chosen. Limits not given are `defaultCrawlLimits`; whether IPv6,
 * private and loopback addresses count is taken from the `OverlayConfig` unless given.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrawlOptions extends Partial<CrawlLimits> {
  /** Addresses or names, always dialled. Text that is neither is left out: check it before. */
  readonly seeds: ReadonlyArray<string | PeerAddress>
  /** How long to listen to a node that lets us in; 0 leaves as soon as it told whom it knows. */
  readonly listenMillis?: number | undefined
  /** The crawl ends after this long, in this run; no bound by default. */
  readonly maxMillis?: number | undefined
  /** Where an earlier run stood: what was done is not dialled again. */
  readonly state?: CrawlState | undefined
  /**
   * Other networks whose nodes to recognize: who closes the connection without a word is asked once more in the name of
   * each, at the pace of its host. None by default.
   */
  readonly otherNetworks?: ReadonlyArray<LocalNode["Service"]> | undefined
}

/**
 * A crawl under way.
 *
 * @category models
 * @since 0.1.0
 */
export interface Crawler {
  /** Everything that happens, once; ends after `CrawlEnded`. Nobody pulling stops the crawl for a while. */
  readonly events: Stream.Stream<CrawlEvent>
  readonly progress: () => CrawlProgress
  /** All that is needed to go on later. */
  readonly state: () => CrawlState
  /** Ends the crawl now: what is under way is given up, and will be dialled again by whoever goes on. */
  readonly stop: Effect.Effect<void>
}

type Services = LocalNode | Transport | Resolver

const statusOf = (seen: Visit, networkId: Uint8Array): CrawlStatus => {
  if (seen.established) return "open"
  if (seen.reason === undefined) return "unresponsive"
  // Nobody signs an ERROR_MSG: a node that has no room proves itself before it says so.
  if (seen.reason._tag === "LoadErrorReceived" && seen.remote === undefined) return "rejected"
  return ofDrop(seen.reason, seen.networkId && equals(seen.networkId, networkId))
}

/**
 * Starts a crawl that lasts as long as the scope at most.
 *
 * **Example** (Everybody on the test network)
 *
 * ```ts
 * import * as Crawler from "@stellar-overlay/overlay/Crawler"
 * import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
 * import * as NodeResolver from "@stellar-overlay/overlay/NodeResolver"
 * import { Console, Effect, Layer, Stream } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const crawler = yield* Crawler.make({ seeds: ["core-testnet1.stellar.org"], maxMillis: 600_000 })
 *   yield* Stream.runForEach(crawler.events, (event) =>
 *     event._tag === "NodeSeen" ? Console.log(event.node.id, event.node.status) : Effect.void)
 *   return crawler.progress()
 * }).pipe(
 *   Effect.scoped,
 *   Effect.provide(Layer.merge(NodeOverlay.layer({ network: "testnet" }), NodeResolver.layer))
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: CrawlOptions
): Effect.fn.Return<Crawler, never, Services | Scope.Scope> {
  const local = yield* LocalNode
  const random = yield* Random.Random
  const clock = yield* Clock.Clock
  const draw = () => random.nextDoubleUnsafe()
  const { listenMillis = DEFAULT_LISTEN_MILLIS, maxMillis, otherNetworks = [], state } = options
  const limits = limitsOf(options, local)

  const monotonic = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const clockOffset = clock.currentTimeMillisUnsafe() - monotonic()
  /** Unix milliseconds that never go back. */
  const now = () => Math.round(clockOffset + monotonic())

  const frontier = new CrawlFrontier(limits, draw, state?.addresses)
  const nodes = new CrawlNodes(state?.nodes)
  const signatures = new Map(
    [local, ...otherNetworks].map((one) => [one, new ScpSignatures(one.crypto, one.networkId, draw)] as const)
  )
  const startedAt = now()
  /** How long visits take, the recent ones above all; undefined before the first. */
  let visitMillis: number | undefined
  let attempts = state?.addresses.reduce((sum, address) => sum + address.attempts, 0) ?? 0
  const byStatus: Partial<Record<CrawlStatus, number>> = {}
  for (const { done, status } of state?.addresses ?? []) if (done) byStatus[status] = (byStatus[status] ?? 0) + 1
  const refused: Partial<Record<CrawlRefusal, number>> = {}

  const queue = yield* Effect.acquireRelease(Queue.bounded<CrawlEvent, Cause.Done>(MAX_EVENTS), Queue.shutdown)
  const emit = (event: CrawlEvent) => Queue.offer(queue, event)
  const emitting = yield* Semaphore.make(1)
  const wake = new Gate(false)
  let ended: CrawlOutcome | undefined

  /** What is known now, by rounds of visits, by the rate of dials, and by the next back-off. */
  const eta = (): number | undefined => {
    if (visitMillis === undefined) return undefined
    const { active, waiting } = frontier
    const rounds = Math.ceil((active + waiting) / limits.concurrency)
    const next = active > 0 ? undefined : frontier.nextAt()
    return Math.round(Math.max(
      rounds * visitMillis,
      waiting * 1000 / limits.dialsPerSecond,
      next === undefined ? 0 : next - now() + visitMillis
    ))
  }

  const activeMillis = () => (state?.activeMillis ?? 0) + now() - startedAt
  const progress = (): CrawlProgress => {
    const { active, done, known, waiting } = frontier
    return {
      activeMillis: activeMillis(),
      known,
      done,
      active,
      waiting,
      attempts,
      nodes: nodes.size,
      byStatus: { ...byStatus },
      refused: { ...refused },
      etaMillis: ended !== undefined || frontier.isDone ? 0 : eta()
    }
  }

  const over = (status: CrawlStatus) => {
    byStatus[status] = (byStatus[status] ?? 0) + 1
  }

  /** The events of one thing that happened stay together. */
  const emitAll = (events: ReadonlyArray<CrawlEvent>) =>
    Semaphore.withPermit(emitting, Effect.forEach(events, emit, { discard: true }))

  /** Takes what a node told; returns how much of it was poison. */
  const learn = ({ addresses, malformed, remote }: Told, depth: number) => {
    const counts: Partial<Record<CrawlRefusal, number>> = {}
    const count = (why: CrawlRefusal, by = 1) => {
      counts[why] = (counts[why] ?? 0) + by
      refused[why] = (refused[why] ?? 0) + by
    }
    if (malformed > 0) count("Unroutable", malformed)
    const events: Array<CrawlEvent> = []
    const good: Array<{ readonly host: string; readonly port: number }> = []
    const from = { address: remote.address, id: remote.id, depth }
    for (const address of addresses) {
      const answer = frontier.add(address, from, now())
      if (answer !== "Added" && answer !== "Known") {
        count(answer)
        continue
      }
      good.push({ host: address.host, port: address.port })
      const record = answer === "Added" ? frontier.get(address) : undefined
      if (record !== undefined) events.push({ _tag: "AddressFound", address: record })
    }
    events.push({ _tag: "PeersTold", at: now(), nodeId: remote.id, addresses: good, refused: counts })
    wake.open()
    return { events, poisoned: (counts.Unroutable ?? 0) + (counts.Port ?? 0) }
  }

  const visitAs = (one: LocalNode["Service"], target: PeerAddress, onPeers: (told: Told) => Effect.Effect<void>) =>
    Effect.provideService(
      visit(target, { onPeers, signatures: signatures.get(one)!, listenMillis, now }),
      LocalNode,
      one
    )

  /** The network of a node that closes the connection without a word, if it is one of those we know. */
  const recognize = Effect.fnUntraced(function*(target: PeerAddress) {
    for (const one of otherNetworks) {
      yield* Effect.sleep(Math.max(limits.hostIntervalMillis, limits.subnetIntervalMillis))
      const seen = yield* visitAs(one, target, () => Effect.void)
      if (seen.networkId !== undefined && equals(seen.networkId, one.networkId)) return seen.networkId
    }
    return undefined
  })

  const dial = Effect.fnUntraced(function*({ number, target }: CrawlStep) {
    const at = now()
    let poisoned = 0
    const seen = yield* visitAs(local, target, (told) => {
      const learnt = learn(told, frontier.get(target)?.depth ?? 0)
      poisoned = learnt.poisoned
      return emitAll(learnt.events)
    })
    let status = statusOf(seen, local.networkId)
    let { networkId } = seen
    if (status === "closed" && networkId === undefined && number >= limits.attempts) {
      networkId = yield* recognize(target)
      if (networkId !== undefined) status = "wrong-network"
    }
    const endedAt = now()
    const { reason } = seen
    const remote = status === "wrong-network" ? undefined : seen.remote
    // The same node answers at another address, where we are just now: no answer about this one.
    const again = reason?._tag === "ErrorReceived" && /already.connected/.test(reason.detail)

    const events: Array<CrawlEvent> = []
    if (remote !== undefined) {
      for (const node of nodes.heard(seen.statements)) {
        if (node.id !== remote.id) events.push({ _tag: "NodeSeen", node })
      }
      events.push({ _tag: "NodeSeen", node: nodes.see(remote, seen, { status, refused: poisoned, now: endedAt }) })
    }
    const attempt: CrawlAttempt = {
      host: target.host,
      port: target.port,
      number,
      startedAt: at,
      endedAt,
      status,
      reason: reason?._tag,
      detail: reason?.detail === "" ? undefined : reason?.detail,
      nodeId: remote?.id,
      networkId: networkId && toHex(networkId),
      connectMillis: seen.connectMillis,
      handshakeMillis: seen.handshakeMillis,
      pingMillis: seen.pingMillis
    }
    const address = frontier.finish(target, { status, nodeId: remote?.id, again }, endedAt)
    attempts++
    visitMillis = visitMillis === undefined ? endedAt - at : 0.9 * visitMillis + 0.1 * (endedAt - at)
    if (address !== undefined) {
      if (address.done) over(address.status)
      events.push({ _tag: "AttemptEnded", attempt, address })
    }
    wake.open()
    yield* emitAll(events)
  })

  /** What is under way, each with what it is about. */
  const visits = yield* FiberSet.make<void>()
  const start = (step: CrawlStep) =>
    FiberSet.run(
      visits,
      dial(step).pipe(
        Effect.catchDefect((defect) => Effect.logError("A defect ended a visit", defect)),
        Effect.ensuring(Effect.sync(() => {
          frontier.release(step.target, now()) // nothing where it finished
          wake.open()
        }))
      )
    )

  const seed = Effect.gen(function*() {
    const given = options.seeds.flatMap((one) => {
      if (typeof one !== "string") return [one]
      const parsed = PeerAddress.parse(one)
      return Result.isSuccess(parsed) ? [parsed.success] : []
    })
    // A name without an address stays a name: dialling it says why, and tries again.
    const resolved = yield* Effect.forEach(
      given,
      (address) => Effect.orElseSucceed(resolve(address, { ipv6: limits.ipv6 }), () => address),
      { concurrency: RESOLVE_CONCURRENCY }
    )
    for (const address of resolved) {
      if (frontier.addSeed(address, now()) !== "Added") continue
      const record = frontier.get(address)
      if (record !== undefined) yield* emit({ _tag: "AddressFound", address: record })
    }
  })

  const untilNext = Effect.suspend(() => {
    wake.close()
    const next = frontier.nextAt()
    const deadline = maxMillis === undefined ? undefined : startedAt + maxMillis
    const at = next === undefined ? deadline : deadline === undefined ? next : Math.min(next, deadline)
    if (at === undefined) return wake.await
    return Effect.raceFirst(wake.await, Effect.sleep(Math.max(1, Math.ceil(at - now()))))
  })

  const loop = Effect.gen(function*(): Effect.fn.Return<CrawlOutcome, never, LocalNode | Transport | Resolver> {
    yield* seed
    while (!frontier.isDone) {
      if (maxMillis !== undefined && now() - startedAt >= maxMillis) return "time-limit"
      const step = frontier.take(now())
      if (step === undefined) yield* untilNext
      else if (step._tag === "Dial") yield* start(step)
      else {
        const record = frontier.get(step.target)
        if (record === undefined) continue
        over(record.status)
        yield* emitAll([{ _tag: "AddressSkipped", address: record }])
      }
    }
    yield* FiberSet.awaitEmpty(visits)
    return "completed"
  })

  // What is under way is given up last: saying goodbye may take a while, and nobody should have to wait for it.
  const end = Effect.fnUntraced(function*(outcome: CrawlOutcome) {
    for (const node of nodes.settleLags()) yield* emit({ _tag: "NodeSeen", node })
    ended = outcome
    yield* emit({ _tag: "CrawlEnded", at: now(), outcome, progress: progress() })
    yield* Queue.end(queue)
    yield* FiberSet.clear(visits)
  })

  const running = yield* Effect.forkScoped(loop)
  yield* Effect.forkScoped(Effect.flatMap(
    Fiber.await(running),
    (exit) => {
      if (exit._tag === "Success") return end(exit.value)
      const isStopped = Cause.hasInterruptsOnly(exit.cause)
      return Effect.andThen(
        isStopped ? Effect.void : Effect.logError("A defect ended a crawl", exit.cause),
        end("interrupted")
      )
    }
  ))

  return {
    events: Stream.fromQueue(queue),
    progress,
    state: () => ({
      startedAt: state?.startedAt ?? startedAt,
      activeMillis: activeMillis(),
      addresses: frontier.records(),
      nodes: nodes.all()
    }),
    stop: Effect.asVoid(Fiber.interrupt(running))
  }
})

const limitsOf = (options: CrawlOptions, { config }: LocalNode["Service"]): CrawlLimits => {
  const values: Partial<Record<keyof CrawlLimits, number | boolean | undefined>> = options
  const base: CrawlLimits = {
    ...defaultCrawlLimits,
    ipv6: config.ipv6,
    allowLocalhost: config.allowLocalhostForTesting,
    allowPrivate: config.allowPrivateAddressesForTesting
  }
  const given = Object.entries(base).map(([name, value]) => [name, values[name as keyof CrawlLimits] ?? value])
  return Object.fromEntries(given) as CrawlLimits // the same keys with values of the same types
}

/**
 * A crawl as a stream; see `make`. Ending the stream early gives up what is under way.
 *
 * @category constructors
 * @since 0.1.0
 */
export const crawl = (options: CrawlOptions): Stream.Stream<CrawlEvent, never, Services> =>
  Stream.unwrap(Effect.map(make(options), ({ events }) => events))
