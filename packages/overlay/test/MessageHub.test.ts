import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Scope, Stream } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import { DEFAULT_CAPACITY, MessageHub, type Received, type SubscribeOptions } from "../src/MessageHub.ts"
import * as NodeId from "../src/wire/NodeId.ts"
import { GetScpState, SendMoreExtended, type StellarMessage } from "../src/wire/StellarMessage.ts"
import { generator, scpMessage, transaction } from "./flood/messages.ts"
import { inWorld, start } from "./flood/network.ts"
import { dial, granted } from "./flood/scripted.ts"

const peer = NodeId.fromBytes(new Uint8Array(32).fill(1))
const note = (n: number): StellarMessage => GetScpState.make({ ledgerSeq: n })
const notes = (from: number, count: number): NonEmptyReadonlyArray<StellarMessage> => [
  note(from),
  ...Array.from({ length: count - 1 }, (_, i) => note(from + 1 + i))
]
const numberOf = ({ message }: Received): number => message._tag === "GetScpState" ? message.ledgerSeq : -1
const upTo = (count: number): Array<number> => Array.from({ length: count }, (_, i) => i)

const make = Effect.map(Clock.Clock, (clock) => new MessageHub(clock))

/** A subscription whose messages are taken when the test says so. */
const subscribe = Effect.fnUntraced(function*(hub: MessageHub, options: SubscribeOptions) {
  const subscription = yield* hub.subscribe(options)
  const pull = yield* Stream.toPull(subscription.messages)
  /** Whatever is there now, or what comes next. */
  const take = Effect.map(pull, (some) => some.map(numberOf))
  /** So many, or more. */
  const takeAll = (count: number) =>
    Effect.gen(function*() {
      const all: Array<number> = []
      while (all.length < count) all.push(...(yield* take))
      return all
    })
  return { lagged: subscription.lagged, take, takeAll }
})

/** Runs what a peer's loop would wait for. */
const publish = (hub: MessageHub, messages: NonEmptyReadonlyArray<StellarMessage>) =>
  Effect.forkChild(hub.publish(peer, messages) ?? Effect.void, { startImmediately: true })

const isDone = (fiber: Fiber.Fiber<void>): boolean => fiber.pollUnsafe() !== undefined

