/**
 * The attacks of the catalogue that exist as actors, by row.
 *
 * @since 0.1.0
 */
import type { Attack } from "./Attack.ts"
import { flowAttacks } from "./FlowAttacks.ts"
import { handshakeAttacks } from "./HandshakeAttacks.ts"
import { macAttacks } from "./MacAttacks.ts"
import { transportAttacks } from "./TransportAttacks.ts"
import { xdrAttacks } from "./XdrAttacks.ts"

/**
 * Every attack that one connection can carry out, in the order of the catalogue.
 *
 * @category attacks
 * @since 0.1.0
 */
export const attacks: ReadonlyArray<Attack> = [
  ...transportAttacks,
  ...handshakeAttacks,
  ...macAttacks,
  ...xdrAttacks,
  ...flowAttacks
]
