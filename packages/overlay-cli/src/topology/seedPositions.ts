/**
 * Where a layout begins: classical scaling of the distances to a few nodes that are far apart (PivotMDS), which unfolds
 * rings, chains and clusters before any force acts. Nothing is drawn by chance.
 */
import { degree, distances, type Graph } from "./Graph.ts"

const PIVOTS = 40
const POWER_STEPS = 60
const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5))

/** A unit vector of its own for each column, never orthogonal to anything that matters. */
const startVector = (size: number, salt: number): Float64Array =>
  Float64Array.from({ length: size }, (_, i) => ((i * 2654435761 + salt * 40503) % 1000) / 1000 - 0.5)

const normalize = (vector: Float64Array): number => {
  let length = 0
  for (const v of vector) length += v * v
  length = Math.sqrt(length)
  if (length > 0) { for (let i = 0; i < vector.length; i++) vector[i]! /= length }
  return length
}

/** Positions for one connected graph, about one unit per hop. */
export const seedPositions = (graph: Graph): { readonly x: Float64Array; readonly y: Float64Array } => {
  const { size } = graph
  const x = new Float64Array(size)
  const y = new Float64Array(size)
  const k = Math.min(PIVOTS, size)
  const columns: Array<Float64Array> = []
  const hops = new Int32Array(size)
  const queue = new Int32Array(size)
  const nearest = new Int32Array(size).fill(0x7fffffff)
  let pivot = 0
  for (let node = 1; node < size; node++) if (degree(graph, node) > degree(graph, pivot)) pivot = node
  for (let c = 0; c < k; c++) {
    distances(graph, pivot, hops, queue)
    columns.push(Float64Array.from(hops, (d) => d * d))
    let farthest = 0
    for (let node = 0; node < size; node++) {
      nearest[node] = Math.min(nearest[node]!, hops[node]!)
      if (nearest[node]! > nearest[farthest]!) farthest = node
    }
    pivot = farthest
  }
  // Double centring.
  const rowMeans = new Float64Array(size)
  let mean = 0
  for (const column of columns) {
    let columnMean = 0
    for (let i = 0; i < size; i++) {
      columnMean += column[i]!
      rowMeans[i]! += column[i]! / k
    }
    columnMean /= size
    mean += columnMean / k
    for (let i = 0; i < size; i++) column[i]! -= columnMean
  }
  for (const column of columns) for (let i = 0; i < size; i++) column[i] = -(column[i]! - rowMeans[i]! + mean) / 2

  // The two strongest directions of C^T C, by power iteration with deflation.
  const gram = columns.map((a) =>
    Float64Array.from(columns, (b) => {
      let sum = 0
      for (let i = 0; i < size; i++) sum += a[i]! * b[i]!
      return sum
    })
  )
  const found: Array<Float64Array> = []
  for (const [axis, target] of [x, y].entries()) {
    let vector = startVector(k, axis + 1)
    normalize(vector)
    let strength = 0
    for (let step = 0; step < POWER_STEPS; step++) {
      const next = new Float64Array(k)
      for (let a = 0; a < k; a++) {
        const row = gram[a]!
        let sum = 0
        for (let b = 0; b < k; b++) sum += row[b]! * vector[b]!
        next[a] = sum
      }
      for (const before of found) {
        let along = 0
        for (let a = 0; a < k; a++) along += next[a]! * before[a]!
        for (let a = 0; a < k; a++) next[a]! -= along * before[a]!
      }
      strength = normalize(next)
      vector = next
    }
    found.push(vector)
    if (strength === 0) continue
    for (let i = 0; i < size; i++) {
      let sum = 0
      for (let c = 0; c < k; c++) sum += columns[c]![i]! * vector[c]!
      target[i] = sum
    }
    // One unit per hop, roughly.
    const scale = Math.sqrt(Math.sqrt(strength)) / (Math.sqrt(strength) || 1)
    for (let i = 0; i < size; i++) target[i]! *= scale
  }
  // Nodes that look alike to all pivots lie on one point: spread them a little, each in a direction of its own.
  for (let i = 0; i < size; i++) {
    x[i]! += 0.15 * Math.sqrt((i + 1) / size) * Math.cos(i * GOLDEN_ANGLE)
    y[i]! += 0.15 * Math.sqrt((i + 1) / size) * Math.sin(i * GOLDEN_ANGLE)
  }
  return { x, y }
}
