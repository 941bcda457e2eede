import { assert, describe, it } from "@effect/vitest"
import * as NodeResolver from "@stellar-overlay/overlay/NodeResolver"
import * as PeerResolution from "@stellar-overlay/overlay/PeerResolution"
import * as Resolver from "@stellar-overlay/overlay/Resolver"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Clock, Effect, Layer, Result } from "effect"
import { Dns } from "effect/net"
import { TestClock } from "effect/testing"
import { keys } from "./peerFixtures.ts"

const address = (text: string) => Result.getOrThrow(PeerAddress.parse(text))

const resolve = (text: string, ipv6: boolean, hosts: Readonly<Record<string, ReadonlyArray<string>>>) =>
  Resolver.resolve(address(text), { ipv6 }).pipe(
    Effect.map((resolved) => resolved.key),
    Effect.provide(Resolver.Resolver.layerStatic(hosts))
  )

/** A resolver whose answers the test changes, and that remembers when each name was asked for. */
const scripted = () => {
  const answers = new Map<string, ReadonlyArray<string> | "fails" | "hangs">()
  const asked: Array<readonly [host: string, seconds: number]> = []
  const layer = Layer.succeed(Resolver.Resolver, {
    lookup: (host) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        asked.push([host, now / 1000])
        const answer = answers.get(host) ?? "fails"
        if (answer === "hangs") return Effect.never
        if (answer !== "fails") return Effect.succeed(answer)
        return Effect.fail(new Resolver.ResolveError({ host, detail: "NotFound", retryable: true }))
      })
  })
  return { answers, asked, layer, times: (host: string) => asked.filter(([name]) => name === host).map(([, at]) => at) }
}

const lists = (known: ReadonlyArray<string>, preferred: ReadonlyArray<string> = [], ipv6 = false) => ({
  known,
  preferred,
  ipv6
})

describe("Resolver", () => {
  it.effect("CFG-04 OVM-06 of several addresses the first IPv4 one counts, with the port asked for", () =>
    Effect.gen(function*() {
      const hosts = { "core.example": ["2001:db8::1", "1.2.3.4", "5.6.7.8"] }
      assert.strictEqual(yield* resolve("core.example:1000", false, hosts), "1.2.3.4:1000")
      assert.strictEqual(yield* resolve("core.example", true, hosts), "1.2.3.4:11625")
      assert.strictEqual(yield* resolve("9.9.9.9:1", false, {}), "9.9.9.9:1", "nothing to look up")
    }))

  it.effect("CFG-05 a name with IPv6 addresses only resolves when IPv6 is enabled", () =>
    Effect.gen(function*() {
      const hosts = { "v6.example": ["2001:db8::1"] }
      assert.strictEqual(yield* resolve("v6.example", true, hosts), "[2001:db8::1]:11625")
      const error = yield* Effect.flip(resolve("v6.example", false, hosts))
      assert.include(error.message, "only IPv6 addresses, which are not enabled")
    }))

  it.effect("OVM-06 a name without an address, and one without an answer for 10 s, are errors that say so", () =>
    Effect.gen(function*() {
      const missing = yield* Effect.flip(resolve("nowhere.example", false, {}))
      assert.deepStrictEqual([missing._tag, missing.host, missing.retryable], ["ResolveError", "nowhere.example", true])
      const { answers, layer } = scripted()
      answers.set("slow.example", "hangs")
      const fiber = yield* Effect.forkScoped(
        Effect.flip(Effect.provide(Resolver.resolve(address("slow.example"), { ipv6: false }), layer))
      )
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isDefined(fiber.pollUnsafe())
    }))

  it.effect("OVM-06 over effect's Dns service; a malformed name is not worth asking again", () =>
    Effect.gen(function*() {
      const layer = Layer.provide(
        Resolver.Resolver.layerDns,
        Layer.orDie(Dns.layerStatic({ hosts: { "core.example": ["1.2.3.4"] } }))
      )
      const found = yield* Effect.provide(Resolver.resolve(address("core.example"), { ipv6: false }), layer)
      assert.strictEqual(found.key, "1.2.3.4:11625")
      const missing = yield* Effect.flip(Effect.provide(Resolver.resolve(address("x.example"), { ipv6: false }), layer))
      assert.deepStrictEqual([missing.detail, missing.retryable], ["NotFound", true])
      const bad = yield* Effect.flip(Effect.provide(Resolver.Resolver.use((r) => r.lookup("a..b")), layer))
      assert.isFalse(bad.retryable)
    }))

  it.live("OVM-06 the operating system knows localhost", () =>
    Effect.gen(function*() {
      const found = yield* Resolver.resolve(address("localhost:1"), { ipv6: true })
      assert.isTrue(found.isLocalhost)
    }).pipe(Effect.provide(NodeResolver.layer)))
})

