import { assert, describe, it } from "@effect/vitest"
import * as CrawlTarget from "@stellar-overlay/overlay-test/CrawlTarget"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import { LoopbackNetwork } from "@stellar-overlay/overlay-test/LoopbackTransport"
import { TestCrypto } from "@stellar-overlay/overlay-test/TestCrypto"
import * as World from "@stellar-overlay/overlay-test/World"
import { Context, Effect, Fiber, Layer, type Scope, Stream } from "effect"
import * as Crawler from "../src/Crawler.ts"
import type { CrawlEvent } from "../src/CrawlerEvents.ts"
import { LocalNode } from "../src/LocalNode.ts"
import { NodeIdentity } from "../src/NodeIdentity.ts"
import * as OverlayConfig from "../src/OverlayConfig.ts"
import { Resolver } from "../src/Resolver.ts"
import { Transport } from "../src/Transport.ts"
import { PeerAddress } from "../src/wire/PeerAddress.ts"

const networkPassphrase = "A small network"

const at = (i: number, port = 11625) => PeerAddress.make(`44.${i}.0.1`, port)

/** A node on the network, each with keys of its own. */
const target = Effect.fnUntraced(function*(
  address: PeerAddress,
  options: Partial<CrawlTarget.CrawlTargetOptions> = {}
) {
  const network = yield* LoopbackNetwork
  return yield* CrawlTarget.listen({
    addresses: [address],
    ...options,
    config: { networkPassphrase, ...options.config }
  }).pipe(
    Effect.provideService(Transport, network.transportAt(address.host)),
    Effect.provide(TestCrypto.layer(`at ${address}`)),
    Effect.orDie
  )
})

const services = (passphrase = networkPassphrase) =>
  LocalNode.layer.pipe(
    Layer.provideMerge(NodeIdentity.layerRandom),
    Layer.provideMerge(Layer.mergeAll(
      Layer.orDie(OverlayConfig.OverlayConfig.layer({
        networkPassphrase: passphrase,
        listen: false,
        peerAuthenticationTimeoutSeconds: 10
      })),
      TestCrypto.layer(`crawler of ${passphrase}`),
      Layer.effect(Transport, Effect.map(LoopbackNetwork, (network) => network.transportAt("99.0.0.1"))),
      Resolver.layerStatic({ "seed.example": ["44.1.0.1"] })
    )),
    Layer.fresh
  )

const run = <A, E>(program: Effect.Effect<A, E, LoopbackNetwork | World.World | Scope.Scope>) =>
  program.pipe(
    Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 30 })),
    World.run({ seed: 3, maxMillis: 3_600_000 })
  )

/** A crawl to its end, with its events. */
const crawl = Effect.fnUntraced(function*(options: Crawler.CrawlOptions) {
  const crawler = yield* Effect.provide(Crawler.make(options), services())
  const events = yield* Stream.runCollect(crawler.events)
  return { crawler, events, state: crawler.state() }
})

const of = <Tag extends CrawlEvent["_tag"]>(events: ReadonlyArray<CrawlEvent>, tag: Tag) =>
  events.filter((event): event is Extract<CrawlEvent, { readonly _tag: Tag }> => event._tag === tag)

