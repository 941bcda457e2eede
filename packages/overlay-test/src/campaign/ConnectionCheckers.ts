/**
 * What must hold of connections as a whole: one of two stays, one that is gone is given up, addresses are left alone after
 * a failure, and peers are changed for others only by who is lost.
 *
 * @since 0.1.0
 */
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import * as Checker from "./Checker.ts"
import { isHolding } from "./TimeCheckers.ts"

/** Snapshots in a row in which a peer has no connection. */
const GONE_IN_A_ROW = 3

/**
 * A node does not keep a peer whose connection is no more.
 *
 * @category checkers
 * @since 0.1.0
 */
export const goneIsGone = Checker.make("goneIsGone", "a peer without a connection is no peer", (fail) => {
  const counts = new Map<string, Map<string, number>>()
  const held = new Set<string>()
  return {
    Fault: ({ kind, nodes }) => {
      if (isHolding(kind)) { for (const node of nodes) held.add(node) }
    },
    NodeStarted: ({ node }) => {
      counts.delete(node)
    },
    Snapshot: ({ at, books, node }) => {
      const before = counts.get(node)
      const now = new Map<string, number>()
      counts.set(node, now)
      if (held.has(node)) return
      for (const { address, link } of books) {
        if (link !== undefined) continue
        const count = (before?.get(address) ?? 0) + 1
        now.set(address, count)
        if (count === GONE_IN_A_ROW) fail(at, [node], `${node} keeps ${address}, and there is no such connection`)
      }
    }
  }
})

/** After this the one of two connections that stays is authenticated. */
const RESOLVED_MILLIS = 2000

const isFull = /^(PeerRejected|LoadErrorReceived|PendingInboundFull|OutboundFull|InboundEvicted)$/

/**
 * Of two connections that two nodes made with each other at the same time one stays, where nothing else is wrong.
 *
 * @category checkers
 * @since 0.1.0
 */
export const oneDialStays = Checker.make("oneDialStays", "of two connections with one node one stays", (fail) => {
  const expected = new Map<string, Map<string, number>>()
  let isWhole = true
  const forget = () => {
    isWhole = false
    expected.clear()
  }
  return {
    Phase: ({ phase }) => {
      if (phase === "liveness") isWhole = true
      else if (phase !== "faults") forget()
    },
    Fault: forget,
    NodeStopped: forget,
    Peer: ({ at, event, node, other }) => {
      if (!isWhole || event._tag !== "PeerDropped" || other === "") return
      const { reason: { _tag: tag } } = event
      if (tag === "MutualDialLost") {
        const those = expected.get(node) ?? new Map<string, number>()
        those.set(other, at)
        expected.set(node, those)
      } else if (isFull.test(tag)) {
        expected.get(node)?.delete(other)
        expected.get(other)?.delete(node)
      }
    },
    Snapshot: ({ at, books, node }) => {
      const those = expected.get(node)
      for (const [other, since] of those ?? []) {
        if (at - since < RESOLVED_MILLIS) continue
        those?.delete(other)
        if (books.some(({ peer }) => peer === other)) continue
        fail(at, [node, other], `${node} gave up one of two connections with ${other} and has none`)
      }
    }
  }
})

/** The longest back-off there is: 10 s, doubled ten times. */
const LONGEST_MILLIS = 10_000 * 2 ** 10

/** Failures in a row that chance brings together within `HASTE_MILLIS` once in ten million times: each wait doubles. */
const HASTY_FAILURES = 6
const HASTE_MILLIS = 25_000

/** Faults after which a node has another idea of what time it is. */
const confusing = /^Clock/

/**
 * A node leaves an address alone for as long as it said that it would, and not for ever. `epochMillis` is the Unix time at which the world
 * began.
 *
 * @category checkers
 * @since 0.1.0
 */
