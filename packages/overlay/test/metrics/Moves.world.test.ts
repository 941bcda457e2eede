/** One node in a world that does everything the overlay can do: every metric of core's table moves. */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import { Effect, Exit, Fiber, Scope } from "effect"
import * as DropReason from "../../src/DropReason.ts"
import { toHex } from "../../src/internal/bytes.ts"
import { unknownLedger } from "../../src/OverlayHost.ts"
import { type NameOf, names } from "../../src/OverlayMetricNames.ts"
import { render } from "../../src/OverlayMetricsJson.ts"
import * as Snapshot from "../../src/OverlayMetricsSnapshot.ts"
import type { Peer } from "../../src/Peer.ts"
import { isSessionOnly, type MessageTag, MessageType } from "../../src/wire/MessageType.ts"
import type { NodeId } from "../../src/wire/NodeId.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import {
  DontHave,
  FloodAdvert,
  FloodDemand,
  GetTxSet,
  Peers,
  ScpMessage,
  SendMoreExtended,
  type StellarMessage
} from "../../src/wire/StellarMessage.ts"
import { hashOf, quorumSet, scpMessage, transaction, txSet, unknown } from "../flood/messages.ts"
import { inWorld, MemoryHost, type Node, start } from "../flood/network.ts"
import { sample } from "../scenarios/fixtures.ts"
import { pledges, scpEnvelope, Source } from "../wire/messages/samples.ts"

const known = txSet(1)
const banned = unknown(77)
const grant = SendMoreExtended.make({ numMessages: 200, numBytes: 300_000 })

const makeHost = (): MemoryHost => {
  const host: MemoryHost = new MemoryHost({
    ledger: () => host.view,
    txSet: (hash) => Effect.succeed(toHex(hash) === toHex(known.hash) ? known.message : undefined),
    transactionStatus: (hash) =>
      toHex(hash) === toHex(banned) ? "banned" : host.pool.has(toHex(hash)) ? "known" : "unknown"
  })
  host.view = { ...unknownLedger, isSynced: true, isTracking: true }
  return host
}

let visits = 0

/** A scripted peer of its own host that has called the node. */
const caller = Effect.fnUntraced(function*(node: Node, host = `10.200.${++visits}.1`) {
  const network = yield* LoopbackTransport.LoopbackNetwork
  const connection = yield* network.transportAt(host).dial(node.address, { timeoutMillis: 1000 })
  return yield* ScriptedPeer.make(connection, { seed: `caller ${visits}`, role: "initiator" })
})

/** The same, authenticated, and who it is to the node. */
const visitor = Effect.fnUntraced(function*(node: Node) {
  const scripted = yield* caller(node)
  yield* scripted.handshake()
  yield* Effect.sleep("100 millis")
  return { scripted, peer: node.overlay.peers.get(scripted.script.id as NodeId)! }
})

/** Runs with a visitor that stays for as long as it takes. */
const visit = <A, E, R>(
  node: Node,
  story: (visitor: { readonly scripted: ScriptedPeer.ScriptedPeer; readonly peer: Peer }) => Effect.Effect<A, E, R>
) => Effect.scoped(Effect.flatMap(visitor(node), story))

/** Something of each type, as far as a node may send it after the handshake. */
const everything = (): Array<StellarMessage> =>
  (Object.keys(MessageType) as Array<MessageTag>).filter((tag) => tag !== "Peers").map((tag) => sample(tag))

const receiveEverything = (node: Node) =>
  Effect.gen(function*() {
    const statements = (Object.keys(pledges) as Array<keyof typeof pledges>).map((kind) =>
      ScpMessage.make({ envelope: scpEnvelope(new Source(3), kind) })
    )
    // Some of these end the connection, so that each has its own.
    for (const message of [...everything(), ...statements]) {
      yield* visit(node, ({ scripted }) => Effect.andThen(scripted.say(message), Effect.sleep("500 millis")))
    }
    const one = transaction(1)
    yield* visit(node, ({ scripted }) =>
      Effect.andThen(scripted.say(one), Effect.andThen(Effect.sleep("500 millis"), scripted.say(one))))
    yield* Effect.sleep("500 millis")
    yield* visit(node, ({ scripted }) =>
      Effect.andThen(scripted.sayAll([known.message, known.message]), Effect.sleep("500 millis")))
  })