describe("MessageHub", () => {
  it.effect("PEE-16 back-pressure: what does not fit waits, with it the peer, and nothing is lost or out of order", () =>
    Effect.gen(function*() {
      const hub = yield* make
      const { lagged, take, takeAll } = yield* subscribe(hub, { capacity: 4 })
      assert.isUndefined(hub.publish(peer, notes(0, 3)))
      const first = yield* publish(hub, notes(3, 7))
      assert.isFalse(isDone(first))
      const second = yield* publish(hub, notes(10, 1)) // of another peer, whose turn comes after
      assert.deepStrictEqual(yield* take, [0, 1, 2, 3])
      yield* Effect.yieldNow
      assert.isFalse(isDone(first))
      assert.deepStrictEqual(yield* takeAll(7), [4, 5, 6, 7, 8, 9, 10])
      yield* Fiber.joinAll([first, second])
      assert.isUndefined(hub.publish(peer, notes(11, 4)))
      assert.strictEqual(lagged(), 0)
    }))

  it.effect("PEE-16 sliding loses the oldest, dropping the newest; both count, and nobody waits", () =>
    Effect.gen(function*() {
      const hub = yield* make
      const sliding = yield* subscribe(hub, { capacity: 4, strategy: "sliding" })
      const dropping = yield* subscribe(hub, { capacity: 4, strategy: "dropping" })
      assert.isUndefined(hub.publish(peer, notes(0, 3)))
      assert.isUndefined(hub.publish(peer, notes(3, 7)))
      assert.deepStrictEqual([sliding.lagged(), dropping.lagged()], [6, 6])
      assert.deepStrictEqual(yield* sliding.take, [6, 7, 8, 9])
      assert.deepStrictEqual(yield* dropping.take, [0, 1, 2, 3])
      assert.isUndefined(hub.publish(peer, notes(10, 1)))
      assert.deepStrictEqual([yield* sliding.take, yield* dropping.take], [[10], [10]])
      assert.deepStrictEqual([sliding.lagged(), dropping.lagged()], [6, 6])
    }))

  it.effect("PEE-16 a slow subscriber lags alone: others have the whole batch while the peer waits for one", () =>
    Effect.gen(function*() {
      const hub = yield* make
      const slow = yield* subscribe(hub, { capacity: 1 })
      const other = yield* subscribe(hub, { capacity: 1 })
      const sliding = yield* subscribe(hub, { capacity: 100, strategy: "sliding" })
      const publisher = yield* publish(hub, notes(0, 20))
      assert.deepStrictEqual(yield* sliding.take, upTo(20))
      assert.deepStrictEqual(yield* other.takeAll(20), upTo(20))
      assert.isFalse(isDone(publisher))
      assert.deepStrictEqual(yield* slow.takeAll(20), upTo(20))
      yield* Fiber.join(publisher)
      assert.deepStrictEqual([slow, other, sliding].map(({ lagged }) => lagged()), [0, 0, 0])
    }))

  it.effect("PEE-16 who unsubscribes while a publisher waits lets it go on, for itself and for the others", () =>
    Effect.gen(function*() {
      const hub = yield* make
      const scope = yield* Scope.make()
      yield* Scope.provide(subscribe(hub, { capacity: 1 }), scope)
      const other = yield* subscribe(hub, { capacity: 2 })
      const publisher = yield* publish(hub, notes(0, 3))
      assert.isFalse(isDone(publisher))
      yield* Scope.close(scope, Exit.void)
      yield* Effect.yieldNow
      assert.isFalse(isDone(publisher)) // the other's queue is full too
      assert.deepStrictEqual(yield* other.takeAll(3), [0, 1, 2])
      yield* Fiber.join(publisher)
      assert.isUndefined(hub.publish(peer, notes(3, 2)))
      assert.deepStrictEqual(yield* other.takeAll(2), [3, 4])
    }))

  it.effect("PEE-16 one that unsubscribes before the peer's loop gets to wait for it holds nobody up", () =>
    Effect.gen(function*() {
      const hub = yield* make
      const scope = yield* Scope.make()
      yield* Scope.provide(subscribe(hub, { capacity: 1 }), scope)
      const waiting = hub.publish(peer, notes(0, 3))
      assert.isDefined(waiting)
      yield* Scope.close(scope, Exit.void)
      yield* waiting!
      assert.isUndefined(hub.publish(peer, notes(3, 3)))
    }))

  it.effect("PEE-16 a publisher that is interrupted takes what waited with it and nothing else", () =>
    Effect.gen(function*() {
      const hub = yield* make
      const { takeAll } = yield* subscribe(hub, { capacity: 2 })
      const gone = yield* publish(hub, notes(0, 5))
      const next = yield* publish(hub, notes(10, 3))
      yield* Fiber.interrupt(gone)
      assert.deepStrictEqual(yield* takeAll(5), [0, 1, 10, 11, 12])
      yield* Fiber.join(next)
    }))

  it.effect("PEE-18 only the tags that are wanted; a stream subscribes when it is run, and for as long", () =>
    Effect.gen(function*() {
      const hub = yield* make
      const grant = SendMoreExtended.make({ numMessages: 1, numBytes: 1 })
      assert.isUndefined(hub.publish(peer, notes(0, DEFAULT_CAPACITY * 2))) // nobody listens
      const two = yield* Effect.forkChild(
        Stream.runCollect(Stream.take(hub.stream({ tags: ["SendMoreExtended"] }), 2)),
        { startImmediately: true }
      )
      yield* Effect.yieldNow
      hub.publish(peer, [note(1), grant, note(2), grant, note(3)])
      assert.deepStrictEqual((yield* Fiber.join(two)).map(({ message }) => message), [grant, grant])
      // Nobody is subscribed any more: however much comes, nothing waits.
      assert.isUndefined(hub.publish(peer, notes(0, DEFAULT_CAPACITY * 2)))
    }))

  it.effect("PEE-16 what is handed over owns its bytes, one copy for all who want it and none for nobody", () =>
    Effect.gen(function*() {
      const hub = yield* make
      const chunk = new Uint8Array(65_536)
      const view = (n: number) => {
        const at = 1000 + 8 * n
        chunk.set(note(n).bytes, at)
        const message = GetScpState.make({ ledgerSeq: 0 })
        let copies = 0
        const viewed = Object.assign(Object.create(message), { bytes: chunk.subarray(at, at + 8) })
        Object.defineProperty(viewed, "retain", {
          value: () => {
            copies++
            return note(n)
          }
        })
        return { message: viewed as StellarMessage, copies: () => copies }
      }
      const [unwanted, wanted] = [view(1), view(2)]
      const got: Array<Received> = []
      for (let i = 0; i < 3; i++) {
        const { messages } = yield* hub.subscribe({ tags: i === 0 ? ["SendMoreExtended"] : ["GetScpState"] })
        yield* Effect.forkScoped(Stream.runForEach(messages, (received) => Effect.sync(() => got.push(received))))
      }
      hub.publish(peer, [wanted.message])
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      assert.deepStrictEqual([wanted.copies(), unwanted.copies()], [1, 0])
      assert.strictEqual(got.length, 2)
      assert.strictEqual(got[0], got[1])
      assert.deepStrictEqual(got.map(numberOf), [2, 2])
    }))

  it.effect("PEE-16 over random sizes, capacities and speeds back-pressure loses nothing", () =>
    Effect.gen(function*() {
      for (let seed = 0; seed < 50; seed++) {
        const draw = generator(seed)
        const below = (limit: number) => Math.floor(draw() * limit)
        yield* Effect.scoped(Effect.gen(function*() {
          const hub = yield* make
          const subscribers = yield* Effect.forEach(upTo(1 + below(4)), () => {
            const got: Array<number> = []
            return Effect.as(
              Effect.flatMap(
                hub.subscribe({ capacity: 1 + below(20) }),
                ({ messages }) =>
                  Effect.forkScoped(Stream.runForEachArray(messages, (some) =>
                    Effect.andThen(
                      Effect.sync(() => got.push(...some.map(numberOf))),
                      Effect.forEach(upTo(below(4)), () => Effect.yieldNow, { discard: true })
                    )))
              ),
              got
            )
          })
          let published = 0
          for (let batch = 0; batch < 20; batch++) {
            const count = 1 + below(40)
            yield* hub.publish(peer, notes(published, count)) ?? Effect.void
            published += count
          }
          for (const got of subscribers) {
            while (got.length < published) yield* Effect.yieldNow
            assert.deepStrictEqual(got, upTo(published), `seed ${seed}`)
          }
        }))
      }
    }))
})

