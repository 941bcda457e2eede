/**
 * What must hold of the network as a whole: one chain of ledgers at all times, and once the faults are over, everything
 * that a network is for.
 *
 * @since 0.1.0
 */
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import * as Checker from "./Checker.ts"
import type { NodeSnapshot } from "./Observation.ts"

/** EXTERNALIZE: the last thing a validator says about a slot. */
const EXTERNALIZE = 2

/**
 * All nodes have the same ledgers, each transaction is in one of them at most, and a node's ledgers only go up.
 *
 * @category checkers
 * @since 0.1.0
 */
export const oneChain = Checker.make("oneChain", "all nodes close the same ledgers", (fail) => {
  const hashes = new Map<number, readonly [hash: string, node: string]>()
  const applied = new Map<string, number>()
  const last = new Map<string, number>()
  return {
    NodeStarted: ({ node }) => {
      last.delete(node)
    },
    Ledger: ({ at, hash, ledgerSeq, node, transactions }) => {
      const known = hashes.get(ledgerSeq)
      if (known === undefined) {
        hashes.set(ledgerSeq, [hash, node])
        for (const transaction of transactions) {
          const before = applied.get(transaction)
          if (before !== undefined) fail(at, [node], `a transaction is in ledger ${before} and in ${ledgerSeq}`)
          applied.set(transaction, ledgerSeq)
        }
      } else if (known[0] !== hash) {
        fail(at, [known[1], node], `ledger ${ledgerSeq} of ${known[1]} and of ${node} differ`)
      }
      const before = last.get(node)
      if (before !== undefined && ledgerSeq <= before) fail(at, [node], `${node} closed ${ledgerSeq} after ${before}`)
      last.set(node, ledgerSeq)
    },
    Snapshot: ({ at, diverged, node }) => {
      if (diverged > 0) fail(at, [node], `${diverged} ledgers of ${node} do not build on its last`)
    }
  }
})

/** The nodes that can be reached from the first, over connections that both ends have. */
const reached = (snapshots: ReadonlyMap<string, NodeSnapshot>): Set<string> => {
  const [first] = snapshots.keys()
  const seen = new Set(first === undefined ? [] : [first])
  for (const node of seen) {
    for (const { peer } of snapshots.get(node)?.books ?? []) {
      const back = snapshots.get(peer)?.books.some((book) => book.peer === node)
      if (back === true) seen.add(peer)
    }
  }
  return seen
}

/**
 * What the liveness of a run is measured by.
 *
 * @category options
 * @since 0.1.0
 */
export interface LivenessOptions {
  readonly nodes: ReadonlyArray<string>
  /** The node ids of the validators, as statements have them. */
  readonly validators: ReadonlyArray<string>
  readonly closeTimeMillis: number
  /** What a message may take from one end of the network to the other. */
  readonly settleMillis: number
}

/**
 * Once faults are over, all nodes are connected and in step, ledgers go on, each statement that ends a slot reaches each
 * node, and what is submitted is in a ledger of every node.
 *
 * @category checkers
 * @since 0.1.0
 */
