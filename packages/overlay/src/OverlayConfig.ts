/**
 * Every number an operator may turn, with stellar-core's defaults, checked before anything starts.
 *
 * Keys are stellar-core's in camelCase with their unit where core's unit is not obvious. Values that core does not have
 * are the bounds of design section 6; `core` sets those to what core does.
 *
 * Implements protocol.md sections 4.2 and 16 (stellar-core: `Config.cpp`).
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type ByteParameters, deriveByteParameters } from "./protocol/FlowControlOptions.ts"
import * as Liveness from "./protocol/Liveness.ts"
import * as OutboundQueues from "./protocol/OutboundQueues.ts"
import type { SessionOptions } from "./protocol/Session.ts"
import { DEFAULT_PEER_PORT } from "./wire/PeerAddress.ts"

/**
 * Passphrases of the well-known networks.
 *
 * @category constants
 * @since 0.1.0
 */
export const passphrases = {
  pubnet: "Public Global Stellar Network ; September 2015",
  testnet: "Test SDF Network ; September 2015",
  standalone: "Standalone Network ; February 2017"
} as const

/**
 * A network known by name.
 *
 * @category models
 * @since 0.1.0
 */
export type NetworkName = keyof typeof passphrases

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const port = between(1, 65535)
const count = between(1, 0x7fffffff)
const seconds = between(1, 65535)
const uint32 = between(0, 0xffffffff)
const positive = Schema.Finite.check(Schema.isGreaterThan(0))

/**
 * The schema of all values. Its field names are the names that errors and environment variables use.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Values = Schema.Struct({
  /** Decides the network id, and so who can talk to us at all. */
  networkPassphrase: Schema.String.check(Schema.isNonEmpty()),

  // who we are
  /** Announced in HELLO, at most 100 bytes. */
  versionString: Schema.String,
  /** The highest ledger protocol we claim; informational. */
  ledgerVersion: uint32,
  overlayVersion: uint32,
  overlayMinVersion: uint32,
  /** The port announced in HELLO and, when `listen` is set, listened on. */
  peerPort: port,
  listen: Schema.Boolean,
  /** Where to listen when that is not `peerPort`; 0 takes any free port, which is then announced. */
  listenPort: Schema.NullOr(between(0, 65535)),
  listenHost: Schema.String.check(Schema.isNonEmpty()),
  ipv6: Schema.Boolean,

  /** RUN_STANDALONE: no listener, and nothing is dialled but on request. */
  runStandalone: Schema.Boolean,

  // connections
  targetPeerConnections: between(1, 65535),
  /** -1 means eight times the target. */
  maxAdditionalPeerConnections: between(-1, 65535),
  maxPendingConnections: between(1, 65535),
  knownPeers: Schema.Array(Schema.String),
  preferredPeers: Schema.Array(Schema.String),
  preferredPeerKeys: Schema.Array(Schema.String),
  preferredPeersOnly: Schema.Boolean,
  surveyorKeys: Schema.Array(Schema.String),
  allowLocalhostForTesting: Schema.Boolean,
  allowPrivateAddressesForTesting: Schema.Boolean,

  // time limits
  connectTimeoutMillis: count,
  /** One deadline for the whole handshake, and the tick period less one second. */
  peerAuthenticationTimeoutSeconds: seconds,
  peerTimeoutSeconds: seconds,
  peerStragglerTimeoutSeconds: seconds,

  // flow control
  peerReadingCapacity: count,
  peerFloodReadingCapacity: count,
  flowControlSendMoreBatchSize: count,
  /** 0 in both byte values means automatic. */
  peerFloodReadingCapacityBytes: uint32,
  flowControlSendMoreBatchSizeBytes: uint32,
  peerTotalReadingCapacityBytes: count,
  outboundTxQueueByteLimit: count,
  maxBatchWriteCount: count,
  maxBatchWriteBytes: count,
  /** Max transaction message size before the first ledger is known. */
  maxTransactionSizeBytes: count,

  // flooding
  floodOpRatePerLedger: positive,
  floodSorobanRatePerLedger: positive,
  floodTxPeriodMillis: count,
  floodSorobanTxPeriodMillis: count,
  floodAdvertPeriodMillis: count,
  floodDemandPeriodMillis: count,
  floodDemandBackoffDelayMillis: count,
  /** Operations of transactions with offers or path payments that are flooded in a ledger's time; null for no limit. */
  maxDexTxOperationsInTxSet: Schema.NullOr(count),
  maxSlotsToRemember: count,
  expectedCloseTimeMillis: count,

  // bounds beyond core's; see `core`
  /** How far in the future a certificate may expire; core has no limit. */
  maxCertificateSeconds: positive,
  sharedKeyCacheSize: count,
  /** Who survives when two nodes dial each other at once: one of the two for certain, or what core does. */
  mutualDials: Schema.Literals(["winner", "core"]),
  maxPendingPerAddress: count,
  maxPendingPerSubnet24: count,
  maxPendingPerSubnet16: count,
  /** Answers to GET_TX_SET a peer may cause per minute. */
  txSetBytesPerMinute: positive,
  /** The slowest an announced message body may arrive. */
  minimumBodyBytesPerSecond: between(0, 0x7fffffff),
  /** Core's coarse timers instead of exact deadlines; see `Liveness`. */
  strictCoreTimers: Schema.Boolean,
  /** 0 turns the per-peer rate policy off. */
  maxMessagesPerSecond: between(0, 0x7fffffff),
  maxBytesPerSecond: between(0, 0x7fffffff),
  maxKnownAddresses: count,
  maxFloodRecords: count,
  /** Whom to ask for transactions: in core's order, or so that withholding peers cost less (see `DemandOrder`). */
  demandPolicy: Schema.Literals(["core", "fair"]),
  /** Transactions, adverts and demands processed per second, from all peers together; 0 for no limit. */
  maxFloodMessagesPerSecond: between(0, 0x7fffffff),
  /** The share of connections and of searches for items that have spans, for whoever has a tracer; 0 for none. */
  traceSampleRate: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
})

