/**
 * A small network in virtual time with one node that is watched: scraped every 15 seconds, as Prometheus would, while
 * incidents are played on it.
 */
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import * as TestCrypto from "@stellar-overlay/overlay-test/TestCrypto"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as ToyLedger from "@stellar-overlay/overlay-test/ToyLedger"
import * as World from "@stellar-overlay/overlay-test/World"
import { Flood } from "@stellar-overlay/overlay/Flood"
import * as LogLimiter from "@stellar-overlay/overlay/LogLimiter"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import * as OverlayEvents from "@stellar-overlay/overlay/OverlayEvents"
import * as OverlayHealthMonitor from "@stellar-overlay/overlay/OverlayHealthMonitor"
import { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
import { OverlayMetrics } from "@stellar-overlay/overlay/OverlayMetrics"
import * as OverlayMetricsPrometheus from "@stellar-overlay/overlay/OverlayMetricsPrometheus"
import { Transport, type TransportError } from "@stellar-overlay/overlay/Transport"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import type { WireError } from "@stellar-overlay/overlay/wire/WireError"
import { xdr } from "@stellar/stellar-base"
import { Clock, Context, Effect, Exit, Layer, Scope, Stream } from "effect"
import * as EventStream from "../../src/node/eventStream.ts"
import * as ProcessMetrics from "../../src/node/processMetrics.ts"
import { type Recording, SCRAPE_SECONDS } from "./promtool.ts"
import { check, rules } from "./rules.ts"

const { primitives: crypto } = TestCrypto.make("alerts")
const sha256 = (text: string) => crypto.sha256(new TextEncoder().encode(text))
const networkId = sha256("Standalone Network ; February 2017")

export const ipOf = (i: number): string => `10.${i + 1}.0.1`
export const addressOf = (i: number): PeerAddress => PeerAddress.make(ipOf(i), 11625)

/** Validators of the toy ledger; the nodes that carry them have keys of their own. */
const identityOf = (i: number) => {
  const seed = sha256(`validator ${i}`)
  const publicKey = crypto.ed25519PublicKey(seed)
  const sign = (message: Uint8Array) => crypto.ed25519Sign(seed, message)
  return { nodeId: NodeId.fromBytes(publicKey), publicKey, sign }
}

export const transaction = (n: number): Transaction =>
  Transaction.make({
    envelope: xdr.TransactionEnvelope.envelopeTypeTx(
      new xdr.TransactionV1Envelope({
        tx: new xdr.Transaction({
          sourceAccount: xdr.MuxedAccount.keyTypeEd25519(Buffer.alloc(32, 9)),
          fee: 100,
          seqNum: new xdr.Int64(String(n)),
          cond: xdr.Preconditions.precondNone(),
          memo: xdr.Memo.memoNone(),
          operations: [],
          ext: new xdr.TransactionExt(0)
        }),
        signatures: []
      })
    )
  })
export const hashOf = (message: Transaction): Uint8Array => crypto.sha256(message.envelope)

export interface Member {
  readonly toy: ToyLedger.ToyLedger
  readonly node: TestNode.TestNode
}

/** What an incident may differ in, for the node that is watched. */
export interface Setting {
  readonly options?: Omit<Partial<TestNode.Options>, "name" | "ip" | "onEvent" | "host"> | undefined
  readonly host?: ((host: OverlayHost["Service"]) => OverlayHost["Service"]) | undefined
  /** Its view of the network. */
  readonly transport?: ((transport: Transport["Service"]) => Transport["Service"]) | undefined
  readonly maxTxSetSize?: number | undefined
}

export interface Lab {
  /** The node that is watched, while it runs. */
  readonly watched: () => Member
  readonly others: ReadonlyArray<Member>
  readonly stop: Effect.Effect<void>
  readonly start: Effect.Effect<void, never, Scope.Scope | LoopbackTransport.LoopbackNetwork | World.World>
  /** A connection to the watched node from an address of its own, of which every byte is decided here. */
  readonly scripted: (
    n: number,
    options?: ScriptedPeer.Options
  ) => Effect.Effect<
    ScriptedPeer.ScriptedPeer,
    TransportError | WireError,
    Scope.Scope | LoopbackTransport.LoopbackNetwork
  >
  /** Reads events over the node's endpoint. */
  readonly events: EventStream.EventStream
}

const member = Effect.fnUntraced(function*(
  i: number,
  validators: ReadonlyArray<NodeId.NodeId>,
  setting: Setting = {},
  onEvent?: (event: OverlayEvent) => void
) {
  const identity = identityOf(i)
  const { maxTxSetSize } = setting
  const toy = yield* World.asNode(
    ToyLedger.make({ identity, networkId, crypto, validators, closeTimeMillis: CLOSE_MILLIS, maxTxSetSize }),
    `toy ${i}`
  )
  const network = yield* LoopbackTransport.LoopbackNetwork
  const { transport } = setting
  const own = transport === undefined
    ? network
    : { ...network, transportAt: (ip: string) => transport(network.transportAt(ip)) }
  const node = yield* TestNode.launch({
    onEvent,
    host: Layer.succeed(OverlayHost, setting.host?.(toy.host) ?? toy.host),
    ...setting.options,
    name: `n${i}`,
    ip: ipOf(i),
    config: {
      knownPeers: Array.from({ length: MEMBERS }, (_, k) => addressOf(k).key).filter((_, k) => k !== i),
      ...setting.options?.config
    }
  }).pipe(Effect.provideService(LoopbackTransport.LoopbackNetwork, own))
  toy.attach(node.overlay.broadcast, Context.get(node.services, Flood).enqueue)
  yield* Effect.forkScoped(Stream.runForEach(toy.ledgerClosed, () => node.overlay.ledgerChanged))
  return { toy, node } as Member
})

/** Ledgers are slow here, because each costs real time. */
const CLOSE_MILLIS = 10_000

/** Nodes, the watched one included. */
export const MEMBERS = 6

/** What rules look at. The rest need not be recorded. */
const wanted = new Set(rules.flatMap(({ expr }) => [...check(expr).metrics]))

/** Plays an incident after some quiet minutes, and gives what the scrapes saw. */
export const play = <E>(
  setting: Setting,
  minutes: { readonly before: number; readonly after: number },
  incident: (lab: Lab) => Effect.Effect<void, E, Scope.Scope | LoopbackTransport.LoopbackNetwork | World.World>
) => {
  const story = Effect.gen(function*() {
    const validators = Array.from({ length: MEMBERS }, (_, i) => identityOf(i).nodeId)
    const clock = yield* Clock.Clock
    const hub = yield* OverlayEvents.make
    const events = yield* EventStream.make(hub)
    const limiter = yield* LogLimiter.make()
    /** As the `node` command does: a line for every end of a connection, as far as there is room. */
    const onEvent = (event: OverlayEvent) => {
      hub.publish(event)
      if (event._tag === "PeerDropped" || event._tag === "PeerAuthenticated") limiter.offer("event")
    }
    let watched: (Member & { readonly monitor: OverlayHealthMonitor.OverlayHealthMonitor }) | undefined
    let startMillis = 0
    let scope: Scope.Closeable | undefined
    const start = Effect.gen(function*() {
      scope = yield* Scope.fork(yield* Effect.scope)
      const made = yield* Scope.provide(member(0, validators, setting, onEvent), scope)
      const monitor = yield* Scope.provide(
        Effect.provideContext(OverlayHealthMonitor.make(), made.node.services),
        scope
      )
      watched = { ...made, monitor }
      startMillis = clock.currentTimeMillisUnsafe()
    }).pipe(Effect.orDie)
    const stop = Effect.suspend(() => {
      watched = undefined
      return Scope.close(scope!, Exit.void)
    })
    yield* start
    const others: Array<Member> = []
    for (let i = 1; i < MEMBERS; i++) others.push(yield* member(i, validators, { maxTxSetSize: setting.maxTxSetSize }))

    // Somebody pays somebody, twice in three seconds.
    let paid = 0
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(
      Effect.sleep(1500),
      Effect.sync(() => others[paid % others.length]!.toy.submit(transaction(++paid)))
    )))

    const series = new Map<string, Array<number | undefined>>()
    let scrapes = 0
    const note = (text: string) => {
      for (const line of text.split("\n")) {
        const match = /^([a-z_]+)(?:\{(.*)\})? (.+)$/.exec(line)
        if (match === null || !wanted.has(match[1]!)) continue
        const labels = [`job="stellar-overlay"`, `instance="node"`, ...match[2] === undefined ? [] : [match[2]]]
        const name = `${match[1]}{${labels.join(",")}}`
        let values = series.get(name)
        if (values === undefined) series.set(name, values = [])
        values[scrapes] = Number(match[3])
      }
    }
    const scrape = Effect.sync(() => {
      if (watched !== undefined) {
        const { monitor, node } = watched
        const { isHealthy, isReady, reasons } = monitor.check()
        const { isListening, outOfSyncMillis } = monitor.facts()
        note(OverlayMetricsPrometheus.render(Context.get(node.services, OverlayMetrics).snapshot()))
        note(ProcessMetrics.render({
          isHealthy,
          isReady,
          reasons,
          isListening,
          outOfSyncMillis,
          passed: limiter.passed,
          suppressed: limiter.suppressed,
          events: events.stats,
          startMillis,
          cpuSeconds: 0,
          residentBytes: 0
        }))
      }
      note(`up ${watched === undefined ? 0 : 1}`)
      scrapes++
    })
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(scrape, Effect.sleep(SCRAPE_SECONDS * 1000))))

    const network = yield* LoopbackTransport.LoopbackNetwork
    const lab: Lab = {
      watched: () => watched!,
      others,
      stop,
      start,
      events,
      scripted: (n, options = {}) => {
        const ip = `30.${n >> 8}.${n % 256}.1`
        return ScriptedPeer.connect(addressOf(0), { seed: ip, ...options }).pipe(
          Effect.provideService(Transport, network.transportAt(ip))
        )
      }
    }
    yield* Effect.sleep(minutes.before * 60_000)
    const begin = scrapes
    yield* Effect.forkScoped(incident(lab))
    yield* Effect.sleep(minutes.after * 60_000)
    const recording: Recording = { series, scrapes, begin }
    return recording
  })
  return World.run(
    Effect.provide(
      Effect.scoped(story),
      LoopbackTransport.layerNetwork({ latencyMillis: 20 })
    ),
    { seed: "alerts" }
  )
}
