/**
 * Runs scenarios: a whole network in a world, its faults, its traffic, and everything that watches it.
 *
 * One scenario gives one outcome, always the same, on any machine: what the checkers found, which faults took effect how
 * often, which rare points were reached, and a hash of everything that happened.
 *
 * **Example** (A seed, and what was wrong with it)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as Campaign from "@stellar-overlay/overlay-test/campaign/Campaign"
 * import * as Scenario from "@stellar-overlay/overlay-test/campaign/Scenario"
 *
 * const outcome = Effect.runSync(Campaign.run(Scenario.draw(7)))
 * outcome.failures // []
 * ```
 *
 * @since 0.1.0
 */
import type * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import * as OverlayMetrics from "@stellar-overlay/overlay/OverlayMetrics"
import type { Peer } from "@stellar-overlay/overlay/Peer"
import { Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import { snapshot } from "../internal/campaignSnapshot.ts"
import * as CampaignTransport from "../internal/campaignTransport.ts"
import { hex } from "../internal/hex.ts"
import * as SimCluster from "../SimCluster.ts"
import type { SimEvent } from "../SimNetwork.ts"
import * as SimNetwork from "../SimNetwork.ts"
import * as TestCrypto from "../TestCrypto.ts"
import type { TestNode } from "../TestNode.ts"
import * as World from "../World.ts"
import type { Checker, Failure } from "./Checker.ts"
import { Panel } from "./Checker.ts"
import * as ConnectionCheckers from "./ConnectionCheckers.ts"
import * as FloodCheckers from "./FloodCheckers.ts"
import { alive, everyLink, oneChain } from "./NetworkCheckers.ts"
import type { Observation, Phase } from "./Observation.ts"
import * as PeerCheckers from "./PeerCheckers.ts"
import type { Scenario } from "./Scenario.ts"
import * as ScenarioCheckers from "./ScenarioCheckers.ts"
import * as SearchCheckers from "./SearchCheckers.ts"
import * as Sometimes from "./Sometimes.ts"
import * as SyncCheckers from "./SyncCheckers.ts"
import * as TimeCheckers from "./TimeCheckers.ts"
import * as WireCheckers from "./WireCheckers.ts"
import { WireTap } from "./WireTap.ts"

/**
 * How one scenario went. Plain data.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome {
  readonly seed: string
  readonly failures: ReadonlyArray<Failure>
  /** How often each kind of fault took effect; kinds that did not are absent. */
  readonly fired: Readonly<Record<string, number>>
  /** Kinds that the scenario has, whether they took effect or not. */
  readonly planned: ReadonlyArray<string>
  readonly sometimes: ReadonlyArray<Sometimes.Point>
  readonly traceHash: string
  /** Virtual milliseconds. */
  readonly millis: number
  /** Tasks and timers run. */
  readonly steps: number
  /** Messages written to links. */
  readonly messages: number
  /** The highest ledger. */
  readonly ledger: number
}

/**
 * What may be different about a run, none of which changes what happens in it.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Sees everything that checkers see. */
  readonly onObservation?: ((observation: Observation) => void) | undefined
  /** Sees what the network tells, chunks included. */
  readonly onSimEvent?: ((event: SimEvent) => void) | undefined
  readonly onFailure?: ((failure: Failure) => void) | undefined
  readonly onPoint?: ((point: Sometimes.Point, at: number) => void) | undefined
  /** More checkers, for what is particular to a test. */
  readonly checkers?: ReadonlyArray<Checker> | undefined
}

/**
 * The checkers that judge every run beside those that depend on the scenario: `alive`, `everyLink` and those of
 * `ScenarioCheckers`.
 *
 * @category constants
 * @since 0.1.0
 */
export const checkers: ReadonlyArray<Checker> = [
  oneChain,
  WireCheckers.creditConserved,
  WireCheckers.inOrder,
  FloodCheckers.pulledOnce,
  FloodCheckers.lonelyHeard,
  PeerCheckers.oneReason,
  PeerCheckers.slotsConserved,
  PeerCheckers.boundsKept,
  PeerCheckers.nobodyAccused,
  PeerCheckers.nothingLeft,
  SyncCheckers.foundPeers,
  SyncCheckers.syncFollowed,
  SearchCheckers.lostAsk,
  SearchCheckers.refusalsHeard,
  TimeCheckers.handshakeEnds,
  TimeCheckers.pinged,
  ConnectionCheckers.goneIsGone,
  ConnectionCheckers.oneDialStays,
  ConnectionCheckers.lostRotate,
  ConnectionCheckers.othersTold,
  ConnectionCheckers.endsTold,
  ConnectionCheckers.placesReturn
]

