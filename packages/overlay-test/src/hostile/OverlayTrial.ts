/**
 * Carries out one variant of an attack on a whole node in a `World` of its own, with honest neighbours beside it, and
 * says what was wrong: with what the attack looks at, and with each of the global invariants.
 *
 * @since 0.1.0
 */
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import * as LogLimiter from "@stellar-overlay/overlay/LogLimiter"
import * as OverlayAdmin from "@stellar-overlay/overlay/OverlayAdmin"
import * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
import * as OverlayHostRelay from "@stellar-overlay/overlay/OverlayHostRelay"
import * as OverlayMetrics from "@stellar-overlay/overlay/OverlayMetrics"
import { Peers } from "@stellar-overlay/overlay/Peers"
import * as SurveyConfig from "@stellar-overlay/overlay/SurveyConfig"
import { type Connection, Transport, type TransportError } from "@stellar-overlay/overlay/Transport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LoopbackTransport from "../LoopbackTransport.ts"
import type { ScriptFailure } from "../Script.ts"
import * as ScriptedPeer from "../ScriptedPeer.ts"
import * as SimNetwork from "../SimNetwork.ts"
import * as TestCrypto from "../TestCrypto.ts"
import * as TestNode from "../TestNode.ts"
import * as World from "../World.ts"
import * as HonestPair from "./HonestPair.ts"
import * as Invariants from "./Invariants.ts"
import {
  type Attackers,
  callers,
  type Environment,
  type Inside,
  type NodeVariant,
  type OverlayAttack,
  type Victim
} from "./OverlayAttack.ts"
import { RecordingHost } from "./RecordingHost.ts"
import { TurnMeter } from "./TurnMeter.ts"
import { type Validator, validator } from "./Validators.ts"

/**
 * Where everybody is: the victim, and its honest neighbours. Attackers are wherever their attack says, best from 20.x on.
 *
 * @category constants
 * @since 0.1.0
 */
export const hosts = { victim: "10.1.0.1", speaker: "10.2.0.1", listener: "10.3.0.1" } as const

/**
 * The port of the victim, and of attackers that are called.
 *
 * @category constants
 * @since 0.1.0
 */
export const PORT = 11_625

/**
 * A validator that a node with the `relay` host trusts, and should not: one of three.
 *
 * @category constants
 * @since 0.1.0
 */
export const liar: Validator = validator("liar")

/** Seconds of undisturbed traffic before an attack, to compare with. */
const WARM_UP_SECONDS = 3

/** How often the bounds are looked at, in milliseconds: in the first minute of an attack, and after it. */
const LOOK_MILLIS = { first: 25, later: 2000 }

/**
 * What came of a trial.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome {
  /** What was wrong, in words; empty when nothing was. */
  readonly problems: ReadonlyArray<string>
  /** Virtual milliseconds and steps of the world. */
  readonly millis: number
  readonly steps: number
  /** Connections that attackers made. */
  readonly connections: number
  /** The modelled cost of the most expensive turn, in microseconds. */
  readonly worstTurn: number
  readonly amplification: number
}

/** The victim's host, with its work weighed as the node's is. */
const layerHost = (variant: NodeVariant, recording: RecordingHost, meter: TurnMeter) => {
  if (variant.victim.host !== "relay") return Layer.succeed(OverlayHost, meter.overHost(recording.service))
  return Layer.effect(
    OverlayHost,
    Effect.map(
      OverlayHostRelay.make({ trust: { validators: [...HonestPair.honestValidators, liar].map(({ id }) => id) } }),
      ({ host }) => meter.overHost(host)
    )
  ).pipe(
    Layer.provide(Layer.succeed(OverlayCrypto, meter.over(TestCrypto.make("relay host").primitives))),
    Layer.provide(OverlayConfig.OverlayConfig.layer(OverlayConfig.standalone)),
    Layer.orDie
  )
}

const isLoopback = (connection: Connection): connection is LoopbackTransport.LoopbackConnection => "link" in connection

