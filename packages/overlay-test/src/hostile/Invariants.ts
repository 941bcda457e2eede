/**
 * The seven global invariants: what must hold of a node whatever is done to it, as checkers that every trial in a
 * `World` uses.
 *
 * | | |
 * | --- | --- |
 * | G1 | no defect and no untyped error; the process lives |
 * | G2 | honest neighbours are not dropped, lose no message, and wait at most 1.5 times as long (p99) |
 * | G3 | memory: what the victim holds stays within its named limits |
 * | G4 | five seconds after the attackers left, everything that belonged to them is gone |
 * | G5 | no turn takes long: the modelled cost of its bytes, messages and cryptography (`TurnMeter`) |
 * | G6 | one connection, one typed drop reason, one log line at most |
 * | G7 | what is said for what is heard stays within the attack's amplification |
 *
 * Time is virtual here, so G5 weighs work instead of measuring it, and G3 counts what is held; heap and wall clock are
 * looked at where attacks run over real sockets.
 *
 * @since 0.1.0
 */
import { Flood } from "@stellar-overlay/overlay/Flood"
import { ItemFetcher } from "@stellar-overlay/overlay/ItemFetcher"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import * as OverlayMetrics from "@stellar-overlay/overlay/OverlayMetricsSnapshot"
import { PeerManager } from "@stellar-overlay/overlay/PeerManager"
import { Peers } from "@stellar-overlay/overlay/Peers"
import { BYTE_CAPACITY_READ_FLOOR } from "@stellar-overlay/overlay/protocol/FlowControlOptions"
import { Priority } from "@stellar-overlay/overlay/protocol/Priority"
import type { Session } from "@stellar-overlay/overlay/protocol/Session"
import { Survey } from "@stellar-overlay/overlay/Survey"
import { FrameParser, MARK_LENGTH, MAX_BODY } from "@stellar-overlay/overlay/wire/Frame"
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import * as Context from "effect/Context"
import type * as TestNode from "../TestNode.ts"
import type { Passage } from "./HonestPair.ts"

// ---------------------------------------------------------------------------------------------------------------- G2

/**
 * How much longer than undisturbed the messages of honest neighbours may take.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_SLOWDOWN = 1.5

/**
 * The 99th percentile of how long messages took, those that never came left out; 0 when there are none.
 *
 * @category checkers
 * @since 0.1.0
 */
export const p99 = (passages: ReadonlyArray<Passage>): number => {
  const sorted = passages.flatMap(({ heardAt, saidAt }) => heardAt === undefined ? [] : [heardAt - saidAt])
    .sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? 0
}

/**
 * G2: what is wrong with how messages of honest neighbours went during an attack, by how they went before.
 *
 * @category checkers
 * @since 0.1.0
 */
export const neighbours = (before: ReadonlyArray<Passage>, during: ReadonlyArray<Passage>): Array<string> => {
  const lost = during.filter(({ heardAt }) => heardAt === undefined).length
  const [undisturbed, disturbed] = [p99(before), p99(during)]
  return [
    ...before.length < 10 || during.length < 10 ? [`G2 too few messages: ${before.length} and ${during.length}`] : [],
    ...lost > 0 ? [`G2 ${lost} of ${during.length} messages of honest neighbours were lost`] : [],
    ...disturbed > MAX_SLOWDOWN * undisturbed
      ? [`G2 honest neighbours waited ${disturbed.toFixed(1)} ms, ${undisturbed.toFixed(1)} ms without an attack`]
      : []
  ]
}

// ---------------------------------------------------------------------------------------------------------------- G3

/**
 * What one authenticated peer may hold, in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_PEER_BYTES = 25_165_824

/**
 * What a node may hold for all peers together, in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_NODE_BYTES = 536_870_912

/**
 * Something with a bound: its name, how much there is, and how much there may be.
 *
 * @category models
 * @since 0.1.0
 */
export type Held = readonly [name: string, held: number, limit: number]

/** Bytes that wait in both directions of a session: received and not processed, and not yet sent. */
const bytesOf = ({ flow, options, queues }: Session): number =>
  BYTE_CAPACITY_READ_FLOOR + options.flow.totalReadingCapacityBytes - flow.localBytes
  + queues.directBytes + queues.bytesOf(Priority.Scp) + queues.bytesOf(Priority.Transaction)
  + 32 * (queues.hashesOf(Priority.Advert) + queues.hashesOf(Priority.Demand))

