/** What a node relays of a batch: each message as by itself, each peer told by one write. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { hexOfAny, scpMessage } from "./messages.ts"
import { inWorld, MemoryHost, start, Tap } from "./network.ts"
import { dial } from "./scripted.ts"

describe("a batch of SCP messages", () => {
  it.effect("PEE-11 FLD-08 what is relayed of it leaves in order, for each peer in one write", () => {
    const tap = new Tap()
    return inWorld(
      9,
      { tap },
      Effect.gen(function*() {
        const messages = [1, 2, 3, 4, 5, 6].map((slot) => scpMessage(slot))
        const discarded = hexOfAny(messages[3]!)
        const batches: Array<number> = []
        const host = new MemoryHost({
          receiveScp: (some) =>
            Effect.sync(() => {
              batches.push(some.length)
              return some.map((message) => ({
                _tag: hexOfAny(message) === discarded ? "discard" as const : "relay" as const
              }))
            })
        })
        const node = yield* start(0, { host })
        const [from, ...to] = [yield* dial(node, 1), yield* dial(node, 2), yield* dial(node, 3)]
        const writes = () => node.overlay.peers.authenticated().map(({ session }) => session.stats.asyncWrites)
        const before = writes()
        for (const message of messages) yield* from!.say(message)
        yield* from!.expectOpen(100)
        const wrote = writes().map((count, i) => count - before[i]!)
        assert.deepStrictEqual(batches, [6])
        const relayed = messages.map(hexOfAny).filter((hex) => hex !== discarded)
        for (const peer of [2, 3]) {
          const sent = tap.sent.filter((one) => one.message._tag === "ScpMessage" && one.to === `10.${200 + peer}.0.1`)
          assert.deepStrictEqual(sent.map(({ message }) => hexOfAny(message)), relayed)
        }
        assert.deepStrictEqual(wrote.toSorted(), [0, 1, 1])
        assert.strictEqual(node.flood.stats.sent, relayed.length * to.length)
        assert.strictEqual(node.flood.stats.broadcasts, relayed.length)
      })
    )
  })
})
