/**
 * Whose SCP messages matter: everybody's, those of listed nodes, or those of the transitive quorum.
 *
 * Anybody can make keys and sign with them. A node that takes statements of all signers therefore fills its tables with
 * strangers, within their bounds; one that knows whom it trusts keeps nothing of them, however many there are.
 *
 * The transitive quorum is what a quorum set names, and what the quorum sets of those name in turn. It grows and shrinks
 * as their statements name other quorum sets.
 *
 * Implements protocol.md 5.3, "nodes not in the transitive quorum are discarded" (stellar-core: `QuorumTracker`).
 *
 * @since 0.1.0
 */
import { equals } from "../internal/bytes.ts"
import type { NodeId } from "../wire/NodeId.ts"
import * as QuorumSlices from "./QuorumSlices.ts"

/**
 * Most nodes of a transitive quorum; those farther away are left out. Pubnet has about a hundred.
 *
 * @category constants
 * @since 0.1.0
 */
export const MAX_QUORUM_NODES = 1024

/**
 * Whom to listen to. `quorumSet` is the XDR of an SCPQuorumSet and must be sane.
 *
 * @category models
 * @since 0.1.0
 */
export type Trust =
  | "everybody"
  | { readonly validators: Iterable<NodeId> }
  | { readonly quorumSet: Uint8Array }

interface Known {
  readonly hash: Uint8Array
  readonly names: ReadonlyArray<NodeId>
}

/**
 * The filter.
 *
 * @category models
 * @since 0.1.0
 */
export class QuorumFilter {
  /** What is asked for to call a ledger closed; undefined when nobody in particular is trusted. */
  readonly slices: QuorumSlices.QuorumSlices | undefined
  readonly #root: ReadonlyArray<NodeId> | undefined
  readonly #isTransitive: boolean
  readonly #maxNodes: number
  #nodes: ReadonlySet<NodeId>
  /** The quorum sets of nodes in the quorum, as their statements name them. */
  #known = new Map<NodeId, Known>()

  /** Throws a `RangeError` for a quorum set that is not sane. */
  constructor(trust: Trust, maxNodes = MAX_QUORUM_NODES) {
    this.#maxNodes = maxNodes
    if (trust === "everybody") {
      this.#root = undefined
      this.#isTransitive = false
    } else if ("validators" in trust) {
      const validators = [...new Set(trust.validators)]
      this.#root = validators
      this.#isTransitive = false
      this.slices = { threshold: Math.floor(validators.length / 2) + 1, validators, innerSets: [] }
    } else {
      this.slices = QuorumSlices.parse(trust.quorumSet)
      if (this.slices === undefined) throw new RangeError("the quorum set is not sane")
      this.#root = QuorumSlices.nodes(this.slices)
      this.#isTransitive = true
    }
    this.#nodes = new Set(this.#root)
  }

  /** Whether statements of a node are taken. */
  accepts(id: NodeId): boolean {
    return this.#root === undefined || this.#nodes.has(id)
  }

  /** Whether a node is one of those that are trusted: false for all when everybody is accepted. */
  has(id: NodeId): boolean {
    return this.#nodes.has(id)
  }

  /** Nodes in the quorum. */
  get size(): number {
    return this.#nodes.size
  }

  /**
   * A statement of a node named a quorum set, given by its hash and its XDR. True when the quorum may have changed.
   * Costs a comparison when the node named the same set before.
   */
  update(id: NodeId, hash: Uint8Array, xdr: () => Uint8Array): boolean {
    if (!this.#isTransitive || !this.#nodes.has(id)) return false
    const before = this.#known.get(id)
    if (before !== undefined && equals(before.hash, hash)) return false
    const slices = QuorumSlices.parse(xdr())
    this.#known.set(id, { hash: hash.slice(), names: slices === undefined ? [] : QuorumSlices.nodes(slices) })
    this.#rebuild()
    return true
  }

  #rebuild(): void {
    const found = new Set(this.#root)
    const known = new Map<NodeId, Known>()
    for (const id of found) { // which grows meanwhile: nearest nodes first
      const of = this.#known.get(id)
      if (of === undefined) continue
      known.set(id, of)
      for (const name of of.names) if (found.size < this.#maxNodes) found.add(name)
    }
    this.#nodes = found
    this.#known = known
  }
}
