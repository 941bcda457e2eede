/**
 * Whom a survey asks next, and what it knows so far: a machine without a clock, a socket or a file.
 *
 * It goes over the network breadth-first from the peers of the surveyor, asks for further pages where a node has more
 * peers than an answer holds, asks a bounded number of times who stays silent, and puts the pages together. Nodes that
 * are as far away are asked in the order of how many others named them, so that somebody who invents peers only delays
 * his own inventions.
 *
 * Around protocol.md 12.4 to 12.6 (stellar-core: `SurveyManager.cpp`, `getsurveyresult`).
 */
import type { PeerRow, SurveyedNode, SurveyResults } from "../topology/surveyJson.ts"
import type { Attributes } from "../topology/Topology.ts"

/** How far a survey goes. */
export interface Limits {
  /** Times a node is asked for the same page before it counts as silent, or its lists as incomplete. */
  readonly maxAttempts: number
  /** Answers of one node that are asked for: lists longer than 25 times this are cut. */
  readonly maxPages: number
  /** Nodes that are asked at all. */
  readonly maxNodes: number
  /** How long a request that went out may stay unanswered. */
  readonly answerMillis: number
  /** Orders the surveyor holds at a time: rounds of 10, so that what is to be asked can still change. */
  readonly window: number
}

export const defaultLimits: Limits = {
  maxAttempts: 3,
  maxPages: 40,
  maxNodes: 10_000,
  answerMillis: 60_000,
  window: 30
}

/** Whom to ask, and where the lists of the answer shall begin. */
export interface Order {
  readonly id: string
  readonly inbound: number
  readonly outbound: number
}

/**
 * - `queued`: to be asked, for the first or a further page, or again
 * - `ordered`: the surveyor was told to ask
 * - `answered`: all pages are there
 * - `incomplete`: it told about itself, but not all of its peers
 * - `silent`: it never answered
 */
export type NodeStatus = "queued" | "ordered" | "answered" | "incomplete" | "silent"

interface Entry {
  readonly id: string
  readonly depth: number
  readonly found: number
  tellers: number
  status: NodeStatus
  /** Fruitless requests for the present page. */
  attempts: number
  /** Answers that brought something. */
  pages: number
  requests: number
  /** When the surveyor was seen to have sent the request; undefined while it holds it. */
  sentAt: number | undefined
  requestedAt: number | undefined
  answeredAt: number | undefined
  isBad: boolean
  facts: Attributes | undefined
  readonly inbound: Map<string, PeerRow>
  readonly outbound: Map<string, PeerRow>
}

/** What `getsurveyresult` says, checked. */
export interface Observation {
  readonly surveyInProgress: boolean
  readonly backlog: ReadonlyArray<string>
  readonly badResponseNodes: ReadonlyArray<string>
  readonly topology: SurveyResults
}

export interface Coverage {
  readonly known: number
  /** Told about themselves: completely or not. */
  readonly answered: number
  readonly incomplete: number
  readonly silent: number
  /** Orders the surveyor has. */
  readonly ordered: number
  /** To be asked, again or for more. */
  readonly queued: number
  /** Connections known, from one or both ends. */
  readonly connections: number
  readonly requests: number
}

/** A node as the plan has it, for a file and a database. */
export interface PlannedNode extends Omit<Entry, "inbound" | "outbound"> {
  readonly inbound: ReadonlyArray<PeerRow>
  readonly outbound: ReadonlyArray<PeerRow>
}

const numberOf = (facts: Attributes, name: string): number => {
  const value = facts[name]
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : 0
}

export class SurveyPlan {
  readonly limits: Limits
  readonly #entries = new Map<string, Entry>()
  #self: string | undefined
  #leftOut = 0

  constructor(limits: Partial<Limits> = {}) {
    this.limits = { ...defaultLimits, ...limits }
  }

  /** Nodes beyond `maxNodes` that were named. */
  get leftOut(): number {
    return this.#leftOut
  }

  get surveyor(): string | undefined {
    return this.#self
  }

  /** Names the surveyor. It is not asked: it says about itself when it starts to report. */
  setSurveyor(id: string): void {
    this.#self = id
    const entry = this.#find(id, 0)
    if (entry !== undefined) entry.status = "answered"
  }

