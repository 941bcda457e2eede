/**
 * Two honest peers of a node that is attacked: one says signed SCP messages at a steady pace, the other hears them
 * through the node. What becomes of them shows what an attack costs others (G2).
 *
 * @since 0.1.0
 */
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { DontHave, SendMoreExtended } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { hex } from "../internal/hex.ts"
import type { ScriptFailure } from "../Script.ts"
import type * as ScriptedPeer from "../ScriptedPeer.ts"
import * as Validators from "./Validators.ts"

/**
 * Milliseconds between two messages in the first minute of the pair, and after it: long attacks are long because of
 * their timers.
 *
 * @category constants
 * @since 0.1.0
 */
export const PACE_MILLIS = { first: 100, later: 2000 }

const FIRST_MILLIS = 60_000

/** The slot the honest validators begin with, and how many messages each slot has. */
const FIRST_SLOT = 100
const MESSAGES_PER_SLOT = 50

/**
 * The validators whose statements the speaker and the listener pass on.
 *
 * @category constants
 * @since 0.1.0
 */
export const honestValidators: readonly [Validators.Validator, Validators.Validator] = [
  Validators.validator("honest"),
  Validators.validator("honest listener")
]

/**
 * A message on its way: when it was said and when it was heard, in monotonic milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Passage {
  readonly saidAt: number
  readonly heardAt: number | undefined
}

/**
 * The pair.
 *
 * @category models
 * @since 0.1.0
 */
export interface HonestPair {
  readonly speaker: ScriptedPeer.ScriptedPeer
  readonly listener: ScriptedPeer.ScriptedPeer
  /** All messages said since a moment, in order. */
  readonly passages: (since: number) => ReadonlyArray<Passage>
  /** The slot that is being spoken of. */
  readonly slot: () => number
}

/** Answers what was asked since the last time, as an honest node does. */
const answerer = (peer: ScriptedPeer.ScriptedPeer) => {
  let seen = 0
  const { script } = peer
  return Effect.gen(function*() {
    for (; seen < script.heard.length; seen++) {
      const message = script.heard[seen]!.message
      if (message?._tag === "GetTxSet") {
        const mine = hex(message.hash) === hex(Validators.theTxSet.hash)
        yield* peer.say(
          mine
            ? Validators.theTxSet.message
            : DontHave.make({ itemType: MessageType.GeneralizedTxSet, hash: message.hash })
        )
      } else if (message?._tag === "GetScpQuorumSet") {
        const mine = hex(message.hash) === hex(Validators.theQuorumSet.hash)
        yield* peer.say(
          mine
            ? Validators.theQuorumSet.message
            : DontHave.make({ itemType: MessageType.ScpQuorumSet, hash: message.hash })
        )
      }
    }
  })
}

const grant = (peer: ScriptedPeer.ScriptedPeer, numMessages: number) =>
  peer.say(SendMoreExtended.make({ numMessages, numBytes: 1000 * numMessages }))

/**
 * Brings the pair in and lets it speak until the scope closes. What goes wrong with one of them ends its part, and shows
 * in its `script.ending`, or in messages that are not heard.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(
  function*<E, R>(
    join: (ip: string) => Effect.Effect<ScriptedPeer.ScriptedPeer, E, R>,
    ips: readonly [speaker: string, listener: string]
  ): Effect.fn.Return<HonestPair, E | ScriptFailure, R | Scope.Scope> {
    const speaker = yield* join(ips[0])
    const listener = yield* join(ips[1])
    const said: Array<{ readonly key: string; readonly at: number }> = []
    const started = yield* Clock.currentTimeMillis
    let slot = FIRST_SLOT
    let other = 0
    yield* grant(listener, 10_000)
    yield* grant(speaker, 10_000)

    const speak = Effect.gen(function*() {
      const answer = answerer(speaker)
      for (let n = 1;; n++) {
        slot = FIRST_SLOT + Math.floor(n / MESSAGES_PER_SLOT)
        const now = yield* Clock.currentTimeMillis
        const step = n % MESSAGES_PER_SLOT
        const closeTime = Math.floor(now / 1000)
        // Each slot begins with the end of the one before it.
        const message = Validators.scp(
          step === 1
            ? { by: honestValidators[0], slot: slot - 1, kind: "EXTERNALIZE", closeTime }
            : { by: honestValidators[0], slot, counter: 1 + step, closeTime }
        )
        said.push({ key: hex(message.bytes), at: speaker.script.now.millis })
        yield* speaker.say(message)
        yield* speaker.expectOpen(now - started < FIRST_MILLIS ? PACE_MILLIS.first : PACE_MILLIS.later)
        yield* answer
        if (n % 100 === 0) yield* grant(speaker, 1000)
      }
    })
    // It says something new now and then too, as any node of a network does.
    const listen = Effect.gen(function*() {
      const answer = answerer(listener)
      let ended = 0
      while (true) {
        yield* listener.expectOpen(1000)
        yield* answer
        yield* grant(listener, 100)
        const closeTime = Math.floor((yield* Clock.currentTimeMillis) / 1000)
        const by = honestValidators[1]
        if (ended !== slot) yield* listener.say(Validators.scp({ by, slot: slot - 1, kind: "EXTERNALIZE", closeTime }))
        ended = slot
        yield* listener.say(Validators.scp({ by, slot, counter: ++other, closeTime }))
      }
    })
    yield* Effect.forkScoped(Effect.ignore(speak))
    yield* Effect.forkScoped(Effect.ignore(listen))
    return {
      speaker,
      listener,
      slot: () => slot,
      passages: (since) => {
        const heardAt = new Map<string, number>()
        for (const { at, message } of listener.script.heard) {
          if (message?._tag === "ScpMessage") heardAt.set(hex(message.bytes), at)
        }
        return said.flatMap(({ at, key }) => at < since ? [] : [{ saidAt: at, heardAt: heardAt.get(key) }])
      }
    }
  }
)
