/**
 * One simulated story as plain data: who takes part, how they are configured and connected, what goes wrong and when.
 *
 * `draw` makes one from a seed, and everything is drawn: the size and shape of the network, the settings of each node, the
 * pace of the ledger, traffic, which kinds of faults there are at all, and their times. A scenario that was written down as
 * JSON runs again as it was, and can be made smaller.
 *
 * A run has three parts. While faults happen, only safety is asked for; then everything is healed and the network gets time
 * to find together; in the last part it must be alive.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { drawConfig } from "../internal/drawConfig.ts"
import { drawFault } from "../internal/drawFault.ts"
import { drawPlot } from "../internal/drawPlot.ts"
import { SeededRandom } from "../internal/seededRandom.ts"
import * as SimFault from "../SimFault.ts"
import * as SimTopology from "../SimTopology.ts"

/**
 * The least and the most nodes of a drawn scenario.
 *
 * @category constants
 * @since 0.1.0
 */
export const NODES = { least: 5, most: 12 } as const

/**
 * How long a drawn scenario takes, in virtual milliseconds: faults, then healing, then liveness; but for a few that need
 * patience.
 *
 * @category constants
 * @since 0.1.0
 */
export const PHASES = { faults: 25_000, healing: 15_000, liveness: 20_000 } as const

const Config = Schema.Record(Schema.String, Schema.Union([Schema.Finite, Schema.Boolean, Schema.String]))

/**
 * A node of a scenario.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ScenarioNode = Schema.Struct({
  name: Schema.String,
  isValidator: Schema.Boolean,
  /** The nodes whose addresses it starts with. */
  knows: Schema.Array(Schema.String),
  /** Differences from the `standalone` preset. */
  config: Config
})

const isKind = (kind: string): kind is SimFault.Kind => Object.hasOwn(SimFault.table, kind)

/** Whether a value is a fault, as far as it matters that it is one: its kind exists, the rest is checked by use. */
const Fault = Schema.declare((value): value is SimFault.SimFault =>
  typeof value === "object" && value !== null && "_tag" in value && typeof value._tag === "string" && isKind(value._tag)
)

/**
 * A scenario.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Scenario = Schema.Struct({
  /** The shape of this data. */
  format: Schema.Literal(1),
  /** Decides everything that the data leaves open: keys, the order of fibers, the dice of faults. */
  seed: Schema.String,
  topology: Schema.String,
  nodes: Schema.Array(ScenarioNode),
  closeTimeMillis: Schema.Finite,
  /** What every link is like: one way, and up to so much more. */
  delayMillis: Schema.Finite,
  jitterMillis: Schema.Finite,
  /** Transactions submitted per second, by all nodes together. */
  transactionsPerSecond: Schema.Finite,
  /** How runnable fibers are chosen. */
  exploration: Schema.Literals(["fifo", "random", "priorities"]),
  /** Milliseconds of each part. */
  phases: Schema.Struct({ faults: Schema.Finite, healing: Schema.Finite, liveness: Schema.Finite }),
  /** Times count from the start of the run. */
  faults: Schema.Array(
    Schema.Struct({ at: Schema.Finite, for: Schema.optional(Schema.Finite), fault: Fault })
  )
})

/**
 * A scenario.
 *
 * @category models
 * @since 0.1.0
 */
export type Scenario = typeof Scenario.Type

/**
 * A node of a scenario.
 *
 * @category models
 * @since 0.1.0
 */
export type ScenarioNode = typeof ScenarioNode.Type

const decode = Schema.decodeUnknownResult(Scenario)

/**
 * Reads a scenario from what a JSON file held; the failure says what is wrong with it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (json: unknown): Result.Result<Scenario, string> =>
  Result.mapError(decode(json), (error) => error.message)

/** Kinds of faults in one scenario at most. */
const MOST_KINDS = 8
/** Faults of one kind in one scenario at most. */
const MOST_OF_A_KIND = 3

const shapes: ReadonlyArray<(n: number, random: SeededRandom) => SimTopology.Topology> = [
  SimTopology.line,
  SimTopology.ring,
  SimTopology.star,
  SimTopology.coreMesh,
  SimTopology.hierarchical,
  SimTopology.asymmetric,
  (n, random) => SimTopology.random(n, random, 2),
  (n, random) => SimTopology.random(n, random, 3),
  SimTopology.publicLike
]

/**
 * Draws the scenario of a seed: always the same one.
 *
 * About one in sixteen has no faults at all, so that peace is tested too; the others have some kinds, each seed its own.
 * Of these one in three follows a plot: long absences, credit for hardly a message, lines that are stuck, doors that
 * revolve. Two of the plots take longer than `PHASES`, one seed in twenty.
 *
 * @category constructors
 * @since 0.1.0
 */
export const draw = (seed: number | string): Scenario => {
  const random = new SeededRandom(`${seed}/scenario`)
  const below = (bound: number) => random.nextBelowUnsafe(bound)
  const between = (least: number, most: number) => least + below(most - least + 1)
  const choose = <A>(from: ReadonlyArray<A>): A => from[below(from.length)]!

  const size = between(NODES.least, NODES.most)
  const topology = choose(shapes)(size, random)
  const names = Array.from({ length: size }, (_, i) => `n${i}`)
  const validators = Math.min(size - 1, choose([3, 3, 3, 4, 5]))
  const closeTimeMillis = choose([3000, 4000, 5000, 5000])
  const nodes = names.map((name, index): ScenarioNode => ({
    name,
    isValidator: index < validators,
    knows: topology.edges.flatMap(([from, to]) => from === index ? [names[to]!] : []),
    config: drawConfig(random, size)
  }))

  const faults: Array<SimFault.Timed> = []
  if (below(16) > 0) {
    const kinds = new Set<SimFault.Kind>()
    const count = between(1, MOST_KINDS)
    while (kinds.size < count) kinds.add(choose(SimFault.kinds))
    for (const kind of kinds) {
      const times = between(1, MOST_OF_A_KIND)
      for (let i = 0; i < times; i++) {
        const at = between(0, PHASES.faults - 5000)
        const most = PHASES.faults - at
        faults.push({
          at,
          for: between(Math.min(1000, most), Math.min(15_000, most)),
          fault: drawFault(kind, random, names)
        })
      }
    }
    faults.sort((a, b) => a.at - b.at)
  }

  const scenario: Scenario = {
    format: 1,
    seed: String(seed),
    topology: topology.name,
    nodes,
    closeTimeMillis,
    delayMillis: choose([1, 5, 20, 50, 100]),
    jitterMillis: choose([0, 0, 5, 30]),
    transactionsPerSecond: choose([0, 0.5, 1, 1, 3]),
    exploration: choose(["random", "random", "priorities", "fifo"] as const),
    phases: PHASES,
    faults
  }
  // Peace stays what it is: what is tested there is that nothing has to go wrong.
  return faults.length === 0 ? scenario : drawPlot(scenario, new SeededRandom(`${seed}/plot`))
}
