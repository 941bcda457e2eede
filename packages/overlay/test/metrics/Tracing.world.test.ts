/** Spans of connections and searches: none by default, all or a share when asked for. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Tracer } from "effect"
import { txSet } from "../flood/messages.ts"
import { connectAll, inWorld, MemoryHost, startAll } from "../flood/network.ts"

interface Made {
  readonly span: Tracer.NativeSpan
  readonly parent: string | undefined
}

/** A tracer that keeps every span it was asked for. */
const recording = () => {
  const made: Array<Made> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      const parent = Option.getOrUndefined(options.parent)
      made.push({ span, parent: parent?._tag === "Span" ? parent.name : undefined })
      return span
    }
  })
  const ours = () => made.filter(({ span }) => span.name.startsWith("overlay."))
  return { tracer, made, ours }
}

const item = txSet(4)

/** Two nodes connect, one fetches what the other has and something that nobody has, and they part. */
const story = (traceSampleRate: number, tracer: Tracer.Tracer, seed: number, connections = 1) =>
  inWorld(
    seed,
    { latencyMillis: 5 },
    Effect.gen(function*() {
      const host = new MemoryHost({ txSet: () => Effect.succeed(item.message) })
      const nodes = yield* startAll(2, () => ({ host, config: { traceSampleRate } }))
      for (let i = 0; i < connections; i++) {
        yield* connectAll(nodes, [[0, 1]])
        if (i + 1 < connections) {
          nodes[0]!.overlay.drop(nodes[1]!.id)
          yield* Effect.sleep("2 seconds")
        }
      }
      yield* nodes[0]!.overlay.fetchTxSet(item.hash)
      const vain = yield* Effect.forkChild(nodes[0]!.overlay.fetchQuorumSet(new Uint8Array(32).fill(9)))
      yield* Effect.sleep("2 seconds")
      yield* Fiber.interrupt(vain)
      return nodes.map(({ id }) => id)
    })
  ).pipe(Effect.provideService(Tracer.Tracer, tracer))

describe("spans", () => {
  it.effect("by default there are none, whatever tracer there is", () =>
    Effect.gen(function*() {
      const { made, tracer } = recording()
      yield* story(0, tracer, 1)
      assert.deepStrictEqual(made.map(({ span }) => span.name), [])
    }))

  it.effect("a connection is a span with its dial and its handshake, a search one with whom it asked", () =>
    Effect.gen(function*() {
      const { ours, tracer } = recording()
      const [, id] = yield* story(1, tracer, 1)
      const named = ours().map(({ parent, span }) => `${parent ?? "-"} > ${span.name}`).sort()
      assert.deepStrictEqual(named, [
        "- > overlay.connect",
        "- > overlay.fetch",
        "- > overlay.fetch",
        "- > overlay.handshake", // of the node that was called
        "overlay.connect > overlay.dial",
        "overlay.connect > overlay.handshake"
      ])
      for (const { span } of ours()) assert.strictEqual(span.status._tag, "Ended", span.name)
      const connect = ours().find(({ span }) => span.name === "overlay.connect")!.span
      assert.strictEqual(connect.attributes.get("address"), "10.2.0.1:11625")
      const [found, vain] = ours().filter(({ span }) => span.name === "overlay.fetch").map(({ span }) => span)
      assert.strictEqual(found!.attributes.get("item"), "txSet")
      assert.deepStrictEqual(found!.events.map(([name, , attributes]) => [name, attributes]), [["asked", { peer: id }]])
      assert.isTrue(found!.status._tag === "Ended" && Exit.isSuccess(found!.status.exit))
      assert.isTrue(vain!.status._tag === "Ended" && Exit.isFailure(vain!.status.exit))
      // Dial and handshake take a round trip and more: 10 ms each way and back.
      const { status } = connect
      const nanos = status._tag === "Ended" ? Number(status.endTime - status.startTime) : 0
      assert.isAtLeast(nanos, 20_000_000)
    }))

  it.effect("a share of connections is traced, each as a whole or not at all", () =>
    Effect.gen(function*() {
      const { ours, tracer } = recording()
      yield* story(0.5, tracer, 5, 40)
      const connects = ours().filter(({ span }) => span.name === "overlay.connect").length
      assert.isAtLeast(connects, 10)
      assert.isAtMost(connects, 30)
      const inner = ours().filter(({ parent }) => parent === "overlay.connect").length
      assert.strictEqual(inner, 2 * connects)
    }))
})
