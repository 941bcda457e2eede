/** Every message type in every state, seen from the wire: delivered, answered, or refused with the documented reason. */
import { assert, describe, it } from "@effect/vitest"
import type { Role } from "../../src/protocol/Handshake.ts"
import { coreName, type MessageTag, MessageType } from "../../src/wire/MessageType.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import {
  Auth,
  DontHave,
  ErrorMsg,
  fromBytes,
  GeneralizedTxSet,
  Peers,
  ScpQuorumSet,
  SendMore,
  SendMoreExtended,
  type StellarMessage,
  TxSet
} from "../../src/wire/StellarMessage.ts"
import { advert, demand, getTxSet, hashOf, quorumSet, sample, transaction } from "../scenarios/fixtures.ts"
import { authenticated, frame, Remote, sha256 } from "../scenarios/remote.ts"

const roles: ReadonlyArray<Role> = ["initiator", "acceptor"]

/** One message of each of the 21 types; HELLO depends on who speaks. */
const messages = (remote: Remote): Readonly<Record<MessageTag, StellarMessage>> => ({
  ErrorMsg: ErrorMsg.make({ code: 2, text: "no: way" }),
  Auth: Auth.make(),
  DontHave: DontHave.make({ itemType: 17, hash: hashOf(1) }),
  Peers: Peers.make({ addresses: [PeerAddress.make("1.1.1.1", 11625)] }),
  GetTxSet: getTxSet(2),
  TxSet: TxSet.make({ body: new Uint8Array(36) }),
  Transaction: transaction(400),
  GetScpQuorumSet: sample("GetScpQuorumSet"),
  ScpQuorumSet: quorumSet(3),
  ScpMessage: sample("ScpMessage"),
  GetScpState: sample("GetScpState"),
  Hello: remote.hello(),
  SendMore: SendMore.make({ numMessages: 1 }),
  GeneralizedTxSet: GeneralizedTxSet.make({ body: Uint8Array.from({ length: 40 }, (_, i) => i === 3 ? 1 : 0) }),
  FloodAdvert: advert(1, 2),
  FloodDemand: demand(3),
  SendMoreExtended: SendMoreExtended.make({ numMessages: 5, numBytes: 1000 }),
  TimeSlicedSurveyRequest: sample("TimeSlicedSurveyRequest"),
  TimeSlicedSurveyResponse: sample("TimeSlicedSurveyResponse"),
  TimeSlicedSurveyStartCollecting: sample("TimeSlicedSurveyStartCollecting"),
  TimeSlicedSurveyStopCollecting: sample("TimeSlicedSurveyStopCollecting")
})

const tags = Object.keys(MessageType) as Array<MessageTag>

interface Outcome {
  /** The drop, in core's words. */
  readonly text?: string
  /** What the remote hears. */
  readonly heard?: ReadonlyArray<string>
  readonly delivered?: boolean
  readonly state?: string
}

const refused = (text: string, error?: string): Outcome => ({
  text,
  heard: error === undefined ? [] : [`ERROR_MSG ${error} ${text}`],
  state: "Closing"
})

const early = (tag: MessageTag): Outcome => refused(`received ${coreName(MessageType[tag])} before completed handshake`)

const errorReceived = refused("ERR_CONF (no* way)")

/** Annex D of protocol.md and section 2.4, "other pre-authentication rules". */
const before = (role: Role, tag: MessageTag): Outcome => {
  switch (tag) {
    case "ErrorMsg":
      return errorReceived
    case "Hello":
      return { heard: role === "acceptor" ? ["HELLO"] : ["AUTH"], state: "GotHello" }
    case "Auth":
      return refused("out-of-order AUTH message", "ERR_MISC")
    default:
      return early(tag)
  }
}

const afterHello = (role: Role, tag: MessageTag): Outcome => {
  switch (tag) {
    case "ErrorMsg":
      return errorReceived
    case "Hello":
      return refused("received unexpected HELLO") // with a MAC; without one see below
    case "Auth":
      return {
        heard: role === "acceptor"
          ? ["AUTH", "SEND_MORE_EXTENDED", "GET_SCP_STATE"]
          : ["SEND_MORE_EXTENDED", "GET_SCP_STATE"],
        state: "GotAuth"
      }
    default:
      return early(tag)
  }
}

