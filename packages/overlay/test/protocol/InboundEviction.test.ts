import { assert, describe, it } from "@effect/vitest"
import { choose, FASTEST_KEPT, type Squatter } from "@stellar-overlay/overlay/protocol/InboundEviction"

const MINUTE = 60_000
const NOW = 100 * MINUTE

let serial = 0
const peer = (options: Partial<Squatter> = {}): Squatter => ({
  isPreferred: false,
  since: NOW - 20 * MINUTE,
  useful: 0,
  latencyMillis: 100 + serial++,
  group: `10.${serial}.0.0/16`,
  ...options
})

const useful = () => peer({ useful: 1, latencyMillis: 1 })
const fast = () => Array.from({ length: FASTEST_KEPT }, () => useful())
const pick = (peers: ReadonlyArray<Squatter>): Squatter | undefined => peers[choose(peers, 10 * MINUTE, NOW)]

describe("InboundEviction", () => {
  it("P9 useful, preferred and young peers stay, and the fastest four", () => {
    assert.strictEqual(FASTEST_KEPT, 4)
    const squatter = peer()
    const stay = [useful(), peer({ isPreferred: true }), peer({ since: NOW - 10 * MINUTE + 1 }), ...fast()]
    assert.strictEqual(pick([...stay, squatter]), squatter)
    assert.strictEqual(pick(stay), undefined)
    const quick = [1, 2, 3, 4].map((latencyMillis) => peer({ latencyMillis }))
    assert.strictEqual(
      pick([useful(), useful(), ...quick].map((one, i) => i < 2 ? { ...one, latencyMillis: 50 } : one)),
      undefined
    )
  })

  it("P9 nobody goes while nobody is useful, and nobody ever with the preset core", () => {
    const idle = Array.from({ length: 20 }, () => peer())
    assert.strictEqual(pick(idle), undefined)
    assert.strictEqual(choose([...idle, ...fast()], Infinity, NOW), -1)
    assert.strictEqual(choose([], 0, NOW), -1)
  })

  it("P9 the subnet with most idle peers loses one, then the slowest goes, then the one that came last", () => {
    const one = peer({ group: "a", latencyMillis: 5000 })
    const two = peer({ group: "b", latencyMillis: 300 })
    const slower = peer({ group: "b", latencyMillis: 400 })
    assert.strictEqual(pick([...fast(), one, two, slower]), slower)
    assert.strictEqual(pick([...fast(), one, two]), one)
    const old = peer({ group: "c", latencyMillis: 7, since: 0 })
    const recent = peer({ group: "d", latencyMillis: 7, since: 1 })
    assert.strictEqual(pick([...fast(), old, recent]), recent)
  })

  it("P9 sixty-four squatters of one owner lose every slot to newcomers, honest peers none", () => {
    const squatters = Array.from({ length: 54 }, () => peer({ group: "evil" }))
    const honest = Array.from({ length: 10 }, (_, i) => peer({ useful: i + 1 }))
    let present = [...squatters, ...honest]
    for (let newcomers = 0;; newcomers++) {
      const gone = choose(present, 10 * MINUTE, NOW)
      if (gone < 0) {
        assert.isAtLeast(newcomers, 54 - FASTEST_KEPT)
        break
      }
      assert.strictEqual(present[gone]!.group, "evil")
      present = present.filter((_, i) => i !== gone).concat(peer({ since: NOW }))
    }
    for (const one of honest) assert.include(present, one)
  })
})