/** Attackers on a loopback network; `keys` receives the address of each connection they make. */
const makeAttackers = (
  network: LoopbackTransport.LoopbackNetwork["Service"],
  victim: Victim,
  keys: Set<string>
): Attackers => {
  const at = (ip: string): Transport["Service"] => {
    const transport = network.transportAt(ip)
    return {
      listen: transport.listen,
      dial: (address, options) =>
        Effect.tap(transport.dial(address, options), (connection) =>
          Effect.sync(() => {
            if (isLoopback(connection)) keys.add(connection.link.dialer.key)
          }))
    }
  }
  const dial = (ip: string, options: ScriptedPeer.Options = {}) =>
    ScriptedPeer.connect(victim.address, { seed: ip, ...options }).pipe(
      Effect.provideService(Transport, at(ip)),
      Effect.catchTag("WireError", Effect.die)
    )
  return {
    ...callers(dial),
    called: Effect.fnUntraced(function*(ip, options = {}) {
      const listener = yield* at(ip).listen({ host: ip, port: PORT })
      Context.get(victim.inside.services, Peers).dial(listener.address, { force: true })
      return yield* ScriptedPeer.accept(listener, { seed: ip, ...options })
    }),
    transportAt: at
  }
}

const trial = Effect.fnUntraced(function*(
  attack: OverlayAttack,
  variant: NodeVariant,
  bytes: Invariants.ByteMeter
): Effect.fn.Return<
  Omit<Outcome, "millis" | "steps">,
  TransportError | ScriptFailure,
  Environment
> {
  const world = yield* World.World
  const network = yield* LoopbackTransport.LoopbackNetwork
  const clock = yield* Clock.Clock
  const meter = new TurnMeter(() => world.steps)
  const events: Array<OverlayEvent> = []
  const recording = new RecordingHost()
  const { config, peers, store, survey } = variant.victim
  let logged = 0
  const counting = new Set([Logger.make(() => logged++)])
  const log = yield* Effect.provideService(LogLimiter.make(), Logger.CurrentLoggers, counting)
  const metrics = yield* OverlayMetrics.make()

  const services = yield* TestNode.start({
    name: "victim",
    ip: hosts.victim,
    config,
    peers,
    store,
    host: layerHost(variant, recording, meter),
    transport: Layer.succeed(Transport, meter.overTransport(network.transportAt(hosts.victim))),
    metrics: Layer.succeed(OverlayMetrics.OverlayMetrics, metrics),
    // As a program does that has its log in lines: one for each drop, within the limit of all lines.
    onEvent: (event) => {
      events.push(event)
      if (event._tag === "PeerDropped" && log.offer("event")) logged++
    }
  }).pipe(
    Effect.provideService(Logger.CurrentLoggers, new Set([...counting].map(log.limit))),
    Effect.provideService(SurveyConfig.SurveyConfig, { ...SurveyConfig.defaults, ...survey }),
    // A configuration of this catalogue that contradicts itself is a mistake in it.
    Effect.orDie
  )
  const { crypto, handshake } = Context.get(services, LocalNode)
  const counted = TestCrypto.make("unused", { ...crypto })
  Object.assign(crypto, meter.over({ ...counted.primitives, randomBytes: crypto.randomBytes }))
  const inside: Inside = {
    services,
    events,
    host: recording,
    isRelay: variant.victim.host === "relay",
    crypto: counted.counts,
    verified: () => meter.verified,
    logged: () => logged,
    metrics
  }
  const victim: Victim = {
    address: PeerAddress.make(hosts.victim, PORT),
    id: handshake.id,
    networkPassphrase: OverlayConfig.passphrases.standalone,
    operator: {
      ask: (path) => Effect.provideContext(OverlayAdmin.handle(path), services),
      series: Effect.sync(() => metrics.snapshot().families.reduce((sum, { samples }) => sum + samples.length, 0))
    },
    inside
  }

  const keys = new Set<string>()
  const honest = makeAttackers(network, victim, new Set())
  const pair = yield* HonestPair.make((ip) => honest.join(ip), [hosts.speaker, hosts.listener])
  yield* Effect.sleep(`${WARM_UP_SECONDS} seconds`)
  const linksNow = Effect.map(network.links, (links) => links.length)
  /** Fibers and timers come and go: the most or the least of them within a second. */
  const alive = Effect.fnUntraced(function*(choose: (...counts: ReadonlyArray<number>) => number) {
    const seen: Array<World.World["Service"]["alive"]> = []
    for (let i = 0; i < 10; i++) {
      seen.push(world.alive)
      yield* Effect.sleep(100)
    }
    return { fibers: choose(...seen.map(({ fibers }) => fibers)), timers: choose(...seen.map(({ timers }) => timers)) }
  })
  const millis = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const before = { ...Invariants.footprint(services, yield* linksNow), ...yield* alive(Math.max) }
  const began = millis()

  const problems = new Set<string>()
  const look = Effect.suspend(() => {
    for (const problem of Invariants.overflowing(Invariants.held(services))) problems.add(problem)
    return Effect.sleep(millis() - began < 60_000 ? LOOK_MILLIS.first : LOOK_MILLIS.later)
  })
  const looking = yield* Effect.forkScoped(Effect.forever(look))

  const attacked = yield* Effect.exit(Effect.scoped(variant.run(victim, makeAttackers(network, victim, keys))))
  // A short attack says little about its neighbours, and a long one has been looked at all the time.
  yield* Effect.sleep(`${Invariants.RECOVERY_SECONDS - 1} seconds`)
  looking.interruptUnsafe()
  const after = { ...yield* alive(Math.min), ...Invariants.footprint(services, yield* linksNow) }
  const ended = millis()
  yield* Effect.sleep("500 millis") // what is under way arrives

  if (Exit.isFailure(attacked)) {
    const { cause } = attacked
    problems.add(
      `the attack: ${cause.reasons.map((reason) => String("error" in reason ? reason.error : reason)).join()}`
    )
  }
  for (const [name, { script }] of [["speaker", pair.speaker], ["listener", pair.listener]] as const) {
    if (script.ending !== undefined) problems.add(`G2 the honest ${name} was dropped: ${script.endingText}`)
  }
  const passages = pair.passages(0)
  const isHonest = new Set<string>([hosts.speaker, hosts.listener])
  const ofAttackers = events.filter((event) => !("address" in event) || !isHonest.has(event.address.host))
  const found = [
    ...Invariants.defects(attack.id === "O5" ? [] : ofAttackers),
    ...Invariants.neighbours(
      passages.filter(({ saidAt }) => saidAt > began - 2000 && saidAt < began),
      passages.filter(({ saidAt }) => saidAt >= began && saidAt < ended)
    ),
    ...Invariants.leftBehind(before, after),
    ...meter.problems(),
    ...Invariants.drops(ofAttackers, keys),
    ...Invariants.counted(
      events,
      metrics.snapshot(),
      (log.passed.get("event") ?? 0) + (log.suppressed.get("event") ?? 0)
    ),
    ...bytes.problems(attack.amplification)
  ]
  for (const problem of found) problems.add(problem)
  return {
    problems: [...problems],
    connections: keys.size,
    worstTurn: Math.round(meter.worst),
    amplification: bytes.amplification
  }
})

