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

const isDontHave = (itemType: number) => (message: StellarMessage | undefined): boolean =>
  message?._tag === "DontHave" && message.itemType === itemType

interface Spam {
  readonly question: () => StellarMessage
  readonly isAnswer: (message: StellarMessage) => boolean
  readonly window: number
}

/** Asks more than it may, waits for the next window, asks again. */
const spamTwice = function*(peer: PeerScript, { isAnswer, question, window }: Spam): Script {
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
 * Asks three times what it may, at a node whose window may be shorter, because its ledgers are. A question of another
 * kind, which has a limit of its own, says when all answers are there.
 */
const spamOnce = function*(
  peer: PeerScript,
  { fence, isAnswer, isFence, question, window }: Spam & {
    readonly fence: StellarMessage
    readonly isFence: (message: StellarMessage | undefined) => boolean
  }
): Script {
  yield* peer.handshake()
  const count = function*(asked: number): Script<number> {
    const from = peer.heard.length
    yield* peer.sayAll([...repeated(asked, question), fence])
    yield* peer.expect(({ message }) => isFence(message))
    return peer.heard.slice(from).filter(({ message }) => message !== undefined && isAnswer(message)).length
  }
  const answered = yield* count(3 * window)
  if (answered === 0 || answered > window) throw peer.failure(`1 to ${window} answers`, `${answered} came`)
  const more = yield* count(window)
  if (more !== 0) throw peer.failure("no more answers in this window", `${more} came`)
}

const TX_SET = MessageType.GeneralizedTxSet
const QUORUM_SET = MessageType.ScpQuorumSet

/**
 * Asks for transaction sets without end.
 *
 * @category attacks
 * @since 0.1.0
 */
export const q1: Attack = (() => {
  const asks = { question: () => GetTxSet.make(query), isAnswer: isDontHave(TX_SET), window: 300 }
  const fence = { fence: GetScpQuorumSet.make(query), isFence: isDontHave(QUORUM_SET) }
  return attack({
    id: "Q1",
    title: "300 GET_TX_SET per 60 s are answered, more are ignored in silence",
    roles: bothRoles,
    cases: [
      { name: "for one it does not have, in one window", windows: 1 },
      // The numbers are those of ledgers of 5 s.
      {
        name: "for one it does not have, in two windows",
        windows: 2,
        slow: true,
        victim: { config: { expectedCloseTimeMillis: 5000 } }
      }
    ],
    run: (peer, { windows }) => windows === 1 ? spamOnce(peer, { ...asks, ...fence }) : spamTwice(peer, asks)
  })
})()

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
  cases: [{ name: "two windows", slow: true, victim: { answers: "deliver" as const } }],
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
export const q3: Attack = (() => {
  const asks = { question: () => GetScpQuorumSet.make(query), isAnswer: isDontHave(QUORUM_SET), window: 300 }
  const fence = { fence: GetTxSet.make(query), isFence: isDontHave(TX_SET) }
  return attack({
    id: "Q3",
    title: "300 GET_SCP_QUORUMSET per 60 s are answered, more are ignored in silence",
    roles: bothRoles,
    cases: [
      { name: "for one it does not have, in one window", windows: 1 },
      // The numbers are those of ledgers of 5 s.
      {
        name: "for one it does not have, in two windows",
        windows: 2,
        slow: true,
        victim: { config: { expectedCloseTimeMillis: 5000 } }
      }
    ],
    run: (peer, { windows }) => windows === 1 ? spamOnce(peer, { ...asks, ...fence }) : spamTwice(peer, asks)
  })
})()

/**
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const queryAttacks: ReadonlyArray<Attack> = [q1, q2, q3]