/**
 * Everything with a bound that can be counted in a node.
 *
 * @category checkers
 * @since 0.1.0
 */
export const held = (services: Context.Context<TestNode.Services>): ReadonlyArray<Held> => {
  const { auth, config, derived } = Context.get(services, LocalNode)
  const { authenticated, registry } = Context.get(services, Peers)
  const flood = Context.get(services, Flood)
  const fetcher = Context.get(services, ItemFetcher)
  const perPeer = authenticated().map(({ session }) => bytesOf(session))
  const pending = registry.limits.maxInboundPending + registry.limits.possiblyPreferredExtra
  return [
    ["inbound peers", registry.authenticatedCount("acceptor"), derived.maxInboundConnections],
    ["outbound peers", registry.authenticatedCount("initiator"), derived.maxOutboundConnections],
    ["inbound handshakes", registry.pendingCount("acceptor"), pending],
    // A dawdler that made room counts until its socket is closed.
    ["sockets", registry.size, 2 * pending + derived.maxInboundConnections + config.maxPendingConnections],
    ["bytes of one peer", Math.max(0, ...perPeer), MAX_PEER_BYTES],
    ["bytes of all peers", perPeer.reduce((sum, bytes) => sum + bytes, 0), MAX_NODE_BYTES],
    ["known addresses", Context.get(services, PeerManager).size(), config.maxKnownAddresses],
    ["agreed keys", auth.cachedKeys, config.sharedKeyCacheSize],
    ["flood records", flood.gate.size, config.maxFloodRecords],
    ["demands", flood.demands.size, 100_000],
    ["transaction sets looked for", fetcher.txSets.size, 512],
    ["quorum sets looked for", fetcher.quorumSets.size, 512],
    ["messages that wait for items", fetcher.txSets.waiting + fetcher.quorumSets.waiting, 20_000],
    ["survey requests", Context.get(services, Survey).limiter.size, 13 * 10 * 10]
  ]
}

/**
 * G3: what of it is over its bound.
 *
 * @category checkers
 * @since 0.1.0
 */
export const overflowing = (items: ReadonlyArray<Held>): Array<string> =>
  items.flatMap(([name, count, limit]) => count > limit ? [`G3 ${count} ${name}, ${limit} are allowed`] : [])

// ---------------------------------------------------------------------------------------------------------------- G4

/**
 * Seconds that a node has to forget attackers that left.
 *
 * @category constants
 * @since 0.1.0
 */
export const RECOVERY_SECONDS = 5

/**
 * What belongs to connections and must go with them. What a node remembers on purpose (addresses, flood records, what
 * hosts owe) has bounds of its own in `held`.
 *
 * @category models
 * @since 0.1.0
 */
export type Footprint = Readonly<Record<string, number>>

/**
 * The footprint of a node now, with the open sockets of its network.
 *
 * @category checkers
 * @since 0.1.0
 */
export const footprint = (services: Context.Context<TestNode.Services>, links: number): Footprint => {
  const { registry } = Context.get(services, Peers)
  const fetcher = Context.get(services, ItemFetcher)
  return {
    links,
    "inbound peers": registry.authenticatedCount("acceptor"),
    "outbound peers": registry.authenticatedCount("initiator"),
    "inbound handshakes": registry.pendingCount("acceptor"),
    "sockets": registry.size,
    "waiting messages": fetcher.txSets.waiting + fetcher.quorumSets.waiting
  }
}

/**
 * Fibers and timers that may be more after an attack than before: those that services of the node begin when they are
 * first needed, for adverts, searches, surveys and dials. One of each, however many attackers there were.
 *
 * @category constants
 * @since 0.1.0
 */
export const LATE_SERVICES: Footprint = { fibers: 4, timers: 3 }

/**
 * G4: what is more than it was.
 *
 * @category checkers
 * @since 0.1.0
 */
export const leftBehind = (before: Footprint, after: Footprint): Array<string> =>
  Object.entries(after).flatMap(([name, count]) => {
    const allowed = (before[name] ?? 0) + (LATE_SERVICES[name] ?? 0)
    return count > allowed ? [`G4 ${count} ${name} are left, there were ${before[name]}`] : []
  })

