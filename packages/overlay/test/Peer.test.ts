/** Peers over the loopback transport, inside a `World`: every story under several seeds, and what needs a clock. */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as World from "@stellar-overlay/overlay-test/World"
import { Clock, Effect, Exit, Fiber, Stream } from "effect"
import * as DropReason from "../src/DropReason.ts"
import * as Peer from "../src/Peer.ts"
import { advert, getTxSet, numberOf, quorumSet, transaction } from "./scenarios/fixtures.ts"
import { dial, failureOf, link, listen, makeNode, take } from "./scenarios/peers.ts"
import { stories } from "./scenarios/peerStories.ts"

const inNetwork = <A, E, R>(program: Effect.Effect<A, E, R>, options: LoopbackTransport.Options = {}) =>
  program.pipe(Effect.scoped, Effect.provide(LoopbackTransport.layerWith(options)))

const variants = (seed: number | string): LoopbackTransport.Options => ({
  latencyMillis: Number(seed) % 3,
  ...(Number(seed) % 2 === 0 ? {} : { segmentation: seed })
})

describe("over the loopback transport", () => {
  for (const { run, title } of stories) {
    it.effect(title, () => World.runSeeds(6, (seed) => inNetwork(run, variants(seed))))
  }
})

const links = LoopbackTransport.LoopbackNetwork.use((network) => network.links)
const elapsed = World.World.use((world) => Effect.sync(() => world.millis))
const drain = (peer: Peer.Peer) => Effect.forkScoped(Effect.ignore(Stream.runDrain(peer.messages)))

describe("order", () => {
  // A step is as short as it can be, so that other fibers get in between any two of them.
  it.effect("CON-05 FLC-01 wherever a fiber has to yield, nothing that was queued or received waits for the next timer", () =>
    World.runSeeds(
      20,
      () =>
        inNetwork(Effect.gen(function*() {
          const { a, b } = yield* link()
          yield* drain(a.peer)
          const received: Array<number> = []
          yield* Effect.forkScoped(
            Stream.runForEach(b.peer.messages, (message) =>
              Effect.sync(() => {
                if (message._tag === "Transaction") received.push(numberOf(message))
              }))
          )
          const start = yield* elapsed
          for (let i = 0; i < 100; i++) {
            a.peer.offer(transaction(400, i))
            for (let turn = i % 11; turn > 0; turn--) yield* Effect.yieldNow
            if (i % 3 === 0) yield* Effect.sleep(1)
          }
          yield* Effect.sleep(5)
          assert.strictEqual((yield* elapsed) - start, 34 + 5)
          assert.deepStrictEqual(received, Array.from({ length: 100 }, (_, i) => i))
        })),
      { maxOpsBeforeYield: 5 }
    ))
})

describe("limits of the ledger", () => {
  it.effect("FLC-02 the first grant has room for the greatest transaction of the ledger that is known when a peer comes", () =>
    World.run(inNetwork(Effect.gen(function*() {
      const { a, b } = yield* link({ b: { ledger: Peer.defaultLedger(250_000) } })
      yield* Effect.sleep(1)
      assert.strictEqual(a.peer.session.flow.byteCredit, 350_000n)
      assert.strictEqual(b.peer.session.flow.byteCredit, 300_000n)
      b.peer.updateLedger(Peer.defaultLedger(260_000))
      yield* Effect.sleep(1)
      assert.strictEqual(a.peer.session.flow.byteCredit, 360_000n)
    }))))
})

