/**
 * What must hold of questions: they are asked at once and again, answered, and forgotten when nobody needs the answer.
 *
 * @since 0.1.0
 */
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import * as Checker from "./Checker.ts"
import { isHolding } from "./TimeCheckers.ts"

/** The longest pause of a search, fifteen seconds after ten rounds in vain, and the wait for an answer. */
const ASK_AGAIN_MILLIS = 15_000 + 1500 + 4000

/** Beyond this the first question of a search was put off. */
const AT_ONCE_MILLIS = 1000

/** Searches that say something about the habits of nodes. */
const LEAST_SEARCHES = 5

interface Search {
  readonly startedAt: number
  readonly ledger: number
  askedAt: number | undefined
  /** When somebody was there to ask. */
  awakeAt: number
}

/**
 * A search asks somebody at once, goes on until it has found or is over, and is over when its ledger is forgotten.
 * `memoryOf` gives the ledgers that a node remembers.
 *
 * @category checkers
 * @since 0.1.0
 */
export const searchesGoOn = (memoryOf: (node: string) => number): Checker.Checker =>
  Checker.make("searchesGoOn", "what is missing is asked for until it is there", (fail) => {
    const nodes = new Map<string, Map<string, Search>>()
    const ledgers = new Map<string, number>()
    const held = new Set<string>()
    let prompt = 0
    let late = 0
    const of = (node: string): Map<string, Search> => {
      let searches = nodes.get(node)
      if (searches === undefined) {
        searches = new Map()
        nodes.set(node, searches)
      }
      return searches
    }
    return {
      NodeStarted: ({ node }) => {
        nodes.delete(node)
        ledgers.delete(node)
      },
      Fault: ({ kind, nodes }) => {
        if (isHolding(kind)) { for (const node of nodes) held.add(node) }
      },
      Ledger: ({ ledgerSeq, node }) => {
        ledgers.set(node, ledgerSeq)
      },
      Peer: ({ at, event, node }) => {
        switch (event._tag) {
          case "FetchStarted":
            of(node).set(event.hash, {
              startedAt: at,
              ledger: ledgers.get(node) ?? Infinity,
              askedAt: undefined,
              awakeAt: at
            })
            return
          case "FetchAsked": {
            const search = of(node).get(event.hash)
            if (search === undefined) return
            if (search.askedAt === undefined) {
              if (at - search.startedAt <= AT_ONCE_MILLIS) prompt++
              else late++
            }
            search.askedAt = at
            return
          }
          case "FetchReceived":
          case "FetchGivenUp":
            of(node).delete(event.hash)
        }
      },
      Snapshot: ({ at, listed, node }) => {
        if (held.has(node)) return
        const ledger = ledgers.get(node) ?? 0
        for (const [hash, search] of of(node)) {
          if (listed === 0) search.awakeAt = at
          const waits = at - Math.max(search.awakeAt, search.askedAt ?? 0)
          const what = `${node} looks for ${hash.slice(0, 8)}`
          if (waits > ASK_AGAIN_MILLIS) fail(at, [node], `${what} and asked nobody for ${waits} ms`)
          // One ledger for slots ahead of it, and one that closes as this is looked at.
          if (ledger - search.ledger > memoryOf(node) + 2) {
            fail(at, [node], `${what} since ledger ${search.ledger} and is at ${ledger}`)
          }
        }
      },
      end: (at) => {
        if (late >= LEAST_SEARCHES && late > prompt) {
          fail(at, [], `${late} of ${late + prompt} searches asked nobody for a second`)
        }
      }
    }
  })

/** Questions that have an answer, if only DONT_HAVE. */
const isQuestion = (type: MessageType): boolean => type === MessageType.GetTxSet || type === MessageType.GetScpQuorumSet

const isAnswer = (type: MessageType): boolean =>
  type === MessageType.DontHave || type === MessageType.ScpQuorumSet || type === MessageType.GeneralizedTxSet ||
  type === MessageType.TxSet

/**
 * Once faults are over, every question has its answer.
 *
 * @category checkers
 * @since 0.1.0
 */
