/** Lines, dials and cuts of a network that can fail, seen by whoever holds a connection. */
import { assert, describe, it } from "@effect/vitest"
import type { Connection, TransportError } from "@stellar-overlay/overlay/Transport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect, Fiber, type Scope } from "effect"
import { LoopbackNetwork } from "../src/LoopbackTransport.ts"
import * as SimNetwork from "../src/SimNetwork.ts"
import * as World from "../src/World.ts"

const ips = { a: "10.0.0.1", b: "10.1.0.1", c: "10.2.0.1" }
type Name = keyof typeof ips
const PORT = 11625
const addressOf = (name: Name) => PeerAddress.make(ips[name], PORT)

const outcome = <A, R>(effect: Effect.Effect<A, TransportError, R>) =>
  Effect.match(effect, { onFailure: ({ detail, kind }) => `${kind} ${detail}`, onSuccess: () => "succeeded" })

const transportOf = (name: Name) => LoopbackNetwork.useSync((network) => network.transportAt(ips[name]))

const dial = (from: Name, to: Name, timeoutMillis = 5_000) =>
  Effect.flatMap(transportOf(from), (transport) => transport.dial(addressOf(to), { timeoutMillis }))

/** Listens as a node and keeps what is accepted. */
const listen = Effect.fnUntraced(function*(name: Name) {
  const listener = yield* (yield* transportOf(name)).listen({ host: ips[name], port: PORT })
  const held: Array<Connection> = []
  yield* Effect.forkScoped(
    listener.run((connection) => {
      held.push(connection)
      return Effect.never
    }),
    { startImmediately: true }
  )
  return held
})

/** One connection, dialled by a. */
const connect = Effect.gen(function*() {
  const held = yield* listen("b")
  const a = yield* dial("a", "b")
  while (held.length === 0) yield* Effect.yieldNow
  return { a, b: held[0]! }
})

/** What comes to one end, and when, until it ends. */
const record = Effect.fnUntraced(function*(connection: Connection) {
  const world = yield* World.World
  const pulls: Array<{ readonly at: number; readonly size: number }> = []
  const seen = { pulls, end: "", total: () => pulls.reduce((sum, { size }) => sum + size, 0) }
  yield* Effect.forkScoped(
    Effect.forever(Effect.map(connection.pull, (chunks) => {
      pulls.push({ at: world.millis, size: chunks.reduce((sum, { length }) => sum + length, 0) })
    })).pipe(Effect.catch(({ kind }) =>
      Effect.sync(() => {
        seen.end = kind
      })
    )),
    { startImmediately: true }
  )
  return seen
})

const zeros = (length: number) => [new Uint8Array(length)] as const

/** A frame of so many bytes, mark included. */
const frame = (length: number) => {
  const bytes = new Uint8Array(length)
  new DataView(bytes.buffer).setUint32(0, (length - 4) | 0x80000000)
  return [bytes] as const
}

const inNetwork = <A, E>(
  program: Effect.Effect<A, E, SimNetwork.SimNetwork | LoopbackNetwork | World.World | Scope.Scope>,
  options: SimNetwork.Options = {}
) =>
  World.run(
    Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      for (const [name, ip] of Object.entries(ips)) network.name(name, ip)
      return yield* program
    }).pipe(Effect.provide(SimNetwork.layer(options))),
    { seed: 1 }
  )

