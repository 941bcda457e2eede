import { assert, describe, it } from "@effect/vitest"
import { INITIAL_LATENCY_MILLIS } from "@stellar-overlay/overlay/protocol/Liveness"
import { type MessageTag, MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { DontHave, GetScpQuorumSet, GetTxSet, type StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import { directions } from "./links.ts"
import { layer, leavingNothing, within } from "./local.ts"
import { randomMessages } from "./samples.ts"

/** All that may come after the handshake, but for credit, PEERS, and the survey types 21 to 24 the connector is too old for. */
const tags = [
  "DontHave",
  "GetTxSet",
  "TxSet",
  "Transaction",
  "GetScpQuorumSet",
  "ScpQuorumSet",
  "ScpMessage",
  "GetScpState",
  "GeneralizedTxSet",
  "FloodAdvert",
  "FloodDemand"
] as const satisfies ReadonlyArray<MessageTag>

/** GET_SCP_STATE is answered ten times a minute (protocol.md 7). */
const EACH = 10

const all = (canSendPeers: boolean) => [
  ...tags.flatMap((tag) => randomMessages(tag, EACH)),
  ...canSendPeers ? randomMessages("Peers", 1) : []
]

/** The bytes by type: queues have priorities, within a type the order is kept. */
const byType = (messages: Iterable<StellarMessage>) => {
  const types: { [tag: string]: Array<string> } = {}
  for (const { _tag, bytes } of messages) (types[_tag] ??= []).push(Buffer.from(bytes).toString("hex"))
  return types
}

describe("interop: messages", () => {
  for (const { link, role, title } of directions) {
    const ours = { answers: "deliver", scpStateFrom: "none" } as const

    it.live(`SIM-05 COD-04 ${title}: all it sends arrives typed, byte for byte`, () =>
      Effect.gen(function*() {
        const { foreign, peer } = yield* link({ ours })
        const sent = all(role === "initiator")
        assert.strictEqual(sent.length, tags.length * EACH + (role === "initiator" ? 1 : 0))
        for (const message of sent) foreign.send(message)
        const received = peer.messages.pipe(
          Stream.map((message) => message.retain()),
          Stream.take(sent.length),
          Stream.runCollect
        )
        assert.deepStrictEqual(byType(yield* within("all messages", received)), byType(sent))
      }).pipe(leavingNothing, Effect.provide(layer())))

    it.live(`SIM-05 COD-04 ${title}: it decodes all we send to the same bytes`, () =>
      Effect.gen(function*() {
        const { foreign, peer } = yield* link({ ours })
        const sent = all(role === "acceptor")
        yield* within("our sending", peer.sendAll(sent))
        assert.deepStrictEqual(byType(yield* foreign.takeN(sent.length)), byType(sent))
      }).pipe(leavingNothing, Effect.provide(layer())))

    it.live(`SIM-05 QRY-01 ${title}: a peer that holds nothing answers its questions with DONT_HAVE`, () =>
      Effect.gen(function*() {
        const { foreign } = yield* link({ ours: { scpStateFrom: "none" } })
        const hash = new Uint8Array(32).fill(7)
        foreign.send(GetScpQuorumSet.make({ hash }))
        foreign.send(GetTxSet.make({ hash }))
        const answers = yield* foreign.takeN(2)
        assert.deepStrictEqual(
          byType(answers),
          byType([
            DontHave.make({ itemType: MessageType.ScpQuorumSet, hash }),
            DontHave.make({ itemType: MessageType.GeneralizedTxSet, hash })
          ])
        )
      }).pipe(leavingNothing, Effect.provide(layer())))

    it.effect(`SIM-05 ${title}: our ping reaches its user, whose DONT_HAVE we time; unanswered it harms nothing`, () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(Date.now()) // the connector checks certificates by the real clock
        const { foreign, peer } = yield* link({ ours: { scpStateFrom: "none" } })
        yield* TestClock.adjust("5 seconds")
        const { hash } = yield* foreign.takeOf("GetScpQuorumSet")
        assert.deepStrictEqual([...hash.subarray(8)], Array.from({ length: 24 }, () => 0))
        yield* TestClock.adjust("4 seconds")
        // The connector itself says nothing; its user has to.
        const { liveness } = peer.session
        assert.deepStrictEqual([liveness.isPinging, liveness.latencyMillis], [true, INITIAL_LATENCY_MILLIS])
        foreign.send(DontHave.make({ itemType: MessageType.ScpQuorumSet, hash }))
        foreign.send(GetTxSet.make({ hash }))
        yield* foreign.takeOf("DontHave")
        assert.deepStrictEqual([liveness.isPinging, liveness.latencyMillis], [false, 4000])
        assert.isUndefined(peer.session.dropReason)
      }).pipe(leavingNothing, Effect.provide(layer())))
  }
})
