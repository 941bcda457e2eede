/**
 * The rows of FloodTests.cpp as stories of whole nodes, over whatever connects them: twenty items, injected in turn at
 * all nodes, reach every node.
 */
import { assert } from "@effect/vitest"
import { Effect, Latch, Layer } from "effect"
import type { OverlayConfig } from "../../src/OverlayConfig.ts"
import type { OverlayCrypto } from "../../src/OverlayCrypto.ts"
import { OverlayHost } from "../../src/OverlayHost.ts"
import * as OverlayHostRelay from "../../src/OverlayHostRelay.ts"
import type { NodeId } from "../../src/wire/NodeId.ts"
import type { ScpMessage, StellarMessage, Transaction } from "../../src/wire/StellarMessage.ts"
import { quorumSet, scp, txSet, type Validator, validator, value } from "../host/fixtures.ts"
import { hexOf, transaction } from "./messages.ts"
import type { MemoryHost } from "./network.ts"

export const ITEMS = 20

const numbers = Array.from({ length: ITEMS }, (_, n) => n)

export interface TransactionNode {
  readonly host: MemoryHost
  readonly submit: (message: Transaction) => number
}

/** FLD-001 to FLD-007: every node's pool holds all twenty transactions. */
export const floodTransactions = Effect.fnUntraced(function*(nodes: ReadonlyArray<TransactionNode>) {
  for (const n of numbers) nodes[n % nodes.length]!.submit(transaction(n + 1))
  yield* Effect.forEach(nodes, ({ host }) => host.until(() => host.pool.size === ITEMS), { concurrency: "unbounded" })
  const all = numbers.map((n) => hexOf(transaction(n + 1))).sort()
  for (const { host } of nodes) assert.deepStrictEqual([...host.pool.keys()].sort(), all)
})

/** A relay, and a way to wait for what it keeps. */
export interface RelayNode {
  readonly made: OverlayHostRelay.Relay
  readonly changed: Latch.Latch
  readonly layer: Layer.Layer<OverlayHost>
}

export const makeRelay = (
  environment: Layer.Layer<OverlayConfig | OverlayCrypto>
): Effect.Effect<RelayNode> =>
  Effect.gen(function*() {
    const made = yield* OverlayHostRelay.make()
    const changed = Latch.makeUnsafe(false)
    const host: OverlayHost["Service"] = {
      ...made.host,
      receiveScp: (messages, from) => Effect.tap(made.host.receiveScp(messages, from), () => changed.open)
    }
    return { made, changed, layer: Layer.succeed(OverlayHost, host) }
  }).pipe(Effect.provide(environment))

const SLOT = 3

/** PREPARE for the slot by one of twenty keys, with its transaction set; all name one quorum set. */
const keys: ReadonlyArray<Validator> = numbers.map((n) => validator(200 + n))
const theQuorumSet = quorumSet({
  threshold: 4,
  validators: [301, 302, 303].map(validator),
  innerSets: [{ threshold: 11, validators: keys }]
})

export interface ScpNode {
  readonly relay: RelayNode
  readonly broadcast: (message: StellarMessage) => number
}

const inject = Effect.fnUntraced(function*({ broadcast, relay: { made } }: ScpNode, n: number) {
  const { hash, message } = txSet(n + 1)
  made.envelopes.receiveTxSet(hash, message)
  made.envelopes.receiveQuorumSet(theQuorumSet.hash, theQuorumSet.message)
  const envelope: ScpMessage = scp({
    by: keys[n]!,
    slot: SLOT,
    kind: "PREPARE",
    value: value(hash),
    quorumSet: theQuorumSet.hash
  })
  const [verdict] = yield* made.host.receiveScp([envelope], undefined)
  assert.strictEqual(verdict?._tag, "relay")
  broadcast(envelope)
})

const untilAll = (relay: RelayNode): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (relay.made.envelopes.state.nodes(SLOT).length === ITEMS) return Effect.void
    relay.changed.closeUnsafe()
    return Effect.andThen(relay.changed.await, untilAll(relay))
  })

/** FLD-008 to FLD-011: every node's SCP state for the slot holds the messages of all twenty keys. */
export const floodScp = Effect.fnUntraced(function*(nodes: ReadonlyArray<ScpNode>) {
  for (const n of numbers) yield* inject(nodes[n % nodes.length]!, n)
  yield* Effect.forEach(nodes, ({ relay }) => untilAll(relay), { concurrency: "unbounded" })
  const all: ReadonlyArray<NodeId> = keys.map(({ id }) => id).sort()
  for (const { relay } of nodes) {
    assert.deepStrictEqual([...relay.made.envelopes.state.nodes(SLOT)].sort(), all)
    for (const n of numbers) assert.isDefined(relay.made.envelopes.txSets.get(txSet(n + 1).hash))
  }
})
