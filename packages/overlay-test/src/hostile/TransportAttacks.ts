/**
 * Attacks on framing and on the connection itself: T2 to T12.
 *
 * @since 0.1.0
 */
import { MAX_BODY, MAX_UNAUTHENTICATED_BODY } from "@stellar-overlay/overlay/wire/Frame"
import { Auth, SendMoreExtended, type StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import type { HandshakeStage, PeerScript } from "../PeerScript.ts"
import type { Script } from "../Script.ts"
import { AT_ONCE, type Attack, attack, bothRoles, type Case } from "./Attack.ts"
import { endless, note, notes, words } from "./parts.ts"

const HANDSHAKE_MILLIS = 2000

/**
 * Core looks at its connections every 5 s, and only for silence of both sides (protocol.md 8.2): a handshake that trickles
 * in ends with the minute after which a peer without credit has to go.
 */
const CORE_SILENCE_MILLIS = 5000
const CORE_TRICKLE_MILLIS = 65_000

/** One byte after another, until the connection ends or the bytes do. */
const trickle = function*(peer: PeerScript, bytes: Uint8Array, pauseMillis: number, atOnce = 1): Script {
  for (let at = 0; at < bytes.length && peer.ending === undefined; at += atOnce) {
    yield* peer.sayBytes(bytes.slice(at, at + atOnce))
    yield* peer.wait(pauseMillis)
  }
}

/** The connection ends without a word, at that moment at the latest, however long this side took to notice. */
const endsBy = function*(peer: PeerScript, millis: number): Script {
  const { at } = yield* peer.expectClosed({ within: Math.max(0, millis - peer.now.millis) + AT_ONCE, error: "silent" })
  const latest = millis + AT_ONCE + (peer.options.slackMillis ?? 0)
  if (at > latest) throw peer.failure(`the end at ${Math.round(latest)} ms at the latest`, peer.endingText)
}

/**
 * Slowloris: the handshake arrives byte by byte and never in time. The deadline is one, from the start.
 *
 * @category attacks
 * @since 0.1.0
 */
export const t2 = attack<Case & { pause: number; until: HandshakeStage; latest?: number }>({
  id: "T2",
  title: "a handshake that trickles in is over at its one deadline of 2 s",
  cases: [
    {
      name: "a byte of HELLO every 10 ms",
      drop: "HandshakeTimeout",
      pause: 10,
      until: "Connected",
      roles: bothRoles,
      strict: true
    },
    { name: "a byte of HELLO every 100 ms", drop: "HandshakeTimeout", pause: 100, until: "Connected", strict: true },
    { name: "a byte of HELLO every 1900 ms", drop: "HandshakeTimeout", pause: 1900, until: "Connected", strict: true },
    {
      name: "a byte of AUTH every 50 ms after HELLO",
      drop: "HandshakeTimeout",
      pause: 50,
      until: "GotHello",
      roles: bothRoles,
      strict: true
    },
    {
      name: "a byte of HELLO every 1900 ms, at a node that is patient for a minute",
      drop: "HandshakeTimeout",
      pause: 1900,
      until: "Connected",
      latest: CORE_TRICKLE_MILLIS,
      slow: true
    }
  ],
  *run(peer, { latest = HANDSHAKE_MILLIS, pause, until }) {
    const end = peer.now.millis + latest
    yield* peer.handshake(until)
    yield* trickle(peer, peer.encode(until === "Connected" ? peer.hello() : Auth.make()), pause)
    yield* endsBy(peer, end)
  }
})

/**
 * Connects and says nothing, or stops in the middle of the handshake.
 *
 * @category attacks
 * @since 0.1.0
 */
export const t3 = attack<Case & { until: HandshakeStage; latest: number }>({
  id: "T3",
  title: "a peer that says nothing is over at 2 s",
  roles: bothRoles,
  cases: ([["not a byte", "Connected"], ["nothing after HELLO", "GotHello"]] as const).flatMap(([name, until]) => [
    { name, drop: "HandshakeTimeout", until, latest: HANDSHAKE_MILLIS, strict: true },
    { name: `${name}, at a node that looks every 5 s`, drop: "HandshakeTimeout", until, latest: CORE_SILENCE_MILLIS }
  ]),
  *run(peer, { latest, until }) {
    const end = peer.now.millis + latest
    yield* peer.handshake(until)
    yield* endsBy(peer, end)
  }
})

/**
 * A record mark above 4096 before authentication; a body never follows.
 *
 * @category attacks
 * @since 0.1.0
 */
export const t4 = attack({
  id: "T4",
  title: "a mark above 4096 bytes before authentication ends it at once",
  roles: bothRoles,
  cases: [MAX_UNAUTHENTICATED_BODY + 1, MAX_UNAUTHENTICATED_BODY + 4, 0x1_0000, MAX_BODY, 0x7fff_ffff].flatMap((
    length
  ) =>
    (["Connected", "GotHello"] as const).map((until) => ({
      name: `${length} bytes in ${until}`,
      drop: "FrameTooLarge" as const,
      length,
      until
    }))
  ),
  *run(peer, { length, until }) {
    yield* peer.handshake(until)
    const heard = peer.heard.length
    yield* peer.sayBytes(words(length | 0x8000_0000))
    yield* peer.expectClosed({ within: AT_ONCE, error: "silent" })
    if (peer.heard.length !== heard) throw peer.failure("nothing after the mark", "something came")
  }
})

/**
 * A record mark above 16 MiB from an authenticated peer.
 *
 * @category attacks
 * @since 0.1.0
 */
export const t5 = attack<Case & { length: number }>({
  id: "T5",
  title: "a mark above 16 MiB after authentication ends it at once",
  roles: bothRoles,
  cases: [
    { name: "16 MiB and a byte", drop: "FrameTooLarge", length: MAX_BODY + 1 },
    { name: "2^31 - 1", drop: "FrameTooLarge", length: 0x7fff_ffff },
    { name: "16 MiB exactly is a frame that may come", length: MAX_BODY }
  ],
  *run(peer, { drop, length }) {
    yield* peer.handshake()
    yield* peer.sayBytes(words(length | 0x8000_0000))
    if (drop === undefined) yield* peer.expectOpen(1000)
    else yield* peer.expectClosed({ within: AT_ONCE, error: "silent" })
  }
})

/**
 * A frame without a body.
 *
 * @category attacks
 * @since 0.1.0
 */
export const t6 = attack({
  id: "T6",
  title: "a zero-length frame ends it at once",
  roles: bothRoles,
  cases: (["Connected", "GotHello", "GotAuth"] as const).flatMap((until) =>
    [0x8000_0000, 0].map((mark) => ({
      name: `${mark === 0 ? "without" : "with"} the last-fragment bit in ${until}`,
      drop: "FrameEmpty" as const,
      mark,
      until
    }))
  ),
  *run(peer, { mark, until }) {
    yield* peer.handshake(until)
    yield* peer.sayBytes(words(mark))
    yield* peer.expectClosed({ within: AT_ONCE, error: "silent" })
  }
})

/**
 * Records that claim to be fragments. As in core, the bit is ignored and every record is one message.
 *
 * @category attacks
 * @since 0.1.0
 */
export const t7 = attack<Case & { split: boolean }>({
  id: "T7",
  title: "the last-fragment bit is ignored: a record is a message",
  roles: bothRoles,
  cases: [
    { name: "whole messages marked as continued", split: false },
    { name: "a message in two fragments", drop: "CorruptXdr", split: true }
  ],
  *run(peer, { split }) {
    yield* peer.handshake()
    const frame = peer.encode(note(1))
    const body = frame.subarray(4)
    if (split) {
      yield* peer.sayFrame(body.subarray(0, 40), 40)
      yield* peer.sayFrame(body.subarray(40))
      return yield* peer.expectError(1, "received corrupt XDR")
    }
    yield* peer.sayFrame(body, body.length)
    yield* peer.say(note(2), { mark: frame.length - 4 })
    yield* peer.expectOpen(1000)
  }
})

/** How long a body may take that comes at a steady rate below 8 KiB/s: 10 s of grace, then the line it must stay above. */
const slowBodyMillis = (bytesPerSecond: number): number => 10_000 / (1 - bytesPerSecond / 8192)

/**
 * Announces 16 MiB and then sends too little of it.
 *
 * @category attacks
 * @since 0.1.0
 */
export const t8 = attack<Case & { rate: number }>({
  id: "T8",
  title: "a body slower than 8 KiB/s ends it after its grace of 10 s",
  cases: [
    { name: "nothing after the mark", drop: "SlowBody", rate: 0, roles: bothRoles, slow: true, strict: true },
    { name: "1 KiB/s", drop: "SlowBody", rate: 1024, slow: true, strict: true },
    { name: "4 KiB/s", drop: "SlowBody", rate: 4096, slow: true, strict: true },
    { name: "8 KiB/s is fast enough", rate: 8192, slow: true },
    { name: "the rule turned off", rate: 1024, victim: { config: { minimumBodyBytesPerSecond: 0 } }, slow: true }
  ],
  *run(peer, { drop, rate }) {
    yield* peer.handshake()
    const start = peer.now.millis
    yield* peer.sayBytes(words(0x8000_0000 | MAX_BODY))
    const end = start + slowBodyMillis(rate)
    for (let second = 0; second < 28 && peer.ending === undefined; second++) {
      if (rate > 0) yield* peer.sayBytes(new Uint8Array(rate))
      yield* peer.wait(1000)
    }
    if (drop === undefined) return yield* peer.expectOpen(AT_ONCE)
    const { at } = yield* peer.expectClosed({ within: 1000, error: "silent" })
    // The rate is kept by steps of a second.
    if (Math.abs(at - end) > 1000 * (1 + rate / 8192)) {
      throw peer.failure(`the end at about ${end} ms`, `it came at ${at}`)
    }
  }
})

/**
 * Very many very small frames in one write.
 *
 * @category attacks
 * @since 0.1.0
 */
export const t9 = attack<Case & { messages: () => ReadonlyArray<StellarMessage> }>({
  id: "T9",
  title: "10,000 tiny frames in one chunk are all handled",
  cases: [
    {
      name: "SEND_MORE_EXTENDED",
      messages: () => Array.from({ length: 10_000 }, () => SendMoreExtended.make({ numMessages: 1, numBytes: 1 }))
    },
    { name: "DONT_HAVE, for the consumer", messages: () => notes(10_000) }
  ],
  *run(peer, { messages }) {
    yield* peer.handshake()
    yield* peer.sayAll(messages())
    peer.answersPings = true
    yield* peer.expectOpen(6000)
    // Its own ping was answered: everything before was handled.
    yield* peer.expect("GetScpQuorumSet", 5000)
  }
})

const everySplit = (size: number) => (bytes: Uint8Array): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.slice(i * size, (i + 1) * size))

