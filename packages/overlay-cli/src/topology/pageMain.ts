/** The rest of the page: state, search, filters, details, table and statistics. JavaScript as text. */

/** What comes before the map. */
export const pageStart = String.raw`
"use strict"
const $ = (id) => document.getElementById(id)
const data = JSON.parse($("data").textContent)
const el = (name, text, attributes = {}) => {
  const element = document.createElement(name)
  if (text !== undefined) element.textContent = text
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  return element
}
const state = { coloring: data.chosen, selected: undefined, hovered: undefined, edges: true, degree: 0, off: new Set(), sort: ["degree", -1], rows: 300 }
const shown = new Uint8Array(data.nodes.length).fill(1)
let found
`

/** What comes after the map. */
export const pageEnd = String.raw`
// ---- theme
const setTheme = (theme) => {
  document.documentElement.dataset.theme = theme
  $("theme").textContent = theme === "dark" ? "Light" : "Dark"
  draw()
  if (!$("stats").hidden) statistics()
}
const prefersDark = matchMedia("(prefers-color-scheme: dark)")
let isChosen = data.theme !== "auto"
setTheme(data.theme === "auto" ? (prefersDark.matches ? "dark" : "light") : data.theme)
prefersDark.addEventListener("change", () => { if (!isChosen) setTheme(prefersDark.matches ? "dark" : "light") })
$("theme").onclick = () => { isChosen = true; setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark") }

// ---- colours and filters
const colorBy = $("color")
data.colorings.forEach((coloring, i) => colorBy.append(el("option", coloring.label, { value: i })))
colorBy.value = state.coloring
colorBy.onchange = () => { state.coloring = Number(colorBy.value); state.off.clear(); legend(); refresh() }
const legend = () => {
  const { categories, label } = data.colorings[state.coloring]
  const most = Math.max(1, ...categories.map(({ count }) => count))
  $("legend").replaceChildren(el("h2", label), ...categories.map((category, i) => {
    const row = el("label", undefined, { class: "cat" })
    const box = el("input", undefined, { type: "checkbox" })
    box.checked = !state.off.has(i)
    box.onchange = () => { box.checked ? state.off.delete(i) : state.off.add(i); refresh() }
    const dot = el("span", undefined, { class: "dot" })
    dot.style.background = category.color
    const bar = el("i"), part = el("b")
    part.style.width = 100 * category.count / most + "%"
    part.style.background = category.color
    bar.append(part)
    row.append(box, dot, el("span", category.label, { class: "name" }), el("span", category.count, { class: "n" }), bar)
    return row
  }))
}
const degree = $("degree")
degree.max = Math.min(60, data.nodes.reduce((most, node) => Math.max(most, node.degree), 0))
degree.oninput = () => { state.degree = Number(degree.value); $("degreeText").textContent = degree.value; refresh() }
$("edges").onchange = (event) => { state.edges = event.target.checked; draw() }
const refresh = () => {
  const { of } = data.colorings[state.coloring]
  data.nodes.forEach((node, i) => { shown[i] = node.degree >= state.degree && !state.off.has(of[i]) ? 1 : 0 })
  look()
  draw()
  if (!$("table").hidden) table()
}

// ---- search
const search = $("search")
const haystack = data.nodes.map((node) => [node.id, node.label, node.address, node.version, node.name].join("\n").toLowerCase())
let turn = 0
const look = () => {
  const words = search.value.trim().toLowerCase().split(/\s+/).filter((word) => word !== "")
  found = words.length === 0
    ? undefined
    : new Set(order.filter((i) => shown[i] && words.every((word) => haystack[i].includes(word))))
  const hidden = shown.length - shown.reduce((a, b) => a + b, 0)
  $("count").textContent = found !== undefined ? found.size + " found" : hidden > 0 ? hidden + " hidden" : ""
}
search.oninput = () => { turn = 0; look(); draw(); if (!$("table").hidden) table() }
search.onkeydown = (event) => {
  if (event.key === "Enter" && found !== undefined && found.size > 0) {
    const all = [...found]
    const next = all[turn++ % all.length]
    select(next)
    centreOn(next)
  } else if (event.key === "Escape") { search.value = ""; search.oninput() }
}
addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus() }
  else if (event.key === "Escape" && document.activeElement !== search) select(undefined)
})

// ---- one node
const select = (i) => {
  state.selected = i
  details()
  draw()
}
const pair = (list, name, value, attributes) => {
  if (value === undefined || value === "") return
  list.append(el("dt", name), el("dd", value, attributes))
}
const chips = (title, nodes, color) => {
  if (nodes.length === 0) return []
  const list = el("div", undefined, { class: "list" })
  const sorted = [...new Set(nodes)].sort((a, b) => data.nodes[b].degree - data.nodes[a].degree)
  for (const i of sorted.slice(0, 100)) {
    const chip = el("button", data.nodes[i].label, { title: data.nodes[i].id })
    chip.onclick = () => { select(i); centreOn(i) }
    list.append(chip)
  }
  if (sorted.length > 100) list.append(el("span", "and " + (sorted.length - 100) + " more", { class: "hint" }))
  const heading = el("h2", title + " " + sorted.length), dot = el("span", undefined, { class: "edge" })
  dot.style.background = color
  heading.prepend(dot)
  return [heading, list]
}
const details = () => {
  const place = $("details"), i = state.selected
  if (i === undefined) {
    place.replaceChildren(el("h2", "Node"), el("p", "Choose a node to see what is known about it.", { class: "hint" }))
    return
  }
  const node = data.nodes[i]
  const list = el("dl")
  pair(list, "Id", node.id, { class: "id" })
  pair(list, "Address", node.address)
  pair(list, "Version", node.version || "unknown")
  pair(list, "State", node.stateName)
  pair(list, "Validator", node.validator === null ? "unknown" : node.validator ? "yes" : "no")
  pair(list, "Neighbours", node.degree)
  pair(list, "k-core", node.core)
  pair(list, "Ways through it", (100 * node.betweenness).toFixed(2) + " %")
  pair(list, "Clustering", node.clustering.toFixed(2))
  if (node.cut) pair(list, "Cut node", "its loss separates others")
  for (const [name, value] of Object.entries(node.attributes)) pair(list, name, String(value))
  const close = el("button", "Close")
  close.onclick = () => select(undefined)
  const head = el("div", undefined, { class: "row" })
  head.append(el("h2", node.label), el("span", undefined, { class: "grow" }), close)
  place.replaceChildren(head, list, ...chips(data.words.out, outEdges[i], OUT), ...chips(data.words.in, inEdges[i], IN))
  place.parentElement.scrollTop = 0
}

// ---- table
const columns = [
  ["label", "Name", "label"], ["id", "Id", "id"], ["address", "Address"], ["version", "Version"], ["stateName", "State"],
  ["validator", "Validator"], ["degree", "Neighbours", "num"], ["inbound", "In", "num"], ["outbound", "Out", "num"],
  ["core", "Core", "num"], ["betweenness", "Ways through", "num"], ["clustering", "Clustering", "num"]
].filter(([key]) => data.nodes.some((node) => node[key] !== "" && node[key] !== null && node[key] !== undefined))
const cell = (node, key) => {
  const value = node[key]
  if (key === "betweenness") return (100 * value).toFixed(2) + " %"
  if (key === "clustering") return value.toFixed(2)
  if (key === "validator") return value === null ? "" : value ? "yes" : "no"
  return String(value ?? "")
}
const table = () => {
  const [key, way] = state.sort
  const rows = order.filter((i) => shown[i] && (found === undefined || found.has(i))).sort((a, b) => {
    const x = data.nodes[a][key], y = data.nodes[b][key]
    const less = typeof x === "string" ? x.localeCompare(y) : Number(x) - Number(y)
    return way * less
  })
  const head = el("tr")
  for (const [name, title, kind] of columns) {
    const th = el("th", undefined, { class: kind ?? "", scope: "col", "aria-sort": name !== key ? "none" : way > 0 ? "ascending" : "descending" })
    const button = el("button", title + (name !== key ? "" : way > 0 ? " ↑" : " ↓"))
    button.onclick = () => { state.sort = [name, name === key ? -way : kind === "num" ? -1 : 1]; table() }
    th.append(button)
    head.append(th)
  }
  const body = el("tbody")
  for (const i of rows.slice(0, state.rows)) {
    const tr = el("tr", undefined, { tabindex: 0 })
    for (const [name, , kind] of columns) {
      const td = el("td", undefined, { class: kind ?? "" })
      td.append(el("div", cell(data.nodes[i], name), { title: cell(data.nodes[i], name) }))
      tr.append(td)
    }
    tr.onclick = () => { select(i); show("map"); centreOn(i) }
    tr.onkeydown = (event) => { if (event.key === "Enter") tr.onclick() }
    body.append(tr)
  }
  const whole = el("table"), thead = el("thead")
  thead.append(head)
  whole.append(el("caption", rows.length + " nodes", { class: "hint" }), thead, body)
  const more = el("button", "Show all " + rows.length, { class: "more" })
  more.onclick = () => { state.rows = Infinity; table() }
  $("table").replaceChildren(whole, ...(rows.length > state.rows ? [more] : []))
}

// ---- statistics
const chart = (title, points, isLine, from, to) => {
  const card = el("div", undefined, { class: "card" })
  const picture = el("canvas", undefined, { class: "chart", role: "img", "aria-label": title })
  card.append(el("h2", title), picture, el("p", from + " to " + to))
  requestAnimationFrame(() => {
    const box = picture.getBoundingClientRect(), r = devicePixelRatio || 1
    picture.width = box.width * r
    picture.height = box.height * r
    const c = picture.getContext("2d")
    c.scale(r, r)
    const maxX = Math.max(1, ...points.map(([x]) => x)), maxY = Math.max(...points.map(([, y]) => y)) || 1
    const h = box.height - 18, w = box.width - 34
    const px = (x) => 30 + (x / (maxX + (isLine ? 0 : 1))) * w, py = (y) => 8 + h - (y / maxY) * h
    c.fillStyle = c.strokeStyle = isLine ? "#17a589" : "#3a7bd5"
    c.lineWidth = 2
    c.beginPath()
    for (const [x, y] of points) isLine ? c.lineTo(px(x), py(y)) : c.rect(px(x), py(y), Math.max(1, w / (maxX + 1) - 1), 8 + h - py(y))
    isLine ? c.stroke() : c.fill()
    c.fillStyle = colorVar("--muted")
    c.font = "11px system-ui, sans-serif"
    c.fillText(isLine ? "100 %" : String(maxY), 0, 12)
    c.fillText("0", 18, 8 + h)
  })
  return card
}
const statistics = () => {
  const cards = el("div", undefined, { class: "cards" })
  cards.append(
    chart("Nodes by number of neighbours", data.degrees, false, "0", data.degrees.at(-1)?.[0] + " neighbours"),
    chart("Largest part without the best connected nodes", data.losses, true, "0", data.losses.at(-1)?.[0] + " gone")
  )
  for (const { title, facts } of data.facts) {
    const card = el("div", undefined, { class: "card" }), list = el("dl")
    for (const { name, value, meaning } of facts) list.append(el("dt", name, { title: meaning }), el("dd", value, { title: meaning }))
    card.append(el("h2", title), list)
    cards.append(card)
  }
  const versions = el("div", undefined, { class: "card" }), list = el("dl")
  for (const { value, count } of data.versions) list.append(el("dt", value), el("dd", count))
  versions.append(el("h2", "Versions"), list)
  if (data.versions.length > 0) cards.append(versions)
  $("stats").replaceChildren(cards)
}

// ---- views
const views = ["map", "table", "stats"]
const show = (name) => {
  for (const view of views) {
    $(view).hidden = view !== name
    $("tab-" + view).setAttribute("aria-selected", String(view === name))
  }
  if (name === "table") table()
  if (name === "stats") statistics()
  if (name === "map") resize()
}
for (const view of views) $("tab-" + view).onclick = () => show(view)
legend()
details()
refresh()
resize()
const wantedView = views.find((view) => location.hash === "#" + view)
if (wantedView !== undefined) show(wantedView)
`
