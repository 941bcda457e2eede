/**
 * The transactions of one peer as a light client sees them: advertised, asked for, received, in a ledger.
 *
 * It asks for each transaction once, in as many demands as there were adverts, and for the transaction set of each ledger
 * that closes: about what a node would ask this peer for. It keeps nothing of a transaction but its facts.
 *
 * Synchronous: messages and times in milliseconds go in, messages to send come out.
 */
import { MessageType } from "@stellar-overlay/overlay/wire/MessageType"
import {
  type FloodAdvert,
  FloodDemand,
  type GeneralizedTxSet,
  GetTxSet,
  type ScpMessage,
  type StellarMessage,
  type Transaction,
  type TxSet
} from "@stellar-overlay/overlay/wire/StellarMessage"
import type { Hashing } from "../render/message.ts"
import { envelopesOf, factsOf, type TransactionFacts } from "./envelopes.ts"

/** Transactions that are remembered; the oldest go first. */
export const MAX_TRACKED = 50_000

/** Ledgers whose transaction set is awaited; the oldest go first. */
export const MAX_AWAITED = 12

/** A demand that brought nothing within this time is given up: there are no negative answers. */
export const UNANSWERED_MILLIS = 5000

/** What is known of a transaction; times in milliseconds, undefined for what has not happened. */
export interface Tracked {
  /** Lower-case hex. */
  readonly hash: string
  readonly firstSeen: number
  advertised: number | undefined
  demanded: number | undefined
  received: number | undefined
  unanswered: boolean
  facts: TransactionFacts | undefined
  /** The ledger it is in. */
  ledger: number | undefined
}

export type Event =
  | { readonly _tag: "Received"; readonly transaction: Tracked }
  | { readonly _tag: "Unanswered"; readonly transaction: Tracked }
  /** A ledger closed, and this is in it. */
  | {
    readonly _tag: "Ledger"
    readonly ledger: number
    /** In its transaction set. */
    readonly transactions: number
    /** Those of them that were seen here before. */
    readonly seen: ReadonlyArray<Tracked>
  }

/** Totals since the start. */
export interface Counts {
  advertised: number
  demanded: number
  received: number
  /** Received without having been demanded. */
  unasked: number
  duplicates: number
  unanswered: number
  ledgers: number
  inLedgers: number
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")

const oldest = <K>(map: Map<K, unknown>, bound: number): void => {
  for (const key of map.keys()) {
    if (map.size <= bound) return
    map.delete(key)
  }
}

export class Mempool {
  readonly #hashing: Hashing
  readonly #tracked = new Map<string, Tracked>()
  /** Demands without an answer yet, the oldest first. */
  readonly #open = new Map<string, Tracked>()
  /** Ledgers by the hash of their transaction set. */
  readonly #awaited = new Map<string, number>()
  #ledger = 0
  readonly counts: Counts = {
    advertised: 0,
    demanded: 0,
    received: 0,
    unasked: 0,
    duplicates: 0,
    unanswered: 0,
    ledgers: 0,
    inLedgers: 0
  }

  constructor(hashing: Hashing) {
    this.#hashing = hashing
  }

  /** Demands without an answer. */
  get open(): number {
    return this.#open.size
  }

  /** The last ledger that was heard to close. */
  get ledger(): number {
    return this.#ledger
  }

  /** Received and in no ledger yet, of those remembered. */
  waiting(): number {
    let count = 0
    for (const { ledger, received } of this.#tracked.values()) {
      if (ledger === undefined && received !== undefined) count++
    }
    return count
  }

  /** Takes a message; what it makes worth telling goes to `events`, what is to be sent is returned. */
  receive(message: StellarMessage, now: number, events: Array<Event>): StellarMessage | undefined {
    switch (message._tag) {
      case "FloodAdvert":
        return this.#advert(message, now)
      case "Transaction":
        this.#transaction(message, now, events)
        return undefined
      case "ScpMessage":
        return this.#statement(message)
      case "GeneralizedTxSet":
      case "TxSet":
        this.#txSet(message, now, events)
        return undefined
      case "DontHave":
        if (message.itemType !== MessageType.Transaction) this.#awaited.delete(hex(message.hash))
        return undefined
      default:
        return undefined
    }
  }

