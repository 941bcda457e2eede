/**
 * Fuzzing of a session in every state: damaged messages with good MACs, damaged bodies, damaged streams. Whatever comes,
 * nothing is thrown, there is at most one drop and it is typed, and nothing is delivered before authentication.
 *
 * The cryptography is a toy, so that certificates that are damaged by nothing but the fuzzer's own hand still verify, and
 * every step behind them is reached. All chance comes from the number of the input: a failure names it.
 */
import { assert, describe, it } from "@effect/vitest"
import { everyTag, random } from "@stellar-overlay/overlay-test/hostile/parts"
import { mutateXdr } from "@stellar-overlay/overlay-test/MutateXdr"
import { PeerScript } from "@stellar-overlay/overlay-test/PeerScript"
import { type Chance, seeded } from "@stellar-overlay/overlay-test/RandomXdr"
import { ScriptedSession } from "@stellar-overlay/overlay-test/ScriptedSession"
import { type DropTag, errorCode, tags } from "../../src/DropReason.ts"
import type { Role } from "../../src/protocol/Handshake.ts"
import { PeerAuth } from "../../src/protocol/PeerAuth.ts"
import type { Now } from "../../src/protocol/Primitives.ts"
import { Session, type SessionOptions } from "../../src/protocol/Session.ts"
import type { StellarMessage } from "../../src/wire/StellarMessage.ts"
import { toyCrypto } from "./fixtures.ts"

const now: Now = { millis: 0, unixSeconds: 1_767_225_600 }
const later: Now = { millis: 2000, unixSeconds: now.unixSeconds + 2 }

type Stage = "Connected" | "GotHello" | "GotAuth"

/** What leads a session to a stage, recorded once: nonces are fixed, so the same bytes always do. */
interface Path {
  readonly options: SessionOptions
  readonly peer: PeerScript
  readonly before: Readonly<Record<Stage, ReadonlyArray<Uint8Array>>>
}

const prepare = (role: Role): Path => {
  const crypto = toyCrypto()
  const wire = new ScriptedSession({
    peer: { role: role === "initiator" ? "acceptor" : "initiator", crypto },
    victim: {
      session: { crypto, auth: new PeerAuth(crypto, new PeerScript({}, now).networkId, new Uint8Array(32).fill(3)) }
    }
  })
  const { peer, victim: { session: { options } } } = wire
  wire.run((script) => script.handshake())
  assert.isTrue(wire.victim.session.isAuthenticated)
  const [hello, auth] = peer.written
  return { options, peer, before: { Connected: [], GotHello: [hello!], GotAuth: [hello!, auth!] } }
}

/** The message an honest peer would say next, or any other. */
const message = (path: Path, stage: Stage, chance: Chance): Uint8Array => {
  if (stage === "Connected" && chance() < 0.7) return path.peer.hello().bytes
  if (stage === "GotHello" && chance() < 0.7) return Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 200)
  return random(everyTag[Math.floor(chance() * everyTag.length)]!, Math.floor(chance() * 2 ** 31), 200).bytes
}

/** Damaged input for a session at a stage: in the message, in the body, or in the stream. */
const damage = (path: Path, stage: Stage, chance: Chance): Uint8Array => {
  const { peer } = path
  const bytes = message(path, stage, chance)
  // HELLO too gets a good MAC here, or it would never come past the check of it.
  const overrides = stage === "Connected" ? {} : { sequence: stage === "GotAuth" ? 1n : 0n, authenticated: true }
  const manner = chance()
  if (manner < 0.5) return peer.encode(mutateXdr(bytes, chance, bytes), overrides)
  const frame = peer.encode(bytes, overrides)
  if (manner < 0.6) return frame
  if (manner < 0.8) {
    const body = mutateXdr(frame.subarray(4), chance, frame)
    const out = new Uint8Array(4 + body.length)
    new DataView(out.buffer).setUint32(0, 0x8000_0000 | body.length)
    out.set(body, 4)
    return out
  }
  return mutateXdr(frame, chance, frame)
}

const known: ReadonlySet<string> = new Set(tags)

