/**
 * Networks whose edges a test decides: whole nodes in a `World` that dial only whom they are told, a host that remembers
 * what it was given, links of different latency, and a tap that sees every message written.
 */
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { Clock, Context, Effect, Latch, Layer, type Scope } from "effect"
import { Flood } from "../../src/Flood.ts"
import { toHex } from "../../src/internal/bytes.ts"
import { ItemFetcher } from "../../src/ItemFetcher.ts"
import { Overlay } from "../../src/Overlay.ts"
import type * as OverlayConfig from "../../src/OverlayConfig.ts"
import type { OverlayEvent } from "../../src/OverlayEvents.ts"
import {
  type LedgerView,
  OverlayHost,
  type ScpVerdict,
  type TransactionVerdict,
  unknownLedger
} from "../../src/OverlayHost.ts"
import { OverlayMetrics, type Shape as Metrics } from "../../src/OverlayMetrics.ts"
import { type Connection, Transport } from "../../src/Transport.ts"
import { FrameParser, MAX_BODY } from "../../src/wire/Frame.ts"
import type { NodeId } from "../../src/wire/NodeId.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import { fromBytes, type StellarMessage, type Transaction } from "../../src/wire/StellarMessage.ts"
import { hashOf } from "./messages.ts"

// ------------------------------------------------------------------------------------------------------------- hosts

/** A host without a ledger: it takes everything and remembers it, unless a test replaces one of its answers. */
export class MemoryHost {
  view: LedgerView = unknownLedger
  /** SCP messages in the order they came, copies included, as hex. */
  readonly scp: Array<string> = []
  /** Transactions that were pending here once, by hash. */
  readonly pool = new Map<string, Transaction>()
  /** When they became pending, in Unix milliseconds. */
  readonly pendingAt = new Map<string, number>()
  /** Transactions that came, copies included. */
  transactionsReceived = 0
  /** Opened whenever something came. */
  readonly changed = Latch.makeUnsafe(false)
  readonly service: OverlayHost["Service"]

  constructor(differences: Partial<OverlayHost["Service"]> = {}) {
    this.service = {
      ledger: () => this.view,
      scpStateFrom: () => 0,
      receiveScp: (messages) =>
        Effect.sync(() =>
          messages.map((message): ScpVerdict => {
            this.scp.push(toHex(message.bytes))
            this.changed.openUnsafe()
            return { _tag: "relay" }
          })
        ),
      scpState: () => Effect.succeed([]),
      receiveTransactions: (messages, hashes) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          const verdicts = hashes.map((bytes, i): TransactionVerdict => {
            this.transactionsReceived++
            const hash = toHex(bytes)
            if (this.pool.has(hash)) return "duplicate"
            this.pool.set(hash, messages[i]!.retain())
            this.pendingAt.set(hash, now)
            return "pending"
          })
          this.changed.openUnsafe()
          return verdicts
        }),
      transactionStatus: (hash) => (this.pool.has(toHex(hash)) ? "known" : "unknown"),
      transaction: (hash) => this.pool.get(toHex(hash)),
      txSet: () => Effect.succeed(undefined),
      quorumSet: () => Effect.succeed(undefined),
      receiveTxSet: () => Effect.succeed(true),
      receiveQuorumSet: () => Effect.succeed(true),
      isInQuorum: () => false,
      ...differences
    }
  }

  add(message: Transaction): void {
    this.pool.set(toHex(hashOf(message)), message)
  }

  /** Waits until something that came makes it so. */
  until(isSo: () => boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (isSo()) return Effect.void
      this.changed.closeUnsafe()
      return Effect.andThen(this.changed.await, this.until(isSo))
    })
  }
}

/** A host that advertises and withholds. */
export const withholder = (): MemoryHost => new MemoryHost({ transaction: () => undefined })

// ------------------------------------------------------------------------------------------------------------- nodes

