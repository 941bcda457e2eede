import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { Direction, LoopbackLink } from "../LoopbackTransport.ts"
import { isNetworkFault, type NetworkFault, type Of, type SimFault, type Timed } from "../SimFault.ts"
import type { Active, Conditions, FromTo, Options, SimEvent, SimNetwork } from "../SimNetwork.ts"
import type { WorldRandom } from "../World.ts"
import type { TimerClock } from "./after.ts"
import { DEFAULT_CAPACITY, DEFAULT_READ_LIMIT, type DialVerdict, Network } from "./loopbackHost.ts"
import { type ActiveFault, FaultBook } from "./simFaults.ts"
import { isBetween, Lane, type LaneContext } from "./simLane.ts"
import { SimLink } from "./simLink.ts"
import type { SimPipeContext } from "./simPipe.ts"

/** What the network takes from its world. */
export interface SimNetEnvironment {
  readonly clock: TimerClock
  readonly random: WorldRandom
  /** Folds what took effect into the trace. */
  readonly note: (event: string) => void
  /** Connections that are left open are in the world's report. */
  readonly opened: (kind: string) => () => void
  /** What schedules and faults that go on by themselves run in. */
  readonly scope: Scope.Scope
}

type Service = SimNetwork["Service"]

/** Who is cut off at present, for the faults that change by themselves. */
interface Phases {
  readonly clogged: Set<string>
  isDown: boolean
}

const shuffled = <A>(values: ReadonlyArray<A>, random: WorldRandom): Array<A> => {
  const out = [...values]
  for (let i = out.length - 1; i > 0; i--) {
    const j = random.nextBelowUnsafe(i + 1)
    const value = out[i]!
    out[i] = out[j]!
    out[j] = value
  }
  return out
}

const pairKey = (from: string, to: string): string => `${from}>${to}`

/**
 * The network behind `SimNetwork`: names, faults, and the links they are about.
 */
export class SimNet implements Service {
  readonly network: Network
  readonly book: FaultBook
  private readonly environment: SimNetEnvironment
  private readonly options: Options
  private readonly names = new Map<string, string>()
  private readonly lanes = new Map<string, Conditions>()
  private readonly simLinks = new Map<number, SimLink>()
  private readonly phases = new Map<NetworkFault, Phases>()
  private readonly pipes: SimPipeContext
  private readonly laneContext: LaneContext

  constructor(options: Options, environment: SimNetEnvironment) {
    this.options = options
    this.environment = environment
    this.pipes = {
      clock: environment.clock,
      draws: environment.random,
      capacity: options.capacity ?? DEFAULT_CAPACITY,
      readLimit: options.readLimit ?? DEFAULT_READ_LIMIT
    }
    this.laneContext = {
      isNode: (name, ip) => this.isNode(name, ip),
      cuts: (fault, from, to) => this.cuts(fault, from, to),
      conditions: (from, to) => this.conditionsOf(from, to),
      faults: () => this.book.active,
      draw: () => environment.random.nextDoubleUnsafe()
    }
    this.book = new FaultBook({
      started: (fault) => this.tell({ _tag: "FaultStarted", millis: this.millis, fault }),
      ended: (fault) => this.tell({ _tag: "FaultEnded", millis: this.millis, fault }),
      fired: (fault, where) => {
        environment.note(fault._tag)
        this.tell({ _tag: "FaultFired", millis: this.millis, fault, where })
      }
    })
    this.network = new Network({ hosts: options.hosts }, {
      link: (made) => this.makeLink(made),
      dial: (from, to) => this.judgeDial(from, to),
      dialFailed: (from, to, reason) =>
        this.tell({ _tag: "DialFailed", millis: this.millis, from: this.nameOf(from), to: this.nameOf(to), reason }),
      roundTripMillis: (from, to) => this.roundTripMillis(from, to)
    }, environment.opened)
  }

  get millis(): number {
    return Number(this.environment.clock.monotonicTimeNanosUnsafe()) / 1e6
  }

  // ------------------------------------------------------------------------------------------------------ names

