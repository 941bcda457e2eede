/** That validators of a toy ledger agree whatever the network does to their messages, short of forging them. */
import { assert, describe, it } from "@effect/vitest"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import type { GeneralizedTxSet, ScpMessage, ScpQuorumSet } from "@stellar-overlay/overlay/wire/StellarMessage"
import { hex } from "../src/internal/hex.ts"
import { SeededRandom } from "../src/internal/seededRandom.ts"
import { ToyNode, type ToyNodeOptions } from "../src/internal/toyNode.ts"
import { ToySlot } from "../src/internal/toySlot.ts"
import type * as Xdr from "../src/internal/toyXdr.ts"
import * as TestCrypto from "../src/TestCrypto.ts"

const { primitives } = TestCrypto.make("agreement")

/** Signatures say who signed and are not looked at: what is tried here is order, loss and time. */
const crypto = { sha256: primitives.sha256, ed25519Verify: () => true }
const networkId = crypto.sha256(new TextEncoder().encode("toy network"))

const identities = Array.from({ length: 5 }, (_, i) => {
  const publicKey = crypto.sha256(Uint8Array.of(i))
  return { nodeId: NodeId.fromBytes(publicKey), publicKey, sign: () => new Uint8Array(64) }
})

const options = (identity: typeof identities[number], draw: () => number): ToyNodeOptions => ({
  identity,
  networkId,
  crypto,
  validators: identities.map(({ nodeId }) => nodeId),
  draw,
  closeTimeMillis: 1000,
  roundTimeoutMillis: 1000,
  maxTxSetSize: 100,
  maxTxSetBytes: 100_000,
  maxPending: 100,
  maxApplied: 100,
  maxSlotsToRemember: 12
})

/** One run: messages come in any order, late, never, and twice; rounds end at any time; memories are lost now and then. */
const run = (seed: number, steps: number) => {
  const random = new SeededRandom(`agreement ${seed}`)
  const draw = () => random.nextDoubleUnsafe()
  const below = (bound: number) => random.nextBelowUnsafe(bound)
  let millis = 0
  const now = () => ({ millis, unixMillis: 1_767_225_600_000 + millis })
  const nodes = identities.map((identity) => new ToyNode(options(identity, draw), now()))
  const flying: Array<{ readonly to: number; readonly message: ScpMessage }> = []
  const txSets = new Map<string, GeneralizedTxSet>()
  const quorumSets = new Map<string, ScpQuorumSet>()
  const chain = new Map<number, string>()
  let rounds = 0

  /** Collects what a node says and closes. A ledger that another node closed differently ends the run. */
  const collect = (from: number): void => {
    const node = nodes[from]!
    for (const message of node.outbox.splice(0)) {
      if (message._tag !== "ScpMessage") continue
      for (const hash of message.txSetHashes) {
        const txSet = node.txSet(hash)
        if (txSet?._tag === "GeneralizedTxSet") txSets.set(hex(hash), txSet)
      }
      quorumSets.set(hex(message.quorumSetHash), node.quorumSet(message.quorumSetHash)!)
      for (let to = 0; to < nodes.length; to++) if (to !== from) flying.push({ to, message })
    }
    for (const { hash, ledgerSeq, rounds: took } of node.closed.splice(0)) {
      rounds = Math.max(rounds, took)
      const known = chain.get(ledgerSeq)
      if (known === undefined) chain.set(ledgerSeq, hex(hash))
      assert.strictEqual(hex(hash), known ?? hex(hash), `seed ${seed}: ledger ${ledgerSeq}`)
    }
    assert.strictEqual(node.diverged, 0, `seed ${seed}`)
  }

  const give = (to: number, message: ScpMessage): void => {
    const node = nodes[to]!
    const verdict = node.receiveScp(message, now())
    if (verdict._tag === "hold" && verdict.txSets.length + verdict.quorumSets.length > 0) {
      for (const hash of verdict.txSets) node.receiveTxSet(hash, txSets.get(hex(hash))!)
      for (const hash of verdict.quorumSets) node.receiveQuorumSet(hash, quorumSets.get(hex(hash))!)
      node.receiveScp(message, now())
    }
    collect(to)
  }

  const askAll = (to: number): void => {
    for (const node of nodes) for (const message of node.scpState(1)) give(to, message)
  }

  // How cruel this run is: how much is lost, and how often rounds end before their messages came.
  const loss = 0.05 + 0.6 * draw()
  const hurry = 0.05 + 0.4 * draw()
  for (let step = 0; step < steps; step++) {
    const chance = draw()
    const to = below(nodes.length)
    if (chance < 1 - hurry && flying.length > 0) {
      const [one] = flying.splice(below(flying.length), 1)
      const fate = draw()
      if (fate >= loss) give(one!.to, one!.message)
      if (fate > 0.95) flying.push(one!)
    } else if (draw() < 0.02) askAll(to)
    else if (draw() < 0.01) {
      // It lost its memory, and hears from all others before it speaks.
      nodes[to] = new ToyNode(options(identities[to]!, draw), now())
      for (const { message } of flying) if (message.nodeId === identities[to]!.nodeId) give(to, message)
      for (const [i, node] of nodes.entries()) {
        if (i !== to) { for (const message of node.scpState(1)) give(to, message) }
      }
    } else {
      millis += below(400)
      nodes[to]!.tick(now())
      collect(to)
    }
  }
  // In the end all that is said arrives.
  const before = chain.size
  for (let second = 0; second < 30; second++) {
    for (let quarter = 0; quarter < 4; quarter++) {
      millis += 250
      for (let to = 0; to < nodes.length; to++) {
        nodes[to]!.tick(now())
        collect(to)
      }
      for (const one of flying.splice(0)) give(one.to, one.message)
      if (second % 10 === 0 && quarter === 0) nodes.forEach((_, to) => askAll(to))
    }
  }
  return { rounds, closed: chain.size, after: chain.size - before }
}

