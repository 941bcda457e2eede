/**
 * Nodes of a simulated network that survey and are surveyed. They connect to whom they are told, answer pings, follow one
 * clock of ledgers, and trust the quorum of the test.
 */
import * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import * as World from "@stellar-overlay/overlay-test/World"
import { NodeIdentity } from "@stellar-overlay/overlay/NodeIdentity"
import { Clock, Context, Effect, Exit, Layer, Scope } from "effect"
import * as DropReason from "../src/DropReason.ts"
import { Flood } from "../src/Flood.ts"
import { ItemFetcher } from "../src/ItemFetcher.ts"
import type { OverlayEvent } from "../src/OverlayEvents.ts"
import { OverlayHost, unknownLedger } from "../src/OverlayHost.ts"
import { Peers } from "../src/Peers.ts"
import * as SurveyCrypto from "../src/protocol/SurveyCrypto.ts"
import { Survey } from "../src/Survey.ts"
import * as SurveyAdmin from "../src/SurveyAdmin.ts"
import { defaults, SurveyConfig } from "../src/SurveyConfig.ts"
import { Transport } from "../src/Transport.ts"
import { MessageType } from "../src/wire/MessageType.ts"
import type { NodeId } from "../src/wire/NodeId.ts"
import { PeerAddress } from "../src/wire/PeerAddress.ts"
import { DontHave, type StellarMessage } from "../src/wire/StellarMessage.ts"

/** The accelerated close time of the scenarios; a round of requests is three of them. */
export const CLOSE_MILLIS = 1000
/** "propagate": six close times. */
export const propagate = Effect.sleep(6 * CLOSE_MILLIS)

export interface NodeOptions {
  readonly quorum: ReadonlySet<NodeId>
  readonly surveyorKeys?: ReadonlyArray<NodeId>
  readonly survey?: Partial<SurveyConfig>
  readonly config?: TestNode.Options["config"]
  /** Whether the host follows consensus; it does unless this says otherwise. */
  readonly isTracking?: () => boolean
  readonly closeMillis?: number
  /** The last closed ledger of the host; 0 unless this says otherwise. */
  readonly ledgerSeq?: () => number
}

const layerHost = (options: NodeOptions) =>
  Layer.effect(
    OverlayHost,
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const idle = Context.get(yield* Layer.build(TestNode.layerIdleHost), OverlayHost)
      const closeMillis = options.closeMillis ?? CLOSE_MILLIS
      return {
        ...idle,
        ledger: () => {
          const seconds = clock.currentTimeMillisUnsafe() - World.DEFAULT_START_UNIX_MILLIS
          const trackingIndex = 100 + Math.floor(seconds / closeMillis)
          const ledgerSeq = options.ledgerSeq?.() ?? unknownLedger.ledgerSeq
          return { ...unknownLedger, ledgerSeq, trackingIndex, isTracking: options.isTracking?.() ?? true }
        },
        isInQuorum: (id: NodeId) => options.quorum.has(id)
      }
    })
  )

