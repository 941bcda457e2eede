import { assert, describe, it } from "@effect/vitest"
import { type Connection, Transport, type TransportError } from "@stellar-overlay/overlay/Transport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as TransportContract from "../src/contract/TransportContract.ts"
import * as LoopbackTransport from "../src/LoopbackTransport.ts"
import * as World from "../src/World.ts"

const { LoopbackNetwork } = LoopbackTransport

const DIAL = { timeoutMillis: 10_000 }

const zeros = (length: number) => [new Uint8Array(length)] as const

const sizes = (chunks: ReadonlyArray<Uint8Array>) => chunks.map((chunk) => chunk.length)

const total = (chunks: ReadonlyArray<Uint8Array>) => sizes(chunks).reduce((sum, size) => sum + size, 0)

const kindOf = <A, R>(effect: Effect.Effect<A, TransportError, R>) =>
  Effect.match(effect, { onFailure: ({ kind }) => kind, onSuccess: () => "succeeded" as const })

const detailOf = <A, R>(effect: Effect.Effect<A, TransportError, R>) =>
  Effect.match(effect, { onFailure: ({ detail, kind }) => `${kind} ${detail}`, onSuccess: () => "succeeded" })

/** Starts an effect and says whether it is still waiting after everybody had a turn. */
const start = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  const fiber = yield* Effect.forkScoped(effect, { startImmediately: true })
  for (let turn = 0; turn < 50; turn++) yield* Effect.yieldNow
  return { fiber, waits: fiber.pollUnsafe() === undefined }
})

const echo = (connection: Connection) =>
  Effect.ignore(Effect.forever(Effect.flatMap(connection.pull, connection.write)))

const hole = PeerAddress.make("127.0.0.1", 9)

const cases = [
  ...TransportContract.cases,
  ...TransportContract.blackHoleCases(hole).map(({ run, title }) => ({
    title,
    run: Effect.andThen(LoopbackNetwork.use((network) => network.blackHole(hole)), run)
  }))
]

describe("LoopbackTransport: contract", () => {
  for (const { run, title } of cases) {
    it.live(`${title} (default runtime)`, () => Effect.provide(run, LoopbackTransport.layer))

    it.effect(`SIM-03 ${title} (World, 10 seeds)`, () =>
      World.runSeeds(10, () => Effect.provide(run, LoopbackTransport.layer)))

    it.effect(`SIM-01 SIM-03 ${title} (World, latency and random segments, 10 seeds)`, () =>
      World.runSeeds(
        10,
        (seed) => Effect.provide(run, LoopbackTransport.layerWith({ latencyMillis: 5, segmentation: seed }))
      ))
  }
})

