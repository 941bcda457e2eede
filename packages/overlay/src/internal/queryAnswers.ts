/**
 * Answers to GET_TX_SET, GET_SCP_QUORUMSET and GET_SCP_STATE from the host (protocol.md sections 5.3 and 7).
 *
 * The limits on how often a peer may ask are the session's; here is what is said, and how much of it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import type * as Scope from "effect/Scope"
import type { LedgerView, OverlayHost } from "../OverlayHost.ts"
import type { Peer } from "../Peer.ts"
import { checkpointSlot } from "../protocol/LedgerContext.ts"
import { Priority } from "../protocol/Priority.ts"
import { MessageType } from "../wire/MessageType.ts"
import type { NodeId } from "../wire/NodeId.ts"
import {
  DontHave,
  type GetScpQuorumSet,
  type GetScpState,
  type GetTxSet,
  type ScpMessage
} from "../wire/StellarMessage.ts"
import { isZero } from "./bytes.ts"
import { readMillis } from "./peerRuntime.ts"

export type Query = GetTxSet | GetScpQuorumSet | GetScpState

/** The first ledger protocol whose transaction sets are generalized. */
const GENERALIZED_SINCE = 20

const txSetType = ({ ledgerVersion }: LedgerView): MessageType =>
  ledgerVersion >= GENERALIZED_SINCE ? MessageType.GeneralizedTxSet : MessageType.TxSet

/** How long the messages of a checkpoint's slot are held back when they are older than the others. */
export const CHECKPOINT_DELAY_MILLIS = 2000

/** Answers one query. Never fails: a peer that cannot take the answer is the session's business. */
export type Answer = (peer: Peer, query: Query) => Effect.Effect<void>

/** Answers from a host, until the scope closes. */
export const make = Effect.fnUntraced(function*(
  host: OverlayHost["Service"],
  maxSlotsToRemember: number
): Effect.fn.Return<Answer, never, Scope.Scope> {
  /** One checkpoint a peer: a newer request takes the place of the one before. */
  const delayed = yield* FiberMap.make<NodeId, void>()

  /**
   * SCP state from a ledger on. When the slot of the last checkpoint is older than those that everybody remembers, it
   * comes two seconds after the others, which are what the peer most likely lacks (protocol.md 5.3).
   */
  const answerState = (peer: Peer, ledgerSeq: number): Effect.Effect<void> =>
    Effect.flatMap(host.scpState(ledgerSeq), (messages) => {
      const { trackingIndex } = host.ledger()
      const checkpoint = checkpointSlot(trackingIndex)
      const isOld = (message: ScpMessage) => message.slotNumber === checkpoint
      const hasOld = checkpoint < trackingIndex - maxSlotsToRemember && messages.some(isOld)
      sendAll(peer, hasOld ? messages.filter((message) => !isOld(message)) : messages)
      if (!hasOld) return Effect.void
      const later = Effect.map(
        Effect.delay(host.scpState(checkpoint), CHECKPOINT_DELAY_MILLIS),
        (messages) => sendAll(peer, messages.filter(isOld))
      )
      return Effect.asVoid(FiberMap.run(delayed, peer.id, later))
    })

  return (peer, query) =>
    query._tag === "GetScpState" ? answerState(peer, query.ledgerSeq) : answerItem(host, peer, query)
})

const sendAll = (peer: Peer, messages: ReadonlyArray<ScpMessage>): void => {
  for (const message of messages.slice(firstWithRoom(peer, messages))) peer.offer(message)
}

const answerItem = (
  host: OverlayHost["Service"],
  peer: Peer,
  query: GetTxSet | GetScpQuorumSet
): Effect.Effect<void> => {
  switch (query._tag) {
    case "GetTxSet": {
      const { hash } = query
      const dontHave = () => void peer.offer(DontHave.make({ itemType: txSetType(host.ledger()), hash }))
      // The all-zero hash stands for the empty set (CAP-0083), which is never served.
      if (isZero(hash)) return Effect.sync(dontHave)
      return Effect.flatMap(host.txSet(hash), (txSet) =>
        Clock.clockWith((clock) =>
          Effect.sync(() => {
            if (txSet === undefined) dontHave()
            // Over the byte budget the peer hears nothing, as over the number of questions: it will ask somebody else.
            else if (peer.session.mayAnswerTxSet(txSet.size, readMillis(clock))) peer.offer(txSet)
          })
        ))
    }
    case "GetScpQuorumSet": {
      const { hash } = query
      return Effect.map(host.quorumSet(hash), (quorumSet) => {
        peer.offer(quorumSet ?? DontHave.make({ itemType: MessageType.ScpQuorumSet, hash }))
      })
    }
  }
}

/**
 * From where on the messages fit into half of the peer's SCP queue, the newest being the most useful. Who asks often and
 * reads slowly gets less; overflowing the queue would drop it, for an answer it asked for.
 */
const firstWithRoom = ({ session: { options, queues } }: Peer, messages: ReadonlyArray<ScpMessage>): number => {
  const { scpByteLimit, scpCountLimit } = options.queues
  let count = (scpCountLimit >> 1) - queues.lengthOf(Priority.Scp)
  let bytes = (scpByteLimit >> 1) - queues.bytesOf(Priority.Scp)
  let first = messages.length
  while (first > 0 && count > 0 && bytes >= messages[first - 1]!.size) {
    bytes -= messages[--first]!.size
    count--
  }
  return first
}
