import type { Scenario, ScenarioNode } from "../campaign/Scenario.ts"
import type * as SimFault from "../SimFault.ts"
import type { SeededRandom } from "./seededRandom.ts"

type Timed = SimFault.Timed
type Config = ScenarioNode["config"]

/** Sets settings of all nodes, and takes others back to their defaults. */
const configured = (scenario: Scenario, config: Config, defaults: ReadonlyArray<string> = []): Scenario => ({
  ...scenario,
  nodes: scenario.nodes.map((node) => ({
    ...node,
    config: {
      ...Object.fromEntries(Object.entries(node.config).filter(([name]) => !defaults.includes(name))),
      ...config
    }
  }))
})

/** The first nodes of a network; who knew one that is gone knows its neighbour. */
const reduced = (scenario: Scenario, size: number): Scenario => {
  const nodes = scenario.nodes.slice(0, size)
  const names = new Set(nodes.map(({ name }) => name))
  return {
    ...scenario,
    topology: nodes.length < scenario.nodes.length ? "reduced" : scenario.topology,
    nodes: nodes.map((node, index) => ({
      ...node,
      knows: [...new Set([...node.knows.filter((name) => names.has(name)), nodes[(index + 1) % nodes.length]!.name])],
      config: {
        ...node.config,
        targetPeerConnections: Math.min(Number(node.config["targetPeerConnections"] ?? 3), nodes.length)
      }
    }))
  }
}

type Draw = (scenario: Scenario, random: SeededRandom) => Scenario

const between = (random: SeededRandom, least: number, most: number): number =>
  least + random.nextBelowUnsafe(most - least + 1)

const choose = <A>(random: SeededRandom, from: ReadonlyArray<A>): A => from[random.nextBelowUnsafe(from.length)]!

const inOrder = (faults: ReadonlyArray<Timed>): Array<Timed> => [...faults].sort((a, b) => a.at - b.at)

/** Credit for hardly a message, and a memory of few ledgers: queues are never empty, and are swept while they are full. */
const tight: Draw = (scenario, random) => {
  const flood = choose(random, [1, 2, 3])
  return {
    ...configured(scenario, {
      targetPeerConnections: 2,
      peerFloodReadingCapacity: flood,
      peerReadingCapacity: flood + 1,
      flowControlSendMoreBatchSize: 1,
      maxSlotsToRemember: choose(random, [3, 4, 6])
    }),
    closeTimeMillis: choose(random, [4000, 5000]),
    delayMillis: choose(random, [5, 20, 50]),
    jitterMillis: 0,
    transactionsPerSecond: choose(random, [1, 3]),
    exploration: choose(random, ["random", "priorities"] as const)
  }
}

/** A node is away for longer than the others remember, and comes back together with a neighbour. */
const away: Draw = (scenario, random) => {
  const small = configured(reduced(scenario, between(random, 5, 7)), { maxSlotsToRemember: 3 })
  const names = small.nodes.map(({ name }) => name)
  const gone = choose(random, names)
  const until = between(random, 17_000, 22_000)
  const late = choose(random, names.filter((name) => name !== gone))
  const kinds = ["Isolate", "Crash", "PowerLoss", "Stop", "Pause"] as const
  return {
    ...small,
    closeTimeMillis: choose(random, [1500, 2000]),
    delayMillis: choose(random, [5, 20]),
    transactionsPerSecond: choose(random, [0, 0.5]),
    faults: [
      { at: 3000, for: until - 3000, fault: { _tag: choose(random, kinds), node: gone } },
      { at: until - 1500, for: between(random, 2000, 3000), fault: { _tag: "Stop", node: late } }
    ]
  }
}

/** What a node writes to another gets nowhere for longer than it has patience. */
const clogged: Draw = (scenario, random) => {
  const from = choose(random, scenario.nodes).name
  const at = between(random, 3000, 4500)
  const millis = scenario.phases.faults - at - between(random, 0, 2000)
  return {
    ...configured(scenario, { peerStragglerTimeoutSeconds: 10, peerTimeoutSeconds: 30 }),
    faults: inOrder([
      ...scenario.faults.filter((_, index) => index % 4 === 0),
      { at, for: millis, fault: { _tag: "SmallQueue", from, bytes: 64 } },
      { at, for: millis, fault: { _tag: "ZeroWindow", from } }
    ])
  }
}

