/**
 * The map of the page: a canvas with pan, zoom, hover and selection. JavaScript as text, because it runs in a browser.
 *
 * It shows text with `fillText` and `textContent` only, so nothing in the data can become markup.
 */

export const pageMap = String.raw`
const TAU = 2 * Math.PI, BEND = 0.12, IN = "#e8902a", OUT = "#3a7bd5"
const canvas = $("canvas"), ctx = canvas.getContext("2d"), tip = $("tip")
const N = data.nodes.length, E = data.edges.length / 2
const order = data.nodes.map((_, i) => i).sort((a, b) => data.nodes[b].degree - data.nodes[a].degree || a - b)
const outEdges = Array.from({ length: N }, () => []), inEdges = Array.from({ length: N }, () => [])
for (let e = 0; e < E; e++) {
  outEdges[data.edges[2 * e]].push(data.edges[2 * e + 1])
  inEdges[data.edges[2 * e + 1]].push(data.edges[2 * e])
}
const view = { scale: 1, x: 0, y: 0 }
let width = 0, height = 0, ratio = 1, wanted = false
const draw = () => {
  if (wanted) return
  wanted = true
  requestAnimationFrame(() => { wanted = false; paint() })
}
const sx = (i) => data.nodes[i].x * view.scale + view.x
const sy = (i) => data.nodes[i].y * view.scale + view.y
const growth = () => Math.max(0.55, Math.min(view.scale ** 0.6, 3))
const sr = (i) => Math.max(1.6, data.nodes[i].r * growth())
const isAlive = (i) => data.nodes[i].state === "answered" || data.nodes[i].state === "full"
const bend = (from, to) => {
  const x0 = sx(from), y0 = sy(from), x1 = sx(to), y1 = sy(to)
  ctx.moveTo(x0, y0)
  ctx.quadraticCurveTo((x0 + x1) / 2 - (y1 - y0) * BEND, (y0 + y1) / 2 + (x1 - x0) * BEND, x1, y1)
}
const arrow = (from, to, color) => {
  const x0 = sx(from), y0 = sy(from), x1 = sx(to), y1 = sy(to)
  const cx = (x0 + x1) / 2 - (y1 - y0) * BEND, cy = (y0 + y1) / 2 + (x1 - x0) * BEND
  const angle = Math.atan2(y1 - cy, x1 - cx), back = sr(to) + 1
  const px = x1 - Math.cos(angle) * back, py = y1 - Math.sin(angle) * back
  ctx.fillStyle = color
  ctx.beginPath()
  ctx.moveTo(px, py)
  ctx.lineTo(px - 9 * Math.cos(angle - 0.4), py - 9 * Math.sin(angle - 0.4))
  ctx.lineTo(px - 9 * Math.cos(angle + 0.4), py - 9 * Math.sin(angle + 0.4))
  ctx.fill()
}
const colorVar = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
const paint = () => {
  const coloring = data.colorings[state.coloring]
  const colorOf = (i) => coloring.categories[coloring.of[i]].color
  const background = colorVar("--bg"), text = colorVar("--text"), muted = colorVar("--muted")
  const focus = state.selected ?? state.hovered
  const near = focus === undefined ? undefined : new Set([focus, ...outEdges[focus], ...inEdges[focus]])
  const isLit = (i) => shown[i] && (i === focus || (found !== undefined ? found.has(i) : near === undefined || near.has(i)))
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0)
  ctx.clearRect(0, 0, width, height)
  const base = Math.min(0.5, Math.max(0.05, 8.5 / Math.sqrt(E || 1))) * Math.min(2, Math.max(1, view.scale ** 0.5))
  ctx.lineWidth = E <= 600 ? 1.2 : 0.8
  if (state.edges) {
    ctx.globalAlpha = near !== undefined || found !== undefined ? base * 0.3 : base
    for (let i = 0; i < N; i++) {
      if (!shown[i] || outEdges[i].length === 0) continue
      ctx.strokeStyle = colorOf(i)
      ctx.beginPath()
      for (const to of outEdges[i]) if (shown[to]) bend(i, to)
      ctx.stroke()
    }
  }
  if (focus !== undefined) {
    ctx.lineWidth = 1.5
    for (const [targets, color, isOut] of [[inEdges[focus], IN, false], [outEdges[focus], OUT, true]]) {
      ctx.globalAlpha = 0.85
      ctx.strokeStyle = color
      ctx.beginPath()
      for (const other of targets) if (shown[other]) isOut ? bend(focus, other) : bend(other, focus)
      ctx.stroke()
      if (targets.length <= 300) for (const other of targets) {
        if (shown[other]) isOut ? arrow(focus, other, color) : arrow(other, focus, color)
      }
    }
  }
  for (const i of order) {
    if (!shown[i]) continue
    const x = sx(i), y = sy(i), r = sr(i)
    if (x < -20 || y < -20 || x > width + 20 || y > height + 20) continue
    ctx.globalAlpha = isLit(i) ? 1 : 0.13
    ctx.beginPath()
    ctx.arc(x, y, r, 0, TAU)
    ctx.fillStyle = isAlive(i) ? colorOf(i) : background
    ctx.fill()
    ctx.lineWidth = isAlive(i) ? 1 : 1.6
    ctx.strokeStyle = isAlive(i) ? background : colorOf(i)
    ctx.stroke()
    if (data.nodes[i].validator === true) {
      ctx.beginPath()
      ctx.arc(x, y, r + Math.min(3, 1.2 + r * 0.3), 0, TAU)
      ctx.lineWidth = 1.4
      ctx.strokeStyle = colorOf(i)
      ctx.stroke()
    }
    if (i === focus || (found !== undefined && found.has(i) && found.size <= 200)) {
      ctx.beginPath()
      ctx.arc(x, y, r + 6, 0, TAU)
      ctx.lineWidth = 2
      ctx.strokeStyle = text
      ctx.stroke()
    }
  }
  paintLabels(isLit, focus, text, background)
  ctx.globalAlpha = 1
}
const paintLabels = (isLit, focus, text, background) => {
  const boxes = [], done = new Set()
  const size = 12.5
  ctx.font = "600 " + size + "px system-ui, sans-serif"
  ctx.textBaseline = "middle"
  ctx.lineJoin = "round"
  let left = Math.round(Math.min(N, 24 + 26 * view.scale))
  const label = (i, must) => {
    if (done.has(i) || !isLit(i)) return
    const x = sx(i), y = sy(i), r = sr(i)
    if (x < 0 || y < 0 || x > width || y > height) return
    const w = ctx.measureText(data.nodes[i].label).width
    for (const side of [0, 1, 2, 3]) {
      const bx = side === 0 ? x + r + 4 : side === 1 ? x - r - 4 - w : x - w / 2
      const by = side === 2 ? y + r + size / 2 + 3 : side === 3 ? y - r - size / 2 - 3 : y
      const box = [bx - 2, by - size / 2 - 1, bx + w + 2, by + size / 2 + 1]
      if (side < 3 && (box[0] < 0 || box[2] > width)) continue
      if (boxes.some((b) => box[0] < b[2] && b[0] < box[2] && box[1] < b[3] && b[1] < box[3])) {
        if (!must || side < 3) continue
      }
      boxes.push(box)
      done.add(i)
      ctx.globalAlpha = 1
      ctx.lineWidth = 3.5
      ctx.strokeStyle = background
      ctx.strokeText(data.nodes[i].label, bx, by)
      ctx.fillStyle = text
      ctx.fillText(data.nodes[i].label, bx, by)
      left--
      return
    }
  }
  if (focus !== undefined) label(focus, true)
  if (found !== undefined && found.size <= 60) for (const i of found) label(i, false)
  for (const i of order) {
    if (left <= 0) break
    label(i, false)
  }
}
const fit = () => {
  const [w, h] = data.size
  // Room for the names at the right, and for the buttons below.
  view.scale = Math.min((width - 130) / Math.max(1, w), (height - 90) / Math.max(1, h), 3)
  view.x = (width - 60 - w * view.scale) / 2
  view.y = (height - 40 - h * view.scale) / 2
  draw()
}
const zoomAt = (x, y, factor) => {
  const next = Math.max(0.02, Math.min(60, view.scale * factor))
  const f = next / view.scale
  view.x = x - (x - view.x) * f
  view.y = y - (y - view.y) * f
  view.scale = next
  draw()
}
const centreOn = (i) => {
  view.scale = Math.max(view.scale, 1.4)
  view.x = width / 2 - data.nodes[i].x * view.scale
  view.y = height / 2 - data.nodes[i].y * view.scale
  draw()
}
let isFitted = false
const resize = () => {
  const box = canvas.getBoundingClientRect()
  if (box.width === 0) return
  width = box.width
  height = box.height
  ratio = devicePixelRatio || 1
  canvas.width = Math.round(width * ratio)
  canvas.height = Math.round(height * ratio)
  if (!isFitted) { isFitted = true; fit() }
  paint() // at once: a canvas of a new size is empty
}
const nodeAt = (x, y) => {
  let best, least = Infinity
  for (let k = order.length - 1; k >= 0; k--) {
    const i = order[k]
    if (!shown[i]) continue
    const d = Math.hypot(sx(i) - x, sy(i) - y) - sr(i)
    if (d < 5 && d < least) { least = d; best = i }
  }
  return best
}
const pointers = new Map()
let travelled = 0
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId)
  pointers.set(event.pointerId, [event.offsetX, event.offsetY])
  travelled = 0
})
canvas.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId)
  if (before === undefined) return hover(nodeAt(event.offsetX, event.offsetY), event.offsetX, event.offsetY)
  const dx = event.offsetX - before[0], dy = event.offsetY - before[1]
  travelled += Math.hypot(dx, dy)
  canvas.classList.add("moving")
  if (pointers.size === 2) {
    const [a, b] = [...pointers.entries()].map(([id, p]) => id === event.pointerId ? [event.offsetX, event.offsetY] : p)
    const [c, d] = [...pointers.values()]
    const was = Math.hypot(c[0] - d[0], c[1] - d[1]), is = Math.hypot(a[0] - b[0], a[1] - b[1])
    if (was > 0) zoomAt((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, is / was)
  } else {
    view.x += dx
    view.y += dy
  }
  pointers.set(event.pointerId, [event.offsetX, event.offsetY])
  hover(undefined)
  draw()
})
const release = (event) => {
  if (pointers.delete(event.pointerId) && travelled < 4 && event.type === "pointerup") {
    select(nodeAt(event.offsetX, event.offsetY))
  }
  if (pointers.size === 0) canvas.classList.remove("moving")
}
canvas.addEventListener("pointerup", release)
canvas.addEventListener("pointercancel", release)
canvas.addEventListener("pointerleave", () => hover(undefined))
canvas.addEventListener("wheel", (event) => {
  event.preventDefault()
  zoomAt(event.offsetX, event.offsetY, Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)))
}, { passive: false })
const hover = (i, x, y) => {
  if (state.hovered !== i) { state.hovered = i; draw() }
  canvas.classList.toggle("over", i !== undefined)
  tip.hidden = i === undefined
  if (i === undefined) return
  const node = data.nodes[i]
  tip.replaceChildren(
    el("b", node.label), el("div", node.version || "version unknown"),
    el("span", node.stateName + (node.validator ? ", validator" : "") + " · " + node.inbound + " in, " + node.outbound + " out")
  )
  tip.style.left = Math.min(x + 14, width - tip.offsetWidth - 8) + "px"
  tip.style.top = Math.min(y + 14, height - tip.offsetHeight - 8) + "px"
}
$("in").onclick = () => zoomAt(width / 2, height / 2, 1.5)
$("out").onclick = () => zoomAt(width / 2, height / 2, 1 / 1.5)
$("fit").onclick = fit
canvas.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key]
  if (step !== undefined) { view.x += step[0]; view.y += step[1]; event.preventDefault(); draw() }
  else if (event.key === "+" || event.key === "=") zoomAt(width / 2, height / 2, 1.3)
  else if (event.key === "-") zoomAt(width / 2, height / 2, 1 / 1.3)
  else if (event.key === "0") fit()
})
new ResizeObserver(resize).observe(canvas)
`