/**
 * Carries out a variant, in a world of its own.
 *
 * @category running
 * @since 0.1.0
 */
export const inWorld = (
  attack: OverlayAttack,
  variant: NodeVariant,
  options: { readonly seed?: number | string | undefined; readonly latencyMillis?: number | undefined } = {}
): Effect.Effect<Outcome> => {
  const bytes = new Invariants.ByteMeter(hosts.victim, [hosts.speaker, hosts.listener])
  const network = SimNetwork.layer({
    conditions: { delayMillis: options.latencyMillis ?? 10 },
    onBytes: (chunk, { from, link, to }) => bytes.onBytes(link, from, to, chunk)
  })
  return Effect.scoped(trial(attack, variant, bytes)).pipe(
    Effect.tap(() => Effect.sleep("1 second")),
    Effect.provide(network),
    World.simulate({ seed: options.seed, maxSteps: 50_000_000 }),
    Effect.map(({ exit, millis, pending, steps, ...report }): Outcome => {
      const left = "left" in report ? report.left.fibers : 0
      const leaks = pending.tasks + pending.timers + left === 0
        ? []
        : [`G4 when all was over, ${pending.tasks} tasks, ${pending.timers} timers and ${left} fibers were left`]
      return Exit.isSuccess(exit)
        ? { ...exit.value, problems: [...exit.value.problems, ...leaks], millis, steps }
        : { problems: [`G1 ${String(exit.cause)}`], millis, steps, connections: 0, worstTurn: 0, amplification: 0 }
    })
  )
}
