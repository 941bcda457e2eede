/** The toy ledger: nodes that are wired to each other without an overlay, then whole nodes over a simulated network. */
import { assert, describe, it } from "@effect/vitest"
import type { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
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

const { primitives: crypto } = TestCrypto.make("toy")
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
        seqNum: xdr.SequenceNumber.fromString("0"),
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
    return message._tag === "ScpMessage" ? this.judge(from.toy.host, host, message, from.id) : Effect.void
  }

  judge(source: Host, host: Host, message: ScpMessage, from: NodeId.NodeId | undefined): Effect.Effect<void> {
    const self = this
    return Effect.gen(function*() {
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
      if (verdict.txSets.length + verdict.quorumSets.length > 0) {
        const [again] = yield* host.receiveScp([message], undefined)
        if (again?._tag === "hold" && again.txSets.length === 0) yield* self.judge(source, host, message, undefined)
      }
    })
  }

  /** A node comes back, and gets the others' SCP state as new peers do. */
  readonly reconnect = (node: Bus["nodes"][number]): Effect.Effect<void, never, Scope.Scope> => {
    node.isUp = true
    return Effect.forEach(this.nodes, (other) =>
      other === node || !other.isUp
        ? Effect.void
        : Effect.flatMap(other.toy.host.scpState(node.toy.host.scpStateFrom()), (messages) =>
          Effect.forEach(messages, (message) => {
            node.known.add(hex(message.bytes))
            return this.judge(other.toy.host, node.toy.host, message, other.id)
          }, { discard: true })), { discard: true })
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
    const scope = yield* Effect.scope
    const context = yield* Effect.context<Scope.Scope>()
    for (const one of identities) {
      const toy = yield* ToyLedger.make({
        identity: one,
        networkId,
        crypto,
        validators,
        maxSlotsToRemember: options.maxSlotsToRemember
      })
      const node = bus.join(one.nodeId, toy)
      toy.attach((message) => Effect.runForkWith(context)(bus.say(node, message), { scheduler: undefined }))
    }
    return { bus, nodes: bus.nodes, scope }
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
        yield* Effect.sleep("5 seconds")
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
})