  readonly name = (name: string, ip: string): void => {
    this.names.set(ip, name)
  }

  readonly nameOf = (ip: string): string => this.names.get(ip) ?? ip

  private isNode(name: string, ip: string): boolean {
    return name === ip || this.names.get(ip) === name
  }

  private ipOf(name: string): string | undefined {
    for (const [ip, known] of this.names) if (known === name) return ip
    return undefined
  }

  // -------------------------------------------------------------------------------------------------- conditions

  private conditionsOf(from: string, to: string): Conditions {
    const { conditions, latencyMillis } = this.options
    const named = this.lanes.get(pairKey(this.nameOf(from), this.nameOf(to))) ?? this.lanes.get(pairKey(from, to))
    return named ?? { delayMillis: latencyMillis, ...conditions }
  }

  readonly setLane: Service["setLane"] = (from, to, conditions) =>
    Effect.sync(() => {
      this.lanes.set(pairKey(from, to), conditions)
      this.refresh()
    })

  readonly setLink: Service["setLink"] = (a, b, conditions) =>
    Effect.andThen(this.setLane(a, b, conditions), this.setLane(b, a, conditions))

  private laneOf(from: string, to: string): Lane {
    return new Lane(this.laneContext, from, to, pairKey(this.nameOf(from), this.nameOf(to)))
  }

  private refresh(): void {
    for (const link of this.simLinks.values()) link.refresh()
  }

  private roundTripMillis(from: string, to: string): number {
    const delay = this.laneOf(from, to).steadyDelayMillis + this.laneOf(to, from).steadyDelayMillis
    let slow = 0
    for (const active of this.activeOf("DialSlow")) {
      if (!isBetween(this.laneContext, active.fault, from, to)) continue
      slow += active.fault.millis
      active.fire(pairKey(this.nameOf(from), this.nameOf(to)))
    }
    return delay + slow
  }

  // ------------------------------------------------------------------------------------------------------- links

  private makeLink(made: {
    readonly id: number
    readonly dialer: SimLink["dialer"]
    readonly listener: SimLink["listener"]
    readonly actualIp: string
    readonly onClosed: () => void
  }): SimLink {
    const from = made.dialer.host
    const to = made.actualIp
    const names = { from: this.nameOf(from), to: this.nameOf(to) }
    const { id } = made
    const { onBytes, onEvent } = this.options
    const link: SimLink = new SimLink({
      ...made,
      context: this.pipes,
      ips: { toDialer: from, toListener: to },
      lanes: { toListener: this.laneOf(from, to), toDialer: this.laneOf(to, from) },
      onWrite: (direction, chunk, arrival) => {
        if (onEvent === undefined && onBytes === undefined) return
        const way = direction === "toListener" ? names : { from: names.to, to: names.from }
        onBytes?.(chunk, { link: id, ...way })
        onEvent?.({ _tag: "Chunk", millis: this.millis, link: id, bytes: chunk.length, arrival, ...way })
      },
      onClosed: () => {
        this.simLinks.delete(id)
        this.tell({ _tag: "LinkClosed", millis: this.millis, link: id, ...names })
        made.onClosed()
      }
    })
    this.simLinks.set(id, link)
    this.tell({ _tag: "LinkOpened", millis: this.millis, link: id, ...names })
    return link
  }

  readonly links = (): ReadonlyArray<LoopbackLink & FromTo> =>
    [...this.simLinks.values()].map((link) =>
      Object.assign(Object.create(link) as SimLink, { // a view with the names as they are now
        from: this.nameOf(link.ips.toDialer),
        to: this.nameOf(link.ips.toListener)
      })
    )

  /** The links of a node, each with what the node reads on it. */
  private linksOf(node: string): Array<readonly [SimLink, Direction]> {
    const found: Array<readonly [SimLink, Direction]> = []
    for (const link of this.simLinks.values()) {
      if (this.isNode(node, link.ips.toDialer)) found.push([link, "toDialer"])
      else if (this.isNode(node, link.ips.toListener)) found.push([link, "toListener"])
    }
    return found
  }

