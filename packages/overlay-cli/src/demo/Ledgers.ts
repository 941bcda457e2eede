/**
 * The books of a demo: which payments were made, and in whose ledgers they are; which hash each node has for each ledger.
 * At the end they prove that nothing was lost and that all nodes agree, or show the opposite.
 */
import type { ClosedLedger } from "@stellar-overlay/overlay-test/ToyLedger"

/** A payment that is not in everybody's ledgers after this time counts as lost. */
export const LOST_MILLIS = 8000

/** Ledgers whose hashes are compared; a difference stays known. */
const MAX_LEDGERS = 64

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")

interface Outstanding {
  readonly since: number
  /** Nodes in whose ledgers it is, a bit each. */
  nodes: number
}

/** What the books say. */
export interface Result {
  readonly submitted: number
  /** In the ledgers of all nodes. */
  readonly applied: number
  /** Not in everybody's ledgers yet. */
  readonly underWay: number
  readonly lost: number
  /** Milliseconds from submission until the last node had it in a ledger; the mean. */
  readonly appliedMillis: number | undefined
  /** The last ledger that every node has closed, and its hash. */
  readonly ledger: number
  readonly hash: string | undefined
  /** Whether every node has the same hash for every ledger. */
  readonly agree: boolean
  /** Whether all nodes are at the same ledger at this moment. */
  readonly inStep: boolean
}

export class Ledgers {
  readonly #last: Array<number>
  /** The bits of all nodes. */
  readonly #everybody: number
  readonly #outstanding = new Map<string, Outstanding>()
  readonly #hashes = new Map<number, string>()
  #agree = true
  #submitted = 0
  #applied = 0
  #refused = 0
  #appliedMillis = 0

  constructor(nodes: number) {
    this.#last = Array.from({ length: nodes }, () => 0)
    this.#everybody = 2 ** nodes - 1
  }

  /** A payment is handed to its node. */
  submitted(hash: Uint8Array, now: number): void {
    this.#submitted++
    this.#outstanding.set(hex(hash), { since: now, nodes: 0 })
  }

  /** The node did not take it. */
  refused(hash: Uint8Array): void {
    if (this.#outstanding.delete(hex(hash))) this.#refused++
  }

  /** A node closed a ledger. */
  closed(node: number, { hash, ledgerSeq, transactions }: ClosedLedger, now: number): void {
    this.#last[node] = ledgerSeq
    const text = hex(hash)
    const known = this.#hashes.get(ledgerSeq)
    if (known === undefined) this.#hashes.set(ledgerSeq, text)
    else if (known !== text) this.#agree = false
    for (const oldest of this.#hashes.keys()) {
      if (this.#hashes.size <= MAX_LEDGERS) break
      this.#hashes.delete(oldest)
    }
    for (const each of transactions) {
      const key = hex(each)
      const entry = this.#outstanding.get(key)
      if (entry === undefined) continue
      entry.nodes |= 1 << node
      if (entry.nodes !== this.#everybody) continue
      this.#outstanding.delete(key)
      this.#applied++
      this.#appliedMillis += now - entry.since
    }
  }

  result(now: number): Result {
    const ledger = Math.min(...this.#last)
    let late = 0
    for (const { since } of this.#outstanding.values()) if (now - since > LOST_MILLIS) late++
    return {
      submitted: this.#submitted,
      applied: this.#applied,
      underWay: this.#outstanding.size - late,
      lost: late + this.#refused,
      appliedMillis: this.#applied === 0 ? undefined : this.#appliedMillis / this.#applied,
      ledger,
      hash: this.#hashes.get(ledger),
      agree: this.#agree,
      inStep: this.#last.every((seq) => seq === ledger)
    }
  }
}
