/** What attacks on framing cost a session: exact moments, memory, turns. */
import { assert, describe, it } from "@effect/vitest"
import { advert, note, sample, transaction, words } from "@stellar-overlay/overlay-test/hostile/parts"
import { ScriptedSession } from "@stellar-overlay/overlay-test/ScriptedSession"
import { Priority } from "../../src/protocol/Priority.ts"
import { MAX_FRAMES_PER_TURN } from "../../src/protocol/Session.ts"
import { MAX_BODY, MAX_UNAUTHENTICATED_BODY } from "../../src/wire/Frame.ts"
import { SendMoreExtended, type StellarMessage } from "../../src/wire/StellarMessage.ts"
import { authenticated, heldBytes, noted, upTo } from "./fixtures.ts"

describe("framing, from a hostile peer", () => {
  for (const role of ["initiator", "acceptor"] as const) {
    it(`T2 T3 an unfinished handshake ends at 2000 ms, to the millisecond, as ${role}`, () => {
      for (const pause of [undefined, 1, 7, 100, 1999]) {
        const wire = new ScriptedSession({ peer: { role } })
        wire.run(function*(peer) {
          const hello = pause === undefined ? [] : peer.encode(peer.hello())
          for (let at = 0; at < hello.length - 1 && peer.ending === undefined; at++) {
            yield* peer.sayBytes(Uint8Array.of(hello[at]!))
            yield* peer.wait(pause ?? 0)
          }
          if (peer.now.millis < 1999) yield* peer.expectOpen(1999 - peer.now.millis)
          yield* peer.expectClosed({ error: "silent" })
        })
        assert.strictEqual(wire.peer.ending?.at, 2000, `a byte every ${pause} ms`)
        assert.strictEqual(wire.dropped?._tag, "HandshakeTimeout")
      }
    })
  }

  it("T3 a handshake that is complete at 1999 ms stands", () => {
    const wire = new ScriptedSession()
    wire.run(function*(peer) {
      yield* peer.wait(1999)
      yield* peer.handshake()
      yield* peer.expectOpen(3000)
    })
    assert.isUndefined(wire.dropped)
  })

  it("T4 4096 bytes is a body, 4097 is not; nothing but the mark was taken in", () => {
    for (const [length, tag] of [[4096, "CorruptXdr"], [4097, "FrameTooLarge"]] as const) {
      const wire = new ScriptedSession()
      wire.run(function*(peer) {
        yield* peer.sayBytes(words(0x8000_0000 | length))
        yield* peer.sayBytes(new Uint8Array(length))
        yield* peer.expectClosed()
      })
      assert.strictEqual(wire.dropped?._tag, tag)
      assert.strictEqual(wire.victim.session.stats.bytesRead, length === 4097 ? 4 : 4 + length)
    }
  })

  it("T4 G3 an unauthenticated peer that announces all it may and sends nearly all of it pins less than 64 KiB", () => {
    const count = 200
    const wires = Array.from({ length: count }, () => new ScriptedSession())
    const mark = words(0x8000_0000 | MAX_UNAUTHENTICATED_BODY)
    const byte = new Uint8Array(1)
    const before = heldBytes()
    for (const { now, victim: { session } } of wires) {
      session.receive(mark, now)
      for (let i = 1; i < MAX_UNAUTHENTICATED_BODY; i++) session.receive(byte, now)
    }
    const each = (heldBytes() - before) / count
    assert.isBelow(each, 65_536)
    for (const { victim } of wires) assert.isUndefined(victim.dropped)
  })

  it("T5 T8 an announced body of 16 MiB costs nothing until it comes, and then at most twice what came", () => {
    const count = 20
    const wires = Array.from({ length: count }, () => authenticated())
    const idle = heldBytes()
    for (const { now, victim: { session } } of wires) session.receive(words(0x8000_0000 | MAX_BODY), now)
    assert.isBelow((heldBytes() - idle) / count, 8192, "per mark")
    for (const size of [1, 100, 1500, 65_536]) {
      const received = 300_000
      const chunk = new Uint8Array(size)
      const before = heldBytes()
      const some = wires.splice(0, 5)
      for (const { now, victim: { session } } of some) {
        for (let at = 0; at < received; at += size) session.receive(chunk, now)
      }
      const each = (heldBytes() - before) / some.length
      assert.isBelow(each, 2 * received + 65_536, `in chunks of ${size}`)
      for (const { victim } of some) assert.isUndefined(victim.dropped)
    }
  })

  const tiny: ReadonlyArray<readonly [name: string, make: (i: number) => StellarMessage]> = [
    ["grants, which the session handles itself", () => SendMoreExtended.make({ numMessages: 1, numBytes: 1 })],
    ["notes, which the consumer has to take", note]
  ]
  for (const [name, make] of tiny) {
    it(`T9 10,000 tiny frames in one chunk are handled 256 at a time: ${name}`, () => {
      const { now, peer, victim } = authenticated()
      const chunk = new Uint8Array(Buffer.concat(upTo(10_000).map((i) => peer.encode(make(i)))))
      const { session } = victim
      const { stats } = session
      const settle = () => {
        for (let batch; (batch = victim.take()) !== undefined;) session.settle(batch, now)
      }
      const end = stats.messagesRead + 10_000
      let read = stats.messagesRead
      let turns = 1
      session.receive(chunk, now)
      for (; session.hasBacklog || !session.canRead; turns++) {
        assert.isAtMost(stats.messagesRead - read, MAX_FRAMES_PER_TURN)
        read = stats.messagesRead
        settle()
        session.process(now)
      }
      settle()
      assert.strictEqual(stats.messagesRead, end)
      assert.isAtLeast(turns, 10_000 / MAX_FRAMES_PER_TURN)
      assert.isUndefined(victim.dropped)
      assert.deepStrictEqual(noted(victim.received), make === note ? upTo(10_000) : [])
    })
  }

  it("T10 a stream cut at every one of its offsets gives the same messages", () => {
    const run = (cut: number) => {
      const wire = authenticated({
        peer: { chunking: (bytes) => cut < bytes.length ? [bytes.slice(0, cut), bytes.slice(cut)] : [bytes] }
      })
      wire.run(function*(peer) {
        yield* peer.sayAll([note(0), advert(3), sample("ScpMessage"), note(1)])
      })
      assert.isUndefined(wire.dropped, `cut at ${cut}`)
      // Lanes may overtake each other; within one the order holds.
      const lane = (bulk: boolean) => wire.victim.received.filter(({ _tag }) => (_tag === "FloodAdvert") === bulk)
      return [...lane(false), ...lane(true)].map(({ bytes }) => Buffer.from(bytes).toString("hex"))
    }
    const whole = run(0x7fff_ffff)
    assert.lengthOf(whole, 4)
    for (let cut = 1; cut < 900; cut++) assert.deepStrictEqual(run(cut), whole, `cut at ${cut}`)
  })

  it("T11 an end at every offset of a frame delivers what came before it, and none of it", () => {
    for (const abrupt of [false, true]) {
      for (let at = 0; at <= 88; at++) {
        const wire = authenticated()
        wire.run(function*(peer) {
          yield* peer.say(note(1))
          if (at > 0) yield* peer.sayBytes(peer.encode(note(2)).slice(0, at))
          yield* abrupt ? peer.reset() : peer.finish()
        })
        const between = at === 0 || at === 88
        assert.deepStrictEqual(noted(wire.victim.received), at === 88 ? [1, 2] : [1], `${at} bytes`)
        assert.strictEqual(
          wire.dropped?._tag,
          abrupt ? "ReadError" : between ? "RemoteClosed" : "ShortRead",
          `${at} bytes`
        )
        assert.lengthOf(wire.events.filter(({ _tag }) => _tag === "Dropped"), 1)
      }
    }
  })

  it("T12 whatever is offered to a peer that reads nothing, its queues are bounded", () => {
    const limits = { scp: 4_194_304, transactions: 3_145_728, direct: 17_825_792 }
    const [small, adverts] = [transaction(1024), advert(100)]
    const offers: ReadonlyArray<readonly [name: string, make: (i: number) => StellarMessage, ends: boolean]> = [
      ["transactions", () => small, false],
      ["adverts", () => adverts, false],
      ["SCP messages", (i) => sample("ScpMessage", i), true],
      ["answers", (i) => note(i), true]
    ]
    for (const [name, make, ends] of offers) {
      const { now, victim: { session } } = authenticated()
      for (let i = 0; i < 30_000 && session.dropReason === undefined; i++) {
        session.send(make(i), now)
        assert.isAtMost(session.queues.bytesOf(Priority.Scp), limits.scp)
        assert.isAtMost(session.queues.bytesOf(Priority.Transaction), limits.transactions)
        assert.isAtMost(session.queues.hashesOf(Priority.Advert), 1000)
        assert.isAtMost(session.queues.directBytes, limits.direct)
      }
      // What must not be lost ends the connection at its bound; what may be lost never does.
      assert.strictEqual(session.dropReason?._tag, ends ? "Straggling" : undefined, name)
    }
  })
})
