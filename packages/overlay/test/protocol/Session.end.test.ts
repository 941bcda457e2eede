/** How a session ends: once, for one reason, and with the ERROR_MSG the documents ask for. */
import { assert, describe, it } from "@effect/vitest"
import * as RandomXdr from "@stellar-overlay/overlay-test/RandomXdr"
import * as SessionPair from "@stellar-overlay/overlay-test/SessionPair"
import { xdr } from "@stellar/stellar-base"
import * as DropReason from "../../src/DropReason.ts"
import type { PeerState, Role } from "../../src/protocol/Handshake.ts"
import { Auth, ErrorMsg, fromBytes, SendMoreExtended } from "../../src/wire/StellarMessage.ts"
import { advert, getTxSet, sample, transaction } from "../scenarios/fixtures.ts"
import { authenticated, frame, Remote } from "../scenarios/remote.ts"

const roles: ReadonlyArray<Role> = ["initiator", "acceptor"]

describe("our ERROR_MSG", () => {
  it("PEE-04 code and text, then nothing more; what was answered before still leaves, in front of it", () => {
    const remote = authenticated()
    remote.session.send(getTxSet(1), remote.now)
    remote.session.drop(DropReason.make("DroppedByUser"), remote.now)
    remote.session.send(getTxSet(2), remote.now)
    remote.pump()
    assert.deepStrictEqual(remote.names, ["GET_TX_SET", "ERROR_MSG ERR_MISC dropped by user"])
    const last = remote.heard.at(-1)!
    assert.deepStrictEqual([last.sequence, last.mac], [0n, undefined], "it is never MAC'd")
  })

  it("PEE-04 a text of 150 bytes is cut to 100, and never inside a character", () => {
    const texts = [
      "x".repeat(150),
      "é".repeat(75),
      `x${"é".repeat(75)}`,
      "\u{1f600}".repeat(40),
      `xyz${"\u{1f600}".repeat(40)}`
    ]
    for (const text of texts) {
      const remote = authenticated()
      remote.session.drop(DropReason.make("AlreadyConnected", text), remote.now)
      remote.pump()
      const [error] = remote.all("ErrorMsg")
      const whole = `already-connected peer: ${text}`
      assert.isAtMost(error!.textBytes.length, 100)
      assert.isAbove(error!.textBytes.length, 96)
      assert.isTrue(whole.startsWith(error!.text), error!.text)
      assert.notInclude(error!.text, "\ufffd")
    }
  })

  for (const tag of DropReason.tags) {
    it(`PEE-04 ${tag}: the ERROR_MSG is that of the reason, or there is none`, () => {
      const remote = authenticated()
      const reason = DropReason.make(tag, "detail")
      remote.session.drop(reason, remote.now)
      remote.pump()
      const code = DropReason.errorCode(reason)
      assert.deepStrictEqual(
        remote.all("ErrorMsg").map(({ code, text }) => [code, text]),
        code === undefined ? [] : [[code, DropReason.text(reason)]]
      )
      assert.strictEqual(remote.names.length, code === undefined ? 0 : 1)
    })
  }

  it("PEE-04 flow-controlled messages that waited do not leave after the end, whatever credit arrives", () => {
    const remote = authenticated()
    remote.session.send(transaction(400), remote.now)
    remote.session.drop(DropReason.make("DroppedByUser"), remote.now)
    remote.say(SendMoreExtended.make({ numMessages: 10, numBytes: 10_000 }))
    assert.deepStrictEqual(remote.names, ["ERROR_MSG ERR_MISC dropped by user"])
  })

  it("PEE-04 flow-controlled messages that were not handed to the socket stay behind, those for which there was credit too", () => {
    const remote = authenticated().say(SendMoreExtended.make({ numMessages: 10, numBytes: 10_000 }))
    remote.session.send(transaction(400), remote.now)
    remote.session.send(getTxSet(1), remote.now)
    remote.session.drop(DropReason.make("DroppedByUser"), remote.now)
    remote.pump()
    assert.deepStrictEqual(remote.names, ["GET_TX_SET", "ERROR_MSG ERR_MISC dropped by user"])
  })
})