describe("Crawler", () => {
  it.effect("each way to answer has a status of its own", () =>
    run(Effect.gen(function*() {
      const others = Array.from({ length: 10 }, (_, i) => at(i + 2))
      const seed = yield* target(at(1), { peers: () => others })
      yield* target(at(2), { kind: "full" })
      yield* target(at(3), { config: { overlayVersion: 60, overlayMinVersion: 50 } })
      yield* target(at(4), { config: { networkPassphrase: "Another network" } })
      yield* target(at(5), { kind: "mute" })
      yield* target(at(6), { kind: "hangsUp" })
      yield* (yield* LoopbackNetwork).blackHole(at(7))
      // nobody listens at the 8th
      yield* target(at(9), { rawPeers: undefined, delayMillis: 3000 })
      const other = Context.get(yield* Layer.build(services("Another network")), LocalNode)
      const { crawler, events, state } = yield* crawl({
        seeds: ["seed.example", "nowhere.example"],
        otherNetworks: [other]
      })
      const statuses = new Map(state.addresses.map(({ attempts, host, status }) => [host, `${status} ${attempts}`]))
      assert.deepStrictEqual(Object.fromEntries(statuses), {
        "nowhere.example": "unreachable 2",
        "44.1.0.1": "open 1",
        "44.2.0.1": "full 1",
        "44.3.0.1": "rejected 1",
        "44.4.0.1": "wrong-network 2",
        "44.5.0.1": "unresponsive 2",
        "44.6.0.1": "closed 2",
        "44.7.0.1": "timeout 2",
        "44.8.0.1": "refused 2",
        "44.9.0.1": "open 1",
        "44.10.0.1": "refused 2",
        "44.11.0.1": "refused 2"
      })
      const attempts = of(events, "AttemptEnded").map(({ attempt }) => attempt)
      const first = attempts.find(({ host }) => host === "44.1.0.1")!
      assert.strictEqual(first.nodeId, seed.id)
      assert.closeTo(first.connectMillis!, 60, 1)
      assert.closeTo(first.handshakeMillis!, 120, 1)
      assert.isUndefined(first.reason)
      const refusals = new Map(attempts.map(({ host, reason }) => [host, reason]))
      assert.deepInclude(Object.fromEntries(refusals), {
        "44.2.0.1": "LoadErrorReceived",
        "44.5.0.1": "HandshakeTimeout",
        "44.7.0.1": "ConnectTimeout",
        "44.8.0.1": "ConnectionRefused",
        "nowhere.example": "NameNotResolved"
      })
      assert.strictEqual(crawler.progress().nodes, 4)
      assert.deepStrictEqual(state.nodes.map(({ status }) => status).sort(), ["full", "open", "open", "rejected"])
      const rejected = state.nodes.find(({ status }) => status === "rejected")
      assert.deepInclude(rejected, { overlayVersion: 60, overlayMinVersion: 50 })
      assert.strictEqual(crawler.progress().etaMillis, 0)
    })))

  it.effect("one node behind three addresses is one node, and each address is known to lead to it", () =>
    run(Effect.gen(function*() {
      const places = [at(1), at(1, 11626), at(1, 11627)]
      const one = yield* target(at(1), { addresses: places })
      const { state } = yield* crawl({
        seeds: places,
        hostIntervalMillis: 0,
        subnetIntervalMillis: 0,
        dialsPerSecond: 1
      })
      assert.deepStrictEqual(state.nodes.map(({ id }) => id), [one.id])
      // It lets us in once at a time, so that the others are asked again.
      assert.deepStrictEqual(state.addresses.map(({ attempts, nodeId, status }) => [nodeId, status, attempts]), [
        [one.id, "open", 1],
        [one.id, "open", 2],
        [one.id, "open", 2]
      ])
    })))

  it.effect("a limit of time ends it, and a crawl from its state visits the rest and nobody twice", () =>
    run(Effect.gen(function*() {
      const all = Array.from({ length: 30 }, (_, i) => at(i + 1))
      const targets = yield* Effect.forEach(all, (address) => target(address, { peers: () => all }))
      const options = { seeds: [at(1)], concurrency: 2, listenMillis: 5000 }
      const first = yield* crawl({ ...options, maxMillis: 22_000 })
      assert.strictEqual(of(first.events, "CrawlEnded")[0]?.outcome, "time-limit")
      const done = first.state.addresses.filter((address) => address.done).length
      assert.isAbove(done, 3)
      assert.isBelow(done, 12)
      const state = JSON.parse(JSON.stringify(first.state))
      const second = yield* crawl({ ...options, state })
      assert.strictEqual(of(second.events, "CrawlEnded")[0]?.outcome, "completed")
      assert.strictEqual(second.state.nodes.length, 30)
      assert.strictEqual(of(second.events, "AttemptEnded").length, 30 - done)
      // who was being visited when the time was up was visited again
      const accepted = targets.reduce((sum, { accepted }) => sum + accepted(), 0)
      assert.isAtLeast(accepted, 30)
      assert.isAtMost(accepted, 32)
      assert.isAbove(second.state.activeMillis, first.state.activeMillis)
      assert.strictEqual(second.state.startedAt, first.state.startedAt)
    })))

  it.effect("stop ends it at once, with an event that says so; nobody who reads waits", () =>
    run(Effect.gen(function*() {
      yield* target(at(1), { peers: () => [at(2)] })
      yield* (yield* LoopbackNetwork).blackHole(at(2))
      const crawler = yield* Effect.provide(Crawler.make({ seeds: [at(1)], listenMillis: 0 }), services())
      const reading = yield* Effect.forkChild(Stream.runCollect(crawler.events))
      yield* Effect.sleep(2000)
      assert.deepInclude(crawler.progress(), { active: 1, done: 1, nodes: 1 })
      yield* crawler.stop
      const events = yield* Fiber.join(reading)
      assert.strictEqual(of(events, "CrawlEnded")[0]?.outcome, "interrupted")
      const [, second] = crawler.state().addresses
      assert.deepInclude(second, { done: false, attempts: 0, status: "pending" })
    })))

  it.effect("an SCP statement that its validator did not sign says nothing", () =>
    run(Effect.gen(function*() {
      const validator: CrawlTarget.CrawlTarget = yield* target(at(1), {
        peers: () => [at(2), at(3)],
        scpState: () => [validator.externalize(700)]
      })
      // Signed for another network, and so by nobody as far as this one is concerned.
      const forger = yield* target(at(4), { config: { networkPassphrase: "Another network" } })
      yield* target(at(2), { scpState: () => [forger.externalize(9_999_999), validator.externalize(695)] })
      yield* target(at(3), { scpState: () => [] })
      const { state } = yield* crawl({ seeds: [at(1)] })
      const slots = state.nodes.map(({ slot, validatedSlot, validating }) => ({ slot, validatedSlot, validating }))
      assert.deepStrictEqual(slots, [
        { slot: 700, validatedSlot: 700, validating: true },
        { slot: 695, validatedSlot: undefined, validating: false },
        { slot: undefined, validatedSlot: undefined, validating: false }
      ])
    })))

  it.effect("a reader who does not read stops the crawl, and goes on with it", () =>
    run(Effect.gen(function*() {
      const all = Array.from({ length: 90 }, (_, i) => at(i + 1))
      yield* Effect.forEach(all, (address) => target(address, { peers: () => all }))
      const crawler = yield* Effect.provide(Crawler.make({ seeds: all, listenMillis: 0 }), services())
      const events = yield* Stream.runCollect(
        Stream.tap(crawler.events, (event) => event._tag === "CrawlEnded" ? Effect.void : Effect.sleep(50))
      )
      assert.strictEqual(crawler.progress().nodes, 90)
      assert.strictEqual(of(events, "AttemptEnded").length, 90)
    })))

  it.effect("the same seed gives the same crawl, event by event", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const all = Array.from({ length: 12 }, (_, i) => at(i + 1))
        yield* Effect.forEach(all, (address, i) =>
          target(address, { peers: () => all, kind: i % 4 === 3 ? "full" : "open" }))
        return (yield* crawl({ seeds: [at(1)], concurrency: 5 })).events
      })
      const [first, second] = [yield* run(program), yield* run(program)]
      assert.isAbove(first.length, 36)
      assert.deepStrictEqual(second, first)
    }))
})
