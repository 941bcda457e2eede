/**
 * The same attacks against a `Peer` over the loopback, in a `World`: sockets, fibers and timers included. The stream is
 * cut at random, and when attacker and victim are gone nothing of either is left.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Variant } from "@stellar-overlay/overlay-test/hostile/Attack"
import * as AttackTrial from "@stellar-overlay/overlay-test/hostile/AttackTrial"
import { attacks } from "@stellar-overlay/overlay-test/hostile/Catalogue"
import { fuzzHandshake } from "@stellar-overlay/overlay-test/hostile/HandshakeAttacks"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as World from "@stellar-overlay/overlay-test/World"
import { Effect, Exit } from "effect"

/** Rows with a variant per field of every message are sampled here: the session's test runs all of them. */
const MOST_VARIANTS = 48

const sampled = (variants: ReadonlyArray<Variant>): ReadonlyArray<Variant> => {
  const step = Math.ceil(variants.length / MOST_VARIANTS)
  return variants.filter((_, i) => i % step === 0)
}

const attempt = (variant: Variant, seed: string) =>
  Effect.gen(function*() {
    const trial = yield* Effect.scoped(AttackTrial.onTransport(variant, { seed }))
    yield* Effect.sleep("5 seconds")
    const { links } = yield* LoopbackTransport.LoopbackNetwork
    return { trial, links: (yield* links).length }
  }).pipe(Effect.provide(LoopbackTransport.layerWith({ segmentation: seed, readLimit: 4096 })))

describe("hostile peers against a peer in a world", () => {
  for (const attack of attacks) {
    it.effect(`${attack.id} ${attack.title}`, () =>
      Effect.gen(function*() {
        const wrong: Array<unknown> = []
        for (const [i, variant] of sampled(attack.variants).entries()) {
          const seed = `${attack.id}/${i}`
          const report = yield* World.simulate(attempt(variant, seed), { seed })
          const problems = Exit.isSuccess(report.exit)
            ? AttackTrial.judge(variant, report.exit.value.trial)
            : [String(report.exit.cause)]
          if (Exit.isSuccess(report.exit) && report.exit.value.links !== 0) problems.push("a link is left open")
          if (report.pending.tasks + report.pending.timers !== 0) {
            problems.push(`${JSON.stringify(report.pending)} left`)
          }
          if (problems.length > 0) wrong.push({ variant: variant.name, seed, problems })
        }
        assert.deepStrictEqual(wrong, [])
      }))
  }

  it.effect("H20 300 damaged handshakes end typed, once, and leave nothing", () =>
    Effect.gen(function*() {
      const reasons = new Set<string>()
      for (let input = 0; input < 300; input++) {
        const variant: Variant = {
          name: `input ${input}`,
          attacker: { role: (input & 1) === 0 ? "initiator" : "acceptor" },
          victim: {},
          drop: undefined,
          slow: false,
          strict: false,
          quiet: false,
          run: fuzzHandshake(input)
        }
        const report = yield* World.simulate(attempt(variant, `fuzz/${input}`), { seed: input })
        const { links, trial } = yield* report.exit
        assert.lengthOf(trial.drops, 1, variant.name)
        assert.deepStrictEqual([links, report.pending], [0, { tasks: 0, timers: 0 }], variant.name)
        if (!trial.authenticated) assert.isEmpty(trial.delivered, variant.name)
        reasons.add(trial.drops[0]!._tag)
      }
      assert.isAtLeast(reasons.size, 6, [...reasons].join())
    }))
})