describe("LoopbackTransport: a connection", () => {
  it.effect("CON-04 T12 SIM-01 a direction takes 64 KiB before a write waits, and each direction has its own", () =>
    World.run(Effect.gen(function*() {
      const [a, b] = yield* LoopbackTransport.pair()
      yield* a.write(zeros(65_536))
      const blocked = yield* start(a.write(zeros(1)))
      assert.isTrue(blocked.waits)
      assert.strictEqual(a.link.buffered("toListener"), 65_537)
      assert.isFalse((yield* start(b.write(zeros(65_536)))).waits)
      assert.strictEqual(total(yield* b.pull), 65_536)
      yield* Fiber.join(blocked.fiber)
      assert.strictEqual(a.link.buffered("toListener"), 1)
    })))

  it.effect("CON-04 SIM-01 the capacity and the size of a pull are options; a big unit goes in whole", () =>
    World.run(Effect.gen(function*() {
      const [a, b] = yield* LoopbackTransport.pair({ capacity: 10, readLimit: 4 })
      const blocked = yield* start(a.write([new Uint8Array(3), new Uint8Array(9), new Uint8Array(3)]))
      assert.isTrue(blocked.waits)
      assert.strictEqual(a.link.buffered("toListener"), 15)
      assert.deepStrictEqual(sizes(yield* b.pull), [3, 1])
      assert.isTrue((yield* start(Effect.void)).waits === false && blocked.fiber.pollUnsafe() === undefined)
      assert.deepStrictEqual(sizes(yield* b.pull), [4])
      yield* Fiber.join(blocked.fiber)
      assert.deepStrictEqual(sizes(yield* b.pull), [4])
      assert.deepStrictEqual(sizes(yield* b.pull), [3])
    })))

  it.effect("CON-04 bytes are not copied on the way, and several writes come as one pull", () =>
    World.run(Effect.gen(function*() {
      const [a, b] = yield* LoopbackTransport.pair()
      const [one, two, three] = [Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)]
      yield* a.write([one, two])
      yield* a.write([three])
      const pulled = yield* b.pull
      assert.strictEqual(pulled.length, 3)
      for (const [index, chunk] of [one, two, three].entries()) assert.strictEqual(pulled[index], chunk)
    })))

  it.effect("SIM-01 a corked direction delivers nothing, its end included, until it is uncorked", () =>
    World.run(Effect.gen(function*() {
      const [a, b] = yield* LoopbackTransport.pair()
      yield* a.link.cork("toListener")
      yield* a.write(zeros(10))
      yield* a.end
      const waiting = yield* start(b.pull)
      assert.isTrue(waiting.waits)
      yield* b.write(zeros(5)) // the other direction flows
      assert.strictEqual(total(yield* a.pull), 5)
      yield* a.link.uncork("toListener")
      assert.strictEqual(total(yield* Fiber.join(waiting.fiber)), 10)
      assert.strictEqual(yield* kindOf(b.pull), "Eof")
    })))

  it.effect("SIM-01 T12 a corked direction suspends the writer at its capacity", () =>
    World.run(Effect.gen(function*() {
      const [a, b] = yield* LoopbackTransport.pair({ capacity: 100 })
      yield* a.link.cork("toListener")
      const reading = yield* start(Effect.forever(b.pull))
      yield* a.write(zeros(100))
      const writing = yield* start(a.write(zeros(1)))
      assert.isTrue(reading.waits && writing.waits)
      yield* a.link.uncork("toListener")
      yield* Fiber.join(writing.fiber)
    })))

  it.effect("SIM-01 T11 a severed link fails both sides' waiting and later calls; what was under way is lost", () =>
    World.run(Effect.gen(function*() {
      const [a, b] = yield* LoopbackTransport.pair({ capacity: 10 })
      const pulling = yield* start(kindOf(a.pull))
      const writing = yield* start(kindOf(a.write(zeros(11))))
      assert.isTrue(pulling.waits && writing.waits)
      yield* a.link.sever
      assert.strictEqual(yield* Fiber.join(pulling.fiber), "Reset")
      assert.strictEqual(yield* Fiber.join(writing.fiber), "Reset")
      for (const side of [a, b]) {
        assert.strictEqual(yield* detailOf(side.pull), "Reset ECONNRESET")
        assert.strictEqual(yield* detailOf(side.write(zeros(1))), "Reset ECONNRESET")
      }
    })))

  it.effect("T11 resetting one side is seen by the other", () =>
    World.run(Effect.gen(function*() {
      const [a, b] = yield* LoopbackTransport.pair()
      const pulling = yield* start(kindOf(b.pull))
      yield* a.write(zeros(3))
      yield* a.reset
      assert.strictEqual(yield* Fiber.join(pulling.fiber), "Reset")
    })))

  it.effect("T11 a side that closes with unread bytes resets the other", () =>
    World.run(
      Effect.gen(function*() {
        const transport = yield* Transport
        const { address, run } = yield* transport.listen({ port: 0 })
        const result = yield* Deferred.make<string>()
        yield* Effect.forkScoped(
          run((server) =>
            Effect.andThen(server.write(zeros(4)), Effect.andThen(server.pull, detailOf(server.pull))).pipe(
              Effect.orElseSucceed(() => "failed early"),
              Effect.flatMap((detail) => Deferred.succeed(result, detail))
            )
          )
        )
        yield* Effect.scoped(Effect.gen(function*() {
          const client = yield* transport.dial(address, DIAL)
          yield* client.write(zeros(1))
          yield* Effect.sleep(1) // the server has written four bytes and read one
        }))
        assert.strictEqual(yield* Deferred.await(result), "Reset ECONNRESET")
      }).pipe(Effect.provide(LoopbackTransport.layer))
    ))

  it.effect("T11 a write to a side that closed in order breaks the connection", () =>
    World.run(
      Effect.gen(function*() {
        const transport = yield* Transport
        const { address, run } = yield* transport.listen({ port: 0 })
        yield* Effect.forkScoped(run((server) => Effect.ignore(server.write(zeros(7)))))
        const client = yield* transport.dial(address, DIAL)
        yield* Effect.sleep(1) // the server wrote and is gone
        assert.strictEqual(yield* detailOf(client.write(zeros(1))), "Reset EPIPE")
        assert.strictEqual(yield* detailOf(client.pull), "Reset ECONNRESET")
      }).pipe(Effect.provide(LoopbackTransport.layer))
    ))

  it.effect("CON-04 two fibers that pull one connection are a defect, not a lost byte", () =>
    World.run(Effect.gen(function*() {
      const [a, b] = yield* LoopbackTransport.pair()
      const first = yield* start(b.pull)
      assert.isTrue(Exit.hasDies(yield* Effect.exit(b.pull)))
      yield* a.write(zeros(2))
      assert.strictEqual(total(yield* Fiber.join(first.fiber)), 2)
    })))

  it.effect("SIM-01 the tap sees every chunk with its link and direction, in order", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const onBytes = (
        link: LoopbackTransport.LoopbackLink,
        direction: LoopbackTransport.Direction,
        chunk: Uint8Array
      ) => seen.push(`${link.id} ${direction} ${chunk.length}`)
      yield* World.run(Effect.gen(function*() {
        const [a, b] = yield* LoopbackTransport.pair({ onBytes: (...event) => void onBytes(...event) })
        yield* a.write([new Uint8Array(1), new Uint8Array(2)])
        yield* b.write(zeros(3))
      }))
      assert.deepStrictEqual(seen, ["1 toListener 1", "1 toListener 2", "1 toDialer 3"])
    }))
})

