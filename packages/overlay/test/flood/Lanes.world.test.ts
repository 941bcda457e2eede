/** What a flood of transactions may do to SCP messages, and what a node that is out of sync does with both. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Stream } from "effect"
import { toHex } from "../../src/internal/bytes.ts"
import { FloodAdvert, FloodDemand, GetTxSet, type StellarMessage } from "../../src/wire/StellarMessage.ts"
import { hexOfAny, manyTransactions, scpMessage, unknown } from "./messages.ts"
import { connectAll, dropsOf, type Edge, inWorld, MemoryHost, start, startAll, Tap } from "./network.ts"
import { dial, granted, heard } from "./scripted.ts"

const SENDERS = 4
const TRANSACTIONS = 100_000
/** What the host takes for a batch of transactions. */
const BATCH_MILLIS = 5
const LATENCY = 2

describe("SCP under a flood of transactions", () => {
  it.effect("PEE-16 100,000 transactions in flight delay an SCP message by one batch at most, at the consumer", () => {
    return inWorld(
      1,
      { latencyMillis: LATENCY },
      Effect.gen(function*() {
        let taken = 0
        let largest = 0
        const host = new MemoryHost({
          receiveTransactions: (messages) =>
            Effect.suspend(() => {
              taken += messages.length
              largest = Math.max(largest, messages.length)
              return Effect.as(Effect.sleep(BATCH_MILLIS), messages.map(() => "duplicate" as const))
            })
        })
        const nodes = yield* startAll(SENDERS + 1, (i) => (i === 0 ? { host } : {}))
        const [victim, ...senders] = nodes
        yield* connectAll(nodes, senders.map((_, i): Edge => [i + 1, 0]))

        const offeredAt = new Map<string, number>()
        const delays: Array<number> = []
        yield* Effect.forkScoped(
          Stream.runForEach(victim!.overlay.scp, ({ message }) =>
            Effect.map(Clock.currentTimeMillis, (now) => {
              delays.push(now - offeredAt.get(hexOfAny(message))!)
            })),
          { startImmediately: true }
        )
        for (const [i, sender] of senders.entries()) {
          const to = sender.overlay.peers.get(victim!.id)!
          const mine = manyTransactions(TRANSACTIONS / SENDERS, i * TRANSACTIONS)
          yield* Effect.forkScoped(to.sendAll(mine))
        }
        const isOver = () => taken >= 0.95 * TRANSACTIONS
        for (let slot = 1; !isOver(); slot++) {
          yield* Effect.sleep(17)
          const message = scpMessage(slot)
          offeredAt.set(hexOfAny(message), yield* Clock.currentTimeMillis)
          senders[slot % SENDERS]!.overlay.peers.get(victim!.id)!.offer(message)
        }
        yield* Effect.sleep("10 seconds")
        assert.strictEqual(taken, TRANSACTIONS)
        assert.isAtMost(largest, 64)
        assert.isAtLeast(delays.length, 80)
        assert.strictEqual(delays.length, offeredAt.size)
        // All credit is in transactions: one batch is finished, the grant goes there, the message comes here.
        assert.isAtMost(Math.max(...delays), BATCH_MILLIS + 2 * LATENCY)
        assert.deepStrictEqual(nodes.flatMap(dropsOf), [])
      })
    )
  })

  it.effect("PEE-16 a subscriber that never reads transactions stops their link, and SCP arrives on every other", () =>
    inWorld(
      2,
      {},
      Effect.gen(function*() {
        const node = yield* start(0)
        const [full, calm] = [yield* dial(node, 1), yield* dial(node, 2)]
        yield* node.overlay.subscribe({ tags: ["Transaction"], capacity: 10 })
        const scp: Array<string> = []
        yield* Effect.forkScoped(
          Stream.runForEach(node.overlay.scp, ({ message }) => Effect.sync(() => scp.push(hexOfAny(message)))),
          { startImmediately: true }
        )
        const before = granted(full).messages
        yield* full.sayAll(manyTransactions(200)) // all that is granted: there is no credit for anything else
        yield* full.expectOpen(5000)
        assert.strictEqual(granted(full).messages, before)
        const messages = Array.from({ length: 150 }, (_, slot) => scpMessage(slot + 1))
        yield* calm.sayAll(messages)
        yield* calm.expectOpen(1000)
        assert.deepStrictEqual(scp, messages.map(hexOfAny))
        assert.isAbove(granted(calm).messages, 200 + 150 - 40)
        // The link is slow, not dead: whatever costs no credit is answered.
        yield* full.say(GetTxSet.make({ hash: unknown(1) }))
        yield* full.expect("DontHave")
      })
    ))

  it.effect("PEE-16 FET-10 of what is in one chunk, an SCP message waits for nothing that was sent after it", () =>
    Effect.gen(function*() {
      for (let seed = 0; seed < 20; seed++) {
        yield* inWorld(
          seed,
          { capacity: 1_000_000, readLimit: 1_000_000 },
          Effect.gen(function*() {
            const order: Array<string> = []
            const note = (messages: ReadonlyArray<StellarMessage>) => order.push(...messages.map(({ _tag }) => _tag))
            const host = new MemoryHost({
              receiveScp: (messages) =>
                Effect.sync(() => (note(messages), messages.map(() => ({ _tag: "relay" as const })))),
              receiveTransactions: (messages) =>
                Effect.sync(() => (note(messages), messages.map(() => "duplicate" as const)))
            })
            const peer = yield* dial(yield* start(0, { host }))
            yield* peer.sayAll([...manyTransactions(80), scpMessage(seed + 1), ...manyTransactions(119, 80)])
            yield* peer.expectOpen(1000)
            assert.strictEqual(order.length, 200)
            // A turn of reading is 64 frames; of those in the same turn a batch may be handed over first.
            assert.isAtMost(order.indexOf("ScpMessage"), 80 + 64)
          })
        )
      }
    }))
})

