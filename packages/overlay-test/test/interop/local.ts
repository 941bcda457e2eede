/** Our side of the interoperation tests: peers over real TCP on 127.0.0.1, and the sockets that must be gone at the end. */
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import { core, passphrases, standalone, type Values } from "@stellar-overlay/overlay/OverlayConfig"
import type { PeerDropped } from "@stellar-overlay/overlay/OverlayError"
import * as Peer from "@stellar-overlay/overlay/Peer"
import { Transport } from "@stellar-overlay/overlay/Transport"
import { Effect, Exit, Layer, Queue, type Scope } from "effect"

/** The network of all nodes here, unless a test is about another. */
export const STANDALONE = passphrases.standalone

/**
 * The connector's certificates expire too far ahead for the default bound (see `foreign.ts`); stellar-core, which has no
 * bound, lets them in.
 */
export const values: Partial<Values> = {
  ...standalone,
  ledgerVersion: 25,
  versionString: "overlay under test",
  maxCertificateSeconds: core.maxCertificateSeconds!
}

/** Everything a peer needs, anew for each test. */
export const layer = (options: Partial<Values> = {}) => Layer.fresh(NodeOverlay.layer({ ...values, ...options }))

const overdue = (what: string) =>
  Effect.callback<never>((resume) => {
    const timer = setTimeout(() => resume(Effect.die(new Error(`${what} did not come`))), 20_000)
    return Effect.sync(() => clearTimeout(timer))
  })

/** Fails the test when something that must come does not, by the real clock: the connector knows no other. */
export const within = <A, E, R>(what: string, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.raceFirst(self, overdue(what))

const tcpResources = () => process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length

/** Runs a test in a scope and waits until it has left no socket behind; a leak makes the test time out. */
export const leavingNothing = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  Effect.gen(function*() {
    const before = tcpResources()
    const result = yield* Effect.scoped(self)
    while (tcpResources() > before) yield* Effect.yieldNow
    return result
  })

/** Listens at a free port; each accepted connection becomes a peer, or the reason why not. */
export const listen = Effect.fnUntraced(function*(options: Peer.PeerOptions = {}) {
  const transport = yield* Transport
  const accepted = yield* Queue.unbounded<Exit.Exit<Peer.Peer, PeerDropped>>()
  const listener = yield* transport.listen({ host: "127.0.0.1", port: 0 })
  yield* Effect.forkScoped(listener.run((connection) =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Peer.accept(connection, options))
      Queue.offerUnsafe(accepted, exit)
      if (Exit.isSuccess(exit)) yield* exit.value.closed
    })
  ))
  return {
    port: listener.address.port,
    accepted: Effect.flatten(within("a connection at our listener", Queue.take(accepted)))
  }
})
