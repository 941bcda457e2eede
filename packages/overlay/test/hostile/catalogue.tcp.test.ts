/**
 * A choice of the same attacks over real TCP on 127.0.0.1: at least one for each way a connection can be hurt. Time is
 * real here, so upper bounds get slack, and nothing is chosen that takes its time.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { Attack, Variant } from "@stellar-overlay/overlay-test/hostile/Attack"
import * as AttackTrial from "@stellar-overlay/overlay-test/hostile/AttackTrial"
import { attacks, top } from "@stellar-overlay/overlay-test/hostile/Catalogue"
import { endless, note, notes } from "@stellar-overlay/overlay-test/hostile/parts"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import { Cause, Deferred, Effect, Layer, Option, Queue, Stream } from "effect"
import { createConnection, type Socket } from "node:net"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { LocalNode } from "../../src/LocalNode.ts"
import { NodeIdentity } from "../../src/NodeIdentity.ts"
import * as NodeOverlayCrypto from "../../src/NodeOverlayCrypto.ts"
import * as NodeTransport from "../../src/NodeTransport.ts"
import * as OverlayConfig from "../../src/OverlayConfig.ts"
import * as Peer from "../../src/Peer.ts"
import { Priority } from "../../src/protocol/Priority.ts"
import { type Connection, Transport, TransportError } from "../../src/Transport.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import { GetTxSet, SendMoreExtended } from "../../src/wire/StellarMessage.ts"
import { noted, upTo } from "./fixtures.ts"

const SLACK_MILLIS = 30_000

const choiceOf = (attack: Attack): ReadonlyArray<Variant> => {
  const names = top.flatMap(([id, name]) => id === attack.id ? [name] : [])
  return attack.variants.filter((variant) => names.some((name) => variant.name.includes(name)))
}

describe("hostile peers over TCP", () => {
  /** G5 as it really was, for whoever reads the output: attackers and victims share the loop, and nothing is decided. */
  const delay = monitorEventLoopDelay({ resolution: 10 })
  beforeAll(() => void delay.enable())
  afterAll(() => {
    delay.disable()
    const [p99, longest] = [delay.percentile(99), delay.max].map((nanos) => (nanos / 1e6 - 10).toFixed(0))
    process.stderr.write(`the event loop was ${longest} ms late at most, ${p99} ms in 99 of 100 looks (G5)\n`)
  })

  for (const attack of attacks) {
    const variants = choiceOf(attack)
    if (variants.length === 0) continue
    it.live(`${attack.id} ${attack.title}`, () =>
      Effect.gen(function*() {
        const wrong: Array<unknown> = []
        for (const [i, variant] of variants.entries()) {
          const trial = yield* Effect.scoped(AttackTrial.onTransport(variant, { seed: i, slackMillis: SLACK_MILLIS }))
          const problems = AttackTrial.judge(variant, trial)
          if (problems.length > 0) wrong.push({ variant: variant.name, problems, heard: trial.peer.transcript })
        }
        assert.deepStrictEqual(wrong, [])
      }).pipe(Effect.provide(NodeTransport.layer)))
  }

  it("every row that was chosen exists", () => {
    for (const [id, name] of top) {
      assert.isTrue(
        attacks.some((attack) => attack.id === id && choiceOf(attack).some((v) => v.name.includes(name))),
        id
      )
    }
  })
})

const node = (config: Partial<OverlayConfig.Values> = {}) =>
  LocalNode.layer.pipe(
    Layer.provide(NodeIdentity.layerRandom),
    Layer.provide(NodeOverlayCrypto.layer),
    Layer.provide(OverlayConfig.OverlayConfig.layer({ ...OverlayConfig.standalone, ...config })),
    Layer.orDie,
    Layer.fresh
  )

