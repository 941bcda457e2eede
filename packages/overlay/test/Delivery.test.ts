import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Fiber } from "effect"
import { type BatchHandler, Delivery } from "../src/internal/delivery.ts"
import { type Batch, Inbox, type Lane } from "../src/protocol/Inbox.ts"
import { FloodAdvert, GetScpState, type StellarMessage } from "../src/wire/StellarMessage.ts"

const urgent = (n: number): StellarMessage => GetScpState.make({ ledgerSeq: n })
const bulk = (): StellarMessage => FloodAdvert.make({ hashes: [new Uint8Array(32)] })

/** A delivery from an inbox, and what came of its batches. */
const setUp = Effect.fnUntraced(function*(handle: BatchHandler) {
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const inbox = new Inbox()
  const settled: Array<Batch> = []
  const blamed: Array<string> = []
  const delivery: Delivery = new Delivery(
    {
      session: {
        hasBatch: (lane: Lane | undefined) => (lane === undefined ? inbox.length : inbox.lengthOf(lane)) > 0,
        takeBatch: (lane) => inbox.take(lane),
        options: { timers: undefined }
      },
      // As a peer does: what is settled lets the session look again.
      settle: (batch) => {
        settled.push(batch)
        delivery.pump()
      },
      millis: () => 0,
      fork: (effect) => run(effect)
    },
    handle,
    (cause) => Effect.sync(() => void blamed.push(Cause.pretty(cause).split("\n")[0]!))
  )
  const come = (...messages: ReadonlyArray<StellarMessage>): void => {
    for (const message of messages) inbox.push(message, 0)
    delivery.pump()
  }
  return { blamed, come, delivery, inbox, lanes: () => settled.map(({ lane }) => lane) }
})

describe("Delivery", () => {
  it.effect("hands over within the call what a handler is done with at once, and settles each batch once", () =>
    Effect.gen(function*() {
      const seen: Array<number> = []
      const { come, inbox, lanes } = yield* setUp((messages) => void seen.push(messages.length))
      come(urgent(1), urgent(2), bulk())
      assert.deepStrictEqual(seen, [2, 1])
      assert.deepStrictEqual(lanes(), ["urgent", "bulk"])
      assert.strictEqual(inbox.length, 0)
    }))

  it.effect("PEE-16 a lane waits for its handler, and never for that of the other lane", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const handled: Array<string> = []
      const { come, delivery, inbox, lanes } = yield* setUp(([first]) => {
        handled.push(first._tag)
        return first._tag === "FloodAdvert" ? Deferred.await(gate) : undefined
      })
      come(bulk())
      come(bulk(), urgent(1))
      come(urgent(2))
      assert.deepStrictEqual(handled, ["FloodAdvert", "GetScpState", "GetScpState"])
      assert.deepStrictEqual(lanes(), ["urgent", "urgent"], "what is being handled holds its credit")
      assert.strictEqual(inbox.lengthOf("bulk"), 1)
      yield* Deferred.succeed(gate, undefined)
      yield* delivery.drained
      assert.deepStrictEqual(lanes(), ["urgent", "urgent", "bulk", "bulk"])
    }))

  it.effect("what comes while a handler runs waits for the next batch, even from within it", () =>
    Effect.gen(function*() {
      const seen: Array<number> = []
      let again: (() => void) | undefined
      const { come, lanes } = yield* setUp((messages) => {
        seen.push(messages.length)
        again?.()
      })
      again = () => {
        again = undefined
        come(urgent(2), urgent(3))
      }
      come(urgent(1))
      assert.deepStrictEqual(seen, [1, 2])
      assert.strictEqual(lanes().length, 2)
    }))

  for (
    const [how, handle] of [
      ["throws", (): undefined => {
        throw new Error("my mistake")
      }],
      ["dies at once", () => Effect.die(new Error("my mistake"))],
      ["dies later", () => Effect.andThen(Effect.yieldNow, Effect.die(new Error("my mistake")))]
    ] satisfies ReadonlyArray<readonly [string, BatchHandler]>
  ) {
    it.effect(`O5 a handler that ${how} is blamed once, its batch settled, and gets nothing more`, () =>
      Effect.gen(function*() {
        const { blamed, come, delivery, inbox, lanes } = yield* setUp(handle)
        come(urgent(1))
        yield* delivery.drained
        come(urgent(2), bulk())
        yield* Effect.yieldNow
        assert.deepStrictEqual(blamed, ["Error: my mistake"])
        assert.deepStrictEqual(lanes(), ["urgent"])
        assert.strictEqual(inbox.length, 2)
      }))
  }

  it.effect("stop interrupts what runs, settles it, and hands over nothing more", () =>
    Effect.gen(function*() {
      const { blamed, come, delivery, inbox, lanes } = yield* setUp(() => Effect.never)
      come(urgent(1), bulk())
      come(urgent(2))
      const drained = yield* Effect.forkChild(delivery.drained)
      yield* delivery.stop
      yield* Fiber.join(drained)
      assert.sameMembers(lanes(), ["urgent", "bulk"])
      assert.strictEqual(inbox.length, 1)
      assert.deepStrictEqual(blamed, [])
    }))
})
