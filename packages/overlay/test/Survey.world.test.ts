import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { NodeId } from "../src/wire/NodeId.ts"
import { scp } from "./protocol/flowFixtures.ts"
import { ids, peersOf, phases, propagate, report, run, setup, start } from "./surveyWorld.ts"

const nonce = 0xdeadbeef

describe("a survey of five nodes", () => {
  it.effect("SVM-002 SVM-003 SUR-02 SUR-06 the surveyor sees itself, its neighbour, and nodes two hops away", () =>
    run(Effect.gen(function*() {
      const { A, B, C, D, E } = yield* setup()
      yield* report(A)
      assert.strictEqual(A.ask(B), "Queued")
      yield* propagate
      assert.sameMembers(Object.keys(A.topology()), [A.id, B.id])
      assert.deepStrictEqual(peersOf(A, A), { inbound: [D.id], outbound: [B.id] })
      const [a, b] = [A.topology()[A.id]!, A.topology()[B.id]!]
      assert.deepStrictEqual([a.numTotalInboundPeers, a.numTotalOutboundPeers], [1, 1])
      assert.strictEqual(peersOf(A, B)?.inbound[0], A.id)
      assert.sameMembers(peersOf(A, B)!.outbound, [C.id, E.id])
      assert.deepStrictEqual([b.numTotalInboundPeers, b.numTotalOutboundPeers], [1, 2])
      for (const entry of [a, b]) {
        assert.deepStrictEqual([entry.maxInboundPeerCount, entry.maxOutboundPeerCount], [64, 8])
      }
      A.ask(C)
      A.ask(E)
      yield* propagate
      assert.sameMembers(Object.keys(A.topology()), [A.id, B.id, C.id, E.id])
      for (const node of [C, E]) {
        assert.strictEqual(A.topology()[node.id]?.inboundPeers?.[0]?.nodeId, B.id)
        assert.isNull(A.topology()[node.id]?.outboundPeers)
      }
      assert.deepStrictEqual(A.survey.results().badResponseNodes, [])
    })))

  it.effect("SVM-004 SUR-10 S3 a surveyor outside the quorum is neither answered nor relayed", () =>
    run(Effect.gen(function*() {
      const { A, B, D } = yield* setup()
      yield* report(D)
      D.ask(A)
      D.ask(B)
      yield* propagate
      assert.sameMembers(Object.keys(D.topology()), [D.id, A.id, B.id])
      assert.isNotNull(D.topology()[D.id])
      assert.deepStrictEqual([D.topology()[A.id], D.topology()[B.id]], [null, null])
      assert.deepStrictEqual(phases([A, B]), ["INACTIVE -", "INACTIVE -"])
      assert.deepStrictEqual(B.received, [])
      assert.strictEqual(A.survey.limiter.size, 0)
    })))

  it.effect("SVM-005 SUR-10 S3 a list of surveyor keys takes the place of the quorum", () =>
    run(Effect.gen(function*() {
      const { A, B, C } = yield* setup()
      yield* report(C)
      C.ask(B)
      C.ask(A)
      yield* propagate
      const { topology } = C.survey.results()
      assert.sameMembers(Object.keys(topology), [A.id, B.id, C.id])
      assert.deepStrictEqual([topology[A.id], topology[B.id]], [null, null])
      assert.isNotNull(topology[C.id])
      assert.deepStrictEqual(A.received, [])
    })))

  it.effect("SUR-10 a surveyor in the list passes, though it is in nobody's quorum", () =>
    run(Effect.gen(function*() {
      const { B, C, E } = yield* setup()
      yield* report(E)
      E.ask(B)
      E.ask(C)
      yield* propagate
      assert.isDefined(peersOf(E, B))
      assert.isUndefined(peersOf(E, C), "C trusts its quorum alone")
    })))

  it.effect("SVM-007 SUR-16 twenty nodes, all connected: requests go in the order of the orders", () =>
    run(Effect.gen(function*() {
      const quorum = new Set<NodeId>()
      const config = { targetPeerConnections: 20, maxAdditionalPeerConnections: 60 }
      const nodes = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, i) => i + 1),
        (i) => start(i, { quorum, config })
      )
      const [first, ...others] = nodes
      for (const { id } of nodes) quorum.add(id)
      yield* Effect.forEach(nodes, (node, i) => Effect.forEach(nodes.slice(i + 1), (other) => node.connect(other)))
      yield* report(first!)
      for (const node of others) assert.strictEqual(first!.ask(node), "Queued")
      const look = () => {
        const backlog = new Set(first!.survey.results().backlog)
        return others.map(({ id }) => backlog.has(id) ? "queued" : "taken").join(" ")
      }
      const fifo = /^(taken ?)*(queued ?)*$/
      yield* Effect.sleep(1000)
      assert.match(look(), fifo)
      yield* Effect.sleep(2500)
      assert.strictEqual(first!.survey.results().backlog.length, 9, "ten in the first round")
      assert.match(look(), fifo)
      yield* propagate
      yield* Effect.sleep(1000)
      assert.strictEqual(first!.survey.results().backlog.length, 0)
      assert.isTrue(others.every((node) => peersOf(first!, node) !== undefined))
      const requests = others[0]!.received.filter(({ message }) => message._tag === "TimeSlicedSurveyRequest")
      assert.isAtMost(requests.length, 19 * 19)
      assert.strictEqual(first!.survey.stats.requested, 19)
    })))
})

