/**
 * Answers to GET_TX_SET, GET_SCP_QUORUMSET and GET_SCP_STATE from the host (protocol.md sections 5.3 and 7).
 *
 * The limits on how often a peer may ask are the session's; here is what is said, and how much of it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { LedgerView, OverlayHost } from "../OverlayHost.ts"
import type { Peer } from "../Peer.ts"
import { MessageType } from "../wire/MessageType.ts"
import { DontHave, type GetScpQuorumSet, type GetScpState, type GetTxSet } from "../wire/StellarMessage.ts"
import { isZero } from "./bytes.ts"
import { readNow } from "./peerRuntime.ts"

export type Query = GetTxSet | GetScpQuorumSet | GetScpState

/** The first ledger protocol whose transaction sets are generalized. */
const GENERALIZED_SINCE = 20

const txSetType = ({ ledgerVersion }: LedgerView): MessageType =>
  ledgerVersion >= GENERALIZED_SINCE ? MessageType.GeneralizedTxSet : MessageType.TxSet

/** Answers one query. Never fails: a peer that cannot take the answer is the session's business. */
export const answer = (host: OverlayHost["Service"], peer: Peer, query: Query): Effect.Effect<void> => {
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
            else if (peer.session.mayAnswerTxSet(txSet.size, readNow(clock).millis)) peer.offer(txSet)
          })
        ))
    }
    case "GetScpQuorumSet": {
      const { hash } = query
      return Effect.map(host.quorumSet(hash), (quorumSet) => {
        peer.offer(quorumSet ?? DontHave.make({ itemType: MessageType.ScpQuorumSet, hash }))
      })
    }
    case "GetScpState":
      return Effect.map(host.scpState(query.ledgerSeq), (messages) => {
        for (const message of messages) peer.offer(message)
      })
  }
}