/**
 * Steps that a scenario may take; a livelock ends here.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_STEPS = 5_000_000

/** Between two snapshots of all nodes. */
const SAMPLE_MILLIS = 2500

/** A link that was silent for so long, with nothing under way, has all its books closed. */
const REST_MILLIS = 1500

/** Operators look after nodes that are not connected this often while the network heals. */
const OPERATOR_MILLIS = 4000

/** Beyond twice the way through the network, what a message may take through it. */
const SETTLE_MILLIS = 3000

/** What the end of all nodes may take. */
const GOODBYE_MILLIS = 60_000

const { primitives } = TestCrypto.make("campaign")

/** An envelope of a transaction that differs from all others by a number: payments without operations. */
const envelope = (n: number): Uint8Array => {
  const bytes = new Uint8Array(100)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, 2) // ENVELOPE_TYPE_TX
  view.setUint32(4, 0) // KEY_TYPE_ED25519
  bytes.fill(9, 8, 40)
  view.setUint32(40, 100) // fee
  view.setUint32(48, n) // sequence number
  // preconditions, memo, operations, extension and signatures: none of each
  return bytes.slice(0, 72)
}

interface Watch {
  readonly observe: (observation: Observation) => void
  readonly panel: Panel
  readonly points: Sometimes.Watch
}

/** The network of a scenario, from its first start to its last goodbye. */
const program = (
  scenario: Scenario,
  watch: Watch,
  lastMessageAt: ReadonlyMap<number, number>,
  openedAt: (link: number) => number | undefined
) =>
  Effect.gen(function*() {
    const { observe } = watch
    const world = yield* World.World
    const network = yield* SimNetwork.SimNetwork
    const cluster = yield* SimCluster.SimCluster
    const { closeTimeMillis, phases } = scenario
    let phase: Phase = "faults"
    const enter = (next: Phase): void => {
      phase = next
      observe({ _tag: "Phase", at: world.millis, phase })
    }
    const handled = new WeakMap<TestNode, Set<Peer>>()
    /** What a program on each node is told of its peers. */
    const handle = Effect.gen(function*() {
      for (const { running, status } of cluster.nodes) {
        if (running === undefined || status !== "running" || handled.has(running)) continue
        const told = new Set<Peer>()
        handled.set(running, told)
        yield* running.overlay.peers.handle({
          connected: (peer) => void told.add(peer),
          disconnected: (peer) => void told.delete(peer)
        })
      }
    })
    const look = (): void => {
      const around = {
        at: world.millis,
        links: network.links(),
        lastMessageAt: (link: number) => lastMessageAt.get(link) ?? 0,
        restMillis: phase === "liveness" ? REST_MILLIS : Infinity
      }
      for (const node of cluster.nodes) {
        const { name, running, status } = node
        if (running === undefined || status !== "running") continue
        observe(snapshot(node, running, around))
        const told = handled.get(running)
        if (told !== undefined) observe({ _tag: "Handled", at: world.millis, node: name, peers: told.size })
      }
    }
    /**
     * A machine that gets bytes of a connection it does not know answers with an RST: what is open at one end only ends
     * soon after the network is whole again, and not when somebody's patience does.
     */
    const resetHalves = Effect.suspend(() => {
      const knows = (name: string, other: string) => cluster.node(name).peers().includes(other)
      const halves = network.links().filter(({ from, id, to }) =>
        (openedAt(id) ?? world.millis) < world.millis - OPERATOR_MILLIS && !(knows(from, to) && knows(to, from))
      )
      return Effect.forEach(halves, ({ sever }) => sever, { discard: true })
    })
    /** What operators do who see that their node is alone. */
    const reconnect = (): void => {
      for (const { knows, name } of scenario.nodes) {
        const { running } = cluster.node(name)
        if (running === undefined) continue
        const peers = new Set(cluster.node(name).peers())
        for (const other of knows) {
          if (!peers.has(other)) running.overlay.peers.dial(cluster.node(other).address, { force: true })
        }
      }
    }
    let submitted = 0
    const traffic = Effect.gen(function*() {
      if (scenario.transactionsPerSecond <= 0) return
      const random = world.random("traffic")
      while (true) {
        yield* Effect.sleep(1000 / scenario.transactionsPerSecond * (0.5 + random.nextDoubleUnsafe()))
        const up = cluster.nodes.filter(({ ledger, status }) => ledger !== undefined && status === "running")
        const node = up[random.nextBelowUnsafe(Math.max(1, up.length))]
        if (node?.ledger === undefined) continue
        const message = Transaction.make({ envelope: envelope(++submitted) })
        if (node.ledger.submit(message) !== "pending") continue
        observe({
          _tag: "Submitted",
          at: world.millis,
          node: node.name,
          hash: hex(primitives.sha256(message.envelope))
        })
      }
    })

    enter("faults")
    yield* cluster.startAll
    const sampling = yield* Effect.forkChild(
      Effect.forever(Effect.andThen(Effect.sleep(SAMPLE_MILLIS), Effect.andThen(handle, Effect.sync(look))))
    )
    const trading = yield* Effect.forkChild(traffic)
    const playing = yield* Effect.forkChild(cluster.play(scenario.faults))
    yield* Effect.sleep(phases.faults)
    playing.interruptUnsafe()
    yield* cluster.heal
    enter("healing")
    for (let rest = phases.healing; rest > 0; rest -= OPERATOR_MILLIS) {
      if (scenario.faults.length > 0) {
        yield* resetHalves
        reconnect()
      }
      yield* Effect.sleep(Math.min(rest, OPERATOR_MILLIS))
    }
    look()
    enter("liveness")
    // The end lies between two ledgers, when little is under way.
    yield* Effect.sleep(phases.liveness + closeTimeMillis - world.millis % closeTimeMillis - closeTimeMillis / 3)
    look()
    enter("stopping")
    sampling.interruptUnsafe()
    trading.interruptUnsafe()
    yield* Effect.forEach(cluster.nodes, ({ name }) => cluster.stop(name), { discard: true })
    yield* Effect.sleep(1000)
    enter("end")
    return {
      fired: Object.fromEntries(cluster.fired),
      sockets: network.links().length
    }
  })

