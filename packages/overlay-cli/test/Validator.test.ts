import { assert, describe, it } from "@effect/vitest"
import { type Identity, NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import * as NodeOverlayCrypto from "@stellar-overlay/overlay/NodeOverlayCrypto"
import { passphrases } from "@stellar-overlay/overlay/OverlayConfig"
import { OverlayCrypto } from "@stellar-overlay/overlay/OverlayCrypto"
import type { Primitives } from "@stellar-overlay/overlay/protocol/Primitives"
import {
  FloodDemand,
  fromUntrusted,
  GetScpQuorumSet,
  GetScpState,
  GetTxSet,
  ScpMessage,
  type StellarMessage
} from "@stellar-overlay/overlay/wire/StellarMessage"
import { Keypair, Networks, TransactionBuilder, xdr } from "@stellar/stellar-base"
import { Effect, Layer, Result } from "effect"
import * as Payments from "../src/demo/payments.ts"
import { type Action, Validator } from "../src/demo/Validator.ts"

/** Validators joined by a perfect wire: what one says to everybody, all others hear, in the order in which it was said. */
class Town {
  readonly validators: ReadonlyArray<Validator>
  readonly identities: ReadonlyArray<Identity>
  readonly heard: Array<{ readonly from: number; readonly to: number; readonly message: StellarMessage }> = []
  readonly #queue: Array<() => void> = []
  now = 0

  constructor(identities: ReadonlyArray<Identity>, crypto: Primitives, networkId: Uint8Array) {
    this.identities = identities
    const validators = identities.map(({ nodeId, publicKey }) => ({ id: nodeId, publicKey }))
    this.validators = identities.map((identity) => new Validator({ identity, networkId, validators, crypto }))
  }

  perform(from: number, sender: number | undefined, actions: ReadonlyArray<Action>): void {
    for (const { message, to } of actions) {
      if (to === "watchers") continue
      for (let i = 0; i < this.validators.length; i++) {
        if (i !== from && (to === "everybody" || i === sender)) this.#queue.push(() => this.#deliver(from, i, message))
      }
    }
  }

  #deliver(from: number, to: number, message: StellarMessage): void {
    assert.isTrue(Result.isSuccess(fromUntrusted(message.bytes)), `${message._tag} is valid`)
    this.heard.push({ from, to, message })
    this.perform(to, from, this.validators[to]!.receive(message, this.now))
  }

  settle(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next()
  }
}

const town = (count: number) =>
  Effect.gen(function*() {
    const crypto = yield* OverlayCrypto
    const identities = yield* Effect.forEach(
      Array.from({ length: count }),
      () => Effect.provide(NodeIdentity, Layer.fresh(NodeIdentity.layerRandom))
    )
    const networkId = crypto.sha256(new TextEncoder().encode(passphrases.standalone))
    return { crypto, networkId, town: new Town(identities, crypto, networkId) }
  }).pipe(Effect.provide(NodeOverlayCrypto.layer))

const tags = ({ heard }: Town) => [...new Set(heard.map(({ message }) => message._tag))]

