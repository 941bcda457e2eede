/**
 * What must hold at every node: connections that end once and for one reason, slots that come back, bounds, and no blame
 * where nobody did anything.
 *
 * @since 0.1.0
 */
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import * as Checker from "./Checker.ts"

type Dropped = Extract<OverlayEvent, { readonly _tag: "PeerDropped" }>

interface Connection {
  state: "dialling" | "open" | "authenticated" | "dropped"
  role: "initiator" | "acceptor"
}

/** The connections of each node by address, as its events tell. */
class Connections {
  readonly #nodes = new Map<string, Map<string, Connection>>()

  of(node: string): Map<string, Connection> {
    let connections = this.#nodes.get(node)
    if (connections === undefined) {
      connections = new Map()
      this.#nodes.set(node, connections)
    }
    return connections
  }

  clear(node: string): void {
    this.#nodes.delete(node)
  }

  count(node: string, state: Connection["state"], role?: Connection["role"]): number {
    let count = 0
    for (const connection of this.of(node).values()) {
      if (connection.state === state && (role === undefined || connection.role === role)) count++
    }
    return count
  }
}

const isDialRefusal = ({ address, authenticated, reason, role }: Dropped): boolean =>
  role === "initiator" && !authenticated &&
  (reason._tag === "OutboundFull" || reason._tag === "DialRefused" ||
    (reason._tag === "AlreadyConnected" && reason.detail === address.key))

/** Follows one event; gives what is wrong with it. */
const follow = (connections: Map<string, Connection>, event: OverlayEvent): string | undefined => {
  switch (event._tag) {
    case "PeerConnecting": {
      const key = event.address.key
      const known = connections.get(key)
      connections.set(key, { state: "dialling", role: "initiator" })
      return known === undefined || known.state === "dropped"
        ? undefined
        : `dials ${key} again while it is ${known.state}`
    }
    case "PeerConnected": {
      const key = event.address.key
      const known = connections.get(key)
      const isExpected = event.role === "initiator"
        ? known?.state === "dialling"
        : known === undefined || known.state === "dropped"
      connections.set(key, { state: "open", role: event.role })
      return isExpected ? undefined : `is connected with ${key}, which is ${known?.state ?? "unknown"}`
    }
    case "PeerAuthenticated": {
      const key = event.address.key
      const known = connections.get(key)
      if (known?.state !== "open") return `authenticated ${key}, which is ${known?.state ?? "unknown"}`
      known.state = "authenticated"
      return undefined
    }
    case "PeerDropped": {
      const key = event.address.key
      const known = connections.get(key)
      // A dial that was not made, because there is a connection or no room, says nothing about the one there is.
      if (isDialRefusal(event)) return undefined
      if (known === undefined || known.state === "dropped") {
        // Who is turned away at the door was never let in.
        const isRefusal = !event.authenticated && DropReason.kind(event.reason) !== "violation"
        connections.set(key, { state: "dropped", role: event.role })
        return isRefusal && known === undefined
          ? undefined
          : `drops ${key} (${event.reason._tag}), which it did not have`
      }
      const was = known.state
      known.state = "dropped"
      return event.authenticated === (was === "authenticated")
        ? undefined
        : `says that ${key} was ${event.authenticated ? "" : "not "}authenticated, which is wrong`
    }
  }
  return undefined
}

/**
 * A connection is opened, authenticated and dropped in this order, each once, with one reason; when a node has stopped in
 * order, all of its connections were dropped.
 *
 * @category checkers
 * @since 0.1.0
 */
export const oneReason = Checker.make("oneReason", "a connection ends once, for one reason", (fail) => {
  const connections = new Connections()
  return {
    Peer: ({ at, event, node }) => {
      const wrong = follow(connections.of(node), event)
      if (wrong !== undefined) fail(at, [node], `${node} ${wrong}`)
    },
    NodeStarted: ({ node }) => connections.clear(node),
    NodeStopped: ({ at, inOrder, node }) => {
      if (!inOrder) return
      for (const [key, { state }] of connections.of(node)) {
        if (state !== "dropped") fail(at, [node], `${node} stopped and did not drop ${key}, which is ${state}`)
      }
    }
  }
})

/**
 * The counts of a node are the connections it has: as its events tell, and as the network has them.
 *
 * @category checkers
 * @since 0.1.0
 */
