/** The hosts that ship with the library, in whole nodes: what others see of a watcher and of a relay. */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import { TestCrypto } from "@stellar-overlay/overlay-test/TestCrypto"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect, Fiber, Layer, type Scope, Stream } from "effect"
import { toHex } from "../../src/internal/bytes.ts"
import * as OverlayConfig from "../../src/OverlayConfig.ts"
import type { OverlayCrypto } from "../../src/OverlayCrypto.ts"
import type { OverlayEvent } from "../../src/OverlayEvents.ts"
import { type LedgerView, MAX_BAD_SIGNATURES, OverlayHost, unknownLedger } from "../../src/OverlayHost.ts"
import * as OverlayHostRelay from "../../src/OverlayHostRelay.ts"
import type { NodeId } from "../../src/wire/NodeId.ts"
import {
  FloodDemand,
  GetScpQuorumSet,
  GetTxSet,
  type ScpMessage,
  type StellarMessage,
  type Transaction
} from "../../src/wire/StellarMessage.ts"
import { forged, quorumSet, scp, transaction, txSet, validator, value } from "./fixtures.ts"

const alice = validator(1)
const Q = quorumSet({ threshold: 1, validators: [alice] })
const T = txSet(50)
const E = scp({ by: alice, slot: 10, value: value(T.hash), quorumSet: Q.hash })

type HostLayer = Layer.Layer<OverlayHost, never, OverlayConfig.OverlayConfig | OverlayCrypto>

const provided = (name: string, host: HostLayer): Layer.Layer<OverlayHost> =>
  Layer.provide(host, [
    TestCrypto.layer(`${name}/host`),
    Layer.orDie(OverlayConfig.OverlayConfig.layer(OverlayConfig.standalone))
  ])

/** A node that listens, and dials nobody unless told. */
const launch = (name: string, n: number, host: HostLayer, onEvent?: (event: OverlayEvent) => void) =>
  TestNode.launch({ name, ip: `10.${n}.0.1`, host: provided(name, host), onEvent })

/** The host of a node that has a ledger, in short: it serves one of each item, and relays what it is given. */
const origin = (options: { readonly view?: Partial<LedgerView>; readonly pool?: ReadonlyArray<Transaction> } = {}) => {
  const received: Array<ScpMessage> = []
  const asked: Array<string> = []
  const pool = new Map((options.pool ?? []).map((message) => [toHex(hashOf(message)), message]))
  const host: OverlayHost["Service"] = {
    ledger: () => ({ ...unknownLedger, trackingIndex: 10, ...options.view }),
    scpStateFrom: () => 8,
    receiveScp: (messages) =>
      Effect.sync(() => messages.map((message) => (received.push(message.retain()), { _tag: "relay" as const }))),
    scpState: () => Effect.succeed([]),
    receiveTransactions: (messages) => Effect.succeed(messages.map(() => "duplicate" as const)),
    transactionStatus: (hash) => pool.has(toHex(hash)) ? "known" : "unknown",
    transaction: (hash) => pool.get(toHex(hash)),
    txSet: (hash) =>
      Effect.sync(() => (asked.push(`txSet ${toHex(hash)}`), toHex(hash) === toHex(T.hash) ? T.message : undefined)),
    quorumSet: (hash) => Effect.sync(() => toHex(hash) === toHex(Q.hash) ? Q.message : undefined),
    receiveTxSet: () => Effect.succeed(true),
    receiveQuorumSet: () => Effect.succeed(true),
    isInQuorum: () => false
  }
  return { received, asked, pool, layer: Layer.succeed(OverlayHost, host) }
}

const hashes = new Map<Transaction, Uint8Array>()
const hashOf = (message: Transaction): Uint8Array => hashes.get(message)!
const transactions = (count: number): Array<Transaction> =>
  Array.from({ length: count }, (_, n) => {
    const { hash, message } = transaction(n + 1)
    hashes.set(message, hash)
    return message
  })

/** A relay with its insides. */
const relay = (name: string, options: OverlayHostRelay.RelayOptions = {}) =>
  Effect.gen(function*() {
    const made = yield* OverlayHostRelay.make(options)
    return { ...made, layer: Layer.succeed(OverlayHost, made.host) }
  }).pipe(
    Effect.provide([
      TestCrypto.layer(`${name}/host`),
      Layer.orDie(OverlayConfig.OverlayConfig.layer(OverlayConfig.standalone))
    ])
  )

