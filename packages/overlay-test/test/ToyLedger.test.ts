/** The toy ledger: nodes that are wired to each other without an overlay, then whole nodes over a simulated network. */
import { assert, describe, it } from "@effect/vitest"
import type { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
import { isValid } from "@stellar-overlay/overlay/protocol/ScpSignature"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { type ScpMessage, type StellarMessage, Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import { validateStellarMessage } from "@stellar-overlay/overlay/wire/XdrValidator"
import { xdr } from "@stellar/stellar-base"
import { Effect, type Scope, Stream } from "effect"
import { hex } from "../src/internal/hex.ts"
import * as Xdr from "../src/internal/toyXdr.ts"
import * as TestCrypto from "../src/TestCrypto.ts"
import * as ToyLedger from "../src/ToyLedger.ts"
import * as World from "../src/World.ts"

/** Real cryptography; a signature that five nodes check is computed once. */
const checked = new Map<string, boolean>()
const { primitives } = TestCrypto.make("toy")
const crypto: typeof primitives = {
  ...primitives,
  ed25519Verify: (key, message, signature) => {
    const name = hex(key) + hex(primitives.sha256(message)) + hex(signature)
    const known = checked.get(name) ?? primitives.ed25519Verify(key, message, signature)
    checked.set(name, known)
    return known
  }
}
const networkId = crypto.sha256(new TextEncoder().encode("toy network"))

const identity = (name: string) => {
  const seed = crypto.sha256(new TextEncoder().encode(name))
  const publicKey = crypto.ed25519PublicKey(seed)
  return { nodeId: NodeId.fromBytes(publicKey), publicKey, sign: (m: Uint8Array) => crypto.ed25519Sign(seed, m) }
}

/** Transactions that differ in their sequence number alone. */
const template = Transaction.make({
  envelope: xdr.TransactionEnvelope.envelopeTypeTx(
    new xdr.TransactionV1Envelope({
      tx: new xdr.Transaction({
        sourceAccount: xdr.MuxedAccount.keyTypeEd25519(Buffer.alloc(32, 9)),
        fee: 100,
        seqNum: new xdr.Int64("0"),
        cond: xdr.Preconditions.precondNone(),
        memo: xdr.Memo.memoNone(),
        operations: [],
        ext: new xdr.TransactionExt(0)
      }),
      signatures: []
    })
  )
}).envelope

const envelope = (n: number): Uint8Array => {
  const bytes = template.slice()
  new DataView(bytes.buffer).setUint32(48, n) // the lower half of the sequence number
  return bytes
}

type Host = OverlayHost["Service"]

/** Hands over an SCP message, and what it needs, which its source has. */
const judge = (source: Host, host: Host, message: ScpMessage, from: NodeId.NodeId | undefined): Effect.Effect<void> =>
  Effect.gen(function*() {
    const [verdict] = yield* host.receiveScp([message], from)
    if (verdict?._tag !== "hold") return
    for (const hash of verdict.txSets) {
      const txSet = yield* source.txSet(hash)
      if (txSet !== undefined) assert.isTrue(yield* host.receiveTxSet(hash, txSet))
    }
    for (const hash of verdict.quorumSets) {
      const quorumSet = yield* source.quorumSet(hash)
      if (quorumSet !== undefined) assert.isTrue(yield* host.receiveQuorumSet(hash, quorumSet))
    }
    if (verdict.txSets.length + verdict.quorumSets.length > 0) yield* host.receiveScp([message], undefined)
  })

/**
 * What an overlay does for its host, between nodes that hear each other after a time: everything is flooded to all, and
 * what an SCP message needs is asked of who sent it.
 */
class Bus {
  readonly nodes: Array<
    { readonly id: NodeId.NodeId; readonly toy: ToyLedger.ToyLedger; known: Set<string>; isUp: boolean }
  > = []
  readonly seen: Array<StellarMessage> = []
  readonly #millis: () => number

  constructor(millis: () => number) {
    this.#millis = millis
  }

  join(id: NodeId.NodeId, toy: ToyLedger.ToyLedger) {
    const node = { id, toy, known: new Set<string>(), isUp: true }
    this.nodes.push(node)
    return node
  }

  /** Delivers what a node says to all others that are up. */
  readonly say = (from: Bus["nodes"][number], message: StellarMessage): Effect.Effect<void, never, Scope.Scope> => {
    this.seen.push(message)
    from.known.add(hex(message.bytes))
    return Effect.forEach(this.nodes, (to) =>
      to === from || !from.isUp
        ? Effect.void
        : Effect.sleep(this.#millis()).pipe(
          Effect.andThen(Effect.suspend(() => to.isUp && from.isUp ? this.deliver(from, to, message) : Effect.void)),
          Effect.forkScoped
        ), { discard: true })
  }

  deliver(
    from: Bus["nodes"][number],
    to: Bus["nodes"][number],
    message: StellarMessage
  ): Effect.Effect<void, never, Scope.Scope> {
    const name = hex(message.bytes)
    if (to.known.has(name)) return Effect.void
    to.known.add(name)
    const { host } = to.toy
    if (message._tag === "Transaction") {
      return Effect.asVoid(host.receiveTransactions([message], [crypto.sha256(message.envelope)], from.id))
    }
    return message._tag === "ScpMessage" ? judge(from.toy.host, host, message, from.id) : Effect.void
  }

  /** A node comes back: it and the others give each other their SCP state, as new peers do. */
  readonly reconnect = (node: Bus["nodes"][number]): Effect.Effect<void> => {
    node.isUp = true
    const others = this.nodes.filter((other) => other !== node && other.isUp)
    return Effect.forEach(others, (other) => Effect.andThen(this.#tell(other, node), this.#tell(node, other)), {
      discard: true
    })
  }

  #tell(source: Bus["nodes"][number], to: Bus["nodes"][number]): Effect.Effect<void> {
    return Effect.flatMap(
      source.toy.host.scpState(to.toy.host.scpStateFrom()),
      (messages) =>
        Effect.forEach(messages, (message) => {
          to.known.add(hex(message.bytes))
          return judge(source.toy.host, to.toy.host, message, source.id)
        }, { discard: true })
    )
  }
}

interface NetworkOptions {
  readonly nodes?: number
  readonly latencyMillis?: number
  readonly maxSlotsToRemember?: number
  /** Nodes that follow without a vote, of `nodes`. */
  readonly followers?: number
}

const network = (options: NetworkOptions = {}) =>
  Effect.gen(function*() {
    const world = yield* World.World
    const random = world.random("latency")
    const latency = options.latencyMillis ?? 50
    const bus = new Bus(() => 1 + random.nextBelowUnsafe(2 * latency))
    const identities = Array.from({ length: options.nodes ?? 5 }, (_, i) => identity(`node ${i}`))
    const validators = identities.slice(0, identities.length - (options.followers ?? 0)).map(({ nodeId }) => nodeId)
    const fork = Effect.runForkWith(yield* Effect.context<Scope.Scope>())
    const start = (one: ReturnType<typeof identity>) =>
      Effect.gen(function*() {
        const toy = yield* ToyLedger.make({
          identity: one,
          networkId,
          crypto,
          validators,
          maxSlotsToRemember: options.maxSlotsToRemember
        })
        const node = bus.join(one.nodeId, toy)
        toy.attach((message) => fork(bus.say(node, message)))
        return node
      })
    for (const one of identities) yield* start(one)
    return { bus, nodes: bus.nodes, identities, start }
  })

const seqs = (toy: ToyLedger.ToyLedger) => toy.ledgers().map(({ ledgerSeq }) => ledgerSeq)

/** Every ledger that two nodes have both closed is the same one. */
const assertOneChain = (toys: ReadonlyArray<ToyLedger.ToyLedger>) => {
  const chain = new Map<number, string>()
  for (const toy of toys) {
    for (const { hash, ledgerSeq } of toy.ledgers()) {
      const known = chain.get(ledgerSeq)
      if (known === undefined) chain.set(ledgerSeq, hex(hash))
      else assert.strictEqual(hex(hash), known, `ledger ${ledgerSeq}`)
    }
    assert.strictEqual(toy.stats().diverged, 0)
  }
  return chain
}

/** The first ledger that a node leads the first round of: validators take turns in the order of their ids. */
const firstLedOf = (nodes: Bus["nodes"], index: number): number => {
  const sorted = nodes.map(({ id }) => id).sort(NodeId.Order)
  return sorted.indexOf(nodes[index]!.id)
}

describe("a toy ledger", () => {
  it.effect("CFG-09 five nodes close a ledger a second, with every one of 3000 transactions in it once", () =>
    World.run(
      Effect.gen(function*() {
        const { bus, nodes } = yield* network()
        const sent = new Set<string>()
        for (let i = 0; i < 60 * 50; i++) {
          const bytes = envelope(i + 1)
          assert.strictEqual(nodes[i % 5]!.toy.submit(bytes), "pending")
          sent.add(hex(crypto.sha256(bytes)))
          yield* Effect.sleep(20)
        }
        yield* Effect.sleep("5500 millis")
        const toys = nodes.map(({ toy }) => toy)
        assertOneChain(toys)
        for (const toy of toys) {
          assert.deepStrictEqual(seqs(toy), Array.from({ length: 65 }, (_, i) => i + 2))
          const applied = toy.ledgers().flatMap(({ transactions }) => transactions.map(hex))
          assert.strictEqual(applied.length, 3000)
          assert.deepStrictEqual(new Set(applied), sent)
          assert.deepInclude(toy.stats(), { pending: 0, jumps: 0, forgotten: 0, badSignatures: 0, isSynced: true })
          // One a second: close times are whole seconds of the wall clock, one after the other.
          const times = toy.ledgers().map(({ closeTime }) => closeTime)
          times.forEach((time, i) => assert.strictEqual(time - times[0]!, i))
          assert.deepStrictEqual([...new Set(toy.ledgers().map(({ rounds }) => rounds))], [1])
        }
        const kinds = new Set(bus.seen.map((m) => m._tag === "ScpMessage" ? m.statementType : m._tag))
        assert.deepStrictEqual(kinds, new Set(["Transaction", "NOMINATE", "PREPARE", "CONFIRM", "EXTERNALIZE"]))
      }),
      { seed: 1 }
    ))

  it.effect("CFG-09 when the leader is silent the next in line proposes, a second later", () =>
    World.run(
      Effect.gen(function*() {
        const { nodes } = yield* network()
        nodes[2]!.isUp = false
        for (let i = 0; i < 100; i++) {
          nodes[i % 2]!.toy.submit(envelope(i + 1))
          yield* Effect.sleep(200)
        }
        yield* Effect.sleep("3500 millis")
        const toys = nodes.filter(({ isUp }) => isUp).map(({ toy }) => toy)
        assertOneChain(toys)
        for (const toy of toys) {
          // The ledgers that the silent one would have led take two rounds, one in five, and two seconds.
          const rounds = toy.ledgers().map(({ rounds }) => rounds)
          rounds.forEach((n, i) =>
            assert.strictEqual(n, (toy.ledgers()[i]!.ledgerSeq - firstLedOf(nodes, 2)) % 5 === 0 ? 2 : 1)
          )
          assert.isAtLeast(rounds.length, 18)
          assert.strictEqual(toy.stats().transactionsApplied, 100)
        }
      }),
      { seed: 2 }
    ))

  it.effect("HRD-014 a node that was away for fewer ledgers than are remembered catches up from its peers", () =>
    World.run(
      Effect.gen(function*() {
        const { bus, nodes } = yield* network()
        yield* Effect.sleep("10 seconds")
        nodes[4]!.isUp = false
        for (let i = 0; i < 40; i++) {
          nodes[i % 4]!.toy.submit(envelope(i + 1))
          yield* Effect.sleep(200)
        }
        const before = nodes[4]!.toy.stats().ledgerSeq
        assert.isAtLeast(nodes[0]!.toy.stats().ledgerSeq, before + 5)
        yield* bus.reconnect(nodes[4]!)
        assert.strictEqual(nodes[4]!.toy.stats().ledgerSeq, nodes[0]!.toy.stats().ledgerSeq)
        yield* Effect.sleep("10500 millis")
        const [last, first] = [nodes[4]!.toy, nodes[0]!.toy]
        assertOneChain(nodes.map(({ toy }) => toy))
        assert.deepStrictEqual(seqs(last), seqs(first))
        assert.deepInclude(last.stats(), { jumps: 0, forgotten: 0, transactionsApplied: 40 })
        assert.deepStrictEqual([...new Set(first.ledgers().slice(-5).map(({ rounds }) => rounds))], [1])
      }),
      { seed: 3 }
    ))

  it.effect("CFG-09 a node that was away for longer jumps to what its peers still have, and says so", () =>
    World.run(
      Effect.gen(function*() {
        const { bus, nodes } = yield* network({ maxSlotsToRemember: 5 })
        yield* Effect.sleep("5 seconds")
        const away = nodes[4]!
        away.isUp = false
        away.toy.submit(envelope(1))
        yield* Effect.sleep("30 seconds")
        const before = away.toy.stats().ledgerSeq
        yield* bus.reconnect(away)
        assert.isFalse(away.toy.host.ledger().isSynced)
        yield* Effect.sleep("10500 millis")
        const chain = assertOneChain(nodes.map(({ toy }) => toy))
        const jump = away.toy.ledgers().find(({ jumpedFrom }) => jumpedFrom !== undefined)!
        assert.strictEqual(jump.jumpedFrom, before)
        assert.isAbove(jump.ledgerSeq, before + 5)
        assert.strictEqual(hex(jump.hash), chain.get(jump.ledgerSeq))
        assert.deepInclude(away.toy.stats(), {
          jumps: 1,
          forgotten: 1,
          pending: 0,
          isSynced: true,
          ledgerSeq: Math.max(...chain.keys())
        })
      }),
      { seed: 4 }
    ))

  it.effect("CFG-09 without a majority nothing closes, and with it again all goes on where it was", () =>
    World.run(
      Effect.gen(function*() {
        const { bus, identities, nodes, start } = yield* network()
        yield* Effect.sleep("5200 millis")
        for (const node of nodes.slice(2)) node.isUp = false
        yield* Effect.sleep("2 seconds") // what was under way when they left
        const stopped = nodes[0]!.toy.stats().ledgerSeq
        for (let i = 0; i < 20; i++) nodes[i % 2]!.toy.submit(envelope(i + 1))
        yield* Effect.sleep("60 seconds")
        assert.strictEqual(nodes[0]!.toy.stats().ledgerSeq, stopped)
        // One comes back as it was; another has lost its memory.
        yield* bus.reconnect(nodes[2]!)
        const [lost] = nodes.splice(3, 1)
        const fresh = yield* start(identities[3]!)
        yield* bus.reconnect(fresh)
        yield* Effect.sleep("60 seconds")
        assert.isFalse(lost!.isUp)
        const up = [...nodes.slice(0, 3), fresh].map(({ toy }) => toy)
        assertOneChain(up)
        for (const toy of up) assert.isAbove(toy.stats().ledgerSeq, stopped + 20)
        for (const toy of up.slice(0, 2)) assert.strictEqual(toy.stats().transactionsApplied, 20)
      }),
      { seed: 5 }
    ))

  it.effect("CFG-09 over 3 seeds of slow links and nodes that come and go, there is one chain", () =>
    World.runSeeds(3, () =>
      Effect.gen(function*() {
        const world = yield* World.World
        const random = world.random("chaos")
        const { bus, nodes } = yield* network({ latencyMillis: 20 + random.nextBelowUnsafe(400) })
        let sent = 0
        for (let second = 0; second < 40; second++) {
          for (let i = 0; i < 3; i++) nodes[random.nextBelowUnsafe(5)]!.toy.submit(envelope(++sent))
          const node = nodes[random.nextBelowUnsafe(5)]!
          if (random.nextBelowUnsafe(4) === 0) {
            if (node.isUp) node.isUp = false
            else yield* bus.reconnect(node)
          }
          yield* Effect.sleep(500 + random.nextBelowUnsafe(1000))
        }
        for (const node of nodes) if (!node.isUp) yield* bus.reconnect(node)
        const before = Math.max(...nodes.map(({ toy }) => toy.stats().ledgerSeq))
        yield* Effect.sleep("60 seconds")
        assertOneChain(nodes.map(({ toy }) => toy))
        for (const { toy } of nodes) {
          assert.isAbove(toy.stats().ledgerSeq, before + 5)
          const applied = toy.ledgers().flatMap(({ transactions }) => transactions.map(hex))
          assert.strictEqual(new Set(applied).size, applied.length)
        }
      })))

  it.effect("CFG-09 a node that is no validator follows, and ledgers are told as they close", () =>
    World.run(
      Effect.gen(function*() {
        const { bus, nodes } = yield* network({ nodes: 4, followers: 1 })
        const follower = nodes[3]!
        const told: Array<number> = []
        yield* Effect.forkScoped(
          Stream.runForEach(follower.toy.ledgerClosed, ({ ledgerSeq }) => Effect.sync(() => told.push(ledgerSeq))),
          { startImmediately: true }
        )
        follower.toy.submit(envelope(1))
        yield* Effect.sleep("10500 millis")
        assert.deepStrictEqual(told, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
        assertOneChain(nodes.map(({ toy }) => toy))
        assert.strictEqual(nodes[0]!.toy.stats().transactionsApplied, 1)
        assert.isFalse(bus.seen.some((m) => m._tag === "ScpMessage" && m.nodeId === follower.id))
      }),
      { seed: 6 }
    ))

  it.effect("COD-02 every message it makes is valid XDR that stellar-base writes the same way, and is signed", () =>
    World.run(
      Effect.gen(function*() {
        const { bus, nodes } = yield* network()
        nodes[1]!.isUp = false // for second rounds
        for (let i = 0; i < 25; i++) nodes[0]!.toy.submit(envelope(i + 1))
        yield* Effect.sleep("12 seconds")
        const items: Array<StellarMessage> = []
        for (const message of bus.seen) {
          if (message._tag !== "ScpMessage") continue
          assert.isTrue(isValid(crypto, networkId, message))
          const quorumSet = yield* nodes[0]!.toy.host.quorumSet(message.quorumSetHash)
          if (quorumSet !== undefined) items.push(quorumSet)
          for (const hash of message.txSetHashes) {
            const txSet = yield* nodes[0]!.toy.host.txSet(hash)
            if (txSet !== undefined) items.push(txSet)
          }
          for (const value of message.values) {
            const read = xdr.StellarValue.fromXDR(Buffer.from(value))
            const { nodeId, signature } = {
              nodeId: read.ext().lcValueSignature().nodeId(),
              signature: read.ext().lcValueSignature().signature()
            }
            const data = Buffer.concat([
              networkId,
              Uint8Array.of(0, 0, 0, 4),
              read.txSetHash(),
              read.closeTime().toXDR()
            ])
            assert.isTrue(crypto.ed25519Verify(nodeId.ed25519(), data, signature))
          }
        }
        assert.isAbove(items.length, 20)
        for (const message of [...bus.seen, ...items]) {
          assert.strictEqual(validateStellarMessage(message.bytes, 0, message.size), -1)
          assert.deepStrictEqual(
            new Uint8Array(xdr.StellarMessage.fromXDR(Buffer.from(message.bytes)).toXDR()),
            message.bytes
          )
        }
      }),
      { seed: 7 }
    ))
})

describe("what a toy ledger refuses", () => {
  const alone = (options: Partial<ToyLedger.Options> = {}) => {
    const one = identity("node 0")
    return ToyLedger.make({
      identity: one,
      networkId,
      crypto,
      validators: [one.nodeId, identity("node 1").nodeId],
      ...options
    })
  }

  it.effect("PEE-12 a transaction twice, or one too many", () =>
    World.run(
      Effect.gen(function*() {
        const toy = yield* alone({ maxPending: 3 })
        const verdicts = [1, 1, 2, 3, 4].map((n) => toy.submit(envelope(n)))
        assert.deepStrictEqual(verdicts, ["pending", "duplicate", "pending", "pending", "rejected"])
        const message = Transaction.make({ envelope: envelope(1) })
        const hash = crypto.sha256(message.envelope)
        assert.deepStrictEqual(yield* toy.host.receiveTransactions([message], [hash], identity("x").nodeId), [
          "duplicate"
        ])
        assert.strictEqual(toy.host.transactionStatus(hash), "known")
        assert.deepStrictEqual(toy.host.transaction(hash)?.bytes, message.bytes)
        const said: Array<string> = []
        toy.attach(({ _tag }) => said.push(_tag))
        assert.deepStrictEqual(said, ["Transaction", "Transaction", "Transaction"])
      }),
      { seed: 8 }
    ))

  it.effect("A10 A11 A12 statements of strangers, of forgotten slots, and those that nobody signed", () =>
    World.run(
      Effect.gen(function*() {
        const toy = yield* alone()
        const [other, stranger] = [identity("node 1"), identity("stranger")]
        const value = Xdr.stellarValue(other, networkId, new Uint8Array(32).fill(5), 1_767_225_600)
        const pledge: Xdr.Pledge = { kind: "EXTERNALIZE", ballot: { counter: 1, value } }
        const said = (by: Xdr.Signer, slot: number, network = networkId) =>
          toy.host.receiveScp([Xdr.scpMessage(by, network, slot, pledge, new Uint8Array(32))], other.nodeId)
        assert.deepStrictEqual(yield* said(stranger, 2), [{ _tag: "discard" }])
        assert.deepStrictEqual(yield* said(other, 0), [{ _tag: "discard" }])
        assert.deepStrictEqual(yield* said(other, 2, new Uint8Array(32)), [{ _tag: "discard", badSignature: true }])
        assert.deepInclude((yield* said(other, 2))[0], { _tag: "hold" })
        assert.strictEqual(toy.stats().badSignatures, 1)
      }),
      { seed: 9 }
    ))
})
