/** The live line, the table of nodes and the summary of a demo. */
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import type { Peer } from "@stellar-overlay/overlay/Peer"
import { coreName } from "@stellar-overlay/overlay/wire/MessageType"
import { type NodeId, short } from "@stellar-overlay/overlay/wire/NodeId"
import { bold, dim, green, type Line, red } from "../render/Line.ts"
import * as Links from "../render/link.ts"
import { bytes, count, millis, plural, rate } from "../render/units.ts"
import type { Journal } from "./Journal.ts"
import type { Ledgers, Result } from "./Ledgers.ts"
import { type DemoNode, peersOf } from "./Network.ts"

/** Memory of the process in bytes. */
export interface Memory {
  readonly heap: number
  readonly rss: number
}

/** One node at one moment; counters are totals. */
export interface NodeFacts {
  readonly node: NodeId
  readonly ledger: number
  readonly hash: string | undefined
  readonly outbound: number
  readonly inbound: number
  /** Addresses. */
  readonly known: number
  readonly uniqueMessages: number
  readonly duplicateMessages: number
  /** Mean of the milliseconds from the first demand of a transaction to its arrival. */
  readonly pullMillis: number | undefined
  readonly pulled: number
  /** Transaction sets and quorum sets that came. */
  readonly fetched: number
  readonly pending: number
  /** How often it missed ledgers and took up the chain at a later one. */
  readonly jumps: number
}

/** The state of everything at one moment; counters are totals. */
export interface Sample extends Result {
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
  readonly memory: Memory
  readonly perNode: ReadonlyArray<NodeFacts>
}

/** Why peers left before the end, and how many. */
export type Drops = ReadonlyMap<string, number>

/** Messages and hashes that the queues gave up because they were full. */
const shedBy = ({ session: { queues } }: Peer): number =>
  queues.droppedTransactions + queues.refusedTransactions + queues.droppedDemandHashes + queues.droppedAdvertHashes

/** SCP statements that a newer one of the same validator replaced in the queue, which loses nothing. */
const supersededBy = ({ session: { queues } }: Peer): number => queues.droppedScp

const factsOf = ({ flood, identity, ledger, manager, overlay }: DemoNode): NodeFacts => {
  const { jumps, ledgerSeq, pending } = ledger.stats()
  const { records, stats } = flood
  const last = ledger.ledgers().at(-1)
  return {
    node: identity.nodeId,
    ledger: ledgerSeq,
    hash: last === undefined ? undefined : Buffer.from(last.hash).toString("hex"),
    outbound: overlay.peers.registry.authenticatedCount("initiator"),
    inbound: overlay.peers.registry.authenticatedCount("acceptor"),
    known: manager.size(),
    uniqueMessages: records.uniqueFloodMessages,
    duplicateMessages: records.duplicateFloodMessages,
    pullMillis: stats.pulls === 0 ? undefined : stats.pullMillis / stats.pulls,
    pulled: stats.pulls,
    fetched: records.uniqueFetchMessages,
    pending,
    jumps
  }
}

export const sample = (nodes: ReadonlyArray<DemoNode>, books: Ledgers, now: number, memory: Memory): Sample => {
  const peers = peersOf(nodes).map(([, peer]) => peer)
  const sum = (of: (peer: Peer) => number) => peers.reduce((total, peer) => total + of(peer), 0)
  const departed = (of: (node: DemoNode) => number) => nodes.reduce((total, node) => total + of(node), 0)
  const roundTrips = peers.flatMap(({ session }) => Links.roundTrip(session) ?? [])
  const capacity = ({ session }: Peer) => session.options.flow.floodReadingCapacity
  return {
    ...books.result(),
    millis: now,
    messages: departed((node) => node.departed.messagesRead) + sum(({ session }) => session.stats.messagesRead),
    bytes: departed((node) => node.departed.bytesRead) + sum(({ session }) => session.stats.bytesRead),
    creditInUse: sum((peer) => Math.max(0, capacity(peer) - Links.remoteCredit(peer.session))),
    creditGiven: sum(capacity),
    queued: sum(({ session }) => Links.queued(session)),
    shed: sum(shedBy),
    superseded: sum(supersededBy),
    roundTripMillis: roundTrips.length === 0 ? undefined : Math.max(...roundTrips),
    links: peers.length,
    memory,
    perNode: nodes.map(factsOf)
  }
}

