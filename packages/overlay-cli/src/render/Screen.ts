/**
 * Where output goes. Commands print lines, notes and objects; what a terminal needs besides is behind this seam.
 *
 * The default prints through Effect's `Console`, plain; `NodeScreen` knows terminals, colours and slow readers.
 */
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { toJsonText } from "./escape.ts"
import { type Line, render } from "./Line.ts"

export interface Screen {
  /** Whether a person watches: then there is a live line, and lines are cut to the width where that is asked for. */
  readonly isTerminal: boolean
  /** The width, Infinity when it does not matter. */
  readonly columns: () => number
  /** The height, Infinity when it does not matter. */
  readonly rows: () => number
  /** Prints lines to standard output, and waits while it takes no more. `cut` keeps each on one row of a terminal. */
  readonly print: (lines: ReadonlyArray<Line>, options?: { readonly cut?: boolean }) => Effect.Effect<void>
  /** Prints JSON to standard output, one value per line, or indented for a person. */
  readonly json: (values: ReadonlyArray<unknown>, options?: { readonly indent?: number }) => Effect.Effect<void>
  /** Prints lines to standard error. */
  readonly note: (lines: ReadonlyArray<Line>) => Effect.Effect<void>
  /** Sets the live line at the bottom of a terminal, or takes it away. Does nothing elsewhere. */
  readonly status: (line: Line | undefined) => Effect.Effect<void>
  /** As `status`, of several lines: as many as the terminal is high. None takes them away. */
  readonly live: (lines: ReadonlyArray<Line>) => Effect.Effect<void>
}

const plain = (line: Line): string => render(line, { colors: false })

export const console: Screen = {
  isTerminal: false,
  columns: () => Number.POSITIVE_INFINITY,
  rows: () => Number.POSITIVE_INFINITY,
  print: (lines) => Effect.forEach(lines, (line) => Console.log(plain(line)), { discard: true }),
  json: (values, options) =>
    Effect.forEach(values, (value) => Console.log(toJsonText(value, options?.indent)), { discard: true }),
  note: (lines) => Effect.forEach(lines, (line) => Console.error(plain(line)), { discard: true }),
  status: () => Effect.void,
  live: () => Effect.void
}

export const Screen = Context.Reference<Screen>("stellar-overlay/Screen", { defaultValue: () => console })
