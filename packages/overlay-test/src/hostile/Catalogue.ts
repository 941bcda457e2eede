/**
 * The attacks that exist as actors, by row of the catalogue.
 *
 * H10, H11 and H17 are not here: they take several connections, and a victim that knows of all of them.
 *
 * @since 0.1.0
 */
import type { Attack } from "./Attack.ts"
import { flowAttacks } from "./FlowAttacks.ts"
import { handshakeAttacks } from "./HandshakeAttacks.ts"
import { identityAttacks } from "./IdentityAttacks.ts"
import { macAttacks } from "./MacAttacks.ts"
import { queryAttacks } from "./QueryAttacks.ts"
import { transportAttacks } from "./TransportAttacks.ts"
import { xdrAttacks } from "./XdrAttacks.ts"

/**
 * Every attack that one connection can carry out.
 *
 * @category attacks
 * @since 0.1.0
 */
export const attacks: ReadonlyArray<Attack> = [
  ...transportAttacks,
  ...handshakeAttacks,
  ...identityAttacks,
  ...macAttacks,
  ...xdrAttacks,
  ...flowAttacks,
  ...queryAttacks
]