export const alive = (options: LivenessOptions): Checker.Checker =>
  Checker.make("alive", "without faults the network connects, agrees and goes on", (fail) => {
    const { closeTimeMillis, nodes, settleMillis, validators } = options
    let began: number | undefined
    let ended: number | undefined
    /** The last slot that was closed before; what is said of it later is old news. */
    let oldSlot = 0
    const ledgers = new Map<string, Array<number>>()
    const snapshots = new Map<string, NodeSnapshot>()
    /** For each last statement: when it was first seen, and the nodes that have it. */
    const statements = new Map<string, { readonly at: number; readonly has: Set<string> }>()
    const submitted = new Map<string, number>()
    const applied = new Map<string, Set<string>>()
    const isValidator = new Set(validators)
    const isOn = () => began !== undefined && ended === undefined

    const judge = (at: number): void => {
      if (began === undefined) return
      const start = began
      const seen = reached(snapshots)
      const apart = nodes.filter((node) => !seen.has(node))
      if (apart.length > 0) fail(at, apart, `not connected with the rest: ${apart.join(", ")}`)
      let highest = 0
      for (const { ledgerSeq } of snapshots.values()) highest = Math.max(highest, ledgerSeq)
      const least = Math.floor((at - start) / closeTimeMillis) - 2
      for (const node of nodes) {
        const snapshot = snapshots.get(node)
        if (snapshot === undefined) {
          fail(at, [node], `${node} is not there`)
          continue
        }
        if (!snapshot.isSynced) fail(at, [node], `${node} is out of sync`)
        if (snapshot.ledgerSeq < highest - 1) {
          fail(at, [node], `${node} is at ledger ${snapshot.ledgerSeq}, another at ${highest}`)
        }
        const closed = ledgers.get(node)?.length ?? 0
        if (closed < least) fail(at, [node], `${node} closed ${closed} ledgers, at least ${least} were due`)
      }
      for (const [key, statement] of statements) {
        if (statement.at > at - settleMillis) continue
        const without = nodes.filter((node) => !statement.has.has(node))
        if (without.length > 0) fail(at, without, `${key} did not reach ${without.join(", ")}`)
      }
      for (const [hash, when] of submitted) {
        if (when > at - settleMillis - 2 * closeTimeMillis) continue
        const without = nodes.filter((node) => applied.get(node)?.has(hash) !== true)
        if (without.length > 0) {
          fail(at, without, `transaction ${hash.slice(0, 8)} is in no ledger of ${without.join(", ")}`)
        }
      }
    }

    return {
      Phase: ({ at, phase }) => {
        if (phase === "liveness") began = at
        if (phase === "stopping") {
          ended = at
          judge(at)
        }
      },
      Snapshot: (snapshot) => {
        snapshots.set(snapshot.node, snapshot)
      },
      NodeStopped: ({ node }) => {
        if (ended === undefined) snapshots.delete(node)
      },
      Ledger: ({ ledgerSeq, node, transactions }) => {
        if (began === undefined) oldSlot = Math.max(oldSlot, ledgerSeq + 1)
        if (!isOn()) return
        const seqs = ledgers.get(node) ?? []
        seqs.push(ledgerSeq)
        ledgers.set(node, seqs)
        const hashes = applied.get(node) ?? new Set<string>()
        for (const hash of transactions) hashes.add(hash)
        applied.set(node, hashes)
      },
      Submitted: ({ at, hash }) => {
        if (isOn()) submitted.set(hash, at)
      },
      Message: ({ at, from, scp, to, type }) => {
        if (type !== MessageType.ScpMessage || scp?.kind !== EXTERNALIZE || !isOn()) return
        if (!isValidator.has(scp.origin) || scp.slot <= oldSlot) return
        const key = `EXTERNALIZE ${scp.slot} of ${scp.origin.slice(0, 5)}`
        let statement = statements.get(key)
        if (statement === undefined) {
          statement = { at, has: new Set() }
          statements.set(key, statement)
        }
        statement.has.add(from).add(to)
      }
    }
  })

/** A connection whose both ends said AUTH so long ago floods like any other. */
const FRESH_MILLIS = 2000

/**
 * Once faults are over, each statement that ends a slot crosses each connection, in one direction at least: nothing that
 * must not be lost is lost in a queue, even where other ways make up for it.
 *
 * @category checkers
 * @since 0.1.0
 */
export const everyLink = (settleMillis: number): Checker.Checker =>
  Checker.make("everyLink", "each EXTERNALIZE crosses each connection", (fail) => {
    const links = new Map<number, {
      readonly ends: readonly [string, string]
      readonly said: Set<string>
      since: number
      readonly crossed: Set<number>
    }>()
    const statements = new Map<number, { readonly at: number; readonly slot: number }>()
    let isOn = false
    let oldSlot = 0
    return {
      Phase: ({ at, phase }) => {
        if (isOn && phase === "stopping") {
          for (const { crossed, ends, since } of links.values()) {
            for (const [key, statement] of statements) {
              if (statement.at > at - settleMillis || statement.at < since + FRESH_MILLIS || crossed.has(key)) continue
              fail(
                at,
                ends,
                `an EXTERNALIZE of slot ${statement.slot} did not cross from ${ends[0]} to ${ends[1]} or back`
              )
            }
          }
        }
        isOn = phase === "liveness"
      },
      LinkOpened: ({ dialer, link, listener }) => {
        links.set(link, { ends: [dialer, listener], said: new Set(), since: Infinity, crossed: new Set() })
      },
      LinkClosed: ({ link }) => {
        links.delete(link)
      },
      Ledger: ({ ledgerSeq }) => {
        if (!isOn) oldSlot = Math.max(oldSlot, ledgerSeq + 1)
      },
      Message: ({ at, from, key, link, scp, type }) => {
        const state = links.get(link)
        if (state === undefined) return
        if (type === MessageType.Auth) {
          state.said.add(from)
          if (state.said.size === 2) state.since = at
        } else if (isOn && scp?.kind === EXTERNALIZE && scp.slot > oldSlot) {
          if (!statements.has(key)) statements.set(key, { at, slot: scp.slot })
          state.crossed.add(key)
        }
      }
    }
  })
