/** A process of peers: the library as a program uses it. */
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import * as Peer from "@stellar-overlay/overlay/Peer"
import { Transport } from "@stellar-overlay/overlay/Transport"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { fromBytes, is, type StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import { Effect, ManagedRuntime, Scope, Stream } from "effect"
import { cpuMicros, millisNow } from "../harness.ts"
import { bodiesOf, oneScpMessage, type Workload } from "../workloads.ts"
import { type EndReport, loop, Meter } from "./meter.ts"
import { collected, type RoundTrips, timeRoundTrips } from "./raw.ts"

const runtime = ManagedRuntime.make(NodeOverlay.layer({ network: "standalone", listenHost: "127.0.0.1" }))
const scope = Scope.makeUnsafe()
const peers: Array<Peer.Peer> = []
const meter = new Meter()

const isScp = is("ScpMessage")
let echoing = false
let answered: (() => void) | undefined
let pauseMillis = 0

/** Takes a peer's messages batch by batch for as long as it lives. */
const consume = (peer: Peer.Peer) => {
  peers.push(peer)
  return peer.messages.pipe(
    Stream.runForEachArray((messages) => {
      meter.add(messages.length)
      answered?.()
      if (echoing) return peer.sendAll(messages.filter(isScp).map((message) => message.retain()))
      return pauseMillis > 0 ? Effect.sleep(pauseMillis) : Effect.void
    }),
    Effect.catch((error) => Effect.logWarning("a peer was dropped", error.message))
  )
}

const messagesOf = (workload: Workload): Array<StellarMessage> => bodiesOf(workload).map(fromBytes)

const many = (messages: ReadonlyArray<StellarMessage>, count: number): Array<StellarMessage> =>
  Array.from({ length: count }, (_, i) => messages[i % messages.length]!)

const timed = async <A, E>(run: Effect.Effect<A, E>): Promise<EndReport> => {
  const cpu = cpuMicros()
  const atMillis = millisNow()
  await runtime.runPromise(run)
  return { atMillis, cpuMicros: cpuMicros() - cpu }
}

export const actor = {
  ...loop,

  listen: (): Promise<number> =>
    runtime.runPromise(
      Effect.gen(function*() {
        const transport = yield* Transport
        const listener = yield* transport.listen({ host: "127.0.0.1", port: 0, backlog: 511 })
        yield* Effect.forkScoped(listener.run((connection) =>
          Peer.accept(connection).pipe(
            Effect.flatMap(consume),
            Effect.catch((error) => Effect.logWarning("a handshake failed", error.message))
          )
        ))
        return listener.address.port
      }).pipe(Scope.provide(scope))
    ),

  dial: (port: number, count: number): Promise<void> =>
    runtime.runPromise(
      Effect.gen(function*() {
        for (let i = 0; i < count; i++) {
          const peer = yield* Peer.connect(PeerAddress.make("127.0.0.1", port))
          yield* Effect.forkScoped(consume(peer), { startImmediately: true })
        }
      }).pipe(Scope.provide(scope))
    ),

  /** Answers every SCP message with itself. */
  echo: (): void => {
    echoing = true
  },

  /** Sends one message after the other to an echo. */
  roundTrips: (count: number): Promise<RoundTrips> => {
    const peer = peers[0]!
    const message = fromBytes(oneScpMessage())
    return timeRoundTrips(count, () => void runtime.runFork(peer.send(message)), (next) => {
      answered = next
    })
  },

  /** Consumers rest that long after each batch. */
  pause: (millis: number): void => {
    pauseMillis = millis
  },

  arm: (count: number): void => meter.arm(count),
  complete: (): Promise<EndReport> => meter.complete(),
  received: (): number => meter.received,

  /** Sends to every peer. */
  send: (workload: Workload, count: number): Promise<EndReport> => {
    const messages = many(messagesOf(workload), count)
    return timed(Effect.forEach(peers, (peer) => peer.sendAll(messages), { concurrency: "unbounded" }))
  },

  /** Sends one message after the other, each with its own `send`. */
  sendOneByOne: (workload: Workload, count: number): Promise<EndReport> => {
    const messages = many(messagesOf(workload), count)
    const one = (peer: Peer.Peer) => Effect.forEach(messages, peer.send, { discard: true })
    return timed(Effect.forEach(peers, one, { concurrency: "unbounded" }))
  },

  /** Offers `rounds` times `burst` messages to every peer, waiting while one of them has more queued than it takes. */
  fanOut: (workload: Workload, rounds: number, burst: number): Promise<EndReport> => {
    const messages = messagesOf(workload)
    return timed(Effect.gen(function*() {
      for (let round = 0; round < rounds; round++) {
        const from = (round * burst) % messages.length
        const some = Array.from({ length: burst }, (_, i) => messages[(from + i) % messages.length]!)
        for (const peer of peers) yield* peer.sendAll(some)
        yield* Effect.yieldNow
      }
    }))
  },

  /** As `memory`, after everything unreachable is gone; needs --expose-gc. */
  collected,

  /** Bytes this process uses now. */
  memory: (): { readonly heap: number; readonly external: number; readonly rss: number } => {
    const { external, heapUsed, rss } = process.memoryUsage()
    return { heap: heapUsed, external, rss }
  },

  /** Counters of the first peer. */
  state: () => {
    const [peer] = peers
    if (peer === undefined) throw new Error("there is no peer")
    const { flow, queues, stats } = peer.session
    return {
      dropped: peer.session.dropReason?._tag,
      read: stats.messagesRead,
      written: stats.messagesWritten,
      reads: stats.asyncReads,
      writes: stats.asyncWrites,
      credit: Number(flow.messageCredit),
      queued: [0, 1, 2, 3].reduce((sum, priority) => sum + queues.lengthOf(priority as 0 | 1 | 2 | 3), 0)
    }
  },

  peers: (): number => peers.filter(({ session }) => session.dropReason === undefined).length
}