describe("MessageHub of a node", () => {
  const transactions = (from: number, count: number) => Array.from({ length: count }, (_, i) => transaction(from + i))

  it.effect("PEE-16 PEE-20 a full queue holds credit back; SCP goes on; unsubscribing gives all of it back", () =>
    inWorld(
      1,
      {},
      Effect.gen(function*() {
        const node = yield* start(0)
        const scripted = yield* dial(node)
        const scope = yield* Scope.make()
        const stalled = yield* Scope.provide(node.overlay.subscribe({ tags: ["Transaction"], capacity: 10 }), scope)
        const scp: Array<number> = []
        yield* Effect.forkScoped(
          Stream.runForEach(node.overlay.scp, ({ message }) => Effect.sync(() => scp.push(message.slotNumber ?? 0))),
          { startImmediately: true }
        )
        const before = granted(scripted).messages
        // 190 of the 200 that are granted. The batch being handed over and those behind it keep their credit.
        yield* scripted.sayAll(transactions(1, 190))
        yield* scripted.expectOpen(10_000)
        assert.strictEqual(granted(scripted).messages, before)
        for (const slot of [1, 2, 3]) yield* scripted.say(scpMessage(slot))
        yield* scripted.expectOpen(1000)
        assert.deepStrictEqual(scp, [1, 2, 3])

        yield* Scope.close(scope, Exit.void)
        yield* scripted.expectOpen(1000)
        assert.strictEqual(node.host.pool.size, 190)
        // All 193 were processed; what is short of a grant (40) is kept for the next.
        const after = granted(scripted).messages
        assert.isTrue(after > before + 193 - 40 && after <= before + 193, `${after - before} of 193`)
        assert.strictEqual(stalled.lagged(), 0)
        // The loops of the peer live: the rest of the credit can be used, and comes back.
        yield* scripted.sayAll(transactions(1000, 150))
        yield* scripted.expectOpen(1000)
        assert.strictEqual(node.host.pool.size, 340)
        assert.isAbove(granted(scripted).messages, before + 343 - 40)
      })
    ))

  it.effect("PEE-16 a subscriber that is slow but reads gets every transaction, at its own pace", () =>
    inWorld(
      2,
      {},
      Effect.gen(function*() {
        const node = yield* start(0)
        const scripted = yield* dial(node)
        const got: Array<string> = []
        const { messages } = yield* node.overlay.subscribe({ tags: ["Transaction"], capacity: 5 })
        yield* Effect.forkScoped(Stream.runForEach(messages, ({ message }) =>
          Effect.andThen(
            Effect.sync(() => got.push(String(message.bytes))),
            Effect.sleep(10)
          )))
        const all = transactions(1, 1000)
        let credit = granted(scripted).messages
        for (let sent = 0; sent < all.length;) {
          const next = all.slice(sent, Math.min(all.length, credit))
          if (next.length > 0) {
            yield* scripted.sayAll(next)
          }
          sent += next.length
          yield* scripted.expectOpen(100)
          credit = granted(scripted).messages
        }
        yield* scripted.expectOpen(10_000)
        assert.deepStrictEqual(
          got,
          all.map(({ bytes }) => String(bytes))
        )
      })
    ))

  it.effect("PEE-16 a sliding subscriber that never reads costs the peers nothing", () =>
    inWorld(
      3,
      {},
      Effect.gen(function*() {
        const node = yield* start(0)
        const scripted = yield* dial(node)
        const { lagged } = yield* node.overlay.subscribe({ tags: ["Transaction"], capacity: 10, strategy: "sliding" })
        const before = granted(scripted).messages
        yield* scripted.sayAll(transactions(1, 200))
        yield* scripted.expectOpen(1000)
        assert.isAbove(granted(scripted).messages, before + 200 - 40)
        assert.strictEqual(lagged(), 190)
      })
    ))
})
