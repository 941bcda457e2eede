/**
 * Repulsion of many bodies in O(n log n): a quadtree of centres of mass (Barnes and Hut), rebuilt in flat arrays.
 */

/** A cell whose width is below this share of its distance acts as one body. */
const THETA = 0.9

/** Bodies at one place, or nearly, share a leaf below this depth. */
const MAX_DEPTH = 32

/** Cells for four children each; grows with the number of bodies. */
export class Quadtree {
  #children: Int32Array
  #mass: Float64Array
  #massX: Float64Array
  #massY: Float64Array
  #body: Int32Array
  #cells = 0
  #left = 0
  #top = 0
  #width = 0
  readonly #stack: Int32Array = new Int32Array(4 * MAX_DEPTH + 8)
  readonly #widths: Float64Array = new Float64Array(4 * MAX_DEPTH + 8)

  constructor(bodies: number) {
    const cells = 4 * bodies + 64
    this.#children = new Int32Array(4 * cells)
    this.#mass = new Float64Array(cells)
    this.#massX = new Float64Array(cells)
    this.#massY = new Float64Array(cells)
    this.#body = new Int32Array(cells)
  }

  #grow(): void {
    const twice = <A extends Int32Array | Float64Array>(old: A, next: A): A => {
      next.set(old)
      return next
    }
    this.#children = twice(this.#children, new Int32Array(2 * this.#children.length))
    this.#mass = twice(this.#mass, new Float64Array(2 * this.#mass.length))
    this.#massX = twice(this.#massX, new Float64Array(2 * this.#massX.length))
    this.#massY = twice(this.#massY, new Float64Array(2 * this.#massY.length))
    this.#body = twice(this.#body, new Int32Array(2 * this.#body.length))
  }

  #cell(): number {
    if (this.#cells === this.#mass.length) this.#grow()
    const cell = this.#cells++
    this.#children.fill(-1, 4 * cell, 4 * cell + 4)
    this.#mass[cell] = this.#massX[cell] = this.#massY[cell] = 0
    this.#body[cell] = -1
    return cell
  }

  build(x: Float64Array, y: Float64Array, mass: Float64Array): void {
    let minX = Infinity
    let minY = Infinity
    let maxX = -Infinity
    let maxY = -Infinity
    for (let i = 0; i < x.length; i++) {
      minX = Math.min(minX, x[i]!)
      maxX = Math.max(maxX, x[i]!)
      minY = Math.min(minY, y[i]!)
      maxY = Math.max(maxY, y[i]!)
    }
    this.#left = minX
    this.#top = minY
    this.#width = Math.max(maxX - minX, maxY - minY, 1e-9) * 1.0001
    this.#cells = 0
    this.#cell()
    for (let i = 0; i < x.length; i++) this.#insert(i, x, y, mass)
  }

  #insert(body: number, x: Float64Array, y: Float64Array, mass: Float64Array): void {
    const bx = x[body]!
    const by = y[body]!
    const m = mass[body]!
    let cell = 0
    let left = this.#left
    let top = this.#top
    let half = this.#width / 2
    for (let depth = 0;; depth++) {
      const here = this.#body[cell]!
      const isEmpty = this.#mass[cell] === 0
      if (!isEmpty && here !== -1 && depth < MAX_DEPTH) {
        // A leaf becomes an inner cell: who lives here moves down.
        const quadrant = (x[here]! >= left + half ? 1 : 0) + (y[here]! >= top + half ? 2 : 0)
        const child = this.#cell()
        this.#children[4 * cell + quadrant] = child
        this.#body[child] = here
        this.#mass[child] = this.#mass[cell]!
        this.#massX[child] = this.#massX[cell]!
        this.#massY[child] = this.#massY[cell]!
        this.#body[cell] = -1
      }
      this.#mass[cell]! += m
      this.#massX[cell]! += m * bx
      this.#massY[cell]! += m * by
      if (isEmpty) {
        this.#body[cell] = body
        return
      }
      if (depth >= MAX_DEPTH) return
      const right = bx >= left + half
      const bottom = by >= top + half
      const slot = 4 * cell + (right ? 1 : 0) + (bottom ? 2 : 0)
      let child = this.#children[slot]!
      if (child === -1) {
        child = this.#cell()
        this.#children[slot] = child
      }
      if (right) left += half
      if (bottom) top += half
      half /= 2
      cell = child
    }
  }

  /** Adds to a force what pushes a body away from all others: mass times mass over distance. */
  repulse(
    body: number,
    x: Float64Array,
    y: Float64Array,
    mass: Float64Array,
    strength: number,
    force: { x: number; y: number }
  ): void {
    const bx = x[body]!
    const by = y[body]!
    const factor = strength * mass[body]!
    const stack = this.#stack
    const widths = this.#widths
    let depth = 0
    stack[0] = 0
    widths[0] = this.#width
    depth = 1
    while (depth > 0) {
      depth--
      const cell = stack[depth]!
      const width = widths[depth]!
      const m = this.#mass[cell]!
      if (m === 0 || this.#body[cell] === body) continue
      const dx = bx - this.#massX[cell]! / m
      const dy = by - this.#massY[cell]! / m
      const squared = dx * dx + dy * dy
      if (this.#body[cell] !== -1 || width * width < THETA * THETA * squared) {
        const f = factor * m / Math.max(squared, 1e-6)
        force.x += dx * f
        force.y += dy * f
        continue
      }
      for (let q = 0; q < 4; q++) {
        const child = this.#children[4 * cell + q]!
        if (child === -1) continue
        stack[depth] = child
        widths[depth] = width / 2
        depth++
      }
    }
  }
}
