/**
 * A host without a ledger that takes and relays everything, and remembers what it was given: what an attack can get into
 * a node.
 *
 * @since 0.1.0
 */
import {
  type LedgerView,
  type OverlayHost,
  type TransactionVerdict,
  unknownLedger
} from "@stellar-overlay/overlay/OverlayHost"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import type { ScpMessage, StellarMessage, Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Effect from "effect/Effect"
import { hex } from "../internal/hex.ts"

/**
 * The host.
 *
 * @category models
 * @since 0.1.0
 */
export class RecordingHost {
  view: LedgerView = { ...unknownLedger, ledgerSeq: 100, trackingIndex: 100 }
  /** How often each SCP message was handed over, by its bytes as hex. */
  readonly scp = new Map<string, number>()
  /** Transactions that are pending, by hash. */
  readonly pool = new Map<string, Transaction>()
  /** Transactions that were handed over, copies included. */
  transactions = 0
  /** Items that were handed over, in order. */
  readonly items: Array<StellarMessage> = []
  /** Nodes whose SCP messages make it throw. */
  readonly fails = new Set<NodeId>()
  readonly service: OverlayHost["Service"]

  constructor() {
    this.service = {
      ledger: () => this.view,
      scpStateFrom: () => 0,
      receiveScp: (messages, from) =>
        Effect.sync(() => {
          if (from !== undefined && this.fails.has(from)) throw new Error("injected")
          return messages.map((message: ScpMessage) => {
            const key = hex(message.bytes)
            this.scp.set(key, (this.scp.get(key) ?? 0) + 1)
            return { _tag: "relay" as const }
          })
        }),
      scpState: () => Effect.succeed([]),
      receiveTransactions: (messages, hashes) =>
        Effect.sync(() =>
          hashes.map((bytes, i): TransactionVerdict => {
            this.transactions++
            const hash = hex(bytes)
            if (this.pool.has(hash)) return "duplicate"
            this.pool.set(hash, messages[i]!.retain())
            return "pending"
          })
        ),
      transactionStatus: (hash) => this.pool.has(hex(hash)) ? "known" : "unknown",
      transaction: (hash) => this.pool.get(hex(hash)),
      txSet: () => Effect.succeed(undefined),
      quorumSet: () => Effect.succeed(undefined),
      receiveTxSet: (_, message) => this.#take(message),
      receiveQuorumSet: (_, message) => this.#take(message),
      isInQuorum: () => false
    }
  }

  #take(message: StellarMessage): Effect.Effect<boolean> {
    return Effect.sync(() => {
      this.items.push(message.retain())
      return true
    })
  }
}
