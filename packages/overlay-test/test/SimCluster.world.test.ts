/** Whole nodes by name: what survives their ends, what stands still with them, and that a seed decides all of it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { hex } from "../src/internal/hex.ts"
import { SeededRandom } from "../src/internal/seededRandom.ts"
import * as SimCluster from "../src/SimCluster.ts"
import * as SimFault from "../src/SimFault.ts"
import type * as SimNetwork from "../src/SimNetwork.ts"
import * as SimTopology from "../src/SimTopology.ts"
import * as TestNode from "../src/TestNode.ts"
import * as World from "../src/World.ts"
import { instances } from "./simKinds.ts"

type Program = Effect.Effect<
  void,
  never,
  SimCluster.SimCluster | SimNetwork.SimNetwork | World.World
>

const mesh = (n: number) => SimCluster.nodesOf(SimTopology.coreMesh(n))

const inCluster = (program: Program, options: SimCluster.Options, seed: number | string = 1) =>
  Effect.gen(function*() {
    const layer = SimCluster.layerWithNetwork(options, { conditions: { delayMillis: 20 } })
    const report = yield* World.simulate(Effect.provide(program, layer), { seed })
    yield* report.exit
    assert.deepStrictEqual(report.pending, { tasks: 0, timers: 0 }, "nothing is left")
  })

/** The same fault for all who are sent to. */
const toAll = (fault: SimFault.SimFault): SimFault.SimFault =>
  "to" in fault && typeof fault.to === "string" ? Object.assign({ ...fault }, { to: undefined }) : fault

const idle = { host: () => TestNode.layerIdleHost }

