/** The toy ledger as the host of whole nodes: everything travels by the overlay's own flooding and fetching. */
import { assert, describe, it } from "@effect/vitest"
import { Flood } from "@stellar-overlay/overlay/Flood"
import { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import { xdr } from "@stellar/stellar-base"
import { Context, Effect, Layer, Stream } from "effect"
import { hex } from "../src/internal/hex.ts"
import * as LoopbackTransport from "../src/LoopbackTransport.ts"
import * as TestCrypto from "../src/TestCrypto.ts"
import * as TestNode from "../src/TestNode.ts"
import * as ToyLedger from "../src/ToyLedger.ts"
import * as World from "../src/World.ts"

const { primitives: crypto } = TestCrypto.make("toy world")
const networkId = crypto.sha256(new TextEncoder().encode("toy network"))

const identity = (name: string) => {
  const seed = crypto.sha256(new TextEncoder().encode(name))
  const publicKey = crypto.ed25519PublicKey(seed)
  return { nodeId: NodeId.fromBytes(publicKey), publicKey, sign: (m: Uint8Array) => crypto.ed25519Sign(seed, m) }
}

const transaction = (n: number): Transaction =>
  Transaction.make({
    envelope: xdr.TransactionEnvelope.envelopeTypeTx(
      new xdr.TransactionV1Envelope({
        tx: new xdr.Transaction({
          sourceAccount: xdr.MuxedAccount.keyTypeEd25519(Buffer.alloc(32, 9)),
          fee: 100,
          seqNum: new xdr.Int64(String(n)),
          cond: xdr.Preconditions.precondNone(),
          memo: xdr.Memo.memoNone(),
          operations: [],
          ext: new xdr.TransactionExt(0)
        }),
        signatures: []
      })
    )
  })

const identities = Array.from({ length: 5 }, (_, i) => identity(`validator ${i}`))

/** One of so many validators; each but the first knows the first. */
const launch = Effect.fnUntraced(function*(i: number, count: number) {
  const validators = identities.slice(0, count).map(({ nodeId }) => nodeId)
  const toy = yield* ToyLedger.make({ identity: identities[i]!, networkId, crypto, validators })
  const ip = `10.${i + 1}.0.1`
  const node = yield* TestNode.launch({
    name: `n${i}`,
    ip,
    config: { knownPeers: i === 0 ? [] : ["10.1.0.1:11625"], listenHost: ip },
    host: Layer.succeed(OverlayHost, toy.host)
  })
  toy.attach(node.overlay.broadcast, Context.get(node.services, Flood).enqueue)
  yield* Effect.forkScoped(Stream.runForEach(toy.ledgerClosed, () => node.overlay.ledgerChanged))
  return { toy, node }
})

const five = () => Effect.forEach(identities, (_, i) => launch(i, 5))

describe("a toy ledger over the overlay", () => {
  it.effect("CFG-09 PEE-11 PEE-12 five nodes close in step, with every transaction, which is pulled about once", () =>
    World.run(
      Effect.gen(function*() {
        const nodes = yield* five()
        yield* Effect.sleep("30 seconds") // to find each other
        const from = Math.max(...nodes.map(({ toy }) => toy.stats().ledgerSeq))
        const sent = new Set<string>()
        for (let i = 0; i < 600; i++) {
          const message = transaction(i + 1)
          sent.add(hex(crypto.sha256(message.envelope)))
          assert.strictEqual(nodes[i % 5]!.toy.submit(message), "pending")
          yield* Effect.sleep(25)
        }
        yield* Effect.sleep("4 seconds")
        const chain = new Map<number, string>()
        for (const { toy } of nodes) {
          const ledgers = toy.ledgers().filter(({ ledgerSeq }) => ledgerSeq > from)
          assert.isAtLeast(ledgers.length, 18)
          for (const { hash, ledgerSeq } of ledgers) {
            assert.strictEqual(hex(hash), chain.get(ledgerSeq) ?? hex(hash), `ledger ${ledgerSeq}`)
            chain.set(ledgerSeq, hex(hash))
          }
          const applied = ledgers.flatMap(({ transactions }) => transactions.map(hex))
          assert.strictEqual(applied.length, 600)
          assert.deepStrictEqual(new Set(applied), sent)
          assert.deepInclude(toy.stats(), { pending: 0, diverged: 0, badSignatures: 0, isSynced: true })
        }
        // Four nodes pull each, but for the few that a ledger brought before their turn came.
        const pulls = nodes.reduce((sum, { node }) => sum + Context.get(node.services, Flood).stats.pulls, 0)
        assert.isAtMost(pulls, 4 * 600)
        assert.isAtLeast(pulls, 0.9 * 4 * 600)
      }).pipe(Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 20 }))),
      { seed: 1, maxSteps: 20_000_000 }
    ))

  it.effect("HRD-014 PEE-13 a node that lost all its connections catches up by SCP state and fetched sets", () =>
    World.run(
      Effect.gen(function*() {
        const nodes = yield* five()
        yield* Effect.sleep("30 seconds")
        const { node, toy } = nodes[4]!
        const before = toy.stats().ledgerSeq
        for (const peer of node.overlay.peers.authenticated()) node.overlay.ban(peer.id)
        for (let i = 0; i < 50; i++) {
          nodes[i % 4]!.toy.submit(transaction(i + 1))
          yield* Effect.sleep(100)
        }
        assert.isAtMost(toy.stats().ledgerSeq, before + 1)
        for (const other of nodes.slice(0, 4)) node.overlay.unban(other.node.overlay.local.handshake.id)
        node.overlay.peers.dial(nodes[0]!.node.address, { force: true })
        yield* Effect.sleep("5 seconds")
        const chain = new Map(nodes[0]!.toy.ledgers().map(({ hash, ledgerSeq }) => [ledgerSeq, hex(hash)]))
        const own = toy.ledgers()
        assert.isAtMost(nodes[0]!.toy.stats().ledgerSeq - toy.stats().ledgerSeq, 1)
        for (const { hash, ledgerSeq } of own) assert.strictEqual(hex(hash), chain.get(ledgerSeq) ?? hex(hash))
        assert.deepInclude(toy.stats(), { jumps: 0, diverged: 0, transactionsApplied: 50 })
      }).pipe(Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 20 }))),
      { seed: 2, maxSteps: 20_000_000 }
    ))

  it.effect("HRD-047 a validator that comes late, when the others have lost sync, completes the quorum", () =>
    World.run(
      Effect.gen(function*() {
        // Three of four are needed, and the fourth never comes.
        const early = [yield* launch(0, 4), yield* launch(1, 4)]
        yield* Effect.sleep("40 seconds")
        for (const { toy } of early) {
          assert.deepInclude(toy.stats(), { ledgerSeq: 1, ledgersClosed: 0 })
          assert.isFalse(toy.host.ledger().isTracking)
        }
        const late = yield* launch(2, 4)
        yield* Effect.sleep("16 seconds") // to be found, and ten close times
        for (const { toy } of [...early, late]) {
          assert.isAtLeast(toy.stats().ledgerSeq, 4)
          assert.isTrue(toy.host.ledger().isTracking)
        }
      }).pipe(Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 20 }))),
      { seed: 3, maxSteps: 20_000_000 }
    ))
})