const splitAt = (offset: number) => (bytes: Uint8Array): ReadonlyArray<Uint8Array> =>
  offset >= bytes.length ? [bytes] : [bytes.slice(0, offset), bytes.slice(offset)]

/**
 * A whole honest story, cut in every way.
 *
 * @category attacks
 * @since 0.1.0
 */
export const t10 = attack({
  id: "T10",
  title: "however the stream is cut, the messages are the same",
  roles: bothRoles,
  cases: [
    ...[1, 2, 3, 4, 5, 7, 64].map((size) => ({ name: `pieces of ${size}`, chunking: everySplit(size) })),
    ...[1, 2, 3, 4, 5, 12, 16, 47, 48, 60, 83, 87].map((at) => ({ name: `cut at ${at}`, chunking: splitAt(at) }))
  ].map(({ chunking, name }) => ({ name, attacker: { chunking } })),
  *run(peer) {
    yield* peer.handshake()
    for (let i = 0; i < 3; i++) yield* peer.say(note(i))
    yield* peer.expectOpen(1000)
  }
})

/**
 * The connection ends where nothing ends.
 *
 * @category attacks
 * @since 0.1.0
 */
export const t11 = attack<Case & { until: HandshakeStage; keep: number; abrupt: boolean }>({
  id: "T11",
  title: "an end in the middle of a frame delivers nothing of it",
  roles: bothRoles,
  cases: [
    { name: "FIN in HELLO", drop: "ShortRead", until: "Connected", keep: 100, abrupt: false },
    { name: "FIN in a mark", drop: "ShortRead", until: "GotAuth", keep: 2, abrupt: false },
    { name: "FIN in a body", drop: "ShortRead", until: "GotAuth", keep: 60, abrupt: false },
    { name: "FIN one byte early", drop: "ShortRead", until: "GotAuth", keep: -1, abrupt: false },
    { name: "FIN after the mark", drop: "ShortRead", until: "GotAuth", keep: 4, abrupt: false },
    { name: "half-close between frames", drop: "RemoteClosed", until: "GotAuth", keep: 0, abrupt: false },
    { name: "RST in HELLO", drop: "ReadError", until: "Connected", keep: 100, abrupt: true },
    { name: "RST in a body", drop: "ReadError", until: "GotAuth", keep: 60, abrupt: true }
  ],
  *run(peer, { abrupt, keep, until }) {
    yield* peer.handshake(until)
    const frame = peer.encode(until === "Connected" ? peer.hello() : note(1))
    if (keep !== 0) yield* peer.sayBytes(frame.slice(0, keep < 0 ? frame.length + keep : keep))
    if (abrupt) {
      yield* peer.wait(1)
      yield* peer.reset()
    } else yield* peer.finish()
    yield* peer.expectClosed({ within: 100, error: "silent" })
  }
})

