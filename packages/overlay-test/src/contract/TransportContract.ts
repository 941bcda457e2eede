/**
 * What every `Transport` must do, as cases for any test framework.
 *
 * A case passes by succeeding and fails by a typed error or an assertion's defect. No case depends on how fast anything
 * is; all of them listen on 127.0.0.1 with port 0.
 *
 * @since 0.1.0
 */
import {
  type Connection,
  isPollable,
  type Listener,
  Transport,
  TransportError
} from "@stellar-overlay/overlay/Transport"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as assert from "../internal/assert.ts"

/**
 * One case. The title starts with the capabilities, scenarios and attacks it covers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Case {
  readonly title: string
  readonly run: Effect.Effect<void, TransportError, Transport | Scope.Scope>
}

const HOST = "127.0.0.1"
const DIAL = { timeoutMillis: 10_000 }
const MIB = 1_048_576

/** Event-loop turns without progress after which a writer counts as suspended. */
const IDLE_TURNS = 100

/** A unit of 64 KiB, and how many of them no kernel takes without a reader (256 MiB). */
const UNIT = 65_536
const UNITS = 4_096

/** The byte at a position of the test stream; its period is not a power of two, so that shifts show. */
const byteAt = (position: number): number => position % 251

const stream = (from: number, length: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = byteAt(from + i)
  return bytes
}

/** Checks that bytes continue the test stream at `from`; returns the position after them. */
const follow = (from: number, chunks: ReadonlyArray<Uint8Array>): number => {
  let position = from
  for (const chunk of chunks) {
    assert.ok(chunk.length > 0, "an empty chunk was delivered")
    for (const byte of chunk) {
      if (byte !== byteAt(position)) assert.fail(`byte ${position} is ${byte}, not ${byteAt(position)}`)
      position++
    }
  }
  return position
}

/** Pulls until the end, checks the test stream from `from` on, and returns its length. */
const readToEnd = Effect.fnUntraced(function*(connection: Connection, from = 0) {
  let position = from
  while (true) {
    const pulled = yield* Effect.result(connection.pull)
    if (Result.isFailure(pulled)) {
      assert.equal(pulled.failure.kind, "Eof")
      return position
    }
    position = follow(position, pulled.success)
  }
})

/** Pulls until `length` bytes of the test stream have come. */
const readBytes = Effect.fnUntraced(function*(connection: Connection, length: number, from = 0) {
  let position = from
  while (position < from + length) position = follow(position, yield* connection.pull)
  assert.equal(position, from + length)
})

/** Writes the test stream in units of up to 64 KiB. */
const writeStream = Effect.fnUntraced(function*(connection: Connection, length: number) {
  for (let at = 0; at < length; at += UNIT) yield* connection.write([stream(at, Math.min(UNIT, length - at))])
})

/** The error of an effect that must not succeed. */
const failureOf = <A, R>(effect: Effect.Effect<A, TransportError, R>): Effect.Effect<TransportError, never, R> =>
  Effect.match(effect, {
    onFailure: (error) => error,
    onSuccess: () => assert.fail("succeeded, and should have failed")
  })

const kindOf = <A, R>(effect: Effect.Effect<A, TransportError, R>) =>
  Effect.map(failureOf(effect), (error) => error.kind)

const listen = (port = 0) => Transport.use((transport) => transport.listen({ host: HOST, port }))

const dial = (address: PeerAddress) => Transport.use((transport) => transport.dial(address, DIAL))

/** A connection in a scope of its own. */
const openClient = Effect.fnUntraced(function*(address: PeerAddress) {
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit))
  const connection = yield* Scope.provide(dial(address), scope)
  return { connection, close: Scope.close(scope, Exit.void) }
})

/** One open connection: both ends, and how to close each. */
const openPair = Effect.gen(function*() {
  const listener = yield* listen()
  const accepted = yield* Deferred.make<Connection>()
  const release = yield* Deferred.make<void>()
  const closed = yield* Deferred.make<void>()
  const handler = (connection: Connection) =>
    Effect.addFinalizer(() => Deferred.succeed(closed, undefined)).pipe(
      Effect.andThen(Deferred.succeed(accepted, connection)),
      Effect.andThen(Deferred.await(release))
    )
  yield* Effect.forkScoped(listener.run(handler))
  const client = yield* openClient(listener.address)
  const server = yield* Deferred.await(accepted)
  const closeServer = Effect.andThen(Deferred.succeed(release, undefined), Deferred.await(closed))
  return { client: client.connection, closeClient: client.close, server, closeServer, listener }
})