/** A socket of its own, which can do what a `Connection` cannot: break. */
const rawConnection = Effect.fnUntraced(function*(port: number) {
  const chunks = yield* Queue.unbounded<Uint8Array, TransportError>()
  const socket = yield* Effect.acquireRelease(
    Effect.callback<Socket>((resume) => {
      const socket = createConnection(
        { host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true },
        () => resume(Effect.succeed(socket))
      )
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )
  const end = (kind: TransportError["kind"]) => () => {
    Queue.failCauseUnsafe(chunks, Cause.fail(new TransportError({ kind, detail: kind })))
  }
  socket.on("data", (chunk) => Queue.offerUnsafe(chunks, new Uint8Array(chunk)))
  socket.on("end", end("Eof"))
  socket.on("error", end("Reset"))
  socket.on("close", end("Reset"))
  const connection: Connection = {
    remote: PeerAddress.make("127.0.0.1", port),
    pull: Queue.takeAll(chunks),
    write: (chunks) =>
      Effect.callback<void, TransportError>((resume) => {
        socket.write(Buffer.concat(chunks), (error) =>
          resume(error ? Effect.fail(new TransportError({ kind: "Reset", detail: error.message })) : Effect.void))
      }),
    end: Effect.sync(() => socket.end())
  }
  return { connection, socket }
})

/** A victim that accepts one connection, and what it says about it; its consumer starts when `start` is done. */
const victim = Effect.fnUntraced(function*(config: Partial<OverlayConfig.Values>, start: Effect.Effect<unknown>) {
  const transport = yield* Transport
  const listener = yield* transport.listen({ host: "127.0.0.1", port: 0 })
  const peer = yield* Deferred.make<Peer.Peer>()
  const received: Array<number> = []
  let closed = 0
  const handler = Effect.fnUntraced(function*(connection: Connection) {
    yield* Effect.addFinalizer(() => Effect.sync(() => closed++))
    const accepted = yield* Peer.accept(connection)
    yield* Deferred.succeed(peer, accepted)
    yield* start
    yield* Stream.runForEach(accepted.messages, (message) => Effect.sync(() => received.push(...noted([message]))))
  }, (self) => Effect.ignore(self))
  yield* Effect.forkScoped(listener.run((connection) => Effect.provide(handler(connection), node(config))))
  return { port: listener.address.port, peer: Deferred.await(peer), received, closed: () => closed }
})

describe("sockets that break or stall, over TCP", () => {
  it.live("T11 an RST in the middle of a frame is a read error, closes once, and delivers what came whole", () =>
    Effect.gen(function*() {
      const { closed, peer, port, received } = yield* victim({}, Effect.void)
      const { connection, socket } = yield* rawConnection(port)
      const scripted = yield* ScriptedPeer.make(connection, {
        slackMillis: SLACK_MILLIS,
        reset: Effect.sync(() => void socket.resetAndDestroy())
      })
      yield* scripted.handshake()
      yield* scripted.sayAll(notes(3))
      // It has read them: it answers the question after them.
      yield* scripted.say(GetTxSet.make({ hash: new Uint8Array(32) }))
      yield* scripted.expect("DontHave")
      yield* scripted.sayBytes(scripted.script.encode(note(3)).slice(0, 50))
      yield* scripted.reset
      const reason = yield* Effect.flatMap(peer, ({ closed }) => closed)
      assert.strictEqual(reason._tag, "ReadError")
      assert.deepStrictEqual(received, upTo(3))
      while (closed() === 0) yield* Effect.yieldNow
      assert.strictEqual(closed(), 1)
    }).pipe(Effect.provide(NodeTransport.layer)))

  it.live("T12 a peer whose window is shut is a straggler, and what waits for it is bounded", () =>
    Effect.gen(function*() {
      const { peer, port } = yield* victim({ peerStragglerTimeoutSeconds: 1 }, Effect.void)
      const transport = yield* Transport
      const scripted = yield* ScriptedPeer.make(
        yield* transport.dial(PeerAddress.make("127.0.0.1", port), { timeoutMillis: 5000 }),
        { slackMillis: SLACK_MILLIS }
      )
      yield* scripted.handshake()
      yield* scripted.stopReading
      yield* scripted.say(SendMoreExtended.make({ numMessages: 0xffff_ffff, numBytes: 0xffff_ffff }))
      const accepted = yield* peer
      let most = 0
      yield* Effect.forkScoped(Effect.ignore(accepted.sendAll(endless(102_400))))
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(
        Effect.sync(() => {
          most = Math.max(most, accepted.session.queues.bytesOf(Priority.Transaction))
        }),
        Effect.sleep(50)
      )))
      assert.strictEqual((yield* accepted.closed)._tag, "Straggling")
      assert.isAbove(most, 0)
      assert.isAtMost(most, 3_145_728)
    }).pipe(Effect.provide(NodeTransport.layer)))

  it.live("F7 F8 a consumer that stops stops the sender, and loses nothing when it goes on", () =>
    Effect.gen(function*() {
      const go = yield* Deferred.make<void>()
      const { peer, port, received } = yield* victim({}, Deferred.await(go))
      const transport = yield* Transport
      const scripted = yield* ScriptedPeer.make(
        yield* transport.dial(PeerAddress.make("127.0.0.1", port), { timeoutMillis: 5000 }),
        { slackMillis: SLACK_MILLIS }
      )
      yield* scripted.handshake()
      const { session } = yield* peer
      const before = session.stats.messagesRead
      // Far more than the buffers of both sockets hold: the write is not taken, however long it waits.
      const count = 150_000
      const blocked = yield* Effect.timeoutOption(
        scripted.connection.write([
          new Uint8Array(Buffer.concat(notes(count).map((message) => scripted.script.encode(message))))
        ]),
        "1 second"
      )
      assert.isTrue(Option.isNone(blocked))
      assert.strictEqual(session.stats.messagesRead - before, 201)
      yield* Deferred.succeed(go, undefined)
      yield* scripted.say(GetTxSet.make({ hash: new Uint8Array(32) }))
      yield* scripted.expect("DontHave")
      assert.deepStrictEqual(received, upTo(count))
    }).pipe(Effect.provide(NodeTransport.layer)))
})
