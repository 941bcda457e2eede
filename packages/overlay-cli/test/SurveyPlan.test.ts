import { assert, describe, it } from "@effect/vitest"
import * as State from "../src/survey/state.ts"
import { type Limits, type NodeStatus, SurveyPlan } from "../src/survey/SurveyPlan.ts"
import { factsOf, type Fake, FakeSurveyor, network, PAGE } from "./surveySupport.ts"
import { idOf, type Pairs, random, randomPairs } from "./topologySupport.ts"

const ROUND_MILLIS = 15_000
const limits: Partial<Limits> = { answerMillis: 2 * ROUND_MILLIS }

interface Run {
  readonly surveyor: FakeSurveyor
  plan: SurveyPlan
  now: number
}

const begin = (nodes: ReadonlyArray<Fake>, seed = 1, more: Partial<Limits> = limits): Run => {
  const surveyor = new FakeSurveyor(nodes, seed)
  const plan = new SurveyPlan(more)
  plan.setSurveyor(surveyor.self.id)
  plan.seed([...surveyor.self.inbound, ...surveyor.self.outbound].map(({ nodeId }) => nodeId))
  return { surveyor, plan, now: 0 }
}

/** One poll: orders, a round of the surveyor, a look at what came. Checks what must hold of every order. */
const step = (run: Run): void => {
  const { plan, surveyor } = run
  const before = new Map(plan.nodes.map(({ id, status }): [string, NodeStatus] => [id, status]))
  for (const { id, inbound, outbound } of plan.orders()) {
    assert.notStrictEqual(id, surveyor.self.id)
    assert.strictEqual(before.get(id), "queued")
    if (surveyor.order(id, inbound, outbound)) plan.ordered(id, run.now)
    else plan.refused(id)
  }
  assert.isAtMost(plan.coverage.ordered, plan.limits.window)
  surveyor.round()
  run.now += ROUND_MILLIS
  plan.observe(surveyor.results, run.now)
}

const toTheEnd = (run: Run, most = 3000): number => {
  for (let steps = 1; steps <= most; steps++) {
    step(run)
    if (run.plan.isDone) return steps
  }
  throw new Error("no end")
}

/** Nodes that somebody who answers is connected with, from the surveyor on. */
const reachable = (nodes: ReadonlyArray<Fake>): ReadonlySet<string> => {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const found = new Set([nodes[0]!.id])
  for (const id of found) {
    const node = byId.get(id)!
    if (node.isSilent || node.isBad) continue
    for (const { nodeId } of [...node.inbound, ...node.outbound]) found.add(nodeId)
  }
  return found
}

/** What is known is the truth, edge by edge and attribute by attribute, and nobody who answers is missing. */
const isTheTruth = (plan: SurveyPlan, nodes: ReadonlyArray<Fake>): void => {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const { results } = plan
  const expected = reachable(nodes)
  assert.deepStrictEqual([...results.keys()].sort(), [...expected].sort())
  for (const [id, result] of results) {
    const node = byId.get(id)!
    if (node.isSilent || node.isBad) {
      assert.isUndefined(result, id)
      continue
    }
    const sorted = (rows: ReadonlyArray<{ readonly nodeId: string }>) =>
      [...rows].sort((a, b) => a.nodeId < b.nodeId ? -1 : 1)
    assert.deepStrictEqual(result!.facts, factsOf(node))
    assert.deepStrictEqual(sorted(result!.inboundPeers), node.inbound)
    assert.deepStrictEqual(sorted(result!.outboundPeers), node.outbound)
  }
}

const star = (size: number): Pairs => Array.from({ length: size - 1 }, (_, i) => [i + 1, 0] as const)

