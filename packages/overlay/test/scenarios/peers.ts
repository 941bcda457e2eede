/** Two peers of one connection, over any transport, each with a scope that a test can close. */
import * as TestCrypto from "@stellar-overlay/overlay-test/TestCrypto"
import { Context, Deferred, Effect, Exit, Fiber, identity, Layer, Scope, Stream } from "effect"
import { LocalNode } from "../../src/LocalNode.ts"
import { NodeIdentity } from "../../src/NodeIdentity.ts"
import * as OverlayConfig from "../../src/OverlayConfig.ts"
import type { PeerDropped } from "../../src/OverlayError.ts"
import { type OverlayEvent, OverlayEvents } from "../../src/OverlayEvents.ts"
import * as Peer from "../../src/Peer.ts"
import { type Connection, Transport } from "../../src/Transport.ts"
import type { PeerAddress } from "../../src/wire/PeerAddress.ts"
import type { StellarMessage } from "../../src/wire/StellarMessage.ts"

export interface NodeOptions extends Peer.PeerOptions {
  readonly config?: Partial<OverlayConfig.Values> | undefined
}

/** One node: what it needs to have peers, what it saw, and the connections its transport opened or accepted. */
export interface TestNode {
  readonly context: Context.Context<LocalNode | Transport>
  readonly events: Array<OverlayEvent>
  readonly connections: Array<Connection>
  readonly local: LocalNode["Service"]
}

/** Tells of every connection that a transport makes; those it dials are wrapped. */
const recording = (
  base: Transport["Service"],
  connections: Array<Connection>,
  wrap: (connection: Connection) => Connection
): Transport["Service"] => ({
  dial: (address, options) =>
    base.dial(address, options).pipe(
      Effect.map(wrap),
      Effect.tap((connection) => Effect.sync(() => connections.push(connection)))
    ),
  listen: (options) =>
    Effect.map(base.listen(options), (listener) => ({
      address: listener.address,
      run: (handler) =>
        listener.run((connection) =>
          Effect.suspend(() => {
            connections.push(connection)
            return handler(connection)
          })
        )
    }))
})

export const makeNode = Effect.fnUntraced(function*(
  name: string,
  config: Partial<OverlayConfig.Values> = {},
  wrap: (connection: Connection) => Connection = identity
): Effect.fn.Return<TestNode, OverlayConfig.OverlayConfigError, Transport | Scope.Scope> {
  const crypto = TestCrypto.TestCrypto.layer(name)
  const context = yield* Layer.build(
    LocalNode.layer.pipe(
      Layer.provide(Layer.mergeAll(
        OverlayConfig.OverlayConfig.layer({ ...OverlayConfig.standalone, ...config }),
        Layer.provideMerge(NodeIdentity.layerRandom, crypto)
      ))
    )
  )
  const events: Array<OverlayEvent> = []
  const connections: Array<Connection> = []
  const transport = recording(yield* Transport, connections, wrap)
  return {
    events,
    connections,
    local: Context.get(context, LocalNode),
    context: context.pipe(
      Context.add(Transport, transport),
      Context.add(OverlayEvents, { publish: (event) => void events.push(event), stream: Stream.empty })
    )
  }
})

/** A peer in a scope of its own. */
export interface Handle {
  readonly node: TestNode
  readonly peer: Peer.Peer
  /** Leaves the peer's scope, and waits until it is left. */
  readonly leave: Effect.Effect<void>
}

const inOwnScope = (
  node: TestNode,
  make: Effect.Effect<Peer.Peer, PeerDropped, LocalNode | Transport | Scope.Scope>
): Effect.Effect<Handle, PeerDropped, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const peer = yield* make.pipe(Effect.provide(node.context), Scope.provide(scope))
    return { node, peer, leave: Scope.close(scope, Exit.void) }
  })

export const dial = (node: TestNode, address: PeerAddress, options: Peer.PeerOptions = {}) =>
  inOwnScope(node, Peer.connect(address, options))

/** Accepts every connection; `next` waits for the result of the next one. */
export const listen = Effect.fnUntraced(function*(node: TestNode, options: Peer.PeerOptions = {}) {
  const results: Array<Exit.Exit<Handle, PeerDropped>> = []
  const waiting: Array<Deferred.Deferred<Handle, PeerDropped>> = []
  const transport = Context.get(node.context, Transport)
  const listener = yield* transport.listen({ host: "127.0.0.1", port: 0 })
  const handler = (connection: Connection) =>
    Effect.gen(function*() {
      const left = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const exit = yield* Effect.exit(
        Effect.map(inOwnScope(node, Peer.accept(connection, options)), ({ leave, ...rest }): Handle => ({
          ...rest,
          leave: leave.pipe(Effect.andThen(Deferred.succeed(left, undefined)), Effect.andThen(Deferred.await(ended)))
        }))
      )
      const next = waiting.shift()
      if (next === undefined) results.push(exit)
      else yield* Deferred.done(next, exit)
      if (Exit.isSuccess(exit)) {
        yield* Deferred.await(left)
        yield* Effect.addFinalizer(() => Deferred.succeed(ended, undefined))
      }
    })
  yield* Effect.forkScoped(listener.run(handler))
  const next: Effect.Effect<Handle, PeerDropped> = Effect.suspend(() => {
    const ready = results.shift()
    if (ready !== undefined) return ready
    return Effect.flatMap(Deferred.make<Handle, PeerDropped>(), (deferred) => {
      waiting.push(deferred)
      return Deferred.await(deferred)
    })
  })
  return { address: listener.address, next }
})

export interface LinkOptions {
  readonly a?: NodeOptions | undefined
  readonly b?: NodeOptions | undefined
}

/** Two nodes and the link between them: a dialled, b accepted. */
export const link = Effect.fnUntraced(function*(options: LinkOptions = {}) {
  const a = yield* makeNode("a", options.a?.config)
  const b = yield* makeNode("b", options.b?.config)
  const door = yield* listen(b, options.b)
  const accepting = yield* Effect.forkChild(door.next)
  const dialled = yield* dial(a, door.address, options.a)
  return { a: dialled, b: yield* Fiber.join(accepting), door }
})

/** The failure of an effect that must not succeed. */
export const failureOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<E, never, R> =>
  Effect.matchEffect(effect, { onFailure: Effect.succeed, onSuccess: () => Effect.die("it succeeded") })

/** Waits until something holds, by asking again and again; who asks for ever has found a defect. */
export const until = (condition: () => boolean, attempts = 20_000): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (condition()) return Effect.void
    if (attempts === 0) return Effect.die(`never: ${condition}`)
    return Effect.andThen(Effect.sleep(1), until(condition, attempts - 1))
  })

/** Takes messages of a peer until there are so many of a tag. */
export const take = <Tag extends StellarMessage["_tag"]>(peer: Peer.Peer, tag: Tag, count: number) =>
  peer.messages.pipe(
    Stream.filter((m): m is Extract<StellarMessage, { readonly _tag: Tag }> => m._tag === tag),
    Stream.take(count),
    Stream.map((m) => m.retain()),
    Stream.runCollect
  )
