/**
 * Attacks on sequence numbers and MACs: M1 to M7.
 *
 * @since 0.1.0
 */
import type { DropTag } from "@stellar-overlay/overlay/DropReason"
import {
  Auth,
  ErrorMsg,
  GetScpState,
  Peers,
  SendMore,
  SendMoreExtended,
  type StellarMessage
} from "@stellar-overlay/overlay/wire/StellarMessage"
import type { HandshakeStage, PeerScript } from "../PeerScript.ts"
import type { FrameOverrides } from "../ScriptedNode.ts"
import { AT_ONCE, type Attack, attack, bothRoles, type Case, type VictimOptions } from "./Attack.ts"
import { advert, note, sample } from "./parts.ts"

const texts = {
  UnexpectedMac: [3, "unexpected MAC"],
  UnexpectedAuthSequence: [3, "unexpected auth sequence"],
  CorruptXdr: [1, "received corrupt XDR"]
} as const

const isTextual = (tag: DropTag | undefined): tag is keyof typeof texts =>
  tag !== undefined && Object.hasOwn(texts, tag)

/** The end as protocol.md 3.2 words it, at once; silent for all other reasons. */
const ends = (peer: PeerScript, drop: DropTag | undefined) =>
  peer.expectClosed({ within: AT_ONCE, error: isTextual(drop) ? texts[drop] : "silent" })

/** Flips one bit of a frame. */
const flip = (byte: number, bit = 0) => (frame: Uint8Array): void => {
  frame[byte < 0 ? frame.length + byte : byte]! ^= 1 << bit
}

/**
 * A bit of an authenticated frame, flipped on the way.
 *
 * @category attacks
 * @since 0.1.0
 */
export const m1 = attack<Case & FrameOverrides>({
  id: "M1",
  title: "a frame changed in one bit is the last one",
  roles: bothRoles,
  cases: [
    { name: "the first bit of the MAC", drop: "UnexpectedMac", damage: flip(-32, 7) },
    { name: "the last bit of the MAC", drop: "UnexpectedMac", damage: flip(-1, 0) },
    { name: "a bit of the content", drop: "UnexpectedMac", damage: flip(-33, 3) },
    { name: "a bit of the item type", drop: "UnexpectedMac", damage: flip(23, 1) },
    { name: "a zero MAC", drop: "UnexpectedMac", mac: "zero" },
    { name: "the low bit of the sequence", drop: "UnexpectedAuthSequence", damage: flip(15, 0) },
    { name: "the high bit of the sequence", drop: "UnexpectedAuthSequence", damage: flip(8, 7) },
    { name: "a bit of the type", drop: "CorruptXdr", damage: flip(16, 7) }
  ],
  *run(peer, { drop, ...overrides }) {
    yield* peer.handshake()
    yield* peer.say(note(1))
    yield* peer.say(note(2), overrides)
    yield* peer.say(note(3))
    yield* ends(peer, drop)
  }
})

/**
 * A frame that was good, once more.
 *
 * @category attacks
 * @since 0.1.0
 */
export const m2 = attack<Case & { between: number; auth?: boolean }>({
  id: "M2",
  title: "a replayed frame is the last one",
  roles: bothRoles,
  cases: [
    { name: "at once", drop: "UnexpectedAuthSequence", between: 0 },
    { name: "ten frames later", drop: "UnexpectedAuthSequence", between: 10 },
    { name: "a hundred frames later", drop: "UnexpectedAuthSequence", between: 100 },
    { name: "the AUTH of this connection", drop: "UnexpectedAuthSequence", between: 0, auth: true }
  ],
  *run(peer, { auth = false, between, drop }) {
    yield* peer.handshake()
    // AUTH has sequence number 0: encoded again it is the same frame.
    const frame = auth ? peer.encode(Auth.make(), { sequence: 0n }) : peer.encode(note(1))
    if (!auth) yield* peer.sayBytes(frame)
    for (let i = 0; i < between; i++) yield* peer.say(note(2 + i))
    yield* peer.sayBytes(frame.slice())
    yield* ends(peer, drop)
  }
})

/**
 * Frames left out or in another order.
 *
 * @category attacks
 * @since 0.1.0
 */
export const m3 = attack<Case & { order: ReadonlyArray<number> }>({
  id: "M3",
  title: "a gap or another order is the end",
  roles: bothRoles,
  cases: [
    { name: "one left out", drop: "UnexpectedAuthSequence", order: [0, 2] },
    { name: "two exchanged", drop: "UnexpectedAuthSequence", order: [0, 2, 1] },
    { name: "the first two exchanged", drop: "UnexpectedAuthSequence", order: [1, 0] },
    { name: "back to the start", drop: "UnexpectedAuthSequence", order: [0, 1, 2, 0] },
    { name: "in order", order: [0, 1, 2] }
  ],
  *run(peer, { drop, order }) {
    yield* peer.handshake()
    const frames = [0, 1, 2].map((i) => peer.encode(note(i)))
    for (const i of order) yield* peer.sayBytes(frames[i]!.slice())
    if (drop === undefined) yield* peer.expectOpen(1000)
    else yield* ends(peer, drop)
  }
})

