/** A process in which both ends of many handshakes live. */
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import { NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import { primitives } from "@stellar-overlay/overlay/NodeOverlayCrypto"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import * as Peer from "@stellar-overlay/overlay/Peer"
import { Transport } from "@stellar-overlay/overlay/Transport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect, Layer, ManagedRuntime, Scope, Stream } from "effect"
import { dial, listen, makeNode } from "../ceiling.ts"
import { cpuMicros, type Measurement, millisNow } from "../harness.ts"

const CONCURRENCY = 8

const measured = async (count: number, run: () => Promise<unknown>): Promise<Measurement> => {
  const cpu = cpuMicros()
  const start = millisNow()
  await run()
  return { perSecond: count / (millisNow() - start) * 1000, cpuMicros: (cpuMicros() - cpu) / count }
}

// ------------------------------------------------------------------------------------------------- straight-line

const straightEnds = async (cacheKeys: boolean) => {
  const dialer = makeNode({ cacheKeys })
  const { port } = await listen(makeNode({ cacheKeys }), { credit: true }, () => undefined)
  return { dialer, port }
}

const straight = { known: straightEnds(true), fresh: straightEnds(false) }

// ---------------------------------------------------------------------------------------------------------- ours

/** A node which agrees keys anew for every connection, as with a peer it has not met. */
const withoutKeyCache = Layer.effect(
  LocalNode,
  Effect.gen(function*() {
    const node = yield* LocalNode
    const identity = yield* NodeIdentity
    return LocalNode.of({ ...node, auth: identity.peerAuth(node.networkId, { sharedKeyCacheSize: 0 }) })
  })
)

const ourEnds = (cacheKeys: boolean) => {
  const base = NodeOverlay.layer({ network: "standalone", listenHost: "127.0.0.1" })
  const layer = cacheKeys ? base : withoutKeyCache.pipe(Layer.provideMerge(base))
  const dialer = ManagedRuntime.make(layer)
  const acceptor = ManagedRuntime.make(Layer.fresh(layer))
  const scope = Scope.makeUnsafe()
  const port = acceptor.runPromise(
    Effect.gen(function*() {
      const transport = yield* Transport
      const listener = yield* transport.listen({ host: "127.0.0.1", port: 0, backlog: 511 })
      yield* Effect.forkScoped(listener.run((connection) =>
        Peer.accept(connection).pipe(
          Effect.flatMap((peer) => Stream.runDrain(peer.messages)),
          Effect.ignore // every one of them ends by the dialler's goodbye
        )
      ))
      return listener.address.port
    }).pipe(Scope.provide(scope))
  )
  return { dialer, port }
}

const ours = { known: ourEnds(true), fresh: ourEnds(false) }

/** Whether the ends agreed a key before; with a fresh peer each of them computes one X25519 more. */
export type Acquaintance = "known" | "fresh"

export const actor = {
  straight: async (acquaintance: Acquaintance, count: number): Promise<Measurement> => {
    const { dialer, port } = await straight[acquaintance]
    let left = count
    const one = async (): Promise<void> => {
      while (left-- > 0) {
        const link = await dial(port, dialer, { credit: true })
        const closed = new Promise((resolve) => link.socket.once("close", resolve))
        link.goodbye()
        await closed
      }
    }
    return measured(count, () => Promise.all(Array.from({ length: CONCURRENCY }, one)))
  },

  ours: async (acquaintance: Acquaintance, count: number): Promise<Measurement> => {
    const { dialer, port } = ours[acquaintance]
    const address = PeerAddress.make("127.0.0.1", await port)
    const one = Effect.scoped(Peer.connect(address))
    const all = Effect.all(Array.from({ length: count }, () => one), { concurrency: CONCURRENCY, discard: true })
    return measured(count, () => dialer.runPromise(all))
  },

  /** The cryptographic operations of both ends of one handshake, and nothing else. */
  bare: (acquaintance: Acquaintance, count: number): Promise<Measurement> => {
    const seed = primitives.randomBytes(32)
    const publicKey = primitives.ed25519PublicKey(seed)
    const preimage = primitives.randomBytes(76)
    const signature = primitives.ed25519Sign(seed, primitives.sha256(preimage))
    const secret = primitives.randomBytes(32)
    const remote = primitives.x25519PublicKey(primitives.randomBytes(32))
    const shared = primitives.randomBytes(32)
    const info = primitives.randomBytes(66)
    const agreement = primitives.randomBytes(96)
    const slab = primitives.randomBytes(60)
    const end = () => {
      primitives.randomBytes(32)
      primitives.ed25519Verify(publicKey, primitives.sha256(preimage), signature)
      if (acquaintance === "fresh") {
        primitives.x25519(secret, remote)
        primitives.hmacSha256(shared, agreement)
      }
      const send = primitives.macKey(primitives.hmacSha256(shared, info))
      const receive = primitives.macKey(primitives.hmacSha256(shared, info))
      for (let message = 0; message < 3; message++) {
        send.sign(slab, [8, 28], 1) // AUTH, SEND_MORE_EXTENDED, GET_SCP_STATE
        receive.verify([slab], 1)
      }
    }
    return measured(count, () => {
      for (let i = 0; i < count; i++) {
        end()
        end()
      }
      return Promise.resolve()
    })
  }
}
