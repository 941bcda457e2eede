/**
 * The attacks on whole nodes that exist as actors, by row of the catalogue.
 *
 * @since 0.1.0
 */
import { addressAttacks } from "./AddressAttacks.ts"
import { connectionAttacks } from "./ConnectionAttacks.ts"
import { floodAttacks } from "./FloodAttacks.ts"
import { operationsAttacks } from "./OperationsAttacks.ts"
import type { OverlayAttack } from "./OverlayAttack.ts"
import { scpAttacks } from "./ScpAttacks.ts"
import { surveyAttacks } from "./SurveyAttacks.ts"

/**
 * Every attack that takes more than one connection, time, or what is around a node.
 *
 * @category attacks
 * @since 0.1.0
 */
export const overlayAttacks: ReadonlyArray<OverlayAttack> = [
  ...connectionAttacks,
  ...floodAttacks,
  ...scpAttacks,
  ...addressAttacks,
  ...surveyAttacks,
  ...operationsAttacks
]
