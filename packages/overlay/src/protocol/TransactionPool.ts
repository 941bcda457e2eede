/**
 * Transactions by the SHA-256 of their envelope, for a node without a ledger: it cannot tell whether they are valid or
 * applied, so it keeps them for a while, passes them on, and then wants to hear no more of them for a while.
 *
 * When there is no room, the oldest goes; it may come again. What is too large, and what had its time, is banned.
 *
 * A stand-in for protocol.md 5.6 (stellar-core: `TransactionQueue`, which also judges fees and sequence numbers).
 *
 * @since 0.1.0
 */
import { HashMap } from "../internal/hashMap.ts"
import { makeHashSeed } from "../internal/hashTable.ts"
import type { Transaction } from "../wire/StellarMessage.ts"
import { MAX_CLASSIC_TRANSACTION_SIZE } from "./LedgerContext.ts"

/**
 * The bounds.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransactionPoolOptions {
  readonly maxTransactions: number
  readonly maxBytes: number
  /** A greater TRANSACTION message is rejected. */
  readonly maxTransactionSize: number
  /** How long a transaction is kept, in milliseconds. */
  readonly lifetimeMillis: number
  /** How long a hash is banned, in milliseconds. */
  readonly banMillis: number
  /** Hashes banned; the one banned first is let go first. */
  readonly maxBanned: number
}

/**
 * The default bounds: 20,000 transactions, 32 MiB, a minute each (stellar-core: four ledgers), then banned for a minute
 * (stellar-core: ten ledgers), 65,536 at once.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: TransactionPoolOptions = {
  maxTransactions: 20_000,
  maxBytes: 33_554_432,
  maxTransactionSize: MAX_CLASSIC_TRANSACTION_SIZE,
  lifetimeMillis: 60_000,
  banMillis: 60_000,
  maxBanned: 65_536
}

interface Entry {
  readonly hash: Uint8Array
  readonly message: Transaction
  readonly until: number
}

interface Ban {
  readonly hash: Uint8Array
  readonly until: number
}

/**
 * The pool. Times are monotonic milliseconds; hashes and messages may be views.
 *
 * @category models
 * @since 0.1.0
 */
export class TransactionPool {
  readonly #options: TransactionPoolOptions
  readonly #pending: HashMap<Entry>
  readonly #banned: HashMap<Ban>

  /** Bytes of all transactions. */
  bytes = 0
  /** Transactions dropped since creation for want of room. */
  evicted = 0

  /** `draw` gives numbers in [0, 1) that an attacker cannot predict. */
  constructor(draw: () => number, options: TransactionPoolOptions = defaults) {
    this.#options = options
    this.#pending = new HashMap(makeHashSeed(draw), options.maxTransactions)
    this.#banned = new HashMap(makeHashSeed(draw), options.maxBanned)
  }

  get size(): number {
    return this.#pending.size
  }

  get banned(): number {
    return this.#banned.size
  }

  /** Takes a transaction, given with the hash of its envelope. */
  receive(message: Transaction, hash: Uint8Array, now: number): "pending" | "duplicate" | "rejected" | "banned" {
    const { lifetimeMillis, maxBytes, maxTransactionSize } = this.#options
    this.expire(now)
    if (this.#banned.get(hash) !== undefined) return "banned"
    if (this.#pending.get(hash) !== undefined) return "duplicate"
    if (message.size > Math.min(maxTransactionSize, maxBytes)) {
      this.ban(hash, now)
      return "rejected"
    }
    while (this.#pending.isFull || this.bytes + message.size > maxBytes) {
      this.#remove(this.#pending.oldest!)
      this.evicted++
    }
    this.#pending.add(hash, { hash: hash.slice(), message: message.retain(), until: now + lifetimeMillis })
    this.bytes += message.size
    return "pending"
  }

  status(hash: Uint8Array, now: number): "known" | "banned" | "unknown" {
    this.expire(now)
    return this.#pending.get(hash) !== undefined ? "known" : this.#banned.get(hash) !== undefined ? "banned" : "unknown"
  }

  get(hash: Uint8Array): Transaction | undefined {
    return this.#pending.get(hash)?.message
  }

  /** Drops a transaction, if it is held, and refuses it for a while. */
  ban(hash: Uint8Array, now: number): void {
    const entry = this.#pending.get(hash)
    if (entry !== undefined) this.#remove(entry)
    this.#banned.delete(hash)
    if (this.#banned.isFull) this.#banned.deleteOldest()
    this.#banned.add(hash, { hash: hash.slice(), until: now + this.#options.banMillis })
  }

  /** Bans what had its time, and lets go what was banned long enough. Costs a comparison when there is nothing to do. */
  expire(now: number): void {
    for (let entry = this.#pending.oldest; entry !== undefined && entry.until <= now; entry = this.#pending.oldest) {
      this.ban(entry.hash, entry.until)
    }
    for (let ban = this.#banned.oldest; ban !== undefined && ban.until <= now; ban = this.#banned.oldest) {
      this.#banned.deleteOldest()
    }
  }

  #remove({ hash, message }: Entry): void {
    this.#pending.delete(hash)
    this.bytes -= message.size
  }
}
