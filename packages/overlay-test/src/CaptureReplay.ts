/**
 * Plays a capture to a node in a `World`: what happened to a node out there happens again here, at the same moments, as
 * often as one likes.
 *
 * Every link of the capture becomes a scripted peer that authenticates with a key of its own, says what the remote said
 * when it said it, and goes when it went. The node answers by itself: what the recording node said is not played, it is
 * there to be compared with. The node is a relay (`OverlayHost.layerRelay`) on the network of the capture, at the time of
 * the capture, unless told otherwise.
 *
 * @since 0.1.0
 */
import * as DropReason from "@stellar-overlay/overlay/DropReason"
import * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import { OverlayHost } from "@stellar-overlay/overlay/OverlayHost"
import type { TransportError } from "@stellar-overlay/overlay/Transport"
import type { MessageTag } from "@stellar-overlay/overlay/wire/MessageType"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import type { Hello } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Capture, Entry } from "./Capture.ts"
import type { HelloOverrides } from "./HandshakeScript.ts"
import { LoopbackNetwork } from "./LoopbackTransport.ts"
import * as LoopbackTransport from "./LoopbackTransport.ts"
import type { PeerScript } from "./PeerScript.ts"
import type { Script, ScriptFailure } from "./Script.ts"
import * as ScriptedPeer from "./ScriptedPeer.ts"
import { TestCrypto } from "./TestCrypto.ts"
import * as TestNode from "./TestNode.ts"
import * as World from "./World.ts"

/**
 * Links that a replay takes at most: every one has an address of its own.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_LINKS = 1000

/**
 * Milliseconds that the node gets after the last entry, unless told otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT_SETTLE_MILLIS = 5000

/**
 * What may be chosen for a replay.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Decides the order of what happens at one moment, and all keys; 0 unless given. */
  readonly seed?: number | string | undefined
  /** `DEFAULT_SETTLE_MILLIS` unless given. */
  readonly settleMillis?: number | undefined
  /** Differences from the `standalone` preset, besides the network. */
  readonly config?: Partial<OverlayConfig.Values> | undefined
  /** A relay unless given. */
  readonly host?: Layer.Layer<OverlayHost> | undefined
}

/**
 * How one link went.
 *
 * @category models
 * @since 0.1.0
 */
export interface LinkReport {
  readonly link: number
  /** Where it led in the capture. */
  readonly address: string
  /** Messages of the remote, without those of the handshake. */
  readonly messages: number
  /** How many of them were said before the connection ended. */
  readonly said: number
  /** Why the node ended it, before the remote went; undefined when it did not. */
  readonly drop: DropReason.DropReason | undefined
  /** What kept the handshake from being what the capture shows. */
  readonly failure: ScriptFailure | undefined
}

/**
 * How a replay went.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplayReport {
  readonly links: ReadonlyArray<LinkReport>
  /** What reached the node's subscribers, by type. */
  readonly delivered: ReadonlyMap<MessageTag, number>
  readonly events: ReadonlyArray<OverlayEvent>
}

interface PlayedLink {
  readonly link: number
  readonly ip: string
  readonly open: Extract<Entry, { readonly _tag: "Open" }>
  readonly hello: Hello | undefined
  readonly says: ReadonlyArray<Extract<Entry, { readonly _tag: "Message" }>>
  /** When the remote went, or the capture ended. */
  readonly until: number
}

/** A network of its own for every link, so that no limit for neighbours applies. */
const ipOf = (index: number): string => `10.${1 + (index % 250)}.${Math.floor(index / 250)}.1`

const NODE_IP = "192.0.2.1"
const PORT = 11625

/** The links of a capture, in the order in which they opened; messages of a link that never opened are left out. */
const linksOf = ({ entries }: Capture): ReadonlyArray<PlayedLink> => {
  const byLink = new Map<number, Array<Entry>>()
  for (const entry of entries) {
    const list = byLink.get(entry.link)
    if (list === undefined) byLink.set(entry.link, [entry])
    else list.push(entry)
  }
  const end = entries.at(-1)?.at ?? 0
  const links: Array<PlayedLink> = []
  for (const [link, list] of byLink) {
    const open = list.find((entry) => entry._tag === "Open")
    if (open === undefined || links.length === MAX_LINKS) continue
    const remote = list.flatMap((entry) => entry._tag === "Message" && entry.from === "remote" ? [entry] : [])
    const hello = remote.map(({ message }) => message).find((message) => message._tag === "Hello")
    const says = remote.filter(({ message }) => message._tag !== "Hello" && message._tag !== "Auth")
    const until = list.find((entry) => entry._tag === "Close")?.at ?? end
    links.push({ link, ip: ipOf(links.length), open, hello, says, until })
  }
  return links
}

const helloOf = (hello: Hello | undefined): HelloOverrides =>
  hello === undefined ? {} : {
    overlayVersion: hello.overlayVersion,
    overlayMinVersion: hello.overlayMinVersion,
    ledgerVersion: hello.ledgerVersion,
    versionStr: hello.versionStr,
    listeningPort: hello.listeningPort
  }

