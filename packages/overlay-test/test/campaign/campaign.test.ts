import { assert, describe, it } from "@effect/vitest"
import * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import { Effect, Result } from "effect"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Campaign from "../../src/campaign/Campaign.ts"
import * as Checker from "../../src/campaign/Checker.ts"
import * as Scenario from "../../src/campaign/Scenario.ts"
import * as Shrink from "../../src/campaign/Shrink.ts"
import * as Story from "../../src/campaign/Story.ts"
import { Tally } from "../../src/campaign/Tally.ts"
import * as SimFault from "../../src/SimFault.ts"

describe("scenarios", () => {
  it("SIM-04 a thousand seeds: each drawn the same twice, valid, of 5 to 12 nodes, and all kinds and shapes among them", () => {
    const kinds = new Set<string>()
    const shapes = new Set<string>()
    let peaceful = 0
    let patient = 0
    for (let seed = 0; seed < 1000; seed++) {
      const scenario = Scenario.draw(seed)
      assert.deepStrictEqual(Scenario.draw(seed), scenario)
      const json: unknown = JSON.parse(JSON.stringify(scenario))
      assert.deepStrictEqual(Result.getOrThrow(Scenario.parse(json)), scenario)
      const { faults, nodes, phases } = scenario
      assert.isAtLeast(nodes.length, Scenario.NODES.least)
      assert.isAtMost(nodes.length, Scenario.NODES.most)
      const millis = phases.faults + phases.healing + phases.liveness
      if (millis > 60_000) patient++
      else assert.strictEqual(millis, 60_000)
      for (const { config } of nodes) {
        const made = OverlayConfig.make({ ...OverlayConfig.standalone, ...config as Partial<OverlayConfig.Values> })
        assert.isTrue(Result.isSuccess(made), `${seed}: ${JSON.stringify(config)}`)
      }
      for (const { at, fault, for: millis } of faults) {
        kinds.add(fault._tag)
        assert.isAtMost(at + (millis ?? Infinity), phases.faults)
      }
      shapes.add(scenario.topology)
      if (faults.length === 0) peaceful++
    }
    assert.deepStrictEqual([...kinds].sort(), [...SimFault.kinds].sort())
    assert.strictEqual(shapes.size, 9) // eight, and those of which a part was taken
    assert.isAtLeast(peaceful, 30)
    assert.isAtLeast(patient, 10)
    assert.isAtMost(patient, 100)
  })

  it("SIM-04 what is not a scenario is refused with a reason", () => {
    for (
      const wrong of [undefined, 1, {}, { ...Scenario.draw(1), format: 2 }, { ...Scenario.draw(1), nodes: "many" }]
    ) {
      const parsed = Scenario.parse(wrong)
      assert.isTrue(Result.isFailure(parsed))
    }
    const unknown = { ...Scenario.draw(1), faults: [{ at: 1, fault: { _tag: "Earthquake" } }] }
    assert.isTrue(Result.isFailure(Scenario.parse(unknown)))
  })
})

/** The outcomes of some seeds, run in a process of their own. */
const elsewhere = (from: number, seeds: number): ReadonlyArray<Campaign.Outcome> => {
  const bin = fileURLToPath(new URL("../../../overlay-cli/src/bin.ts", import.meta.url))
  const args = ["sim", "outcomes", "--from", String(from), "--seeds", String(seeds)]
  const { stderr, stdout } = spawnSync(process.execPath, ["--conditions=@stellar-overlay/source", bin, ...args], {
    encoding: "utf8"
  })
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"))
  assert.strictEqual(lines.length, seeds, stderr)
  return lines.map((line) => JSON.parse(line) as Campaign.Outcome)
}

const SEEDS = 8