  /** Gives up demands that are too old. */
  tick(now: number, events: Array<Event>): void {
    for (const [hash, transaction] of this.#open) {
      if (now - (transaction.demanded ?? now) < UNANSWERED_MILLIS) return
      this.#open.delete(hash)
      transaction.unanswered = true
      this.counts.unanswered++
      events.push({ _tag: "Unanswered", transaction })
    }
  }

  #track(hash: string, now: number): Tracked {
    const transaction: Tracked = {
      hash,
      firstSeen: now,
      advertised: undefined,
      demanded: undefined,
      received: undefined,
      unanswered: false,
      facts: undefined,
      ledger: undefined
    }
    this.#tracked.set(hash, transaction)
    oldest(this.#tracked, MAX_TRACKED)
    return transaction
  }

  #advert(message: FloodAdvert, now: number): FloodDemand | undefined {
    const wanted: Array<Uint8Array> = []
    for (let i = 0; i < message.count; i++) {
      const hash = message.hash(i)
      const key = hex(hash)
      if (this.#tracked.has(key)) continue
      const transaction = this.#track(key, now)
      transaction.advertised = now
      transaction.demanded = now
      this.#open.set(key, transaction)
      oldest(this.#open, MAX_TRACKED)
      wanted.push(hash)
    }
    this.counts.advertised += wanted.length
    this.counts.demanded += wanted.length
    return wanted.length === 0 ? undefined : FloodDemand.make({ hashes: wanted })
  }

  #transaction(message: Transaction, now: number, events: Array<Event>): void {
    const key = hex(this.#hashing.sha256(message.envelope))
    const transaction = this.#tracked.get(key) ?? this.#track(key, now)
    if (transaction.received !== undefined) {
      this.counts.duplicates++
      return
    }
    if (!this.#open.delete(key) && !transaction.unanswered) this.counts.unasked++
    transaction.received = now
    transaction.facts = factsOf(message)
    this.counts.received++
    events.push({ _tag: "Received", transaction })
  }

  /** The peer passes on what it verified, so the first EXTERNALIZE for a ledger says what is in it. */
  #statement(message: ScpMessage): GetTxSet | undefined {
    const ledger = message.slotNumber
    const hash = message.txSetHashes[0]
    if (message.statementType !== "EXTERNALIZE" || ledger === undefined || ledger <= this.#ledger) return undefined
    this.#ledger = ledger
    this.counts.ledgers++
    if (hash === undefined) return undefined
    this.#awaited.set(hex(hash), ledger)
    oldest(this.#awaited, MAX_AWAITED)
    return GetTxSet.make({ hash })
  }

  #txSet(message: GeneralizedTxSet | TxSet, now: number, events: Array<Event>): void {
    const { sha256 } = this.#hashing
    const hashed = message._tag === "GeneralizedTxSet"
      ? message.body
      : Buffer.concat([message.previousLedgerHash, message.transactions])
    const key = hex(sha256(hashed))
    const ledger = this.#awaited.get(key)
    if (ledger === undefined) return
    this.#awaited.delete(key)
    const envelopes = envelopesOf(message)
    const seen: Array<Tracked> = []
    for (const envelope of envelopes) {
      const hash = hex(sha256(envelope))
      const transaction = this.#tracked.get(hash)
      if (transaction === undefined) {
        this.#track(hash, now).ledger = ledger // an advert for it comes too late to matter
        continue
      }
      transaction.ledger = ledger
      this.counts.inLedgers++
      seen.push(transaction)
    }
    events.push({ _tag: "Ledger", ledger, transactions: envelopes.length, seen })
  }
}
