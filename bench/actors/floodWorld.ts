/** Transactions flooded through a simulated network, and everything that was written for it. */
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { Overlay } from "@stellar-overlay/overlay/Overlay"
import { OverlayHost, unknownLedger } from "@stellar-overlay/overlay/OverlayHost"
import { Transport } from "@stellar-overlay/overlay/Transport"
import { FrameParser, MAX_BODY } from "@stellar-overlay/overlay/wire/Frame"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { fromBytes, Transaction } from "@stellar-overlay/overlay/wire/StellarMessage"
import { Context, Effect, Layer, Random } from "effect"
import { createHash } from "node:crypto"
import { bodiesOf } from "../workloads.ts"

const TRANSACTION = 8
/** What a frame adds to its message: record mark, version, sequence number and MAC. */
const FRAME_OVERHEAD = 48
/** Where the sequence number of a transaction begins: after three words, the source's key and the fee. */
const SEQUENCE_NUMBER = 48

/** What was written for one kind of message. */
export interface Traffic {
  readonly messages: number
  /** Frames, record marks included. */
  readonly bytes: number
  /** In adverts and demands. */
  readonly hashes: number
}

export interface FloodReport {
  readonly nodes: number
  readonly links: number
  /** Transactions times the nodes that did not have them. */
  readonly deliveries: number
  readonly delivered: number
  readonly bodyBytes: number
  readonly traffic: Readonly<Record<string, Traffic>>
}

const hashOf = (message: Transaction): string => createHash("sha256").update(message.envelope).digest("hex")

/** A host that takes every transaction. */
const collector = () => {
  const pool = new Map<string, Transaction>()
  const keyOf = (hash: Uint8Array) => Buffer.from(hash).toString("hex")
  const layer = Layer.succeed(OverlayHost, {
    ledger: () => unknownLedger,
    scpStateFrom: () => 0,
    receiveScp: (messages) => Effect.succeed(messages.map(() => ({ _tag: "relay" as const }))),
    scpState: () => Effect.succeed([]),
    receiveTransactions: (messages, hashes) =>
      Effect.sync(() =>
        messages.map((message, i) => {
          const key = keyOf(hashes[i]!)
          if (pool.has(key)) return "duplicate"
          pool.set(key, message.retain())
          return "pending"
        })
      ),
    transactionStatus: (hash) => (pool.has(keyOf(hash)) ? "known" : "unknown"),
    transaction: (hash) => pool.get(keyOf(hash)),
    txSet: () => Effect.succeed(undefined),
    quorumSet: () => Effect.succeed(undefined),
    receiveTxSet: () => Effect.succeed(false),
    receiveQuorumSet: () => Effect.succeed(false),
    isInQuorum: () => false
  })
  return { pool, layer }
}

/** The payments of the mix, each another one by its sequence number. */
const transactions = (count: number): Array<Transaction> => {
  const body = bodiesOf("mix").find((body) => body[3] === TRANSACTION && body.length < 500)!
  return Array.from({ length: count }, (_, n) => {
    const bytes = body.slice()
    new DataView(bytes.buffer).setUint32(SEQUENCE_NUMBER, n)
    return new Transaction(bytes)
  })
}

const program = (nodes: number, dials: number, count: number, seed: number) => {
  const traffic: Record<string, Traffic> = {}
  const parsers = new Map<string, FrameParser>()
  let counting = false
  const onBytes: LoopbackTransport.Options["onBytes"] = (link, direction, chunk) => {
    const key = `${link.id} ${direction}`
    const parser = parsers.get(key) ?? new FrameParser()
    parsers.set(key, parser)
    parser.push(chunk)
    for (let body; (body = parser.next(MAX_BODY)) instanceof Uint8Array;) {
      if (!counting) continue
      const message = fromBytes(body.subarray(12, -32))
      const { bytes = 0, hashes = 0, messages = 0 } = traffic[message._tag] ?? {}
      const more = message._tag === "FloodAdvert" || message._tag === "FloodDemand" ? message.count : 0
      traffic[message._tag] = {
        messages: messages + 1,
        bytes: bytes + message.size + FRAME_OVERHEAD,
        hashes: hashes + more
      }
    }
  }

  return World.run(
    Effect.gen(function*() {
      const hosts = Array.from({ length: nodes }, collector)
      const overlays: Array<Overlay["Service"]> = []
      for (const [i, { layer }] of hosts.entries()) {
        const ip = `10.${i + 1}.0.1`
        const config = { runStandalone: true, targetPeerConnections: nodes }
        const services = yield* TestNode.start({ name: `n${i}`, ip, config, host: layer })
        const overlay = Context.get(services, Overlay)
        const listener = yield* Context.get(services, Transport).listen({ host: ip, port: 11625 })
        yield* Effect.forkScoped(listener.run(overlay.peers.accept))
        overlays.push(overlay)
      }
      const links = new Set<string>()
      for (let i = 1; i < nodes; i++) {
        for (let d = 0; d < dials; d++) {
          const other = d === 0 ? i - 1 : yield* Random.nextIntBetween(0, nodes - 1)
          const link = [i, other].sort((a, b) => a - b).join()
          if (other === i || links.has(link)) continue
          links.add(link)
          yield* overlays[i]!.connect(PeerAddress.make(`10.${other + 1}.0.1`, 11625))
        }
      }
      yield* Effect.sleep("3 seconds")
      counting = true
      const all = transactions(count)
      for (const [n, message] of all.entries()) {
        hosts[n % nodes]!.pool.set(hashOf(message), message)
        overlays[n % nodes]!.broadcast(message)
        yield* Effect.sleep(5) // 200 a second
      }
      yield* Effect.sleep("10 seconds")
      const report: FloodReport = {
        nodes,
        links: links.size,
        deliveries: count * (nodes - 1),
        delivered: hosts.reduce((sum, { pool }) => sum + pool.size, 0) - count,
        bodyBytes: all[0]!.size + FRAME_OVERHEAD,
        traffic
      }
      return report
    }).pipe(Effect.scoped, Effect.provide(LoopbackTransport.layerNetwork({ latencyMillis: 20, onBytes }))),
    { seed, maxSteps: 1e9 }
  )
}

export const actor = {
  run: (nodes: number, dials: number, count: number, seed: number): FloodReport =>
    Effect.runSync(program(nodes, dials, count, seed))
}
