/**
 * The sum of many outcomes: what a campaign as a whole has shown, and what it has not.
 *
 * @since 0.1.0
 */
import * as SimFault from "../SimFault.ts"
import type { Outcome } from "./Campaign.ts"
import type { Failure } from "./Checker.ts"
import * as Sometimes from "./Sometimes.ts"

/**
 * A campaign in numbers. Plain data.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly seeds: number
  readonly failed: ReadonlyArray<{ readonly seed: string; readonly failures: ReadonlyArray<Failure> }>
  /** For each kind of fault: the runs it was planned in, those in which it took effect, and how often it did. */
  readonly faults: Readonly<Record<string, { readonly planned: number; readonly runs: number; readonly fired: number }>>
  /** Kinds that never took effect. */
  readonly neverFired: ReadonlyArray<string>
  /** Runs in which both kinds of a pair took effect, by `A + B`; pairs that never met are absent. */
  readonly together: Readonly<Record<string, number>>
  /** How many of all pairs of kinds met. */
  readonly pairs: { readonly met: number; readonly of: number }
  /** Runs that reached each point. */
  readonly sometimes: Readonly<Record<string, number>>
  readonly neverReached: ReadonlyArray<string>
  readonly messages: number
  readonly ledgers: number
  readonly steps: number
  readonly virtualMillis: number
  /** Covers the trace hashes of all seeds, in the order of the seeds. */
  readonly traceHash: string
}

const order = (a: string, b: string): number => {
  const [m, n] = [Number(a), Number(b)]
  return Number.isNaN(m) || Number.isNaN(n) ? (a < b ? -1 : a > b ? 1 : 0) : m - n
}

/** A hash over texts; it tells campaigns apart and protects against nobody. */
const digest = (texts: Iterable<string>): string => {
  let a = 0x811c9dc5
  let b = 0x9e3779b9
  for (const text of texts) {
    for (let i = 0; i < text.length; i++) {
      a = Math.imul(a ^ text.charCodeAt(i), 0x01000193)
      b = Math.imul(b ^ text.charCodeAt(i), 0x85ebca6b) + a | 0
    }
  }
  return (a >>> 0).toString(16).padStart(8, "0") + (b >>> 0).toString(16).padStart(8, "0")
}

/**
 * Adds up outcomes, in whatever order they come.
 *
 * @category models
 * @since 0.1.0
 */
export class Tally {
  readonly #hashes = new Map<string, string>()
  readonly #failed = new Map<string, ReadonlyArray<Failure>>()
  readonly #planned = new Map<string, number>()
  readonly #runs = new Map<string, number>()
  readonly #fired = new Map<string, number>()
  readonly #together = new Map<string, number>()
  readonly #points = new Map<string, number>()
  #messages = 0
  #ledgers = 0
  #steps = 0
  #millis = 0

  add(outcome: Outcome): void {
    this.#hashes.set(outcome.seed, outcome.traceHash)
    if (outcome.failures.length > 0) this.#failed.set(outcome.seed, outcome.failures)
    const plus = (counts: Map<string, number>, key: string, by = 1) => counts.set(key, (counts.get(key) ?? 0) + by)
    for (const kind of outcome.planned) plus(this.#planned, kind)
    const kinds = Object.keys(outcome.fired).sort()
    for (const [index, kind] of kinds.entries()) {
      plus(this.#runs, kind)
      plus(this.#fired, kind, outcome.fired[kind])
      for (const other of kinds.slice(index + 1)) plus(this.#together, `${kind} + ${other}`)
    }
    for (const point of outcome.sometimes) plus(this.#points, point)
    this.#messages += outcome.messages
    this.#ledgers += outcome.ledger
    this.#steps += outcome.steps
    this.#millis += outcome.millis
  }

  get seeds(): number {
    return this.#hashes.size
  }

  get failures(): number {
    return this.#failed.size
  }

  /** Kinds of faults that took effect so far. */
  get kinds(): number {
    return this.#runs.size
  }

  report(): Report {
    const total = SimFault.kinds.length
    return {
      seeds: this.seeds,
      failed: [...this.#failed].sort(([a], [b]) => order(a, b)).map(([seed, failures]) => ({ seed, failures })),
      faults: Object.fromEntries(
        SimFault.kinds.map((kind) => [kind, {
          planned: this.#planned.get(kind) ?? 0,
          runs: this.#runs.get(kind) ?? 0,
          fired: this.#fired.get(kind) ?? 0
        }])
      ),
      neverFired: SimFault.kinds.filter((kind) => !this.#runs.has(kind)),
      together: Object.fromEntries([...this.#together].sort(([a], [b]) => (a < b ? -1 : 1))),
      pairs: { met: this.#together.size, of: total * (total - 1) / 2 },
      sometimes: Object.fromEntries(Sometimes.names.map((name) => [name, this.#points.get(name) ?? 0])),
      neverReached: Sometimes.names.filter((name) => !this.#points.has(name)),
      messages: this.#messages,
      ledgers: this.#ledgers,
      steps: this.#steps,
      virtualMillis: this.#millis,
      traceHash: digest([...this.#hashes].sort(([a], [b]) => order(a, b)).map(([seed, hash]) => `${seed} ${hash}\n`))
    }
  }
}
