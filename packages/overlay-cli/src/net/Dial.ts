/**
 * Makes an authenticated connection to an address whose network may be unknown, and notes what was learnt on the way.
 *
 * A node that belongs to another network closes the connection without a word, before it says HELLO (protocol.md 2.4).
 * So where several networks are possible they are tried one after the other, for as long as that is what happens.
 */
import type { DropReason } from "@stellar-overlay/overlay/DropReason"
import * as NodeOverlay from "@stellar-overlay/overlay/NodeOverlay"
import type { PeerDropped } from "@stellar-overlay/overlay/OverlayError"
import * as Peer from "@stellar-overlay/overlay/Peer"
import { Transport } from "@stellar-overlay/overlay/Transport"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import type { Hello } from "@stellar-overlay/overlay/wire/StellarMessage"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Recorder } from "./Recorder.ts"
import type { Network, Options } from "./Target.ts"
import * as WireTap from "./WireTap.ts"

/** What a HELLO said, whether or not it was believed. Strings are as they came. */
export interface HelloFacts {
  readonly id: NodeId
  readonly version: string
  readonly overlayVersion: number
  readonly overlayMinVersion: number
  readonly ledgerVersion: number
  /** Lower-case hex. */
  readonly networkId: string
  readonly listeningPort: number
  /** Seconds from our now until the certificate expires. */
  readonly certificateSecondsLeft: number
}

/** What was learnt; all times in milliseconds, of HELLO and AUTH since TCP was connected. */
export interface Facts {
  readonly tcpMillis: number | undefined
  readonly helloMillis: number | undefined
  readonly authMillis: number | undefined
  readonly hello: HelloFacts | undefined
  /** The first bytes that came, at most `FIRST_BYTES`. */
  readonly firstBytes: Uint8Array
}

/** One try with one network. */
export interface Attempt {
  readonly network: Network
  readonly facts: Facts
  readonly outcome: Result.Result<Peer.Peer, DropReason>
}

/** All tries; the last one decides. */
export interface Dialled {
  readonly last: Attempt
  readonly earlier: ReadonlyArray<Attempt>
}

/** How much of what came first is kept, to say what it looks like. */
export const FIRST_BYTES = 64

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

const helloFacts = (hello: Hello, unixMillis: number): HelloFacts => ({
  id: hello.peerId,
  version: hello.versionStr,
  overlayVersion: hello.overlayVersion,
  overlayMinVersion: hello.overlayMinVersion,
  ledgerVersion: hello.ledgerVersion,
  networkId: Buffer.from(hello.networkId).toString("hex"),
  listeningPort: hello.listeningPort,
  certificateSecondsLeft: Number(hello.cert.expiration) - Math.floor(unixMillis / 1000)
})

const startOf = (before: Uint8Array, chunk: Uint8Array): Uint8Array => {
  const more = chunk.subarray(0, FIRST_BYTES - before.length)
  const result = new Uint8Array(before.length + more.length)
  result.set(before)
  result.set(more, before.length)
  return result
}

/** What `connect` needs besides the address. */
export interface ConnectOptions extends Options {
  readonly peer: Peer.PeerOptions
  /** Called for every frame body that arrives. */
  readonly received?: ((body: Uint8Array) => void) | undefined
  /** Writes down what the connection carries. */
  readonly recorder?: Recorder | undefined
}

const attempt = Effect.fnUntraced(function*(
  address: PeerAddress,
  network: Network,
  options: ConnectOptions
): Effect.fn.Return<Attempt, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const facts: Mutable<Facts> = {
    tcpMillis: undefined,
    helloMillis: undefined,
    authMillis: undefined,
    hello: undefined,
    firstBytes: new Uint8Array(0)
  }
  let openedAt = 0n
  const sinceOpen = () => Number(clock.monotonicTimeNanosUnsafe() - openedAt) / 1e6
  const tap = {
    onOpen: (millis: number) => {
      openedAt = clock.monotonicTimeNanosUnsafe()
      facts.tcpMillis = millis
    },
    chunk: (chunk: Uint8Array) => {
      if (facts.firstBytes.length < FIRST_BYTES) facts.firstBytes = startOf(facts.firstBytes, chunk)
    },
    received: (body: Uint8Array) => {
      if (facts.hello === undefined) {
        const message = WireTap.messageOf(body)
        if (message?._tag === "Hello") {
          facts.helloMillis = sinceOpen()
          facts.hello = helloFacts(message, clock.currentTimeMillisUnsafe())
        }
      }
      options.received?.(body)
      return facts.hello === undefined || options.received !== undefined
    }
  }
  const services = yield* Layer.build(NodeOverlay.layer({
    networkPassphrase: network.passphrase,
    connectTimeoutMillis: options.connectTimeoutMillis,
    peerAuthenticationTimeoutSeconds: options.handshakeTimeoutSeconds,
    listen: false,
    ipv6: true
  })).pipe(Effect.orDie) // every value was checked with the flags
  const transport = Context.get(services, Transport)
  const recorded = options.recorder?.transport(transport, network.passphrase) ?? transport
  const tapped = WireTap.transport(recorded, () => tap)
  const outcome = yield* Peer.connect(address, options.peer).pipe(
    Effect.tap(() =>
      Effect.sync(() => {
        facts.authMillis = sinceOpen()
      })
    ),
    Effect.mapError((dropped: PeerDropped) => dropped.reason),
    Effect.result,
    Effect.provideContext(Context.add(services, Transport, tapped))
  )
  return { network, facts, outcome }
})

/** Whether the end of an attempt looks like the silence of a node on another network. */
const maybeOtherNetwork = ({ facts, outcome }: Attempt): boolean => {
  if (Result.isSuccess(outcome)) return false
  switch (outcome.failure._tag) {
    case "RemoteClosed":
    case "ReadError":
      return facts.firstBytes.length === 0
    case "CertificateInvalid":
    case "WrongNetwork":
      return true
    default:
      return false
  }
}

/** Connects; the peer, if there is one, lives as long as the scope. */
export const connect = Effect.fnUntraced(function*(
  address: PeerAddress,
  options: ConnectOptions
): Effect.fn.Return<Dialled, never, Scope.Scope> {
  const attempts: Array<Attempt> = []
  for (const network of options.networks(address)) {
    const made = yield* attempt(address, network, options)
    attempts.push(made)
    if (!maybeOtherNetwork(made)) break
  }
  // A HELLO that was refused says more than a connection closed without one.
  const last = attempts.findLast(({ facts, outcome }) => Result.isSuccess(outcome) || facts.hello !== undefined)
    ?? attempts[attempts.length - 1]!
  return { last, earlier: attempts.filter((other) => other !== last) }
})
