/**
 * Hostile and slow consumers, with a real `Peer` on the loopback in a `World`: where reading stops and resumes, what is
 * held meanwhile, what comes out in the end; and that a storm does not keep other fibers from their turn.
 */
import { assert, describe, it } from "@effect/vitest"
import * as AttackTrial from "@stellar-overlay/overlay-test/hostile/AttackTrial"
import { advert, note, notes, txSet } from "@stellar-overlay/overlay-test/hostile/parts"
import * as Hostile from "@stellar-overlay/overlay-test/hostile/QueryAttacks"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import { TestCrypto } from "@stellar-overlay/overlay-test/TestCrypto"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect, Fiber, Layer, Stream } from "effect"
import { LocalNode } from "../../src/LocalNode.ts"
import { NodeIdentity } from "../../src/NodeIdentity.ts"
import * as OverlayConfig from "../../src/OverlayConfig.ts"
import * as Peer from "../../src/Peer.ts"
import type { Connection } from "../../src/Transport.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import { GetScpState, GetTxSet, SendMoreExtended, type StellarMessage } from "../../src/wire/StellarMessage.ts"
import { authenticated, heldBytes, noted, upTo } from "./fixtures.ts"

const node = (name: string, config: Partial<OverlayConfig.Values> = {}) =>
  LocalNode.layer.pipe(
    Layer.provide(NodeIdentity.layerRandom),
    Layer.provide(TestCrypto.layer(name)),
    Layer.provide(OverlayConfig.OverlayConfig.layer({ ...OverlayConfig.standalone, ...config })),
    Layer.orDie,
    Layer.fresh
  )

/** A victim that accepted, and the scripted peer that dialled it; both authenticated, the victim's consumer not started. */
const link = Effect.fnUntraced(function*(options: Peer.PeerOptions = {}, network: LoopbackTransport.Options = {}) {
  const [dialer, listener] = yield* LoopbackTransport.pair(network)
  const scripted = yield* ScriptedPeer.make(dialer)
  const accepting = yield* Effect.forkScoped(Effect.provide(Peer.accept(listener, options), node("victim")))
  yield* scripted.handshake()
  yield* scripted.say(SendMoreExtended.make({ numMessages: 200, numBytes: 300_000 }))
  const peer = yield* Fiber.join(accepting)
  scripted.script.answersPings = true
  yield* scripted.expectOpen(1)
  return { peer, scripted, buffered: () => dialer.link.buffered("toListener") }
})

const collect = (peer: Peer.Peer, into: Array<StellarMessage>) =>
  Effect.ignore(Stream.runForEach(peer.messages, (message) => Effect.sync(() => into.push(message.retain()))))

const granted = (scripted: ScriptedPeer.ScriptedPeer) =>
  scripted.script.messages("SendMoreExtended").reduce(
    (sum, grant) => [sum[0]! + grant.numMessages, sum[1]! + grant.numBytes],
    [0, 0]
  )

