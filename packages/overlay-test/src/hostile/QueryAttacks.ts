/**
 * Attacks on the limits of queries: Q1 to Q3.
 *
 * The numbers are those of protocol.md 7: 300 GET_TX_SET, 300 GET_SCP_QUORUMSET and 10 GET_SCP_STATE per window of 60 s.
 *
 * @since 0.1.0
 */
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import {
  GetScpQuorumSet,
  GetScpState,
  GetTxSet,
  SendMoreExtended,
  type StellarMessage
} from "@stellar-overlay/overlay/wire/StellarMessage"
import type { PeerScript } from "../PeerScript.ts"
import type { Script } from "../Script.ts"
import { type Attack, attack, bothRoles } from "./Attack.ts"
import { hash, repeated, staysFor } from "./parts.ts"

const query = { hash: hash(1) }

/** More questions of a kind than a window allows; `answers` are those that are given. */
const spam = function*(
  peer: PeerScript,
  question: () => StellarMessage,
  asked: number,
  isAnswer: (message: StellarMessage) => boolean,
  answered: number
): Script {
  const from = peer.heard.length
  yield* peer.sayAll(repeated(asked, question))
  yield* peer.wait(100)
  const heard = peer.heard.slice(from).filter(({ message }) => message !== undefined && isAnswer(message)).length
  if (heard !== answered) throw peer.failure(`${answered} answers to ${asked} questions`, `${heard} came`)
}

const isDontHave = (itemType: number) => (message: StellarMessage): boolean =>
  message._tag === "DontHave" && message.itemType === itemType

/** Asks more than it may, waits for the next window, asks again. */
const spamTwice = function*(
  peer: PeerScript,
  { isAnswer, question, window }: {
    readonly question: () => StellarMessage
    readonly isAnswer: (message: StellarMessage) => boolean
    readonly window: number
  }
): Script {
  yield* peer.handshake()
  yield* peer.say(SendMoreExtended.make({ numMessages: 200, numBytes: 300_000 }))
  yield* spam(peer, question, window, isAnswer, window)
  yield* spam(peer, question, 1, isAnswer, 0)
  yield* spam(peer, question, 2 * window, isAnswer, 0)
  yield* staysFor(peer, 59_000)
  yield* spam(peer, question, 1, isAnswer, 0)
  yield* staysFor(peer, 1000)
  yield* spam(peer, question, window + 1, isAnswer, window)
}

/**
 * Asks for transaction sets without end.
 *
 * @category attacks
 * @since 0.1.0
 */
export const q1 = attack({
  id: "Q1",
  title: "300 GET_TX_SET per 60 s are answered, more are ignored in silence",
  roles: bothRoles,
  cases: [{
    name: "for one it does not have",
    question: () => GetTxSet.make(query),
    isAnswer: isDontHave(MessageType.GeneralizedTxSet),
    window: 300
  }],
  run: spamTwice
})

/**
 * Asks for SCP state without end. The answer, if there is one, is no reply that can be told apart: what is counted is
 * what reaches the victim's application.
 *
 * @category attacks
 * @since 0.1.0
 */
export const q2 = attack({
  id: "Q2",
  title: "10 GET_SCP_STATE per 60 s are heard, more are ignored in silence",
  roles: bothRoles,
  cases: [{ name: "two windows", victim: { answers: "deliver" as const } }],
  *run(peer) {
    yield* peer.handshake()
    yield* peer.sayAll(repeated(1000, () => GetScpState.make({ ledgerSeq: 0 })))
    yield* staysFor(peer, 30_000)
    yield* peer.say(SendMoreExtended.make({ numMessages: 1, numBytes: 1 }))
    yield* staysFor(peer, 31_000)
    yield* peer.sayAll(repeated(11, () => GetScpState.make({ ledgerSeq: 0 })))
    yield* peer.expectOpen(1000)
  }
})

/**
 * Asks for quorum sets without end, which is also how nodes ping.
 *
 * @category attacks
 * @since 0.1.0
 */
export const q3 = attack({
  id: "Q3",
  title: "300 GET_SCP_QUORUMSET per 60 s are answered, more are ignored in silence",
  roles: bothRoles,
  cases: [{
    name: "for one it does not have",
    question: () => GetScpQuorumSet.make(query),
    isAnswer: isDontHave(MessageType.ScpQuorumSet),
    window: 300
  }],
  run: spamTwice
})

/**
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const queryAttacks: ReadonlyArray<Attack> = [q1, q2, q3]
