/** The incidents that prove the rules. */
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import type { ScriptFailure } from "@stellar-overlay/overlay-test/Script"
import type { ScriptedPeer } from "@stellar-overlay/overlay-test/ScriptedPeer"
import type { World } from "@stellar-overlay/overlay-test/World"
import { ItemFetcher, type ItemNotFound } from "@stellar-overlay/overlay/ItemFetcher"
import { OverlayMetrics } from "@stellar-overlay/overlay/OverlayMetrics"
import * as PeerStore from "@stellar-overlay/overlay/PeerStore"
import { StorageError } from "@stellar-overlay/overlay/StorageError"
import type { Connection, TransportError } from "@stellar-overlay/overlay/Transport"
import * as NodeId from "@stellar-overlay/overlay/wire/NodeId"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import {
  FloodAdvert,
  FloodDemand,
  SendMoreExtended,
  TimeSlicedSurveyStartCollecting
} from "@stellar-overlay/overlay/wire/StellarMessage"
import type { WireError } from "@stellar-overlay/overlay/wire/WireError"
import { Context, Effect, Latch, Layer, type Scope, Stream } from "effect"
import { addressOf, hashOf, type Lab, type Setting, transaction } from "./lab.ts"

type Need = Scope.Scope | LoopbackTransport.LoopbackNetwork | World
type Trouble = ScriptFailure | TransportError | WireError | ItemNotFound

export interface Incident {
  readonly name: string
  /** What must fire. */
  readonly fires: ReadonlyArray<string>
  /** What may, being a part of the same trouble. Nothing else must. */
  readonly may?: ReadonlyArray<string>
  readonly minutes: number
  /** Made anew for every run. */
  readonly make: () => {
    readonly setting?: Setting
    readonly play: (lab: Lab) => Effect.Effect<void, Trouble, Need>
  }
}

const times = <E>(count: number, act: (n: number) => Effect.Effect<unknown, E, Need>) =>
  Effect.forEach(Array.from({ length: count }, (_, n) => n), act, { discard: true })

const credit = SendMoreExtended.make({ numMessages: 10_000, numBytes: 100_000_000 })

/** Authenticates, gives credit unless it is mean, and goes on to answer pings. */
const join = Effect.fnUntraced(function*(lab: Lab, n: number, isMean = false) {
  const peer = yield* lab.scripted(n)
  yield* peer.handshake()
  if (!isMean) yield* peer.say(credit)
  peer.script.answersPings = true
  yield* Effect.forkScoped(Effect.ignore(peer.expectOpen(3_600_000)))
  return peer
})

const bytes = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) % 251)

/** Answers every demand for transactions of `from` on after so many milliseconds. */
const deliver = (peer: ScriptedPeer, millis: number, known: ReadonlyMap<string, number>) =>
  Effect.gen(function*() {
    let seen = 0
    while (true) {
      yield* Effect.sleep(100)
      const { heard } = peer.script
      for (; seen < heard.length; seen++) {
        const { message } = heard[seen]!
        if (message?._tag !== "FloodDemand") continue
        const wanted = message.hashes.flatMap((hash) => known.get(String(hash)) ?? [])
        yield* Effect.forkScoped(Effect.delay(peer.sayAll(wanted.map(transaction)), millis))
      }
    }
  })