describe("their ERROR_MSG", () => {
  const codes: ReadonlyArray<[number, string]> = [
    [0, "ERR_MISC"],
    [1, "ERR_DATA"],
    [2, "ERR_CONF"],
    [3, "ERR_AUTH"],
    [4, "ERR_LOAD"],
    [5, "UNKNOWN"],
    [-1, "UNKNOWN"],
    [0x7fff_ffff, "UNKNOWN"]
  ]

  for (const role of roles) {
    it(`PEE-04 M6 ${role}: in every state it ends the connection, unanswered, and is made safe to print`, () => {
      for (const state of ["Connected", "GotHello", "GotAuth"]) {
        for (const [code, name] of codes) {
          const remote = new Remote({ role })
          if (state !== "Connected") remote.say(remote.hello())
          if (state === "GotAuth") remote.say(Auth.make())
          assert.strictEqual(remote.session.state, state)
          remote.heard.length = 0
          remote.error(code, "a\u001b[31m <b>no</b>\n\u0000ä 9")
          // Every byte that is no ASCII letter, digit or space; ä is one character here and two bytes on the wire.
          assert.match(remote.subject.dropText!, new RegExp(`^${name} \\(a\\*\\*31m \\*b\\*no\\*\\*b\\*\\*{3,4} 9\\)$`))
          assert.strictEqual(DropReason.droppedBy(remote.subject.dropped!), "remote")
          assert.deepStrictEqual(remote.names, [])
        }
      }
    })
  }

  it("PEE-05 ERR_LOAD is lack of room, a shutdown is a shutdown, everything else a refusal", () => {
    const kindOf = (code: number, text: string) => {
      const remote = authenticated().error(code, text)
      return [remote.subject.dropped!._tag, DropReason.kind(remote.subject.dropped!)]
    }
    assert.deepStrictEqual(kindOf(4, "peer rejected"), ["LoadErrorReceived", "load"])
    assert.deepStrictEqual(kindOf(0, "shutdown"), ["ShutdownReceived", "unreachable"])
    assert.deepStrictEqual(kindOf(0, "dropped by user"), ["ErrorReceived", "rejected"])
    assert.deepStrictEqual(kindOf(2, "wrong protocol version"), ["ErrorReceived", "rejected"])
  })

  it("M6 an ERROR_MSG with a sequence number and a MAC is read like one without", () => {
    const remote = authenticated()
    remote.raw(remote.signed(ErrorMsg.make({ code: 0, text: "bye" })))
    assert.strictEqual(remote.subject.dropText, "ERR_MISC (bye)")
  })
})

