/** A network that can fail keeps the contract of every transport while nothing fails, and under every honest line. */
import { describe, it } from "@effect/vitest"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect, Layer } from "effect"
import * as TransportContract from "../src/contract/TransportContract.ts"
import * as LoopbackTransport from "../src/LoopbackTransport.ts"
import type { NetworkFault } from "../src/SimFault.ts"
import * as SimNetwork from "../src/SimNetwork.ts"
import * as World from "../src/World.ts"

const hole = PeerAddress.make("127.0.0.1", 9)

const cases = [
  ...TransportContract.cases,
  ...TransportContract.blackHoleCases(hole).map(({ run, title }) => ({
    title,
    run: Effect.andThen(LoopbackTransport.LoopbackNetwork.use((network) => network.blackHole(hole)), run)
  }))
]

const layer = (options: SimNetwork.Options) =>
  Layer.provideMerge(LoopbackTransport.layerAt("127.0.0.1"), SimNetwork.layer(options))

const under = (run: (typeof cases)[number]["run"], ...faults: ReadonlyArray<NetworkFault>) =>
  Effect.gen(function*() {
    const network = yield* SimNetwork.SimNetwork
    for (const fault of faults) yield* network.inject(fault)
    yield* run
  })

describe("SimNetwork: contract", () => {
  for (const { run, title } of cases) {
    it.effect(`SIM-01 SIM-03 ${title} (nothing fails, 5 seeds)`, () =>
      World.runSeeds(5, () => Effect.provide(run, layer({}))))

    it.effect(`SIM-01 SIM-03 ${title} (a slow, jittery line that cuts and gathers, 5 seeds)`, () =>
      World.runSeeds(5, () =>
        under(
          run,
          { _tag: "Jitter", millis: 5 },
          { _tag: "Segmentation", maxBytes: 4_000 },
          { _tag: "Coalescing", millis: 2 }
        ).pipe(Effect.provide(layer({ conditions: { delayMillis: 5, bytesPerSecond: 100_000_000 } })))))
  }
})