const node: ReadonlyArray<Incident> = [
  {
    name: "the process ends and is started again, twice",
    fires: ["OverlayNodeDown", "OverlayNodeRestarting"],
    minutes: 6,
    make: () => ({
      play: ({ start, stop }) =>
        times(2, () =>
          stop.pipe(
            Effect.andThen(Effect.sleep("90 seconds")),
            Effect.andThen(start),
            Effect.andThen(Effect.sleep("1 minute"))
          ))
    })
  },
  {
    name: "the listener breaks",
    fires: ["OverlayNotListening"],
    may: ["OverlayPeersLost", "OverlayNoPeers"],
    minutes: 2,
    make: () => {
      const broken = Latch.makeUnsafe(false)
      return {
        setting: {
          transport: (transport) => ({
            ...transport,
            listen: (options) =>
              Effect.map(transport.listen(options), (listener) => ({
                ...listener,
                run: (handler) =>
                  Effect.raceFirst(listener.run(handler), Effect.andThen(broken.await, Effect.die("EMFILE")))
              }))
          })
        },
        play: () => Effect.sync(() => broken.openUnsafe())
      }
    }
  },
  {
    name: "the database is full",
    fires: ["OverlayStorageFailing"],
    minutes: 3,
    make: () => {
      let isFull = false
      const memory = PeerStore.makeMemory()
      const error = new StorageError({ operation: "write", reason: "Full", detail: "database or disk is full" })
      const store = { ...memory, write: (changes: PeerStore.PeerChanges) => isFull ? error : memory.write(changes) }
      return {
        setting: { options: { store: Layer.succeed(PeerStore.PeerStore, store) } },
        play: ({ watched }) =>
          Effect.sync(() => {
            isFull = true
            watched().node.overlay.peerManager.ensureExists(PeerAddress.make("50.0.0.1", 11625))
          })
      }
    }
  },
  {
    // What makes it slow cannot be played in virtual time: what it measures is given.
    name: "the event loop is slow",
    fires: ["OverlayEventLoopSlow"],
    minutes: 3,
    make: () => ({
      play: ({ watched }) =>
        Effect.sync(() => {
          const metrics = Context.get(watched().node.services, OverlayMetrics)
          metrics.add((sums) => sums.add("stellar_event_loop_delay_seconds", 0.4, "99"))
        })
    })
  },
  {
    name: "a handler fails",
    fires: ["OverlayDefect"],
    minutes: 2,
    make: () => ({
      play: (lab) =>
        Effect.gen(function*() {
          const peer = yield* join(lab, 1)
          yield* lab.watched().node.overlay.peers.handle({
            received: (from) => {
              if (from.id === peer.script.id) throw new Error("a bug")
              return undefined
            }
          })
          yield* peer.say(FloodAdvert.make({ hashes: [bytes(32, 1)] }))
        })
    })
  }
]

