/**
 * What must hold of nodes that are new or were away: they find the others by themselves, ask them for what they missed, and
 * take no transactions before they have it.
 *
 * @since 0.1.0
 */
import * as Checker from "./Checker.ts"
import type { NodeSnapshot } from "./Observation.ts"

/** What a node needs to call everybody it knows, once: its start, two looks around, and slow lines. */
const FIND_MILLIS = 7000

/**
 * Before anything goes wrong every node is connected with somebody.
 *
 * @category checkers
 * @since 0.1.0
 */
export const foundPeers = Checker.make("foundPeers", "nodes find each other by themselves", (fail) => {
  let isOver = false
  return {
    Phase: ({ phase }) => {
      isOver ||= phase !== "faults"
    },
    Fault: () => {
      isOver = true
    },
    NodeStopped: () => {
      isOver = true
    },
    Snapshot: ({ at, listed, node }) => {
      if (!isOver && at >= FIND_MILLIS && listed === 0) fail(at, [node], `${node} is alone after ${at} ms`)
    }
  }
})

/**
 * Once all faults are over, no node gives up a ledger that the others remember: they send it for the asking. `memory` is
 * the number of ledgers that the most forgetful node remembers, `patienceMillis` how long a node that fell behind waits
 * before it gives up: who fell behind while things went wrong may have asked somebody who was no better off.
 *
 * @category checkers
 * @since 0.1.0
 */
export const caughtUp = (memory: number, patienceMillis: number): Checker.Checker =>
  Checker.make("caughtUp", "who was away gets the ledgers that others remember", (fail) => {
    let peaceAt = Infinity
    let highest = 0
    return {
      Phase: ({ at, phase }) => {
        if (phase === "healing") peaceAt = at
        else if (phase !== "liveness") peaceAt = Infinity
      },
      Ledger: ({ at, jumpedFrom, ledgerSeq, node }) => {
        highest = Math.max(highest, ledgerSeq)
        if (at < peaceAt + patienceMillis || jumpedFrom === undefined || jumpedFrom + memory <= highest) return
        fail(at, [node], `${node} gave up ledgers ${jumpedFrom + 1} to ${ledgerSeq - 1}, which others remember`)
      }
    }
  })

/** Snapshots in a row that must agree before they count: between two of them a node has looked at its ledger. */
const IN_A_ROW = 3

/** Faults that keep a node from its looks at the ledger. */
const holding = /^(Pause|SlowCpu|ClockDrift|DatabaseSlow)$/

/**
 * A node that has lost the ledger takes transactions of no peer, and one that has it of all.
 *
 * @category checkers
 * @since 0.1.0
 */
export const syncFollowed = Checker.make("syncFollowed", "what is taken in follows the ledger", (fail) => {
  const wrong = new Map<string, { readonly isSynced: boolean; count: number }>()
  const held = new Set<string>()
  const judge = ({ at, books, isSynced, node }: NodeSnapshot): void => {
    const other = books.find(({ shedsTransactions }) => shedsTransactions === isSynced)
    const before = wrong.get(node)
    if (other === undefined || before?.isSynced !== isSynced) {
      wrong.set(node, { isSynced, count: other === undefined ? 0 : 1 })
      return
    }
    if (++before.count === IN_A_ROW) {
      const what = isSynced ? "in sync and takes no transactions" : "out of sync and takes transactions"
      fail(at, [node], `${node} is ${what} of ${other.peer}`)
    }
  }
  return {
    Fault: ({ kind, nodes }) => {
      if (holding.test(kind)) { for (const node of nodes) held.add(node) }
    },
    NodeStarted: ({ node }) => {
      wrong.delete(node)
    },
    Snapshot: (snapshot) => {
      if (!held.has(snapshot.node)) judge(snapshot)
    }
  }
})
