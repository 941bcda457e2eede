/**
 * How far this node and others lag behind the first EXTERNALIZE of a slot: the two latencies that a survey reports.
 *
 * Implements protocol.md 12.3 (stellar-core: `HerderSCPDriver::recordSCPExternalizeEvent`). Both are counted from the first
 * sign that a slot was externalized, the "self to other" one as well. What is heard is not verified: a lie costs the node a
 * wrong latency among those of a slice.
 *
 * @since 0.1.0
 */
import type { NodeId } from "../wire/NodeId.ts"
import { MAX_SLOTS_TO_REMEMBER } from "./LedgerContext.ts"

/**
 * Nodes that are counted for one slot at most; a sane quorum set has at most 1000.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_NODES_PER_SLOT = 1024

interface Slot {
  readonly firstAt: number
  readonly heard: Set<NodeId>
  closed: boolean
}

/**
 * The slots of the last ledgers and the next. All times are monotonic milliseconds; a result is a latency to record, or
 * undefined when there is none.
 *
 * @category models
 * @since 0.1.0
 */
export class ExternalizeTimes {
  private readonly slots = new Map<number, Slot>()
  private ledgerSeq: number

  /** `ledgerSeq` is the last closed ledger: what closed before counts for nothing. */
  constructor(ledgerSeq: number) {
    this.ledgerSeq = ledgerSeq
  }

  /** An EXTERNALIZE of another node was heard; how long after the first sign, once per node and slot. */
  heard(slot: number, node: NodeId, now: number): number | undefined {
    if (slot <= this.ledgerSeq - MAX_SLOTS_TO_REMEMBER || slot > this.ledgerSeq + MAX_SLOTS_TO_REMEMBER) {
      return undefined
    }
    const isFirst = !this.slots.has(slot)
    const { firstAt, heard } = this.slotOf(slot, now)
    if (heard.has(node) || heard.size >= MAX_NODES_PER_SLOT) return undefined
    heard.add(node)
    return isFirst ? undefined : now - firstAt
  }

  /** The host's last closed ledger is this one; how long after the first sign, once per ledger. A jump closes one. */
  closed(ledgerSeq: number, now: number): number | undefined {
    if (ledgerSeq <= this.ledgerSeq) return undefined
    this.ledgerSeq = ledgerSeq
    for (const slot of this.slots.keys()) if (slot <= ledgerSeq - MAX_SLOTS_TO_REMEMBER) this.slots.delete(slot)
    const slot = this.slotOf(ledgerSeq, now)
    if (slot.closed) return undefined
    slot.closed = true
    return now - slot.firstAt
  }

  /** Forgets everything before a new slice. */
  clear(ledgerSeq: number): void {
    this.slots.clear()
    this.ledgerSeq = ledgerSeq
  }

  private slotOf(slot: number, now: number): Slot {
    let found = this.slots.get(slot)
    if (found === undefined) {
      found = { firstAt: now, heard: new Set(), closed: false }
      this.slots.set(slot, found)
    }
    return found
  }
}