/** What happened per second between two samples. */
export const rates = (before: Sample, after: Sample) => {
  const seconds = Math.max(0.001, (after.millis - before.millis) / 1000)
  return {
    messagesPerSecond: Math.max(0, after.messages - before.messages) / seconds,
    bytesPerSecond: Math.max(0, after.bytes - before.bytes) / seconds,
    appliedPerSecond: Math.max(0, after.applied - before.applied) / seconds
  }
}

const total = (drops: Drops): number => [...drops.values()].reduce((sum, n) => sum + n, 0)

/** The parts of the live line, the most important first. */
export const statusParts = (before: Sample, now: Sample, drops: Drops): ReadonlyArray<Line> => {
  const { appliedPerSecond, bytesPerSecond, messagesPerSecond } = rates(before, now)
  return [
    [bold(`ledger ${now.ledger}`)],
    [`${rate(appliedPerSecond)} tx/s`],
    [`${rate(messagesPerSecond)} msg/s`],
    [`${bytes(bytesPerSecond)}/s`],
    [`credit used ${count(now.creditInUse)}/${count(now.creditGiven)}`],
    [`queued ${count(now.queued)}`],
    [`rtt ${now.roundTripMillis === undefined ? "?" : millis(now.roundTripMillis)}`],
    [`drops ${total(drops)}`],
    [`heap ${bytes(now.memory.heap)}`]
  ]
}

export const statusJson = (before: Sample, now: Sample, drops: Drops) => ({
  event: "status",
  ...rates(before, now),
  ...now,
  drops: total(drops)
})

/** A line for each node. */
export const nodeLines = ({ perNode }: Sample): Array<Line> =>
  perNode.map((facts): Line => [
    "  ",
    bold(short(facts.node)),
    dim(" ledger "),
    String(facts.ledger),
    facts.hash === undefined ? "" : ` ${facts.hash.slice(0, 8)}`,
    dim("  peers "),
    `${facts.outbound}+${facts.inbound}`,
    dim("  unique "),
    count(facts.uniqueMessages),
    dim("  duplicate "),
    count(facts.duplicateMessages),
    dim("  pulled "),
    count(facts.pulled),
    ...(facts.pullMillis === undefined ? [] : [dim(" in "), millis(facts.pullMillis)]),
    dim("  fetched "),
    count(facts.fetched),
    dim("  pending "),
    count(facts.pending),
    ...(facts.jumps === 0 ? [] : [dim("  jumps "), count(facts.jumps)])
  ])

const linkJson = (node: DemoNode, peer: Peer) => ({
  node: node.identity.nodeId,
  peer: peer.id,
  role: peer.role,
  address: peer.address.key,
  ...Links.toJson(peer.session),
  grantsSent: peer.session.stats.grantsSent,
  grantsReceived: peer.session.stats.grantsReceived,
  shed: shedBy(peer)
})

const typeText = (seen: Journal["seen"]): string =>
  [...seen].sort(([, a], [, b]) => b - a).map(([type, n]) => `${coreName(type)} ${count(n)}`).join(", ")

const dropText = (drops: Drops): Line =>
  drops.size === 0
    ? [green("none")]
    : [red([...drops].map(([tag, n]) => `${tag} ${n}`).join(", "))]

export interface Summary {
  readonly nodes: ReadonlyArray<DemoNode>
  readonly journal: Journal
  readonly drops: Drops
  readonly first: Sample
  readonly last: Sample
  readonly peak: Memory
}

/** Whether it shows what it is to show: one chain on all nodes, and every payment in it once. */
export const isGood = ({ agree, lost, twice }: Result): boolean => agree && lost === 0 && twice === 0