export const backsOff = (epochMillis: number): Checker.Checker =>
  Checker.make("backsOff", "an address is left alone after a failure", (fail) => {
    const until = new Map<string, Map<string, number>>()
    /** The first failure of each address at each node, and how many there had been. */
    const first = new Map<string, { readonly at: number; readonly failures: number }>()
    const confused = new Set<string>()
    let isForced = false
    return {
      Phase: ({ phase }) => {
        // Operators do not ask whether a dial is due.
        isForced = phase !== "faults"
      },
      Fault: ({ kind, nodes }) => {
        if (confusing.test(kind)) { for (const node of nodes) confused.add(node) }
      },
      NodeStarted: ({ node }) => {
        until.delete(node)
      },
      Peer: ({ at, event, node }) => {
        if (isForced || confused.has(node)) return
        const those = until.get(node) ?? new Map<string, number>()
        until.set(node, those)
        if (event._tag === "PeerBackedOff") {
          const due = event.untilMillis - epochMillis
          those.set(event.address.key, due)
          const key = `${node} ${event.address.key}`
          const before = first.get(key)
          if (before === undefined || event.failures < before.failures || at - before.at > HASTE_MILLIS) {
            first.set(key, { at, failures: event.failures })
          } else if (event.failures - before.failures >= HASTY_FAILURES - 1) {
            fail(at, [node], `${node} failed ${HASTY_FAILURES} times with ${event.address.key} in ${at - before.at} ms`)
          }
          if (due - at > LONGEST_MILLIS) {
            fail(at, [node], `${node} leaves ${event.address.key} alone for ${due - at} ms`)
          }
        } else if (event._tag === "PeerAuthenticated") those.delete(event.address.key)
        else if (event._tag === "PeerConnecting") {
          const left = (those.get(event.address.key) ?? 0) - at
          if (left > 1) fail(at, [node], `${node} dials ${event.address.key} ${Math.round(left)} ms before it is due`)
        }
      }
    }
  })

/** Who has closed a ledger so recently has not lost the network: it is lost after 35 s, and a peer goes a minute later. */
const RECENT_MILLIS = 60_000

/**
 * Only who has lost the network changes a peer for another.
 *
 * @category checkers
 * @since 0.1.0
 */
export const lostRotate = Checker.make("lostRotate", "only who has lost the network changes peers", (fail) => {
  const closedAt = new Map<string, number>()
  return {
    NodeStarted: ({ node }) => {
      closedAt.delete(node)
    },
    Ledger: ({ at, node }) => {
      closedAt.set(node, at)
    },
    Peer: ({ at, event, node }) => {
      if (event._tag !== "PeerDropped" || event.reason._tag !== "OutOfSyncRotation") return
      const since = at - (closedAt.get(node) ?? -Infinity)
      if (since < RECENT_MILLIS) {
        fail(at, [node], `${node} closed a ledger ${since} ms ago and changes ${event.address.key} for another`)
      }
    }
  }
})

/** AUTH messages after which somebody must have told somebody of others: they are half as many connections. */
const LEAST_AUTHS = 40
/** The type and a count. */
const EMPTY_SIZE = 8
const ADDRESS_SIZE = 16

/** Of the addresses a node is told, those that it need not keep: its own, and one that came to nothing. */
const NOT_KEPT = 2

/**
 * Who is called tells of others, and who is told remembers them. What a connection told counts while it lasts: who has no
 * room for whom it called drops it with AUTH, and does not read what follows.
 *
 * @category checkers
 * @since 0.1.0
 */