describe("LoopbackTransport: latency and segments", () => {
  it.effect("SIM-01 SIM-03 bytes and the end take the latency, a dial takes two", () =>
    World.run(
      Effect.gen(function*() {
        const world = yield* World.World
        const transport = yield* Transport
        const { address, run } = yield* transport.listen({ port: 0 })
        yield* Effect.forkScoped(run((server) =>
          Effect.ignore(Effect.flatMap(server.pull, (bytes) => Effect.andThen(server.write(bytes), server.end)))
        ))
        const client = yield* transport.dial(address, DIAL)
        assert.strictEqual(world.millis, 100)
        yield* client.write(zeros(1))
        yield* client.pull
        assert.strictEqual(world.millis, 200)
        assert.strictEqual(yield* kindOf(client.pull), "Eof")
        assert.strictEqual(world.millis, 200)
        assert.strictEqual(yield* kindOf(transport.dial(address, { timeoutMillis: 99 })), "Timeout")
        assert.strictEqual(world.millis, 299)
      }).pipe(Effect.provide(LoopbackTransport.layerWith({ latencyMillis: 50 })))
    ))

  it.effect("SIM-01 what is written later arrives later, and an interrupted pull loses none of it", () =>
    World.run(Effect.gen(function*() {
      const world = yield* World.World
      const [a, b] = yield* LoopbackTransport.pair({ latencyMillis: 10 })
      yield* a.write(zeros(1))
      yield* Effect.sleep(5)
      yield* a.write(zeros(2))
      const pulling = yield* start(b.pull)
      yield* Fiber.interrupt(pulling.fiber)
      assert.deepStrictEqual(sizes(yield* b.pull), [1])
      assert.strictEqual(world.millis, 10)
      assert.deepStrictEqual(sizes(yield* b.pull), [2])
      assert.strictEqual(world.millis, 15)
    })))

  it.effect("SIM-01 latency is by any clock: bytes wait for TestClock, and an interrupted pull leaves no sleeper", () =>
    Effect.gen(function*() {
      const [a, b] = yield* LoopbackTransport.pair({ latencyMillis: 10 })
      yield* a.write(zeros(1))
      const first = yield* start(b.pull)
      yield* TestClock.adjust(9)
      assert.isTrue(first.waits && first.fiber.pollUnsafe() === undefined)
      yield* Fiber.interrupt(first.fiber)
      const second = yield* start(b.pull)
      yield* TestClock.adjust(1)
      assert.strictEqual(total(yield* Fiber.join(second.fiber)), 1)
    }))

  it.effect("SIM-01 a break ends a pull that waits for bytes under way", () =>
    World.run(Effect.gen(function*() {
      const [a, b] = yield* LoopbackTransport.pair({ latencyMillis: 3_600_000 })
      yield* a.write(zeros(1))
      const pulling = yield* start(kindOf(b.pull))
      assert.isTrue(pulling.waits)
      yield* a.link.sever
      assert.strictEqual(yield* Fiber.join(pulling.fiber), "Reset")
      assert.strictEqual((yield* World.World).millis, 0)
    })))

  it.effect("SIM-01 SIM-03 segments are random, in order, complete, and the same for the same seed", () =>
    Effect.gen(function*() {
      const cuts = (segmentation: number) =>
        World.run(Effect.gen(function*() {
          const [a, b] = yield* LoopbackTransport.pair({ segmentation })
          const bytes = Uint8Array.from({ length: 20_000 }, (_, index) => index % 251)
          yield* a.write([bytes.subarray(0, 5_000), bytes.subarray(5_000)])
          const pulls: Array<number> = []
          let position = 0
          while (position < bytes.length) {
            const chunks = yield* b.pull
            pulls.push(total(chunks))
            for (const chunk of chunks) {
              for (const byte of chunk) assert.strictEqual(byte, position++ % 251)
            }
          }
          return pulls
        }))
      const first = yield* cuts(1)
      assert.deepStrictEqual(yield* cuts(1), first)
      assert.notDeepEqual(yield* cuts(2), first)
      assert.isAbove(first.length, 5)
      assert.include(first, 1)
    }))
})

