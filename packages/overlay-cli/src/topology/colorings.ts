/** Ways to colour the nodes of a topology, each a handful of categories that are told apart without seeing red or green. */
import { escape } from "../render/escape.ts"
import { cut } from "./escaping.ts"
import type { NodeStatistics } from "./statistics.ts"
import { nodeStates, type Topology, type TopologyNode } from "./Topology.ts"

export interface Category {
  /** Escaped for people; not yet for markup. */
  readonly label: string
  readonly color: string
  readonly count: number
}

export interface Coloring {
  readonly key: ColoringKey
  readonly label: string
  readonly categories: ReadonlyArray<Category>
  /** The category of every node. */
  readonly of: ReadonlyArray<number>
}

export const coloringKeys = ["version", "role", "organisation", "state", "core", "balance"] as const

export type ColoringKey = (typeof coloringKeys)[number]

/** Distinct in hue and lightness on white and on black (after Okabe and Ito). */
const palette = ["#3a7bd5", "#e8902a", "#17a589", "#d45a9a", "#8a63d2", "#c2a50a", "#45b5dd", "#d1493b"]
const OTHER = "#8a94a6"
const UNKNOWN = "#a9b1bd"

/** From few to many, as lightness and hue (after viridis). */
const scale = ["#8fd3c1", "#4fb9b0", "#2f93a8", "#3a6ea5", "#5a4a9c", "#6d2a7f"]

const MAX_LABEL = 28

/** What a version says about the release: without the commit in brackets. */
export const release = (version: string): string =>
  cut(escape(version.replace(/\s*\([^)]*\)\s*$/, "").trim()), MAX_LABEL)

interface Group {
  readonly label: string
  readonly color?: string
}

/** From the label of every node, in the order of `order` or by count; what does not fit is `other`. */
const categorize = (
  key: ColoringKey,
  label: string,
  groups: ReadonlyArray<Group>,
  order?: ReadonlyArray<string>
): Coloring => {
  const counts = new Map<string, number>()
  const colors = new Map<string, string>()
  for (const group of groups) {
    counts.set(group.label, (counts.get(group.label) ?? 0) + 1)
    if (group.color !== undefined) colors.set(group.label, group.color)
  }
  const isUnknown = (name: string) => colors.get(name) === UNKNOWN
  const byCount = [...counts].sort((a, b) =>
    Number(isUnknown(a[0])) - Number(isUnknown(b[0])) || b[1] - a[1] || (a[0] < b[0] ? -1 : 1)
  ).map(([name]) => name)
  const names = order === undefined ? byCount : order.filter((name) => counts.has(name))
  const plain = names.filter((name) => !colors.has(name))
  const shown = new Set(plain.length <= palette.length ? plain : plain.slice(0, palette.length - 1))
  const categories: Array<Category> = []
  const place = new Map<string, number>()
  let next = 0
  for (const name of names) {
    const color = colors.get(name)
    if (color === undefined && !shown.has(name)) continue
    place.set(name, categories.length)
    categories.push({ label: name, color: color ?? palette[next++]!, count: counts.get(name)! })
  }
  const rest = plain.filter((name) => !shown.has(name))
  if (rest.length > 0) {
    const count = rest.reduce((sum, name) => sum + counts.get(name)!, 0)
    for (const name of rest) place.set(name, categories.length)
    categories.push({ label: `${rest.length} others`, color: OTHER, count })
  }
  return { key, label, categories, of: groups.map((group) => place.get(group.label)!) }
}

const unknown = (label = "unknown"): Group => ({ label, color: UNKNOWN })

const stateNames: { readonly [state in TopologyNode["state"]]: string } = {
  answered: "answered",
  full: "no room",
  silent: "silent",
  unreachable: "unreachable",
  unknown: "not asked"
}

const stateColors: { readonly [state in TopologyNode["state"]]: string } = {
  answered: palette[0]!,
  full: palette[1]!,
  silent: palette[4]!,
  unreachable: palette[7]!,
  unknown: UNKNOWN
}

export const stateName = (state: TopologyNode["state"]): string => stateNames[state]

/** Bounds of up to six steps over the values, of about equal numbers of nodes. */
const steps = (values: ArrayLike<number>): ReadonlyArray<readonly [from: number, to: number]> => {
  const sorted = Array.from(values).sort((a, b) => a - b)
  const distinct = [...new Set(sorted)]
  if (distinct.length <= scale.length) return distinct.map((value) => [value, value] as const)
  const starts = new Set<number>()
  for (let i = 0; i < scale.length; i++) starts.add(sorted[Math.floor((i * sorted.length) / scale.length)]!)
  const bounds = [...starts]
  return bounds.map((from, i) =>
    [from, i + 1 < bounds.length ? bounds[i + 1]! - 1 : sorted[sorted.length - 1]!] as const
  )
}

const core = (each: NodeStatistics): Coloring => {
  const ranges = steps(each.core)
  const groups = Array.from(each.core, (value): Group => {
    const i = ranges.findLastIndex(([from]) => value >= from)
    const [from, to] = ranges[i]!
    const color = scale[Math.round((i * (scale.length - 1)) / Math.max(1, ranges.length - 1))]!
    return { label: from === to ? `core ${from}` : `core ${from} to ${to}`, color }
  })
  const order = ranges.map(([from, to]) => from === to ? `core ${from}` : `core ${from} to ${to}`)
  return categorize("core", "k-core", groups, order)
}

const balanceNames = ["only dialled", "mostly dialled", "both", "mostly dials", "only dials"]

/** By how many of its edges a node began itself. */
const balance = (each: NodeStatistics): Coloring => {
  const colors = ["#6d2a7f", "#8a63d2", "#3a7bd5", "#17a589", "#c2a50a"]
  const groups = Array.from(each.inbound, (inbound, i): Group => {
    const all = inbound + each.outbound[i]!
    if (all === 0) return unknown("no edges")
    const share = each.outbound[i]! / all
    const step = share === 0 ? 0 : share < 1 / 3 ? 1 : share <= 2 / 3 ? 2 : share < 1 ? 3 : 4
    return { label: balanceNames[step]!, color: colors[step]! }
  })
  return categorize("balance", "Who dials", groups, [...balanceNames, "no edges"])
}

/** All that say something about this topology; the first is the one to begin with. */
export const colorings = (topology: Topology, each: NodeStatistics): ReadonlyArray<Coloring> => {
  const { nodes } = topology
  const all: Array<Coloring> = [
    categorize(
      "version",
      "Version",
      nodes.map(({ version = "" }) => version === "" ? unknown() : { label: release(version) })
    ),
    categorize(
      "role",
      "Role",
      nodes.map(({ isValidator }) =>
        isValidator === undefined
          ? unknown()
          : isValidator
          ? { label: "validator", color: palette[1]! }
          : { label: "no validator", color: palette[0]! }
      ),
      ["validator", "no validator", "unknown"]
    ),
    categorize(
      "organisation",
      "Organisation",
      nodes.map(({ name = "" }) => name === "" ? unknown("none known") : { label: cut(escape(name), MAX_LABEL) })
    ),
    categorize(
      "state",
      "Reachability",
      nodes.map(({ state }) => ({ label: stateNames[state], color: stateColors[state] })),
      nodeStates.map((state) => stateNames[state])
    ),
    core(each),
    balance(each)
  ]
  const telling = all.filter(({ categories }) => categories.length > 1)
  return telling.length > 0 ? telling : all.slice(0, 1)
}
