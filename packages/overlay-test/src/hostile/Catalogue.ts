/**
 * The attacks that one connection can carry out, by row of the catalogue. Those that take more, or time, or what is
 * around a node, are in `OverlayCatalogue`.
 *
 * @since 0.1.0
 */
import type { Attack } from "./Attack.ts"
import { flowAttacks } from "./FlowAttacks.ts"
import { gossipAttacks } from "./GossipAttacks.ts"
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
  ...queryAttacks,
  ...gossipAttacks
]

/**
 * Thirty of them, at least one for each way a connection can be hurt, and none that takes its time: rows, and texts in the
 * names of their variants. For where all would be too many.
 *
 * @category attacks
 * @since 0.1.0
 */
export const top: ReadonlyArray<readonly [id: string, name: string]> = [
  ["T3", "nothing after HELLO, as initiator"],
  ["T4", "4097 bytes in Connected"],
  ["T5", "16 MiB and a byte"],
  ["T6", "in GotAuth"],
  ["T7", "a message in two fragments"],
  ["T10", "pieces of 7"],
  ["T11", "FIN"],
  ["T11", "half-close"],
  ["H1", "with a zero MAC"],
  ["H2", "the same HELLO again"],
  ["H3", "Transaction in GotHello"],
  ["H4", "one bit flipped"],
  ["H6", "expires in 7200 s"],
  ["H7", "point 2"],
  ["H8", ""],
  ["H9", "0 to 37"],
  ["H14", "100"],
  ["M1", "the last bit of the MAC"],
  ["M2", "ten frames later"],
  ["M3", "two exchanged"],
  ["M6", "in GotHello"],
  ["M7", "v = 1 in GotAuth"],
  ["X1", "message type 4"],
  ["X2", "FloodAdvert"],
  ["X3", "SCPQuorumSet, 8 MiB"],
  ["X5", "1001 hashes"],
  ["X6", "TX_SET"],
  ["F1", "SEND_MORE"],
  ["F3", "201 messages"],
  ["F6", "SCP_MESSAGE"]
]
