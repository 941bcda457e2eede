/** The live line and the summary of a demo. */
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import { coreName, MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import { short } from "@stellar-overlay/overlay/wire/NodeId"
import { bold, dim, green, type Line, red } from "../render/Line.ts"
import * as Links from "../render/link.ts"
import { bytes, count, millis, plural, rate } from "../render/units.ts"
import type { Journal } from "./Journal.ts"
import type { Link, Network } from "./Network.ts"

/** Memory of the process in bytes. */
export interface Memory {
  readonly heap: number
  readonly rss: number
}

/** The state of everything at one moment; counters are totals. */
export interface Sample {
  readonly millis: number
  readonly messages: number
  readonly bytes: number
  /** Flow-controlled messages that were granted and are on their way or not granted back yet. */
  readonly creditInUse: number
  readonly creditGiven: number
  readonly queued: number
  readonly shed: number
  readonly superseded: number
  readonly roundTripMillis: number | undefined
  readonly links: number
  readonly ledgers: number
  readonly memory: Memory
}

/** How a demo ended with peers that left before the end. */
export type Drops = ReadonlyMap<string, number>

/** Messages and hashes that the queues gave up because they were full. */
const shedBy = ({ peer: { session: { queues } } }: Link): number =>
  queues.droppedTransactions + queues.refusedTransactions + queues.droppedDemandHashes + queues.droppedAdvertHashes

/** SCP statements that a newer one of the same validator replaced in the queue, which loses nothing. */
const supersededBy = ({ peer: { session: { queues } } }: Link): number => queues.droppedScp

export const sample = (network: Network, now: number, memory: Memory): Sample => {
  const links = network.links()
  const ours = links.filter(({ isOurs }) => isOurs)
  const sum = (of: (link: Link) => number) => links.reduce((total, link) => total + of(link), 0)
  const roundTrips = links.flatMap(({ peer }) => Links.roundTrip(peer.session) ?? [])
  const capacity = ({ peer }: Link) => peer.session.options.flow.floodReadingCapacity
  return {
    millis: now,
    messages: sum(({ peer }) => peer.session.stats.messagesRead),
    bytes: sum(({ peer }) => peer.session.stats.bytesRead),
    creditInUse: ours.reduce(
      (total, link) => total + Math.max(0, capacity(link) - Links.remoteCredit(link.peer.session)),
      0
    ),
    creditGiven: ours.reduce((total, link) => total + capacity(link), 0),
    queued: sum(({ peer }) => Links.queued(peer.session)),
    shed: sum(shedBy),
    superseded: sum(supersededBy),
    roundTripMillis: roundTrips.length === 0 ? undefined : Math.max(...roundTrips),
    links: links.length,
    ledgers: Math.max(0, ...network.nodes.map(({ validator }) => validator.closedSlot)),
    memory
  }
}

/** What happened per second between two samples. */
export const rates = (before: Sample, after: Sample) => {
  const seconds = Math.max(0.001, (after.millis - before.millis) / 1000)
  return {
    messagesPerSecond: Math.max(0, after.messages - before.messages) / seconds,
    bytesPerSecond: Math.max(0, after.bytes - before.bytes) / seconds
  }
}

const total = (drops: Drops): number => [...drops.values()].reduce((sum, n) => sum + n, 0)

/** The parts of the live line, the most important first. */
export const statusParts = (before: Sample, now: Sample, drops: Drops): ReadonlyArray<Line> => {
  const { bytesPerSecond, messagesPerSecond } = rates(before, now)
  return [
    [bold(`${rate(messagesPerSecond)} msg/s`)],
    [`${bytes(bytesPerSecond)}/s`],
    [`credit used ${count(now.creditInUse)}/${count(now.creditGiven)}`],
    [`queued ${count(now.queued)}`],
    [`rtt ${now.roundTripMillis === undefined ? "?" : millis(now.roundTripMillis)}`],
    [`drops ${total(drops)}`],
    [`ledger ${now.ledgers}`],
    [`heap ${bytes(now.memory.heap)}`]
  ]
}

export const statusJson = (before: Sample, now: Sample, drops: Drops) => ({
  event: "status",
  ...rates(before, now),
  ...now,
  drops: total(drops)
})

const linkJson = (link: Link) => ({
  node: link.local.identity.nodeId,
  peer: link.peer.id,
  role: link.peer.role,
  address: link.peer.address.key,
  ...Links.toJson(link.peer.session),
  grantsSent: link.grants(),
  shed: shedBy(link)
})

/** The two ends of each connection side by side; a guest has only ours. */
const linkLines = (links: ReadonlyArray<Link>): Array<Line> =>
  links.filter(({ isOurs, peer }) => !isOurs || peer.role === "initiator").map((link): Line => {
    const { local, peer } = link
    const other = links.find((end) => end.local.identity.nodeId === peer.id && end.peer.id === local.identity.nodeId)
    const { stats } = peer.session
    const roundTrip = Links.roundTrip(peer.session)
    return [
      "  ",
      bold(`${short(local.identity.nodeId)}⇄${short(peer.id)}`),
      dim("  sent "),
      `${count(stats.messagesWritten)}, ${bytes(stats.bytesWritten)}`,
      dim("  received "),
      `${count(stats.messagesRead)}, ${bytes(stats.bytesRead)}`,
      dim("  grants "),
      `${link.grants()} given${other === undefined ? "" : `, ${other.grants()} taken`}`,
      dim("  rtt "),
      roundTrip === undefined ? "not measured" : millis(roundTrip)
    ]
  })

const typeText = (seen: Journal["seen"]): string =>
  [...seen].sort(([, a], [, b]) => b - a).map(([tag, n]) => `${coreName(MessageType[tag])} ${count(n)}`).join(", ")

const dropText = (drops: Drops): Line =>
  drops.size === 0
    ? [green("none")]
    : [red([...drops].map(([tag, n]) => `${tag} ${n}`).join(", "))]

export interface Summary {
  readonly network: Network
  readonly journal: Journal
  readonly drops: Drops
  readonly first: Sample
  readonly last: Sample
  readonly peak: Memory
}

/** The summary, as lines. */
export const summaryLines = ({ drops, first, journal, last, network, peak }: Summary): Array<Line> => {
  const { bytesPerSecond, messagesPerSecond } = rates(first, last)
  return [
    [],
    [
      bold("Summary"),
      `: ${((last.millis - first.millis) / 1000).toFixed(1)} s, ${plural(network.nodes.length, "node")}, ${
        plural(last.ledgers, "ledger")
      } closed, ${plural(last.messages, "message")} (${rate(messagesPerSecond)}/s, ${bytes(bytesPerSecond)}/s)`
    ],
    ...linkLines(network.links()),
    [
      dim("  types   "),
      typeText(journal.seen),
      ...(journal.skipped > 0 ? [dim(`  (${count(journal.skipped)} not shown)`)] : [])
    ],
    [
      dim("  drops   "),
      ...dropText(drops),
      dim("  shed "),
      last.shed === 0 ? green("none") : red(count(last.shed)),
      ...(last.superseded > 0 ? [dim("  superseded "), plural(last.superseded, "SCP message")] : [])
    ],
    [
      dim("  memory  "),
      `heap ${bytes(first.memory.heap)} at first, ${bytes(last.memory.heap)} at last, ${
        bytes(peak.heap)
      } at most; process ${bytes(first.memory.rss)}, ${bytes(last.memory.rss)}, ${bytes(peak.rss)}`
    ]
  ]
}

/** The summary, as an object. */
export const summaryJson = ({ drops, first, journal, last, network, peak }: Summary) => ({
  event: "summary",
  seconds: (last.millis - first.millis) / 1000,
  nodes: network.nodes.length,
  ledgers: last.ledgers,
  messages: last.messages,
  bytes: last.bytes,
  ...rates(first, last),
  types: Object.fromEntries([...journal.seen].map(([tag, n]) => [coreName(MessageType[tag]), n])),
  notShown: journal.skipped,
  drops: Object.fromEntries(drops),
  shed: last.shed,
  superseded: last.superseded,
  memory: { first: first.memory, last: last.memory, peak },
  links: network.links().map(linkJson)
})

/** How the reason a peer left for is counted: ends without fault are none. */
export const countDrop = (drops: Map<string, number>, reason: DropReason.DropReason): void => {
  if (DropReason.kind(reason) === "local" || reason._tag === "ShutdownReceived") return
  drops.set(reason._tag, (drops.get(reason._tag) ?? 0) + 1)
}
