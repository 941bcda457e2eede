/** A defect that is planted on purpose, to see that something notices. */
export interface Mutant {
  /** In kebab case, unique. */
  readonly name: string
  /** From the root of the repository. */
  readonly file: string
  /** Occurs exactly once in the file. */
  readonly find: string
  readonly replace: string
  /** Rows of the attack catalogue that must be red: with `stellar-overlay conformance` where the wire shows it. */
  readonly rows: ReadonlyArray<string>
}

/** One that the seeds of a campaign must notice. */
export const mutant = (name: string, file: string, find: string, replace: string): Mutant => ({
  name,
  file,
  find,
  replace,
  rows: []
})
