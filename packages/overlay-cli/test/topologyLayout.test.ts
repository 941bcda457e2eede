import { assert, describe, it } from "@effect/vitest"
import { components } from "../src/topology/Graph.ts"
import { placeLabels, textWidth } from "../src/topology/labels.ts"
import { type Layout, layout } from "../src/topology/layout.ts"
import { graph, karate, type Pairs, random, randomPairs } from "./topologySupport.ts"

const everybodyHasRoom = ({ height, radius, width, x, y }: Layout) => {
  for (let i = 0; i < x.length; i++) {
    assert.isTrue(Number.isFinite(x[i]!) && Number.isFinite(y[i]!))
    assert.isAtLeast(x[i]! - radius[i]!, -0.01)
    assert.isAtLeast(y[i]! - radius[i]!, -0.01)
    assert.isAtMost(x[i]! + radius[i]!, width + 0.01)
    assert.isAtMost(y[i]! + radius[i]!, height + 0.01)
    for (let j = 0; j < i; j++) {
      assert.isAtLeast(Math.hypot(x[i]! - x[j]!, y[i]! - y[j]!), (radius[i]! + radius[j]!) * 0.999, `${i} covers ${j}`)
    }
  }
}

const cases: ReadonlyArray<readonly [name: string, size: number, pairs: Pairs]> = [
  ["nobody", 0, []],
  ["one", 1, []],
  ["two", 2, [[0, 1]]],
  ["forty alone", 40, []],
  ["a ring", 30, Array.from({ length: 30 }, (_, i) => [i, (i + 1) % 30] as const)],
  ["a star of 300", 300, Array.from({ length: 299 }, (_, i) => [0, i + 1] as const)],
  [
    "a clique of 40",
    40,
    Array.from({ length: 40 }, (_, i) => Array.from({ length: i }, (_, j) => [i, j] as const)).flat()
  ],
  ["the karate club", 34, karate],
  ["several parts", 200, randomPairs(200, 260, random(5))]
]

describe("layout", () => {
  it.each(cases)("%s: everybody is inside, nobody covers another, and it is the same every time", (_, size, pairs) => {
    const first = layout(graph(size, pairs))
    everybodyHasRoom(first)
    assert.deepStrictEqual(layout(graph(size, pairs)), first)
  })

  it("unfolds a ring, so that opposite nodes are far and neighbours near", () => {
    const { x, y } = layout(graph(24, Array.from({ length: 24 }, (_, i) => [i, (i + 1) % 24] as const)))
    const far = (a: number, b: number) => Math.hypot(x[a]! - x[b]!, y[a]! - y[b]!)
    for (let i = 0; i < 24; i++) assert.isAbove(far(i, (i + 12) % 24), 2.5 * far(i, (i + 1) % 24))
  })

  it("the parts of a network do not run into each other", () => {
    const self = graph(60, [...Array.from({ length: 29 }, (_, i) => [i, i + 1] as const), [40, 41], [41, 42], [42, 40]])
    const { radius, x, y } = layout(self)
    const { of, sizes } = components(self)
    const boxes = sizes.map((_, part) => {
      const members = [...of.keys()].filter((node) => of[node] === part)
      return {
        left: Math.min(...members.map((i) => x[i]! - radius[i]!)),
        right: Math.max(...members.map((i) => x[i]! + radius[i]!)),
        top: Math.min(...members.map((i) => y[i]! - radius[i]!)),
        bottom: Math.max(...members.map((i) => y[i]! + radius[i]!))
      }
    })
    boxes.forEach((a, i) =>
      boxes.slice(0, i).forEach((b) =>
        assert.isTrue(a.left >= b.right || b.left >= a.right || a.top >= b.bottom || b.top >= a.bottom)
      )
    )
  })

  it("labels cover neither each other nor a large node", () => {
    const self = graph(200, randomPairs(200, 700, random(9)))
    const place = layout(self)
    const texts = Array.from({ length: 200 }, (_, i) => [i, `label ${i}`] as const)
    const placed = placeLabels(place, texts, 12)
    assert.isAbove(placed.length, 40)
    const boxes = placed.map(({ text, x, y }) => ({
      left: x,
      right: x + 12 * textWidth(text),
      top: y - 10,
      bottom: y + 2
    }))
    boxes.forEach((a, i) =>
      boxes.slice(0, i).forEach((b) =>
        assert.isTrue(a.left >= b.right || b.left >= a.right || a.top >= b.bottom || b.top >= a.bottom)
      )
    )
  })
})