describe("a time-sliced survey", () => {
  it.effect("SVM-008 SVM-009 SVM-010 SVM-011 SVM-012 SVM-013 SVM-014 the whole path", () =>
    run(Effect.gen(function*() {
      const { A, all, B, C, D, E } = yield* setup()
      assert.isTrue(A.survey.startCollecting(nonce))
      yield* Effect.sleep("5 minutes")
      assert.deepStrictEqual(phases(all), all.map(() => "COLLECTING deadbeef"))
      assert.isFalse(all.some(({ survey }) => survey.state.nonceIsReporting(nonce)))

      A.survey.stopCollecting()
      yield* Effect.sleep("1 minute")
      assert.deepStrictEqual(phases(all), all.map(() => "REPORTING deadbeef"))

      A.ask(B)
      yield* propagate
      assert.sameMembers(Object.keys(A.topology()), [A.id, B.id])
      for (const [node, isValidator] of [[A, true], [B, false]] as const) {
        const entry = A.topology()[node.id]!
        assert.deepStrictEqual([entry.addedAuthenticatedPeers, entry.droppedAuthenticatedPeers], [0, 0])
        assert.strictEqual(entry.isValidator, isValidator)
        assert.strictEqual(entry.lostSyncCount, 0)
        for (const peer of [...entry.inboundPeers ?? [], ...entry.outboundPeers ?? []]) {
          assert.strictEqual(peer.averageLatencyMs, 40, "twice the latency of the links")
          assert.isAtLeast(peer.secondsConnected, 300)
          assert.isAbove(peer.messagesRead, 60, "a ping every 5 s, one of theirs and their answer to ours")
          assert.isAbove(peer.bytesWritten, peer.messagesWritten * 40)
          assert.match(peer.version, /^node \d$/)
        }
      }

      A.ask(C)
      A.ask(E)
      yield* propagate
      assert.deepStrictEqual(peersOf(A, C), { inbound: [B.id], outbound: [] })
      assert.deepStrictEqual(peersOf(A, E), { inbound: [B.id], outbound: [] })

      A.ask(B, 1, 1)
      yield* propagate
      assert.strictEqual(Object.keys(A.topology()).length, 4)
      assert.isNull(A.topology()[B.id]?.inboundPeers)
      assert.strictEqual(A.topology()[B.id]?.outboundPeers?.length, 1)

      const order = (node: string, index: number) =>
        A.command(`surveytopologytimesliced?node=${node}&inboundpeerindex=${index}&outboundpeerindex=${index}`)
      assert.strictEqual(yield* order(B.id, 0), "Adding node.Survey already running!")
      assert.include(yield* order(B.id, 1), "exception")
      yield* propagate
      assert.strictEqual(Object.keys(A.topology()).length, 4)
      assert.strictEqual(peersOf(A, B)?.inbound.length, 1)
      assert.strictEqual(peersOf(A, B)?.outbound.length, 2)

      assert.isFalse(B.survey.startCollecting(0xcafe))
      assert.include(yield* B.command("startsurveycollecting?nonce=51966"), "Another survey is active")
      yield* propagate
      assert.deepStrictEqual(phases(all), all.map(() => "REPORTING deadbeef"))
      assert.isUndefined(peersOf(A, D))
    })))

  it.effect("SVM-015 SVM-016 SVM-017 SUR-01 SUR-11 phases end by themselves, after 30 minutes and 3 hours", () =>
    run(Effect.gen(function*() {
      const { A, all } = yield* setup()
      yield* report(A, nonce)
      yield* Effect.sleep("179 minutes")
      assert.deepStrictEqual(phases(all), all.map(() => "REPORTING deadbeef"))
      yield* Effect.sleep("1 minute")
      assert.deepStrictEqual(phases(all), all.map(() => "INACTIVE -"))

      A.survey.startCollecting(nonce)
      yield* propagate
      assert.deepStrictEqual(phases(all), all.map(() => "COLLECTING deadbeef"))
      yield* Effect.sleep("29 minutes")
      assert.deepStrictEqual(phases(all), all.map(() => "COLLECTING deadbeef"))
      yield* Effect.sleep("1 minute")
      assert.deepStrictEqual(phases(all), all.map(() => "REPORTING deadbeef"))
    })))

  it.effect("SVM-018 SVM-019 SVM-020 SVM-021 SVM-022 SVM-023 SVM-024 SUR-12 peers come and go", () =>
    run(Effect.gen(function*() {
      const quorum = new Set<NodeId>()
      const A = yield* start(1, { quorum })
      const C = yield* start(3, { quorum })
      const D = yield* start(4, { quorum })
      const E = yield* start(5, { quorum })
      const F = yield* start(6, { quorum })
      const B = yield* start(2, { quorum, surveyorKeys: [A.id, E.id, F.id] })
      for (const { id } of [A, C, F]) quorum.add(id)
      yield* D.connect(A)
      yield* A.connect(B)
      yield* B.connect(C)
      yield* B.connect(E)

      A.survey.startCollecting(nonce)
      yield* propagate
      assert.deepStrictEqual(phases([A, B, C, D, E]), Array.from({ length: 5 }, () => "COLLECTING deadbeef"))

      yield* F.connect(B)
      yield* propagate
      B.disconnect(E)
      yield* propagate
      assert.deepStrictEqual(phases([A, B, C, D, E]), Array.from({ length: 5 }, () => "COLLECTING deadbeef"))
      assert.deepStrictEqual(phases([F]), ["INACTIVE -"])

      A.survey.stopCollecting()
      yield* propagate
      const then = [...Array.from({ length: 4 }, () => "REPORTING deadbeef"), "COLLECTING deadbeef", "INACTIVE -"]
      assert.deepStrictEqual(phases([A, B, C, D, E, F]), then)

      yield* B.connect(E)
      yield* propagate
      assert.deepStrictEqual(phases([A, B, C, D, E, F]), then)

      for (const node of [B, E, F]) A.ask(node)
      yield* propagate
      assert.sameMembers(Object.keys(A.topology()), [A.id, B.id, E.id, F.id])
      const changes = (id: NodeId) => {
        const entry = A.topology()[id]!
        return { added: entry.addedAuthenticatedPeers, dropped: entry.droppedAuthenticatedPeers }
      }
      assert.deepStrictEqual(peersOf(A, A), { inbound: [D.id], outbound: [B.id] })
      assert.deepStrictEqual(changes(A.id), { added: 0, dropped: 0 })
      assert.deepStrictEqual(peersOf(A, B), { inbound: [A.id], outbound: [C.id] })
      assert.deepStrictEqual(changes(B.id), { added: 1, dropped: 1 })
      assert.deepStrictEqual([A.topology()[E.id], A.topology()[F.id]], [null, null])

      assert.isTrue(F.survey.startCollecting(0xcafe))
      yield* propagate
      assert.deepStrictEqual(phases([A, B, C, D, E]), then.slice(0, 5))
      assert.deepStrictEqual(phases([F]), ["COLLECTING cafe"])

      yield* Effect.sleep("211 minutes")
      assert.deepStrictEqual(phases([A, B, C, D, E, F]), Array.from({ length: 6 }, () => "INACTIVE -"))
    })))

  it.effect("SUR-12 losing sync is counted, and being out of sync at the start", () =>
    run(Effect.gen(function*() {
      const quorum = new Set<NodeId>()
      let isTracking = false
      const A = yield* start(1, { quorum, isTracking: () => isTracking })
      A.survey.startCollecting(1)
      yield* Effect.sleep("10 seconds")
      for (const next of [true, false, true, false]) {
        isTracking = next
        yield* Effect.sleep("10 seconds")
      }
      A.survey.stopCollecting()
      const { node } = A.survey.state.final!
      assert.strictEqual(node.lostSyncCount, 3)
    })))

  it.effect("SUR-12 the latencies of SCP are what the messages and the ledger of the host say", () =>
    run(Effect.gen(function*() {
      const quorum = new Set<NodeId>()
      let ledgerSeq = 100
      const A = yield* start(1, { quorum, ledgerSeq: () => ledgerSeq })
      const B = yield* start(2, { quorum })
      yield* B.connect(A)
      A.survey.startCollecting(1)
      yield* Effect.sleep("1 second")
      B.send(A, scp(11, 101)) // the first sign of ledger 101
      yield* Effect.sleep("250 millis")
      ledgerSeq = 101
      B.send(A, scp(11, 101)) // the same again is no latency; the host's ledger is seen now
      yield* Effect.sleep("500 millis")
      B.send(A, scp(12, 101))
      B.send(A, scp(13, 500)) // far ahead
      yield* Effect.sleep("1 second")
      A.survey.stopCollecting()
      const { node } = A.survey.state.final!
      assert.deepStrictEqual([node.p75SCPFirstToSelfLatencyMs, node.p75SCPSelfToOtherLatencyMs], [250, 750])
    })))

  it.effect("SUR-03 line A - B - C: C starts and stops, and A follows", () =>
    run(Effect.gen(function*() {
      const quorum = new Set<NodeId>()
      const A = yield* start(1, { quorum })
      const B = yield* start(2, { quorum })
      const C = yield* start(3, { quorum })
      quorum.add(C.id)
      yield* A.connect(B)
      yield* B.connect(C)
      C.survey.startCollecting(5)
      yield* Effect.sleep(200)
      assert.deepStrictEqual(phases([A, B, C]), ["COLLECTING 5", "COLLECTING 5", "COLLECTING 5"])
      C.survey.stopCollecting()
      yield* Effect.sleep(200)
      assert.deepStrictEqual(phases([A, B, C]), ["REPORTING 5", "REPORTING 5", "REPORTING 5"])
      // Told once, and never sent back to who sent it.
      assert.deepStrictEqual([A.received.length, B.received.length, C.received.length], [2, 2, 0])
    })))

  it.effect("SUR-06 SUR-08 nodes three hops away answer, two of them behind one neighbour", () =>
    run(Effect.gen(function*() {
      const quorum = new Set<NodeId>()
      const nodes = yield* Effect.forEach([1, 2, 3, 4, 5], (i) => start(i, { quorum }))
      const [A, B, C, D, E] = nodes
      quorum.add(A!.id)
      yield* A!.connect(B!)
      yield* B!.connect(C!)
      yield* C!.connect(D!)
      yield* E!.connect(C!)
      yield* report(A!)
      A!.ask(D!)
      A!.ask(E!)
      yield* propagate
      assert.deepStrictEqual(peersOf(A!, D!), { inbound: [C!.id], outbound: [] })
      assert.deepStrictEqual(peersOf(A!, E!), { inbound: [], outbound: [C!.id] })
      const responses = A!.received.filter(({ message }) => message._tag === "TimeSlicedSurveyResponse")
      assert.sameMembers(responses.map(({ message }) => "surveyedId" in message ? message.surveyedId : ""), ids(D!, E!))
      // Nobody on the way could read them.
      assert.isFalse(nodes.slice(1).some(({ survey }) => survey.surveyor.answers.size > 0))
    })))

  it.effect("SUR-05 SUR-16 a request is signed anew each time, with the ledger of its round, and waits for it", () =>
    run(Effect.gen(function*() {
      const quorum = new Set<NodeId>()
      const A = yield* start(1, { quorum, closeMillis: 5000 })
      const B = yield* start(2, { quorum, closeMillis: 5000 })
      quorum.add(A.id)
      yield* A.connect(B)
      yield* report(A)
      A.ask(B)
      yield* Effect.sleep(14_900)
      assert.strictEqual(A.survey.stats.requested, 0)
      yield* Effect.sleep(200)
      assert.strictEqual(A.survey.stats.requested, 1)
      A.ask(B, 25, 25)
      yield* Effect.sleep(14_700)
      assert.strictEqual(A.survey.stats.requested, 1)
      yield* Effect.sleep(300)
      const requests = B.received.flatMap(({ message }) => message._tag === "TimeSlicedSurveyRequest" ? [message] : [])
      assert.deepStrictEqual(requests.map((request) => request.inboundPeersIndex), [0, 25])
      assert.deepStrictEqual(requests.map((request) => request.nonce), [0xcafe, 0xcafe])
      assert.strictEqual(requests[1]!.ledgerNum - requests[0]!.ledgerNum, 3)
      assert.deepStrictEqual(requests[0]!.encryptionKey, requests[1]!.encryptionKey)
      A.survey.stopReporting()
      A.ask(B)
      yield* Effect.sleep(16_000)
      const last = B.received.at(-1)?.message
      assert.strictEqual(last?._tag, "TimeSlicedSurveyRequest")
      if (last?._tag === "TimeSlicedSurveyRequest") {
        assert.notDeepEqual(last.encryptionKey, requests[0]!.encryptionKey, "a key for each reporting")
      }
    })))

  it.effect("SUR-04 SUR-15 the operator's commands have core's texts", () =>
    run(Effect.gen(function*() {
      const { A, B } = yield* setup()
      const exception = (line: string) =>
        Effect.map(A.command(line), (body) => (JSON.parse(body ?? "{}") as { exception?: string }).exception)
      assert.isUndefined(yield* A.command("peers"))
      assert.strictEqual(yield* exception("startsurveycollecting"), "'nonce' argument is required!")
      for (const bad of ["", "x", "-1", "1.5", "4294967296", "1e3"]) {
        assert.strictEqual(yield* exception(`startsurveycollecting?nonce=${bad}`), "Failed to parse 'nonce' argument")
      }
      assert.strictEqual(
        yield* A.command("stopsurveycollecting"),
        "Failed to stop survey collecting. No survey is active on the network."
      )
      const order = `surveytopologytimesliced?node=${B.id}&inboundpeerindex=0&outboundpeerindex=0`
      assert.isDefined(yield* exception(order), "no survey is being reported")
      assert.strictEqual(
        yield* A.command("startsurveycollecting?nonce=4294967295"),
        "Requested network to start survey collecting."
      )
      assert.strictEqual(
        yield* A.command("startsurveycollecting?nonce=1"),
        "Failed to start survey collecting. Another survey is active on the network."
      )
      assert.isDefined(yield* exception(order), "nor while it is collected, which goes on")
      assert.strictEqual(A.survey.state.phase, "COLLECTING")
      yield* propagate
      assert.strictEqual(yield* B.command("stopsurveycollecting"), "Requested network to stop survey collecting.")
      assert.strictEqual(B.survey.state.phase, "COLLECTING", "it is not B's survey")
      assert.strictEqual(yield* A.command("stopsurveycollecting"), "Requested network to stop survey collecting.")
      yield* propagate
      assert.strictEqual(yield* exception(order.replace(B.id, "GABC")), "bad public key")
      assert.strictEqual(
        yield* exception(order.replace("&outboundpeerindex=0", "")),
        "'outboundpeerindex' argument is required!"
      )
      assert.strictEqual(yield* A.command(order), "Adding node.Survey started ")
      assert.isDefined(yield* exception(order), "queued already")
      assert.isDefined(yield* exception(order.replace(B.id, A.id)), "itself")
      yield* propagate
      assert.strictEqual(yield* A.command(order), "Adding node.Survey already running!")
      const result = JSON.parse((yield* A.command("getsurveyresult"))!) as Record<string, unknown>
      assert.strictEqual(result["surveyInProgress"], true)
      assert.deepStrictEqual(result["backlog"], [B.id])
      assert.strictEqual(yield* A.command("stopsurvey"), "survey stopped")
      assert.include(yield* A.command("getsurveyresult"), `"surveyInProgress": false`)
    })))

  it.effect("SUR-08 ADM-05 what surveyed peers call themselves reaches a terminal as ASCII, and can be read back", () =>
    run(Effect.gen(function*() {
      const versionString = "v1\u202e\u009b31m\u007f"
      const quorum = new Set<NodeId>()
      const A = yield* start(1, { quorum })
      const B = yield* start(2, { quorum, config: { versionString } })
      yield* A.connect(B)
      yield* Effect.sleep(1000)
      yield* report(A)
      A.ask(B)
      yield* propagate
      const body = (yield* A.command("getsurveyresult"))!
      assert.match(body, /^[\n\x20-\x7e]*$/)
      assert.include(JSON.stringify(JSON.parse(body)), JSON.stringify(versionString).slice(1, -1))
    })))

  it.effect("SUR-07 SUR-11 reporting ends with the phase, and its key with it", () =>
    run(Effect.gen(function*() {
      const { A, B } = yield* setup()
      yield* report(A)
      A.ask(B)
      yield* propagate
      const key = A.survey.surveyor.encryptionKey!
      assert.isTrue(key.some((byte) => byte !== 0))
      yield* Effect.sleep("180 minutes")
      assert.isFalse(A.survey.results().surveyInProgress)
      assert.isTrue(key.every((byte) => byte === 0))
      assert.isDefined(peersOf(A, B), "results stay")
    })))

  it.effect("SUR-07 the key is wiped when the node stops", () =>
    run(Effect.gen(function*() {
      const { A, B } = yield* setup()
      yield* report(A)
      A.ask(B)
      const key = A.survey.surveyor.encryptionKey!
      yield* A.stop
      assert.isTrue(key.every((byte) => byte === 0))
    })))
})
