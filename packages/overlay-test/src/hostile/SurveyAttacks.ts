/**
 * Attacks with surveys: S1 to S4.
 *
 * @since 0.1.0
 */
import * as SurveyCrypto from "@stellar-overlay/overlay/protocol/SurveyCrypto"
import { Survey } from "@stellar-overlay/overlay/Survey"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import {
  type StellarMessage,
  TimeSlicedSurveyRequest,
  TimeSlicedSurveyStartCollecting,
  TimeSlicedSurveyStopCollecting
} from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as ScriptedPeer from "../ScriptedPeer.ts"
import {
  atMost,
  dropsOf,
  equal,
  holds,
  type NodeCase,
  type OverlayAttack,
  overlayAttack,
  type Victim
} from "./OverlayAttack.ts"
import { repeated } from "./parts.ts"
import { type Validator, validator } from "./Validators.ts"

const surveyor = validator("surveyor")
const stranger = validator("stranger")

/** A victim whose operator permits the surveyor. */
const permitting = { config: { surveyorKeys: [surveyor.id] } }

/** The ledger of the `recording` host. */
const LEDGER = 100

const start = (by: Validator, nonce = 1, ledgerNum = LEDGER) =>
  SurveyCrypto.signed(TimeSlicedSurveyStartCollecting.make, { surveyorId: by.id, nonce, ledgerNum }, by.sign)

const stop = (by: Validator, nonce = 1, ledgerNum = LEDGER) =>
  SurveyCrypto.signed(TimeSlicedSurveyStopCollecting.make, { surveyorId: by.id, nonce, ledgerNum }, by.sign)

const request = (by: Validator, surveyedId: NodeId, nonce = 1, ledgerNum = LEDGER) =>
  SurveyCrypto.signed(TimeSlicedSurveyRequest.make, {
    surveyorId: by.id,
    surveyedId,
    ledgerNum,
    // A key that keeps secrets; the zero key and its like are S3's business.
    encryptionKey: new Uint8Array(32).fill(9),
    nonce,
    inboundPeersIndex: 0,
    outboundPeersIndex: 0
  }, by.sign)

/** The same message with a bit of its signature changed. */
const forged = ({ bytes }: StellarMessage): Uint8Array => {
  const copy = bytes.slice()
  copy[71]! ^= 1
  return copy
}

const surveyOf = ({ inside }: Victim) => Context.get(inside.services, Survey)

const surveyed = repeated(100, (i) => validator(`surveyed ${i}`).id)

const heardOf = ({ script }: ScriptedPeer.ScriptedPeer) => script.tags.filter((tag) => tag.startsWith("TimeSliced"))

/**
 * A permitted surveyor that does not know when to stop.
 *
 * @category attacks
 * @since 0.1.0
 */
export const s1 = overlayAttack<NodeCase & { rounds: number }>({
  id: "S1",
  title: "a permitted surveyor's requests are relayed ten in a ledger, each once",
  cases: [
    { name: "100 requests", rounds: 1, victim: permitting },
    { name: "100 requests, three times each", rounds: 3, victim: permitting }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { rounds }) {
    const observer = yield* attackers.join("21.0.0.1")
    const peer = yield* attackers.join("20.0.0.1", { identity: surveyor.seed })
    yield* peer.say(start(surveyor))
    yield* peer.expectOpen(2000)
    yield* peer.say(stop(surveyor))
    yield* peer.expectOpen(2000)
    for (let round = 0; round < rounds; round++) yield* peer.sayAll(surveyed.map((id) => request(surveyor, id)))
    yield* peer.expectOpen(1000)
    yield* observer.expectOpen(100)
    const relayed = observer.script.messages("TimeSlicedSurveyRequest").length
    yield* holds(relayed > 0, "requests to be relayed", relayed)
    yield* atMost(relayed, 10, "requests relayed")
    yield* atMost(surveyOf(victim).limiter.size, 10, "requests remembered")
  })
})

/**
 * Survey messages with bad signatures, under a permitted name.
 *
 * @category attacks
 * @since 0.1.0
 */
