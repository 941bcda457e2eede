/** Slots and validators, for people and for programs. */
import { type NodeId, short } from "@stellar-overlay/overlay/wire/NodeId"
import { bold, dim, type Line, red, yellow } from "../render/Line.ts"
import { count, millis, plural, quantile } from "../render/units.ts"
import { type Ballots, phases, type Slot, type Validator } from "./Ballots.ts"

/** Names in a line at most. */
const MAX_NAMES = 5

const names = (ids: ReadonlyArray<NodeId>): string =>
  `${ids.slice(0, MAX_NAMES).map(short).join(" ")}${
    ids.length > MAX_NAMES ? ` and ${ids.length - MAX_NAMES} more` : ""
  }`

const progress = (slot: Slot): string => phases.map((phase) => `${phase} ${slot.heard[phase].size}`).join(", ")

/** Milliseconds after the first EXTERNALIZE of the slot, by validator. */
const lags = (slot: Slot): Array<readonly [id: NodeId, lag: number]> => {
  const { externalized } = slot
  if (externalized === undefined) return []
  return [...slot.heard.EXTERNALIZE].map(([id, at]) => [id, at - externalized] as const)
}

/** Who said something about the slot and did not externalize it. */
const missing = (slot: Slot): Array<NodeId> => {
  const ids = new Set<NodeId>()
  for (const phase of phases) for (const id of slot.heard[phase].keys()) ids.add(id)
  return [...ids].filter((id) => !slot.heard.EXTERNALIZE.has(id))
}

export const line = (slot: Slot): Line => {
  const late = lags(slot)
  const [last, most] = late.at(-1) ?? []
  const half = quantile(late.map(([, lag]) => lag), 0.5)
  const absent = missing(slot)
  return [
    bold(`slot ${slot.slot}`),
    `  ${progress(slot)}`,
    ...(slot.externalized === undefined
      ? [yellow("  nobody externalized it")]
      : slot.isWhole
      ? [`  externalized after ${millis(slot.externalized - slot.since)}`]
      : [dim("  began before us")]),
    ...(half === undefined || last === undefined || most === undefined || most === 0
      ? []
      : [`, half within ${millis(half)} more, last ${short(last)} +${millis(most)}`]),
    ...(absent.length === 0 ? [] : [dim(`, without ${names(absent)}`)]),
    ...(slot.values.size > 1 ? [red(`  ${slot.values.size} DIFFERENT VALUES`)] : [])
  ]
}

export const object = (slot: Slot) => ({
  event: "slot",
  slot: slot.slot,
  whole: slot.isWhole,
  since: new Date(slot.since).toISOString(),
  externalizedMillis: slot.externalized === undefined ? undefined : slot.externalized - slot.since,
  statements: slot.statements,
  votes: Object.fromEntries(phases.map((phase) => [phase, [...slot.heard[phase].keys()]])),
  lagMillis: Object.fromEntries(lags(slot)),
  missing: missing(slot),
  values: Object.fromEntries(slot.values)
})

/** What is said of it now and then. */
export const parts = (ballots: Ballots): ReadonlyArray<Line> => {
  const { current } = ballots
  return [
    [bold(current === undefined ? "nothing heard yet" : `slot ${current.slot}`)],
    ...(current === undefined ? [] : [[progress(current)]]),
    [plural(ballots.validators.size, "validator")],
    [plural(ballots.externalizedSlots, "slot")],
    [plural(ballots.statements, "statement")]
  ]
}

const summaryOf = (ballots: Ballots) =>
  [...ballots.validators].map(([id, validator]) => ({ id, ...validator, ...lagsOf(validator) }))
    .sort((a, b) => b.externalized - a.externalized || (a.lag ?? Infinity) - (b.lag ?? Infinity))

const lagsOf = ({ lags }: Validator) => {
  const sorted = [...lags]
  return { lag: quantile(sorted, 0.5), worst: sorted.at(-1) }
}

/** A line for each validator, the most reliable and fastest first. */
export const totals = (ballots: Ballots): Array<Line> => [
  [
    bold("Summary"),
    `: ${plural(ballots.externalizedSlots, "slot")} externalized, ${plural(ballots.validators.size, "validator")}, ${
      plural(ballots.statements, "statement")
    }`
  ],
  ...summaryOf(ballots).map(({ externalized, id, lag, lastSlot, statements, worst }): Line => [
    "  ",
    bold(short(id)),
    dim(id.slice(5)),
    `  externalized ${count(externalized)} of ${count(ballots.externalizedSlots)}`,
    lag === undefined || worst === undefined ? "" : `, lag ${millis(lag)}, at most ${millis(worst)}`,
    dim(`  ${plural(statements, "statement")}, last about slot ${lastSlot}`)
  ])
]

export const totalsJson = (ballots: Ballots) => ({
  event: "summary",
  slots: ballots.externalizedSlots,
  statements: ballots.statements,
  validators: summaryOf(ballots).map(({ externalized, id, lag, lastSlot, statements, worst }) => ({
    node: id,
    externalized,
    statements,
    lastSlot,
    lagMillis: lag,
    worstLagMillis: worst
  }))
})
