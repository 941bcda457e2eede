/**
 * How a contract suite says that an implementation broke a rule, whatever runs the suite.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Schema from "effect/Schema"

/**
 * An implementation broke a rule: which case, and every comparison of it that failed.
 *
 * @category errors
 * @since 0.1.0
 */
export class ContractFailure extends Schema.TaggedError<ContractFailure>()("ContractFailure", {
  title: Schema.String,
  problems: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return [this.title, ...this.problems].join("\n  ")
  }
}

/**
 * Compares by value and remembers what differs.
 *
 * @category models
 * @since 0.1.0
 */
export type Same = <A>(what: string, actual: A, expected: A) => void

/**
 * Runs a case; it fails when a comparison did.
 *
 * @category constructors
 * @since 0.1.0
 */
export const check = <E, R>(
  title: string,
  body: (same: Same) => Effect.Effect<void, E, R>
): Effect.Effect<void, E | ContractFailure, R> =>
  Effect.suspend(() => {
    const problems: Array<string> = []
    const same: Same = (what, actual, expected) => {
      if (Equal.equals(actual, expected)) return
      problems.push(`${what}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`)
    }
    return Effect.andThen(
      body(same),
      Effect.suspend(
        () => (problems.length === 0 ? Effect.void : Effect.fail(new ContractFailure({ title, problems })))
      )
    )
  })
