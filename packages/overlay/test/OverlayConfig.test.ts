/** The configuration against protocol.md sections 4.2, 9.5 and 16, whose numbers are written out here. */
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Result } from "effect"
import { createHash } from "node:crypto"
import * as OverlayConfig from "../src/OverlayConfig.ts"
import {
  CHECKPOINT_PERIOD,
  MAX_CLASSIC_TRANSACTION_SIZE,
  MAX_SLOTS_TO_REMEMBER
} from "../src/protocol/LedgerContext.ts"
import * as Liveness from "../src/protocol/Liveness.ts"
import { CERTIFICATE_LIFETIME_SECONDS } from "../src/protocol/PeerAuth.ts"
import { QUERIES_PER_SECOND, SCP_STATE_QUERIES_PER_WINDOW } from "../src/protocol/QueryLimiter.ts"
import { MAX_BODY, MAX_UNAUTHENTICATED_BODY } from "../src/wire/Frame.ts"
import { DEFAULT_PEER_PORT } from "../src/wire/PeerAddress.ts"

type Key = keyof OverlayConfig.Values

const valid = (options: Partial<OverlayConfig.Values> = {}): OverlayConfig.Values =>
  Result.getOrThrow(OverlayConfig.make(options))

const refusal = (options: Partial<OverlayConfig.Values>): OverlayConfig.OverlayConfigError => {
  const result = OverlayConfig.make(options)
  if (Result.isSuccess(result)) assert.fail(`accepted: ${JSON.stringify(options)}`)
  return result.failure
}

