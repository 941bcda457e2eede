import { assert, describe, it } from "@effect/vitest"
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import { FloodAdvert, GetTxSet } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as SessionPair from "../src/SessionPair.ts"

const hash = (i: number) => new Uint8Array(32).fill(i)
const query = (i: number) => GetTxSet.make({ hash: hash(i) })
const advert = (i: number) => FloodAdvert.make({ hashes: [hash(i)] })
const dropped = (pair: SessionPair.SessionPair) => pair.ends.map(({ dropped }) => dropped?._tag)

describe("SessionPair", () => {
  it("SIM-02 make waits for connect; connected has shaken hands", () => {
    const pair = SessionPair.make()
    assert.deepStrictEqual(pair.ends.map(({ session }) => session.state), ["Connecting", "Connected"])
    pair.connect()
    assert.deepStrictEqual(pair.ends.map(({ session }) => session.state), ["GotAuth", "GotAuth"])
    assert.deepStrictEqual(SessionPair.connected().ends.map(({ session }) => session.state), ["GotAuth", "GotAuth"])
    assert.deepStrictEqual(
      pair.ends.map(({ events }) => events.map(({ _tag }) => _tag)),
      [["Hello", "Authenticated"], ["Hello", "Authenticated"]]
    )
  })

  it("SIM-02 the two sides are two nodes, and equal runs are equal to the byte", () => {
    const [one, two] = [SessionPair.connected(), SessionPair.connected()]
    assert.notStrictEqual(one.initiator.id, one.acceptor.id)
    assert.deepStrictEqual(one.ends.map(({ id }) => id), two.ends.map(({ id }) => id))
    assert.deepStrictEqual(one.ends.map(({ session }) => session.stats), two.ends.map(({ session }) => session.stats))
  })

  it("SIM-02 messages reach the other side with settle, in order, owning their bytes", () => {
    const pair = SessionPair.connected({ acceptor: { session: { answers: "deliver" } } })
    for (let i = 1; i <= 3; i++) pair.initiator.session.send(query(i), pair.now)
    assert.deepStrictEqual(pair.acceptor.received.length, 1, "GET_SCP_STATE of the handshake is there already")
    pair.settle()
    const received = pair.acceptor.messages("GetTxSet")
    assert.deepStrictEqual(received.map(({ bytes }) => bytes), [query(1).bytes, query(2).bytes, query(3).bytes])
    for (const { bytes } of received) assert.strictEqual(bytes.byteLength, bytes.buffer.byteLength)
  })

  it("SIM-02 a corked side keeps what it wrote until it is uncorked", () => {
    const pair = SessionPair.connected()
    pair.initiator.corked = true
    pair.initiator.session.send(query(1), pair.now)
    pair.settle()
    assert.strictEqual(pair.acceptor.session.stats.messagesRead, pair.initiator.session.stats.messagesWritten)
    pair.initiator.corked = false
    const before = pair.acceptor.session.stats.messagesRead
    pair.settle()
    assert.strictEqual(pair.acceptor.session.stats.messagesRead, before + 1)
  })

  it("SIM-02 an idle side takes nothing until take; what is taken is settled by hand", () => {
    const pair = SessionPair.connected({ acceptor: { idle: true } })
    pair.initiator.session.send(advert(1), pair.now)
    pair.settle()
    const { acceptor } = pair
    assert.deepStrictEqual(acceptor.received, [])
    assert.strictEqual(acceptor.session.flow.localFloodMessages, 199)
    const batch = acceptor.take()
    assert.strictEqual(acceptor.messages("FloodAdvert").length, 1)
    assert.strictEqual(acceptor.session.flow.localFloodMessages, 199)
    acceptor.session.settle(batch!, pair.now)
    assert.strictEqual(acceptor.session.flow.localFloodMessages, 200)
    assert.isUndefined(acceptor.take())
  })

  it("SIM-02 advance stops at every deadline on the way, and the wall clock goes along", () => {
    const pair = SessionPair.connected({ unixSeconds: 1000 })
    pair.advance(12_345)
    assert.deepStrictEqual(pair.now, { millis: 12_345, unixSeconds: 1012 })
    for (let i = 0; i < 10; i++) pair.advance(66) // fractions of seconds add up
    assert.deepStrictEqual(pair.now, { millis: 13_005, unixSeconds: 1013 })
    // Pings at 5 s and 10 s, both ways, each answered.
    assert.deepStrictEqual(pair.ends.map(({ session }) => session.liveness.latencyMillis), [0, 0])
    assert.deepStrictEqual(pair.ends.map(({ session }) => session.stats.messagesWritten), [4 + 4, 4 + 4])
  })

  it("SIM-02 the end of one side is the end of input for the other, after everything it said", () => {
    const pair = SessionPair.connected({ acceptor: { session: { answers: "deliver" } } })
    pair.initiator.session.send(query(1), pair.now)
    pair.initiator.session.drop(DropReason.make("DroppedByUser"), pair.now)
    pair.settle()
    assert.deepStrictEqual(dropped(pair), ["DroppedByUser", "ErrorReceived"])
    assert.strictEqual(pair.acceptor.messages("GetTxSet").length, 1)
    assert.strictEqual(pair.initiator.dropText, "dropped by user")

    const silent = SessionPair.connected()
    silent.initiator.session.drop(DropReason.make("NodeBanned"), silent.now)
    silent.settle()
    assert.deepStrictEqual(dropped(silent), ["NodeBanned", "RemoteClosed"])
  })

  it("SIM-02 options of both sides, of one side, and parts that a configuration would refuse", () => {
    const pair = SessionPair.connected({
      both: { config: { versionString: "both" } },
      acceptor: { config: { versionString: "acceptor" }, session: { scpStateFrom: undefined } },
      initiator: { admission: { isBanned: () => false } }
    })
    assert.strictEqual(pair.acceptor.session.remote?.version, "both")
    assert.strictEqual(pair.initiator.session.remote?.version, "acceptor")
    assert.deepStrictEqual(pair.initiator.received, [], "the acceptor asked for nothing")
    assert.throws(() => SessionPair.make({ both: { config: { peerPort: 0 } } }), /peerPort/)
  })

  it("SIM-02 settle takes a number of rounds at most, for stories that never come to rest", () => {
    const pair = SessionPair.connected({ acceptor: { session: { answers: "deliver" } } })
    const { initiator, now } = pair
    const step = pair.step.bind(pair)
    pair.step = (from, to) => {
      if (from === initiator) initiator.session.send(query(1), now)
      return step(from, to)
    }
    pair.settle(10)
    assert.strictEqual(pair.acceptor.messages("GetTxSet").length, 10)
  })
})