// ---------------------------------------------------------------------------------------------------------------- G6

/**
 * G6: every connection of the attackers ended for one reason, reported once; `keys` are their addresses (`host:port`).
 *
 * @category checkers
 * @since 0.1.0
 */
export const drops = (events: ReadonlyArray<OverlayEvent>, keys: Iterable<string>): Array<string> => {
  const times = new Map<string, Array<string>>()
  for (const event of events) {
    if (event._tag !== "PeerDropped") continue
    const { key } = event.address
    times.set(key, [...times.get(key) ?? [], event.reason._tag])
  }
  const wrong = Array.from(keys).filter((key) => times.get(key)?.length !== 1)
  const example = wrong[0]
  if (example === undefined) return []
  const reasons = times.get(example)?.join() ?? "never"
  return [`G6 ${wrong.length} connections were not dropped once, such as ${example}: ${reasons}`]
}

/**
 * G6: each drop is one increment of its metric and one line of the log; `lines` are those offered to the limiter.
 *
 * @category checkers
 * @since 0.1.0
 */
export const counted = (
  events: ReadonlyArray<OverlayEvent>,
  metrics: OverlayMetrics.Snapshot,
  lines: number
): Array<string> => {
  const all = events.reduce((sum, event) => event._tag === "PeerDropped" ? sum + 1 : sum, 0)
  const increments = OverlayMetrics.value(metrics, "stellar_overlay_drops_total")
  return [
    ...increments === all ? [] : [`G6 ${increments} drops in the metrics, ${all} in the events`],
    ...lines === all ? [] : [`G6 ${lines} lines for ${all} drops`]
  ]
}

/**
 * G1: no connection ended for a defect of this implementation.
 *
 * @category checkers
 * @since 0.1.0
 */
export const defects = (events: ReadonlyArray<OverlayEvent>): Array<string> =>
  events.flatMap((event) =>
    event._tag === "PeerDropped" && event.reason._tag === "Defect"
      ? [`G1 a defect: ${event.reason.detail}`]
      : []
  )

// ---------------------------------------------------------------------------------------------------------------- G7

/**
 * Bytes that the victim may say on each connection whatever it hears: the handshake with fifty addresses, pings, credit.
 *
 * @category constants
 * @since 0.1.0
 */
export const FREE_BYTES = 4096

/** Where the type of a message lies in the body of its frame. */
const TYPE_AT = 12

/**
 * G7: counts what attackers say to a victim, and what it says to them, by the victim's IP and those of honest hosts. SCP
 * messages are relayed to everybody who grants credit for them, and are left out of what is said.
 *
 * @category checkers
 * @since 0.1.0
 */
export class ByteMeter {
  heard = 0
  said = 0
  readonly #links = new Map<number, FrameParser>()
  readonly #victim: string
  readonly #honest: ReadonlySet<string>

  constructor(victim: string, honest: Iterable<string>) {
    this.#victim = victim
    this.#honest = new Set(honest)
  }

  /** Sees a chunk as `from` writes it for `to`, both IPs, on a connection with a number. */
  onBytes(link: number, from: string, to: string, chunk: Uint8Array): void {
    if (from !== this.#victim && to !== this.#victim) return
    if (this.#honest.has(from) || this.#honest.has(to)) return
    const parser = this.#links.get(link) ?? new FrameParser()
    this.#links.set(link, parser)
    if (from !== this.#victim) {
      this.heard += chunk.length
      return
    }
    parser.push(chunk)
    for (let body; (body = parser.next(MAX_BODY)) instanceof Uint8Array;) {
      const type = new DataView(body.buffer, body.byteOffset).getUint32(TYPE_AT)
      if (type !== MessageType.ScpMessage) this.said += MARK_LENGTH + body.length
    }
  }

  /** What was said for each byte heard, connections aside. */
  get amplification(): number {
    return Math.max(0, this.said - FREE_BYTES * this.#links.size) / Math.max(1, this.heard)
  }

  problems(limit: number): Array<string> {
    const { amplification } = this
    return amplification > limit
      ? [`G7 ${this.said} bytes for ${this.heard}: ${amplification.toFixed(2)} times as much, ${limit} is allowed`]
      : []
  }
}
