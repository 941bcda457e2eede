/** A topology as one SVG: the network, a legend with bars, and the numbers beside it. No script, no external parts. */
import { entities, markup } from "./escaping.ts"
import { placeLabels } from "./labels.ts"
import type { Layout } from "./layout.ts"
import { byImportance, type Picture, type Theme } from "./picture.ts"

const WIDTH = 1600
const HEIGHT = 1000
const PANEL = 344
const MARGIN = 36
const TOP = 96

interface Colors {
  readonly background: string
  readonly panel: string
  readonly text: string
  readonly muted: string
  readonly line: string
}

const colorsOf: { readonly [theme in "light" | "dark"]: Colors } = {
  light: { background: "#fcfcfd", panel: "#f2f4f7", text: "#1b2430", muted: "#667085", line: "#d9dee6" },
  dark: { background: "#0f141b", panel: "#171e28", text: "#e8edf4", muted: "#93a0b4", line: "#2b3543" }
}

const rules = ({ background, line, muted, panel, text }: Colors): string =>
  `.bg{fill:${background}}.panel{fill:${panel}}.t{fill:${text}}.m{fill:${muted}}.line{stroke:${line}}` +
  `.bar{fill:${line}}.halo{stroke:${background}}.hollow{fill:${background}}`

const styleOf = (theme: Theme): string => {
  const base = "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}" +
    ".e{fill:none}.lab{paint-order:stroke;stroke-width:3px;stroke-linejoin:round;font-weight:600}" +
    ".num{font-variant-numeric:tabular-nums}"
  return theme === "auto"
    ? `${base}${rules(colorsOf.light)}@media (prefers-color-scheme:dark){${rules(colorsOf.dark)}}`
    : `${base}${rules(colorsOf[theme])}`
}

const n = (value: number): string => String(Math.round(value * 100) / 100)

/** The layout in the place of the picture that is meant for it. */
const fit = (layout: Layout): { readonly at: Layout; readonly scale: number } => {
  const width = WIDTH - PANEL - 3 * MARGIN
  const height = HEIGHT - TOP - MARGIN
  const scale = Math.min(width / Math.max(1, layout.width), height / Math.max(1, layout.height), 2.2)
  const left = MARGIN + (width - layout.width * scale) / 2
  const top = TOP + (height - layout.height * scale) / 2
  return {
    scale,
    at: {
      x: layout.x.map((x) => left + x * scale),
      y: layout.y.map((y) => top + y * scale),
      radius: layout.radius.map((r) => r * scale),
      width: WIDTH - PANEL - 2 * MARGIN,
      height: HEIGHT
    }
  }
}

/** How far edges bend, as a share of their length. */
const BEND = 0.12

/** Up to so many edges have arrow heads. */
const MAX_ARROWS = 600

/** An arc that bends to one side as seen from its beginning, and ends at the rim of the other node. */
const arc = ({ radius, x, y }: Layout, from: number, to: number, gap: number): string => {
  const dx = x[to]! - x[from]!
  const dy = y[to]! - y[from]!
  const length = Math.hypot(dx, dy) || 1
  const cx = x[from]! + dx / 2 - dy * BEND
  const cy = y[from]! + dy / 2 + dx * BEND
  const back = Math.min(radius[to]! + gap, length / 2)
  const ex = x[to]! - cx
  const ey = y[to]! - cy
  const end = Math.hypot(ex, ey) || 1
  return `M${n(x[from]!)} ${n(y[from]!)}Q${n(cx)} ${n(cy)} ${n(x[to]! - ex / end * back)} ${
    n(y[to]! - ey / end * back)
  }`
}

const edgesOf = ({ chosen, colorings, topology }: Picture, at: Layout): string => {
  const { edges } = topology
  const { categories, of } = colorings[chosen]!
  const hasArrows = edges.length <= MAX_ARROWS
  const opacity = n(Math.min(0.5, Math.max(0.06, 9 / Math.sqrt(edges.length || 1))))
  const width = n(edges.length <= MAX_ARROWS ? 1.3 : 0.8)
  const paths = new Map<number, string>()
  for (const { from, to } of edges) {
    paths.set(from, (paths.get(from) ?? "") + arc(at, from, to, hasArrows ? 5 : 0))
  }
  const markers = hasArrows
    ? categories.map(({ color }, i) =>
      `<marker id="a${i}" viewBox="0 0 8 8" refX="2" refY="4" markerWidth="7" markerHeight="7" orient="auto" ` +
      `markerUnits="userSpaceOnUse"><path d="M0 0L8 4L0 8z" fill="${color}"/></marker>`
    ).join("")
    : ""
  let lines = ""
  if (hasArrows) {
    for (const { from, to } of edges) {
      const category = of[from]!
      lines += `<path d="${arc(at, from, to, 5)}" stroke="${
        categories[category]!.color
      }" marker-end="url(#a${category})"/>`
    }
  } else for (const [from, path] of paths) lines += `<path d="${path}" stroke="${categories[of[from]!]!.color}"/>`
  return `${markers === "" ? "" : `<defs>${markers}</defs>`}` +
    `<g class="e" stroke-width="${width}" stroke-opacity="${opacity}"${hasArrows ? ` opacity="1"` : ""}>${lines}</g>`
}

