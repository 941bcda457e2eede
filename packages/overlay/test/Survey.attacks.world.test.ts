import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DropReason from "../src/DropReason.ts"
import * as SurveyCrypto from "../src/protocol/SurveyCrypto.ts"
import type { NodeId } from "../src/wire/NodeId.ts"
import {
  type StellarMessage,
  TimeSlicedSurveyRequest,
  TimeSlicedSurveyResponse,
  TimeSlicedSurveyStartCollecting,
  TimeSlicedSurveyStopCollecting
} from "../src/wire/StellarMessage.ts"
import { idOf } from "./surveyFixtures.ts"
import { CLOSE_MILLIS, ids, type Node, peersOf, phases, propagate, report, run, setup, start } from "./surveyWorld.ts"

/** The ledger of the simulated clock. */
const ledgerNum = Effect.clockWith((clock) => clock.currentTimeMillis).pipe(
  Effect.map((millis) => 100 + Math.floor((millis - 1_767_225_600_000) / CLOSE_MILLIS))
)

/** X - Y - Z, where the quorum trusts what the test says. X is the hostile one. */
const line = Effect.fnUntraced(function*() {
  const quorum = new Set<NodeId>()
  const [X, Y, Z] = [yield* start(1, { quorum }), yield* start(2, { quorum }), yield* start(3, { quorum })] as const
  yield* X.connect(Y)
  yield* Y.connect(Z)
  return { X, Y, Z, quorum }
})

const count = (node: Node, tag: StellarMessage["_tag"]) =>
  node.received.filter(({ message }) => message._tag === tag).length

const startFrom = (surveyor: Pick<Node, "id" | "sign">, ledger: number, nonce = 1) =>
  SurveyCrypto.signed(
    TimeSlicedSurveyStartCollecting.make,
    { surveyorId: surveyor.id, nonce, ledgerNum: ledger },
    surveyor.sign
  )

const stopFrom = (surveyor: Pick<Node, "id" | "sign">, ledger: number, nonce = 1) =>
  SurveyCrypto.signed(
    TimeSlicedSurveyStopCollecting.make,
    { surveyorId: surveyor.id, nonce, ledgerNum: ledger },
    surveyor.sign
  )

const requestFrom = (surveyor: Pick<Node, "id" | "sign">, surveyedId: NodeId, ledger: number, nonce = 1) =>
  SurveyCrypto.signed(TimeSlicedSurveyRequest.make, {
    surveyorId: surveyor.id,
    surveyedId,
    ledgerNum: ledger,
    encryptionKey: new Uint8Array(32).fill(9),
    nonce,
    inboundPeersIndex: 0,
    outboundPeersIndex: 0
  }, surveyor.sign)

const responseTo = (
  surveyor: { readonly id: NodeId },
  surveyed: Pick<Node, "id" | "sign">,
  ledger: number,
  encryptedBody: Uint8Array,
  nonce = 0xcafe
) =>
  SurveyCrypto.signed(TimeSlicedSurveyResponse.make, {
    surveyorId: surveyor.id,
    surveyedId: surveyed.id,
    ledgerNum: ledger,
    encryptedBody,
    nonce
  }, surveyed.sign)

/** The same message with the last byte of its signature changed. */
const forged = <M extends SurveyCrypto.SurveyMessage>(message: M): M => {
  const bytes = message.bytes.slice()
  bytes[71]! ^= 1
  const Self = message.constructor as new(bytes: Uint8Array) => M
  return new Self(bytes)
}

const dropsOf = (node: Node) => node.events.flatMap((event) => event._tag === "PeerDropped" ? [event.reason] : [])

