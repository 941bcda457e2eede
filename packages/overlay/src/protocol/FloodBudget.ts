/**
 * How many transactions a host advertises per round: the best paying first, for as long as the round's budget lasts,
 * with what is left over carried into the next round.
 *
 * The budget is in operations for classic transactions, in transactions for Soroban. Carrying over is what lets a
 * transaction of 100 operations out at all where a round allows 40; the cap on it keeps a quiet minute from turning into
 * a burst.
 *
 * Implements protocol.md 5.6 (stellar-core: `TransactionQueue::broadcastSome`).
 *
 * @since 0.1.0
 */

/**
 * Classic operations carried over at most: the 100 of the greatest transaction, and one for its fee bump.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_CLASSIC_CARRY_OVER = 101

/**
 * Soroban transactions carried over at most.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_SOROBAN_CARRY_OVER = 1

/**
 * The budget of one queue, round after round.
 *
 * @example
 * ```ts
 * import { FloodBudget, MAX_CLASSIC_CARRY_OVER } from "@stellar-overlay/overlay/protocol/FloodBudget"
 *
 * const budget = new FloodBudget(MAX_CLASSIC_CARRY_OVER)
 * const pending = [{ fee: 100, operations: 1 }, { fee: 900, operations: 30 }, { fee: 500, operations: 20 }]
 * const flushed = budget.round(40, pending, {
 *   cost: (tx) => tx.operations,
 *   compare: (a, b) => b.fee * a.operations - a.fee * b.operations // greatest fee per operation first
 * })
 * flushed.map((tx) => tx.fee) // [100, 900]; of the 40 operations 9 are carried over
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class FloodBudget {
  readonly #maxCarryOver: number

  /** What the last round left over, while none is under way; what is left of the round, while one is. */
  carryOver = 0

  constructor(maxCarryOver: number) {
    this.#maxCarryOver = maxCarryOver
  }

  /** Begins a round. `spend` what is advertised in it, then `end` it. */
  begin(perRound: number): void {
    this.carryOver += perRound
  }

  /** Whether the round has room for something that costs so much. */
  allows(cost: number): boolean {
    return cost <= this.carryOver
  }

  /** Takes the cost of something that the round had room for. */
  spend(cost: number): void {
    this.carryOver -= cost
  }

  /** Ends a round: what is left is carried over. A greater `atLeast` lifts the cap, for a transaction that costs more. */
  end(atLeast = 0): void {
    this.carryOver = Math.min(this.carryOver, Math.max(this.#maxCarryOver, atLeast))
  }

  /**
   * A round: the items to advertise now, best first.
   *
   * `compare` is negative when `a` goes before `b`. The first item that costs more than what is left ends the round: a
   * cheaper one behind it waits, or one that costs much would never have its turn. Advertise what is returned, keep the
   * rest for the next round.
   */
  round<A>(perRound: number, items: Iterable<A>, options: {
    readonly cost: (item: A) => number
    readonly compare: (a: A, b: A) => number
  }): Array<A> {
    const flushed: Array<A> = []
    this.begin(perRound)
    for (const item of [...items].sort(options.compare)) {
      const cost = options.cost(item)
      if (!this.allows(cost)) break
      this.spend(cost)
      flushed.push(item)
    }
    this.end()
    return flushed
  }
}
