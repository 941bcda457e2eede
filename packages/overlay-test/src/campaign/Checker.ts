/**
 * A property of a whole network, judged from observations as they come.
 *
 * Checkers are pure observers: they keep their own books, touch nothing, and say what broke, when and at whom. Each is
 * proved to see what it is for by a feed that breaks the property.
 *
 * @since 0.1.0
 */
import type { Observation, Of } from "./Observation.ts"

/**
 * Failures that one checker keeps of one run; the count goes on.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_FAILURES = 8

/**
 * Something that must not be. Plain data.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failure {
  /** The checker's name. */
  readonly checker: string
  /** Virtual milliseconds. */
  readonly at: number
  readonly nodes: ReadonlyArray<string>
  readonly text: string
}

/**
 * What a checker does with each kind of observation; kinds it leaves out do not reach it. `end` is called once, last.
 *
 * @category models
 * @since 0.1.0
 */
export type Handlers =
  & { readonly [Tag in Observation["_tag"]]?: (observation: Of<Tag>) => void }
  & { readonly end?: (at: number) => void }

/**
 * Says that something is wrong.
 *
 * @category models
 * @since 0.1.0
 */
export type Fail = (at: number, nodes: ReadonlyArray<string>, text: string) => void

/**
 * A checker, ready to be started for one run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Checker {
  readonly name: string
  /** The property, in one sentence. */
  readonly holds: string
  readonly start: (fail: Fail) => Handlers
}

/**
 * Makes a checker.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string, holds: string, start: (fail: Fail) => Handlers): Checker => ({ name, holds, start })

type AnyHandler = (observation: Observation) => void

/**
 * Some checkers at work on one run.
 *
 * @category models
 * @since 0.1.0
 */
export class Panel {
  /** In the order in which they were found. */
  readonly failures: Array<Failure> = []
  /** Failures beyond `MAX_FAILURES` of a checker, which were not kept. */
  dropped = 0
  readonly #handlers = new Map<Observation["_tag"], Array<AnyHandler>>()
  readonly #ends: Array<(at: number) => void> = []
  readonly #counts = new Map<string, number>()
  readonly #onFailure: ((failure: Failure) => void) | undefined

  constructor(checkers: ReadonlyArray<Checker>, onFailure?: (failure: Failure) => void) {
    this.#onFailure = onFailure
    for (const checker of checkers) {
      const { end, ...handlers } = checker.start((at, nodes, text) => this.#fail(checker.name, at, nodes, text))
      if (end !== undefined) this.#ends.push(end)
      for (const [tag, handler] of Object.entries(handlers)) {
        const key = tag as Observation["_tag"] // the keys of Handlers without `end`
        const list = this.#handlers.get(key) ?? []
        list.push(handler as AnyHandler) // called with observations of its own tag only
        this.#handlers.set(key, list)
      }
    }
  }

  observe(observation: Observation): void {
    const handlers = this.#handlers.get(observation._tag)
    if (handlers === undefined) return
    for (const handler of handlers) handler(observation)
  }

  /** The run is over; checkers say what is missing. */
  end(at: number): void {
    for (const end of this.#ends) end(at)
  }

  #fail(checker: string, at: number, nodes: ReadonlyArray<string>, text: string): void {
    const count = (this.#counts.get(checker) ?? 0) + 1
    this.#counts.set(checker, count)
    if (count > MAX_FAILURES) {
      this.dropped++
      return
    }
    const failure: Failure = { checker, at, nodes, text }
    this.failures.push(failure)
    this.#onFailure?.(failure)
  }
}