const afterAuth = (role: Role, tag: MessageTag, answers: "decline" | "deliver"): Outcome => {
  switch (tag) {
    case "ErrorMsg":
      return errorReceived
    case "Hello":
      return refused("received unexpected HELLO")
    case "Auth":
      return refused("out-of-order AUTH message", "ERR_MISC")
    case "SendMore":
      return refused("unexpected message type SEND_MORE")
    case "SendMoreExtended":
      return {}
    case "Peers":
      return role === "acceptor" ? refused("received PEERS") : { delivered: true }
    case "GetTxSet":
    case "GetScpQuorumSet":
      return answers === "deliver" ? { delivered: true } : { heard: ["DONT_HAVE"] }
    case "GetScpState":
      return answers === "deliver" ? { delivered: true } : {}
    default:
      return { delivered: true }
  }
}

const check = (remote: Remote, message: StellarMessage, outcome: Outcome, state: string): void => {
  const { subject } = remote
  assert.strictEqual(subject.dropText, outcome.text)
  assert.deepStrictEqual(remote.names, outcome.heard ?? [])
  assert.strictEqual(subject.session.state, outcome.state ?? state)
  assert.deepStrictEqual(subject.received.map(({ bytes }) => bytes), outcome.delivered ? [message.bytes] : [])
  // Whatever was not delivered holds no capacity any more, and what was has been consumed.
  if (outcome.text === undefined) {
    const { flow } = subject.session
    assert.deepStrictEqual([flow.localMessages, flow.localFloodMessages, flow.localFloodBytes], [201, 200, 300_000])
    assert.strictEqual(flow.localBytes, 16_777_220 + 1_048_576)
  }
}

for (const role of roles) {
  describe(`a session that is ${role}`, () => {
    for (const tag of tags) {
      it(`HSK-06 PEE-03 H3 ${role} before HELLO: ${coreName(MessageType[tag])}`, () => {
        const remote = new Remote({ role })
        remote.heard.length = 0
        const message = messages(remote)[tag]
        remote.raw(frame(message.bytes, 0n, Buffer.alloc(32)))
        check(remote, message, before(role, tag), "Connected")
      })

      it(`HSK-06 PEE-03 H3 ${role} after HELLO: ${coreName(MessageType[tag])}`, () => {
        const remote = new Remote({ role })
        remote.say(remote.hello())
        remote.heard.length = 0
        const message = messages(remote)[tag]
        remote.raw(tag === "ErrorMsg" ? remote.encode(message) : remote.signed(message))
        check(remote, message, afterHello(role, tag), "GotHello")
      })

      for (const answers of ["decline", "deliver"] as const) {
        it(`HSK-06 PEE-03 ${role} authenticated, queries to ${answers}: ${coreName(MessageType[tag])}`, () => {
          const remote = authenticated({ role, session: { answers } })
          const message = messages(remote)[tag]
          remote.raw(tag === "ErrorMsg" ? remote.encode(message) : remote.signed(message))
          check(remote, message, afterAuth(role, tag, answers), "GotAuth")
        })
      }

      it(`HSK-06 PEE-03 ${role} closing: ${coreName(MessageType[tag])} is not read`, () => {
        const remote = authenticated({ role })
        remote.session.drop({ _tag: "NodeBanned", detail: "" }, remote.now)
        const read = remote.session.stats.messagesRead
        const message = messages(remote)[tag]
        remote.raw(tag === "ErrorMsg" ? remote.encode(message) : remote.signed(message))
        assert.strictEqual(remote.subject.dropText, "node is banned")
        assert.strictEqual(remote.session.stats.messagesRead, read)
        assert.deepStrictEqual([remote.names, remote.subject.received], [[], []])
      })
    }

    for (const type of [1, 4, 14, 15, 25, 255, 0xffff_ffff]) {
      it(`COD-03 COD-04 X1 ${role}: type ${type} does not exist: ERR_DATA in every state, and nothing more is read`, () => {
        const body = Buffer.alloc(40)
        body.writeUInt32BE(type)
        for (const state of ["Connected", "GotHello", "GotAuth"]) {
          const remote = new Remote({ role })
          if (state !== "Connected") remote.say(remote.hello())
          if (state === "GotAuth") remote.say(Auth.make())
          assert.strictEqual(remote.session.state, state)
          remote.heard.length = 0
          const read = remote.session.stats.messagesRead
          remote.raw(Buffer.concat([frame(body, 0n, Buffer.alloc(32)), remote.encode(getTxSet(1))]))
          assert.deepStrictEqual(remote.names, ["ERROR_MSG ERR_DATA received corrupt XDR"])
          assert.isAtMost(remote.session.stats.messagesRead - read, 1)
          assert.deepStrictEqual(remote.subject.received, [])
        }
      })
    }

    it(`HSK-06 H2 ${role}: a second HELLO without a MAC fails the MAC check after HELLO, and the sequence after AUTH`, () => {
      const half = new Remote({ role })
      half.say(half.hello())
      half.heard.length = 0
      half.say(half.hello())
      assert.deepStrictEqual(half.names, ["ERROR_MSG ERR_AUTH unexpected MAC"])
      const whole = authenticated({ role })
      whole.say(whole.hello())
      assert.deepStrictEqual(whole.names, ["ERROR_MSG ERR_AUTH unexpected auth sequence"])
    })

    it(`HSK-06 H3 ${role}: everything at once in one chunk is judged in order`, () => {
      const remote = new Remote({ role })
      remote.heard.length = 0
      const hello = remote.encode(remote.hello())
      // The keys of the remote are not known yet, so what follows HELLO cannot be signed.
      remote.raw(Buffer.concat([hello, frame(transaction(400).bytes, 0n, Buffer.alloc(32, 1))]))
      assert.strictEqual(remote.names.at(-1), "ERROR_MSG ERR_AUTH unexpected MAC")
      assert.deepStrictEqual(remote.subject.received, [])
    })
  })
}

