/** A node from its first line to its goodbye. */
import { BanList } from "@stellar-overlay/overlay/BanList"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import * as LogLimiter from "@stellar-overlay/overlay/LogLimiter"
import { NodeIdentity, type NodeSeedError } from "@stellar-overlay/overlay/NodeIdentity"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import * as NodeTransport from "@stellar-overlay/overlay/NodeTransport"
import { Overlay } from "@stellar-overlay/overlay/Overlay"
import { passphrases, type Values } from "@stellar-overlay/overlay/OverlayConfig"
import type { HealthThresholds } from "@stellar-overlay/overlay/OverlayHealth"
import { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
import { PeerManager } from "@stellar-overlay/overlay/PeerManager"
import type { StorageAlert } from "@stellar-overlay/overlay/StorageError"
import { Transport } from "@stellar-overlay/overlay/Transport"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Ended, ExitCode } from "../ExitCode.ts"
import { recorder } from "../net/record.ts"
import * as Event from "../render/event.ts"
import { bold, dim, fit, green, type Line, red } from "../render/Line.ts"
import { Screen } from "../render/Screen.ts"
import { bytes, millis, plural, rate, timeOfDay } from "../render/units.ts"
import { type HostName, layerHost } from "./host.ts"
import * as NodeAdmin from "./NodeAdmin.ts"
import * as Settings from "./settings.ts"
import * as Stores from "./stores.ts"

/** How often the status is shown: on a terminal, where it stays in place, and elsewhere. */
const STATUS_MILLIS = { terminal: 1000, plain: 30_000 }

export interface Options {
  readonly flags: Settings.Source
  /** A file of values. */
  readonly config: string | undefined
  /** A SQLite file; undefined keeps everything in memory. */
  readonly db: string | undefined
  readonly host: HostName
  /** Undefined for none. */
  readonly adminPort: number | undefined
  /** Where to record what all links carry. */
  readonly record: string | undefined
  /** When the node counts as unready, where that is not the default. */
  readonly health: Partial<HealthThresholds>
  /** Undefined runs until somebody ends it. */
  readonly seconds: number | undefined
  readonly json: boolean
}

type Built = Context.Context<NodeOverlay.NodeServices>

/** TCP, written down. */
const recording = Effect.fnUntraced(function*(path: string, { networkPassphrase }: Values) {
  const { transport } = yield* recorder(path)
  return Layer.effect(Transport, Transport.useSync((tcp) => transport(tcp, networkPassphrase))).pipe(
    Layer.provide(NodeTransport.layer)
  )
})

/** Builds the node into the current scope. */
const build = Effect.fnUntraced(function*(
  options: Options,
  values: Values
): Effect.fn.Return<
  Built,
  Layer.Error<ReturnType<typeof NodeOverlay.layerNode>> | NodeSeedError | Config.ConfigError | Ended,
  Scope.Scope | FileSystem.FileSystem
> {
  const seed = yield* Config.option(Config.Redacted("NODE_SEED"))
  const stores = options.db === undefined ? {} : yield* Stores.sqlite(options.db)
  const transport = options.record === undefined ? {} : { transport: yield* recording(options.record, values) }
  return yield* Layer.build(NodeOverlay.layerNode({
    ...values,
    ...stores,
    ...transport,
    seed: Option.getOrUndefined(seed),
    host: layerHost(options.host)
  }))
})

/** Everything that is said about a node when it starts. */
const started = (built: Built, options: Options, adminPort: number | undefined) => {
  const { config } = Context.get(built, LocalNode)
  const { address } = Context.get(built, Overlay)
  const { nodeId } = Context.get(built, NodeIdentity)
  const known = Context.get(built, PeerManager).size()
  const named = Object.entries(passphrases).find(([, passphrase]) => passphrase === config.networkPassphrase)?.[0]
  const admin = adminPort === undefined ? undefined : `http://127.0.0.1:${adminPort}/`
  const field = (name: string, ...value: Line): Line => ["  ", dim(name.padEnd(9)), ...value]
  const lines: Array<Line> = [
    [bold(nodeId)],
    field("network", named ?? config.networkPassphrase),
    field("listens", address === undefined ? "no" : `on ${address.key}`),
    field("admin", admin === undefined ? "no" : `${admin}peers, /readyz, /metrics, /events`),
    field("host", options.host),
    field(
      "knows",
      `${plural(known, "address", "addresses")}${
        options.db === undefined ? ", in memory only" : ` from ${options.db}`
      }, ${plural(config.knownPeers.length + config.preferredPeers.length, "configured peer")}`
    )
  ]
  const object = {
    event: "listening",
    node: nodeId,
    network: config.networkPassphrase,
    address: address?.key,
    admin,
    db: options.db,
    host: options.host,
    known,
    configured: [...config.preferredPeers, ...config.knownPeers]
  }
  return { lines, object }
}

/** The state of the node at one moment; messages and bytes are totals of the peers that are connected. */
const sample = (built: Built, nowMillis: number) => {
  const { peers } = Context.get(built, Overlay)
  const { registry } = peers
  const all = peers.authenticated()
  const { isTracking, ledgerSeq } = Context.get(built, OverlayHost).ledger()
  return {
    millis: nowMillis,
    outbound: registry.authenticatedCount("initiator"),
    inbound: registry.authenticatedCount("acceptor"),
    pending: registry.pendingCount("initiator") + registry.pendingCount("acceptor"),
    known: Context.get(built, PeerManager).size(),
    banned: Context.get(built, BanList).list().length,
    ledger: ledgerSeq,
    isTracking,
    messages: all.reduce((sum, { session }) => sum + session.stats.messagesRead, 0),
    bytes: all.reduce((sum, { session }) => sum + session.stats.bytesRead, 0)
  }
}

