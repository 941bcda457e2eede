/** The hub of events, their JSON, and what bounds both. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Schema, Stream } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import { TestClock } from "effect/testing"
import * as DropReason from "../src/DropReason.ts"
import * as OverlayEventJson from "../src/OverlayEventJson.ts"
import * as OverlayEvents from "../src/OverlayEvents.ts"
import type { OverlayEvent } from "../src/OverlayEvents.ts"
import * as NodeId from "../src/wire/NodeId.ts"
import { PeerAddress } from "../src/wire/PeerAddress.ts"

const address = PeerAddress.make("10.0.0.1", 11625)
const id = NodeId.fromBytes(new Uint8Array(32).fill(7))
const remote = {
  role: "acceptor",
  id,
  address,
  ledgerVersion: 23,
  overlayVersion: 42,
  overlayMinVersion: 38,
  version: "v1",
  networkId: new Uint8Array(32),
  listeningPort: 11625,
  certificateExpiration: 0n
} as const

/** One of each. */
const samples: { readonly [Tag in OverlayEvents.OverlayEventTag]: Extract<OverlayEvent, { readonly _tag: Tag }> } = {
  PeerConnecting: { _tag: "PeerConnecting", address },
  PeerConnected: { _tag: "PeerConnected", address, role: "initiator" },
  PeerHello: { _tag: "PeerHello", address, remote },
  PeerAuthenticated: { _tag: "PeerAuthenticated", address, remote },
  PeerReadThrottled: { _tag: "PeerReadThrottled", address, id },
  PeerReadResumed: { _tag: "PeerReadResumed", address, id: undefined, millis: 3 },
  PeerDropped: {
    _tag: "PeerDropped",
    address,
    role: "acceptor",
    id: undefined,
    authenticated: false,
    reason: DropReason.make("UnexpectedMac")
  },
  PeerBackedOff: { _tag: "PeerBackedOff", address, failures: 2, untilMillis: 5 },
  NodeBanned: { _tag: "NodeBanned", id, untilMillis: undefined, reason: "why" },
  NodeUnbanned: { _tag: "NodeUnbanned", id, cause: "ended" },
  SurveyPhaseChanged: { _tag: "SurveyPhaseChanged", phase: "COLLECTING", nonce: 1, surveyorId: id },
  SurveyReporting: { _tag: "SurveyReporting", isReporting: true },
  SurveyRequested: { _tag: "SurveyRequested", surveyedId: id },
  SurveyAnswered: { _tag: "SurveyAnswered", surveyorId: id },
  SurveyResult: { _tag: "SurveyResult", surveyedId: id, peers: { inbound: 1, outbound: 2 } },
  FetchStarted: { _tag: "FetchStarted", item: "txSet", hash: "00" },
  FetchAsked: { _tag: "FetchAsked", item: "txSet", hash: "00", id },
  FetchReceived: { _tag: "FetchReceived", item: "quorumSet", hash: "00", millis: 12 },
  FetchGivenUp: { _tag: "FetchGivenUp", item: "txSet", hash: "00", reason: "Age" },
  ListenerOpened: { _tag: "ListenerOpened", address },
  ListenerClosed: { _tag: "ListenerClosed", address },
  ListenerFailed: { _tag: "ListenerFailed", address, detail: "EMFILE" },
  SyncLost: { _tag: "SyncLost", ledgerSeq: 9 },
  SyncRegained: { _tag: "SyncRegained", ledgerSeq: 9, millis: undefined },
  StoreFailed: { _tag: "StoreFailed", store: "peers", reason: "Full", detail: "disk", pending: 4 },
  StoreRecovered: { _tag: "StoreRecovered", store: "peers", millis: 8 },
  EventsSuppressed: { _tag: "EventsSuppressed", kind: "PeerDropped", count: 2 },
  EventsLost: { _tag: "EventsLost", count: 5 }
}

const fetched = (n: number): OverlayEvent => ({ _tag: "FetchStarted", item: "txSet", hash: String(n) })

