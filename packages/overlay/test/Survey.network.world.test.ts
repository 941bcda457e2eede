import { assert, describe, it } from "@effect/vitest"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect } from "effect"
import * as SurveyBody from "../src/protocol/SurveyBody.ts"
import type { NodeId } from "../src/wire/NodeId.ts"
import { type Node, report, run, start } from "./surveyWorld.ts"

interface Link {
  readonly from: number
  readonly to: number
}

/** A ring of those who take part, so that it does not matter who is silent, and chords between everybody. */
const graph = (
  size: number,
  chords: number,
  silent: (i: number) => boolean,
  random: World.WorldRandom
): Array<Link> => {
  const links: Array<Link> = []
  const isLinked = (a: number, b: number) =>
    links.some(({ from, to }) => (from === a && to === b) || (from === b && to === a))
  const add = (from: number, to: number) => {
    if (from !== to && !isLinked(from, to)) links.push({ from, to })
  }
  const loud = Array.from({ length: size }, (_, i) => i).filter((i) => !silent(i))
  loud.forEach((from, at) => add(from, loud[(at + 1) % loud.length]!))
  for (let i = 0; i < size; i++) for (let k = 0; k < chords; k++) add(i, random.nextBelowUnsafe(size))
  return links
}

const network = Effect.fnUntraced(function*(size: number, chords: number) {
  const world = yield* World.World
  const quorum = new Set<NodeId>()
  const silent = (i: number) => i % 10 === 7
  const links = graph(size, chords, silent, world.random("graph"))
  const options = (i: number) => ({
    quorum,
    survey: { survey: silent(i) ? "deny" as const : "quorum" as const, isValidator: i % 3 === 0 },
    closeMillis: 5000
  })
  const nodes: Array<Node> = []
  for (let i = 0; i < size; i++) nodes.push(yield* start(i, options(i)))
  quorum.add(nodes[0]!.id)
  for (const { from, to } of links) yield* nodes[from]!.connect(nodes[to]!)
  return { nodes, links, silent, options }
})

/** Waits until nothing is queued and what was sent could be answered. */
const finish = (surveyor: Node) =>
  Effect.gen(function*() {
    while (surveyor.survey.surveyor.backlogSize > 0) yield* Effect.sleep("15 seconds")
    yield* Effect.sleep("5 seconds")
  })

/** Every answer is what its node had collected, and together they are all links but those between silent nodes. */
const compare = (
  topology: ReturnType<Node["topology"]>,
  nodes: ReadonlyArray<Node>,
  links: ReadonlyArray<Link>,
  silent: (i: number) => boolean,
  collected = nodes.map(({ survey }) => survey.state.final)
): void => {
  const found = new Set<string>()
  for (const [i, node] of nodes.entries()) {
    const answer = topology[node.id]
    if (silent(i)) {
      assert.isNull(answer)
      continue
    }
    assert.deepStrictEqual(answer, SurveyBody.toJson(collected[i]!), `node ${i}`)
    for (const { nodeId } of answer?.outboundPeers ?? []) found.add(`${node.id} ${nodeId}`)
    for (const { nodeId } of answer?.inboundPeers ?? []) found.add(`${nodeId} ${node.id}`)
  }
  const truth = links.filter(({ from, to }) => !(silent(from) && silent(to)))
  assert.sameMembers([...found], truth.map(({ from, to }) => `${nodes[from]!.id} ${nodes[to]!.id}`))
}

describe("a survey of a network", () => {
  it.effect("SUR-13 SUR-16 20 nodes, 10 % of them silent: the result is the network, edge by edge", () =>
    run(Effect.gen(function*() {
      const { links, nodes, silent } = yield* network(20, 2)
      const surveyor = nodes[0]!
      yield* report(surveyor)
      for (const node of nodes.slice(1)) surveyor.ask(node)
      yield* finish(surveyor)
      compare(surveyor.topology(), nodes, links, silent)
      assert.strictEqual(surveyor.survey.stats.requested, 19)
    })))

  it.effect("SUR-13 SUR-16 SUR-08 100 nodes, 10 % silent, and the surveyor dies in the middle and goes on", () =>
    run(Effect.gen(function*() {
      const { links, nodes, options, silent } = yield* network(100, 1)
      const [first, ...others] = nodes as [Node, ...Array<Node>]
      yield* report(first)
      const collected = nodes.map(({ survey }) => survey.state.final)
      for (const node of others) first.ask(node)
      yield* Effect.sleep("80 seconds")
      const before = first.topology()
      const known = others.filter(({ id }) => before[id] !== null)
      assert.isAbove(known.length, 30)
      assert.isBelow(known.length, 60)

      yield* first.stop
      yield* Effect.sleep("1 minute")
      const again = yield* start(0, options(0))
      assert.strictEqual(again.id, first.id)
      for (const { from, to } of links) {
        if (from === 0) yield* again.connect(nodes[to]!)
        else if (to === 0) yield* nodes[from]!.connect(again)
      }
      assert.isTrue(again.survey.resume(0xcafe))
      const rest = others.filter((node) => !known.includes(node))
      for (const node of rest) assert.strictEqual(again.ask(node), "Queued")
      yield* finish(again)

      compare({ ...before, ...again.topology() }, nodes, links, silent, collected)
    })))

  it.effect("SUR-13 a node with more than 25 peers of a direction is told in pages, each peer once", () =>
    run(Effect.gen(function*() {
      const quorum = new Set<NodeId>()
      const config = { targetPeerConnections: 35, maxAdditionalPeerConnections: 100 }
      const [hub, ...leaves] = yield* Effect.forEach(
        Array.from({ length: 61 }, (_, i) => i),
        (i) => start(i, { quorum, config })
      )
      const [surveyor] = leaves
      quorum.add(surveyor!.id)
      yield* Effect.forEach(leaves, (leaf, i) => i < 30 ? leaf.connect(hub!) : hub!.connect(leaf))
      yield* report(surveyor!)
      const found: { readonly inbound: Array<string>; readonly outbound: Array<string> } = { inbound: [], outbound: [] }
      for (const at of [0, 25]) {
        surveyor!.ask(hub!, at, at)
        yield* Effect.sleep("5 seconds")
        const page = surveyor!.topology()[hub!.id]!
        assert.deepStrictEqual([page.numTotalInboundPeers, page.numTotalOutboundPeers], [30, 30])
        found.inbound.push(...page.inboundPeers?.map(({ nodeId }) => nodeId) ?? [])
        found.outbound.push(...page.outboundPeers?.map(({ nodeId }) => nodeId) ?? [])
      }
      assert.sameMembers(found.inbound, leaves.slice(0, 30).map(({ id }) => id))
      assert.sameMembers(found.outbound, leaves.slice(30).map(({ id }) => id))
    })))
})
