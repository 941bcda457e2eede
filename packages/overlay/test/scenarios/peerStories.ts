/** What peers do, whatever carries their bytes. Each story is run over the loopback transport and over TCP. */
import { assert } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, type Scope, Stream } from "effect"
import * as DropReason from "../../src/DropReason.ts"
import type { OverlayConfigError } from "../../src/OverlayConfig.ts"
import { PeerDropped } from "../../src/OverlayError.ts"
import type { OverlayEvent } from "../../src/OverlayEvents.ts"
import * as Peer from "../../src/Peer.ts"
import { admitAll } from "../../src/protocol/Handshake.ts"
import { Transport, type TransportError } from "../../src/Transport.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import { Peers } from "../../src/wire/StellarMessage.ts"
import { advert, demand, getTxSet, numberOf, quorumSet, sample, transaction } from "./fixtures.ts"
import { dial, failureOf, type Handle, link, listen, makeNode, take, until } from "./peers.ts"

export interface Story {
  readonly title: string
  readonly run: Effect.Effect<
    void,
    PeerDropped | OverlayConfigError | TransportError | Cause.NoSuchElementError,
    Transport | Scope.Scope
  >
}

const { make } = DropReason

const drops = (events: ReadonlyArray<OverlayEvent>) => events.filter((event) => event._tag === "PeerDropped")

const tags = (events: ReadonlyArray<OverlayEvent>) => events.map(({ _tag }) => _tag)

/** The reason with which an effect of a peer fails. */
const reasonOf = <A, R>(effect: Effect.Effect<A, PeerDropped, R>) =>
  Effect.match(effect, { onFailure: ({ reason }) => reason._tag, onSuccess: () => "succeeded" as const })

const drain = (peer: Peer.Peer) => Stream.runDrain(peer.messages)

/** Credit that goes back one by one, so that no part of a batch is in doubt. */
const exact = { peerFloodReadingCapacity: 20, peerReadingCapacity: 100, flowControlSendMoreBatchSize: 1 }

const isWhole = ({ peer: { session } }: Handle) =>
  session.flow.localFloodMessages === 20 && session.flow.localFloodBytes === 300_000 &&
  session.flow.localMessages === 100

const hasAllCredit = ({ peer: { session } }: Handle) =>
  session.flow.messageCredit === 20n && session.flow.byteCredit === 300_000n