describe("a consumer that stops", () => {
  it.effect("F7 reading stops at 201 messages, resumes by itself, and nothing is lost or out of order", () =>
    World.run(Effect.gen(function*() {
      const { buffered, peer, scripted } = yield* link()
      const received: Array<StellarMessage> = []
      const before = peer.session.stats.messagesRead
      assert.isFalse(yield* scripted.sayAll(notes(2000)), "the write waits for room")
      yield* scripted.expectOpen(15_000)
      assert.strictEqual(peer.session.stats.messagesRead - before, 201)
      assert.isFalse(peer.session.canRead)
      assert.strictEqual(peer.session.flow.localMessages, 0)
      // One chunk at most was taken from the socket beyond what was read.
      assert.isAtLeast(buffered(), 88 * 2000 - 65_536)
      yield* Effect.forkScoped(collect(peer, received))
      yield* scripted.expectOpen(1000)
      assert.deepStrictEqual(noted(received).slice(0, 2000), upTo(2000))
      assert.isTrue(peer.session.canRead)
      assert.strictEqual(peer.session.flow.localMessages, 201)
      assert.isAtLeast(peer.session.stats.readThrottleMillis, 19_000)
    })))

  it.effect("F7 reading stops at 1 MiB in process, above the message that reached it", () =>
    World.run(Effect.gen(function*() {
      const { peer, scripted } = yield* link({}, { capacity: 4_194_304 })
      const size = txSet(0, 1).size
      const before = peer.session.stats.messagesRead
      assert.isTrue(yield* scripted.sayAll(Array.from({ length: 30 }, (_, i) => txSet(i, 1))))
      yield* scripted.expectOpen(1000)
      const most = Math.ceil(1_048_576 / size)
      assert.strictEqual(peer.session.stats.messagesRead - before, most)
      assert.strictEqual(peer.session.flow.localBytes, 17_825_796 - most * size)
      const received: Array<StellarMessage> = []
      yield* Effect.forkScoped(collect(peer, received))
      yield* scripted.expectOpen(1000)
      assert.deepStrictEqual(received.map(({ bytes }) => bytes[7]), upTo(30))
    })))

  it.effect("F7 F3 the last message of total capacity may still be a flood message, the first beyond the grant is not", () =>
    World.run(Effect.gen(function*() {
      const { peer, scripted } = yield* link()
      // 200 flood messages and one other fill 201: reading stops, so that the message beyond the grant is not even read.
      yield* scripted.sayAll([...Array.from({ length: 200 }, (_, i) => advert(1, i)), note(1), advert(1)])
      yield* scripted.expectOpen(1000)
      assert.isFalse(peer.session.canRead)
      // The note alone is settled: total capacity is free again, flood capacity is not.
      const urgent = peer.session.takeBatch()
      assert.deepStrictEqual(urgent?.messages.map(({ _tag }) => _tag), ["DontHave"])
      peer.session.settle(urgent!, { millis: 0, unixSeconds: 0 })
      peer.offer(note(2)) // wakes the reader, as a consumer's pull does
      yield* scripted.expectClosed({ error: "silent" })
      assert.strictEqual((yield* peer.closed)._tag, "FloodCapacityExceeded")
    })))

  it.effect("F8 ten minutes: memory is flat, the peer stays, and everything comes out complete and in order", () =>
    World.run(Effect.gen(function*() {
      const before = heldBytes()
      const { peer, scripted } = yield* link()
      const received: Array<StellarMessage> = []
      const adverts = [
        ...Array.from({ length: 100 }, (_, i) => advert(1, i)),
        ...Array.from({ length: 100 }, (_, i) => advert(40 + (i & 1) * 60, 1000 * i))
      ]
      yield* scripted.sayAll([...adverts, ...notes(300)])
      yield* scripted.expectOpen(60_000)
      const early = heldBytes()
      yield* scripted.expectOpen(540_000)
      const late = heldBytes()
      assert.isBelow(late - early, 262_144, "held after ten minutes beyond what was held after one")
      assert.isBelow(late - before, 4_194_304)
      assert.deepStrictEqual(granted(scripted), [200, 300_000], "nothing is granted for what is not consumed")

      yield* Effect.forkScoped(collect(peer, received))
      yield* scripted.expectOpen(1000)
      const bulk = received.filter(({ _tag }) => _tag === "FloodAdvert")
      assert.deepStrictEqual(bulk.map(({ bytes }) => bytes), adverts.map(({ bytes }) => bytes))
      assert.deepStrictEqual(noted(received).slice(0, 300), upTo(300))
      // All of it came back but what is below the batch of 40.
      const [messages, bytes] = granted(scripted)
      assert.isTrue(messages! > 360 && messages! <= 400, `${messages}`)
      const last = adverts.slice(messages! - 400 || adverts.length).reduce((sum, { size }) => sum + size, 0)
      assert.strictEqual(bytes! + last, 300_000 + adverts.reduce((sum, { size }) => sum + size, 0))
      yield* scripted.expectOpen(60_000)
    })))

  it.effect("F8 twenty stopped consumers hold what was granted, and no more", () =>
    World.run(Effect.gen(function*() {
      const size = advert(124).size
      const count = 20
      const before = heldBytes()
      for (let i = 0; i < count; i++) {
        const { scripted } = yield* link({}, { capacity: 16_384, readLimit: 16_384 })
        // All of the credit in messages, three quarters of it in bytes, and then as many notes as the socket takes.
        yield* scripted.sayAll(Array.from({ length: 60 }, () => advert(124)))
        yield* scripted.sayAll(notes(2000))
      }
      const each = (heldBytes() - before) / count
      // Both ends, the transcript of the scripted one included: what is in process, the notes under way, the sockets.
      assert.isBelow(each, 60 * size * 2 + 2000 * 88 * 3 + 201 * 512 + 524_288)
    })))
})