/**
 * A checked configuration.
 *
 * @category models
 * @since 0.1.0
 */
export type Values = typeof Values.Type

/**
 * What is derived from the values: capped targets, slots, byte parameters (protocol.md 4.2, 9.5, 16).
 *
 * @category models
 * @since 0.1.0
 */
export interface Derived {
  readonly maxInboundConnections: number
  readonly maxOutboundConnections: number
  readonly maxInboundPending: number
  readonly maxOutboundPending: number
  readonly bytes: ByteParameters
  /** What every connection is limited by. */
  readonly session: Pick<SessionOptions, "flow" | "queues" | "liveness" | "queries" | "rate">
}

/**
 * Stellar-core's defaults, with the version window of a node that talks to every release since v26 (and, by minimum 38,
 * to v25.2).
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: Values = {
  networkPassphrase: passphrases.pubnet,
  versionString: "stellar-overlay 0.1.0",
  ledgerVersion: 27,
  overlayVersion: 42,
  overlayMinVersion: 38,
  peerPort: DEFAULT_PEER_PORT,
  listen: true,
  listenPort: null,
  listenHost: "0.0.0.0",
  ipv6: false,
  runStandalone: false,
  targetPeerConnections: 8,
  maxAdditionalPeerConnections: -1,
  maxPendingConnections: 500,
  knownPeers: [],
  preferredPeers: [],
  preferredPeerKeys: [],
  preferredPeersOnly: false,
  surveyorKeys: [],
  allowLocalhostForTesting: false,
  allowPrivateAddressesForTesting: false,
  connectTimeoutMillis: 5000,
  peerAuthenticationTimeoutSeconds: 2,
  peerTimeoutSeconds: 30,
  peerStragglerTimeoutSeconds: 120,
  peerReadingCapacity: 201,
  peerFloodReadingCapacity: 200,
  flowControlSendMoreBatchSize: 40,
  peerFloodReadingCapacityBytes: 0,
  flowControlSendMoreBatchSizeBytes: 0,
  peerTotalReadingCapacityBytes: 1_048_576,
  outboundTxQueueByteLimit: 3_145_728,
  maxBatchWriteCount: 1024,
  maxBatchWriteBytes: 1_048_576,
  maxTransactionSizeBytes: 102_400,
  floodOpRatePerLedger: 1,
  floodSorobanRatePerLedger: 1,
  floodTxPeriodMillis: 200,
  floodSorobanTxPeriodMillis: 200,
  floodAdvertPeriodMillis: 100,
  floodDemandPeriodMillis: 200,
  floodDemandBackoffDelayMillis: 500,
  maxDexTxOperationsInTxSet: null,
  maxSlotsToRemember: 12,
  expectedCloseTimeMillis: 5000,
  maxCertificateSeconds: 3900,
  sharedKeyCacheSize: 4096,
  mutualDials: "winner",
  maxPendingPerAddress: 4,
  maxPendingPerSubnet24: 16,
  maxPendingPerSubnet16: 64,
  txSetBytesPerMinute: 33_554_432,
  minimumBodyBytesPerSecond: 8192,
  strictCoreTimers: false,
  maxMessagesPerSecond: 0,
  maxBytesPerSecond: 0,
  maxKnownAddresses: 10_000,
  maxFloodRecords: 262_144,
  demandPolicy: "fair",
  maxFloodMessagesPerSecond: 0,
  traceSampleRate: 0
}

/**
 * What to merge over the defaults so that only core's own limits hold. It is one of four presets of that name, together
 * with those of `PeersConfig`, `PeerManagerConfig` and `BanList`; `preset: "core"` of `NodeOverlay` takes them all.
 *
 * @category presets
 * @since 0.1.0
 */
