/** Attacks on flooding, as a whole node meets them. Where a machine alone decides, its own tests have the numbers. */
import { assert, describe, it } from "@effect/vitest"
import type * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import { Effect } from "effect"
import { writeUint32 } from "../../src/internal/bytes.ts"
import { MessageType } from "../../src/wire/MessageType.ts"
import { FloodAdvert, FloodDemand, type StellarMessage } from "../../src/wire/StellarMessage.ts"
import { hashOf, hexOf, hexOfAny, manyTransactions, scpMessage, transaction, unknown } from "./messages.ts"
import {
  connectAll,
  copies,
  dropsOf,
  fullGraph,
  hashesIn,
  inWorld,
  MemoryHost,
  start,
  startAll,
  Tap
} from "./network.ts"
import { dial, grant, granted } from "./scripted.ts"

/** Says all of it, as fast as the node grants credit. */
const flood = Effect.fnUntraced(function*(peer: ScriptedPeer.ScriptedPeer, messages: ReadonlyArray<StellarMessage>) {
  let count = 0
  let bytes = 0
  for (const message of messages) {
    while (count + 1 > granted(peer).messages || bytes + message.size > granted(peer).bytes) yield* peer.expectOpen(10)
    yield* peer.say(message)
    count++
    bytes += message.size
  }
})

const randomAdverts = (count: number, size: number) =>
  Array.from(
    { length: count },
    (_, n) => FloodAdvert.make({ hashes: Array.from({ length: size }, (_, i) => unknown(size * n + i)) })
  )

describe("adverts and demands", () => {
  it.effect("A1 DEM-01 among 60,000 random hashes an honest advert is demanded in the next runs, and memory is bounded", () => {
    const tap = new Tap()
    return inWorld(
      1,
      { tap },
      Effect.gen(function*() {
        const node = yield* start(0)
        const [attacker, honest] = [yield* dial(node, 1), yield* dial(node, 2)]
        const attack = yield* Effect.forkScoped(flood(attacker, randomAdverts(60, 1000)))
        const before = honest.script.now.millis
        for (let n = 1; n <= 10; n++) {
          yield* honest.say(FloodAdvert.make({ hashes: [hashOf(transaction(n))] }))
          yield* honest.expect("FloodDemand", 400)
          yield* honest.say(transaction(n))
        }
        while (attack.pollUnsafe() === undefined) yield* honest.expectOpen(100)
        yield* honest.expectOpen(1000)
        assert.strictEqual(node.host.pool.size, 10)
        // A run asks a peer for 80 at most: what 1000 operations, twice, are in 200 ms of 5 s.
        const runs = Math.ceil((honest.script.now.millis - before) / 200) + 1
        const demands = attacker.script.messages("FloodDemand")
        assert.isTrue(demands.every(({ count }) => count <= 80))
        assert.isAtMost(hashesIn(demands).length, runs * 80)
        assert.isAtMost(node.flood.demands.size, runs * 80)
        assert.deepStrictEqual(dropsOf(node), [])
      })
    )
  })

  it.effect("A2 an advert or demand of 1001 hashes is corrupt, an empty one is nothing", () =>
    inWorld(
      2,
      {},
      Effect.gen(function*() {
        const node = yield* start(0)
        for (const [n, type] of [MessageType.FloodAdvert, MessageType.FloodDemand].entries()) {
          const peer = yield* dial(node, n)
          const bytes = new Uint8Array(8 + 1001 * 32)
          writeUint32(bytes, 0, type)
          yield* peer.say(bytes.slice(0, 8))
          yield* peer.expectOpen(1000)
          writeUint32(bytes, 4, 1001)
          yield* peer.say(bytes)
          yield* peer.expectError(1, "received corrupt XDR")
        }
        assert.deepStrictEqual(dropsOf(node), ["CorruptXdr", "CorruptXdr"])
      })
    ))

  it.effect("A4 demands for 100,000 unknown hashes are counted, cost their credit, and are not answered", () => {
    const tap = new Tap()
    return inWorld(
      3,
      { tap },
      Effect.gen(function*() {
        const node = yield* start(0)
        const peer = yield* dial(node)
        tap.clear()
        const demand = FloodDemand.make({ hashes: Array.from({ length: 1000 }, (_, n) => unknown(n)) })
        yield* flood(peer, Array.from({ length: 100 }, () => demand))
        yield* peer.expectOpen(1000)
        const said = tap.sent.filter(({ from, message }) => from === node.ip && message._tag !== "GetScpQuorumSet")
        assert.deepStrictEqual([...new Set(said.map(({ message }) => message._tag))], ["SendMoreExtended"])
      })
    )
  })

  it.effect("A5 one transaction demanded 1000 times in a minute is sent once, and once more after it", () =>
    inWorld(
      4,
      {},
      Effect.gen(function*() {
        const node = yield* start(0)
        const peer = yield* dial(node)
        node.submit(transaction(1))
        const demand = FloodDemand.make({ hashes: Array.from({ length: 10 }, () => hashOf(transaction(1))) })
        const sent = () => peer.script.messages("Transaction").length
        yield* flood(peer, Array.from({ length: 100 }, () => demand))
        yield* peer.expectOpen(1000)
        assert.strictEqual(sent(), 1)
        yield* peer.expectOpen(60_000)
        yield* peer.say(demand)
        yield* peer.expectOpen(1000)
        assert.strictEqual(sent(), 2)
      })
    ))
})

