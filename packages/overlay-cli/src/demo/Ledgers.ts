/**
 * The books of a demo: which payments were made, and in which ledger each is; which hash each node has for each ledger.
 * At the end they prove that nothing was lost and that all nodes agree, or show the opposite.
 *
 * A hash covers its ledger and all before it. So a payment is in everybody's ledgers when it is in a ledger of one node
 * and all nodes have come as far, with the same hashes; also a node that was away and took up the chain at a later ledger.
 */
import type { ClosedLedger } from "@stellar-overlay/overlay-test/ToyLedger"
import type { Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"

/**
 * A payment counts as lost when the node that was given it has closed so many ledgers since and it is in none of them.
 * Ledgers are counted, not seconds: on a slow machine, or without peers, nothing is lost as long as nothing closes.
 */
export const LOST_LEDGERS = 10

/** Ledgers whose hashes are compared; a difference stays known. */
const MAX_LEDGERS = 64

/** Payments that are remembered as applied, to notice one that is in two ledgers. */
const MAX_APPLIED = 65_536

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")

interface Outstanding {
  readonly transaction: Transaction
  /** The node that was given it. */
  readonly node: number
  readonly since: number
  /** How many ledgers the node had closed then. */
  readonly after: number
  /** The ledger it is in. */
  ledger: number | undefined
}

/** What the books say. */
export interface Result {
  readonly submitted: number
  /** In the ledgers of all nodes. */
  readonly applied: number
  /** Not in everybody's ledgers yet. */
  readonly underWay: number
  readonly lost: number
  /** In two ledgers. */
  readonly twice: number
  /** Milliseconds from submission until it was in everybody's ledgers; the mean. */
  readonly appliedMillis: number | undefined
  /** The last ledger that every node has closed, and its hash. */
  readonly ledger: number
  readonly hash: string | undefined
  /** Whether every node has the same hash for every ledger. */
  readonly agree: boolean
  /** Whether all nodes are at the same ledger at this moment. */
  readonly inStep: boolean
}

const keepNewest = (map: Map<unknown, unknown>, bound: number): void => {
  for (const oldest of map.keys()) {
    if (map.size <= bound) return
    map.delete(oldest)
  }
}

export class Ledgers {
  readonly #last: Array<number>
  /** How many ledgers each node has closed here. */
  readonly #closings: Array<number>
  readonly #outstanding = new Map<string, Outstanding>()
  /** The ledger of each payment that is applied. */
  readonly #ledgerOf = new Map<string, number>()
  readonly #hashes = new Map<number, string>()
  #agree = true
  #submitted = 0
  #applied = 0
  #refused = 0
  #twice = 0
  #appliedMillis = 0

  constructor(nodes: number) {
    this.#last = Array.from({ length: nodes }, () => 0)
    this.#closings = [...this.#last]
  }

  /** A payment is handed to a node. */
  submitted(hash: Uint8Array, transaction: Transaction, node: number, now: number): void {
    this.#submitted++
    this.#outstanding.set(hex(hash), { transaction, node, since: now, after: this.#closings[node]!, ledger: undefined })
  }

  /** The node did not take it. */
  refused(hash: Uint8Array): void {
    if (this.#outstanding.delete(hex(hash))) this.#refused++
  }

  /** Payments that a node was given and that are in no ledger: whoever made them would send them again. */
  unsettled(node: number): Array<Transaction> {
    return [...this.#outstanding.values()].flatMap((entry) =>
      entry.node === node && entry.ledger === undefined ? [entry.transaction] : []
    )
  }

  /** A node closed a ledger. */
  closed(node: number, { hash, ledgerSeq, transactions }: ClosedLedger, now: number): void {
    const text = hex(hash)
    const known = this.#hashes.get(ledgerSeq)
    if (known === undefined) {
      this.#hashes.set(ledgerSeq, text)
      keepNewest(this.#hashes, MAX_LEDGERS)
    } else if (known !== text) this.#agree = false
    for (const each of transactions) this.#settle(hex(each), ledgerSeq)
    this.#last[node] = ledgerSeq
    this.#closings[node]!++
    const common = Math.min(...this.#last)
    for (const [key, { ledger, since }] of this.#outstanding) {
      if (ledger === undefined || ledger > common) continue
      this.#outstanding.delete(key)
      this.#applied++
      this.#appliedMillis += now - since
    }
  }

  result(): Result {
    const ledger = Math.min(...this.#last)
    let late = 0
    for (const { after, ledger, node } of this.#outstanding.values()) {
      if (ledger === undefined && this.#closings[node]! - after >= LOST_LEDGERS) late++
    }
    return {
      submitted: this.#submitted,
      applied: this.#applied,
      underWay: this.#outstanding.size - late,
      lost: late + this.#refused,
      twice: this.#twice,
      appliedMillis: this.#applied === 0 ? undefined : this.#appliedMillis / this.#applied,
      ledger,
      hash: this.#hashes.get(ledger),
      agree: this.#agree,
      inStep: this.#last.every((seq) => seq === ledger)
    }
  }

  #settle(key: string, ledgerSeq: number): void {
    const before = this.#ledgerOf.get(key)
    if (before !== undefined) {
      if (before !== ledgerSeq) this.#twice++
      return
    }
    this.#ledgerOf.set(key, ledgerSeq)
    keepNewest(this.#ledgerOf, MAX_APPLIED)
    const entry = this.#outstanding.get(key)
    if (entry !== undefined) entry.ledger = ledgerSeq
  }
}
