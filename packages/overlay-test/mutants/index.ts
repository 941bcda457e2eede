/** All planted defects. */
import type { Mutant } from "./Mutant.ts"
import { nodeMutants } from "./node.ts"
import { patienceMutants } from "./patience.ts"
import { swarmMutants } from "./swarm.ts"
import { wireMutants } from "./wire.ts"

export type { Mutant } from "./Mutant.ts"

export const mutants: ReadonlyArray<Mutant> = [...wireMutants, ...nodeMutants, ...swarmMutants, ...patienceMutants]
