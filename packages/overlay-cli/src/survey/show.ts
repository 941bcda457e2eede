/** Where a survey stands, in a line and as an object. */
import { bold, dim, green, type Line, yellow } from "../render/Line.ts"
import { count, plural, seconds } from "../render/units.ts"
import type { Coverage, SurveyPlan } from "./SurveyPlan.ts"

/** The surveyor sends ten requests every three ledgers of five seconds (protocol.md 12.5). */
const ROUND = { requests: 10, seconds: 15 }

const percent = (part: number, whole: number): string => whole === 0 ? "0 %" : `${Math.floor((100 * part) / whole)} %`

/** What is left takes at least this long, at core's pace. */
export const secondsLeft = ({ ordered, queued }: Coverage): number =>
  Math.ceil((ordered + queued) / ROUND.requests) * ROUND.seconds

export const coverageParts = (coverage: Coverage): ReadonlyArray<Line> => {
  const { answered, connections, known, ordered, queued, silent } = coverage
  const left = ordered + queued
  return [
    [bold(`${count(answered)} of ${count(known)} nodes`), ` (${percent(answered, known)})`],
    [plural(connections, "connection")],
    [`${count(ordered)} asked, ${count(queued)} to ask`],
    ...(silent === 0 ? [] : [[yellow(`${count(silent)} silent`)]]),
    ...(left === 0 ? [] : [[dim(`about ${seconds(secondsLeft(coverage))} left`)]])
  ]
}

/** At the end: what is covered and what is not. */
export const summary = (plan: SurveyPlan): ReadonlyArray<Line> => {
  const { answered, connections, incomplete, known, requests, silent } = plan.coverage
  const bad = plan.badResponseNodes.length
  const field = (name: string, ...value: Line): Line => ["  ", dim(name.padEnd(13)), ...value]
  return [
    [green("surveyed"), ` ${count(answered)} of ${plural(known, "node")} (${percent(answered, known)})`],
    field("connections", count(connections)),
    field("requests", count(requests)),
    ...(silent === 0 ? [] : [field("silent", count(silent))]),
    ...(incomplete === 0
      ? []
      : [field("incomplete", count(incomplete), dim(" whose lists are longer than what came"))]),
    ...(bad === 0 ? [] : [field("unreadable", count(bad))]),
    ...(plan.leftOut === 0 ? [] : [field("left out", count(plan.leftOut), dim(" beyond --max-nodes"))])
  ]
}
