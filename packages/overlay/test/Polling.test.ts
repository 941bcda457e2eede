/** A connection that can only be pulled, asked as if it could be polled. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { Pulling } from "../src/internal/polling.ts"
import { type Connection, pullFrom, TransportError } from "../src/Transport.ts"
import { PeerAddress } from "../src/wire/PeerAddress.ts"

const eof = new TransportError({ kind: "Eof", detail: "ended by the remote" })
const chunk = (n: number) => [Uint8Array.of(n)] as const

const connection = (pull: Connection["pull"]): Connection => ({
  remote: PeerAddress.make("10.0.0.1", 11625),
  pull,
  write: () => Effect.void,
  end: Effect.void
})

const pulling = (pull: Connection["pull"]) =>
  Effect.map(Effect.context<never>(), (context) => new Pulling(connection(pull), Effect.runForkWith(context)))

describe("Pulling", () => {
  it.effect("CON-04 gives at once what is there, then waits with one pull, and calls once when that is over", () =>
    Effect.gen(function*() {
      const later = yield* Deferred.make<readonly [Uint8Array]>()
      const results = [Effect.succeed(chunk(1)), Deferred.await(later), Effect.fail(eof)]
      let pulls = 0
      const socket = yield* pulling(Effect.suspend(() => results[pulls++]!))
      let calls = 0
      const ready = () => void calls++
      assert.deepStrictEqual(socket.poll(ready), chunk(1))
      assert.isUndefined(socket.poll(ready))
      assert.deepStrictEqual([pulls, calls], [2, 0])
      yield* Deferred.succeed(later, chunk(2))
      yield* Effect.yieldNow
      assert.strictEqual(calls, 1)
      assert.deepStrictEqual(socket.poll(ready), chunk(2))
      assert.strictEqual(socket.poll(ready), eof)
      assert.deepStrictEqual([pulls, calls], [3, 1])
    }))

  it.effect("throws the defect that a pull died of, for whoever polls to be blamed with", () =>
    Effect.gen(function*() {
      const socket = yield* pulling(Effect.die(new Error("a defect, on purpose")))
      assert.throws(() => socket.poll(() => {}), "a defect, on purpose")
    }))

  it.effect("CON-04 interrupts the pull that waits when it stops", () =>
    Effect.gen(function*() {
      let interrupted = 0
      const socket = yield* pulling(Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++)))
      yield* socket.stop
      assert.isUndefined(socket.poll(() => {}))
      yield* socket.stop
      assert.strictEqual(interrupted, 1)
    }))
})

describe("pullFrom", () => {
  it.effect("CON-04 asks again when it is called for nothing, and takes nothing once it is interrupted", () =>
    Effect.gen(function*() {
      const there: Array<readonly [Uint8Array]> = []
      let ready = () => {}
      const pull = pullFrom((call) => {
        ready = call
        return there.shift()
      })
      const first = yield* Effect.forkChild(pull, { startImmediately: true })
      ready()
      assert.isUndefined(first.pollUnsafe())
      first.interruptUnsafe()
      there.push(chunk(1))
      ready()
      assert.deepStrictEqual(there, [chunk(1)])
      assert.deepStrictEqual(yield* pull, chunk(1))
    }))
})