export const stories: ReadonlyArray<Story> = [
  {
    title: "HSK-001 CFG-07 CON-01 PEE-01 two peers see who the other is, and every step is an event",
    run: Effect.gen(function*() {
      const { a, b, door } = yield* link({
        a: { config: { peerPort: 4711, versionString: "one" } },
        b: { config: { versionString: "two" } }
      })
      assert.deepStrictEqual([a.peer.role, b.peer.role], ["initiator", "acceptor"])
      assert.deepStrictEqual([a.peer.id, b.peer.id], [b.node.local.handshake.id, a.node.local.handshake.id])
      assert.deepStrictEqual([a.peer.remote.version, b.peer.remote.version], ["two", "one"])
      assert.strictEqual(a.peer.address.toString(), door.address.toString())
      // The socket's IP, the announced port.
      assert.strictEqual(b.peer.remote.address.toString(), "127.0.0.1:4711")
      assert.notStrictEqual(b.peer.address.port, 4711)
      assert.deepStrictEqual(tags(a.node.events), ["PeerConnecting", "PeerConnected", "PeerHello", "PeerAuthenticated"])
      assert.deepStrictEqual(tags(b.node.events), ["PeerConnected", "PeerHello", "PeerAuthenticated"])
      yield* b.leave
      assert.strictEqual((yield* a.peer.closed)._tag, "ShutdownReceived")
      yield* until(() => drops(a.node.events).length > 0)
      assert.deepStrictEqual(tags(a.node.events).slice(4), ["PeerDropped"])
    })
  },
  {
    title: "PEE-03 PEE-16 every type arrives, in order within its lane",
    run: Effect.gen(function*() {
      const { a, b } = yield* link({ b: { answers: "deliver" } })
      const said = [
        transaction(400, 1),
        sample("ScpMessage"),
        advert(1),
        getTxSet(1),
        demand(1),
        transaction(400, 2),
        quorumSet(2),
        sample("TimeSlicedSurveyRequest")
      ]
      for (const message of said) yield* a.peer.send(message)
      const heard = yield* b.peer.messages.pipe(
        Stream.filter(({ _tag }) => _tag !== "GetScpState" && _tag !== "GetScpQuorumSet"),
        Stream.take(said.length),
        Stream.map((message) => said.findIndex(({ bytes }) => Buffer.compare(bytes, message.bytes) === 0)),
        Stream.runCollect
      )
      const bulk = [0, 2, 4, 5]
      assert.deepStrictEqual(heard.toSorted(), [0, 1, 2, 3, 4, 5, 6, 7])
      // The sender's queues order by priority, so transactions 0 and 5 hold their order, and so do 3, 6 and 7.
      assert.deepStrictEqual(heard.filter((i) => i === 0 || i === 5), [0, 5])
      assert.deepStrictEqual(heard.filter((i) => !bulk.includes(i) && i !== 1), [3, 6, 7])
    })
  },
  {
    title:
      "CON-05 PEE-04 leaving the scope says goodbye: ERR_MISC shutdown is read before the end, and after all that was sent",
    run: Effect.gen(function*() {
      const { a, b } = yield* link()
      for (let i = 0; i < 50; i++) yield* a.peer.send(quorumSet(i))
      yield* a.leave
      assert.strictEqual((yield* a.peer.closed)._tag, "Shutdown")
      const reason = yield* b.peer.closed
      assert.deepStrictEqual([reason._tag, DropReason.text(reason)], ["ShutdownReceived", "ERR_MISC (shutdown)"])
      // Who left sees the stream end; who was left gets everything, and then the reason as a failure.
      assert.strictEqual(yield* reasonOf(drain(a.peer)), "succeeded")
      let sets = 0
      const exit = yield* Effect.exit(Stream.runForEach(b.peer.messages, ({ _tag }) =>
        Effect.sync(() => {
          if (_tag === "ScpQuorumSet") sets++
        })))
      assert.strictEqual(sets, 50)
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof PeerDropped)
    })
  },
  {
    title: "CON-05 dropping twice is one removal and one reason, on both sides",
    run: Effect.gen(function*() {
      const { a, b } = yield* link()
      yield* a.peer.drop(make("DroppedByUser"))
      yield* a.peer.drop(make("PeerRejected"))
      yield* b.peer.closed
      yield* b.peer.drop(make("NodeBanned"))
      yield* Effect.all([a.leave, b.leave], { concurrency: 2 })
      assert.deepStrictEqual([(yield* a.peer.closed)._tag, (yield* b.peer.closed)._tag], [
        "DroppedByUser",
        "ErrorReceived"
      ])
      assert.strictEqual(DropReason.text(yield* b.peer.closed), "ERR_MISC (dropped by user)")
      assert.deepStrictEqual([drops(a.node.events).length, drops(b.node.events).length], [1, 1])
      const [dropped] = drops(a.node.events)
      assert.deepStrictEqual(
        dropped?._tag === "PeerDropped" && [dropped.authenticated, dropped.role, dropped.id],
        [true, "initiator", a.peer.id]
      )
    })
  },
  {
    title: "PEE-03 after the end nothing is sent: send and sendAll fail with the reason, offer says no, closed stays",
    run: Effect.gen(function*() {
      const { a, b } = yield* link()
      assert.isTrue(a.peer.offer(getTxSet(1)))
      yield* b.peer.drop(make("DroppedByUser"))
      yield* a.peer.closed
      assert.isFalse(a.peer.offer(getTxSet(2)))
      assert.strictEqual(yield* reasonOf(a.peer.send(getTxSet(2))), "ErrorReceived")
      assert.strictEqual(yield* reasonOf(a.peer.sendAll([getTxSet(2), transaction(400)])), "ErrorReceived")
      assert.strictEqual(yield* reasonOf(drain(a.peer)), "ErrorReceived")
      assert.strictEqual((yield* a.peer.closed)._tag, "ErrorReceived")
      const failure = yield* failureOf(a.peer.send(getTxSet(2)))
      assert.deepStrictEqual([failure.id, failure.address.toString()], [a.peer.id, a.peer.address.toString()])
    })
  },
  {
    title: "PEE-20 FLC-02 a defect in a consumer returns its credit exactly once, and the next consumer goes on",
    run: Effect.gen(function*() {
      const { a, b } = yield* link({ a: { config: exact }, b: { config: exact, scpStateFrom: "none" } })
      yield* Effect.forkScoped(Effect.ignore(drain(a.peer)))
      yield* a.peer.sendAll(Array.from({ length: 20 }, (_, i) => transaction(400, i)))
      yield* until(() => b.peer.session.flow.localFloodMessages === 0)
      let seen = 0
      const exit = yield* Effect.exit(Stream.runForEachArray(b.peer.messages, (messages) => {
        seen += messages.filter(({ _tag }) => _tag === "Transaction").length
        return seen > 0 ? Effect.die("a bug") : Effect.void
      }))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.strictEqual(b.peer.session.flow.localFloodMessages, seen, "what the consumer had is free again")
      yield* Effect.forkScoped(Effect.ignore(drain(b.peer)))
      yield* until(() => isWhole(b) && hasAllCredit(a))
    })
  },
  {
    title: "PEE-20 FLC-02 an interrupted consumer returns its credit exactly once",
    run: Effect.gen(function*() {
      const { a, b } = yield* link({ a: { config: exact }, b: { config: exact, scpStateFrom: "none" } })
      yield* Effect.forkScoped(Effect.ignore(drain(a.peer)))
      for (let round = 0; round < 5; round++) {
        const working = yield* Deferred.make<void>()
        const consumer = yield* Effect.forkChild(
          Stream.runForEachArray(b.peer.messages, (messages) =>
            messages.some(({ _tag }) => _tag === "Transaction")
              ? Effect.andThen(Deferred.succeed(working, undefined), Effect.never)
              : Effect.void)
        )
        yield* a.peer.send(transaction(400, round))
        yield* Deferred.await(working)
        assert.strictEqual(b.peer.session.flow.localFloodMessages, 19, "held while it is worked on")
        yield* Fiber.interrupt(consumer)
        assert.strictEqual(b.peer.session.flow.localFloodMessages, 20)
        yield* until(() => isWhole(b) && hasAllCredit(a))
      }
    })
  },
  {
    title: "PEE-20 FLC-02 the end of a stream returns the credit of its last batch",
    run: Effect.gen(function*() {
      const { a, b } = yield* link({ a: { config: exact }, b: { config: exact, scpStateFrom: "none" } })
      yield* Effect.forkScoped(Effect.ignore(drain(a.peer)))
      yield* a.peer.send(transaction(400, 7))
      const [message] = yield* take(b.peer, "Transaction", 1)
      assert.strictEqual(message && numberOf(message), 7)
      yield* until(() => isWhole(b) && hasAllCredit(a))
    })
  },
  {
    title:
      "FLC-02 FLC-09 F8 a consumer that does not pull stops the sender in send, within named bounds; then everything comes, in order",
    run: Effect.gen(function*() {
      const { a, b } = yield* link()
      yield* Effect.forkScoped(Effect.ignore(drain(a.peer)))
      let sent = 0
      const sender = yield* Effect.forkChild(Effect.gen(function*() {
        for (; sent < 2000; sent++) yield* a.peer.send(transaction(400, sent))
      }))
      // 200 are on their way or with the consumer that does not pull; 500, half a transaction set, may wait in the queue.
      yield* until(() => sent >= 700)
      yield* until(() => b.peer.session.flow.localFloodMessages === 0)
      for (let i = 0; i < 20; i++) yield* Effect.sleep(1)
      assert.strictEqual(sent, 700)
      assert.isUndefined(sender.pollUnsafe(), "send waits")
      assert.isTrue(a.peer.session.isCongested)
      const received = yield* take(b.peer, "Transaction", 2000)
      yield* Fiber.join(sender)
      assert.deepStrictEqual(received.map(numberOf), Array.from({ length: 2000 }, (_, i) => i))
      assert.strictEqual(a.peer.session.queues.droppedTransactions, 0)
    })
  },
  {
    title: "FLC-02 a sender that waits is woken by the end, and fails with its reason",
    run: Effect.gen(function*() {
      const { a, b } = yield* link()
      let sent = 0
      const sender = yield* Effect.forkChild(reasonOf(Effect.gen(function*() {
        for (; sent < 5000; sent++) yield* a.peer.send(transaction(400, sent))
      })))
      yield* until(() => sent >= 700)
      yield* b.peer.drop(make("DroppedByUser"))
      assert.strictEqual(yield* Fiber.join(sender), "ErrorReceived")
    })
  },
  {
    title: "PEE-16 FLC-09 the lanes apart: bulk that nobody pulls does not hold up SCP",
    run: Effect.gen(function*() {
      const { a, b } = yield* link()
      yield* Effect.forkScoped(Effect.ignore(drain(a.peer)))
      for (let i = 0; i < 150; i++) yield* a.peer.send(transaction(400, i))
      const scp = Array.from({ length: 20 }, (_, i) => sample("ScpMessage", i + 1))
      for (const message of scp) yield* a.peer.send(message)
      const urgent = yield* b.peer.lanes.urgent.pipe(
        Stream.filter(({ _tag }) => _tag === "ScpMessage"),
        Stream.take(20),
        Stream.map((message) => scp.findIndex(({ bytes }) => Buffer.compare(bytes, message.bytes) === 0)),
        Stream.runCollect
      )
      assert.deepStrictEqual(urgent, Array.from({ length: 20 }, (_, i) => i))
      const bulk = yield* b.peer.lanes.bulk.pipe(Stream.take(150), Stream.map((m) => m.retain()), Stream.runCollect)
      assert.deepStrictEqual(
        bulk.map((m) => m._tag === "Transaction" && numberOf(m)),
        Array.from({ length: 150 }, (_, i) => i)
      )
    })
  },
  {
    title:
      "HSK-07 CFG-06 CON-01 a refused handshake fails on both sides with the reason, and leaves no peer and no connection",
    run: Effect.gen(function*() {
      const b = yield* makeNode("b", { overlayVersion: 50, overlayMinVersion: 50 })
      const a = yield* makeNode("a")
      const door = yield* listen(b)
      const accepting = yield* Effect.forkChild(reasonOf(door.next))
      const failure = yield* failureOf(dial(a, door.address))
      assert.strictEqual(failure.reason._tag, "WrongProtocolVersion")
      assert.isDefined(failure.id)
      assert.isFalse(failure.retryable)
      assert.strictEqual(yield* Fiber.join(accepting), "WrongProtocolVersion")
      assert.deepStrictEqual([drops(a.events).length, drops(b.events).length], [1, 1])
      for (const connection of [...a.connections, ...b.connections]) {
        yield* failureOf(connection.pull) // it is closed, or it would wait
      }
    })
  },
  {
    title: "HSK-012 PEE-05 CFG-06 no slot: the dialler reads ERR_LOAD, gets the addresses first, and may come again",
    run: Effect.gen(function*() {
      const b = yield* makeNode("b")
      const a = yield* makeNode("a")
      const someone = PeerAddress.make("1.1.1.1", 11625)
      const door = yield* listen(b, {
        admission: { ...admitAll, peersFor: () => [someone], authenticated: () => make("PeerRejected") }
      })
      const accepting = yield* Effect.forkChild(reasonOf(door.next))
      // The dialler is authenticated for a moment: AUTH and PEERS came before the refusal.
      const outcome = yield* Effect.exit(dial(a, door.address))
      if (Exit.isSuccess(outcome)) {
        const { peer } = outcome.value
        const peers = yield* peer.messages.pipe(
          Stream.flatMap((m) => m instanceof Peers ? Stream.fromIterable(m.addresses) : Stream.empty),
          Stream.map(String),
          Stream.catch(() => Stream.empty),
          Stream.runCollect
        )
        assert.deepStrictEqual(peers, ["1.1.1.1:11625"])
        assert.strictEqual((yield* peer.closed)._tag, "LoadErrorReceived")
      } else {
        const failure = Cause.squash(outcome.cause)
        assert.isTrue(
          failure instanceof PeerDropped && failure.reason._tag === "LoadErrorReceived" && failure.retryable
        )
      }
      assert.strictEqual(yield* Fiber.join(accepting), "PeerRejected")
      const [dropped] = drops(a.events)
      assert.strictEqual(dropped?._tag === "PeerDropped" && DropReason.text(dropped.reason), "ERR_LOAD (peer rejected)")
    })
  },
  {
    title: "CFG-06 CON-01 a port where nothing listens, and a text that is no address: typed reasons, one event",
    run: Effect.gen(function*() {
      const a = yield* makeNode("a")
      const transport = yield* Transport
      const { address } = yield* Effect.scoped(transport.listen({ host: "127.0.0.1", port: 0 }))
      const refused = yield* failureOf(dial(a, address))
      assert.deepStrictEqual([refused.reason._tag, refused.reason.detail, refused.retryable], [
        "ConnectionRefused",
        "ECONNREFUSED",
        true
      ])
      assert.deepStrictEqual(tags(a.events), ["PeerConnecting", "PeerDropped"])
      const wrong = yield* failureOf(
        Effect.scoped(Peer.connect("not an address:port")).pipe(Effect.provide(a.context))
      )
      assert.strictEqual(wrong.reason._tag, "NameNotResolved")
    })
  },
  {
    title: "CON-01 T3 a dial that is interrupted while the other side says nothing closes the connection",
    run: Effect.gen(function*() {
      const a = yield* makeNode("a")
      const transport = yield* Transport
      const listener = yield* transport.listen({ host: "127.0.0.1", port: 0 })
      const accepted = yield* Deferred.make<string>()
      const ended = yield* Deferred.make<string>()
      yield* Effect.forkScoped(listener.run((connection) =>
        Effect.gen(function*() {
          const [hello] = yield* connection.pull // its HELLO, which stays without an answer
          yield* Deferred.succeed(accepted, hello === undefined ? "nothing" : "hello")
          const error = yield* failureOf(Effect.forever(connection.pull))
          yield* Deferred.succeed(ended, error.kind)
        }).pipe(Effect.ignore)
      ))
      const dialling = yield* Effect.forkChild(dial(a, listener.address))
      assert.strictEqual(yield* Deferred.await(accepted), "hello")
      yield* Fiber.interrupt(dialling)
      assert.strictEqual(yield* Deferred.await(ended), "Eof")
      assert.deepStrictEqual(tags(a.events), ["PeerConnecting", "PeerConnected", "PeerDropped"])
      yield* failureOf(a.connections[0]!.pull)
    })
  },
  {
    title: "FLC-015 FLC-11 a ledger that allows greater transactions gives the remote credit for them at once",
    run: Effect.gen(function*() {
      const { a, b } = yield* link({ a: { config: exact }, b: { config: exact } })
      yield* until(() => hasAllCredit(a))
      const { ledger } = b.peer.session.queues
      b.peer.updateLedger({ ...ledger, maxTransactionSize: ledger.maxTransactionSize + 5000 })
      yield* until(() => a.peer.session.flow.byteCredit === 305_000n)
      assert.strictEqual(a.peer.session.flow.messageCredit, 20n)
    })
  },
  {
    title: "CON-05 T11 a connection that ends without a word is one reason on the side that was left",
    run: Effect.gen(function*() {
      const { a, b } = yield* link()
      yield* a.node.connections[0]!.end
      const reason = yield* b.peer.closed
      assert.strictEqual(reason._tag, "RemoteClosed")
      assert.strictEqual(DropReason.text(reason), "error reading message header: end of file")
      assert.strictEqual(drops(b.node.events).length, 1)
    })
  },
  {
    title: "FLC-12 CFG-07 5000 transactions each way at once, counted on both sides",
    run: Effect.gen(function*() {
      const { a, b } = yield* link()
      const count = 5000
      const pool = Array.from({ length: 50 }, (_, i) => transaction(400, i))
      const talk = (from: Handle) => from.peer.sendAll(Array.from({ length: count }, (_, i) => pool[i % 50]!))
      const hear = (to: Handle) => Effect.map(take(to.peer, "Transaction", count), (messages) => messages.map(numberOf))
      const [, , atA, atB] = yield* Effect.all([talk(a), talk(b), hear(a), hear(b)], { concurrency: 4 })
      const expected = Array.from({ length: count }, (_, i) => i % 50)
      assert.deepStrictEqual(atA, expected)
      assert.deepStrictEqual(atB, expected)
      assert.deepStrictEqual([a.peer.session.queues.droppedTransactions, b.peer.session.queues.droppedTransactions], [
        0,
        0
      ])
    })
  }
]
