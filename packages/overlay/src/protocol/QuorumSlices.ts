/**
 * What a quorum set means: whom it names, and whether some nodes are enough for it.
 *
 * Only sane quorum sets are read (see `QuorumSetSanity`), so at most a thousand validators in five levels.
 *
 * Implements stellar-core's `LocalNode::isQuorumSlice` (`scp/LocalNode.cpp`).
 *
 * @since 0.1.0
 */
import { readUint32 } from "../internal/bytes.ts"
import * as NodeId from "../wire/NodeId.ts"
import { isQuorumSetSane } from "./QuorumSetSanity.ts"

/**
 * A quorum set that was read.
 *
 * @category models
 * @since 0.1.0
 */
export interface QuorumSlices {
  readonly threshold: number
  readonly validators: ReadonlyArray<NodeId.NodeId>
  readonly innerSets: ReadonlyArray<QuorumSlices>
}

/**
 * Reads the XDR of an SCPQuorumSet, as in `ScpQuorumSet.body`; undefined when it is not sane.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (xdr: Uint8Array): QuorumSlices | undefined => {
  if (!isQuorumSetSane(xdr)) return undefined
  let at = 0
  const next = (): number => readUint32(xdr, (at += 4) - 4)
  const set = (): QuorumSlices => {
    const threshold = next()
    const validators = Array.from({ length: next() }, () => NodeId.fromBytesAt(xdr, (at += 36) - 32))
    return { threshold, validators, innerSets: Array.from({ length: next() }, set) }
  }
  return set()
}

/**
 * All validators a quorum set names, those of inner sets included.
 *
 * @category getters
 * @since 0.1.0
 */
export const nodes = (slices: QuorumSlices): Array<NodeId.NodeId> => [
  ...slices.validators,
  ...slices.innerSets.flatMap(nodes)
]

/**
 * Whether the nodes that `has` admits contain a slice of the quorum set.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSatisfied = (slices: QuorumSlices, has: (id: NodeId.NodeId) => boolean): boolean => {
  let missing = slices.threshold
  for (const id of slices.validators) if (has(id) && --missing === 0) return true
  for (const inner of slices.innerSets) if (isSatisfied(inner, has) && --missing === 0) return true
  return missing <= 0
}