describe("attacks on surveys", () => {
  it.effect("S1 SUR-14 a permitted surveyor's storm of requests is relayed ten in a ledger, each once", () =>
    run(Effect.gen(function*() {
      const { quorum, X, Y, Z } = yield* line()
      quorum.add(X.id)
      yield* report(X, 1)
      const ledger = yield* ledgerNum
      for (let round = 0; round < 3; round++) {
        for (let n = 1; n <= 100; n++) X.send(Y, requestFrom(X, idOf(n), ledger))
      }
      yield* Effect.sleep(500)
      assert.strictEqual(count(Y, "TimeSlicedSurveyRequest"), 300)
      assert.strictEqual(count(Z, "TimeSlicedSurveyRequest"), 10)
      assert.strictEqual(Y.survey.limiter.size, 10)
      for (let ahead = -20; ahead <= 20; ahead++) {
        for (let n = 1; n <= 11; n++) X.send(Y, requestFrom(X, idOf(n), ledger + ahead))
      }
      yield* Effect.sleep(300)
      assert.strictEqual(Y.survey.limiter.size, 130, "thirteen ledgers")
      assert.isDefined(Y.peers.get(X.id), "all of them were signed")
      yield* Effect.sleep(20 * CLOSE_MILLIS)
      assert.strictEqual(Y.survey.limiter.size, 0)
    })))

  it.effect("S1 S3 without permission nothing is relayed, answered, kept or checked", () =>
    run(Effect.gen(function*() {
      const { quorum, X, Y, Z } = yield* line()
      quorum.add(Z.id)
      yield* report(Z, 1)
      const before = { ...Y.survey.stats }
      const ledger = yield* ledgerNum
      X.send(Y, startFrom(X, ledger, 2))
      X.send(Y, stopFrom(X, ledger))
      for (let n = 1; n <= 50; n++) X.send(Y, requestFrom(X, n === 1 ? Y.id : idOf(n), ledger))
      X.send(Y, forged(startFrom(X, ledger, 2)))
      yield* Effect.sleep(500)
      assert.strictEqual(Y.survey.stats.ignored, before.ignored + 53)
      assert.deepStrictEqual([Y.survey.stats.accepted, Y.survey.stats.answered], [before.accepted, 0])
      assert.deepStrictEqual(Z.received, [])
      assert.deepStrictEqual(phases([Y]), ["REPORTING 1"])
    })))

  for (
    const [name, make] of [
      ["START", ({ A, ledger }: Forgery) => startFrom(A, ledger, 0xcafe)],
      ["STOP", ({ A, ledger }: Forgery) => stopFrom(A, ledger, 0xcafe)],
      ["REQUEST", ({ A, ledger }: Forgery) => requestFrom(A, idOf(9), ledger, 0xcafe)],
      ["RESPONSE", ({ A, C, ledger }: Forgery) => responseTo(A, C, ledger, new Uint8Array(48))]
    ] as const
  ) {
    it.effect(`S2 SUR-09 a peer that relays a forged ${name} is dropped, and told why`, () =>
      run(Effect.gen(function*() {
        const { A, B, C } = yield* setup()
        if (name === "STOP") A.survey.startCollecting(0xcafe)
        else if (name !== "START") yield* report(A)
        yield* propagate
        const ledger = yield* ledgerNum
        // What the response answers; C itself hears the request later than the forgery comes.
        if (name === "RESPONSE") A.send(B, requestFrom(A, C.id, ledger, 0xcafe))
        yield* Effect.sleep(30)
        const before = phases([A, B])
        const good = make({ A, C, ledger })
        A.send(B, forged(good))
        yield* Effect.sleep(200)
        assert.isUndefined(B.peers.get(A.id))
        assert.strictEqual(B.survey.stats.invalidSignatures, 1)
        const [reason] = dropsOf(B)
        assert.strictEqual(reason?._tag, "SurveySignature")
        const [told] = dropsOf(A)
        assert.strictEqual(told?._tag, "ErrorReceived")
        assert.include(DropReason.text(told!), "Survey has invalid signature")
        assert.deepStrictEqual(phases([A, B]), before)
        assert.isDefined(B.peers.get(C.id), "the others stay")
      })))
  }

  it.effect("S2 what a peer sent after a forgery costs no more signature checks", () =>
    run(Effect.gen(function*() {
      const { quorum, X, Y } = yield* line()
      quorum.add(X.id)
      const ledger = yield* ledgerNum
      for (let i = 0; i < 200; i++) X.send(Y, forged(startFrom(X, ledger, i)))
      yield* Effect.sleep(500)
      assert.strictEqual(Y.survey.stats.invalidSignatures, 1)
    })))

  it.effect("S2 SUR-08 a response is taken once, and none that nobody asked for", () =>
    run(Effect.gen(function*() {
      const { quorum, X, Y, Z } = yield* line()
      quorum.add(X.id)
      yield* report(X)
      X.ask(Z)
      yield* propagate
      const [response] = X.received.flatMap(({ message }) =>
        message._tag === "TimeSlicedSurveyResponse" ? [message] : []
      )
      const answer = X.topology()[Z.id]
      assert.isNotNull(answer)
      const before = Y.survey.stats.accepted
      for (let i = 0; i < 20; i++) Z.send(Y, response!)
      Z.send(Y, responseTo(X, Y, response!.ledgerNum, new Uint8Array(48)))
      Z.send(Y, responseTo(Y, Z, response!.ledgerNum, new Uint8Array(48)))
      Z.send(Y, responseTo(X, Z, response!.ledgerNum + 1, new Uint8Array(48)))
      yield* Effect.sleep(500)
      assert.strictEqual(Y.survey.stats.accepted, before)
      assert.strictEqual(count(X, "TimeSlicedSurveyResponse"), 1)
      assert.deepStrictEqual(X.topology()[Z.id], answer)
    })))

  it.effect("S2 SUR-17 the largest body of garbage, signed by who was asked, is a bad response", () =>
    run(Effect.gen(function*() {
      const { quorum, X, Y, Z } = yield* line()
      quorum.add(X.id)
      yield* report(X)
      // Z denies, so that the test can answer in its place.
      Z.survey.state.update(Infinity)
      X.ask(Z)
      yield* Effect.sleep(3500)
      const [request] = Z.received.flatMap(({ message }) => message._tag === "TimeSlicedSurveyRequest" ? [message] : [])
      Z.send(Y, responseTo(X, Z, request!.ledgerNum, new Uint8Array(64_000).fill(1)))
      yield* Effect.sleep(500)
      assert.deepStrictEqual(X.survey.results().badResponseNodes, [Z.id])
      assert.isNull(X.topology()[Z.id])
      assert.isDefined(X.peers.get(Y.id))
    })))

  it.effect("SVM-006 S2 SUR-08 an answer to a question the surveyor did not ask is ignored", () =>
    run(Effect.gen(function*() {
      const { A, B, D } = yield* setup()
      yield* report(A)
      A.ask(B)
      yield* Effect.sleep(3500)
      A.send(D, requestFrom(A, D.id, yield* ledgerNum, 0xcafe))
      yield* propagate
      assert.strictEqual(D.survey.stats.answered, 1)
      assert.strictEqual(count(A, "TimeSlicedSurveyResponse"), 2)
      assert.sameMembers(Object.keys(A.topology()), ids(A, B))
      assert.isDefined(peersOf(A, B))
    })))

  it.effect("S3 one survey at a time: churn of starts and stops, replays and used numbers change nothing", () =>
    run(Effect.gen(function*() {
      const { quorum, X, Y, Z } = yield* line()
      quorum.add(X.id)
      quorum.add(Z.id)
      Z.survey.startCollecting(7)
      yield* Effect.sleep(300)
      const ledger = yield* ledgerNum
      for (let i = 0; i < 100; i++) {
        X.send(Y, startFrom(X, ledger, i))
        X.send(Y, stopFrom(X, ledger, i))
      }
      yield* Effect.sleep(300)
      assert.deepStrictEqual(phases([X, Y, Z]), ["COLLECTING 7", "COLLECTING 7", "COLLECTING 7"])
      assert.strictEqual(count(Z, "TimeSlicedSurveyStartCollecting"), 0, "nothing was relayed")
      Z.survey.stopCollecting()
      yield* Effect.sleep(300)
      for (const old of Y.received.filter(({ from }) => from === Z.id)) X.send(Y, old.message)
      yield* Effect.sleep(300)
      assert.deepStrictEqual(phases([X, Y, Z]), ["REPORTING 7", "REPORTING 7", "REPORTING 7"])
      // Too late and too early.
      yield* Effect.sleep("182 minutes")
      assert.deepStrictEqual(phases([Y]), ["INACTIVE -"])
      const late = yield* ledgerNum
      X.send(Y, startFrom(X, late - 7))
      X.send(Y, startFrom(X, late + 8))
      X.send(Y, Y.received[0]!.message)
      yield* Effect.sleep(300)
      assert.deepStrictEqual(phases([Y]), ["INACTIVE -"])
      X.send(Y, startFrom(X, late - 5, 7))
      yield* Effect.sleep(300)
      assert.deepStrictEqual(phases([Y, Z]), ["COLLECTING 7", "COLLECTING 7"])
    })))

  it.effect("S3 a request of another surveyor with the number of a running survey is not answered", () =>
    run(Effect.gen(function*() {
      const { quorum, X, Y, Z } = yield* line()
      quorum.add(X.id)
      quorum.add(Z.id)
      yield* report(Z, 7)
      X.send(Y, requestFrom(X, Y.id, yield* ledgerNum, 7))
      yield* Effect.sleep(300)
      assert.strictEqual(Y.survey.stats.answered, 0)
      assert.strictEqual(count(X, "TimeSlicedSurveyResponse"), 0)
    })))

  it.effect("S3 a key that keeps no secret is not answered", () =>
    run(Effect.gen(function*() {
      const { quorum, X, Y } = yield* line()
      quorum.add(X.id)
      yield* report(X, 7)
      X.send(
        Y,
        SurveyCrypto.signed(TimeSlicedSurveyRequest.make, {
          surveyorId: X.id,
          surveyedId: Y.id,
          ledgerNum: yield* ledgerNum,
          encryptionKey: new Uint8Array(32),
          nonce: 7,
          inboundPeersIndex: 0,
          outboundPeersIndex: 0
        }, X.sign)
      )
      yield* Effect.sleep(300)
      assert.strictEqual(Y.survey.stats.answered, 0)
      assert.strictEqual(count(X, "TimeSlicedSurveyResponse"), 0)
      assert.isDefined(Y.peers.get(X.id))
    })))

  it.effect("S4 deny: nothing is collected, answered or relayed for others, and own surveys still work", () =>
    run(Effect.gen(function*() {
      const quorum = new Set<NodeId>()
      const A = yield* start(1, { quorum })
      const B = yield* start(2, { quorum, survey: { survey: "deny" }, surveyorKeys: [A.id] })
      const C = yield* start(3, { quorum, surveyorKeys: [A.id, B.id] })
      for (const { id } of [A, B, C]) quorum.add(id)
      yield* A.connect(B)
      yield* B.connect(C)
      yield* report(A)
      A.ask(B)
      A.ask(C)
      yield* propagate
      assert.deepStrictEqual([A.topology()[B.id], A.topology()[C.id]], [null, null])
      assert.deepStrictEqual(phases([B, C]), ["INACTIVE -", "INACTIVE -"])
      assert.deepStrictEqual(B.received, [], "dropped unseen")
      assert.deepStrictEqual(C.received, [])
      yield* report(B, 2)
      B.ask(C)
      yield* propagate
      assert.deepStrictEqual(peersOf(B, C), { inbound: [B.id], outbound: [] })
      yield* Effect.sleep("181 minutes")
      assert.isTrue(B.peers.authenticated().every(({ session }) => session.shedSurvey))
    })))

  it.effect("S4 keys: the quorum does not count, and without keys nobody may", () =>
    run(Effect.gen(function*() {
      const quorum = new Set<NodeId>()
      const A = yield* start(1, { quorum })
      quorum.add(A.id)
      const B = yield* start(2, { quorum, survey: { survey: "keys" } })
      const C = yield* start(3, { quorum, survey: { survey: "keys" }, surveyorKeys: [A.id] })
      yield* A.connect(B)
      yield* A.connect(C)
      yield* report(A)
      A.ask(B)
      A.ask(C)
      yield* propagate
      assert.isUndefined(peersOf(A, B))
      assert.deepStrictEqual(peersOf(A, C), { inbound: [A.id], outbound: [] })
    })))
})

interface Forgery {
  readonly A: Node
  readonly C: Node
  readonly ledger: number
}
