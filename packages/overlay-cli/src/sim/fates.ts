/** How planted defects fared, and what that says of those who were to notice them. */
import { bold, dim, green, type Line, red } from "../render/Line.ts"

/** A defect that was planted. */
export interface Planted {
  readonly name: string
  /** No defect at all: whoever sees one here sees ghosts. */
  readonly isControl: boolean
  /** One that nobody can miss: whoever misses it looks at nothing. */
  readonly isCanary: boolean
}

/** How one mutant fared. */
export interface Fate {
  readonly name: string
  /** Seeds that were run, the last of which killed it if any did. */
  readonly seeds: number
  readonly killedBy: string | undefined
  readonly checker: string | undefined
  readonly text: string | undefined
  /** Why it did not run to an end: then it was neither killed nor let live. */
  readonly broken: string | undefined
}

/** The share of mutants that must be killed. */
export const LEAST_SHARE = 0.95

export interface Verdict {
  readonly mutants: number
  readonly killed: number
  /** Names, as all lists here. */
  readonly alive: ReadonlyArray<string>
  readonly broken: ReadonlyArray<string>
  readonly share: number
  readonly canaryIsRed: boolean
  readonly controlIsGreen: boolean
  readonly isEnough: boolean
}

export const plan = (names: ReadonlyArray<string>): ReadonlyArray<Planted> =>
  names.map((name) => ({
    name,
    isCanary: name.startsWith("canary"),
    isControl: name.startsWith("control")
  }))

const isKilled = (fate: Fate | undefined): boolean => fate?.killedBy !== undefined && fate.broken === undefined

/** What did not run counts as alive, and a canary or a control that is missing as one that failed. */
export const judge = (planted: ReadonlyArray<Planted>, fates: ReadonlyArray<Fate>): Verdict => {
  const byName = new Map(fates.map((fate) => [fate.name, fate]))
  const real = planted.filter(({ isCanary, isControl }) => !isCanary && !isControl)
  const alive = real.filter(({ name }) => !isKilled(byName.get(name)))
  const canaries = planted.filter(({ isCanary }) => isCanary)
  const controls = planted.filter(({ isControl }) => isControl)
  const canaryIsRed = canaries.length > 0 && canaries.every(({ name }) => isKilled(byName.get(name)))
  const controlIsGreen = controls.length > 0 && controls.every(({ name }) => {
    const fate = byName.get(name)
    return fate !== undefined && fate.broken === undefined && fate.killedBy === undefined
  })
  const killed = real.length - alive.length
  const share = real.length === 0 ? 1 : killed / real.length
  const broken = fates.flatMap(({ broken, name }) => (broken === undefined ? [] : [name]))
  return {
    mutants: real.length,
    killed,
    alive: alive.map(({ name }) => name),
    broken,
    share,
    canaryIsRed,
    controlIsGreen,
    isEnough: share >= LEAST_SHARE && canaryIsRed && controlIsGreen && broken.length === 0
  }
}

/** What a line of the ledger of campaigns has about each: seeds until it was killed, which one did, and which checker. */
export const each = (fates: ReadonlyArray<Fate>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    fates.map(({ broken, checker, killedBy, name, seeds }) => [
      name,
      broken !== undefined
        ? "broken"
        : killedBy === undefined
        ? `alive after ${seeds}`
        : `${seeds}: seed ${killedBy}, ${checker}`
    ])
  )

const GAP = 2

/** The table of all, in the order in which they are listed. */
export const table = (planted: ReadonlyArray<Planted>, fates: ReadonlyArray<Fate>): ReadonlyArray<Line> => {
  const byName = new Map(fates.map((fate) => [fate.name, fate]))
  const nameWidth = Math.max(6, ...planted.map(({ name }) => name.length)) + GAP
  const checkerWidth = Math.max(7, ...fates.map(({ checker }) => checker?.length ?? 0)) + GAP
  const row = (name: string, seeds: string, seed: string, checker: string): string =>
    `${name.padEnd(nameWidth)}${seeds.padStart(5)}${" ".repeat(GAP)}${seed.padStart(6)}${" ".repeat(GAP)}${
      checker.padEnd(checkerWidth)
    }`
  return [
    [dim(row("mutant", "seeds", "seed", "checker"))],
    ...planted.map(({ isControl, name }): Line => {
      const fate = byName.get(name)
      if (fate === undefined) return [row(name, "-", "-", "-"), red("did not run")]
      if (fate.broken !== undefined) return [row(name, String(fate.seeds), "-", "-"), red(`broken: ${fate.broken}`)]
      const { checker = "-", killedBy, seeds, text = "" } = fate
      const cells = row(name, String(seeds), killedBy ?? "-", killedBy === undefined ? "-" : checker)
      if (killedBy === undefined) return [cells, isControl ? green("green") : red("alive")]
      return [cells, isControl ? red("not green: ") : green("killed: "), dim(text)]
    })
  ]
}

export const summary = (verdict: Verdict): Line => [
  bold(`${verdict.killed} of ${verdict.mutants} mutants killed`),
  ` (${(100 * verdict.share).toFixed(1)} %, at least ${100 * LEAST_SHARE} % must be), canary `,
  verdict.canaryIsRed ? green("red") : red("not red"),
  ", control ",
  verdict.controlIsGreen ? green("green") : red("not green"),
  ...verdict.broken.length === 0 ? [] : [", ", red(`${verdict.broken.length} did not run`)]
]