describe("SimCluster", () => {
  it.effect("SIM-01 OVM-01 nodes start, find each other, and close the same ledgers", () =>
    inCluster(
      Effect.gen(function*() {
        const cluster = yield* SimCluster.SimCluster
        assert.deepStrictEqual(cluster.nodes.map(({ status }) => status), new Array(5).fill("down"))
        yield* cluster.startAll
        yield* Effect.sleep("20 seconds")
        assert.deepStrictEqual(cluster.connectivity(), { reached: 5, running: 5 })
        const chain = new Map<number, string>()
        for (const node of cluster.nodes) {
          assert.isAtLeast(node.ledgers.length, 10)
          for (const { hash, ledgerSeq } of node.ledgers) {
            assert.strictEqual(hex(hash), chain.get(ledgerSeq) ?? hex(hash))
            chain.set(ledgerSeq, hex(hash))
          }
          assert.isAtLeast(node.peers().length, 3)
          assert.strictEqual(node.sockets(), node.peers().length)
        }
        for (const node of cluster.nodes) yield* cluster.stop(node.name)
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(cluster.nodes.map((node) => node.sockets()), new Array(5).fill(0))
      }),
      { nodes: mesh(5) }
    ))

  it.effect("SIM-01 nodes hold the same SCP messages as one object, and each as many events as it is told to", () => {
    let told = 0
    return inCluster(
      Effect.gen(function*() {
        const cluster = yield* SimCluster.SimCluster
        yield* cluster.startAll
        yield* Effect.sleep("20 seconds")
        const statesOf = (name: string) => cluster.node(name).ledger!.host.scpState(2)
        const [mine, theirs] = [yield* statesOf("n0"), yield* statesOf("n1")]
        const shared = mine.filter((message) => theirs.includes(message))
        assert.isAtLeast(mine.length, 20)
        // What either said itself it made itself: two of eight statements of a ledger, and those of the newest one.
        assert.isAtLeast(shared.length, mine.length / 4)
        for (const message of mine) {
          const copy = theirs.find((other) => hex(other.bytes) === hex(message.bytes))
          if (copy === undefined || copy === message) continue
          assert.include([cluster.node("n0").id, cluster.node("n1").id], message.nodeId)
        }
        assert.isAbove(told, 4 * 3)
        assert.deepStrictEqual(cluster.nodes.map(({ events }) => events.length), [3, 3, 3, 3])
      }),
      { keptEvents: 3, nodes: mesh(4), onNodeEvent: () => void told++ }
    )
  })

  it.effect("SIM-01 a cluster ends all at once: its nodes drop their peers within the time of one message", () => {
    const droppedAt = new Map<string, number>()
    let millis = () => 0
    let endedAt = Infinity
    return inCluster(
      Effect.gen(function*() {
        const cluster = yield* SimCluster.SimCluster
        const world = yield* World.World
        millis = () => world.millis
        yield* cluster.startAll
        yield* Effect.sleep("20 seconds")
        endedAt = millis()
      }),
      {
        nodes: mesh(6),
        onNodeEvent: (name, { _tag }) => {
          if (_tag === "PeerDropped" && endedAt < Infinity) droppedAt.set(name, millis())
        }
      }
    ).pipe(Effect.andThen(Effect.sync(() => {
      assert.strictEqual(droppedAt.size, 6)
      assert.isAtMost(Math.max(...droppedAt.values()) - endedAt, 20)
    })))
  })

  it.effect("SIM-01 BAN-02 a store keeps what was written before a crash, and nothing of what the dead process does", () =>
    inCluster(
      Effect.gen(function*() {
        const cluster = yield* SimCluster.SimCluster
        yield* cluster.startAll
        const node = cluster.node("n0")
        const ban = (name: string) => node.running!.overlay.ban(cluster.node(name).id)
        ban("n1")
        yield* Effect.sleep("10 seconds")
        assert.strictEqual(node.database.bans, 1)
        assert.isAbove(node.database.peers, 0)
        ban("n2") // in memory: the process dies before it is written
        yield* cluster.crash("n0")
        assert.strictEqual(node.database.bans, 1)
        yield* Effect.sleep("10 seconds")
        assert.strictEqual(node.database.bans, 1)
        yield* cluster.start("n0")
        yield* Effect.sleep("10 seconds")
        assert.deepStrictEqual(node.running!.overlay.banList.list(), [cluster.node("n1").id])
        assert.deepStrictEqual([...node.peers()].sort(), ["n2", "n3"])
        assert.strictEqual(node.starts, 2)
      }),
      { nodes: mesh(4), ...idle }
    ))

  it.effect("SIM-01 a store may be old, lost, or another's at the next start", () =>
    inCluster(
      Effect.gen(function*() {
        const cluster = yield* SimCluster.SimCluster
        yield* cluster.startAll
        const bans = () => cluster.node("n0").running!.overlay.banList.list().length
        for (let i = 1; i < 4; i++) {
          yield* Effect.sleep("10 seconds")
          cluster.node("n0").running!.overlay.ban(cluster.node(`n${i}`).id)
        }
        yield* Effect.sleep("10 seconds")
        yield* cluster.restart("n0")
        assert.strictEqual(bans(), 3)
        yield* cluster.restart("n0", { _tag: "old", ageMillis: 15_000 })
        assert.strictEqual(bans(), 2)
        yield* cluster.restart("n0", { _tag: "foreign", of: "n1" })
        assert.strictEqual(bans(), 0)
        assert.isAbove(cluster.node("n0").database.peers, 0)
        yield* cluster.restart("n0", "lost")
        assert.strictEqual(cluster.node("n0").database.bans, 0)
      }),
      { nodes: mesh(4), ...idle }
    ))

  it.effect("SIM-01 a write that ends the process is in the store whole, or not at all", () =>
    inCluster(
      Effect.gen(function*() {
        const cluster = yield* SimCluster.SimCluster
        yield* cluster.startAll
        yield* Effect.sleep("10 seconds")
        for (const applied of [false, true]) {
          const crash = yield* cluster.inject({ _tag: "CrashInWrite", node: "n0", applied })
          const node = cluster.node("n0")
          node.running!.overlay.ban(cluster.node("n1").id)
          yield* Effect.sleep("1 second")
          assert.strictEqual(node.status, "down")
          assert.strictEqual(node.database.bans, applied ? 1 : 0)
          yield* crash.end
          assert.strictEqual(node.status, "running")
        }
      }),
      { nodes: mesh(3), ...idle }
    ))

  it.effect("SIM-01 SIM-03 a paused node does nothing, its sockets take bytes, and time has passed when it goes on", () =>
    inCluster(
      Effect.gen(function*() {
        const cluster = yield* SimCluster.SimCluster
        yield* cluster.startAll
        yield* Effect.sleep("10 seconds")
        const node = cluster.node("n0")
        const before = { events: node.events.length, ledgers: node.ledgers.length }
        yield* cluster.pause("n0")
        assert.strictEqual(node.status, "paused")
        yield* Effect.sleep("8 seconds")
        assert.deepStrictEqual({ events: node.events.length, ledgers: node.ledgers.length }, before)
        assert.isAtLeast(cluster.node("n1").ledgers.length, before.ledgers + 5)
        yield* cluster.resume("n0")
        yield* Effect.sleep("5 seconds")
        assert.isAtLeast(node.ledgers.length, before.ledgers + 8, "it has caught up by what had come")
        assert.strictEqual(node.ledger!.stats().jumps, 0)
        // A node that stands still can be stopped.
        yield* cluster.pause("n0")
        yield* cluster.stop("n0")
        assert.strictEqual(node.status, "down")
      }),
      { nodes: mesh(4) }
    ))

  it.effect("SIM-01 a clock that jumps or drifts is the node's alone, and set right afterwards", () =>
    inCluster(
      Effect.gen(function*() {
        const cluster = yield* SimCluster.SimCluster
        yield* cluster.startAll
        yield* Effect.sleep("10 seconds")
        const wall = (name: string) => cluster.node(name).running!.overlay.banList
        const jump = yield* cluster.inject({ _tag: "ClockJump", node: "n0", millis: 90_000 })
        // A ban of one minute by the node's own clock has ended when that clock says so.
        const world = yield* World.World
        const untilMillis = World.DEFAULT_START_UNIX_MILLIS + world.millis + 60_000
        for (const name of ["n0", "n1"]) wall(name).ban(cluster.node("n2").id, { untilMillis })
        assert.deepStrictEqual(["n0", "n1"].map((name) => wall(name).list().length), [0, 1])
        yield* jump.end
        wall("n0").ban(cluster.node("n2").id, { untilMillis })
        assert.strictEqual(wall("n0").list().length, 1)
        yield* cluster.inject({ _tag: "ClockDrift", node: "n0", partsPerMillion: 500_000 })
        yield* Effect.sleep(45_000)
        assert.deepStrictEqual(["n0", "n1"].map((name) => wall(name).list().length), [0, 1])
        yield* Effect.sleep(20_000)
        assert.strictEqual(wall("n1").list().length, 0)
      }),
      { nodes: mesh(3), ...idle }
    ))

  it.effect("SIM-01 HSK-09 a rolling upgrade: one node after the other, versions 38 to 42 side by side", () =>
    inCluster(
      Effect.gen(function*() {
        const cluster = yield* SimCluster.SimCluster
        yield* cluster.startAll
        yield* Effect.sleep("10 seconds")
        for (const node of cluster.nodes) {
          yield* cluster.inject({ _tag: "Upgrade", node: node.name, overlayVersion: 42, overlayMinVersion: 38 })
          yield* Effect.sleep("10 seconds")
          assert.deepStrictEqual(cluster.connectivity(), { reached: 4, running: 4 }, node.name)
        }
        for (const node of cluster.nodes) {
          for (const peer of node.running!.overlay.peers.authenticated()) {
            assert.strictEqual(peer.remote.overlayVersion, 42)
          }
        }
        // Who leaves the old ones behind loses them.
        yield* cluster.inject({ _tag: "Upgrade", node: "n0", overlayVersion: 44, overlayMinVersion: 43 })
        yield* Effect.sleep("10 seconds")
        assert.deepStrictEqual(cluster.node("n0").peers(), [])
        assert.include(cluster.node("n0").drops(), "WrongProtocolVersion")
      }),
      { nodes: mesh(4), ...idle, config: { overlayVersion: 38, overlayMinVersion: 38 } }
    ))

  it.effect("SIM-04 OVM-19 every shape as a running network: its nodes find each other, and parts stay apart", () =>
    Effect.forEach([
      SimTopology.line(8),
      SimTopology.ring(8),
      SimTopology.star(8),
      SimTopology.hierarchical(8, new SeededRandom("shape")),
      SimTopology.separate(8),
      SimTopology.asymmetric(8),
      SimTopology.random(8, new SeededRandom("shape")),
      SimTopology.publicLike(8, new SeededRandom("shape"))
    ], (topology) =>
      inCluster(
        Effect.gen(function*() {
          const cluster = yield* SimCluster.SimCluster
          yield* cluster.startAll
          yield* Effect.sleep("30 seconds")
          const whole = topology.name === "separate" ? 4 : 8
          assert.deepStrictEqual(cluster.connectivity(), { reached: whole, running: 8 }, topology.name)
        }),
        { nodes: SimCluster.nodesOf(topology), ...idle }
      ), { discard: true }))

  it.effect("SIM-01 nodes can be added to a running network", () =>
    inCluster(
      Effect.gen(function*() {
        const cluster = yield* SimCluster.SimCluster
        yield* cluster.startAll
        yield* Effect.sleep("5 seconds")
        for (let i = 3; i < 6; i++) {
          const added = yield* cluster.add({ name: `n${i}`, knows: [`n${i - 1}`], isValidator: false })
          assert.strictEqual(added.status, "down")
          yield* cluster.start(`n${i}`)
        }
        yield* Effect.sleep("10 seconds")
        assert.deepStrictEqual(cluster.connectivity(), { reached: 6, running: 6 })
      }),
      { nodes: mesh(3), ...idle }
    ))

  it.effect("SIM-03 the same seed twice is the same run, with every kind of fault in it; another seed is another", () =>
    Effect.gen(function*() {
      const run = (seed: number) => {
        const told: Array<string> = []
        const program = Effect.gen(function*() {
          const cluster = yield* SimCluster.SimCluster
          const world = yield* World.World
          for (const name of ["a", "b", "c"]) yield* cluster.start(name)
          yield* Effect.sleep("5 seconds")
          // One after the other and into each other, at times and for times of the seed.
          const draws = world.random("faults")
          const schedule = SimFault.kinds.map((kind, i): SimFault.Timed => ({
            at: 2_500 * i + draws.nextBelowUnsafe(1_000),
            for: 3_000 + draws.nextBelowUnsafe(2_000),
            fault: toAll(instances[kind])
          }))
          // Links that end are dialled again, and stores are written.
          const nobody = cluster.node("nobody").id
          const stir = Effect.gen(function*() {
            yield* Effect.sleep(2_500)
            const { running } = cluster.node(["a", "b", "c"][draws.nextBelowUnsafe(3)]!)
            const [peer] = running?.overlay.peers.authenticated() ?? []
            if (peer !== undefined) running?.overlay.drop(peer.id)
            const b = cluster.node("b").running?.overlay
            if (b?.unban(nobody) === false) b.ban(nobody)
          })
          const stirring = yield* Effect.forkScoped(Effect.forever(stir))
          yield* cluster.play(schedule)
          yield* Fiber.interrupt(stirring)
          yield* cluster.heal
          yield* Effect.sleep("90 seconds")
          assert.deepStrictEqual(cluster.connectivity(), { reached: 3, running: 3 })
          return SimFault.kinds.filter((kind) => !cluster.fired.has(kind))
        })
        const nodes: ReadonlyArray<SimCluster.NodeOptions> = [
          ...["a", "b", "c"].map((name) => ({ name, knows: ["a", "b", "c"].filter((n) => n !== name) })),
          { name: "nobody", isValidator: false }
        ]
        return World.simulate(
          Effect.provide(
            program,
            SimCluster.layerWithNetwork({ nodes }, {
              conditions: { delayMillis: 20 },
              onEvent: (event) => void told.push(JSON.stringify(event))
            })
          ),
          { seed }
        ).pipe(
          Effect.flatMap(({ exit, pending, traceHash }) =>
            Effect.map(exit, (missed) => ({ missed, pending, told: told.join("\n"), traceHash }))
          )
        )
      }
      const [one, again, other] = [yield* run(1), yield* run(1), yield* run(2)]
      assert.deepStrictEqual(again, one)
      assert.notStrictEqual(other.traceHash, one.traceHash)
      // Which ones take effect within one run depends on the seed; in campaigns all do.
      assert.isAtMost(one.missed.length, SimFault.kinds.length / 4, one.missed.join())
      assert.deepStrictEqual(one.pending, { tasks: 0, timers: 0 })
    }))
})