describe("a node that is out of sync", () => {
  it.effect("PEE-15 delivers no transactions, adverts and demands to anybody, returns their credit, and takes SCP", () =>
    inWorld(
      4,
      {},
      Effect.gen(function*() {
        const host = new MemoryHost({ transactionStatus: () => "known" })
        host.view = { ...host.view, isSynced: false }
        const node = yield* start(0, { host })
        const seen: Array<string> = []
        yield* Effect.forkScoped(
          Stream.runForEach(node.overlay.messages, ({ message }) => Effect.sync(() => seen.push(message._tag))),
          { startImmediately: true }
        )
        const peer = yield* dial(node)
        seen.length = 0
        let sent = 0
        let size = 0
        for (let round = 0; round < 10; round++) {
          const flood: Array<StellarMessage> = [
            ...manyTransactions(100, 1000 * round),
            ...Array.from({ length: 30 }, (_, n) => FloodAdvert.make({ hashes: [unknown(1000 * round + n)] })),
            ...Array.from({ length: 30 }, (_, n) => FloodDemand.make({ hashes: [unknown(1000 * round + n)] }))
          ]
          yield* peer.sayAll(flood)
          sent += flood.length
          for (const message of flood) size += message.size
          yield* peer.expectOpen(500)
        }
        assert.strictEqual(sent, 1600)
        // 40 batches of 40: not a message and not a byte is kept.
        assert.deepStrictEqual(granted(peer), { messages: 200 + 1600, bytes: 300_000 + size })
        assert.deepStrictEqual([host.transactionsReceived, seen], [0, []])
        assert.isFalse(heard(peer).some(({ _tag }) => _tag === "FloodDemand" || _tag === "Transaction"))
        yield* peer.say(scpMessage(1))
        yield* peer.expectOpen(500)
        assert.deepStrictEqual(host.scp, [hexOfAny(scpMessage(1))])
        assert.deepStrictEqual(seen, ["ScpMessage"])

        // In sync again, what comes is taken again.
        host.view = { ...host.view, isSynced: true }
        yield* node.overlay.ledgerChanged
        yield* peer.sayAll(manyTransactions(10))
        yield* peer.say(FloodAdvert.make({ hashes: [unknown(7)] }))
        yield* peer.expectOpen(500)
        assert.strictEqual(host.transactionsReceived, 10)
        assert.deepStrictEqual(dropsOf(node), [])
      })
    ))

  it.effect("PEE-15 from the moment the host says so, whatever was told to the connections before", () =>
    inWorld(
      6,
      {},
      Effect.gen(function*() {
        const host = new MemoryHost()
        const peer = yield* dial(yield* start(0, { host }))
        host.view = { ...host.view, isSynced: false } // the next tick is to come
        yield* peer.sayAll([...manyTransactions(80), scpMessage(1)])
        yield* peer.expectOpen(1000)
        assert.deepStrictEqual([host.transactionsReceived, host.scp.length], [0, 1])
        assert.isAbove(granted(peer).messages, 200 + 81 - 40)
      })
    ))

  it.effect("PEE-15 demands nothing that was advertised before", () => {
    const tap = new Tap()
    return inWorld(
      5,
      { tap },
      Effect.gen(function*() {
        const host = new MemoryHost()
        const node = yield* start(0, { host })
        const peer = yield* dial(node)
        yield* peer.say(FloodAdvert.make({ hashes: [unknown(1)] }))
        yield* peer.expectOpen(10)
        host.view = { ...host.view, isSynced: false }
        yield* node.overlay.ledgerChanged
        yield* peer.expectOpen(5000)
        assert.strictEqual(tap.of("FloodDemand").length, 0)
        host.view = { ...host.view, isSynced: true }
        yield* node.overlay.ledgerChanged
        yield* peer.expectOpen(500)
        assert.deepStrictEqual(tap.of("FloodDemand").map(({ hashes }) => hashes.map(toHex)), [[toHex(unknown(1))]])
      })
    )
  })
})
