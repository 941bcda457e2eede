/**
 * When pending transactions are advertised: not at once but in rounds, best fee first, so many operations a round.
 *
 * Classic and Soroban transactions have rounds of their own. The first transaction that waits starts the clock; as long
 * as any waits there is a round every period. After a ledger closed everything that is still pending is marked again, so
 * that peers which came meanwhile hear of it; the floodgate keeps it from the others, and what nobody is told takes
 * nothing from the round.
 *
 * The machine knows hashes and bids. Whoever drives it looks the transaction up when its turn comes, so that one which is
 * not pending any more is never advertised.
 *
 * Implements protocol.md 5.6 (stellar-core: `TransactionQueue::broadcast`, `broadcastSome`, `rebroadcast`).
 *
 * @since 0.1.0
 */
import { HashMap } from "../internal/hashMap.ts"
import { makeHashSeed } from "../internal/hashTable.ts"
import { FloodBudget, MAX_CLASSIC_CARRY_OVER, MAX_SOROBAN_CARRY_OVER } from "./FloodBudget.ts"
import type { FloodLimits } from "./FloodRates.ts"
import * as TransactionBid from "./TransactionBid.ts"

/**
 * Transactions known here at most; the oldest is let go. That is three times what the pool of a relay holds, so what is
 * let go is not pending any more.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_PENDING_FLOODS = 65_536

/**
 * Transactions that one round looks at and tells nobody, because everybody knows them or they are gone. The rest waits
 * for the next round.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_IDLE_LOOKS = 4096

/**
 * What became of a transaction whose turn came: some peer was `told`, all `known` it, or it is `gone`.
 *
 * @category models
 * @since 0.1.0
 */
export type Turn = "told" | "known" | "gone"

/**
 * A transaction in the rounds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Flooding {
  /** SHA-256 of the envelope. */
  readonly hash: Uint8Array
  /** The floodgate's key. */
  readonly key: Uint8Array
  readonly bid: TransactionBid.TransactionBid
}

interface Entry extends Flooding {
  readonly cost: number
  /** Of equal bids the first to come goes first. */
  readonly order: number
  /** Where it waits for its turn. */
  heap: Heap | undefined
}

const before = (a: Entry, b: Entry): boolean => {
  const difference = TransactionBid.compare(a.bid, b.bid)
  return difference === 0 ? a.order < b.order : difference < 0
}

/** Entries by bid: a binary heap, the best at the top. What is removed stays until it is at the top, or half of all. */
class Heap {
  #entries: Array<Entry> = []
  #removed = 0

  /** The best that was not removed. */
  get top(): Entry | undefined {
    for (let top = this.#entries[0]; top !== undefined && top.heap !== this; top = this.#entries[0]) {
      this.#take()
      this.#removed--
    }
    return this.#entries[0]
  }

  push(entry: Entry): void {
    const entries = this.#entries
    entry.heap = this
    let at = entries.length
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(entry, entries[parent]!)) break
      entries[at] = entries[parent]!
      at = parent
    }
    entries[at] = entry
  }

  /** Takes the top away. */
  pop(): void {
    const { top } = this
    if (top === undefined) return
    top.heap = undefined
    this.#take()
  }

  remove(entry: Entry): void {
    entry.heap = undefined
    this.#removed++
    if (2 * this.#removed < this.#entries.length) return
    this.#entries = this.#entries.filter(({ heap }) => heap === this)
    this.#removed = 0
    for (let at = (this.#entries.length >> 1) - 1; at >= 0; at--) this.#sink(this.#entries[at]!, at)
  }

  #take(): void {
    const last = this.#entries.pop()
    if (last !== undefined && this.#entries.length > 0) this.#sink(last, 0)
  }

  /** Puts an entry at a place, or below it. */
  #sink(last: Entry, from: number): void {
    const entries = this.#entries
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= entries.length) break
      if (child + 1 < entries.length && before(entries[child + 1]!, entries[child]!)) child++
      if (!before(entries[child]!, last)) break
      entries[at] = entries[child]!
      at = child
    }
    entries[at] = last
  }
}

/** The transactions of one kind of round. Those of the restricted lane have a budget besides the common one. */
class Queue {
  readonly #free = new Heap()
  readonly #restricted = new Heap()
  readonly #budget: FloodBudget
  readonly #restriction = new FloodBudget(MAX_CLASSIC_CARRY_OVER)
  /** The next round; undefined while nothing waits. */
  deadline: number | undefined

  constructor(maxCarryOver: number) {
    this.#budget = new FloodBudget(maxCarryOver)
  }

  push(entry: Entry, isRestricted: boolean, now: number, periodMillis: number): void {
    const heap = isRestricted ? this.#restricted : this.#free
    heap.push(entry)
    this.deadline ??= now + periodMillis
  }

  round(perRound: number, restriction: number, turn: (entry: Entry) => Turn): void {
    const budget = this.#budget
    budget.begin(perRound)
    this.#restriction.begin(restriction)
    let isRestricted = false
    let idle = 0
    let unmet = 0
    while (idle < MAX_IDLE_LOOKS) {
      const free = this.#free.top
      const restricted = isRestricted ? undefined : this.#restricted.top
      const takesRestricted = restricted !== undefined && (free === undefined || before(restricted, free))
      const entry = takesRestricted ? restricted : free
      if (entry === undefined) break
      if (!budget.allows(entry.cost)) {
        unmet = entry.cost
        break
      }
      if (takesRestricted && !this.#restriction.allows(entry.cost)) {
        isRestricted = true
        continue
      }
      const heap = takesRestricted ? this.#restricted : this.#free
      heap.pop()
      if (turn(entry) === "told") {
        budget.spend(entry.cost)
        if (takesRestricted) this.#restriction.spend(entry.cost)
      } else idle++
    }
    budget.end(unmet)
    this.#restriction.end()
  }