const peers: ReadonlyArray<Incident> = [
  {
    name: "the cable is pulled",
    fires: ["OverlayNoPeers", "OverlayPeersLost", "OverlayDialsFail", "OverlayNodeNotReady", "OverlayOutOfSync"],
    minutes: 10,
    make: () => ({
      play: ({ others }) =>
        Effect.gen(function*() {
          const network = yield* LoopbackTransport.LoopbackNetwork
          for (let i = 0; i <= others.length; i++) yield* network.blackHole(addressOf(i))
          for (const { node } of others) yield* node.kill
        })
    })
  },
  {
    name: "all slots are taken, and more callers come",
    fires: ["OverlayInboundFull"],
    may: ["OverlayDialsFail"],
    minutes: 4,
    make: () => ({
      setting: { options: { config: { targetPeerConnections: 5, maxAdditionalPeerConnections: 7 } } },
      play: (lab) => times(60, (n) => Effect.andThen(Effect.ignore(join(lab, n)), Effect.sleep(2000)))
    })
  },
  {
    name: "one host knocks hundreds of times a second, and a client of /events falls asleep meanwhile",
    fires: ["OverlayInboundRefused", "OverlayLogSuppressed", "OverlayEventsLost"],
    may: ["OverlayHandshakeTimeouts"],
    minutes: 4,
    make: () => ({
      play: ({ events }) =>
        Effect.gen(function*() {
          const { body } = events.respond(new URLSearchParams("type=PeerDropped"))
          const pull = yield* Stream.toPull(body._tag === "Stream" ? Stream.orDie(body.stream) : Stream.empty)
          yield* Effect.ignore(Effect.andThen(pull, pull))
          const network = yield* LoopbackTransport.LoopbackNetwork
          const knock = network.transportAt("20.0.0.1").dial(addressOf(0), { timeoutMillis: 2000 })
          yield* Effect.forkScoped(
            times(3000, () => Effect.andThen(Effect.forkScoped(Effect.ignore(Effect.scoped(knock))), Effect.sleep(3)))
          )
          yield* Effect.sleep("30 seconds")
          yield* Effect.ignore(Effect.forever(pull))
        })
    })
  },
  {
    name: "callers say nothing, have clocks that are wrong, break the protocol and forge",
    fires: [
      "OverlayHandshakeTimeouts",
      "OverlayMacFailures",
      "OverlayProtocolViolations",
      "OverlayClockSkew",
      "OverlaySurveyForged",
      "OverlayBansGrow"
    ],
    // who called is called back, in vain
    may: ["OverlayDialsFail"],
    minutes: 3,
    make: () => ({
      setting: { host: (host) => ({ ...host, isInQuorum: () => true }) },
      play: (lab) =>
        Effect.gen(function*() {
          yield* times(8, (n) => lab.scripted(n))
          yield* times(4, (n) =>
            Effect.gen(function*() {
              const peer = yield* join(lab, 100 + n)
              yield* peer.say(FloodAdvert.make({ hashes: [bytes(32, n)] }), { mac: bytes(32, n) })
            }))
          yield* times(8, (n) => Effect.flatMap(lab.scripted(200 + n), (peer) => peer.sayFrame(bytes(100, n))))
          yield* times(4, (n) =>
            Effect.gen(function*() {
              const peer = yield* lab.scripted(300 + n, { hello: { certificate: { expiresIn: -10 } } })
              yield* Effect.ignore(peer.handshake())
            }))
          const { node, toy } = lab.watched()
          const peer = yield* join(lab, 400)
          yield* peer.say(TimeSlicedSurveyStartCollecting.make({
            surveyorId: lab.others[0]!.node.overlay.local.handshake.id,
            nonce: 1,
            ledgerNum: toy.stats().ledgerSeq,
            signature: bytes(64, 1)
          }))
          yield* times(4, (n) => Effect.sync(() => node.overlay.ban(NodeId.fromBytes(bytes(32, n)))))
        })
    })
  },
  {
    name: "the way to all peers becomes long",
    fires: ["OverlayLatencyHigh"],
    may: ["OverlayPullLatencyHigh", "OverlayDemandsAbandoned"],
    minutes: 6,
    make: () => {
      let millis = 0
      const far = (connection: Connection): Connection => ({
        ...connection,
        pull: Effect.flatMap(
          connection.pull,
          (chunks) => millis === 0 ? Effect.succeed(chunks) : Effect.as(Effect.sleep(millis), chunks)
        )
      })
      return {
        setting: {
          transport: (transport) => ({
            dial: (address, options) => Effect.map(transport.dial(address, options), far),
            listen: (options) =>
              Effect.map(transport.listen(options), (listener) => ({
                ...listener,
                run: (handler) => listener.run((connection) => handler(far(connection)))
              }))
          })
        },
        play: () =>
          Effect.sync(() => {
            millis = 1200
          })
      }
    }
  }
]