describe("a storm", () => {
  it.effect("T9 10,000 frames in one chunk leave other fibers their turns", () =>
    World.run(
      Effect.gen(function*() {
        const { peer, scripted } = yield* link({}, { capacity: 1_048_576, readLimit: 1_048_576 })
        const { stats } = peer.session
        const end = stats.messagesRead + 10_000
        let [most, last] = [0, stats.messagesRead]
        // Another peer's fiber, say: it only wants its turns, until the storm is over.
        const neighbour = yield* Effect.forkScoped(Effect.gen(function*() {
          while (stats.messagesRead < end) {
            most = Math.max(most, stats.messagesRead - last)
            last = stats.messagesRead
            yield* Effect.yieldNow
          }
        }))
        yield* scripted.sayAll(
          Array.from({ length: 10_000 }, () => SendMoreExtended.make({ numMessages: 1, numBytes: 1 }))
        )
        yield* Fiber.join(neighbour)
        // A seed may pick the reader a few times in a row.
        assert.isAtMost(most, 8 * 256)
        assert.isAbove(most, 0)
      }),
      { seed: 5 }
    ))

  it.effect("T11 a reset in the middle of a frame closes the scope once, and delivers what came whole", () =>
    World.run(
      Effect.gen(function*() {
        const network = yield* LoopbackTransport.LoopbackNetwork
        let closed = 0
        const received: Array<number> = []
        const reasons: Array<string> = []
        const transport = network.transportAt("127.0.0.1")
        const listener = yield* transport.listen({ port: 11_625 })
        const handler = Effect.fnUntraced(function*(connection: Connection) {
          yield* Effect.addFinalizer(() => Effect.sync(() => closed++))
          const peer = yield* Peer.accept(connection)
          yield* Stream.runForEach(peer.messages, (message) => Effect.sync(() => received.push(...noted([message]))))
        }, Effect.catchTag("PeerDropped", ({ reason }) => Effect.sync(() => reasons.push(reason._tag))))
        yield* Effect.forkScoped(listener.run((connection) => Effect.provide(handler(connection), node("victim"))))
        const dialer = yield* transport.dial(PeerAddress.make("127.0.0.1", 11_625), { timeoutMillis: 1000 })
        const scripted = yield* ScriptedPeer.make(dialer)
        yield* scripted.handshake()
        yield* scripted.sayAll(notes(3))
        yield* scripted.sayBytes(scripted.script.encode(note(3)).slice(0, 50))
        yield* Effect.sleep(10)
        yield* scripted.reset
        yield* Effect.sleep("6 seconds")
        assert.deepStrictEqual([closed, received, reasons], [1, upTo(3), ["ReadError"]])
      }).pipe(Effect.provide(LoopbackTransport.layer))
    ))
})