describe("LoopbackTransport: a network", () => {
  const inNetwork = <A, E>(
    program: Effect.Effect<A, E, LoopbackTransport.LoopbackNetwork | World.World | Scope.Scope>,
    options?: LoopbackTransport.Options
  ) => World.run(Effect.provide(program, LoopbackTransport.layerNetwork(options)))

  it.effect("CON-01 CON-07 nodes have their own addresses, and loopback is private to each", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* LoopbackNetwork
      const [a, b] = [network.transportAt("10.0.0.1"), network.transportAt("10.0.0.2")]
      const remotes: Array<string> = []
      const note = (connection: Connection) => Effect.sync(() => remotes.push(connection.remote.host))
      const any = yield* b.listen({ port: 11_625 })
      yield* Effect.forkScoped(any.run(note))
      const own = yield* b.listen({ host: "127.0.0.1", port: 11_626 })
      yield* Effect.forkScoped(own.run(note))

      yield* a.dial(PeerAddress.make("10.0.0.2", 11_625), DIAL)
      yield* b.dial(PeerAddress.make("127.0.0.1", 11_625), DIAL)
      yield* b.dial(PeerAddress.make("127.0.0.1", 11_626), DIAL)
      yield* Effect.sleep(1)
      assert.deepStrictEqual(remotes.sort(), ["10.0.0.1", "127.0.0.1", "127.0.0.1"])
      assert.strictEqual(yield* kindOf(a.dial(PeerAddress.make("10.0.0.2", 11_626), DIAL)), "Refused")
      assert.strictEqual(yield* kindOf(a.dial(PeerAddress.make("127.0.0.1", 11_625), DIAL)), "Refused")
      assert.strictEqual(yield* detailOf(a.listen({ host: "10.0.0.2", port: 1 })), "ListenFailed EADDRNOTAVAIL")
      assert.strictEqual(yield* kindOf(a.listen({ port: 11_625 })), "succeeded")
      assert.strictEqual(yield* detailOf(b.listen({ host: "10.0.0.2", port: 11_625 })), "ListenFailed EADDRINUSE")
    })))

  it.effect("CON-01 names resolve by the network's table", () =>
    inNetwork(
      Effect.gen(function*() {
        const network = yield* LoopbackNetwork
        const { address, run } = yield* network.transportAt("10.0.0.2").listen({ host: "10.0.0.2", port: 11_625 })
        yield* Effect.forkScoped(run(echo))
        const a = network.transportAt("10.0.0.1")
        const connection = yield* a.dial(PeerAddress.make("core.example", 11_625), DIAL)
        assert.strictEqual(connection.remote.key, address.key)
        const unknown = a.dial(PeerAddress.make("other.example", 11_625), DIAL)
        assert.strictEqual(yield* detailOf(unknown), "Unresolved ENOTFOUND")
      }),
      { hosts: { "core.example": "10.0.0.2" } }
    ))

  it.effect("CON-02 a full backlog does not answer; a dial gets through once there is room", () =>
    inNetwork(Effect.gen(function*() {
      const world = yield* World.World
      const transport = (yield* LoopbackNetwork).transportAt("127.0.0.1")
      const { address, run } = yield* transport.listen({ port: 0, backlog: 2 })
      yield* transport.dial(address, DIAL)
      yield* transport.dial(address, DIAL)
      assert.strictEqual(yield* kindOf(transport.dial(address, { timeoutMillis: 1_500 })), "Timeout")
      assert.strictEqual(world.millis, 1_500)
      const late = yield* start(transport.dial(address, DIAL))
      assert.isTrue(late.waits)
      yield* Effect.forkScoped(run(echo))
      yield* Fiber.join(late.fiber)
      assert.strictEqual(world.millis, 2_500)
    })))

  it.effect("CON-01 a black hole does not answer until it is undone", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* LoopbackNetwork
      const transport = network.transportAt("127.0.0.1")
      const { address, run } = yield* transport.listen({ host: "127.0.0.1", port: 0 })
      yield* Effect.forkScoped(run(echo))
      yield* network.blackHole(address)
      assert.strictEqual(yield* kindOf(transport.dial(address, { timeoutMillis: 2_000 })), "Timeout")
      assert.strictEqual((yield* World.World).millis, 2_000)
      yield* network.restore(address)
      assert.strictEqual(yield* kindOf(transport.dial(address, DIAL)), "succeeded")
    })))

  it.effect("SIM-01 a link is listed until both its ends are closed", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* LoopbackNetwork
      const transport = network.transportAt("127.0.0.1")
      const { address, run } = yield* transport.listen({ host: "127.0.0.1", port: 0 })
      yield* Effect.forkScoped(run(echo))
      yield* Effect.scoped(Effect.gen(function*() {
        const client = yield* transport.dial(address, DIAL)
        const [link, none] = yield* network.links
        assert.strictEqual(none, undefined)
        assert.strictEqual(link?.listener.key, client.remote.key)
        assert.strictEqual(link?.dialer.host, "127.0.0.1")
      }))
      yield* Effect.sleep(1)
      assert.deepStrictEqual(yield* network.links, [])
    })))

  it.effect("SIM-01 SIM-03 ten nodes that talk at random: one seed, one trace", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const network = yield* LoopbackNetwork
        const world = yield* World.World
        const ips = Array.from({ length: 10 }, (_, index) => `10.0.0.${index}`)
        yield* Effect.forEach(ips, (ip) =>
          Effect.flatMap(network.transportAt(ip).listen({ port: 11_625 }), ({ run }) =>
            Effect.forkScoped(run(echo))))
        const talk = Effect.fnUntraced(function*(ip: string, random: World.WorldRandom) {
          for (let round = 0; round < 10; round++) {
            const other = PeerAddress.make(`10.0.0.${random.nextBelowUnsafe(10)}`, 11_625)
            const connection = yield* network.transportAt(ip).dial(other, DIAL)
            const bytes = random.nextBytesUnsafe(1 + random.nextBelowUnsafe(1_000))
            yield* connection.write([bytes])
            let received = 0
            while (received < bytes.length) {
              received += total(yield* connection.pull)
            }
            world.note(`${ip} ${other.key} ${received}`)
          }
        }, Effect.scoped)
        yield* Effect.forEach(ips, (ip) =>
          talk(ip, world.random(ip)), { concurrency: "unbounded" })
      }).pipe(Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 3, segmentation: "cuts" })))
      const hashes: Array<string> = []
      for (let seed = 0; seed < 5; seed++) {
        const [first, second] = [yield* World.simulate(program, { seed }), yield* World.simulate(program, { seed })]
        assert.isTrue(Exit.isSuccess(first.exit))
        assert.deepStrictEqual(second, first)
        hashes.push(first.traceHash)
      }
      assert.strictEqual(new Set(hashes).size, 5)
    }))
  it.effect("SIM-03 in a world a connection that is left open is in the report", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const network = yield* LoopbackTransport.LoopbackNetwork
        const { dial, listen } = network.transportAt("10.0.0.1")
        const { run } = yield* listen({ port: 11_625 })
        yield* Effect.forkScoped(run(() => Effect.never))
        const forgotten = yield* Scope.make()
        yield* Scope.provide(dial(PeerAddress.make("10.0.0.1", 11_625), DIAL), forgotten)
        yield* Effect.scoped(dial(PeerAddress.make("10.0.0.1", 11_625), DIAL))
        yield* Effect.sleep(1000)
      }).pipe(Effect.provide(LoopbackTransport.layerNetwork()))
      const { exit, left } = yield* World.simulate(program, { seed: 1 })
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(left.open, { connection: 1 })
    }))
})