/** Why it does not; undefined when it does. */
export const problem = ({ agree, lost, twice }: Result): string | undefined => {
  const problems = [
    ...agree ? [] : ["the nodes have different hashes for one ledger"],
    ...lost === 0 ? [] : [`${plural(lost, "payment")} lost`],
    ...twice === 0 ? [] : [`${plural(twice, "payment")} in two ledgers`]
  ]
  return problems.length === 0 ? undefined : problems.join(", ")
}

const ledgerText = (nodes: number, { agree, hash = "", inStep, ledger }: Result): Line =>
  !agree
    ? [red("the nodes have different hashes for one ledger")]
    : ledger === 0
    ? ["no ledger that all have closed yet"]
    : [green(`all ${nodes} nodes ${inStep ? "are at" : "have closed"} ledger ${ledger}`), ` with hash ${hash}`]

const paymentText = ({ applied, appliedMillis, lost, submitted, twice, underWay }: Result): Line =>
  submitted === 0 ? ["none made"] : [
    `${count(submitted)} made, ${count(applied)} in everybody's ledgers`,
    appliedMillis === undefined ? "" : ` after ${millis(appliedMillis)} in the mean`,
    underWay === 0 ? "" : `, ${count(underWay)} under way`,
    ", ",
    lost === 0 ? green("none lost") : red(`${count(lost)} LOST`),
    twice === 0 ? "" : red(`, ${count(twice)} IN TWO LEDGERS`)
  ]

/** The summary, as lines. */
export const summaryLines = ({ drops, first, journal, last, nodes, peak }: Summary): Array<Line> => {
  const { bytesPerSecond, messagesPerSecond } = rates(first, last)
  return [
    [],
    [
      bold("Summary"),
      `: ${((last.millis - first.millis) / 1000).toFixed(1)} s, ${plural(nodes.length, "node")}, ${
        plural(last.messages, "message")
      } (${rate(messagesPerSecond)}/s, ${bytes(bytesPerSecond)}/s)`
    ],
    [dim("  ledger    "), ...ledgerText(nodes.length, last)],
    [dim("  payments  "), ...paymentText(last)],
    ...nodeLines(last),
    [
      dim("  types     "),
      typeText(journal.seen),
      ...(journal.skipped > 0 ? [dim(`  (${count(journal.skipped)} not shown)`)] : [])
    ],
    [
      dim("  drops     "),
      ...dropText(drops),
      dim("  shed "),
      last.shed === 0 ? green("none") : red(count(last.shed)),
      ...(last.superseded > 0 ? [dim("  superseded "), plural(last.superseded, "SCP message")] : [])
    ],
    [
      dim("  memory    "),
      `heap ${bytes(first.memory.heap)} at first, ${bytes(last.memory.heap)} at last, ${
        bytes(peak.heap)
      } at most; process ${bytes(first.memory.rss)}, ${bytes(last.memory.rss)}, ${bytes(peak.rss)}`
    ]
  ]
}

/** The summary, as an object. */
export const summaryJson = ({ drops, first, journal, last, nodes, peak }: Summary) => {
  const { memory, millis: _, ...facts } = last
  return {
    event: "summary",
    ok: isGood(last),
    seconds: (last.millis - first.millis) / 1000,
    nodes: nodes.length,
    ...facts,
    ...rates(first, last),
    types: Object.fromEntries([...journal.seen].map(([type, n]) => [coreName(type), n])),
    notShown: journal.skipped,
    drops: Object.fromEntries(drops),
    memory: { first: first.memory, last: memory, peak },
    links: peersOf(nodes).map(([node, peer]) => linkJson(node, peer))
  }
}

/** How the reason a peer left for is counted: ends without fault are none, nor is the one of two links that both made. */
export const countDrop = (drops: Map<string, number>, reason: DropReason.DropReason): void => {
  if (DropReason.kind(reason) === "local") return
  if (reason._tag === "ShutdownReceived" || reason._tag === "AlreadyConnected") return
  drops.set(reason._tag, (drops.get(reason._tag) ?? 0) + 1)
}