describe("Validator", () => {
  for (const count of [2, 3, 5]) {
    it.effect(`${count} nodes close ledgers with each other's transactions, by valid messages alone`, () =>
      Effect.gen(function*() {
        const made = yield* town(count)
        const { validators } = made.town
        const payments = Payments.make({
          from: made.town.identities[0]!,
          to: made.town.identities[1]!.nodeId,
          networkPassphrase: passphrases.standalone,
          crypto: made.crypto
        })
        for (let slot = 1; slot <= 20; slot++) {
          made.town.now = slot * 1000
          made.town.perform(0, undefined, validators[0]!.submit([payments.next(), payments.next()]))
          made.town.settle()
          const proposer = slot % count
          const now = { millis: made.town.now, unixSeconds: slot }
          made.town.perform(proposer, undefined, validators[proposer]!.propose(slot, now))
          made.town.settle()
          for (const validator of validators) {
            const closed = validator.closed.splice(0)
            assert.deepStrictEqual(closed, [{ slot, transactions: 2, millis: 0 }])
            assert.strictEqual(validator.pendingTransactions, 0)
            assert.strictEqual(validator.badSignatures, 0)
          }
        }
        assert.sameMembers(tags(made.town), [
          "ScpMessage",
          "FloodAdvert",
          "FloodDemand",
          "Transaction",
          "GetTxSet",
          "GeneralizedTxSet",
          "GetScpQuorumSet",
          "ScpQuorumSet"
        ])
      }))
  }

  it.effect("a vote that superseded the one before it in a queue counts as both", () =>
    Effect.gen(function*() {
      const made = yield* town(3)
      const [a, b] = made.town.validators as [Validator, Validator]
      const said: Array<StellarMessage> = []
      const collect = (actions: ReadonlyArray<Action>) => said.push(...actions.map(({ message }) => message))
      collect(a.propose(1, { millis: 0, unixSeconds: 0 }))
      // b hears all of a, and a hears of b only CONFIRM, as when PREPARE was replaced on its way
      const fromB: Array<StellarMessage> = []
      for (const message of said) for (const action of b.receive(message, 0)) fromB.push(action.message)
      const wants = fromB.find((message) => message instanceof GetTxSet)!
      for (const { message } of a.receive(wants, 0)) {
        for (const action of b.receive(message, 0)) fromB.push(action.message)
      }
      const confirm = fromB.find((message) => message instanceof ScpMessage && message.statementType === "CONFIRM")!
      const answer = a.receive(confirm, 0).map(({ message }) => message instanceof ScpMessage && message.statementType)
      assert.includeMembers(answer, ["CONFIRM", "EXTERNALIZE"])
      assert.strictEqual(a.closedSlot, 1)
    }))

  it.effect("a statement with a wrong signature is not believed", () =>
    Effect.gen(function*() {
      const made = yield* town(2)
      const [a, b] = made.town.validators as [Validator, Validator]
      const [{ message }] = a.propose(1, { millis: 0, unixSeconds: 0 }) as [Action]
      const forged = message.bytes.slice()
      forged[forged.length - 1]! ^= 1
      assert.deepStrictEqual(b.receive(new ScpMessage(forged), 0), [])
      assert.strictEqual(b.badSignatures, 1)
      assert.isNotEmpty(b.receive(message, 0))
    }))

  it.effect("what it does not have it says so, and a state that was asked for is given", () =>
    Effect.gen(function*() {
      const made = yield* town(2)
      const [a] = made.town.validators as [Validator]
      const nothing = new Uint8Array(32).fill(9)
      for (const question of [GetTxSet.make({ hash: nothing }), GetScpQuorumSet.make({ hash: nothing })]) {
        const [answer, ...more] = a.receive(question, 0)
        assert.deepStrictEqual([answer!.to, answer!.message._tag, more], ["sender", "DontHave", []])
      }
      assert.deepStrictEqual(a.receive(FloodDemand.make({ hashes: [nothing] }), 0), [])
      a.propose(1, { millis: 0, unixSeconds: 0 })
      const state = a.receive(GetScpState.make({ ledgerSeq: 0 }), 0).map(({ message }) => message._tag)
      assert.deepStrictEqual(state, ["ScpMessage", "ScpMessage"])
      assert.deepStrictEqual(a.receive(GetScpState.make({ ledgerSeq: 2 }), 0), [])
    }))
})

describe("Payments", () => {
  it.effect("each is another transaction, correctly signed, as stellar-base sees it", () =>
    Effect.gen(function*() {
      const { crypto, town: { identities: [from, to] } } = yield* town(2)
      const payments = Payments.make({ from: from!, to: to!.nodeId, networkPassphrase: Networks.STANDALONE, crypto })
      const hashes = new Set<string>()
      for (let i = 1; i <= 20; i++) {
        const { envelope } = payments.next()
        const parsed = TransactionBuilder.fromXDR(
          xdr.TransactionEnvelope.fromXDR(Buffer.from(envelope)),
          Networks.STANDALONE
        )
        assert.strictEqual("sequence" in parsed && parsed.sequence, String(i))
        assert.isTrue(Keypair.fromPublicKey(from!.nodeId).verify(parsed.hash(), parsed.signatures[0]!.signature()))
        hashes.add(parsed.hash().toString("hex"))
      }
      assert.strictEqual(hashes.size, 20)
    }))
})