  readonly darken: Service["darken"] = (node) =>
    Effect.sync(() => {
      for (const [link, reads] of this.linksOf(node)) link.halve(reads)
    })

  readonly sever: Service["sever"] = (node) =>
    Effect.sync(() => {
      for (const [link, reads] of this.linksOf(node)) link.breakFrom(reads)
    })

  // ------------------------------------------------------------------------------------------------------- dials

  private *activeOf<K extends NetworkFault["_tag"]>(kind: K): Generator<ActiveFault<Of<K>>> {
    for (const active of this.book.active) {
      if (active.fault._tag === kind) yield active as ActiveFault<Of<K>> // by its kind
    }
  }

  private judgeDial(from: string, to: string): DialVerdict {
    const where = pairKey(this.nameOf(from), this.nameOf(to))
    let ip = to
    for (const active of this.activeOf("WrongNode")) {
      const wrong = this.ipOf(active.fault.node) ?? active.fault.node
      if (!this.isNode(active.fault.at, to) || wrong === to) continue
      ip = wrong
      active.fire(where)
    }
    for (const active of this.activeOf("DialEmfile")) {
      if (!this.isNode(active.fault.node, from)) continue
      active.fire(where)
      return { _tag: "Failed", kind: "OpenFailed", detail: "EMFILE" }
    }
    const holding = [...this.laneOf(from, ip).shut, ...this.laneOf(ip, from).shut].filter(({ fault }) =>
      fault._tag !== "ZeroWindow"
    )
    for (const active of this.activeOf("DialTimeout")) {
      if (isBetween(this.laneContext, active.fault, from, ip)) holding.push(active)
    }
    for (const active of this.activeOf("BacklogFull")) if (this.isNode(active.fault.node, ip)) holding.push(active)
    if (holding.length > 0) {
      for (const active of new Set(holding)) active.fire(where)
      return { _tag: "Unanswered" }
    }
    for (const active of this.activeOf("DialRefused")) {
      if (!isBetween(this.laneContext, active.fault, from, ip)) continue
      active.fire(where)
      return { _tag: "Failed", kind: "Refused", detail: "ECONNREFUSED" }
    }
    for (const active of this.activeOf("AcceptEmfile")) {
      if (!this.isNode(active.fault.node, ip)) continue
      active.fire(where)
      return { _tag: "Answered", ip, accepted: false }
    }
    return { _tag: "Answered", ip, accepted: true }
  }

  // ------------------------------------------------------------------------------------------------------ faults

  /** Whether nothing gets from one node to another because of this fault. */
  private cuts(fault: NetworkFault, from: string, to: string): boolean {
    if (from === to) return false
    const among = (names: ReadonlyArray<string>, ip: string) => names.some((name) => this.isNode(name, ip))
    const split = (groups: ReadonlyArray<ReadonlyArray<string>>) => {
      const groupOf = (ip: string) => groups.findIndex((group) => among(group, ip))
      return groupOf(from) !== groupOf(to)
    }
    switch (fault._tag) {
      case "Partition":
        return split(fault.groups)
      case "Flapping":
        return (this.phases.get(fault)?.isDown ?? false) && split(fault.groups)
      case "PartitionOneWay":
        return among(fault.from, from) && among(fault.to, to)
      case "Isolate":
        return this.isNode(fault.node, from) || this.isNode(fault.node, to)
      case "SwizzleClog": {
        const clogged = this.phases.get(fault)?.clogged
        return clogged !== undefined && (clogged.has(this.nameOf(from)) || clogged.has(this.nameOf(to)))
      }
      default:
        return false
    }
  }

  readonly begin: Service["begin"] = (fault, onEnd = Effect.void) => Effect.sync(() => this.book.add(fault, onEnd))

  readonly partition: Service["partition"] = (...groups) => this.inject({ _tag: "Partition", groups })