export const core: Partial<Values> = {
  maxCertificateSeconds: Number.MAX_SAFE_INTEGER,
  sharedKeyCacheSize: 65_535,
  mutualDials: "core",
  maxPendingPerAddress: 0x7fffffff,
  maxPendingPerSubnet24: 0x7fffffff,
  maxPendingPerSubnet16: 0x7fffffff,
  txSetBytesPerMinute: Number.MAX_SAFE_INTEGER,
  minimumBodyBytesPerSecond: 0,
  strictCoreTimers: true,
  maxKnownAddresses: 0x7fffffff,
  maxFloodRecords: 0x7fffffff,
  demandPolicy: "core"
}

/**
 * The public network, with well-known nodes to start from.
 *
 * @category presets
 * @since 0.1.0
 */
export const pubnet: Partial<Values> = {
  networkPassphrase: passphrases.pubnet,
  knownPeers: [
    "core-live-a.stellar.org:11625",
    "core-live-b.stellar.org:11625",
    "core-live-c.stellar.org:11625"
  ]
}

/**
 * The test network.
 *
 * @category presets
 * @since 0.1.0
 */
export const testnet: Partial<Values> = {
  networkPassphrase: passphrases.testnet,
  knownPeers: [
    "core-testnet1.stellar.org",
    "core-testnet2.stellar.org",
    "core-testnet3.stellar.org"
  ]
}

/**
 * A private network on this machine: loopback and private addresses may be exchanged.
 *
 * @category presets
 * @since 0.1.0
 */
export const standalone: Partial<Values> = {
  networkPassphrase: passphrases.standalone,
  listenHost: "127.0.0.1",
  allowLocalhostForTesting: true,
  allowPrivateAddressesForTesting: true
}

/**
 * The presets by network name.
 *
 * @category presets
 * @since 0.1.0
 */
export const presets: Readonly<Record<NetworkName, Partial<Values>>> = { pubnet, testnet, standalone }

/**
 * A configuration that contradicts itself or leaves its range, by the name of the value at fault.
 *
 * @category errors
 * @since 0.1.0
 */
export class OverlayConfigError extends Schema.TaggedError<OverlayConfigError>()("OverlayConfigError", {
  key: Schema.String,
  problem: Schema.String,
  hint: Schema.String
}) {
  override get message() {
    return `${this.key}: ${this.problem}. ${this.hint}`
  }
}

const refuse = (key: keyof Values, problem: string, hint: string) => new OverlayConfigError({ key, problem, hint })