describe("the table of protocol.md 16", () => {
  // Core's key, our key, the default, the lowest and the highest allowed (undefined: not bounded there).
  const table: ReadonlyArray<readonly [string, Key, number, number, number | undefined]> = [
    ["PEER_PORT", "peerPort", 11_625, 1, 65_535],
    ["TARGET_PEER_CONNECTIONS", "targetPeerConnections", 8, 1, undefined],
    ["MAX_ADDITIONAL_PEER_CONNECTIONS", "maxAdditionalPeerConnections", -1, -1, 65_535],
    ["MAX_PENDING_CONNECTIONS", "maxPendingConnections", 500, 1, 65_535],
    ["PEER_AUTHENTICATION_TIMEOUT", "peerAuthenticationTimeoutSeconds", 2, 1, 65_535],
    ["PEER_TIMEOUT", "peerTimeoutSeconds", 30, 1, 65_535],
    ["PEER_STRAGGLER_TIMEOUT", "peerStragglerTimeoutSeconds", 120, 1, 65_535],
    ["PEER_READING_CAPACITY", "peerReadingCapacity", 201, 1, undefined],
    ["PEER_FLOOD_READING_CAPACITY", "peerFloodReadingCapacity", 200, 1, undefined],
    ["FLOW_CONTROL_SEND_MORE_BATCH_SIZE", "flowControlSendMoreBatchSize", 40, 1, undefined],
    ["PEER_FLOOD_READING_CAPACITY_BYTES", "peerFloodReadingCapacityBytes", 0, 0, undefined],
    ["FLOW_CONTROL_SEND_MORE_BATCH_SIZE_BYTES", "flowControlSendMoreBatchSizeBytes", 0, 0, undefined],
    ["PEER_TOTAL_READING_CAPACITY_BYTES", "peerTotalReadingCapacityBytes", 1_048_576, 1, undefined],
    ["OUTBOUND_TX_QUEUE_BYTE_LIMIT", "outboundTxQueueByteLimit", 3_145_728, 1, undefined],
    ["MAX_BATCH_WRITE_COUNT", "maxBatchWriteCount", 1024, 1, undefined],
    ["MAX_BATCH_WRITE_BYTES", "maxBatchWriteBytes", 1_048_576, 1, undefined],
    ["FLOOD_OP_RATE_PER_LEDGER", "floodOpRatePerLedger", 1, 0.001, undefined],
    ["FLOOD_SOROBAN_RATE_PER_LEDGER", "floodSorobanRatePerLedger", 1, 0.001, undefined],
    ["FLOOD_TX_PERIOD_MS", "floodTxPeriodMillis", 200, 1, undefined],
    ["FLOOD_SOROBAN_TX_PERIOD_MS", "floodSorobanTxPeriodMillis", 200, 1, undefined],
    ["FLOOD_ADVERT_PERIOD_MS", "floodAdvertPeriodMillis", 100, 1, undefined],
    ["FLOOD_DEMAND_PERIOD_MS", "floodDemandPeriodMillis", 200, 1, undefined],
    ["FLOOD_DEMAND_BACKOFF_DELAY_MS", "floodDemandBackoffDelayMillis", 500, 1, undefined],
    ["MAX_SLOTS_TO_REMEMBER", "maxSlotsToRemember", 12, 1, undefined]
  ]

  for (const [core, key, byDefault, lowest, highest] of table) {
    it(`CFG-01 ${core}: ${byDefault}, from ${lowest}${highest === undefined ? "" : ` to ${highest}`}`, () => {
      assert.strictEqual(OverlayConfig.defaults[key], byDefault)
      assert.strictEqual(valid()[key], byDefault)
      const names = (value: number) => {
        const result = OverlayConfig.make({ [key]: value })
        return Result.isFailure(result) && result.failure.key === key && result.failure.problem.startsWith("Expected")
      }
      assert.isFalse(names(lowest), "the lowest is in range")
      assert.isTrue(names(lowest === 0.001 ? 0 : lowest - 1), "one less is not")
      assert.isTrue(names(Number.NaN) && names(Number.POSITIVE_INFINITY))
      if (lowest !== 0.001) assert.isTrue(names(byDefault + 0.5), "whole numbers only")
      if (highest === undefined) return
      assert.isFalse(names(highest))
      assert.isTrue(names(highest + 1))
    })
  }

  it("CFG-01 lists are empty and switches off; a node listens", () => {
    const { defaults } = OverlayConfig
    assert.deepStrictEqual(
      [defaults.knownPeers, defaults.preferredPeers, defaults.preferredPeerKeys, defaults.surveyorKeys],
      [[], [], [], []]
    )
    assert.deepStrictEqual(
      [
        defaults.preferredPeersOnly,
        defaults.allowLocalhostForTesting,
        defaults.allowPrivateAddressesForTesting,
        defaults.listen
      ],
      [false, false, false, true]
    )
  })

  it("CFG-01 the constants of sections 1.7, 2.2, 4, 7 and 8", () => {
    assert.deepStrictEqual([MAX_BODY, MAX_UNAUTHENTICATED_BODY, DEFAULT_PEER_PORT], [16_777_216, 4096, 11_625])
    assert.deepStrictEqual([MAX_CLASSIC_TRANSACTION_SIZE, MAX_SLOTS_TO_REMEMBER, CHECKPOINT_PERIOD], [102_400, 12, 64])
    assert.deepStrictEqual([QUERIES_PER_SECOND, SCP_STATE_QUERIES_PER_WINDOW, CERTIFICATE_LIFETIME_SECONDS], [
      5,
      10,
      3600
    ])
    assert.deepStrictEqual(
      [
        Liveness.defaults.recurrentPeriodMillis,
        Liveness.defaults.noCapacityTimeoutMillis,
        Liveness.INITIAL_LATENCY_MILLIS
      ],
      [5000, 60_000, 86_400_000]
    )
    assert.strictEqual(OverlayConfig.defaults.expectedCloseTimeMillis, 5000)
    assert.strictEqual(OverlayConfig.defaults.maxTransactionSizeBytes, 102_400)
  })
})

