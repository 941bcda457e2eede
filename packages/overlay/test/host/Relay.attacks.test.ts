/** SCP messages that somebody sends to do harm, against the rules of the relay. */
import { assert, describe, it } from "@effect/vitest"
import { isQuorumSetSane } from "../../src/protocol/QuorumSetSanity.ts"
import type { ScpMessage } from "../../src/wire/StellarMessage.ts"
import {
  bare,
  CLOSE_TIME,
  crypto,
  forged,
  generator,
  type Kind,
  quorumSet,
  scp,
  type Sketch,
  stocked,
  txSet,
  validator,
  value
} from "./fixtures.ts"

const [alice, bob, carol] = [validator(1), validator(2), validator(3)]
const attacker = validator(100).id
const honest = validator(101).id

const counted = () => {
  const counter = { verified: 0 }
  const primitives = {
    sha256: crypto.sha256,
    ed25519Verify: (key: Uint8Array, data: Uint8Array, signature: Uint8Array) => {
      counter.verified++
      return crypto.ed25519Verify(key, data, signature)
    }
  }
  return { counter, primitives }
}

describe("bad signatures", () => {
  it("A10 are marked, not relayed, not kept, and cost one check however often they come", () => {
    const { counter, primitives } = counted()
    const pending = stocked({}, "everybody", primitives)
    const bad = forged({ by: alice, slot: 2 })
    for (let i = 0; i < 1000; i++) {
      assert.deepStrictEqual(pending.receive(bad, attacker, 0, CLOSE_TIME), { _tag: "discard", badSignature: true })
    }
    assert.strictEqual(counter.verified, 1)
    assert.strictEqual(pending.signatures.bad, 1000)
    assert.strictEqual(pending.state.messages, 0)
    // What alice did sign is none the worse for it.
    assert.deepStrictEqual(pending.receive(scp({ by: alice, slot: 2 }), honest, 0, CLOSE_TIME), { _tag: "relay" })
  })

  it("A10 good ones cost one check too, however many peers send them", () => {
    const { counter, primitives } = counted()
    const pending = bare({}, primitives)
    const message = scp({ by: alice, slot: 2 })
    for (let i = 0; i < 100; i++) pending.receive(message, validator(200 + i).id, 0, CLOSE_TIME)
    assert.strictEqual(counter.verified, 1)
  })

  it("A10 a storm is checked at the peer's rate, and holds up no other peer", () => {
    const { counter, primitives } = counted()
    const verify = { perSecond: 100, perPeerPerSecond: 10, burst: 100, perPeerBurst: 20, maxPeers: 10 }
    const pending = stocked({ verify }, "everybody", primitives)
    // The attacker keeps a window of forged messages going: each is asked for again when the rules say wait.
    let now = 0
    for (let i = 0; i < 60; i++) {
      const message = forged({ by: alice, slot: 2, counter: i + 1 })
      let verdict = pending.receive(message, attacker, now, CLOSE_TIME)
      while (typeof verdict === "number") {
        assert.isAbove(verdict, 0)
        now += verdict
        verdict = pending.receive(message, attacker, now, CLOSE_TIME)
      }
      assert.deepStrictEqual(verdict, { _tag: "discard", badSignature: true })
    }
    assert.strictEqual(counter.verified, 60)
    // 20 at once, 40 at ten a second.
    assert.approximately(now, 4000, 50)
    assert.deepStrictEqual(pending.receive(scp({ by: bob, slot: 2 }), honest, now, CLOSE_TIME), { _tag: "relay" })
  })

  it("A10 the signature covers the network: what was signed for another one is bad", () => {
    const pending = stocked()
    const elsewhere = forged({ by: alice, slot: 2 }, 0)
    const statement = elsewhere.statement
    const foreign = elsewhere.bytes.slice()
    const passphrase = crypto.sha256(new TextEncoder().encode("another network"))
    foreign.set(alice.sign(Buffer.concat([passphrase, Uint8Array.of(0, 0, 0, 1), statement])), foreign.length - 64)
    assert.deepInclude(pending.receive(elsewhere, honest, 0, CLOSE_TIME), { _tag: "discard" })
    const message = scp({ by: alice, slot: 2 })
    message.bytes.set(foreign.subarray(-64), message.size - 64)
    assert.deepStrictEqual(pending.receive(message, honest, 0, CLOSE_TIME), { _tag: "discard", badSignature: true })
  })
})