const contradiction = (v: Values, bytes: ByteParameters): OverlayConfigError | undefined => {
  if (new TextEncoder().encode(v.versionString).length > 100) {
    return refuse("versionString", "is longer than 100 bytes", "HELLO has room for 100")
  }
  if (v.overlayMinVersion > v.overlayVersion) {
    return refuse("overlayMinVersion", `is above overlayVersion (${v.overlayVersion})`, "The window would be empty")
  }
  if (v.maxAdditionalPeerConnections >= 0 && cappedTarget(v) < v.targetPeerConnections) {
    return refuse(
      "targetPeerConnections",
      `is above ${cappedTarget(v)}, a third of maxAdditionalPeerConnections plus 3`,
      "A node that dials more than it accepts starves the network of slots"
    )
  }
  if (v.peerReadingCapacity <= v.peerFloodReadingCapacity) {
    return refuse(
      "peerReadingCapacity",
      "is not above peerFloodReadingCapacity",
      "Control messages need room of their own"
    )
  }
  if (v.flowControlSendMoreBatchSize > v.peerFloodReadingCapacity) {
    return refuse("flowControlSendMoreBatchSize", "is above peerFloodReadingCapacity", "No grant would ever be sent")
  }
  if (bytes.sendMoreBatchSizeBytes > bytes.floodReadingCapacityBytes) {
    return refuse(
      "flowControlSendMoreBatchSizeBytes",
      "is above peerFloodReadingCapacityBytes",
      "No grant would ever be sent"
    )
  }
  if (bytes.floodReadingCapacityBytes - bytes.sendMoreBatchSizeBytes < v.maxTransactionSizeBytes) {
    return refuse(
      "peerFloodReadingCapacityBytes",
      `leaves less than ${v.maxTransactionSizeBytes} bytes above flowControlSendMoreBatchSizeBytes`,
      "A transaction of the largest size could never be granted; set both to 0 for automatic values"
    )
  }
  return undefined
}

/** Core caps the target at a third of the inbound slots plus 3 (MIN_INBOUND_FACTOR). */
const cappedTarget = (v: Values): number =>
  v.maxAdditionalPeerConnections < 0
    ? v.targetPeerConnections
    : Math.min(v.targetPeerConnections, Math.floor(v.maxAdditionalPeerConnections / 3) + 3)

/**
 * The numbers that follow from a configuration.
 *
 * @category getters
 * @since 0.1.0
 */
export const derive = (v: Values): Derived => {
  const inbound = v.maxAdditionalPeerConnections < 0 ? 8 * v.targetPeerConnections : v.maxAdditionalPeerConnections
  const outbound = v.targetPeerConnections
  const outboundPending = Math.max(1, Math.ceil(v.maxPendingConnections * outbound / (outbound + inbound)))
  return {
    maxInboundConnections: inbound,
    maxOutboundConnections: outbound,
    maxInboundPending: Math.max(1, v.maxPendingConnections - outboundPending),
    maxOutboundPending: outboundPending,
    bytes: deriveByteParameters(flowOptions(v)),
    session: {
      flow: flowOptions(v),
      queues: {
        ...OutboundQueues.defaults,
        txQueueByteLimit: v.outboundTxQueueByteLimit,
        maxBatchBytes: v.maxBatchWriteBytes,
        maxBatchCount: v.maxBatchWriteCount
      },
      liveness: {
        ...Liveness.defaults,
        handshakeTimeoutMillis: v.peerAuthenticationTimeoutSeconds * 1000,
        idleTimeoutMillis: v.peerTimeoutSeconds * 1000,
        stragglerTimeoutMillis: v.peerStragglerTimeoutSeconds * 1000,
        minimumBodyBytesPerSecond: v.minimumBodyBytesPerSecond,
        strictCoreTimers: v.strictCoreTimers
      },
      queries: {
        expectedCloseTimeMillis: v.expectedCloseTimeMillis,
        maxSlotsToRemember: v.maxSlotsToRemember,
        txSetBytesPerMinute: v.txSetBytesPerMinute
      },
      rate: v.maxMessagesPerSecond === 0 && v.maxBytesPerSecond === 0
        ? undefined
        : { maxMessagesPerSecond: v.maxMessagesPerSecond, maxBytesPerSecond: v.maxBytesPerSecond }
    }
  }
}

const flowOptions = (v: Values) => ({
  readingCapacity: v.peerReadingCapacity,
  floodReadingCapacity: v.peerFloodReadingCapacity,
  sendMoreBatchSize: v.flowControlSendMoreBatchSize,
  floodReadingCapacityBytes: v.peerFloodReadingCapacityBytes,
  sendMoreBatchSizeBytes: v.flowControlSendMoreBatchSizeBytes,
  totalReadingCapacityBytes: v.peerTotalReadingCapacityBytes,
  maxTransactionSize: v.maxTransactionSizeBytes
})

const decode = Schema.decodeUnknownResult(Values, { onExcessProperty: "error" })