describe("what follows", () => {
  it("CFG-01 64 inbound and 8 outbound slots, 56 outbound and 444 inbound pending", () => {
    const derived = OverlayConfig.derive(valid())
    assert.deepStrictEqual(
      [
        derived.maxInboundConnections,
        derived.maxOutboundConnections,
        derived.maxOutboundPending,
        derived.maxInboundPending
      ],
      [64, 8, 56, 444]
    )
  })

  it("CFG-01 pending connections are split as target to all slots, at least one of each (protocol.md 16)", () => {
    const pending = (options: Partial<OverlayConfig.Values>) => {
      const { maxInboundPending, maxOutboundPending } = OverlayConfig.derive(valid(options))
      return [maxOutboundPending, maxInboundPending]
    }
    assert.deepStrictEqual(pending({ maxPendingConnections: 1 }), [1, 1])
    assert.deepStrictEqual(pending({ maxPendingConnections: 2 }), [1, 1])
    assert.deepStrictEqual(pending({ targetPeerConnections: 3, maxAdditionalPeerConnections: 0 }), [500, 1])
    assert.deepStrictEqual(pending({ targetPeerConnections: 1, maxAdditionalPeerConnections: 65_535 }), [1, 499])
    // ceil(100 × 20 / (20 + 160))
    assert.deepStrictEqual(pending({ targetPeerConnections: 20, maxPendingConnections: 100 }), [12, 88])
  })

  it("CFG-08 flow control in bytes: 300 000 / 100 000, M + 100 000 above 200 000, fixed values as they are", () => {
    const bytes = (options: Partial<OverlayConfig.Values>) => {
      const { floodReadingCapacityBytes, sendMoreBatchSizeBytes } = OverlayConfig.derive(valid(options)).bytes
      return [floodReadingCapacityBytes, sendMoreBatchSizeBytes]
    }
    assert.deepStrictEqual(bytes({}), [300_000, 100_000])
    assert.deepStrictEqual(bytes({ maxTransactionSizeBytes: 134_096 }), [300_000, 100_000])
    assert.deepStrictEqual(bytes({ maxTransactionSizeBytes: 200_000 }), [300_000, 100_000])
    assert.deepStrictEqual(bytes({ maxTransactionSizeBytes: 200_001 }), [300_001, 100_000])
    assert.deepStrictEqual(
      bytes({ peerFloodReadingCapacityBytes: 500_000, flowControlSendMoreBatchSizeBytes: 50_000 }),
      [500_000, 50_000]
    )
  })

  it("CFG-01 every value that limits a connection reaches it", () => {
    const values = valid({
      peerReadingCapacity: 31,
      peerFloodReadingCapacity: 30,
      flowControlSendMoreBatchSize: 7,
      peerFloodReadingCapacityBytes: 400_000,
      flowControlSendMoreBatchSizeBytes: 50_000,
      peerTotalReadingCapacityBytes: 99,
      outboundTxQueueByteLimit: 98,
      maxBatchWriteCount: 97,
      maxBatchWriteBytes: 96,
      peerAuthenticationTimeoutSeconds: 3,
      peerTimeoutSeconds: 4,
      peerStragglerTimeoutSeconds: 5,
      minimumBodyBytesPerSecond: 6,
      strictCoreTimers: true,
      expectedCloseTimeMillis: 1000,
      maxSlotsToRemember: 9,
      txSetBytesPerMinute: 10,
      maxMessagesPerSecond: 11,
      maxBytesPerSecond: 12,
      maxTransactionSizeBytes: 200_004
    })
    const { session } = OverlayConfig.derive(values)
    assert.deepStrictEqual(session.flow, {
      readingCapacity: 31,
      floodReadingCapacity: 30,
      sendMoreBatchSize: 7,
      floodReadingCapacityBytes: 400_000,
      sendMoreBatchSizeBytes: 50_000,
      totalReadingCapacityBytes: 99,
      maxTransactionSize: 200_004
    })
    assert.include(session.queues, { txQueueByteLimit: 98, maxBatchCount: 97, maxBatchBytes: 96 })
    assert.include(session.liveness, {
      handshakeTimeoutMillis: 3000,
      idleTimeoutMillis: 4000,
      stragglerTimeoutMillis: 5000,
      minimumBodyBytesPerSecond: 6,
      strictCoreTimers: true
    })
    assert.deepStrictEqual(session.queries, {
      expectedCloseTimeMillis: 1000,
      maxSlotsToRemember: 9,
      txSetBytesPerMinute: 10
    })
    assert.deepStrictEqual(session.rate, { maxMessagesPerSecond: 11, maxBytesPerSecond: 12 })
  })

  it("PEE-14 the per-peer rate policy is off unless one of its rates is given", () => {
    assert.isUndefined(OverlayConfig.derive(valid()).session.rate)
    assert.isDefined(OverlayConfig.derive(valid({ maxMessagesPerSecond: 1 })).session.rate)
    assert.isDefined(OverlayConfig.derive(valid({ maxBytesPerSecond: 1 })).session.rate)
  })
})

