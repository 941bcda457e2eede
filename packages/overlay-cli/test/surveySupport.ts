/** A network as a surveyor sees it, with the limits of the real one (protocol.md 12), and everything that goes wrong in it. */
import type { Observation } from "../src/survey/SurveyPlan.ts"
import type { PeerRow, SurveyedNode } from "../src/topology/surveyJson.ts"
import { idOf, type Pairs, random } from "./topologySupport.ts"

/** Peers of one direction in an answer. */
export const PAGE = 25

/** Requests of a round. */
export const ROUND = 10

export interface Fake {
  readonly id: string
  readonly inbound: Array<PeerRow>
  readonly outbound: Array<PeerRow>
  /** Never answers. */
  isSilent: boolean
  /** Answers what nobody can read. */
  isBad: boolean
  /** How many requests it ignores before it answers. */
  ignores: number
  /** Invents so many inbound peers, and claims still more. */
  invents: number
}

const row = (nodeId: string, from: number, to: number): PeerRow => ({
  nodeId,
  version: `v${from % 3}`,
  messagesRead: from * 1000 + to,
  averageLatencyMs: (from + to) % 200
})

/** Nodes of a network by what they are connected with: from dials to. */
export const network = (size: number, pairs: Pairs): Array<Fake> => {
  const nodes = Array.from({ length: size }, (_, i): Fake => ({
    id: idOf(i),
    inbound: [],
    outbound: [],
    isSilent: false,
    isBad: false,
    ignores: 0,
    invents: 0
  }))
  const known = new Set<number>()
  for (const [from, to] of pairs) {
    if (from === to || known.has(from * size + to) || known.has(to * size + from)) continue
    known.add(from * size + to)
    nodes[from]!.outbound.push(row(nodes[to]!.id, from, to))
    nodes[to]!.inbound.push(row(nodes[from]!.id, from, to))
  }
  const byId = (a: PeerRow, b: PeerRow) => a.nodeId < b.nodeId ? -1 : 1
  for (const node of nodes) {
    node.inbound.sort(byId)
    node.outbound.sort(byId)
  }
  return nodes
}

export const factsOf = (node: Fake) => ({
  numTotalInboundPeers: node.invents > 0 ? 0xffffffff : node.inbound.length,
  numTotalOutboundPeers: node.outbound.length,
  lostSyncCount: node.inbound.length % 3,
  isValidator: node.outbound.length % 2 === 0
})

const answerOf = (node: Fake, inbound: number, outbound: number): SurveyedNode => ({
  facts: factsOf(node),
  inboundPeers: node.invents > 0
    ? Array.from({ length: PAGE }, (_, i) => row(idOf(1_000_000 + inbound + i), 0, 0)).slice(
      0,
      Math.max(0, node.invents - inbound)
    )
    : node.inbound.slice(inbound, inbound + PAGE),
  outboundPeers: node.outbound.slice(outbound, outbound + PAGE)
})

/** What core's surveyor does: a backlog in order, ten requests a round, one place for the answer of each node. */
export class FakeSurveyor {
  readonly #nodes: ReadonlyMap<string, Fake>
  readonly #next: () => number
  readonly self: Fake
  readonly asked: Array<{ readonly id: string; readonly inbound: number; readonly outbound: number }> = []
  #backlog: Array<{ readonly id: string; readonly inbound: number; readonly outbound: number }> = []
  #late: Array<{ readonly at: number; readonly id: string; readonly answer: SurveyedNode | "bad" }> = []
  #topology = new Map<string, SurveyedNode | undefined>()
  #bad = new Set<string>()
  #isReporting = false
  #round = 0

  constructor(nodes: ReadonlyArray<Fake>, seed: number) {
    this.#nodes = new Map(nodes.map((node) => [node.id, node]))
    this.#next = random(seed)
    this.self = nodes[0]!
  }

  /** False as for a node that is queued, or itself. */
  order(id: string, inbound: number, outbound: number): boolean {
    if (!this.#isReporting) {
      this.#isReporting = true
      const { inbound: inboundPeers, outbound: outboundPeers } = this.self
      this.#topology = new Map([[this.self.id, { facts: factsOf(this.self), inboundPeers, outboundPeers }]])
      this.#bad = new Set()
      this.#backlog = []
      this.#late = []
    }
    if (id === this.self.id || this.#backlog.some((entry) => entry.id === id)) return false
    this.#bad.delete(id)
    this.#topology.set(id, undefined)
    this.#backlog.push({ id, inbound, outbound })
    return true
  }

  /** As the node was started again, or told to stop. */
  stop(): void {
    this.#isReporting = false
  }

  /** A round of requests; answers come at once, late, or not. */
  round(): void {
    this.#round++
    if (!this.#isReporting) return
    this.#late = this.#late.filter(({ answer, at, id }) => {
      if (at > this.#round) return true
      this.#arrive(id, answer)
      return false
    })
    for (const entry of this.#backlog.splice(0, ROUND)) {
      this.asked.push(entry)
      const node = this.#nodes.get(entry.id)
      if (node === undefined || node.isSilent) continue
      if (node.ignores > 0) {
        node.ignores--
        continue
      }
      const answer = node.isBad ? "bad" as const : answerOf(node, entry.inbound, entry.outbound)
      const delay = this.#next() < 0.2 ? 1 + Math.floor(this.#next() * 6) : 0
      if (delay === 0) this.#arrive(entry.id, answer)
      else this.#late.push({ at: this.#round + delay, id: entry.id, answer })
    }
  }

  #arrive(id: string, answer: SurveyedNode | "bad"): void {
    if (answer === "bad") this.#bad.add(id)
    else this.#topology.set(id, answer)
  }

  get results(): Observation {
    return {
      surveyInProgress: this.#isReporting,
      backlog: this.#backlog.map(({ id }) => id),
      badResponseNodes: [...this.#bad],
      topology: this.#topology
    }
  }
}