describe("SimNetwork: lines", () => {
  it.effect("SIM-01 a delay is one way; the dial takes both", () =>
    inNetwork(
      Effect.gen(function*() {
        const network = yield* SimNetwork.SimNetwork
        const world = yield* World.World
        yield* network.setLane("a", "b", { delayMillis: 100 })
        yield* network.setLane("b", "a", { delayMillis: 30 })
        const { a, b } = yield* connect
        assert.strictEqual(world.millis, 130)
        const [atA, atB] = [yield* record(a), yield* record(b)]
        yield* network.inject({ _tag: "Delay", from: "a", to: "b", millis: 400 })
        yield* Effect.all([a.write(zeros(10)), b.write(zeros(20))])
        yield* Effect.sleep(1_000)
        assert.deepStrictEqual(atB.pulls, [{ at: 630, size: 10 }])
        assert.deepStrictEqual(atA.pulls, [{ at: 160, size: 20 }])
        assert.strictEqual(network.fired.get("Delay"), 1)
      })
    ))

  it.effect("SIM-01 jitter keeps the order; regions add what lies between them", () =>
    inNetwork(
      Effect.gen(function*() {
        const network = yield* SimNetwork.SimNetwork
        const { a, b } = yield* connect
        const seen = yield* record(b)
        const jitter = yield* network.inject({ _tag: "Jitter", millis: 200 })
        for (let i = 1; i <= 20; i++) {
          yield* a.write(zeros(i))
          yield* Effect.sleep(10)
        }
        yield* Effect.sleep(1_000)
        const times = seen.pulls.map(({ at }) => at)
        assert.deepStrictEqual(times, [...times].sort((x, y) => x - y))
        assert.strictEqual(seen.total(), 210)
        assert.isAbove(new Set(times).size, 3)
        yield* jitter.end
        yield* network.inject({ _tag: "Regions", regions: { b: 1 }, millis: [[0, 70], [70, 0]] })
        const world = yield* World.World
        const from = world.millis
        yield* a.write(zeros(1))
        yield* Effect.sleep(1_000)
        assert.strictEqual(seen.pulls.at(-1)?.at, from + 70)
        assert.strictEqual(network.fired.get("Regions"), 1)
      })
    ))

  it.effect("SIM-01 a slow line carries its bytes a second, and its queue is bounded", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const world = yield* World.World
      const { a, b } = yield* connect
      const seen = yield* record(b)
      yield* network.inject({ _tag: "Bandwidth", from: "a", bytesPerSecond: 10_000 })
      yield* network.inject({ _tag: "SmallQueue", from: "a", bytes: 5_000 })
      for (let i = 0; i < 4; i++) yield* a.write(zeros(5_000))
      // The first is out of the way when the third is through the queue.
      assert.isAtLeast(world.millis, 1_000)
      yield* Effect.sleep(10_000)
      assert.strictEqual(seen.total(), 20_000)
      assert.strictEqual(seen.pulls.at(-1)?.at, 2_000)
      for (const { at } of seen.pulls) assert.isAtLeast(at, 0)
      for (const kind of ["Bandwidth", "SmallQueue"] as const) assert.isAbove(network.fired.get(kind) ?? 0, 0, kind)
    })))

  it.effect("SIM-01 pieces of one byte, each in a pull of its own; and gathered again", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const { a, b } = yield* connect
      const seen = yield* record(b)
      yield* network.inject({ _tag: "Segmentation", maxBytes: 1 })
      yield* a.write(zeros(50))
      yield* Effect.sleep(1_000)
      assert.deepStrictEqual(seen.pulls.map(({ size }) => size), new Array(50).fill(1))
      yield* network.heal
      yield* network.inject({ _tag: "Coalescing", to: "b", millis: 250 })
      yield* Effect.sleep(5)
      for (let i = 0; i < 10; i++) {
        yield* a.write(zeros(10))
        yield* Effect.sleep(20)
      }
      yield* Effect.sleep(1_000)
      assert.deepStrictEqual(seen.pulls.slice(50), [{ at: 1_250, size: 100 }])
    })))

  it.effect("SIM-01 a shut window holds bytes and the end, and lets go of them", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const { a, b } = yield* connect
      yield* a.write(zeros(5)) // has come, and can be read
      const shut = yield* network.inject({ _tag: "ZeroWindow", from: "a", to: "b" })
      const seen = yield* record(b)
      yield* a.write(zeros(10))
      yield* a.end
      yield* Effect.sleep(60_000)
      assert.strictEqual(seen.total(), 5)
      assert.strictEqual(seen.end, "")
      yield* shut.end
      yield* Effect.sleep(1)
      assert.strictEqual(seen.total(), 15)
      assert.strictEqual(seen.end, "Eof")
    })))

  it.effect("SIM-01 T12 a slow reader fills the writer's queue; a slow writer waits itself", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const world = yield* World.World
      const { a, b } = yield* connect
      const seen = yield* record(b)
      yield* network.inject({ _tag: "SlowReader", node: "b", bytesPerSecond: 10_000 })
      yield* a.write(zeros(100_000))
      assert.isAtLeast(world.millis, 3_000)
      yield* Effect.sleep(20_000)
      assert.strictEqual(seen.total(), 100_000)
      for (const { size } of seen.pulls) assert.isAtMost(size, 1_000)
      yield* network.heal
      yield* network.inject({ _tag: "SlowWriter", node: "a", bytesPerSecond: 1_000 })
      const from = world.millis
      yield* a.write(zeros(3_000))
      assert.strictEqual(world.millis - from, 3_000)
    })))
})