/** Writes until the writer is suspended; the writer stops for good once `stop` was called. */
const saturate = Effect.fnUntraced(function*(connection: Connection) {
  const progress = { started: 0, finished: 0, stopped: false }
  const writer = yield* Effect.gen(function*() {
    while (!progress.stopped && progress.started < UNITS) {
      const unit = stream(progress.started * UNIT, UNIT)
      progress.started++
      yield* connection.write([unit])
      progress.finished++
    }
  }).pipe(Effect.forkScoped)
  let seen = -1
  for (let idle = 0; idle < IDLE_TURNS; idle++) {
    yield* Effect.yieldNow
    if (seen !== progress.finished) {
      seen = progress.finished
      idle = 0
    }
    assert.equal(writer.pollUnsafe(), undefined, "the writer was never suspended")
  }
  assert.equal(progress.started, progress.finished + 1)
  return { progress, writer }
})

const echo = (connection: Connection): Effect.Effect<void> =>
  Effect.ignore(Effect.forever(Effect.flatMap(connection.pull, connection.write)))

const echoOnce = Effect.fnUntraced(function*(address: PeerAddress, text: string) {
  const { close, connection } = yield* openClient(address)
  const bytes = new TextEncoder().encode(text)
  yield* connection.write([bytes])
  let answer = ""
  while (answer.length < text.length) {
    for (const chunk of yield* connection.pull) answer += new TextDecoder().decode(chunk)
  }
  yield* close
  return answer
})

const serveEcho = (listener: Listener) => Effect.forkScoped(listener.run(echo))

/**
 * The cases that every transport passes.
 *
 * @category cases
 * @since 0.1.0
 */
