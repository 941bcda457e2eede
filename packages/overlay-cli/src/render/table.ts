/** Rows in columns: as wide as what is in them, and left out from the right when the terminal is narrow. */
import { bold, type Line, type Piece, width } from "./Line.ts"

/** A column of a table of `A`s. */
export interface Column<A> {
  readonly title: string
  /** Numbers go to the right. */
  readonly right?: boolean | undefined
  readonly cell: (row: A) => Line
}

const GAP = 2

const padded = (cell: Line, columns: number, right: boolean): ReadonlyArray<Piece> => {
  const space = " ".repeat(Math.max(0, columns - width(cell)))
  return right ? [space, ...cell] : [...cell, space]
}

/** The head and the rows. */
export const table = <A>(
  columns: ReadonlyArray<Column<A>>,
  rows: ReadonlyArray<A>,
  maxWidth: number
): ReadonlyArray<Line> => {
  const lines: Array<Array<Piece>> = [[], ...rows.map(() => [])]
  let used = 0
  for (const { cell, right = false, title } of columns) {
    const cells: ReadonlyArray<Line> = [[bold(title)], ...rows.map(cell)]
    const wide = Math.max(...cells.map(width))
    const gap = used === 0 ? 0 : GAP
    if (used > 0 && used + gap + wide > maxWidth) break
    used += gap + wide
    for (const [i, line] of lines.entries()) line.push(" ".repeat(gap), ...padded(cells[i] ?? [], wide, right))
  }
  return lines
}