  readonly inject = (fault: NetworkFault): Effect.Effect<Active<NetworkFault>> =>
    Effect.suspend(() => {
      const phases: Phases = { clogged: new Set(), isDown: false }
      const own = Scope.makeUnsafe()
      const active = this.book.add(
        fault,
        Effect.suspend(() => {
          this.phases.delete(fault)
          this.refresh()
          return Scope.close(own, exitVoid)
        })
      )
      this.phases.set(fault, phases)
      this.atOnce(active)
      this.refresh()
      const going = this.goesOn(fault, phases)
      if (going === undefined) return Effect.succeed(active)
      return Scope.addFinalizer(this.environment.scope, Scope.close(own, exitVoid)).pipe(
        Effect.andThen(Effect.forkIn(going, own)),
        Effect.as(active)
      )
    })

  /** What a fault does to the connections there are when it begins. */
  private atOnce(active: ActiveFault<NetworkFault>): void {
    const { fault } = active
    if (fault._tag !== "Reset" && fault._tag !== "Fin" && fault._tag !== "HalfOpen") return
    for (const link of this.simLinks.values()) {
      for (const direction of ["toListener", "toDialer"] as const) {
        const { from, to, where } = link.lanes[direction]
        if (!isBetween(this.laneContext, fault, from, to)) continue
        active.fire(where)
        if (fault._tag === "Fin") link.finish(direction)
        else {
          if (fault._tag === "Reset") link.break()
          else link.halve(direction)
          break // once for a link
        }
      }
    }
  }

  private goesOn(fault: NetworkFault, phases: Phases): Effect.Effect<void> | undefined {
    const { random } = this.environment
    if (fault._tag === "Flapping") {
      const set = (isDown: boolean) =>
        Effect.sync(() => {
          phases.isDown = isDown
          this.refresh()
        })
      return Effect.forever(
        Effect.andThen(set(true), Effect.sleep(fault.downMillis)).pipe(
          Effect.andThen(set(false)),
          Effect.andThen(Effect.sleep(Math.max(1, fault.upMillis)))
        )
      )
    }
    if (fault._tag !== "SwizzleClog") return undefined
    const all = shuffled([...this.names.values()], random)
    const nodes = fault.nodes === undefined ? all.slice(0, Math.ceil(all.length / 2)) : shuffled(fault.nodes, random)
    const step = (change: () => void) =>
      Effect.andThen(
        Effect.sync(() => {
          change()
          this.refresh()
        }),
        Effect.sleep(fault.spacingMillis)
      )
    return Effect.forEach(nodes, (node) => step(() => phases.clogged.add(node)), { discard: true }).pipe(
      Effect.andThen(
        Effect.forEach(shuffled(nodes, random), (node) => step(() => phases.clogged.delete(node)), { discard: true })
      )
    )
  }

  readonly play: Service["play"] = (schedule) => playWith(this.inject, schedule)

  get heal(): Effect.Effect<void> {
    return Effect.suspend(() => {
      // The network first: nodes that stop or start need it.
      const active = [...this.book.active]
      const ofNetwork = active.filter(({ fault }) => isNetworkFault(fault))
      const ofNodes = active.filter(({ fault }) => !isNetworkFault(fault))
      return Effect.forEach([...ofNetwork, ...ofNodes], ({ end }) => end, { discard: true })
    })
  }

  get active(): ReadonlyArray<Active> {
    return [...this.book.active]
  }

  get fired(): Service["fired"] {
    return this.book.fired
  }

  readonly tell = (event: SimEvent): void => this.options.onEvent?.(event)
}

const exitVoid = Effect.runSync(Effect.exit(Effect.void))

/** Goes through a schedule: every fault in a fiber of its own, so that none delays the next. */
export const playWith = <F extends SimFault>(
  inject: (fault: F) => Effect.Effect<Active>,
  schedule: ReadonlyArray<Timed<F>>
): Effect.Effect<void> =>
  Effect.forEach(
    [...schedule].sort((a, b) => a.at - b.at),
    (timed) =>
      Effect.andThen(
        Effect.sleep(timed.at),
        Effect.flatMap(
          inject(timed.fault),
          (active) => timed.for === undefined ? Effect.void : Effect.andThen(Effect.sleep(timed.for), active.end)
        )
      ),
    { concurrency: "unbounded", discard: true }
  )
