import { assert, describe, it } from "@effect/vitest"
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import { TestCrypto } from "@stellar-overlay/overlay-test/TestCrypto"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { xdr } from "@stellar/stellar-base"
import { Context, Effect, Fiber, Layer, Scope, Stream } from "effect"
import * as DropReason from "../src/DropReason.ts"
import { follow } from "../src/Follow.ts"
import { LocalNode } from "../src/LocalNode.ts"
import { NodeIdentity } from "../src/NodeIdentity.ts"
import { Overlay } from "../src/Overlay.ts"
import { OverlayConfig, standalone } from "../src/OverlayConfig.ts"
import type { PeerDropped } from "../src/OverlayError.ts"
import type { Transport } from "../src/Transport.ts"
import { ScpMessage } from "../src/wire/StellarMessage.ts"

const scpMessage = (slot: number) =>
  ScpMessage.make({
    envelope: new xdr.ScpEnvelope({
      statement: new xdr.ScpStatement({
        nodeId: xdr.PublicKey.publicKeyTypeEd25519(Buffer.alloc(32, 3)),
        slotIndex: xdr.Uint64.fromString(String(slot)),
        pledges: xdr.ScpStatementPledges.scpStNominate(
          new xdr.ScpNomination({ quorumSetHash: Buffer.alloc(32, 1), votes: [], accepted: [] })
        )
      }),
      signature: Buffer.alloc(64, 4)
    })
  })

const client = LocalNode.layer.pipe(
  Layer.provide(NodeIdentity.layerRandom),
  Layer.provide([OverlayConfig.layer(standalone), TestCrypto.layer("client")]),
  Layer.provideMerge(LoopbackTransport.layerAt("10.9.0.1"))
)

const start = (i: number, config = {}) =>
  TestNode.start({
    name: `n${i}`,
    ip: `10.${i}.0.1`,
    config: { listenHost: `10.${i}.0.1`, targetPeerConnections: 1, ...config }
  })

const inWorld = <A, E>(
  program: Effect.Effect<A, E, LocalNode | LoopbackTransport.LoopbackNetwork | Scope.Scope | World.World | Transport>
) => World.run(program.pipe(Effect.provide(client), Effect.provide(LoopbackTransport.layerNetwork())), { seed: 3 })

describe("Follow", () => {
  it.effect("PEE-18 goes on without repeats while peers are missing, refuse and vanish", () =>
    inWorld(Effect.gen(function*() {
      const first = yield* Scope.make()
      const a = Context.get(yield* Scope.provide(start(1), first), Overlay)
      const b = Context.get(yield* start(2), Overlay)
      yield* start(3, { preferredPeersOnly: true }) // refuses everybody with ERR_LOAD
      const drops: Array<PeerDropped> = []
      const got: Array<number> = []
      const fiber = yield* follow({
        addresses: ["10.1.0.1", "10.2.0.1", "10.3.0.1", "10.4.0.1", "not an address"],
        connections: 4,
        onDrop: (dropped) => drops.push(dropped)
      }).pipe(
        Stream.take(4),
        Stream.runForEach(({ message }) => Effect.sync(() => got.push(message.slotNumber ?? 0))),
        Effect.forkScoped
      )
      yield* Effect.sleep("10 seconds")
      for (const slot of [1, 2]) for (const overlay of [a, b]) overlay.broadcast(scpMessage(slot))
      yield* Effect.sleep("1 second")
      assert.deepStrictEqual(got, [1, 2])
      yield* Scope.close(first, yield* Effect.exit(Effect.void))
      yield* Effect.sleep("1 second")
      for (const slot of [3, 4]) b.broadcast(scpMessage(slot))
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(got, [1, 2, 3, 4])
      const reasons = new Set(drops.map(({ reason }) => reason._tag))
      for (const tag of ["ShutdownReceived", "LoadErrorReceived", "ConnectionRefused"] as const) {
        assert.isTrue(reasons.has(tag), `${tag} in ${[...reasons]}`)
      }
      assert.isFalse(drops.some(({ reason }) => DropReason.kind(reason) === "bug"))
    })))
})
