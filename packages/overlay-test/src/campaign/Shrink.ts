/**
 * Makes a scenario that fails smaller, as long as it fails: fewer faults, fewer nodes, less time, plainer settings.
 *
 * Delta debugging over data: each step is a scenario that is smaller in one way, and stays if the failure stays. What comes
 * out cannot be made smaller by any single step, unless the budget of runs was used up before.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SimFault } from "../SimFault.ts"
import type { Scenario } from "./Scenario.ts"

/**
 * Runs that shrinking takes at most unless told otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_MAX_RUNS = 400

/** The fewest nodes that are a network. */
const LEAST_NODES = 2

/**
 * What shrinking came to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shrunk {
  readonly scenario: Scenario
  readonly runs: number
  /** Steps that made it smaller. */
  readonly steps: number
  /** Whether no single step makes it smaller; false when the budget ended first. */
  readonly isMinimal: boolean
}

/** Every text in a fault that may name a node. */
const namesIn = (value: unknown): ReadonlyArray<string> => {
  if (typeof value === "string") return [value]
  if (Array.isArray(value)) return value.flatMap(namesIn)
  return typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => key === "_tag" ? [] : [key, ...namesIn(inner)])
    : []
}

const without = (fault: SimFault, name: string): SimFault | undefined => {
  if (!namesIn(fault).includes(name)) return fault
  const drop = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.filter((item) => item !== name).map(drop)
    if (typeof value !== "object" || value === null) return value
    return Object.fromEntries(Object.entries(value).filter(([key]) => key !== name).map(([key, v]) => [key, drop(v)]))
  }
  const rest = drop(fault)
  // A fault about one node is gone with it; one about groups or regions goes on without it.
  return namesIn(rest).includes(name) ? undefined : rest as SimFault // of the same kind, with shorter lists
}

/**
 * A scenario without a node, and without what is about it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const removeNode = (scenario: Scenario, name: string): Scenario => ({
  ...scenario,
  nodes: scenario.nodes.filter((node) => node.name !== name).map((node) => ({
    ...node,
    knows: node.knows.filter((other) => other !== name)
  })),
  faults: scenario.faults.flatMap((timed) => {
    const fault = without(timed.fault, name)
    return fault === undefined ? [] : [{ ...timed, fault }]
  })
})

/** Connects what fell apart when a node was taken out: each node without any edge knows the first. */
const joined = (scenario: Scenario): Scenario => {
  const [first] = scenario.nodes
  if (first === undefined) return scenario
  const known = new Set(scenario.nodes.flatMap(({ knows }) => knows))
  return {
    ...scenario,
    nodes: scenario.nodes.map((node) =>
      node !== first && node.knows.length === 0 && !known.has(node.name) ? { ...node, knows: [first.name] } : node
    )
  }
}

/** Chunks of a list, from halves down to single items: what to leave out, in the order of delta debugging. */
function* parts(length: number): Generator<readonly [from: number, to: number]> {
  for (let size = Math.ceil(length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < length; from += size) yield [from, Math.min(length, from + size)]
  }
}

/** All scenarios that are smaller by one step, the greatest steps first. */
function* smaller(scenario: Scenario): Generator<Scenario> {
  const { faults, nodes, phases } = scenario
  for (const [from, to] of parts(faults.length)) {
    yield { ...scenario, faults: [...faults.slice(0, from), ...faults.slice(to)] }
  }
  if (nodes.length > LEAST_NODES) {
    for (const { isValidator, name } of [...nodes].reverse()) {
      if (isValidator && nodes.filter((node) => node.isValidator).length === 1) continue
      yield joined(removeNode(scenario, name))
    }
  }
  if (nodes.some(({ config }) => Object.keys(config).length > 0)) {
    yield { ...scenario, nodes: nodes.map((node) => ({ ...node, config: {} })) }
  }
  for (const [index, { config }] of nodes.entries()) {
    const keys = Object.keys(config)
    if (keys.length === 0) continue
    yield { ...scenario, nodes: nodes.map((node, i) => i === index ? { ...node, config: {} } : node) }
    for (const [from, to] of parts(keys.length)) {
      const gone = new Set(keys.slice(from, to))
      const rest = Object.fromEntries(Object.entries(config).filter(([key]) => !gone.has(key)))
      yield { ...scenario, nodes: nodes.map((node, i) => i === index ? { ...node, config: rest } : node) }
    }
  }
  if (scenario.transactionsPerSecond > 0) yield { ...scenario, transactionsPerSecond: 0 }
  if (scenario.jitterMillis > 0) yield { ...scenario, jitterMillis: 0 }
  if (scenario.exploration !== "fifo") yield { ...scenario, exploration: "fifo" }
  for (const key of ["faults", "healing", "liveness"] as const) {
    const millis = phases[key]
    const next = key === "faults"
      ? Math.max(1000, ...faults.map((timed) => timed.at + 1000), Math.floor(millis / 2))
      : Math.floor(millis / 2)
    if (next >= 1000 && next < millis) yield { ...scenario, phases: { ...phases, [key]: next } }
  }
  for (const [index, timed] of faults.entries()) {
    const change = (changed: Partial<typeof timed>): Scenario => ({
      ...scenario,
      faults: faults.map((other, i) => i === index ? { ...other, ...changed } : other)
    })
    if (timed.for !== undefined && timed.for > 1000) yield change({ for: Math.max(1000, Math.floor(timed.for / 2)) })
    if (timed.at > 1000) yield change({ at: Math.max(1000, Math.floor(timed.at / 2)) })
  }
}

/**
 * Shrinks a scenario that fails. `fails` runs one and says whether the failure is still there; the scenario given is taken
 * to fail.
 *
 * @category running
 * @since 0.1.0
 */
export const shrink = <E, R>(
  scenario: Scenario,
  fails: (candidate: Scenario) => Effect.Effect<boolean, E, R>,
  options: {
    readonly maxRuns?: number | undefined
    /** Called for every step that made it smaller. */
    readonly onStep?: ((scenario: Scenario, runs: number) => Effect.Effect<void, E, R>) | undefined
  } = {}
): Effect.Effect<Shrunk, E, R> =>
  Effect.gen(function*() {
    const { maxRuns = DEFAULT_MAX_RUNS, onStep } = options
    let best = scenario
    let runs = 0
    let steps = 0
    // A step that made it smaller is tried again in the same place; what came before it gets its turn in the next pass.
    let index = 0
    let isSmaller = false
    while (true) {
      const candidate = [...smaller(best)][index]
      if (candidate === undefined) {
        if (!isSmaller) return { scenario: best, runs, steps, isMinimal: true }
        index = 0
        isSmaller = false
        continue
      }
      if (runs >= maxRuns) return { scenario: best, runs, steps, isMinimal: false }
      runs++
      if (!(yield* fails(candidate))) {
        index++
        continue
      }
      best = candidate
      isSmaller = true
      steps++
      if (onStep !== undefined) yield* onStep(best, runs)
    }
  })