/** Everything a node's peers send it, as it comes, but pings and the request that begins a connection. */
const collect = (node: TestNode.TestNode) =>
  Effect.gen(function*() {
    const seen: Array<StellarMessage> = []
    yield* Effect.forkScoped(
      Stream.runForEach(node.overlay.messages, ({ message }) =>
        Effect.sync(() => {
          if (message._tag !== "GetScpState" && message._tag !== "GetScpQuorumSet") seen.push(message)
        })),
      { startImmediately: true }
    )
    return seen
  })

const inWorld = <A, E>(
  program: Effect.Effect<A, E, World.World | LoopbackTransport.LoopbackNetwork | Scope.Scope>,
  seed: number
) => World.run(program.pipe(Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 10 }))), { seed })

describe("a relay", () => {
  it.effect("PEE-11 PEE-13 QRY-01 fetches what a message names, relays it, keeps it and serves it", () =>
    inWorld(
      Effect.gen(function*() {
        const source = origin()
        const [r1, r2, r3] = [yield* relay("r1"), yield* relay("r2"), yield* relay("r3")]
        const a = yield* launch("a", 1, source.layer)
        const b = yield* launch("b", 2, r1.layer)
        const c = yield* launch("c", 3, r2.layer)
        yield* a.overlay.connect(b.address)
        yield* b.overlay.connect(c.address)
        assert.strictEqual(a.overlay.broadcast(E), 1)
        yield* Effect.sleep("3 seconds")
        for (const made of [r1, r2]) {
          assert.deepStrictEqual(made.envelopes.state.from(10).map(({ bytes }) => bytes), [E.bytes])
          assert.deepStrictEqual(made.envelopes.txSets.get(T.hash)?.bytes, T.message.bytes)
          assert.deepStrictEqual(made.envelopes.quorumSets.get(Q.hash)?.bytes, Q.message.bytes)
          assert.deepInclude(made.host.ledger(), { trackingIndex: 10, isTracking: true })
        }
        // The second relay had the set from the first, which asked the source once.
        assert.deepStrictEqual(source.asked, [`txSet ${toHex(T.hash)}`])

        // Who comes later asks for SCP state, and gets the message, and from then on serves it as well.
        const d = yield* launch("d", 4, r3.layer)
        yield* d.overlay.connect(c.address)
        yield* Effect.sleep("3 seconds")
        assert.strictEqual(r3.envelopes.state.messages, 1)

        const seen = yield* collect(d)
        const from = c.overlay.local.handshake.id
        const unknown = new Uint8Array(32).fill(9)
        d.overlay.send(from, GetTxSet.make({ hash: T.hash }))
        d.overlay.send(from, GetScpQuorumSet.make({ hash: Q.hash }))
        d.overlay.send(from, GetTxSet.make({ hash: unknown }))
        d.overlay.send(from, GetScpQuorumSet.make({ hash: unknown }))
        yield* Effect.sleep("1 second")
        const answers = seen.map((m) => m._tag === "DontHave" ? `DontHave ${m.itemType} ${m.hash[0]}` : m._tag).sort()
        assert.deepStrictEqual(answers, ["DontHave 10 9", "DontHave 17 9", "GeneralizedTxSet", "ScpQuorumSet"])
      }),
      1
    ))

  it.effect("PEE-12 QRY-02 pulls transactions and passes them on; a demand for unknown ones gets no reply", () =>
    inWorld(
      Effect.gen(function*() {
        const pool = transactions(30)
        const source = origin({ pool })
        const [r1, r2] = [yield* relay("r1"), yield* relay("r2")]
        const a = yield* launch("a", 1, source.layer)
        const b = yield* launch("b", 2, r1.layer)
        const c = yield* launch("c", 3, r2.layer)
        yield* a.overlay.connect(b.address)
        yield* b.overlay.connect(c.address)
        for (const message of pool) a.overlay.broadcast(message)
        yield* Effect.sleep("5 seconds")
        assert.deepStrictEqual([r1.pool.size, r2.pool.size], [30, 30])
        for (const message of pool) assert.deepStrictEqual(r2.pool.get(hashOf(message))?.bytes, message.bytes)

        const seen = yield* collect(a)
        a.overlay.send(b.overlay.local.handshake.id, FloodDemand.make({ hashes: [new Uint8Array(32).fill(9)] }))
        yield* Effect.sleep("2 seconds")
        assert.deepStrictEqual(seen.filter(({ _tag }) => _tag !== "SendMoreExtended").map(({ _tag }) => _tag), [])
        // A minute later they had their time, and nobody wants them back.
        yield* Effect.sleep("60 seconds")
        assert.strictEqual(r1.host.transactionStatus(hashOf(pool[0]!)), "banned")
      }),
      2
    ))
})

