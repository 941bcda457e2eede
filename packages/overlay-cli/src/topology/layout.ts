/**
 * A force-directed layout that gives the same picture for the same graph: ForceAtlas2's forces (Jacomy et al. 2014) from
 * positions that are computed, not drawn; nodes pushed apart until none covers another; parts of the network side by
 * side, the largest first.
 */
import { components, degree, type Graph } from "./Graph.ts"
import { Quadtree } from "./quadtree.ts"
import { seedPositions } from "./seedPositions.ts"

export interface Layout {
  readonly x: Float64Array
  readonly y: Float64Array
  readonly radius: Float64Array
  readonly width: number
  readonly height: number
}

const REPULSION = 10
const GRAVITY = 1

/** Pictures are wider than high. */
const WIDER = 1.2

/** Space between nodes, in their own units. */
const GAP = 1.5

/** Steps of the forces: a graph of a thousand nodes is calm after these. */
const stepsFor = (size: number): number => size <= 400 ? 700 : size <= 3000 ? 450 : size <= 10_000 ? 200 : 60

/** Between the smallest and the largest node, by the square root of the degree: areas are comparable. */
export const radii = (graph: Graph): Float64Array => {
  const [small, large] = graph.size <= 60 ? [6, 15] : graph.size <= 400 ? [4.5, 16] : [3.6, 17]
  let most = 1
  for (let node = 0; node < graph.size; node++) most = Math.max(most, degree(graph, node))
  return Float64Array.from({ length: graph.size }, (_, node) => {
    const share = Math.sqrt(degree(graph, node) / most)
    return small + (large - small) * share * share ** 0.5
  })
}

/** ForceAtlas2 in LinLog mode: what is tightly knit comes together, and hubs do not swallow everything. */
const relax = (graph: Graph, x: Float64Array, y: Float64Array): void => {
  const { neighbours, offsets, size } = graph
  const mass = Float64Array.from({ length: size }, (_, node) => 1 + degree(graph, node))
  const tree = new Quadtree(size)
  const fx = new Float64Array(size)
  const fy = new Float64Array(size)
  const oldX = new Float64Array(size)
  const oldY = new Float64Array(size)
  const force = { x: 0, y: 0 }
  let speed = 1
  let efficiency = 1
  const steps = stepsFor(size)
  for (let step = 0; step < steps; step++) {
    tree.build(x, y, mass)
    let swinging = 0
    let traction = 0
    for (let node = 0; node < size; node++) {
      force.x = force.y = 0
      tree.repulse(node, x, y, mass, REPULSION, force)
      const nx = x[node]!
      const ny = y[node]!
      const centre = Math.sqrt(nx * nx + ny * ny)
      if (centre > 0) {
        const pull = GRAVITY * mass[node]! / centre
        force.x -= nx * pull
        force.y -= ny * pull
      }
      for (let i = offsets[node]!; i < offsets[node + 1]!; i++) {
        const other = neighbours[i]!
        const dx = nx - x[other]!
        const dy = ny - y[other]!
        const length = Math.sqrt(dx * dx + dy * dy)
        if (length === 0) continue
        const pull = Math.log1p(length) / length * 6
        force.x -= dx * pull
        force.y -= dy * pull
      }
      fx[node] = force.x
      fy[node] = force.y
      const sx = force.x - oldX[node]!
      const sy = force.y - oldY[node]!
      const tx = force.x + oldX[node]!
      const ty = force.y + oldY[node]!
      swinging += mass[node]! * Math.sqrt(sx * sx + sy * sy)
      traction += mass[node]! * Math.sqrt(tx * tx + ty * ty) / 2
    }
    // The global speed follows how much of the movement is progress (as in the paper).
    const estimated = 0.05 * Math.sqrt(size)
    const minJitter = Math.sqrt(estimated)
    let jitter = Math.max(minJitter, Math.min(10, estimated * traction / (size * size)))
    if (traction > 0 && swinging / traction > 2) {
      if (efficiency > 0.05) efficiency *= 0.5
      jitter = Math.max(jitter, 1)
    }
    const target = swinging === 0 ? speed : jitter * efficiency * traction / swinging
    if (swinging > jitter * traction) {
      if (efficiency > 0.05) efficiency *= 0.7
    } else if (speed < 1000) efficiency *= 1.3
    speed += Math.min(target - speed, 0.5 * speed)
    for (let node = 0; node < size; node++) {
      const sx = fx[node]! - oldX[node]!
      const sy = fy[node]! - oldY[node]!
      const factor = speed / (1 + Math.sqrt(speed * mass[node]! * Math.sqrt(sx * sx + sy * sy)))
      x[node]! += fx[node]! * factor
      y[node]! += fy[node]! * factor
      oldX[node] = fx[node]!
      oldY[node] = fy[node]!
    }
  }
}

