/**
 * What must hold of everything that is flooded: told once, not told back, pulled once.
 *
 * @since 0.1.0
 */
import { MAX_SLOTS_TO_REMEMBER } from "@stellar-overlay/overlay/protocol/LedgerContext"
import { coreName, MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { Lanes } from "../internal/campaignLanes.ts"
import * as Checker from "./Checker.ts"
import type { WireMessage } from "./Observation.ts"

const add = (counts: Map<number, number>, key: number): number => {
  const count = (counts.get(key) ?? 0) + 1
  counts.set(key, count)
  return count
}

/** The key that the wire tap gives to a hash: its first six bytes. */
const keyOfHash = (hex: string): number => Number.parseInt(hex.slice(0, 12), 16)

const ends = ({ from, to }: WireMessage): ReadonlyArray<string> => [from, to]

/** For how long a node has known a transaction, in ledgers: since one, and in which life of its flood record it is. */
interface Acquaintance {
  since: number
  lives: number
}

/**
 * How often each node may have told each peer of a transaction by now.
 *
 * A flood record lives from the ledger at which a node first sees a transaction, not from the advert, which leaves after
 * a round, a period, and however long it waits for credit. It goes when a ledger closes that is `memory` beyond; what is
 * pending then is advertised to everybody once more (protocol.md 5.1, 5.6). So each ledger that ends a life allows one
 * advert more, whenever it leaves, and nothing else does.
 */
class Acquaintances {
  readonly #memoryOf: (node: string) => number
  readonly #ledgers = new Map<string, number>()
  readonly #nodes = new Map<string, Map<number, Acquaintance>>()
  /** Nodes that were given another ledger to start with, so that the one they had says nothing about it. */
  readonly #confused = new Set<string>()

  constructor(memoryOf: (node: string) => number) {
    this.#memoryOf = memoryOf
  }

  #of(node: string): Map<number, Acquaintance> {
    let known = this.#nodes.get(node)
    if (known === undefined) {
      known = new Map()
      this.#nodes.set(node, known)
    }
    return known
  }

  /** A node has a transaction from now on, or is about to. */
  meets(node: string, hash: number): void {
    const known = this.#of(node)
    if (!known.has(hash)) known.set(hash, { since: this.#ledgers.get(node) ?? 0, lives: 1 })
  }

  mayTell(node: string, hash: number): number {
    return this.#of(node).get(hash)?.lives ?? 1
  }

  closes(node: string, ledgerSeq: number): void {
    this.#ledgers.set(node, ledgerSeq)
    const memory = this.#memoryOf(node)
    for (const acquaintance of this.#of(node).values()) {
      if (ledgerSeq - acquaintance.since < memory) continue
      acquaintance.since = ledgerSeq
      acquaintance.lives++
    }
  }

  confuse(node: string): void {
    this.#confused.add(node)
  }

  /** A new process has no records; what is pending still gets one at once, and comes from disk, not from a peer. */
  starts(node: string): void {
    const since = this.#confused.has(node) ? 0 : this.#ledgers.get(node) ?? 0
    this.#ledgers.set(node, since)
    const known = this.#of(node)
    for (const hash of known.keys()) known.set(hash, { since, lives: 1 })
  }
}

/**
 * A node sends a peer each SCP and survey message once, and once more for each GET_SCP_STATE of that peer; it adverts a
 * transaction to a peer once, and once more for each time its flood record went and it was still pending; it demands only
 * what that peer advertised, as often as that, and sends a body only for a demand. `memoryOf` gives the number of ledgers after which a node
 * forgets whom it told.
 *
 * @category checkers
 * @since 0.1.0
 */
export const sentOnceWithin = (memoryOf: (node: string) => number): Checker.Checker =>
  Checker.make("sentOnce", "a message goes to a peer once, a transaction on demand only", (fail) => {
    const acquaintances = new Acquaintances(memoryOf)
    const lanes = new Lanes(() => ({
      sent: new Map<number, number>(),
      adverts: new Map<number, number>(),
      demands: new Map<number, number>(),
      bodies: new Map<number, number>(),
      stateRequests: 0
    }))
    return {
      NodeStarted: ({ node }) => acquaintances.starts(node),
      Fault: ({ kind, nodes }) => {
        if (kind === "SharedKey") { for (const node of nodes) acquaintances.confuse(node) }
      },
      Submitted: ({ hash, node }) => acquaintances.meets(node, keyOfHash(hash)),
      Ledger: ({ ledgerSeq, node }) => acquaintances.closes(node, ledgerSeq),
      Message: (message) => {
        const { from, key, link, to, type } = message
        const wrong = (text: string) => fail(message.at, ends(message), text)
        const lane = lanes.get(link, from)
        const back = lanes.get(link, to)
        switch (type) {
          case MessageType.GetScpState:
            lane.stateRequests++
            return
          case MessageType.ScpMessage:
          case MessageType.TimeSlicedSurveyRequest:
          case MessageType.TimeSlicedSurveyResponse:
          case MessageType.TimeSlicedSurveyStartCollecting:
          case MessageType.TimeSlicedSurveyStopCollecting: {
            const most = 1 + (type === MessageType.ScpMessage ? back.stateRequests : 0)
            if (add(lane.sent, key) > most) {
              const what = message.scp === undefined ? "" : ` of slot ${message.scp.slot}`
              wrong(`${from} sent ${to} one ${coreName(type)}${what} more than ${most} times`)
            }
            return
          }
          case MessageType.FloodAdvert:
            for (const hash of message.hashes) {
              acquaintances.meets(from, hash)
              const count = add(lane.adverts, hash)
              const most = acquaintances.mayTell(from, hash)
              if (count > most) {
                wrong(`${from} advertised a transaction to ${to} ${count} times, ${most} were due`)
              }
            }
            return
          case MessageType.FloodDemand:
            for (const hash of message.hashes) {
              const adverts = back.adverts.get(hash) ?? 0
              if (add(lane.demands, hash) <= adverts) continue
              const what = adverts === 0 ? "that was not advertised" : "more often than it was advertised"
              wrong(`${from} demanded of ${to} a transaction ${what}`)
            }
            return
          case MessageType.Transaction: {
            acquaintances.meets(to, key)
            if (add(lane.bodies, key) > (back.demands.get(key) ?? 0)) {
              wrong(`${from} sent ${to} a transaction that was not demanded`)
            }
          }
        }
      },
      LinkClosed: ({ link }) => lanes.delete(link)
    }
  })

/**
 * `sentOnceWithin`, for nodes that remember as many ledgers as they do unless told otherwise.
 *
 * @category checkers
 * @since 0.1.0
 */
export const sentOnce = sentOnceWithin(() => MAX_SLOTS_TO_REMEMBER)

/**
 * A message is not sent back to who sent it, while nothing is broken. Two nodes may send each other one message at the
 * same time, and what was queued before a copy came still leaves, so a small share is allowed. `wayMillis` is how long a
 * message is under way: who sends it later than that had it.
 *
 * @category checkers
 * @since 0.1.0
 */
export const notEchoed = (wayMillis: number): Checker.Checker =>
  Checker.make("notEchoed", "who sent a message is not told it again", (fail) => {
    const lanes = new Lanes(() => new Map<number, number>())
    let isOn = false
    let sent = 0
    let echoes = 0
    return {
      Phase: ({ at, phase }) => {
        if (isOn && echoes > MOST_ECHOES && echoes > ECHO_SHARE * sent) {
          fail(at, [], `${echoes} of ${sent} SCP messages were sent to a node that had sent them`)
        }
        isOn = phase === "liveness"
      },
      Message: ({ at, from, key, link, to, type }) => {
        if (!isOn || type !== MessageType.ScpMessage) return
        sent++
        const before = lanes.get(link, to).get(key)
        if (before !== undefined && at - before >= wayMillis) echoes++
        const lane = lanes.get(link, from)
        if (!lane.has(key)) lane.set(key, at)
      },
      LinkClosed: ({ link }) => lanes.delete(link)
    }
  })

const MOST_ECHOES = 20
const ECHO_SHARE = 0.2

/**
 * A transaction's body comes to a node about once while nothing is broken.
 *
 * @category checkers
 * @since 0.1.0
 */
export const pulledOnce = Checker.make("pulledOnce", "a transaction is pulled once by each node", (fail) => {
  let isOn = false
  const pulled = new Set<string>()
  let bodies = 0
  return {
    Phase: ({ at, phase }) => {
      if (isOn && bodies >= LEAST_BODIES && bodies > BODY_SHARE * pulled.size) {
        fail(at, [], `${bodies} bodies were sent where ${pulled.size} would have done`)
      }
      isOn = phase === "liveness"
    },
    Message: ({ key, to, type }) => {
      if (!isOn || type !== MessageType.Transaction) return
      bodies++
      pulled.add(`${to} ${key}`)
    }
  }
})

const LEAST_BODIES = 40
const BODY_SHARE = 1.25

/** Messages that a node says while nobody hears it. */
const UNHEARD = 40

/**
 * A node's flood records are of the ledgers it remembers. `memoryOf` gives their number.
 *
 * @category checkers
 * @since 0.1.0
 */
export const recordsFade = (memoryOf: (node: string) => number): Checker.Checker =>
  Checker.make("recordsFade", "what was flooded is forgotten with its ledger", (fail) => {
    const nodes = new Map<string, Map<number, number>>()
    const ledgers = new Map<string, number>()
    const meet = (node: string, key: number): void => {
      let known = nodes.get(node)
      if (known === undefined) {
        known = new Map()
        nodes.set(node, known)
      }
      // Seen again it is of the ledger at which it was seen again, if its record went meanwhile.
      known.set(key, ledgers.get(node) ?? Infinity)
    }
    return {
      NodeStarted: ({ node }) => {
        ledgers.delete(node)
        nodes.delete(node)
      },
      Submitted: ({ hash, node }) => meet(node, keyOfHash(hash)),
      Ledger: ({ ledgerSeq, node }) => {
        if (!ledgers.has(node)) {
          for (const key of nodes.get(node)?.keys() ?? []) nodes.get(node)?.set(key, ledgerSeq)
        }
        ledgers.set(node, ledgerSeq)
      },
      Message: ({ from, hashes, key, to, type }) => {
        if (type === MessageType.ScpMessage || type === MessageType.Transaction) {
          meet(from, key)
          meet(to, key)
        } else if (type === MessageType.FloodAdvert) { for (const hash of hashes) meet(from, hash) }
      },
      Snapshot: ({ at, gauges, node }) => {
        const ledger = ledgers.get(node)
        const records = gauges.find(({ name }) => name === "flood records")?.value
        if (ledger === undefined || records === undefined) return
        let fresh = 0
        const known = nodes.get(node) ?? new Map<number, number>()
        for (const [key, seq] of known) {
          if (seq > ledger - memoryOf(node) - 1) fresh++
          else known.delete(key)
        }
        if (records > UNHEARD + 1.25 * fresh) {
          fail(at, [node], `${node} has ${records} flood records and saw ${fresh} messages in the ledgers it remembers`)
        }
      }
    }
  })

/**
 * What a node took in while it was alone is told when it is not any more: by the end it is in a ledger. Not so when the
 * node was stopped or gave up ledgers, for then it forgets.
 *
 * @category checkers
 * @since 0.1.0
 */
export const lonelyHeard = Checker.make(
  "lonelyHeard",
  "what was submitted to a node alone gets into a ledger",
  (fail) => {
    const peers = new Map<string, Set<string>>()
    const waiting = new Map<string, { readonly node: string; readonly at: number }>()
    let isOn = true
    const forget = (node: string): void => {
      for (const [hash, submitted] of waiting) if (submitted.node === node) waiting.delete(hash)
    }
    const of = (node: string): Set<string> => {
      let connected = peers.get(node)
      if (connected === undefined) {
        connected = new Set()
        peers.set(node, connected)
      }
      return connected
    }
    return {
      NodeStarted: ({ node }) => {
        peers.delete(node)
        forget(node)
      },
      Peer: ({ event, node }) => {
        if (event._tag === "PeerAuthenticated") of(node).add(event.address.key)
        if (event._tag === "PeerDropped" && event.authenticated) of(node).delete(event.address.key)
      },
      Submitted: ({ at, hash, node }) => {
        if (isOn && of(node).size === 0) waiting.set(hash, { node, at })
      },
      Ledger: ({ jumpedFrom, node, transactions }) => {
        for (const hash of transactions) waiting.delete(hash)
        if (jumpedFrom !== undefined) forget(node)
      },
      Phase: ({ at, phase }) => {
        if (phase === "liveness") isOn = false
        if (phase !== "stopping") return
        for (const [hash, submitted] of waiting) {
          const what = `transaction ${hash.slice(0, 8)}, submitted at ${submitted.at} when ${submitted.node} was alone`
          fail(at, [submitted.node], `${what}, is in no ledger`)
        }
      }
    }
  }
)
