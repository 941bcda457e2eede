/**
 * The attacks on whole nodes that exist as actors, by row of the catalogue.
 *
 * @since 0.1.0
 */
import { addressAttacks } from "./AddressAttacks.ts"
import { connectionAttacks, h11 } from "./ConnectionAttacks.ts"
import { a4, floodAttacks } from "./FloodAttacks.ts"
import { o3, o6, o7, operationsAttacks } from "./OperationsAttacks.ts"
import type { OutsideAttack, OverlayAttack } from "./OverlayAttack.ts"
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

/**
 * Those of them that are judged from outside.
 *
 * @category attacks
 * @since 0.1.0
 */
export const outsideAttacks: ReadonlyArray<OutsideAttack> = [h11, a4, o3, o6, o7]
