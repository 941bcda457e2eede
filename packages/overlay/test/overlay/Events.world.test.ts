/** What a running node tells about itself, fact by fact. */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { BanList, make as makeBans, makeMemoryStore } from "@stellar-overlay/overlay/BanList"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import { StorageError } from "@stellar-overlay/overlay/StorageError"
import { Survey } from "@stellar-overlay/overlay/Survey"
import { Context, Effect, Fiber, Layer } from "effect"
import { addressOf, hostWith, ipOf, type Settings } from "./network.ts"

const network = LoopbackTransport.layerNetwork({ latencyMillis: 10 })
const inWorld = <A, E, R>(program: Effect.Effect<A, E, R>) => World.run(Effect.provide(program, network), { seed: 1 })

const launch = Effect.fnUntraced(function*(i: number, settings: Settings = {}) {
  const events: Array<OverlayEvent> = []
  const node = yield* TestNode.launch({
    name: `n${i}`,
    ip: ipOf(i),
    onEvent: (event) => void events.push(event),
    ...settings
  })
  const only = <Tag extends OverlayEvent["_tag"]>(...tags: ReadonlyArray<Tag>) =>
    events.filter((event): event is Extract<OverlayEvent, { readonly _tag: Tag }> =>
      (tags as ReadonlyArray<string>).includes(event._tag)
    )
  return { ...node, id: node.overlay.local.handshake.id, events, only }
})