/**
 * Checks a configuration given as differences from `defaults`: every range, then every contradiction between values.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Partial<Values> = {}): Result.Result<Values, OverlayConfigError> => {
  const decoded = decode({ ...defaults, ...options })
  if (Result.isFailure(decoded)) {
    const text = decoded.failure.message
    const key = /\["([A-Za-z0-9]+)"\]/.exec(text)?.[1] ?? "configuration"
    return Result.fail(
      new OverlayConfigError({
        key,
        problem: text.split("\n")[0] ?? text,
        hint: "See OverlayConfig for the allowed range"
      })
    )
  }
  const problem = contradiction(decoded.success, derive(decoded.success).bytes)
  return problem === undefined ? Result.succeed(decoded.success) : Result.fail(problem)
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class OverlayConfig extends Context.Service<OverlayConfig, Values>()("@stellar-overlay/overlay/OverlayConfig") {
  /**
   * Provides a configuration given as differences from `defaults`, for example `OverlayConfig.layer(testnet)`.
   *
   * @since 0.1.0
   */
  static readonly layer = (options: Partial<Values> = {}): Layer.Layer<OverlayConfig, OverlayConfigError> =>
    Layer.effect(this, Effect.fromResult(make(options)))

  /**
   * Reads `OVERLAY_…` variables over a base: OVERLAY_NETWORK (pubnet, testnet, standalone) or
   * OVERLAY_NETWORK_PASSPHRASE, OVERLAY_PEER_PORT, OVERLAY_LISTEN, OVERLAY_LISTEN_HOST, OVERLAY_IPV6,
   * OVERLAY_TARGET_PEER_CONNECTIONS, OVERLAY_MAX_ADDITIONAL_PEER_CONNECTIONS, OVERLAY_MAX_PENDING_CONNECTIONS,
   * OVERLAY_KNOWN_PEERS, OVERLAY_PREFERRED_PEERS, OVERLAY_PREFERRED_PEER_KEYS, OVERLAY_SURVEYOR_KEYS (comma-separated),
   * OVERLAY_PREFERRED_PEERS_ONLY, OVERLAY_CONNECT_TIMEOUT (a duration).
   *
   * @since 0.1.0
   */
  static readonly layerConfig = (
    base: Partial<Values> = {}
  ): Layer.Layer<OverlayConfig, OverlayConfigError | Config.ConfigError> =>
    Layer.effect(
      this,
      Effect.gen(function*() {
        const env = yield* environment
        const given = Object.fromEntries(Object.entries(env.values).filter(([, value]) => value !== undefined))
        const network = env.network === undefined ? {} : presets[env.network]
        return yield* Effect.fromResult(make({ ...base, ...network, ...given }))
      })
    )
}

const list = (name: string) =>
  Config.String(name).pipe(
    Config.map((text) => text.split(",").map((item) => item.trim()).filter((item) => item !== "")),
    Config.withDefault(undefined)
  )

const environment = Config.all({
  network: Config.Literals(["pubnet", "testnet", "standalone"], "NETWORK").pipe(Config.withDefault(undefined)),
  values: Config.all({
    networkPassphrase: Config.String("NETWORK_PASSPHRASE").pipe(Config.withDefault(undefined)),
    peerPort: Config.Port("PEER_PORT").pipe(Config.withDefault(undefined)),
    listen: Config.Boolean("LISTEN").pipe(Config.withDefault(undefined)),
    listenHost: Config.String("LISTEN_HOST").pipe(Config.withDefault(undefined)),
    ipv6: Config.Boolean("IPV6").pipe(Config.withDefault(undefined)),
    targetPeerConnections: Config.Int("TARGET_PEER_CONNECTIONS").pipe(Config.withDefault(undefined)),
    maxAdditionalPeerConnections: Config.Int("MAX_ADDITIONAL_PEER_CONNECTIONS").pipe(Config.withDefault(undefined)),
    maxPendingConnections: Config.Int("MAX_PENDING_CONNECTIONS").pipe(Config.withDefault(undefined)),
    knownPeers: list("KNOWN_PEERS"),
    preferredPeers: list("PREFERRED_PEERS"),
    preferredPeerKeys: list("PREFERRED_PEER_KEYS"),
    surveyorKeys: list("SURVEYOR_KEYS"),
    preferredPeersOnly: Config.Boolean("PREFERRED_PEERS_ONLY").pipe(Config.withDefault(undefined)),
    traceSampleRate: Config.Finite("TRACE_SAMPLE_RATE").pipe(Config.withDefault(undefined)),
    connectTimeoutMillis: Config.Duration("CONNECT_TIMEOUT").pipe(
      Config.map(Duration.toMillis),
      Config.withDefault(undefined)
    )
  })
}).pipe(Config.nested("OVERLAY"))
