/**
 * The form of an attack on a whole node: by several connections, by addresses it tells, by what a node does over time,
 * or by what goes wrong around it.
 *
 * As in `Attack` the variants are data. An attack meets its victim through `Attackers`, which come from the addresses it
 * names; what only the victim can tell it reads through `inside`, which is there when the victim runs in the same
 * `World`.
 *
 * An `OutsideAttack` needs nothing of that: it calls, and may ask the operator's port, so that it runs against any node.
 * The others cannot be judged from outside, for one of these reasons:
 *
 * - what they look at is said to nobody: counts of records, of searches, of signatures checked, of log lines, the
 *   reason for which somebody was dropped (A1, A3, A7, A9, H16, H17, O4, Q4 to Q7)
 * - they need a victim that is prepared: permitted surveyors, trusted validators, a pool with a transaction, short
 *   limits, a database or a clock that fails (A5, A6, A10 to A13, O1, O2, O5, P6, P9, P10, S1 to S4)
 * - they are about limits for each host, which a node does not hold loopback addresses to when it lets them in as
 *   `standalone` does (T1, T13, H15, H18)
 * - a node that fails would call machines of strangers (P1, P4, P5, P7, P8)
 * - an operator's order goes past what they are about: that an address is not dialled again (H10)
 * - whether adverts are looked at depends on the ledger (A8); descriptors that run out, on the system (T14)
 *
 * @since 0.1.0
 */
import type { DropTag } from "@stellar-overlay/overlay/DropReason"
import type * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import type * as OverlayMetrics from "@stellar-overlay/overlay/OverlayMetrics"
import type { PeersConfig } from "@stellar-overlay/overlay/PeersConfig"
import type { SurveyConfig } from "@stellar-overlay/overlay/SurveyConfig"
import type { Transport, TransportError } from "@stellar-overlay/overlay/Transport"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { SendMoreExtended } from "@stellar-overlay/overlay/wire/StellarMessage"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { LoopbackNetwork } from "../LoopbackTransport.ts"
import { ScriptFailure } from "../Script.ts"
import type * as ScriptedPeer from "../ScriptedPeer.ts"
import type { SimNetwork } from "../SimNetwork.ts"
import type { CryptoCounts } from "../TestCrypto.ts"
import type * as TestNode from "../TestNode.ts"
import type { World } from "../World.ts"
import type { RecordingHost } from "./RecordingHost.ts"

/**
 * What the victim differs in from a `TestNode` with the `standalone` preset.
 *
 * @category options
 * @since 0.1.0
 */
export interface NodeVictimOptions {
  readonly config?: Partial<OverlayConfig.Values> | undefined
  readonly peers?: Partial<PeersConfig> | undefined
  readonly survey?: Partial<SurveyConfig> | undefined
  readonly store?: TestNode.Options["store"]
  /**
   * `recording` takes and relays everything; `relay` judges SCP messages as `OverlayHostRelay` does, trusting the honest
   * validators. `recording` unless given.
   */
  readonly host?: "recording" | "relay" | undefined
}

/**
 * What a victim in the same world shows of itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface Inside {
  readonly services: Context.Context<TestNode.Services>
  readonly events: ReadonlyArray<OverlayEvent>
  /** Whether its host judges what it is told. */
  readonly isRelay: boolean
  /** What reached it, when its host is `recording`. */
  readonly host: RecordingHost
  /** Signatures checked so far, by the node and by its host. */
  readonly verified: () => number
  /** The node's cryptography so far. */
  readonly crypto: () => CryptoCounts
  /** Lines that it logged so far, with one for each drop. */
  readonly logged: () => number
  readonly metrics: OverlayMetrics.Shape
}

/**
 * The operator's port of a node.
 *
 * @category models
 * @since 0.1.0
 */
export interface Operator {
  /** What a GET request is answered, whatever characters are in it; status 0 when the connection was closed instead. */
  readonly ask: (path: string) => Effect.Effect<{ readonly status: number; readonly body: string }, ScriptFailure>
  /** How many series the node's metrics have. */
  readonly series: Effect.Effect<number, ScriptFailure>
}

/**
 * Whom to attack, as anybody sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Target {
  readonly address: PeerAddress
  readonly operator: Operator
}

/**
 * Whom to attack, in the same world.
 *
 * @category models
 * @since 0.1.0
 */
export interface Victim extends Target {
  readonly id: NodeId
  readonly networkPassphrase: string
  readonly inside: Inside
}

/**
 * Who attacks by calling: connections from any address, closed with the scope.
 *
 * @category models
 * @since 0.1.0
 */
export interface Callers {
  /** Connects from an IP address and says nothing. Its keys follow from `seed`, its address unless given. */
  readonly dial: (
    ip: string,
    options?: ScriptedPeer.Options
  ) => Effect.Effect<ScriptedPeer.ScriptedPeer, TransportError, Scope.Scope>
  /** The same, authenticated; answers pings while it listens. Credit is granted at once unless `grants` is false. */
  readonly join: (
    ip: string,
    options?: ScriptedPeer.Options & { readonly grants?: boolean | undefined }
  ) => Effect.Effect<ScriptedPeer.ScriptedPeer, TransportError | ScriptFailure, Scope.Scope>
}

/**
 * Who attacks in every way.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attackers extends Callers {
  /** Lets the victim dial an address and answers there, nothing said yet. */
  readonly called: (
    ip: string,
    options?: ScriptedPeer.Options
  ) => Effect.Effect<ScriptedPeer.ScriptedPeer, TransportError, Scope.Scope>
  /** The network as the host with this address sees it. */
  readonly transportAt: (ip: string) => Transport["Service"]
}

