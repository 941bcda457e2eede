/** Peers in a simulated world: both ends, their network, scheduler and clock in one process. */
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import { TestCrypto } from "@stellar-overlay/overlay-test/TestCrypto"
import * as World from "@stellar-overlay/overlay-test/World"
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import { NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import * as Peer from "@stellar-overlay/overlay/Peer"
import { Transport } from "@stellar-overlay/overlay/Transport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { fromBytes } from "@stellar-overlay/overlay/wire/StellarMessage"
import { Effect, Fiber, Layer, Stream } from "effect"
import { cpuMicros, type Measurement, millisNow } from "../harness.ts"
import { bodiesOf } from "../workloads.ts"

const config = OverlayConfig.OverlayConfig.layer(OverlayConfig.standalone)

const node = (name: string, ip: string) =>
  LocalNode.layer.pipe(
    Layer.provideMerge(NodeIdentity.layerRandom),
    Layer.provideMerge(Layer.mergeAll(config, TestCrypto.layer(name), LoopbackTransport.layerAt(ip))),
    Layer.fresh
  )

/** `count` messages from one peer to the other, in a world of their own. */
const program = (count: number, seed: number) => {
  const messages = bodiesOf("mix").filter((body) => body[3] !== 20).map(fromBytes)
  let delivered = 0
  const acceptor = Effect.gen(function*() {
    const transport = yield* Transport
    const listener = yield* transport.listen({ port: 11625 })
    return yield* listener.run((connection) =>
      Peer.accept(connection).pipe(
        Effect.flatMap((peer) =>
          Stream.runForEachArray(peer.messages, (some) =>
            Effect.sync(() => {
              delivered += some.length
            }))
        ),
        Effect.ignore // the other side says goodbye
      )
    )
  }).pipe(Effect.scoped, Effect.provide(node("acceptor", "10.0.0.1")))
  const dialer = Effect.gen(function*() {
    const peer = yield* Peer.connect(PeerAddress.make("10.0.0.1", 11625))
    const draining = yield* Effect.forkChild(Stream.runDrain(peer.messages))
    yield* peer.sendAll(Array.from({ length: count }, (_, i) => messages[i % messages.length]!))
    yield* Effect.repeat(Effect.sleep(10), { until: () => delivered >= count })
    yield* Fiber.interrupt(draining)
  }).pipe(Effect.scoped, Effect.provide(node("dialer", "10.0.0.2")))
  return World.run(
    Effect.gen(function*() {
      const accepting = yield* Effect.forkChild(acceptor)
      yield* Effect.sleep(1)
      yield* dialer
      yield* Fiber.interrupt(accepting)
      return delivered
    }).pipe(Effect.provide(LoopbackTransport.layerNetwork())),
    { seed, maxSteps: 1e9 }
  )
}

export const actor = {
  run: (count: number, seed: number): Measurement => {
    const cpu = cpuMicros()
    const start = millisNow()
    const delivered = Effect.runSync(program(count, seed))
    if (delivered !== count) throw new Error(`${delivered} of ${count} messages arrived`)
    return { perSecond: count / (millisNow() - start) * 1000, cpuMicros: (cpuMicros() - cpu) / count }
  }
}
