/**
 * A line of output before it is text: pieces with a style each. Every piece is escaped when it becomes text, so nothing
 * that came from a peer reaches a terminal in any other way.
 */
import { displayWidth } from "effect/cli/CliOutput"
import { escape } from "./escape.ts"

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 } as const

export type Style = keyof typeof codes

export interface Span {
  readonly style: Style
  readonly text: string
}

export type Piece = string | Span

export type Line = ReadonlyArray<Piece>

const styled = (style: Style) => (text: string | number | bigint): Span => ({ style, text: String(text) })

export const bold = styled("bold")
export const dim = styled("dim")
export const red = styled("red")
export const green = styled("green")
export const yellow = styled("yellow")
export const blue = styled("blue")
export const magenta = styled("magenta")
export const cyan = styled("cyan")

const textOf = (piece: Piece): string => escape(typeof piece === "string" ? piece : piece.text)

const paint = (piece: Piece, text: string, colors: boolean): string =>
  typeof piece === "string" || !colors || text === "" ? text : `\x1b[${codes[piece.style]}m${text}\x1b[0m`

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })

/** As much of a text as fits into some columns. */
const cutText = (text: string, columns: number): string => {
  if (text.length <= columns && displayWidth(text) <= columns) return text
  let result = ""
  let used = 0
  for (const { segment } of graphemes.segment(text)) {
    used += displayWidth(segment)
    if (used > columns) break
    result += segment
  }
  return result
}

/** The columns a line takes. */
export const width = (line: Line): number => line.reduce((sum, piece) => sum + displayWidth(textOf(piece)), 0)

export interface RenderOptions {
  readonly colors: boolean
  /** Lines are cut to this many columns, with an ellipsis; undefined leaves them whole. */
  readonly columns?: number | undefined
}

/** The text of a line. */
export const render = (line: Line, { colors, columns }: RenderOptions): string => {
  if (columns === undefined || width(line) <= columns) {
    return line.map((piece) => paint(piece, textOf(piece), colors)).join("")
  }
  let left = Math.max(0, columns - 1)
  let result = ""
  for (const piece of line) {
    const whole = textOf(piece)
    const text = cutText(whole, left)
    result += paint(piece, text, colors)
    if (text !== whole) break
    left -= displayWidth(text)
  }
  return `${result}…`
}

/** Pieces with a separator between them, as many of them as fit into the columns. */
export const fit = (parts: ReadonlyArray<Line>, separator: Piece, columns: number): Line => {
  const result: Array<Piece> = []
  const between = width([separator])
  let left = columns
  for (const part of parts) {
    const needed = width(part) + (result.length === 0 ? 0 : between)
    if (needed > left) break
    if (result.length > 0) result.push(separator)
    result.push(...part)
    left -= needed
  }
  return result
}