/** Starts node `i`, with its identity of that name wherever and whenever it starts. */
export const start = Effect.fnUntraced(function*(i: number, options: NodeOptions) {
  const name = `n${i}`
  const ip = `10.${i >> 8}.${i & 255}.1`
  const events: Array<OverlayEvent> = []
  const scope = yield* Scope.fork(yield* Effect.scope)
  const base = TestNode.layerPeers({
    name,
    ip,
    host: layerHost(options),
    onEvent: (event) => void events.push(event),
    config: {
      versionString: `node ${i}`,
      expectedCloseTimeMillis: options.closeMillis ?? CLOSE_MILLIS,
      surveyorKeys: options.surveyorKeys ?? [],
      ...options.config
    }
  })
  const layer = Survey.layer.pipe(
    Layer.provide(Layer.succeed(SurveyConfig, { ...defaults, ...options.survey })),
    Layer.provideMerge(Flood.layer),
    Layer.provideMerge(ItemFetcher.layer),
    Layer.provideMerge(base),
    Layer.fresh
  )
  return yield* World.asNode(
    Scope.provide(
      Effect.gen(function*() {
        const services = yield* Layer.build(layer)
        const peers = Context.get(services, Peers)
        const survey = Context.get(services, Survey)
        const identity = Context.get(services, NodeIdentity)
        /** Survey messages that came, with their senders. */
        const received: Array<{ readonly from: NodeId; readonly message: SurveyCrypto.SurveyMessage }> = []
        yield* peers.handle({
          received: (peer, messages) => {
            for (const message of messages) {
              if (message._tag === "GetScpQuorumSet") {
                peer.offer(DontHave.make({ itemType: MessageType.ScpQuorumSet, hash: message.hash }))
              } else if (SurveyCrypto.isSurveyMessage(message)) {
                received.push({ from: peer.id, message: message.retain() })
              }
            }
            return undefined
          }
        })
        const listener = yield* Context.get(services, Transport).listen({ host: ip, port: 11625 })
        yield* Effect.forkScoped(listener.run(peers.accept))
        const address = PeerAddress.make(ip, 11625)
        return {
          i,
          id: identity.nodeId,
          sign: identity.sign,
          address,
          peers,
          survey,
          events,
          received,
          stop: Scope.close(scope, Exit.void),
          connect: (other: { readonly address: PeerAddress }) => peers.connect(other.address, { force: true }),
          disconnect: (other: { readonly id: NodeId }) => peers.drop(other.id, DropReason.make("DroppedByUser")),
          /** Sends a message to a peer as if it were our own to send. */
          send: (other: { readonly id: NodeId }, message: StellarMessage) =>
            peers.get(other.id)?.offer(message) ?? false,
          /** An operator's command; gives the answer's text. */
          command: (line: string) => {
            const [path = "", query = ""] = line.split("?")
            return SurveyAdmin.handle(path, new URLSearchParams(query)).pipe(
              Effect.map((response) => response?.body.slice(0, -1)), // without the end of the line
              Effect.provideService(Survey, survey)
            )
          },
          ask: (other: { readonly id: NodeId }, inbound = 0, outbound = 0) =>
            survey.surveyNode(other.id, inbound, outbound)._tag,
          topology: () => survey.results().topology
        }
      }),
      scope
    ),
    name
  )
})

export type Node = Effect.Success<ReturnType<typeof start>>

/** Phase and number of a node's survey. */
export const phases = (nodes: ReadonlyArray<Node>) =>
  nodes.map(({ survey: { state } }) => `${state.phase} ${state.nonce?.toString(16) ?? "-"}`)

/** The ids of a result's peers of both directions; undefined while unanswered. */
export const peersOf = (surveyor: Node, node: { readonly id: NodeId }) => {
  const entry = surveyor.topology()[node.id]
  if (entry === null || entry === undefined) return undefined
  return {
    inbound: entry.inboundPeers?.map(({ nodeId }) => nodeId) ?? [],
    outbound: entry.outboundPeers?.map(({ nodeId }) => nodeId) ?? []
  }
}

export const ids = (...nodes: ReadonlyArray<{ readonly id: NodeId }>): Array<string> => nodes.map(({ id }) => id).sort()

/** SETUP-S of the scenarios: D -> A -> B -> C, B -> E. */
export const setup = Effect.fnUntraced(function*(survey: Partial<SurveyConfig> = {}) {
  const quorum = new Set<NodeId>()
  const A = yield* start(1, { quorum, survey: { isValidator: true, ...survey } })
  const C = yield* start(3, { quorum, survey: { isValidator: true, ...survey } })
  const D = yield* start(4, { quorum, survey })
  const E = yield* start(5, { quorum, survey })
  const B = yield* start(2, { quorum, survey, surveyorKeys: [A.id, E.id] })
  quorum.add(A.id)
  quorum.add(C.id)
  yield* D.connect(A)
  yield* A.connect(B)
  yield* B.connect(C)
  yield* B.connect(E)
  yield* Effect.sleep(1000)
  return { A, B, C, D, E, quorum, all: [A, B, C, D, E] as const }
})

/** REPORTING(X). */
export const report = Effect.fnUntraced(function*(surveyor: Node, nonce = 0xcafe) {
  surveyor.survey.startCollecting(nonce)
  yield* propagate
  surveyor.survey.stopCollecting()
  yield* propagate
})

export const run = <A, E, R>(
  program: Effect.Effect<A, E, R | LoopbackTransport.LoopbackNetwork>,
  options: World.Options = {}
) =>
  World.run(Effect.provide(program, LoopbackTransport.layerNetwork({ latencyMillis: 20 })), {
    seed: 7,
    maxSteps: 50_000_000,
    ...options
  })
