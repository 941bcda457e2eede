/**
 * What the program says to the shell.
 *
 * | Code | Meaning |
 * | --- | --- |
 * | 0 | done |
 * | 1 | a check found something: a simulation that failed, a mutant that lives |
 * | 2 | wrong arguments or bad input |
 * | 3 | unreachable: no connection came to be, it broke, or it stayed silent |
 * | 4 | rejected: one side refused the other, or the peer broke the protocol |
 * | 70 | a bug of this program |
 * | 130 | interrupted before there was a result |
 */
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import * as Data from "effect/Data"

/** The exit codes of all commands, by what they mean. */
export const ExitCode = { Ok: 0, Failed: 1, Usage: 2, Unreachable: 3, Rejected: 4, Bug: 70, Interrupted: 130 } as const

/** One of them. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

/** Ends a command that has already said why. */
export class Ended extends Data.TaggedError("Ended")<{ readonly code: ExitCode }> {}

/** The code for a connection that ended, or never came to be, for a reason. */
export const ofDrop = (reason: DropReason.DropReason): ExitCode => {
  switch (DropReason.kind(reason)) {
    case "unreachable":
    case "timeout":
      return ExitCode.Unreachable
    case "rejected":
    case "load":
    case "violation":
      return ExitCode.Rejected
    case "local":
      return ExitCode.Ok
    case "bug":
      return ExitCode.Bug
  }
}

/** The worst of several. */
export const worst = (codes: Iterable<ExitCode>): ExitCode => {
  let result: ExitCode = ExitCode.Ok
  for (const code of codes) if (code > result) result = code
  return result
}
