/**
 * What must hold on every link, whatever the network does to it afterwards.
 *
 * @since 0.1.0
 */
import { coreName, isFlood, MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { Lanes } from "../internal/campaignLanes.ts"
import * as Checker from "./Checker.ts"
import type { WireMessage } from "./Observation.ts"
import { isDamaging } from "./PeerCheckers.ts"

const ends = ({ from, to }: WireMessage): ReadonlyArray<string> => [from, to]

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