describe("time", () => {
  it.effect("HSK-14 T3 a connection that says nothing fails to become a peer after 2 s to the millisecond", () =>
    World.run(inNetwork(Effect.gen(function*() {
      const b = yield* makeNode("b")
      const door = yield* listen(b)
      const start = yield* elapsed
      const waiting = yield* Effect.forkChild(failureOf(door.next))
      yield* LoopbackTransport.LoopbackNetwork.use((network) =>
        network.transportAt("127.0.0.1").dial(door.address, { timeoutMillis: 1000 })
      )
      const { reason } = yield* Fiber.join(waiting)
      assert.strictEqual(reason._tag, "HandshakeTimeout")
      assert.strictEqual((yield* elapsed) - start, 2000)
    }))))

  it.effect("PEE-08 CON-05 two idle peers stay linked for an hour, and end without delay", () =>
    World.run(inNetwork(
      Effect.gen(function*() {
        const { a, b } = yield* link()
        yield* drain(a.peer)
        yield* drain(b.peer)
        yield* Effect.sleep("1 hour")
        for (const { peer } of [a, b]) {
          assert.isUndefined(peer.session.dropReason)
          assert.isBelow(peer.session.liveness.latencyMillis, 10)
        }
        const start = yield* elapsed
        yield* a.leave
        assert.strictEqual((yield* b.peer.closed)._tag, "ShutdownReceived")
        assert.strictEqual(yield* elapsed, start)
      })
    )))

  it.effect("F8 a consumer that stops for 10 minutes within its credit loses nothing, not even the order", () =>
    World.runSeeds(4, (seed) =>
      inNetwork(
        Effect.gen(function*() {
          const { a, b } = yield* link()
          yield* drain(a.peer)
          for (let i = 0; i < 200; i++) yield* a.peer.send(transaction(400, i))
          yield* Effect.sleep("10 minutes")
          assert.deepStrictEqual([a, b].map(({ peer }) => peer.session.dropReason), [undefined, undefined])
          const received = yield* take(b.peer, "Transaction", 200)
          assert.deepStrictEqual(received.map(numberOf), Array.from({ length: 200 }, (_, i) => i))
          yield* a.peer.send(transaction(400, 200))
          assert.deepStrictEqual((yield* take(b.peer, "Transaction", 1)).map(numberOf), [200])
        }),
        variants(seed)
      )))

  it.effect("F8 PEE-07 a consumer that stops with the socket full is not what ends the connection on its side", () =>
    World.run(inNetwork(Effect.gen(function*() {
      const { a, b } = yield* link()
      yield* drain(a.peer)
      const sender = yield* Effect.forkChild(Effect.exit(Effect.replicateEffect(a.peer.send(quorumSet(4000)), 5000)))
      const start = yield* elapsed
      const reason = yield* a.peer.closed
      // Neither its write nor anything from the other side moved for 30 s: core's rule, and the sender's decision.
      assert.strictEqual(reason._tag, "IdleTimeout")
      assert.isAtLeast((yield* elapsed) - start, 30_000)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(sender)))
      // The consumer's side found nothing wrong until then, and still delivers what it had.
      assert.isAtLeast(yield* Stream.runCount(Stream.catchTag(b.peer.messages, "PeerDropped", () => Stream.empty)), 8)
      assert.include(["RemoteClosed", "ReadError", "ShortRead"], (yield* b.peer.closed)._tag)
    }))))

  it.effect("CON-05 leaving a peer that reads nothing takes 5 s, and half a second for the ERROR_MSG nobody takes", () =>
    World.run(inNetwork(Effect.gen(function*() {
      const { a } = yield* link()
      yield* drain(a.peer)
      const [only] = yield* links
      yield* only!.cork("toListener")
      const sender = yield* Effect.forkChild(Effect.exit(Effect.replicateEffect(a.peer.send(quorumSet(4000)), 5000)))
      yield* Effect.sleep(1000)
      const start = yield* elapsed
      yield* a.leave
      const took = (yield* elapsed) - start
      assert.isAtLeast(took, 5000)
      assert.isAtMost(took, 5500)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(sender)))
    }))))

  it.effect("PEE-07 PEE-14 a peer that takes nothing is dropped by the clock of the side that writes", () =>
    World.run(inNetwork(Effect.gen(function*() {
      const { a } = yield* link()
      yield* drain(a.peer)
      const [only] = yield* links
      yield* only!.cork("toListener")
      const start = yield* elapsed
      for (let i = 0; i < 100; i++) yield* a.peer.send(getTxSet(i))
      const reason = yield* a.peer.closed
      // Nothing comes back either: 30 s after the last byte, at the next look.
      assert.strictEqual(reason._tag, "IdleTimeout")
      assert.isAtLeast((yield* elapsed) - start, 30_000)
      assert.isAtMost((yield* elapsed) - start, 40_000)
    }))))
})