describe("SimNetwork: broken connections", () => {
  it.effect("SIM-01 cut in half: the one end is told, the other writes until its queue is full", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const { a, b } = yield* connect
      const [atA, atB] = [yield* record(a), yield* record(b)]
      yield* network.inject({ _tag: "HalfOpen", from: "a", to: "b" })
      yield* Effect.sleep(1)
      assert.strictEqual(atB.end, "Reset")
      yield* a.write(zeros(65_536))
      const blocked = yield* Effect.forkScoped(a.write(zeros(1)), { startImmediately: true })
      yield* Effect.sleep(3_600_000)
      assert.isUndefined(blocked.pollUnsafe())
      assert.strictEqual(atA.end, "")
      yield* network.heal
      yield* Effect.sleep(1_000)
      assert.strictEqual(atA.end, "", "what is gone does not come back")
    })))

  it.effect("SIM-01 an RST and a FIN in mid-frame come after half of it", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const held = yield* listen("b")
      for (const kind of ["ResetMidFrame", "FinMidFrame"] as const) {
        held.length = 0
        const a = yield* dial("a", "b")
        while (held.length === 0) yield* Effect.yieldNow
        const seen = yield* record(held[0]!)
        yield* a.write(frame(104))
        yield* Effect.sleep(1)
        const cut = yield* network.inject({ _tag: kind, from: "a", skip: 1 })
        yield* a.write(frame(104))
        yield* Effect.sleep(1)
        assert.strictEqual(seen.total(), 104 + 54)
        assert.strictEqual(seen.end, kind === "FinMidFrame" ? "Eof" : "Reset")
        assert.strictEqual(cut.fired, 1)
        yield* cut.end
      }
    })))

  it.effect("SIM-01 a cut holds an RST back: the far end writes on until it is mended", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const { a, b } = yield* connect
      const atB = yield* record(b)
      const cut = yield* network.partition(["a"])
      yield* network.sever("a")
      assert.strictEqual(yield* outcome(a.write(zeros(1))), "Reset ECONNRESET")
      yield* b.write(zeros(10))
      yield* Effect.sleep(10_000)
      assert.strictEqual(atB.end, "")
      yield* cut.end
      yield* Effect.sleep(1)
      assert.strictEqual(atB.end, "Reset")
      assert.strictEqual(yield* outcome(b.write(zeros(1))), "Reset ECONNRESET")
    })))

  it.effect("SIM-01 frames are changed wherever chunks are cut, and bytes that are no frames pass as they are", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const { a, b } = yield* connect
      const seen = yield* record(b)
      yield* network.inject({ _tag: "FrameDrop", from: "a", skip: 1, limit: 1 })
      const three = new Uint8Array(312)
      for (let i = 0; i < 3; i++) three.set(frame(104)[0], 104 * i)
      for (let at = 0; at < three.length; at += 50) yield* a.write([three.subarray(at, at + 50)])
      yield* Effect.sleep(1)
      assert.strictEqual(seen.total(), 208)
      assert.strictEqual(network.fired.get("FrameDrop"), 1)
      yield* network.inject({ _tag: "FrameDuplicate", from: "a" })
      yield* a.write(zeros(1_000)) // marks of no length
      yield* Effect.sleep(1)
      assert.strictEqual(seen.total(), 208 + 1_000)
      assert.isUndefined(network.fired.get("FrameDuplicate"))
    })))

  it.effect("SIM-01 a probability is kept, and every loss is counted once", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const { a, b } = yield* connect
      const seen = yield* record(b)
      const drop = yield* network.inject({ _tag: "FrameDrop", from: "a", probability: 0.25 })
      for (let i = 0; i < 4_000; i++) yield* a.write(frame(20))
      yield* Effect.sleep(1)
      assert.strictEqual(seen.total(), 20 * (4_000 - drop.fired))
      assert.isTrue(drop.fired > 800 && drop.fired < 1_200, `${drop.fired} of 4000`)
    })))

  it.effect("SIM-01 two frames change places; one that nothing follows comes when the fault ends", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const { a, b } = yield* connect
      const seen = yield* record(b)
      const reorder = yield* network.inject({ _tag: "FrameReorder", from: "a" })
      for (const size of [10, 20, 30]) {
        yield* a.write(frame(size))
        yield* Effect.sleep(10)
      }
      assert.deepStrictEqual(seen.pulls, [{ at: 10, size: 30 }]) // 20, then 10
      assert.strictEqual(reorder.fired, 1)
      yield* reorder.end
      yield* Effect.sleep(1)
      assert.strictEqual(seen.total(), 60)
      assert.strictEqual(reorder.fired, 1, "nothing overtook the last")
    })))
})

