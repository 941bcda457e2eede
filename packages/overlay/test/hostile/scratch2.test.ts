import { assert, describe, it } from "@effect/vitest"
import * as AttackTrial from "@stellar-overlay/overlay-test/hostile/AttackTrial"
import { transportAttacks } from "@stellar-overlay/overlay-test/hostile/TransportAttacks"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect, Exit } from "effect"

describe("scratch", () => {
  for (const attack of transportAttacks) for (const variant of attack.variants) {
    it.effect(`${attack.id} ${variant.name}`, () => Effect.gen(function*() {
      const report = yield* World.simulate(Effect.gen(function*() {
        return yield* AttackTrial.onTransport(variant)
      }).pipe(Effect.provide(LoopbackTransport.layerWith({})), Effect.scoped), { seed: 1 })
      const trial = yield* report.exit
      assert.deepStrictEqual(AttackTrial.judge(variant, trial), [])
      assert.deepStrictEqual(report.pending, { tasks: 0, timers: 0 })
    }))
  }
})
