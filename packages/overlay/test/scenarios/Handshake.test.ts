/** Rows HSK-001 to HSK-006 and HSK-020 to HSK-032 of the scenario inventory, with real address tables on both sides. */
import { assert, it } from "@effect/vitest"
import * as SessionPair from "@stellar-overlay/overlay-test/SessionPair"
import { Effect } from "effect"
import * as OverlayConfig from "../../src/OverlayConfig.ts"
import { PeerType } from "../../src/PeerStore.ts"
import type { RemoteFacts } from "../../src/protocol/Handshake.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import { Auth, GetScpState, GetTxSet, Peers } from "../../src/wire/StellarMessage.ts"
import { open } from "../peerFixtures.ts"
import { Remote } from "./remote.ts"

// Node 1 dials from port 11625, node 2 listens on 11627, as upstream's instances do.
const one = PeerAddress.make("127.0.0.1", 11625)
const two = PeerAddress.make("127.0.0.1", 11627)

/** Upstream's test nodes (BASE), where a session is concerned. */
const base = (port: number, end: SessionPair.EndOptions = {}): SessionPair.EndOptions => ({
  ...end,
  config: { networkPassphrase: "(V) (;,,;) (V)", peerPort: port, ...end.config }
})

/** A pair whose ends write to address tables, which say afterwards who knows whom. */
const nodes = Effect.fnUntraced(
  function*(initiator: SessionPair.EndOptions = {}, acceptor: SessionPair.EndOptions = {}) {
    const tables = [yield* open({ allowLocalhost: true }), yield* open({ allowLocalhost: true })] as const
    const admission = (
      table: (typeof tables)[number],
      own: SessionPair.EndOptions
    ): SessionPair.EndOptions["admission"] => ({
      helloReceived: (remote: RemoteFacts) => {
        table.helloReceived(remote.address, remote.role)
        return undefined
      },
      authenticated: (remote: RemoteFacts) => {
        table.authenticated(remote.address, remote.role)
        return undefined
      },
      ...own.admission
    })
    const pair = SessionPair.make({
      initiator: base(11625, { ...initiator, admission: admission(tables[0], initiator) }),
      acceptor: base(11627, { ...acceptor, admission: admission(tables[1], acceptor) })
    })
    /** The types under which node 1 knows node 2 and node 2 knows node 1. */
    const known = () => [tables[0].get(two)?.type, tables[1].get(one)?.type]
    return { pair, known }
  }
)

const { Inbound, Outbound } = PeerType
const authenticated = (pair: SessionPair.SessionPair) => pair.ends.map(({ session }) => session.isAuthenticated)
const connected = (pair: SessionPair.SessionPair) => pair.ends.map(({ dropped }) => dropped === undefined)

it.effect("HSK-001 loopback peer hello", () =>
  Effect.gen(function*() {
    const { known, pair } = yield* nodes()
    pair.connect()
    assert.deepStrictEqual(authenticated(pair), [true, true])
    assert.deepStrictEqual(known(), [Outbound, Inbound])
  }))

it.effect("HSK-002 loopback peer with 0 port", () =>
  Effect.gen(function*() {
    const { acceptor } = SessionPair.make({ acceptor: base(11627) })
    const handshake = { ...acceptor.session.options.handshake, listeningPort: 0 }
    const { pair } = yield* nodes({}, { session: { handshake } })
    pair.connect()
    assert.deepStrictEqual(authenticated(pair), [false, false])
    assert.strictEqual(pair.initiator.dropText, "bad address")
  }))

it.effect("HSK-003 loopback peer send auth before hello", () =>
  Effect.gen(function*() {
    const table = yield* open({ allowLocalhost: true })
    const remote = new Remote({
      admission: { helloReceived: ({ address, role }) => void table.helloReceived(address, role) }
    })
    remote.say(Auth.make())
    assert.isFalse(remote.session.isAuthenticated)
    assert.deepStrictEqual(remote.names, ["ERROR_MSG ERR_MISC out-of-order AUTH message"])
    assert.strictEqual(table.size(), 0)
  }))