export interface Node {
  readonly ip: string
  readonly address: PeerAddress
  readonly id: NodeId
  readonly host: MemoryHost
  readonly overlay: Overlay["Service"]
  readonly flood: Flood["Service"]
  readonly fetcher: ItemFetcher["Service"]
  readonly events: Array<OverlayEvent>
  readonly metrics: Metrics
  /** Tells everybody a transaction, having it. */
  readonly submit: (message: Transaction) => number
}

export interface NodeOptions {
  readonly host?: MemoryHost | undefined
  /** Instead of the host's service. */
  readonly layer?: Layer.Layer<OverlayHost> | undefined
  readonly config?: Partial<OverlayConfig.Values> | undefined
}

/** Every node has a /16 of its own. */
export const ipOf = (i: number): string => `10.${i + 1}.0.1`

/** A node that accepts, and dials nobody unless told: it has no tick, so its host's ledger moves by `ledgerChanged`. */
export const start = Effect.fnUntraced(function*(i: number, options: NodeOptions = {}) {
  const host = options.host ?? new MemoryHost()
  const events: Array<OverlayEvent> = []
  const ip = ipOf(i)
  const services = yield* TestNode.start({
    name: `n${i}`,
    ip,
    config: { runStandalone: true, targetPeerConnections: 32, ...options.config },
    host: options.layer ?? Layer.succeed(OverlayHost, host.service),
    onEvent: (event) => void events.push(event)
  })
  const overlay = Context.get(services, Overlay)
  const listener = yield* Context.get(services, Transport).listen({ host: ip, port: 11625 })
  yield* Effect.forkScoped(listener.run(overlay.peers.accept))
  const node: Node = {
    ip,
    address: PeerAddress.make(ip, 11625),
    id: overlay.local.handshake.id,
    host,
    overlay,
    flood: Context.get(services, Flood),
    fetcher: Context.get(services, ItemFetcher),
    events,
    metrics: Context.get(services, OverlayMetrics),
    submit: (message) => {
      host.add(message)
      return overlay.broadcast(message)
    }
  }
  return node
})

export const startAll = (count: number, optionsOf: (i: number) => NodeOptions = () => ({})) =>
  Effect.forEach(Array.from({ length: count }, (_, i) => i), (i) => start(i, optionsOf(i)))

/** Why authenticated connections ended at a node. */
export const dropsOf = ({ events }: Node): Array<string> =>
  events.flatMap((event) => (event._tag === "PeerDropped" ? [event.reason._tag] : []))

// ------------------------------------------------------------------------------------------------------------ graphs

export type Edge = readonly [dialer: number, listener: number]

/** A connected graph of n nodes: a random tree, and every other edge with a probability. */
export const randomGraph = (n: number, draw: () => number, density = 0.2): Array<Edge> => {
  const edges: Array<Edge> = []
  for (let i = 1; i < n; i++) {
    const parent = Math.floor(draw() * i)
    edges.push(draw() < 0.5 ? [i, parent] : [parent, i])
    for (let j = 0; j < i; j++) if (j !== parent && draw() < density) edges.push([i, j])
  }
  return edges
}

export const fullGraph = (n: number): Array<Edge> =>
  Array.from({ length: n }, (_, i) => Array.from({ length: i }, (_, j): Edge => [i, j])).flat()

/** `core` nodes that all know each other, and `outer` ones that know one of them each. */
export const coreAndOuter = (core: number, outer: number): Array<Edge> => [
  ...fullGraph(core),
  ...Array.from({ length: outer }, (_, i): Edge => [core + i, i % core])
]

/** Connects along the edges, and waits until both ends of each are authenticated. */
export const connectAll = Effect.fnUntraced(function*(nodes: ReadonlyArray<Node>, edges: ReadonlyArray<Edge>) {
  yield* Effect.forEach(edges, ([a, b]) => nodes[a]!.overlay.connect(nodes[b]!.address), {
    concurrency: "unbounded",
    discard: true
  })
  yield* Effect.sleep("2 seconds")
})

// ---------------------------------------------------------------------------------------------------------- the wire

/** A message as it was written to a link. */
export interface Sent {
  /** IP addresses. */
  readonly from: string
  readonly to: string
  readonly message: StellarMessage
}

