/** Rows TCP-001 to TCP-007 and FLC-021 of the scenario inventory, over TCP on 127.0.0.1. */
import { assert, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { BanList } from "../../src/BanList.ts"
import * as DropReason from "../../src/DropReason.ts"
import * as NodeTransport from "../../src/NodeTransport.ts"
import { PeerDropped } from "../../src/OverlayError.ts"
import { PeerManager } from "../../src/PeerManager.ts"
import { Peers } from "../../src/Peers.ts"
import { PeerStore } from "../../src/PeerStore.ts"
import { Transport } from "../../src/Transport.ts"
import type { PeerAddress } from "../../src/wire/PeerAddress.ts"
import { getTxSet, quorumSet, transaction } from "./fixtures.ts"
import { dial, failureOf, type Handle, link, listen, makeNode, type TestNode, until } from "./peers.ts"
import { frame } from "./remote.ts"

const tcp = Effect.provide(NodeTransport.layer)

/** The lists of a node. */
const peersOf = (node: TestNode) =>
  Layer.build(
    Peers.layer.pipe(
      Layer.provide(Layer.provide(PeerManager.layer, PeerStore.layerMemory)),
      Layer.provide(BanList.layerMemory),
      Layer.provide(Layer.succeedContext(node.context))
    )
  ).pipe(Effect.map((context) => Context.get(context, Peers)))

/** A connection of strangers that hold the only pending slot of a node. */
const silent = (address: PeerAddress) => Transport.use((transport) => transport.dial(address, { timeoutMillis: 5000 }))

const attempts = (node: TestNode) => node.events.filter(({ _tag }) => _tag === "PeerConnecting").length
const knocks = (node: TestNode) => node.connections.length

it.live("TCP-001 CON-06 p0 connects to p1, but p1 can't accept", () =>
  Effect.gen(function*() {
    const n0 = yield* makeNode("n0")
    // A slot for one pending connection, which is taken.
    const n1 = yield* makeNode("n1", { maxPendingConnections: 1 })
    const peers = yield* peersOf(n1)
    const listener = yield* Context.get(n1.context, Transport).listen({ host: "127.0.0.1", port: 0 })
    yield* Effect.forkScoped(listener.run((connection) => peers.accept(connection)))
    yield* silent(listener.address)
    yield* until(() => peers.pending("acceptor").length === 1)
    const failure = yield* failureOf(dial(n0, listener.address))
    assert.include(["RemoteClosed", "ReadError"], failure.reason._tag)
    assert.deepStrictEqual([attempts(n0), knocks(n0), knocks(n1)], [1, 1, 2])
    const refused = n1.events.filter((event) => event._tag === "PeerDropped")
    assert.deepStrictEqual(refused.map(({ reason }) => reason._tag), ["PendingInboundFull"])
    assert.deepStrictEqual(peers.authenticated(), [])
  }).pipe(Effect.scoped, tcp))

it.live("TCP-002 CON-06 p1 connects to p0, but p1 can't initiate", () =>
  Effect.gen(function*() {
    const n0 = yield* makeNode("n0")
    const n1 = yield* makeNode("n1", { maxPendingConnections: 1 })
    const peers = yield* peersOf(n1)
    // The one pending slot goes to a dial that is never answered.
    const transport = yield* Transport
    const hole = yield* transport.listen({ host: "127.0.0.1", port: 0 })
    yield* Effect.forkScoped(hole.run(() => Effect.never))
    assert.isTrue(peers.dial(hole.address, { force: true }))
    const door = yield* listen(n0)
    const failure = yield* failureOf(peers.connect(door.address, { force: true }))
    assert.strictEqual(failure.reason._tag, "OutboundFull")
    assert.strictEqual(DropReason.text(failure.reason), "all outbound connections taken")
    assert.deepStrictEqual([attempts(n1), knocks(n0)], [1, 0], "the one attempt is the other dial")
    assert.deepStrictEqual(peers.authenticated(), [])
  }).pipe(Effect.scoped, tcp))

it.live("TCP-003 PEE-04 can communicate: a question and an ERROR_MSG are both flushed before the drop", () =>
  Effect.gen(function*() {
    const { a, b } = yield* link({ b: { answers: "deliver", scpStateFrom: "none" }, a: { scpStateFrom: "none" } })
    yield* until(() => b.peer.session.flow.messageCredit > 0n) // the opening is over
    const before = a.peer.session.stats.messagesWritten
    assert.isTrue(a.peer.offer(getTxSet(1)))
    yield* a.peer.drop(DropReason.make("DroppedByUser"))
    const heard: Array<string> = []
    const end = yield* failureOf(
      Stream.runForEach(b.peer.messages, ({ _tag }) => Effect.sync(() => heard.push(_tag)))
    )
    assert.deepStrictEqual(heard, ["GetTxSet"])
    assert.strictEqual(end instanceof PeerDropped && DropReason.text(end.reason), "ERR_MISC (dropped by user)")
    assert.strictEqual(a.peer.session.stats.messagesWritten - before, 2)
    assert.strictEqual((yield* a.peer.closed)._tag, "DroppedByUser")
  }).pipe(Effect.scoped, tcp))

/** Two nodes; what the first writes past its session reaches the second. */
const rawLink = Effect.gen(function*() {
  const { a, b } = yield* link({ a: { scpStateFrom: "none" }, b: { answers: "deliver", scpStateFrom: "none" } })
  yield* until(() => b.peer.session.flow.messageCredit > 0n && a.peer.session.flow.messageCredit > 0n)
  const read = b.peer.session.stats.messagesRead
  const [connection] = a.node.connections
  return {
    a,
    b,
    /** Writes bytes; what the other side does about them may break the connection meanwhile. */
    write: (bytes: Uint8Array) => Effect.forkScoped(Effect.ignore(connection!.write([new Uint8Array(bytes)]))),
    readSince: () => b.peer.session.stats.messagesRead - read
  }
})

const ended = Effect.fnUntraced(function*({ a, b }: { readonly a: Handle; readonly b: Handle }) {
  const [atB, atA] = yield* Effect.all([b.peer.closed, a.peer.closed], { concurrency: 2 })
  return [DropReason.text(atB), DropReason.text(atA)] as const
})

it.live("TCP-004 COD-02 T5 message size is over limit", () =>
  Effect.gen(function*() {
    const { a, b, readSince, write } = yield* rawLink
    const size = 32 * 1024 * 1024
    yield* write(frame(Buffer.alloc(size), 2n, Buffer.alloc(32)))
    yield* write(frame(transaction(400).bytes, 3n, Buffer.alloc(32)))
    const [atB] = yield* ended({ a, b })
    assert.strictEqual(atB, "error during read")
    assert.strictEqual(readSince(), 0)
    assert.isBelow(b.peer.session.stats.bytesRead, size, "refused at the mark: the rest is nobody's business")
    yield* b.leave
  }).pipe(Effect.scoped, tcp))

it.live("TCP-005 M2 bad auth sequence", () =>
  Effect.gen(function*() {
    const { a, b, readSince, write } = yield* rawLink
    const bad = frame(getTxSet(1).bytes, 0n, Buffer.alloc(32))
    yield* write(Buffer.concat([bad, frame(getTxSet(2).bytes, 2n, Buffer.alloc(32))]))
    assert.deepStrictEqual(yield* ended({ a, b }), ["unexpected auth sequence", "ERR_AUTH (unexpected auth sequence)"])
    assert.strictEqual(readSince(), 1)
  }).pipe(Effect.scoped, tcp))

it.live("TCP-006 COD-03 corrupt xdr", () =>
  Effect.gen(function*() {
    const { a, b, readSince, write } = yield* rawLink
    const garbage = Buffer.alloc(4 + 255, 0xa5)
    garbage.writeUInt32BE(0x8000_0000 + 255)
    yield* write(Buffer.concat([garbage, frame(getTxSet(2).bytes, 2n, Buffer.alloc(32))]))
    assert.deepStrictEqual(yield* ended({ a, b }), ["received corrupt XDR", "ERR_DATA (received corrupt XDR)"])
    assert.strictEqual(readSince(), 1)
  }).pipe(Effect.scoped, tcp))

it.live("TCP-007 F3 FLC-03 drop at capacity", () =>
  Effect.gen(function*() {
    const config = { peerFloodReadingCapacity: 1, flowControlSendMoreBatchSize: 1 }
    const { a, b } = yield* link({ b: { config, scpStateFrom: "none" } })
    yield* until(() => a.peer.session.flow.messageCredit === 1n)
    // Nobody pulls at b; a writes as if it had been given more.
    a.peer.session.flow.setCredit(100n, 1_000_000n)
    for (let i = 0; i < 2; i++) a.peer.offer(transaction(400, 1))
    const [atB, atA] = yield* ended({ a, b })
    assert.strictEqual(atB, "unexpected flood message, peer at capacity")
    assert.strictEqual(atA, "error reading message header: end of file", "silently")
  }).pipe(Effect.scoped, tcp))

const BURSTS = 25

it.live(`FLC-021 FLC-09 F7 total byte capacity throttles non-flood traffic: ${BURSTS} bursts of four quorum sets of 4000 validators`, () =>
  Effect.gen(function*() {
    const message = quorumSet(4000)
    const Q = message.size
    const total = 16_777_220 + 3 * Q - 1
    const config = { peerReadingCapacity: 100_000, peerTotalReadingCapacityBytes: 3 * Q - 1 }
    const { a, b } = yield* link({ b: { config, scpStateFrom: "none" }, a: { scpStateFrom: "none" } })
    const { flow } = b.peer.session
    const throttles = () => b.node.events.filter(({ _tag }) => _tag === "PeerReadThrottled").length
    for (let burst = 1; burst <= BURSTS; burst++) {
      assert.deepStrictEqual([flow.localBytes, flow.canRead], [total, true], "idle")
      const flood = [flow.localFloodMessages, flow.localFloodBytes]
      yield* a.peer.sendAll([message, message, message, message])
      // Nobody pulls: three messages use up the capacity, the fourth is not read.
      yield* until(() => flow.isPaused)
      assert.isFalse(flow.canRead)
      assert.strictEqual(flow.localBytes, total - 3 * Q)
      assert.strictEqual(throttles(), burst)
      let sets = 0
      yield* Stream.runForEachWhile(b.peer.messages, ({ _tag }) =>
        Effect.sync(() => {
          if (_tag === "ScpQuorumSet") sets++
          return sets < 4
        }))
      assert.deepStrictEqual([flow.localBytes, flow.canRead, flow.isPaused], [total, true, false], "drained")
      assert.deepStrictEqual([flow.localFloodMessages, flow.localFloodBytes], flood)
      assert.strictEqual(b.node.events.filter(({ _tag }) => _tag === "PeerReadResumed").length, burst)
    }
    for (const { peer } of [a, b]) assert.isUndefined(peer.session.dropReason)
  }).pipe(Effect.scoped, tcp))

it.live("FLC-09 F8 a consumer that stops leaves the rest in the sender's socket, and the sender waits", () =>
  Effect.gen(function*() {
    const { a, b } = yield* link({ b: { scpStateFrom: "none" } })
    const message = quorumSet(4000)
    let sent = 0
    const enough = yield* Deferred.make<void>()
    const sender = yield* Effect.forkChild(Effect.gen(function*() {
      for (; sent < 300; sent++) {
        yield* a.peer.send(message)
        if (sent === 20) yield* Deferred.succeed(enough, undefined)
      }
    }))
    yield* Deferred.await(enough)
    yield* until(() => b.peer.session.flow.isPaused)
    // What b holds is bounded by its capacity and the chunk in hand.
    const held = b.peer.session.stats.bytesRead
    for (let i = 0; i < 50; i++) yield* Effect.sleep(1)
    assert.strictEqual(b.peer.session.stats.bytesRead, held)
    assert.isBelow(held, 1_048_576 + message.size + 2 * 65_536)
    assert.isUndefined(sender.pollUnsafe())
    assert.isBelow(sent, 300)
    let received = 0
    const consumer = yield* Effect.forkChild(Stream.runForEachWhile(b.peer.messages, ({ _tag }) =>
      Effect.sync(() => {
        if (_tag === "ScpQuorumSet") received++
        return received < 300
      })))
    yield* Fiber.join(sender)
    yield* Fiber.join(consumer)
    assert.strictEqual(received, 300)
  }).pipe(Effect.scoped, tcp))