describe("once", () => {
  it("CON-05 dropping twice is one reason, one event, one ERROR_MSG", () => {
    const remote = authenticated()
    remote.subject.events.length = 0
    remote.session.drop(DropReason.make("DroppedByUser"), remote.now)
    remote.session.drop(DropReason.make("PeerRejected"), remote.now)
    remote.error(2, "late").end().advance(600_000)
    assert.strictEqual(remote.subject.dropText, "dropped by user")
    assert.deepStrictEqual(
      remote.subject.events,
      [{ _tag: "Dropped", reason: DropReason.make("DroppedByUser"), authenticated: true }]
    )
    assert.deepStrictEqual(remote.names, ["ERROR_MSG ERR_MISC dropped by user"])
  })

  it("CON-05 T11 the end of the connection between frames, inside a mark, inside a body, and a reset", () => {
    const ends: ReadonlyArray<[number, string, string]> = [
      [0, "RemoteClosed", "error reading message header: end of file"],
      [3, "ShortRead", "short read of message body"],
      [4, "ShortRead", "short read of message body"],
      [50, "ShortRead", "short read of message body"]
    ]
    for (const [length, tag, text] of ends) {
      const remote = authenticated()
      remote.raw(remote.encode(getTxSet(1)).subarray(0, length)).end()
      assert.deepStrictEqual([remote.subject.dropped?._tag, remote.subject.dropText], [tag, text])
      assert.deepStrictEqual(remote.names, [])
      assert.deepStrictEqual(remote.subject.received, [], "no part of a message is delivered")
    }
    const remote = authenticated()
    const reason = remote.session.readFailure(false, "ECONNRESET")
    assert.deepStrictEqual([reason._tag, DropReason.text(reason)], [
      "ReadError",
      "error reading message header: ECONNRESET"
    ])
  })

  it("CON-05 what was received before the end is still there for the consumer, and settles without a sound", () => {
    const remote = authenticated({ idle: true })
    remote.say(transaction(400, 1), sample("ScpMessage"), transaction(400, 2)).error(0, "bye")
    remote.subject.idle = false
    remote.pump()
    assert.deepStrictEqual(remote.subject.received.map(({ _tag }) => _tag), [
      "ScpMessage",
      "Transaction",
      "Transaction"
    ])
    assert.deepStrictEqual(remote.names, [])
  })

  it("FLC-03 F3 CON-05 overrunning the grant is silent, and the message over it is not delivered", () => {
    const remote = authenticated({ idle: true })
    for (let i = 0; i < 200; i++) remote.say(advert(i))
    assert.isUndefined(remote.subject.dropped)
    remote.say(advert(200))
    assert.strictEqual(remote.subject.dropText, "unexpected flood message, peer at capacity")
    assert.deepStrictEqual(remote.names, [])
    remote.subject.idle = false
    remote.pump()
    assert.strictEqual(remote.subject.received.length, 200)
  })
})

describe("states", () => {
  // Annex D of protocol.md.
  const legal = new Set([
    "Connecting>Connected",
    "Connecting>Closing",
    "Connected>GotHello",
    "Connected>Closing",
    "GotHello>GotAuth",
    "GotHello>Closing",
    "GotAuth>Closing"
  ])

  /** Runs a random conversation and gives the states between its steps. */
  const wander = (seed: number): ReadonlyArray<PeerState> => {
    const chance = RandomXdr.seeded(seed)
    const pick = <A>(items: ReadonlyArray<A>): A => items[Math.floor(chance() * items.length)]!
    const role = pick(roles)
    const remote = new Remote({ role })
    const states: Array<PeerState> = role === "initiator" ? ["Connecting", "Connected"] : ["Connected"]
    const inputs: ReadonlyArray<() => unknown> = [
      () => remote.say(remote.hello()),
      () => remote.say(Auth.make()),
      () => remote.say(getTxSet(1)),
      () => remote.raw(remote.signed(remote.hello())),
      () => remote.advance(500),
      () => remote.raw(Buffer.from([0x80, 0, 0, 0])),
      () => remote.error(0, "x"),
      () => remote.say(Auth.make({ flags: 100 })),
      () => remote.session.drop(DropReason.make("DroppedByUser"), remote.now)
    ]
    for (let i = 0; i < 12; i++) {
      // The honest way is taken half of the time, so that every state is reached.
      const step = chance() < 0.5 ? inputs[remote.session.state === "Connected" ? 0 : 1]! : pick(inputs)
      step()
      states.push(remote.session.state)
    }
    return states
  }

  it("PEE-01 only legal transitions, and all of them, over 400 conversations", () => {
    const seen = new Set<string>()
    for (let seed = 1; seed <= 400; seed++) {
      const states = wander(seed)
      for (let i = 1; i < states.length; i++) if (states[i] !== states[i - 1]) seen.add(`${states[i - 1]}>${states[i]}`)
    }
    const { initiator, now } = SessionPair.make()
    initiator.session.drop(DropReason.make("ConnectTimeout"), now)
    if (initiator.session.state === "Closing") seen.add("Connecting>Closing")
    assert.deepStrictEqual([...seen].filter((step) => !legal.has(step)), [])
    for (const step of legal) assert.isTrue(seen.has(step), step)
  })

  it("PEE-01 each transition is an event: HELLO accepted, authenticated, dropped", () => {
    const remote = new Remote()
    assert.deepStrictEqual(remote.subject.events, [])
    remote.say(remote.hello())
    assert.deepStrictEqual(remote.subject.events.map(({ _tag }) => _tag), ["Hello"])
    remote.say(Auth.make())
    assert.deepStrictEqual(remote.subject.events.map(({ _tag }) => _tag), ["Hello", "Authenticated"])
    remote.end()
    assert.deepStrictEqual(remote.subject.events.map(({ _tag }) => _tag), ["Hello", "Authenticated", "Dropped"])
    const early = new Remote().end()
    assert.deepStrictEqual(
      early.subject.events.map((event) => event._tag === "Dropped" && event.authenticated),
      [false]
    )
  })

  it("PEE-01 the truth table: authenticated is GOT_AUTH and nothing else; facts are there from GOT_HELLO on", () => {
    const at = (
      remote: Remote
    ) => [remote.session.state, remote.session.isAuthenticated, remote.session.remote !== undefined]
    const { initiator } = SessionPair.make()
    assert.deepStrictEqual([initiator.session.state, initiator.session.isAuthenticated], ["Connecting", false])
    const remote = new Remote()
    assert.deepStrictEqual(at(remote), ["Connected", false, false])
    remote.say(remote.hello())
    assert.deepStrictEqual(at(remote), ["GotHello", false, true])
    remote.say(Auth.make())
    assert.deepStrictEqual(at(remote), ["GotAuth", true, true])
    remote.end()
    assert.deepStrictEqual(at(remote), ["Closing", false, true])
  })
})