  /** Nodes to begin with. */
  seed(ids: Iterable<string>): void {
    for (const id of ids) this.#find(id, 1)
  }

  #find(id: string, depth: number): Entry | undefined {
    const known = this.#entries.get(id)
    if (known !== undefined) {
      known.tellers++
      return known
    }
    if (this.#entries.size >= this.limits.maxNodes) {
      this.#leftOut++
      return undefined
    }
    const entry: Entry = {
      id,
      depth,
      found: this.#entries.size,
      tellers: 1,
      status: "queued",
      attempts: 0,
      pages: 0,
      requests: 0,
      sentAt: undefined,
      requestedAt: undefined,
      answeredAt: undefined,
      isBad: false,
      facts: undefined,
      inbound: new Map(),
      outbound: new Map()
    }
    this.#entries.set(id, entry)
    return entry
  }

  /** Whether nobody is left to ask and nothing is awaited. */
  get isDone(): boolean {
    for (const { status } of this.#entries.values()) if (status === "queued" || status === "ordered") return false
    return true
  }

  /** What to order now: as much as the window has room for. Tell what became of each with `ordered` or `refused`. */
  orders(): ReadonlyArray<Order> {
    const queued: Array<Entry> = []
    let held = 0
    for (const entry of this.#entries.values()) {
      if (entry.status === "ordered") held++
      else if (entry.status === "queued") queued.push(entry)
    }
    return queued
      .sort((a, b) => a.attempts - b.attempts || a.depth - b.depth || b.tellers - a.tellers || a.found - b.found)
      .slice(0, Math.max(0, this.limits.window - held))
      .map(({ id, inbound, outbound }) => ({ id, inbound: inbound.size, outbound: outbound.size }))
  }

  /** The surveyor took an order. */
  ordered(id: string, now: number): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    entry.status = "ordered"
    entry.requests++
    entry.sentAt = undefined
    entry.requestedAt ??= now
  }

  /** The surveyor will not ask this node, now or ever. */
  refused(id: string): void {
    const entry = this.#entries.get(id)
    if (entry !== undefined) this.#fruitless(entry)
  }

  #fruitless(entry: Entry): void {
    entry.attempts++
    entry.sentAt = undefined
    entry.status = entry.attempts < this.limits.maxAttempts
      ? "queued"
      : entry.facts === undefined
      ? "silent"
      : "incomplete"
  }

  /** Takes in what the surveyor knows. Whether anything new came of it. */
  observe(seen: Observation, now: number): boolean {
    const backlog = new Set(seen.backlog)
    const bad = new Set(seen.badResponseNodes)
    let isNew = false
    const self = this.#self === undefined ? undefined : this.#entries.get(this.#self)
    const own = this.#self === undefined ? undefined : seen.topology.get(this.#self)
    if (self !== undefined && own !== undefined && self.facts === undefined) {
      this.#merge(self, own, now)
      self.status = "answered"
      isNew = true
    }
    for (const entry of this.#entries.values()) { // who is found meanwhile is queued, and passed over
      if (entry.status !== "ordered") continue
      const answer = seen.topology.get(entry.id)
      if (!seen.surveyInProgress && answer === undefined) {
        entry.status = "queued" // it stopped reporting, and will ask nobody any more
        continue
      }
      if (backlog.has(entry.id)) continue
      if (answer !== undefined) {
        this.#take(entry, answer, now)
        isNew = true
      } else if (bad.has(entry.id)) {
        entry.isBad = true
        this.#fruitless(entry)
        isNew = true
      } else if (!seen.topology.has(entry.id)) {
        entry.status = "queued" // it forgot: it began to report anew
      } else if (entry.sentAt === undefined) {
        entry.sentAt = now
      } else if (now - entry.sentAt >= this.limits.answerMillis) {
        this.#fruitless(entry)
        isNew = true
      }
    }
    return isNew
  }

  /** An answer to an order: another page, or the last one. */
  #take(entry: Entry, answer: SurveyedNode, now: number): void {
    const before = entry.inbound.size + entry.outbound.size
    const isFirst = entry.facts === undefined
    this.#merge(entry, answer, now)
    const facts = answer.facts
    const wantsInbound = numberOf(facts, "numTotalInboundPeers") > entry.inbound.size
    const wantsOutbound = numberOf(facts, "numTotalOutboundPeers") > entry.outbound.size
    const gained = entry.inbound.size + entry.outbound.size - before
    if (!wantsInbound && !wantsOutbound) {
      entry.status = "answered"
    } else if (gained > 0) {
      entry.attempts = 0
      entry.pages++
      entry.status = entry.pages < this.limits.maxPages ? "queued" : "incomplete"
    } else if (!isFirst && answer.inboundPeers.length + answer.outboundPeers.length === 0) {
      entry.status = "incomplete" // its lists are shorter than it says
    } else {
      this.#fruitless(entry) // nothing new: perhaps the late answer to an earlier request
    }
  }

  #merge(entry: Entry, answer: SurveyedNode, now: number): void {
    entry.facts = answer.facts
    entry.answeredAt = now
    entry.isBad = false
    for (
      const [rows, known] of [[answer.inboundPeers, entry.inbound], [answer.outboundPeers, entry.outbound]] as const
    ) {
      for (const row of rows) {
        if (row.nodeId === entry.id) continue
        if (!known.has(row.nodeId)) this.#find(row.nodeId, entry.depth + 1)
        known.set(row.nodeId, row)
      }
    }
  }

  /** Ends the survey here: who was not asked, or did not answer, is silent or incomplete. */
  finish(): void {
    for (const entry of this.#entries.values()) {
      if (entry.status !== "queued" && entry.status !== "ordered") continue
      entry.status = entry.facts === undefined ? "silent" : "incomplete"
    }
  }

  get coverage(): Coverage {
    const count = { queued: 0, ordered: 0, answered: 0, incomplete: 0, silent: 0 }
    let answered = 0
    let requests = 0
    const connections = new Set<string>()
    for (const { facts, id, inbound, outbound, requests: own, status } of this.#entries.values()) {
      count[status]++
      requests += own
      if (facts !== undefined) answered++
      for (const peer of inbound.keys()) connections.add(`${peer} ${id}`)
      for (const peer of outbound.keys()) connections.add(`${id} ${peer}`)
    }
    return {
      known: this.#entries.size,
      answered,
      incomplete: count.incomplete,
      silent: count.silent,
      ordered: count.ordered,
      queued: count.queued,
      connections: connections.size,
      requests
    }
  }

  /** Everything that was told, all pages put together; undefined for who told nothing. */
  get results(): SurveyResults {
    return new Map([...this.#entries].map(([id, { facts, inbound, outbound }]) => [
      id,
      facts === undefined
        ? undefined
        : { facts, inboundPeers: [...inbound.values()], outboundPeers: [...outbound.values()] }
    ]))
  }

  /** Nodes whose last answer could not be read. */
  get badResponseNodes(): ReadonlyArray<string> {
    return [...this.#entries.values()].filter(({ isBad }) => isBad).map(({ id }) => id)
  }

  get nodes(): ReadonlyArray<PlannedNode> {
    return [...this.#entries.values()].map((entry) => ({
      ...entry,
      inbound: [...entry.inbound.values()],
      outbound: [...entry.outbound.values()]
    }))
  }

  /** Goes on from nodes as `nodes` gave them. Who was silent is asked again. */
  static restore(nodes: Iterable<PlannedNode>, surveyor: string | undefined, limits: Partial<Limits> = {}): SurveyPlan {
    const plan = new SurveyPlan(limits)
    for (const { inbound, outbound, ...entry } of nodes) {
      const isOpen = entry.status === "silent" || entry.status === "incomplete"
      plan.#entries.set(entry.id, {
        ...entry,
        ...(isOpen ? { status: "queued", attempts: 0 } : {}),
        sentAt: undefined,
        inbound: new Map(inbound.map((row) => [row.nodeId, row])),
        outbound: new Map(outbound.map((row) => [row.nodeId, row]))
      })
    }
    if (surveyor !== undefined) plan.setSurveyor(surveyor)
    return plan
  }
}
