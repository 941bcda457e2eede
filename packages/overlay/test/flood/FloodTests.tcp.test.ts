/** The rows of FloodTests.cpp over real TCP on 127.0.0.1. Nothing here depends on how long anything takes. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as NodeOverlay from "../../src/NodeOverlay.ts"
import * as NodeOverlayCrypto from "../../src/NodeOverlayCrypto.ts"
import * as NodeTransport from "../../src/NodeTransport.ts"
import { Overlay } from "../../src/Overlay.ts"
import * as OverlayConfig from "../../src/OverlayConfig.ts"
import { OverlayHost } from "../../src/OverlayHost.ts"
import { type Connection, Transport } from "../../src/Transport.ts"
import { FrameParser, MAX_BODY } from "../../src/wire/Frame.ts"
import { fromBytes, type StellarMessage } from "../../src/wire/StellarMessage.ts"
import { coreAndOuter, type Edge, fullGraph, hashesIn, MemoryHost } from "./network.ts"
import { floodScp, floodTransactions, makeRelay, type RelayNode } from "./stories.ts"

/** What one node wrote to its sockets and read from them. */
interface Traffic {
  readonly sent: Array<StellarMessage>
  readonly received: Array<StellarMessage>
}

const reader = (into: Array<StellarMessage>) => {
  const parser = new FrameParser()
  return (chunks: ReadonlyArray<Uint8Array>): void => {
    for (const chunk of chunks) parser.push(chunk.slice())
    for (let body; (body = parser.next(MAX_BODY)) instanceof Uint8Array;) into.push(fromBytes(body.slice(12, -32)))
  }
}

const observed = (connection: Connection, { received, sent }: Traffic): Connection => {
  const [read, written] = [reader(received), reader(sent)]
  return {
    remote: connection.remote,
    pull: Effect.tap(connection.pull, (chunks) => Effect.sync(() => read(chunks))),
    write: (chunks) => {
      written(chunks)
      return connection.write(chunks)
    },
    end: connection.end
  }
}

const observedTransport = (traffic: Traffic): Layer.Layer<Transport> =>
  Layer.effect(
    Transport,
    Effect.map(Transport, (tcp) => ({
      dial: (address, options) => Effect.map(tcp.dial(address, options), (connection) => observed(connection, traffic)),
      listen: (options) =>
        Effect.map(tcp.listen(options), (listener) => ({
          address: listener.address,
          run: (handler) => listener.run((connection) => handler(observed(connection, traffic)))
        }))
    }))
  ).pipe(Layer.provide(NodeTransport.layer))

/** A node that accepts, and dials nobody unless told. */
const start = Effect.fnUntraced(function*(host: Layer.Layer<OverlayHost>, config: Partial<OverlayConfig.Values> = {}) {
  const traffic: Traffic = { sent: [], received: [] }
  const services = yield* Layer.build(NodeOverlay.layerNode({
    ...OverlayConfig.standalone,
    runStandalone: true,
    targetPeerConnections: 16,
    ...config,
    host,
    transport: observedTransport(traffic)
  }))
  const overlay = Context.get(services, Overlay)
  const listener = yield* Context.get(services, Transport).listen({ host: "127.0.0.1", port: 0 })
  yield* Effect.forkScoped(listener.run(overlay.peers.accept))
  return { overlay, traffic, address: listener.address }
})

type Started = Effect.Success<ReturnType<typeof start>>

/** Connects along the edges, and waits until the listening ends are authenticated too. */
const connectAll = Effect.fnUntraced(function*(nodes: ReadonlyArray<Started>, edges: ReadonlyArray<Edge>) {
  for (const [a, b] of edges) {
    const [dialer, listener] = [nodes[a]!, nodes[b]!]
    yield* dialer.overlay.connect(listener.address)
    while (listener.overlay.peers.get(dialer.overlay.local.handshake.id) === undefined) yield* Effect.yieldNow
  }
})

const periods = { floodTxPeriodMillis: 10, floodDemandPeriodMillis: 10 }

const transactions = Effect.fnUntraced(function*(count: number, edges: ReadonlyArray<Edge>) {
  const nodes = yield* Effect.forEach(Array.from({ length: count }), () => {
    const host = new MemoryHost()
    return Effect.map(start(Layer.succeed(OverlayHost, host.service), periods), (node) => ({
      ...node,
      host,
      submit: (message: Parameters<MemoryHost["add"]>[0]) => {
        host.add(message)
        return node.overlay.broadcast(message)
      }
    }))
  })
  yield* connectAll(nodes, edges)
  yield* floodTransactions(nodes)
  return nodes
}, Effect.timeout("50 seconds"))

const environment = Layer.merge(
  NodeOverlayCrypto.layer,
  Layer.orDie(OverlayConfig.OverlayConfig.layer(OverlayConfig.standalone))
)

const scp = Effect.fnUntraced(function*(count: number, edges: ReadonlyArray<Edge>) {
  const nodes = yield* Effect.forEach(Array.from({ length: count }), () =>
    Effect.gen(function*() {
      const relay: RelayNode = yield* makeRelay(environment)
      return { relay, ...yield* start(relay.layer) }
    }))
  yield* connectAll(nodes, edges)
  yield* floodScp(nodes.map(({ overlay, relay }) => ({ relay, broadcast: overlay.broadcast })))
}, Effect.timeout("50 seconds"))

const only = <Tag extends StellarMessage["_tag"]>(messages: ReadonlyArray<StellarMessage>, tag: Tag) =>
  messages.filter((m): m is Extract<StellarMessage, { readonly _tag: Tag }> => m._tag === tag)

describe("flooding over TCP", () => {
  it.live("FLD-002 FLD-005 transactions among four, and how many adverts and demands that takes", () =>
    Effect.gen(function*() {
      const nodes = yield* transactions(4, fullGraph(4))
      for (const { traffic: { received, sent } } of nodes) {
        const advertsSent = only(sent, "FloodAdvert").length
        const advertised = hashesIn(only(sent, "FloodAdvert")).length
        const fulfilled = only(sent, "Transaction").length
        for (const n of [advertsSent, only(received, "FloodAdvert").length, only(sent, "FloodDemand").length]) {
          assert.isTrue(n >= 1 && n <= 60, String(n))
        }
        for (const n of [advertised, fulfilled]) assert.isTrue(n >= 5 && n <= 60, String(n))
        assert.isAtMost(advertsSent, advertised)
        assert.isAtMost(fulfilled, advertised)
        assert.strictEqual(hashesIn(only(received, "FloodDemand")).length, fulfilled)
      }
    }))

  it.live("FLD-007 transactions among five and ten outer nodes", () => transactions(15, coreAndOuter(5, 10)))

  it.live("FLD-009 SCP messages among four, with what they name", () => scp(4, fullGraph(4)))

  it.live("FLD-011 SCP messages among five and ten outer nodes", () => scp(15, coreAndOuter(5, 10)))
})
