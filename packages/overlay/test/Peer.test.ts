/** Peers over the loopback transport, inside a `World`: every story under several seeds, each run repeatable. */
import { assert, describe, it } from "@effect/vitest"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect, type Scope } from "effect"
import { Exit } from "effect"
import type { Transport } from "../src/Transport.ts"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import { stories } from "./scenarios/peerStories.ts"

const SEEDS = 8

describe("over the loopback transport", () => {
  for (const { run, title } of stories) {
    it.effect(title, () =>
      World.runSeeds(SEEDS, (seed) =>
        run.pipe(Effect.scoped, Effect.provide(LoopbackTransport.layerWith({ segmentation: seed, latencyMillis: Number(seed) % 3 })))))
  }
})