export const cases: ReadonlyArray<Case> = [
  {
    title: "CON-01 CON-04 CON-07 a dial reaches the listener, and bytes go both ways in order",
    run: Effect.gen(function*() {
      const { client, server } = yield* openPair
      yield* client.write([stream(0, 3), stream(3, 1), stream(4, 100)])
      yield* readBytes(server, 104)
      yield* server.write([stream(0, 10)])
      yield* server.write([stream(10, 10)])
      yield* readBytes(client, 20)
    })
  },
  {
    title: "CON-01 CON-07 both ends know the other's address",
    run: Effect.gen(function*() {
      const { client, listener, server } = yield* openPair
      assert.equal(listener.address.host, HOST)
      assert.notEqual(listener.address.port, 0)
      assert.equal(client.remote.key, listener.address.key)
      assert.equal(server.remote.host, HOST)
      assert.notEqual(server.remote.port, 0)
      assert.notEqual(server.remote.port, listener.address.port)
    })
  },
  {
    title: "CON-01 CON-02 closing a listener frees its port: a dial is refused, and it can be listened on again",
    run: Effect.gen(function*() {
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(listen(), scope)
      yield* Scope.close(scope, Exit.void)
      const refused = yield* failureOf(dial(first.address))
      assert.equal([refused.kind, refused.detail], ["Refused", "ECONNREFUSED"])
      const second = yield* listen(first.address.port)
      assert.equal(second.address.key, first.address.key)
      yield* serveEcho(second)
      assert.equal(yield* echoOnce(second.address, "again"), "again")
    })
  },
  {
    title: "CON-02 closing a listener does not wait for the connections it accepted, nor end them",
    run: Effect.gen(function*() {
      const scope = yield* Scope.make()
      const listener = yield* Scope.provide(listen(), scope)
      yield* serveEcho(listener)
      const { connection } = yield* openClient(listener.address)
      yield* connection.write([stream(0, 10)])
      yield* readBytes(connection, 10)
      yield* Scope.close(scope, Exit.void)
      yield* connection.write([stream(10, 10)])
      yield* readBytes(connection, 10, 10)
      assert.equal(yield* kindOf(dial(listener.address)), "Refused")
    })
  },
  {
    title: "CON-02 an address in use cannot be listened on",
    run: Effect.gen(function*() {
      const { address } = yield* listen()
      const error = yield* failureOf(listen(address.port))
      assert.equal([error.kind, error.detail], ["ListenFailed", "EADDRINUSE"])
      assert.equal(yield* kindOf(listen(65_536)), "ListenFailed")
    })
  },
  {
    title: "CON-02 a connection that came before anybody accepted is served later, with what it sent",
    run: Effect.gen(function*() {
      const listener = yield* listen()
      const { connection } = yield* openClient(listener.address)
      yield* connection.write([stream(0, 1_000)])
      yield* serveEcho(listener)
      yield* readBytes(connection, 1_000)
    })
  },
  {
    title: "CON-02 a handler's defect ends its own connection and no other",
    run: Effect.gen(function*() {
      const listener = yield* listen()
      let handled = 0
      const handler = (connection: Connection) => {
        handled++
        return handled === 1 ? Effect.die(new Error("a handler's bug, on purpose")) : echo(connection)
      }
      yield* Effect.forkScoped(listener.run(handler))
      const first = yield* openClient(listener.address)
      assert.equal(yield* kindOf(first.connection.pull), "Eof")
      assert.equal(yield* echoOnce(listener.address, "still here"), "still here")
      assert.equal(handled, 2)
    })
  },
  {
    title: "CON-02 interrupting run ends its connections and leaves the listener",
    run: Effect.gen(function*() {
      const listener = yield* listen()
      const running = yield* serveEcho(listener)
      const { connection } = yield* openClient(listener.address)
      yield* connection.write([stream(0, 10)])
      yield* readBytes(connection, 10)
      yield* Fiber.interrupt(running)
      assert.equal(yield* kindOf(connection.pull), "Eof")
      yield* serveEcho(listener)
      assert.equal(yield* echoOnce(listener.address, "once more"), "once more")
    })
  },
  {
    title: "CON-01 CON-02 64 connections at once, each with its own bytes",
    run: Effect.gen(function*() {
      const listener = yield* listen()
      yield* serveEcho(listener)
      const texts = Array.from({ length: 64 }, (_, index) => `connection ${index}`)
      const answers = yield* Effect.forEach(texts, (text) => Effect.scoped(echoOnce(listener.address, text)), {
        concurrency: "unbounded"
      })
      assert.equal(answers, texts)
    })
  },
  {
    title: "CON-04 T11 the end is seen after all data, and again by every later pull",
    run: Effect.gen(function*() {
      const { client, server } = yield* openPair
      yield* Effect.forkScoped(Effect.andThen(writeStream(client, MIB + 7), client.end))
      assert.equal(yield* readToEnd(server), MIB + 7)
      assert.equal(yield* kindOf(server.pull), "Eof")
      assert.equal(yield* kindOf(server.pull), "Eof")
    })
  },
  {
    title: "CON-04 T11 half-close: a side that ended still receives; ending twice is one end, writing after it fails",
    run: Effect.gen(function*() {
      const { client, server } = yield* openPair
      yield* client.write([stream(0, 10)])
      yield* client.end
      yield* client.end
      assert.equal(yield* kindOf(client.write([stream(10, 1)])), "Closed")
      assert.equal(yield* readToEnd(server), 10)
      for (let turn = 0; turn < 20; turn++) yield* Effect.yieldNow // time enough to close a side that has read the end
      yield* server.write([stream(0, 20)])
      yield* server.end
      assert.equal(yield* readToEnd(client), 20)
    })
  },
  {
    title: "CON-04 1 MiB each way at once: nothing lost, nothing reordered",
    run: Effect.gen(function*() {
      const { client, server } = yield* openPair
      yield* Effect.forkScoped(Effect.andThen(writeStream(client, MIB), client.end))
      yield* Effect.forkScoped(Effect.andThen(writeStream(server, MIB), server.end))
      const lengths = yield* Effect.all([readToEnd(client), readToEnd(server)], { concurrency: 2 })
      assert.equal(lengths, [MIB, MIB])
    })
  },
  {
    title: "CON-04 T12 a writer waits while the reader does not pull, goes on when it does, and nothing is lost",
    run: Effect.gen(function*() {
      const { client, server } = yield* openPair
      const { progress, writer } = yield* saturate(client)
      const before = progress.finished
      let position = 0
      while (progress.finished < before + 32) position = follow(position, yield* server.pull)
      progress.stopped = true
      const rest = yield* Effect.forkScoped(readToEnd(server, position))
      yield* Fiber.join(writer)
      yield* client.end
      assert.equal(yield* Fiber.join(rest), progress.started * UNIT)
    })
  },
  {
    title: "CON-04 T12 an interrupted write is delivered whole, once somebody pulls",
    run: Effect.gen(function*() {
      const { client, server } = yield* openPair
      const { progress, writer } = yield* saturate(client)
      yield* Fiber.interrupt(writer)
      yield* client.end
      assert.equal(yield* readToEnd(server), progress.started * UNIT)
      assert.equal(progress.started, progress.finished + 1)
    })
  },
  {
    title: "CON-04 an interrupted pull loses nothing",
    run: Effect.gen(function*() {
      const { client, server } = yield* openPair
      let position = 0
      for (let round = 0; round < 100; round++) {
        const pull = yield* Effect.forkScoped(server.pull, { startImmediately: true })
        if (round % 3 === 0) yield* Effect.yieldNow
        yield* client.write([stream(round * 10, 10)])
        for (let turn = 0; turn < round % 4; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(pull)
        const exit = yield* Fiber.await(pull)
        if (Exit.isSuccess(exit)) position = follow(position, exit.value)
      }
      yield* client.end
      assert.equal(yield* readToEnd(server, position), 1_000)
    })
  },
  {
    title:
      "CON-04 a connection that can be asked gives what a pull would, says when there is more, and ends as it does",
    run: Effect.gen(function*() {
      const { client, server } = yield* openPair
      if (!isPollable(server)) return // a transport need not have it
      let written = 0
      let position = 0
      while (true) {
        const told = yield* Deferred.make<void>()
        const input = server.poll(() => Deferred.doneUnsafe(told, Exit.void))
        if (input instanceof TransportError) {
          assert.equal([input.kind, position], ["Eof", 30])
          return
        }
        if (input !== undefined) {
          position = follow(position, input)
          continue
        }
        // Nothing is there: whatever comes from here on is told of.
        if (position === written && written < 30) {
          yield* client.write([stream(written, 10)])
          written += 10
        } else if (position === 30) yield* client.end
        yield* Deferred.await(told)
      }
    })
  },
  {
    title: "CON-04 T12 an offer takes everything, and gives what to wait for when the other side does not read",
    run: Effect.gen(function*() {
      const { client, server } = yield* openPair
      if (!isPollable(client)) return
      let offered = 0
      let busy: ReturnType<typeof client.offer>
      while (busy === undefined && offered < UNITS) busy = client.offer([stream(offered++ * UNIT, UNIT)])
      assert.ok(busy !== undefined, "there was always room")
      const waiting = yield* Effect.forkScoped(busy, { startImmediately: true })
      yield* readBytes(server, offered * UNIT)
      yield* Fiber.join(waiting)
      yield* client.end
      assert.equal(yield* kindOf(client.offer([stream(0, 1)]) ?? Effect.void), "Closed")
    })
  },
  {
    title: "CON-04 T11 closing the scope ends both directions, after what was written",
    run: Effect.gen(function*() {
      const { client, closeClient, server } = yield* openPair
      const waiting = yield* Effect.forkScoped(kindOf(client.pull), { startImmediately: true })
      const received = yield* Effect.forkScoped(readToEnd(server))
      yield* Effect.forkScoped(Effect.ignore(client.write([stream(0, MIB)])), { startImmediately: true })
      yield* closeClient
      assert.equal(yield* Fiber.join(waiting), "Closed")
      assert.equal(yield* Fiber.join(received), MIB)
      assert.equal(yield* kindOf(client.pull), "Closed")
      assert.equal(yield* kindOf(client.write([stream(0, 1)])), "Closed")
      yield* client.end
    })
  },
  {
    title: "CON-04 T11 the accepting side closes the same way",
    run: Effect.gen(function*() {
      const { client, closeServer, server } = yield* openPair
      yield* server.write([stream(0, 1_000)])
      yield* closeServer
      assert.equal(yield* readToEnd(client), 1_000)
      assert.equal(yield* kindOf(server.pull), "Closed")
    })
  },
  {
    title: "CON-04 T11 T12 a reader that goes away with much unread breaks the other side's suspended write",
    run: Effect.gen(function*() {
      const { closeClient, server } = yield* openPair
      const { writer } = yield* saturate(server)
      yield* closeClient
      assert.equal(yield* kindOf(Fiber.join(writer)), "Reset")
      const kind = yield* kindOf(Effect.forever(server.pull))
      assert.ok(kind === "Reset" || kind === "Eof", kind)
      assert.equal(yield* kindOf(server.write([stream(0, 1)])), "Reset")
    })
  }
]

/**
 * The cases of a dial that nobody answers: the transport must have this address as a black hole.
 *
 * @category cases
 * @since 0.1.0
 */
export const blackHoleCases = (address: PeerAddress): ReadonlyArray<Case> => [
  {
    title: "CON-01 a dial that nobody answers fails with Timeout",
    run: Transport.use((transport) =>
      Effect.map(failureOf(transport.dial(address, { timeoutMillis: 50 })), (error) => {
        assert.equal([error.kind, error.detail], ["Timeout", "ETIMEDOUT"])
      })
    )
  },
  {
    title: "CON-01 a dial that nobody answers can be interrupted",
    run: Effect.gen(function*() {
      const dialing = yield* Effect.forkScoped(dial(address), { startImmediately: true })
      yield* Effect.yieldNow
      assert.equal(dialing.pollUnsafe(), undefined)
      yield* Fiber.interrupt(dialing)
      assert.ok(Exit.hasInterrupts(yield* Fiber.await(dialing)), "the dial could not be interrupted")
    })
  }
]
