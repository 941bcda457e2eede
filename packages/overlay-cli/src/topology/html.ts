/**
 * A topology as one page that needs nothing else: map, table, statistics.
 *
 * What strangers said is data between two script tags and nowhere else in the page, in JSON without a character that
 * means anything to HTML; the script shows it as text only. The page's own policy lets nothing run, load or connect but
 * the one script and the one style sheet that are in it, by their hashes.
 */
import { createHash } from "node:crypto"
import { escape } from "../render/escape.ts"
import { stateName } from "./colorings.ts"
import { entities, scriptJson } from "./escaping.ts"
import { pageEnd, pageStart } from "./pageMain.ts"
import { pageMap } from "./pageMap.ts"
import { pageStyle } from "./pageStyle.ts"
import type { Picture } from "./picture.ts"
import type { Value } from "./Topology.ts"

const script = `${pageStart}${pageMap}${pageEnd}`

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

const policy = `default-src 'none'; script-src ${hashOf(script)}; style-src ${
  hashOf(pageStyle)
}; img-src data:; base-uri 'none'; form-action 'none'`

const shown = (value: Value): Value => typeof value === "string" ? escape(value) : value

const round = (value: number, digits: number): number => Number(value.toFixed(digits))

const dataOf = (picture: Picture): unknown => {
  const { analysis: { each, total }, chosen, colorings, facts, labels, layout, theme, topology } = picture
  return {
    theme,
    chosen,
    size: [round(layout.width, 1), round(layout.height, 1)],
    nodes: topology.nodes.map((node, i) => ({
      id: escape(node.id),
      label: labels[i]!,
      name: escape(node.name ?? ""),
      address: escape(node.address ?? ""),
      version: escape(node.version ?? ""),
      state: node.state,
      stateName: stateName(node.state),
      validator: node.isValidator ?? null,
      x: round(layout.x[i]!, 2),
      y: round(layout.y[i]!, 2),
      r: round(layout.radius[i]!, 2),
      degree: each.degree[i]!,
      inbound: each.inbound[i]!,
      outbound: each.outbound[i]!,
      core: each.core[i]!,
      betweenness: round(each.betweenness[i]!, 6),
      clustering: round(each.clustering[i]!, 4),
      cut: each.isArticulationPoint[i] === 1,
      attributes: Object.fromEntries(
        Object.entries(node.attributes).map(([name, value]) => [escape(name), shown(value)])
      )
    })),
    edges: topology.edges.flatMap(({ from, to }) => [from, to]),
    colorings,
    facts,
    degrees: total.degreeDistribution,
    losses: [
      [0, total.largestComponent / Math.max(1, total.nodes)],
      ...total.resilience.map((l) => [l.removed, l.share])
    ],
    versions: total.versions.slice(0, 40).map(({ count, value }) => ({ value: escape(value) || "none", count })),
    words: topology.edgeKind === "connections"
      ? { out: "Dialled", in: "Dialled by" }
      : { out: "Told of", in: "Told by" }
  }
}

/** The whole document. */
export const toHtml = (picture: Picture): string => {
  const { subtitle, title, topology } = picture
  const began = topology.edgeKind === "connections" ? "dialled" : "told"
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="stellar-overlay topology">
<title>${entities(title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<header>
<div><h1>${entities(title)}</h1><div class="sub">${entities(subtitle)}</div></div>
<span class="grow"></span>
<input id="search" type="search" placeholder="Id, address, version, name ( / )" aria-label="Search nodes" autocomplete="off" spellcheck="false">
<span id="count" class="sub" role="status"></span>
<div class="tabs" role="tablist">
<button id="tab-map" role="tab" aria-selected="true" aria-controls="map">Map</button>
<button id="tab-table" role="tab" aria-selected="false" aria-controls="table">Table</button>
<button id="tab-stats" role="tab" aria-selected="false" aria-controls="stats">Statistics</button>
</div>
<button id="theme">Dark</button>
</header>
<main>
<section id="map" role="tabpanel" aria-labelledby="tab-map">
<canvas id="canvas" tabindex="0" role="img" aria-label="Map of the network; the table has the same as text"></canvas>
<div id="tip" hidden></div>
<div class="zoom"><button id="in" aria-label="Zoom in">+</button><button id="out" aria-label="Zoom out">&minus;</button><button id="fit">Fit</button></div>
<div class="key">An edge has the colour of the node that ${began}, and bends to the right as seen from it</div>
</section>
<section id="table" role="tabpanel" aria-labelledby="tab-table" hidden></section>
<section id="stats" role="tabpanel" aria-labelledby="tab-stats" hidden></section>
</main>
<aside>
<div id="details"></div>
<h2>Colour by</h2>
<div class="row"><select id="color" aria-label="Colour nodes by"></select><span class="grow"></span><label class="row"><input id="edges" type="checkbox" checked> Edges</label></div>
<div id="legend"></div>
<div class="shapes">
<span><svg width="14" height="14" aria-hidden="true"><circle cx="7" cy="7" r="5" fill="#8a94a6"/></svg>answered</span>
<span><svg width="14" height="14" aria-hidden="true"><circle cx="7" cy="7" r="4.5" fill="none" stroke="#8a94a6" stroke-width="1.7"/></svg>did not</span>
<span><svg width="16" height="16" aria-hidden="true"><circle cx="8" cy="8" r="4" fill="#8a94a6"/><circle cx="8" cy="8" r="6.6" fill="none" stroke="#8a94a6" stroke-width="1.3"/></svg>validator</span>
</div>
<h2>At least <span id="degreeText">0</span> neighbours</h2>
<input id="degree" type="range" min="0" max="60" value="0" aria-label="Fewest neighbours of a node that is shown">
</aside>
<noscript><p class="hint">This page draws its map with a script that is part of it. Nothing is loaded from elsewhere.</p></noscript>
<script type="application/json" id="data">${scriptJson(dataOf(picture))}</script>
<script>${script}</script>
</body>
</html>
`
}
