import { assert, describe, it } from "@effect/vitest"
import { ExternalizeTimes, MAX_NODES_PER_SLOT } from "../../src/protocol/ExternalizeTimes.ts"
import * as NodeId from "../../src/wire/NodeId.ts"

const node = (i: number) => {
  const key = new Uint8Array(32)
  new DataView(key.buffer).setUint32(0, i)
  return NodeId.fromBytes(key)
}

describe("ExternalizeTimes", () => {
  it("SUR-12 counts from the first sign of a slot, each node once, this node once", () => {
    const times = new ExternalizeTimes(10)
    assert.isUndefined(times.heard(11, node(1), 1000)) // the first has nobody to be compared with
    assert.strictEqual(times.heard(11, node(2), 1030), 30)
    assert.isUndefined(times.heard(11, node(2), 1090))
    assert.isUndefined(times.heard(11, node(1), 1090))
    assert.strictEqual(times.closed(11, 1100), 100)
    assert.isUndefined(times.closed(11, 1200))
    assert.strictEqual(times.heard(11, node(3), 1300), 300)
  })

  it("SUR-12 a node that is first is compared with nobody; the others are compared with it", () => {
    const times = new ExternalizeTimes(10)
    assert.strictEqual(times.closed(11, 500), 0)
    assert.strictEqual(times.heard(11, node(1), 540), 40)
  })

  it("slots that are old or far ahead do not count, and memory is bounded", () => {
    const times = new ExternalizeTimes(100)
    assert.isUndefined(times.heard(88, node(1), 1)) // MAX_SLOTS_TO_REMEMBER is 12
    assert.isUndefined(times.heard(88, node(2), 2))
    assert.isUndefined(times.heard(113, node(1), 1))
    assert.isUndefined(times.heard(113, node(2), 2))
    assert.isUndefined(times.heard(112, node(1), 1))
    assert.strictEqual(times.heard(112, node(2), 2), 1)
    let counted = 0
    for (let i = 0; i < 2 * MAX_NODES_PER_SLOT; i++) if (times.heard(101, node(i), i) !== undefined) counted++
    assert.strictEqual(counted, MAX_NODES_PER_SLOT - 1)
    assert.strictEqual(times.closed(130, 9), 0) // a jump forgets what lies far behind
    assert.isUndefined(times.heard(112, node(3), 10))
  })

  it("a new slice begins with nothing", () => {
    const times = new ExternalizeTimes(10)
    times.heard(11, node(1), 1000)
    times.clear(10)
    assert.isUndefined(times.heard(11, node(2), 1500))
  })
})