describe("nothing is left", () => {
  it.effect("CON-05 CON-06 after links that ended in every way no fiber, timer or connection remains", () =>
    Effect.gen(function*() {
      for (let seed = 0; seed < 20; seed++) {
        const report = yield* World.simulate(
          Effect.gen(function*() {
            yield* Effect.scoped(Effect.gen(function*() {
              const { a, b } = yield* link()
              yield* a.peer.send(advert(1))
              if (seed % 5 === 0) yield* a.leave
              if (seed % 5 === 1) yield* b.peer.drop(DropReason.make("DroppedByUser"))
              if (seed % 5 === 2) yield* Effect.all([a.leave, b.leave], { concurrency: 2 })
              if (seed % 5 === 3) yield* Effect.forkScoped(Stream.runDrain(b.peer.messages))
            }))
            yield* Effect.sleep(1) // what was runnable runs
            assert.deepStrictEqual(yield* links, [])
          }).pipe(Effect.provide(LoopbackTransport.layerWith(variants(seed)))),
          { seed }
        )
        assert.isTrue(Exit.isSuccess(report.exit), `seed ${seed}: ${report.exit}`)
        assert.deepStrictEqual(report.pending, { tasks: 0, timers: 0 }, `seed ${seed}`)
      }
    }))

  it.effect("CON-01 CON-06 a dial that is interrupted after any number of steps leaves nothing either", () =>
    Effect.gen(function*() {
      const outcomes = new Set<string>()
      for (let steps = 0; steps < 80; steps++) {
        const report = yield* World.simulate(
          Effect.gen(function*() {
            const [a, b] = [yield* makeNode("a"), yield* makeNode("b")]
            const door = yield* listen(b)
            const dialling = yield* Effect.forkChild(Effect.scoped(dial(a, door.address)))
            for (let i = 0; i < steps; i++) yield* Effect.yieldNow
            yield* Fiber.interrupt(dialling)
            outcomes.add(a.events.at(-1)?._tag ?? "nothing")
            // One end for each beginning.
            const count = (tag: string) => a.events.filter(({ _tag }) => _tag === tag).length
            assert.isAtMost(count("PeerDropped"), 1)
            if (count("PeerConnected") === 1) assert.strictEqual(count("PeerDropped"), 1)
          }).pipe(
            Effect.scoped,
            Effect.andThen(Effect.sleep(1)), // what was runnable runs
            Effect.andThen(links),
            Effect.provide(LoopbackTransport.layer)
          ),
          { seed: steps }
        )
        assert.deepStrictEqual(report.exit, Exit.succeed([]))
        assert.deepStrictEqual(report.pending, { tasks: 0, timers: 0 }, `${steps} steps`)
      }
      assert.isAtLeast(outcomes.size, 2)
    }))

  it.effect("SIM-03 one seed, one run: the same link gives the same trace twice", () =>
    Effect.gen(function*() {
      const run = (seed: number) =>
        World.simulate(
          inNetwork(
            Effect.gen(function*() {
              const { a, b } = yield* link()
              yield* a.peer.sendAll(Array.from({ length: 100 }, (_, i) => transaction(400, i)))
              yield* take(b.peer, "Transaction", 100)
              return yield* Clock.currentTimeMillis
            }),
            variants(seed)
          ),
          { seed }
        )
      for (let seed = 0; seed < 5; seed++) {
        const [first, second] = [yield* run(seed), yield* run(seed)]
        assert.isTrue(Exit.isSuccess(first.exit))
        assert.deepStrictEqual([second.traceHash, second.steps, second.exit], [
          first.traceHash,
          first.steps,
          first.exit
        ])
      }
    }))
})