describe("SimNetwork: dials", () => {
  const cases = [
    ["DialRefused", { _tag: "DialRefused", to: "b" }, "Refused ECONNREFUSED", 0],
    ["DialTimeout", { _tag: "DialTimeout", to: "b" }, "Timeout ETIMEDOUT", 5_000],
    ["BacklogFull", { _tag: "BacklogFull", node: "b" }, "Timeout ETIMEDOUT", 5_000],
    ["Partition", { _tag: "Partition", groups: [["b"]] }, "Timeout ETIMEDOUT", 5_000],
    ["PartitionOneWay", { _tag: "PartitionOneWay", from: ["b"], to: ["a"] }, "Timeout ETIMEDOUT", 5_000],
    ["DialEmfile", { _tag: "DialEmfile", node: "a" }, "OpenFailed EMFILE", 0],
    ["DialSlow", { _tag: "DialSlow", to: "b", millis: 700 }, "succeeded", 700],
    ["AcceptEmfile", { _tag: "AcceptEmfile", node: "b" }, "succeeded", 0]
  ] as const
  for (const [kind, fault, expected, millis] of cases) {
    it.effect(`SIM-01 ${kind}: ${expected}`, () =>
      inNetwork(Effect.gen(function*() {
        const network = yield* SimNetwork.SimNetwork
        const world = yield* World.World
        const held = yield* listen("b")
        const active = yield* network.inject(fault)
        const turns = Effect.repeat(Effect.yieldNow, { times: 20 })
        assert.strictEqual(yield* outcome(Effect.scoped(Effect.andThen(dial("a", "b"), turns))), expected)
        assert.strictEqual(world.millis, millis)
        assert.isAbove(active.fired, 0)
        assert.strictEqual(held.length, kind === "DialSlow" ? 1 : 0)
        yield* network.heal
        yield* dial("a", "b")
        yield* Effect.sleep(1)
        assert.strictEqual(held.length, kind === "DialSlow" ? 2 : 1, "dials come through again")
      })))
  }

  it.effect("SIM-01 a dial that begins while nobody answers comes through when they do", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const world = yield* World.World
      yield* listen("b")
      const cut = yield* network.inject({ _tag: "Isolate", node: "b" })
      const dialling = yield* Effect.forkScoped(dial("a", "b"), { startImmediately: true })
      yield* Effect.sleep(2_500)
      yield* cut.end
      yield* Fiber.join(dialling)
      assert.strictEqual(world.millis, 3_000)
    })))

  it.effect("SIM-01 a wrong node answers at the address", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const [atB, atC] = [yield* listen("b"), yield* listen("c")]
      yield* network.inject({ _tag: "WrongNode", at: "b", node: "c" })
      const a = yield* dial("a", "b")
      yield* Effect.sleep(1)
      assert.deepStrictEqual([atB.length, atC.length], [0, 1])
      assert.strictEqual(a.remote.toString(), addressOf("b").toString())
      assert.deepInclude(network.links()[0], { from: "a", to: "c" })
    })))
})

