/** Which attacks a node at an address can be tried with, and why the others cannot. */
import { type Attack, needsVictim, type Variant } from "@stellar-overlay/overlay-test/hostile/Attack"

/** What to leave out. */
export interface Options {
  /** Rows by their ids; undefined for all. */
  readonly only: ReadonlySet<string> | undefined
  readonly slow: boolean
  /** `ours` holds the node to this project's defaults, `core` to what stellar-core does. */
  readonly profile: "ours" | "core"
  /** Whether the node can be made to dial. */
  readonly dials: boolean
}

export interface Chosen {
  readonly row: number
  readonly variant: Variant
}

/** Why a variant is left out. */
export const whys = {
  slow: "take longer than 8 s (--slow runs them)",
  dials: "need the node to dial (--admin 127.0.0.1:PORT, its operator's port, runs them)",
  made: "need a node that is prepared for them",
  quiet: "need a node with nothing to say",
  strict: "are stricter than stellar-core (--profile ours runs them)"
} as const

export type Why = keyof typeof whys

export interface Plan {
  readonly rows: ReadonlyArray<Attack>
  readonly chosen: ReadonlyArray<Chosen>
  readonly left: ReadonlyMap<Why, number>
  /** Rows that were asked for and of which nothing is left. */
  readonly empty: ReadonlyArray<string>
}

/** The last reason comes last: what it counts is what `--admin` adds, and nothing that would be left out anyway. */
const whyNot = (variant: Variant, { dials, profile, slow }: Options): Why | undefined => {
  if (needsVictim(variant)) return "made"
  if (variant.quiet) return "quiet"
  if (variant.slow && !slow) return "slow"
  if (variant.strict && profile === "core") return "strict"
  return variant.attacker.role === "acceptor" && !dials ? "dials" : undefined
}

export const make = (attacks: ReadonlyArray<Attack>, options: Options): Plan => {
  const rows = attacks.filter(({ id }) => options.only?.has(id) ?? true)
  const chosen: Array<Chosen> = []
  const left = new Map<Why, number>()
  const used = new Set<string>()
  for (const [row, { id, variants }] of rows.entries()) {
    for (const variant of variants) {
      const why = whyNot(variant, options)
      if (why !== undefined) left.set(why, (left.get(why) ?? 0) + 1)
      else {
        chosen.push({ row, variant })
        used.add(id)
      }
    }
  }
  const known = new Set(attacks.map(({ id }) => id))
  const empty = [...new Set([...rows.map(({ id }) => id), ...options.only ?? []])].filter((id) => !used.has(id))
  return { rows, chosen, left, empty: empty.filter((id) => known.has(id)) }
}
