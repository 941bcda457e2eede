/** Peers that break a rule, and how they are sent away. */
import { assert } from "@effect/vitest"
import type { ScriptFailure } from "@stellar-overlay/overlay-test/Script"
import type { PeerScriptOptions } from "@stellar-overlay/overlay-test/ScriptedNode"
import type { ScriptedPeer } from "@stellar-overlay/overlay-test/ScriptedPeer"
import { Effect } from "effect"
import type { DropTag } from "../../src/DropReason.ts"
import { Auth, ErrorMsg, GetScpState, Peers, SendMore, SendMoreExtended } from "../../src/wire/StellarMessage.ts"
import { transaction } from "../flood/messages.ts"
import { MemoryHost } from "../flood/network.ts"
import type { NodeOptions, Scenario } from "./net.ts"

interface Ending {
  readonly title: string
  readonly reason: DropTag
  /** The ERROR_MSG it ends with; silent unless given. */
  readonly error?: readonly [code: number, text: string]
  readonly says: (peer: ScriptedPeer) => Effect.Effect<unknown, ScriptFailure>
  readonly script?: PeerScriptOptions
  readonly node?: () => NodeOptions
}

const MISC = 0
const DATA = 1
const CONF = 2
const AUTH = 3

const state = GetScpState.make({ ledgerSeq: 1 })
const helloOnly = (peer: ScriptedPeer) => peer.say(peer.script.hello())

const authenticated = (says: Ending["says"]): Ending["says"] => (peer) =>
  Effect.andThen(peer.handshake(), Effect.suspend(() => says(peer)))

