/** Flood rounds of whole nodes: what others hear of a node's pending transactions, when, and how often. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { toHex } from "../../src/internal/bytes.ts"
import type { TransactionBid } from "../../src/protocol/TransactionBid.ts"
import type { Transaction } from "../../src/wire/StellarMessage.ts"
import { hashOf, hexOf, transaction } from "./messages.ts"
import { connectAll, hashesIn, inWorld, MemoryHost, type Node, start, startAll, Tap } from "./network.ts"

/** Takes a transaction as a host does that has its own: it is pending, and has its turn. */
const submit = (node: Node, message: Transaction): void => {
  node.host.add(message)
  node.flood.enqueue(message)
}

const bidding = (bids: ReadonlyMap<string, TransactionBid>) =>
  new MemoryHost({ transactionBid: (_, hash) => bids.get(toHex(hash))! })

const closeLedger = (node: Node) => {
  const { ledgerSeq } = node.host.view
  node.host.view = { ...node.host.view, ledgerSeq: ledgerSeq + 1, trackingIndex: ledgerSeq + 1 }
  return node.overlay.ledgerChanged
}

describe("flood rounds", () => {
  it.effect("ADV-05 a pending transaction is advertised 200 to 300 ms later; what is broadcast, 100 ms later", () => {
    const tap = new Tap()
    return inWorld(
      1,
      { tap },
      Effect.gen(function*() {
        const nodes = yield* startAll(2)
        const [a] = nodes as [Node, Node]
        yield* connectAll(nodes, [[0, 1]])
        const adverts = () => hashesIn(tap.of("FloodAdvert", { from: a }))
        submit(a, transaction(1))
        yield* Effect.sleep(100)
        submit(a, transaction(2)) // its turn comes with the first one's
        yield* Effect.sleep(199)
        assert.deepStrictEqual(adverts(), [])
        yield* Effect.sleep(2)
        assert.deepStrictEqual(adverts(), [1, 2].map((n) => hexOf(transaction(n))))
        a.submit(transaction(3))
        yield* Effect.sleep(99)
        assert.strictEqual(adverts().length, 2)
        yield* Effect.sleep(2)
        assert.deepStrictEqual(adverts()[2], hexOf(transaction(3)))
      })
    )
  })

  it.effect("HRD-021 40 operations a round, best fee first, and a node passes on in its rounds what it was sent", () => {
    const tap = new Tap()
    const messages = Array.from({ length: 100 }, (_, n) => transaction(n + 1))
    const bids = new Map(
      messages.map((message, n): [string, TransactionBid] => [
        hexOf(message),
        { lane: "classic", fee: 100 + n, operations: 1 }
      ])
    )
    return inWorld(
      2,
      { tap },
      Effect.gen(function*() {
        const nodes = yield* startAll(3, () => ({ host: bidding(bids) }))
        yield* connectAll(nodes, [[0, 1], [1, 2]])
        const began = yield* Clock.currentTimeMillis
        for (const message of messages) submit(nodes[0]!, message)
        yield* Effect.sleep("5 seconds")
        // 1000 operations in 5 s are 40 in 200 ms, and what is not used once is carried over.
        const best = messages.map(hexOf).toReversed()
        assert.deepStrictEqual(hashesIn(tap.of("FloodAdvert", { from: nodes[0]! })), best)
        const { pendingAt, pool } = nodes[2]!.host
        assert.strictEqual(pool.size, 100)
        const at = best.map((hash) => pendingAt.get(hash)! - began)
        assert.isAtLeast(at[0]!, 200 + 200)
        // Two rounds later at the first, and again at the second; each pull takes 300 ms at the most.
        assert.isAtLeast(at[80]! - at[0]!, 400 - 300)
        assert.isAtMost(Math.max(...at), 600 + 300 + 600 + 300)
        assert.strictEqual(tap.of("Transaction").length, 200)
      })
    )
  })

  it.effect("HRD-018 a transaction that is applied or has become invalid before its round is not advertised", () => {
    const tap = new Tap()
    return inWorld(
      3,
      { tap },
      Effect.gen(function*() {
        const nodes = yield* startAll(2, () => ({ config: { floodTxPeriodMillis: 1 } }))
        const [a] = nodes as [Node, Node]
        yield* connectAll(nodes, [[0, 1]])
        const [tx1a, tx1r, tx2r] = [transaction(1), transaction(2), transaction(3)]
        for (const tx of [tx1a, tx1r, tx2r]) submit(a, tx)
        for (const tx of [tx1r, tx2r]) a.host.pool.delete(hexOf(tx))
        yield* closeLedger(a)
        yield* Effect.sleep("5 seconds")
        assert.deepStrictEqual(hashesIn(tap.of("FloodAdvert", { from: a })), [hexOf(tx1a)])
        assert.deepStrictEqual([...a.host.pool.keys()], [hexOf(tx1a)])
      })
    )
  })

  it.effect("ADV-05 PEE-15 out of sync nothing is advertised, as demands are ignored; what is pending then is heard of after", () => {
    const tap = new Tap()
    return inWorld(
      5,
      { tap },
      Effect.gen(function*() {
        const nodes = yield* startAll(2)
        const [a, b] = nodes as [Node, Node]
        yield* connectAll(nodes, [[0, 1]])
        submit(a, transaction(1)) // its round would come while the node is out of sync
        a.host.view = { ...a.host.view, isSynced: false }
        submit(a, transaction(2))
        a.submit(transaction(3))
        yield* Effect.sleep("10 seconds")
        assert.deepStrictEqual(hashesIn(tap.of("FloodAdvert", { from: a })), [])
        a.host.view = { ...a.host.view, isSynced: true }
        yield* closeLedger(a)
        yield* Effect.sleep("1 second")
        assert.strictEqual(hashesIn(tap.of("FloodAdvert", { from: a })).length, 3, "each once")
        assert.strictEqual(b.host.pool.size, 3, "and had when it was asked for")
      })
    )
  })

  it.effect("FLD-004 after a ledger what is still pending goes to who came meanwhile, and to nobody twice", () => {
    const tap = new Tap()
    return inWorld(
      4,
      { tap },
      Effect.gen(function*() {
        const nodes = yield* startAll(2)
        const [a, b] = nodes as [Node, Node]
        yield* connectAll(nodes, [[0, 1]])
        const pending = Array.from({ length: 30 }, (_, n) => transaction(n + 1))
        for (const message of pending.slice(0, 20)) submit(a, message)
        for (const message of pending.slice(20)) a.submit(message)
        yield* Effect.sleep("2 seconds")
        for (let n = 0; n < 3; n++) {
          yield* closeLedger(a)
          yield* Effect.sleep("2 seconds")
        }
        assert.strictEqual(hashesIn(tap.of("FloodAdvert", { from: a })).length, 30)

        const late = yield* start(2)
        yield* late.overlay.connect(a.address)
        yield* Effect.sleep("2 seconds")
        assert.strictEqual(hashesIn(tap.of("FloodAdvert", { from: a, to: late })).length, 0)
        // Five of them are in the next ledger.
        for (const message of pending.slice(0, 5)) a.host.pool.delete(hexOf(message))
        yield* closeLedger(a)
        yield* Effect.sleep("3 seconds")
        const told = hashesIn(tap.of("FloodAdvert", { from: a, to: late })).sort()
        assert.deepStrictEqual(told, pending.slice(5).map((message) => toHex(hashOf(message))).sort())
        assert.strictEqual(late.host.pool.size, 25)
        assert.strictEqual(hashesIn(tap.of("FloodAdvert", { from: a, to: b })).length, 30)
        assert.strictEqual(a.flood.rounds.size, 25)
      })
    )
  })
})
