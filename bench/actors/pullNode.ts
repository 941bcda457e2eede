/** A whole node that pulls transactions: its host takes every one, and limits and periods leave the pace to the code. */
import { Flood } from "@stellar-overlay/overlay/Flood"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import { Overlay } from "@stellar-overlay/overlay/Overlay"
import { OverlayHost, unknownLedger } from "@stellar-overlay/overlay/OverlayHost"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import { Effect, Layer, ManagedRuntime } from "effect"
import { createHash } from "node:crypto"
import { cpuMicros, millisNow } from "../harness.ts"
import { bodiesOf } from "../workloads.ts"

/** Everything that limits a real network's rate is far away: what is left is work. */
const PERIOD_MILLIS = 10
const OPERATIONS = 1_000_000

const TRANSACTION = 8
/** Where the sequence number of a transaction begins: after three words, the source's key and the fee. */
const SEQUENCE_NUMBER = 48

const pool = new Map<string, Transaction>()
const keyOf = (hash: Uint8Array): string => Buffer.from(hash.buffer, hash.byteOffset, hash.length).toString("latin1")
let wanted = 0
let onAll: () => void = () => undefined

const host = Layer.succeed(OverlayHost, {
  ledger: () => ({ ...unknownLedger, maxTxSetSize: OPERATIONS }),
  scpStateFrom: () => 0,
  receiveScp: (messages) => Effect.succeed(messages.map(() => ({ _tag: "relay" as const }))),
  scpState: () => Effect.succeed([]),
  receiveTransactions: (messages, hashes) =>
    Effect.sync(() => {
      const verdicts = messages.map((message, i) => {
        const key = keyOf(hashes[i]!)
        if (pool.has(key)) return "duplicate" as const
        pool.set(key, message.retain())
        return "pending" as const
      })
      if (pool.size >= wanted) onAll()
      return verdicts
    }),
  transactionStatus: (hash) => (pool.has(keyOf(hash)) ? "known" : "unknown"),
  transaction: (hash) => pool.get(keyOf(hash)),
  txSet: () => Effect.succeed(undefined),
  quorumSet: () => Effect.succeed(undefined),
  receiveTxSet: () => Effect.succeed(false),
  receiveQuorumSet: () => Effect.succeed(false),
  isInQuorum: () => false
})

const runtime = ManagedRuntime.make(NodeOverlay.layerNode({
  network: "standalone",
  listenHost: "127.0.0.1",
  listenPort: 0,
  floodTxPeriodMillis: PERIOD_MILLIS,
  floodAdvertPeriodMillis: PERIOD_MILLIS,
  floodDemandPeriodMillis: PERIOD_MILLIS,
  host
}))

let made = 0
let cpu = 0

/** Payments that nobody has seen before. */
const fresh = (count: number, first: number): Array<Transaction> => {
  const body = bodiesOf("mix").find((body) => body[3] === TRANSACTION && body.length < 500)!
  return Array.from({ length: count }, (_, n) => {
    const bytes = body.slice()
    const view = new DataView(bytes.buffer)
    view.setUint32(SEQUENCE_NUMBER, first)
    view.setUint32(SEQUENCE_NUMBER + 4, made + n)
    return new Transaction(bytes)
  })
}

export const actor = {
  listen: (): Promise<number> => runtime.runPromise(Effect.map(Overlay, ({ address }) => address!.port)),
  dial: (port: number): Promise<void> =>
    runtime.runPromise(
      Effect.flatMap(Overlay, (overlay) => Effect.asVoid(overlay.connect(PeerAddress.make("127.0.0.1", port))))
    ),
  peers: (): Promise<number> => runtime.runPromise(Effect.map(Overlay, ({ peers }) => peers.authenticated().length)),

  mark: (): void => {
    cpu = cpuMicros()
  },
  /** Processor time since `mark`. */
  used: (): number => cpuMicros() - cpu,

  /** Forgets what is held, and expects so many; the moment all of them are there. */
  expect: (count: number): Promise<number> => {
    pool.clear()
    wanted = count
    return new Promise((resolve) => {
      onAll = () => resolve(millisNow())
    })
  },

  /** Takes so many transactions of its own, all at once, and has them flooded; the moment it began. */
  submit: (count: number, first: number): Promise<number> =>
    runtime.runPromise(Effect.map(Flood, (flood) => {
      const messages = fresh(count, first)
      made += count
      const start = millisNow()
      for (const message of messages) {
        pool.set(keyOf(createHash("sha256").update(message.envelope).digest()), message)
        flood.enqueue(message)
      }
      if (pool.size >= wanted) onAll()
      return start
    })),

  /** Bodies received, copies included, and pulls with their milliseconds. */
  stats: (): Promise<{ readonly duplicates: number; readonly pulls: number; readonly pullMillis: number }> =>
    runtime.runPromise(Effect.map(Flood, ({ demands, stats }) => ({
      duplicates: demands.irrelevant,
      pulls: stats.pulls,
      pullMillis: stats.pullMillis
    })))
}
