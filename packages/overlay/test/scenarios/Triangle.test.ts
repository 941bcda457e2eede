/** Three nodes in a triangle that flood transactions by advert, demand and transaction, with the least credit there is. */
import { assert, it } from "@effect/vitest"
import * as SessionPair from "@stellar-overlay/overlay-test/SessionPair"
import { createHash } from "node:crypto"
import { makeLedgerContext } from "../../src/protocol/LedgerContext.ts"
import { FloodAdvert, FloodDemand, type StellarMessage, type Transaction } from "../../src/wire/StellarMessage.ts"
import { transaction } from "./fixtures.ts"

/** One end of one edge, of the node it belongs to. */
interface Port {
  readonly end: SessionPair.End
  readonly pair: SessionPair.SessionPair
  taken: number
}

/** What a node does with transactions: no more than is needed for all to have all. */
class Node {
  readonly ports: Array<Port> = []
  readonly known = new Map<string, Transaction>()
  readonly demanded = new Set<string>()
  unanswered = 0

  add(message: Transaction): void {
    const hash = createHash("sha256").update(message.bytes.subarray(4)).digest()
    const key = hash.toString("hex")
    if (this.known.has(key)) return
    this.known.set(key, message)
    for (const { end, pair } of this.ports) end.session.send(FloodAdvert.make({ hashes: [hash] }), pair.now)
  }

  /** Handles what the consumers of its connections got since the last time. */
  step(): boolean {
    let moved = false
    for (const port of this.ports) {
      for (; port.taken < port.end.received.length; port.taken++, moved = true) {
        this.receive(port, port.end.received[port.taken]!)
      }
    }
    return moved
  }

  private receive({ end, pair }: Port, message: StellarMessage): void {
    const send = (reply: StellarMessage) => assert.isTrue(end.session.send(reply, pair.now))
    if (message._tag === "Transaction") this.add(message)
    if (message._tag === "FloodAdvert") {
      for (const hash of message.hashes) {
        const key = Buffer.from(hash).toString("hex")
        if (this.known.has(key) || this.demanded.has(key)) continue
        this.demanded.add(key)
        send(FloodDemand.make({ hashes: [hash.slice()] }))
      }
    }
    if (message._tag === "FloodDemand") {
      for (const hash of message.hashes) {
        const held = this.known.get(Buffer.from(hash).toString("hex"))
        if (held === undefined) this.unanswered++
        else send(held)
      }
    }
  }
}

it("FLC-039 capacities 1/1/1, three nodes, 200 transactions: everybody has all of them, no demand stays open", () => {
  const maximum = 10_000
  const options: SessionPair.EndOptions = {
    ledger: makeLedgerContext({ trackingIndex: 1, maxTxSetSize: 1000, maxTransactionSize: maximum }),
    session: {
      flow: {
        readingCapacity: 1,
        floodReadingCapacity: 1,
        sendMoreBatchSize: 1,
        floodReadingCapacityBytes: 12_100,
        sendMoreBatchSizeBytes: 100,
        totalReadingCapacityBytes: 1_048_576,
        maxTransactionSize: maximum
      }
    }
  }
  const nodes = [new Node(), new Node(), new Node()] as const
  const pairs = [[0, 1], [1, 2], [2, 0]].map(([a, b]) => {
    const pair = SessionPair.make({
      initiator: { ...options, seed: new Uint8Array(32).fill(a! + 1) },
      acceptor: { ...options, seed: new Uint8Array(32).fill(b! + 1) }
    }).connect()
    nodes[a!]!.ports.push({ end: pair.initiator, pair, taken: 0 })
    nodes[b!]!.ports.push({ end: pair.acceptor, pair, taken: 0 })
    return pair
  })
  const settle = () => {
    for (let round = 0;; round++) {
      for (const pair of pairs) pair.settle()
      if (!nodes.map((node) => node.step()).includes(true)) return
      assert.isBelow(round, 10_000, "the network does not come to rest")
    }
  }
  // Upstream's 20 per second, from all nodes in turn; sizes up to the classic maximum of 5900.
  for (let i = 0; i < 200; i++) {
    nodes[i % 3]!.add(transaction(400 + 4 * (i * 71 % 1350), i))
    if (i % 20 === 19) {
      settle()
      for (const pair of pairs) pair.advance(1000)
    }
  }
  settle()
  assert.deepStrictEqual(nodes.map(({ known }) => known.size), [200, 200, 200])
  for (const { demanded, known, unanswered } of nodes) {
    assert.strictEqual(unanswered, 0)
    for (const key of demanded) assert.isTrue(known.has(key))
  }
  for (const pair of pairs) {
    assert.deepStrictEqual(pair.ends.map(({ dropped }) => dropped), [undefined, undefined])
    for (const { session } of pair.ends) assert.strictEqual(session.queues.droppedTransactions, 0)
  }
})
