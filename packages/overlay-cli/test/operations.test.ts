/** What the node command writes about peers, whatever they say. */
import { assert, describe, it } from "@effect/vitest"
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect, Logger, Schema } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import * as ProcessMetrics from "../src/node/processMetrics.ts"
import { toJsonText } from "../src/render/escape.ts"
import * as Event from "../src/render/event.ts"
import { type Line, render } from "../src/render/Line.ts"
import { loggers } from "../src/render/log.ts"
import { console } from "../src/render/Screen.ts"

const harmful = /[\p{C}\p{Zl}\p{Zp}]/u
const address = PeerAddress.make("10.0.0.1", 11625)
const id = NodeId.fromBytes(new Uint8Array(32).fill(7))

const hostile = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Union([
    Schema.String,
    Schema.Literals(["\x1b[2J", "\u202e", "\nSep 01 node: all is well", "\r", "\u2028", "\ud800", "\x9b1m", "\x07"])
  ]))),
  (parts) => parts.join("")
)

describe("what is written about peers", () => {
  it.effect.prop(
    "O6 an event is one line without anything a terminal or a log reader acts on, and so is its JSON",
    [hostile],
    ([text]) =>
      Effect.sync(() => {
        const remote = {
          role: "acceptor",
          id,
          address,
          ledgerVersion: 23,
          overlayVersion: 42,
          overlayMinVersion: 38,
          version: text,
          networkId: new Uint8Array(32),
          listeningPort: 11625,
          certificateExpiration: 0n
        } as const
        const reason = DropReason.make("ErrorReceived", text)
        const events: ReadonlyArray<OverlayEvent> = [
          { _tag: "PeerAuthenticated", address, remote },
          { _tag: "PeerDropped", address, role: "acceptor", id, authenticated: true, reason },
          { _tag: "NodeBanned", id, untilMillis: 0, reason: text },
          { _tag: "ListenerFailed", address, detail: text }
        ]
        for (const event of events) {
          const shown = Event.show(event)!
          for (const line of [shown.line, shown.hint ?? []]) assert.notMatch(render(line, { colors: false }), harmful)
          assert.notMatch(toJsonText(shown.object), harmful)
        }
      }),
    { arbitrary: { seed: 6, runs: 200 } }
  )

  it.effect.prop(
    "O6 a line of the log is one line, whatever is in its message or its cause",
    [hostile],
    ([text]) =>
      Effect.gen(function*() {
        const lines: Array<Line> = []
        const screen = { ...console, note: (some: ReadonlyArray<Line>) => Effect.sync(() => void lines.push(...some)) }
        yield* Effect.logWarning(text, { peer: text }, new Error(text)).pipe(
          Effect.andThen(Effect.logError("failed", new Error(text))),
          Effect.provideService(Logger.CurrentLoggers, loggers(screen))
        )
        assert.strictEqual(lines.length, 2)
        for (const line of lines) assert.notMatch(render(line, { colors: false }), harmful)
      }),
    { arbitrary: { seed: 6, runs: 200 } }
  )

  it("MET-02 the metrics of the process have all their series, whatever is the case, and no others", () => {
    const facts: ProcessMetrics.ProcessFacts = {
      isHealthy: true,
      isReady: false,
      reasons: [{ _tag: "TooFewPeers", authenticated: 0, minPeers: 1 }],
      isListening: true,
      outOfSyncMillis: 1500,
      passed: new Map([["event", 3]]),
      suppressed: new Map(),
      events: { clients: 1, refused: 2, sent: 3, lost: 4 },
      startMillis: 5000,
      cpuSeconds: 0.5,
      residentBytes: 1024
    }
    const text = ProcessMetrics.render(facts)
    const names = (page: string) =>
      page.split("\n").filter((line) => !line.startsWith("#")).map((line) => line.split(" ")[0])
    assert.include(text, "# TYPE stellar_node_reason gauge\n")
    assert.include(text, "stellar_node_reason{reason=\"TooFewPeers\"} 1\n")
    assert.include(text, "stellar_node_reason{reason=\"OutOfSync\"} 0\n")
    assert.include(text, "stellar_log_lines_total{kind=\"event\"} 3\n")
    assert.include(text, "stellar_node_out_of_sync_seconds 1.5\n")
    assert.deepStrictEqual(names(ProcessMetrics.render({ ...facts, reasons: [], passed: new Map() })), names(text))
    for (const [name, { labels }] of Object.entries(ProcessMetrics.definitions)) {
      const count = Object.values<ReadonlyArray<string>>(labels)[0]?.length ?? 1
      assert.strictEqual(ProcessMetrics.samples(facts).filter(([other]) => other === name).length, count, name)
    }
  })
})