/**
 * Sequence numbers that only 64 bits tell apart from the right one, with a good MAC over them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const m4 = attack<Case & { plus: bigint }>({
  id: "M4",
  title: "sequence numbers are compared in all their 64 bits",
  roles: bothRoles,
  cases: [
    ...[2n ** 32n, 2n ** 33n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 2n ** 32n, 2n ** 64n - 1n].map((plus) => ({
      name: `${plus} ahead`,
      drop: "UnexpectedAuthSequence" as const,
      plus
    })),
    { name: "2^64 ahead is the same number", plus: 2n ** 64n }
  ],
  *run(peer, { drop, plus }) {
    yield* peer.handshake()
    yield* peer.say(note(1))
    yield* peer.say(note(2), { sequence: BigInt.asUintN(64, peer.sendSequence + plus) })
    if (drop === undefined) yield* peer.expectOpen(1000)
    else yield* ends(peer, drop)
  }
})

const unwanted: ReadonlyArray<readonly [name: string, message: StellarMessage, victim?: VictimOptions]> = [
  ["plain SEND_MORE", SendMore.make({ numMessages: 1 })],
  ["SEND_MORE_EXTENDED without bytes", SendMoreExtended.make({ numMessages: 1, numBytes: 0 })],
  ["AUTH again", Auth.make()],
  ["HELLO again", sample("Hello")],
  ["PEERS", Peers.make({ addresses: [] })],
  ["a query", GetScpState.make({ ledgerSeq: 1 })],
  ["an advert beyond its credit", advert(1)],
  ["a transaction that would be shed", sample("Transaction"), {
    prepare: (session) => void (session.shedTransactions = true)
  }],
  ["a survey that would be shed", sample("TimeSlicedSurveyRequest"), {
    prepare: (session) => void (session.shedSurvey = true)
  }],
  ["an answer nobody asked for", sample("ScpQuorumSet")]
]

/**
 * A bad MAC on what would be ignored or refused anyway.
 *
 * @category attacks
 * @since 0.1.0
 */
export const m5 = attack<Case & { message: StellarMessage }>({
  id: "M5",
  title: "the MAC is checked before anything else, whatever the message",
  roles: bothRoles,
  cases: unwanted.map(([name, message, victim]) => ({ name, drop: "UnexpectedMac" as const, message, victim })),
  *run(peer, { drop, message }) {
    yield* peer.handshake()
    yield* peer.say(message, { authenticated: true, damage: flip(-1) })
    yield* ends(peer, drop)
  }
})

/**
 * ERROR_MSG, which nobody can authenticate.
 *
 * @category attacks
 * @since 0.1.0
 */
export const m6 = attack<Case & { code: number; text: string; until: HandshakeStage; overrides?: FrameOverrides }>({
  id: "M6",
  title: "ERROR_MSG ends it in any state, whoever sent it",
  roles: bothRoles,
  cases: [
    ...(["Connected", "GotHello", "GotAuth"] as const).flatMap((until) => [
      { name: `ERR_CONF in ${until}`, drop: "ErrorReceived" as const, code: 2, text: "wrong protocol version", until },
      { name: `ERR_LOAD in ${until}`, drop: "LoadErrorReceived" as const, code: 4, text: "peer rejected", until },
      { name: `shutdown in ${until}`, drop: "ShutdownReceived" as const, code: 0, text: "shutdown", until }
    ]),
    // Core may take unknown values of an enum that decides nothing, or call them corrupt (protocol.md, Annex E).
    { name: "an unknown code", drop: "ErrorReceived", code: 99, text: "", until: "GotAuth", strict: true },
    { name: "a negative code", drop: "ErrorReceived", code: -1, text: "", until: "GotAuth", strict: true },
    {
      name: "with a sequence number and a MAC, which do not matter",
      drop: "ErrorReceived",
      code: 3,
      text: "unexpected MAC",
      until: "GotAuth",
      overrides: { sequence: 77n, mac: new Uint8Array(32).fill(1) }
    }
  ],
  *run(peer, { code, overrides, text, until }) {
    yield* peer.handshake(until)
    const heard = peer.heard.length
    yield* peer.say(ErrorMsg.make({ code, text }), overrides)
    yield* peer.expectClosed({ within: AT_ONCE, error: "silent" })
    // What it says of its own accord after authentication may still come, an answer to this may not.
    if (until !== "GotAuth" && peer.heard.length > heard) throw peer.failure("silence", "there was an answer")
  }
})

/**
 * The other arms of the one union that has only one.
 *
 * @category attacks
 * @since 0.1.0
 */
export const m7 = attack<Case & { v: number; until: HandshakeStage }>({
  id: "M7",
  title: "an AuthenticatedMessage of another version is corrupt",
  roles: bothRoles,
  cases: (["Connected", "GotHello", "GotAuth"] as const).flatMap((until) =>
    [1, 2, 0x100, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff].map((v) => ({
      name: `v = ${v} in ${until}`,
      drop: "CorruptXdr" as const,
      v,
      until
    }))
  ),
  *run(peer, { drop, until, v }) {
    yield* peer.handshake(until)
    const message = until === "Connected" ? peer.hello() : until === "GotHello" ? Auth.make() : note(1)
    yield* peer.say(message, { v })
    yield* ends(peer, drop)
  }
})

/**
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const macAttacks: ReadonlyArray<Attack> = [m1, m2, m3, m4, m5, m6, m7]