export const othersTold = Checker.make("othersTold", "addresses are passed on and kept", (fail) => {
  /** Addresses told in one message, by the node that was told and the one that told it. */
  const told = new Map<string, Map<string, number>>()
  const known = new Map<string, number>()
  let auths = 0
  let isAnybodyTold = false
  return {
    NodeStarted: ({ node }) => {
      told.delete(node)
      known.delete(node)
    },
    Message: ({ from, size, to, type }) => {
      if (type === MessageType.Auth) auths++
      if (type !== MessageType.Peers) return
      isAnybodyTold = true
      const tellers = told.get(to) ?? new Map<string, number>()
      told.set(to, tellers.set(from, (size - EMPTY_SIZE) / ADDRESS_SIZE))
    },
    Peer: ({ event, node, other }) => {
      if (event._tag === "PeerDropped") told.get(node)?.delete(other)
    },
    Snapshot: ({ gauges, node }) => {
      known.set(node, gauges.find(({ name }) => name === "known addresses")?.value ?? 0)
    },
    Phase: ({ at, phase }) => {
      if (phase !== "stopping") return
      if (auths >= LEAST_AUTHS && !isAnybodyTold) fail(at, [], `${auths / 2} connections, and nobody told of others`)
      for (const [node, tellers] of told) {
        const count = Math.max(0, ...tellers.values())
        const has = known.get(node) ?? count
        if (has + NOT_KEPT < count) fail(at, [node], `${node} was told ${count} addresses at once and knows ${has}`)
      }
    }
  }
})

/** What handlers may take for what a peer sent before it was gone, and a little. */
const DRAIN_MILLIS = 5000 + 2000

/**
 * Who handles peers is told of each that comes and of the end of each.
 *
 * @category checkers
 * @since 0.1.0
 */
export const endsTold = Checker.make("endsTold", "handlers hear of every peer and of its end", (fail) => {
  const listed = new Map<string, number>()
  const changes = new Map<string, Array<number>>()
  const held = new Set<string>()
  return {
    NodeStarted: ({ node }) => {
      changes.delete(node)
    },
    Fault: ({ kind, nodes }) => {
      if (isHolding(kind)) { for (const node of nodes) held.add(node) }
    },
    Peer: ({ at, event, node }) => {
      const isChange = event._tag === "PeerAuthenticated" || (event._tag === "PeerDropped" && event.authenticated)
      if (!isChange) return
      const those = changes.get(node) ?? []
      those.push(at)
      changes.set(node, those)
    },
    Snapshot: (snapshot) => {
      listed.set(snapshot.node, snapshot.listed)
    },
    Handled: ({ at, node, peers }) => {
      if (held.has(node)) return
      const recent = (changes.get(node) ?? []).filter((when) => at - when <= DRAIN_MILLIS)
      changes.set(node, recent)
      const has = listed.get(node) ?? 0
      if (Math.abs(peers - has) > recent.length) {
        fail(at, [node], `handlers at ${node} know of ${peers} peers, ${node} has ${has}`)
      }
    }
  }
})

/** What the last word of a connection takes, with its answer, where lines are whole. */
const LAST_WORD_MILLIS = 2000

/**
 * Where nothing is broken the place of a connection that ended is free as soon as its last word is out.
 *
 * @category checkers
 * @since 0.1.0
 */
export const placesReturn = Checker.make("placesReturn", "who has gone leaves its place", (fail) => {
  const drops = new Map<string, Array<number>>()
  let isWhole = true
  return {
    Phase: ({ phase }) => {
      isWhole = phase === "liveness" || (isWhole && phase === "faults")
    },
    Fault: () => {
      isWhole = false
    },
    Peer: ({ at, event, node }) => {
      if (event._tag !== "PeerDropped") return
      const those = drops.get(node) ?? []
      those.push(at)
      drops.set(node, those)
    },
    Snapshot: ({ at, authenticated, node, pending, places }) => {
      const recent = (drops.get(node) ?? []).filter((when) => at - when <= LAST_WORD_MILLIS)
      drops.set(node, recent)
      const closing = places - authenticated.inbound - authenticated.outbound - pending.inbound - pending.outbound
      if (isWhole && closing > recent.length) {
        fail(at, [node], `${closing} places of ${node} are of connections that ended long ago`)
      }
    }
  }
})
