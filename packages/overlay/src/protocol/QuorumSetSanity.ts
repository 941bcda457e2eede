/**
 * Whether a quorum set makes sense. One that does not is not used, and the envelopes that name it are discarded.
 *
 * It is read where it lies, without decoding, and no further than the first thing wrong with it: at most a thousand
 * validators and five levels are looked at, whatever was sent.
 *
 * Implements the rule behind protocol.md 6, "not sane" (stellar-core: `isQuorumSetSane` in `scp/QuorumSetUtils.cpp`).
 *
 * @since 0.1.0
 */
import { readUint32 } from "../internal/bytes.ts"

/**
 * MAXIMUM_QUORUM_NESTING_LEVEL: how deep inner sets may lie; 0 is a set without inner sets.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAXIMUM_QUORUM_NESTING_LEVEL = 4

/**
 * MAXIMUM_QUORUM_NODES: validators of a quorum set with all its inner sets.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAXIMUM_QUORUM_NODES = 1000

/**
 * What can be wrong with a quorum set.
 *
 * - `threshold`: some set asks for none of its members, or for more than it has
 * - `not v-blocking`: some set can be satisfied without a majority (only with `extraChecks`)
 * - `duplicate`: a validator appears twice, in whatever sets
 * - `too deep`, `too many nodes`, `no nodes`: the bounds above
 * - `malformed`: not the XDR of an SCPQuorumSet
 *
 * @category models
 * @since 0.1.0
 */
export type QuorumSetProblem =
  | "threshold"
  | "not v-blocking"
  | "duplicate"
  | "too deep"
  | "too many nodes"
  | "no nodes"
  | "malformed"

/** The key type of a validator and its Ed25519 key. */
const VALIDATOR_SIZE = 36

/**
 * What is wrong with a quorum set, or undefined when it is sane.
 *
 * `xdr` is an SCPQuorumSet, as in `ScpQuorumSet.body`. With `extraChecks`, which a node applies to its own quorum set
 * and not to those of others, the threshold of every set must be a majority of its members.
 *
 * @category getters
 * @since 0.1.0
 */
export const quorumSetProblem = (xdr: Uint8Array, extraChecks = false): QuorumSetProblem | undefined => {
  const reader = new Reader(xdr, extraChecks)
  const problem = reader.set(0)
  if (problem !== undefined) return problem
  if (reader.at !== xdr.length) return "malformed"
  return reader.nodes.size === 0 ? "no nodes" : undefined
}

/**
 * Whether a quorum set is sane; see `quorumSetProblem`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isQuorumSetSane = (xdr: Uint8Array, extraChecks = false): boolean =>
  quorumSetProblem(xdr, extraChecks) === undefined

class Reader {
  readonly #bytes: Uint8Array
  readonly #extraChecks: boolean
  /** The keys of all validators so far, a character a byte. */
  readonly nodes = new Set<string>()
  at = 0

  constructor(bytes: Uint8Array, extraChecks: boolean) {
    this.#bytes = bytes
    this.#extraChecks = extraChecks
  }

  set(level: number): QuorumSetProblem | undefined {
    if (level > MAXIMUM_QUORUM_NESTING_LEVEL) return "too deep"
    const bytes = this.#bytes
    if (!this.#has(8)) return "malformed"
    const threshold = readUint32(bytes, this.at)
    const validators = readUint32(bytes, this.at + 4)
    if (threshold < 1) return "threshold"
    if (this.nodes.size + validators > MAXIMUM_QUORUM_NODES) return "too many nodes"
    this.at += 8
    if (!this.#has(VALIDATOR_SIZE * validators + 4)) return "malformed"
    for (let i = 0; i < validators; i++, this.at += VALIDATOR_SIZE) {
      const key = String.fromCharCode(...bytes.subarray(this.at + 4, this.at + VALIDATOR_SIZE))
      if (this.nodes.has(key)) return "duplicate"
      this.nodes.add(key)
    }
    const innerSets = readUint32(bytes, this.at)
    this.at += 4
    const members = validators + innerSets
    if (threshold > members) return "threshold"
    if (this.#extraChecks && threshold < members - threshold + 1) return "not v-blocking"
    for (let i = 0; i < innerSets; i++) {
      const problem = this.set(level + 1)
      if (problem !== undefined) return problem
    }
    return undefined
  }

  #has(size: number): boolean {
    return this.at + size <= this.#bytes.length
  }
}