const fuzz = (path: Path, stage: Stage, input: number, reasons: Map<DropTag | "none", number>): void => {
  const chance = seeded(input)
  const session = new Session(path.options, now)
  const written: Array<Uint8Array> = []
  const drain = () => {
    for (let slab; (slab = session.nextWrite(now)) !== undefined; session.wrote(now)) written.push(slab)
  }
  session.connected(now)
  for (const chunk of path.before[stage]) session.receive(chunk, now)
  drain()
  assert.strictEqual(session.state, stage)

  const bytes = damage(path, stage, chance)
  const cut = Math.floor(chance() * bytes.length)
  for (const chunk of cut === 0 ? [bytes] : [bytes.slice(0, cut), bytes.slice(cut)]) {
    session.receive(chunk, now)
    while (session.hasBacklog) session.process(now)
    drain()
  }
  const delivered: Array<StellarMessage> = []
  for (let batch; (batch = session.takeBatch()) !== undefined; session.settle(batch, now)) {
    delivered.push(...batch.messages)
  }
  if (stage !== "GotAuth") assert.isEmpty(delivered)
  session.tick(later)
  drain()

  const { dropReason } = session
  reasons.set(dropReason?._tag ?? "none", (reasons.get(dropReason?._tag ?? "none") ?? 0) + 1)
  const drops = session.events.filter(({ _tag }) => _tag === "Dropped")
  assert.lengthOf(drops, dropReason === undefined ? 0 : 1)
  if (dropReason === undefined) return assert.isTrue(session.isAuthenticated)
  assert.isTrue(known.has(dropReason._tag))
  assert.strictEqual(session.state, "Closing")
  // An ERROR_MSG, the last frame written, exactly where the reason has a code.
  const last = written.at(-1)
  const saysError = last !== undefined && lastType(last) === 0
  return assert.strictEqual(saysError, errorCode(dropReason) !== undefined)
}

/** The type of the last message in a slab. */
const lastType = (slab: Uint8Array): number => {
  const view = new DataView(slab.buffer, slab.byteOffset, slab.byteLength)
  let at = 0
  for (let next = 0; next < slab.length;) {
    at = next
    next += 4 + (view.getUint32(next) & 0x7fff_ffff)
  }
  return view.getInt32(at + 16)
}

/** Runs the inputs of a range and says how often each reason came. */
const campaign = (role: Role, stage: Stage, from: number, count: number): Map<DropTag | "none", number> => {
  const path = prepare(role)
  const reasons = new Map<DropTag | "none", number>()
  for (let input = from; input < from + count; input++) {
    try {
      fuzz(path, stage, input, reasons)
    } catch (cause) {
      throw new Error(`input ${input} at ${stage} as ${role}`, { cause })
    }
  }
  return reasons
}

/** What must have come up in a campaign, or the fuzzer does not reach what it is for. */
const expected: Readonly<Record<Stage, ReadonlyArray<DropTag | "none">>> = {
  Connected: [
    "CorruptXdr",
    "FrameEmpty",
    "FrameTooLarge",
    "HandshakeTimeout",
    "MessageBeforeHandshake",
    "OutOfOrderAuth",
    "CertificateInvalid",
    "CertificateExpired",
    "WrongProtocolVersion"
  ],
  GotHello: [
    "none",
    "CorruptXdr",
    "FrameEmpty",
    "FrameTooLarge",
    "HandshakeTimeout",
    "MessageBeforeHandshake",
    "UnexpectedHello",
    "FlowControlBytesDisabled",
    "UnexpectedMac",
    "UnexpectedAuthSequence"
  ],
  GotAuth: ["none", "CorruptXdr", "UnexpectedMac", "UnexpectedAuthSequence", "FrameTooLarge"]
}

const STEP = 20_000

describe("fuzzing", () => {
  for (const role of ["acceptor", "initiator"] as const) {
    const run = (stage: Stage, from: number, count = STEP) => {
      const reasons = campaign(role, stage, from, count)
      for (const tag of expected[stage]) assert.isAbove(reasons.get(tag) ?? 0, 0, tag)
    }
    for (let part = 1; part <= 3; part++) {
      it(`H20 COD-02 20,000 damaged HELLOs to the ${role}, part ${part}`, () => run("Connected", part * STEP))
    }
    for (let part = 1; part <= 2; part++) {
      it(`H20 COD-02 20,000 damaged AUTHs to the ${role}, part ${part}`, () => run("GotHello", part * STEP))
    }
    it(`X1 X4 M1 COD-02 10,000 damaged messages to the authenticated ${role}`, () => run("GotAuth", 0, 10_000))
  }
})
