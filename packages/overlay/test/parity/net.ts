/**
 * What a parity scenario has to work with: nodes and scripted peers over whatever carries their bytes, and what came of it
 * in a form in which two runs can be compared.
 */
import { assert } from "@effect/vitest"
import type * as LoopbackTransport from "@stellar-overlay/overlay-test/LoopbackTransport"
import type { ScriptFailure } from "@stellar-overlay/overlay-test/Script"
import type { PeerScriptOptions } from "@stellar-overlay/overlay-test/ScriptedNode"
import * as ScriptedPeer from "@stellar-overlay/overlay-test/ScriptedPeer"
import * as TestNode from "@stellar-overlay/overlay-test/TestNode"
import { Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import * as DropReason from "../../src/DropReason.ts"
import { ItemFetcher, type ItemNotFound } from "../../src/ItemFetcher.ts"
import { Overlay } from "../../src/Overlay.ts"
import type * as OverlayConfig from "../../src/OverlayConfig.ts"
import type { OverlayEvent } from "../../src/OverlayEvents.ts"
import { OverlayHost } from "../../src/OverlayHost.ts"
import { SurveyConfig } from "../../src/SurveyConfig.ts"
import { Transport, type TransportError } from "../../src/Transport.ts"
import type { NodeId } from "../../src/wire/NodeId.ts"
import { PeerAddress } from "../../src/wire/PeerAddress.ts"
import type { WireError } from "../../src/wire/WireError.ts"
import { MemoryHost } from "../flood/network.ts"

const HOST = "127.0.0.1"

/** How a scenario can fail. */
export type Failure = ScriptFailure | TransportError | WireError | OverlayConfig.OverlayConfigError | ItemNotFound

export type Env = Scope.Scope | LoopbackTransport.LoopbackNetwork

export interface Node {
  readonly name: string
  readonly address: PeerAddress
  readonly id: NodeId
  readonly host: MemoryHost
  readonly overlay: Overlay["Service"]
  readonly fetcher: ItemFetcher["Service"]
  readonly events: Array<OverlayEvent>
  /** Why connections ended here, so far. */
  readonly drops: () => ReadonlyArray<DropReason.DropTag>
  /** Connects, and waits for both ends; or why it could not. */
  readonly connect: (other: Pick<Node, "address">) => Effect.Effect<string>
  readonly stop: Effect.Effect<void>
}

export interface NodeOptions {
  readonly config?: Partial<OverlayConfig.Values>
  readonly host?: MemoryHost
}

/** Names of everybody, and addresses, which differ from run to run. */
class Names {
  readonly ids = new Map<string, string>()
  readonly addresses = new Map<string, string>()

  nameOf(id: NodeId | undefined): string {
    return id === undefined ? "?" : this.ids.get(id) ?? "stranger"
  }

  /** A text without what differs from run to run. */
  mask(text: string): string {
    let masked = text
    for (const [address, name] of this.addresses) masked = masked.replaceAll(address, `<${name}>`)
    return masked.replaceAll(/127\.0\.0\.1:\d+/g, "<somebody>")
  }
}

/** Of an end without a word, whether the FIN, the RST or a write that met it is seen first is up to the system. */
const wordless: ReadonlySet<DropReason.DropTag> = new Set(["RemoteClosed", "ReadError", "WriteError"])

/** The end of a connection as a text: who ended it and why, but not how the system underneath names it. */
const reasonText = (reason: DropReason.DropReason, names: Names): string => {
  if (wordless.has(reason._tag)) return "the remote is gone"
  const told = DropReason.droppedBy(reason) === "remote" && reason.detail.startsWith("ERR_")
  return told ? `${reason._tag} ${names.mask(reason.detail)}` : reason._tag
}

/** What an event says that is the same in every run; undefined for events about load and time. */
const eventText = (event: OverlayEvent, names: Names): string | undefined => {
  switch (event._tag) {
    case "PeerConnecting":
      return "connecting"
    case "PeerConnected":
      return `connected as ${event.role}`
    case "PeerHello":
      return `hello of ${names.nameOf(event.remote.id)}`
    case "PeerAuthenticated":
      return `authenticated ${names.nameOf(event.remote.id)}`
    case "PeerDropped": {
      const how = event.authenticated ? "authenticated" : "pending"
      return `dropped ${how} ${names.nameOf(event.id)}: ${reasonText(event.reason, names)}`
    }
    case "NodeBanned":
    case "NodeUnbanned":
      return `${event._tag} ${names.nameOf(event.id)}`
    case "FetchStarted":
    case "FetchReceived":
      return `${event._tag} ${event.item}`
    case "FetchAsked":
      return `${event._tag} ${event.item} ${names.nameOf(event.id)}`
    case "SurveyRequested":
      return `${event._tag} ${names.nameOf(event.surveyedId)}`
    case "SurveyAnswered":
      return `${event._tag} ${names.nameOf(event.surveyorId)}`
    default:
      return undefined
  }
}

/** Events by connection, each in order, connections in no order. */
const story = (events: ReadonlyArray<OverlayEvent>, names: Names): ReadonlyArray<string> => {
  const lines = new Map<string, Array<string>>()
  for (const event of events) {
    const text = eventText(event, names)
    if (text === undefined) continue
    const key = "address" in event && event.address instanceof PeerAddress ? event.address.key : event._tag
    const line = lines.get(key) ?? []
    lines.set(key, line)
    line.push(text)
  }
  return [...lines.values()].map((line) => line.join(", ")).sort()
}

/** One run of a scenario: makes its nodes and peers, and tells in the end what happened to them. */
export class Net {
  readonly transport: Transport["Service"]
  readonly names = new Names()
  private readonly slackMillis: number
  private readonly nodes: Array<Node> = []

  constructor(transport: Transport["Service"], slackMillis: number) {
    this.transport = transport
    this.slackMillis = slackMillis
  }

  /** A node that accepts, and dials nobody unless told. */
  readonly node = Effect.fnUntraced({ self: this }, function*(name: string, options: NodeOptions = {}) {
    const host = options.host ?? new MemoryHost()
    const events: Array<OverlayEvent> = []
    const scope = yield* Scope.fork(yield* Effect.scope)
    const layer = TestNode.layer({
      name,
      ip: HOST,
      transport: Layer.succeed(Transport, this.transport),
      config: { runStandalone: true, ...options.config },
      host: Layer.succeed(OverlayHost, host.service),
      onEvent: (event) => void events.push(event)
    })
    const services = yield* Layer.build(layer).pipe(
      Scope.provide(scope),
      Effect.updateService(SurveyConfig, (config) => ({ ...config, survey: "quorum" as const }))
    )
    const overlay = Context.get(services, Overlay)
    const listener = yield* Scope.provide(this.transport.listen({ host: HOST, port: 0 }), scope)
    overlay.local.handshake.listeningPort = listener.address.port
    yield* Effect.forkIn(listener.run(overlay.peers.accept), scope)
    const { id } = overlay.local.handshake
    this.names.ids.set(id, name)
    this.names.addresses.set(listener.address.toString(), name)
    const node: Node = {
      name,
      address: listener.address,
      id,
      host,
      overlay,
      fetcher: Context.get(services, ItemFetcher),
      events,
      drops: () => events.flatMap((event) => event._tag === "PeerDropped" ? [event.reason._tag] : []),
      connect: ({ address }) =>
        Effect.gen({ self: this }, function*() {
          const result = yield* Effect.result(overlay.connect(address))
          if (result._tag === "Failure") return result.failure.reason._tag
          const other = this.nodes.find((known) => known.address.key === address.key)
          if (other !== undefined) yield* this.until("both ends", () => other.overlay.peers.get(id) !== undefined)
          return "connected"
        }),
      stop: Scope.close(scope, Exit.void)
    }
    this.nodes.push(node)
    return node
  })

  private scripted(seed: string, options: PeerScriptOptions): ScriptedPeer.Options {
    return { seed, slackMillis: this.slackMillis, ...options }
  }

  private known(name: string, peer: ScriptedPeer.ScriptedPeer): ScriptedPeer.ScriptedPeer {
    this.names.ids.set(peer.script.id, name)
    return peer
  }

  /** A scripted peer that has dialled a node; nothing is said yet. */
  peer(name: string, target: Pick<Node, "address">, options: PeerScriptOptions = {}) {
    return ScriptedPeer.connect(target.address, this.scripted(name, options)).pipe(
      Effect.provideService(Transport, this.transport),
      Effect.map((peer) => this.known(name, peer))
    )
  }

  /** A scripted peer that waits to be dialled. */
  readonly acceptor = Effect.fnUntraced({ self: this }, function*(name: string, options: PeerScriptOptions = {}) {
    const listener = yield* this.transport.listen({ host: HOST, port: 0 })
    this.names.addresses.set(listener.address.toString(), name)
    const accepting = yield* Effect.forkScoped(
      ScriptedPeer.accept(listener, { ...this.scripted(name, options), role: "acceptor" }),
      { startImmediately: true }
    )
    return { address: listener.address, peer: Effect.map(Fiber.join(accepting), (peer) => this.known(name, peer)) }
  })

  /** An address where nobody listens. */
  readonly nobody = Effect.fnUntraced({ self: this }, function*() {
    const { address } = yield* Effect.scoped(this.transport.listen({ host: HOST, port: 0 }))
    this.names.addresses.set(address.toString(), "nobody")
    return { address }
  })

  /** Waits until something is so; that it is has to be certain, only when is not. */
  until(what: string, isSo: () => boolean): Effect.Effect<void> {
    return Effect.gen(function*() {
      for (let turn = 0; turn < 4_000; turn++) {
        if (isSo()) return
        yield* Effect.sleep(5)
      }
      assert.fail(`${what}: did not come to be`)
    })
  }

  /** Waits until so many connections have ended at a node. */
  dropped(node: Node, count: number): Effect.Effect<void> {
    return this.until(`${count} ends at ${node.name}`, () => node.drops().length >= count)
  }

  /** What happened to each node, as far as it is the same in every run. */
  outcome(): Readonly<Record<string, ReadonlyArray<string>>> {
    return Object.fromEntries(this.nodes.map((node) => [node.name, story(node.events, this.names)]))
  }
}

/** A scenario, told once. What it returns is compared as well. */
export interface Scenario {
  readonly title: string
  readonly run: (net: Net) => Effect.Effect<unknown, Failure, Env>
}