describe("SimNetwork: cuts", () => {
  it.effect("SIM-01 a one-way cut lets the other way through; nodes in no group are one group", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const { a, b } = yield* connect
      const [atA, atB] = [yield* record(a), yield* record(b)]
      const oneWay = yield* network.inject({ _tag: "PartitionOneWay", from: ["a"], to: ["b"] })
      yield* Effect.all([a.write(zeros(1)), b.write(zeros(2))])
      yield* Effect.sleep(1_000)
      assert.deepStrictEqual([atA.total(), atB.total()], [2, 0])
      yield* oneWay.end
      yield* Effect.sleep(1)
      assert.strictEqual(atB.total(), 1)
      yield* network.partition(["c"])
      yield* a.write(zeros(1))
      yield* Effect.sleep(1)
      assert.strictEqual(atB.total(), 2)
    })))

  it.effect("SIM-01 nodes are clogged in turn and let back in another order; a flapping cut comes and goes", () =>
    inNetwork(Effect.gen(function*() {
      const network = yield* SimNetwork.SimNetwork
      const { a, b } = yield* connect
      const seen = yield* record(b)
      const chatter = yield* Effect.forkScoped(Effect.forever(Effect.andThen(a.write(zeros(1)), Effect.sleep(100))))
      const swizzle = yield* network.inject({ _tag: "SwizzleClog", nodes: ["a", "b"], spacingMillis: 1_000 })
      yield* Effect.sleep(2_950)
      assert.isBelow(seen.total(), 5)
      yield* Effect.sleep(1_100)
      assert.isAtLeast(seen.total(), 38)
      assert.isAtLeast(swizzle.fired, 28)
      yield* network.inject({ _tag: "Flapping", groups: [["a"]], downMillis: 900, upMillis: 100 })
      const before = seen.pulls.length
      yield* Effect.sleep(10_000)
      assert.isAtMost(seen.pulls.length - before, 30)
      assert.isAtLeast(seen.pulls.length - before, 10)
      yield* Fiber.interrupt(chatter)
    })))

  it.effect("SIM-03 a schedule begins and ends its faults at their times, side by side, and tells them", () => {
    const told: Array<string> = []
    return inNetwork(
      Effect.gen(function*() {
        const network = yield* SimNetwork.SimNetwork
        yield* network.play([
          { at: 2_000, for: 500, fault: { _tag: "Isolate", node: "a" } },
          { at: 1_000, for: 3_000, fault: { _tag: "Isolate", node: "b" } },
          { at: 1_500, fault: { _tag: "Jitter", millis: 1 } }
        ])
        assert.deepStrictEqual(told, ["+b 1000", "+Jitter 1500", "+a 2000", "-a 2500", "-b 4000"])
        assert.strictEqual(network.active.length, 1)
        yield* network.heal
        assert.strictEqual(network.active.length, 0)
      }),
      {
        onEvent: (event) => {
          if (event._tag !== "FaultStarted" && event._tag !== "FaultEnded") return
          const what = event.fault._tag === "Isolate" ? event.fault.node : event.fault._tag
          if (what !== "Jitter" || event._tag === "FaultStarted") {
            told.push(`${event._tag === "FaultStarted" ? "+" : "-"}${what} ${event.millis}`)
          }
        }
      }
    )
  })

  it.effect("SIM-03 everything that happens is told, with the names of the nodes", () => {
    const told: Array<SimNetwork.SimEvent> = []
    const bytes: Array<string> = []
    return inNetwork(
      Effect.gen(function*() {
        const { a, b } = yield* Effect.scoped(Effect.tap(connect, ({ a }) => a.write(zeros(9))))
        void a
        void b
        yield* outcome(Effect.scoped(dial("a", "c")))
        yield* Effect.sleep(1)
        assert.deepStrictEqual(
          told.map((event) => event._tag),
          ["LinkOpened", "Chunk", "LinkClosed", "DialFailed"]
        )
        assert.deepInclude(told[1], { _tag: "Chunk", from: "a", to: "b", bytes: 9, arrival: 0 })
        assert.deepStrictEqual(bytes, ["9 a>b on 1"])
        assert.deepInclude(told[3], { _tag: "DialFailed", from: "a", to: "c", reason: "Refused" })
      }),
      {
        onEvent: (event) => void told.push(event),
        onBytes: ({ length }, { from, link, to }) => void bytes.push(`${length} ${from}>${to} on ${link}`)
      }
    )
  })
})
