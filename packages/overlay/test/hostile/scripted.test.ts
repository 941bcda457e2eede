/** The tools themselves: a scripted peer notices what is not as its script says, whichever way it is run. */
import { assert, describe, it } from "@effect/vitest"
import { note } from "@stellar-overlay/overlay-test/hostile/parts"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import type { PeerScript } from "@stellar-overlay/overlay-test/PeerScript"
import { type Script, ScriptFailure } from "@stellar-overlay/overlay-test/Script"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import { ScriptedSession } from "@stellar-overlay/overlay-test/ScriptedSession"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect, Exit } from "effect"
import { SendMore } from "../../src/wire/StellarMessage.ts"
import { authenticated } from "./fixtures.ts"

const failing: ReadonlyArray<readonly [what: string, expected: RegExp, story: (peer: PeerScript) => Script<unknown>]> =
  [
    ["a message that does not come", /expected Peers, but 300 ms passed/, (peer) => peer.expect("Peers", 300)],
    ["a message after the end", /expected Peers, but the connection ended/, function*(peer) {
      yield* peer.say(SendMore.make({ numMessages: 1 }))
      yield* peer.expect("Peers")
    }],
    ["silence that is broken", /nothing for 6000 ms, but there came GetScpQuorumSet/, (peer) => peer.expectNone(6000)],
    [
      "silence of one kind that is broken",
      /no GetScpQuorumSet for 6000 ms, but there came GetScpQuorumSet/,
      (peer) => peer.expectNone(6000, "GetScpQuorumSet")
    ],
    [
      "an end that does not come",
      /the end of the connection within 10 ms, but it is open/,
      (peer) => peer.expectClosed({ within: 10 })
    ],
    [
      "an open connection that ends",
      /an open connection for 100000 ms, but Eof at/,
      (peer) => peer.expectOpen(100_000)
    ],
    ["words where there should be none", /no ERROR_MSG, but there came ERR_AUTH "unexpected MAC"/, function*(peer) {
      yield* peer.say(note(1), { mac: "zero" })
      yield* peer.expectClosed({ error: "silent" })
    }],
    ["other words", /ERROR_MSG 3 "unexpected mac" as the last frame, but it is ERR_AUTH/, function*(peer) {
      yield* peer.say(note(1), { mac: "zero" })
      yield* peer.expectError(3, "unexpected mac")
    }],
    ["words that are missing", /ERROR_MSG 1 "x" as the last frame, but there is none/, function*(peer) {
      yield* peer.say(SendMore.make({ numMessages: 1 }))
      yield* peer.expectError(1, "x")
    }]
  ]

describe("a scripted peer", () => {
  for (const [what, message, story] of failing) {
    it(`fails for ${what}, with what it heard, over a session`, () => {
      const wire = authenticated()
      try {
        wire.run(story)
      } catch (error) {
        assert.instanceOf(error, ScriptFailure)
        assert.match(error.message, message)
        assert.match(error.message, /\n {2}0 ms Hello\n {2}0 ms Auth\n/)
        return
      }
      assert.fail("the script did not notice")
    })
  }

  it("hears that a frame is not authentic", () => {
    const wire = authenticated()
    wire.peer.receiveSequence++ // as if one had been lost
    wire.run((peer) => peer.wait(5000))
    assert.strictEqual(wire.peer.heard.at(-1)?.authentic, false)
    assert.throws(() => wire.run((peer) => peer.expect("GetScpQuorumSet")), /its sequence number or MAC is wrong/)
  })

  it("says the same bytes for the same seed, and others for another", () => {
    const written = (seed: string) => {
      const wire = new ScriptedSession({ peer: { seed } })
      wire.run((peer) => peer.handshake())
      return wire.peer.written.map((bytes) => bytes.join())
    }
    assert.deepStrictEqual(written("a"), written("a"))
    assert.notDeepEqual(written("a"), written("b"))
  })

  it("stops and resumes reading, and its writes wait for a session that does not read", () => {
    const wire = authenticated({ victim: { idle: true } })
    wire.run(function*(peer) {
      yield* peer.stopReading()
      const heard = peer.heard.length
      yield* peer.wait(6000)
      assert.strictEqual(peer.heard.length, heard)
      yield* peer.resumeReading()
      yield* peer.expect("GetScpQuorumSet", 0)
      // 201 messages fill the session; more than a socket holds does not go.
      assert.isFalse(yield* peer.sayAll(Array.from({ length: 2000 }, (_, i) => note(i))))
    })
  })

  it.effect("fails as an effect over a connection, with the same words, and closes with its scope", () =>
    World.run(Effect.gen(function*() {
      const [dialer, listener] = yield* LoopbackTransport.pair()
      const exit = yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
        const peer = yield* ScriptedPeer.make(dialer)
        yield* peer.sayBytes(Uint8Array.of(1, 2, 3))
        return yield* peer.expect("Hello", 250)
      })))
      assert.match(String(Exit.isFailure(exit) && exit.cause), /expected Hello, but 250 ms passed/)
      assert.deepStrictEqual(yield* listener.pull, [Uint8Array.of(1, 2, 3)])
    })))

  it.effect("ends in order, or breaks, and hears the other end do so", () =>
    World.run(Effect.gen(function*() {
      for (const kind of ["Eof", "Reset"] as const) {
        const [dialer, listener] = yield* LoopbackTransport.pair()
        const [a, b] = [yield* ScriptedPeer.make(dialer), yield* ScriptedPeer.make(listener, { role: "acceptor" })]
        yield* kind === "Eof" ? a.finish : a.reset
        const ending = yield* b.expectClosed({ within: 1 })
        assert.strictEqual(ending.kind, kind)
      }
    })))
})