describe("PeerResolution", () => {
  it("OVM-06 pauses are 10, 20, 30 s and so on while something fails, and 600 s after the first clean round", () => {
    const schedule = new PeerResolution.ResolutionSchedule()
    assert.deepStrictEqual([true, true, true].map((failed) => schedule.next(failed)), [10_000, 20_000, 30_000])
    assert.deepStrictEqual([false, true, true].map((failed) => schedule.next(failed)), [600_000, 600_000, 600_000])
  })

  it("OVM-06 sixty failing rounds end the retries for good", () => {
    const schedule = new PeerResolution.ResolutionSchedule()
    const pauses = Array.from({ length: 63 }, () => schedule.next(true) / 1000)
    assert.deepStrictEqual(pauses.slice(0, 60), Array.from({ length: 60 }, (_, i) => 10 * (i + 1)))
    assert.deepStrictEqual(pauses.slice(60), [600, 600, 600])
  })

  it.effect("OMG-009 addresses are there at once, names after the first round, and a round is taken once", () =>
    Effect.gen(function*() {
      const { answers, layer } = scripted()
      answers.set("known.example", ["5.5.5.5"])
      answers.set("preferred.example", ["6.6.6.6"])
      const resolution = yield* Effect.provide(
        PeerResolution.make(lists(["127.0.0.1:64000", "known.example:7"], ["127.0.0.1:2011", "preferred.example"])),
        layer
      )
      assert.deepStrictEqual(keys(resolution.initial.known), ["127.0.0.1:64000"])
      assert.deepStrictEqual(keys(resolution.initial.preferred), ["127.0.0.1:2011"])
      assert.isFalse(resolution.initial.complete)
      assert.isUndefined(resolution.take())
      yield* TestClock.adjust(1)
      const round = resolution.take()!
      assert.deepStrictEqual(keys(round.known), ["127.0.0.1:64000", "5.5.5.5:7"])
      assert.deepStrictEqual(keys(round.preferred), ["127.0.0.1:2011", "6.6.6.6:11625"])
      assert.deepStrictEqual([round.complete, round.failures.length], [true, 0])
      assert.isUndefined(resolution.take())
    }))

  it.effect("OVM-06 a changed answer is adopted in the next cycle, after 600 s", () =>
    Effect.gen(function*() {
      const { answers, layer, times } = scripted()
      answers.set("core.example", ["1.1.1.1"])
      const resolution = yield* Effect.provide(PeerResolution.make(lists(["core.example"])), layer)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(keys(resolution.take()!.known), ["1.1.1.1:11625"])
      answers.set("core.example", ["2.2.2.2"])
      yield* TestClock.adjust("594 seconds")
      assert.isUndefined(resolution.take())
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(keys(resolution.take()!.known), ["2.2.2.2:11625"])
      yield* TestClock.adjust("1200 seconds")
      assert.deepStrictEqual(times("core.example"), [0, 600, 1200, 1800])
    }))

  it.effect("OVM-06 a failing name hides no other, is retried after 10, 20, 30 s, and then the pause is 600 s for good", () =>
    Effect.gen(function*() {
      const { answers, layer, times } = scripted()
      answers.set("good.example", ["1.1.1.1"])
      const resolution = yield* Effect.provide(PeerResolution.make(lists(["bad.example", "good.example"])), layer)
      yield* TestClock.adjust("1 second")
      const first = resolution.take()!
      assert.deepStrictEqual(keys(first.known), ["1.1.1.1:11625"])
      assert.isFalse(first.complete)
      assert.deepStrictEqual(first.failures.map((failure) => failure.entry), ["bad.example"])
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(times("bad.example"), [0, 10, 30, 60])
      answers.set("bad.example", ["3.3.3.3"])
      yield* TestClock.adjust("40 seconds")
      assert.deepStrictEqual(keys(resolution.take()!.known), ["1.1.1.1:11625", "3.3.3.3:11625"])
      answers.set("bad.example", "fails")
      yield* TestClock.adjust("1200 seconds")
      assert.deepStrictEqual(times("bad.example"), [0, 10, 30, 60, 100, 700, 1300])
      const last = resolution.take()!
      assert.deepStrictEqual(keys(last.known), ["1.1.1.1:11625", "3.3.3.3:11625"], "the last good answer is kept")
      assert.deepStrictEqual([last.complete, last.failures.length], [true, 1])
    }))

  it.effect("OVM-06 a name that hangs delays the round by 10 s and no more", () =>
    Effect.gen(function*() {
      const { answers, layer } = scripted()
      answers.set("slow.example", "hangs")
      answers.set("good.example", ["1.1.1.1"])
      const resolution = yield* Effect.provide(PeerResolution.make(lists(["slow.example", "good.example"])), layer)
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(resolution.take())
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(keys(resolution.take()!.known), ["1.1.1.1:11625"])
    }))

  it.effect("OVM-06 an entry that is no address is an error of that entry, and IPv6 is one while it is off", () =>
    Effect.gen(function*() {
      const { asked, layer } = scripted()
      const entries = ["1.2.3.4", "256.1.1.1", "[2001:db8::1]:11625", "a b"]
      const off = yield* Effect.provide(PeerResolution.make(lists(entries)), layer)
      assert.deepStrictEqual(keys(off.initial.known), ["1.2.3.4:11625"])
      assert.deepStrictEqual(off.initial.failures.map((failure) => failure.entry), entries.slice(1))
      assert.isTrue(off.initial.complete, "nothing that could still turn up is missing")
      const on = yield* Effect.provide(PeerResolution.make(lists(entries, [], true)), layer)
      assert.deepStrictEqual(keys(on.initial.known), ["1.2.3.4:11625", "[2001:db8::1]:11625"])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([asked.length, on.take()], [0, undefined], "without names nothing runs")
    }))

  it.effect("OVM-06 two entries of one name are one question, and entries that lead to one address are one peer", () =>
    Effect.gen(function*() {
      const { answers, asked, layer } = scripted()
      answers.set("a.example", ["1.1.1.1"])
      answers.set("b.example", ["1.1.1.1"])
      const resolution = yield* Effect.provide(
        PeerResolution.make(lists(["a.example", "A.example", "b.example"], ["a.example"])),
        layer
      )
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(keys(resolution.take()!.known), ["1.1.1.1:11625"])
      assert.strictEqual(asked.length, 2)
    }))
})