export const answered = (settleMillis: number): Checker.Checker =>
  Checker.make("answered", "who is asked answers", (fail) => {
    const open = new Map<number, Map<string, Array<number>>>()
    let isOn = false
    return {
      Phase: ({ at, phase }) => {
        if (isOn && phase === "stopping") {
          for (const [link, ends] of open) {
            for (const [from, asked] of ends) {
              const old = asked.filter((when) => when < at - settleMillis).length
              if (old > 0) fail(at, [from], `${old} questions of ${from} on link ${link} were not answered`)
            }
          }
        }
        isOn = phase === "liveness"
      },
      Message: ({ at, from, link, to, type }) => {
        if (!isOn) return
        let ends = open.get(link)
        if (ends === undefined) {
          ends = new Map()
          open.set(link, ends)
        }
        if (isQuestion(type)) {
          const asked = ends.get(from) ?? []
          asked.push(at)
          ends.set(from, asked)
        } else if (isAnswer(type)) ends.get(to)?.shift()
      },
      LinkClosed: ({ link }) => {
        open.delete(link)
      }
    }
  })

/** Every ten seconds, and once more. */
const RECOVERY_MILLIS = 10_000
const LOST_MILLIS = 2 * RECOVERY_MILLIS + 5000

/** CONSENSUS_STUCK_TIMEOUT and a look: who has closed no ledger for so long has lost the network too. */
const STUCK_MILLIS = 35_000 + 2500

/**
 * A node that has lost the network asks its peers what it missed, again and again.
 *
 * @category checkers
 * @since 0.1.0
 */
export const lostAsk = Checker.make("lostAsk", "who has lost the network asks what it missed", (fail) => {
  const lostSince = new Map<string, number>()
  const askedAt = new Map<string, number>()
  const closedAt = new Map<string, number>()
  const held = new Set<string>()
  return {
    NodeStarted: ({ at, node }) => {
      lostSince.delete(node)
      closedAt.set(node, at)
    },
    Ledger: ({ at, node }) => {
      closedAt.set(node, at)
    },
    Fault: ({ kind, nodes }) => {
      if (isHolding(kind)) { for (const node of nodes) held.add(node) }
    },
    Message: ({ at, from, type }) => {
      if (type === MessageType.GetScpState) askedAt.set(from, at)
    },
    Snapshot: ({ at, isSynced, listed, node }) => {
      const isStuck = at - (closedAt.get(node) ?? at) > STUCK_MILLIS
      if ((isSynced && !isStuck) || listed === 0 || held.has(node)) lostSince.delete(node)
      else if (!lostSince.has(node)) lostSince.set(node, at)
      else {
        const since = Math.max(lostSince.get(node)!, askedAt.get(node) ?? 0)
        if (at - since > LOST_MILLIS) {
          fail(at, [node], `${node} has lost the network and asked nobody for ${at - since} ms`)
        }
      }
    }
  }
})

/** An answer waits for this long before somebody else is asked. */
const REPLY_MILLIS = 1500

/** Refusals that say something about the habits of nodes. */
const LEAST_REFUSALS = 5

/**
 * Who is told DONT_HAVE asks somebody else at once, and does not wait as for one who says nothing.
 *
 * @category checkers
 * @since 0.1.0
 */
export const refusalsHeard = Checker.make("refusalsHeard", "after DONT_HAVE somebody else is asked at once", (fail) => {
  const open = new Set<string>()
  const askedAt = new Map<string, number>()
  const listed = new Map<string, number>()
  let refusals = 0
  let quick = 0
  return {
    Snapshot: (snapshot) => {
      listed.set(snapshot.node, snapshot.listed)
    },
    Message: ({ from, key, link, to, type }) => {
      if (type === MessageType.GetTxSet) open.add(`${link} ${from} ${key}`)
      if (type !== MessageType.DontHave || !open.delete(`${link} ${to} ${key}`)) return
      // Who has nobody else to ask waits in any case.
      if ((listed.get(to) ?? 0) > 1) refusals++
    },
    Peer: ({ at, event, node }) => {
      if (event._tag === "FetchReceived" || event._tag === "FetchGivenUp") askedAt.delete(`${node} ${event.hash}`)
      if (event._tag !== "FetchAsked") return
      const key = `${node} ${event.hash}`
      if (at - (askedAt.get(key) ?? -Infinity) < REPLY_MILLIS - 1) quick++
      askedAt.set(key, at)
    },
    end: (at) => {
      if (refusals >= LEAST_REFUSALS && quick === 0) {
        fail(at, [], `${refusals} times somebody had no transaction set, and nobody else was asked sooner for that`)
      }
    }
  }
})
