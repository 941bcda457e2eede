/** What a crawl knows about nodes, put together from visits. */
import type { CrawledNode } from "../CrawlerEvents.ts"
import { clockSkewSeconds, lags } from "../protocol/CrawlLag.ts"
import { best, type CrawlStatus } from "../protocol/CrawlStatus.ts"
import type { RemoteFacts } from "../protocol/Handshake.ts"
import type { NodeId } from "../wire/NodeId.ts"
import type { Visit } from "./crawlVisit.ts"

/** Validators remembered: more than any network has, and a bound for one that makes them up. */
export const MAX_VALIDATORS = 16_384

const shorter = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.min(a, b)

export class CrawlNodes {
  readonly #nodes = new Map<NodeId, CrawledNode>()
  /** The highest slot of a statement of theirs that we saw, whoever sent it. */
  readonly #validators = new Map<NodeId, number>()

  constructor(known: Iterable<CrawledNode> = []) {
    for (const node of known) {
      this.#nodes.set(node.id, node)
      if (node.validatedSlot !== undefined) this.#validators.set(node.id, node.validatedSlot)
    }
  }

  get size(): number {
    return this.#nodes.size
  }

  get(id: NodeId): CrawledNode | undefined {
    return this.#nodes.get(id)
  }

  all(): Array<CrawledNode> {
    return [...this.#nodes.values()]
  }

  /** A node that proved itself. */
  see(
    remote: RemoteFacts,
    visit: Visit,
    how: { readonly status: CrawlStatus; readonly refused: number; readonly now: number }
  ): CrawledNode {
    const { id } = remote
    const { now, refused, status } = how
    const before = this.#nodes.get(id)
    const isNewSlot = visit.slot !== undefined && (before?.slot === undefined || visit.slot > before.slot)
    const validatedSlot = this.#validators.get(id)
    const node: CrawledNode = {
      id,
      status: best(before?.status ?? "pending", status),
      version: remote.version,
      overlayVersion: remote.overlayVersion,
      overlayMinVersion: remote.overlayMinVersion,
      ledgerVersion: remote.ledgerVersion,
      listeningPort: remote.listeningPort,
      clockSkewSeconds: clockSkewSeconds(Number(remote.certificateExpiration) - Math.floor(now / 1000)),
      firstSeenAt: before?.firstSeenAt ?? now,
      lastSeenAt: now,
      connectMillis: shorter(before?.connectMillis, visit.connectMillis),
      handshakeMillis: shorter(before?.handshakeMillis, visit.handshakeMillis),
      pingMillis: shorter(before?.pingMillis, visit.pingMillis),
      slot: isNewSlot ? visit.slot : before?.slot,
      slotAt: isNewSlot ? visit.slotAt : before?.slotAt,
      lag: undefined,
      validating: validatedSlot !== undefined,
      validatedSlot,
      peersTold: visit.peersTold ?? before?.peersTold,
      peersRefused: visit.peersTold === undefined ? before?.peersRefused ?? 0 : refused
    }
    this.#nodes.set(id, node)
    return node
  }

  /** Statements of validators; returns the nodes that turned out to be one. */
  heard(statements: ReadonlyMap<NodeId, number>): Array<CrawledNode> {
    const found: Array<CrawledNode> = []
    for (const [id, slot] of statements) {
      const before = this.#validators.get(id)
      if (before === undefined && this.#validators.size >= MAX_VALIDATORS) continue
      if (before !== undefined && before >= slot) continue
      this.#validators.set(id, slot)
      const node = this.#nodes.get(id)
      if (node === undefined) continue
      const validator: CrawledNode = { ...node, validating: true, validatedSlot: slot }
      this.#nodes.set(id, validator)
      if (!node.validating) found.push(validator)
    }
    return found
  }

  /** Says how far behind everybody is, and returns the nodes of which that is known. */
  settleLags(): Array<CrawledNode> {
    const seen: Array<{ readonly node: CrawledNode; readonly slot: number; readonly slotAt: number }> = []
    for (const node of this.#nodes.values()) {
      const { slot, slotAt } = node
      if (slot !== undefined && slotAt !== undefined) seen.push({ node, slot, slotAt })
    }
    const behind = lags(seen)
    return seen.map(({ node }, i) => {
      const settled: CrawledNode = { ...node, lag: behind[i] }
      this.#nodes.set(node.id, settled)
      return settled
    })
  }
}