const sendEverything = (node: Node) =>
  visit(node, ({ peer, scripted }) =>
    Effect.gen(function*() {
      yield* scripted.say(grant)
      for (const message of everything()) if (!isSessionOnly(message.type)) peer.offer(message)
      peer.offer(Peers.make({ addresses: [PeerAddress.make("1.2.3.4", 11625)] }))
      yield* Effect.sleep("1 second")
      yield* peer.drop({ _tag: "DroppedByUser", detail: "" })
      yield* Effect.sleep("1 second")
    }))

/** PEERS comes from whom we called; latency from whoever answers pings. */
const call = (node: Node) =>
  Effect.scoped(Effect.gen(function*() {
    const network = yield* LoopbackTransport.LoopbackNetwork
    const address = PeerAddress.make("10.199.0.1", 11625)
    const listener = yield* network.transportAt(address.host).listen({ port: 11625 })
    const accepting = yield* Effect.forkScoped(ScriptedPeer.accept(listener, { seed: "called" }))
    node.overlay.peers.dial(address, { force: true })
    const scripted = yield* Fiber.join(accepting)
    scripted.script.answersPings = true
    yield* scripted.handshake()
    yield* scripted.sayAll([grant, Peers.make({ addresses: [PeerAddress.make("1.2.3.4", 11625)] })])
    yield* scripted.expectOpen(8000)
    node.overlay.peers.dial(PeerAddress.make("10.198.0.1", 11625), { force: true }) // nobody is there
    yield* Effect.sleep("1 second")
    node.overlay.peers.dial(PeerAddress.make("10.198.0.1", 11625)) // it has to wait
    yield* scripted.reset
    yield* Effect.sleep("1 second")
  }))

const pull = (node: Node) =>
  visit(node, ({ scripted: one }) =>
    visit(node, ({ scripted: two }) =>
      Effect.gen(function*() {
        yield* one.say(grant)
        yield* two.say(grant)
        // Two advertise what neither delivers, and something that one does.
        const wanted = transaction(50)
        yield* one.say(FloodAdvert.make({ hashes: [unknown(1), hashOf(wanted)] }))
        yield* two.say(FloodAdvert.make({ hashes: [unknown(1)] }))
        yield* one.expect("FloodDemand")
        yield* one.say(wanted)
        node.submit(transaction(51))
        yield* two.expect("FloodAdvert")
        yield* two.say(FloodDemand.make({ hashes: [hashOf(transaction(51)), unknown(2), banned] }))
        yield* two.expect("Transaction")
        node.overlay.broadcast(scpMessage(5))

        // An item that the first one asked does not have.
        const fetching = yield* Effect.forkScoped(node.overlay.fetchTxSet(txSet(9).hash))
        const sane = quorumSet(1)
        const fetchingToo = yield* Effect.forkScoped(node.overlay.fetchQuorumSet(sane.hash))
        yield* Effect.sleep("100 millis")
        for (const other of [one, two]) yield* other.say(DontHave.make({ itemType: 17, hash: txSet(9).hash }))
        yield* Effect.sleep("100 millis") // or the set may overtake the refusal of the one who was asked
        yield* one.say(txSet(9).message)
        yield* one.say(sane.message)
        yield* Fiber.join(fetching)
        yield* Fiber.join(fetchingToo)
        yield* Effect.sleep("3 seconds")
      })))

/** Nobody is read while a handler takes its time; a connection that breaks then is found out by writing. */
const throttle = (node: Node) =>
  visit(node, ({ peer, scripted }) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const busy = { received: () => Effect.sleep("1 second") }
      yield* Scope.provide(node.overlay.peers.handle(busy), scope)
      yield* scripted.sayAll(Array.from({ length: 20 }, (_, i) => transaction(600 + i)))
      yield* scripted.sayAll(Array.from({ length: 10 }, () => GetTxSet.make({ hash: unknown(3) })))
      yield* Effect.sleep("10 seconds")
      yield* scripted.sayAll(Array.from({ length: 30 }, () => GetTxSet.make({ hash: unknown(3) })))
      yield* Effect.sleep("100 millis")
      yield* scripted.reset
      peer.offer(GetTxSet.make({ hash: unknown(5) }))
      yield* Effect.sleep("10 seconds")
      yield* Scope.close(scope, Exit.void)
    }))

