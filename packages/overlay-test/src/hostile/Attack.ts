/**
 * The form of a hostile actor: an identified, titled attack with named variants, each a script and the one outcome it
 * must have.
 *
 * An attack is data. Its scripts say and expect through the wire alone, so they run against a `Session`, against a `Peer`
 * on any transport, or against any node at an address; what only the victim can tell (why it dropped the attacker) is
 * the variant's `drop`.
 *
 * @since 0.1.0
 */
import type { DropTag } from "@stellar-overlay/overlay/DropReason"
import type { Values } from "@stellar-overlay/overlay/OverlayConfig"
import type { Role } from "@stellar-overlay/overlay/protocol/Handshake"
import type { Session } from "@stellar-overlay/overlay/protocol/Session"
import type { StellarMessage } from "@stellar-overlay/overlay/wire/StellarMessage"
import type { PeerScript } from "../PeerScript.ts"
import type { Script } from "../Script.ts"
import type { PeerScriptOptions } from "../ScriptedNode.ts"

/**
 * What the victim is like, where it matters; a victim that cannot be configured is attacked by the variants without.
 *
 * @category options
 * @since 0.1.0
 */
export interface VictimOptions {
  /** Differences from the `standalone` preset. */
  readonly config?: Partial<Values> | undefined
  /** Whether queries are answered or left to the consumer; `decline` unless given. */
  readonly answers?: "decline" | "deliver" | undefined
  /** Milliseconds from the start during which its consumer takes nothing; Infinity for one that never does. */
  readonly idleMillis?: number | undefined
  /** What its application sends as fast as the connection takes it, once authenticated. */
  readonly sends?: (() => Iterable<StellarMessage>) | undefined
  /** Prepares its session before the first byte. */
  readonly prepare?: ((session: Session) => void) | undefined
}

/**
 * One way to carry out an attack.
 *
 * @category models
 * @since 0.1.0
 */
export interface Variant {
  /** Unique within the attack. */
  readonly name: string
  readonly attacker: PeerScriptOptions & { readonly role: Role }
  readonly victim: VictimOptions
  /** The reason with which the victim must end the connection; undefined when it must not. */
  readonly drop: DropTag | undefined
  /** Takes longer than `SLOW_MILLIS`, so that it is left out where time is real and short. */
  readonly slow: boolean
  /** Holds for this implementation's defaults; stellar-core, or another overlay version, may rightly do otherwise. */
  readonly strict: boolean
  /** Needs a victim that has nothing to say of its own accord, which a node on a network always has. */
  readonly quiet: boolean
  /** The attack as the wire shows it. */
  readonly run: (peer: PeerScript) => Script<unknown>
}

/**
 * A row of the catalogue.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attack {
  readonly id: string
  readonly title: string
  readonly variants: ReadonlyArray<Variant>
}

/**
 * The parameters every case has; those of one attack are added to it.
 *
 * @category options
 * @since 0.1.0
 */
export interface Case {
  readonly name: string
  /** Undefined when the victim must bear it. */
  readonly drop?: DropTag | undefined
  readonly attacker?: PeerScriptOptions | undefined
  readonly victim?: VictimOptions | undefined
  /** See `Variant`; false unless given. */
  readonly slow?: boolean | undefined
  readonly strict?: boolean | undefined
  readonly quiet?: boolean | undefined
  /** The roles in which the attacker tries this case; those of the attack unless given. */
  readonly roles?: ReadonlyArray<Role> | undefined
}

/**
 * Both roles, for attacks that work from either end.
 *
 * @category constants
 * @since 0.1.0
 */
export const bothRoles: ReadonlyArray<Role> = ["initiator", "acceptor"]

/**
 * The bound, in milliseconds, on what needs no time: both ends have to get their turn at a moment of virtual time.
 *
 * @category constants
 * @since 0.1.0
 */
export const AT_ONCE = 1

/**
 * The longest, in milliseconds of the victim's time, that a variant may take without being called slow.
 *
 * @category constants
 * @since 0.1.0
 */
export const SLOW_MILLIS = 8000

/**
 * Makes an attack from its parameters: each case becomes a variant per role (`initiator` alone unless given).
 *
 * @category constructors
 * @since 0.1.0
 */
export const attack = <C extends Case>(options: {
  readonly id: string
  readonly title: string
  readonly roles?: ReadonlyArray<Role> | undefined
  readonly cases: ReadonlyArray<C>
  readonly run: (peer: PeerScript, parameters: C) => Script<unknown>
}): Attack => ({
  id: options.id,
  title: options.title,
  variants: options.cases.flatMap((parameters) => {
    const roles = parameters.roles ?? options.roles ?? ["initiator"]
    return roles.map((role): Variant => ({
      name: roles.length === 1 ? parameters.name : `${parameters.name}, as ${role}`,
      attacker: { ...parameters.attacker, role },
      victim: parameters.victim ?? {},
      drop: parameters.drop,
      slow: parameters.slow ?? false,
      strict: parameters.strict ?? false,
      quiet: parameters.quiet ?? false,
      run: (peer) => options.run(peer, parameters)
    }))
  })
})

/**
 * Whether a variant says anything about what its victim is like, so that it needs one that is made for it.
 *
 * @category guards
 * @since 0.1.0
 */
export const needsVictim = ({ victim }: Variant): boolean => Object.values(victim).some((value) => value !== undefined)