describe("slots out of range", () => {
  /** A relay that follows alice, bob and carol at ledger 100. */
  const following = () => {
    const pending = stocked({}, { validators: [alice.id, bob.id, carol.id] })
    for (const by of [alice, bob]) pending.receive(scp({ by, slot: 100 }), honest, 0, CLOSE_TIME)
    assert.strictEqual(pending.tracker.index, 100)
    return pending
  }

  const taken = (pending: ReturnType<typeof following>, slot: number | bigint, kind: Kind = "PREPARE") =>
    pending.receive(scp({ by: carol, slot, kind }), honest, 0, CLOSE_TIME)

  it("A11 ancient and far slots are discarded before anything is checked, except the checkpoint's", () => {
    const pending = following()
    const before = pending.signatures.verified
    for (const slot of [0, 1, 63, 65, 88, 202, 203, 2 ** 31, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
      assert.deepStrictEqual(taken(pending, slot), { _tag: "discard" }, String(slot))
    }
    assert.strictEqual(pending.signatures.verified, before)
    for (const slot of [64, 89, 100, 101, 201]) {
      assert.deepStrictEqual(taken(pending, slot), { _tag: "relay" }, String(slot))
    }
  })

  it("A11 of the slots in range, 12 + 2 are kept, the nearest first", () => {
    const pending = following()
    for (let slot = 201; slot > 101; slot--) taken(pending, slot)
    assert.strictEqual(pending.state.slots.length, 14)
    for (let slot = 89; slot <= 101; slot++) assert.deepStrictEqual(taken(pending, slot), { _tag: "relay" })
    taken(pending, 64)
    assert.deepStrictEqual(pending.state.slots, [64, ...Array.from({ length: 13 }, (_, i) => 89 + i)])
    assert.deepStrictEqual(taken(pending, 150), { _tag: "discard" }) // no room for what is farther than all
  })

  it("A11 one trusted validator that lies does not move the ledger", () => {
    const pending = following()
    for (let slot = 101; slot <= 201; slot++) taken(pending, slot, "EXTERNALIZE")
    assert.strictEqual(pending.tracker.index, 100)
    for (const by of [alice, bob]) pending.receive(scp({ by, slot: 101 }), honest, 5000, CLOSE_TIME)
    assert.strictEqual(pending.tracker.index, 101)
  })
})

describe("validators nobody knows", () => {
  const stranger = (n: number, slot: number): ScpMessage => forged({ by: { ...alice, key: keyOf(n) }, slot })
  const keyOf = (n: number): Uint8Array => {
    const key = new Uint8Array(32)
    new DataView(key.buffer).setUint32(0, n)
    return key
  }

  it("A12 of 20,000 signers outside the quorum nothing is kept and no signature checked", () => {
    const { counter, primitives } = counted()
    const own = quorumSet({ threshold: 2, validators: [alice, bob, carol] })
    const pending = stocked({}, { quorumSet: own.message.body }, primitives)
    for (let n = 0; n < 20_000; n++) {
      assert.deepStrictEqual(pending.receive(stranger(n, 2), attacker, n, CLOSE_TIME), { _tag: "discard" })
    }
    assert.deepStrictEqual(
      [counter.verified, pending.state.messages, pending.signatures.size, pending.tracker.voters],
      [0, 0, 0, 0]
    )
    assert.strictEqual(pending.filter.size, 3)
  })

  it("A12 a relay that trusts everybody keeps a bounded number a slot, of each peer a part", () => {
    // Signatures are taken for good, as an attacker with as many keys would make them.
    const yes = { sha256: crypto.sha256, ed25519Verify: () => true }
    const limits = {
      state: { maxSlots: 14, maxNodesPerSlot: 64, maxNodesPerPeer: 16, maxBytes: 1_000_000 },
      maxCheckedEnvelopes: 500
    }
    const pending = stocked(limits, "everybody", yes)
    let relayed = 0
    for (let n = 0; n < 2000; n++) {
      const verdict = pending.receive(stranger(n, 2), attacker, 0, CLOSE_TIME)
      if (typeof verdict !== "number" && verdict._tag === "relay") relayed++
    }
    assert.strictEqual(relayed, 16)
    assert.deepStrictEqual(pending.receive(scp({ by: alice, slot: 2 }), honest, 0, CLOSE_TIME), { _tag: "relay" })
    for (let n = 2000; n < 4000; n++) pending.receive(stranger(n, 2), validator(300 + n % 8).id, 0, CLOSE_TIME)
    assert.strictEqual(pending.state.nodes(2).length, 64)
    assert.strictEqual(pending.state.messages, 64)
    assert.strictEqual(pending.signatures.size, 500)
    assert.isAtMost(pending.state.bytes, 1_000_000)
  })

  it("A12 bytes are bounded, and a message over 64 KiB is discarded unseen", () => {
    const { counter, primitives } = counted()
    const small = stocked({ state: { maxSlots: 14, maxNodesPerSlot: 64, maxNodesPerPeer: 64, maxBytes: 1000 } })
    for (let n = 1; n <= 10; n++) small.receive(scp({ by: validator(n), slot: 2 }), honest, 0, CLOSE_TIME)
    assert.isAbove(small.state.messages, 0)
    assert.isAtMost(small.state.bytes, 1000)
    const pending = stocked({}, "everybody", primitives)
    const great = scp({ by: alice, slot: 2, value: new Uint8Array(70_000) })
    assert.deepStrictEqual(pending.receive(great, honest, 0, CLOSE_TIME), { _tag: "discard" })
    assert.strictEqual(counter.verified, 0)
  })
})

describe("messages in any order", () => {
  const shuffled = <A>(items: ReadonlyArray<A>, draw: () => number): Array<A> => {
    const all = [...items]
    for (let i = all.length - 1; i > 0; i--) {
      const j = Math.floor(draw() * (i + 1))
      const kept = all[i]!
      all[i] = all[j]!
      all[j] = kept
    }
    return all
  }

  it("A13 the state ends the same whatever the order, with repetitions and items that come late", () => {
    const later = txSet(2)
    const kinds: ReadonlyArray<Kind> = ["NOMINATE", "PREPARE", "CONFIRM", "EXTERNALIZE"]
    const story = [alice, bob, carol].flatMap((by) =>
      [2, 3, 4].flatMap((slot) =>
        kinds.flatMap((kind) => [
          scp({ by, slot, kind, ...(slot === 4 ? { value: value(later.hash) } : {}) }),
          scp({ by, slot, kind: "PREPARE", counter: 2 })
        ])
      )
    )
    const stateAfter = (order: ReadonlyArray<ScpMessage>): ReadonlyArray<string> => {
      const pending = stocked({}, { validators: [alice.id, bob.id, carol.id] })
      const held: Array<ScpMessage> = []
      const give = (message: ScpMessage) => {
        const verdict = pending.receive(message, honest, 0, CLOSE_TIME)
        if (typeof verdict !== "number" && verdict._tag === "hold" && verdict.txSets.length > 0) held.push(message)
      }
      order.forEach(give)
      pending.receiveTxSet(later.hash, later.message)
      held.splice(0).forEach(give)
      assert.strictEqual(pending.tracker.index, 4)
      return pending.state.from(1).map((m) => `${m.slotIndex} ${m.nodeId} ${m.statementType}`).sort()
    }
    const expected = stateAfter(story)
    assert.strictEqual(expected.length, 3 * 3 * 2)
    const draw = generator(13)
    for (let round = 0; round < 40; round++) {
      const order = shuffled([...story, ...shuffled(story, draw).slice(0, 20)], draw)
      assert.deepStrictEqual(stateAfter(order), expected, `round ${round}`)
    }
  })

  it("A13 what a validator said before its last word is not relayed any more", () => {
    const pending = stocked()
    const give = (kind: Kind) => pending.receive(scp({ by: alice, slot: 2, kind }), honest, 0, CLOSE_TIME)
    assert.deepStrictEqual(give("EXTERNALIZE"), { _tag: "relay" })
    for (const kind of ["CONFIRM", "PREPARE"] as const) {
      assert.deepStrictEqual(give(kind), { _tag: "hold", txSets: [], quorumSets: [] })
    }
    assert.deepStrictEqual(give("NOMINATE"), { _tag: "relay" })
  })
})

describe("insane quorum sets", () => {
  const range = (from: number, count: number) =>
    Array.from(
      { length: count },
      (_, i) => new Uint8Array(32).fill(1).map((_, j) => j < 4 ? (from + i) >>> (8 * j) : 1)
    )
  const one = { threshold: 1, validators: [alice] }
  const nested = (levels: number): Sketch =>
    levels === 0 ? one : { threshold: 1, validators: range(levels, 1), innerSets: [nested(levels - 1)] }
  const insane: ReadonlyArray<readonly [name: string, sketch: Sketch]> = [
    ["threshold 0", { threshold: 0, validators: [alice] }],
    ["threshold above the members", { threshold: 3, validators: [alice, bob] }],
    ["nobody", { threshold: 1, validators: [] }],
    ["a validator twice", { threshold: 1, validators: [alice, alice] }],
    ["a validator in two sets", { threshold: 1, validators: [alice], innerSets: [one] }],
    ["1001 validators", { threshold: 1, validators: range(0, 1001) }],
    ["five levels of inner sets", nested(5)]
  ]

  it.each(insane)("Q6 %s: refused when it comes, and what names it is discarded", (_, sketch) => {
    const set = quorumSet(sketch)
    const pending = stocked()
    const message = scp({ by: bob, slot: 2, quorumSet: set.hash })
    assert.deepInclude(pending.receive(message, honest, 0, CLOSE_TIME), { _tag: "hold", quorumSets: [set.hash] })
    assert.isFalse(pending.receiveQuorumSet(set.hash, set.message))
    assert.isUndefined(pending.quorumSets.get(set.hash))
    assert.deepStrictEqual(pending.receive(message, honest, 0, CLOSE_TIME), { _tag: "discard" })
    assert.strictEqual(pending.state.messages, 0)
  })

  it("Q6 property: of random quorum sets exactly the sane ones are kept", () => {
    const draw = generator(6)
    const below = (n: number) => Math.floor(draw() * n)
    const random = (depth: number): Sketch => ({
      threshold: below(4),
      validators: Array.from({ length: below(4) }, () => validator(below(12))),
      innerSets: depth > 0 ? Array.from({ length: below(3) }, () => random(depth - 1)) : []
    })
    let sane = 0
    for (let i = 0; i < 500; i++) {
      const set = quorumSet(random(2))
      const pending = bare()
      const isSane = isQuorumSetSane(set.message.body)
      if (isSane) sane++
      assert.strictEqual(pending.receiveQuorumSet(set.hash, set.message), isSane)
      assert.strictEqual(pending.quorumSets.size, isSane ? 1 : 0)
    }
    assert.isAbove(sane, 20)
    assert.isBelow(sane, 480)
  })

  it("Q6 hashes of refused sets are bounded: a thousand are remembered", () => {
    const pending = stocked()
    const hash = (n: number) => crypto.sha256(Uint8Array.of(n >>> 8, n))
    for (let n = 0; n < 3000; n++) pending.refuseQuorumSet(hash(n))
    const verdict = (n: number) => pending.receive(scp({ by: bob, slot: 2, quorumSet: hash(n) }), honest, 0, CLOSE_TIME)
    assert.deepStrictEqual(verdict(2999), { _tag: "discard" })
    assert.deepStrictEqual(verdict(3000 - 1024), { _tag: "discard" })
    assert.deepInclude(verdict(3000 - 1025), { _tag: "hold" })
  })
})
