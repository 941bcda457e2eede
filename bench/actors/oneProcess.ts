/** Both ends of a link in one process: the library, and `@stellarbeat/js-stellar-node-connector`. */
import { OverlayConfig } from "@stellar-overlay/overlay"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import * as Peer from "@stellar-overlay/overlay/Peer"
import { Transport } from "@stellar-overlay/overlay/Transport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { fromBytes } from "@stellar-overlay/overlay/wire/StellarMessage"
import { type Connection, createNode } from "@stellarbeat/js-stellar-node-connector"
import { Deferred, Effect, Layer, ManagedRuntime, Scope, Stream } from "effect"
import { createRequire } from "node:module"
import { cpuMicros, type Measurement, millisNow } from "../harness.ts"
import { bodiesOf, type Workload } from "../workloads.ts"
import { Meter } from "./meter.ts"

const measured = async (count: number, run: () => Promise<unknown>): Promise<Measurement> => {
  const cpu = cpuMicros()
  const start = millisNow()
  await run()
  return { perSecond: count / (millisNow() - start) * 1000, cpuMicros: (cpuMicros() - cpu) / count }
}

/** The bodies of a workload with only these message types: the SCP messages and the payments of the mix. */
const bodies = (types: ReadonlyArray<number>): ReadonlyArray<Uint8Array> =>
  bodiesOf("mix" satisfies Workload).filter((body) => types.includes(body[3]!) && body.length < 500)

// --------------------------------------------------------------------------------------------------------- the library

const ours = (async () => {
  const layer = NodeOverlay.layer({ network: "standalone", listenHost: "127.0.0.1" })
  const acceptor = ManagedRuntime.make(layer)
  const dialer = ManagedRuntime.make(Layer.fresh(layer))
  const scope = Scope.makeUnsafe()
  const meter = new Meter()
  const accepted = Deferred.makeUnsafe<void>()
  const port = await acceptor.runPromise(
    Effect.gen(function*() {
      const transport = yield* Transport
      const listener = yield* transport.listen({ host: "127.0.0.1", port: 0 })
      yield* Effect.forkScoped(listener.run((connection) =>
        Effect.gen(function*() {
          const peer = yield* Peer.accept(connection)
          yield* Deferred.succeed(accepted, undefined)
          yield* Stream.runForEachArray(peer.messages, (messages) => Effect.sync(() => meter.add(messages.length)))
        }).pipe(Effect.catch((error) => Effect.logError("a peer was dropped", error.message)))
      ))
      return listener.address.port
    }).pipe(Scope.provide(scope))
  )
  const peer = await dialer.runPromise(Scope.provide(Peer.connect(PeerAddress.make("127.0.0.1", port)), scope))
  void dialer.runFork(Stream.runDrain(peer.messages))
  await acceptor.runPromise(Deferred.await(accepted))
  return { peer, meter, run: dialer }
})()

// ------------------------------------------------------------------------------------------------------- the connector

/** Its own copy of stellar-base, whose enums it compares by identity. */
const foreign = createRequire(createRequire(import.meta.url).resolve("@stellarbeat/js-stellar-node-connector"))(
  "@stellar/stellar-base"
)

const connector = (async () => {
  process.env["LOG_LEVEL"] = "silent"
  const config = {
    network: OverlayConfig.passphrases.standalone,
    nodeInfo: { ledgerVersion: 27, overlayVersion: 42, overlayMinVersion: 38, versionString: "bench" },
    listeningPort: 11625,
    receiveSCPMessages: true,
    receiveTransactionMessages: true,
    peerFloodReadingCapacity: 200,
    flowControlSendMoreBatchSize: 40,
    peerFloodReadingCapacityBytes: 300_000,
    flowControlSendMoreBatchSizeBytes: 100_000
  }
  const acceptor = createNode(config)
  const dialer = createNode(config)
  const meter = new Meter()
  const port = 20_000 + process.pid % 20_000
  acceptor.on("connection", (incoming: Connection) => {
    incoming.on("error", () => undefined)
    incoming.on("data", ({ done }: { readonly done: () => void }) => {
      meter.add(1)
      done()
    })
  })
  acceptor.acceptIncomingConnections(port, "127.0.0.1")
  await new Promise((resolve) => acceptor.once("listening", resolve))
  const connection = dialer.connectTo("127.0.0.1", port)
  connection.on("error", () => undefined)
  connection.on("data", ({ done }: { readonly done: () => void }) => done())
  await new Promise((resolve) => connection.once("connect", resolve))
  return { connection, meter }
})()

export const actor = {
  ours: async (types: ReadonlyArray<number>, count: number): Promise<Measurement> => {
    const { meter, peer, run } = await ours
    const some = bodies(types).map(fromBytes)
    const messages = Array.from({ length: count }, (_, i) => some[i % some.length]!)
    return measured(count, () => {
      meter.arm(count)
      return Promise.all([run.runPromise(peer.sendAll(messages)), meter.complete()])
    })
  },

  connector: async (types: ReadonlyArray<number>, count: number): Promise<Measurement> => {
    const { connection, meter } = await connector
    const some = bodies(types).map((body) => foreign.xdr.StellarMessage.fromXDR(Buffer.from(body)))
    return measured(count, async () => {
      meter.arm(count)
      for (let i = 0; i < count; i++) {
        if (!connection.sendStellarMessage(some[i % some.length])) {
          await new Promise((resolve) => connection.once("drain", resolve))
        }
      }
      await meter.complete()
    })
  }
}
