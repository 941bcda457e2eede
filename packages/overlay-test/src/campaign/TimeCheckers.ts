/**
 * What must hold of patience: who is silent, does not finish a handshake or owes credit is given up in time, nobody is
 * given up sooner, and everybody is asked for a sign of life.
 *
 * Bounds have a margin for what a simulated network may do to a message, so that they fail for nodes that wait for ever and
 * not for those that wait a moment longer.
 *
 * @since 0.1.0
 */
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import * as Checker from "./Checker.ts"

/** Faults that keep a node from looking at its clock. */
const holding = /^(Pause|SlowCpu|ClockDrift|DatabaseSlow)$/

/**
 * Whether a kind of fault keeps a node from doing things in time.
 *
 * @category guards
 * @since 0.1.0
 */
export const isHolding = (kind: string): boolean => holding.test(kind)

/** Between two looks of a node at its time limits. */
const PERIOD_MILLIS = 5000

/** What a message may be under way, and more. */
const MARGIN_MILLIS = 15_000

/**
 * A node does not keep a connection on which nobody says anything for longer than its patience. `patienceOf` gives that of
 * a node in milliseconds.
 *
 * @category checkers
 * @since 0.1.0
 */
export const silenceEnds = (patienceOf: (node: string) => number): Checker.Checker =>
  Checker.make("silenceEnds", "a silent peer is not kept", (fail) => {
    const lastAt = new Map<number, number>()
    const held = new Set<string>()
    return {
      Fault: ({ kind, nodes }) => {
        if (isHolding(kind)) { for (const node of nodes) held.add(node) }
      },
      LinkOpened: ({ at, link }) => {
        lastAt.set(link, at)
      },
      Message: ({ at, link }) => {
        lastAt.set(link, at)
      },
      LinkClosed: ({ link }) => {
        lastAt.delete(link)
      },
      Snapshot: ({ at, books, node }) => {
        if (held.has(node)) return
        for (const { isPaused, link, peer } of books) {
          if (link === undefined) continue
          // Who stops reading says nothing about the other.
          if (isPaused) lastAt.set(link, at)
          const silent = at - (lastAt.get(link) ?? at)
          if (silent > patienceOf(node) + PERIOD_MILLIS + MARGIN_MILLIS) {
            fail(at, [node, peer], `${node} keeps ${peer}, with which nobody said anything for ${silent} ms`)
          }
        }
      }
    }
  })

/** Two seconds for a handshake, looked at every five, and the margin of a slow line. */
const HANDSHAKE_MILLIS = 2000 + PERIOD_MILLIS + 5000

/**
 * Every connection is authenticated or ends soon.
 *
 * @category checkers
 * @since 0.1.0
 */
export const handshakeEnds = Checker.make("handshakeEnds", "a handshake is over soon, or its connection is", (fail) => {
  const nodes = new Map<string, Map<string, number>>()
  const held = new Set<string>()
  const of = (node: string): Map<string, number> => {
    let pending = nodes.get(node)
    if (pending === undefined) {
      pending = new Map()
      nodes.set(node, pending)
    }
    return pending
  }
  return {
    NodeStarted: ({ node }) => {
      nodes.delete(node)
    },
    Fault: ({ kind, nodes }) => {
      if (isHolding(kind)) { for (const node of nodes) held.add(node) }
    },
    Peer: ({ at, event, node }) => {
      if (event._tag === "PeerConnected") of(node).set(event.address.key, at)
      else if (event._tag === "PeerAuthenticated" || event._tag === "PeerDropped") of(node).delete(event.address.key)
    },
    Snapshot: ({ at, node }) => {
      if (held.has(node)) return
      for (const [key, since] of of(node)) {
        if (at - since > HANDSHAKE_MILLIS) {
          fail(at, [node], `${node} waits for the handshake of ${key} for ${at - since} ms`)
        }
      }
    }
  }
})

/** A direct message needs no credit: who writes one was never a straggler a moment before, on a line that is whole. */
const isDirect = (type: MessageType): boolean =>
  type === MessageType.SendMoreExtended || type === MessageType.GetScpQuorumSet || type === MessageType.DontHave

/** Since when a line was in use if nobody can say it was not. */
const IN_USE_MILLIS = 5000

/**
 * Nobody is given up as idle to whom one wrote a moment ago, nor, while nothing is broken, as one who does not keep up.
 *
 * @category checkers
 * @since 0.1.0
 */
