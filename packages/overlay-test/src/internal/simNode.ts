import * as BanList from "@stellar-overlay/overlay/BanList"
import type { DropTag } from "@stellar-overlay/overlay/DropReason"
import { NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
import { PeerStore } from "@stellar-overlay/overlay/PeerStore"
import type { Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import { DEFAULT_PEER_PORT, PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { LoopbackNetwork } from "../LoopbackTransport.ts"
import type { Database, NodeOptions, Options, SimNode } from "../SimCluster.ts"
import type { NodeStatus, SimNetwork } from "../SimNetwork.ts"
import * as TestCrypto from "../TestCrypto.ts"
import * as TestNode from "../TestNode.ts"
import * as ToyLedger from "../ToyLedger.ts"
import type { World } from "../World.ts"
import type { TimerClock } from "./after.ts"
import { SimDatabase } from "./simDatabase.ts"
import type { ActiveFault } from "./simFaults.ts"
import type { SimMachine } from "./simMachine.ts"

export const MAX_EVENTS = 4_096
export const MAX_LEDGERS = 1_024

/** What the nodes of a cluster share. */
export interface ClusterContext {
  readonly options: Options
  readonly network: SimNetwork["Service"]
  readonly clock: TimerClock
  readonly machine: (name: string) => SimMachine
  readonly validators: () => ReadonlyArray<NodeId>
  readonly identityOf: (name: string) => NodeIdentity["Service"]
  readonly ipOf: (name: string) => string
  /** The names of the nodes with a key. */
  readonly namesOf: (id: NodeId) => ReadonlyArray<string>
  /** What nodes live in. */
  readonly scope: Scope.Scope
  readonly services: {
    readonly provide: <A, E>(effect: Effect.Effect<A, E, LoopbackNetwork | World>) => Effect.Effect<A, E>
  }
}

/** The identity that a name stands for. Its certificates draw on a generator of their own. */
export const makeIdentity = (name: string): Layer.Layer<NodeIdentity> =>
  NodeIdentity.layerRandom.pipe(Layer.provide(TestCrypto.TestCrypto.layer(`${name}/key`)), Layer.fresh)

/** One life of a process. */
interface Life {
  readonly scope: Scope.Closeable
  isOver: boolean
}

/**
 * A node and the machine it runs on.
 */
export class ClusterNode implements SimNode {
  readonly name: string
  readonly ip: string
  readonly address: PeerAddress
  readonly isValidator: boolean
  readonly options: NodeOptions
  readonly machine: SimMachine
  readonly disk: SimDatabase
  /** Settings that faults have changed for good. */
  config: Partial<OverlayConfig.Values> = {}
  /** Whose key it has instead of its own. */
  keyOf: string
  /** What its ledger knows, over all its starts. */
  private readonly memory = new ToyLedger.Memory()
  /** The faults that keep it down. */
  readonly downBy = new Set<ActiveFault>()
  status: NodeStatus = "down"
  starts = 0
  running: TestNode.TestNode | undefined
  ledger: ToyLedger.ToyLedger | undefined
  readonly events: Array<OverlayEvent> = []
  readonly ledgers: Array<ToyLedger.ClosedLedger> = []
  private life: Life | undefined
  private readonly one = Semaphore.makeUnsafe(1)
  private readonly context: ClusterContext

  constructor(context: ClusterContext, options: NodeOptions, ip: string) {
    this.context = context
    this.options = options
    this.name = options.name
    this.keyOf = options.name
    this.ip = ip
    this.address = PeerAddress.make(ip, DEFAULT_PEER_PORT)
    this.isValidator = options.isValidator ?? true
    this.machine = context.machine(options.name)
    this.disk = new SimDatabase({
      where: options.name,
      millis: () => Number(context.clock.monotonicTimeNanosUnsafe()) / 1e6,
      crash: Effect.forkIn(this.die(false), context.scope)
    })
  }

  get id(): NodeId {
    return this.context.identityOf(this.keyOf).nodeId
  }

  get database() {
    return this.disk.counts
  }

  readonly drops = (): ReadonlyArray<DropTag> =>
    this.events.flatMap((event) => event._tag === "PeerDropped" ? [event.reason._tag] : [])

  readonly sockets = (): number =>
    this.context.network.links().filter(({ from, to }) => from === this.name || to === this.name).length

  readonly peers = (): ReadonlyArray<string> =>
    (this.running?.overlay.peers.authenticated() ?? []).flatMap(({ id }) => this.context.namesOf(id))

  private become(status: NodeStatus): void {
    this.status = status
    const { clock, network } = this.context
    const millis = Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    network.tell({ _tag: "NodeChanged", millis, node: this.name, status })
  }

  private values(): Partial<OverlayConfig.Values> {
    const { ipOf, options } = this.context
    const addresses = (names: ReadonlyArray<string> = []) => names.map((name) => `${ipOf(name)}:${DEFAULT_PEER_PORT}`)
    return {
      knownPeers: addresses(this.options.knows),
      preferredPeers: addresses(this.options.prefers),
      ...options.config,
      ...this.options.config,
      ...this.config
    }
  }

  /** The ledger, and the node on it, in the present scope. */
  private boot(life: Life, crypto: Primitives) {
    const { context, disk, ip, name } = this
    const { clock: _, identityOf, options, validators } = context
    const stores = disk.open()
    const identity = identityOf(this.keyOf)
    const config = this.values()
    const passphrase = config.networkPassphrase ?? OverlayConfig.passphrases.standalone
    return Effect.gen({ self: this }, function*() {
      const ledger = options.host === undefined
        ? yield* ToyLedger.make({
          identity,
          networkId: crypto.sha256(new TextEncoder().encode(passphrase)),
          crypto,
          validators: validators(),
          closeTimeMillis: options.closeTimeMillis,
          maxSlotsToRemember: config.maxSlotsToRemember,
          // Under another's key it is somebody else, who has voted for nothing.
          memory: this.keyOf === name ? this.memory : undefined
        })
        : undefined
      const node = yield* TestNode.launch({
        name,
        ip,
        config,
        chance: `${name}/${this.starts}`,
        identity: Layer.succeed(NodeIdentity, identity),
        store: Layer.succeed(PeerStore, stores.peers),
        bans: Layer.effect(BanList.BanList, BanList.make(stores.bans)),
        host: ledger === undefined
          ? options.host?.(this.options) ?? TestNode.layerIdleHost
          : Layer.succeed(OverlayHost, ledger.host),
        metrics: options.metrics?.(this.options) ?? Layer.empty,
        onEvent: (event) => {
          if (life.isOver) return
          this.events.push(event)
          if (this.events.length > (options.keptEvents ?? MAX_EVENTS)) this.events.shift()
          options.onNodeEvent?.(name, event)
        }
      })
      if (ledger !== undefined) {
        ledger.attach(node.overlay.broadcast)
        yield* Effect.forkScoped(Stream.runForEach(ledger.ledgerClosed, (closed) => {
          if (life.isOver) return Effect.void
          this.ledgers.push(closed)
          if (this.ledgers.length > MAX_LEDGERS) this.ledgers.shift()
          options.onLedger?.(name, closed)
          return node.overlay.ledgerChanged
        }))
      }
      return { ledger, node }
    })
  }

  private readonly startNow: Effect.Effect<void> = Effect.suspend(() => {
    if (this.life !== undefined) return Effect.void
    return Effect.gen({ self: this }, function*() {
      const life: Life = { scope: yield* Scope.fork(this.context.scope), isOver: false }
      this.life = life
      this.starts++
      this.machine.boot()
      this.become("starting")
      const { primitives } = TestCrypto.make(`${this.name}/${this.starts}/ledger`)
      const { ledger, node } = yield* this.boot(life, primitives).pipe(
        Scope.provide(life.scope),
        this.machine.run,
        this.context.services.provide,
        Effect.orDie
      )
      // Whoever closes the scope is not held up by a machine that stands still.
      yield* Scope.addFinalizer(life.scope, Effect.sync(() => this.machine.free()))
      this.running = node
      this.ledger = ledger
      this.become("running")
    })
  })

  private ended(): void {
    this.life = undefined
    this.running = undefined
    this.ledger = undefined
    this.become("down")
  }

  private readonly stopNow: Effect.Effect<void> = Effect.suspend(() => {
    const { life } = this
    if (life === undefined) return Effect.void
    this.machine.letGo()
    this.become("stopping")
    return Effect.andThen(
      Scope.close(life.scope, Exit.void),
      Effect.sync(() => {
        life.isOver = true
        this.disk.close()
        this.ended()
      })
    )
  })

  /** The process is gone at once; what is left of it is tidied up without effect on anybody. */
  private readonly dieNow = (inTheDark: boolean): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { life } = this
      if (life === undefined) return Effect.void
      const { network } = this.context
      life.isOver = true
      this.disk.close()
      return (inTheDark ? network.darken(this.name) : network.sever(this.name)).pipe(
        Effect.andThen(Effect.sync(() => {
          this.machine.free()
          this.become("down")
        })),
        Effect.andThen(Scope.close(life.scope, Exit.void)),
        Effect.andThen(Effect.sync(() => this.ended()))
      )
    })

  private alone<A>(effect: Effect.Effect<A>): Effect.Effect<A> {
    return Effect.uninterruptible(Semaphore.withPermit(this.one, effect))
  }

  readonly start: Effect.Effect<void> = this.alone(this.startNow)
  readonly stop: Effect.Effect<void> = this.alone(this.stopNow)

  die(inTheDark: boolean): Effect.Effect<void> {
    return this.alone(this.dieNow(inTheDark))
  }

  /** Ends in order, changes something, and starts. */
  restartWith(change: () => void): Effect.Effect<void> {
    return this.alone(this.stopNow.pipe(Effect.andThen(Effect.sync(change)), Effect.andThen(this.startNow)))
  }

  /** Dies, and starts on such a database; whether it is another than it had. */
  restartOn(database: Database, diskOf: (name: string) => SimDatabase): Effect.Effect<boolean> {
    return this.alone(
      this.dieNow(false).pipe(
        Effect.andThen(Effect.sync(() => {
          if (database === "kept") return false
          if (database === "lost") return this.disk.lose()
          return database._tag === "old" ? this.disk.goBack(database.ageMillis) : this.disk.copy(diskOf(database.of))
        })),
        Effect.tap(() => this.startNow)
      )
    )
  }

  hold(fire: (where: string) => void): void {
    if (this.status !== "running") return
    this.machine.hold({ fire })
    this.become("paused")
  }

  letGo(): void {
    if (this.status !== "paused") return
    this.machine.letGo()
    this.become("running")
  }
}