it.effect("HSK-004 failed auth: the initiator's receive key is another one", () =>
  Effect.gen(function*() {
    const { known, pair } = yield* nodes()
    const { auth, crypto } = pair.initiator
    const macKeys = auth.macKeys.bind(auth)
    auth.macKeys = (...keys) => {
      const agreed = macKeys(...keys)
      return agreed && { ...agreed, receive: crypto.primitives.randomBytes(32) }
    }
    pair.connect()
    assert.deepStrictEqual(connected(pair), [false, false])
    assert.strictEqual(pair.initiator.dropText, "unexpected MAC")
    assert.deepStrictEqual(known(), [Outbound, Inbound])
  }))

const someone = PeerAddress.make("1.1.1.1", 11625)

it.effect("HSK-005 PEERS from the side that called", () =>
  Effect.gen(function*() {
    const { pair } = yield* nodes({}, { admission: { peersFor: () => [someone] } })
    pair.connect()
    assert.deepStrictEqual(authenticated(pair), [true, true])
    assert.strictEqual(pair.initiator.messages("Peers").length, 1)
    pair.initiator.session.send(Peers.make({ addresses: [someone] }), pair.now)
    pair.settle().advance(1000)
    assert.deepStrictEqual(connected(pair), [false, false])
    assert.strictEqual(pair.acceptor.dropText, "received PEERS")
  }))

it.effect("HSK-006 PEERS twice from the side that was called", () =>
  Effect.gen(function*() {
    const { pair } = yield* nodes({}, { admission: { peersFor: () => [someone] } })
    pair.connect()
    pair.acceptor.session.send(Peers.make({ addresses: [someone] }), pair.now)
    pair.settle().advance(1000)
    assert.deepStrictEqual(connected(pair), [false, false])
    assert.strictEqual(pair.initiator.dropText, "too many msgs PEERS")
  }))

it.effect("HSK-020 reject peers with differing network passphrases", () =>
  Effect.gen(function*() {
    const { known, pair } = yield* nodes({}, { config: { networkPassphrase: "nothing" } })
    pair.connect()
    assert.deepStrictEqual(connected(pair), [false, false])
    assert.deepStrictEqual(known(), [undefined, undefined])
    assert.strictEqual(pair.acceptor.dropText, "failed to verify auth cert")
  }))

it.effect("HSK-021 reject peers with invalid cert", () =>
  Effect.gen(function*() {
    const { known, pair } = yield* nodes()
    const { auth } = pair.acceptor
    const certificate = auth.certificate.bind(auth)
    auth.certificate = (seconds) => {
      const cert = certificate(seconds)
      return { ...cert, expiration: cert.expiration + 1n }
    }
    pair.connect()
    assert.deepStrictEqual(connected(pair), [false, false])
    assert.deepStrictEqual(known(), [undefined, Inbound])
  }))

it.effect("HSK-022 reject banned peers", () =>
  Effect.gen(function*() {
    const banned = SessionPair.make({ acceptor: base(11627) }).acceptor.id
    const { known, pair } = yield* nodes({ admission: { isBanned: (id) => id === banned } })
    pair.connect()
    assert.deepStrictEqual(connected(pair), [false, false])
    assert.strictEqual(pair.initiator.dropText, "node is banned")
    assert.deepStrictEqual(known(), [undefined, Inbound])
  }))

for (const [id, name, version] of [["HSK-023", "above", 43], ["HSK-024", "below", 37]] as const) {
  it.effect(`${id} reject peers with incompatible overlay versions: the acceptor is ${name}`, () =>
    Effect.gen(function*() {
      const { known, pair } = yield* nodes({}, { config: { overlayVersion: version, overlayMinVersion: version } })
      pair.connect()
      assert.deepStrictEqual(connected(pair), [false, false])
      assert.strictEqual(pair.initiator.dropText, "wrong protocol version")
      assert.deepStrictEqual(known(), [undefined, undefined])
    }))
}