type Sample = ReturnType<typeof sample>

const statusParts = (before: Sample, now: Sample): ReadonlyArray<Line> => {
  const seconds = Math.max(0.001, (now.millis - before.millis) / 1000)
  const perSecond = (total: number) => Math.max(0, total) / seconds
  return [
    [bold(`${now.outbound} outbound, ${now.inbound} inbound`)],
    [`${now.pending} pending`],
    [`knows ${now.known}`],
    [`${rate(perSecond(now.messages - before.messages))} msg/s`],
    [`${bytes(perSecond(now.bytes - before.bytes))}/s`],
    [now.isTracking ? `ledger ${now.ledger}` : "ledger unknown"],
    [`banned ${now.banned}`]
  ]
}

const alertLine = (alert: StorageAlert): Line =>
  alert._tag === "StorageFailed"
    ? [red("database"), ` of ${alert.store} fails: ${alert.error.message}; the node goes on without it`]
    : [green("database"), ` of ${alert.store} works again after ${millis(alert.millis)}`]

const refuse = Effect.fnUntraced(function*(problem: string, hint: string) {
  const screen = yield* Screen
  yield* screen.note([[red("error"), `: ${problem}`], ["  ", hint]])
  return ExitCode.Usage as ExitCode
})

/** Shows what happens until the end of the scope. */
const watch = Effect.fnUntraced(function*(built: Built, json: boolean, log: LogLimiter.LogLimiter) {
  const screen = yield* Screen
  const clock = yield* Clock.Clock
  const say = (line: Line, object: { readonly event: string }, more: ReadonlyArray<Line> = []) => {
    const now = clock.currentTimeMillisUnsafe()
    return json
      ? screen.json([{ ...object, time: new Date(now).toISOString() }])
      : screen.print([[dim(timeOfDay(now)), " ", ...line], ...more])
  }
  /** Reasons whose hint was given: once is enough. */
  const hinted = new Set<unknown>()
  const events = Stream.runForEach(Context.get(built, Overlay).events, (event) => {
    const shown = Event.show(event)
    // Peers decide how much happens, but not how much is written about it.
    if (shown === undefined || !log.offer("event")) return Effect.void
    const { reason } = shown.object
    const hint = shown.hint === undefined || hinted.has(reason) ? [] : [shown.hint]
    hinted.add(reason)
    return say(shown.line, shown.object, hint)
  })
  const alerts = (stream: Stream.Stream<StorageAlert>) =>
    Stream.runForEach(stream, (alert) => {
      const { _tag, ...facts } = alert
      return say(alertLine(alert), { event: _tag === "StorageFailed" ? "storageFailed" : "storageRecovered", ...facts })
    })
  let before = sample(built, clock.currentTimeMillisUnsafe())
  const status = Effect.suspend(() => {
    const now = sample(built, clock.currentTimeMillisUnsafe())
    const line = fit(statusParts(before, now), dim(" | "), screen.columns() - 1)
    const { millis: _, ...facts } = before = now
    if (json) return say([], { event: "status", ...facts })
    return screen.isTerminal ? screen.status(line) : say([dim("status: "), ...line], { event: "status" })
  })
  const every = screen.isTerminal && !json ? STATUS_MILLIS.terminal : STATUS_MILLIS.plain
  return yield* Effect.all([
    events,
    alerts(Context.get(built, PeerManager).alerts),
    alerts(Context.get(built, BanList).alerts),
    Effect.delay(Effect.repeat(status, Schedule.spaced(every)), every),
    Effect.never
  ], { concurrency: "unbounded", discard: true })
})

/** Runs a node. */
export const run = Effect.fnUntraced(
  function*(options: Options) {
    const { json, seconds } = options
    const screen = yield* Screen
    const values = yield* Settings.load(options.flags, options.config)
    const log = yield* LogLimiter.make()
    const loggers = new Set([...yield* Logger.CurrentLoggers].map(log.limit))
    const built = yield* Effect.provideService(build(options, values), Logger.CurrentLoggers, loggers)
    const adminPort = options.adminPort === undefined
      ? undefined
      : yield* Effect.provideContext(NodeAdmin.serve({ port: options.adminPort, log, health: options.health }), built)
        .pipe(
          Effect.provideService(Logger.CurrentLoggers, loggers)
        )
    const { lines, object } = started(built, options, adminPort)
    yield* json ? screen.json([object]) : screen.print([...lines, []])
    const watching = watch(built, json, log)
    yield* (seconds === undefined ? watching : Effect.timeoutOption(watching, seconds * 1000)).pipe(
      Effect.ensuring(screen.status(undefined))
    )
    return ExitCode.Ok as ExitCode
  },
  Effect.catchTags({
    SettingsError: ({ hint, problem, source }) => refuse(`${source}: ${problem}`, hint),
    NodeSeedError: ({ hint }) => refuse("NODE_SEED is no seed", hint),
    OverlayConfigError: ({ message }) => refuse(message, ""),
    ConfigError: ({ message }) => refuse(message, "See the OVERLAY_… variables."),
    TransportError: ({ detail }) =>
      refuse(`cannot listen for peers: ${detail}`, "Choose another --port, 0 for any that is free, or --no-listen."),
    ServeError: ({ cause }) =>
      refuse(
        `cannot listen for the operator: ${cause instanceof Error ? cause.message : String(cause)}`,
        "Choose another --admin-port, 0 for any that is free, or --no-admin."
      )
  })
)