describe("queries", () => {
  it("Q2 ten of a thousand GET_SCP_STATE are heard in a window, and ten in the next", () => {
    const variant = Hostile.q2.variants[0]!
    const { delivered } = AttackTrial.onSession(variant)
    assert.strictEqual(delivered.filter(({ _tag }) => _tag === "GetScpState").length, 20)
  })

  it("Q1 transaction sets of 10 MB are answered to 32 MiB a minute", () => {
    const set = txSet(1, 100)
    const wire = authenticated({ victim: { idle: true, session: { answers: "deliver" } } })
    const { session } = wire.victim
    const answer = () => {
      for (let batch; (batch = wire.victim.take()) !== undefined; session.settle(batch, wire.now)) {
        for (const message of batch.messages) {
          if (message._tag === "GetTxSet" && session.mayAnswerTxSet(set.size, wire.now.millis)) {
            session.send(set, wire.now)
          }
        }
      }
    }
    const answered = () => wire.peer.messages("TxSet").length
    wire.peer.answersPings = true
    const ask = (count: number) => {
      for (let i = 0; i < count; i++) {
        wire.run((peer) => peer.say(GetTxSet.make({ hash: new Uint8Array(32) })))
        answer()
        wire.run((peer) => peer.wait(100))
      }
    }
    ask(290)
    assert.strictEqual(answered(), Math.floor(33_554_432 / set.size))
    wire.run(function*(peer) {
      yield* peer.say(SendMoreExtended.make({ numMessages: 1, numBytes: 1 }))
      yield* peer.expectOpen(32_000)
    })
    ask(10)
    assert.strictEqual(answered(), 2 * Math.floor(33_554_432 / set.size))
    assert.isUndefined(wire.dropped)
  })

  it("Q1 Q2 Q3 the limits are each a type's own, and what is ignored is counted", () => {
    const wire = authenticated()
    wire.run(function*(peer) {
      yield* peer.sayAll(Array.from({ length: 20 }, () => GetScpState.make({ ledgerSeq: 1 })))
      yield* peer.sayAll(Array.from({ length: 301 }, () => GetTxSet.make({ hash: new Uint8Array(32) })))
      yield* peer.expectOpen(1)
    })
    assert.strictEqual(wire.victim.session.stats.queriesIgnored, 11)
    assert.lengthOf(wire.peer.messages("DontHave"), 300)
  })
})

describe("flow control, at its edges", () => {
  it("F3 after grants, the first message beyond them ends it, and not one before", () => {
    for (const over of [0, 1]) {
      const wire = authenticated()
      const grants = () => wire.peer.messages("SendMoreExtended").reduce((sum, { numMessages }) => sum + numMessages, 0)
      let sent = 0
      // The last 18 are processed and not granted back: they still count against the grant.
      for (const count of [40, 41, 50, 63, 64, 100, 39, 1, 17]) {
        wire.run((peer) => peer.sayAll(Array.from({ length: count }, (_, i) => advert(1, sent + i))))
        sent += count
      }
      // The consumer stops: from here on nothing is granted.
      wire.victim.idle = true
      const left = grants() - sent
      assert.strictEqual(left, 182)
      wire.run((peer) => peer.sayAll(Array.from({ length: left + over }, (_, i) => advert(1, i))))
      assert.strictEqual(wire.dropped?._tag, over === 0 ? undefined : "FloodCapacityExceeded")
      // 200 adverts of 40 bytes are in process or not granted back yet.
      if (over === 1) assert.strictEqual(wire.dropped?.detail, "40 bytes, with 0 messages and 292000 bytes left")
    }
  })

  it("F4 the end comes at 60,000 ms, and an empty grant of messages alone would not have put it off", () => {
    const wire = authenticated()
    wire.peer.answersPings = true
    assert.isTrue(wire.run((peer) => peer.wait(59_999)))
    assert.isFalse(wire.run((peer) => peer.wait(1)))
    assert.strictEqual(wire.dropped?._tag, "NoCapacityTimeout")
    assert.strictEqual(wire.victim.dropText, "idle timeout (no new flood requests)")
  })
})
