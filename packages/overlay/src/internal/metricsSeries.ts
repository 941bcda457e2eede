/**
 * Every series of every metric has a number, which is its place in an array of values: reading what a node counts is
 * adding up arrays. Metrics whose label values come from outside have none.
 */
import {
  definitionOf,
  type MetricDefinition,
  type MetricLabel,
  type MetricName,
  type NameOf,
  names
} from "../OverlayMetricNames.ts"
import { invariant } from "./invariant.ts"

export interface Series {
  readonly name: MetricName
  readonly definition: MetricDefinition
  readonly labels: Readonly<Record<string, string>>
}

const combinations = (labels: ReadonlyArray<MetricLabel>): Array<ReadonlyArray<string>> =>
  labels.reduce<Array<ReadonlyArray<string>>>(
    (rows, { values = [] }) => rows.flatMap((row) => values.map((value) => [...row, value])),
    [[]]
  )

const keyOf = (name: string, values: ReadonlyArray<string>): string => `${name} ${values.join(" ")}`

const places = new Map<string, number>()

/** In the order of the table of names. */
export const series: ReadonlyArray<Series> = names.flatMap((name) => {
  const definition = definitionOf(name)
  return combinations(definition.labels).map((values) => {
    places.set(keyOf(name, values), places.size)
    const labels = Object.fromEntries(definition.labels.map((label, i) => [label.name, values[i]!]))
    return { name, definition, labels }
  })
})

/** The number of a series, by the values of its labels in the order of the table. */
export const placeOf = (name: MetricName, values: ReadonlyArray<string> = []): number => {
  const place = places.get(keyOf(name, values))
  invariant(place !== undefined, `there is no series ${keyOf(name, values)}`)
  return place
}

/** The values of all series at one moment, to be added to. */
export class Sums {
  readonly values = new Float64Array(series.length)

  add(name: NameOf<"counter" | "gauge">, value: number, ...labels: ReadonlyArray<string>): void {
    this.values[placeOf(name, labels)]! += value
  }
}
