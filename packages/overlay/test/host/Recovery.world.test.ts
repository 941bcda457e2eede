/** SCP state between nodes that do not follow consensus: checkpoints that come later, and asking again (protocol.md 5.3). */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import type { LedgerView } from "../../src/OverlayHost.ts"
import { GetScpState, type ScpMessage } from "../../src/wire/StellarMessage.ts"
import { scpMessage } from "../flood/messages.ts"
import { connectAll, inWorld, MemoryHost, start, startAll, Tap } from "../flood/network.ts"
import { dial } from "../flood/scripted.ts"

/** A validator in the middle of its second checkpoint: it remembers the last 12 slots and the checkpoint's. */
const TRACKING = 96
const slots = [64, ...Array.from({ length: 12 }, (_, i) => TRACKING - 11 + i)]

const validator = (view: Partial<LedgerView> = {}) => {
  const host = new MemoryHost({
    scpState: (from) => Effect.sync(() => slots.filter((slot) => slot >= from).map((slot) => scpMessage(slot)))
  })
  host.view = { ...host.view, ledgerSeq: TRACKING, trackingIndex: TRACKING, ...view }
  return host
}

const slotOf = (message: ScpMessage): number => Number(message.slotIndex)

describe("SCP checkpoint", () => {
  for (const [id, count] of [["HRD-007", 1], ["HRD-008", 2]] as const) {
    it.effect(`${id} PEE-13 ${count} node(s) out of sync get the recent slots at once and the checkpoint's 2 s later`, () => {
      const arrivals: Array<Array<readonly [slot: number, at: number]>> = []
      return inWorld(
        7,
        { latencyMillis: 10 },
        Effect.gen(function*() {
          const source = yield* start(0, { host: validator() })
          for (let n = 1; n <= count; n++) {
            const heard: Array<readonly [slot: number, at: number]> = []
            arrivals.push(heard)
            const host = new MemoryHost({
              receiveScp: (messages) =>
                Effect.map(
                  Clock.currentTimeMillis,
                  (now) =>
                    messages.map((
                      message
                    ) => (heard.push([slotOf(message), now]), { _tag: "hold", txSets: [], quorumSets: [] }))
                )
            })
            const node = yield* start(n, { host })
            yield* node.overlay.connect(source.address)
          }
          yield* Effect.sleep("4 seconds")
          for (const heard of arrivals) {
            assert.deepStrictEqual(heard.map(([slot]) => slot), [...slots.slice(1), 64])
            const at = heard.map(([, at]) => at)
            assert.isAtMost(at[11]! - at[0]!, 10)
            assert.strictEqual(at[12]! - at[0]!, 2000)
          }
        })
      )
    })
  }

  it.effect("HRD-007 a newer request takes the place of the one before; without the checkpoint nothing comes later", () => {
    const tap = new Tap()
    return inWorld(
      8,
      { tap },
      Effect.gen(function*() {
        const node = yield* start(0, { host: validator() })
        const peer = yield* dial(node)
        tap.clear()
        const sent = () => tap.of("ScpMessage", { from: node }).map(slotOf)
        yield* peer.say(GetScpState.make({ ledgerSeq: 1 }))
        yield* peer.expectOpen(1500)
        yield* peer.say(GetScpState.make({ ledgerSeq: 1 }))
        yield* peer.expectOpen(1500)
        assert.deepStrictEqual(sent(), [...slots.slice(1), ...slots.slice(1)])
        yield* peer.expectOpen(3000)
        assert.deepStrictEqual(sent().slice(24), [64])
        yield* peer.say(GetScpState.make({ ledgerSeq: 65 }))
        yield* peer.expectOpen(5000)
        assert.deepStrictEqual(sent().slice(25), slots.slice(1))
      })
    )
  })

  it.effect("HRD-007 PEE-13 a checkpoint that everybody remembers comes with the others", () => {
    const tap = new Tap()
    return inWorld(
      9,
      { tap },
      Effect.gen(function*() {
        const host = validator({ trackingIndex: 76 })
        const node = yield* start(0, { host })
        const peer = yield* dial(node)
        yield* peer.say(GetScpState.make({ ledgerSeq: 64 }))
        yield* peer.expectOpen(10)
        assert.deepStrictEqual(tap.of("ScpMessage", { from: node }).map(slotOf), slots)
      })
    )
  })
})

describe("recovery from lost consensus", () => {
  it.effect("PEE-13 every 10 s two peers are asked, and own messages go to whom has not had them; not in sync", () => {
    const tap = new Tap()
    return inWorld(
      10,
      { tap },
      Effect.gen(function*() {
        const own = scpMessage(2)
        const lost = new MemoryHost({ ownScpMessages: () => [own], scpStateFrom: () => 5 })
        lost.view = { ...lost.view, isTracking: false }
        const nodes = yield* startAll(5, (i) => i === 0 ? { host: lost } : {})
        const [node] = nodes
        yield* connectAll(nodes, [[0, 1], [0, 2], [0, 3]])
        tap.clear()
        const asked = () => tap.sent.filter(({ from, message }) => from === node!.ip && message._tag === "GetScpState")
        const told = () => tap.sent.filter(({ from, message }) => from === node!.ip && message._tag === "ScpMessage")
        yield* Effect.sleep("9 seconds")
        assert.deepStrictEqual([asked().length, told().length], [2, 3])
        assert.strictEqual(new Set(asked().map(({ to }) => to)).size, 2)
        for (const { message } of asked()) assert.strictEqual(message._tag === "GetScpState" && message.ledgerSeq, 5)

        // Who comes later is told in the next round; the others are not told again.
        yield* node!.overlay.connect(nodes[4]!.address)
        yield* Effect.sleep("10 seconds")
        const ofConnecting = 1
        assert.deepStrictEqual([asked().length, told().length], [4 + ofConnecting, 4])
        assert.strictEqual(told()[3]!.to, nodes[4]!.ip)
        yield* Effect.sleep("60 seconds")
        assert.isAtLeast(new Set(asked().map(({ to }) => to)).size, 3) // chance decides who is asked
        assert.deepStrictEqual([asked().length, told().length], [16 + ofConnecting, 4])

        lost.view = { ...lost.view, isTracking: true }
        yield* Effect.sleep("60 seconds")
        assert.deepStrictEqual([asked().length, told().length], [16 + ofConnecting, 4])
      })
    )
  })
})
