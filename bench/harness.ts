/** Rounds, statistics, tables and verdicts: what all benchmarks share. */
import { cpus } from "node:os"

/** What one run of a variant measured, by the name of the metric. */
export type Measurement = Readonly<Record<string, number>>

/** Values of one metric over all rounds. */
export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** A table to print and its notes. */
export interface Table {
  readonly title: string
  readonly columns: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
  readonly notes?: ReadonlyArray<string>
}

/** One number of design section 8, held against its budget. */
export interface Verdict {
  readonly what: string
  readonly budget: string
  readonly measured: string
  readonly met: boolean
}

/** What a benchmark hands back. */
export interface Report {
  readonly tables: ReadonlyArray<Table>
  readonly verdicts: ReadonlyArray<Verdict>
  /** Everything measured, for the JSON file. */
  readonly data: unknown
}

/** How long and how often to measure. */
export interface Effort {
  readonly rounds: number
  /** What one run of one variant should take. */
  readonly millis: number
}

/** A benchmark of `npm run bench`. */
export interface Benchmark {
  readonly name: string
  readonly title: string
  readonly run: (effort: Effort) => Promise<Report>
}

/** The monotonic clock of the machine, the same in all processes, in milliseconds. */
export const millisNow = (): number => Number(process.hrtime.bigint()) / 1e6

/** Microseconds of processor time this process has used, all threads together. */
export const cpuMicros = (): number => {
  const { system, user } = process.cpuUsage()
  return system + user
}

/**
 * Microseconds of processor time this thread has used: what a loop costs, whoever else wants the processor meanwhile.
 * Its steps may be milliseconds: for runs of 50 and more. (@types/node does not know it yet.)
 */
export const threadMicros: () => number = (() => {
  const usage = (process as typeof process & { threadCpuUsage?: () => NodeJS.CpuUsage }).threadCpuUsage
  if (usage === undefined) return () => millisNow() * 1000
  return () => {
    const { system, user } = usage.call(process)
    return system + user
  }
})()

/** The value below which the fraction `q` of the values lies. */
export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN
}

export const summarize = (values: ReadonlyArray<number>): Summary => ({
  median: quantile(values, 0.5),
  min: Math.min(...values),
  max: Math.max(...values)
})

/** The rounds of several variants, in the order of the rounds. */
export class Rounds<Name extends string> {
  readonly runs: Record<Name, Array<Measurement>>

  constructor(names: ReadonlyArray<Name>) {
    this.runs = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Array<Measurement>> // fromEntries forgets the names
  }

  /** A metric of a variant. */
  of(name: Name, metric: string): Summary {
    return summarize(this.runs[name].map((run) => run[metric] ?? Number.NaN))
  }

  /** A metric of one variant over that of another, round by round. */
  ratio(name: Name, base: Name, metric: string): Summary {
    return summarize(this.runs[name].map((run, i) => (run[metric] ?? Number.NaN) / (this.runs[base][i]?.[metric] ?? 0)))
  }

  toJSON(): unknown {
    return this.runs
  }
}

/**
 * Runs all variants once per round, each round beginning with another one, so that a machine that becomes slower or
 * faster does so for all of them. The warm-up rounds are not counted.
 */
export const alternate = async <Name extends string>(
  rounds: number,
  variants: Readonly<Record<Name, () => Measurement | Promise<Measurement>>>,
  warmUp = 1
): Promise<Rounds<Name>> => {
  const names = Object.keys(variants) as Array<Name> // Object.keys forgets the names
  const result = new Rounds(names)
  for (let round = -warmUp; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round + warmUp) % names.length]!
      const measured = await variants[name]()
      if (round >= 0) result.runs[name].push(measured)
    }
  }
  return result
}

/** Three significant digits, with thousands set apart. */
export const figure = (value: number): string => {
  if (!Number.isFinite(value)) return "-"
  const magnitude = Math.abs(value)
  if (magnitude >= 100) return Math.round(value).toLocaleString("en-US").replaceAll(",", " ")
  return value.toFixed(magnitude >= 10 ? 1 : 2)
}

export const percent = (fraction: number): string => Number.isFinite(fraction) ? `${Math.round(fraction * 100)} %` : "-"

/** A ratio with its spread: `72 % (68..75)`. */
export const ratioText = ({ max, median, min }: Summary): string =>
  `${percent(median)} (${Math.round(min * 100)}..${Math.round(max * 100)})`

/** A median with its spread: `412 000 (398 000..420 000)`. */
export const spreadText = ({ max, median, min }: Summary): string =>
  `${figure(median)} (${figure(min)}..${figure(max)})`

const wrap = (text: string, width: number): Array<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** The table as text: the first column to the left, numbers to the right. */
export const render = ({ columns, notes = [], rows, title }: Table): string => {
  const widths = columns.map((column, i) => Math.max(column.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>) =>
    `  ${cells.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ")}`.trimEnd()
  return [
    title,
    line(columns),
    line(widths.map((width) => "-".repeat(width))),
    ...rows.map(line),
    ...notes.flatMap((note) => wrap(note, 112).map((text) => `  ${text}`)),
    ""
  ].join("\n")
}

/** The machine, for the head of the output and the JSON file. */
export const machine = (): { readonly node: string; readonly cpu: string; readonly cores: number } => ({
  node: process.version,
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: cpus().length
})
