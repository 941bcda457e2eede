/** A relay: a whole node whose host wants every SCP message passed on. */
import { Flood } from "@stellar-overlay/overlay/Flood"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import { Overlay } from "@stellar-overlay/overlay/Overlay"
import { OverlayHost, type ScpVerdict, unknownLedger } from "@stellar-overlay/overlay/OverlayHost"
import { Effect, Layer, ManagedRuntime } from "effect"
import { cpuMicros } from "../harness.ts"

const relay: ScpVerdict = { _tag: "relay" }

const host = Layer.succeed(OverlayHost, {
  ledger: () => unknownLedger,
  scpStateFrom: () => 0,
  receiveScp: (messages) => Effect.succeed(messages.map(() => relay)),
  scpState: () => Effect.succeed([]),
  receiveTransactions: (messages) => Effect.succeed(messages.map(() => "duplicate")),
  transactionStatus: () => "unknown",
  transaction: () => undefined,
  txSet: () => Effect.succeed(undefined),
  quorumSet: () => Effect.succeed(undefined),
  receiveTxSet: () => Effect.succeed(false),
  receiveQuorumSet: () => Effect.succeed(false),
  isInQuorum: () => false
})

/** The node; with its own metrics unless others are given. */
export const layer = (metrics?: Layer.Layer<never>) =>
  NodeOverlay.layerNode({
    network: "standalone",
    listenHost: "127.0.0.1",
    listenPort: 0,
    maxAdditionalPeerConnections: 100,
    host,
    metrics
  })

const runtime = ManagedRuntime.make(layer())
let cpu = 0

export const actor = {
  listen: (): Promise<number> => runtime.runPromise(Effect.map(Overlay, ({ address }) => address!.port)),

  mark: (): void => {
    cpu = cpuMicros()
  },
  /** Processor time since `mark`. */
  used: (): number => cpuMicros() - cpu,

  /** Messages sent by broadcasts since the start. */
  sent: (): Promise<number> => runtime.runPromise(Effect.map(Flood, ({ stats }) => stats.sent))
}
