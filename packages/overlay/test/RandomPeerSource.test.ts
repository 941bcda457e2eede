import { assert, describe, it } from "@effect/vitest"
import { core, defaults } from "@stellar-overlay/overlay/PeerManagerConfig"
import { PeerType } from "@stellar-overlay/overlay/PeerStore"
import { maxFailures, nextAttemptCutoff, select, sendQueries } from "@stellar-overlay/overlay/protocol/PeerSelection"
import * as RandomPeerSource from "@stellar-overlay/overlay/RandomPeerSource"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect } from "effect"
import { addressOf, keys, local, open, record } from "./peerFixtures.ts"

const rows = (count: number) => Array.from({ length: count }, (_, i) => record({ address: addressOf(i) }))

/** A source over fixed rows, and the sizes it asked for. */
const fixed = (count: number) => {
  const asked: Array<number> = []
  const source = RandomPeerSource.make((size) => {
    asked.push(size)
    return rows(count)
  })
  return { asked, source }
}

describe("RandomPeerSource", () => {
  it("PMG-08 it asks for a thousand rows, or for more when more are wanted, and for none when none are", () => {
    const { asked, source } = fixed(10)
    assert.deepStrictEqual(source.getRandomPeers(0), [])
    assert.deepStrictEqual(asked, [])
    source.getRandomPeers(1)
    assert.deepStrictEqual(asked, [1000])
    source.getRandomPeers(1500)
    assert.deepStrictEqual(asked, [1000, 1500])
  })

  it("PMG-08 no address comes twice before its batch is used up; a batch with too few left is replaced", () => {
    const { asked, source } = fixed(10)
    const seen = [...source.getRandomPeers(4), ...source.getRandomPeers(4)]
    assert.strictEqual(new Set(keys(seen)).size, 8)
    assert.deepStrictEqual([asked.length, source.remaining()], [1, 2])
    assert.strictEqual(source.getRandomPeers(3).length, 3)
    assert.deepStrictEqual([asked.length, source.remaining()], [2, 7])
    assert.strictEqual(source.getRandomPeers(7).length, 7, "exactly as many left as wanted")
    assert.strictEqual(asked.length, 2)
  })

  it("PMG-08 what the predicate refuses is used up too, and the search ends with the batch", () => {
    const { asked, source } = fixed(10)
    const odd = (address: PeerAddress) => Number(address.host.split(".")[1]) % 2 === 1
    assert.deepStrictEqual(source.getRandomPeers(3, odd).map((address) => address.host), [
      "20.1.0.1",
      "20.3.0.1",
      "20.5.0.1"
    ])
    assert.strictEqual(source.remaining(), 4)
    assert.deepStrictEqual(source.getRandomPeers(4, odd).map((address) => address.host), ["20.7.0.1", "20.9.0.1"])
    assert.deepStrictEqual([asked.length, source.remaining()], [1, 0])
    source.getRandomPeers(2)
    source.clear()
    assert.strictEqual(source.remaining(), 0)
  })

  it("PMG-08 rows without a host or a port are skipped", () => {
    const found = select(
      [record({ address: PeerAddress.make("", 80) }), record({ address: local(0) }), record({ address: local(1) })],
      maxFailures(10, false),
      {
        size: 10,
        nowMillis: 0,
        mode: "window",
        draw: () => 0,
        groupOf: () => ""
      }
    )
    assert.deepStrictEqual(keys(found.map((row) => row.address)), ["127.0.0.1:1"])
  })

  it("PDB-036 the queries of core", () => {
    assert.deepStrictEqual(nextAttemptCutoff(PeerType.Outbound), {
      due: true,
      maxFailures: 120,
      type: PeerType.Outbound
    })
    assert.deepStrictEqual(maxFailures(10, true), { due: false, maxFailures: 10, type: "AnyOutbound" })
    assert.deepStrictEqual(sendQueries, [
      { due: false, maxFailures: 10, type: "AnyOutbound" },
      { due: false, maxFailures: 10, type: PeerType.Inbound }
    ])
  })

  for (const [name, config] of [["defaults", defaults], ["core", core]] as const) {
    it.effect(`PMG-08 over a table of 2 500 rows every batch is a thousand different ones, ${name}`, () =>
      Effect.gen(function*() {
        const peers = yield* open({ ...config, allowLocalhost: true })
        for (let port = 1; port <= 2500; port++) peers.ensureExists(local(port))
        const source = peers.randomPeerSource({ due: false, maxFailures: undefined, type: PeerType.Inbound })
        const batches = [1, 2].map(() => {
          const batch = Array.from({ length: 20 }, () => source.getRandomPeers(50)).flat()
          assert.strictEqual(new Set(keys(batch)).size, 1000)
          assert.strictEqual(source.remaining(), 0)
          return batch
        })
        assert.notDeepEqual(keys(batches[0]!), keys(batches[1]!))
      }))
  }
})