export const timeoutsJust = (patienceOf: (node: string) => number): Checker.Checker =>
  Checker.make("timeoutsJust", "who keeps up is not given up", (fail) => {
    const links = new Map<number, readonly [string, string]>()
    const wrote = new Map<string, { readonly any: number; readonly direct: number }>()
    let isWhole = true
    const between = (a: string, b: string): Array<number> =>
      [...links].flatMap(([link, ends]) => (ends.includes(a) && ends.includes(b) ? [link] : []))
    return {
      Phase: ({ phase }) => {
        if (phase === "liveness") isWhole = true
      },
      Fault: () => {
        isWhole = false
      },
      LinkOpened: ({ dialer, link, listener }) => {
        links.set(link, [dialer, listener])
      },
      LinkClosed: ({ link }) => {
        for (const end of links.get(link) ?? []) wrote.delete(`${link} ${end}`)
        links.delete(link)
      },
      Message: ({ at, from, link, type }) => {
        const key = `${link} ${from}`
        wrote.set(key, { any: at, direct: isDirect(type) ? at : wrote.get(key)?.direct ?? -Infinity })
      },
      Peer: ({ at, event, node, other }) => {
        if (event._tag !== "PeerDropped" || !event.authenticated) return
        const tag = event.reason._tag
        if (tag !== "IdleTimeout" && tag !== "Straggling") return
        const open = between(node, other)
        const last = open.length === 1 ? wrote.get(`${open[0]} ${node}`) : undefined
        if (last === undefined) return
        // Clocks may drift, by a part of what they show.
        if (tag === "IdleTimeout" && at - last.any < patienceOf(node) / 2) {
          fail(at, [node, other], `${node} drops ${other} as idle and wrote to it ${at - last.any} ms ago`)
        }
        if (tag === "Straggling" && isWhole && at - last.direct < IN_USE_MILLIS) {
          fail(at, [node, other], `${node} drops ${other} as straggling and wrote to it ${at - last.direct} ms ago`)
        }
      }
    }
  })

/** The first ping is due with the first look at the clock. */
const PING_MILLIS = 2 * PERIOD_MILLIS + 2000

/**
 * At the end each side of each connection has pinged the other, which is how it knows its latency.
 *
 * @category checkers
 * @since 0.1.0
 */
export const pinged = Checker.make("pinged", "every peer is asked for a sign of life", (fail) => {
  const links = new Map<number, { readonly ends: readonly [string, string]; said: number; since: number }>()
  const pings = new Set<string>()
  return {
    LinkOpened: ({ dialer, link, listener }) => {
      links.set(link, { ends: [dialer, listener], said: 0, since: Infinity })
    },
    LinkClosed: ({ link }) => {
      links.delete(link)
    },
    Message: ({ at, from, link, type }) => {
      const state = links.get(link)
      if (state === undefined) return
      if (type === MessageType.Auth && ++state.said === 2) state.since = at
      if (type === MessageType.GetScpQuorumSet) pings.add(`${link} ${from}`)
    },
    Phase: ({ at, phase }) => {
      if (phase !== "stopping") return
      for (const [link, { ends, since }] of links) {
        for (const end of ends) {
          if (at - since > PING_MILLIS && !pings.has(`${link} ${end}`)) {
            fail(at, ends, `${end} never pinged ${ends.find((other) => other !== end)} in ${at - since} ms`)
          }
        }
      }
    }
  }
})

/** A minute, looked at every five seconds, seen every two and a half. */
const OWED_MILLIS = 60_000 + PERIOD_MILLIS + 8000

/**
 * A peer that owes credit for what waits is given up. `isStrict` says which nodes have the timers of stellar-core, for
 * whom every new message begins the wait anew.
 *
 * @category checkers
 * @since 0.1.0
 */
export const debtsEnd = (isStrict: (node: string) => boolean): Checker.Checker =>
  Checker.make("debtsEnd", "who grants nothing for a minute is not kept", (fail) => {
    const since = new Map<string, number>()
    const held = new Set<string>()
    return {
      Fault: ({ kind, nodes }) => {
        if (isHolding(kind)) { for (const node of nodes) held.add(node) }
      },
      Snapshot: ({ at, books, node }) => {
        if (held.has(node) || isStrict(node)) return
        for (const { isPaused, link, messageCredit, peer, queued } of books) {
          const key = `${node} ${link}`
          if (messageCredit > 0 || queued === 0 || isPaused) since.delete(key)
          else if (!since.has(key)) since.set(key, at)
          else if (at - since.get(key)! > OWED_MILLIS) {
            fail(at, [node, peer], `${node} keeps ${peer}, which owes it credit for ${at - since.get(key)!} ms`)
          }
        }
      }
    }
  })