describe("floods", () => {
  it.effect("A6 PEE-12 unsolicited transactions, many times over: each node has each once, and then it is quiet", () => {
    const tap = new Tap()
    return inWorld(
      5,
      { tap, latencyMillis: 5 },
      Effect.gen(function*() {
        const nodes = yield* startAll(4)
        yield* connectAll(nodes, fullGraph(4))
        const attackers = [yield* dial(nodes[0]!, 1), yield* dial(nodes[1]!, 2)]
        const pushed = [...manyTransactions(20)]
        const attack = attackers.map((peer) => flood(peer, Array.from({ length: 25 }, () => pushed).flat()))
        yield* Effect.all(attack, { concurrency: "unbounded" })
        yield* Effect.sleep("5 seconds")
        for (const { host } of nodes) assert.strictEqual(host.pool.size, 20)
        const between = tap.sent.filter(({ from, to }) =>
          nodes.some(({ ip }) => ip === from) && nodes.some(({ ip }) => ip === to)
        )
        const count = (tag: StellarMessage["_tag"]) => between.filter(({ message }) => message._tag === tag).length
        // Two got them from outside, the two others from a peer; and nobody advertises one to anybody twice.
        assert.isAtMost(count("Transaction"), 3 * 20)
        assert.isTrue([...copies(between, "Transaction").values()].every((times) => times === 1))
        const advertised = between.flatMap(({ from, message, to }) =>
          message._tag === "FloodAdvert" ? hashesIn([message]).map((hash) => `${from} ${to} ${hash}`) : []
        )
        assert.strictEqual(new Set(advertised).size, advertised.length)
        assert.deepStrictEqual(nodes.flatMap(dropsOf), [])
        tap.clear()
        yield* Effect.sleep("1 minute")
        const rest = new Set(tap.sent.map(({ message }) => message._tag))
        for (const tag of ["Transaction", "FloodAdvert", "FloodDemand"] as const) assert.isFalse(rest.has(tag), tag)
      })
    )
  })

  it.effect("A7 in a ledger that stands still, records stay at their bound, and what is new is still relayed", () =>
    inWorld(
      6,
      {},
      Effect.gen(function*() {
        const node = yield* start(0, { config: { maxFloodRecords: 1000 } })
        const [attacker, listener] = [yield* dial(node, 1), yield* dial(node, 2, { grants: false })]
        yield* grant(listener, 10_000, 10_000_000)
        yield* flood(attacker, Array.from({ length: 5000 }, (_, n) => scpMessage(1, n)))
        yield* listener.expectOpen(1000)
        assert.strictEqual(node.flood.gate.size, 1000)
        assert.strictEqual(node.flood.gate.evicted, 4000)
        assert.strictEqual(new Set(listener.script.messages("ScpMessage").map(hexOfAny)).size, 5000)
        assert.strictEqual(listener.script.messages("ScpMessage").length, 5000)
      })
    ))

  it.effect("A9 FLD-09 eight peers that say the same fifty messages at once cost the work of one", () => {
    const tap = new Tap()
    return inWorld(
      7,
      { tap },
      Effect.gen(function*() {
        const received = new Map<string, number>()
        const host = new MemoryHost({
          receiveScp: (messages) =>
            Effect.suspend(() => {
              for (const message of messages) {
                const key = hexOfAny(message)
                received.set(key, (received.get(key) ?? 0) + 1)
              }
              return Effect.as(Effect.sleep(50), messages.map(() => ({ _tag: "relay" as const })))
            })
        })
        const node = yield* start(0, { host })
        const peers = yield* Effect.forEach(Array.from({ length: 8 }, (_, n) => n), (n) => dial(node, n))
        const quiet = yield* dial(node, 9)
        const storm = Array.from({ length: 50 }, (_, slot) => scpMessage(slot + 1))
        yield* Effect.forEach(peers, (peer) => peer.sayAll(storm), { concurrency: "unbounded" })
        yield* quiet.expectOpen(1000)
        assert.deepStrictEqual([...received.values()], storm.map(() => 1))
        assert.strictEqual(node.flood.stats.alreadyScheduled, 7 * 50)
        assert.strictEqual(node.flood.records.uniqueFloodMessages, 50)
        assert.strictEqual(node.flood.records.duplicateFloodMessages, 7 * 50)
        // Only the one that said nothing is told anything.
        const told = tap.sent.filter(({ from, message }) => from === node.ip && message._tag === "ScpMessage")
        assert.deepStrictEqual([...new Set(told.map(({ to }) => to))], ["10.209.0.1"])
        assert.strictEqual(told.length, 50)
      })
    )
  })

  it.effect("A9 FLD-07 with a limit on flooded messages, what is beyond it is dropped, its credit returned, and SCP exempt", () =>
    inWorld(
      8,
      {},
      Effect.gen(function*() {
        const node = yield* start(0, { config: { maxFloodMessagesPerSecond: 50 } })
        const peer = yield* dial(node)
        const before = granted(peer).messages
        yield* peer.sayAll([...manyTransactions(180), ...Array.from({ length: 20 }, (_, slot) => scpMessage(slot + 1))])
        yield* peer.expectOpen(1000)
        assert.deepStrictEqual([node.host.pool.size, node.host.scp.length], [100, 20]) // two seconds' worth at once
        assert.isAbove(granted(peer).messages, before + 200 - 40)
        assert.isFalse(node.host.pool.has(hexOf([...manyTransactions(1, 179)][0]!)))
      })
    ))
})
