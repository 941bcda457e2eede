/** The checkers of the global invariants, with what they must object to. */
import { assert, describe, it } from "@effect/vitest"
import * as Invariants from "@stellar-overlay/overlay-test/hostile/Invariants"
import { overlayAttack } from "@stellar-overlay/overlay-test/hostile/OverlayAttack"
import * as OverlayTrial from "@stellar-overlay/overlay-test/hostile/OverlayTrial"
import { RecordingHost } from "@stellar-overlay/overlay-test/hostile/RecordingHost"
import { COSTS, TurnMeter } from "@stellar-overlay/overlay-test/hostile/TurnMeter"
import { scp, validator } from "@stellar-overlay/overlay-test/hostile/Validators"
import { Context, Effect } from "effect"
import * as DropReason from "../../src/DropReason.ts"
import * as NodeOverlayCrypto from "../../src/NodeOverlayCrypto.ts"
import type { OverlayEvent } from "../../src/OverlayEvents.ts"
import { empty } from "../../src/OverlayMetricsSnapshot.ts"
import { Peers } from "../../src/Peers.ts"
import { MessageType } from "../../src/wire/MessageType.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"

const passages = (count: number, millis: (i: number) => number | undefined) =>
  Array.from({ length: count }, (_, i) => {
    const took = millis(i)
    return { saidAt: 100 * i, heardAt: took === undefined ? undefined : 100 * i + took }
  })

/** So many frames of so many bytes, marks included. */
const framed = (count: number, size: number): Uint8Array => {
  const bytes = new Uint8Array(count * (4 + size))
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < count; i++) view.setUint32(i * (4 + size), 0x8000_0000 + size)
  return bytes
}

const dropped = (port: number): OverlayEvent => ({
  _tag: "PeerDropped",
  address: PeerAddress.make("20.0.0.1", port),
  role: "acceptor",
  id: undefined,
  authenticated: false,
  reason: DropReason.make("UnexpectedMac")
})

