/** Which attacks a node at an address can be tried with, and why the others cannot. */
import { type Attack, needsVictim, type Variant } from "@stellar-overlay/overlay-test/hostile/Attack"
import type { OutsideAttack } from "@stellar-overlay/overlay-test/hostile/OverlayAttack"

/** What to leave out. */
export interface Options {
  /** Rows by their ids; undefined for all. */
  readonly only: ReadonlySet<string> | undefined
  readonly slow: boolean
  /** `ours` holds the node to this project's defaults, `core` to what stellar-core does. */
  readonly profile: "ours" | "core"
  /** Whether the node can be made to dial, and asked about itself: by its operator's port. */
  readonly dials: boolean
}

export interface Chosen {
  readonly row: number
  readonly variant: Variant
}

/** An attack by several callers. */
export interface ChosenNode {
  readonly row: number
  readonly variant: OutsideAttack["variants"][number]
}

/** Why a variant is left out. */
export const whys = {
  slow: "take longer than 8 s (--slow runs them)",
  dials: "need the node to dial (--admin 127.0.0.1:PORT, its operator's port, runs them)",
  asks: "ask the node's operator (--admin runs them)",
  made: "need a node that is prepared for them",
  quiet: "need a node with nothing to say",
  strict: "are stricter than stellar-core (--profile ours runs them)"
} as const

export type Why = keyof typeof whys

export interface Plan {
  readonly rows: ReadonlyArray<Pick<Attack, "id" | "title">>
  readonly chosen: ReadonlyArray<Chosen>
  readonly nodes: ReadonlyArray<ChosenNode>
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

const whyNotNode = (
  { needs }: OutsideAttack,
  { slow, strict }: ChosenNode["variant"],
  options: Options
): Why | undefined => {
  if (slow && !options.slow) return "slow"
  if (strict && options.profile === "core") return "strict"
  return needs === "operator" && !options.dials ? "asks" : undefined
}

export const make = (
  attacks: ReadonlyArray<Attack>,
  outside: ReadonlyArray<OutsideAttack>,
  options: Options
): Plan => {
  const isWanted = ({ id }: { readonly id: string }): boolean => options.only?.has(id) ?? true
  const [single, several] = [attacks.filter(isWanted), outside.filter(isWanted)]
  const rows = [...single, ...several]
  const chosen: Array<Chosen> = []
  const nodes: Array<ChosenNode> = []
  const left = new Map<Why, number>()
  const used = new Set<string>()
  const choose = (id: string, why: Why | undefined, take: () => void): void => {
    if (why !== undefined) left.set(why, (left.get(why) ?? 0) + 1)
    else {
      take()
      used.add(id)
    }
  }
  for (const [row, { id, variants }] of single.entries()) {
    for (const variant of variants) choose(id, whyNot(variant, options), () => chosen.push({ row, variant }))
  }
  for (const [i, attack] of several.entries()) {
    for (const variant of attack.variants) {
      const row = single.length + i
      choose(attack.id, whyNotNode(attack, variant, options), () => nodes.push({ row, variant }))
    }
  }
  const empty = [...new Set(rows.map(({ id }) => id))].filter((id) => !used.has(id))
  return { rows, chosen, nodes, left, empty }
}
