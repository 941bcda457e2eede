import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { xdr } from "@stellar/stellar-base"
import { Context, Effect, Layer } from "effect"
import { createHash } from "node:crypto"
import { toHex } from "../../src/internal/bytes.ts"
import { Overlay } from "../../src/Overlay.ts"
import { OverlayHost, unknownLedger } from "../../src/OverlayHost.ts"
import { ScpMessage, Transaction } from "../../src/wire/StellarMessage.ts"

/** A host that takes everything and counts it. */
const collector = () => {
  const scp: Array<string> = []
  const pool = new Map<string, Transaction>()
  const layer = Layer.effect(
    OverlayHost,
    Effect.gen(function*() {
      const idle = Context.get(yield* Layer.build(TestNode.layerIdleHost), OverlayHost)
      return {
        ...idle,
        ledger: () => unknownLedger,
        receiveScp: (messages: ReadonlyArray<ScpMessage>) =>
          Effect.sync(() => messages.map((message) => (scp.push(toHex(message.bytes)), { _tag: "relay" as const }))),
        receiveTransactions: (messages: ReadonlyArray<Transaction>, hashes: ReadonlyArray<Uint8Array>) =>
          Effect.sync(() =>
            messages.map((message, i) => {
              const hash = toHex(hashes[i]!)
              if (pool.has(hash)) return "duplicate" as const
              pool.set(hash, message.retain())
              return "pending" as const
            })
          ),
        transactionStatus: (hash: Uint8Array) => pool.has(toHex(hash)) ? "known" as const : "unknown" as const,
        transaction: (hash: Uint8Array) => pool.get(toHex(hash))
      }
    })
  )
  return { scp, pool, layer: Layer.orDie(layer as Layer.Layer<OverlayHost>) }
}

const scpMessage = (slot: number) =>
  ScpMessage.make({
    envelope: new xdr.ScpEnvelope({
      statement: new xdr.ScpStatement({
        nodeId: xdr.PublicKey.publicKeyTypeEd25519(Buffer.alloc(32, 3)),
        slotIndex: xdr.Uint64.fromString(String(slot)),
        pledges: xdr.ScpStatementPledges.scpStNominate(
          new xdr.ScpNomination({ quorumSetHash: Buffer.alloc(32, 1), votes: [], accepted: [] })
        )
      }),
      signature: Buffer.alloc(64, 4)
    })
  })

const transaction = (n: number) =>
  Transaction.make({
    envelope: xdr.TransactionEnvelope.envelopeTypeTx(
      new xdr.TransactionV1Envelope({
        tx: new xdr.Transaction({
          sourceAccount: xdr.MuxedAccount.keyTypeEd25519(Buffer.alloc(32, 9)),
          fee: 100,
          seqNum: xdr.Int64.fromString(String(n)),
          cond: xdr.Preconditions.precondNone(),
          memo: xdr.Memo.memoNone(),
          operations: [],
          ext: new xdr.TransactionExt(0)
        }),
        signatures: []
      })
    )
  })

describe("Flood", () => {
  it.effect("FLD-03 PUL-001 DEM-04 every message reaches every node once, transactions are pulled", () =>
    World.run(
      Effect.gen(function*() {
        const hosts = Array.from({ length: 6 }, collector)
        const overlays: Array<Overlay["Service"]> = []
        for (const [i, host] of hosts.entries()) {
          const config = { knownPeers: i === 0 ? [] : ["10.1.0.1:11625"], listenHost: `10.${i + 1}.0.1` }
          const node = yield* TestNode.start({ name: `n${i}`, ip: `10.${i + 1}.0.1`, config, host: host.layer })
          overlays.push(Context.get(node, Overlay))
        }
        yield* Effect.sleep("60 seconds")
        for (let n = 1; n <= 20; n++) {
          overlays[n % 6]!.broadcast(scpMessage(n))
          const tx = transaction(n)
          const origin = hosts[n % 6]!
          const hash = toHex(new Uint8Array(createHash("sha256").update(tx.envelope).digest()))
          origin.pool.set(hash, tx)
          overlays[n % 6]!.broadcast(tx)
        }
        yield* Effect.sleep("3 seconds")
        for (const [i, host] of hosts.entries()) {
          const own = Array.from({ length: 20 }, (_, k) => k + 1).filter((n) => n % 6 === i).length
          // Copies reach the host too (FLD-08): each of the other nodes sends each message at most once.
          assert.strictEqual(new Set(host.scp).size, 20 - own)
          assert.isAtMost(host.scp.length, 5 * (20 - own))
          assert.strictEqual(host.pool.size, 20)
        }
      }).pipe(Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 20 }))),
      { seed: 5 }
    ))
})