describe("the global invariants", () => {
  it("G2 messages of neighbours may take half as long again, and none may be lost", () => {
    const before = passages(100, () => 20)
    assert.isEmpty(Invariants.neighbours(before, passages(100, () => 30)))
    assert.isEmpty(Invariants.neighbours(before, passages(1000, (i) => (i < 9 ? 500 : 20))))
    assert.lengthOf(Invariants.neighbours(before, passages(100, (i) => (i < 3 ? 31 : 20))), 1)
    assert.lengthOf(Invariants.neighbours(before, passages(100, (i) => (i === 50 ? undefined : 20))), 1)
    assert.lengthOf(Invariants.neighbours(before, []), 1)
  })

  it("G3 a bound that is exceeded by one is said", () => {
    assert.isEmpty(Invariants.overflowing([["things", 5, 5]]))
    assert.deepStrictEqual(Invariants.overflowing([["things", 6, 5]]), ["G3 6 things, 5 are allowed"])
  })

  it("G4 whatever is more than before is said", () => {
    assert.isEmpty(Invariants.leftBehind({ links: 2 }, { links: 2 }))
    assert.isEmpty(Invariants.leftBehind({ links: 2 }, { links: 1 }))
    assert.lengthOf(Invariants.leftBehind({ links: 2 }, { links: 3 }), 1)
    assert.isEmpty(Invariants.leftBehind({ fibers: 30, timers: 7 }, { fibers: 34, timers: 10 }))
    assert.lengthOf(Invariants.leftBehind({ fibers: 30, timers: 7 }, { fibers: 35, timers: 11 }), 2)
  })

  it("G5 a turn of five hundred signature checks is too long, five hundred turns of one are not", () => {
    for (const [perTurn, problems] of [[1, 0], [500, 1]] as const) {
      let turn = 0
      const meter = new TurnMeter(() => turn)
      const { ed25519Verify } = meter.over(NodeOverlayCrypto.primitives)
      for (let i = 0; i < 500; i++) {
        if (i % perTurn === 0) turn++
        ed25519Verify(new Uint8Array(32), new Uint8Array(32), new Uint8Array(64))
      }
      assert.lengthOf(meter.problems(), problems)
      assert.strictEqual(meter.verified, 500)
    }
  })

  it("G5 the bytes and messages of a turn count as its signatures do", () => {
    let turn = 0
    const meter = new TurnMeter(() => turn)
    const chunk = framed(1000, 84)
    const remote = PeerAddress.make("20.0.0.1", 1)
    const connection = { remote, pull: Effect.succeed([chunk] as const), write: () => Effect.void, end: Effect.void }
    const transport = meter.overTransport({
      dial: () => Effect.succeed(connection),
      listen: () => Effect.die("unused")
    })
    const weighed = Effect.runSync(Effect.scoped(transport.dial(remote, { timeoutMillis: 1 })))
    const moved = COSTS.call + chunk.length * COSTS.perByteMoved
    const read = moved + 1000 * (COSTS.frame + 84 * COSTS.perByteValidated)
    Effect.runSync(weighed.pull)
    assert.closeTo(meter.worst, read, 1e-6)
    Effect.runSync(weighed.write([chunk]))
    assert.closeTo(meter.worst, read + moved + 1000 * COSTS.encode, 1e-6, "in one turn")
    turn++
    Effect.runSync(weighed.pull)
    assert.closeTo(meter.spent.read, 2 * read, 1e-6)
    assert.closeTo(meter.worst, read + moved + 1000 * COSTS.encode, 1e-6, "in a turn of its own")
    assert.isEmpty(meter.problems())
    // As many pulls as make the longest turn, and one more.
    for (let i = 0; i <= COSTS.maxTurn / read; i++) Effect.runSync(weighed.pull)
    assert.lengthOf(meter.problems(), 1)
  })

  it("G5 a message in pieces is weighed once, when it is whole, and what is handed over as it is", () => {
    const meter = new TurnMeter(() => 0)
    const all = framed(1, 996)
    const pieces = [all.subarray(0, 2), all.subarray(2, 500), all.subarray(500)]
    const remote = PeerAddress.make("20.0.0.1", 1)
    const pull = Effect.suspend(() => Effect.succeed([pieces.shift()!] as const))
    const connection = { remote, pull, write: () => Effect.void, end: Effect.void }
    const transport = meter.overTransport({
      dial: () => Effect.succeed(connection),
      listen: () => Effect.die("unused")
    })
    const weighed = Effect.runSync(Effect.scoped(transport.dial(remote, { timeoutMillis: 1 })))
    Effect.runSync(weighed.pull)
    Effect.runSync(weighed.pull)
    assert.closeTo(meter.spent.read, 2 * COSTS.call + 500 * COSTS.perByteMoved, 1e-6)
    Effect.runSync(weighed.pull)
    const whole = 3 * COSTS.call + 1000 * COSTS.perByteMoved + COSTS.frame + 996 * COSTS.perByteValidated
    assert.closeTo(meter.spent.read, whole, 1e-6)
    const host = meter.overHost(new RecordingHost().service)
    const messages = [
      scp({ by: validator(1), slot: 1, closeTime: 0 }),
      scp({ by: validator(2), slot: 1, closeTime: 0 })
    ]
    Effect.runSync(host.receiveScp([messages[0]!, messages[1]!], undefined))
    assert.strictEqual(meter.spent.handed, 2 * COSTS.handed)
  })

  it("G6 a connection that was dropped twice, or never, is said; and drops that were not counted or logged", () => {
    const events = [dropped(1), dropped(2), dropped(2)]
    assert.isEmpty(Invariants.drops(events, ["20.0.0.1:1"]))
    assert.lengthOf(Invariants.drops(events, ["20.0.0.1:1", "20.0.0.1:2"]), 1)
    assert.lengthOf(Invariants.drops(events, ["20.0.0.1:3"]), 1)
    assert.isEmpty(Invariants.counted([], empty, 0))
    assert.lengthOf(Invariants.counted(events, empty, 3), 1)
    assert.lengthOf(Invariants.counted(events, empty, 2), 2)
  })

  it("G7 what is said beyond the handshake counts, SCP messages and honest hosts do not", () => {
    const [victim, attacker, honest] = ["10.1.0.1", "20.0.0.1", "10.2.0.1"]
    const frame = (type: number, size: number) => {
      const bytes = framed(1, size)
      new DataView(bytes.buffer).setUint32(16, type)
      return bytes
    }
    const meter = new Invariants.ByteMeter(victim, [honest])
    meter.onBytes(1, attacker, victim, new Uint8Array(1000))
    meter.onBytes(1, victim, attacker, frame(MessageType.ScpMessage, 100_000))
    meter.onBytes(1, victim, attacker, frame(MessageType.TxSet, Invariants.FREE_BYTES - 4))
    meter.onBytes(2, victim, honest, frame(MessageType.TxSet, 100_000))
    meter.onBytes(3, attacker, honest, frame(MessageType.TxSet, 100_000))
    assert.isEmpty(meter.problems(0))
    meter.onBytes(1, victim, attacker, frame(MessageType.TxSet, 1996))
    assert.strictEqual(meter.amplification, 2)
    assert.isEmpty(meter.problems(2))
    assert.lengthOf(meter.problems(1.9), 1)
  })

  it.effect("G1 G2 G4 a trial sees what an attack does to others", () =>
    Effect.gen(function*() {
      const outcome = (attack: Parameters<typeof OverlayTrial.inWorld>[0]) =>
        OverlayTrial.inWorld(attack, attack.variants[0]!)
      const cases = [{ name: "the only one" }]
      const ends = yield* outcome(overlayAttack({
        id: "X",
        title: "drops an honest peer",
        needs: "victim",
        cases,
        run: (victim) =>
          Effect.sync(() => {
            const { authenticated, drop } = Context.get(victim.inside.services, Peers)
            for (const { id } of authenticated()) drop(id, DropReason.make("DroppedByUser"))
          })
      }))
      assert.isTrue(ends.problems.some((text) => text.startsWith("G2 the honest speaker was dropped")))
      const stays = yield* outcome(overlayAttack({
        id: "X",
        title: "leaves fibers behind, and fails",
        cases,
        run: (_, attackers) =>
          Effect.gen(function*() {
            yield* attackers.join("20.0.0.1")
            for (let i = 0; i < 5; i++) yield* Effect.forkDetach(Effect.sleep("1 hour"))
            return yield* Effect.die("on purpose")
          })
      }))
      assert.isTrue(stays.problems.some((text) => text.includes("on purpose")), stays.problems.join("\n"))
      assert.isTrue(stays.problems.some((text) => text.startsWith("G4 when all was over")), stays.problems.join("\n"))
      assert.isTrue(stays.problems.some((text) => /^G4 \d+ fibers are left/.test(text)), stays.problems.join("\n"))
      assert.isTrue(stays.problems.some((text) => /^G4 \d+ timers are left/.test(text)), stays.problems.join("\n"))
    }))
})