const endings: ReadonlyArray<Ending> = [
  {
    title: "HSK-06 HELLO twice",
    reason: "UnexpectedHello",
    says: (peer) => Effect.andThen(peer.handshake("GotHello"), peer.say(peer.script.hello(), { authenticated: true }))
  },
  {
    title: "HSK-003 AUTH before HELLO",
    reason: "OutOfOrderAuth",
    error: [MISC, "out-of-order AUTH message"],
    says: (peer) => peer.say(Auth.make({ flags: 200 }))
  },
  {
    title: "HSK-021 HSK-02 a certificate that has expired",
    reason: "CertificateExpired",
    script: { hello: { certificate: { expiresIn: -10 } } },
    says: helloOnly
  },
  {
    title: "HSK-021 HSK-02 a certificate for hours ahead",
    reason: "CertificateTooFarAhead",
    script: { hello: { certificate: { expiresIn: 20_000 } } },
    says: helloOnly
  },
  {
    title: "HSK-021 HSK-02 a certificate nobody signed",
    reason: "CertificateInvalid",
    script: { hello: { certificate: { damage: (signature) => void signature.fill(1, 0, 8) } } },
    says: helloOnly
  },
  {
    title: "HSK-020 HSK-08 a HELLO for another network under a good certificate",
    reason: "WrongNetwork",
    error: [CONF, "wrong network passphrase"],
    script: { hello: { networkId: new Uint8Array(32).fill(3) } },
    says: helloOnly
  },
  {
    title: "HSK-020 a peer of another network",
    reason: "CertificateInvalid",
    script: { networkPassphrase: "another network" },
    says: helloOnly
  },
  {
    title: "HSK-024 HSK-09 a version window below ours",
    reason: "WrongProtocolVersion",
    error: [CONF, "wrong protocol version"],
    script: { hello: { overlayVersion: 20, overlayMinVersion: 18 } },
    says: helloOnly
  },
  {
    title: "HSK-023 HSK-09 a version window above ours",
    reason: "WrongProtocolVersion",
    error: [CONF, "wrong protocol version"],
    script: { hello: { overlayVersion: 99, overlayMinVersion: 98 } },
    says: helloOnly
  },
  {
    title: "HSK-002 HSK-08 a listening port that is none",
    reason: "BadAddress",
    error: [CONF, "bad address"],
    script: { hello: { listeningPort: 0 } },
    says: helloOnly
  },
  {
    title: "HSK-11 AUTH without the flag for bytes",
    reason: "FlowControlBytesDisabled",
    error: [CONF, "flow control bytes disabled"],
    says: (peer) => Effect.andThen(peer.handshake("GotHello"), peer.say(Auth.make({ flags: 100 })))
  },
  {
    title: "HSK-06 a message before AUTH",
    reason: "MessageBeforeHandshake",
    says: (peer) => Effect.andThen(peer.handshake("GotHello"), peer.say(state))
  },
  {
    title: "TCP-006 COD-03 bytes that are no message",
    reason: "CorruptXdr",
    error: [DATA, "received corrupt XDR"],
    says: (peer) => peer.sayFrame(new Uint8Array(40).fill(0xee))
  },
  {
    title: "COD-02 a mark above the limit of strangers",
    reason: "FrameTooLarge",
    says: (peer) => peer.sayBytes(Uint8Array.of(0x80, 0, 0x20, 0))
  },
  {
    title: "COD-02 a mark of no length",
    reason: "FrameEmpty",
    says: (peer) => peer.sayBytes(Uint8Array.of(0x80, 0, 0, 0))
  },
  {
    title: "CON-04 an end in the middle of a message",
    reason: "ShortRead",
    says: (peer) => Effect.andThen(peer.sayBytes(Uint8Array.of(0x80, 0, 0, 40, 1, 2, 3)), peer.finish)
  },
  { title: "CON-04 an end before a word", reason: "RemoteClosed", says: (peer) => peer.finish },
  {
    title: "HSK-004 a MAC that does not fit",
    reason: "UnexpectedMac",
    error: [AUTH, "unexpected MAC"],
    says: authenticated((peer) => peer.say(state, { mac: new Uint8Array(32).fill(7) }))
  },
  {
    title: "TCP-005 a MAC of zeros",
    reason: "UnexpectedMac",
    error: [AUTH, "unexpected MAC"],
    says: authenticated((peer) => peer.say(state, { mac: "zero" }))
  },
  {
    title: "TCP-005 a number that was left out",
    reason: "UnexpectedAuthSequence",
    error: [AUTH, "unexpected auth sequence"],
    says: authenticated((peer) => peer.say(state, { sequence: peer.script.sendSequence + 1n }))
  },
  {
    title: "TCP-005 a message said twice",
    reason: "UnexpectedAuthSequence",
    error: [AUTH, "unexpected auth sequence"],
    says: authenticated((peer) =>
      Effect.andThen(
        peer.say(state),
        Effect.suspend(() => peer.say(state, { sequence: peer.script.sendSequence - 1n }))
      )
    )
  },
  {
    title: "HSK-06 AUTH twice",
    reason: "OutOfOrderAuth",
    error: [MISC, "out-of-order AUTH message"],
    says: authenticated((peer) => peer.say(Auth.make({ flags: 200 })))
  },
  {
    title: "FLC-024 plain SEND_MORE",
    reason: "UnexpectedSendMore",
    says: authenticated((peer) => peer.say(SendMore.make({ numMessages: 1 })))
  },
  {
    title: "FLC-023 a grant without bytes",
    reason: "InvalidSendMoreExtended",
    says: authenticated((peer) => peer.say(SendMoreExtended.make({ numMessages: 1, numBytes: 0 })))
  },
  {
    title: "FLC-026 TCP-007 more than was granted",
    reason: "FloodCapacityExceeded",
    node: () => ({
      host: new MemoryHost({ receiveTransactions: () => Effect.never }),
      config: { peerFloodReadingCapacity: 1, peerReadingCapacity: 100, flowControlSendMoreBatchSize: 1 }
    }),
    says: authenticated((peer) => Effect.andThen(peer.say(transaction(1)), peer.say(transaction(2))))
  },
  {
    title: "PEE-09 PEERS from the side that dialled",
    reason: "ReceivedPeers",
    says: authenticated((peer) => peer.say(Peers.make({ addresses: [] })))
  },
  {
    title: "PEE-04 ERR_MISC with a word of its own",
    reason: "ErrorReceived",
    says: authenticated((peer) => peer.say(ErrorMsg.make({ code: 0, text: "for no reason" })))
  },
  {
    title: "PEE-05 ERR_LOAD",
    reason: "LoadErrorReceived",
    says: authenticated((peer) => peer.say(ErrorMsg.make({ code: 4, text: "peer rejected" })))
  },
  {
    title: "HSK-025 HSK-14 silence for the time of a handshake",
    reason: "HandshakeTimeout",
    node: () => ({ config: { peerAuthenticationTimeoutSeconds: 1 } }),
    says: (peer) => peer.handshake("GotHello")
  }
]

/** One node, one peer that dials it; afterwards the next one is welcome. */
export const scenarios: ReadonlyArray<Scenario> = endings.map(({ error, node, reason, says, script, title }) => ({
  title: `${title}: ${reason}`,
  run: (net) =>
    Effect.gen(function*() {
      const one = yield* net.node("one", node?.())
      const peer = yield* net.peer("villain", one, script)
      yield* says(peer)
      const { kind } = yield* peer.expectClosed({ error: error ?? "silent" })
      yield* net.dropped(one, 1)
      assert.deepStrictEqual(one.drops(), [reason])
      yield* (yield* net.peer("guest", one)).handshake()
      yield* net.until("the guest is in", () => one.overlay.peers.authenticated().length === 1)
      return { heard: peer.script.heard.map(({ message }) => message?._tag), broken: kind === "BadFrame" }
    })
}))