const flow: ReadonlyArray<Incident> = [
  {
    name: "peers give no credit",
    fires: ["OverlayCreditStarved", "OverlayStragglersDropped"],
    may: ["OverlayPeersLost", "OverlayDialsFail"],
    minutes: 3,
    make: () => ({ play: (lab) => times(6, (n) => join(lab, n, true)) })
  },
  {
    name: "peers demand everything and take nothing",
    fires: ["OverlayTransactionsShed", "OverlayCreditStarved", "OverlayStragglersDropped"],
    may: ["OverlayPullLatencyHigh", "OverlayPeersLost", "OverlayDialsFail"],
    minutes: 4,
    make: () => ({
      setting: { maxTxSetSize: 20 },
      play: (lab) =>
        Effect.gen(function*() {
          const pay = (n: number) => 50_000 + n
          yield* times(100, (n) => Effect.sync(() => lab.watched().toy.submit(transaction(pay(n)))))
          const hashes = Array.from({ length: 100 }, (_, n) => hashOf(transaction(pay(n))))
          yield* times(12, (n) =>
            Effect.flatMap(join(lab, n, true), (peer) =>
              times(5, (k) =>
                peer.say(FloodDemand.make({ hashes: hashes.slice(20 * k, 20 * (k + 1)) })))))
        })
    })
  },
  {
    name: "the ledger stops to take messages",
    fires: ["OverlaySlowConsumer"],
    may: [
      "OverlayOutOfSync",
      "OverlayLedgerStuck",
      "OverlayPeersLost",
      "OverlayNoPeers",
      "OverlayStragglersDropped",
      "OverlayCreditStarved",
      "OverlayNodeNotReady",
      "OverlayDialsFail"
    ],
    minutes: 4,
    make: () => {
      const open = Latch.makeUnsafe(true)
      return {
        setting: {
          host: (host) => ({
            ...host,
            receiveScp: (...args) => Effect.andThen(open.await, host.receiveScp(...args))
          }),
          options: {
            config: { peerReadingCapacity: 6, peerFloodReadingCapacity: 5, flowControlSendMoreBatchSize: 2 }
          }
        },
        play: () => Effect.sync(() => open.closeUnsafe())
      }
    }
  },
  {
    name: "a peer repeats itself",
    fires: ["OverlayFloodDuplicates"],
    minutes: 5,
    make: () => ({
      play: (lab) =>
        Effect.gen(function*() {
          const peer = yield* join(lab, 1)
          const again = Array.from({ length: 40 }, () => transaction(70_000))
          yield* Effect.ignore(Effect.forever(Effect.andThen(peer.sayAll(again), Effect.sleep(250))))
        })
    })
  },
  {
    name: "a peer delivers late, and another advertises what it does not have",
    fires: ["OverlayPullLatencyHigh", "OverlayDemandsAbandoned"],
    minutes: 5,
    make: () => ({
      play: (lab) =>
        Effect.gen(function*() {
          const late = yield* join(lab, 1)
          const liar = yield* join(lab, 2)
          const known = new Map<string, number>()
          yield* Effect.forkScoped(deliver(late, 1700, known))
          for (let round = 0;; round++) {
            const numbers = Array.from({ length: 10 }, (_, n) => 80_000 + round * 10 + n)
            for (const n of numbers) known.set(String(hashOf(transaction(n))), n)
            yield* late.say(FloodAdvert.make({ hashes: numbers.map((n) => hashOf(transaction(n))) }))
            if (round < 4) {
              yield* liar.say(FloodAdvert.make({ hashes: numbers.map((n) => hashOf(transaction(n + 1_000_000))) }))
            }
            yield* Effect.sleep("4 seconds")
          }
        }).pipe(Effect.ignore)
    })
  }
]

const ledger: ReadonlyArray<Incident> = [
  {
    name: "half of the network stops, and the rest has no quorum",
    fires: ["OverlayLedgerStuck", "OverlayPeersLost", "OverlayOutOfSync"],
    may: ["OverlayNodeNotReady", "OverlayDialsFail"],
    minutes: 6,
    make: () => ({
      play: ({ others }) => Effect.forEach(others.slice(0, 3), ({ node }) => node.stop, { discard: true })
    })
  },
  {
    name: "nobody has a transaction set that is needed",
    fires: ["OverlayFetchStuck"],
    minutes: 4,
    make: () => ({
      play: ({ watched }) => Effect.asVoid(Context.get(watched().node.services, ItemFetcher).fetchTxSet(bytes(32, 5)))
    })
  }
]

/** All of them. */
export const incidents: ReadonlyArray<Incident> = [...node, ...peers, ...flow, ...ledger]