for (const [id, timeout, end] of [["HSK-025", 2, 5000], ["HSK-026", 5, 5000]] as const) {
  for (const strict of [true, false]) {
    it.effect(`${id} reject peers who don't handshake within ${timeout} s, ${strict ? "with core's timers" : "exactly"}`, () =>
      Effect.gen(function*() {
        const config = { ...(strict ? OverlayConfig.core : {}), peerAuthenticationTimeoutSeconds: timeout }
        const { known, pair } = yield* nodes({ config }, { config })
        pair.initiator.corked = true
        pair.connect()
        // Core looks every 5 s; we end it at the timeout.
        const deadline = strict ? end : timeout * 1000
        pair.advance(deadline - 1)
        assert.deepStrictEqual(connected(pair), [true, true])
        pair.advance(1)
        assert.deepStrictEqual(connected(pair), [false, false])
        assert.strictEqual(pair.acceptor.dropped?._tag, strict ? "IdleTimeout" : "HandshakeTimeout")
        assert.deepStrictEqual(known(), [undefined, undefined])
      }))
  }
}

for (const [id, timeout] of [["HSK-027", 60], ["HSK-028", 120], ["HSK-029", 150]] as const) {
  for (const rate of [4, Number.POSITIVE_INFINITY]) {
    const takes = rate === 4 ? "takes a quarter" : "takes nothing"
    it.effect(`${id} drop peers who straggle: ${timeout} s, and the peer ${takes} of what it asks for`, () =>
      Effect.gen(function*() {
        // One message per write, and a socket that is slow: the write of one answer ends when the peer has taken it.
        const { pair } = yield* nodes({}, { config: { peerStragglerTimeoutSeconds: timeout, maxBatchWriteCount: 1 } })
        pair.connect()
        const { acceptor, initiator } = pair
        acceptor.corked = true
        const query = GetTxSet.make({ hash: new Uint8Array(32) })
        let writing = false
        let seconds = 0
        for (; seconds < 3 * timeout + 5 && acceptor.dropped === undefined; seconds++) {
          initiator.session.send(query, pair.now)
          pair.settle()
          if (writing && seconds % rate === 0) {
            acceptor.session.wrote(pair.now)
            writing = false
            for (const slab of acceptor.outgoing.splice(0)) initiator.session.receive(slab, pair.now)
          }
          const slab = writing ? undefined : acceptor.session.nextWrite(pair.now)
          if (slab !== undefined) {
            writing = true
            acceptor.outgoing.push(slab)
          }
          pair.advance(1000)
        }
        assert.strictEqual(acceptor.dropped?._tag, "Straggling")
        assert.strictEqual(acceptor.dropText, "straggling (cannot keep up)")
        // By the clock: the age of the message in hand grows by a second a second, or by three in four.
        assert.isAtLeast(seconds, timeout)
        assert.isAtMost(seconds, rate === 4 ? Math.ceil(timeout * 4 / 3) + 10 : timeout + 6)
        if (writing) acceptor.session.wrote(pair.now)
        acceptor.corked = false
        pair.settle()
        assert.deepStrictEqual(connected(pair), [false, false])
        assert.notStrictEqual(initiator.dropped?._tag, "IdleTimeout")
      }))
  }
}

for (const [id, mine, theirs] of [["HSK-030", one, two], ["HSK-031", two, one]] as const) {
  it.effect(`${id} reject peers with the same nodeid, dialling from ${mine}`, () =>
    Effect.gen(function*() {
      const seed = new Uint8Array(32).fill(7)
      const { pair } = yield* nodes(
        { seed, config: { peerPort: mine.port } },
        { seed, config: { peerPort: theirs.port } }
      )
      pair.connect()
      assert.strictEqual(pair.initiator.dropText, "connecting to self")
      assert.deepStrictEqual(connected(pair), [false, false])
    }))
}

it.effect("HSK-032 Q2 GET_SCP_STATE rate limiting: 10 per window of 60 s", () =>
  Effect.gen(function*() {
    const { pair } = yield* nodes({}, { session: { answers: "deliver" } })
    pair.connect().advance(61_000)
    const ask = (times: number) => {
      const before = pair.acceptor.messages("GetScpState").length
      for (let i = 0; i < times; i++) {
        pair.initiator.session.send(GetScpState.make({ ledgerSeq: 0 }), pair.now)
        pair.settle()
      }
      return pair.acceptor.messages("GetScpState").length - before
    }
    assert.strictEqual(ask(10), 10)
    assert.strictEqual(ask(5), 0)
    pair.advance(61_000)
    assert.strictEqual(ask(1), 1)
    assert.deepStrictEqual(connected(pair), [true, true])
  }))