describe("campaigns", () => {
  it("SIM-03 SIM-04 seeds run twice, in two processes: equal outcomes and trace hashes, and nothing wrong", {
    timeout: 300_000
  }, () => {
    const tally = new Tally()
    const own = Array.from({ length: SEEDS }, (_, seed) => Effect.runSync(Campaign.run(Scenario.draw(seed))))
    for (const outcome of own) {
      assert.deepStrictEqual(outcome.failures, [], `seed ${outcome.seed}`)
      assert.isAtLeast(outcome.ledger, 6)
      tally.add(outcome)
    }
    assert.deepStrictEqual(elsewhere(0, SEEDS), JSON.parse(JSON.stringify(own)))
    const report = tally.report()
    assert.strictEqual(report.seeds, SEEDS)
    assert.isAbove(report.pairs.met, 0)
    for (const { fired, runs } of Object.values(report.faults)) assert.isAtLeast(fired, runs)
    assert.strictEqual(new Set(own.map(({ traceHash }) => traceHash)).size, SEEDS)
  })

  it("SIM-04 a checker that finds something fails the run, and its failure carries the time", () => {
    const grumpy = Checker.make("grumpy", "no ledger closes", (fail) => ({
      Ledger: ({ at, node }) => fail(at, [node], "a ledger closed")
    }))
    const { failures } = Effect.runSync(Campaign.run(Scenario.draw(17), { checkers: [grumpy] }))
    assert.strictEqual(failures.length, Checker.MAX_FAILURES)
    assert.isAbove(failures[0]!.at, 0)
  })
})

describe("shrinking", () => {
  it("SIM-04 keeps what makes it fail and nothing else", () => {
    const scenario = Scenario.draw(38)
    const culprit = scenario.faults[0]!.fault._tag
    const shrunk = Effect.runSync(
      Shrink.shrink(
        scenario,
        ({ faults, nodes }) => Effect.succeed(nodes.length >= 3 && faults.some(({ fault }) => fault._tag === culprit))
      )
    )
    assert.isTrue(shrunk.isMinimal)
    assert.deepStrictEqual(shrunk.scenario.faults.map(({ fault }) => fault._tag), [culprit])
    assert.strictEqual(shrunk.scenario.nodes.length, 3)
    assert.isTrue(shrunk.scenario.nodes.every(({ config }) => Object.keys(config).length === 0))
    assert.strictEqual(shrunk.scenario.transactionsPerSecond, 0)
    assert.isTrue(Result.isSuccess(Scenario.parse(JSON.parse(JSON.stringify(shrunk.scenario)))))
  })

  it("SIM-04 keeps to its budget of runs", () => {
    const shrunk = Effect.runSync(Shrink.shrink(Scenario.draw(38), () => Effect.succeed(true), { maxRuns: 5 }))
    assert.deepStrictEqual([shrunk.runs, shrunk.isMinimal], [5, false])
  })

  it("SIM-04 a node takes with it what was about it", () => {
    const scenario: Scenario.Scenario = {
      ...Scenario.draw(1),
      faults: [
        { at: 1, for: 1, fault: { _tag: "Crash", node: "n1" } },
        { at: 1, for: 1, fault: { _tag: "Partition", groups: [["n1", "n2"]] } },
        { at: 1, for: 1, fault: { _tag: "Regions", regions: { n1: 1, n2: 2 }, millis: [] } }
      ]
    }
    const without = Shrink.removeNode(scenario, "n1")
    assert.notInclude(JSON.stringify(without), `"n1"`)
    assert.deepStrictEqual(without.faults.map(({ fault }) => fault._tag), ["Partition", "Regions"])
  })
})

describe("stories", () => {
  it("SIM-04 a page holds its data, loads nothing, and nothing in the data can end the script", () => {
    const scenario = { ...Scenario.draw(17), topology: "</script><script>alert(1)</script>\u2028" }
    const recorder = new Story.Recorder(scenario)
    const outcome = Effect.runSync(Campaign.run(scenario, recorder.options))
    const evil = { ...outcome, seed: `"><marquee>alert(1)</marquee>` }
    const story = recorder.tell(evil)
    const html = Story.toHtml(story)
    assert.strictEqual(html.split("</script>").length, 3)
    assert.notInclude(html, "<marquee")
    assert.notMatch(html, /\b(src|href)\s*=|https?:\/\/(?!www\.w3\.org\/2000\/svg)/)
    assert.include(html, "default-src 'none'")
    const data = /<script type="application\/json" id="story">(.*?)<\/script>/s.exec(html)![1]!
    assert.deepStrictEqual(JSON.parse(data), JSON.parse(JSON.stringify(story)))
    assert.isAbove(story.links.length, 3)
    assert.isAbove(story.marks.length, 50)
    assert.deepStrictEqual(story.phases.map(({ phase }) => phase), ["faults", "healing", "liveness", "stopping", "end"])
  })
})
