/**
 * The standard streams of the process as a screen: colours and a live line on a terminal, plain lines elsewhere, and a
 * print waits while the reader of a pipe is behind.
 */
import * as Effect from "effect/Effect"
import { toJsonText } from "./escape.ts"
import { type Line, render } from "./Line.ts"
import type { Screen } from "./Screen.ts"

/** What a screen needs of a standard stream. */
export interface Stream {
  write(text: string): boolean
  once(event: "drain" | "close", listener: () => void): unknown
  off(event: "drain" | "close", listener: () => void): unknown
  readonly destroyed: boolean
  readonly columns?: number | undefined
  readonly rows?: number | undefined
  readonly isTTY?: boolean | undefined
}

export interface Options {
  readonly stdout: Stream
  readonly stderr: Stream
  readonly env: Readonly<Record<string, string | undefined>>
}

/** A width of 0 is what terminals say that do not know. */
const FALLBACK_COLUMNS = 80
const FALLBACK_ROWS = 24

/** Takes away the last rows of what was written: the cursor is at the end of the lowest. */
const clear = (rows: number): string => rows <= 1 ? "\r\x1b[K" : `\x1b[${rows - 1}A\r\x1b[J`

/** Colours are for terminals, unless NO_COLOR is set or the terminal is dumb. */
export const wantsColors = (stream: Stream, env: Options["env"]): boolean =>
  stream.isTTY === true && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb"

const drained = (stream: Stream): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const done = () => {
      stream.off("drain", done)
      stream.off("close", done)
      resume(Effect.void)
    }
    stream.once("drain", done)
    stream.once("close", done)
    return Effect.sync(() => {
      stream.off("drain", done)
      stream.off("close", done)
    })
  })

const write = (stream: Stream, text: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (stream.destroyed || stream.write(text)) return Effect.void
    return stream.destroyed ? Effect.void : drained(stream)
  })

export const make = ({ env, stderr, stdout }: Options): Screen => {
  const isTerminal = stdout.isTTY === true && env["TERM"] !== "dumb"
  const colors = wantsColors(stdout, env)
  const errorColors = wantsColors(stderr, env)
  const columns = () => isTerminal ? stdout.columns || FALLBACK_COLUMNS : Number.POSITIVE_INFINITY
  const rows = () => isTerminal ? stdout.rows || FALLBACK_ROWS : Number.POSITIVE_INFINITY
  let shown: ReadonlyArray<Line> = []
  let drawn = 0

  /** The live lines are always the last: taken away before other output, and put back after it. */
  const around = (text: string): string => {
    const fitting = shown.slice(0, rows() - 1)
    const before = drawn + fitting.length === 0 ? "" : clear(drawn)
    drawn = fitting.length
    return before + text + fitting.map((line) => render(line, { colors, columns: columns() - 1 })).join("\n")
  }

  const live = (lines: ReadonlyArray<Line>): Effect.Effect<void> =>
    !isTerminal ? Effect.void : Effect.suspend(() => {
      const none = shown.length === 0 && lines.length === 0
      shown = lines
      return none ? Effect.void : write(stdout, around(""))
    })

  return {
    isTerminal,
    columns,
    rows,
    print: (lines, options) =>
      lines.length === 0 ? Effect.void : Effect.suspend(() => {
        const cut = options?.cut === true && isTerminal ? columns() : undefined
        return write(stdout, around(lines.map((line) => `${render(line, { colors, columns: cut })}\n`).join("")))
      }),
    json: (values, options) =>
      values.length === 0
        ? Effect.void
        : Effect.suspend(() =>
          write(stdout, values.map((value) => `${toJsonText(value, options?.indent)}\n`).join(""))
        ),
    note: (lines) =>
      Effect.suspend(() => {
        const text = lines.map((line) => `${render(line, { colors: errorColors })}\n`).join("")
        return write(stderr, stderr.isTTY === true ? around(text) : text)
      }),
    status: (line) => live(line === undefined ? [] : [line]),
    live
  }
}