/** Sees all messages of a network, in order. */
export class Tap {
  readonly sent: Array<Sent> = []
  readonly #parsers = new Map<string, FrameParser>()

  readonly onBytes = (
    link: LoopbackTransport.LoopbackLink,
    direction: LoopbackTransport.Direction,
    chunk: Uint8Array
  ): void => {
    const key = `${link.id} ${direction}`
    const parser = this.#parsers.get(key) ?? new FrameParser()
    this.#parsers.set(key, parser)
    const [from, to] = direction === "toListener"
      ? [link.dialer.host, link.listener.host]
      : [link.listener.host, link.dialer.host]
    parser.push(chunk)
    for (let body; (body = parser.next(MAX_BODY)) instanceof Uint8Array;) {
      this.sent.push({ from, to, message: fromBytes(body.subarray(12, -32)) })
    }
  }

  /** Messages of a tag, from one node, to one node, or all. */
  of<Tag extends StellarMessage["_tag"]>(tag: Tag, { from, to }: { readonly from?: Node; readonly to?: Node } = {}) {
    return this.sent.flatMap((sent) =>
      sent.message._tag === tag && (from === undefined || from.ip === sent.from) &&
        (to === undefined || to.ip === sent.to)
        ? [sent.message as Extract<StellarMessage, { readonly _tag: Tag }>] // by its tag
        : []
    )
  }

  clear(): void {
    this.sent.length = 0
  }
}

/** Hashes in adverts or demands, in order. */
export const hashesIn = (messages: ReadonlyArray<{ readonly hashes: ReadonlyArray<Uint8Array> }>): Array<string> =>
  messages.flatMap(({ hashes }) => hashes.map(toHex))

/** How often each node sent each SCP message and each transaction to each of its peers. */
export const copies = (sent: ReadonlyArray<Sent>, tag: "ScpMessage" | "Transaction"): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const { from, message, to } of sent) {
    if (message._tag !== tag) continue
    const key = `${from} ${to} ${Buffer.from(message.bytes).toString("latin1")}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

const slowed = (connection: Connection, millis: number): Connection =>
  millis === 0 ? connection : {
    remote: connection.remote,
    pull: Effect.flatMap(connection.pull, (chunks) => Effect.as(Effect.sleep(millis), chunks)),
    write: connection.write,
    end: connection.end
  }

export interface NetworkOptions extends Omit<LoopbackTransport.Options, "onBytes"> {
  readonly tap?: Tap | undefined
  /** Milliseconds that bytes between two hosts take on top of `latencyMillis`, from `between` to twice as many. */
  readonly between?: ((a: string, b: string) => number) | undefined
}

/** A loopback network with a tap, and links of different latency. */
export const layerNetwork = ({ between, tap, ...options }: NetworkOptions = {}) => {
  const network = LoopbackTransport.layerNetwork({ ...options, onBytes: tap?.onBytes })
  if (between === undefined) return network
  const slow = (ip: string, connection: Connection) => slowed(connection, between(ip, connection.remote.host))
  const transportAt = (transport: Transport["Service"], ip: string): Transport["Service"] => ({
    dial: (address, options) => Effect.map(transport.dial(address, options), (connection) => slow(ip, connection)),
    listen: (options) =>
      Effect.map(transport.listen(options), (listener) => ({
        address: listener.address,
        run: (handler) => listener.run((connection) => handler(slow(ip, connection)))
      }))
  })
  return Layer.effect(
    LoopbackTransport.LoopbackNetwork,
    Effect.map(LoopbackTransport.LoopbackNetwork, (inner) => ({
      ...inner,
      transportAt: (ip: string) => transportAt(inner.transportAt(ip), ip)
    }))
  ).pipe(Layer.provide(network))
}

export type InWorld<A> = Effect.Effect<
  A,
  Error,
  World.World | LoopbackTransport.LoopbackNetwork | Scope.Scope
>

/** Runs a program in a world with such a network. */
export const inWorld = <A>(seed: number | string, options: NetworkOptions, program: InWorld<A>) =>
  World.run(Effect.scoped(program.pipe(Effect.provide(layerNetwork(options)))), { seed })
