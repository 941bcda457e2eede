/** Names beside the most important nodes of a picture, none over another and none over a large node. */
import type { Layout } from "./layout.ts"

export interface Label {
  readonly node: number
  readonly text: string
  /** Where the text begins, on its baseline. */
  readonly x: number
  readonly y: number
}

interface Box {
  readonly left: number
  readonly top: number
  readonly right: number
  readonly bottom: number
}

/** About how wide a text is, in the size of its letters. */
export const textWidth = (text: string): number => {
  let width = 0
  for (const character of text) width += character < "\u0300" ? (/[A-Z@%mw]/.test(character) ? 0.69 : 0.55) : 1.05
  return width
}

const overlap = (a: Box, b: Box): boolean =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom

/** Nodes from this radius on are not written over. */
const LARGE = 5

/** The sides that are tried, as shifts of the box from the node: right, left, below, above and between. */
const sides = [[1, 0], [-1, 0], [0, 1], [0, -1], [0.8, -0.8], [0.8, 0.8], [-0.8, -0.8], [-0.8, 0.8]] as const

/** Places texts for nodes in the order given, and leaves out what has no room. */
export const placeLabels = (
  { height, radius, width, x, y }: Layout,
  wanted: ReadonlyArray<readonly [node: number, text: string]>,
  size: number
): ReadonlyArray<Label> => {
  const placed: Array<Label> = []
  const taken: Array<Box> = []
  const large: Array<number> = []
  radius.forEach((r, node) => {
    if (r >= LARGE) large.push(node)
  })
  for (const [node, text] of wanted) {
    const w = textWidth(text) * size
    const h = size * 1.05
    const r = radius[node]! + size * 0.3
    for (const [sx, sy] of sides) {
      const centreX = x[node]! + sx * (r + w / 2)
      const centreY = y[node]! + sy * (r + h / 2)
      const box = { left: centreX - w / 2, right: centreX + w / 2, top: centreY - h / 2, bottom: centreY + h / 2 }
      if (box.left < -size || box.right > width + size || box.top < -size || box.bottom > height + size) continue
      if (taken.some((other) => overlap(box, other))) continue
      const covers = large.some((other) => {
        if (other === node) return false
        const dx = Math.max(box.left - x[other]!, 0, x[other]! - box.right)
        const dy = Math.max(box.top - y[other]!, 0, y[other]! - box.bottom)
        return dx * dx + dy * dy < radius[other]! ** 2
      })
      if (covers) continue
      taken.push(box)
      placed.push({ node, text, x: box.left, y: centreY + size * 0.35 })
      break
    }
  }
  return placed
}