/** What the remote does on its link; gives how many messages it could say. */
const story = (link: PlayedLink) =>
  function*(peer: PeerScript): Script<number> {
    peer.answersPings = true
    yield* peer.handshake()
    let said = 0
    for (const { at, message } of link.says) {
      if (at > peer.now.millis && !(yield* peer.wait(at - peer.now.millis))) return said
      if (!(yield* peer.say(message))) return said
      said++
    }
    if (link.until > peer.now.millis) yield* peer.wait(link.until - peer.now.millis)
    yield* peer.finish()
    return said
  }

const sleepUntil = (millis: number): Effect.Effect<void> =>
  Effect.flatMap(Clock.monotonicTimeNanos, (nanos) => Effect.sleep(Math.max(0, millis - Number(nanos) / 1e6)))

/** One scripted peer from its opening to its end. */
const play = Effect.fnUntraced(function*(
  link: PlayedLink,
  node: TestNode.TestNode,
  passphrase: string,
  dropOf: (id: NodeId) => DropReason.DropReason | undefined
): Effect.fn.Return<LinkReport, never, LoopbackNetwork | Scope.Scope> {
  const network = yield* LoopbackNetwork
  const transport = network.transportAt(link.ip)
  const options = {
    seed: `link ${link.link}`,
    networkPassphrase: passphrase,
    hello: helloOf(link.hello)
  }
  yield* sleepUntil(link.open.at)
  let said = 0
  let id: NodeId | undefined
  const failure = yield* Effect.scoped(Effect.gen(function*() {
    let peer: ScriptedPeer.ScriptedPeer
    if (link.open.role === "acceptor") {
      const connection = yield* transport.dial(node.address, { timeoutMillis: 5000 })
      peer = yield* ScriptedPeer.make(connection, { ...options, role: "initiator" })
    } else {
      const listener = yield* transport.listen({ host: link.ip, port: PORT })
      yield* Effect.forkScoped(Effect.ignore(node.overlay.connect(PeerAddress.make(link.ip, PORT))))
      peer = yield* ScriptedPeer.accept(listener, options)
    }
    id = peer.script.id
    said = yield* peer.run(story(link))
  })).pipe(
    Effect.as(undefined),
    Effect.catchTags({
      ScriptFailure: (failure) => Effect.succeed(failure),
      TransportError: Effect.die // a dial on a loopback network to a node that listens
    })
  )
  const drop = id === undefined ? undefined : dropOf(id)
  const own = drop !== undefined && DropReason.droppedBy(drop) !== "remote" ? drop : undefined
  return { link: link.link, address: link.open.address, messages: link.says.length, said, drop: own, failure }
})

type ReplayError = OverlayConfig.OverlayConfigError | TransportError

const program = Effect.fnUntraced(function*(
  capture: Capture,
  options: Options
): Effect.fn.Return<ReplayReport, ReplayError, LoopbackNetwork | World.World | Scope.Scope> {
  const { passphrase } = capture.header
  const links = linksOf(capture)
  const config: Partial<OverlayConfig.Values> = {
    maxAdditionalPeerConnections: MAX_LINKS,
    maxPendingConnections: MAX_LINKS,
    ...options.config,
    networkPassphrase: passphrase
  }
  const relay = OverlayHost.layerRelay.pipe(
    Layer.provide(OverlayConfig.OverlayConfig.layer({ ...OverlayConfig.standalone, ...config })),
    Layer.provide(TestCrypto.layer("host")),
    Layer.orDie
  )
  const events: Array<OverlayEvent> = []
  const node = yield* TestNode.launch({
    name: "node",
    ip: NODE_IP,
    config,
    host: options.host ?? relay,
    onEvent: (event) => void events.push(event)
  })
  const delivered = new Map<MessageTag, number>()
  yield* node.overlay.messages.pipe(
    Stream.runForEachArray((batch) =>
      Effect.sync(() => {
        for (const { message } of batch) delivered.set(message._tag, (delivered.get(message._tag) ?? 0) + 1)
      })
    ),
    Effect.forkScoped({ startImmediately: true })
  )
  const dropOf = (id: NodeId) => {
    for (const event of events) if (event._tag === "PeerDropped" && event.id === id) return event.reason
    return undefined
  }
  const reports = yield* Effect.forEach(links, (link) => play(link, node, passphrase, dropOf), {
    concurrency: "unbounded"
  })
  yield* Effect.sleep(options.settleMillis ?? DEFAULT_SETTLE_MILLIS)
  return { links: reports, delivered, events }
})

/**
 * Plays a capture in a world of its own. The report's `traceHash` is the same for the same capture, seed and options.
 *
 * @category running
 * @since 0.1.0
 */
export const simulate = (
  capture: Capture,
  options: Options = {}
): Effect.Effect<World.Report<ReplayReport, ReplayError>> =>
  program(capture, options).pipe(
    Effect.provide(LoopbackTransport.layerNetwork()),
    World.simulate({ seed: options.seed, startUnixMillis: capture.header.startUnixMillis })
  )