describe("events of a node", () => {
  it.effect("MET-03 dials that fail leave their address alone for longer and longer, and say until when", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* launch(1, { config: { knownPeers: [ipOf(9)] } })
      yield* Effect.sleep("10 minutes")
      const told = one.only("PeerBackedOff")
      assert.isAtLeast(told.length, 3)
      assert.deepStrictEqual(told.map(({ failures }) => failures), told.map((_, n) => n + 1))
      for (const { address } of told) assert.strictEqual(address.key, addressOf(9).key)
      const row = one.overlay.peerManager.get(addressOf(9))!
      assert.strictEqual(told.at(-1)!.untilMillis, row.nextAttemptMillis)
    })))

  it.effect("MET-03 BAN-02 a ban, its end by the clock, and one that is lifted", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* launch(1)
      const two = yield* launch(2)
      const { id } = two
      yield* two.overlay.connect(one.address)
      yield* Effect.sleep(100)
      const untilMillis = World.DEFAULT_START_UNIX_MILLIS + 60_000
      one.overlay.ban(id, { untilMillis, reason: "a minute" })
      assert.deepStrictEqual(one.only("NodeBanned", "PeerDropped").map(({ _tag }) => _tag), [
        "NodeBanned",
        "PeerDropped"
      ])
      yield* Effect.sleep("2 minutes")
      one.overlay.ban(id)
      one.overlay.unban(id)
      assert.deepStrictEqual(one.only("NodeBanned", "NodeUnbanned"), [
        { _tag: "NodeBanned", id, untilMillis, reason: "a minute" },
        { _tag: "NodeUnbanned", id, cause: "ended" },
        { _tag: "NodeBanned", id, untilMillis: undefined, reason: "" },
        { _tag: "NodeUnbanned", id, cause: "lifted" }
      ])
    })))

  it.effect("MET-03 the listener, and sync lost and regained with its time", () =>
    inWorld(Effect.gen(function*() {
      let isTracking = true
      const one = yield* launch(1, { host: hostWith(() => ({ isTracking, ledgerSeq: 7 })) })
      isTracking = false
      yield* one.overlay.ledgerChanged
      yield* Effect.sleep("40 seconds")
      isTracking = true
      yield* one.overlay.ledgerChanged
      yield* one.stop
      const { address } = one.overlay
      assert.deepStrictEqual(one.events, [
        { _tag: "SyncRegained", ledgerSeq: 7, millis: undefined },
        { _tag: "ListenerOpened", address: address! },
        { _tag: "SyncLost", ledgerSeq: 7 },
        { _tag: "SyncRegained", ledgerSeq: 7, millis: 40_000 },
        { _tag: "ListenerClosed", address: address! }
      ])
    })))

  it.effect("MET-03 O1 a database that fails and works again", () =>
    inWorld(Effect.gen(function*() {
      let isBroken = true
      const memory = makeMemoryStore()
      const error = new StorageError({ operation: "write", reason: "Full", detail: "no room" })
      const store = { ...memory, write: (c: Parameters<typeof memory.write>[0]) => isBroken ? error : memory.write(c) }
      const bans = Layer.effect(BanList, Effect.suspend(() => makeBans(store)))
      const one = yield* launch(1, { bans })
      const two = yield* launch(2)
      yield* Effect.sleep(10)
      one.overlay.ban(two.id)
      yield* Effect.sleep("10 seconds")
      isBroken = false
      yield* Effect.sleep("2 minutes")
      const [failed, recovered, ...more] = one.only("StoreFailed", "StoreRecovered")
      assert.deepStrictEqual(failed, {
        _tag: "StoreFailed",
        store: "bans",
        reason: "Full",
        detail: "no room",
        pending: 1
      })
      assert.deepInclude(recovered, { _tag: "StoreRecovered", store: "bans" })
      assert.deepStrictEqual(more, [])
    })))

  it.effect("MET-03 FET-01 a search: begun, asked of one after the other, cancelled; and one that is found", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* launch(1)
      const two = yield* launch(2)
      yield* two.overlay.connect(one.address)
      yield* Effect.sleep(100)
      const fiber = yield* Effect.forkScoped(one.overlay.fetchTxSet(new Uint8Array(32).fill(3)))
      yield* Effect.sleep("1 second")
      yield* Fiber.interrupt(fiber)
      const hash = "03".repeat(32)
      const told = one.only("FetchStarted", "FetchAsked", "FetchReceived", "FetchGivenUp")
      assert.deepStrictEqual(told, [
        { _tag: "FetchStarted", item: "txSet", hash },
        { _tag: "FetchAsked", item: "txSet", hash, id: two.id },
        { _tag: "FetchGivenUp", item: "txSet", hash, reason: "Cancelled" }
      ])
    })))

  it.effect("MET-03 SVL-001 a survey: phases, question, answer and result, on both sides", () =>
    inWorld(Effect.gen(function*() {
      const one = yield* launch(1, { host: hostWith(() => ({ trackingIndex: 100 })) })
      const two = yield* launch(2, {
        host: hostWith(() => ({ trackingIndex: 100 })),
        config: { surveyorKeys: [one.id] }
      })
      yield* two.overlay.connect(one.address)
      yield* Effect.sleep(100)
      const survey = Context.get(one.services, Survey)
      survey.startCollecting(7)
      yield* Effect.sleep("5 seconds")
      survey.stopCollecting()
      survey.surveyNode(two.id)
      yield* Effect.sleep("1 minute")
      yield* Effect.sleep("4 hours")
      const surveyorId = one.id
      const phases = (["COLLECTING", "REPORTING", "INACTIVE"] as const).map((phase) => ({
        _tag: "SurveyPhaseChanged" as const,
        phase,
        nonce: 7,
        surveyorId
      }))
      assert.deepStrictEqual(two.only("SurveyPhaseChanged"), phases)
      assert.deepStrictEqual(two.only("SurveyAnswered"), [{ _tag: "SurveyAnswered", surveyorId }])
      assert.deepStrictEqual(
        one.only("SurveyPhaseChanged", "SurveyReporting", "SurveyRequested", "SurveyResult"),
        [
          phases[0]!,
          phases[1]!,
          { _tag: "SurveyReporting", isReporting: true },
          { _tag: "SurveyRequested", surveyedId: two.id },
          { _tag: "SurveyResult", surveyedId: two.id, peers: { inbound: 0, outbound: 1 } },
          phases[2]!,
          { _tag: "SurveyReporting", isReporting: false }
        ]
      )
    })))

  it.effect("MET-03 O5 a subscriber that throws at every event changes nothing for the node", () =>
    inWorld(Effect.gen(function*() {
      let calls = 0
      const one = yield* TestNode.launch({
        name: "n1",
        ip: ipOf(1),
        config: { knownPeers: [ipOf(2), ipOf(9)] },
        onEvent: () => {
          calls++
          throw new Error("not my day")
        }
      })
      const two = yield* launch(2)
      yield* Effect.sleep("1 minute")
      assert.isAbove(calls, 5)
      assert.isDefined(one.overlay.peers.get(two.id))
      one.overlay.ban(two.id)
      assert.isUndefined(one.overlay.peers.get(two.id))
      one.overlay.unban(two.id)
      yield* one.overlay.connect(two.address)
      assert.isDefined(one.overlay.peers.get(two.id))
      assert.deepStrictEqual(two.only("PeerDropped").filter(({ authenticated }) => authenticated).length, 1)
    })))
})