/** Scales a layout to an area that has room for its nodes and some air. */
const scaleToRadii = (x: Float64Array, y: Float64Array, radius: Float64Array): void => {
  const size = x.length
  let area = 0
  for (const r of radius) area += (2 * r + 3 * GAP) ** 2
  let minX = Infinity
  let maxX = -Infinity
  let minY = Infinity
  let maxY = -Infinity
  for (let i = 0; i < size; i++) {
    minX = Math.min(minX, x[i]!)
    maxX = Math.max(maxX, x[i]!)
    minY = Math.min(minY, y[i]!)
    maxY = Math.max(maxY, y[i]!)
  }
  const factor = Math.sqrt(area * (size < 60 ? 26 : size < 400 ? 11 : 8)) / Math.max(maxX - minX, maxY - minY, 1e-9)
  for (let i = 0; i < size; i++) {
    x[i] = (x[i]! - (minX + maxX) / 2) * factor
    y[i] = (y[i]! - (minY + maxY) / 2) * factor
  }
}

/** Pushes nodes that overlap apart; cells of a grid hold who may touch whom. */
export const separate = (x: Float64Array, y: Float64Array, radius: Float64Array, rounds = 120): void => {
  const size = x.length
  const cellSize = 2 * radius.reduce((a, b) => Math.max(a, b), 1) + GAP
  for (let round = 0; round < rounds; round++) {
    const cells = new Map<number, Array<number>>()
    const keyOf = (cx: number, cy: number) => (cx + 32_768) * 65_536 + (cy + 32_768)
    for (let i = 0; i < size; i++) {
      const key = keyOf(Math.floor(x[i]! / cellSize), Math.floor(y[i]! / cellSize))
      const cell = cells.get(key)
      if (cell === undefined) cells.set(key, [i])
      else cell.push(i)
    }
    let moved = false
    for (let i = 0; i < size; i++) {
      const cx = Math.floor(x[i]! / cellSize)
      const cy = Math.floor(y[i]! / cellSize)
      for (let ox = -1; ox <= 1; ox++) {
        for (let oy = -1; oy <= 1; oy++) {
          for (const j of cells.get(keyOf(cx + ox, cy + oy)) ?? []) {
            if (j <= i) continue
            let dx = x[j]! - x[i]!
            let dy = y[j]! - y[i]!
            let length = Math.sqrt(dx * dx + dy * dy)
            const wanted = radius[i]! + radius[j]! + GAP
            if (length >= wanted) continue
            if (length < 1e-6) {
              dx = Math.cos(i + j)
              dy = Math.sin(i + j)
              length = 1
            }
            // A little more than is missing, the larger one moving less.
            const push = 1.02 * (wanted - Math.hypot(x[j]! - x[i]!, y[j]! - y[i]!)) / length
            const share = radius[j]! / (radius[i]! + radius[j]!)
            x[i]! -= dx * push * share
            y[i]! -= dy * push * share
            x[j]! += dx * push * (1 - share)
            y[j]! += dy * push * (1 - share)
            moved = true
          }
        }
      }
    }
    if (!moved) return
  }
}

/** The part of a graph that consists of some nodes. */
const subgraph = ({ neighbours, offsets }: Graph, members: ReadonlyArray<number>, place: Int32Array): Graph => {
  const own = new Int32Array(members.length + 1)
  members.forEach((node, i) => {
    own[i + 1] = own[i]! + offsets[node + 1]! - offsets[node]!
  })
  const targets = new Int32Array(own[members.length]!)
  members.forEach((node, i) => {
    let at = own[i]!
    for (let j = offsets[node]!; j < offsets[node + 1]!; j++) targets[at++] = place[neighbours[j]!]!
  })
  return { size: members.length, offsets: own, neighbours: targets }
}