export const s2 = overlayAttack<NodeCase & { before: ReadonlyArray<StellarMessage>; message: StellarMessage }>({
  id: "S2",
  title: "a forged survey message ends the connection it came by, and changes nothing",
  cases: [
    { name: "START", before: [], message: start(surveyor) },
    { name: "STOP", before: [start(surveyor)], message: stop(surveyor) },
    { name: "REQUEST", before: [start(surveyor), stop(surveyor)], message: request(surveyor, surveyed[0]!) }
  ].map((parameters) => ({ ...parameters, victim: permitting })),
  run: Effect.fnUntraced(function*(victim, attackers, { before, message }) {
    const survey = surveyOf(victim)
    const observer = yield* attackers.join("21.0.0.1")
    const peer = yield* attackers.join("20.0.0.1", { identity: surveyor.seed })
    for (const good of before) {
      yield* peer.say(good)
      yield* peer.expectOpen(1000)
    }
    const { phase } = survey.state
    const heard = heardOf(observer).length
    yield* peer.say(forged(message))
    yield* peer.expectClosed({ within: 1000 })
    yield* equal(dropsOf(victim, "20.0.0.1"), ["SurveySignature"], "the reason")
    yield* observer.expectOpen(200)
    yield* equal([survey.state.phase, heardOf(observer).length], [phase, heard], "phase and what others heard")
  })
})

/**
 * A surveyor that is not permitted, and one that churns.
 *
 * @category attacks
 * @since 0.1.0
 */
export const s3 = overlayAttack<
  NodeCase & { by: Validator; messages: () => ReadonlyArray<StellarMessage>; relayed: number }
>({
  id: "S3",
  title: "without permission nothing is relayed, kept or checked, and surveys do not overlap",
  cases: [
    {
      name: "a stranger's START, STOP and requests",
      by: stranger,
      relayed: 0,
      messages: () => [start(stranger), stop(stranger), ...surveyed.map((id) => request(stranger, id))]
    },
    {
      name: "a permitted surveyor that starts and stops a hundred times with the same number",
      by: surveyor,
      relayed: 2,
      messages: () => repeated(100, () => [start(surveyor), stop(surveyor)]).flat()
    },
    {
      name: "START of a hundred numbers",
      by: surveyor,
      relayed: 1,
      messages: () => repeated(100, (i) => start(surveyor, i + 1))
    },
    {
      name: "START of other ledgers",
      by: surveyor,
      relayed: 0,
      messages: () => [1, 50, 90, 1000, 0xffff_ffff].map((ledger) => start(surveyor, 1, ledger))
    }
  ].map((parameters) => ({ ...parameters, victim: permitting })),
  run: Effect.fnUntraced(function*(victim, attackers, { by, messages, relayed }) {
    const observer = yield* attackers.join("21.0.0.1")
    const peer = yield* attackers.join("20.0.0.1", { identity: by.seed })
    const { invalidSignatures } = surveyOf(victim).stats
    yield* peer.sayAll(messages())
    yield* peer.expectOpen(2000)
    yield* observer.expectOpen(100)
    yield* atMost(heardOf(observer).length, relayed, "messages relayed")
    yield* equal(surveyOf(victim).stats.invalidSignatures, invalidSignatures, "bad signatures counted")
  })
})

/**
 * Questions to a node that keeps its connections to itself.
 *
 * @category attacks
 * @since 0.1.0
 */
export const s4 = overlayAttack<NodeCase & { by: Validator }>({
  id: "S4",
  title: "a node that denies surveys, or permits some, tells others nothing",
  cases: [
    { name: "deny, asked by who is on the list", by: surveyor, victim: { ...permitting, survey: { survey: "deny" } } },
    { name: "keys, asked by a stranger", by: stranger, victim: { ...permitting, survey: { survey: "keys" } } }
  ],
  run: Effect.fnUntraced(function*(victim, attackers, { by }) {
    const observer = yield* attackers.join("21.0.0.1")
    const peer = yield* attackers.join("20.0.0.1", { identity: by.seed })
    yield* peer.say(start(by))
    yield* peer.expectOpen(2000)
    yield* peer.say(stop(by))
    yield* peer.expectOpen(2000)
    yield* peer.say(request(by, victim.id))
    yield* peer.expectOpen(2000)
    yield* observer.expectOpen(100)
    yield* equal([heardOf(peer).length, heardOf(observer).length], [0, 0], "survey messages said")
    yield* equal(surveyOf(victim).state.phase, "INACTIVE", "the phase")
  })
})

/**
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const surveyAttacks: ReadonlyArray<OverlayAttack> = [s1, s2, s3, s4]
