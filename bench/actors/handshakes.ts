/** A process in which both ends of many handshakes live. */
import { LocalNode } from "@stellar-overlay/overlay/LocalNode"
import { NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import { primitives } from "@stellar-overlay/overlay/NodeOverlayCrypto"
import * as Peer from "@stellar-overlay/overlay/Peer"
import { Transport } from "@stellar-overlay/overlay/Transport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Effect, Exit, Layer, ManagedRuntime, Scope, Stream } from "effect"
import { dial, type Link, listen, makeNode } from "../ceiling.ts"
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
  const accepted: Array<Link> = []
  const { port } = await listen(makeNode({ cacheKeys }), { credit: true }, (link) => accepted.push(link))
  return { dialer, accepted, port }
}

const straight = { known: straightEnds(true), fresh: straightEnds(false) }

// ---------------------------------------------------------------------------------------------------------- ours

/** Counts what the accepting side has opened and closed. */
class Accepted {
  opened: Promise<void> = Promise.resolve()
  closed: Promise<void> = Promise.resolve()
  onOpened: () => void = () => undefined
  onClosed: () => void = () => undefined

  expect(count: number): void {
    const counter = (set: (onOne: () => void) => void): Promise<void> =>
      new Promise((resolve) => {
        let left = count
        set(() => {
          if (--left === 0) resolve()
        })
      })
    this.opened = counter((onOne) => {
      this.onOpened = onOne
    })
    this.closed = counter((onOne) => {
      this.onClosed = onOne
    })
  }
}

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
  const accepted = new Accepted()
  const port = acceptor.runPromise(
    Effect.gen(function*() {
      const transport = yield* Transport
      const listener = yield* transport.listen({ host: "127.0.0.1", port: 0, backlog: 511 })
      yield* Effect.forkScoped(listener.run((connection) =>
        Peer.accept(connection).pipe(
          Effect.tap(() => Effect.sync(() => accepted.onOpened())),
          Effect.flatMap((peer) => Stream.runDrain(peer.messages)),
          Effect.ignore, // every one of them ends by the dialler's goodbye
          Effect.ensuring(Effect.sync(() => accepted.onClosed()))
        )
      ))
      return listener.address.port
    }).pipe(Scope.provide(scope))
  )
  return { dialer, accepted, port }
}

const ours = { known: ourEnds(true), fresh: ourEnds(false) }

/** Whether the ends agreed a key before; with a fresh peer each of them computes one X25519 more. */
export type Acquaintance = "known" | "fresh"

/** Opening counts as handshake, closing is measured apart: at most so many connections are open at a time. */
const OPEN_AT_ONCE = 200

/** Opens and closes `count` connections in portions, measuring the two apart. */
const inPortions = async <A>(
  count: number,
  open: (portion: number) => Promise<A>,
  close: (opened: A, portion: number) => Promise<unknown>
): Promise<Measurement> => {
  const sums = { openMillis: 0, openCpu: 0, closeMillis: 0, closeCpu: 0 }
  for (let done = 0; done < count; done += OPEN_AT_ONCE) {
    const portion = Math.min(OPEN_AT_ONCE, count - done)
    const start = millisNow()
    const cpu = cpuMicros()
    const opened = await open(portion)
    const middle = millisNow()
    const middleCpu = cpuMicros()
    await close(opened, portion)
    sums.openMillis += middle - start
    sums.openCpu += middleCpu - cpu
    sums.closeMillis += millisNow() - middle
    sums.closeCpu += cpuMicros() - middleCpu
  }
  return {
    perSecond: count / sums.openMillis * 1000,
    withGoodbyePerSecond: count / (sums.openMillis + sums.closeMillis) * 1000,
    cpuMicros: sums.openCpu / count,
    goodbyeMicros: sums.closeCpu / count
  }
}

export const actor = {
  straight: async (acquaintance: Acquaintance, count: number): Promise<Measurement> => {
    const { accepted, dialer, port } = await straight[acquaintance]
    return inPortions(count, async (portion) => {
      const links: Array<Link> = []
      let left = portion
      const one = async (): Promise<void> => {
        while (left-- > 0) links.push(await dial(port, dialer, { credit: true }))
      }
      await Promise.all(Array.from({ length: CONCURRENCY }, one))
      await Promise.all(accepted.map(({ ready }) => ready))
      return links
    }, async (links) => {
      const closed = [...links, ...accepted].map(({ socket }) =>
        new Promise((resolve) => socket.once("close", resolve))
      )
      for (const link of links) link.goodbye()
      await Promise.all(closed)
      accepted.length = 0
    })
  },

  ours: async (acquaintance: Acquaintance, count: number): Promise<Measurement> => {
    const { accepted, dialer, port } = ours[acquaintance]
    const address = PeerAddress.make("127.0.0.1", await port)
    return inPortions(count, async (portion) => {
      const scope = Scope.makeUnsafe("parallel")
      const all = Effect.all(Array.from({ length: portion }, () => Peer.connect(address)), {
        concurrency: CONCURRENCY,
        discard: true
      })
      accepted.expect(portion)
      await Promise.all([dialer.runPromise(Scope.provide(all, scope)), accepted.opened])
      return scope
    }, (scope) => Promise.all([dialer.runPromise(Scope.close(scope, Exit.void)), accepted.closed]))
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