describe("anything at all", () => {
  it("H20 COD-03 1500 random and broken frames before authentication: typed reasons, and nothing thrown", () => {
    const seen = new Set<string>()
    for (let seed = 1; seed <= 1500; seed++) {
      const chance = RandomXdr.seeded(seed)
      const remote = new Remote({ role: chance() < 0.5 ? "initiator" : "acceptor", session: { auth: shared } })
      if (chance() < 0.5) remote.say(remote.hello())
      const { bytes } = RandomXdr.randomXdr(xdr.StellarMessage, chance, chance() < 0.5 ? { discriminant: 13 } : {})
      const broken = bytes.slice()
      if (chance() < 0.5) broken[Math.floor(chance() * broken.length)]! ^= 1 << Math.floor(chance() * 8)
      const cut = chance() < 0.2 ? Math.floor(chance() * broken.length) : broken.length
      remote.raw(
        frame(broken.subarray(0, cut), BigInt(Math.floor(chance() * 2)), Buffer.alloc(32, chance() < 0.5 ? 0 : 1))
      )
      const tag = remote.subject.dropped?._tag
      assert.isTrue(tag === undefined || DropReason.tags.includes(tag))
      assert.notStrictEqual(tag, "Defect")
      assert.isFalse(remote.session.isAuthenticated)
      assert.deepStrictEqual(remote.subject.received, [])
      seen.add(tag ?? "none")
    }
    // Enough variety to have been somewhere.
    for (
      const tag of ["CorruptXdr", "CertificateExpired", "UnexpectedMac", "MessageBeforeHandshake", "ErrorReceived"]
    ) {
      assert.isTrue(seen.has(tag), `${tag} of ${[...seen]}`)
    }
  })
  const shared = SessionPair.make().acceptor.auth

  it("COD-03 PEE-03 1500 random valid messages to an authenticated session: delivered, answered or refused, never thrown", () => {
    let remote = authenticated()
    let delivered = 0
    for (let seed = 1; seed <= 1500; seed++) {
      const { bytes } = RandomXdr.randomXdr(xdr.StellarMessage, RandomXdr.seeded(seed))
      remote.raw(remote.signed(fromBytes(bytes)))
      if (remote.subject.dropped !== undefined) {
        assert.include(
          [
            "ErrorReceived",
            "UnexpectedHello",
            "OutOfOrderAuth",
            "ReceivedPeers",
            "UnexpectedSendMore",
            "InvalidSendMoreExtended",
            "LoadErrorReceived"
          ],
          remote.subject.dropped._tag
        )
        delivered += remote.subject.received.length
        remote = authenticated()
      }
    }
    assert.isAbove(delivered, 300)
  })
})