describe("presets", () => {
  const networkId = (passphrase: string) => createHash("sha256").update(passphrase).digest("hex")

  it("CFG-01 the network ids of protocol.md annex B, the port, seeds", () => {
    assert.strictEqual(
      networkId(valid(OverlayConfig.presets.pubnet).networkPassphrase),
      "7ac33997544e3175d266bd022439b22cdb16508c01163f26e5cb2a3e1045a979"
    )
    assert.strictEqual(
      networkId(valid(OverlayConfig.presets.testnet).networkPassphrase),
      "cee0302d59844d32bdca915c8203dd44b33fbb7edc19051ea37abedf28ecd472"
    )
    for (const name of ["pubnet", "testnet"] as const) {
      const values = valid(OverlayConfig.presets[name])
      assert.strictEqual(values.peerPort, 11_625)
      assert.isAbove(values.knownPeers.length, 0)
      assert.deepStrictEqual([values.allowLocalhostForTesting, values.allowPrivateAddressesForTesting], [false, false])
      const { maxInboundConnections, maxOutboundConnections } = OverlayConfig.derive(values)
      assert.deepStrictEqual([maxInboundConnections, maxOutboundConnections], [64, 8])
    }
    const standalone = valid(OverlayConfig.presets.standalone)
    assert.strictEqual(standalone.listenHost, "127.0.0.1")
    assert.isTrue(standalone.allowLocalhostForTesting && standalone.allowPrivateAddressesForTesting)
    assert.deepStrictEqual(standalone.knownPeers, [])
    assert.strictEqual(new Set(Object.values(OverlayConfig.passphrases)).size, 3)
  })

  it("CFG-01 core is a valid configuration that lifts what core does not have", () => {
    const values = valid(OverlayConfig.core)
    assert.isTrue(values.strictCoreTimers)
    assert.deepStrictEqual([values.mutualDials, values.sharedKeyCacheSize, values.minimumBodyBytesPerSecond], [
      "core",
      65_535,
      0
    ])
    assert.deepStrictEqual([values.maxKnownAddresses, values.maxFloodRecords], [0x7fffffff, 0x7fffffff])
  })

  it("CFG-01 HSK-09 versions 38 to 42 are announced", () => {
    assert.deepStrictEqual([valid().overlayMinVersion, valid().overlayVersion], [38, 42])
  })
})