/** A peer without credit loses what waits for it when there is too much, and what is too old. */
const shed = (node: Node) =>
  visit(node, ({ peer }) =>
    Effect.gen(function*() {
      node.host.view = { ...node.host.view, maxTxSetSize: 2, trackingIndex: 100, ledgerSeq: 100 }
      yield* node.overlay.ledgerChanged
      peer.offer(scpMessage(1))
      for (let i = 0; i < 3; i++) peer.offer(transaction(700 + i))
      const hashes = [unknown(1), unknown(2), unknown(3)]
      peer.offer(FloodAdvert.make({ hashes }))
      peer.offer(FloodDemand.make({ hashes }))
    }))

const endInEveryWay = (node: Node) =>
  Effect.gen(function*() {
    yield* visit(node, ({ scripted }) => scripted.expectClosed({ within: 60_000 })) // says nothing
    yield* visit(node, ({ scripted }) =>
      Effect.gen(function*() { // takes nothing
        yield* scripted.say(grant)
        yield* scripted.stopReading
        yield* scripted.sayAll(Array.from({ length: 50 }, () => GetTxSet.make({ hash: unknown(4) })))
        for (let i = 0; i < 40; i++) {
          yield* scripted.say(GetTxSet.make({ hash: unknown(4) }))
          yield* Effect.sleep("5 seconds")
        }
      }))
    // The fifth of one host does not get in while four are not done.
    yield* Effect.scoped(Effect.forEach([1, 2, 3, 4, 5], () => caller(node, "10.197.0.1"), { discard: true }))
    yield* Effect.sleep("5 seconds")
  })

describe("a node that does everything", () => {
  it.effect("MET-01 G6 every metric of core's table moves, and one drop is one count", () =>
    inWorld(
      33,
      { latencyMillis: 2, capacity: 2048 },
      Effect.gen(function*() {
        const node = yield* start(0, {
          host: makeHost(),
          config: { peerReadingCapacity: 21, peerFloodReadingCapacity: 20, flowControlSendMoreBatchSize: 10 }
        })
        const moved = new Set<string>()
        const look = () => {
          const snapshot = node.metrics.snapshot()
          for (const [name, metric] of Object.entries(render(snapshot).metrics)) if (metric.count > 0) moved.add(name)
          for (const { name, samples } of snapshot.families) {
            if (samples.some((sample) => ("value" in sample ? sample.value : sample.count) > 0)) moved.add(name)
          }
        }
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sync(look), Effect.sleep("100 millis"))))
        for (const story of [receiveEverything, sendEverything, call, pull, throttle, shed, endInEveryWay]) {
          yield* story(node)
          look()
        }
        yield* Effect.sleep("70 seconds") // demands are forgotten
        look()
        const still = Object.keys(render(node.metrics.snapshot()).metrics).filter((name) => !moved.has(name))
        assert.deepStrictEqual(still, ["overlay.message.drop"])
        // The rest of ours is in Ours.world.test.ts.
        assert.isAtMost(names.filter((name) => !moved.has(name)).length, 15)

        // Every end is one event and one count, and every connection that was begun has ended.
        const snapshot = node.metrics.snapshot()
        const drops = node.events.flatMap((event) => (event._tag === "PeerDropped" ? [event.reason._tag] : []))
        assert.isAbove(new Set(drops).size, 8)
        for (const reason of DropReason.tags) {
          const events = drops.filter((tag) => tag === reason).length
          assert.strictEqual(Snapshot.value(snapshot, "stellar_overlay_drops_total", { reason }), events, reason)
        }
        const both = (inbound: NameOf<"counter">, outbound: NameOf<"counter">) =>
          Snapshot.value(snapshot, inbound) + Snapshot.value(snapshot, outbound)
        const attempts = both("stellar_overlay_inbound_attempt_total", "stellar_overlay_outbound_attempt_total")
        const established = both("stellar_overlay_inbound_establish_total", "stellar_overlay_outbound_establish_total")
        const dropped = both("stellar_overlay_inbound_drop_total", "stellar_overlay_outbound_drop_total")
        const refused = both("stellar_overlay_inbound_reject_total", "stellar_overlay_outbound_cancel_total")
        assert.strictEqual(attempts, established + refused)
        assert.strictEqual(established, dropped)
        assert.strictEqual(drops.length, dropped + refused)
      })
    ))
})