describe("agreement", () => {
  it("CFG-09 A13 over 20 seeds of reordered, lost and repeated messages there is one chain, and it goes on", () => {
    let rounds = 0
    let closed = 0
    for (let seed = 0; seed < 20; seed++) {
      const result = run(seed, 1500)
      assert.isAbove(result.after, 5, `seed ${seed}`)
      rounds = Math.max(rounds, result.rounds)
      closed += result.closed - result.after
    }
    // The storms did close ledgers, and made some of them hard.
    assert.isAbove(closed, 40)
    assert.isAbove(rounds, 3)
  })
})

describe("what a validator may say in a slot", () => {
  const MAJORITY = 3
  const [a, b, c, d, me] = identities.map(({ nodeId }) => nodeId)
  const v = Uint8Array.of(1)
  const w = Uint8Array.of(2)
  const ballot = (counter: number, value: Uint8Array) => ({ counter, value })
  const candidate = (counter: number, value: Uint8Array) => ({ counter, value: hex(value) })
  const prepare = (counter: number, value: Uint8Array, prepared?: Xdr.Ballot): Xdr.Pledge => ({
    kind: "PREPARE",
    ballot: ballot(counter, value),
    prepared
  })

  /** A slot in which this node and others said something. */
  const slotOf = (
    own: Xdr.Pledge | undefined,
    ...said: ReadonlyArray<readonly [NodeId.NodeId | undefined, Xdr.Pledge]>
  ) => {
    const slot = new ToySlot(0, 1000)
    if (own !== undefined) {
      slot.own = own
      slot.hear(me!, own)
    }
    for (const [id, pledge] of said) slot.hear(id!, pledge)
    return slot
  }

  it("CFG-09 it votes once a round", () => {
    const slot = slotOf(prepare(2, v), [a, prepare(2, w)], [b, prepare(3, w)])
    assert.isFalse(slot.mayVote(candidate(1, w)))
    assert.isFalse(slot.mayVote(candidate(2, w)))
    assert.isTrue(slot.mayVote(candidate(3, w)))
  })

  it("CFG-09 locked on a majority's value it votes for no other", () => {
    const slot = slotOf(prepare(1, v), [a, prepare(1, v)], [b, prepare(1, v)], [c, prepare(2, w)])
    assert.deepStrictEqual(slot.lockOn(MAJORITY), candidate(1, v))
    assert.isUndefined(slot.lockOn(MAJORITY))
    assert.deepStrictEqual(slot.lock, ballot(1, v))
    assert.isFalse(slot.mayVote(candidate(2, w)))
    assert.isTrue(slot.mayVote(candidate(2, v)))
    assert.deepStrictEqual(slot.valid, v)
  })

  it("CFG-09 unless a majority voted for the other in a later round", () => {
    const slot = slotOf(prepare(1, v), [a, prepare(1, v)], [b, prepare(1, v)])
    slot.lockOn(MAJORITY)
    for (const id of [b, c]) slot.hear(id!, prepare(2, w))
    assert.isFalse(slot.mayVote(candidate(3, w)))
    // By now this node has voted in round 3 for its own value, so it may not lock on what comes from round 2.
    slot.own = prepare(3, v, ballot(1, v))
    slot.hear(me!, slot.own)
    slot.hear(d!, prepare(2, w))
    assert.isUndefined(slot.lockOn(MAJORITY))
    assert.deepStrictEqual(slot.lock, ballot(1, v))
    assert.isTrue(slot.mayVote(candidate(4, w)))
    assert.deepStrictEqual(slot.valid, w)
  })

  it("CFG-09 locks of one round decide; locks of different rounds do not", () => {
    const slot = slotOf(prepare(2, v, ballot(1, v)), [a, prepare(2, v, ballot(1, v))], [b, prepare(2, v, ballot(2, v))])
    assert.isUndefined(slot.locked(MAJORITY))
    slot.hear(c!, prepare(3, w, ballot(1, v)))
    assert.deepStrictEqual(slot.locked(MAJORITY), candidate(1, v))
    assert.isUndefined(slot.confirmed(MAJORITY))
  })

  it("CFG-09 a later statement stands for those before it", () => {
    const slot = slotOf(undefined, [a, { kind: "CONFIRM", ballot: ballot(1, v) }], [b, {
      kind: "EXTERNALIZE",
      ballot: ballot(1, v)
    }])
    slot.hear(c!, prepare(1, v))
    assert.deepStrictEqual(slot.lockOn(MAJORITY), candidate(1, v))
    slot.hear(c!, prepare(1, v, ballot(1, v)))
    assert.deepStrictEqual(slot.locked(MAJORITY), candidate(1, v))
    slot.hear(c!, { kind: "CONFIRM", ballot: ballot(1, v) })
    assert.deepStrictEqual(slot.confirmed(MAJORITY), candidate(1, v))
    assert.isUndefined(slot.externalized(MAJORITY))
  })

  it("CFG-09 who lost its memory keeps to what others heard from it", () => {
    const slot = slotOf(undefined, [a, prepare(2, w)])
    slot.remember(me!, prepare(2, v, ballot(1, v)))
    assert.isFalse(slot.mayVote(candidate(2, w)))
    assert.isFalse(slot.mayVote(candidate(3, w)))
    assert.isTrue(slot.mayVote(candidate(3, v)))
  })
})