describe("contradictions", () => {
  const cases: ReadonlyArray<readonly [string, Key, Partial<OverlayConfig.Values>]> = [
    ["an empty passphrase", "networkPassphrase", { networkPassphrase: "" }],
    ["port 0", "peerPort", { peerPort: 0 }],
    ["a target above a third of the inbound slots plus 3", "targetPeerConnections", {
      targetPeerConnections: 8,
      maxAdditionalPeerConnections: 14
    }],
    ["a version window that is empty", "overlayMinVersion", { overlayMinVersion: 43 }],
    ["a version string of 101 bytes", "versionString", { versionString: `${"é".repeat(50)}x` }],
    ["total reading capacity not above flood capacity", "peerReadingCapacity", { peerReadingCapacity: 200 }],
    ["a batch above the flood capacity", "flowControlSendMoreBatchSize", { flowControlSendMoreBatchSize: 201 }],
    ["batch bytes above the flood bytes", "flowControlSendMoreBatchSizeBytes", {
      peerFloodReadingCapacityBytes: 300_000,
      flowControlSendMoreBatchSizeBytes: 300_001
    }],
    ["batch bytes without flood bytes", "flowControlSendMoreBatchSizeBytes", { flowControlSendMoreBatchSizeBytes: 1 }],
    ["no head-room for the greatest transaction", "peerFloodReadingCapacityBytes", {
      peerFloodReadingCapacityBytes: 200_000,
      flowControlSendMoreBatchSizeBytes: 97_601
    }]
  ]
  for (const [name, key, options] of cases) {
    it(`CFG-01 CFG-08 FLC-003 ${name} is refused, as ${key}`, () => {
      const error = refusal(options)
      assert.strictEqual(error._tag, "OverlayConfigError")
      assert.strictEqual(error.key, key)
      assert.notMatch(error.problem, /\n|SchemaError|^$/)
      assert.isAbove(error.hint.length, 0)
      assert.include(error.message, key)
    })
  }

  it("CFG-01 the values next to the contradictions are fine", () => {
    const fine: ReadonlyArray<Partial<OverlayConfig.Values>> = [
      { targetPeerConnections: 8, maxAdditionalPeerConnections: 15 },
      { overlayMinVersion: 42 },
      { versionString: "é".repeat(50) },
      { versionString: "" },
      { peerReadingCapacity: 2, peerFloodReadingCapacity: 1, flowControlSendMoreBatchSize: 1 },
      { flowControlSendMoreBatchSize: 200 },
      { peerFloodReadingCapacityBytes: 200_000, flowControlSendMoreBatchSizeBytes: 97_600 }
    ]
    for (const options of fine) valid(options)
  })

  it("CFG-01 a key nobody knows is refused by its name: a typing error does not become a default", () => {
    const typo: object = { peerPrt: 11_625 }
    const error = refusal(typo)
    assert.include(`${error.key} ${error.problem}`, "peerPrt")
  })
})

