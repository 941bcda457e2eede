/** What came of the attacks: a table by row of the catalogue, and what was not looked at. */
import { bold, dim, green, type Line, red } from "../render/Line.ts"
import { millis, plural } from "../render/units.ts"
import { type Plan, type Why, whys } from "./plan.ts"
import type { Result } from "./trials.ts"

/** Failures of one row that are printed; all are in the JSON. */
const SHOWN = 4

/** A row of the table: several attacks may share an id. */
export interface Row {
  readonly id: string
  readonly title: string
  readonly variants: number
  readonly failures: ReadonlyArray<Result>
}

export interface Report {
  readonly rows: ReadonlyArray<Row>
  readonly left: Plan["left"]
  readonly empty: ReadonlyArray<string>
  readonly neighbour: string | undefined
  readonly alive: string | undefined
  /** Variants that came to no attack, and why the first of them did not. */
  readonly untried: { readonly variants: number; readonly why: string } | undefined
  /** What is worth saying about the node beside that. */
  readonly notes: ReadonlyArray<string>
  readonly millis: number
}

export const rowsOf = ({ rows }: Plan, results: ReadonlyArray<Result>): ReadonlyArray<Row> =>
  rows.flatMap(({ id, title }, row) => {
    const mine = results.filter((result) => result.row === row && result.untried === undefined)
    const failures = mine.filter(({ problems }) => problems.length > 0)
    return mine.length === 0 ? [] : [{ id, title, variants: mine.length, failures }]
  })

export const untriedOf = (results: ReadonlyArray<Result>): Report["untried"] => {
  const whys = results.flatMap(({ untried }) => untried ?? [])
  return whys[0] === undefined ? undefined : { variants: whys.length, why: whys[0] }
}

export const isGreen = ({ alive, neighbour, rows, untried }: Report): boolean =>
  rows.length > 0 && neighbour === undefined && alive === undefined && untried === undefined &&
  rows.every(({ failures }) => failures.length === 0)

const verdict = (good: boolean) => (good ? green("ok    ") : red("FAILED"))

const rowLines = ({ failures, id, title, variants }: Row): ReadonlyArray<Line> => [
  [
    "  ",
    bold(id.padEnd(4)),
    verdict(failures.length === 0),
    ` ${variants - failures.length}/${variants}`.padEnd(11),
    title
  ],
  ...failures.slice(0, SHOWN).map(({ problems, variant }): Line => ["         ", `${variant}: `, problems.join("; ")]),
  ...(failures.length > SHOWN ? [["         ", dim(`and ${failures.length - SHOWN} more`)] as Line] : [])
]

const globalLine = (id: string, title: string, trouble: string | undefined): Line => [
  "  ",
  bold(id.padEnd(4)),
  verdict(trouble === undefined),
  "           ",
  trouble === undefined ? title : `${title}: ${trouble}`
]

const leftLines = ({ empty, left, notes, untried }: Report): ReadonlyArray<Line> => [
  ...notes.map((note): Line => ["  ", dim(note)]),
  ...(untried === undefined
    ? []
    : [["  ", red("not tried"), `: ${plural(untried.variants, "variant")}, because ${untried.why}`] as Line]),
  ...[...left].map(([why, count]): Line => ["  ", dim(`not checked: ${count} variants that ${whys[why]}`)]),
  ...(empty.length === 0 ? [] : [["  ", dim(`not checked at all: ${empty.join(", ")}`)] as Line]),
  [
    "  ",
    dim("not checked: rows that only a node's tests can see, and why the node ended a connection")
  ]
]

export const lines = (report: Report): ReadonlyArray<Line> => {
  const { rows } = report
  const failed = rows.filter(({ failures }) => failures.length > 0)
  const variants = rows.reduce((sum, row) => sum + row.variants, 0)
  return [
    ...rows.flatMap(rowLines),
    globalLine("G1", "the node lives and lets an honest peer in afterwards", report.alive),
    globalLine("G2", "an honest neighbour stayed connected", report.neighbour),
    [],
    [
      isGreen(report)
        ? green("all as it must be")
        : red(
          failed.length > 0
            ? `${failed.length} rows are red`
            : report.untried === undefined
            ? "red"
            : "not all was tried"
        ),
      `: ${variants} variants of ${rows.length} attacks in ${millis(report.millis)}`
    ],
    ...leftLines(report)
  ]
}

export const toJson = (report: Report): ReadonlyArray<unknown> => [
  ...report.rows.map(({ failures, id, title, variants }) => ({
    row: id,
    title,
    ok: failures.length === 0,
    variants,
    failures: failures.map(({ heard, problems, variant }) => ({ variant, problems, heard }))
  })),
  { row: "G1", ok: report.alive === undefined, problem: report.alive },
  { row: "G2", ok: report.neighbour === undefined, problem: report.neighbour },
  {
    summary: true,
    ok: isGreen(report),
    attacks: report.rows.length,
    variants: report.rows.reduce((sum, row) => sum + row.variants, 0),
    red: [...new Set(report.rows.filter(({ failures }) => failures.length > 0).map(({ id }) => id))],
    millis: Math.round(report.millis),
    untried: report.untried,
    notes: report.notes,
    notChecked: Object.fromEntries([...report.left].map(([why, count]): [Why, number] => [why, count])),
    rowsNotChecked: report.empty
  }
]