/** Turns a layout so that it is widest from left to right. */
const lieDown = (x: Float64Array, y: Float64Array): void => {
  let xx = 0
  let xy = 0
  let yy = 0
  for (let i = 0; i < x.length; i++) {
    xx += x[i]! * x[i]!
    xy += x[i]! * y[i]!
    yy += y[i]! * y[i]!
  }
  const angle = Math.atan2(2 * xy, xx - yy) / 2
  const cos = Math.cos(angle)
  const sin = Math.sin(angle)
  for (let i = 0; i < x.length; i++) {
    const px = x[i]!
    x[i] = px * cos + y[i]! * sin
    y[i] = y[i]! * cos - px * sin
  }
}

interface Box {
  readonly members: ReadonlyArray<number>
  readonly width: number
  readonly height: number
}

/** Lays out one connected part around the origin, in place, and says how large it is. */
const layOutPart = (
  graph: Graph,
  members: ReadonlyArray<number>,
  place: Int32Array,
  x: Float64Array,
  y: Float64Array,
  radius: Float64Array
): Box => {
  members.forEach((node, i) => {
    place[node] = i
  })
  const part = subgraph(graph, members, place)
  const own = Float64Array.from(members, (node) => radius[node]!)
  const start = members.length < 3
    ? { x: Float64Array.from(members, (_, i) => i * 40), y: new Float64Array(members.length) }
    : seedPositions(part)
  if (members.length >= 3) {
    // The forces are in balance at some tens of units per hop.
    for (let i = 0; i < members.length; i++) {
      start.x[i]! *= 40
      start.y[i]! *= 40
    }
    relax(part, start.x, start.y)
    scaleToRadii(start.x, start.y, own)
    lieDown(start.x, start.y)
    for (let i = 0; i < members.length; i++) start.x[i]! *= WIDER
    separate(start.x, start.y, own)
  }
  let minX = Infinity
  let maxX = -Infinity
  let minY = Infinity
  let maxY = -Infinity
  members.forEach((_, i) => {
    minX = Math.min(minX, start.x[i]! - own[i]!)
    maxX = Math.max(maxX, start.x[i]! + own[i]!)
    minY = Math.min(minY, start.y[i]! - own[i]!)
    maxY = Math.max(maxY, start.y[i]! + own[i]!)
  })
  members.forEach((node, i) => {
    x[node] = start.x[i]! - minX
    y[node] = start.y[i]! - minY
  })
  return { members, width: maxX - minX, height: maxY - minY }
}

const PADDING = 18

/** Where every node of a graph goes; everything is within `width` and `height` from the origin. */
export const layout = (graph: Graph): Layout => {
  const { size } = graph
  const x = new Float64Array(size)
  const y = new Float64Array(size)
  const radius = radii(graph)
  const { of, sizes } = components(graph)
  const members = sizes.map((): Array<number> => [])
  for (let node = 0; node < size; node++) members[of[node]!]!.push(node)
  const place = new Int32Array(size)
  const boxes = members.map((part) => layOutPart(graph, part, place, x, y, radius))

  // The largest part first, the others in rows below it.
  let width = boxes[0]?.width ?? 0
  const total = boxes.slice(1).reduce((sum, box) => sum + (box.width + PADDING) * (box.height + PADDING), 0)
  width = Math.max(width, Math.sqrt(total) * 1.4)
  let left = 0
  let top = 0
  let rowHeight = 0
  boxes.forEach((box, i) => {
    if (i === 1 || (left > 0 && left + box.width > width)) {
      left = 0
      top += rowHeight + PADDING
      rowHeight = 0
    }
    const shift = i === 0 ? (width - box.width) / 2 : left
    for (const node of box.members) {
      x[node]! += shift
      y[node]! += top
    }
    left = shift + box.width + PADDING
    rowHeight = Math.max(rowHeight, box.height)
  })
  return { x, y, radius, width, height: top + rowHeight }
}
