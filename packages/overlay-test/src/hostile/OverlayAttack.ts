/**
 * The form of an attack on a whole node: by several connections, by addresses it tells, by what a node does over time,
 * or by what goes wrong around it.
 *
 * As in `Attack` the variants are data. An attack meets its victim through `Attackers`, which come from the addresses it
 * names; what only the victim can tell it reads through `inside`, which is there when the victim runs in the same
 * `World`. Attacks that need nothing of it run against any address.
 *
 * @since 0.1.0
 */
import type * as OverlayConfig from "@stellar-overlay/overlay/OverlayConfig"
import type { OverlayEvent } from "@stellar-overlay/overlay/OverlayEvents"
import type * as OverlayMetrics from "@stellar-overlay/overlay/OverlayMetrics"
import type { PeersConfig } from "@stellar-overlay/overlay/PeersConfig"
import type { SurveyConfig } from "@stellar-overlay/overlay/SurveyConfig"
import type { Transport, TransportError } from "@stellar-overlay/overlay/Transport"
import type { NodeId } from "@stellar-overlay/overlay/wire/NodeId"
import type { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
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
 * Whom to attack.
 *
 * @category models
 * @since 0.1.0
 */
export interface Victim {
  readonly address: PeerAddress
  readonly id: NodeId
  readonly networkPassphrase: string
  readonly inside: Inside
}

/**
 * Who attacks: connections from any address, closed with the scope.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attackers {
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
  /** Lets the victim dial an address and answers there, nothing said yet. */
  readonly called: (
    ip: string,
    options?: ScriptedPeer.Options
  ) => Effect.Effect<ScriptedPeer.ScriptedPeer, TransportError, Scope.Scope>
  /** The network as the host with this address sees it. */
  readonly transportAt: (ip: string) => Transport["Service"]
}

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
export interface NodeVariant {
  readonly name: string
  readonly victim: NodeVictimOptions
  readonly run: (
    victim: Victim,
    attackers: Attackers
  ) => Effect.Effect<void, TransportError | ScriptFailure, Environment>
}

/**
 * A row of the catalogue.
 *
 * @category models
 * @since 0.1.0
 */
export interface OverlayAttack {
  readonly id: string
  readonly title: string
  /** Whether the attack acts on the wire alone, or on what is around the victim: its clock, its database, its operator. */
  readonly needs: "wire" | "victim"
  /** The bytes the victim may say for each byte it hears from the attackers, handshakes aside (G7). */
  readonly amplification: number
  readonly variants: ReadonlyArray<NodeVariant>
}

/**
 * The parameters every case has.
 *
 * @category options
 * @since 0.1.0
 */
export interface NodeCase {
  readonly name: string
  readonly victim?: NodeVictimOptions | undefined
}

/**
 * The bytes the victim may say for a byte of an attacker, where an attack does not say otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const AMPLIFICATION = 1

/**
 * Makes an attack from its parameters: each case is a variant.
 *
 * @category constructors
 * @since 0.1.0
 */
export const overlayAttack = <C extends NodeCase>(options: {
  readonly id: string
  readonly title: string
  readonly needs?: OverlayAttack["needs"] | undefined
  readonly amplification?: number | undefined
  readonly cases: ReadonlyArray<C>
  readonly run: (
    victim: Victim,
    attackers: Attackers,
    parameters: C
  ) => Effect.Effect<void, TransportError | ScriptFailure, Environment>
}): OverlayAttack => ({
  id: options.id,
  title: options.title,
  needs: options.needs ?? "wire",
  amplification: options.amplification ?? AMPLIFICATION,
  variants: options.cases.map((parameters) => ({
    name: parameters.name,
    victim: parameters.victim ?? {},
    run: (victim, attackers) => options.run(victim, attackers, parameters)
  }))
})

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
