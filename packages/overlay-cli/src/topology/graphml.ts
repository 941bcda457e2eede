/**
 * GraphML in the layout of stellar-core's survey script: a directed graph whose nodes have the key as their id, `version`
 * and what they said about themselves, and whose edges lead from the node that dialled and have the counters of the
 * connection. networkx (`read_graphml`), Gephi and yEd read it, and so do the script's `analyze`, `augment` and
 * `flatten`.
 */
import { xmlData } from "./escaping.ts"
import type { Attributes, Topology, TopologyNode, Value } from "./Topology.ts"

/** Types as networkx writes them. */
type Type = "string" | "boolean" | "long" | "double"

const typeOf = (value: Value): Type =>
  typeof value === "string"
    ? "string"
    : typeof value === "boolean"
    ? "boolean"
    : Number.isInteger(value)
    ? "long"
    : "double"

/** The type that holds both. */
const join = (a: Type | undefined, b: Type): Type =>
  a === undefined || a === b
    ? b
    : (a === "long" && b === "double") || (a === "double" && b === "long")
    ? "double"
    : "string"

/** Everything that is known of a node, as attributes. `version` is never missing: the script counts on it. */
export const attributesOf = (node: TopologyNode): Attributes => ({
  version: node.version ?? "",
  ...node.attributes,
  ...(node.isValidator === undefined ? {} : { isValidator: node.isValidator }),
  state: node.state,
  ...(node.address === undefined ? {} : { address: node.address }),
  ...(node.name === undefined ? {} : { name: node.name })
})

const typesOf = (all: Iterable<Attributes>): ReadonlyMap<string, Type> => {
  const types = new Map<string, Type>()
  for (const attributes of all) {
    for (const [name, value] of Object.entries(attributes)) types.set(name, join(types.get(name), typeOf(value)))
  }
  return types
}

const keysOf = (prefix: string, types: ReadonlyMap<string, Type>): ReadonlyMap<string, string> =>
  new Map([...types.keys()].map((name, i) => [name, `${prefix}${i}`]))

const declare = (
  target: "node" | "edge",
  types: ReadonlyMap<string, Type>,
  keys: ReadonlyMap<string, string>
): string =>
  [...types].map(([name, type]) =>
    `  <key id="${keys.get(name)}" for="${target}" attr.name="${xmlData(name)}" attr.type="${type}"/>\n`
  ).join("")

const dataOf = (attributes: Attributes, keys: ReadonlyMap<string, string>): string =>
  Object.entries(attributes)
    .map(([name, value]) => `<data key="${keys.get(name)}">${xmlData(String(value))}</data>`)
    .join("")

export const toGraphml = ({ edges, nodes }: Topology): string => {
  const nodeAttributes = nodes.map(attributesOf)
  const nodeTypes = typesOf(nodeAttributes)
  const edgeTypes = typesOf(edges.map(({ attributes }) => attributes))
  const nodeKeys = keysOf("n", nodeTypes)
  const edgeKeys = keysOf("e", edgeTypes)
  const ids = nodes.map(({ id }) => xmlData(id))
  const parts = [
    `<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns" ` +
    `xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns ` +
    `http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">\n`,
    declare("node", nodeTypes, nodeKeys),
    declare("edge", edgeTypes, edgeKeys),
    `  <graph edgedefault="directed">\n`
  ]
  nodeAttributes.forEach((attributes, i) => {
    parts.push(`    <node id="${ids[i]}">${dataOf(attributes, nodeKeys)}</node>\n`)
  })
  for (const { attributes, from, to } of edges) {
    parts.push(`    <edge source="${ids[from]}" target="${ids[to]}">${dataOf(attributes, edgeKeys)}</edge>\n`)
  }
  parts.push("  </graph>\n</graphml>\n")
  return parts.join("")
}
