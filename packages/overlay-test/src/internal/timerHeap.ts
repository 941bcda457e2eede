/** A pending wake-up, to take it out by. */
export interface Timer {
  readonly place: number
  readonly order: number
}

/** What there is room for at first. */
const SMALLEST = 1024

/**
 * A binary heap of timers: add, take the earliest and remove any are O(log n). Timers for the same instant leave in the
 * order in which they were added.
 *
 * What is compared lies in flat arrays, a place for each timer, because a large network has tens of thousands of timers:
 * to look at an object for each comparison took 5 % of its time.
 */
export class TimerHeap {
  /** The places in heap order, and where in it each place is. */
  private heap = new Int32Array(SMALLEST)
  private positions = new Int32Array(SMALLEST)
  private times = new Float64Array(SMALLEST)
  private orders = new Float64Array(SMALLEST)
  private readonly fires: Array<(() => void) | undefined> = []
  private readonly free: Array<number> = []
  private added = 0
  size = 0

  add(at: number, fire: () => void): Timer {
    const place = this.free.pop() ?? this.newPlace()
    const order = this.added++
    this.times[place] = at
    this.orders[place] = order
    this.fires[place] = fire
    this.up(this.size++, place)
    return { place, order }
  }

  /** When the earliest timer is due; undefined when there is none. */
  get next(): number | undefined {
    return this.size === 0 ? undefined : this.times[this.heap[0]!]
  }

  /** Takes out the earliest timer, of which there must be one. */
  take(): () => void {
    const place = this.heap[0]!
    const fire = this.fires[place]
    if (fire === undefined) throw new Error("no timer is left to take")
    this.leave(place)
    return fire
  }

  /** Takes a timer out; one that already left is ignored. */
  remove({ order, place }: Timer): void {
    if (this.fires[place] !== undefined && this.orders[place] === order) this.leave(place)
  }

  private newPlace(): number {
    const place = this.fires.length
    this.fires.push(undefined)
    if (place === this.times.length) this.grow()
    return place
  }

  private grow(): void {
    const length = 2 * this.times.length
    const copy = <A extends Int32Array | Float64Array>(from: A, to: A): A => {
      to.set(from)
      return to
    }
    this.heap = copy(this.heap, new Int32Array(length))
    this.positions = copy(this.positions, new Int32Array(length))
    this.times = copy(this.times, new Float64Array(length))
    this.orders = copy(this.orders, new Float64Array(length))
  }

  private leave(place: number): void {
    const position = this.positions[place]!
    this.fires[place] = undefined
    this.free.push(place)
    const last = this.heap[--this.size]!
    if (last === place) return
    this.up(position, last)
    this.down(this.positions[last]!, last)
  }

  private isEarlier(a: number, b: number): boolean {
    const difference = this.times[a]! - this.times[b]!
    return difference < 0 || (difference === 0 && this.orders[a]! < this.orders[b]!)
  }

  private set(position: number, place: number): void {
    this.heap[position] = place
    this.positions[place] = position
  }

  /** Puts a place at a free position, or above it. */
  private up(position: number, place: number): void {
    let free = position
    while (free > 0) {
      const above = (free - 1) >>> 1
      const other = this.heap[above]!
      if (!this.isEarlier(place, other)) break
      this.set(free, other)
      free = above
    }
    this.set(free, place)
  }

  /** Puts a place at its position, or below it. */
  private down(position: number, place: number): void {
    let free = position
    for (let below = 2 * free + 1; below < this.size; below = 2 * free + 1) {
      let child = this.heap[below]!
      if (below + 1 < this.size && this.isEarlier(this.heap[below + 1]!, child)) child = this.heap[++below]!
      if (!this.isEarlier(child, place)) break
      this.set(free, child)
      free = below
    }
    this.set(free, place)
  }
}
