/** A topology as a digraph of Graphviz: `sfdp -Tsvg` draws it, and networkx, Gephi and others read it. */
import { release, stateName } from "./colorings.ts"
import { dotQuoted, dotString } from "./escaping.ts"
import type { Picture } from "./picture.ts"

export const toDot = ({ chosen, colorings, labels, subtitle, title, topology }: Picture): string => {
  const { edges, nodes } = topology
  const { categories, of } = colorings[chosen]!
  const lines = [
    `digraph ${dotQuoted(title)} {`,
    `  graph [label=${dotQuoted(subtitle)}, overlap=prism, outputorder=edgesfirst]`,
    `  node [shape=circle, style=filled, fontname="sans-serif", fontsize=8, width=0.2, color="#ffffff"]`,
    `  edge [color="#8a94a655", arrowsize=0.4]`
  ]
  nodes.forEach((node, i) => {
    const color = categories[of[i]!]!.color
    const alive = node.state === "answered" || node.state === "full"
    const attributes = [
      `label=${dotQuoted(labels[i]!)}`,
      `tooltip=${dotQuoted(`${release(node.version ?? "")} ${stateName(node.state)}`)}`,
      alive ? `fillcolor="${color}"` : `fillcolor="#ffffff", color="${color}"`,
      ...(node.isValidator === true ? ["shape=doublecircle"] : [])
    ]
    lines.push(`  ${dotString(node.id)} [${attributes.join(", ")}]`)
  })
  for (const { from, to } of edges) lines.push(`  ${dotString(nodes[from]!.id)} -> ${dotString(nodes[to]!.id)}`)
  return `${lines.join("\n")}\n}\n`
}