describe("the hub", () => {
  it.effect("MET-03 every kind of event reaches who asks for it, in order, and nobody who does not", () =>
    Effect.gen(function*() {
      const hub = yield* OverlayEvents.make
      const collect = (options: OverlayEvents.SubscribeOptions, count: number) =>
        OverlayEvents.subscribe(hub, options).pipe(
          Stream.take(count),
          Stream.runCollect,
          (all) => Effect.forkScoped(all, { startImmediately: true })
        )
      const everything = yield* collect({}, OverlayEvents.tags.length)
      const bans = yield* collect({ tags: ["NodeBanned", "NodeUnbanned"] }, 2)
      yield* TestClock.adjust(1)
      const sent = OverlayEvents.tags.map((tag) => samples[tag])
      for (const event of sent) hub.publish(event)
      assert.deepStrictEqual(yield* Fiber.join(everything), sent)
      assert.deepStrictEqual(yield* Fiber.join(bans), [samples.NodeBanned, samples.NodeUnbanned])
    }))

  it.effect("MET-03 O4 a slow subscriber loses the oldest, is told how many, and costs the others nothing", () =>
    Effect.gen(function*() {
      const hub = yield* OverlayEvents.make
      const pull = yield* Stream.toPull(OverlayEvents.subscribe(hub, { capacity: 3, tags: ["FetchStarted"] }))
      const quick = yield* Stream.toPull(hub.stream)
      const first = yield* Effect.forkScoped(pull, { startImmediately: true })
      const both = yield* Effect.forkScoped(quick, { startImmediately: true })
      yield* TestClock.adjust(1)
      for (let n = 0; n < 10; n++) hub.publish(fetched(n))
      for (let n = 0; n < 10; n++) hub.publish(samples.SyncLost)
      assert.strictEqual((yield* Fiber.join(both)).length, 20)
      assert.deepStrictEqual(yield* Fiber.join(first), [
        { _tag: "EventsLost", count: 7 },
        fetched(7),
        fetched(8),
        fetched(9)
      ])
      hub.publish(fetched(10))
      assert.deepStrictEqual(yield* pull, [fetched(10)])
    }))

  it.effect("O4 of one kind 200 pass in a second, the rest is counted exactly and told with what comes next", () =>
    Effect.gen(function*() {
      const hub = yield* OverlayEvents.make
      const pull = yield* Stream.toPull(hub.stream)
      const first = yield* Effect.forkScoped(pull, { startImmediately: true })
      yield* TestClock.adjust(1)
      for (let n = 0; n < 1234; n++) hub.publish(fetched(n))
      hub.publish(samples.SyncLost) // another kind has room of its own
      const got = yield* Fiber.join(first)
      const passed: ReadonlyArray<OverlayEvent> = [
        ...Array.from({ length: 200 }, (_, n) => fetched(n)),
        samples.SyncLost
      ]
      assert.deepStrictEqual<ReadonlyArray<OverlayEvent>>(got, passed)
      yield* TestClock.adjust("1 second")
      hub.publish(samples.SyncLost)
      hub.publish(fetched(5000))
      assert.deepStrictEqual(yield* pull, [
        { _tag: "EventsSuppressed", kind: "FetchStarted", count: 1034 },
        samples.SyncLost,
        fetched(5000)
      ])
    }))

  it.effect("MET-03 without a layer there is nothing, and a subscriber that throws is logged once and harms nobody", () =>
    Effect.gen(function*() {
      const silent = yield* OverlayEvents.publisher
      silent(samples.SyncLost)
      let calls = 0
      const throwing = Layer.succeed(OverlayEvents.OverlayEvents, {
        publish: () => {
          calls++
          throw new Error("not my day")
        },
        stream: Stream.empty
      })
      const context = yield* Layer.build(throwing)
      const publish = yield* Effect.provideContext(OverlayEvents.publisher, context)
      for (let n = 0; n < 3; n++) publish(samples.SyncLost)
      assert.strictEqual(calls, 3)
      assert.isDefined(Context.get(context, OverlayEvents.OverlayEvents))
    }))
})

describe("JSON", () => {
  it("MET-03 each event is a flat object with its type, named as documented", () => {
    for (const tag of OverlayEvents.tags) {
      const json = OverlayEventJson.toJson(samples[tag])
      assert.strictEqual(json.type, tag)
      assert.deepStrictEqual(JSON.parse(OverlayEventJson.stringify(json)), json)
      for (const value of Object.values(json)) assert.include(["string", "number", "boolean", "object"], typeof value)
    }
    assert.deepStrictEqual(OverlayEventJson.toJson(samples.PeerDropped), {
      type: "PeerDropped",
      address: "10.0.0.1:11625",
      direction: "inbound",
      id: null,
      authenticated: false,
      reason: "UnexpectedMac",
      kind: "violation",
      by: "us",
      text: "unexpected MAC"
    })
  })

  const hostile = Arbitrary.map(
    Arbitrary.array(Arbitrary.schema(Schema.Union([
      Schema.String,
      Schema.Literals([
        "\x1b[2J",
        "</script>",
        "\u202e",
        "\n\ndata: x",
        "\r",
        "\u2028",
        "\ud800",
        "' onload='",
        "\x9b1m"
      ])
    ]))),
    (parts) => parts.join("")
  )
  it.effect.prop(
    "O6 whatever a peer calls itself is text in a terminal, a page and an event stream, and parses to what it said",
    [hostile],
    ([text]) =>
      Effect.sync(() => {
        const events: ReadonlyArray<OverlayEvent> = [
          { ...samples.PeerAuthenticated, remote: { ...remote, version: text } },
          { ...samples.PeerDropped, reason: DropReason.make("ErrorReceived", text) },
          { ...samples.NodeBanned, reason: text },
          { ...samples.StoreFailed, detail: text },
          { ...samples.ListenerFailed, detail: text }
        ]
        for (const event of events) {
          const json = OverlayEventJson.toJson(event)
          const line = OverlayEventJson.stringify(json)
          assert.match(line, /^[ -~]*$/)
          assert.notMatch(line, /[<>&']/)
          assert.deepStrictEqual(JSON.parse(line), json)
        }
      }),
    { arbitrary: { seed: 6, runs: 300 } }
  )
})