/**
 * Callers over a way to connect.
 *
 * @category constructors
 * @since 0.1.0
 */
export const callers = (dial: Callers["dial"]): Callers => ({
  dial,
  join: Effect.fnUntraced(function*(ip, { grants = true, ...options } = {}) {
    const peer = yield* dial(ip, options)
    yield* peer.handshake()
    if (grants) yield* peer.say(SendMoreExtended.make({ numMessages: 200, numBytes: 300_000 }))
    peer.script.answersPings = true
    return peer
  })
})

/**
 * What an attack may use besides: the world's time and chance, and what can go wrong in its network, where nodes go by
 * their IPs.
 *
 * @category models
 * @since 0.1.0
 */
export type Environment = Scope.Scope | World | LoopbackNetwork | SimNetwork

/**
 * One way to carry out an attack on a node.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeVariant<in V = Victim, in A = Attackers, out R = Environment> {
  readonly name: string
  readonly victim: NodeVictimOptions
  /** Takes longer than `SLOW_MILLIS` of `Attack`, so that it is left out where time is real and short. */
  readonly slow: boolean
  /** Holds for this implementation; stellar-core may rightly do otherwise. */
  readonly strict: boolean
  readonly run: (victim: V, attackers: A) => Effect.Effect<void, TransportError | ScriptFailure, R>
}

/**
 * A row of the catalogue.
 *
 * @category models
 * @since 0.1.0
 */
export interface OverlayAttack<in V = Victim, in A = Attackers, out R = Environment> {
  readonly id: string
  readonly title: string
  /**
   * Whether the attack acts on the wire alone, asks the operator's port as well, or acts on what is around the victim: its
   * clock, its database, its descriptors.
   */
  readonly needs: "wire" | "operator" | "victim"
  /** The bytes the victim may say for each byte it hears from the attackers, handshakes aside (G7). */
  readonly amplification: number
  readonly variants: ReadonlyArray<NodeVariant<V, A, R>>
}

/**
 * An attack that is judged from outside: on any node, in a world or behind an address.
 *
 * @category models
 * @since 0.1.0
 */
export type OutsideAttack = OverlayAttack<Target, Callers, Scope.Scope>

/**
 * The parameters every case has.
 *
 * @category options
 * @since 0.1.0
 */
export interface NodeCase {
  readonly name: string
  readonly victim?: NodeVictimOptions | undefined
  /** See `NodeVariant`; false unless given. */
  readonly slow?: boolean | undefined
  readonly strict?: boolean | undefined
}

/**
 * The bytes the victim may say for a byte of an attacker, where an attack does not say otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const AMPLIFICATION = 1

interface Parts<C, V, A, R> {
  readonly id: string
  readonly title: string
  readonly needs?: OverlayAttack["needs"] | undefined
  readonly amplification?: number | undefined
  readonly cases: ReadonlyArray<C>
  readonly run: (victim: V, attackers: A, parameters: C) => Effect.Effect<void, TransportError | ScriptFailure, R>
}

const make = <C extends NodeCase, V, A, R>(
  { amplification, cases, id, needs, run, title }: Parts<C, V, A, R>
): OverlayAttack<V, A, R> => ({
  id,
  title,
  needs: needs ?? "wire",
  amplification: amplification ?? AMPLIFICATION,
  variants: cases.map((parameters) => ({
    name: parameters.name,
    victim: parameters.victim ?? {},
    slow: parameters.slow ?? false,
    strict: parameters.strict ?? false,
    run: (victim, attackers) => run(victim, attackers, parameters)
  }))
})

/**
 * Makes an attack from its parameters: each case is a variant.
 *
 * @category constructors
 * @since 0.1.0
 */
export const overlayAttack = <C extends NodeCase>(
  options: Parts<C, Victim, Attackers, Environment>
): OverlayAttack => make(options)

/**
 * Makes an attack that is judged from outside.
 *
 * @category constructors
 * @since 0.1.0
 */
export const outsideAttack = <C extends NodeCase>(options: Parts<C, Target, Callers, Scope.Scope>): OutsideAttack =>
  make(options)

/**
 * Fails unless something holds.
 *
 * @category checks
 * @since 0.1.0
 */
export const holds = (isSo: boolean, expected: string, actual: string | number): Effect.Effect<void, ScriptFailure> =>
  isSo ? Effect.void : Effect.fail(new ScriptFailure({ expected, actual: `it was ${actual}`, transcript: [] }))

/**
 * Fails unless a number is at most another.
 *
 * @category checks
 * @since 0.1.0
 */
export const atMost = (actual: number, limit: number, what: string): Effect.Effect<void, ScriptFailure> =>
  holds(actual <= limit, `at most ${limit} ${what}`, actual)

/**
 * Fails unless two values are written the same.
 *
 * @category checks
 * @since 0.1.0
 */
export const equal = (actual: unknown, expected: unknown, what: string): Effect.Effect<void, ScriptFailure> => {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)]
  return holds(left === right, `${what} to be ${right}`, left)
}

/**
 * Why callers from a host were dropped, in order; the node's own dials to it do not count.
 *
 * @category checks
 * @since 0.1.0
 */
export const dropsOf = ({ inside }: Victim, host: string): Array<DropTag> =>
  inside.events.flatMap((event) =>
    event._tag === "PeerDropped" && event.role === "acceptor" && event.address.host === host ? [event.reason._tag] : []
  )
