/**
 * The parity suite: each scenario is written once and runs in a `World` over a `SimNetwork` and over TCP on the loopback
 * address. Application events and drop reasons have to be the same, whatever the interleaving; time decides nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as SimNetwork from "@stellar-overlay/overlay-test/SimNetwork"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect } from "effect"
import * as NodeTransport from "../../src/NodeTransport.ts"
import { scenarios as endings } from "./endings.ts"
import { Net, type Scenario } from "./net.ts"
import { scenarios as networks } from "./networks.ts"

const scenarios: ReadonlyArray<Scenario> = [...endings, ...networks]

const play = (scenario: Scenario, net: Net) =>
  Effect.scoped(Effect.map(scenario.run(net), (facts) => ({ facts: facts ?? null, events: net.outcome() })))

/** In virtual time, behind lines that delay and cut. */
const simulated = (scenario: Scenario) =>
  World.run(
    Effect.gen(function*() {
      const loopback = yield* LoopbackTransport.LoopbackNetwork
      const network = yield* SimNetwork.SimNetwork
      yield* network.inject({ _tag: "Segmentation", maxBytes: 400 })
      return yield* play(scenario, new Net(loopback.transportAt("127.0.0.1"), 0))
    }).pipe(Effect.provide(SimNetwork.layer({ conditions: { delayMillis: 3, jitterMillis: 3 } }))),
    { seed: scenario.title }
  )

const real = (scenario: Scenario) =>
  play(scenario, new Net(NodeTransport.make(), 10_000)).pipe(Effect.provide(LoopbackTransport.layerNetwork()))

describe("parity of the simulated network and TCP", () => {
  it("SIM-03 there are at least 40 scenarios, and no two of one name", () => {
    assert.isAtLeast(scenarios.length, 40)
    assert.strictEqual(new Set(scenarios.map(({ title }) => title)).size, scenarios.length)
  })

  for (const scenario of scenarios) {
    it.live(scenario.title, () =>
      Effect.gen(function*() {
        const inWorld = yield* simulated(scenario)
        const onTcp = yield* real(scenario)
        assert.deepStrictEqual(onTcp, inWorld)
      }))
  }
})