/**
 * Takes all the credit in the world and then reads nothing, while it stays talkative.
 *
 * @category attacks
 * @since 0.1.0
 */
export const t12 = attack({
  id: "T12",
  title: "a peer that reads nothing is a straggler after 120 s",
  roles: bothRoles,
  cases: [
    { name: "transactions of 1 KB", drop: "Straggling", victim: { sends: () => endless(1024) }, slow: true },
    { name: "transactions of 100 KB", drop: "Straggling", victim: { sends: () => endless(102_400) }, slow: true },
    { name: "nothing to read but pings is not held against it", slow: true, quiet: true }
  ],
  *run(peer, { drop }) {
    yield* peer.handshake()
    yield* peer.stopReading()
    yield* peer.say(SendMoreExtended.make({ numMessages: 0xffff_ffff, numBytes: 0xffff_ffff }))
    const start = peer.now.millis
    for (let i = 0; i < 26 && peer.ending === undefined; i++) {
      yield* peer.say(note(i))
      yield* peer.wait(5000)
    }
    yield* peer.resumeReading()
    if (drop === undefined) return yield* peer.expectOpen(1)
    const { at } = yield* peer.expectClosed({ within: 5000, error: "silent" })
    if (at < start + 120_000) throw peer.failure("120 s of patience", `there were ${at - start} ms`)
  }
})

/**
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const transportAttacks: ReadonlyArray<Attack> = [t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12]
