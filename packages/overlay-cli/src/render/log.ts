/** Log messages as notes: on standard error, escaped, with the first line of their cause. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Logger from "effect/Logger"
import { dim, type Line, red, yellow } from "./Line.ts"
import type { Screen } from "./Screen.ts"
import { timeOfDay } from "./units.ts"

const textOf = (message: unknown): string => {
  const parts = Array.isArray(message) ? message : [message]
  return parts.map((part) => typeof part === "string" ? part : Inspectable.toStringUnknown(part, 0)).join(" ")
}

/** The loggers to run a program with. */
export const loggers = (screen: Screen): ReadonlySet<Logger.Logger<unknown, unknown>> =>
  new Set([
    Logger.make(({ cause, date, logLevel, message }) => {
      const reason = cause.reasons.length === 0 ? "" : `: ${Cause.pretty(cause).split("\n")[0] ?? ""}`
      const level = (logLevel === "Error" || logLevel === "Fatal" ? red : yellow)(logLevel.toLowerCase())
      const line: Line = [dim(timeOfDay(date.getTime())), " ", level, " ", textOf(message), reason]
      Effect.runFork(screen.note([line]))
    })
  ])
