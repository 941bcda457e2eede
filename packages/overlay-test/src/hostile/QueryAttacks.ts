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
import type { Heard } from "../ScriptedNode.ts"
import { type Attack, attack, bothRoles } from "./Attack.ts"
import { hash, repeated, staysFor } from "./parts.ts"

const query = { hash: hash(1) }

/** A question for something nobody has, and the types of DONT_HAVE that answer it. */
interface Question {
  readonly message: StellarMessage
  readonly itemTypes: ReadonlyArray<number>
}

/** A node whose ledger is older than generalised sets says it has no TX_SET (protocol.md 7). */
const txSetQuestion: Question = {
  message: GetTxSet.make(query),
  itemTypes: [MessageType.GeneralizedTxSet, MessageType.TxSet]
}

const quorumSetQuestion: Question = { message: GetScpQuorumSet.make(query), itemTypes: [MessageType.ScpQuorumSet] }

const answers = ({ itemTypes }: Question, { message }: Heard): boolean =>
  message?._tag === "DontHave" && itemTypes.includes(message.itemType)

/**
 * Asks so often, and counts the answers. A question of another kind, which has a limit of its own and is answered in its
 * turn, says when all are there.
 */
const ask = function*(peer: PeerScript, times: number, question: Question, fence: Question): Script<number> {
  const from = peer.heard.length
  yield* peer.sayAll([...repeated(times, () => question.message), fence.message])
  yield* peer.expect((heard) => answers(fence, heard))
  return peer.heard.slice(from).filter((heard) => answers(question, heard)).length
}

const WINDOW = 300

/** Asks three times what it may, at a node whose window may be shorter, because its ledgers are. */
const inOneWindow = function*(peer: PeerScript, question: Question, fence: Question): Script {
  const answered = yield* ask(peer, 3 * WINDOW, question, fence)
  if (answered === 0 || answered > WINDOW) throw peer.failure(`1 to ${WINDOW} answers`, `${answered} came`)
  const more = yield* ask(peer, WINDOW, question, fence)
  if (more !== 0) throw peer.failure("no more answers in this window", `${more} came`)
}

/** Asks more than it may, waits for the next window, asks again; each step with the answers that are due. */
const inTwoWindows = function*(peer: PeerScript, question: Question, fence: Question): Script {
  const expectAnswers = function*(times: number, due: number): Script {
    const answered = yield* ask(peer, times, question, fence)
    if (answered !== due) throw peer.failure(`${due} answers to ${times} questions`, `${answered} came`)
  }
  yield* expectAnswers(WINDOW, WINDOW)
  yield* expectAnswers(1, 0)
  yield* expectAnswers(2 * WINDOW, 0)
  yield* staysFor(peer, 59_000)
  yield* expectAnswers(1, 0)
  yield* staysFor(peer, 1000)
  yield* expectAnswers(WINDOW + 1, WINDOW)
}

const spam = (id: string, name: string, question: Question, fence: Question): Attack =>
  attack({
    id,
    title: `${WINDOW} ${name} per 60 s are answered, more are ignored in silence`,
    roles: bothRoles,
    cases: [
      { name: "for one it does not have, in one window", story: inOneWindow },
      {
        name: "for one it does not have, in two windows",
        story: inTwoWindows,
        slow: true,
        // The numbers are those of ledgers of 5 s.
        victim: { config: { expectedCloseTimeMillis: 5000 } }
      }
    ],
    *run(peer, { story }) {
      yield* peer.handshake()
      yield* peer.say(SendMoreExtended.make({ numMessages: 200, numBytes: 300_000 }))
      yield* story(peer, question, fence)
    }
  })

/**
 * Asks for transaction sets without end.
 *
 * @category attacks
 * @since 0.1.0
 */
export const q1: Attack = spam("Q1", "GET_TX_SET", txSetQuestion, quorumSetQuestion)

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
export const q3: Attack = spam("Q3", "GET_SCP_QUORUMSET", quorumSetQuestion, txSetQuestion)

/**
 * All of them.
 *
 * @category attacks
 * @since 0.1.0
 */
export const queryAttacks: ReadonlyArray<Attack> = [q1, q2, q3]