/** Two nodes have one key, and a third calls both at once. */
const doubles: Draw = (scenario, random) => {
  const last = scenario.nodes[scenario.nodes.length - 1]!.name
  const others = scenario.nodes.slice(0, -1).map(({ name }) => name)
  const double = choose(random, others)
  const caller = choose(random, others.filter((name) => name !== double))
  const first = between(random, 4000, 6000)
  return {
    ...scenario,
    nodes: scenario.nodes.map((node) =>
      node.name === caller
        ? { ...node, knows: [double, last], config: { ...node.config, targetPeerConnections: 4 } }
        : { ...node, knows: node.knows.filter((name) => name !== caller || node.knows.length === 1) }
    ),
    delayMillis: choose(random, [50, 100]),
    faults: [
      { at: 500, for: 22_000, fault: { _tag: "SharedKey", node: double, with: last } },
      { at: first, for: 1000, fault: { _tag: "RestartLostDatabase", node: caller } },
      { at: first + 8000, for: 1500, fault: { _tag: "Stop", node: caller } }
    ]
  }
}

/** Connections break again and again, few of one host may wait at a door, and for a while nobody opens. */
const revolving: Draw = (scenario, random) => {
  const every = between(random, 2500, 4500)
  const faults: Array<Timed> = []
  for (let at = 5000; at < scenario.phases.faults - 1000; at += every) {
    faults.push({ at, for: 500, fault: { _tag: choose(random, ["Reset", "Reset", "Fin"] as const) } })
  }
  const at = between(random, 14_000, 19_000)
  const other = choose(random, ["DialRefused", "DialSlow"] as const)
  faults.push(
    { at, for: 3000, fault: { _tag: "DialTimeout" } },
    { at: at + 3000, for: 3000, fault: other === "DialSlow" ? { _tag: other, millis: 1500 } : { _tag: other } }
  )
  return { ...configured(scenario, { maxPendingPerAddress: 2 }), faults: inOrder(faults) }
}

/** Most validators are away until everybody has lost the network: nothing closes, and peers are changed for others. */
const night: Draw = (scenario, random) => {
  const small = configured(reduced(scenario, between(random, 6, 9)), { targetPeerConnections: 2 })
  const validators = small.nodes.filter(({ isValidator }) => isValidator)
  const kind = choose(random, ["Isolate", "Stop", "PowerLoss"] as const)
  return {
    ...small,
    transactionsPerSecond: 0,
    phases: { faults: 112_000, healing: 25_000, liveness: 20_000 },
    faults: validators.slice(0, Math.ceil(validators.length / 2)).map(({ name }, index) => ({
      at: 6000 + 300 * index,
      for: 104_000,
      fault: { _tag: kind, node: name }
    }))
  }
}

/** A node stands still for longer than others wait for its credit, and than they remember. */
const sleeper: Draw = (scenario, random) => {
  const small = configured(
    reduced(scenario, between(random, 5, 7)),
    {
      targetPeerConnections: 3,
      peerFloodReadingCapacity: 10,
      peerReadingCapacity: 20,
      flowControlSendMoreBatchSize: 2,
      maxSlotsToRemember: 8,
      // Longer than the peer may owe credit, or silence would end it first.
      peerTimeoutSeconds: 90
    },
    ["peerStragglerTimeoutSeconds", "strictCoreTimers"]
  )
  return {
    ...small,
    closeTimeMillis: 5000,
    delayMillis: choose(random, [5, 20]),
    transactionsPerSecond: 0.5,
    phases: { faults: 86_000, healing: 20_000, liveness: 20_000 },
    faults: [{ at: 4000, for: 80_000, fault: { _tag: "Pause", node: small.nodes[small.nodes.length - 1]!.name } }]
  }
}

const plots: ReadonlyArray<Draw> = [
  tight,
  tight,
  tight,
  away,
  away,
  clogged,
  clogged,
  doubles,
  revolving,
  revolving,
  night,
  sleeper
]

/**
 * What chance alone would hardly ever bring together: one scenario in three becomes one of a few stories that lead where
 * independent faults of half a minute do not.
 */
export const drawPlot = (scenario: Scenario, random: SeededRandom): Scenario =>
  random.nextBelowUnsafe(3) === 0 ? choose(random, plots)(scenario, random) : scenario
