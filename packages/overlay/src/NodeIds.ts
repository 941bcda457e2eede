/**
 * What an operator may type for a node: its key, `$name`, or `@prefix`.
 *
 * Implements protocol.md section 14, last paragraph (stellar-core: `HerderImpl::resolveNodeID`).
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as NodeId from "./wire/NodeId.ts"

/**
 * Where names and prefixes are looked up.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeIdSources {
  /** Configured validator names by node. */
  readonly names: ReadonlyMap<NodeId.NodeId, string>
  /** Other nodes that are known, such as those of the SCP state, looked up after the configured ones. */
  readonly others?: Iterable<NodeId.NodeId> | undefined
}

/**
 * The node that `text` means, undefined when it means none:
 *
 * - a full key `G…`, whether the node is known or not; other kinds of keys and lower case are none
 * - `$name`, a configured name, exactly
 * - `@prefix`, the beginning of a key in upper case, among configured nodes and then among others; the first of several
 *   that fit, which is not an error
 *
 * @category combinators
 * @since 0.1.0
 */
export const resolve = (text: string, sources: NodeIdSources): NodeId.NodeId | undefined => {
  const rest = text.slice(1)
  if (rest === "") return undefined
  switch (text[0]) {
    case "$":
      for (const [id, name] of sources.names) if (name === rest) return id
      return undefined
    case "@":
      for (const id of sources.names.keys()) if (id.startsWith(rest)) return id
      for (const id of sources.others ?? []) if (id.startsWith(rest)) return id
      return undefined
    default: {
      const parsed = NodeId.parse(text)
      return Result.isSuccess(parsed) ? parsed.success : undefined
    }
  }
}

/**
 * How a node is shown: its configured name, or the first five characters of its key (core's `toShortString`).
 *
 * @category getters
 * @since 0.1.0
 */
export const shortName = (id: NodeId.NodeId, names: NodeIdSources["names"]): string => names.get(id) ?? NodeId.short(id)
