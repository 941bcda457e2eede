/** Peers over the loopback transport, inside a `World`: every story under several seeds, each run repeatable. */
import { describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect } from "effect"
import { stories } from "./scenarios/peerStories.ts"

const SEEDS = 6

describe("over the loopback transport", () => {
  for (const { run, title } of stories) {
    it.effect(title, () =>
      World.runSeeds(SEEDS, (seed) =>
        run.pipe(
          Effect.scoped,
          Effect.provide(LoopbackTransport.layerWith({
            latencyMillis: Number(seed) % 3,
            ...(Number(seed) % 2 === 0 ? {} : { segmentation: seed })
          }))
        )))
  }
})