describe("rules about order and number", () => {
  it("HSK-006 PEE-03 P2 PEERS comes once: the second is a drop, also when others came between", () => {
    const remote = authenticated({ role: "initiator" })
    const peers = Peers.make({ addresses: [PeerAddress.make("1.1.1.1", 11625)] })
    remote.say(peers, getTxSet(1))
    assert.strictEqual(remote.subject.messages("Peers").length, 1)
    remote.say(peers)
    assert.strictEqual(remote.subject.dropText, "too many msgs PEERS")
    assert.deepStrictEqual(remote.names, ["DONT_HAVE"])
  })

  it("M5 PEE-03 the MAC is checked before a message is refused or shed", () => {
    for (
      const message of [
        transaction(400),
        advert(1),
        sample("TimeSlicedSurveyRequest"),
        SendMore.make({ numMessages: 1 })
      ]
    ) {
      const remote = authenticated()
      remote.session.shedTransactions = true
      remote.session.shedSurvey = true
      const bytes = remote.encode(message)
      bytes[bytes.length - 1]! ^= 1
      remote.raw(bytes)
      assert.deepStrictEqual(remote.names, ["ERROR_MSG ERR_AUTH unexpected MAC"])
    }
  })

  it("PEE-15 PEE-17 FLC-038 what is shed is not delivered, and its credit goes back as if it had been", () => {
    const remote = authenticated()
    remote.session.shedTransactions = true
    remote.session.shedSurvey = true
    for (let i = 0; i < 40; i++) remote.say([transaction(400, i), advert(i), demand(i)][i % 3]!)
    remote.say(sample("TimeSlicedSurveyRequest"), sample("ScpMessage"))
    assert.deepStrictEqual(remote.subject.received.map(({ _tag }) => _tag), ["ScpMessage"])
    const [grant] = remote.all("SendMoreExtended")
    // 14 transactions of 400 bytes, 13 adverts and 13 demands of one hash each.
    assert.deepStrictEqual([grant?.numMessages, grant?.numBytes], [40, 14 * 400 + 26 * 40])
    remote.session.shedTransactions = false
    remote.say(transaction(400))
    assert.strictEqual(remote.subject.messages("Transaction").length, 1)
  })

  it("COD-01 COD-04 a message that spans every possible chunk border arrives whole, once", () => {
    const whole = transaction(400, 7)
    for (let cut = 1; cut < 448; cut += 13) {
      const remote = authenticated()
      const bytes = remote.encode(whole)
      assert.strictEqual(bytes.length, 448)
      remote.raw(bytes.subarray(0, cut))
      assert.deepStrictEqual(remote.subject.received, [])
      remote.raw(bytes.subarray(cut))
      assert.deepStrictEqual(remote.subject.received.map(({ bytes }) => bytes), [whole.bytes])
    }
  })

  it("COD-02 T4 4096 bytes before authentication pass the mark, 4097 do not, and nothing is waited for", () => {
    const mark = (length: number) => {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE(0x8000_0000 + length)
      return bytes
    }
    for (const [length, tag] of [[4096, undefined], [4097, "FrameTooLarge"], [0, "FrameEmpty"]] as const) {
      const remote = new Remote()
      remote.raw(mark(length))
      assert.strictEqual(remote.subject.dropped?._tag, tag)
      assert.deepStrictEqual(remote.names, [])
      if (tag !== undefined) assert.strictEqual(remote.subject.dropText, "error during read")
    }
    for (const [length, tag] of [[0x100_0000, undefined], [0x100_0001, "FrameTooLarge"], [0, "FrameEmpty"]] as const) {
      const remote = authenticated()
      remote.raw(mark(length))
      assert.strictEqual(remote.subject.dropped?._tag, tag)
    }
  })

  it("COD-02 the limit is that of the moment the mark is read: behind AUTH in the same chunk the great one counts", () => {
    const remote = new Remote()
    remote.say(remote.hello())
    const auth = remote.encode(Auth.make())
    remote.raw(Buffer.concat([auth, remote.encode(quorumSet(200))]))
    assert.strictEqual(remote.subject.messages("ScpQuorumSet").length, 1)
  })

  it("COD-03 M7 what a malformed body gets: ERR_DATA, whatever is wrong with it, and no other message", () => {
    const good = getTxSet(1)
    const cases: ReadonlyArray<[string, (remote: Remote) => Buffer]> = [
      ["a version other than 0", (remote) => {
        const bytes = remote.encode(good)
        bytes[7] = 1
        return bytes
      }],
      ["a trailing word", (remote) => remote.signed(fromBytes(Buffer.concat([good.bytes, Buffer.alloc(4)])))],
      ["a missing word", (remote) => remote.signed(fromBytes(good.bytes.subarray(0, 32)))],
      ["a length that is no multiple of 4", () => Buffer.from([0x80, 0, 0, 49, ...Buffer.alloc(49)])],
      ["a body too short for its parts", () => Buffer.from([0x80, 0, 0, 4, 0, 0, 0, 0])]
    ]
    for (const [name, bytes] of cases) {
      const remote = authenticated()
      remote.raw(bytes(remote))
      assert.deepStrictEqual(remote.names, ["ERROR_MSG ERR_DATA received corrupt XDR"], name)
    }
  })

  it("PEE-03 a query answered by DONT_HAVE repeats its hash and the type core uses", () => {
    const remote = authenticated()
    const quorumQuery = sample("GetScpQuorumSet")
    remote.say(getTxSet(9), quorumQuery)
    const answers = remote.all("DontHave").map(({ hash, itemType }) => [itemType, Buffer.from(hash)])
    assert.deepStrictEqual(answers, [
      [17, Buffer.from(hashOf(9))],
      [10, Buffer.from(quorumQuery.bytes.subarray(4))]
    ])
  })

  it("PEE-08 an SCP_QUORUMSET is delivered also when it answers nothing, and its hash is that of its body", () => {
    const remote = authenticated()
    const message = quorumSet(2)
    remote.say(message)
    assert.deepStrictEqual(remote.subject.received.map(({ bytes }) => bytes), [message.bytes])
    if (message._tag === "ScpQuorumSet") {
      assert.deepStrictEqual(ScpQuorumSet.make({ body: message.body }).bytes, message.bytes)
      assert.strictEqual(sha256(message.body).length, 32)
    }
  })

  it("PEE-03 before authentication, and after the end, nothing can be sent", () => {
    const remote = new Remote()
    assert.isFalse(remote.session.send(getTxSet(1), remote.now))
    remote.say(remote.hello())
    assert.isFalse(remote.session.send(transaction(400), remote.now))
    remote.say(Auth.make())
    remote.heard.length = 0
    assert.isTrue(remote.session.send(getTxSet(1), remote.now))
    remote.pump()
    assert.deepStrictEqual(remote.names, ["GET_TX_SET"])
    remote.end()
    assert.isFalse(remote.session.send(getTxSet(2), remote.now))
    remote.pump()
    assert.deepStrictEqual(remote.names, ["GET_TX_SET"])
  })

  it("PEE-03 flow-controlled types wait for credit, others pass; the order within each class holds", () => {
    const remote = authenticated()
    const order = [
      transaction(400, 1),
      sample("ScpMessage", 1),
      advert(1),
      getTxSet(1),
      demand(1),
      transaction(400, 2),
      getTxSet(2),
      advert(2)
    ]
    for (const message of order) remote.session.send(message, remote.now)
    remote.pump()
    assert.deepStrictEqual(remote.names, ["GET_TX_SET", "GET_TX_SET"], "no credit was granted")
    remote.say(SendMoreExtended.make({ numMessages: 100, numBytes: 100_000 }))
    assert.deepStrictEqual(
      remote.heard.map(({ message }) =>
        order.indexOf(order.find(({ bytes }) => Buffer.compare(bytes, message.bytes) === 0)!)
      ),
      [3, 6, 1, 0, 5, 4, 2, 7]
    )
    assert.isTrue(remote.heard.every(({ mac }) => mac === true))
  })
})