describe("SCP messages that nobody signed", () => {
  it.effect("A10 cost the peer that sends sixteen of them its connection, and no other", () =>
    inWorld(
      Effect.gen(function*() {
        const made = yield* relay("r")
        const ended: Array<string> = []
        const r = yield* launch("r", 1, made.layer, (event) => {
          if (event._tag === "PeerDropped") ended.push(`${event.id} ${event.reason._tag}`)
        })
        const attacker = yield* launch("attacker", 2, origin().layer)
        const honest = yield* launch("honest", 3, origin().layer)
        yield* attacker.overlay.connect(r.address)
        yield* honest.overlay.connect(r.address)
        const bad = (n: number) =>
          forged({ by: alice, slot: 10, counter: n + 1, value: value(T.hash), quorumSet: Q.hash })
        for (let n = 0; n < MAX_BAD_SIGNATURES - 1; n++) {
          attacker.overlay.broadcast(bad(n))
          yield* Effect.sleep(100)
        }
        // What it sends again is checked once, and counts again.
        assert.isDefined(attacker.overlay.peers.get(r.overlay.local.handshake.id))
        assert.strictEqual(made.envelopes.signatures.verified, MAX_BAD_SIGNATURES - 1)
        attacker.overlay.send(r.overlay.local.handshake.id, bad(0))
        yield* Effect.sleep("1 second")
        const violations = ended.filter((end) => end.endsWith("TooManyBadSignatures"))
        assert.deepStrictEqual(violations, [`${attacker.overlay.local.handshake.id} TooManyBadSignatures`])
        assert.strictEqual(made.envelopes.signatures.verified, MAX_BAD_SIGNATURES - 1)
        honest.overlay.broadcast(E)
        yield* Effect.sleep("2 seconds")
        assert.strictEqual(made.envelopes.state.messages, 1)
      }),
      5
    ))
})

describe("a watcher", () => {
  it.effect("PEE-15 PEE-17 sheds transactions, adverts and demands before any queue and goes on granting credit", () =>
    inWorld(
      Effect.gen(function*() {
        const pool = transactions(1000)
        const source = origin({ pool })
        const a = yield* launch("a", 1, source.layer)
        const w = yield* launch("w", 2, OverlayHost.layerWatcher)
        yield* a.overlay.connect(w.address)
        const seen = yield* collect(w)
        const answers = yield* collect(a)
        const to = a.overlay.peers.get(w.overlay.local.handshake.id)!
        // Five times the credit of a new peer: without grants for what is shed, this would never end.
        const sending = yield* Effect.forkScoped(to.sendAll(pool))
        for (const message of pool.slice(0, 100)) a.overlay.broadcast(message)
        yield* Effect.sleep("10 seconds")
        assert.isDefined(sending.pollUnsafe())
        yield* Fiber.join(sending)
        assert.strictEqual(a.overlay.broadcast(E), 1)
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(seen.map(({ _tag }) => _tag), ["ScpMessage"])
        assert.isFalse(answers.some(({ _tag }) => _tag === "FloodDemand"))
        assert.isDefined(a.overlay.peers.get(w.overlay.local.handshake.id))
      }),
      3
    ))

  it.effect("PEE-17 relays nothing, has nothing, and knows the ledger its peers are at", () =>
    inWorld(
      Effect.gen(function*() {
        const source = origin()
        const watched: Array<LedgerView> = []
        const other = origin()
        const a = yield* launch("a", 1, source.layer)
        const w = yield* launch("w", 2, OverlayHost.layerWatcher)
        const b = yield* launch("b", 3, other.layer)
        yield* a.overlay.connect(w.address)
        yield* b.overlay.connect(w.address)
        const seen = yield* collect(a)
        const host = yield* Effect.provideContext(OverlayHost, w.services)
        watched.push(host.ledger())
        a.overlay.broadcast(E)
        a.overlay.broadcast(scp({ by: alice, slot: 11, value: value(T.hash), quorumSet: Q.hash }))
        const ask = (id: NodeId) => a.overlay.send(id, GetTxSet.make({ hash: T.hash }))
        ask(w.overlay.local.handshake.id)
        yield* Effect.sleep("2 seconds")
        watched.push(host.ledger())
        assert.deepStrictEqual(
          watched.map(({ isSynced, isTracking, trackingIndex }) => [trackingIndex, isTracking, isSynced]),
          [[1, false, false], [11, true, false]]
        )
        assert.deepStrictEqual(other.received, [])
        assert.deepStrictEqual(source.asked, [])
        assert.deepStrictEqual(seen.map(({ _tag }) => _tag), ["DontHave"])
      }),
      4
    ))
})
