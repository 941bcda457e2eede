/**
 * What must hold on every link, whatever the network does to it afterwards.
 *
 * @since 0.1.0
 */
import { MAX_SLOTS_TO_REMEMBER } from "@stellar-overlay/overlay/protocol/LedgerContext"
import { coreName, isFlood, MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import * as Checker from "./Checker.ts"
import type { WireMessage } from "./Observation.ts"
import { isDamaging } from "./PeerCheckers.ts"

/** State of each direction of each link, made when first asked for and forgotten with the link. */
class Lanes<A> {
  readonly #lanes = new Map<number, Map<string, A>>()
  readonly #make: () => A

  constructor(make: () => A) {
    this.#make = make
  }

  get(link: number, from: string): A {
    let ends = this.#lanes.get(link)
    if (ends === undefined) {
      ends = new Map()
      this.#lanes.set(link, ends)
    }
    let lane = ends.get(from)
    if (lane === undefined) {
      lane = this.#make()
      ends.set(from, lane)
    }
    return lane
  }

  delete(link: number): void {
    this.#lanes.delete(link)
  }
}

const add = (counts: Map<number, number>, key: number): number => {
  const count = (counts.get(key) ?? 0) + 1
  counts.set(key, count)
  return count
}

const ends = ({ from, to }: WireMessage): ReadonlyArray<string> => [from, to]

/** What has been pending for so long that the floodgate forgot it may be told again. */
const ADVERT_AGAIN_MILLIS = 20_000

/**
 * A node sends a peer each SCP and survey message once, and once more for each GET_SCP_STATE of that peer; it adverts a
 * transaction to a peer once in a while, demands only what that peer advertised, and sends a body only for a demand.
 * `memory` is the number of ledgers after which a node forgets whom it told.
 *
 * @category checkers
 * @since 0.1.0
 */
export const sentOnceWithin = (memory: number): Checker.Checker =>
  Checker.make("sentOnce", "a message goes to a peer once, a transaction on demand only", (fail) => {
    const ledgers = new Map<string, number>()
    const lanes = new Lanes(() => ({
      sent: new Map<number, number>(),
      adverts: new Map<number, { readonly at: number; readonly ledger: number }>(),
      demands: new Map<number, number>(),
      bodies: new Map<number, number>(),
      stateRequests: 0
    }))
    return {
      Message: (message) => {
        const { at, from, key, link, to, type } = message
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
              fail(at, ends(message), `${from} sent ${to} one ${coreName(type)}${what} more than ${most} times`)
            }
            return
          }
          case MessageType.FloodAdvert:
            for (const hash of message.hashes) {
              const before = lane.adverts.get(hash)
              const ledger = ledgers.get(from) ?? 0
              lane.adverts.set(hash, { at, ledger })
              if (before !== undefined && at - before.at < ADVERT_AGAIN_MILLIS && ledger - before.ledger < memory) {
                fail(at, ends(message), `${from} advertised a transaction to ${to} twice`)
              }
            }
            return
          case MessageType.FloodDemand:
            for (const hash of message.hashes) {
              add(lane.demands, hash)
              if (!back.adverts.has(hash)) {
                fail(at, ends(message), `${from} demanded of ${to} a transaction that was not advertised`)
              }
            }
            return
          case MessageType.Transaction: {
            const count = add(lane.bodies, key)
            if (count > (back.demands.get(key) ?? 0)) {
              fail(at, ends(message), `${from} sent ${to} a transaction that was not demanded`)
            }
          }
        }
      },
      Ledger: ({ ledgerSeq, node }) => {
        ledgers.set(node, ledgerSeq)
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
export const sentOnce = sentOnceWithin(MAX_SLOTS_TO_REMEMBER)

/**
 * Flood messages never exceed what the receiver granted, and grants never exceed its capacity and what came in.
 *
 * @category checkers
 * @since 0.1.0
 */
export const creditConserved = Checker.make(
  "creditConserved",
  "nothing is sent without credit, and no credit comes from nowhere",
  (fail) => {
    const lanes = new Lanes(() => ({
      grants: 0,
      grantedMessages: 0,
      grantedBytes: 0,
      firstMessages: 0,
      firstBytes: 0,
      floodMessages: 0,
      floodBytes: 0
    }))
    const open = new Map<number, string>()
    /** Links that lost or changed bytes on the way: what was granted may never have come, and nobody knows yet. */
    const damaged = new Set<number>()
    return {
      LinkOpened: ({ dialer, link, listener }) => {
        open.set(link, [dialer, listener].sort().join())
      },
      Fault: ({ kind, nodes }) => {
        if (!isDamaging(kind)) return
        const ends = [...nodes].sort().join()
        for (const [link, pair] of open) if (pair === ends) damaged.add(link)
      },
      Message: (message) => {
        const { at, from, link, size, to, type } = message
        const lane = lanes.get(link, from)
        const back = lanes.get(link, to)
        if (type === MessageType.SendMoreExtended) {
          if (lane.grants++ === 0) {
            lane.firstMessages = message.messages
            lane.firstBytes = message.bytes
          }
          lane.grantedMessages += message.messages
          lane.grantedBytes += message.bytes
          if (
            lane.grantedMessages - lane.firstMessages > back.floodMessages ||
            lane.grantedBytes - lane.firstBytes > back.floodBytes
          ) fail(at, ends(message), `${from} granted ${to} more than it ever got back`)
        } else if (isFlood(type)) {
          lane.floodMessages++
          lane.floodBytes += size
          if (lane.floodMessages > back.grantedMessages || lane.floodBytes > back.grantedBytes) {
            fail(at, ends(message), `${from} sent ${to} ${coreName(type)} without credit`)
          }
        }
      },
      Snapshot: (snapshot) => {
        for (const book of snapshot.books) {
          if (book.link === undefined) continue
          const { node } = snapshot
          const lane = lanes.get(book.link, node)
          const back = lanes.get(book.link, book.peer)
          const messages = back.grantedMessages - lane.floodMessages
          const bytes = back.grantedBytes - lane.floodBytes
          // Grants under way are not booked yet, and what is booked may be on its way to the link.
          if (book.messageCredit > messages || book.byteCredit > bytes) {
            fail(snapshot.at, [node, book.peer], `${node} has more credit at ${book.peer} than was granted`)
          }
          if (book.isBusy || damaged.has(book.link)) continue
          if (book.messageCredit !== messages || book.byteCredit !== bytes) {
            const text = `${book.messageCredit}/${messages} messages, ${book.byteCredit}/${bytes} bytes`
            fail(snapshot.at, [node, book.peer], `credit was lost between ${node} and ${book.peer}: ${text}`)
          }
          if (
            book.localFloodMessages !== book.floodCapacity || book.localFloodBytes !== book.floodCapacityBytes ||
            book.localMessages !== book.capacity
          ) {
            const text =
              `${book.localFloodMessages} of ${book.floodCapacity}, ${book.localMessages} of ${book.capacity}`
            fail(snapshot.at, [node, book.peer], `${node} holds capacity of ${book.peer} with nothing to do: ${text}`)
          }
          if (book.queued > 0) {
            fail(
              snapshot.at,
              [node, book.peer],
              `${node} keeps ${book.queued} messages to ${book.peer} that are written`
            )
          }
          const kept = lane.firstMessages + back.floodMessages - lane.grantedMessages
          if (lane.grants > 0 && kept >= book.grantBatch) {
            fail(snapshot.at, [node, book.peer], `${node} owes ${book.peer} a grant of ${kept} messages`)
          }
        }
      },
      LinkClosed: ({ link }) => {
        lanes.delete(link)
        open.delete(link)
        damaged.delete(link)
      }
    }
  }
)

/**
 * Each side begins with HELLO and AUTH, the called side sends PEERS once at most, and nothing follows an ERROR_MSG.
 *
 * @category checkers
 * @since 0.1.0
 */
export const inOrder = Checker.make(
  "inOrder",
  "HELLO, AUTH, then the rest, and nothing after ERROR_MSG",
  (fail) => {
    const lanes = new Lanes(() => ({ count: 0, isOver: false, peers: 0 }))
    const dialers = new Map<number, string>()
    return {
      LinkOpened: ({ dialer, link }) => {
        dialers.set(link, dialer)
      },
      Message: (message) => {
        const { at, from, link, to, type } = message
        const lane = lanes.get(link, from)
        const index = lane.count++
        const name = coreName(type)
        if (lane.isOver) fail(at, ends(message), `${from} sent ${to} ${name} after ERROR_MSG`)
        if (type === MessageType.ErrorMsg) {
          lane.isOver = true
          return
        }
        const expected = index === 0 ? MessageType.Hello : index === 1 ? MessageType.Auth : undefined
        if (expected !== undefined && type !== expected) {
          fail(at, ends(message), `${from} sent ${to} ${name} where ${coreName(expected)} belongs`)
        }
        if (index > 1 && (type === MessageType.Hello || type === MessageType.Auth)) {
          fail(at, ends(message), `${from} sent ${to} ${name} twice`)
        }
        if (type === MessageType.Peers) {
          if (dialers.get(link) === from) fail(at, ends(message), `${from} called ${to} and sent it PEERS`)
          if (++lane.peers > 1) fail(at, ends(message), `${from} sent ${to} PEERS twice`)
        }
      },
      LinkClosed: ({ link }) => {
        lanes.delete(link)
        dialers.delete(link)
      }
    }
  }
)

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
