/** The limits of the host's ledger, as they reach the connections. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { maxTransactionSize } from "../../src/protocol/LedgerContext.ts"
import { Transaction } from "../../src/wire/StellarMessage.ts"
import { transaction } from "../flood/messages.ts"
import { connectAll, inWorld, MemoryHost, startAll, Tap } from "../flood/network.ts"

describe("the size of transactions", () => {
  it("HRD-012 a host's limit is that of Soroban and 2000 bytes, or the classic one when that is greater", () => {
    assert.strictEqual(maxTransactionSize(23, 500_000), 502_000)
    assert.strictEqual(maxTransactionSize(23, 100_000), 102_400)
    assert.strictEqual(maxTransactionSize(19, 500_000), 102_400)
    assert.strictEqual(maxTransactionSize(23, 0xffffffff), 0xffffffff)
  })

  it.effect("HRD-012 a node that is behind has the smaller limit until it applies the ledger with the upgrade", () => {
    const tap = new Tap()
    return inWorld(
      1,
      { tap },
      Effect.gen(function*() {
        const upgraded = { maxTransactionSize: maxTransactionSize(23, 500_000) }
        const nodes = yield* startAll(3, (i) => {
          const host = new MemoryHost()
          if (i < 2) host.view = { ...host.view, ...upgraded, ledgerSeq: 5 }
          return { host }
        })
        const [a, b, c] = nodes
        yield* connectAll(nodes, [[0, 1], [1, 2], [2, 0]])
        // Nobody looks into it but for its size: the queues are what is tested.
        const large = new Transaction(new Uint8Array(400_000).fill(8, 3, 4))
        const sends = (from: typeof a, to: typeof a) => from!.overlay.send(to!.id, large)
        assert.deepStrictEqual([sends(a, b), sends(b, a), sends(c, a)], [true, true, false])
        assert.isTrue(c!.overlay.send(a!.id, transaction(1)))
        c!.host.view = { ...c!.host.view, ...upgraded, ledgerSeq: 5 }
        yield* c!.overlay.ledgerChanged
        assert.isTrue(sends(c, a))
      })
    )
  })
})
