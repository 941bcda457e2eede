/** What a check found, and what can be done about it. */
import { ExitCode } from "../ExitCode.ts"
import { dim, green, type Line, red, yellow } from "../render/Line.ts"

/** `skip`: could not be looked at here, or was not asked for. */
export type Status = "ok" | "warn" | "fail" | "skip"

export interface Finding {
  /** What was looked at. */
  readonly check: string
  readonly status: Status
  readonly text: string
  readonly hint?: string | undefined
  /** Of a `fail`; `Rejected` unless given. */
  readonly code?: ExitCode | undefined
}

const labels = {
  ok: green("  ok"),
  warn: yellow("warn"),
  fail: red("fail"),
  skip: dim("   -")
}

/** One line, and one more for the hint. */
export const lines = ({ check, hint, status, text }: Finding): ReadonlyArray<Line> => [
  [labels[status], `  ${check.padEnd(10)} `, text],
  ...(hint === undefined ? [] : [["      ", " ".repeat(11), dim(hint)]])
]

/** The exit code of a finding: warnings are for people. */
export const exitCode = ({ code = ExitCode.Rejected, status }: Finding): ExitCode =>
  status === "fail" ? code : ExitCode.Ok