/**
 * Runs a scenario to its end. It never fails: what went wrong is in the outcome.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (scenario: Scenario, options: Options = {}): Effect.Effect<Outcome> =>
  Effect.suspend(() => {
    const { closeTimeMillis, nodes, seed } = scenario
    const names = nodes.map(({ name }) => name)
    const validatorIds: Array<string> = []
    const settleMillis = SETTLE_MILLIS + 2 * nodes.length * (scenario.delayMillis + scenario.jitterMillis)
    const { faults, healing, liveness } = scenario.phases
    const maxMillis = faults + healing + liveness + 2 * closeTimeMillis + GOODBYE_MILLIS
    const panel = new Panel(
      [
        ...checkers,
        ...ScenarioCheckers.make(scenario, settleMillis),
        everyLink(settleMillis),
        alive({ nodes: names, validators: validatorIds, closeTimeMillis, settleMillis }),
        ...options.checkers ?? []
      ],
      options.onFailure
    )
    const points = new Sometimes.Watch({ closeTimeMillis, nodes: nodes.length, onPoint: options.onPoint })
    const lastMessageAt = new Map<number, number>()
    let world: World.World["Service"] | undefined
    let messages = 0
    let ledger = 0
    const observe = (observation: Observation): void => {
      if (observation._tag === "Message") {
        messages++
        lastMessageAt.set(observation.link, observation.at)
        world?.note(observation.type + observation.key)
      } else if (observation._tag === "Ledger") {
        ledger = Math.max(ledger, observation.ledgerSeq)
        world?.note(observation.hash)
      }
      panel.observe(observation)
      points.observe(observation)
      options.onObservation?.(observation)
    }
    const millis = () => world?.millis ?? 0

    const tap = new WireTap({ sha256: primitives.sha256, emit: observe })
    const links = new Map<number, { readonly from: string; readonly to: string; readonly at: number }>()
    const isUp = new Set<string>()
    const isStopping = new Set<string>()
    const starts = new Map<string, number>()
    const onSimEvent = (event: SimEvent): void => {
      options.onSimEvent?.(event)
      switch (event._tag) {
        case "LinkOpened": {
          const { from, link, to } = event
          links.set(link, { from, to, at: event.millis })
          return observe({ _tag: "LinkOpened", at: event.millis, link, dialer: from, listener: to })
        }
        case "LinkClosed":
          links.delete(event.link)
          tap.close(event.link, [event.from, event.to])
          lastMessageAt.delete(event.link)
          return observe({ _tag: "LinkClosed", at: event.millis, link: event.link })
        case "FaultFired":
          return observe({
            _tag: "Fault",
            at: event.millis,
            kind: event.fault._tag,
            detail: event.where,
            nodes: event.where.split(">")
          })
        case "NodeChanged": {
          const { node, status } = event
          if (status === "starting") {
            const incarnation = (starts.get(node) ?? 0) + 1
            starts.set(node, incarnation)
            observe({ _tag: "NodeStarted", at: event.millis, node, incarnation })
            isUp.add(node)
          } else if (status === "stopping") isStopping.add(node)
          else if (status === "down" && isUp.delete(node)) {
            observe({ _tag: "NodeStopped", at: event.millis, node, inOrder: isStopping.delete(node) })
          }
        }
      }
    }

    const nameOf = new Map<string, string>()
    const network = SimNetwork.layer({
      conditions: { delayMillis: scenario.delayMillis, jitterMillis: scenario.jitterMillis },
      onEvent: onSimEvent
    })
    const tapped = CampaignTransport.layer((ip, id, chunk) => {
      const link = links.get(id)
      // Who calls himself has both ends of one link; nothing comes of it.
      if (link === undefined || link.from === link.to) return
      const from = nameOf.get(ip) ?? ip
      tap.write(millis(), id, from, from === link.from ? link.to : link.from, chunk)
    }).pipe(Layer.provideMerge(network))
    const cluster = SimCluster.layer({
      closeTimeMillis,
      nodes: nodes.map(({ config, isValidator, knows, name }) => ({
        name,
        isValidator,
        knows,
        config: config as Partial<OverlayConfig.Values> // checked when the node starts
      })),
      // One is enough to go wrong, if counting can.
      metrics: ({ name }) => name === nodes[0]?.name ? OverlayMetrics.layer : Layer.empty,
      onNodeEvent: (node, event) => {
        const other = "address" in event ? nameOf.get(event.address.host) ?? event.address.host : ""
        observe({ _tag: "Peer", at: millis(), node, event, other })
      },
      onLedger: (node, closed) =>
        observe({
          _tag: "Ledger",
          at: millis(),
          node,
          ledgerSeq: closed.ledgerSeq,
          hash: hex(closed.hash),
          transactions: closed.transactions.map(hex),
          jumpedFrom: closed.jumpedFrom,
          rounds: closed.rounds
        })
    }).pipe(Layer.provideMerge(tapped))

    const logger = Logger.make<unknown, void>(({ cause, fiber, logLevel, message }) => {
      if (!LogLevel.isGreaterThanOrEqualTo(logLevel, "Error")) return
      const node = fiber.getRef(References.CurrentLogAnnotations)["node"]
      const text = [message, Cause.pretty(cause)].flat().map(String).filter((part) => part !== "").join(": ")
      observe({
        _tag: "ErrorLogged",
        at: millis(),
        node: typeof node === "string" ? node : "",
        text: text.slice(0, 500)
      })
    })

    const whole = Effect.gen(function*() {
      world = yield* World.World
      const { nodes: all } = yield* SimCluster.SimCluster
      for (const { id, ip, isValidator, name } of all) {
        nameOf.set(ip, name)
        if (isValidator) validatorIds.push(id)
      }
      return yield* program(scenario, { observe, panel, points }, lastMessageAt, (link) => links.get(link)?.at)
    }).pipe(
      Effect.provide(cluster),
      Effect.provideService(Logger.CurrentLoggers, new Set([logger]))
    )

    return Effect.map(
      World.simulate(whole, { seed, exploration: scenario.exploration, maxSteps: MAX_STEPS, maxMillis }),
      (report): Outcome => {
        const at = report.millis
        const failures: Array<Failure> = []
        if (Exit.isSuccess(report.exit)) {
          const { tasks, timers } = report.pending
          observe({
            _tag: "LeftOver",
            at,
            tasks: tasks + report.left.fibers,
            timers,
            sockets: Math.max(report.exit.value.sockets, report.left.open["connection"] ?? 0)
          })
          panel.end(at)
        } else {
          failures.push({ checker: "world", at, nodes: [], text: Cause.pretty(report.exit.cause).slice(0, 2000) })
        }
        return {
          seed,
          failures: [...panel.failures, ...failures],
          fired: Exit.isSuccess(report.exit) ? report.exit.value.fired : {},
          planned: [...new Set(scenario.faults.map(({ fault }) => fault._tag))],
          sometimes: Sometimes.names.filter((name) => points.reached.has(name)),
          traceHash: report.traceHash,
          millis: at,
          steps: report.steps,
          messages,
          ledger
        }
      }
    )
  })