export const slotsConserved = Checker.make("slotsConserved", "slots taken are connections that exist", (fail) => {
  const connections = new Connections()
  return {
    Peer: ({ event, node }) => {
      follow(connections.of(node), event)
    },
    NodeStarted: ({ node }) => connections.clear(node),
    Snapshot: (snapshot) => {
      const { at, authenticated, books, listed, node, pending, places } = snapshot
      const wrong = (text: string) => fail(at, [node], `${node} ${text}`)
      const { inbound, outbound } = authenticated
      if (listed !== inbound + outbound) wrong(`lists ${listed} peers and counts ${inbound} + ${outbound}`)
      if (books.length !== listed) wrong(`has ${listed} peers and the books of ${books.length}`)
      const open = {
        inbound: connections.count(node, "authenticated", "acceptor"),
        outbound: connections.count(node, "authenticated", "initiator")
      }
      if (open.inbound !== inbound) wrong(`counts ${inbound} inbound peers and told of ${open.inbound}`)
      if (open.outbound !== outbound) wrong(`counts ${outbound} outbound peers and told of ${open.outbound}`)
      const pendingIn = connections.count(node, "open", "acceptor")
      const pendingOut = connections.count(node, "open", "initiator") + connections.count(node, "dialling")
      if (pending.inbound !== pendingIn) wrong(`counts ${pending.inbound} pending inbound and told of ${pendingIn}`)
      if (pending.outbound < pendingOut) wrong(`counts ${pending.outbound} pending outbound and told of ${pendingOut}`)
      if (places < inbound + outbound + pending.inbound + pending.outbound) {
        wrong(`has ${places} places for ${inbound + outbound + pending.inbound + pending.outbound} connections`)
      }
    }
  }
})

/**
 * No number with a bound grows beyond it.
 *
 * @category checkers
 * @since 0.1.0
 */
export const boundsKept = Checker.make("boundsKept", "every number with a bound keeps to it", (fail) => ({
  Snapshot: ({ at, gauges, node }) => {
    for (const { bound, name, value } of gauges) {
      if (!(value >= 0 && value <= bound)) fail(at, [node], `${node}: ${name} is ${value}, its bound ${bound}`)
    }
  }
}))

/** Faults after which a peer may rightly be accused of breaking the protocol, and those that confuse its identity. */
const damaging = /^(Frame|Mac|Sequence|Mark|Byte)/
const confusing = /^(SharedKey|WrongNode|ClockJump|ClockDrift|Upgrade|Reconfigure|RestartForeignDatabase)$/

/**
 * Whether a kind of fault changes bytes on their way, so that an honest peer looks like one that is not.
 *
 * @category guards
 * @since 0.1.0
 */
export const isDamaging = (kind: string): boolean => damaging.test(kind)

/** Codes with which a peer says that we broke the protocol. */
const accusation = /^ERR_(DATA|AUTH|CONF)/

/** What a reason says of the peer, in the eyes of somebody who knows that all peers are honest. */
const charge = ({ reason }: Dropped): "bug" | "broke the protocol" | "is another" | undefined => {
  switch (DropReason.kind(reason)) {
    case "bug":
      return "bug"
    case "violation":
      return "broke the protocol"
    case "rejected":
      if (reason._tag === "AlreadyConnected" || /already/.test(reason.detail)) return undefined
      return reason._tag !== "ErrorReceived" || accusation.test(reason.detail) ? "is another" : undefined
    default:
      return undefined
  }
}

/**
 * Honest nodes never accuse each other, but where bytes were damaged on the way; nor reject each other, but where clocks,
 * keys, versions or addresses are wrong. And nobody finds a defect in itself.
 *
 * @category checkers
 * @since 0.1.0
 */
export const nobodyAccused = Checker.make("nobodyAccused", "honest nodes do not accuse each other", (fail) => {
  let isDamaged = false
  let isConfused = false
  return {
    Fault: ({ kind }) => {
      isDamaged ||= isDamaging(kind)
      isConfused ||= confusing.test(kind)
    },
    Peer: ({ at, event, node }) => {
      if (event._tag !== "PeerDropped") return
      const made = charge(event)
      if (made === undefined) return
      const { _tag, detail } = event.reason
      const says = `${node} drops ${event.address.key}: ${_tag} ${detail}`
      if (made === "bug") fail(at, [node], says)
      else if (made === "broke the protocol" && !isDamaged) fail(at, [node], says)
      else if (made === "is another" && !isDamaged && !isConfused) fail(at, [node], says)
    },
    ErrorLogged: ({ at, node, text }) => fail(at, [node], `${node} logged an error: ${text}`)
  }
})

/**
 * Where nothing goes wrong nothing times out, and nothing breaks. For runs without faults.
 *
 * @category checkers
 * @since 0.1.0
 */
export const quietPeace = Checker.make("quietPeace", "without faults no connection times out or breaks", (fail) => {
  let isStopping = false
  return {
    Phase: ({ phase }) => {
      isStopping ||= phase === "stopping"
    },
    Peer: ({ at, event, node }) => {
      if (isStopping || event._tag !== "PeerDropped" || !event.authenticated) return
      const { _tag, detail } = event.reason
      const kind = DropReason.kind(event.reason)
      if (kind !== "timeout" && (kind !== "unreachable" || _tag === "ShutdownReceived")) return
      fail(at, [node], `${node} lost ${event.address.key} in peace: ${_tag} ${detail}`)
    }
  }
})

/**
 * When everything has ended, nothing is left: no fiber, no timer, no socket.
 *
 * @category checkers
 * @since 0.1.0
 */
export const nothingLeft = Checker.make("nothingLeft", "what is over leaves nothing behind", (fail) => ({
  LeftOver: ({ at, sockets, tasks, timers }) => {
    if (sockets + tasks + timers > 0) {
      fail(at, [], `left over: ${tasks} tasks, ${timers} timers, ${sockets} sockets`)
    }
  }
}))