describe("SurveyPlan", () => {
  it("a node with 60 peers of a direction is asked three times, by their indices", () => {
    // 0 is the surveyor, 1 has 60 inbound peers besides it.
    const nodes = network(62, [[0, 1], ...Array.from({ length: 60 }, (_, i) => [i + 2, 1] as const)])
    const run = begin(nodes, 7, { ...limits, answerMillis: 10 * ROUND_MILLIS })
    toTheEnd(run)
    const hub = nodes[1]!.id
    assert.deepStrictEqual(
      run.surveyor.asked.filter(({ id }) => id === hub).map(({ inbound, outbound }) => [inbound, outbound]),
      [
        [0, 0],
        [PAGE, 0],
        [2 * PAGE, 0]
      ]
    )
    isTheTruth(run.plan, nodes)
    assert.deepInclude(run.plan.coverage, { known: 62, answered: 62, silent: 0, connections: 61 })
  })

  it("lists that end at a page, or one before or after it, in either direction", () => {
    for (const count of [24, 25, 26, 49, 50, 51]) {
      for (const isInbound of [true, false]) {
        const pairs = Array.from({ length: count - 1 }, (_, i) => isInbound ? [i + 2, 1] as const : [1, i + 2] as const)
        const nodes = network(count + 1, [isInbound ? [0, 1] : [1, 0], ...pairs])
        const run = begin(nodes, 2, { answerMillis: 10 * ROUND_MILLIS })
        toTheEnd(run)
        isTheTruth(run.plan, nodes)
        const hub = run.plan.nodes.find(({ id }) => id === nodes[1]!.id)!
        assert.deepStrictEqual([hub.status, hub.requests], ["answered", Math.ceil(count / PAGE)], `${count}`)
      }
    }
  })

  it("goes breadth-first, and asks those first whom more nodes named", () => {
    // 0 - {1, 2, 3}; all three know 4, one knows 5; 4 knows 6.
    const nodes = network(7, [[0, 1], [0, 2], [0, 3], [1, 5], [1, 4], [2, 4], [3, 4], [4, 6]])
    const run = begin(nodes, 1, { ...limits, window: 1, answerMillis: 10 * ROUND_MILLIS })
    toTheEnd(run)
    const order = run.surveyor.asked.map(({ id }) => nodes.findIndex((node) => node.id === id))
    assert.deepStrictEqual(order.slice(0, 3).sort(), [1, 2, 3])
    assert.deepStrictEqual(order.slice(3), [4, 5, 6])
  })

  it("a silent node is asked three times and no more, and waits in the backlog count for nothing", () => {
    const nodes = network(40, star(40))
    for (const node of nodes.slice(1, 5)) node.isSilent = true
    const run = begin(nodes)
    toTheEnd(run)
    for (const { id, isSilent } of nodes.slice(1)) {
      const times = run.surveyor.asked.filter((entry) => entry.id === id).length
      if (isSilent) assert.strictEqual(times, 3)
      else assert.isAtMost(times, 3)
    }
    assert.deepInclude(run.plan.coverage, { known: 40, answered: 36, silent: 4, queued: 0, ordered: 0 })
    isTheTruth(run.plan, nodes)
  })

  it("an answer nobody can read is asked for again, and named", () => {
    const nodes = network(5, star(5))
    nodes[2]!.isBad = true
    const run = begin(nodes)
    toTheEnd(run)
    assert.strictEqual(run.surveyor.asked.filter(({ id }) => id === nodes[2]!.id).length, 3)
    assert.deepStrictEqual(run.plan.badResponseNodes, [nodes[2]!.id])
    isTheTruth(run.plan, nodes)
  })

  it("S4 a liar that invents peers without end costs a bounded number of requests, and no truth", () => {
    const nodes = network(30, star(30))
    nodes[3]!.invents = 5000
    const run = begin(nodes, 1, { ...limits, maxPages: 4, maxNodes: 200, maxAttempts: 1 })
    toTheEnd(run)
    assert.strictEqual(run.surveyor.asked.filter(({ id }) => id === nodes[3]!.id).length, 4)
    assert.strictEqual(run.plan.coverage.known, 130) // 30 and four pages
    const { results } = run.plan
    const real = new Set(nodes.map(({ id }) => id))
    for (const [id, result] of results) if (!real.has(id)) assert.isUndefined(result)
    // Everybody real was asked before anybody invented.
    const firstFake = run.surveyor.asked.findIndex(({ id }) => !real.has(id))
    assert.strictEqual(new Set(run.surveyor.asked.slice(0, firstFake).map(({ id }) => id)).size, 29)
    const small = begin(nodes, 1, { ...limits, maxPages: 4, maxNodes: 50, maxAttempts: 1 })
    toTheEnd(small)
    assert.strictEqual(small.plan.coverage.known, 50)
    assert.isAbove(small.plan.leftOut, 0)
  })

  it("lists that are shorter than a node says end, and are called incomplete", () => {
    const nodes = network(4, star(4))
    nodes[1]!.invents = 10
    const run = begin(nodes, 1, { ...limits, maxAttempts: 1 })
    toTheEnd(run)
    const entry = run.plan.nodes.find(({ id }) => id === nodes[1]!.id)!
    assert.deepStrictEqual([entry.status, entry.inbound.length], ["incomplete", 10])
  })

  it("random networks with silent, late, deaf and unreadable nodes: the truth about all who answer", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const next = random(seed)
      const size = 2 + Math.floor(next() * 120)
      const nodes = network(size, [[0, 1], ...randomPairs(size, Math.floor(next() * size * 6), next)])
      for (const node of nodes.slice(1)) {
        node.isSilent = next() < 0.1
        node.isBad = !node.isSilent && next() < 0.05
        node.ignores = next() < 0.1 ? 2 : 0
      }
      // An answer that comes after the third request was given up would be lost: patience is longer than the delays.
      const run = begin(nodes, seed, { answerMillis: 8 * ROUND_MILLIS })
      toTheEnd(run)
      isTheTruth(run.plan, nodes)
    }
  })

  it("impatience loses no truth it has: answers to earlier requests are put in their place", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const next = random(seed)
      const nodes = network(90, [...star(90), ...randomPairs(90, 200, next)])
      const run = begin(nodes, seed, { answerMillis: ROUND_MILLIS, maxAttempts: 8 })
      toTheEnd(run)
      isTheTruth(run.plan, nodes)
    }
  })

  it("stopped at any moment, kept as a file and gone on with: the same result, also when the surveyor forgot", () => {
    for (let seed = 1; seed <= 30; seed++) {
      const next = random(seed)
      const nodes = network(70, [...star(70), ...randomPairs(70, 300, next)])
      for (const node of nodes.slice(1)) node.isSilent = next() < 0.1
      const run = begin(nodes, seed, { answerMillis: 8 * ROUND_MILLIS })
      const stops = 1 + Math.floor(next() * 12)
      for (let i = 0; i < stops && !run.plan.isDone; i++) step(run)
      if (next() < 0.5) run.surveyor.stop()
      const state = State.fromJson(JSON.parse(State.toText({
        url: "http://127.0.0.1:11626",
        via: [],
        surveyor: run.plan.surveyor,
        network: undefined,
        nonce: 1,
        phase: "reporting",
        startedAt: 0,
        collectMillis: 1,
        stoppedAt: undefined,
        databaseId: undefined,
        nodes: run.plan.nodes
      })))
      const before = run.plan.results
      run.plan = SurveyPlan.restore(state!.nodes, state!.surveyor, run.plan.limits)
      assert.deepStrictEqual(run.plan.results, before)
      toTheEnd(run)
      isTheTruth(run.plan, nodes)
    }
  })

  it("a node that no longer reports is told again, and its backlog not waited for", () => {
    const nodes = network(30, star(30))
    const run = begin(nodes)
    step(run)
    run.surveyor.stop()
    step(run)
    step(run)
    toTheEnd(run)
    isTheTruth(run.plan, nodes)
  })

  it("the end of patience: what came stays, the rest is silent", () => {
    const nodes = network(60, star(60))
    const run = begin(nodes)
    step(run)
    step(run)
    run.plan.finish()
    assert.isTrue(run.plan.isDone)
    const { answered, known, silent } = run.plan.coverage
    assert.strictEqual(answered + silent, known)
    assert.isAbove(answered, 5)
    assert.deepStrictEqual(run.plan.orders(), [])
  })

  it("a file of something else is no survey", () => {
    for (const value of [null, [], {}, { format: "stellar-overlay-survey" }, { format: "x", nodes: [] }]) {
      assert.isUndefined(State.fromJson(value))
    }
  })

  it("the surveyor is not asked, whoever names it", () => {
    const plan = new SurveyPlan()
    plan.seed([idOf(1), idOf(2)])
    plan.setSurveyor(idOf(1))
    assert.deepStrictEqual(plan.orders().map(({ id }) => id), [idOf(2)])
  })
})