  /** Whether anything waits. */
  get isEmpty(): boolean {
    return this.#free.top === undefined && this.#restricted.top === undefined
  }
}

/**
 * The rounds of one node. Times are monotonic milliseconds; hashes and keys are kept, so they must own their bytes.
 *
 * @example
 * ```ts
 * import * as FloodRates from "@stellar-overlay/overlay/protocol/FloodRates"
 * import { FloodRounds } from "@stellar-overlay/overlay/protocol/FloodRounds"
 *
 * const ledger = { ledgerVersion: 23, maxTxSetSize: 1000, sorobanMaxTxCount: 0, closeTimeMillis: 5000 }
 * const rounds = new FloodRounds(Math.random, FloodRates.make(FloodRates.defaults, ledger))
 * const hash = new Uint8Array(32)
 *
 * rounds.add({ hash, key: hash, bid: { lane: "classic", fee: 100, operations: 1 } }, 0)
 * rounds.nextDeadline // 200: a period later
 * rounds.tick(200, () => "told") // calls back with what is to be advertised: 40 operations a round
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class FloodRounds {
  #limits: FloodLimits
  readonly #entries: HashMap<Entry>
  readonly #classic = new Queue(MAX_CLASSIC_CARRY_OVER)
  readonly #soroban = new Queue(MAX_SOROBAN_CARRY_OVER)
  #order = 0

  /** Rounds held since creation. */
  rounds = 0
  /** Transactions let go since creation because there were too many. */
  evicted = 0
  /** Transactions that were not pending any more when their turn came, since creation. */
  gone = 0

  /** `draw` gives numbers in [0, 1) that an attacker cannot predict. */
  constructor(draw: () => number, limits: FloodLimits, maxPending = MAX_PENDING_FLOODS) {
    this.#limits = limits
    this.#entries = new HashMap(makeHashSeed(draw), maxPending)
  }

  /** A ledger closed: adopt its limits. They hold from the next round on. */
  updateLimits(limits: FloodLimits): void {
    this.#limits = limits
  }

  /** Transactions known here, advertised or not. */
  get size(): number {
    return this.#entries.size
  }

  /** When to call `tick`, or undefined when nothing waits. */
  get nextDeadline(): number | undefined {
    const [a, b] = [this.#classic.deadline, this.#soroban.deadline]
    return a === undefined ? b : b === undefined ? a : Math.min(a, b)
  }

  /**
   * Takes in a transaction that has become pending. `isTold` says that it was advertised already and is only to be marked
   * again. False when it is known here.
   */
  add(flooding: Flooding, now: number, isTold = false): boolean {
    if (this.#entries.get(flooding.hash) !== undefined) return false
    if (this.#entries.isFull) {
      this.#remove(this.#entries.oldest!)
      this.evicted++
    }
    const { bid, hash, key } = flooding
    const entry: Entry = {
      hash,
      key,
      bid,
      cost: TransactionBid.costOf(bid),
      order: this.#order++,
      heap: undefined
    }
    this.#entries.add(hash, entry)
    if (!isTold) this.#wait(entry, now)
    return true
  }

  /**
   * A ledger closed: asks of everything whether it is to be advertised `again`, `rests`, or is `gone`. What waits for its
   * turn already goes on waiting, unless it is gone.
   */
  mark(ask: (flooding: Flooding) => "again" | "rests" | "gone", now: number): void {
    for (const entry of this.#entries.values()) {
      const answer = ask(entry)
      if (answer === "gone") this.#remove(entry)
      else if (answer === "again" && entry.heap === undefined) this.#wait(entry, now)
    }
  }

  /** Holds the rounds that are due: calls back for each transaction whose turn it is, best first. */
  tick(now: number, advertise: (flooding: Flooding) => Turn): void {
    const { dexOpsPerRound, opsPerRound, sorobanTxPeriodMillis, sorobanTxsPerRound, txPeriodMillis } = this.#limits
    const turn = (entry: Entry): Turn => {
      const result = advertise(entry)
      if (result === "gone") {
        this.gone++
        this.#remove(entry)
      }
      return result
    }
    const hold = (queue: Queue, periodMillis: number, perRound: number, restriction: number): void => {
      if (queue.deadline === undefined || now < queue.deadline) return
      this.rounds++
      queue.round(perRound, restriction, turn)
      queue.deadline = queue.isEmpty ? undefined : now + periodMillis
    }
    hold(this.#classic, txPeriodMillis, opsPerRound, dexOpsPerRound ?? opsPerRound)
    hold(this.#soroban, sorobanTxPeriodMillis, sorobanTxsPerRound, sorobanTxsPerRound)
  }

  /** Forgets everything. */
  clear(): void {
    for (const entry of this.#entries.values()) this.#remove(entry)
    this.#classic.deadline = undefined
    this.#soroban.deadline = undefined
  }

  #wait(entry: Entry, now: number): void {
    const { dexOpsPerRound, sorobanTxPeriodMillis, sorobanTxsPerRound, txPeriodMillis } = this.#limits
    const { lane } = entry.bid
    // A host that knows no limits of Soroban has one budget for everything.
    if (lane === "soroban" && sorobanTxsPerRound > 0) {
      this.#soroban.push(entry, false, now, sorobanTxPeriodMillis)
    } else this.#classic.push(entry, lane === "dex" && dexOpsPerRound !== undefined, now, txPeriodMillis)
  }

  #remove(entry: Entry): void {
    entry.heap?.remove(entry)
    this.#entries.delete(entry.hash)
  }
}
