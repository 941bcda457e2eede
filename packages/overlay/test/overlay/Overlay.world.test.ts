import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { Context, Effect } from "effect"
import { Overlay } from "../../src/Overlay.ts"

describe("Overlay", () => {
  it.effect("OVM-19 from one seed, five nodes connect all with all", () =>
    World.run(
      Effect.gen(function*() {
        const nodes = []
        for (let i = 0; i < 5; i++) {
          nodes.push(
            yield* TestNode.start({
              name: `n${i}`,
              ip: `10.${i + 1}.0.1`,
              config: { knownPeers: i === 0 ? [] : ["10.1.0.1:11625"], listenHost: `10.${i + 1}.0.1` }
            })
          )
        }
        yield* Effect.sleep("60 seconds")
        const counts = nodes.map((node) => Context.get(node, Overlay).peers.authenticated().length)
        assert.deepStrictEqual(counts, [4, 4, 4, 4, 4])
      }).pipe(Effect.provide(LoopbackTransport.layerNetwork())),
      { seed: 1 }
    ))
})