const nodesOf = (picture: Picture, at: Layout): string => {
  const { analysis: { each }, chosen, colorings, labels, topology } = picture
  const { categories, of } = colorings[chosen]!
  // Large ones first, so that none hides a small one.
  return [...byImportance(picture)].map((node) => {
    const { id, isValidator, state, version } = topology.nodes[node]!
    const { color } = categories[of[node]!]!
    const x = n(at.x[node]!)
    const y = n(at.y[node]!)
    const r = at.radius[node]!
    const own = state === "answered" || state === "full"
    const circle = own
      ? `<circle cx="${x}" cy="${y}" r="${n(r)}" fill="${color}" class="halo" stroke-width="1"/>`
      : `<circle cx="${x}" cy="${y}" r="${
        n(Math.max(1.5, r - 0.8))
      }" class="hollow" stroke="${color}" stroke-width="1.6"/>`
    const ring = isValidator === true
      ? `<circle cx="${x}" cy="${y}" r="${
        n(r + Math.min(3, 1.2 + r * 0.3))
      }" fill="none" stroke="${color}" stroke-width="1.4"/>`
      : ""
    const title = [
      entities(labels[node]!),
      markup(id),
      ...(version === undefined ? [] : [markup(version)]),
      `${each.inbound[node]} in, ${each.outbound[node]} out`
    ]
    return `<g>${ring}${circle}<title>${title.join("&#10;")}</title></g>`
  }).join("")
}

const labelsOf = (picture: Picture, at: Layout): string => {
  const size = picture.topology.nodes.length <= 60 ? 14 : 13
  const most = picture.topology.nodes.length <= 30 ? 30 : 28
  const wanted = byImportance(picture).slice(0, most).map((node) => [node, picture.labels[node]!] as const)
  return placeLabels(at, wanted, size).map(({ text, x, y }) =>
    `<text x="${n(x)}" y="${n(y)}" font-size="${size}" class="t lab halo">${entities(text)}</text>`
  ).join("")
}

/** The degrees as columns; columns are joined so that there is room for each. */
const histogram = (picture: Picture, x: number, y: number, width: number, height: number): string => {
  const { degreeDistribution } = picture.analysis.total
  const most = degreeDistribution.at(-1)?.[0] ?? 0
  const step = Math.max(1, Math.ceil((most + 1) / 30))
  const columns = new Array<number>(Math.floor(most / step) + 1).fill(0)
  for (const [degree, nodes] of degreeDistribution) columns[Math.floor(degree / step)]! += nodes
  const highest = Math.max(1, ...columns)
  const each = width / columns.length
  const bars = columns.map((count, i) => {
    if (count === 0) return ""
    const h = Math.max(1.5, (count / highest) * height)
    return `<rect x="${n(x + i * each)}" y="${n(y + height - h)}" width="${n(Math.max(1, each - 1.5))}" height="${
      n(h)
    }" rx="1" fill="#3a7bd5"/>`
  }).join("")
  return `<g><title>How many nodes have so many neighbours</title>${bars}</g>${
    axis(x, y, width, height, "0", String(most))
  }`
}

const axis = (x: number, y: number, width: number, height: number, from: string, to: string): string =>
  `<path d="M${n(x)} ${n(y + height + 0.5)}h${n(width)}" class="line"/>` +
  `<text x="${n(x)}" y="${n(y + height + 15)}" font-size="11" class="m">${from}</text>` +
  `<text x="${n(x + width)}" y="${n(y + height + 15)}" font-size="11" text-anchor="end" class="m">${to}</text>`

/** The largest part that is left, as a curve over the share of the hubs that are gone. */
const lossCurve = (picture: Picture, x: number, y: number, width: number, height: number): string => {
  const { nodes, resilience } = picture.analysis.total
  const points = [{ removed: 0, share: picture.analysis.total.largestComponent / Math.max(1, nodes) }, ...resilience]
  const last = points.at(-1)!.removed || 1
  const at = ({ removed, share }: { readonly removed: number; readonly share: number }) =>
    `${n(x + (removed / last) * width)} ${n(y + height - share * height)}`
  const line = `M${points.map(at).join("L")}`
  return `<g><title>The largest part that is connected without the best connected nodes, of those that are left</title>` +
    `<path d="${line}L${n(x + width)} ${n(y + height)}L${n(x)} ${
      n(y + height)
    }z" fill="#17a589" fill-opacity="0.18"/>` +
    `<path d="${line}" fill="none" stroke="#17a589" stroke-width="2" stroke-linejoin="round"/></g>` +
    axis(x, y, width, height, "0", `${Math.round((100 * last) / Math.max(1, nodes))} % gone`)
}