describe("layers", () => {
  const withEnvironment = (variables: Record<string, string>, base?: Partial<OverlayConfig.Values>) =>
    OverlayConfig.OverlayConfig.use(Effect.succeed).pipe(
      Effect.provide(OverlayConfig.OverlayConfig.layerConfig(base)),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: variables })),
      Effect.result
    )

  it.effect("CFG-01 a layer gives the checked values, or fails by name", () =>
    Effect.gen(function*() {
      const values = yield* OverlayConfig.OverlayConfig.use(Effect.succeed).pipe(
        Effect.provide(OverlayConfig.OverlayConfig.layer({ ...OverlayConfig.testnet, targetPeerConnections: 4 }))
      )
      assert.strictEqual(values.targetPeerConnections, 4)
      assert.strictEqual(values.networkPassphrase, "Test SDF Network ; September 2015")
      const error = yield* OverlayConfig.OverlayConfig.use(Effect.succeed).pipe(
        Effect.provide(OverlayConfig.OverlayConfig.layer({ peerPort: 70_000 })),
        Effect.flip
      )
      assert.strictEqual(error.key, "peerPort")
    }))

  it.effect("CFG-01 every documented variable of the environment is read", () =>
    Effect.gen(function*() {
      const read = yield* withEnvironment({
        OVERLAY_NETWORK: "testnet",
        OVERLAY_PEER_PORT: "12345",
        OVERLAY_LISTEN: "false",
        OVERLAY_LISTEN_HOST: "192.0.2.1",
        OVERLAY_IPV6: "true",
        OVERLAY_TARGET_PEER_CONNECTIONS: "5",
        OVERLAY_MAX_ADDITIONAL_PEER_CONNECTIONS: "50",
        OVERLAY_MAX_PENDING_CONNECTIONS: "40",
        OVERLAY_KNOWN_PEERS: "a.example, b.example:1 ,,",
        OVERLAY_PREFERRED_PEERS: "c.example",
        OVERLAY_PREFERRED_PEER_KEYS: "GA,GB",
        OVERLAY_SURVEYOR_KEYS: "GC",
        OVERLAY_PREFERRED_PEERS_ONLY: "true",
        OVERLAY_CONNECT_TIMEOUT: "3 seconds"
      })
      assert.deepStrictEqual(Result.getOrThrow(read), {
        ...OverlayConfig.defaults,
        networkPassphrase: "Test SDF Network ; September 2015",
        peerPort: 12_345,
        listen: false,
        listenHost: "192.0.2.1",
        ipv6: true,
        targetPeerConnections: 5,
        maxAdditionalPeerConnections: 50,
        maxPendingConnections: 40,
        knownPeers: ["a.example", "b.example:1"],
        preferredPeers: ["c.example"],
        preferredPeerKeys: ["GA", "GB"],
        surveyorKeys: ["GC"],
        preferredPeersOnly: true,
        connectTimeoutMillis: 3000
      })
    }))

  it.effect("CFG-01 an empty environment leaves the base; a passphrase goes over a network's", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(Result.getOrThrow(yield* withEnvironment({})), OverlayConfig.defaults)
      const base = yield* withEnvironment({}, OverlayConfig.standalone)
      assert.deepStrictEqual(Result.getOrThrow(base), { ...OverlayConfig.defaults, ...OverlayConfig.standalone })
      const own = yield* withEnvironment({ OVERLAY_NETWORK: "pubnet", OVERLAY_NETWORK_PASSPHRASE: "mine" })
      assert.strictEqual(Result.getOrThrow(own).networkPassphrase, "mine")
      assert.isAbove(Result.getOrThrow(own).knownPeers.length, 0)
    }))

  it.effect("CFG-01 an empty variable counts as one that is not set, as everywhere in Effect", () =>
    Effect.gen(function*() {
      const read = yield* withEnvironment(
        { OVERLAY_NETWORK_PASSPHRASE: "", OVERLAY_PEER_PORT: "" },
        OverlayConfig.standalone
      )
      assert.strictEqual(Result.getOrThrow(read).networkPassphrase, "Standalone Network ; February 2017")
    }))

  const wrong: ReadonlyArray<readonly [string, string]> = [
    ["OVERLAY_NETWORK", "futurenet"],
    ["OVERLAY_PEER_PORT", "0"],
    ["OVERLAY_PEER_PORT", "65536"],
    ["OVERLAY_PEER_PORT", "eleven"],
    ["OVERLAY_LISTEN", "perhaps"],
    ["OVERLAY_TARGET_PEER_CONNECTIONS", "1.5"],
    ["OVERLAY_TARGET_PEER_CONNECTIONS", "0"],
    ["OVERLAY_MAX_PENDING_CONNECTIONS", "-1"],
    ["OVERLAY_CONNECT_TIMEOUT", "soon"],
    ["OVERLAY_CONNECT_TIMEOUT", "0 seconds"]
  ]
  for (const [name, value] of wrong) {
    it.effect(`CFG-01 CFG-06 ${name}=${JSON.stringify(value)} is refused and not taken for the default`, () =>
      Effect.gen(function*() {
        const result = yield* withEnvironment({ [name]: value })
        if (Result.isSuccess(result)) return assert.fail(`accepted ${name}=${value}`)
        assert.isTrue(
          result.failure instanceof OverlayConfig.OverlayConfigError || result.failure instanceof Config.ConfigError
        )
      }))
  }
})