const panelOf = (picture: Picture): string => {
  const { chosen, colorings, facts, topology } = picture
  const left = WIDTH - PANEL - MARGIN + 20
  const width = PANEL - 40
  const right = left + width
  let y = 64
  let out =
    `<rect x="${WIDTH - PANEL - MARGIN}" y="${MARGIN}" width="${PANEL}" height="${HEIGHT - 2 * MARGIN}" rx="12" ` +
    `class="panel"/>`
  const heading = (text: string) => {
    out += `<text x="${left}" y="${y}" font-size="11" font-weight="700" letter-spacing="0.8" class="m">${
      entities(text.toUpperCase())
    }</text>`
    y += 20
  }
  const coloring = colorings[chosen]!
  heading(coloring.label)
  const highest = Math.max(1, ...coloring.categories.map(({ count }) => count))
  for (const { color, count, label } of coloring.categories) {
    out += `<circle cx="${left + 6}" cy="${y - 4}" r="6" fill="${color}"/>` +
      `<text x="${left + 20}" y="${y}" font-size="13" class="t">${entities(label)}</text>` +
      `<text x="${right}" y="${y}" font-size="13" text-anchor="end" class="m num">${count}</text>` +
      `<rect x="${left + 20}" y="${y + 5}" width="${width - 20}" height="3" rx="1.5" class="bar"/>` +
      `<rect x="${left + 20}" y="${y + 5}" width="${
        n((count / highest) * (width - 20))
      }" height="3" rx="1.5" fill="${color}"/>`
    y += 26
  }
  const mark = (x: number, shape: string, text: string) => {
    out += `${shape}<text x="${x + 14}" y="${y + 4}" font-size="12" class="m">${text}</text>`
  }
  mark(left, `<circle cx="${left + 6}" cy="${y}" r="5" class="t"/>`, "answered")
  mark(
    left + 86,
    `<circle cx="${left + 92}" cy="${y}" r="4.4" fill="none" stroke="#8a94a6" stroke-width="1.6"/>`,
    "did not"
  )
  if (topology.nodes.some(({ isValidator }) => isValidator === true)) {
    mark(
      left + 164,
      `<circle cx="${left + 170}" cy="${y}" r="3.4" class="t"/>` +
        `<circle cx="${left + 170}" cy="${y}" r="6" fill="none" stroke="#8a94a6" stroke-width="1.3"/>`,
      "validator"
    )
  }
  y += 34
  const half = width / 2 - 10
  out += `<text x="${left + half + 20}" y="${y}" font-size="11" font-weight="700" letter-spacing="0.8" class="m">` +
    "WITHOUT ITS HUBS</text>"
  heading("Neighbours")
  out += histogram(picture, left, y - 8, half, 54) + lossCurve(picture, left + half + 20, y - 8, half, 54)
  y += 90
  for (const { facts: rows, title } of facts) {
    const needed = 20 + rows.length * 18
    if (y + needed > HEIGHT - MARGIN - 12) break
    heading(title)
    for (const { meaning, name, value } of rows) {
      const [first = "", ...rest] = value.split(", ")
      const shown = title === "Degree" && rest.length > 0 ? `${first}, ${rest.at(-1)}` : value
      out +=
        `<g><title>${entities(meaning)}</title><text x="${left}" y="${y}" font-size="13" class="m">${
          entities(name)
        }</text>` +
        `<text x="${right}" y="${y}" font-size="13" text-anchor="end" class="t num">${entities(shown)}</text></g>`
      y += 18
    }
    y += 14
  }
  return out
}

/** The whole document. */
export const toSvg = (picture: Picture): string => {
  const { at } = fit(picture.layout)
  const { subtitle, title, topology } = picture
  const arrows = topology.edges.length <= MAX_ARROWS
  const began = topology.edgeKind === "connections" ? "the node that dialled" : "the node that told"
  const key = `Edges have the colour of ${began}${arrows ? "" : ", and bend to the right as seen from it"}`
  return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-labelledby="title desc">
<title id="title">${entities(title)}</title>
<desc id="desc">${entities(subtitle)}</desc>
<style>${styleOf(picture.theme)}</style>
<rect width="${WIDTH}" height="${HEIGHT}" class="bg"/>
<text x="${MARGIN}" y="58" font-size="26" font-weight="700" class="t">${entities(title)}</text>
<text x="${MARGIN}" y="82" font-size="14" class="m">${entities(subtitle)}</text>
${edgesOf(picture, at)}
<g>${nodesOf(picture, at)}</g>
<g>${labelsOf(picture, at)}</g>
<text x="${MARGIN}" y="${HEIGHT - 16}" font-size="12" class="m">${entities(key)}</text>
${panelOf(picture)}
</svg>
`
}
